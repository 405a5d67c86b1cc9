/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * table_build.c: how long unwind tables take to build and how large they are. Called by hand and by the benchmark script.
 *
 *	table_build FILE...
 *
 * One line per file, tab-separated: MB of file, FDEs, rows, different rules, bytes of map memory per row (8 and the index's 8 per block), build time in
 * ms (best of 5, file in the page cache), rows of UW_BAD, the file. A file without a table, or which cannot be read, says so, and the exit status is 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/clock.h"
#include "record/unwind_module.h"

enum { ROUNDS = 5 };

static int by_value(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

/* Different values among n rules. 0 when there is no memory. */
static u32 count_unique(const struct unwind_module *m)
{
	_cleanup_free_ u32 *rules = malloc(m->rows.n * sizeof(*rules));
	u32 n = 0;

	if (!rules)
		return 0;
	for (u32 i = 0; i < m->rows.n; i++)
		rules[i] = (u32)m->rows.rows[i];
	qsort(rules, m->rows.n, sizeof(*rules), by_value);
	for (u32 i = 0; i < m->rows.n; i++)
		n += !i || rules[i] != rules[i - 1];
	return n;
}

static int one_file(const char *path)
{
	static const char *const names[] = {"ok", "no .eh_frame", "not ELF", "malformed", "too large"};
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct unwind_module m = {0};
	u64 best = UINT64_MAX;
	struct stat st;
	int err = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	for (u32 i = 0; i < ROUNDS && !err; i++) {
		u64 start = clock_ns(CLOCK_MONOTONIC);

		unwind_module_release(&m);
		err = unwind_module_read(fd, &m);
		best = min_u64(best, clock_ns(CLOCK_MONOTONIC) - start);
	}
	if (err || m.status != UNWIND_MODULE_OK) {
		(void)printf("-\t-\t-\t-\t-\t-\t-\t%s: %s\n", path, err ? strerror(-err) : names[m.status]);
		return 1;
	}
	(void)printf("%.1f\t%u\t%u\t%u\t%.2f\t%.2f\t%u\t%s\n", (double)st.st_size / 1e6, m.counts.fdes, m.rows.n,
		     count_unique(&m), 8 + 8.0 * unwind_module_blocks(&m, unwind_module_block_log(&m)) / m.rows.n, (double)best / 1e6,
		     m.counts.bad_rules, path);
	unwind_module_release(&m);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: table_build FILE...\n");
		return 2;
	}
	(void)printf("MB\tFDEs\trows\trules\tB/row\tms\tbad\tfile\n");
	for (int i = 1; i < argc; i++)
		failed |= one_file(argv[i]);
	return failed;
}
