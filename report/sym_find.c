/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_find.c: see sym_find.h. Names of files come from the capture and from ELF files, both untrusted: they only say where to
 * look. What is taken is told by an id, and of it only ELF files are ever handed on.
 */
#include "report/sym_find.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "report/sym_fetch.h"

#define PLACES_MAX ((size_t)1 << 20) /* bytes of one list of paths */

/* A file that was taken. */
struct slot {
	int fd;
	char *path;
	struct sym_file facts;
};

/* One sym_find(). Of code and debug the best so far. */
struct search {
	const struct sym_finder *f;
	const struct sym_want *w;
	char *path; /* of the module, without " (deleted)" */
	const char *name;
	struct slot code, debug, alt;
	struct buf why;
};

static void slot_release(struct slot *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->path);
	*s = (struct slot){.fd = -1};
}

static void search_release(struct search *s)
{
	slot_release(&s->code);
	slot_release(&s->debug);
	slot_release(&s->alt);
	free(s->path);
	buf_release(&s->why);
}

/* The module's path without what the kernel appends to a deleted file's. */
static char *plain_path(const char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path), d = sizeof(deleted) - 1;

	if (n > d && strcmp(path + n - d, deleted) == 0)
		n -= d;
	return strndup(path, n);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Bytes of the directory of a path without the slash behind it; -1: the path has none. */
static int dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)min_u64((u64)(slash - path), PATH_MAX) : -1;
}

/* ---- lists of paths: each with its NUL, one behind the other ---- */

/* Ends the path that was appended since `from`; one that nobody could open is taken back. */
static void place_end(struct buf *b, size_t from)
{
	if (b->len - from >= PATH_MAX)
		b->len = from;
	else if (b->len > from)
		buf_putc(b, '\0');
}

#define ADD_PLACE(b, ...)                                                                                                        \
	do {                                                                                                                     \
		size_t from_ = (b)->len;                                                                                         \
		buf_printf(b, __VA_ARGS__);                                                                                      \
		place_end(b, from_);                                                                                             \
	} while (0)

/* DIR/.build-id/xx/yyyy and, as debug information has it, with .debug. */
static void add_by_id(struct buf *b, const char *dir, const char *id, const char *suffix)
{
	if (id && strlen(id) > 2 && strspn(id, "0123456789abcdefABCDEF") == strlen(id))
		ADD_PLACE(b, "%s/.build-id/%.2s/%s%s", dir, id, id + 2, suffix);
}

/* NAME in the directory of `path`. */
static void add_beside(struct buf *b, const char *path, const char *name, const char *suffix)
{
	int n = dir_len(path);

	if (n < 0)
		ADD_PLACE(b, "%s%s", name, suffix);
	else
		ADD_PLACE(b, "%.*s/%s%s", n, path, name, suffix);
}

static bool is_plain_name(const char *name)
{
	return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Where the module's file, or its debug information under a name of its own, may be. */
static void add_by_name(const struct search *s, struct buf *b)
{
	static const char *const suffixes[] = {".debug", ""};

	for (u32 i = 0; i < s->f->n_debug_dirs; i++) {
		const char *dir = s->f->debug_dirs[i];

		for (u32 k = 0; k < ARRAY_SIZE(suffixes); k++)
			add_by_id(b, dir, s->w->build_id, suffixes[k]);
		for (u32 k = 0; k < ARRAY_SIZE(suffixes); k++)
			ADD_PLACE(b, "%s/%s%s", dir, s->path, suffixes[k]);
		for (u32 k = 0; k < ARRAY_SIZE(suffixes) && is_plain_name(s->name); k++)
			ADD_PLACE(b, "%s/%s%s", dir, s->name, suffixes[k]);
	}
	if (is_plain_name(s->name)) {
		add_beside(b, s->f->capture, s->name, "");
		add_beside(b, s->f->capture, s->name, ".debug");
	}
	if (*s->path == '/') /* the kernel's paths are absolute */
		ADD_PLACE(b, "%s", s->path);
	if (is_plain_name(s->name))
		ADD_PLACE(b, "%s", s->name);
}

static const char *system_dir(const struct sym_finder *f)
{
	return f->system_dir ? f->system_dir : "/usr/lib/debug";
}

/* ---- taking files ---- */

static void slot_take(struct slot *slot, int *fd, char **path, const struct sym_file *facts)
{
	slot_release(slot);
	*slot = (struct slot){.fd = TAKE_FD(*fd), .path = TAKE_PTR(*path), .facts = *facts};
}

static u32 worth(const struct sym_file *f)
{
	return f->has_dwarf ? 2 : f->has_symtab;
}

/* Nothing better can be found. */
static bool is_enough(const struct search *s)
{
	return s->code.fd >= 0 && (s->code.facts.has_dwarf || (s->debug.fd >= 0 && s->debug.facts.has_dwarf));
}

static void note_refused(struct search *s, const char *path, const struct sym_file *facts)
{
	if (!s->why.len)
		buf_printf(&s->why, "%s is another build (its build-id is %s)", path,
			   facts->build_id[0] ? facts->build_id : "missing");
}

/* Keeps an open file of the right build when it is better than what there is. */
static int keep_file(struct search *s, const char *path, int *fd, const struct sym_file *facts)
{
	struct slot *slot = facts->has_code ? &s->code : &s->debug;
	_cleanup_free_ char *copy = NULL;

	if ((slot->fd >= 0 && worth(facts) <= worth(&slot->facts)) || (!facts->has_code && !worth(facts)))
		return 0;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	slot_take(slot, fd, &copy, facts);
	return 0;
}

static int try_same_build(struct search *s, const char *path, bool is_noted)
{
	struct sym_file facts;
	const char *why = NULL;
	_cleanup_close_ int fd = sym_file_open(path, &facts, &why);

	if (fd < 0) {
		if (fd != -ENOMEM && fd != -ENOENT && fd != -ENOTDIR && is_noted && !s->why.len)
			buf_printf(&s->why, "%s: %s", path, fd == -ENOEXEC && why ? why : strerror(-fd));
		return fd == -ENOMEM ? fd : 0;
	}
	if (sym_file_is(&facts, s->w->build_id, s->w->file_id))
		return keep_file(s, path, &fd, &facts);
	if (is_noted)
		note_refused(s, path, &facts);
	return 0;
}

/* A file that .gnu_debuglink of the code names: the same build-id where both have one, else the checksum in the link. */
static int try_link(struct search *s, const char *path)
{
	struct sym_file facts;
	_cleanup_close_ int fd = sym_file_open(path, &facts, NULL);
	const struct sym_file *code = &s->code.facts;
	u32 crc;
	int err;

	if (fd < 0)
		return fd == -ENOMEM ? fd : 0;
	if (facts.has_code) /* of this name there may be the program itself, too */
		return 0;
	if (code->build_id[0] && facts.build_id[0]) {
		if (strcmp(code->build_id, facts.build_id) == 0)
			return keep_file(s, path, &fd, &facts);
		note_refused(s, path, &facts);
		return 0;
	}
	err = sym_file_crc(fd, &crc);
	if (err == -EFBIG && !s->why.len)
		buf_printf(&s->why, "%s is too large (above %llu GiB) for the checksum that .gnu_debuglink needs", path,
			   (unsigned long long)(SYM_CRC_MAX >> 30));
	if (err)
		return err == -ENOMEM ? err : 0;
	if (crc == code->link_crc)
		return keep_file(s, path, &fd, &facts);
	if (!s->why.len)
		buf_printf(&s->why, "%s is of another build (its checksum is %08x, the program's .gnu_debuglink says %08x)", path,
			   crc, code->link_crc);
	return 0;
}

typedef int (*try_fn)(struct search *s, const char *path);

static int try_noted(struct search *s, const char *path)
{
	return try_same_build(s, path, true);
}

static int try_quiet(struct search *s, const char *path)
{
	return try_same_build(s, path, false);
}

/* Tries each path of a list until nothing better can be found. */
static int try_places(struct search *s, const struct buf *b, try_fn fn)
{
	int err = buf_err(b) == -ENOMEM ? -ENOMEM : 0;

	for (size_t at = 0; at < b->len && !err && !is_enough(s); at += strlen((const char *)b->data + at) + 1)
		err = fn(s, (const char *)b->data + at);
	return err;
}

static int find_code(struct search *s)
{
	_cleanup_buf_ struct buf b = {.max = PLACES_MAX};
	int err = 0;

	for (u32 i = 0; i < s->f->n_targets && !err && !is_enough(s); i++)
		err = try_quiet(s, s->f->targets[i]);
	if (err || is_enough(s))
		return err;
	add_by_name(s, &b);
	return try_places(s, &b, try_noted);
}

static int find_debug(struct search *s)
{
	_cleanup_buf_ struct buf links = {.max = PLACES_MAX}, b = {.max = PLACES_MAX};
	const char *sys = system_dir(s->f), *link = s->code.facts.link, *code = s->code.path;
	int err;

	if (s->code.fd >= 0 && *link) {
		for (u32 i = 0; i < s->f->n_debug_dirs; i++)
			ADD_PLACE(&links, "%s/%s", s->f->debug_dirs[i], link);
		add_beside(&links, code, link, "");
		if (dir_len(code) >= 0)
			ADD_PLACE(&links, "%.*s/.debug/%s", dir_len(code), code, link);
		if (*code == '/')
			ADD_PLACE(&links, "%s%.*s/%s", sys, dir_len(code), code, link);
	}
	err = try_places(s, &links, try_link);
	if (err || is_enough(s))
		return err;
	add_by_id(&b, sys, s->w->build_id, ".debug");
	if (*s->path == '/')
		ADD_PLACE(&b, "%s%s.debug", sys, s->path);
	return try_places(s, &b, try_noted);
}

/* From a debuginfod server: the debug information, and the program when there is none. A server that has nothing is no error. */
static int find_remote(struct search *s)
{
	static const char *const kinds[] = {"debuginfo", "executable"};

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_free_ char *path = NULL;
		int err;

		if (i == 1 && s->code.fd >= 0)
			continue;
		err = sym_fetch(kinds[i], s->w->build_id, &path);
		if (!err)
			err = try_noted(s, path);
		else if (err == -ETIME && !s->why.len)
			buf_printf(&s->why, "debuginfod did not answer in time");
		if (err == -ENOMEM)
			return err;
	}
	return 0;
}

/* What dwz moved out: told by its own id. */
static int find_alt(struct search *s, const struct slot *from)
{
	_cleanup_buf_ struct buf b = {.max = PLACES_MAX};
	const char *alt = from->facts.alt, *id = from->facts.alt_id;

	if (from->fd < 0 || !from->facts.has_dwarf || !*alt)
		return 0;
	for (u32 i = 0; i < s->f->n_debug_dirs; i++) {
		add_by_id(&b, s->f->debug_dirs[i], id, ".debug");
		ADD_PLACE(&b, "%s/%s", s->f->debug_dirs[i], alt);
		ADD_PLACE(&b, "%s/%s", s->f->debug_dirs[i], base_name(alt));
	}
	if (*alt == '/')
		ADD_PLACE(&b, "%s", alt);
	else
		add_beside(&b, from->path, alt, "");
	add_beside(&b, from->path, base_name(alt), "");
	add_by_id(&b, system_dir(s->f), id, ".debug");
	for (size_t at = 0; at < b.len; at += strlen((const char *)b.data + at) + 1) {
		const char *path = (const char *)b.data + at;
		struct sym_file facts;
		_cleanup_close_ int fd = sym_file_open(path, &facts, NULL);
		_cleanup_free_ char *copy = NULL;

		if (fd < 0 || !sym_file_is(&facts, id, NULL))
			continue;
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		slot_take(&s->alt, &fd, &copy, &facts);
		return 0;
	}
	buf_printf(&s->why, "%s, where dwz put some of its names, is not on this machine", alt);
	return buf_err(&b) == -ENOMEM ? -ENOMEM : 0;
}

/* Of the file with the code, and the one with the debug information when that is another. */
static int hand_over(struct search *s, struct sym_found *ret)
{
	struct slot *first = s->code.fd >= 0 ? &s->code : &s->debug;
	bool has_two = s->code.fd >= 0 && s->debug.fd >= 0 && worth(&s->debug.facts) > worth(&s->code.facts);

	if (s->why.len) {
		ret->why = buf_take_str(&s->why);
		if (!ret->why)
			return -ENOMEM;
	}
	if (first->fd < 0)
		return 0;
	ret->facts = first->facts;
	ret->fd = TAKE_FD(first->fd);
	ret->path = TAKE_PTR(first->path);
	if (has_two) {
		ret->facts.has_dwarf |= s->debug.facts.has_dwarf;
		ret->facts.has_symtab |= s->debug.facts.has_symtab;
		ret->facts.has_addr |= s->debug.facts.has_addr;
		ret->debug_fd = TAKE_FD(s->debug.fd);
		ret->debug_path = TAKE_PTR(s->debug.path);
	}
	ret->alt_fd = TAKE_FD(s->alt.fd);
	ret->alt_path = TAKE_PTR(s->alt.path);
	return 1;
}

/* ---- split DWARF ---- */

/* PATH.dwp, and where debug information was split off into PATH.debug, PATH's as well. */
static void add_package_of(struct buf *b, const char *path)
{
	size_t n = path ? strlen(path) : 0;

	if (!n)
		return;
	ADD_PLACE(b, "%s.dwp", path);
	if (n > 6 && strcmp(path + n - 6, ".debug") == 0)
		ADD_PLACE(b, "%.*s.dwp", (int)min_u64(n - 6, PATH_MAX), path);
}

static void add_packages(const struct sym_finder *f, const struct sym_want *w, const struct sym_found *found, struct buf *b,
			 const char *path)
{
	const char *name = base_name(path);

	for (u32 i = 0; i < f->n_debug_dirs; i++) {
		add_by_id(b, f->debug_dirs[i], w->build_id, ".dwp");
		ADD_PLACE(b, "%s/%s.dwp", f->debug_dirs[i], path);
		ADD_PLACE(b, "%s/%s.dwp", f->debug_dirs[i], name);
	}
	add_package_of(b, found->path);
	add_package_of(b, found->debug_path);
	add_beside(b, f->capture, name, ".dwp");
	if (*path == '/')
		add_package_of(b, path);
}

static void add_units(const struct sym_finder *f, const struct sym_found *found, const struct sym_split_want *split,
		      struct buf *b)
{
	const char *name = split->name, *base = base_name(name);
	const char *own[] = {found->path, found->debug_path};

	for (u32 i = 0; i < f->n_debug_dirs; i++) {
		ADD_PLACE(b, "%s/%s", f->debug_dirs[i], name);
		ADD_PLACE(b, "%s/%s", f->debug_dirs[i], base);
	}
	if (*name == '/')
		ADD_PLACE(b, "%s", name);
	else if (split->comp_dir && *split->comp_dir == '/')
		ADD_PLACE(b, "%s/%s", split->comp_dir, name);
	for (u32 i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i])
			add_beside(b, own[i], base, "");
	add_beside(b, f->capture, base, "");
}

static int find_split(const struct sym_finder *f, const struct sym_want *w, const struct sym_found *found,
		      const struct sym_split_want *split, struct buf *ret_path)
{
	_cleanup_free_ char *path = plain_path(w->path);
	_cleanup_buf_ struct buf b = {.max = PLACES_MAX};
	u32 n = 0;

	if (!path)
		return -ENOMEM;
	if (!split->name)
		add_packages(f, w, found, &b, path);
	else
		add_units(f, found, split, &b);
	for (size_t at = 0; at < b.len; at += strlen((const char *)b.data + at) + 1) {
		struct sym_file facts;
		_cleanup_close_ int fd = sym_file_open((const char *)b.data + at, &facts, NULL);

		if (fd == -ENOMEM)
			return fd;
		if (fd < 0 || !facts.has_split || facts.is_package != !split->name || n++ != split->nth)
			continue;
		if (ret_path)
			buf_puts(ret_path, (const char *)b.data + at);
		return TAKE_FD(fd);
	}
	return -ENOENT;
}

int sym_find_split(const struct sym_finder *f, const struct sym_want *w, const struct sym_found *found,
		   const struct sym_split_want *split)
{
	return find_split(f, w, found, split, NULL);
}

/* sym_found.from; 0 or -ENOMEM. */
static int say_from(const struct sym_finder *f, const struct sym_want *w, struct sym_found *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_puts(&b, ret->debug_path ? ret->debug_path : ret->path);
	if (ret->alt_path)
		buf_printf(&b, " + %s", ret->alt_path);
	if (ret->facts.has_addr) {
		_cleanup_buf_ struct buf package = BUF_INIT;
		_cleanup_close_ int fd = find_split(f, w, ret, &(struct sym_split_want){0}, &package);

		if (fd == -ENOMEM)
			return fd;
		if (fd >= 0)
			buf_printf(&b, " + %.*s", (int)package.len, (const char *)package.data);
		for (u32 i = 0; fd < 0 && i < f->n_debug_dirs; i++)
			buf_printf(&b, " + %s/", f->debug_dirs[i]);
	}
	ret->from = buf_take_str(&b);
	return ret->from ? 0 : -ENOMEM;
}

/* ---- all of it ---- */

int sym_find(const struct sym_finder *f, const struct sym_want *w, struct sym_found *ret)
{
	_cleanup_(search_release) struct search s = {
		.f = f, .w = w, .code.fd = -1, .debug.fd = -1, .alt.fd = -1, .why.max = 4096};
	int err = 0;

	*ret = (struct sym_found){.fd = -1, .debug_fd = -1, .alt_fd = -1};
	if (w->path[0] == '[') /* [vdso]: code without a file */
		return 0;
	s.path = plain_path(w->path);
	if (!s.path)
		return -ENOMEM;
	s.name = base_name(s.path);
	err = find_code(&s);
	if (!err && !is_enough(&s))
		err = find_debug(&s);
	if (!err && !is_enough(&s) && f->debuginfod && w->build_id)
		err = find_remote(&s);
	if (s.code.fd >= 0 || s.debug.fd >= 0)
		buf_reset(&s.why); /* the right file was found nevertheless */
	if (!err)
		err = find_alt(&s, s.code.fd >= 0 && s.code.facts.has_dwarf ? &s.code : &s.debug);
	if (!err)
		err = hand_over(&s, ret);
	if (err > 0 && say_from(f, w, ret))
		err = -ENOMEM;
	return err;
}

void sym_found_release(struct sym_found *found)
{
	cleanup_close_p(&found->fd);
	cleanup_close_p(&found->debug_fd);
	cleanup_close_p(&found->alt_fd);
	free(found->path);
	free(found->debug_path);
	free(found->alt_path);
	free(found->why);
	free(found->from);
	*found = (struct sym_found){.fd = -1, .debug_fd = -1, .alt_fd = -1};
}
