/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* code_shape.c: see code_shape.h. */
#include "record/code_shape.h"

enum {
	REX_W = 0x48,
	REX_MASK = 0xf8, /* the others say which registers */
	LOCK = 0xf0,
	STORE = 0x89, /* mov %reg, memory or register */
	LOAD = 0x8b,  /* mov memory or register, %reg */
	REG_RSP = 4,
	REG_RBP = 5,
	REG_RSI = 6,
	REG_RDI = 7,
	/* tokio/src/runtime/task/core.rs: Header, Vtable */
	OFF_VTABLE = 16,
	OFF_OWNER_ID = 24,
	VTABLE_ID_OFFSET = 72,
	/* state.rs: RUNNING | COMPLETE */
	RUNNING_COMPLETE = 3,
};

/* The operands of an instruction of 64 bits: a register, and a register or what lies at disp behind one. */
struct operands {
	u8 reg, base;
	bool is_memory;
	int disp;
	size_t end; /* where the next instruction begins */
};

/* ModR/M at `at`, with SIB and displacement; false: a form that these functions have no use for. */
static bool read_operands(const u8 *code, size_t n, size_t at, u8 rex, struct operands *ret)
{
	u8 modrm, mod, rm;

	if (at >= n || rex & 2) /* REX.X: an index */
		return false;
	modrm = code[at++];
	mod = modrm >> 6;
	rm = modrm & 7;
	*ret = (struct operands){.reg = (modrm >> 3 & 7) | (rex & 4) << 1, .base = rm | (rex & 1) << 3, .is_memory = mod != 3};
	if (mod == 2 || (mod == 0 && rm == REG_RBP))
		return false; /* 4 bytes of displacement */
	if (ret->is_memory && rm == REG_RSP && (at >= n || code[at++] != 0x24))
		return false; /* SIB: no index is 0x24 */
	if (mod == 1) {
		if (at >= n)
			return false;
		ret->disp = (s8)code[at++];
	}
	ret->end = at;
	return true;
}

/* A mov of 64 bits. */
static bool read_mov(const u8 *code, size_t n, size_t at, u8 opcode, struct operands *ret)
{
	if (at + 2 >= n || (code[at] & REX_MASK) != REX_W || code[at + 1] != opcode)
		return false;
	return read_operands(code, n, at + 2, code[at], ret);
}

/* Whether a register holds what the register `arg` held at the function's begin: it is that one, or it was copied before `until`. */
static bool is_argument(const u8 *code, size_t until, u8 reg, u8 arg)
{
	struct operands o;

	for (size_t at = 0; reg != arg && at < until; at++) {
		if (read_mov(code, until, at, STORE, &o) && !o.is_memory && o.reg == arg && o.base == reg)
			return true;
		if (read_mov(code, until, at, LOAD, &o) && !o.is_memory && o.reg == reg && o.base == arg)
			return true;
	}
	return reg == arg;
}

/* xor $3, %r; lock cmpxchg %r, (%state) */
static bool is_exchange(const u8 *code, size_t n, size_t at)
{
	u8 reg, rex;
	struct operands o;

	if (at + 8 >= n || (code[at] & ~1) != REX_W || code[at + 1] != 0x83 || (code[at + 2] & 0xf8) != 0xf0 ||
	    code[at + 3] != RUNNING_COMPLETE)
		return false;
	reg = (code[at + 2] & 7) | (code[at] & 1) << 3;
	rex = code[at + 5];
	if (code[at + 4] != LOCK || (rex & REX_MASK) != REX_W || code[at + 6] != 0x0f || code[at + 7] != 0xb1 ||
	    !read_operands(code, n, at + 8, rex, &o))
		return false;
	return o.reg == reg && o.is_memory && !o.disp && is_argument(code, at, o.base, REG_RDI);
}

bool code_shape_is_complete(const u8 *code, size_t n)
{
	for (size_t at = 0; at < n; at++)
		if (is_exchange(code, n, at))
			return true;
	return false;
}

/* mov %owner, 24(%header); mov 16(%header), %vtable; mov 72(%vtable), %offset */
static bool is_owning(const u8 *code, size_t n, size_t at)
{
	struct operands own, vtable, id;

	if (!read_mov(code, n, at, STORE, &own) || !own.is_memory || own.disp != OFF_OWNER_ID)
		return false;
	if (!read_mov(code, n, own.end, LOAD, &vtable) || !vtable.is_memory || vtable.disp != OFF_VTABLE ||
	    vtable.base != own.base)
		return false;
	if (!read_mov(code, n, vtable.end, LOAD, &id) || !id.is_memory || id.disp != VTABLE_ID_OFFSET || id.base != vtable.reg)
		return false;
	return is_argument(code, at, own.base, REG_RSI);
}

bool code_shape_is_bind(const u8 *code, size_t n)
{
	for (size_t at = 0; at < n; at++)
		if (is_owning(code, n, at))
			return true;
	return false;
}
