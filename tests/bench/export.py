# SPDX-License-Identifier: MIT OR Apache-2.0
"""What each export of a capture of 10 million events costs: memory, and slices or samples a second of CPU. The capture is one that long_capture.c makes; loading
it into its database is measured by itself, and in no export's figure. Beside: perf script of a recording of cpu-clock samples, and a fold of its text.

A format that this ascope does not have is left out, and said. One that takes long is measured once, so that all of it ends within six minutes.
"""
import os
import re
import subprocess
import time

from harness import Failed

MILLIONS, SECONDS = 10, 200
LONG_SECONDS = 5
FORMATS = {
    "chrome": ["--chrome", "--max-events", "100000000"],
    "perfetto": ["--perfetto"],
    "folded": ["--folded"],
    "folded --offcpu": ["--folded", "--offcpu"],
    "speedscope": ["--speedscope"],
    "pprof": ["--pprof"],
    "firefox": ["--firefox"],
    "flamegraph": ["--flamegraph"],
    "html": ["--html"],
}
# perf script's text as collapsed stacks, which is what stackcollapse-perf does with it.
FOLD = r"""BEGIN{OFS=";"} /^[^ \t]/{comm=$1; n=0; next} NF{name=$2; sub(/\+0x[0-9a-f]+$/, "", name); f[++n]=name; next}
n{s=comm; for(i=n;i>0;i--) s=s";"f[i]; c[s]++; n=0} END{for(s in c) print s, c[s]}"""


def run(argv, stdout=subprocess.DEVNULL):
    """{s, cpu, MB} of a command, what of its CPU time the kernel took (writing the file, mostly), and what it said on stderr."""
    start = time.monotonic()
    process = subprocess.Popen(argv, stdout=stdout, stderr=subprocess.PIPE, text=True)
    with process.stderr:
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {"s": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime, "kernel": usage.ru_stime,
            "MB": usage.ru_maxrss / 1024, "code": process.returncode, "said": said}


def peer(place):
    """perf script of half a minute of samples, and its fold: {samples, script, fold}; None without perf."""
    if not place.perf:
        return None
    data, text = place.file("perf.data"), place.file("perf.txt")
    busy = ["python3", "-c", "import time\nend = time.time() + 20\nwhile time.time() < end: sum(i * i for i in range(1000))"]
    r = run([place.perf, "record", "-q", "-e", "cpu-clock", "-F", "5000", "-g", "-o", data, "--", *busy])
    if r["code"]:
        raise Failed(f"perf record: {r['said'][-300:]}")
    with open(text, "w", encoding="utf-8") as to:
        script = run([place.perf, "script", "-i", data, "-F", "comm,ip,sym"], to)
    with open(text, errors="replace", encoding="utf-8") as source:
        samples = sum(line[:1] not in ("\t", " ", "\n", "") for line in source)
    fold = run(["awk", FOLD, text])
    return {"samples": samples, "script": script, "fold": fold}


def measure(place, maker, rounds):
    """(load, {format: [{cpu, MB, bytes, what}]}, formats that are not there, counts of the database, peer)."""
    file, out = place.file("export.ascope"), place.file("export.out")
    r = run([maker, file, str(MILLIONS), str(SECONDS)])
    if r["code"]:
        raise Failed(r["said"])
    load = run([place.ascope, "query", "--load", file])
    if load["code"] not in (0, 3):
        raise Failed(f"query --load: {load['said'][-300:]}")
    counts = {}
    for name, query in (("samples", "SELECT count(*) FROM sample"), ("waits", "SELECT count(*) FROM offcpu")):
        answer = subprocess.run([place.ascope, "query", "--csv", file, query], capture_output=True, text=True, check=False)
        counts[name] = int(answer.stdout.split()[-1])
    found, absent = {}, []
    for name, options in FORMATS.items():
        for _ in range(min(rounds, 3)):
            r = run([place.ascope, "export", *options, "--force", "-o", out, file])
            if r["code"] == 2:
                absent.append(name)
                break
            if r["code"] not in (0, 3):
                raise Failed(f"export {name}: exit code {r['code']}: {r['said'][-300:]}")
            wrote = re.search(r"^ascope: wrote .*: ([\d,]+) \w", r["said"], re.M)
            if not wrote:
                raise Failed(f"export {name}: it did not say what it wrote: {r['said'][-300:]}")
            r["n"], r["bytes"] = int(wrote[1].replace(",", "")), os.path.getsize(out)
            found.setdefault(name, []).append(r)
            os.remove(out)
            if r["s"] > LONG_SECONDS:
                break
    return load, found, absent, counts, peer(place)
