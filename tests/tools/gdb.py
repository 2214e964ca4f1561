#!/usr/bin/python3
"""Tasks as gdb shows them. gdb.py PROGRAM COMMANDS"""

import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tap import Skip, case, finish  # noqa: E402

PROGRAM, COMMANDS = (str(pathlib.Path(p).resolve()) for p in sys.argv[1:3])
SECONDS = 100
LIVE = ["set disable-randomization off", "break stop_here", "run"]


def gdb(*commands, files=(PROGRAM,), folder=None):
    """What gdb prints after the words BEGIN HERE."""
    if not shutil.which("gdb"):
        raise Skip("no gdb")
    line = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load off", "-ex", f"source {COMMANDS}"]
    for command in commands:
        line += ["-ex", command]
    ran = subprocess.run(line + list(files), capture_output=True, text=True, timeout=SECONDS, cwd=folder, stdin=subprocess.DEVNULL)
    out = ran.stdout + ran.stderr
    if "ptrace: Operation not permitted" in out or "Python scripting is not supported" in out:
        raise Skip("gdb may not trace, or has no Python")
    if "no debugging information of the library" in out:
        raise Skip("the library has no debugging information")
    return out


def rows(out):
    """The list of tasks: for each name its state, where it was spawned, its stack and what it waits in."""
    found = {}
    for line in out.splitlines():
        cells = re.split(r" {2,}", line.strip())
        if len(cells) == 6 and cells[0].isdigit():
            found[cells[2]] = dict(zip(("number", "state", "name", "spawned", "stack", "waits"), cells))
    return found


def check_list(out):
    tasks = rows(out)
    states = {name: task["state"] for name, task in tasks.items()}
    assert states == {"watcher": "running", "sleeper": "waiting", "second": "waiting", "locker": "waiting",
                      "reader": "waiting", "last": "waiting", "yielder": "runnable", "late": "not begun"}, (states, out)
    assert "tz_sleep" in tasks["sleeper"]["waits"] and "from sleeper (" in tasks["sleeper"]["waits"], out
    assert "tz_sleep" in tasks["last"]["waits"], out
    assert "tz_lock_acquire" in tasks["locker"]["waits"] and "from locker" in tasks["locker"]["waits"], out
    assert "tz_queue_get, from take_one (" in tasks["reader"]["waits"], out
    assert "tz_yield, from yielder (" in tasks["yielder"]["waits"], out
    for name in ("sleeper", "second", "locker", "reader", "yielder", "late"):
        assert re.search(r"tasks\.c:\d+$", tasks[name]["spawned"]), out
    assert re.fullmatch(r"\d\.\d of 256 KiB", tasks["reader"]["stack"]), out


def check_backtrace(out):
    """Of the task that recurses: from the library's wait down to where coroutines begin."""
    names = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\w+) \(", out, re.M)
    assert names.count("take_one") == 4, out
    assert "coroutine_main" in names, out
    assert names[-1] == "tz_context_start" or "start" in names, out  # `start`: of contexts by ucontext


@case
def the_list():
    """tz-tasks lists the tasks of a program that has stopped"""
    check_list(gdb(*LIVE, "tz-tasks"))


@case
def backtrace_of_a_task():
    """tz-bt shows where a task waits, by number and by name"""
    by_name = gdb(*LIVE, "tz-bt reader")
    assert "reader, waiting" in by_name, by_name
    check_backtrace(by_name)
    assert "stop_here" not in by_name.split("reader, waiting")[1], by_name
    number = rows(gdb(*LIVE, "tz-tasks"))["reader"]["number"]
    check_backtrace(gdb(*LIVE, f"tz-bt {number}"))


@case
def backtrace_of_all():
    """tz-bt all shows each, also the one that runs"""
    out = gdb(*LIVE, "tz-bt all")
    parts = re.split(r"^Task \d+, ", out, flags=re.M)[1:]
    assert len(parts) >= 8, out
    running = [part for part in parts if part.startswith("watcher, running")]
    assert len(running) == 1 and "stop_here" in running[0], out


@case
def the_program_goes_on():
    """a program that was looked at goes on as if it had not been"""
    out = gdb(*LIVE, "tz-tasks", "tz-bt all", "bt 1", "continue")
    assert "went on" in out and "exited with code 052" in out, out


@case
def mistakes():
    """a task that is not there, and a program without loops"""
    assert "There is no task nobody." in gdb(*LIVE, "tz-bt nobody")
    assert "Which task?" in gdb(*LIVE, "tz-bt")
    assert "No tasks." in gdb("set disable-randomization off", "break main", "run", "tz-tasks")


@case
def a_core_dump():
    """the same of a core dump"""
    with tempfile.TemporaryDirectory() as folder:
        def allow():
            resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        try:
            subprocess.run([PROGRAM], env=dict(os.environ, DUMP="1"), cwd=folder, preexec_fn=allow, timeout=SECONDS,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        except (ValueError, subprocess.SubprocessError) as error:
            raise Skip(f"no core dumps here: {error}")
        cores = list(pathlib.Path(folder).glob("core*"))
        if not cores:
            raise Skip("no core dumps here")
        out = gdb("tz-tasks", "tz-bt reader", files=(PROGRAM, str(cores[0])))
        check_list(out)
        check_backtrace(out)


finish()
