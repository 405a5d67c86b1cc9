/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cgroup.c: see cgroup.h. */
#include "record/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"

#define MAX_CGROUP_TEXT ((size_t)64 << 10) /* of /proc/PID/cgroup: one line a hierarchy, a path is at most PATH_MAX */

/* Whether `word` is one of n bytes of words parted by commas. */
static bool has_word(const char *list, size_t n, const char *word)
{
	const char *end = list + n;

	while (list < end) {
		size_t len = strcspn(list, ",");

		len = len < (size_t)(end - list) ? len : (size_t)(end - list);
		if (len == strlen(word) && !memcmp(list, word, len))
			return true;
		list += len + 1;
	}
	return false;
}

static int copy_text(const char *s, size_t len, char *buf, size_t n)
{
	if (len >= n)
		return -ENAMETOOLONG;
	memcpy(buf, s, len);
	buf[len] = 0;
	return 0;
}

/* "1:cpu,cpuacct:/path" for v1, "0::/path" for v2; a name may hold a colon, but no newline. */
int cgroup_path_of(const char *text, char *buf, size_t n, bool *ret_v1)
{
	static const char deleted[] = " (deleted)";
	const char *path = NULL;
	size_t len = 0;
	bool v1 = false;

	for (const char *line = text; *line && !v1; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t size = strcspn(line, "\n");
		const char *names = memchr(line, ':', size);
		const char *at = names ? memchr(names + 1, ':', size - (size_t)(names + 1 - line)) : NULL;

		if (!at || at[1] != '/')
			continue;
		v1 = has_word(names + 1, (size_t)(at - names - 1), "cpu");
		if (v1 || (at == names + 1 && line[0] == '0' && names == line + 1)) {
			path = at + 1;
			len = size - (size_t)(path - line);
		}
	}
	if (!path)
		return -ENOENT;
	if (len > sizeof(deleted) - 1 && !memcmp(path + len - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1))
		len -= sizeof(deleted) - 1;
	if (ret_v1)
		*ret_v1 = v1;
	return copy_text(path, len, buf, n);
}

int cgroup_of_process(const struct procfs *fs, u32 pid, char *buf, size_t n)
{
	_cleanup_close_ int fd = proc_open_cgroup(fs, pid);
	_cleanup_buf_ struct buf b = BUF_INIT;
	int err = fd < 0 ? fd : fd_read_all(fd, &b, MAX_CGROUP_TEXT);

	if (err)
		return err;
	buf_putc(&b, 0);
	err = buf_err(&b);
	return err ? err : cgroup_path_of((const char *)b.data, buf, n, NULL);
}

/* ---- mounts ---- */

static size_t word_len(const char *at)
{
	return strcspn(at, " \n");
}

/* The word behind this one; at the end of the line an empty one. */
static const char *next_word(const char *at)
{
	at += word_len(at);
	return at + strspn(at, " ");
}

static bool word_is(const char *at, const char *word)
{
	return word_len(at) == strlen(word) && !strncmp(at, word, word_len(at));
}

/* A word, whose blanks the kernel writes as \040 and the like (octal). "" when it does not fit. */
static void copy_word(const char *at, char *buf, size_t n)
{
	const char *end = at + word_len(at);
	size_t len = 0;

	while (at < end && len + 1 < n) {
		char c = *at++;

		if (c == '\\' && end - at >= 3 && at[0] >= '0' && at[0] <= '3') {
			c = (char)(((at[0] - '0') << 6) + ((at[1] & 7) << 3) + (at[2] & 7));
			at += 3;
		}
		buf[len++] = c;
	}
	buf[at < end ? 0 : len] = 0;
}

/* A mount of a whole hierarchy is better than one of a part of it. */
static void keep_mount(struct cgroup_mount *m, const char *root, const char *point)
{
	if (*m->point && !strcmp(m->root, "/"))
		return;
	copy_word(root, m->root, sizeof(m->root));
	copy_word(point, m->point, sizeof(m->point));
}

/* "31 23 0:28 ROOT POINT OPTIONS [TAG:N ...] - TYPE SOURCE SUPER_OPTIONS" */
static void parse_mount(const char *line, struct cgroup_mounts *ret)
{
	const char *root = next_word(next_word(next_word(line))), *point = next_word(root), *type = point, *options;

	while (word_len(type) && !word_is(type, "-"))
		type = next_word(type);
	type = next_word(type);
	options = next_word(next_word(type));
	if (word_is(type, "cgroup2"))
		keep_mount(&ret->v2, root, point);
	else if (word_is(type, "cgroup") && has_word(options, word_len(options), "cpu"))
		keep_mount(&ret->v1, root, point);
}

void cgroup_mounts_parse(const char *text, struct cgroup_mounts *ret)
{
	*ret->v1.point = *ret->v1.root = *ret->v2.point = *ret->v2.root = 0;
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		parse_mount(line, ret);
}

void cgroup_mounts_read(struct cgroup_mounts *ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int err = file_read_all("/proc/self/mountinfo", &b, (size_t)16 << 20);

	cgroup_mounts_parse(err ? "" : (const char *)b.data, ret);
}

/* ---- files ---- */

static bool leaves_the_namespace(const char *path)
{
	return !strncmp(path, "/..", 3) && (path[3] == '/' || !path[3]);
}

int cgroup_stat_path(const struct cgroup_mount *m, const char *cgroup, char *buf, size_t n)
{
	size_t root = strlen(m->root), used;

	if (!*m->point || *cgroup != '/' || leaves_the_namespace(cgroup))
		return -ENOENT;
	if (root > 1) { /* only what is below it can be seen */
		if (strncmp(cgroup, m->root, root) != 0 || (cgroup[root] && cgroup[root] != '/'))
			return -ENOENT;
		cgroup += root;
	}
	used = strlen(cgroup);
	while (used && cgroup[used - 1] == '/')
		used--;
	if ((size_t)snprintf(buf, n, "%s%.*s/cpu.stat", m->point, (int)used, cgroup) >= n)
		return -ENAMETOOLONG;
	return 0;
}

bool cgroup_to_parent(char *path)
{
	char *last = strrchr(path, '/');

	if (!last || !path[1])
		return false;
	last[last == path] = 0;
	return true;
}

/* The number behind `key` at the start of a line. */
static bool counter_of(const char *text, const char *key, u64 *ret)
{
	size_t n = strlen(key);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char *end;

		if (strncmp(line, key, n) != 0 || line[n] != ' ' || line[n + 1] < '0' || line[n + 1] > '9')
			continue;
		*ret = strtoull(line + n + 1, &end, 10);
		return *end == '\n' || !*end;
	}
	return false;
}

int cgroup_counts_parse(const char *text, struct cgroup_counts *ret)
{
	struct cgroup_counts c = {0};
	u64 us;

	if (!counter_of(text, "nr_throttled", &c.periods))
		return -ENOENT;
	if (counter_of(text, "throttled_usec", &us))
		c.throttled_ns = us <= UINT64_MAX / 1000 ? us * 1000 : 0;
	else if (!counter_of(text, "throttled_time", &c.throttled_ns))
		c.throttled_ns = 0;
	*ret = c;
	return 0;
}
