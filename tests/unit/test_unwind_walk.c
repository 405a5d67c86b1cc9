/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_unwind_walk.c: the walker of bpf/unwind.h over tables and memory made by hand: each kind of rule, each way to end, the guesses by frame pointers, the
 * searches. Walks of real processes against libdwfl are in test_unwind_real.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>

#include "bpf/ascope_wire.h"
#include "record/unwind_walk.h"

enum {
	ROWS = 1 << 16,
	BLOCKS = 1 << 15,
	MAPS = 1100,
	WORDS = 4096, /* of the stack */
	CODE = 4096,  /* bytes of code that can be read */
};
#define STACK	0x7ff000000000ULL
#define TEXT	0x555000000000ULL
#define NO_ADDR 0x111000000000ULL

/* A process: tables, mappings, a stack, and some code at TEXT. */
struct world {
	u64 rows[ROWS], idx[BLOCKS];
	struct uw_map maps[MAPS];
	struct unwind_arrays a;
	struct unwind_slice slice;
	u32 rows_used, idx_used;
	u32 block_log; /* of modules mapped from now on */
	u64 stack[WORDS];
	u8 code[CODE];
	u64 reads, last_read;
	u64 frames[WIRE_MAX_FRAMES];
	struct unwind_stack s;
};

struct row {
	u32 pc, rule;
};

static int world_new(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->a = (struct unwind_arrays){
		.rows = w->rows, .idx = w->idx, .maps = w->maps, .n_rows = ROWS, .n_idx = BLOCKS, .n_maps = MAPS};
	w->rows_used = w->idx_used = 1;
	w->block_log = UW_BLOCK_LOG;
	w->slice.first = 7;
	*state = w;
	return 0;
}

static int world_free(void **state)
{
	free(*state);
	return 0;
}

/* A mapping of a module: `rows` NULL for one without a table. The mapping's start has pc pc_off. */
static void map_module(struct world *w, u64 start, u64 len, u32 pc_off, const struct row *rows, u32 n)
{
	struct uw_map *m = &w->maps[w->slice.first + w->slice.n++];
	u32 first = w->rows_used, at = first;

	*m = (struct uw_map){
		.start = start, .end = start + len, .idx_base = w->idx_used, .pc_off = pc_off, .block_log = w->block_log & 0xff};
	if (!rows)
		return;
	for (u32 i = 0; i < n; i++)
		w->rows[w->rows_used++] = (u64)rows[i].pc << 32 | rows[i].rule;
	m->row_end = w->rows_used;
	for (u64 block = 0; block <= (pc_off + len - 1) >> w->block_log; block++) {
		while (at + 1 < m->row_end && w->rows[at + 1] >> 32 <= block << w->block_log)
			at++;
		w->idx[w->idx_used++] = at;
	}
}

static int read_world(void *ctx, u64 addr, void *buf, size_t n)
{
	struct world *w = ctx;

	w->reads++;
	w->last_read = addr;
	if (addr >= STACK && addr - STACK <= sizeof(w->stack) && n <= sizeof(w->stack) - (addr - STACK))
		memcpy(buf, (u8 *)w->stack + (addr - STACK), n);
	else if (addr >= TEXT && addr - TEXT <= sizeof(w->code) && n <= sizeof(w->code) - (addr - TEXT))
		memcpy(buf, w->code + (addr - TEXT), n);
	else
		return -EFAULT;
	return 0;
}

static void walk_from(struct world *w, struct unwind_regs regs)
{
	w->s = (struct unwind_stack){.frames = w->frames, .max = WIRE_MAX_FRAMES};
	unwind_walk(&w->a, w->slice, &regs, read_world, w, &w->s);
}

/* Frames as listed, ended by 0. */
static void frames_are(const struct world *w, enum uw_status status, const u64 *frames)
{
	u32 n = 0;

	while (frames[n])
		n++;
	assert_int_equal(w->s.n, n);
	assert_memory_equal(w->s.frames, frames, n * sizeof(u64));
	assert_int_equal(w->s.status, status);
}
#define FRAMES(...) ((const u64[]){__VA_ARGS__, 0})

static u32 sp_rule(s32 cfa)
{
	return uw_rule(UW_SP, 0, cfa / 8);
}

/* ---- rules ---- */

static void rules_of_sp_and_fp(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, sp_rule(8)},
				{0x10, uw_rule(UW_SP, -2, 4)}, /* fp beside the return address */
				{0x20, uw_rule(UW_SP, -4, 5)},
				{0x30, uw_rule(UW_FP, -2, 2)},
				{0x40, UW_STOP}};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[0] = TEXT + 0x15; /* cfa 1 */
	w->stack[3] = 111;
	w->stack[4] = TEXT + 0x25; /* cfa 5 */
	w->stack[6] = STACK + 8 * 20;
	w->stack[9] = TEXT + 0x35; /* cfa 10 */
	w->stack[20] = 222;
	w->stack[21] = TEXT + 0x45; /* cfa 22 */
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK, .fp = 5});
	frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 0x15, TEXT + 0x25, TEXT + 0x35, TEXT + 0x45));
	assert_int_equal(w->s.fp_from, 0);
	assert_int_equal(w->reads, 5); /* one each, but two where fp is apart */
}

/* A call may be the last instruction of its function, so callers are looked up one byte back; what was interrupted is looked up as it is. */
static void which_address_is_looked_up(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, sp_rule(8)}, {0x10, UW_STOP}, {0x20, UW_BAD}};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[0] = TEXT + 0x20; /* behind the last byte of the second */
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0xf, .sp = STACK});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0xf, TEXT + 0x20));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK, .after_call = true});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x10, TEXT + 0x20));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x10));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x20, .sp = STACK, .after_call = true});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x20));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x20, .sp = STACK});
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT + 0x20));
}

/* A stub of GNU ld's: from its 12th byte on (push done) the return address is a word higher. */
static void plt_stubs(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, uw_rule(UW_PLT, 0, 11)}, {0x100, UW_STOP}};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[0] = TEXT + 0x101;
	w->stack[1] = TEXT + 0x102;
	for (u64 at = 0; at < 32; at++) {
		walk_from(w, (struct unwind_regs){.ip = TEXT + at, .sp = STACK});
		frames_are(w, UW_WHOLE, FRAMES(TEXT + at, at % 16 >= 11 ? TEXT + 0x102 : TEXT + 0x101));
	}
}

static void signal_frames(void **state)
{
	struct world *w = *state;
	/* the trampoline's row starts a byte early, as glibc's does; what was interrupted is the first instruction of a function */
	const struct row r[] = {{0, sp_rule(16)}, {0x0f, UW_SIGNAL}, {0x20, UW_BAD}, {0x30, uw_rule(UW_FP, -2, 2)},
				{0x40, UW_STOP},  {0x50, UW_BAD}};
	u64 *greg = &w->stack[2 + 5];

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[1] = TEXT + 0x10; /* the handler returns to the trampoline */
	greg[10] = STACK + 8 * 900;
	greg[15] = STACK + 8 * 500; /* another stack */
	greg[16] = TEXT + 0x30;
	w->stack[901] = TEXT + 0x50;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 5, TEXT + 0x10, TEXT + 0x30, TEXT + 0x50));
	/* in the trampoline itself, and in its system call */
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + 16});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x10, TEXT + 0x30, TEXT + 0x50));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x20, .sp = STACK + 16, .after_call = true});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x20, TEXT + 0x30, TEXT + 0x50));
	/* the interrupted stack lies lower: allowed here, and only here */
	greg[10] = STACK + 8;
	greg[15] = STACK;
	w->stack[2] = TEXT + 0x50;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + 16});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x10, TEXT + 0x30, TEXT + 0x50));
	/* a frame that lies at the end of what can be read */
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + sizeof(w->stack) - 8 * 21});
	frames_are(w, UW_FAULT, FRAMES(TEXT + 0x10));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + sizeof(w->stack) - 8 * 22});
	assert_int_equal(w->s.n, 2);
	assert_int_equal(w->s.frames[1], 0);
	assert_int_equal(w->s.status, UW_NO_MAPPING);
}

static void realigned_stacks(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, uw_rule(UW_DEREF_FP, 0, -1)},
				{0x10, uw_rule_with_reg(UW_DEREF_SP, 0, 1, 3)},
				{0x20, uw_rule_with_reg(UW_DEREF_SP, -3, 2, 1)},
				{0x30, uw_rule(UW_FP, 0, 2)},
				{0x40, UW_STOP}};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[9] = STACK + 8 * 20; /* cfa */
	w->stack[10] = 77;	      /* fp */
	w->stack[19] = TEXT + 0x15;
	w->stack[23] = STACK + 8 * 30; /* at sp + 24: the old sp, where the return address is */
	w->stack[30] = TEXT + 0x25;
	w->stack[32] = STACK + 8 * 39; /* at sp + 8; two words below the CFA */
	w->stack[40] = TEXT + 0x35;
	w->stack[38] = STACK + 8 * 50; /* fp, at cfa - 24 */
	w->stack[51] = TEXT + 0x45;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK, .fp = STACK + 8 * 10});
	frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 0x15, TEXT + 0x25, TEXT + 0x35, TEXT + 0x45));
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK, .fp = STACK});
	frames_are(w, UW_FAULT, FRAMES(TEXT)); /* what holds the cfa is below the stack */
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + sizeof(w->stack)});
	frames_are(w, UW_FAULT, FRAMES(TEXT + 0x10));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10, .sp = STACK + 8 * 21}); /* the cfa read is 8: below sp */
	frames_are(w, UW_BROKEN, FRAMES(TEXT + 0x10));
}

/* ---- ways to end ---- */

/* ... and with the place of the old sp behind an array whose length is in a register. */
static void array_on_a_realigned_stack(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, uw_rule_with_reg(UW_DEREF_AT, -3, 9, 1)}, {0x10, uw_rule(UW_FP, 0, 2)}, {0x20, UW_STOP}};
	struct unwind_regs regs = {.ip = TEXT, .sp = STACK, .known = 1 << 9, .other[9] = 12};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[13] = STACK + 8 * 40; /* at sp + 8 + 12 * 8 */
	w->stack[40] = TEXT + 0x15;
	w->stack[38] = STACK + 8 * 50;
	w->stack[51] = TEXT + 0x25;
	walk_from(w, regs);
	frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 0x15, TEXT + 0x25));
	regs.other[9] = WORDS;
	walk_from(w, regs);
	frames_are(w, UW_FAULT, FRAMES(TEXT));
	regs.known = 0;
	walk_from(w, regs);
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT));
}

/* DWARF numbers: System V ABI AMD64 1.0 figure 3.36. */
enum { RAX = 0, RCX = 2, RDI = 5, R10 = 10, R11 = 11, R13 = 13 };

static const struct row reg_rows[] = {
	{0x00, UW_REG | 0xfe0 | R10 << 12 | 1 << 16}, /* rbp at CFA-16 */
	{0x10, UW_REG_FP | R13 << 12},
	{0x20, UW_RA_REG | RDI << 12},
	{0x30, UW_REG | RAX << 12},
	{0x40, UW_REG | RCX << 12},
	{0x50, UW_REG | R11 << 12},
	{0x60, UW_SP | 2 << 12},
	{0x70, UW_SIGNAL},
	{0x80, UW_STOP},
	{0x90, UW_FP | 2 << 12},
	{0xa0, UW_REG | R10 << 12 | 0xffffu << 16},
};

/* A walk whose frame keeps the old stack pointer, or the return address, in a register. */
static void rules_that_name_a_register(void **state)
{
	struct world *w = *state;
	struct unwind_regs r = {.ip = TEXT, .sp = STACK, .fp = 1};

	map_module(w, TEXT, 0x1000, 0, reg_rows, ARRAY_SIZE(reg_rows));
	w->stack[1] = TEXT + 0x81;
	w->stack[8] = TEXT + 0x81;
	w->stack[9] = STACK + 8 * 20;
	w->stack[10] = TEXT + 0x91;
	w->stack[21] = TEXT + 0x81;
	/* fp is read as well, and the frame after this one is found by it */
	r.known = 1 << R10;
	r.other[R10] = STACK + 8 * 10;
	walk_from(w, r);
	frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 0x91, TEXT + 0x81));
	r.ip = TEXT + 1;
	r.after_call = true;
	walk_from(w, r);
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 1, TEXT + 0x91, TEXT + 0x81));
	r = (struct unwind_regs){.ip = TEXT + 0xa0, .sp = STACK, .known = 1 << R10, .other[R10] = STACK + 8 * 10};
	walk_from(w, r); /* a register above the CFA */
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0xa0, TEXT + 0x81));
	r.known = (u16) ~(1u << R10);
	walk_from(w, r);
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT + 0xa0));
	r.known = 1 << R10;
	r.other[R10] = STACK + 8;
	walk_from(w, r);
	frames_are(w, UW_BROKEN, FRAMES(TEXT + 0xa0));
	/* nobody knows what a caller had in it */
	w->stack[1] = TEXT + 0x01;
	r = (struct unwind_regs){.ip = TEXT + 0x60, .sp = STACK, .known = UINT16_MAX, .other[R10] = STACK + 8 * 10};
	walk_from(w, r);
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT + 0x60, TEXT + 0x01));
}

/* A system call leaves rax, rcx and r11 with something else. */
static void registers_behind_a_system_call(void **state)
{
	struct world *w = *state;

	map_module(w, TEXT, 0x1000, 0, reg_rows, ARRAY_SIZE(reg_rows));
	for (u32 i = 0; i < UW_REGS; i++)
		w->stack[i] = TEXT + 0x81;
	for (u64 at = 0x30; at < 0x60; at += 0x10) {
		struct unwind_regs r = {.ip = TEXT + at + 1, .sp = STACK, .known = UINT16_MAX};

		r.other[RAX] = r.other[RCX] = r.other[R11] = STACK + 16;
		walk_from(w, r);
		frames_are(w, UW_WHOLE, FRAMES(r.ip, TEXT + 0x81));
		r.after_call = true;
		walk_from(w, r);
		frames_are(w, UW_BAD_RULE, FRAMES(r.ip));
	}
	/* vfork: the caller's frame begins where the stack pointer is */
	w->stack[1] = TEXT + 0x81;
	w->stack[0] = NO_ADDR;
	walk_from(w, (struct unwind_regs){
			     .ip = TEXT + 0x21, .sp = STACK, .after_call = true, .known = 1 << RDI, .other[RDI] = TEXT + 0x61});
	frames_are(w, UW_WHOLE, FRAMES(TEXT + 0x21, TEXT + 0x61, TEXT + 0x81));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x21, .sp = STACK, .known = 1 << RDI});
	frames_are(w, UW_BROKEN, FRAMES(TEXT + 0x21));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x21, .sp = STACK, .other[RDI] = TEXT + 0x61});
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT + 0x21));
}

/* gcc's: rbp points into the frame, until the epilogue has popped it. */
static void rbp_of_a_realigned_stack(void **state)
{
	static const struct {
		u64 sp, fp;
		bool whole;
	} cases[] = {
		{STACK, STACK + 16, true},	 /* where 20 is saved */
		{STACK + 16, STACK + 16, true},	 /* at sp */
		{STACK + 24, STACK + 160, true}, /* the caller's, above */
		{STACK, STACK + 40, false},	 /* the caller's, at the CFA */
		{STACK + 24, STACK + 16, false}, /* the caller's, below sp */
	};
	struct world *w = *state;

	map_module(w, TEXT, 0x1000, 0, reg_rows, ARRAY_SIZE(reg_rows));
	w->stack[2] = STACK + 8 * 20;
	w->stack[4] = TEXT + 0x91;
	w->stack[21] = TEXT + 0x81;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		walk_from(w, (struct unwind_regs){.ip = TEXT + 0x10,
						  .sp = cases[i].sp,
						  .fp = cases[i].fp,
						  .known = 1 << R13,
						  .other[R13] = STACK + 8 * 5});
		assert_int_equal(w->s.n >= 2, 1);
		assert_int_equal(w->frames[1], TEXT + 0x91);
		assert_int_equal(w->s.status == UW_WHOLE && w->s.n == 3 && w->frames[2] == TEXT + 0x81, cases[i].whole);
	}
	walk_from(w, (struct unwind_regs){
			     .ip = TEXT + 0x10, .sp = NO_ADDR, .fp = NO_ADDR, .known = 1 << R13, .other[R13] = STACK + 8 * 5});
	frames_are(w, UW_FAULT, FRAMES(TEXT + 0x10));
}

/* What a signal interrupted has all its registers in the signal frame. */
static void registers_in_a_signal_frame(void **state)
{
	static const u8 places[UW_REGS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
					   REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
	struct world *w = *state;
	struct row r[18] = {{0, UW_SIGNAL}, {1, UW_STOP}};
	u64 *gregs = &w->stack[5];

	for (u32 i = 0; i < UW_REGS; i++)
		r[i + 2] = (struct row){0x100 + 0x10 * i, UW_REG | i << 12};
	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	for (u32 i = 0; i < UW_REGS; i++) {
		if (places[i] == REG_RSP)
			continue;
		for (u32 k = 0; k < 16; k++)
			gregs[k] = NO_ADDR;
		gregs[REG_RSP] = STACK + 8 * 40;
		gregs[REG_RIP] = TEXT + 0x100 + 0x10 * i;
		gregs[places[i]] = STACK + 8 * 50;
		w->stack[49] = TEXT + 2;
		walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
		frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 0x100 + 0x10 * i, TEXT + 2));
	}
	/* its caller's are lost again */
	w->stack[49] = TEXT + 0x101;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK, .known = UINT16_MAX});
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT, TEXT + 0x1f0, TEXT + 0x101));
}

static void ends(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, sp_rule(8)},
				{0x10, UW_BAD},
				{0x20, UW_END},
				{0x30, sp_rule(0)},
				{0x40, sp_rule(-8)},
				{0x50, uw_rule(UW_FP, 0, 2)},
				{0x60, uw_rule(UW_SP, -3, 1)},
				{0x70, 15}};
	u64 end = STACK + sizeof(w->stack);

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	w->stack[0] = TEXT + 0x11;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT, TEXT + 0x11));
	w->stack[0] = TEXT + 0x21;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT, TEXT + 0x21));
	w->stack[0] = NO_ADDR;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_NO_MAPPING, FRAMES(TEXT, NO_ADDR));
	w->stack[0] = 0; /* a return address of 0 to the innermost frame is no end of a stack */
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_BROKEN, FRAMES(TEXT));
	w->stack[0] = TEXT + 1;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_WHOLE, FRAMES(TEXT, TEXT + 1)); /* but to another it is */
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = end});
	frames_are(w, UW_FAULT, FRAMES(TEXT));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x60, .sp = STACK}); /* fp was saved below the stack */
	frames_are(w, UW_FAULT, FRAMES(TEXT + 0x60));
	for (u64 at = 0x30; at <= 0x40; at += 0x10) {
		walk_from(w, (struct unwind_regs){.ip = TEXT + at, .sp = STACK + 80});
		frames_are(w, UW_BROKEN, FRAMES(TEXT + at));
	}
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x50, .sp = STACK + 80, .fp = STACK + 64}); /* cfa = sp */
	frames_are(w, UW_BROKEN, FRAMES(TEXT + 0x50));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x50, .sp = STACK + 80, .fp = 0});
	frames_are(w, UW_BROKEN, FRAMES(TEXT + 0x50));
	walk_from(w, (struct unwind_regs){.ip = TEXT + 0x70, .sp = STACK}); /* a kind that is not one */
	frames_are(w, UW_BAD_RULE, FRAMES(TEXT + 0x70));
	walk_from(w, (struct unwind_regs){.ip = 0, .sp = STACK});
	assert_int_equal(w->s.status, UW_NO_MAPPING);
	assert_int_equal(w->s.n, 1);
	w->slice.n = 0;
	walk_from(w, (struct unwind_regs){.ip = TEXT, .sp = STACK});
	frames_are(w, UW_NO_MAPPING, FRAMES(TEXT));
}

static void deep_stacks(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0, sp_rule(16)}, {0x10, UW_STOP}};

	map_module(w, TEXT, 0x1000, 0, r, ARRAY_SIZE(r));
	for (u32 i = 0; i < WORDS; i++)
		w->stack[i] = TEXT + 5;
	for (u32 depth = WIRE_MAX_FRAMES - 3; depth < WIRE_MAX_FRAMES + 3; depth++) {
		u64 *outermost = &w->stack[(depth - 1) * 2 - 1];

		*outermost = TEXT + 0x11;
		walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK});
		*outermost = TEXT + 5;
		assert_int_equal(w->s.status, depth <= WIRE_MAX_FRAMES ? UW_WHOLE : UW_TRUNCATED);
		assert_int_equal(w->s.n, depth < WIRE_MAX_FRAMES ? depth : WIRE_MAX_FRAMES);
		for (u32 i = 0; i < w->s.n; i++)
			assert_int_equal(w->frames[i], i == depth - 1 ? TEXT + 0x11 : TEXT + 5);
	}
}

/* ---- guesses ---- */

/* An instruction that calls, ending at code[at]. */
static void put_call(struct world *w, u32 at, const u8 *bytes, u32 n)
{
	memset(w->code, 0x90, sizeof(w->code));
	memcpy(w->code + at - n, bytes, n);
}

/* A frame in code without a table, whose frame pointer leads to a caller that has one. */
static void begin_guess(struct world *w, bool has_table)
{
	const struct row r[] = {{0, UW_END}, {0x100, UW_STOP}};
	static const u8 call[] = {0xe8, 1, 2, 3, 4};

	w->slice.n = 0;
	w->rows_used = w->idx_used = 1;
	map_module(w, TEXT, 0x100, 0, has_table ? r : NULL, ARRAY_SIZE(r));
	map_module(w, TEXT + 0x100, 0xf00, 0x100, r, ARRAY_SIZE(r));
	memset(w->stack, 0, sizeof(w->stack));
	w->stack[10] = 99;
	w->stack[11] = TEXT + 0x180;
	put_call(w, 0x180, call, sizeof(call));
}

static void a_guess(void **state)
{
	struct world *w = *state;
	const u64 fp = STACK + 80;

	for (u32 has_table = 0; has_table < 2; has_table++) {
		begin_guess(w, has_table);
		walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
		frames_are(w, UW_WHOLE, FRAMES(TEXT + 5, TEXT + 0x180));
		assert_int_equal(w->s.fp_from, 2);
		walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = fp, .fp = fp}); /* right at sp */
		assert_int_equal(w->s.n, 2);
		/* two in a row: the first counts */
		w->stack[10] = STACK + 8 * 20;
		w->stack[11] = TEXT + 0x20;
		w->stack[21] = TEXT + 0x180;
		memcpy(w->code + 0x20 - 5, "\xe8....", 5);
		walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
		frames_are(w, UW_WHOLE, FRAMES(TEXT + 5, TEXT + 0x20, TEXT + 0x180));
		assert_int_equal(w->s.fp_from, 2);
	}
}

static void guesses_that_are_refused(void **state)
{
	struct world *w = *state;
	const u64 fp = STACK + 80;
	const u64 far = STACK + 80 - (1 << 20);
	const struct unwind_regs regs[] = {
		{.sp = STACK, .fp = 0},
		{.sp = STACK, .fp = fp + 1},
		{.sp = STACK, .fp = fp + 4},
		{.sp = fp + 8, .fp = fp},
		{.sp = STACK, .fp = STACK + sizeof(w->stack) - 8},
		{.sp = far, .fp = fp},
		{.sp = STACK, .fp = UINT64_MAX - 7},
	};

	begin_guess(w, true);
	for (u32 i = 0; i < ARRAY_SIZE(regs); i++) {
		struct unwind_regs r = regs[i];

		r.ip = TEXT + 5;
		walk_from(w, r);
		frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5));
		assert_int_equal(w->s.fp_from, 0);
	}
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = far + 8, .fp = fp});
	assert_int_equal(w->s.n, 2); /* just near enough */
	w->stack[11] = NO_ADDR;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5)); /* not "no mapping": the guess was wrong */
	w->stack[11] = TEXT;			      /* the byte before is in no mapping */
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5));
	w->stack[11] = TEXT + 0x181;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5)); /* not behind a call */
	w->stack[11] = 3;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5));
	begin_guess(w, true);
	w->slice.first += w->slice.n; /* code that cannot be read */
	w->slice.n = 0;
	map_module(w, NO_ADDR, 0x1000, 0, NULL, 0);
	map_module(w, TEXT, 0x100, 0, NULL, 0);
	w->stack[11] = NO_ADDR + 0x180;
	walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = fp});
	frames_are(w, UW_NO_TABLE, FRAMES(TEXT + 5));
}

/* Encodings from the SDM, each as GNU as writes it. */
static void instructions_that_call(void **state)
{
	static const struct {
		const char *bytes;
		u32 n;
		bool is_call;
	} cases[] = {
		{"\xe8\x00\x00\x00\x00", 5, true},	   /* call rel32 */
		{"\xff\xd0", 2, true},			   /* call *%rax */
		{"\x41\xff\xd7", 3, true},		   /* call *%r15 */
		{"\xff\x10", 2, true},			   /* call *(%rax) */
		{"\x41\xff\x14\x24", 4, true},		   /* call *(%r12) */
		{"\xff\x14\xc8", 3, true},		   /* call *(%rax,%rcx,8) */
		{"\xff\x50\x18", 3, true},		   /* call *0x18(%rax) */
		{"\x41\xff\x54\x24\x18", 5, true},	   /* call *0x18(%r12) */
		{"\xff\x15\x01\x02\x03\x04", 6, true},	   /* call *x(%rip) */
		{"\xff\x90\x01\x02\x03\x04", 6, true},	   /* call *0x4030201(%rax) */
		{"\xff\x94\x24\x01\x02\x03\x04", 7, true}, /* call *0x4030201(%rsp) */
		{"\xff\x14\x25\x01\x02\x03\x04", 7, true}, /* call *0x4030201 */
		{"\xff\x14\x05\x01\x02\x03\x04", 7, true}, /* call *0x4030201(,%rax) */
		{"\xff\xe0", 2, false},			   /* jmp *%rax */
		{"\xff\x20", 2, false},			   /* jmp *(%rax) */
		{"\xff\x18", 2, false},			   /* lcall */
		{"\xe9\x00\x00\x00\x00", 5, false},	   /* jmp rel32 */
		{"\xff\x15\x01\x02\x03", 5, false},	   /* cut */
		{"\xff\x14", 2, false},
		{"\xff\x50", 2, false},
		{"\xe8\x00\x00\x00", 4, false},
		{"\xc3", 1, false},
	};
	struct world *w = *state;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_guess(w, false);
		put_call(w, 0x180, (const u8 *)cases[i].bytes, cases[i].n);
		walk_from(w, (struct unwind_regs){.ip = TEXT + 5, .sp = STACK, .fp = STACK + 80});
		assert_int_equal(w->s.n, cases[i].is_call ? 2 : 1);
	}
}

/* ---- searches ---- */

static void mappings(void **state)
{
	static const u32 counts[] = {1, 2, 3, 31, 32, 33, 500, 511, 512, 513, 1022, UW_MAX_MAPS};
	struct world *w = *state;
	const struct row r[] = {{0, UW_STOP}};

	for (u32 c = 0; c < ARRAY_SIZE(counts); c++) {
		w->slice = (struct unwind_slice){.first = 11};
		w->rows_used = w->idx_used = 1;
		memset(w->maps, 0xff, sizeof(w->maps)); /* neighbours' */
		for (u32 i = 0; i < counts[c]; i++)
			map_module(w, TEXT + 0x1000 * (u64)i * 2, 0x1000, 0, r, 1);
		for (u32 i = 0; i < counts[c]; i++) {
			u64 start = TEXT + 0x1000 * (u64)i * 2;
			const u64 addrs[] = {start - 1, start, start + 0xfff, start + 0x1000};

			for (u32 k = 0; k < ARRAY_SIZE(addrs); k++) {
				walk_from(w, (struct unwind_regs){.ip = addrs[k], .sp = STACK});
				frames_are(w, k == 1 || k == 2 ? UW_WHOLE : UW_NO_MAPPING, FRAMES(addrs[k]));
			}
			/* behind a call: the mapping of the byte before */
			walk_from(w, (struct unwind_regs){.ip = start + 0x1000, .sp = STACK, .after_call = true});
			frames_are(w, UW_WHOLE, FRAMES(start + 0x1000));
			walk_from(w, (struct unwind_regs){.ip = start, .sp = STACK, .after_call = true});
			frames_are(w, UW_NO_MAPPING, FRAMES(start));
		}
	}
}

/* A mapping whose pages are two segments of one module apart in the file, as lld lays them out: pc_off tells. */
static void parts_of_a_module(void **state)
{
	struct world *w = *state;
	const struct row r[] = {{0x1000, UW_STOP}, {0x1800, UW_BAD}, {0x3000, UW_STOP}, {0x3800, UW_BAD}};

	map_module(w, TEXT, 0x1000, 0x1000, r, ARRAY_SIZE(r));
	w->maps[w->slice.first + 1] = w->maps[w->slice.first];
	w->maps[w->slice.first + 1].start = TEXT + 0x8000;
	w->maps[w->slice.first + 1].end = TEXT + 0x9000;
	w->maps[w->slice.first + 1].pc_off = 0x3000;
	w->slice.n = 2;
	for (u64 b = 0; b < 0x40; b++) /* the index of all of it */
		w->idx[1 + b] = b < 0x18 ? 1 : b < 0x30 ? 2 : b < 0x38 ? 3 : 4;
	for (u64 at = 0; at < 0x1000; at += 0x7f) {
		walk_from(w, (struct unwind_regs){.ip = TEXT + at, .sp = STACK});
		assert_int_equal(w->s.status, at < 0x800 ? UW_WHOLE : UW_BAD_RULE);
		walk_from(w, (struct unwind_regs){.ip = TEXT + 0x8000 + at, .sp = STACK});
		assert_int_equal(w->s.status, at < 0x800 ? UW_WHOLE : UW_BAD_RULE);
	}
}

/* Small numbers that look random: the same in every run. */
static u64 random_next(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed >> 11;
}

/* The size of blocks that the rows allow, and `less` steps below. */
static u32 largest_log(const struct row *r, u32 n, u32 less)
{
	u32 log = UW_BLOCK_LOG_MAX;

	for (; log > UW_BLOCK_LOG; log--) {
		bool fits = true;

		for (u32 i = 0; i + 255 < n && fits; i++)
			fits = r[i].pc >> log != r[i + 255].pc >> log;
		if (fits)
			break;
	}
	return log >= UW_BLOCK_LOG + less ? log - less : UW_BLOCK_LOG;
}

/*
 * Tables from sparse to one row a byte, with blocks from the smallest to the largest; modules side by side in the arrays, so that a search that leaves its own would find the next
 * one's. The rule that a walk found shows in the address it reads.
 */
static void rows(void **state)
{
	enum { MODULES = 4, SPAN = 0x8000 };
	static const u32 gaps[] = {1, 2, 3, 16, 100, 1000, 5000};
	struct world *w = *state;
	u64 seed = 88172645463325252ULL, looked_up = 0, found = 0;
	u32 largest = 0;

	for (u32 g = 0; g < ARRAY_SIZE(gaps); g++) {
		struct row *r = calloc(MODULES * SPAN, sizeof(*r));
		u32 n[MODULES] = {0};
		u32 span = gaps[g] < 4 ? 0x800 : SPAN;

		assert_non_null(r);
		w->slice = (struct unwind_slice){.first = 11};
		w->rows_used = w->idx_used = 1;
		for (u32 m = 0; m < MODULES; m++) {
			struct row *mr = r + m * SPAN;

			for (u32 pc = (u32)(random_next(&seed) % (2 * gaps[g])); pc < span;
			     pc += 1 + (u32)(random_next(&seed) % gaps[g])) {
				mr[n[m]] = (struct row){pc, sp_rule((s32)(n[m] % 2000 + 1) * 8)};
				n[m]++;
			}
			w->block_log = largest_log(mr, n[m], m);
			largest = w->block_log > largest ? w->block_log : largest;
			if (n[m])
				map_module(w, TEXT + m * 0x100000ULL, span, 0, mr, n[m]);
		}
		for (u32 i = 0; i < 20000; i++) {
			u32 m = (u32)(random_next(&seed) % MODULES), pc = (u32)(random_next(&seed) % span), at = 0;
			const struct row *mr = r + m * SPAN;

			if (!n[m])
				continue;
			w->last_read = 0;
			walk_from(w, (struct unwind_regs){.ip = TEXT + m * 0x100000ULL + pc, .sp = STACK});
			while (at + 1 < n[m] && mr[at + 1].pc <= pc)
				at++;
			looked_up++;
			if (mr[at].pc > pc) {
				assert_int_equal(w->s.status, UW_NO_TABLE);
				continue;
			}
			found++;
			assert_int_equal(w->last_read, STACK + (u64)uw_rule_cfa(mr[at].rule) - 8);
		}
		free(r);
	}
	print_message("[   INFO   ] %llu addresses looked up, %llu have a rule\n", (unsigned long long)looked_up,
		      (unsigned long long)found);
	assert_true(found > looked_up / 2 && looked_up > 100000);
	assert_int_equal(largest, UW_BLOCK_LOG_MAX);
}

/* Arrays that hold anything: a sanitizer would see a read outside of them. */
static void arrays_of_garbage(void **state)
{
	struct world *w = *state;
	u64 seed = 42, by_status[UW_STATUSES] = {0};

	w->a.n_rows = 1000;
	w->a.n_idx = 100;
	w->a.n_maps = 60;
	w->slice = (struct unwind_slice){.first = 5, .n = 50};
	for (u32 round = 0; round < 20000; round++) {
		struct unwind_regs regs = {.ip = TEXT + random_next(&seed) % 0x10000,
					   .sp = STACK + random_next(&seed) % 0x2000,
					   .after_call = round & 1};

		for (u32 i = 0; i < 40; i++) {
			w->rows[random_next(&seed) % 1000] = random_next(&seed) % 0x8000 << 32 | (random_next(&seed) & 0xffffff);
			w->idx[random_next(&seed) % 100] = random_next(&seed) % 1100;
			w->stack[random_next(&seed) % WORDS] = TEXT + random_next(&seed) % 0x10000;
			w->stack[random_next(&seed) % WORDS] = STACK + random_next(&seed) % sizeof(w->stack);
			w->maps[random_next(&seed) % 60] = (struct uw_map){.start = TEXT + random_next(&seed) % 0x8000,
									   .end = TEXT + random_next(&seed) % 0x10000,
									   .idx_base = (u32)(random_next(&seed) % 110),
									   .pc_off = (u32)(random_next(&seed) % 0x6000),
									   .row_end = (u32)(random_next(&seed) % 1100),
									   .block_log = random_next(&seed) & 0xff};
		}
		if (round % 1000 == 999)
			w->slice = (struct unwind_slice){.first = (u32)random_next(&seed), .n = (u32)random_next(&seed)};
		else if (round % 1000 == 0)
			w->slice = (struct unwind_slice){.first = 5, .n = 50};
		regs.fp = STACK + (random_next(&seed) % 0x2000 & ~7ULL);
		walk_from(w, regs);
		assert_in_range(w->s.n, 1, WIRE_MAX_FRAMES);
		assert_in_range(w->s.status, UW_WHOLE, UW_STATUSES - 1);
		assert_true(w->s.fp_from <= w->s.n + 1);
		by_status[w->s.status]++;
	}
	for (u32 i = UW_WHOLE; i < UW_STATUSES; i++)
		if (i != 5 && i != UW_TRUNCATED && i != UW_STARTING) /* the kernel side's own */
			assert_true(by_status[i] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rules_of_sp_and_fp, world_new, world_free),
		cmocka_unit_test_setup_teardown(which_address_is_looked_up, world_new, world_free),
		cmocka_unit_test_setup_teardown(plt_stubs, world_new, world_free),
		cmocka_unit_test_setup_teardown(signal_frames, world_new, world_free),
		cmocka_unit_test_setup_teardown(realigned_stacks, world_new, world_free),
		cmocka_unit_test_setup_teardown(array_on_a_realigned_stack, world_new, world_free),
		cmocka_unit_test_setup_teardown(rules_that_name_a_register, world_new, world_free),
		cmocka_unit_test_setup_teardown(registers_behind_a_system_call, world_new, world_free),
		cmocka_unit_test_setup_teardown(rbp_of_a_realigned_stack, world_new, world_free),
		cmocka_unit_test_setup_teardown(registers_in_a_signal_frame, world_new, world_free),
		cmocka_unit_test_setup_teardown(ends, world_new, world_free),
		cmocka_unit_test_setup_teardown(deep_stacks, world_new, world_free),
		cmocka_unit_test_setup_teardown(a_guess, world_new, world_free),
		cmocka_unit_test_setup_teardown(guesses_that_are_refused, world_new, world_free),
		cmocka_unit_test_setup_teardown(instructions_that_call, world_new, world_free),
		cmocka_unit_test_setup_teardown(mappings, world_new, world_free),
		cmocka_unit_test_setup_teardown(parts_of_a_module, world_new, world_free),
		cmocka_unit_test_setup_teardown(rows, world_new, world_free),
		cmocka_unit_test_setup_teardown(arrays_of_garbage, world_new, world_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
