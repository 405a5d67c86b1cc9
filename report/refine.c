/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* refine.c: see refine.h. */
#include "report/refine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/db.h"
#include "report/frame_kind.h"

/* The innermost frame of the best rank is the one that a stack is reported under. */
static int kind_rank(const char *kind)
{
	static const char *const ranked[] = {"user", "jit", "library", "native", "std", "runtime"};

	for (int i = 0; i < (int)ARRAY_SIZE(ranked); i++)
		if (strcmp(kind, ranked[i]) == 0)
			return i;
	return (int)ARRAY_SIZE(ranked);
}

bool refine_is_name_lookup(const char *function, const char *kind)
{
	/* glibc and musl; their internal names carry underscores and GI_ in front */
	static const char *const native[] = {"getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo",
					     "gaih_inet",   "res_query",     "res_search",    "res_nquery",
					     "res_nsearch", "res_nsend",     "res_send",      "res_context_",
					     "res_msend",   "nss_dns_",	     "lookup_name",   "name_from_dns"};

	if (strcmp(kind, "std") == 0)
		return strstr(function, "::lookup_host") || strstr(function, "::LookupHost");
	if (strcmp(kind, "native") != 0)
		return false;
	while (*function == '_')
		function++;
	if (strncmp(function, "GI_", 3) == 0)
		function += 3;
	while (*function == '_')
		function++;
	for (size_t i = 0; i < ARRAY_SIZE(native); i++)
		if (strncmp(function, native[i], strlen(native[i])) == 0)
			return true;
	return false;
}

/* The list of frames being read: its best frame so far. */
struct place {
	u64 list_id; /* 0 none */
	int rank;
	bool is_lookup;
	bool polls; /* a task's poll was met: frames further out are not the task's */
	char function[FRAME_NAME_LEN];
	char *file;
	u64 line;
	char kind[16];
};

/* How many bytes of s, max at most, end with a whole character. */
static size_t whole_chars(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	if (n <= max)
		return n;
	for (n = max; n && ((u8)s[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

static int keep_frame(struct place *p, sqlite3_stmt *row, const char *function, const char *kind, int rank)
{
	const char *file = (const char *)sqlite3_column_text(row, 2);
	char *copy = file ? strdup(file) : NULL;

	if (file && !copy)
		return -ENOMEM;
	free(p->file);
	p->file = copy;
	p->line = (u64)sqlite3_column_int64(row, 3);
	p->rank = rank;
	if (strcmp(kind, "jit") == 0) /* no Rust path: as it is, but for its length */
		(void)snprintf(p->function, sizeof(p->function), "%.*s", (int)whole_chars(function, sizeof(p->function) - 1),
			       function);
	else
		(void)frame_function_path(function, p->function, sizeof(p->function));
	(void)snprintf(p->kind, sizeof(p->kind), "%s", kind);
	return 0;
}

static int write_place(struct place *p, sqlite3_stmt *ins)
{
	int err = 0;

	if (p->list_id)
		err = db_run(ins,
			     (struct db_val[]){DB_INT(p->list_id), DB_INT(p->rank), DB_INT(p->is_lookup), db_text(p->function),
					       db_text(p->file), db_opt(p->line), db_text(p->kind), DB_INT(p->polls)},
			     8);
	free(p->file);
	*p = (struct place){0};
	return err;
}

static int read_places(sqlite3_stmt *rows, struct place *p, sqlite3_stmt *ins)
{
	int err = 0, n;

	while (!err && (n = db_step(rows)) != 0) {
		u64 list_id = (u64)sqlite3_column_int64(rows, 0);
		const char *function = (const char *)sqlite3_column_text(rows, 1);
		const char *kind = (const char *)sqlite3_column_text(rows, 4);
		int rank;

		if (n < 0)
			return n;
		if (!function || !kind)
			return -ENOMEM;
		if (list_id != p->list_id) {
			err = write_place(p, ins);
			p->list_id = list_id;
			p->rank = INT32_MAX;
		}
		rank = kind_rank(kind);
		p->is_lookup |= refine_is_name_lookup(function, kind);
		if (!err && rank < p->rank && !p->polls)
			err = keep_frame(p, rows, function, kind, rank);
		if (strcmp(kind, "runtime") == 0)
			p->polls |= frame_is_task_poll(function, (const char *)sqlite3_column_text(rows, 2));
	}
	return err ? err : write_place(p, ins);
}

/* The best frame of each list, which many stacks share, into temporary table list_place. */
static int find_list_places(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *rows = NULL, *ins = NULL;
	struct place p = {0};
	int err = db_exec(
		db, "CREATE TEMP TABLE IF NOT EXISTS list_place (list_id INTEGER PRIMARY KEY, rank INTEGER, is_lookup INTEGER, "
		    "function TEXT, file TEXT, line INTEGER, kind TEXT, polls INTEGER);"
		    "DELETE FROM list_place");

	/* CROSS JOIN keeps the loops in this order: then both primary keys give the order of rows for free */
	if (!err)
		err = db_prepare(db,
				 "SELECT l.list_id, s.function, s.file, s.line, s.kind FROM frame_list AS l "
				 "CROSS JOIN symbol AS s ON s.frame_id = l.frame_id WHERE s.kind <> 'kernel' "
				 "ORDER BY l.list_id, l.depth, s.depth",
				 &rows);
	if (!err)
		err = db_prepare(db, "INSERT INTO list_place VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &ins);
	if (!err)
		err = read_places(rows, &p, ins);
	free(p.file);
	return err;
}

/*
 * Fills stack_place, and the temporary table of stacks that look a name up. Of a stack's lists the one with the best frame is
 * taken, of equals the inner one (beside a lone min() SQLite takes the other columns from the row that has it); callers of the
 * frame that polls the task do not count.
 */
static int find_places(sqlite3 *db)
{
	int err = find_list_places(db);

	return err ? err
		   : db_exec(db,
			     "DELETE FROM stack_place;"
			     "CREATE TEMP TABLE IF NOT EXISTS lookup_stack (stack_id INTEGER PRIMARY KEY);"
			     "DELETE FROM lookup_stack;"
			     "INSERT INTO stack_place SELECT stack_id, function, file, line, kind FROM "
			     "(SELECT p.stack_id, lp.function, lp.file, lp.line, lp.kind, min(2 * lp.rank + (p.depth > 0)) "
			     "FROM stack_part AS p CROSS JOIN list_place AS lp ON lp.list_id = p.list_id "
			     "WHERE p.depth = 0 OR NOT EXISTS (SELECT 1 FROM stack_part AS leaf JOIN list_place AS ll USING (list_id) "
			     "WHERE leaf.stack_id = p.stack_id AND leaf.depth = 0 AND ll.polls) GROUP BY p.stack_id);"
			     "INSERT INTO lookup_stack SELECT DISTINCT p.stack_id FROM stack_part AS p "
			     "JOIN list_place AS lp ON lp.list_id = p.list_id WHERE lp.is_lookup");
}

/* The waits of one poll with the time that each was off the cpu: to its waking, its end, or the end of the recording. */
#define WAITS_OF_POLL                                                                                                            \
	"SELECT class, rule, syscall, stack_id, kstack_id, "                                                                     \
	"max(0, min(coalesce(ts_waking, ts + dur, (SELECT ts_end FROM capture)), "                                               \
	"coalesce(ts + dur, (SELECT ts_end FROM capture))) - ts) AS off FROM offcpu WHERE poll_id = ?1 AND class IS NOT NULL"

static const char largest_sql[] =
	"SELECT class, total(off) AS sum FROM (" WAITS_OF_POLL ") GROUP BY class ORDER BY sum DESC, class LIMIT 1";
static const char reclass_sql[] =
	"UPDATE poll SET class = ?2, "
	"rule = (SELECT rule FROM (" WAITS_OF_POLL ") WHERE class = ?2 ORDER BY off DESC LIMIT 1), "
	"syscall = (SELECT syscall FROM (" WAITS_OF_POLL ") WHERE class = ?2 ORDER BY off DESC LIMIT 1), "
	"stack_id = (SELECT stack_id FROM (" WAITS_OF_POLL ") WHERE class = ?2 ORDER BY stack_id IS NULL, off DESC LIMIT 1), "
	"kstack_id = (SELECT kstack_id FROM (" WAITS_OF_POLL ") WHERE class = ?2 ORDER BY stack_id IS NULL, off DESC LIMIT 1), "
	"dur_max = dur WHERE id = ?1 AND on_cpu <= ?3";
static const char to_cpu_sql[] =
	"UPDATE poll SET class = 'cpu', rule = 'cpu', syscall = NULL, kstack_id = NULL WHERE id = ?1 AND on_cpu > ?3";

/* The largest part of a poll may be another one, now that some of its waits have another class. */
static int reclass_poll(sqlite3_stmt *largest, sqlite3_stmt *reclass, sqlite3_stmt *to_cpu, u64 poll_id)
{
	struct db_val v[3] = {DB_INT(poll_id)};
	int err = db_bind(largest, v, 1);

	if (!err)
		err = db_step(largest);
	if (err <= 0)
		return err;
	v[1] = db_text((const char *)sqlite3_column_text(largest, 0));
	v[2] = DB_INT(sqlite3_column_int64(largest, 1));
	err = db_run(reclass, v, 3);
	if (!err)
		err = db_run(to_cpu, v, 3);
	(void)sqlite3_reset(largest);
	return err;
}

static int reclass_polls(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *largest = NULL, *reclass = NULL, *to_cpu = NULL;
	int err = db_prepare(db, "SELECT poll_id FROM changed_poll", &polls);

	if (!err)
		err = db_prepare(db, largest_sql, &largest);
	if (!err)
		err = db_prepare(db, reclass_sql, &reclass);
	if (!err)
		err = db_prepare(db, to_cpu_sql, &to_cpu);
	while (!err) {
		int n = db_step(polls);

		if (n <= 0)
			return n;
		err = reclass_poll(largest, reclass, to_cpu, (u64)sqlite3_column_int64(polls, 0));
	}
	return err;
}

/* A wait that is part of a name lookup is dns, whatever it waits for: a socket, a lock, /etc/hosts. */
static int refine_lookups(sqlite3 *db)
{
	s64 stacks = 0;
	int err = db_get_s64(db, "SELECT count(*) FROM lookup_stack", &stacks);

	if (err || !stacks)
		return err;
	err = db_exec(db, "CREATE TEMP TABLE IF NOT EXISTS changed_poll (poll_id INTEGER PRIMARY KEY);"
			  "DELETE FROM changed_poll;"
			  "INSERT OR IGNORE INTO changed_poll SELECT poll_id FROM offcpu WHERE poll_id IS NOT NULL "
			  "AND class NOT IN ('sleep', 'fault', 'dns') "
			  "AND stack_id IN (SELECT stack_id FROM lookup_stack);"
			  "UPDATE offcpu SET class = 'dns', rule = 'dns' WHERE class NOT IN ('sleep', 'fault', 'dns') "
			  "AND stack_id IN (SELECT stack_id FROM lookup_stack)");
	return err ? err : reclass_polls(db);
}

/* Polls on the cpu: the function that most of the evidence shows, then the commonest stack with it. */
static const char cpu_stack_sql[] =
	"WITH evidence AS (SELECT e.stack_id, sp.function FROM (SELECT stack_id FROM sample WHERE poll_id = ?1 "
	"AND stack_id IS NOT NULL UNION ALL "
	"SELECT stack_id FROM offcpu WHERE poll_id = ?1 AND state = 'R' AND stack_id IS NOT NULL) AS e "
	"LEFT JOIN stack_place AS sp USING (stack_id)), "
	"best AS (SELECT function FROM evidence GROUP BY function ORDER BY function IS NULL, count(*) DESC, function LIMIT 1) "
	"UPDATE poll SET stack_id = (SELECT stack_id FROM evidence WHERE function IS (SELECT function FROM best) GROUP BY stack_id "
	"ORDER BY count(*) DESC, stack_id LIMIT 1) WHERE id = ?1 AND EXISTS (SELECT 1 FROM evidence)";

static int choose_cpu_stacks(sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *polls = NULL, *choose = NULL;
	/* a poll of one sample has no choice */
	int err = db_prepare(db, "SELECT id FROM poll WHERE class = 'cpu' AND dur > 0", &polls);

	if (!err)
		err = db_prepare(db, cpu_stack_sql, &choose);
	while (!err) {
		int n = db_step(polls);

		if (n <= 0)
			return n;
		err = db_run(choose, (struct db_val[]){DB_INT(sqlite3_column_int64(polls, 0))}, 1);
	}
	return err;
}

int refine_run(sqlite3 *db)
{
	int err = find_places(db);

	if (!err)
		err = refine_lookups(db);
	if (!err)
		err = choose_cpu_stacks(db);
	if (!err)
		err = db_exec(db, "UPDATE poll SET (function, file, line) = "
				  "(SELECT function, file, line FROM stack_place AS p WHERE p.stack_id = poll.stack_id) "
				  "WHERE function IS NOT NULL OR stack_id IN (SELECT stack_id FROM stack_place)");
	return err;
}
