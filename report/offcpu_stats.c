/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* offcpu_stats.c: see offcpu_stats.h. */
#include "report/offcpu_stats.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/strtab.h"
#include "report/quota_spans.h"
#include "report/sqlrow.h"

struct load {
	sqlite3 *db;
	const struct report_opts *o;
	struct offcpu_stats *s;
	struct off_thread *x; /* whose time is walked */
	struct quota_spans quota;
	u64 quota_process;	  /* of which process quota is; 0 none yet */
	struct u64map polls;	  /* of o->task */
	struct u64map wait_kinds; /* wait id and state -> position in s->kinds */
	struct strtab *keys;	  /* of stacks and wakers: index - 1 is the position */
	struct strtab *waker_keys, *kind_keys;
	sqlite3_stmt *place;	   /* function of a stack */
	struct u64map function_of; /* waker's stack id -> index in s->functions */
	size_t cap_stacks, cap_wakers, cap_kinds;
};

/* Where bucket b begins, ns; b at least 1. */
static u64 bound(u32 b)
{
	static const u64 steps[] = {1, 2, 5};
	u64 ns = NSEC_PER_USEC * steps[(b - 1) % 3];

	for (u32 i = 0; i < (b - 1) / 3; i++)
		ns *= 10;
	return ns;
}

void off_hist_range(u32 bucket, u64 *ret_from, u64 *ret_to)
{
	*ret_from = bucket ? bound(bucket) : 0;
	*ret_to = bucket + 1 < OFFCPU_BUCKETS ? bound(bucket + 1) : UINT64_MAX;
}

u32 off_hist_bucket(u64 ns)
{
	u32 b = 0;

	while (b + 1 < OFFCPU_BUCKETS && ns >= bound(b + 1))
		b++;
	return b;
}

static void sum_add(struct off_sum *sum, const struct span *sp)
{
	sum->n++;
	sum->ns += sp->end - sp->ts;
	if (sp->whole >= sum->max) {
		sum->max = sp->whole;
		sum->is_max_open = sp->is_open;
	}
	sum->open += sp->is_open;
}

/* Kinds that read alike are one: the role does not count here. */
static int find_kind(struct load *l, const struct span *sp, u32 *ret)
{
	u64 key = sp->wait->id * WAIT_STATES + sp->state, at;
	struct offcpu_stats *s = l->s;
	char text[512];
	bool is_new;
	u32 idx;
	int n, r;

	if (u64map_get(&l->wait_kinds, key, &at)) {
		*ret = (u32)at;
		return 0;
	}
	n = snprintf(text, sizeof(text), "%d\n%s\n%s\n%s", (int)sp->state, sp->wait->class_name ? sp->wait->class_name : "",
		     sp->wait->detail ? sp->wait->detail : "", sp->wait->syscall ? sp->wait->syscall : "");
	r = strtab_intern(l->kind_keys, text, min_u64((u64)n, sizeof(text) - 1), &idx, &is_new);
	if (r == 0 && is_new) {
		r = ARRAY_ROOM(s->kinds, s->n_kinds, &l->cap_kinds);
		if (r == 0)
			s->kinds[s->n_kinds++] = (struct off_kind){.kind = sp->wait, .state = sp->state};
	}
	if (r == 0)
		r = u64map_put(&l->wait_kinds, key, idx - 1);
	if (r < 0)
		return r;
	*ret = idx - 1;
	return 0;
}

static int add_stack(struct load *l, const struct tl_thread *t, const struct span *sp, u32 kind)
{
	struct {
		u64 stack, kstack, kind;
	} key = {sp->stack_id, sp->kstack_id, kind};
	struct offcpu_stats *s = l->s;
	struct off_stack *x;
	bool is_new;
	u32 idx;
	int r = strtab_intern(l->keys, (const char *)&key, sizeof(key), &idx, &is_new);

	if (r == 0 && is_new)
		r = ARRAY_ROOM(s->stacks, s->n_stacks, &l->cap_stacks);
	if (r < 0)
		return r;
	if (is_new)
		s->stacks[s->n_stacks++] = (struct off_stack){.stack_id = sp->stack_id, .kstack_id = sp->kstack_id, .kind = kind};
	x = &s->stacks[idx - 1];
	if (sp->whole >= x->sum.max)
		x->tid = t->tid;
	/* threads are walked one after the other */
	x->threads += x->last_thread != t->id;
	x->last_thread = t->id;
	sum_add(&x->sum, sp);
	return 0;
}

/* *ret: index in s->functions; 0 none. */
static int find_function(struct load *l, u64 stack_id, u64 *ret)
{
	const char *name;
	u32 idx = 0;
	int r;

	*ret = 0;
	if (!stack_id || u64map_get(&l->function_of, stack_id, ret))
		return 0;
	r = sql_rebind(l->place, stack_id);
	if (r == 0)
		r = db_step(l->place);
	name = r > 0 ? sql_text(l->place, 0) : NULL;
	if (name)
		r = strtab_intern(l->s->functions, name, strlen(name), &idx, NULL);
	(void)sqlite3_reset(l->place);
	*ret = idx;
	return r < 0 ? r : u64map_put(&l->function_of, stack_id, idx);
}

static int add_waker(struct load *l, const struct span *sp)
{
	struct {
		u64 tid, what, function;
	} key = {sp->waker_tid, (u64)sp->state * 2 + sp->has_waker, 0};
	struct offcpu_stats *s = l->s;
	struct off_waker *x;
	bool is_new;
	u32 idx;
	int r = find_function(l, sp->waker_stack_id, &key.function);

	if (r == 0)
		r = strtab_intern(l->waker_keys, (const char *)&key, sizeof(key), &idx, &is_new);
	if (r == 0 && is_new)
		r = ARRAY_ROOM(s->wakers, s->n_wakers, &l->cap_wakers);
	if (r < 0)
		return r;
	if (is_new)
		s->wakers[s->n_wakers++] =
			(struct off_waker){.tid = sp->waker_tid,
					   .is_known = sp->has_waker,
					   .state = sp->state,
					   .function = key.function ? strtab_get(s->functions, (u32)key.function, NULL) : NULL};
	x = &s->wakers[idx - 1];
	x->of_tasks += sp->waker_task != 0;
	sum_add(&x->sum, sp);
	return 0;
}

static void hist_add(struct off_hist *h, const struct span *sp)
{
	u32 b = off_hist_bucket(sp->whole);

	h->n[b]++;
	h->ns[b] += sp->end - sp->ts;
}

static bool is_let_through(const struct load *l, const struct span *sp)
{
	const struct report_opts *o = l->o;
	u64 one;

	if (sp->whole < o->min_ns || (o->max_ns && sp->whole > o->max_ns))
		return false;
	if (o->task && !(sp->poll_id && u64map_get(&l->polls, sp->poll_id, &one)))
		return false;
	return !o->class_is || strcmp(span_class(sp), o->class_is) == 0;
}

/* A wait, or with o->all anything off the CPU, that filters let through: into the lists. */
static int add_listed(struct load *l, const struct tl_thread *t, const struct span *sp)
{
	u32 kind;
	int r = find_kind(l, sp, &kind);

	if (r == 0)
		r = add_stack(l, t, sp, kind);
	if (r < 0)
		return r;
	sum_add(&l->s->kinds[kind].sum, sp);
	sum_add(&l->x->shown, sp);
	sum_add(&l->s->all.shown, sp);
	return sp->kind == SPAN_WAIT ? add_waker(l, sp) : 0;
}

static void add_part(struct off_thread *x, const struct span *sp)
{
	u64 len = sp->end - sp->ts;

	x->wall += len;
	if (sp->kind == SPAN_ONCPU)
		x->on_cpu += len;
	else if (sp->kind == SPAN_UNKNOWN)
		x->unknown += len;
	else if (sp->kind == SPAN_READY)
		x->runnable += len;
	else if (wait_state_is_idle(sp->state))
		x->idle += len;
	else
		x->waiting += len;
}

static int add_span(void *ctx, const struct tl_thread *t, const struct span *sp)
{
	struct load *l = ctx;
	struct offcpu_stats *s = l->s;
	bool is_idle;

	add_part(l->x, sp);
	add_part(&s->all, sp);
	if (sp->kind == SPAN_ONCPU || sp->kind == SPAN_UNKNOWN)
		return 0;
	if (!is_let_through(l, sp)) {
		sum_add(&s->left_out, sp);
		return 0;
	}
	is_idle = wait_state_is_idle(sp->state);
	sum_add(&s->states[sp->state], sp);
	l->x->by_state[sp->state] += sp->end - sp->ts;
	s->all.by_state[sp->state] += sp->end - sp->ts;
	if (sp->kind == SPAN_READY) {
		hist_add(&s->ready, sp);
		s->throttled += quota_spans_within(&l->quota, sp->ts, sp->end);
	} else if (!is_idle || l->o->all) {
		hist_add(&s->waits, sp);
	}
	return l->o->all || (sp->kind == SPAN_WAIT && !is_idle) ? add_listed(l, t, sp) : 0;
}

/* ---- wakers of no target ---- */

static void merge(struct off_waker *to, const struct off_waker *from)
{
	to->sum.n += from->sum.n;
	to->sum.ns += from->sum.ns;
	to->sum.open += from->sum.open;
	to->of_tasks += from->of_tasks;
	if (from->sum.max > to->sum.max) {
		to->sum.max = from->sum.max;
		to->sum.is_max_open = from->sum.is_max_open;
	}
}

/* Whichever thread a timer's interrupt hit, and whoever sent a packet, is told as one: there may be thousands. */
static int merge_others(struct load *l)
{
	u32 at[WAIT_STATES] = {0}; /* 1 + position of the others of a state */
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct offcpu_stats *s = l->s;
	size_t kept = 0;
	int r = sql_prepare(l->db, &st, "SELECT 1 FROM thread WHERE tid = ?1 LIMIT 1", NULL, 0);

	for (size_t i = 0; i < s->n_wakers && r >= 0; i++) {
		struct off_waker w = s->wakers[i];

		if (w.is_known && w.tid) {
			r = sql_rebind(st, w.tid);
			if (r == 0)
				r = db_step(st);
			w.is_other = r == 0;
		}
		if (w.is_other && at[w.state]) {
			merge(&s->wakers[at[w.state] - 1], &w);
			continue;
		}
		if (w.is_other) {
			w.tid = 0;
			at[w.state] = (u32)kept + 1;
		}
		s->wakers[kept++] = w;
	}
	s->n_wakers = kept;
	return r < 0 ? r : 0;
}

/* ---- order ---- */

static int longest_first(const struct off_sum *a, const struct off_sum *b)
{
	int c = compare_u64(b->ns, a->ns);

	return c ? c : compare_u64(b->n, a->n);
}

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_kinds(const void *a, const void *b)
{
	const struct off_kind *x = a, *y = b;
	int c = longest_first(&x->sum, &y->sum);

	c = c ? c : compare_u64(x->state, y->state);
	c = c ? c : compare_texts(x->kind->class_name, y->kind->class_name);
	c = c ? c : compare_texts(x->kind->detail, y->kind->detail);
	return c ? c : compare_texts(x->kind->syscall, y->kind->syscall);
}

static int compare_stacks(const void *a, const void *b)
{
	const struct off_stack *x = a, *y = b;
	int c = longest_first(&x->sum, &y->sum);

	c = c ? c : compare_u64(x->stack_id, y->stack_id);
	c = c ? c : compare_u64(x->kstack_id, y->kstack_id);
	return c ? c : compare_u64(x->kind, y->kind);
}

static int compare_wakers(const void *a, const void *b)
{
	const struct off_waker *x = a, *y = b;
	int c = longest_first(&x->sum, &y->sum);

	c = c ? c : compare_u64(x->state, y->state);
	c = c ? c : compare_u64(x->is_known, y->is_known);
	c = c ? c : compare_u64(x->is_other, y->is_other);
	c = c ? c : compare_u64(x->tid, y->tid);
	return c ? c : compare_texts(x->function, y->function);
}

/* Stacks point to kinds by their position: it changes. */
static int sort_all(struct offcpu_stats *s)
{
	_cleanup_free_ u32 *at = calloc(s->n_kinds + 1, sizeof(*at));
	_cleanup_free_ struct off_kind *old = calloc(s->n_kinds + 1, sizeof(*old));

	if (!at || !old)
		return -ENOMEM;
	/* Through memory of its own, for qsort says nothing of where a row went; no two rows are equal. */
	for (size_t i = 0; i < s->n_kinds; i++)
		old[i] = s->kinds[i];
	if (s->n_kinds)
		qsort(s->kinds, s->n_kinds, sizeof(*s->kinds), compare_kinds);
	for (size_t i = 0; i < s->n_kinds; i++)
		for (size_t j = 0; j < s->n_kinds; j++)
			if (compare_kinds(&old[i], &s->kinds[j]) == 0)
				at[i] = (u32)j;
	for (size_t i = 0; i < s->n_stacks; i++)
		s->stacks[i].kind = at[s->stacks[i].kind];
	if (s->n_stacks)
		qsort(s->stacks, s->n_stacks, sizeof(*s->stacks), compare_stacks);
	if (s->n_wakers)
		qsort(s->wakers, s->n_wakers, sizeof(*s->wakers), compare_wakers);
	return 0;
}

/* ---- loading ---- */

static int walk_threads(struct load *l)
{
	struct offcpu_stats *s = l->s;
	int r = 0;

	for (size_t i = 0; i < s->threads.n && r == 0; i++) {
		const struct tl_thread *t = &s->threads.rows[i];

		l->x = &s->rows[i];
		l->x->t = t;
		if (l->quota_process != t->process_id) {
			quota_spans_release(&l->quota);
			r = quota_spans_load(l->db, t->process_id, &l->quota);
			l->quota_process = t->process_id;
		}
		if (r == 0)
			r = thread_spans_walk(&s->spans, t, add_span, l);
	}
	return r;
}

static void load_release(struct load *l)
{
	quota_spans_release(&l->quota);
	u64map_release(&l->polls);
	u64map_release(&l->wait_kinds);
	u64map_release(&l->function_of);
	(void)sqlite3_finalize(l->place);
	l->keys = strtab_free(l->keys);
	l->waker_keys = strtab_free(l->waker_keys);
	l->kind_keys = strtab_free(l->kind_keys);
}

int offcpu_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct offcpu_stats *ret)
{
	_cleanup_offcpu_stats_ struct offcpu_stats s = {.is_filtered = o->min_ns || o->max_ns || o->task || o->class_is};
	_cleanup_(load_release) struct load l = {
		.db = db, .o = o, .s = &s, .polls = U64MAP_INIT, .wait_kinds = U64MAP_INIT, .function_of = U64MAP_INIT};
	int r = thread_spans_init(&s.spans, db);

	if (r == 0)
		r = thread_spans_threads(db, o, f->lo, f->hi, &s.threads);
	if (r == 0)
		r = thread_spans_polls_of(db, o->task, &l.polls);
	if (r == 0)
		r = sql_prepare(db, &l.place, "SELECT function FROM stack_place WHERE stack_id = ?1", NULL, 0);
	if (r < 0)
		return r;
	s.rows = calloc(s.threads.n + 1, sizeof(*s.rows));
	s.functions = strtab_new();
	l.keys = strtab_new();
	l.waker_keys = strtab_new();
	l.kind_keys = strtab_new();
	if (!s.rows || !s.functions || !l.keys || !l.waker_keys || !l.kind_keys)
		return -ENOMEM;
	r = walk_threads(&l);
	if (r == 0)
		r = merge_others(&l);
	if (r == 0)
		r = sort_all(&s);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct offcpu_stats){0};
	return 0;
}

void offcpu_stats_release(struct offcpu_stats *s)
{
	thread_spans_release(&s->spans);
	tl_threads_release(&s->threads);
	free(s->rows);
	free(s->kinds);
	free(s->stacks);
	free(s->wakers);
	s->functions = strtab_free(s->functions);
	*s = (struct offcpu_stats){0};
}
