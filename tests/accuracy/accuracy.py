#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How exact ascope is: records every scenario of the fixtures in several builds, scores each capture against its truth log and
prints every bar with its figure. `make accuracy`; doc/accuracy.md says how to read it.

    accuracy.py OUT [--short] [OPTIONS]       OUT: where ascope and the fixtures are built
    accuracy.py --from RUNS.json [OPTIONS]    judges runs that --json kept
    accuracy.py --self-test

Exit: 0 every bar is met; 1 one is not; 2 usage; 77 nothing can be recorded here (the last line says why).
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # leaves no __pycache__ among the sources
import bars  # noqa: E402
import measure  # noqa: E402

MARKS = "<!-- accuracy: make accuracy DOC=1 writes this -->\n", "<!-- accuracy: end -->\n"
# name: (cargo's options, its folder, whether it has names)
BUILDS = {"release": (["--release"], "release", True), "debug": ([], "debug", True),
          "fat LTO, stripped": (["--profile", "fatstrip"], "fatstrip", False)}


def obstacle(out):
    if os.geteuid() != 0:
        return "not root"
    if not os.access("/sys/kernel/btf/vmlinux", os.R_OK):
        return "no /sys/kernel/btf/vmlinux"
    if not os.access(out / "ascope", os.X_OK):
        return f"{out}/ascope is not built"
    return None


def build(out, name):
    """The program of that build, up to date; and where its names are, when not in itself."""
    options, folder, named = BUILDS[name]
    target = out / "fixtures"
    if shutil.which("cargo"):
        subprocess.run(["cargo", "build", *options, "-p", "scenarios", "--locked", "--quiet"], cwd=measure.ROOT / "fixtures", check=True,
                       env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    binary = target / folder / "scenarios"
    if named:
        return binary, None
    # Stripped here and not by cargo, so that the same program is there with its names, too.
    stripped = target / folder / "stripped" / "scenarios"
    stripped.parent.mkdir(exist_ok=True)
    subprocess.run(["strip", "--strip-all", "-o", stripped, binary], check=True)
    return stripped, binary


def record_all(args):
    """Yields one run after the other."""
    ascope = measure.Ascope(os.environ.get("ASCOPE") or args.out / "ascope")
    turns = measure.Turns(args.lock)
    for name in args.build:
        turns.end()
        binary, twin = build(args.out, name)
        names = BUILDS[name][2] or args.twin
        listed = measure.scenarios(binary)
        unknown = set(args.scenario or []) - {scenario[0] for scenario in listed}
        if unknown:
            sys.exit(f"accuracy.py: no scenario {', '.join(unknown)}")
        for scenario in listed:
            if args.scenario and scenario[0] not in args.scenario:
                continue
            long = scenario[2] == "quiet" and name == "release"
            seconds = args.quiet_seconds if long else args.seconds
            label = f"{name}, twin's names" if args.twin and twin else name
            # Beside the build, not in /tmp, which may be a tmpfs: the scenario `file` must be able to wait for a disk.
            folder = pathlib.Path(tempfile.mkdtemp(prefix="accuracy.", dir=args.out))
            try:
                yield measure.undisturbed(lambda empty: measure.measure(ascope, binary, scenario, empty, build=label, seconds=seconds, turns=turns, names=names,
                                                                        target=twin if args.twin else None), folder, quiet_only=not args.short)
            except measure.Skipped as why:
                print(f"skipped: {scenario[0]}: {why}")
            except (measure.Failed, OSError, ValueError, subprocess.SubprocessError) as error:
                yield failed_run(scenario, label, seconds, f"{type(error).__name__}: {error}")
            finally:
                if args.keep:
                    print(f"kept: {folder}", file=sys.stderr)
                else:
                    shutil.rmtree(folder, ignore_errors=True)


def failed_run(scenario, label, seconds, why):
    nothing = measure.score_dict(measure.score.Score(scenario[0]))
    return {"scenario": scenario[0], "build": label, "quiet": scenario[2] == "quiet", "seconds": seconds, "verdict": "none", "losses": {}, "stolen": 0, "disturbed": "", "derived": 0, "why": "",
            "off": nothing, "cpu": nothing, "complaints": [why]}


def tell(run, begun):
    """A line for each run as it is done, and whatever is not right about it."""
    off, cpu = run["off"], run["cpu"]
    losses = [f"{cause} {count}" for cause, count in run["losses"].items()]
    losses += [f"{run['derived']} switches derived"] if run["derived"] else []
    losses = ", ".join(losses + ([f"{run['stolen'] // bars.MS} ms stolen by the hypervisor"] if run["stolen"] else []))
    print(f"{time.monotonic() - begun:5.0f} s  {run['build']:<18} {run['scenario']:<18} waits {off['found']}/{off['must']} false {off['false']} "
          f"error {bars.time_text(bars.quantile(off['errors'], 0.5))}, {bars.time_text(bars.quantile(off['errors'], 1))}  computations "
          f"{cpu['found']}/{cpu['must']} false {cpu['false']}  {run['verdict']}{' (' + losses + ')' if losses else ''}", flush=True)
    for text in run["complaints"] + off["details"] + cpu["details"]:
        print(f"         {text}", flush=True)


def write_between_marks(path, text):
    """Where a document quotes a table."""
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1]), re.DOTALL)
    new, count = pattern.subn(lambda _: MARKS[0] + text + MARKS[1], old)
    if count != 1:
        sys.exit(f"accuracy.py: {path} has {count} places for the table, should be one, between {MARKS[0].strip()} and {MARKS[1].strip()}")
    path.write_text(new, encoding="utf-8")


def parse(argv):
    parser = argparse.ArgumentParser(description="Measure how exact ascope is.", usage=__doc__)
    parser.add_argument("out", nargs="?", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--short", action="store_true", help="the stock build only, 4 s each, quiet scenarios 6 s")
    parser.add_argument("--seconds", type=int, default=None, help="of each recording (10)")
    parser.add_argument("--quiet-seconds", type=int, default=None, help="of the stock build's quiet scenarios (60)")
    parser.add_argument("--build", action="append", choices=BUILDS, help="this build only; may be repeated")
    parser.add_argument("--scenario", action="append", help="this scenario only; may be repeated")
    parser.add_argument("--twin", action="store_true", help="read stripped captures with the names of the unstripped program")
    parser.add_argument("--from", dest="runs", help="judge these runs instead of recording; may be repeated", metavar="FILE", action="append")
    parser.add_argument("--lock", help="hold a lock on FILE during recordings, for less than a minute in a row", metavar="FILE")
    parser.add_argument("--json", help="keep the runs in FILE", metavar="FILE")
    parser.add_argument("--markdown", help="write both tables to FILE", metavar="FILE")
    parser.add_argument("--doc", action="store_true", help="write the bars into README.md, both tables into doc/accuracy.md")
    parser.add_argument("--keep", action="store_true", help="leave the captures")
    args = parser.parse_args(argv)
    if not args.out and not args.runs:
        parser.error("where is ascope built?")
    args.seconds = args.seconds or (4 if args.short else 10)
    args.quiet_seconds = args.quiet_seconds or (6 if args.short else 60)
    args.build = args.build or (["release"] if args.short else list(BUILDS))
    return args


def main(argv):
    if argv == ["--self-test"]:
        import selftest
        return selftest.run_all()
    args = parse(argv)
    begun = time.monotonic()
    if args.runs:
        kept = [run for path in args.runs for run in json.loads(pathlib.Path(path).read_text(encoding="utf-8"))]
        runs = list({(run["scenario"], run["build"]): run for run in kept}.values())  # a later one replaces an earlier one
    else:
        why = obstacle(args.out)
        if why:
            print(why)
            return 77
        runs = []
        for run in record_all(args):
            runs.append(run)
            tell(run, begun)
            if args.json:  # after each, for a run of many minutes may be ended
                pathlib.Path(args.json).write_text(json.dumps(runs) + "\n", encoding="utf-8")
    found = bars.bars(runs, full=not args.short and not args.scenario)
    tables = bars.table(runs), bars.bar_table(found)
    print("\n" + "\n".join(tables[args.short:]))  # the short form is a test: of a long log little is kept
    if args.markdown:
        pathlib.Path(args.markdown).write_text("\n".join(tables), encoding="utf-8")
    if args.doc:
        write_between_marks(measure.ROOT / "README.md", tables[1])
        write_between_marks(measure.ROOT / "doc/accuracy.md", "\n".join(tables))
    unmet = [what for what, _, _, met in found if not met]
    if unmet:  # once more, behind the tables: of a long log its end is kept
        for run in runs:
            if run["complaints"] or run["off"]["details"] or run["cpu"]["details"]:
                tell(run, begun)
    print(f"{len(found) - len(unmet)} of {len(found)} bars met" + (f"; not met: {', '.join(unmet)}" if unmet else ""))
    return 1 if unmet else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
