#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Records three services from crates.io as their authors ship them, and compares what ascope says with what their own file calls did.

    run.py [--mode slow|awake|plain|idle]... [--again] [SERVICE...]     prints TAP, one test per service and kind of run; exit 1 when one fails

Every service is built by `cargo install --locked` with its own release profile (all three: fat LTO, panic=abort, stripped) and
recorded four times: `slow`, under load, with tests/services/shim.c preloaded, which makes some of its file calls slow and logs them;
`awake`, with the shim logging only; `plain`, without it; `idle`, without load. judge.py compares; what it cannot judge it shows.

Needs root, BTF, cargo and, the first time, the network and some minutes (ASCOPE_SERVICES: the folder of the binaries,
out/services). KEEP=1 leaves the captures and logs in out/services/runs. doc/services.md has the figures.
"""
import argparse
import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.environ.get("ASCOPE_OUT", os.path.join(ROOT, "out"))
ASCOPE = os.environ.get("ASCOPE", os.path.join(OUT, "ascope"))
SERVICES = os.environ.get("ASCOPE_SERVICES", os.path.join(OUT, "services"))
RECORD_SECONDS = 5
CLIENTS = 8
FILES = 24  # of each kind; a client uses only those of its own residue, so no two requests use one file at once
ENTRIES = 1 << 17
MODES = ["slow", "awake", "plain", "idle"]

sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import judge  # noqa: E402


class Service:
    """What is installed, how it is started, what is asked of it, and what ascope has to find."""

    def __init__(self, name, version, command, env, slow, plain, runtimes, loop_threads):
        self.name, self.version, self.command, self.env = name, version, command, env
        self.slow, self.plain = slow, plain  # (path, weight), {} is a file's number
        self.runtimes = runtimes  # (flavor, workers) of every runtime
        self.loop_threads = loop_threads  # see judge.Threads

    def binary(self):
        return os.path.join(SERVICES, "bin", self.name)


# Which of its calls a service makes inside a poll is said by its source; the paths of `slow` cover both kinds.
ALL = [
    # dufs 0.47.0: src/server.rs uses tokio::fs throughout, so open, stat and read are on the blocking pool; but search (`?q=`) walks
    # the folder with the walkdir crate in an async task, on a worker (collect_dir_entries).
    Service("dufs", "0.47.0",
            ["{dir}", "--bind", "127.0.0.1", "--port", "{port}", "--allow-search", "--allow-symlink", "--log-format", ""],
            {"TOKIO_WORKER_THREADS": "4"},
            [("/slow-o-{}.bin", 2), ("/slow-s-{}.bin", 2), ("/slow-r-{}.bin", 1), ("/slow-d-{}/?q=file", 4),
             ("/slow-o-dir-{}/?q=file", 4), ("/fast-{}.bin", 3)],
            [("/fast-{}.bin", 4), ("/fast-big-{}.bin", 1), ("/", 1), ("/?q=fast", 1), ("/fast-dir-{}/", 1)],
            [("multi_thread", 4)], judge.FIRST_CREATED),
    # static-web-server 2.44.1: src/fs/meta.rs, fs/stream.rs, static_files.rs, directory_listing use std::fs in the poll; nothing of it is on the pool.
    Service("static-web-server", "2.44.1",
            ["-a", "127.0.0.1", "-p", "{port}", "-d", "{dir}", "--threads-multiplier", "2", "--directory-listing", "true",
             "-g", "error"],
            {},
            [("/slow-o-{}.bin", 2), ("/slow-s-{}.bin", 2), ("/slow-r-{}.bin", 2), ("/slow-p-{}.bin", 2),
             ("/slow-sopf-{}.bin", 1), ("/slow-d-{}/", 2), ("/fast-{}.bin", 3)],
            [("/fast-{}.bin", 4), ("/fast-big-{}.bin", 1), ("/", 1), ("/fast-dir-{}/", 1)],
            [("multi_thread", 4)], judge.FIRST_CREATED),
    # miniserve 0.35.0 on actix-web: actix-files opens (named.rs: File::open, metadata) in the poll and reads on the pool
    # (chunked.rs: web::block); a folder is listed in the poll (src/listing.rs: read_dir).
    Service("miniserve", "0.35.0",
            ["{dir}", "-i", "127.0.0.1", "-p", "{port}", "--workers", "3", "-q"],
            {},
            [("/slow-o-{}.bin", 3), ("/slow-f-{}.bin", 2), ("/slow-r-{}.bin", 3), ("/slow-or-{}.bin", 1),
             ("/slow-d-{}/", 2), ("/fast-{}.bin", 3)],
            [("/fast-{}.bin", 4), ("/fast-big-{}.bin", 1), ("/", 1), ("/fast-dir-{}/", 1)],
            [("current_thread", 1)] * 4, judge.LOOPS),  # three workers and the System of the main thread
]


def install(service):
    """As a user would. The profile is the one in the crate's Cargo.toml."""
    have = subprocess.run([service.binary(), "--version"], capture_output=True, text=True) if os.path.exists(service.binary()) else None
    if have and service.version in have.stdout:
        return
    subprocess.run(["nice", "-n", "19", "cargo", "install", "--locked", "--root", SERVICES, service.name, "--version",
                    service.version, "-j1"], check=True, stdout=subprocess.DEVNULL)


def build_shim():
    path = os.path.join(SERVICES, "shim.so")
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-shared",
                    "-fPIC", "-o", path, os.path.join(HERE, "shim.c")], check=True)
    return path


def make_files(folder):
    """What is served. Every name says by its letters which call on it is slow (shim.c)."""
    content = bytes(range(256)) * 4096
    for number in range(FILES):
        for letters, size in (("o", 6000), ("s", 6000), ("r", 6000), ("p", 6000), ("f", 6000), ("or", 6000), ("sopf", 6000)):
            write(os.path.join(folder, f"slow-{letters}-{number}.bin"), content[:size])
        write(os.path.join(folder, f"fast-{number}.bin"), content[:30000])
        for kind in ("slow-d-", "slow-o-dir-", "fast-dir-"):
            os.mkdir(os.path.join(folder, f"{kind}{number}"))
            for child in range(6):
                write(os.path.join(folder, f"{kind}{number}", f"file{child}.txt"), b"x")
        if number < CLIENTS:
            write(os.path.join(folder, f"fast-big-{number}.bin"), content)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


class Load:
    """
    Clients that ask one thing after the other. Every other client uses a connection for each request, so that a task serves one request; the others keep
    theirs, so that a task is polled for one request after the other.
    """

    def __init__(self, port, paths, clients):
        self.port, self.paths = port, [path for path, weight in paths for _ in range(weight)]
        self.stop = threading.Event()
        self.answers, self.failures = 0, []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, index):
        choose = random.Random(index)
        numbers = list(range(index, FILES, CLIENTS))
        keep = index % 2
        connection = None
        while not self.stop.is_set():
            path = choose.choice(self.paths)
            path = path.format(index if "big" in path else choose.choice(numbers))
            connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("GET", path, headers={} if keep else {"Connection": "close"})
                response = connection.getresponse()
                response.read()
                with self.lock:
                    self.answers += 1
                    if response.status != 200:
                        self.failures.append(f"{path}: {response.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{path}: {error}")
                connection.close()
                connection = None
            if connection and not keep:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, process):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"the service left with {process.returncode}")
            time.sleep(0.05)
    raise RuntimeError("the service does not listen")


def query(capture, sql):
    done = subprocess.run([ASCOPE, "query", capture, sql, "--json"], capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def record(pid, capture):
    subprocess.run([ASCOPE, "record", "-p", str(pid), "-o", capture, "--duration", str(RECORD_SECONDS)], check=True,
                   capture_output=True, text=True, timeout=60)


def start(service, work, shim, slow):
    """The service, listening, and what it serves. Its log of calls is in memory: no write of it waits for a disk."""
    folder = os.path.join(work, "served")
    os.mkdir(folder)
    make_files(folder)
    port = free_port()
    env = {**os.environ, **service.env}
    log = None
    if shim:
        log = os.path.join("/dev/shm" if os.path.isdir("/dev/shm") else work, f"ascope-shim-{os.getpid()}")
        with open(log, "wb") as file:
            file.truncate(ENTRIES * judge.ENTRY_SIZE)
        env.update(LD_PRELOAD=shim, SHIM_LOG=log, **({} if slow else {"SHIM_AWAKE": "1"}))
    with open(os.path.join(work, "service.out"), "wb") as out:
        process = subprocess.Popen([service.binary()] + [word.format(dir=folder, port=port) for word in service.command], env=env,
                                   stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        await_port(port, process)
    except RuntimeError:
        end(process, log, work)
        raise
    return process, port, log


def end(process, log, work):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if log:
        shutil.move(log, os.path.join(work, "shim.log"))


def run(service, work, shim, mode):
    """Records the service. How the clients fared is all that is returned: the capture and the log lie in work."""
    process, port, log = start(service, work, shim if mode in ("slow", "awake") else None, mode == "slow")
    load = Load(port, service.slow if mode == "slow" else service.plain, CLIENTS if mode != "idle" else 0)
    try:
        time.sleep(0.7)  # it attaches to a service at work
        record(process.pid, os.path.join(work, "capture.ascope"))
    finally:
        load.end()
        end(process, log, work)
    return f"{load.answers} answers in all, {len(load.failures)} not as wanted {load.failures[:3]}"


def judged(service, work, mode):
    log = os.path.join(work, "shim.log")
    return judge.judge(service, judge.Capture(lambda sql: query(os.path.join(work, "capture.ascope"), sql)),
                       judge.read_log(log) if os.path.exists(log) else None, mode == "idle")


def recorded_and_judged(service, work, shim, mode):
    """As tests/live/run.sh: only a run in which the kernel skipped switches (`unpaired`) may be repeated, and says so."""
    repeated = []
    for _ in range(3):
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        clients = run(service, work, shim, mode)
        result = judged(service, work, mode)
        if not result.wrong or not result.unpaired:
            break
        repeated.append(f"repeated: the kernel did not report {result.unpaired} switches of a run that had: {result.wrong[0]}")
    result.figures += repeated + [clients]
    return result


def main():
    parser = argparse.ArgumentParser(description="Record real services and compare.")
    parser.add_argument("services", nargs="*", metavar="SERVICE")
    parser.add_argument("--mode", action="append", choices=MODES,
                        help="slow: shim that sleeps (truth); awake: shim that only logs; plain: no shim; idle: nor load")
    parser.add_argument("--again", action="store_true", help="judges the runs that KEEP=1 left, and records nothing")
    args = parser.parse_args()
    chosen = [s for s in ALL if s.name in args.services or not args.services]
    modes = args.mode or MODES
    print(f"1..{len(chosen) * len(modes)}")
    if os.geteuid() != 0 or not os.path.exists("/sys/kernel/btf/vmlinux"):
        for number, (service, mode) in enumerate([(s, m) for s in chosen for m in modes], 1):
            print(f"ok {number} - services {service.name} {mode} # SKIP not root, or no BTF")
        return 0
    os.makedirs(SERVICES, exist_ok=True)
    shim = build_shim()
    failed = number = 0
    for service in chosen:
        install(service)
        for mode in modes:
            number += 1
            work = os.path.join(SERVICES, "runs", f"{service.name}-{mode}")
            result = recorded_and_judged(service, work, shim, mode) if not args.again else judged(service, work, mode)
            failed += bool(result.wrong)
            print(f"{'not ok' if result.wrong else 'ok'} {number} - services {service.name} {mode}")
            for line in result.figures + result.wrong:
                print("# " + line)
            sys.stdout.flush()
            if not os.environ.get("KEEP") and not args.again:
                shutil.rmtree(work)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
