/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_db_file.c: a database that replaces another is not hurt by what the other one leaves; temporaries of killed processes go. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h> /* needs the four above */

#include "report/db.h"
#include "report/db_file.h"

struct place {
	char dir[64], path[128], journal[160];
};

static int place_make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/ascope-db-file-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->path, sizeof(p->path), "%s/c.db", p->dir);
	(void)snprintf(p->journal, sizeof(p->journal), "%s-journal", p->path);
	*state = p;
	return 0;
}

static int place_remove(void **state)
{
	struct place *p = *state;

	(void)unlink(p->path);
	(void)unlink(p->journal);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else is left */
	free(p);
	return 0;
}

static void make(const char *path, const char *sql)
{
	_cleanup_db_ sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(db_exec(db, sql), 0);
}

#define OLD_SQL                                                                                                                  \
	"CREATE TABLE t (x); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "                   \
	"INSERT INTO t SELECT printf('%500d', i) FROM n"

/* A process that is killed while it writes to the database: its journal stays. */
static void die_writing(const char *path)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		sqlite3 *db = NULL;

		if (db_open_rw(path, &db) == 0 &&
		    db_exec(db, "PRAGMA cache_size = 5; BEGIN IMMEDIATE; UPDATE t SET x = 'new' || x") == 0)
			_exit(0);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void replace_with_new(const struct place *p)
{
	_cleanup_free_ char *temp = NULL;
	_cleanup_db_ sqlite3 *db = NULL;
	s64 n = 0;

	assert_int_equal(db_file_create_temp(p->path, &temp), 0);
	make(temp, "CREATE TABLE t (x); INSERT INTO t VALUES (7)");
	assert_int_equal(db_file_replace(temp, p->path), 0);
	assert_int_equal(access(p->journal, F_OK), -1);
	assert_int_equal(db_open_ro(p->path, &db), 0);
	assert_int_equal(db_get_s64(db, "SELECT total(x) FROM t", &n), 0);
	assert_int_equal(n, 7);
}

static void journal_of_a_killed_writer(void **state)
{
	const struct place *p = *state;
	_cleanup_db_ sqlite3 *ro = NULL;
	s64 n = 0;

	make(p->path, OLD_SQL);
	die_writing(p->path);
	assert_int_equal(access(p->journal, F_OK), 0);
	assert_int_equal(db_open_ro(p->path, &ro), 0);
	assert_int_equal(db_get_s64(ro, "SELECT count(*) FROM t", &n), -EROFS); /* this is what a reader would meet */
	replace_with_new(p);
}

/* The user removed the database alone. */
static void journal_alone(void **state)
{
	const struct place *p = *state;

	make(p->path, OLD_SQL);
	die_writing(p->path);
	assert_int_equal(unlink(p->path), 0);
	replace_with_new(p);
}

/* Who has the old one open cannot begin to write to it: its journal would be the new one's. */
static void late_writer(void **state)
{
	const struct place *p = *state;
	_cleanup_db_ sqlite3 *late = NULL;
	s64 n = 0;

	make(p->path, OLD_SQL);
	assert_int_equal(db_open_rw(p->path, &late), 0);
	assert_int_equal(db_get_s64(late, "SELECT count(*) FROM t", &n), 0);
	replace_with_new(p);
	assert_int_equal(db_exec(late, "INSERT INTO t VALUES (1)"), -EROFS);
	assert_int_equal(access(p->journal, F_OK), -1);
	assert_int_equal(db_get_s64(late, "SELECT count(*) FROM t", &n), 0); /* and still reads it */
	assert_int_equal(n, 2000);
}

static char *touch(const struct place *p, const char *end, time_t age, char buf[160])
{
	struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
	int fd;

	(void)snprintf(buf, 160, "%s.tmp.%s", p->path, end);
	fd = open(buf, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(close(fd), 0);
	return buf;
}

static void temporaries_of_the_dead(void **state)
{
	const struct place *p = *state;
	_cleanup_free_ char *temp = NULL;
	char mine[160], parent[160], young[160], other[160], end[32];
	struct stat st;

	(void)snprintf(end, sizeof(end), "%d.aaaaaa", (int)getpid()); /* of a container that had this id */
	touch(p, end, 3600, mine);
	(void)snprintf(end, sizeof(end), "%d.bbbbbb", (int)getpid());
	touch(p, end, 1, young);
	(void)snprintf(end, sizeof(end), "%d", (int)getppid());
	touch(p, end, 3600, parent);
	touch(p, "mine", 3600, other);
	assert_int_equal(db_file_create_temp(p->path, &temp), 0);
	assert_int_equal(stat(temp, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(temp), 0);
	assert_int_equal(access(mine, F_OK), -1);
	assert_int_equal(unlink(young), 0);
	assert_int_equal(unlink(parent), 0);
	assert_int_equal(unlink(other), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(journal_of_a_killed_writer, place_make, place_remove),
		cmocka_unit_test_setup_teardown(journal_alone, place_make, place_remove),
		cmocka_unit_test_setup_teardown(late_writer, place_make, place_remove),
		cmocka_unit_test_setup_teardown(temporaries_of_the_dead, place_make, place_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
