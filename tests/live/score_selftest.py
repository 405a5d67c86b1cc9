# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proves that score.py fails when it should: every kind of disagreement, one at a time. Run by `score.py --self-test`."""
import io
import unittest

import score
from score import MARGIN, MS, PERIOD, Rules

PID, TID = 100, 101


def entry(**changes):
    """A sleep of 40 ms at 1 s, which must be reported: nothing but its length decides that."""
    fields = {"t0": 1000 * MS, "t1": 1040 * MS, "kind": "sleep", "class": ["sleep"], "syscall": ["clock_nanosleep"],
              "cost": "waits", "tid": TID, "task": 7, "file": "scenarios/src/sleep.rs", "line": 21,
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
    def outcome(self, entries, rows, window=None, **rules):
        return score.score("self-test", entries, rows, window, Rules(**rules))

    def assert_wrong(self, check, entries, rows, **rules):
        wrong = self.outcome(entries, rows, **rules).wrong
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
        late = {"ts": 1003 * MS, "dur": 37 * MS, "dur_min": 37 * MS}
        short = row(**late, off_cpu=37 * MS)
        self.assertTrue(self.outcome([entry(cpu_ns=3 * MS)], [short]).agrees())
        self.assert_wrong("duration", [entry()], [short])
        inside = row(**late, off_cpu=34 * MS, on_cpu=3 * MS)
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [inside])  # that time is in the row already
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [row(dur=37 * MS, dur_min=37 * MS, off_cpu=37 * MS)])  # or behind it
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

    def test_what_must_be_reported(self):
        def verdict(cost, wall, cpu=0, run_delay=0, **rules):
            made = entry(cost=cost, t1=1000 * MS + int(wall * MS), cpu_ns=int(cpu * MS), run_delay_ns=int(run_delay * MS))
            return score.expect(made, Rules(**rules))

        for want, facts in [
                # waits must be long and mostly waiting; queueing for a cpu is not their own length
                ("must", ("waits", 20, 1)), ("must", ("waits", 10.11)), ("may", ("waits", 10.09)), ("may", ("waits", 9)),
                ("may", ("waits", 20, 8.1)), ("must", ("waits", 20, 7.9)), ("may", ("waits", 20, 1, 12)),
                # computations are known to two sampling periods
                ("never", ("computes", 9.9, 9)), ("may", ("computes", 10, 10)), ("may", ("computes", 14, 14)),
                ("must", ("computes", 14.1, 14)), ("may", ("computes", 15, 9, 6)),
                ("never", ("harmless", 1000))]:
            self.assertEqual(verdict(*facts), want, facts)
        self.assertEqual(verdict("waits", 1.11, min=MS), "must")
        self.assertEqual(verdict("waits", 1.09, min=MS), "may")
        self.assertEqual(verdict("computes", 5.1, min=MS), "must")
        self.assertEqual(verdict("computes", 20, only="waits"), "may")
        self.assertEqual(verdict("waits", 20, only="computes"), "may")
        self.assertEqual(verdict("computes", 9, only="waits"), "never")
        with self.assertRaises(ValueError):
            verdict("dreams", 20)

    def test_what_the_log_expects_is_not_asked(self):
        self.assertEqual(len(self.outcome([entry(expect="never")], []).missed), 1)

    def test_harmless_entry_with_a_row(self):
        self.assertEqual(len(self.outcome([entry(cost="harmless")], [row()]).false), 1)

    def test_may_entry_with_and_without_a_row(self):
        may = {"cpu_ns": 30 * MS}
        self.assertTrue(self.outcome([entry(**may)], []).agrees())
        self.assertTrue(self.outcome([entry(**may)], [row()]).agrees())
        self.assertTrue(self.outcome([entry(**may)], [row(**{"class": "cpu"})]).agrees())
        self.assert_wrong("line", [entry(**may)], [row(line=22)])

    def test_lower_threshold(self):
        short = entry(t1=1000 * MS + 2 * MS)
        seen = row(dur=2 * MS, dur_min=2 * MS, off_cpu=2 * MS)
        self.assertEqual(self.outcome([short], [seen]).matched, 0)
        result = self.outcome([short], [seen], min=MS)
        self.assertEqual((result.must, result.found, result.matched, result.agrees()), (1, 1, 1, True))
        self.assertEqual(len(self.outcome([short], [], min=MS).missed), 1)
        self.assertEqual(len(self.outcome([], [seen], min=MS).false), 1)
        nearly = entry(t1=1000 * MS + MS + MARGIN - 1)
        self.assertEqual(len(self.outcome([nearly], [], min=MS).missed), 0)

    def test_one_kind_only(self):
        for only, missed, false in [("waits", entry(), row()), ("computes", spin(40 * MS), cpu_row(38 * MS))]:
            other = {"waits": "computes", "computes": "waits"}[only]
            mine, theirs = self.outcome([missed], [], only=only), self.outcome([missed], [], only=other)
            self.assertEqual((len(mine.missed), len(theirs.missed), theirs.must, theirs.may), (1, 0, 0, 0))
            mine, theirs = self.outcome([], [false], only=only), self.outcome([], [false], only=other)
            self.assertEqual((len(mine.false), len(theirs.false)), (1, 0))
            # the other kind's rows still belong to its entries
            self.assertEqual(self.outcome([missed], [false], only=other).matched, 0)
        self.assert_wrong("class", [entry()], [row(**{"class": "cpu"})], only="waits")
        self.assertEqual(len(self.outcome([entry(cost="harmless")], [row()], only="waits").false), 1)

    def test_band_of_computations(self):
        for length, row_of, want in [(13 * MS, [cpu_row(11 * MS)], (1, 1)), (13 * MS, [], (1, 0)),
                                     (20 * MS, [cpu_row(18 * MS)], (0, 0)), (9 * MS, [], (0, 0))]:
            result = self.outcome([spin(length)], row_of)
            self.assertEqual((result.band, result.band_found), want)
            self.assertTrue(result.agrees())

    def test_detail_and_holds(self):
        self.assertTrue(self.outcome([entry(detail="mutex", holds="root")], [row()]).agrees())
        for check in ("detail", "holds"):
            for want, got, agrees in [("mutex", "mutex", True), (["mutex", "once"], "once", True), ("mutex", "once", False),
                                      ("mutex", None, False), (None, "once", True)]:
                result = self.outcome([entry(**{check: want})], [row(**{check: got})])
                self.assertEqual((result.agrees(), len(result.wrong[check])), (agrees, int(not agrees)))
        self.assertTrue(self.outcome([entry(detail="mutex")], [row(detail=None)], names=False).agrees())
        self.assert_wrong("holds", [entry(holds="root")], [row(holds="runtime")], names=False)

    def test_places_of_a_stripped_binary(self):
        bare = row(function=None, file=None, line=None)
        result = self.outcome([entry()], [bare], names=False)
        self.assertEqual((result.agrees(), result.placed), (True, 0))
        result = self.outcome([entry()], [bare])
        self.assertEqual((result.agrees(), result.placed, result.placed_right), (False, 1, 0))
        result = self.outcome([entry()], [row()])
        self.assertEqual((result.placed, result.placed_right), (1, 1))
        self.assert_wrong("task", [entry()], [row(task_id=8)], names=False)

    def test_entries_can_be_scored_again(self):
        entries = [entry()]
        self.assertEqual(self.outcome(entries, [row()]).found, 1)
        self.assertEqual(len(self.outcome(entries, []).missed), 1)

    def test_computations_before_the_ticks_were_proven(self):
        early = spin(40 * MS)
        self.assertEqual(self.outcome([early], [], proven=early.t0 + 1).agrees(), True)
        self.assertEqual(len(self.outcome([early], [], proven=early.t0).missed), 1)
        self.assertEqual(len(self.outcome([entry()], [], proven=2000 * MS).missed), 1)
        window = (1000 * MS, 5000 * MS)
        for rows, want in [([{"tick_from": 1200 * MS}], 1200 * MS), ([{"tick_from": 4000 * MS}], 1000 * MS + score.SOON),
                           ([{"tick_from": None}], 0), ([], 0)]:
            self.assertEqual(score.proven_from(rows, window), want)

    def test_what_the_capture_cuts(self):
        window = (1010 * MS, 3000 * MS)
        long = {"dur": 30 * MS, "dur_min": 30 * MS, "off_cpu": 30 * MS, "ts": 1010 * MS, "state": "open-start"}
        end = entry(t0=2950 * MS, t1=3100 * MS)
        ends = row(ts=2950 * MS, dur=50 * MS, off_cpu=50 * MS, state="open-end")
        all_along = entry(tid=9, t0=900 * MS, t1=4000 * MS)
        both = row(tid=9, ts=1010 * MS, dur=1990 * MS, dur_min=1990 * MS, off_cpu=1990 * MS, state="open-both")
        self.assertTrue(self.outcome([entry(), end, all_along], [row(**long), ends, both], window, cut=True).agrees())
        result = self.outcome([entry(), end, all_along], [row(**long), ends, {**both, "state": "open-end"}], window, cut=True)
        self.assertEqual([check for check, found in result.wrong.items() if found], ["state"])
        for rows, missed, wrong in [([ends], 1, {}), ([row(**{**long, "state": "complete"}), ends], 0, {"state": 1}),
                                    ([row(**{**long, "state": "open-end"}), ends], 0, {"state": 1}),
                                    ([row(**{**long, "dur": 25 * MS, "off_cpu": 25 * MS}), ends], 0, {"duration": 1})]:
            result = self.outcome([entry(), end], rows, window, cut=True)
            self.assertEqual((len(result.missed), result.agrees()), (missed, False))
            self.assertEqual({check: len(found) for check, found in result.wrong.items() if found}, wrong)
        self.assertEqual(self.outcome([end], [ends], window, cut=True).complaints, ["no row is open-start", "no row is open-both"])
        # too little of it is to be seen
        self.assertEqual(self.outcome([entry(t1=1020 * MS), end], [ends], window, cut=True).missed, [])

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

    def test_a_poll_that_waits_for_a_cpu_behind_its_block(self):
        longer = {"dur": 47 * MS, "off_cpu": 40 * MS}
        self.assertTrue(self.outcome([entry()], [row(**longer, runnable=7 * MS)]).agrees())
        self.assertTrue(self.outcome([entry()], [row(**longer, runnable=6 * MS + MS // 2, on_cpu=MS // 2)]).agrees())
        self.assert_wrong("duration", [entry()], [row(**longer, runnable=5 * MS, on_cpu=2 * MS)])
        # time waited for a cpu inside is still no part of the block's own length
        self.assert_wrong("duration", [entry()], [row(dur=47 * MS, off_cpu=47 * MS)])

    def test_derived_instants_are_counted_apart(self):
        result = self.outcome([entry()], [row(dur=42 * MS, off_cpu=42 * MS, derived=True)])
        self.assertEqual((result.agrees(), result.errors, result.mended), (True, [], [2 * MS]))
        self.assert_wrong("line", [entry()], [row(derived=True, line=22)])

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
        behind = cpu_row(36 * MS, on_cpu=29 * MS)
        self.assertTrue(self.outcome([spin(31 * MS)], [{**behind, "runnable": 7 * MS}]).agrees())
        self.assert_wrong("duration", [spin(31 * MS)], [{**behind, "runnable": 4 * MS, "on_cpu": 32 * MS}])

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
