# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the live tests in Python beside this file share: TAP, a program and its recording, scores. The machinery is that of unwind/."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
sys.path.insert(0, str(HERE / "unwind"))

# pylint: disable=wrong-import-position,unused-import
from recording import ASCOPE, ROOT, TARGET, WAIT, Capture, Failure, Program, Skip, await_begun, check, interrupt, recorder  # noqa: E402
import score  # noqa: E402

RELEASE = TARGET / "release"
TRIES = 3


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


def record(work, pid, seconds, args=()):
    with recorder(work, "--duration", seconds, *args, "-p", pid) as r:
        r.finish((0, 3))
    return Capture(work)


def record_while(work, pid, do, args=()):
    """A recording that begins before `do` does, and ends when it has: its length is whatever that takes."""
    with recorder(work, *args, "-p", pid) as r:
        await_begun(work, r)
        do()
        interrupt(r)
        r.finish((0, 3))
    return Capture(work)


def rows_of(capture):
    return capture.query("SELECT * FROM blocking ORDER BY ts")


def window_of(capture):
    (row,) = capture.query("SELECT ts_start, ts_end FROM capture")
    return row["ts_start"], row["ts_end"]


def agree(name, capture, truths, min_must, within=False):
    """The capture's rows agree with the truth logs; returns the score's line."""
    entries = [entry for path in truths for entry in score.read_truth(path)]
    window = window_of(capture)
    proven = score.proven_from(capture.query("SELECT tick_from FROM runtime"), window)
    result = score.score(name, entries, rows_of(capture), window, score.Rules(within=within, proven=proven))
    # which poll is whose is what is tested here; the length of one that queued for a cpu depends on who else is on this machine
    result.wrong["duration"] = [text for text in result.wrong["duration"] if float(re.search(r"run delay ([0-9.]+) ms", text)[1]) < 1]
    check(result.agrees(), "\n".join([result.line(), *result.details()]))
    check(result.must >= min_must, f"too little truth: {result.line()}")
    return result.line()


def skipped_switches(work):
    """How many switches the kernel did not report (tests/live/run.sh)."""
    try:
        found = Capture(work).query("SELECT count FROM loss WHERE cause = 'unpaired'")
    except Failure:
        return 0
    return found[0]["count"] if found else 0


def outcome(test):
    """(word, text): what TAP says. Only a run of which the kernel left switches out may be repeated."""
    said = ""
    for attempt in range(TRIES):
        work = tempfile.mkdtemp(prefix="live.", dir=ASCOPE.parent)
        try:
            return "ok", said + (test(work) or "")
        except Skip as skip:
            return "skip", str(skip)
        except Failure as failure:
            text = str(failure)
            skipped = skipped_switches(work)
            if not skipped or attempt == TRIES - 1:
                return "not ok", said + text
            said += f"repeated: the kernel did not report {skipped} of the switches of this run, which had:\n{text}\n"
        except Exception:  # pylint: disable=broad-except
            return "not ok", said + traceback.format_exc()
        finally:
            if os.environ.get("KEEP"):
                print(f"# kept: {work}")
            else:
                shutil.rmtree(work, ignore_errors=True)
    return "not ok", said


def main(prefix, tests, names):
    """Prints TAP; the exit code."""
    by_name = {test.__name__: test for test in tests}
    names = names or list(by_name)
    if unknown := [name for name in names if name not in by_name]:
        sys.exit(f"no test {unknown[0]}; there are: {' '.join(by_name)}")
    reason = obstacle()
    if not reason:
        try:
            build()
        except subprocess.CalledProcessError as failure:
            print(f"Bail out! {failure}")
            return 1
    counts = {"ok": 0, "skip": 0, "not ok": 0}
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        word, text = ("skip", reason) if reason else outcome(by_name[name])
        counts[word] += 1
        title = f"{number} - {prefix} {name.replace('_', ' ')}"
        print(f"ok {title} # SKIP {text}" if word == "skip" else f"{word} {title}")
        if word != "skip":
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        sys.stdout.flush()
    print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
    return counts["not ok"] != 0
