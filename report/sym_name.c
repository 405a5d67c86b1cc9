/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_name.c: function names as they are handed out. Used by sym_dwarf.c and sym_module.c.
 *
 * Three sources each know a part: the linker name has the path but, in its legacy form, calls every closure and async body
 * {{closure}}; the debug info's own name tells these apart but has no path; a caller's type arguments have the path of a body
 * that was inlined into it.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/demangle.h"
#include "report/frame_kind.h"
#include "report/sym_impl.h"

#define STRING_MAX ((size_t)64 << 10)
#define BODY_MAX   64	/* "{async_block#12}" */
#define PATH_MAX_N 1024 /* longest path taken out of type arguments */

const char *sym_intern(struct sym_module *m, const char *s)
{
	u32 idx;

	if (strtab_intern(m->strings, s, strnlen(s, STRING_MAX), &idx, NULL))
		return NULL;
	return strtab_get(m->strings, idx, NULL);
}

/* Two pieces of text, interned as one. */
static const char *intern_joined(struct sym_module *m, const char *a, size_t n_a, const char *b, size_t n_b)
{
	_cleanup_buf_ struct buf joined = {.max = 2 * STRING_MAX};

	buf_put(&joined, a, n_a);
	buf_put(&joined, b, n_b);
	buf_putc(&joined, 0);
	return buf_err(&joined) ? NULL : sym_intern(m, (const char *)joined.data);
}

/* Length of the "{closure#0}" that a name begins with, what follows it left aside; 0 when it begins otherwise. */
static size_t body_len(const char *name)
{
	size_t n = name && *name == '{' ? strcspn(name, "}") : 0;

	return n && n < BODY_MAX && name[n] == '}' ? n + 1 : 0;
}

const char *sym_with_closure_name(struct sym_module *m, const char *function, const char *own)
{
	size_t n = strlen(function), n_own = body_len(own);
	const char *last = NULL;

	if (n > 11 && !strcmp(function + n - 11, "{{closure}}"))
		last = function + n - 11;
	else if (n > 1 && function[n - 1] == '}')
		last = strrchr(function, '{');
	if (!n_own || !last || last == function || last[-1] != ':')
		return function;
	return intern_joined(m, function, (size_t)(last - function), own, n_own);
}

const char *sym_linker_name(struct sym_module *m, const char *linker, const char *own)
{
	_cleanup_free_ char *text = NULL;
	const char *s;
	u64 idx;
	u32 new_idx;

	if (u64map_get(&m->dwarf.names, (u64)(uintptr_t)linker, &idx))
		return strtab_get(m->strings, (u32)idx, NULL);
	text = demangle_name(linker);
	s = text ? sym_with_closure_name(m, text, own) : NULL;
	if (!s || strtab_intern(m->strings, s, strlen(s), &new_idx, NULL) ||
	    u64map_put(&m->dwarf.names, (u64)(uintptr_t)linker, new_idx))
		return NULL;
	return strtab_get(m->strings, new_idx, NULL);
}

const char *sym_symtab_function(struct sym_module *m, u64 addr, int *ret_err)
{
	const char *linker = sym_symtab_name(&m->symtab, addr);
	_cleanup_free_ char *text = NULL;
	const char *s;

	*ret_err = 0;
	if (!linker)
		return NULL;
	text = demangle_name(linker);
	s = text ? sym_intern(m, text) : NULL;
	if (!s)
		*ret_err = -ENOMEM;
	return s;
}

/* Start of the path that ends at `end`: back to where a type begins, across the type arguments of its own parts. */
static const char *path_start(const char *text, const char *end)
{
	const char *s = end;
	int depth = 0;

	for (; s > text && end - s < PATH_MAX_N; s--) {
		char c = s[-1];

		if (c == '>' && (s - 1 == text || s[-2] != '-'))
			depth++;
		else if (c == '<' && !depth)
			break;
		else if (c == '<')
			depth--;
		else if (!depth && strchr(" ,&*([;=", c))
			break;
	}
	return s;
}

/* The one path in front of `mark` followed by `args` that a text holds; NULL when there is none, or several. */
static const char *only_path(const char *text, const char *mark, const char *args, size_t *ret_n)
{
	const char *found = NULL;
	size_t n_found = 0, n_mark = strlen(mark), n_args = strlen(args);

	for (const char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
		const char *start = path_start(text, at);
		size_t n = (size_t)(at - start);

		if (n < 3 || memcmp(at - 2, "::", 2) || strncmp(at + n_mark, args, n_args) || at[n_mark + n_args] == '<')
			continue;
		if (found && (n != n_found || memcmp(found, start, n)))
			return NULL;
		found = start;
		n_found = n;
	}
	*ret_n = n_found;
	return found;
}

/*
 * May the body be one of the caller's type arguments? A generic async body awaits other bodies beside those. But a dependency's
 * code (a web framework's handler glue) reaches a body in the program's own files through its type arguments only.
 */
static bool may_be_argument(const struct sym_frame *f, const struct sym_frame *caller)
{
	if (!caller->typed_name)
		return false;
	if (strncmp(caller->typed_name, "{async_", 7))
		return true;
	return f->file && frame_path_origin(f->file) == FRAME_PATH_OTHER && frame_path_origin(caller->file) != FRAME_PATH_OTHER;
}

int sym_qualify_body(struct sym_module *m, struct sym_frame *f, const struct sym_frame *caller)
{
	size_t n_body = body_len(f->function), n_path = 0;
	const char *args = may_be_argument(f, caller) ? strchr(caller->typed_name, '<') : NULL;
	const char *hash = n_body ? memchr(f->function, '#', n_body) : NULL;
	char mark[BODY_MAX + 8];
	const char *path, *s;
	size_t n;

	if (!args || !hash)
		return 0;
	/* "{async_fn#0}" is called on a "{async_fn_env#0}"; the type arguments behind either are the same. */
	n = (size_t)(hash - f->function);
	memcpy(mark, f->function, n);
	memcpy(mark + n, "_env", 4);
	memcpy(mark + n + 4, hash, n_body - n);
	mark[n_body + 4] = '\0';
	path = only_path(args, mark, f->function + n_body, &n_path);
	if (!path)
		return 0;
	s = intern_joined(m, path, n_path, f->function, n_body);
	if (!s)
		return -ENOMEM;
	f->function = s;
	return 0;
}
