/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bare_insert.c: what SQLite itself takes for so many rows of seven integers and an index, to be put beside loading a capture: `out/bare_insert FILE
 * ROWS` prints seconds. The values are as those of switches: times that grow, threads and stacks in any order. As fast as the C interface goes: one
 * statement, one transaction, no journal.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int fill(sqlite3_stmt *s, u64 rows)
{
	u64 rnd = 42;

	for (u64 i = 0; i < rows; i++) {
		u64 r = (rnd = rnd * 6364136223846793005ULL + 1442695040888963407ULL) >> 33;
		const u64 row[7] = {1000000000 + i * 70000, r % 200, r % 4, r % 3000000, r % 20000, r % 16, r % 100000};

		for (int c = 0; c < 7; c++)
			(void)sqlite3_bind_int64(s, c + 1, (s64)row[c]);
		if (sqlite3_step(s) != SQLITE_DONE || sqlite3_reset(s) != SQLITE_OK)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const char begin[] =
		"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA threads = 2;"
		"CREATE TABLE t (ts INTEGER, thread INTEGER, cpu INTEGER, dur INTEGER, stack INTEGER, wait INTEGER, waker INTEGER);"
		"BEGIN";
	sqlite3_stmt *s = NULL;
	sqlite3 *db = NULL;
	double start = now();
	bool ok = argc == 3 && sqlite3_open(argv[1], &db) == SQLITE_OK &&
		  sqlite3_exec(db, begin, NULL, NULL, NULL) == SQLITE_OK &&
		  sqlite3_prepare_v3(db, "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) ==
			  SQLITE_OK &&
		  fill(s, strtoull(argv[2], NULL, 10)) == 0;

	(void)sqlite3_finalize(s);
	ok = ok && sqlite3_exec(db, "CREATE INDEX i ON t (thread, ts); COMMIT", NULL, NULL, NULL) == SQLITE_OK;
	if (!ok)
		(void)fprintf(stderr, "bare_insert: %s\n", db ? sqlite3_errmsg(db) : "usage: bare_insert FILE ROWS");
	(void)sqlite3_close(db);
	if (ok)
		(void)printf("%.3f\n", now() - start);
	return !ok;
}
