/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_writer.c: gathers rows by kind and writes them as blocks.
 *
 * Invariants:
 *  1. What precedes a block's first byte in the file is whole: a failed write is cut off again (regular files), so the file stays
 *     valid up to the last whole block.
 *  2. Dictionary entries have blocks of their own, and a flush writes theirs first: an entry added before the event that uses it is never in a later block
 *     than that event.
 *  3. Every dictionary block is written twice: `kept` holds those that were written once. Copies lie in the order of what they repeat.
 *  4. After the first error no byte is written any more; `err` is what every call returns.
 */
#include "format/fmt_writer.h"

#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "format/fmt_block.h"
#include "format/fmt_codec.h"
#include "format/fmt_compress.h"

#define BLOCK_ROWS    32768u	 /* a block is written when it has this many rows */
#define BLOCK_PAYLOAD (1u << 20) /* or this many bytes of row payloads */
#define MAX_KINDS     48u
#define FIRST_EVENT   32u /* kind ids: below are dictionary entries */
#define FIRST_FOOTER  64u

/* Copies are written when what they repeat is so old or so much. Flushes are a second apart, so that none is older than 10 s. */
#define COPY_AFTER_NS (9 * NSEC_PER_SEC)
#define COPY_BYTES    ((size_t)1 << 20)

/* Most that one value costs in any encoding, its share of a column's dictionary included; a column's and a section's own bytes. */
enum { VALUE_BOUND = 12, COLUMN_BOUND = 64 };
/* The footer counts shares of a block in fractions of a byte, and makes bytes of them at the end. */
#define STORED_UNIT 1024u

/* The sink of a writer that was given an fd. */
struct fd_sink {
	int fd;
	bool is_file;
	u64 bytes; /* in it */
};

/* A dictionary block that has no copy yet. */
struct kept_block {
	struct fmt_block_header h; /* of the block */
	size_t off;		   /* in `kept`: room for the copy's header, then the payload */
};

struct kind_sum {
	u64 rows, encoded, stored; /* stored: in STORED_UNITths of a byte */
};

struct fmt_writer {
	struct fmt_sink sink;
	struct fd_sink fd;
	int err;
	bool finished;
	u8 uuid[16];
	u32 n_kinds;
	struct fmt_rows rows[MAX_KINDS];
	u8 slot_of[128]; /* kind id -> 1 + index into rows */
	u32 pending_rows;
	struct buf scratch, raw, packed;
	ZSTD_CCtx *zstd;
	int level;
	u64 seq;
	u32 encoded[MAX_KINDS]; /* bytes of each kind in `raw` */
	struct kind_sum sums[MAX_KINDS];
	struct fmt_rows index;	   /* footer rows */
	struct fmt_index index_or; /* all their bits, for a bound on what they take */
	struct kept_block *kept_blocks;
	size_t n_kept, cap_kept;
	struct buf kept;
	u64 kept_since; /* when the first of them was written, CLOCK_MONOTONIC */
	u64 copy_after_ns;
	size_t copy_bytes;
	struct fmt_writer_stats stats;
	fmt_row_fn watch; /* NULL: nobody */
	void *watch_ctx;
};

static int fd_sink_write(void *ctx, const void *p, size_t n)
{
	struct fd_sink *s = ctx;
	int err = fd_write_full(s->fd, p, n);

	if (err && s->is_file)
		(void)!ftruncate(s->fd, (off_t)s->bytes); /* a torn block at the end is what readers skip */
	s->bytes += err ? 0 : n;
	return err;
}

static int fd_sink_sync(void *ctx)
{
	const struct fd_sink *s = ctx;

	return s->is_file && fdatasync(s->fd) < 0 ? -errno : 0;
}

static int write_at_end(struct fmt_writer *w, const void *p, size_t n)
{
	int err = w->sink.write(w->sink.ctx, p, n);

	if (err)
		w->err = err;
	else
		w->stats.bytes += n;
	return err;
}

static int writer_new(int fd, const struct fmt_sink *sink, const u8 uuid[16], int level, struct fmt_writer **ret)
{
	struct fmt_file_header h = {.version = FMT_VERSION, .header_size = FMT_HEADER_SIZE};
	const struct fmt_kind *kinds;
	struct fmt_writer *w = calloc(1, sizeof(*w));
	u8 header[FMT_HEADER_SIZE];
	struct stat st;
	int err;

	if (!w)
		return -ENOMEM;
	w->fd = (struct fd_sink){.fd = fd, .is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)};
	w->sink = sink ? *sink : (struct fmt_sink){.ctx = &w->fd, .write = fd_sink_write, .sync = fd_sink_sync};
	w->level = level;
	fmt_writer_copy_after(w, COPY_AFTER_NS, COPY_BYTES);
	memcpy(w->uuid, uuid, 16);
	memcpy(h.uuid, uuid, 16);
	kinds = fmt_kinds(&w->n_kinds);
	BUG_ON(w->n_kinds > MAX_KINDS);
	for (u32 i = 0; i < w->n_kinds; i++) {
		w->rows[i].kind = &kinds[i];
		w->slot_of[kinds[i].id] = (u8)(i + 1);
	}
	w->index.kind = fmt_kind_by_id(FMT_INDEX);
	w->zstd = ZSTD_createCCtx();
	err = w->zstd ? 0 : -ENOMEM;
	if (!err) {
		fmt_file_header_encode(&h, header);
		err = write_at_end(w, header, sizeof(header));
	}
	if (err) {
		fmt_writer_free(w);
		return err;
	}
	*ret = w;
	return 0;
}

int fmt_writer_new(int fd, const u8 uuid[16], int level, struct fmt_writer **ret)
{
	return writer_new(fd, NULL, uuid, level, ret);
}

int fmt_writer_new_to(const struct fmt_sink *sink, const u8 uuid[16], int level, struct fmt_writer **ret)
{
	return writer_new(-1, sink, uuid, level, ret);
}

void fmt_writer_watch(struct fmt_writer *w, fmt_row_fn fn, void *ctx)
{
	w->watch = fn;
	w->watch_ctx = ctx;
}

void fmt_writer_copy_after(struct fmt_writer *w, u64 ns, size_t bytes)
{
	w->copy_after_ns = ns;
	w->copy_bytes = bytes;
}

struct fmt_writer *fmt_writer_free(struct fmt_writer *w)
{
	if (!w)
		return NULL;
	for (u32 i = 0; i < w->n_kinds; i++)
		fmt_rows_release(&w->rows[i]);
	fmt_rows_release(&w->index);
	free(w->kept_blocks);
	buf_release(&w->kept);
	buf_release(&w->scratch);
	buf_release(&w->raw);
	buf_release(&w->packed);
	ZSTD_freeCCtx(w->zstd);
	free(w);
	return NULL;
}

/* ---- blocks ---- */

static bool goes_into(const struct fmt_kind *k, u16 type)
{
	if (type == FMT_BLOCK_DICTIONARY)
		return (u32)k->id < FIRST_EVENT;
	return (u32)k->id >= FIRST_EVENT && (u32)k->id < FIRST_FOOTER;
}

static void widen_times(const struct fmt_rows *r, struct fmt_block_header *h)
{
	for (u32 k = 0; k < r->rows; k++) {
		u64 ts = r->values[(size_t)k * r->kind->n_cols];

		h->ts_first = min_u64(h->ts_first, ts);
		h->ts_last = max_u64(h->ts_last, ts);
	}
}

/* Encodes the rows that wait for a block of h->type into w->raw; fills counts and time range of *h. */
static int gather_block(struct fmt_writer *w, struct fmt_block_header *h)
{
	const struct fmt_rows *outs = &w->rows[w->slot_of[FMT_SWITCH_OUT] - 1];

	buf_reset(&w->raw);
	h->ts_first = UINT64_MAX;
	for (u32 i = 0; i < w->n_kinds; i++) {
		struct fmt_rows *r = &w->rows[i];
		size_t before = w->raw.len;

		w->encoded[i] = 0;
		if (!r->rows || !goes_into(r->kind, h->type))
			continue;
		fmt_section_encode(r, outs->rows ? outs : NULL, &w->scratch, &w->raw);
		w->encoded[i] = (u32)(w->raw.len - before);
		h->rows += r->rows;
		h->sections++;
		if (r->kind->is_event)
			widen_times(r, h);
	}
	if (h->ts_first == UINT64_MAX && !h->ts_last)
		h->ts_first = 0; /* no event */
	return buf_err(&w->raw);
}

/* Compresses w->raw into w->packed, with the header in front. The sequence number is still to be taken. */
static int pack_block(struct fmt_writer *w, struct fmt_block_header *h)
{
	size_t bound = fmt_compress_bound(w->raw.len), n;
	u8 *p;

	BUG_ON(w->raw.len > FMT_MAX_RAW);
	buf_reset(&w->packed);
	p = buf_reserve(&w->packed, FMT_BLOCK_HEADER + bound);
	if (!p)
		return -ENOMEM;
	n = fmt_compress(w->zstd, w->level, w->raw.data, w->raw.len, p + FMT_BLOCK_HEADER, bound);
	if (ZSTD_isError(n))
		return -ENOMEM; /* with room for the bound, memory is all that can fail */
	BUG_ON(n > FMT_MAX_PAYLOAD);
	h->flags = FMT_FLAG_ZSTD;
	h->seq = w->seq;
	h->payload_size = (u32)n;
	h->raw_size = (u32)w->raw.len;
	h->payload_sum = XXH3_64bits(p + FMT_BLOCK_HEADER, n);
	memcpy(&h->uuid_lo, w->uuid, 8);
	fmt_block_header_encode(h, p);
	w->packed.len = FMT_BLOCK_HEADER + n;
	return 0;
}

/* Header and payload in one write(2), so that a crash leaves a block whole or torn, never headless. */
static int write_block(struct fmt_writer *w, const struct fmt_block_header *h, const u8 *p)
{
	const struct fmt_index row = {.offset = w->stats.bytes,
				      .type = h->type,
				      .seq = h->seq,
				      .ts_first = h->ts_first,
				      .ts_last = h->ts_last,
				      .rows = h->rows,
				      .copy_of = h->copy_of};
	int err = fmt_rows_add(&w->index, &row, NULL, 0);

	if (err && err != -EFBIG) /* more blocks than an index holds: the footer is redundant, a reader scans */
		return err;
	err = write_at_end(w, p, FMT_BLOCK_HEADER + (size_t)h->payload_size);
	if (err)
		return err;
	w->seq++;
	w->stats.blocks++;
	for (u32 i = 0; i < w->index.kind->n_cols; i++)
		((u64 *)&w->index_or)[i] |= ((const u64 *)&row)[i];
	return 0;
}

/* What was gathered is in the file. */
static void account_block(struct fmt_writer *w, const struct fmt_block_header *h)
{
	u64 stored = FMT_BLOCK_HEADER + h->payload_size;

	for (u32 i = 0; i < w->n_kinds; i++) {
		if (!w->encoded[i])
			continue;
		w->sums[i].rows += w->rows[i].rows;
		w->sums[i].encoded += w->encoded[i];
		w->sums[i].stored += STORED_UNIT * stored * w->encoded[i] / h->raw_size;
		w->pending_rows -= w->rows[i].rows;
		fmt_rows_clear(&w->rows[i]);
	}
	w->stats.rows += h->rows;
	w->stats.raw += h->raw_size;
}

/* Remembers the dictionary block in w->packed until its copy is written. */
static int keep_block(struct fmt_writer *w, const struct fmt_block_header *h)
{
	if (w->n_kept == w->cap_kept) {
		size_t cap = w->cap_kept ? w->cap_kept * 2 : 16;
		struct kept_block *blocks = reallocarray(w->kept_blocks, cap, sizeof(*blocks));

		if (!blocks)
			return -ENOMEM;
		w->kept_blocks = blocks;
		w->cap_kept = cap;
	}
	w->kept_blocks[w->n_kept] = (struct kept_block){.h = *h, .off = w->kept.len};
	buf_put(&w->kept, w->packed.data, w->packed.len);
	if (buf_err(&w->kept))
		return buf_err(&w->kept);
	if (!w->n_kept++)
		w->kept_since = clock_ns(CLOCK_MONOTONIC);
	return 0;
}

/* All rows that go into a block of this type. */
static int write_rows(struct fmt_writer *w, u16 type)
{
	struct fmt_block_header h = {.type = type};
	int err = gather_block(w, &h);

	if (err || !h.sections)
		return err;
	err = pack_block(w, &h);
	if (!err && type == FMT_BLOCK_DICTIONARY)
		err = keep_block(w, &h); /* first, so that none is written that would have no copy */
	if (!err)
		err = write_block(w, &h, w->packed.data);
	if (!err)
		account_block(w, &h);
	return err;
}

static bool copies_are_due(const struct fmt_writer *w)
{
	return w->n_kept && (w->kept.len >= w->copy_bytes || clock_ns(CLOCK_MONOTONIC) - w->kept_since >= w->copy_after_ns);
}

static int write_copies(struct fmt_writer *w)
{
	int err = 0;

	for (size_t i = 0; !err && i < w->n_kept; i++) {
		struct fmt_block_header h = w->kept_blocks[i].h;
		u8 *p = w->kept.data + w->kept_blocks[i].off;

		h.type = FMT_BLOCK_COPY;
		h.copy_of = h.seq;
		h.seq = w->seq;
		fmt_block_header_encode(&h, p);
		err = write_block(w, &h, p);
	}
	w->n_kept = 0;
	buf_reset(&w->kept);
	return err;
}

/* A passed block's share of what the footer sums up. */
static void account_passed(struct fmt_writer *w, const struct fmt_block_header *h, const struct fmt_section *sections, u32 n)
{
	u64 stored = FMT_BLOCK_HEADER + h->payload_size;

	for (u32 i = 0; i < n; i++) {
		u32 id = sections[i].kind_id, slot = id < ARRAY_SIZE(w->slot_of) ? w->slot_of[id] : 0;

		if (!slot)
			continue;
		w->sums[slot - 1].rows += sections[i].rows;
		w->sums[slot - 1].encoded += sections[i].encoded_size;
		w->sums[slot - 1].stored += h->raw_size ? STORED_UNIT * stored * sections[i].encoded_size / h->raw_size : 0;
	}
	w->stats.rows += h->rows;
	w->stats.raw += h->raw_size;
}

static int writer_fail(struct fmt_writer *w, int err)
{
	if (!w->err)
		w->err = err;
	return w->err;
}

/* The kernel reports a lost write once: never trust a retry. */
static int sync_sink(struct fmt_writer *w)
{
	int err = w->sink.sync(w->sink.ctx);

	return err ? writer_fail(w, err) : 0;
}

int fmt_writer_flush(struct fmt_writer *w)
{
	int err = w->err;

	if (!err && w->pending_rows)
		err = write_rows(w, FMT_BLOCK_DICTIONARY);
	if (!err && w->pending_rows)
		err = write_rows(w, FMT_BLOCK_EVENTS);
	if (!err && copies_are_due(w))
		err = write_copies(w);
	return err ? writer_fail(w, err) : 0;
}

int fmt_writer_pass(struct fmt_writer *w, const struct fmt_block_header *h, const struct fmt_section *sections, u32 n,
		    const void *payload)
{
	struct fmt_block_header mine = *h;
	int err = fmt_writer_flush(w);
	u8 *p;

	BUG_ON(w->finished || h->type == FMT_BLOCK_FOOTER || h->type == FMT_BLOCK_COPY || h->payload_size > FMT_MAX_PAYLOAD);
	if (err)
		return err;
	buf_reset(&w->packed);
	p = buf_reserve(&w->packed, FMT_BLOCK_HEADER + (size_t)h->payload_size);
	if (!p)
		return writer_fail(w, -ENOMEM);
	mine.seq = w->seq;
	mine.copy_of = 0;
	mine.payload_sum = XXH3_64bits(payload, h->payload_size);
	memcpy(&mine.uuid_lo, w->uuid, 8);
	fmt_block_header_encode(&mine, p);
	memcpy(p + FMT_BLOCK_HEADER, payload, h->payload_size);
	w->packed.len = FMT_BLOCK_HEADER + (size_t)h->payload_size;
	if (h->type == FMT_BLOCK_DICTIONARY)
		err = keep_block(w, &mine);
	if (!err)
		err = write_block(w, &mine, w->packed.data);
	if (!err)
		account_passed(w, &mine, sections, n);
	if (!err && copies_are_due(w))
		err = write_copies(w);
	return err ? writer_fail(w, err) : 0;
}

int fmt_writer_row(struct fmt_writer *w, enum fmt_kind_id kind, const void *row, const void *payload, size_t n)
{
	struct fmt_rows *r;
	int err;

	BUG_ON((u32)kind >= FIRST_FOOTER || !w->slot_of[kind] || w->finished);
	if (w->err)
		return w->err;
	r = &w->rows[w->slot_of[kind] - 1];
	err = fmt_rows_add(r, row, payload, n);
	if (err == -EFBIG)
		return err;
	if (err)
		return writer_fail(w, err);
	w->pending_rows++;
	if (w->watch)
		w->watch(w->watch_ctx, kind, row);
	if (w->pending_rows >= BLOCK_ROWS || r->payload.len >= BLOCK_PAYLOAD)
		return fmt_writer_flush(w);
	return 0;
}

int fmt_writer_sync(struct fmt_writer *w)
{
	int err = fmt_writer_flush(w);

	return err ? err : sync_sink(w);
}

/* ---- the end ---- */

static int sum_rows(const struct fmt_writer *w, struct fmt_rows *ret)
{
	int err = 0;

	for (u32 i = 0; i < w->n_kinds && !err; i++) {
		const struct kind_sum *s = &w->sums[i];
		const struct fmt_kind_total row = {.kind = (u64)w->rows[i].kind->id,
						   .rows = s->rows,
						   .encoded = s->encoded,
						   .stored = (s->stored + STORED_UNIT / 2) / STORED_UNIT};

		if (s->rows)
			err = fmt_rows_add(ret, &row, NULL, 0);
	}
	return err;
}

/* The footer's rows into w->raw. */
static int gather_footer(struct fmt_writer *w, struct fmt_block_header *h)
{
	struct fmt_rows sums = {.kind = fmt_kind_by_id(FMT_KIND_TOTAL)};
	int err = sum_rows(w, &sums);

	*h = (struct fmt_block_header){.type = FMT_BLOCK_FOOTER, .sections = 2, .rows = w->index.rows + sums.rows};
	buf_reset(&w->raw);
	if (!err) {
		fmt_section_encode(&w->index, NULL, &w->scratch, &w->raw);
		if (w->raw.len > FMT_MAX_RAW / 2) { /* it is redundant, the limits are not */
			fmt_rows_clear(&w->index);
			h->rows = sums.rows;
			buf_reset(&w->raw);
			fmt_section_encode(&w->index, NULL, &w->scratch, &w->raw);
		}
		fmt_section_encode(&sums, NULL, &w->scratch, &w->raw);
		err = buf_err(&w->raw);
	}
	fmt_rows_release(&sums);
	return err;
}

static int write_footer(struct fmt_writer *w)
{
	struct fmt_trailer t = {.footer_off = w->stats.bytes, .blocks = w->seq + 1};
	u8 trailer[FMT_TRAILER_SIZE];
	struct fmt_block_header h;
	int err = gather_footer(w, &h);

	if (!err)
		err = pack_block(w, &h);
	if (!err)
		err = write_at_end(w, w->packed.data, w->packed.len);
	if (err)
		return err;
	fmt_trailer_encode(&t, trailer);
	return write_at_end(w, trailer, sizeof(trailer));
}

int fmt_writer_finish(struct fmt_writer *w)
{
	int err = fmt_writer_flush(w);

	if (err)
		return err;
	w->finished = true;
	err = write_copies(w);
	if (!err)
		err = write_footer(w);
	return err ? writer_fail(w, err) : sync_sink(w);
}

/* Bytes in the file of a block of so many raw ones, at most. */
static u64 block_bound(u64 raw)
{
	return raw ? FMT_BLOCK_HEADER + fmt_compress_bound(raw) : 0;
}

static u64 section_bound(const struct fmt_rows *r)
{
	u64 value = r->kind->payload == FMT_PAYLOAD_LIST ? VALUE_BOUND / sizeof(u64) + 1 : 1; /* of a byte of r->payload */

	if (!r->rows)
		return 0;
	return COLUMN_BOUND * (r->kind->n_cols + 2ULL) + (u64)r->rows * (r->kind->n_cols + 1ULL) * VALUE_BOUND +
	       value * r->payload.len;
}

/* Of `more` rows more than there are, with no new bits in their values. */
static u64 index_bound(const struct fmt_writer *w, u64 more)
{
	u64 row = 0;

	for (u32 i = 0; i < w->index.kind->n_cols; i++) {
		u64 bits = 64 - (u64)__builtin_clzll(((const u64 *)&w->index_or)[i] | 255);

		row += min_u64((bits + 2) / 7 + 2, VALUE_BOUND); /* of a difference; its share of a dictionary */
	}
	return COLUMN_BOUND * (w->index.kind->n_cols + 1ULL) + (w->index.rows + more) * row +
	       more * VALUE_BOUND * w->index.kind->n_cols;
}

u64 fmt_writer_closing_size(const struct fmt_writer *w)
{
	u64 dictionary = 0, events = 0;

	if (w->err || w->finished)
		return 0;
	for (u32 i = 0; w->pending_rows && i < w->n_kinds; i++) {
		if (goes_into(w->rows[i].kind, FMT_BLOCK_DICTIONARY))
			dictionary += section_bound(&w->rows[i]);
		else
			events += section_bound(&w->rows[i]);
	}
	return 2 * block_bound(dictionary) + block_bound(events) + w->kept.len +
	       block_bound(index_bound(w, w->n_kept + 3) + (w->n_kinds + 1) * 4ULL * VALUE_BOUND + 5ULL * COLUMN_BOUND) +
	       FMT_TRAILER_SIZE;
}

const struct fmt_writer_stats *fmt_writer_stats(const struct fmt_writer *w)
{
	return &w->stats;
}
