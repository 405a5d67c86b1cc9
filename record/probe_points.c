/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* probe_points.c: see probe_points.h. */
#include "record/probe_points.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "record/elf_view.h"

struct probe_points {
	struct catalog *cat;
	struct probe_file **files;
	u32 n;
	u64 ns;
};

int probe_points_new(struct catalog *c, struct probe_points **ret)
{
	struct probe_points *pp = calloc(1, sizeof(*pp));

	if (!pp)
		return -ENOMEM;
	pp->cat = c;
	*ret = pp;
	return 0;
}

struct probe_points *probe_points_free(struct probe_points *pp)
{
	if (!pp)
		return NULL;
	for (u32 i = 0; i < pp->n; i++) {
		tokio_points_release(&pp->files[i]->points);
		free(pp->files[i]);
	}
	free(pp->files);
	free(pp);
	return NULL;
}

u64 probe_points_ns(const struct probe_points *pp)
{
	return pp->ns;
}

/* 1.x of "1.x.y"; 0 unknown. */
static u32 minor_of(const char *version)
{
	char *end;
	unsigned long v;

	if (strncmp(version, "1.", 2) != 0 || version[2] < '0' || version[2] > '9')
		return 0;
	v = strtoul(version + 2, &end, 10);
	return *end == '.' && v < 1000 ? (u32)v : 0;
}

struct probe_task probe_points_task(const char *version, const struct tokio_points *points)
{
	u32 minor = minor_of(version);

	if (minor)
		return (struct probe_task){.off_vtable = minor >= 21 ? 16 : 32, .has_ids = minor >= 23};
	return (struct probe_task){.off_vtable = 16, .has_ids = points->vtables.n > 0};
}

/* ---- the file, in a process ---- */

struct mapped {
	u64 start;
	struct proc_request *request;
	bool found;
};

static int take_mapped(void *ctx, const struct proc_map *m)
{
	struct mapped *f = ctx;
	struct proc_request *r = f->request;

	if (m->start != f->start || !m->exec || (size_t)snprintf(r->path, sizeof(r->path), "%s", m->path) >= sizeof(r->path))
		return 0;
	r->file = PROC_MAPPED;
	r->start = m->start;
	r->end = m->end;
	r->dev = m->dev;
	r->inode = m->inode;
	f->found = true;
	return 1;
}

static int request_of(struct cat_process *p, const struct cat_copy *copy, struct proc_request *r)
{
	struct mapped f = {.request = r};
	u32 i = 0;
	int err;

	*r = (struct proc_request){.file = PROC_EXE, .pid = p->pid};
	if (!copy->is_library)
		return 0;
	while (i < p->n_maps && p->maps[i].module != copy->module)
		i++;
	if (i == p->n_maps)
		return -ENOENT;
	f.start = p->maps[i].start;
	err = proc_maps(p->fs, p->pid, take_mapped, &f);
	return err < 0 ? err : f.found ? 0 : -ENOENT;
}

static int open_request(const struct cat_process *p, const struct proc_request *r)
{
	return p->fs && p->fs->open ? p->fs->open(p->fs->ctx, r) : proc_open_here(r);
}

static int read_file(struct probe_points *pp, struct cat_process *p, const struct cat_copy *copy, struct probe_file *f)
{
	_cleanup_close_ int fd = open_request(p, &f->request);
	u64 before = clock_ns(CLOCK_MONOTONIC);
	struct elf_view v;
	int err;

	if (fd < 0)
		return fd;
	err = elf_view_open(&v, fd, NULL, 0);
	if (!err)
		err = tokio_points_read(&v, copy->elf, &f->points);
	elf_view_release(&v);
	f->task = probe_points_task(copy->elf->version, &f->points);
	pp->ns += clock_ns(CLOCK_MONOTONIC) - before;
	return err;
}

static struct probe_file *known(const struct probe_points *pp, u32 module, u32 process)
{
	for (u32 i = 0; i < pp->n; i++)
		if (pp->files[i]->module == module && pp->files[i]->process == process)
			return pp->files[i];
	return NULL;
}

static int add(struct probe_points *pp, struct probe_file *f)
{
	struct probe_file **files = reallocarray(pp->files, pp->n + 1, sizeof(struct probe_file *));

	if (!files)
		return -ENOMEM;
	pp->files = files;
	files[pp->n++] = f;
	return 0;
}

int probe_points_find(struct probe_points *pp, struct cat_process *p, const struct cat_copy *copy, struct probe_file **ret)
{
	/* a module whose file could not be opened as a mapping may be another's by its name and number alone */
	u32 process = catalog_module_tokio(pp->cat, copy->module) ? 0 : p->idx;
	struct probe_file *f = known(pp, copy->module, process);
	bool is_new = !f;
	int err;

	if (is_new)
		f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	err = request_of(p, copy, &f->request);
	if (is_new) {
		f->module = copy->module;
		f->process = process;
		if (!err)
			err = read_file(pp, p, copy, f);
		if (!err)
			err = add(pp, f);
		if (err) {
			tokio_points_release(&f->points);
			free(f);
		}
	}
	if (!err)
		*ret = f;
	return err;
}
