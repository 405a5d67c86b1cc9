#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Two readers of the same captures must agree: `ascope dump --json` and read_capture.py, which knows nothing but FORMAT.md.

    compare.py ASCOPE FORMAT.md CAPTURE...      prints TAP

Each capture is compared whole, cut at some places, and with some bytes changed: the same records must be found, and both must say that something is wrong.
"""
import io
import json
import random
import subprocess
import sys
import tempfile

import read_capture

CUTS, FLIPS = 10, 30


def by_ascope(ascope, path):
    run = subprocess.run([ascope, "dump", "--json", path], capture_output=True, timeout=60)
    return run.returncode, run.stdout.decode("utf-8", "replace")


def by_document(kinds, data):
    out = io.StringIO()
    try:
        whole = read_capture.read_file(data, kinds, out)
    except ValueError:
        return 1, ""
    return 0 if whole else 3, out.getvalue()


def records(text):
    return [json.loads(line) for line in text.splitlines()]


def difference(ascope, kinds, data):
    """What the two disagree on, or None."""
    with tempfile.NamedTemporaryFile(suffix=".ascope") as file:
        file.write(data)
        file.flush()
        code, text = by_ascope(ascope, file.name)
    want_code, want = by_document(kinds, data)
    if code != want_code:
        return f"exit code of dump {code}, of the other reader {want_code}"
    if text == want:
        return None
    a, b = records(text), records(want)
    for number, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"record {number}: dump {x}, the other reader {y}"
    return None if len(a) == len(b) else f"{len(a)} records by dump, {len(b)} by the other reader"


def variants(data, name):
    yield f"{name} whole", data
    draw = random.Random(name)
    for _ in range(CUTS):
        at = draw.randrange(len(data))
        yield f"{name} cut at {at}", data[:at]
    for _ in range(FLIPS):
        at = draw.randrange(len(data))
        yield f"{name} byte {at} changed", data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1:]


def main():
    ascope, document, *captures = sys.argv[1:]
    kinds = read_capture.read_document(document)
    if not captures or len(kinds) < 20:
        print("Bail out! no captures, or FORMAT.md has no tables")
        return 1
    failed = 0
    for number, path in enumerate(captures, 1):
        name = path.rsplit("/", 1)[-1]
        with open(path, "rb") as file:
            data = file.read()
        found = [(what, wrong) for what, variant in variants(data, name) if (wrong := difference(ascope, kinds, variant))]
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {name}: two readers agree, whole and damaged")
        for what, wrong in found[:5]:
            print(f"# {what}: {wrong[:400]}")
    print(f"1..{len(captures)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
