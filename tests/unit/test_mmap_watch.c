/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_mmap_watch.c: made-up ring contents, malformed and wrapping; and, where the kernel permits, a child that maps memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "record/mmap_watch.h"

enum { RING = 4096, MAX_SEEN = 64 };

struct news {
	u64 pid, addr, len, ts;
};

struct seen {
	struct news list[MAX_SEEN];
	u32 n;
};

static void note(void *ctx, u32 pid, u64 addr, u64 len, u64 ts)
{
	struct seen *s = ctx;

	if (s->n < MAX_SEEN)
		s->list[s->n++] = (struct news){.pid = pid, .addr = addr, .len = len, .ts = ts};
}

/* A ring under construction. In memory of its own, so that a sanitizer sees reads beside it. */
struct ring {
	u8 *data;
	u64 head;
};

static void put(struct ring *r, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->data[r->head++ % RING] = ((const u8 *)p)[i];
}

static void put_u64(struct ring *r, u64 v)
{
	put(r, &v, sizeof(v));
}

static void put_header(struct ring *r, u32 type, size_t size)
{
	const struct perf_event_header h = {.type = type, .size = (u16)size};

	put(r, &h, sizeof(h));
}

/* With a file name of `name` bytes (a multiple of 8), as the kernel writes it. */
static void put_mmap2(struct ring *r, u32 pid, u64 addr, u64 len, u32 prot, size_t name, u64 ts)
{
	const u32 ids[2] = {pid, pid + 1}, flags[2] = {prot, MAP_PRIVATE};

	put_header(r, PERF_RECORD_MMAP2, 72 + name + 8);
	put(r, ids, sizeof(ids));
	put_u64(r, addr);
	put_u64(r, len);
	put_u64(r, 0x3000); /* offset in the file */
	put_u64(r, 0xfd00000000ULL);
	put_u64(r, 12345);
	put_u64(r, 0);
	put(r, flags, sizeof(flags));
	for (size_t i = 0; i < name; i += 8)
		put_u64(r, 0x6161616161616161ULL);
	put_u64(r, ts);
}

static void start(struct ring *r, u64 at)
{
	r->data = malloc(RING);
	assert_non_null(r->data);
	memset(r->data, 0xee, RING);
	r->head = at;
}

static void whole_records(void **state)
{
	struct mmap_watch_counts c = {0};
	struct seen s = {0};
	struct ring r;
	u64 tail = 0;

	(void)state;
	start(&r, 0);
	put_mmap2(&r, 100, 0x7f0000001000ULL, 0x2000, PROT_READ | PROT_EXEC, 24, 111);
	put_header(&r, PERF_RECORD_COMM, 32); /* not asked for */
	put_u64(&r, 1);
	put_u64(&r, 2);
	put_u64(&r, 3);
	put_mmap2(&r, 101, 0x1000, 0x1000, PROT_READ, 8, 222); /* not executable */
	put_mmap2(&r, 102, 0xffffffffff600000ULL, 0x1000, PROT_EXEC, 0, 333);
	put_mmap2(&r, UINT32_MAX, 0x1000, 0x1000, PROT_EXEC, 8, 444); /* of another pid namespace */
	put_mmap2(&r, 103, 0xfffffffffffff000ULL, 0x2000, PROT_EXEC, 8, 555);
	put_mmap2(&r, 103, 0x1000, 0, PROT_EXEC, 8, 666);
	assert_false(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
	assert_int_equal(tail, r.head);
	assert_int_equal(s.n, 2);
	assert_memory_equal(&s.list[0], (&(struct news){.pid = 100, .addr = 0x7f0000001000ULL, .len = 0x2000, .ts = 111}),
			    sizeof(s.list[0]));
	assert_memory_equal(&s.list[1], (&(struct news){.pid = 102, .addr = 0xffffffffff600000ULL, .len = 0x1000, .ts = 333}),
			    sizeof(s.list[1]));
	assert_int_equal(c.news, 2);
	assert_int_equal(c.lost | c.malformed, 0);
	/* nothing new */
	assert_false(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
	assert_int_equal(s.n, 2);
	free(r.data);
}

/* A record at each place around the end of the data area. */
static void wrap_around(void **state)
{
	(void)state;
	for (u64 at = RING - 128; at <= RING + 8; at += 8) {
		u64 began = at + 5ULL * RING, tail = began;
		struct mmap_watch_counts c = {0};
		struct seen s = {0};
		struct ring r;

		start(&r, began);
		put_mmap2(&r, 7, 0x123456789000ULL, 0xabc000, PROT_EXEC, 32, 0x1122334455667788ULL);
		put_mmap2(&r, 8, 0x1000, 0x1000, PROT_EXEC, 8, 9);
		assert_false(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
		assert_int_equal(tail, r.head);
		assert_int_equal(s.n, 2);
		assert_memory_equal(
			&s.list[0],
			(&(struct news){.pid = 7, .addr = 0x123456789000ULL, .len = 0xabc000, .ts = 0x1122334455667788ULL}),
			sizeof(s.list[0]));
		assert_int_equal(s.list[1].ts, 9);
		free(r.data);
	}
}

static void what_was_lost(void **state)
{
	struct mmap_watch_counts c = {.lost = 3};
	struct seen s = {0};
	struct ring r;
	u64 tail = RING - 16;

	(void)state;
	start(&r, tail);
	put_header(&r, PERF_RECORD_LOST, 32);
	put_u64(&r, 77); /* id */
	put_u64(&r, 5);
	put_u64(&r, 1234); /* time */
	put_mmap2(&r, 9, 0x1000, 0x1000, PROT_EXEC, 8, 1);
	assert_true(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
	assert_int_equal(c.lost, 8);
	assert_int_equal(s.n, 1); /* what comes behind counts */
	free(r.data);
}

/* One record with a size that cannot be; the one before counts, the rest is skipped. */
static void malformed(void **state)
{
	static const struct {
		u32 type;
		u16 size;
	} bad[] = {
		{PERF_RECORD_MMAP2, 0},	    {PERF_RECORD_MMAP2, 7},	{PERF_RECORD_MMAP2, 8},	 {PERF_RECORD_MMAP2, 72},
		{PERF_RECORD_MMAP2, 81},    {PERF_RECORD_MMAP2, 65528}, {PERF_RECORD_LOST, 16},	 {PERF_RECORD_LOST, 23},
		{PERF_RECORD_COMM, 4},	    {PERF_RECORD_COMM, 0},	{PERF_RECORD_COMM, 257}, {PERF_RECORD_COMM, 65535},
		{PERF_RECORD_MMAP2, 65535},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mmap_watch_counts c = {0};
		struct seen s = {0};
		struct ring r;
		u64 tail = 64;

		start(&r, tail);
		put_mmap2(&r, 5, 0x1000, 0x1000, PROT_EXEC, 8, 1);
		put_header(&r, bad[i].type, bad[i].size);
		for (u32 k = 0; k < 40; k++)
			put_u64(&r, ~0ULL);
		assert_true(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
		assert_int_equal(tail, r.head);
		assert_int_equal(s.n, 1);
		assert_int_equal(c.malformed, 1);
		/* and the ring goes on */
		put_mmap2(&r, 6, 0x1000, 0x1000, PROT_EXEC, 8, 1);
		assert_false(mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c));
		assert_int_equal(s.n, 2);
		free(r.data);
	}
}

static void a_head_that_cannot_be(void **state)
{
	static const u64 heads[] = {RING + 1, 4, 1ULL << 40, UINT64_MAX};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		struct mmap_watch_counts c = {0};
		struct seen s = {0};
		struct ring r;
		u64 tail = 0;

		start(&r, 0);
		put_mmap2(&r, 5, 0x1000, 0x1000, PROT_EXEC, 8, 1);
		assert_true(mmap_watch_parse(r.data, RING, heads[i], &tail, note, &s, &c));
		assert_int_equal(tail, heads[i]);
		assert_int_equal(s.n, 0);
		assert_int_equal(c.malformed, 1);
		free(r.data);
	}
}

/* Any bytes: it ends, and stays inside (which a sanitizer sees). */
static void any_bytes(void **state)
{
	struct mmap_watch_counts c = {0};
	u64 rng = 77;
	struct ring r;

	(void)state;
	start(&r, 0);
	for (u32 round = 0; round < 20000; round++) {
		u64 began = rng >> 40, tail = began;
		struct seen s = {0};

		r.head = began;
		while (r.head - began < RING - 512) {
			u32 size;

			rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
			size = rng >> 60 ? 80 + (u32)(rng >> 33) % 20 * 8 : (u32)(rng >> 33);
			put_header(&r, rng >> 63 ? PERF_RECORD_MMAP2 : (u32)(rng >> 50) % 24, size);
			for (u32 k = 8; k < size % 512; k += 8)
				put_u64(&r, rng * (k + 1) >> k % 13);
		}
		(void)mmap_watch_parse(r.data, RING, r.head, &tail, note, &s, &c);
		assert_int_equal(tail, r.head);
	}
	assert_true(c.malformed > 1000);
	assert_true(c.news > 1000);
	free(r.data);
}

/* ---- the kernel's ---- */

static void *map_exec(void)
{
	return mmap(NULL, 0x3000, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The child says where. */
static u32 map_in_child(u64 *ret_addr)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		u64 addr;

		(void)mmap(NULL, 0x5000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* no news */
		addr = (u64)(uintptr_t)map_exec();
		_exit(write(ends[1], &addr, sizeof(addr)) != sizeof(addr));
	}
	assert_int_equal(read(ends[0], ret_addr, sizeof(*ret_addr)), sizeof(*ret_addr));
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return (u32)pid;
}

static void news_of_a_child(void **state)
{
	struct mmap_watch_counts c = {0};
	struct mmap_watch *w = NULL;
	u64 addr = 0, before, after;
	struct seen s = {0};
	u32 pid, found = 0;
	int err = mmap_watch_open(&w);

	(void)state;
	if (err == -EPERM || err == -EACCES || err == -ENOSYS)
		skip();
	assert_int_equal(err, 0);
	before = clock_ns(CLOCK_MONOTONIC);
	pid = map_in_child(&addr);
	after = clock_ns(CLOCK_MONOTONIC);
	(void)mmap_watch_drain(w, note, &s, &c);
	for (u32 i = 0; i < s.n; i++) {
		if (s.list[i].pid != pid)
			continue;
		found++;
		assert_int_equal(s.list[i].addr, addr);
		assert_int_equal(s.list[i].len, 0x3000);
		assert_true(s.list[i].ts >= before && s.list[i].ts <= after);
	}
	assert_int_equal(found, 1);
	assert_int_equal(c.malformed, 0);
	assert_null(mmap_watch_free(w));
}

static void nothing_open(void **state)
{
	struct mmap_watch_counts c = {0};

	(void)state;
	assert_false(mmap_watch_drain(NULL, note, NULL, &c));
	assert_null(mmap_watch_free(NULL));
}

/* More than a ring holds: the drain says so. */
static void a_ring_that_is_full(void **state)
{
	struct mmap_watch_counts c = {0};
	struct mmap_watch *w = NULL;
	struct seen s = {0};
	int err = mmap_watch_open(&w);

	(void)state;
	if (err == -EPERM || err == -EACCES || err == -ENOSYS)
		skip();
	assert_int_equal(err, 0);
	for (u32 i = 0; i < 20000; i++) {
		void *at = map_exec();

		assert_true(at != MAP_FAILED);
		assert_int_equal(munmap(at, 0x3000), 0);
	}
	assert_true(mmap_watch_drain(w, note, &s, &c));
	assert_true(c.news > 100 && c.news < 20000);
	assert_int_equal(c.malformed, 0);
	/* the next records fit again, and the first of them says how many were lost */
	c = (struct mmap_watch_counts){0};
	assert_true(map_exec() != MAP_FAILED);
	(void)mmap_watch_drain(w, note, &s, &c);
	assert_true(c.news >= 1);
	assert_null(mmap_watch_free(w));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_records),   cmocka_unit_test(wrap_around),	    cmocka_unit_test(what_was_lost),
		cmocka_unit_test(malformed),	   cmocka_unit_test(a_head_that_cannot_be), cmocka_unit_test(any_bytes),
		cmocka_unit_test(news_of_a_child), cmocka_unit_test(nothing_open),	    cmocka_unit_test(a_ring_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
