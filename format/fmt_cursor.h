/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_cursor.h: the one way bytes of a capture are read. Bounded, with a sticky error: after the first failure every read
 * returns 0 and moves nothing, so that a parser reads a whole record and looks at `err` once.
 */
#pragma once

#include <string.h>

#include "base/base.h"

struct fmt_cursor {
	const u8 *p, *end;
	int err;	  /* 0, -ENODATA (ends early), -EBADMSG (malformed) */
	const char *what; /* what was being read when it failed; a static phrase */
};

static inline struct fmt_cursor cur_init(const void *p, size_t n)
{
	return (struct fmt_cursor){.p = p, .end = n ? (const u8 *)p + n : p}; /* nothing may lie at NULL */
}

static inline size_t cur_left(const struct fmt_cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* Records the first failure; returns the sticky error. */
int cur_fail(struct fmt_cursor *c, int err, const char *what);

/* The next n bytes, or NULL. */
const u8 *cur_bytes(struct fmt_cursor *c, size_t n, const char *what);

u8 cur_u8(struct fmt_cursor *c, const char *what);
u16 cur_le16(struct fmt_cursor *c, const char *what);
u32 cur_le32(struct fmt_cursor *c, const char *what);
u64 cur_le64(struct fmt_cursor *c, const char *what);
u64 cur_uvarint_slow(struct fmt_cursor *c, const char *what);

/* LEB128 of at most 10 bytes; bits above 64 are malformed. */
static inline u64 cur_uvarint(struct fmt_cursor *c, const char *what)
{
	if (c->p < c->end && *c->p < 0x80)
		return *c->p++;
	return cur_uvarint_slow(c, what);
}

/* A varint that must not exceed max. */
u64 cur_uvarint_max(struct fmt_cursor *c, u64 max, const char *what);

static inline u64 fmt_unzigzag(u64 v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static inline u64 fmt_zigzag(u64 v)
{
	return (v << 1) ^ (0 - (v >> 63));
}
