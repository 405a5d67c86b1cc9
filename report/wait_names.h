/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wait_names.h: what the names of a stack's frames say of a wait, beyond what its system call said (classify.h): a name lookup, a
 * page fault inside the kernel, which kind of lock. Pure functions of text, called by list_names.c for each list of frames and by
 * reclass.c for each wait; every row of the tables in wait_names.c has a case in tests/unit/test_wait_names.c.
 *
 * Sources of the names: Rust's library/std/src/sys/sync and library/std/src/sync (1.63 to 1.95), glibc 2.31 to 2.41, musl 1.2,
 * parking_lot 0.11 to 0.12, crossbeam-channel 0.5, flume 0.10 to 0.11, kanal 0.1, tokio 1.20 to 1.54, futures 0.3; Linux 5.15 to
 * 6.18.
 */
#pragma once

#include "base/base.h"
#include "report/frame_kind.h"

/* One frame of a user stack; static. */
struct name_hint {
	const char *cls;    /* the class of wait that this is about: "lock", "network" */
	const char *detail; /* NULL: belongs to the lock's own code, says nothing of its kind */
	u8 level; /* of the frames of one lock's code the highest counts: a channel parks a thread, by a condvar, with a mutex */
};

/* NULL: says nothing. function and file may be NULL. */
const struct name_hint *name_hint_of(const char *function, const char *file, enum frame_kind kind);

/* getaddrinfo and its like, of libc or std. */
bool name_is_lookup(const char *function, enum frame_kind kind);

/* One frame of a kernel stack: a row of a table, the smaller the more it counts; 0 says nothing. */
u32 kernel_hint_of(const char *function);

/* A user stack's frames, innermost first, up to the user's own code: what is further out called the code that waits. */
struct name_scan {
	const char *lock, *network; /* details; static, NULL none */
	u8 level;		    /* of lock */
	bool is_weak;		    /* lock is the thread's parking alone: only good when the caller's frames are all known */
	bool lock_ended, ended;
	bool is_lookup;
};

struct scan_frame {
	const char *file; /* NULL unknown */
	enum frame_kind kind;
	const struct name_hint *hint;
	bool is_lookup;
	bool is_task_poll;
};

void name_scan_frame(struct name_scan *s, const struct scan_frame *f);

/* What is known of a wait; texts borrowed. */
struct wait_words {
	const char *cls, *rule, *detail; /* as in table offcpu; rule and detail may be NULL */
};

/* What stacks say of it: details from name_scan, kernel from kernel_hint_of(). */
struct wait_says {
	const char *lock, *network;
	bool is_lookup;
	u32 kernel;
};

/*
 * Puts what the stacks say into *w: the class goes over to fault, dns, other, pipe or disk where design 35-blocking says so, else
 * the detail is made finer. Applied twice it does what it does once. True when it changed anything.
 */
bool wait_words_refine(struct wait_words *w, const struct wait_says *s);
