/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_perfmap.c: see load_perfmap.h. A piece that was lost with a damaged block costs its own lines and the two that it cut in
 * the middle: half a line must not be taken for a whole one, as its number or its name would be another.
 */
#include "report/load_perfmap.h"

#include <errno.h>
#include <string.h>

struct process_map {
	u64 process;
	char *text;
	struct jitmap map;
};

static int compare_pieces(const void *a, const void *b)
{
	const struct dict_piece *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->chunk != y->chunk)
		return x->chunk < y->chunk ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* Takes away what is behind the last newline. */
static size_t whole_lines(const char *text, size_t n)
{
	while (n && text[n - 1] != '\n')
		n--;
	return n;
}

/* Joins pieces [from, to), all of one process, into text; returns its length. */
static size_t join(const struct load_dict *d, size_t from, size_t to, char *text)
{
	u64 next = 0; /* the piece that would follow */
	size_t n = 0;

	for (size_t i = from; i < to; i++) {
		const struct dict_piece *p = &d->pieces[i];
		const char *s = (const char *)d->map_text.data + p->off;
		size_t len = p->len;

		if (p->chunk + 1 == next && i > from) /* repeated */
			continue;
		if (p->chunk != next) {
			const char *nl = memchr(s, '\n', len);

			n = whole_lines(text, n);
			len = nl ? len - (size_t)(nl + 1 - s) : 0;
			s = nl ? nl + 1 : s;
		}
		memcpy(text + n, s, len);
		n += len;
		next = p->chunk + 1;
	}
	return n;
}

static int read_map(struct perfmap_set *set, const struct load_dict *d, size_t from, size_t to)
{
	struct process_map *m = &set->maps[set->n++];
	size_t size = 0, n;
	int err;

	*m = (struct process_map){.process = d->pieces[from].process};
	for (size_t i = from; i < to; i++)
		size += d->pieces[i].len;
	m->text = malloc(size + 1);
	if (!m->text)
		return -ENOMEM;
	n = join(d, from, to, m->text);
	err = jitmap_parse(&m->map, m->text, n);
	set->names += m->map.names;
	set->malformed += m->map.malformed;
	return err;
}

int perfmap_set_init(struct perfmap_set *s, struct load_dict *d)
{
	u32 processes = 0;
	int err = 0;

	*s = (struct perfmap_set){0};
	if (!d->n_pieces)
		return 0;
	qsort(d->pieces, d->n_pieces, sizeof(*d->pieces), compare_pieces);
	for (size_t i = 0; i < d->n_pieces; i++)
		processes += !i || d->pieces[i].process != d->pieces[i - 1].process;
	s->maps = calloc(processes, sizeof(*s->maps));
	if (!s->maps)
		return -ENOMEM;
	for (size_t from = 0, to; from < d->n_pieces && !err; from = to) {
		for (to = from + 1; to < d->n_pieces && d->pieces[to].process == d->pieces[from].process;)
			to++;
		err = read_map(s, d, from, to);
	}
	/* every map has a copy in one piece */
	buf_release(&d->map_text);
	d->n_pieces = 0;
	return err;
}

void perfmap_set_release(struct perfmap_set *s)
{
	for (u32 i = 0; i < s->n; i++) {
		jitmap_release(&s->maps[i].map);
		free(s->maps[i].text);
	}
	free(s->maps);
	*s = (struct perfmap_set){0};
}

int perfmap_set_index(const struct perfmap_set *s, u64 process)
{
	u32 lo = 0, hi = s->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (s->maps[mid].process < process)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->maps[lo].process == process ? (int)lo : -1;
}

bool perfmap_set_find(const struct perfmap_set *s, int index, u64 addr, struct jitmap_text *ret)
{
	return jitmap_find(&s->maps[index].map, addr, ret);
}
