/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* profile_store.c: see profile_store.h. */
#include "report/profile_store.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/sqlrow.h"
#include "report/stack_status.h"
#include "report/view_stack.h"
#include "report/view_text.h"

/* Frames of one stack: as view_stack.c has it. */
#define STORE_MAX_FRAMES 32768
/* Numbers in all runs together: 4 GiB of them is no capture ascope wrote. */
#define STORE_MAX_CODE ((size_t)1 << 30)

/* A run of numbers in `code`, as a value of a u64map. */
#define RUN_SHIFT    24
#define RUN(at, n)   ((u64)(at) << RUN_SHIFT | (n))
#define RUN_AT(run)  ((size_t)((run) >> RUN_SHIFT))
#define RUN_LEN(run) ((u32)((run) & ((1U << RUN_SHIFT) - 1)))

int profile_store_init(struct profile_store *s, sqlite3 *db)
{
	int r;

	*s = (struct profile_store){.texts = strtab_new(), .keys = strtab_new()};
	if (!s->texts || !s->keys)
		return -ENOMEM;
	r = sql_prepare(db, &s->status, "SELECT status FROM stack WHERE id = ?1", NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &s->parts, "SELECT list_id FROM stack_part WHERE stack_id = ?1 ORDER BY depth", NULL, 0);
	if (r == 0)
		r = sql_prepare(db, &s->list, "SELECT frame_id FROM frame_list WHERE list_id = ?1 ORDER BY depth", NULL, 0);
	if (r == 0)
		r = sql_prepare(
			db, &s->frame,
			"SELECT s.function, s.file, s.line, s.inlined, s.kind, m.path, f.file_off, m.build_id FROM frame AS f "
			"LEFT JOIN module AS m ON m.id = f.module_id LEFT JOIN symbol AS s ON s.frame_id = f.id "
			"WHERE f.id = ?1 ORDER BY s.depth",
			NULL, 0);
	return r;
}

void profile_store_release(struct profile_store *s)
{
	(void)sqlite3_finalize(s->status);
	(void)sqlite3_finalize(s->parts);
	(void)sqlite3_finalize(s->list);
	(void)sqlite3_finalize(s->frame);
	s->texts = strtab_free(s->texts);
	s->keys = strtab_free(s->keys);
	u64map_release(&s->frames_of);
	u64map_release(&s->lists_of);
	free(s->frames);
	free(s->own);
	free(s->of_wakers);
	free(s->code);
	free(s->weights);
	free(s->ranks);
	*s = (struct profile_store){0};
}

static int add_frame(struct profile_store *s, const struct profile_frame *f, u32 *ret)
{
	int r = ARRAY_ROOM(s->frames, s->n_frames, &s->cap_frames);

	if (r < 0)
		return r;
	s->frames[s->n_frames++] = *f;
	*ret = s->n_frames;
	return 0;
}

int profile_store_own(struct profile_store *s, const char *name, u32 *ret)
{
	struct profile_frame f = {.synthetic = true};
	u32 idx;
	int r;

	if (!name || !*name)
		name = "?";
	r = strtab_intern(s->texts, name, strlen(name), &idx, NULL);
	if (r == 0)
		r = ARRAY_ROOM(s->own, idx, &s->cap_own);
	if (r < 0)
		return r;
	f.name = strtab_get(s->texts, idx, NULL);
	if (!s->own[idx])
		r = add_frame(s, &f, &s->own[idx]);
	*ret = s->own[idx];
	return r;
}

int profile_store_add(struct profile_store *s, const struct profile_key *k, u64 samples, u64 ns)
{
	u32 idx;
	int r;

	if (!samples && !ns)
		return 0;
	r = strtab_intern(s->keys, (const char *)k, sizeof(*k), &idx, NULL);
	if (r == 0)
		r = ARRAY_ROOM(s->weights, idx, &s->cap_weights);
	if (r < 0)
		return r;
	s->weights[idx].samples += samples;
	s->weights[idx].ns += ns;
	s->weights[idx].count += samples ? samples : 1;
	return 0;
}

/* ---- code ---- */

static int put_code(struct profile_store *s, const u32 *numbers, u32 n)
{
	int r = s->n_code + n > STORE_MAX_CODE ? -EFBIG : ARRAY_ROOM(s->code, s->n_code + n, &s->cap_code);

	if (r < 0)
		return r;
	memcpy(s->code + s->n_code, numbers, n * sizeof(*numbers));
	s->n_code += n;
	return 0;
}

/* What the statement stands at as a frame; its texts are kept. */
static int read_frame(struct profile_store *s, bool kernel, struct profile_frame *f)
{
	const char *function = sql_text(s->frame, 0), *module = sql_text(s->frame, 5);
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *address = NULL;
	int r;

	*f = (struct profile_frame){.line = sql_u64(s->frame, 2),
				    .inlined = sql_u64(s->frame, 3) != 0,
				    .file_off = sql_u64(s->frame, 6),
				    .kind = FRAME_KERNEL};
	f->has_kind = kernel || frame_kind_of_name(sql_text(s->frame, 4), &f->kind);
	f->kernel = f->has_kind && f->kind == FRAME_KERNEL;
	if (!function) {
		buf_printf(&b, "%s%s0x%llx", module ? text_basename(module) : "", module ? "+" : "",
			   (unsigned long long)f->file_off);
		address = buf_take_str(&b);
		if (!address)
			return -ENOMEM;
		function = address;
	}
	r = strtab_keep(s->texts, *function ? function : "?", &f->name);
	if (r == 0)
		r = strtab_keep(s->texts, sql_text(s->frame, 1), &f->file);
	if (r == 0)
		r = strtab_keep(s->texts, module, &f->module);
	if (r == 0)
		r = strtab_keep(s->texts, sql_text(s->frame, 7), &f->build_id);
	return r;
}

/* The functions at one address, innermost first, as a run. */
static int frame_run(struct profile_store *s, u64 frame_id, bool kernel, u64 *ret)
{
	size_t at = s->n_code;
	struct profile_frame f;
	u32 number;
	int r;

	if (u64map_get(&s->frames_of, frame_id * 2 + kernel, ret))
		return 0;
	r = sql_rebind(s->frame, frame_id);
	if (r < 0)
		return r;
	while ((r = db_step(s->frame)) > 0 && s->n_code - at < STORE_MAX_FRAMES) {
		r = read_frame(s, kernel, &f);
		if (r == 0)
			r = add_frame(s, &f, &number);
		if (r == 0)
			r = put_code(s, &number, 1);
		if (r < 0)
			return r;
	}
	(void)sqlite3_reset(s->frame);
	if (r < 0)
		return r;
	*ret = RUN(at, s->n_code - at);
	return u64map_put(&s->frames_of, frame_id * 2 + kernel, *ret);
}

/* Likewise the functions of a list of addresses. */
static int list_run(struct profile_store *s, u64 list_id, bool kernel, u64 *ret)
{
	_cleanup_free_ u32 *numbers = NULL;
	size_t cap = 0;
	u32 n = 0;
	int r;

	if (u64map_get(&s->lists_of, list_id * 2 + kernel, ret))
		return 0;
	r = sql_rebind(s->list, list_id);
	if (r < 0)
		return r;
	while ((r = db_step(s->list)) > 0 && n < STORE_MAX_FRAMES) {
		u64 run;

		r = frame_run(s, sql_u64(s->list, 0), kernel, &run);
		if (r == 0)
			r = ARRAY_ROOM(numbers, n + RUN_LEN(run), &cap);
		if (r < 0)
			return r;
		for (u32 i = 0; i < RUN_LEN(run); i++)
			numbers[n++] = s->code[RUN_AT(run) + i];
	}
	(void)sqlite3_reset(s->list);
	if (r < 0)
		return r;
	*ret = RUN(s->n_code, n);
	r = put_code(s, numbers, n);
	return r < 0 ? r : u64map_put(&s->lists_of, list_id * 2 + kernel, *ret);
}

/* ---- stacks ---- */

/* One stack being spelled out, innermost first. */
struct spelling {
	u32 *numbers;
	u32 n;
	size_t cap;
};

static int spell(struct spelling *sp, u32 number)
{
	int r;

	if (!number)
		return 0;
	r = ARRAY_ROOM(sp->numbers, sp->n, &sp->cap);
	if (r == 0)
		sp->numbers[sp->n++] = number;
	return r;
}

static int spell_stack(struct profile_store *s, struct spelling *sp, u64 stack_id, bool kernel, bool is_wait)
{
	u32 first = sp->n, cut = 0;
	u64 run;
	int r;

	if (!stack_id)
		return 0;
	r = sql_rebind(s->parts, stack_id);
	if (r < 0)
		return r;
	while ((r = db_step(s->parts)) > 0 && sp->n - first < STORE_MAX_FRAMES) {
		r = list_run(s, sql_u64(s->parts, 0), kernel, &run);
		for (u32 i = 0; r == 0 && i < RUN_LEN(run); i++) {
			u32 number = s->code[RUN_AT(run) + i];

			/* Of a sample it is what ran. */
			if (!kernel || !is_wait || sp->n > first || !kernel_frame_is_watcher(s->frames[number - 1].name))
				r = spell(sp, number);
		}
		if (r < 0)
			return r;
	}
	(void)sqlite3_reset(s->parts);
	if (r >= 0)
		r = sql_rebind(s->status, stack_id);
	if (r < 0)
		return r;
	r = db_step(s->status);
	if (r < 0)
		return r;
	if (r > 0) {
		u64 status = stack_status_of(sql_text(s->status, 0));

		if (status < STACK_STATUSES && stack_status_is_cut(status))
			r = profile_store_own(s, "[stack cut]", &cut);
	}
	(void)sqlite3_reset(s->status);
	return r < 0 ? r : spell(sp, cut);
}

/*
 * A frame of a waker is one of its own, whoever else has the code: it did not wait. And a stack the other way round has an inlined function in front of the one
 * that it is inlined into: there it is told like any other.
 */
static int waker_frame(struct profile_store *s, u32 number, u32 *ret)
{
	struct profile_frame f = s->frames[number - 1];
	int r = ARRAY_ROOM(s->of_wakers, number, &s->cap_of_wakers);

	if (r < 0)
		return r;
	f.inlined = false;
	f.waker = true;
	if (!s->of_wakers[number])
		r = add_frame(s, &f, &s->of_wakers[number]);
	*ret = s->of_wakers[number];
	return r;
}

/* The waker's frames, its outermost first: what is spelled out is turned round in the end. */
static int spell_waker(struct profile_store *s, struct spelling *sp, const struct profile_key *k)
{
	u32 first = sp->n, n;
	int r = spell_stack(s, sp, k->waker_kstack_id, true, true);

	if (r == 0)
		r = spell_stack(s, sp, k->waker_stack_id, false, true);
	n = sp->n - first;
	for (u32 i = 0; r == 0 && i < n / 2; i++) {
		u32 number = sp->numbers[first + i];

		sp->numbers[first + i] = sp->numbers[first + n - 1 - i];
		sp->numbers[first + n - 1 - i] = number;
	}
	for (u32 i = first; r == 0 && i < sp->n; i++)
		r = waker_frame(s, sp->numbers[i], &sp->numbers[i]);
	return r;
}

static int spell_key(struct profile_store *s, struct spelling *sp, const struct profile_key *k)
{
	u32 before, none = 0;
	int r = 0;

	sp->n = 0;
	for (size_t i = ARRAY_SIZE(k->behind); r == 0 && i-- > 1;)
		r = spell(sp, k->behind[i]);
	if (r == 0)
		r = spell_waker(s, sp, k);
	if (r == 0)
		r = spell(sp, k->behind[0]);
	if (r == 0)
		r = spell(sp, k->leaf);
	before = sp->n;
	if (r == 0)
		r = spell_stack(s, sp, k->kstack_id, true, k->is_wait);
	if (r == 0)
		r = spell_stack(s, sp, k->stack_id, false, k->is_wait);
	if (r == 0 && sp->n == before && !k->leaf)
		r = profile_store_own(s, "[no stack]", &none);
	if (r == 0)
		r = spell(sp, none);
	for (size_t i = ARRAY_SIZE(k->front); r == 0 && i-- > 0;)
		r = spell(sp, k->front[i]);
	return r;
}

/* ---- order ---- */

static int compare_text(const char *a, const char *b)
{
	if (a == b)
		return 0;
	return !a ? -1 : !b ? 1 : strcmp(a, b);
}

#define COMPARE(x, y) (((x) > (y)) - ((x) < (y)))

/* 0 only for frames of which nothing differs. */
static int compare_frames(const void *a, const void *b)
{
	const struct profile_frame *x = *(const struct profile_frame *const *)a, *y = *(const struct profile_frame *const *)b;
	int r = compare_text(x->name, y->name);

	r = r ? r : compare_text(x->file, y->file);
	r = r ? r : COMPARE(x->line, y->line);
	r = r ? r : compare_text(x->module, y->module);
	r = r ? r : COMPARE(x->file_off, y->file_off);
	r = r ? r : compare_text(x->build_id, y->build_id);
	r = r ? r : COMPARE(x->has_kind, y->has_kind);
	r = r ? r : COMPARE(x->kind, y->kind);
	r = r ? r : COMPARE(x->inlined, y->inlined);
	r = r ? r : COMPARE(x->synthetic, y->synthetic);
	return r ? r : COMPARE(x->waker, y->waker);
}

/* ret_sorted: frames in order, each once; ret_rank: by number, the position there. */
static int rank_frames(const struct profile_store *s, const struct profile_frame **sorted, u32 *rank)
{
	u32 n = 0;

	for (u32 i = 0; i < s->n_frames; i++)
		sorted[i] = &s->frames[i];
	qsort(sorted, s->n_frames, sizeof(struct profile_frame *), compare_frames);
	for (u32 i = 0; i < s->n_frames; i++) {
		const struct profile_frame *f = sorted[i];

		if (!n || compare_frames(&sorted[n - 1], &f) != 0)
			sorted[n++] = f;
		rank[f - s->frames + 1] = n - 1;
	}
	return 0;
}

static int compare_stacks(const void *a, const void *b)
{
	const struct profile_stack *x = a, *y = b;
	u32 n = x->n < y->n ? x->n : y->n;

	for (u32 i = 0; i < n; i++)
		if (x->frames[i] != y->frames[i])
			return x->frames[i] < y->frames[i] ? -1 : 1;
	return COMPARE(x->n, y->n);
}

/* Sorts the stacks and adds up those of the same frames. */
static void merge_stacks(struct profile *p)
{
	u32 n = 0;

	qsort(p->stacks, p->n_stacks, sizeof(*p->stacks), compare_stacks);
	for (u32 i = 0; i < p->n_stacks; i++) {
		p->samples += p->stacks[i].samples;
		p->ns += p->stacks[i].ns;
		p->count += p->stacks[i].count;
		if (n && compare_stacks(&p->stacks[n - 1], &p->stacks[i]) == 0) {
			p->stacks[n - 1].samples += p->stacks[i].samples;
			p->stacks[n - 1].ns += p->stacks[i].ns;
			p->stacks[n - 1].count += p->stacks[i].count;
		} else {
			p->stacks[n++] = p->stacks[i];
		}
	}
	p->n_stacks = n;
}

/* Frames of the profile, in order of first use; the stacks' ranks become positions there. */
static int use_frames(struct profile_store *s, const struct profile_frame *const *sorted, struct profile *p)
{
	_cleanup_free_ u32 *position = calloc((size_t)s->n_frames + 1, sizeof(*position)); /* of a rank, + 1 */

	p->frames = calloc((size_t)s->n_frames + 1, sizeof(*p->frames));
	if (!position || !p->frames)
		return -ENOMEM;
	for (u32 i = 0; i < p->n_stacks; i++) {
		u32 *ranks = s->ranks + (p->stacks[i].frames - s->ranks);

		for (u32 k = 0; k < p->stacks[i].n; k++) {
			if (!position[ranks[k]]) {
				p->frames[p->n_frames] = *sorted[ranks[k]];
				position[ranks[k]] = ++p->n_frames;
			}
			ranks[k] = position[ranks[k]] - 1;
		}
	}
	return 0;
}

/* All stacks as numbers in s->ranks, outermost first; p->stacks has offsets, since the array moves while it grows. */
static int spell_all(struct profile_store *s, struct profile *p, size_t **ret_at)
{
	_cleanup_free_ u32 *numbers = NULL;
	_cleanup_free_ size_t *at = NULL;
	u32 n = strtab_count(s->keys);
	struct spelling sp = {0};
	size_t total = 0, cap = 0;
	int r = 0;

	at = calloc((size_t)n + 1, sizeof(*at));
	p->stacks = calloc((size_t)n + 1, sizeof(*p->stacks));
	if (!at || !p->stacks)
		return -ENOMEM;
	for (u32 i = 0; r == 0 && i < n; i++) {
		struct profile_key key;

		memcpy(&key, strtab_get(s->keys, i + 1, NULL), sizeof(key));
		r = spell_key(s, &sp, &key);
		if (r == 0)
			r = total + sp.n > STORE_MAX_CODE ? -ENOMEM : ARRAY_ROOM(numbers, total + sp.n, &cap);
		if (r < 0)
			break;
		at[i] = total;
		for (u32 k = sp.n; k-- > 0;)
			numbers[total++] = sp.numbers[k];
		p->stacks[i] =
			(struct profile_stack){.n = sp.n, .samples = s->weights[i + 1].samples, .ns = s->weights[i + 1].ns};
	}
	free(sp.numbers);
	if (r < 0)
		return r;
	p->n_stacks = n;
	s->ranks = TAKE_PTR(numbers);
	*ret_at = TAKE_PTR(at);
	return 0;
}

int profile_store_finish(struct profile_store *s, struct profile *p)
{
	_cleanup_free_ const struct profile_frame **sorted = NULL;
	_cleanup_free_ size_t *at = NULL;
	_cleanup_free_ u32 *rank = NULL;
	int r;

	r = spell_all(s, p, &at);
	if (r < 0)
		return r;
	sorted = calloc((size_t)s->n_frames + 1, sizeof(*sorted));
	rank = calloc((size_t)s->n_frames + 1, sizeof(*rank));
	if (!sorted || !rank)
		return -ENOMEM;
	r = rank_frames(s, sorted, rank);
	if (r < 0)
		return r;
	for (u32 i = 0; i < p->n_stacks; i++) {
		u32 *numbers = s->ranks + at[i];

		for (u32 k = 0; k < p->stacks[i].n; k++)
			numbers[k] = rank[numbers[k]];
		p->stacks[i].frames = numbers;
	}
	merge_stacks(p);
	return use_frames(s, sorted, p);
}
