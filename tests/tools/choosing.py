#!/usr/bin/python3
"""Tests of examples/choosing.c, the program of docs/choosing.md. choosing.py PROGRAM"""

import re
import subprocess
import sys

from tap import case, finish

PROGRAM = sys.argv[1]
DEADLINE = 200
TASKS = ["primes", "mandelbrot", "median", "ask_server", "run_program", "wait_turn"]


@case
def table():
    """runs its six tasks on each executor and prints their ratios"""
    done = subprocess.run([PROGRAM], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done
    rows = [re.fullmatch(r"(\w+) +(\d+) % +([\d.]+)x +([\d.]+)x +([\d.]+)x", line)
            for line in done.stdout.splitlines()[3:]]
    assert all(rows), done.stdout
    assert [row[1] for row in rows] == TASKS, done.stdout
    # No time is asserted, but whoever waits leaves the processor alone, whatever the machine does.
    computes = {row[1]: int(row[2]) for row in rows}
    for waiting in TASKS[3:]:
        assert computes[waiting] < min(computes[task] for task in TASKS[:3]), done.stdout


if __name__ == "__main__":
    finish(*sys.argv[2:3])
