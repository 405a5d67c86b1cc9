/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_source.c: see fmt_source.h.
 *
 * A search keeps its window between calls: in a file full of magics each byte is still read from the disk once. Small reads are
 * served from the window when they lie in it.
 */
#include "format/fmt_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"

int fmt_source_open(struct fmt_source *s, const char *path)
{
	/* a FIFO is refused below, not waited for */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESPIPE;
	*s = (struct fmt_source){.fd = take_fd(&fd), .size = (u64)st.st_size};
	return 0;
}

void fmt_source_close(struct fmt_source *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->window);
	*s = (struct fmt_source){.fd = -1};
}

static ssize_t read_at(struct fmt_source *s, u64 off, void *p, size_t n)
{
	ssize_t got;

	if (off >= s->size)
		return 0;
	n = (size_t)min_u64(n, s->size - off);
	got = fd_pread_full(s->fd, p, n, off);
	if (got < 0)
		return got;
	s->bytes_read += (u64)got;
	if ((size_t)got < n)
		s->size = off + (u64)got;
	return got;
}

ssize_t fmt_source_read(struct fmt_source *s, u64 off, void *p, size_t n)
{
	if (off >= s->window_off && off - s->window_off <= s->window_len && n <= s->window_len - (off - s->window_off)) {
		memcpy(p, s->window + (off - s->window_off), n);
		return (ssize_t)n;
	}
	return read_at(s, off, p, n);
}

/* Reads the window anew, from off on. */
static int move_window(struct fmt_source *s, u64 off)
{
	ssize_t got;

	if (!s->window)
		s->window = malloc(FMT_SOURCE_WINDOW);
	if (!s->window)
		return -ENOMEM;
	s->window_len = 0;
	got = read_at(s, off, s->window, FMT_SOURCE_WINDOW);
	if (got < 0)
		return (int)got;
	s->window_off = off;
	s->window_len = (size_t)got;
	return 0;
}

/* The next place that is no hole: zeros hold no magic. off itself where the file system does not tell. */
static u64 skip_hole(const struct fmt_source *s, u64 off)
{
	off_t data = lseek(s->fd, (off_t)off, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? s->size : off;
	return max_u64(off, (u64)data);
}

/* In the window, whose first byte of interest is at off: the place of the pattern, or NULL. */
static const u8 *find_in_window(const struct fmt_source *s, u64 off, const struct fmt_pattern *pattern)
{
	const u8 *p = s->window + (off - s->window_off), *end = s->window + s->window_len;

	for (; end - p >= 4; p++) {
		p = memmem(p, (size_t)(end - p), pattern->magic, sizeof(pattern->magic));
		if (!p)
			return NULL;
		if ((size_t)(end - p) < pattern->tail_at + sizeof(pattern->tail) ||
		    !memcmp(p + pattern->tail_at, pattern->tail, sizeof(pattern->tail)))
			return p;
	}
	return NULL;
}

int fmt_source_find(struct fmt_source *s, u64 from, u64 to, const struct fmt_pattern *pattern, u64 *ret_off)
{
	u64 off = from;

	while (off < min_u64(to, s->size) && s->size - off >= 4) {
		const u8 *p;
		int err;

		if (off < s->window_off || off + 4 > s->window_off + s->window_len) {
			off = skip_hole(s, off);
			if (off >= min_u64(to, s->size))
				break;
			err = move_window(s, off);
			if (err)
				return err;
			if (s->window_len < 4)
				break;
		}
		p = find_in_window(s, off, pattern);
		if (p) {
			*ret_off = s->window_off + (u64)(p - s->window);
			return *ret_off < to;
		}
		off = s->window_off + s->window_len - 3; /* it may begin in the last three bytes */
	}
	return 0;
}
