/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe_place.c: see probe_place.h. The length of an instruction, for just those that compilers put behind calls and in front of jumps; Intel SDM volume 2,
 * chapter 2 (prefixes, ModR/M, SIB) and appendix A (opcode maps).
 */
#include "record/probe_place.h"

#include "record/uprobe_link.h"

enum { SP = 4, MOST_BYTES = 15 };

/* What follows an opcode. */
enum form {
	NO_FORM, /* not one of those: the way ends */
	MODRM,	 /* ModR/M, both of whose operands are registers or memory */
	GROUP,	 /* ModR/M whose middle field is part of the opcode */
	VECTOR,	 /* ModR/M whose middle field is a vector register */
	IMM8 = 8,
	IMM32 = 16,
	SHORT_REG = 32, /* the register is in the opcode; an immediate of 4 bytes, or 8 with REX.W */
};

struct insn {
	const u8 *code;
	size_t n, at;
	u8 rex;
	bool narrow, lock; /* prefixes 66 and f0 */
};

static u32 form_of_two(u8 op, const struct insn *i)
{
	if (i->lock)
		return op == 0xb1 || op == 0xc1 ? MODRM : NO_FORM; /* cmpxchg, xadd */
	if ((op & 0xf0) == 0x40 || op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf ||
	    op == 0xaf) /* cmovcc, movzx, movsx, imul */
		return MODRM;
	if ((op & 0xf0) == 0x90) /* setcc */
		return GROUP;
	switch (op) {
	case 0x10:
	case 0x11:
	case 0x28:
	case 0x29:
	case 0x57:
	case 0x6f:
	case 0x7f:
	case 0xef: /* movups, movaps, xorps, movdqa, pxor */
		return VECTOR;
	default:
		return NO_FORM;
	}
}

/* Groups hold other instructions, too: those for which `reg` is in the set count. */
static u32 in_group(u32 set, u8 reg, u32 form)
{
	return set >> reg & 1 ? form : NO_FORM;
}

static u32 form_of_one(u8 op, u8 reg)
{
	if (op < 0x40 && (op & 7) < 4 && (op & 0x38) != 0x10 &&
	    (op & 0x38) != 0x18) /* add, or, and, sub, xor, cmp; not with carry */
		return MODRM;
	if (op >= 0xb8 && op <= 0xbf)
		return SHORT_REG;
	switch (op) {
	case 0x63:
	case 0x84:
	case 0x85:
	case 0x88:
	case 0x89:
	case 0x8a:
	case 0x8b:
	case 0x8d: /* movsxd, test, mov, lea */
		return MODRM;
	case 0x80:
	case 0x83:
		return in_group(0xf3, reg, GROUP | IMM8);
	case 0x81:
		return in_group(0xf3, reg, GROUP | IMM32);
	case 0xc0:
	case 0xc1: /* rol, ror, shl, shr, sar */
		return in_group(0xb3, reg, GROUP | IMM8);
	case 0xd0:
	case 0xd1:
		return in_group(0xb3, reg, GROUP);
	case 0xc6:
		return in_group(0x01, reg, GROUP | IMM8);
	case 0xc7:
		return in_group(0x01, reg, GROUP | IMM32);
	case 0xf6: /* test; not, neg have no immediate */
		return reg == 0 ? GROUP | IMM8 : in_group(0x0c, reg, GROUP);
	case 0xf7:
		return reg == 0 ? GROUP | IMM32 : in_group(0x0c, reg, GROUP);
	case 0xfe:
	case 0xff: /* inc, dec */
		return in_group(0x03, reg, GROUP);
	default:
		return NO_FORM;
	}
}

/* Bytes of ModR/M, SIB and displacement at i->at; 0: there are too few. */
static u32 modrm_length(const struct insn *i)
{
	u8 modrm = i->code[i->at], mod = modrm >> 6, rm = modrm & 7;
	u32 n = 1;

	if (mod == 3)
		return n;
	if (rm == 4) {
		if (i->at + 1 >= i->n)
			return 0;
		n++;
		if (mod == 0 && (i->code[i->at + 1] & 7) == 5)
			return n + 4;
	}
	if (mod == 0)
		return n + (rm == 5 ? 4 : 0);
	return n + (mod == 1 ? 1 : 4);
}

/* An operand is the stack pointer, or in the case of bytes what has its number. Used in an address it does not change. */
static bool names_sp(const struct insn *i, u32 form)
{
	u8 modrm = i->code[i->at];
	bool in_rm = modrm >> 6 == 3 && (modrm & 7) == SP && !(i->rex & 1);
	bool in_reg = (form & 7) == MODRM && (modrm >> 3 & 7) == SP && !(i->rex & 4);

	return in_rm || in_reg;
}

static void prefixes(struct insn *i)
{
	for (; i->at < i->n && i->at < 3; i->at++) {
		u8 p = i->code[i->at];

		i->narrow |= p == 0x66;
		i->lock |= p == 0xf0;
		if (p != 0x66 && p != 0xf0 && p != 0x64) /* 64: thread-locals */
			break;
	}
	if (i->at < i->n && (i->code[i->at] & 0xf0) == 0x40)
		i->rex = i->code[i->at++];
}

/* Bytes of an instruction that only computes, and leaves the stack pointer alone; 0: it is another one, or not all of it is there. */
static u32 plain_length(const u8 *code, size_t n)
{
	struct insn i = {.code = code, .n = n < MOST_BYTES ? n : MOST_BYTES};
	u32 form, length;
	u8 op;

	prefixes(&i);
	if (i.at + 1 >= i.n) /* none of them is a byte long */
		return 0;
	op = i.code[i.at++];
	if (op == 0x0f) {
		op = i.code[i.at++];
		form = i.at < i.n ? form_of_two(op, &i) : NO_FORM;
	} else {
		form = i.lock ? NO_FORM : form_of_one(op, i.code[i.at] >> 3 & 7);
	}
	if (form == NO_FORM || (i.narrow && form & (IMM32 | SHORT_REG)))
		return 0;
	if (form == SHORT_REG)
		return (op & 7) == SP && !(i.rex & 1) ? 0 : (u32)i.at + (i.rex & 8 ? 8 : 4);
	if (names_sp(&i, form))
		return 0;
	length = modrm_length(&i);
	if (!length)
		return 0;
	return (u32)i.at + length + (form & IMM8 ? 1 : 0) + (form & IMM32 ? 4 : 0);
}

u32 probe_place_behind_call(const u8 *code, size_t n)
{
	size_t at = 0;

	while (at < n && !uprobe_is_emulated(code + at, n - at)) {
		u32 length = plain_length(code + at, n - at);

		if (!length || at + length > n)
			return 0;
		at += length;
	}
	return at < n ? (u32)at : 0;
}
