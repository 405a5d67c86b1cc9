#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of several runtimes and several copies of Tokio in one process (fixtures/plugin).

    copies.py [NAME...]        prints TAP; exit 1 when a test fails
"""
import os
import pathlib
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import score  # noqa: E402  # pylint: disable=wrong-import-position
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import RELEASE, Capture, Program, Recorder, agree, record  # noqa: E402  # pylint: disable=wrong-import-position
from tap import Skip, check, stalls  # noqa: E402  # pylint: disable=wrong-import-position

PLUGIN = RELEASE / "libplugin.so"
SECONDS = 4  # of a recording


def runtimes(capture):
    return capture.query("SELECT runtime_id, flavor, workers, module, found_by, tick_valid FROM runtime ORDER BY runtime_id")


def runtime_of_function(capture, truths):
    """function -> the runtimes that its rows name, which must be one."""
    found = {}
    for row in capture.rows():
        found.setdefault(score.own_name(row["function"]), set()).add(row["runtime_id"])
    check(all(len(ids) == 1 and None not in ids for ids in found.values()), f"rows of one function in several runtimes: {found}")
    return {function: ids.pop() for function, ids in found.items()}


def flavors(capture, module):
    """(flavor, workers) of the runtimes of a module, whose ticks must all be proven."""
    rows = [row for row in runtimes(capture) if os.path.basename(row["module"] or "") == module]
    check(all(row["tick_valid"] for row in rows), f"a tick is not proven: {rows}")
    return sorted((row["flavor"], row["workers"]) for row in rows)


def expect_plugin(capture, by_function):
    modules = {row["runtime_id"]: os.path.basename(row["module"] or "") for row in runtimes(capture)}
    for function, runtime in by_function.items():
        wanted = "libplugin.so" if function.startswith("in_plugin") else "host"
        check(modules[runtime] == wanted, f"{function} ran in the runtime of {modules[runtime]}, should be {wanted}'s")
    got = flavors(capture, "libplugin.so")
    check(got == [("current_thread", 1), ("multi_thread", 3)], f"the library's runtimes: {got}")
    missing = {"in_plugin", "in_plugin_beside", "in_plugin_spin"} - set(by_function)
    check(not missing, f"no rows of {missing}")


def with_host(work, delay, attach_after, plugin=PLUGIN, host=RELEASE / "host"):
    truths = [f"{work}/host.truth", f"{work}/plugin.truth"]
    argv = [str(host), str(plugin), str(attach_after + SECONDS + 1), str(delay), truths[1]]
    with Program(work, argv, env={**os.environ, "ASCOPE_TRUTH": truths[0]}) as p:
        p.await_line(r"^(ready)")
        time.sleep(attach_after)
        capture = record(work, p.pid, SECONDS)
        p.finish()
    line = agree("host and library", capture, truths, 30)
    by_function = runtime_of_function(capture, truths)
    check("in_host" in by_function, f"no rows of the host: {by_function}")
    expect_plugin(capture, by_function)
    got = flavors(capture, os.path.basename(host))
    check(got == [("multi_thread", 2)], f"the host's runtimes: {got}")
    return line


def library_loaded_before(work):
    """Two copies of Tokio in one process, both at work when recording begins."""
    return with_host(work, 0, 0.5)


def library_loaded_later(work):
    """The library is loaded a second after the recording began."""
    return with_host(work, 1.5, 0.2)


def stripped_library_and_host(work):
    """No symbols: both are found by their shape; names come from the files that still have them."""
    plugin, host = pathlib.Path(work) / "libplugin.so", pathlib.Path(work) / "host"
    for source, stripped in ((PLUGIN, plugin), (RELEASE / "host", host)):
        subprocess.run(["strip", "-o", stripped, source], check=True)
    argv = [str(host), str(plugin), str(SECONDS + 2), "0", f"{work}/plugin.truth"]
    with Program(work, argv) as p:
        p.await_line(r"^(ready)")
        time.sleep(0.5)
        capture = record(work, p.pid, SECONDS)
        p.finish()
    found = {(os.path.basename(row["module"] or ""), row["flavor"], row["workers"], row["found_by"]) for row in runtimes(capture)}
    wanted = {("host", "multi_thread", 2, "scan"), ("libplugin.so", "multi_thread", 3, "scan"), ("libplugin.so", "current_thread", 1, "scan")}
    check(found == wanted, f"runtimes: {found}")
    entries = score.read_truth(f"{work}/plugin.truth")
    rows = [r for r in capture.rows() if r["runtime_id"] != host_runtime(capture)]
    result = score.score("stripped", entries, rows, None, score.Rules(stalls=stalls()))
    window = capture.query("SELECT ts_start, ts_end FROM capture")[0]
    missed = [e for e in result.missed if window["ts_start"] <= e.t0 and e.t1 <= window["ts_end"]]
    check(not missed and not result.false, f"missed {missed}, false {result.false}")
    return f"{result.found} of the library's polls found"


def host_runtime(capture):
    return next(row["runtime_id"] for row in runtimes(capture) if row["module"].endswith("/host"))


def library_in_python(work):
    """The program itself has no Tokio: Python loads the library."""
    truth = f"{work}/plugin.truth"
    script = ("import ctypes, sys, time; print('ready', flush=True); time.sleep(1); plugin = ctypes.CDLL(sys.argv[1]); "
              "plugin.plugin_run(ctypes.c_double(float(sys.argv[2])), sys.argv[3].encode())")
    with Program(work, [sys.executable, "-c", script, str(PLUGIN), str(SECONDS), truth]) as p:
        p.await_line(r"^(ready)")
        capture = record(work, p.pid, SECONDS)
        p.finish()
    line = agree("python", capture, [truth], 20)
    expect_plugin(capture, runtime_of_function(capture, [truth]))
    check(len(runtimes(capture)) == 2, f"runtimes: {runtimes(capture)}")
    return line


REFUSED = """
__thread int value = 1;
const char *source(void) { return "/registry/tokio-1.54.1/src/runtime/context.rs"; }
int get(void) { return value; }
"""


def library_that_cannot_be_read(work):
    """One that was built for TLS descriptors: the recorder and the capture say so, and nothing is guessed."""
    path = pathlib.Path(work) / "librefused.so"
    build = subprocess.run(["cc", "-O2", "-fPIC", "-shared", "-mtls-dialect=gnu2", "-x", "c", "-", "-o", path], input=REFUSED, text=True, capture_output=True, check=False)
    if build.returncode:
        raise Skip(f"cc: {build.stderr.strip()[:200]}")
    script = "import ctypes, sys, time; ctypes.CDLL(sys.argv[1]).get(); print('ready', flush=True); time.sleep(30)"
    with Program(work, [sys.executable, "-c", script, str(path)]) as p:
        p.await_line(r"^(ready)")
        with Recorder(work, "--duration", "0.5", "-p", p.pid) as r:
            r.finish()
    said = r.err.read_text()
    check("librefused.so" in said and "TLS descriptors" in said, f"the recorder said: {said}")
    meta = Capture(work).query("SELECT value FROM meta WHERE key = 'tokio.unreadable'")
    check(len(meta) == 1 and meta[0]["value"].startswith("librefused.so: "), f"meta: {meta}")
    check(not runtimes(Capture(work)), "a runtime was found")


def several_runtimes(work):
    """Four runtimes of one copy, one of which starts 1 s after the recording; workers go on as threads that join later."""
    truth = f"{work}/truth"
    argv = [str(RELEASE / "runtimes"), str(SECONDS + 1.5), "1.5"]
    with Program(work, argv, env={**os.environ, "ASCOPE_TRUTH": truth}) as p:
        p.await_line(r"^(ready)")
        time.sleep(0.4)
        capture = record(work, p.pid, SECONDS)
        p.finish()
    line = agree("several runtimes", capture, [truth], 30)
    by_function = runtime_of_function(capture, [truth])
    wanted = {"in_first": ("multi_thread", 2), "in_second": ("multi_thread", 3), "in_local": ("current_thread", 1), "in_late": ("multi_thread", 4)}
    check(set(by_function) == set(wanted), f"functions with rows: {by_function}")
    check(len(set(by_function.values())) == 4, f"runtimes are mixed up: {by_function}")
    by_id = {row["runtime_id"]: (row["flavor"], row["workers"]) for row in runtimes(capture)}
    check(len(by_id) == 4, f"runtimes: {by_id}")
    for function, runtime in by_function.items():
        check(by_id[runtime] == wanted[function], f"{function} ran in {by_id[runtime]}, should be {wanted[function]}")
    joined = capture.query(f"SELECT count(DISTINCT thread_id) AS n FROM worker WHERE runtime_id = {by_function['in_first']}")[0]["n"]
    check(joined > 2, f"{joined} threads served the first runtime's two workers: none joined later")
    late = capture.query(f"SELECT min(w.ts) - c.ts_start AS after FROM worker AS w, capture AS c WHERE w.runtime_id = {by_function['in_late']}")
    check(late[0]["after"] > 500_000_000, f"the late runtime was there from the beginning: {late}")
    return line


TESTS = [library_loaded_before, library_loaded_later, stripped_library_and_host, library_in_python, library_that_cannot_be_read, several_runtimes]

if __name__ == "__main__":
    needed = (RELEASE / "host", PLUGIN, RELEASE / "runtimes")
    sys.exit(tap.main(tap.Suite("copies:", tap.named(TESTS), tap.title_in_words, needed), sys.argv[1:]))
