/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * session.c: see session.h.
 *
 *	open output -> load programs -> targets known, runtimes looked for -> attach -> start -> snapshot of all threads
 *	  -> run: drain every DRAIN_MS; every second clocks, losses, flush
 *	  -> stop: no more records -> drain the rest -> kernel symbols -> totals -> footer
 *
 * Invariants:
 *  1. The output is opened, and a refused overwrite said, before anything is attached.
 *  2. From `start` to `stop` the rings are drained without pause; nothing in between waits for the target.
 *  3. However the run ends (time, signal, target's exit, full disk), everything the kernel sent is taken, and the file is closed as a whole.
 */
#include "record/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

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
#include "record/throttle.h"

enum { DRAIN_MS = 20, SYNC_EVERY_S = 5, PRIORITY = -10 /* nice(2) */ };
/* After an exec: its files are mapped within milliseconds, and before they are known stacks cannot be walked. */
enum { DRAIN_FAST_MS = 2 };
#define FAST_FOR      (100 * NSEC_PER_MSEC)
#define SNAPSHOT_REST (20 * NSEC_PER_MSEC) /* between two; each looks at every thread */

enum stop_reason { STOP_NO, STOP_TIME, STOP_SIGNAL, STOP_TARGET, STOP_ERROR };

struct session {
	const struct session_opts *o;
	int out_fd;
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
	struct convert convert;
	struct facts facts;
	struct target_child child;
	struct marker_places markers;
	int signal_fd, timer_fd, epoll_fd;
	enum stop_reason stop;
	int err;	 /* why it failed; 0 */
	u64 start, end;	 /* CLOCK_MONOTONIC ns */
	u64 next_second; /* when the once-a-second work is due */
	u64 fast_until;	 /* until then the timer ticks every DRAIN_FAST_MS */
	bool is_fast;
	bool is_behind;	   /* the rings have more that is due */
	u64 next_snapshot; /* not before */
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
	for (u32 i = 0; i < s->o->markers.n; i++) {
		(void)snprintf(key, sizeof(key), "option.marker.%u", i + 1);
		facts_meta(&s->facts, key, s->o->markers.pairs[i].text);
	}
	facts_meta(&s->facts, "stacks.user", "unwind tables");
	facts_meta(&s->facts, "mappings.news", s->watch ? "watched" : "not permitted: found when a stack meets them");
	if (s->careful)
		facts_meta(&s->facts, "sampling.off", "this kernel can lock up when user memory is read in an interrupt");
	facts_meta(&s->facts, "waker.interrupts", s->ksyms.has_preempt_count ? "exact" : "guessed");
}

static int put_clocks(struct session *s)
{
	struct fmt_clock row = {
		.ts = clock_ns(CLOCK_MONOTONIC), .boottime = clock_ns(CLOCK_BOOTTIME), .realtime = clock_ns(CLOCK_REALTIME)};

	return fmt_writer_row(s->w, FMT_CLOCK, &row, NULL, 0);
}

/* ---- records ---- */

static int on_record(void *ctx, const struct wire_hdr *h, size_t size)
{
	struct session *s = ctx;
	int err;

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
	if (h->kind == WIRE_EXEC)
		s->fast_until = h->ts + FAST_FOR;
	/* new processes and images are looked at when all is drained: then it is known whether a child has execed already (discover_tick) */
	return 0;
}

static void on_mapped(void *ctx, u32 pid, u64 addr, u64 len, u64 ts)
{
	struct session *s = ctx;

	catalog_mapped(s->cat, pid, addr, len, ts);
}

static bool find_stack(void *ctx, u64 hash)
{
	struct session *s = ctx;

	return kernel_side_find_stack(s->kernel, hash);
}

static int drain(struct session *s)
{
	int n;

	if (mmap_watch_drain(s->watch, on_mapped, s, &s->watch_counts))
		catalog_mapped_unknown(s->cat);
	n = kernel_side_drain(s->kernel);
	s->is_behind = kernel_side_is_behind(s->kernel, n);
	if (n >= 0)
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
	u8 uuid[16];
	int err;

	if (!mounts)
		return -ENOMEM;
	cgroup_mounts_read(mounts);
	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
		return -EIO;
	uuid[6] = (u8)((uuid[6] & 0x0f) | 0x40); /* RFC 9562 version 4 */
	uuid[8] = (u8)((uuid[8] & 0x3f) | 0x80);
	err = fmt_writer_new(s->out_fd, uuid, s->o->compress_level, &s->w);
	if (!err)
		err = catalog_new(s->w, &co, &s->cat);
	if (!err)
		err = throttle_watch_new(s->cat, s->w, mounts, &s->throttle);
	return err;
}

static void look_for_kernel_bugs(struct session *s)
{
	s->sample_freq = s->o->sample_freq;
	s->careful = kernel_bugs_here();
	if (!s->careful)
		return;
	s->sample_freq = 0;
	log_warn(
		"this kernel can lock up when user memory is read in an interrupt (fixed in 6.1.36, 6.3.10 and 6.4): recording without cpu samples, so "
		"polls that hold the cpu will not be seen; a newer kernel of the same series has the fix");
}

static int prepare(struct session *s)
{
	struct kernel_side_opts ko = {
		.all_stacks = s->o->all_stacks, .ring_bytes = s->o->ring_bytes, .helper = &s->helper, .markers = &s->markers};
	int err;

	s->fs = (struct procfs){.open = helper_open, .ctx = &s->helper};
	look_for_kernel_bugs(s);
	ko.sample_freq = s->sample_freq;
	ko.careful = s->careful;
	ko.unwind = unwind_size_for(s->o->targets.pids, s->o->targets.n, s->o->command != NULL);
	if (mmap_watch_open(&s->watch) < 0) /* before maps are read, so that nothing falls between */
		s->watch = NULL;
	s->ksyms = ksyms_probe();
	ko.irq_exact = s->ksyms.has_preempt_count;
	err = kernel_side_load(&ko, on_record, s, &s->kernel); /* says why itself */
	if (err)
		return err;
	s->out_fd = output_open(s->o->output, s->o->force); /* says why itself */
	if (s->out_fd < 0)
		return s->out_fd;
	err = open_writer(s);
	if (!err) {
		s->discover = (struct discover){.cat = s->cat, .kernel = s->kernel};
		s->convert = (struct convert){.cat = s->cat, .w = s->w, .find_stack = find_stack, .find_ctx = s};
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
		log_error("cannot begin recording: %s", strerror(-err));
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
	s->start = clock_ns(CLOCK_MONOTONIC);
	s->gap_from = s->start;
	s->next_second = s->start + NSEC_PER_SEC;
	kernel_side_start(s->kernel);
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
		log_error("cannot write %s: %s", s->o->output, strerror(-err));
	return err;
}

static int watch(struct session *s, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int set_timer(struct session *s, long ms)
{
	struct itimerspec every = {.it_interval.tv_nsec = ms * 1000000L, .it_value.tv_nsec = ms * 1000000L};

	return timerfd_settime(s->timer_fd, 0, &every, NULL) < 0 ? -errno : 0;
}

/* Signals are blocked before the command is forked, so that none is lost. */
static int open_events(struct session *s)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd < 0 || s->timer_fd < 0 || s->epoll_fd < 0)
		return -errno;
	return set_timer(s, DRAIN_MS);
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
	int err = kernel_side_stats(s->kernel, stats);

	if (err)
		return err;
	s->next_second += NSEC_PER_SEC;
	s->seconds++;
	err = put_clocks(s);
	if (!err)
		err = put_gap(s, stats, now);
	if (!err)
		err = s->seconds % SYNC_EVERY_S ? fmt_writer_flush(s->w) : fmt_writer_sync(s->w);
	show_status(s, stats, now);
	return err;
}

/* Children of ours: the command. Its exit is not the end while processes it left behind still run. */
static void reap(void)
{
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0)
		continue;
}

static void take_signals(struct session *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			reap();
		else
			s->stop = STOP_SIGNAL;
	}
}

/* A kill -9 of the last target leaves no doubt only in the exit records; a process whose exit record was lost is noticed here. */
static void check_alive(void *ctx, struct cat_process *p)
{
	if (!proc_exists(p->pid))
		catalog_process_exit(ctx, p->pid);
}

static int turn(struct session *s)
{
	u64 now = clock_ns(CLOCK_MONOTONIC);
	int err = drain(s);

	if (!err)
		err = discover_tick(&s->discover, now);
	if (!err && s->discover.want_snapshot && now >= s->next_snapshot) {
		err = discover_snapshot(&s->discover);
		s->next_snapshot = now + SNAPSHOT_REST;
	}
	if (!err && (now < s->fast_until) != s->is_fast) {
		s->is_fast = !s->is_fast;
		err = set_timer(s, s->is_fast ? DRAIN_FAST_MS : DRAIN_MS);
	}
	if (!err && now >= s->next_throttle)
		err = watch_throttling(s, now);
	if (!err && now >= s->next_second) {
		catalog_each_process(s->cat, check_alive, s->cat);
		err = each_second(s, now);
	}
	if (!catalog_alive(s->cat) && s->stop == STOP_NO)
		s->stop = STOP_TARGET;
	if (s->o->duration_ns && now - s->start >= s->o->duration_ns && s->stop == STOP_NO)
		s->stop = STOP_TIME;
	return err;
}

static void run(struct session *s)
{
	struct epoll_event ev[8];
	int err = watch(s, s->signal_fd);

	if (!err)
		err = watch(s, s->timer_fd);
	if (!err)
		err = watch(s, kernel_side_epoll_fd(s->kernel));
	while (!err && s->stop == STOP_NO) {
		int n = epoll_wait(s->epoll_fd, ev, ARRAY_SIZE(ev), s->is_behind ? 0 : -1);
		u64 ticks;

		if (n < 0 && errno != EINTR)
			err = -errno;
		(void)!read(s->timer_fd, &ticks, sizeof(ticks));
		take_signals(s);
		if (!err)
			err = turn(s);
	}
	if (err) {
		s->stop = STOP_ERROR;
		s->err = err;
	}
}

/* ---- finish ---- */

static int put_perfmaps(struct session *s)
{
	struct perfmap_counts n;
	int err = perfmap_copy(s->cat, &s->fs, s->w, &n);

	if (n.files)
		facts_total(&s->facts, "perfmap.bytes", n.bytes);
	if (n.cut)
		facts_total(&s->facts, "perfmap.cut", n.cut);
	return err;
}

static const char *const stop_names[] = {
	[STOP_NO] = "unknown",		 [STOP_TIME] = "duration", [STOP_SIGNAL] = "signal",
	[STOP_TARGET] = "target exited", [STOP_ERROR] = "error",
};

static int finish(struct session *s, u64 *stats)
{
	int err;

	kernel_side_stop(s->kernel);
	s->end = clock_ns(CLOCK_MONOTONIC);
	err = put_clocks(s); /* before what takes long: the capture must not seem to last until then */
	kernel_side_detach(s->kernel);
	if (!err)
		err = kernel_side_stats(s->kernel, stats);
	if (!err)
		err = drain(s);
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
	facts_total(&s->facts, "mappings.lost_news", s->watch_counts.lost + s->watch_counts.malformed);
	facts_total(&s->facts, "lost.bad_records", s->convert.bad_records);
	facts_total(&s->facts, "stacks.missing", s->convert.stacks_missing);
	if (throttle_watch_left_out(s->throttle))
		facts_total(&s->facts, "throttle.left_out", throttle_watch_left_out(s->throttle));
	facts_cost(&s->facts, s->kernel);
	facts_meta_u64(&s->facts, "recording.end_ns", s->end);
	facts_meta(&s->facts, "recording.stopped_by", stop_names[s->stop]);
	if (!err)
		err = facts_err(&s->facts);
	if (!err)
		err = catalog_err(s->cat);
	return err ? err : fmt_writer_finish(s->w);
}

struct runtime_count {
	u32 processes, found, ambiguous, stripped;
};

static void count_runtime(void *ctx, struct cat_process *p)
{
	struct runtime_count *c = ctx;

	c->processes++;
	c->stripped += p->is_stripped;
	for (u32 i = 0; i < p->n_copies; i++) {
		c->found += p->copies[i].is_confirmed;
		c->ambiguous += p->copies[i].is_ambiguous;
	}
}

static void say_what_was_found(struct session *s)
{
	struct runtime_count c = {0};

	catalog_each_image(s->cat, count_runtime, &c);
	if (!c.found && c.ambiguous)
		log_warn(
			"Tokio's context fits several places in the target's memory equally well; ascope does not guess: the capture has threads and stacks, "
			"but cannot say what runs in a task");
	else if (!c.found)
		log_warn(
			"no Tokio runtime was found in the target: the capture has threads and stacks, but no runtime context, and --blocking will be empty");
	if (c.stripped)
		log_info(
			"note: the target is stripped: give the report the unstripped binary (--target), or functions stay addresses");
}

static int end_lines(struct session *s, int err, const u64 *stats)
{
	const struct fmt_writer_stats *ws = fmt_writer_stats(s->w);
	u64 lost = lost_events(stats);

	log_status_end();
	if (err) {
		log_error("%s: %s; recording stopped, what was written before is kept and can be read", s->o->output,
			  strerror(-err));
		return ws->blocks ? 3 : 1;
	}
	if (!s->o->quiet)
		say_what_was_found(s);
	log_info("%s: %s, %s events in %.1f s, lost %s", s->o->output, human_bytes(ws->bytes).s,
		 human_count(sent_events(stats)).s, (double)(s->end - s->start) / 1e9, human_count(lost).s);
	if (lost)
		log_warn("the kernel could not deliver %s events: the ring was full; the report says which times are affected",
			 human_count(lost).s);
	return lost ? 3 : 0;
}

static void release(struct session *s)
{
	helper_stop(&s->helper);
	discover_release(&s->discover);
	convert_release(&s->convert);
	mmap_watch_free(s->watch);
	throttle_watch_free(s->throttle);
	catalog_free(s->cat); /* before the arrays that it writes to */
	kernel_side_free(s->kernel);
	fmt_writer_free(s->w);
	marker_places_release(&s->markers);
	target_child_release(&s->child);
	if (s->out_fd >= 0)
		(void)close(s->out_fd);
	if (s->signal_fd >= 0)
		(void)close(s->signal_fd);
	if (s->timer_fd >= 0)
		(void)close(s->timer_fd);
	if (s->epoll_fd >= 0)
		(void)close(s->epoll_fd);
}

/* A recording that never began leaves no file. */
static int give_up(struct session *s)
{
	if (s->out_fd >= 0 && strcmp(s->o->output, "-") != 0)
		(void)unlink(s->o->output);
	release(s);
	return 1;
}

int session_run(const struct session_opts *o)
{
	struct session s = {.o = o,
			    .helper = HELPER_INIT,
			    .out_fd = -1,
			    .signal_fd = -1,
			    .timer_fd = -1,
			    .epoll_fd = -1,
			    .child = {.go_fd = -1, .err_fd = -1}};
	u64 stats[WIRE_STATS] = {0};
	int err = open_events(&s), code;

	if (err) {
		log_error("cannot watch signals: %s", strerror(-err));
		return 1;
	}
	if (marker_resolve(&o->markers, &o->targets, o->command, &s.markers) < 0) /* says why itself */
		return give_up(&s);
	if (o->command && target_spawn(o->command, &s.child) < 0)
		return give_up(&s);
	if (prepare(&s) < 0 || start(&s) < 0)
		return give_up(&s);
	if (o->command && target_go(&s.child, o->command[0]) < 0)
		return give_up(&s);
	if (drop_privileges(&s) < 0) /* last: what is given up above may have a file to remove */
		return give_up(&s);
	run(&s);
	err = s.err ? s.err : finish(&s, stats);
	if (s.err)
		(void)!finish(&s, stats); /* as far as it goes: the drain, and a footer when the disk takes it */
	code = end_lines(&s, err, stats);
	release(&s);
	return code;
}
