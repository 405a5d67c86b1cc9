# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proves that score.py fails when it should: every kind of disagreement, one at a time. Run by `score.py --self-test`."""
import contextlib
import io
import json
import tempfile
import unittest

import score
from score import JITTER, MARGIN, MS, PERIOD, Rules, Stalls

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
        little = row(ts=1001 * MS + 400_000, dur=38_600_000, dur_min=38_600_000, off_cpu=38_600_000)
        self.assert_wrong("duration", [entry(cpu_ns=JITTER - 1)], [little])
        self.assertTrue(self.outcome([entry(cpu_ns=JITTER + 1)], [little]).agrees())
        inside = row(**late, off_cpu=34 * MS, on_cpu=3 * MS)
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [inside])  # that time is in the row already
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [row(dur=37 * MS, dur_min=37 * MS, off_cpu=37 * MS)])  # or behind it
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [row(dur=43 * MS, dur_min=43 * MS, off_cpu=43 * MS)])

    def test_cpu_time_before_the_first_wait_of_a_poll_that_queued_behind(self):
        late = {"ts": 1003 * MS, "dur": 43 * MS, "dur_min": 43 * MS, "off_cpu": 37 * MS}
        self.assertTrue(self.outcome([entry(cpu_ns=3 * MS)], [row(**late, runnable=6 * MS)]).agrees())
        self.assert_wrong("duration", [entry()], [row(**late, runnable=6 * MS)])
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [row(ts=1003 * MS, dur=44 * MS, dur_min=44 * MS, off_cpu=44 * MS)])

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
                ("may", ("waits", 50, 1, 38.11)), ("must", ("waits", 50, 1, 37.9)),
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

    def test_a_fault_in_a_call_that_had_begun(self):
        made, found = entry(kind="fault-in-call", **{"class": ["fault"]}), row(dur=25 * MS, off_cpu=25 * MS, **{"class": "pipe"})
        for window, state, kind, wrong in [((1010 * MS, 5000 * MS), "open-start", made.kind, []), ((1010 * MS, 5000 * MS), "open-start", "fault", ["class"]),
                                           ((0, 1030 * MS), "open-end", made.kind, ["class"])]:
            made.kind = kind
            result = self.outcome([made], [{**found, "state": state, "syscall": "clock_nanosleep"}], window)
            self.assertEqual([check for check, sentences in result.wrong.items() if sentences], wrong)

    def test_entry_outside_the_capture(self):
        result = self.outcome([entry()], [], (2000 * MS, 5000 * MS))
        self.assertEqual((result.must, result.ignored), (0, 1))

    # ---- stalls of the machine: each excuse, and the same just beyond what the stall explains ----

    def test_stalls_add_up(self):
        stalls = Stalls([(50, 60), (10, 20), (15, 30), (12, 14), (60, 70)])
        for begin, end, want in [(0, 100, 40), (0, 10, 0), (15, 25, 10), (29, 51, 2), (30, 50, 0), (55, 65, 10)]:
            self.assertEqual(stalls.within(begin, end), want)
        self.assertEqual((stalls.between(65, 55), stalls.between(55, 65)), (10, 10))

    def stalled(self, *pairs):
        """Rules; the pairs are ms behind the begin of entry()."""
        return {"stalls": Stalls(tuple(round((1000 + ms) * MS) for ms in pair) for pair in pairs)}

    def test_a_miss_that_stalls_explain(self):
        for made in (entry(), spin(40 * MS)):
            least = (MARGIN if made.cost == "waits" else 2 * PERIOD) / MS + 10
            for pairs, missed in [([(5, 45)], 0), ([(1, 2), (4, 6)], 1), ([(-20, 0)], 1), ([(40, 90)], 1), ([], 1)]:
                self.assertEqual(len(self.outcome([made], [], **self.stalled(*pairs)).missed), missed, pairs)
            made.t1 = made.t0 + round(least * MS) + 3 * MS  # a wait of 13.1 ms, a computation of 17
            made = entry(**{**made.__dict__, "class": made.classes})
            for pairs, missed in [([(1, 4.01)], 0), ([(1, 2), (4, 6.01)], 0), ([(1, 3.99)], 1), ([(1, 2), (4, 5.99)], 1)]:
                result = self.outcome([made], [], **self.stalled(*pairs))
                self.assertEqual((len(result.missed), result.excused, result.must), (missed, 1 - missed, missed), (made.cost, pairs))
                self.assertEqual(result.disturbed, 1)

    def test_a_stall_too_short_to_matter(self):
        made = entry(t1=1010 * MS + MARGIN)
        result = self.outcome([made], [], **self.stalled((1, 1 + JITTER / MS)))
        self.assertEqual((len(result.missed), result.disturbed, result.excused), (1, 0, 0))

    def test_a_class_that_stalls_explain(self):
        frozen = {"class": "cpu", "syscall": None, "off_cpu": 15 * MS, "on_cpu": 25 * MS}
        for ms, agrees in [((5, 30), True), ((5, 21.01), True), ((5, 20.99), False), ((41, 80), False)]:
            result = self.outcome([entry()], [row(**frozen)], **self.stalled(ms))
            self.assertEqual([check for check, found in result.wrong.items() if found], [] if agrees else ["class", "syscall"], ms)
        # together with what it computed itself
        for cpu, agrees in [(6.1, True), (5.9, False)]:
            self.assertEqual(self.outcome([entry(cpu_ns=int(cpu * MS))], [row(**frozen)], **self.stalled((5, 15))).agrees(), agrees)
        # nothing stopped it in the entry, but behind it in the same poll
        longer = row(**{**frozen, "dur": 70 * MS, "dur_min": 70 * MS, "on_cpu": 55 * MS, "function": "end", "line": 80})
        self.assertTrue(self.outcome([entry()], [longer], **self.stalled((40, 70))).agrees())
        self.assertFalse(self.outcome([entry()], [longer], **self.stalled((40, 55))).agrees())
        # a stall sways neither which task it was, nor sums, nor where a computation is
        for check, change in [("task", {"task_id": 8}), ("parts", {"on_cpu": MS})]:
            self.assert_wrong(check, [entry()], [row(**change)], **self.stalled((0, 40)))
        self.assert_wrong("line", [spin(60 * MS)], [cpu_row(58 * MS, line=22)], **self.stalled((0, 30)))

    def test_a_place_that_stalls_explain(self):
        elsewhere = row(function="scenarios::sleep::request_loop", line=30)
        for ms, agrees in [((0, 17), True), ((0, 15.9), False), ((41, 80), False)]:
            self.assertEqual(self.outcome([entry()], [elsewhere], **self.stalled(ms)).agrees(), agrees, ms)
        # one that mostly computed is compared as ever; so is one that was hardly stopped
        self.assert_wrong("line", [entry(cpu_ns=17 * MS)], [row(line=22)], **self.stalled((0, 5)))
        self.assert_wrong("line", [entry(cpu_ns=15_800_000)], [row(line=22)], **self.stalled((0, 0.4)))

    def test_a_length_that_stalls_explain(self):
        def agrees(made, found, *pairs):
            return self.outcome([made], [found], **self.stalled(*pairs)).agrees()

        late = row(ts=1005 * MS, dur=35 * MS, dur_min=35 * MS, off_cpu=35 * MS)
        for pairs, want in [([(0, 5)], True), ([(-3, 4.1)], True), ([(0, 3.9)], False), ([(0, 2), (3, 5)], True), ([(5, 40)], False), ([(5, 9)], False)]:
            self.assertEqual(agrees(entry(), late, *pairs), want, pairs)  # the rest may be TOLERANCE
        early = row(ts=1000 * MS, dur=35 * MS, dur_min=35 * MS, off_cpu=35 * MS)
        longer = row(ts=997 * MS, dur=46 * MS, dur_min=46 * MS, off_cpu=46 * MS)
        for found, pairs, want in [(early, [(35, 40)], True), (early, [(30, 35)], False), (early, [(35, 38)], False),
                                   (longer, [(-3, 0), (40, 43)], True), (longer, [(-3, 0)], False), (longer, [(0, 40)], False)]:
            self.assertEqual(agrees(entry(), found, *pairs), want, pairs)
        sampled = cpu_row(30 * MS)
        self.assertTrue(agrees(spin(40 * MS), sampled, (30, 40)))
        self.assertFalse(agrees(spin(40 * MS), sampled, (30, 34)))
        self.assertFalse(agrees(spin(40 * MS), sampled, (10, 30)))
        self.assertTrue(agrees(spin(29 * MS), sampled, (29, 31)))
        self.assertFalse(agrees(spin(29 * MS), sampled, (20, 29)))

    def test_cpu_time_and_a_stall_before_the_first_wait(self):
        """The row has more time on the cpu than the entry's own clock: what the host took is in the one only."""
        late = row(ts=1003 * MS, dur=37 * MS, dur_min=37 * MS, off_cpu=34 * MS, on_cpu=3 * MS)
        for cpu, pairs, want in [(3, [], False), (3, [(10, 13)], True), (3, [(10, 10.9)], False), (1, [(10, 13)], False), (1, [(1, 2), (10, 13)], True)]:
            self.assertEqual(self.outcome([entry(cpu_ns=cpu * MS)], [late], **self.stalled(*pairs)).agrees(), want, (cpu, pairs))
        # of these 3 ms each explains its own, and nothing at the end
        early = row(ts=1003 * MS, dur=35 * MS, dur_min=35 * MS, off_cpu=35 * MS)
        self.assert_wrong("duration", [entry(cpu_ns=3 * MS)], [early], **self.stalled((0, 2)))

    def test_a_false_row_that_stalls_explain(self):
        for found in (row(), cpu_row(40 * MS)):
            for pairs, false in [([(0, 31)], 0), ([(1, 16), (20, 35.1)], 0), ([(0, 29.9)], 1), ([(-40, 0)], 1), ([(41, 90)], 1), ([], 1)]:
                result = self.outcome([], [found], **self.stalled(*pairs))
                self.assertEqual((len(result.false), result.disturbed), (false, 1 - false), pairs)
        queued = row(runnable=20 * MS, off_cpu=20 * MS)
        self.assertEqual(len(self.outcome([], [queued], **self.stalled((0, 9))).false), 1)
        self.assertEqual(len(self.outcome([], [queued], **self.stalled((0, 11))).false), 0)

    def test_what_the_capture_cuts_with_stalls(self):
        window = (1010 * MS, 3000 * MS)
        late = {"ts": 1015 * MS, "dur": 25 * MS, "dur_min": 25 * MS, "off_cpu": 25 * MS, "state": "open-start"}
        for pairs, missed, wrong in [([(10, 15)], 0, 0), ([(15, 20)], 0, 1), ([], 0, 1)]:
            result = self.outcome([entry()], [row(**late)], window, cut=True, **self.stalled(*pairs))
            self.assertEqual((len(result.missed), len(result.wrong["duration"])), (missed, wrong), pairs)
        for pairs, missed in [([(10, 21)], 0), ([(10, 19)], 1)]:
            self.assertEqual(len(self.outcome([entry()], [], window, cut=True, **self.stalled(*pairs)).missed), missed)

    def test_too_little_truth_for_stalls(self):
        def code(stalls, minimum, found=()):
            with tempfile.TemporaryDirectory() as folder:
                paths = [f"{folder}/{name}" for name in ("truth", "rows", "stalls")]
                for path, lines in zip(paths, ([{"pid": PID}, {**entry().__dict__, "class": ["sleep"], "expect": None}], [list(found)], stalls)):
                    with open(path, "w", encoding="utf-8") as file:
                        file.writelines(json.dumps(line) + "\n" for line in lines)
                with contextlib.redirect_stdout(io.StringIO()):
                    return score.main([*paths[:2], "--stalls", paths[2], "--min-must", str(minimum)])

        stall = {"cpu": 0, "from": 1000 * MS, "to": 1035 * MS}
        sums = {"since": 0, "until": 2000 * MS, "samples": 1, "lost": 0}
        self.assertEqual([code([sums], 1, [row()]), code([sums], 2, [row()]), code([sums], 1)], [0, 4, 1])
        self.assertEqual([code([stall, sums], 1), code([stall, sums], 2), code([stall, sums], 1, [row()])], [6, 4, 0])  # what is right counts

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
