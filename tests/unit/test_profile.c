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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
