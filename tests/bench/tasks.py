# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two services of one worker: one that is polled once a request, one that spawns a task for each besides. What ascope adds to a request - as it comes, with
--polls, with --wakes - beside what dial9's telemetry adds to the same service, built with it.

Server and client share one CPU, with so many requests in flight that it is never idle, or have a CPU each. Windows alternate, and each is compared with those around
it, as in echo.py; dial9 cannot be turned on in a running process, so its windows are those of a second server of the same binary, which waits meanwhile.

A difference of two windows is lost in the noise of a machine that does other things. So each recording has an account, too: what the kernel counts as run time of the
BPF programs and as CPU time of the recorder's threads. It is less than what is added: the caches, and what it takes to get to a program and back, are not in it - a
probe's trap above all; and it has in it what switches and samples of others cost.
"""
import os
import shutil

from harness import BpfStats, Failed, Running, ascope_on, bpf_names, bpf_programs, cpu_ns, family, median, thread_ns

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


class Account:
    """What a recorder itself took, ns a request: the run time of each of its BPF programs, and CPU time of each of its threads. Begins with the threads' clocks read."""

    def __init__(self, recorder):
        self.recorder_pid, self.before = recorder.pid, thread_ns(family(recorder.pid))
        self.programs, self.threads = {}, {}  # name: (ns, runs); name: ns

    def take(self, service, done, n, empty):
        """After `done` requests: n more in a window of their own, for to count the programs' run time takes time, too. The threads' time is that of all: blocks are
        written once in 0.75 s. empty: ns that the kernel counts for a run of a program that does nothing, its own reading of the clock; it is taken off."""
        names = bpf_names(bpf_programs(self.recorder_pid))
        with BpfStats():
            programs = bpf_programs(self.recorder_pid)
            service.window(n)
            programs_after = bpf_programs(self.recorder_pid)
        for i in programs.keys() & programs_after.keys() & names.keys():  # probes may come and go meanwhile
            runs, ns = ((programs_after[i][key] - programs[i][key]) / n for key in ("run_cnt", "run_time_ns"))
            had = self.programs.get(names[i], (0, 0))
            self.programs[names[i]] = (had[0] + ns - runs * empty, had[1] + runs)
        for i, (name, ns) in thread_ns(family(self.recorder_pid)).items():
            self.threads[name] = self.threads.get(name, 0) + (ns - self.before.get(i, (name, 0))[1]) / (done + n)
        self.bpf, self.recorder = sum(ns for ns, _ in self.programs.values()), sum(self.threads.values())


class Service:
    """A server and the client that keeps it busy, on the same CPU unless client_cpu is another."""

    def __init__(self, place, argv, client_cpu):
        self.server = Running(argv, place.cpu)
        try:
            self.client = Running([place.program("echo-client"), self.server.line().split()[1], str(CONNECTIONS)], client_cpu)
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


def measure(place, mode, client_cpu, n, rounds, empty, peer_binary):
    """{recorder: [Window.against(), and "account" (none of the peer's)...]}; without the governor on one CPU only: its probes cost the same on two."""
    result = {name: [] for name, options in OPTIONS.items() if client_cpu == place.cpu or "--max-overhead" not in options}
    with Service(place, [place.program("task-server"), mode], client_cpu) as service:
        service.window(n)
        before = service.window(n)
        for _ in range(rounds):
            for name in result:
                with ascope_on(place, service.server.pid, *OPTIONS[name]) as recorder:
                    service.window(n // 2)  # the governor has looked, sites are learned
                    own = Account(recorder)
                    during = service.window(n, recorder)
                    own.take(service, n, n // 2, empty)
                    recorder.stop()
                after = service.window(n)
                result[name].append({**during.against(before, after), "account": own})
                before = after
    if peer_binary:
        result[PEER] = beside(place, mode, client_cpu, n, rounds, peer_binary)
    return result


def beside(place, mode, client_cpu, n, rounds, binary):
    rows, folder = [], place.file("dial9")
    with Service(place, [binary, mode], client_cpu) as off, Service(place, [binary, mode, folder], client_cpu) as on:
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


def of(rows, key):
    return median([r[key] for r in rows])


def accounted(rows):
    """The part of a request's CPU that the account knows of."""
    return median([r["account"].bpf + r["account"].recorder for r in rows]) / of(rows, "base")


def account(rows):
    """What a table says of the account; nothing where there is none."""
    if "account" not in rows[0]:
        return ""
    bpf, recorder = (median([getattr(r["account"], part) for r in rows]) for part in ("bpf", "recorder"))
    return f"by account {accounted(rows):.2%} (BPF {bpf:.0f} + recorder {recorder:.0f} ns)"


def parts(a):
    """One window's account, part by part."""
    programs = [f"{name} {ns:.0f} in {runs:.3f} runs of {ns / runs:.0f}" for name, (ns, runs) in sorted(a.programs.items(), key=lambda p: -p[1][0]) if ns >= 1]
    return ", ".join(programs + [f"thread {name} {ns:.0f}" for name, ns in sorted(a.threads.items(), key=lambda t: -t[1]) if ns >= 1])


def tell(mode, result, say):
    for name, rows in result.items():
        said = account(rows)
        say(f"{mode:5} {name:34} {of(rows, 'base') / 1000:6.1f} us a request {of(rows, 'added'):+7.0f} ns {of(rows, 'part'):+7.2%}   "
            f"{of(rows, 'base_rate'):6.0f}/s x {of(rows, 'rate'):.3f}   p99 x {of(rows, 'p99'):.3f}   {said}")
        if said:
            say(f"      ns a request: {parts(rows[-1]['account'])}")
