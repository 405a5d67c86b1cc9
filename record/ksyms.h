/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ksyms.h: /proc/kallsyms. Only its base is needed while recording; names are looked up once, after the last event. */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "format/fmt_writer.h"
#include "record/catalog.h"

struct ksyms_facts {
	u64 stext;		/* address of _stext; 0 when this host hides kernel addresses (kernel.kptr_restrict) from us */
	bool has_preempt_count; /* the per-cpu preempt counter's address can be had: kernels with CONFIG_KALLSYMS_ALL */
};

/* One pass over the file, which has some 200,000 lines. A file that cannot be read gives no facts. */
struct ksyms_facts ksyms_probe(void);

/* A kernel address and the last text symbol at or below it; symbol 0: none. */
struct ksym_found {
	u64 addr, symbol;
	char name[128],
		module[64]; /* module "": the kernel itself. KSYM_NAME_LEN is 512, for names that no C function has: they are cut */
};

/* Sorts the list by address and looks for the names in one pass over the file, which is too large to be kept. */
void ksyms_find(FILE *f, struct ksym_found *list, u32 n);

/*
 * Writes the names of the kernel addresses that stacks have (catalog_kernel_addrs()). Called after the last event. A host that hides its symbols is no
 * error: the addresses have no names then. 0, -ENOMEM or the writer's error.
 */
int ksyms_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, u64 stext) __must_check;
