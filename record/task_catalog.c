/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_catalog.c: see task_catalog.h. On the path of every record of a task: one look into a table each for its vtable and its location. */
#include "record/task_catalog.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/u64map.h"
#include "record/copies.h"
#include "record/mappings.h"

enum {
	VTABLE_WORDS = 10,
	MAX_FILE = 4095, /* bytes of a source file's name */
	MAX_LINE = (1 << 24) - 1,
	MAX_BAD = 1 << 12, /* addresses of a process that are remembered as bad: later ones are read again each time */
};

/* Of cat_tasks.site: 1 + the location of all tasks of a vtable, or */
#define SEVERAL UINT64_MAX

struct cat_tasks {
	struct u64map vtables, locations; /* address -> index; 0 bad */
	u32 n_bad;
	struct u64map site; /* by vtable index */
	u32 n_several;
	struct task_catalog_learned learned;
};

static struct cat_tasks *tasks_of(struct cat_process *p)
{
	if (!p->tasks)
		p->tasks = calloc(1, sizeof(*p->tasks));
	return p->tasks;
}

void task_catalog_release(struct cat_process *p)
{
	if (!p->tasks)
		return;
	u64map_release(&p->tasks->vtables);
	u64map_release(&p->tasks->locations);
	u64map_release(&p->tasks->site);
	free(TAKE_PTR(p->tasks));
}

struct task_catalog_counts task_catalog_counts(struct catalog *c)
{
	return *catalog_task_counts(c);
}

struct cat_copy *task_catalog_copy(const struct cat_process *p, u32 module)
{
	struct cat_copy *unloaded = NULL;

	for (u32 i = 0; i < p->n_copies; i++) {
		if (p->copies[i].module != module)
			continue;
		if (p->copies[i].is_mapped)
			return &p->copies[i];
		unloaded = &p->copies[i];
	}
	return unloaded; /* its last records come late */
}

u32 task_catalog_layout(struct catalog *c, const struct cat_process *p, struct cat_copy *copy)
{
	if (!copy->layout_idx)
		catalog_layout(c, p, copy, clock_ns(CLOCK_MONOTONIC));
	return copy->layout_idx;
}

/* ---- where things are ---- */

/* Whether n bytes at addr are in the image of the copy's module, as it is mapped. */
static bool is_in_module(struct catalog *c, const struct cat_process *p, const struct cat_copy *copy, u64 addr, u64 n)
{
	const struct module_tokio *t = catalog_module_tokio(c, copy->module);

	if (!t && !copy->is_library)
		t = p->own_exe;
	for (u32 i = 0; t && i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (m->module == copy->module && m->module)
			return module_image_holds(&t->image, addr - module_image_bias(&t->image, m->start, m->file_off), n);
	}
	return false;
}

/* Remembers what is at an address; of bad ones only so many. */
static void remember(struct cat_tasks *t, struct u64map *map, u64 addr, u64 idx)
{
	if (!idx && t->n_bad++ >= MAX_BAD)
		return;
	(void)!u64map_put(map, addr, idx); /* without memory for it: it is read again */
}

/* ---- vtables ---- */

/* Tokio's offsets in a task: not 0, in whole words; a future of 4 GiB there is not. */
static bool is_offset(u64 v)
{
	return v && v % 8 == 0 && v < 1ULL << 32;
}

/*
 * 0; -EBADMSG there is none; -EFAULT the memory cannot be read: the process is just ending.
 *
 * 1.23 and later: poll, schedule, dealloc, try_read_output, drop_join_handle_slow, drop_abort_handle, shutdown; offsets of trailer, scheduler and id.
 * 1.18 - 1.22:    poll, dealloc, try_read_output, try_set_join_waker, drop_join_handle_slow, drop_abort_handle, remote_abort, shutdown; 1.21 and 1.22: offset of
 * the trailer.
 */
static int read_vtable(struct cat_process *p, u64 addr, struct fmt_vtable *row)
{
	u64 w[VTABLE_WORDS] = {0};
	u32 n_text = 0;

	if (cat_process_read(p, addr, w, sizeof(w)) < 0 && cat_process_read(p, addr, w, 8 * sizeof(*w)) < 0)
		return -EFAULT;
	while (n_text < 8 && mappings_hold(p, w[n_text]))
		n_text++;
	row->poll = w[0];
	if (n_text == 8) {
		row->dealloc = w[1];
		row->shutdown = w[7];
		return 0;
	}
	row->schedule = w[1];
	row->dealloc = w[2];
	row->shutdown = w[6];
	row->id_off = w[9];
	return n_text == 7 && is_offset(w[7]) && is_offset(w[8]) && is_offset(w[9]) ? 0 : -EBADMSG;
}

static u32 new_vtable(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr)
{
	struct task_catalog_counts *n = catalog_task_counts(c);
	struct fmt_vtable row = {.layout = task_catalog_layout(c, p, copy), .addr = addr};

	if (!p->gone &&
	    (addr % 8 || !is_in_module(c, p, copy, addr, 8 * sizeof(u64)) || read_vtable(p, addr, &row) == -EBADMSG)) {
		n->bad_vtables++;
		return 0;
	}
	row.idx = ++n->vtables;
	catalog_row(c, FMT_VTABLE, &row);
	return (u32)row.idx;
}

u32 task_catalog_vtable(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr)
{
	struct task_catalog_counts *n = catalog_task_counts(c);
	struct cat_tasks *t = tasks_of(p);
	u64 idx;

	if (!t || !addr || !copy)
		return 0;
	if (u64map_get(&t->vtables, addr, &idx))
		return (u32)idx;
	if (n->vtables >= TASK_CATALOG_MAX) {
		n->no_room++;
		return 0;
	}
	idx = new_vtable(c, p, copy, addr);
	remember(t, &t->vtables, addr, idx);
	return (u32)idx;
}

/* ---- locations ---- */

struct location {
	u64 file, file_len;
	u32 line, column;
};

/* A name of a Rust source file: whatever else lies in a register will hardly look like that. */
static bool is_source(const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((u8)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return n > 3 && !memcmp(name + n - 3, ".rs", 3);
}

static bool read_location(struct catalog *c, struct cat_process *p, const struct cat_copy *copy, u64 addr, struct location *l,
			  char *file)
{
	if (addr % 8 || !is_in_module(c, p, copy, addr, sizeof(*l)) || cat_process_read(p, addr, l, sizeof(*l)) < 0)
		return false;
	if (!l->file_len || l->file_len > MAX_FILE || !l->line || l->line > MAX_LINE || !l->column || l->column > MAX_LINE)
		return false;
	if (!is_in_module(c, p, copy, l->file, l->file_len) || cat_process_read(p, l->file, file, l->file_len) < 0)
		return false;
	file[l->file_len] = 0;
	return is_source(file, l->file_len);
}

static u32 new_location(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr)
{
	struct task_catalog_counts *n = catalog_task_counts(c);
	char file[MAX_FILE + 1];
	struct location l;

	if (p->gone || !read_location(c, p, copy, addr, &l, file)) {
		n->bad_locations++;
		return 0;
	}
	catalog_row(c, FMT_LOCATION,
		    &(struct fmt_location){
			    .idx = ++n->locations,
			    .layout = task_catalog_layout(c, p, copy),
			    .addr = addr,
			    .file = catalog_string(c, file),
			    .line = l.line,
			    .column = l.column,
		    });
	return n->locations;
}

u32 task_catalog_location(struct catalog *c, struct cat_process *p, struct cat_copy *copy, u64 addr)
{
	struct task_catalog_counts *n = catalog_task_counts(c);
	struct cat_tasks *t = tasks_of(p);
	u64 idx;

	if (!t || !addr || !copy)
		return 0;
	if (u64map_get(&t->locations, addr, &idx))
		return (u32)idx;
	if (n->locations >= TASK_CATALOG_MAX) {
		n->no_room++;
		return 0;
	}
	idx = new_location(c, p, copy, addr);
	remember(t, &t->locations, addr, idx);
	return (u32)idx;
}

/* ---- learning ---- */

static void learn(struct cat_tasks *t, u32 vtable, u32 location)
{
	u64 site;

	t->learned.since++;
	if (u64map_get(&t->site, vtable, &site)) {
		if (site == 1 + (u64)location || site == SEVERAL)
			return;
		t->n_several++;
	}
	site = u64map_get(&t->site, vtable, &site) ? SEVERAL : 1 + (u64)location;
	if (u64map_put(&t->site, vtable, site) < 0)
		t->n_several++; /* it stays unknown: nothing is to rest on it */
	t->learned.pairs++;
	t->learned.since = 0;
}

u32 task_catalog_learn(struct catalog *c, struct cat_process *p, u32 vtable, u32 location, bool watched)
{
	struct cat_tasks *t = tasks_of(p);
	u64 site;

	if (!t || !vtable)
		return location;
	if (watched)
		learn(t, vtable, location);
	if (watched || location || !u64map_get(&t->site, vtable, &site) || site == SEVERAL || site == 1)
		return location;
	catalog_task_counts(c)->learned++;
	return (u32)(site - 1);
}

struct task_catalog_learned task_catalog_learned(const struct cat_process *p)
{
	struct task_catalog_learned r = p->tasks ? p->tasks->learned : (struct task_catalog_learned){0};

	r.is_single = !p->tasks || !p->tasks->n_several;
	return r;
}
