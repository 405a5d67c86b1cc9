/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* raw_capture.c: see raw_capture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/fdio.h"
#include "tests/unit/raw_capture.h"

void raw_init(struct raw_capture *c, u8 first_uuid_byte)
{
	struct fmt_file_header h = {.version = FMT_VERSION, .header_size = FMT_HEADER_SIZE};
	u8 bytes[FMT_HEADER_SIZE];

	*c = (struct raw_capture){.uuid = {first_uuid_byte, 1, 2, 3}};
	memcpy(h.uuid, c->uuid, sizeof(h.uuid));
	fmt_file_header_encode(&h, bytes);
	buf_put(&c->file, bytes, sizeof(bytes));
	c->start_of[0] = sizeof(bytes);
}

void raw_release(struct raw_capture *c)
{
	buf_release(&c->file);
}

void raw_section(struct buf *payload, u64 kind, u64 rows, const struct raw_column *cols, u32 n)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	for (u32 i = 0; i < n; i++) {
		buf_put_uvarint(&body, cols[i].id);
		buf_putc(&body, cols[i].enc);
		buf_put_uvarint(&body, cols[i].size);
	}
	for (u32 i = 0; i < n; i++)
		buf_put(&body, cols[i].data, cols[i].size);
	buf_put_uvarint(payload, kind);
	buf_put_uvarint(payload, rows);
	buf_put_uvarint(payload, n);
	buf_put_uvarint(payload, body.len);
	buf_put(payload, body.data, body.len);
	assert_int_equal(buf_err(&body), 0);
}

void raw_block_as(struct raw_capture *c, const struct fmt_block_header *h, const struct buf *payload)
{
	struct fmt_block_header full = *h;
	size_t bound = ZSTD_compressBound(payload->len), n;
	u8 *p = buf_reserve(&c->file, FMT_BLOCK_HEADER + bound);

	assert_non_null(p);
	assert_true(c->n_blocks < RAW_MAX_BLOCKS);
	n = ZSTD_compress(p + FMT_BLOCK_HEADER, bound, payload->data, payload->len, 1);
	assert_false(ZSTD_isError(n));
	full.payload_size = (u32)n;
	full.raw_size = (u32)payload->len;
	full.payload_sum = XXH3_64bits(p + FMT_BLOCK_HEADER, n);
	memcpy(&full.uuid_lo, c->uuid, sizeof(full.uuid_lo));
	fmt_block_header_encode(&full, p);
	c->file.len += FMT_BLOCK_HEADER + n;
	c->seq = h->seq + 1;
	c->start_of[++c->n_blocks] = c->file.len;
}

void raw_block(struct raw_capture *c, struct buf *payload, u32 rows, u32 sections)
{
	const struct fmt_block_header h = {
		.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .seq = c->seq, .rows = rows, .sections = sections};

	assert_int_equal(buf_err(payload), 0);
	raw_block_as(c, &h, payload);
	buf_reset(payload);
}

void raw_end(struct raw_capture *c)
{
	const struct fmt_block_header h = {.type = FMT_BLOCK_FOOTER, .flags = FMT_FLAG_ZSTD, .seq = c->seq};
	struct fmt_trailer t = {.footer_off = c->file.len};
	const struct buf nothing = BUF_INIT;
	u8 bytes[FMT_TRAILER_SIZE];

	raw_block_as(c, &h, &nothing);
	t.blocks = c->n_blocks;
	fmt_trailer_encode(&t, bytes);
	buf_put(&c->file, bytes, sizeof(bytes));
	assert_int_equal(buf_err(&c->file), 0);
}

int raw_open(const void *p, size_t n, struct fmt_reader **ret, struct fmt_diag *reterr)
{
	_cleanup_close_ int fd = memfd_create("raw_capture", MFD_CLOEXEC);
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, p, n), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fmt_reader_open(path, ret, reterr);
}

static u64 digest_section(const struct fmt_section *s)
{
	u64 row[FMT_MAX_COLUMNS];
	u64 h = ((u64)s->kind_id << 32) + s->rows;

	for (u32 i = 0; s->kind && i < s->rows; i++) {
		u32 from = s->payload_off ? s->payload_off[i] : 0, n = s->payload_off ? s->payload_off[i + 1] - from : 0;

		fmt_section_row(s, i, row);
		h = XXH3_64bits_withSeed(row, s->kind->n_cols * sizeof(u64), h);
		if (n && s->bytes)
			h = XXH3_64bits_withSeed(s->bytes + from, n, h);
		else if (n)
			h = XXH3_64bits_withSeed(s->list + from, n * sizeof(u64), h);
	}
	return h;
}

static u64 digest_block(struct fmt_reader *r, const struct fmt_block *b)
{
	const u64 head[] = {b->type, b->seq, b->rows, b->ts_first, b->ts_last};
	const struct fmt_ref *refs;
	u64 h = XXH3_64bits(head, sizeof(head)), rows = 0, before = 0;
	int n;

	for (u32 s = 0; s < b->n_sections; s++) {
		h = h * 31 + digest_section(&b->sections[s]);
		rows += b->sections[s].rows;
	}
	if (b->type == FMT_BLOCK_EVENTS || b->type == FMT_BLOCK_FOOTER)
		assert_int_equal(rows, b->rows);
	n = fmt_block_events(r, b, &refs);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		assert_true(refs[i].ts >= before && refs[i].section < b->n_sections &&
			    refs[i].row < b->sections[refs[i].section].rows);
		before = refs[i].ts;
	}
	return h;
}

static void note_damage(void *ctx, const struct fmt_damage *d)
{
	struct raw_seen *seen = ctx;

	assert_true(d->off <= d->end && d->what[0]);
	if (seen->n_damages < RAW_MAX_DAMAGES)
		seen->damages[seen->n_damages] = *d;
	seen->n_damages++;
}

void raw_walk(struct fmt_reader *r, struct raw_seen *ret)
{
	struct fmt_block b;
	int n;

	*ret = (struct raw_seen){0};
	fmt_reader_on_damage(r, note_damage, ret);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		assert_true(ret->n_blocks < RAW_MAX_BLOCKS);
		assert_true(!b.recovered || b.type == FMT_BLOCK_DICTIONARY);
		ret->seq[ret->n_blocks] = b.seq;
		ret->digest[ret->n_blocks++] = digest_block(r, &b);
		ret->rows += b.type == FMT_BLOCK_EVENTS || b.type == FMT_BLOCK_DICTIONARY ? b.rows : 0;
	}
	assert_int_equal(n, 0);
	ret->health = *fmt_reader_health(r);
	for (u32 i = 1; i < ret->n_damages && i < RAW_MAX_DAMAGES; i++)
		assert_true(ret->damages[i].off >= ret->damages[i - 1].off);
	assert_string_equal(ret->n_damages ? ret->damages[0].what : "", ret->health.first_damage.what);
	fmt_reader_on_damage(r, NULL, NULL);
	assert_int_equal(fmt_reader_next(r, &b), 0); /* the end stays the end */
	assert_memory_equal(&ret->health, fmt_reader_health(r), sizeof(ret->health));
}

void raw_read(const void *p, size_t n, struct raw_seen *ret)
{
	struct fmt_reader *r = NULL;

	assert_int_equal(raw_open(p, n, &r, NULL), 0);
	raw_walk(r, ret);
	fmt_reader_close(r);
}

u64 raw_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}
