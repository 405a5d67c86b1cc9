/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* own_code.c: see own_code.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/own_code.h"

u64 own_file_off(const void *p)
{
	FILE *f = fopen("/proc/self/maps", "r");
	u64 addr = (u64)(uintptr_t)p, off = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, end, file_off;

		if (sscanf(line, "%llx-%llx %*s %llx", &start, &end, &file_off) == 3 && addr >= start && addr < end)
			off = addr - start + file_off;
	}
	(void)fclose(f);
	assert_true(off != 0);
	return off;
}
