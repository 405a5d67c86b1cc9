/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_flames.c: see html_flames.h. */
#include "report/html_flames.h"

#include <errno.h>

#include "base/json.h"
#include "report/flame_data.h"
#include "report/html.h"
#include "report/html_limits.h"
#include "report/profile.h"

static int heaviest_first(const void *a, const void *b)
{
	const struct profile_stack *const *x = a, *const *y = b;

	if ((*x)->ns != (*y)->ns)
		return (*x)->ns > (*y)->ns ? -1 : 1;
	return *x < *y ? -1 : *x > *y; /* of one array: the order of the profile */
}

/*
 * Keeps the heaviest stacks whole. Of the others only the frames in front (process, class) stay, so that the sums stay what they are. Returns how many
 * that are, or -ENOMEM.
 */
static s64 cut_light(struct profile *p, u32 keep_frames)
{
	_cleanup_free_ struct profile_stack **order = NULL;

	if (p->n_stacks <= HTML_MAX_FLAME_STACKS)
		return 0;
	order = calloc(p->n_stacks, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (u32 i = 0; i < p->n_stacks; i++)
		order[i] = &p->stacks[i];
	qsort(order, p->n_stacks, sizeof(struct profile_stack *), heaviest_first);
	for (u32 i = HTML_MAX_FLAME_STACKS; i < p->n_stacks; i++)
		order[i]->n = (u32)min_u64(order[i]->n, keep_frames);
	return p->n_stacks - HTML_MAX_FLAME_STACKS;
}

int html_flames_put(sqlite3 *db, const struct report_opts *o, FILE *out)
{
	static const struct {
		const char *id;
		enum profile_kind kind;
		enum profile_by by;
		u32 in_front; /* frames that `by` puts there */
	} flames[] = {
		{"flame-blocking", PROFILE_BLOCKING, PROFILE_BY_CLASS, 2},
		{"flame-oncpu", PROFILE_ONCPU, PROFILE_BY_NONE, 0},
		{"flame-offcpu", PROFILE_OFFCPU, PROFILE_BY_CLASS, 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(flames); i++) {
		const struct profile_opts want = {.kind = flames[i].kind,
						  .by = flames[i].by,
						  .from_ns = o->from_ns,
						  .to_ns = o->to_ns,
						  .min_ns = flames[i].kind == PROFILE_BLOCKING ? o->min_ns : 0};
		_cleanup_profile_ struct profile p = {0};
		struct json j;
		s64 cut = 0;
		int r = profile_load(db, &want, &p);

		if (r == 0)
			cut = cut_light(&p, flames[i].in_front);
		if (r < 0 || cut < 0)
			return r < 0 ? r : (int)cut;
		html_data_begin(out, flames[i].id);
		json_init(&j, out, false);
		j.for_html = true;
		json_object_begin(&j);
		json_kv_u64(&j, "cut_stacks", (u64)cut);
		json_key(&j, "flame");
		r = flame_data_put(&j, &p, NULL);
		if (r < 0)
			return r;
		json_object_end(&j);
		html_data_end(out);
	}
	return 0;
}
