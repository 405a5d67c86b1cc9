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

/* Three flushes, each a dictionary and an events block; then a copy of each dictionary block, and the footer. */
enum { FLUSHES = 3, DATA_BLOCKS = 2 * FLUSHES, FOOTER = DATA_BLOCKS + FLUSHES, BLOCKS = FOOTER + 1 };
#define COPIES (7u << DATA_BLOCKS)
#define bit(k) (1u << (k))

/* A whole capture as the writer makes it, and what an undisturbed reading gives. */
struct whole {
	struct buf file;
	u64 start[BLOCKS + 1]; /* of block k; start[BLOCKS] is the trailer's */
	u32 rows[BLOCKS];      /* 0 of copies and the footer */
	u64 digest[BLOCKS];    /* of copies: not set */
};

static void put_rows(struct fmt_writer *w, u64 *rnd, u32 flush)
{
	u8 text[40];

	for (u64 i = 0; i < 20 + flush; i++) {
		const struct fmt_switch_out out = {.ts = 1000000 * flush + raw_random(rnd) % 1000000,
						   .thread = i % 3,
						   .core = raw_random(rnd),
						   .task = i,
						   .ustack = raw_random(rnd) % 99};
		const struct fmt_switch_in in = {
			.ts = 1000000 * flush + raw_random(rnd) % 1000000, .thread = i % 3, .cpu = flush};
		u64 frames[] = {raw_random(rnd), raw_random(rnd), 0};

		memcpy(text, frames, sizeof(frames));
		assert_int_equal(fmt_writer_row(w, FMT_SWITCH_OUT, &out, NULL, 0), 0);
		assert_int_equal(fmt_writer_row(w, FMT_SWITCH_IN, &in, NULL, 0), 0);
		assert_int_equal(fmt_writer_row(w, FMT_STACK, &(struct fmt_stack){.idx = flush * 100 + i}, frames, 3), 0);
		assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = flush * 100 + i}, text, 10 + i), 0);
	}
}

static void find_blocks(struct whole *c)
{
	static const struct fmt_want all = {.dictionaries = true, .events = true, .copies = true, .others = true};
	struct fmt_reader *r = NULL;
	struct raw_seen seen;
	struct fmt_block b;
	u32 n = 0;

	assert_int_equal(raw_open(c->file.data, c->file.len, &r, NULL), 0);
	fmt_reader_want(r, &all);
	for (u32 k = 0; k < BLOCKS; k++) {
		assert_int_equal(fmt_reader_next(r, &b), 1);
		assert_int_equal(b.type, k == FOOTER	    ? FMT_BLOCK_FOOTER
					 : k >= DATA_BLOCKS ? FMT_BLOCK_COPY
					 : k % 2	    ? FMT_BLOCK_EVENTS
							    : FMT_BLOCK_DICTIONARY);
		c->start[k] = b.offset;
		c->start[k + 1] = b.offset + b.stored_size;
		c->rows[k] = k < DATA_BLOCKS ? b.rows : 0;
	}
	fmt_reader_rewind(r);
	fmt_reader_want(r, NULL);
	raw_walk(r, &seen);
	fmt_reader_close(r);
	assert_int_equal(seen.n_blocks, BLOCKS - FLUSHES);
	assert_int_equal(seen.health.copies, FLUSHES);
	assert_true(seen.health.closed_cleanly);
	for (u32 k = 0; k < BLOCKS; k++)
		if (!(COPIES & bit(k)))
			c->digest[k] = seen.digest[n++];
}

static void make_whole(struct whole *c, u8 first_uuid_byte)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_damage", MFD_CLOEXEC);
	const u8 uuid[16] = {first_uuid_byte, 9, 9, 9};
	struct fmt_writer *w = NULL;
	u64 rnd = first_uuid_byte;

	*c = (struct whole){.rows = {0}};
	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u32 i = 0; i < FLUSHES; i++) {
		put_rows(w, &rnd, i + 1);
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &c->file, 1 << 20), 0);
	find_blocks(c);
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

/* Which of the lost blocks (bit k: block k) are delivered even so: dictionary blocks whose copy is not lost. */
static u32 recoverable(u32 lost)
{
	u32 res = 0;

	for (u32 i = 0; i < FLUSHES; i++)
		if (lost & bit(2 * i) && !(lost & bit(DATA_BLOCKS + i)))
			res |= bit(2 * i);
	return res;
}

/* The blocks that were read are those of `c` but the ones in `lost`, each exactly, each once, in order; and what can be recovered of these is. */
static void expect_all_but(const struct whole *c, const struct raw_seen *seen, u32 lost)
{
	u32 recovered = recoverable(lost), n = 0;
	u64 rows = 0;

	for (u32 k = 0; k < BLOCKS; k++) {
		if (COPIES & bit(k) || lost & ~recovered & bit(k))
			continue;
		assert_true(n < seen->n_blocks);
		assert_int_equal(seen->seq[n], k);
		assert_int_equal(seen->digest[n], c->digest[k]);
		rows += c->rows[k];
		n++;
	}
	assert_int_equal(seen->n_blocks, n);
	assert_int_equal(seen->rows, rows);
	assert_int_equal(seen->health.blocks_recovered, __builtin_popcount(recovered));
	assert_int_equal(seen->health.copies, FLUSHES - __builtin_popcount(lost & COPIES));
	assert_int_equal(seen->health.blocks_intact, BLOCKS - __builtin_popcount(lost & (bit(BLOCKS) - 1)));
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
		assert_int_equal(seen.n_damages, 1);
		assert_int_equal(seen.damages[0].end, n);
		assert_int_equal(seen.health.file_size, n);
		assert_true(seen.health.blocks_damaged <= 1 && seen.health.bytes_skipped < c->start[1] + 4096);
	}
}

/* One damage is told, and it is that one: where it is, of which block, and whether its copy stands in for it. */
static void expect_one_damage(const struct whole *c, const struct raw_seen *seen, u32 block)
{
	const struct fmt_damage *d = &seen->damages[0];
	bool is_dictionary = block < DATA_BLOCKS && block % 2 == 0;

	assert_int_equal(seen->n_damages, 1);
	assert_int_equal(d->recovered, is_dictionary);
	assert_int_equal(d->off, c->start[block]);
	if (block >= FOOTER) /* how many blocks there were is known no more */
		return;
	assert_int_equal(d->seq, block);
	assert_int_equal(d->blocks, 1);
	assert_int_equal(seen->health.blocks_damaged + seen->health.blocks_missing, 1);
	if (seen->health.blocks_damaged) {
		assert_int_equal(d->end, c->start[block + 1]);
		assert_int_equal(d->type, block >= DATA_BLOCKS ? FMT_BLOCK_COPY
					  : is_dictionary      ? FMT_BLOCK_DICTIONARY
							       : FMT_BLOCK_EVENTS);
		assert_int_equal(d->rows, block < DATA_BLOCKS ? c->rows[block] : c->rows[2 * (block - DATA_BLOCKS)]);
		assert_int_equal(d->ts_first / 1000000, d->type == FMT_BLOCK_EVENTS ? block / 2 + 1 : 0);
	}
}

static void flip_every_bit(void **state)
{
	struct whole *c = *state;
	u32 block = 0;

	/* all bits of headers and trailer, every 5th of payloads: their checksum knows no place from another */
	for (size_t b = FMT_HEADER_SIZE * 8; b < c->file.len * 8;) {
		size_t at = b / 8;
		struct raw_seen seen;

		while (block < BLOCKS && at >= c->start[block + 1])
			block++;
		c->file.data[at] ^= (u8)(1u << (b % 8));
		raw_read(c->file.data, c->file.len, &seen);
		c->file.data[at] ^= (u8)(1u << (b % 8));
		expect_all_but(c, &seen, block < BLOCKS ? bit(block) : 0);
		expect_one_damage(c, &seen, block);
		assert_int_equal(seen.health.closed_cleanly, block < FOOTER);
		b += block < BLOCKS && at >= c->start[block] + FMT_BLOCK_HEADER ? 5 : 1;
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
	int blocks[BLOCKS + 5]; /* ended by -1 */
	u32 lost;
	u64 damaged, missing;
	bool skipped; /* some bytes were */
	const char *what;
};

static void blocks_moved_about(void **state)
{
	static const char missing[] = "blocks are missing before this one", repeats[] = "sequence number repeats",
			  other[] = "block of another capture";
	static const struct surgery cases[] = {
		/* dropped */
		{{1, 2, 3, 4, 5, 6, 7, 8, 9, -1}, bit(0), 0, 1, false, missing},
		{{0, 2, 3, 4, 5, 6, 7, 8, 9, -1}, bit(1), 0, 1, false, missing},
		{{0, 1, 2, 3, 4, 5, 7, 8, 9, -1}, bit(6), 0, 1, false, missing},
		{{0, 1, 2, 3, 4, 5, 6, 7, 9, -1}, bit(8), 0, 1, false, missing},
		/* several in a row: every name is there, in its place */
		{{0, 1, 4, 5, 6, 7, 8, 9, -1}, bit(2) | bit(3), 0, 2, false, missing},
		{{6, 7, 8, 9, -1}, 0x3f, 0, 6, false, missing},
		{{0, 1, 2, 3, 9, -1}, bit(4) | bit(5) | COPIES, 0, 5, false, missing},
		/* and their copies */
		{{1, 2, 3, 4, 5, 7, 8, 9, -1}, bit(0) | bit(6), 0, 2, false, missing},
		{{1, 3, 5, 6, 8, 9, -1}, bit(0) | bit(2) | bit(4) | bit(7), 0, 4, false, missing},
		{{9, -1}, 0x1ff, 0, 9, false, missing},
		/* repeated: at once, later, first */
		{{0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}, 0, 1, 0, false, repeats},
		{{0, 1, 2, 3, 4, 5, 1, 6, 7, 8, 9, -1}, 0, 1, 0, false, repeats},
		{{0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}, 0, 3, 0, false, repeats},
		{{0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, -1}, 0, 1, 0, false, repeats},
		/* swapped: the later one is taken, the earlier is then out of order */
		{{0, 2, 1, 3, 4, 5, 6, 7, 8, 9, -1}, bit(1), 1, 1, false, missing},
		{{0, 1, 3, 2, 4, 5, 6, 7, 8, 9, -1}, bit(2), 1, 1, false, missing},
		{{5, 1, 2, 3, 4, 0, 6, 7, 8, 9, -1}, 0x1f, 5, 5, false, missing},
		/* copies in another order: those behind a later one's are not found, and that is said */
		{{1, 2, 3, 4, 5, 7, 8, 6, 9, -1}, bit(0) | bit(6), 1, 2, false, missing},
		/* of another capture: not this one's, wherever it lies and whatever number it has */
		{{0, 1, 102, 2, 3, 4, 5, 6, 7, 8, 9, -1}, 0, 0, 0, true, other},
		{{100, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1}, 0, 0, 0, true, other},
		{{0, 1, 2, 3, 4, 5, 6, 7, 8, 109, 9, -1}, 0, 0, 0, true, other},
		{{0, 1, 103, 3, 4, 5, 6, 7, 8, 9, -1}, bit(2), 0, 1, true, other},
		{{1, 2, 3, 4, 5, 106, 7, 8, 9, -1}, bit(0) | bit(6), 0, 2, true, missing},
		/* the footer ends the file: what lies behind it is not looked at, and that is said */
		{{0, 1, 2, 3, 4, 9, 5, 6, 7, 8, -1}, bit(5) | COPIES, 0, 4, true, missing},
		/* no footer */
		{{0, 1, 2, 3, 4, 5, 6, 7, 8, -1}, bit(9), 0, 1, false, "the footer is missing"},
		{{0, 1, 2, 3, 4, 5, -1}, COPIES | bit(9), 0, 4, false, "the footer is missing"},
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

/* The bar of the format: whatever one block is lost, and however, no name is, and no event of another block. */
static void any_one_block_is_lost(void **state)
{
	enum { CUT_OUT, HEADER, PAYLOAD, PAGE, WAYS };
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;

	for (u32 k = 0; k < FOOTER * WAYS; k++) {
		u32 block = k / WAYS, way = k % WAYS;
		size_t start = (size_t)c->start[block], size = (size_t)(c->start[block + 1] - start);
		struct raw_seen seen;

		buf_reset(&file);
		buf_put(&file, c->file.data, c->file.len);
		if (way == CUT_OUT) {
			struct fmt_trailer t = {.footer_off = c->start[FOOTER] - size, .blocks = BLOCKS};

			memmove(file.data + start, file.data + start + size, file.len - start - size);
			file.len -= size;
			fmt_trailer_encode(&t, file.data + file.len - FMT_TRAILER_SIZE);
		} else if (way == PAGE) {
			memset(file.data + start, 0, size);
		} else {
			file.data[start + (way == PAYLOAD ? FMT_BLOCK_HEADER : 16)] ^= 0x10;
		}
		raw_read(file.data, file.len, &seen);
		expect_all_but(c, &seen, bit(block));
		expect_one_damage(c, &seen, block);
		assert_true(seen.health.closed_cleanly);
		assert_int_equal(seen.health.blocks_damaged, way == PAYLOAD);
	}
}

/* A dictionary block and its copy: only now is a name lost, and two damages are told. */
static void a_block_and_its_copy_are_damaged(void **state)
{
	struct whole *c = *state;

	for (u32 k = 0; k < FLUSHES * 4; k++) {
		size_t at = (size_t)c->start[2 * (k / 4)], copy = (size_t)c->start[DATA_BLOCKS + k / 4];
		struct raw_seen seen;

		at += k & 1 ? 16 : FMT_BLOCK_HEADER;
		copy += k & 2 ? 16 : FMT_BLOCK_HEADER;
		c->file.data[at] ^= 1;
		c->file.data[copy] ^= 1;
		raw_read(c->file.data, c->file.len, &seen);
		c->file.data[at] ^= 1;
		c->file.data[copy] ^= 1;
		expect_all_but(c, &seen, bit(2 * (k / 4)) | bit(DATA_BLOCKS + k / 4));
		assert_int_equal(seen.n_damages, 2);
		assert_false(seen.damages[0].recovered || seen.damages[1].recovered);
		assert_int_equal(seen.damages[0].type, k & 1 ? 0 : FMT_BLOCK_DICTIONARY);
		assert_int_equal(seen.damages[1].type, k & 2 ? 0 : FMT_BLOCK_COPY);
		assert_true(seen.health.closed_cleanly);
	}
}

/* Of several blocks in a row that are gone, one name is lost with its copy: the others are there, and the damage is not said to cost nothing. */
static void some_of_a_hole_is_recovered(void **state)
{
	static const int blocks[] = {4, 5, 6, 7, 8, 9, -1};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	u64 first_size = c->start[4] - c->start[0];

	for (u32 k = 0; k <= 2; k++) { /* no copy; that of block 0; that of block 2 */
		struct raw_seen seen;

		assemble(c, NULL, blocks, &file);
		if (k)
			file.data[c->start[DATA_BLOCKS + k - 1] - first_size + FMT_BLOCK_HEADER + 3] ^= 1;
		raw_read(file.data, file.len, &seen);
		expect_all_but(c, &seen, 0xfu | (k ? bit(DATA_BLOCKS + k - 1) : 0));
		assert_int_equal(seen.damages[0].seq, 0);
		assert_int_equal(seen.damages[0].blocks, 4);
		assert_false(seen.damages[0].recovered);
		assert_int_equal(seen.n_damages, k ? 2 : 1);
	}
}

/* A repeated block that is torn; a trailer without footer that knows of no block. */
static void odd_ends(void **state)
{
	static const int blocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, -1};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_trailer t = {.blocks = 0};
	struct raw_seen seen;

	buf_put(&file, c->file.data, c->start[FOOTER]);
	buf_put(&file, c->file.data + c->start[2], (size_t)(c->start[3] - c->start[2]) - 5);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, bit(FOOTER));
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_string_equal(seen.damages[0].what, "sequence number repeats");
	assert_int_equal(seen.damages[0].end, file.len);

	assemble(c, NULL, blocks, &file);
	fmt_trailer_encode(&t, file.data + file.len - FMT_TRAILER_SIZE);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, bit(FOOTER));
	assert_int_equal(seen.n_damages, 1);
	assert_string_equal(seen.damages[0].what, "the footer is missing");
	assert_int_equal(seen.damages[0].blocks, 0);
	assert_int_equal(seen.health.blocks_missing, 0);
}

/* Bytes cut out of the middle of a payload: the block behind it, which begins too early then, is found all the same. */
static void a_payload_that_lost_bytes(void **state)
{
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;

	for (u32 k = 0; k < FOOTER; k++) {
		size_t at = (size_t)c->start[k] + FMT_BLOCK_HEADER + 7, n = 20 + k;
		struct raw_seen seen;

		buf_reset(&file);
		buf_put(&file, c->file.data, at);
		buf_put(&file, c->file.data + at + n, c->file.len - at - n);
		raw_read(file.data, file.len, &seen);
		expect_all_but(c, &seen, bit(k));
		assert_int_equal(seen.health.blocks_damaged, 1);
		assert_int_equal(seen.health.blocks_missing, 0);
		assert_int_equal(seen.damages[0].end, c->start[k + 1] - n);
		assert_false(seen.health.closed_cleanly); /* the trailer names another place */
	}
}

/* Copies while recording: a file cut behind them has lost no name, either, and what was lost before them is there. */
static void a_killed_recording(void **state)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_damage", MFD_CLOEXEC);
	_cleanup_buf_ struct buf file = BUF_INIT;
	const u8 uuid[16] = {7};
	struct fmt_writer *w = NULL;
	u64 ends[10], rnd = 3, total = 0;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	fmt_writer_copy_after(w, 0, 1 << 20);
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++) {
		put_rows(w, &rnd, i + 1);
		assert_int_equal(fmt_writer_flush(w), 0);
		ends[i] = fmt_writer_stats(w)->bytes;
	}
	fmt_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &file, 1 << 20), 0);
	for (u32 cut = 0; cut < ARRAY_SIZE(ends); cut++) {
		u64 start = cut ? ends[cut - 1] : FMT_HEADER_SIZE;
		struct raw_seen whole, seen;

		raw_read(file.data, ends[cut], &whole);
		assert_int_equal(whole.n_blocks, 2 * (cut + 1));
		assert_int_equal(whole.health.copies, cut + 1);
		assert_int_equal(whole.n_damages, 1);
		assert_non_null(strstr(whole.damages[0].what, "no footer"));
		for (u32 part = 0; part < 2; part++) { /* the last dictionary block: its header, its payload */
			file.data[start + (part ? FMT_BLOCK_HEADER : 0)] ^= 1;
			raw_read(file.data, ends[cut], &seen);
			file.data[start + (part ? FMT_BLOCK_HEADER : 0)] ^= 1;
			assert_int_equal(seen.n_blocks, whole.n_blocks);
			assert_memory_equal(seen.digest, whole.digest, sizeof(seen.digest));
			assert_int_equal(seen.health.blocks_recovered, 1);
			assert_true(seen.damages[0].recovered && seen.damages[0].seq == 3 * cut);
			assert_int_equal(seen.n_damages, 2);
			total++;
		}
	}
	assert_int_equal(total, 20);
}

/* A block that is gone and one that does not hold, side by side: both count. */
static void a_gap_before_a_damaged_block(void **state)
{
	static const int blocks[] = {0, 2, 3, 4, 5, 6, 7, 8, 9, -1};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct raw_seen seen;

	assemble(c, NULL, blocks, &file);
	file.data[c->start[1] + FMT_BLOCK_HEADER + 5] ^= 4;
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, bit(1) | bit(2));
	assert_int_equal(seen.health.blocks_missing, 1);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_int_equal(seen.n_damages, 2);
	assert_false(seen.damages[0].recovered);
	assert_true(seen.damages[1].recovered);
	assert_true(seen.health.closed_cleanly);
}

/* The last block before a footer that is gone does not hold: the trailer tells that there was one more. */
static void a_damaged_block_before_a_missing_footer(void **state)
{
	static const int blocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, -1};
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct raw_seen seen;

	assemble(c, NULL, blocks, &file);
	file.data[c->start[8] + FMT_BLOCK_HEADER] ^= 4;
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, bit(8) | bit(FOOTER));
	assert_int_equal(seen.n_damages, 2);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_int_equal(seen.health.blocks_missing, 1);
	assert_int_equal(seen.damages[1].seq, FOOTER);
	assert_false(seen.health.closed_cleanly);
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
	buf_put(&file, c[0].file.data, c[0].start[FOOTER]);
	buf_put(&file, c[1].file.data, c[1].file.len);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, bit(FOOTER));
	assert_false(seen.health.closed_cleanly);
	assert_int_equal(seen.health.bytes_skipped, c[1].file.len);
	/* the same capture twice, the first time without its end */
	buf_reset(&file);
	buf_put(&file, c[0].file.data, c[0].start[FOOTER]);
	buf_put(&file, c[0].file.data, c[0].file.len);
	raw_read(file.data, file.len, &seen);
	expect_all_but(c, &seen, 0);
	assert_int_equal(seen.health.blocks_damaged, FOOTER);
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
					touched |= bit(k);
			lost = touched;
			raw_read(file.data, file.len, &seen);
			expect_all_but(c, &seen, lost);
			assert_int_equal(seen.health.first_damage.what[0] != 0, touched != 0);
			assert_int_equal(seen.health.closed_cleanly, !(touched & bit(FOOTER)));
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
	expect_all_but(c, &seen, 0x3f0);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_false(seen.health.closed_cleanly);
}

/* The footer's trailer names another footer, or is another block's. */
static void trailers_that_lie(void **state)
{
	const struct whole *c = *state;
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_trailer t = {.footer_off = c->start[FOOTER] - 1, .blocks = BLOCKS};
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
		cmocka_unit_test(any_one_block_is_lost),
		cmocka_unit_test(a_block_and_its_copy_are_damaged),
		cmocka_unit_test(some_of_a_hole_is_recovered),
		cmocka_unit_test(odd_ends),
		cmocka_unit_test(a_payload_that_lost_bytes),
		cmocka_unit_test(a_killed_recording),
		cmocka_unit_test(a_gap_before_a_damaged_block),
		cmocka_unit_test(a_damaged_block_before_a_missing_footer),
		cmocka_unit_test(bytes_behind_the_end),
		cmocka_unit_test(two_captures_in_one_file),
		cmocka_unit_test(holes),
		cmocka_unit_test(a_sparse_tail),
		cmocka_unit_test(trailers_that_lie),
		cmocka_unit_test(sequence_numbers_at_the_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
