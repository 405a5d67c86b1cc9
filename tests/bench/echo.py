# SPDX-License-Identifier: MIT OR Apache-2.0
"""The echo server: what a recorder adds to the CPU time of a request, and what it writes per request.

Server and client share one CPU. With one request in flight each request switches the server out once and in once, and there
is little else to a request: no load is worse for a tracer of switches. Rounds go through all recorders in turn and every
recorded window is compared with the unrecorded windows around it, so that a drift of the machine's speed cancels out.
"""
import re

from harness import BpfStats, Failed, Running, ascope_on, bpf_programs, busy_ns, cpu_ns, family, median, perf_on, spread, switches

RECORDERS = {
    "ascope": lambda place, pid: ascope_on(place, pid),
    "ascope --stacks=all": lambda place, pid: ascope_on(place, pid, "--stacks", "all"),
    "perf dwarf": lambda place, pid: perf_on(place, pid, "--call-graph", "dwarf"),
    "perf -g": lambda place, pid: perf_on(place, pid, "-g"),
}


class Window:
    """What n requests took."""

    def __init__(self, server, client, recorder, n):
        watched = {server.pid, client.pid}
        others = family(recorder.pid) if recorder else set()
        before, recorder_before, busy = cpu_ns(watched), cpu_ns(others), busy_ns()
        out = sum(switches(server.pid))
        client.tell(str(n))
        if client.line().split()[0] != "done":
            raise Failed("echo-client did not finish a burst")
        self.programs_ns = (cpu_ns(watched) - before) / n  # with what their switches cost them
        self.recorder_ns = (cpu_ns(others) - recorder_before) / n
        self.machine_ns = (busy_ns() - busy) / n
        self.switches = (sum(switches(server.pid)) - out) / n

    def total(self):
        return self.programs_ns + self.recorder_ns


def kept(recorder, switches_out):
    """The part of the switches that perf had room for; 1 for ascope, which would have said so. What is dropped costs less."""
    samples = re.search(r"\((\d+) samples\)", recorder.said())
    return min(1.0, int(samples[1]) / switches_out) if samples else 1.0


def measure(place, connections, n, rounds, recorders, client_cpu=None):
    """{recorder: {"added": [...ns], "part": [...], "bytes": [...]}, "base": [...ns], "switches": [...]}"""
    result = {name: {"added": [], "in_programs": [], "by_recorder": [], "part": [], "machine": [], "bytes": [], "kept": []}
              for name in recorders}
    result.update(base=[], switches=[])
    with Running([place.program("echo-server")], place.cpu) as server:
        port = server.line().split()[1]
        with Running([place.program("echo-client"), port, str(connections)], place.cpu if client_cpu is None else client_cpu) as client:
            client.line()
            Window(server, client, None, n)  # warms up
            before = Window(server, client, None, n)
            for _ in range(rounds):
                for name in recorders:
                    with RECORDERS[name](place, server.pid) as recorder:
                        during = Window(server, client, recorder, n)
                        size = recorder.stop()
                        had_room = kept(recorder, during.switches * n)
                    after = Window(server, client, None, n)
                    base = (before.total() + after.total()) / 2
                    row = result[name]
                    row["added"].append(during.total() - base)
                    row["in_programs"].append(during.programs_ns - base)
                    row["by_recorder"].append(during.recorder_ns)
                    row["part"].append((during.total() - base) / base)
                    row["machine"].append(during.machine_ns - (before.machine_ns + after.machine_ns) / 2)
                    row["bytes"].append(size / n)
                    row["kept"].append(had_room)
                    result["base"].append(base)
                    result["switches"].append(during.switches)
                    before = after
    return result


def bpf_ns(recorder):
    return sum(program["run_time_ns"] for program in bpf_programs(recorder.pid).values())


def account(place, connections, n, rounds, client_cpu):
    """([ns a request takes], [ns a request that are known to be the recorder's: its own CPU time and its BPF programs' run time])

    Less than it adds, for it leaves out what a program's start and a timer's interrupt cost, and the caches; but each part of it is
    read from a clock, so that it holds where the difference of two runs is lost in the noise. On a machine that others use
    it holds what their switches cost, too."""
    base, ours = [], []
    with Running([place.program("echo-server")], place.cpu) as server:
        port = server.line().split()[1]
        with Running([place.program("echo-client"), port, str(connections)], client_cpu) as client, BpfStats():
            client.line()
            for _ in range(rounds):
                base.append(Window(server, client, None, n).total())
                with ascope_on(place, server.pid) as recorder:
                    before = bpf_ns(recorder)
                    w = Window(server, client, recorder, n)
                    programs = bpf_ns(recorder) - before
                    recorder.stop()
                ours.append(w.recorder_ns + programs / n)
    return base, ours


def tell(result, say):
    say(f"base {median(result['base']) / 1000:.2f} us CPU a request (server and client), ±{spread(result['base']) / 1000:.2f}; "
        f"{median(result['switches']):.3f} switches of the server a request")
    for name, row in result.items():
        if not isinstance(row, dict):
            continue
        say(f"{name:20} +{median(row['added']) / 1000:6.2f} us ±{spread(row['added']) / 1000:.2f} = {median(row['part']):+7.1%} "
            f"(in the programs {median(row['in_programs']) / 1000:+.2f}, by the recorder {median(row['by_recorder']) / 1000:.2f}; "
            f"whole machine {median(row['machine']) / 1000:+.2f}), {median(row['bytes']):.1f} bytes"
            + (f"; lost {1 - median(row['kept']):.0%} of the switches" if median(row['kept']) < 0.99 else ""))
