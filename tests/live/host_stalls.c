/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * host_stalls.c: when the host of this virtual machine stood between a CPU and its work. The live tests run it beside what they record (run.sh, tap.py).
 *
 *	host_stalls	prints a line of JSON per stall, {"cpu": 0, "from": NS, "to": NS} of CLOCK_MONOTONIC, until SIGTERM or SIGINT;
 *			then {"since": NS, "until": NS, "samples": N, "lost": N}: what all CPUs were watched for
 *
 * A clock of each CPU's own interrupts it every half millisecond, busy or idle (PERF_COUNT_SW_CPU_CLOCK, an hrtimer; kernel/events/core.c, 5.4 to 6.18).
 * Where two successive interrupts are further apart, the CPU could not take the second: the host had taken it away or kept it in an exit (a page of the
 * machine's memory, a device's doorbell), or the kernel had interrupts disabled. A gap at whose end the CPU is idle is none: a host lets a halted CPU sleep
 * (for seconds, seen here), which stops nobody; nor is one of 100 ms or more whose begin found it idle. No clock inside the machine shows that time as what it was. The stall lies
 * somewhere in [from, to], and is shorter than that by up to one period: stalls of SHOWN - PERIOD may be shown, those of SHOWN or more always are.
 *
 * Invariant: nothing here preempts what is recorded, but for its own interrupts. The rings hold 20 seconds, are read once a second, and that at the
 * lowest priority. What a ring lost is counted and is no stall. Exit: 0; 1 failed; 77 this kernel or user cannot.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/base.h"

enum { RING_PAGES = 256, SKIP = 77 }; /* 24 bytes a sample: 1 MiB of them is 21 s */

#define PERIOD	     (500 * NSEC_PER_USEC)
#define SHOWN	     (2 * PERIOD)
#define LONGEST_EXIT (100 * NSEC_PER_MSEC) /* that a thread which had just begun to run is thought to have been stopped for */

struct clock {
	struct perf_event_mmap_page *ring; /* NULL: this CPU is not there */
	u64 first, last;		   /* times of samples; 0 none */
	u64 samples, lost;
	bool hole;     /* samples were lost behind the last one */
	bool was_busy; /* at the last one */
};

struct record {
	struct perf_event_header head;
	union {
		struct {
			u32 pid, tid; /* of a PERF_RECORD_SAMPLE: who ran; 0 nobody */
			u64 ts;
		};
		struct {
			u64 id, lost; /* of a PERF_RECORD_LOST */
		};
	};
};

/* 0, or a negative errno: -ENODEV when this CPU is not online. */
static int clock_open(struct clock *c, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = PERIOD,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1, /* nobody waits for it */
		.wakeup_watermark = UINT32_MAX,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	_cleanup_close_ int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	void *ring;

	if (fd < 0)
		return -errno;
	ring = mmap(NULL, (1 + RING_PAGES) * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		return -errno;
	c->ring = ring; /* which keeps the event */
	return 0;
}

/* n bytes at a position of the ring, which may go round its end. */
static void ring_copy(const struct perf_event_mmap_page *ring, u64 at, void *to, size_t n)
{
	const u8 *data = (const u8 *)ring + ring->data_offset;

	for (size_t i = 0; i < n; i++)
		((u8 *)to)[i] = data[(at + i) % ring->data_size];
}

static void clock_drain(struct clock *c, int cpu)
{
	u64 head = __atomic_load_n(&c->ring->data_head, __ATOMIC_ACQUIRE), at = c->ring->data_tail;
	struct record r;

	while (at + sizeof(r.head) <= head) {
		ring_copy(c->ring, at, &r.head, sizeof(r.head));
		if (r.head.size < sizeof(r.head) || at + r.head.size > head)
			break; /* no kernel does that */
		ring_copy(c->ring, at, &r, r.head.size < sizeof(r) ? r.head.size : sizeof(r));
		at += r.head.size;
		if (r.head.type == PERF_RECORD_LOST) {
			c->lost += r.lost;
			c->hole = true;
		} else if (r.head.type == PERF_RECORD_SAMPLE) {
			if (!c->first)
				c->first = r.ts;
			else if (!c->hole && r.tid && r.ts > c->last + SHOWN && (c->was_busy || r.ts < c->last + LONGEST_EXIT))
				printf("{\"cpu\": %d, \"from\": %lu, \"to\": %lu}\n", cpu, (unsigned long)c->last,
				       (unsigned long)r.ts);
			c->last = r.ts;
			c->was_busy = r.tid != 0;
			c->hole = false;
			c->samples++;
		}
	}
	__atomic_store_n(&c->ring->data_tail, at, __ATOMIC_RELEASE);
}

/* How many CPUs have a clock now, or a negative errno. */
static int open_all(struct clock *clocks, int n)
{
	int opened = 0;

	for (int cpu = 0; cpu < n; cpu++) {
		int r = clock_open(&clocks[cpu], cpu);

		if (r < 0 && r != -ENODEV)
			return r;
		opened += r == 0;
	}
	return opened;
}

static void watch(struct clock *clocks, int n, const sigset_t *ends)
{
	const struct timespec second = {.tv_sec = 1};
	bool ended;

	do {
		ended = sigtimedwait(ends, NULL, &second) > 0;
		for (int cpu = 0; cpu < n; cpu++)
			if (clocks[cpu].ring)
				clock_drain(&clocks[cpu], cpu);
		(void)fflush(stdout);
	} while (!ended);
}

static void print_sums(const struct clock *clocks, int n)
{
	u64 since = 0, until = UINT64_MAX, samples = 0, lost = 0;

	for (int cpu = 0; cpu < n; cpu++) {
		if (!clocks[cpu].ring)
			continue;
		since = max_u64(since, clocks[cpu].first);
		until = min_u64(until, clocks[cpu].last);
		samples += clocks[cpu].samples;
		lost += clocks[cpu].lost;
	}
	printf("{\"since\": %lu, \"until\": %lu, \"samples\": %lu, \"lost\": %lu}\n", (unsigned long)since, (unsigned long)until,
	       (unsigned long)samples, (unsigned long)lost);
}

int main(void)
{
	int n = (int)sysconf(_SC_NPROCESSORS_CONF), opened;
	_cleanup_free_ struct clock *clocks = calloc((size_t)n, sizeof(*clocks));
	const struct sched_param lowest = {0};
	sigset_t ends;

	if (!clocks)
		return 1;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	opened = open_all(clocks, n);
	if (opened <= 0) {
		fprintf(stderr, "host_stalls: perf_event_open: %s\n", strerror(opened ? -opened : ENODEV));
		return opened == -EACCES || opened == -EPERM ? SKIP : 1;
	}
	(void)sched_setscheduler(0, SCHED_IDLE, &lowest);
	watch(clocks, n, &ends);
	print_sums(clocks, n);
	return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
