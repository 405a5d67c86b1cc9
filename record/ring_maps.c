/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ring_maps.c: see ring_maps.h. Places in the file of a ring: Linux kernel/bpf/ringbuf.c: consumer page, producer page, data, the data once more. */
#include "record/ring_maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#define RING_MIN                                                                                                                 \
	((u64)1                                                                                                                  \
	 << 20) /* 0.1 s of a cpu that is busy with nothing but switching threads; the recorder may be away for half of that */
#define RING_MAX ((u64)1 << 30)

struct ring_map {
	int fd;
	void *consumer, *producer; /* pages; data follows the producer's. MAP_FAILED: not mapped */
};

struct ring_maps {
	struct rings *rings;
	int epoll_fd;
	size_t page, size;
	u32 n; /* that were opened */
	struct ring_map map[WIRE_MAX_RINGS];
};

struct ring_plan ring_plan_for(u32 cpus, u64 bytes)
{
	struct ring_plan p = {.n = cpus < WIRE_MAX_RINGS ? cpus : WIRE_MAX_RINGS};
	u64 size = RING_MIN;

	p.n = p.n ? p.n : 1;
	while (size < RING_MAX && size * 2 <= bytes / p.n)
		size *= 2;
	p.size = (u32)size;
	return p;
}

static int map_ring(const struct ring_maps *m, struct ring_map *r)
{
	r->consumer = mmap(NULL, m->page, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->consumer == MAP_FAILED)
		return -errno;
	r->producer = mmap(NULL, m->page + m->size, PROT_READ, MAP_SHARED, r->fd, (off_t)m->page);
	return r->producer == MAP_FAILED ? -errno : 0;
}

/* Edge-triggered: there are always some records that are not due yet. */
static int open_ring(struct ring_maps *m)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	struct ring_map *r = &m->map[m->n];
	struct ring_memory memory;
	int err;

	*r = (struct ring_map){.consumer = MAP_FAILED, .producer = MAP_FAILED};
	r->fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ascope_ring", 0, 0, (u32)m->size, NULL);
	if (r->fd < 0)
		return r->fd;
	m->n++;
	err = map_ring(m, r);
	if (err)
		return err;
	memory = (struct ring_memory){
		.consumer = r->consumer, .producer = r->producer, .data = (const u8 *)r->producer + m->page, .size = m->size};
	rings_add(m->rings, &memory);
	return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, r->fd, &ev) < 0 ? -errno : 0;
}

/*
 * After an update of such a map from user space the kernel waits until no program can use the old entry (maybe_wait_bpf_programs(), kernel/bpf/syscall.c), which
 * takes some 10 ms; newer ones once for a batch. Older ones may not know batches of such maps.
 */
static int fill_map(int map_fd, const struct ring_maps *m)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	u32 keys[WIRE_MAX_RINGS], count = m->n;
	int fds[WIRE_MAX_RINGS], err = 0;

	for (u32 i = 0; i < m->n; i++) {
		keys[i] = i;
		fds[i] = m->map[i].fd;
	}
	if (bpf_map_update_batch(map_fd, keys, fds, &count, &opts) == 0 && count == m->n)
		return 0;
	for (u32 i = 0; i < m->n && !err; i++)
		err = bpf_map_update_elem(map_fd, &keys[i], &fds[i], BPF_ANY);
	return err;
}

int ring_maps_new(int map_fd, struct ring_plan plan, rings_fn fn, void *ctx, struct ring_maps **ret)
{
	struct ring_maps *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->page = (size_t)sysconf(_SC_PAGESIZE);
	m->size = plan.size;
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = m->epoll_fd < 0 ? -errno : rings_new(plan.n, fn, ctx, &m->rings);
	for (u32 i = 0; i < plan.n && !err; i++)
		err = open_ring(m);
	if (!err)
		err = fill_map(map_fd, m);
	if (err) {
		ring_maps_free(m);
		return err;
	}
	*ret = m;
	return 0;
}

struct ring_maps *ring_maps_free(struct ring_maps *m)
{
	if (!m)
		return NULL;
	for (u32 i = 0; i < m->n; i++) {
		struct ring_map *r = &m->map[i];

		if (r->consumer != MAP_FAILED)
			(void)munmap(r->consumer, m->page);
		if (r->producer != MAP_FAILED)
			(void)munmap(r->producer, m->page + m->size);
		(void)close(r->fd);
	}
	if (m->epoll_fd >= 0)
		(void)close(m->epoll_fd);
	rings_free(m->rings);
	free(m);
	return NULL;
}

struct rings *ring_maps_rings(const struct ring_maps *m)
{
	return m->rings;
}

int ring_maps_epoll_fd(const struct ring_maps *m)
{
	return m->epoll_fd;
}

bool ring_maps_woken(struct ring_maps *m)
{
	struct epoll_event ev[WIRE_MAX_RINGS];

	return epoll_wait(m->epoll_fd, ev, WIRE_MAX_RINGS, 0) > 0;
}
