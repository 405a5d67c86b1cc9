/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_slices.c: slices of threads' tracks as events: names, categories, arguments. */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/chrome.h"

static void put_stack_args(struct chrome *c, const struct stack_call *user, const struct stack_call *kernel)
{
	if (user)
		chrome_arg_n(&c->w, "stack", user->text, user->text_n);
	if (kernel)
		chrome_arg_n(&c->w, "kernel", kernel->text, kernel->text_n);
}

static int put_stacks(struct chrome *c, u64 stack_id, u64 kstack_id)
{
	const struct stack_call *user = NULL, *kernel = NULL;
	int r;

	if (c->o->no_args || !(stack_id | kstack_id))
		return 0;
	r = stack_calls_get(&c->calls, stack_id, false, &user);
	if (r == 0)
		r = stack_calls_get(&c->calls, kstack_id, true, &kernel);
	if (r == 0)
		put_stack_args(c, user, kernel);
	return r;
}

/* ": sleep process_large_file" */
static int put_why(struct chrome *c, const char *class_name, u64 stack_id)
{
	const struct stack_call *at = NULL;
	int r = stack_calls_get(&c->calls, stack_id, false, &at);

	chrome_puts(&c->w, ": ");
	chrome_puts_raw(&c->w, class_name ? class_name : "other");
	if (at && at->name) {
		chrome_puts(&c->w, " ");
		chrome_puts(&c->w, at->name);
	}
	return r;
}

/* ---- states ---- */

static int put_waker(struct chrome *c, const struct tl_segment *s)
{
	const struct stack_call *from = NULL;
	int r = stack_calls_get(&c->calls, s->waker_stack_id, false, &from);

	if (!s->has_waker)
		return r;
	if (s->waker_tid)
		chrome_arg_u64(&c->w, "waker", s->waker_tid);
	else
		chrome_arg(&c->w, "waker", "irq");
	if (s->waker_task)
		chrome_arg_u64(&c->w, "waker_task", s->waker_task);
	if (from && from->name)
		chrome_arg(&c->w, "waker_function", from->name);
	return r;
}

/* What all segments of one _wait say, as a trace has it: "state":"S","role":"in_poll","class":"lock","syscall":"futex". Escaped once, written often. */
static int wait_args(struct chrome *c, const struct tl_segment *s, const struct chrome_wait **ret)
{
	struct chrome_wait *k = &c->waits[s->wait_id % CHROME_WAITS];
	const char state[2] = {s->state, '\0'};
	const char *const args[][2] = {{"state", state}, {"role", s->role}, {"class", s->class_name}, {"syscall", s->syscall}};
	_cleanup_buf_ struct buf b = BUF_INIT;

	*ret = k;
	if (k->args && k->wait_id == s->wait_id)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(args); i++) {
		_cleanup_free_ char *inner = NULL;
		int r = json_inner(args[i][1], &inner);

		if (r < 0)
			return r;
		if (*inner)
			buf_printf(&b, "%s\"%s\":\"%s\"", b.len ? "," : "", args[i][0], inner);
	}
	free(k->args);
	k->wait_id = s->wait_id;
	k->n = b.len;
	k->args = buf_take_str(&b);
	return k->args ? 0 : -ENOMEM;
}

static int put_state_args(struct chrome *c, const struct tl_thread *t, const struct track_slice *slice)
{
	const struct tl_segment *s = slice->segment;
	bool woken = s->kind == TL_RUNNABLE && !s->first; /* the slice before it says what it waited for */
	const struct chrome_wait *k;
	int r;

	if (c->o->no_args || s->kind == TL_ONCPU || s->kind == TL_UNSEEN)
		return 0;
	if (!woken) {
		r = wait_args(c, s, &k);
		if (r < 0)
			return r;
		if (k->n) {
			chrome_arg_next(&c->w);
			chrome_put(&c->w, k->args, k->n);
		}
	}
	if (s->has_task)
		chrome_arg_u64(&c->w, "task", s->task_id);
	else if (slice->poll && slice->poll->has_task)
		chrome_arg_u64(&c->w, "task", slice->poll->task.task_id);
	if (t->has_worker)
		chrome_arg_u64(&c->w, "worker", t->worker);
	if (s->poll_id)
		chrome_arg_u64(&c->w, "poll_id", s->poll_id);
	r = put_waker(c, s);
	return r < 0 || woken ? r : put_stacks(c, s->stack_id, s->kstack_id);
}

static int put_state(struct chrome *c, const struct tl_thread *t, const struct track_slice *s)
{
	static const char *const names[] = {"on-CPU",  "runnable", "parked", "idle",	 "blocked",
					    "waiting", "stopped",  "exited", "no events"};
	bool waits = s->state == TRACK_BLOCKED || s->state == TRACK_WAIT;
	const char *class_name = s->segment->class_name ? s->segment->class_name : "other";
	int r = 0;

	chrome_slice_begin(&c->w, &c->tracks[chrome_thread_index(c, t)], track_state_name(s->state), waits ? class_name : NULL,
			   s->ts, s->end, s->depth);
	chrome_puts(&c->w, names[s->state]);
	if (waits)
		r = put_why(c, class_name, s->segment->stack_id);
	chrome_args_begin(&c->w);
	if (r == 0)
		r = put_state_args(c, t, s);
	chrome_event_end(&c->w);
	return r;
}

/* ---- polls ---- */

/* What is known of the task itself. */
static void put_task_args(struct chrome *c, const struct track_task *task)
{
	chrome_arg(&c->w, "task_name", task->type->name);
	chrome_arg(&c->w, "spawn_function", task->site->function);
	chrome_arg(&c->w, "spawn_file", task->site->file);
	if (task->site->line)
		chrome_arg_u64(&c->w, "spawn_line", task->site->line);
}

static int put_poll_args(struct chrome *c, const struct track_poll *p)
{
	struct chrome_out *w = &c->w;

	if (c->o->no_args)
		return 0;
	if (p->has_task)
		chrome_arg_u64(w, "task", p->task.task_id);
	put_task_args(c, &p->task);
	if (!p->poll_id)
		return 0;
	chrome_arg_raw(w, "class", p->class_name);
	chrome_arg_raw(w, "syscall", p->syscall);
	chrome_arg_raw(w, "detail", p->detail);
	chrome_arg_raw(w, "holds", p->holds);
	chrome_arg_raw(w, "state", p->state);
	chrome_arg_raw(w, "function", p->function);
	chrome_arg_raw(w, "file", p->file);
	if (p->line)
		chrome_arg_u64(w, "line", p->line);
	chrome_arg_raw(w, "library", p->library);
	chrome_arg_u64(w, "poll_id", p->poll_id);
	chrome_arg_u64(w, "dur_min_ns", p->dur_min);
	chrome_arg_u64(w, "dur_max_ns", p->dur_max);
	chrome_arg_u64(w, "off_cpu_ns", p->off_cpu);
	chrome_arg_u64(w, "on_cpu_ns", p->on_cpu);
	chrome_arg_u64(w, "runnable_ns", p->runnable);
	chrome_arg_u64(w, "waits", p->waits);
	chrome_arg_u64(w, "samples", p->samples);
	if (p->has_lifo)
		chrome_arg_u64(w, "lifo", p->lifo);
	if (p->has_queued)
		chrome_arg_u64(w, "queued", p->queued);
	if (p->has_inject)
		chrome_arg_u64(w, "inject", p->inject);
	return put_stacks(c, p->stack_id, p->kstack_id);
}

/* "task 30 orders::handle", "root future"; of a poll that blocked also what and where: "task 30 orders::handle: cpu hash_password" */
static int put_poll_name(struct chrome *c, const struct track_poll *p)
{
	struct chrome_out *w = &c->w;

	if (!p->classified) {
		chrome_puts(w, "one poll or many");
		return 0;
	}
	if (p->has_task) {
		chrome_puts(w, "task ");
		chrome_put_u64(w, p->task.task_id);
		if (p->task.type->label) {
			chrome_puts(w, " ");
			chrome_puts(w, p->task.type->label);
		}
	} else {
		chrome_puts(w, p->exact ? "task" : p->holds && strcmp(p->holds, "localset") == 0 ? "local set" : "root future");
	}
	return p->class_name && p->off_cpu + p->on_cpu >= REPORT_MIN_NS ? put_why(c, p->class_name, p->stack_id) : 0;
}

static int put_poll(struct chrome *c, const struct tl_thread *t, const struct track_slice *s)
{
	int r;

	chrome_slice_begin(&c->w, &c->tracks[chrome_thread_index(c, t)], s->poll->classified ? "poll" : "unclassified", NULL,
			   s->ts, s->end, s->depth);
	r = put_poll_name(c, s->poll);
	chrome_args_begin(&c->w);
	if (r == 0)
		r = put_poll_args(c, s->poll);
	chrome_event_end(&c->w);
	return r;
}

/* ---- functions ---- */

static int put_call(struct chrome *c, const struct tl_thread *t, const struct track_slice *s)
{
	bool library = s->kind == TRACK_LIBRARY;
	const struct stack_call *kernel = NULL;
	int r = 0;

	chrome_slice_begin(&c->w, &c->tracks[chrome_thread_index(c, t)], library ? s->call->library_category : s->call->category,
			   NULL, s->ts, s->end, s->depth);
	chrome_puts(&c->w, library ? s->call->library : s->call->name);
	chrome_args_begin(&c->w);
	if (!library && s->samples) {
		chrome_arg_u64(&c->w, "samples", s->samples);
		if (s->has_task)
			chrome_arg_u64(&c->w, "task", s->task_id);
		r = stack_calls_get(&c->calls, s->kstack_id, true, &kernel);
		put_stack_args(c, s->call, kernel);
	}
	chrome_event_end(&c->w);
	return r;
}

int chrome_put_slice(struct chrome *c, const struct tl_thread *t, const struct track_slice *s)
{
	if (s->kind == TRACK_POLL)
		return put_poll(c, t, s);
	return s->kind == TRACK_STATE ? put_state(c, t, s) : put_call(c, t, s);
}
