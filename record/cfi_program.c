/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi_program.c: the interpreter of call frame instructions. Called by cfi.c. Only what a rule is made of is kept: the CFA, and where the caller's rbp, rsp and
 * return address are; other registers are read over.
 *
 * Invariant: every instruction takes at least one byte of the program and appends at most one row, so that time and memory are linear in the program's length.
 */
#include "record/cfi_program.h"

#include <errno.h>

#include "base/array.h"
#include "record/cfi_pointer.h"

/* DWARF 5 table 7.29; 0x2d to 0x2f are GNU's (LSB Core 5.0 section 10.5.2.2 and binutils' include/dwarf2.def). */
enum {
	CFA_ADVANCE_LOC = 1, /* the first three are in the upper two bits */
	CFA_OFFSET = 2,
	CFA_RESTORE = 3,

	CFA_NOP = 0x00,
	CFA_SET_LOC = 0x01,
	CFA_ADVANCE_LOC1 = 0x02,
	CFA_ADVANCE_LOC2 = 0x03,
	CFA_ADVANCE_LOC4 = 0x04,
	CFA_OFFSET_EXTENDED = 0x05,
	CFA_RESTORE_EXTENDED = 0x06,
	CFA_UNDEFINED = 0x07,
	CFA_SAME_VALUE = 0x08,
	CFA_REGISTER = 0x09,
	CFA_REMEMBER_STATE = 0x0a,
	CFA_RESTORE_STATE = 0x0b,
	CFA_DEF_CFA = 0x0c,
	CFA_DEF_CFA_REGISTER = 0x0d,
	CFA_DEF_CFA_OFFSET = 0x0e,
	CFA_DEF_CFA_EXPRESSION = 0x0f,
	CFA_EXPRESSION = 0x10,
	CFA_OFFSET_EXTENDED_SF = 0x11,
	CFA_DEF_CFA_SF = 0x12,
	CFA_DEF_CFA_OFFSET_SF = 0x13,
	CFA_VAL_OFFSET = 0x14,
	CFA_VAL_OFFSET_SF = 0x15,
	CFA_VAL_EXPRESSION = 0x16,
	CFA_GNU_WINDOW_SAVE = 0x2d, /* AArch64: negate_ra_state; neither means anything on x86-64 */
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f,
};

enum {
	MAX_REMEMBERED = 16, /* states; gcc nests two deep at most */
	MAX_ROWS = 1 << 26,
};

/* One run of a program. */
struct cfi_run {
	const struct cfi_input *in;
	const struct cfi_cie *cie;
	struct fmt_cursor c;
	struct cfi_state state;
	struct cfi_state remembered[MAX_REMEMBERED];
	u32 n_remembered;
	bool initial; /* of a CIE: it has no location to advance */
	u64 loc, end; /* pcs; loc >= end: over */
	u32 bad_rules;
	u32 first;
	struct cfi_rows *out;
	int err; /* of appending */
};

static void malformed(struct cfi_run *r)
{
	cur_fail(&r->c, -EBADMSG, "call frame instructions");
}

int cfi_rows_put(struct cfi_rows *out, u32 first, u32 pc, u32 rule)
{
	if (out->n > first && (u32)out->rows[out->n - 1] == rule)
		return 0;
	if (out->n >= MAX_ROWS)
		return -EFBIG;
	if (ARRAY_ROOM_RAW(out->rows, out->n, &out->cap) < 0)
		return -ENOMEM;
	out->rows[out->n++] = (u64)pc << 32 | rule;
	return 0;
}

/* The expression's bytes, taken off the program. Empty when it is cut. */
static struct fmt_cursor take_expression(struct cfi_run *r)
{
	u64 n = cur_uvarint(&r->c, "size of an expression");
	const u8 *p = n <= cur_left(&r->c) ? cur_bytes(&r->c, n, "expression") : NULL;

	if (!p) {
		malformed(r);
		n = 0;
	}
	return cur_init(p, n);
}

/* ---- instructions ---- */

static struct cfi_reg_rule *slot(struct cfi_state *s, u64 reg)
{
	switch (reg) {
	case CFI_REG_RBP:
		return &s->fp;
	case CFI_REG_RSP:
		return &s->sp;
	case CFI_REG_RA:
		return &s->ra;
	default:
		return NULL;
	}
}

static void set_how(struct cfi_run *r, u64 reg, int how)
{
	struct cfi_reg_rule *rule = slot(&r->state, reg);

	if (rule)
		*rule = (struct cfi_reg_rule){.how = how};
}

static void set_saved(struct cfi_run *r, u64 reg, s64 factored)
{
	struct cfi_reg_rule *rule = slot(&r->state, reg);

	if (!rule)
		return;
	*rule = (struct cfi_reg_rule){.how = CFI_AT_CFA};
	if (__builtin_mul_overflow(factored, r->cie->data_align, &rule->off))
		rule->how = CFI_OTHER;
}

/* The caller's value is in another register. */
static void set_kept(struct cfi_run *r, u64 reg, u64 in)
{
	struct cfi_reg_rule *rule = slot(&r->state, reg);

	if (rule)
		*rule = (struct cfi_reg_rule){.how = in < CFI_REG_RA ? CFI_IN_REG : CFI_OTHER, .reg = (u8)in};
}

/* A factored offset that is not signed. */
static s64 read_factored(struct cfi_run *r)
{
	u64 v = cur_uvarint(&r->c, "offset");

	if (v > INT64_MAX)
		malformed(r);
	return (s64)v;
}

/* The caller's value is CFA + an offset: of rsp this is the usual 0, and nothing else is known here. */
static void set_val_offset(struct cfi_run *r, u64 reg, s64 factored)
{
	set_how(r, reg, reg == CFI_REG_RSP && !factored ? CFI_UNCHANGED : CFI_OTHER);
}

static void restore(struct cfi_run *r, u64 reg)
{
	struct cfi_reg_rule *rule = slot(&r->state, reg);
	struct cfi_state initial;

	if (r->initial) {
		malformed(r);
	} else if (rule) {
		initial = r->cie->initial;
		*rule = *slot(&initial, reg);
	}
}

static void set_cfa_register(struct cfi_run *r, u64 reg)
{
	r->state.reg = reg < CFI_REG_RA ? (u8)reg : CFI_REG_OTHER;
}

static void set_cfa(struct cfi_run *r, u64 reg, s64 off)
{
	r->state.cfa = CFI_CFA_REG;
	r->state.add = 0;
	r->state.off = off;
	set_cfa_register(r, reg);
}

static s64 multiplied(struct cfi_run *r, s64 factored)
{
	s64 off;

	if (__builtin_mul_overflow(factored, r->cie->data_align, &off)) {
		malformed(r);
		return 0;
	}
	return off;
}

static void remember(struct cfi_run *r)
{
	if (r->n_remembered == MAX_REMEMBERED)
		malformed(r);
	else
		r->remembered[r->n_remembered++] = r->state;
}

static void restore_state(struct cfi_run *r)
{
	if (!r->n_remembered)
		malformed(r);
	else
		r->state = r->remembered[--r->n_remembered];
}

/* The row that is complete when the location moves on. */
static void put_row(struct cfi_run *r)
{
	u32 rule = cfi_state_rule(&r->state, r->cie->signal), before = r->out->n;

	r->err = cfi_rows_put(r->out, r->first, (u32)r->loc, rule);
	r->bad_rules += r->out->n > before && rule == uw_rule(UW_BAD, 0, 0);
}

static void advance_to(struct cfi_run *r, u64 loc)
{
	if (r->initial || loc < r->loc) {
		malformed(r);
		return;
	}
	if (r->c.err || loc == r->loc)
		return;
	put_row(r);
	r->loc = loc;
}

static void advance(struct cfi_run *r, u64 delta)
{
	u64 bytes;

	/* what lies behind the end does not matter */
	if (__builtin_mul_overflow(delta, r->cie->code_align, &bytes) || bytes > UINT32_MAX)
		bytes = UINT32_MAX;
	advance_to(r, r->loc + bytes);
}

static void set_loc(struct cfi_run *r)
{
	u64 vaddr = cfi_read_pointer(r->in, &r->c, r->cie->encoding);

	if (!r->c.err)
		advance_to(r, vaddr - r->in->base);
}

static void step_cfa(struct cfi_run *r, u8 op)
{
	struct cfi_state *s = &r->state;
	int before = s->cfa;
	u64 reg;

	switch (op) {
	case CFA_DEF_CFA:
		reg = cur_uvarint(&r->c, "register");
		set_cfa(r, reg, read_factored(r));
		return;
	case CFA_DEF_CFA_SF:
		reg = cur_uvarint(&r->c, "register");
		set_cfa(r, reg, multiplied(r, cfi_read_sleb(&r->c)));
		return;
	case CFA_DEF_CFA_EXPRESSION:
		cfi_cfa_by_expression(s, take_expression(r));
		return;
	}
	if (op == CFA_DEF_CFA_REGISTER)
		set_cfa_register(r, cur_uvarint(&r->c, "register"));
	else
		s->off = op == CFA_DEF_CFA_OFFSET ? read_factored(r) : multiplied(r, cfi_read_sleb(&r->c));
	/* DWARF 5 section 6.4.2.2: valid only when the CFA is a register and an offset. libgcrypt's assembly does it behind an expression. */
	if (before != CFI_CFA_REG)
		s->cfa = CFI_CFA_OTHER;
}

static void step_register(struct cfi_run *r, u8 op)
{
	u64 reg = cur_uvarint(&r->c, "register");
	struct fmt_cursor e;

	switch (op) {
	case CFA_OFFSET_EXTENDED:
		set_saved(r, reg, read_factored(r));
		break;
	case CFA_OFFSET_EXTENDED_SF:
		set_saved(r, reg, cfi_read_sleb(&r->c));
		break;
	case CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_saved(r, reg, -read_factored(r));
		break;
	case CFA_RESTORE_EXTENDED:
		restore(r, reg);
		break;
	case CFA_UNDEFINED:
		set_how(r, reg, CFI_UNDEFINED);
		break;
	case CFA_SAME_VALUE: /* of rsp and the return address this says something else than CFI_UNCHANGED does */
		set_how(r, reg, reg == CFI_REG_RBP ? CFI_UNCHANGED : CFI_OTHER);
		break;
	case CFA_REGISTER:
		set_kept(r, reg, cur_uvarint(&r->c, "register"));
		break;
	case CFA_VAL_OFFSET:
		set_val_offset(r, reg, read_factored(r));
		break;
	case CFA_VAL_OFFSET_SF:
		set_val_offset(r, reg, cfi_read_sleb(&r->c));
		break;
	default: /* CFA_EXPRESSION, CFA_VAL_EXPRESSION */
		e = take_expression(r);
		if (op == CFA_EXPRESSION && slot(&r->state, reg))
			*slot(&r->state, reg) = cfi_saved_by_expression(e);
		else
			set_how(r, reg, CFI_OTHER);
	}
}

static void step_extended(struct cfi_run *r, u8 op)
{
	switch (op) {
	case CFA_NOP:
	case CFA_GNU_WINDOW_SAVE:
		break;
	case CFA_SET_LOC:
		set_loc(r);
		break;
	case CFA_ADVANCE_LOC1:
		advance(r, cur_u8(&r->c, "location"));
		break;
	case CFA_ADVANCE_LOC2:
		advance(r, cur_le16(&r->c, "location"));
		break;
	case CFA_ADVANCE_LOC4:
		advance(r, cur_le32(&r->c, "location"));
		break;
	case CFA_REMEMBER_STATE:
		remember(r);
		break;
	case CFA_RESTORE_STATE:
		restore_state(r);
		break;
	case CFA_DEF_CFA:
	case CFA_DEF_CFA_REGISTER:
	case CFA_DEF_CFA_OFFSET:
	case CFA_DEF_CFA_EXPRESSION:
	case CFA_DEF_CFA_SF:
	case CFA_DEF_CFA_OFFSET_SF:
		step_cfa(r, op);
		break;
	case CFA_GNU_ARGS_SIZE: /* of a caller that pushed arguments; the CFA has them in it */
		(void)cur_uvarint(&r->c, "size of arguments");
		break;
	default:
		if ((op >= CFA_OFFSET_EXTENDED && op <= CFA_VAL_EXPRESSION) || op == CFA_GNU_NEGATIVE_OFFSET_EXTENDED)
			step_register(r, op);
		else
			malformed(r);
	}
}

/* Until the program or the code ends. */
static void run_program(struct cfi_run *r)
{
	while (r->c.p < r->c.end && !r->err && (r->initial || r->loc < r->end)) {
		u8 op = *r->c.p++, low = op & 0x3f;

		switch (op >> 6) {
		case CFA_ADVANCE_LOC:
			advance(r, low);
			break;
		case CFA_OFFSET:
			set_saved(r, low, read_factored(r));
			break;
		case CFA_RESTORE:
			restore(r, low);
			break;
		default:
			step_extended(r, low);
		}
	}
}

bool cfi_run_initial(const struct cfi_input *in, struct fmt_cursor c, struct cfi_cie *cie)
{
	struct cfi_run r;

	r.in = in;
	r.cie = cie;
	r.c = c;
	r.state = (struct cfi_state){0};
	r.state.ra.how = CFI_OTHER; /* until it is said */
	r.n_remembered = 0;
	r.initial = true;
	r.err = 0;
	run_program(&r);
	cie->initial = r.state;
	return !r.c.err;
}

int cfi_run_fde(const struct cfi_input *in, struct fmt_cursor c, const struct cfi_cie *cie, u32 start, u32 end,
		struct cfi_rows *out, u32 first, u32 *bad_rules)
{
	struct cfi_run r; /* not `= {0}`: what is remembered is a kilobyte, and there are 100,000 FDEs */
	u32 mark = out->n;

	r.in = in;
	r.cie = cie;
	r.c = c;
	r.state = cie->initial;
	r.n_remembered = 0;
	r.initial = false;
	r.loc = start;
	r.end = end;
	r.bad_rules = 0;
	r.first = first;
	r.out = out;
	r.err = 0;
	run_program(&r);
	if (!r.err && !r.c.err && r.loc < r.end)
		put_row(&r);
	if (r.err)
		return r.err;
	if (r.c.err) {
		out->n = mark;
		r.err = cfi_rows_put(out, first, start, uw_rule(UW_BAD, 0, 0));
		return r.err ? r.err : 1;
	}
	*bad_rules += r.bad_rules;
	return 0;
}
