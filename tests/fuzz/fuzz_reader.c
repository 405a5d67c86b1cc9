/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_reader.c: any bytes as a capture file: read to the end, every value looked at, twice. Linked with libFuzzer, or with
 * fuzz_replay.c where there is none.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "format/fmt_block.h"
#include "format/fmt_reader.h"
#include "tests/fuzz/fuzz.h"

/* A broken promise of fmt_reader.h, as libFuzzer wants to hear of it. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

static u64 sum_section(const struct fmt_section *s)
{
	u64 row[FMT_MAX_COLUMNS];
	u64 sum = s->encoded_size;

	if (!s->kind || !s->rows)
		return sum;
	fmt_section_row(s, s->rows - 1, row);
	for (u32 c = 0; c < s->kind->n_cols; c++) {
		MUST(row[c] == s->cols[c][s->rows - 1]);
		sum = sum * 3 + XXH3_64bits(s->cols[c], s->rows * sizeof(u64)); /* not instrumented, so it is quick */
	}
	if (s->payload_off) {
		MUST(!s->payload_off[0]);
		for (u32 i = 0; i < s->rows; i++)
			MUST(s->payload_off[i] <= s->payload_off[i + 1]);
		sum += s->list	  ? XXH3_64bits(s->list, s->payload_off[s->rows] * sizeof(u64))
		       : s->bytes ? XXH3_64bits(s->bytes, s->payload_off[s->rows])
				  : 0;
	}
	return sum;
}

static u64 sum_block(struct fmt_reader *r, const struct fmt_block *b)
{
	const struct fmt_ref *refs;
	u64 sum = b->ts_first + b->ts_last, rows = 0, before = 0;
	int n;

	for (u32 i = 0; i < b->n_sections; i++) {
		sum = sum * 3 + sum_section(&b->sections[i]);
		rows += b->sections[i].rows;
	}
	MUST(!b->n_sections || rows == b->rows);
	n = fmt_block_events(r, b, &refs);
	MUST(n >= 0 && (u64)n <= rows);
	for (int i = 0; i < n; i++) {
		MUST(refs[i].ts >= before && refs[i].section < b->n_sections);
		MUST(refs[i].row < b->sections[refs[i].section].rows &&
		     b->sections[refs[i].section].cols[0][refs[i].row] == refs[i].ts);
		before = refs[i].ts;
	}
	return sum;
}

static u64 sum_capture(struct fmt_reader *r, size_t size)
{
	const struct fmt_health *h = fmt_reader_health(r);
	u64 sum = 0, blocks = 0, next_seq = 0, next_off = 0;
	struct fmt_block b;
	int n;

	while ((n = fmt_reader_next(r, &b)) == 1) {
		sum = sum * 5 + sum_block(r, &b);
		MUST(b.seq >= next_seq && b.offset >= next_off && b.offset + b.stored_size <= size);
		next_seq = b.seq + 1;
		if (!b.recovered) /* that lies where its copy does */
			next_off = b.offset + b.stored_size;
		blocks++;
	}
	MUST(n == 0 && h->blocks_intact + h->blocks_recovered == blocks + h->copies && h->file_size == size &&
	     h->bytes_skipped <= size);
	MUST(h->closed_cleanly || h->first_damage.what[0]); /* what is not whole says why */
	MUST(!(h->blocks_damaged + h->blocks_missing + h->bytes_skipped) || h->first_damage.what[0]);
	return sum * 7 + h->blocks_damaged + h->blocks_missing + h->bytes_skipped;
}

/* Damages are told in the order of the file, and lie in it. */
struct told {
	u64 off, n, size;
};

static void note_damage(void *ctx, const struct fmt_damage *d)
{
	struct told *t = ctx;

	MUST(d->off >= t->off && d->end >= d->off && d->end <= t->size && d->what[0]);
	t->off = d->off;
	t->n++;
}

/* Only what is wanted comes, and no more is counted than there is. */
static void read_some(struct fmt_reader *r, u64 seed, size_t size)
{
	struct fmt_want want = {.dictionaries = seed & 1, .events = seed & 2, .copies = seed & 4};
	const struct fmt_health *h = fmt_reader_health(r);
	struct fmt_block b;
	int n;

	if (seed & 8) {
		want.from = seed >> 8 & 0xffffff;
		want.to = want.from + (seed >> 32 & 0xffff);
	}
	fmt_reader_want(r, &want);
	fmt_reader_rewind(r);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		MUST(b.type != FMT_BLOCK_DICTIONARY || want.dictionaries);
		MUST(b.type != FMT_BLOCK_COPY || want.copies);
		MUST(b.type != FMT_BLOCK_EVENTS ||
		     (want.events && (!want.to || b.ts_first <= want.to) && b.ts_last >= want.from));
	}
	MUST(n == 0 && h->bytes_skipped <= size);
	MUST(h->blocks_recovered <= h->blocks_damaged || h->blocks_recovered - h->blocks_damaged <= h->blocks_missing);
	n = fmt_reader_footer(r, &b);
	MUST(n >= 0 && (!n || b.type == FMT_BLOCK_FOOTER));
	MUST(!h->closed_cleanly || n == 1);
	fmt_reader_want(r, NULL);
	fmt_reader_rewind(r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz_reader", MFD_CLOEXEC);
	struct fmt_diag diag = {.what = ""};
	struct fmt_reader *r = NULL;
	struct told told = {.size = size};
	char path[64];
	u64 sum;

	MUST(fd >= 0 && fd_write_full(fd, data, size) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fmt_reader_open(path, &r, &diag) < 0) {
		MUST(!r && diag.what[0]);
		return 0;
	}
	fmt_reader_on_damage(r, note_damage, &told);
	sum = sum_capture(r, size);
	MUST((told.n != 0) == (fmt_reader_health(r)->first_damage.what[0] != 0));
	fmt_reader_on_damage(r, NULL, NULL);
	read_some(r, XXH3_64bits(data, size), size);
	MUST(sum_capture(r, size) == sum);
	fmt_reader_close(r);
	return 0;
}
