/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_stack.c: see load_stack.h. */
#include "report/load_stack.h"

#include <errno.h>
#include <string.h>

#include "report/capture_file.h"
#include "report/stack_status.h"

/* A stack made of an interrupted address and its callers. */
struct leaf_stack {
	u64 pc; /* twice the address, plus 1 when it is looked up like a return address */
	u64 ustack, process;
	u64 ts; /* of its first use */
	u32 end;
	u32 weight;
	bool guessed, is_kept;
};

/* What lies at an address of a process. */
struct code_at {
	const struct fmt_mapping *mapping;
	const struct fmt_module *module; /* NULL: in no file */
	u32 slot;			 /* of the module */
	int map;			 /* of st->maps, when a JIT compiler's name is there; else -1 */
	struct jitmap_text name;
};

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

static u64 id_behind_stacks(const struct load_dict *d)
{
	u64 max = 0;

	for (u32 slot = 0; slot < d->stacks.n; slot++)
		max = max_u64(max, ((const struct dict_stack *)dict_table_at(&d->stacks, slot))->idx);
	return max + 1;
}

static int prepare_all(struct stack_store *st)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&st->ins_stack, "INSERT INTO stack VALUES (?, ?, ?, ?, ?, ?, ?)"},
		{&st->ins_part, "INSERT INTO stack_part VALUES (?, ?, ?)"},
		{&st->ins_list, "INSERT INTO frame_list VALUES (?, ?, ?)"},
		{&st->ins_frame, "INSERT INTO frame VALUES (?, ?, ?, ?)"},
		{&st->ins_symbol, "INSERT INTO symbol VALUES (?, 0, ?, ?, ?, 0, ?)"},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && !err; i++)
		err = db_prepare(st->db, all[i].sql, all[i].stmt);
	return err;
}

int stack_store_init(struct stack_store *st, struct load_dict *d, sqlite3 *db, u64 kernel_module_id)
{
	int err;

	*st = (struct stack_store){.d = d, .db = db, .kernel_module_id = kernel_module_id, .next_frame_id = 1};
	err = perfmap_set_init(&st->maps, d);
	if (err)
		return err;
	st->n_frame_maps = d->modules.n + 2 + st->maps.n;
	st->frames = calloc(st->n_frame_maps, sizeof(*st->frames));
	if (!st->frames)
		return -ENOMEM;
	st->first_id = id_behind_stacks(d);
	err = index_mappings(st);
	return err ? err : prepare_all(st);
}

void stack_store_release(struct stack_store *st)
{
	(void)sqlite3_finalize(st->ins_stack);
	(void)sqlite3_finalize(st->ins_part);
	(void)sqlite3_finalize(st->ins_list);
	(void)sqlite3_finalize(st->ins_frame);
	(void)sqlite3_finalize(st->ins_symbol);
	for (u32 i = 0; i < st->n_frame_maps && st->frames; i++)
		u64map_release(&st->frames[i]);
	free(st->frames);
	free(st->max_end);
	free(st->leaves);
	free(st->leaf_slots);
	u64map_release(&st->first_of);
	u64map_release(&st->leaf_lists);
	perfmap_set_release(&st->maps);
	stack_ends_release(&st->ends);
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

/* ---- frames ---- */

/* The frame of an address in one of st->frames; *ret_is_new: its row was just made. */
static int frame_id(struct stack_store *st, u32 map, u64 module_id, u64 off, bool is_return, u64 *ret, bool *ret_is_new)
{
	struct u64map *m = &st->frames[map];
	/* offsets of modules stay below 2^63; an absolute address loses its top bit, the same for all user addresses */
	u64 key = off * 2 + is_return;

	*ret_is_new = false;
	if (u64map_get(m, key, ret))
		return 0;
	*ret = st->next_frame_id++;
	*ret_is_new = true;
	if (u64map_put(m, key, *ret) < 0)
		return -ENOMEM;
	return db_run(st->ins_frame, (struct db_val[]){DB_INT(*ret), db_opt(module_id), DB_INT(off), DB_INT(is_return)}, 4);
}

static int kernel_frame(struct stack_store *st, u64 addr, bool is_return, u64 *ret)
{
	const struct fmt_ksym *k;
	const char *name;
	bool is_new;
	int err = frame_id(st, st->d->modules.n + 1, st->kernel_module_id, addr, is_return, ret, &is_new);

	if (err || !is_new)
		return err;
	k = dict_table_find(&st->d->ksyms, addr, NULL);
	name = k ? load_dict_str(st->d, k->name) : NULL;
	if (!name)
		return 0;
	return db_run(st->ins_symbol, (struct db_val[]){DB_INT(*ret), db_text(name), DB_NULL, DB_NULL, db_text("kernel")}, 5);
}

/* A name of a perf map: clean before it goes anywhere, as only a stranger's word tells what is in it. */
static int write_jit_name(struct stack_store *st, u64 frame, struct jitmap_text name)
{
	struct jitmap_symbol sym = jitmap_split(name);
	_cleanup_free_ char *function = capture_text_clean(sym.function.s, sym.function.n);
	_cleanup_free_ char *file = capture_text_clean(sym.file.s ? sym.file.s : "", sym.file.n);

	if (!function || !file)
		return -ENOMEM;
	return db_run(st->ins_symbol,
		      (struct db_val[]){DB_INT(frame), db_text(function), db_text(*file ? file : NULL), db_opt(sym.line),
					db_text("jit")},
		      5);
}

/* Memory that is mapped under a name, but is no file that could have symbols: where JIT compilers put code. */
static bool is_anonymous(const char *path)
{
	static const char *const prefixes[] = {"//anon",  "[anon",     "[heap]", "[stack",
					       "/memfd:", "/dev/zero", "/SYSV",	 "/dev/shm/"};

	for (size_t i = 0; path && i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return !path || !*path;
}

static struct code_at find_code(const struct stack_store *st, u64 process, u64 addr, u64 ts, bool is_return)
{
	u64 lookup = is_return && addr ? addr - 1 : addr; /* a call at the very end of a mapping returns behind it */
	struct code_at c = {.mapping = find_mapping(st, process, lookup, ts), .map = -1};
	int map;

	if (c.mapping)
		c.module = dict_table_find(&st->d->modules, c.mapping->module, &c.slot);
	if (c.module && !is_anonymous(load_dict_str(st->d, c.module->path)))
		return c;
	map = perfmap_set_index(&st->maps, process);
	if (map >= 0 && perfmap_set_find(&st->maps, map, lookup, &c.name)) {
		c.module = NULL;
		c.map = map;
	}
	return c;
}

static int user_frame(struct stack_store *st, u64 process, u64 addr, u64 ts, bool is_return, u64 *ret)
{
	struct code_at c = find_code(st, process, addr, ts, is_return);
	bool is_new;
	int err;

	if (c.map >= 0) {
		err = frame_id(st, st->d->modules.n + 2 + (u32)c.map, 0, addr, is_return, ret, &is_new);
		return err || !is_new ? err : write_jit_name(st, *ret, c.name);
	}
	if (!c.module)
		return frame_id(st, st->d->modules.n, 0, addr, is_return, ret, &is_new);
	return frame_id(st, c.slot, c.mapping->module, addr - c.mapping->start + c.mapping->file_off, is_return, ret, &is_new);
}

int stack_store_frame(struct stack_store *st, u64 process, u64 addr, u64 ts, bool is_return, u64 *ret_id)
{
	return user_frame(st, process, addr, ts, is_return, ret_id);
}

/* The module at an address, 0 none, for a status that blames one. */
static u64 culprit_at(const struct stack_store *st, u64 status, u64 process, u64 addr, u64 ts, bool is_return)
{
	struct code_at c;

	if (!stack_status_has_culprit(status))
		return 0;
	c = find_code(st, process, addr, ts, is_return);
	return c.module ? c.mapping->module : 0;
}

/* ---- stacks of one list ---- */

static u64 address_at(const struct stack_store *st, const struct dict_stack *s, u32 i)
{
	u64 addr;

	memcpy(&addr, st->d->addrs.data + (s->off + i) * sizeof(addr), sizeof(addr));
	return addr;
}

/* An entry is used for the first time, alone or as the callers of an address: what is at its addresses is looked up as of then. */
static int begin_use(struct stack_store *st, struct dict_stack *s, u64 ts, bool top_is_return)
{
	u64 status = stack_status_of_entry(s->status), culprit = 0;

	if (s->is_used)
		return 0;
	s->is_used = true;
	s->ts = ts;
	s->top_is_return = top_is_return;
	if (s->kind != FMT_STACK_USER)
		return 0;
	if (s->len)
		culprit = culprit_at(st, status, s->process, address_at(st, s, (u32)s->len - 1), ts, s->len > 1 || top_is_return);
	return stack_ends_find(&st->ends, status, culprit, &s->end);
}

/* Writes the list of a stack entry's frames, once. */
static int write_list(struct stack_store *st, struct dict_stack *s)
{
	int err = 0;

	if (s->is_listed)
		return 0;
	s->is_listed = true;
	for (u32 i = 0; i < s->len && !err; i++) {
		u64 addr = address_at(st, s, i), frame;

		if (s->kind == FMT_STACK_USER)
			err = user_frame(st, s->process, addr, s->ts, i > 0 || s->top_is_return, &frame);
		else
			err = kernel_frame(st, addr, i > 0, &frame);
		if (!err)
			err = db_run(st->ins_list, (struct db_val[]){DB_INT(s->idx), DB_INT(i), DB_INT(frame)}, 3);
	}
	return err;
}

struct stack_row {
	u64 id, process, status, depth;
	u64 fp_from; /* 1 + depth */
	u64 weight;
	bool is_user;
};

static int write_stack(struct stack_store *st, const struct stack_row *r)
{
	u64 process = r->is_user && dict_table_find(&st->d->processes, r->process, NULL) ? r->process : 0;

	return db_run(st->ins_stack,
		      (struct db_val[]){DB_INT(r->id), db_opt(process), db_text(r->is_user ? "user" : "kernel"),
					db_text(stack_status_name(r->status)), DB_INT(r->depth),
					r->fp_from ? DB_INT(r->fp_from - 1) : DB_NULL, DB_INT(r->weight)},
		      7);
}

static int write_part(struct stack_store *st, u64 stack_id, u64 depth, u64 list_id)
{
	return db_run(st->ins_part, (struct db_val[]){DB_INT(stack_id), DB_INT(depth), DB_INT(list_id)}, 3);
}

/* Writes a stack that is one list. */
static int write_entry(struct stack_store *st, struct dict_stack *s)
{
	struct stack_row row = {.id = s->idx,
				.process = s->process,
				.status = stack_status_of_entry(s->status),
				.depth = s->len,
				.fp_from = s->fp_from,
				.weight = s->weight,
				.is_user = s->kind == FMT_STACK_USER};
	int err = write_list(st, s);

	if (!err)
		err = write_stack(st, &row);
	return err || !s->len ? err : write_part(st, s->idx, 0, s->idx);
}

static struct dict_stack *find_entry(const struct stack_store *st, u64 idx, u64 kind)
{
	struct dict_stack *s = dict_table_find(&st->d->stacks, idx, NULL);

	return s && s->kind == kind ? s : NULL;
}

int stack_store_use_kernel(struct stack_store *st, u64 idx, u64 *ret_id)
{
	struct dict_stack *s = find_entry(st, idx, FMT_STACK_KERNEL);

	*ret_id = s ? idx : 0;
	return s ? begin_use(st, s, 0, false) : 0;
}

/* ---- stacks of an interrupted address and its callers ---- */

static u64 leaf_hash(const struct leaf_stack *l)
{
	u64 h = l->pc * 0x9e3779b97f4a7c15ULL ^ l->ustack * 0xc2b2ae3d27d4eb4fULL ^ l->process * 0x165667b19e3779f9ULL;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 32;
}

/* The slot of a pair, or the free one where it goes: 1 + its position in leaves. The table is never full. */
static u32 *leaf_slot(const struct stack_store *st, u32 *slots, u32 cap, const struct leaf_stack *l)
{
	for (u64 i = leaf_hash(l);; i++) {
		u32 *slot = &slots[i & (cap - 1)];
		const struct leaf_stack *at = &st->leaves[*slot ? *slot - 1 : 0];

		if (!*slot || (at->pc == l->pc && at->ustack == l->ustack && at->process == l->process))
			return slot;
	}
}

/* Room for one more: the table of slots is twice as long as the one of leaves, so that half of it is free. */
static int grow_leaves(struct stack_store *st)
{
	u32 cap = st->cap_leaves ? st->cap_leaves * 2 : 1024;
	struct leaf_stack *leaves;
	u32 *slots;

	if (st->n_leaves < st->cap_leaves)
		return 0;
	if (cap > 1U << 30)
		return -ENOMEM;
	leaves = reallocarray(st->leaves, cap, sizeof(*leaves));
	if (!leaves)
		return -ENOMEM;
	st->leaves = leaves;
	slots = calloc((size_t)cap * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (u32 i = 0; i < st->n_leaves; i++)
		*leaf_slot(st, slots, cap * 2, &leaves[i]) = i + 1;
	free(st->leaf_slots);
	st->leaf_slots = slots;
	st->cap_leaves = cap;
	return 0;
}

/* The list of one frame that all stacks with this innermost frame share. */
static int leaf_list(struct stack_store *st, u64 frame, u64 *ret)
{
	u64 seen;

	*ret = st->first_id + frame;
	if (u64map_get(&st->leaf_lists, frame, &seen))
		return 0;
	if (u64map_put(&st->leaf_lists, frame, 1) < 0)
		return -ENOMEM;
	return db_run(st->ins_list, (struct db_val[]){DB_INT(*ret), DB_INT(0), DB_INT(frame)}, 3);
}

static u64 leaf_status(const struct dict_stack *callers)
{
	return callers ? stack_status_of_entry(callers->status) : STACK_LEAF_ONLY;
}

static int write_leaf(struct stack_store *st, u32 at)
{
	const struct leaf_stack *l = &st->leaves[at];
	struct dict_stack *callers = find_entry(st, l->ustack, FMT_STACK_USER);
	struct stack_row row = {.id = st->first_id + at,
				.process = l->process,
				.status = leaf_status(callers),
				.depth = 1 + (callers ? callers->len : 0),
				.fp_from = callers && callers->fp_from ? callers->fp_from + 1 : 0,
				.weight = l->weight,
				.is_user = true};
	u64 frame, list;
	int err = user_frame(st, l->process, l->pc >> 1, l->ts, l->pc & 1, &frame);

	if (!err)
		err = leaf_list(st, frame, &list);
	if (!err && callers)
		err = write_list(st, callers);
	if (!err)
		err = write_stack(st, &row);
	if (!err)
		err = write_part(st, row.id, 0, list);
	if (!err && row.depth > 1)
		err = write_part(st, row.id, 1, callers->idx);
	return err;
}

/* A pair that was not there before. */
static int add_leaf(struct stack_store *st, struct leaf_stack *l, struct dict_stack *callers)
{
	u64 status = leaf_status(callers), culprit;
	int err = callers ? begin_use(st, callers, l->ts, true) : 0;

	if (err)
		return err;
	if (callers && callers->len) {
		l->end = callers->end;
	} else { /* it ended at the interrupted address itself */
		culprit = culprit_at(st, status, l->process, l->pc >> 1, l->ts, l->pc & 1);
		err = stack_ends_find(&st->ends, status, culprit, &l->end);
	}
	l->guessed = callers && callers->fp_from;
	return err;
}

static int use_leaf(struct stack_store *st, const struct user_stack_ref *u, u32 *ret)
{
	struct dict_stack *callers = find_entry(st, u->ustack, FMT_STACK_USER);
	struct leaf_stack want = {.pc = u->pc * 2 + u->behind_call,
				  .ustack = callers ? callers->idx : 0,
				  .process = callers ? callers->process : u->process,
				  .ts = u->ts};
	int err = grow_leaves(st);
	u32 *slot;

	if (err)
		return err;
	slot = leaf_slot(st, st->leaf_slots, st->cap_leaves * 2, &want);
	if (!*slot) {
		err = add_leaf(st, &want, callers);
		if (err)
			return err;
		st->leaves[st->n_leaves++] = want;
		st->ends.rows[want.end].stacks++;
		*slot = st->n_leaves;
	}
	*ret = *slot - 1;
	return 0;
}

static void count_end(struct stack_store *st, u32 end, bool guessed)
{
	st->ends.rows[end].events++;
	st->ends.rows[end].guessed += guessed;
}

static int use_entry(struct stack_store *st, const struct user_stack_ref *u, u64 *ret_id)
{
	struct dict_stack *s = find_entry(st, u->ustack, FMT_STACK_USER);
	int err = s ? begin_use(st, s, u->ts, u->behind_call) : 0;

	if (err || !s)
		return err;
	st->ends.rows[s->end].stacks += !s->is_counted;
	s->is_counted = true;
	*ret_id = s->idx;
	if (u->counts)
		count_end(st, s->end, s->fp_from != 0);
	return 0;
}

int stack_store_use_user(struct stack_store *st, const struct user_stack_ref *u, u64 *ret_id)
{
	u32 at;
	int err;

	*ret_id = 0;
	if (!u->pc)
		return use_entry(st, u, ret_id);
	err = use_leaf(st, u, &at);
	if (err)
		return err;
	*ret_id = st->first_id + at;
	if (u->counts)
		count_end(st, st->leaves[at].end, st->leaves[at].guessed);
	return 0;
}

void stack_store_keep(struct stack_store *st, u64 id, u32 weight)
{
	if (id >= st->first_id && id - st->first_id < st->n_leaves) {
		struct leaf_stack *l = &st->leaves[id - st->first_id];

		l->is_kept = true;
		l->weight += weight;
	} else {
		struct dict_stack *s = dict_table_find(&st->d->stacks, id, NULL);

		if (!s)
			return;
		s->is_kept = true;
		s->weight += weight;
	}
}

int stack_store_write(struct stack_store *st)
{
	int err = 0;

	for (u32 slot = 0; slot < st->d->stacks.n && !err; slot++) {
		struct dict_stack *s = dict_table_at(&st->d->stacks, slot);

		if (s->is_kept && s->is_used)
			err = write_entry(st, s);
	}
	for (u32 at = 0; at < st->n_leaves && !err; at++)
		if (st->leaves[at].is_kept)
			err = write_leaf(st, at);
	return err;
}

/* ---- what kernel stacks say ---- */

static bool begins_with_one_of(const char *name, const char *const *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) /* `.part.0` and the like may follow */
			return true;
	return false;
}

static u32 marks_of_function(const char *name)
{
	static const char *const stops[] = {"do_freezer_trap", "__refrigerator", "do_signal_stop",
					    "ptrace_stop",     "do_jobctl_trap", "ptrace_do_notify"};
	/* kernel/exit.c, fs/coredump.c */
	static const char *const deaths[] = {"do_exit", "do_group_exit", "do_coredump", "vfs_coredump", "coredump_task_exit"};
	static const char *const calls[] = {"do_syscall_64", "x64_sys_call", "entry_SYSCALL",  "__x64_sys_",  "__do_sys_",
					    "el0_svc",	     "do_el0_svc",   "invoke_syscall", "__arm64_sys_"};
	/* arch/x86/include/asm/idtentry.h */
	static const char *const interrupts[] = {"asm_sysvec_", "asm_common_interrupt"};

	return (begins_with_one_of(name, stops, ARRAY_SIZE(stops)) ? KERNEL_STOPPED : 0) |
	       (begins_with_one_of(name, deaths, ARRAY_SIZE(deaths)) ? KERNEL_DYING : 0) |
	       (begins_with_one_of(name, calls, ARRAY_SIZE(calls)) ? KERNEL_IN_SYSCALL : 0) |
	       (begins_with_one_of(name, interrupts, ARRAY_SIZE(interrupts)) ? KERNEL_INTERRUPTED : 0);
}

u32 stack_store_kernel_marks(struct stack_store *st, u64 idx)
{
	struct dict_stack *s = find_entry(st, idx, FMT_STACK_KERNEL);

	if (!s)
		return 0;
	if (s->has_marks)
		return s->kernel_marks;
	s->has_marks = true;
	for (u32 i = 0; i < s->len; i++) {
		const struct fmt_ksym *k = dict_table_find(&st->d->ksyms, address_at(st, s, i), NULL);
		const char *name = k ? load_dict_str(st->d, k->name) : NULL;

		s->kernel_marks |= name ? marks_of_function(name) : 0;
	}
	return s->kernel_marks;
}
