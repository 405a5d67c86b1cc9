/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_convert_task.c: records of tasks to rows. The target is this process: its vtables and Locations are made up in this program's own data, and its file is
 * found among its mappings as any target's is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/convert.h"
#include "record/copies.h"
#include "record/task_catalog.h"
#include "tests/unit/raw_capture.h"

struct location {
	const char *file;
	u64 file_len;
	u32 line, column;
};

static void code(void)
{
}

#define TEXT ((u64)(uintptr_t)code)

static const u64 vtable[10] = {TEXT, TEXT + 1, TEXT + 2, TEXT + 3, TEXT + 4, TEXT + 5, TEXT + 6, 256, 32, 40};
static const u64 old_vtable[9] = {TEXT, TEXT + 1, TEXT + 2, TEXT + 3, TEXT + 4, TEXT + 5, TEXT + 6, TEXT + 7, 256};
static const u64 no_vtable[10] = {TEXT, TEXT + 1, TEXT + 2, 7, 8, 9};
static const char source[] = "src/main.rs", text[] = "no source";
static const struct location place = {source, sizeof(source) - 1, 67, 36};
static const struct location other = {source, sizeof(source) - 1, 88, 5};
static const struct location no_line = {source, sizeof(source) - 1, 0, 36};
static const struct location no_source = {text, sizeof(text) - 1, 1, 1};

struct rec {
	int fd;
	struct fmt_writer *w;
	struct convert cv;
	struct cat_process *p;
	u64 ts, returned;
};

static u64 at(const void *p)
{
	return (u64)(uintptr_t)p;
}

static void note_return(void *ctx, u32 tgid, u32 module, u64 addr)
{
	struct rec *s = ctx;

	assert_int_equal(tgid, getpid());
	assert_int_equal(module, s->p->exe_module);
	s->returned = addr;
}

static void start(struct rec *s)
{
	static const u8 uuid[16] = {8};
	struct catalog_opts co = {0};
	bool changed;

	*s = (struct rec){.fd = memfd_create("capture", 0), .ts = 1000};
	assert_true(s->fd >= 0);
	assert_int_equal(fmt_writer_new(s->fd, uuid, 1, &s->w), 0);
	assert_int_equal(catalog_new(s->w, &co, &s->cv.cat), 0);
	s->cv.w = s->w;
	s->cv.poll_returns = note_return;
	s->cv.returns_ctx = s;
	s->p = catalog_process(s->cv.cat, (u32)getpid());
	assert_non_null(s->p);
	assert_int_equal(catalog_scan_maps(s->cv.cat, s->p, 0), 0);
	assert_int_equal(copies_refresh(s->cv.cat, s->p, &changed), 0);
	if (!s->p->n_copies) { /* this program has no thread-locals, or it has */
		struct module_tokio *t = catalog_module_tokio(s->cv.cat, s->p->exe_module);

		s->p->copies = calloc(1, sizeof(*s->p->copies));
		assert_non_null(s->p->copies);
		s->p->n_copies = 1;
		s->p->copies[0] = (struct cat_copy){.module = s->p->exe_module, .is_mapped = true, .elf = &t->elf};
	}
}

static void stop(struct rec *s)
{
	convert_release(&s->cv);
	catalog_free(s->cv.cat);
	fmt_writer_free(s->w);
	(void)close(s->fd);
}

static struct wire_hdr header(struct rec *s, enum wire_kind kind)
{
	return (struct wire_hdr){.kind = kind, .cpu = 1, .ts = s->ts += 10, .tgid = (u32)getpid(), .tid = (u32)getpid()};
}

static struct wire_task_ref ref(const struct rec *s, u64 task, const void *v, u32 state)
{
	return (struct wire_task_ref){
		.header = 0x7000, .vtable = at(v), .task = task, .state = state, .module = s->p->exe_module};
}

struct seen {
	struct fmt_task_spawn spawn;
	struct fmt_task_end end;
	struct fmt_task_poll poll;
	struct fmt_task_wake wake;
	struct fmt_vtable vtable;
	struct fmt_location location;
	u32 n;
};

static void watch(void *ctx, enum fmt_kind_id kind, const void *row)
{
	struct seen *s = ctx;

	s->n++;
	switch (kind) {
	case FMT_TASK_SPAWN:
		s->spawn = *(const struct fmt_task_spawn *)row;
		break;
	case FMT_TASK_END:
		s->end = *(const struct fmt_task_end *)row;
		break;
	case FMT_TASK_POLL:
		s->poll = *(const struct fmt_task_poll *)row;
		break;
	case FMT_TASK_WAKE:
		s->wake = *(const struct fmt_task_wake *)row;
		break;
	case FMT_VTABLE:
		s->vtable = *(const struct fmt_vtable *)row;
		break;
	case FMT_LOCATION:
		s->location = *(const struct fmt_location *)row;
		break;
	default:
		break;
	}
}

static void spawn(struct rec *s, u64 task, const void *v, const struct location *a, const struct location *b)
{
	struct wire_task_spawn e = {
		.h = header(s, WIRE_TASK_SPAWN),
		.ref = ref(s, task, v, 204),
		.by = {.task = 7, .budget = 128, .status = WIRE_CTX_READ, .runtime = 1, .entered = 1},
		.handle = 0x9000,
		.location = {at(a), at(b)},
		.caller = 0x1234,
	};

	assert_int_equal(convert_record(&s->cv, &e.h, sizeof(e)), 0);
}

static void a_spawn(void **state)
{
	struct seen seen = {0};
	struct rec s;

	(void)state;
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	spawn(&s, 30, vtable, &no_line, &place);
	assert_int_equal(seen.spawn.ts, 1010);
	assert_int_equal(seen.spawn.task, 30);
	assert_int_equal(seen.spawn.by_task, 7);
	assert_int_equal(seen.spawn.budget, 128);
	assert_int_equal(seen.spawn.runtime, 1);
	assert_int_equal(seen.spawn.entered, 2);
	assert_int_equal(seen.spawn.handle, 0x9000);
	assert_int_equal(seen.spawn.caller, 0x1234);
	assert_int_equal(seen.spawn.blocking, 0);
	assert_true(seen.spawn.layout && seen.spawn.layout == seen.vtable.layout && seen.spawn.layout == seen.location.layout);
	assert_int_equal(seen.spawn.vtable, seen.vtable.idx);
	assert_int_equal(seen.spawn.location, seen.location.idx);
	assert_int_equal(seen.vtable.addr, at(vtable));
	assert_int_equal(seen.vtable.poll, TEXT);
	assert_int_equal(seen.vtable.schedule, TEXT + 1);
	assert_int_equal(seen.vtable.dealloc, TEXT + 2);
	assert_int_equal(seen.vtable.shutdown, TEXT + 6);
	assert_int_equal(seen.vtable.id_off, 40);
	assert_int_equal(seen.location.addr, at(&place));
	assert_string_equal(catalog_string_text(s.cv.cat, (u32)seen.location.file), source);
	assert_int_equal(seen.location.line, 67);
	assert_int_equal(seen.location.column, 36);
	assert_int_equal(task_catalog_counts(s.cv.cat).bad_locations, 1);
	seen.n = 0;
	spawn(&s, 31, vtable, &no_line, &place);
	assert_int_equal(seen.n, 1); /* no new entries, and what is bad is not read again */
	assert_int_equal(task_catalog_counts(s.cv.cat).bad_locations, 1);
	stop(&s);
}

/* What a register or a word of memory holds by chance. */
static void nonsense(void **state)
{
	u64 *heap = malloc(sizeof(vtable));
	struct seen seen = {0};
	struct rec s;

	(void)state;
	assert_non_null(heap);
	memcpy(heap, vtable, sizeof(vtable));
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	spawn(&s, 30, no_vtable, &no_source, NULL);
	assert_int_equal(seen.spawn.vtable, 0);
	assert_int_equal(seen.spawn.location, 0);
	spawn(&s, 31, heap, (const struct location *)(at(&place) + 4), (const struct location *)16);
	assert_int_equal(seen.spawn.vtable, 0);
	assert_int_equal(seen.spawn.location, 0);
	assert_int_equal(seen.spawn.task, 31);
	spawn(&s, 32, NULL, NULL, NULL);
	assert_int_equal(seen.spawn.vtable, 0);
	assert_int_equal(seen.vtable.idx, 0);
	assert_int_equal(task_catalog_counts(s.cv.cat).bad_vtables, 2);
	stop(&s);
	free(heap);
}

static void before_1_23(void **state)
{
	struct seen seen = {0};
	struct rec s;

	(void)state;
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	spawn(&s, 0, old_vtable, NULL, NULL);
	assert_int_equal(seen.vtable.poll, TEXT);
	assert_int_equal(seen.vtable.schedule, 0);
	assert_int_equal(seen.vtable.dealloc, TEXT + 1);
	assert_int_equal(seen.vtable.shutdown, TEXT + 7);
	assert_int_equal(seen.vtable.id_off, 0);
	stop(&s);
}

static void ends(void **state)
{
	static const struct {
		u32 state, freed, how;
	} cases[] = {
		{25, 0, FMT_TASK_DONE}, {1 | 32, 0, FMT_TASK_CANCELLED}, {2, 1, FMT_TASK_FREED}, {2 | 32, 1, FMT_TASK_FREED}};
	struct seen seen = {0};
	struct rec s;

	(void)state;
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct wire_task_end e = {
			.h = header(&s, WIRE_TASK_END), .ref = ref(&s, 40 + i, vtable, cases[i].state), .freed = cases[i].freed};

		assert_int_equal(convert_record(&s.cv, &e.h, sizeof(e)), 0);
		assert_int_equal(seen.end.task, 40 + i);
		assert_int_equal(seen.end.how, cases[i].how);
		assert_true(seen.end.layout && seen.end.thread);
	}
	stop(&s);
}

static void polls_and_wakes(void **state)
{
	struct seen seen = {0};
	struct rec s;
	struct wire_task_poll poll;
	struct wire_task_wake wake;

	(void)state;
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	poll = (struct wire_task_poll){.h = header(&s, WIRE_TASK_POLL), .ref = ref(&s, 50, vtable, 4), .returns_to = 0x4321};
	assert_int_equal(convert_record(&s.cv, &poll.h, sizeof(poll)), 0);
	assert_int_equal(seen.poll.task, 50);
	assert_int_equal(seen.poll.end, 0);
	assert_int_equal(seen.poll.vtable, seen.vtable.idx);
	assert_int_equal(s.returned, 0x4321);
	poll = (struct wire_task_poll){.h = header(&s, WIRE_TASK_POLL), .ref = {.module = s.p->exe_module}, .end = 1};
	assert_int_equal(convert_record(&s.cv, &poll.h, sizeof(poll)), 0);
	assert_int_equal(seen.poll.ts, 1020);
	assert_int_equal(seen.poll.end, 1);
	assert_int_equal(seen.poll.task, 0);
	assert_int_equal(seen.poll.vtable, 0);
	/* what the waking thread does could not be read */
	wake = (struct wire_task_wake){.h = header(&s, WIRE_TASK_WAKE),
				       .ref = ref(&s, 50, vtable, 4),
				       .by = {.task = 9, .budget = 1, .status = WIRE_CTX_UNREAD, .runtime = 1}};
	assert_int_equal(convert_record(&s.cv, &wake.h, sizeof(wake)), 0);
	assert_int_equal(seen.wake.task, 50);
	assert_int_equal(seen.wake.vtable, seen.vtable.idx);
	assert_int_equal(seen.wake.by_task, 0);
	assert_int_equal(seen.wake.budget, 0);
	assert_int_equal(seen.wake.entered, 0);
	wake.by.status = WIRE_CTX_READ;
	assert_int_equal(convert_record(&s.cv, &wake.h, sizeof(wake)), 0);
	assert_int_equal(seen.wake.by_task, 9);
	assert_int_equal(seen.wake.budget, 1);
	assert_int_equal(seen.wake.entered, 1);
	assert_int_equal(convert_record(&s.cv, &wake.h, sizeof(wake) - 8), 0);
	assert_int_equal(s.cv.bad_records, 1);
	stop(&s);
}

/* Of a type with one place later tasks get it, when calls are watched no more; of one with two, or with one that is not known, they do not. */
static void learning(void **state)
{
	struct seen seen = {0};
	struct cat_copy *copy;
	struct rec s;
	u64 learned;

	(void)state;
	start(&s);
	fmt_writer_watch(s.w, watch, &seen);
	copy = &s.p->copies[0];
	copy->spawn_from = 1;
	copy->spawn_until = 1035;
	for (u32 i = 0; i < 3; i++)
		spawn(&s, 60 + i, vtable, &place, NULL);
	learned = seen.spawn.location;
	assert_int_equal(task_catalog_learned(s.p).pairs, 1);
	assert_int_equal(task_catalog_learned(s.p).since, 2);
	assert_true(task_catalog_learned(s.p).is_single);
	spawn(&s, 63, vtable, NULL, NULL); /* 1040 */
	assert_int_equal(seen.spawn.location, learned);
	spawn(&s, 64, old_vtable, NULL, NULL);
	assert_int_equal(seen.spawn.location, 0);
	assert_int_equal(task_catalog_counts(s.cv.cat).learned, 1);
	copy->spawn_until = UINT64_MAX;
	spawn(&s, 65, vtable, &other, NULL);
	assert_false(task_catalog_learned(s.p).is_single);
	assert_int_equal(task_catalog_learned(s.p).since, 0);
	copy->spawn_until = 1;
	spawn(&s, 66, vtable, NULL, NULL);
	assert_int_equal(seen.spawn.location, 0);
	assert_int_equal(task_catalog_counts(s.cv.cat).learned, 1);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spawn), cmocka_unit_test(nonsense),	      cmocka_unit_test(before_1_23),
		cmocka_unit_test(ends),	   cmocka_unit_test(polls_and_wakes), cmocka_unit_test(learning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
