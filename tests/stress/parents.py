#!/usr/bin/python3
"""The application is killed at random, while its workers and their nursery are: nothing of it is left. parents.py STRESS_PROCESSES SECONDS"""

import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
sys.dont_write_bytecode = True

import alone  # noqa: E402
from tap import Skip, case, finish  # noqa: E402

PROGRAM, SECONDS = sys.argv[1], float(sys.argv[2])


def kill_in_the_middle(victim, seed, own_shm):
    """Kills a program of pools after a random time; answers what it leaves behind."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as work:
        child = alone.start([PROGRAM, "30", str(seed), *victim], work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.choice([0.005, 0.02, 0.1, 0.4]) * chance.random())
        child.send_signal(chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        child.wait()
        return alone.reap_all() + alone.files_in(work, *(["/dev/shm"] if own_shm else []))


def storm(*victim):
    end, rounds = time.monotonic() + SECONDS / 3, 0
    while rounds < 3 or time.monotonic() < end:
        rounds += 1
        left = kill_in_the_middle(victim, rounds, OWN_SHM)
        assert not left, (rounds, left)
    print(f"# {rounds} times", flush=True)


@case
def with_workers():
    """the application is killed while its workers are"""
    storm("workers are killed")


@case
def with_nursery():
    """the application is killed while its workers and their nursery are"""
    if not OWN_SHM:
        raise Skip("orphans fall to this program, which would be taken for their nursery")
    storm("workers and their nursery are killed")


@case
def with_pools():
    """the application is killed while pools come and go"""
    storm("pools come and go")


if __name__ == "__main__":
    OWN_SHM = alone.go_inside()
    alone.adopt_orphans()
    print("# in a namespace of processes" if OWN_SHM else "# without a namespace of processes", flush=True)
    finish()
