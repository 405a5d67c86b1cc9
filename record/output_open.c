/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * output_open.c: opens what a capture is written to (output.h).
 *
 * What is there already: nothing -> O_CREAT | O_EXCL; a regular file, with force -> a new file beside it, renamed over it by output_begin(), so that a
 * recording that cannot begin destroys nothing, and an older reader keeps the file that it has open; a FIFO -> its reader is waited for; a link, a
 * device, a folder -> refused. rename(2) and O_EXCL follow no link, whatever is put there in between.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/parse.h"
#include "record/output_impl.h"

enum { FIFO_POLL_MS = 50, PIPE_BYTES = 1 << 20 };

/* Who called sudo. false: nobody. */
static bool invoker(uid_t *uid, gid_t *gid)
{
	const char *u = getenv("SUDO_UID"), *g = getenv("SUDO_GID");
	u64 un, gn;

	if (!u || !g || geteuid() != 0 || parse_u64(u, &un) < 0 || parse_u64(g, &gn) < 0 || un >= UINT32_MAX || gn >= UINT32_MAX)
		return false;
	*uid = (uid_t)un;
	*gid = (gid_t)gn;
	return true;
}

/* Under sudo the file belongs to who asked, who will want to copy it. */
static void give_to_invoker(int fd)
{
	uid_t uid;
	gid_t gid;

	if (invoker(&uid, &gid))
		(void)!fchown(fd, uid, gid);
}

static int say(const char *path, int err)
{
	if (err == -EEXIST)
		log_error("%s exists; choose another name with -o, or overwrite it with --force", path);
	else if (err == -ELOOP)
		log_error("%s is a symbolic link; ascope does not write through links", path);
	else
		log_error("cannot write %s: %s", path, strerror(-err));
	return err;
}

/* ---- what is not there yet, or is replaced ---- */

static int make_file(struct output *o)
{
	o->fd = open(o->opts.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return say(o->opts.path, -errno);
	o->is_made = true;
	give_to_invoker(o->fd);
	return 0;
}

static int make_successor(struct output *o)
{
	int err;

	if (asprintf(&o->new_name, "%s.XXXXXX", o->opts.path) < 0) {
		o->new_name = NULL;
		return -ENOMEM;
	}
	o->fd = mkostemp(o->new_name, O_CLOEXEC); /* 0600 and O_EXCL */
	if (o->fd < 0) {
		err = -errno;
		log_error("cannot write %s, which is to replace %s: %s", o->new_name, o->opts.path, strerror(-err));
		free(TAKE_PTR(o->new_name));
		return err;
	}
	give_to_invoker(o->fd);
	return 0;
}

int output_begin(struct output *o)
{
	struct stat st;

	if (!o->new_name)
		return 0;
	/* others may have put something there since; a name that is gone is as good */
	if (lstat(o->opts.path, &st) == 0 && !S_ISREG(st.st_mode)) {
		log_error("%s is no regular file any more; --force replaces only those", o->opts.path);
		return -EEXIST;
	}
	if (rename(o->new_name, o->opts.path) < 0)
		return say(o->opts.path, -errno);
	free(TAKE_PTR(o->new_name));
	o->is_made = true;
	return 0;
}

void output_remove(const struct output *o)
{
	const char *name = o->new_name ? o->new_name : o->is_made ? o->opts.path : NULL;
	struct stat named, opened;

	if (name && lstat(name, &named) == 0 && fstat(o->fd, &opened) == 0 && named.st_dev == opened.st_dev &&
	    named.st_ino == opened.st_ino)
		(void)unlink(name);
}

/* ---- what is there ---- */

/*
 * One that someone else put into a shared folder could make root write for him. A FIFO without a reader refuses to be opened (ENXIO, fifo(7)): it is
 * asked again, so that who starts the reader later is served, too.
 */
static int open_fifo(struct output *o, const struct stat *st)
{
	uid_t uid = 0;
	gid_t gid;
	bool waited = false;

	if (st->st_uid != geteuid() && !(invoker(&uid, &gid) && st->st_uid == uid)) {
		log_error("%s is a FIFO of another user; ascope writes only to your own", o->opts.path);
		return -EPERM;
	}
	for (;;) {
		struct pollfd wake = {.fd = o->opts.wake_fd, .events = POLLIN};

		o->fd = open(o->opts.path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		if (o->fd >= 0)
			return 0;
		if (errno != ENXIO)
			return say(o->opts.path, -errno);
		if (!waited)
			log_info("nobody reads from %s yet: waiting", o->opts.path);
		waited = true;
		if (poll(&wake, 1, FIFO_POLL_MS) > 0 && o->opts.on_wait && o->opts.on_wait(o->opts.ctx, 0))
			return -EINTR;
	}
}

static int open_path(struct output *o)
{
	const char *path = o->opts.path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? make_file(o) : say(path, -errno);
	if (S_ISLNK(st.st_mode))
		return say(path, -ELOOP);
	if (S_ISFIFO(st.st_mode))
		return open_fifo(o, &st);
	if (!S_ISREG(st.st_mode)) {
		log_error("%s is no regular file; ascope writes captures to files, FIFOs and standard output (-o -)", path);
		return -EEXIST;
	}
	return o->opts.force ? make_successor(o) : say(path, -EEXIST);
}

static int open_stdout(struct output *o)
{
	if (isatty(STDOUT_FILENO)) {
		log_error("will not write a capture to a terminal; use -o FILE, or a pipe");
		return -EINVAL;
	}
	o->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return o->fd < 0 ? say("standard output", -errno) : 0;
}

/* ---- what it is ---- */

static int look_at_file(struct output *o, const struct stat *st)
{
	int flags = fcntl(o->fd, F_GETFL);
	off_t at = flags >= 0 && (flags & O_APPEND) ? st->st_size : lseek(o->fd, 0, SEEK_CUR);
	struct rlimit rl;

	o->kind = OUTPUT_FILE;
	o->base = at > 0 ? (u64)at : 0;
	o->can_reserve = true;
	if (getrlimit(RLIMIT_FSIZE, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY &&
	    rl.rlim_cur - min_u64(o->base, rl.rlim_cur) < o->limit) {
		o->limit = rl.rlim_cur - min_u64(o->base, rl.rlim_cur);
		o->limit_is_own = false;
	}
	return syncer_new(o->fd, &o->syncer);
}

/*
 * O_NONBLOCK belongs to the open file, which standard output shares with others who do not expect it (a shell, another writer of the pipe): a pipe is
 * opened once more. Where that is not permitted it is written in pieces that fit, poll(2) says when.
 */
static void look_at_pipe(struct output *o)
{
	char path[32];
	int own;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (own >= 0) {
		(void)close(o->fd);
		o->fd = own;
		o->kind = OUTPUT_NONBLOCK;
	}
	(void)fcntl(o->fd, F_SETPIPE_SZ, PIPE_BYTES); /* a second or so of a slow reader */
}

static int look_at(struct output *o)
{
	struct stat st;

	if (fstat(o->fd, &st) < 0)
		return say(o->opts.path, -errno);
	if (S_ISREG(st.st_mode))
		return look_at_file(o, &st);
	o->kind = S_ISSOCK(st.st_mode) ? OUTPUT_SOCKET : OUTPUT_BLOCKING;
	if (S_ISFIFO(st.st_mode))
		look_at_pipe(o);
	return 0;
}

int output_open(const struct output_opts *opts, struct output **ret)
{
	struct output *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	*o = (struct output){.opts = *opts,
			     .fd = -1,
			     .limit = opts->max_size ? opts->max_size : UINT64_MAX,
			     .limit_is_own = opts->max_size > 0};
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	err = strcmp(opts->path, "-") != 0 ? open_path(o) : open_stdout(o);
	if (!err)
		err = look_at(o);
	if (err) {
		if (o->fd >= 0)
			(void)output_close(o, false);
		else
			free(o);
		return err;
	}
	*ret = o;
	return 0;
}
