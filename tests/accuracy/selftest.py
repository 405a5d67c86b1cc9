# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proves that every bar of bars.py can be missed, one at a time. Run by `accuracy.py --self-test`."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import accuracy
import bars
import measure
from bars import MS, PERIOD, US


def part(must=0, **changes):
    """One run's score with `must` entries, all found 20 us off."""
    fields = {"must": must, "found": must, "may": 0, "matched": must, "false": 0, "errors": [20 * US] * must, "delayed": 0, "ignored": 0,
              "placed": must, "placed_right": must, "band": 0, "band_found": 0, "mended": [], "wrong": {}, "details": []}
    return {**fields, **changes}


def run(off=None, cpu=None, **changes):
    fields = {"scenario": "sleep", "build": "release", "quiet": False, "seconds": 10, "verdict": "complete", "losses": {}, "stolen": 0, "disturbed": "", "derived": 0,
              "off": off or part(), "cpu": cpu or part(), "complaints": []}
    return {**fields, **changes}


def good(off=None, cpu=None, quiet=None, **changes):
    """Runs that meet every bar, but for what is given."""
    return [run(off=off or part(6000), cpu=cpu or part(200), **changes),
            run(**{"scenario": "idle", "quiet": True, "seconds": 60, **(quiet or {})})]


class Bars(unittest.TestCase):
    def unmet(self, runs, full=True):
        return [what for what, _, _, met in bars.bars(runs, full) if not met]

    def test_all_met(self):
        self.assertEqual(self.unmet(good()), [])

    def assert_unmet(self, bar, runs, full=True):
        found = self.unmet(runs, full)
        self.assertEqual(len(found), 1, found)
        self.assertIn(bar, found[0])

    def test_too_few_polls(self):
        self.assert_unmet("injected", good(off=part(4999)))
        self.assertEqual(self.unmet(good(off=part(500)), full=False), [])

    def test_recall_of_waits(self):
        self.assertEqual(self.unmet(good(off=part(6000, found=5994))), [])
        self.assert_unmet("waits >= 1 ms: recall", good(off=part(6000, found=5993)))
        # too few to tell 0.999 from 1: then it is 1
        self.assert_unmet("waits >= 1 ms: recall", good(off=part(4000, found=3999)), full=False)

    def test_precision_of_waits(self):
        self.assertEqual(self.unmet(good(off=part(6000, false=6))), [])
        self.assert_unmet("waits >= 1 ms: precision", good(off=part(6000, false=7)))
        self.assert_unmet("waits >= 1 ms: precision", good(off=part(4000, false=1)), full=False)

    def test_computations(self):
        self.assertEqual(self.unmet(good(cpu=part(200, found=198))), [])
        self.assert_unmet("2 periods: recall", good(cpu=part(200, found=197)))
        self.assertEqual(self.unmet(good(cpu=part(200, false=2))), [])
        self.assert_unmet("2 periods: precision", good(cpu=part(200, false=3)))

    def test_quiet(self):
        # it is a false row, too, but one of thousands
        self.assert_unmet("quiet", good(quiet={"off": part(false=1)}))
        self.assert_unmet("quiet", good(quiet={"cpu": part(false=1)}))
        self.assert_unmet("quiet", good(quiet={"seconds": 59}))
        self.assertEqual(self.unmet(good(quiet={"seconds": 6}), full=False), [])
        self.assert_unmet("quiet", good()[:1])

    def repeats(self, runs, quiet_only=True):
        """How many of these runs, one after another, are recorded, and the one that counts."""
        left = list(runs)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            counted = measure.undisturbed(lambda _: left.pop(0), pathlib.Path(folder), quiet_only)
        return len(runs) - len(left), counted

    def test_a_quiet_run_is_repeated_when_the_host_took_time(self):
        taken = {"scenario": "idle", "quiet": True, "cpu": part(false=1), "stolen": measure.STOLEN}
        self.assertEqual(self.repeats([run(**taken), run(), run()])[0], 2)
        self.assertEqual(self.repeats([run(**taken)] * 4), (3, run(**taken)))
        self.assertEqual(self.repeats([run(**{**taken, "stolen": measure.STOLEN - 1, "disturbed": "the host stopped it"}), run()])[0], 1)
        self.assertEqual(self.repeats([run(**{**taken, "quiet": False}), run()])[0], 1)
        self.assertEqual(self.repeats([run(**{**taken, "cpu": part()}), run()])[0], 1)

    def test_any_run_of_the_short_form_is_repeated(self):
        taken = {"disturbed": "the host stopped it"}
        for disagrees in ({"off": part(9, found=8)}, {"cpu": part(9, found=8)}, {"off": part(9, wrong={"class": 1})}, {"complaints": ["it did not start"]}):
            self.assertEqual(self.repeats([run(**taken, **disagrees), run(), run()], quiet_only=False)[0], 2)
            self.assertEqual(self.repeats([run(**disagrees), run()], quiet_only=False)[0], 1)
        self.assertEqual(self.repeats([run(**taken, off=part(9)), run()], quiet_only=False)[0], 1)

    def test_every_quiet_scenario_must_be_long(self):
        self.assert_unmet("quiet", good() + [run(scenario="timers", quiet=True, seconds=10)])
        self.assertEqual(self.unmet(good() + [run(scenario="idle", build="debug", quiet=True, seconds=10)]), [])

    def test_duration(self):
        self.assert_unmet("of waits, worst", good(off=part(6000, errors=[20 * US] * 5999 + [MS + 1])))
        self.assert_unmet("of waits, median", good(off=part(6000, errors=[51 * US] * 6000)))
        self.assertEqual(self.unmet(good(cpu=part(200, errors=[PERIOD] * 200))), [])
        self.assert_unmet("of computations", good(cpu=part(200, errors=[PERIOD + MS])))

    def test_places(self):
        self.assert_unmet("function", good(off=part(6000, placed_right=5999)))
        self.assert_unmet("function", good(cpu=part(200, placed_right=199)))
        # stripped binaries have no names to be right
        stripped = run(build="fat LTO, stripped", off=part(100, placed=0, placed_right=0))
        self.assertEqual(self.unmet(good() + [stripped]), [])

    def test_anything_else(self):
        for check in ("class", "syscall", "detail", "holds", "task", "parts"):
            self.assert_unmet("class", good(off=part(6000, wrong={check: 1})))
        self.assert_unmet("say nothing", good(complaints=["it did not start"]))

    def test_ratios_are_never_rounded_up(self):
        self.assertEqual(bars.ratio_text(0.99999), "0.9999")
        self.assertEqual(bars.ratio_text(1), "1.0000")
        self.assertEqual(bars.ratio_text(None), "-")

    def test_quantiles(self):
        values = list(range(1, 101))
        self.assertEqual([bars.quantile(values, q) for q in (0, 0.5, 0.99, 1)], [1, 50, 99, 100])
        self.assertEqual((bars.quantile([], 0.5), bars.quantile([7], 0.99)), (0, 7))

    def test_tables(self):
        text = bars.table(good())
        self.assertIn("| sleep | 6,000 | 1.0000 | 1.0000 | 20 us | 20 us | 20 us |", text)
        self.assertIn("| idle | quiet: 0 rows in 60 s |", text)
        self.assertIn("| **all** |", text)
        self.assertNotIn("derived", text)
        self.assertIn("counted apart: 1, error median 2.00 ms", bars.table(good(off=part(6000, mended=[2 * MS]))))
        widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
        self.assertEqual(len(widths), 1, text)
        self.assertIn("**not met**", bars.bar_table(bars.bars(good(off=part(10)), True)))

    def test_documents(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "README.md"
            path.write_text("before\n" + "old\n".join(accuracy.MARKS) + "behind\n", encoding="utf-8")
            accuracy.write_between_marks(path, "new\n")
            self.assertEqual(path.read_text(encoding="utf-8"), "before\n" + "new\n".join(accuracy.MARKS) + "behind\n")
            path.write_text("no marks\n", encoding="utf-8")
            with self.assertRaises(SystemExit):
                accuracy.write_between_marks(path, "new\n")


def run_all():
    """0 when the bars can be trusted."""
    output = io.StringIO()
    result = unittest.TextTestRunner(stream=output).run(unittest.defaultTestLoader.loadTestsFromTestCase(Bars))
    failed = len(result.failures) + len(result.errors)
    if failed:
        print(output.getvalue())
    print(f"{result.testsRun - failed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0
