"""The Python contender: concurrent.futures, threading and queue of the standard library.

`python.py WORKLOAD` prints one line. fib by nested submit is not there: a pool of as many threads as
there are cores waits for itself and never ends. The sizes of bench.h, where Python can bear them.
"""

import resource
import statistics
import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

WINDOW = 1024
QUEUE = 1024
PARKED_TRIPS = 100


def each(work):
    """Nanoseconds an item; see bench_each in bench.h."""
    n = 100
    for seconds in 0.02, 0.3, None:
        start = time.perf_counter()
        work(n)
        took = (time.perf_counter() - start) / n
        if seconds:
            n = max(2, int(seconds / took))
    return took * 1e9


def nop():
    pass


def square(x):
    return x * x


def submit_window(pool, n):
    window = deque()
    for _ in range(n):
        if len(window) == WINDOW:
            window.popleft().result()
        window.append(pool.submit(nop))
    for future in window:
        future.result()


def submit_outside():
    with ThreadPoolExecutor(1) as pool:
        return each(lambda n: submit_window(pool, n))


def submit_bulk():
    with ThreadPoolExecutor(1) as pool:
        return each(lambda n: deque(pool.map(square, range(n)), maxlen=0))


def map_10k():
    xs = [float(i % 1000) for i in range(10000)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(square, xs[:1000]))
        start = time.perf_counter()
        assert list(pool.map(square, xs))[999] == 999.0 * 999.0
        return (time.perf_counter() - start) * 1e6


def round_trip_steady():
    with ThreadPoolExecutor(1) as pool:
        return each(lambda n: [pool.submit(nop).result() for _ in range(n)])


def round_trip_parked():
    took = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(nop).result()
        for _ in range(PARKED_TRIPS):
            end = time.perf_counter() + 1e-3
            while time.perf_counter() < end:
                pass
            start = time.perf_counter()
            pool.submit(nop).result()
            took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e9


def by_two(loop, n):
    other = threading.Thread(target=loop, args=(1, n))
    other.start()
    loop(0, n)
    other.join()


def lock_alone():
    lock = threading.Lock()

    def loop(n):
        for _ in range(n):
            with lock:
                pass

    return each(loop)


def lock_contended():
    lock = threading.Lock()

    def loop(_, n):
        for _ in range(n):
            with lock:
                pass

    return each(lambda n: by_two(loop, n // 2))


def condition_handover():
    changed = threading.Condition()
    turn = 0

    def loop(mine, n):
        nonlocal turn
        for _ in range(n):
            with changed:
                changed.wait_for(lambda: turn == mine)
                turn = 1 - mine
                changed.notify()

    return each(lambda n: by_two(loop, n // 2))


def barrier_handover():
    barrier = threading.Barrier(2)

    def loop(_, n):
        for _ in range(n):
            barrier.wait()

    return each(lambda n: by_two(loop, n))


def queue_64b():
    queue = Queue(QUEUE)
    message = bytes(64)

    def loop(mine, n):
        for _ in range(n):
            if mine:
                queue.put(message)
            else:
                queue.get()

    return 1e3 / each(lambda n: by_two(loop, n))


def cpu():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


def idle_cpu():
    with ThreadPoolExecutor(2) as pool:
        submit_window(pool, 10000)
        before = cpu()
        time.sleep(2)
        return (cpu() - before) * 1e3


WORKLOADS = {
    "submit-outside": submit_outside,
    "submit-bulk": submit_bulk,
    "map-10k": map_10k,
    "round-trip-steady": round_trip_steady,
    "round-trip-parked": round_trip_parked,
    "lock-alone": lock_alone,
    "lock-contended": lock_contended,
    "condition-handover": condition_handover,
    "barrier-handover": barrier_handover,
    "queue-64b": queue_64b,
    "idle-cpu": idle_cpu,
}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in WORKLOADS:
        sys.exit("usage: python.py " + "|".join(WORKLOADS))
    print(sys.argv[1], "%.6g" % WORKLOADS[sys.argv[1]]())
