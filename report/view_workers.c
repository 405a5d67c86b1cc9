/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_workers.c: `ascope report --workers`: where the time of each runtime's workers went, how evenly they share the work, what the LIFO
 * slot and stealing did, and the blocking pool and block_on threads beside them. Shares are of the recording (or of --from, --to).
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_head.h"
#include "report/view_probes.h"
#include "report/view_spans.h"
#include "report/view_text.h"
#include "report/worker_stats.h"

#define NAME_WIDTH     12
#define TID_WIDTH      8
#define CELL_WIDTH     11
#define CELL_NARROW    8
#define UNEVEN_PERCENT 150 /* busiest worker to mean: from here on it is worth a word */
#define POOL_THREADS   8   /* listed without --full or --top */

struct workers_view {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	struct worker_stats s;
	FILE *out;
};

static void heading(const struct workers_view *v, const char *text)
{
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, text);
}

static void put_label(const struct workers_view *v, const char *label, const char *text)
{
	(void)fprintf(v->out, "  %-12s", label);
	text_paragraph(v->out, v->o->width, 14, 14, text);
}

/* ---- workers ---- */

static bool is_narrow(const struct workers_view *v)
{
	return v->o->width < 110;
}

enum share_column { SHARE_CPU, SHARE_POLLS, SHARE_SCHED, SHARE_BLOCKED, SHARE_RUNNABLE, SHARE_PARKED, SHARE_OTHER, N_SHARES };

/* The longest word of a narrow header fills its cell. */
static u32 share_width(const struct workers_view *v, size_t column)
{
	return !is_narrow(v) ? CELL_WIDTH : column == SHARE_RUNNABLE ? CELL_NARROW + 1 : CELL_NARROW;
}

static void put_share(const struct workers_view *v, enum share_column column, bool known, const char *mark, u64 ns)
{
	char text[48] = "?";

	if (known)
		(void)snprintf(text, sizeof(text), "%s%s", ns ? mark : "", ns ? text_percent(ns, facts_window(v->f)).s : "-");
	text_right(v->out, text, share_width(v, column));
}

static void put_worker(const struct workers_view *v, const struct worker_stat *x)
{
	const char *mark = x->exact ? "" : "~";
	char name[48], tid[24];

	if (x->t->has_worker)
		(void)snprintf(name, sizeof(name), "worker %llu", (unsigned long long)x->t->worker);
	else
		(void)snprintf(name, sizeof(name), "thread");
	(void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)x->t->tid);
	(void)fputs("  ", v->out);
	text_left(v->out, name, NAME_WIDTH - 2);
	text_right(v->out, tid, TID_WIDTH);
	put_share(v, SHARE_CPU, x->t->seen, "", x->on_cpu);
	put_share(v, SHARE_POLLS, x->has_split || !x->on_cpu, mark, x->in_polls);
	put_share(v, SHARE_SCHED, x->has_split || !x->on_cpu, mark, x->on_cpu - min_u64(x->in_polls, x->on_cpu));
	put_share(v, SHARE_BLOCKED, x->t->seen, "", x->blocked);
	put_share(v, SHARE_RUNNABLE, x->t->seen, "", x->runnable);
	put_share(v, SHARE_PARKED, x->t->seen, "", x->parked);
	put_share(v, SHARE_OTHER, x->t->seen, "", x->other + x->idle);
	if (!is_narrow(v))
		text_right(v->out, human_count(x->switches).s, 10);
	if (!is_narrow(v) && v->s.has_polls)
		text_right(v->out, x->t->has_worker ? human_count(x->polls).s : "?", 11);
	(void)fputc('\n', v->out);
}

static void put_worker_header(const struct workers_view *v)
{
	const char *const columns[N_SHARES] = {
		[SHARE_CPU] = "on-CPU",
		[SHARE_POLLS] = is_narrow(v) ? "polls" : "in polls",
		[SHARE_SCHED] = is_narrow(v) ? "sched" : "scheduling",
		[SHARE_BLOCKED] = "blocked",
		[SHARE_RUNNABLE] = "runnable",
		[SHARE_PARKED] = "parked",
		[SHARE_OTHER] = "other",
	};

	(void)fprintf(v->out, "%*s", NAME_WIDTH, "");
	text_right(v->out, "tid", TID_WIDTH);
	for (size_t i = 0; i < N_SHARES; i++)
		text_right(v->out, columns[i], share_width(v, i));
	if (!is_narrow(v))
		text_right(v->out, "switches", 10);
	if (!is_narrow(v) && v->s.has_polls)
		text_right(v->out, "polls", 11);
	(void)fputc('\n', v->out);
}

static void put_balance(const struct workers_view *v, const struct runtime_hints *h)
{
	u64 mean = h->workers ? h->busy / h->workers : 0, percent = mean ? h->busiest * 100 / mean : 0;
	char text[400];

	if (h->workers < 2 || !mean)
		return;
	if (mean < facts_window(v->f) / 1000) { /* a ratio of nearly nothing says nothing */
		put_label(v, "balance", "no worker had much to do: busy for less than 0.1 % of the time on average");
		return;
	}
	(void)snprintf(
		text, sizeof(text), "worker %llu was busy for %s, %llu.%02llu times the mean of %s%s",
		(unsigned long long)h->busiest_worker, human_ns(h->busiest).s, (unsigned long long)(percent / 100),
		(unsigned long long)(percent % 100), human_ns(mean).s,
		percent < UNEVEN_PERCENT || mean < facts_window(v->f) / 100
			? ""
			: ": tasks that wake each other, or are spawned by one task, stay on its worker until another one looks for work");
	put_label(v, "balance", text);
}

static void put_lifo(const struct workers_view *v, const struct runtime_hints *h, const char *version)
{
	char text[400];

	if (!h->lifo_blocks)
		return;
	(void)snprintf(text, sizeof(text), "%s blocked poll%s (%s) kept a task in the LIFO slot waiting%s",
		       human_count(h->lifo_blocks).s, h->lifo_blocks == 1 ? "" : "s", human_ns(h->lifo).s,
		       version && strcmp(version, "1.51.0") && strcmp(version, "1.51.1") && strcmp(version, "1.52.0") &&
				       strcmp(version, "1.52.1")
			       ? ", which no other worker can take: such a task waits for certain"
			       : "");
	put_label(v, "LIFO slot", text);
}

static void put_steals(const struct workers_view *v, const struct runtime_hints *h, u64 runtime_id)
{
	const struct worker_stat *most = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (h->workers < 2)
		return;
	if (!v->s.has_wakes) {
		put_label(v, "stealing",
			  "which worker woke a task, and which polled it, was not recorded: ascope record --wakes");
		return;
	}
	for (size_t i = 0; i < v->s.threads.n; i++)
		if (v->s.rows[i].t->has_worker && v->s.rows[i].t->runtime_id == runtime_id &&
		    v->s.rows[i].moved_away > (most ? most->moved_away : 0))
			most = &v->s.rows[i];
	buf_printf(&b, "%s of %s tasks woken on a worker were polled by another one (%s)", human_count(h->moved).s,
		   human_count(h->woken).s, text_percent(h->moved, h->woken).s);
	if (most)
		buf_printf(&b, "; most were woken on worker %llu: %s of %s", (unsigned long long)most->t->worker,
			   human_count(most->moved_away).s, human_count(most->woken).s);
	text = buf_take_str(&b);
	if (text)
		put_label(v, "stealing", text);
}

static void put_driver(const struct workers_view *v, const struct runtime_hints *h)
{
	char text[300];

	if (!h->stalled_known)
		return;
	if (h->stalled)
		(void)snprintf(
			text, sizeof(text),
			"nobody served it for %s (%s), at most %s at a time, in %s blocked poll%s: timers and I/O of this runtime waited",
			human_ns(h->stalled).s, text_percent(h->stalled, facts_window(v->f)).s, human_ns(h->stalled_max).s,
			human_count(h->stalled_blocks).s, h->stalled_blocks == 1 ? "" : "s");
	else
		(void)snprintf(text, sizeof(text), "always served: no blocked poll kept timers and I/O waiting");
	put_label(v, "I/O driver", text);
}

/* A worker's thread that left it: the row's "other". */
static void put_off_worker(const struct workers_view *v, u64 runtime_id)
{
	char text[240];
	u64 ns = 0, threads = 0;

	for (size_t i = 0; i < v->s.threads.n; i++) {
		const struct worker_stat *x = &v->s.rows[i];

		if (!x->t->has_worker || x->t->runtime_id != runtime_id || !x->off_worker)
			continue;
		ns += x->off_worker;
		threads++;
	}
	if (!threads)
		return;
	(void)snprintf(text, sizeof(text),
		       "%s thread%s waited for %s in block_in_place or the blocking pool, while another thread served the worker",
		       human_count(threads).s, threads == 1 ? "" : "s", human_ns(ns).s);
	put_label(v, "other", text);
}

static int put_runtime(const struct workers_view *v, sqlite3_stmt *st)
{
	_cleanup_free_ char *version = NULL, *flavor = NULL;
	u64 id = sql_u64(st, 0), shown = 0;
	struct runtime_hints h;
	char title[160];
	int r;

	r = text_clean(sql_text(st, 1), "of unknown version", &version);
	if (r == 0)
		r = text_clean(sql_text(st, 2), "", &flavor);
	if (r == 0)
		r = runtime_hints_load(v->db, v->o, v->f, &v->s, id, &h);
	if (r < 0)
		return r;
	(void)snprintf(title, sizeof(title), "RUNTIME %llu", (unsigned long long)id);
	heading(v, title);
	(void)fprintf(v->out, "  tokio %s  %s  pid %llu   share of %s\n", version, flavor, (unsigned long long)sql_u64(st, 3),
		      human_ns(facts_window(v->f)).s);
	for (size_t i = 0; i < v->s.threads.n; i++) {
		if (!v->s.rows[i].t->has_runtime || v->s.rows[i].t->runtime_id != id)
			continue;
		if (!shown++)
			put_worker_header(v);
		put_worker(v, &v->s.rows[i]);
	}
	if (!shown)
		(void)fputs("  none of its threads was seen in this time\n", v->out);
	put_balance(v, &h);
	put_lifo(v, &h, sql_text(st, 1));
	put_driver(v, &h);
	put_steals(v, &h, id);
	put_off_worker(v, id);
	return 0;
}

#define RUNTIMES_SQL "SELECT runtime_id, tokio_version, flavor, pid FROM runtime ORDER BY runtime_id"

static int put_runtimes(const struct workers_view *v)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(v->db, &st, RUNTIMES_SQL, NULL, 0);

	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		r = put_runtime(v, st);
		if (r < 0)
			return r;
	}
	return r;
}

/* ---- the others ---- */

static int busiest_first(const void *a, const void *b)
{
	const struct worker_stat *const *x = a, *const *y = b;
	u64 p = (*x)->on_cpu + (*x)->other + (*x)->blocked, q = (*y)->on_cpu + (*y)->other + (*y)->blocked;

	if (p != q)
		return p > q ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static u32 other_name_width(const struct workers_view *v)
{
	return is_narrow(v) ? 17 : 24;
}

static int put_other_thread(const struct workers_view *v, const struct worker_stat *x)
{
	bool pool = x->role == WORKER_POOL;
	_cleanup_free_ char *name = NULL;
	const u64 times[] = {x->on_cpu, pool ? x->other : x->blocked, x->runnable, pool ? x->idle : x->parked,
			     pool ? x->blocked + x->parked : x->other + x->idle};
	char tid[24];
	int r = text_clean(x->t->name, "?", &name);

	if (r < 0)
		return r;
	(void)snprintf(tid, sizeof(tid), "%llu", (unsigned long long)x->t->tid);
	(void)fputs("  ", v->out);
	text_left_elided(v->out, name, other_name_width(v) - 2);
	text_right(v->out, tid, TID_WIDTH);
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		text_right(v->out, times[i] ? human_ns(times[i]).s : "-", CELL_WIDTH);
	(void)fputc('\n', v->out);
	return 0;
}

/* Threads of one role, busiest first. */
static int put_others(const struct workers_view *v, enum worker_role role, const char *title, const char *waiting,
		      const char *idle)
{
	u64 top = v->o->full || v->o->top == 0 ? UINT64_MAX : v->o->top == REPORT_TOP_UNSET ? POOL_THREADS : v->o->top;
	_cleanup_free_ const struct worker_stat **rows = calloc(v->s.threads.n + 1, sizeof(*rows));
	const char *const columns[] = {"on-CPU", waiting, "runnable", idle, "other"};
	size_t n = 0;
	int r;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < v->s.threads.n; i++)
		if (v->s.rows[i].role == role)
			rows[n++] = &v->s.rows[i];
	if (!n)
		return 0;
	qsort(rows, n, sizeof(*rows), busiest_first);
	heading(v, title);
	(void)fprintf(v->out, "%*s", (int)(other_name_width(v) - min_u64(other_name_width(v), strlen(title))), "");
	text_right(v->out, "tid", TID_WIDTH);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		text_right(v->out, columns[i], CELL_WIDTH);
	(void)fputc('\n', v->out);
	for (size_t i = 0; i < n && i < top; i++) {
		r = put_other_thread(v, rows[i]);
		if (r < 0)
			return r;
	}
	if (n > top)
		(void)fprintf(v->out, "  ... %s more (--full lists all)\n", human_count(n - top).s);
	return 0;
}

static void put_notes(const struct workers_view *v)
{
	bool by_samples = false, unknown = false, root = false;
	char text[300];

	for (size_t i = 0; i < v->s.threads.n; i++) {
		const struct worker_stat *x = &v->s.rows[i];

		by_samples |= x->role == WORKER_WORKER && x->has_split && !x->exact && x->on_cpu;
		unknown |= x->role == WORKER_WORKER && !x->has_split && x->on_cpu;
		root |= x->role == WORKER_WORKER && !x->t->has_worker && x->on_cpu;
	}
	(void)fputs("\n  ", v->out);
	text_paragraph(
		v->out, v->o->width, 4, 2,
		"on-CPU: in polls, or scheduling between them; blocked: waiting inside a poll; runnable: ready, but preempted or without a CPU; parked: idle "
		"between polls; other: waiting elsewhere");
	if (by_samples) {
		(void)snprintf(text, sizeof(text),
			       "~: time on a CPU is exact, its parts are told apart by samples (one every %s)%s",
			       human_ns(v->f->sample_period).s, v->s.has_polls ? "" : "; exact: ascope record --polls");
		(void)fputs("  ", v->out);
		text_paragraph(v->out, v->o->width, 4, 2, text);
	}
	if (unknown) {
		(void)fputs("  ", v->out);
		text_paragraph(
			v->out, v->o->width, 4, 2,
			v->s.has_polls
				? "?: no sample hit it, so what it executed is not known: a higher --freq tells"
				: "?: no sample hit it, so what it executed is not known: a higher --freq tells, or ascope record --polls");
	}
	if (root && v->s.has_polls) {
		(void)fputs("  ", v->out);
		text_paragraph(
			v->out, v->o->width, 4, 2,
			"current_thread: its thread polls the future of block_on, too, which has no probe: so samples tell what it executed");
	}
}

int view_workers(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct workers_view v = {.db = db, .o = o, .f = &f, .out = out};
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = view_head(db, o, &f, out);
	if (r == 0)
		r = worker_stats_load(db, &f, &v.s);
	if (r < 0)
		return r;
	if (f.runtimes)
		r = put_runtimes(&v);
	else
		r = view_runtimes(db, o, &f, out);
	if (r == 0)
		r = put_others(&v, WORKER_POOL, "BLOCKING POOL", "waiting", "idle");
	if (r == 0)
		r = put_others(&v, WORKER_ROOT, "BLOCK_ON", "blocked", "parked");
	if (r == 0 && f.runtimes)
		put_notes(&v);
	worker_stats_release(&v.s);
	return r < 0 ? r : view_probes(db, o, &f, out);
}

/* ---- JSON ---- */

static void thread_json(const struct workers_view *v, const struct worker_stat *x, struct json *j)
{
	json_object_begin(j);
	span_thread_json(j, x->t);
	json_kv_bool(j, "seen", x->t->seen);
	json_kv_u64(j, "wall", x->wall);
	json_kv_u64(j, "on_cpu", x->on_cpu);
	json_kv_u64_or_null(j, "in_polls", x->has_split, x->in_polls);
	json_kv_u64_or_null(j, "scheduling", x->has_split, x->on_cpu - min_u64(x->in_polls, x->on_cpu));
	json_kv_string(j, "split_by", !x->has_split ? NULL : x->exact ? "polls" : "samples");
	json_kv_u64(j, "blocked", x->blocked);
	json_kv_u64(j, "runnable", x->runnable);
	json_kv_u64(j, "parked", x->parked);
	json_kv_u64(j, "idle", x->idle);
	json_kv_u64(j, "other", x->other);
	json_kv_u64(j, "switches", x->switches);
	json_kv_u64_or_null(j, "polls", x->exact, x->polls);
	json_kv_u64_or_null(j, "woken", v->s.has_wakes && x->t->has_worker, x->woken);
	json_kv_u64_or_null(j, "moved_away", v->s.has_wakes && x->t->has_worker, x->moved_away);
	json_kv_u64_or_null(j, "moved_here", v->s.has_wakes && x->t->has_worker, x->moved_here);
	json_object_end(j);
}

static void role_json(const struct workers_view *v, const char *key, enum worker_role role, u64 runtime_id, struct json *j)
{
	json_key(j, key);
	json_array_begin(j);
	for (size_t i = 0; i < v->s.threads.n; i++)
		if (v->s.rows[i].role == role && (role != WORKER_WORKER || v->s.rows[i].t->runtime_id == runtime_id))
			thread_json(v, &v->s.rows[i], j);
	json_array_end(j);
}

static int runtimes_json(const struct workers_view *v, struct json *j)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = sql_prepare(v->db, &st, RUNTIMES_SQL, NULL, 0);

	if (r < 0)
		return r;
	json_key(j, "runtimes");
	json_array_begin(j);
	while ((r = db_step(st)) > 0) {
		struct runtime_hints h;

		r = runtime_hints_load(v->db, v->o, v->f, &v->s, sql_u64(st, 0), &h);
		if (r < 0)
			return r;
		json_object_begin(j);
		json_kv_u64(j, "runtime_id", sql_u64(st, 0));
		json_kv_string(j, "tokio_version", sql_text(st, 1));
		json_kv_string(j, "flavor", sql_text(st, 2));
		json_kv_u64(j, "pid", sql_u64(st, 3));
		role_json(v, "workers", WORKER_WORKER, sql_u64(st, 0), j);
		json_kv_u64(j, "busy", h.busy);
		json_kv_u64(j, "busiest", h.busiest);
		json_kv_u64_or_null(j, "busiest_worker", h.workers, h.busiest_worker);
		json_kv_u64(j, "lifo_blocks", h.lifo_blocks);
		json_kv_u64(j, "lifo_time", h.lifo);
		json_kv_u64_or_null(j, "driver_stalled", h.stalled_known, h.stalled);
		json_kv_u64_or_null(j, "driver_stalled_max", h.stalled_known, h.stalled_max);
		json_kv_u64_or_null(j, "driver_stalled_blocks", h.stalled_known, h.stalled_blocks);
		json_kv_u64_or_null(j, "woken", v->s.has_wakes, h.woken);
		json_kv_u64_or_null(j, "moved", v->s.has_wakes, h.moved);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

int view_workers_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_facts_ struct capture_facts f = {0};
	struct workers_view v = {.db = db, .o = o, .f = &f, .out = out};
	struct json j;
	int r;

	r = capture_facts_load(db, o, &f);
	if (r == 0)
		r = worker_stats_load(db, &f, &v.s);
	if (r < 0)
		return r;
	r = view_json_begin(db, &f, out, &j);
	if (r == 0) {
		json_kv_u64(&j, "window_start", f.lo);
		json_kv_u64(&j, "window_end", f.hi);
		r = runtimes_json(&v, &j);
	}
	if (r == 0) {
		role_json(&v, "blocking_pool", WORKER_POOL, 0, &j);
		role_json(&v, "block_on", WORKER_ROOT, 0, &j);
		role_json(&v, "no_runtime", WORKER_NONE, 0, &j);
		r = view_probes_json(db, &j);
		view_json_end(&j, out);
	}
	worker_stats_release(&v.s);
	return r;
}
