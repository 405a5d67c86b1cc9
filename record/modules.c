/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* modules.c: see modules.h. */
#include "record/modules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/elfid.h"
#include "base/u64map.h"
#include "format/fmt_file_id.h"
#include "record/copies.h"

enum { VDSO_MAX = 1 << 20 };

enum identity_kind {
	ID_FILE = 1, /* as fstat(2) has it */
	ID_UNOPENED, /* dev and inode from /proc/PID/maps; the path's hash in place of size and mtime */
	ID_IMAGE,    /* size and hash of the bytes */
};

struct identity {
	u64 kind, dev, inode, size, mtime;
};

struct modules {
	struct catalog *cat;
	struct unwind_tables *tables;
	struct u64map by_hash;	     /* of the identity -> module index; of several with one hash the next is at hash + 1 */
	struct identity *ids;	     /* by index - 1 */
	struct module_tokio **tokio; /* likewise; NULL no ELF file */
	u32 n, cap;
};

/* The mapped thing, opened: a file (fd) or an image in memory. */
struct opened {
	int fd;
	u8 *image;
	size_t size;
	struct identity id;
};

int modules_new(struct catalog *cat, struct unwind_tables *tables, struct modules **ret)
{
	struct modules *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return -ENOMEM;
	ms->cat = cat;
	ms->tables = tables;
	*ret = ms;
	return 0;
}

struct modules *modules_free(struct modules *ms)
{
	if (!ms)
		return NULL;
	u64map_release(&ms->by_hash);
	for (u32 i = 0; i < ms->n; i++)
		free(ms->tokio[i]);
	free(ms->tokio);
	free(ms->ids);
	free(ms);
	return NULL;
}

bool modules_is_one(const struct proc_map *m)
{
	return m->path[0] == '/' || !strcmp(m->path, "[vdso]");
}

/* ---- which file it is ---- */

static u64 hash_bytes(u64 h, const void *p, size_t n)
{
	const u8 *at = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * 0x100000001b3ULL; /* FNV-1a */
	return h;
}

static void opened_release(struct opened *o)
{
	if (o->fd >= 0)
		(void)close(o->fd);
	free(o->image);
}

static int open_image(struct cat_process *p, const struct proc_map *m, struct opened *ret)
{
	ret->size = (size_t)min_u64(m->end - m->start, VDSO_MAX);
	ret->image = malloc(ret->size);
	if (!ret->image)
		return -ENOMEM;
	ret->id = (struct identity){.kind = ID_IMAGE, .size = ret->size};
	if (cat_process_read(p, m->start, ret->image, ret->size) == 0)
		ret->id.inode = hash_bytes(0xcbf29ce484222325ULL, ret->image, ret->size);
	else
		ret->size = 0;
	return 0;
}

/* A file that cannot be opened (no right to, or the process is gone) is known by what /proc/PID/maps says, and never taken for another. 0 or -ENOMEM. */
static int open_mapping(struct cat_process *p, const struct proc_map *m, struct opened *ret)
{
	struct stat st;

	*ret = (struct opened){.fd = -1};
	if (m->path[0] == '[')
		return open_image(p, m, ret);
	ret->fd = proc_open_mapped(p->fs, p->pid, m);
	if (ret->fd >= 0 && fstat(ret->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		ret->id = (struct identity){
			.kind = ID_FILE,
			.dev = st.st_dev,
			.inode = st.st_ino,
			.size = (u64)st.st_size,
			.mtime = (u64)st.st_mtim.tv_sec * NSEC_PER_SEC + (u64)st.st_mtim.tv_nsec,
		};
		return 0;
	}
	if (ret->fd >= 0)
		(void)close(take_fd(&ret->fd));
	ret->id = (struct identity){.kind = ID_UNOPENED, .dev = m->dev, .inode = m->inode};
	ret->id.size = hash_bytes(0xcbf29ce484222325ULL, m->path, strlen(m->path));
	return 0;
}

/* The module of that identity; else 0, and *ret_key is where it belongs. */
static u32 known(const struct modules *ms, const struct identity *id, u64 *ret_key)
{
	u64 key = hash_bytes(0xcbf29ce484222325ULL, id, sizeof(*id)), idx;

	while (u64map_get(&ms->by_hash, key, &idx)) {
		if (!memcmp(&ms->ids[idx - 1], id, sizeof(*id)))
			return (u32)idx;
		key++;
	}
	*ret_key = key;
	return 0;
}

static int grow(struct modules *ms)
{
	u32 cap = ms->cap ? ms->cap * 2 : 64;
	struct module_tokio **tokio;
	struct identity *ids;

	if (ms->n < ms->cap)
		return 0;
	ids = reallocarray(ms->ids, cap, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	ms->ids = ids;
	tokio = reallocarray(ms->tokio, cap, sizeof(*tokio));
	if (!tokio)
		return -ENOMEM;
	ms->tokio = tokio;
	ms->cap = cap;
	return 0;
}

static int remember(struct modules *ms, u64 key, const struct identity *id)
{
	if (grow(ms) < 0 || u64map_put(&ms->by_hash, key, ms->n + 1) < 0)
		return -ENOMEM;
	ms->tokio[ms->n] = NULL;
	ms->ids[ms->n++] = *id;
	return 0;
}

struct module_tokio *modules_tokio(const struct modules *ms, u32 idx)
{
	return idx && idx <= ms->n ? ms->tokio[idx - 1] : NULL;
}

/* ---- rows ---- */

static void strip_deleted(char *path)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(path);

	if (n >= sizeof(deleted) - 1 && !strcmp(path + n - (sizeof(deleted) - 1), deleted))
		path[n - (sizeof(deleted) - 1)] = 0;
}

static void put_row(struct modules *ms, const struct proc_map *m, const struct opened *o, u32 idx)
{
	char build_id[ELFID_HEX_LEN], file_id[FMT_FILE_ID_LEN], path[FMT_MAX_STRING];
	struct fmt_module row = {.idx = idx};

	(void)snprintf(path, sizeof(path), "%s", m->path);
	strip_deleted(path);
	row.path = catalog_string(ms->cat, path);
	if (o->image && o->size && elf_build_id_mem(o->image, o->size, build_id) == 0)
		row.build_id = catalog_string(ms->cat, build_id);
	if (o->id.kind == ID_FILE) {
		row.inode = o->id.inode;
		row.size = o->id.size;
		row.mtime = o->id.mtime;
		if (elf_build_id(o->fd, build_id) == 0)
			row.build_id = catalog_string(ms->cat, build_id);
		else if (fmt_file_id(o->fd, file_id) == 0)
			row.file_id = catalog_string(ms->cat, file_id);
	}
	catalog_row(ms->cat, FMT_MODULE, &row);
}

int modules_find(struct modules *ms, struct cat_process *p, const struct proc_map *m, u32 *ret_idx)
{
	_cleanup_(opened_release) struct opened o = {.fd = -1};
	u64 key = 0;
	int err = open_mapping(p, m, &o);

	if (err)
		return err;
	*ret_idx = known(ms, &o.id, &key);
	if (*ret_idx)
		return 0;
	err = remember(ms, key, &o.id);
	if (err)
		return err;
	*ret_idx = ms->n;
	put_row(ms, m, &o, ms->n);
	return o.id.kind == ID_FILE ? module_tokio_read(o.fd, m->path, &ms->tokio[ms->n - 1]) : 0;
}

/* ---- tables ---- */

/* No more than the whole array could hold: that bounds the time it takes, too. */
static bool may_fit(struct modules *ms, int fd)
{
	u32 rows, span;

	unwind_module_estimate(fd, &rows, &span);
	return rows / 2 < unwind_tables_arrays(ms->tables)->n_rows; /* it is a rough estimate */
}

static int compile(struct modules *ms, const struct opened *o, struct unwind_module *ret)
{
	if (o->id.kind == ID_IMAGE && o->size)
		return unwind_module_read_image(o->image, o->size, ret);
	if (o->id.kind == ID_FILE && !may_fit(ms, o->fd))
		ret->status = UNWIND_MODULE_TOO_LARGE;
	else if (o->id.kind == ID_FILE)
		return unwind_module_read(o->fd, ret);
	return 0;
}

int modules_build(struct modules *ms, struct cat_process *p, const struct proc_map *m, u32 idx)
{
	struct unwind_module module = {.status = UNWIND_MODULE_NOT_ELF};
	_cleanup_(opened_release) struct opened o = {.fd = -1};
	u64 key, before;
	int err;

	if (!ms->tables || unwind_tables_has(ms->tables, idx))
		return 0;
	err = open_mapping(p, m, &o);
	if (err || known(ms, &o.id, &key) != idx)
		return err;
	before = clock_ns(CLOCK_MONOTONIC);
	err = compile(ms, &o, &module);
	if (err == -ENOMEM)
		return err;
	if (err) { /* the file cannot be read: as good as none */
		unwind_module_release(&module);
		module = (struct unwind_module){.status = UNWIND_MODULE_MALFORMED};
	}
	err = unwind_tables_add(ms->tables, idx, &module);
	unwind_module_release(&module);
	unwind_tables_note_build(ms->tables, clock_ns(CLOCK_MONOTONIC) - before);
	return err;
}
