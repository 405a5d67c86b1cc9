/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * parse.h: strict numbers from text: no sign, no blanks, no trailing bytes, overflow refused. All return 0, -EINVAL or -ERANGE.
 */
#pragma once

#include "base/base.h"

int parse_u64(const char *s, u64 *ret) __must_check;	     /* decimal */
int parse_duration(const char *s, u64 *ret_ns) __must_check; /* 10ms, 2.5s, 3m, 1h, 250us, 40ns; a bare number is seconds */
int parse_size(const char *s, u64 *ret_bytes) __must_check;  /* 64k, 10M, 1G (powers of 1024), bare = bytes */
