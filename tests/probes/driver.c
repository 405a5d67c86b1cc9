/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * driver.c: the kernel side with its helper, as the recorder uses them, by commands: one a line, each answered by a line. For tests/live/uprobes.py.
 *
 *     load GROUPS                load the programs of these groups (names, or "all"), attach, start; "ok multi by-ns NS", or single, and why not
 *     target PID                 make it a target; "ok"
 *     drop                       start the helper, give up privileges; "ok UID"
 *     probe PID GROUP OFFSET...  "ok ID LINKS PLACES REFUSED HIT-NS" or "error ERRNO"
 *     unprobe ID                 "ok NS": how long it took
 *     know PID ADDRESS, forget PID
 *     hits                       of each group, then in other processes, then records sent and lost of each kind of task record
 *     cost                       ns that each group's program ran
 *     records                    those that came since: "records N", then N lines
 *     quiet                      records are counted only, from now on
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "record/kernel_side.h"
#include "record/ksyms.h"

enum { MAX_LINKS = 256, MAX_PLACES = 70000, MAX_RECORDS = 1 << 16 };

struct driver {
	struct kernel_side *k;
	struct helper helper;
	struct kernel_probe_links links[MAX_LINKS];
	u32 n_links;
	char *records[MAX_RECORDS];
	u32 n_records;
	u64 seen[WIRE_KINDS];
	bool quiet;
};

static const char *const group_names[PROBE_GROUPS] = {"spawn",	 "bind", "blocking", "complete",
						      "dealloc", "poll", "poll_end", "schedule"};

static u32 group_of(const char *name)
{
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (!strcmp(name, group_names[g]))
			return g;
	return PROBE_GROUPS;
}

static int print_ref(char *to, size_t n, const char *what, const struct wire_hdr *h, const struct wire_task_ref *r)
{
	return snprintf(to, n,
			"%s tgid=%u tid=%u ts=%" PRIu64 " module=%u header=%" PRIu64 " vtable=%" PRIu64 " task=%" PRIu64
			" state=%u",
			what, h->tgid, h->tid, (u64)h->ts, r->module, (u64)r->header, (u64)r->vtable, (u64)r->task, r->state);
}

static void print_by(char *to, size_t n, const struct wire_task_by *b)
{
	(void)snprintf(to, n, " by_task=%" PRIu64 " by_status=%u budget=%u runtime=%u entered=%u", (u64)b->task, b->status,
		       b->budget, b->runtime, b->entered);
}

/* The text of a record of a task, or false. */
static bool print_record(char *to, size_t n, const struct wire_hdr *h)
{
	const void *rec = h;
	int at;

	if (h->kind == WIRE_TASK_SPAWN) {
		const struct wire_task_spawn *e = rec;

		at = print_ref(to, n, e->blocking ? "blocking" : "spawn", h, &e->ref);
		print_by(to + at, n - (size_t)at, &e->by);
		at = (int)strlen(to);
		(void)snprintf(to + at, n - (size_t)at,
			       " handle=%" PRIu64 " location=%" PRIu64 " location2=%" PRIu64 " caller=%" PRIu64, (u64)e->handle,
			       (u64)e->location[0], (u64)e->location[1], (u64)e->caller);
	} else if (h->kind == WIRE_TASK_END) {
		const struct wire_task_end *e = rec;

		(void)print_ref(to, n, e->freed ? "dealloc" : "complete", h, &e->ref);
	} else if (h->kind == WIRE_TASK_POLL) {
		const struct wire_task_poll *e = rec;

		at = print_ref(to, n, e->end ? "poll_end" : "poll", h, &e->ref);
		(void)snprintf(to + at, n - (size_t)at, " returns_to=%" PRIu64, (u64)e->returns_to);
	} else if (h->kind == WIRE_TASK_WAKE) {
		const struct wire_task_wake *e = rec;

		at = print_ref(to, n, "schedule", h, &e->ref);
		print_by(to + at, n - (size_t)at, &e->by);
	} else {
		return false;
	}
	return true;
}

static int on_record(void *ctx, const struct wire_hdr *h, size_t size)
{
	struct driver *d = ctx;
	char text[512];

	(void)size;
	if (h->kind < WIRE_KINDS)
		d->seen[h->kind]++;
	if (!d->quiet && d->n_records < MAX_RECORDS && print_record(text, sizeof(text), h))
		d->records[d->n_records++] = strdup(text);
	return 0;
}

static int drain(struct driver *d)
{
	int n, all = 0;

	usleep(5000); /* RINGS_SLACK */
	while ((n = kernel_side_drain(d->k)) > 0)
		all += n;
	return all;
}

static void load(struct driver *d, char *names)
{
	static const struct marker_places none;
	struct kernel_side_opts o = {.ring_bytes = 16 << 20, .markers = &none, .helper = &d->helper};
	u32 self = (u32)getpid();
	struct kernel_probe_cost cost = {.emulated_ns = 0};
	int err;

	for (char *save, *w = strtok_r(names, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		o.probe_groups |= !strcmp(w, "all") ? (1u << PROBE_GROUPS) - 1 : 1u << group_of(w);
	o.unwind = unwind_size_for(&self, 1, false);
	o.irq_exact = ksyms_probe().has_preempt_count;
	err = kernel_side_load(&o, on_record, d, &d->k);
	if (!err)
		err = kernel_side_attach(d->k);
	if (err) {
		printf("error %d\n", -err);
		return;
	}
	kernel_side_start(d->k);
	if (kernel_side_probe_cost(d->k, &cost))
		cost = (struct kernel_probe_cost){.emulated_ns = 0};
	if (kernel_side_probe_why(d->k))
		printf("none %s\n", kernel_side_probe_why(d->k));
	else
		printf("ok %s %s %" PRIu64 " %" PRIu64 "\n", kernel_side_has_probe_multi(d->k) ? "multi" : "single",
		       d->helper.programs.by_process ? "by_process" : "by_all", cost.emulated_ns, cost.stepped_ns);
}

static void probe(struct driver *d, char *args)
{
	static u64 offsets[MAX_PLACES];
	char *save, *w = strtok_r(args, " \n", &save);
	struct kernel_probe p = {.offsets = offsets, .module = 7, .task = {.off_vtable = 16, .has_ids = 1}};
	struct kernel_probe_links *l = &d->links[d->n_links];
	int err;

	p.tgid = (u32)strtoul(w, NULL, 10);
	p.file = (struct proc_request){.file = PROC_EXE, .pid = p.tgid};
	p.group = (enum probe_group)group_of(strtok_r(NULL, " \n", &save));
	while ((w = strtok_r(NULL, " \n", &save)) && p.n < MAX_PLACES)
		offsets[p.n++] = strtoull(w, NULL, 10);
	err = kernel_side_probe(d->k, &p, l);
	if (err)
		printf("error %d\n", -err);
	else
		printf("ok %u %u %u %u %u\n", d->n_links++, l->n, l->places, l->refused, l->stepped);
}

static void unprobe(struct driver *d, u32 id)
{
	u64 t = clock_ns(CLOCK_MONOTONIC);

	if (id < d->n_links)
		kernel_side_unprobe(d->k, &d->links[id]);
	printf("ok %" PRIu64 "\n", clock_ns(CLOCK_MONOTONIC) - t);
}

static void hits(struct driver *d)
{
	struct kernel_probe_hits h[PROBE_GROUPS] = {0};
	u64 stats[WIRE_STATS];

	(void)drain(d);
	kernel_side_probe_hits(d->k, h);
	kernel_side_stats(d->k, stats);
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		printf("%s=%" PRIu64 " %s_stepped=%" PRIu64 " %s_ns=%" PRIu64 " ", group_names[g], h[g].hits, group_names[g],
		       h[g].stepped, group_names[g], h[g].ns);
	for (u32 kind = WIRE_TASK_SPAWN; kind <= WIRE_TASK_WAKE; kind++)
		printf("sent%u=%" PRIu64 " lost%u=%" PRIu64 " seen%u=%" PRIu64 " ", kind - WIRE_TASK_SPAWN,
		       stats[WIRE_STAT_SENT + kind], kind - WIRE_TASK_SPAWN, stats[WIRE_STAT_LOST + kind], kind - WIRE_TASK_SPAWN,
		       d->seen[kind]);
	printf("others=%" PRIu64 " late=%" PRIu64 "\n", stats[WIRE_STAT_PROBE_OTHERS], kernel_side_rings(d->k).counts.late);
}

static void records(struct driver *d)
{
	(void)drain(d);
	printf("records %u\n", d->n_records);
	for (u32 i = 0; i < d->n_records; i++) {
		printf("%s\n", d->records[i]);
		free(d->records[i]);
	}
	d->n_records = 0;
}

static void set_target(struct driver *d, u32 pid)
{
	struct wire_target t = {.map_n = 0};
	int err = kernel_side_set_target(d->k, pid, &t);

	if (err)
		printf("error %d\n", -err);
	else
		printf("ok\n");
}

static void obey(struct driver *d, char *line)
{
	u64 address;
	u32 id;
	int err;

	if (!strncmp(line, "load ", 5)) {
		load(d, line + 5);
	} else if (sscanf(line, "target %u", &id) == 1) {
		set_target(d, id);
	} else if (!strncmp(line, "probe ", 6)) {
		probe(d, line + 6);
	} else if (sscanf(line, "unprobe %u", &id) == 1) {
		unprobe(d, id);
	} else if (sscanf(line, "know %u %" SCNu64, &id, &address) == 2) {
		err = kernel_side_know_end(d->k, id, address);
		printf(err ? "error %d\n" : "ok\n", -err);
	} else if (sscanf(line, "forget %u", &id) == 1) {
		kernel_side_forget_ends(d->k, id);
		printf("ok\n");
	} else if (!strcmp(line, "drop\n")) {
		err = kernel_side_drop_privileges(d->k);
		printf(err ? "error %d\n" : "ok %u %d\n", err ? (u32)-err : (u32)geteuid(), (int)d->helper.pid);
	} else if (!strcmp(line, "hits\n")) {
		hits(d);
	} else if (!strcmp(line, "records\n")) {
		records(d);
	} else if (!strcmp(line, "quiet\n")) {
		d->quiet = true;
		printf("ok\n");
	} else {
		printf("what?\n");
	}
}

int main(void)
{
	static struct driver d = {.helper = HELPER_INIT};
	char *line = NULL;
	size_t room = 0;

	(void)setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	while (getline(&line, &room, stdin) > 0) {
		obey(&d, line);
		(void)fflush(stdout);
	}
	for (u32 i = 0; i < d.n_links; i++)
		kernel_side_unprobe(d.k, &d.links[i]);
	if (d.k) {
		kernel_side_stop(d.k);
		kernel_side_detach(d.k);
	}
	helper_stop(&d.helper);
	kernel_side_free(d.k);
	free(line);
	return 0;
}
