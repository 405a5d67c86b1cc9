/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* marker_match.c: see marker_match.h. */
#include "report/marker_match.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"
#include "report/view_blocks.h"

enum { MAX_ROWS = 1 << 26 };

static const char *const why_keys[WHY_COUNT] = {
	[WHY_AWAIT] = "await",
	[WHY_POOL] = "blocking_pool",
	[WHY_IN_PLACE] = "block_in_place",
	[WHY_NO_RUNTIME] = "no_runtime",
	[WHY_RUNNABLE] = "runnable",
	[WHY_SHORT] = "short_polls",
	[WHY_CPU] = "cpu",
	[WHY_UNREAD] = "unread",
};

static const char *const why_texts[WHY_COUNT] = {
	[WHY_AWAIT] = "over an await: the task gave its worker back meanwhile",
	[WHY_POOL] = "on the blocking pool, which is there for it",
	[WHY_IN_PLACE] = "in block_in_place, which hands the worker over first",
	[WHY_NO_RUNTIME] = "on a thread that is in no runtime",
	[WHY_RUNNABLE] = "ready to run, but no CPU was free",
	[WHY_SHORT] = "in polls that did not wait that long",
	[WHY_CPU] = "executing, but no samples prove one poll of that length",
	[WHY_UNREAD] = "not known: the runtime's context could not be read",
};

const char *marker_why_key(enum marker_why w)
{
	return why_keys[w];
}

const char *marker_why_text(enum marker_why w)
{
	return why_texts[w];
}

/* ---- loading ---- */

/*
 * One that has no END is open for as long as nothing else of its pair happened on its thread (it ended behind the recording), else not at all (a lost record, or
 * a path without END).
 */
#define INTERVALS_SQL                                                                                                            \
	"SELECT m.id, m.pair, m.ts, CASE WHEN m.dur IS NOT NULL THEN m.ts + m.dur WHEN EXISTS (SELECT 1 FROM marker AS l "       \
	"WHERE l.thread_id = m.thread_id AND l.ts > m.ts AND l.pair = m.pair) THEN m.ts ELSE ?3 END AS ends, "                   \
	"m.thread_id, t.tid, t.process_id, m.task_id, m.stack_id, m.dur IS NOT NULL, "                                           \
	"m.dur IS NOT NULL AND m.end_thread_id <> m.thread_id "                                                                  \
	"FROM marker AS m JOIN thread AS t ON t.id = m.thread_id WHERE m.ts <= ?2 AND ends >= ?1 ORDER BY m.thread_id, m.ts, m.id"

static int load_intervals(sqlite3 *db, const struct capture_facts *f, struct marker_match *m)
{
	u64 binds[3] = {f->lo, f->hi, f->ts_end};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r = sql_prepare(db, &st, INTERVALS_SQL, binds, 3);

	while (r >= 0 && (r = db_step(st)) > 0) {
		struct marker_interval *i;

		if (m->n_intervals >= MAX_ROWS || ARRAY_ROOM_RAW(m->intervals, m->n_intervals, &cap) < 0)
			return -ENOMEM;
		i = &m->intervals[m->n_intervals];
		*i = (struct marker_interval){
			.id = sql_u64(st, 0),
			.pair = sql_u64(st, 1),
			.ts = sql_u64(st, 2),
			.end = max_u64(sql_u64(st, 2), sql_u64(st, 3)),
			.thread = sql_u64(st, 4),
			.tid = sql_u64(st, 5),
			.process = sql_u64(st, 6),
			.task = sql_u64(st, 7),
			.stack = sql_u64(st, 8),
			.has_end = sql_u64(st, 9) != 0,
			.moved = sql_u64(st, 10) != 0,
			.poll = NO_MATCH,
		};
		m->n_intervals++;
	}
	return r;
}

#define POLLS_SQL                                                                                                                \
	BLOCKS_CTE "SELECT b.poll_id, b.ts, b.dur, p.thread_id, t.tid, t.process_id, b.task_id, b.stack_id, b.class "            \
		   "FROM blk AS b JOIN poll AS p ON p.id = b.poll_id JOIN thread AS t ON t.id = p.thread_id "                    \
		   "ORDER BY p.thread_id, b.ts"

static int load_polls(sqlite3 *db, const struct capture_facts *f, struct marker_match *m)
{
	u64 binds[3] = {m->min_ns, f->lo, f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r = sql_prepare(db, &st, POLLS_SQL, binds, 3);

	while (r >= 0 && (r = db_step(st)) > 0) {
		struct marker_poll *p;

		if (m->n_polls >= MAX_ROWS || ARRAY_ROOM_RAW(m->polls, m->n_polls, &cap) < 0)
			return -ENOMEM;
		p = &m->polls[m->n_polls];
		*p = (struct marker_poll){
			.id = sql_u64(st, 0),
			.ts = sql_u64(st, 1),
			.end = sql_u64(st, 1) + sql_u64(st, 2),
			.thread = sql_u64(st, 3),
			.tid = sql_u64(st, 4),
			.process = sql_u64(st, 5),
			.task = sql_u64(st, 6),
			.stack = sql_u64(st, 7),
			.interval = NO_MATCH,
		};
		m->n_polls++;
		p->class_name = sql_text(st, 8) ? strdup(sql_text(st, 8)) : NULL;
		if (sql_text(st, 8) && !p->class_name)
			return -ENOMEM;
	}
	return r;
}

/* ---- matching ---- */

static u64 shared(const struct marker_interval *i, const struct marker_poll *p)
{
	u64 lo = max_u64(i->ts, p->ts), hi = min_u64(i->end, p->end);

	return hi > lo ? hi - lo : 0;
}

static u64 apart(const struct marker_interval *i, const struct marker_poll *p)
{
	u64 a = i->end - i->ts, b = p->end - p->ts;

	return a > b ? a - b : b - a;
}

static void match_one(struct marker_match *m, u32 at, u32 poll)
{
	struct marker_interval *i = &m->intervals[at];
	struct marker_poll *p = &m->polls[poll];
	u64 common = shared(i, p), shorter = min_u64(i->end - i->ts, p->end - p->ts);

	if (!common)
		return;
	if (i->task && p->task && i->task != p->task) {
		i->foreign = true;
		return;
	}
	p->open = true;
	if (!marker_is_long(m, i) || common <= shorter / 2)
		return;
	i->both = p->both = true;
	if (i->poll == NO_MATCH || apart(i, p) < apart(i, &m->polls[i->poll]))
		i->poll = poll;
	if (p->interval == NO_MATCH || apart(i, p) < apart(&m->intervals[p->interval], p))
		p->interval = at;
}

/* The first poll of the thread that ends behind ts; polls of one thread do not overlap. */
static u32 first_poll(const struct marker_match *m, u64 thread, u64 ts)
{
	u32 lo = 0, hi = m->n_polls;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;
		const struct marker_poll *p = &m->polls[mid];

		if (p->thread < thread || (p->thread == thread && p->end <= ts))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void match_by_thread(struct marker_match *m)
{
	for (u32 at = 0; at < m->n_intervals; at++) {
		const struct marker_interval *i = &m->intervals[at];

		if (i->moved)
			continue;
		for (u32 p = first_poll(m, i->thread, i->ts); p < m->n_polls; p++) {
			if (m->polls[p].thread != i->thread || m->polls[p].ts >= i->end)
				break;
			match_one(m, at, p);
		}
	}
}

/* An interval whose task moved, for finding it by its task. */
struct moved {
	u64 process, task;
	u32 at;
};

static int by_task(const void *a, const void *b)
{
	const struct moved *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return x->task < y->task ? -1 : x->task > y->task;
}

static u32 first_moved(const struct moved *list, u32 n, const struct moved *key)
{
	u32 lo = 0, hi = n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (by_task(&list[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int match_by_task(struct marker_match *m)
{
	_cleanup_free_ struct moved *list = calloc(m->n_intervals + 1, sizeof(*list));
	u32 n = 0;

	if (!list)
		return -ENOMEM;
	for (u32 at = 0; at < m->n_intervals; at++) {
		const struct marker_interval *i = &m->intervals[at];

		if (i->moved && i->task)
			list[n++] = (struct moved){.process = i->process, .task = i->task, .at = at};
	}
	qsort(list, n, sizeof(*list), by_task);
	for (u32 p = 0; p < m->n_polls; p++) {
		const struct moved key = {.process = m->polls[p].process, .task = m->polls[p].task};

		for (u32 k = key.task ? first_moved(list, n, &key) : n; k < n && !by_task(&list[k], &key); k++)
			match_one(m, list[k].at, p);
	}
	return 0;
}

/* Whether the interval holds more than its poll: other polls of the thread, or a park. */
#define SPANS_SQL                                                                                                                \
	"SELECT EXISTS (SELECT 1 FROM offcpu WHERE thread_id = ?1 AND ts >= ?2 AND ts < ?3 AND role = 'parked') "                \
	"OR EXISTS (SELECT 1 FROM poll WHERE thread_id = ?1 AND ts >= ?2 AND ts < ?3 AND id <> ?4) "                             \
	"OR EXISTS (SELECT 1 FROM sample WHERE thread_id = ?1 AND ts >= ?2 AND ts < ?3 AND role = 'in_poll' AND poll_id IS NULL)"

static int find_spans(sqlite3 *db, struct marker_match *m)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = db_prepare(db, SPANS_SQL, &st);

	for (u32 at = 0; at < m->n_intervals && r >= 0; at++) {
		struct marker_interval *i = &m->intervals[at];
		struct db_val v[4];

		if (!i->both)
			continue;
		v[0] = DB_INT(i->thread);
		v[1] = DB_INT(i->ts);
		v[2] = DB_INT(i->end);
		v[3] = DB_INT(m->polls[i->poll].id);
		r = db_bind(st, v, ARRAY_SIZE(v));
		if (r == 0)
			r = db_step(st);
		if (r > 0)
			i->spans = i->moved || sql_u64(st, 0);
	}
	(void)sqlite3_reset(st);
	return r < 0 ? r : 0;
}

/* ---- why not ---- */

#define PARTS_SQL                                                                                                                \
	"SELECT role, class, state, ts, coalesce(dur, ?3), coalesce(ts_waking, 0) FROM offcpu WHERE thread_id = ?1 AND ts < ?3 " \
	"AND ts >= coalesce((SELECT max(ts) FROM offcpu WHERE thread_id = ?1 AND ts <= ?2), 0) ORDER BY ts"

int marker_parts_prepare(sqlite3 *db, sqlite3_stmt **ret)
{
	return db_prepare(db, PARTS_SQL, ret);
}

/* The part of [from, to) that lies within the interval. */
static u64 within(const struct marker_interval *i, u64 from, u64 to)
{
	u64 lo = max_u64(from, i->ts), hi = min_u64(to, i->end);

	return hi > lo ? hi - lo : 0;
}

int marker_parts(sqlite3_stmt *st, const struct marker_interval *i, marker_part_fn fn, void *ctx)
{
	const struct db_val v[] = {DB_INT(i->thread), DB_INT(i->ts), DB_INT(i->end)};
	int r = db_bind(st, v, ARRAY_SIZE(v));

	while (r >= 0 && (r = db_step(st)) > 0) {
		const char *state = sql_text(st, 2);
		u64 ts = sql_u64(st, 3), end = ts + sql_u64(st, 4), waking = sql_u64(st, 5);
		bool waits = state && strcmp(state, "R") != 0;
		u64 ready = !waits ? ts : waking ? min_u64(max_u64(waking, ts), end) : end;
		struct marker_part p = {.role = sql_text(st, 0),
					.class_name = sql_text(st, 1),
					.off = within(i, ts, ready),
					.runnable = within(i, ready, end)};
		int stop = p.off || p.runnable ? fn(ctx, &p) : 0;

		if (stop) {
			r = stop;
			break;
		}
	}
	(void)sqlite3_reset(st);
	return r;
}

static enum marker_why why_of_role(const char *role, bool executing)
{
	static const struct {
		const char *role;
		enum marker_why why;
	} roles[] = {
		{"parked", WHY_AWAIT},	{"blocking_pool", WHY_POOL}, {"block_in_place", WHY_IN_PLACE}, {"none", WHY_NO_RUNTIME},
		{"unread", WHY_UNREAD}, {"unknown", WHY_UNREAD},     {"scheduler", WHY_AWAIT},
	};

	for (size_t k = 0; role && k < ARRAY_SIZE(roles); k++)
		if (!strcmp(roles[k].role, role))
			return roles[k].why;
	return executing ? WHY_CPU : WHY_SHORT;
}

static int add_part(void *ctx, const struct marker_part *p)
{
	u64 *sums = ctx;

	sums[why_of_role(p->role, false)] += p->off;
	sums[WHY_RUNNABLE] += p->runnable;
	return 0;
}

/* What the thread mostly did while it was sampled in the interval. */
#define SAMPLED_SQL                                                                                                              \
	"SELECT role FROM sample WHERE thread_id = ?1 AND ts >= ?2 AND ts < ?3 GROUP BY role ORDER BY count(*) DESC, role LIMIT 1"

static int find_why(sqlite3_stmt *parts, sqlite3_stmt *sampled, struct marker_interval *i)
{
	const struct db_val v[] = {DB_INT(i->thread), DB_INT(i->ts), DB_INT(i->end)};
	u64 sums[WHY_COUNT] = {0}, off = 0, len = i->end - i->ts;
	int r;

	i->why = WHY_AWAIT;
	if (i->moved || i->foreign)
		return 0;
	r = marker_parts(parts, i, add_part, sums);
	if (r < 0)
		return r;
	for (u32 w = 0; w < WHY_COUNT; w++)
		off += sums[w];
	r = db_bind(sampled, v, ARRAY_SIZE(v));
	if (r == 0)
		r = db_step(sampled);
	if (r >= 0)
		sums[why_of_role(r > 0 ? sql_text(sampled, 0) : NULL, true)] += len > off ? len - off : 0;
	(void)sqlite3_reset(sampled);
	for (u32 w = 0; w < WHY_COUNT; w++)
		if (sums[w] > sums[i->why])
			i->why = (enum marker_why)w;
	return r < 0 ? r : 0;
}

static int find_reasons(sqlite3 *db, struct marker_match *m)
{
	_cleanup_stmt_ sqlite3_stmt *parts = NULL, *sampled = NULL;
	int r = marker_parts_prepare(db, &parts);

	if (r == 0)
		r = db_prepare(db, SAMPLED_SQL, &sampled);
	for (u32 at = 0; at < m->n_intervals && r == 0; at++)
		if (marker_is_long(m, &m->intervals[at]) && !m->intervals[at].both)
			r = find_why(parts, sampled, &m->intervals[at]);
	return r;
}

/* ---- statistics ---- */

/* Nearest rank of sorted values. */
static u64 rank(const u64 *v, u64 n, u64 percent)
{
	return n ? v[(n * percent + 99) / 100 - 1] : 0;
}

static void sum_pair(const struct marker_match *m, struct marker_pair_stats *s, u64 *lengths)
{
	u64 n = 0;

	for (u32 at = 0; at < m->n_intervals; at++) {
		const struct marker_interval *i = &m->intervals[at];

		if (i->pair != s->pair)
			continue;
		s->count++;
		s->no_end += !i->has_end;
		if (!i->has_end)
			continue;
		lengths[n++] = i->end - i->ts;
		s->total += i->end - i->ts;
	}
	qsort(lengths, n, sizeof(*lengths), array_u64_compare);
	s->median = rank(lengths, n, 50);
	s->p99 = rank(lengths, n, 99);
	s->max = rank(lengths, n, 100);
}

/* Those that were asked for, hit or not. */
#define PAIRS_SQL                                                                                                                \
	"SELECT CAST(substr(key, 15) AS INTEGER) AS pair, value FROM meta WHERE key GLOB 'option.marker.[0-9]*' "                \
	"UNION SELECT pair, name FROM marker WHERE name IS NULL ORDER BY 1"

static int sum_pairs(sqlite3 *db, struct marker_match *m, u64 *scratch)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	size_t cap = 0;
	int r = db_prepare(db, PAIRS_SQL, &st);

	while (r >= 0 && (r = db_step(st)) > 0) {
		struct marker_pair_stats *s;

		if (m->n_pairs >= MAX_ROWS || ARRAY_ROOM(m->pairs, m->n_pairs, &cap) < 0)
			return -ENOMEM;
		s = &m->pairs[m->n_pairs];
		s->pair = sql_u64(st, 0);
		s->text = strdup(sql_text(st, 1) ? sql_text(st, 1) : "?");
		m->n_pairs++;
		if (!s->text)
			return -ENOMEM;
		sum_pair(m, s, scratch);
	}
	return r;
}

static void sum_all(struct marker_match *m, u64 *scratch)
{
	u64 n = 0;

	for (u32 at = 0; at < m->n_intervals; at++) {
		const struct marker_interval *i = &m->intervals[at];

		if (!marker_is_long(m, i))
			continue;
		m->n_long++;
		m->n_both += i->both;
		if (!i->both) {
			m->n_only++;
			m->only_ns += i->end - i->ts;
			m->why_n[i->why]++;
			m->why_ns[i->why] += i->end - i->ts;
		} else if (!i->spans && m->polls[i->poll].interval == at) {
			scratch[n++] = apart(i, &m->polls[i->poll]);
		}
	}
	for (u32 p = 0; p < m->n_polls; p++) {
		const struct marker_poll *poll = &m->polls[p];

		m->polls_both += poll->both;
		m->polls_only += !poll->open;
		m->polls_only_ns += poll->open ? 0 : poll->end - poll->ts;
		m->polls_part += poll->open && !poll->both;
		m->polls_part_ns += poll->open && !poll->both ? poll->end - poll->ts : 0;
	}
	qsort(scratch, n, sizeof(*scratch), array_u64_compare);
	m->compared = n;
	m->differ_median = rank(scratch, n, 50);
	m->differ_p99 = rank(scratch, n, 99);
	m->differ_max = rank(scratch, n, 100);
}

int marker_match_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct marker_match *ret)
{
	_cleanup_free_ u64 *scratch = NULL;
	int r;

	*ret = (struct marker_match){.min_ns = o->min_ns};
	r = load_intervals(db, f, ret);
	if (r == 0)
		r = load_polls(db, f, ret);
	if (r < 0)
		return r;
	match_by_thread(ret);
	r = match_by_task(ret);
	if (r == 0)
		r = find_spans(db, ret);
	if (r == 0)
		r = find_reasons(db, ret);
	if (r == 0)
		r = sql_one_u64(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'ascope.marker.ends_alone'", NULL, 0,
				&ret->ends_alone);
	if (r < 0)
		return r;
	scratch = calloc(ret->n_intervals + 1, sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	sum_all(ret, scratch);
	return sum_pairs(db, ret, scratch);
}

/* ---- lists ---- */

struct order {
	u64 len;
	u32 at;
};

static int by_length(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->len != y->len)
		return x->len > y->len ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Takes the rows, sorted. */
static int take_order(struct order *rows, u32 n, u32 **ret, u32 *ret_n)
{
	u32 *list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	qsort(rows, n, sizeof(*rows), by_length);
	for (u32 k = 0; k < n; k++)
		list[k] = rows[k].at;
	*ret = list;
	*ret_n = n;
	return 0;
}

int marker_list_intervals(const struct marker_match *m, bool both, u32 **ret, u32 *ret_n)
{
	_cleanup_free_ struct order *rows = calloc(m->n_intervals + 1, sizeof(*rows));
	u32 n = 0;

	if (!rows)
		return -ENOMEM;
	for (u32 at = 0; at < m->n_intervals; at++) {
		const struct marker_interval *i = &m->intervals[at];

		if (marker_is_long(m, i) && i->both == both)
			rows[n++] = (struct order){.len = i->end - i->ts, .at = at};
	}
	return take_order(rows, n, ret, ret_n);
}

int marker_list_polls(const struct marker_match *m, u32 **ret, u32 *ret_n)
{
	_cleanup_free_ struct order *rows = calloc(m->n_polls + 1, sizeof(*rows));
	u32 n = 0;

	if (!rows)
		return -ENOMEM;
	for (u32 at = 0; at < m->n_polls; at++)
		if (!m->polls[at].open)
			rows[n++] = (struct order){.len = m->polls[at].end - m->polls[at].ts, .at = at};
	return take_order(rows, n, ret, ret_n);
}

void marker_match_release(struct marker_match *m)
{
	for (u32 p = 0; p < m->n_polls; p++)
		free(m->polls[p].class_name);
	for (u32 k = 0; k < m->n_pairs; k++)
		free(m->pairs[k].text);
	free(m->intervals);
	free(m->polls);
	free(m->pairs);
	*m = (struct marker_match){0};
}
