/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* output.c: see output.h. */
#include "record/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Under sudo the file belongs to who asked, who will want to copy it. */
static void give_to_invoker(int fd)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");

	if (uid && gid && geteuid() == 0)
		(void)!fchown(fd, (uid_t)strtoul(uid, NULL, 10), (gid_t)strtoul(gid, NULL, 10));
}

int output_open(const char *path, bool force)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (force ? O_TRUNC : O_EXCL), fd;

	if (!strcmp(path, "-")) {
		if (isatty(STDOUT_FILENO)) {
			log_error("will not write a capture to a terminal; use -o FILE, or a pipe");
			return -EINVAL;
		}
		fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	} else {
		fd = open(path, flags, 0600);
	}
	if (fd < 0) {
		int err = -errno;

		if (err == -EEXIST)
			log_error("%s exists; choose another name with -o, or overwrite it with --force", path);
		else if (err == -ELOOP)
			log_error("%s is a symbolic link; ascope does not write through links", path);
		else
			log_error("cannot write %s: %s", path, strerror(-err));
		return err;
	}
	give_to_invoker(fd);
	return fd;
}
