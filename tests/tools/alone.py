#!/usr/bin/python3
"""alone.py PROGRAM [ARGUMENT]...: runs a program in a world of its own, and sees that it leaves nothing behind.

The world is a namespace of process numbers, where that is allowed, with an empty /dev/shm and an empty directory for
temporary files; else the caller becomes the one to whom orphans fall. When the program has ended, however it did, everything
that it started must end within some seconds by itself, and leave no file. What does not is listed, and the exit status is 1. As a
wrapper of scripts/run-tests, it checks that after each test program.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 10  # seconds that what was left behind has to end
INSIDE = "TRENZA_TEST_ALONE"
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


def can_unshare():
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/dev/shm"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def adopt_orphans():
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def line_of(pid):
    try:
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return f"process {pid} ({state}): {line or pathlib.Path(f'/proc/{pid}/comm').read_text().strip()}"
    except OSError:
        return None


def descendants():
    """Of this process, as /proc knows them."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass
    found, todo = [], [os.getpid()]
    while todo:
        parent = todo.pop()
        children = [pid for pid, of in parents.items() if of == parent]
        found += children
        todo += children
    return found


def reap_all(patience=PATIENCE):
    """Takes in orphans until there are none; answers what has not ended by then, having ended it."""
    end = time.monotonic() + patience
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return []
        if pid == 0 and time.monotonic() > end:
            break
        if pid == 0:
            time.sleep(0.005)
    left = descendants()
    lines = [line for line in map(line_of, left) if line]
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return lines


def files_in(*directories):
    """But for what the thread sanitizer leaves of its own where it is killed while it begins."""
    return [f"file {path}" for directory in directories for path in sorted(pathlib.Path(directory).rglob("*"))
            if not path.name.startswith("tsan.rodata.")]


def start(command, work, **how):
    """The program, whose temporary files go into that directory."""
    return subprocess.Popen(command, env={**os.environ, "TMPDIR": str(work)}, **how)


def run_alone(command, own_shm):
    adopt_orphans()
    with tempfile.TemporaryDirectory() as work:
        child = start(command, work)
        signal.signal(signal.SIGTERM, lambda *_: child.kill())
        status = child.wait()
        left = reap_all() + files_in(work, *(["/dev/shm"] if own_shm else []))
    if left:
        print("Bail out! left behind:", *left, sep="\n#   ", flush=True)
        return 1
    return status if status >= 0 else 128 - status


def go_inside():
    """Begins anew in a world of our own, unless we are in one: whether /dev/shm is ours."""
    inside = os.environ.get(INSIDE)
    if inside is None:
        inside = "1" if can_unshare() else "0"
        os.environ[INSIDE] = inside
        if inside == "1":
            os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, *sys.argv])
    if inside == "1":
        subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"], check=True)
    del os.environ[INSIDE]
    return inside == "1"


if __name__ == "__main__":
    sys.exit(run_alone(sys.argv[1:], go_inside()))
