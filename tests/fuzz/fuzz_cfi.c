/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_cfi.c: any bytes as call frame information or as an ELF file, compiled to an unwind table whose promises (record/cfi.h, record/unwind_module.h) are checked.
 * Linked with libFuzzer, or with fuzz_replay.c where there is none.
 *
 *	byte 0   bit 0: an ELF image, which the rest is; else a section: bit 1: .debug_frame, bit 2: high addresses, bit 3: another segment of code
 *	byte 1   unused, so that a section begins at an even place
 *
 * Most plain mutations of a section end in a length that lies. The mutator changes the inside of one entry, then makes lengths and CIE pointers hold again.
 */
#include <stdlib.h>
#include <string.h>

#include "record/unwind_module.h"
#include "tests/fuzz/fuzz.h"

/* A broken promise, as libFuzzer wants to hear of it. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

enum { HEAD = 2, IS_IMAGE = 1, IS_DEBUG_FRAME = 2, IS_HIGH = 4, HAS_TWO = 8 };

/* ---- the target ---- */

static bool in_text(const struct cfi_range *text, u32 n_text, u64 vaddr)
{
	for (u32 i = 0; i < n_text; i++)
		if (vaddr >= text[i].start && vaddr < text[i].end)
			return true;
	return false;
}

/* Rows from `first` on. */
static void check_rows(const struct cfi_rows *rows, u32 first, u64 base, const struct cfi_range *text, u32 n_text)
{
	for (u32 i = first; i < rows->n; i++) {
		u32 pc = (u32)(rows->rows[i] >> 32), rule = (u32)rows->rows[i], kind = rule & 15;

		MUST(kind < UW_KINDS);
		MUST(i == first || rows->rows[i - 1] >> 32 < pc);
		MUST(i == first || (u32)rows->rows[i - 1] != rule);
		MUST(kind == UW_END || in_text(text, n_text, base + pc));
		MUST(kind != UW_END || (i > first && in_text(text, n_text, base + pc - 1)));
		if (kind == UW_END || kind == UW_SIGNAL || kind == UW_STOP || kind == UW_BAD)
			MUST(rule == uw_rule(kind, 0, 0));
		if (kind == UW_PLT)
			MUST(uw_rule_cfa(rule) <= 15 * 8 && uw_rule_cfa(rule) >= 0 && !uw_rule_fp(rule));
		if (kind == UW_DEREF_FP || kind == UW_REG_FP || kind == UW_RA_REG)
			MUST(!uw_rule_fp(rule));
		if (kind == UW_REG || kind == UW_REG_FP) /* rbp and rsp have kinds of their own */
			MUST(uw_rule_reg(rule) != 6 && uw_rule_reg(rule) != 7);
		if (kind == UW_DEREF_SP)
			MUST(uw_rule_reg(rule));
	}
	MUST(rows->n == first || ((u32)rows->rows[rows->n - 1] & 15) == UW_END);
}

static void run_section(u8 flags, const u8 *data, size_t size)
{
	u64 high = flags & IS_HIGH ? 0x7f5500000000 : 0;
	const struct cfi_range text[] = {{high + 0x1000, high + 0x5000}, {high + 0x8000, high + 0x9000}};
	struct cfi_input in = {.eh_frame = data,
			       .size = size,
			       .vaddr = high + 0x6000,
			       .data_base = high + 0x800,
			       .base = high,
			       .text = text,
			       .n_text = flags & HAS_TWO ? 2 : 1,
			       .debug_frame = flags & IS_DEBUG_FRAME};
	struct cfi_rows rows = {0}, again = {0};
	struct cfi_counts counts = {0}, counts_again = {0};

	MUST(cfi_rows_put(&rows, 0, 1, uw_rule(UW_SP, 0, 1)) == 0);
	MUST(cfi_compile(&in, &rows, &counts) == 0);
	MUST(rows.rows[0] == (1ULL << 32 | uw_rule(UW_SP, 0, 1)));
	check_rows(&rows, 1, in.base, text, in.n_text);
	MUST(rows.n <= size + 1); /* no row without a byte of its own */
	MUST((u64)counts.fdes + counts.bad_fdes <= size / 4 && counts.bad_rules <= rows.n);
	MUST(rows.n > 1 || !counts.fdes);
	MUST(cfi_compile(&in, &again, &counts_again) == 0);
	MUST(again.n == rows.n - 1 && !memcmp(&counts, &counts_again, sizeof(counts)));
	MUST(!again.n || !memcmp(again.rows, rows.rows + 1, again.n * sizeof(*again.rows)));
	free(rows.rows);
	free(again.rows);
}

static void run_image(const u8 *data, size_t size)
{
	struct cfi_range text[UNWIND_MAX_SEGMENTS];
	struct unwind_module m;
	u32 pc;

	MUST(unwind_module_read_image(data, size, &m) == 0);
	MUST(m.status <= UNWIND_MODULE_TOO_LARGE);
	MUST(m.status == UNWIND_MODULE_OK || !m.rows.n);
	MUST(m.n_segments <= UNWIND_MAX_SEGMENTS);
	if (m.status == UNWIND_MODULE_OK) {
		MUST(m.n_segments && m.span && m.base % 4096 == 0);
		for (u32 i = 0; i < m.n_segments; i++) {
			const struct unwind_segment *s = &m.segments[i];

			text[i] = (struct cfi_range){s->vaddr, s->vaddr + s->file_size};
			MUST(s->vaddr >= m.base && s->vaddr + s->file_size - m.base <= m.span);
			MUST(unwind_module_pc(&m, s->file_off, &pc) != 0 || pc < m.span);
		}
		check_rows(&m.rows, 0, m.base, text, m.n_segments);
		MUST(m.rows.n <= 2 * size + 1024);
	}
	MUST(unwind_module_pc(&m, UINT64_MAX, &pc) != 0);
	unwind_module_release(&m);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < HEAD)
		return 0;
	if (data[0] & IS_IMAGE)
		run_image(data + HEAD, size - HEAD);
	else
		run_section(data[0], data + HEAD, size - HEAD);
	return 0;
}

/* ---- the mutator ---- */

/* An entry of a section: 4 bytes of length, 4 of id, the rest. */
struct entry {
	u32 off, n; /* of all of it */
	s32 cie;    /* number of the entry that an FDE names; -1: none or a CIE */
};

enum { MAX_ENTRIES = 64 };

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put32(u8 *p, u32 v)
{
	memcpy(p, &v, sizeof(v));
}

static u32 split(const u8 *data, size_t size, bool debug_frame, struct entry *entries)
{
	u32 n = 0;

	for (size_t off = 0; off + 8 <= size && n < MAX_ENTRIES; n++) {
		u32 length = get32(data + off), id = get32(data + off + 4);
		u64 cie_off = debug_frame ? id : (u64)off + 4 - id;

		if (length < 4 || length > size - off - 4)
			break;
		entries[n] = (struct entry){(u32)off, length + 4, -1};
		for (u32 i = 0; i < n; i++)
			if (entries[i].off == cie_off)
				entries[n].cie = (s32)i;
		off += length + 4;
	}
	return n;
}

/* Changes the inside of entry k of a section within max_size bytes. */
static size_t mutate_entry(u8 *data, size_t size, size_t max_size, bool debug_frame, struct entry *entries, u32 n, u32 k)
{
	struct entry *e = &entries[k];
	size_t body = e->off + 8, old = e->n - 8, behind = size - body - old, room = max_size - size + old, new;
	u8 *tail = malloc(behind ? behind : 1);

	if (!tail)
		return size;
	memcpy(tail, data + body + old, behind);
	new = LLVMFuzzerMutate(data + body, old, room < 4096 ? room : 4096);
	memcpy(data + body + new, tail, behind);
	free(tail);
	put32(data + e->off, (u32) new + 4);
	for (u32 i = k + 1; i < n; i++)
		entries[i].off += (u32)(new - old);
	for (u32 i = 0; i < n; i++)
		if (entries[i].cie >= 0)
			put32(data + entries[i].off + 4,
			      debug_frame ? entries[entries[i].cie].off : entries[i].off + 4 - entries[entries[i].cie].off);
	return size - old + new;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	struct entry entries[MAX_ENTRIES];
	bool debug_frame = size > HEAD && data[0] & IS_DEBUG_FRAME;
	u32 n = size > HEAD && !(data[0] & IS_IMAGE) ? split(data + HEAD, size - HEAD, debug_frame, entries) : 0;

	if (n && seed % 4)
		return HEAD + mutate_entry(data + HEAD, size - HEAD, max_size - HEAD, debug_frame, entries, n, (seed >> 4) % n);
	return LLVMFuzzerMutate(data, size, max_size);
}
