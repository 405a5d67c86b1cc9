/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * marker.h: pairs of functions that the user put around what may block (`record --marker START,END`), and where they are: for validation, both views side
 * by side. The names are looked up before anything is attached; the probes are the kernel side's (kernel_side.h).
 *
 * What names a function, of START and END each:
 *
 *	SYMBOL		of the target's main program: linker name (_ZN...), or readable path (orders::checkout::begin)
 *	0xADDRESS	in the main program
 *	FILE:SYMBOL, FILE:0xADDRESS
 *			FILE is a path (with a slash), or the name of a library that a target has mapped (libfoo, libfoo.so, libfoo.so.1)
 *
 * An address is the file's own, as nm(1) and objdump(1) print it, not an offset in the file; it must be one where a function begins, because a probe in the middle
 * of an instruction would break the program.
 */
#pragma once

#include "base/base.h"
#include "record/target.h"

enum { MARKER_MAX_PAIRS = 8, MARKER_MAX_PLACES = 256 };

struct marker_name {
	char *file; /* owned; NULL: the main program */
	char *name; /* owned; symbol, or 0xADDRESS */
};

struct marker_pair {
	const char *text;	    /* as the user gave it; borrowed */
	struct marker_name side[2]; /* START, END */
};

struct marker_list {
	struct marker_pair pairs[MARKER_MAX_PAIRS];
	u32 n;
};

/* Adds a pair. 0, or negative after it said on stderr what is wrong. text is borrowed for as long as the list lives. */
int marker_add(struct marker_list *l, const char *text) __must_check;
void marker_list_release(struct marker_list *l);

/* Where a probe goes. */
struct marker_place {
	int fd;	 /* the file; borrowed from struct marker_places */
	u64 off; /* file offset */
	u32 pair;
	u32 end; /* 0 START, 1 END */
};

struct marker_file; /* private */

struct marker_places {
	struct marker_place rows[MARKER_MAX_PLACES];
	u32 n;
	struct marker_file *files; /* owned */
	u32 n_files;
};

/*
 * Finds the functions in the files of the targets: in each of several main programs that has them. command is argv of one that does not run yet, or NULL. 0,
 * or negative after it said what is missing or ambiguous, with names that are near. To be released in any case.
 */
int marker_resolve(const struct marker_list *l, const struct target_list *targets, char **command,
		   struct marker_places *ret) __must_check;
void marker_places_release(struct marker_places *p);
