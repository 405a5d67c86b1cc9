/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * library_parse.c: text -> rules of a library_table (library_table.h). Called by library_files.c. The format, for people, is in
 * doc/ascope-libraries.5; all of it here:
 *
 *	# comment
 *	library PREFIX CATEGORY [NAME]
 *	code PREFIX user|library|runtime
 *	try CLASS[:DETAIL] LIBRARY|@CATEGORY|* TEXT
 *
 * The text is a stranger's: length of text, lines, words and number of rules are bounded, and what is kept holds no control
 * characters.
 */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/utf8.h"
#include "report/classify.h"
#include "report/library_rules.h"

struct line_reader {
	struct library_table *t;
	struct library_error *err;
	char *p; /* what is left of the line, NUL-terminated */
};

static int refuse(struct line_reader *l, const char *what)
{
	l->err->what = what;
	return -EINVAL;
}

int library_rules_insert(struct library_table *t, u32 at, const struct library_rule *r)
{
	int err = ARRAY_ROOM(t->libraries, t->n_libraries, &t->cap_libraries);

	if (err)
		return err;
	memmove(t->libraries + at + 1, t->libraries + at, (t->n_libraries - at) * sizeof(*t->libraries));
	t->libraries[at] = *r;
	t->n_libraries++;
	return 0;
}

static bool is_full(const struct library_table *t)
{
	return t->n_libraries + t->n_codes + t->n_tries >= LIBRARY_MAX_RULES;
}

/* ---- words ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The next word, NUL-terminated in place; "" at the line's end. */
static char *next_word(struct line_reader *l)
{
	char *word;

	while (is_blank(*l->p))
		l->p++;
	word = l->p;
	while (*l->p && !is_blank(*l->p))
		l->p++;
	if (*l->p)
		*l->p++ = '\0';
	return word;
}

static bool is_ident_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* a::b_c::D */
static bool is_path(const char *s)
{
	if (strlen(s) > LIBRARY_MAX_PREFIX)
		return false;
	for (;;) {
		if (!is_ident_start(*s))
			return false;
		while (is_ident_start(*s) || (*s >= '0' && *s <= '9'))
			s++;
		if (!*s)
			return true;
		if (s[0] != ':' || s[1] != ':')
			return false;
		s += 2;
	}
}

static bool is_lower_word(const char *s)
{
	if (strlen(s) > LIBRARY_MAX_WORD || !(*s >= 'a' && *s <= 'z'))
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-' || *s == '_'))
			return false;
	return true;
}

static bool is_class(const char *s)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		if (strcmp(wait_class_name((enum wait_class)c), s) == 0)
			return true;
	return false;
}

/* ---- lines ---- */

static const char bad_path[] = "a path is a crate and its modules: reqwest::blocking (a package's '-' is '_' there)";

static int parse_library(struct line_reader *l)
{
	char *prefix = next_word(l), *category = next_word(l), *name = next_word(l);
	struct library_rule r = {.prefix = prefix, .category = category, .is_own = !l->t->adds_builtin};

	if (!is_path(prefix))
		return refuse(l, bad_path);
	if (!is_lower_word(category))
		return refuse(l,
			      "behind the path stands a category, one word of a-z, 0-9, '-' (or '_'): library rusqlite database");
	if (*name && !is_path(name))
		return refuse(l, "the name to show must be a path, too");
	if (*next_word(l))
		return refuse(l, "too many words: library PREFIX CATEGORY [NAME]");
	r.name = *name ? name : prefix;
	r.crate_n = strcspn(prefix, ":");
	return library_rules_insert(l->t, l->t->n_libraries, &r);
}

static int parse_code(struct line_reader *l)
{
	static const struct {
		const char *word;
		enum frame_kind kind;
	} kinds[] = {{"user", FRAME_USER}, {"library", FRAME_LIBRARY}, {"runtime", FRAME_RUNTIME}};
	struct library_table *t = l->t;
	char *prefix = next_word(l), *word = next_word(l);
	int err;

	if (!is_path(prefix))
		return refuse(l, bad_path);
	if (*next_word(l))
		return refuse(l, "too many words: code PREFIX user|library|runtime");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].word, word) != 0)
			continue;
		err = ARRAY_ROOM(t->codes, t->n_codes, &t->cap_codes);
		if (!err)
			t->codes[t->n_codes++] = (struct code_rule){prefix, kinds[i].kind};
		return err;
	}
	return refuse(l, "code is user, library or runtime: code my_sdk library");
}

/* "lock:rwlock" into its parts. */
static int parse_class(struct line_reader *l, char *word, struct try_rule *r)
{
	char *colon = strchr(word, ':');

	if (colon)
		*colon++ = '\0';
	if (strcmp(word, "*") != 0 && !is_class(word))
		return refuse(l, "class is sleep, lock, disk, network, dns, pipe, process, fault, cpu, other or *");
	if (colon && !is_lower_word(colon))
		return refuse(l, "behind the class's colon stands a detail: lock:rwlock (a blank in it is '-')");
	r->cls = *word == '*' ? NULL : word;
	r->detail = colon;
	return 0;
}

static int parse_try(struct line_reader *l)
{
	struct library_table *t = l->t;
	struct try_rule r = {.is_own = !t->adds_builtin};
	int err = parse_class(l, next_word(l), &r);
	char *target = next_word(l);

	if (err)
		return err;
	if (strcmp(target, "*") != 0 && !(target[0] == '@' ? is_lower_word(target + 1) : is_path(target)))
		return refuse(l, "behind the class stands a library (rusqlite), a category (@database) or *");
	while (is_blank(*l->p))
		l->p++;
	if (!*l->p)
		return refuse(l, "there is nothing to try: the rest of the line is the text, '-' for none");
	r.target = target;
	r.text = l->p;
	err = ARRAY_ROOM(t->tries, t->n_tries, &t->cap_tries);
	if (!err)
		t->tries[t->n_tries++] = r;
	return err;
}

/* UTF-8 without control characters but tabs. */
static bool is_clean(const char *s, size_t n)
{
	u32 cp;
	size_t len;

	for (; n; s += len, n -= len) {
		len = utf8_decode((const u8 *)s, n, &cp);
		if (!len || (cp < 0x20 && cp != '\t') || (cp >= 0x7f && cp < 0xa0))
			return false;
	}
	return true;
}

/* One line, NUL-terminated, that may be changed. */
static int parse_line(struct line_reader *l, size_t n)
{
	char *word;

	while (n && (is_blank(l->p[n - 1]) || l->p[n - 1] == '\r'))
		l->p[--n] = '\0';
	if (n > LIBRARY_MAX_LINE)
		return refuse(l, "the line is longer than 1024 bytes");
	if (strlen(l->p) != n || !is_clean(l->p, n))
		return refuse(l, "this is no text: control characters, or not UTF-8");
	word = next_word(l);
	if (!*word || *word == '#')
		return 0;
	if (!l->t->adds_builtin && is_full(l->t))
		return refuse(l, "more than 5000 rules");
	if (strcmp(word, "library") == 0)
		return parse_library(l);
	if (strcmp(word, "code") == 0)
		return parse_code(l);
	if (strcmp(word, "try") == 0)
		return parse_try(l);
	return refuse(l, "a line begins with library, code, try or #");
}

static int keep_text(struct library_table *t, const char *text, size_t n, char **ret)
{
	int err = ARRAY_ROOM(t->texts, t->n_texts, &t->cap_texts);
	char *copy = err ? NULL : malloc(n + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, n);
	copy[n] = '\0';
	t->texts[t->n_texts++] = copy;
	*ret = copy;
	return 0;
}

/* The text, and that it ends here, which keeps the rules of two files from being told as those of one. */
static void add_to_hash(struct library_table *t, const char *text, size_t n)
{
	for (size_t i = 0; i <= n; i++)
		t->hash = (t->hash ^ (i < n ? (u8)text[i] : t->adds_builtin)) * 0x100000001b3ULL;
}

int library_table_add(struct library_table *t, const char *text, size_t n, struct library_error *reterr)
{
	struct line_reader l = {.t = t, .err = reterr};
	char *p, *end;
	int err;

	*reterr = (struct library_error){.line = 1};
	if (n > LIBRARY_MAX_TEXT)
		return refuse(&l, "the file is larger than 1 MiB");
	err = keep_text(t, text, n, &p);
	if (err)
		return err;
	add_to_hash(t, text, n);
	for (end = p + n; p < end; reterr->line++) {
		char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;

		*stop = '\0';
		l.p = p;
		err = parse_line(&l, (size_t)(stop - p));
		if (err)
			return err;
		p = stop + 1;
	}
	return 0;
}
