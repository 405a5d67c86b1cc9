#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The golden captures: what ascope says of each is what lies beside it, and the second reader finds the same records.

    goldens.py ASCOPE FORMAT.md DIR            prints TAP; DIR holds good/ and bad/, each NAME.ascope with NAME.expected
    goldens.py ASCOPE FORMAT.md DIR --write    writes the .expected files anew: look at the difference before it is committed

An .expected file holds, for `ascope info` and `ascope check`, the exit code and the lines that speak of the file's state.
Together the good ones must hold every kind and every encoding that FORMAT.md has, and every type of block.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, f"{os.path.dirname(os.path.abspath(__file__))}/../spec")
import compare  # noqa: E402
import read_capture  # noqa: E402


def run(ascope, command, path):
    done = subprocess.run([ascope, command, path], capture_output=True, timeout=60, check=False, env={**os.environ, "LC_ALL": "C"})
    text = (done.stdout + done.stderr).decode("utf-8", "replace").replace(path, "FILE").replace(os.path.basename(path), "FILE")
    return done.returncode, text.splitlines()


def state_of(lines):
    """Of what info prints: the verdict, and how the file is; not what it holds."""
    if not any(line.startswith("verdict") for line in lines):
        return lines
    keep, out = False, []
    for line in lines:
        if re.match(r"\S", line):
            keep = line.startswith(("verdict", "file", "ascope:"))
        if keep:
            out.append(line)
    return out


def commands(ascope):
    helps = subprocess.run([ascope, "--help"], capture_output=True, text=True, check=False).stdout
    return [c for c in ("info", "check") if f"\n  {c} " in helps]


def seen(ascope, path, command):
    code, lines = run(ascope, command, path)
    return [f"$ ascope {command}", f"exit {code}", *(state_of(lines) if command == "info" else lines)]


def sections(text):
    out = {}
    for line in text.splitlines():
        if line.startswith("$ ascope "):
            current = out.setdefault(line.split()[2], [])
        current.append(line)
    return out


def contents(data):
    """(kinds, encodings, types of blocks) of a whole capture."""
    kinds, encodings, types = set(), set(), set()
    at = int.from_bytes(data[12:16], "little")
    blocks = read_capture.Blocks(data, at, data[32:48], {})
    while (header := blocks.header(at)):
        payload = bytes(data[at + 80:at + 80 + header["size"]])
        raw = read_capture.ctypes.create_string_buffer(header["raw"] + 1)
        read_capture.zstd.ZSTD_decompress(raw, header["raw"], payload, len(payload))
        c = read_capture.Cursor(raw.raw[:header["raw"]])
        types.add(header["type"])
        for _ in range(header["sections"]):
            kind, _, columns, size = c.varint(), c.varint(), c.varint(), c.varint()
            body = read_capture.Cursor(c.take(size))
            kinds.add(kind)
            for _ in range(columns):
                body.varint()
                encodings.add(body.take(1)[0])
                body.varint()
        at += 80 + header["size"]
    return kinds, encodings, types


def documented(path):
    """(encodings, types of blocks) that FORMAT.md knows."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    five = re.search(r"\n## 5\..*?\n## 6\.", text, re.S)[0]
    three = re.search(r"\n## 3\..*?\n## 4\.", text, re.S)[0]
    return {int(n) for n in re.findall(r"^\| (\d+) \|", five, re.M)}, {int(n) for n in re.findall(r"^\| (\d+) \| [a-z]+ \|", three, re.M)}


class Tap:
    def __init__(self):
        self.n = self.failed = 0

    def say(self, name, wrong):
        self.n += 1
        self.failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.n} - {name}")
        for line in wrong[:12]:
            print(f"# {line[:300]}")


def check_file(ascope, kinds, path, expected, known):
    wrong = []
    for command in known:
        want, got = expected.get(command), seen(ascope, path, command)
        if want is None:
            wrong.append(f"nothing is expected of `ascope {command}`; run make goldens")
        elif want != got:
            wrong += [f"expected: {line}" for line in want if line not in got] + [f"got: {line}" for line in got if line not in want]
            wrong = wrong or ["the same lines in another order"]
    with open(path, "rb") as file:
        data = file.read()
    if (different := compare.difference(ascope, kinds, data)):
        wrong.append(f"two readers disagree: {different}")
    return wrong


def main():
    if len(sys.argv) not in (4, 5) or sys.argv[4:] not in ([], ["--write"]):
        print(__doc__, file=sys.stderr)
        return 2
    ascope, document, top = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3]
    known, kinds, tap = commands(ascope), read_capture.read_document(document), Tap()
    files = [f"{top}/{d}/{n}" for d in ("good", "bad") for n in sorted(os.listdir(f"{top}/{d}")) if n.endswith(".ascope")]
    found = set(), set(), set()
    for path in files:
        beside = path.removesuffix(".ascope") + ".expected"
        if sys.argv[4:]:
            with open(beside, "w", encoding="utf-8") as file:
                file.write("\n".join(line for c in known for line in seen(ascope, path, c)) + "\n")
            continue
        expected = {}
        if os.path.exists(beside):
            with open(beside, encoding="utf-8") as file:
                expected = sections(file.read())
        tap.say(path.removeprefix(f"{top}/"), check_file(ascope, kinds, path, expected, known))
        if "/good/" in path:
            with open(path, "rb") as file:
                for all_found, more in zip(found, contents(file.read())):
                    all_found |= more
    if sys.argv[4:]:
        return 0
    encodings, types = documented(document)
    missing = [f"kind {k} ({kinds[k][0]})" for k in kinds if k not in found[0]] + [f"encoding {e}" for e in encodings - found[1]] + \
              [f"type of block {t}" for t in types - found[2]]
    tap.say("the good ones hold every kind, encoding and type of block", [f"missing: {m}" for m in missing])
    print(f"1..{tap.n}")
    return 1 if tap.failed or len(files) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
