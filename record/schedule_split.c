/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* schedule_split.c: see schedule_split.h. */
#include "record/schedule_split.h"

#include <errno.h>

#include "base/array.h"

/* The file's place of an address that is mapped from it, and the other way round. */
static bool to_offset(const struct cat_process *p, u32 module, u64 addr, u64 *ret)
{
	for (u32 i = 0; i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (m->module != module || addr < m->start || addr >= m->end)
			continue;
		*ret = addr - m->start + m->file_off;
		return true;
	}
	return false;
}

static bool to_addr(const struct cat_process *p, u32 module, u64 off, u64 *ret)
{
	for (u32 i = 0; i < p->n_maps; i++) {
		const struct cat_mapping *m = &p->maps[i];

		if (m->module != module || off < m->file_off || off - m->file_off >= m->end - m->start)
			continue;
		*ret = off - m->file_off + m->start;
		return true;
	}
	return false;
}

static enum schedule_how move_along(struct cat_process *p, u32 module, u64 *off)
{
	struct schedule_place at;
	u64 addr, moved;

	if (!to_addr(p, module, *off, &addr))
		return SCHEDULE_ENTRY;
	at = schedule_place_find(cat_process_read, p, addr);
	if (at.how == SCHEDULE_ENTRY || !to_offset(p, module, at.addr, &moved))
		return SCHEDULE_ENTRY;
	*off = moved;
	return at.how;
}

int schedule_split(struct cat_process *p, u32 module, const u64 *offsets, u32 n, struct schedule_split *ret)
{
	*ret = (struct schedule_split){0};
	for (u32 how = 0; how < SCHEDULE_HOWS; how++) {
		ret->part[how].offsets = reallocarray(NULL, n ? n : 1, sizeof(u64));
		if (!ret->part[how].offsets) {
			schedule_split_release(ret);
			return -ENOMEM;
		}
	}
	for (u32 i = 0; i < n; i++) {
		u64 off = offsets[i];
		enum schedule_how how = move_along(p, module, &off);

		ret->part[how].offsets[ret->part[how].n++] = off;
	}
	/* Many types of tasks have one scheduler: where the probe moves along, most places are the same. */
	for (u32 how = 0; how < SCHEDULE_HOWS; how++)
		ret->part[how].n = (u32)array_u64_unique(ret->part[how].offsets, ret->part[how].n);
	return 0;
}

void schedule_split_release(struct schedule_split *s)
{
	for (u32 how = 0; how < SCHEDULE_HOWS; how++)
		free(s->part[how].offsets);
	*s = (struct schedule_split){0};
}
