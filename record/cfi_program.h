/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi_program.h: runs the instructions of one CIE or FDE (DWARF 5 section 6.4.2) and turns each row of the unwind information into a rule. Called by
 * cfi.c, which finds the entries and says where their programs lie.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_cursor.h"
#include "record/cfi.h"
#include "record/cfi_rule.h"

struct cfi_cie {
	u32 off;	/* in the section */
	bool known;	/* the encoding of addresses was understood: FDEs have a range */
	bool usable;	/* everything was understood: FDEs have rules */
	bool sized;	/* FDEs hold the size of their augmentation data */
	bool signal;	/* FDEs are of signal trampolines */
	u8 encoding;	/* of addresses in FDEs */
	u64 code_align; /* bytes */
	s64 data_align; /* bytes */
	struct cfi_state initial;
};

/* Runs a CIE's initial instructions into cie->initial. False: malformed. */
bool cfi_run_initial(const struct cfi_input *in, struct fmt_cursor c, struct cfi_cie *cie) __must_check;

/*
 * Runs the program of an FDE that begins at pc `start` and appends its rows, the first at start, those from pc `end` on left out. A malformed program becomes
 * one UW_BAD row. `first`: see cfi_rows_put(). Adds the UW_BAD rows of a well-formed one to *bad_rules. 0, 1 when it was malformed, -ENOMEM, -EFBIG.
 */
int cfi_run_fde(const struct cfi_input *in, struct fmt_cursor c, const struct cfi_cie *cie, u32 start, u32 end,
		struct cfi_rows *out, u32 first, u32 *bad_rules) __must_check;
