/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* facts.c: see facts.h. */
#include "record/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "format/fmt_schema.h"
#include "version.h"

int facts_err(const struct facts *f)
{
	return f->err;
}

static void put(struct facts *f, enum fmt_kind_id kind, const void *row)
{
	if (!f->err)
		f->err = fmt_writer_row(f->w, kind, row, NULL, 0);
}

void facts_meta(struct facts *f, const char *key, const char *value)
{
	put(f, FMT_META, &(struct fmt_meta){.key = catalog_string(f->cat, key), .value = catalog_string(f->cat, value)});
}

void facts_meta_u64(struct facts *f, const char *key, u64 value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	facts_meta(f, key, text);
}

void facts_total(struct facts *f, const char *key, u64 value)
{
	put(f, FMT_TOTAL, &(struct fmt_total){.key = catalog_string(f->cat, key), .value = value});
}

void facts_host(struct facts *f)
{
	struct utsname u;
	char version[128];

	(void)uname(&u);
	(void)snprintf(version, sizeof(version), "%s%s%s", ASCOPE_VERSION, ASCOPE_GIT_ID[0] ? " " : "", ASCOPE_GIT_ID);
	facts_meta(f, "ascope.version", version);
	facts_meta(f, "host.name", u.nodename);
	facts_meta(f, "host.kernel", u.release);
	facts_meta(f, "host.machine", u.machine);
	facts_meta_u64(f, "host.cpus", (u64)sysconf(_SC_NPROCESSORS_ONLN));
	facts_meta_u64(f, "recorder.uid", geteuid());
}

static const char *const wire_names[WIRE_KINDS] = {
	[WIRE_SWITCH_OUT] = "switch_out",   [WIRE_SWITCH_IN] = "switch_in", [WIRE_WAKING] = "waking",
	[WIRE_SAMPLE] = "sample",	    [WIRE_STACK] = "stack",	    [WIRE_THREAD_START] = "thread_start",
	[WIRE_THREAD_EXIT] = "thread_exit", [WIRE_RENAME] = "rename",	    [WIRE_EXEC] = "exec",
	[WIRE_MARKER] = "marker",	    [WIRE_CORE] = "core",	    [WIRE_TASK_SPAWN] = "task_spawn",
	[WIRE_TASK_END] = "task_end",	    [WIRE_TASK_POLL] = "task_poll", [WIRE_TASK_WAKE] = "task_wake",
};

void facts_counters(struct facts *f, const u64 *stats)
{
	char key[64];

	for (u32 k = WIRE_SWITCH_OUT; k < WIRE_KINDS; k++) {
		(void)snprintf(key, sizeof(key), "sent.%s", wire_names[k]);
		facts_total(f, key, stats[WIRE_STAT_SENT + k]);
		if (!stats[WIRE_STAT_LOST + k] || k == WIRE_CORE) /* calibration bytes are no events */
			continue;
		(void)snprintf(key, sizeof(key), "lost.ring_full.%s", wire_names[k]);
		facts_total(f, key, stats[WIRE_STAT_LOST + k]);
	}
	if (stats[WIRE_STAT_PROBE_OTHERS])
		facts_total(f, "probes.others", stats[WIRE_STAT_PROBE_OTHERS]);
	facts_total(f, "contexts.unread", stats[WIRE_STAT_UNREAD]);
	facts_total(f, "stacks.failed", stats[WIRE_STAT_STACK_FAILED]);
	if (stats[WIRE_STAT_TARGETS_FULL])
		facts_total(f, "lost.targets_full", stats[WIRE_STAT_TARGETS_FULL]);
}

void facts_rings(struct facts *f, const struct kernel_side *k)
{
	struct kernel_side_rings r = kernel_side_rings(k);

	facts_total(f, "rings.n", r.n);
	facts_total(f, "rings.bytes", (u64)r.n * r.size);
	facts_total(f, "rings.most", r.counts.most);
	facts_total(f, "rings.late", r.counts.late);
	facts_total(f, "rings.looked_up", r.counts.looked_up);
	if (r.counts.malformed)
		facts_total(f, "lost.ring_malformed", r.counts.malformed);
	if (r.counts.bad)
		facts_total(f, "lost.ring_records", r.counts.bad);
	if (r.counts.left)
		facts_total(f, "lost.ring_left_bytes", r.counts.left);
}

void facts_unwind(struct facts *f, const u64 *stats, struct unwind_tables_counts t)
{
	char key[64];

	for (u32 i = UW_WHOLE; i < UW_STATUSES; i++) {
		if (i == FMT_STACK_FP) /* no walk ends so any more */
			continue;
		(void)snprintf(key, sizeof(key), "walks.%s", fmt_stack_status_name(i));
		facts_total(f, key, stats[WIRE_STAT_WALK + i]);
	}
	facts_total(f, "walks.frames", stats[WIRE_STAT_WALK_FRAMES]);
	facts_total(f, "walks.reused", stats[WIRE_STAT_WALK_SAME]);
	facts_total(f, "unwind.modules", t.modules);
	facts_total(f, "unwind.without_table", t.without_table);
	facts_total(f, "unwind.no_room", t.no_room);
	facts_total(f, "unwind.rows", t.rows);
	facts_total(f, "unwind.idx", t.idx);
	facts_total(f, "unwind.evicted", t.evicted);
	facts_total(f, "unwind.maps_cut", t.maps_cut);
	facts_total(f, "unwind.build_ns", t.build_ns);
}

void facts_tasks(struct facts *f, struct task_lists_counts n)
{
	facts_total(f, "tasks.runtimes", n.runtimes);
	facts_total(f, "tasks.list_unknown", n.runtimes - n.walked);
	facts_total(f, "tasks.alive", n.tasks);
}

static u64 timeval_ns(struct timeval t)
{
	return (u64)t.tv_sec * NSEC_PER_SEC + (u64)t.tv_usec * NSEC_PER_USEC;
}

void facts_cost(struct facts *f, const struct kernel_side *k)
{
	struct kernel_side_cost bpf = kernel_side_cost(k);
	struct rusage ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	facts_total(f, "cost.user_ns", timeval_ns(ru.ru_utime));
	facts_total(f, "cost.sys_ns", timeval_ns(ru.ru_stime));
	facts_total(f, "cost.max_rss_bytes", (u64)ru.ru_maxrss * 1024);
	if (bpf.runs) { /* kernel.bpf_stats_enabled is off by default */
		facts_total(f, "cost.bpf_ns", bpf.ns);
		facts_total(f, "cost.bpf_runs", bpf.runs);
	}
	facts_total(f, "cost.verified_insns", bpf.verified_insns);
}

/* `records.events` comes last: a reader that finds it has them all. */
void facts_records(struct facts *f, const struct tally *t)
{
	char key[96];

	if (t->is_wrong)
		return;
	facts_total(f, "records.contexts", t->contexts);
	facts_total(f, "records.contexts_unread", t->contexts_unread);
	for (u32 i = 0; i < FMT_STACK_STATUS_END; i++) {
		(void)snprintf(key, sizeof(key), "records.stacks.%s", i ? fmt_stack_status_name(i) : "leaf_only");
		if (t->stacks[i])
			facts_total(f, key, t->stacks[i]);
	}
	facts_total(f, "records.stacks_guessed", t->stacks_guessed);
	for (u32 i = 0; i < t->n_gaps; i++) {
		(void)snprintf(key, sizeof(key), "records.gaps.%s", catalog_string_text(f->cat, (u32)t->gaps[i].cause));
		facts_total(f, key, t->gaps[i].count);
	}
	if (t->has_clock)
		facts_total(f, "records.realtime_offset", t->realtime_offset);
	facts_total(f, "records.events", t->events);
}
