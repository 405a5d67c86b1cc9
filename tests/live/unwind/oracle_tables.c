/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oracle_tables.c: see oracle_tables.h. */
#include "tests/live/unwind/oracle_tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/procfs.h"

struct scan {
	struct oracle_tables *t;
	struct unwind_mapping maps[ORACLE_MAX_MAPS];
	u32 n;
	int err;
};

static int read_vdso(u32 pid, const struct proc_map *m, struct unwind_module *ret)
{
	size_t n = m->end - m->start;
	_cleanup_free_ u8 *image = malloc(n);
	_cleanup_close_ int mem = proc_open_mem(NULL, pid);
	int err = image ? 0 : -ENOMEM;

	if (!err)
		err = mem < 0 ? mem : proc_read_mem(mem, m->start, image, n);
	return err ? err : unwind_module_read_image(image, n, ret);
}

static int read_file(u32 pid, const struct proc_map *m, struct unwind_module *ret)
{
	_cleanup_close_ int fd = proc_open_mapped(NULL, pid, m);

	return fd < 0 ? fd : unwind_module_read(fd, ret);
}

/* The module's index; 0 for memory that no file backs, negative errno. */
static int module_of(struct oracle_tables *t, const struct proc_map *m)
{
	bool vdso = strcmp(m->path, "[vdso]") == 0;
	struct oracle_module *new;
	int err;

	if (!vdso && !m->inode)
		return 0;
	for (u32 i = 1; i <= t->n_modules; i++)
		if (t->modules[i].dev == m->dev && t->modules[i].inode == m->inode)
			return (int)i;
	if (t->n_modules + 1 >= ORACLE_MAX_MAPS)
		return -E2BIG;
	new = &t->modules[t->n_modules + 1];
	memset(new, 0, sizeof(*new));
	err = vdso ? read_vdso(t->pid, m, &new->m) : read_file(t->pid, m, &new->m);
	if (err)
		return err;
	new->dev = m->dev;
	new->inode = m->inode;
	return (int)++t->n_modules;
}

static int on_map(void *ctx, const struct proc_map *m)
{
	struct scan *s = ctx;
	int module;

	if (!m->exec || strcmp(m->path, "[vsyscall]") == 0)
		return 0;
	if (s->n >= ORACLE_MAX_MAPS)
		return -E2BIG;
	module = module_of(s->t, m);
	if (module < 0)
		return module;
	s->maps[s->n++] =
		(struct unwind_mapping){.start = m->start, .end = m->end, .file_off = m->file_off, .module = (u32)module};
	return 0;
}

int oracle_tables_scan(struct oracle_tables *t)
{
	_cleanup_free_ struct scan *s = calloc(1, sizeof(*s));
	bool same;
	int err;

	if (!s)
		return -ENOMEM;
	s->t = t;
	err = proc_maps(NULL, t->pid, on_map, s);
	if (err)
		return err;
	same = s->n == t->n_maps && memcmp(s->maps, t->maps, s->n * sizeof(s->maps[0])) == 0;
	memcpy(t->maps, s->maps, sizeof(t->maps));
	t->n_maps = s->n;
	return !same;
}

void oracle_tables_need(const struct oracle_tables *t, u32 *ret_rows, u32 *ret_idx)
{
	*ret_rows = *ret_idx = 1;
	for (u32 i = 1; i <= t->n_modules; i++) {
		*ret_rows += t->modules[i].m.rows.n + 1;
		*ret_idx += unwind_module_blocks(&t->modules[i].m, UW_BLOCK_LOG);
	}
}

int oracle_tables_publish(struct oracle_tables *t, const struct unwind_arrays *a)
{
	int err = t->tables ? 0 : unwind_tables_new(a, &t->tables);

	for (; !err && t->n_published < t->n_modules; t->n_published++)
		err = unwind_tables_add(t->tables, t->n_published + 1, &t->modules[t->n_published + 1].m);
	if (!err)
		err = unwind_tables_set(t->tables, t->maps, t->n_maps, clock_ns(CLOCK_MONOTONIC), &t->slice);
	return err;
}

void oracle_tables_release(struct oracle_tables *t)
{
	for (u32 i = 1; i <= t->n_modules; i++)
		unwind_module_release(&t->modules[i].m);
	unwind_tables_free(t->tables);
}
