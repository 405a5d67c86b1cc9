/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* timeline_counts.c: see timeline_counts.h. */
#include "report/timeline_counts.h"

#include <errno.h>
#include <string.h>

const char *timeline_count_name(enum timeline_count k)
{
	static const char *const names[] = {"running workers", "blocked workers", "runnable threads", "ready tasks"};

	return names[k];
}

const char *timeline_count_series(enum timeline_count k)
{
	static const char *const names[] = {"workers", "workers", "threads", "tasks"};

	return names[k];
}

void timeline_counts_init(struct timeline_counts *c, u64 lo, u64 hi)
{
	u64 ms = (hi - lo) / (TIMELINE_COUNTS_MAX * NSEC_PER_MSEC) + 1;

	*c = (struct timeline_counts){.lo = lo, .step = ms * NSEC_PER_MSEC};
	c->n = (u32)((hi - lo + c->step - 1) / c->step);
}

void timeline_counts_release(struct timeline_counts *c)
{
	for (u32 i = 0; i < c->n_pids; i++)
		free(c->deltas[i]);
	*c = (struct timeline_counts){0};
}

/* The first instant from ts on, n: none. */
static u64 instant(const struct timeline_counts *c, u64 ts)
{
	return ts <= c->lo ? 0 : min_u64((ts - c->lo + c->step - 1) / c->step, c->n);
}

int timeline_counts_add(struct timeline_counts *c, u64 pid, enum timeline_count k, u64 ts, u64 end)
{
	u64 first = instant(c, ts), last = instant(c, end);
	u32 i = 0;

	while (i < c->n_pids && c->pids[i] != pid)
		i++;
	if (i == TIMELINE_COUNTS_PROCESSES)
		return 0;
	if (i == c->n_pids) {
		c->deltas[i] = calloc(TIMELINE_COUNTS * ((size_t)c->n + 1), sizeof(*c->deltas[i]));
		if (!c->deltas[i])
			return -ENOMEM;
		c->pids[i] = pid;
		c->n_pids++;
	}
	c->used[i][k] = true;
	if (first >= last)
		return 0;
	c->deltas[i][k * ((size_t)c->n + 1) + first]++;
	c->deltas[i][k * ((size_t)c->n + 1) + last]--;
	return 0;
}

void timeline_counts_each(const struct timeline_counts *c, timeline_count_fn fn, void *ctx)
{
	for (u32 i = 0; i < c->n_pids; i++) {
		for (int k = 0; k < TIMELINE_COUNTS; k++) {
			const s32 *d = c->deltas[i] + (size_t)k * ((size_t)c->n + 1);
			s64 value = 0;

			for (u32 at = 0; at < c->n && c->used[i][k]; at++) {
				value += d[at];
				if (!at || d[at])
					fn(ctx, c->pids[i], (enum timeline_count)k, c->lo + at * c->step,
					   value < 0 ? 0 : (u64)value);
			}
		}
	}
}
