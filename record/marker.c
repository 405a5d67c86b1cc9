/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * marker.c: see marker.h. A name says which files to look in; each file is read once:
 *
 *	text -> two names -> files (main programs, mapped libraries, a path) -> functions in each -> one address a file -> places
 */
#include "record/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "record/elf_symbol.h"
#include "record/procfs.h"

enum { MAX_FILES = 64, MAX_NEAR = 5 };

static const char *const side_names[2] = {"START", "END"};

/* ---- the text ---- */

/* The comma between the two names, not one within <> or (): readable names of generic functions have those. */
static const char *find_comma(const char *text)
{
	int depth = 0;

	for (const char *p = text; *p; p++) {
		if (*p == '<' || *p == '(' || *p == '[')
			depth++;
		else if (*p == ')' || *p == ']' || (*p == '>' && p > text && p[-1] != '-')) /* -> */
			depth--;
		else if (*p == ',' && depth <= 0)
			return p;
	}
	return NULL;
}

/* The colon behind a file: one that is not of a "::". */
static const char *find_colon(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] != ':')
			continue;
		if (i + 1 < n && s[i + 1] == ':')
			i++;
		else
			return s + i;
	}
	return NULL;
}

static bool parse_address(const char *s, u64 *ret)
{
	char *end;

	if (strncmp(s, "0x", 2) != 0 || !s[2] || strspn(s + 2, "0123456789abcdefABCDEF") != strlen(s + 2) || strlen(s + 2) > 16)
		return false;
	*ret = strtoull(s, &end, 16);
	return true;
}

/* -EINVAL: nothing there, or a number that is none. */
static int parse_name(const char *s, size_t n, struct marker_name *ret)
{
	const char *colon;
	u64 addr;

	while (n && *s == ' ') {
		s++;
		n--;
	}
	while (n && s[n - 1] == ' ')
		n--;
	colon = find_colon(s, n);
	if (colon && colon > s) {
		ret->file = strndup(s, (size_t)(colon - s));
		if (!ret->file)
			return -ENOMEM;
	}
	if (colon) {
		n -= (size_t)(colon + 1 - s);
		s = colon + 1;
	}
	ret->name = strndup(s, n);
	if (!ret->name)
		return -ENOMEM;
	if (!n || (colon && !ret->file) || (!strncmp(ret->name, "0x", 2) && !parse_address(ret->name, &addr)))
		return -EINVAL;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Why one function cannot be both. */
static int refuse_same(const struct marker_pair *p)
{
	log_error(
		"--marker %s: START and END are the same function; an interval would begin where the last one ends. Name two functions, called before and "
		"after what may block (the return of a function cannot be used: an async one returns at every await)",
		p->text);
	return -EINVAL;
}

static int parse_pair(struct marker_pair *p)
{
	const char *comma = find_comma(p->text);
	int err = -EINVAL;

	if (comma && !find_comma(comma + 1))
		err = parse_name(p->text, (size_t)(comma - p->text), &p->side[0]);
	if (!err)
		err = parse_name(comma + 1, strlen(comma + 1), &p->side[1]);
	if (err == -EINVAL)
		log_error(
			"--marker '%s': it is START,END, two functions; each is SYMBOL, 0xADDRESS, FILE:SYMBOL or FILE:0xADDRESS, an "
			"address as nm prints it",
			p->text);
	else if (err)
		log_error("--marker %s: %s", p->text, strerror(-err));
	else if (same_text(p->side[0].file, p->side[1].file) && !strcmp(p->side[0].name, p->side[1].name))
		err = refuse_same(p);
	return err;
}

int marker_add(struct marker_list *l, const char *text)
{
	if (l->n == MARKER_MAX_PAIRS) {
		log_error("more than %d --marker options", MARKER_MAX_PAIRS);
		return -EINVAL;
	}
	l->pairs[l->n] = (struct marker_pair){.text = text};
	return parse_pair(&l->pairs[l->n++]);
}

void marker_list_release(struct marker_list *l)
{
	for (u32 i = 0; i < l->n; i++)
		for (u32 side = 0; side < 2; side++) {
			free(l->pairs[i].side[side].file);
			free(l->pairs[i].side[side].name);
		}
	l->n = 0;
}

/* ---- files ---- */

struct marker_file {
	int fd;	    /* owned */
	char *path; /* owned; for messages */
	dev_t dev;
	ino_t ino;
	struct elf_view view;
	struct elf_functions functions;
};

/* A search for one function. */
struct search {
	const struct marker_pair *pair;
	const struct marker_name *name;
	const char *side;
	const struct target_list *targets;
	char **command;
	struct marker_places *places;
	u32 files[MAX_FILES]; /* to look in: indices of places->files */
	u32 n_files;
};

static int fail(const struct search *s, int err, const char *what)
{
	log_error("--marker %s: %s '%s%s%s': %s", s->pair->text, s->side, s->name->file ? s->name->file : "",
		  s->name->file ? ":" : "", s->name->name, what);
	return err;
}

static void release_file(struct marker_file *f)
{
	elf_functions_release(&f->functions);
	elf_view_release(&f->view);
	free(f->path);
	if (f->fd >= 0)
		(void)close(f->fd);
}

static int read_file(struct marker_file *f)
{
	int err = elf_view_open(&f->view, f->fd, NULL, 0);

	return err ? err : elf_functions_read(&f->view, &f->functions);
}

/* The file is looked in; fd is taken. */
static int add_file(struct search *s, int fd, const char *path)
{
	struct marker_places *p = s->places;
	struct marker_file f = {.fd = fd, .view = {.fd = -1}};
	struct stat st = {0};
	u32 at = 0;
	int err = fstat(fd, &st) < 0 ? -errno : 0;

	while (!err && at < p->n_files && (p->files[at].dev != st.st_dev || p->files[at].ino != st.st_ino))
		at++;
	if (!err && at == p->n_files) {
		f.dev = st.st_dev;
		f.ino = st.st_ino;
		f.path = strdup(path);
		err = at == MAX_FILES ? -EMFILE : f.path ? read_file(&f) : -ENOMEM;
		if (!err) {
			p->files[p->n_files++] = f;
			f = (struct marker_file){.fd = -1, .view = {.fd = -1}};
		}
	}
	release_file(&f);
	for (u32 i = 0; i < s->n_files && !err; i++)
		if (s->files[i] == at)
			return 0;
	if (!err)
		s->files[s->n_files++] = at;
	return err;
}

static int cannot_read(const struct search *s, const char *path, int err)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	buf_printf(&b, "cannot read %s: %s", path,
		   err == -ENOEXEC ? "it is no x86-64 ELF file (a script? name the program: FILE:SYMBOL)" : strerror(-err));
	text = buf_take_str(&b);
	return fail(s, err, text ? text : strerror(ENOMEM));
}

static int add_programs(struct search *s)
{
	char path[PATH_MAX];

	for (u32 i = 0; i < s->targets->n; i++) {
		int fd = proc_open_exe(NULL, s->targets->pids[i]), err;

		if (proc_exe(NULL, s->targets->pids[i], path, sizeof(path)) < 0)
			(void)snprintf(path, sizeof(path), "/proc/%u/exe", s->targets->pids[i]);
		err = fd < 0 ? fd : add_file(s, fd, path);
		if (err)
			return cannot_read(s, path, err);
	}
	return 0;
}

/* As execvp(3) finds it. */
static int open_command(const char *name, char *path, size_t n)
{
	const char *dirs = strchr(name, '/') ? "" : getenv("PATH");
	int err = -ENOENT;

	for (const char *dir = dirs ? dirs : "/bin:/usr/bin";; dir++) {
		size_t len = strcspn(dir, ":");
		int fd;

		if ((size_t)snprintf(path, n, "%.*s%s%s", (int)len, dir, len ? "/" : "", name) < n && access(path, X_OK) == 0) {
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd >= 0)
				return fd;
			err = -errno;
		}
		dir += len;
		if (!*dir)
			break;
	}
	(void)snprintf(path, n, "%s", name);
	return err;
}

static int add_command(struct search *s)
{
	char path[PATH_MAX];
	int fd = open_command(s->command[0], path, sizeof(path));
	int err = fd < 0 ? fd : add_file(s, fd, path);

	return err ? cannot_read(s, path, err) : 0;
}

/* ---- libraries ---- */

struct mapped {
	struct search *s;
	u32 pid;
	int err;
};

/* "libfoo" is libfoo.so, libfoo.so.1, libfoo-2.so, and "libfoo.so" is libfoo.so.1. A path names one file. */
static bool is_named(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	size_t n = strlen(name);

	if (strchr(name, '/'))
		return !strcmp(path, name);
	return slash && !strncmp(slash + 1, name, n) && (!slash[1 + n] || slash[1 + n] == '.' || slash[1 + n] == '-');
}

static int look_at_mapping(void *ctx, const struct proc_map *m)
{
	struct mapped *x = ctx;
	int fd;

	if (!m->exec || m->path[0] != '/' || !is_named(m->path, x->s->name->file))
		return 0;
	fd = proc_open_mapped(NULL, x->pid, m);
	x->err = fd < 0 ? fd : add_file(x->s, fd, m->path);
	return x->err ? cannot_read(x->s, m->path, x->err) : 0;
}

static int add_mapped(struct search *s)
{
	for (u32 i = 0; i < s->targets->n; i++) {
		struct mapped x = {.s = s, .pid = s->targets->pids[i]};
		int err = proc_maps(NULL, x.pid, look_at_mapping, &x);

		if (x.err)
			return x.err;
		if (err)
			return cannot_read(s, "/proc/PID/maps", err);
	}
	return 0;
}

/* A file that is not mapped (yet): as the first target sees it, else as this process does. */
static int add_path(struct search *s)
{
	const char *path = s->name->file;
	int fd, err;

	if (path[0] == '/' && s->targets->n) {
		fd = proc_open_in_root(s->targets->pids[0], path);
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
	}
	err = fd < 0 ? fd : add_file(s, fd, path);
	return err ? cannot_read(s, path, err) : 0;
}

static int choose_files(struct search *s)
{
	const char *file = s->name->file;
	int err;

	if (!file) {
		err = add_programs(s);
		return err || !s->command ? err : add_command(s);
	}
	err = add_mapped(s);
	if (err || s->n_files)
		return err;
	if (strchr(file, '/'))
		return add_path(s);
	return fail(s, -ESRCH,
		    s->command ? "a command that does not run yet has no libraries: name the file by its path"
			       : "no target has mapped a file of this name; one that is loaded later is named by its path");
}

/* ---- functions ---- */

static int say_ambiguous(const struct search *s, const struct marker_file *f, const struct elf_function *found, int n)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	buf_printf(&b, "%s has %d functions of this name; take one by its address:", f->path, n);
	for (int i = 0; i < n && i < MAX_NEAR; i++)
		buf_printf(&b, "\n  %s:0x%" PRIx64 "  %s", f->path, found[i].addr, found[i].name);
	if (n > MAX_NEAR)
		buf_printf(&b, "\n  and %d more", n - MAX_NEAR);
	text = buf_take_str(&b);
	return fail(s, -ENOTUNIQ, text ? text : strerror(ENOMEM));
}

/* 1 found, 0 not there; errors were said. */
static int find_address(const struct search *s, const struct marker_file *f, u64 *ret)
{
	if (!parse_address(s->name->name, ret))
		return -EINVAL;
	if (elf_functions_begin_at(&f->functions, *ret))
		return 1;
	return fail(
		s, -EINVAL,
		"no function begins there, and a probe in the middle of an instruction would break the program (it takes addresses as nm "
		"and objdump -d print them, not offsets in the file)");
}

static int find_function(const struct search *s, const struct marker_file *f, u64 *ret)
{
	struct elf_function found[MAX_NEAR];
	int n;

	if (!strncmp(s->name->name, "0x", 2))
		return find_address(s, f, ret);
	n = elf_functions_find(&f->functions, s->name->name, found, MAX_NEAR);
	if (n < 0)
		return fail(s, n, strerror(-n));
	if (n > 1)
		return say_ambiguous(s, f, found, n);
	if (n)
		*ret = found[0].addr;
	return n;
}

static int add_place(const struct search *s, const struct marker_file *f, u64 addr)
{
	struct marker_places *p = s->places;
	u64 off;

	if (elf_file_offset(&f->view, addr, &off) < 0)
		return fail(s, -EINVAL, "the address is not in the program's code");
	if (p->n == MARKER_MAX_PLACES)
		return fail(s, -EMFILE, "too many places in all");
	p->rows[p->n++] = (struct marker_place){.fd = f->fd, .off = off};
	return 0;
}

static int say_missing(const struct search *s)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	struct elf_near near[MAX_NEAR];
	size_t known = 0;
	u32 n = 0;
	int err = 0;

	for (u32 i = 0; i < s->n_files && !err; i++) {
		known += s->places->files[s->files[i]].functions.n;
		err = elf_functions_near(&s->places->files[s->files[i]].functions, s->name->name, near, &n, MAX_NEAR);
	}
	buf_printf(&b, "no such function in %s", s->places->files[s->files[0]].path);
	if (s->n_files > 1)
		buf_printf(&b, " and %u other files", s->n_files - 1);
	if (!known)
		buf_puts(&b, ", which is stripped: give 0xADDRESS, as nm prints it for an unstripped copy of the same build");
	else if (n)
		buf_puts(&b, "; it has:");
	else
		buf_puts(
			&b,
			", nor one of a near name (inlined functions are none: #[inline(never)], or #[no_mangle] extern \"C\", keeps them)");
	for (u32 i = 0; i < n; i++) {
		buf_printf(&b, "\n  %s", near[i].name);
		free(near[i].name);
	}
	text = buf_take_str(&b);
	return fail(s, err ? err : -ESRCH, text ? text : strerror(ENOMEM));
}

/* Finds one function in all files it may be in. */
static int resolve_side(struct search *s)
{
	u32 first = s->places->n;
	int err = choose_files(s);

	for (u32 i = 0; i < s->n_files && !err; i++) {
		const struct marker_file *f = &s->places->files[s->files[i]];
		u64 addr;
		int n = find_function(s, f, &addr);

		err = n < 0 ? n : n ? add_place(s, f, addr) : 0;
	}
	if (!err && s->places->n == first)
		err = s->n_files ? say_missing(s) : fail(s, -ESRCH, "there is no file to look in");
	return err;
}

static bool is_same_place(const struct marker_place *a, const struct marker_place *b)
{
	return a->fd == b->fd && a->off == b->off;
}

static int resolve_pair(const struct marker_list *l, u32 pair, struct search *s)
{
	struct marker_places *p = s->places;
	u32 start = p->n, end;

	for (u32 side = 0; side < 2; side++) {
		u32 from = p->n;
		int err;

		s->pair = &l->pairs[pair];
		s->name = &l->pairs[pair].side[side];
		s->side = side_names[side];
		s->n_files = 0;
		err = resolve_side(s);
		if (err)
			return err;
		for (u32 i = from; i < p->n; i++) {
			p->rows[i].pair = pair;
			p->rows[i].end = side;
		}
		if (!side)
			start = from;
	}
	for (end = start; end < p->n && !p->rows[end].end; end++)
		;
	for (u32 i = start; i < end; i++)
		for (u32 k = end; k < p->n; k++)
			if (is_same_place(&p->rows[i], &p->rows[k]))
				return refuse_same(&l->pairs[pair]);
	return 0;
}

int marker_resolve(const struct marker_list *l, const struct target_list *targets, char **command, struct marker_places *ret)
{
	struct search s = {.targets = targets, .command = command, .places = ret};
	int err = 0;

	*ret = (struct marker_places){0};
	if (!l->n)
		return 0;
	ret->files = calloc(MAX_FILES, sizeof(*ret->files));
	if (!ret->files)
		return -ENOMEM;
	for (u32 i = 0; i < l->n && !err; i++)
		err = resolve_pair(l, i, &s);
	return err;
}

void marker_places_release(struct marker_places *p)
{
	for (u32 i = 0; i < p->n_files; i++)
		release_file(&p->files[i]);
	free(p->files);
	*p = (struct marker_places){0};
}
