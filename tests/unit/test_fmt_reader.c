/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_reader.c: headers that are refused and why; blocks, flags and kinds of another version; the order of events; limits
 * of a block; only what is wanted is read; files that change, and hostile ones. Damage is test_fmt_damage.c's.
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
#include <sys/stat.h>
#include <xxhash.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
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
	assert_int_equal(open_with(8, 1, 4, what), 0);
	assert_int_equal(open_with(8, 0, 4, what), -EPROTO);
	assert_non_null(strstr(what, "never released"));
	assert_int_equal(open_with(8, 2, 4, what), -EPROTONOSUPPORT);
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
		u8 *other = &c.file.data[(bit / 8 + 1 + bit % 63) % FMT_HEADER_SIZE];

		c.file.data[bit / 8] ^= (u8)(1u << (bit % 8));
		assert_int_equal(raw_open(c.file.data, c.file.len, &r, &diag), 0); /* one byte is put right */
		r = fmt_reader_close(r);
		*other ^= 0x55; /* two are not */
		assert_int_equal(raw_open(c.file.data, c.file.len, &r, &diag), -EBADMSG);
		*other ^= 0x55;
		c.file.data[bit / 8] ^= (u8)(1u << (bit % 8));
	}
	for (u32 n = 0; n < FMT_HEADER_SIZE; n++)
		assert_int_equal(raw_open(c.file.data, n, &r, &diag), n < 8 ? -EBADMSG : -ENODATA);
	assert_int_equal(raw_open(c.file.data, c.file.len, &r, &diag), 0);
	fmt_reader_close(r);
	raw_release(&c);
}

/* Nothing is lost, but it is told, in each reading. */
static void a_header_put_right(void **state)
{
	struct raw_capture c;
	struct raw_seen seen;

	(void)state;
	raw_init(&c, 7);
	raw_end(&c);
	for (u32 at = 0; at < FMT_HEADER_SIZE; at += 7) {
		c.file.data[at] ^= 0xff;
		raw_read(c.file.data, c.file.len, &seen);
		assert_int_equal(seen.n_blocks, 1);
		assert_true(seen.health.closed_cleanly);
		assert_int_equal(seen.health.bytes_skipped, 1);
		assert_int_equal(seen.health.first_damage.off, 0);
		assert_non_null(strstr(seen.health.first_damage.what, "file header"));
		c.file.data[at] ^= 0xff;
	}
	raw_read(c.file.data, c.file.len, &seen);
	assert_string_equal(seen.health.first_damage.what, "");
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
		{.payload_size = FMT_MAX_PAYLOAD + 1}, {.raw_size = FMT_MAX_RAW + 1}, {.raw_size = UINT32_MAX},
		{.sections = FMT_MAX_SECTIONS + 1},    {.seq = UINT64_MAX},
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

/* A copy of itself, or of what comes later, is none: as a header that does not hold. */
static void copies_of_nothing_before_them(void **state)
{
	struct fmt_block_header h = {.type = FMT_BLOCK_COPY, .flags = FMT_FLAG_ZSTD, .seq = 5};
	u8 bytes[FMT_BLOCK_HEADER];

	(void)state;
	for (h.copy_of = 0; h.copy_of < 9; h.copy_of++) {
		struct fmt_cursor c = cur_init(bytes, sizeof(bytes));
		struct fmt_block_header out;

		fmt_block_header_encode(&h, bytes);
		assert_int_equal(fmt_block_header_decode(&c, &out), h.copy_of < 5 ? 0 : -EBADMSG);
		if (h.copy_of < 5)
			assert_int_equal(out.copy_of, h.copy_of);
	}
	h.type = FMT_BLOCK_EVENTS; /* reserved there: written 0, ignored */
	fmt_block_header_encode(&h, bytes);
	for (u32 i = 48; i < 56; i++)
		assert_int_equal(bytes[i], 0);
}

static void put_string(struct buf *payload)
{
	const struct raw_column cols[] = {{.id = 1, .enc = FMT_ENC_CONST, .data = "\x05", .size = 1},
					  {.id = FMT_PAYLOAD_COLUMN, .enc = FMT_ENC_BYTES, .data = "\x02hi", .size = 3}};

	raw_section(payload, FMT_STRING, 1, cols, 2);
}

static void set_payload_size(struct raw_capture *c, u32 block, u32 size)
{
	struct fmt_cursor cur = cur_init(c->file.data + c->start_of[block], FMT_BLOCK_HEADER);
	struct fmt_block_header h;

	assert_int_equal(fmt_block_header_decode(&cur, &h), 0);
	h.payload_size = size;
	fmt_block_header_encode(&h, c->file.data + c->start_of[block]);
}

/* Blocks that say they reach beyond the end of the file do not hide what is behind their header, from either search. */
static void copies_behind_torn_blocks(void **state)
{
	const struct fmt_block_header dictionary = {
		.type = FMT_BLOCK_DICTIONARY, .flags = FMT_FLAG_ZSTD, .rows = 1, .sections = 1};
	const struct fmt_block_header copy = {
		.type = FMT_BLOCK_COPY, .flags = FMT_FLAG_ZSTD, .seq = 2, .copy_of = 0, .rows = 1, .sections = 1};

	(void)state;
	for (u32 torn = 0; torn < 3; torn++) { /* the dictionary block; the one behind it; none, and the first is damaged */
		_cleanup_buf_ struct buf payload = BUF_INIT, strings = BUF_INIT;
		struct raw_capture c;
		struct raw_seen seen;

		raw_init(&c, 7);
		put_string(&strings);
		raw_block_as(&c, &dictionary, &strings);
		put_switch_ins(&payload, 10);
		raw_block(&c, &payload, 10, 1);
		raw_block_as(&c, &copy, &strings);
		raw_end(&c);
		if (torn < 2)
			set_payload_size(&c, torn, 1 << 20);
		if (torn > 0)
			c.file.data[c.start_of[0] + FMT_BLOCK_HEADER] ^= 1;
		raw_read(c.file.data, c.file.len, &seen);
		assert_int_equal(seen.health.blocks_recovered, 1);
		assert_int_equal(seen.rows, torn == 1 ? 1 : 11);
		assert_int_equal(seen.seq[0], 0);
		assert_true(seen.damages[0].recovered);
		assert_int_equal(seen.n_damages, torn == 1 ? 2 : 1);
		assert_true(seen.health.closed_cleanly);
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
	put_times(&payload, FMT_INDEX - 1, "8"); /* an event of a later version: cannot be ordered, its times are not read */
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

/* ---- what is wanted ---- */

enum { FLUSHES = 20, EVENTS_A_FLUSH = 100 };

/* FLUSHES dictionary and events blocks; the events of flush i are at i * 1000 ... i * 1000 + 99 us. */
static void make_capture(struct buf *ret)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_reader", MFD_CLOEXEC);
	static const u8 uuid[16] = {3};
	struct fmt_writer *w = NULL;

	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u64 i = 0; i < FLUSHES; i++) {
		assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = i + 1}, "some name", 9), 0);
		for (u64 k = 0; k < EVENTS_A_FLUSH; k++)
			assert_int_equal(fmt_writer_row(w, FMT_SWITCH_IN,
							&(struct fmt_switch_in){.ts = i * 1000 + k, .thread = k * k % 7}, NULL,
							0),
					 0);
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, ret, 1 << 20), 0);
}

struct given {
	u32 dictionaries, events, copies, footers;
	u64 stored;	       /* bytes of all these */
	u64 first_ts, last_ts; /* of the events blocks */
};

static void read_wanted(struct fmt_reader *r, struct given *g)
{
	struct fmt_block b;
	int n;

	*g = (struct given){.first_ts = UINT64_MAX};
	while ((n = fmt_reader_next(r, &b)) == 1) {
		assert_int_equal(b.n_sections, b.type == FMT_BLOCK_FOOTER ? 2 : 1);
		g->dictionaries += b.type == FMT_BLOCK_DICTIONARY;
		g->events += b.type == FMT_BLOCK_EVENTS;
		g->copies += b.type == FMT_BLOCK_COPY;
		g->footers += b.type == FMT_BLOCK_FOOTER;
		g->stored += b.stored_size;
		if (b.type != FMT_BLOCK_EVENTS)
			continue;
		g->first_ts = min_u64(g->first_ts, b.ts_first);
		g->last_ts = max_u64(g->last_ts, b.ts_last);
	}
	assert_int_equal(n, 0);
}

struct wanting {
	struct fmt_want want;
	u32 dictionaries, events, copies;
	u64 first_ts, last_ts;
};

/* Only what is wanted is given, and of all else only headers are read. */
static void what_is_wanted(void **state)
{
	static const struct wanting cases[] = {
		{{.dictionaries = true, .events = true}, 20, 20, 0, 0, 19099},
		{{.dictionaries = true, .events = true, .from = 5050, .to = 7050}, 20, 3, 0, 5000, 7099},
		{{.dictionaries = true, .events = true, .from = 5099, .to = 7000}, 20, 3, 0, 5000, 7099}, /* both ends count */
		{{.dictionaries = true, .events = true, .from = 5100, .to = 6999}, 20, 1, 0, 6000, 6099},
		{{.dictionaries = true, .events = true, .from = 5100, .to = 5999}, 20, 0, 0, UINT64_MAX, 0},
		{{.dictionaries = true, .events = true, .from = 18000}, 20, 2, 0, 18000, 19099},
		{{.dictionaries = true, .events = true, .to = 1}, 20, 1, 0, 0, 99},
		{{.events = true, .from = 3000, .to = 3000}, 0, 1, 0, 3000, 3099},
		{{.dictionaries = true}, 20, 0, 0, UINT64_MAX, 0},
		{{.copies = true}, 0, 0, 20, UINT64_MAX, 0},
		{{.dictionaries = false}, 0, 0, 0, UINT64_MAX, 0},
		{{.dictionaries = true, .events = true, .copies = true, .others = true}, 20, 20, 20, 0, 19099},
	};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct given g;

	(void)state;
	make_capture(&file);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct wanting *c = &cases[i];
		const struct fmt_health *h = fmt_reader_health(r);
		u32 given = c->dictionaries + c->events + c->copies + 1;
		u64 before;

		fmt_reader_want(r, &c->want);
		fmt_reader_rewind(r);
		before = fmt_reader_bytes_read(r);
		read_wanted(r, &g);
		assert_int_equal(g.dictionaries, c->dictionaries);
		assert_int_equal(g.events, c->events);
		assert_int_equal(g.copies, c->copies);
		assert_int_equal(g.footers, 1);
		assert_int_equal(g.first_ts, c->first_ts);
		assert_int_equal(g.last_ts, c->last_ts);
		assert_int_equal(h->blocks_intact, given);
		assert_int_equal(h->blocks_hopped, 3 * FLUSHES + 1 - given);
		assert_true(h->closed_cleanly && !h->first_damage.what[0]);
		assert_int_equal(fmt_reader_bytes_read(r) - before,
				 g.stored + FMT_BLOCK_HEADER * h->blocks_hopped + FMT_TRAILER_SIZE);
	}
	/* the whole again: copies are verified, and not given */
	fmt_reader_want(r, NULL);
	fmt_reader_rewind(r);
	read_wanted(r, &g);
	assert_int_equal(g.dictionaries + g.events + g.copies, 2 * FLUSHES);
	assert_int_equal(fmt_reader_health(r)->blocks_hopped, 0);
	assert_int_equal(fmt_reader_health(r)->copies, FLUSHES);
	fmt_reader_close(r);
}

/* A lost name is needed whatever is wanted of events; a lost block of events that nobody wants is not seen. */
static void wanted_and_damaged(void **state)
{
	const struct fmt_want want = {.dictionaries = true, .events = true, .from = 5000, .to = 5999};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_reader *r = NULL;
	u64 off[4 * FLUSHES], n = 0;
	struct fmt_block b;
	struct given g;

	(void)state;
	make_capture(&file);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	while (fmt_reader_next(r, &b) == 1)
		off[n++] = b.offset;
	fmt_reader_close(r);
	file.data[off[2 * 7] + FMT_BLOCK_HEADER] ^= 1;	   /* dictionary of flush 7 */
	file.data[off[2 * 8]] ^= 1;			   /* and of flush 8: header */
	file.data[off[2 * 9 + 1] + FMT_BLOCK_HEADER] ^= 1; /* events of flush 9 */
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	fmt_reader_want(r, &want);
	read_wanted(r, &g);
	assert_int_equal(g.dictionaries, FLUSHES);
	assert_int_equal(g.events, 1);
	assert_int_equal(fmt_reader_health(r)->blocks_recovered, 2);
	assert_int_equal(fmt_reader_health(r)->blocks_damaged, 1);
	assert_int_equal(fmt_reader_health(r)->blocks_missing, 1);
	fmt_reader_close(r);
}

/* ---- the footer ---- */

static int footer_of(const struct buf *file, size_t n)
{
	struct fmt_reader *r = NULL;
	struct fmt_block b;
	int res;

	assert_int_equal(raw_open(file->data, n, &r, NULL), 0);
	res = fmt_reader_footer(r, &b);
	assert_string_equal(fmt_reader_health(r)->first_damage.what, ""); /* nothing is told */
	fmt_reader_close(r);
	return res;
}

static void the_footer(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct raw_seen seen;
	struct fmt_trailer t = {.footer_off = 0};
	struct fmt_index row;
	struct fmt_block b;
	u64 footer_off;

	(void)state;
	make_capture(&file);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	assert_int_equal(fmt_reader_next(r, &b), 1);
	assert_int_equal(fmt_reader_next(r, &b), 1); /* from the middle, too */
	assert_int_equal(fmt_reader_footer(r, &b), 1);
	assert_int_equal(b.type, FMT_BLOCK_FOOTER);
	assert_int_equal(b.sections[0].kind_id, FMT_INDEX);
	assert_int_equal(b.sections[0].rows, 3 * FLUSHES);
	fmt_section_row(&b.sections[0], 3 * FLUSHES - 1, &row);
	assert_int_equal(row.type, FMT_BLOCK_COPY);
	assert_int_equal(row.copy_of, 2 * (FLUSHES - 1));
	footer_off = b.offset;
	assert_true(fmt_reader_bytes_read(r) < file.len);
	assert_int_equal(fmt_reader_next(r, &b), 1); /* goes on where it was */
	assert_int_equal(b.seq, 2);
	fmt_reader_rewind(r);
	raw_walk(r, &seen);
	assert_int_equal(seen.n_blocks, 2 * FLUSHES + 1);
	fmt_reader_close(r);

	for (size_t at = footer_off; at < file.len; at++) {
		file.data[at] ^= 0x20;
		assert_int_equal(footer_of(&file, file.len), 0);
		file.data[at] ^= 0x20;
		assert_int_equal(footer_of(&file, at), 0);
	}
	assert_int_equal(footer_of(&file, file.len), 1);
	assert_int_equal(footer_of(&file, FMT_HEADER_SIZE), 0);
	/* bytes between footer and trailer; a trailer behind a block that is no footer */
	for (u32 i = 0; i < 2; i++) {
		_cleanup_buf_ struct buf other = BUF_INIT;
		u64 copy_off = row.offset;
		u8 trailer[FMT_TRAILER_SIZE];

		t.footer_off = i ? copy_off : footer_off;
		fmt_trailer_encode(&t, trailer);
		buf_put(&other, file.data, (size_t)(i ? footer_off : file.len - FMT_TRAILER_SIZE));
		if (!i)
			buf_putc(&other, 0);
		buf_put(&other, trailer, sizeof(trailer));
		assert_int_equal(footer_of(&other, other.len), 0);
	}
	/* a trailer that names a place outside, itself, the header, another block */
	for (u32 i = 0; i < 5; i++) {
		const u64 offs[] = {UINT64_MAX, file.len - FMT_TRAILER_SIZE, 0, FMT_HEADER_SIZE, footer_off - 1};

		t.footer_off = offs[i];
		fmt_trailer_encode(&t, file.data + file.len - FMT_TRAILER_SIZE);
		assert_int_equal(footer_of(&file, file.len), 0);
	}
}

/* ---- files that change ---- */

/* The file is cut while it is read: no fault, and what the reader says is true of the shorter file. */
static void cut_while_it_is_read(void **state)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_reader", MFD_CLOEXEC);
	_cleanup_buf_ struct buf file = BUF_INIT;
	char path[64];

	(void)state;
	make_capture(&file);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t size = 0; size < file.len; size += 97) {
		struct fmt_reader *r = NULL;
		struct fmt_block b;
		int n;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, file.data, file.len, 0), (ssize_t)file.len);
		assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
		for (u32 i = 0; i < 5; i++)
			assert_int_equal(fmt_reader_next(r, &b), 1);
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		while ((n = fmt_reader_next(r, &b)) == 1)
			assert_true(b.offset + b.stored_size <= size);
		assert_int_equal(n, 0);
		assert_false(fmt_reader_health(r)->closed_cleanly);
		assert_true(fmt_reader_health(r)->first_damage.what[0] != 0);
		assert_true(fmt_reader_health(r)->file_size < file.len);
		assert_int_equal(fmt_reader_footer(r, &b), 0);
		fmt_reader_close(r);
	}
}

/* A gigabyte without a block costs a search that does not read what is not there; a file full of magics is read once. */
static void searches_are_linear(void **state)
{
	_cleanup_close_ int fd = memfd_create("test_fmt_reader", MFD_CLOEXEC);
	_cleanup_buf_ struct buf file = BUF_INIT, magics = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct given g;
	char path[64];

	(void)state;
	make_capture(&file);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(pwrite(fd, file.data, 2000, 0), 2000);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	read_wanted(r, &g);
	assert_true(g.events > 2);
	assert_true(fmt_reader_bytes_read(r) < 2 << 20);
	assert_int_equal(fmt_reader_health(r)->file_size, 1ULL << 40);
	fmt_reader_close(r);

	/* and the rest behind the hole, beyond what 32 bits count */
	assert_int_equal(pwrite(fd, file.data + 2000, file.len - 2000, (off_t)1 << 39), (ssize_t)file.len - 2000);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	read_wanted(r, &g);
	assert_true(g.events >= FLUSHES - 1);
	assert_int_equal(g.dictionaries, FLUSHES);
	assert_int_equal(g.footers, 1);
	assert_true(fmt_reader_bytes_read(r) < 2 << 20);
	fmt_reader_close(r);

	buf_put(&magics, file.data, FMT_HEADER_SIZE);
	while (magics.len < 8 << 20)
		buf_put(&magics, "ABLK", 4);
	assert_int_equal(raw_open(magics.data, magics.len, &r, NULL), 0);
	read_wanted(r, &g);
	assert_int_equal(fmt_reader_health(r)->bytes_skipped, magics.len - FMT_HEADER_SIZE);
	assert_true(fmt_reader_bytes_read(r) < magics.len + (1 << 20));
	fmt_reader_close(r);
}

/* A search reads a window at a time: a block that lies across the end of one is found. */
static void blocks_across_windows(void **state)
{
	const size_t window = 1 << 18; /* FMT_SOURCE_WINDOW */
	_cleanup_buf_ struct buf file = BUF_INIT, payload = BUF_INIT;
	struct raw_capture c;

	(void)state;
	raw_init(&c, 7);
	put_switch_ins(&payload, 10);
	raw_block(&c, &payload, 10, 1);
	raw_end(&c);
	for (size_t n = window - FMT_BLOCK_HEADER - 2; n < window + 6; n++) {
		struct raw_seen seen;

		buf_reset(&file);
		buf_put(&file, c.file.data, FMT_HEADER_SIZE);
		for (size_t i = 0; i < n; i++)
			buf_putc(&file, (u8)(i * 7));
		buf_put(&file, c.file.data + FMT_HEADER_SIZE, c.file.len - FMT_HEADER_SIZE);
		raw_read(file.data, file.len, &seen);
		assert_int_equal(seen.rows, 10);
		assert_int_equal(seen.n_blocks, 2);
		assert_int_equal(seen.damages[0].end, FMT_HEADER_SIZE + n);
	}
	raw_release(&c);
}

/* Headers that hold, each with a payload that is none and reaches over many of the next: the search within payloads has an end. */
static void headers_within_payloads(void **state)
{
	struct fmt_block_header h = {.type = FMT_BLOCK_DICTIONARY, .flags = FMT_FLAG_ZSTD, .rows = 1, .sections = 1};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct raw_capture c;
	struct given g;
	u8 bytes[FMT_BLOCK_HEADER];

	(void)state;
	raw_init(&c, 7);
	buf_put(&file, c.file.data, c.file.len);
	memcpy(&h.uuid_lo, c.uuid, 8);
	h.payload_size = 1 << 19;
	h.raw_size = 100;
	for (h.seq = 0; h.seq < 1 << 14; h.seq++) {
		fmt_block_header_encode(&h, bytes);
		buf_put(&file, bytes, sizeof(bytes));
	}
	for (u32 i = 0; i < 1 << 12; i++)
		buf_put(&file, bytes + 1, sizeof(bytes) - 1);
	assert_int_equal(buf_err(&file), 0);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	read_wanted(r, &g);
	assert_int_equal(g.dictionaries, 0);
	assert_true(fmt_reader_health(r)->blocks_damaged > 0);
	assert_true(fmt_reader_bytes_read(r) < 8 * file.len);
	fmt_reader_close(r);
	raw_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_of_other_versions),
		cmocka_unit_test(headers_that_do_not_hold),
		cmocka_unit_test(a_header_put_right),
		cmocka_unit_test(what_is_not_a_file),
		cmocka_unit_test(a_longer_header),
		cmocka_unit_test(blocks_of_other_versions),
		cmocka_unit_test(contents_and_header_disagree),
		cmocka_unit_test(a_block_that_asks_for_too_much),
		cmocka_unit_test(headers_over_a_limit),
		cmocka_unit_test(copies_of_nothing_before_them),
		cmocka_unit_test(copies_behind_torn_blocks),
		cmocka_unit_test(raw_sizes_that_lie),
		cmocka_unit_test(events_in_order_of_time),
		cmocka_unit_test(rewinding),
		cmocka_unit_test(what_is_wanted),
		cmocka_unit_test(wanted_and_damaged),
		cmocka_unit_test(the_footer),
		cmocka_unit_test(cut_while_it_is_read),
		cmocka_unit_test(searches_are_linear),
		cmocka_unit_test(blocks_across_windows),
		cmocka_unit_test(headers_within_payloads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
