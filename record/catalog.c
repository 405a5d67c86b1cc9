/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * catalog.c: see catalog.h. Indices are dense and start at 1. A row is written before any event that names its index, because the writer keeps
 * dictionary kinds in front of events within a block and blocks in order.
 */
#include "record/catalog.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "record/cgroup.h"
#include "record/copies.h"
#include "record/layout.h"
#include "record/mappings.h"
#include "record/procfs.h"
#include "record/task_catalog.h"
#include "record/task_lists.h"

enum {
	MAX_KERNEL_ADDRS = 1 << 16,
	MAX_CONTEXTS = 1 << 16, /* entries; a wrong layout must not fill the file with nonsense */
};

struct catalog {
	struct fmt_writer *w;
	struct catalog_opts opts;
	int err;
	struct strtab *strings;
	struct mappings *mappings;
	struct cat_process **procs; /* all images, by idx - 1 */
	u32 n_procs;
	size_t cap_procs;
	struct u64map proc_by_pid;   /* pid -> index of its current image */
	struct u64map thread_by_tid; /* pid << 32 | tid -> thread index */
	struct u64map stack_by_hash;
	struct u64map context_by_key;
	struct u64map kernel_seen;
	u64 *kernel_addrs;
	u32 n_kernel_addrs;
	size_t cap_kernel_addrs;
	u32 n_threads, n_stacks, n_contexts, n_layouts;
	struct fmt_thread *threads; /* as written last, by idx - 1 */
	size_t cap_threads;
	u32 last_gen;
	struct task_catalog_counts tasks;
};

static void note_err(struct catalog *c, int err)
{
	if (err && !c->err)
		c->err = err;
}

static void put_row(struct catalog *c, enum fmt_kind_id kind, const void *row, const void *payload, size_t n)
{
	note_err(c, fmt_writer_row(c->w, kind, row, payload, n));
}

void catalog_row(struct catalog *c, enum fmt_kind_id kind, const void *row)
{
	put_row(c, kind, row, NULL, 0);
}

int catalog_new(struct fmt_writer *w, const struct catalog_opts *o, struct catalog **ret)
{
	struct catalog *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->w = w;
	c->opts = *o;
	c->strings = strtab_new();
	if (!c->strings || mappings_new(c, o->unwind.n_rows ? &o->unwind : NULL, &c->mappings) < 0) {
		catalog_free(c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}

/* What only a living process needs: a recording may meet very many. */
static void process_release(struct cat_process *p)
{
	if (p->mem_fd >= 0)
		(void)close(take_fd(&p->mem_fd));
	for (u32 i = 0; i < p->n_copies; i++) {
		free(TAKE_PTR(p->copies[i].cal_mt));
		free(TAKE_PTR(p->copies[i].cal_ct));
	}
	mappings_release(p);
}

struct catalog *catalog_free(struct catalog *c)
{
	if (!c)
		return NULL;
	for (u32 i = 0; i < c->n_procs; i++) {
		process_release(c->procs[i]);
		task_catalog_release(c->procs[i]);
		task_lists_release(c->procs[i]);
		free(c->procs[i]->copies);
		free(c->procs[i]->own_exe);
		free(c->procs[i]);
	}
	mappings_free(c->mappings);
	free(c->procs);
	free(c->kernel_addrs);
	free(c->threads);
	u64map_release(&c->proc_by_pid);
	u64map_release(&c->thread_by_tid);
	u64map_release(&c->stack_by_hash);
	u64map_release(&c->context_by_key);
	u64map_release(&c->kernel_seen);
	strtab_free(c->strings);
	free(c);
	return NULL;
}

int catalog_err(const struct catalog *c)
{
	return c->err;
}

u32 catalog_string(struct catalog *c, const char *s)
{
	size_t n = s ? strnlen(s, FMT_MAX_STRING) : 0;
	bool is_new = false;
	u32 idx = 0;
	int err;

	if (!n)
		return 0;
	err = strtab_intern(c->strings, s, n, &idx, &is_new);
	note_err(c, err);
	if (!err && is_new)
		put_row(c, FMT_STRING, &(struct fmt_string){.idx = idx}, s, n);
	return idx;
}

const char *catalog_string_text(const struct catalog *c, u32 idx)
{
	return strtab_get(c->strings, idx, NULL);
}

/* ---- processes ---- */

static struct cat_process *process_add(struct catalog *c, u32 pid, u32 exec_gen)
{
	struct cat_process *p;

	if (ARRAY_ROOM(c->procs, c->n_procs, &c->cap_procs) < 0) {
		note_err(c, -ENOMEM);
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p || u64map_put(&c->proc_by_pid, pid, c->n_procs) < 0) {
		note_err(c, -ENOMEM);
		free(p);
		return NULL;
	}
	p->idx = c->n_procs + 1;
	p->pid = pid;
	p->exec_gen = exec_gen;
	p->mem_fd = -1;
	p->fs = c->opts.fs;
	c->procs[c->n_procs++] = p;
	return p;
}

static void process_write(struct catalog *c, struct cat_process *p)
{
	struct proc_status st = {0};
	struct fmt_process row = {.idx = p->idx, .pid = p->pid, .exec_gen = p->exec_gen};
	char text[FMT_MAX_STRING] = "";

	if (proc_status(c->opts.fs, p->pid, &st) == 0) {
		row.ppid = st.ppid;
		row.ns_pid = p->ns_pid = st.ns_pid;
		row.comm = catalog_string(c, st.comm);
	}
	if (proc_start_time(c->opts.fs, p->pid, &row.start) < 0)
		row.start = 0;
	if (proc_exe(c->opts.fs, p->pid, text, sizeof(text)) == 0)
		row.exe = catalog_string(c, text);
	if (c->opts.store_cmdline && proc_cmdline(c->opts.fs, p->pid, text, sizeof(text)) == 0)
		row.cmdline = catalog_string(c, text);
	if (cgroup_of_process(c->opts.fs, p->pid, text, sizeof(text)) == 0)
		row.cgroup = catalog_string(c, text);
	p->row = row;
	put_row(c, FMT_PROCESS, &row, NULL, 0);
}

void catalog_process_cgroup(struct catalog *c, struct cat_process *p, const char *path)
{
	u32 cgroup = catalog_string(c, path);

	if (!cgroup || cgroup == p->row.cgroup)
		return;
	p->row.cgroup = cgroup;
	put_row(c, FMT_PROCESS, &p->row, NULL, 0);
}

static struct cat_process *process_known(const struct catalog *c, u32 pid)
{
	u64 i;

	return u64map_get(&c->proc_by_pid, pid, &i) ? c->procs[i] : NULL;
}

static struct cat_process *process_new(struct catalog *c, u32 pid)
{
	struct cat_process *p = process_add(c, pid, 0);

	if (p)
		process_write(c, p);
	return p;
}

struct cat_process *catalog_process(struct catalog *c, u32 pid)
{
	struct cat_process *p = process_known(c, pid);

	return p ? p : process_new(c, pid);
}

struct cat_process *catalog_process_start(struct catalog *c, u32 pid)
{
	struct cat_process *p = process_known(c, pid);

	return p && !p->gone ? p : process_new(c, pid); /* it may be met before its own record comes */
}

/* A child that user space has not met yet may still use the slice: unwind_tables.h keeps it for a while. */
static void process_end(struct catalog *c, struct cat_process *p)
{
	p->gone = true;
	mappings_drop(c->mappings, p);
	process_release(p);
}

struct cat_process *catalog_process_exec(struct catalog *c, u32 pid)
{
	struct cat_process *old = process_known(c, pid), *p;

	if (old)
		process_end(c, old);
	p = process_add(c, pid, old ? old->exec_gen + 1 : 0);
	if (p)
		process_write(c, p);
	return p;
}

void catalog_process_exit(struct catalog *c, u32 pid, u64 cpu_ns)
{
	struct cat_process *p = process_known(c, pid);

	if (!p)
		return;
	if (!p->gone)
		p->cpu_ns = cpu_ns;
	process_end(c, p);
}

void catalog_each_image(struct catalog *c, void (*fn)(void *ctx, struct cat_process *p), void *ctx)
{
	for (u32 i = 0; i < c->n_procs; i++)
		fn(ctx, c->procs[i]);
}

void catalog_each_process(struct catalog *c, void (*fn)(void *ctx, struct cat_process *p), void *ctx)
{
	for (u32 i = 0; i < c->n_procs; i++)
		if (!c->procs[i]->gone)
			fn(ctx, c->procs[i]);
}

u32 catalog_alive(const struct catalog *c)
{
	u32 n = 0;

	for (u32 i = 0; i < c->n_procs; i++)
		n += !c->procs[i]->gone;
	return n;
}

int cat_process_mem(struct cat_process *p)
{
	if (p->gone) /* its pid may be another's */
		return -ESRCH;
	if (p->mem_fd < 0)
		p->mem_fd = proc_open_mem(p->fs, p->pid);
	return p->mem_fd;
}

int cat_process_read(void *ctx, u64 addr, void *buf, size_t n)
{
	int fd = cat_process_mem(ctx);

	return fd < 0 ? fd : proc_read_mem(fd, addr, buf, n);
}

/* ---- threads ---- */

static u64 thread_key(u32 pid, u32 tid)
{
	return (u64)pid << 32 | tid;
}

u32 catalog_thread_known(const struct catalog *c, u32 pid, u32 tid)
{
	u64 idx;

	return u64map_get(&c->thread_by_tid, thread_key(pid, tid), &idx) ? (u32)idx : 0;
}

static void keep_thread(struct catalog *c, const struct fmt_thread *row)
{
	if (ARRAY_ROOM(c->threads, row->idx - 1, &c->cap_threads) < 0) {
		note_err(c, -ENOMEM);
		return;
	}
	c->threads[row->idx - 1] = *row;
}

void catalog_thread_rename(struct catalog *c, u32 idx, u32 comm)
{
	if (!idx || idx > c->n_threads || idx > c->cap_threads || c->threads[idx - 1].comm == comm)
		return;
	c->threads[idx - 1].comm = comm;
	put_row(c, FMT_THREAD, &c->threads[idx - 1], NULL, 0);
}

u32 catalog_thread_start(struct catalog *c, u32 pid, u32 tid, const char *comm, u64 start)
{
	struct cat_process *p = catalog_process(c, pid);
	struct fmt_thread row = {.tid = tid, .start = start};
	u32 known = catalog_thread_known(c, pid, tid);
	struct proc_status st;

	if (!p)
		return 0;
	if (start && known && known <= c->cap_threads && c->threads[known - 1].start == start &&
	    c->threads[known - 1].process == p->idx)
		return known; /* a snapshot saw it before its start was read */
	row.ns_tid = p->ns_pid == pid ? tid : 0;
	if ((!comm || p->ns_pid != pid) && proc_status(c->opts.fs, tid, &st) == 0) {
		comm = comm ? comm : st.comm;
		row.ns_tid = st.ns_tid;
	}
	row.process = p->idx;
	row.idx = ++c->n_threads;
	row.comm = catalog_string(c, comm);
	note_err(c, u64map_put(&c->thread_by_tid, thread_key(pid, tid), row.idx));
	keep_thread(c, &row);
	put_row(c, FMT_THREAD, &row, NULL, 0);
	return (u32)row.idx;
}

u32 catalog_thread(struct catalog *c, u32 pid, u32 tid, const char *comm, u64 start)
{
	u32 idx = catalog_thread_known(c, pid, tid);

	return idx ? idx : catalog_thread_start(c, pid, tid, comm, start);
}

/* ---- modules and mappings ---- */

int catalog_scan_maps(struct catalog *c, struct cat_process *p, u64 ts)
{
	int err = mappings_scan(c->mappings, p, ts);

	if (err == -ENOMEM)
		note_err(c, err);
	p->is_rescanned |= !err;
	return err;
}

bool catalog_scan_due(const struct cat_process *p, u64 now)
{
	return !p->gone && mappings_due(p, now);
}

bool catalog_mapped(struct catalog *c, u32 pid, u64 addr, u64 len, u64 ts)
{
	struct cat_process *p = process_known(c, pid);

	if (!p || p->gone)
		return false;
	mappings_note(p, addr, len, ts);
	return true;
}

void catalog_mapped_unknown(struct catalog *c)
{
	for (u32 i = 0; i < c->n_procs; i++)
		if (!c->procs[i]->gone)
			mappings_note(c->procs[i], 0, 0, 0);
}

const struct unwind_arrays *catalog_unwind(const struct catalog *c)
{
	const struct unwind_tables *t = mappings_tables(c->mappings);

	return t ? unwind_tables_arrays(t) : NULL;
}

struct unwind_tables_counts catalog_unwind_counts(const struct catalog *c)
{
	const struct unwind_tables *t = mappings_tables(c->mappings);

	return t ? unwind_tables_counts(t) : (struct unwind_tables_counts){0};
}

/* ---- stacks ---- */

static void note_kernel_addr(struct catalog *c, u64 addr)
{
	u64 seen;

	if (c->n_kernel_addrs >= MAX_KERNEL_ADDRS || u64map_get(&c->kernel_seen, addr, &seen))
		return;
	if (ARRAY_ROOM(c->kernel_addrs, c->n_kernel_addrs, &c->cap_kernel_addrs) < 0)
		return;
	if (u64map_put(&c->kernel_seen, addr, 1) == 0)
		c->kernel_addrs[c->n_kernel_addrs++] = addr;
}

/* A library that was mapped since the last look shows as an address in no known mapping, or stops the kernel side's walker. */
static void look_for_new_maps(struct catalog *c, struct cat_process *p, const struct cat_stack *s, u64 ts)
{
	bool all_known = s->status != FMT_STACK_NO_MAPPING && s->status != FMT_STACK_STARTING;

	for (u32 i = 0; i < s->n && all_known; i++)
		all_known = mappings_hold(p, s->frames[i]);
	if (all_known || p->gone)
		return;
	p->met_unknown = true;
	mappings_miss(p);
	if (mappings_due(p, clock_ns(CLOCK_MONOTONIC)) && catalog_scan_maps(c, p, ts) < 0)
		return; /* it is gone: its frames stay addresses */
}

u32 catalog_stack(struct catalog *c, u64 hash, struct cat_process *p, const struct cat_stack *s, u64 ts)
{
	struct fmt_stack row = {.kind = p ? FMT_STACK_USER : FMT_STACK_KERNEL,
				.process = p ? p->idx : 0,
				.status = s->status,
				.fp_from = s->fp_from};
	const u64 *frames = s->frames;
	u32 n = (u32)min_u64(s->n, FMT_MAX_FRAMES);
	u64 relative[FMT_MAX_FRAMES];
	u64 idx;

	if (u64map_get(&c->stack_by_hash, hash, &idx))
		return (u32)idx;
	if (p) {
		look_for_new_maps(c, p, s, ts);
	} else {
		for (u32 i = 0; i < n; i++) {
			relative[i] = frames[i] - c->opts.stext;
			note_kernel_addr(c, frames[i]);
		}
		frames = relative;
	}
	row.idx = ++c->n_stacks;
	put_row(c, FMT_STACK, &row, frames, n);
	note_err(c, u64map_put(&c->stack_by_hash, hash, row.idx));
	return (u32)row.idx;
}

u32 catalog_stack_known(const struct catalog *c, u64 hash)
{
	u64 idx;

	return hash && u64map_get(&c->stack_by_hash, hash, &idx) ? (u32)idx : 0;
}

u32 catalog_kernel_addrs(const struct catalog *c, const u64 **ret)
{
	*ret = c->kernel_addrs;
	return c->n_kernel_addrs;
}

/* ---- Tokio ---- */

static u64 context_key(u32 thread, const struct wire_ctx *x)
{
	return x->sched * 0x9e3779b97f4a7c15ULL ^ ((u64)thread << 32 | x->gen);
}

u32 catalog_context_known(const struct catalog *c, u32 thread, const struct wire_ctx *x)
{
	u64 idx;

	return x->sched && u64map_get(&c->context_by_key, context_key(thread, x), &idx) ? (u32)idx : 0;
}

u32 catalog_context(struct catalog *c, struct cat_process *p, u32 thread, const struct wire_ctx *x)
{
	u64 key = context_key(thread, x), idx;
	struct layout_owner owner = {0};
	struct fmt_context row = {.thread = thread, .sched = x->sched, .flavor = x->flavor};
	const struct cat_copy *copy;

	if (!x->sched)
		return 0;
	if (u64map_get(&c->context_by_key, key, &idx))
		return (u32)idx;
	copy = copies_by_gen(p, x->gen);
	if (c->n_contexts >= MAX_CONTEXTS || !copy)
		return 0;
	row.layout = copy->layout_idx;
	if (layout_read_owner(&copy->wire, x, cat_process_read, p, &owner) == 0) {
		row.handle = owner.handle;
		row.worker = owner.worker;
		task_lists_meet(p, copy, x, owner.handle);
	}
	row.idx = ++c->n_contexts;
	note_err(c, u64map_put(&c->context_by_key, key, row.idx));
	put_row(c, FMT_CONTEXT, &row, NULL, 0);
	return (u32)row.idx;
}

u32 catalog_next_gen(struct catalog *c)
{
	return ++c->last_gen;
}

struct task_catalog_counts *catalog_task_counts(struct catalog *c)
{
	return &c->tasks;
}

struct module_tokio *catalog_module_tokio(const struct catalog *c, u32 module)
{
	return mappings_module_tokio(c->mappings, module);
}

void catalog_layout(struct catalog *c, const struct cat_process *p, struct cat_copy *copy, u64 ts)
{
	if (!copy->layout_idx)
		copy->layout_idx = ++c->n_layouts;
	put_row(c, FMT_LAYOUT,
		&(struct fmt_layout){
			.idx = copy->layout_idx,
			.process = p->idx,
			.module = copy->module,
			.row = catalog_string(c, copy->row),
			.version = catalog_string(c, copy->elf->version),
			.found_by = catalog_string(c, copy->found_by),
			.tls_back = copy->tls_back,
			.threads = copy->threads,
			.ts = ts,
			.tick_off_mt = copy->wire.tick_mt,
			.tick_off_ct = copy->wire.tick_ct,
			.tick_from_mt = copy->tick_from_mt,
			.tick_from_ct = copy->tick_from_ct,
			.no_task_ids = copy->wire.off_id == WIRE_NO_FIELD,
			.void_until = copy->void_until,
			.unfit = copy->is_unfit,
		},
		NULL, 0);
}
