# SPDX-License-Identifier: MIT OR Apache-2.0
"""What ascope's BPF programs cost, by the kernel's own clock (bpf_stats_enabled), and what the verifier said of them."""
import ctypes
import json
import os
import platform
import signal
import struct
import subprocess
import time

from harness import BpfStats, Failed, Running, ascope_on, bpf_names, bpf_programs, median, spread, switches


def info(place, file):
    out = subprocess.run([place.ascope, "info", "--json", file], capture_output=True, text=True, check=False)
    if not out.stdout:
        raise Failed(f"ascope info: {out.stderr.strip()}")
    return json.loads(out.stdout)


def totals(place, file):
    return {row["key"]: row["value"] for row in info(place, file)["totals"]}


class Window:
    """The BPF programs of a recorder over some seconds of a target's life."""

    def __init__(self, target_pid, recorder_pid, seconds):
        first, out, begin = bpf_programs(recorder_pid), switches(target_pid), time.monotonic()
        time.sleep(seconds)
        last, self.seconds = bpf_programs(recorder_pid), time.monotonic() - begin
        self.switches = sum(switches(target_pid)) - sum(out)
        self.names = bpf_names(last)
        self.ns = {i: last[i]["run_time_ns"] - first[i]["run_time_ns"] for i in first}
        self.runs = {i: last[i]["run_cnt"] - first[i]["run_cnt"] for i in first}

    def of(self, name):
        """(ns, runs) of the program of that name."""
        ids = [i for i, n in self.names.items() if n.startswith(name[:15])]
        if not ids:
            raise Failed(f"the recorder holds no BPF program {name}")
        return sum(self.ns[i] for i in ids), sum(self.runs[i] for i in ids)


def load(place, seconds, rounds, options, hz=19_000, every=19):
    """The share of one CPU that all programs take, as if the target were switched out 20,000 times a second: on a busy machine
    some of the pulses come late, so that there are fewer. Every 19th pulse adds a wait inside a poll. What the switches of
    others on this machine cost is measured with the load stopped, and taken off."""
    rows = []
    with Running([place.program("switches"), str(every)], place.cpu) as target:
        port = target.line().split()[1]
        with Running([place.program("switches"), "pulse", port, str(hz)], place.cpu) as pulse, BpfStats():
            for _ in range(rounds):
                for name, option in options.items():
                    with ascope_on(place, target.pid, *option) as recorder:
                        w = Window(target.pid, recorder.pid, seconds)
                        pulse.signal(signal.SIGSTOP)
                        quiet = Window(target.pid, recorder.pid, seconds / 2)
                        pulse.signal(signal.SIGCONT)
                        recorder.stop()
                    rows.append({"of": name, **load_row(w, quiet)})
    return rows


def load_row(w, quiet):
    rate = w.switches / w.seconds
    if rate < 1000:
        raise Failed(f"the load program was switched out {rate:.0f} times a second only")
    programs = {}
    for i in w.ns:
        ns = w.ns[i] - quiet.ns[i] * w.seconds / quiet.seconds
        runs = w.runs[i] - quiet.runs[i] * w.seconds / quiet.seconds
        if runs >= 1:
            programs[w.names[i]] = (ns / w.switches, runs / w.switches)
    total = sum(ns for ns, _ in programs.values())
    runs = sum(runs for _, runs in programs.values())
    return {"rate": rate, "part": total * 20_000 / 1e9, "runs": runs, "programs": programs, "others": sum(quiet.ns.values()) / quiet.seconds / 1e9}


def tell_load(rows, say):
    for name in dict.fromkeys(r["of"] for r in rows):
        mine = [r for r in rows if r["of"] == name]
        parts = [r["part"] for r in mine]
        say(f"{name:20} {median(parts):.2%} ±{spread(parts):.2%} of one CPU; {median([r['rate'] for r in mine]):.0f} switches/s")
        for program, (ns, runs) in sorted(mine[-1]["programs"].items(), key=lambda kv: -kv[1][0]):
            if ns >= 1:
                say(f"    {program:16} {ns:6.0f} ns a switch, in {runs:.2f} runs of {ns / runs:.0f} ns")
        say(f"    taken off for the switches of others: {median([r['others'] for r in mine]):.2%} of one CPU")


def null_run(place, seconds=2):
    """ns of a run of the sched_switch program for a switch that concerns no target."""
    with Running([place.program("depth"), "1"], place.cpu, polite=True) as other, Running(["sleep", "1000"]) as target, BpfStats():
        with ascope_on(place, target.pid) as recorder:
            w = Window(other.pid, recorder.pid, seconds)
            recorder.stop()
    ns, runs = w.of("on_sched_switch")
    return ns / runs


def empty_run(place, seconds=2):
    """ns that the kernel counts for a run of a program that does nothing: its own reading of the clock, which is in every figure."""
    load, attach, raw_tracepoint = 5, 17, 17  # BPF_PROG_LOAD, BPF_RAW_TRACEPOINT_OPEN, BPF_PROG_TYPE_RAW_TRACEPOINT: linux/bpf.h
    libc = ctypes.CDLL(None, use_errno=True)

    def bpf(command, attributes):
        buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
        number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
        fd = libc.syscall(number, command, buffer, 128)
        if fd < 0:
            raise Failed(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
        return fd

    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0))  # r0 = 0; exit
    name, licence = ctypes.create_string_buffer(b"sched_switch"), ctypes.create_string_buffer(b"GPL")
    at = ctypes.addressof
    program = bpf(load, struct.pack("<IIQQ", raw_tracepoint, 2, at(code), at(licence)))
    hook = bpf(attach, struct.pack("<QI", at(name), program))
    try:
        with Running([place.program("depth"), "1"], place.cpu, polite=True), BpfStats():
            time.sleep(seconds)
            row = max(bpf_programs(os.getpid()).values(), key=lambda r: r["run_cnt"])
    finally:
        os.close(hook)
        os.close(program)
    return row["run_time_ns"] / max(1, row["run_cnt"])


def walk(place, seconds, rounds, depths=(5, 60)):
    """[ns per frame], one a round: what a switch-out of a thread that waits 55 frames deeper costs more, by 55; and the frames
    that the recorder says it walked at a switch-out, by depth."""
    ns_a_switch, frames = {d: [] for d in depths}, {}
    for _ in range(rounds):
        for d in depths:
            with Running([place.program("depth"), str(d)], place.cpu, polite=True) as target, BpfStats():
                with ascope_on(place, target.pid, "--stacks", "all", "--freq", "0") as recorder:
                    w = Window(target.pid, recorder.pid, seconds)
                    recorder.stop()
                    t = totals(place, recorder.file)
            ns_a_switch[d].append(w.of("on_sched_switch")[0] / w.switches)
            if t.get("walks.frames"):
                frames[d] = t["walks.frames"] / max(1, t["sent.switch_out"])
    low, high = depths
    extra = high - low
    if not frames or abs(frames[high] - frames[low] - extra) > 0.1 * extra:
        raise Failed(f"frames walked at a switch-out: {frames}; a walk {extra} frames longer was to be seen")
    return [(b - a) / extra for a, b in zip(ns_a_switch[low], ns_a_switch[high])], ns_a_switch, frames


def verifier(place):
    """{program: instructions the verifier looked at} on this kernel."""
    with Running([place.program("depth"), "1"], place.cpu) as target, ascope_on(place, target.pid) as recorder:
        programs = bpf_programs(recorder.pid)
        names = bpf_names(programs)
        recorder.stop()
    return {names[i]: programs[i]["verified_insns"] for i in programs}
