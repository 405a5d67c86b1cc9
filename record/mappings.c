/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mappings.c: see mappings.h. The list of a process is sorted by address, without overlaps, as unwind_tables_set() wants it. */
#include "record/mappings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "record/modules.h"
#include "record/procfs.h"

enum { MAX_MAPPINGS = 1 << 16, MAX_NEWS = 256 };

#define SCAN_INTERVAL	  (10 * NSEC_PER_MSEC) /* at least, from the last scan of a process to one without news */
#define SCAN_INTERVAL_MAX NSEC_PER_SEC /* doubled up to this while scans find nothing: addresses that are in no mapping at all */
#define SCAN_SHARE	  10	       /* a scan that takes 1 ms of cpu is followed by a pause of 10 ms */
/* Tables are built in the main loop, while events gather in the ring; what takes longer than this waits for the next turn. One file may exceed it. */
#define BUILD_BUDGET (50 * NSEC_PER_MSEC)
/* The kernel side counts execs by itself, in the low bits, until user space has seen them. */
#define GENERATION_STEP 0x100

struct mappings {
	struct catalog *cat;
	struct unwind_tables *tables; /* NULL: nothing is published */
	struct modules *modules;
	u32 generation; /* the last one given out */
};

struct scan {
	struct mappings *ms;
	struct cat_process *p;
	u64 ts;
	struct cat_mapping *list; /* to become the process's */
	u32 n;
	size_t cap;
	u32 kept_modules, kept_anon; /* mappings that were there before */
	u32 new_modules, new_anon;
	bool built, unbuilt;	 /* a table was added; one is still to be built */
	u64 build_ns, build_cpu; /* time and cpu time that building took */
	char exe[PATH_MAX];
};

struct mappings *mappings_free(struct mappings *ms)
{
	if (!ms)
		return NULL;
	modules_free(ms->modules);
	unwind_tables_free(ms->tables);
	free(ms);
	return NULL;
}

int mappings_new(struct catalog *cat, const struct unwind_arrays *arrays, struct mappings **ret)
{
	struct mappings *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return -ENOMEM;
	ms->cat = cat;
	if ((arrays && unwind_tables_new(arrays, &ms->tables) < 0) || modules_new(cat, ms->tables, &ms->modules) < 0) {
		mappings_free(ms);
		return -ENOMEM;
	}
	*ret = ms;
	return 0;
}

const struct unwind_tables *mappings_tables(const struct mappings *ms)
{
	return ms->tables;
}

struct module_tokio *mappings_module_tokio(const struct mappings *ms, u32 module)
{
	return modules_tokio(ms->modules, module);
}

/* ---- what a process has ---- */

/* The mapping that holds addr, or NULL. */
static struct cat_mapping *find(const struct cat_process *p, u64 addr)
{
	u32 lo = 0, hi = p->n_maps;

	while (lo < hi) { /* lo: the first mapping that ends above addr */
		u32 mid = lo + (hi - lo) / 2;

		if (p->maps[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n_maps && p->maps[lo].start <= addr ? &p->maps[lo] : NULL;
}

bool mappings_hold(const struct cat_process *p, u64 addr)
{
	return find(p, addr);
}

void mappings_note(struct cat_process *p, u64 addr, u64 len, u64 ts)
{
	struct cat_news *news;

	p->scan.wanted = true;
	p->scan.interval = 0; /* there is something to be found */
	for (u32 i = 0; i < p->n_maps; i++)
		if (!len || (p->maps[i].start < addr + len && p->maps[i].end > addr))
			p->maps[i].again = true;
	if (!len || p->n_news >= MAX_NEWS) /* its time is then that of the scan */
		return;
	news = reallocarray(p->news, p->n_news + 1, sizeof(*news));
	if (!news)
		return;
	p->news = news;
	p->news[p->n_news++] = (struct cat_news){.start = addr, .end = addr + len, .ts = ts};
}

void mappings_miss(struct cat_process *p)
{
	p->scan.wanted = true;
}

bool mappings_due(const struct cat_process *p, u64 now)
{
	const struct cat_scan *s = &p->scan;

	return s->wanted && now >= s->ended + max_u64(s->interval, s->cost * SCAN_SHARE);
}

void mappings_release(struct cat_process *p)
{
	free(p->maps);
	free(p->news);
	p->maps = NULL;
	p->news = NULL;
	p->n_maps = p->n_news = 0;
}

void mappings_drop(struct mappings *ms, struct cat_process *p)
{
	if (ms->tables)
		unwind_tables_drop(ms->tables, clock_ns(CLOCK_MONOTONIC), &p->slice);
	mappings_release(p);
	p->scan.wanted = false;
}

/* ---- a scan ---- */

/* The path of a mapping is exe's, deleted or not. */
static bool is_path(const char *path, const char *exe)
{
	size_t n = strlen(exe);

	return n && !strncmp(path, exe, n) && (!path[n] || path[n] == ' ');
}

/* When a new mapping was made: exactly, if there was news of it. */
static u64 made_at(const struct scan *s, const struct cat_mapping *m)
{
	u64 ts = 0;

	for (u32 i = 0; i < s->p->n_news && s->ts; i++)
		if (s->p->news[i].start < m->end && s->p->news[i].end > m->start)
			ts = max_u64(ts, s->p->news[i].ts);
	return ts ? ts : s->ts;
}

static void put_row(struct scan *s, const struct cat_mapping *m)
{
	catalog_row(s->ms->cat, FMT_MAPPING,
		    &(struct fmt_mapping){
			    .process = s->p->idx,
			    .module = m->module,
			    .start = m->start,
			    .end = m->end,
			    .file_off = m->file_off,
			    .ts = made_at(s, m),
		    });
}

static bool is_same(const struct cat_mapping *old, const struct proc_map *m)
{
	return old->start == m->start && old->end == m->end && old->file_off == m->file_off && old->dev == m->dev &&
	       old->inode == m->inode && !old->module == !modules_is_one(m);
}

/* Whose mapping it is: as before, if nothing speaks against it. */
static int identify(struct scan *s, const struct proc_map *m, struct cat_mapping *ret)
{
	const struct cat_mapping *old = find(s->p, m->start);
	int err;

	*ret = (struct cat_mapping){.start = m->start, .end = m->end, .file_off = m->file_off, .dev = m->dev, .inode = m->inode};
	if (old && !is_same(old, m))
		old = NULL;
	if (!modules_is_one(m)) {
		s->kept_anon += old != NULL;
		s->new_anon += !old;
		return 0;
	}
	if (old && !old->again) {
		ret->module = old->module;
	} else {
		err = modules_find(s->ms->modules, s->p, m, &ret->module);
		if (err)
			return err;
	}
	if (old && old->module == ret->module) {
		s->kept_modules++;
	} else {
		s->new_modules++;
		put_row(s, ret);
	}
	return 0;
}

static int build(struct scan *s, const struct proc_map *m, u32 module)
{
	struct unwind_tables *t = s->ms->tables;
	u64 before, before_cpu;
	int err;

	if (!t || !module || unwind_tables_has(t, module))
		return 0;
	if (s->ts && s->build_ns >= BUILD_BUDGET) { /* ts 0: records do not flow yet */
		s->unbuilt = true;
		return 0;
	}
	before = clock_ns(CLOCK_MONOTONIC);
	before_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	err = modules_build(s->ms->modules, s->p, m, module);
	s->build_ns += clock_ns(CLOCK_MONOTONIC) - before;
	s->build_cpu += clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_cpu;
	s->built |= unwind_tables_has(t, module);
	return err;
}

static int take_mapping(void *ctx, const struct proc_map *m)
{
	struct scan *s = ctx;
	struct cat_mapping *at;
	int err;

	/* the kernel makes the text in pieces, in between the process may change what it says: overlaps are possible */
	if (!m->exec || m->end <= m->start || s->n == MAX_MAPPINGS || (s->n && m->start < s->list[s->n - 1].end))
		return 0;
	if (ARRAY_ROOM(s->list, s->n, &s->cap) < 0)
		return -ENOMEM;
	at = &s->list[s->n];
	err = identify(s, m, at);
	if (!err)
		err = build(s, m, at->module);
	if (err)
		return err;
	s->n++;
	if (at->module && is_path(m->path, s->exe))
		s->p->exe_module = at->module;
	return 0;
}

/* Neighbours without a table are one mapping to the walker: JIT compilers make many. */
static int publish(struct mappings *ms, struct cat_process *p)
{
	_cleanup_free_ struct unwind_mapping *list = calloc(p->n_maps ? p->n_maps : 1, sizeof(*list));
	u32 n = 0;
	int err;

	if (!list)
		return -ENOMEM;
	for (u32 i = 0; i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (n && !m->module && !list[n - 1].module && list[n - 1].end == m->start)
			list[n - 1].end = m->end;
		else
			list[n++] = (struct unwind_mapping){
				.start = m->start, .end = m->end, .file_off = m->file_off, .module = m->module};
	}
	p->unpublished = true;
	err = unwind_tables_set(ms->tables, list, n, clock_ns(CLOCK_MONOTONIC), &p->slice);
	return err == -ENOSPC ? 0 : err; /* counted; the process has no mappings then */
}

/* The list becomes the process's. */
static int adopt(struct scan *s)
{
	struct cat_process *p = s->p;
	u32 lost_modules = 0, lost_anon = 0;

	for (u32 i = 0; i < p->n_maps; i++)
		*(p->maps[i].module ? &lost_modules : &lost_anon) += 1;
	lost_modules -= s->kept_modules;
	lost_anon -= s->kept_anon;
	p->scan.lost_anon |= lost_anon > 0;
	/* Anonymous memory comes and goes with every JIT compiler; only when a file is mapped after that, an address may mean other code for sure. */
	if (!p->map_gen || lost_modules || (s->new_modules && p->scan.lost_anon)) {
		p->map_gen = s->ms->generation += GENERATION_STEP;
		p->scan.lost_anon = false;
		p->unpublished = true;
	}
	mappings_release(p);
	p->maps = TAKE_PTR(s->list);
	p->n_maps = s->n;
	s->built |= lost_modules || lost_anon || s->new_modules || s->new_anon;
	return s->built && s->ms->tables ? publish(s->ms, p) : 0;
}

int mappings_scan(struct mappings *ms, struct cat_process *p, u64 ts)
{
	struct scan s = {.ms = ms, .p = p, .ts = ts};
	u64 cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int err;

	p->scan.wanted = false;
	if (p->exe_module || proc_exe(p->fs, p->pid, s.exe, sizeof(s.exe)) < 0)
		s.exe[0] = 0;
	if (ms->tables)
		unwind_tables_tick(ms->tables, clock_ns(CLOCK_MONOTONIC));
	err = proc_maps(p->fs, p->pid, take_mapping, &s);
	if (!err && !s.n) /* a zombie */
		err = -ESRCH;
	if (!err)
		err = adopt(&s);
	free(s.list);
	p->scan.ended = clock_ns(CLOCK_MONOTONIC);
	/* not the time that passed: on a busy machine most of that is waiting for a cpu, or for the helper, and a library would be met seconds late */
	p->scan.cost = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu - s.build_cpu;
	p->scan.interval = s.built ? SCAN_INTERVAL : min_u64(max_u64(p->scan.interval, SCAN_INTERVAL / 2) * 2, SCAN_INTERVAL_MAX);
	if (s.unbuilt) { /* at the next turn, without a pause */
		p->scan.wanted = true;
		p->scan.ended = 0;
	}
	return err;
}
