/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * make_golden.c: writes the golden captures that are made by program; run by `make goldens`.
 *
 *	make_golden good DIR	whole captures that hold what recordings seldom do: every kind, extremes, nothing at all, what a later version may add
 *	make_golden bad DIR	one file per kind of damage
 *
 * What readers must say of each is not written here: it lies beside the file (tests/golden/goldens.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/fdio.h"
#include "format/fmt_block.h"
#include "format/fmt_schema.h"
#include "format/fmt_writer.h"
#include "tests/reliability/gen.h"
#include "tests/reliability/walk.h"

enum { MAX_PLACES = 64 };

static const u8 uuid[16] = {0x60, 0x1d, 0xe4, 1, 2, 3, 0x44, 5, 0x86, 7, 8, 9, 10, 11, 12, 13};

/* Any failure here is the maker's, and the end of it. */
static void must(int err)
{
	if (err) {
		(void)fprintf(stderr, "make_golden: %s\n", strerror(-err));
		exit(1);
	}
}

static void save(const char *dir, const char *name, const struct buf *file)
{
	_cleanup_close_ int fd = -1;
	char path[4096];

	must(buf_err(file));
	(void)snprintf(path, sizeof(path), "%s/%s.ascope", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	must(fd < 0 ? -errno : fd_write_full(fd, file->data, file->len));
}

static int memory_file(void)
{
	int fd = memfd_create("make_golden", MFD_CLOEXEC);

	must(fd < 0 ? -errno : 0);
	return fd;
}

static void take_file(int fd, struct buf *ret)
{
	must(lseek(fd, 0, SEEK_SET) < 0 ? -errno : fd_read_all(fd, ret, 1 << 24));
	(void)close(fd);
}

static void generate(const struct gen_plan *p, struct buf *ret)
{
	int fd = memory_file();

	must(gen_capture(fd, p));
	take_file(fd, ret);
}

/* ---- good ---- */

/* Every kind with the largest values that its columns can have: u64, the longest string, the deepest stack, the greatest index; and the least. */
static void extremes(struct buf *ret)
{
	u64 row[FMT_MAX_COLUMNS];
	_cleanup_free_ u64 *payload = malloc(FMT_MAX_STRING + FMT_MAX_FRAMES * sizeof(u64));
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);
	struct fmt_writer *w = NULL;
	int fd = memory_file();

	must(payload ? fmt_writer_new(fd, uuid, 1, &w) : -ENOMEM);
	for (u32 k = 0; k < n_kinds * 2; k++) {
		const struct fmt_kind *kind = &kinds[k / 2];
		bool most = k & 1;
		size_t n = !most ? 0 : kind->payload == FMT_PAYLOAD_LIST ? FMT_MAX_FRAMES : FMT_MAX_STRING;

		if (kind->id == FMT_INDEX || kind->id > FMT_INDEX)
			continue;
		for (u32 c = 0; c < kind->n_cols; c++)
			row[c] = !strcmp(kind->cols[c].name, "idx") ? (most ? FMT_MAX_ID : 1)
				 : kind->is_event && !c		    ? (most ? INT64_MAX : 0)
								    : (most ? UINT64_MAX : 0);
		for (u32 i = 0; i < FMT_MAX_FRAMES; i++)
			payload[i] = kind->payload == FMT_PAYLOAD_LIST ? (i & 1 ? UINT64_MAX : 0) : 0x7878787878787878ULL;
		must(fmt_writer_row(w, kind->id, row, payload, kind->payload == FMT_PAYLOAD_NONE ? 0 : n));
	}
	must(fmt_writer_finish(w));
	fmt_writer_free(w);
	take_file(fd, ret);
}

/* A file made by hand: header, then blocks of payloads given as bytes. */
struct hand {
	struct buf file;
	u64 seq;
};

static void hand_begin(struct hand *h, u32 header_size, u64 compat)
{
	struct fmt_file_header head = {.version = FMT_VERSION, .header_size = header_size, .compat = compat};
	u8 bytes[FMT_HEADER_SIZE];

	*h = (struct hand){0};
	memcpy(head.uuid, uuid, sizeof(uuid));
	fmt_file_header_encode(&head, bytes);
	buf_put(&h->file, bytes, sizeof(bytes));
	for (u32 i = FMT_HEADER_SIZE; i < header_size; i++)
		buf_putc(&h->file, 0xee);
}

static void hand_block(struct hand *h, u32 type, const struct buf *raw, u32 rows, u32 sections, u64 ts_first, u64 ts_last)
{
	struct fmt_block_header head = {.type = (u16)type,
					.flags = FMT_FLAG_ZSTD,
					.seq = h->seq++,
					.raw_size = (u32)raw->len,
					.rows = rows,
					.sections = sections,
					.ts_first = ts_first,
					.ts_last = ts_last};
	u8 bytes[FMT_BLOCK_HEADER];
	_cleanup_buf_ struct buf packed = BUF_INIT;
	u8 *p = buf_reserve(&packed, ZSTD_compressBound(raw->len));
	size_t n = p ? ZSTD_compress(p, ZSTD_compressBound(raw->len), raw->data, raw->len, 1) : 0;

	must(!n || ZSTD_isError(n) ? -ENOMEM : 0);
	head.payload_size = (u32)n;
	head.payload_sum = XXH3_64bits(p, n);
	memcpy(&head.uuid_lo, uuid, 8);
	fmt_block_header_encode(&head, bytes);
	buf_put(&h->file, bytes, sizeof(bytes));
	buf_put(&h->file, p, n);
}

/* One section: a directory of (id, encoding, data). */
struct hand_column {
	u32 id;
	u8 enc;
	const char *data;
	u32 size;
};

static void hand_section(struct buf *raw, u32 kind, u32 rows, const struct hand_column *cols, u32 n)
{
	_cleanup_buf_ struct buf body = BUF_INIT;

	for (u32 i = 0; i < n; i++) {
		buf_put_uvarint(&body, cols[i].id);
		buf_putc(&body, cols[i].enc);
		buf_put_uvarint(&body, cols[i].size);
	}
	for (u32 i = 0; i < n; i++)
		buf_put(&body, cols[i].data, cols[i].size);
	buf_put_uvarint(raw, kind);
	buf_put_uvarint(raw, rows);
	buf_put_uvarint(raw, n);
	buf_put_uvarint(raw, body.len);
	buf_put(raw, body.data, body.len);
}

static void hand_end(struct hand *h)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	struct fmt_trailer t = {.footer_off = h->file.len, .blocks = h->seq + 1};
	u8 bytes[FMT_TRAILER_SIZE];

	hand_section(&raw, FMT_INDEX, 0, NULL, 0); /* a footer need not list every block */
	hand_block(h, TYPE_FOOTER, &raw, 0, 1, 0, 0);
	fmt_trailer_encode(&t, bytes);
	buf_put(&h->file, bytes, sizeof(bytes));
}

static const struct hand_column clock_columns[] = {
	{1, FMT_ENC_CONST, "\x05", 1}, {2, FMT_ENC_CONST, "\x06", 1}, {3, FMT_ENC_CONST, "\x07", 1}};

/* A column, a kind, a type of block, a compat bit and bytes in the file header that this version does not know. */
static void of_a_later_version(struct buf *ret)
{
	static const struct hand_column more[] = {{1, FMT_ENC_CONST, "\x05", 1},
						  {2, FMT_ENC_CONST, "\x06", 1},
						  {60, 77, "not for you", 11},
						  {3, FMT_ENC_CONST, "\x07", 1}};
	static const struct hand_column nothing_known[] = {{1, 99, "x", 1}};
	struct hand h;

	hand_begin(&h, 200, 1ULL << 40);
	for (u32 i = 0; i < 3; i++) {
		_cleanup_buf_ struct buf raw = BUF_INIT;

		hand_section(&raw, FMT_CLOCK, 1, i == 1 ? more : clock_columns, i == 1 ? 4 : 3);
		if (i == 1)
			hand_section(&raw, 120, 3, nothing_known, 1);
		hand_block(&h, i == 2 ? 200 : TYPE_EVENTS, &raw, i == 1 ? 4 : 1, i == 1 ? 2 : 1, 5, 5);
	}
	hand_end(&h);
	*ret = h.file;
}

/* Encodings in forms that a writer has no reason to choose: FORMAT.md section 5 lets it. */
static void by_hand(struct buf *ret)
{
	static const struct hand_column split[] = {{1, FMT_ENC_VARINT, "\x05\x06\x07", 3},
						   {2, 7, "\x05\x27\x10\x68\x00", 5}, /* 5, 1000, 16 */
						   {3, FMT_ENC_DICT, "\x02\x01\x09\x01\x00\x01", 6}};
	static const struct hand_column plain[] = {{3, FMT_ENC_DELTA, "\x02\x02\x01", 3}, {1, FMT_ENC_DELTA, "\x06\x01\x02", 3}};
	_cleanup_buf_ struct buf raw = BUF_INIT;
	struct hand h;

	hand_begin(&h, FMT_HEADER_SIZE, 0);
	hand_section(&raw, FMT_CLOCK, 3, split, 3);
	hand_section(&raw, FMT_CLOCK, 3, plain, 2); /* a kind twice, columns in any order, one left out */
	hand_block(&h, TYPE_EVENTS, &raw, 6, 2, 2, 7);
	hand_end(&h);
	*ret = h.file;
}

static void make_good(const char *dir)
{
	static const struct {
		const char *name;
		struct gen_plan plan;
	} plans[] = {
		{"every-kind", {.seed = 11, .flushes = 2, .entries = 5, .events = 6, .finish = true}},
		{"many-shapes", {.seed = 12, .flushes = 2, .entries = 20, .events = 60, .finish = true}},
		{"random", {.seed = 13, .flushes = 1, .entries = 5, .events = 20, .dense = true, .finish = true}},
		{"empty", {.seed = 14, .finish = true}},
		{"no-events", {.seed = 15, .flushes = 1, .entries = 3, .finish = true}},
		{"killed", {.seed = 16, .flushes = 3, .entries = 3, .events = 3}},
		{"killed-at-once", {.seed = 17}},
	};
	struct buf file = BUF_INIT;

	for (u32 i = 0; i < ARRAY_SIZE(plans); i++) {
		generate(&plans[i].plan, &file);
		save(dir, plans[i].name, &file);
		buf_reset(&file);
	}
	extremes(&file);
	save(dir, "extremes", &file);
	buf_release(&file);
	of_a_later_version(&file);
	save(dir, "later-version", &file);
	buf_release(&file);
	by_hand(&file);
	save(dir, "by-hand", &file);
	buf_release(&file);
}

/* ---- bad ---- */

/* What is spoilt: a whole capture and another one. */
struct base {
	struct buf file, other;
	struct place place[MAX_PLACES], other_place[MAX_PLACES];
	u32 n, n_other;
};

/* The nth block of a type, from 0. */
static const struct place *nth(const struct base *b, u32 type, u32 nth)
{
	for (u32 i = 0; i < b->n; i++)
		if (b->place[i].type == type && !nth--)
			return &b->place[i];
	must(-ENODATA);
	return NULL;
}

static const struct place *copy_of(const struct base *b, const struct place *p)
{
	for (u32 i = 0; i < b->n; i++)
		if (b->place[i].type == TYPE_COPY && b->place[i].copy_of == p->seq)
			return &b->place[i];
	must(-ENODATA);
	return NULL;
}

static void put_range(struct buf *out, const struct buf *from, u64 start, u64 end)
{
	buf_put(out, from->data + start, (size_t)(end - start));
}

/* The file with [off, off + n) inverted. */
static void invert(const struct base *b, struct buf *out, u64 off, u64 n)
{
	put_range(out, &b->file, 0, b->file.len);
	for (u64 i = 0; i < n; i++)
		out->data[off + i] ^= 0xff;
}

/* One way to spoil a file: out is empty. */
struct way {
	const char *name;
	void (*make)(const struct base *b, struct buf *out);
};

static void not_a_capture(const struct base *b, struct buf *out)
{
	(void)b;
	buf_puts(out, "PERFILE2 is what another tool writes; this one is not even that. It goes on for longer than a header.\n");
}

static void cut_in_header(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, 40);
}

static void header_byte(const struct base *b, struct buf *out)
{
	invert(b, out, 35, 1);
}

static void header_bytes(const struct base *b, struct buf *out)
{
	invert(b, out, 32, 9);
}

static void text_mode(const struct base *b, struct buf *out)
{
	for (size_t i = 0; i < b->file.len; i++)
		if (b->file.data[i] != '\r' || i + 1 == b->file.len || b->file.data[i + 1] != '\n')
			buf_putc(out, b->file.data[i]);
}

static void header_field(const struct base *b, struct buf *out, u32 off, u8 v)
{
	u64 sum;

	put_range(out, &b->file, 0, b->file.len);
	out->data[off] = v;
	sum = XXH3_64bits(out->data, 56);
	memcpy(out->data + 56, &sum, 8);
}

static void newer_version(const struct base *b, struct buf *out)
{
	header_field(b, out, 8, 99);
}

static void version_zero(const struct base *b, struct buf *out)
{
	header_field(b, out, 8, 0);
}

static void unknown_feature(const struct base *b, struct buf *out)
{
	header_field(b, out, 31, 0x80);
}

static void cut_in_block_header(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, nth(b, TYPE_EVENTS, 1)->off + 30);
}

static void cut_in_payload(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, nth(b, TYPE_EVENTS, 1)->off + FMT_BLOCK_HEADER + 30);
}

static void cut_in_footer(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, nth(b, TYPE_FOOTER, 0)->end - 5);
}

static void no_trailer(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, nth(b, TYPE_FOOTER, 0)->end);
}

static void trailer_byte(const struct base *b, struct buf *out)
{
	invert(b, out, b->file.len - 20, 1);
}

static void events_payload(const struct base *b, struct buf *out)
{
	invert(b, out, nth(b, TYPE_EVENTS, 1)->off + FMT_BLOCK_HEADER + 20, 1);
}

static void events_header(const struct base *b, struct buf *out)
{
	invert(b, out, nth(b, TYPE_EVENTS, 1)->off + 20, 1);
}

static void dictionary_payload(const struct base *b, struct buf *out)
{
	invert(b, out, nth(b, TYPE_DICTIONARY, 1)->off + FMT_BLOCK_HEADER + 20, 1);
}

static void dictionary_and_copy(const struct base *b, struct buf *out)
{
	const struct place *p = nth(b, TYPE_DICTIONARY, 1);

	invert(b, out, p->off + FMT_BLOCK_HEADER + 20, 1);
	out->data[copy_of(b, p)->off + FMT_BLOCK_HEADER + 20] ^= 1;
}

static void copy_payload(const struct base *b, struct buf *out)
{
	invert(b, out, nth(b, TYPE_COPY, 1)->off + FMT_BLOCK_HEADER + 20, 1);
}

static void footer_payload(const struct base *b, struct buf *out)
{
	invert(b, out, nth(b, TYPE_FOOTER, 0)->off + FMT_BLOCK_HEADER + 10, 1);
}

static void drop(const struct base *b, struct buf *out, const struct place *p)
{
	put_range(out, &b->file, 0, p->off);
	put_range(out, &b->file, p->end, b->file.len);
}

static void events_dropped(const struct base *b, struct buf *out)
{
	drop(b, out, nth(b, TYPE_EVENTS, 1));
}

static void dictionary_dropped(const struct base *b, struct buf *out)
{
	drop(b, out, nth(b, TYPE_DICTIONARY, 1));
}

static void footer_dropped(const struct base *b, struct buf *out)
{
	drop(b, out, nth(b, TYPE_FOOTER, 0));
}

static void block_repeated(const struct base *b, struct buf *out)
{
	const struct place *p = nth(b, TYPE_EVENTS, 1);

	put_range(out, &b->file, 0, p->end);
	put_range(out, &b->file, p->off, b->file.len);
}

static void blocks_swapped(const struct base *b, struct buf *out)
{
	const struct place *p = nth(b, TYPE_EVENTS, 0), *q = nth(b, TYPE_EVENTS, 1);

	put_range(out, &b->file, 0, p->off);
	put_range(out, &b->file, q->off, q->end);
	put_range(out, &b->file, p->end, q->off);
	put_range(out, &b->file, p->off, p->end);
	put_range(out, &b->file, q->end, b->file.len);
}

static void block_of_another(const struct base *b, struct buf *out)
{
	const struct place *p = nth(b, TYPE_EVENTS, 1);

	put_range(out, &b->file, 0, p->off);
	put_range(out, &b->other, b->other_place[0].off, b->other_place[0].end);
	put_range(out, &b->file, p->off, b->file.len);
}

static void zeros_inside(const struct base *b, struct buf *out)
{
	const struct place *p = nth(b, TYPE_EVENTS, 1);

	put_range(out, &b->file, 0, b->file.len);
	memset(out->data + p->off - 100, 0, 300);
}

static void zeros_behind(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, nth(b, TYPE_EVENTS, 1)->off + 200);
	for (u32 i = 0; i < 4096; i++)
		buf_putc(out, 0);
}

static void rubbish_behind(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, b->file.len);
	buf_puts(out, "what somebody appended");
}

static void two_captures(const struct base *b, struct buf *out)
{
	put_range(out, &b->file, 0, b->file.len);
	put_range(out, &b->other, 0, b->other.len);
}

/* One block of clock records in which all checksums hold, and the inside does not. */
static void hostile(struct buf *out, u32 kind, u32 rows, const struct hand_column *cols, u32 n, u32 told_rows, const char *behind)
{
	_cleanup_buf_ struct buf raw = BUF_INIT;
	struct hand h;

	hand_begin(&h, FMT_HEADER_SIZE, 0);
	hand_section(&raw, kind, rows, cols, n);
	buf_puts(&raw, behind);
	hand_block(&h, TYPE_EVENTS, &raw, told_rows, 1, 5, 5);
	hand_end(&h);
	put_range(out, &h.file, 0, h.file.len);
	buf_release(&h.file);
}

static void rows_disagree(const struct base *b, struct buf *out)
{
	(void)b;
	hostile(out, FMT_CLOCK, 1, clock_columns, 3, 2, "");
}

static void bytes_behind_sections(const struct base *b, struct buf *out)
{
	(void)b;
	hostile(out, FMT_CLOCK, 1, clock_columns, 3, 1, "more");
}

static void rows_above_limit(const struct base *b, struct buf *out)
{
	(void)b;
	hostile(out, FMT_CLOCK, FMT_MAX_ROWS + 1, clock_columns, 3, FMT_MAX_ROWS + 1, "");
}

static void column_twice(const struct base *b, struct buf *out)
{
	static const struct hand_column cols[] = {{1, FMT_ENC_CONST, "\x05", 1}, {1, FMT_ENC_CONST, "\x06", 1}};

	(void)b;
	hostile(out, FMT_CLOCK, 1, cols, 2, 1, "");
}

static void encoding_unknown(const struct base *b, struct buf *out)
{
	static const struct hand_column cols[] = {{1, 250, "\x05", 1}};

	(void)b;
	hostile(out, FMT_CLOCK, 1, cols, 1, 1, "");
}

static void column_too_short(const struct base *b, struct buf *out)
{
	static const struct hand_column cols[] = {{1, FMT_ENC_VARINT, "\x05", 1}};

	(void)b;
	hostile(out, FMT_CLOCK, 2, cols, 1, 2, "");
}

static void varint_too_long(const struct base *b, struct buf *out)
{
	static const struct hand_column cols[] = {{1, FMT_ENC_VARINT, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10}};

	(void)b;
	hostile(out, FMT_CLOCK, 1, cols, 1, 1, "");
}

static void string_too_long(const struct base *b, struct buf *out)
{
	static const struct hand_column cols[] = {{1, FMT_ENC_CONST, "\x01", 1},
						  {FMT_PAYLOAD_COLUMN, FMT_ENC_BYTES, "\x81\x20xxxx", 6}};

	(void)b;
	hostile(out, FMT_STRING, 1, cols, 2, 1, "");
}

/* Fields of a block's header, with a checksum that holds. */
static void block_field(const struct base *b, struct buf *out, u32 off, u8 v)
{
	u8 *p;
	u64 sum;

	put_range(out, &b->file, 0, b->file.len);
	p = out->data + nth(b, TYPE_EVENTS, 1)->off;
	p[off] = v;
	sum = XXH3_64bits(p, 72);
	memcpy(p + 72, &sum, 8);
}

static void flags_unknown(const struct base *b, struct buf *out)
{
	block_field(b, out, 6, 0x81);
}

static void not_compressed(const struct base *b, struct buf *out)
{
	block_field(b, out, 6, 0);
}

static void raw_size_wrong(const struct base *b, struct buf *out)
{
	block_field(b, out, 21, 0x70);
}

static void payload_above_limit(const struct base *b, struct buf *out)
{
	block_field(b, out, 19, 0x7f);
}

static void make_bad(const char *dir)
{
	static const struct way ways[] = {
		{"not-a-capture", not_a_capture},
		{"cut-in-header", cut_in_header},
		{"header-byte", header_byte},
		{"header-bytes", header_bytes},
		{"text-mode", text_mode},
		{"newer-version", newer_version},
		{"version-zero", version_zero},
		{"unknown-feature", unknown_feature},
		{"cut-in-block-header", cut_in_block_header},
		{"cut-in-payload", cut_in_payload},
		{"cut-in-footer", cut_in_footer},
		{"no-trailer", no_trailer},
		{"trailer-byte", trailer_byte},
		{"events-payload", events_payload},
		{"events-header", events_header},
		{"dictionary-payload", dictionary_payload},
		{"dictionary-and-copy", dictionary_and_copy},
		{"copy-payload", copy_payload},
		{"footer-payload", footer_payload},
		{"events-dropped", events_dropped},
		{"dictionary-dropped", dictionary_dropped},
		{"footer-dropped", footer_dropped},
		{"block-repeated", block_repeated},
		{"blocks-swapped", blocks_swapped},
		{"block-of-another", block_of_another},
		{"zeros-inside", zeros_inside},
		{"zeros-behind", zeros_behind},
		{"rubbish-behind", rubbish_behind},
		{"two-captures", two_captures},
		{"rows-disagree", rows_disagree},
		{"bytes-behind-sections", bytes_behind_sections},
		{"rows-above-limit", rows_above_limit},
		{"column-twice", column_twice},
		{"encoding-unknown", encoding_unknown},
		{"column-too-short", column_too_short},
		{"varint-too-long", varint_too_long},
		{"string-too-long", string_too_long},
		{"flags-unknown", flags_unknown},
		{"not-compressed", not_compressed},
		{"raw-size-wrong", raw_size_wrong},
		{"payload-above-limit", payload_above_limit},
	};
	static const struct gen_plan plan = {.seed = 21, .flushes = 3, .entries = 2, .events = 2, .finish = true};
	static const struct gen_plan other = {.seed = 22, .flushes = 1, .entries = 1, .events = 1, .finish = true};
	struct base b = {0};

	generate(&plan, &b.file);
	generate(&other, &b.other);
	b.n = walk_layout(b.file.data, b.file.len, b.place, MAX_PLACES);
	b.n_other = walk_layout(b.other.data, b.other.len, b.other_place, MAX_PLACES);
	must(b.n && b.n_other ? 0 : -EBADMSG);
	for (u32 i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		ways[i].make(&b, &out);
		save(dir, ways[i].name, &out);
	}
	buf_release(&b.file);
	buf_release(&b.other);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "good")) {
		make_good(argv[2]);
	} else if (argc == 3 && !strcmp(argv[1], "bad")) {
		make_bad(argv[2]);
	} else {
		(void)fprintf(stderr, "usage: make_golden good|bad DIR\n");
		return 2;
	}
	return 0;
}
