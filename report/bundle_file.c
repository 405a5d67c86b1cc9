/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_file.c: see bundle_file.h. */
#include "report/bundle_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "report/block_pass.h"

#define LEVEL 9 /* zstd: names are read often and written once */

/* Where the new file goes. */
struct place {
	char *final; /* resolved: a link is followed, what it leads to is replaced */
	char *temp;  /* NULL: the file is written under its final name */
	int fd;
};

static void place_release(struct place *p)
{
	free(p->final);
	free(p->temp);
	if (p->fd >= 0)
		(void)close(p->fd);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int refuse_out(const struct bundle_file_opts *o, int err)
{
	if (err == -EEXIST)
		log_error("%s exists; choose another name with -o, or overwrite it with --force", o->out);
	else if (err == -ELOOP)
		log_error("%s is a symbolic link; ascope does not write through links", o->out);
	else if (err == -EBUSY)
		log_error("%s is %s itself; leave -o out to replace it when the new file is whole", o->out, o->path);
	else if (err == -ESPIPE)
		log_error("%s is not a regular file; choose another name with -o", o->out);
	else
		log_error("cannot write %s: %s", o->out, strerror(-err));
	return err;
}

static int open_out(const struct bundle_file_opts *o, struct place *p)
{
	struct stat a, b;
	int err = 0;

	p->final = strdup(o->out); /* first: nothing may fail between the file's making and its writing */
	if (!p->final)
		return refuse_out(o, -ENOMEM);
	p->fd = open(o->out, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | (o->force ? 0 : O_EXCL), 0600);
	if (p->fd < 0)
		return refuse_out(o, -errno);
	if (fstat(o->in, &a) < 0 || fstat(p->fd, &b) < 0)
		err = -errno;
	if (!err && same_file(&a, &b))
		err = -EBUSY;
	if (!err && !S_ISREG(b.st_mode))
		err = -ESPIPE;
	if (!err && o->force && ftruncate(p->fd, 0) < 0)
		err = -errno;
	return err ? refuse_out(o, err) : 0;
}

/* The new file has the old one's mode and, where that is permitted, its owner. */
static int open_beside(const struct bundle_file_opts *o, struct place *p)
{
	struct stat st;
	int err = fstat(o->in, &st) < 0 ? -errno : 0;

	p->final = realpath(o->path, NULL);
	if (!err && (!p->final || asprintf(&p->temp, "%s.bundle.XXXXXX", p->final) < 0)) {
		p->temp = NULL;
		err = p->final ? -ENOMEM : -errno;
	}
	if (!err) {
		p->fd = mkostemp(p->temp, O_CLOEXEC);
		if (p->fd < 0)
			err = -errno;
	}
	if (err) {
		log_error("cannot write a new file beside %s: %s; write it elsewhere with -o OUT", o->path, strerror(-err));
		free(TAKE_PTR(p->temp));
		return err;
	}
	if ((st.st_uid != geteuid() || st.st_gid != getegid()) && fchown(p->fd, st.st_uid, st.st_gid) < 0)
		log_debug("%s becomes this user's", o->path);
	(void)fchmod(p->fd, st.st_mode & 0777);
	return 0;
}

/* Nothing of the file is verified here that was not before, but what changed since is noticed. */
static int write_all(const struct bundle_file_opts *o, struct fmt_reader *r, int fd, u64 *ret_bytes)
{
	struct block_pass pass = {.in = o->in};
	struct fmt_writer *w = NULL;
	struct fmt_block b;
	int err = fmt_writer_new(fd, fmt_reader_info(r)->uuid, LEVEL, &w), n = 0;

	pass.w = w;
	fmt_reader_want(r, NULL);
	fmt_reader_rewind(r);
	while (!err && (n = fmt_reader_next(r, &b)) == 1)
		err = block_pass(&pass, &b);
	if (!err)
		err = n;
	if (!err && (fmt_reader_health(r)->blocks_damaged || fmt_reader_health(r)->blocks_missing))
		err = -ESTALE;
	if (!err)
		err = o->write_more(o->ctx, w);
	if (!err)
		err = fmt_writer_finish(w);
	if (!err)
		*ret_bytes = fmt_writer_stats(w)->bytes;
	fmt_writer_free(w);
	buf_release(&pass.payload);
	return err;
}

/* The capture is what it was when it was opened. */
static bool is_unchanged(const struct bundle_file_opts *o, const struct stat *before)
{
	struct stat now;

	return stat(o->path, &now) == 0 && same_file(&now, before) && now.st_size == before->st_size &&
	       now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec;
}

static int put_in_place(const struct bundle_file_opts *o, const struct place *p, const struct stat *before)
{
	_cleanup_close_ int dir = -1;
	char *slash;

	if (!p->temp)
		return 0;
	if (!is_unchanged(o, before))
		return -ESTALE;
	if (rename(p->temp, p->final) < 0)
		return -errno;
	slash = strrchr(p->final, '/'); /* realpath() gave it: there is one */
	slash[slash == p->final] = 0;
	dir = open(p->final, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		(void)fsync(dir);
	return 0;
}

int bundle_file_write(const struct bundle_file_opts *o, struct fmt_reader *r, u64 *ret_bytes)
{
	_cleanup_(place_release) struct place p = {.fd = -1};
	struct stat before;
	int err = o->out ? open_out(o, &p) : open_beside(o, &p);

	if (err)
		return err;
	if (fstat(o->in, &before) < 0)
		err = -errno;
	if (!err)
		err = write_all(o, r, p.fd, ret_bytes);
	if (!err)
		err = put_in_place(o, &p, &before);
	if (!err)
		return 0;
	(void)unlink(p.temp ? p.temp : p.final);
	log_error("cannot write %s: %s; %s is as it was", p.temp ? p.temp : p.final,
		  err == -ESTALE ? "the capture changes while it is read" : strerror(-err), o->path);
	return err;
}
