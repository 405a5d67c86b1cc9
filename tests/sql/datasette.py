#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""datasette.py: the database of the kept capture as Datasette and sqlite-utils, from PyPI, see it: set up as doc/sql.md says.

usage: datasette.py OUT

The packages go into OUT/sql-tools, a virtual environment that is made the first time (python3-venv, network). Prints TAP.
"""
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv

PACKAGES = ["datasette==0.65.5", "sqlite-utils==4.2.1"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Tests:
    def __init__(self):
        self.n = self.failed = 0

    def check(self, name, good, why=""):
        self.n += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.n} - {name}", flush=True)
        if not good:
            print("# " + str(why)[:2000].replace("\n", "\n# "))


def tools(out):
    """Folder of the programs; installs them when they are not there."""
    folder = os.path.join(out, "sql-tools")
    if not os.path.exists(os.path.join(folder, "bin", "datasette")):
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([os.path.join(folder, "bin", "pip"), "install", "--quiet", *PACKAGES], check=True)
    return os.path.join(folder, "bin")


def output(*command):
    r = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return r.stdout if r.returncode == 0 else f"exit {r.returncode}: {r.stderr}"


def documented_metadata():
    """What doc/sql.md has people write into metadata.json."""
    text = open(os.path.join(ROOT, "doc", "sql.md"), encoding="utf-8").read()
    return json.loads(re.search(r"cat >metadata.json <<'END'\n(.*?)\nEND\n", text, re.S).group(1))


def datasette_tests(t, get, ascope_rows, views):
    home = json.loads(get("/orders.json"))
    tables = {x["name"]: x for x in home["tables"]}
    t.check("tables that are internal are hidden, others are not",
            all(x["hidden"] == name.startswith(("_", "sqlite_")) for name, x in tables.items()),
            [(n, x["hidden"]) for n, x in tables.items()])
    t.check("every view is listed", {v["name"] for v in home["views"]} == set(views), home["views"])
    for name in sorted(tables) + sorted(views):
        page = get(f"/orders/{name}.json?_shape=objects&_size=5")
        t.check(f"{name} can be read", page.startswith("{") and "rows" in json.loads(page), page)
    thread = json.loads(get("/orders/thread.json?_labels=on&_shape=array"))
    t.check("a thread's process is a link with its name", {r["process_id"]["label"] for r in thread} == {"orders"}, thread)
    page = get("/orders/poll")
    t.check("a poll's thread is a link with its name", bool(re.search(r'<a href="/orders/thread/\d+">tokio-rt-worker</a>', page)), page[-2000:])
    t.check("a poll's stack is a link", bool(re.search(r'col-stack_id[^>]*><a href="/orders/stack/\d+">', page)), page[-2000:])
    row = get("/orders/process/1")
    t.check("a process leads to its threads", "/orders/thread?process_id=1" in row, row[-2000:])
    facet = json.loads(get("/orders/poll.json?_facet=class&_size=1"))["facet_results"]["class"]["results"]
    sums = {r["class"]: r["n"] for r in ascope_rows("SELECT class, count(*) AS n FROM poll GROUP BY class")}
    t.check("facets count as SQL does", {f["value"]: f["count"] for f in facet} == sums, facet)
    rows = json.loads(get("/orders.json?sql=SELECT+*+FROM+blocking+ORDER+BY+ts,+poll_id&_shape=array"))
    t.check("blocking is the same as through ascope query", rows == ascope_rows("SELECT * FROM blocking ORDER BY ts, poll_id"), rows[:1])
    page = get("/orders.json?sql=SELECT+time,+busy+FROM+v_utilisation_ts+ORDER+BY+time&_shape=array")
    t.check("time of the views for Grafana is unix seconds", 1.7e9 < json.loads(page)[0]["time"] < 4e9, page)


def sqlite_utils_tests(t, run):
    counts = {x["table"]: x["count"] for x in json.loads(run("tables", "--counts"))}
    t.check("sqlite-utils counts rows", counts["poll"] > 100 and counts["capture"] == 1, counts)
    keys = run("query", "SELECT \"table\", \"from\" FROM pragma_foreign_key_list('poll')")
    t.check("sqlite-utils sees foreign keys", {k["from"] for k in json.loads(keys)} >= {"thread_id", "stack_id", "runtime_id"}, keys)
    rows = run("rows", "blocking", "--limit", "3")
    t.check("sqlite-utils reads views", len(json.loads(rows)) == 3 and "held" in json.loads(rows)[0], rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = os.path.abspath(sys.argv[1])
    ascope, bin_ = os.path.join(out, "ascope"), tools(out)
    t = Tests()
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        captures = os.path.join(ROOT, "fixtures", "captures")
        shutil.copy(os.path.join(captures, "demo.ascope"), "orders.ascope")
        with gzip.open(os.path.join(captures, "demo.names.gz")) as a, open("names", "wb") as b:
            shutil.copyfileobj(a, b)
        with open("metadata.json", "w", encoding="utf-8") as f:
            json.dump(documented_metadata(), f)

        def ascope_rows(sql):
            return json.loads(output(ascope, "query", "--db", "orders.db", "--target", "names", "--json", "orders.ascope", sql))

        ascope_rows("SELECT count(*) FROM offcpu, (SELECT count(*) FROM perf_sample)")  # loads all
        views = [r["name"] for r in ascope_rows("SELECT name FROM sqlite_schema WHERE type = 'view'")]
        datasette = [os.path.join(bin_, "datasette"), "orders.db", "--metadata", "metadata.json", "--setting", "sql_time_limit_ms", "10000", "--get"]
        datasette_tests(t, lambda path: output(*datasette, path), ascope_rows, views)
        utils = os.path.join(bin_, "sqlite-utils")
        sqlite_utils_tests(t, lambda command, *args: output(utils, command, "orders.db", *args))
    print(f"1..{t.n}")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
