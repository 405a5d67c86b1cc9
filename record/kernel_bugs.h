/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kernel_bugs.h: kernels on which a profiler like this one can hang the machine, so that recording does without what would. */
#pragma once

#include "base/base.h"

/* What a running kernel says of itself; each may be "". */
struct kernel_names {
	const char *release;   /* uname -r */
	const char *version;   /* uname -v: Debian's holds the upstream version */
	const char *signature; /* /proc/version_signature: Ubuntu's holds the upstream version */
	const char *config;    /* text of the kernel's configuration (/boot/config-RELEASE) */
};

/*
 * bpf_probe_read_user() in an interrupt can take vmap_area_lock, which the interrupted code may hold: the machine locks up. In kernels with
 * CONFIG_HARDENED_USERCOPY since 0aef499f3172 "mm/usercopy: Detect vmalloc overruns" (5.19) until d319f344561d "mm: Fix copy_from_user_nofault()"
 * (6.4, in stable 6.3.10 and 6.1.36). Distributions' fixes outside of these are not known here: such a kernel counts as affected.
 * Reads to the stack of the thread that is switched out are safe on them (check_stack_object() comes first); reads in an interrupt, or to map or
 * ring memory, are not.
 */
bool kernel_bugs_usercopy_deadlock(const struct kernel_names *k);

/* The same of the running kernel. */
bool kernel_bugs_here(void);
