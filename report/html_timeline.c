/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html_timeline.c: see html_timeline.h.
 *
 * Segments are kept as they come. When there are too many, the resolution doubles and what is kept is put together anew: a run of segments
 * shorter than the resolution becomes one of about its length that knows the shares of its parts. A thread has then at most about
 * 2 * window / resolution segments, whatever it did, and what is long stays exact.
 */
#include "report/html_timeline.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/html_limits.h"
#include "report/view_timeline.h"

enum part { PART_ONCPU, PART_RUNNABLE, PART_BLOCKED, PART_IDLE, PART_OTHER, PART_UNSEEN, PARTS, PART_MIXED = 7 };

static const char *const part_keys[PARTS] = {"on_cpu", "runnable", "blocked_in_poll", "idle", "other", "unseen"};

/* One kind (parts of one element), or several. */
struct piece {
	u32 row;
	u8 kind; /* enum part; PART_MIXED: see share */
	u64 len;
	u64 share[PARTS]; /* ns, of PART_MIXED */
};

struct row {
	u64 part[PARTS], switches;
	bool blocking_pool; /* it ran closures of the blocking pool */
	bool shown;	    /* it has a row in the timeline */
};

struct timeline {
	struct tl_threads threads;
	struct tl_idle idle;
	struct row *rows; /* by index in threads */
	struct piece *pieces;
	size_t n, cap;
	u64 resolution; /* ns; 0: all are exact */
	size_t n_shown;
};

static void timeline_release(struct timeline *t)
{
	tl_threads_release(&t->threads);
	tl_idle_release(&t->idle);
	free(t->rows);
	free(t->pieces);
}

static void piece_shares(const struct piece *p, u64 ret[PARTS])
{
	if (p->kind == PART_MIXED) {
		memcpy(ret, p->share, sizeof(p->share));
		return;
	}
	memset(ret, 0, sizeof(p->share));
	ret[p->kind] = p->len;
}

/* Whether b, which follows a, becomes a part of it. */
static bool join(struct piece *a, const struct piece *b, u64 resolution)
{
	u64 share[PARTS], more[PARTS];

	if (a->row != b->row)
		return false;
	if (a->kind == b->kind && a->kind != PART_MIXED) {
		a->len += b->len;
		return true;
	}
	if (a->len >= resolution || b->len >= resolution)
		return false;
	piece_shares(a, share);
	piece_shares(b, more);
	a->kind = PART_MIXED;
	a->len += b->len;
	for (int k = 0; k < PARTS; k++)
		a->share[k] = share[k] + more[k];
	return true;
}

static void put_together(struct timeline *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (!n || !join(&t->pieces[n - 1], &t->pieces[i], t->resolution))
			t->pieces[n++] = t->pieces[i];
	t->n = n;
}

static int add_piece(struct timeline *t, const struct piece *p)
{
	if (t->n && join(&t->pieces[t->n - 1], p, t->resolution))
		return 0;
	if (ARRAY_ROOM(t->pieces, t->n, &t->cap) < 0)
		return -ENOMEM;
	t->pieces[t->n++] = *p;
	while (t->n > HTML_MAX_SEGMENTS && t->resolution < (u64)1 << 60) {
		t->resolution = t->resolution ? t->resolution * 2 : 1000;
		put_together(t);
	}
	return 0;
}

static int part_of(struct timeline *t, const struct tl_segment *s)
{
	int idle;

	if (s->kind == TL_ONCPU)
		return PART_ONCPU;
	if (s->kind == TL_UNSEEN)
		return PART_UNSEEN;
	if (s->kind == TL_RUNNABLE)
		return PART_RUNNABLE;
	if (s->role && strcmp(s->role, "in_poll") == 0 && s->state != 'T' && s->state != 't')
		return PART_BLOCKED;
	idle = tl_is_idle(&t->idle, s);
	return idle < 0 ? idle : idle ? PART_IDLE : PART_OTHER;
}

static int add_segment(void *ctx, const struct tl_thread *thread, const struct tl_segment *s)
{
	struct timeline *t = ctx;
	const size_t at = (size_t)(thread - t->threads.rows);
	struct piece p = {.row = (u32)at, .len = s->end - s->ts};
	int part = part_of(t, s);

	if (part < 0)
		return part;
	p.kind = (u8)part;
	t->rows[at].part[part] += p.len;
	t->rows[at].switches += s->first;
	t->rows[at].blocking_pool |= s->role && strcmp(s->role, "blocking_pool") == 0;
	return t->rows[at].shown ? add_piece(t, &p) : 0;
}

/* Threads of runtimes go first: of a process with many others, and of those behind it. */
static void choose_shown(struct timeline *t)
{
	for (int served = 1; served >= 0; served--)
		for (size_t i = 0; i < t->threads.n && t->n_shown < HTML_MAX_THREADS; i++)
			if (t->threads.rows[i].has_runtime == served) {
				t->rows[i].shown = true;
				t->n_shown++;
			}
}

static int load(sqlite3 *db, const struct capture_facts *f, struct timeline *t)
{
	int r = tl_threads_load(db, f->lo, f->hi, &t->threads);

	if (r < 0)
		return r;
	t->rows = calloc(t->threads.n + 1, sizeof(*t->rows));
	if (!t->rows)
		return -ENOMEM;
	choose_shown(t);
	r = tl_idle_init(&t->idle, db);
	return r < 0 ? r : timeline_walk(db, &t->threads, add_segment, t);
}

/* ---- writing ---- */

static void put_piece(const struct piece *p, struct json *j)
{
	u64 packed = 0;

	json_u64(j, p->len * 8 + p->kind);
	if (p->kind != PART_MIXED)
		return;
	for (int k = 0; k < PARTS; k++)
		packed |= (u64)((double)p->share[k] * 100 / (double)p->len + 0.5) << (7 * k);
	json_u64(j, packed);
}

static void put_pieces(const struct timeline *t, size_t first, size_t n, struct json *j)
{
	json_key(j, "seg");
	json_array_begin(j);
	for (size_t i = first; i < first + n; i++)
		put_piece(&t->pieces[i], j);
	json_array_end(j);
}

static int put_thread(const struct timeline *t, size_t i, const struct capture_facts *f, struct html_stacks *s, struct json *j)
{
	const struct tl_thread *thread = &t->threads.rows[i];
	const struct row *row = &t->rows[i];
	u32 name, process;
	int r = html_text_add(s, thread->name, &name);

	if (r == 0)
		r = html_text_add(s, thread->process, &process);
	if (r < 0)
		return r;
	json_object_begin(j);
	json_kv_u64(j, "id", thread->id);
	json_kv_u64(j, "pid", thread->pid);
	json_kv_u64(j, "tid", thread->tid);
	json_kv_u64(j, "name", name);
	json_kv_u64(j, "process", process);
	json_kv_u64_or_null(j, "worker", thread->has_worker, thread->worker);
	json_kv_u64_or_null(j, "runtime", thread->has_runtime, thread->runtime_id);
	json_kv_bool(j, "pool", row->blocking_pool);
	json_kv_u64(j, "lo", thread->lo - f->ts_start);
	json_kv_u64(j, "hi", thread->hi - f->ts_start);
	json_kv_u64(j, "switches", row->switches);
	json_key(j, "parts");
	json_array_begin(j);
	for (int k = 0; k < PARTS; k++)
		json_u64(j, row->part[k]);
	json_array_end(j);
	return 0;
}

static int put_threads(const struct timeline *t, const struct capture_facts *f, struct html_stacks *s, struct json *j)
{
	_cleanup_free_ size_t *first = calloc(t->threads.n + 1, sizeof(*first)), *n = calloc(t->threads.n + 1, sizeof(*n));
	int r = 0;

	if (!first || !n)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		const u32 row = t->pieces[i].row;

		if (!n[row]++)
			first[row] = i;
	}
	for (size_t i = 0; i < t->threads.n && r == 0; i++) {
		if (!t->rows[i].shown && i >= HTML_MAX_LISTED)
			continue;
		r = put_thread(t, i, f, s, j);
		if (r == 0 && t->rows[i].shown)
			put_pieces(t, first[i], n[i], j);
		if (r == 0)
			json_object_end(j);
	}
	return r;
}

int html_timeline_put(sqlite3 *db, const struct capture_facts *f, struct html_stacks *s, struct json *j)
{
	_cleanup_(timeline_release) struct timeline t = {0};
	int r = load(db, f, &t);

	if (r < 0)
		return r;
	json_key(j, "part_names");
	json_array_begin(j);
	for (int k = 0; k < PARTS; k++)
		json_string(j, part_keys[k]);
	json_array_end(j);
	json_key(j, "threads");
	json_array_begin(j);
	r = put_threads(&t, f, s, j);
	json_array_end(j);
	json_key(j, "timeline");
	json_object_begin(j);
	json_kv_u64(j, "resolution", t.resolution);
	json_kv_u64(j, "threads", t.threads.n);
	json_kv_u64(j, "without_segments", t.threads.n - t.n_shown);
	json_object_end(j);
	return r;
}
