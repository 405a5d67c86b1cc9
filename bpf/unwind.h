/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * unwind.h: one step of a walk up a user stack by the tables of unwind_rows.h. Written once: for the kernel with unwind.bpf.h, for user space with
 * record/unwind_walk.c. Both define what differs, how rows, index, mappings and user memory are read:
 *
 *	const u64 *uw_row_at(const struct uw *s, u32 k)			NULL outside of the array
 *	const u64 *uw_idx_at(const struct uw *s, u32 k)
 *	const struct uw_map *uw_map_at(const struct uw *s, u32 k)
 *	long uw_read(const struct uw *s, void *dst, u32 n, u64 addr)	0, or not all n bytes could be read
 *	long uw_reg(const struct uw *s, u32 reg, u64 *ret)		the innermost frame's register, by DWARF number; 0, or it is not known
 *	UW_FN								linkage of a function that the verifier shall look at once
 *	UW_STATE							members of struct uw of their own, 8 bytes, not set by uw_start()
 *
 * Invariant: a step that does not fail moves sp up, or goes through a signal frame, or takes a register of the innermost frame or of one that a signal interrupted; a walk has WIRE_MAX_FRAMES steps at most. Arrays may hold anything
 * (user space writes them meanwhile): a wrong value makes a wrong frame, never a read outside of them.
 */
#pragma once

#include "unwind_rows.h"

#ifdef __bpf__
#include "unwind.bpf.h"
#endif

/* Fixed steps: a search that the verifier has to follow as a loop costs it, and some kernels refuse it. */
#ifdef __clang__
#define UW_UNROLL _Pragma("unroll")
#else
#define UW_UNROLL
#endif

enum {
	UW_FP_REACH = 1 << 20, /* a saved frame pointer is guessed at no further than this above sp */
	UW_CALL_LEN = 7,       /* the longest call instruction: opcode, ModRM, SIB, disp32 */
	/* bits of uw.flags */
	UW_EXACT = 1,	/* ip is the instruction that runs next or was interrupted, not one behind a call */
	UW_GUESSED = 2, /* out: this step found the caller by a frame pointer */
	UW_USED_FP = 4, /* out: this step's answer depends on fp */
	UW_OTHER = 8,	/* out: this step read more than a return address and a frame pointer */
	UW_OUT = UW_GUESSED | UW_USED_FP | UW_OTHER,
};

/*
 * Where a walk is. All of it is set by uw_start(). Not even padding may be left out: the verifier wants the memory that a function gets
 * initialised.
 */
struct uw {
	u64 ip, sp, fp;
	u64 fp_at;		/* address that fp was read from; 0: it is the register's value */
	u64 map_start, map_end; /* the mapping that was last found, empty at first; the next three are of it */
	u64 gregs;		/* address of the registers that the last signal frame holds */
	u32 idx_base, pc_off, row_end, block_log;
	u32 first, n; /* the process's slice of the mappings */
	u32 flags;
	u32 depth; /* callers found so far */
	u32 fp_from, pad;
	UW_STATE
};

#ifdef __bpf__
/*
 * Read only when a rule asks for it. Words of struct pt_regs by DWARF number, in hexadecimal digits, rax the last one: arch/x86/include/asm/ptrace.h, whose first 15 have not
 * changed since x86-64 began, for assembly in the kernel counts on them as well. rsp is not among them.
 */
static __always_inline long uw_reg(const struct uw *s, u32 reg, u64 *ret)
{
	u64 word = 0x01236789f4ed5bcaULL >> reg * 4 & 15;

	return s->regs && word < 15 ? bpf_probe_read_kernel(ret, 8, (void *)(s->regs + word * 8)) : -1;
}
#endif

/* The rule's place in the ucontext of a signal frame: arch/x86/include/uapi/asm/sigcontext.h behind uc_flags, uc_link and uc_stack. */
enum { UW_GREGS = 40, UW_GREG_BP = 10, UW_GREG_SP = 15, UW_GREG_IP = 16, UW_GREGS_READ = UW_GREG_IP - UW_GREG_BP + 1 };

/* Makes the mapping that holds addr the current one. 0, or 1 and nothing changed. */
UW_FN int uw_find_map(struct uw *s, u64 addr)
{
	const struct uw_map *m;
	u32 at, end;

	if (!s)
		return 1;
	at = s->first;
	end = at + s->n;
	/* the last one that starts at or below addr; UW_MAX_MAPS is below 1024 */
	UW_UNROLL
	for (u32 step = 512; step; step >>= 1) {
		u32 k = at + step;

		if (k >= end)
			continue;
		m = uw_map_at(s, k);
		if (m && m->start <= addr)
			at = k;
	}
	m = s->n ? uw_map_at(s, at) : 0;
	if (!m || addr < m->start || addr >= m->end)
		return 1;
	s->map_start = m->start;
	s->map_end = m->end;
	s->idx_base = m->idx_base;
	s->pc_off = m->pc_off;
	s->row_end = m->row_end;
	s->block_log = m->block_log & 31;
	return 0;
}

/* The rule for an address in the current mapping, UW_END where there is none. */
UW_FN u32 uw_find_rule(struct uw *s, u64 addr)
{
	const u64 *r;
	u32 pc, block, at, next;
	u64 key;

	if (!s)
		return UW_END;
	pc = (u32)(addr - s->map_start) + s->pc_off;
	block = s->idx_base + (pc >> (s->block_log & 31));
	key = (u64)pc << 32 | 0xffffffff;
	r = uw_idx_at(s, block);
	if (!r)
		return UW_END;
	at = (u32)*r;
	/* the last row of the next block's start bounds the search; the module's last block has no next one of its own */
	r = uw_idx_at(s, block + 1);
	next = r ? (u32)*r : 0;
	if (next < at || next >= s->row_end)
		next = at + (1 << UW_SEARCH_STEPS);
	/* without the test against row_end a probe could leap into the next module, whose rows have small pcs */
	UW_UNROLL
	for (u32 step = 1 << (UW_SEARCH_STEPS - 1); step; step >>= 1) {
		u32 k = at + step;

		if (k > next || k >= s->row_end)
			continue;
		r = uw_row_at(s, k);
		if (r && *r <= key)
			at = k;
	}
	r = at < s->row_end ? uw_row_at(s, at) : 0;
	return r && *r <= key ? (u32)*r : UW_END;
}

/* Bytes of `call *operand` from its opcode ff on, 0 when that is not what it is. Intel SDM volume 2, tables 2-2 and 2-3. */
static __always_inline u32 uw_indirect_call_len(u8 opcode, u8 modrm, u8 sib)
{
	u32 mod = modrm >> 6, rm = modrm & 7, len = 2;

	if (opcode != 0xff || (modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return len;
	if (rm == 4)
		len++;
	if (mod == 1)
		return len + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
		return len + 4;
	return len;
}

/* Whether the instruction that ends at b[7] is a call. */
static __always_inline bool uw_is_call(const u8 b[UW_CALL_LEN + 1])
{
	return b[2] == 0xe8 || uw_indirect_call_len(b[5], b[6], 0) == 2 || uw_indirect_call_len(b[4], b[5], b[6]) == 3 ||
	       uw_indirect_call_len(b[3], b[4], b[5]) == 4 || uw_indirect_call_len(b[1], b[2], b[3]) == 6 ||
	       uw_indirect_call_len(b[0], b[1], b[2]) == 7;
}

/*
 * Where no table tells: the caller by the frame pointer, if what that points to looks like what a function with a frame pointer
 * keeps there. A guess; frame pointers may be off in this code, and then it is fp's old value that is followed.
 */
UW_FN int uw_step_fp(struct uw *s)
{
	u64 pair[2];
	u8 code[UW_CALL_LEN + 1] = {0};

	if (!s)
		return UW_BROKEN;
	s->flags |= UW_USED_FP | UW_OTHER;
	if (s->fp & 7 || s->fp < s->sp || s->fp - s->sp >= UW_FP_REACH)
		return UW_NO_TABLE;
	if (uw_read(s, pair, sizeof(pair), s->fp))
		return UW_NO_TABLE;
	if (pair[1] < UW_CALL_LEN || uw_find_map(s, pair[1] - 1) || uw_read(s, code, UW_CALL_LEN, pair[1] - UW_CALL_LEN) ||
	    !uw_is_call(code))
		return UW_NO_TABLE;
	s->fp_at = s->fp;
	s->sp = s->fp + sizeof(pair);
	s->fp = pair[0];
	s->ip = pair[1];
	s->flags = (s->flags & ~(u32)UW_EXACT) | UW_GUESSED;
	s->depth++;
	if (!s->fp_from)
		s->fp_from = s->depth + 1;
	return UW_MORE;
}

/*
 * Place of a register, by DWARF number, in a signal frame's gregs: REG_R8 to REG_RCX of sys/ucontext.h, in hexadecimal digits, rax the last one. rsp has one too, but no rule
 * names it.
 */
#define UW_GREG_OF 0x76543210fa89becdULL

/*
 * A register that is not tracked from frame to frame: of the innermost frame, where those that a system call overwrites are no more, or of one that a signal interrupted.
 */
static __always_inline int uw_get_reg(const struct uw *s, u32 reg, u64 *ret)
{
	const u32 lost = 1u << 0 | 1u << 2 | 1u << 11; /* rax, rcx, r11 */

	if (!s->depth) {
		if (!(s->flags & UW_EXACT) && lost >> reg & 1)
			return UW_BAD_RULE;
		return uw_reg(s, reg, ret) ? UW_BAD_RULE : 0;
	}
	if (!(s->flags & UW_EXACT))
		return UW_BAD_RULE;
	return uw_read(s, ret, 8, s->gregs + (UW_GREG_OF >> reg * 4 & 15) * 8) ? UW_FAULT : 0;
}

/* The registers that the signal interrupted: its frame's caller, by an exact address. */
static __always_inline int uw_step_signal(struct uw *s)
{
	u64 g[UW_GREGS_READ];

	if (uw_read(s, g, sizeof(g), s->sp + UW_GREGS + UW_GREG_BP * 8))
		return UW_FAULT;
	s->gregs = s->sp + UW_GREGS;
	s->fp_at = 0;
	s->fp = g[0];
	s->sp = g[UW_GREG_SP - UW_GREG_BP];
	s->ip = g[UW_GREG_IP - UW_GREG_BP];
	s->flags |= UW_EXACT | UW_OTHER;
	s->depth++;
	return UW_MORE;
}

/* A rule that names a register. Sets the CFA if it is found and, for UW_REG_FP, fp; else the step is over: what it then returns. */
static __always_inline int uw_step_by_reg(struct uw *s, u32 rule, u64 *ret_cfa)
{
	u64 value, old_fp;
	int err = uw_get_reg(s, uw_rule_reg(rule), &value);

	s->flags |= UW_OTHER;
	if (err)
		return err;
	if ((rule & 15) == UW_RA_REG) {
		s->sp += (u64)uw_rule_reg_off(rule);
		s->ip = value;
		s->flags &= ~(u32)UW_EXACT;
		s->depth++;
		return value ? UW_MORE : UW_BROKEN;
	}
	if ((rule & 15) == UW_DEREF_AT) {
		if (uw_read(s, &value, 8, s->sp + (u64)uw_rule_reg_off(rule) + value * 8))
			return UW_FAULT;
		*ret_cfa = value + 8;
		return UW_STATUSES;
	}
	*ret_cfa = value + (u64)uw_rule_reg_off(rule);
	if ((rule & 15) == UW_REG_FP && s->fp >= s->sp && s->fp < *ret_cfa) {
		s->flags |= UW_USED_FP;
		if (uw_read(s, &old_fp, 8, s->fp))
			return UW_FAULT;
		s->fp_at = s->fp;
		s->fp = old_fp;
	}
	return UW_STATUSES;
}

/* The step's last part: the caller's ip and fp, by its CFA. fp_slot: where fp was saved, in bytes from the CFA; 0: it is unchanged. */
static __always_inline int uw_step_to(struct uw *s, u64 cfa, s64 fp_slot)
{
	u64 w[2]; /* fp, return address */

	if (cfa <= s->sp)
		return UW_BROKEN;
	if (fp_slot == -16) {
		if (uw_read(s, w, sizeof(w), cfa - 16))
			return UW_FAULT;
	} else {
		if (uw_read(s, &w[1], 8, cfa - 8))
			return UW_FAULT;
		if (fp_slot && uw_read(s, &w[0], 8, cfa + (u64)fp_slot))
			return UW_FAULT;
	}
	if (fp_slot) {
		s->fp = w[0];
		s->fp_at = cfa + (u64)fp_slot;
	}
	s->ip = w[1];
	s->sp = cfa;
	s->flags &= ~(u32)UW_EXACT;
	if (!w[1]) /* nobody called: kept by those who make stacks by hand */
		return s->depth ? UW_WHOLE : UW_BROKEN;
	s->depth++;
	return UW_MORE;
}

/*
 * From a frame to its caller. UW_MORE, or how the walk ended (then ip is 0 when a return address of 0 ended it). Flags in UW_OUT say what the step did;
 * the caller of this function clears them.
 */
UW_FN int uw_step(struct uw *s)
{
	u64 addr, cfa, old_fp;
	s64 fp_slot, off;
	u32 rule;
	int done;

	if (!s)
		return UW_BROKEN;
	addr = s->ip - !(s->flags & UW_EXACT); /* a call may be a function's last instruction */
	if ((addr < s->map_start || addr >= s->map_end) && uw_find_map(s, addr))
		return UW_NO_MAPPING;
	rule = s->row_end ? uw_find_rule(s, addr) : UW_END;
	fp_slot = uw_rule_fp(rule);
	off = uw_rule_cfa(rule);
	switch (rule & 15) {
	case UW_END:
		return uw_step_fp(s);
	case UW_SP:
		cfa = s->sp + (u64)off;
		break;
	case UW_FP:
		s->flags |= UW_USED_FP;
		cfa = s->fp + (u64)off;
		break;
	case UW_PLT:
		cfa = s->sp + 8 + ((s64)(addr & 15) >= off / 8 ? 8 : 0);
		fp_slot = 0;
		break;
	case UW_SIGNAL:
		return uw_step_signal(s);
	case UW_STOP:
		return UW_WHOLE;
	case UW_DEREF_FP:
		s->flags |= UW_USED_FP | UW_OTHER;
		if (uw_read(s, &cfa, 8, s->fp + (u64)off) || uw_read(s, &old_fp, 8, s->fp))
			return UW_FAULT;
		s->fp_at = s->fp;
		s->fp = old_fp;
		fp_slot = 0;
		break;
	case UW_DEREF_SP:
		s->flags |= UW_OTHER;
		if (uw_read(s, &cfa, 8, s->sp + (u64)uw_rule_reg_off(rule)))
			return UW_FAULT;
		cfa += uw_rule_reg(rule) * 8;
		break;
	case UW_REG:
	case UW_REG_FP:
	case UW_RA_REG:
	case UW_DEREF_AT:
		done = uw_step_by_reg(s, rule, &cfa);
		if (done != UW_STATUSES)
			return done;
		break;
	default:
		return UW_BAD_RULE;
	}
	return uw_step_to(s, cfa, fp_slot);
}

/* The state before the first step. after_call: ip is behind a call or system call instruction. */
static __always_inline void uw_start(struct uw *s, u32 first, u32 n, u64 ip, u64 sp, u64 fp, bool after_call)
{
	s->ip = ip;
	s->sp = sp;
	s->fp = fp;
	s->fp_at = 0;
	s->gregs = 0;
	s->map_start = s->map_end = 0;
	s->idx_base = s->pc_off = s->row_end = s->block_log = 0;
	s->first = first;
	s->n = n;
	s->flags = after_call ? 0 : UW_EXACT;
	s->depth = 0;
	s->fp_from = s->pad = 0;
}
