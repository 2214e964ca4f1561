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
def executor_on_processes():
    """timer_executor on processes"""
    equal(run("timer_executor", "processes"), IN_TURN)
    equal(run("timer_executor", "processes:2,start=spawn"), IN_TURN)


SQUARES = "[1, 4, 9, 16, 25, 36, 49, 64, 81, 100]\n"


@case
def squares():
    """pool_squares, on processes and whatever the word"""
    equal(run("pool_squares"), SQUARES)
    for word in "processes:5,start=spawn", "threads:5", "coroutines", "inline":
        equal(run("pool_squares", word), SQUARES)


@case
def pool_base():
    """pool_base: each number once, and the squares in order"""
    *lines, last = run("pool_base").splitlines()
    equal(sorted(lines), [f"In worker with:  {i}" for i in range(6)])
    equal(last, "[0, 1, 4, 9, 16, 25]")


@case
def workers():
    """process_workers: the letters come after the end of the program, ten of each"""
    printed = run("process_workers", "0.01")
    equal(printed[:9], "Starting\n")
    equal("".join(sorted(printed[9:].replace("Done\n", ""))), "A" * 10 + "B" * 10 + "C" * 10)


@case
def start_methods():
    """process_spawn, and by the other methods: only a fork has what main() has done"""
    for method, seen in ("spawn", "no"), ("forkserver", "no"), ("fork", "yes"):
        printed = run("process_spawn", method, "0.01")
        root = re.match(r"Starting\nRoot application process id: (\d+)\n", printed)[1]
        assert f"main() has run here: {seen}\nparent process: {root}\n" in printed.replace("Done\n", ""), printed
        assert re.search(r"process id: (?!%s\n)\d+\n" % root, printed[printed.index("parent"):]), printed
        equal(printed.count("A"), 10)


@case
def process_object():
    """process_object: a process with a number of its own"""
    main, child = re.fullmatch(r"Main Process PID: (\d+)\nChild Process: (\d+)\n", run("process_object")).groups()
    assert main != child


@case
def pipes():
    """the programs with Pipe and os.pipe"""
    equal(run("pipe_list"), "['Hello world']\n")
    equal(run("pipe_both_ways"), "sent from main process\nsent from child process\n")
    equal(run("pipe_two_workers"), "sent from main process\nTerminó el proceso 1\n"
          "sent from child process Worker 1\nsent from child process Worker 2\n")
    equal(run("pipe_names", "0"), "".join(f"mandando {n}\n{n}\n" for n in ["Carlos", "Renata", "Rebeca", "Sandra"])
          + "mandando END\n")
    equal(run("pipe_hello_world"), "['hello']\n['world']\n")
    equal(run("os_pipe"), "Intentando iniciar el pipe\nPipe: Mi código es MX-317\n")


@case
def queues():
    """the programs with Queue"""
    equal(run("queue_list"), "[42, None, 'hello']\n['bye']\n")
    equal(run("queue_unread"), "10 items remain\n")


@case
def pipe_process():
    """pipe_process: what a worker found comes through a pipe"""
    equal(run("pipe_process", "0.01"), "Main - starting, creating the pipe\nMain - setting up the process\nMain - Starting the process\n"
          "Main - Wait for a response from the child process\nWorker - started now sleeping for 1 second\n"
          "Worker - sending data via Pipe\nWorker - closing worker end of connection\nHello!\n"
          "Main - Closing parent process end of conenction\nMain - Done\n")


@case
def process_global():
    """process_global: the parent's list stays empty, and the results of calls come back"""
    squares = "".join(f"cuadrado: {i * i}\n" for i in range(10))
    equal(run("process_global"), squares + "Resultado del proceso: []\n"
          "Resultado de las llamadas: [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\nFinaliza ejecución\n")


ARRAY_OF_SQUARES = "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]"


@case
def shared_memory():
    """shared_array, shared_value: the parent has what the child wrote"""
    lines = f"[{', '.join(['0'] * 10)}]\nResultado del proceso: {ARRAY_OF_SQUARES}\nResultado fuera del proceso: {ARRAY_OF_SQUARES}\n"
    equal(run("shared_array"), lines + "Finaliza ejecución\n")
    equal(run("shared_value"), lines + "Resultado fuera del proceso: 5.35\nFinaliza ejecución\n")


@case
def deposit():
    """deposit: 19 withdrawals are lost; none with a lock, none with atomic additions"""
    equal(run("deposit", "none", "0"), "219\n")
    equal(run("deposit", "lock", "0"), "200\n")
    equal(run("deposit", "add", "0"), "200\n")


@case
def four_and_five():
    """multiprocessing0: four numbers, and five"""
    for numbers in ["1", "2", "3", "4"], ["1", "2", "3", "4", "5"]:
        printed, time = re.fullmatch(r"(.*)Wall time: (\d+\.\d\d) s\n", run("multiprocessing0", *numbers), re.S).groups()
        equal(printed, f"[{', '.join(str(int(n) ** 2) for n in numbers)}]\n")
        print(f"# {len(numbers)} numbers: {time} s", flush=True)


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
