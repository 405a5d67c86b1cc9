/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_profile.c: what a profile weighs is what SQL says; its order does not depend on anything but the capture. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/profile.h"
#include "report_fixture.h"

/* Checks what holds of every profile, and gives its total. */
static u64 total(sqlite3 *db, const struct profile_opts *o, u64 *ret_samples)
{
	_cleanup_profile_ struct profile p = {0};
	u64 samples = 0, ns = 0;
	u32 seen = 0;

	assert_int_equal(profile_load(db, o, &p), 0);
	for (u32 i = 0; i < p.n_stacks; i++) {
		samples += p.stacks[i].samples;
		ns += p.stacks[i].ns;
		assert_true(p.stacks[i].n > 0);
		for (u32 k = 0; k < p.stacks[i].n; k++) {
			u32 at = p.stacks[i].frames[k];

			/* in order of first use */
			assert_true(at <= seen);
			seen += at == seen;
			assert_true(at < p.n_frames);
			assert_non_null(p.frames[at].name);
			assert_true(*p.frames[at].name);
		}
	}
	assert_int_equal(seen, p.n_frames);
	assert_int_equal(samples, p.samples);
	assert_int_equal(ns, p.ns);
	if (ret_samples)
		*ret_samples = samples;
	return ns;
}

#define WAITED "coalesce(ts_waking, 1030000000000) - ts"

static void test_totals(void **state)
{
	sqlite3 *db = fixture_open();
	struct profile_opts o = {.kind = PROFILE_ONCPU};
	u64 samples, ns, waited, period = (u64)fixture_s64(db, "SELECT sample_period FROM capture", NULL);

	(void)state;
	for (enum profile_by by = PROFILE_BY_THREAD; by <= PROFILE_BY_NONE; by++) {
		o = (struct profile_opts){.kind = PROFILE_ONCPU, .by = by};
		ns = total(db, &o, &samples);
		assert_int_equal(samples, fixture_s64(db, "SELECT count(*) FROM sample", NULL));
		assert_int_equal(ns, samples * period);
		o.kind = PROFILE_OFFCPU;
		waited = total(db, &o, &samples);
		assert_int_equal(samples, 0);
		assert_int_equal(waited, fixture_s64(db,
						     "SELECT sum(" WAITED ") FROM offcpu WHERE role <> 'parked' "
						     "AND coalesce(stack_id, 0) <> 8 AND state <> 'R'",
						     NULL));
		o.wakers = true;
		assert_int_equal(total(db, &o, NULL), waited);
		o.kind = PROFILE_WALL;
		assert_int_equal(total(db, &o, NULL), ns + waited);
		o.kind = PROFILE_BLOCKING;
		assert_int_equal(total(db, &o, NULL),
				 fixture_s64(db, "SELECT sum(off_cpu + on_cpu + runnable) FROM blocking", NULL));
	}
	fixture_close(db);
}

static s64 find(const struct profile *p, const struct profile_stack *s, const char *name)
{
	for (u32 i = 0; i < s->n; i++)
		if (!strcmp(p->frames[s->frames[i]].name, name))
			return i;
	return -1;
}

/* The wait to its end, then who ended it from the wake on outwards: functions that are inlined stand alone there. */
static void test_waker_stacks(void **state)
{
	static const char *const behind[] = {"--",
					     "__schedule",
					     "schedule",
					     "do_nanosleep",
					     "hrtimer_nanosleep",
					     "__x64_sys_clock_nanosleep",
					     "do_syscall_64",
					     "entry_SYSCALL_64_after_hwframe",
					     "clock_nanosleep",
					     "std::sys::thread::unix::sleep",
					     "std::thread::functions::sleep",
					     "orders::api::process_large_file"};
	sqlite3 *db = fixture_open();
	struct profile_opts o = {.kind = PROFILE_OFFCPU, .by = PROFILE_BY_THREAD, .class_is = "lock", .wakers = true};
	_cleanup_profile_ struct profile p = {0};
	const struct profile_stack *s = NULL;
	u64 before = total(db, &o, NULL);
	s64 at = -1;

	(void)state;
	fixture_exec(db, "UPDATE _offcpu SET waker_stack_id = 1, waker_kstack_id = 20 WHERE poll_id = 11");
	assert_int_equal(total(db, &o, NULL), before);
	assert_int_equal(profile_load(db, &o, &p), 0);
	for (u32 i = 0; i < p.n_stacks && at < 0; i++) {
		s = &p.stacks[i];
		at = find(&p, s, "orders::api::process_large_file") >= 0 ? find(&p, s, "--") : -1;
	}
	assert_true(at > 0);
	assert_int_equal(s->ns, fixture_s64(db, "SELECT sum(ts_waking - ts) FROM offcpu WHERE waker_stack_id = 1", NULL));
	for (u32 i = 0; i < ARRAY_SIZE(behind); i++) {
		const struct profile_frame *f = &p.frames[s->frames[(u32)at + i]];

		assert_string_equal(f->name, behind[i]);
		assert_int_equal(f->waker, i > 0);
		assert_false(f->inlined);
	}
	assert_string_equal(p.frames[s->frames[s->n - 3]].name, "std::sys::thread::unix::Thread::new::thread_start");
	assert_true(p.frames[s->frames[s->n - 1]].synthetic); /* the task and its thread, as without a stack */
	assert_false(p.frames[s->frames[s->n - 1]].waker);
	assert_false(p.frames[s->frames[at - 1]].waker);
	profile_release(&p);
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_waker_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
