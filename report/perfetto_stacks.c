/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* perfetto_stacks.c: see perfetto_stacks.h. Field numbers as in perfetto_out.c. */
#include "report/perfetto_stacks.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"

enum {
	INTERNED_FRAME = 6,
	INTERNED_CALLSTACK = 7,
	INTERNED_MAPPING = 19,

	FRAME_IID = 1,
	FRAME_FUNCTION = 2,
	FRAME_MAPPING = 3,
	FRAME_REL_PC = 4,
	FRAME_SOURCE = 5,
	FRAME_LINE = 6,

	CALLSTACK_IID = 1,
	CALLSTACK_FRAMES = 2,

	MAPPING_IID = 1,
	MAPPING_BUILD_ID = 2,
	MAPPING_PATH = 7,
};

/* What frames in no file's mapping, and the kernel's, are said to lie in: Perfetto wants a mapping for each. */
static const char no_module[] = "[no file]", kernel_module[] = "[kernel]";

int pf_stacks_init(struct pf_stacks *s, sqlite3 *db, struct pf_out *o)
{
	int r;

	*s = (struct pf_stacks){.o = o, .frames = strtab_new(), .mappings = strtab_new(), .places = strtab_new()};
	if (!s->frames || !s->mappings || !s->places)
		return -ENOMEM;
	r = vstack_loader_init(&s->loader, db);
	if (r < 0)
		return r;
	return sql_prepare(db, &s->build_id, "SELECT build_id FROM module WHERE path = ?1 ORDER BY id LIMIT 1", NULL, 0);
}

void pf_stacks_release(struct pf_stacks *s)
{
	vstack_loader_release(&s->loader);
	(void)sqlite3_finalize(s->build_id);
	s->frames = strtab_free(s->frames);
	s->mappings = strtab_free(s->mappings);
	s->places = strtab_free(s->places);
	u64map_release(&s->index);
	free(s->rows);
	*s = (struct pf_stacks){0};
}

static int put_mapping(struct pf_stacks *s, const char *path, u32 iid)
{
	struct pb *p = &s->o->interned;
	const char *hex;
	u64 id, name;
	int r;

	(void)sqlite3_reset(s->build_id);
	if (sqlite3_bind_text(s->build_id, 1, path, -1, SQLITE_STATIC) != SQLITE_OK)
		return -ENOMEM;
	r = db_step(s->build_id);
	if (r < 0)
		return r;
	hex = r > 0 ? sql_text(s->build_id, 0) : NULL;
	id = pf_text(s->o, PF_TEXT_BUILD_ID, hex);
	name = pf_text(s->o, PF_TEXT_PATH, path);
	(void)sqlite3_reset(s->build_id);
	pb_begin(p, INTERNED_MAPPING);
	pb_u64(p, MAPPING_IID, iid);
	if (id)
		pb_u64(p, MAPPING_BUILD_ID, id);
	pb_u64(p, MAPPING_PATH, name);
	pb_end(p);
	return 0;
}

static int mapping_iid(struct pf_stacks *s, const char *path, u32 *ret)
{
	bool is_new = false;
	int r = strtab_intern(s->mappings, path, strlen(path), ret, &is_new);

	return r < 0 || !is_new ? r : put_mapping(s, path, *ret);
}

/* What tells a frame from others. */
struct frame_key {
	u64 function, source, line, rel_pc;
	u32 mapping;
	u32 unused;
};

static int frame_iid(struct pf_stacks *s, const struct vframe *f, bool kernel, u32 *ret)
{
	const char *module = f->module && *f->module ? f->module : kernel ? kernel_module : no_module;
	_cleanup_free_ char *name = NULL;
	struct pb *p = &s->o->interned;
	struct frame_key k = {.line = f->line, .rel_pc = f->file_off};
	bool is_new = false;
	int r = vframe_name(f, &name);

	if (r == 0)
		r = mapping_iid(s, module, &k.mapping);
	if (r < 0)
		return r;
	k.function = pf_text(s->o, PF_TEXT_FUNCTION, name);
	k.source = pf_text(s->o, PF_TEXT_SOURCE, f->file);
	r = strtab_intern(s->frames, (const char *)&k, sizeof(k), ret, &is_new);
	if (r < 0 || !is_new)
		return r;
	pb_begin(p, INTERNED_FRAME);
	pb_u64(p, FRAME_IID, *ret);
	pb_u64(p, FRAME_FUNCTION, k.function);
	pb_u64(p, FRAME_MAPPING, k.mapping);
	pb_u64(p, FRAME_REL_PC, k.rel_pc);
	if (k.source)
		pb_u64(p, FRAME_SOURCE, k.source);
	if (k.source && k.line)
		pb_u64(p, FRAME_LINE, k.line);
	pb_end(p);
	return 0;
}

/* Its frames, outermost first. */
static int add_frames(struct pf_stacks *s, const struct vstack *v, bool kernel, u32 *iids, u32 *n)
{
	int r = 0;

	for (u32 i = v->n; i-- > 0 && r == 0;)
		r = frame_iid(s, &v->frames[i], kernel, &iids[(*n)++]);
	return r;
}

static int put_stack(struct pf_stacks *s, u64 stack_id, u64 kstack_id, struct pf_stack_row *row)
{
	_cleanup_vstack_ struct vstack user = {0}, kernel = {0};
	_cleanup_free_ char *label = NULL;
	_cleanup_free_ u32 *iids = NULL;
	const struct vframe *place;
	struct pb *p = &s->o->interned;
	u32 n = 0;
	int r = vstack_load(&s->loader, stack_id, false, &user);

	if (r == 0)
		r = vstack_load(&s->loader, kstack_id, true, &kernel);
	if (r < 0)
		return r;
	place = vstack_place(&user);
	if (place) {
		r = vframe_label(place, false, &label);
		if (r == 0)
			r = strtab_intern(s->places, label, strlen(label), &row->place, NULL);
		if (r < 0)
			return r;
	}
	if (!user.n && !kernel.n)
		return 0;
	iids = calloc((size_t)user.n + kernel.n, sizeof(*iids));
	if (!iids)
		return -ENOMEM;
	r = add_frames(s, &user, false, iids, &n);
	if (r == 0)
		r = add_frames(s, &kernel, true, iids, &n);
	if (r < 0)
		return r;
	row->iid = (u32)s->n + 1;
	pb_begin(p, INTERNED_CALLSTACK);
	pb_u64(p, CALLSTACK_IID, row->iid);
	for (u32 i = 0; i < n; i++)
		pb_u64(p, CALLSTACK_FRAMES, iids[i]);
	pb_end(p);
	return 0;
}

int pf_stacks_get(struct pf_stacks *s, u64 stack_id, u64 kstack_id, struct pf_stack *ret)
{
	u64 key = stack_id << 32 | kstack_id, at;
	struct pf_stack_row row = {0, 0};
	int r;

	*ret = (struct pf_stack){0, NULL};
	/* Row numbers of stacks count from 1: no capture has so many. */
	if (stack_id > UINT32_MAX || kstack_id > UINT32_MAX || !key)
		return 0;
	if (!u64map_get(&s->index, key, &at)) {
		r = ARRAY_ROOM(s->rows, s->n, &s->cap);
		if (r == 0)
			r = put_stack(s, stack_id, kstack_id, &row);
		if (r == 0)
			r = u64map_put(&s->index, key, s->n);
		if (r < 0)
			return r;
		at = s->n++;
		s->rows[at] = row;
	}
	ret->iid = s->rows[at].iid;
	ret->place = s->rows[at].place ? strtab_get(s->places, s->rows[at].place, NULL) : NULL;
	return 0;
}
