/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * jitmap.c: see jitmap.h.
 * Invariant after a parse: ranges are sorted, not empty and do not overlap, so that a lookup is one binary search.
 */
#include "report/jitmap.h"

#include <errno.h>
#include <string.h>

struct jitmap_range {
	u64 start, end;
	u32 name, n; /* where in the text */
};

/* A line as it was read. */
struct jitmap_line {
	u64 start, end;
	u32 name, n;
	u32 seq; /* its number: a later one wins */
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A hexadecimal number ("0x" in front is taken, too) and the blanks behind it. False when there is none, or no blank, or above 64 bits. */
static bool take_hex(const char **p, const char *end, u64 *ret)
{
	const char *s = *p, *digits;
	u64 v = 0;

	if (end - s > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	digits = s;
	for (; s < end && hex_digit(*s) >= 0; s++) {
		if (v >> 60)
			return false;
		v = v << 4 | (u64)hex_digit(*s);
	}
	if (s == digits || s == end || (*s != ' ' && *s != '\t'))
		return false;
	while (s < end && (*s == ' ' || *s == '\t'))
		s++;
	*p = s;
	*ret = v;
	return true;
}

static bool read_line(const char *text, size_t from, size_t to, struct jitmap_line *ret)
{
	const char *p = text + from, *end = text + to;
	u64 start, size;

	while (end > p && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	if (!take_hex(&p, end, &start) || !take_hex(&p, end, &size) || p == end || !size || size > UINT64_MAX - start)
		return false;
	*ret = (struct jitmap_line){.start = start, .end = start + size, .name = (u32)(p - text), .n = (u32)(end - p)};
	return true;
}

static int read_lines(struct jitmap *m, const char *text, size_t n, struct jitmap_line **ret)
{
	_cleanup_free_ struct jitmap_line *lines = NULL;
	size_t cap = 0;

	for (size_t from = 0, to; from < n; from = to + 1) {
		const char *nl = memchr(text + from, '\n', n - from);
		struct jitmap_line line;

		to = nl ? (size_t)(nl - text) : n;
		if (to == from)
			continue;
		if (m->names == JITMAP_MAX_LINES || !read_line(text, from, to, &line)) {
			m->malformed++;
			continue;
		}
		if (m->names == cap) {
			struct jitmap_line *p = reallocarray(lines, cap ? cap * 2 : 256, sizeof(*lines));

			if (!p)
				return -ENOMEM;
			lines = p;
			cap = cap ? cap * 2 : 256;
		}
		line.seq = (u32)m->names;
		lines[m->names++] = line;
	}
	*ret = TAKE_PTR(lines);
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	const struct jitmap_line *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* ---- the lines that cover one address, the latest on top: a binary heap ---- */

struct heap {
	const struct jitmap_line **at;
	size_t n;
};

static void heap_push(struct heap *h, const struct jitmap_line *line)
{
	size_t i = h->n++;

	while (i && h->at[(i - 1) / 2]->seq < line->seq) {
		h->at[i] = h->at[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	h->at[i] = line;
}

static void heap_pop(struct heap *h)
{
	const struct jitmap_line *last = h->at[--h->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->at[child + 1]->seq > h->at[child]->seq)
			child++;
		if (h->at[child]->seq <= last->seq)
			break;
		h->at[i] = h->at[child];
		i = child;
	}
	h->at[i] = last;
}

/* Sorted lines -> ranges: from each address at which something begins or ends to the next, the latest line there. */
static void flatten(struct jitmap *m, const struct jitmap_line *lines, size_t n, struct heap *h)
{
	u64 pos = 0;

	for (size_t i = 0; i < n || h->n;) {
		const struct jitmap_line *top;
		struct jitmap_range *last = m->n_ranges ? &m->ranges[m->n_ranges - 1] : NULL;
		u64 next;

		if (!h->n)
			pos = lines[i].start;
		while (i < n && lines[i].start <= pos)
			heap_push(h, &lines[i++]);
		while (h->n && h->at[0]->end <= pos)
			heap_pop(h);
		if (!h->n)
			continue;
		top = h->at[0];
		next = i < n ? min_u64(top->end, lines[i].start) : top->end;
		if (last && last->end == pos && last->name == top->name)
			last->end = next;
		else
			m->ranges[m->n_ranges++] = (struct jitmap_range){pos, next, top->name, top->n};
		pos = next;
	}
}

int jitmap_parse(struct jitmap *m, const char *text, size_t n)
{
	_cleanup_free_ struct jitmap_line *lines = NULL;
	_cleanup_free_ const struct jitmap_line **stack = NULL;
	struct heap h;
	int err;

	*m = (struct jitmap){.text = text};
	BUG_ON(n > UINT32_MAX);
	err = read_lines(m, text, n, &lines);
	if (err || !m->names)
		return err;
	/* every step of flatten() takes a line in or puts one out, and makes at most one range */
	m->ranges = calloc(2 * m->names, sizeof(*m->ranges));
	stack = calloc(m->names, sizeof(*stack));
	if (!m->ranges || !stack)
		return -ENOMEM;
	h = (struct heap){.at = stack};
	qsort(lines, m->names, sizeof(*lines), compare_lines);
	flatten(m, lines, m->names, &h);
	return 0;
}

void jitmap_release(struct jitmap *m)
{
	free(m->ranges);
	*m = JITMAP_INIT;
}

bool jitmap_find(const struct jitmap *m, u64 addr, struct jitmap_text *ret)
{
	size_t lo = 0, hi = m->n_ranges;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->ranges[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || m->ranges[lo - 1].end <= addr)
		return false;
	*ret = (struct jitmap_text){m->text + m->ranges[lo - 1].name, min_u64(m->ranges[lo - 1].n, JITMAP_MAX_NAME)};
	return true;
}

/* ---- names ---- */

/* Takes ":NUMBER" off the end of t; false when there is none, or it is above 32 bits. */
static bool take_number(struct jitmap_text *t, u64 *ret)
{
	size_t digits = t->n;
	u64 v = 0;

	while (digits && t->s[digits - 1] >= '0' && t->s[digits - 1] <= '9')
		digits--;
	if (digits == t->n || !digits || t->s[digits - 1] != ':')
		return false;
	for (size_t i = digits; i < t->n; i++) {
		v = v * 10 + (u64)(t->s[i] - '0');
		if (v > UINT32_MAX)
			return false;
	}
	t->n = digits - 1;
	*ret = v;
	return true;
}

static bool begins_path(const char *s, size_t n)
{
	static const char *const schemes[] = {"/", "file:", "node:"};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (n > strlen(schemes[i]) && memcmp(s, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return n > 3 && s[1] == ':' && s[2] == '\\';
}

struct jitmap_symbol jitmap_split(struct jitmap_text name)
{
	struct jitmap_symbol whole = {.function = name}, ret = whole;
	struct jitmap_text rest = name;
	size_t blank = SIZE_MAX, scheme = strlen("file://");
	u64 column;

	if (!take_number(&rest, &column) || !take_number(&rest, &ret.line))
		return whole;
	for (size_t i = 0; i + 1 < rest.n; i++) {
		if (rest.s[i] != ' ')
			continue;
		blank = i;
		if (begins_path(rest.s + i + 1, rest.n - i - 1))
			break;
	}
	if (blank == SIZE_MAX || !blank)
		return whole;
	ret.function.n = blank;
	ret.file = (struct jitmap_text){rest.s + blank + 1, rest.n - blank - 1};
	if (ret.file.n > scheme && memcmp(ret.file.s, "file://", scheme) == 0)
		ret.file = (struct jitmap_text){ret.file.s + scheme, ret.file.n - scheme};
	return ret;
}
