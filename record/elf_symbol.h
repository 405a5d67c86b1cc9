/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * elf_symbol.h: functions of an ELF file by name, and whether an address is where one begins: for probes on functions that the user names (marker.h).
 * The file is the target's own, and untrusted like any.
 *
 * Sources: System V gABI 4.1 chapter 4 (symbol table); Linux Standard Base Core 5.0 section 10.6.2 (.eh_frame_hdr).
 */
#pragma once

#include "base/base.h"
#include "record/elf_view.h"

struct elf_function {
	const char *name; /* linker name, in elf_functions.strings */
	u64 addr;	  /* as nm(1) prints it */
};

/* Those of .symtab and .dynsym, sorted by address. Zero-initialise; release in any case. */
struct elf_functions {
	struct elf_function *rows;
	size_t n, cap;
	char *strings[2]; /* owned */
	u64 *fdes;	  /* owned; addresses where call frame information begins: each is an instruction of its own */
	size_t n_fdes;
};

/* 0, -ENOMEM, -EIO. A table that makes no sense counts as absent. */
int elf_functions_read(const struct elf_view *v, struct elf_functions *ret) __must_check;
void elf_functions_release(struct elf_functions *f);

/* Whether a function, or a part of one that the compiler moved away, begins at this address. */
bool elf_functions_begin_at(const struct elf_functions *f, u64 addr);

/* The functions with this linker name (a version behind @ left out), else with this readable name (demangle.h): how many addresses, of which up to max are
 * written, each with one of its names. -ENOMEM. */
int elf_functions_find(const struct elf_functions *f, const char *name, struct elf_function *ret, u32 max) __must_check;

/* A function that the user may have meant. */
struct elf_near {
	char *name; /* owned; readable */
	u64 addr;
	u32 score; /* the larger the nearer */
};

/*
 * Puts functions with names near to this one among the `max` best of near[0..*n), sorted, best first. 0 or -ENOMEM.
 */
int elf_functions_near(const struct elf_functions *f, const char *name, struct elf_near *near, u32 *n, u32 max) __must_check;

/* The file offset of an address, which must lie in an executable segment; -ENOENT. */
int elf_file_offset(const struct elf_view *v, u64 addr, u64 *ret) __must_check;
