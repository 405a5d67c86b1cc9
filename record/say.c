/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* say.c: see say.h. */
#include "record/say.h"

#include <errno.h>

#include "base/human.h"
#include "base/log.h"
#include "record/output.h"
#include "record/refusals.h"

struct runtime_count {
	u32 found, ambiguous, unfit, stripped, stripped_other;
};

static void count_runtime(void *ctx, struct cat_process *p)
{
	struct runtime_count *c = ctx;

	if (p->is_stripped)
		(*(p->n_copies ? &c->stripped : &c->stripped_other))++;
	for (u32 i = 0; i < p->n_copies; i++) {
		c->found += p->copies[i].is_confirmed;
		c->ambiguous += p->copies[i].is_ambiguous;
		c->unfit += p->copies[i].is_unfit;
	}
}

void say_what_was_found(struct catalog *cat)
{
	struct runtime_count c = {0};

	catalog_each_image(cat, count_runtime, &c);
	if (!c.found && c.ambiguous)
		log_warn("%s", REFUSAL_AMBIGUOUS);
	else if (!c.found && !c.unfit) /* that was said when it was found out */
		log_warn("%s", REFUSAL_NO_RUNTIME);
	if (c.stripped || (!c.found && c.stripped_other)) /* not of the shell that started it */
		log_info(
			"note: the target is stripped: give the report the unstripped binary (--target), or functions stay addresses");
}

void say_full(const struct session_opts *o, enum stop_reason why)
{
	switch (why) {
	case STOP_MAX_SIZE:
		log_info("%s: stopped at --max-size %s", o->output, human_bytes(o->max_size).s);
		break;
	case STOP_FILE_LIMIT:
		log_error("%s: %s; recording stopped, the file is complete up to then", o->output, output_advice(-EFBIG));
		break;
	default:
		log_error("%s: %s; recording stopped, the file is complete up to then", o->output,
			  output_advice(why == STOP_DISK_QUOTA ? -EDQUOT : -ENOSPC));
	}
}
