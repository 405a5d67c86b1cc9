/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ksyms.h: /proc/kallsyms. Only its base is needed while recording; names are looked up once, after the last event. */
#pragma once

#include "base/base.h"
#include "record/procfs.h"

struct ksyms_facts {
	u64 stext;		/* address of _stext; 0 when this host hides kernel addresses (kernel.kptr_restrict) from us */
	bool has_preempt_count; /* the per-cpu preempt counter's address can be had: kernels with CONFIG_KALLSYMS_ALL */
};

/* One pass over the file, which has some 200,000 lines. A file that cannot be read gives no facts. */
struct ksyms_facts ksyms_probe(void);

/* One answer: `name` of `module` ("" the kernel) contains addr at `off` bytes. Strings live during the call. */
typedef int (*ksym_fn)(void *ctx, u64 addr, const char *name, u64 off, const char *module);

/* Calls fn for each of the n addresses that a symbol contains. Returns 0, fn's non-zero answer, or negative errno. */
int ksyms_lookup(const struct procfs *fs, const u64 *addrs, u32 n, ksym_fn fn, void *ctx) __must_check;
