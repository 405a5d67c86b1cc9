# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proves that score.py fails when it should: every kind of disagreement, one at a time. Run by `score.py --self-test`."""
import io
import unittest

import score
from score import MS, PERIOD

PID, TID = 100, 101


def entry(**changes):
    """A sleep of 40 ms at 1 s, which must be reported."""
    fields = {"t0": 1000 * MS, "t1": 1040 * MS, "kind": "sleep", "class": ["sleep"], "syscall": ["clock_nanosleep"],
              "cost": "waits", "expect": "must", "tid": TID, "task": 7, "file": "scenarios/src/sleep.rs", "line": 21,
              "last_line": 21, "function": "back_off", "cpu_ns": 0, "run_delay_ns": 0}
    return score.Entry(PID, {**fields, **changes})


def row(**changes):
    """The row that agrees with it, a little late at either end."""
    fields = {"ts": 1000 * MS + 20_000, "dur": 40 * MS, "dur_min": 40 * MS, "dur_max": 40 * MS, "off_cpu": 40 * MS,
              "on_cpu": 0, "runnable": 0, "waits": 1, "class": "sleep", "syscall": "clock_nanosleep", "pid": PID,
              "tid": TID, "worker": 0, "runtime_id": 1, "task_id": 7, "function": "scenarios::sleep::back_off",
              "file": "/src/fixtures/scenarios/src/sleep.rs", "line": 21, "stack_id": 1, "state": "complete"}
    return {**fields, **changes}


def spin(length, **changes):
    return entry(kind="spin", cost="computes", syscall=[], t1=1000 * MS + length, **{"class": ["cpu"], **changes})


def cpu_row(dur_min, **changes):
    """A computation seen by samples: possibly a period longer at either end."""
    fields = {"dur": dur_min, "dur_min": dur_min, "dur_max": dur_min + 2 * PERIOD, "off_cpu": 0, "on_cpu": dur_min,
              "syscall": None, "class": "cpu"}
    return row(**{**fields, **changes})


class Scoring(unittest.TestCase):
    def outcome(self, entries, rows, window=None, within=False):
        return score.score("self-test", entries, rows, window, within)

    def assert_wrong(self, check, entries, rows):
        wrong = self.outcome(entries, rows).wrong
        self.assertEqual([name for name, found in wrong.items() if found], [check])

    def test_agreement(self):
        result = self.outcome([entry()], [row()])
        self.assertTrue(result.agrees())
        self.assertEqual((result.must, result.found, result.errors), (1, 1, [0]))

    def test_missed_block(self):
        result = self.outcome([entry()], [])
        self.assertEqual(len(result.missed), 1)
        self.assertFalse(result.agrees())

    def test_row_under_the_threshold_is_no_report(self):
        result = self.outcome([entry()], [row(dur=9 * MS, off_cpu=9 * MS)])
        self.assertEqual((len(result.missed), len(result.false)), (1, 0))

    def test_contention_is_no_row(self):
        contended = row(dur=40 * MS, off_cpu=1 * MS, on_cpu=0, runnable=39 * MS)
        self.assertEqual(len(self.outcome([], [contended]).false), 0)

    def test_cpu_time_before_the_first_wait_is_not_proven(self):
        short = row(dur=37 * MS, dur_min=37 * MS, off_cpu=37 * MS)
        self.assertTrue(self.outcome([entry(cpu_ns=3 * MS)], [short]).agrees())
        self.assert_wrong("duration", [entry()], [short])
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [row(dur=43 * MS, dur_min=43 * MS, off_cpu=43 * MS)])

    def test_a_block_within_a_longer_poll(self):
        longer = row(ts=997 * MS, dur=43 * MS, dur_min=43 * MS, off_cpu=40 * MS, on_cpu=3 * MS)
        self.assertTrue(self.outcome([entry()], [longer], within=True).agrees())
        self.assert_wrong("duration", [entry()], [longer])
        for wrong in (row(ts=990 * MS, dur=50 * MS, off_cpu=50 * MS), row(ts=1003 * MS, dur=37 * MS, off_cpu=37 * MS)):
            self.assertFalse(self.outcome([entry()], [wrong], within=True).agrees())

    def test_false_row(self):
        result = self.outcome([], [row()])
        self.assertEqual(len(result.false), 1)
        self.assertFalse(result.agrees())

    def test_row_of_another_thread_or_process_does_not_count(self):
        for other in ({"tid": 102}, {"pid": 99}):
            result = self.outcome([entry()], [row(**other)])
            self.assertEqual((len(result.missed), len(result.false)), (1, 1))

    def test_never_entry_with_a_row(self):
        self.assertEqual(len(self.outcome([entry(expect="never")], [row()]).false), 1)

    def test_may_entry_with_and_without_a_row(self):
        self.assertTrue(self.outcome([entry(expect="may")], []).agrees())
        self.assertTrue(self.outcome([entry(expect="may")], [row()]).agrees())
        self.assert_wrong("line", [entry(expect="may")], [row(line=22)])

    def test_two_rows_for_one_poll(self):
        halves = [row(dur=20 * MS, off_cpu=20 * MS), row(ts=1021 * MS, dur=19 * MS, off_cpu=19 * MS)]
        result = self.outcome([entry()], halves)
        self.assertEqual((len(result.false), len(result.wrong["duration"])), (1, 1))

    def test_one_row_for_two_polls(self):
        long = row(dur=90 * MS, off_cpu=90 * MS)
        result = self.outcome([entry(), entry(t0=1050 * MS, t1=1090 * MS)], [long])
        self.assertEqual((len(result.missed), len(result.wrong["duration"])), (1, 1))

    def test_neighbouring_polls_keep_their_own_rows(self):
        entries = [entry(), entry(t0=1040 * MS + 50_000, t1=1060 * MS, task=8)]
        rows = [row(ts=1040 * MS + 40_000, dur=20 * MS, off_cpu=20 * MS, task_id=8), row()]
        self.assertTrue(self.outcome(entries, rows).agrees())

    def test_wrong_duration(self):
        self.assert_wrong("duration", [entry()], [row(dur=41 * MS + 1, off_cpu=41 * MS + 1)])
        self.assert_wrong("duration", [entry()], [row(dur=39 * MS - 1, off_cpu=39 * MS - 1)])
        self.assertTrue(self.outcome([entry()], [row(dur=41 * MS, off_cpu=41 * MS)]).agrees())

    def test_run_delay_is_subtracted_on_both_sides(self):
        delayed = row(dur=35 * MS, off_cpu=33 * MS, runnable=2 * MS)
        result = self.outcome([entry(run_delay_ns=7 * MS)], [delayed])
        self.assertTrue(result.agrees())
        self.assertEqual(result.delayed, 1)
        self.assert_wrong("duration", [entry(run_delay_ns=3 * MS)], [delayed])
        self.assert_wrong("duration", [entry(run_delay_ns=MS // 2)], [row(dur=38 * MS, off_cpu=38 * MS)])

    def test_wrong_place_and_kind(self):
        for check, change in [("line", {"line": 22}), ("line", {"line": None}), ("file", {"file": "src/xsleep.rs"}),
                              ("file", {"file": None}), ("function", {"function": "scenarios::sleep::request_loop"}),
                              ("function", {"function": None}), ("class", {"class": "lock"}),
                              ("syscall", {"syscall": "futex"}), ("task", {"task_id": None}),
                              ("task", {"task_id": 8}), ("parts", {"on_cpu": MS})]:
            with self.subTest(change):
                self.assert_wrong(check, [entry()], [row(**change)])

    def test_several_classes_may_be_right(self):
        either = {"class": ["lock", "sleep"]}
        self.assertTrue(self.outcome([entry(**either)], [row()]).agrees())

    def test_root_future_has_no_task(self):
        self.assertTrue(self.outcome([entry(task=None)], [row(task_id=None)]).agrees())
        self.assert_wrong("task", [entry(task=None)], [row(task_id=7)])

    def test_computation(self):
        for length in (30 * MS, 30 * MS + 2 * PERIOD):
            self.assertTrue(self.outcome([spin(length)], [cpu_row(30 * MS)]).agrees())
        self.assert_wrong("duration", [spin(29 * MS)], [cpu_row(30 * MS)])
        self.assert_wrong("duration", [spin(30 * MS + 2 * PERIOD + MS)], [cpu_row(30 * MS)])
        wide = cpu_row(30 * MS, dur_max=90 * MS)
        self.assert_wrong("duration", [spin(40 * MS)], [wide])
        self.assertTrue(self.outcome([spin(40 * MS, run_delay_ns=8 * MS)], [wide]).agrees())

    def test_line_range_of_a_computation(self):
        ranged = {"line": 20, "last_line": 25}
        self.assertTrue(self.outcome([spin(31 * MS, **ranged)], [cpu_row(30 * MS, line=25)]).agrees())
        self.assert_wrong("line", [spin(31 * MS, **ranged)], [cpu_row(30 * MS, line=26)])

    def test_entries_cut_by_the_capture(self):
        for window in ((1010 * MS, 5000 * MS), (0, 1030 * MS)):
            self.assertTrue(self.outcome([entry()], [], window).agrees())
            cut = row(dur=25 * MS, off_cpu=25 * MS)
            self.assertTrue(self.outcome([entry()], [cut], window).agrees())
            lost = self.outcome([entry()], [{**cut, "state": "open-end", "line": 3}], window)
            self.assertEqual(len(lost.wrong["line"]), 1)

    def test_entry_outside_the_capture(self):
        result = self.outcome([entry()], [], (2000 * MS, 5000 * MS))
        self.assertEqual((result.must, result.ignored), (0, 1))

    def test_function_names(self):
        for written in ("back_off", "scenarios::sleep::back_off", "sleep::back_off::{async_fn#0}",
                        "sleep::back_off::{{closure}}", "back_off::{closure#0}::{closure_env#1}<alloc::string::String>",
                        "sleep::back_off::h0123456789abcdef", "back_off<alloc::vec::Vec<u8>>", "sleep::back_off::<u8>",
                        "<scenarios::Api as scenarios::Pay>::back_off", "_ ::back_off::{async fn}",
                        "scenarios::sleep::{impl#0}::back_off"):
            self.assertEqual(score.own_name(written), "back_off", written)
        for other in ("", None, "scenarios::back_off::request_loop", "back_offs", "{{closure}}"):
            self.assertNotEqual(score.own_name(other), "back_off", other)

    def test_runtime_must_be_seen(self):
        seen = {"flavor": "multi_thread", "workers": 4}
        for rows, agrees in [([seen], True), ([], False), ([seen, seen], False), ([{**seen, "workers": 3}], False),
                             ([{**seen, "flavor": "current_thread"}], False)]:
            result = self.outcome([], [])
            score.check_runtime(result, rows, "multi_thread", 4)
            self.assertEqual(result.agrees(), agrees, rows)


def run():
    """0 when score.py can be trusted."""
    output = io.StringIO()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Scoring)
    result = unittest.TextTestRunner(stream=output).run(suite)
    failed = len(result.failures) + len(result.errors)
    if failed:
        print(output.getvalue())
    print(f"{result.testsRun - failed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed else 0
