#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""case_pprof.py: export --pprof in Go's own pprof: -top, -raw and -tags of the demo say what SQL says; names that mean harm are text."""
import os
import re
import shutil
import sqlite3
import subprocess
import sys

ASCOPE, FOLDER, DEMO = os.environ["ASCOPE"], os.environ["VIEWERS"], os.environ["DEMO"]
HARM = b"<script>alert(1)</script>\x1b]0;x\x07\n;\"'\xff"
n = failed = 0


def ok(good, what, why=""):
    global n, failed
    n += 1
    failed += not good
    print(f"{'' if good else 'not '}ok {n} - {what}", flush=True)
    if not good:
        print("# " + str(why)[:2000].replace("\n", "\n# "), flush=True)


def pprof(*arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}  # with a cache of its own Go would compile its pprof anew
    r = subprocess.run(["go", "tool", "pprof", *arguments], capture_output=True, text=True, timeout=250, env={**env, "PPROF_TMPDIR": FOLDER})
    if r.returncode:
        raise RuntimeError(r.stderr[-1000:])
    return r.stdout


def export(name, capture, *options):
    file = os.path.join(FOLDER, name)
    r = subprocess.run([ASCOPE, "export", "--pprof", "--force", "-o", file, *options, capture], capture_output=True)
    if r.returncode not in (0, 3):
        raise RuntimeError(r.stderr.decode(errors="replace"))
    return file


def raw_total(text, column):
    """Sum of a value of all samples: "1 2004008: 5 6 7" is a count, a time, and places."""
    total = 0
    for line in text.split("\nSamples:\n")[1].split("\nLocations\n")[0].splitlines()[1:]:
        head = line.split(":")[0].split()
        if len(head) == 2 and all(h.isdigit() for h in head):
            total += int(head[column])
    return total


def totals(db):
    end = "(SELECT ts_end FROM capture)"
    wanted = {
        "oncpu": "SELECT count(*) * (SELECT sample_period FROM capture) FROM sample",
        "offcpu": f"SELECT sum(coalesce(ts_waking, ts + dur, {end}) - ts) FROM offcpu WHERE state NOT IN ('R', 'X', 'Z') AND role <> 'parked'",
        "blocking": "SELECT sum(off_cpu + on_cpu + runnable) FROM blocking",
    }
    wanted = {kind: db.execute(query).fetchone()[0] for kind, query in wanted.items()}
    wanted["wall"] = wanted["oncpu"] + wanted["offcpu"]
    for kind, ns in wanted.items():
        file = export(f"demo.{kind}.pb.gz", DEMO, f"--{kind}")
        top = pprof("-top", "-unit=ns", file)
        ok(f"Total samples = {ns}ns" in top or f"of {ns}ns total" in top, f"pprof -top --{kind}: its total is SQL's", f"{ns}\n{top[:600]}")
        got = raw_total(pprof("-raw", file), 1)
        ok(got == ns and ns > 0, f"pprof -raw --{kind}: its samples add up to SQL's total", f"{got} is not {ns}")


def main():
    if not shutil.which("go"):
        print("ok 1 - Go's pprof reads it # SKIP no Go here (Debian: apt-get install golang-go)")
        return 0
    try:
        pprof("-h")
    except RuntimeError as e:
        if "flag: help requested" not in str(e) and "usage" not in str(e).lower():
            print(f"ok 1 - Go's pprof reads it # SKIP this Go has no pprof: {str(e).splitlines()[-1:]}")
            return 0
    subprocess.run([ASCOPE, "export", "--chrome", "-o", os.devnull, "--force", DEMO], capture_output=True)  # which loads all rows
    db = sqlite3.connect(f"file:{DEMO}.db?mode=ro", uri=True)
    totals(db)
    top = pprof("-top", "-unit=ns", export("demo.oncpu.pb.gz", DEMO, "--oncpu"))
    ok(re.search(r"hash_password$", top, re.M), "pprof -top: the demo hashes passwords", top[:800])
    mappings = pprof("-raw", "-symbolize=none", os.path.join(FOLDER, "demo.oncpu.pb.gz")).split("\nMappings\n")[1].splitlines()
    ok(len(mappings) > 1 and all(line.endswith("[FN][FL][LN][IN]") for line in mappings),
       "pprof takes no names from a file that lies where the program was", mappings)
    tags = pprof("-tags", export("demo.class.pb.gz", DEMO, "--blocking", "--by", "class"))
    classes = {c for (c,) in db.execute("SELECT DISTINCT class FROM blocking WHERE class IS NOT NULL")}
    missing = [c for c in classes if not re.search(rf"\b{re.escape(c)}$", tags, re.M)]
    ok(not missing, "pprof -tags: classes of blocking", f"{missing} not in\n{tags[:1500]}")
    db.close()
    capture = os.path.join(FOLDER, "pprof-spoiled.ascope")
    for suffix in ("", ".db"):
        shutil.copy2(DEMO + suffix, capture + suffix)
    db = sqlite3.connect(capture + ".db")
    for table, column in (("symbol", "function"), ("symbol", "file"), ("module", "path"), ("thread", "name")):
        db.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) || {column} WHERE {column} IS NOT NULL", (HARM,))
    db.commit()
    db.close()
    top = pprof("-top", "-unit=ns", export("spoiled.pb.gz", capture, "--wall"))
    ok("hash_password" in top and not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", top), "names that mean harm: pprof prints no control byte", repr(top[:800]))
    print(f"1..{n}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
