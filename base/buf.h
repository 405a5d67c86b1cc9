/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * buf.h: growable bytes with a maximum and a sticky error: after the first failure (-ENOMEM, -EFBIG above max) every append is a
 * no-op, so that a caller may append at will and look at buf_err() once.
 */
#pragma once

#include "base/base.h"

struct buf {
	u8 *data;
	size_t len, cap;
	size_t max; /* bytes; 0 = BUF_MAX_DEFAULT */
	int err;    /* 0 or the first negative errno */
};

#define BUF_MAX_DEFAULT ((size_t)1 << 30)
#define BUF_INIT	((struct buf){0})
#define _cleanup_buf_	_cleanup_(buf_release)

void buf_release(struct buf *b);	       /* frees; the buf is empty and usable again */
void buf_reset(struct buf *b);		       /* forgets contents and error, keeps memory */
int buf_err(const struct buf *b) __must_check; /* 0 or the sticky error */

void buf_put(struct buf *b, const void *p, size_t n);
void buf_putc(struct buf *b, u8 c);
void buf_puts(struct buf *b, const char *s); /* without the NUL */
void buf_printf(struct buf *b, const char *fmt, ...) __printf_fmt(2, 3);
void buf_put_le32(struct buf *b, u32 v);
void buf_put_le64(struct buf *b, u64 v);
void buf_put_uvarint(struct buf *b, u64 v); /* LEB128, at most 10 bytes */
u8 *buf_reserve(struct buf *b, size_t n);   /* room for n more bytes behind len (the caller adds to len); NULL after an error */
char *buf_take_str(struct buf *b);	    /* NUL-terminated, caller frees; NULL after an error. The buf is empty afterwards. */
