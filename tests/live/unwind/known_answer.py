# SPDX-License-Identifier: MIT OR Apache-2.0
"""The known answer (fixtures/stacks/src/chain.rs): f0 calls f1 ... calls f9, each call at a line that is written here."""
from recording import Capture
from stacks import fixture, functions, has_chain, record_running, sleeps, text
from tap import check

# innermost first: function, line of the call (f9: of sleep, or of spin)
CHAIN = [("stacks::chain::f8", 63), ("stacks::chain::f7::{closure#0}", 57), ("stacks::chain::f7", 57), ("stacks::chain::f6", 52),
         ("stacks::chain::f5", 47), ("stacks::chain::f4", 41), ("stacks::chain::f3", 36), ("stacks::chain::f2", 29),
         ("stacks::chain::f1", 24), ("stacks::chain::f0", 18), ("stacks::chain::run", 12)]


def of_chain(stack):
    """The frames in chain.rs."""
    return [(f["function"], f["line"]) for f in stack["frames"] if (f["file"] or "").endswith("stacks/src/chain.rs")]


def same_frames(a, b):
    return [(f["module"], f["file_off"]) for f in a["frames"]] == [(f["module"], f["file_off"]) for f in b["frames"]]


def check_outside(stack):
    """From main outwards: std with file and line, libc, the program's entry."""
    names = functions(stack)
    check(names[-1] == "_start", f"does not end at _start:\n{text(stack)}")
    check(has_chain(stack, ["stacks::chain::run", "stacks::main", "std::rt::lang_start", "main", "__libc_start_main", "_start"]),
          f"not main, std, libc, _start:\n{text(stack)}")
    std = [f for f in stack["frames"] if f["kind"] == "std" and f["function"] == "std::rt::lang_start_internal"]
    check(std and all(f["line"] and f["file"].endswith("rt.rs") for f in std), f"no file and line in std:\n{text(stack)}")


def sleeping(work):
    """f0..f9 asleep: functions and lines, through std, libc and the kernel"""
    record_running(work, fixture("stacks"), "chain", "sleep", "60")
    capture = Capture(work)
    waits = sleeps(capture.waits())
    check(len(waits) > 50, f"only {len(waits)} sleeps were recorded")
    stacks = capture.stacks()
    used = {w["stack_id"] for w in waits}
    stack = stacks[waits[-1]["stack_id"]]
    # the one taken of the sleeping thread at the start is a row of its own
    check(all(s and same_frames(stacks[s], stack) for s in used), "more than one stack:\n" + "\n".join(text(stacks[s]) for s in used if s))
    check(stack["status"] == "whole" and stack["fp_from"] is None, text(stack))
    check(of_chain(stack) == [("stacks::chain::f9", 71), *CHAIN], f"another chain: {of_chain(stack)}\n{text(stack)}")
    check(has_chain(stack, ["nanosleep", "std::thread::", "stacks::chain::f9"]), text(stack))
    check("libc" in stack["frames"][0]["module"], f"does not begin in libc:\n{text(stack)}")
    check_outside(stack)
    kernel = {w["kstack_id"] for w in waits[1:]}  # the first may be from the start, when it slept already
    check(all(k and has_chain(stacks[k], ["schedule", "nanosleep"]) for k in kernel),
          "kernel stacks:\n" + "\n".join(text(stacks[k]) for k in kernel if k))
    return f"{len(waits)} sleeps, {stack['depth']} frames each, {len(stack['frames'])} with inlined functions"


def spinning(work):
    """f0..f9 computing: cpu-clock samples have functions and lines"""
    record_running(work, fixture("stacks"), "chain", "spin", "60", args=["--freq", "999"])
    capture = Capture(work)
    samples = capture.query("SELECT stack_id, mode FROM sample")
    stacks = capture.stacks("kind = 'user'")
    spins = [stacks[s["stack_id"]] for s in samples if s["mode"] == "user" and s["stack_id"] and
             any(f["depth"] == 0 and f["function"] == "stacks::chain::spin" for f in stacks[s["stack_id"]]["frames"])]
    check(len(spins) > 200, f"only {len(spins)} of {len(samples)} samples are in spin()")
    for stack in spins:
        check(stack["status"] == "whole" and stack["fp_from"] is None, text(stack))
        chain = of_chain(stack)
        check(all(name == "stacks::chain::spin" and 77 <= line <= 83 for name, line in chain[:1]), f"the innermost: {chain}\n{text(stack)}")
        check([c for c in chain if c[0] != "stacks::chain::spin"] == [("stacks::chain::f9", 69), *CHAIN], f"another chain: {chain}\n{text(stack)}")
    check_outside(spins[0])
    callers = capture.query("SELECT count(DISTINCT list_id) AS n FROM stack_part WHERE depth > 0")[0]["n"]
    return f"{len(spins)} samples in spin(), all whole; {callers} lists of callers"


TESTS = [sleeping, spinning]
