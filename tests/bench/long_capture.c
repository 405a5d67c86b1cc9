/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * long_capture.c: writes a capture of any length without recording one, to measure what reads captures: `make out/long_capture;
 * out/long_capture OUT MILLIONS SECONDS`; tests/bench/reading.py does. Of the waits of 16 workers one in ten is in a poll, one in 4,000 for 20 ms; one
 * event in seven is a sample. Addresses are as uneven as those of real programs: 20,000 of them, the n-th taken about 1/n as often
 * as the first, and each reached by three stacks. Written through the recorder's own writer and sums (record/tally.h), so that
 * `ascope info` may trust its totals.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "format/fmt_schema.h"
#include "format/fmt_writer.h"
#include "record/tally.h"

enum { WORKERS = 16, STACKS = 2000, PLACES = 20000, START = 1000000000 };

struct maker {
	struct fmt_writer *w;
	struct tally tally;
	u64 strings, rnd;
	u64 free_at[WORKERS]; /* when each is back from its last wait */
	int err;
};

static u64 draw(struct maker *m, u64 below)
{
	m->rnd = m->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return (m->rnd >> 33) % below;
}

/* One of PLACES, the n-th about 1/n as often as the first: each power of two is as likely as the next, and all in it are alike. */
static u64 draw_place(struct maker *m)
{
	u64 n;

	do {
		u64 power = 1ULL << draw(m, 15);

		n = power + draw(m, power) - 1;
	} while (n >= PLACES);
	return n;
}

/* Its address: places that are often taken lie anywhere in the module. */
static u64 place_address(u64 place)
{
	return 0x400000 + place * 7919 % PLACES * 200;
}

static void put(struct maker *m, enum fmt_kind_id kind, const void *row, const void *payload, size_t n)
{
	if (!m->err)
		m->err = fmt_writer_row(m->w, kind, row, payload, n);
}

static u64 string(struct maker *m, const char *s)
{
	put(m, FMT_STRING, &(struct fmt_string){.idx = ++m->strings}, s, strlen(s));
	return m->strings;
}

static void names(struct maker *m)
{
	u64 comm = string(m, "worker"), path = string(m, "/usr/bin/long");

	put(m, FMT_PROCESS, &(struct fmt_process){.idx = 1, .pid = 100, .comm = comm, .exe = path}, NULL, 0);
	put(m, FMT_MODULE, &(struct fmt_module){.idx = 1, .path = path}, NULL, 0);
	put(m, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 1, .start = 0x400000, .end = 0x900000}, NULL, 0);
	put(m, FMT_LAYOUT,
	    &(struct fmt_layout){
		    .idx = 1, .process = 1, .module = 1, .version = string(m, "1.43.4"), .threads = WORKERS, .tick_from_mt = 1},
	    NULL, 0);
	for (u64 i = 1; i <= WORKERS; i++) {
		put(m, FMT_THREAD, &(struct fmt_thread){.idx = i, .process = 1, .tid = 100 + i, .comm = comm}, NULL, 0);
		put(m, FMT_CONTEXT,
		    &(struct fmt_context){.idx = i,
					  .thread = i,
					  .layout = 1,
					  .sched = 0x1000 * i,
					  .flavor = FMT_FLAVOR_MULTI_THREAD,
					  .handle = 7,
					  .worker = i},
		    NULL, 0);
	}
	for (u64 i = 1; i <= STACKS; i++) {
		u64 frames[20];

		for (u32 k = 0; k < ARRAY_SIZE(frames); k++)
			frames[k] = place_address(draw_place(m));
		put(m, FMT_STACK, &(struct fmt_stack){.idx = i, .process = 1, .kind = FMT_STACK_USER, .status = FMT_STACK_WHOLE},
		    frames, ARRAY_SIZE(frames));
	}
	put(m, FMT_META, &(struct fmt_meta){.key = string(m, "recording.start_ns"), .value = string(m, "1000000000")}, NULL, 0);
	put(m, FMT_META, &(struct fmt_meta){.key = string(m, "sample.period_ns"), .value = string(m, "10101010")}, NULL, 0);
}

static void sample(struct maker *m, u64 ts, u64 thread, u64 task)
{
	u64 place = draw_place(m);

	put(m, FMT_SAMPLE,
	    &(struct fmt_sample){.ts = ts,
				 .thread = thread,
				 .mode = 1,
				 .ctx_status = FMT_CTX_READ,
				 .context = thread,
				 .runtime = 2,
				 .budget = 129,
				 .core = 0x7f0000000000 + thread * 4096,
				 .park = 1,
				 .task = task,
				 .tick = task,
				 .ustack = 1 + (place * 3 + draw(m, 3)) % STACKS,
				 .pc = place_address(place)},
	    NULL, 0);
}

/* One worker's turn: it stops, is woken, goes on. */
static void turn(struct maker *m, u64 due, u64 thread, u64 task)
{
	bool blocks = !draw(m, 4000), in_poll = blocks || !draw(m, 10);
	u64 wait = blocks ? 20 * NSEC_PER_MSEC : 1000 + draw(m, 3000), ts = max_u64(due, m->free_at[thread - 1] + 1000);
	const struct fmt_switch_out out = {.ts = ts,
					   .thread = thread,
					   .cpu = thread % 4,
					   .state = 1,
					   .ctx_status = FMT_CTX_READ,
					   .context = thread,
					   .budget = in_poll ? 129 : 0,
					   .core = 0x7f0000000000 + thread * 4096,
					   .park = in_poll,
					   .task = in_poll ? task : 0,
					   .tick = task,
					   .syscall = 203,
					   .ustack = in_poll ? 1 + draw(m, STACKS) : 0};

	m->free_at[thread - 1] = ts + wait;
	put(m, FMT_SWITCH_OUT, &out, NULL, 0);
	put(m, FMT_WAKING, &(struct fmt_waking){.ts = ts + wait - 500, .thread = thread, .cpu = 1}, NULL, 0);
	put(m, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = ts + wait, .thread = thread, .cpu = thread % 4}, NULL, 0);
	if (draw(m, 2))
		sample(m, ts + wait + 300, thread, task);
}

static void total(struct maker *m, const char *key, u64 value)
{
	put(m, FMT_TOTAL, &(struct fmt_total){.key = string(m, key), .value = value}, NULL, 0);
}

static void totals(struct maker *m)
{
	total(m, "records.contexts", m->tally.contexts);
	total(m, "records.contexts_unread", m->tally.contexts_unread);
	for (u32 i = 0; i < FMT_STACK_STATUS_END; i++) {
		char key[64];

		(void)snprintf(key, sizeof(key), "records.stacks.%s", i ? fmt_stack_status_name(i) : "leaf_only");
		if (m->tally.stacks[i])
			total(m, key, m->tally.stacks[i]);
	}
	total(m, "records.realtime_offset", m->tally.realtime_offset);
	total(m, "records.events", m->tally.events);
}

static void make(struct maker *m, u64 events, u64 seconds)
{
	u64 turns = events * 2 / 7, step = seconds * NSEC_PER_SEC / (turns / WORKERS + 1), flushed = 0;

	names(m);
	for (u64 i = 0; i < turns && !m->err; i++) {
		u64 ts = START + i / WORKERS * step + i % WORKERS * 7;

		if (ts / NSEC_PER_SEC != flushed) {
			flushed = ts / NSEC_PER_SEC;
			put(m, FMT_CLOCK,
			    &(struct fmt_clock){.ts = ts, .boottime = ts, .realtime = ts + 1767225600 * NSEC_PER_SEC}, NULL, 0);
			if (!m->err)
				m->err = fmt_writer_flush(m->w);
		}
		turn(m, ts + (i % WORKERS) * 20, 1 + i % WORKERS, i);
	}
	totals(m);
	if (!m->err)
		m->err = fmt_writer_finish(m->w);
}

int main(int argc, char **argv)
{
	const u8 uuid[16] = {0x10, 0x49, 0x9};
	struct maker m = {.rnd = 42};
	_cleanup_close_ int fd = argc == 4 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0) {
		(void)fprintf(stderr, "usage: long_capture OUT MILLIONS SECONDS\n");
		return 2;
	}
	m.err = fmt_writer_new(fd, uuid, 1, &m.w);
	if (!m.err) {
		fmt_writer_watch(m.w, tally_row, &m.tally);
		make(&m, strtoull(argv[2], NULL, 10) * 1000000, strtoull(argv[3], NULL, 10));
	}
	fmt_writer_free(m.w);
	tally_release(&m.tally);
	if (m.err)
		(void)fprintf(stderr, "long_capture: %s: %s\n", argv[1], strerror(-m.err));
	return m.err != 0;
}
