/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_throttle.c: cpu.stat files of a hierarchy made by hand, watched for two processes whose /proc/PID/cgroup is a file, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "record/throttle.h"
#include "tests/unit/raw_capture.h"

struct rec {
	char dir[64];
	int fd;
	struct procfs fs;
	struct fmt_writer *w;
	struct catalog *cat;
	struct throttle_watch *t;
	u64 begun;
};

static void put(const struct rec *s, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void make_dir(const struct rec *s, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Process 11 is the file proc-11, and so on; nothing else of them can be opened. */
static int open_proc(void *ctx, const struct proc_request *r)
{
	const struct rec *s = ctx;
	char path[128];
	int fd;

	if (r->file != PROC_CGROUP)
		return -EACCES;
	(void)snprintf(path, sizeof(path), "%s/proc-%u", s->dir, r->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -ESRCH : fd;
}

static int setup(void **state)
{
	static struct cgroup_mounts mounts;
	static const u8 uuid[16] = {7};
	struct rec *s = calloc(1, sizeof(*s));
	struct catalog_opts o = {0};

	*s = (struct rec){.dir = "/tmp/ascope-throttle-XXXXXX",
			  .fd = memfd_create("test_throttle", MFD_CLOEXEC),
			  .begun = clock_ns(CLOCK_MONOTONIC)};
	assert_non_null(mkdtemp(s->dir));
	make_dir(s, "a");
	make_dir(s, "a/b");
	make_dir(s, "c");
	put(s, "cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
	put(s, "a/cpu.stat", "nr_periods 9\nnr_throttled 5\nthrottled_usec 1000\n");
	put(s, "a/b/cpu.stat", "usage_usec 3\n"); /* without the cpu controller */
	put(s, "c/cpu.stat", "nr_throttled 100\nthrottled_usec 100\n");
	put(s, "proc-11", "0::/a/b\n");
	put(s, "proc-12", "0::/a\n");
	(void)snprintf(mounts.v2.point, sizeof(mounts.v2.point), "%s", s->dir);
	(void)snprintf(mounts.v2.root, sizeof(mounts.v2.root), "/");
	s->fs = (struct procfs){open_proc, s};
	o.fs = &s->fs;
	assert_int_equal(fmt_writer_new(s->fd, uuid, 1, &s->w), 0);
	assert_int_equal(catalog_new(s->w, &o, &s->cat), 0);
	assert_int_equal(throttle_watch_new(s->cat, s->w, &mounts, &s->t), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"a/b/cpu.stat", "a/b",     "a/cpu.stat", "a", "c/cpu.stat", "c",
					    "cpu.stat",	    "proc-11", "proc-12",    ""};
	struct rec *s = *state;
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, names[i]);
		(void)remove(path);
	}
	free(s);
	return 0;
}

/* From section to section, and to the next block. */
static bool next_section(struct fmt_reader *r, struct fmt_block *b, u32 *k)
{
	while (!b->n_sections || ++*k >= b->n_sections) {
		if (fmt_reader_next(r, b) != 1)
			return false;
		if (b->n_sections) {
			*k = 0;
			return true;
		}
	}
	return true;
}

/* All rows of a kind as text, `|` between columns and newline between rows, strings by their text; times apart. */
static void rows_of(struct rec *s, char *processes, char *throttles, size_t n)
{
	char path[64], strings[32][64] = {{0}};
	struct fmt_reader *r;
	struct fmt_block b = {.n_sections = 0};
	size_t np = 0, nt = 0;
	u32 k = 0;

	assert_int_equal(catalog_err(s->cat), 0);
	throttle_watch_free(s->t);
	catalog_free(s->cat);
	assert_int_equal(fmt_writer_finish(s->w), 0);
	fmt_writer_free(s->w);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	assert_int_equal(fmt_reader_open(path, &r, NULL), 0);
	*processes = *throttles = 0;
	while (next_section(r, &b, &k)) {
		const struct fmt_section *x = &b.sections[k];

		for (u32 i = 0; i < x->rows; i++) {
			struct fmt_throttle t;
			struct fmt_process p;

			if (x->kind_id == FMT_STRING) {
				memcpy(strings[x->cols[0][i]], x->bytes + x->payload_off[i],
				       x->payload_off[i + 1] - x->payload_off[i]);
			} else if (x->kind_id == FMT_PROCESS) {
				fmt_section_row(x, i, &p);
				np += (size_t)snprintf(processes + np, n - np, "%llu %s\n", (unsigned long long)p.pid,
						       strings[p.cgroup]);
			} else if (x->kind_id == FMT_THROTTLE) {
				fmt_section_row(x, i, &t);
				assert_true(t.ts >= s->begun && t.ts < t.ts_end && t.ts_end <= clock_ns(CLOCK_MONOTONIC));
				nt += (size_t)snprintf(throttles + nt, n - nt, "%s %llu %llu\n", strings[t.cgroup],
						       (unsigned long long)t.periods, (unsigned long long)t.throttled);
			}
		}
	}
	fmt_reader_close(r);
	assert_int_equal(close(s->fd), 0);
}

static void only_growth_is_written(void **state)
{
	struct rec *s = *state;
	char processes[256], throttles[256];

	assert_non_null(catalog_process(s->cat, 11));
	assert_non_null(catalog_process(s->cat, 12)); /* in a, as 11 is below it: one file, one row */
	assert_int_equal(throttle_watch_tick(s->t), 0);
	assert_int_equal(throttle_watch_tick(s->t), 0);
	put(s, "a/cpu.stat", "nr_periods 10\nnr_throttled 6\nthrottled_usec 81000\n");
	assert_int_equal(throttle_watch_tick(s->t), 0);
	put(s, "a/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"); /* goes back: a new beginning */
	put(s, "a/b/cpu.stat", "usage_usec 3\nnr_throttled 1\n");		  /* the controller appears */
	assert_int_equal(throttle_watch_tick(s->t), 0);
	put(s, "a/b/cpu.stat", "usage_usec 3\nnr_throttled 3\n");
	put(s, "a/cpu.stat", "nr_periods 0\nnr_throttled 1\nthrottled_usec 7\n");
	assert_int_equal(throttle_watch_tick(s->t), 0);
	assert_int_equal(throttle_watch_left_out(s->t), 0);
	rows_of(s, processes, throttles, sizeof(processes));
	assert_string_equal(processes, "11 /a/b\n12 /a\n");
	assert_string_equal(throttles, "/a 1 80000000\n/a/b 2 0\n/a 1 7000\n");
}

static void who_moves_is_followed(void **state)
{
	struct rec *s = *state;
	char processes[256], throttles[256];

	assert_non_null(catalog_process(s->cat, 11));
	assert_int_equal(throttle_watch_tick(s->t), 0);
	put(s, "proc-11", "0::/c\n");
	put(s, "a/cpu.stat", "nr_throttled 8\nthrottled_usec 2000\n"); /* before it moved: read a last time */
	put(s, "c/cpu.stat", "nr_throttled 107\nthrottled_usec 100\n");
	assert_int_equal(throttle_watch_tick(s->t), 0); /* c is read for the first time */
	put(s, "a/cpu.stat", "nr_throttled 9\nthrottled_usec 2000\n");
	put(s, "c/cpu.stat", "nr_throttled 108\nthrottled_usec 200\n");
	assert_int_equal(throttle_watch_tick(s->t), 0);
	assert_non_null(catalog_process(s->cat, 12)); /* forked, noticed at the tick */
	catalog_process_exit(s->cat, 11, 0);
	put(s, "c/cpu.stat", "nr_throttled 109\nthrottled_usec 200\n"); /* its last time */
	assert_int_equal(throttle_watch_tick(s->t), 0);
	put(s, "c/cpu.stat", "nr_throttled 119\nthrottled_usec 200\n");
	put(s, "a/cpu.stat", "nr_throttled 10\nthrottled_usec 2000\n");
	assert_int_equal(throttle_watch_tick(s->t), 0);
	rows_of(s, processes, throttles, sizeof(processes));
	assert_string_equal(processes, "11 /a/b\n11 /c\n12 /a\n");
	assert_string_equal(throttles, "/a 3 1000000\n/c 1 100000\n/c 1 0\n/a 1 0\n");
}

static void too_many_are_counted(void **state)
{
	struct rec *s = *state;
	char processes[8192], throttles[256];

	for (u32 pid = 100; pid < 400; pid++)
		assert_non_null(catalog_process(s->cat, pid)); /* of none can anything be read */
	assert_int_equal(throttle_watch_tick(s->t), 0);
	assert_int_equal(throttle_watch_tick(s->t), 0);
	assert_int_equal(throttle_watch_left_out(s->t), 300 - 256);
	rows_of(s, processes, throttles, sizeof(processes));
	assert_string_equal(throttles, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_growth_is_written),
		TEST(who_moves_is_followed),
		TEST(too_many_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
