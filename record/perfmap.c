/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* perfmap.c: see perfmap.h. */
#include "record/perfmap.h"

#include "base/fdio.h"

struct perfmap_copy {
	const struct procfs *fs;
	struct catalog *cat;
	struct fmt_writer *w;
	const struct perfmap_room *room;
	struct perfmap_counts *counts;
	int err;
};

static int copy_file(struct perfmap_copy *c, const struct cat_process *p, int fd)
{
	struct fmt_perfmap row = {.process = p->idx};
	u8 piece[FMT_MAX_STRING];
	u64 off = 0;

	while (off < PERFMAP_MAX) {
		ssize_t n = fd_pread_full(fd, piece, sizeof(piece), off);
		int err;

		if (n <= 0)
			return 0; /* its end; or it cannot be read, and names are no reason to fail */
		if (!c->room->has_room(c->room->ctx, (size_t)n))
			break;
		err = fmt_writer_row(c->w, FMT_PERFMAP, &row, piece, (size_t)n);
		if (err)
			return err;
		row.chunk++;
		off += (u64)n;
		c->counts->bytes += (u64)n;
	}
	c->counts->cut++;
	return 0;
}

static void copy_of(void *ctx, struct cat_process *p)
{
	struct perfmap_copy *c = ctx;
	_cleanup_close_ int fd = -1;

	if (c->err || catalog_process(c->cat, p->pid) != p) /* an earlier image: the file is the later one's */
		return;
	fd = proc_open_perfmap(c->fs, p->pid, p->ns_pid);
	if (fd < 0)
		return;
	c->counts->files++;
	c->err = copy_file(c, p, fd);
}

int perfmap_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, const struct perfmap_room *room,
		 struct perfmap_counts *ret)
{
	struct perfmap_copy c = {.fs = fs, .cat = cat, .w = w, .room = room, .counts = ret};

	*ret = (struct perfmap_counts){0};
	catalog_each_image(cat, copy_of, &c);
	return c.err;
}
