# SPDX-License-Identifier: MIT OR Apache-2.0
"""What every measurement of tests/bench needs: programs under load, recorders beside them, and the clocks of both.

CPU time is the scheduler's own account of each thread (/proc/PID/task/TID/schedstat, ns), not the wall clock: what other
programs take on a shared machine is not in it. A cost paid inside a context switch is charged to the thread that is
switched to, so the programs of one experiment share one CPU that they keep busy, and all their threads are added up.
"""
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

STOP_SECONDS = 120  # perf reads all it wrote once more before it ends


class Failed(Exception):
    """A measurement could not be made, and why."""


class Place:
    """Where things are, and a folder for what the runs write."""

    def __init__(self, ascope, programs, cpu):
        self.ascope, self.programs, self.cpu = ascope, programs, cpu
        self.perf = shutil.which("perf")
        self.folder = tempfile.mkdtemp(prefix="ascope-bench-")

    def program(self, name):
        return os.path.join(self.programs, name)

    def file(self, name):
        return os.path.join(self.folder, name)

    def release(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Running:
    """A program that runs until the `with` block ends. Pinned to `cpu` unless that is None. polite: it never takes the CPU from
    one that it wakes or that woke it, so that every switch is a wait."""

    def __init__(self, argv, cpu=None, log=subprocess.DEVNULL, polite=False):
        def pin():
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if polite:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

        self.name = os.path.basename(argv[0])
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                        preexec_fn=pin)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def signal(self, number):
        self.process.send_signal(number)

    def line(self):
        text = self.process.stdout.readline().strip()
        if not text:
            raise Failed(f"{self.name} ended without a word")
        return text

    def tell(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()


class Recorder(Running):
    """A profiler at work on `pid`; `file` is what it writes. Ready once it had `settle` seconds with the file open."""

    def __init__(self, place, argv, file, settle=0.8):
        self.file, self.log = file, open(place.file("recorder.log"), "w+", encoding="utf-8")
        if os.path.exists(file):
            os.unlink(file)
        super().__init__(argv, log=self.log)
        end = time.monotonic() + 20
        while not (os.path.exists(file) and os.path.getsize(file)):
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                raise Failed(f"{' '.join(argv)}: did not begin: {self.log.read()[-500:].strip()}")
            time.sleep(0.02)
        time.sleep(settle)

    def stop(self):
        """Ends it as a user would, and returns the size of what it wrote."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as e:
            raise Failed(f"{self.name} did not end within {STOP_SECONDS} s") from e
        return os.path.getsize(self.file)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, *args):
        super().__exit__(*args)
        self.log.close()


def ascope_on(place, pid, *options):
    file = place.file("out.ascope")
    return Recorder(place, [place.ascope, "record", "--force", *options, "-o", file, "-p", str(pid)], file)


def perf_on(place, pid, *options):
    file = place.file("perf.data")
    return Recorder(place, [place.perf, "record", "-e", "sched:sched_switch", *options, "-o", file, "-p", str(pid)], file)


# ---- clocks ----


def family(pid):
    """pid and every process it started, and they."""
    parent = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        parent[int(path.split("/")[2])] = int(text.rsplit(")", 1)[1].split()[1])
    found = {pid}
    grew = True
    while grew:
        more = {p for p, of in parent.items() if of in found} - found
        found |= more
        grew = bool(more)
    return found


def cpu_ns(pids):
    """CPU time of all threads of these processes."""
    total = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                with open(path, encoding="utf-8") as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total


def thread_ns(pids):
    """{thread: (its name, its CPU time)} of all threads of these processes."""
    found = {}
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*"):
            try:
                with open(f"{path}/comm", encoding="utf-8", errors="replace") as name, open(f"{path}/schedstat", encoding="utf-8") as f:
                    found[int(path.rsplit("/", 1)[1])] = (name.read().strip(), int(f.read().split()[0]))
            except OSError:
                pass
    return found


def switches(pid):
    """How often the threads of pid were switched out: voluntarily, against their will."""
    total = [0, 0]
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path, encoding="utf-8") as f:
            counts = [int(n) for n in re.findall(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)]
        total = [a + b for a, b in zip(total, counts)]
    return total


def busy_ns():
    """CPU time of the whole machine that was not idle; 10 ms steps."""
    with open("/proc/stat", encoding="utf-8") as f:
        ticks = [int(n) for n in f.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


# ---- BPF programs ----


def bpf_programs(pid):
    """Of the programs that pid or a child of it holds: {id: {run_time_ns, run_cnt, verified_insns, tag}}; bpf_prog_show_fdinfo()."""
    programs = {}
    for process in family(pid):
        for path in glob.glob(f"/proc/{process}/fdinfo/*"):
            try:
                with open(path, encoding="utf-8") as f:
                    fields = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
            except OSError:
                continue
            if "prog_id" in fields and "verified_insns" in fields:
                row = {k: int(fields[k]) for k in ("run_time_ns", "run_cnt", "verified_insns")}
                programs[int(fields["prog_id"])] = row
    return programs


def bpf_names(ids):
    """Names by id, from bpftool where there is one."""
    tool = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    names = {}
    for i in ids:
        text = subprocess.run([tool, "prog", "show", "id", str(i)], capture_output=True, text=True, check=False).stdout \
            if tool else ""
        match = re.search(r"name (\S+)", text)
        names[i] = match[1] if match else str(i)
    return names


class BpfStats:
    """The kernel counts the run time of BPF programs while the `with` block lasts (it costs a little: not for other figures)."""

    path = "/proc/sys/kernel/bpf_stats_enabled"

    def write(self, value):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(value)

    def __enter__(self):
        with open(self.path, encoding="utf-8") as f:
            self.before = f.read()
        self.write("1")

    def __exit__(self, *_):
        self.write(self.before)


# ---- numbers ----


def median(values):
    return statistics.median(values)


def spread(values):
    """Half the distance between the quartiles; what a repetition may differ by."""
    if len(values) < 2:
        return 0.0
    q = statistics.quantiles(values, n=4, method="inclusive")
    return (q[2] - q[0]) / 2
