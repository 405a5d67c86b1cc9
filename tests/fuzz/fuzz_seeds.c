/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_seeds.c: the captures that fuzzing starts from: every kind, every encoding, every way a file can end. Made by the
 * writer, so that they follow the format; findings lie beside them in the corpus.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "format/fmt_schema.h"
#include "format/fmt_writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/reliability/gen.h"

static const u8 uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* n rows of a kind; `spread` decides which encodings come out: 0 constant, 1 growing, 2 far apart. */
static int put_kind(struct fmt_writer *w, const struct fmt_kind *kind, u32 n, u32 spread)
{
	u64 row[FMT_MAX_COLUMNS], list[FMT_MAX_FRAMES];
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = 0x7f0000000000ULL + i * 4097ULL * spread;
	for (u32 i = 0; i < n && !err; i++) {
		u32 size = kind->payload == FMT_PAYLOAD_NONE ? 0 : (i * 7 + spread) % 20;

		for (u32 c = 0; c < kind->n_cols; c++)
			row[c] = spread == 0   ? c + 1
				 : spread == 1 ? 1000 + i * (c + 1ULL)
					       : (i + 1) * 0x9e3779b97f4a7c15ULL >> (c * 7 % 60);
		err = fmt_writer_row(w, kind->id, row, list, size);
	}
	return err;
}

enum ending { FINISHED, FLUSHED };

/* One block of n rows of each kind in [first, last] for each spread in turn. */
static int put_seed(int fd, u32 first, u32 last, u32 n, u32 blocks, enum ending end)
{
	struct fmt_writer *w;
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);
	int err = fmt_writer_new(fd, uuid, 1, &w);

	if (err)
		return err;
	for (u32 b = 0; b < blocks && !err; b++) {
		for (u32 k = 0; k < n_kinds && !err; k++)
			if ((u32)kinds[k].id >= first && (u32)kinds[k].id <= last && kinds[k].id < FMT_INDEX)
				err = put_kind(w, &kinds[k], n, b % 3);
		if (!err)
			err = fmt_writer_flush(w);
	}
	if (!err && end == FINISHED)
		err = fmt_writer_finish(w);
	fmt_writer_free(w);
	return err;
}

/* References that resolve, and columns of all shapes. */
static int put_generated(const char *dir)
{
	for (u32 i = 0; i < 12; i++) {
		const struct gen_plan plan = {.seed = i,
					      .flushes = i % 4,
					      .entries = 1 + i / 3,
					      .events = i % 3 * 3,
					      .dense = i == 7,
					      .finish = i != 5 && i != 10};
		_cleanup_close_ int fd = -1;
		char path[4096];
		int err;

		(void)snprintf(path, sizeof(path), "%s/generated-%02u.ascope", dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		err = fd < 0 ? -errno : gen_capture(fd, &plan);
		if (err)
			return err;
	}
	return 0;
}

int fuzz_seeds_write(const char *dir)
{
	static const struct {
		const char *name;
		u32 first, last, n, blocks;
		enum ending end;
	} seeds[] = {
		{"empty", 0, 0, 0, 0, FINISHED},
		{"header-only", 0, 0, 0, 0, FLUSHED},
		{"clock", FMT_CLOCK, FMT_CLOCK, 1, 1, FINISHED},
		{"strings", FMT_STRING, FMT_STRING, 12, 3, FINISHED},
		{"stacks", FMT_STACK, FMT_STACK, 12, 3, FINISHED},
		{"dictionaries", FMT_STRING, FMT_TOTAL, 3, 3, FINISHED},
		{"events", FMT_SWITCH_OUT, FMT_GAP, 4, 3, FINISHED},
		{"switches", FMT_SWITCH_OUT, FMT_SWITCH_IN, 40, 3, FINISHED},
		{"many-rows", FMT_SWITCH_IN, FMT_SWITCH_IN, 300, 3, FLUSHED},
		{"everything", FMT_STRING, FMT_GAP, 2, 3, FLUSHED},
	};

	for (u32 i = 0; i < ARRAY_SIZE(seeds); i++) {
		_cleanup_close_ int fd = -1;
		char path[4096];
		int err;

		(void)snprintf(path, sizeof(path), "%s/%s.ascope", dir, seeds[i].name);
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		err = put_seed(fd, seeds[i].first, seeds[i].last, seeds[i].n, seeds[i].blocks, seeds[i].end);
		if (err)
			return err;
	}
	return put_generated(dir);
}
