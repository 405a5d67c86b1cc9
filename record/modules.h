/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * modules.h: the files behind executable mappings, and the vdso: each gets an index and a row of kind `module` once, whoever maps it, and its unwind
 * table. Used by record/mappings.c.
 *
 * Which file it is, its device, inode, size and modification time tell, as they are of the very file that is mapped: a file written anew under the same
 * name, or with the number of a deleted one, is another module. The vdso is told by its bytes.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/procfs.h"
#include "record/unwind_tables.h"

struct modules;

/* All are borrowed; tables may be NULL: none are built then. 0 or -ENOMEM. */
int modules_new(struct catalog *cat, struct unwind_tables *tables, struct modules **ret) __must_check;
struct modules *modules_free(struct modules *ms); /* accepts NULL, returns NULL */

/* Whether a mapping gets a module: of a file, or the vdso. Others are anonymous memory to us: code made at run time, [vsyscall], [uprobes]. */
bool modules_is_one(const struct proc_map *m);

/* The module of a mapping, for which that holds. Errors of the writer stick in the catalog. 0 or -ENOMEM. */
int modules_find(struct modules *ms, struct cat_process *p, const struct proc_map *m, u32 *ret_idx) __must_check;

/* What a file says of a Tokio inside (copies.h); NULL when it is no ELF file, or could not be opened. */
struct module_tokio;
struct module_tokio *modules_tokio(const struct modules *ms, u32 idx);

/*
 * Builds the table of a module if unwind_tables_has() wants one. The mapping is opened again; when it is another module's meanwhile, nothing is done. Takes
 * up to some 100 ms for a file of 100 MB. 0 or -ENOMEM.
 */
int modules_build(struct modules *ms, struct cat_process *p, const struct proc_map *m, u32 idx) __must_check;
