#!/usr/bin/python3
"""Tests of the programs of examples/ that are twins of programs of the text. twins.py DIRECTORY [TRENZA]"""

import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
sys.dont_write_bytecode = True

from tap import Skip, case, finish  # noqa: E402

DIRECTORY = pathlib.Path(sys.argv[1])
TRENZA = sys.argv[2] if len(sys.argv) > 2 else ""
DEADLINE = 100
PAGES = 16
ENVIRONMENT = {**os.environ, "no_proxy": "127.0.0.1"}


def run(name, *arguments, status=0):
    done = subprocess.run([DIRECTORY / name, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          env=ENVIRONMENT, timeout=DEADLINE, text=True)
    assert done.returncode == status, done
    assert (done.stderr == "") == (status == 0), done
    return done.stdout


def equal(have, want):
    assert have == want, f"{have!r} is not {want!r}"


IN_TURN = "a 0\na 1\nb 0\nb 1\na 2\nb 2\n"


@case
def executor():
    """timer_executor on threads"""
    equal(run("timer_executor"), IN_TURN)
    equal(run("timer_executor", "threads:2"), IN_TURN)


@case
def one_worker():
    """timer_executor on one worker, which waits for a turn that only another call can give it"""
    equal(run("timer_executor", "threads:1"), IN_TURN)


@case
def chaos():
    """timer_executor in chaos"""
    equal(run("timer_executor", "chaos:seed=3"), IN_TURN)


@case
def in_line():
    """timer_executor in line"""
    equal(run("timer_executor", "inline"), "a 0\na 1\na 2\nb 0\nb 1\nb 2\n")


@case
def no_executor():
    """timer_executor with a word that is no executor"""
    equal(run("timer_executor", "nowhere", status=1), "")


@case
def threads():
    """timer_threads"""
    equal(run("timer_threads"), IN_TURN)


@case
def objects():
    """timer_class"""
    equal(run("timer_class"), IN_TURN)


SERIAL = "Hello\nAsyncIO\n" * 3
TOGETHER = "Hello\n" * 3 + "World\n" * 3


@case
def virtual_time():
    """first_async and the hellos: order, and exact times in virtual time"""
    equal(run("first_async", "sim"), "Hello\nWorld\nVirtual time: 2 s\n")
    equal(run("hello", "sim"), SERIAL + "Virtual time: 6 s\n")
    equal(run("hello_async0", "sim"), TOGETHER + "Virtual time: 2 s\n")
    equal(run("hello_async1", "sim"), TOGETHER + "Virtual time: 2 s\n")


@case
def real_time():
    """first_async and the hellos: order, by the real clock"""
    wanted = {
        ("first_async",): "Hello\nWorld\n",
        ("hello",): SERIAL,
        ("hello_async0",): TOGETHER,
        ("hello_async1",): TOGETHER,
        ("hello_word", "inline"): SERIAL,
        ("hello_word", "coroutines"): "Hello\n" * 3 + "AsyncIO\n" * 3,
    }
    # All at the same time: they only sleep.
    running = {c: subprocess.Popen([DIRECTORY / c[0], *c[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True) for c in wanted}
    try:
        for command, child in running.items():
            out, err = child.communicate(timeout=DEADLINE)
            printed, time = re.fullmatch(r"(.*)Wall time: (\d+\.\d\d) s\n", out, re.S).groups()
            equal((printed, err, child.returncode), (wanted[command], "", 0))
            print(f"# {' '.join(command)}: {time} s", flush=True)
    finally:
        for child in running.values():
            child.kill()


@case
def no_word():
    """hello_word with a word that is no executor"""
    equal(run("hello_word", "nowhere", status=1), "")


@case
def cpu_count():
    """cpu_count"""
    equal(run("cpu_count"), f"{os.cpu_count()}\n")


def site(delay):
    if not TRENZA or not (DIRECTORY / "extract_headers").exists():
        raise Skip("built without libcurl, libxml2 or libmicrohttpd")
    server = subprocess.Popen([TRENZA, "demo", "--serve", "--delay", delay], stdout=subprocess.PIPE, text=True)
    return server, [server.stdout.readline().strip() for _ in range(PAGES)]


@case
def headers():
    """extract_headers: 168 headings, one page after the other and on sixteen threads"""
    server, urls = site("0.02")
    try:
        printed = run("extract_headers", *urls)
    finally:
        server.kill()
        server.communicate(timeout=DEADLINE)
    lines = "".join(f"{url} took N seconds\n" for url in urls)
    equal(re.sub(r"took \d+\.\d\d seconds", "took N seconds", printed),
          f"batch_extract_headers\n{lines}168\n\nconcurrent_extract_headers\n{lines}168\n")


@case
def page_that_is_not_there():
    """extract_headers: a page that is not there"""
    server, urls = site("0")
    try:
        printed = run("extract_headers", urls[0], urls[0] + "nothing", status=1)
    finally:
        server.kill()
        server.communicate(timeout=DEADLINE)
    equal(printed.splitlines()[0], "batch_extract_headers")
    assert "168" not in printed and urls[0] in printed, printed


if __name__ == "__main__":
    finish()
