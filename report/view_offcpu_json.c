/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_offcpu_json.c: `ascope report --offcpu --json`: the same numbers as view_offcpu.c, and all rows unless --top. */
#include "report/offcpu_stats.h"
#include "report/sqlrow.h"
#include "report/view.h"
#include "report/view_offcpu.h"
#include "report/view_spans.h"
#include "report/view_stack.h"

static void sum_json(struct json *j, const struct off_sum *s)
{
	json_kv_u64(j, "count", s->n);
	json_kv_u64(j, "total", s->ns);
	json_kv_u64(j, "max", s->max);
	json_kv_u64(j, "open", s->open);
}

static void time_json(struct json *j, const struct off_thread *x)
{
	json_kv_u64(j, "wall", x->wall);
	json_kv_u64(j, "on_cpu", x->on_cpu);
	json_kv_u64(j, "runnable", x->runnable);
	json_kv_u64(j, "waiting", x->waiting);
	json_kv_u64(j, "idle", x->idle);
	json_kv_u64(j, "unknown", x->unknown);
}

static const char *group_of(enum wait_state s)
{
	return s >= WAIT_READY_WOKEN ? "runnable" : wait_state_is_idle(s) ? "idle" : "waiting";
}

static void states_json(const struct offcpu_stats *s, struct json *j)
{
	json_key(j, "states");
	json_array_begin(j);
	for (int i = 0; i < WAIT_STATES; i++) {
		if (!s->states[i].n)
			continue;
		json_object_begin(j);
		json_kv_string(j, "state", wait_state_name((enum wait_state)i));
		json_kv_string(j, "group", group_of((enum wait_state)i));
		sum_json(j, &s->states[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void kind_json(struct json *j, const struct off_kind *k)
{
	json_kv_string(j, "state", wait_state_name(k->state));
	json_kv_string(j, "class", k->kind->class_name);
	json_kv_string(j, "detail", k->kind->detail);
	json_kv_string(j, "syscall", k->kind->syscall);
}

static void kinds_json(const struct offcpu_stats *s, struct json *j)
{
	json_key(j, "syscalls");
	json_array_begin(j);
	for (size_t i = 0; i < s->n_kinds; i++) {
		json_object_begin(j);
		kind_json(j, &s->kinds[i]);
		sum_json(j, &s->kinds[i].sum);
		json_object_end(j);
	}
	json_array_end(j);
}

static void threads_json(const struct offcpu_stats *s, struct json *j)
{
	json_key(j, "threads");
	json_array_begin(j);
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct off_thread *x = &s->rows[i];

		json_object_begin(j);
		span_thread_json(j, x->t);
		json_kv_u64_or_null(j, "runtime_id", x->t->has_runtime, x->t->runtime_id);
		json_kv_bool(j, "seen", x->t->seen);
		time_json(j, x);
		sum_json(j, &x->shown);
		json_key(j, "by_state");
		json_object_begin(j);
		for (int k = 0; k < WAIT_STATES; k++)
			if (x->by_state[k])
				json_kv_u64(j, wait_state_name((enum wait_state)k), x->by_state[k]);
		json_object_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void hist_json(const struct off_hist *h, const char *key, struct json *j)
{
	json_key(j, key);
	json_array_begin(j);
	for (u32 b = 0; b < OFFCPU_BUCKETS; b++) {
		u64 from, to;

		if (!h->n[b])
			continue;
		off_hist_range(b, &from, &to);
		json_object_begin(j);
		json_kv_u64(j, "from", from);
		json_kv_u64_or_null(j, "to", to != UINT64_MAX, to);
		json_kv_u64(j, "count", h->n[b]);
		json_kv_u64(j, "total", h->ns[b]);
		json_object_end(j);
	}
	json_array_end(j);
}

static int wakers_json(sqlite3 *db, const struct offcpu_stats *s, struct json *j)
{
	int r = 0;

	json_key(j, "wakers");
	json_array_begin(j);
	for (size_t i = 0; i < s->n_wakers && r == 0; i++) {
		const struct off_waker *w = &s->wakers[i];
		char name[OFFCPU_WAKER_NAME];

		r = offcpu_waker_name(db, w, name, sizeof(name));
		json_object_begin(j);
		json_kv_u64_or_null(j, "tid", w->is_known && !w->is_other, w->tid);
		json_kv_string(j, "name", name);
		json_kv_string(j, "state", wait_state_name(w->state));
		json_kv_string(j, "function", w->function);
		sum_json(j, &w->sum);
		json_kv_u64(j, "of_tasks", w->of_tasks);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int stacks_json(sqlite3 *db, const struct report_opts *o, const struct offcpu_stats *s, struct json *j)
{
	u64 top = o->top == REPORT_TOP_UNSET || !o->top ? UINT64_MAX : o->top;
	_cleanup_vstack_loader_ struct vstack_loader l = {0};
	int r = vstack_loader_init(&l, db);

	json_key(j, "stacks");
	json_array_begin(j);
	for (size_t i = 0; i < s->n_stacks && i < top && r == 0; i++) {
		const struct off_stack *x = &s->stacks[i];
		_cleanup_vstack_ struct vstack user = {0}, kernel = {0};

		r = vstack_load(&l, x->stack_id, false, &user);
		if (r == 0)
			r = vstack_load(&l, x->kstack_id, true, &kernel);
		if (r < 0)
			break;
		json_object_begin(j);
		kind_json(j, &s->kinds[x->kind]);
		sum_json(j, &x->sum);
		json_kv_u64(j, "threads", x->threads);
		json_kv_u64_or_null(j, "stack_id", x->stack_id, x->stack_id);
		json_kv_u64_or_null(j, "kstack_id", x->kstack_id, x->kstack_id);
		json_key(j, "frames");
		json_array_begin(j);
		vstack_json(&user, j);
		json_array_end(j);
		json_key(j, "kernel_frames");
		json_array_begin(j);
		vstack_json(&kernel, j);
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
	return r;
}

static int put_all(sqlite3 *db, const struct report_opts *o, const struct offcpu_stats *s, struct json *j)
{
	int r;

	json_key(j, "time");
	json_object_begin(j);
	json_kv_u64(j, "threads", s->threads.n);
	time_json(j, &s->all);
	json_object_end(j);
	json_key(j, "shown");
	json_object_begin(j);
	sum_json(j, &s->all.shown);
	json_object_end(j);
	json_key(j, "left_out");
	json_object_begin(j);
	sum_json(j, &s->left_out);
	json_object_end(j);
	json_kv_u64(j, "throttled", s->throttled);
	states_json(s, j);
	kinds_json(s, j);
	threads_json(s, j);
	hist_json(&s->waits, "waits_by_length", j);
	hist_json(&s->ready, "runnable_by_length", j);
	r = wakers_json(db, s, j);
	return r < 0 ? r : stacks_json(db, o, s, j);
}

int view_offcpu_json(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	_cleanup_offcpu_stats_ struct offcpu_stats s = {0};
	_cleanup_facts_ struct capture_facts f = {0};
	struct json j;
	int r = capture_facts_load(db, o, &f);

	if (r == 0)
		r = offcpu_stats_load(db, o, &f, &s);
	if (r < 0)
		return r;
	r = span_json_begin(db, o, &f, out, &j);
	if (r == 0)
		r = put_all(db, o, &s, &j);
	if (r < 0)
		return r;
	view_json_end(&j, out);
	return 0;
}
