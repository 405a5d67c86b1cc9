/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_view_timegrid.c: columns cut the window without room or overlap, cells add up to what --offcpu says, blocked polls are marked where
 * they were, and what is not known is not drawn as idle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "report/timeline_grid.h"
#include "report/view_text.h"
#include "report_fixture.h"

static void load(sqlite3 *db, const struct report_opts *o, u32 columns, struct capture_facts *f, struct timeline_grid *g)
{
	assert_int_equal(capture_facts_load(db, o, f), 0);
	assert_int_equal(timeline_grid_load(db, o, f, columns, g), 0);
}

static void check_row(const struct timeline_grid *g, const struct grid_row *row)
{
	u64 all = 0, polled = 0;

	for (u32 c = 0; c < g->n_columns; c++) {
		const struct grid_cell *x = &row->cells[c];

		assert_true(grid_cell_wall(x) <= row->threads * (grid_bound(g, c + 1) - grid_bound(g, c)));
		assert_true(x->in_poll <= x->waiting);
		all += grid_cell_wall(x);
		polled += x->blocked[CLASS_SLEEP];
	}
	assert_int_equal(all, grid_cell_wall(&row->sum));
	assert_int_equal(polled, row->sum.blocked[CLASS_SLEEP]);
	if (row->t)
		assert_int_equal(all, row->t->hi - row->t->lo);
}

static void test_cells(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);

	(void)state;
	for (u64 from = 0; from < 28; from += 9) {
		for (u32 columns = 1; columns < 500; columns = columns * 3 + 1) {
			_cleanup_facts_ struct capture_facts f = {0};
			_cleanup_timeline_grid_ struct timeline_grid g = {0};

			o.from_ns = from * NSEC_PER_SEC + 17;
			load(db, &o, columns, &f, &g);
			assert_int_equal(g.n_columns, min_u64(columns, GRID_MAX_COLUMNS));
			assert_int_equal(grid_bound(&g, 0), f.lo);
			assert_int_equal(grid_bound(&g, g.n_columns), f.hi);
			assert_int_equal(g.n_rows, 5);
			for (size_t i = 0; i < g.n_rows; i++)
				check_row(&g, &g.rows[i]);
			for (int i = 0; i < GRID_GROUPS; i++)
				if (g.groups[i].threads)
					check_row(&g, &g.groups[i]);
			assert_int_equal(g.groups[GRID_POOL].threads, 1);
			assert_int_equal(g.groups[GRID_BLOCK_ON].threads, 1);
			assert_int_equal(g.groups[GRID_OTHERS].threads, 1);
		}
	}
	fixture_close(db);
}

/* Time of blocked polls is the view's, whatever the columns are. */
static void test_blocked(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_timeline_grid_ struct timeline_grid g = {0};
	u64 sum[CLASS_COUNT] = {0};

	(void)state;
	load(db, &o, 97, &f, &g);
	for (int c = 0; c < CLASS_COUNT; c++) {
		for (size_t i = 0; i < g.n_rows; i++)
			sum[c] += g.rows[i].sum.blocked[c];
		for (int i = 0; i < GRID_GROUPS; i++)
			sum[c] += g.groups[i].sum.blocked[c];
		assert_int_equal(
			sum[c],
			fixture_s64(
				db,
				"SELECT coalesce(sum(dur + stopped), 0) FROM blocking WHERE dur_max >= 10000000 AND held >= 10000000 AND "
				"class = ?1",
				wait_class_name((enum wait_class)c)));
	}
	assert_int_equal(g.groups[GRID_BLOCK_ON].blocks, 2);
	/* Poll 1: worker 1 slept from 3.214 s on for 450 ms; 97 columns of 309 ms. */
	assert_int_equal(g.rows[1].cells[10].blocked[CLASS_SLEEP], grid_bound(&g, 11) - 1003214000000);
	timeline_grid_release(&g);
	fixture_close(db);
}

static void test_narrow_window(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_facts_ struct capture_facts f = {0};
	_cleanup_timeline_grid_ struct timeline_grid g = {0};

	(void)state;
	o.from_ns = NSEC_PER_SEC;
	o.to_ns = NSEC_PER_SEC + 7;
	load(db, &o, 100, &f, &g);
	assert_int_equal(g.n_columns, 7);
	for (u32 i = 0; i <= 7; i++)
		assert_int_equal(grid_bound(&g, i), f.lo + i);
	timeline_grid_release(&g);
	fixture_close(db);
}

/* The drawn cells of the row that begins with label. */
static char *drawn(const char *text, const char *label)
{
	const char *line = strstr(text, label), *from, *to;

	assert_non_null(line);
	from = strchr(line, '|');
	assert_non_null(from);
	to = strchr(from + 1, '|');
	assert_non_null(to);
	return strndup(from + 1, (size_t)(to - from - 1));
}

/* One worker, 44 columns of 1 s: runs, waits, is not known, ends. */
static void test_picture(void **state)
{
	sqlite3 *db = fixture_open_empty();
	struct report_opts o = fixture_opts(80);
	_cleanup_free_ char *text = NULL, *row = NULL, *marks = NULL, *lost = NULL, *utf8 = NULL;

	(void)state;
	o.ascii = true;
	fixture_exec(
		db,
		"UPDATE capture SET ts_end = 1044000000000;"
		"INSERT INTO process VALUES (1, 5, NULL, NULL, 'p', NULL, 0, NULL, NULL); INSERT INTO thread (id, process_id, tid, ns_tid, name, "
		"ts_start, ts_end) VALUES (1, 1, 5, NULL, 't', NULL, 1040000000000);"
		"INSERT INTO runtime VALUES (1, 1, 5, '1.54.1', 'multi_thread', 1, 'x', 'symbol', 1, 1, 1); INSERT INTO worker VALUES (1, 0, 1, 1);"
		"INSERT INTO offcpu (thread_id, ts, dur, state, role, class, ran, poll_id) VALUES "
		"(1, 1010000000000, 10000000000, 'S', 'in_poll', 'disk', 10000000000, 1), "
		"(1, 1025000000000, 5000000000, 'S', 'parked', 'lock', NULL, NULL), (1, 1030500000000, 500000000, 'S', 'parked', 'lock', 500000000, NULL);"
		"INSERT INTO poll (id, ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, holds, thread_id, runtime_id, "
		"worker, joined_by, classified, state) VALUES (1, 1010000000000, 10400000000, 10400000000, 10400000000, 10400000000, 0, 0, 1, 0, 'disk', "
		"'file', 'runtime', 1, 1, 0, 'tick', 1, 'complete'); INSERT INTO gap VALUES (1020000000000, 1024000000000, 'ring_full.switch', 3)");
	text = fixture_run(db, view_timegrid, &o);
	row = drawn(text, "worker 0 ");
	marks = drawn(strstr(text, "worker 0 ") + 70, "    ");
	lost = drawn(text, "events lost");
	assert_string_equal(row, "##########          ?????     =?????????~~~~");
	assert_string_equal(marks, "          DDDDDDDDDDd                       ");
	assert_string_equal(lost, "                    ????                    ");
	assert_non_null(strstr(text, "\n                 +---------+---------+---------+---------+---\n"));
	assert_non_null(strstr(text, "\n                 0 s       10 s      20 s      30 s      40 s\n"));
	assert_non_null(strstr(text, "a poll blocked for 10 ms or longer: D disk,"));
	for (const char *p = text; *p; p++)
		assert_true((u8)*p < 0x80);
	o.ascii = false;
	utf8 = fixture_run(db, view_timegrid, &o);
	assert_non_null(strstr(utf8, "│██████████          ?????     ▄?????????····│"));
	fixture_close(db);
}

/* --timeline and --offcpu tell the same of each thread. */
static void test_same_as_offcpu(void **state)
{
	sqlite3 *db = fixture_open();
	struct report_opts o = fixture_opts(120);
	_cleanup_free_ char *grid = NULL, *off = NULL;
	static const char *const parts[] = {"runnable", "waiting", "idle", "unknown"};

	(void)state;
	grid = fixture_run(db, view_timegrid_json, &o);
	o.min_ns = 0;
	off = fixture_run(db, view_offcpu_json, &o);
	assert_int_equal(fixture_s64(db, "SELECT json_array_length(?1, '$.bounds') - json_extract(?1, '$.columns')", grid), 1);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char sql[240];

		(void)snprintf(sql, sizeof(sql),
			       "SELECT sum(c.value) FROM json_each(?1, '$.rows') AS r, json_each(r.value, '$.%s') AS c",
			       parts[i]);
		s64 cells = fixture_s64(db, sql, grid);
		(void)snprintf(sql, sizeof(sql),
			       "SELECT sum(c.value) FROM json_each(?1, '$.groups') AS r, json_each(r.value, '$.%s') AS c",
			       parts[i]);
		cells += fixture_s64(db, sql, grid);
		(void)snprintf(sql, sizeof(sql), "SELECT json_extract(?1, '$.time.%s')", parts[i]);
		assert_int_equal(cells, fixture_s64(db, sql, off));
	}
	fixture_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),	cmocka_unit_test(test_blocked),	       cmocka_unit_test(test_narrow_window),
		cmocka_unit_test(test_picture), cmocka_unit_test(test_same_as_offcpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
