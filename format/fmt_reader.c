/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_reader.c: block by block through a capture, over damage.
 *
 * The position `off` always stands at the place where the next block is expected. A block is taken when its header's checksum, its
 * capture's uuid, its payload's checksum and its decoding all hold. Otherwise:
 *  - header bad: search byte by byte for the next block magic whose header holds (a header is 80 bytes with a checksum of its own, so its size can be trusted);
 *  - header good, payload bad: the block is damaged; go on behind it.
 * A sequence number lower than expected is a duplicate (spliced or repeated bytes) and is skipped as damaged, so that nothing is counted twice.
 */
#include "format/fmt_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>
#include <zstd.h>

#include "format/fmt_block.h"
#include "format/fmt_codec.h"

struct fmt_reader {
	const u8 *map;
	size_t size;
	u64 off;
	u64 next_seq;
	bool at_end;
	struct fmt_file_info info;
	struct fmt_health health;
	ZSTD_DCtx *zstd;
	u8 *raw; /* FMT_MAX_RAW bytes at most, grown to what is needed */
	size_t raw_cap;
	struct fmt_arena arena;
	struct fmt_section *sections; /* FMT_MAX_SECTIONS */
};

static void diag_set(struct fmt_diag *d, u64 off, const char *what)
{
	if (!d)
		return;
	d->off = off;
	(void)snprintf(d->what, sizeof(d->what), "%s", what ? what : "unknown");
}

static int map_file(struct fmt_reader *r, const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO is refused below, not waited for */
	struct stat st;
	void *p;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESPIPE;
	r->size = (size_t)st.st_size;
	if (!r->size)
		return 0;
	p = mmap(NULL, r->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	r->map = p;
	return 0;
}

static int read_header(struct fmt_reader *r, struct fmt_diag *reterr)
{
	struct fmt_cursor c = cur_init(r->map, r->size);
	struct fmt_file_header h;
	int err = fmt_file_header_decode(&c, &h);

	if (err) {
		diag_set(reterr, 0, c.what);
		return err;
	}
	r->info = (struct fmt_file_info){.version = h.version, .compat = h.compat, .incompat = h.incompat};
	memcpy(r->info.uuid, h.uuid, 16);
	r->off = h.header_size;
	r->health.file_size = r->size;
	return 0;
}

int fmt_reader_open(const char *path, struct fmt_reader **ret, struct fmt_diag *reterr)
{
	struct fmt_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = map_file(r, path);
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
	if (r->map)
		(void)munmap((void *)(uintptr_t)r->map, r->size);
	ZSTD_freeDCtx(r->zstd);
	free(r->raw);
	free(r->sections);
	fmt_arena_release(&r->arena);
	free(r);
	return NULL;
}

void fmt_reader_rewind(struct fmt_reader *r)
{
	struct fmt_cursor c = cur_init(r->map, r->size);
	struct fmt_file_header h;

	if (fmt_file_header_decode(&c, &h) == 0) /* it held at open; the file may have been cut since */
		r->off = h.header_size;
	r->next_seq = 0;
	r->at_end = false;
	r->health = (struct fmt_health){.file_size = r->size};
}

static void note_damage(struct fmt_reader *r, u64 off, const char *what)
{
	if (!r->health.first_damage.what[0])
		diag_set(&r->health.first_damage, off, what);
}

static u64 uuid_lo(const struct fmt_reader *r)
{
	u64 v;

	memcpy(&v, r->info.uuid, 8);
	return v;
}

/* The header at off, when it holds and belongs to this capture. */
static bool header_at(const struct fmt_reader *r, u64 off, struct fmt_block_header *ret, const char **ret_what)
{
	struct fmt_cursor c = cur_init(r->map + off, r->size - off);

	if (fmt_block_header_decode(&c, ret) < 0) {
		*ret_what = c.what;
		return false;
	}
	*ret_what = "block of another capture";
	return ret->uuid_lo == uuid_lo(r);
}

/* Moves off to the next place that looks like a block; false at the end of the file. */
static bool resync(struct fmt_reader *r)
{
	static const u8 magic[4] = {0x41, 0x42, 0x4c, 0x4b}; /* FMT_BLOCK_MAGIC as it lies in the file */
	struct fmt_block_header h;
	const char *what;
	u64 from = r->off;

	for (u64 off = from + 1; off + FMT_BLOCK_HEADER <= r->size; off++) {
		const u8 *p = memmem(r->map + off, r->size - off, magic, sizeof(magic));

		if (!p)
			break;
		off = (u64)(p - r->map);
		if (header_at(r, off, &h, &what)) {
			r->health.bytes_skipped += off - from;
			r->off = off;
			return true;
		}
	}
	r->health.bytes_skipped += r->size - from;
	r->off = r->size;
	return false;
}

static int decompress(struct fmt_reader *r, const struct fmt_block_header *h, const u8 *payload, const char **ret_what)
{
	size_t n;

	*ret_what = "block flags";
	if ((h->flags & ~FMT_FLAGS_KNOWN) || !(h->flags & FMT_FLAG_ZSTD))
		return -EBADMSG;
	if (r->raw_cap < h->raw_size) {
		u8 *raw = malloc(h->raw_size);

		if (!raw)
			return -ENOMEM;
		free(r->raw);
		r->raw = raw;
		r->raw_cap = h->raw_size;
	}
	*ret_what = "zstd frame";
	n = ZSTD_decompressDCtx(r->zstd, r->raw, h->raw_size, payload, h->payload_size);
	return ZSTD_isError(n) || n != h->raw_size ? -EBADMSG : 0;
}

static int decode_block(struct fmt_reader *r, const struct fmt_block_header *h, u64 off, struct fmt_block *b,
			const char **ret_what)
{
	const u8 *payload = r->map + off + FMT_BLOCK_HEADER;
	struct fmt_cursor c;
	u64 rows = 0;
	int err;

	*ret_what = "payload checksum";
	if (XXH3_64bits(payload, h->payload_size) != h->payload_sum)
		return -EBADMSG;
	if (h->type != FMT_BLOCK_DATA && h->type != FMT_BLOCK_FOOTER)
		return 0; /* FORMAT.md section 3: unknown types are skipped */
	err = decompress(r, h, payload, ret_what);
	if (err)
		return err;
	fmt_arena_reset(&r->arena);
	c = cur_init(r->raw, h->raw_size);
	for (u32 i = 0; i < h->sections; i++) {
		err = fmt_section_decode(&c, &r->arena, &r->sections[i]);
		*ret_what = c.what;
		if (err)
			return err;
		rows += r->sections[i].rows;
	}
	*ret_what = "block contents and header disagree";
	if (rows != h->rows || cur_left(&c))
		return -EBADMSG;
	b->sections = r->sections;
	b->n_sections = h->sections;
	return 0;
}

static void fill_block(const struct fmt_reader *r, const struct fmt_block_header *h, struct fmt_block *b)
{
	*b = (struct fmt_block){
		.offset = r->off,
		.type = h->type,
		.seq = h->seq,
		.ts_first = h->ts_first,
		.ts_last = h->ts_last,
		.rows = h->rows,
		.stored_size = FMT_BLOCK_HEADER + h->payload_size,
		.raw_size = h->raw_size,
	};
}

/* The trailer counts as clean only where it belongs: the last bytes of the file, behind the footer it names. */
static void check_trailer(struct fmt_reader *r, u64 footer_off)
{
	struct fmt_cursor c = cur_init(r->map + r->off, r->size - r->off);
	struct fmt_trailer t;

	if (fmt_trailer_decode(&c, &t) < 0 || t.footer_off != footer_off) {
		note_damage(r, r->off, "trailer missing or damaged");
		r->health.bytes_skipped += r->size - r->off;
	} else if (cur_left(&c)) {
		note_damage(r, r->size - cur_left(&c), "bytes behind the end of the capture");
		r->health.bytes_skipped += cur_left(&c);
	} else {
		r->health.closed_cleanly = true;
	}
	r->off = r->size;
}

/* One place in the file: 1 a block was taken, 0 nothing taken (look again or at the end), negative errno. */
static int next_at(struct fmt_reader *r, struct fmt_block *ret)
{
	struct fmt_block_header h;
	const char *what;
	u64 start = r->off;
	int err;

	if (!header_at(r, r->off, &h, &what)) {
		note_damage(r, r->off, what);
		(void)resync(r);
		return 0;
	}
	if (h.payload_size > r->size - r->off - FMT_BLOCK_HEADER) {
		note_damage(r, r->off, "file ends inside a block");
		r->health.blocks_damaged++;
		(void)resync(r);
		return 0;
	}
	fill_block(r, &h, ret);
	r->off += FMT_BLOCK_HEADER + h.payload_size;
	if (h.seq < r->next_seq) {
		note_damage(r, start, "sequence number repeats");
		r->health.blocks_damaged++;
		return 0;
	}
	err = decode_block(r, &h, start, ret, &what);
	if (err == -ENOMEM)
		return err;
	if (h.seq > r->next_seq) {
		note_damage(r, start, "blocks are missing before this one");
		r->health.blocks_missing += h.seq - r->next_seq;
	}
	r->next_seq = h.seq + 1; /* a header that holds is believed, whatever became of its payload */
	if (err) {
		note_damage(r, start, what);
		r->health.blocks_damaged++;
		return 0;
	}
	r->health.blocks_intact++;
	r->health.ts_last = max_u64(r->health.ts_last, h.ts_last);
	if (h.type == FMT_BLOCK_FOOTER) {
		r->at_end = true;
		check_trailer(r, start);
	}
	return 1;
}

int fmt_reader_next(struct fmt_reader *r, struct fmt_block *ret)
{
	while (!r->at_end && r->off < r->size) {
		int n;

		if (r->size - r->off < FMT_BLOCK_HEADER) {
			note_damage(r, r->off, "file ends inside a block header");
			r->health.bytes_skipped += r->size - r->off;
			break;
		}
		n = next_at(r, ret);
		if (n)
			return n;
	}
	if (!r->at_end)
		note_damage(r, r->size, "no footer: the recording ended abruptly or the file is cut short");
	r->at_end = true;
	return 0;
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

/* At equal times: whatever else happened, then switch-outs, then switch-ins: one sched_switch gives an out and an in of the same instant. */
static int event_rank(u32 kind_id)
{
	return kind_id == FMT_SWITCH_IN ? 2 : kind_id == FMT_SWITCH_OUT ? 1 : 0;
}

struct sort_key {
	u64 ts;
	u64 order; /* rank, section, row */
};

static int compare_keys(const void *a, const void *b)
{
	const struct sort_key *x = a, *y = b;

	if (x->ts != y->ts)
		return x->ts < y->ts ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

int fmt_block_events(struct fmt_reader *r, const struct fmt_block *b, const struct fmt_ref **ret)
{
	struct sort_key *keys;
	struct fmt_ref *refs;
	size_t n = 0, max = 0;

	for (u32 s = 0; s < b->n_sections; s++)
		if (b->sections[s].kind && b->sections[s].kind->is_event)
			max += b->sections[s].rows;
	keys = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*keys));
	refs = fmt_arena_alloc(&r->arena, (max + 1) * sizeof(*refs));
	if (!keys || !refs)
		return -ENOMEM;
	for (u32 s = 0; s < b->n_sections; s++) {
		const struct fmt_section *sec = &b->sections[s];

		if (!sec->kind || !sec->kind->is_event)
			continue;
		for (u32 i = 0; i < sec->rows; i++)
			keys[n++] = (struct sort_key){
				.ts = sec->cols[0][i],
				.order = (u64)event_rank(sec->kind_id) << 60 | (u64)s << 32 | i,
			};
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < n; i++)
		refs[i] = (struct fmt_ref){
			.ts = keys[i].ts,
			.section = (u32)(keys[i].order >> 32) & 0xff,
			.row = (u32)keys[i].order,
		};
	*ret = refs;
	return (int)n;
}
