/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * usdt.h: the probes that a program was built with (USDT): notes of the section .note.stapsdt, each a place with a nop. For tokio_points.c. The file is untrusted.
 *
 * Sources: SystemTap's UserSpaceProbeImplementation (layout of the note; .stapsdt.base, for files that were moved after linking); gABI 4.1 chapter 5 (notes).
 */
#pragma once

#include "base/base.h"
#include "record/elf_view.h"

struct usdt_probe {
	const char *provider, *name; /* valid during the call */
	u64 addr;		     /* of its nop, as in the file */
	u64 semaphore;		     /* address of the counter that must be above 0 for the place to be reached; 0 none */
};

/* Calls fn for each probe until it returns non-zero, which is returned; malformed notes end the section. 0, -ENOMEM, or a negative errno of pread(2). */
typedef int (*usdt_fn)(void *ctx, const struct usdt_probe *p);
int usdt_each(const struct elf_view *v, usdt_fn fn, void *ctx) __must_check;
