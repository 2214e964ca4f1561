"""Python's pools of processes: multiprocessing by its three ways to start a process, concurrent.futures, loky, mpi4py.

`processes.py fork|forkserver|spawn|executor|loky|mpi WORKLOAD` prints the value on its last line. The sizes of bench_processes.h, where
Python can bear them. loky is the one inside joblib. mpi runs under `mpirun -n 3 python3 -m mpi4py.futures`.
"""

import multiprocessing
import os
import resource
import signal
import statistics
import sys
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait

STARTS = 300
WINDOW = 1024
MAP = 20000  # of 100,000: at a hundred microseconds a task, all of them would take too long
TRIPS = 100
CRASHES = 10
BYTES = 100_000_000
BYTES_RUNS = 3


def nop(_=None):
    pass


def echo(data):
    return data


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def let_park():
    end = time.perf_counter() + 1e-3
    while time.perf_counter() < end:
        pass


def group_cpu():
    """CPU seconds of the control group that bench/run has put this program into, or None."""
    path = os.environ.get("BENCH_CPU")
    if not path:
        return None
    with open(path, encoding="ascii") as file:
        words = file.read().split()
    return int(words[words.index("usage_usec") + 1]) / 1e6 if "usage_usec" in words else int(words[0]) / 1e9


def starts(once):
    once()
    took, cpu, end = [], group_cpu(), time.perf_counter() + 0.5
    while len(took) < 3 or len(took) < STARTS and time.perf_counter() < end:
        start = time.perf_counter()
        once()
        took.append(time.perf_counter() - start)
    if cpu is not None:
        print("cpu", (group_cpu() - cpu) * 1e6 / len(took))
    return statistics.median(took) * 1e6


class Pool:
    """multiprocessing.Pool."""

    def __init__(self, how, workers=2):
        self.context = multiprocessing.get_context(how)
        self.pool = self.context.Pool(workers)

    def trip(self):
        self.pool.apply(nop)

    def map(self, n, chunk):
        self.pool.map(nop, range(n), chunk)

    def echo(self, data):
        return self.pool.apply(echo, (data,))

    def close(self):
        self.pool.close()
        self.pool.join()


class Executor:
    """concurrent.futures, and what has its face."""

    def __init__(self, make, workers=2):
        self.executor = make(workers)
        self.workers = workers

    def trip(self):
        self.executor.submit(nop).result()

    def map(self, n, chunk):
        chunk = chunk or -(-n // (4 * self.workers))
        for _ in self.executor.map(nop, range(n), chunksize=chunk):
            pass

    def echo(self, data):
        return self.executor.submit(echo, data).result()

    def close(self):
        self.executor.shutdown()


def loky_executor(workers):
    from joblib.externals.loky import ProcessPoolExecutor as Loky

    return Loky(workers)


def mpi_executor(workers):
    from mpi4py.futures import MPIPoolExecutor

    return MPIPoolExecutor(workers)


EXECUTORS = {"executor": ProcessPoolExecutor, "loky": loky_executor, "mpi": mpi_executor}


def open_pool(name):
    pool = Executor(EXECUTORS[name]) if name in EXECUTORS else Pool(name)
    pool.map(2, 1)
    return pool


def with_pool(name, work):
    pool = open_pool(name)
    try:
        return work(pool)
    finally:
        pool.close()


def process_start(name):
    context = multiprocessing.get_context(name)

    def once():
        child = context.Process(target=nop)
        child.start()
        child.join()
        assert child.exitcode == 0

    return starts(once)


def process_start_1g(name):
    memory = bytearray(1 << 30)
    for i in range(0, 1 << 30, 4096):
        memory[i] = 1
    return process_start(name)


def pool_ready(name):
    return starts(lambda: open_pool(name).close())


def trip_spin(name):
    def work(pool):
        n, end = 0, time.perf_counter() + 0.5
        start = time.perf_counter()
        while time.perf_counter() < end:
            pool.trip()
            n += 1
        return (time.perf_counter() - start) / n * 1e9

    return with_pool(name, work)


def trip_parked(name):
    def work(pool):
        took = []
        for _ in range(TRIPS):
            let_park()
            start = time.perf_counter()
            pool.trip()
            took.append(time.perf_counter() - start)
        return statistics.median(took) * 1e9

    return with_pool(name, work)


def mapped(name, chunk):
    def work(pool):
        pool.map(200, chunk)
        start = time.perf_counter()
        pool.map(MAP, chunk)
        return (time.perf_counter() - start) / MAP * 1e9

    return with_pool(name, work)


def carried(name, fresh):
    def work(pool):
        data, took = bytes(BYTES), []
        for _ in range(BYTES_RUNS):
            start = time.perf_counter()
            assert len(pool.echo(data)) == BYTES
            took.append((time.perf_counter() - start) * 1e3)
        return took[0] if fresh else statistics.median(took[1:])

    return with_pool(name, work)


def crashed(name):
    """The pool is broken by it, so each crash takes a new one."""
    took = []
    for _ in range(CRASHES):
        executor = EXECUTORS[name](2)
        executor.submit(nop).result()
        start = time.perf_counter()
        future = executor.submit(crash)
        wait([future], return_when=FIRST_COMPLETED)
        took.append(time.perf_counter() - start)
        assert future.exception() is not None
        executor.shutdown()
    return statistics.median(took) * 1e6


def submitted(name):
    """As submit_window in bench.h."""

    def work(pool):
        window, start = deque(), time.perf_counter()
        for _ in range(MAP // 4):
            if len(window) == WINDOW:
                window.popleft().result()
            window.append(pool.executor.submit(nop))
        for future in window:
            future.result()
        return (time.perf_counter() - start) / (MAP // 4) * 1e9

    return with_pool(name, work)


WORKLOADS = {
    "process-start": process_start,
    "process-start-1g": process_start_1g,
    "pool-ready": pool_ready,
    "process-trip-spin": trip_spin,
    "process-trip-parked": trip_parked,
    "process-map-1": lambda name: mapped(name, 1),
    "process-map-auto": lambda name: mapped(name, None),
    "process-submit": submitted,
    "bytes-fresh": lambda name: carried(name, True),
    "bytes-recycled": lambda name: carried(name, False),
    "crash": crashed,
}

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(sys.argv[2], WORKLOADS[sys.argv[2]](sys.argv[1]))
