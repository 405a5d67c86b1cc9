/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * library_table.h: the one table of libraries: whose code a crate is when no source file tells, what library and of what kind a
 * frame is, and what to try against a block. Built in are the rules of report/libraries.txt; users' files have the same format
 * (doc/ascope-libraries.5) and go before them. Used by frame_kind.c, list_names.c and refine.c. Immutable once loaded.
 *
 * Invariant: of rules for the same question the first one that matches decides, in the order: --libraries files as given, the
 * user's configuration file, the built-in ones.
 */
#pragma once

#include "base/base.h"
#include "report/frame_kind.h"

#define LIBRARY_MAX_FILES  16	     /* --libraries options */
#define LIBRARY_MAX_TEXT   (1 << 20) /* bytes of one file */
#define LIBRARY_MAX_LINE   1024	     /* bytes of one line */
#define LIBRARY_MAX_RULES  5000	     /* rules of all of a user's files together */
#define LIBRARY_MAX_PREFIX 128	     /* bytes of a path */
#define LIBRARY_MAX_WORD   32	     /* bytes of a category, class or detail */

struct library_table;

/*
 * The user's files, the configuration file ($XDG_CONFIG_HOME/ascope/libraries, else ~/.config/ascope/libraries; only when it is
 * there), the built-in rules. 0, and the caller frees *ret; -EINVAL for a mistake and -errno for a file that cannot be read,
 * after it was said on stderr where and what; -ENOMEM.
 */
int library_table_load(const char *const *files, u32 n_files, struct library_table **ret) __must_check;

/* The built-in rules alone. 0 or -ENOMEM. */
int library_table_builtin(struct library_table **ret) __must_check;

struct library_table *library_table_free(struct library_table *t); /* accepts NULL, returns NULL */

static inline void library_table_free_p(struct library_table **t)
{
	*t = library_table_free(*t);
}
#define _cleanup_library_table_ _cleanup_(library_table_free_p)

/* Where and what is wrong with a text. */
struct library_error {
	u32 line; /* from 1 */
	const char *what;
};

/*
 * Adds the rules of n bytes of text behind those there are. 0, -ENOMEM, or -EINVAL and *reterr; the table is then only good for
 * being freed. For the loader, and for tests: the others get a table that is whole.
 */
int library_table_new(struct library_table **ret) __must_check;
int library_table_add(struct library_table *t, const char *text, size_t n, struct library_error *reterr) __must_check;
int library_table_finish(struct library_table *t) __must_check; /* after the last text; 0 or -ENOMEM */

/* A number that changes when any rule does. */
u64 library_table_hash(const struct library_table *t);

/* Whether a crate ("hyper") is known to be a library: some `library` rule begins with it. */
bool library_table_has_crate(const struct library_table *t, const char *crate, size_t n);

/*
 * What `code` rules say of a frame: true and *ret (user, library, runtime). crate is that of the implementing item, "" none;
 * function and file may be NULL.
 */
bool library_table_code(const struct library_table *t, const char *function, const char *file, enum frame_kind *ret);

/*
 * The library that a frame belongs to, as `library` rules name it; a crate that no rule knows has its own name. NULL for frames
 * that are no library's: the user's (unless a rule names their path), native ones, and those of std and the runtime that no rule
 * names. buf is where a crate's own name goes; *ret_is_known tells which.
 */
const char *library_table_name(const struct library_table *t, const char *function, const char *file, enum frame_kind kind,
			       char *buf, size_t n);

/* The kind of library that a name (as library_table_name() gives it) stands for: "database", "files"; "" unknown. Borrowed from the table. */
const char *library_table_category(const struct library_table *t, const char *name);

/*
 * What to try, for a wait (or cpu) of this class and detail (NULL unknown). names: the libraries it came through, each ended by a
 * newline, the one that counts most first; may be "". NULL when there is nothing to say. Borrowed from the table.
 */
const char *library_table_try(const struct library_table *t, const char *cls, const char *detail, const char *names);

/*
 * True when a function's path is under `prefix`, trait and generic forms included: "<std::fs::File as std::io::Read>::read" is
 * under "std::fs".
 */
bool library_function_matches(const char *function, const char *prefix);

/* The same by source file, for functions whose names have no path: std's modules, crates of the registry and their modules. */
bool library_file_matches(const char *file, const char *prefix);
