# SPDX-License-Identifier: MIT OR Apache-2.0
"""What reading a capture of 30 million events costs: `ascope info` and `ascope check` of a file that long_capture.c makes.

Time is the wall clock of the whole command, with the file in the page cache and right after it was dropped from it; memory is the
command's largest resident size (ru_maxrss), which has the pages of the file that it touched in it, should it map any.
"""
import os
import subprocess
import time

from harness import Failed

MILLIONS, SECONDS = 30, 600


def run(argv):
    """{ms, MB} of a command."""
    start = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)  # it is gone: Popen must not wait for it again
    if process.returncode:
        raise Failed(f"{' '.join(argv)}: exit code {process.returncode}: {said[-300:].strip()}")
    return {"ms": took * 1000, "MB": usage.ru_maxrss / 1024}


def drop(file):
    """Takes it out of the page cache."""
    fd = os.open(file, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def measure(place, maker, rounds):
    """The rounds of each command on one file, and the file's size."""
    file = place.file("long.ascope")
    run([maker, file, str(MILLIONS), str(SECONDS)])
    found = {"info": [], "info, not in the page cache": [], "check": []}
    for _ in range(rounds):
        drop(file)
        found["info, not in the page cache"].append(run([place.ascope, "info", file]))
        found["info"].append(run([place.ascope, "info", file]))
    for _ in range(min(rounds, 3)):
        found["check"].append(run([place.ascope, "check", file]))
    size = os.path.getsize(file)
    os.unlink(file)
    return found, size
