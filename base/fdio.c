/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fdio.c: whole reads and writes on descriptors; used by the capture writer and reader and by what looks into /proc. */
#include "base/fdio.h"

#include <errno.h>
#include <fcntl.h>

enum { READ_CHUNK = 1 << 16 };

int fd_write_full(int fd, const void *p, size_t n)
{
	const u8 *at = p;

	while (n) {
		ssize_t done = write(fd, at, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!done)
			return -EIO; /* no progress and no reason: never loop on it */
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

ssize_t fd_pread_full(int fd, void *p, size_t n, u64 off)
{
	u8 *at = p;
	size_t got = 0;

	if (off > INT64_MAX || n > INT64_MAX - off)
		return -EOVERFLOW;
	while (got < n) {
		ssize_t done = pread(fd, at + got, n - got, (off_t)(off + got));

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!done)
			break;
		got += (size_t)done;
	}
	return (ssize_t)got;
}

/* read(2), but for EINTR. */
static ssize_t read_some(int fd, void *to, size_t room)
{
	for (;;) {
		ssize_t done = read(fd, to, room);

		if (done >= 0)
			return done;
		if (errno != EINTR)
			return -errno;
	}
}

/* The buffer is full: 0 when the file ends just here, -EFBIG when it goes on. */
static int expect_end(int fd)
{
	u8 probe;
	ssize_t done = read_some(fd, &probe, 1);

	return done > 0 ? -EFBIG : (int)done;
}

int fd_read_all(int fd, struct buf *ret, size_t max)
{
	size_t start = ret->len;
	size_t room_in_buf = (ret->max ? ret->max : BUF_MAX_DEFAULT) - start;

	if (buf_err(ret))
		return buf_err(ret);
	if (max > room_in_buf)
		max = room_in_buf;
	for (;;) {
		size_t left = max - (ret->len - start);
		size_t room = left < READ_CHUNK ? left : READ_CHUNK;
		u8 *to = room ? buf_reserve(ret, room) : NULL;
		ssize_t done = to ? read_some(fd, to, room) : room ? buf_err(ret) : expect_end(fd);

		if (done > 0) {
			ret->len += (size_t)done;
			continue;
		}
		if (done < 0)
			ret->len = start;
		return (int)done;
	}
}

int file_read_all(const char *path, struct buf *ret, size_t max)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t start = ret->len;
	u8 *end;
	int err;

	if (fd < 0)
		return -errno;
	err = fd_read_all(fd, ret, max);
	if (err)
		return err;
	/* The NUL counts against the buffer's own maximum, though not against `max`: a file of exactly that size is refused. */
	end = buf_reserve(ret, 1);
	if (!end) {
		ret->len = start;
		return buf_err(ret);
	}
	*end = '\0';
	return 0;
}

int memstream_close(FILE *f, char *const *text)
{
	return fclose(f) == 0 && *text ? 0 : -ENOMEM;
}
