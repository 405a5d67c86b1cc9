/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * codec.c: what the coding of capture files costs, and where their bytes go. Called by hand and by the benchmark script.
 *
 *	codec encode SRC [ROUNDS]    rows of SRC to blocks of zstd level 1, which are thrown away: events a second, CPU time of one thread
 *	codec decode FILE [ROUNDS]   blocks of FILE to columns, likewise
 *	codec columns FILE           bytes of each kind and column: encoded, and their share of what is stored
 *
 * Output is tab-separated, with a first line that says what is in the columns.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/base.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/parse.h"
#include "format/fmt_codec.h"
#include "format/fmt_compress.h"
#include "format/fmt_reader.h"
#include "format/fmt_writer.h"

static int fail(const char *what, int err)
{
	(void)fprintf(stderr, "codec: %s: %s\n", what, strerror(-err));
	return 1;
}

static int open_capture(const char *path, struct fmt_reader **ret)
{
	struct fmt_diag diag = {0};
	int err = fmt_reader_open(path, ret, &diag);

	if (err && diag.what[0])
		(void)fprintf(stderr, "codec: %s: %s\n", path, diag.what);
	return err;
}

/* Kinds that the recorder wrote: not the footer's. */
static bool is_record(const struct fmt_section *s)
{
	return s->kind && s->kind_id < FMT_INDEX;
}

/* ---- encode ---- */

/* One row in memory, with what belongs to it. */
struct item {
	u32 kind;
	u32 n;	     /* of the payload: bytes or elements */
	u64 row;     /* where its values begin */
	u64 payload; /* where in payloads */
};

struct items {
	struct buf items, values, payloads;
	u64 n, n_events;
};

enum { MAX_ITEMS = 1 << 20 }; /* 200 MB at most */

static void items_release(struct items *t)
{
	buf_release(&t->items);
	buf_release(&t->values);
	buf_release(&t->payloads);
}

static void keep_row(struct items *t, const struct fmt_section *s, u32 i)
{
	struct item item = {.kind = s->kind_id, .row = t->values.len, .payload = t->payloads.len};
	u64 row[FMT_MAX_COLUMNS];
	u32 from = s->payload_off ? s->payload_off[i] : 0;

	item.n = s->payload_off ? s->payload_off[i + 1] - from : 0;
	fmt_section_row(s, i, row);
	buf_put(&t->values, row, s->kind->n_cols * sizeof(u64));
	if (s->bytes)
		buf_put(&t->payloads, s->bytes + from, item.n);
	else if (s->list)
		buf_put(&t->payloads, s->list + from, item.n * sizeof(u64));
	for (; t->payloads.len % sizeof(u64);)
		buf_putc(&t->payloads, 0);
	buf_put(&t->items, &item, sizeof(item));
	t->n++;
	t->n_events += s->kind->is_event ? 1 : 0;
}

static int items_read(struct items *t, struct fmt_reader *r)
{
	const struct fmt_ref *refs;
	struct fmt_block b;
	int n;

	while ((n = fmt_reader_next(r, &b)) == 1 && t->n < MAX_ITEMS) {
		for (u32 k = 0; k < b.n_sections; k++)
			for (u32 i = 0; is_record(&b.sections[k]) && !b.sections[k].kind->is_event && i < b.sections[k].rows; i++)
				keep_row(t, &b.sections[k], i);
		n = fmt_block_events(r, &b, &refs);
		for (int i = 0; i < n; i++)
			keep_row(t, &b.sections[refs[i].section], refs[i].row);
		if (n < 0)
			return n;
	}
	if (n >= 0)
		n = buf_err(&t->items) ? buf_err(&t->items) : buf_err(&t->values) ? buf_err(&t->values) : buf_err(&t->payloads);
	return n;
}

static int drop(void *ctx, const void *p, size_t n)
{
	(void)ctx, (void)p, (void)n;
	return 0;
}

static int no_sync(void *ctx)
{
	(void)ctx;
	return 0;
}

static int encode_once(const struct items *t, struct fmt_writer_stats *ret)
{
	const struct fmt_sink sink = {.write = drop, .sync = no_sync};
	const struct item *items = (const struct item *)(const void *)t->items.data;
	struct fmt_writer *w = NULL;
	u8 uuid[16] = "codec encode";
	int err = fmt_writer_new_to(&sink, uuid, 1, &w);

	for (u64 i = 0; i < t->n && !err; i++)
		err = fmt_writer_row(w, (enum fmt_kind_id)items[i].kind, t->values.data + items[i].row,
				     t->payloads.data + items[i].payload, items[i].n);
	if (!err)
		err = fmt_writer_finish(w);
	if (!err)
		*ret = *fmt_writer_stats(w);
	fmt_writer_free(w);
	return err;
}

static int rounds_of(const char *text, u64 *ret)
{
	*ret = 5;
	return text ? parse_u64(text, ret) : 0;
}

static int cmd_encode(char **argv)
{
	struct items t = {0};
	struct fmt_writer_stats stats = {0};
	struct fmt_reader *r = NULL;
	u64 best = UINT64_MAX, rounds;
	int err = rounds_of(argv[1], &rounds);

	if (!err)
		err = open_capture(argv[0], &r);
	if (!err)
		err = items_read(&t, r);
	fmt_reader_close(r);
	for (u64 i = 0; i < rounds && !err; i++) {
		u64 start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		err = encode_once(&t, &stats);
		best = min_u64(best, clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
	}
	if (!err)
		(void)printf("events\tM/s\traw\tstored\tblocks\n%llu\t%.2f\t%llu\t%llu\t%llu\n", (unsigned long long)t.n_events,
			     (double)t.n_events * 1e3 / (double)best, (unsigned long long)stats.raw,
			     (unsigned long long)stats.bytes, (unsigned long long)stats.blocks);
	items_release(&t);
	return err ? fail(argv[0], err) : 0;
}

/* ---- decode ---- */

static int decode_once(struct fmt_reader *r, u64 *ret_events, u64 *ret_bytes)
{
	struct fmt_block b;
	int n;

	*ret_events = *ret_bytes = 0;
	fmt_reader_rewind(r);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		*ret_bytes += b.stored_size;
		for (u32 i = 0; i < b.n_sections; i++)
			*ret_events += b.sections[i].kind && b.sections[i].kind->is_event ? b.sections[i].rows : 0;
	}
	return n;
}

static int cmd_decode(char **argv)
{
	struct fmt_reader *r = NULL;
	u64 best = UINT64_MAX, rounds, events = 0, bytes = 0;
	int err = rounds_of(argv[1], &rounds);

	if (!err)
		err = open_capture(argv[0], &r);
	for (u64 i = 0; i < rounds && !err; i++) {
		u64 start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		err = decode_once(r, &events, &bytes);
		best = min_u64(best, clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
	}
	if (!err)
		(void)printf("events\tM/s\tstored\n%llu\t%.2f\t%llu\n", (unsigned long long)events,
			     (double)events * 1e3 / (double)best, (unsigned long long)bytes);
	fmt_reader_close(r);
	return err ? fail(argv[0], err) : 0;
}

/* ---- columns ---- */

/* What one column of one kind costs. Slots: 0 the section's head and directory, column ids, and two more. */
enum { SLOT_PAYLOAD = FMT_MAX_COLUMNS + 1, SLOT_CLASS, SLOTS };

struct column_cost {
	u64 rows, last_rows, raw;
	double stored; /* slot 0: of whole sections */
	double alone;  /* compressed by itself */
	u64 encodings; /* bit e: blocks used encoding e */
};

struct costs {
	struct column_cost of[FMT_INDEX][SLOTS];
	double stored; /* whole blocks */
	struct buf scratch, out, packed, section;
	ZSTD_CCtx *zstd;
};

enum { FRAME = 9 }; /* about what a frame of zstd has around its blocks */

/* n bytes of a payload by themselves; sections: they are some. */
static double compressed(struct costs *c, const u8 *p, size_t n, bool sections)
{
	size_t bound = fmt_compress_bound(n), k;
	u8 *to;

	buf_reset(&c->packed);
	to = buf_reserve(&c->packed, bound);
	if (!to)
		return 0;
	k = sections ? fmt_compress(c->zstd, 1, p, n, to, bound) : ZSTD_compress(to, bound, p, n, 1);
	return ZSTD_isError(k) ? 0 : k < FRAME ? 0 : (double)min_u64(k - FRAME, n);
}

static void cost_column(struct costs *c, u32 kind, u32 slot, const u8 *p, size_t n, u8 enc)
{
	struct column_cost *k = &c->of[kind][slot];
	u64 rows = c->of[kind][0].last_rows;
	bool split = (enc == FMT_ENC_SPLIT || enc == FMT_ENC_SPLIT_DELTA || enc == FMT_ENC_GROUP) && n > rows;

	k->raw += n;
	k->alone += split ? compressed(c, p, rows, false) + compressed(c, p + rows, n - rows, false) : compressed(c, p, n, false);
	k->encodings |= 1ULL << (enc & 63);
}

/* A section as fmt_section_encode() made it: each column of its directory. */
static void cost_section(struct costs *c, const struct buf *section)
{
	struct fmt_cursor cur = cur_init(section->data, section->len), data;
	u64 kind = cur_uvarint(&cur, "kind"), rows = cur_uvarint(&cur, "rows"), n = cur_uvarint(&cur, "columns");
	struct {
		u64 id, size;
		u8 enc;
	} dir[FMT_MAX_COLUMNS + 2];
	u64 body = cur_uvarint(&cur, "size");

	(void)body;
	for (u64 i = 0; i < n; i++) {
		dir[i].id = cur_uvarint(&cur, "id");
		dir[i].enc = cur_u8(&cur, "encoding");
		dir[i].size = cur_uvarint(&cur, "size");
	}
	data = cur;
	c->of[kind][0].rows += rows;
	c->of[kind][0].last_rows = rows;
	c->of[kind][0].stored += compressed(c, section->data, section->len, true);
	cost_column(c, (u32)kind, 0, section->data, section->len - cur_left(&data), 0);
	for (u64 i = 0; i < n; i++) {
		const u8 *p = cur_bytes(&data, dir[i].size, "data");

		cost_column(c, (u32)kind,
			    dir[i].id == FMT_PAYLOAD_COLUMN ? SLOT_PAYLOAD
			    : dir[i].id == FMT_CLASS_COLUMN ? SLOT_CLASS
							    : (u32)dir[i].id,
			    p, dir[i].size, dir[i].enc);
	}
}

static int cost_block(struct costs *c, const struct fmt_block *b)
{
	struct fmt_rows outs = {0};
	u64 row[FMT_MAX_COLUMNS];
	int err = 0;

	buf_reset(&c->out);
	for (u32 k = 0; k < b->n_sections && !err; k++) {
		const struct fmt_section *s = &b->sections[k];
		struct fmt_rows rows = {.kind = s->kind};

		if (!is_record(s))
			continue;
		for (u32 i = 0; i < s->rows && !err; i++) {
			u32 from = s->payload_off ? s->payload_off[i] : 0, n = s->payload_off ? s->payload_off[i + 1] - from : 0;

			fmt_section_row(s, i, row);
			err = fmt_rows_add(&rows, row,
					   s->bytes  ? (const void *)(s->bytes + from)
					   : s->list ? s->list + from
						     : NULL,
					   n);
		}
		buf_reset(&c->section);
		fmt_section_encode(&rows, outs.rows ? &outs : NULL, &c->scratch, &c->section);
		if (s->kind_id == FMT_SWITCH_OUT && !outs.rows)
			outs = rows;
		else
			fmt_rows_release(&rows);
		err = err ? err : buf_err(&c->section);
		if (!err)
			cost_section(c, &c->section);
		buf_put(&c->out, c->section.data, c->section.len);
	}
	fmt_rows_release(&outs);
	c->stored += compressed(c, c->out.data, c->out.len, true) + FRAME + FMT_BLOCK_HEADER;
	return err ? err : buf_err(&c->out);
}

static void print_cost(const char *kind, const char *column, const struct column_cost *k, u64 rows, double scale)
{
	char encodings[64] = "";
	size_t at = 0;

	for (u32 e = 0; e < 64 && at < sizeof(encodings) - 4; e++)
		if (k->encodings >> e & 1)
			at += (size_t)snprintf(encodings + at, sizeof(encodings) - at, "%s%u", at ? "," : "", e);
	(void)printf("%s\t%s\t%s\t%llu\t%llu\t%.0f\t%.3f\n", kind, column, encodings, (unsigned long long)rows,
		     (unsigned long long)k->raw, k->alone * scale, rows ? k->alone * scale / (double)rows : 0);
}

static void print_costs(const struct costs *c)
{
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);

	(void)printf("kind\tcolumn\tencodings\trows\tencoded\tstored\tper row\n");
	for (u32 i = 0; i < n && kinds[i].id < FMT_INDEX; i++) {
		const struct column_cost *of = c->of[kinds[i].id];
		struct column_cost sum = {0};
		double scale;

		for (u32 k = 0; k < SLOTS; k++) {
			sum.raw += of[k].raw;
			sum.alone += of[k].alone;
		}
		if (!of[0].rows)
			continue;
		scale = sum.alone > 0 ? of[0].stored / sum.alone : 0; /* so that columns add up to their section */
		print_cost(kinds[i].name, "*", &sum, of[0].rows, scale);
		if (of[SLOT_CLASS].raw)
			print_cost(kinds[i].name, "class", &of[SLOT_CLASS], of[0].rows, scale);
		print_cost(kinds[i].name, "directory", &of[0], of[0].rows, scale);
		for (u32 k = 1; k <= kinds[i].n_cols; k++)
			print_cost(kinds[i].name, kinds[i].cols[k - 1].name, &of[k], of[0].rows, scale);
		if (kinds[i].payload != FMT_PAYLOAD_NONE)
			print_cost(kinds[i].name, "payload", &of[SLOT_PAYLOAD], of[0].rows, scale);
	}
	(void)printf("all\t*\t\t0\t0\t%.0f\t0\n", c->stored);
}

static int cmd_columns(char **argv)
{
	_cleanup_free_ struct costs *c = calloc(1, sizeof(*c));
	struct fmt_reader *r = NULL;
	struct fmt_block b;
	int n, err = c ? open_capture(argv[0], &r) : -ENOMEM;

	if (err)
		return fail(argv[0], err);
	c->zstd = ZSTD_createCCtx();
	err = c->zstd ? 0 : -ENOMEM;
	while (!err && (n = fmt_reader_next(r, &b)) != 0)
		err = n < 0 ? n : b.n_sections && b.sections[0].kind_id < FMT_INDEX ? cost_block(c, &b) : 0;
	if (!err)
		print_costs(c);
	ZSTD_freeCCtx(c->zstd);
	buf_release(&c->scratch);
	buf_release(&c->out);
	buf_release(&c->packed);
	buf_release(&c->section);
	fmt_reader_close(r);
	return err ? fail(argv[0], err) : 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int min, max; /* arguments */
		int (*run)(char **argv);
	} modes[] = {{"encode", 1, 2, cmd_encode}, {"decode", 1, 2, cmd_decode}, {"columns", 1, 1, cmd_columns}};

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++)
		if (!strcmp(argv[1], modes[i].name) && argc - 2 >= modes[i].min && argc - 2 <= modes[i].max)
			return modes[i].run(argv + 2);
	(void)fprintf(stderr, "usage: codec encode SRC [ROUNDS] | decode FILE [ROUNDS] | columns FILE\n");
	return 2;
}
