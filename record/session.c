/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session.c: see session.h.
 *
 *	open output -> load programs -> targets known, runtimes looked for -> attach -> start -> snapshot of all threads
 *	  -> run: drain every REST_MS or sooner, for TURN_MAX at most; flush every FLUSH_EVERY; every second clocks, losses
 *	  -> stop: no more records -> drain the rest -> kernel symbols -> totals -> footer
 *
 * Invariants:
 *  1. The output is opened, and a refused overwrite said, before anything is attached.
 *  2. From `start` to `stop` the rings are drained without pause; nothing in between waits for the target.
 *  3. However the run ends (time, signal, target's exit, full disk), the file is closed as a whole; everything the kernel sent is in it, unless there is
 *     no room for more than the end: then it ends with the last record that is in it.
 *  4. While recording there is always room for the end (keep_room()), as far as max_size and the file system let that be known.
 */
#include "record/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/human.h"
#include "base/log.h"
#include "format/fmt_writer.h"
#include "record/catalog.h"
#include "record/convert.h"
#include "record/discover.h"
#include "record/facts.h"
#include "record/kernel_bugs.h"
#include "record/kernel_side.h"
#include "record/ksyms.h"
#include "record/mmap_watch.h"
#include "record/output.h"
#include "record/perfmap.h"
#include "record/procfs.h"
#include "record/refusals.h"
#include "record/room.h"
#include "record/say.h"
#include "record/stop.h"
#include "record/task_lists.h"
#include "record/task_probes.h"
#include "record/throttle.h"

enum { SYNC_EVERY_S = 5, PRIORITY = -10 /* nice(2) */ };
/*
 * Between two turns. Each costs some 40 us, whatever it finds: twenty a second less are a tenth of a percent of a cpu. What cannot wait so long - a ring that fills, an
 * exec, code in no known mapping, an end of polls that has no probe - the kernel side wakes for; NEWS_MS while there is news of processes and their files: of what ends
 * soon nothing can be read later; FAST_MS after an exec, for its files are mapped within milliseconds, and before they are known stacks cannot be walked, and after the
 * kernel side's call, for the record that it is about is due RINGS_SLACK later.
 */
enum { REST_MS = 100, NEWS_MS = 20, FAST_MS = 2 };
#define FAST_FOR      (100 * NSEC_PER_MSEC)
#define NEWS_FOR      (2 * NSEC_PER_SEC)
#define SNAPSHOT_REST (20 * NSEC_PER_MSEC) /* between two; each looks at every thread */

/* A busy target must not keep a turn from ending: blocks are flushed between turns. Checked every CHECK_RECORDS, and at every one when room is short. */
#define TURN_MAX   (50 * NSEC_PER_MSEC)
#define GIVE_UP_NS (10 * NSEC_PER_SEC) /* of a reader that takes nothing after the stop */
enum { CHECK_RECORDS = 64 };
/* A kill -9 costs what was not flushed: less than a second with all that comes between (a turn, the write); at first sooner, so that there is something. */
#define FLUSH_FIRST (100 * NSEC_PER_MSEC)
#define FLUSH_EVERY (750 * NSEC_PER_MSEC)

struct session {
	const struct session_opts *o;
	struct output *out;
	struct room room;
	struct fmt_writer *w;
	struct catalog *cat;
	struct kernel_side *kernel;
	struct helper helper;
	struct procfs fs;	  /* through the helper */
	struct mmap_watch *watch; /* NULL: not permitted */
	struct mmap_watch_counts watch_counts;
	struct throttle_watch *throttle;
	u64 next_throttle; /* when it is to be looked at, CLOCK_MONOTONIC ns */
	struct ksyms_facts ksyms;
	bool careful;	 /* kernel_bugs.h */
	u64 sample_freq; /* Hz, as it really is */
	struct discover discover;
	struct task_probes *tasks;
	struct convert convert;
	struct facts facts;
	struct tally tally;
	struct target_child child;
	struct embedder embedder;
	struct marker_places markers;
	int epoll_fd;
	struct stop stop;
	int err;		     /* why it failed; 0 */
	u64 start, end;		     /* CLOCK_MONOTONIC ns; 0 not yet */
	u64 turn_ends;		     /* the drain is to pause then; UINT64_MAX: it is the last one */
	u32 next_check;		     /* in so many records */
	bool more;		     /* the rings have more that is due */
	u64 left_out[WIRE_KINDS];    /* records taken from the ring for which the file had no room */
	u64 next_second;	     /* when the once-a-second work is due */
	u64 next_flush, flush_every; /* when, ns to the one after it */
	u64 fast_until, news_until;  /* until then a turn every FAST_MS, NEWS_MS */
	u64 next_snapshot;	     /* not before */
	u32 seconds;
	u64 lost_seen; /* lost events already told as a gap */
	u64 gap_from;
	u64 events_shown; /* for the rate on the status line */
};

static void put_options(struct session *s)
{
	char key[32];

	facts_meta_u64(&s->facts, "option.freq", s->o->sample_freq);
	facts_meta_u64(&s->facts, "sample.period_ns", s->sample_freq ? NSEC_PER_SEC / s->sample_freq : 0);
	facts_meta(&s->facts, "option.stacks", s->o->all_stacks ? "all" : "auto");
	facts_meta(&s->facts, "option.waker_stacks", s->o->waker_stacks ? "yes" : "no");
	for (u32 i = 0; i < s->o->markers.n; i++) {
		(void)snprintf(key, sizeof(key), "option.marker.%u", i + 1);
		facts_meta(&s->facts, key, s->o->markers.pairs[i].text);
	}
	facts_meta(&s->facts, "stacks.user", "unwind tables");
	facts_meta(&s->facts, "mappings.news", s->watch ? "watched" : "not permitted: found when a stack meets them");
	if (s->careful)
		facts_meta(&s->facts, "sampling.off", "this kernel can lock up when user memory is read in an interrupt");
	task_probes_options(s->tasks, &s->facts);
	facts_meta(&s->facts, "waker.interrupts", s->ksyms.has_preempt_count ? "exact" : "guessed");
}

static struct fmt_clock clocks_now(void)
{
	return (struct fmt_clock){
		.ts = clock_ns(CLOCK_MONOTONIC), .boottime = clock_ns(CLOCK_BOOTTIME), .realtime = clock_ns(CLOCK_REALTIME)};
}

static int put_clocks(struct session *s)
{
	struct fmt_clock row = clocks_now();

	return fmt_writer_row(s->w, FMT_CLOCK, &row, NULL, 0);
}

/* ---- records ---- */

/* The kernel sends no more. Once; what is in the ring stays there. */
static void halt(struct session *s)
{
	if (s->end)
		return;
	kernel_side_stop(s->kernel);
	s->end = clock_ns(CLOCK_MONOTONIC);
}

static int keep_room(struct session *s)
{
	int err = room_keep(&s->room);

	s->next_check = s->room.is_short ? 1 : CHECK_RECORDS;
	if (stop_is_full(&s->stop))
		halt(s);
	return err;
}

/* -EAGAIN: the drain is to pause. */
static int between_records(struct session *s)
{
	u64 now;
	int err;

	if (s->next_check-- > 1)
		return 0;
	err = keep_room(s);
	if (err)
		return err;
	now = clock_ns(CLOCK_MONOTONIC);
	stop_take_signals(&s->stop, now);
	if (s->stop.is_urgent)
		return -ECANCELED;
	s->more = now >= s->turn_ends || (stop_is_full(&s->stop) && s->turn_ends != UINT64_MAX);
	return s->more ? -EAGAIN : 0;
}

static void note_news(struct session *s, const struct wire_hdr *h)
{
	if (h->kind == WIRE_EXEC)
		s->fast_until = h->ts + FAST_FOR;
	if (h->kind == WIRE_EXEC || (h->kind == WIRE_THREAD_START && h->tid == h->tgid))
		s->news_until = h->ts + NEWS_FOR;
}

static int on_record(void *ctx, const struct wire_hdr *h, size_t size)
{
	struct session *s = ctx;
	int err;

	if (stop_is_full(&s->stop)) {
		s->left_out[h->kind < WIRE_KINDS ? h->kind : 0]++;
		return 0;
	}
	if (h->kind == WIRE_CORE)
		return size >= sizeof(struct wire_core) ? discover_core(&s->discover, (const void *)h) : 0;
	err = s->discover.n_rows && h->kind != WIRE_STACK ? discover_put_snapshot(&s->discover, s->w, h->ts) : 0;
	if (!err)
		err = convert_record(&s->convert, h, size);
	if (err)
		return err;
	/* the pid may soon be another program's, which nobody asked to record */
	if (h->kind == WIRE_THREAD_EXIT && ((const struct wire_thread_exit *)(const void *)h)->group_dead)
		kernel_side_remove_target(s->kernel, h->tgid);
	note_news(s, h);
	/* new processes and images are looked at when all is drained: then it is known whether a child has execed already (discover_tick) */
	return h->kind == WIRE_STACK ? 0 : between_records(s); /* the event that names it comes next */
}

/*
 * The reader of a pipe is slow. Meanwhile nothing is drained: the ring fills, and the kernel counts what is lost. The recording ends when it is to end
 * even so, and who asks twice, or whose reader sleeps, need not wait.
 */
static int on_slow_reader(void *ctx, u64 waited)
{
	struct session *s = ctx;
	u64 now = clock_ns(CLOCK_MONOTONIC);

	stop_take_signals(&s->stop, now);
	if (s->start && s->o->duration_ns && now - s->start >= s->o->duration_ns)
		stop_because(&s->stop, STOP_TIME);
	if (s->stop.reason == STOP_NO)
		return 0;
	halt(s);
	if (s->stop.is_urgent)
		return -ECANCELED;
	return min_u64(waited, now - s->end) >= GIVE_UP_NS ? -ETIMEDOUT : 0;
}

static void on_mapped(void *ctx, u32 pid, u64 addr, u64 len, u64 ts)
{
	struct session *s = ctx;

	if (catalog_mapped(s->cat, pid, addr, len, ts))
		s->news_until = ts + NEWS_FOR;
}

static bool find_stack(void *ctx, u64 hash)
{
	struct session *s = ctx;

	return kernel_side_find_stack(s->kernel, hash);
}

static int drain(struct session *s)
{
	int n;

	s->more = false;
	if (mmap_watch_drain(s->watch, on_mapped, s, &s->watch_counts))
		catalog_mapped_unknown(s->cat);
	n = kernel_side_drain(s->kernel);
	if (n == -EAGAIN) /* cut short; between_records() has said so */
		n = 0;
	else
		s->more = kernel_side_is_behind(s->kernel, n);
	if (n >= 0 && !stop_is_full(&s->stop))
		n = discover_put_snapshot(&s->discover, s->w, kernel_side_known_until(s->kernel));
	return n < 0 ? n : catalog_err(s->cat);
}

/* ---- set up ---- */

static int note_thread(void *ctx, const struct wire_task *t)
{
	struct session *s = ctx;
	char comm[WIRE_COMM_LEN + 1] = "";

	memcpy(comm, t->comm, WIRE_COMM_LEN);
	return catalog_thread(s->cat, t->tgid, t->tid, comm, t->start) ? 0 : catalog_err(s->cat);
}

static int add_target(struct session *s, u32 pid)
{
	struct cat_process *p = catalog_process(s->cat, pid);

	return p ? discover_process(&s->discover, p, 0) : -ENOMEM;
}

static int open_writer(struct session *s)
{
	struct catalog_opts co = {
		.store_cmdline = s->o->store_cmdline,
		.stext = s->ksyms.stext,
		.fs = &s->fs,
		.unwind = *kernel_side_unwind_arrays(s->kernel),
	};
	_cleanup_free_ struct cgroup_mounts *mounts = malloc(sizeof(*mounts));
	struct fmt_sink sink = output_sink(s->out);
	u8 uuid[16];
	int err;

	if (!mounts)
		return -ENOMEM;
	cgroup_mounts_read(mounts);
	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
		return -EIO;
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x40); /* RFC 9562 version 4 */
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
	err = fmt_writer_new_to(&sink, uuid, s->o->compress_level, &s->w);
	if (!err) {
		fmt_writer_watch(s->w, tally_row, &s->tally);
		err = catalog_new(s->w, &co, &s->cat);
	}
	if (!err)
		err = throttle_watch_new(s->cat, s->w, mounts, &s->throttle);
	s->room = (struct room){.out = s->out, .w = s->w, .cat = s->cat, .stop = &s->stop};
	return err;
}

static void look_for_kernel_bugs(struct session *s)
{
	s->sample_freq = s->o->sample_freq;
	s->careful = kernel_bugs_here();
	if (!s->careful)
		return;
	s->sample_freq = 0;
	log_warn("%s", REFUSAL_CAN_LOCK_UP);
}

static int open_output(struct session *s)
{
	const struct output_opts oo = {.path = s->o->output,
				       .force = s->o->force,
				       .max_size = s->o->max_size,
				       .wake_fd = s->stop.signal_fd,
				       .on_wait = on_slow_reader,
				       .ctx = s};

	return output_open(&oo, &s->out); /* says why itself */
}

static void say_cannot_begin(const struct session *s, int err)
{
	log_error("cannot begin recording to %s: %s", s->o->output, output_err(s->out) ? output_advice(err) : strerror(-err));
}

static int prepare(struct session *s)
{
	struct kernel_side_opts ko = {
		.all_stacks = s->o->all_stacks, .ring_bytes = s->o->ring_bytes, .helper = &s->helper, .markers = &s->markers};
	int err;

	s->fs = (struct procfs){.open = helper_open, .ctx = &s->helper};
	look_for_kernel_bugs(s);
	ko.sample_freq = s->sample_freq;
	ko.waker_stacks = s->o->waker_stacks;
	ko.careful = s->careful;
	ko.probe_groups = task_probes_groups(&s->o->tasks);
	ko.unwind = unwind_size_for(s->o->targets.pids, s->o->targets.n, s->o->command != NULL);
	if (mmap_watch_open(&s->watch) < 0) /* before maps are read, so that nothing falls between */
		s->watch = NULL;
	s->ksyms = ksyms_probe();
	ko.irq_exact = s->ksyms.has_preempt_count;
	err = kernel_side_load(&ko, on_record, s, &s->kernel); /* says why itself */
	if (err)
		return err;
	err = open_output(s);
	if (err)
		return err;
	err = open_writer(s);
	if (!err)
		err = task_probes_new(&s->o->tasks, s->cat, s->kernel, &s->tasks);
	if (!err) {
		s->discover = (struct discover){.cat = s->cat, .kernel = s->kernel, .no_lists = s->o->tasks.off};
		s->convert = (struct convert){.cat = s->cat, .w = s->w, .find_stack = find_stack, .find_ctx = s};
		s->convert.poll_returns = task_probes_returns;
		s->convert.returns_ctx = s->tasks;
		s->facts = (struct facts){.cat = s->cat, .w = s->w};
		facts_host(&s->facts);
		put_options(s);
		err = facts_err(&s->facts);
	}
	for (u32 i = 0; i < s->o->targets.n && !err; i++)
		err = add_target(s, s->o->targets.pids[i]);
	if (!err && s->o->command)
		err = add_target(s, (u32)s->child.pid);
	if (!err)
		err = kernel_side_each_thread(s->kernel, note_thread, s);
	if (err)
		say_cannot_begin(s, err);
	return err;
}

/* From here on files of /proc come from the helper. */
static int drop_privileges(struct session *s)
{
	int err = kernel_side_drop_privileges(s->kernel);

	if (err && err != -EOPNOTSUPP) {
		log_error("cannot give up privileges: %s", strerror(-err));
		return err;
	}
	facts_meta(&s->facts, "recorder.privileges", err ? "kept: this kernel asks for them at every use of a map" : "dropped");
	return 0;
}

/* It needs little, but soon: on a host whose cpus are all taken the ring would fill, and new libraries be met late. Not permitted: as it is. */
static void raise_priority(void)
{
	(void)setpriority(PRIO_PROCESS, 0, PRIORITY);
}

static int watch_throttling(struct session *s, u64 now)
{
	s->next_throttle = now + THROTTLE_TICK;
	return throttle_watch_tick(s->throttle);
}

static int start(struct session *s)
{
	int err = kernel_side_attach(s->kernel); /* says why itself */

	if (err)
		return err;
	raise_priority();
	err = task_probes_tick(s->tasks, clock_ns(CLOCK_MONOTONIC)); /* what runs already misses no task */
	if (err)
		return err;
	s->start = clock_ns(
		CLOCK_MONOTONIC); /* what a thread waits for at the start, it waits for since then: no event may be missing in between */
	kernel_side_start(s->kernel);
	s->gap_from = s->start;
	s->next_second = s->start + NSEC_PER_SEC;
	s->news_until = s->start + NEWS_FOR;
	if (!s->o->quiet)
		log_status("recording");
	facts_meta_u64(&s->facts, "recording.start_ns", s->start);
	err = put_clocks(s);
	if (!err)
		err = watch_throttling(s, s->start);
	if (!err)
		err = discover_snapshot(&s->discover);
	if (!err)
		err = fmt_writer_flush(s->w);
	if (err)
		say_cannot_begin(s, err);
	return err;
}

static int watch(struct session *s, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_events(struct session *s)
{
	int err = stop_watch_signals(&s->stop);

	if (err)
		return err;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return s->epoll_fd < 0 ? -errno : 0;
}

/* ---- run ---- */

static u64 lost_events(const u64 *stats)
{
	u64 n = 0;

	for (u32 k = WIRE_SWITCH_OUT; k < WIRE_CORE; k++)
		n += stats[WIRE_STAT_LOST + k];
	return n;
}

static u64 sent_events(const u64 *stats)
{
	u64 n = 0;

	for (u32 k = WIRE_SWITCH_OUT; k < WIRE_CORE; k++)
		n += k == WIRE_STACK ? 0 : stats[WIRE_STAT_SENT + k];
	return n;
}

static int put_gap(struct session *s, const u64 *stats, u64 now)
{
	u64 lost = lost_events(stats);
	struct fmt_gap row = {.ts = s->gap_from, .ts_end = now, .count = lost - s->lost_seen};
	int err = 0;

	if (lost > s->lost_seen) {
		row.cause = catalog_string(s->cat, "ring_full");
		err = fmt_writer_row(s->w, FMT_GAP, &row, NULL, 0);
	}
	s->lost_seen = lost;
	s->gap_from = now;
	return err;
}

static void show_status(struct session *s, const u64 *stats, u64 now)
{
	u64 events = sent_events(stats);

	if (s->o->quiet)
		return;
	log_status("recording %.0f s   %s events/s   %s   lost %s", (double)(now - s->start) / 1e9,
		   human_count(events - s->events_shown).s, human_bytes(fmt_writer_stats(s->w)->bytes).s,
		   human_count(lost_events(stats)).s);
	s->events_shown = events;
}

static int each_second(struct session *s, u64 now)
{
	u64 stats[WIRE_STATS];
	int err;

	kernel_side_stats(s->kernel, stats);
	while (s->next_second <= now) /* after a SIGSTOP not one for every second that was missed */
		s->next_second += NSEC_PER_SEC;
	s->seconds++;
	err = put_clocks(s);
	if (!err)
		err = put_gap(s, stats, now);
	if (!err)
		err = s->seconds % SYNC_EVERY_S ? 0 : fmt_writer_sync(s->w);
	show_status(s, stats, now);
	return err;
}

/* A kill -9 of the last target leaves no doubt only in the exit records; a process whose exit record was lost is noticed here. */
static void check_alive(void *ctx, struct cat_process *p)
{
	if (!proc_exists(p->pid))
		catalog_process_exit(ctx, p->pid, 0);
}

static int flush(struct session *s, u64 now)
{
	s->flush_every = s->flush_every ? min_u64(2 * s->flush_every, FLUSH_EVERY) : FLUSH_FIRST;
	s->next_flush = now + s->flush_every;
	return fmt_writer_flush(s->w);
}

static int turn(struct session *s)
{
	u64 now = clock_ns(CLOCK_MONOTONIC);
	int err;

	s->turn_ends = now + TURN_MAX;
	err = drain(s);
	if (stop_is_full(&s->stop))
		return err;
	if (!err)
		err = discover_tick(&s->discover, now);
	if (!err)
		err = task_probes_tick(s->tasks, now);
	if (!err && s->discover.want_snapshot && now >= s->next_snapshot) {
		err = discover_snapshot(&s->discover);
		s->next_snapshot = now + SNAPSHOT_REST;
	}
	if (!err && now >= s->next_throttle)
		err = watch_throttling(s, now);
	if (!err && now >= s->next_flush)
		err = flush(s, now);
	if (!err && now >= s->next_second) {
		catalog_each_process(s->cat, check_alive, s->cat);
		err = each_second(s, now);
	}
	if (!catalog_alive(s->cat))
		stop_because(&s->stop, STOP_TARGET);
	if (s->o->duration_ns && now - s->start >= s->o->duration_ns)
		stop_because(&s->stop, STOP_TIME);
	return err ? err : keep_room(s);
}

/* For epoll_wait(), until the next turn. is_woken: what the kernel side called for is to be taken yet. */
static int pause_ms(const struct session *s, bool is_woken)
{
	u64 now = clock_ns(CLOCK_MONOTONIC), ms = REST_MS;

	if (s->more)
		return 0;
	if (now < s->fast_until || is_woken)
		ms = FAST_MS;
	else if (now < s->news_until)
		ms = NEWS_MS;
	if (s->o->duration_ns) {
		u64 end = s->start + s->o->duration_ns;

		ms = min_u64(ms, end > now ? (end - now) / NSEC_PER_MSEC + 1 : 0);
	}
	return (int)ms;
}

static void run(struct session *s)
{
	struct epoll_event ev[4];
	bool is_woken = false;
	int err = watch(s, s->stop.signal_fd);

	if (!err)
		err = watch(s, kernel_side_epoll_fd(s->kernel));
	while (!err && s->stop.reason == STOP_NO) {
		int n = epoll_wait(s->epoll_fd, ev, ARRAY_SIZE(ev), pause_ms(s, is_woken));

		if (n < 0 && errno != EINTR)
			err = -errno;
		is_woken = false;
		for (int i = 0; i < n; i++)
			is_woken |= ev[i].data.fd != s->stop.signal_fd;
		if (n)
			stop_take_signals(&s->stop, clock_ns(CLOCK_MONOTONIC));
		if (!err)
			err = turn(s);
	}
	if (err) {
		s->stop.reason = STOP_ERROR;
		s->err = err;
	}
}

/* ---- finish ---- */

static int put_perfmaps(struct session *s)
{
	const struct perfmap_room room = {.has_room = room_has, .ctx = &s->room};
	struct perfmap_counts n;
	int err = perfmap_copy(s->cat, &s->fs, s->w, &room, &n);

	if (n.files)
		facts_total(&s->facts, "perfmap.bytes", n.bytes);
	if (n.cut)
		facts_total(&s->facts, "perfmap.cut", n.cut);
	if (n.cut)
		log_warn(
			"%u perf maps of JIT compilers were cut or left out, for want of room: some of their functions have no name",
			n.cut);
	return err;
}

/* Everything the kernel sent, as far as there is room for it. */
static int drain_rest(struct session *s, u64 *stats)
{
	struct fmt_clock clocks = clocks_now(); /* before what takes long: the capture must not seem to last until then */
	int err;

	task_probes_end(s->tasks, s->end);
	kernel_side_detach(s->kernel);
	kernel_side_stats(s->kernel, stats);
	s->turn_ends = UINT64_MAX;
	err = drain(s);
	if (!err && stop_is_full(&s->stop))
		s->end = max_u64(s->convert.last_ts, s->start);
	else if (!err)
		err = fmt_writer_row(s->w, FMT_CLOCK, &clocks, NULL, 0);
	for (u32 k = 0; k < WIRE_KINDS; k++)
		stats[WIRE_STAT_SENT + k] -= min_u64(s->left_out[k], stats[WIRE_STAT_SENT + k]);
	return err;
}

static int finish(struct session *s, u64 *stats)
{
	int err;

	output_closing(s->out);
	halt(s);
	err = drain_rest(s, stats);
	if (!err)
		err = throttle_watch_tick(s->throttle);
	if (!err)
		err = put_gap(s, stats, s->end);
	if (!err)
		err = ksyms_copy(s->cat, &s->fs, s->w, s->ksyms.stext);
	if (!err)
		err = put_perfmaps(s);
	facts_counters(&s->facts, stats);
	facts_rings(&s->facts, s->kernel);
	facts_unwind(&s->facts, stats, catalog_unwind_counts(s->cat));
	if (!s->o->tasks.off)
		facts_tasks(&s->facts, task_lists_finish(s->cat));
	facts_total(&s->facts, "mappings.lost_news", s->watch_counts.lost + s->watch_counts.malformed);
	facts_total(&s->facts, "lost.bad_records", s->convert.bad_records);
	facts_total(&s->facts, "stacks.missing", s->convert.stacks_missing);
	if (throttle_watch_left_out(s->throttle))
		facts_total(&s->facts, "throttle.left_out", throttle_watch_left_out(s->throttle));
	task_probes_facts(s->tasks, &s->facts, s->start);
	facts_cost(&s->facts, s->kernel);
	facts_records(&s->facts, &s->tally);
	facts_meta_u64(&s->facts, "recording.end_ns", s->end);
	facts_meta(&s->facts, "recording.stopped_by", stop_name(s->stop.reason));
	if (!err)
		err = facts_err(&s->facts);
	if (!err)
		err = catalog_err(s->cat);
	return err ? err : fmt_writer_finish(s->w);
}

static int end_lines(struct session *s, int err, const u64 *stats)
{
	const struct fmt_writer_stats *ws = fmt_writer_stats(s->w);
	u64 lost = lost_events(stats);

	log_status_end();
	if (err) {
		log_error("%s: %s; recording stopped, what was written before is kept and can be read", s->o->output,
			  output_err(s->out) ? output_advice(err) : strerror(-err));
		return ws->blocks ? 3 : 1;
	}
	if (!s->o->quiet) {
		say_what_was_found(s->cat);
		task_probes_say(s->tasks, s->start);
	}
	if (stop_is_full(&s->stop))
		say_full(s->o, s->stop.reason);
	log_info("%s: %s, %s events in %.1f s, lost %s", s->o->output, human_bytes(ws->bytes).s,
		 human_count(sent_events(stats)).s, (double)(s->end - s->start) / 1e9, human_count(lost).s);
	if (lost)
		log_warn("the kernel could not deliver %s events: the ring was full; the report says which times are affected",
			 human_count(lost).s);
	return lost || s->stop.reason >= STOP_FILE_LIMIT ? 3 : 0;
}

static void release(struct session *s)
{
	helper_stop(&s->helper);
	discover_release(&s->discover);
	convert_release(&s->convert);
	tally_release(&s->tally);
	mmap_watch_free(s->watch);
	throttle_watch_free(s->throttle);
	task_probes_free(s->tasks);
	catalog_free(s->cat); /* before the arrays that it writes to */
	kernel_side_free(s->kernel);
	fmt_writer_free(s->w);
	marker_places_release(&s->markers);
	target_child_release(&s->child);
	embed_stop(&s->embedder);
	stop_release(&s->stop);
	if (s->epoll_fd >= 0)
		(void)close(s->epoll_fd);
}

/* A recording that never began leaves no file. */
static int give_up(struct session *s)
{
	(void)output_close(s->out, false);
	release(s);
	return 1;
}

int session_run(const struct session_opts *o)
{
	struct session s = {.o = o,
			    .helper = HELPER_INIT,
			    .embedder = EMBEDDER_INIT,
			    .stop = STOP_INIT,
			    .epoll_fd = -1,
			    .child = {.go_fd = -1, .err_fd = -1}};
	u64 stats[WIRE_STATS] = {0};
	int err = open_events(&s), code;

	if (err) {
		log_error("cannot watch signals: %s", strerror(-err));
		return 1;
	}
	embed_start(&s.embedder, o->embed, o->output, &o->targets, o->quiet);
	if (marker_resolve(&o->markers, &o->targets, o->command, &s.markers) < 0) /* says why itself */
		return give_up(&s);
	if (o->command && target_spawn(o->command, &s.child) < 0)
		return give_up(&s);
	if (prepare(&s) < 0 || start(&s) < 0)
		return give_up(&s);
	if (o->command && target_go(&s.child, o->command[0]) < 0)
		return give_up(&s);
	/* last: what is given up above may have a file to remove, and an older one to keep */
	if (output_begin(s.out) < 0 || drop_privileges(&s) < 0)
		return give_up(&s);
	run(&s);
	err = finish(&s, stats); /* after an error as far as it goes: the drain, and a footer when the disk takes it */
	code = end_lines(&s, s.err ? s.err : err, stats);
	err = output_close(s.out, true);
	if (err)
		log_error("%s: %s; it may not be whole", o->output, output_advice(err));
	else if (code != 1)
		embed_run(&s.embedder, o->output);
	release(&s);
	return err ? 3 : code;
}
