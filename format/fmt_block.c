/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_block.c: encode and decode the fixed-size parts. All numbers little-endian. Each part ends with a checksum over the bytes before it,
 * so that sizes can be trusted before anything they size is read.
 */
#include "format/fmt_block.h"

#include <errno.h>
#include <xxhash.h>

_Static_assert(sizeof(FMT_MAGIC) - 1 == 8, "the magic is 8 bytes");
_Static_assert(sizeof(FMT_TRAILER_MAGIC) - 1 == 8, "the trailer's magic is 8 bytes");

static u8 *put_le(u8 *p, u64 v, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		*p++ = (u8)(v >> (8 * i));
	return p;
}

static void put_sum(u8 *start, u8 *p)
{
	put_le(p, XXH3_64bits(start, (size_t)(p - start)), 8);
}

/* Takes n bytes off c whose last 8 are the checksum of the rest; *ret_in reads the rest. */
static int checked_part(struct fmt_cursor *c, size_t n, const char *what, struct fmt_cursor *ret_in)
{
	const u8 *p = cur_bytes(c, n, what);
	struct fmt_cursor sum;

	if (!p)
		return c->err;
	sum = cur_init(p + n - 8, 8);
	if (cur_le64(&sum, what) != XXH3_64bits(p, n - 8))
		return cur_fail(c, -EBADMSG, what);
	*ret_in = cur_init(p, n - 8);
	return 0;
}

/* FORMAT.md section 2 */
void fmt_file_header_encode(const struct fmt_file_header *h, u8 out[FMT_HEADER_SIZE])
{
	u8 *p = out;

	memcpy(p, FMT_MAGIC, 8);
	p = put_le(p + 8, h->version, 4);
	p = put_le(p, h->header_size, 4);
	p = put_le(p, h->compat, 8);
	p = put_le(p, h->incompat, 8);
	memcpy(p, h->uuid, 16);
	p = put_le(p + 16, 0, 8);
	put_sum(out, p);
}

int fmt_file_header_decode(struct fmt_cursor *c, struct fmt_file_header *ret)
{
	struct fmt_cursor in;
	struct fmt_file_header h = {0};
	const u8 *uuid;
	int err;

	if (cur_left(c) < 8 || memcmp(c->p, FMT_MAGIC, 8) != 0)
		return cur_fail(c, -EBADMSG, "not an ascope capture (no magic)");
	err = checked_part(c, FMT_HEADER_SIZE, "file header", &in);
	if (err)
		return err;
	(void)cur_bytes(&in, 8, "magic");
	h.version = cur_le32(&in, "version");
	h.header_size = cur_le32(&in, "header size");
	h.compat = cur_le64(&in, "compat bits");
	h.incompat = cur_le64(&in, "incompat bits");
	uuid = cur_bytes(&in, 16, "uuid");
	if (in.err)
		return cur_fail(c, in.err, in.what);
	memcpy(h.uuid, uuid, 16);
	if (h.version > FMT_VERSION)
		return cur_fail(c, -EPROTONOSUPPORT, "version is newer than this ascope reads");
	if (!h.version)
		return cur_fail(c, -EPROTO, "format version 0, which was never released");
	if (h.incompat)
		return cur_fail(c, -EPROTONOSUPPORT, "needs features this ascope does not have");
	if (h.header_size < FMT_HEADER_SIZE || h.header_size > 1 << 16)
		return cur_fail(c, -EBADMSG, "header size");
	*ret = h;
	return 0;
}

bool fmt_file_header_mend(u8 bytes[FMT_HEADER_SIZE])
{
	enum { SUMMED = FMT_HEADER_SIZE - 8 };
	u8 sum[8];
	u32 differ = 0;

	put_le(sum, XXH3_64bits(bytes, SUMMED), 8);
	for (u32 i = 0; i < sizeof(sum); i++)
		differ += sum[i] != bytes[SUMMED + i];
	if (differ == 1) {
		memcpy(bytes + SUMMED, sum, sizeof(sum));
		return true;
	}
	for (u32 i = 0; i < SUMMED; i++) {
		u8 was = bytes[i];

		for (u32 v = 0; v < 256; v++) {
			bytes[i] = (u8)v;
			put_le(sum, XXH3_64bits(bytes, SUMMED), 8);
			if (!memcmp(sum, bytes + SUMMED, sizeof(sum)))
				return true;
		}
		bytes[i] = was;
	}
	return false;
}

/* FORMAT.md section 3 */
void fmt_block_header_encode(const struct fmt_block_header *h, u8 out[FMT_BLOCK_HEADER])
{
	u8 *p = put_le(out, FMT_BLOCK_MAGIC, 4);

	p = put_le(p, h->type, 2);
	p = put_le(p, h->flags, 2);
	p = put_le(p, h->seq, 8);
	p = put_le(p, h->payload_size, 4);
	p = put_le(p, h->raw_size, 4);
	p = put_le(p, h->rows, 4);
	p = put_le(p, h->sections, 4);
	p = put_le(p, h->ts_first, 8);
	p = put_le(p, h->ts_last, 8);
	p = put_le(p, h->type == FMT_BLOCK_COPY ? h->copy_of : 0, 8);
	p = put_le(p, h->payload_sum, 8);
	p = put_le(p, h->uuid_lo, 8);
	put_sum(out, p);
}

int fmt_block_header_decode(struct fmt_cursor *c, struct fmt_block_header *ret)
{
	struct fmt_cursor in;
	struct fmt_block_header h = {0};
	int err = checked_part(c, FMT_BLOCK_HEADER, "block header", &in);

	if (err)
		return err;
	if (cur_le32(&in, "block magic") != FMT_BLOCK_MAGIC)
		return cur_fail(c, -EBADMSG, "block magic");
	h.type = cur_le16(&in, "block type");
	h.flags = cur_le16(&in, "block flags");
	h.seq = cur_le64(&in, "block sequence number");
	h.payload_size = cur_le32(&in, "payload size");
	h.raw_size = cur_le32(&in, "raw size");
	h.rows = cur_le32(&in, "row count");
	h.sections = cur_le32(&in, "section count");
	h.ts_first = cur_le64(&in, "first timestamp");
	h.ts_last = cur_le64(&in, "last timestamp");
	h.copy_of = cur_le64(&in, "copied block");
	h.payload_sum = cur_le64(&in, "payload checksum");
	h.uuid_lo = cur_le64(&in, "block uuid");
	if (in.err)
		return cur_fail(c, in.err, in.what);
	/* no number may come behind UINT64_MAX, and none may come twice */
	if (h.payload_size > FMT_MAX_PAYLOAD || h.raw_size > FMT_MAX_RAW || h.sections > FMT_MAX_SECTIONS || h.seq == UINT64_MAX)
		return cur_fail(c, -EBADMSG, "block header over a limit");
	if (h.type != FMT_BLOCK_COPY)
		h.copy_of = 0; /* reserved there */
	else if (h.copy_of >= h.seq)
		return cur_fail(c, -EBADMSG, "copy of a block behind it");
	*ret = h;
	return 0;
}

/* FORMAT.md section 7 */
void fmt_trailer_encode(const struct fmt_trailer *t, u8 out[FMT_TRAILER_SIZE])
{
	u8 *p = out;

	memcpy(p, FMT_TRAILER_MAGIC, 8);
	p = put_le(p + 8, t->footer_off, 8);
	p = put_le(p, t->blocks, 8);
	put_sum(out, p);
}

int fmt_trailer_decode(struct fmt_cursor *c, struct fmt_trailer *ret)
{
	struct fmt_cursor in;
	struct fmt_trailer t = {0};
	const u8 *magic;
	int err = checked_part(c, FMT_TRAILER_SIZE, "trailer", &in);

	if (err)
		return err;
	magic = cur_bytes(&in, 8, "trailer magic");
	if (!magic || memcmp(magic, FMT_TRAILER_MAGIC, 8) != 0)
		return cur_fail(c, -EBADMSG, "trailer magic");
	t.footer_off = cur_le64(&in, "footer offset");
	t.blocks = cur_le64(&in, "block count");
	*ret = t;
	return 0;
}
