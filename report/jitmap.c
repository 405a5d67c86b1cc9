/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* jitmap.c: see jitmap.h. */
#include "report/jitmap.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

/* Where a line's name is in the text. */
struct jitmap_line {
	u32 name, n;
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

/* The bytes [from, to) of the text. */
static bool read_line(const char *text, size_t from, size_t to, u64 *ret_start, u64 *ret_end, struct jitmap_line *ret)
{
	const char *p = text + from, *end = text + to;
	u64 start, size;

	while (end > p && (end[-1] == '\r' || end[-1] == ' '))
		end--;
	if (!take_hex(&p, end, &start) || !take_hex(&p, end, &size) || p == end || !size || size > UINT64_MAX - start)
		return false;
	*ret_start = start;
	*ret_end = start + size;
	*ret = (struct jitmap_line){.name = (u32)(p - text), .n = (u32)(end - p)};
	return true;
}

/* As number m->names. */
static int add_line(struct jitmap *m, size_t *cap, u64 start, u64 end, const struct jitmap_line *line)
{
	if (ARRAY_ROOM_RAW(m->lines, m->names, cap) < 0)
		return -ENOMEM;
	m->lines[m->names] = *line;
	return sym_ranges_add(&m->ranges, start, end, (u32)m->names++);
}

int jitmap_parse(struct jitmap *m, const char *text, size_t n)
{
	size_t cap = 0;
	int err = 0;

	*m = (struct jitmap){.text = text};
	BUG_ON(n > UINT32_MAX);
	for (size_t from = 0, to; from < n && !err; from = to + 1) {
		const char *nl = memchr(text + from, '\n', n - from);
		struct jitmap_line line;
		u64 start, end;

		to = nl ? (size_t)(nl - text) : n;
		if (to == from)
			continue;
		if (m->names < JITMAP_MAX_LINES && read_line(text, from, to, &start, &end, &line))
			err = add_line(m, &cap, start, end, &line);
		else
			m->malformed++;
	}
	return err ? err : sym_ranges_flatten(&m->ranges); /* the later line has what several cover */
}

void jitmap_release(struct jitmap *m)
{
	free(m->lines);
	sym_ranges_release(&m->ranges);
	*m = JITMAP_INIT;
}

bool jitmap_find(const struct jitmap *m, u64 addr, struct jitmap_text *ret)
{
	const struct sym_range *in = sym_ranges_find(&m->ranges, addr);
	const struct jitmap_line *line;

	if (!in)
		return false;
	line = &m->lines[in->owner];
	*ret = (struct jitmap_text){m->text + line->name, min_u64(line->n, JITMAP_MAX_NAME)};
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
