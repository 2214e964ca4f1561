#!/usr/bin/python3
"""trenza-net and Python's multiprocessing.connection at the two ends of one connection. interop.py PEER

Run with each Python that is there; what 3.12 and newer do in their handshake is done here by hand for the others.
"""

import errno
import glob
import hmac
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener

PEER = sys.argv[1]
PATIENCE = 60
KEY = "a secret that is long enough"
SIZES = [0, 1, 16384, 16385, 65536, 1 << 20, 5000001]
NEW = sys.version_info >= (3, 12)
folder = tempfile.TemporaryDirectory()


class Peer:
    """The C program."""

    def __init__(self, *args):
        self.process = subprocess.Popen([PEER, *args], stdout=subprocess.PIPE, text=True)
        self.timer = threading.Timer(PATIENCE, self.process.kill)
        self.timer.start()

    def line(self):
        return self.process.stdout.readline().strip()

    def end(self):
        """What it says last: 0, or a negative errno code."""
        answer = self.process.stdout.read().strip().split("\n")[-1]
        self.process.wait()
        self.timer.cancel()
        return int(answer)


def python_address(text):
    if text.startswith("@"):
        return "\0" + text[1:]
    if text.startswith("/"):
        return text
    host, _, port = text.rpartition(":")
    return (host.strip("[]"), int(port))


def converse(connection):
    for size in SIZES:
        data = bytes(i & 255 for i in range(251)) * (size // 251 + 1)
        connection.send_bytes(data[:size])
        assert connection.recv_bytes() == data[:size], size


def echo(connection):
    try:
        while True:
            connection.send_bytes(connection.recv_bytes())
    except (EOFError, ConnectionResetError):
        pass


# --- frames by hand ----------------------------------------------------------------------------------------------------


class Raw:
    """A plain socket with frames."""

    def __init__(self, address):
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        self.socket = socket.socket(family)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)

    def send_bytes(self, data):
        self.socket.sendall(struct.pack("!i", len(data)) + data)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def recv_bytes(self):
        return self.exactly(struct.unpack("!i", self.exactly(4))[0])

    def close(self):
        self.socket.close()


def respond(key, message, digest):
    return b"{%s}" % digest.encode() + hmac.new(key, message, digest).digest()


def answer(connection, key, digest):
    """As Python 3.12 and newer answer a challenge."""
    message = connection.recv_bytes()
    assert message.startswith(b"#CHALLENGE#{sha256}") and len(message) == 59, message
    message = message[len(b"#CHALLENGE#"):]
    connection.send_bytes(respond(key, message, digest))
    return connection.recv_bytes()


def challenge(connection, key, digest):
    message = b"{%s}" % digest.encode() + os.urandom(40)
    connection.send_bytes(b"#CHALLENGE#" + message)
    right = hmac.compare_digest(connection.recv_bytes(), respond(key, message, digest))
    connection.send_bytes(b"#WELCOME#" if right else b"#FAILURE#")
    return right


# --- cases --------------------------------------------------------------------------------------------------------------

cases = []


def case(function):
    cases.append(function)
    return function


def addresses():
    return ["127.0.0.1:0", os.path.join(folder.name, "s"), "@trenza-interop-%d" % os.getpid()]


def old(*args):
    """What this Python needs: before 3.12 it knows HMAC-MD5 only."""
    return [*args] if NEW else [*args, "md5"]


@case
def python_connects_to_trenza():
    for address in addresses():
        for key in [None, KEY]:
            peer = Peer(*old("listen", address, key or "-"))
            with Client(python_address(peer.line()), authkey=key and key.encode()) as c:
                converse(c)
            assert peer.end() == 0


@case
def trenza_connects_to_python():
    for address in addresses():
        for key in [None, KEY]:
            with Listener(python_address(address), authkey=key and key.encode()) as listener:
                where = listener.address
                if isinstance(where, tuple):
                    where = "%s:%d" % where
                elif isinstance(where, bytes):
                    where = os.fsdecode(where)
                peer = Peer(*old("connect", where.replace("\0", "@"), key or "-"))
                with listener.accept() as c:
                    echo(c)
            assert peer.end() == 0


@case
def a_wrong_key_is_refused_by_trenza():
    peer = Peer(*old("listen", "127.0.0.1:0", KEY))
    try:
        Client(python_address(peer.line()), authkey=b"another")
        raise AssertionError("it was let in")
    except AuthenticationError:
        pass
    assert peer.end() == -errno.EKEYREJECTED


@case
def a_wrong_key_is_refused_by_python():
    with Listener(("127.0.0.1", 0), authkey=b"another") as listener:
        peer = Peer(*old("connect", "%s:%d" % listener.address, KEY))
        try:
            listener.accept()
            raise AssertionError("it was let in")
        except AuthenticationError:
            pass
    assert peer.end() == -errno.EKEYREJECTED


@case
def md5_is_refused_unless_it_is_asked_for():
    if NEW:
        return
    peer = Peer("listen", "127.0.0.1:0", KEY)
    try:
        Client(python_address(peer.line()), authkey=KEY.encode())
        raise AssertionError("it was let in")
    except AuthenticationError:
        pass
    assert peer.end() == -errno.EPROTONOSUPPORT
    with Listener(("127.0.0.1", 0), authkey=KEY.encode()) as listener:
        peer = Peer("connect", "%s:%d" % listener.address, KEY)
        try:
            listener.accept()
            raise AssertionError("it was let in")
        except (EOFError, ConnectionResetError):
            pass
    assert peer.end() == -errno.EPROTONOSUPPORT


@case
def what_newer_versions_do():
    for digest in ["sha256", "sha384", "sha3_256", "sha3_384"]:
        peer = Peer("listen", "127.0.0.1:0", KEY)
        c = Raw(python_address(peer.line()))
        assert answer(c, KEY.encode(), digest) == b"#WELCOME#", digest
        assert challenge(c, KEY.encode(), digest), digest
        c.send_bytes(b"hello")
        assert c.recv_bytes() == b"hello"
        c.close()
        assert peer.end() == 0


@case
def what_newer_versions_do_with_another_key():
    peer = Peer("listen", "127.0.0.1:0", KEY)
    c = Raw(python_address(peer.line()))
    assert answer(c, b"another", "sha256") == b"#FAILURE#"
    c.close()
    assert peer.end() == -errno.EKEYREJECTED


def run(number, name, function, *args):
    name = "%s (Python %d.%d)" % (name, *sys.version_info[:2])
    try:
        function(*args)
    except Exception as e:  # each case says for itself what went wrong
        print("not ok %d - %s" % (number, name))
        print("# %s: %s" % (type(e).__name__, e), flush=True)
        return False
    print("ok %d - %s" % (number, name), flush=True)
    return True


def others():
    """Newer versions that are installed, unless this is one that was run by another."""
    if len(sys.argv) > 2:
        return []
    return [p for p in sorted(glob.glob("/usr/bin/python3.1[2-9]")) if not p.endswith("%d.%d" % sys.version_info[:2])]


def all_with(python):
    out = subprocess.run([python, sys.argv[0], PEER, "again"], check=False, stdout=subprocess.PIPE, text=True)
    assert out.returncode == 0, [line for line in out.stdout.split("\n") if not line.startswith("ok")]


def main():
    todo = [(f.__name__.replace("_", " "), f) for f in cases]
    todo += [("all of it, with " + python, all_with, python) for python in others()]
    print("1..%d" % len(todo))
    return not all([run(number, *one) for number, one in enumerate(todo, 1)])


if __name__ == "__main__":
    sys.exit(main())
