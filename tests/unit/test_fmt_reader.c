/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_reader.c: headers that are refused and why; blocks, flags and kinds of another version; the order of events; limits
 * of a block. Damage is test_fmt_damage.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "tests/unit/raw_capture.h"

/* ---- the file header ---- */

static void le_put(u8 *p, u64 v, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		p[i] = (u8)(v >> (8 * i));
}

/* A header with one field changed, and its checksum right again. Returns what opening says; *ret_what the reason. */
static int open_with(u32 off, u64 v, u32 bytes, char ret_what[96])
{
	struct fmt_diag diag = {.off = 77};
	struct fmt_reader *r = NULL;
	struct raw_capture c;
	int err;

	raw_init(&c, 7);
	le_put(c.file.data + off, v, bytes);
	le_put(c.file.data + 56, XXH3_64bits(c.file.data, 56), 8);
	raw_end(&c);
	err = raw_open(c.file.data, c.file.len, &r, &diag);
	if (err) {
		assert_null(r);
		assert_int_equal(diag.off, 0);
		memcpy(ret_what, diag.what, sizeof(diag.what));
	} else {
		assert_int_equal(diag.off, 77);
	}
	fmt_reader_close(r);
	raw_release(&c);
	return err;
}

static void headers_of_other_versions(void **state)
{
	char what[96] = "";

	(void)state;
	assert_int_equal(open_with(8, 0, 4, what), 0);
	assert_int_equal(open_with(8, 1, 4, what), -EPROTONOSUPPORT);
	assert_non_null(strstr(what, "newer"));
	assert_int_equal(open_with(8, UINT32_MAX, 4, what), -EPROTONOSUPPORT);
	assert_int_equal(open_with(16, UINT64_MAX, 8, what), 0); /* compat */
	assert_int_equal(open_with(24, 1ULL << 63, 8, what), -EPROTONOSUPPORT);
	assert_non_null(strstr(what, "features"));
	assert_int_equal(open_with(48, UINT64_MAX, 8, what), 0); /* reserved */
	assert_int_equal(open_with(12, 63, 4, what), -EBADMSG);
	assert_string_equal(what, "header size");
	assert_int_equal(open_with(12, 65537, 4, what), -EBADMSG);
	assert_int_equal(open_with(12, 65536, 4, what), 0); /* behind the end: nothing to read, but a capture */
	assert_int_equal(open_with(0, 0x88, 1, what), -EBADMSG);
	assert_non_null(strstr(what, "not an ascope capture"));
}

static void headers_that_do_not_hold(void **state)
{
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	struct raw_capture c;

	(void)state;
	raw_init(&c, 7);
	for (u32 bit = 0; bit < FMT_HEADER_SIZE * 8; bit++) {
		c.file.data[bit / 8] ^= (u8)(1u << (bit % 8));
		assert_int_equal(raw_open(c.file.data, c.file.len, &r, &diag), -EBADMSG);
		c.file.data[bit / 8] ^= (u8)(1u << (bit % 8));
	}
	for (u32 n = 0; n < FMT_HEADER_SIZE; n++)
		assert_int_equal(raw_open(c.file.data, n, &r, &diag), n < 8 ? -EBADMSG : -ENODATA);
	assert_int_equal(raw_open(c.file.data, c.file.len, &r, &diag), 0);
	fmt_reader_close(r);
	raw_release(&c);
}

static void what_is_not_a_file(void **state)
{
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	char dir[] = "/tmp/ascope-test-XXXXXX", fifo[64];

	(void)state;
	assert_int_equal(fmt_reader_open("/nonexistent/x", &r, &diag), -ENOENT);
	assert_int_equal(fmt_reader_open("/tmp", &r, &diag), -EISDIR);
	assert_int_equal(fmt_reader_open("/dev/null", &r, NULL), -ESPIPE);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(fmt_reader_open(fifo, &r, NULL), -ESPIPE); /* and does not wait for a writer */
	assert_int_equal(unlink(fifo), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_null(fmt_reader_close(NULL));
}

/* A longer header of a later version that changed nothing essential: the first block is where it says. */
static void a_longer_header(void **state)
{
	struct raw_capture c;
	struct raw_seen seen;
	static const u8 more[136];
	size_t blocks;

	(void)state;
	raw_init(&c, 7);
	le_put(c.file.data + 12, FMT_HEADER_SIZE + sizeof(more), 4);
	le_put(c.file.data + 56, XXH3_64bits(c.file.data, 56), 8);
	buf_put(&c.file, more, sizeof(more));
	blocks = c.file.len;
	raw_end(&c);
	assert_int_equal(blocks, 200);
	raw_read(c.file.data, c.file.len, &seen);
	assert_int_equal(seen.n_blocks, 1);
	assert_true(seen.health.closed_cleanly);
	assert_string_equal(seen.health.first_damage.what, "");
	raw_release(&c);
}

/* ---- blocks ---- */

static void put_switch_ins(struct buf *payload, u32 rows)
{
	const struct raw_column col = {.id = 1, .enc = FMT_ENC_CONST, .data = "\x09", .size = 1};

	raw_section(payload, FMT_SWITCH_IN, rows, &col, 1);
}

/* Two plain blocks with one of another sort between them. */
static void between(const struct fmt_block_header *h, const struct buf *payload, struct raw_seen *ret)
{
	_cleanup_buf_ struct buf plain = BUF_INIT;
	struct raw_capture c;

	raw_init(&c, 7);
	put_switch_ins(&plain, 10);
	raw_block(&c, &plain, 10, 1);
	raw_block_as(&c, h, payload);
	put_switch_ins(&plain, 20);
	raw_block(&c, &plain, 20, 1);
	raw_end(&c);
	raw_read(c.file.data, c.file.len, ret);
	assert_true(ret->health.closed_cleanly);
	assert_int_equal(ret->health.blocks_missing, 0);
	assert_int_equal(ret->health.bytes_skipped, 0);
	assert_int_equal(ret->health.file_size, c.file.len);
	raw_release(&c);
}

static void expect_damaged(struct fmt_block_header h, const struct buf *payload, const char *what)
{
	struct raw_seen seen;

	between(&h, payload, &seen);
	assert_int_equal(seen.rows, 30);
	assert_int_equal(seen.health.blocks_damaged, 1);
	assert_string_equal(seen.health.first_damage.what, what);
}

static void expect_read(struct fmt_block_header h, const struct buf *payload, u64 rows)
{
	struct raw_seen seen;

	between(&h, payload, &seen);
	assert_int_equal(seen.rows, rows);
	assert_int_equal(seen.health.blocks_damaged, 0);
	assert_int_equal(seen.n_blocks, 4);
	assert_string_equal(seen.health.first_damage.what, "");
}

static void blocks_of_other_versions(void **state)
{
	const struct fmt_block_header plain = {
		.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .seq = 1, .rows = 5, .sections = 1};
	_cleanup_buf_ struct buf payload = BUF_INIT;
	struct fmt_block_header h = plain;

	(void)state;
	put_switch_ins(&payload, 5);
	expect_read(plain, &payload, 35);
	h.type = 9; /* skipped, not damaged; what is in it is not known */
	h.sections = 60;
	expect_read(h, &payload, 30);
	h = plain;
	h.flags = FMT_FLAG_ZSTD | 2;
	expect_damaged(h, &payload, "block flags");
	h.flags = 0;
	expect_damaged(h, &payload, "block flags");
	raw_section(&payload, 31, 3, NULL, 0); /* a kind to come */
	h = (struct fmt_block_header){.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .seq = 1, .rows = 8, .sections = 2};
	expect_read(h, &payload, 38);
}

static void contents_and_header_disagree(void **state)
{
	const struct fmt_block_header plain = {
		.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .seq = 1, .rows = 5, .sections = 1};
	_cleanup_buf_ struct buf payload = BUF_INIT;
	struct fmt_block_header h = plain;

	(void)state;
	put_switch_ins(&payload, 5);
	h.rows = 6;
	expect_damaged(h, &payload, "block contents and header disagree");
	h = plain;
	h.sections = 2;
	expect_damaged(h, &payload, "section kind");
	h.sections = 0;
	h.rows = 0;
	expect_damaged(h, &payload, "block contents and header disagree");
	buf_putc(&payload, 0);
	expect_damaged(plain, &payload, "block contents and header disagree");
	buf_reset(&payload);
	h = plain;
	h.sections = 0;
	h.rows = 0;
	expect_read(h, &payload, 30); /* an empty block */
}

static void a_block_that_asks_for_too_much(void **state)
{
	const struct fmt_block_header h = {
		.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .seq = 1, .rows = 64 * FMT_MAX_ROWS, .sections = 64};
	_cleanup_buf_ struct buf payload = BUF_INIT;

	(void)state;
	for (u32 i = 0; i < FMT_MAX_SECTIONS; i++)
		put_switch_ins(&payload, FMT_MAX_ROWS);
	expect_damaged(h, &payload, "too many values in one block");
}

/* Sizes above the limits make the header itself invalid: nothing is allocated, the search goes on behind it. */
static void headers_over_a_limit(void **state)
{
	static const struct fmt_block_header bad[] = {
		{.payload_size = FMT_MAX_PAYLOAD + 1},
		{.raw_size = FMT_MAX_RAW + 1},
		{.raw_size = UINT32_MAX},
		{.sections = FMT_MAX_SECTIONS + 1},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fmt_block_header h = bad[i];
		_cleanup_buf_ struct buf payload = BUF_INIT;
		u8 bytes[FMT_BLOCK_HEADER];
		struct raw_capture c;
		struct raw_seen seen;

		raw_init(&c, 7);
		h.type = FMT_BLOCK_EVENTS;
		h.flags = FMT_FLAG_ZSTD;
		memcpy(&h.uuid_lo, c.uuid, 8);
		fmt_block_header_encode(&h, bytes);
		buf_put(&c.file, bytes, sizeof(bytes));
		put_switch_ins(&payload, 5);
		raw_block(&c, &payload, 5, 1);
		raw_end(&c);
		raw_read(c.file.data, c.file.len, &seen);
		assert_int_equal(seen.rows, 5);
		assert_string_equal(seen.health.first_damage.what, "block header over a limit");
		assert_int_equal(seen.health.first_damage.off, FMT_HEADER_SIZE);
		assert_int_equal(seen.health.bytes_skipped, FMT_BLOCK_HEADER);
		raw_release(&c);
	}
}

/* The raw size is what zstd must give, to the byte. */
static void raw_sizes_that_lie(void **state)
{
	_cleanup_buf_ struct buf payload = BUF_INIT;
	static const s64 off_by[] = {-1, 1, 1000000};
	struct raw_capture c;
	struct raw_seen seen;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(off_by); i++) {
		struct fmt_block_header h;
		struct fmt_cursor cur;
		u64 start;

		raw_init(&c, 7);
		put_switch_ins(&payload, 5);
		raw_block(&c, &payload, 5, 1);
		start = c.start_of[0];
		cur = cur_init(c.file.data + start, FMT_BLOCK_HEADER);
		assert_int_equal(fmt_block_header_decode(&cur, &h), 0);
		h.raw_size = (u32)((s64)h.raw_size + off_by[i]);
		fmt_block_header_encode(&h, c.file.data + start);
		raw_end(&c);
		raw_read(c.file.data, c.file.len, &seen);
		assert_int_equal(seen.rows, 0);
		assert_int_equal(seen.health.blocks_damaged, 1);
		assert_string_equal(seen.health.first_damage.what, "zstd frame");
		raw_release(&c);
	}
}

/* ---- the order of events ---- */

static void put_times(struct buf *payload, enum fmt_kind_id kind, const char *times)
{
	_cleanup_buf_ struct buf data = BUF_INIT;
	struct raw_column col = {.id = 1, .enc = FMT_ENC_VARINT};

	for (const char *t = times; *t; t++)
		buf_put_uvarint(&data, (u64)(*t - '0'));
	col.data = data.data;
	col.size = data.len;
	raw_section(payload, kind, strlen(times), &col, 1);
}

static void events_in_order_of_time(void **state)
{
	/* at equal times: whatever else by kind, then outs, then ins; rows of a kind as they were recorded */
	static const struct {
		u64 ts;
		u32 kind, row;
	} expected[] = {
		{1, FMT_SWITCH_IN, 3},	 {2, FMT_CLOCK, 0},	 {3, FMT_THREAD_EXIT, 0}, {5, FMT_WAKING, 0},
		{5, FMT_THREAD_EXIT, 1}, {5, FMT_SWITCH_OUT, 0}, {5, FMT_SWITCH_OUT, 2},  {5, FMT_SWITCH_IN, 0},
		{5, FMT_SWITCH_IN, 1},	 {6, FMT_SWITCH_OUT, 1}, {7, FMT_SWITCH_IN, 2},
	};
	_cleanup_buf_ struct buf payload = BUF_INIT;
	const struct fmt_ref *refs = NULL;
	struct fmt_reader *r = NULL;
	struct raw_capture c;
	struct fmt_block b;

	(void)state;
	raw_init(&c, 7);
	put_times(&payload, FMT_THREAD, "99");
	put_times(&payload, FMT_SWITCH_OUT, "565");
	put_times(&payload, FMT_SWITCH_IN, "5571");
	put_times(&payload, FMT_WAKING, "5");
	put_times(&payload, FMT_THREAD_EXIT, "35");
	put_times(&payload, FMT_CLOCK, "2");
	put_times(&payload, 50, "8"); /* an event of a later version: cannot be ordered, its times are not read */
	raw_block(&c, &payload, 14, 7);
	raw_end(&c);
	assert_int_equal(raw_open(c.file.data, c.file.len, &r, NULL), 0);
	assert_int_equal(fmt_reader_next(r, &b), 1);
	assert_int_equal(fmt_block_events(r, &b, &refs), ARRAY_SIZE(expected));
	for (u32 i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_int_equal(refs[i].ts, expected[i].ts);
		assert_int_equal(b.sections[refs[i].section].kind_id, expected[i].kind);
		assert_int_equal(refs[i].row, expected[i].row);
	}
	assert_int_equal(fmt_reader_next(r, &b), 1);
	assert_int_equal(fmt_block_events(r, &b, &refs), 0);
	fmt_reader_close(r);
	raw_release(&c);
}

static void rewinding(void **state)
{
	_cleanup_buf_ struct buf payload = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct raw_seen first, second;
	struct raw_capture c;
	struct fmt_block b;

	(void)state;
	raw_init(&c, 7);
	for (u32 i = 1; i <= 5; i++) {
		put_switch_ins(&payload, i);
		raw_block(&c, &payload, i, 1);
	}
	raw_end(&c);
	c.file.data[c.start_of[2] + FMT_BLOCK_HEADER] ^= 1;
	assert_int_equal(raw_open(c.file.data, c.file.len, &r, NULL), 0);
	raw_walk(r, &first);
	fmt_reader_rewind(r);
	assert_int_equal(fmt_reader_next(r, &b), 1); /* from the middle, too */
	fmt_reader_rewind(r);
	raw_walk(r, &second);
	assert_int_equal(first.health.blocks_damaged, 1);
	assert_memory_equal(&first, &second, sizeof(first));
	fmt_reader_close(r);
	raw_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_other_versions),
		cmocka_unit_test(headers_that_do_not_hold),
		cmocka_unit_test(what_is_not_a_file),
		cmocka_unit_test(a_longer_header),
		cmocka_unit_test(blocks_of_other_versions),
		cmocka_unit_test(contents_and_header_disagree),
		cmocka_unit_test(a_block_that_asks_for_too_much),
		cmocka_unit_test(headers_over_a_limit),
		cmocka_unit_test(raw_sizes_that_lie),
		cmocka_unit_test(events_in_order_of_time),
		cmocka_unit_test(rewinding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
