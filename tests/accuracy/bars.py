# SPDX-License-Identifier: MIT OR Apache-2.0
"""What runs (measure.py) come to: sums, bars, tables. Knows nothing of how they were made."""
import math

MS = 1_000_000
US = 1_000
PERIOD = 1_000_000_000 // 499
JITTER = MS // 2  # of a sample's instant: a timer interrupt is late now and then, later in a virtual machine
MANY = 5_000  # injected polls from which on 0.999 can be told from 1
QUIET_SECONDS = 60
COUNTS = ["must", "found", "may", "matched", "false", "delayed", "ignored", "placed", "placed_right", "band", "band_found"]


def add(runs, part):
    """The sum of all runs' scores of one part, 'off' or 'cpu'."""
    total = {count: sum(run[part][count] for run in runs) for count in COUNTS}
    total["errors"] = sorted(error for run in runs for error in run[part]["errors"])
    total["mended"] = sorted(error for run in runs for error in run[part].get("mended", []))
    total["wrong"] = {}
    for run in runs:
        for check, count in run[part]["wrong"].items():
            total["wrong"][check] = total["wrong"].get(check, 0) + count
    return total


def precision(total):
    """Of the rows; None without any."""
    rows = total["matched"] + total["false"]
    return total["matched"] / rows if rows else None


def recall(total):
    return total["found"] / total["must"] if total["must"] else None


def quantile(values, q):
    """Of a sorted list, the smallest value that at least q of them do not exceed; 0 without any."""
    return values[max(0, math.ceil(q * len(values)) - 1)] if values else 0


def ratio_text(ratio):
    """Rounded down: 1.0000 is said of nothing less."""
    return "-" if ratio is None else f"{math.floor(ratio * 10_000) / 10_000:.4f}"


def time_text(ns):
    return f"{ns / US:.0f} us" if ns < MS else f"{ns / MS:.2f} ms"


def bars(runs, full):
    """
    [(what, the bar, the figure, met)]. full: a run that is to be quoted, and so must be long enough to say 0.999, and hold every bar to the letter. The short
    form of `make check` must not fail for what one stolen millisecond does to one of 6,000 polls: one in a thousand may be off.
    """
    off, cpu = add(runs, "off"), add(runs, "cpu")
    named = [run for run in runs if not run["build"].endswith("stripped")]
    quiet = [run for run in runs if run["quiet"]]
    placed = add(named, "off"), add(named, "cpu")
    rows, right = (sum(total[key] for total in placed) for key in ("placed", "placed_right"))
    false = sum(run[part]["false"] for run in quiet for part in ("off", "cpu"))
    wrong = sum(count for total in (off, cpu) for check, count in total["wrong"].items()
                if check not in ("duration", "function", "file", "line"))
    # one recording for every build would take an hour: the stock build is the one that must be quiet for long
    seconds = max((run["seconds"] for run in quiet), default=0)
    long_enough = not full or all(
        any(run["seconds"] >= QUIET_SECONDS for run in quiet if run["scenario"] == name) for name in {run["scenario"] for run in quiet})

    def exact(ratio):
        return ratio is not None and (ratio == 1 or (off["must"] >= MANY and ratio >= 0.999))

    def close(ratio):
        return ratio is not None and ratio >= (0.99 if full else 0.95)

    def all_of(right, of):
        return of > 0 and (right == of or (not full and right >= 0.999 * of))

    over = sum(error > PERIOD for error in cpu["errors"])
    complaints = sum(len(run["complaints"]) for run in runs)
    out = [
        ("waits >= 1 ms injected", f">= {MANY:,}", f"{off['must']:,}", off["must"] >= MANY or not full),
        ("waits >= 1 ms: precision", "1.0 (0.999 over 5,000)", f"{ratio_text(precision(off))} ({off['false']} false)", exact(precision(off))),
        ("waits >= 1 ms: recall", "1.0 (0.999 over 5,000)", f"{ratio_text(recall(off))} ({off['must'] - off['found']} missed)", exact(recall(off))),
        ("computations >= 10 ms + 2 periods: precision", ">= 0.99", f"{ratio_text(precision(cpu))} ({cpu['false']} false)", close(precision(cpu))),
        ("computations >= 10 ms + 2 periods: recall", ">= 0.99", f"{ratio_text(recall(cpu))} of {cpu['must']:,}", close(recall(cpu))),
        ("rows on quiet scenarios", "0", f"{false} in {len(quiet)} runs of up to {seconds} s", false == 0 and bool(quiet) and long_enough),
        ("duration error of waits, worst", "<= 1 ms", time_text(quantile(off["errors"], 1)), quantile(off["errors"], 1 if full else 0.999) <= MS),
        ("duration error of waits, median", "<= 50 us", time_text(quantile(off["errors"], 0.5)), quantile(off["errors"], 0.5) <= 50 * US),
        ("duration error of computations, worst", "<= 2.0 ms, one period (+ 0.5 ms of jitter)",
         f"{time_text(quantile(cpu['errors'], 1))}, {over} over the period", quantile(cpu["errors"], 1 if full else 0.99) <= PERIOD + JITTER),
        ("function, file and line", "100 % of rows", f"{right:,} of {rows:,}", all_of(right, rows)),
        ("class, system call, detail, holds, task, parts", "0 wrong", f"{wrong} wrong", wrong == 0 or all_of(off["matched"] - wrong, off["matched"])),
        ("runs that say nothing", "0", str(complaints), complaints == 0),
    ]
    return out


def table(runs):
    """Markdown: a line for each scenario, all builds together, and for each build."""
    head = ("| | waits >= 1 ms | precision | recall | error median | p99 | worst | delayed | computations | precision | recall | error median | worst |\n"
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")

    def line(name, some):
        off, cpu = add(some, "off"), add(some, "cpu")
        if all(run["quiet"] for run in some):
            seconds = sum(run["seconds"] for run in some)
            return f"| {name} | quiet: {off['false'] + cpu['false']} rows in {seconds} s |" + " |" * 11 + "\n"
        cells = [name, f"{off['must']:,}", ratio_text(precision(off)), ratio_text(recall(off))]
        cells += [time_text(quantile(off["errors"], q)) if off["errors"] else "-" for q in (0.5, 0.99, 1)]
        cells += [str(off["delayed"]), f"{cpu['must']:,}", ratio_text(precision(cpu)), ratio_text(recall(cpu))]
        cells += [time_text(quantile(cpu["errors"], q)) if cpu["errors"] else "-" for q in (0.5, 1)]
        return "| " + " | ".join(cells) + " |\n"

    loud = [run for run in runs if not run["quiet"]]
    cpu = add(runs, "cpu")
    text = head
    for name in dict.fromkeys(run["scenario"] for run in runs):
        text += line(name, [run for run in runs if run["scenario"] == name])
    for build in dict.fromkeys(run["build"] for run in loud):
        text += line(f"**all, {build}**", [run for run in loud if run["build"] == build])
    if loud:
        text += line("**all**", loud)
    mended = add(runs, "off")["mended"]
    if mended:
        text += (f"\nRows with a switch-in that the kernel did not report and ascope derived, counted apart: {len(mended)}, error median "
                 f"{time_text(quantile(mended, 0.5))}, worst {time_text(quantile(mended, 1))}.\n")
    return text + f"\nComputations of 10 ms to 10 ms + 2 periods, which may be reported: {cpu['band_found']} of {cpu['band']} were.\n"


def bar_table(found):
    return "| what | bar | measured | |\n|---|---|---|---|\n" + "".join(
        f"| {what} | {bar} | {figure} | {'met' if met else '**not met**'} |\n" for what, bar, figure, met in found)
