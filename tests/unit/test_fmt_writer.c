/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_writer.c: the worked example of FORMAT.md byte for byte; when blocks and copies are written and what they say of
 * themselves; the footer; pipes; disks that are full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
#include "tests/unit/raw_capture.h"

static const u8 uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#define put(w, KIND, kind, ...) fmt_writer_row(w, FMT_##KIND, &(const struct fmt_##kind){__VA_ARGS__}, NULL, 0)

static int memory_file(void)
{
	int fd = memfd_create("test_fmt_writer", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void slurp(int fd, struct buf *ret)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, ret, (size_t)1 << 30), 0);
}

/* ---- FORMAT.md section 10 ---- */

/* The whole file as the document gives it, but for the footer's frame, and that frame's contents. */
struct example {
	struct buf file, footer;
	size_t frame_at;  /* where in `file` the frame is missing */
	size_t blanks[4]; /* places of <payload size> (4 bytes of 0) and the checksums (8) that depend on it */
	u32 n_blanks;
};

/* The bytes of one line of the example. The comment is behind three blanks. */
static void example_line(const char *line, struct buf *ret, struct example *e)
{
	while (*line == ' ')
		line++;
	while (*line && strncmp(line, "   ", 3) != 0) {
		unsigned byte;

		if (*line == ' ') {
			line++;
		} else if (*line == '<') {
			assert_true(e->n_blanks < ARRAY_SIZE(e->blanks));
			e->blanks[e->n_blanks++] = ret->len;
			buf_put(ret, "\0\0\0\0\0\0\0\0", strncmp(line, "<payload size>", 14) ? 8 : 4);
			line = strchr(line, '>');
			assert_non_null(line);
			line++;
		} else {
			assert_int_equal(sscanf(line, "%2x", &byte), 1);
			buf_putc(ret, (u8)byte);
			line += 2;
		}
	}
}

static void read_example(struct example *e)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct buf *to = &e->file;
	bool in_example = false;
	char *line, *next;

	if (file_read_all("format/FORMAT.md", &text, 1 << 20) < 0)
		skip(); /* run from elsewhere than the root of the tree */
	for (line = (char *)text.data; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (!strncmp(line, "## ", 3))
			in_example = !strncmp(line, "## 10", 5);
		if (!in_example)
			continue;
		if (!strncmp(line, "Its payload, decompressed", 25)) {
			e->frame_at = e->file.len;
			to = &e->footer;
		} else if (!strncmp(line, "Trailer:", 8)) {
			to = &e->file;
		}
		if (!strncmp(line, "    ", 4))
			example_line(line, to, e);
	}
	assert_int_equal(buf_err(&e->file) | buf_err(&e->footer), 0);
	assert_int_equal(e->n_blanks, 3);
}

static void the_example_of_the_specification(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_close_ int fd = memory_file();
	struct example e = {.frame_at = 0};
	struct fmt_writer *w = NULL;
	u8 raw[256], *header;
	u64 sum;
	u32 size;

	(void)state;
	read_example(&e);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = 1}, "hi", 2), 0);
	assert_int_equal(put(w, CLOCK, clock, .ts = 5, .boottime = 6, .realtime = 7), 0);
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	slurp(fd, &file);
	assert_true(file.len > e.file.len && e.frame_at > FMT_BLOCK_HEADER);
	size = (u32)(file.len - e.file.len);

	/* what depends on the footer's frame, recomputed here */
	header = e.file.data + e.frame_at - FMT_BLOCK_HEADER;
	memcpy(e.file.data + e.blanks[0], &size, 4);
	sum = XXH3_64bits(file.data + e.frame_at, size);
	memcpy(e.file.data + e.blanks[1], &sum, 8);
	sum = XXH3_64bits(header, FMT_BLOCK_HEADER - 8);
	memcpy(e.file.data + e.blanks[2], &sum, 8);
	assert_memory_equal(file.data, e.file.data, e.frame_at);
	assert_memory_equal(file.data + e.frame_at + size, e.file.data + e.frame_at, e.file.len - e.frame_at);
	assert_int_equal(ZSTD_decompress(raw, sizeof(raw), file.data + e.frame_at, size), e.footer.len);
	assert_memory_equal(raw, e.footer.data, e.footer.len);
	buf_release(&e.file);
	buf_release(&e.footer);
}

/* ---- blocks ---- */

static void blocks_gather_and_flush(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_close_ int fd = memory_file();
	static const char text[FMT_MAX_STRING];
	struct fmt_writer *w = NULL;
	struct raw_seen seen;
	u64 data_rows;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	assert_int_equal(fmt_writer_flush(w), 0); /* nothing to do */
	for (u64 i = 0; i < 70000; i++)
		assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 1000 + i, .thread = i % 7), 0);
	assert_int_equal(fmt_writer_stats(w)->blocks, 2); /* of 32,768 rows each, written on their own */
	assert_int_equal(fmt_writer_stats(w)->rows, 2 * 32768);
	for (u64 i = 0; i < 300; i++)
		assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = i + 1}, text, sizeof(text)), 0);
	assert_int_equal(fmt_writer_stats(w)->blocks, 4); /* of 1 MiB of strings, and what events there were */
	assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = 301}, text, sizeof(text) + 1), -EFBIG);
	assert_int_equal(fmt_writer_row(w, FMT_STACK, &(struct fmt_stack){.idx = 1}, text, FMT_MAX_FRAMES + 1), -EFBIG);
	assert_int_equal(put(w, TOTAL, total, .key = 1, .value = 2), 0); /* a refused row stops nothing */
	assert_int_equal(fmt_writer_finish(w), 0);
	data_rows = fmt_writer_stats(w)->rows;
	slurp(fd, &file);
	assert_int_equal(fmt_writer_stats(w)->bytes, file.len);
	fmt_writer_free(w);
	assert_int_equal(data_rows, 70000 + 300 + 1);
	raw_read(file.data, file.len, &seen);
	assert_int_equal(seen.n_blocks, 6);
	assert_int_equal(seen.health.copies, 2);
	assert_int_equal(seen.rows, data_rows);
	assert_true(seen.health.closed_cleanly);
	assert_string_equal(seen.health.first_damage.what, "");
	assert_int_equal(seen.health.ts_last, 70999);
}

static void next_block(struct fmt_reader *r, struct fmt_block *ret)
{
	assert_int_equal(fmt_reader_next(r, ret), 1);
}

/* Rows come out by kind id, whatever order they went in; the header has the range of times; the footer lists the blocks. */
static void what_a_block_says_of_itself(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_close_ int fd = memory_file();
	struct fmt_writer *w = NULL;
	struct fmt_reader *r = NULL;
	const struct fmt_want all = {.dictionaries = true, .events = true, .copies = true};
	struct fmt_index index[5], expected[5] = {{.copy_of = 0}};
	struct fmt_block b;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	assert_int_equal(put(w, GAP, gap, .ts = 90, .ts_end = 95), 0);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 80), 0);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 0), 0); /* 0 is a time like another */
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 70), 0);
	assert_int_equal(put(w, THREAD, thread, .idx = 1, .start = 1000), 0); /* not an event: its time does not count */
	assert_int_equal(fmt_writer_flush(w), 0);
	assert_int_equal(put(w, META, meta, .key = 1), 0);
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	slurp(fd, &file);

	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	assert_memory_equal(fmt_reader_info(r)->uuid, uuid, 16);
	fmt_reader_want(r, &all);
	for (u32 i = 0; i < 5; i++) {
		static const u8 types[] = {FMT_BLOCK_DICTIONARY, FMT_BLOCK_EVENTS, FMT_BLOCK_DICTIONARY, FMT_BLOCK_COPY,
					   FMT_BLOCK_COPY};
		static const u8 rows[] = {1, 4, 1, 1, 1}, sections[] = {1, 2, 1, 1, 1};

		next_block(r, &b);
		assert_int_equal(b.type, types[i]);
		assert_int_equal(b.seq, i);
		assert_int_equal(b.rows, rows[i]);
		assert_int_equal(b.n_sections, sections[i]);
		assert_int_equal(b.sections[0].kind_id, i % 3 == 0 ? FMT_THREAD : i == 1 ? FMT_SWITCH_IN : FMT_META);
		assert_int_equal(b.ts_first, 0);
		assert_int_equal(b.ts_last, i == 1 ? 90 : 0);
		assert_int_equal(b.copy_of, i == 4 ? 2 : 0);
		assert_false(b.recovered);
		if (i == 1)
			assert_int_equal(b.sections[1].kind_id, FMT_GAP);
		expected[i] = (struct fmt_index){
			.offset = b.offset, .type = b.type, .seq = i, .ts_last = b.ts_last, .rows = b.rows, .copy_of = b.copy_of};
	}
	next_block(r, &b);
	assert_int_equal(b.type, FMT_BLOCK_FOOTER);
	assert_int_equal(b.sections[0].rows, 5);
	for (u32 i = 0; i < 5; i++)
		fmt_section_row(&b.sections[0], i, &index[i]);
	assert_memory_equal(index, expected, sizeof(index));
	assert_int_equal(b.sections[1].kind_id, FMT_KIND_TOTAL);
	assert_int_equal(b.sections[1].rows, 4);
	assert_int_equal(fmt_reader_next(r, &b), 0);
	assert_true(fmt_reader_health(r)->closed_cleanly);
	fmt_reader_close(r);
}

static void nothing_recorded(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	_cleanup_close_ int fd = memory_file();
	struct fmt_writer *w = NULL;
	struct raw_seen seen;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 19, &w), 0);
	assert_int_equal(fmt_writer_finish(w), 0);
	assert_null(fmt_writer_free(w));
	assert_null(fmt_writer_free(NULL));
	slurp(fd, &file);
	raw_read(file.data, file.len, &seen);
	assert_int_equal(seen.n_blocks, 1);
	assert_true(seen.health.closed_cleanly);
}

/* ---- copies, totals, sizes ---- */

/* Types of all blocks in the file, one letter each: Dictionary, Events, Copy, Footer. */
static void types_of(int fd, char *ret, size_t n)
{
	static const struct fmt_want all = {.dictionaries = true, .events = true, .copies = true};
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_reader *r = NULL;
	struct fmt_block b;
	size_t at = 0;
	off_t end = lseek(fd, 0, SEEK_CUR);

	slurp(fd, &file);
	assert_int_equal(lseek(fd, end, SEEK_SET), end);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	fmt_reader_want(r, &all);
	while (fmt_reader_next(r, &b) == 1 && at + 1 < n)
		ret[at++] = "?EFDC"[b.type];
	ret[at] = 0;
	fmt_reader_close(r);
}

static void expect_types(int fd, const char *types)
{
	char found[64];

	types_of(fd, found, sizeof(found));
	assert_string_equal(found, types);
}

static void put_string(struct fmt_writer *w, u64 idx, size_t n)
{
	_cleanup_free_ u8 *text = malloc(n + 1);
	u64 rnd = idx;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = (u8)raw_random(&rnd);
	assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = idx}, text, n), 0);
}

static void when_copies_are_written(void **state)
{
	_cleanup_close_ int fd = memory_file();
	struct fmt_writer *w = NULL;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	put_string(w, 1, 10);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 1), 0);
	assert_int_equal(fmt_writer_flush(w), 0);
	put_string(w, 2, 10);
	assert_int_equal(fmt_writer_flush(w), 0);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 2), 0);
	assert_int_equal(fmt_writer_flush(w), 0);
	expect_types(fd, "DEDE"); /* young and few: they wait */
	fmt_writer_copy_after(w, UINT64_MAX, 2 * 80 + 2 * 20);
	assert_int_equal(fmt_writer_flush(w), 0); /* many, now */
	expect_types(fd, "DEDECC");
	put_string(w, 3, 10);
	assert_int_equal(fmt_writer_flush(w), 0);
	expect_types(fd, "DEDECCD");
	fmt_writer_copy_after(w, 20 * NSEC_PER_MSEC, 1 << 20);
	assert_int_equal(usleep(21000), 0);
	assert_int_equal(fmt_writer_flush(w), 0); /* old, though nothing else is to be written */
	expect_types(fd, "DEDECCDC");
	assert_int_equal(fmt_writer_flush(w), 0);
	fmt_writer_copy_after(w, 0, 1 << 20);
	put_string(w, 4, 10);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 3), 0);
	assert_int_equal(fmt_writer_sync(w), 0);
	expect_types(fd, "DEDECCDCDEC");
	fmt_writer_copy_after(w, UINT64_MAX, SIZE_MAX);
	put_string(w, 5, 10);
	assert_int_equal(fmt_writer_flush(w), 0);
	put_string(w, 6, 10);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 3), 0);
	assert_int_equal(fmt_writer_finish(w), 0);
	expect_types(fd, "DEDECCDCDECDDECCF");
	fmt_writer_free(w);
}

/* At first: 1 MiB. What waits for its copy is not much more than that, whatever is written. */
static void copies_of_much(void **state)
{
	_cleanup_close_ int fd = memory_file();
	struct fmt_writer *w = NULL;
	u64 most = 0;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u64 i = 0; i < 3000; i++) {
		put_string(w, i + 1, 4096);
		if (i % 50 == 49)
			assert_int_equal(fmt_writer_flush(w), 0);
		if (i % 50 == 49)
			most = max_u64(most, fmt_writer_closing_size(w));
	}
	assert_true(most > 700 << 10 && most < 1400 << 10);
	assert_int_equal(fmt_writer_finish(w), 0);
	assert_true(fmt_writer_stats(w)->bytes > 2 * 3000 * 4096);
	fmt_writer_free(w);
}

/* Rows of all sorts. `wild`: any values, else such as a recorder has. */
static void put_some(struct fmt_writer *w, u64 *rnd, u32 n, bool wild)
{
	u64 row[FMT_MAX_COLUMNS], list[64];
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);

	for (u32 i = 0; i < n; i++) {
		const struct fmt_kind *k = &kinds[raw_random(rnd) % n_kinds];
		u64 len = k->payload == FMT_PAYLOAD_NONE ? 0 : raw_random(rnd) % ARRAY_SIZE(list);

		if (k->id >= FMT_INDEX)
			continue;
		for (u32 c = 0; c < k->n_cols; c++)
			row[c] = wild ? raw_random(rnd) >> (raw_random(rnd) % 64) : c ? raw_random(rnd) % 50 : 1000000ULL * i;
		for (u32 c = 0; c < len; c++)
			list[c] = wild ? raw_random(rnd) : 0x55550000 + raw_random(rnd) % 9999;
		assert_int_equal(fmt_writer_row(w, k->id, row, list, len), 0);
	}
}

/* What is still to be written is never more than was said, and not far below when no rows wait. */
static void the_size_of_the_end(void **state)
{
	u64 rnd = 11;

	(void)state;
	for (u32 i = 0; i < 60; i++) {
		_cleanup_close_ int fd = memory_file();
		struct fmt_writer *w = NULL;
		u64 before, said, flushed;

		assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
		for (u32 k = 0; k < i % 7; k++) {
			put_some(w, &rnd, 3 + i * 20, i & 1);
			assert_int_equal(fmt_writer_flush(w), 0);
		}
		if (i & 2)
			put_some(w, &rnd, 1 + i * i, i & 1);
		before = fmt_writer_stats(w)->bytes;
		said = fmt_writer_closing_size(w);
		assert_int_equal(fmt_writer_flush(w), 0);
		flushed = fmt_writer_stats(w)->bytes;
		assert_true(flushed + fmt_writer_closing_size(w) <= before + said);
		said = fmt_writer_closing_size(w);
		assert_int_equal(fmt_writer_finish(w), 0);
		assert_true(fmt_writer_stats(w)->bytes - flushed <= said);
		assert_true(fmt_writer_stats(w)->bytes - flushed + 5000 >= said);
		assert_int_equal(fmt_writer_closing_size(w), 0);
		fmt_writer_free(w);
	}
}

/* The footer's totals are what a reader counts that reads it all. */
static void totals_by_kind(void **state)
{
	_cleanup_close_ int fd = memory_file();
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_kind_total totals[64] = {{.rows = 0}}, row;
	struct fmt_writer *w = NULL;
	struct fmt_reader *r = NULL;
	u64 rnd = 5, stored = 0, told = 0;
	struct fmt_block b;
	u32 kinds = 0;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	fmt_writer_copy_after(w, 0, 1);
	for (u32 i = 0; i < 9; i++) {
		put_some(w, &rnd, 300, false);
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	slurp(fd, &file);
	assert_int_equal(raw_open(file.data, file.len, &r, NULL), 0);
	for (;;) {
		u64 encoded = 0;

		assert_int_equal(fmt_reader_next(r, &b), 1);
		if (b.type == FMT_BLOCK_FOOTER)
			break;
		stored += b.stored_size;
		for (u32 i = 0; i < b.n_sections; i++) {
			const struct fmt_section *s = &b.sections[i];

			totals[s->kind_id].rows += s->rows;
			totals[s->kind_id].encoded += s->encoded_size;
			encoded += s->encoded_size;
		}
		assert_int_equal(encoded, b.raw_size);
	}
	assert_int_equal(b.sections[1].kind_id, FMT_KIND_TOTAL);
	for (u32 i = 0; i < b.sections[1].rows; i++) {
		fmt_section_row(&b.sections[1], i, &row);
		assert_int_equal(row.rows, totals[row.kind].rows);
		assert_int_equal(row.encoded, totals[row.kind].encoded);
		told += row.stored;
	}
	for (u32 i = 0; i < ARRAY_SIZE(totals); i++)
		kinds += totals[i].rows != 0;
	assert_int_equal(b.sections[1].rows, kinds);
	assert_true(kinds > 20 && told <= stored + kinds && told + kinds + 1 >= stored);
	fmt_reader_close(r);
}

/* More blocks than an index holds: it has the first of them, and the file is whole. */
static void more_blocks_than_an_index_holds(void **state)
{
	_cleanup_close_ int fd = memory_file();
	struct fmt_writer *w = NULL;
	struct fmt_reader *r = NULL;
	struct fmt_index row;
	struct fmt_block b;
	char path[64];
	u64 n = 0;

	(void)state;
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u64 i = 0; i < FMT_MAX_ROWS + 3; i++) {
		assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = i + 1), 0);
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	assert_int_equal(fmt_writer_stats(w)->blocks, FMT_MAX_ROWS + 3);
	fmt_writer_free(w);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	assert_int_equal(fmt_reader_footer(r, &b), 1);
	assert_int_equal(b.seq, FMT_MAX_ROWS + 3);
	assert_int_equal(b.sections[0].rows, FMT_MAX_ROWS);
	fmt_section_row(&b.sections[0], FMT_MAX_ROWS - 1, &row);
	assert_int_equal(row.seq, FMT_MAX_ROWS - 1);
	fmt_section_row(&b.sections[1], 0, &row);
	while (fmt_reader_next(r, &b) == 1)
		n += b.type == FMT_BLOCK_EVENTS ? b.rows : 0;
	assert_int_equal(n, FMT_MAX_ROWS + 3);
	assert_true(fmt_reader_health(r)->closed_cleanly);
	fmt_reader_close(r);
}

/* ---- where bytes cannot go ---- */

static void into_a_pipe(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_writer *w = NULL;
	struct raw_seen seen;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fmt_writer_new(ends[1], uuid, 1, &w), 0);
	for (u64 i = 0; i < 100; i++) {
		assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = i + 1), 0);
		if (i % 40 == 0)
			assert_int_equal(fmt_writer_sync(w), 0); /* a pipe cannot be synced, and that is no error */
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(fd_read_all(ends[0], &file, 1 << 20), 0);
	assert_int_equal(close(ends[0]), 0);
	raw_read(file.data, file.len, &seen);
	assert_int_equal(seen.rows, 100);
	assert_true(seen.health.closed_cleanly);
}

static void a_pipe_whose_reader_left(void **state)
{
	struct fmt_writer *w = NULL;
	int ends[2];

	(void)state;
	assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fmt_writer_new(ends[1], uuid, 1, &w), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 1), 0);
	assert_int_equal(fmt_writer_flush(w), -EPIPE);
	assert_int_equal(fmt_writer_flush(w), -EPIPE);
	assert_int_equal(fmt_writer_finish(w), -EPIPE);
	fmt_writer_free(w);
	assert_int_equal(close(ends[1]), 0);
}

static void a_device_that_is_full(void **state)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int closed = memory_file();
	struct fmt_writer *w = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), -ENOSPC); /* the header */
	assert_null(w);
	assert_int_equal(fmt_writer_new(-1, uuid, 1, &w), -EBADF);
	/* the header fits, the device fills later */
	assert_int_equal(fmt_writer_new(closed, uuid, 1, &w), 0);
	assert_int_equal(dup3(fd, closed, O_CLOEXEC), closed);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 1), 0);
	assert_true(fmt_writer_flush(w) < 0);
	assert_int_equal(fmt_writer_flush(w), -ENOSPC);
	assert_int_equal(put(w, SWITCH_IN, switch_in, .ts = 1), -ENOSPC);
	fmt_writer_free(w);
}

/* Bytes that do not compress, so that blocks are as large as they look. */
static int put_noise(struct fmt_writer *w, u64 *rnd, u32 n)
{
	int err = 0;

	for (u32 i = 0; i < n && !err; i++)
		err = put(w, SWITCH_IN, switch_in, .ts = raw_random(rnd), .thread = raw_random(rnd), .cpu = raw_random(rnd));
	return err;
}

/* The file may not grow beyond `limit` bytes: what is in it must be whole blocks, all of them readable. */
static void with_a_limit(u64 limit)
{
	char path[] = "/tmp/ascope-test-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct fmt_writer *w = NULL;
	struct rlimit old, low;
	struct raw_seen seen;
	u64 rnd = 3, bytes;
	int err = 0, again;

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = (struct rlimit){.rlim_cur = limit, .rlim_max = old.rlim_max};
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	for (u32 i = 0; i < 40 && !err; i++) {
		err = put_noise(w, &rnd, 20);
		err = err ? err : fmt_writer_flush(w);
	}
	again = put_noise(w, &rnd, 1);
	bytes = fmt_writer_stats(w)->bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, -EFBIG);
	assert_int_equal(again, -EFBIG);
	assert_int_equal(fmt_writer_finish(w), -EFBIG); /* there would be room again: still nothing is written */
	slurp(fd, &file);
	assert_int_equal(file.len, bytes);
	assert_true(bytes <= limit && bytes + 1000 > limit);
	raw_read(file.data, file.len, &seen);
	assert_int_equal(seen.n_blocks, fmt_writer_stats(w)->blocks);
	assert_int_equal(seen.rows, fmt_writer_stats(w)->rows);
	assert_int_equal(seen.health.blocks_damaged | seen.health.bytes_skipped, 0); /* the torn block is cut off */
	assert_false(seen.health.closed_cleanly);
	fmt_writer_free(w);
}

static void a_file_that_may_not_grow(void **state)
{
	(void)state;
	assert_ptr_not_equal(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	for (u64 limit = 4000; limit < 4700; limit += 37)
		with_a_limit(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_specification),
		cmocka_unit_test(blocks_gather_and_flush),
		cmocka_unit_test(what_a_block_says_of_itself),
		cmocka_unit_test(nothing_recorded),
		cmocka_unit_test(when_copies_are_written),
		cmocka_unit_test(copies_of_much),
		cmocka_unit_test(the_size_of_the_end),
		cmocka_unit_test(totals_by_kind),
		cmocka_unit_test(more_blocks_than_an_index_holds),
		cmocka_unit_test(into_a_pipe),
		cmocka_unit_test(a_pipe_whose_reader_left),
		cmocka_unit_test(a_device_that_is_full),
		cmocka_unit_test(a_file_that_may_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
