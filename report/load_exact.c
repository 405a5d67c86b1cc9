/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* load_exact.c: see load_exact.h. */
#include "report/load_exact.h"

#include <errno.h>
#include <string.h>

/* What is heard of probes: a process has a few rows for each group. */
#define MAX_PROBES  4096
#define MAX_LAYOUTS 4096U

/* Narrows the spans of the copies of Tokio that a probe's row is about. */
static void apply_probe(struct task_loader *tl, const struct fmt_probe *p, struct exact_span *both)
{
	const char *group = load_dict_str(tl->d, p->group);
	u32 which;

	if (!group || (strcmp(group, "schedule") != 0 && strcmp(group, "poll") != 0))
		return;
	which = group[0] == 's';
	for (u32 slot = 0; slot < min_u64(tl->d->layouts.n, MAX_LAYOUTS); slot++) {
		const struct fmt_layout *l = dict_table_at(&tl->d->layouts, slot);
		struct exact_span *x = &both[2 * slot + which];

		if ((p->process && p->process != l->process) || (p->module && p->module != l->module))
			continue;
		if (p->action == FMT_PROBE_ATTACHED)
			x->from = min_u64(x->from, p->ts);
		else if (p->action == FMT_PROBE_TAKEN)
			x->to = min_u64(x->to, p->ts);
		else if (p->action == FMT_PROBE_IMPOSSIBLE)
			x->to = 0;
	}
}

int load_exact_init(struct task_loader *tl)
{
	u32 n = tl->d->layouts.n;
	_cleanup_free_ struct exact_span *both = calloc(2 * ((size_t)n + 1), sizeof(*both));

	tl->exact = calloc((size_t)n + 1, sizeof(*tl->exact));
	if (!both || !tl->exact)
		return -ENOMEM;
	for (u32 i = 0; i < 2 * n; i++)
		both[i] = (struct exact_span){UINT64_MAX, UINT64_MAX};
	for (size_t i = 0; i < tl->d->n_probes && i < MAX_PROBES; i++)
		apply_probe(tl, &tl->d->probes[i], both);
	for (u32 i = 0; i < n; i++) {
		tl->exact[i] = (struct exact_span){max_u64(both[2 * i].from, both[2 * i + 1].from),
						   min_u64(both[2 * i].to, both[2 * i + 1].to)};
		tl->has_exact |= tl->exact[i].from < tl->exact[i].to;
	}
	return 0;
}

/* A LocalSet outside any runtime's threads has no context that says whose it is: any copy of Tokio of its process that has the task. */
static u64 layout_of(const struct task_loader *tl, const struct task_thread *t, const struct poll_row *p)
{
	const struct dict_thread *th = dict_table_find(&tl->d->threads, t->run->thread_id, NULL);

	if (p->runtime_id)
		return tl->runtimes->runtimes[p->runtime_id - 1].layout;
	for (u32 i = 0; th && i < min_u64(tl->d->layouts.n, 64); i++) {
		const struct fmt_layout *l = dict_table_at(&tl->d->layouts, i);

		if (l->process == th->f.process && task_index_get(&tl->index, l->idx, p->task))
			return l->idx;
	}
	return 0;
}

bool load_exact_holds(const struct task_loader *tl, const struct task_thread *t, const struct poll_row *p)
{
	u32 slot;

	if (!dict_table_find(&tl->d->layouts, layout_of(tl, t, p), &slot))
		return false;
	return p->ts >= tl->exact[slot].from && p->ts + p->dur + p->stopped <= tl->exact[slot].to;
}
