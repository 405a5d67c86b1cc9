/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wait_detail.c: see wait_detail.h. */
#include "report/wait_detail.h"

#include <string.h>

/* One word for several calls, each with a blank around it; a call that is not here has no word. */
struct call_word {
	const char *word, *calls;
};

static const struct call_word network_words[] = {
	{"connect", " connect "},
	{"accept", " accept accept4 "},
	{"read", " read readv recvfrom recvmsg recvmmsg pread64 preadv preadv2 "},
	{"write", " write writev sendto sendmsg sendmmsg sendfile splice pwrite64 pwritev pwritev2 "},
	{"poll", " poll ppoll "},
	{"close", " close shutdown "},
};

static const struct call_word disk_words[] = {
	{"read", " read readv pread64 preadv preadv2 readahead "},
	{"write", " write writev pwrite64 pwritev pwritev2 "},
	{"copy", " sendfile splice copy_file_range tee vmsplice "},
	{"fsync", " fsync fdatasync sync syncfs sync_file_range msync "},
	{"open", " open openat openat2 creat "},
	{"stat", " stat lstat fstat newfstatat statx access faccessat faccessat2 readlink readlinkat statfs fstatfs "},
	{"readdir", " getdents getdents64 "},
	{"lock", " flock fcntl "},
	{"rename", " rename renameat renameat2 "},
	{"unlink", " unlink unlinkat rmdir "},
	{"mkdir", " mkdir mkdirat "},
	{"link", " link linkat symlink symlinkat "},
	{"truncate", " truncate ftruncate fallocate "},
	{"close", " close "},
	{"exec", " execve execveat "},
};

static const struct call_word process_words[] = {
	{"wait", " wait4 waitid "},
	{"spawn", " vfork clone clone3 "},
};

static const struct call_word other_words[] = {
	{"io_uring", " io_uring_enter "},
	{"signal", " pause rt_sigsuspend rt_sigtimedwait "},
	{"semaphore", " semop semtimedop "},
	{"message queue", " msgrcv msgsnd mq_timedreceive mq_timedsend "},
	{"memory map", " mmap munmap mprotect mremap madvise brk "},
	{"random", " getrandom "},
};

static const char *word_of(const struct call_word *words, size_t n, const char *call)
{
	size_t len = strlen(call);

	for (size_t i = 0; i < n; i++)
		for (const char *p = words[i].calls; (p = strstr(p, call)) != NULL; p++)
			if (p[-1] == ' ' && p[len] == ' ')
				return words[i].word;
	return NULL;
}

const char *wait_detail_of_call(struct wait_verdict verdict, u64 syscall)
{
	const char *call = syscall_name(syscall);

	if (verdict.rule == RULE_EVENT_LOOP)
		return "event loop";
	if (verdict.rule == RULE_PIPE)
		return "pipe";
	if (verdict.rule == RULE_DEVICE)
		return "device";
	if (!call)
		return NULL;
	switch (verdict.cls) {
	case CLASS_NETWORK:
		return word_of(network_words, ARRAY_SIZE(network_words), call);
	case CLASS_DISK:
		return word_of(disk_words, ARRAY_SIZE(disk_words), call);
	case CLASS_PROCESS:
		return word_of(process_words, ARRAY_SIZE(process_words), call);
	case CLASS_OTHER:
		return word_of(other_words, ARRAY_SIZE(other_words), call);
	default:
		return NULL;
	}
}
