/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi.h: compiles the call frame information of one .eh_frame or .debug_frame section to unwind rows (bpf/unwind_rows.h). Its input is untrusted: any bytes end in
 * a status, never in a crash or a hang, and cost time and memory linear in their number.
 *
 * Sources: DWARF 5 section 6.4; Linux Standard Base Core 5.0 section 10.6 (.eh_frame, .eh_frame_hdr); System V ABI AMD64 0.99 section 3.6.
 */
#pragma once

#include "base/base.h"
#include "bpf/unwind_rows.h"

/* A range of virtual addresses. */
struct cfi_range {
	u64 start, end;
};

struct cfi_input {
	const u8 *eh_frame;	      /* borrowed */
	size_t size;		      /* of the section; a terminator before its end does not end it */
	u64 vaddr;		      /* of its first byte */
	u64 data_base;		      /* for DW_EH_PE_datarel: address of .eh_frame_hdr */
	u64 base;		      /* address of pc 0 */
	const struct cfi_range *text; /* executable segments; rows outside of them are dropped */
	u32 n_text;
	bool debug_frame; /* the section is a .debug_frame (DWARF 5 section 6.4.1), which differs in how FDEs name their CIE */
};

struct cfi_counts {
	u32 fdes;      /* that were compiled */
	u32 bad_fdes;  /* malformed or not understood: their range is UW_BAD */
	u32 bad_rules; /* rows that do not fit */
	bool cut;      /* the section ended in the middle of an entry: what came before counts */
};

/* Growing array of rows. Zero-initialise; free rows with free(). */
struct cfi_rows {
	u64 *rows;
	u32 n;
	size_t cap;
};

/*
 * Appends a row unless it says what the row before says. pc is above that of the row before. first: number of the first row that counts as "before".
 * 0, -ENOMEM, -EFBIG.
 */
int cfi_rows_put(struct cfi_rows *out, u32 first, u32 pc, u32 rule) __must_check;

/*
 * Appends the section's rows to *out, sorted by pc, at most one per pc, neighbours with different rules, UW_END where no FDE continues. 0, -ENOMEM, or
 * -EFBIG for more than 2^26 rows.
 */
int cfi_compile(const struct cfi_input *in, struct cfi_rows *out, struct cfi_counts *counts) __must_check;
