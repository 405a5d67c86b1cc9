/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* schedule_place.c: see schedule_place.h. Instructions are compared byte by byte: an encoding that is not here is another program. */
#include "record/schedule_place.h"

#include <string.h>

#include "record/uprobe_link.h"

enum { CODE_BYTES = 32, DISP_BYTES = 4 };

struct text {
	u8 code[CODE_BYTES];
	size_t at;
};

/* One that may or may not be there; any: how many bytes behind it are not compared. */
struct step {
	u8 n, any;
	u8 code[4];
};

static const u8 begin[] = {0x48, 0x89, 0xfe, 0x48, 0x8b, 0x47, 0x10};	   /* mov %rdi,%rsi; mov 0x10(%rdi),%rax: the vtable */
static const u8 by_address[] = {0x48, 0x8b, 0x78, 0x40, 0x48, 0x01, 0xf7}; /* mov 0x40(%rax),%rdi; add %rsi,%rdi */
static const u8 by_value[] = {0x48, 0x8b, 0x40, 0x40, 0x48, 0x8b, 0x3c, 0x07}; /* mov 0x40(%rax),%rax; mov (%rdi,%rax,1),%rdi */

/* What else stands in front of a jump that hands on `self`, an Arc's content: nothing that writes rsi or rax. */
static const struct step steps[] = {
	{3, 0, {0x48, 0x8b, 0x3f}}, /* mov (%rdi),%rdi */
	{3, 1, {0x48, 0x83, 0xc7}}, /* add $imm8,%rdi */
	{3, 1, {0x48, 0x83, 0xef}}, /* sub $imm8,%rdi */
	{2, 0, {0x31, 0xd2}},	    /* xor %edx,%edx: schedule_task(task, is_yield = false) */
};

static bool take(struct text *t, const u8 *code, size_t n)
{
	if (t->at + n > CODE_BYTES || memcmp(t->code + t->at, code, n) != 0)
		return false;
	t->at += n;
	return true;
}

/* Each of them once at most, in this order. */
static void take_steps(struct text *t)
{
	for (u32 i = 0; i < ARRAY_SIZE(steps); i++)
		if (take(t, steps[i].code, steps[i].n))
			t->at += steps[i].any;
}

static bool is_emulated(const struct text *t)
{
	return t->at < CODE_BYTES && uprobe_is_emulated(t->code + t->at, CODE_BYTES - t->at);
}

/* jmp rel32 or rel8 */
static bool is_jump(const struct text *t)
{
	return t->at < CODE_BYTES && (t->code[t->at] == 0xe9 || t->code[t->at] == 0xeb);
}

/* jmp *disp(%rip): the address that lies there. */
static bool follow(schedule_read_fn read, void *ctx, u64 entry, struct text *t, u64 *ret)
{
	static const u8 jump[] = {0xff, 0x25};
	u32 disp;

	if (!take(t, jump, sizeof(jump)) || t->at + DISP_BYTES > CODE_BYTES)
		return false;
	memcpy(&disp, t->code + t->at, sizeof(disp));
	return read(ctx, entry + t->at + DISP_BYTES + (u64)(s64)(s32)disp, ret, sizeof(*ret)) == 0;
}

struct schedule_place schedule_place_find(schedule_read_fn read, void *ctx, u64 entry)
{
	const struct schedule_place stay = {.addr = entry, .how = SCHEDULE_ENTRY};
	struct text t = {.at = 0};
	bool keeps_vtable; /* in rax */
	u64 addr;

	if (read(ctx, entry, t.code, sizeof(t.code)) != 0 || !take(&t, begin, sizeof(begin)))
		return stay;
	keeps_vtable = take(&t, by_address, sizeof(by_address));
	if (!keeps_vtable && !take(&t, by_value, sizeof(by_value)))
		return stay;
	if (!keeps_vtable)
		take_steps(&t);
	if (is_jump(&t))
		return (struct schedule_place){.addr = entry + t.at, .how = SCHEDULE_JUMP};
	if (!keeps_vtable || !follow(read, ctx, entry, &t, &addr))
		return stay;
	t.at = 0;
	if (read(ctx, addr, t.code, sizeof(t.code)) != 0)
		return stay;
	if (!is_emulated(&t))
		take_steps(&t);
	return is_emulated(&t) ? (struct schedule_place){.addr = addr + t.at, .how = SCHEDULE_GUARDED} : stay;
}
