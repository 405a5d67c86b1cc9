/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oracle_tables.h: the unwind tables of one live process, made with the recorder's own compiler (record/unwind_module.c, unwind_tables.c). */
#pragma once

#include "base/base.h"
#include "record/unwind_tables.h"

enum { ORACLE_MAX_MAPS = 512 };

struct oracle_tables {
	u32 pid;
	struct unwind_mapping maps[ORACLE_MAX_MAPS];
	u32 n_maps;
	struct oracle_module {
		u64 dev, inode; /* 0, 0: the vdso */
		struct unwind_module m;
	} modules[ORACLE_MAX_MAPS]; /* [0] is none */
	u32 n_modules, n_published;
	struct unwind_tables *tables;
	struct unwind_slice slice;
};

/* Reads /proc/PID/maps and the files behind its executable mappings. 1 when the list differs from the last one, 0 when not, or -errno. */
int oracle_tables_scan(struct oracle_tables *t);
/* Entries that the arrays need for what was scanned. */
void oracle_tables_need(const struct oracle_tables *t, u32 *ret_rows, u32 *ret_idx);
/* Writes what was scanned to the arrays; t->slice is then the process's. */
int oracle_tables_publish(struct oracle_tables *t, const struct unwind_arrays *a);
void oracle_tables_release(struct oracle_tables *t);
