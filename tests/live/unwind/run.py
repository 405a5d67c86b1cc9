#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of the unwinder: stacks that ascope takes of stock release builds, against libdwfl, gdb and known answers.

    run.py [NAME...]        prints TAP, one test per name (default: all); exit 1 when one fails

Needs root and /sys/kernel/btf/vmlinux; without them every test is skipped and counted. Environment:
    ASCOPE           the program under test (out/ascope)
    ASCOPE_OUT       where it was built (out); holds live/oracle
    UNWIND_SECONDS   seconds of samples of each program compared with libdwfl (1)
    KEEP=1           leaves each test's folder
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

import injected
import known_answer
import oracle_runs
import parked
from recording import ASCOPE, ROOT, TARGET, Failure, Skip

TESTS = {f"{module.__name__}.{test.__name__}": test for module in (oracle_runs, parked, known_answer, injected) for test in module.TESTS}


def obstacle():
    if os.getuid() != 0:
        return "not root"
    if not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        return "no /sys/kernel/btf/vmlinux"
    if not ASCOPE.exists():
        return f"{ASCOPE} is not built"
    if not shutil.which("cargo"):
        return "no cargo to build the fixtures"
    return None


def build():
    env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT / "fixtures", env=env, check=True, stdin=subprocess.DEVNULL)
    subprocess.run([ROOT / "fixtures/c/build.sh", TARGET], cwd=ROOT / "fixtures", env=env, check=True, stdin=subprocess.DEVNULL)


def outcome(test):
    """(word, text): what TAP says."""
    work = tempfile.mkdtemp(prefix="unwind.", dir=ASCOPE.parent)
    try:
        return "ok", test(work) or ""
    except Skip as skip:
        return "skip", str(skip)
    except Failure as failure:
        return "not ok", str(failure)
    except Exception:  # pylint: disable=broad-except
        return "not ok", traceback.format_exc()
    finally:
        if os.environ.get("KEEP"):
            print(f"# kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def main():
    names = sys.argv[1:] or list(TESTS)
    if unknown := [name for name in names if name not in TESTS]:
        sys.exit(f"run.py: no test {unknown[0]}; there are: {' '.join(TESTS)}")
    reason = obstacle()
    if not reason:
        try:
            build()
        except subprocess.CalledProcessError as failure:
            print(f"Bail out! {failure}")
            sys.exit(1)
    failed = 0
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        word, text = ("skip", reason) if reason else outcome(TESTS[name])
        failed += word == "not ok"
        what = (TESTS[name].__doc__ or "").strip().splitlines()[0]
        lines = text.splitlines() or [""]
        if word == "skip":
            print(f"ok {number} - unwind {name}: {what} # SKIP {lines[0]}")
        else:
            print(f"{word} {number} - unwind {name}: {what}")
            for line in lines if lines != [""] else []:
                print(f"# {line}")
        sys.stdout.flush()
    for line in oracle_runs.table():
        print(f"# {line}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
