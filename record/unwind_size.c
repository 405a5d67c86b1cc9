/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unwind_size.c: see unwind_size.h. Called with this process's own rights, before any are dropped. */
#include "record/unwind_size.h"

#include <string.h>
#include <sys/stat.h>

#include "base/u64map.h"
#include "record/procfs.h"
#include "record/unwind_module.h"

enum {
	ROWS_MIN = 1 << 20,
	ROWS_MIN_COMMAND = 1 << 21,
	ROWS_MAX = 1 << 24,
	IDX_MAX = 1 << 23,
	MAPS_MIN = 1 << 16,
	MAPS_MAX = 1 << 19,
	MAPS_PER_MAPPING = 64, /* a slice is written anew at each change, and the old one stays for seconds */
	ROWS_PER_BLOCK = 2,    /* at least: unwind_module_block_log() */
};

struct estimate {
	u32 pid;
	u64 rows, idx, maps;
	struct u64map seen; /* files */
};

static int add_mapping(void *ctx, const struct proc_map *m)
{
	struct estimate *e = ctx;
	_cleanup_close_ int fd = -1;
	u32 rows, span;
	struct stat st;
	u64 key, known;

	if (!m->exec)
		return 0;
	e->maps++;
	if (m->path[0] != '/')
		return 0;
	fd = proc_open_mapped(NULL, e->pid, m);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	key = (st.st_dev * 0x9e3779b97f4a7c15ULL ^ st.st_ino) * 0xbf58476d1ce4e5b9ULL ^
	      (u64)st.st_size; /* two in one: a file less in an estimate */
	if (u64map_get(&e->seen, key, &known) || u64map_put(&e->seen, key, 1) < 0)
		return 0;
	unwind_module_estimate(fd, &rows, &span);
	e->rows += rows;
	e->idx += min_u64(span >> UW_BLOCK_LOG, rows / ROWS_PER_BLOCK) + 1;
	return 0;
}

static u32 within(u64 n, u64 least, u64 most)
{
	return (u32)min_u64(max_u64(n, least), most);
}

struct unwind_size unwind_size_for(const u32 *pids, u32 n, bool command)
{
	struct estimate e = {0};
	struct unwind_size size;

	for (u32 i = 0; i < n; i++) {
		e.pid = pids[i];
		(void)!proc_maps(NULL, pids[i], add_mapping, &e);
	}
	u64map_release(&e.seen);
	size.rows = within(e.rows + e.rows / 4, command ? ROWS_MIN_COMMAND : ROWS_MIN, ROWS_MAX);
	size.idx = within(e.idx + e.idx / 4, size.rows / 2, IDX_MAX);
	size.maps = within(e.maps * MAPS_PER_MAPPING, MAPS_MIN, MAPS_MAX);
	return size;
}
