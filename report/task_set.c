/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* task_set.c: see task_set.h. */
#include "report/task_set.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

int task_set_init(struct task_set *t, u64 n_runtimes)
{
	*t = (struct task_set){.n_runtimes = n_runtimes};
	t->pages_of = calloc(n_runtimes + 1, sizeof(*t->pages_of));
	return t->pages_of ? 0 : -ENOMEM;
}

void task_set_release(struct task_set *t)
{
	for (u64 i = 0; t->pages_of && i <= t->n_runtimes; i++)
		u64map_release(&t->pages_of[i]);
	free(t->pages_of);
	free(t->pages);
	*t = (struct task_set){0};
}

bool task_set_has(const struct task_set *t, u64 runtime, u64 task)
{
	u64 page;

	BUG_ON(runtime > t->n_runtimes);
	return u64map_get(&t->pages_of[runtime], task / 512, &page) && t->pages[page][task / 64 % 8] >> task % 64 & 1;
}

static int add_page(struct task_set *t, struct u64map *m, u64 key, u64 *ret)
{
	if (ARRAY_ROOM_RAW(t->pages, t->n_pages, &t->cap_pages) < 0)
		return -ENOMEM;
	if (u64map_put(m, key, t->n_pages) < 0)
		return -ENOMEM;
	memset(t->pages[t->n_pages], 0, sizeof(*t->pages));
	*ret = t->n_pages++;
	return 0;
}

int task_set_add(struct task_set *t, u64 runtime, u64 task)
{
	struct u64map *m = &t->pages_of[runtime];
	u64 page, *word, bit = 1ULL << task % 64;
	int err;

	BUG_ON(runtime > t->n_runtimes);
	if (!u64map_get(m, task / 512, &page)) {
		t->is_full |= t->n_pages == TASK_SET_MAX_PAGES;
		if (t->is_full)
			return 0;
		err = add_page(t, m, task / 512, &page);
		if (err)
			return err;
	}
	word = &t->pages[page][task / 64 % 8];
	t->count += !(*word & bit);
	*word |= bit;
	return 0;
}
