/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_cfi.c: hand-made programs of FDEs: every instruction, every kind of rule, what does not fit, what is malformed. Entries around them are
 * test_cfi_entries.c's, real files test_cfi_oracle.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>

#include "tests/unit/cfi_check.h"

enum { MAX_EXPECTED = 8 };

/* ---- instructions ---- */

/* A program of an FDE of [0x1000, 0x1100) and its rows; the UW_END at 0x1100 is understood. */
struct program_case {
	const char *name;
	u8 bytes[48];
	u8 n;
	u64 rows[MAX_EXPECTED];
};

#define CASE(name, bytes, ...)                                                                                                   \
	{                                                                                                                        \
		name, UNPACK bytes, sizeof((const u8[])UNPACK bytes),                                                            \
		{                                                                                                                \
			__VA_ARGS__                                                                                              \
		}                                                                                                                \
	}
#define UNPACK(...)                                                                                                              \
	{                                                                                                                        \
		__VA_ARGS__                                                                                                      \
	}

static void run_cases(const struct program_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct section s = section_new();
		size_t cie = section_put_usual_cie(&s);
		u64 expected[MAX_EXPECTED + 1];
		struct cfi_counts counts;
		u32 k = 0;

		section_put_fde(&s, cie, TEXT, 0x100, cases[i].bytes, cases[i].n);
		while (k < MAX_EXPECTED && cases[i].rows[k]) {
			expected[k] = cases[i].rows[k];
			k++;
		}
		expected[k++] = ROW(0x1100, UW_END);
		counts = cfi_check(cases[i].name, &s, expected, k);
		assert_int_equal(counts.fdes + counts.bad_fdes, 1);
		assert_false(counts.cut);
	}
}

static void instructions(void **state)
{
	static const struct program_case cases[] = {
		CASE("none", (0), ROW(0x1000, SP(1, 0))),
		CASE("advance_loc", (0x44, 0x0e, 16), ROW(0x1000, SP(1, 0)), ROW(0x1004, SP(2, 0))),
		CASE("advance_loc1", (0x02, 0x80, 0x0e, 16), ROW(0x1000, SP(1, 0)), ROW(0x1080, SP(2, 0))),
		CASE("advance_loc2", (0x03, 0x81, 0, 0x0e, 16), ROW(0x1000, SP(1, 0)), ROW(0x1081, SP(2, 0))),
		CASE("advance_loc4", (0x04, 0x82, 0, 0, 0, 0x0e, 16), ROW(0x1000, SP(1, 0)), ROW(0x1082, SP(2, 0))),
		CASE("no advance", (0x40, 0x0e, 16), ROW(0x1000, SP(2, 0))),
		CASE("several changes at a place", (0x41, 0x0e, 16, 0x86, 2, 0x0e, 24), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, SP(3, -2))),
		CASE("a change that changes nothing", (0x41, 0x0e, 8, 0x41, 0x0e, 16), ROW(0x1000, SP(1, 0)),
		     ROW(0x1002, SP(2, 0))),
		CASE("offset of rbp", (0x41, 0x86, 2), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(1, -2))),
		CASE("offset of others", (0x41, 0x83, 2, 0x8c, 3), ROW(0x1000, SP(1, 0))),
		CASE("def_cfa", (0x41, 0x0c, 6, 16), ROW(0x1000, SP(1, 0)), ROW(0x1001, FP(2, 0))),
		CASE("def_cfa_register", (0x41, 0x0d, 6), ROW(0x1000, SP(1, 0)), ROW(0x1001, FP(1, 0))),
		CASE("def_cfa_offset of two bytes", (0x41, 0x0e, 0x80, 0x02), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(32, 0))),
		CASE("def_cfa_sf", (0x41, 0x12, 7, 0x7e), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(2, 0))),
		CASE("def_cfa_offset_sf", (0x41, 0x13, 0x7d), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(3, 0))),
		CASE("offset_extended", (0x41, 0x05, 6, 3), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(1, -3))),
		CASE("offset_extended_sf", (0x41, 0x11, 6, 0x7e), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(1, 2))),
		CASE("GNU_negative_offset_extended", (0x41, 0x2f, 6, 2), ROW(0x1000, SP(1, 0)), ROW(0x1001, SP(1, 2))),
		CASE("restore", (0x86, 2, 0x41, 0xc6), ROW(0x1000, SP(1, -2)), ROW(0x1001, SP(1, 0))),
		CASE("restore_extended", (0x86, 2, 0x41, 0x06, 6), ROW(0x1000, SP(1, -2)), ROW(0x1001, SP(1, 0))),
		CASE("restore of the return address", (0x07, 16, 0x41, 0xd0), ROW(0x1000, KIND(UW_STOP)), ROW(0x1001, SP(1, 0))),
		CASE("same_value", (0x86, 2, 0x41, 0x08, 6), ROW(0x1000, SP(1, -2)), ROW(0x1001, SP(1, 0))),
		CASE("undefined return address", (0x41, 0x07, 16), ROW(0x1000, SP(1, 0)), ROW(0x1001, KIND(UW_STOP))),
		CASE("undefined rbx", (0x41, 0x07, 3), ROW(0x1000, SP(1, 0))),
		CASE("remember and restore", (0x41, 0x0a, 0x0c, 6, 16, 0x86, 2, 0x41, 0x0b), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, FP(2, -2)), ROW(0x1002, SP(1, 0))),
		CASE("remembered twice", (0x0a, 0x0e, 16, 0x0a, 0x0e, 24, 0x41, 0x0b, 0x41, 0x0b), ROW(0x1000, SP(3, 0)),
		     ROW(0x1001, SP(2, 0)), ROW(0x1002, SP(1, 0))),
		CASE("GNU_args_size, GNU_window_save", (0x41, 0x2e, 0x80, 1, 0x2d, 0x0e, 16), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, SP(2, 0))),
		CASE("val_offset 0 of rsp is what holds anyhow", (0x14, 7, 0, 0x15, 7, 0), ROW(0x1000, SP(1, 0))),
		CASE("val_offset of rbx", (0x14, 3, 1), ROW(0x1000, SP(1, 0))),
		CASE("expressions of others", (0x10, 3, 2, 0x77, 0, 0x16, 12, 2, 0x77, 0, 0x09, 3, 8), ROW(0x1000, SP(1, 0))),
		CASE("set_loc", (0x01, 0x3f, 0xb0, 0xff, 0xff, 0x0e, 16), ROW(0x1000, SP(1, 0)), ROW(0x106b, SP(2, 0))),
	};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases));
}

/* ---- kinds of rules, and what does not fit ---- */

static void kinds(void **state)
{
	static const struct program_case cases[] = {
		CASE("PLT, 11", (0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
		     ROW(0x1000, RULE(UW_PLT, 0, 11))),
		CASE("PLT, 10", (0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22),
		     ROW(0x1000, RULE(UW_PLT, 0, 10))),
		CASE("realigned stack", (0x10, 6, 2, 0x76, 0, 0x41, 0x0f, 3, 0x76, 0x78, 0x06), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, RULE(UW_DEREF_FP, 0, -1))),
		CASE("all of a function with one, as gcc 12 writes it",
		     (0x45, 0x0c, 10, 0, 0x57, 0x10, 6, 2, 0x76, 0, 0x42, 0x0f, 3, 0x76, 0x78, 0x06, 0x75, 0x0c, 10, 0, 0x45,
		      0x0c, 7, 8),
		     ROW(0x1000, SP(1, 0)), ROW(0x1005, REG(UW_REG, 0, 10, 0)), ROW(0x101c, REG(UW_REG_FP, 0, 10, 0)),
		     ROW(0x101e, RULE(UW_DEREF_FP, 0, -1)), ROW(0x1053, REG(UW_REG_FP, 0, 10, 0)), ROW(0x1058, SP(1, 0))),
		CASE("CFA from rax", (0x0d, 0, 0x41, 0x0d, 7), ROW(0x1000, REG(UW_REG, 0, 0, 1)), ROW(0x1001, SP(1, 0))),
		CASE("CFA from r15, rbp saved", (0x86, 3, 0x12, 15, 1), ROW(0x1000, REG(UW_REG, -3, 15, -1))),
		CASE("farthest CFA from a register", (0x0c, 9, 0xf8, 0xff, 0x0f, 0x41, 0x12, 9, 0x80, 0x80, 0x02),
		     ROW(0x1000, REG(UW_REG, 0, 9, 0x7fff)), ROW(0x1001, REG(UW_REG, 0, 9, -0x8000))),
		CASE("vfork", (0x41, 0x0e, 0, 0x09, 16, 5, 0x48, 0x0e, 8, 0x90, 1), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, REG(UW_RA_REG, 0, 5, 0)), ROW(0x1009, SP(1, 0))),
		CASE("OpenSSL's", (0x86, 3, 0x41, 0x0f, 5, 0x77, 24, 0x06, 0x23, 8), ROW(0x1000, SP(1, -3)),
		     ROW(0x1001, REG(UW_DEREF_SP, -3, 1, 3))),
		CASE("OpenSSL's, other addends", (0x0f, 5, 0x77, 16, 0x06, 0x23, 64, 0x41, 0x0f, 5, 0x77, 0x78, 0x06, 0x23, 120),
		     ROW(0x1000, REG(UW_DEREF_SP, 0, 8, 2)), ROW(0x1001, REG(UW_DEREF_SP, 0, 15, -1))),
		CASE("OpenSSL's with an array", (0x86, 3, 0x0f, 10, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8),
		     ROW(0x1000, REG(UW_DEREF_AT, -3, 9, 1))),
		CASE("def_cfa after an expression", (0x0f, 5, 0x77, 24, 0x06, 0x23, 8, 0x41, 0x0c, 7, 8),
		     ROW(0x1000, REG(UW_DEREF_SP, 0, 1, 3)), ROW(0x1001, SP(1, 0))),
		CASE("largest CFA", (0x0c, 6, 0xf8, 0xff, 0xff, 0x01), ROW(0x1000, FP(UW_CFA_MAX, 0))),
		CASE("lowest CFA", (0x12, 6, 0x80, 0x80, 0x20), ROW(0x1000, FP(-UW_CFA_MAX - 1, 0))),
		CASE("farthest rbp", (0x05, 6, 0x80, 1), ROW(0x1000, SP(1, -UW_FP_MAX - 1))),
		CASE("farthest rbp above", (0x11, 6, 0x81, 0x7f), ROW(0x1000, SP(1, UW_FP_MAX))),
	};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases));
}

static void does_not_fit(void **state)
{
	static const struct program_case cases[] = {
		CASE("CFA too large", (0x41, 0x0e, 0x80, 0x80, 0x80, 0x02, 0x41, 0x0e, 8), ROW(0x1000, SP(1, 0)),
		     ROW(0x1001, KIND(UW_BAD)), ROW(0x1002, SP(1, 0))),
		CASE("CFA too low", (0x12, 7, 0x81, 0x80, 0x20), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA not a multiple of 8", (0x0e, 12), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA too far from a register", (0x0c, 9, 0x80, 0x80, 0x10), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA too low for a register", (0x12, 9, 0x81, 0x80, 0x02), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA not a multiple of 8 from a register", (0x0c, 9, 4), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA from the return address", (0x0d, 16), ROW(0x1000, KIND(UW_BAD))),
		CASE("CFA from register 263, which is 7 in 8 bits", (0x0d, 0x87, 2), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp too far", (0x05, 6, 0x81, 1), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp too far above", (0x11, 6, 0x80, 0x7f), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp at the CFA, which would read as unchanged", (0x05, 6, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp in a register", (0x09, 6, 3), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp undefined", (0x07, 6), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp is CFA+8", (0x14, 6, 1), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp by an expression, and a frame", (0x0e, 16, 0x10, 6, 2, 0x76, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp by an expression, and the CFA from it", (0x0c, 6, 16, 0x10, 6, 2, 0x76, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp by another expression", (0x10, 6, 2, 0x76, 8), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp by another register's", (0x0c, 10, 0, 0x10, 6, 2, 0x77, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("rbp is the value of one", (0x16, 6, 2, 0x76, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("offset that overflows", (0x05, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("return address elsewhere", (0x90, 2), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in a register of the next kind", (0x09, 16, 17), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in register 261, which is 5 in 8 bits", (0x09, 16, 0x85, 2), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in itself", (0x09, 16, 16), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in a register, CFA too", (0x0d, 0, 0x09, 16, 5), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in a register, rbp saved", (0x86, 2, 0x09, 16, 5), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address in a register, rsp saved", (0x87, 2, 0x09, 16, 5), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address unchanged", (0x08, 16), ROW(0x1000, KIND(UW_BAD))),
		CASE("return address by an expression", (0x10, 16, 2, 0x77, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("rsp elsewhere", (0x87, 3), ROW(0x1000, KIND(UW_BAD))),
		CASE("rsp in a register", (0x09, 7, 8), ROW(0x1000, KIND(UW_BAD))),
		CASE("rsp is CFA-8", (0x14, 7, 1), ROW(0x1000, KIND(UW_BAD))),
		CASE("PLT with one byte changed", (0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x1c),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("PLT with another offset", (0x0f, 11, 0x77, 16, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("PLT without a literal", (0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x2f, 0x2a, 0x33, 0x24, 0x22),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("PLT and more", (0x0f, 12, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x96),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("PLT and rbp saved", (0x86, 2, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("realigned, rbp elsewhere", (0x86, 2, 0x0f, 3, 0x76, 0x78, 0x06), ROW(0x1000, KIND(UW_BAD))),
		CASE("realigned, rbp not at rbp", (0x10, 6, 2, 0x76, 8, 0x0f, 3, 0x76, 0x78, 0x06), ROW(0x1000, KIND(UW_BAD))),
		CASE("realigned, and something added", (0x10, 6, 2, 0x76, 0, 0x0f, 5, 0x76, 0x78, 0x06, 0x23, 8),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's, an addend of 0", (0x0f, 5, 0x77, 24, 0x06, 0x23, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's, an odd addend", (0x0f, 5, 0x77, 24, 0x06, 0x23, 12), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's, a large addend", (0x0f, 6, 0x77, 24, 0x06, 0x23, 0x80, 1), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's, far away", (0x0f, 7, 0x77, 0x80, 0x80, 0x10, 0x06, 0x23, 8), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's with an array, from rbp", (0x0f, 10, 0x76, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's with an array of words", (0x0f, 10, 0x77, 8, 0x79, 0, 0x34, 0x1e, 0x22, 0x06, 0x23, 8),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's with an array by the return address",
		     (0x0f, 10, 0x77, 8, 0x80, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's with an array and more", (0x0f, 11, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8, 0x96),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's, no addend", (0x0f, 3, 0x77, 24, 0x06), ROW(0x1000, KIND(UW_BAD))),
		CASE("OpenSSL's and more", (0x0f, 6, 0x77, 24, 0x06, 0x23, 8, 0x96), ROW(0x1000, KIND(UW_BAD))),
		CASE("an empty expression", (0x0f, 0), ROW(0x1000, KIND(UW_BAD))),
		CASE("from r9", (0x0f, 3, 0x79, 0, 0x06), ROW(0x1000, KIND(UW_BAD))),
		CASE("register after an expression",
		     (0x0f, 5, 0x77, 24, 0x06, 0x23, 8, 0x41, 0x0d, 7, 0x41, 0x0e, 8, 0x41, 0x0c, 7, 8),
		     ROW(0x1000, REG(UW_DEREF_SP, 0, 1, 3)), ROW(0x1001, KIND(UW_BAD)), ROW(0x1003, SP(1, 0))),
	};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases));
}

static void malformed_programs(void **state)
{
	static const struct program_case cases[] = {
		CASE("unknown instruction", (0x41, 0x17), ROW(0x1000, KIND(UW_BAD))),
		CASE("another", (0x41, 0x3f), ROW(0x1000, KIND(UW_BAD))),
		CASE("restore_state of nothing", (0x41, 0x0e, 16, 0x41, 0x0b), ROW(0x1000, KIND(UW_BAD))),
		CASE("remembered too deep",
		     (0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("remembered as deep as it goes",
		     (0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a),
		     ROW(0x1000, SP(1, 0))),
		CASE("set_loc backwards", (0x44, 0x01, 0xc9, 0xaf, 0xff, 0xff, 0x0e, 16), ROW(0x1000, KIND(UW_BAD))),
		CASE("an expression longer than the program", (0x41, 0x0f, 0x40, 0x77), ROW(0x1000, KIND(UW_BAD))),
		CASE("a uleb128 of 11 bytes", (0x41, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("a sleb128 of 12 bytes", (0x41, 0x13, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0),
		     ROW(0x1000, KIND(UW_BAD))),
		CASE("an offset that has no sign and needs one",
		     (0x41, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01), ROW(0x1000, KIND(UW_BAD))),
	};
	/* operands missing at the end of the entry, which is not padded here */
	static const u8 cut[] = {0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0c, 0x0d, 0x0e, 0x0f,
				 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x2e, 0x2f, 0x86, 0x01};

	(void)state;
	run_cases(cases, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		const u8 program[] = {0x0e, 16, 0x41, cut[i]};
		struct section s = section_new();
		size_t cie = section_put_usual_cie(&s);
		struct cfi_counts counts;

		section_put_fde(&s, cie, TEXT, 0x100, program, sizeof(program));
		if (s.b.data[s.b.len - 1] != cut[i]) { /* take the padding off again */
			u32 length;

			while (s.b.data[s.b.len - 1] != cut[i])
				s.b.len--;
			length = (u32)(s.b.len - s.entry - 4);
			memcpy(s.b.data + s.entry, &length, 4);
		}
		counts = CHECK("operand missing", &s, ROW(0x1000, KIND(UW_BAD)), ROW(0x1100, UW_END));
		assert_int_equal(counts.bad_fdes, 1);
		assert_int_equal(counts.fdes, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(instructions),
		cmocka_unit_test(kinds),
		cmocka_unit_test(does_not_fit),
		cmocka_unit_test(malformed_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
