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
import subprocess
import sys

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import injected  # noqa: E402  # pylint: disable=wrong-import-position
import known_answer  # noqa: E402  # pylint: disable=wrong-import-position
import oracle_runs  # noqa: E402  # pylint: disable=wrong-import-position
import parked  # noqa: E402  # pylint: disable=wrong-import-position
import tap  # noqa: E402  # pylint: disable=wrong-import-position


def build():
    env = {**os.environ, "CARGO_TARGET_DIR": str(tap.TARGET)}
    subprocess.run([tap.ROOT / "fixtures/c/build.sh", tap.TARGET], cwd=tap.ROOT / "fixtures", env=env, check=True, stdin=subprocess.DEVNULL)


TESTS = {f"{module.__name__}.{test.__name__}": test for module in (oracle_runs, parked, known_answer, injected) for test in module.TESTS}
SUITE = tap.Suite("unwind", TESTS, tap.title_with_doc, also_build=build, closing=oracle_runs.table)

if __name__ == "__main__":
    sys.exit(tap.main(SUITE, sys.argv[1:]))
