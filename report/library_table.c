/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * library_table.c: see library_table.h: rules and what they answer. Reading of texts is in library_parse.c, of files in
 * library_files.c.
 */
#include "report/library_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/library_rules.h"

int library_table_new(struct library_table **ret)
{
	struct library_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->hash = LIBRARY_HASH_INIT;
	*ret = t;
	return 0;
}

struct library_table *library_table_free(struct library_table *t)
{
	if (!t)
		return NULL;
	for (u32 i = 0; i < t->n_texts; i++)
		free(t->texts[i]);
	free(t->texts);
	free(t->libraries);
	free(t->codes);
	free(t->tries);
	free(t->by_crate);
	free(t);
	return NULL;
}

u64 library_table_hash(const struct library_table *t)
{
	return t->hash;
}

/* ---- paths ---- */

/* What may stand behind a path that ends here. */
static bool ends_path(char c)
{
	return c == '\0' || strchr(":<>, ({", c);
}

/* "std::fs::read" begins with "std::fs", "std::fsx" does not. */
static bool path_is_under(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) == 0 && ends_path(path[n]);
}

bool library_function_matches(const char *function, const char *prefix)
{
	return path_is_under(frame_own_path(function), prefix);
}

/* "sync::mpsc" is "sync/mpsc/..." or "sync/mpsc.rs". */
static bool file_is_module(const char *p, const char *module)
{
	for (; *module; module++) {
		if (module[0] == ':' && module[1] == ':') {
			if (*p++ != '/')
				return false;
			module++;
		} else if (*p++ != *module) {
			return false;
		}
	}
	return *p == '/' || *p == '.';
}

static const char *behind(const char *s, const char *mark)
{
	const char *at = s ? strstr(s, mark) : NULL;

	return at ? at + strlen(mark) : NULL;
}

bool library_file_matches(const char *file, const char *prefix)
{
	const char *module = strstr(prefix, "::"), *src;
	size_t n = module ? (size_t)(module - prefix) : strlen(prefix);
	char crate[LIBRARY_MAX_PREFIX + 1];

	if (n == 3 && strncmp(prefix, "std", 3) == 0) {
		src = behind(file, "library/std/src/");
		return src && (!module || file_is_module(src, module + 2));
	}
	(void)frame_path_crate(file, crate, sizeof(crate));
	if (strlen(crate) != n || strncmp(crate, prefix, n) != 0)
		return false;
	if (!module)
		return true;
	for (src = behind(file, "/src/"); behind(src, "/src/");) /* the crate's own is the last one */
		src = behind(src, "/src/");
	return src && file_is_module(src, module + 2);
}

/* ---- libraries ---- */

static int compare_crate(const struct library_rule *r, const char *crate, size_t n)
{
	int c = strncmp(r->prefix, crate, r->crate_n < n ? r->crate_n : n);

	return c ? c : (r->crate_n > n) - (r->crate_n < n);
}

/* Index in by_crate of the first rule of a crate, or of where it would be. */
static u32 first_of_crate(const struct library_table *t, const char *crate, size_t n)
{
	u32 lo = 0, hi = t->n_libraries;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (compare_crate(&t->libraries[t->by_crate[mid]], crate, n) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The next rule of that crate, counting *at up; NULL behind the last. They come in the order in which they count. */
static const struct library_rule *next_of_crate(const struct library_table *t, const char *crate, size_t n, u32 *at)
{
	const struct library_rule *r;

	if (*at >= t->n_libraries)
		return NULL;
	r = &t->libraries[t->by_crate[(*at)++]];
	return compare_crate(r, crate, n) ? NULL : r;
}

bool library_table_has_crate(const struct library_table *t, const char *crate, size_t n)
{
	u32 at = first_of_crate(t, crate, n);
	const struct library_rule *r;

	/* a user's rule for `orders::db` names a part of the program, not the program, a library */
	while ((r = next_of_crate(t, crate, n, &at)))
		if (!r->is_own || r->crate_n == strlen(r->prefix))
			return true;
	return false;
}

bool library_table_code(const struct library_table *t, const char *function, const char *file, enum frame_kind *ret)
{
	for (u32 i = 0; i < t->n_codes; i++) {
		const struct code_rule *c = &t->codes[i];

		if ((function && library_function_matches(function, c->prefix)) ||
		    (file && library_file_matches(file, c->prefix))) {
			*ret = c->kind;
			return true;
		}
	}
	return false;
}

/* A rule with more than a crate needs the function's own path or the file to be there. */
static const struct library_rule *find_in_crate(const struct library_table *t, const char *crate, size_t n, const char *function,
						const char *file)
{
	u32 at = first_of_crate(t, crate, n);
	const struct library_rule *r;

	while ((r = next_of_crate(t, crate, n, &at)))
		if (r->crate_n == strlen(r->prefix) || (function && library_function_matches(function, r->prefix)) ||
		    (file && library_file_matches(file, r->prefix)))
			return r;
	return NULL;
}

/* By package, which a file is kept under, or by crate, which the code calls itself: s3 is package rust-s3. buf gets the first. */
static const struct library_rule *find_by_crates(const struct library_table *t, const char *function, const char *file, char *buf,
						 size_t n)
{
	char crate[LIBRARY_MAX_PREFIX + 1];
	const struct library_rule *r;

	(void)frame_crate(function, file, buf, n);
	r = *buf ? find_in_crate(t, buf, strlen(buf), function, file) : NULL;
	if (r)
		return r;
	(void)frame_crate(function, NULL, crate, sizeof(crate));
	return *crate ? find_in_crate(t, crate, strlen(crate), function, file) : NULL;
}

/* The user's own code belongs to a library only when the user says so. */
static const char *own_rule_name(const struct library_table *t, const char *function)
{
	for (u32 i = 0; i < t->n_libraries && t->libraries[i].is_own; i++)
		if (function && library_function_matches(function, t->libraries[i].prefix))
			return t->libraries[i].name;
	return NULL;
}

const char *library_table_name(const struct library_table *t, const char *function, const char *file, enum frame_kind kind,
			       char *buf, size_t n)
{
	const struct library_rule *r;

	switch (kind) {
	case FRAME_USER:
		return own_rule_name(t, function);
	case FRAME_STD:
		r = find_in_crate(t, "std", 3, function, file);
		return r ? r->name : NULL;
	case FRAME_RUNTIME:
	case FRAME_LIBRARY:
		r = find_by_crates(t, function, file, buf, n);
		if (kind == FRAME_RUNTIME) /* glue between runtime and future is nobody's library */
			return r && strcmp(r->category, "runtime") == 0 ? r->name : NULL;
		return r ? r->name : *buf ? buf : NULL;
	default:
		return NULL;
	}
}

/* ---- what to try ---- */

/* "dynamic-loader" of a rule is "dynamic loader". */
static bool detail_is(const char *detail, const char *word)
{
	if (!detail)
		return false;
	for (; *word && *detail; word++, detail++)
		if (*word != *detail && !(*word == '-' && *detail == ' '))
			return false;
	return !*word && !*detail;
}

static bool try_is_for(const struct try_rule *r, const char *cls, const char *detail)
{
	return (!r->cls || strcmp(r->cls, cls) == 0) && (!r->detail || detail_is(detail, r->detail));
}

const char *library_table_category(const struct library_table *t, const char *name)
{
	for (u32 i = 0; i < t->n_libraries; i++)
		if (strcmp(t->libraries[i].name, name) == 0)
			return t->libraries[i].category;
	return "";
}

static bool target_is(const char *target, const char *name, const char *category)
{
	return target[0] == '@' ? strcmp(target + 1, category) == 0 : path_is_under(name, target);
}

/* For one library, or (name NULL) for all. */
static const struct try_rule *find_try(const struct library_table *t, const char *cls, const char *detail, const char *name)
{
	const char *category = name ? library_table_category(t, name) : NULL;

	for (u32 i = 0; i < t->n_tries; i++) {
		const struct try_rule *r = &t->tries[i];
		bool is_any = strcmp(r->target, "*") == 0;

		if ((name ? !is_any && target_is(r->target, name, category) : is_any) && try_is_for(r, cls, detail))
			return r;
	}
	return NULL;
}

const char *library_table_try(const struct library_table *t, const char *cls, const char *detail, const char *names)
{
	const struct try_rule *r = NULL;
	char name[LIBRARY_MAX_PREFIX + 1];

	for (const char *p = names; *p && !r; p += strcspn(p, "\n"), p += *p == '\n') {
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "\n"), p);
		r = find_try(t, cls, detail, name);
	}
	if (!r)
		r = find_try(t, cls, detail, NULL);
	return r && strcmp(r->text, "-") != 0 ? r->text : NULL;
}

/* ---- making ---- */

struct rule_order {
	const struct library_rule *rules;
};

static int compare_by_crate(const void *a, const void *b, void *ctx)
{
	const struct rule_order *o = ctx;
	u32 x = *(const u32 *)a, y = *(const u32 *)b;
	int c = compare_crate(&o->rules[x], o->rules[y].prefix, o->rules[y].crate_n);

	return c ? c : (x > y) - (x < y);
}

/*
 * What a user's `try` names is a library, be it only for that: unless some rule names it, or something under it, already (one for
 * std::sync must not hide std::sync::mpsc).
 */
static bool is_named(const struct library_table *t, const char *target)
{
	for (u32 i = 0; i < t->n_libraries; i++)
		if (path_is_under(t->libraries[i].name, target) || path_is_under(t->libraries[i].prefix, target))
			return true;
	return false;
}

static int add_implied(struct library_table *t)
{
	u32 own = 0;

	for (u32 i = 0; i < t->n_tries; i++) {
		const char *target = t->tries[i].target;
		struct library_rule r = {.prefix = target, .name = target, .category = "", .is_own = true};
		int err;

		if (!t->tries[i].is_own || target[0] == '@' || target[0] == '*' || is_named(t, target))
			continue;
		r.crate_n = strcspn(target, ":");
		err = library_rules_insert(t, own++, &r);
		if (err)
			return err;
	}
	return 0;
}

int library_table_finish(struct library_table *t)
{
	struct rule_order order;
	int err = add_implied(t);

	if (err)
		return err;
	t->by_crate = calloc(t->n_libraries + 1, sizeof(*t->by_crate));
	if (!t->by_crate)
		return -ENOMEM;
	for (u32 i = 0; i < t->n_libraries; i++)
		t->by_crate[i] = i;
	order.rules = t->libraries;
	qsort_r(t->by_crate, t->n_libraries, sizeof(*t->by_crate), compare_by_crate, &order);
	return 0;
}
