#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The symbolizer beside llvm-symbolizer: every frame's function, file and line, address by address, and what the differences are.

    sym_truth.py SYM_BENCH FILE [N] [--seed N] [--return] [--show CATEGORY] [--examples N]

SYM_BENCH is out/sym_bench. Prints a line for each kind of difference: how many addresses, whether it is one that is meant, an example. Exit status 1 when
more than 0.1 % of the addresses differ in a way that is not.

Names are brought to one form before they are compared: llvm-symbolizer gives linker names (legacy Rust ones are decoded here, v0 and C++ ones by
llvm-cxxfilt), both lose what the symbolizer takes away on purpose (hashes, suffixes of compilers, parameters of C++ functions).
"""
import argparse
import collections
import itertools
import re
import subprocess
import sys

Frame = collections.namedtuple("Frame", "function file line")

# What may differ, and why that is no fault. Everything else counts.
MEANT = {
    "line 0": "code that the compiler moved or merged has no line; ascope says the nearest one of the same piece of the same function",
    "which closure": "legacy linker names call each closure and async body {{closure}}; ascope takes the debug info's name, which tells them apart",
    "path of a body": "line tables alone name an inlined async body without its path; ascope takes the path from its caller's type arguments",
    "alias": "one address, several symbols (code folded together, aliases of C libraries): both names are the symbol table's, of that address; folded code "
             "has two lines, too",
    "inherited constructor": "called by the name of the class that it comes from, by llvm-symbolizer by that of the class that has it",
    "not demangled": "LLVM 14 cannot read some C++ names that gcc writes",
    "beyond its section": "llvm-symbolizer lets a symbol without a size name all up to the next one, such as the linker's stubs behind _init",
}
LIMIT = 0.001
DOUBTED, NEARBY = 40, 512  # addresses without a line that are looked at, bytes around each

SUFFIX = re.compile(r"(\.(cold|isra|part|constprop|lto_priv|localalias)|\.(llvm|cold|isra|part|constprop|lto_priv|localalias|clone|__uniq|warm)\.\d+)$")
ESCAPES = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}


class Failed(Exception):
    """A tool did not do its part, and why."""


def run(argv, text=""):
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, errors="replace", check=False)
    except OSError as e:
        raise Failed(f"{argv[0]}: {e}") from e
    if done.returncode:
        raise Failed(f"{' '.join(argv)}: {done.stderr.strip()[-300:]}")
    return done.stdout


# ---- names ----


def legacy_part(part):
    """One component of a legacy Rust name: rustc's own escapes (compiler/rustc_symbol_mangling/src/legacy.rs)."""
    if part.startswith("_$"):
        part = part[1:]
    part = re.sub(r"\$(?:u([0-9a-f]+)|([A-Z]+))\$", lambda m: chr(int(m[1], 16)) if m[1] else ESCAPES.get(m[2], m[0]), part)
    return part.replace("..", "::")


def legacy_rust(name):
    """Readable form of a legacy Rust name, its hash left out; None when it is none."""
    if not name.startswith("_ZN"):
        return None
    parts, at = [], 3
    while at < len(name) and name[at].isdigit():
        n = re.match(r"\d+", name[at:])[0]
        at += len(n)
        parts.append(name[at:at + int(n)])
        at += int(n)
    if name[at:] != "E" or len(parts) < 2 or not re.fullmatch(r"h[0-9a-f]{16}", parts[-1]):
        return None
    return "::".join(legacy_part(p) for p in parts[:-1])


def closing(text, at):
    """Index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if not depth:
            return i
    return len(text) - 1


def same_spelling(name):
    """Demanglers differ in blanks, and in how they call what has no name: one spelling for all."""
    name = name.replace("(anonymous namespace)", "{anonymous}").replace("auto:1", "auto")
    for begin in (r"\{lambda\(", r"'lambda\d*'\("):
        while m := re.search(begin, name):
            end = closing(name, m.start() if name[m.start()] == "{" else m.end() - 1)
            name = name[:m.start()] + "{LAMBDA}" + name[end + 1:]
    name = re.sub(r"\{unnamed type#\d+\}|'unnamed\d*'", "{UNNAMED}", name)
    return re.sub(r" ?([<>,&*()]) ?", r"\1", re.sub(r"\[abi:[^]]*\]", "", name))


def without_parameters(name):
    """A C++ function's name without its parameters and what follows them."""
    name = re.sub(r"( const| volatile|&&?)+$", "", name)
    depth = 0
    for i in range(len(name) - 1, -1, -1):
        depth += (name[i] == ")") - (name[i] == "(")
        if not depth:
            break
    return name[:i] if name.endswith(")") and not name[:i].endswith("operator") else name


def same_cxx(ours, theirs):
    """Is it one C++ name? llvm-symbolizer's has the type that a template returns before it."""
    ours, theirs = same_spelling(ours), same_spelling(theirs)
    return ours == theirs or theirs.endswith(ours) and theirs[-len(ours) - 1] in " *&>"


def scope_of(name):
    """What stands before the last "::" that is in no brackets."""
    depth, end = 0, 0
    for i, c in enumerate(name):
        depth += (c in "<({[") - (c in ">)}]")
        if not depth and name[i:i + 2] == "::":
            end = i
    return name[:end]


def plain_names(names):
    """Linker names to readable ones, in the form that both sides are compared in."""
    cut, made = {}, {}
    for name in names:
        short, before = name, None
        while short != before and not short.startswith("."):
            before = short
            short = SUFFIX.sub("", short)
            if short.startswith(("_R", "_Z")):
                short = re.sub(r"\.\d+$", "", short)  # LTO numbers functions that were local to their units
        cut[name] = short.split("@")[0] or short
    mangled = sorted({c for c in cut.values() if c.startswith(("_R", "_Z")) and legacy_rust(c) is None})
    if mangled:
        made = dict(zip(mangled, run(["llvm-cxxfilt"], "\n".join(mangled) + "\n").splitlines()))
    out = {}
    for name, c in cut.items():
        text = legacy_rust(c) or made.get(c, c)
        out[name] = without_parameters(text) if c.startswith("_Z") and c in made else text
    return out


def one_closure(name):
    """The name with all closures and bodies called alike."""
    return re.sub(r"\{\{closure\}\}|\{(closure|async_fn|async_block|async_closure|coroutine|gen_fn|gen_block)#\d+\}(<.*>$)?", "{closure}", name)


# ---- both sides ----


def frames_of(text):
    """{address: [frames]} of llvm-symbolizer's output."""
    found = {}
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if len(lines) < 3:
            continue
        frames = []
        for function, place in zip(lines[1::2], lines[2::2]):
            file, line, _ = place.rsplit(":", 2)
            frames.append(Frame(function, file, int(line)))
        found[int(lines[0], 16)] = frames
    return found


def ask_llvm(file, pcs, *options):
    return frames_of(run(["llvm-symbolizer", "-i", "--no-demangle", "--print-address", *options, "-e", file], pcs))


def same_file(ours, theirs):
    """ascope says src/a.rs relative to the compiler's directory, llvm-symbolizer the whole path; neither cleans up x/../y."""
    if ours == "??" or theirs == "??":
        return ours == theirs
    return theirs == ours or theirs.endswith("/" + ours.removeprefix("./")) or theirs.endswith("/" + ours)


class Comparison:
    """Of one file: `kinds`: {kind: [addresses]}, n addresses, how many have inlined frames."""

    def __init__(self, tool, file, n=2000, seed=1, is_return=False, debug_file=None):
        pcs = run([tool, "pcs", debug_file or file, str(n), str(seed)])
        self.ours = frames_of(run([tool, "names", file] + ["-r"] * is_return, pcs))
        self.theirs = ask_llvm(file, pcs)
        self.short = ask_llvm(file, pcs, "--functions=short")
        self.plain = plain_names({f.function for frames in self.theirs.values() for f in frames})
        self.symbols, self.unsized = self.read_symbols(file)
        self.sections = self.read_sections(file)
        self.kinds = collections.defaultdict(list)
        self.n, self.inlined = len(self.theirs), 0
        if set(self.ours) != set(self.theirs):
            raise Failed(f"{file}: not the same addresses answered")
        for addr in self.theirs:
            self.inlined += len(self.theirs[addr]) > 1
            for kind in self.differences(addr):
                self.kinds[kind].append(addr)
        self.doubt_lines(file)

    @staticmethod
    def read_symbols(file):
        """{readable name: [(first, last)]} of the symbol table's functions; {name: section} of those without a size."""
        raw, unsized = collections.defaultdict(list), {}
        for line in run(["llvm-readelf", "--symbols", "--wide", file]).splitlines():
            p = line.split()
            if len(p) >= 8 and p[3] in ("FUNC", "IFUNC", "GNU_IFUNC") and re.fullmatch(r"[0-9a-f]+", p[1]):
                start = int(p[1], 16)
                raw[p[7].split("@")[0]].append((start, start + max(int(p[2], 0), 1) - 1))
                if p[2] == "0":
                    unsized[p[7]] = p[6]
        found = collections.defaultdict(list)
        for name, text in plain_names(raw).items():
            found[one_closure(text)] += raw[name]
        return found, unsized

    @staticmethod
    def read_sections(file):
        """{number: (first address, last)}"""
        found = {}
        for line in run(["llvm-readelf", "--sections", "--wide", file]).splitlines():
            m = re.match(r" *\[ *(\d+)\] \S+ +\S+ +([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) ", line)
            if m:
                found[m[1]] = int(m[2], 16), int(m[2], 16) + int(m[3], 16) - 1
        return found

    def is_beyond(self, addr, name):
        """Is it a symbol without a size in a section that does not hold the address?"""
        lo, hi = self.sections.get(self.unsized.get(name), (0, addr))
        return not lo <= addr <= hi

    def is_alias(self, addr, *names):
        """Are both names symbols that hold the address?"""
        return all(any(lo <= addr <= hi for lo, hi in self.symbols.get(one_closure(name), ())) for name in names)

    def name_kind(self, addr, ours, theirs, short):
        """How two names differ; None when they do not."""
        plain = self.plain[theirs]
        if ours == plain or theirs.startswith("_Z") and same_cxx(ours, plain):
            return None
        if one_closure(ours) == one_closure(plain):
            if short.startswith(ours[ours.rfind("{"):]):
                return "which closure"
            return "alias" if self.is_alias(addr, ours, plain) else "function"
        if plain.startswith("_Z") and not ours.startswith("_"):
            return "not demangled"
        if re.search(r"CI[1-5]", theirs) and scope_of(ours) == scope_of(plain):
            return "inherited constructor"
        if plain.startswith("{") and ours.endswith("::" + re.sub(r"(?<=\})<.*", "", plain)):
            return "path of a body"
        if ours == "??" and self.is_beyond(addr, theirs):
            return "beyond its section"
        if self.is_alias(addr, ours, plain):
            return "alias"
        return "function"

    def differences(self, addr):
        ours, theirs, short = self.ours[addr], self.theirs[addr], self.short[addr]
        if len(ours) != len(theirs):
            return {"no frames" if ours[0].function == "??" else "not in llvm-symbolizer's" if theirs[0].function == "??" else "number of frames"}
        kinds = set()
        for i, (o, t) in enumerate(zip(ours, theirs)):
            kinds.add(self.name_kind(addr, o.function, t.function, short[i].function if i < len(short) else ""))
            if t.line == 0 and i == 0 and o[1:] != t[1:] and (o.line or o.file == "??"):
                kinds.add("line 0")
            elif o.line != t.line or not same_file(o.file, t.file):
                kinds.add("line" if o.line != t.line else "file")
        if "alias" in kinds and "line" in kinds:
            kinds.remove("line")
        return kinds - {None}

    def doubt_lines(self, file):
        """Of some addresses without a line: does llvm-symbolizer have the one that ascope says nearby, in the same function?"""
        asked = [a for a in self.kinds["line 0"] if self.ours[a][0].line][:DOUBTED]
        near = range(-NEARBY, NEARBY)
        pcs = sorted({a + d for a in asked for d in near})
        found = ask_llvm(file, "".join(f"0x{pc:x}\n" for pc in pcs)) if pcs else {}
        for a in asked:
            wanted = self.theirs[a][0].function, self.ours[a][0].line
            if all((found[a + d][0].function, found[a + d][0].line) != wanted for d in near if a + d in found):
                self.kinds["line of nowhere"].append(a)
        for kind in [k for k, addrs in self.kinds.items() if not addrs]:
            del self.kinds[kind]

    def faults(self):
        """Addresses that differ in a way that is not meant."""
        return {a for kind, addrs in self.kinds.items() if kind not in MEANT for a in addrs}

    def example(self, addr):
        """The frames that differ; all where their numbers do."""
        ours, theirs = self.ours[addr], self.theirs[addr]
        pairs = list(itertools.zip_longest(ours, [f._replace(function=self.plain[f.function]) for f in theirs]))
        lines = [f"    0x{addr:x}"]
        for i, (o, t) in enumerate(pairs):
            if len(ours) != len(theirs) or (o.function, o.line) != (t.function, t.line) or not same_file(o.file, t.file):
                lines += [f"      {i} {who:15} " + (f"{f.function}  {f.file}:{f.line}" if f else "nothing") for who, f in (("ascope", o), ("llvm-symbolizer", t))]
        return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description="The symbolizer beside llvm-symbolizer.", usage=__doc__.split("\n\n")[1].strip())
    p.add_argument("tool")
    p.add_argument("file")
    p.add_argument("n", nargs="?", type=int, default=2000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--return", dest="is_return", action="store_true")
    p.add_argument("--show")
    p.add_argument("--examples", type=int, default=1)
    o = p.parse_args()
    try:
        c = Comparison(o.tool, o.file, o.n, o.seed, o.is_return)
    except Failed as e:
        print(e, file=sys.stderr)
        return 1
    faults = c.faults()
    print(f"{o.file}: {c.n} addresses, {c.inlined} of them in inlined code; {len(faults)} differ in a way that is not meant")
    for kind, addrs in sorted(c.kinds.items(), key=lambda x: -len(x[1])):
        print(f"  {kind}: {len(addrs)}" + (f" (meant: {MEANT[kind]})" if kind in MEANT else ""))
        if o.show in (None, kind):
            print("\n".join(c.example(a) for a in addrs[:o.examples]))
    return 1 if len(faults) > LIMIT * c.n else 0


if __name__ == "__main__":
    sys.exit(main())
