#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures what ascope costs and prints it beside the bars that it has set itself. Started by run.sh; doc/bench.md says how each is measured.

    bench.py --ascope FILE --programs DIR [--table-build FILE] [--codec FILE] [--long-capture FILE] [--bare-insert FILE] [--sym-bench FILE] [--dial9 FILE]
             [--fixtures DIR] [--rounds N] [--json] [NAME...]

Prints figures, never a verdict: the exit status is 0 whatever they are, and 1 when a measurement could not be made (which, and
why, is said). 2: usage.
"""
import argparse
import glob
import json
import os
import platform
import subprocess
import sys
import time

import echo
import export
import kernel
import load
import reading
import size
import stacks
import storm
import symbolize
import tasks
from harness import Failed, Place, median, spread


class Row:
    """One figure of the table. `met`: yes, no, unclear (the bar lies within the spread, or there is a doubt); None where there is no bar."""

    def __init__(self, what, figure, unit, noise=None, bar=None, beside="", doubt=""):
        self.what, self.figure, self.unit, self.noise, self.bar, self.beside = what, figure, unit, noise, bar, beside
        self.met = None if bar is None else "yes" if figure <= bar else "no"
        if self.met and (doubt or noise and abs(figure - bar) < noise):
            self.met = "unclear"
        self.beside += f"; {doubt}" if doubt else ""

    def text(self, value, digits=3):
        if self.unit == "%":
            return f"{value * 100:.{digits}g} %"
        return f"{value:.0f}" if value >= 1000 else f"{value:.{digits}g}{' ' + self.unit if self.unit else ''}"

    def line(self):
        figure = self.text(self.figure) + (f" ±{self.text(self.noise, 2)}" if self.noise else "")
        bar = "" if self.bar is None else f"≤ {self.text(self.bar)}"
        met = {None: "", "yes": "met", "no": "NOT MET", "unclear": "unclear"}[self.met]
        return f"{self.what:62} {figure:>18}   {bar:>9}  {met:8}{self.beside}"


class Bench:
    """The measurements, by name. Each returns rows; `say` gets the figures behind them."""

    def __init__(self, place, options):
        self.place, self.rounds, self.table_build = place, options.rounds, options.table_build
        self.codec, self.fixtures, self.long_capture = options.codec, options.fixtures, options.long_capture
        self.bare_insert, self.sym_bench, self.dial9 = options.bare_insert, options.sym_bench, options.dial9
        self.say = lambda text: print(f"    {text}", file=sys.stderr if options.json else sys.stdout, flush=True)

    def need_perf(self):
        if not self.place.perf:
            raise Failed("perf is not here (Debian: apt-get install linux-perf)")

    @staticmethod
    def doubt(r):
        """Why differences of such runs say little, or nothing."""
        unsteady = spread(r["base"]) / median(r["base"])
        return f"the unrecorded request alone varies by ±{unsteady:.0%}: the machine is not quiet" if unsteady > 0.05 else ""

    @staticmethod
    def lost(row):
        lost = 1 - median(row["kept"])
        return f"; perf lost {lost:.0%} of the switches, which spares it work" if lost > 0.01 else ""

    def echo(self):
        """CPU time and bytes a request, one request in flight, beside perf."""
        self.need_perf()
        r = echo.measure(self.place, connections=1, n=50_000, rounds=self.rounds, recorders=list(echo.RECORDERS))
        echo.tell(r, self.say)
        rows = []
        for peer, bar in (("perf dwarf", 1 / 4), ("perf -g", 1 / 2)):
            ratios = [a / b for a, b in zip(r["ascope"]["added"], r[peer]["added"])]
            rows.append(Row(f"echo, 1 in flight: CPU that ascope adds, as part of {peer}'s", median(ratios), "", spread(ratios), bar,
                            beside=f"ascope {median(r['ascope']['part']):+.1%}, perf {median(r[peer]['part']):+.1%} of the request"
                            + self.lost(r[peer]), doubt=self.doubt(r)))
        ratios = [a / b for a, b in zip(r["ascope --stacks=all"]["added"], r["perf -g"]["added"])]
        rows.append(Row("the same with --stacks=all, as part of perf -g's", median(ratios), "", spread(ratios)))
        for name in ("ascope", "ascope --stacks=all"):
            ratios = [a / b for a, b in zip(r[name]["bytes"], r["perf dwarf"]["bytes"])]
            rows.append(Row(f"bytes: {name}'s file, as part of perf dwarf's", median(ratios), "", bar=1 / 20,
                            beside=f"{median(r[name]['bytes']):.1f} and {median(r['perf dwarf']['bytes']):.0f} bytes a request"))
        return rows

    def echo16(self):
        """CPU time a request with 16 in flight, server and client on a CPU each."""
        other = (self.place.cpu + 1) % os.cpu_count()
        base, ours = echo.account(self.place, 16, 150_000, self.rounds, other)
        rows = [Row("echo, 16 in flight, by account: run time of BPF programs, and the recorder's", median(ours) / median(base), "%",
                    spread(ours) / median(base), beside=f"{median(ours):.0f} ns of {median(base) / 1000:.1f} us a request")]
        for cpu, what, bar in ((other, "a CPU each", 0.01), (self.place.cpu, "one CPU", None)):
            r = echo.measure(self.place, 16, 150_000, 3 * self.rounds if bar else self.rounds, ["ascope"], cpu)
            echo.tell(r, self.say)
            rows.append(Row(f"echo, 16 in flight, server and client on {what}: CPU that ascope adds", median(r["ascope"]["part"]), "%",
                            spread(r["ascope"]["part"]), bar, beside=f"{median(r['switches']):.3f} switches of the server a request",
                            doubt=self.doubt(r)))
        return rows

    def tasks(self):
        """CPU time a request of services that poll, and that spawn, 10,000 times a second and more; beside dial9."""
        table, empty = [], kernel.empty_run(self.place)
        self.say(f"a run of a BPF program that does nothing: {empty:.0f} ns, taken off each account")
        for cpu, where in ((self.place.cpu, "one CPU"), ((self.place.cpu + 1) % os.cpu_count(), "a CPU each")):
            self.say(f"server and client on {where}")
            for mode, bar in (("echo", 0.01), ("spawn", 0.02)):
                r = tasks.measure(self.place, mode, cpu, 60_000, self.rounds, empty, self.dial9)
                tasks.tell(mode, r, self.say)
                table += self.tasks_rows(f"{mode}, 16 in flight, {where}", bar, r)
        return table

    def tasks_rows(self, what, bar, r):
        rows = []
        for name, of in r.items():
            part, rate = [x["part"] for x in of], median([x["base_rate"] for x in of])
            rows.append(Row(f"{what}: CPU that {name} adds", median(part), "%", spread(part), bar if name == "ascope" else None,
                            beside="; ".join(filter(None, (tasks.account(of), f"{rate:.0f} requests/s x {median([x['rate'] for x in of]):.3f}, "
                                                           f"p99 x {median([x['p99'] for x in of]):.3f}"))),
                            doubt=self.tasks_doubt(name, of, bar, rate)))
        if tasks.PEER in r:
            ours, theirs = ([x["added"] for x in r[name]] for name in ("ascope", tasks.PEER))
            lost = "one of them seems to add nothing: the machine is not quiet" if min(ours + theirs) <= 0 else ""
            ratios = [a / b for a, b in zip(ours, theirs)]
            rows.append(Row(f"{what}: what ascope adds, as part of what {tasks.PEER} adds", median(ratios), "", spread(ratios), 0.5, doubt=lost))
        return rows

    def tasks_doubt(self, name, rows, bar, rate):
        if rate < 10_000:
            return "less than 10,000 polls a second"
        if name == "ascope" and tasks.accounted(rows) > bar >= median([x["part"] for x in rows]):
            return "the account alone exceeds the bar"
        return self.doubt({"base": [x["base"] for x in rows]})

    def cut(self):
        """Stacks that end early, beside perf's."""
        self.need_perf()
        found = stacks.measure(self.place)
        part = {name: cut / n for name, (n, cut) in found.items()}
        for name, (n, cut) in found.items():
            self.say(f"{name:20} {cut} of {n} stacks end early")
        return [Row("stacks cut short, threads 60 frames of 200 bytes deep", part["ascope"], "%", bar=0.0,
                    beside=f"perf dwarf {part['perf dwarf']:.0%}, perf -g {part['perf -g']:.0%}")]

    def bpf(self):
        """Run time of all BPF programs at 20,000 switches a second."""
        empty, null = kernel.empty_run(self.place), kernel.null_run(self.place)
        rows = kernel.load(self.place, 3, self.rounds, {"ascope": (), "ascope --stacks=all": ("--stacks", "all")})
        self.say(f"a run of a program that does nothing: {empty:.0f} ns; of ascope's for a switch that concerns no target: {null:.0f} ns")
        kernel.tell_load(rows, self.say)
        table = []
        for name, what, bar in (("ascope", "all BPF programs, 20 k switches/s of which 1 k in a poll: of one CPU", 0.03),
                                ("ascope --stacks=all", "the same with --stacks=all", None)):
            mine = [r for r in rows if r["of"] == name]
            # the kernel reads its clock twice a run only while somebody measures: what a program that does nothing "takes" is taken off
            clock = median([r["runs"] for r in mine]) * empty * 20_000 / 1e9
            part = [r["part"] - clock for r in mine]
            noise = max(spread(part), median([r["others"] for r in mine]))  # what was taken off is an estimate
            table.append(Row(what, median(part), "%", noise, bar,
                             beside=f"{median(part) + clock:.2%} with the kernel's own measuring; scaled from {median([r['rate'] for r in mine]):.0f}/s"))
        return table

    def walk(self):
        """The in-kernel walk, ns a frame."""
        per_frame, ns, frames = kernel.walk(self.place, 2, self.rounds)
        for depth, values in ns.items():
            walked = f", {frames[depth]:.1f} frames walked" if depth in frames else ""
            self.say(f"depth {depth}: {median(values):.0f} ns a switch{walked}")
        if median(per_frame) < 5:
            raise Failed("55 frames more cost nothing: this ascope does not walk them")
        return [Row("walk, warm: a frame", median(per_frame), "ns", spread(per_frame), 200)]

    def verifier(self):
        """Instructions that the verifier looks at, on this kernel."""
        insns = kernel.verifier(self.place)
        self.say(", ".join(f"{name} {n}" for name, n in sorted(insns.items(), key=lambda kv: -kv[1])))
        name, most = max(insns.items(), key=lambda kv: kv[1])
        return [Row("verifier: instructions of the largest BPF program", most, "", bar=50_000, beside=f"{name}, {platform.release()}")]

    def storm(self):
        """The recorder's memory when every cpu switches threads without pause."""
        r = storm.measure(self.place, 6)
        self.say(f"{r['rate'] / 1000:.0f} k events/s over {r['rings']} rings, lost {r['lost']}, late {r['late']}; at most {r['most']:.0%} of a ring "
                 f"waited; {r['cpu_ns']:.0f} ns of CPU an event")
        return [Row("recorder: memory at 200 k events/s and more", r["rss"] / (1 << 20), "MB", bar=64,
                    beside=f"{r['rate'] / 1000:.0f} k events/s, lost {r['lost']}", doubt="" if r["rate"] >= 200_000 else "fewer events than that")]

    def table(self):
        """Building unwind tables: libc, and a large Rust binary."""
        if not self.table_build:
            raise Failed("table_build was not built")
        libc = next(iter(glob.glob("/lib/*-linux-gnu/libc.so.6") + glob.glob("/lib64/libc.so.6")), None)
        cargo = subprocess.run(["rustup", "which", "cargo"], capture_output=True, text=True, check=False).stdout.strip() if libc else ""
        cargo = cargo or subprocess.run(["sh", "-c", "command -v cargo"], capture_output=True, text=True, check=False).stdout.strip()
        if not libc or not cargo:
            raise Failed("no libc.so.6 or no cargo to read")
        out = subprocess.run([self.table_build, libc, os.path.realpath(cargo)], capture_output=True, text=True, check=False)
        lines = [dict(zip(out.stdout.splitlines()[0].split("\t"), line.split("\t"))) for line in out.stdout.splitlines()[1:]]
        if out.returncode or len(lines) != 2:
            raise Failed(f"table_build: {out.stdout[-200:]}{out.stderr[-200:]}")
        for line in lines:
            self.say("  ".join(f"{k} {v}" for k, v in line.items()))
        small, large = lines
        return [Row("unwind table of libc", float(small["ms"]), "ms", bar=5),
                Row(f"unwind table of cargo ({small and large['MB']} MB of Rust)", float(large["ms"]), "ms", bar=100),
                Row("map memory per row, index included", max(float(small["B/row"]), float(large["B/row"])), "bytes", bar=12)]


    def size(self):
        """Bytes an event in the file, the demo service at some 10,000 switches a second, beside perf."""
        self.need_perf()
        if not self.codec or not self.fixtures:
            raise Failed("codec or the demo service was not built")
        rows = size.measure(self.place, self.codec, self.fixtures)
        table = []
        for name, row in rows.items():
            self.say(f"{name:20} {row['rate']:.0f} switches/s, {row['bytes']} bytes, {row['each']:.2f} a switch-out"
                     + ("; " + ", ".join(f"{n} {kind} {of:.0f} B" for kind, (n, of) in row["kinds"].items()) + f", else {row['rest']:.0f} B"
                        if "kinds" in row else f"; {row['said'][-160:]}"))
        for name in ("ascope", "ascope --stacks=all"):
            out, both, sample = size.figures(rows[name])
            slow = "" if rows[name]["rate"] >= 5000 else "the load made less than 5,000 switches/s"
            table += [Row(f"{name}: a switch-out, dictionaries and all", out, "B", bar=6, doubt=slow),
                      Row(f"{name}: with its switch-in and waking", both, "B", bar=10, doubt=slow),
                      Row(f"{name}: a sample", sample, "B", bar=3, beside=f"{rows[name]['kinds']['sample'][0]} samples", doubt=slow)]
            table += [Row(f"{name}: of {peer}'s bytes a switch-out", rows[name]["each"] / rows[peer]["each"], "", bar=bar,
                          beside=f"perf {rows[peer]['each']:.0f} B") for peer, bar in (("perf dwarf", 1 / 20), ("perf -g", 1 / 2))]
        return table

    def coding(self):
        """What a core codes and decodes a second, of the load of `size`."""
        if not self.codec or not self.fixtures:
            raise Failed("codec or the demo service was not built")
        file = size.record_only(self.place, self.fixtures)
        table = []
        for mode, bar in (("encode", 200), ("decode", 100)):
            head, values = (line.split("\t") for line in size.lines_of([self.codec, mode, file, str(2 * self.rounds)]))
            figures = dict(zip(head, values))
            self.say(f"{mode}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))
            table.append(Row(f"{mode}, zstd level 1 included: an event, of one core", 1000 / float(figures["M/s"]), "ns", bar=bar,
                             beside=f"{figures['M/s']} million events a second"))
        return table

    def open(self):
        """What it takes to open and to verify a capture of 30 million events."""
        if not self.long_capture:
            raise Failed("long_capture was not built")
        found, size_of = reading.measure(self.place, self.long_capture, self.rounds)
        self.say(f"{reading.MILLIONS} million events, {size_of / 1e6:.1f} MB")
        for name, runs in found.items():
            self.say(f"{name}: " + ", ".join(f"{r['ms']:.0f} ms {r['MB']:.0f} MB" for r in runs))
        ms = {name: [r["ms"] for r in runs] for name, runs in found.items()}
        return [Row(f"info, {reading.MILLIONS} million events", median(ms["info"]), "ms", spread(ms["info"]), bar=100),
                Row("the same, file not in the page cache", median(ms["info, not in the page cache"]), "ms",
                    spread(ms["info, not in the page cache"]), bar=100),
                Row(f"check, {reading.MILLIONS} million events: memory", max(r["MB"] for r in found["check"]), "MB", bar=128,
                    beside=f"{median(ms['check']) / 1000:.1f} s")]

    def export(self):
        """Each export of a capture of 10 million events, beside perf script and a fold of its text."""
        if not self.long_capture:
            raise Failed("long_capture was not built")
        load_of, found, absent, counts, peer = export.measure(self.place, self.long_capture, self.rounds)
        self.say(f"{counts['samples']:,} samples, {counts['waits']:,} waits; loading, once and in no figure below: {load_of['cpu']:.1f} s of CPU, {load_of['MB']:.0f} MB")
        if absent:
            self.say("not in this ascope: " + ", ".join(absent))
        table = []
        for name, runs in found.items():
            self.say(f"{name}: " + ", ".join(f"{r['s']:.1f} s ({r['cpu']:.1f} of CPU) {r['MB']:.0f} MB" for r in runs))
            cpu, n = median([r["cpu"] for r in runs]), runs[0]["n"]
            table.append(Row(f"export --{name}, {export.MILLIONS} million events: memory", max(r["MB"] for r in runs), "MB", bar=512,
                             beside=f"{runs[0]['bytes'] / 1e6:.0f} MB written"))
            if name in ("chrome", "perfetto"):
                table.append(Row(f"export --{name}: a slice, of CPU", cpu / max(n, 1) * 1e6, "us", bar=1 if name == "chrome" else None,
                                 beside=f"{n:,} slices, {n / cpu / 1e6:.2f} million a second; {cpu:.1f} s, {median([r['kernel'] for r in runs]):.1f} of them the kernel's"))
            else:
                million = cpu * 1e6 / counts["samples"]
                table.append(Row(f"export --{name}: a million samples, of CPU", million, "s", bar=2 if name == "folded" else None,
                                 beside=f"{cpu:.2f} s for {counts['samples']:,}"))
        if peer:
            both = peer["script"]["cpu"] + peer["fold"]["cpu"]
            table.append(Row("perf script and a fold of its text: a million samples, of CPU", both * 1e6 / max(peer["samples"], 1), "s",
                             beside=f"{both:.2f} s for {peer['samples']:,}; {max(peer['script']['MB'], peer['fold']['MB']):.0f} MB"))
        return table

    def load(self):
        """Loading a capture of 10 million events into a database, beside bare SQLite and perf script."""
        if not self.long_capture or not self.bare_insert:
            raise Failed("long_capture or bare_insert was not built")
        found, large, of = load.measure(self.place, self.long_capture, self.bare_insert, self.rounds)
        for name, runs in found.items():
            self.say(f"{name}: " + ", ".join(f"{r['s']:.1f} s ({r['cpu']:.1f} of CPU) {r['MB']:.0f} MB" for r in runs))
        m = {name: {key: median([r[key] for r in runs]) for key in ("s", "cpu", "MB")} for name, runs in found.items()}
        each = [a["cpu"] / of["events"] / (b["cpu"] / of["rows"]) for a, b in zip(found["load"], found["bare"])]
        cpu = [a["cpu"] / b["cpu"] for a, b in zip(found["load"], found["bare"])]
        wall = median([a["s"] / b["s"] for a, b in zip(found["load"], found["bare"])])
        busy = [r["s"] / r["cpu"] for runs in (found["first"], found["load"]) for r in runs]
        doubt = f"the CPUs were shared: {median(busy):.1f} s went by for each of CPU" if median(busy) > 1.3 else ""
        table = [Row("load: an event, as part of a row's bare insert of 7 columns and an index", median(each), "", spread(each), bar=1 / 0.8,
                     beside=f"{of['events'] / m['load']['cpu'] / 1e3:.0f} k events/s and {of['rows'] / m['bare']['cpu'] / 1e3:.0f} k rows/s of CPU"),
                 Row("load: a row of the database, as part of such a row", median(cpu), "", spread(cpu), bar=1 / 0.8,
                     beside=f"{of['rows'] / m['load']['cpu'] / 1e3:.0f} k rows/s of CPU; wall clock {wall:.2f}"),
                 Row("load: memory", max(r["MB"] for r in found["load"] + found["first"]), "MB", bar=256),
                 Row("load: database, a row", of["bytes"] / of["rows"], "bytes", bar=60, beside=f"{of['rows'] / 1e6:.2f} million rows of "
                     f"{of['events'] / 1e6:.1f} million events"),
                 Row("report --blocking, first time", m["first"]["s"], "s", spread([r["s"] for r in found["first"]]), bar=5,
                     beside=f"{m['first']['cpu']:.1f} s of CPU", doubt=doubt),
                 Row("report --blocking, of a loaded one", m["second"]["s"], "s", spread([r["s"] for r in found["second"]]), bar=1,
                     beside=f"{m['second']['cpu']:.2f} s of CPU"),
                 Row(f"{load.LARGE} million events, loaded and reported: memory", max(r["MB"] for r in large), "MB", bar=512,
                     beside=f"{large[0]['cpu']:.1f} and {large[1]['cpu']:.1f} s of CPU")]
        if self.place.perf:
            rate, lines = load.perf_rate(self.place)
            ours = of["events"] / m["load"]["cpu"]
            table.append(Row("load: an event, as part of what perf script takes to print one", rate / ours, "", bar=1 / 5,
                             beside=f"perf prints {rate / 1e3:.0f} k events/s ({lines} of them)"))
        return table

    def symbolize(self):
        """Names of 20,000 addresses in inlined code of a Rust program with DWARF, beside llvm-symbolizer and eu-addr2line."""
        if not self.sym_bench:
            raise Failed("sym_bench was not built")
        file = symbolize.build(os.path.join(os.path.dirname(self.sym_bench), "bench-symbols"))
        times, eu_ended, frames = symbolize.measure(self.place, self.sym_bench, file, self.rounds)
        for name, values in times.items():
            self.say(f"{name:16} {median(values):.2f} s ±{spread(values):.2f}" + (" and had not ended" if name == "eu-addr2line" and not eu_ended else ""))
        ours = times["ascope"]
        size = f"{os.path.getsize(file) / 1e6:.0f} MB, {frames:.1f} frames an address"
        table = [Row("names of 20,000 addresses in inlined code, cold", median(ours), "s", spread(ours), 2, beside=size)]
        for peer in ("llvm-symbolizer", "eu-addr2line"):
            if peer not in times:
                raise Failed(f"{peer} is not here (Debian: apt-get install llvm elfutils)")
            ratios = [a / b for a, b in zip(ours, times[peer])]
            table.append(Row(f"the same, as part of {peer}'s", median(ratios), "", spread(ratios), 1,
                             beside=f"{median(times[peer]):.2f} s" + ("" if peer != "eu-addr2line" or eu_ended else " and had not ended")))
        for c, what in zip(symbolize.truth(self.sym_bench, file), ("addresses", "return addresses")):
            kinds = ", ".join(f"{kind} {len(addrs)}" for kind, addrs in sorted(c.kinds.items()))
            for kind, addrs in c.kinds.items():
                self.say(f"{what}: {kind}: {len(addrs)}" + (f": {symbolize.sym_truth.MEANT[kind]}" if kind in symbolize.sym_truth.MEANT else ""))
                self.say(c.example(addrs[0]))
            table.append(Row(f"{what} whose frames are not llvm-symbolizer's", len(c.faults()) / c.n, "%", bar=symbolize.sym_truth.LIMIT,
                             beside=f"of {c.n}; meant: {kinds}"))
        return table


NAMES = ["echo", "echo16", "tasks", "cut", "bpf", "walk", "verifier", "storm", "table", "coding", "open", "load", "export", "size", "symbolize"]


def arguments():
    p = argparse.ArgumentParser(description="Measures what ascope costs.", usage=__doc__.split("\n\n")[1].strip())
    p.add_argument("--ascope", required=True)
    p.add_argument("--programs", required=True)
    p.add_argument("--table-build")
    p.add_argument("--codec")
    p.add_argument("--long-capture")
    p.add_argument("--bare-insert")
    p.add_argument("--fixtures")
    p.add_argument("--sym-bench")
    p.add_argument("--dial9")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--json", action="store_true")
    p.add_argument("names", nargs="*", metavar="NAME")
    options = p.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown or options.rounds < 1:
        p.error(f"no such measurement: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}" if unknown else "--rounds: at least 1")
    return options


def main():
    options = arguments()
    place = Place(options.ascope, options.programs, cpu=max(os.sched_getaffinity(0)))
    bench = Bench(place, options)
    table, failed = [], {}
    try:
        for name in options.names or NAMES:
            bench.say(f"-- {name}: {getattr(bench, name).__doc__}")
            try:
                table += [(name, row) for row in getattr(bench, name)()]
            except (Failed, OSError, ValueError, KeyError, IndexError) as e:
                failed[name] = f"{type(e).__name__ + ': ' if not isinstance(e, Failed) else ''}{e}"
                bench.say(f"not measured: {failed[name]}")
    finally:
        place.release()
    head = {"date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "kernel": platform.release(), "cpus": os.cpu_count(),
            "load": os.getloadavg()[0]}
    if options.json:
        json.dump({**head, "rows": [{"of": name, **{k: getattr(row, k) for k in ("what", "figure", "unit", "noise", "bar", "met", "beside")}}
                                    for name, row in table], "failed": failed}, sys.stdout, indent=1, ensure_ascii=False)
        print()
    else:
        print(f"\n{head['date']} UTC, Linux {head['kernel']}, {head['cpus']} CPUs, load {head['load']:.1f} at the end")
        for name, row in table:
            print(f"{name:9} {row.line()}")
        for name, why in failed.items():
            print(f"{name:9} not measured: {why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
