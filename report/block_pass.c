/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* block_pass.c: see block_pass.h. */
#include "report/block_pass.h"

#include <errno.h>
#include <xxhash.h>

#include "base/fdio.h"
#include "format/fmt_block.h"

/* The payload of a block as it lies in the file, verified again. */
static int fetch(struct block_pass *p, const struct fmt_block *b, struct fmt_block_header *h)
{
	struct fmt_cursor c;
	u8 bytes[FMT_BLOCK_HEADER], *to;
	ssize_t n = fd_pread_full(p->in, bytes, sizeof(bytes), b->offset);

	if (n < 0)
		return (int)n;
	c = cur_init(bytes, (size_t)n);
	if (fmt_block_header_decode(&c, h) < 0 || FMT_BLOCK_HEADER + (u64)h->payload_size != b->stored_size)
		return -ESTALE;
	buf_reset(&p->payload);
	to = buf_reserve(&p->payload, h->payload_size + 1);
	if (!to)
		return -ENOMEM;
	n = fd_pread_full(p->in, to, h->payload_size, b->offset + FMT_BLOCK_HEADER);
	if (n < 0)
		return (int)n;
	if ((size_t)n != h->payload_size || XXH3_64bits(to, h->payload_size) != h->payload_sum)
		return -ESTALE;
	p->payload.len = h->payload_size;
	return 0;
}

int block_pass(struct block_pass *p, const struct fmt_block *b)
{
	struct fmt_block_header h;
	int err;

	if (b->type == FMT_BLOCK_FOOTER || b->type == FMT_BLOCK_COPY)
		return 0;
	err = fetch(p, b, &h);
	h.type = (u16)b->type; /* of a recovered block it is the copy that is there */
	return err ? err : fmt_writer_pass(p->w, &h, b->sections, b->n_sections, p->payload.data);
}
