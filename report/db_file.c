/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * db_file.c: see db_file.h. A temporary's name ends in the process's id and a part of its own: in containers that share a directory many processes
 * have the same id.
 */
#include "report/db_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "report/db.h"

/* A load writes all the time: a temporary this old whose process is gone was left by a kill. */
#define STALE_SECONDS 600

/* The process whose id a temporary's name ends in, or begins to: 12345.aB3xYz. */
static bool is_alive(const char *pid_text)
{
	u64 pid = 0;

	for (const char *p = pid_text; *p >= '0' && *p <= '9' && pid <= INT32_MAX; p++)
		pid = pid * 10 + (u64)(*p - '0');
	if (!pid || pid > INT32_MAX)
		return true; /* no such name */
	/* another process had this one's id: it has made none yet */
	return (pid_t)pid != getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

static void remove_if_stale(int dir_fd, const char *name, const char *pid_text)
{
	struct stat st;

	if (is_alive(pid_text))
		return;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    time(NULL) - st.st_mtime < STALE_SECONDS)
		return;
	(void)unlinkat(dir_fd, name, 0);
}

/* Removes what killed loads of the same database left in its directory. */
static void remove_stale(const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	size_t n = strlen(prefix);

	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d))
		if (strncmp(e->d_name, prefix, n) == 0)
			remove_if_stale(dirfd(d), e->d_name, e->d_name + n);
	(void)closedir(d);
}

/* Directory of a path, "." when it has none; NULL on ENOMEM. */
static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int db_file_create_temp(const char *path, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT, prefix = BUF_INIT;
	_cleanup_free_ char *dir = dir_of(path), *prefix_text = NULL, *temp = NULL;
	_cleanup_close_ int fd = -1;
	const char *slash = strrchr(path, '/');

	buf_printf(&prefix, "%s.tmp.", slash ? slash + 1 : path);
	prefix_text = buf_take_str(&prefix);
	buf_printf(&b, "%s.tmp.%d.XXXXXX", path, (int)getpid());
	temp = buf_take_str(&b);
	if (!dir || !prefix_text || !temp)
		return -ENOMEM;
	remove_stale(dir, prefix_text);
	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return -errno;
	*ret = TAKE_PTR(temp);
	return 0;
}

static int sync_path(const char *path, int flags)
{
	_cleanup_close_ int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return fsync(fd) < 0 ? -errno : 0;
}

int db_file_sync(const char *path)
{
	return sync_path(path, O_RDONLY);
}

/* Removes what SQLite keeps under names of its own beside the database that is replaced: it would be applied to the new one. */
static int remove_companions(const char *path)
{
	static const char *const ends[] = {"-journal", "-wal", "-shm"};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_free_ char *name = NULL;

		buf_printf(&b, "%s%s", path, ends[i]);
		name = buf_take_str(&b);
		if (!name)
			return -ENOMEM;
		if (unlink(name) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/*
 * Keeps others from writing to what is at path until it is closed, and ends what a killed one began. Later ones fail by themselves: SQLite begins no journal
 * for a file that has lost its name. -EBUSY or 0; what is no database needs no lock.
 */
static int lock_old(const char *path, sqlite3 **ret)
{
	int err = access(path, F_OK) < 0 ? -errno : db_open_rw(path, ret);

	if (err)
		return 0;
	(void)sqlite3_busy_timeout(*ret, DB_FILE_WAIT_MS);
	return db_exec(*ret, "BEGIN IMMEDIATE") == -EBUSY ? -EBUSY : 0;
}

int db_file_replace(const char *temp, const char *path)
{
	_cleanup_free_ char *dir = dir_of(path);
	_cleanup_db_ sqlite3 *old = NULL;
	int err = dir ? lock_old(path, &old) : -ENOMEM;

	if (!err)
		err = remove_companions(path);
	if (!err && rename(temp, path) < 0)
		err = -errno;
	if (!err)
		(void)sync_path(dir, O_RDONLY | O_DIRECTORY);
	return err;
}
