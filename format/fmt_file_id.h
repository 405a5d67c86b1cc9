/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_file_id.h: the content id of a file that has no build-id. FORMAT.md section 6, module. */
#pragma once

#include "base/base.h"

#define FMT_FILE_ID_LEN 17 /* 16 hex digits and NUL */

/* xxh3-64 of the first 4096 bytes, seeded with the size in bytes. 0 or -errno of fstat(2), pread(2). */
int fmt_file_id(int fd, char ret[FMT_FILE_ID_LEN]) __must_check;
