/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stat_map.c: see stat_map.h. */
#include "record/stat_map.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert((u32)WIRE_STATS <= (u32)WIRE_STATS_ROOM, "there is room for every counter");

static size_t bytes_of(u32 cpus)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (cpus * sizeof(struct wire_stats) + page - 1) / page * page;
}

int stat_map_open(int map_fd, u32 cpus, struct stat_map *ret)
{
	void *at = mmap(NULL, bytes_of(cpus), PROT_READ, MAP_SHARED, map_fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	*ret = (struct stat_map){.at = at, .cpus = cpus};
	return 0;
}

void stat_map_close(struct stat_map *m)
{
	if (m->at)
		(void)munmap((void *)(uintptr_t)m->at, bytes_of(m->cpus));
	m->at = NULL;
}

u64 stat_map_sum(const struct stat_map *m, u32 idx)
{
	u64 sum = 0;

	for (u32 cpu = 0; cpu < m->cpus; cpu++)
		sum += __atomic_load_n(&m->at[cpu].of[idx], __ATOMIC_RELAXED);
	return sum;
}
