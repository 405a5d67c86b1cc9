#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The golden captures: what ascope says of each is what lies beside it, and the second reader finds the same records.

    goldens.py ASCOPE FORMAT.md DIR            prints TAP; DIR holds good/ and bad/, each NAME.ascope with NAME.expected
    goldens.py ASCOPE FORMAT.md DIR --write    writes the .expected files anew, and adds new captures to FROZEN: look at the difference before it is committed
    goldens.py DIR --frozen good/NAME          exit 0: it is frozen, or would be; 1: it may be written

An .expected file holds, for `ascope info` and `ascope check`, the exit code and the lines that speak of the file's state.
Together the good ones must hold every kind and every encoding that FORMAT.md has, and every type of block.

DIR/FROZEN has a line for each capture: the sha256 of the file, and of the records that are read from it. Both stay as they are for ever: these bytes are what
people have on their disks, and a later ascope must read of them what the first one did. What may change is what is said about them (.expected), and that later
columns are there, which read 0: so a value of 0, an empty or a missing one is not part of the second checksum.
"""
import hashlib
import json
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


FROZEN_HEAD = """# sha256 of the golden captures of format version 1, and of what is read of each (tests/golden/goldens.py). Lines are added by `make goldens`, and never
# changed: a capture that differs is restored (git checkout), a reader that reads another thing of one is wrong.
"""


def answers(ascope, path):
    """The sha256 of exit code and records, without values that are 0 or empty."""
    done = subprocess.run([ascope, "dump", "--json", path], capture_output=True, timeout=60, check=False)
    digest = hashlib.sha256(f"exit {done.returncode}\n".encode())
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        record = {k: v for k, v in json.loads(line).items() if v}
        digest.update((json.dumps(record, sort_keys=True) + "\n").encode())
    return digest.hexdigest()


def checksums(ascope, path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest(), answers(ascope, path)


def read_frozen(top):
    """{path below top: (sha256 of the file, of its answers)}"""
    try:
        with open(f"{top}/FROZEN", encoding="utf-8") as file:
            rows = [line.split() for line in file if not line.startswith("#")]
    except FileNotFoundError:
        return {}
    return {name: (data, records) for data, records, name in rows}


def check_frozen(ascope, top, files):
    """What is not as it was frozen."""
    frozen, wrong = read_frozen(top), []
    for path in files:
        name = path.removeprefix(f"{top}/")
        want, got = frozen.pop(name, None), checksums(ascope, path)
        if want is None:
            wrong.append(f"{name} is not in FROZEN: run `make goldens`")
        elif want[0] != got[0]:
            wrong.append(f"{name} was changed: restore it (git checkout); captures of a declared version are never replaced")
        elif want[1] != got[1]:
            wrong.append(f"{name}: other records are read from it than ever before: a reader that did so would do it to all files that people have")
    return wrong + [f"{name} is gone: restore it (git checkout)" for name in frozen]


def freeze(ascope, top, files):
    frozen = read_frozen(top)
    new = not frozen
    with open(f"{top}/FROZEN", "a", encoding="utf-8") as file:
        file.write(FROZEN_HEAD if new else "")
        for path in files:
            if (name := path.removeprefix(f"{top}/")) not in frozen:
                file.write("{} {} {}\n".format(*checksums(ascope, path), name))


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
    if len(sys.argv) == 4 and sys.argv[2] == "--frozen":
        return 0 if sys.argv[3] in read_frozen(sys.argv[1]) else 1
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
        freeze(ascope, top, files)
        return 0
    tap.say("all are as they were frozen, and read as ever", check_frozen(ascope, top, files))
    encodings, types = documented(document)
    missing = [f"kind {k} ({kinds[k][0]})" for k in kinds if k not in found[0]] + [f"encoding {e}" for e in encodings - found[1]] + \
              [f"type of block {t}" for t in types - found[2]]
    tap.say("the good ones hold every kind, encoding and type of block", [f"missing: {m}" for m in missing])
    print(f"1..{tap.n}")
    return 1 if tap.failed or len(files) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
