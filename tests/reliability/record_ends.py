#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How a recording ends when the disk, a limit, a reader, a signal or a system call decides it (root, BTF).

    record_ends.py [NAME...]        prints TAP; exit 1 when a test fails

Environment: ENDS_LONG=1  inject every fault at every call, fill 8 MiB (make check-long); else only the first of each
"""
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "live"))
import tap  # noqa: E402
from recording import Program  # noqa: E402
from tap import ASCOPE, Skip, check  # noqa: E402

LONG = bool(os.environ.get("ENDS_LONG"))
K, M = 1 << 10, 1 << 20
FAST = ["--stacks", "all", "--freq", "10000"]  # fills a disk sooner
HEADER = 64


# Two processes that wake each other: switches as fast as the machine gives them, which fills a disk soonest.
SWITCHES = """
import os
a, b = os.pipe(), os.pipe()
if os.fork():
    print("ready", flush=True)
    while True:
        os.write(a[1], b"x")
        os.read(b[0], 1)
os.close(b[0]), os.close(a[1])
while os.read(a[0], 1):
    os.write(b[1], b"x")
"""


class Service:
    def __init__(self, work):
        self.program = Program(work, [sys.executable, "-c", SWITCHES])

    def __enter__(self):
        self.program.await_line(r"^(ready)")
        pid = self.program.process.pid
        return ",".join([str(pid), *pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()])

    def __exit__(self, *args):
        self.program.__exit__(*args)


def ascope(*argv, codes, seconds=60, **how):
    run = subprocess.run([str(ASCOPE), *map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False, **how)
    check(run.returncode in codes, f"{argv}: exit code {run.returncode}, should be one of {codes}: {run.stderr[-2000:]}")
    return run


def looked_at(file, closed):
    """That the file is valid, and whether it was closed; what it says of its end."""
    info = ascope("info", file, codes=(0, 3))
    check(info.returncode == (0 if closed else 3) or closed and "lost" in info.stdout, f"info: {info.returncode}: {info.stdout}")
    ascope("dump", file, codes=(0, 3), seconds=120)
    rows = json.loads(ascope("query", "--json", "--no-cache", file, "SELECT (SELECT value FROM meta WHERE key = 'recording.stopped_by') AS by, verdict, verdict_why, "
                             "ts_end - ts_start AS dur, (SELECT count(*) FROM offcpu) AS waits FROM capture", codes=(0, 3)).stdout)
    row = rows[0]
    check(("not closed" not in row["verdict_why"]) == closed, f"should {'' if closed else 'not '}be closed: {row}")
    check("damaged and" not in row["verdict_why"], f"{row}")
    return row


def record(pid, file, *args, codes=(0, 3), seconds=60, **how):
    return ascope("record", "-q", *args, "-o", file, "-p", pid, codes=codes, seconds=seconds, **how)


# ---- room ----


class Tmpfs:
    def __init__(self, work, size):
        self.dir = pathlib.Path(work) / f"disk{size}"
        self.dir.mkdir()
        run = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", self.dir], capture_output=True, text=True, check=False)
        if run.returncode:
            raise Skip(f"cannot mount a tmpfs: {run.stderr.strip()}")

    def __enter__(self):
        return self.dir

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.dir], check=False)


def full_disk(work):
    said = []
    with Service(work) as pid:
        for size in (256 * K, M) + ((8 * M,) if LONG else ()):
            with Tmpfs(work, size) as disk:
                file = disk / "x.ascope"
                run = record(pid, file, *FAST, "-d", 55, codes=(3,))
                check("the disk is full" in run.stderr, run.stderr)
                row = looked_at(file, closed=True)
                check(row["by"] == "disk full" and row["waits"] > 0, f"{row}")
                st = file.stat()
                check(st.st_blocks * 512 <= st.st_size + 8 * K, f"{st.st_blocks * 512} bytes on the disk for {st.st_size}: the reserve was not given back")
                check(st.st_size > size // 4, f"only {st.st_size} of {size} were used")
                said.append(f"tmpfs of {size // K} KiB: {st.st_size} bytes, {row['dur'] / 1e9:.1f} s, {row['waits']} waits, closed")
    return "\n".join(said)


def somebody_else_fills_the_disk(work):
    """The reserve is ours: the end still has room."""
    with Service(work) as pid, Tmpfs(work, 8 * M) as disk:
        file = disk / "x.ascope"
        run = subprocess.Popen([str(ASCOPE), "record", "-q", *FAST, "-d", "55", "-o", str(file), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        wait_for_block(file, run)
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        _, err = run.communicate(timeout=60)
        check(run.returncode == 3 and "the disk is full" in err, f"{run.returncode}: {err}")
        row = looked_at(file, closed=True)
        check(row["by"] == "disk full", f"{row}")
        return f"{file.stat().st_size} bytes, closed"


def file_size_limit(work):
    with Service(work) as pid:
        file = f"{work}/x.ascope"
        run = record(pid, file, *FAST, "-d", 55, codes=(3,), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600 * K, 600 * K)))
        check("ulimit" in run.stderr, run.stderr)
        row = looked_at(file, closed=True)
        check(row["by"] == "file size limit" and row["waits"] > 0, f"{row}")
        size = os.path.getsize(file)
        check(300 * K < size <= 600 * K, f"{size} bytes")
        return f"{size} of {600 * K} bytes, closed"


def max_size(work):
    said = []
    with Service(work) as pid:
        for text, size in (("256k", 256 * K), ("1M", M)) + ((("10M", 10 * M),) if LONG else ()):
            file = f"{work}/{text}.ascope"
            ascope("record", *FAST, "-d", 55, "--max-size", text, "-o", file, "-p", pid, codes=(0, 3))
            is_size = os.path.getsize(file)
            row = looked_at(file, closed=True)
            check(is_size <= size, f"{is_size} bytes with --max-size {text}")
            check(is_size > size // 2, f"only {is_size} bytes with --max-size {text}")
            check(row["by"] == "max-size" and row["waits"] > 0, f"{row}")
            said.append(f"--max-size {text}: {is_size} bytes, {row['dur'] / 1e9:.1f} s")
    return "\n".join(said)


# ---- readers ----


def wait_for_block(file, process):
    end = time.monotonic() + 20
    while not os.path.exists(file) or os.path.getsize(file) <= HEADER:
        check(process.poll() is None, "did not begin")
        check(time.monotonic() < end, "does not begin")
        time.sleep(0.01)


class Piped:
    """A recording into a pipe that the test reads, or does not."""

    def __init__(self, pid, *args):
        self.read_fd, write_fd = os.pipe()
        self.process = subprocess.Popen([str(ASCOPE), "record", *args, "-o", "-", "-p", str(pid)], stdin=subprocess.DEVNULL, stdout=write_fd,
                                        stderr=subprocess.PIPE, text=True)
        os.close(write_fd)
        self.got = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.close()

    def read(self, seconds):
        """What comes, for so long since the first block."""
        os.set_blocking(self.read_fd, False)
        end = time.monotonic() + 20 + seconds
        while time.monotonic() < end:
            if len(self.got) > HEADER:
                end = min(end, time.monotonic() + seconds)
            try:
                piece = os.read(self.read_fd, 65536)
                if not piece:
                    return
                self.got += piece
            except BlockingIOError:
                time.sleep(0.01)

    def narrow(self):
        """Soon full."""
        fcntl.fcntl(self.read_fd, 1031, 4096)  # F_SETPIPE_SZ

    def close(self):
        if self.read_fd is not None:
            os.close(self.read_fd)
        self.read_fd = None

    def end(self, seconds):
        began = time.monotonic()
        err = self.process.communicate(timeout=seconds)[1]
        return self.process.returncode, err, time.monotonic() - began

    def save(self, file):
        pathlib.Path(file).write_bytes(self.got)
        return file


def reader_goes_away(work):
    with Service(work) as pid, Piped(pid, *FAST) as p:
        p.read(1.5)
        p.close()
        code, err, _ = p.end(10)
        check(code == 3 and "reader went away" in err, f"{code}: {err}")
        looked_at(p.save(f"{work}/x.ascope"), closed=False)


def reader_sleeps(work):
    """Its pipe fills, then the ring; the recording ends when told to, and 10 s later without its end."""
    with Service(work) as pid, Piped(pid, *FAST) as p:
        p.read(1)
        p.narrow()
        time.sleep(3)
        p.process.send_signal(signal.SIGINT)
        code, err, took = p.end(30)
        check(code == 3 and "did not read for 10 s" in err, f"{code}: {err}")
        check(9 < took < 14, f"{took:.1f} s")


def reader_wakes_up(work):
    """After the stop it reads on: the file is whole, and what did not fit the ring is counted."""
    with Service(work) as pid, Piped(pid, *FAST) as p:
        p.read(1)
        p.narrow()
        time.sleep(6)
        p.process.send_signal(signal.SIGINT)
        time.sleep(2)
        p.read(20)
        code, err, _ = p.end(20)
        row = looked_at(p.save(f"{work}/x.ascope"), closed=True)
        check(code == (3 if "could not deliver" in err else 0), f"{code}: {err}")
        check(row["by"] == "signal", f"{row}")
        return f"{len(p.got)} bytes; {err.strip().splitlines()[-1]}"


def second_signal(work):
    with Service(work) as pid, Piped(pid, *FAST) as p:
        p.read(1)
        p.narrow()
        time.sleep(3)
        p.process.send_signal(signal.SIGINT)
        time.sleep(0.6)
        check(p.process.poll() is None, "the first signal did not wait for the reader")
        p.process.send_signal(signal.SIGINT)
        code, err, took = p.end(10)
        check(code == 3 and "stopped again" in err, f"{code}: {err}")
        check(took < 2, f"{took:.1f} s")


def full_device(work):
    with Service(work) as pid, open("/dev/full", "wb") as full:
        run = subprocess.run([str(ASCOPE), "record", "-d", "2", "-o", "-", "-p", str(pid)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        check(run.returncode in (1, 3) and "the disk is full" in run.stderr, f"{run.returncode}: {run.stderr}")


def fifo(work):
    """Its reader may come later."""
    os.mkfifo(f"{work}/fifo")
    with Service(work) as pid:
        p = subprocess.Popen([str(ASCOPE), "record", "-d", "1", "-o", f"{work}/fifo", "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        with open(f"{work}/fifo", "rb") as reader, open(f"{work}/x.ascope", "wb") as copy:
            shutil.copyfileobj(reader, copy)
        err = p.communicate(timeout=20)[1]
        check(p.returncode in (0, 3) and "nobody reads" in err, f"{p.returncode}: {err}")
        looked_at(f"{work}/x.ascope", closed=True)


# ---- signals ----


def signals(work):
    with Service(work) as pid:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            file = f"{work}/{name}.ascope"
            p = subprocess.Popen([str(ASCOPE), "record", "-q", "-o", file, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
            wait_for_block(file, p)
            time.sleep(0.3)
            p.send_signal(getattr(signal, name))
            err = p.communicate(timeout=20)[1]
            check(p.returncode in (0, 3), f"{name}: {p.returncode}: {err}")
            check(looked_at(file, closed=True)["by"] == "signal", name)


def nohup(work):
    """A SIGHUP that was ignored stays ignored."""
    with Service(work) as pid:
        file = f"{work}/x.ascope"
        p = subprocess.Popen([str(ASCOPE), "record", "-q", "-d", "1.5", "-o", file, "-p", str(pid)], stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        wait_for_block(file, p)
        p.send_signal(signal.SIGHUP)
        p.communicate(timeout=20)
        check(looked_at(file, closed=True)["by"] == "duration", "ended by SIGHUP")


def stopped_and_continued(work):
    """Ctrl-Z and fg: what the ring could not hold is counted, the rest is there."""
    with Service(work) as pid:
        file = f"{work}/x.ascope"
        p = subprocess.Popen([str(ASCOPE), "record", "-q", *FAST, "-o", file, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        wait_for_block(file, p)
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGSTOP, signal.SIGCONT):
            p.send_signal(number)
            time.sleep(1)
        p.send_signal(signal.SIGTERM)
        err = p.communicate(timeout=20)[1]
        check(p.returncode in (0, 3), f"{p.returncode}: {err}")
        row = looked_at(file, closed=True)
        check(row["dur"] > 4e9, f"{row}")


def parent_dies(work):
    """The recording goes on, and can be ended."""
    with Service(work) as pid:
        file = f"{work}/x.ascope"
        script = f"'{ASCOPE}' record -q -o '{file}' -p {pid} 2>'{work}/err' & echo $!; wait"
        shell = subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True)
        child = int(shell.stdout.readline())
        wait_for_block(file, shell)
        shell.kill()
        shell.wait()
        time.sleep(1.2)
        os.kill(child, signal.SIGTERM)
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{child}") and pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
            check(time.monotonic() < end, "it does not end")
            time.sleep(0.05)
        row = looked_at(file, closed=True)
        check(row["by"] == "signal" and row["dur"] > 1e9, f"{row}")


def target_keeps_its_signals(work):
    """What the recorder ignores its command must not: `yes | head` ends by SIGPIPE."""
    out = f"{work}/ignored"
    record_command = [str(ASCOPE), "record", "-q", "-f", "-o", f"{work}/x.ascope", "--", "bash", "-c", f"grep SigIgn /proc/self/status >{out}; sleep 0.2"]
    run = subprocess.run(record_command, capture_output=True, text=True, timeout=30, check=False, restore_signals=True)
    check(run.returncode in (0, 3), run.stderr)
    ignored = int(pathlib.Path(out).read_text().split()[1], 16)
    check(not ignored & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)), f"ignored signals: {ignored:#x}")


# ---- system calls that fail ----


def inject(work, pid, call, error, number):
    """One recording whose number-th such call on the capture fails. (exit code, what it said, whether the fault happened)"""
    file = f"{work}/{call}-{error}-{number}.ascope"
    log = f"{work}/strace.log"
    argv = ["strace", "-f", "-qq", "-o", log, "-P", file, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}",
            str(ASCOPE), "record", "-q", "-d", "6" if call == "fdatasync" else "1.2", "-o", file, "-p", str(pid)]
    run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, check=False)
    hit = "INJECTED" in pathlib.Path(log).read_text(errors="replace")
    check(run.returncode in (0, 3) or run.returncode == 1 and not os.path.exists(file), f"{call} {error} {number}: exit code {run.returncode}: {run.stderr}")
    return file, run, hit


def faults(work, call, errors, may_succeed=False):
    if not shutil.which("strace"):
        raise Skip("no strace")
    said = []
    with Service(work) as pid:
        for error in errors:
            for number in range(1, 60):
                file, run, hit = inject(work, pid, call, error, number)
                what = f"{call} number {number}, {error}"
                if not hit:
                    check(run.returncode in (0, 3) and number > 1, f"{what}: never called, exit code {run.returncode}: {run.stderr}")
                    looked_at(file, closed=True)
                    break
                check(run.returncode != 0 or may_succeed, f"{what}: exit code 0")
                check(may_succeed or f"x{run.stderr}".count("error:") == 1, f"{what}: said: {run.stderr}")
                if run.returncode != 1:
                    info = ascope("info", file, codes=(0, 3, 1))
                    check(info.returncode != 1, f"{what}: {info.stderr}{run.stderr}")
                    ascope("dump", file, codes=(0, 3))
                os.path.exists(file) and os.unlink(file)
                if not LONG and number >= 3:
                    break
            said.append(f"{call} {error}: {number} calls")
    return "\n".join(said)


def write_fails(work):
    return faults(work, "write", ("EIO", "ENOSPC", "EDQUOT") if LONG else ("EIO",))


def fdatasync_fails(work):
    return faults(work, "fdatasync", ("EIO",))


def fallocate_fails(work):
    """EOPNOTSUPP and EIO: it goes on without a reserve. ENOSPC: it stops, closed."""
    return faults(work, "fallocate", ("EOPNOTSUPP", "EIO") if LONG else ("EOPNOTSUPP",), may_succeed=True)


def ftruncate_fails(work):
    return faults(work, "ftruncate", ("EIO",), may_succeed=True)


def close_fails(work):
    return faults(work, "close", ("EIO",))


def a_slow_disk(work):
    """fdatasync takes 4 s: nothing is lost meanwhile."""
    if not shutil.which("strace"):
        raise Skip("no strace")
    with Service(work) as pid:
        file = f"{work}/x.ascope"
        argv = ["strace", "-f", "-qq", "-o", f"{work}/strace.log", "-P", file, "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=4s",
                str(ASCOPE), "record", *FAST, "-d", "11", "-o", file, "-p", str(pid)]
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50, check=False)
        check(run.returncode == 0 and "lost 0" in run.stderr, f"{run.returncode}: {run.stderr}")
        looked_at(file, closed=True)
        return run.stderr.strip().splitlines()[-1]


TESTS = [full_disk, somebody_else_fills_the_disk, file_size_limit, max_size, reader_goes_away, reader_sleeps, reader_wakes_up, second_signal, full_device, fifo,
         signals, nohup, stopped_and_continued, parent_dies, target_keeps_its_signals, write_fails, fdatasync_fails, fallocate_fails, ftruncate_fails,
         close_fails, a_slow_disk]

if __name__ == "__main__":
    sys.exit(tap.main(tap.Suite("record:", tap.named(TESTS), tap.title_in_words), sys.argv[1:]))
