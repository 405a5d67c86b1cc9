/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_code.c: see task_code.h. Encodings: Intel SDM volume 2, CALL (E8 rel32, FF /2), JMP (E9 rel32, FF /4), Jcc (0F 8x rel32); with mod 0 and rm 5 an address
 * relative to the next instruction.
 */
#include "report/task_code.h"

#include <string.h>

u32 task_code_at(const struct task_code *c, u64 addr)
{
	u32 lo = 0, hi = c->n_funcs;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (c->funcs[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n_funcs && c->funcs[lo].addr == addr ? lo : c->n_funcs;
}

u32 task_code_names(const struct task_code *c, u32 i)
{
	u32 n = 0;

	while (i + n < c->n_funcs && c->funcs[i + n].addr == c->funcs[i].addr)
		n++;
	return n;
}

static const u8 *bytes_at(const struct task_code *c, u64 addr, u64 end, u64 *ret_n)
{
	for (u32 i = 0; i < c->n_parts; i++) {
		const struct task_code_part *p = &c->parts[i];

		if (addr < p->addr || addr - p->addr >= p->size || end <= addr)
			continue;
		*ret_n = min_u64(min_u64(end - addr, p->size - (addr - p->addr)), TASK_CODE_BYTES_MAX);
		return p->bytes + (addr - p->addr);
	}
	return NULL;
}

static u64 relative(const u8 *p, u64 next)
{
	u32 v = (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;

	return next + (u64)(s64)(s32)v;
}

/* Where an instruction at p, which has address at, would lead; false: it is none of those that are known. */
static bool target_of(const struct task_code *c, const u8 *p, u64 n, u64 at, u64 *ret)
{
	if (n >= 5 && (p[0] == 0xe8 || p[0] == 0xe9)) {
		*ret = relative(p + 1, at + 5);
		return true;
	}
	if (n >= 6 && p[0] == 0x0f && (p[1] & 0xf0) == 0x80) {
		*ret = relative(p + 2, at + 6);
		return true;
	}
	if (n >= 6 && p[0] == 0xff && (p[1] == 0x15 || p[1] == 0x25))
		return c->pointer && c->pointer(c->ctx, relative(p + 2, at + 6), ret);
	return false;
}

u32 task_code_callees(const struct task_code *c, u64 addr, u64 end, u32 *ret, u32 max)
{
	u64 n = 0;
	const u8 *p = bytes_at(c, addr, end, &n);
	u32 found = 0;

	for (u64 i = 0; p && i + 5 <= n && found < max; i++) {
		u64 to;
		u32 at, k;

		if (!target_of(c, p + i, n - i, addr + i, &to) || to == addr)
			continue;
		at = task_code_at(c, to);
		for (k = 0; k < found && ret[k] != at; k++)
			;
		if (at < c->n_funcs && k == found)
			ret[found++] = at;
	}
	return found;
}
