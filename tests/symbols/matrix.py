#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The symbolizer beside llvm-symbolizer on programs built in many ways. TAP.

    matrix.py SYM_BENCH [--all] [--keep DIR] [NAME...]

Builds shapes.c, shapes.cpp and shapes.rs with gcc, clang and rustc, and compares what the symbolizer says of addresses all over them (sym_truth.py), both
as instructions and as return addresses. --all: more ways to build, more addresses. Then what no other tool needs to tell: a return address behind a
function that ends in a call, cold parts, suffixes, folded functions, and the same names from the symbol table alone.
"""
import argparse
import os
import re
import shutil
import sys
import tempfile

import sym_truth

HERE = os.path.dirname(os.path.abspath(__file__))

CPP = {  # name: compilers, options of the compiler, of the linker
    "gcc -O2, DWARF 5": ("gcc", "-O2 -gdwarf-5", ""),
    "gcc -O2 -flto, DWARF 4": ("gcc", "-O2 -flto -gdwarf-4", ""),
    "clang -O2, DWARF 4": ("clang", "-O2 -gdwarf-4", ""),
    "clang -O2 -ffunction-sections, folded, DWARF 5": ("clang", "-O2 -ffunction-sections -gdwarf-5", "-fuse-ld=gold -Wl,--icf=all"),
    "clang -O2 -gline-tables-only": ("clang", "-O2 -gline-tables-only", ""),
}
CPP_MORE = {
    "gcc -O2, DWARF 4": ("gcc", "-O2 -gdwarf-4", ""),
    "gcc -O0": ("gcc", "-O0 -g", ""),
    "gcc -O3 -g1": ("gcc", "-O3 -g1", ""),
    "gcc -O2 -flto, DWARF 5": ("gcc", "-O2 -flto -gdwarf-5", ""),
    "clang -O2, DWARF 5": ("clang", "-O2 -gdwarf-5", ""),
    "clang -O0": ("clang", "-O0 -g", ""),
    "clang -O2 -flto": ("clang", "-O2 -flto -g", "-fuse-ld=gold"),
}
RUST = {
    "rustc -O, debuginfo 2": "-C debuginfo=2",
    "rustc -O, line tables only": "-C debuginfo=line-tables-only",
    "rustc -O, v0, DWARF 5": "-C debuginfo=2 -C symbol-mangling-version=v0 -C dwarf-version=5",
    "rustc -O, thin LTO, debuginfo 1": "-C debuginfo=1 -C lto=thin",
}
RUST_MORE = {
    "rustc -O, debuginfo 1": "-C debuginfo=1",
    "rustc -O, fat LTO, folded": "-C debuginfo=2 -C lto=fat -C link-arg=-Wl,--icf=all",
    "rustc -O, v0, line tables only": "-C debuginfo=line-tables-only -C symbol-mangling-version=v0",
    "rustc, not optimized": "-C opt-level=0 -C debuginfo=2",
    "rustc -O, none of its own": "-C debuginfo=0",
}
NEED = ("llvm-symbolizer", "llvm-cxxfilt", "llvm-readelf")


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def result(self, name, problem=None, skip=None):
        self.n += 1
        self.failed += bool(problem)
        print(f"{'not ok' if problem else 'ok'} {self.n} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        if problem:
            print("\n".join(f"# {line}" for line in str(problem).splitlines()), flush=True)


def run(argv):
    sym_truth.run(argv)


def build_cpp(folder, name, compiler, options, link):
    file = os.path.join(folder, re.sub(r"\W+", "-", name))
    cxx = {"gcc": "g++", "clang": "clang++"}[compiler]
    run([compiler, *options.split(), "-c", os.path.join(HERE, "shapes.c"), "-o", file + ".c.o"])
    run([cxx, "-std=c++17", *options.split(), "-c", os.path.join(HERE, "shapes.cpp"), "-o", file + ".cpp.o"])
    run([cxx, *options.split(), *link.split(), "-Wl,--build-id", file + ".c.o", file + ".cpp.o", "-o", file])
    return file


def build_rust(folder, name, options):
    file = os.path.join(folder, re.sub(r"\W+", "-", name))
    run(["rustc", "--edition", "2021", "-C", "opt-level=2", *options.split(), "-o", file, os.path.join(HERE, "shapes.rs")])
    return file


def problem_of(comparison, least_inlined):
    faults = comparison.faults()
    if len(faults) > sym_truth.LIMIT * comparison.n:
        return f"{len(faults)} of {comparison.n} addresses differ\n" + "\n".join(comparison.example(a) for a in sorted(faults)[:5])
    if comparison.inlined < least_inlined * comparison.n:
        return f"only {comparison.inlined} of {comparison.n} addresses are in inlined code: this compares nothing"
    return None


# ---- what needs no other tool ----


def symbols(file):
    """{linker name: (first address, size)} of functions."""
    found = {}
    for line in sym_truth.run(["llvm-readelf", "--symbols", "--wide", file]).splitlines():
        p = line.split()
        if len(p) >= 8 and p[3] == "FUNC" and p[2] != "0":
            found[p[7]] = (int(p[1], 16), int(p[2], 0))
    return found


def names(tool, file, addr, is_return=False):
    """Functions at an address; of a return address when the call ends there."""
    text = sym_truth.run([tool, "names", file] + ["-r"] * is_return, f"0x{addr - is_return:x}\n")
    return [f.function for f in sym_truth.frames_of(text)[addr - is_return]]


def check_return_address(tool, file):
    """ends_in_call() has nothing behind its call: the return address is the next function's, or padding's."""
    start, size = symbols(file)["ends_in_call"]
    behind, inside = names(tool, file, start + size), names(tool, file, start + size, is_return=True)
    if inside[-1] != "ends_in_call" or behind[-1] == "ends_in_call":
        return f"as a return address {inside}, as an instruction {behind}"
    return None


def check_cold_parts(tool, file):
    """Parts that compilers split off carry the function's name, with DWARF and without."""
    stripped = file + ".nodebug"
    run(["objcopy", "--strip-debug", file, stripped])
    parts = {n: at for n, at in symbols(file).items() if re.search(r"\.(cold|constprop|isra|part)\b", n) and not n.startswith("_Z")}
    if not any(".cold" in n for n in parts):
        return f"the program has no cold parts: {sorted(symbols(file))[:20]}"
    for name, (start, _) in parts.items():
        for which in (file, stripped):
            got = names(tool, which, start)
            if got[-1] != name.split(".")[0]:
                return f"{name} is {got} in {which}"
    return None


def check_suffixes(tool, file):
    """No function of thin LTO keeps its .llvm.N, nor a hash, with DWARF or without."""
    stripped = file + ".nodebug"
    run(["objcopy", "--strip-debug", file, stripped])
    mangled = [(n, at) for n, at in symbols(file).items() if ".llvm." in n]
    if not mangled:
        return "the program has no .llvm. names"
    for name, which, (start, _) in [(n, f, at) for n, at in mangled[:20] for f in (file, stripped)]:
        got = names(tool, which, start)
        if any(re.search(r"\.llvm\.|::h[0-9a-f]{16}$|^_Z|^_R", n) for n in got):
            return f"{name} is {got}"
    return None


def check_folded(tool, file):
    """Two functions that the linker made one: the name is one of theirs."""
    at = {n: s for n, s in symbols(file).items() if "twice_" in n}
    if len(at) != 2 or len(set(at.values())) != 1:
        return f"not folded: {at}"
    got = names(tool, file, next(iter(at.values()))[0])
    return None if got[-1] in ("shop::twice_a", "shop::twice_b") else f"{got}"


def check_symbols_alone(tool, file):
    """Without DWARF the outermost function keeps its name; no line, no inlined frame."""
    stripped = file + ".nodebug"
    run(["objcopy", "--strip-debug", file, stripped])
    pcs = sym_truth.run([tool, "pcs", file, "500", "5"])
    full = sym_truth.frames_of(sym_truth.run([tool, "names", file], pcs))
    bare = sym_truth.frames_of(sym_truth.run([tool, "names", stripped], pcs))
    wrong = [a for a in full if full[a][0].function != "??" and sym_truth.one_closure(bare[a][-1].function) != sym_truth.one_closure(full[a][-1].function)]
    if any(len(frames) != 1 or frames[0].line for frames in bare.values()):
        return "a stripped file gives lines or inlined frames"
    # aliases: which of several symbols names an address is not DWARF's to say
    return f"{len(wrong)} of {len(full)}: {[(full[a][-1], bare[a][-1]) for a in wrong[:3]]}" if len(wrong) > 25 else None


CHECKS = (
    ("gcc -O2, DWARF 5", "a return address behind the last instruction", check_return_address),
    ("gcc -O2, DWARF 5", "cold parts", check_cold_parts),
    ("clang -O2 -ffunction-sections, folded, DWARF 5", "folded functions", check_folded),
    ("rustc -O, thin LTO, debuginfo 1", "suffixes of LLVM", check_suffixes),
    ("rustc -O, debuginfo 2", "the symbol table alone", check_symbols_alone),
)


def compare_all(tap, tool, folder, options):
    """{name: file} of what was built."""
    ways = {**CPP, **RUST}
    if options.all:
        ways.update({**CPP_MORE, **RUST_MORE})
    built = {}
    for name, how in ways.items():
        if options.names and name not in options.names:
            continue
        compiler = "rustc" if isinstance(how, str) else how[0]
        gone = [c for c in ([compiler] if compiler != "clang" else ["clang", "clang++"]) if not shutil.which(c)]
        if gone:
            tap.result(name, skip=f"no {gone[0]} here")
            continue
        try:
            built[name] = build_rust(folder, name, how) if isinstance(how, str) else build_cpp(folder, name, *how)
            n = 4000 if options.all else 1000
            least = 0.0 if "not opt" in name or "-O0" in name or "none of" in name else 0.3
            for what, is_return in (("instructions", False), ("return addresses", True)):
                comparison = sym_truth.Comparison(tool, built[name], n, seed=3 + is_return, is_return=is_return)
                tap.result(f"{name}: {what}", problem_of(comparison, least))
        except sym_truth.Failed as e:
            tap.result(name, e)
    return built


def main():
    p = argparse.ArgumentParser(description="The symbolizer beside llvm-symbolizer.", usage=__doc__.split("\n\n")[1].strip())
    p.add_argument("tool")
    p.add_argument("--all", action="store_true")
    p.add_argument("--keep")
    p.add_argument("names", nargs="*")
    options = p.parse_intermixed_args()
    tap = Tap()
    gone = [tool for tool in NEED if not shutil.which(tool)]
    if gone:
        tap.result("the symbolizer beside llvm-symbolizer", skip=f"no {gone[0]} here (Debian: apt-get install llvm)")
        return 0
    folder = options.keep or tempfile.mkdtemp(prefix="ascope-symbols-")
    os.makedirs(folder, exist_ok=True)
    try:
        built = compare_all(tap, options.tool, folder, options)
        for name, what, check in CHECKS:
            if name in built:
                try:
                    tap.result(f"{what} ({name})", check(options.tool, built[name]))
                except (sym_truth.Failed, KeyError) as e:
                    tap.result(f"{what} ({name})", f"{type(e).__name__}: {e}")
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{tap.n}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
