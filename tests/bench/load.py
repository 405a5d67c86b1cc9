# SPDX-License-Identifier: MIT OR Apache-2.0
"""What making a database of a capture costs, beside SQLite's own work for as many rows, and beside `perf script`.

Captures are long_capture.c's: of ten off-CPU intervals one lies in a poll, and every sample. Each round runs, one behind the other: the first report of
blocking (which loads the rows of reported polls), a second one, a load of all rows (`query --load`) into a fresh database, and bare_insert.c with as many
rows as that has. Ratios are of CPU times (user and kernel) of one round, since other programs on the machine disturb the wall clock of each
differently; the wall clock is told, too. Rows are those of tables _offcpu, _sample and poll.
"""
import os
import sqlite3
import subprocess
import time

from harness import Failed

MILLIONS, SECONDS = 10, 200
LARGE, LARGE_SECONDS = 30, 600
PERF_SWITCHES = 200_000


def run(argv, stdout=subprocess.PIPE):
    """{s, cpu, MB, said} of a command: wall clock, CPU time, largest resident size."""
    start = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = time.monotonic() - start
    if process.returncode:
        raise Failed(f"{' '.join(argv)}: exit code {process.returncode}: {errors[-300:].strip()}")
    return {"s": took, "cpu": usage.ru_utime + usage.ru_stime, "MB": usage.ru_maxrss / 1024, "said": said}


def forget(db):
    if os.path.exists(db):
        os.unlink(db)


def count(db):
    """(rows, bytes of the file, events of the capture)"""
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as connection:
        rows = sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("_offcpu", "_sample", "poll"))
        events = connection.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'ascope.events'").fetchone()[0]
    connection.close()
    return rows, os.path.getsize(db), events


def measure(place, maker, bare, rounds):
    """The figures of each round on one capture of MILLIONS, and those of one of LARGE."""
    file, db = place.file("long.ascope"), place.file("long.ascope.db")
    run([maker, file, str(MILLIONS), str(SECONDS)])
    found = {"first": [], "second": [], "load": [], "bare": []}
    for _ in range(rounds):
        forget(db)
        found["first"].append(run([place.ascope, "report", "--blocking", file]))
        found["second"].append(run([place.ascope, "report", "--blocking", file]))
        forget(db)
        found["load"].append(run([place.ascope, "query", file, "--load"]))
        rows, size, events = count(db)
        forget(db)
        found["bare"].append(run([bare, place.file("bare.db"), str(rows)]))
        forget(place.file("bare.db"))
    run([maker, file, str(LARGE), str(LARGE_SECONDS)])
    large = [run([place.ascope, "report", "--blocking", file]), run([place.ascope, "query", file, "--load"])]
    forget(db)
    forget(file)
    return found, large, {"rows": rows, "bytes": size, "events": events}


def perf_rate(place):
    """Events a CPU second that `perf script` prints: those of a pipe's two ends, of the kinds that ascope records, with stacks, as a capture has them."""
    data = place.file("perf.data")
    run([place.perf, "record", "-q", "-g", "-o", data, "-e", "sched:sched_switch,sched:sched_waking,cpu-clock", "-m", "8M", place.perf, "bench", "sched",
         "pipe", "-l", str(PERF_SWITCHES)])
    with open(place.file("script.txt"), "w+", encoding="utf-8", errors="replace") as out:
        r = run([place.perf, "script", "-i", data], stdout=out)
        out.seek(0)
        events = sum("sched:sched_" in line or " cpu-clock:" in line for line in out)
    if events < PERF_SWITCHES:
        raise Failed(f"perf printed {events} events only")
    return events / r["cpu"], events
