/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bundle_file.h: a capture again, with more rows behind its blocks. The capture itself is replaced only by a file that is whole and on the disk, and
 * only when it is still what was read; otherwise it stays as it is.
 */
#pragma once

#include "format/fmt_reader.h"
#include "format/fmt_writer.h"

struct bundle_file_opts {
	const char *path; /* of the capture */
	int in;		  /* it, open for reading since before r was; borrowed */
	const char *out;  /* new file; NULL: beside the capture, then renamed over it */
	bool force;	  /* overwrite out */
	int (*write_more)(void *ctx, struct fmt_writer *w);
	void *ctx;
};

/* r is a reader of path. 0 and the new file's size, or a negative errno after it said why on stderr; then no new file is left. */
int bundle_file_write(const struct bundle_file_opts *o, struct fmt_reader *r, u64 *ret_bytes) __must_check;
