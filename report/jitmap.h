/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * jitmap.h: the names that a JIT compiler writes to /tmp/perf-PID.map, by address. Pure functions of bytes that a stranger wrote;
 * no I/O. Called by load_perfmap.c.
 *
 * The format (linux tools/perf/Documentation/jit-interface.txt): lines "START SIZE NAME", both numbers hexadecimal, the name up to
 * the end of the line. Files are only ever appended to, so where lines overlap, the later one tells what is there now.
 */
#pragma once

#include "report/sym_ranges.h"

#define JITMAP_MAX_LINES (1U << 22) /* further ones are not read */
#define JITMAP_MAX_NAME	 1024	    /* bytes; longer names are cut there */

/* Bytes of the map's text, as the stranger wrote them: not NUL-terminated, anything but a newline may be in them. */
struct jitmap_text {
	const char *s;
	size_t n;
};

struct jitmap_line; /* private */

struct jitmap {
	const char *text; /* borrowed */
	struct jitmap_line *lines;
	struct sym_ranges ranges; /* owner: number of the line */
	u64 names;		  /* lines that were read */
	u64 malformed; /* lines that were not: no two numbers, no name, no byte of code, or past the end of the address space */
};

#define JITMAP_INIT ((struct jitmap){0})

/*
 * Reads n bytes (below 4 GiB), which must stay where they are until release. An empty line is no line; one that ends without a
 * newline counts. 0 or -ENOMEM; release in any case.
 */
int jitmap_parse(struct jitmap *m, const char *text, size_t n) __must_check;
void jitmap_release(struct jitmap *m);

/* The name at an address, cut at JITMAP_MAX_NAME; false when no line covers it. */
bool jitmap_find(const struct jitmap *m, u64 addr, struct jitmap_text *ret);

struct jitmap_symbol {
	struct jitmap_text function;
	struct jitmap_text file; /* n 0: none */
	u64 line;		 /* 0 unknown */
};

/*
 * A name that ends in " FILE:LINE:COLUMN", as V8 writes them ("JS:*get total /srv/app/x.js:10:3"), taken apart; any other is a
 * function as a whole. Function and file may hold blanks: the file begins with the first word that looks like a path or URL ("/",
 * "file:", "node:", "C:\"), else it is the last word; "file://" in front of it is taken away.
 */
struct jitmap_symbol jitmap_split(struct jitmap_text name);
