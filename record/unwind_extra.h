/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_extra.h: rows for code whose call frame information is missing or wrong, found by what it is: PLT stubs that lld leaves without an FDE, system calls
 * that make threads, and the assembly in musl. Called by unwind_module.c.
 */
#pragma once

#include "base/base.h"
#include "record/cfi.h"
#include "record/elf_view.h"

struct unwind_extra {
	struct cfi_rows weak;	/* owned; for where nothing else says anything */
	struct cfi_rows strong; /* owned; known better than what an FDE says */
};

/*
 * Looks at a file whose .eh_frame compiled to `rows` (nothing else when NULL). in->base and in->text say where pcs and code are. 0, -ENOMEM or what pread(2) said;
 * to be released in any case.
 */
int unwind_extra_find(const struct elf_view *v, const struct cfi_input *in, const struct cfi_rows *rows,
		      struct unwind_extra *ret) __must_check;
void unwind_extra_release(struct unwind_extra *e);

/* Puts rows `under` where *rows has UW_END or nothing. 0, -ENOMEM, -EFBIG; *rows is then unchanged. */
int unwind_extra_lay_under(struct cfi_rows *rows, const struct cfi_rows *under) __must_check;
