/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_check.h: compiles a hand-made section and compares the rows. For test_cfi*.c. */
#pragma once

#include "record/cfi.h"
#include "tests/unit/cfi_section.h"

/* As bpf/unwind_rows.h describes it; a constant, unlike uw_rule(). */
#define RULE(k, fp, cfa) ((u32)(k) | ((u32)(fp)&0xff) << 4 | (u32)(cfa) << 12)
#define SP(cfa, fp)	 RULE(UW_SP, fp, cfa)
#define FP(cfa, fp)	 RULE(UW_FP, fp, cfa)
#define KIND(k)		 RULE(k, 0, 0)
#define REG(k, fp, r, o) RULE(k, fp, (u32)(o) << UW_REG_BITS | (r))
#define ROW(pc, rule)	 ((u64)(pc) << 32 | (rule))

/* Compiles with one segment of code; appends to *rows. */
struct cfi_counts cfi_compile_at(const struct section *s, u64 base, u64 text, u64 text_end, struct cfi_rows *rows);
void cfi_assert_rows(const char *name, const struct cfi_rows *rows, const u64 *expected, u32 n);
/* Compiles, compares, releases the section. */
struct cfi_counts cfi_check(const char *name, struct section *s, const u64 *expected, u32 n);

#define CHECK(name, s, ...) cfi_check(name, s, (const u64[]){__VA_ARGS__}, ARRAY_SIZE(((const u64[]){__VA_ARGS__})))
