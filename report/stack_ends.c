/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack_ends.c: see stack_ends.h. */
#include "report/stack_ends.h"

#include <errno.h>

#include "base/array.h"
#include "report/stack_status.h"

void stack_ends_release(struct stack_ends *e)
{
	free(e->rows);
	u64map_release(&e->by_key);
	*e = STACK_ENDS_INIT;
}

int stack_ends_find(struct stack_ends *e, u64 status, u64 module, u32 *ret_at)
{
	u64 key, at;

	if (!stack_status_has_culprit(status))
		module = 0;
	key = module * STACK_STATUSES + status; /* modules are indices of the capture, far below 2^60 */
	if (u64map_get(&e->by_key, key, &at)) {
		*ret_at = (u32)at;
		return 0;
	}
	if (ARRAY_ROOM(e->rows, e->n, &e->cap) < 0)
		return -ENOMEM;
	if (u64map_put(&e->by_key, key, e->n) < 0)
		return -ENOMEM;
	*ret_at = e->n;
	e->rows[e->n++] = (struct stack_end){.status = status, .module = module};
	return 0;
}

int stack_ends_write(const struct stack_ends *e, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT INTO stack_end VALUES (?, ?, ?, ?, ?)", &ins);

	for (u32 i = 0; i < e->n && !err; i++) {
		const struct stack_end *r = &e->rows[i];

		if (r->events)
			err = db_run(ins,
				     (struct db_val[]){db_text(stack_status_name(r->status)), db_opt(r->module),
						       DB_INT(r->events), DB_INT(r->guessed), DB_INT(r->stacks)},
				     5);
	}
	return err;
}

void stack_ends_sum(const struct stack_ends *e, struct verdict_facts *f)
{
	for (u32 i = 0; i < e->n; i++) {
		f->stacks[e->rows[i].status] += e->rows[i].events;
		f->stacks_guessed += e->rows[i].guessed;
	}
}
