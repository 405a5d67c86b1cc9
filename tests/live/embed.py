#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Live tests of names that travel with a capture: `record --embed` and `ascope bundle` (fixtures/scenarios).

    embed.py [NAME...]        prints TAP; exit 1 when a test fails

The program that is recorded is a copy that is gone when the capture is read, so that names can only come from the capture.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import tap  # noqa: E402  # pylint: disable=wrong-import-position
from recording import SCENARIOS, Capture, Fixture, Recorder  # noqa: E402  # pylint: disable=wrong-import-position
from tap import ASCOPE, Skip, check  # noqa: E402  # pylint: disable=wrong-import-position

SECONDS = 1.5
STRANGER = 12345  # a user who owns nothing here
PLACE = ("SELECT DISTINCT function, line IS NOT NULL AS has_line FROM blocking WHERE class = 'sleep' AND holds = 'runtime' AND dur >= 10000000 "
         "ORDER BY function")
NAMES = ("SELECT m.path, f.file_off, f.is_return, s.depth, s.function, s.file, s.line, s.inlined, s.kind FROM symbol AS s "
         "JOIN frame AS f ON f.id = s.frame_id JOIN module AS m ON m.id = f.module_id WHERE m.path <> '[kernel]' ORDER BY 1, 2, 3, 4")


def copy_of_program(folder):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    return shutil.copy(SCENARIOS, f"{folder}/orders")


def record(work, program, *args, env=None, prefix=()):
    """A recording of the scenario `sleep` by that copy; the recorder's stderr, too."""
    with Fixture(work, "sleep", program=program, prefix=prefix) as p:
        said = record_pid(work, p.pid, *args, env=env)
        p.leave()
    return said


def record_pid(work, pid, *args, env=None):
    capture = Capture(work, "--no-cache")
    argv = [str(ASCOPE), "record", "--force", "-o", capture.path, "--duration", str(SECONDS), *args, "-p", str(pid)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})})
    check(done.returncode in (0, 3), f"{argv}: exit code {done.returncode}: {done.stderr[:2000]}")
    return capture, done.stderr


def sources(capture):
    """By the file's name: where its names came from."""
    rows = capture.query("SELECT path, symbols_from FROM module AS m WHERE EXISTS (SELECT 1 FROM frame WHERE module_id = m.id)")
    return {pathlib.Path(row["path"]).name: row["symbols_from"] for row in rows}


def expect_names(capture):
    check(sources(capture)["orders"] == "capture", f"{sources(capture)}")
    places = capture.query(PLACE)
    check(places and all(row["function"] and row["has_line"] for row in places), f"places: {places}")


def expect_no_names(capture):
    check(sources(capture)["orders"] is None, f"{sources(capture)}")


def expect_sound(capture):
    check(capture.run("check").splitlines()[-1].startswith("sound: "), "the capture is not sound")
    left = [name for name in os.listdir(os.path.dirname(capture.path)) if ".bundle." in name]
    check(not left, f"left behind: {left}")


def embed_all(work):
    """The copied file is all a report needs: it says what one beside the program says."""
    program = copy_of_program(f"{work}/host")
    capture, said = record(work, program, "--embed", "all")
    check("carries the names of" in said, said)
    expect_sound(capture)
    carried = capture.query(NAMES)
    os.unlink(program)
    expect_names(capture)
    check(capture.query(NAMES) == carried, "names changed when the program was gone")
    expect_names(capture)
    # a second recording of the same program, by a reader who has it
    plain = Capture(work, "--no-cache", "--target", str(SCENARIOS))
    check(plain.query(NAMES) == carried, "names differ from the program's")
    return f"{len(carried)} names"


def embed_libs(work):
    """Names of libraries only; the program's own are added later, by who has it; nothing is added twice."""
    program = copy_of_program(f"{work}/host")
    capture, _ = record(work, program, "--embed", "libs")
    os.unlink(program)
    expect_sound(capture)
    expect_no_names(capture)
    check(sources(capture)["libc.so.6"] == "capture", f"{sources(capture)}")
    before = os.path.getsize(capture.path)
    # without the file it is told what to pass
    done = subprocess.run([ASCOPE, "bundle", capture.path], capture_output=True, text=True, check=False, timeout=60)
    check(done.returncode == 0 and re.search(r"orders: no names: .*--target", done.stderr), done.stderr)
    check(os.path.getsize(capture.path) == before, "it was written without anything new")
    # then the stripped program, which has none; then the whole one
    stripped = f"{work}/stripped"
    if shutil.which("strip"):
        subprocess.run(["strip", "-o", stripped, SCENARIOS], check=True)
        capture.run("bundle", "--target", stripped)
        expect_no_names(capture)
    capture.run("bundle", "--target", str(SCENARIOS))
    expect_sound(capture)
    expect_names(capture)
    size = os.path.getsize(capture.path)
    capture.run("bundle", "--target", str(SCENARIOS))
    check(os.path.getsize(capture.path) == size, "it grew without anything new")


def needed_libraries(program):
    lines = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()
    return [match[1] for match in (re.search(r"(/\S+) \(0x", line) for line in lines) if match]


def container_is_gone(work):
    """The program ran in a mount namespace with a root of its own, all of which has ended when names are looked up."""
    if not shutil.which("unshare") or not shutil.which("pivot_root"):
        raise Skip("no unshare(1) or pivot_root(8)")
    root, box = f"{work}/box", "/app/orders"
    # the box is a tmpfs that only the namespace has: nothing of it is left behind
    files = " ".join(f"{path}" for path in needed_libraries(SCENARIOS))
    script = (f"mount -t tmpfs none {root} && mkdir -p {root}/app {root}/old {root}{work} && cp {SCENARIOS} {root}{box} && cp --parents {files} {root} && "
              f"cd {root} && pivot_root . old && exec {box} \"$@\"")
    os.mkdir(root)
    with Fixture(work, "sleep", program="--", prefix=["unshare", "-m", "sh", "-c", script]) as p:
        check(not os.path.exists(f"{root}/app"), "the box can be seen from outside")
        with Recorder(work, "--embed", "all", "-p", p.pid) as r:
            r.await_begun()
            p.leave()
            r.finish()  # the last target has ended
        said = r.err.read_text()
    capture = Capture(work, "--no-cache")
    expect_sound(capture)
    check("carries the names of" in said, said)
    check(sources(capture)["orders"] == "capture", f"{sources(capture)}\n{said}")


def under_sudo(work):
    """Names are looked up as the user who called sudo: what only root may read has none, and that is told."""
    os.chmod(work, 0o755)
    folder = f"{work}/home"
    program = copy_of_program(f"{work}/host")
    os.chmod(program, 0o700)
    os.mkdir(folder)
    os.chown(folder, STRANGER, STRANGER)
    env = {"SUDO_UID": str(STRANGER), "SUDO_GID": str(STRANGER)}
    with Fixture(work, "sleep", program=program) as p:
        capture, said = record_pid(folder, p.pid, "--embed", "all", env=env)
        check(re.search(r"host/orders: .*Permission denied", said), said)
        expect_sound(capture)
        expect_no_names_carried(capture, "orders")
        check(os.stat(capture.path).st_uid == STRANGER, "the file is not the user's")
        os.chmod(program, 0o755)
        capture, said = record_pid(folder, p.pid, "--embed", "all", env=env)
        check("Permission denied" not in said, said)
        check(os.stat(capture.path).st_uid == STRANGER, "the file is not the user's")
        p.leave()
    os.unlink(program)
    expect_sound(capture)
    expect_names(capture)


def expect_no_names_carried(capture, name):
    dump = capture.run("dump", "--json", "--kind", "module_names")
    modules = [row["id"] for row in capture.query("SELECT id, path FROM module") if pathlib.Path(row["path"]).name == name]
    check(modules and not any(f'"module":{module},' in dump for module in modules), dump)


def cannot_be_written(work):
    """The user who called sudo may not write there: the capture stays as recorded, and the exit code says that it was."""
    os.chmod(work, 0o755)
    program = copy_of_program(f"{work}/host")
    capture, said = record(work, program, "--embed", "all", env={"SUDO_UID": str(STRANGER), "SUDO_GID": str(STRANGER)})
    check("no names were put into it" in said, said)
    expect_sound(capture)
    expect_no_names_carried(capture, "orders")


TESTS = [embed_all, embed_libs, container_is_gone, under_sudo, cannot_be_written]

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("embed:", tap.named(TESTS), tap.title_in_words, (SCENARIOS,)), sys.argv[1:]))
