/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym.h: names for code addresses of one ELF file: DWARF functions, lines and every inlined frame, else the symbol table.
 * One struct sym_module per file; not thread-safe.
 */
#pragma once

#include "base/base.h"

#define SYM_BUILD_ID_MAX 64 /* bytes of a build-id this code accepts */

enum sym_source { SYM_NONE = 0, SYM_SYMTAB = 1, SYM_DWARF = 2 };

/* One function at an address; innermost inlined function first. Strings are the module's, valid until sym_module_close(). */
struct sym_frame {
	/*
	 * Demangled (legacy, v0, C++), without hash and `.llvm.` suffixes; never NULL, "??" when there is only a line. Closures
	 * and async bodies end in {closure#0}, {async_fn#0}, ... when the debug info tells which, else legacy ones in
	 * {{closure}}. Debug info of line tables alone names inlined functions without their path ("get", "{async_fn#0}"); the
	 * path of an async body is taken from its caller's type arguments where these name just one.
	 */
	const char *function;
	const char *file; /* as the compiler was given it: absolute, or relative to the compilation directory; NULL unknown */
	u32 line;	  /* 0 unknown */
	bool inlined;	  /* inlined into the next one */
	/*
	 * The name in the debug info where that has type arguments the linker's name lost: "poll<orders::tick::{async_fn_env#0},
	 * ...>". NULL none. Of a task's outer frames it tells the type of the future.
	 */
	const char *typed_name;
};

#define SYM_MAX_INLINE 64

struct sym_module;

/*
 * Opens an ELF file. -ENOENT, -EACCES ... from open(2); -ENOEXEC not an ELF this code reads. *reterr_why (may be NULL) gets a
 * static phrase.
 */
int sym_module_open(const char *path, struct sym_module **ret, const char **reterr_why) __must_check;
struct sym_module *sym_module_close(struct sym_module *m); /* accepts NULL, returns NULL */

/* A file of split DWARF: the package of a program (.dwp), or the file of one unit (.dwo). */
struct sym_split_want {
	const char *comp_dir; /* directory the compiler ran in, as the unit has it; NULL none */
	const char *name;     /* of the .dwo, as the unit has it; NULL: the package is wanted */
	u64 dwo_id;	      /* which the unit in it must have; the reader checks it */
	u32 nth;	      /* how many candidates were opened before and were not it */
};

/* What a module is read from. File descriptors: -1 none; they stay the caller's, who may close them once this is open. */
struct sym_input {
	int fd;	      /* ELF file with the code, or one of debug information alone */
	int debug_fd; /* separate debug information */
	int alt_fd;   /* what dwz moved out of the file with DWARF */
	/*
	 * Gives a file descriptor that the module then owns, or -errno (-ENOENT: no further candidate). NULL: there is no split
	 * DWARF to be had. Called at any time until sym_module_close().
	 */
	int (*open_split)(void *ctx, const struct sym_split_want *want);
	void *ctx;
};

/* As sym_module_open(), but opens nothing by name: whatever is read comes out of the input. */
int sym_module_open_fd(const struct sym_input *in, struct sym_module **ret, const char **reterr_why) __must_check;

/* Units of split DWARF that were needed for a lookup and could not be had. */
u32 sym_module_split_missing(const struct sym_module *m);

/* Hex of the GNU build-id into buf (2 * SYM_BUILD_ID_MAX + 1 bytes); -ENODATA when the file has none. */
int sym_module_build_id(const struct sym_module *m, char *buf) __must_check;

/* Content id of a file without build-id, as fmt_file_id() gives it, into buf (FMT_FILE_ID_LEN bytes); 0 or -errno. */
int sym_module_file_id(const struct sym_module *m, char *buf) __must_check;

/* What names this file can give. */
enum sym_source sym_module_source(const struct sym_module *m);

/*
 * How much of the code DWARF describes, percent. A program built without debug info still brings the standard library's DWARF
 * (SYM_DWARF), but then this is well below 100: its own functions have names, but no lines and no inlined frames.
 */
u32 sym_module_dwarf_percent(const struct sym_module *m);

/*
 * Names of the code at a file offset (of the ELF file, not a virtual address); for return addresses the caller passes is_return
 * and offset - 1 is looked up. Writes up to `max` frames, innermost first, and returns how many; 0 when there is no name;
 * negative errno on failure.
 */
int sym_module_lookup(struct sym_module *m, u64 file_off, bool is_return, struct sym_frame *ret, u32 max) __must_check;

struct task_answer;

/*
 * The type of the tasks whose vtable has these functions (file offsets; 0 not known) into *ret (task_find.h): 0, also when nothing can be told of it;
 * negative errno.
 */
int sym_module_task(struct sym_module *m, u64 poll_off, u64 dealloc_off, struct task_answer *ret) __must_check;
