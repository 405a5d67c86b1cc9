/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_stack.c: see load_stack.h. */
#include "report/load_stack.h"

#include <errno.h>
#include <string.h>

static int compare_mappings(const void *a, const void *b)
{
	const struct fmt_mapping *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return memcmp(x, y, sizeof(*x));
}

static int index_mappings(struct stack_store *st)
{
	struct load_dict *d = st->d;
	size_t n = 0;

	if (!d->n_mappings)
		return 0;
	qsort(d->mappings, d->n_mappings, sizeof(*d->mappings), compare_mappings);
	for (size_t i = 0; i < d->n_mappings; i++) /* checkpoints repeat them */
		if (!n || memcmp(&d->mappings[n - 1], &d->mappings[i], sizeof(*d->mappings)) != 0)
			d->mappings[n++] = d->mappings[i];
	d->n_mappings = n;
	st->max_end = calloc(n, sizeof(*st->max_end));
	if (!st->max_end)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		bool is_first = !i || d->mappings[i].process != d->mappings[i - 1].process;

		if (is_first && u64map_put(&st->first_of, d->mappings[i].process, i) < 0)
			return -ENOMEM;
		st->max_end[i] = is_first ? d->mappings[i].end : max_u64(st->max_end[i - 1], d->mappings[i].end);
	}
	return 0;
}

int stack_store_init(struct stack_store *st, struct load_dict *d, sqlite3 *db, u64 kernel_module_id)
{
	int err;

	*st = (struct stack_store){.d = d, .db = db, .kernel_module_id = kernel_module_id, .next_frame_id = 1};
	st->n_frame_maps = d->modules.n + 2;
	st->frames = calloc(st->n_frame_maps, sizeof(*st->frames));
	if (!st->frames)
		return -ENOMEM;
	err = index_mappings(st);
	if (!err)
		err = db_prepare(db, "INSERT INTO stack VALUES (?, ?, ?, ?, ?)", &st->ins_stack);
	if (!err)
		err = db_prepare(db, "INSERT INTO stack_frame VALUES (?, ?, ?)", &st->ins_stack_frame);
	if (!err)
		err = db_prepare(db, "INSERT INTO frame VALUES (?, ?, ?, ?)", &st->ins_frame);
	if (!err)
		err = db_prepare(db, "INSERT INTO symbol VALUES (?, 0, ?, NULL, NULL, 0, 'kernel')", &st->ins_symbol);
	return err;
}

void stack_store_release(struct stack_store *st)
{
	(void)sqlite3_finalize(st->ins_stack);
	(void)sqlite3_finalize(st->ins_stack_frame);
	(void)sqlite3_finalize(st->ins_frame);
	(void)sqlite3_finalize(st->ins_symbol);
	for (u32 i = 0; i < st->n_frame_maps && st->frames; i++)
		u64map_release(&st->frames[i]);
	free(st->frames);
	free(st->max_end);
	u64map_release(&st->first_of);
	*st = (struct stack_store){0};
}

/* Index behind the last mapping of the process that starts at or below addr; `first` when there is none. */
static size_t mappings_below(const struct load_dict *d, size_t first, u64 process, u64 addr)
{
	size_t lo = first, hi = d->n_mappings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->mappings[mid].process == process && d->mappings[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The mapping that held addr at ts: the latest made by then, else (it was found late) the earliest made after. */
static const struct fmt_mapping *find_mapping(const struct stack_store *st, u64 process, u64 addr, u64 ts)
{
	const struct load_dict *d = st->d;
	const struct fmt_mapping *best = NULL;
	u64 first;

	if (!u64map_get(&st->first_of, process, &first))
		return NULL;
	for (size_t i = mappings_below(d, first, process, addr); i > first && st->max_end[i - 1] > addr; i--) {
		const struct fmt_mapping *m = &d->mappings[i - 1];

		if (m->end <= addr)
			continue;
		if (!best || (m->ts <= ts ? best->ts > ts || m->ts > best->ts : best->ts > ts && m->ts < best->ts))
			best = m;
	}
	return best;
}

static int frame_id(struct stack_store *st, u32 map, u64 module_id, u64 off, bool is_return, u64 *ret)
{
	struct u64map *m = &st->frames[map];
	u64 key =
		off * 2 +
		is_return; /* offsets of modules stay below 2^63; an absolute address loses its top bit, the same for all user addresses */
	int err;

	if (u64map_get(m, key, ret))
		return 0;
	*ret = st->next_frame_id++;
	if (u64map_put(m, key, *ret) < 0)
		return -ENOMEM;
	err = db_run(st->ins_frame, (struct db_val[]){DB_INT(*ret), db_opt(module_id), DB_INT(off), DB_INT(is_return)}, 4);
	if (!err && module_id == st->kernel_module_id) {
		const struct fmt_ksym *k = dict_table_find(&st->d->ksyms, off, NULL);
		const char *name = k ? load_dict_str(st->d, k->name) : NULL;

		if (name)
			err = db_run(st->ins_symbol, (struct db_val[]){DB_INT(*ret), db_text(name)}, 2);
	}
	return err;
}

static int user_frame(struct stack_store *st, const struct dict_stack *s, u64 addr, u64 ts, bool is_return, u64 *ret)
{
	u64 lookup = is_return && addr ? addr - 1 : addr; /* a call at the very end of a mapping returns behind it */
	const struct fmt_mapping *m = find_mapping(st, s->process, lookup, ts);
	u32 slot;

	if (!m || !dict_table_find(&st->d->modules, m->module, &slot))
		return frame_id(st, st->d->modules.n, 0, addr, is_return, ret);
	return frame_id(st, slot, m->module, addr - m->start + m->file_off, is_return, ret);
}

static const char *status_name(struct stack_store *st, const struct dict_stack *s)
{
	bool is_user = s->kind == FMT_STACK_USER;

	switch (s->status) {
	case FMT_STACK_WHOLE:
		st->whole += is_user;
		return "whole";
	case FMT_STACK_NO_TABLE:
		st->no_table += is_user;
		return "no_table";
	case FMT_STACK_FAULT:
		st->fault += is_user;
		return "fault";
	case FMT_STACK_FP:
		st->whole += is_user;
		return "frame_pointers";
	default:
		st->truncated += is_user;
		return "truncated";
	}
}

static int store(struct stack_store *st, struct dict_stack *s, u64 ts, bool top_is_return)
{
	bool is_user = s->kind == FMT_STACK_USER;
	u64 process = is_user && dict_table_find(&st->d->processes, s->process, NULL) ? s->process : 0;
	int err = db_run(st->ins_stack,
			 (struct db_val[]){DB_INT(s->idx), db_opt(process), db_text(is_user ? "user" : "kernel"),
					   db_text(status_name(st, s)), DB_INT(s->len)},
			 5);

	s->is_stored = true;
	for (u32 i = 0; i < s->len && !err; i++) {
		u64 addr, id = 0;
		bool is_return = i > 0 || (is_user && top_is_return);

		memcpy(&addr, st->d->addrs.data + (s->off + i) * sizeof(addr), sizeof(addr));
		if (is_user)
			err = user_frame(st, s, addr, ts, is_return, &id);
		else
			err = frame_id(st, st->d->modules.n + 1, st->kernel_module_id, addr, is_return, &id);
		if (!err)
			err = db_run(st->ins_stack_frame, (struct db_val[]){DB_INT(s->idx), DB_INT(i), DB_INT(id)}, 3);
	}
	return err;
}

int stack_store_use(struct stack_store *st, u64 idx, u64 kind, u64 ts, bool top_is_return, u64 *ret_id)
{
	struct dict_stack *s = dict_table_find(&st->d->stacks, idx, NULL);

	*ret_id = 0;
	if (!s || s->kind != kind)
		return 0;
	*ret_id = idx;
	return s->is_stored ? 0 : store(st, s, ts, top_is_return);
}

static bool is_stop_function(const char *name)
{
	static const char *const names[] = {"do_freezer_trap", "__refrigerator", "do_signal_stop",
					    "ptrace_stop",     "do_jobctl_trap", "ptrace_do_notify"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0) /* `.part.0` and the like may follow */
			return true;
	return false;
}

bool stack_store_is_stop(struct stack_store *st, u64 idx)
{
	struct dict_stack *s = dict_table_find(&st->d->stacks, idx, NULL);

	if (!s || s->kind != FMT_STACK_KERNEL)
		return false;
	if (s->is_stop >= 0)
		return s->is_stop;
	s->is_stop = 0;
	for (u32 i = 0; i < s->len; i++) {
		const struct fmt_ksym *k;
		const char *name;
		u64 addr;

		memcpy(&addr, st->d->addrs.data + (s->off + i) * sizeof(addr), sizeof(addr));
		k = dict_table_find(&st->d->ksyms, addr, NULL);
		name = k ? load_dict_str(st->d, k->name) : NULL;
		if (name && is_stop_function(name))
			s->is_stop = 1;
	}
	return s->is_stop;
}
