/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_check_cmd.c: `ascope check` on captures of known contents: each damage is named with its place, its time and what it means;
 * and for every damage of a long list: what --repair writes is sound and holds exactly the rows that were intact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/fdio.h"
#include "format/fmt_writer.h"
#include "report/check.h"
#include "report/cmds.h"
#include "report/repair.h"
#include "tests/unit/raw_capture.h"
#include "tests/unit/sample_capture.h"

#define has(buf_, text)	  expect_text(&(buf_), text, __LINE__)
#define lacks(buf_, text) assert_null(strstr((const char *)(buf_).data, text))

static void expect_text(const struct buf *b, const char *text, int line)
{
	if (!strstr((const char *)b->data, text)) {
		print_error("line %d: this is missing:\n%s\nin:\n%s\n", line, text, (const char *)b->data);
		fail();
	}
}

static void check(struct ran *r, const char *path, const char *option)
{
	const char *argv[] = {"check", path, option, NULL};

	run_command(r, check_cmd, argv);
}

/* ---- what is said ---- */

static void a_sound_capture(void **state)
{
	const struct sample_recipe recipe = {.samples = false, .lost = 7, .throttle = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	check(&r, s.path, NULL);
	assert_int_equal(r.exit_code, 0);
	assert_int_equal(r.err.len, 0);
	has(r.out, "\nsound: ");
	lacks(r.out, "DAMAGE");
	lacks(r.out, "\033");
	ran_release(&r);
	check(&r, s.path, "--json");
	has(r.out, "{\n  \"schema_version\": 1,\n");
	has(r.out, "  \"sound\": true,\n");
	has(r.out, "  \"damage\": [],\n");
	has(r.out, "  \"contradictions\": [],\n");
	has(r.out, "  \"repair\": null\n}\n");
	ran_release(&r);
	check(&r, s.path, "--repair=/nonexistent/x"); /* nothing to repair: nothing is written */
	assert_int_equal(r.exit_code, 0);
	has(r.err, "is sound: there is nothing to repair, and /nonexistent/x was not written");
	ran_release(&r);
	sample_release(&s);
}

/* The offset of the block with this type, the n-th from 0. */
static struct fmt_block block_at(const char *path, u32 type, u32 n)
{
	const struct fmt_want all = {.dictionaries = true, .events = true, .copies = true};
	struct fmt_reader *r = NULL;
	struct fmt_block b;

	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	fmt_reader_want(r, &all);
	for (;;) {
		assert_int_equal(fmt_reader_next(r, &b), 1);
		if (b.type == type && !n--)
			break;
	}
	fmt_reader_close(r);
	return b;
}

static void a_damaged_payload(void **state)
{
	const struct sample_recipe recipe = {0};
	struct sample s;
	struct fmt_block b;
	struct ran r;
	char text[160];

	(void)state;
	sample_make(&s, &recipe);
	b = block_at(s.path, FMT_BLOCK_EVENTS, 0);
	sample_flip(&s, b.offset + FMT_BLOCK_HEADER + 7);
	check(&r, s.path, NULL);
	assert_int_equal(r.exit_code, 3);
	(void)snprintf(text, sizeof(text), "  offset %u, ", (u32)b.offset);
	has(r.out, text);
	(void)snprintf(text, sizeof(text), ", block %u (events): payload checksum\n    1,001 records of +0.000 s to +0.499 s\n",
		       (u32)b.seq);
	has(r.out, text);
	has(r.out,
	    "blocks is damaged or missing: events between +0.000 s and +0.499 s are missing (1,001 records)\nno name is lost\n"
	    "`ascope check --repair OUT /tmp/ascope-sample-");
	ran_release(&r);
	check(&r, s.path, "--json");
	(void)snprintf(text, sizeof(text), "      \"offset\": %u,\n      \"bytes\": %u,\n      \"block\": %u,\n", (u32)b.offset,
		       b.stored_size, (u32)b.seq);
	has(r.out, text);
	has(r.out,
	    "      \"type\": \"events\",\n      \"what\": \"payload checksum\",\n      \"ts_first\": 5000000000,\n      \"ts_last\": 5499500000,\n"
	    "      \"records\": 1001,\n      \"recovered\": false\n");
	ran_release(&r);
	sample_release(&s);
}

/* The header is gone: what was in the block is told by the footer. */
static void a_damaged_header(void **state)
{
	const struct sample_recipe recipe = {0};
	struct sample s;
	struct fmt_block b;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	b = block_at(s.path, FMT_BLOCK_EVENTS, 1);
	sample_flip(&s, b.offset + 9);
	check(&r, s.path, NULL);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "events between +0.500 s and +0.999 s are missing (1,000 records)\nno name is lost");
	ran_release(&r);
	sample_release(&s);
}

/* Names are in the file twice: either may go. */
static void damaged_names(void **state)
{
	static const u32 types[] = {FMT_BLOCK_DICTIONARY, FMT_BLOCK_COPY};
	const struct sample_recipe recipe = {0};
	struct sample s;
	struct ran r;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		sample_make(&s, &recipe);
		sample_flip(&s, block_at(s.path, types[i], 0).offset + FMT_BLOCK_HEADER + 3);
		check(&r, s.path, NULL);
		assert_int_equal(r.exit_code, 3);
		has(r.out, "no event is lost\nno name is lost");
		if (i == 0)
			has(r.out, "recovered from its copy: no name is lost");
		lacks(r.out, "CONTRADICTIONS");
		ran_release(&r);
		sample_release(&s);
	}
	sample_make(&s, &recipe);
	for (u32 i = 0; i < ARRAY_SIZE(types); i++)
		sample_flip(&s, block_at(s.path, types[i], 0).offset + FMT_BLOCK_HEADER + 3 + i * 0);
	check(&r, s.path, NULL);
	has(r.out, "no event is lost\nthe names of 1 block are lost");
	ran_release(&r);
	sample_release(&s);
}

static void not_closed(void **state)
{
	const struct sample_recipe recipe = {.no_close = true};
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	check(&r, s.path, NULL);
	assert_int_equal(r.exit_code, 3);
	has(r.out,
	    "the file was not closed: no event is lost, what came after +0.999 s, if anything, is not there\nno name is lost");
	ran_release(&r);
	sample_release(&s);
}

/* Every byte holds, but a record names what is not there. */
static void references(void **state)
{
	const struct sample_recipe recipe = {.samples = true}; /* one names stack 99 */
	struct sample s;
	struct ran r;

	(void)state;
	sample_make(&s, &recipe);
	check(&r, s.path, NULL);
	assert_int_equal(r.exit_code, 3);
	has(r.out,
	    "every block is intact, but not all they say can be true: no event is lost\nno name is lost\n1 contradiction\na repair cannot mend");
	has(r.out, "1 stack that records name is in no block (first: stack 99, in column ustack of sample, block ");
	ran_release(&r);
	sample_release(&s);
}

/* A footer that a stranger wrote: it and the trailer hold byte by byte, and say what is not so. */
static void a_footer_that_lies(void **state)
{
	struct fmt_block_header h = {
		.type = FMT_BLOCK_EVENTS, .flags = FMT_FLAG_ZSTD, .rows = 1, .sections = 1, .ts_first = 9, .ts_last = 9};
	const struct raw_column cols[] = {{1, FMT_ENC_CONST, "\x09", 1}}, clock[] = {{1, FMT_ENC_CONST, "\x08", 1}},
				index[] = {{1, FMT_ENC_CONST, "\x40", 1},
					   {2, FMT_ENC_CONST, "\x01", 1},
					   {6, FMT_ENC_CONST, "\x02", 1}},
				total[] = {{1, FMT_ENC_CONST, "\x21", 1}, {2, FMT_ENC_CONST, "\x07", 1}};
	_cleanup_buf_ struct buf payload = BUF_INIT;
	struct fmt_trailer t = {.blocks = 5};
	char path[] = "/tmp/ascope-check-XXXXXX";
	u8 bytes[FMT_TRAILER_SIZE];
	struct raw_capture c;
	int fd = mkstemp(path);
	struct ran r;

	(void)state;
	assert_true(fd >= 0);
	raw_init(&c, 7);
	raw_section(&payload, FMT_SWITCH_IN, 1, cols, 1);
	raw_block_as(&c, &h, &payload);
	buf_reset(&payload);
	raw_section(&payload, FMT_CLOCK, 1, clock, 1); /* the header says 9 */
	h.seq = 1;
	raw_block_as(&c, &h, &payload);
	buf_reset(&payload);
	t.footer_off = c.file.len;
	raw_section(&payload, FMT_INDEX, 1, index, 3);
	raw_section(&payload, FMT_KIND_TOTAL, 1, total, 2);
	h = (struct fmt_block_header){.type = FMT_BLOCK_FOOTER, .flags = FMT_FLAG_ZSTD, .seq = 2, .rows = 2, .sections = 2};
	raw_block_as(&c, &h, &payload);
	fmt_trailer_encode(&t, bytes);
	buf_put(&c.file, bytes, sizeof(bytes));
	assert_int_equal(fd_write_full(fd, c.file.data, c.file.len), 0);
	check(&r, path, NULL);
	assert_int_equal(r.exit_code, 3);
	has(r.out, "the header of block 1 says other times than its events do");
	has(r.out, "the footer says records 2 of block 0, the block 1");
	has(r.out, "the footer says first time 0 of block 0, the block 9");
	has(r.out, "the footer says 7 records of kind switch_in, the blocks hold 1");
	has(r.out, "the trailer says 5 blocks, the footer's number 2");
	lacks(r.out, "DAMAGE");
	ran_release(&r);
	raw_release(&c);
	(void)close(fd);
	(void)unlink(path);
}

static void usage(void **state)
{
	static const struct {
		const char *argv[5];
		int code;
		const char *message;
	} cases[] = {
		{{"check", NULL}, 2, "which capture? ascope check FILE"},
		{{"check", "a", "b", NULL}, 2, "one capture at a time"},
		{{"check", "--force", "a", NULL}, 2, "--force belongs to --repair"},
		{{"check", "/nonexistent", NULL}, 1, "/nonexistent: there is no such file"},
		{{"check", "/proc/self/exe", NULL}, 1, "cannot be read as a capture"},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ran r;

		run_command(&r, check_cmd, cases[i].argv);
		assert_int_equal(r.exit_code, cases[i].code);
		assert_int_equal(r.out.len, 0);
		has(r.err, cases[i].message);
		ran_release(&r);
	}
}

/* ---- repair ---- */

static void where_to_repair_to(void **state)
{
	const struct sample_recipe recipe = {.no_close = true};
	struct sample s;
	struct stat st;
	struct ran r;
	char out[128], link[128];
	u64 size;

	(void)state;
	sample_make(&s, &recipe);
	size = sample_size(&s);
	(void)snprintf(out, sizeof(out), "%s/out", s.dir);
	(void)snprintf(link, sizeof(link), "%s/link", s.dir);
	run_command(&r, check_cmd, (const char *[]){"check", "--repair", s.path, s.path, NULL});
	assert_int_equal(r.exit_code, 1);
	has(r.err, "exists; choose another name");
	ran_release(&r);
	run_command(&r, check_cmd, (const char *[]){"check", "--force", "--repair", s.path, s.path, NULL});
	assert_int_equal(r.exit_code, 1);
	has(r.err, "itself: the damaged file is never changed");
	assert_int_equal(sample_size(&s), size);
	ran_release(&r);
	assert_int_equal(symlink(out, link), 0);
	run_command(&r, check_cmd, (const char *[]){"check", "--repair", link, "--force", s.path, NULL});
	assert_int_equal(r.exit_code, 1);
	has(r.err, "is a symbolic link");
	ran_release(&r);
	run_command(&r, check_cmd, (const char *[]){"check", "--repair", out, s.path, NULL});
	assert_int_equal(r.exit_code, 3);
	has(r.err, "its verdict says what was lost");
	ran_release(&r);
	assert_int_equal(stat(out, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	run_command(&r, check_cmd, (const char *[]){"check", "--repair", out, s.path, NULL});
	assert_int_equal(r.exit_code, 1);
	ran_release(&r);
	run_command(&r, check_cmd, (const char *[]){"check", "--repair", out, "--force", s.path, NULL});
	assert_int_equal(r.exit_code, 3);
	ran_release(&r);
	check(&r, out, NULL);
	assert_int_equal(r.exit_code, 0);
	has(r.out, "note: this capture was repaired: 0 of 4 blocks lost, and it had not been closed");
	ran_release(&r);
	run_command(&r, info_cmd, (const char *[]){"info", out, NULL});
	assert_int_equal(r.exit_code, 3);
	has(r.out, "verdict     PARTIAL\n              before it was repaired, it was not closed");
	ran_release(&r);
	(void)unlink(link);
	(void)unlink(out);
	sample_release(&s);
}

enum { BLOCKS = 40 };

/* All that a file holds, block by block, without the numbers that a repair makes anew. */
struct contents {
	u64 digest[BLOCKS];
	u32 n;
	u64 rows;
};

static u64 digest_of(const struct fmt_block *b)
{
	u64 h = b->type;

	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *s = &b->sections[i];

		for (u32 c = 0; s->kind && c < s->kind->n_cols; c++)
			h = XXH3_64bits_withSeed(s->cols[c], s->rows * sizeof(u64), h + s->kind_id);
		if (s->bytes)
			h = XXH3_64bits_withSeed(s->bytes, s->payload_off[s->rows], h);
		if (s->list)
			h = XXH3_64bits_withSeed(s->list, s->payload_off[s->rows] * sizeof(u64), h);
	}
	return h;
}

/* What a repair adds: gaps without a cause, and the block of its totals. */
static bool is_added(const struct fmt_block *b)
{
	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *s = &b->sections[i];

		if (s->kind_id == FMT_GAP && !s->cols[2][0])
			return true;
		if (s->kind_id == FMT_STRING && s->payload_off[1] >= 9 && !memcmp(s->bytes, "repaired.", 9))
			return true;
	}
	return false;
}

static void read_contents(const char *path, struct contents *ret)
{
	struct fmt_reader *r = NULL;
	struct fmt_block b;

	*ret = (struct contents){0};
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	while (fmt_reader_next(r, &b) == 1) {
		if (b.type == FMT_BLOCK_FOOTER || is_added(&b))
			continue;
		assert_true(ret->n < BLOCKS);
		ret->digest[ret->n++] = digest_of(&b);
		ret->rows += b.rows;
	}
	fmt_reader_close(r);
}

static void write_file(const char *path, const void *p, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, p, n), 0);
}

static void run_check(const char *path, struct check *c)
{
	struct fmt_reader *r = NULL;

	memset(c, 0, sizeof(*c));
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	assert_int_equal(check_run(c, r, NULL, NULL, NULL), 0);
	fmt_reader_close(r);
}

struct bench {
	char dir[64], damaged[96], repaired[96];
	struct buf whole;
	struct check *c;
};

/* The file in b->damaged: repaired it is sound and holds what was intact, no more and no less. */
static void expect_repaired(struct bench *b)
{
	struct repair_result done = {0};
	struct contents before, after;
	u64 lost;

	run_check(b->damaged, b->c);
	if (check_is_sound(b->c)) {
		check_release(b->c);
		return;
	}
	lost = b->c->blocks_lost;
	assert_int_equal(repair_file(b->damaged, b->c, b->repaired, true, &done), 0);
	check_release(b->c);
	read_contents(b->damaged, &before);
	read_contents(b->repaired, &after);
	assert_int_equal(after.n, before.n);
	assert_memory_equal(after.digest, before.digest, sizeof(after.digest));
	assert_int_equal(after.rows, before.rows);
	run_check(b->repaired, b->c);
	for (u32 i = 0; i < b->c->n_faults; i++)
		print_error("%s\n", b->c->faults[i].what);
	assert_true(check_is_sound(b->c));
	assert_int_equal(b->c->repaired.blocks_lost, lost);
	assert_true(repair_facts_any(&b->c->repaired));
	check_release(b->c);
}

/* Ten rounds of names and events, of which each round's events name its own names. */
static void make_rounds(struct bench *b)
{
	static const u8 uuid[16] = {3, 1, 4};
	_cleanup_close_ int fd = open(b->damaged, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct fmt_writer *w = NULL;

	assert_true(fd >= 0);
	assert_int_equal(fmt_writer_new(fd, uuid, 1, &w), 0);
	for (u64 round = 1; round <= 10; round++) {
		const u64 frames[] = {0x1000 * round, 0x2000};

		assert_int_equal(fmt_writer_row(w, FMT_STRING, &(struct fmt_string){.idx = round}, "name", 4), 0);
		assert_int_equal(
			fmt_writer_row(w, FMT_THREAD, &(struct fmt_thread){.idx = round, .tid = round, .comm = round}, NULL, 0),
			0);
		assert_int_equal(
			fmt_writer_row(w, FMT_STACK, &(struct fmt_stack){.idx = round, .kind = 1, .status = 1}, frames, 2), 0);
		for (u64 i = 0; i < 20; i++) {
			const u64 ts = round * 1000 + i * 10;

			assert_int_equal(fmt_writer_row(w, FMT_SWITCH_OUT,
							&(struct fmt_switch_out){.ts = ts, .thread = round, .ustack = round},
							NULL, 0),
					 0);
			assert_int_equal(
				fmt_writer_row(w, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = ts + 5, .thread = round}, NULL, 0),
				0);
		}
		assert_int_equal(fmt_writer_flush(w), 0);
	}
	assert_int_equal(fmt_writer_finish(w), 0);
	fmt_writer_free(w);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, &b->whole, 1 << 20), 0);
}

static void bench_begin(struct bench *b)
{
	*b = (struct bench){.dir = "/tmp/ascope-check-XXXXXX"};
	assert_non_null(mkdtemp(b->dir));
	(void)snprintf(b->damaged, sizeof(b->damaged), "%s/damaged", b->dir);
	(void)snprintf(b->repaired, sizeof(b->repaired), "%s/repaired", b->dir);
	b->c = calloc(1, sizeof(*b->c));
	assert_non_null(b->c);
	make_rounds(b);
}

static void bench_end(struct bench *b)
{
	(void)unlink(b->damaged);
	(void)unlink(b->repaired);
	(void)rmdir(b->dir);
	buf_release(&b->whole);
	free(b->c);
}

static void flips_are_repaired(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	for (size_t at = FMT_HEADER_SIZE; at < b.whole.len; at += 7) {
		b.whole.data[at] ^= 0x10;
		write_file(b.damaged, b.whole.data, b.whole.len);
		b.whole.data[at] ^= 0x10;
		expect_repaired(&b);
	}
	bench_end(&b);
}

static void cuts_are_repaired(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	for (size_t n = FMT_HEADER_SIZE; n < b.whole.len; n += 11) {
		write_file(b.damaged, b.whole.data, n);
		expect_repaired(&b);
	}
	bench_end(&b);
}

/* Several places at once, holes, bytes that were put in, the tail twice: 300 files that a generator spoils. */
static void mixed_damage_is_repaired(void **state)
{
	_cleanup_buf_ struct buf file = BUF_INIT;
	struct bench b;
	u64 rnd = 11;

	(void)state;
	bench_begin(&b);
	for (u32 k = 0; k < 300; k++) {
		u64 cuts = 1 + raw_random(&rnd) % 4, at = FMT_HEADER_SIZE;

		buf_reset(&file);
		buf_put(&file, b.whole.data, FMT_HEADER_SIZE);
		for (u64 i = 0; i < cuts; i++) {
			u64 to = at + raw_random(&rnd) % (b.whole.len - at + 1), skip = raw_random(&rnd) % 900;

			buf_put(&file, b.whole.data + at, (size_t)(to - at));
			if (raw_random(&rnd) % 2)
				buf_put(&file, b.whole.data + raw_random(&rnd) % 3000, raw_random(&rnd) % 1500);
			at = min_u64(raw_random(&rnd) % 3 ? to + skip : to - min_u64(skip, to - FMT_HEADER_SIZE), b.whole.len);
		}
		buf_put(&file, b.whole.data + at, (size_t)(b.whole.len - at));
		assert_int_equal(buf_err(&file), 0);
		write_file(b.damaged, file.data, file.len);
		expect_repaired(&b);
	}
	bench_end(&b);
}

/* What one repair found lost, the next does not forget. */
static void repaired_twice(void **state)
{
	struct repair_result done = {0};
	struct bench b;

	(void)state;
	bench_begin(&b);
	b.whole.data[block_at(b.damaged, FMT_BLOCK_EVENTS, 2).offset + 100] ^= 1;
	write_file(b.damaged, b.whole.data, b.whole.len);
	run_check(b.damaged, b.c);
	assert_int_equal(repair_file(b.damaged, b.c, b.repaired, true, &done), 0);
	assert_int_equal(done.facts.blocks_lost, 1);
	assert_int_equal(done.facts.records_lost, 40);
	check_release(b.c);
	buf_reset(&b.whole);
	assert_int_equal(file_read_all(b.repaired, &b.whole, 1 << 20), 0);
	b.whole.data[block_at(b.repaired, FMT_BLOCK_EVENTS, 5).offset + 100] ^= 1;
	write_file(b.damaged, b.whole.data, b.whole.len);
	run_check(b.damaged, b.c);
	assert_int_equal(repair_file(b.damaged, b.c, b.repaired, true, &done), 0);
	assert_int_equal(done.facts.blocks_lost, 2);
	assert_int_equal(done.facts.records_lost, 80);
	check_release(b.c);
	run_check(b.repaired, b.c);
	assert_true(check_is_sound(b.c));
	assert_int_equal(b.c->repaired.blocks_lost, 2);
	assert_int_equal(b.c->rows[FMT_GAP], 2);
	check_release(b.c);
	bench_end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_capture),
		cmocka_unit_test(a_damaged_payload),
		cmocka_unit_test(a_damaged_header),
		cmocka_unit_test(damaged_names),
		cmocka_unit_test(not_closed),
		cmocka_unit_test(references),
		cmocka_unit_test(usage),
		cmocka_unit_test(a_footer_that_lies),
		cmocka_unit_test(where_to_repair_to),
		cmocka_unit_test(flips_are_repaired),
		cmocka_unit_test(cuts_are_repaired),
		cmocka_unit_test(mixed_damage_is_repaired),
		cmocka_unit_test(repaired_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
