/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame_name.c: how a frame's function is spelled (frame_kind.h): the scripts' path, its last part, and the short form of
 * reports.
 * Invariant: every function works on the segments of split_path(), which covers the text without a gap and never reads behind its
 * end.
 */
#include <ctype.h>
#include <string.h>

#include "report/frame_kind.h"
#include "report/name_out.h"

#define SEGMENTS_MAX 64 /* the last ones count; deeper paths lose their first segments */

struct segment {
	const char *s;
	size_t n; /* without generic arguments behind it, and without "::" */
};

struct path {
	struct segment segments[SEGMENTS_MAX];
	u32 n;
	bool is_cut; /* first segments were dropped */
};

/* Behind the bracket that closes the one at s[0]; the end of the text when none does. "->" closes nothing. */
static const char *skip_brackets(const char *s)
{
	int depth = 0;

	for (; *s; s++) {
		if (strchr("<([{", *s))
			depth++;
		else if (strchr(")]}", *s) || (*s == '>' && s[-1] != '-'))
			depth--;
		if (!depth)
			return s + 1;
	}
	return s;
}

/* End of the segment at s: the next "::" outside brackets. *ret_n is its length without generic arguments. */
static const char *segment_end(const char *s, size_t *ret_n)
{
	const char *p = s, *generics = NULL;

	while (*p && strncmp(p, "::", 2)) {
		if (*p == '<' && p > s && !generics)
			generics = p;
		p = strchr("<([{", *p) ? skip_brackets(p) : p + 1;
	}
	*ret_n = (size_t)((generics ? generics : p) - s);
	return p;
}

/* Generic arguments in a segment of their own: `sum::<String>`; a first segment `<A as B>` is a type. */
static bool is_generics(const char *s, bool is_first)
{
	return *s == '<' && !is_first;
}

static void split_path(const char *function, struct path *p)
{
	const char *s = function;

	*p = (struct path){0};
	while (*s) {
		struct segment seg = {.s = s};
		const char *end = segment_end(s, &seg.n);

		if (p->n == SEGMENTS_MAX) {
			memmove(p->segments, p->segments + 1, sizeof(p->segments) - sizeof(p->segments[0]));
			p->n--;
			p->is_cut = true;
		}
		if (seg.n && !is_generics(s, s == function))
			p->segments[p->n++] = seg;
		s = *end ? end + 2 : end;
	}
}

static bool is_braces(const struct segment *seg)
{
	return seg->s[0] == '{';
}

/* `{async_fn_env#0}` -> `{async fn}`; `{impl#3}` and `{{closure}}` stay. */
static void put_segment(struct name_out *o, const struct segment *seg)
{
	static const struct {
		const char *from, *to;
	} names[] = {
		{"{async_fn", "{async fn}"},
		{"{async_block", "{async block}"},
		{"{async_closure", "{async closure}"},
		{"{closure", "{closure}"},
		{"{gen_fn", "{gen fn}"},
		{"{gen_block", "{gen block}"},
		{"{async_gen_fn", "{async gen fn}"},
		{"{async_gen_block", "{async gen block}"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i].from);

		if (seg->n <= n || memcmp(seg->s, names[i].from, n) || (seg->s[n] != '#' && seg->s[n] != '_'))
			continue;
		if (seg->s[n] == '_' && (seg->n < n + 5 || memcmp(seg->s + n, "_env#", 5)))
			continue;
		name_out_put(o, names[i].to, strlen(names[i].to));
		return;
	}
	name_out_put(o, seg->s, seg->n);
}

static char *put_from(const struct path *p, u32 first, struct name_out *o)
{
	for (u32 i = first; i < p->n; i++) {
		if (i > first)
			name_out_put(o, "::", 2);
		put_segment(o, &p->segments[i]);
	}
	return name_out_end(o);
}

/* Index of the function's own segment: the last that is not in braces; p->n when there is none. */
static u32 name_index(const struct path *p)
{
	for (u32 i = p->n; i > 0; i--)
		if (!is_braces(&p->segments[i - 1]))
			return i - 1;
	return p->n;
}

char *frame_function_path(const char *function, char *buf, size_t n)
{
	struct name_out o = {.buf = buf, .cap = n - 1};
	struct path p;

	split_path(function, &p);
	if (p.is_cut)
		name_out_put(&o, "...::", 5);
	return put_from(&p, 0, &o);
}

char *frame_function_name(const char *function, char *buf, size_t n)
{
	struct name_out o = {.buf = buf, .cap = n - 1};
	struct path p;
	u32 at;

	split_path(function, &p);
	at = name_index(&p);
	if (at < p.n)
		name_out_put(&o, p.segments[at].s, p.segments[at].n);
	else if (p.n)
		put_segment(&o, &p.segments[p.n - 1]);
	return name_out_end(&o);
}

/* Type of a method as one word: `<&mut orders::api::Store<T> as Get>` -> `Store`; n is 0 when it has no such name. */
static struct segment type_word(const struct segment *seg)
{
	const char *end = seg->s + seg->n, *word = NULL, *p = seg->s;
	struct segment ret = {0};

	if (*p != '<') {
		/* Types are spelled in CamelCase, modules are not. */
		return isupper((u8)*p) ? *seg : ret;
	}
	for (p++; p < end && strncmp(p, " as ", 4); p++) {
		if (strchr("<([{>)]}", *p) && ret.n)
			break;
		if (!isalnum((u8)*p) && *p != '_') {
			word = NULL;
			continue;
		}
		if (!word)
			word = p;
		ret = (struct segment){word, (size_t)(p + 1 - word)};
	}
	return ret;
}

char *frame_display_function(const char *function, char *buf, size_t n)
{
	struct name_out o = {.buf = buf, .cap = n - 1};
	struct segment type;
	struct path p;
	u32 at;

	split_path(function, &p);
	at = name_index(&p);
	if (at == p.n)
		return put_from(&p, p.n ? p.n - 1 : 0, &o);
	if (at > 0) {
		type = type_word(&p.segments[at - 1]);
		if (type.n) {
			name_out_put(&o, type.s, type.n);
			name_out_put(&o, "::", 2);
		}
	}
	return put_from(&p, at, &o);
}
