"""The asyncio and uvloop contenders: `python_async.py asyncio|uvloop WORKLOAD` prints one line, or three.

The sizes of bench.h, where Python can bear them.
"""

import asyncio
import resource
import statistics
import sys
import time

TIMERS = 100000
TIMERS_A_TURN = 1000
SLEEPS = 200
SLEEP_100K = 2


async def each(work, n=100):
    """Nanoseconds an item, the first time with n of them; see bench_each in bench.h."""
    for seconds in 0.02, 0.3, None:
        start = time.perf_counter()
        await work(n)
        took = (time.perf_counter() - start) / n
        if seconds:
            n = max(2, int(seconds / took))
    return took * 1e9


async def empty():
    pass


async def yields(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def yields_among(among):
    async def work(n):
        await asyncio.gather(*(yields(n // among) for _ in range(among)))

    return await each(work, 10 * among)


async def spawn_join():
    async def work(n):
        for _ in range(n):
            await asyncio.create_task(empty())

    return await each(work)


async def spawn_yield_join():
    async def work(n):
        for _ in range(n):
            await asyncio.create_task(asyncio.sleep(0))

    return await each(work)


async def channel_hop():
    async def answer(there, back, n):
        for _ in range(n // 2):
            await back.put(await there.get())

    async def ask(there, back, n):
        for i in range(n // 2):
            await there.put(i)
            assert await back.get() == i

    async def work(n):
        there, back = asyncio.Queue(1), asyncio.Queue(1)
        await asyncio.gather(answer(there, back, n), ask(there, back, n))

    return await each(work)


def timer_delay(n):
    return (10000 + (n * 2654435761 % 2**32 >> 8) % 60000) / 1000


def timer_fired():
    sys.exit("a timer fired")


async def timer_rearm():
    loop = asyncio.get_running_loop()
    timers = [None] * TIMERS
    for i in range(TIMERS):
        timers[i * 7919 % TIMERS] = loop.call_later(timer_delay(i), timer_fired)
    done = TIMERS

    async def work(n):
        nonlocal done
        for _ in range(n):
            index = done * 7919 % TIMERS
            timers[index].cancel()
            timers[index] = loop.call_later(timer_delay(done), timer_fired)
            done += 1
            if done % TIMERS_A_TURN == 0:
                await asyncio.sleep(0)

    value = await each(work)
    for timer in timers:
        timer.cancel()
    return value


async def timer_late():
    late = []
    for i in range(SLEEPS):
        start = time.perf_counter()
        end = start + i * 617 % 1000 * 1e-6
        while start < end:
            start = time.perf_counter()
        await asyncio.sleep(1e-3)
        late.append(time.perf_counter() - start - 1e-3)
    return statistics.median(late) * 1e6


def resident():
    with open("/proc/self/status", encoding="ascii") as status:
        return sum(int(line.split()[1]) * 1024 for line in status if line.startswith(("VmRSS:", "VmPTE:")))


def cpu():
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


async def sleepers(tasks, seconds):
    """See bench_sleepers in bench.h."""
    asleep = occupied = 0

    async def sleeper():
        nonlocal asleep, occupied
        asleep += 1
        if asleep == tasks:
            occupied = resident()
        await asyncio.sleep(seconds)
        if not occupied:
            sys.exit("they do not all sleep at the same time")

    memory, used, start = resident(), cpu(), time.perf_counter()
    await asyncio.gather(*(sleeper() for _ in range(tasks)))
    took = time.perf_counter() - start - seconds
    print("cpu %.6g" % ((cpu() - used) * 1e3))
    print("memory %.6g" % ((occupied - memory) / tasks))
    return took * 1e3


WORKLOADS = {
    "yield-2": lambda: yields_among(2),
    "yield-1000": lambda: yields_among(1000),
    "spawn-join": spawn_join,
    "spawn-yield-join": spawn_yield_join,
    "channel-hop": channel_hop,
    "timer-rearm": timer_rearm,
    "timer-late": timer_late,
    "sleepers-100k": lambda: sleepers(100000, SLEEP_100K),
}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("asyncio", "uvloop") or sys.argv[2] not in WORKLOADS:
        sys.exit("usage: python_async.py asyncio|uvloop " + "|".join(WORKLOADS))
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    print(sys.argv[2], "%.6g" % asyncio.run(WORKLOADS[sys.argv[2]]()))
