/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_kinds.c: tasks of one type that were spawned at one place, summed up; and what types and places are called. See task_stats.h. */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/task_stats.h"
#include "report/view_text.h"

/* ---- names ---- */

int task_type_label(const struct task_type *t, char **ret)
{
	char text[64];

	if (t->name)
		return text_clean(t->name, "?", ret);
	if (!t->vtable)
		return text_clean("(type not known)", "?", ret);
	(void)snprintf(text, sizeof(text), "(no name) 0x%llx", (unsigned long long)t->vtable);
	return text_clean(text, "?", ret);
}

int task_site_label(const struct task_site *s, bool full, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *function = NULL;
	int r;

	if (s->file || !s->function)
		return text_place(s->file, s->line, full, ret);
	r = text_clean(s->function, "?", &function);
	if (r < 0)
		return r;
	buf_printf(&b, "in %s", function);
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

/* ---- numbers ---- */

u64 task_percentile(const u64 *sorted, size_t n, u32 percent)
{
	return n ? sorted[(n * percent + 99) / 100 - 1] : 0;
}

/* ---- kinds ---- */

/* A task as it is sorted: by kind, then most blocked first. */
struct entry {
	u32 type, site;
	const struct task_stat *t;
};

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->type != y->type)
		return x->type < y->type ? -1 : 1;
	if (x->site != y->site)
		return x->site < y->site ? -1 : 1;
	if (x->t->blocked != y->t->blocked)
		return x->t->blocked > y->t->blocked ? -1 : 1;
	if (x->t->busy != y->t->busy)
		return x->t->busy > y->t->busy ? -1 : 1;
	return x->t < y->t ? -1 : x->t > y->t;
}

static int kind_compare(const void *a, const void *b)
{
	const struct task_kind *x = a, *y = b;
	const u64 keys[][2] = {{x->blocked, y->blocked}, {x->busy, y->busy}, {x->tasks, y->tasks}};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] > keys[i][1] ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static void add_task(struct task_kind *k, const struct task_stat *t)
{
	k->tasks++;
	k->alive += t->alive > 0;
	k->alive_unknown += t->alive < 0;
	k->busy += t->busy;
	k->waited += t->waited;
	k->blocked += t->blocked;
	k->blocks += t->blocks;
	k->polls += t->polls;
	k->samples += t->samples;
	k->wakes += t->wakes;
	k->delays += t->n_delays;
	k->longest = max_u64(k->longest, t->longest);
	k->max_delay = max_u64(k->max_delay, t->max_delay);
}

static int add_delays(const struct task_stats *s, const struct entry *e, struct task_kind *k)
{
	_cleanup_free_ u64 *all = NULL;
	size_t n = 0;

	if (!k->delays)
		return 0;
	all = calloc(k->delays, sizeof(*all));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < k->n; i++) {
		const struct task_stat *t = e[i].t;

		if (t->n_delays)
			memcpy(all + n, s->delays + t->first_delay, t->n_delays * sizeof(*all));
		n += t->n_delays;
	}
	qsort(all, n, sizeof(*all), array_u64_compare);
	k->p50 = task_percentile(all, n, 50);
	k->p99 = task_percentile(all, n, 99);
	return 0;
}

/* Who spawned a task, as one number: the type of the task that did, or the letter of where from. */
static u64 spawner_key(const struct task_stats *s, const struct task_stat *t)
{
	const struct task_stat *by = t->from == 't' ? task_stats_find(s, t->runtime_id, t->spawned_by) : NULL;

	return (u64)(u8)t->from << 32 | (by ? s->types[by->type].same : 0);
}

static int add_spawner(const struct task_stats *s, const struct entry *e, struct task_kind *k)
{
	_cleanup_free_ u64 *keys = calloc(k->n + 1, sizeof(*keys));
	size_t n = 0;

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < k->n; i++)
		if (e[i].t->from)
			keys[n++] = spawner_key(s, e[i].t);
	qsort(keys, n, sizeof(*keys), array_u64_compare);
	for (size_t i = 0, run = 0; i < n; i++) {
		run = i && keys[i] == keys[i - 1] ? run + 1 : 1;
		if (run <= k->spawner_tasks)
			continue;
		k->spawner_tasks = run;
		k->spawner = (u32)keys[i];
		k->from = (char)(keys[i] >> 32);
	}
	return 0;
}

static int make_kinds(const struct task_stats *s, const struct entry *e, struct task_kinds *k)
{
	int r;

	for (size_t i = 0; i < s->n; i++) {
		struct task_kind *kind;

		if (!i || e[i].type != e[i - 1].type || e[i].site != e[i - 1].site)
			k->rows[k->n++] = (struct task_kind){.type = e[i].type, .site = e[i].site, .first = i};
		kind = &k->rows[k->n - 1];
		kind->n++;
		add_task(kind, e[i].t);
		k->order[i] = (size_t)(e[i].t - s->rows);
	}
	for (size_t i = 0; i < k->n; i++) {
		r = add_delays(s, e + k->rows[i].first, &k->rows[i]);
		if (r == 0)
			r = add_spawner(s, e + k->rows[i].first, &k->rows[i]);
		if (r < 0)
			return r;
	}
	qsort(k->rows, k->n, sizeof(*k->rows), kind_compare);
	return 0;
}

void task_kinds_release(struct task_kinds *k)
{
	free(k->rows);
	free(k->order);
	*k = (struct task_kinds){0};
}

int task_kinds_make(const struct task_stats *s, struct task_kinds *ret)
{
	_cleanup_task_kinds_ struct task_kinds k = {0};
	_cleanup_free_ struct entry *e = calloc(s->n + 1, sizeof(*e));
	int r;

	k.rows = calloc(s->n + 1, sizeof(*k.rows));
	k.order = calloc(s->n + 1, sizeof(*k.order));
	if (!e || !k.rows || !k.order)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		e[i] = (struct entry){s->types[s->rows[i].type].same, s->sites[s->rows[i].site].same, &s->rows[i]};
	qsort(e, s->n, sizeof(*e), entry_compare);
	r = make_kinds(s, e, &k);
	if (r < 0)
		return r;
	*ret = k;
	k = (struct task_kinds){0};
	return 0;
}
