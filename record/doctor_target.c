/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor_target.c: see doctor_target.h. */
#include "record/doctor_target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/copies.h"
#include "record/discover.h"
#include "record/layout.h"
#include "record/procfs.h"
#include "record/unwind_module.h"

enum { MAX_DOCTOR_COPIES = MAX_COPIES, MAX_DOCTOR_THREADS = 1 << 16 };

/* A runtime that nothing runs in right now is met at the next look. */
#define LOOK_FOR  NSEC_PER_SEC
#define LOOK_EACH (20 * NSEC_PER_MSEC)

const char *doctor_role_name(enum doctor_role r)
{
	static const char *const names[] = {
		[DOCTOR_OTHER] = "other",
		[DOCTOR_WORKER] = "worker",
		[DOCTOR_IN_PLACE] = "block_in_place",
		[DOCTOR_CURRENT] = "current_thread",
		[DOCTOR_BLOCK_ON] = "block_on",
		[DOCTOR_BLOCKING] = "blocking_pool",
		[DOCTOR_UNREAD] = "unknown",
	};

	return names[r];
}

/* ---- files ---- */

struct file_key {
	u64 dev, inode;
};

struct file_list {
	struct doctor_target *t;
	struct file_key seen[1024];
	u32 n;
};

static bool is_seen(struct file_list *l, const struct proc_map *m)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->seen[i].dev == m->dev && l->seen[i].inode == m->inode)
			return true;
	if (l->n < ARRAY_SIZE(l->seen))
		l->seen[l->n++] = (struct file_key){.dev = m->dev, .inode = m->inode};
	return false;
}

/* Permille of the bytes of executable segments that have a rule; the rest are stubs, padding, and code that unwinding stops in. */
static u32 covered(int fd)
{
	struct unwind_module m = {0};
	u64 has = 0, all = 0;

	if (unwind_module_read(fd, &m) == 0 && m.status == UNWIND_MODULE_OK) {
		for (u32 i = 0; i < m.n_segments; i++)
			all += m.segments[i].file_size;
		for (u32 i = 0; i + 1 < m.rows.n; i++) {
			u32 kind = (u32)m.rows.rows[i] & 15;

			if (kind != UW_END && kind != UW_BAD)
				has += (m.rows.rows[i + 1] >> 32) - (m.rows.rows[i] >> 32);
		}
	}
	unwind_module_release(&m);
	return all ? (u32)min_u64(has * 1000 / all, 1000) : 0;
}

static void read_file(int fd, struct doctor_copy *c)
{
	struct elf_view v;
	int err = elf_view_open(&v, fd, NULL, 0);

	if (!err) {
		c->has_debug = elf_view_section(&v, ".debug_info") != NULL;
		err = tokio_points_read(&v, &c->elf, &c->points);
	}
	elf_view_release(&v);
	c->points_err = err;
	c->unwind_permille = covered(fd);
}

static bool has_tokio(const struct tokio_elf *e)
{
	return e->tls_memsz && (e->n_symbols || e->names_tokio);
}

/* An executable mapping: a copy, if there is Tokio in its file. The main program is always one, for stripped of its names it may hold Tokio still. */
static int meet_file(struct doctor_target *t, const struct proc_map *m)
{
	size_t n = strlen(t->exe);
	bool is_program = !strncmp(m->path, t->exe, n) && (!m->path[n] || !strcmp(m->path + n, " (deleted)"));
	_cleanup_close_ int fd = proc_open_mapped(NULL, t->pid, m);
	struct doctor_copy *copies, *c;
	struct tokio_elf e;

	if (fd < 0)
		return t->n_copies || !is_program ? 0 : fd;
	if (tokio_elf_read(fd, &e) < 0 || (!is_program && !has_tokio(&e)) || !e.tls_memsz || t->n_copies == MAX_DOCTOR_COPIES)
		return 0;
	copies = reallocarray(t->copies, t->n_copies + 1, sizeof(*copies));
	if (!copies)
		return -ENOMEM;
	t->copies = copies;
	c = &copies[t->n_copies++];
	*c = (struct doctor_copy){.is_program = is_program, .elf = e, .start = m->start};
	(void)snprintf(c->path, sizeof(c->path), "%s", m->path);
	read_file(fd, c);
	return c->points_err == -ENOMEM ? -ENOMEM : 0;
}

static int each_map(void *ctx, const struct proc_map *m)
{
	struct file_list *l = ctx;

	return m->exec && m->inode && !is_seen(l, m) ? meet_file(l->t, m) : 0;
}

static int read_files(struct doctor_target *t)
{
	_cleanup_free_ struct file_list *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->t = t;
	return proc_maps(NULL, t->pid, each_map, l);
}

/* ---- the runtime ---- */

static int write_nothing(void *ctx, const void *p, size_t n)
{
	(void)ctx;
	(void)p;
	(void)n;
	return 0;
}

static int sync_nothing(void *ctx)
{
	(void)ctx;
	return 0;
}

static bool is_settled(const struct cat_process *p)
{
	for (u32 i = 0; i < p->n_copies; i++) {
		const struct cat_copy *c = &p->copies[i];

		if (c->is_mapped && !c->refused && !c->is_unfit &&
		    (!c->is_confirmed || c->is_partial || !(c->witness.fit[0] || c->witness.fit[1])) &&
		    (c->elf->n_symbols || c->elf->names_tokio))
			return false;
	}
	return true;
}

/* As a recording does it, into a capture that nobody reads. */
static int find_runtimes(struct doctor_target *t, struct kernel_side *kernel)
{
	const struct fmt_sink sink = {.write = write_nothing, .sync = sync_nothing};
	const struct catalog_opts co = {.stext = 0};
	struct discover d = {.kernel = kernel, .is_quiet = true};
	const u8 uuid[16] = {0};
	u64 began = clock_ns(CLOCK_MONOTONIC);
	int err = fmt_writer_new_to(&sink, uuid, 1, &t->w);

	if (!err)
		err = catalog_new(t->w, &co, &t->cat);
	if (err)
		return err;
	d.cat = t->cat;
	t->process = catalog_process(t->cat, t->pid);
	if (!t->process)
		return -ENOMEM;
	err = discover_process(&d, t->process, began);
	while (!err && !is_settled(t->process) && clock_ns(CLOCK_MONOTONIC) - began < LOOK_FOR) {
		const struct timespec pause = {.tv_nsec = LOOK_EACH};

		(void)nanosleep(&pause, NULL);
		err = discover_tick(&d, clock_ns(CLOCK_MONOTONIC));
	}
	discover_release(&d);
	return err;
}

static u32 module_at(const struct cat_process *p, u64 addr)
{
	for (u32 i = 0; i < p->n_maps; i++)
		if (addr >= p->maps[i].start && addr < p->maps[i].end)
			return p->maps[i].module;
	return 0;
}

static void match_copies(struct doctor_target *t)
{
	for (u32 i = 0; i < t->n_copies; i++) {
		u32 module = module_at(t->process, t->copies[i].start);

		for (u32 k = 0; k < t->process->n_copies && !t->copies[i].live; k++) {
			const struct cat_copy *c = &t->process->copies[k];

			if (t->copies[i].is_program ? !c->is_library : c->is_library && c->module == module)
				t->copies[i].live = c;
		}
	}
}

/* ---- threads ---- */

static u32 copy_of(const struct doctor_target *t, const struct cat_copy *live)
{
	for (u32 i = 0; i < t->n_copies; i++)
		if (t->copies[i].live == live)
			return i;
	return 0;
}

/* 1 + index of the runtime, which may be new; 0 out of memory. */
static u32 runtime_of(struct doctor_target *t, const struct cat_copy *live, u64 handle, bool is_multi)
{
	struct doctor_runtime *r;

	for (u32 i = 0; i < t->n_runtimes; i++)
		if (t->runtimes[i].handle == handle)
			return i + 1;
	r = reallocarray(t->runtimes, t->n_runtimes + 1, sizeof(*r));
	if (!r)
		return 0;
	t->runtimes = r;
	r[t->n_runtimes] = (struct doctor_runtime){.handle = handle, .is_multi = is_multi, .copy = copy_of(t, live)};
	return ++t->n_runtimes;
}

/* Shared notes 30-tokio.md 3.1, tokio/src/runtime/context.rs: from what the thread has entered, never from its name. */
static enum doctor_role role_of(const struct wire_ctx *x)
{
	if (x->status != WIRE_CTX_READ)
		return DOCTOR_UNREAD;
	if (x->sched && x->flavor == WIRE_FLAVOR_MULTI_THREAD)
		return x->core ? DOCTOR_WORKER : DOCTOR_IN_PLACE;
	if (x->sched)
		return DOCTOR_CURRENT;
	if (x->runtime != WIRE_NOT_ENTERED)
		return DOCTOR_BLOCK_ON;
	return x->task ? DOCTOR_BLOCKING : DOCTOR_OTHER;
}

static int meet_thread(void *ctx, const struct wire_task *w)
{
	struct doctor_target *t = ctx;
	struct doctor_thread *threads, *th;
	struct layout_owner owner;
	struct cat_copy *live;
	struct wire_ctx x;

	if (w->tgid != t->pid || t->n_threads == MAX_DOCTOR_THREADS)
		return 0;
	threads = reallocarray(t->threads, t->n_threads + 1, sizeof(*threads));
	if (!threads)
		return -ENOMEM;
	t->threads = threads;
	th = &threads[t->n_threads++];
	*th = (struct doctor_thread){.tid = w->tid};
	memcpy(th->comm, w->comm, WIRE_COMM_LEN);
	copies_read_ctx(t->process, w->fsbase, &x);
	th->role = role_of(&x);
	th->in_poll = x.status == WIRE_CTX_READ && x.budget;
	th->task = th->in_poll || th->role == DOCTOR_BLOCKING ? x.task : 0; /* else a worker's is that of its main loop */
	live = copies_by_gen(t->process, x.gen);
	if (!live || !x.sched || layout_read_owner(&live->wire, &x, cat_process_read, t->process, &owner) < 0)
		return 0;
	th->worker = owner.worker;
	th->runtime = runtime_of(t, live, owner.handle, x.flavor == WIRE_FLAVOR_MULTI_THREAD);
	if (!th->runtime)
		return -ENOMEM;
	t->runtimes[th->runtime - 1].workers += th->role != DOCTOR_IN_PLACE;
	return 0;
}

/* ---- all ---- */

int doctor_target_look(u32 pid, struct kernel_side *kernel, struct doctor_target *ret)
{
	struct proc_status st;
	int err;

	*ret = (struct doctor_target){.pid = pid};
	err = proc_status(NULL, pid, &st);
	if (!err) {
		memcpy(ret->comm, st.comm, sizeof(ret->comm));
		err = proc_exe(NULL, pid, ret->exe, sizeof(ret->exe));
	}
	if (!err)
		err = read_files(ret);
	if (!err && kernel)
		err = find_runtimes(ret, kernel);
	if (!err && kernel) {
		match_copies(ret);
		err = kernel_side_each_thread(kernel, meet_thread, ret);
		kernel_side_remove_target(kernel, pid);
	}
	ret->err = err;
	return err == -ENOMEM ? err : 0;
}

void doctor_target_release(struct doctor_target *t)
{
	for (u32 i = 0; i < t->n_copies; i++)
		tokio_points_release(&t->copies[i].points);
	free(t->copies);
	free(t->runtimes);
	free(t->threads);
	catalog_free(t->cat);
	fmt_writer_free(t->w);
	*t = (struct doctor_target){0};
}

bool doctor_target_is_whole(const struct doctor_target *t)
{
	if (t->err || !t->cat || !t->n_copies)
		return false;
	for (u32 i = 0; i < t->n_copies; i++) {
		const struct doctor_copy *c = &t->copies[i];

		if (c->points_err || !c->live || !c->live->is_confirmed)
			return false;
		for (u32 g = 0; g < PROBE_GROUPS; g++)
			if (c->points.group[g].missing && g != PROBE_DEALLOC)
				return false;
	}
	return true;
}
