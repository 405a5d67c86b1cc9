/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_throttle.c: see load_throttle.h. */
#include "report/load_throttle.h"

#include <errno.h>
#include <string.h>

/*
 * The kernel counts a stop when it ends, and a period at its end (kernel/sched/fair.c, unthrottle_cfs_rq and do_sched_cfs_period_timer), so the stop may have
 * begun before the reading before: by as much as was counted, or a period where that is not known. 100 ms is the default, 1 s the longest.
 */
#define PERIOD_DEFAULT (100 * NSEC_PER_MSEC)
#define PERIOD_MAX     NSEC_PER_SEC

static int compare_throttles(const void *a, const void *b)
{
	const struct fmt_throttle *x = a, *y = b;

	if (x->cgroup != y->cgroup)
		return x->cgroup < y->cgroup ? -1 : 1;
	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

static u64 begin_of(const struct fmt_throttle *t)
{
	u64 before = t->throttled ? min_u64(t->throttled, PERIOD_MAX) : PERIOD_DEFAULT;

	return t->ts > before ? t->ts - before : 0;
}

/* Rows of one cgroup in the order of their readings -> spans; they may be taken as one where they touch. */
static void add_span(struct throttled_cgroup *c, const struct fmt_throttle *t)
{
	u64 begin = begin_of(t);

	while (c->n && begin <= c->spans[c->n - 1].ts) { /* it reaches back over earlier ones */
		c->n--;
		begin = min_u64(begin, c->spans[c->n].ts);
	}
	if (c->n && begin <= c->spans[c->n - 1].ts_end)
		c->spans[c->n - 1].ts_end = max_u64(c->spans[c->n - 1].ts_end, t->ts_end);
	else
		c->spans[c->n++] = (struct gap_span){begin, t->ts_end};
}

static int add_cgroups(struct throttle_set *ts, const struct load_dict *d)
{
	_cleanup_free_ struct fmt_throttle *rows = calloc(d->n_throttles, sizeof(*rows));

	ts->spans = calloc(d->n_throttles, sizeof(*ts->spans));
	ts->cgroups = calloc(THROTTLE_MAX_CGROUPS, sizeof(*ts->cgroups));
	if (!rows || !ts->spans || !ts->cgroups)
		return -ENOMEM;
	memcpy(rows, d->throttles, d->n_throttles * sizeof(*rows));
	qsort(rows, d->n_throttles, sizeof(*rows), compare_throttles);
	for (size_t i = 0; i < d->n_throttles; i++) {
		if (!i || rows[i].cgroup != rows[i - 1].cgroup) {
			if (ts->n_cgroups == THROTTLE_MAX_CGROUPS)
				return 0;
			ts->cgroups[ts->n_cgroups++] =
				(struct throttled_cgroup){.cgroup = rows[i].cgroup, .spans = ts->spans + i};
		}
		add_span(&ts->cgroups[ts->n_cgroups - 1], &rows[i]);
	}
	return 0;
}

bool throttle_is_above(const char *path, const char *below)
{
	size_t n = strlen(path);

	if (n && path[n - 1] == '/')
		n--;
	return strncmp(path, below, n) == 0 && (below[n] == '/' || !below[n]);
}

/* The cgroups that a process was in, whichever of its entries says so. */
static int add_member(struct throttle_set *ts, const struct load_dict *d, const struct dict_member *m)
{
	const char *path = load_dict_str(d, m->cgroup);
	struct throttled_process *p;
	bool is_new;

	if (!path)
		return 0;
	p = dict_table_add(&ts->processes, m->process, &is_new);
	if (!p)
		return -ENOMEM;
	p->process = m->process;
	for (u32 c = 0; c < ts->n_cgroups; c++) {
		const char *cgroup = load_dict_str(d, ts->cgroups[c].cgroup);

		if (cgroup && throttle_is_above(cgroup, path))
			p->cgroups[c / 64] |= 1ULL << c % 64;
	}
	return 0;
}

int throttle_set_init(struct throttle_set *ts, const struct load_dict *d)
{
	int err;

	*ts = (struct throttle_set){.processes = {.row_size = sizeof(struct throttled_process)}};
	if (!d->n_throttles)
		return 0;
	err = add_cgroups(ts, d);
	for (size_t i = 0; i < d->n_members && !err; i++)
		err = add_member(ts, d, &d->members[i]);
	return err;
}

void throttle_set_release(struct throttle_set *ts)
{
	dict_table_release(&ts->processes);
	free(ts->spans);
	free(ts->cgroups);
	*ts = (struct throttle_set){0};
}

static bool spans_overlap(const struct throttled_cgroup *c, u64 ts, u64 ts_end)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) { /* the first one that does not end before ts */
		size_t mid = lo + (hi - lo) / 2;

		if (c->spans[mid].ts_end < ts)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < c->n && c->spans[lo].ts <= ts_end;
}

bool throttle_set_overlaps(const struct throttle_set *set, u64 process, u64 ts, u64 ts_end)
{
	const struct throttled_process *p = set->n_cgroups ? dict_table_find(&set->processes, process, NULL) : NULL;

	if (!p)
		return false;
	for (u32 c = 0; c < set->n_cgroups; c++)
		if (p->cgroups[c / 64] >> c % 64 & 1 && spans_overlap(&set->cgroups[c], ts, ts_end))
			return true;
	return false;
}
