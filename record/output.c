/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* output.c: see output.h. How a file is opened is in output_open.c. */
#include "record/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "record/output_impl.h"

/* Set aside beyond what is asked for, so that the file system is asked about once a second. What a killed recorder leaves behind its file is about this. */
#define RESERVE_STEP  ((u64)1 << 20)
#define RESERVE_LEAST ((u64)4 << 10)

enum { WAIT_MS = 100, EINTR_TRIES = 8 };

/* ---- regular files ---- */

static int file_write(struct output *o, const void *p, size_t n)
{
	int err = fd_write_full(o->fd, p, n);

	if (err)
		(void)!ftruncate(o->fd, (off_t)(o->base + o->written)); /* a torn block at the end is what readers skip */
	return err;
}

/* posix_fallocate(3) would write zeros where the file system cannot. */
static int set_aside(struct output *o, u64 to)
{
	for (int i = 0; i < EINTR_TRIES; i++) {
		if (fallocate(o->fd, FALLOC_FL_KEEP_SIZE, (off_t)(o->base + o->reserved), (off_t)(to - o->reserved)) == 0) {
			o->reserved = to;
			return 0;
		}
		if (errno != EINTR)
			return -errno;
	}
	return -EINTR;
}

/*
 * What is left of a disk may be less than a step: the step is halved until it fits, and remembered, so that a disk that is all but full is not asked
 * again and again.
 */
static enum output_full reserve(struct output *o, u64 need)
{
	for (;;) {
		int err = set_aside(o, min_u64(o->written + need + o->step, o->limit));

		if (!err) {
			o->step = o->step ? min_u64(2 * o->step, RESERVE_STEP) : RESERVE_LEAST;
			return OUTPUT_HAS_ROOM;
		}
		if (err != -ENOSPC && err != -EDQUOT) {
			o->can_reserve = false; /* EOPNOTSUPP, and whatever else: a write will tell */
			return OUTPUT_HAS_ROOM;
		}
		if (!o->step)
			return err == -EDQUOT ? OUTPUT_DISK_QUOTA : OUTPUT_DISK_FULL;
		o->step = o->step > RESERVE_LEAST ? o->step / 2 : 0;
	}
}

u64 output_left(const struct output *o)
{
	return o->limit == UINT64_MAX ? UINT64_MAX : o->limit - min_u64(o->limit, o->written);
}

enum output_full output_room(struct output *o, u64 need)
{
	if (need > output_left(o))
		return o->limit_is_own ? OUTPUT_MAX_SIZE : OUTPUT_FILE_LIMIT;
	if (!o->can_reserve || o->reserved >= o->written + need)
		return OUTPUT_HAS_ROOM;
	return reserve(o, need);
}

/* ---- pipes and the like ---- */

/* Until it takes more, or on_wait() has enough. */
static int wait_for_reader(struct output *o)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = o->fd, .events = POLLOUT}, {.fd = o->opts.wake_fd, .events = POLLIN}};
		int n = poll(fds, ARRAY_SIZE(fds), WAIT_MS), err = 0;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (o->opts.on_wait && (n <= 0 || fds[1].revents))
			err = o->opts.on_wait(o->opts.ctx, clock_ns(CLOCK_MONOTONIC) - o->progress);
		if (err || (n > 0 && fds[0].revents)) /* POLLERR, too: the write says what it is */
			return err;
	}
}

static ssize_t stream_write_some(const struct output *o, const u8 *p, size_t n)
{
	if (o->kind == OUTPUT_SOCKET)
		return send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* poll(2) has said that there is room for this much: pipe(7) */
	return write(o->fd, p, o->kind == OUTPUT_BLOCKING ? min_u64(n, PIPE_BUF) : n);
}

static int stream_write(struct output *o, const void *p, size_t n)
{
	const u8 *at = p;

	o->progress = clock_ns(CLOCK_MONOTONIC);
	while (n) {
		ssize_t done;
		int err = o->kind == OUTPUT_BLOCKING ? wait_for_reader(o) : 0;

		if (err)
			return err;
		done = stream_write_some(o, at, n);
		if (done > 0) {
			at += done;
			n -= (size_t)done;
			o->progress = clock_ns(CLOCK_MONOTONIC);
		} else if (!done) {
			return -EIO;
		} else if (errno == EAGAIN) {
			err = wait_for_reader(o);
			if (err)
				return err;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* ---- the sink ---- */

static int sink_write(void *ctx, const void *p, size_t n)
{
	struct output *o = ctx;

	if (!o->err && o->syncer)
		o->err = syncer_err(o->syncer);
	if (!o->err && n > output_left(o))
		o->err = -EFBIG;
	if (!o->err)
		o->err = o->kind == OUTPUT_FILE ? file_write(o, p, n) : stream_write(o, p, n);
	if (!o->err)
		o->written += n;
	return o->err;
}

static int sink_sync(void *ctx)
{
	struct output *o = ctx;

	if (!o->err && o->syncer)
		o->err = o->is_closing ? syncer_now(o->syncer) : syncer_request(o->syncer);
	return o->err;
}

struct fmt_sink output_sink(struct output *o)
{
	return (struct fmt_sink){.ctx = o, .write = sink_write, .sync = sink_sync};
}

void output_closing(struct output *o)
{
	o->is_closing = true;
}

int output_err(const struct output *o)
{
	return o->err;
}

const char *output_advice(int err)
{
	switch (-err) {
	case ENOSPC:
		return "the disk is full: free some space, or record to another disk with -o";
	case EDQUOT:
		return "the disk quota is used up: free some space, or record to another disk with -o";
	case EFBIG:
		return "the file may not grow further: see --max-size, ulimit -f and the limits of the file system";
	case EIO:
		return "the disk reports an error (the kernel's log says more): record to another disk with -o";
	case EPIPE:
	case ECONNRESET:
		return "the reader went away";
	case ETIMEDOUT:
		return "the reader did not read for 10 s";
	case ECANCELED:
		return "stopped again before the end was written";
	default:
		return strerror(-err);
	}
}

int output_close(struct output *o, bool keep)
{
	int err = 0;

	if (!o)
		return 0;
	o->syncer = syncer_free(o->syncer);
	/* the same size again: what lies behind it is freed (ext4, xfs, btrfs, tmpfs) */
	if (o->kind == OUTPUT_FILE && o->reserved > o->written)
		(void)!ftruncate(o->fd, (off_t)(o->base + o->written));
	if (!keep)
		output_remove(o);
	if (close(o->fd) < 0 && errno != EINTR) /* NFS and quotas tell of lost writes here */
		err = -errno;
	free(o->new_name);
	free(o);
	return err;
}
