/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_host.c: see doctor_host.h. Sources: capabilities(7), perf_event_open(2), Documentation/admin-guide/sysctl/kernel.rst (perf_event_paranoid,
 * kptr_restrict), kernel_lockdown(7).
 */
#include "record/doctor_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "record/kernel_bugs.h"
#include "record/ksyms.h"
#include "record/mmap_watch.h"
#include "record/refusals.h"

enum {
	CAP_PERFMON_NUMBER = 38, /* include/uapi/linux/capability.h of 5.8 */
	CAP_BPF_NUMBER = 39,
	HELPER_COARSE_NS =
		160, /* bpf_ktime_get_coarse_ns, of 5.11, as is memory that is charged to cgroups and not to RLIMIT_MEMLOCK */
	LOCKED_ENOUGH = 128 << 20,
};

const char *doctor_state_name(enum doctor_state s)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok", [DOCTOR_LESS] = "less", [DOCTOR_UNKNOWN] = "unknown", [DOCTOR_NO] = "no"};

	return names[s];
}

static void say(struct doctor_host *h, const char *name, enum doctor_state state, const char *fix, const char *fmt, ...)
	__printf_fmt(5, 6);

static void say(struct doctor_host *h, const char *name, enum doctor_state state, const char *fix, const char *fmt, ...)
{
	struct doctor_check *c = &h->checks[h->n++];
	va_list ap;

	*c = (struct doctor_check){.name = name, .state = state, .fix = fix};
	va_start(ap, fmt);
	(void)vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* ---- rights ---- */

static bool has_cap(u32 cap)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

	return syscall(SYS_capget, &head, data) == 0 && (data[cap / 32].effective >> cap % 32 & 1);
}

static bool check_rights(struct doctor_host *h)
{
	bool admin = has_cap(CAP_SYS_ADMIN);
	bool can = admin || (has_cap(CAP_BPF_NUMBER) && has_cap(CAP_PERFMON_NUMBER));

	h->sees_others = has_cap(CAP_SYS_PTRACE);
	if (!can)
		say(h, "rights", DOCTOR_NO, REFUSAL_NO_RIGHTS_FIX, "%s", REFUSAL_NO_RIGHTS);
	else if (!h->sees_others)
		say(h, "rights", DOCTOR_LESS, "setcap cap_bpf,cap_perfmon,cap_sys_ptrace=ep, or root",
		    "without CAP_SYS_PTRACE only processes of this user can be looked into: no Tokio context and no mappings of others");
	else
		say(h, "rights", DOCTOR_OK, NULL, "%s", geteuid() == 0 ? "root" : "capabilities for BPF, perf events and ptrace");
	return can;
}

static void check_namespace(struct doctor_host *h)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != 0xEFFFFFFCU) /* PROC_PID_INIT_INO, include/linux/proc_ns.h */
		say(h, "pid_namespace", DOCTOR_NO, "record on the host, or with --pid=host", "%s", REFUSAL_PID_NAMESPACE);
}

/* ---- the kernel ---- */

static void check_kernel(struct doctor_host *h)
{
	struct utsname u = {0};

	(void)uname(&u);
	if (kernel_bugs_here())
		say(h, "kernel", DOCTOR_LESS, "a newer kernel of the same series", "Linux %s: %s", u.release,
		    REFUSAL_CAN_LOCK_UP);
	else
		say(h, "kernel", DOCTOR_OK, NULL, "Linux %s: none of the known bugs", u.release);
}

static bool check_btf(struct doctor_host *h)
{
	bool has = access("/sys/kernel/btf/vmlinux", R_OK) == 0;

	if (has)
		say(h, "btf", DOCTOR_OK, NULL, "/sys/kernel/btf/vmlinux");
	else
		say(h, "btf", DOCTOR_NO, "a kernel built with CONFIG_DEBUG_INFO_BTF", "%s", REFUSAL_NO_BTF);
	return has;
}

/* "none [integrity] confidentiality": kernel_lockdown(7). */
static void check_lockdown(struct doctor_host *h)
{
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (file_read_all("/sys/kernel/security/lockdown", &text, 256) == 0 && text.len &&
	    strstr((const char *)text.data, "[confidentiality]"))
		say(h, "lockdown", DOCTOR_NO, "boot with lockdown=integrity or none",
		    "the kernel is locked down for confidentiality: BPF may read nothing, and perf events are refused");
}

static bool check_rings(struct doctor_host *h)
{
	int has = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL);

	if (has < 0)
		say(h, "ring_buffers", DOCTOR_UNKNOWN, NULL, "whether there are BPF ring buffers could not be tried: %s",
		    strerror(-has));
	else if (!has)
		say(h, "ring_buffers", DOCTOR_NO, "Linux 5.8 or later", "this kernel has no BPF ring buffers");
	else
		say(h, "ring_buffers", DOCTOR_OK, NULL, "BPF ring buffers");
	return has != 0;
}

/* Before 5.11 maps count as locked memory; libbpf raises the limit itself where it may. */
static void check_memlock(struct doctor_host *h)
{
	struct rlimit r;

	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCKET_FILTER, (enum bpf_func_id)HELPER_COARSE_NS, NULL) != 0 ||
	    has_cap(CAP_SYS_RESOURCE))
		return;
	if (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_max < LOCKED_ENOUGH)
		say(h, "memlock", DOCTOR_NO, "ulimit -l unlimited (as root), or LimitMEMLOCK=infinity in the service",
		    "this kernel counts BPF maps as locked memory, of which %llu kB are allowed",
		    (unsigned long long)r.rlim_max / 1024);
}

/* ---- what needs BPF ---- */

static int no_record(void *ctx, const struct wire_hdr *rec, size_t size)
{
	(void)ctx;
	(void)rec;
	(void)size;
	return 0;
}

static void check_programs(struct doctor_host *h)
{
	struct marker_places none = {0};
	struct kernel_side_opts o = {
		.ring_bytes = 1 << 20,
		.markers = &none,
		.helper = &h->helper,
		.unwind = unwind_size_for(NULL, 0, false),
		.waker_stacks = true,
		.careful = kernel_bugs_here(),
		.probe_groups = (1U << PROBE_GROUPS) - 1,
	};
	int err;

	err = kernel_side_load(&o, no_record, NULL, &h->kernel); /* says on stderr what the verifier said */
	if (err) {
		h->kernel = NULL;
		say(h, "programs", DOCTOR_NO, "send what is written above with a report", "%s: %s", REFUSAL_PROGRAMS,
		    strerror(-err));
		return;
	}
	say(h, "programs", DOCTOR_OK, NULL, "the kernel takes ascope's BPF programs");
}

static void check_probes(struct doctor_host *h)
{
	const char *why = kernel_side_probe_why(h->kernel);
	struct kernel_probe_cost cost;

	if (why)
		say(h, "probes", DOCTOR_LESS,
		    "a kernel with CONFIG_UPROBE_EVENTS, and /sys mounted; 6.6 or later for many places",
		    "no probes in programs: %s. Tasks have no spawn sites and no ends; --polls and --wakes are not possible",
		    why);
	else if (kernel_side_has_probe_multi(h->kernel))
		say(h, "probes", DOCTOR_OK, NULL, "uprobe_multi links: any number of places%s",
		    kernel_side_probe_cost(h->kernel, &cost) == 0 ? "" : "; their cost could not be measured");
	else
		say(h, "probes", DOCTOR_LESS, "Linux 6.6 or later",
		    "single uprobes: at most %d places a group, so that --polls and --wakes may not be possible in a large program",
		    KERNEL_PROBE_MAX_SINGLE);
}

static void check_after_start(struct doctor_host *h)
{
	if (kernel_side_can_drop(h->kernel))
		say(h, "privileges", DOCTOR_OK, NULL, "the recorder can give up its privileges once it has begun");
	else
		say(h, "privileges", DOCTOR_LESS, "Linux 5.19 or later",
		    "this kernel asks for privileges at every use of a map: the recorder keeps them");
}

/* ---- sources of events ---- */

/* What /proc/sys/kernel/NAME says; -1 unknown (perf_event_paranoid may be -1, too, which allows all). */
static int sysctl_number(const char *name)
{
	_cleanup_buf_ struct buf text = BUF_INIT;
	char path[128];
	int value = -1;

	(void)snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	if (file_read_all(path, &text, 64) < 0 || !text.len || sscanf((const char *)text.data, "%d", &value) != 1)
		return -1;
	return value;
}

static void check_sampling(struct doctor_host *h)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_CPU_CLOCK,
				       .sample_period = 1000000000,
				       .disabled = 1};
	long fd = -1;
	int err = ENODEV;

	for (int cpu = 0; fd < 0 && err == ENODEV && cpu < 4096; cpu++) {
		fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
		err = errno;
	}
	if (fd >= 0) {
		(void)close((int)fd);
		say(h, "sampling", DOCTOR_OK, NULL, "the cpu clock can be sampled");
	} else if (err == EACCES || err == EPERM) {
		say(h, "sampling", DOCTOR_LESS,
		    "root or CAP_PERFMON (on kernels of Debian and Ubuntu with a level of 3 and more CAP_SYS_ADMIN)",
		    "cpu samples are refused (kernel.perf_event_paranoid is %d): record with --freq 0; polls that hold the cpu are not seen",
		    sysctl_number("perf_event_paranoid"));
	} else {
		say(h, "sampling", DOCTOR_LESS, "a kernel with CONFIG_PERF_EVENTS",
		    "no cpu samples (%s): record with --freq 0; polls that hold the cpu are not seen", strerror(err));
	}
}

static void check_news(struct doctor_host *h)
{
	struct mmap_watch *w = NULL;
	int err = mmap_watch_open(&w);

	mmap_watch_free(err ? NULL : w);
	if (err)
		say(h, "mappings", DOCTOR_LESS, "root or CAP_PERFMON",
		    "news of mappings are refused (%s): libraries loaded while recording are found late", strerror(-err));
	else
		say(h, "mappings", DOCTOR_OK, NULL, "libraries loaded while recording are seen at once");
}

static void check_symbols(struct doctor_host *h)
{
	struct ksyms_facts k = ksyms_probe();

	if (!k.stext)
		say(h, "kernel_symbols", DOCTOR_LESS, "root or CAP_SYSLOG, or sysctl kernel.kptr_restrict=0",
		    "the kernel's symbols are hidden (kernel.kptr_restrict is %d): kernel functions in stacks have no names",
		    sysctl_number("kptr_restrict"));
	else
		say(h, "kernel_symbols", DOCTOR_OK, NULL, "kernel functions have names; wakers in interrupts are %s",
		    k.has_preempt_count ? "known" : "guessed (no CONFIG_KALLSYMS_ALL)");
}

/* ---- all ---- */

void doctor_host_look(struct doctor_host *h)
{
	bool can;

	*h = (struct doctor_host){.helper = HELPER_INIT};
	(void)libbpf_set_print(NULL);
	can = check_rights(h);
	check_namespace(h);
	check_kernel(h);
	can = check_btf(h) && can;
	check_lockdown(h);
	if (can)
		can = check_rings(h);
	if (can)
		check_memlock(h);
	if (can)
		check_programs(h);
	if (h->kernel) {
		check_probes(h);
		check_after_start(h);
	}
	check_sampling(h);
	check_news(h);
	check_symbols(h);
}

void doctor_host_release(struct doctor_host *h)
{
	helper_stop(&h->helper);
	h->kernel = kernel_side_free(h->kernel);
}

enum doctor_state doctor_host_state(const struct doctor_host *h)
{
	enum doctor_state worst = DOCTOR_OK;

	for (u32 i = 0; i < h->n; i++)
		worst = h->checks[i].state > worst ? h->checks[i].state : worst;
	return worst;
}
