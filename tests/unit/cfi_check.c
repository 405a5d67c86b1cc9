/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_check.c: see cfi_check.h. */
#include "tests/unit/cfi_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

struct cfi_counts cfi_compile_at(const struct section *s, u64 base, u64 text, u64 text_end, struct cfi_rows *rows)
{
	const struct cfi_range range = {text, text_end};
	const struct cfi_input in = {.eh_frame = s->b.data,
				     .size = s->b.len,
				     .vaddr = s->vaddr,
				     .data_base = DATA_BASE,
				     .base = base,
				     .text = &range,
				     .n_text = 1,
				     .debug_frame = s->debug_frame};
	struct cfi_counts counts = {0};

	assert_int_equal(buf_err(&s->b), 0);
	assert_int_equal(cfi_compile(&in, rows, &counts), 0);
	return counts;
}

void cfi_assert_rows(const char *name, const struct cfi_rows *rows, const u64 *expected, u32 n)
{
	bool same = rows->n == n && (!n || !memcmp(rows->rows, expected, n * sizeof(*expected)));

	if (same)
		return;
	for (u32 i = 0; i < rows->n || i < n; i++) {
		u64 a = i < rows->n ? rows->rows[i] : 0, b = i < n ? expected[i] : 0;

		print_error("%s: row %u: pc %#llx kind %u cfa %lld fp %lld, expected pc %#llx kind %u cfa %lld fp %lld\n", name,
			    i, (unsigned long long)(a >> 32), (u32)a & 15, (long long)uw_rule_cfa((u32)a),
			    (long long)uw_rule_fp((u32)a), (unsigned long long)(b >> 32), (u32)b & 15,
			    (long long)uw_rule_cfa((u32)b), (long long)uw_rule_fp((u32)b));
	}
	fail_msg("%s: %u rows, expected %u", name, rows->n, n);
}

struct cfi_counts cfi_check(const char *name, struct section *s, const u64 *expected, u32 n)
{
	struct cfi_rows rows = {0};
	struct cfi_counts counts = cfi_compile_at(s, 0, TEXT, TEXT_END, &rows);

	cfi_assert_rows(name, &rows, expected, n);
	free(rows.rows);
	buf_release(&s->b);
	return counts;
}
