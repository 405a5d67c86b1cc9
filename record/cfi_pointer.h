/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_pointer.h: the numbers that .eh_frame and .eh_frame_hdr are made of, beyond what a cursor reads. For cfi*.c and unwind_module.c. */
#pragma once

#include "base/base.h"
#include "format/fmt_cursor.h"
#include "record/cfi.h"

/* Pointer encodings: Linux Standard Base Core 5.0 section 10.5.1. */
enum {
	CFI_ENC_ABSPTR = 0x00,
	CFI_ENC_ULEB128 = 0x01,
	CFI_ENC_SLEB128 = 0x09,
	CFI_ENC_FORMAT = 0x0f, /* mask: how the value is stored */
	CFI_ENC_BASE = 0x70,   /* mask: what it is relative to */
	CFI_ENC_ALIGNED = 0x50,
	CFI_ENC_OMIT = 0xff,
};

/*
 * Reads a pointer. `in` gives the bases; the cursor is within in->eh_frame. An encoding that no linker writes for what is read here (indirect, relative to text or a
 * function, aligned, omitted) is -EBADMSG on the cursor.
 */
u64 cfi_read_pointer(const struct cfi_input *in, struct fmt_cursor *c, u8 encoding);

/* A signed LEB128 that fits into 64 bits, else -EBADMSG on the cursor. */
s64 cfi_read_sleb(struct fmt_cursor *c);
