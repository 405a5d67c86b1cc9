/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi_rule.c: see cfi_rule.h. What is not exactly one of the forms that compilers, linkers and libraries write is UW_BAD: a stack that ends early is noticed, a wrong
 * one is not.
 */
#include "record/cfi_rule.h"

#include <string.h>

#include "record/cfi_pointer.h"

/* DWARF 5 table 7.9. */
enum { OP_DEREF = 0x06, OP_PLUS_UCONST = 0x23, OP_LIT0 = 0x30, OP_LIT15 = 0x3f, OP_BREG0 = 0x70 };

/* Where struct ucontext holds uc_mcontext.gregs[REG_RSP], [REG_RIP], [REG_RBP]: glibc's sysdeps/unix/sysv/linux/x86_64/ucontext_i.sym. */
enum { SIGNAL_RSP = 40 + 8 * 15, SIGNAL_RIP = 40 + 8 * 16, SIGNAL_RBP = 40 + 8 * 10 };

/* ---- from a state to a rule ---- */

/* *ret = off / 8 if that fits into so many signed bits. */
static bool in_words(s64 off, u32 bits, s32 *ret)
{
	s64 limit = 1LL << (bits - 1);

	if (off % 8 || off / 8 < -limit || off / 8 >= limit)
		return false;
	*ret = (s32)(off / 8);
	return true;
}

static bool saved_at(const struct cfi_reg_rule *r, u8 reg, s64 off)
{
	return r->how == CFI_AT_REG && r->reg == reg && r->off == off;
}

/* What glibc says of its __restore_rt. */
static bool is_signal_frame(const struct cfi_state *s)
{
	return s->cfa == CFI_CFA_DEREF && s->reg == CFI_REG_RSP && s->off == SIGNAL_RSP && !s->add &&
	       saved_at(&s->fp, CFI_REG_RSP, SIGNAL_RBP) && saved_at(&s->ra, CFI_REG_RSP, SIGNAL_RIP);
}

/* A rule that names a register, if the offset fits. */
static u32 reg_rule(enum uw_kind kind, s32 fp, u8 reg, s64 off)
{
	s32 words;

	return reg < UW_REGS && in_words(off, UW_CFA_BITS - UW_REG_BITS, &words) ? uw_rule_with_reg(kind, fp, reg, words)
										 : uw_rule(UW_BAD, 0, 0);
}

/*
 * The return address is not on the stack: only where there is nothing else to find, as in glibc's vfork. rsp and rbp are as the caller left them.
 */
static u32 ra_in_reg_rule(const struct cfi_state *s)
{
	return s->cfa == CFI_CFA_REG && s->reg == CFI_REG_RSP && s->fp.how == CFI_UNCHANGED && s->sp.how == CFI_UNCHANGED
		       ? reg_rule(UW_RA_REG, 0, s->ra.reg, s->off)
		       : uw_rule(UW_BAD, 0, 0);
}

/*
 * gcc's realigned stack before and after it has a CFA by expression: rbp is said to be saved where it points, from the prologue's `mov %rsp,%rbp` to the end. That holds while rbp points
 * into the frame; behind the epilogue's pop it is the caller's, and at the `ret` there is no frame left.
 */
static u32 realigned_rule(const struct cfi_state *s)
{
	if (s->reg == CFI_REG_RSP)
		return s->off == 8 ? uw_rule(UW_SP, 0, 1) : uw_rule(UW_BAD, 0, 0);
	return s->reg == CFI_REG_RBP ? uw_rule(UW_BAD, 0, 0) : reg_rule(UW_REG_FP, 0, s->reg, s->off);
}

/* The fp field. An undefined rbp is not taken for an unchanged one: a caller that needs it would be unwound wrongly instead of not at all. */
static bool fp_field(const struct cfi_reg_rule *fp, s32 *ret)
{
	*ret = 0;
	if (fp->how == CFI_UNCHANGED)
		return true;
	return fp->how == CFI_AT_CFA && in_words(fp->off, UW_FP_BITS, ret) && *ret;
}

u32 cfi_state_rule(const struct cfi_state *s, bool signal)
{
	const u32 bad = uw_rule(UW_BAD, 0, 0);
	s32 fp, cfa = 0;

	if (signal)
		return is_signal_frame(s) ? uw_rule(UW_SIGNAL, 0, 0) : bad;
	if (s->ra.how == CFI_UNDEFINED)
		return uw_rule(UW_STOP, 0, 0);
	if (s->ra.how == CFI_IN_REG)
		return ra_in_reg_rule(s);
	if (s->ra.how != CFI_AT_CFA || s->ra.off != -8 || s->sp.how != CFI_UNCHANGED)
		return bad;
	if (s->cfa == CFI_CFA_DEREF && s->reg == CFI_REG_RBP)
		return !s->add && saved_at(&s->fp, CFI_REG_RBP, 0) && in_words(s->off, UW_CFA_BITS, &cfa)
			       ? uw_rule(UW_DEREF_FP, 0, cfa)
			       : bad;
	if (s->cfa == CFI_CFA_REG && saved_at(&s->fp, CFI_REG_RBP, 0))
		return realigned_rule(s);
	if (!fp_field(&s->fp, &fp))
		return bad;
	if (s->cfa == CFI_CFA_PLT)
		return fp ? bad : uw_rule(UW_PLT, 0, (s32)s->add);
	if (s->cfa == CFI_CFA_REG && s->reg != CFI_REG_RSP && s->reg != CFI_REG_RBP)
		return reg_rule(UW_REG, fp, s->reg, s->off);
	if (!in_words(s->off, UW_CFA_BITS, &cfa))
		return bad;
	if (s->cfa == CFI_CFA_REG)
		return uw_rule(s->reg == CFI_REG_RSP ? UW_SP : UW_FP, fp, cfa);
	if (s->cfa == CFI_CFA_DEREF_AT)
		return reg_rule(UW_DEREF_AT, fp, s->reg, s->off);
	if (s->cfa == CFI_CFA_DEREF && s->reg == CFI_REG_RSP && s->add && s->add % 8 == 0 && s->add / 8 < UW_REGS)
		return reg_rule(UW_DEREF_SP, fp, (u8)(s->add / 8), s->off);
	return bad;
}

/* ---- expressions ---- */

/* The start of "breg6 OFF" and "breg7 OFF". */
static bool read_breg(struct fmt_cursor *e, u8 *ret_reg, s64 *ret_off)
{
	u8 reg = (u8)(cur_u8(e, "operation") - OP_BREG0);

	if (reg != CFI_REG_RBP && reg != CFI_REG_RSP)
		return false;
	*ret_reg = reg;
	*ret_off = cfi_read_sleb(e);
	return !e->err;
}

struct cfi_reg_rule cfi_saved_by_expression(struct fmt_cursor e)
{
	struct cfi_reg_rule rule = {.how = CFI_AT_REG};

	if (!read_breg(&e, &rule.reg, &rule.off) || cur_left(&e))
		rule = (struct cfi_reg_rule){.how = CFI_OTHER};
	return rule;
}

/*
 * GNU ld's description of a PLT: breg7 8, breg16 0, lit15, and, litN, ge, lit3, shl, plus. N is 11 or, with IBT, 10 or 9 (binutils' bfd/elfxx-x86.c,
 * elf_x86_64_eh_frame_*_plt).
 */
static bool is_plt(struct fmt_cursor e, u64 *ret_threshold)
{
	static const u8 head[] = {0x77, 8, 0x80, 0, 0x3f, 0x1a}, tail[] = {0x2a, 0x33, 0x24, 0x22};
	const u8 *p = e.p;

	if (cur_left(&e) != sizeof(head) + 1 + sizeof(tail) || memcmp(p, head, sizeof(head)) != 0 ||
	    memcmp(p + sizeof(head) + 1, tail, sizeof(tail)) != 0 || p[sizeof(head)] < OP_LIT0 || p[sizeof(head)] > OP_LIT15)
		return false;
	*ret_threshold = p[sizeof(head)] - OP_LIT0;
	return true;
}

/* bregN 0, lit8, mul, plus, deref, plus_uconst 8: what bn_mul_mont() and its like (openssl's crypto/bn/asm/x86_64-mont.pl) write behind "breg7 OFF". */
static bool is_array(struct fmt_cursor e, u8 *ret_reg)
{
	static const u8 tail[] = {0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8};

	if (cur_left(&e) != 1 + sizeof(tail) || (u8)(*e.p - OP_BREG0) >= CFI_REG_RA || memcmp(e.p + 1, tail, sizeof(tail)) != 0)
		return false;
	*ret_reg = (u8)(*e.p - OP_BREG0);
	return true;
}

void cfi_cfa_by_expression(struct cfi_state *s, struct fmt_cursor e)
{
	u8 at;

	s->add = 0;
	s->off = 0;
	s->cfa = CFI_CFA_PLT;
	if (is_plt(e, &s->add))
		return;
	s->cfa = CFI_CFA_OTHER;
	if (!read_breg(&e, &s->reg, &s->off))
		return;
	if (s->reg == CFI_REG_RSP && is_array(e, &at)) {
		s->cfa = CFI_CFA_DEREF_AT;
		s->reg = at;
		return;
	}
	s->cfa = CFI_CFA_DEREF;
	if (cur_u8(&e, "operation") == OP_DEREF) {
		if (cur_left(&e) && cur_u8(&e, "operation") == OP_PLUS_UCONST)
			s->add = cur_uvarint(&e, "addend");
		if (!e.err && !cur_left(&e))
			return;
	}
	s->cfa = CFI_CFA_OTHER;
}
