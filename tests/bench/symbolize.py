# SPDX-License-Identifier: MIT OR Apache-2.0
"""The symbolizer's time and truth: ripgrep built with full debug info, 20,000 addresses in inlined code, beside llvm-symbolizer and eu-addr2line.

All three get the same list and print each function, file and line, inlined ones too, into a file. A round is one run of each, in turn. Time is CPU time of the
process (each has one thread), the file in the page cache, nothing else kept from round to round: other programs on the machine are not in it.
"""
import os
import resource
import shutil
import subprocess
import sys

from harness import Failed

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "symbols"))
import sym_truth  # noqa: E402

CRATE, VERSION = "ripgrep", "14.1.1"
PCS = 20_000
PATIENCE = 20  # seconds of CPU time for eu-addr2line, which takes minutes


def build(folder):
    """ripgrep by its own Cargo.lock, with debug = 2; minutes, once."""
    file = os.path.join(folder, "bin", "rg")
    if not os.path.exists(file):
        env = {**os.environ, "CARGO_PROFILE_RELEASE_DEBUG": "2", "CARGO_TARGET_DIR": os.path.join(folder, "target")}
        argv = ["nice", "-n", "19", "cargo", "install", "--quiet", "-j1", "--locked", "--no-track", "--root", folder, "--version", VERSION, CRATE]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{CRATE} {VERSION} was not built: {done.stderr.strip()[-300:]}")
        shutil.rmtree(os.path.join(folder, "target"), ignore_errors=True)
    return file


def inlined_pcs(tool, file):
    """Addresses that llvm-symbolizer has more than one frame for, hex, one a line."""
    text = sym_truth.run([tool, "pcs", file, str(2 * PCS), "7"])
    frames = sym_truth.ask_llvm(file, text)
    pcs = [line for line in text.splitlines() if len(frames[int(line, 16)]) > 1][:PCS]
    if len(pcs) < PCS:
        raise Failed(f"only {len(pcs)} of {2 * PCS} addresses are in inlined code")
    return "\n".join(pcs) + "\n", sum(len(frames[int(pc, 16)]) for pc in pcs) / len(pcs)


def cpu_seconds(argv, pcs, out, patience=None):
    """CPU time of one run; (seconds, did it end within `patience` seconds of CPU time?)"""
    def limit():
        if patience:
            resource.setrlimit(resource.RLIMIT_CPU, (patience, patience))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, "w", encoding="utf-8") as to:
        done = subprocess.run(argv, input=pcs, stdout=to, stderr=subprocess.DEVNULL, text=True, preexec_fn=limit, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode and not (patience and done.returncode < 0):
        raise Failed(f"{argv[0]} ended with {done.returncode}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.returncode == 0


def measure(place, tool, file, rounds):
    """{program: [seconds]}, whether eu-addr2line ended, frames an address."""
    pcs, frames = inlined_pcs(tool, file)
    programs = {"ascope": [tool, "names", file], "llvm-symbolizer": ["llvm-symbolizer", "-i", "-e", file]}
    times = {name: [] for name in programs}
    for _ in range(rounds + 1):  # the first fills the page cache
        for name, argv in programs.items():
            times[name].append(cpu_seconds(argv, pcs, place.file("names.txt"))[0])
    times = {name: values[1:] for name, values in times.items()}
    ended = None
    if shutil.which("eu-addr2line"):
        seconds, ended = cpu_seconds(["eu-addr2line", "-i", "-f", "-e", file], pcs, place.file("names.txt"), PATIENCE)
        times["eu-addr2line"] = [seconds]
    return times, ended, frames


def truth(tool, file):
    """Comparison of as many random addresses, and of as many return addresses."""
    return [sym_truth.Comparison(tool, file, PCS, seed=11 + is_return, is_return=is_return) for is_return in (False, True)]
