/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_index.c: see task_index.h. Open addressing, half full at most; what is removed is closed up behind, so that no marks are left. */
#include "report/task_index.h"

#include <errno.h>

void task_index_release(struct task_index *t)
{
	free(t->slots);
	*t = (struct task_index){0};
}

static u32 home_of(const struct task_index *t, u64 layout, u64 task)
{
	u64 h = (task ^ layout << 48 ^ layout >> 16) * 0x9e3779b97f4a7c15ULL;

	return (u32)(h >> 32) & (t->cap - 1);
}

static u32 find(const struct task_index *t, u64 layout, u64 task)
{
	u32 i = home_of(t, layout, task);

	while (t->slots[i].value && (t->slots[i].task != task || t->slots[i].layout != layout))
		i = (i + 1) & (t->cap - 1);
	return i;
}

u32 task_index_get(const struct task_index *t, u64 layout, u64 task)
{
	return t->cap ? t->slots[find(t, layout, task)].value : 0;
}

static int grow(struct task_index *t)
{
	struct task_index bigger = {.cap = t->cap ? t->cap * 2 : 256};

	if (bigger.cap < t->cap)
		return -ENOMEM;
	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (u32 i = 0; i < t->cap; i++) {
		const struct task_slot *s = &t->slots[i];

		if (s->value)
			bigger.slots[find(&bigger, s->layout, s->task)] = *s;
	}
	bigger.n = t->n;
	free(t->slots);
	*t = bigger;
	return 0;
}

int task_index_put(struct task_index *t, u64 layout, u64 task, u32 value)
{
	if (2 * (t->n + 1) > t->cap && grow(t) < 0)
		return -ENOMEM;
	t->slots[find(t, layout, task)] = (struct task_slot){layout, task, value};
	t->n++;
	return 0;
}

/* Those behind it that would not be found past the hole move up. */
void task_index_remove(struct task_index *t, u64 layout, u64 task)
{
	u32 mask = t->cap - 1, hole, i;

	if (!t->cap)
		return;
	hole = find(t, layout, task);
	if (!t->slots[hole].value)
		return;
	for (i = (hole + 1) & mask; t->slots[i].value; i = (i + 1) & mask) {
		u32 home = home_of(t, t->slots[i].layout, t->slots[i].task);

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		t->slots[hole] = t->slots[i];
		hole = i;
	}
	t->slots[hole].value = 0;
	t->n--;
}
