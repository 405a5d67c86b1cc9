/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_reader.c: block by block through a capture, over damage.
 *
 * The position `off` always stands at the place where the next block is expected. A block is taken when its header's checksum, its
 * capture's uuid, its payload's checksum and its decoding all hold. Otherwise:
 *  - header bad: search for the next block magic whose header holds (a header is 80 bytes with a checksum of its own, so its size can be trusted);
 *  - header good, payload bad: the block is damaged; go on behind it, or, where nothing holds there, at the next header in its payload.
 * A sequence number lower than expected is a duplicate (spliced or repeated bytes) and is skipped as damaged, so that nothing is counted twice.
 * A number higher than expected is a hole: before the block behind it is taken, the copies of those that are missing are looked for and delivered.
 *
 * All of it is linear in the size of the file: `off` only grows (search within payloads has a budget), and so does the place `ahead` at which
 * copies are looked for, because copies lie in the order of what they repeat.
 */
#include "format/fmt_reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "format/fmt_block.h"
#include "format/fmt_codec.h"
#include "format/fmt_reader_impl.h"
#include "format/fmt_source.h"

/* ---- open and close ---- */

static void diag_set(struct fmt_diag *d, u64 off, const char *what)
{
	if (!d)
		return;
	d->off = off;
	(void)snprintf(d->what, sizeof(d->what), "%s", what ? what : "unknown");
}

static int read_header(struct fmt_reader *r, struct fmt_diag *reterr)
{
	u8 bytes[FMT_HEADER_SIZE];
	ssize_t n = fmt_source_read(&r->src, 0, bytes, sizeof(bytes));
	struct fmt_file_header h;
	struct fmt_cursor c;
	int err;

	if (n < 0)
		return (int)n;
	c = cur_init(bytes, (size_t)n);
	err = fmt_file_header_decode(&c, &h);
	if (err == -EBADMSG && n == sizeof(bytes) && fmt_file_header_mend(bytes)) {
		struct fmt_cursor mended = cur_init(bytes, sizeof(bytes));

		r->header_mended = true;
		c = mended;
		err = fmt_file_header_decode(&c, &h);
	}
	if (err) {
		diag_set(reterr, 0, c.what);
		return err;
	}
	r->info = (struct fmt_file_info){.version = h.version, .compat = h.compat, .incompat = h.incompat};
	memcpy(r->info.uuid, h.uuid, 16);
	r->first_block = h.header_size;
	fmt_reader_rewind(r);
	return 0;
}

int fmt_reader_open(const char *path, struct fmt_reader **ret, struct fmt_diag *reterr)
{
	struct fmt_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->src.fd = -1;
	fmt_reader_want(r, NULL);
	err = fmt_source_open(&r->src, path);
	if (!err)
		err = read_header(r, reterr);
	if (!err) {
		r->zstd = ZSTD_createDCtx();
		r->sections = calloc(FMT_MAX_SECTIONS, sizeof(*r->sections));
		if (!r->zstd || !r->sections)
			err = -ENOMEM;
	}
	if (err) {
		fmt_reader_close(r);
		return err;
	}
	*ret = r;
	return 0;
}

struct fmt_reader *fmt_reader_close(struct fmt_reader *r)
{
	if (!r)
		return NULL;
	fmt_source_close(&r->src);
	ZSTD_freeDCtx(r->zstd);
	free(r->payload.p);
	free(r->raw.p);
	free(r->sections);
	fmt_arena_release(&r->arena);
	free(r);
	return NULL;
}

void fmt_reader_rewind(struct fmt_reader *r)
{
	r->off = r->first_block;
	r->next_seq = 0;
	r->at_end = false;
	r->end_told = false;
	r->told_to = 0;
	r->has_bad = false;
	r->hole = (struct reader_hole){0};
	r->ahead = (struct reader_ahead){0};
	r->inner_budget = r->src.size;
	r->health = (struct fmt_health){.file_size = r->src.size};
	r->header_to_tell = r->header_mended;
}

void fmt_reader_on_damage(struct fmt_reader *r, void (*fn)(void *ctx, const struct fmt_damage *d), void *ctx)
{
	r->on_damage = fn;
	r->on_damage_ctx = ctx;
}

void fmt_reader_want(struct fmt_reader *r, const struct fmt_want *w)
{
	r->partial = w != NULL;
	r->want = w ? *w : (struct fmt_want){.dictionaries = true, .events = true, .others = true};
}

/* ---- what is told of damage ---- */

static struct fmt_damage damage_at(u64 off, u64 end, const char *what)
{
	struct fmt_damage d = {.off = off, .end = end, .seq = UINT64_MAX};

	(void)snprintf(d.what, sizeof(d.what), "%s", what ? what : "unknown");
	return d;
}

static struct fmt_damage damaged_block(u64 off, u64 end, const struct fmt_block_header *h, const char *what)
{
	struct fmt_damage d = damage_at(off, end, what);

	d.seq = h->seq;
	d.blocks = 1;
	d.type = h->type;
	d.ts_first = h->ts_first;
	d.ts_last = h->ts_last;
	d.rows = h->rows;
	return d;
}

static void tell(struct fmt_reader *r, const struct fmt_damage *d)
{
	if (!r->health.first_damage.what[0])
		diag_set(&r->health.first_damage, d->off, d->what);
	r->told_to = max_u64(r->told_to, d->end);
	if (r->on_damage)
		r->on_damage(r->on_damage_ctx, d);
}

/* FORMAT.md section 2: one byte of the file header was wrong; nothing is lost with it. */
static void tell_header(struct fmt_reader *r)
{
	struct fmt_damage d = damage_at(0, FMT_HEADER_SIZE, "file header: one byte is wrong, and was put right");

	if (!r->header_to_tell)
		return;
	r->header_to_tell = false;
	r->health.bytes_skipped++;
	tell(r, &d);
}

/* Bytes in which no block holds, and no number is missing behind them. */
static void tell_bad(struct fmt_reader *r)
{
	if (r->has_bad)
		tell(r, &r->bad);
	r->has_bad = false;
}

static bool fits(const struct fmt_reader *r, u64 off, const struct fmt_block_header *h)
{
	return off <= r->src.size && reader_stored_size(h) <= r->src.size - off;
}

/* ---- copies of what is lost ---- */

/*
 * Moves `ahead` to the first copy of a block numbered `from` or higher, at or behind r->off: 1, 0 there is none, -errno. Only headers are read. Copies lie in the
 * order of what they repeat, so what was passed is not wanted any more.
 */
static int seek_copy(struct fmt_reader *r, u64 from)
{
	struct reader_ahead *a = &r->ahead;
	const char *what;

	if (a->off < r->off)
		*a = (struct reader_ahead){.off = r->off};
	while (a->off < r->src.size) {
		int n = a->has_copy ? 1 : reader_header_at(r, a->off, &a->h, &what);

		a->has_copy = false;
		if (n < 0)
			return n;
		if (!n || !fits(r, a->off, &a->h)) {
			n = reader_find_header(r, a->off + 1, UINT64_MAX, &a->off);
			if (n < 0)
				return n;
		} else if (a->h.type == FMT_BLOCK_COPY && a->h.copy_of >= from) {
			a->has_copy = true;
			return 1;
		} else {
			a->off += reader_stored_size(&a->h);
		}
	}
	return 0;
}

/* The next of the blocks in the hole that has a copy, as if it lay here: 1 and *ret, 0 there is none, -ENOMEM, -EIO. */
static int recover(struct fmt_reader *r, struct fmt_block *ret)
{
	struct reader_hole *hole = &r->hole;
	const char *what;

	while (hole->next < hole->end) {
		const struct fmt_block_header *h = &r->ahead.h;
		int n = seek_copy(r, hole->next);

		if (n <= 0)
			return n;
		if (h->copy_of >= hole->end)
			return 0;
		n = reader_load_block(r, r->ahead.off, h, ret, &what);
		if (n < 0 && n != -EBADMSG)
			return n;
		hole->next = h->copy_of + 1;
		if (n) {
			n = 0;
			continue; /* the copy is damaged, too */
		}
		ret->type = FMT_BLOCK_DICTIONARY;
		ret->seq = h->copy_of;
		ret->copy_of = 0;
		ret->recovered = true;
		return 1;
	}
	return 0;
}

/* 1 a lost block was recovered, 0 there is no more to recover here, -ENOMEM, -EIO. */
static int fill_hole(struct fmt_reader *r, struct fmt_block *ret)
{
	struct reader_hole *hole = &r->hole;
	int n = r->want.dictionaries ? recover(r, ret) : 0;

	if (n < 0)
		return n;
	if (n) {
		hole->recovered++;
		r->health.blocks_recovered++;
		return 1;
	}
	hole->damage.recovered = hole->recovered == hole->damage.blocks;
	if (hole->damage.recovered)
		hole->damage.type = FMT_BLOCK_DICTIONARY;
	tell(r, &hole->damage);
	*hole = (struct reader_hole){0};
	return 0;
}

static void open_hole(struct fmt_reader *r, u64 first, u64 end, const struct fmt_damage *d)
{
	r->hole = (struct reader_hole){.open = true, .next = first, .end = end, .damage = *d};
}

/* ---- one place in the file ---- */

/* No header holds here: goes on to where one does. */
static int skip_bad(struct fmt_reader *r, const char *what)
{
	u64 start = r->off, end;
	int n = reader_find_header(r, start + 1, UINT64_MAX, &end);

	if (n < 0)
		return n;
	if (!r->has_bad)
		r->bad = damage_at(start, end, what);
	r->bad.end = end;
	r->has_bad = true;
	r->end_told = !n;
	r->health.bytes_skipped += end - start;
	r->off = end;
	return 0;
}

/* The header at off holds, but the file has less than it says. */
static int torn_block(struct fmt_reader *r, const struct fmt_block_header *h)
{
	u64 start = r->off, end;
	struct fmt_damage d;
	int n = reader_find_header(r, start + 1, UINT64_MAX, &end);

	if (n < 0)
		return n;
	d = damaged_block(start, end, h, "file ends inside a block");
	r->end_told = !n;
	r->health.blocks_damaged++;
	r->health.bytes_skipped += end - start;
	r->off = end;
	r->next_seq = h->seq + 1;
	if (h->type == FMT_BLOCK_DICTIONARY)
		open_hole(r, h->seq, h->seq + 1, &d);
	else
		tell(r, &d);
	return 0;
}

/* A block of this number was there already: nothing is counted twice. */
static int repeated_block(struct fmt_reader *r, const struct fmt_block_header *h)
{
	u64 start = r->off, end = start + reader_stored_size(h);
	struct fmt_damage d;
	int n = fits(r, start, h) ? 1 : reader_find_header(r, start + 1, UINT64_MAX, &end);

	if (n < 0)
		return n;
	d = damaged_block(start, end, h, "sequence number repeats");
	r->end_told = !n;
	r->health.blocks_damaged++;
	r->off = end;
	tell(r, &d);
	return 0;
}

/* Numbers are missing before the block at off, which is looked at again when what can be recovered has been delivered. */
static void numbers_missing(struct fmt_reader *r, const struct fmt_block_header *h)
{
	struct fmt_damage d = r->has_bad ? r->bad : damage_at(r->off, r->off, "blocks are missing before this one");

	r->has_bad = false;
	d.seq = r->next_seq;
	d.blocks = h->seq - r->next_seq;
	r->health.blocks_missing += d.blocks;
	open_hole(r, r->next_seq, h->seq, &d);
	r->next_seq = h->seq;
}

/*
 * Where to go on behind a block whose payload does not hold. Usually behind it; but when bytes were cut out of it, nothing holds there, and the next block begins
 * before that. (r->payload is what was read of it.) This search goes over bytes that may be searched again, so it has a budget: the size of the file, all in all.
 */
static int behind_damaged(struct fmt_reader *r, const struct fmt_block_header *h, u64 *ret_off)
{
	u64 next = r->off + reader_stored_size(h), inner;
	struct fmt_block_header after;
	const char *what;
	int n;

	*ret_off = next;
	if (next == r->src.size || h->payload_size > r->inner_budget)
		return 0;
	if (XXH3_64bits(r->payload.p, h->payload_size) == h->payload_sum) /* it is all there: what is in it is wrong */
		return 0;
	n = reader_header_at(r, next, &after, &what);
	if (n)
		return n < 0 ? n : 0;
	r->inner_budget -= h->payload_size;
	n = reader_find_header(r, r->off + FMT_BLOCK_HEADER, next, &inner);
	if (n == 1)
		*ret_off = inner;
	return n < 0 ? n : 0;
}

static int damaged_payload(struct fmt_reader *r, const struct fmt_block_header *h, const char *what)
{
	struct fmt_damage d;
	u64 end;
	int err = behind_damaged(r, h, &end);

	if (err)
		return err;
	d = damaged_block(r->off, end, h, what);
	r->off = end;
	r->next_seq = h->seq + 1; /* a header that holds is believed, whatever became of its payload */
	r->health.blocks_damaged++;
	if (h->type == FMT_BLOCK_DICTIONARY)
		open_hole(r, h->seq, h->seq + 1, &d);
	else
		tell(r, &d);
	return 0;
}

/* The trailer counts as clean only where it belongs: the last bytes of the file, behind the footer it names. */
static int check_trailer(struct fmt_reader *r, u64 footer_off)
{
	u8 bytes[FMT_TRAILER_SIZE];
	ssize_t n = fmt_source_read(&r->src, r->off, bytes, sizeof(bytes));
	u64 behind = r->off + FMT_TRAILER_SIZE;
	struct fmt_cursor c;
	struct fmt_damage d;
	struct fmt_trailer t;

	if (n < 0)
		return (int)n;
	c = cur_init(bytes, (size_t)n);
	if (fmt_trailer_decode(&c, &t) < 0 || t.footer_off != footer_off) {
		d = damage_at(r->off, r->src.size, "trailer missing or damaged");
		r->health.bytes_skipped += r->src.size - r->off;
		tell(r, &d);
	} else if (behind < r->src.size) {
		d = damage_at(behind, r->src.size, "bytes behind the end of the capture");
		r->health.bytes_skipped += r->src.size - behind;
		tell(r, &d);
	} else {
		r->health.closed_cleanly = true;
	}
	r->off = r->src.size;
	r->at_end = true;
	return 0;
}

static bool is_wanted(const struct fmt_reader *r, const struct fmt_block_header *h)
{
	const struct fmt_want *w = &r->want;

	switch (h->type) {
	case FMT_BLOCK_FOOTER:
		return true;
	case FMT_BLOCK_DICTIONARY:
		return w->dictionaries;
	case FMT_BLOCK_EVENTS:
		return w->events && h->ts_last >= w->from && (!w->to || h->ts_first <= w->to);
	case FMT_BLOCK_COPY:
		return w->copies || !r->partial;
	default:
		return w->others;
	}
}

/* Goes behind an intact block, or one that is not wanted. */
static void pass_block(struct fmt_reader *r, const struct fmt_block_header *h)
{
	r->off += reader_stored_size(h);
	r->next_seq = h->seq + 1;
	r->health.ts_last = max_u64(r->health.ts_last, h->ts_last);
}

/* The block at off, whose header holds and has the number that is expected. 1 and *ret; 0 not to be delivered; -ENOMEM, -EIO. */
static int take_block(struct fmt_reader *r, const struct fmt_block_header *h, struct fmt_block *ret)
{
	bool verify_only = h->type == FMT_BLOCK_COPY && !r->want.copies;
	u64 start = r->off;
	const char *what;
	int err;

	if (!is_wanted(r, h)) {
		r->health.blocks_hopped++;
		pass_block(r, h);
		return 0;
	}
	err = verify_only ? reader_read_payload(r, start, h, &what) : reader_load_block(r, start, h, ret, &what);
	if (err == -EBADMSG)
		return damaged_payload(r, h, what);
	if (err)
		return err;
	r->health.blocks_intact++;
	pass_block(r, h);
	if (h->type == FMT_BLOCK_COPY) {
		r->health.copies++;
		r->health.copy_bytes += reader_stored_size(h);
	}
	if (h->type == FMT_BLOCK_FOOTER)
		err = check_trailer(r, start);
	return err ? err : !verify_only;
}

/* What is at off: 1 a block was taken; 0 nothing, or not yet: look again; negative errno. */
static int step(struct fmt_reader *r, struct fmt_block *ret)
{
	struct fmt_block_header h;
	const char *what;
	int n = reader_header_at(r, r->off, &h, &what);

	if (n < 0)
		return n;
	if (!n)
		return skip_bad(r, what);
	if (h.seq > r->next_seq) {
		numbers_missing(r, &h);
		return 0;
	}
	tell_bad(r);
	if (h.seq < r->next_seq)
		return repeated_block(r, &h);
	return fits(r, r->off, &h) ? take_block(r, &h, ret) : torn_block(r, &h);
}

/* A trailer whose footer is damaged (which has been told) or gone. */
static int lone_trailer(struct fmt_reader *r, bool *ret_is_one)
{
	u8 bytes[FMT_TRAILER_SIZE];
	ssize_t n = fmt_source_read(&r->src, r->off, bytes, sizeof(bytes));
	struct fmt_cursor c = cur_init(bytes, n > 0 ? (size_t)n : 0);
	struct fmt_trailer t;
	struct fmt_damage d;

	*ret_is_one = false;
	if (n < 0)
		return (int)n;
	if (r->src.size - r->off != FMT_TRAILER_SIZE || fmt_trailer_decode(&c, &t) < 0)
		return 0;
	*ret_is_one = true;
	if (r->has_bad || r->told_to != r->off || t.blocks > r->next_seq) {
		d = r->has_bad ? r->bad : damage_at(r->off, r->off, "the footer is missing");
		d.seq = t.blocks > r->next_seq ? r->next_seq : UINT64_MAX;
		d.blocks = t.blocks > r->next_seq ? t.blocks - r->next_seq : 0;
		r->health.blocks_missing += d.blocks;
		r->has_bad = false;
		tell(r, &d);
	}
	r->end_told = true;
	return 0;
}

/* The end of the file, and no footer. */
static int end_of_file(struct fmt_reader *r)
{
	struct fmt_damage d =
		damage_at(r->src.size, r->src.size, "no footer: the recording ended abruptly or the file is cut short");
	bool is_trailer = false;
	int err = r->off < r->src.size ? lone_trailer(r, &is_trailer) : 0;

	if (err)
		return err;
	if (r->off < r->src.size && !is_trailer) {
		if (!r->has_bad)
			r->bad = damage_at(r->off, r->src.size, "file ends inside a block header");
		r->bad.end = r->src.size;
		r->has_bad = true;
		r->end_told = true;
		r->health.bytes_skipped += r->src.size - r->off;
	}
	tell_bad(r);
	if (!r->end_told)
		tell(r, &d);
	r->off = r->src.size;
	r->at_end = true;
	return 0;
}

int fmt_reader_next(struct fmt_reader *r, struct fmt_block *ret)
{
	int n = 0;

	tell_header(r);
	while (!n && (r->hole.open || !r->at_end)) {
		if (r->hole.open)
			n = fill_hole(r, ret);
		else if (r->off >= r->src.size || r->src.size - r->off < FMT_BLOCK_HEADER)
			n = end_of_file(r);
		else
			n = step(r, ret);
	}
	r->health.file_size = r->src.size;
	return n;
}

/* ---- the footer ---- */

int fmt_reader_footer(struct fmt_reader *r, struct fmt_block *ret)
{
	u8 bytes[FMT_TRAILER_SIZE];
	u64 at = r->src.size - min_u64(r->src.size, FMT_TRAILER_SIZE);
	ssize_t n = fmt_source_read(&r->src, at, bytes, sizeof(bytes));
	struct fmt_cursor c = cur_init(bytes, n > 0 ? (size_t)n : 0);
	struct fmt_block_header h;
	struct fmt_trailer t;
	const char *what;
	int err;

	if (n < 0)
		return (int)n;
	if (fmt_trailer_decode(&c, &t) < 0 || t.footer_off < r->first_block || t.footer_off >= at)
		return 0;
	err = reader_header_at(r, t.footer_off, &h, &what);
	if (err < 0)
		return err;
	if (!err || h.type != FMT_BLOCK_FOOTER || reader_stored_size(&h) != at - t.footer_off)
		return 0;
	err = reader_load_block(r, t.footer_off, &h, ret, &what);
	return err == -EBADMSG ? 0 : err ? err : 1;
}

u64 fmt_reader_bytes_read(const struct fmt_reader *r)
{
	return r->src.bytes_read;
}

const struct fmt_file_info *fmt_reader_info(const struct fmt_reader *r)
{
	return &r->info;
}

const struct fmt_health *fmt_reader_health(const struct fmt_reader *r)
{
	return &r->health;
}

void fmt_section_row(const struct fmt_section *s, u32 i, void *ret_row)
{
	u64 *out = ret_row;

	for (u32 c = 0; c < s->kind->n_cols; c++)
		out[c] = s->cols[c][i];
}
