/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_convert.c: records of the kernel side, through catalog and writer into a file and out of it again. Processes are this
 * very one, so that what comes from /proc is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "record/convert.h"
#include "tests/unit/raw_capture.h"

#define STEXT 0xffffffff81000000ULL
#define T0    1000000ULL

/* A recording in a memfd. */
struct rec {
	struct convert cv;
	int fd;
	u64 ts;
	u32 pid;
};

/* Its rows, by kind, in file order. */
struct rows {
	struct fmt_reader *r[2];
	struct fmt_block block[2]; /* dictionary, events: the recordings here fit into one of each */
};

static void start(struct rec *s)
{
	static const u8 uuid[16] = {5};

	*s = (struct rec){.fd = memfd_create("test_convert", MFD_CLOEXEC), .ts = T0, .pid = (u32)getpid()};
	assert_true(s->fd >= 0);
	assert_int_equal(prctl(PR_SET_NAME, "the test"), 0);
	assert_int_equal(fmt_writer_new(s->fd, uuid, 1, &s->cv.w), 0);
	assert_int_equal(catalog_new(s->cv.w, &(struct catalog_opts){.stext = STEXT}, &s->cv.cat), 0);
}

/* A copy of Tokio in the process, that contexts were read with: its number of a layout. */
static u32 give_copy(struct rec *s)
{
	struct cat_process *p = catalog_process(s->cv.cat, s->pid);
	struct cat_copy *c = calloc(p->n_copies + 1, sizeof(*c));

	assert_non_null(c);
	if (p->n_copies)
		memcpy(c, p->copies, p->n_copies * sizeof(*c));
	free(p->copies);
	p->copies = c;
	c += p->n_copies++;
	c->wire = (struct wire_layout){.valid = 1, .gen = catalog_next_gen(s->cv.cat)};
	c->layout_idx = 40 + c->wire.gen;
	return c->wire.gen;
}

static struct wire_hdr header(struct rec *s, enum wire_kind kind, u32 tid)
{
	return (struct wire_hdr){.kind = kind, .cpu = 3, .ts = s->ts += 10, .tgid = s->pid, .tid = tid};
}

/* Gives a record as it comes out of the ring: the size may be rounded up. */
#define take(s, e) assert_int_equal(convert_record(&(s)->cv, &(e)->h, (sizeof(*(e)) + 7) / 8 * 8), 0)

static void stop(struct rec *s, struct rows *ret)
{
	char path[64];

	assert_int_equal(catalog_err(s->cv.cat), 0);
	assert_int_equal(fmt_writer_finish(s->cv.w), 0);
	convert_release(&s->cv);
	s->cv.cat = catalog_free(s->cv.cat);
	s->cv.w = fmt_writer_free(s->cv.w);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
	for (u32 i = 0; i < 2; i++) {
		const struct fmt_want want = {.dictionaries = !i, .events = i};

		assert_int_equal(fmt_reader_open(path, &ret->r[i], NULL), 0);
		fmt_reader_want(ret->r[i], &want);
		assert_int_equal(fmt_reader_next(ret->r[i], &ret->block[i]), 1);
	}
	assert_int_equal(close(s->fd), 0);
}

static void close_rows(struct rows *rows)
{
	for (u32 i = 0; i < 2; i++)
		rows->r[i] = fmt_reader_close(rows->r[i]);
}

static const struct fmt_section *section(const struct rows *rows, enum fmt_kind_id kind)
{
	static const struct fmt_section none;

	for (u32 k = 0; k < 2; k++)
		for (u32 i = 0; i < rows->block[k].n_sections; i++)
			if (rows->block[k].sections[i].kind_id == kind)
				return &rows->block[k].sections[i];
	return &none;
}

static u32 count(const struct rows *rows, enum fmt_kind_id kind)
{
	return section(rows, kind)->rows;
}

static void row(const struct rows *rows, enum fmt_kind_id kind, u32 i, void *ret)
{
	assert_true(i < count(rows, kind));
	fmt_section_row(section(rows, kind), i, ret);
}

static void string_is(const struct rows *rows, u64 idx, const char *text)
{
	const struct fmt_section *s = section(rows, FMT_STRING);

	for (u32 i = 0; i < s->rows; i++) {
		if (s->cols[0][i] != idx)
			continue;
		assert_int_equal(s->payload_off[i + 1] - s->payload_off[i], strlen(text));
		assert_memory_equal(s->bytes + s->payload_off[i], text, strlen(text));
		return;
	}
	assert_string_equal(text, idx ? "a string that is missing" : "");
}

/* ---- each kind ---- */

static void put_stack(struct rec *s, u64 hash, bool kernel, u32 n)
{
	struct wire_stack e = {.h = header(s, WIRE_STACK, s->pid), .hash = hash, .kernel = kernel, .n = n, .status = UW_WHOLE};

	for (u32 i = 0; i < n; i++)
		e.frames[i] = kernel ? STEXT + 0x1000 * (u64)i : (u64)(uintptr_t)&put_stack + i;
	take(s, &e);
}

static void a_switch_out(void **state)
{
	struct fmt_switch_out out;
	struct fmt_process process;
	struct fmt_thread thread;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	put_stack(&s, 111, false, 3);
	put_stack(&s, 222, true, 4);
	struct wire_switch_out e = {.h = header(&s, WIRE_SWITCH_OUT, s.pid),
				    .state = 2,
				    .preempt = 1,
				    .lifo = 2,
				    .queued = 33,
				    .ustack = 111,
				    .kstack = 222};

	e.ctx = (struct wire_ctx){
		.status = WIRE_CTX_READ, .task = 77, .budget = 100, .runtime = 2, .tick = 0xdeadbeef, .gen = give_copy(&s)};
	e.wait = (struct wire_wait){.syscall = 0, .arg0 = 5, .iowait = 1, .fd_type = 12, .fd_family = 3};
	take(&s, &e);
	e.h = header(&s, WIRE_SWITCH_OUT, s.pid);
	e.wait.syscall = -1;
	e.ustack = 999; /* never arrived */
	e.kstack = 0;
	take(&s, &e);
	assert_int_equal(s.cv.stacks_missing, 1);
	assert_int_equal(s.cv.bad_records, 0);
	assert_int_equal(s.cv.last_ts, s.ts);
	stop(&s, &rows);
	row(&rows, FMT_SWITCH_OUT, 0, &out);
	assert_memory_equal(&out,
			    (&(struct fmt_switch_out){.ts = T0 + 30,
						      .thread = 1,
						      .cpu = 3,
						      .state = 2,
						      .preempt = 1,
						      .ctx_status = FMT_CTX_READ,
						      .budget = 100,
						      .runtime = 2,
						      .task = 77,
						      .tick = 0xdeadbeef,
						      .syscall = 1,
						      .arg0 = 5,
						      .iowait = 1,
						      .fd_type = 12,
						      .fd_family = 3,
						      .ustack = 1,
						      .kstack = 2,
						      .lifo = 2,
						      .queued = 33}),
			    sizeof(out));
	row(&rows, FMT_SWITCH_OUT, 1, &out);
	assert_int_equal(out.syscall, 0);
	assert_int_equal(out.arg0, 0); /* means nothing without a system call */
	assert_int_equal(out.ustack | out.kstack, 0);
	row(&rows, FMT_PROCESS, 0, &process);
	assert_int_equal(process.idx, 1);
	assert_int_equal(process.pid, getpid());
	assert_int_equal(process.ns_pid, getpid());
	assert_int_equal(process.ppid, getppid());
	assert_true(process.start > 0);
	string_is(&rows, process.comm, "the test");
	row(&rows, FMT_THREAD, 0, &thread);
	assert_int_equal(thread.process, 1);
	assert_int_equal(thread.tid, getpid());
	string_is(&rows, thread.comm, "the test");
	close_rows(&rows);
}

static bool bring_stack(void *ctx, u64 hash)
{
	struct rec *s = ctx;

	if (hash != 333)
		return false;
	put_stack(s, hash, true, 2);
	return true;
}

/* Another cpu sent it, into a ring that is read later. */
static void a_stack_that_comes_later(void **state)
{
	struct rows rows;
	struct fmt_sample sample;
	struct rec s;

	(void)state;
	start(&s);
	s.cv.find_stack = bring_stack;
	s.cv.find_ctx = &s;
	struct wire_sample e = {.h = header(&s, WIRE_SAMPLE, s.pid), .kstack = 333};

	take(&s, &e);
	assert_int_equal(s.cv.stacks_missing, 0);
	e = (struct wire_sample){.h = header(&s, WIRE_SAMPLE, s.pid), .kstack = 444};
	take(&s, &e);
	assert_int_equal(s.cv.stacks_missing, 1);
	stop(&s, &rows);
	row(&rows, FMT_SAMPLE, 0, &sample);
	assert_int_equal(sample.kstack, 1);
	row(&rows, FMT_SAMPLE, 1, &sample);
	assert_int_equal(sample.kstack, 0);
	close_rows(&rows);
}

static void other_kinds(void **state)
{
	struct fmt_switch_in in;
	struct fmt_sample sample;
	struct fmt_rename renamed;
	struct fmt_thread_exit left;
	struct fmt_thread again;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_switch_in e_in = {.h = header(&s, WIRE_SWITCH_IN, s.pid)};
	struct wire_sample e_user = {
		.h = header(&s, WIRE_SAMPLE, s.pid), .user_mode = 1, .ctx = {.status = WIRE_CTX_UNREAD, .gen = give_copy(&s)}};
	struct wire_sample e_kernel = {.h = header(&s, WIRE_SAMPLE, s.pid), .pc = 0x7f1234567890};
	struct wire_rename e_name = {.h = header(&s, WIRE_RENAME, s.pid), .comm = "1234567890123456"}; /* not ended */
	struct wire_thread_exit e_exit = {.h = header(&s, WIRE_THREAD_EXIT, s.pid), .group_dead = 1};
	struct wire_core e_core = {.h = header(&s, WIRE_CORE, s.pid)};

	take(&s, &e_in);
	take(&s, &e_user);
	take(&s, &e_kernel);
	take(&s, &e_name);
	take(&s, &e_core); /* not for the file */
	assert_int_equal(catalog_alive(s.cv.cat), 1);
	take(&s, &e_exit);
	assert_int_equal(catalog_alive(s.cv.cat), 0);
	stop(&s, &rows);
	row(&rows, FMT_SWITCH_IN, 0, &in);
	assert_memory_equal(&in, (&(struct fmt_switch_in){.ts = T0 + 10, .thread = 1, .cpu = 3}), sizeof(in));
	row(&rows, FMT_SAMPLE, 0, &sample);
	assert_int_equal(sample.mode, 1);
	assert_int_equal(sample.ctx_status, FMT_CTX_UNREAD);
	assert_int_equal(sample.pc, 0);
	row(&rows, FMT_SAMPLE, 1, &sample);
	assert_int_equal(sample.mode, 2);
	assert_int_equal(sample.pc, 0x7f1234567890);
	assert_int_equal(sample.ctx_status, FMT_CTX_NO_LAYOUT);
	row(&rows, FMT_RENAME, 0, &renamed);
	string_is(&rows, renamed.comm, "1234567890123456");
	row(&rows, FMT_THREAD_EXIT, 0, &left);
	assert_int_equal(left.group_dead, 1);
	/* its entry, and again with the new name */
	assert_int_equal(count(&rows, FMT_THREAD), 2);
	row(&rows, FMT_THREAD, 1, &again);
	assert_int_equal(again.idx, 1);
	assert_int_equal(again.tid, s.pid);
	assert_int_equal(again.comm, renamed.comm);
	assert_int_equal(rows.block[0].rows + rows.block[1].rows - count(&rows, FMT_STRING) - count(&rows, FMT_PROCESS), 2 + 5);
	close_rows(&rows);
}

static void switch_out_at(struct rec *s, u64 ts, u64 exec, u32 switches)
{
	struct wire_switch_out e = {.h = header(s, WIRE_SWITCH_OUT, s->pid), .exec = exec, .switches = switches};

	e.h.ts = ts;
	e.wait.syscall = -1;
	take(s, &e);
}

/* Two switch-outs in a row: the switch-in between was not reported, and the run time tells when it was; unless records were lost. */
static void a_missed_switch_in(void **state)
{
	struct wire_switch_in e_in;
	struct fmt_switch_in in;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	switch_out_at(&s, T0 + 1000, 500, 7);
	switch_out_at(&s, T0 + 9000, 800, 8); /* ran for 300 */
	e_in = (struct wire_switch_in){.h = header(&s, WIRE_SWITCH_IN, s.pid)};
	e_in.h.ts = T0 + 9500;
	take(&s, &e_in);
	switch_out_at(&s, T0 + 9900, 1200, 9);
	switch_out_at(&s, T0 + 20000, 2000, 11); /* 10 was lost: nothing is known of the time between */
	switch_out_at(&s, T0 + 21000, 9000, 12); /* a run time longer than the time between counts from the last switch-out */
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_SWITCH_IN), 3);
	row(&rows, FMT_SWITCH_IN, 0, &in);
	assert_memory_equal(&in, (&(struct fmt_switch_in){.ts = T0 + 8700, .thread = 1, .cpu = 3, .derived = 1}), sizeof(in));
	row(&rows, FMT_SWITCH_IN, 1, &in);
	assert_memory_equal(&in, (&(struct fmt_switch_in){.ts = T0 + 9500, .thread = 1, .cpu = 3}), sizeof(in));
	row(&rows, FMT_SWITCH_IN, 2, &in);
	assert_memory_equal(&in, (&(struct fmt_switch_in){.ts = T0 + 20000, .thread = 1, .cpu = 3, .derived = 1}), sizeof(in));
	close_rows(&rows);
}

static void wakings(void **state)
{
	struct fmt_waking w;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_waking e = {.h = header(&s, WIRE_WAKING, s.pid), .waker_tgid = s.pid, .waker_tid = s.pid + 1};

	e.waker_ctx = (struct wire_ctx){.status = WIRE_CTX_READ,
					.sched = 0x7000,
					.task = 8,
					.budget = 9,
					.flavor = WIRE_FLAVOR_MULTI_THREAD,
					.gen = give_copy(&s)};
	take(&s, &e); /* by a thread that is not known: of another process, say */
	(void)catalog_thread(s.cv.cat, s.pid, s.pid + 1, "waker", 0);
	e.h = header(&s, WIRE_WAKING, s.pid);
	take(&s, &e); /* what it runs on is learnt from its own switches only: a waking's context is not read whole */
	struct wire_switch_out out = {.h = header(&s, WIRE_SWITCH_OUT, s.pid + 1), .ctx = e.waker_ctx};

	out.h.tgid = s.pid;
	out.wait.syscall = -1;
	take(&s, &out);
	e.waker_ctx.flavor = 0;
	put_stack(&s, 111, false, 3);
	put_stack(&s, 222, true, 4);
	e.waker_ustack = 111;
	e.waker_kstack = 222;
	e.h = header(&s, WIRE_WAKING, s.pid);
	take(&s, &e);
	e.waker_ustack = 112; /* lost */
	e.waker_kstack = 0;
	e.h = header(&s, WIRE_WAKING, s.pid);
	e.irq = 1;
	e.state = 0x8000;
	take(&s, &e);
	stop(&s, &rows);
	row(&rows, FMT_WAKING, 0, &w);
	assert_int_equal(w.waker | w.waker_context | w.waker_task | w.waker_budget, 0);
	assert_int_equal(w.waker_tid, getpid() + 1);
	row(&rows, FMT_WAKING, 1, &w);
	assert_int_equal(w.waker_context, 0);
	assert_int_equal(w.waker_task, 8);
	row(&rows, FMT_WAKING, 3, &w);
	assert_int_equal(w.state, 0x8000);
	row(&rows, FMT_WAKING, 2, &w);
	assert_int_equal(w.state, 0);
	assert_int_equal(w.thread, 1);
	assert_int_equal(w.source, 0);
	assert_int_equal(w.waker, 2);
	assert_int_equal(w.waker_context, 1);
	assert_int_equal(w.waker_task, 8);
	assert_int_equal(w.waker_budget, 9);
	assert_int_equal(w.waker_ustack, 1);
	assert_int_equal(w.waker_kstack, 2);
	row(&rows, FMT_WAKING, 3, &w);
	assert_int_equal(w.waker_ustack | w.waker_kstack, 0);
	assert_int_equal(w.source, 1);
	assert_int_equal(w.waker | w.waker_context | w.waker_task, 0);
	close_rows(&rows);
}

/* ---- stacks ---- */

static void stacks_that_make_no_sense(struct rec *s)
{
	const struct wire_stack good = {.h = header(s, WIRE_STACK, s->pid), .hash = 5, .n = 2, .status = UW_WHOLE};
	u64 bad = s->cv.bad_records;
	struct wire_stack e = good;

	/* says more than it has */
	assert_int_equal(convert_record(&s->cv, &e.h, offsetof(struct wire_stack, frames) + 15), 0);
	e.n = WIRE_MAX_FRAMES + 1;
	take(s, &e);
	e.n = UINT32_MAX;
	take(s, &e);
	e = good;
	e.fp_from = 3; /* behind its end */
	take(s, &e);
	e = good;
	e.status = UW_MORE;
	take(s, &e);
	e.status = UW_STATUSES;
	take(s, &e);
	assert_int_equal(s->cv.bad_records, bad + 6);
}

static void stacks(void **state)
{
	struct rows rows;
	struct fmt_stack st;
	const struct fmt_section *sec;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_stack e = {.h = header(&s, WIRE_STACK, s.pid),
			       .hash = 1,
			       .n = 3,
			       .status = UW_NO_TABLE,
			       .fp_from = 3,
			       .frames = {0x1000, 0x2000, 0x3000}};

	take(&s, &e);
	take(&s, &e); /* the same again: known */
	e = (struct wire_stack){.h = header(&s, WIRE_STACK, s.pid),
				.hash = 2,
				.kernel = 1,
				.n = 2,
				.status = UW_WHOLE,
				.frames = {STEXT + 0x10, STEXT - 0x10}};
	take(&s, &e);
	e = (struct wire_stack){.h = header(&s, WIRE_STACK, s.pid), .hash = 3, .n = WIRE_MAX_FRAMES, .status = UW_TRUNCATED};
	for (u32 i = 0; i < e.n; i++)
		e.frames[i] = 0x4000 + i;
	take(&s, &e);
	/* the callers of a sample's address whose walk got nowhere: how it ended is all there is */
	e = (struct wire_stack){.h = header(&s, WIRE_STACK, s.pid), .hash = 6, .status = UW_BAD_RULE};
	assert_int_equal(convert_record(&s.cv, &e.h, offsetof(struct wire_stack, frames)), 0);
	/* no longer than it needs to be */
	e = (struct wire_stack){
		.h = header(&s, WIRE_STACK, s.pid), .hash = 4, .n = 2, .status = UW_FAULT, .frames = {0x5000, 0x5001}};
	assert_int_equal(convert_record(&s.cv, &e.h, offsetof(struct wire_stack, frames) + 16), 0);
	assert_int_equal(s.cv.bad_records, 0);
	stacks_that_make_no_sense(&s);
	stop(&s, &rows);
	sec = section(&rows, FMT_STACK);
	assert_int_equal(sec->rows, 5);
	row(&rows, FMT_STACK, 0, &st);
	assert_int_equal(st.kind, FMT_STACK_USER);
	assert_int_equal(st.process, 1);
	assert_int_equal(st.status, FMT_STACK_NO_TABLE);
	assert_int_equal(st.fp_from, 3);
	assert_int_equal(sec->payload_off[1], 3);
	assert_memory_equal(sec->list, ((const u64[]){0x1000, 0x2000, 0x3000}), 24);
	row(&rows, FMT_STACK, 1, &st);
	assert_int_equal(st.kind, FMT_STACK_KERNEL);
	assert_int_equal(st.process, 0);
	assert_int_equal(st.status, FMT_STACK_WHOLE);
	assert_int_equal(st.fp_from, 0);
	assert_memory_equal(sec->list + 3, ((const u64[]){0x10, (u64)-0x10}), 16); /* relative to _stext */
	row(&rows, FMT_STACK, 2, &st);
	assert_int_equal(st.status, FMT_STACK_TRUNCATED);
	assert_int_equal(sec->payload_off[3] - sec->payload_off[2], WIRE_MAX_FRAMES);
	row(&rows, FMT_STACK, 3, &st);
	assert_int_equal(st.status, FMT_STACK_BAD_RULE);
	assert_int_equal(sec->payload_off[4] - sec->payload_off[3], 0);
	row(&rows, FMT_STACK, 4, &st);
	assert_int_equal(st.status, FMT_STACK_FAULT);
	close_rows(&rows);
}

/* ---- threads and processes ---- */

static void a_tid_used_again(void **state)
{
	struct fmt_thread_start began;
	struct fmt_switch_in in;
	struct fmt_thread thread;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_thread_start e = {.h = header(&s, WIRE_THREAD_START, s.pid + 5),
				      .start = 42,
				      .parent_tgid = s.pid,
				      .parent_tid = s.pid,
				      .comm = "worker"};
	struct wire_switch_in run = {.h = header(&s, WIRE_SWITCH_IN, s.pid + 5)};
	struct wire_thread_exit end = {.h = header(&s, WIRE_THREAD_EXIT, s.pid + 5)};

	take(&s, &e); /* by a thread not seen yet */
	take(&s, &run);
	take(&s, &end);
	(void)catalog_thread(s.cv.cat, s.pid, s.pid, NULL, 0);
	e.start = 99;
	take(&s, &e); /* another thread of the same number */
	take(&s, &run);
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_THREAD), 3);
	row(&rows, FMT_THREAD, 0, &thread);
	assert_int_equal(thread.tid, getpid() + 5);
	assert_int_equal(thread.start, 42);
	string_is(&rows, thread.comm, "worker");
	row(&rows, FMT_THREAD, 2, &thread);
	assert_int_equal(thread.idx, 3);
	assert_int_equal(thread.start, 99);
	row(&rows, FMT_THREAD_START, 0, &began);
	assert_int_equal(began.parent, 0);
	row(&rows, FMT_THREAD_START, 1, &began);
	assert_int_equal(began.thread, 3);
	assert_int_equal(began.parent, 2);
	row(&rows, FMT_SWITCH_IN, 0, &in);
	assert_int_equal(in.thread, 1);
	row(&rows, FMT_SWITCH_IN, 1, &in);
	assert_int_equal(in.thread, 3);
	close_rows(&rows);
}

/* The kernel's list of tasks is read at once, its records later: a thread that was seen there first has one entry. */
static void a_thread_seen_before_its_start(void **state)
{
	struct fmt_thread_start began;
	struct fmt_switch_in in;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_thread_start e = {.h = header(&s, WIRE_THREAD_START, s.pid + 5), .start = 42, .comm = "worker"};
	struct wire_switch_in run = {.h = header(&s, WIRE_SWITCH_IN, s.pid + 5)};

	assert_int_equal(catalog_thread(s.cv.cat, s.pid, s.pid + 5, "worker", 42), 1);
	take(&s, &e);
	take(&s, &run);
	e.start = 0; /* not known, so it may be another one */
	take(&s, &e);
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_THREAD), 2);
	row(&rows, FMT_THREAD_START, 0, &began);
	assert_int_equal(began.thread, 1);
	row(&rows, FMT_SWITCH_IN, 0, &in);
	assert_int_equal(in.thread, 1);
	row(&rows, FMT_THREAD_START, 1, &began);
	assert_int_equal(began.thread, 2);
	close_rows(&rows);
}

static void markers(void **state)
{
	struct fmt_marker m;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_stack callers = {
		.h = header(&s, WIRE_STACK, s.pid), .hash = 9, .n = 2, .status = UW_WHOLE, .frames = {0x1000, 0x2000}};
	struct wire_marker e = {.h = header(&s, WIRE_MARKER, s.pid), .task = 30, .ustack = 9, .pair = 7};

	take(&s, &callers);
	take(&s, &e);
	e = (struct wire_marker){.h = header(&s, WIRE_MARKER, s.pid), .end = 1};
	take(&s, &e);
	e = (struct wire_marker){.h = header(&s, WIRE_MARKER, s.pid), .ustack = 10};
	take(&s, &e);
	assert_int_equal(s.cv.stacks_missing, 1); /* a stack that never came */
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_MARKER), 3);
	row(&rows, FMT_MARKER, 0, &m);
	assert_int_equal(m.ts, T0 + 20);
	assert_int_equal(m.thread, 1);
	assert_int_equal(m.cpu, 3);
	assert_int_equal(m.pair, 8); /* from 1 */
	assert_int_equal(m.end, 0);
	assert_int_equal(m.task, 30);
	assert_int_equal(m.ustack, 1);
	row(&rows, FMT_MARKER, 1, &m);
	assert_int_equal(m.pair, 1);
	assert_int_equal(m.end, 1);
	assert_int_equal(m.task, 0);
	assert_int_equal(m.ustack, 0);
	row(&rows, FMT_MARKER, 2, &m);
	assert_int_equal(m.ustack, 0);
	close_rows(&rows);
}

static void an_exec(void **state)
{
	struct fmt_process process;
	struct fmt_thread thread;
	struct fmt_exec ex;
	struct fmt_switch_in in;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_switch_in run = {.h = header(&s, WIRE_SWITCH_IN, s.pid)};
	struct wire_exec e = {.h = header(&s, WIRE_EXEC, s.pid), .old_tid = s.pid + 3}; /* not by the leader */

	take(&s, &run);
	take(&s, &e);
	assert_int_equal(catalog_alive(s.cv.cat), 1);
	take(&s, &run);
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_PROCESS), 2);
	row(&rows, FMT_PROCESS, 0, &process);
	assert_int_equal(process.exec_gen, 0);
	row(&rows, FMT_PROCESS, 1, &process);
	assert_int_equal(process.idx, 2);
	assert_int_equal(process.pid, getpid());
	assert_int_equal(process.exec_gen, 1);
	row(&rows, FMT_EXEC, 0, &ex);
	assert_int_equal(ex.process, 2);
	row(&rows, FMT_THREAD, 1, &thread);
	assert_int_equal(ex.thread, thread.idx); /* as it was known before: of the old image */
	assert_int_equal(thread.tid, getpid() + 3);
	assert_int_equal(thread.process, 1);
	row(&rows, FMT_THREAD, 2, &thread);
	assert_int_equal(thread.process, 2);
	assert_int_equal(thread.tid, getpid());
	row(&rows, FMT_SWITCH_IN, 1, &in);
	assert_int_equal(in.thread, thread.idx); /* what runs from now on is the new image */
	close_rows(&rows);
}

/* A process that was gone before /proc could be read: made from what the record says. */
static void a_process_that_is_gone(void **state)
{
	struct fmt_process process;
	struct fmt_thread thread;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	s.pid = 0x3ffffff0; /* above pid_max */
	struct wire_thread_start e = {.h = header(&s, WIRE_THREAD_START, s.pid), .start = 42, .comm = "short"};

	take(&s, &e);
	put_stack(&s, 1, false, 2);
	stop(&s, &rows);
	row(&rows, FMT_PROCESS, 0, &process);
	assert_int_equal(process.pid, s.pid);
	assert_int_equal(process.ns_pid | process.ppid | process.start | process.comm | process.exe, 0);
	row(&rows, FMT_THREAD, 0, &thread);
	string_is(&rows, thread.comm, "short");
	assert_int_equal(count(&rows, FMT_MAPPING), 0);
	close_rows(&rows);
}

/* ---- contexts ---- */

static void contexts(void **state)
{
	struct fmt_context context;
	struct fmt_sample sample;
	struct rows rows;
	struct rec s;

	(void)state;
	start(&s);
	struct wire_sample e = {.h = header(&s, WIRE_SAMPLE, s.pid), .user_mode = 1};

	e.ctx = (struct wire_ctx){.status = WIRE_CTX_READ,
				  .sched = 0x7000,
				  .core = 0x8000,
				  .park = 1,
				  .flavor = WIRE_FLAVOR_MULTI_THREAD,
				  .gen = give_copy(&s)};
	take(&s, &e);
	take(&s, &e); /* the same entry */
	e.ctx.sched = 0x7100;
	take(&s, &e);
	e.h.tid = s.pid + 1; /* another thread in it */
	take(&s, &e);
	e.ctx.status = WIRE_CTX_UNREAD;
	take(&s, &e);
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_CONTEXT), 3);
	row(&rows, FMT_CONTEXT, 0, &context);
	assert_int_equal(context.thread, 1);
	assert_int_equal(context.sched, 0x7000);
	assert_int_equal(context.flavor, FMT_FLAVOR_MULTI_THREAD);
	assert_int_equal(context.handle, 0); /* no memory there: unknown, not nonsense */
	for (u32 i = 0; i < 4; i++) {
		static const u64 expected[] = {1, 1, 2, 3};

		row(&rows, FMT_SAMPLE, i, &sample);
		assert_int_equal(sample.context, expected[i]);
		assert_int_equal(sample.core, 0x8000);
		assert_int_equal(sample.park, 1);
	}
	row(&rows, FMT_SAMPLE, 4, &sample);
	assert_int_equal(sample.ctx_status, FMT_CTX_UNREAD);
	assert_int_equal(sample.context, 0);
	close_rows(&rows);
}

/* Two copies of Tokio in one process; and records read with what was its parent's. */
static void copies(void **state)
{
	struct fmt_context context;
	struct fmt_sample sample;
	struct rows rows;
	struct rec s;
	u32 first, second;

	(void)state;
	start(&s);
	first = give_copy(&s);
	second = give_copy(&s);
	struct wire_sample e = {.h = header(&s, WIRE_SAMPLE, s.pid), .user_mode = 1};

	e.ctx = (struct wire_ctx){
		.status = WIRE_CTX_READ, .sched = 0x7000, .core = 0x8000, .flavor = WIRE_FLAVOR_CURRENT_THREAD, .gen = second};
	take(&s, &e);
	e.ctx.gen = first; /* the same address, another runtime */
	take(&s, &e);
	e.ctx.gen = second + 1;
	take(&s, &e);
	e.ctx.status = WIRE_CTX_UNREAD; /* what was not there to be read was not this process's */
	take(&s, &e);
	e.ctx.gen = second; /* was */
	take(&s, &e);
	stop(&s, &rows);
	assert_int_equal(count(&rows, FMT_CONTEXT), 2);
	row(&rows, FMT_CONTEXT, 0, &context);
	assert_int_equal(context.layout, 40 + second);
	row(&rows, FMT_CONTEXT, 1, &context);
	assert_int_equal(context.layout, 40 + first);
	row(&rows, FMT_SAMPLE, 1, &sample);
	assert_int_equal(sample.context, 2);
	for (u32 i = 2; i < 4; i++) {
		row(&rows, FMT_SAMPLE, i, &sample);
		assert_int_equal(sample.ctx_status, FMT_CTX_NO_LAYOUT);
		assert_int_equal(sample.context, 0);
	}
	row(&rows, FMT_SAMPLE, 4, &sample);
	assert_int_equal(sample.ctx_status, FMT_CTX_UNREAD);
	close_rows(&rows);
}

static void idle_waits(void **state)
{
	static const struct {
		struct wire_ctx x;
		bool idle;
	} cases[] = {
		{{.status = WIRE_CTX_NO_LAYOUT, .runtime = 2}, false},
		{{.status = WIRE_CTX_UNREAD, .runtime = 2}, false},
		{{.status = WIRE_CTX_READ, .runtime = 2}, true},	     /* a pool thread without work, or not Tokio's */
		{{.status = WIRE_CTX_READ, .runtime = 2, .task = 5}, false}, /* a pool thread at work */
		{{.status = WIRE_CTX_READ, .runtime = 1}, false},
		{{.status = WIRE_CTX_READ, .sched = 1, .core = 2, .flavor = WIRE_FLAVOR_MULTI_THREAD}, true},
		{{.status = WIRE_CTX_READ, .sched = 1, .core = 2, .flavor = WIRE_FLAVOR_MULTI_THREAD, .park = 1}, false},
		{{.status = WIRE_CTX_READ, .sched = 1, .flavor = WIRE_FLAVOR_MULTI_THREAD}, false}, /* block_in_place */
		{{.status = WIRE_CTX_READ, .sched = 1, .core = 2, .flavor = WIRE_FLAVOR_CURRENT_THREAD}, true},
		{{.status = WIRE_CTX_READ, .sched = 1, .core = 2, .flavor = WIRE_FLAVOR_CURRENT_THREAD, .budget = 3}, false},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(convert_is_idle(&cases[i].x), cases[i].idle);
}

/* ---- what makes no sense ---- */

static void short_and_unknown_records(void **state)
{
	static const size_t sizes[WIRE_KINDS] = {
		[WIRE_SWITCH_OUT] = sizeof(struct wire_switch_out),
		[WIRE_SWITCH_IN] = sizeof(struct wire_switch_in),
		[WIRE_WAKING] = sizeof(struct wire_waking),
		[WIRE_SAMPLE] = sizeof(struct wire_sample),
		[WIRE_STACK] = offsetof(struct wire_stack, frames),
		[WIRE_THREAD_START] = sizeof(struct wire_thread_start),
		[WIRE_THREAD_EXIT] = sizeof(struct wire_thread_exit),
		[WIRE_RENAME] = sizeof(struct wire_rename),
		[WIRE_EXEC] = sizeof(struct wire_exec),
		[WIRE_MARKER] = sizeof(struct wire_marker),
		[WIRE_CORE] = sizeof(struct wire_core),
	};
	struct rows rows;
	struct rec s;
	u64 bad = 0;

	(void)state;
	start(&s);
	for (u32 kind = 0; kind < WIRE_KINDS + 3u; kind++) {
		size_t size = kind < WIRE_KINDS ? sizes[kind] : sizeof(struct wire_core);

		/* memory of just that size, so that a sanitizer sees a read behind it */
		for (size_t n = sizeof(struct wire_hdr); n < (size ? size : 64); n++) {
			_cleanup_free_ struct wire_hdr *h = calloc(1, n);

			assert_non_null(h);
			*h = header(&s, kind, s.pid);
			assert_int_equal(convert_record(&s.cv, h, n), 0);
			assert_int_equal(s.cv.bad_records, ++bad);
		}
	}
	/* shorter than a header: nothing of it may be read */
	for (size_t n = 0; n < sizeof(struct wire_hdr); n++) {
		_cleanup_free_ struct wire_hdr *h = malloc(n ? n : 1);

		assert_non_null(h);
		assert_int_equal(convert_record(&s.cv, h, n), 0);
		assert_int_equal(s.cv.bad_records, ++bad);
	}
	assert_int_equal(s.cv.last_ts, 0);
	(void)catalog_thread(s.cv.cat, s.pid, s.pid, NULL, 0); /* something for the first block */
	stop(&s, &rows);
	assert_int_equal(rows.block[1].type, FMT_BLOCK_FOOTER); /* no event */
	close_rows(&rows);
}

static void the_disk_is_full(void **state)
{
	struct rec s;
	int err = 0;

	(void)state;
	start(&s);
	struct wire_switch_in e = {.h = header(&s, WIRE_SWITCH_IN, s.pid)};

	assert_int_equal(close(s.fd), 0);
	for (u32 i = 0; i < 100000 && !err; i++)
		err = convert_record(&s.cv, &e.h, sizeof(e));
	assert_int_equal(err, -EBADF);
	assert_int_equal(convert_record(&s.cv, &e.h, sizeof(e)), -EBADF);
	convert_release(&s.cv);
	catalog_free(s.cv.cat);
	fmt_writer_free(s.cv.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_out),	    cmocka_unit_test(a_stack_that_comes_later),
		cmocka_unit_test(other_kinds),	    cmocka_unit_test(a_missed_switch_in),
		cmocka_unit_test(wakings),	    cmocka_unit_test(stacks),
		cmocka_unit_test(a_tid_used_again), cmocka_unit_test(markers),
		cmocka_unit_test(an_exec),	    cmocka_unit_test(a_process_that_is_gone),
		cmocka_unit_test(contexts),	    cmocka_unit_test(copies),
		cmocka_unit_test(idle_waits),	    cmocka_unit_test(short_and_unknown_records),
		cmocka_unit_test(the_disk_is_full), cmocka_unit_test(a_thread_seen_before_its_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
