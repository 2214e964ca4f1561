#!/usr/bin/python3
"""Tests of `trenza demo`. demo.py TRENZA [CASE]"""

import html.parser
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import server
from tap import case, finish

TRENZA = os.path.abspath(sys.argv[1])
DEADLINE = 120  # seconds; no test comes near it unless something hangs
# The lengths that the sixteen pages are known by, in characters.
LENGTHS = [5194, 253691, 54877, 39473, 93492, 48433, 48345, 23735, 26543, 190614, 54551, 6612, 47573, 23812,
           272144, 43367]
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "http_proxy": "http://127.0.0.1:1/"}


def run(*arguments):
    return subprocess.run([TRENZA, "demo", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          env=ENVIRONMENT, timeout=DEADLINE, text=True)


def equal(have, want):
    assert have == want, f"{have!r} is not {want!r}"


def contains(text, part):
    assert part in text, f"{part!r} is not in {text!r}"


class Serving:
    """A running `trenza demo --serve`."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen([TRENZA, "demo", "--serve", *arguments], stdout=subprocess.PIPE, text=True)
        self.urls = [self.child.stdout.readline().strip() for _ in LENGTHS]
        self.port = int(self.urls[0].split(":")[2].split("/")[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate(timeout=DEADLINE)

    def get(self, url):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=DEADLINE) as answer:
            return answer.read().decode("utf-8")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        except (ConnectionRefusedError, ConnectionResetError): # reset: it went in the middle of it
            return False

    def wait_until_gone(self):
        end = time.monotonic() + DEADLINE
        while self.answers():
            assert time.monotonic() < end, "the site outlives the command"
            time.sleep(0.05)


class Headings(html.parser.HTMLParser):
    """Python's own parser, as a second opinion."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.open, self.hidden = [], False, 0
        self.feed(text)

    def handle_starttag(self, tag, _):
        self.hidden += tag == "template"
        if re.fullmatch("h[1-4]", tag) and not self.hidden:
            self.open = True
            self.texts.append((int(tag[1]), ""))

    def handle_endtag(self, tag):
        self.hidden -= tag == "template"
        if re.fullmatch("h[1-4]", tag):
            self.open = False

    def handle_data(self, data):
        if self.open:
            level, text = self.texts[-1]
            self.texts[-1] = (level, text + data)


@case
def pages():
    """serves sixteen pages of the known lengths and 168 headings, the same that Python's parser finds"""
    with Serving("--delay", "0") as site:
        texts = [site.get(url) for url in site.urls]
        equal([len(text) for text in texts], LENGTHS)
        mine = [(level, " ".join(text.split())) for page in texts for level, text in Headings(page).texts]
        equal(len(mine), 168)
        done = subprocess.run([TRENZA, "fetch", "-q", *site.urls], stdin=subprocess.DEVNULL, capture_output=True,
                              env={**ENVIRONMENT, "no_proxy": "127.0.0.1"}, timeout=DEADLINE, text=True)
        equal(done.stderr, "")
        theirs = [line.split("\t")[1:] for line in done.stdout.splitlines()]
        equal([(int(level[1]), text) for level, text in theirs], mine)
        equal(len(set(mine)), len(mine))


@case
def site_waits_for_all_at_once():
    """answers other requests while one waits"""
    with Serving("--delay", "2") as site:
        connections = [socket.create_connection(("127.0.0.1", site.port), 5) for _ in range(100)]
        for connection in connections:
            connection.sendall(b"GET /nips.cc/ HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in connections:
            connection.settimeout(DEADLINE)
            contains(connection.recv(100), b"200 OK")
            connection.close()


@case
def site_refuses():
    """answers 404 for a page that it does not have"""
    with Serving("--delay", "0") as site:
        with socket.create_connection(("127.0.0.1", site.port), 5) as connection:
            connection.settimeout(DEADLINE)
            connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
            contains(connection.recv(100), b"404")


@case
def site_ends_with_the_command():
    """takes the site along when it ends, even when it is killed"""
    for signum in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
        with Serving() as site:
            assert site.answers()
            site.child.send_signal(signum)
            site.child.wait(timeout=DEADLINE)
            site.wait_until_gone()


@case
def shows_and_checks():
    """shows both tables, checks its results, and succeeds"""
    done = run("--delay", "0.01")
    equal((done.returncode, re.sub(r"trenza: .* pages so far .*\n", "", done.stderr)), (0, ""))
    for part in ("168 of 168 headings on inline", "168 of 168 headings on threads:16",
                 "168 of 168 headings on processes:16", "168 of 168 headings on coroutines", "64 of 64 pages have the length", "148,933 primes", "longest page", "threads:1 ", "threads:2 ",
                 "Puzzles for patient machines"):
        contains(done.stdout, part)
    assert "WRONG" not in done.stdout and "\033" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@case
def own_list():
    """runs on a list of the user's own, bad pages included"""
    site = server.Server()
    with tempfile.NamedTemporaryFile("w") as file:
        print(site.url("/good"), site.url("/404"), sep="\n", file=file, flush=True)
        done = subprocess.run([TRENZA, "demo", "--input", file.name], stdin=subprocess.DEVNULL, capture_output=True,
                              env={**ENVIRONMENT, "no_proxy": "127.0.0.1"}, timeout=DEADLINE, text=True)
    equal(done.returncode, 1)
    contains(done.stdout, "your 2 pages")
    contains(done.stdout, "Good page")
    contains(done.stdout, "148,933 primes")
    contains(done.stderr, "404 Not Found")
    assert "168" not in done.stdout


@case
def interrupted():
    """stops on Ctrl-C and ends by the signal"""
    child = subprocess.Popen([TRENZA, "demo", "--delay", "10"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, env=ENVIRONMENT)
    child.stdout.readline()
    # The opening is written, and the first page is ten seconds away.
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=DEADLINE)
    equal(child.returncode, -signal.SIGINT)
    assert b"ok " not in out


@case
def usage():
    """answers 2 when it cannot begin"""
    for arguments in ["--nonsense"], ["--delay", "x"], ["--delay", "-1"], ["--input", "/nowhere/list"], ["url"]:
        done = run(*arguments)
        equal((done.returncode, done.stdout), (2, ""))
        assert done.stderr.startswith("trenza: ")
    done = run("--help")
    equal(done.returncode, 0)
    assert max(map(len, done.stdout.splitlines())) <= 80


if __name__ == "__main__":
    finish(*sys.argv[2:3])
