/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_find.c: see task_find.h.
 *
 *	poll, dealloc -> functions that they call, through Tokio's own and wrappers' (task_name_is_way) -> types in the names of these, bodies of futures
 *
 * One function may serve several types: the linker merged theirs. How many is the number of different polls that reach it among the vtables of one scheduler
 * (one type has a poll for each scheduler). When it has fewer names than that, names were lost, and none of those it has is sure.
 *
 * Types are numbered as they are met; a set of them is a bit mask. All names of one address make one set: the type is one of them, unless the linker dropped
 * the right name.
 */
#include "report/task_find.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/demangle.h"
#include "base/u64map.h"

#define TYPES_MAX   64 /* bits of a set */
#define BODIES_MAX  16
#define SHARED_MAX  16
#define RIVALS_MAX  64 /* other vtables of a shared function that are looked at */
#define CENSUS_MAX  16384
#define VISIT_MAX   192 /* functions looked at for one vtable function */
#define CALLEES_MAX 64	/* of one function */
#define NAMES_MAX   64	/* of one address */
#define DEPTH_MAX   4

enum side { SIDE_POLL, SIDE_DEALLOC, SIDES };

struct visit {
	u32 func, depth;
};

/* Functions reached from one of a vtable, nearest first. */
struct visits {
	struct visit v[VISIT_MAX];
	u32 n;
};

/* What the names of a function make of it. */
enum { LOOK_TYPES = 1, LOOK_BODY = 2, LOOK_WAY = 4, LOOK_KNOWN = 8 };

/* A vtable's poll or dealloc leads to this function. */
struct use {
	u64 func, schedule, poll;
};

struct task_census {
	const struct task_code *c;
	struct u64map looks; /* of poll's side: function -> LOOK_* */
	struct use *uses;    /* sorted */
	size_t n_uses, cap_uses;
};

/* ---- walking ---- */

/* Names of Rust's own demangler have "->" as ".>" in legacy names. */
static char *readable(const char *linker)
{
	char *name = demangle_name(linker);

	for (char *p = name ? strstr(name, ".>") : NULL; p; p = strstr(p, ".>"))
		*p = '-';
	return name;
}

static u32 look_of_name(const char *name)
{
	struct task_text t;

	if (task_name_of_drop(name, &t) || (strncmp(name, "poll<", 5) && task_name_of_generic(name, &t)))
		return LOOK_TYPES;
	return (task_name_of_body(name, &t) ? LOOK_BODY : 0) | (task_name_is_way(name) ? LOOK_WAY : 0);
}

/* LOOK_* of all names of a function, or -ENOMEM. */
static int look_at(const struct task_code *c, u32 func)
{
	u32 n = task_code_names(c, func);
	int ret = LOOK_KNOWN;

	for (u32 i = 0; i < n && i < NAMES_MAX; i++) {
		char *name = readable(c->funcs[func + i].name);

		if (!name)
			return -ENOMEM;
		ret |= (int)look_of_name(name);
		free(name);
	}
	return ret;
}

static void add_callees(const struct task_code *c, struct visits *v, u32 i)
{
	const struct task_code_func *func = &c->funcs[v->v[i].func];
	u32 callees[CALLEES_MAX];
	u32 n = task_code_callees(c, func->addr, func->end, callees, CALLEES_MAX);

	for (u32 k = 0; k < n && v->n < VISIT_MAX; k++) {
		u32 at = 0;

		while (at < v->n && v->v[at].func != callees[k])
			at++;
		if (at == v->n)
			v->v[v->n++] = (struct visit){callees[k], v->v[i].depth + 1};
	}
}

/* Is what this function calls still to be looked at? */
static bool goes_on(enum side side, u32 depth, u32 look)
{
	if (look & LOOK_TYPES || depth >= DEPTH_MAX)
		return false;
	return !depth || (look & LOOK_WAY && (side == SIDE_DEALLOC || !(look & LOOK_BODY)));
}

typedef int (*visit_fn)(void *ctx, const struct visit *v, u32 look);

/* Calls fn for all that is reached from a function of the vtable until it returns other than 0, which is returned. looks may be NULL. */
static int walk(const struct task_code *c, struct u64map *looks, enum side side, u64 addr, visit_fn fn, void *ctx)
{
	u32 func = addr ? task_code_at(c, addr) : c->n_funcs;
	struct visits v = {.n = 0};
	int err = 0;

	if (func == c->n_funcs)
		return 0;
	v.v[v.n++] = (struct visit){func, 0};
	for (u32 i = 0; i < v.n && !err; i++) {
		struct visit at = v.v[i];
		u64 known = 0;
		int look;

		if (!looks || !u64map_get(looks, at.func, &known)) {
			look = look_at(c, at.func);
			if (look < 0)
				return look;
			known = (u64)look;
			if (looks && u64map_put(looks, at.func, known))
				return -ENOMEM;
		}
		err = fn(ctx, &at, (u32)known);
		if (!err && goes_on(side, at.depth, (u32)known))
			add_callees(c, &v, i);
	}
	return err;
}

/* ---- census ---- */

struct counting {
	struct task_census *t;
	const struct task_vtable *vtable;
};

static int count_use(void *ctx, const struct visit *v, u32 look)
{
	const struct counting *n = ctx;
	struct task_census *t = n->t;

	/* poll and dealloc themselves, too: whose names have no types may still serve several */
	if (!(look & LOOK_TYPES) && v->depth)
		return 0;
	if (ARRAY_ROOM_RAW(t->uses, t->n_uses, &t->cap_uses) < 0)
		return -ENOMEM;
	t->uses[t->n_uses++] = (struct use){v->func, n->vtable->schedule, n->vtable->poll};
	return 0;
}

static int compare_uses(const void *pa, const void *pb)
{
	const struct use *a = pa, *b = pb;
	int by = compare_u64(a->func, b->func);

	if (!by)
		by = compare_u64(a->schedule, b->schedule);
	return by ? by : compare_u64(a->poll, b->poll);
}

static int compare_vtables(const void *pa, const void *pb)
{
	const struct task_vtable *a = pa, *b = pb;
	int by = compare_u64(a->poll, b->poll);

	if (!by)
		by = compare_u64(a->schedule, b->schedule);
	return by ? by : compare_u64(a->dealloc, b->dealloc);
}

struct task_census *task_census_free(struct task_census *t)
{
	if (t) {
		u64map_release(&t->looks);
		free(t->uses);
	}
	free(t);
	return NULL;
}

int task_census_new(const struct task_code *c, struct task_vtable *v, u32 n, struct task_census **ret)
{
	struct task_census *t = calloc(1, sizeof(*t));
	int err = t ? 0 : -ENOMEM;

	if (t)
		t->c = c;
	if (n)
		qsort(v, n, sizeof(*v), compare_vtables);
	for (u32 i = 0; i < n && i < CENSUS_MAX && !err; i++) {
		struct counting ctx = {t, &v[i]};

		if (i && !compare_vtables(&v[i], &v[i - 1]))
			continue;
		err = walk(c, &t->looks, SIDE_POLL, v[i].poll, count_use, &ctx);
		if (!err)
			err = walk(c, &t->looks, SIDE_DEALLOC, v[i].dealloc, count_use, &ctx);
	}
	if (err) {
		(void)task_census_free(t);
		return err;
	}
	if (t->n_uses)
		qsort(t->uses, t->n_uses, sizeof(*t->uses), compare_uses);
	*ret = t;
	return 0;
}

/* The first use of a function. */
static size_t uses_of(const struct task_census *t, u32 func)
{
	size_t lo = 0, hi = t ? t->n_uses : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->uses[mid].func < func)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* How many types a function serves at least: the most different polls of one scheduler. */
static u32 count_types(const struct task_census *t, u32 func)
{
	size_t lo = uses_of(t, func);
	u32 n = 0, most = 0;

	for (size_t i = lo; t && i < t->n_uses && t->uses[i].func == func; i++) {
		const struct use *a = &t->uses[i], *b = i > lo ? a - 1 : NULL;

		if (!b || a->schedule != b->schedule)
			n = 1;
		else if (a->poll != b->poll)
			n++;
		most = most > n ? most : n;
	}
	return most;
}

struct finder {
	const struct task_code *c;
	const struct task_query *q;
	char *types[TYPES_MAX]; /* T as it is spelled; owned */
	char *keys[TYPES_MAX];	/* of the peeled type; owned */
	u32 n_types;
	char *bodies[BODIES_MAX]; /* functions that poll calls; owned */
	char *body_keys[BODIES_MAX];
	u32 n_bodies;
	u64 typed;		/* by the names of poll or dealloc in the debug info */
	u64 sure;		/* the type is one of these: what all functions with all their names allow; 0 not known */
	u64 seen;		/* all types met */
	u64 claimed;		/* types that the body of another vtable of the same functions is of, too */
	u32 shared[SHARED_MAX]; /* functions that serve several types */
	u32 n_shared;
	bool differ; /* two functions with all their names allow nothing in common */
	bool is_v0, has_blocking, has_worker;
	enum side side; /* where walk() is */
};

static void finder_release(struct finder *f)
{
	for (u32 i = 0; i < f->n_types; i++) {
		free(f->types[i]);
		free(f->keys[i]);
	}
	for (u32 i = 0; i < f->n_bodies; i++) {
		free(f->bodies[i]);
		free(f->body_keys[i]);
	}
}

static char *copy_text(struct task_text t)
{
	return strndup(t.s, t.n);
}

static char *key_of(struct task_text t)
{
	char key[TASK_NAME_MAX];

	task_name_key(t, key, sizeof(key));
	return strdup(key);
}

/* Its bit; 0 there are too many. */
static int put_type(struct finder *f, struct task_text t, u64 *set)
{
	enum task_kind kind;
	u32 i;

	for (i = 0; i < f->n_types; i++)
		if (strlen(f->types[i]) == t.n && !memcmp(f->types[i], t.s, t.n))
			break;
	if (i == f->n_types) {
		if (i == TYPES_MAX)
			return 0;
		f->types[i] = copy_text(t);
		f->keys[i] = key_of(task_name_peel(t, &kind));
		f->n_types++;
		if (!f->types[i] || !f->keys[i])
			return -ENOMEM;
	}
	*set |= 1ULL << i;
	return 0;
}

static int put_body(struct finder *f, struct task_text t)
{
	char *key = key_of(t);
	u32 i;

	if (!key)
		return -ENOMEM;
	for (i = 0; i < f->n_bodies && strcmp(f->body_keys[i], key); i++)
		;
	if (i < f->n_bodies || i == BODIES_MAX) {
		free(key);
		return 0;
	}
	f->bodies[i] = copy_text(t);
	f->body_keys[i] = key;
	f->n_bodies++;
	return f->bodies[i] ? 0 : -ENOMEM;
}

/* ---- looking at functions ---- */

static int take_name(struct finder *f, const char *name, u64 *set)
{
	struct task_text t;

	if (strstr(name, "blocking::task::BlockingTask"))
		f->has_blocking = true;
	if (f->side == SIDE_POLL && !strcmp(name, "tokio::runtime::scheduler::multi_thread::worker::run"))
		f->has_worker = true;
	if (task_name_of_drop(name, &t) || (strncmp(name, "poll<", 5) && task_name_of_generic(name, &t)))
		return put_type(f, t, set);
	if (f->side == SIDE_POLL && task_name_of_body(name, &t))
		return put_body(f, t);
	return 0;
}

/* What a function allows whose names have types: one of these, when it has names for all that it serves. */
static void take_set(struct finder *f, u32 func, u64 set)
{
	u32 n = count_types(f->q->census, func);

	f->seen |= set;
	if (n > 1 && f->n_shared < SHARED_MAX)
		f->shared[f->n_shared++] = func;
	if (n > (u32)__builtin_popcountll(set))
		return;
	if (!f->sure)
		f->sure = set;
	else if (f->sure & set)
		f->sure &= set;
	else
		f->differ = true;
}

static int take_function(void *ctx, const struct visit *v, u32 look)
{
	struct finder *f = ctx;
	u32 n = task_code_names(f->c, v->func);
	u64 set = 0;
	int err = 0;

	(void)look;
	for (u32 i = 0; i < n && i < NAMES_MAX && !err; i++) {
		char *name = readable(f->c->funcs[v->func + i].name);

		err = name ? take_name(f, name, &set) : -ENOMEM;
		free(name);
	}
	if (set)
		take_set(f, v->func, set);
	if (set && !v->depth && f->side == SIDE_POLL)
		f->is_v0 = true;
	return err;
}

/* ---- deciding ---- */

static bool is_body_of(const struct finder *f, u32 type)
{
	for (u32 i = 0; i < f->n_bodies; i++)
		if (!strcmp(f->keys[type], f->body_keys[i]))
			return true;
	return false;
}

static u64 with_body(const struct finder *f, u64 set)
{
	u64 ret = 0;

	for (u32 i = 0; i < f->n_types; i++)
		if (set >> i & 1 && is_body_of(f, i))
			ret |= 1ULL << i;
	return ret;
}

/* ---- others that share its functions ---- */

struct rival {
	struct finder *f;
	u64 set; /* types whose bodies it calls */
};

static int take_rival_body(void *ctx, const struct visit *v, u32 look)
{
	struct rival *r = ctx;
	u32 n = look & LOOK_BODY ? task_code_names(r->f->c, v->func) : 0;

	for (u32 i = 0; i < n && i < NAMES_MAX; i++) {
		_cleanup_free_ char *name = readable(r->f->c->funcs[v->func + i].name);
		char key[TASK_NAME_MAX];
		struct task_text t;

		if (!name)
			return -ENOMEM;
		if (!task_name_of_body(name, &t))
			continue;
		task_name_key(t, key, sizeof(key));
		for (u32 k = 0; k < r->f->n_types; k++)
			if (!strcmp(r->f->keys[k], key))
				r->set |= 1ULL << k;
	}
	return 0;
}

/* Of one scheduler: a type's vtables for others are no rivals. */
static bool is_rival(const struct finder *f, size_t first, const struct use *u)
{
	const struct task_census *t = f->q->census;

	if (u->poll == f->q->poll)
		return false;
	for (size_t i = first; i < t->n_uses && t->uses[i].func == u->func; i++)
		if (t->uses[i].poll == f->q->poll && t->uses[i].schedule == u->schedule)
			return true;
	return false;
}

/*
 * Two vtables that share a function are of two types; when both call one body, that body's name tells neither: of generic functions they have no type
 * arguments, and a body that is merged into its poll leaves those that it calls itself.
 */
static int find_claims(struct finder *f)
{
	const struct task_census *t = f->q->census;
	int err = 0;

	for (u32 i = 0; i < f->n_shared && !err; i++) {
		size_t first = uses_of(t, f->shared[i]);
		u32 n = 0;

		for (size_t k = first; k < t->n_uses && t->uses[k].func == f->shared[i] && n < RIVALS_MAX && !err; k++) {
			struct rival r = {.f = f};

			if (!is_rival(f, first, &t->uses[k]))
				continue;
			n++;
			err = walk(f->c, NULL, SIDE_POLL, t->uses[k].poll, take_rival_body, &r);
			f->claimed |= r.set;
		}
	}
	return err;
}

/* The type is one of those returned; *ret_open: or another. 0: nothing is known. */
static u64 decide(const struct finder *f, bool *ret_open)
{
	u64 sure = f->differ ? 0 : f->sure, all = sure ? sure : f->seen, bodied = with_body(f, all);
	bool is_told = bodied && (!(bodied & f->claimed) || (sure && !(sure & (sure - 1))));

	*ret_open = !sure && !is_told;
	if (is_told)
		return bodied;
	/* what is a rival's by its body is not this one's, unless it may be both's */
	return sure ? sure : all & ~(f->claimed & ~bodied);
}

/* ---- the answer ---- */

struct names {
	struct task_answer *ret;
	u32 n;
	size_t len;
};

static void put_more(struct names *out)
{
	if (out->n < UINT32_MAX)
		memcpy(out->ret->name + out->len, " | ...", 7);
	out->n = UINT32_MAX;
}

static void add_name(struct names *out, struct task_text type, enum task_kind kind)
{
	char name[TASK_NAME_MAX];
	const char *at = out->ret->name;
	size_t n;

	task_name_print(type, kind, name, sizeof(name));
	n = strlen(name);
	for (; n && *at; at = at[strcspn(at, "|")] ? at + strcspn(at, "|") + 2 : "")
		if (!strncmp(at, name, n) && (!at[n] || !strncmp(at + n, " | ", 3)))
			return;
	if (!n)
		return;
	if (out->n >= TASK_CANDIDATES_MAX || out->len + n + 3 + 6 >= sizeof(out->ret->name)) {
		put_more(out);
		return;
	}
	if (out->n++) {
		memcpy(out->ret->name + out->len, " | ", 3);
		out->len += 3;
	}
	memcpy(out->ret->name + out->len, name, n + 1);
	out->len += n;
}

static void answer_types(const struct finder *f, u64 set, struct names *out)
{
	bool is_first = true;

	for (u32 i = 0; i < f->n_types; i++) {
		struct task_text t = {f->types[i], strlen(f->types[i])};
		enum task_kind kind;

		if (!(set >> i & 1))
			continue;
		t = task_name_peel(t, &kind);
		add_name(out, t, kind);
		if (is_first)
			out->ret->kind = kind;
		is_first = false;
	}
}

static void answer(const struct finder *f, u64 set, bool is_open, enum task_how how, struct task_answer *ret)
{
	struct names out = {.ret = ret};

	ret->kind = f->has_worker ? TASK_WORKER : f->has_blocking ? TASK_BLOCKING : TASK_FUTURE;
	if (set)
		answer_types(f, set, &out);
	for (u32 i = 0; i < f->n_bodies && !set; i++)
		add_name(&out, (struct task_text){f->bodies[i], strlen(f->bodies[i])}, ret->kind);
	if (out.n && is_open)
		put_more(&out);
	if (out.n)
		ret->how = out.n > 1 ? TASK_CANDIDATES : how;
}

static int take_typed(struct finder *f, const char *name)
{
	struct task_text t;

	return name && !f->typed && task_name_of_generic(name, &t) ? put_type(f, t, &f->typed) : 0;
}

/* Merged functions keep the debug info of one of those that they stand for. */
static bool serves_several(const struct finder *f, u64 addr)
{
	u32 func = addr ? task_code_at(f->c, addr) : f->c->n_funcs;

	return func < f->c->n_funcs && count_types(f->q->census, func) > 1;
}

/* The only type of a set; n_types: there is none, or several. */
static u32 only_type(const struct finder *f, u64 set)
{
	return set && !(set & (set - 1)) ? (u32)__builtin_ctzll(set) : f->n_types;
}

/*
 * Debug info calls what is in an impl block {impl#0}; the linker's names have the type. Which they say is taken when it is the same but for that.
 */
static u64 with_impl_named(const struct finder *f, u64 typed, u64 by_symbols)
{
	u32 a = only_type(f, typed), b = only_type(f, by_symbols);
	const char *impl = a < f->n_types ? strstr(f->keys[a], "{impl#") : NULL, *tail = impl ? strchr(impl, '}') : NULL;
	size_t n = tail ? strlen(tail + 1) : 0, n_b = b < f->n_types ? strlen(f->keys[b]) : 0;

	return n && n_b > n && !strcmp(f->keys[b] + n_b - n, tail + 1) ? by_symbols : typed;
}

/* Debug info calls a function that is spawned by its signature; symbols may have its name, too. Those of a set that may be meant. */
static u64 plain_functions(const struct finder *f, u64 typed, u64 set)
{
	u32 a = only_type(f, typed);
	u64 ret = 0;

	if (a == f->n_types || strncmp(f->keys[a], "fn(", 3))
		return 0;
	for (u32 i = 0; i < f->n_types; i++) {
		size_t n = strlen(f->keys[i]);

		if (set >> i & 1 && (n < 2 || strcmp(f->keys[i] + n - 2, "{}")))
			ret |= 1ULL << i;
	}
	return ret;
}

int task_find(const struct task_code *c, const struct task_query *q, struct task_answer *ret)
{
	_cleanup_(finder_release) struct finder f = {.c = c, .q = q, .side = SIDE_POLL};
	int err = walk(c, NULL, SIDE_POLL, q->poll, take_function, &f);
	bool is_open;
	u64 set, plain;

	*ret = (struct task_answer){0};
	f.side = SIDE_DEALLOC;
	if (!err)
		err = walk(c, NULL, SIDE_DEALLOC, q->dealloc, take_function, &f);
	if (!err)
		err = find_claims(&f);
	set = decide(&f, &is_open);
	if (!err)
		err = take_typed(&f, q->typed_poll);
	if (!err && !serves_several(&f, q->dealloc))
		err = take_typed(&f, q->typed_dealloc);
	if (err)
		return err;
	plain = plain_functions(&f, f.typed, set);
	if (plain)
		answer(&f, plain, is_open, TASK_BY_SYMBOLS, ret);
	else if (f.typed)
		answer(&f, is_open ? f.typed : with_impl_named(&f, f.typed, set), false, TASK_BY_DWARF, ret);
	else
		answer(&f, set, is_open, f.is_v0 ? TASK_BY_V0 : TASK_BY_SYMBOLS, ret);
	return 0;
}
