/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_image.h: small shared libraries made by hand, with a dynamic section and relocations and without section headers. For test_copies.c.
 *
 *	offset  address  what
 *	0       0        headers, PT_LOAD R up to 0x800
 *	0x200   0x200    PT_INTERP
 *	0x240   0x240    symbols: none, one that is defined here, one that is not
 *	0x300   0x300    relocations
 *	0x500   0x500    PT_DYNAMIC
 *	0x800   0x1800   PT_LOAD R E
 */
#pragma once

#include <elf.h>

#include "base/base.h"

enum { TLS_IMAGE_DEFINED = 1, TLS_IMAGE_UNDEFINED = 2 }; /* symbols */
#define TLS_IMAGE_VALUE	     0x40u			 /* of the one that is defined */
#define TLS_IMAGE_TEXT_DELTA 0x1000u

struct tls_image {
	const char *interp; /* NULL none */
	bool plt;	    /* the relocations are DT_JMPREL's */
	u32 n;
	struct {
		u32 type, symbol;
		u64 slot;
		s64 addend;
	} rela[4];
};

int tls_image_make(const struct tls_image *shape); /* a new fd */
