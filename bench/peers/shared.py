"""Python's multiprocessing, area `shared`: shared.py WORKLOAD."""

import multiprocessing
import sys

from timing import each

context = multiprocessing.get_context("fork")
lock = context.Lock()
counter = context.RawValue("l")


def lock_loop(n):
    for _ in range(n):
        with lock:
            counter.value += 1


def by_two(work, n):
    child = context.Process(target=work, args=(n // 2,))
    child.start()
    work(n // 2)
    child.join()


def lock_by_two(n):
    counter.value = 0
    by_two(lock_loop, n)
    if counter.value != n // 2 * 2:
        sys.exit("lost updates")


WORKLOADS = {
    "shared-lock-alone": lambda: each(lock_loop),
    "shared-lock-contended": lambda: each(lock_by_two),
}

name = sys.argv[1]
print(name, f"{WORKLOADS[name]():.6g}")
