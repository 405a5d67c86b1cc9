/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * damage.c: a capture of 64 KiB with every bit flipped, cut at every byte, its blocks dropped, repeated, swapped, mixed with another capture's, holes torn into
 * it, rubbish behind it. Prints TAP.
 *
 *	damage [--every N]	each N-th bit, cut and place only; 1 (all) unless told
 *
 * What must hold for each: no crash; reading ends; the blocks that come back are those that are intact, exactly, each once, in order; a flip is always told of,
 * costs at most the block it is in, and no name: where that block is a dictionary, its copy is given in its place.
 */
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/fdio.h"
#include "base/parse.h"
#include "format/fmt_block.h"
#include "tests/reliability/gen.h"
#include "tests/reliability/walk.h"

enum { MAX_PLACES = 64, LEAST_OF_EACH = 3 };

/* A capture in memory, its file, and what an undisturbed reading gives. */
struct subject {
	struct buf file;
	int fd;
	char path[64];
	struct place place[MAX_PLACES];
	u32 n;		       /* places */
	int given[MAX_PLACES]; /* place -> which of the given blocks it is; -1 a copy */
	struct walk whole;
};

/* One test: its first failure, and how many runs it made. */
struct test {
	const char *name;
	u64 runs, failures;
	char first[200];
	struct timespec start;
};

struct tap {
	u32 n, failed;
};

static struct test begin(const char *name)
{
	struct test t = {.name = name};

	(void)clock_gettime(CLOCK_MONOTONIC, &t.start);
	return t;
}

static void end(struct tap *tap, const struct test *t)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	tap->n++;
	tap->failed += t->failures || !t->runs;
	(void)printf("%s %u - %s\n", t->failures || !t->runs ? "not ok" : "ok", tap->n, t->name);
	(void)printf("# %llu runs in %.1f s\n", (unsigned long long)t->runs,
		     (double)(now.tv_sec - t->start.tv_sec) + (double)(now.tv_nsec - t->start.tv_nsec) / 1e9);
	if (t->failures)
		(void)printf("# %llu failures, the first: %s\n", (unsigned long long)t->failures, t->first);
	(void)fflush(stdout);
}

static void __printf_fmt(2, 3) fail(struct test *t, const char *fmt, ...)
{
	va_list ap;

	if (!t->failures++) {
		va_start(ap, fmt);
		(void)vsnprintf(t->first, sizeof(t->first), fmt, ap);
		va_end(ap);
	}
}

/* ---- the subject ---- */

static int place_file(int *ret_fd, char path[64])
{
	*ret_fd = memfd_create("damage", MFD_CLOEXEC);
	if (*ret_fd < 0)
		return -errno;
	(void)snprintf(path, 64, "/proc/self/fd/%d", *ret_fd);
	return 0;
}

/* The layout, and which of the given blocks each place became. */
static int understand(struct subject *s)
{
	u32 given = 0;
	int err = walk_path(s->path, &s->whole);

	if (err)
		return err;
	s->n = walk_layout(s->file.data, s->file.len, s->place, MAX_PLACES);
	for (u32 i = 0; i < s->n; i++)
		s->given[i] = s->place[i].type == TYPE_COPY ? -1 : (int)given++;
	return s->n && given == s->whole.n && s->whole.health.closed_cleanly && !s->whole.unresolved ? 0 : -EBADMSG;
}

static int subject_make(struct subject *s, const struct gen_plan *p)
{
	int err = place_file(&s->fd, s->path);

	if (!err)
		err = gen_capture(s->fd, p);
	if (!err && lseek(s->fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (!err)
		err = fd_read_all(s->fd, &s->file, 1 << 20);
	return err ? err : understand(s);
}

static void put_back(const struct subject *s)
{
	if (ftruncate(s->fd, (off_t)s->file.len) < 0 || pwrite(s->fd, s->file.data, s->file.len, 0) != (ssize_t)s->file.len)
		abort();
}

/* ---- what must come back ---- */

/* The blocks of w are those of s but the ones in `lost` (by place). */
static void expect_all_but(struct test *t, const struct subject *s, const struct walk *w, u64 lost, const char *where, u64 at)
{
	u32 n = 0;

	if (w->err)
		fail(t, "%s %llu: reading stopped with %d", where, (unsigned long long)at, w->err);
	for (u32 i = 0; i < s->n; i++) {
		int k = s->given[i];

		if (k < 0 || lost & 1ULL << i)
			continue;
		if (n >= w->n || w->seq[n] != s->whole.seq[k] || w->digest[n] != s->whole.digest[k])
			fail(t, "%s %llu: block %llu is not given, or not as it was", where, (unsigned long long)at,
			     (unsigned long long)s->whole.seq[k]);
		n++;
	}
	if (w->n != n)
		fail(t, "%s %llu: %u blocks given instead of %u", where, (unsigned long long)at, w->n, n);
}

static bool is_told(const struct walk *w)
{
	return w->health.first_damage.what[0] != 0;
}

/* Which places are lost when the bytes [from, to) are: dictionaries have a copy elsewhere, and copies themselves are not given. */
static u64 lost_with(const struct subject *s, u64 from, u64 to)
{
	u64 touched = 0, lost = 0;

	for (u32 i = 0; i < s->n; i++)
		if (s->place[i].off < to && s->place[i].end > from)
			touched |= 1ULL << i;
	for (u32 i = 0; i < s->n; i++) {
		bool saved = false;

		for (u32 k = 0; k < s->n; k++)
			saved |=
				s->place[k].type == TYPE_COPY && s->place[k].copy_of == s->place[i].seq && !(touched & 1ULL << k);
		if (touched & 1ULL << i && s->place[i].type != TYPE_COPY && !(saved && s->place[i].type == TYPE_DICTIONARY))
			lost |= 1ULL << i;
	}
	return lost;
}

static u32 ones(u64 v)
{
	return (u32)__builtin_popcountll(v);
}

/* ---- flips and cuts ---- */

/* Every bit of the file is covered by a checksum or is a checksum: no flip at all goes unseen, reserved fields and file header included. */
static void flip(struct test *t, const struct subject *s, u64 bit)
{
	u64 at = bit / 8, lost = lost_with(s, at, at + 1);
	u8 byte = s->file.data[at] ^ (u8)(1u << bit % 8);
	struct walk w;
	int err;

	if (pwrite(s->fd, &byte, 1, (off_t)at) != 1)
		abort();
	err = walk_path(s->path, &w);
	if (pwrite(s->fd, &s->file.data[at], 1, (off_t)at) != 1)
		abort();
	t->runs++;
	if (err) {
		fail(t, "bit %llu: the file is refused with %d", (unsigned long long)bit, err);
		return;
	}
	expect_all_but(t, s, &w, lost, "bit", bit);
	if (!is_told(&w))
		fail(t, "bit %llu goes unseen", (unsigned long long)bit);
	if (ones(lost) > 1 || w.health.blocks_damaged + w.health.blocks_missing > 1)
		fail(t, "bit %llu costs more than a block", (unsigned long long)bit);
	if (w.names != s->whole.names || w.unresolved)
		fail(t, "bit %llu costs names: %llu references are without", (unsigned long long)bit,
		     (unsigned long long)w.unresolved);
}

static void flip_bits(struct tap *tap, const struct subject *s, u64 every)
{
	struct test t = begin("every flip of a bit is told of, costs a block at most, and no name");

	for (u64 bit = 0; bit < s->file.len * 8; bit += every)
		flip(&t, s, bit);
	end(tap, &t);
}

/* The file is cut shorter and shorter. */
static void cut(struct test *t, const struct subject *s, u64 size)
{
	struct walk w;
	u64 lost = 0;
	int err;

	if (ftruncate(s->fd, (off_t)size) < 0)
		abort();
	err = walk_path(s->path, &w);
	t->runs++;
	if (size < FMT_HEADER_SIZE) {
		if (err != -EBADMSG && err != -ENODATA)
			fail(t, "cut at %llu: a file without a whole header is opened or refused with %d",
			     (unsigned long long)size, err);
		return;
	}
	for (u32 i = 0; i < s->n; i++)
		lost |= (u64)(s->place[i].end > size) << i;
	if (err)
		fail(t, "cut at %llu: refused with %d", (unsigned long long)size, err);
	else
		expect_all_but(t, s, &w, lost, "cut at", size);
	if (!err && (w.health.closed_cleanly || !is_told(&w) || w.health.file_size != size))
		fail(t, "cut at %llu: taken for whole", (unsigned long long)size);
}

static void cut_everywhere(struct tap *tap, const struct subject *s, u64 every)
{
	struct test t = begin("cut at every byte, all whole blocks before the cut come back exactly");

	for (u64 size = s->file.len - 1; size + 1 > every; size -= every)
		cut(&t, s, size);
	put_back(s);
	end(tap, &t);
}

/* n bytes at `at` are `fill`; then as they were. */
static void tear_hole(struct test *t, const struct subject *s, const u8 *fill, u32 n, u64 at)
{
	u64 from = at, to = at + n; /* what changes: a magic in a block's place is none */
	struct walk w;

	while (from < to && s->file.data[from] == fill[from - at])
		from++;
	while (from < to && s->file.data[to - 1] == fill[to - 1 - at])
		to--;
	if (from == to)
		return;
	if (pwrite(s->fd, fill, n, (off_t)at) != (ssize_t)n || walk_path(s->path, &w))
		abort();
	t->runs++;
	expect_all_but(t, s, &w, lost_with(s, from, to), "hole at", at);
	if (!is_told(&w))
		fail(t, "a hole of %u at %llu goes unseen", n, (unsigned long long)at);
	if (pwrite(s->fd, s->file.data + at, n, (off_t)at) != (ssize_t)n)
		abort();
}

/* A hole of zeros, or of what looks like blocks: it costs the blocks that it touches and whose copies it touches, too. */
static void holes(struct tap *tap, const struct subject *s, u64 every)
{
	static const u32 sizes[] = {1, 8, 79, 512, 4096, 20000};
	static const char magic[] = "ABLK";
	enum { LARGEST = 20000 };
	struct test t = begin("holes of zeros and of block magics cost what they touch");
	_cleanup_free_ u8 *fill = calloc(2, LARGEST);

	for (u32 i = 0; fill && i < LARGEST; i++)
		fill[LARGEST + i] = (u8)magic[i % 4];
	for (u32 i = 0; fill && i < 2 * ARRAY_SIZE(sizes); i++) {
		u32 size = sizes[i / 2];

		for (u64 at = FMT_HEADER_SIZE; at + size < s->file.len - FMT_TRAILER_SIZE; at += 11 * every + size / 16)
			tear_hole(&t, s, fill + (size_t)i % 2 * LARGEST, size, at);
	}
	end(tap, &t);
}

/* ---- surgery ---- */

/* A file put together from pieces of captures. */
struct bench {
	int fd;
	char path[64];
	struct buf out;
};

static void add_places(struct bench *b, const struct subject *from, u32 first, u32 last)
{
	if (first < last)
		buf_put(&b->out, from->file.data + from->place[first].off,
			(size_t)(from->place[last - 1].end - from->place[first].off));
}

static void add_header(struct bench *b, const struct subject *from)
{
	buf_reset(&b->out);
	buf_put(&b->out, from->file.data, FMT_HEADER_SIZE);
}

static void add_end(struct bench *b, const struct subject *from)
{
	buf_put(&b->out, from->file.data + from->file.len - FMT_TRAILER_SIZE, FMT_TRAILER_SIZE);
}

static void read_bench(struct bench *b, struct walk *ret)
{
	if (buf_err(&b->out) || ftruncate(b->fd, 0) < 0 || pwrite(b->fd, b->out.data, b->out.len, 0) != (ssize_t)b->out.len ||
	    walk_path(b->path, ret))
		abort();
}

/* Whatever was done with whole blocks: only blocks of the subject are given, each at most once, in order, as they were; what is not whole is told. */
static void expect_some(struct test *t, const struct subject *s, const struct walk *w, const char *what, u64 at)
{
	u32 k = 0;

	t->runs++;
	for (u32 i = 0; i < w->n; i++) {
		while (k < s->whole.n && s->whole.seq[k] < w->seq[i])
			k++;
		if (k == s->whole.n || w->seq[i] != s->whole.seq[k] || w->digest[i] != s->whole.digest[k])
			fail(t, "%s %llu: a block is given that is none of the capture's, out of order or twice", what,
			     (unsigned long long)at);
		k++;
	}
	if (!is_told(w))
		fail(t, "%s %llu goes unseen", what, (unsigned long long)at);
	if (w->err)
		fail(t, "%s %llu: reading stopped with %d", what, (unsigned long long)at, w->err);
}

static void drop_and_repeat(struct tap *tap, const struct subject *s, struct bench *b)
{
	struct test t = begin("blocks dropped or repeated: what is left comes back once, and no name is lost with one block");
	struct walk w;

	for (u32 i = 0; i < s->n; i++) {
		add_header(b, s);
		add_places(b, s, 0, i);
		add_places(b, s, i + 1, s->n);
		add_end(b, s);
		read_bench(b, &w);
		expect_some(&t, s, &w, "drop of", i);
		expect_all_but(&t, s, &w, lost_with(s, s->place[i].off, s->place[i].end), "drop of", i);
		if (w.names != s->whole.names)
			fail(&t, "drop of %u costs names", i);
		for (u32 k = 0; k < s->n; k++) { /* block i once more, behind block k */
			add_header(b, s);
			add_places(b, s, 0, k + 1);
			add_places(b, s, i, i + 1);
			add_places(b, s, k + 1, s->n);
			add_end(b, s);
			read_bench(b, &w);
			expect_some(&t, s, &w, "repeat of", i * 100 + k);
			/* a repeat in front of its original, or behind the footer, may cost what it hides; one behind it costs nothing */
			if (k >= i && k + 1 < s->n)
				expect_all_but(&t, s, &w, 0, "repeat of", i * 100 + k);
		}
	}
	end(tap, &t);
}

static void swap_and_splice(struct tap *tap, const struct subject *s, const struct subject *other, struct bench *b)
{
	struct test t = begin("blocks swapped or of another capture: none is given out of order, and none of the other's");
	struct walk w;

	for (u32 i = 0; i + 1 < s->n; i++) {
		for (u32 k = i + 1; k < s->n; k++) {
			add_header(b, s);
			add_places(b, s, 0, i);
			add_places(b, s, k, k + 1);
			add_places(b, s, i + 1, k);
			add_places(b, s, i, i + 1);
			add_places(b, s, k + 1, s->n);
			add_end(b, s);
			read_bench(b, &w);
			expect_some(&t, s, &w, "swap of", i * 100 + k);
		}
		for (u32 k = 0; k < other->n; k++) {
			add_header(b, s); /* one of the other's in front of block i */
			add_places(b, s, 0, i);
			add_places(b, other, k, k + 1);
			add_places(b, s, i, s->n);
			add_end(b, s);
			read_bench(b, &w);
			expect_some(&t, s, &w, "splice at", i * 100 + k);
			expect_all_but(&t, s, &w, 0, "splice at", i * 100 + k);
			add_header(b, s); /* or in its place */
			add_places(b, s, 0, i);
			add_places(b, other, k, k + 1);
			add_places(b, s, i + 1, s->n);
			add_end(b, s);
			read_bench(b, &w);
			expect_some(&t, s, &w, "splice in place of", i * 100 + k);
			expect_all_but(&t, s, &w, lost_with(s, s->place[i].off, s->place[i].end), "splice in place of",
				       i * 100 + k);
		}
	}
	end(tap, &t);
}

static void two_captures(struct tap *tap, const struct subject *s, const struct subject *other, struct bench *b)
{
	struct test t = begin("two captures in one file, and rubbish behind one: the first is read, nothing twice");
	u64 state = 1;
	struct walk w;

	for (u32 i = 0; i < 5; i++) {
		const struct subject *second = i < 2 ? s : other;
		bool cut_first = i & 1;

		buf_reset(&b->out);
		buf_put(&b->out, s->file.data, cut_first ? (size_t)s->place[s->n - 1].off : s->file.len);
		if (i < 4)
			buf_put(&b->out, second->file.data, second->file.len);
		for (u32 k = 0; i == 4 && k < 5000; k++)
			buf_putc(&b->out, (u8)gen_random(&state));
		read_bench(b, &w);
		expect_some(&t, s, &w, "two captures", i);
		if (w.names != s->whole.names || w.health.closed_cleanly)
			fail(&t, "two captures %u: names are lost, or the file passes for whole", i);
		if (i != 3) /* the first without its footer in front of another: that capture's is not ours */
			expect_all_but(&t, s, &w, 0, "two captures", i);
	}
	end(tap, &t);
}

/* A GiB that was never written, in the middle and at the end. Sparse: it costs no memory. */
static void a_gibibyte_of_zeros(struct tap *tap, const struct subject *s, struct bench *b)
{
	struct test t = begin("a GiB of zeros, in the middle and at the end");
	const off_t gap = 1 << 30;
	struct walk w;

	for (u32 i = 0; i < 2; i++) {
		u64 at = i ? s->place[s->n - 1].off : s->place[s->n / 2].off;

		if (ftruncate(b->fd, 0) < 0 || pwrite(b->fd, s->file.data, (size_t)at, 0) != (ssize_t)at ||
		    (!i && pwrite(b->fd, s->file.data + at, s->file.len - at, (off_t)at + gap) != (ssize_t)(s->file.len - at)) ||
		    (i && ftruncate(b->fd, (off_t)at + gap) < 0) || walk_path(b->path, &w))
			abort();
		expect_some(&t, s, &w, "a GiB of zeros", i);
		expect_all_but(&t, s, &w, i ? 1ULL << (s->n - 1) : 0, "a GiB of zeros", i);
		if (w.health.bytes_skipped < (u64)gap)
			fail(&t, "a GiB of zeros: %llu bytes are told of", (unsigned long long)w.health.bytes_skipped);
	}
	(void)!ftruncate(b->fd, 0);
	end(tap, &t);
}

/* ---- */

/* The test is worth its name only with enough of each sort of block. */
static void look(struct tap *tap, const struct subject *s)
{
	struct test t = begin("the capture has 64 KiB, three blocks of each type and a footer");
	u32 count[5] = {0};

	t.runs = 1;
	for (u32 i = 0; i < s->n; i++)
		if (s->place[i].type < ARRAY_SIZE(count))
			count[s->place[i].type]++;
	if (count[TYPE_EVENTS] < LEAST_OF_EACH || count[TYPE_DICTIONARY] < LEAST_OF_EACH || count[TYPE_COPY] < LEAST_OF_EACH ||
	    count[TYPE_FOOTER] != 1 || s->file.len < 60000 || s->file.len > 72000)
		fail(&t, "%zu bytes, %u events, %u dictionary, %u copy, %u footer", s->file.len, count[TYPE_EVENTS],
		     count[TYPE_DICTIONARY], count[TYPE_COPY], count[TYPE_FOOTER]);
	end(tap, &t);
}

static void run_all(struct tap *tap, const struct subject *s, const struct subject *other, struct bench *b, u64 every)
{
	look(tap, s);
	flip_bits(tap, s, every);
	cut_everywhere(tap, s, every > 7 ? 7 : every);
	holes(tap, s, every > 17 ? 17 : every);
	drop_and_repeat(tap, s, b);
	swap_and_splice(tap, s, other, b);
	two_captures(tap, s, other, b);
	a_gibibyte_of_zeros(tap, s, b);
}

int main(int argc, char **argv)
{
	const struct gen_plan plan = {.seed = 1, .flushes = 4, .entries = 6, .events = 8, .dense = true, .finish = true};
	const struct gen_plan plan2 = {.seed = 2, .flushes = 3, .entries = 2, .events = 2, .finish = true};
	struct subject *c = calloc(2, sizeof(*c));
	struct bench b = {.fd = -1};
	struct tap tap = {0};
	u64 every = 1;

	if ((argc == 3 && (strcmp(argv[1], "--every") != 0 || parse_u64(argv[2], &every) < 0 || !every)) || argc == 2 ||
	    argc > 3) {
		(void)fprintf(stderr, "usage: damage [--every N]\n");
		return 2;
	}
	if (!c || subject_make(&c[0], &plan) || subject_make(&c[1], &plan2) || place_file(&b.fd, b.path)) {
		(void)printf("Bail out! no capture to damage\n");
		return 1;
	}
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20); /* a reader's buffers come and go 500,000 times */
	(void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
	run_all(&tap, &c[0], &c[1], &b, every);
	(void)printf("1..%u\n", tap.n);
	buf_release(&c[0].file);
	buf_release(&c[1].file);
	free(c);
	buf_release(&b.out);
	return tap.failed ? 1 : 0;
}
