/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tokio_points.c: see tokio_points.h. Names are compared in mangled form: a program has half a million of them, and the recorder waits.
 */
#include "record/tokio_points.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "record/code_shape.h"
#include "record/elf_symbol.h"
#include "record/usdt.h"

enum { CODE_PIECE = 1 << 18 /* bytes of code that are read at once */ };

/*
 * Legacy: the path up to "17h" and the hash, which a ".llvm.N" may follow. v0: the path within the crate that holds the function, then for a method the type and
 * its name; what follows are generic arguments or the crate that instantiated it.
 *
 * tokio/src of 1.20.6 - 1.54.1: task/spawn.rs, task/local.rs, task/blocking.rs, task/join_set.rs, runtime/blocking/pool.rs, runtime/task/{raw,list,harness}.rs.
 */
struct name_rule {
	enum probe_group group;
	const char *legacy;
	const char *v0;
	const char *v0_method; /* NULL: a function of the module */
};

static const struct name_rule name_rules[] = {
	{PROBE_SPAWN, "_ZN5tokio4task5spawn5spawn", "4task5spawn5spawn", NULL},
	{PROBE_SPAWN, "_ZN5tokio4task5spawn11spawn_inner", "4task5spawn11spawn_inner", NULL},
	{PROBE_SPAWN, "_ZN5tokio4task5local11spawn_local", "4task5local11spawn_local", NULL},
	{PROBE_SPAWN, "_ZN5tokio4task5local8LocalSet11spawn_local", "4task5local", "8LocalSet11spawn_local"},
	{PROBE_SPAWN, "_ZN5tokio7runtime8blocking4pool14spawn_blocking", "7runtime8blocking4pool14spawn_blocking", NULL},
	{PROBE_SPAWN, "_ZN5tokio7runtime8blocking4pool7Spawner14spawn_blocking", "7runtime8blocking4pool",
	 "7Spawner14spawn_blocking"},
	{PROBE_BIND, "_ZN5tokio7runtime4task4list19OwnedTasks$LT$S$GT$10bind_inner", "7runtime4task4list", "10bind_inner"},
	{PROBE_BLOCKING, "_ZN5tokio7runtime8blocking4pool7Spawner10spawn_task", "7runtime8blocking4pool", "7Spawner10spawn_task"},
	{PROBE_BLOCKING, "_ZN5tokio7runtime8blocking4pool7Spawner5spawn", "7runtime8blocking4pool",
	 "7Spawner5spawn"}, /* before 1.22 */
	{PROBE_COMPLETE, "_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$8complete", "7runtime4task7harness", "8complete"},
	{PROBE_DEALLOC, "_ZN5tokio7runtime4task3raw7dealloc", "7runtime4task3raw7dealloc", NULL},
	{PROBE_POLL, "_ZN5tokio7runtime4task3raw4poll", "7runtime4task3raw4poll", NULL},
	{PROBE_SCHEDULE, "_ZN5tokio7runtime4task3raw8schedule", "7runtime4task3raw8schedule", NULL},
};

/* ---- names ---- */

#define BASE62 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* "Cs1234abcd_5tokio" at p: what follows the crate's name; NULL it is another crate. RFC 2603, <crate-root>. */
static const char *behind_crate(const char *p)
{
	if (*p++ != 'C')
		return NULL;
	if (*p == 's') {
		p += 1 + strspn(p + 1, BASE62);
		if (*p++ != '_')
			return NULL;
	}
	return strncmp(p, "5tokio", 6) ? NULL : p + 6;
}

/* Behind "N" and its namespace, as often as they come. */
static const char *behind_namespaces(const char *p)
{
	while (p[0] == 'N' && (p[1] == 't' || p[1] == 'v'))
		p += 2;
	return p;
}

/* "_RINvNtNtCs1_5tokio7runtime..." and so on: the path of a function of a module, whose generic arguments may follow. */
static bool is_v0_function(const char *name, const char *path)
{
	const char *p = behind_namespaces(name + (name[2] == 'I' ? 3 : 2));

	p = behind_crate(p);
	return p && !strncmp(p, path, strlen(path)) && (!p[strlen(path)] || !strchr("0123456789_", p[strlen(path)]));
}

/*
 * "_RNvMs_NtNtNtCs1_5tokio7runtime4task7harness" "INtB4_7Harness" types "E" "8complete" [crate that instantiated it]: nothing but that follows a method without
 * generic arguments. One with them begins with "_RI". A type without arguments has no "E", and belongs to the pattern.
 */
static bool is_v0_method(const char *name, const char *path, const char *method)
{
	bool is_generic = name[2] == 'I';
	const char *p = name + 2 + is_generic, *at = NULL;
	size_t n = strlen(method);

	if (strncmp(p, "NvM", 3) != 0)
		return false;
	p += 3;
	if (*p == 's') {
		p += 1 + strspn(p + 1, BASE62);
		if (*p++ != '_')
			return false;
	}
	p = behind_crate(behind_namespaces(p));
	if (!p || strncmp(p, path, strlen(path)) != 0)
		return false;
	p += strlen(path);
	for (const char *q = p; (q = strstr(q, method)) && !(is_generic && at); q += n)
		at = q;
	if (!at || at == p || (at[-1] != 'E' && at[-1] != '_'))
		return false;
	return is_generic || !at[n] || strchr("CB.", at[n]);
}

static bool is_v0(const char *name, const struct name_rule *r)
{
	return r->v0_method ? is_v0_method(name, r->v0, r->v0_method) : is_v0_function(name, r->v0);
}

static bool is_legacy(const char *name, const struct name_rule *r)
{
	size_t n = strlen(r->legacy);

	return !strncmp(name, r->legacy, n) && !strncmp(name + n, "17h", 3);
}

/* NULL: none of those that are looked for. */
static const struct name_rule *rule_of(const char *name)
{
	bool legacy = !strncmp(name, "_ZN5tokio", 9);

	if (!legacy && (strncmp(name, "_R", 2) != 0 || !strstr(name, "5tokio")))
		return NULL;
	for (u32 i = 0; i < ARRAY_SIZE(name_rules); i++)
		if (legacy ? is_legacy(name, &name_rules[i]) : is_v0(name, &name_rules[i]))
			return &name_rules[i];
	return NULL;
}

/* ---- places ---- */

static int put(const struct elf_view *v, struct tokio_group *g, u64 addr)
{
	u64 off;

	if (g->n == TOKIO_MAX_PLACES || elf_file_offset(v, addr, &off) < 0)
		return 0;
	if (ARRAY_ROOM(g->offsets, g->n, &g->cap) < 0)
		return -ENOMEM;
	g->offsets[g->n++] = off;
	return 0;
}

static int put_symbols(const struct elf_view *v, const struct elf_functions *f, struct tokio_points *ret)
{
	int err = 0;

	for (size_t i = 0; i < f->n && !err; i++) {
		const struct name_rule *r = rule_of(f->rows[i].name);

		if (r)
			err = put(v, &ret->group[r->group], f->rows[i].addr);
	}
	return err;
}

static int put_shapes(const struct elf_view *v, struct tokio_points *ret)
{
	int err = 0;

	for (u32 i = 0; i < ret->vtables.n && !err; i++) {
		const struct tokio_vtable *t = &ret->vtables.rows[i];

		err = put(v, &ret->group[PROBE_POLL], t->poll);
		if (!err)
			err = put(v, &ret->group[PROBE_SCHEDULE], t->schedule);
		if (!err)
			err = put(v, &ret->group[PROBE_DEALLOC], t->dealloc);
	}
	return err;
}

/* What of the code's bytes at p, which begin at the start of a function, belongs to it. */
static size_t function_size(const struct function_starts *starts, size_t i, size_t n)
{
	if (i + 1 < starts->n)
		n = (size_t)min_u64(n, starts->at[i + 1] - starts->at[i]);
	return (size_t)min_u64(n, CODE_SHAPE_BYTES);
}

/* A function begins at code. */
static int put_code_shape(const struct elf_view *v, struct tokio_points *ret, u64 addr, const u8 *code, size_t n)
{
	int err = 0;

	if (code_shape_is_complete(code, n))
		err = put(v, &ret->group[PROBE_COMPLETE], addr);
	else if (code_shape_is_bind(code, n))
		err = put(v, &ret->group[PROBE_BIND], addr);
	return err;
}

/* Every function of the file, once: starts are sorted, and so are read ahead by the piece. */
static int put_code_shapes(const struct elf_view *v, const struct function_starts *starts, struct tokio_points *ret)
{
	_cleanup_free_ u8 *piece = NULL;
	u64 begin = 0;
	size_t have = 0;
	int err = 0;

	for (size_t i = 0; i < starts->n && !err; i++) {
		u64 addr = starts->at[i], want = function_size(starts, i, CODE_SHAPE_BYTES);

		if (!piece || addr - begin > have || have - (addr - begin) < want) {
			free(TAKE_PTR(piece));
			begin = addr;
			err = elf_view_copy(v, addr, CODE_PIECE, &piece, &have);
			if (err || !piece)
				continue;
		}
		err = put_code_shape(v, ret, addr, piece + (addr - begin),
				     function_size(starts, i, have - (size_t)(addr - begin)));
	}
	if (!err)
		ret->by_shape = (ret->group[PROBE_BIND].n ? 1U << PROBE_BIND : 0) |
				(ret->group[PROBE_COMPLETE].n ? 1U << PROBE_COMPLETE : 0);
	return err;
}

/* ---- probes that the program was built with ---- */

struct usdt_put {
	const struct elf_view *v;
	struct tokio_points *points;
};

/* A place is believed only if a nop is there, of one byte or of five: anything else may be the middle of an instruction. */
static bool is_nop(const struct elf_view *v, u64 addr)
{
	static const u8 long_nop[] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	_cleanup_free_ u8 *p = NULL;
	size_t n;

	if (elf_view_copy(v, addr, sizeof(long_nop), &p, &n) < 0 || !n)
		return false;
	return p[0] == 0x90 || (n == sizeof(long_nop) && !memcmp(p, long_nop, n));
}

/*
 * Tokio's own (proposed in tokio-rs/tokio #7717, in no release) and tokio-dtrace's carry task ids, and none the task's Header, from which the programs read type,
 * id and runtime: the end of a poll is all that they replace. There it saves finding out where polls return to. One with a semaphore is not reached unwatched.
 */
static int put_usdt(void *ctx, const struct usdt_probe *p)
{
	static const char *const ends[] = {"task-poll-end", "task__poll__end", "poll-end", "poll__end"};
	struct usdt_put *u = ctx;

	if (strcmp(p->provider, "tokio") != 0)
		return 0;
	u->points->has_usdt = true;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++)
		if (!strcmp(p->name, ends[i]) && !p->semaphore && is_nop(u->v, p->addr))
			return put(u->v, &u->points->group[PROBE_POLL_END], p->addr);
	return 0;
}

/* ---- reasons ---- */

/* 1.54.1 -> 54; 0 unknown. */
static u32 minor_of(const struct tokio_elf *e)
{
	u32 minor = 0;

	if (strncmp(e->version, "1.", 2) != 0)
		return 0;
	for (const char *p = e->version + 2; *p >= '0' && *p <= '9' && minor < 1000; p++)
		minor = minor * 10 + (u32)(*p - '0');
	return minor;
}

static const char *why_none(enum probe_group g, const struct tokio_elf *e, const struct tokio_points *p)
{
	u32 minor = minor_of(e);
	bool stripped = p->from != TOKIO_POINTS_SYMBOLS;

	if (g == PROBE_SCHEDULE && minor && minor < 23)
		return "before Tokio 1.23 there is no such function";
	if (stripped && minor && minor < 23)
		return "the file is stripped, and before Tokio 1.23 its tables of functions have nothing to be known by";
	if (stripped && (g == PROBE_SPAWN || g == PROBE_BLOCKING))
		return "the file is stripped, and only symbols tell where this function is";
	if (stripped && g == PROBE_BIND && minor && minor < 35)
		return "the file is stripped, and before Tokio 1.35 only symbols tell where this function is";
	if (stripped && (g == PROBE_BIND || g == PROBE_COMPLETE) && p->vtables.n)
		return "the file is stripped, and no function in it looks like this one";
	if (stripped)
		return "the file is stripped, and nothing in it looks like a task's table of functions";
	if (g == PROBE_SPAWN)
		return "the compiler has put these functions into their callers (link-time optimization)";
	if (g == PROBE_BIND && minor && minor < 32)
		return "before Tokio 1.32 no function that is called once per task is given the new task";
	return "there is no such function: this program does not use it, or the compiler has put it into its callers";
}

/* tokio/src/runtime/task/core.rs. A version that is not known is of 1.23 or later if its vtables look like it. */
static struct probe_task task_of(const struct tokio_elf *e, const struct tokio_points *p)
{
	u32 minor = minor_of(e);

	return (struct probe_task){.off_vtable = minor && minor < 21 ? 32 : 16,
				   .has_ids = minor ? minor >= 23 : p->vtables.n > 0};
}

static void give_reasons(const struct tokio_elf *e, struct tokio_points *p)
{
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (!p->group[g].n && g != PROBE_POLL_END)
			p->group[g].missing = why_none((enum probe_group)g, e, p);
	if (!p->group[PROBE_POLL].n && !p->group[PROBE_POLL_END].n)
		p->group[PROBE_POLL_END].missing = p->group[PROBE_POLL].missing;
}

/* ---- reading ---- */

static int starts_of(const struct elf_functions *f, struct function_starts *ret)
{
	ret->at = reallocarray(NULL, f->n + f->n_fdes + 1, sizeof(*ret->at));
	if (!ret->at)
		return -ENOMEM;
	for (size_t i = 0; i < f->n; i++)
		ret->at[ret->n++] = f->rows[i].addr;
	for (size_t i = 0; i < f->n_fdes; i++)
		ret->at[ret->n++] = f->fdes[i];
	ret->n = array_u64_unique(ret->at, ret->n);
	return 0;
}

static int read_places(const struct elf_view *v, const struct tokio_elf *e, const struct elf_functions *f,
		       struct function_starts *starts, struct tokio_points *ret)
{
	int err = put_symbols(v, f, ret);

	if (!err)
		err = starts_of(f, starts);
	if (!err)
		err = vtable_scan(v, starts, &ret->vtables);
	if (err)
		return err;
	/* dynamic symbols alone are those of a library's interface: its tasks' functions are not among them */
	if (ret->group[PROBE_POLL].n) {
		ret->from = TOKIO_POINTS_SYMBOLS;
	} else if (ret->vtables.n) {
		ret->from = TOKIO_POINTS_SHAPES;
		err = put_shapes(v, ret);
		if (!err)
			err = put_code_shapes(v, starts, ret);
	}
	if (!err)
		err = usdt_each(v, put_usdt, &(struct usdt_put){.v = v, .points = ret});
	if (ret->group[PROBE_POLL_END].n)
		ret->from_usdt |= 1U << PROBE_POLL_END;
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		ret->group[g].n = (u32)array_u64_unique(ret->group[g].offsets, ret->group[g].n);
	ret->task = task_of(e, ret);
	give_reasons(e, ret);
	return err;
}

int tokio_points_read(const struct elf_view *v, const struct tokio_elf *e, struct tokio_points *ret)
{
	struct function_starts starts = {0};
	struct elf_functions f = {0};
	int err;

	*ret = (struct tokio_points){0};
	err = elf_functions_read(v, &f);
	if (!err)
		err = read_places(v, e, &f, &starts, ret);
	free(starts.at);
	elf_functions_release(&f);
	return err;
}

void tokio_points_release(struct tokio_points *p)
{
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		free(p->group[g].offsets);
	free(p->vtables.rows);
	*p = (struct tokio_points){0};
}
