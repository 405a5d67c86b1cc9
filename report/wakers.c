/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wakers.c: see wakers.h. */
#include "report/wakers.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/u64map.h"
#include "report/sqlrow.h"
#include "report/task_stats.h"
#include "report/view_text.h"
#include "report/view_timeline.h"

#define NO_NODE	  UINT32_MAX
#define NO_DELAY  UINT64_MAX
#define WAKES_MAX ((size_t)1 << 26)

/* What wakes besides tasks; the first is a task of which nothing is known. */
static const struct {
	const char *what, *label;
} classes[] = {
	{"task", "a task that is not known"}, {"completion", "the end of a task"},    {"root", "a root future (block_on)"},
	{"driver", "I/O, timer or yield"},    {"blocking_pool", "the blocking pool"}, {"outside", "a thread outside the runtime"},
	{"interrupt", "an interrupt"},	      {"process", "another process"},	      {"unknown", "what is not known"},
};

struct wake {
	u32 to, from;
	u64 delay; /* NO_DELAY: not known */
};

struct builder {
	sqlite3 *db;
	const struct capture_facts *f;
	struct wakers w;
	size_t nodes_cap;
	struct task_stats s;
	struct task_kinds k;
	u32 *kind_of;	 /* of rows of s: index in k */
	u32 *kind_nodes; /* of k: NO_NODE before it is needed */
	u32 class_nodes[ARRAY_SIZE(classes)];
	struct tl_threads threads;
	struct u64map thread_nodes; /* by tid */
	u64 *runtimes;
	size_t n_runtimes;
	struct wake *wakes;
	size_t n, cap;
};

void wakers_release(struct wakers *w)
{
	for (size_t i = 0; i < w->n_nodes; i++) {
		free(w->nodes[i].label);
		free(w->nodes[i].place);
	}
	free(w->nodes);
	free(w->edges);
	*w = (struct wakers){0};
}

static void builder_release(struct builder *b)
{
	wakers_release(&b->w);
	task_kinds_release(&b->k);
	task_stats_release(&b->s);
	tl_threads_release(&b->threads);
	u64map_release(&b->thread_nodes);
	free(b->kind_of);
	free(b->kind_nodes);
	free(b->runtimes);
	free(b->wakes);
}

/* ---- nodes ---- */

/* Takes label and place over, also when it fails. */
static int add_node(struct builder *b, char *label, char *place, const char *what, u32 *ret)
{
	if (ARRAY_ROOM(b->w.nodes, b->w.n_nodes, &b->nodes_cap) < 0) {
		free(label);
		free(place);
		return -ENOMEM;
	}
	b->w.nodes[b->w.n_nodes] = (struct wake_node){.label = label, .place = place, .what = what};
	*ret = (u32)b->w.n_nodes++;
	return label && place ? 0 : -ENOMEM;
}

static int class_node(struct builder *b, const char *what, u32 *ret)
{
	size_t i = 0;
	int r = 0;

	while (i < ARRAY_SIZE(classes) && (!what || strcmp(classes[i].what, what) != 0))
		i++;
	if (i == ARRAY_SIZE(classes))
		i--;
	if (b->class_nodes[i] == NO_NODE)
		r = add_node(b, strdup(classes[i].label), strdup(""), classes[i].what, &b->class_nodes[i]);
	*ret = b->class_nodes[i];
	return r;
}

static int kind_node(struct builder *b, const struct task_stat *t, u32 *ret)
{
	u32 kind = b->kind_of[t - b->s.rows];
	const struct task_kind *k = &b->k.rows[kind];
	char *label = NULL, *place = NULL;
	int r;

	if (b->kind_nodes[kind] != NO_NODE) {
		*ret = b->kind_nodes[kind];
		return 0;
	}
	r = task_type_label(&b->s.types[k->type], &label);
	if (r == 0)
		r = task_site_label(&b->s.sites[k->site], false, &place);
	if (r < 0) {
		free(label);
		return r;
	}
	r = add_node(b, label, place, "task", &b->kind_nodes[kind]);
	if (r < 0)
		return r;
	*ret = b->kind_nodes[kind];
	b->w.nodes[*ret].is_task = true;
	b->w.nodes[*ret].tasks = k->tasks;
	return 0;
}

static bool thread_label(const struct builder *b, u64 tid, char *buf, size_t n)
{
	for (size_t i = 0; i < b->threads.n; i++) {
		const struct tl_thread *t = &b->threads.rows[i];

		if (t->tid != tid)
			continue;
		if (t->has_worker && b->f->mt_runtimes > 1)
			(void)snprintf(buf, n, "runtime %llu worker %llu", (unsigned long long)t->runtime_id,
				       (unsigned long long)t->worker);
		else if (t->has_worker)
			(void)snprintf(buf, n, "worker %llu", (unsigned long long)t->worker);
		else
			(void)snprintf(buf, n, "thread %.64s (tid %llu)", t->name, (unsigned long long)tid);
		return true;
	}
	return false;
}

static int thread_node(struct builder *b, u64 tid, u32 *ret)
{
	_cleanup_free_ char *label = NULL;
	char text[160];
	u64 known;
	int r;

	if (u64map_get(&b->thread_nodes, tid, &known)) {
		*ret = (u32)known;
		return 0;
	}
	/* Threads of others are not told apart. */
	if (!thread_label(b, tid, text, sizeof(text)))
		return class_node(b, "process", ret);
	r = text_clean(text, "?", &label);
	if (r == 0)
		r = add_node(b, TAKE_PTR(label), strdup(""), "thread", ret);
	return r < 0 ? r : u64map_put(&b->thread_nodes, tid, *ret);
}

/* Ids of tasks are counted by copy of Tokio, not by runtime: a waker may belong to another runtime than the woken. */
static const struct task_stat *find_task(const struct builder *b, u64 runtime_id, u64 task_id)
{
	const struct task_stat *t = task_stats_find(&b->s, runtime_id, task_id);

	for (size_t i = 0; !t && i < b->n_runtimes; i++)
		t = task_stats_find(&b->s, b->runtimes[i], task_id);
	return t;
}

/* ---- wakes ---- */

static int add_wake(struct builder *b, u32 from, u32 to, bool known, u64 delay)
{
	int r = ARRAY_ROOM(b->wakes, b->n, &b->cap);

	if (r < 0)
		return r;
	b->wakes[b->n++] = (struct wake){to, from, known ? delay : NO_DELAY};
	return 0;
}

#define TASK_WAKES_SQL "SELECT runtime_id, task_id, waker, waker_task, delay FROM task_wake WHERE ts BETWEEN ?1 AND ?2"

static int read_task_wake(struct builder *b, sqlite3_stmt *st)
{
	const struct task_stat *to = find_task(b, sql_u64(st, 0), sql_u64(st, 1));
	const struct task_stat *by = sql_is_null(st, 3) ? NULL : find_task(b, sql_u64(st, 0), sql_u64(st, 3));
	u32 from_node, to_node;
	int r;

	r = to ? kind_node(b, to, &to_node) : class_node(b, "task", &to_node);
	if (r == 0)
		r = by ? kind_node(b, by, &from_node) : class_node(b, sql_text(st, 2), &from_node);
	return r < 0 ? r : add_wake(b, from_node, to_node, !sql_is_null(st, 4), sql_u64(st, 4));
}

/* A wake-up of which no waker was seen says nothing. */
#define THREAD_WAKES_SQL                                                                                                         \
	"SELECT tid, waker_tid, waker_task, delay FROM wakeup WHERE ts BETWEEN ?1 AND ?2 AND waker_tid IS NOT NULL "             \
	"AND role IN ('in_poll', 'parked', 'scheduler', 'block_in_place', 'blocking_pool')"

static int read_thread_wake(struct builder *b, sqlite3_stmt *st)
{
	const struct task_stat *by = sql_is_null(st, 2) ? NULL : find_task(b, 0, sql_u64(st, 2));
	u32 from_node, to_node;
	int r;

	r = thread_node(b, sql_u64(st, 0), &to_node);
	if (r == 0 && by)
		r = kind_node(b, by, &from_node);
	else if (r == 0 && !sql_u64(st, 1))
		r = class_node(b, "interrupt", &from_node);
	else if (r == 0)
		r = thread_node(b, sql_u64(st, 1), &from_node);
	return r < 0 ? r : add_wake(b, from_node, to_node, !sql_is_null(st, 3), sql_u64(st, 3));
}

static int load_wakes(struct builder *b)
{
	u64 binds[2] = {b->f->lo, b->f->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(b->db, &st, b->w.of_tasks ? TASK_WAKES_SQL : THREAD_WAKES_SQL, binds, 2);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0 && b->n < WAKES_MAX) {
		r = b->w.of_tasks ? read_task_wake(b, st) : read_thread_wake(b, st);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : 0;
}

/* ---- sums ---- */

static int by_target(const void *a, const void *b)
{
	const struct wake *x = a, *y = b;

	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return x->delay < y->delay ? -1 : x->delay > y->delay;
}

static int by_edge(const void *a, const void *b)
{
	const struct wake *x = a, *y = b;

	if (x->to == y->to && x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return by_target(a, b);
}

/* Of wakes in order of their delays, unknown ones last. */
static struct wake_sum sum_up(const struct wake *w, size_t n)
{
	struct wake_sum s = {.n = n};

	while (s.delays < n && w[s.delays].delay != NO_DELAY)
		s.total += w[s.delays++].delay;
	if (!s.delays)
		return s;
	s.p50 = w[(s.delays * 50 + 99) / 100 - 1].delay;
	s.p99 = w[(s.delays * 99 + 99) / 100 - 1].delay;
	s.max = w[s.delays - 1].delay;
	return s;
}

static int edge_compare(const void *a, const void *b, void *ctx)
{
	const struct wake_edge *x = a, *y = b;
	const struct wake_node *nodes = ctx;
	u64 p = nodes[x->to].woken.n, q = nodes[y->to].woken.n;

	if (x->to != y->to)
		return p != q ? (p > q ? -1 : 1) : x->to < y->to ? -1 : 1;
	if (x->sum.n != y->sum.n)
		return x->sum.n > y->sum.n ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int make_edges(struct builder *b)
{
	struct wakers *w = &b->w;

	w->edges = calloc(b->n + 1, sizeof(*w->edges));
	if (!w->edges)
		return -ENOMEM;
	qsort(b->wakes, b->n, sizeof(*b->wakes), by_target);
	for (size_t i = 0, n; i < b->n; i += n) {
		n = 1;
		while (i + n < b->n && b->wakes[i + n].to == b->wakes[i].to)
			n++;
		w->nodes[b->wakes[i].to].woken = sum_up(b->wakes + i, n);
	}
	qsort(b->wakes, b->n, sizeof(*b->wakes), by_edge);
	for (size_t i = 0, n; i < b->n; i += n) {
		struct wake_edge *e = &w->edges[w->n_edges++];

		n = 1;
		while (i + n < b->n && b->wakes[i + n].to == b->wakes[i].to && b->wakes[i + n].from == b->wakes[i].from)
			n++;
		*e = (struct wake_edge){b->wakes[i].from, b->wakes[i].to, sum_up(b->wakes + i, n)};
		w->nodes[e->from].most = max_u64(w->nodes[e->from].most, n);
		w->nodes[e->to].most = max_u64(w->nodes[e->to].most, n);
	}
	w->all.n = b->n;
	qsort_r(w->edges, w->n_edges, sizeof(*w->edges), edge_compare, w->nodes);
	return 0;
}

static int load_runtimes(struct builder *b)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	/* The last one, 0, are tasks of no known runtime. */
	b->runtimes = calloc(b->f->runtimes + 1, sizeof(*b->runtimes));
	b->n_runtimes = b->f->runtimes + 1;
	if (!b->runtimes)
		return -ENOMEM;
	r = sql_prepare(b->db, &st, "SELECT runtime_id FROM runtime ORDER BY runtime_id", NULL, 0);
	for (size_t i = 0; r >= 0 && i + 1 < b->n_runtimes && (r = db_step(st)) > 0; i++)
		b->runtimes[i] = sql_u64(st, 0);
	return r < 0 ? r : 0;
}

static int index_kinds(struct builder *b)
{
	b->kind_of = calloc(b->s.n + 1, sizeof(*b->kind_of));
	b->kind_nodes = calloc(b->k.n + 1, sizeof(*b->kind_nodes));
	if (!b->kind_of || !b->kind_nodes)
		return -ENOMEM;
	memset(b->kind_nodes, 0xff, (b->k.n + 1) * sizeof(*b->kind_nodes));
	memset(b->class_nodes, 0xff, sizeof(b->class_nodes));
	for (size_t i = 0; i < b->k.n; i++)
		for (size_t k = 0; k < b->k.rows[i].n; k++)
			b->kind_of[b->k.order[b->k.rows[i].first + k]] = (u32)i;
	return 0;
}

int wakers_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct wakers *ret)
{
	_cleanup_(builder_release) struct builder b = {.db = db, .f = f, .thread_nodes = U64MAP_INIT};
	int r;

	r = task_stats_load(db, o, f, &b.s);
	if (r == 0)
		r = task_kinds_make(&b.s, &b.k);
	if (r == 0)
		r = index_kinds(&b);
	if (r == 0)
		r = load_runtimes(&b);
	if (r == 0)
		r = tl_threads_load(db, f->lo, f->hi, &b.threads);
	if (r < 0)
		return r;
	b.w.of_tasks = b.s.has_wakes;
	r = load_wakes(&b);
	if (r == 0)
		r = make_edges(&b);
	if (r < 0)
		return r;
	*ret = b.w;
	b.w = (struct wakers){0};
	return 0;
}

u64 wakers_least(const struct wakers *w, u64 max)
{
	u64 lo = 0, hi = 0, n;

	for (size_t i = 0; i < w->n_edges; i++)
		hi = max_u64(hi, w->edges[i].sum.n);
	if (w->n_edges <= max)
		return 0;
	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;

		n = 0;
		for (size_t i = 0; i < w->n_edges; i++)
			n += w->edges[i].sum.n >= mid;
		if (n <= max)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}
