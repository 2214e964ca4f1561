"""Python's multiprocessing.Pipe, area `shared`: pipes.py WORKLOAD."""

import multiprocessing
import sys

from timing import each

context = multiprocessing.get_context("fork")
SMALL, LARGE, TRIP = 64, 1 << 20, 64


def send_all(connection, data, n):
    for _ in range(n):
        connection.send_bytes(data)


def send_back(connection, n):
    for _ in range(n):
        connection.send_bytes(connection.recv_bytes())


def start(work, *args):
    here, there = context.Pipe()
    child = context.Process(target=work, args=(there, *args))
    child.start()
    there.close()
    return here, child


def receive(size, n):
    here, child = start(send_all, bytes(size), n)
    for _ in range(n):
        here.recv_bytes()
    child.join()


def trips(n):
    here, child = start(send_back, n)
    data = bytes(TRIP)
    for _ in range(n):
        here.send_bytes(data)
        here.recv_bytes()
    child.join()


WORKLOADS = {
    "pipe-64b": lambda: 1e3 / each(lambda n: receive(SMALL, n)),
    "pipe-1m": lambda: LARGE / each(lambda n: receive(LARGE, n)),
    "pipe-trip": lambda: each(trips) * 1e-3,
}

name = sys.argv[1]
print(name, f"{WORKLOADS[name]():.6g}")
