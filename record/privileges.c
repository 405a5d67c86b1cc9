/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* privileges.c: see privileges.h. capabilities(7), user_namespaces(7). */
#include "record/privileges.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"

#define OVERFLOW_ID 65534 /* Documentation/admin-guide/sysctl/fs.rst: overflowuid */

/* An id that sudo names; it is only believed for giving up root. */
static u32 id_from(const char *name)
{
	const char *text = getenv(name);
	u64 id;

	return text && parse_u64(text, &id) == 0 && id && id < UINT32_MAX ? (u32)id : OVERFLOW_ID;
}

static int drop_root(void)
{
	gid_t gid = id_from("SUDO_GID");
	uid_t uid = id_from("SUDO_UID");

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

int privileges_drop(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	int err = geteuid() == 0 ? drop_root() : 0;

	if (err)
		return err;
	if (syscall(SYS_capset, &head, none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int privileges_become_invoker(void)
{
	/* Not root: what the program file gives (setcap) is the recorder's. no_new_privs does not take away at exec what is held. */
	if (geteuid() != 0 || (id_from("SUDO_UID") != OVERFLOW_ID && id_from("SUDO_GID") != OVERFLOW_ID))
		return privileges_drop();
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

bool privileges_bpf_works_without(int array_map_fd, size_t value_size)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		void *value = calloc(1, value_size);
		u32 key = 0;

		if (!value || privileges_drop() < 0)
			_exit(1);
		_exit(bpf_map_lookup_elem(array_map_fd, &key, value) == 0 ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
