/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * demangle.c: see demangle.h. libiberty does the work; this file bounds it, because a symbol name is untrusted input: length in and length out.
 * libiberty's recursion limit stays on.
 *
 * Order: suffixes that compilers append (.llvm.N, .cold, ...) are cut, then Rust legacy and v0, then C++, else the name itself.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <libiberty/demangle.h>
#undef ARRAY_SIZE /* libiberty.h has its own */

#include "base/demangle.h"

#include "base/buf.h"

#define NAME_MAX_IN  ((size_t)64 << 10)
#define NAME_MAX_OUT ((size_t)64 << 10)
#define SUFFIXES_MAX 8

struct rust_sink {
	struct buf out;
	jmp_buf give_up;
};

static size_t digits_at_end(const char *s, size_t n)
{
	size_t d = 0;

	while (d < n && isdigit((u8)s[n - d - 1]))
		d++;
	return d;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
	size_t t = strlen(tail);

	return n > t && !memcmp(s + n - t, tail, t);
}

/* Length without the last compiler-made suffix; n when there is none. A name is never cut to nothing. */
static size_t cut_one_suffix(const char *s, size_t n)
{
	static const char *const plain[] = {".cold", ".isra", ".part", ".constprop", ".lto_priv", ".localalias"};
	static const char *const numbered[] = {".llvm.",     ".cold.",	     ".isra.",	".part.",   ".constprop.",
					       ".lto_priv.", ".localalias.", ".clone.", ".__uniq.", ".warm."};
	size_t d = digits_at_end(s, n);

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (ends_with(s, n, plain[i]))
			return n - strlen(plain[i]);
	for (size_t i = 0; d && i < ARRAY_SIZE(numbered); i++)
		if (ends_with(s, n - d, numbered[i]))
			return n - d - strlen(numbered[i]);
	return n;
}

/* "@@GLIBC_2.17" and the like: versions stand only behind C names. */
static size_t cut_version(const char *s, size_t n)
{
	const char *at = memchr(s, '@', n);

	return at && at > s ? (size_t)(at - s) : n;
}

/*
 * C++ demanglers print the hash of a legacy Rust name that libiberty's Rust side refused (too few different digits) as a
 * component.
 */
static size_t cut_hash(const char *s, size_t n)
{
	if (n < 20 || memcmp(s + n - 19, "::h", 3))
		return n;
	for (size_t i = n - 16; i < n; i++)
		if (!isxdigit((u8)s[i]) || isupper((u8)s[i]))
			return n;
	return n - 19;
}

static void rust_sink_put(const char *s, size_t n, void *opaque)
{
	struct rust_sink *k = opaque;

	buf_put(&k->out, s, n);
	/*
	 * Back references let 100 bytes of v0 name stand for gigabytes. The callback cannot say stop, and libiberty holds at most
	 * one small heap block (a decoded identifier) while it prints: leaving by longjmp costs that block in a name that nobody
	 * made by accident.
	 */
	if (k->out.err)
		longjmp(k->give_up, 1);
}

/* Readable text into k->out, or false when this is no Rust name. */
static bool demangle_rust(struct rust_sink *k, const char *name)
{
	if (setjmp(k->give_up))
		return false;
	return rust_demangle_callback(name, DMGL_NO_OPTS, rust_sink_put, k) && k->out.len && !k->out.err;
}

static char *copy_n(const char *s, size_t n)
{
	char *copy = malloc(n + 1);

	if (!copy)
		return NULL;
	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

static char *demangle_itanium(const char *name)
{
	_cleanup_free_ char *text = cplus_demangle_v3(name, DMGL_NO_OPTS);
	size_t n;

	if (!text)
		return NULL;
	n = strnlen(text, NAME_MAX_OUT);
	return copy_n(text, cut_hash(text, n));
}

char *demangle_name(const char *mangled)
{
	struct rust_sink sink = {.out = {.max = NAME_MAX_OUT}};
	_cleanup_free_ char *name = NULL;
	size_t n = strnlen(mangled, NAME_MAX_IN + 1);
	char *text = NULL;

	if (n > NAME_MAX_IN)
		return copy_n(mangled, NAME_MAX_IN);
	for (int i = 0; i < SUFFIXES_MAX; i++)
		n = cut_one_suffix(mangled, n);
	if (strncmp(mangled, "_R", 2) && strncmp(mangled, "_Z", 2))
		return copy_n(mangled, cut_version(mangled, n));
	name = copy_n(mangled, cut_version(mangled, n));
	if (!name)
		return NULL;
	if (demangle_rust(&sink, name))
		text = copy_n((const char *)sink.out.data, cut_hash((const char *)sink.out.data, sink.out.len));
	else if (name[1] == 'Z')
		text = demangle_itanium(name);
	buf_release(&sink.out);
	return text ? text : TAKE_PTR(name);
}
