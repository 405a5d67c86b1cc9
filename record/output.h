/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* output.h: opens the file that a capture is written to. */
#pragma once

#include "base/base.h"

/*
 * "-" is standard output, which must not be a terminal. A file is made for its owner only (0600), never through a symbolic link, and replaces another only with
 * force; under sudo it is the invoking user's. Returns a new fd, or a negative errno after saying why.
 */
int output_open(const char *path, bool force) __must_check;
