/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* output_impl.h: what output.c and output_open.c share; nobody else includes it. */
#pragma once

#include <sys/types.h>

#include "record/output.h"
#include "record/syncer.h"

enum output_kind {
	OUTPUT_FILE,
	OUTPUT_NONBLOCK, /* a pipe of which this is an open file of our own, so that O_NONBLOCK is nobody else's */
	OUTPUT_SOCKET,
	OUTPUT_BLOCKING, /* anything else: written in small pieces, each after poll(2) */
};

struct output {
	struct output_opts opts;
	enum output_kind kind;
	int fd;
	int err;	   /* of the first write or sync that failed; negative */
	u64 base;	   /* of a file: where the capture begins in it; 0 but for `>>` */
	u64 written;	   /* bytes, from base on as are the two below */
	u64 step;	   /* what is set aside beyond what is asked for, next time */
	u64 reserved;	   /* blocks are set aside up to here */
	u64 limit;	   /* UINT64_MAX: none */
	bool limit_is_own; /* max_size, not RLIMIT_FSIZE */
	bool can_reserve;
	bool is_closing;
	u64 progress;	       /* when a byte was taken last, CLOCK_MONOTONIC ns */
	char *new_name;	       /* the file's until output_begin(), when it replaces another; NULL */
	bool is_made;	       /* by us under opts.path */
	struct syncer *syncer; /* of a file */
};

/* Removes what output_open() made, if it is still there under its name. */
void output_remove(const struct output *o);
