/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report_fixture.h: the hand-made database of tests/unit/data/report_db.sql, and what the tests of views and exports do with it. */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"
#include "report/view.h"

#define FIXTURE_START 1000000000000ULL
#define FIXTURE_END   1030000000000ULL

/* In memory. fixture_open_empty: the schema and a capture row without anything in it. Both fail the test when they fail. */
sqlite3 *fixture_open(void);
sqlite3 *fixture_open_empty(void);
sqlite3 *fixture_open_tasks(void); /* fixture_open and what record --wakes adds: tests/unit/data/tasks_db.sql */
sqlite3 *fixture_close(sqlite3 *db);
void fixture_exec(sqlite3 *db, const char *sql);

static inline struct report_opts fixture_opts(u32 width)
{
	return (struct report_opts){
		.file = "/tmp/orders.ascope", .min_ns = REPORT_MIN_NS, .top = REPORT_TOP_UNSET, .width = width};
}

typedef int (*fixture_view)(sqlite3 *db, const struct report_opts *o, FILE *out);
/* What a view writes; malloc'ed. Asserts that it succeeds. */
char *fixture_run(sqlite3 *db, fixture_view view, const struct report_opts *o);

/* One integer of a query; ?1 is bound to `text` when that is not NULL. */
s64 fixture_s64(sqlite3 *db, const char *sql, const char *text);
/* One text of it; malloc'ed, NULL when null. */
char *fixture_text(sqlite3 *db, const char *sql, const char *text);

u32 fixture_count(const char *text, const char *needle);
