/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_block.h: the fixed-size parts of the file: file header, block header, trailer. FORMAT.md sections 2, 3 and 7. */
#pragma once

#include "base/base.h"
#include "format/fmt_cursor.h"
#include "format/fmt_def.h"

#define FMT_FLAG_ZSTD	1u /* block header: the payload is one zstd frame */
#define FMT_FLAGS_KNOWN FMT_FLAG_ZSTD

struct fmt_file_header {
	u32 version;
	u32 header_size; /* bytes up to the first block; >= FMT_HEADER_SIZE */
	u64 compat;	 /* unknown bits: read on */
	u64 incompat;	 /* unknown bits: refuse */
	u8 uuid[16];
};

struct fmt_block_header {
	u16 type;
	u16 flags;
	u64 seq;
	u32 payload_size; /* bytes in the file */
	u32 raw_size;	  /* bytes after decompression */
	u32 rows;
	u32 sections;
	u64 ts_first, ts_last;
	u64 copy_of;	 /* FMT_BLOCK_COPY: sequence number of the dictionary block; else 0 */
	u64 payload_sum; /* xxh3-64 of the payload as stored */
	u64 uuid_lo;	 /* first 8 bytes of the capture's uuid: a block of another capture is not taken for ours */
};

struct fmt_trailer {
	u64 footer_off; /* file offset of the footer block */
	u64 blocks;	/* blocks in the file, footer included */
};

void fmt_file_header_encode(const struct fmt_file_header *h, u8 out[FMT_HEADER_SIZE]);
/* -ENODATA shorter than a header, -EBADMSG not a capture or damaged, -EPROTONOSUPPORT newer, -EPROTO version 0; c->what says which. */
int fmt_file_header_decode(struct fmt_cursor *c, struct fmt_file_header *ret) __must_check;
/* Of a header of which one byte is wrong: puts it right and returns true. The checksum knows which: by chance it holds once in 10^15 headers that are none. */
bool fmt_file_header_mend(u8 bytes[FMT_HEADER_SIZE]);

void fmt_block_header_encode(const struct fmt_block_header *h, u8 out[FMT_BLOCK_HEADER]);
/* -ENODATA, or -EBADMSG when magic, checksum or a limit does not hold. */
int fmt_block_header_decode(struct fmt_cursor *c, struct fmt_block_header *ret) __must_check;

void fmt_trailer_encode(const struct fmt_trailer *t, u8 out[FMT_TRAILER_SIZE]);
int fmt_trailer_decode(struct fmt_cursor *c, struct fmt_trailer *ret) __must_check;
