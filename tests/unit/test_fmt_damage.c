/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_damage.c: a small capture cut at every byte, with every bit flipped, its blocks dropped, repeated, swapped, mixed
 * with another capture's, its bytes overwritten. Whatever is done: no crash, what is intact is read exactly, what is not is
 * reported, and nothing is counted twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
#include "tests/unit/raw_capture.h"

enum { DATA_BLOCKS = 6, BLOCKS = DATA_BLOCKS + 1 };

/* A whole capture as the writer makes it, and what an undisturbed reading gives. */
struct whole {
	struct buf file;
	u64 start[BLOCKS + 1]; /* of block k; start[BLOCKS] is the trailer's */
	u32 rows[BLOCKS];
	struct raw_seen seen;
};

static void put_rows(struct fmt_writer *w, u64 *rnd, u32 block)
{
	u8 text[40];

	for (u64 i = 0; i < 12 + block; i++) {
		const struct fmt_switch_out out = {.ts = 1000000 * block + raw_random(rnd) % 1000000,
						   .thread = i % 3,
						   .core = raw_random(rnd),
						   .task = i,
						   .ustack = raw_random(rnd) % 99};
		const struct fmt_switch_in in = {
			.ts = 1000000 * block + raw_random(rnd) % 1000000, .thread = i % 3, .cpu = block};
		u64 frames[] = {raw_random(rnd), raw_random(rnd), 0};

		memcpy(text, frames, sizeof(frames));
		assert_int_equal(fmt_writer_row(w, FMT_SWITCH_OUT, &out, NULL, 0), 0);
		assert_int_equal(fmt_writer_row(w, FMT_SWITCH_IN, &in, NULL, 0), 0);
		assert_int_equal(fmt_writer_row(w, FMT_STACK, &(struct fmt_stack){.idx = block * 100 + i}, frames, 3), 0);
		assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = block * 100 + i}, text, 10 + i), 0);
	}
}

static void make_whole(struct whole *c, u8 first_uuid_byte)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_damage", MFD_CLOEXEC);
	const u8 uuid[16] = {first_uuid_byte, 9, 9, 9};
	struct fmt_writer *w = NULL;
	struct fmt_reader *r = NULL;
	u64 rnd = first_uuid_byte;
	struct fmt_block b;

	*c = (struct whole){0};
	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u32 i = 0; i < DATA_BLOCKS; i++) {
		put_rows(w, &rnd, i + 1);
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &c->file, 1 << 20), 0);

	assert_int_equal(raw_open(c->file.data, c->file.len, &r, NULL), 0);
	for (u32 k = 0; k < BLOCKS; k++) {
		assert_int_equal(fmt_reader_next(r, &b), 1);
		c->start[k] = b.offset;
		c->start[k + 1] = b.offset + b.stored_size;
		c->rows[k] = b.type == FMT_BLOCK_EVENTS ? b.rows : 0;
	}
	fmt_reader_rewind(r);
	raw_walk(r, &c->seen);
	fmt_reader_close(r);
	assert_int_equal(c->seen.n_blocks, BLOCKS);
	assert_true(c->seen.health.closed_cleanly);
	assert_int_equal(c->file.len, c->start[BLOCKS] + FMT_TRAILER_SIZE);
	assert_true(c->file.len > 6000 && c->file.len < 20000);
}

static int setup(void **state)
{
	struct whole *c = calloc(2, sizeof(*c));

	if (!c)
		return -1;
	make_whole(&c[0], 1);
	make_whole(&c[1], 2);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct whole *c = *state;

	buf_release(&c[0].file);
	buf_release(&c[1].file);
	free(c);
	return 0;
}

/* The blocks that were read are those of `c` but the ones in `lost` (bit k: block k), each exactly, each once, in order. */
static void expect_all_but(const struct whole *c, const struct raw_seen *seen, u32 lost)
{
	u64 rows = 0;
	u32 n = 0;

	for (u32 k = 0; k < BLOCKS; k++) {
		if (lost & 1u << k)
			continue;
		assert_true(n < seen->n_blocks);
		assert_int_equal(seen->seq[n], k);
		assert_int_equal(seen->digest[n], c->seen.digest[k]);
		rows += c->rows[k];
		n++;
	}
	assert_int_equal(seen->n_blocks, n);
	assert_int_equal(seen->rows, rows);
}

/* ---- cuts and flips ---- */

static void cut_at_every_byte(void **state)
{
	const struct whole *c = *state;

	for (size_t n = 0; n < c->file.len; n++) {
		struct fmt_reader *r = NULL;
		struct raw_seen seen;
		u32 lost = 0;
		int err = raw_open(c->file.data, n, &r, NULL);

		assert_int_equal(err, n < 8 ? -EBADMSG : n < FMT_HEADER_SIZE ? -ENODATA : 0);
		if (err)
			continue;
		raw_walk(r, &seen);
		fmt_reader_close(r);
		for (u32 k = 0; k < BLOCKS; k++)
			lost |= (u32)(c->start[k + 1] > n) << k;
		expect_all_but(c, &seen, lost);
		assert_false(seen.health.closed_cleanly);
		assert_true(seen.health.first_damage.what[0] != 0);
		assert_int_equal(seen.health.file_size, n);
		assert_true(seen.health.blocks_damaged <= 1 && seen.health.bytes_skipped < c->start[1] + 4096);
	}
}

static void flip_every_bit(void **state)
{
	struct whole *c = *state;
	u32 block = 0;

	/* all bits of headers and trailer, every 5th of payloads: their checksum knows no place from another */
	for (size_t bit = FMT_HEADER_SIZE * 8; bit < c->file.len * 8;) {
		size_t at = bit / 8;
		struct raw_seen seen;

		while (block < BLOCKS && at >= c->start[block + 1])
			block++;
		c->file.data[at] ^= (u8)(1u << (bit % 8));
		raw_read(c->file.data, c->file.len, &seen);
		c->file.data[at] ^= (u8)(1u << (bit % 8));
		expect_all_but(c, &seen, block < BLOCKS ? 1u << block : 0);
		assert_true(seen.health.first_damage.what[0] != 0);
		assert_int_equal(seen.health.first_damage.off, block < BLOCKS ? c->start[block] : c->start[BLOCKS]);
		assert_true(seen.health.blocks_damaged + seen.health.blocks_missing <= 1);
		assert_int_equal(seen.health.closed_cleanly, block < DATA_BLOCKS);
		bit += block < BLOCKS && at >= c->start[block] + FMT_BLOCK_HEADER ? 5 : 1;
	}
}

/* ---- surgery ---- */

/* Puts a file together: header, the listed blocks (of other: from 100 on), a trailer that takes the last for the footer. */
static void assemble(const struct whole *c, const struct whole *other, const int *blocks, struct buf *ret)
{
	struct fmt_trailer t = {.blocks = BLOCKS};
	u8 trailer[FMT_TRAILER_SIZE];

	buf_reset(ret);
	buf_put(ret, c->file.data, FMT_HEADER_SIZE);
	for (; *blocks >= 0; blocks++) {
		const struct whole *from = *blocks >= 100 ? other : c;
		int k = *blocks % 100;

		t.footer_off = ret->len;
		buf_put(ret, from->file.data + from->start[k], (size_t)(from->start[k + 1] - from->start[k]));
	}
	fmt_trailer_encode(&t, trailer);
	buf_put(ret, trailer, sizeof(trailer));
	assert_int_equal(buf_err(ret), 0);
}

struct surgery {
	int blocks[BLOCKS + 4]; /* ended by -1 */
	u32 lost;
	u64 damaged, missing;
	bool skipped; /* some bytes were */
	const char *what;
};

static void blocks_moved_about(void **state)
{
	static const char missing[] = "blocks are missing before this one", repeats[] = "sequence number repeats";
	static const struct surgery cases[] = {
		/* dropped */
		{{1, 2, 3, 4, 5, 6, -1}, 1u << 0, 0, 1, false, missing},
		{{0, 1, 2, 4, 5, 6, -1}, 1u << 3, 0, 1, false, missing},
		{{0, 1, 2, 3, 4, 6, -1}, 1u << 5, 0, 1, false, missing},
		{{0, 4, 6, -1}, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5, 0, 4, false, missing},
		/* repeated: at once, later, first */
		{{0, 1, 1, 2, 3, 4, 5, 6, -1}, 0, 1, 0, false, repeats},
		{{0, 1, 2, 3, 4, 5, 1, 6, -1}, 0, 1, 0, false, repeats},
		{{0, 1, 2, 0, 1, 2, 3, 4, 5, 6, -1}, 0, 3, 0, false, repeats},
		/* swapped: the later one is taken, the earlier is then out of order */
		{{0, 2, 1, 3, 4, 5, 6, -1}, 1u << 1, 1, 1, false, missing},
		{{5, 1, 2, 3, 4, 0, 6, -1}, 0x1f, 5, 5, false, missing},
		/* of another capture: not this one's, wherever it lies and whatever number it has */
		{{0, 1, 102, 2, 3, 4, 5, 6, -1}, 0, 0, 0, true, "block of another capture"},
		{{100, 0, 1, 2, 3, 4, 5, 6, -1}, 0, 0, 0, true, "block of another capture"},
		{{0, 1, 2, 3, 4, 5, 106, 6, -1}, 0, 0, 0, true, "block of another capture"},
		{{0, 1, 103, 3, 4, 5, 6, -1}, 1u << 2, 0, 1, true, "block of another capture"},
		/* the footer ends the file: what lies behind it is not looked at, and that is said */
		{{0, 1, 2, 3, 4, 6, 5, -1}, 1u << 5, 0, 1, true, missing},
	};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw_seen seen;

		assemble(&c[0], &c[1], cases[i].blocks, &file);
		raw_read(file.data, file.len, &seen);
		expect_all_but(c, &seen, cases[i].lost);
		assert_int_equal(seen.health.blocks_damaged, cases[i].damaged);
		assert_int_equal(seen.health.blocks_missing, cases[i].missing);
		assert_int_equal(seen.health.bytes_skipped > 0, cases[i].skipped);
		assert_string_equal(seen.health.first_damage.what, cases[i].what);
	}
}

/* A block that is gone and one that does not hold, side by side: both count. */
static void a_gap_before_a_damaged_block(void **state)
{
	static const int blocks[] = {0, 2, 3, 4, 5, 6, -1};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct raw_seen seen;

	assemble(c, NULL, blocks, &file);
	file.data[c->start[1] + FMT_BLOCK_HEADER + 5] ^= 4;
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 1u << 1 | 1u << 2);
	assert_int_equal(seen.health.blocks_missing, 1);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_true(seen.health.closed_cleanly);
}

static void bytes_behind_the_end(void **state)
{
	const struct whole *c = *state;
	static const char *const tails[] = {"\0", "garbage", "ABLKABLKABLKABLKABLKABLKABLK", "ASCOPEND"};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct raw_seen seen;

	for (u32 i = 0; i < ARRAY_SIZE(tails); i++) {
		size_t n = i ? strlen(tails[i]) : 1;

		buf_reset(&file);
		buf_put(&file, c->file.data, c->file.len);
		buf_put(&file, tails[i], n);
		raw_read(file.data, file.len, &seen);
		expect_all_but(c, &seen, 0);
		assert_false(seen.health.closed_cleanly);
		assert_int_equal(seen.health.bytes_skipped, n);
		assert_int_equal(seen.health.first_damage.off, c->file.len);
	}
}

static void two_captures_in_one_file(void **state)
{
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct raw_seen seen;

	buf_put(&file, c[0].file.data, c[0].file.len);
	buf_put(&file, c[1].file.data, c[1].file.len);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 0);
	assert_false(seen.health.closed_cleanly);
	assert_int_equal(seen.health.bytes_skipped, c[1].file.len);
	/* the first without its end: the reader goes through all of the second and takes none of it, not even the footer */
	buf_reset(&file);
	buf_put(&file, c[0].file.data, c[0].start[DATA_BLOCKS]);
	buf_put(&file, c[1].file.data, c[1].file.len);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 1u << DATA_BLOCKS);
	assert_false(seen.health.closed_cleanly);
	assert_int_equal(seen.health.bytes_skipped, c[1].file.len);
	/* the same capture twice, the first time without its end */
	buf_reset(&file);
	buf_put(&file, c[0].file.data, c[0].start[DATA_BLOCKS]);
	buf_put(&file, c[0].file.data, c[0].file.len);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 0);
	assert_int_equal(seen.health.blocks_damaged, DATA_BLOCKS);
	assert_int_equal(seen.health.bytes_skipped, FMT_HEADER_SIZE + FMT_TRAILER_SIZE);
}

/* A hole of zeros (a file system that lost a page), or of the block magic, over and over: it costs the blocks it touches. */
static void holes(void **state)
{
	static const size_t sizes[] = {1, 7, 80, 700, 4096};
	static const char magic[] = "ABLK";
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;

	for (u32 i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
		size_t size = sizes[i / 2];

		for (size_t at = FMT_HEADER_SIZE; at + size <= c->start[BLOCKS]; at += 13) {
			u32 touched = 0, lost;
			struct raw_seen seen;

			buf_reset(&file);
			buf_put(&file, c->file.data, c->file.len);
			for (size_t k = 0; k < size; k++)
				file.data[at + k] = i % 2 ? (u8)magic[k % 4] : 0;
			for (u32 k = 0; k < BLOCKS; k++)
				if (memcmp(file.data + c->start[k], c->file.data + c->start[k],
					   (size_t)(c->start[k + 1] - c->start[k])) != 0)
					touched |= 1u << k;
			lost = touched;
			raw_read(file.data, file.len, &seen);
			expect_all_but(c, &seen, lost);
			assert_int_equal(seen.health.first_damage.what[0] != 0, touched != 0);
			assert_int_equal(seen.health.closed_cleanly, !(touched & 1u << DATA_BLOCKS));
		}
	}
}

/* A killed machine: the file's size was on the disk, its last pages were not. */
static void a_sparse_tail(void **state)
{
	const struct whole *c = *state;
	_cleanup_close_ int fd = memfd_create("test_fmt_damage", MFD_CLOEXEC);
	struct fmt_reader *r = NULL;
	struct raw_seen seen;
	char path[64];

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, c->file.data, c->start[4] + 100), 0);
	assert_int_equal(ftruncate(fd, 64 << 20), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	raw_walk(r, &seen);
	fmt_reader_close(r);
	expect_all_but(c, &seen, 7u << 4);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_false(seen.health.closed_cleanly);
}

/* The footer's trailer names another footer, or is another block's. */
static void trailers_that_lie(void **state)
{
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_trailer t = {.footer_off = c->start[DATA_BLOCKS] - 1, .blocks = BLOCKS};
	struct raw_seen seen;

	buf_put(&file, c->file.data, c->file.len);
	fmt_trailer_encode(&t, file.data + c->start[BLOCKS]);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 0);
	assert_false(seen.health.closed_cleanly);
	assert_string_equal(seen.health.first_damage.what, "trailer missing or damaged");
}

/* Valid headers with numbers no writer gives: none may make a block count twice. */
static void sequence_numbers_at_the_end(void **state)
{
	const struct raw_column col = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x09", .size = 1};
	struct fmt_block_header h = {.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .rows = 3, .sections = 1};
	_cleanup_buf_ struct buf payload = BUF_INIT;
	struct raw_capture c;
	struct raw_seen seen;

	(void)state;
	raw_init(&c, 1);
	raw_section(&payload, FMT_SWITCH_IN, 3, &col, 1);
	raw_block_as(&c, &h, &payload);
	h.seq = UINT64_MAX;
	raw_block_as(&c, &h, &payload);
	h.seq = 0;
	raw_block_as(&c, &h, &payload);
	raw_read(c.file.data, c.file.len, &seen);
	assert_int_equal(seen.seq[0], 0);
	for (u32 i = 1; i < seen.n_blocks; i++)
		assert_true(seen.seq[i] > seen.seq[i - 1]);
	raw_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_byte),
		cmocka_unit_test(flip_every_bit),
		cmocka_unit_test(blocks_moved_about),
		cmocka_unit_test(a_gap_before_a_damaged_block),
		cmocka_unit_test(bytes_behind_the_end),
		cmocka_unit_test(two_captures_in_one_file),
		cmocka_unit_test(holes),
		cmocka_unit_test(a_sparse_tail),
		cmocka_unit_test(trailers_that_lie),
		cmocka_unit_test(sequence_numbers_at_the_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
