/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* vstack_loader.c: stacks with names out of the database (view_stack.h). */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "report/sqlrow.h"
#include "report/stack_status.h"
#include "report/view_stack.h"

/*
 * Frames of one stack: 512 addresses at most (fmt_def.h), each with its inlined functions (64 at most). More is no stack ascope
 * wrote.
 */
#define VSTACK_MAX_FRAMES 32768

#define ADDRESSES_SQL                                                                                                                  \
	"SELECT l.frame_id, coalesce(p.depth + l.depth >= st.fp_from, 0) FROM stack AS st JOIN stack_part AS p ON p.stack_id = st.id " \
	"JOIN frame_list AS l ON l.list_id = p.list_id WHERE st.id = ?1 ORDER BY p.depth, l.depth"

#define FUNCTIONS_SQL                                                                                                            \
	"SELECT s.function, s.file, s.line, coalesce(s.inlined, 0), s.kind, m.path, f.file_off FROM frame AS f "                 \
	"LEFT JOIN module AS m ON m.id = f.module_id LEFT JOIN symbol AS s ON s.frame_id = f.id WHERE f.id = ?1 ORDER BY s.depth"

int vstack_loader_init(struct vstack_loader *l, sqlite3 *db)
{
	int r;

	*l = (struct vstack_loader){.by_frame = U64MAP_INIT, .texts = strtab_new()};
	if (!l->texts)
		return -ENOMEM;
	r = sql_prepare(db, &l->addresses, ADDRESSES_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &l->functions, FUNCTIONS_SQL, NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &l->status, "SELECT status FROM stack WHERE id = ?1", NULL, 0);
	if (r < 0)
		vstack_loader_release(l);
	return r;
}

void vstack_loader_release(struct vstack_loader *l)
{
	(void)sqlite3_finalize(l->addresses);
	(void)sqlite3_finalize(l->functions);
	(void)sqlite3_finalize(l->status);
	u64map_release(&l->by_frame);
	free(l->runs);
	free(l->functions_of);
	strtab_free(l->texts);
	*l = (struct vstack_loader){0};
}

void vstack_release(struct vstack *s)
{
	free(s->frames);
	*s = (struct vstack){0};
}

static int read_function(struct vstack_loader *l, struct vframe *f)
{
	_cleanup_free_ char *label = NULL;
	char name[FRAME_NAME_LEN];
	int r;

	*f = (struct vframe){
		.line = sql_u64(l->functions, 2), .inlined = sql_u64(l->functions, 3) != 0, .file_off = sql_u64(l->functions, 6)};
	f->has_kind = frame_kind_of_name(sql_text(l->functions, 4), &f->kind);
	r = strtab_keep(l->texts, sql_text(l->functions, 0), &f->function);
	if (r == 0)
		r = strtab_keep(l->texts, sql_text(l->functions, 1), &f->file);
	if (r == 0)
		r = strtab_keep(l->texts, sql_text(l->functions, 5), &f->module);
	if (r == 0)
		r = vframe_label(f, false, &label);
	if (r == 0)
		r = strtab_keep(l->texts, label, &f->label);
	if (r < 0 || !f->has_kind || f->kind != FRAME_RUNTIME || !f->function)
		return r;
	f->polls_task = frame_is_task_poll(f->function, f->file);
	f->blocks_on = strcmp(frame_function_name(f->function, name, sizeof(name)), "block_on") == 0;
	return 0;
}

/* The functions at a frame, read once. */
static int run_of(struct vstack_loader *l, u64 frame_id, struct vframe_run *ret)
{
	u64 at;
	int r;

	if (u64map_get(&l->by_frame, frame_id, &at)) {
		*ret = l->runs[at];
		return 0;
	}
	r = ARRAY_ROOM(l->runs, l->n_runs, &l->cap_runs);
	if (r == 0)
		r = sql_rebind(l->functions, frame_id);
	if (r < 0)
		return r;
	*ret = (struct vframe_run){.first = (u32)l->n_functions};
	while ((r = db_step(l->functions)) > 0) {
		if (l->n_functions == UINT32_MAX)
			return -ENOMEM;
		r = ARRAY_ROOM(l->functions_of, l->n_functions, &l->cap_functions);
		if (r == 0)
			r = read_function(l, &l->functions_of[l->n_functions]);
		if (r < 0)
			return r;
		l->n_functions++;
		ret->n++;
	}
	/* A view reads no more: a statement left open would hold a read lock on the database. */
	(void)sqlite3_reset(l->functions);
	if (r == 0)
		r = u64map_put(&l->by_frame, frame_id, l->n_runs);
	if (r < 0)
		return r;
	l->runs[l->n_runs++] = *ret;
	return 0;
}

static void set_status(struct vstack *s, const char *name)
{
	u64 status = stack_status_of(name);

	if (status == STACK_STATUSES) /* no such stack */
		return;
	s->status = stack_status_name(status);
	s->cut = stack_status_is_cut(status);
	s->why = s->cut ? stack_status_why(status) : NULL;
	s->has_culprit = stack_status_has_culprit(status);
}

/* -EFBIG: more than a stack can have; what there was room for is in it. */
static int add_frame(struct vstack_loader *l, struct vstack *s, size_t *cap, bool kernel)
{
	bool guessed = sql_u64(l->addresses, 1) != 0;
	struct vframe_run run;
	int r = run_of(l, sql_u64(l->addresses, 0), &run);

	for (u32 i = 0; r == 0 && i < run.n; i++) {
		if (s->n == VSTACK_MAX_FRAMES)
			return -EFBIG;
		r = ARRAY_ROOM(s->frames, s->n, cap);
		if (r < 0)
			return r;
		s->frames[s->n] = l->functions_of[run.first + i];
		s->frames[s->n].guessed = guessed;
		if (kernel && !(s->frames[s->n].has_kind && s->frames[s->n].kind == FRAME_KERNEL)) {
			s->frames[s->n].label = NULL;
			s->frames[s->n].kind = FRAME_KERNEL;
			s->frames[s->n].has_kind = true;
		}
		s->n++;
	}
	return r;
}

int vstack_load(struct vstack_loader *l, u64 stack_id, bool kernel, struct vstack *ret)
{
	_cleanup_vstack_ struct vstack s = {0};
	size_t cap = 0;
	int r;

	*ret = (struct vstack){0};
	if (!stack_id)
		return 0;
	r = sql_rebind(l->status, stack_id);
	if (r == 0)
		r = db_step(l->status);
	if (r < 0)
		return r;
	set_status(&s, r > 0 ? sql_text(l->status, 0) : NULL);
	(void)sqlite3_reset(l->status);
	r = sql_rebind(l->addresses, stack_id);
	if (r < 0)
		return r;
	while ((r = db_step(l->addresses)) > 0) {
		r = add_frame(l, &s, &cap, kernel);
		if (r < 0)
			break;
	}
	(void)sqlite3_reset(l->addresses);
	if (r == -EFBIG) {
		s.cut = true;
		s.why = "more frames than a stack can have";
		s.has_culprit = false;
	} else if (r < 0) {
		return r;
	}
	vstack_mark_shown(&s);
	*ret = s;
	s = (struct vstack){0};
	return 0;
}
