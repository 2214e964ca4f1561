#!/usr/bin/python3
"""Tests of `trenza fetch` against a server on this machine. fetch.py TRENZA [CASE]"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

import server
from tap import Skip, case, finish

TRENZA = os.path.abspath(sys.argv[1])
DEADLINE = 60  # seconds; no test comes near it unless something hangs
site = server.Server()
url = site.url

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k != "NO_COLOR"}
ENVIRONMENT.update(LC_ALL="C.UTF-8", TERM="xterm")


def start(*arguments, **more):
    return subprocess.Popen([TRENZA, "fetch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=ENVIRONMENT, **{"stdin": subprocess.DEVNULL, **more})


def run(*arguments, stdin=""):
    done = subprocess.run([TRENZA, "fetch", *arguments], input=stdin.encode(), capture_output=True,
                          env=ENVIRONMENT, timeout=DEADLINE)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    # On a slow machine a run says now and then that it lives.
    done.err = re.sub(r"trenza: .* pages so far .*\n", "", done.err)
    return done


def equal(have, want):
    assert have == want, f"{have!r} is not {want!r}"


def contains(text, part):
    assert part in text, f"{part!r} is not in {text!r}"


def fails(path, reason, *options):
    """The page at `path` is one line that gives the reason, and its neighbours are had."""
    done = run(*options, url("/page/1"), path if "://" in path else url(path), url("/page/2"))
    equal(done.returncode, 1)
    equal(done.out, f"{url('/page/1')}\th1\tPage 1\n{url('/page/2')}\th1\tPage 2\n")
    lines = done.err.splitlines()
    equal(len(lines), 2)
    contains(lines[0], reason)
    contains(lines[1], "3 pages, 2 headings")
    contains(lines[1], "1 failed")
    json_line = json.loads(run("--json", *options, path if "://" in path else url(path)).out)
    contains(json_line["error"], reason)
    assert "headings" not in json_line


def headings(path, *options):
    done = run("--json", *options, url(path))
    equal(done.returncode, 0)
    return [(h["level"], h["text"]) for h in json.loads(done.out)["headings"]]


# --- what it prints ---------------------------------------------------------------------------------


@case
def tsv_in_a_pipe():
    """prints lines of address, level and text in a pipe"""
    done = run(url("/good"))
    equal(done.out, f"{url('/good')}\th1\tGood page\n{url('/good')}\th2\tA & B\n")
    equal(done.returncode, 0)
    contains(done.err, "1 page, 2 headings")


@case
def json_lines():
    """prints one line of JSON a page with --json"""
    done = run("--json", url("/moved"), url("/404"))
    moved, missing = (json.loads(line) for line in done.out.splitlines())
    equal(moved["url"], url("/moved"))
    equal(moved["final_url"], url("/good"))
    equal(moved["status"], 200)
    equal(moved["headings"], [{"level": 1, "text": "Good page"}, {"level": 2, "text": "A & B"}])
    equal(moved["chars"], len(server.GOOD))
    equal(moved["bytes"], len(server.GOOD))
    assert moved["seconds"] >= 0
    equal(missing["status"], 404)
    equal(missing["error"], "404 Not Found")


@case
def json_escapes():
    """escapes what JSON wants escaped"""
    odd = 'http://127.0.0.1:1/"\\\x01\x7f'
    equal(json.loads(run("--json", odd).out)["url"], odd)


@case
def quiet():
    """prints nothing but pages and failures with --quiet"""
    done = run("-q", url("/good"), url("/404"))
    equal(done.err, f"trenza: {url('/404')}: 404 Not Found\n")


@case
def outline_when_asked():
    """prints an outline with --outline, without colours in a pipe"""
    done = run("--outline", url("/good"))
    first, *rest = done.out.splitlines()
    contains(first, url("/good"))
    contains(first, f"2 headings, {len(server.GOOD)} characters")
    equal(rest, ["  h1 Good page", "  h2   A & B", ""])
    assert "\033" not in done.out + done.err


def on_terminal(*arguments, environment=ENVIRONMENT):
    """What trenza writes when both its outputs are one terminal, and its exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(TRENZA, [TRENZA, "fetch", *arguments], environment)
    text, end = b"", time.monotonic() + DEADLINE
    while True:
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"still running after {DEADLINE} s: {text[-500:]!r}")
        try:
            more = os.read(terminal, 65536)
        except OSError:
            more = b""
        if not more:
            break
        text += more
    os.close(terminal)
    return text.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@case
def terminal():
    """prints an outline, a progress bar and colours on a terminal"""
    text, code = on_terminal(url("/good"), url("/404"))
    equal(code, 1)
    contains(text, "Good page")
    contains(text, "/2 ")
    contains(text, "\033[1m")
    # Whatever was painted over, the bar is gone at the end: the last line is the summary.
    contains(text.split("\r\033[K")[-1], "2 pages, 2 headings")


@case
def no_color():
    """uses no colours on a terminal if NO_COLOR is set"""
    text, _ = on_terminal(url("/good"), environment={**ENVIRONMENT, "NO_COLOR": "1"})
    contains(text, "Good page")
    equal(re.findall(r"\033\[[0-9;]*m", text), [])


@case
def hostile_text():
    """lets no control character of a page, its type or its address through"""
    done = run("--outline", url("/escape"), url("/evil-type"), url("/\033[2J"))
    contains(done.out, "red [31m 31m end")
    assert "\033" not in done.out + done.err, repr(done.out + done.err)
    assert "\x9b" not in done.out
    equal(len(run(url("/escape")).out.splitlines()), 1)


# --- where the list comes from ------------------------------------------------------------------------


@case
def list_from_stdin():
    """reads URLs from the standard input"""
    done = run(stdin=f"\n# a comment\n  {url('/page/1')}\t\r\n{url('/page/2')}")
    equal([line.split("\t")[2] for line in done.out.splitlines()], ["Page 1", "Page 2"])


@case
def list_from_file():
    """reads URLs from files, the standard input and arguments together, in this order"""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(url("/page/1") + "\n")
        file.flush()
        done = run("-i", file.name, "--input=-", url("/page/3"), stdin=url("/page/2") + "\n")
    equal([line.split("\t")[2] for line in done.out.splitlines()], ["Page 1", "Page 2", "Page 3"])


@case
def no_urls():
    """has nothing to do for an empty list, and that is no failure"""
    for options in [], ["--json"], ["--on", "inline"]:
        done = run(*options, stdin="# nothing\n")
        equal((done.returncode, done.out), (0, ""))


@case
def thousand_urls():
    """fetches 1000 URLs and prints them in the order of the list"""
    done = run(stdin="".join(url(f"/page/{i}") + "\n" for i in range(1000)))
    equal(done.returncode, 0)
    equal([line.split("\t")[2] for line in done.out.splitlines()], [f"Page {i}" for i in range(1000)])


@case
def usage():
    """answers 2 and says what is wrong when it cannot begin"""
    for arguments, word in [
        (["--nonsense"], "nonsense"), (["--on", "teapot", "x"], "teapot"), (["--on", "threads:x", "x"], "threads:x"),
        (["--timeout", "-1", "x"], "-1"), (["--timeout", "nan", "x"], "nan"), (["--max-size", "1Q", "x"], "1Q"),
        (["--max-redirects", "many", "x"], "many"), (["-i", "/nowhere/list"], "No such file"),
        (["--on", "inline", "--on", "threads", "x"], "--compare"),
    ]:
        done = run(*arguments)
        equal((done.returncode, done.out), (2, ""))
        contains(done.err, word)


@case
def help_and_version():
    """explains itself in 80 columns"""
    done = run("--help")
    equal((done.returncode, done.err), (0, ""))
    for option in "--on", "--compare", "--json", "--timeout", "--max-size", "--max-redirects", "NO_COLOR", "Exit status":
        contains(done.out, option)
    assert max(map(len, done.out.splitlines())) <= 80
    with open(os.path.join(os.path.dirname(__file__), "../../tools/trenza/trenza.1")) as page:
        manual = page.read().replace("\\-", "-")
    for option in re.findall(r"--[a-z-]+", done.out):
        contains(manual, option)
    version = subprocess.run([TRENZA, "--version"], capture_output=True, timeout=DEADLINE, text=True)
    assert re.match(r"trenza \d+\.\d+\.\d+ ", version.stdout), version.stdout
    equal(version.returncode, 0)
    equal(subprocess.run([TRENZA], capture_output=True, timeout=DEADLINE).returncode, 2)
    equal(subprocess.run([TRENZA, "brew"], capture_output=True, timeout=DEADLINE).returncode, 2)


# --- pages that cannot be had ---------------------------------------------------------------------------


def failure(name, path, reason, *options):
    def test():
        fails(path, reason, *options)
    test.__name__ = test.__doc__ = name
    case(test)


QUICK = "--timeout", "1"
failure("a refused connection is one failure", "http://127.0.0.1:1/", "Connection refused")
failure("a host without an address is one failure", "http://nowhere.invalid/", "no such host")
failure("TLS with one who does not speak it is one failure", f"https://127.0.0.1:{site.port}/good", "SSL")
failure("404 is one failure", "/404", "404 Not Found")
failure("500 is one failure", "/500", "500 Internal Server Error")
failure("204 is one failure", "/204", "204 No Content")
failure("what is not HTML is one failure", "/pdf", "not HTML but application/pdf")
failure("binary content without a type is one failure", "/no-type-binary", "not HTML")
failure("a redirect to itself is one failure", "/loop", "more than 10 redirects")
failure("a redirect in a circle is one failure", "/ping", "more than 3 redirects", "--max-redirects", "3")
failure("a redirect to a file is one failure", "/to-file", "only http and https")
failure("a redirect to nowhere is one failure", "/to-nowhere", "Connection refused")
failure("an endless page is one failure", "/endless", "larger than 10 MB")
failure("endless headings are one failure", "/endless-headings", "larger than 1 MB", "--max-size", "1M")
failure("endless headers are one failure", "/endless-headers", "headers without end")
failure("a page of 100 MB is one failure", "/100mb", "larger than 10 MB")
failure("50 MB packed into 50 kB are one failure", "/bomb", "larger than 10 MB")
failure("broken packing is one failure", "/bad-gzip", "encoding")
failure("a page that drips is one failure", "/drip", "not finished after 1 s", *QUICK)
failure("a server that says nothing is one failure", "/silence", "no answer after 1 s", *QUICK)
failure("a server that hangs up is one failure", "/hang-up", "hung up without an answer")
failure("a page cut off is one failure", "/cut", "hung up after 8 bytes")
failure("an answer that is not HTTP is one failure", "/garbage", "HTTP/0.9")
failure("hopeless nesting is one failure", "/stray", "nested too badly")
failure("what is no URL is one failure", "http://[", "not a URL")
failure("another protocol is one failure", "ftp://127.0.0.1/", "only http and https")


@case
def tls_without_trust():
    """a certificate that nobody vouches for is one failure"""
    import ssl
    import threading
    with tempfile.TemporaryDirectory() as folder:
        key, cert = f"{folder}/key", f"{folder}/cert"
        try:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost"],
                           check=True, capture_output=True, timeout=DEADLINE)
        except FileNotFoundError:
            raise Skip("no openssl")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        import socket
        listener = socket.create_server(("127.0.0.1", 0))

        def handshake():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        threading.Thread(target=handshake, daemon=True).start()
        fails(f"https://127.0.0.1:{listener.getsockname()[1]}/", "certificate")
        listener.close()


@case
def all_failures_at_once():
    """a list of nothing but bad pages fails page by page, on each executor"""
    paths = ["/404", "/pdf", "/loop", "/endless", "/100mb", "/hang-up", "/cut", "/garbage", "/stray", "/bomb"]
    for executor in "inline", "threads:3", "threads", "coroutines", "coroutines:2", "processes:3":
        done = run("--on", executor, *map(url, paths), url("/good"))
        equal(done.returncode, 1)
        equal(len(done.err.splitlines()), len(paths) + 1)
        equal(len(done.out.splitlines()), 2)


# --- what pages say -----------------------------------------------------------------------------------


@case
def deep_nesting():
    """reads a heading below 100,000 open tags"""
    equal(headings("/deep"), [(1, "Deep")])
    equal(headings("/deep-inline"), [(1, "Deep")])


@case
def nul_bytes():
    """passes over NUL bytes"""
    equal(headings("/nul"), [(1, "ab"), (2, "c")])


@case
def broken_encoding():
    """replaces bytes that are not in the encoding that the server named"""
    equal(headings("/broken"), [(1, "a\ufffd\ufffd(b"), (2, "\ufffd")])


@case
def encodings():
    """reads the encoding from the server, from the page, from its first bytes, or does without"""
    equal(headings("/latin1"), [(1, "a\u00f1o")])
    equal(headings("/meta"), [(1, "\u0416\u0443\u043a")])
    equal(headings("/utf16"), [(1, "a\u00f1o \U0001f600")])
    equal(headings("/unknown-charset"), [(1, "plain")])


@case
def no_type():
    """takes what looks like HTML for HTML if the server names no type"""
    equal(headings("/no-type"), [(1, "Good page"), (2, "A & B")])


@case
def empty_page():
    """has an empty page with no heading"""
    equal(headings("/empty"), [])


@case
def long_heading():
    """cuts a heading of a megabyte"""
    [(level, text)] = headings("/long")
    equal(level, 1)
    assert 900 < len(text) <= 1000 and text.endswith("y\u2026"), len(text)


@case
def cookies():
    """brings back the cookie without which a site redirects in a circle, to each page anew"""
    site.seen.clear()
    done = run("--on", "inline", url("/cookie"), url("/cookie"))
    equal((done.returncode, done.out.count("Good page")), (0, 2))
    equal(site.seen["/cookie"], 4)


# --- where it runs --------------------------------------------------------------------------------------


def meet(executor, together, count):
    """How many requests the server had at one time while `count` were fetched on the executor."""
    site.reset(barrier=together)
    done = run("--on", executor, *[url("/meet")] * count)
    equal(done.returncode, 0)
    equal({line.split("\t")[2] for line in done.out.splitlines()}, {"Met"})
    return site.most


@case
def sixteen_at_once():
    """has 16 pages under way at one time unless told, with `threads` too"""
    equal(meet("threads", 16, 48), 16)
    for _ in range(10):  # no more pages than workers: each must have found one
        equal(meet("threads", 16, 16), 16)
    site.reset(barrier=16)
    equal(run(*[url("/meet")] * 32).out.count("Met"), 32)
    equal(site.most, 16)


@case
def as_many_as_told():
    """has as many pages under way as --on says, and one in line"""
    equal(meet("threads:5", 5, 20), 5)
    equal(meet("threads:1", 1, 4), 1)
    equal(meet("inline", 1, 4), 1)


@case
def sixteen_on_each_loop():
    """has 16 pages under way on each loop of coroutines"""
    equal(meet("coroutines", 16, 48), 16)
    equal(meet("coroutines:2", 32, 64), 32)


@case
def same_on_coroutines():
    """prints the same pages in the same order on coroutines, redirected, encoded and large ones too"""
    pages = [url(path) for path in ("/page/1", "/moved", "/deep", "/broken", "/nul", "/cookie", "/404", "/page/2")]
    here, there = run("--on", "inline", *pages), run("--on", "coroutines", *pages)
    equal((there.returncode, there.out), (here.returncode, here.out))
    equal(there.err.splitlines()[:-1], here.err.splitlines()[:-1])


@case
def same_on_processes():
    """prints the same pages in the same order on processes, redirected, encoded and large ones too, by each way to start them"""
    pages = [url(path) for path in ("/page/1", "/moved", "/deep", "/broken", "/nul", "/cookie", "/404", "/page/2")]
    here = run("--on", "inline", *pages)
    for executor in "processes", "processes:2", "processes:2,start=spawn":
        there = run("--on", executor, *pages)
        equal((there.returncode, there.out), (here.returncode, here.out))
        equal(there.err.splitlines()[:-1], here.err.splitlines()[:-1])


@case
def compare():
    """compares executors in a table"""
    done = run("--compare", *[url(f"/page/{i}") for i in range(5)], url("/404"))
    equal(done.returncode, 1)
    rows = [line.split() for line in done.out.splitlines()]
    equal(rows[0], "executor wall speed-up user system sum of pages longest page".split())
    equal([row[0] for row in rows[1:5]], ["inline", "threads:16", "processes:16", "coroutines"])
    equal(rows[1][3], "1.0x")
    equal(done.err, f"trenza: {url('/404')}: 404 Not Found\n")


@case
def compare_as_told():
    """compares the executors that --on names, as JSON if wanted"""
    done = run("--compare", "--json", "--on", "threads:2", "--on", "inline", "--on", "threads:7",
               *[url(f"/page/{i}") for i in range(5)])
    reports = [json.loads(line) for line in done.out.splitlines()]
    equal([r["executor"] for r in reports], ["threads:2", "inline", "threads:7"])
    for report in reports:
        equal((report["pages"], report["failed"], report["headings"]), (5, 0, 5))
        assert 0 < report["longest"] <= report["sum"]
        # What must be so whatever the machine does meanwhile: a run is as long as its longest page.
        assert report["wall"] >= report["longest"]
    assert reports[1]["wall"] >= reports[1]["sum"]


# --- how it ends ------------------------------------------------------------------------------------------


def interrupt(signum, *arguments):
    # A path of its own: requests of an earlier child may still be on their way.
    interrupt.count += 1
    path = f"/silence?{interrupt.count}"
    child = start(*arguments, *[url(path)] * 40)
    try:
        assert site.wait_for(lambda: path in site.seen), "no request came"
        child.send_signal(signum)
        out, err = child.communicate(timeout=DEADLINE)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    equal(child.returncode, -signum)
    return out.decode(), err.decode()


interrupt.count = 0


@case
def ctrl_c():
    """stops at once on Ctrl-C, says how far it came, and ends by the signal"""
    # No page can end by itself within the test's deadline, so whoever ends did stop.
    for executor in "threads", "inline", "threads:2", "coroutines", "processes:2":
        out, err = interrupt(signal.SIGINT, "--timeout", "300", "--on", executor)
        equal(out, "")
        contains(err, "stopped: 0 pages")
        contains(err, "40 not fetched")
    contains(interrupt(signal.SIGTERM, "--timeout", "300")[1], "stopped")


@case
def ctrl_c_in_comparison():
    """stops a comparison too, and does not begin the next run"""
    out, err = interrupt(signal.SIGINT, "--timeout", "300", "--compare")
    assert "threads" not in out, out


@case
def ctrl_c_keeps_what_came():
    """prints the pages that came before a Ctrl-C"""
    child = start("--timeout", "300", "--on", "threads:2", url("/page/1"), url("/silence"), url("/silence"))
    line = child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=DEADLINE)
    equal(line.decode(), f"{url('/page/1')}\th1\tPage 1\n")
    contains(err.decode(), "stopped: 1 page, 1 heading")
    contains(err.decode(), "2 not fetched")


@case
def reader_leaves():
    """ends when nobody reads its output any more"""
    site.reset()
    child = start("--timeout", "300", url("/page/1"), url("/gate"), *[url("/silence")] * 3)
    child.stdout.readline()
    child.stdout.close()
    child.stdout = None
    site.gate.set()
    # What was behind the gate meets the closed pipe. The silent pages would outlast the deadline.
    child.communicate(timeout=DEADLINE)
    equal(child.returncode, -signal.SIGPIPE)


@case
def full_disk():
    """says so when the output cannot be written"""
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([TRENZA, "fetch", url("/good")], stdout=full, stderr=subprocess.PIPE,
                              env=ENVIRONMENT, timeout=DEADLINE, text=True)
    assert done.returncode != 0
    contains(done.stderr, "No space left")


if __name__ == "__main__":
    finish(*sys.argv[2:3])
