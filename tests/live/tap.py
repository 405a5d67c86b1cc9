#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The driver of the live tests in Python: what must be there, builds, TAP, and which run may be repeated.

    tap.py --self-test        of the rules about repeating

A test is a function that takes its folder and returns what there is to say; it raises Failure, or Skip. It fails when it failed three times, or once in a
run that nothing disturbed. Two things do, both told with figures: the kernel did not report switches (`unpaired`: kernel_skipped() of run.sh says more), or the
host of this virtual machine stopped it for half of what the reports call blocking (host_stalls.c). What always fails still fails. Of what recording.agree()
compares, stalls are an excuse already (score.py).

Environment: KEEP=1 leaves each test's folder.
"""
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback
import typing

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import score  # noqa: E402
ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(os.environ.get("ASCOPE_OUT", ROOT / "out")).resolve()
ASCOPE = pathlib.Path(os.environ.get("ASCOPE", OUT / "ascope")).resolve()
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "out/fixtures")).resolve()
HOST_STALLS = OUT / "live/host_stalls"
TRIES = 3


class Failure(Exception):
    """What a test found."""


class Skip(Exception):
    """Why a test cannot run here."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def plain_title(prefix, name, _):
    return f"{prefix} {name}"


def title_in_words(prefix, name, _):
    return f"{prefix} {name.replace('_', ' ')}"


def title_with_doc(prefix, name, test):
    return f"{prefix} {name}: {(test.__doc__ or '').strip().splitlines()[0]}"


@dataclasses.dataclass(frozen=True)
class Suite:
    """The tests of one script."""
    prefix: str
    tests: dict  # name -> function
    title: typing.Callable = plain_title
    programs: tuple = ()  # of the fixtures: where they are built, cargo need not be here
    also_build: typing.Callable = lambda: None
    closing: typing.Callable = lambda: ()  # lines for people, after the tests


def named(tests):
    return {test.__name__: test for test in tests}


def obstacle(programs):
    """Why no test can run here, or None."""
    if os.getuid() != 0:
        return "not root"
    if not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        return "no /sys/kernel/btf/vmlinux"
    if not ASCOPE.exists():
        return f"{ASCOPE} is not built"
    if not shutil.which("cargo") and not (programs and all(pathlib.Path(program).exists() for program in programs)):
        return "no cargo to build the fixtures"
    return None


def build(suite):
    if shutil.which("cargo"):
        env = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT / "fixtures", env=env, check=True, stdin=subprocess.DEVNULL)
    suite.also_build()


# ---- what disturbs a run ----

def stolen():
    """Time that the host took from this machine's CPUs so far, ns; its tick is 10 ms."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def unpaired(work):
    """Switches of this run that the kernel did not report, in all captures below its folder."""
    count = 0
    for capture in pathlib.Path(work).rglob("*.ascope"):
        done = subprocess.run([str(ASCOPE), "query", str(capture), "--csv", "SELECT count FROM loss WHERE cause = 'unpaired'"],
                              capture_output=True, check=False, timeout=60)
        lines = done.stdout.decode().split()
        count += int(lines[1]) if len(lines) > 1 else 0
    return count


class Watcher:
    """host_stalls, where it is built, beside what is tested."""

    def __init__(self):
        self.pairs = []
        self.start()

    def start(self):
        self.out = tempfile.TemporaryFile("w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.process = HOST_STALLS.exists() and subprocess.Popen([HOST_STALLS], stdin=subprocess.DEVNULL, stdout=self.out, stderr=subprocess.DEVNULL)

    def end(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.out.seek(0)
            self.pairs += score.stall_pairs(self.out)
        self.out.close()

    def stalls(self):
        """All until now; it goes on. It tells of the last ones when it ends."""
        self.end()
        self.start()
        return score.Stalls(self.pairs)


watchers = []  # of the test that runs


def stalls():
    """When the host stopped this machine since the test began."""
    return watchers[-1].stalls() if watchers else score.Stalls()


def disturbance(work):
    """What disturbed this run, for people; or None."""
    if switches := unpaired(work):
        return f"the kernel did not report {switches} of the switches of this run"
    return long_stall(stalls())


def long_stall(found):
    """For people, too."""
    longest = max((end - begin for begin, end in found.spans), default=0)
    if longest < score.THRESHOLD // 2:
        return None
    return f"the host stopped this machine {len(found.spans)} times, for up to {longest / score.MS:.1f} ms"


# ---- running ----

def attempt(test, prefix, disturbed):
    """(word, text, what disturbed it or None)"""
    watchers.append(Watcher())
    # beside the build, not in /tmp, which may be a tmpfs
    work = tempfile.mkdtemp(prefix=f"{prefix.rstrip(':')}.", dir=ASCOPE.parent)
    try:
        return "ok", test(work) or "", None
    except Skip as skip:
        return "skip", str(skip), None
    except Failure as failure:
        return "not ok", str(failure), disturbed(work)
    except Exception:  # pylint: disable=broad-except
        return "not ok", traceback.format_exc(), disturbed(work)
    finally:
        watchers.pop().end()
        if os.environ.get("KEEP"):
            print(f"# kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def outcome(test, prefix, disturbed=disturbance):
    """(word, text): what TAP says."""
    said = ""
    for left in range(TRIES - 1, -1, -1):
        word, text, why = attempt(test, prefix, disturbed)
        if word != "not ok" or not why or not left:
            return word, text if word == "skip" else said + text
        said += f"repeated: {why}, which had:\n{text}\n"
    raise AssertionError("not reached")


def main(suite, names):
    """Prints TAP; the exit code. No names, or `all`: all tests."""
    if names in ([], ["all"]):
        names = list(suite.tests)
    if wrong := [name for name in names if name not in suite.tests]:
        sys.exit(f"no test {wrong[0]}; there are: {' '.join(suite.tests)}")
    reason = obstacle(suite.programs)
    if not reason:
        try:
            build(suite)
        except subprocess.CalledProcessError as failure:
            print(f"Bail out! {failure}")
            return 1
    counts = {"ok": 0, "not ok": 0, "skip": 0}
    print(f"1..{len(names)}", flush=True)
    for number, name in enumerate(names, 1):
        word, text = ("skip", reason) if reason else outcome(suite.tests[name], suite.prefix)
        counts[word] += 1
        title = f"{number} - {suite.title(suite.prefix, name, suite.tests[name])}"
        print(f"ok {title} # SKIP {(text.splitlines() or [''])[0]}" if word == "skip" else f"{word} {title}")
        if word != "skip":
            print("".join(f"# {line}\n" for line in text.splitlines()), end="")
        sys.stdout.flush()
    print("".join(f"# {line}\n" for line in suite.closing()), end="")
    print(f"{counts['ok']} passed, {counts['not ok']} failed, {counts['skip']} skipped")
    return 1 if counts["not ok"] else 0


# ---- the rule itself ----

def self_test():
    """Tests that fail a number of times, in runs that something disturbs or nothing does; and what a disturbing stall is."""
    def ends(failures, why, error=Failure):
        runs = []

        def test(_):
            runs.append(1)
            if len(runs) <= failures:
                raise error("it failed")
            return "well"

        return (*outcome(test, "tap", lambda *_: why), len(runs))

    again = "repeated: noise, which had:\nit failed\n"
    found = [ends(0, "noise"), ends(1, None), ends(1, "noise"), ends(2, "noise"), ends(3, "noise"), ends(1, "noise", Skip)]
    found += [bool(long_stall(score.Stalls(pairs))) for pairs in ([], [(0, 4_999_999), (6_000_000, 9_000_000)], [(0, 3_000_000), (2_000_000, 5_000_000)])]
    wanted = [("ok", "well", 1), ("not ok", "it failed", 1), ("ok", again + "well", 2), ("ok", again * 2 + "well", 3),
              ("not ok", again * 2 + "it failed", 3), ("skip", "it failed", 1), False, False, True]
    for got, want in zip(found, wanted):
        if got != want:
            print(f"{got}, should be {want}")
    return 0 if found == wanted else 1


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else __doc__)
