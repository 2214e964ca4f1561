"""Python's multiprocessing.Queue and SimpleQueue, area `shared`: messages.py Queue|SimpleQueue WORKLOAD."""

import multiprocessing
import sys
import time

from timing import each

context = multiprocessing.get_context("fork")
SMALL, LARGE, MANY, TRIPS = 64, 1 << 20, 4, 200


def make():
    return context.Queue(1024) if sys.argv[1] == "Queue" else context.SimpleQueue()


def put_all(queue, size, n):
    data = bytes(size)
    for _ in range(n):
        queue.put(data)


def take_all(queue, n):
    for _ in range(n):
        queue.get()


def send_back(there, back, n):
    for _ in range(n):
        back.put(there.get())


def start(work, *args):
    child = context.Process(target=work, args=args)
    child.start()
    return child


def pass_on(processes, size, n):
    queue = make()
    n = n // processes + 1
    children = []
    for _ in range(processes):
        children.append(start(put_all, queue, size, n))
        children.append(start(take_all, queue, n))
    for child in children:
        child.join()


def trips(n):
    there, back, data = make(), make(), bytes(SMALL)
    child = start(send_back, there, back, n)
    for _ in range(n):
        there.put(data)
        back.get()
    child.join()


def trips_parked():
    there, back, data, took = make(), make(), bytes(SMALL), []
    child = start(send_back, there, back, TRIPS)
    for _ in range(TRIPS):
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:
            pass
        begin = time.perf_counter()
        there.put(data)
        back.get()
        took.append(time.perf_counter() - begin)
    child.join()
    return sorted(took)[TRIPS // 2] * 1e6


WORKLOADS = {
    "shared-64b": lambda: 1e3 / each(lambda n: pass_on(1, SMALL, n)),
    "shared-64b-4": lambda: 1e3 / each(lambda n: pass_on(MANY, SMALL, n)),
    "shared-1m": lambda: LARGE / each(lambda n: pass_on(1, LARGE, n)),
    "shared-trip": lambda: each(trips) * 1e-3,
    "shared-trip-parked": trips_parked,
}

if __name__ == "__main__":
    print(sys.argv[2], f"{WORKLOADS[sys.argv[2]]():.6g}")
