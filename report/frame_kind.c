/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame_kind.c: whose code a frame is (frame_kind.h). Spelling of names is in frame_name.c.
 * Invariant: a known source file decides alone; names are looked at only without one, because generic code carries names of both
 * sides.
 */
#include <ctype.h>
#include <string.h>

#include "report/frame_kind.h"
#include "report/library_table.h"

/* Text that is not NUL-terminated. */
struct slice {
	const char *s;
	size_t n;
};

static bool slice_is(struct slice a, const char *b)
{
	return a.n == strlen(b) && !memcmp(a.s, b, a.n);
}

/* Is the word in a list? Lists are words with a blank around each. */
static bool slice_in(struct slice a, const char *list)
{
	for (const char *p = list; (p = memmem(p, strlen(p), a.s, a.n)); p++)
		if (p > list && p[-1] == ' ' && p[a.n] == ' ')
			return a.n != 0;
	return false;
}

static const char std_crates[] =
	" std core alloc proc_macro test std_detect panic_unwind panic_abort unwind compiler_builtins rustc_demangle "
	"addr2line gimli miniz_oxide adler2 adler ";

static const char runtime_crates[] =
	" tokio tokio_macros mio futures futures_core futures_util futures_task futures_executor pin_project "
	"pin_project_lite ";

static const char *const kind_names[] = {
	[FRAME_USER] = "user",	   [FRAME_LIBRARY] = "library", [FRAME_STD] = "std",	   [FRAME_RUNTIME] = "runtime",
	[FRAME_NATIVE] = "native", [FRAME_JIT] = "jit",		[FRAME_KERNEL] = "kernel",
};

const char *frame_kind_name(enum frame_kind kind)
{
	BUG_ON((size_t)kind >= ARRAY_SIZE(kind_names));
	return kind_names[kind];
}

bool frame_kind_of_name(const char *name, enum frame_kind *ret)
{
	for (size_t k = 0; name && k < ARRAY_SIZE(kind_names); k++) {
		if (strcmp(name, kind_names[k]) == 0) {
			*ret = (enum frame_kind)k;
			return true;
		}
	}
	return false;
}

/* ---- by path ---- */

static struct slice path_component(const char *p)
{
	return (struct slice){p, strcspn(p, "/")};
}

/* Behind the first `mark` in the path, or NULL. */
static const char *behind(const char *path, const char *mark)
{
	const char *at = strstr(path, mark);

	return at ? at + strlen(mark) : NULL;
}

/* "tokio-1.54.1", "futures-util-0.3.31", "foo-1.0.0-rc.1+git": where the version's dash is, or 0. */
static size_t version_dash(struct slice c)
{
	for (size_t i = 1; i + 3 < c.n; i++) {
		size_t d = i + 1;

		if (c.s[i] != '-')
			continue;
		while (d < c.n && isdigit((u8)c.s[d]))
			d++;
		if (d > i + 1 && d + 1 < c.n && c.s[d] == '.' && isdigit((u8)c.s[d + 1]))
			return i;
	}
	return 0;
}

/* The component in front of "/src/" (the last one): the crate's directory in git checkouts and vendor directories. */
static struct slice dir_before_src(const char *path)
{
	struct slice c = {0};

	for (const char *p = path; (p = strstr(p, "/src/")); p++) {
		const char *from = p;

		while (from > path && from[-1] != '/')
			from--;
		c = (struct slice){from, (size_t)(p - from)};
	}
	return c;
}

static bool is_std_path(const char *file)
{
	const char *hash = !strncmp(file, "/rustc/", 7) ? file + 7 : NULL;

	/* The library's own sources, its dependencies as the Rust project builds them, and sources installed beside a compiler. */
	return (hash && path_component(hash).n >= 7) || !strncmp(file, "/rust/deps/", 11) || strstr(file, "/rustlib/src/rust/") ||
	       !strncmp(file, "/usr/src/rustc", 14) || !strncmp(file, "/usr/lib/rustlib/", 17) ||
	       !strncmp(file, "library/std/src/", 16) || !strncmp(file, "library/core/src/", 17) ||
	       !strncmp(file, "library/alloc/src/", 18);
}

/* Directory of the crate a dependency's file is in ("tokio-1.54.1", "tokio"), or {NULL, 0} when it is no dependency's. */
static struct slice library_dir(const char *file)
{
	const char *p = behind(file, "/registry/src/");
	const char *vendor = !strncmp(file, "vendor/", 7) ? file + 7 : behind(file, "/vendor/");
	struct slice c;

	if (p && strchr(p, '/'))
		return path_component(strchr(p, '/') + 1); /* behind the index's own directory */
	p = behind(file, "/cargo/registry/");		   /* Debian's packaged crates */
	if (p)
		return path_component(p);
	c = dir_before_src(file);
	if (strstr(file, "/git/checkouts/"))
		return c.n ? c : path_component(behind(file, "/git/checkouts/"));
	if (vendor && strncmp(file, "src/", 4) && !strncmp(vendor + path_component(vendor).n, "/src/", 5))
		return path_component(vendor);
	/* Other build systems (Bazel, Nix, Buck) unpack crates where they like, but keep the directory's name. */
	if (*file == '/' || strstr(file, "external/"))
		return version_dash(c) ? c : (struct slice){0};
	return (struct slice){0};
}

/* "tokio-1.54.1" is crate tokio; dashes become underscores, as in paths of items. */
static struct slice crate_of_dir(struct slice dir, char *buf, size_t n)
{
	size_t len = version_dash(dir) ? version_dash(dir) : dir.n;

	len = min_u64(len, n);
	for (size_t i = 0; i < len; i++)
		buf[i] = dir.s[i] == '-' ? '_' : dir.s[i];
	return (struct slice){buf, len};
}

enum frame_path_origin frame_path_origin(const char *file)
{
	if (!file || !*file)
		return FRAME_PATH_OTHER;
	if (is_std_path(file))
		return FRAME_PATH_STD;
	return library_dir(file).n ? FRAME_PATH_LIBRARY : FRAME_PATH_OTHER;
}

char *frame_path_crate(const char *file, char *buf, size_t n)
{
	buf[crate_of_dir(library_dir(file), buf, n - 1).n] = '\0';
	return buf;
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), t = strlen(tail);

	return n >= t && !strcmp(s + n - t, tail);
}

static enum frame_kind kind_of_file(const char *file)
{
	char name[64];
	struct slice dir, crate;

	if (is_std_path(file))
		return FRAME_STD;
	dir = library_dir(file);
	if (!dir.n)
		return ends_with(file, ".rs") ? FRAME_USER : FRAME_NATIVE;
	crate = crate_of_dir(dir, name, sizeof(name));
	if (slice_in(crate, runtime_crates))
		return FRAME_RUNTIME;
	if (slice_is(crate, "tokio_util") && strstr(file, "/src/task/"))
		return FRAME_RUNTIME;
	if (slice_is(crate, "tracing") && ends_with(file, "/src/instrument.rs"))
		return FRAME_RUNTIME;
	return FRAME_LIBRARY;
}

/* ---- by name ---- */

static bool is_ident(char c)
{
	return isalnum((u8)c) || c == '_' || (u8)c >= 0x80;
}

/* First segment of a path, when a path it is ("::" follows); {NULL, 0} for a lone identifier. */
static struct slice first_segment(const char *s)
{
	size_t n = 0;

	while (is_ident(s[n]))
		n++;
	return (struct slice){s, n && s[n] == ':' && s[n + 1] == ':' ? n : 0};
}

/* Behind what may precede a type's path: references, pointers, slices, tuples, dyn, the "<" of a nested item. */
static const char *skip_type_prefix(const char *s)
{
	static const char *const words[] = {"mut ", "const ", "dyn ", "impl ", "unsafe ", "for<"};

	for (bool again = true; again;) {
		again = false;
		s += strspn(s, "&*[(< ");
		if (*s == '\'') { /* a lifetime */
			s++;
			while (is_ident(*s))
				s++;
			again = true;
		}
		for (size_t i = 0; i < ARRAY_SIZE(words) && !again; i++)
			if (!strncmp(s, words[i], strlen(words[i]))) {
				s += strlen(words[i]);
				again = true;
			}
	}
	return s;
}

/* " as " of `<Type as Trait>`, at the depth of that bracket; NULL when there is none. */
static const char *find_as(const char *s)
{
	int depth = 0;

	for (; *s; s++) {
		if (*s == '<' || *s == '(' || *s == '[')
			depth++;
		else if ((*s == '>' && s[-1] != '-') || *s == ')' || *s == ']')
			depth--;
		else if (depth == 1 && !strncmp(s, " as ", 4))
			return s + 4;
	}
	return NULL;
}

const char *frame_own_path(const char *function)
{
	const char *type, *trait;

	if (*function != '<')
		return function;
	type = skip_type_prefix(function + 1);
	if (first_segment(type).n)
		return type;
	/* the type is a parameter or built in: the trait's crate implements */
	trait = find_as(function);
	trait = trait ? skip_type_prefix(trait) : function;
	return first_segment(trait).n ? trait : function;
}

/* Crate of the implementing item. */
static struct slice crate_of_function(const char *function)
{
	return first_segment(frame_own_path(function));
}

char *frame_crate(const char *function, const char *file, char *buf, size_t n)
{
	struct slice crate = {0};

	buf[0] = '\0';
	if (file)
		(void)frame_path_crate(file, buf, n);
	if (*buf)
		return buf;
	if (function)
		crate = crate_of_function(function);
	crate.n = min_u64(crate.n, n - 1);
	if (crate.n)
		memcpy(buf, crate.s, crate.n);
	buf[crate.n] = '\0';
	return buf;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_system_library(const char *module_path)
{
	static const char *const prefixes[] = {"libc.so",    "libc-2.", "ld-linux",	"ld-2.",     "ld-musl",
					       "libpthread", "libm.so", "libstdc++.so", "libgcc_s",  "librt.so",
					       "libdl.so",   "libssl.", "libcrypto.",	"libresolv", "libnss_"};
	const char *base = base_name(module_path);

	if (!strncmp(module_path, "[vdso]", 6) || !strncmp(module_path, "linux-vdso", 10) || !strncmp(base, "linux-vdso", 10))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(base, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

/* orders-api (the file) holds crate orders_api. */
static bool is_program_crate(struct slice crate, const char *module_path)
{
	const char *base = base_name(module_path);

	if (strlen(base) < crate.n || (base[crate.n] && base[crate.n] != ' '))
		return false;
	for (size_t i = 0; i < crate.n; i++)
		if (crate.s[i] != (base[i] == '-' ? '_' : base[i]))
			return false;
	return true;
}

static enum frame_kind kind_of_function(const struct library_table *t, const char *function, const char *module_path)
{
	struct slice crate = crate_of_function(function);

	/* Symbols without a path: C, and what Rust exports under C names (main, rust_begin_unwind, __rust_alloc). */
	if (!crate.n && *function == '<' && strstr(function, ">::"))
		return FRAME_STD; /* `<str>::trim`: only the standard library implements on built-in types */
	if (!crate.n)
		return strncmp(function, "__rust", 6) && strncmp(function, "rust_", 5) ? FRAME_NATIVE : FRAME_STD;
	if (slice_in(crate, std_crates))
		return FRAME_STD;
	if (slice_in(crate, runtime_crates))
		return FRAME_RUNTIME;
	if (strstr(function, "tokio_util::task::") || strstr(function, "tracing::instrument::"))
		return slice_is(crate, "tokio_util") || slice_is(crate, "tracing") ? FRAME_RUNTIME : FRAME_USER;
	if (is_program_crate(crate, module_path))
		return FRAME_USER;
	if (t && library_table_has_crate(t, crate.s, crate.n))
		return FRAME_LIBRARY;
	return FRAME_USER;
}

enum frame_kind frame_kind_of(const struct library_table *t, const char *function, const char *file, const char *module_path)
{
	enum frame_kind said;

	function = function ? function : "";
	module_path = module_path ? module_path : "";
	if (!strncmp(module_path, "[kernel", 7) || !strncmp(module_path, "[guest.kernel", 13))
		return FRAME_KERNEL;
	if (is_system_library(module_path))
		return FRAME_NATIVE;
	if (t && library_table_code(t, function, file, &said))
		return said;
	if (file && *file)
		return kind_of_file(file);
	return kind_of_function(t, function, module_path);
}

/* "harness", "core", "raw": the files and modules of the poll itself; the name may go on behind the word. */
static bool is_poll_module(const char *s, char end)
{
	static const char *const names[] = {"harness", "core", "raw"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(s, names[i], strlen(names[i])) && s[strlen(names[i])] == end)
			return true;
	return false;
}

bool frame_is_task_poll(const char *function, const char *file)
{
	static const char *const names[] = {"poll", "poll_inner", "poll_future"};
	static const char module[] = "tokio::runtime::task::";
	const char *at = file ? behind(file, "/src/runtime/task/") : NULL;
	char name[FRAME_NAME_LEN];

	if (!function)
		return false;
	if (at && (!strstr(file, "tokio") || !is_poll_module(at, '.')))
		return false;
	if (!at) {
		at = function + strspn(function, "<");
		if ((file && *file) || strncmp(at, module, strlen(module)) || !is_poll_module(at + strlen(module), ':'))
			return false;
	}
	(void)frame_function_name(function, name, sizeof(name));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}
