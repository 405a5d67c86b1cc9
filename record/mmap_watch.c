/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mmap_watch.c: see mmap_watch.h. Layouts: perf_event_open(2), include/uapi/linux/perf_event.h (PERF_RECORD_MMAP2, struct perf_event_mmap_page). */
#include "record/mmap_watch.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/clock.h"

enum { DATA_PAGES = 16, MAX_CPUS = 4096 };

struct ring {
	int fd;
	struct perf_event_mmap_page *page; /* followed by the data area */
	u64 tail;
};

struct mmap_watch {
	struct ring *rings;
	u32 n;
	size_t page_size;
};

/* The fixed part of PERF_RECORD_MMAP2; the file's name follows, and 8 bytes of sample id: the time. */
struct mmap2_record {
	struct perf_event_header header;
	u32 pid, tid;
	u64 addr, len, pgoff;
	u64 file[3];
	u32 prot, flags;
};

struct lost_record {
	struct perf_event_header header;
	u64 id, lost;
};

/* ---- the records ---- */

static void copy_out(const u8 *data, size_t size, u64 at, void *to, size_t n)
{
	size_t off = (size_t)at & (size - 1), first = size - off < n ? size - off : n;

	memcpy(to, data + off, first);
	memcpy((u8 *)to + first, data, n - first);
}

static void take_mapping(const u8 *data, size_t size, u64 at, u64 record_size, mmap_watch_fn fn, void *ctx,
			 struct mmap_watch_counts *counts)
{
	struct mmap2_record r;
	u64 ts;

	copy_out(data, size, at, &r, sizeof(r));
	copy_out(data, size, at + record_size - sizeof(ts), &ts, sizeof(ts));
	if (!(r.prot & PROT_EXEC) || r.pid > INT32_MAX || !r.len ||
	    r.addr + r.len < r.addr) /* pid -1: of another pid namespace */
		return;
	counts->news++;
	fn(ctx, r.pid, r.addr, r.len, ts);
}

bool mmap_watch_parse(const u8 *data, size_t size, u64 head, u64 *tail, mmap_watch_fn fn, void *ctx,
		      struct mmap_watch_counts *counts)
{
	bool lost = false;
	u64 at = *tail;

	*tail = head;
	if (head - at > size)
		goto malformed;
	while (at != head) {
		struct perf_event_header h;

		if (head - at < sizeof(h))
			goto malformed;
		copy_out(data, size, at, &h, sizeof(h));
		if (h.size < sizeof(h) || h.size % 8 || h.size > head - at)
			goto malformed;
		if (h.type == PERF_RECORD_MMAP2) {
			if (h.size < sizeof(struct mmap2_record) + sizeof(u64))
				goto malformed;
			take_mapping(data, size, at, h.size, fn, ctx, counts);
		} else if (h.type == PERF_RECORD_LOST) {
			struct lost_record r = {0};

			if (h.size < sizeof(r))
				goto malformed;
			copy_out(data, size, at, &r, sizeof(r));
			counts->lost += r.lost;
			lost = true;
		}
		at += h.size;
	}
	return lost;
malformed:
	counts->malformed++;
	return true;
}

/* ---- the rings ---- */

static size_t data_size(const struct mmap_watch *w)
{
	return DATA_PAGES * w->page_size;
}

static int open_ring(struct mmap_watch *w, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.mmap = 1, /* executable mappings; mmap_data would be the others */
		.mmap2 = 1,
		.exclude_kernel = 1, /* its modules are none of ours */
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	struct ring *r = &w->rings[w->n];
	int err;

	r->fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (r->fd < 0)
		return errno == ENODEV ? 0 : -errno; /* this cpu is offline */
	r->page = mmap(NULL, w->page_size + data_size(w), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->page == MAP_FAILED) {
		err = -errno;
		(void)close(r->fd);
		return err;
	}
	w->n++;
	return 0;
}

int mmap_watch_open(struct mmap_watch **ret)
{
	struct mmap_watch *w = calloc(1, sizeof(*w));
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err = 0;

	if (!w)
		return -ENOMEM;
	cpus = cpus < 1 ? 1 : cpus > MAX_CPUS ? MAX_CPUS : cpus;
	w->page_size = (size_t)sysconf(_SC_PAGESIZE);
	w->rings = calloc((size_t)cpus, sizeof(*w->rings));
	err = w->rings ? 0 : -ENOMEM;
	for (int cpu = 0; cpu < cpus && !err; cpu++)
		err = open_ring(w, cpu);
	if (err) {
		mmap_watch_free(w);
		return err;
	}
	*ret = w;
	return 0;
}

struct mmap_watch *mmap_watch_free(struct mmap_watch *w)
{
	if (!w)
		return NULL;
	for (u32 i = 0; i < w->n; i++) {
		(void)munmap(w->rings[i].page, w->page_size + data_size(w));
		(void)close(w->rings[i].fd);
	}
	free(w->rings);
	free(w);
	return NULL;
}

bool mmap_watch_drain(struct mmap_watch *w, mmap_watch_fn fn, void *ctx, struct mmap_watch_counts *counts)
{
	bool lost = false;

	for (u32 i = 0; w && i < w->n; i++) {
		struct ring *r = &w->rings[i];
		u64 head = __atomic_load_n(&r->page->data_head, __ATOMIC_ACQUIRE);

		if (head == r->tail)
			continue;
		/* the kernel says what it lost only in the next record that fits: nearly full means that there may be such */
		lost |= head - r->tail > data_size(w) - 2 * w->page_size;
		lost |= mmap_watch_parse((const u8 *)r->page + w->page_size, data_size(w), head, &r->tail, fn, ctx, counts);
		__atomic_store_n(&r->page->data_tail, r->tail, __ATOMIC_RELEASE);
	}
	return lost;
}
