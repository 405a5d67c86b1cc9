# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two services of one worker: one that is polled once a request, one that spawns a task for each besides. What ascope adds to a request - as it comes, with
--polls, with --wakes - beside what dial9's telemetry adds to the same service, built with it.

Server and client share one CPU, with so many requests in flight that it is never idle. Windows alternate, and each is compared with those around it, as in echo.py;
dial9 cannot be turned on in a running process, so its windows are those of a second server of the same binary, which waits meanwhile.
"""
import os
import shutil

from echo import Failed
from harness import Running, ascope_on, cpu_ns, family, median

CONNECTIONS = 16
OPTIONS = {
    "ascope --tasks=off": ("--tasks", "off"),
    "ascope": (),
    "ascope --max-overhead=100": ("--max-overhead", "100"),
    "ascope --polls": ("--polls",),
    "ascope --polls --max-overhead=100": ("--polls", "--max-overhead", "100"),
    "ascope --wakes": ("--wakes",),
    "ascope --wakes --max-overhead=100": ("--wakes", "--max-overhead", "100"),
}
PEER = "dial9"


class Window:
    """What n requests took."""

    def __init__(self, server, client, n, recorder=None):
        watched = {server.pid, client.pid}
        others = family(recorder.pid) if recorder else set()
        before, other = cpu_ns(watched), cpu_ns(others)
        client.tell(str(n))
        word, *figures = client.line().split()
        if word != "done":
            raise Failed("echo-client did not finish a burst")
        wall, self.p50, self.p99 = map(int, figures)
        self.rate = n / wall * 1e9
        self.ns = (cpu_ns(watched) - before + cpu_ns(others) - other) / n

    def against(self, before, after):
        base = (before.ns + after.ns) / 2
        return {"added": self.ns - base, "part": (self.ns - base) / base, "rate": self.rate / ((before.rate + after.rate) / 2),
                "p99": self.p99 / ((before.p99 + after.p99) / 2), "base": base, "base_rate": (before.rate + after.rate) / 2}


class Service:
    """A server and the client that keeps it busy."""

    def __init__(self, place, argv):
        self.server = Running(argv, place.cpu)
        try:
            self.client = Running([place.program("echo-client"), self.server.line().split()[1], str(CONNECTIONS)], place.cpu)
            self.client.line()
        except BaseException:
            self.server.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        self.server.__exit__()

    def window(self, n, recorder=None):
        return Window(self.server, self.client, n, recorder)


def measure(place, mode, n, rounds, peer_binary):
    """{recorder: [Window.against()...]}"""
    result = {name: [] for name in OPTIONS}
    with Service(place, [place.program("task-server"), mode]) as service:
        service.window(n)
        before = service.window(n)
        for _ in range(rounds):
            for name, options in OPTIONS.items():
                with ascope_on(place, service.server.pid, *options) as recorder:
                    service.window(n // 2)  # the governor has looked, sites are learned
                    during = service.window(n, recorder)
                    recorder.stop()
                after = service.window(n)
                result[name].append(during.against(before, after))
                before = after
    if peer_binary:
        result[PEER] = beside(place, mode, n, rounds, peer_binary)
    return result


def beside(place, mode, n, rounds, binary):
    rows, folder = [], place.file("dial9")
    with Service(place, [binary, mode]) as off, Service(place, [binary, mode, folder]) as on:
        off.window(n)
        on.window(n)
        before = off.window(n)
        for _ in range(rounds):
            during = on.window(n)
            after = off.window(n)
            rows.append(during.against(before, after))
            before = after
    if not any(files for _, _, files in os.walk(folder)):
        raise Failed("dial9 wrote no trace")
    shutil.rmtree(folder, ignore_errors=True)
    return rows


def tell(mode, result, say):
    for name, rows in result.items():
        say(f"{mode:5} {name:34} {median([r['base'] for r in rows]) / 1000:6.1f} us a request {median([r['added'] for r in rows]):+7.0f} ns {median([r['part'] for r in rows]):+7.2%}   "
            f"{median([r['base_rate'] for r in rows]):6.0f}/s x {median([r['rate'] for r in rows]):.3f}   p99 x {median([r['p99'] for r in rows]):.3f}")
