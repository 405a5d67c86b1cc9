/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * gzip.h: writes one gzip member (RFC 1952) to a stream: DEFLATE (RFC 1951) with its fixed codes and matches within 32 KiB. A file format that is gzip by
 * definition, as pprof's, needs no library for it. No name and no time are written: the same bytes give the same bytes.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

struct gzip;

/* A stream whose bytes reach `out` compressed; out is borrowed. NULL: no memory. Closed by gzip_close(), not by fclose(). */
FILE *gzip_open(FILE *out, struct gzip **ret);

/* Writes what is left and the trailer, and frees both. 0, -EIO or -ENOMEM; errors of `out` stay in it, too. Accepts NULL. */
int gzip_close(FILE *f, struct gzip *z) __must_check;
