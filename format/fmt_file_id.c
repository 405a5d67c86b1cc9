/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_file_id.c: see fmt_file_id.h. The first page holds the ELF and program headers, which differ between any two builds that matter. */
#include "format/fmt_file_id.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/fdio.h"

int fmt_file_id(int fd, char ret[FMT_FILE_ID_LEN])
{
	u8 head[4096];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	n = fd_pread_full(fd, head, sizeof(head), 0);
	if (n < 0)
		return (int)n;
	(void)snprintf(ret, FMT_FILE_ID_LEN, "%016" PRIx64, (u64)XXH3_64bits_withSeed(head, (size_t)n, (u64)st.st_size));
	return 0;
}
