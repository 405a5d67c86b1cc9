/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cfi_section.c: see cfi_section.h. */
#include "tests/unit/cfi_section.h"

#include <string.h>

static size_t begin_entry(struct section *s)
{
	s->entry = s->b.len;
	buf_put_le32(&s->b, s->is_64 ? UINT32_MAX : 0);
	if (s->is_64)
		buf_put_le64(&s->b, 0);
	return s->entry;
}

/* Pads to four bytes and writes the length. */
static void end_entry(struct section *s)
{
	size_t head = s->is_64 ? 12 : 4;
	u64 length;

	while (s->b.len % 4)
		buf_putc(&s->b, 0);
	length = s->b.len - s->entry - head;
	memcpy(s->b.data + s->entry + head - (s->is_64 ? 8 : 4), &length, s->is_64 ? 8 : 4);
}

static void put_sleb(struct buf *b, s64 v)
{
	for (;; v >>= 7) {
		bool last = v >= -64 && v < 64;

		buf_putc(b, (u8)((v & 0x7f) | (last ? 0 : 0x80)));
		if (last)
			return;
	}
}

static void put_value(struct buf *b, u8 format, u64 v)
{
	static const u8 sizes[16] = {[0] = 8, [2] = 2, [3] = 4, [4] = 8, [8] = 8, [10] = 2, [11] = 4, [12] = 8};

	if (format == 1)
		buf_put_uvarint(b, v);
	else if (format == 9)
		put_sleb(b, (s64)v);
	else
		buf_put(b, &v, sizes[format]);
}

static void put_pointer(struct section *s, u64 v)
{
	u64 base = (s->encoding & 0x70) == 0x10 ? s->vaddr + s->b.len : (s->encoding & 0x70) == 0x30 ? DATA_BASE : 0;

	put_value(&s->b, s->encoding & 15, v - base);
}

size_t section_put_cie(struct section *s, u8 version, const char *augmentation, const u8 *data, size_t n_data, u8 ra,
		       const u8 *program, size_t n)
{
	size_t off = begin_entry(s);

	if (s->debug_frame)
		put_value(&s->b, s->is_64 ? 4 : 3, UINT64_MAX);
	else
		buf_put_le32(&s->b, 0);
	buf_putc(&s->b, version);
	buf_put(&s->b, augmentation, strlen(augmentation) + 1);
	if (!strcmp(augmentation, "eh"))
		buf_put_le64(&s->b, 0x1122334455667788);
	if (version == 4)
		buf_put(&s->b, BYTES(8, 0));
	buf_putc(&s->b, 1);
	put_sleb(&s->b, -8);
	buf_putc(&s->b, ra);
	s->sized = *augmentation == 'z';
	if (s->sized) {
		buf_put_uvarint(&s->b, n_data);
		buf_put(&s->b, data, n_data);
	}
	buf_put(&s->b, program, n);
	end_entry(s);
	return off;
}

size_t section_put_usual_cie(struct section *s)
{
	s->encoding = 0x1b;
	return section_put_cie(s, 1, "zR", BYTES(0x1b), 16, USUAL_PROGRAM);
}

void section_put_fde(struct section *s, size_t cie, u64 start, u64 size, const u8 *program, size_t n)
{
	(void)begin_entry(s);
	if (s->debug_frame)
		put_value(&s->b, s->is_64 ? 4 : 3, cie);
	else
		buf_put_le32(&s->b, (u32)(s->b.len - cie));
	put_pointer(s, start);
	put_value(&s->b, s->encoding & 15, size);
	if (s->sized)
		buf_put(&s->b, BYTES(2, 0xaa, 0xbb)); /* a pointer to exception data, which is of no use here */
	buf_put(&s->b, program, n);
	end_entry(s);
}
