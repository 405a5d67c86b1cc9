/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_find.h: finds the files that a module's names can be taken from, by their ids, never by their names alone. Called by
 * symbolize.c (report, report/bundle) in the parent process: it opens and checks headers (sym_file.h); who reads more of a file
 * is the child.
 *
 * Order: --target, --debug-dir, beside the capture, the current directory, the recorded path, and for separate debug information
 * .gnu_debuglink, /usr/lib/debug, debuginfod when it was asked for. The first file with DWARF ends the search.
 */
#pragma once

#include "base/base.h"
#include "report/sym.h"
#include "report/sym_file.h"

/* Where to look; borrowed. */
struct sym_finder {
	const char *capture; /* its directory is searched */
	const char *const *targets;
	u32 n_targets;
	const char *const *debug_dirs;
	u32 n_debug_dirs;
	const char *system_dir; /* NULL: /usr/lib/debug */
	bool debuginfod;	/* ask the servers in $DEBUGINFOD_URLS (sym_fetch.h) */
};

/* The module whose files are wanted; borrowed. build_id, file_id: NULL unknown. */
struct sym_want {
	const char *path, *build_id, *file_id;
};

/* What was found; owned by the caller, sym_found_release(). */
struct sym_found {
	int fd;		  /* file with the code, or of debug information alone; -1 none */
	int debug_fd;	  /* separate debug information of it; -1 none, or not needed */
	int alt_fd;	  /* what dwz moved out of the file with DWARF; -1 none */
	char *path;	  /* of fd */
	char *debug_path; /* of debug_fd; NULL none */
	char *alt_path;	  /* of alt_fd; NULL none */
	/*
	 * What was found and refused: "PATH is another build (its build-id is ...)". With a file that was found: what is missing
	 * besides, "PATH, where dwz put some of its names, is not on this machine". NULL nothing.
	 */
	char *why;
	/*
	 * Names all files that names come from ("PATH + PATH"): when it is what it was the last time, nothing new is to be had. Of
	 * .dwo files, which are many, the directories they are looked for in stand for them.
	 */
	char *from;
	struct sym_file facts; /* of fd, has_dwarf and has_symtab of both */
};

/* 1 and *ret; 0 when there is no such file: then ret->why may say what was refused. -ENOMEM. Release *ret in any case. */
int sym_find(const struct sym_finder *f, const struct sym_want *w, struct sym_found *ret) __must_check;
void sym_found_release(struct sym_found *found);

/*
 * A file descriptor of a .dwp or .dwo of a module that was found (as sym_input.open_split wants it): a regular file in a place
 * where this module's split debug information may be. -ENOENT. The caller owns it.
 */
int sym_find_split(const struct sym_finder *f, const struct sym_want *w, const struct sym_found *found,
		   const struct sym_split_want *split) __must_check;
