/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * embed.h: `record --embed`: when the capture is closed, `ascope bundle` puts names into it. It runs in a process of its own, which is made before the recorder
 * gives up its privileges, for the recorder then can neither read other users' programs nor replace a file of root's. It has the rights of who asked: under
 * sudo the invoking user's, else the caller's; so it can do what he could do by hand, and no more.
 *
 * Until it is told to go on it holds a pipe and the roots of containers, and reads nothing; it learns nothing from the recorder but that it is time: what it
 * runs was settled when it was made. When the recorder ends without a word, so does it. What goes wrong here costs the names, never the capture.
 */
#pragma once

#include <sys/types.h>

#include "base/base.h"
#include "record/target.h"

enum embed { EMBED_NONE, EMBED_LIBS, EMBED_ALL };

struct embedder {
	pid_t pid; /* 0 none */
	int go_fd;
};

#define EMBEDDER_INIT ((struct embedder){.pid = 0, .go_fd = -1})

/*
 * Whether names can be put into what is written to path: 0, or -EINVAL after it said why not (standard output, a FIFO: they are gone once written).
 */
int embed_check(const char *path) __must_check;

/*
 * Makes the process for the capture at `path` (relative to the current directory), first of all: while the recorder is small, and has its rights. Of targets
 * whose root is another (containers) files are looked for there, too, even when they have ended by then. With EMBED_NONE there is nothing to do. That it could
 * not be made is said, and costs the names.
 */
void embed_start(struct embedder *e, enum embed what, const char *path, const struct target_list *targets, bool quiet);

/* The capture is there, whole: adds the names and waits. What went wrong has been said. */
void embed_run(struct embedder *e, const char *path);

/* Lets it end without a word, when it did not run. */
void embed_stop(struct embedder *e);
