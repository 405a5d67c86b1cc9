/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unwind_walk.c: see unwind_walk.h. The step itself is bpf/unwind.h. */
#include "record/unwind_walk.h"

#include <errno.h>
#include <string.h>

#define UW_FN	 static
#define UW_STATE const struct uw_env *env;

/* What takes the place of BPF maps and of the current process's memory. */
struct uw_env {
	const struct unwind_arrays *a;
	const struct unwind_regs *regs;
	unwind_read_fn read;
	void *ctx;
};

struct uw;
static inline const u64 *uw_row_at(const struct uw *s, u32 k);
static inline const u64 *uw_idx_at(const struct uw *s, u32 k);
static inline const struct uw_map *uw_map_at(const struct uw *s, u32 k);
static inline long uw_read(const struct uw *s, void *dst, u32 n, u64 addr);
static inline long uw_reg(const struct uw *s, u32 reg, u64 *ret);

#include "bpf/unwind.h"

static inline const u64 *uw_row_at(const struct uw *s, u32 k)
{
	return k < s->env->a->n_rows ? &s->env->a->rows[k] : NULL;
}

static inline const u64 *uw_idx_at(const struct uw *s, u32 k)
{
	return k < s->env->a->n_idx ? &s->env->a->idx[k] : NULL;
}

static inline const struct uw_map *uw_map_at(const struct uw *s, u32 k)
{
	return k < s->env->a->n_maps ? &s->env->a->maps[k] : NULL;
}

static inline long uw_read(const struct uw *s, void *dst, u32 n, u64 addr)
{
	return s->env->read(s->env->ctx, addr, dst, n);
}

static inline long uw_reg(const struct uw *s, u32 reg, u64 *ret)
{
	*ret = s->env->regs->other[reg % UW_REGS];
	return s->env->regs->known >> reg & 1 ? 0 : -ENODATA;
}

void unwind_walk(const struct unwind_arrays *a, struct unwind_slice slice, const struct unwind_regs *regs, unwind_read_fn read,
		 void *ctx, struct unwind_stack *s)
{
	const struct uw_env env = {.a = a, .regs = regs, .read = read, .ctx = ctx};
	struct uw u = {.env = &env};
	int status = UW_MORE;

	uw_start(&u, slice.first, slice.n, regs->ip, regs->sp, regs->fp, regs->after_call);
	for (s->n = 0; status == UW_MORE; s->n++) {
		if (s->n == s->max) {
			status = UW_TRUNCATED;
			break;
		}
		s->frames[s->n] = u.ip;
		status = uw_step(&u);
	}
	s->status = (enum uw_status)status;
	s->fp_from = u.fp_from;
}
