#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The same mishaps to ascope and to perf: SIGKILL, a full disk, a file cut short. Prints the rows of doc/reliability.md.

    record_beside.py [kill|disk|cut]... [--kills N]        needs root, BTF, perf

Both record the same processes: ascope as it does by default, perf the same events (every context switch, and CPU samples at 499 Hz, with call graphs by
frame pointers). What can be read is what their own tools give: switches and samples of `ascope query`, lines of `perf script`.
"""
import argparse
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from record_ends import ASCOPE, HEADER, K, M, Service, Tmpfs  # noqa: E402

PERF = ["perf", "record", "-q", "-c", "1", "-e", "sched:sched_switch", "-e", "cpu-clock/freq=499/", "-g"]


class Recorder:
    """One of the two."""

    def __init__(self, name):
        self.name = name

    def argv(self, file, pid):
        if self.name == "ascope":
            return [str(ASCOPE), "record", "-q", "--stacks", "all", "-o", str(file), "-p", pid]
        return [*PERF, "-o", str(file), "-p", pid]

    def read(self, file):
        """How many switches and samples its own tool gives, its exit code, and the first line that it complains with."""
        if self.name == "ascope":
            argv = [str(ASCOPE), "query", "--no-cache", "--csv", str(file), "SELECT (SELECT count(*) FROM offcpu) + (SELECT count(*) FROM sample) AS n"]
        else:
            argv = ["perf", "script", "-F", "time", "-G", "-i", str(file)]
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=120, check=False)
        lines = [line for line in run.stdout.splitlines() if line.strip()]
        if self.name == "ascope":
            n = int(lines[1]) if len(lines) > 1 else 0
        else:
            n = len(lines)
        return n, run.returncode, (run.stderr.strip().splitlines() or [""])[0]


BOTH = [Recorder("ascope"), Recorder("perf")]


def start(recorder, file, pid):
    """Begun: with ascope its first block is there, with perf its header."""
    process = subprocess.Popen(recorder.argv(file, pid), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while not file.exists() or file.stat().st_size <= (HEADER if recorder.name == "ascope" else 0):
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{recorder.name} did not begin: {process.stderr.read()}")
        time.sleep(0.005)
    return process


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def kill(work, kills):
    for recorder in BOTH:
        read, codes, complaint = [], set(), ""
        with Service(work) as pid:
            for number in range(kills):
                file = work / f"{recorder.name}.{number}"
                process = start(recorder, file, pid)
                time.sleep(random.Random(number).uniform(0.2, 3))
                process.kill()
                process.wait()
                n, code, said = recorder.read(file)
                read.append(n)
                codes.add(code)
                complaint = said or complaint
                size = file.stat().st_size
                file.unlink()
        row(f"SIGKILL, {kills} times", recorder.name, f"{sum(n > 0 for n in read)} of {kills} files have events", f"median {statistics.median(read):.0f} events, "
            f"last file {size} bytes", f"reads with exit code {', '.join(map(str, sorted(codes)))}", complaint.replace(str(work), ""))


def disk(work, _):
    for size in (M, 8 * M):
        for recorder in BOTH:
            with Service(work) as pid, Tmpfs(work, size) as where:
                file = where / "x"
                process = start(recorder, file, pid)
                try:
                    err = process.communicate(timeout=50)[1]
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGINT)
                    err = "(ended by the test after 50 s)" + process.communicate(timeout=50)[1]
                copy = work / "copy"
                shutil.copy(file, copy)
            (work / f"disk{size}").rmdir()
            n, code, said = recorder.read(copy)
            row(f"disk of {size // K} KiB full", recorder.name, f"{n} events", f"recording: exit code {process.returncode}, {copy.stat().st_size} bytes",
                f"reads with exit code {code}", " / ".join(line for line in [*err.strip().splitlines()[-1:], said] if line).replace(str(work), ""))


def cut(work, _):
    for recorder in BOTH:
        file = work / f"{recorder.name}.good"
        with Service(work) as pid:
            process = start(recorder, file, pid)
            time.sleep(6)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        whole, _, _ = recorder.read(file)
        size = file.stat().st_size
        for percent in (25, 50, 75, 99):
            part = work / "part"
            with open(file, "rb") as src, open(part, "wb") as dst:
                dst.write(src.read(size * percent // 100))
            n, code, said = recorder.read(part)
            row(f"cut to {percent} % of {size} bytes", recorder.name, f"{100 * n / max(1, whole):.1f} % of {whole} events", "", f"reads with exit code {code}",
                said.replace(str(work), ""))


def main():
    what = {"kill": kill, "disk": disk, "cut": cut}
    args = argparse.ArgumentParser()
    args.add_argument("what", nargs="*")
    args.add_argument("--kills", type=int, default=10)
    args = args.parse_args()
    print(subprocess.run(["perf", "--version"], capture_output=True, text=True, check=True).stdout.strip())
    for name in args.what or what:
        work = pathlib.Path(tempfile.mkdtemp(prefix="beside.", dir=ASCOPE.parent))
        try:
            what[name](work, args.kills)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
