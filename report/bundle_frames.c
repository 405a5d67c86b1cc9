/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_frames.c: see bundle_frames.h. How addresses are looked up is load_events.c's and load_stack.c's business; here both ways are taken in doubt. */
#include "report/bundle_frames.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/load_symbol.h"

/* How the innermost address of a stack is looked up; a set, for events share stacks. */
enum top_use { TOP_EXACT = 1, TOP_RETURN = 2 };

static int compare_mappings(const void *a, const void *b)
{
	const struct fmt_mapping *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

int frame_set_init(struct frame_set *f, struct load_dict *d)
{
	*f = (struct frame_set){.d = d};
	if (d->n_mappings)
		qsort(d->mappings, d->n_mappings, sizeof(*d->mappings), compare_mappings);
	f->max_end = calloc(d->n_mappings + 1, sizeof(*f->max_end));
	f->seen = calloc(d->processes.n + 1, sizeof(*f->seen));
	if (!f->max_end || !f->seen)
		return -ENOMEM;
	for (size_t i = 0; i < d->n_mappings; i++) {
		bool is_first = !i || d->mappings[i].process != d->mappings[i - 1].process;

		if (is_first && u64map_put(&f->first_of, d->mappings[i].process, i) < 0)
			return -ENOMEM;
		f->max_end[i] = is_first ? d->mappings[i].end : max_u64(f->max_end[i - 1], d->mappings[i].end);
	}
	return 0;
}

void frame_set_release(struct frame_set *f)
{
	for (u32 i = 0; f->seen && i <= f->d->processes.n; i++)
		u64map_release(&f->seen[i]);
	free(f->seen);
	free(f->max_end);
	free(f->places);
	u64map_release(&f->first_of);
	u64map_release(&f->stack_slot);
	*f = (struct frame_set){0};
}

/* ---- addresses ---- */

static int put_place(struct frame_set *f, const struct fmt_mapping *m, u64 addr, bool is_return)
{
	u64 off = addr - m->start + m->file_off;

	if (off >= LOAD_FILE_OFF_MAX)
		return 0;
	if (ARRAY_ROOM_RAW(f->places, f->n, &f->cap) < 0)
		return -ENOMEM;
	f->places[f->n++] = (struct frame_place){m->module, load_symbols_key(off, is_return)};
	return 0;
}

/* A hostile file could have every address in every mapping. */
enum { MAX_OVERLAPS = 256 };

/* A file that cannot be compared with the one that ran is never used, and [vdso] is none. */
static bool has_id(const struct load_dict *d, u64 module)
{
	const struct fmt_module *m = dict_table_find(&d->modules, module, NULL);
	const char *path = m ? load_dict_str(d, m->path) : NULL;
	const char *build_id = m ? load_dict_str(d, m->build_id) : NULL, *file_id = m ? load_dict_str(d, m->file_id) : NULL;

	if (path && path[0] == '[')
		return false;
	return (build_id && *build_id) || (file_id && *file_id);
}

/* Behind the last mapping of a process that begins at an address or before it; *ret_first the process's first. 0: it has none. */
static size_t mappings_up_to(const struct frame_set *f, u64 process, u64 at, u64 *ret_first)
{
	const struct load_dict *d = f->d;
	size_t lo, hi = d->n_mappings;

	if (!u64map_get(&f->first_of, process, ret_first))
		return 0;
	for (lo = *ret_first; lo < hi;) {
		size_t mid = lo + (hi - lo) / 2;

		if (d->mappings[mid].process == process && d->mappings[mid].start <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool frame_set_find(const struct frame_set *f, u64 process, u64 addr, struct frame_place *ret)
{
	u64 first = 0;
	size_t lo = addr ? mappings_up_to(f, process, addr, &first) : 0;

	for (u32 n = 0; n < MAX_OVERLAPS && lo > first && f->max_end[lo - 1] > addr; n++, lo--) {
		const struct fmt_mapping *m = &f->d->mappings[lo - 1];
		u64 off = addr - m->start + m->file_off;

		if (m->end <= addr || off >= LOAD_FILE_OFF_MAX)
			continue;
		*ret = (struct frame_place){m->module, load_symbols_key(off, false)};
		return has_id(f->d, m->module);
	}
	return false;
}

/* In every mapping that ever was there: which one held the address when is the reader's to tell. */
static int put_address(struct frame_set *f, u64 process, u64 addr, bool is_return)
{
	const struct load_dict *d = f->d;
	u64 key = addr * 2 + is_return, at = is_return && addr ? addr - 1 : addr, first, seen;
	size_t lo;
	u32 slot;
	int err = 0;

	if (!dict_table_find(&d->processes, process, &slot) || !u64map_get(&f->first_of, process, &first))
		return 0;
	if (u64map_get(&f->seen[slot], key, &seen))
		return 0;
	if (u64map_put(&f->seen[slot], key, 1) < 0)
		return -ENOMEM;
	lo = mappings_up_to(f, process, at, &first);
	for (u32 n = 0; n < MAX_OVERLAPS && lo > first && f->max_end[lo - 1] > at && !err; n++, lo--)
		if (d->mappings[lo - 1].end > at)
			err = put_place(f, &d->mappings[lo - 1], addr, is_return);
	return err;
}

/* ---- events ---- */

static int use_stack(struct frame_set *f, u64 idx, u32 use)
{
	u64 uses = 0;
	u32 slot;

	if (!dict_table_find(&f->d->stacks, idx, &slot))
		return 0;
	if (u64map_get(&f->stack_slot, slot, &uses) && (uses & use) == use)
		return 0;
	return u64map_put(&f->stack_slot, slot, uses | use);
}

static u64 process_of(const struct frame_set *f, u64 thread, u64 callers)
{
	const struct dict_stack *s = dict_table_find(&f->d->stacks, callers, NULL);
	const struct dict_thread *t = dict_table_find(&f->d->threads, thread, NULL);

	return s ? s->process : t ? t->f.process : 0;
}

static int on_sample(struct frame_set *f, const struct fmt_sample *e)
{
	u64 process;
	int err;

	if (!e->pc)
		return use_stack(f, e->ustack, TOP_EXACT);
	process = process_of(f, e->thread, e->ustack);
	err = put_address(f, process, e->pc, false);
	if (!err && e->mode == 2) /* behind a system call? its kernel stack tells */
		err = put_address(f, process, e->pc, true);
	return err ? err : use_stack(f, e->ustack, TOP_RETURN);
}

static int on_row(struct frame_set *f, const struct fmt_section *s, u32 i)
{
	union {
		struct fmt_switch_out out;
		struct fmt_sample sample;
		struct fmt_snapshot snapshot;
		struct fmt_waking waking;
		struct fmt_marker marker;
		struct fmt_task_spawn spawn;
	} e;

	fmt_section_row(s, i, &e);
	switch (s->kind_id) {
	case FMT_SWITCH_OUT:
		return use_stack(f, e.out.ustack, e.out.syscall ? TOP_RETURN : TOP_EXACT);
	case FMT_SNAPSHOT:
		return use_stack(f, e.snapshot.ustack, e.snapshot.syscall ? TOP_RETURN : TOP_EXACT);
	case FMT_WAKING: /* whether in a system call tells its kernel stack */
		return e.waking.waker_ustack ? use_stack(f, e.waking.waker_ustack, TOP_RETURN | TOP_EXACT) : 0;
	case FMT_MARKER:
		return use_stack(f, e.marker.ustack, TOP_RETURN);
	case FMT_TASK_SPAWN:
		return e.spawn.caller ? put_address(f, process_of(f, e.spawn.thread, 0), e.spawn.caller, true) : 0;
	default:
		return on_sample(f, &e.sample);
	}
}

int frame_set_block(struct frame_set *f, const struct fmt_block *b)
{
	int err = 0;

	for (u32 n = 0; n < b->n_sections && !err; n++) {
		const struct fmt_section *s = &b->sections[n];

		if (s->kind_id != FMT_SWITCH_OUT && s->kind_id != FMT_SAMPLE && s->kind_id != FMT_SNAPSHOT &&
		    s->kind_id != FMT_MARKER && s->kind_id != FMT_TASK_SPAWN && s->kind_id != FMT_WAKING)
			continue;
		for (u32 i = 0; i < s->rows && !err; i++)
			err = on_row(f, s, i);
	}
	return err;
}

/* ---- the end ---- */

static int put_stack(struct frame_set *f, const struct dict_stack *s, u64 uses)
{
	int err = 0;

	if (s->kind != FMT_STACK_USER)
		return 0;
	for (u64 i = 0; i < s->len && !err; i++) {
		u64 addr;

		memcpy(&addr, f->d->addrs.data + (s->off + i) * sizeof(addr), sizeof(addr));
		if (i || uses & TOP_RETURN)
			err = put_address(f, s->process, addr, true);
		if (!err && !i && uses & TOP_EXACT)
			err = put_address(f, s->process, addr, false);
	}
	return err;
}

static int compare_places(const void *a, const void *b)
{
	const struct frame_place *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* The functions of the types of tasks. */
static int put_vtables(struct frame_set *f)
{
	int err = 0;

	for (u32 slot = 0; slot < f->d->vtables.n && !err; slot++) {
		const struct fmt_vtable *v = dict_table_at(&f->d->vtables, slot);
		const struct fmt_layout *l = dict_table_find(&f->d->layouts, v->layout, NULL);

		if (l && v->poll)
			err = put_address(f, l->process, v->poll, false);
		if (!err && l && v->dealloc)
			err = put_address(f, l->process, v->dealloc, false);
	}
	return err;
}

int frame_set_conclude(struct frame_set *f)
{
	const struct u64map *uses = &f->stack_slot;
	size_t n = 0;
	int err = put_vtables(f);

	for (size_t i = 0; i < uses->cap && !err; i++)
		if (uses->used[i])
			err = put_stack(f, dict_table_at(&f->d->stacks, (u32)uses->keys[i]), uses->values[i]);
	if (err || !f->n)
		return err;
	qsort(f->places, f->n, sizeof(*f->places), compare_places);
	for (size_t i = 0; i < f->n; i++) {
		const struct frame_place *at = &f->places[i];

		if (n && f->places[n - 1].module == at->module && f->places[n - 1].key == at->key)
			continue;
		if ((n && f->places[n - 1].module == at->module) || has_id(f->d, at->module))
			f->places[n++] = *at;
	}
	f->n = n;
	return 0;
}
