/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * protobuf.h: writes Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding): tags, varints, 64-bit fixed, length-
 * delimited fields, nested messages. What fields a message has is the caller's business: it passes their numbers.
 *
 * The bytes of one top-level field are assembled in memory (at most PB_MAX_FIELD) and go to the stream when it is closed, so a
 * message of any size takes little memory. Lengths are written in their shortest form: the same calls give the same bytes.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/buf.h"

#define PB_MAX_DEPTH 16
#define PB_MAX_FIELD ((size_t)64 << 20) /* bytes of one top-level field, with everything nested in it */

/*
 * One message on its way to a stream, or, where out is NULL, in b alone (there PB_MAX_FIELD limits all of it). Errors stick in b:
 * -ENOMEM, -EFBIG above the limit; those of the stream stay in the stream: the caller looks when it flushes.
 */
struct pb {
	struct buf b;
	FILE *out; /* borrowed */
	u32 depth;
	size_t open[PB_MAX_DEPTH]; /* where the contents of each open field begin; its length takes the byte before, for now */
};

void pb_init(struct pb *p, FILE *out);
void pb_release(struct pb *p);

/*
 * Field numbers are 1..2^29-1. The types of the .proto that each function serves stand behind it. A field that has its default
 * is written as any other: leave it out yourself.
 */
void pb_u64(struct pb *p, u32 field, u64 v);			     /* uint32, uint64, bool, enum; int32, int64 cast to it */
void pb_fixed64(struct pb *p, u32 field, u64 v);		     /* fixed64 */
void pb_double(struct pb *p, u32 field, double v);		     /* double */
void pb_bytes(struct pb *p, u32 field, const void *data, size_t n);  /* bytes */
void pb_string(struct pb *p, u32 field, const char *s);		     /* string: what is no UTF-8 becomes U+FFFD; NULL as "" */
void pb_packed_u64(struct pb *p, u32 field, const u64 *v, size_t n); /* repeated uint64 [packed]; n 0 writes nothing */

/* What is written in between is the contents of that field: a message, or with pb_raw_varint the values of a packed field. */
void pb_begin(struct pb *p, u32 field);
void pb_end(struct pb *p);
void pb_raw_varint(struct pb *p, u64 v);

/* Everything so far to the stream (no field is open). 0, the sticky error, or -EIO when the stream has one. */
int pb_finish(struct pb *p) __must_check;
