#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Each command with its k-th call failing, for every k: memory, SQLite's memory, write, fsync, rename, close, ftruncate, read. Prints TAP.

    inject.py ASCOPE PRELOAD.so CAPTURE [--step N] [--sqlite N] [--ends N] [--only TEXT] [--calls memory,sqlite,write,...]

`memory` is what ascope and its libraries allocate, `sqlite` what SQLite does: fifty times as much, and its own authors fail each of its allocations.
--step N: the first 40 k (--ends), then every N-th (1: every one), and the last 40. --sqlite N: the same for SQLite's allocations.

What must hold: the command ends by itself within 20 s; it says what is wrong and exits with 1, or, when it can do without what failed, gives the very output
and exit code that it gives undisturbed. No temporary file stays behind. A database or output file that is there is whole: what the next, undisturbed run
makes of it is what it would have made of none.
"""
import argparse
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

OF_MEMORY = ("memory", "sqlite")
WORDS = {
    "memory": ("memory",),
    "sqlite": ("memory",),
    "write": ("space", "error", "I/O", "input/output", "full", "interrupted"),
}


class Command:
    def __init__(self, name, argv, outputs=(), keep=()):
        self.name, self.argv, self.outputs, self.keep = name, argv, outputs, keep


def commands(ascope):
    """What can be run; those that this ascope does not have are left out."""
    helps = subprocess.run([ascope, "--help"], capture_output=True, text=True, check=False).stdout
    table = [
        Command("info", ["info", "c.ascope"]),
        Command("info --json", ["info", "--json", "c.ascope"]),
        Command("dump", ["dump", "c.ascope"]),
        Command("report", ["report", "c.ascope"], ["c.ascope.db"]),
        Command("report --no-cache", ["report", "--no-cache", "c.ascope"]),
        Command("report, database there", ["report", "c.ascope"], ["c.ascope.db"], ["c.ascope.db"]),
        *[Command(f"report --{view}", ["report", "--no-cache", f"--{view}", "c.ascope"])
          for view in ("summary", "tasks", "workers", "wakers", "offcpu", "oncpu", "timeline", "markers")],
        Command("report --json", ["report", "--no-cache", "--json", "c.ascope"]),
        Command("query", ["query", "--no-cache", "c.ascope", "SELECT count(*) FROM offcpu"]),
        *[Command(f"export {what}", ["export", "--no-cache", *(f"--{word}" for word in what.split()), "-o", "out", "c.ascope"], ["out"])
          for what in ("folded", "folded offcpu", "chrome", "chrome tasks", "perfetto", "speedscope", "pprof", "firefox", "flamegraph", "html")],
    ]
    if "\n  bundle" in helps:
        table.append(Command("bundle", ["bundle", "-q", "-o", "out", "c.ascope"], ["out"]))
    if "\n  check" in helps:
        table += [Command("check", ["check", "c.ascope"]), Command("check --repair", ["check", "--repair", "out", "bad.ascope"], ["out"])]
    return table


class Place:
    """A directory in which one command is run again and again."""

    def __init__(self, ascope, preload, capture):
        self.dir = tempfile.mkdtemp(prefix="inject-")
        self.ascope, self.preload = ascope, preload
        shutil.copy(capture, f"{self.dir}/c.ascope")
        with open(capture, "rb") as file:
            data = bytearray(file.read())
        data[len(data) // 2] ^= 4
        with open(f"{self.dir}/bad.ascope", "wb") as file:
            file.write(data)
        os.mkdir(f"{self.dir}/tmp")
        self.count = f"{self.dir}/count"
        self.env = {"PATH": "/usr/bin:/bin", "TMPDIR": f"{self.dir}/tmp", "XDG_CACHE_HOME": f"{self.dir}/tmp/cache", "HOME": f"{self.dir}/tmp",
                    "LC_ALL": "C"}
        self.own = set(os.listdir(self.dir)) | {"count"}

    def run(self, argv, inject=None):
        env = dict(self.env)
        if inject:
            with open(self.count, "wb") as file:
                file.write(bytes(16))
            env |= {"LD_PRELOAD": self.preload, "ASCOPE_INJECT": inject, "ASCOPE_INJECT_COUNT": self.count}
        try:
            done = subprocess.run([self.ascope, *argv], cwd=self.dir, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
        except subprocess.TimeoutExpired:
            return "timeout", b"", b"", 0, 0
        calls = failed = 0
        if inject:
            with open(self.count, "rb") as file:
                calls, failed = struct.unpack("<QQ", file.read(16))
        return done.returncode, done.stdout, done.stderr, calls, failed

    def left(self, command):
        """Names that should not be there."""
        names = set(os.listdir(self.dir)) - self.own - set(command.outputs)
        cache = f"{self.dir}/tmp/cache/ascope"  # where a database goes that cannot lie beside the capture
        if os.path.isdir(cache) and all(n.endswith(".db") for n in os.listdir(cache)):
            shutil.rmtree(f"{self.dir}/tmp/cache")
        return sorted(names | {f"tmp/{n}" for n in os.listdir(f"{self.dir}/tmp")})

    def clear(self, command):
        for name in command.outputs:
            if name not in command.keep and os.path.exists(f"{self.dir}/{name}"):
                os.unlink(f"{self.dir}/{name}")

    def files(self, command):
        return {n: open(f"{self.dir}/{n}", "rb").read() for n in command.outputs if not n.endswith(".db") and os.path.exists(f"{self.dir}/{n}")}


def wrong(place, command, call, how, k, base, files):
    """What is wrong with one run, or None; and whether the call was reached at all."""
    place.clear(command)
    code, out, err, _, failed = place.run(command.argv, f"{call} {k} {how}")
    if code == "timeout":
        return "does not end", True
    if not failed:
        return None, False
    text = err.decode("utf-8", "replace")
    if isinstance(code, int) and code < 0:
        return f"killed by {signal.Signals(-code).name}: {text[-300:]}", True
    if code == base[0]:
        if out != base[1]:
            return f"exit code {code}, but the output is not what it should be: {text[-200:]}", True
        if place.files(command) != files:
            return f"exit code {code}, but the output file is not what it should be", True
    elif code != 1:
        return f"exit code {code}: {text[-300:]}", True
    elif not any(w in text.lower() for w in WORDS.get(call, WORDS["write"])) or re.search(r"\bbug:", text):
        return f"the message does not name it: {text[-300:]!r}", True
    if (left := place.left(command)):
        return f"left behind: {' '.join(left)}", True
    for name in command.outputs:
        if code == 1 and name.endswith(".db") and name not in command.keep and os.path.exists(f"{place.dir}/{name}"):
            again = place.run(command.argv)
            if again[:2] != base:
                return f"the database that is left gives exit code {again[0]}: {again[2][-200:]!r}", True
        elif code == 1 and not name.endswith(".db") and place.files(command).get(name, files.get(name)) != files.get(name):
            return f"{name} is left, and is not whole", True
    return None, True


def try_all(place, command, call, how, step, ends, limit):
    """(runs, [what is wrong])"""
    place.clear(command)
    if command.keep:
        place.run(command.argv)
    place.clear(command)
    first = place.run(command.argv, f"{call} 0 x")
    base, calls, files = first[:2], first[3], place.files(command)
    if call == "memory" and not calls:
        return 0, ["no allocation was counted: the preload is not there or does not work"]
    if base[0] not in (0, 3):
        return 0, [f"undisturbed: exit code {base[0]}: {first[2][-300:]!r}"]
    if place.left(command):
        return 0, [f"undisturbed, it leaves {place.left(command)}"]
    found, runs, k = [], 0, 1
    while k <= calls + 1 and len(found) < limit:
        what, reached = wrong(place, command, call, how, k, base, files)
        if what:
            found.append(f"{call} {k} of {calls} {how}: {what}")
            for name in place.left(command):
                path = f"{place.dir}/{name}"
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        runs += reached
        if how == "short" and k == 1:
            break  # from the first on is all there is
        near_end = calls - ends  # where results are printed
        k = k + 1 if k < ends or k >= near_end else min(k + step, near_end)
    return runs, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ascope")
    parser.add_argument("preload")
    parser.add_argument("capture")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--sqlite", type=int, default=1, help="as --step, for SQLite's allocations")
    parser.add_argument("--ends", type=int, default=40, help="how many of the first and the last k are tried, all of them")
    parser.add_argument("--failures", type=int, default=5, help="of one kind, before it goes on to the next")
    parser.add_argument("--only", default="")
    parser.add_argument("--calls", default="memory,sqlite,write,sync,rename,close,truncate,read")
    args = parser.parse_args()
    ways = [(call, how) for call in args.calls.split(",") for how in
            (("ENOMEM", "ENOMEM+") if call in OF_MEMORY else ("ENOSPC", "ENOSPC+", "EIO", "EINTR", "short") if call == "write" else ("EIO", "EINTR", "short")
             if call == "read" else ("EIO",))]
    number = failed = 0
    for command in commands(args.ascope):
        if args.only and args.only not in command.name:
            continue
        place = Place(os.path.abspath(args.ascope), os.path.abspath(args.preload), args.capture)
        for call, how in ways:
            runs, found = try_all(place, command, call, how, args.sqlite if call == "sqlite" else args.step, args.ends, args.failures)
            number += 1
            failed += bool(found)
            print(f"{'not ok' if found else 'ok'} {number} - {command.name}: {call} fails, {how}: {runs} runs", flush=True)
            for line in found:
                print(f"# {line}")
        shutil.rmtree(place.dir)
    print(f"1..{number}")
    return 1 if failed or not number else 0


if __name__ == "__main__":
    sys.exit(main())
