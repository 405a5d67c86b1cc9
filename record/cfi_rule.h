/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi_rule.h: one row of call frame information, as far as a rule is made of it, and the rule (bpf/unwind_rows.h) that it makes. Called by cfi_program.c.
 */
#pragma once

#include "base/base.h"
#include "bpf/unwind_rows.h"
#include "format/fmt_cursor.h"

/* DWARF numbers of registers: System V ABI AMD64 1.0 figure 3.36. */
enum { CFI_REG_RBP = 6, CFI_REG_RSP = 7, CFI_REG_RA = 16, CFI_REG_OTHER = 255 };

/* Those below CFI_REG_RA are integer registers; the others cannot hold an address. */

/* How a caller's register is found. */
struct cfi_reg_rule {
	enum { CFI_UNCHANGED, CFI_UNDEFINED, CFI_AT_CFA, CFI_AT_REG, CFI_IN_REG, CFI_OTHER } how;
	u8 reg;	 /* CFI_AT_REG: saved at reg + off: 6 or 7; CFI_IN_REG: kept in reg, below CFI_REG_RA */
	s64 off; /* bytes */
};

/* The columns that a rule is made of. Zero: nothing said. */
struct cfi_state {
	enum { CFI_CFA_UNSET, CFI_CFA_REG, CFI_CFA_PLT, CFI_CFA_DEREF, CFI_CFA_DEREF_AT, CFI_CFA_OTHER } cfa;
	u8 reg; /* DWARF number: of CFA_REG and CFA_DEREF_AT below CFI_REG_RA or CFI_REG_OTHER, of CFA_DEREF 6 or 7 */
	s64 off; /* CFA_REG: reg + off; CFA_DEREF: *(reg + off) + add; CFA_DEREF_AT: *(rsp + off + reg * 8) + 8; CFA_PLT: add is the threshold */
	u64 add;
	struct cfi_reg_rule fp, sp, ra;
};

/* The rule, UW_BAD if there is none. signal: of a signal trampoline. */
u32 cfi_state_rule(const struct cfi_state *s, bool signal);

/* The CFA is an expression: "breg OFF, deref" with or without "plus_uconst ADD", a PLT's, or OpenSSL's with an array. Anything else becomes CFI_CFA_OTHER. */
void cfi_cfa_by_expression(struct cfi_state *s, struct fmt_cursor e);

/* A register is saved where an expression says: "breg OFF", which gcc writes for realigned stacks and glibc for signal frames. Anything else becomes CFI_OTHER. */
struct cfi_reg_rule cfi_saved_by_expression(struct fmt_cursor e);
