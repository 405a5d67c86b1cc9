/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_answers.c: any bytes as what a child says about names (report/sym_wire.h): whatever they are, what the parent keeps of them holds its promises.
 *
 *	byte 0   how many lookups were asked; its upper two bits: how many types of tasks
 *	byte 1   bytes at a time, 0: all at once
 *	the rest what the child says; as a request for a file of split DWARF, too
 *
 * The mutator changes the inside of one record and makes its length hold again.
 */
#include <stdlib.h>
#include <string.h>

#include "report/sym_wire.h"
#include "tests/fuzz/fuzz.h"

/* A broken promise, as libFuzzer wants to hear of it. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

enum { HEAD = 2, RECORD = sizeof(struct sym_wire_head) };

static void check_frame(const struct sym_answers *a, const struct sym_answer *f)
{
	MUST(f->function && f->function <= a->n_strings && f->file <= a->n_strings && f->typed_name <= a->n_strings);
	MUST(strlen(sym_answers_string(a, f->function)) <= SYM_WIRE_STRING_MAX);
	MUST(f->file || !*sym_answers_string(a, f->file));
}

static void check(const struct sym_answers *a)
{
	u64 sum = 0;

	MUST(a->n_lookups_done <= a->n_lookups);
	MUST(a->n_tasks_done <= a->n_tasks);
	MUST(a->state != SYM_ANSWERS_DONE || (a->n_lookups_done == a->n_lookups && a->n_tasks_done == a->n_tasks));
	for (u64 i = 0; i < a->n_tasks + 2; i++) {
		struct sym_wire_task t = sym_answers_task(a, i);

		MUST(t.name <= a->n_strings && t.how <= TASK_CANDIDATES && t.kind < TASK_KINDS && !t.name == !t.how);
		MUST(i < a->n_tasks_done || !t.name);
	}
	MUST(strlen(a->why) < sizeof(a->why));
	for (const char *p = a->why; *p; p++)
		MUST(*p >= ' ' && *p < 0x7f);
	for (u64 i = 0; i < a->n_lookups + 2; i++) {
		u32 n;
		const struct sym_answer *f = sym_answers_frames(a, i, &n);

		MUST(n <= SYM_MAX_INLINE && (f || !n));
		for (u32 k = 0; k < n; k++)
			check_frame(a, &f[k]);
		sum += n;
	}
	MUST(sum <= a->n_frames);
	MUST(a->state == SYM_ANSWERS_BROKEN || sum == a->n_frames);
}

/* The state that the bytes lead to, told in pieces of this size. */
static enum sym_answers_state run(const u8 *p, size_t n, u64 n_asked, size_t piece)
{
	_cleanup_answers_ struct sym_answers a;
	enum sym_answers_state state;

	MUST(sym_answers_init(&a, n_asked & 63) == 0);
	a.n_tasks = n_asked >> 6;
	for (size_t pos = 0; pos < n;) {
		size_t k = piece && piece < n - pos ? piece : n - pos;
		int err = sym_answers_feed(&a, p + pos, k);

		MUST((err == -EBADMSG) == (a.state == SYM_ANSWERS_BROKEN));
		MUST(!err || err == -EBADMSG);
		pos += k;
	}
	check(&a);
	state = a.state;
	return state;
}

static void run_want(const u8 *p, size_t n)
{
	struct sym_split_want want;
	u8 again[SYM_WIRE_WANT_MAX];
	int len;

	if (sym_wire_get_want(p, n, &want))
		return;
	len = sym_wire_put_want(&want, again);
	MUST(len >= 0 && (size_t)len == n);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	enum sym_answers_state whole;

	if (size < HEAD)
		return 0;
	whole = run(data + HEAD, size - HEAD, data[0], 0);
	MUST(run(data + HEAD, size - HEAD, data[0], data[1]) == whole);
	run_want(data + HEAD, size - HEAD);
	return 0;
}

/* ---- the mutator ---- */

static u32 split(const u8 *p, size_t n, size_t *starts, u32 max)
{
	u32 count = 0;

	for (size_t pos = HEAD; count < max && n - pos >= RECORD; count++) {
		struct sym_wire_head h;

		memcpy(&h, p + pos, sizeof(h));
		if (h.len > n - pos - RECORD)
			break;
		starts[count] = pos;
		pos += RECORD + h.len;
	}
	return count;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	size_t starts[64], body, len, tail, room;
	u32 n = size > HEAD ? split(data, size, starts, ARRAY_SIZE(starts)) : 0;
	struct sym_wire_head h;
	u8 *rest;

	if (!n || seed % 4 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	body = starts[(seed >> 4) % n] + RECORD;
	memcpy(&h, data + body - RECORD, sizeof(h));
	tail = size - body - h.len;
	room = min_u64(max_size - body - tail, 4096);
	if (!room || h.len > room) /* libFuzzer makes a byte where there is room for none */
		return LLVMFuzzerMutate(data, size, max_size);
	rest = malloc(tail ? tail : 1);
	if (!rest)
		return size;
	memcpy(rest, data + body + h.len, tail);
	len = LLVMFuzzerMutate(data + body, h.len, room);
	memcpy(data + body + len, rest, tail);
	free(rest);
	h.len = (u32)len;
	memcpy(data + body - RECORD, &h, sizeof(h));
	return body + len + tail;
}

/* ---- seeds ---- */

static int save(const char *dir, const char *name, u8 n_lookups, struct buf *b)
{
	_cleanup_buf_ struct buf all = BUF_INIT;
	int err;

	buf_putc(&all, n_lookups);
	buf_putc(&all, 3);
	buf_put(&all, b->data, b->len);
	err = buf_err(b) ? buf_err(b) : buf_err(&all);
	buf_reset(b);
	return err ? err : fuzz_seed_save(dir, name, all.data, all.len);
}

static void put_opened(struct buf *b)
{
	struct sym_wire_opened o = {.layers = 7, .source = SYM_DWARF, .dwarf_percent = 100};

	sym_wire_put(b, SYM_WIRE_OPENED, &o, sizeof(o));
}

static void put_frames(struct buf *b, u32 n)
{
	struct sym_wire_frame f[SYM_MAX_INLINE];

	for (u32 i = 0; i < n; i++)
		f[i] = (struct sym_wire_frame){.function = 1, .file = 2, .typed_name = i % 3, .line = i, .inlined = i + 1 < n};
	sym_wire_put(b, SYM_WIRE_FRAMES, f, n * (u32)sizeof(f[0]));
}

int fuzz_seeds_write(const char *dir)
{
	static const u32 counts[] = {0, 1, 2, 5, SYM_MAX_INLINE};
	struct sym_wire_done done = {.split_missing = 1};
	struct sym_wire_failed failed = {.err = -ENOEXEC};
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct sym_split_want want = {.comp_dir = "/src", .name = "a.dwo", .dwo_id = 1, .nth = 1};
	u8 packet[SYM_WIRE_WANT_MAX];
	int err, n = sym_wire_put_want(&want, packet);

	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_DONE, &done, sizeof(done));
	err = save(dir, "none", 0, &b);
	for (u32 i = 0; i < ARRAY_SIZE(counts) && !err; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "frames-%u", counts[i]);
		put_opened(&b);
		sym_wire_put(&b, SYM_WIRE_STRING, "orders::run", 11);
		sym_wire_put(&b, SYM_WIRE_STRING, "src/a.rs", 8);
		for (u32 k = 0; k <= i; k++)
			put_frames(&b, counts[k]);
		sym_wire_put(&b, SYM_WIRE_DONE, &done, sizeof(done));
		err = save(dir, name, (u8)(i + 1), &b);
	}
	if (err)
		return err;
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_STRING, "orders::run", 11);
	put_frames(&b, 1);
	for (u32 i = 0; i < 3; i++)
		sym_wire_put(&b, SYM_WIRE_TASK, &(struct sym_wire_task){.name = !!i, .how = i * 2, .kind = i},
			     sizeof(struct sym_wire_task));
	sym_wire_put(&b, SYM_WIRE_DONE, &done, sizeof(done));
	err = save(dir, "tasks", 3 << 6 | 1, &b);
	if (err)
		return err;
	sym_wire_put(&b, SYM_WIRE_FAILED, &failed, sizeof(failed));
	err = save(dir, "failed", 1, &b);
	if (err || n < 0)
		return err ? err : n;
	buf_put(&b, packet, (size_t)n);
	return save(dir, "want", 0, &b);
}
