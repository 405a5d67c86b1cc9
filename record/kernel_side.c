/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * kernel_side.c: see kernel_side.h. What a kernel can do is probed (BTF, kallsyms, trying), never inferred from its version.
 */
#include "record/kernel_side.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "ascope.skel.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "record/privileges.h"
#include "record/probe_side.h"
#include "record/refusals.h"
#include "record/ring_maps.h"
#include "record/stat_map.h"
#include "record/uprobe_link.h"

enum {
	MAX_CPUS = 4096,
	VERIFIER_LOG = 4 << 20,
	TURN_MAX = 1 << 16, /* records taken at once, below a tenth of a second's work */
	LAST_TRIES = 20,    /* ms that the last records may take to be submitted */
};

struct kernel_side {
	struct kernel_side_opts opts;
	struct ascope_bpf *skel;
	struct ring_maps *rings;
	struct ring_plan plan;
	int cpus;
	struct bpf_link **samplers; /* one per cpu */
	u32 n_samplers;
	struct bpf_link *markers[MARKER_MAX_PLACES];
	u32 n_markers;
	struct unwind_arrays unwind;
	struct stat_map stats;
	struct probe_side probes;
	struct bpf_link *threads; /* the task iterator; opened for each pass, which needs no privilege */
	bool started, stopped;
	bool refused; /* by the verifier, or for what else a program may be refused: not for lack of privileges */
};

/* The verifier's words are long: they go to a file, and the terminal gets one line. `again`: without the probes' programs it may do. */
static void say_refused(const char *verifier_log, bool again)
{
	char path[] = "/tmp/ascope-verifier-XXXXXX";
	_cleanup_close_ int fd = mkstemp(path);
	bool written = fd >= 0 && fd_write_full(fd, verifier_log, strlen(verifier_log)) == 0;
	const char *where = written ? path : "no file";

	if (again)
		log_warn("%s (the verifier's words are in %s): trying without those that watch tasks", REFUSAL_PROGRAMS, where);
	else
		log_error("%s; the verifier's words are in %s (please send it with a report)", REFUSAL_PROGRAMS, where);
}

/* sched_switch passes prev_state as a fourth argument since 5.18 (commit fa2c3254d7cf). */
static bool sched_switch_has_state(const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (u32)id) : NULL;

	for (u32 depth = 0; t && depth < 8 && !btf_is_func_proto(t); depth++)
		t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) && btf_vlen(t) >= 5; /* the context pointer counts */
}

static int check_btf(struct btf **ret)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (libbpf_get_error(btf) || !btf) {
		log_error("%s", REFUSAL_NO_BTF);
		return -ENOTSUP;
	}
	*ret = btf;
	return 0;
}

static struct bpf_program *group_program(const struct ascope_bpf *s, enum probe_group group)
{
	struct bpf_program *const by_group[PROBE_GROUPS] = {
		[PROBE_SPAWN] = s->progs.on_task_spawn,	      [PROBE_BIND] = s->progs.on_task_bind,
		[PROBE_BLOCKING] = s->progs.on_task_blocking, [PROBE_COMPLETE] = s->progs.on_task_complete,
		[PROBE_DEALLOC] = s->progs.on_task_dealloc,   [PROBE_POLL] = s->progs.on_task_poll,
		[PROBE_POLL_END] = s->progs.on_task_poll_end, [PROBE_SCHEDULE] = s->progs.on_task_schedule,
	};

	return by_group[group];
}

static void choose_probes(struct kernel_side *k)
{
	u32 groups = k->probes.groups;
	enum bpf_attach_type type = groups && probe_side_multi(&k->probes) ? (enum bpf_attach_type)UPROBE_MULTI_ATTACH_TYPE : 0;

	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		struct bpf_program *p = group_program(k->skel, (enum probe_group)g);

		(void)bpf_program__set_autoload(p, groups >> g & 1);
		(void)bpf_program__set_expected_attach_type(p, type);
	}
	(void)bpf_program__set_autoload(k->skel->progs.on_own_function, groups != 0);
	(void)bpf_program__set_expected_attach_type(k->skel->progs.on_own_function, type);
}

static void choose_programs(struct kernel_side *k)
{
	struct ascope_bpf *s = k->skel;

	(void)bpf_program__set_autoload(s->progs.waking_exact, k->opts.irq_exact);
	(void)bpf_program__set_autoload(s->progs.wakeup_new_exact, k->opts.irq_exact);
	(void)bpf_program__set_autoload(s->progs.waking_guess, !k->opts.irq_exact);
	(void)bpf_program__set_autoload(s->progs.wakeup_new_guess, !k->opts.irq_exact);
	(void)bpf_program__set_autoload(s->progs.on_marker, k->opts.markers->n > 0);
	choose_probes(k);
}

static void configure(struct kernel_side *k, const struct btf *btf)
{
	k->skel->rodata->all_stacks = k->opts.all_stacks;
	k->skel->rodata->waker_stacks = k->opts.waker_stacks;
	k->skel->rodata->careful = k->opts.careful;
	k->skel->rodata->has_prev_state = sched_switch_has_state(btf);
	k->skel->rodata->ring_count = k->plan.n;
	k->skel->rodata->ring_wake_bytes = k->plan.size / 4;
	k->skel->rodata->has_uprobes = k->opts.markers->n > 0 || k->probes.groups;
	choose_programs(k);
}

static int load_programs(struct kernel_side *k, const char *verifier_log)
{
	int err = bpf_map__set_max_entries(k->skel->maps.rings, k->plan.n);

	if (!err)
		err = bpf_map__set_max_entries(k->skel->maps.stats, (u32)k->cpus);
	if (!err)
		err = bpf_map__set_max_entries(k->skel->maps.uw_rows, k->opts.unwind.rows);
	if (!err)
		err = bpf_map__set_max_entries(k->skel->maps.uw_idx, k->opts.unwind.idx);
	if (!err)
		err = bpf_map__set_max_entries(k->skel->maps.uw_maps, k->opts.unwind.maps);
	if (!err)
		err = ascope_bpf__load(k->skel);
	if ((err == -EPERM || err == -EACCES) && !verifier_log[0]) { /* the verifier says so, too, but with words */
		log_error("%s (%s)", REFUSAL_NO_RIGHTS, REFUSAL_NO_RIGHTS_FIX);
		return err;
	}
	k->refused = err != 0;
	if (err)
		say_refused(verifier_log, k->probes.groups != 0);
	return err;
}

static int open_and_load(struct kernel_side *k)
{
	_cleanup_free_ char *verifier_log = calloc(1, VERIFIER_LOG);
	LIBBPF_OPTS(bpf_object_open_opts, oo, .kernel_log_buf = verifier_log, .kernel_log_size = VERIFIER_LOG);
	struct btf *btf = NULL;
	int err = verifier_log ? check_btf(&btf) : -ENOMEM;

	if (err)
		return err;
	(void)libbpf_set_print(NULL);
	k->skel = ascope_bpf__open_opts(&oo);
	if (k->skel) {
		configure(k, btf);
		err = load_programs(k, verifier_log);
	} else {
		err = -errno;
		log_error("cannot open the BPF programs: %s", strerror(-err));
	}
	btf__free(btf);
	return err;
}

/* Entries are 8 bytes apart, whatever their size, and so are the values of these maps; BPF_F_MMAPABLE (5.5) makes the first one page aligned. */
static size_t array_bytes(u32 n, size_t entry)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (n * entry + page - 1) / page * page;
}

static void *map_array(const struct bpf_map *map, u32 n, size_t entry)
{
	void *at = mmap(NULL, array_bytes(n, entry), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return at == MAP_FAILED ? NULL : at;
}

static int map_unwind_arrays(struct kernel_side *k)
{
	struct unwind_arrays *a = &k->unwind;

	a->n_rows = k->opts.unwind.rows;
	a->n_idx = k->opts.unwind.idx;
	a->n_maps = k->opts.unwind.maps;
	a->rows = map_array(k->skel->maps.uw_rows, a->n_rows, sizeof(*a->rows));
	a->idx = map_array(k->skel->maps.uw_idx, a->n_idx, sizeof(*a->idx));
	a->maps = map_array(k->skel->maps.uw_maps, a->n_maps, sizeof(*a->maps));
	return a->rows && a->idx && a->maps ? 0 : -ENOMEM;
}

static void unmap_unwind_arrays(struct kernel_side *k)
{
	struct unwind_arrays *a = &k->unwind;

	if (a->rows)
		(void)munmap(a->rows, array_bytes(a->n_rows, sizeof(*a->rows)));
	if (a->idx)
		(void)munmap(a->idx, array_bytes(a->n_idx, sizeof(*a->idx)));
	if (a->maps)
		(void)munmap(a->maps, array_bytes(a->n_maps, sizeof(*a->maps)));
}

const struct unwind_arrays *kernel_side_unwind_arrays(const struct kernel_side *k)
{
	return &k->unwind;
}

static void try_probes(struct kernel_side *k)
{
	struct helper_programs programs = {.groups = k->probes.groups};

	k->probes.keys = k->skel->bss->known_ends;
	if (!programs.groups) {
		if (!k->probes.why)
			k->probes.why = "no probes were asked for";
		return;
	}
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		programs.fd[g] = bpf_program__fd(group_program(k->skel, (enum probe_group)g));
	probe_side_try(&k->probes, &programs, bpf_program__fd(k->skel->progs.on_own_function), &k->skel->bss->own_hits);
}

int kernel_side_load(const struct kernel_side_opts *o, rings_fn fn, void *ctx, struct kernel_side **ret)
{
	struct kernel_side *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->opts = *o;
	k->cpus = libbpf_num_possible_cpus();
	k->plan = ring_plan_for(k->cpus > 0 ? (u32)k->cpus : 1, o->ring_bytes);
	k->probes.helper = o->helper;
	k->probes.groups = o->probe_groups;
	err = k->cpus > 0 && k->cpus <= MAX_CPUS ? open_and_load(k) : -ENOTSUP;
	if (err && k->refused && k->probes.groups) {
		ascope_bpf__destroy(k->skel);
		k->skel = NULL;
		k->probes.groups = 0;
		k->probes.why = "this kernel refuses the programs for probes";
		err = open_and_load(k);
	}
	if (!err)
		err = ring_maps_new(bpf_map__fd(k->skel->maps.rings), k->plan, fn, ctx, &k->rings);
	if (!err) {
		k->samplers = calloc((size_t)k->cpus, sizeof(struct bpf_link *));
		k->threads = bpf_program__attach_iter(k->skel->progs.list_threads, NULL);
		k->opts.helper->targets_fd = bpf_map__fd(k->skel->maps.targets);
		err = k->samplers && k->threads ? map_unwind_arrays(k) : -ENOMEM;
	}
	if (!err)
		err = stat_map_open(bpf_map__fd(k->skel->maps.stats), (u32)k->cpus, &k->stats);
	if (!err)
		try_probes(k);
	if (err) {
		kernel_side_free(k);
		return err;
	}
	*ret = k;
	return 0;
}

static void detach_markers(struct kernel_side *k)
{
	for (u32 i = 0; i < k->n_markers; i++)
		(void)bpf_link__destroy(k->markers[i]);
	k->n_markers = 0;
}

struct kernel_side *kernel_side_free(struct kernel_side *k)
{
	if (!k)
		return NULL;
	for (u32 i = 0; i < k->n_samplers; i++)
		(void)bpf_link__destroy(k->samplers[i]);
	free(k->samplers);
	detach_markers(k);
	(void)bpf_link__destroy(k->threads);
	ring_maps_free(k->rings);
	unmap_unwind_arrays(k);
	stat_map_close(&k->stats);
	ascope_bpf__destroy(k->skel);
	free(k);
	return NULL;
}

/* The cpu clock ticks while a cpu is not idle; the program drops ticks of other processes. Offline cpus answer ENODEV. */
static int attach_samplers(struct kernel_side *k)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = k->opts.sample_freq ? NSEC_PER_SEC / k->opts.sample_freq : 0, /* ns of the clock */
		.exclude_idle = 1,
	};

	for (int cpu = 0; cpu < k->cpus && k->opts.sample_freq; cpu++) {
		int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		struct bpf_link *link;

		if (fd < 0 && errno == ENODEV)
			continue;
		if (fd < 0) {
			int err = -errno;

			log_error("cannot sample the cpu clock on cpu %d: %s (needs CAP_PERFMON; or record with --freq 0)", cpu,
				  strerror(-err));
			return err;
		}
		link = bpf_program__attach_perf_event(k->skel->progs.on_sample, fd);
		if (!link) {
			int err = -errno;

			(void)close(fd);
			log_error("cannot attach to the cpu clock: %s", strerror(-err));
			return err;
		}
		k->samplers[k->n_samplers++] = link; /* owns fd */
	}
	return 0;
}

/*
 * By the file, for every process that maps it, now or later (the program drops those that are no targets): perf events with a BPF link each, which go with
 * this process. Nothing is written to tracefs's uprobe_events.
 */
static int attach_markers(struct kernel_side *k)
{
	/* without it libbpf would fall back on uprobe_events, where probes outlive a recorder that is killed */
	if (k->opts.markers->n && access("/sys/bus/event_source/devices/uprobe/type", R_OK) < 0) {
		log_error("--marker: this kernel has no uprobes as perf events (CONFIG_UPROBE_EVENTS), or /sys is not mounted");
		return -ENOTSUP;
	}
	for (u32 i = 0; i < k->opts.markers->n; i++) {
		const struct marker_place *at = &k->opts.markers->rows[i];
		LIBBPF_OPTS(bpf_uprobe_opts, uo, .bpf_cookie = WIRE_MARKER_COOKIE(at->pair, at->end));
		char path[64];
		int err;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at->fd);
		k->markers[i] = bpf_program__attach_uprobe_opts(k->skel->progs.on_marker, -1, path, at->off, &uo);
		if (!k->markers[i]) {
			err = -errno;
			log_error(
				"cannot put a probe on %s of --marker number %u: %s (needs CAP_BPF and CAP_PERFMON, and a function whose first "
				"instruction the kernel can step over)",
				at->end ? "END" : "START", at->pair + 1, strerror(-err));
			return err;
		}
		k->n_markers++;
	}
	return 0;
}

int kernel_side_attach(struct kernel_side *k)
{
	int err;

	struct bpf_program *p;

	bpf_object__for_each_program(p, k->skel->obj)
	{
		enum bpf_prog_type type = bpf_program__type(p);

		/* the iterator is opened when it is read, the sampler per cpu, markers per place */
		if (!bpf_program__autoload(p) || type == BPF_PROG_TYPE_PERF_EVENT || type == BPF_PROG_TYPE_KPROBE ||
		    bpf_program__expected_attach_type(p) == BPF_TRACE_ITER)
			(void)bpf_program__set_autoattach(p, false);
	}
	if (ascope_bpf__attach(k->skel)) {
		err = -errno;
		log_error("cannot attach to the kernel's tracepoints: %s (needs CAP_BPF and CAP_PERFMON)", strerror(-err));
		return err ? err : -EINVAL;
	}
	err = attach_markers(k);
	return err ? err : attach_samplers(k);
}

void kernel_side_start(struct kernel_side *k)
{
	k->skel->bss->recording = 1;
	k->started = true;
}

void kernel_side_stop(struct kernel_side *k)
{
	if (k->started)
		__atomic_store_n(&k->skel->bss->recording, 0, __ATOMIC_SEQ_CST);
	k->stopped = true;
}

void kernel_side_detach(struct kernel_side *k)
{
	if (!k->started)
		return;
	ascope_bpf__detach(k->skel);
	detach_markers(k);
	for (u32 i = 0; i < k->n_samplers; i++)
		(void)bpf_link__destroy(k->samplers[i]);
	k->n_samplers = 0;
}

int kernel_side_epoll_fd(const struct kernel_side *k)
{
	return ring_maps_epoll_fd(k->rings);
}

/* Programs that were in their work when they were stopped may still have a record to submit. */
static int drain_last(struct kernel_side *k)
{
	struct rings *r = ring_maps_rings(k->rings);
	int n = 0, taken;

	for (u32 tries = 0; tries < LAST_TRIES; tries++) {
		do {
			taken = rings_take(r, UINT64_MAX, false, TURN_MAX);
			n += taken;
		} while (taken > 0);
		if (taken < 0)
			return taken;
		if (!rings_counts(r).left)
			break;
		(void)usleep(1000);
	}
	return n;
}

int kernel_side_drain(struct kernel_side *k)
{
	bool woken = ring_maps_woken(k->rings); /* before the clock: what woke us is seen then */

	return k->stopped ? drain_last(k) : rings_take(ring_maps_rings(k->rings), clock_ns(CLOCK_MONOTONIC), woken, TURN_MAX);
}

bool kernel_side_is_behind(const struct kernel_side *k, int taken)
{
	return !k->stopped && taken >= TURN_MAX;
}

u64 kernel_side_known_until(const struct kernel_side *k)
{
	return rings_known_until(ring_maps_rings(k->rings));
}

bool kernel_side_find_stack(struct kernel_side *k, u64 hash)
{
	return rings_find_stack(ring_maps_rings(k->rings), hash);
}

struct kernel_side_rings kernel_side_rings(const struct kernel_side *k)
{
	return (struct kernel_side_rings){
		.n = k->plan.n, .size = k->plan.size, .counts = rings_counts(ring_maps_rings(k->rings))};
}

int kernel_side_set_target(struct kernel_side *k, u32 tgid, const struct wire_target *t)
{
	u32 *word = &k->skel->bss->target_words[tgid % WIRE_TARGET_WORDS], old = 0;
	int err = helper_set_target(k->opts.helper, tgid, t);

	/* bpf/emit.bpf.h, note_target() */
	if (!err && !__atomic_compare_exchange_n(word, &old, tgid, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) && old != tgid)
		__atomic_store_n(word, WIRE_TARGET_SHARED, __ATOMIC_SEQ_CST);
	return err;
}

void kernel_side_remove_target(struct kernel_side *k, u32 tgid)
{
	u32 *word = &k->skel->bss->target_words[tgid % WIRE_TARGET_WORDS], old = tgid;

	(void)__atomic_compare_exchange_n(word, &old, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	(void)helper_remove_target(k->opts.helper, tgid);
}

/* Puts a read-only descriptor of the map of targets in the place of the writable one. */
static int seal_targets(struct kernel_side *k)
{
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, opts, .open_flags = BPF_F_RDONLY);
	int writable = bpf_map__fd(k->skel->maps.targets), sealed;
	struct bpf_map_info info = {0};
	u32 len = sizeof(info);
	int err = 0;

	if (bpf_obj_get_info_by_fd(writable, &info, &len) < 0)
		return -errno;
	sealed = bpf_map_get_fd_by_id_opts(info.id, &opts);
	if (sealed < 0)
		return -errno;
	if (dup3(sealed, writable, O_CLOEXEC) < 0)
		err = -errno;
	(void)close(sealed);
	return err;
}

bool kernel_side_can_drop(const struct kernel_side *k)
{
	return privileges_bpf_works_without(bpf_map__fd(k->skel->maps.stats), sizeof(struct wire_stats));
}

int kernel_side_drop_privileges(struct kernel_side *k)
{
	int err;

	if (!kernel_side_can_drop(k))
		return -EOPNOTSUPP;
	err = helper_start(k->opts.helper, bpf_map__fd(k->skel->maps.targets));
	if (err)
		return err;
	err = seal_targets(k);
	if (err == -EPERM) /* descriptors by id take CAP_SYS_ADMIN, which file capabilities may not include */
		err = 0;
	return err ? err : privileges_drop();
}

void kernel_side_stats(const struct kernel_side *k, u64 ret[WIRE_STATS])
{
	for (u32 i = 0; i < WIRE_STATS; i++)
		ret[i] = stat_map_sum(&k->stats, i);
}

struct kernel_side_cost kernel_side_cost(const struct kernel_side *k)
{
	struct kernel_side_cost c = {0};
	struct bpf_program *p;

	bpf_object__for_each_program(p, k->skel->obj)
	{
		struct bpf_prog_info info = {0};
		u32 len = sizeof(info);
		int fd = bpf_program__fd(p);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0) {
			c.ns += info.run_time_ns;
			c.runs += info.run_cnt;
			c.verified_insns = info.verified_insns > c.verified_insns ? info.verified_insns : c.verified_insns;
		}
	}
	return c;
}

int kernel_side_each_thread(struct kernel_side *k, kernel_side_task_fn fn, void *ctx)
{
	_cleanup_buf_ struct buf rows = BUF_INIT;
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(k->threads));
	int err = fd < 0 ? -errno : fd_read_all(fd, &rows, (size_t)64 << 20);

	for (size_t off = 0; !err && off + sizeof(struct wire_task) <= rows.len; off += sizeof(struct wire_task)) {
		struct wire_task t;

		memcpy(&t, rows.data + off, sizeof(t));
		err = fn(ctx, &t);
	}
	return err;
}

int kernel_side_probe(struct kernel_side *k, const struct kernel_probe *p, struct kernel_probe_links *ret)
{
	return probe_side_attach(&k->probes, p, ret);
}

void kernel_side_unprobe(struct kernel_side *k, struct kernel_probe_links *l)
{
	(void)k;
	for (u32 i = 0; i < l->n; i++)
		(void)close(l->fds[i]);
	free(l->fds);
	*l = (struct kernel_probe_links){.fds = NULL};
}

int kernel_side_know_end(struct kernel_side *k, u32 tgid, u64 address)
{
	return probe_side_know_end(&k->probes, tgid, address);
}

void kernel_side_forget_ends(struct kernel_side *k, u32 tgid)
{
	probe_side_forget_ends(&k->probes, tgid);
}

bool kernel_side_has_probe_multi(const struct kernel_side *k)
{
	return !k->probes.why && k->probes.multi;
}

bool kernel_side_probe_is_by_process(const struct kernel_side *k)
{
	return !k->probes.why && k->opts.helper->programs.by_process;
}

const char *kernel_side_probe_why(const struct kernel_side *k)
{
	return k->probes.why;
}

int kernel_side_probe_cost(const struct kernel_side *k, struct kernel_probe_cost *ret)
{
	if (k->probes.why || !k->probes.emulated_ns)
		return -ENODATA;
	*ret = (struct kernel_probe_cost){.emulated_ns = k->probes.emulated_ns, .stepped_ns = k->probes.stepped_ns};
	return 0;
}

/* What a program took is asked for only if it ran: that is a system call. */
static u64 program_ns(const struct kernel_side *k, enum probe_group group, u64 hits, const struct kernel_probe_hits *before)
{
	int fd = bpf_program__fd(group_program(k->skel, group));
	struct bpf_prog_info info = {0};
	u32 len = sizeof(info);

	if (hits == before->hits)
		return before->ns;
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 ? info.run_time_ns : 0;
}

void kernel_side_probe_hits(const struct kernel_side *k, struct kernel_probe_hits hits[PROBE_GROUPS])
{
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		u64 n = stat_map_sum(&k->stats, WIRE_STAT_PROBE_HITS + g);

		hits[g].ns = program_ns(k, (enum probe_group)g, n, &hits[g]);
		hits[g].hits = n;
		hits[g].stepped = stat_map_sum(&k->stats, WIRE_STAT_PROBE_STEPPED + g);
	}
}
