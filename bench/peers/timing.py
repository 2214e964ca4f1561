"""What the Python programs of the area `shared` have in common."""

import time


def each(work):
    """Nanoseconds an item, as bench_each of bench.h."""
    n, times = 1000, [0.02, 0.3, 0.3, 0.3]
    for i in range(5):
        start = time.perf_counter()
        work(n)
        took = time.perf_counter() - start
        if i == 4 or i >= 2 and took >= 0.15:
            return took / n * 1e9
        n = int(times[i] / (took / n)) + 1
