/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_room.c: whatever the limit, and whatever is recorded: the file is closed, with all that belongs to its end, and is not larger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "format/fmt_reader.h"
#include "record/room.h"

struct recording {
	struct output *out;
	struct fmt_writer *w;
	struct catalog *cat;
	struct stop stop;
	struct room room;
	char path[64];
	u32 seed;
};

static u32 draw(struct recording *r, u32 below)
{
	r->seed = r->seed * 1664525 + 1013904223;
	return (r->seed >> 8) % below;
}

static void begin(struct recording *r, u64 max_size, u32 seed, int level)
{
	const struct output_opts oo = {.path = r->path, .max_size = max_size, .wake_fd = -1};
	const struct catalog_opts co = {.store_cmdline = false};
	const u8 uuid[16] = {1};
	struct fmt_sink sink;

	*r = (struct recording){.stop = STOP_INIT, .seed = seed};
	(void)snprintf(r->path, sizeof(r->path), "/tmp/test_room.%d", getpid());
	assert_int_equal(output_open(&oo, &r->out), 0);
	sink = output_sink(r->out);
	assert_int_equal(fmt_writer_new_to(&sink, uuid, level, &r->w), 0);
	assert_int_equal(catalog_new(r->w, &co, &r->cat), 0);
	r->room = (struct room){.out = r->out, .w = r->w, .cat = r->cat, .stop = &r->stop};
}

/* An event, sometimes with a new string or a new stack: as hard to compress as they come. */
static void add_record(struct recording *r, u64 n)
{
	struct fmt_switch_in row = {.ts = n * 1000 + draw(r, 900), .thread = 1 + draw(r, 1000), .cpu = draw(r, 64)};
	char text[200];

	assert_int_equal(fmt_writer_row(r->w, FMT_SWITCH_IN, &row, NULL, 0), 0);
	if (!draw(r, 50)) {
		for (u32 i = 0; i < sizeof(text) - 1; i++)
			text[i] = (char)('!' + draw(r, 90));
		text[sizeof(text) - 1] = 0;
		(void)catalog_string(r->cat, text);
	}
	if (!draw(r, 30)) {
		u64 frames[60];

		for (u32 i = 0; i < ARRAY_SIZE(frames); i++)
			frames[i] = 0xffffffff80000000ULL + ((u64)draw(r, 600) << 4);
		(void)catalog_stack(r->cat, n + 1, NULL,
				    &(struct cat_stack){.frames = frames, .n = ARRAY_SIZE(frames), .status = FMT_STACK_WHOLE},
				    row.ts);
	}
	assert_int_equal(catalog_err(r->cat), 0);
}

static u64 finish(struct recording *r)
{
	const u64 limit = output_left(r->out) + fmt_writer_stats(r->w)->bytes;
	struct fmt_reader *reader;
	struct fmt_health health;
	struct fmt_diag diag;
	struct fmt_block b;
	const u64 *addrs;
	struct stat st;
	int n;

	output_closing(r->out);
	for (u32 i = 0; i < 100; i++) { /* as session.c does: totals, and names of the kernel's functions */
		struct fmt_total row = {.value = i};
		char key[40];

		(void)snprintf(key, sizeof(key), "total.of.a.usual.name.%u", i);
		row.key = catalog_string(r->cat, key);
		assert_int_equal(fmt_writer_row(r->w, FMT_TOTAL, &row, NULL, 0), 0);
	}
	n = (int)catalog_kernel_addrs(r->cat, &addrs);
	for (int i = 0; i < n; i++) {
		struct fmt_ksym row = {.addr = addrs[i], .off = draw(r, 4096)};
		char name[32];

		(void)snprintf(name, sizeof(name), "%08x_usual_name_%08x", draw(r, 1 << 24), draw(r, 1 << 24));
		row.name = catalog_string(r->cat, name);
		assert_int_equal(fmt_writer_row(r->w, FMT_KSYM, &row, NULL, 0), 0);
	}
	assert_int_equal(fmt_writer_finish(r->w), 0);
	assert_int_equal(output_err(r->out), 0);
	assert_in_range(fmt_writer_stats(r->w)->blocks, 1, 60 + limit / 4096); /* it does not end in crumbs */
	catalog_free(r->cat);
	fmt_writer_free(r->w);
	assert_int_equal(output_close(r->out, true), 0);
	assert_int_equal(stat(r->path, &st), 0);
	assert_in_range(st.st_size, 1, limit);
	assert_int_equal(fmt_reader_open(r->path, &reader, &diag), 0);
	while ((n = fmt_reader_next(reader, &b)) > 0)
		continue;
	assert_int_equal(n, 0);
	health = *fmt_reader_health(reader);
	assert_true(health.closed_cleanly);
	assert_int_equal(health.blocks_damaged, 0);
	fmt_reader_close(reader);
	assert_int_equal(unlink(r->path), 0);
	return (u64)st.st_size;
}

static u64 run(u64 max_size, u32 seed, u64 flush_every)
{
	struct recording r;
	u32 check_in = 0;

	begin(&r, max_size, seed, 1);
	for (u64 n = 0; r.stop.reason == STOP_NO; n++) {
		assert_in_range(n, 0, 10000000);
		add_record(&r, n);
		if (n % flush_every == flush_every - 1)
			assert_int_equal(fmt_writer_flush(r.w), 0);
		if (check_in-- > 1) /* as session.c does */
			continue;
		assert_int_equal(room_keep(&r.room), 0);
		check_in = r.room.is_short ? 1 : 64;
	}
	assert_int_equal(r.stop.reason, STOP_MAX_SIZE);
	return finish(&r);
}

static void never_larger(void **state)
{
	const u64 limits[] = {128 << 10, 256 << 10, 1 << 20, (1 << 20) + 12345, 4 << 20};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(limits); i++) {
		for (u32 seed = 1; seed <= 3; seed++) {
			u64 size = run(limits[i], seed, seed == 1 ? 1000 : seed == 2 ? 30000 : UINT64_MAX);

			assert_in_range(size, limits[i] / 6, limits[i]); /* and the room is made use of */
			print_message("limit %llu: %llu bytes\n", (unsigned long long)limits[i], (unsigned long long)size);
		}
	}
}

static void room_for_more(void **state)
{
	struct recording r;

	(void)state;
	begin(&r, 256 << 10, 1, 1);
	assert_true(room_has(&r.room, 100 << 10));
	assert_false(room_has(&r.room, 256 << 10));
	assert_int_equal(r.stop.reason, STOP_NO); /* to ask is not to stop */
	(void)finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(never_larger), cmocka_unit_test(room_for_more)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
