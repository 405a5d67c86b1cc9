# SPDX-License-Identifier: MIT OR Apache-2.0
"""What goes wrong in the field: no tables, code without a file, mappings that change, pages that are not there, threads that end or are not the program's."""
import os
import pathlib
import shutil

from recording import Capture, Program, Recorder
from stacks import allowed, fixture, functions, has_chain, let_go, record_attached, record_launched, record_running, settled, sleeps, text
from tap import TARGET, Failure, Skip, check

MS = 1_000_000
F0_F9 = [f"stacks::chain::f{i}" for i in reversed(range(10))]


def guessed(row):
    return row["fp_from"] is not None


def busy(work, *argv):
    """A program that computes, attached to: status -> samples and waits."""
    record_running(work, *argv, args=["--freq", "1999"])
    ends = Capture(work).ends()
    check(sum(ends.values()) > 400, f"too few to prove anything: {ends}")
    return ends


def all_whole(ends):
    total = sum(ends.values())
    check(total - ends.get("whole", 0) <= allowed(total), f"not whole: {ends}")
    return f"{ends.get('whole', 0)} of {total} whole"


# ---- how programs are built ----

def as_cargo_builds_it(work):
    """a release build: samples and waits are whole"""
    return all_whole(busy(work, fixture("stacks"), "burn", "60"))


def aborting_and_stripped(work):
    """panic=abort, stripped"""
    return all_whole(busy(work, fixture("stacks-stripped"), "burn", "60"))


def fat_lto(work):
    """fat LTO"""
    return all_whole(busy(work, fixture("stacks-fat"), "burn", "60"))


def c_program(work):
    """C without frame pointers: handlers, realigned stacks, alloca, longjmp"""
    return all_whole(busy(work, fixture("cstacks"), "60"))


def musl_static(work):
    """musl, static"""
    return all_whole(busy(work, fixture("stacks-musl"), "burn", "60"))


def musl_static_pie(work):
    """musl, static-pie, asleep below f0..f9"""
    record_launched(work, fixture("stacks-musl-pie"), "chain", "sleep", "0.6")
    capture = Capture(work)
    waits = settled(sleeps(capture.waits()))
    stacks = capture.stacks("kind = 'user'")
    check(len(waits) > 30 and all(w["stack_id"] for w in waits), f"{len(waits)} sleeps")
    for w in waits:
        check(w["status"] == "whole" and has_chain(stacks[w["stack_id"]], F0_F9), text(stacks[w["stack_id"]]))
    return f"{len(waits)} sleeps"


def without_tables(work):
    """no unwind tables: no stack claims to be whole without a mark"""
    record_running(work, fixture("stacks-no-tables"), "chain", "sleep", "60", seconds=0.6)
    capture = Capture(work)
    waits = sleeps(capture.waits())
    check(len(waits) > 30, f"only {len(waits)} sleeps were recorded")
    check(all(w["stack_id"] and w["depth"] >= 2 for w in waits), "sleeps without a stack")
    for w in waits:
        check(w["status"] != "whole" or guessed(w), text(capture.stacks(f"id = {w['stack_id']}")[w["stack_id"]]))
    ends = capture.ends()
    check(ends.get("no_table", 0) > 0 or any(guessed(w) for w in waits), f"ends: {ends}")
    return ", ".join(f"{status} {n}" for status, n in ends.items())


def other_word_size(work):
    """a 32-bit process: recorded, no stacks made up"""
    program = fixture("plain32")
    with Program(work, [program]) as p:
        try:
            record_attached(work, p.pid)
        finally:
            p.process.kill()
    capture = Capture(work)
    waits = capture.waits()
    check(len(waits) > 50, f"only {len(waits)} sleeps were recorded")
    check(not any(w["status"] == "whole" and w["depth"] > 2 for w in waits), "whole stacks of 32-bit code")
    return f"{len(waits)} sleeps, {sum(w['stack_id'] is None for w in waits)} without a stack"


# ---- code and mappings ----

def check_generated(work, page):
    capture = Capture(work)
    stacks = capture.stacks("kind = 'user'")
    waits = settled(sleeps(capture.waits()))
    check(len(waits) > 50, f"only {len(waits)} sleeps were recorded")
    for w in waits:
        stack = stacks[w["stack_id"]]
        check(stack["status"] == "whole", text(stack))
        check(has_chain(stack, ["stacks::jit::from_generated_code", "generated_function", "stacks::jit::run", "stacks::main", "_start"]), text(stack))
        code = next(f for f in stack["frames"] if f["function"] == "generated_function")
        check(code["kind"] == "jit" and page <= code["file_off"] < page + 4096, text(stack))
        check(stack["fp_from"] == code["depth"] + 1, f"the mark is not at the caller of the generated code:\n{text(stack)}")
    return f"{len(waits)} sleeps below generated code, all whole"


def perf_map(pid):
    return pathlib.Path(f"/tmp/perf-{pid}.map")


def generated_code(work):
    """JIT code: crossed by frame pointer, marked, named by its perf map"""
    with Program(work, [fixture("stacks"), "jit", "60"]) as p:
        try:
            p.await_line(r"^ready (\d+)$")
            record_attached(work, p.pid, 0.6)
        finally:
            perf_map(p.pid).unlink(missing_ok=True)
    return check_generated(work, int(p.said(r"^generated 0x([0-9a-f]+)$")[0], 16))


def generated_code_of_the_ended(work):
    """JIT code of a program that has ended before its perf map is copied"""
    with record_launched(work, fixture("stacks"), "jit", "0.6") as r:
        perf_map(r.said(r"^ready (\d+)$")[0]).unlink()
    return check_generated(work, int(r.said(r"^generated 0x([0-9a-f]+)$")[0], 16))


def late(capture, loaded, library, chain):
    """From dlopen's return to the first whole stack through the library, ns; and the stacks through it from then on."""
    stacks = capture.stacks("kind = 'user'")
    waits = [w for w in capture.waits() if w["stack_id"] and w["ts"] >= loaded]
    through = [w for w in waits if w["status"] == "whole" and has_chain(stacks[w["stack_id"]], chain) and
               any((f["module"] or "").endswith(library) for f in stacks[w["stack_id"]]["frames"])]
    check(through, f"no whole stack through {library}: {capture.ends()}")
    return through[0]["ts"] - loaded, [w for w in waits if w["ts"] >= through[0]["ts"]], stacks


def loaded_library(work):
    """dlopen: whole stacks through the library within 50 ms of its return"""
    with record_launched(work, fixture("stacks"), "dlopen", fixture("plugin_a.so"), "0.6") as r:
        loaded = int(r.said(r"^loaded (\d+) ")[0])
    delay, after, stacks = late(Capture(work), loaded, "plugin_a.so", ["stacks::loading::nap", "plugin_call", "stacks::loading::run_dlopen", "_start"])
    bad = [w for w in after if w["status"] != "whole"]
    check(not bad, f"{len(bad)} of {len(after)} stacks after that are not whole:\n{text(stacks[bad[0]['stack_id']])}" if bad else "")
    check(delay < 50 * MS, f"{delay / MS:.1f} ms")
    return f"{delay / MS:.1f} ms"


def replaced_library(work):
    """another library at the same address: no stack by the old table"""
    with record_launched(work, fixture("stacks"), "replace", fixture("plugin_a.so"), fixture("plugin_b.so")) as r:
        loads = r.said(r"^loaded (\d+) (\S+) 0x([0-9a-f]+)$")
    capture = Capture(work)
    delays = []
    for at, path, _ in loads:
        delay, after, stacks = late(capture, int(at), os.path.basename(path), ["stacks::loading::nap", "plugin_call", "stacks::loading::run_replace", "_start"])
        after = [w for w in after if w["ts"] < int(at) + 900 * MS]
        bad = [w for w in after if w["status"] != "whole" or not has_chain(stacks[w["stack_id"]], ["stacks::loading::run_replace", "_start"])]
        check(not bad, f"{path}: {len(bad)} of {len(after)} stacks are wrong:\n{text(stacks[bad[0]['stack_id']])}" if bad else "")
        check(delay < 50 * MS, f"{path}: {delay / MS:.1f} ms")
        delays.append(delay)
    same = loads[0][2][:-3] == loads[1][2][:-3]
    return f"{'the same address' if same else 'another address'}, {delays[0] / MS:.1f} and {delays[1] / MS:.1f} ms"


def another_program(work):
    """exec: whole stacks before and after"""
    record_launched(work, fixture("stacks"), "exec", "0.4")
    capture = Capture(work)
    stacks = capture.stacks("kind = 'user'")
    images = {}
    for w in sleeps(capture.waits()):
        if w["stack_id"]:
            images.setdefault(w["process_id"], []).append(w)
    check(len(images) == 2, f"{len(images)} program images sleep")
    shares = []
    for (_, waits), outer in zip(sorted(images.items()), ["stacks::loading::run_exec", "stacks::chain::run"]):
        whole = [w for w in waits if w["status"] == "whole" and has_chain(stacks[w["stack_id"]], [*F0_F9, outer, "_start"])]
        first_whole = whole[0]["ts"] - waits[0]["ts"] if whole else 0
        check(whole and first_whole < 50 * MS, f"{len(whole)} of {len(waits)} sleeps below {outer} are whole, the first after {first_whole / MS:.1f} ms")
        check(all(w in whole for w in waits if w["ts"] >= whole[0]["ts"]), f"not whole after a whole one: {outer}")
        shares.append(f"{len(whole)} of {len(waits)}")
    return " and ".join(shares) + " sleeps whole"


def check_attached_chain(work, *query):
    capture = Capture(work, *query)
    stacks = capture.stacks("kind = 'user'")
    waits = sleeps(capture.waits())
    check(len(waits) > 50, f"only {len(waits)} sleeps were recorded")
    for w in waits:
        check(w["status"] == "whole" and has_chain(stacks[w["stack_id"]], [*F0_F9, "_start"]), text(stacks[w["stack_id"]]))
    return f"{len(waits)} sleeps, all whole"


def deleted_program(work):
    """a program whose file is deleted, then attached to"""
    copy = f"{work}/deleted"
    shutil.copy(fixture("stacks"), copy)
    with Program(work, [copy, "chain", "sleep", "30"]) as p:
        p.await_line(r"^ready (\d+)$")
        os.unlink(copy)
        record_attached(work, p.pid)
    return check_attached_chain(work, "--target", fixture("stacks"))


def other_mounts(work):
    """a program in its own mount namespace, at a path that is another file outside"""
    inside = f"{work}/inside"
    os.mkdir(inside)
    pathlib.Path(inside, "stacks").write_bytes(b"not this one")
    script = 'mount -t tmpfs none "$1" && cp "$2" "$1/stacks" && exec "$1/stacks" chain sleep 30'
    with Program(work, ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", inside, os.path.realpath(fixture("stacks"))]) as p:
        try:
            p.await_line(r"^ready (\d+)$")
        except Failure as failure:
            raise Skip(f"cannot make a mount namespace: {failure}") from None
        record_attached(work, p.pid)
    return check_attached_chain(work, "--target", fixture("stacks"))


def other_root(work):
    """a static program below another root directory"""
    inside = f"{work}/root"
    os.mkdir(inside)
    shutil.copy(fixture("stacks-musl-pie"), f"{inside}/stacks")
    with Program(work, ["chroot", inside, "/stacks", "chain", "sleep", "30"]) as p:
        p.await_line(r"^ready (\d+)$")
        record_attached(work, p.pid)
    capture = Capture(work, "--target", fixture("stacks-musl-pie"))
    ends = capture.ends()
    check(set(ends) == {"whole"} and ends["whole"] > 50, f"{ends}")
    return f"{ends['whole']} whole"


# ---- stacks and threads ----

def too_deep(work):
    """300 frames: truncated at exactly 256"""
    record_running(work, fixture("stacks"), "deep", "60", seconds=0.5, args=["--freq", "999"])
    capture = Capture(work)
    deep = [s for s in capture.stacks("kind = 'user'").values() if s["frames"] and any("stacks::deep::level" in f for f in functions(s))]
    check(len(deep) > 1, f"{len(deep)} stacks are deep")
    samples = {s["stack_id"] for s in capture.query("SELECT DISTINCT stack_id FROM sample")}
    for stack in deep:  # a sample has 256 callers and the interrupted address
        check((stack["status"], stack["depth"]) == ("truncated", 256 + (stack["id"] in samples)), text(stack))
    return f"{len(deep)} stacks"


def forked_stacks(work):
    """{status: waits} of a child that shares its stack with its parent."""
    with Recorder(work, "--stacks", "all", "--", fixture("stacks"), "--go", "fork", "0.5") as r:
        let_go(r)
        r.finish()
        child = int(r.said(r"^child (\d+)$")[0])
    capture = Capture(work)
    stacks = capture.stacks("kind = 'user'")
    waits = [w for w in capture.waits() if w["pid"] == child and w["syscall"] == "poll"]
    check(len(waits) > 20 and all(w["stack_id"] for w in waits), f"{len(waits)} waits of the child")
    seen = {}
    for w in waits:
        stack = stacks[w["stack_id"]]
        seen[stack["status"]] = seen.get(stack["status"], 0) + 1
        check(stack["status"] in ("whole", "fault") and not guessed(w), text(stack))
        check(has_chain(stack, ["poll", "stacks::forked::inner", "stacks::forked::middle"]), text(stack))
        if stack["status"] == "whole":
            check(has_chain(stack, ["stacks::forked::inner", "stacks::forked::middle", "stacks::forked::outer", "stacks::forked::on_shared_stack"]), text(stack))
    return seen


def untouched_stack(work):
    """a forked child whose outer stack pages are not mapped: cut with the reason, or whole, never wrong"""
    seen = forked_stacks(work)
    check(seen.get("fault", 0) > 20, f"hardly one was cut, so this proves nothing: {seen}")
    return ", ".join(f"{status} {n}" for status, n in seen.items())


def same_place_other_callers(work):
    """the same place, stack pointer and return address below two callers: each wait has the caller it had"""
    with Recorder(work, "--stacks", "all", "--", fixture("stacks"), "--go", "twins", "0.8") as r:
        go = let_go(r)
        r.finish()
        order = r.said(r"^order ([abc]+)$")[0]
    capture = Capture(work)
    stacks = capture.stacks("kind = 'user'")
    seen = ""
    below = {"a": ["nap", "middle", "twin_a"], "b": ["nap", "middle", "twin_b"], "c": ["nap", "other"]}
    for w in sleeps(capture.waits()):
        if w["ts"] < go:
            continue
        stack = stacks[w["stack_id"]]
        check(stack["status"] == "whole", text(stack))
        seen += next((letter for letter, names in below.items() if has_chain(stack, [f"stacks::twins::{n}" for n in names])), "?")
    check(len(seen) > 100, f"only {len(seen)} waits")
    check(seen == order, f"{sum(a != b for a, b in zip(seen, order))} of {len(order)} are wrong:\nprogram {order}\ncapture {seen}")
    reused = capture.query("SELECT value FROM total WHERE key = 'walks.reused'")
    return f"{len(seen)} waits, {reused[0]['value'] if reused else '?'} stacks reused"


def ending_threads(work):
    """threads and processes that end while they are sampled"""
    with Recorder(work, "--stacks", "all", "--freq", 1999, "--", fixture("stacks"), "--go", "churn", "0.8") as r:
        go = let_go(r)
        r.finish()
    capture = Capture(work)
    threads = capture.query("SELECT count(*) AS n FROM thread")[0]["n"]
    check(threads > 20, f"{threads} threads")
    # a thread that begins stands in glibc's clone3, behind the system call, where no unwind information can be right
    rows = capture.query("SELECT s.status, s.depth > 1 AS deep, count(*) AS n FROM (SELECT ts, stack_id FROM sample UNION ALL SELECT ts, stack_id FROM offcpu) AS e "
                         f"JOIN stack AS s ON s.id = e.stack_id WHERE e.ts > {go} GROUP BY 1, 2")
    total, whole = sum(r["n"] for r in rows), sum(r["n"] for r in rows if r["status"] == "whole")
    cut = sum(r["n"] for r in rows if r["status"] != "whole" and r["deep"])
    check(whole > 300 and cut <= allowed(total) and whole >= total * 0.75, f"{rows}")
    return f"{threads} threads; {whole} of {total} whole, {cut} cut, {total - whole - cut} at a thread's first instruction"


def kernel_workers(work):
    """io_uring's worker threads: no user stacks, the program's own are whole"""
    with record_launched(work, fixture("stacks"), "uring", "0.5") as r:
        unavailable = r.said(r"^unavailable: (.*)$")
    if unavailable:
        raise Skip(f"no io_uring: {unavailable[0]}")
    capture = Capture(work)
    waits = capture.waits()
    workers = [w for w in waits if w["thread"].startswith("iou-wrk")]
    own = settled([w for w in sleeps(waits) if w not in workers])
    check(workers, f"no worker's waits among {len(waits)}")
    check(not any(w["stack_id"] for w in workers), "user stacks of kernel workers")
    check(len(own) > 20 and all(w["status"] == "whole" for w in own), f"{capture.ends()}")
    return f"{len(workers)} waits of workers without a user stack, {len(own)} of the program whole"


def of_tokio(work):
    """a Tokio program: samples and waits are whole"""
    program = str(TARGET / "release/scenarios")
    return all_whole(busy(work, program, "cooperative", "--seconds", "60", "--dir", work))


TESTS = [as_cargo_builds_it, of_tokio, aborting_and_stripped, fat_lto, c_program, musl_static, musl_static_pie, without_tables, other_word_size,
         generated_code, generated_code_of_the_ended, loaded_library, replaced_library, another_program, deleted_program, other_mounts, other_root, too_deep,
         untouched_stack, same_place_other_callers, ending_threads, kernel_workers]
