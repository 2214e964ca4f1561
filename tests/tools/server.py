"""A web server for the tests: each path behaves badly in its own way.

Server() listens on a free port of the loopback address until stop(). It counts how many requests
meet in it, so that a test can see concurrency without looking at a clock.
"""

import collections
import gzip
import socket
import threading

GOOD = b"<!doctype html><html><body><h1>Good <em>page</em></h1><h2>A &amp; B</h2></body></html>"
MANY = b"x" * 65536


def html(body, kind="text/html; charset=utf-8"):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def status(line, extra=""):
    return f"HTTP/1.1 {line}\r\n{extra}Content-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def redirect(to):
    return status("302 Found", f"Location: {to}\r\n")


BOMB = gzip.compress(b"<p>" + b"a" * 50_000_000)

ANSWERS = {
    "/good": html(GOOD),
    "/empty": html(b""),
    "/404": status("404 Not Found"),
    "/500": status("500 Internal Server Error"),
    "/204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "/pdf": html(b"%PDF-1.4 <h1>no</h1>", "application/pdf"),
    "/evil-type": html(b"x", "image/\x1b[31mred"),
    "/no-type": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + GOOD,
    "/no-type-binary": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\x00\x01\x02 <h1>no</h1>",
    "/loop": redirect("/loop"),
    "/ping": redirect("/pong"),
    "/pong": redirect("/ping"),
    "/moved": redirect("/good"),
    "/to-file": redirect("file:///etc/passwd"),
    "/to-nowhere": redirect("http://127.0.0.1:1/"),
    "/deep": html(b"<div>" * 100_000 + b"<h1>Deep</h1>"),
    "/deep-inline": html(b"<b>" * 100_000 + b"<h1>Deep</h1>"),
    "/stray": html(b"<b>" * 100_000 + b"</i>" * 100_000 + b"<h1>Never</h1>"),
    "/nul": html(b"\0<h1>a\0b</h1>\0\0<h2>c</h2>"),
    "/broken": html(b"<h1>a\xff\xc3(b</h1><h2>\xe2\x82</h2>"),
    "/latin1": html("<h1>a\u00f1o</h1>".encode("latin-1"), "text/html; charset=ISO-8859-1"),
    "/meta": html("<meta charset='windows-1251'><h1>\u0416\u0443\u043a</h1>".encode("cp1251"), "text/html"),
    "/utf16": html("\ufeff<h1>a\u00f1o \U0001f600</h1>".encode("utf-16-le"), "text/html"),
    "/unknown-charset": html(b"<h1>plain</h1>", "text/html; charset=klingon"),
    "/escape": html(b"<h1>red \x1b[31m\xc2\x9b31m\t\n end</h1>"),
    "/long": html(b"<h1>" + b"y" * 1_000_000 + b"</h1>"),
    "/garbage": b"I am not a web server\r\n\r\n",
    "/cut": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n<h1>half",
    "/hang-up": b"",
    "/bomb": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
              + f"Content-Length: {len(BOMB)}\r\nConnection: close\r\n\r\n".encode() + BOMB),
    "/bad-gzip": (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
                  b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"),
}
HTML_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"


class Server:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.changed = threading.Condition()
        self.meeting = self.most = 0
        self.seen = collections.Counter()  # how often each path was asked for
        self.barrier = 0
        self.gate = threading.Event()
        self.stopping = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def stop(self):
        self.stopping.set()
        with self.changed:
            self.changed.notify_all()
        self.listener.close()

    def reset(self, barrier=0):
        """Begins to count anew. /meet answers when `barrier` requests are here together, and then at once."""
        with self.changed:
            self.most = 0
            self.barrier = barrier
        self.gate.clear()

    def wait_for(self, condition, seconds=30):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def accept(self):
        while not self.stopping.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                text = b""
                while b"\r\n\r\n" not in text:
                    more = connection.recv(65536)
                    if not more:
                        return
                    text += more
                    if text[0] == 0x16:  # the greeting of a TLS client
                        connection.sendall(status("400 Bad Request"))
                        return
                path = text.split()[1].decode()
                with self.changed:
                    self.seen[path] += 1
                    self.changed.notify_all()
                self.answer(connection, path.partition("?")[0], text)
            except (OSError, IndexError, UnicodeDecodeError):
                pass

    def answer(self, connection, path, request):
        if path in ANSWERS:
            connection.sendall(ANSWERS[path])
        elif path.startswith("/page/"):
            connection.sendall(html(f"<h1>Page {path[6:]}</h1>".encode()))
        elif path == "/meet":
            self.meet(connection)
        elif path == "/cookie":
            known = b"cookie: taste=good" in request.lower()
            connection.sendall(html(GOOD) if known
                               else status("302 Found", "Location: /cookie\r\nSet-Cookie: taste=good\r\n"))
        elif path == "/endless":
            self.pour(connection, HTML_HEAD + b"\r\n<h1>Begin</h1>", MANY)
        elif path == "/endless-headings":
            self.pour(connection, HTML_HEAD + b"\r\n", b"<h1>again</h1>" * 1000)
        elif path == "/endless-headers":
            self.pour(connection, b"HTTP/1.1 200 OK\r\n", b"X-More: and more and more\r\n" * 100)
        elif path == "/100mb":
            self.pour(connection, HTML_HEAD + b"Content-Length: 100000000\r\n\r\n", MANY, 100_000_000)
        elif path == "/drip":
            self.drip(connection)
        elif path == "/gate":
            self.gate.wait(60)
            connection.sendall(html(b"<h1>Behind the gate</h1>"))
        elif path == "/silence":
            self.stopping.wait(60)
        else:
            connection.sendall(status("404 Not Found"))

    def meet(self, connection):
        with self.changed:
            self.meeting += 1
            self.most = max(self.most, self.meeting)
            self.changed.notify_all()
            here = self.changed.wait_for(lambda: self.most >= self.barrier, 20)
            self.meeting -= 1  # before the answer: whoever has it may come back at once
        connection.sendall(html(b"<h1>Met</h1>" if here else b"<h1>Alone</h1>"))

    def pour(self, connection, head, piece, size=None):
        connection.sendall(head)
        while not self.stopping.is_set() and (size is None or size > 0):
            connection.sendall(piece)
            size = None if size is None else size - len(piece)

    def drip(self, connection):
        connection.sendall(HTML_HEAD + b"\r\n<h1>Slow</h1>")
        while not self.stopping.wait(0.05):
            connection.sendall(b".")
