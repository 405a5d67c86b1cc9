# SPDX-License-Identifier: MIT OR Apache-2.0
"""The same-event oracle (oracle.c): every walk of the kernel side is done again by libdwfl, on the same registers and memory."""
import os
import re
import subprocess

from stacks import allowed, fixture
from tap import OUT, TARGET, Failure, Skip, check

SECONDS = float(os.environ.get("UNWIND_SECONDS", "1"))
COLUMNS = ["samples", "whole", "identical", "longer", "shorter", "divergent", "no_fde"]
TABLE = []  # a line for each program that was compared
LEAST = 200  # samples that prove something
PYTHON = "while True:\n sorted(str(i) for i in range(300)); sum(range(1000)); eval('[x * 2 for x in range(50)]')"


def oracle(*args):
    program = OUT / "live/oracle"
    if not program.exists():
        raise Failure(f"{program} is not built: make {program}")
    run = subprocess.run([str(program), *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120 + 4 * SECONDS, check=False)
    if run.returncode == 77:
        raise Skip(run.stderr.strip())
    check(run.returncode == 0, f"oracle {args}: exit code {run.returncode}: {run.stderr[-3000:]}")
    return run.stdout, run.stderr


def compared(name, *command):
    """One program's walks: at least 99.9 % whole and none that differs where libdwfl has evidence."""
    out, err = oracle("-s", SECONDS, "-n", name, "--", *command)
    figures = dict(zip(COLUMNS, map(int, out.rstrip("\n").split("\t")[1:])))
    table = f"{out.strip()}\n{err}"
    TABLE.append((name, figures))
    check(figures["samples"] >= LEAST, f"too few samples to prove anything: {table}")
    check(figures["divergent"] == 0, table)
    wrong = figures["samples"] - min(figures["whole"], figures["identical"] + figures["longer"])
    check(wrong <= allowed(figures["samples"]), table)
    return "{whole} of {samples} whole".format(**figures)


def table():
    """All comparisons so far, for people."""
    lines = [f"{'same event, against libdwfl':28}{'samples':>9}{'whole %':>9}" + "".join(f"{c:>11}" for c in COLUMNS[2:])] if TABLE else []
    for name, f in TABLE:
        lines.append(f"{name:28}{f['samples']:>9}{100 * f['whole'] / max(1, f['samples']):>9.3f}" + "".join(f"{f[c]:>11}" for c in COLUMNS[2:]))
    return lines


def program(name, title, *args):
    def test(_):
        return compared(" ".join([name, *(a for a in args if a.isalpha())]), fixture(name), *args)
    test.__name__ = "_".join([name.replace("-", "_"), *(a for a in args if a.isalpha())])
    test.__doc__ = title
    return test


def tokio(work):
    """a Tokio program"""
    return compared("tokio", str(TARGET / "release/scenarios"), "cooperative", "--seconds", "300", "--dir", work)


def python(_):
    """python3, C built by gcc"""
    return compared("python3", "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3", "-c", PYTHON)


def symbols(path):
    """name -> (offset in the file, size) of functions, by nm; programs of lld have text at file offsets of its own."""
    segments = [tuple(int(x, 16) for x in m.groups()) for m in
                re.finditer(r"LOAD\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x[0-9a-f]+ 0x[0-9a-f]+ 0x([0-9a-f]+) R E",
                            subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout)]
    found = {}
    for line in subprocess.run(["nm", "-CS", path], capture_output=True, text=True, check=True).stdout.splitlines():
        parts = line.split(" ", 3)
        if len(parts) == 4 and parts[0] and parts[2] in "tT":
            address = int(parts[0], 16)
            for offset, start, size in segments:
                if start <= address < start + size:
                    found[re.sub(r"::h[0-9a-f]{16}$", "", parts[3])] = address - start + offset
    return found


def uprobe(_):
    """a uprobe on a function that is called from three places: the second frame is in the right caller"""
    path = os.path.realpath(fixture("stacks"))
    offset = symbols(path).get("stacks::twins::nap")
    check(offset, f"no symbol stacks::twins::nap in {path}")
    out, err = oracle("-s", SECONDS, "-u", f"{offset:#x}:{path}", "--", path, "twins", "60")
    callers = {}
    stacks = [line.split("\t") for line in out.splitlines() if " stacks" in line or "twins" in line]
    for status, *frames in stacks:
        if not frames:
            continue
        check(status == "whole", "\n".join(frames))
        check("twins3nap" in frames[0] and frames[0].split()[1].endswith("+0"), f"not at the entry of nap: {frames[0]}")
        name = re.search(r"twins\d+(middle|other)", frames[1])
        check(name, f"called by {frames[1]}")
        outer = re.search(r"twins\d+(twin_[ab]|other)", " ".join(frames[1:3]))
        check(outer, f"called by {frames[1:3]}")
        callers[outer[1]] = callers.get(outer[1], 0) + 1
    check(set(callers) == {"twin_a", "twin_b", "other"} and min(callers.values()) >= 10, f"callers: {callers}\n{out[:2000]}{err[-2000:]}")
    return ", ".join(f"{name} {n}" for name, n in sorted(callers.items()))


TESTS = [
    program("stacks", "std only", "burn", "300"),
    tokio,
    program("stacks-stripped", "std only, panic=abort, stripped", "burn", "300"),
    program("stacks-fat", "std only, fat LTO", "burn", "300"),
    program("stacks", "signal handler and vdso", "signals", "300"),
    program("stacks", "300 frames", "deep", "300"),
    program("cstacks", "C, gcc -O2", "300"),
    program("cstacks-clash", "C, -fstack-clash-protection, not PIE", "300"),
    program("cstacks-avx2", "C, -mavx2: realigned stacks", "300"),
    program("cstacks-static", "C, static", "300"),
    program("cstacks-static-pie", "C, static-pie", "300"),
    python,
    uprobe,
]
