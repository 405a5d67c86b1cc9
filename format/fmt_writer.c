/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_writer.c: gathers rows by kind and writes them as blocks.
 *
 * Invariants:
 *  1. What precedes a block's first byte in the file is whole: a failed write is cut off again (regular files), so the file stays
 *     valid up to the last whole block.
 *  2. Within a block, dictionary kinds come before event kinds (kinds are encoded in id order), so that an entry added before the event that uses it is
 *     never in a later block than that event.
 *  3. After the first error no byte is written any more; `err` is what every call returns.
 */
#include "format/fmt_writer.h"

#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/fdio.h"
#include "format/fmt_block.h"
#include "format/fmt_codec.h"

#define BLOCK_ROWS    32768u	 /* a block is written when it has this many rows */
#define BLOCK_PAYLOAD (1u << 20) /* or this many bytes of row payloads */
#define MAX_KINDS     32u

/* The sink of a writer that was given an fd. */
struct fd_sink {
	int fd;
	bool is_file;
	u64 bytes; /* in it */
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
	struct fmt_rows index; /* footer rows */
	struct fmt_writer_stats stats;
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

struct fmt_writer *fmt_writer_free(struct fmt_writer *w)
{
	if (!w)
		return NULL;
	for (u32 i = 0; i < w->n_kinds; i++)
		fmt_rows_release(&w->rows[i]);
	fmt_rows_release(&w->index);
	buf_release(&w->scratch);
	buf_release(&w->raw);
	buf_release(&w->packed);
	ZSTD_freeCCtx(w->zstd);
	free(w);
	return NULL;
}

/* Encodes the waiting rows into w->raw; fills counts and time range of *h. */
static int gather_block(struct fmt_writer *w, struct fmt_block_header *h)
{
	u64 first = UINT64_MAX;
	bool has_events = false;

	buf_reset(&w->raw);
	for (u32 i = 0; i < w->n_kinds; i++) {
		struct fmt_rows *r = &w->rows[i];

		if (!r->rows)
			continue;
		fmt_section_encode(r, &w->scratch, &w->raw);
		h->rows += r->rows;
		h->sections++;
		if (!r->kind->is_event)
			continue;
		for (u32 k = 0; k < r->rows; k++) {
			u64 ts = r->values[(size_t)k * r->kind->n_cols];

			first = min_u64(first, ts);
			h->ts_last = max_u64(h->ts_last, ts);
			has_events = true;
		}
	}
	h->ts_first = has_events ? first : 0;
	return buf_err(&w->raw);
}

/* Compresses w->raw and writes header and payload in one write(2), so that a crash leaves a block whole or torn, never headless. */
static int write_block(struct fmt_writer *w, struct fmt_block_header *h)
{
	size_t bound = ZSTD_compressBound(w->raw.len), n;
	u8 *p;

	buf_reset(&w->packed);
	p = buf_reserve(&w->packed, FMT_BLOCK_HEADER + bound);
	if (!p)
		return -ENOMEM;
	n = ZSTD_compressCCtx(w->zstd, p + FMT_BLOCK_HEADER, bound, w->raw.data, w->raw.len, w->level);
	if (ZSTD_isError(n))
		return -ENOMEM; /* with room for the bound, memory is all that can fail */
	h->flags = FMT_FLAG_ZSTD;
	h->seq = w->seq;
	h->payload_size = (u32)n;
	h->raw_size = (u32)w->raw.len;
	h->payload_sum = XXH3_64bits(p + FMT_BLOCK_HEADER, n);
	memcpy(&h->uuid_lo, w->uuid, 8);
	fmt_block_header_encode(h, p);
	return write_at_end(w, p, FMT_BLOCK_HEADER + n);
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
	struct fmt_block_header h = {.type = FMT_BLOCK_EVENTS};
	struct fmt_index entry = {.offset = w->stats.bytes, .type = FMT_BLOCK_EVENTS, .seq = w->seq};
	int err;

	if (w->err || !w->pending_rows)
		return w->err;
	err = gather_block(w, &h);
	if (!err)
		err = write_block(w, &h);
	if (err)
		return writer_fail(w, err);
	entry.ts_first = h.ts_first;
	entry.ts_last = h.ts_last;
	entry.rows = h.rows;
	err = fmt_rows_add(&w->index, &entry, NULL, 0);
	if (err == -EFBIG)
		err = 0; /* more blocks than an index holds: the footer is redundant, a reader scans */
	if (err)
		return writer_fail(w, err);
	for (u32 i = 0; i < w->n_kinds; i++)
		fmt_rows_clear(&w->rows[i]);
	w->stats.rows += w->pending_rows;
	w->stats.raw += w->raw.len;
	w->stats.blocks++;
	w->pending_rows = 0;
	w->seq++;
	return 0;
}

int fmt_writer_row(struct fmt_writer *w, enum fmt_kind_id kind, const void *row, const void *payload, size_t n)
{
	struct fmt_rows *r;
	int err;

	BUG_ON((u32)kind >= ARRAY_SIZE(w->slot_of) || !w->slot_of[kind] || w->finished);
	if (w->err)
		return w->err;
	r = &w->rows[w->slot_of[kind] - 1];
	err = fmt_rows_add(r, row, payload, n);
	if (err == -EFBIG)
		return err;
	if (err)
		return writer_fail(w, err);
	w->pending_rows++;
	if (w->pending_rows >= BLOCK_ROWS || r->payload.len >= BLOCK_PAYLOAD)
		return fmt_writer_flush(w);
	return 0;
}

int fmt_writer_sync(struct fmt_writer *w)
{
	int err = fmt_writer_flush(w);

	return err ? err : sync_sink(w);
}

int fmt_writer_finish(struct fmt_writer *w)
{
	struct fmt_block_header h = {.type = FMT_BLOCK_FOOTER, .sections = 1};
	struct fmt_trailer t;
	u8 trailer[FMT_TRAILER_SIZE];
	int err = fmt_writer_flush(w);

	if (err)
		return err;
	w->finished = true;
	t = (struct fmt_trailer){.footer_off = w->stats.bytes, .blocks = w->seq + 1};
	buf_reset(&w->raw);
	fmt_section_encode(&w->index, &w->scratch, &w->raw);
	h.rows = w->index.rows;
	err = buf_err(&w->raw);
	if (!err)
		err = write_block(w, &h);
	if (err)
		return writer_fail(w, err);
	fmt_trailer_encode(&t, trailer);
	err = write_at_end(w, trailer, sizeof(trailer));
	return err ? err : sync_sink(w);
}

const struct fmt_writer_stats *fmt_writer_stats(const struct fmt_writer *w)
{
	return &w->stats;
}
