/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * oracle.c: the same-event oracle of tests/live/unwind: every walk of the kernel side is done again by libdwfl, on the same registers and the same memory.
 *
 *	oracle [-s SECONDS] [-F HZ] [-n NAME] [-v] -- COMMAND...	cpu-clock samples of a program; prints one line of figures
 *	oracle -u SYMBOL-ADDRESS:FILE [...] -- COMMAND...		stacks at a uprobe instead, each printed as its callers
 *
 * Prints NAME SAMPLES WHOLE IDENTICAL LONGER SHORTER DIVERGENT NO-FDE, tab-separated. An `identical` walk has libdwfl's frames; a `longer` one begins with them
 * (libdwfl sees 64 KB of stack, and needs an address with call frame information); NO-FDE of them left libdwfl's evidence at such an address.
 * Exit: 0 sampled, 1 failed, 77 this kernel or user cannot.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "format/fmt_schema.h"
#include "tests/live/unwind/oracle_dwfl.h"
#include "tests/live/unwind/oracle_tables.h"
#include "tests/live/unwind/oracle_wire.h"
/* uses types of the above */
#include "oracle.skel.h"

enum { MAX_CPUS = 1024, SETTLE_MS = 250, MAX_SHOWN = 5, SKIP = 77 };

struct options {
	double seconds;
	u32 freq;
	const char *name;
	const char *probe_file;
	u64 probe_off;
	bool verbose;
	char **command;
};

struct figures {
	u64 samples, whole, identical, longer, shorter, divergent, no_fde, user;
	u64 by_status[UW_STATUSES];
};

struct oracle {
	struct options o;
	pid_t child;
	struct oracle_bpf *skel;
	struct bpf_link *links[MAX_CPUS];
	u32 n_links;
	struct oracle_tables *tables;
	struct unwind_arrays arrays;
	struct oracle_dwfl *dwfl;
	struct oracle_stack ref;
	struct figures f;
	u32 shown;
};

static const char *status_name(u32 status)
{
	const char *name = fmt_stack_status_name(status); /* the same numbers as enum uw_status */

	return name ? name : "?";
}

/* ---- comparing ---- */

static void show(struct oracle *x, const struct oracle_record *e, const char *what)
{
	u32 n = e->n > x->ref.n ? e->n : x->ref.n;
	char line[512];

	if (!x->o.verbose && x->shown >= MAX_SHOWN)
		return;
	x->shown++;
	fprintf(stderr, "%s: %s, walk ended with '%s'%s, %u bytes of stack at %#lx, sp %#lx, fp %#lx\n", x->o.name, what,
		status_name(e->status), e->in_syscall ? ", in a system call" : "", e->stack_bytes, (unsigned long)e->stack_at,
		(unsigned long)e->regs[7], (unsigned long)e->regs[6]);
	for (u32 i = 0; i < n && i < 300; i++) {
		if (i < e->n) {
			oracle_dwfl_describe(x->dwfl, e->frames[i], line, sizeof(line));
			fprintf(stderr, "  %3u walk   %s\n", i, line);
		}
		if (i < x->ref.n && (i >= e->n || e->frames[i] != x->ref.frames[i])) {
			oracle_dwfl_describe(x->dwfl, x->ref.frames[i], line, sizeof(line));
			fprintf(stderr, "  %3u libdwfl %s%s\n", i, line, x->ref.no_cfi && i + 1 == x->ref.n ? " (no CFI)" : "");
		}
	}
}

static void compare(struct oracle *x, const struct oracle_record *e)
{
	u32 n = e->n < x->ref.n ? e->n : x->ref.n, same = 0;
	bool whole = e->status == UW_WHOLE || (e->status == UW_TRUNCATED && e->n == WIRE_MAX_FRAMES);

	while (same < n && e->frames[same] == x->ref.frames[same])
		same++;
	x->f.samples++;
	x->f.user += e->user_mode;
	x->f.by_status[e->status < UW_STATUSES ? e->status : UW_MORE]++;
	x->f.no_fde += x->ref.no_cfi;
	if (same < n) {
		x->f.divergent++;
		show(x, e, "divergent");
		return;
	}
	if (e->n < x->ref.n && e->n < WIRE_MAX_FRAMES) {
		x->f.shorter++;
		show(x, e, "shorter");
		return;
	}
	x->f.identical += e->n == x->ref.n || e->n == WIRE_MAX_FRAMES;
	x->f.longer += e->n > x->ref.n;
	x->f.whole += whole;
	if (!whole)
		show(x, e, "not whole");
	else if (x->o.verbose && e->n > x->ref.n)
		show(x, e, "longer");
}

static void print_callers(struct oracle *x, const struct oracle_record *e)
{
	char line[512];

	printf("%s", status_name(e->status));
	for (u32 i = 0; i < e->n; i++) {
		oracle_dwfl_describe(x->dwfl, e->frames[i], line, sizeof(line));
		printf("\t%s", line);
	}
	printf("\n");
}

static int on_record(void *ctx, void *data, size_t size)
{
	struct oracle *x = ctx;
	const struct oracle_record *e = data;

	if (size < sizeof(*e) || e->n > WIRE_MAX_FRAMES)
		return 0;
	oracle_dwfl_walk(x->dwfl, e, &x->ref);
	compare(x, e);
	if (e->uprobe)
		print_callers(x, e);
	return 0;
}

/* ---- setting up ---- */

static int start_child(struct oracle *x)
{
	x->child = fork();
	if (x->child < 0)
		return -errno;
	if (x->child == 0) {
		int null = open("/dev/null", O_RDWR);

		(void)dup2(null, 0);
		(void)dup2(null, 1);
		execvp(x->o.command[0], x->o.command);
		fprintf(stderr, "oracle: %s: %s\n", x->o.command[0], strerror(errno));
		_exit(127);
	}
	(void)usleep(SETTLE_MS * 1000); /* it loads its libraries */
	return waitpid(x->child, NULL, WNOHANG) == 0 ? 0 : -ECHILD;
}

static void *map_array(struct bpf_map *map, size_t entry)
{
	void *p = mmap(NULL, entry * bpf_map__max_entries(map), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static int load(struct oracle *x)
{
	u32 rows, idx;
	int err;

	oracle_tables_need(x->tables, &rows, &idx);
	x->skel = oracle_bpf__open();
	if (!x->skel)
		return -errno;
	x->arrays = (struct unwind_arrays){.n_rows = rows * 2 + 500000, .n_idx = idx * 2 + 50000, .n_maps = 4096};
	err = bpf_map__set_max_entries(x->skel->maps.uw_rows, x->arrays.n_rows);
	if (!err)
		err = bpf_map__set_max_entries(x->skel->maps.uw_idx, x->arrays.n_idx);
	if (!err)
		err = bpf_map__set_max_entries(x->skel->maps.uw_maps, x->arrays.n_maps);
	if (!err)
		err = oracle_bpf__load(x->skel);
	if (err)
		return err;
	x->arrays.rows = map_array(x->skel->maps.uw_rows, sizeof(u64));
	x->arrays.idx = map_array(x->skel->maps.uw_idx, sizeof(u64));
	x->arrays.maps = map_array(x->skel->maps.uw_maps, sizeof(struct uw_map));
	return x->arrays.rows && x->arrays.idx && x->arrays.maps ? 0 : -ENOMEM;
}

static int publish(struct oracle *x)
{
	struct wire_target t = {0};
	u32 tgid = (u32)x->child;
	int err = oracle_tables_publish(x->tables, &x->arrays);

	if (err)
		return err;
	t.map_first = x->tables->slice.first;
	t.map_n = x->tables->slice.n;
	x->skel->bss->target_words[tgid % WIRE_TARGET_WORDS] = tgid;
	return bpf_map__update_elem(x->skel->maps.targets, &tgid, sizeof(tgid), &t, sizeof(t), BPF_ANY);
}

static int attach_clock(struct oracle *x)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = NSEC_PER_SEC / x->o.freq,
		.exclude_idle = 1,
	};
	int cpus = libbpf_num_possible_cpus();

	for (int cpu = 0; cpu < cpus && cpu < MAX_CPUS; cpu++) {
		int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

		if (fd < 0 && errno == ENODEV)
			continue;
		if (fd < 0)
			return -errno;
		x->links[x->n_links] = bpf_program__attach_perf_event(x->skel->progs.on_tick, fd);
		if (!x->links[x->n_links])
			return -errno;
		x->n_links++;
	}
	return 0;
}

static int attach_probe(struct oracle *x)
{
	x->links[0] = bpf_program__attach_uprobe(x->skel->progs.on_uprobe, false, -1, x->o.probe_file, x->o.probe_off);
	if (!x->links[0])
		return -errno;
	x->n_links = 1;
	return 0;
}

/* ---- running ---- */

static int consume(struct oracle *x)
{
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(x->skel->maps.snapshots), on_record, x, NULL);
	u64 end = clock_ns(CLOCK_MONOTONIC) + (u64)(x->o.seconds * 1e9);
	int err = ring ? 0 : -errno;

	while (!err && clock_ns(CLOCK_MONOTONIC) < end) {
		int n = ring_buffer__poll(ring, 100);

		if (n < 0 && n != -EINTR)
			err = n;
		if (!err && oracle_tables_scan(x->tables) == 1) {
			err = publish(x);
			if (!err)
				err = oracle_dwfl_refresh(x->dwfl);
		}
	}
	ring_buffer__free(ring);
	return err;
}

static int run(struct oracle *x)
{
	int err = start_child(x);

	x->tables->pid = (u32)x->child;
	if (!err)
		err = oracle_tables_scan(x->tables);
	if (err >= 0)
		err = load(x);
	if (!err)
		err = publish(x);
	if (!err)
		err = oracle_dwfl_open((u32)x->child, &x->dwfl);
	if (!err)
		err = x->o.probe_file ? attach_probe(x) : attach_clock(x);
	return err ? err : consume(x);
}

static void finish(struct oracle *x)
{
	for (u32 i = 0; i < x->n_links; i++)
		(void)bpf_link__destroy(x->links[i]);
	if (x->child > 0) {
		(void)kill(x->child, SIGKILL);
		(void)waitpid(x->child, NULL, 0);
	}
	oracle_dwfl_close(x->dwfl);
	oracle_tables_release(x->tables);
	free(x->tables);
	oracle_bpf__destroy(x->skel);
}

static void print_figures(const struct oracle *x)
{
	const struct figures *f = &x->f;

	printf("%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", x->o.name, (unsigned long long)f->samples,
	       (unsigned long long)f->whole, (unsigned long long)f->identical, (unsigned long long)f->longer,
	       (unsigned long long)f->shorter, (unsigned long long)f->divergent, (unsigned long long)f->no_fde);
	fprintf(stderr, "%s: %llu of %llu samples in user mode, lost %llu;", x->o.name, (unsigned long long)f->user,
		(unsigned long long)f->samples, (unsigned long long)x->skel->bss->lost);
	for (u32 i = 0; i < UW_STATUSES; i++)
		if (f->by_status[i])
			fprintf(stderr, " %s %llu", status_name(i), (unsigned long long)f->by_status[i]);
	fprintf(stderr, "\n");
}

static bool parse(int argc, char **argv, struct options *o)
{
	int c;

	*o = (struct options){.seconds = 2, .freq = 1999};
	while ((c = getopt(argc, argv, "+s:F:n:u:v")) != -1) {
		char *colon;

		switch (c) {
		case 's':
			o->seconds = strtod(optarg, NULL);
			break;
		case 'F':
			o->freq = (u32)strtoul(optarg, NULL, 10);
			break;
		case 'n':
			o->name = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'u':
			o->probe_off = strtoull(optarg, &colon, 0);
			if (*colon != ':')
				return false;
			o->probe_file = colon + 1;
			break;
		default:
			return false;
		}
	}
	o->command = argv + optind;
	if (!o->name)
		o->name = argc > optind ? argv[optind] : "";
	return argc > optind && o->freq && o->seconds > 0;
}

int main(int argc, char **argv)
{
	struct oracle *x = calloc(1, sizeof(*x));
	int err;

	if (!x || !parse(argc, argv, &x->o)) {
		fprintf(stderr, "usage: oracle [-s SECONDS] [-F HZ] [-n NAME] [-u OFFSET:FILE] [-v] -- COMMAND...\n");
		return 2;
	}
	x->tables = calloc(1, sizeof(*x->tables));
	err = x->tables ? run(x) : -ENOMEM;
	if (err)
		fprintf(stderr, "oracle: %s: %s\n", x->o.name, strerror(-err));
	else
		print_figures(x);
	if (x->tables)
		finish(x);
	free(x);
	return err == -EPERM || err == -EACCES ? SKIP : err != 0;
}
