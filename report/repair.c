/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* repair.c: see repair.h. The file is read a second time as check.c does. */
#include "report/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "format/fmt_writer.h"
#include "report/block_pass.h"

#define LEVEL 3 /* zstd: of what is new */

struct repair {
	const struct check *found;
	struct fmt_writer *w;
	struct block_pass pass;
};

static int pass_block(void *ctx, const struct fmt_block *b)
{
	struct repair *p = ctx;

	return block_pass(&p->pass, b);
}

/* Where the blocks were: cause 0 (FORMAT.md, gap). */
static int put_gap(void *ctx, const struct check_lost *l)
{
	struct repair *p = ctx;
	const struct fmt_gap gap = {.ts = l->ts_first, .ts_end = l->ts_last + 1, .count = l->blocks};

	return l->ts_first ? fmt_writer_row(p->w, FMT_GAP, &gap, NULL, 0) : 0;
}

/* What this and earlier repairs lost. */
static struct repair_facts facts_of(const struct check *c)
{
	struct repair_facts f = c->repaired;

	f.blocks = max_u64(f.blocks, c->health.blocks_intact + c->health.blocks_damaged + c->health.blocks_missing);
	f.blocks_lost += c->blocks_lost;
	f.records_lost += c->records_lost;
	f.bytes = max_u64(f.bytes, c->health.file_size);
	f.bytes_lost += c->health.bytes_skipped;
	f.not_closed |= !c->health.closed_cleanly;
	return f;
}

/* The numbers of the new strings are above all that the file has or names. */
static int put_facts(struct repair *p, const struct repair_facts *f)
{
	u64 idx = max_u64(p->found->refs.known[CHECK_STRING].highest, p->found->refs.wanted[CHECK_STRING].highest);
	int err = 0;

	for (u32 i = 0; i < REPAIR_KEYS && !err; i++) {
		const char *key = repair_facts_key(i);

		if (++idx > FMT_MAX_ID)
			return -ERANGE;
		err = fmt_writer_row(p->w, FMT_STRING, &(struct fmt_string){.idx = idx}, key, strlen(key));
		if (!err)
			err = fmt_writer_row(p->w, FMT_TOTAL, &(struct fmt_total){.key = idx, .value = repair_facts_value(f, i)},
					     NULL, 0);
	}
	return err;
}

struct repair_progress {
	u64 size, last_percent;
};

static void show_progress(void *ctx, u64 off)
{
	struct repair_progress *p = ctx;
	u64 percent = p->size ? off * 100 / p->size : 100;

	if (percent != p->last_percent)
		log_status("repairing %u %%", (unsigned)percent);
	p->last_percent = percent;
}

static int write_all(struct repair *p, const char *path, int out, struct repair_result *ret)
{
	const struct check_hooks hooks = {.ctx = p, .on_block = pass_block, .on_lost = put_gap};
	_cleanup_reader_ struct fmt_reader *r = NULL;
	struct repair_progress progress = {.size = p->found->health.file_size, .last_percent = UINT64_MAX};
	struct check *again = calloc(1, sizeof(*again));
	int err = again ? fmt_reader_open(path, &r, NULL) : -ENOMEM;

	if (!err)
		err = fmt_writer_new(out, fmt_reader_info(r)->uuid, LEVEL, &p->w);
	p->pass.w = p->w;
	if (!err)
		err = check_run(again, r, &hooks, show_progress, &progress);
	log_status_end();
	if (!err)
		err = put_facts(p, &ret->facts);
	if (!err)
		err = fmt_writer_finish(p->w);
	if (!err) {
		ret->bytes = fmt_writer_stats(p->w)->bytes;
		ret->blocks = fmt_writer_stats(p->w)->blocks;
	}
	if (again)
		check_release(again);
	free(again);
	return err;
}

/* A new file, or with force an old one emptied, but never the capture itself. Returns the fd, or -errno after it said why. */
static int open_out(const char *path, int in, const char *out, bool force)
{
	_cleanup_close_ int fd =
		open(out, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | (force ? 0 : O_EXCL), 0600);
	struct stat a, b;
	int err = fd < 0 ? -errno : 0;

	if (!err && (fstat(in, &a) < 0 || fstat(fd, &b) < 0))
		err = -errno;
	if (!err && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		err = -EBUSY;
	if (!err && !S_ISREG(b.st_mode))
		err = -ESPIPE;
	if (!err && force && ftruncate(fd, 0) < 0)
		err = -errno;
	if (!err)
		return TAKE_FD(fd);
	if (err == -EEXIST)
		log_error("%s exists; choose another name for --repair, or overwrite it with --force", out);
	else if (err == -ELOOP)
		log_error("%s is a symbolic link; ascope does not write through links", out);
	else if (err == -EBUSY)
		log_error("%s is %s itself: the damaged file is never changed; choose another name for --repair", out, path);
	else if (err == -ESPIPE)
		log_error("%s is not a regular file; choose another name for --repair", out);
	else
		log_error("cannot write %s: %s", out, strerror(-err));
	return err;
}

int repair_file(const char *path, const struct check *found, const char *out, bool force, struct repair_result *ret)
{
	_cleanup_close_ int in = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), fd = -1;
	struct repair p = {.found = found, .pass = {.in = in}};
	int err;

	if (in < 0) {
		err = -errno;
		log_error("%s: cannot be read again: %s", path, strerror(-err));
		return err;
	}
	fd = open_out(path, in, out, force);
	if (fd < 0)
		return fd;
	ret->facts = facts_of(found);
	err = write_all(&p, path, fd, ret);
	fmt_writer_free(p.w);
	buf_release(&p.pass.payload);
	if (!err)
		return 0;
	(void)unlink(out);
	log_error("cannot write %s: %s", out, err == -ESTALE ? "the damaged file changes while it is read" : strerror(-err));
	return err;
}
