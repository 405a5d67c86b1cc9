/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* poll_end.c: see poll_end.h. */
#include "record/poll_end.h"

/* Bytes of an ff /2 with that ModR/M and, where it has one, SIB; 0: it is none. */
static u32 call_length(u8 modrm, u8 sib)
{
	u32 mod = modrm >> 6, rm = modrm & 7, n = 2;

	if ((modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return n;
	if (rm == 4)
		n++;
	if (mod == 1)
		return n + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
		return n + 4;
	return n;
}

bool poll_end_is_call(const u8 *code, u32 n)
{
	const u8 *end = code + n;

	if (n >= 5 && end[-5] == 0xe8)
		return true;
	for (u32 i = 2; i <= n; i++)
		if (end[-(s32)i] == 0xff && call_length(end[1 - (s32)i], i > 2 ? end[2 - (s32)i] : 0) == i)
			return true;
	return false;
}

void poll_ends_note(struct poll_ends *e, u32 pid, u32 module, u64 addr)
{
	for (u32 i = 0; i < e->n; i++)
		if (e->ends[i].addr == addr && e->ends[i].pid == pid)
			return;
	if (e->n == POLL_ENDS) {
		e->no_room++;
		return;
	}
	e->ends[e->n++] = (struct poll_end){.pid = pid, .module = module, .addr = addr};
	e->n_new++;
}

void poll_ends_forget(struct poll_ends *e, u32 pid)
{
	u32 n = 0;

	e->n_new = 0;
	for (u32 i = 0; i < e->n; i++) {
		if (e->ends[i].pid == pid)
			continue;
		e->n_new += e->ends[i].state == POLL_END_NEW;
		e->ends[n++] = e->ends[i];
	}
	e->n = n;
}
