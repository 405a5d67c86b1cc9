/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * output.h: where the bytes of a capture go: a regular file, or whatever standard output or a FIFO is. Implements struct fmt_sink.
 *
 *	output_open()      before anything is attached: refusals are said here
 *	output_sink()      for fmt_writer_new_to()
 *	output_begin()     the recording has begun: only now an older file of that name is replaced
 *	output_room()      is there room for the end? asked while recording, so that a full disk is noticed before it tears a block
 *	output_closing()   what follows is the end of the file
 *	output_close()
 *
 * Invariants:
 *  1. A file holds whole writes only: a torn one is cut off again. It never exceeds max_size or RLIMIT_FSIZE.
 *  2. After the first error nothing is written, and nothing is synced, any more; every call returns that error.
 *  3. A reader that does not read stalls nobody but this process, and that only as long as on_wait() agrees. Nothing is queued.
 */
#pragma once

#include "base/base.h"
#include "format/fmt_writer.h"

struct output;

struct output_opts {
	const char *path; /* "-": standard output, which must not be a terminal. Borrowed until output_close() */
	bool force;	  /* may replace a regular file */
	u64 max_size;	  /* bytes; 0: no limit */
	int wake_fd;	  /* while a pipe's reader is slow this is watched, too; -1: none */
	/*
	 * Called when wake_fd is readable and every 100 ms while the output takes nothing; waited: ns since it took something. 0: wait on; a negative errno
	 * becomes the write's error. NULL: waits for ever.
	 */
	int (*on_wait)(void *ctx, u64 waited);
	void *ctx;
};

/* Why there is no room. */
enum output_full { OUTPUT_HAS_ROOM, OUTPUT_MAX_SIZE, OUTPUT_FILE_LIMIT, OUTPUT_DISK_FULL, OUTPUT_DISK_QUOTA };

/*
 * A file is made for its owner only (0600), never through a symbolic link; under sudo it is the invoking user's. With force and an older regular file of
 * that name, the new one has a name of its own until output_begin(). A FIFO that exists is opened when it has a reader. SIGPIPE and SIGXFSZ are
 * ignored from here on. 0, or a negative errno after saying why.
 */
int output_open(const struct output_opts *opts, struct output **ret) __must_check;

struct fmt_sink output_sink(struct output *o);

/* 0, or a negative errno after saying why. Needs the privileges that output_open() had. */
int output_begin(struct output *o) __must_check;

/*
 * Whether `need` more bytes can be written, whatever else fills the disk: where the file system can (fallocate(2)) they are set aside. Output that is no
 * file, or whose file system cannot, always has room.
 */
enum output_full output_room(struct output *o, u64 need);
u64 output_left(const struct output *o); /* bytes up to max_size or RLIMIT_FSIZE; UINT64_MAX: no limit */

/* From here on a sync is waited for; before, it goes on behind the caller's back and its error comes with a later write. */
void output_closing(struct output *o);

int output_err(const struct output *o) __must_check; /* the first one of a write or sync; 0 */
const char *output_advice(int err);		     /* what that error means here and what to do: "the disk is full: ..." */

/*
 * Gives back what was set aside, closes, frees. With `keep` false the file was never begun and is removed. 0, or what close(2) said of bytes that
 * were written. Accepts NULL.
 */
int output_close(struct output *o, bool keep);
