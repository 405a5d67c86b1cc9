/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_name.c: see task_name.h.
 * Invariant: nothing is read behind a text's end, and each step of a recursion goes into a shorter text; how deep is bounded as well (DEPTH_MAX).
 */
#include "report/task_name.h"

#include <string.h>

#include "report/name_out.h"

#define DEPTH_MAX    8	/* of types in types */
#define SEGMENTS_MAX 48 /* of a path; what is behind them is left out */
#define ARGS_MAX     3	/* type arguments that are shown */
#define ARG_LEN	     48 /* bytes of them all, or they become ".." */
#define PEEL_MAX     16

struct segment {
	struct task_text name, args; /* args: with their brackets; n 0 none */
};

struct path {
	struct segment v[SEGMENTS_MAX];
	u32 n;
};

static const char *const kind_names[TASK_KINDS] = {"future", "blocking", "worker"};

const char *task_kind_name(enum task_kind kind)
{
	return kind < TASK_KINDS ? kind_names[kind] : kind_names[TASK_FUTURE];
}

/* ---- text ---- */

static bool text_is(struct task_text t, const char *s)
{
	return t.n == strlen(s) && !memcmp(t.s, s, t.n);
}

static bool begins(struct task_text t, const char *s)
{
	size_t n = strlen(s);

	return t.n >= n && !memcmp(t.s, s, n);
}

static bool ends(struct task_text t, const char *s)
{
	size_t n = strlen(s);

	return t.n >= n && !memcmp(t.s + t.n - n, s, n);
}

static struct task_text skip(struct task_text t, size_t n)
{
	return n < t.n ? (struct task_text){t.s + n, t.n - n} : (struct task_text){t.s + t.n, 0};
}

static struct task_text trim(struct task_text t)
{
	while (t.n && *t.s == ' ')
		t = skip(t, 1);
	while (t.n && t.s[t.n - 1] == ' ')
		t.n--;
	return t;
}

static bool eat(struct task_text *t, const char *s)
{
	if (!begins(*t, s))
		return false;
	*t = skip(*t, strlen(s));
	return true;
}

/* Where the first of `stops` is outside brackets, from `from` on; t.n when there is none. "->" closes nothing. */
static size_t find_outside(struct task_text t, size_t from, const char *stops)
{
	int depth = 0;

	for (size_t i = from; i < t.n; i++) {
		char c = t.s[i];

		if (!depth && c && strchr(stops, c) && !(c == '>' && i && t.s[i - 1] == '-'))
			return i;
		if (c == '<' || c == '(' || c == '[' || c == '{')
			depth++;
		else if (c == ')' || c == ']' || c == '}' || (c == '>' && i && t.s[i - 1] != '-'))
			depth--;
		if (depth < 0)
			return i;
	}
	return t.n;
}

/* Behind the bracket that closes the one at t.s[at]; t.n when none does. */
static size_t behind_brackets(struct task_text t, size_t at)
{
	size_t end = find_outside(t, at + 1, "");

	return end < t.n ? end + 1 : t.n;
}

/* The next of a list "A, B<C, D>": taken off *rest. */
static struct task_text next_arg(struct task_text *rest)
{
	size_t end = find_outside(*rest, 0, ",");
	struct task_text arg = {rest->s, end};

	*rest = skip(*rest, end + 1);
	return trim(arg);
}

/* ---- out ---- */

static void out_text(struct name_out *o, struct task_text t)
{
	name_out_put(o, t.s, t.n);
}

static void out_puts(struct name_out *o, const char *s)
{
	out_text(o, (struct task_text){s, strlen(s)});
}

/* ---- paths ---- */

static bool is_body_word(struct task_text t)
{
	return begins(t, "{{closure}}") || begins(t, "{closure") || begins(t, "{async_") || begins(t, "{gen_") ||
	       begins(t, "{coroutine");
}

/* `A` and `A as B` in brackets at the beginning: A's path is the beginning. */
static struct task_text implementing_type(struct task_text t)
{
	size_t end = t.n;
	int depth = 0;

	for (size_t i = 0; i + 4 <= t.n; i++) {
		char c = t.s[i];

		if (!depth && !memcmp(t.s + i, " as ", 4)) {
			end = i;
			break;
		}
		depth += c == '<' || c == '(' || c == '[' || c == '{';
		depth -= c == ')' || c == ']' || c == '}' || (c == '>' && i && t.s[i - 1] != '-');
	}
	t.n = end;
	while (eat(&t, "&") || eat(&t, "mut ") || eat(&t, "*const ") || eat(&t, "*mut "))
		;
	return trim(t);
}

/*
 * Type arguments in a segment of their own belong to the name before, those that debug info has behind a body to the last name. Those that linkers' names have
 * there are what the compiler makes of the closure, and nobody's.
 */
static void add_args(struct path *p, struct task_text args)
{
	u32 i = p->n;

	if (i && is_body_word(p->v[i - 1].name) && !memmem(p->v[i - 1].name.s, p->v[i - 1].name.n, "_env#", 5))
		return;
	while (i && is_body_word(p->v[i - 1].name))
		i--;
	if (i && !p->v[i - 1].args.n)
		p->v[i - 1].args = args;
}

static void split_path(struct task_text t, struct path *p, u32 depth)
{
	bool is_first = true;

	while (t.n && p->n < SEGMENTS_MAX) {
		size_t end = find_outside(t, 0, ":"), angle;
		struct task_text seg = {t.s, end};

		t = skip(t, end + 2);
		if (is_first && begins(seg, "<") && depth < DEPTH_MAX) {
			size_t close = behind_brackets(seg, 0);

			split_path(implementing_type((struct task_text){seg.s + 1, close > 1 ? close - 2 : 0}), p, depth + 1);
		} else if (begins(seg, "<")) {
			add_args(p, seg);
		} else if (seg.n) {
			angle = begins(seg, "{") ? find_outside(seg, 0, "<") : find_outside(seg, 1, "<");
			p->v[p->n++] = (struct segment){.name = {seg.s, angle}};
			if (angle < seg.n)
				add_args(p, skip(seg, angle));
		}
		is_first = false;
	}
}

/* ---- whose type ---- */

/* T of "Name<T, S>..." where `t` begins with its "<" or "::<". Of legacy generic functions the arguments are "T" and "S" themselves. */
static bool first_arg(struct task_text t, struct task_text *ret)
{
	struct task_text arg, inside;

	(void)eat(&t, "::");
	if (!begins(t, "<"))
		return false;
	inside = (struct task_text){t.s + 1, find_outside(t, 1, "") - 1};
	if (inside.n + 1 == t.n) /* nothing closes it */
		return false;
	arg = next_arg(&inside);
	if (arg.n < 2 || find_outside(arg, 0, ">") < arg.n)
		return false;
	*ret = arg;
	return true;
}

bool task_name_of_drop(const char *function, struct task_text *ret)
{
	static const char *const cells[] = {"Cell", "CoreStage", "Stage"};
	struct task_text t = {function, strlen(function)};

	if (!eat(&t, "core::ptr::drop_in_place"))
		return false;
	(void)eat(&t, "::");
	if (!eat(&t, "<"))
		return false;
	(void)eat(&t, "alloc::boxed::Box<");
	if (!eat(&t, "tokio::runtime::task::core::"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		struct task_text rest = t;

		if (eat(&rest, cells[i]) && first_arg(rest, ret))
			return true;
	}
	return false;
}

bool task_name_of_generic(const char *function, struct task_text *ret)
{
	static const char *const names[] = {
		"tokio::runtime::task::raw::poll",
		"tokio::runtime::task::raw::dealloc",
		"tokio::runtime::task::raw::shutdown",
		"tokio::runtime::task::harness::Harness",
		"tokio::runtime::task::core::Core",
		"tokio::runtime::task::core::Cell",
		"poll",
		"dealloc",
		"shutdown",
	};
	struct task_text t = {function, strlen(function)};

	(void)eat(&t, "<");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct task_text rest = t;

		if (eat(&rest, names[i]) && first_arg(rest, ret))
			return true;
	}
	return false;
}

/* Is the future a library's that only hands polls on, so that the body is further in? */
static bool is_glue(struct task_text t)
{
	static const char *const crates[] = {
		"core::", "std::", "alloc::", "tokio::", "futures_util::", "tracing", "tokio_util::", "F", "P", "T"};
	enum { N_PARAMETERS = 3 };

	for (size_t i = 0; i < ARRAY_SIZE(crates); i++)
		if (i + N_PARAMETERS >= ARRAY_SIZE(crates) ? text_is(t, crates[i]) : begins(t, crates[i]))
			return true;
	return false;
}

bool task_name_of_body(const char *function, struct task_text *ret)
{
	static const char poll[] = " as core::future::future::Future>::poll";
	struct task_text t = {function, strlen(function)};
	struct path p = {.n = 0};

	if (ends(t, poll) && begins(t, "<")) {
		*ret = (struct task_text){t.s + 1, t.n - sizeof(poll)};
		return !is_glue(*ret);
	}
	split_path(t, &p, 0);
	if (!p.n || !is_body_word(p.v[p.n - 1].name))
		return false;
	*ret = t;
	(void)eat(&t, "<");
	return !is_glue(t);
}

bool task_name_is_way(const char *function)
{
	static const char *const ways[] = {
		"tokio::runtime::task::",
		"tokio::runtime::blocking::task::",
		"tokio::runtime::coop",
		"tokio::runtime::context::",
		"tokio::task::coop",
		"tokio::task::unconstrained",
		"tokio::task::task_local",
		"tokio::time::timeout",
		"tokio::util::trace",
		"tokio::loom",
		"tokio_util::task",
		"tokio_util::sync",
		"futures_util::",
		"tracing::instrument",
		"tracing_futures",
		"core::ops::function",
		"core::panic::",
		"core::pin::",
		"core::ptr::",
		"core::mem::",
		"core::future::",
		"alloc::boxed",
		"alloc::sync",
		"std::panicking::",
		"std::panic",
		"__rust_try",
		"std::thread::local",
		"core::cell",
		"F as ",
		"P as ",
		"T as ",
		"std::sys::backtrace",
	};
	struct task_text t = {function, strlen(function)};

	while (eat(&t, "<") || eat(&t, "&mut ") || eat(&t, "&"))
		;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (begins(t, ways[i]))
			return true;
	return false;
}

/* ---- peeling ---- */

/* What only wraps another future: crate, name, which argument that is. Of futures-util all that have one future and what becomes of its output. */
static const struct {
	const char *crate, *name;
	u32 arg;
} wrappers[] = {
	{"core::", "Pin", 0},
	{"core::", "AssertUnwindSafe", 0},
	{"alloc::", "Box", 0},
	{"tokio::", "BlockingTask", 0},
	{"tokio::", "Timeout", 0},
	{"tokio::", "Unconstrained", 0},
	{"tokio::", "Coop", 0},
	{"tokio::", "TaskLocalFuture", 1},
	{"tokio_util::", "TrackedFuture", 0},
	{"tokio_util::", "WithCancellationTokenFuture", 0},
	{"tokio_util::", "WithCancellationTokenFutureOwned", 0},
	{"tokio_metrics::", "Instrumented", 0},
	{"tracing::", "Instrumented", 0},
	{"tracing::", "WithDispatch", 0},
	{"tracing_futures::", "Instrumented", 0},
	{"tracing_futures::", "WithDispatch", 0},
	{"opentelemetry::", "WithContext", 0},
	{"sentry_core::", "SentryFuture", 0},
	{"async_compat::", "Compat", 0},
	{"futures_util::", "Abortable", 0},
	{"futures_util::", "AndThen", 0},
	{"futures_util::", "CatchUnwind", 0},
	{"futures_util::", "ErrInto", 0},
	{"futures_util::", "Flatten", 0},
	{"futures_util::", "Fuse", 0},
	{"futures_util::", "Inspect", 0},
	{"futures_util::", "InspectErr", 0},
	{"futures_util::", "InspectOk", 0},
	{"futures_util::", "IntoFuture", 0},
	{"futures_util::", "Map", 0},
	{"futures_util::", "MapErr", 0},
	{"futures_util::", "MapInto", 0},
	{"futures_util::", "MapOk", 0},
	{"futures_util::", "MapOkOrElse", 0},
	{"futures_util::", "NeverError", 0},
	{"futures_util::", "OkInto", 0},
	{"futures_util::", "OrElse", 0},
	{"futures_util::", "Remote", 0},
	{"futures_util::", "Shared", 0},
	{"futures_util::", "Then", 0},
	{"futures_util::", "TryFlatten", 0},
	{"futures_util::", "UnitError", 0},
	{"futures_util::", "UnwrapOrElse", 0},
};

/* Which argument of `type` is wrapped; false: it is no wrapper. */
static bool unwrap(struct task_text type, struct task_text *ret, const char **ret_name)
{
	size_t angle = find_outside(type, 0, "<"), colon = angle;
	struct task_text rest, inside, name;

	if (angle == type.n || behind_brackets(type, angle) != type.n)
		return false;
	inside = (struct task_text){type.s + angle + 1, type.n - angle - 2};
	while (colon && type.s[colon - 1] != ':')
		colon--;
	name = (struct task_text){type.s + colon, angle - colon};
	if (ends(name, "::"))
		name.n -= 2;
	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++) {
		struct task_text arg = {0};

		if (!begins(type, wrappers[i].crate) || !text_is(name, wrappers[i].name))
			continue;
		rest = inside;
		for (u32 k = 0; k <= wrappers[i].arg; k++)
			arg = next_arg(&rest);
		if (!arg.n)
			return false;
		*ret = arg;
		*ret_name = wrappers[i].name;
		return true;
	}
	return false;
}

/* Runs for as long as its thread is a worker: a blocking task that Tokio starts to run one. */
static bool is_worker_loop(struct task_text t)
{
	static const char *const loops[] = {"Launch::launch", "::Launch>::launch", "::block_in_place", "::maybe_move_runtime",
					    "worker::run"};

	if (!begins(t, "tokio::runtime::") && !begins(t, "<tokio::runtime::"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(loops); i++)
		if (memmem(t.s, t.n, loops[i], strlen(loops[i])))
			return true;
	return false;
}

struct task_text task_name_peel(struct task_text type, enum task_kind *ret_kind)
{
	const char *name = "";
	struct task_text inner;

	*ret_kind = TASK_FUTURE;
	type = trim(type);
	for (u32 i = 0; i < PEEL_MAX && unwrap(type, &inner, &name); i++) {
		type = inner;
		if (!strcmp(name, "BlockingTask"))
			*ret_kind = is_worker_loop(type) ? TASK_WORKER : TASK_BLOCKING;
	}
	return type;
}

/* ---- printing ---- */

void task_name_key(struct task_text type, char *buf, size_t n)
{
	struct name_out o = {.buf = buf, .cap = n - 1};
	struct path p = {.n = 0};

	split_path(type, &p, 0);
	for (u32 i = 0; i < p.n; i++) {
		if (i)
			out_puts(&o, "::");
		if (is_body_word(p.v[i].name))
			out_puts(&o, "{}");
		else
			out_text(&o, p.v[i].name);
	}
	(void)name_out_end(&o);
}

static void print_short(struct task_text t, struct name_out *o, u32 depth);

static void print_args(struct task_text args, struct name_out *o, u32 depth)
{
	char text[ARG_LEN + 1];
	struct name_out in = {.buf = text, .cap = ARG_LEN};
	struct task_text rest;

	if (args.n < 3)
		return;
	rest = (struct task_text){args.s + 1, args.n - 2};
	for (u32 i = 0; rest.n && i <= ARGS_MAX && depth < DEPTH_MAX; i++) {
		struct task_text arg = next_arg(&rest);

		if (!arg.n || *arg.s == '\'' || text_is(arg, "alloc::alloc::Global")) /* a lifetime; the usual allocator */
			continue;
		if (in.n)
			out_puts(&in, ", ");
		if (i == ARGS_MAX)
			out_puts(&in, "..");
		else
			print_short(arg, &in, depth + 1);
	}
	out_puts(o, "<");
	if (in.n == in.cap || !in.n)
		out_puts(o, "..");
	else
		out_text(o, (struct task_text){text, in.n});
	out_puts(o, ">");
}

/* `dyn a::B<C> + Send` -> `dyn B`. */
static void print_dyn(struct task_text t, struct name_out *o)
{
	struct path p = {.n = 0};

	t.n = find_outside(t, 0, "+");
	split_path(trim(t), &p, 0);
	out_puts(o, "dyn ");
	if (p.n)
		out_text(o, p.v[p.n - 1].name);
}

/* References, tuples and the like; true: it was one. */
static bool print_other(struct task_text t, struct name_out *o, u32 depth)
{
	static const char *const marks[] = {"&mut ", "&", "*const ", "*mut "};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++)
		if (eat(&t, marks[i])) {
			out_puts(o, marks[i]);
			print_short(trim(t), o, depth + 1);
			return true;
		}
	if (begins(t, "(dyn ") && t.n > 6)
		t = (struct task_text){t.s + 1, t.n - 2};
	if (eat(&t, "dyn ")) {
		print_dyn(t, o);
		return true;
	}
	if (!begins(t, "(") && !begins(t, "[") && !begins(t, "fn(") && !begins(t, "unsafe ") && !begins(t, "extern "))
		return false;
	if (t.n <= ARG_LEN)
		out_text(o, t);
	else
		out_puts(o, begins(t, "(") ? "(..)" : begins(t, "[") ? "[..]" : "fn(..)");
	return true;
}

/* The last name of a path, and its arguments: what stands between <>. */
static void print_short(struct task_text t, struct name_out *o, u32 depth)
{
	enum task_kind kind;
	struct path p = {.n = 0};
	u32 i;

	if (depth >= DEPTH_MAX) {
		out_puts(o, "..");
		return;
	}
	t = task_name_peel(t, &kind);
	if (print_other(t, o, depth))
		return;
	split_path(t, &p, depth);
	for (i = p.n; i && is_body_word(p.v[i - 1].name);)
		i--;
	if (!i) {
		out_text(o, t);
		return;
	}
	out_text(o, p.v[i - 1].name);
	print_args(p.v[i - 1].args, o, depth);
}

/* `{async_block_env#1}` -> `{async block}`, in that order. Of others that are not numbered nothing is known but that they are one. */
static void print_body(struct task_text t, struct name_out *o)
{
	static const char *const names[][2] = {
		{"{async_fn", "{async fn}"},
		{"{async_block", "{async block}"},
		{"{async_closure", "{async closure}"},
		{"{async_gen_fn", "{async gen fn}"},
		{"{async_gen_block", "{async gen block}"},
		{"{gen_fn", "{gen fn}"},
		{"{gen_block", "{gen block}"},
		{"{closure", "{closure}"},
		{"{coroutine", "{coroutine}"},
		{"{{closure}}", "{{closure}}"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (begins(t, names[i][0])) {
			out_puts(o, names[i][1]);
			return;
		}
	out_text(o, t);
}

/* Linkers' names call every body a closure. */
static bool is_plain_closure(struct task_text t)
{
	return begins(t, "{{closure}}") || (begins(t, "{closure#") && !memmem(t.s, t.n, "_env", 4));
}

/*
 * The body of an async fn is the fn: it is left out. That a closure is one is likely when it is the first of its function: async functions have one body,
 * and most bodies of tasks, and most that are in others, are an async fn's.
 */
static bool is_fn_body(const struct path *p, u32 i, enum task_kind kind)
{
	struct task_text t = p->v[i].name;
	bool is_last = i + 1 == p->n;

	if (begins(t, "{async_fn"))
		return true;
	if (!is_plain_closure(t) || (i && is_body_word(p->v[i - 1].name)) || (is_last && kind != TASK_FUTURE))
		return false;
	return begins(t, "{{closure}}") || text_is(t, "{closure#0}");
}

static void print_bodies(const struct path *p, u32 first, enum task_kind kind, struct name_out *o)
{
	for (u32 i = first; i < p->n; i++) {
		struct task_text t = p->v[i].name;

		if (is_fn_body(p, i, kind))
			continue;
		out_puts(o, "::");
		if (i + 1 < p->n || !is_plain_closure(t))
			print_body(t, o);
		else
			out_puts(o, kind == TASK_FUTURE ? "{async block}" : "{closure}");
	}
}

void task_name_print(struct task_text type, enum task_kind kind, char *buf, size_t n)
{
	struct name_out o = {.buf = buf, .cap = n - 1};
	struct path p = {.n = 0};
	u32 i = 0;

	if (!print_other(type, &o, 0)) {
		split_path(type, &p, 0);
		for (; i < p.n && !is_body_word(p.v[i].name); i++) {
			if (i)
				out_puts(&o, "::");
			out_text(&o, p.v[i].name);
			print_args(p.v[i].args, &o, 0);
		}
		print_bodies(&p, i, kind, &o);
	}
	(void)name_out_end(&o);
}
