/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_owned_list.c: which row a runtime's memory fits, and the walk of its tasks, on made-up memory: every row of the table, shifted rows, cycles, garbage, counts
 * that do not fit, and lists that change while they are walked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/owned_list.h"
#include "tests/unit/fake_memory.h"

#define NO	 WIRE_NO_FIELD
#define HANDLE	 0x555500000100ULL
#define LISTS	 0x555500010000ULL
#define CORE	 0x555500020000ULL
#define RING	 0x555500028000ULL
#define VTABLES	 0x555500030000ULL
#define TASKS	 0x555500040000ULL
#define OWNER_ID 7
enum { SHARDS = 4, TRAILER = 0x80, ID_OFF = 0x28, TASK_BYTES = 0x100, N_TASKS = 11 };

static struct fake_memory memory;

static u64 task_at(u32 i)
{
	return TASKS + (u64)i * TASK_BYTES;
}

/* Where a task keeps its pointers. */
static u64 links_of(const struct runtime_row *row, u32 i)
{
	return task_at(i) + (row->links_in_header ? 0 : TRAILER);
}

static u64 shard_at(const struct runtime_row *row, u32 i)
{
	return row->shards == NO ? HANDLE : LISTS + (u64)(i % SHARDS) * row->shard_stride;
}

static bool has_ids(const struct runtime_row *row)
{
	return row->vtable_id_offset != NO;
}

static void set_count(const struct runtime_row *row, u64 added, u64 count)
{
	if (row->list_added != NO)
		fake_put(&memory, HANDLE + row->list_added, added);
	if (row->list_count != NO)
		fake_put(&memory, HANDLE + row->list_count, count);
}

/* At the head of its shard, as Tokio does it. */
static void push(const struct runtime_row *row, u32 i)
{
	u64 shard = shard_at(row, i), head, task = task_at(i), step = links_of(row, i) - task;

	assert_int_equal(fake_read(&memory, shard + row->list_head, &head, 8), 0);
	fake_map(&memory, task, TASK_BYTES);
	fake_put(&memory, task, 64 | (i % 2 ? 4 : 0));
	fake_put(&memory, task + row->task_vtable, VTABLES + (i % 2) * 0x100);
	fake_put(&memory, task + row->task_owner_id, OWNER_ID);
	if (has_ids(row))
		fake_put(&memory, task + ID_OFF, 100 + i);
	fake_put(&memory, task + step + row->task_prev, 0);
	fake_put(&memory, task + step + row->task_next, head);
	fake_put(&memory, shard + row->list_head, task);
	if (head)
		fake_put(&memory, head + step + row->task_prev, task);
	else
		fake_put(&memory, shard + row->list_tail, task);
}

static void take_out(const struct runtime_row *row, u32 i)
{
	u64 shard = shard_at(row, i), links = links_of(row, i), step = links - task_at(i), prev, next;

	assert_int_equal(fake_read(&memory, links + row->task_prev, &prev, 8), 0);
	assert_int_equal(fake_read(&memory, links + row->task_next, &next, 8), 0);
	fake_put(&memory, prev ? prev + step + row->task_next : shard + row->list_head, next);
	fake_put(&memory, next ? next + step + row->task_prev : shard + row->list_tail, prev);
	fake_put(&memory, links + row->task_prev, 0);
	fake_put(&memory, links + row->task_next, 0);
}

/* A runtime with n tasks. */
static void build(const struct runtime_row *row, u32 n)
{
	memset(&memory, 0, sizeof(memory));
	fake_map(&memory, HANDLE, 0x800);
	fake_map(&memory, LISTS, SHARDS * 64);
	for (u32 i = 0; i < 0x700; i += 8) /* nothing that is 0 by chance */
		fake_put(&memory, HANDLE + i, 0xabcdef0000000000ULL + i);
	fake_put(&memory, HANDLE, 3);
	fake_put(&memory, HANDLE + 8, 1);
	fake_put(&memory, HANDLE + row->owned_id, OWNER_ID);
	fake_put_u8(&memory, HANDLE + row->owned_closed, 0);
	set_count(row, n, n);
	if (row->shards != NO) {
		fake_put(&memory, HANDLE + row->shards, LISTS);
		fake_put(&memory, HANDLE + row->shards_len, SHARDS);
		fake_put(&memory, HANDLE + row->shard_mask, SHARDS - 1);
	} else {
		fake_put(&memory, HANDLE + row->list_head, 0);
		fake_put(&memory, HANDLE + row->list_tail, 0);
	}
	for (u32 v = 0; v < 2; v++) {
		fake_map(&memory, VTABLES + v * 0x100, 0x100);
		if (row->vtable_trailer_offset != NO)
			fake_put(&memory, VTABLES + v * 0x100 + row->vtable_trailer_offset, TRAILER);
		if (has_ids(row))
			fake_put(&memory, VTABLES + v * 0x100 + row->vtable_id_offset, ID_OFF);
	}
	if (row->inject_len != NO)
		fake_put(&memory, HANDLE + row->inject_len, 2);
	if (row->inject_head != NO) {
		fake_put(&memory, HANDLE + row->inject_head, TASKS);
		fake_put(&memory, HANDLE + row->inject_tail, TASKS + TASK_BYTES);
	}
	if (row->tasks_len != NO) {
		fake_put(&memory, CORE + row->tasks_cap, 64);
		fake_put(&memory, CORE + row->tasks_ptr, RING);
		fake_put(&memory, CORE + row->tasks_head, 60);
		fake_put(&memory, CORE + row->tasks_len, 9);
	}
	for (u32 i = 0; i < n; i++)
		push(row, i);
}

static struct runtime_at at_of(const struct runtime_row *row)
{
	return (struct runtime_at){.handle = HANDLE, .core = row->tasks_len != NO ? CORE : 0, .mt = row->mt};
}

static const char *version_of(const struct runtime_row *row)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "1.%u.%u", row->ranges[0].first / 1000, row->ranges[0].first % 1000);
	return text;
}

static u64 no_time(void)
{
	return 42;
}

static enum owned_status walk(struct owned_walk *w, const struct runtime_row *row, layout_read_fn read, u32 step)
{
	enum owned_status st = OWNED_MORE;

	owned_walk_begin(w, row, HANDLE);
	for (u32 i = 0; i < 5000000 && st == OWNED_MORE; i++)
		st = owned_walk_step(w, step, read, &memory, no_time);
	return st;
}

/* Exactly the tasks from..n-1 are found. */
static void expect_tasks(const struct owned_walk *w, const struct runtime_row *row, u32 from, u32 n)
{
	u32 found, seen = 0;
	const struct owned_task *t = owned_walk_tasks(w, &found);

	assert_int_equal(found, n - from);
	for (u32 i = 0; i < found; i++) {
		u32 k = (u32)((t[i].header - TASKS) / TASK_BYTES);

		assert_in_range(k, from, n - 1);
		assert_int_equal(t[i].id, has_ids(row) ? 100 + k : 0);
		assert_int_equal(t[i].vtable, VTABLES + (k % 2) * 0x100);
		assert_int_equal(t[i].state, 64 | (k % 2 ? 4 : 0));
		assert_int_equal(t[i].ts, 42);
		assert_false(seen & 1u << k);
		seen |= 1u << k;
	}
}

static void each_row(void (*test)(const struct runtime_row *row))
{
	u32 n;
	const struct runtime_row *rows = runtime_rows(&n);

	assert_true(n > 0);
	for (u32 i = 0; i < n; i++)
		test(&rows[i]);
}

/* ---- which row ---- */

static void find_row(const struct runtime_row *row)
{
	const struct runtime_at at = at_of(row);
	struct runtime_layout l;

	build(row, N_TASKS);
	assert_int_equal(runtime_find(version_of(row), &at, fake_read, &memory, &l), RUNTIME_FITS);
	assert_int_equal(l.row->owned_id, row->owned_id);
	assert_int_equal(l.row->list_head, row->list_head);
	assert_int_equal(l.row->shards, row->shards);
	assert_int_equal(l.inject_len, row->inject_len);
	assert_int_equal(l.tasks_len, row->tasks_len);
	/* a version that nobody has built, and none: the same by its shape, or several that fit and none is used */
	assert_in_set(runtime_find("", &at, fake_read, &memory, &l), ((LargestIntegralType[]){RUNTIME_FITS, RUNTIME_AMBIGUOUS}),
		      2);
}

static void test_every_row_is_found(void **state)
{
	(void)state;
	each_row(find_row);
}

/* No task: shards prove a row all the same; a list without does not. */
static void find_empty(const struct runtime_row *row)
{
	const struct runtime_at at = at_of(row);
	struct runtime_layout l;

	build(row, 0);
	assert_int_equal(runtime_find(version_of(row), &at, fake_read, &memory, &l),
			 row->shards == NO ? RUNTIME_EMPTY : RUNTIME_FITS);
}

static void test_an_empty_runtime(void **state)
{
	(void)state;
	each_row(find_empty);
}

/* What the row says is elsewhere than where it is: unknown, whichever way. */
static void shift_row(const struct runtime_row *row)
{
	struct runtime_at at = at_of(row);
	struct runtime_layout l;

	for (int by = -16; by <= 16; by += 8) {
		enum runtime_look look;

		if (!by)
			continue;
		build(row, N_TASKS);
		at.handle = HANDLE + (u64)by;
		fake_put(&memory, at.handle, 3); /* counts of an Arc there, too */
		fake_put(&memory, at.handle + 8, 1);
		look = runtime_find(version_of(row), &at, fake_read, &memory, &l);
		/* another row may lie just that far; then its list is this one's */
		if (look == RUNTIME_FITS)
			assert_int_equal(at.handle + l.row->owned_id, HANDLE + row->owned_id);
		else
			assert_in_set(look, ((LargestIntegralType[]){RUNTIME_NO_ROW, RUNTIME_EMPTY}), 2);
	}
}

static void test_a_shifted_row_is_refused(void **state)
{
	(void)state;
	each_row(shift_row);
}

static void inject_that_does_not_fit(const struct runtime_row *row)
{
	const struct runtime_at at = at_of(row);
	struct runtime_layout l;

	if (row->inject_head == NO)
		return;
	build(row, N_TASKS);
	fake_put(&memory, HANDLE + row->inject_len, 0); /* but head and tail are set */
	assert_int_equal(runtime_find(version_of(row), &at, fake_read, &memory, &l), RUNTIME_FITS);
	assert_int_equal(l.inject_len, NO);
	fake_put(&memory, HANDLE + row->inject_len, 1ULL << 30);
	assert_int_equal(runtime_find(version_of(row), &at, fake_read, &memory, &l), RUNTIME_FITS);
	assert_int_equal(l.inject_len, NO);
}

static void test_inject_is_checked_by_itself(void **state)
{
	(void)state;
	each_row(inject_that_does_not_fit);
}

static void tasks_that_do_not_fit(const struct runtime_row *row)
{
	const struct runtime_at at = at_of(row);
	struct runtime_layout l;

	if (row->tasks_len == NO)
		return;
	build(row, N_TASKS);
	fake_put(&memory, CORE + row->tasks_len, 65); /* of 64 */
	assert_int_equal(runtime_find(version_of(row), &at, fake_read, &memory, &l), RUNTIME_FITS);
	assert_int_equal(l.tasks_len, NO);
}

static void test_the_own_queue_is_checked_by_itself(void **state)
{
	(void)state;
	each_row(tasks_that_do_not_fit);
}

/* ---- the walk ---- */

static void walk_row(const struct runtime_row *row)
{
	for (u32 step = 1; step < 64; step += 20) {
		struct owned_walk w;

		build(row, N_TASKS);
		assert_int_equal(walk(&w, row, fake_read, step), OWNED_DONE);
		assert_int_equal(w.passes, 2);
		expect_tasks(&w, row, 0, N_TASKS);
		owned_walk_release(&w);
	}
}

static void test_walk(void **state)
{
	(void)state;
	each_row(walk_row);
}

static void walk_none(const struct runtime_row *row)
{
	struct owned_walk w;
	u32 n;

	build(row, 0);
	assert_int_equal(walk(&w, row, fake_read, 5), OWNED_DONE);
	(void)owned_walk_tasks(&w, &n);
	assert_int_equal(n, 0);
	owned_walk_release(&w);
}

static void test_walk_of_no_tasks(void **state)
{
	(void)state;
	each_row(walk_none);
}

/* One that is complete is alive no more. */
static void walk_complete(const struct runtime_row *row)
{
	struct owned_walk w;

	build(row, N_TASKS);
	fake_put(&memory, task_at(0), 64 | 2);
	assert_int_equal(walk(&w, row, fake_read, 5), OWNED_DONE);
	expect_tasks(&w, row, 1, N_TASKS);
	owned_walk_release(&w);
}

static void test_complete_tasks_are_left_out(void **state)
{
	(void)state;
	each_row(walk_complete);
}

static enum owned_status walk_damaged(const struct runtime_row *row)
{
	struct owned_walk w;
	enum owned_status st = walk(&w, row, fake_read, 50);
	u32 n;

	(void)owned_walk_tasks(&w, &n);
	assert_int_equal(n, 0);
	owned_walk_release(&w);
	return st;
}

static void damage(const struct runtime_row *row)
{
	/* the tail's next is the head again */
	build(row, N_TASKS);
	fake_put(&memory, links_of(row, 0) + row->task_next, task_at(N_TASKS - 1));
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	/* a task that is its own next, with a prev that says so */
	build(row, N_TASKS);
	fake_put(&memory, links_of(row, 0) + row->task_next, task_at(0));
	fake_put(&memory, links_of(row, 0) + row->task_prev, task_at(0));
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	/* a pointer to nowhere; to what is no task */
	build(row, N_TASKS);
	fake_put(&memory, links_of(row, 5) + row->task_next, 0x123456789000ULL);
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	build(row, N_TASKS);
	fake_put(&memory, links_of(row, 5) + row->task_next, LISTS);
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	/* a task of another list */
	build(row, N_TASKS);
	fake_put(&memory, task_at(4) + row->task_owner_id, OWNER_ID + 1);
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	/* a vtable that is none */
	build(row, N_TASKS);
	fake_put(&memory, task_at(4) + row->task_vtable, 0x1234);
	assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	/* the list cannot be read */
	build(row, N_TASKS);
	if (row->shards != NO) {
		fake_put(&memory, HANDLE + row->shards, 0x777700000000ULL);
		assert_int_equal(walk_damaged(row), OWNED_BROKEN);
	}
	/* a counter that says one more */
	build(row, N_TASKS);
	if (row->list_count != NO) {
		set_count(row, N_TASKS + 1, N_TASKS + 1);
		assert_int_equal(walk_damaged(row), OWNED_CHANGING);
	}
}

static void test_damaged_lists_are_unknown(void **state)
{
	(void)state;
	each_row(damage);
}

/* ---- changes meanwhile ---- */

static struct change {
	const struct runtime_row *row;
	u32 reads, at; /* it happens at that read */
	void (*make)(const struct runtime_row *row);
	u32 made;
} change;

static int read_and_change(void *ctx, u64 addr, void *buf, size_t n)
{
	if (++change.reads == change.at)
		change.make(change.row);
	return fake_read(ctx, addr, buf, n);
}

static void one_ends(const struct runtime_row *row)
{
	take_out(row, 0);
	set_count(row, N_TASKS, N_TASKS - 1);
}

static void one_comes(const struct runtime_row *row)
{
	push(row, N_TASKS);
	set_count(row, N_TASKS + 1, N_TASKS + 1);
}

/* At whichever read: all that lived all the time are found, nothing that never was. */
static void change_at_each_read(const struct runtime_row *row, void (*make)(const struct runtime_row *row))
{
	u32 total = 1;

	for (u32 at = 1; at <= total; at++) {
		struct owned_walk w;
		u32 n, found = 0;
		const struct owned_task *t;

		build(row, N_TASKS);
		fake_map(&memory, task_at(N_TASKS), TASK_BYTES);
		change = (struct change){.row = row, .at = at, .make = make};
		assert_int_equal(walk(&w, row, read_and_change, 3), OWNED_DONE);
		t = owned_walk_tasks(&w, &n);
		assert_in_range(n, N_TASKS - 1, N_TASKS + 1);
		for (u32 i = 0; i < n; i++)
			found |= 1u << (t[i].header - TASKS) / TASK_BYTES;
		assert_int_equal(found >> 1 & ((1u << (N_TASKS - 1)) - 1), (1u << (N_TASKS - 1)) - 1);
		owned_walk_release(&w);
		total = change.reads;
	}
	assert_true(total > 2 * N_TASKS);
}

static void changes(const struct runtime_row *row)
{
	change_at_each_read(row, one_ends);
	change_at_each_read(row, one_comes);
}

static void test_a_change_at_any_moment(void **state)
{
	(void)state;
	each_row(changes);
}

/* One more task is there in every other pass. Without counters nothing explains that. */
static int read_in_and_out(void *ctx, u64 addr, void *buf, size_t n)
{
	if (addr == HANDLE + change.row->list_head) {
		if (change.made++ % 2)
			take_out(change.row, N_TASKS);
		else
			push(change.row, N_TASKS);
	}
	return fake_read(ctx, addr, buf, n);
}

static void never_still(const struct runtime_row *row)
{
	struct owned_walk w;

	if (row->list_count != NO)
		return;
	build(row, N_TASKS);
	change = (struct change){.row = row};
	assert_int_equal(walk(&w, row, read_in_and_out, 3), OWNED_CHANGING);
	assert_int_equal(change.made, OWNED_MAX_PASSES);
	owned_walk_release(&w);
}

static void test_a_list_without_counters_must_stand_still(void **state)
{
	(void)state;
	each_row(never_still);
}

/* ---- bounds ---- */

struct endless {
	const struct runtime_row *row;
};

/* Task i is at TASKS + 256 i, and so on for ever. */
static int read_endless(void *ctx, u64 addr, void *buf, size_t n)
{
	const struct runtime_row *row = ((struct endless *)ctx)->row;
	u8 cell[0x200] = {0};
	u64 i = (addr - TASKS) / TASK_BYTES, start = TASKS + i * TASK_BYTES, v;
	u64 links = row->links_in_header ? 0 : TRAILER;

	if (addr < TASKS)
		return fake_read(&memory, addr, buf, n);
	if (addr - start + n > TASK_BYTES)
		return -EFAULT;
	v = VTABLES;
	memcpy(cell + row->task_vtable, &v, 8);
	v = OWNER_ID;
	memcpy(cell + row->task_owner_id, &v, 8);
	v = i ? start - TASK_BYTES : 0;
	memcpy(cell + links + row->task_prev, &v, 8);
	v = start + TASK_BYTES;
	memcpy(cell + links + row->task_next, &v, 8);
	memcpy(buf, cell + (addr - start), n);
	return 0;
}

static void test_a_list_without_end(void **state)
{
	u32 n_rows, n;
	const struct runtime_row *row = runtime_rows(&n_rows);
	struct endless e = {row};
	struct owned_walk w;
	enum owned_status st = OWNED_MORE;

	(void)state;
	build(row, 0);
	fake_put(&memory, LISTS + row->list_head, TASKS);
	owned_walk_begin(&w, row, HANDLE);
	for (u32 i = 0; i < 100 && st == OWNED_MORE; i++)
		st = owned_walk_step(&w, 100000, read_endless, &e, no_time);
	assert_int_equal(st, OWNED_TOO_MANY);
	(void)owned_walk_tasks(&w, &n);
	assert_int_equal(n, 0);
	owned_walk_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_found),
		cmocka_unit_test(test_an_empty_runtime),
		cmocka_unit_test(test_a_shifted_row_is_refused),
		cmocka_unit_test(test_inject_is_checked_by_itself),
		cmocka_unit_test(test_the_own_queue_is_checked_by_itself),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_of_no_tasks),
		cmocka_unit_test(test_complete_tasks_are_left_out),
		cmocka_unit_test(test_damaged_lists_are_unknown),
		cmocka_unit_test(test_a_change_at_any_moment),
		cmocka_unit_test(test_a_list_without_counters_must_stand_still),
		cmocka_unit_test(test_a_list_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
