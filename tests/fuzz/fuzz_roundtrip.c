/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_roundtrip.c: bytes as orders to the writer: rows of which kinds, with which values and payloads, when to flush. What the reader gives back must be those
 * rows, each kind's in order, and the file must be whole.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "format/fmt_reader.h"
#include "format/fmt_schema.h"
#include "format/fmt_writer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/reliability/gen.h"

/* A broken promise of fmt_writer.h or fmt_reader.h. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

enum { MAX_KINDS = 64, MAX_ROWS = 20000 };

/* What was given to the writer, or came back: a digest of each kind's rows in their order. */
struct tally {
	u64 rows[MAX_KINDS], digest[MAX_KINDS];
};

FUZZ_PLAIN static void note_row(struct tally *t, const struct fmt_kind *kinds, const struct fmt_kind *kind, const u64 *row,
				const void *payload, size_t n)
{
	size_t k = (size_t)(kind - kinds);
	u64 sum = t->digest[k] + 1;

	for (u32 c = 0; c < kind->n_cols; c++)
		sum = (sum ^ row[c]) * 0x9fb21c651e98df25ULL;
	for (size_t i = 0; i < n; i++) {
		u64 v = kind->payload == FMT_PAYLOAD_LIST ? ((const u64 *)payload)[i] : ((const u8 *)payload)[i];

		sum = (sum ^ v) * 0x9fb21c651e98df25ULL;
	}
	t->digest[k] = (sum ^ sum >> 29 ^ n) + 1;
	t->rows[k]++;
}

/* The orders: a byte where there is one, else 0. */
struct orders {
	const u8 *p;
	size_t left;
};

FUZZ_PLAIN static u8 next_byte(struct orders *o)
{
	if (!o->left)
		return 0;
	o->left--;
	return *o->p++;
}

/* How many rows: mostly few, for an input of many kinds and blocks says more than one of rows that it has no bytes for; now and then hundreds. */
FUZZ_PLAIN static u32 next_count(struct orders *o)
{
	u8 n = next_byte(o);

	return n < 232 ? n % 24 : n;
}

/* A value of some width: what is near the value before, small, or any. */
FUZZ_PLAIN static u64 next_value(struct orders *o, u64 before)
{
	u8 how = next_byte(o);
	u64 v = 0;

	if (how < 100)
		return how;
	if (how < 180)
		return before + (how - 140u);
	for (u32 i = 0; i < how % 9u; i++)
		v = v << 8 | next_byte(o);
	return how & 0x40 ? ~v : v;
}

/* `count` rows of one kind. */
FUZZ_PLAIN static void put_rows(struct orders *o, struct fmt_writer *w, const struct fmt_kind *kinds, const struct fmt_kind *kind,
				u32 count, struct tally *t)
{
	size_t unit = kind->payload == FMT_PAYLOAD_LIST ? sizeof(u64) : 1;
	u64 row[FMT_MAX_COLUMNS] = {0}, payload[FMT_MAX_FRAMES + 2];

	for (u32 i = 0; i < count; i++) {
		size_t most = kind->payload == FMT_PAYLOAD_LIST ? FMT_MAX_FRAMES : FMT_MAX_STRING;
		size_t n = kind->payload == FMT_PAYLOAD_NONE ? 0 : next_byte(o);
		u64 v = i;
		int err;

		for (u32 c = 0; c < kind->n_cols; c++)
			row[c] = next_value(o, row[c]);
		if (n > 250)
			n = most + n - 253; /* about the limit */
		for (size_t k = 0; k < (n * unit + sizeof(u64) - 1) / sizeof(u64); k++)
			payload[k] = n < 250 ? (v = next_value(o, v)) : v + k * 0x101;
		err = fmt_writer_row(w, kind->id, row, payload, n);
		MUST(err == (n > most ? -EFBIG : 0));
		if (!err)
			note_row(t, kinds, kind, row, payload, n);
	}
}

/* Obeys; the file is finished unless the last order was to leave it. Returns whether it is. */
static bool write_all(struct orders *o, int fd, const struct fmt_kind *kinds, u32 n_kinds, struct tally *t)
{
	static const u8 uuid[16] = {'r', 'o', 'u', 'n', 'd'};
	struct fmt_writer *w = NULL;
	u32 total = 0;
	bool finish = next_byte(o) < 200;

	MUST(fmt_writer_new(fd, uuid, 1, &w) == 0);
	while (o->left && total < MAX_ROWS) {
		u8 what = next_byte(o);
		u32 count = next_count(o);
		const struct fmt_kind *kind = &kinds[what % n_kinds];

		if (what >= 250)
			MUST(fmt_writer_flush(w) == 0);
		else if (kind->id < FMT_INDEX) /* the footer's are the writer's */
			put_rows(o, w, kinds, kind, count, t);
		total += count;
	}
	MUST((finish ? fmt_writer_finish(w) : fmt_writer_flush(w)) == 0);
	fmt_writer_free(w);
	return finish;
}

static void read_all(int fd, const struct fmt_kind *kinds, struct tally *t, bool finished)
{
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	struct fmt_block b;
	u64 row[FMT_MAX_COLUMNS];
	char path[64];
	int n;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(fmt_reader_open(path, &r, &diag) == 0);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		for (u32 i = 0; i < b.n_sections; i++) {
			const struct fmt_section *s = &b.sections[i];

			MUST(s->kind);
			for (u32 k = 0; s->kind->id < FMT_INDEX && k < s->rows; k++) {
				u32 from = s->payload_off ? s->payload_off[k] : 0,
				    to = s->payload_off ? s->payload_off[k + 1] : 0;

				fmt_section_row(s, k, row);
				note_row(t, kinds, s->kind, row,
					 s->list    ? (const void *)(s->list + from)
					 : s->bytes ? (const void *)(s->bytes + from)
						    : NULL,
					 to - from);
			}
		}
	}
	MUST(n == 0 && fmt_reader_health(r)->closed_cleanly == finished);
	MUST(!finished || !fmt_reader_health(r)->first_damage.what[0]);
	fmt_reader_close(r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz_roundtrip", MFD_CLOEXEC);
	struct orders o = {data, size};
	struct tally given = {0}, got = {0};
	u32 n_kinds;
	const struct fmt_kind *kinds = fmt_kinds(&n_kinds);
	bool finished;

	MUST(fd >= 0 && n_kinds <= MAX_KINDS);
	finished = write_all(&o, fd, kinds, n_kinds, &given);
	read_all(fd, kinds, &got, finished);
	MUST(!memcmp(&given, &got, sizeof(given)));
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, max_size);
}

int fuzz_seeds_write(const char *dir)
{
	u64 state = 9;

	for (u32 i = 0; i < 24; i++) {
		u8 bytes[2000];
		size_t n = i * i * 3 + 4;
		char name[32];
		int err;

		for (size_t k = 0; k < n; k++) {
			u64 r = gen_random(&state);

			/* small counts and near values mostly: long runs of one kind */
			bytes[k] = (u8)(i % 3 == 0 ? r : i % 3 == 1 ? r % 180 : r % 7 == 0 ? r >> 8 : 100 + r % 80);
		}
		(void)snprintf(name, sizeof(name), "orders-%02u", i);
		err = fuzz_seed_save(dir, name, bytes, n);
		if (err)
			return err;
	}
	return 0;
}
