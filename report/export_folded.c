/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_folded.c: collapsed stacks, "process;thread;root;..;leaf COUNT", for flamegraph.pl, inferno, speedscope and every tool
 * since. One line per distinct text, sorted by its bytes, so that the same capture gives the same file.
 *
 * Frames differ by line and address, too, which the text does not say; so stacks are compared by their texts again. A text is never put together but to be
 * written: all of them at once would be a hundred times the profile.
 */
#include <errno.h>
#include <string.h>

#include "report/export.h"
#include "report/export_stacks.h"

struct folded_frame {
	char *text;
	u32 same; /* the first frame of this text */
};

struct folded {
	struct profile p;
	struct folded_frame *frames;
};

struct folded_line {
	const struct folded *f;
	const struct profile_stack *s;
};

static void folded_release(struct folded *f)
{
	for (u32 i = 0; f->frames && i < f->p.n_frames; i++)
		free(f->frames[i].text);
	free(f->frames);
	profile_release(&f->p);
}

static int by_text(const void *a, const void *b)
{
	const struct folded_frame *x = *(const struct folded_frame *const *)a, *y = *(const struct folded_frame *const *)b;
	int r = strcmp(x->text, y->text);

	return r ? r : x < y ? -1 : x > y;
}

static int make_texts(struct folded *f)
{
	_cleanup_free_ const struct folded_frame **order = calloc((size_t)f->p.n_frames + 1, sizeof(*order));

	f->frames = calloc((size_t)f->p.n_frames + 1, sizeof(*f->frames));
	if (!order || !f->frames)
		return -ENOMEM;
	for (u32 i = 0; i < f->p.n_frames; i++) {
		const struct profile_frame *p = &f->p.frames[i];
		int r = folded_name(p->name,
				    p->waker	 ? "_[w]"
				    : p->kernel	 ? "_[k]"
				    : p->inlined ? "_[i]"
						 : "",
				    &f->frames[i].text);

		if (r < 0)
			return r;
		order[i] = &f->frames[i];
	}
	qsort(order, f->p.n_frames, sizeof(struct folded_frame *), by_text);
	for (u32 i = 0; i < f->p.n_frames; i++) {
		bool is_same = i && strcmp(order[i - 1]->text, order[i]->text) == 0;

		f->frames[order[i] - f->frames].same = is_same ? order[i - 1]->same : (u32)(order[i] - f->frames);
	}
	return 0;
}

/* As strcmp() of the lines' texts, in which a frame ends with ';' or, the last one, with the text. */
static int line_compare(const void *a, const void *b)
{
	const struct profile_stack *x = ((const struct folded_line *)a)->s, *y = ((const struct folded_line *)b)->s;
	const struct folded_frame *frames = ((const struct folded_line *)a)->f->frames;
	const u8 *s, *t;
	u32 i = 0;

	while (i < x->n && i < y->n && frames[x->frames[i]].same == frames[y->frames[i]].same)
		i++;
	if (i == x->n || i == y->n)
		return (x->n > i) - (y->n > i);
	s = (const u8 *)frames[x->frames[i]].text;
	t = (const u8 *)frames[y->frames[i]].text;
	while (*s && *s == *t)
		s++, t++;
	return (*s ? *s : i + 1 < x->n ? ';' : 0) - (*t ? *t : i + 1 < y->n ? ';' : 0);
}

static void put_line(const struct folded *f, const struct profile_stack *s, u64 count, FILE *out)
{
	for (u32 i = 0; i < s->n; i++) {
		if (i)
			(void)fputc(';', out);
		(void)fputs(f->frames[s->frames[i]].text, out);
	}
	(void)fprintf(out, " %llu\n", (unsigned long long)count);
}

/* Samples, or us: each line is rounded so that the lines up to it add up to the time up to it, rounded down. */
static int put_lines(const struct folded *f, bool samples, FILE *out, u64 *ret_lines)
{
	_cleanup_free_ struct folded_line *lines = calloc((size_t)f->p.n_stacks + 1, sizeof(*lines));
	u64 written = 0, before = 0, sum = 0;

	if (!lines)
		return -ENOMEM;
	for (u32 i = 0; i < f->p.n_stacks; i++)
		lines[i] = (struct folded_line){f, &f->p.stacks[i]};
	qsort(lines, f->p.n_stacks, sizeof(*lines), line_compare);
	for (u32 i = 0; i < f->p.n_stacks; i++) {
		u64 upto;

		sum += samples ? lines[i].s->samples : lines[i].s->ns;
		if (i + 1 < f->p.n_stacks && line_compare(&lines[i], &lines[i + 1]) == 0)
			continue;
		upto = samples ? sum : sum / NSEC_PER_USEC;
		if (upto > before) {
			put_line(f, lines[i].s, upto - before, out);
			written++;
		}
		before = upto;
	}
	*ret_lines = written;
	return 0;
}

int export_folded(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_(folded_release) struct folded f = {0};
	u64 lines = 0;
	int r;

	r = export_profile(db, o, &f.p);
	if (r == 0)
		r = make_texts(&f);
	if (r == 0)
		r = put_lines(&f, o->profile.kind == PROFILE_ONCPU, out, &lines);
	if (r == 0)
		*ret = (struct export_result){.events = lines};
	return r;
}
