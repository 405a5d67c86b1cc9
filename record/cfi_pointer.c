/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_pointer.c: see cfi_pointer.h. */
#include "record/cfi_pointer.h"

#include <errno.h>

s64 cfi_read_sleb(struct fmt_cursor *c)
{
	u64 v = 0;
	u32 shift = 0;
	u8 b;

	do {
		b = cur_u8(c, "sleb128");
		if (c->err)
			return 0;
		if (shift >= 63 && b != 0 && b != 0x7f) {
			cur_fail(c, -EBADMSG, "sleb128");
			return 0;
		}
		v |= (u64)(b & 0x7f) << shift;
		shift += 7;
	} while (b & 0x80);
	if (shift < 64 && b & 0x40)
		v |= ~0ULL << shift;
	return (s64)v;
}

static u64 read_format(struct fmt_cursor *c, u8 format)
{
	switch (format) {
	case CFI_ENC_ABSPTR:
	case 0x04: /* udata8 */
	case 0x08: /* signed */
	case 0x0c: /* sdata8 */
		return cur_le64(c, "pointer");
	case CFI_ENC_ULEB128:
		return cur_uvarint(c, "pointer");
	case 0x02:
		return cur_le16(c, "pointer");
	case 0x03:
		return cur_le32(c, "pointer");
	case CFI_ENC_SLEB128:
		return (u64)cfi_read_sleb(c);
	case 0x0a:
		return (u64)(s64)(s16)cur_le16(c, "pointer");
	case 0x0b:
		return (u64)(s64)(s32)cur_le32(c, "pointer");
	default:
		cur_fail(c, -EBADMSG, "format of a pointer");
		return 0;
	}
}

u64 cfi_read_pointer(const struct cfi_input *in, struct fmt_cursor *c, u8 encoding)
{
	u64 field = in->vaddr + (u64)(c->p - in->eh_frame), base = 0;

	switch (encoding & ~CFI_ENC_FORMAT) {
	case 0x00:
		break;
	case 0x10:
		base = field;
		break;
	case 0x30:
		base = in->data_base;
		break;
	default: /* indirect, textrel, funcrel, aligned, omitted */
		cur_fail(c, -EBADMSG, "base of a pointer");
	}
	return base + read_format(c, encoding & CFI_ENC_FORMAT);
}
