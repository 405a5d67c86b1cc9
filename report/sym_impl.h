/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_impl.h: the parts of a struct sym_module; included by report/sym_*.c only.
 *
 *   sym_elf     the file: load segments (file offset <-> ELF address), build-id
 *   sym_symtab  functions of .symtab or .dynsym by address
 *   sym_ranges  address ranges with owners
 *   sym_abbrev  shapes of the entries of .debug_info
 *   sym_scope   one compilation unit's functions and inlined calls by address (own scan of .debug_info)
 *   sym_dwarf   compilation units by address, lines, names (libdw)
 *   sym_split   units of split DWARF, out of .dwo and .dwp files
 *   sym_image   sections as a file in memory, for libdw
 *   sym_rangelist  addresses and ranges of split units
 *   sym_name    names as they are handed out
 *   sym_task    types of tasks (task_find.h)
 *   sym_module  the public face: DWARF first, symbol table where DWARF has nothing
 *
 * An ELF file is untrusted: every count below has a maximum, and whatever does not make sense is skipped, which costs names.
 */
#pragma once

#include <elfutils/libdw.h>
#include <gelf.h>
#include <libelf.h>

#include "base/base.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "report/sym.h"
#include "report/sym_ranges.h"

/* ---- sym_elf ---- */

#define SYM_MAX_SEGMENTS 256

struct sym_segment {
	u64 addr; /* p_vaddr */
	u64 off;  /* p_offset */
	u64 size; /* p_filesz, clipped so that neither addr + size nor off + size wraps */
	bool is_exec;
};

struct sym_elf {
	int fd; /* -1 closed */
	Elf *elf;
	u64 size;      /* of the file, bytes */
	int elf_class; /* ELFCLASS32 or ELFCLASS64 */
	u16 machine;   /* e_machine */
	bool is_big;   /* most significant byte first */
	struct sym_segment segments[SYM_MAX_SEGMENTS];
	u32 n_segments;
	u8 build_id[SYM_BUILD_ID_MAX];
	u32 build_id_len; /* 0 none */
};

/* Duplicates fd. A file of debug information alone gets the segments that the file had whose code was taken out. */
int sym_elf_open(struct sym_elf *e, int fd, const char **reterr_why) __must_check;
void sym_elf_release(struct sym_elf *e);

/* The section of this name, or NULL. */
Elf_Scn *sym_elf_section(const struct sym_elf *e, const char *name);

/* ELF address of a file offset; false when no load segment holds it. */
bool sym_elf_addr_of(const struct sym_elf *e, u64 file_off, u64 *ret_addr);

/* End of the executable segment that holds this address; 0 when none does. */
u64 sym_elf_exec_end(const struct sym_elf *e, u64 addr);

/* ---- sym_symtab ---- */

struct sym_symbol {
	u64 addr;
	u64 end;     /* behind the last byte */
	u64 max_end; /* largest end of this symbol and all before it: where a search backwards may stop */
	u32 name;    /* offset in the string table */
	u32 rank;    /* of two symbols at one address the higher one names it */
};

struct sym_symtab {
	struct sym_symbol *symbols; /* by address, one each */
	u32 n;
	Elf *elf;	/* whose these are; borrowed */
	size_t strings; /* section index of the names */
};

/* Reads .symtab, or .dynsym when that has no functions. No functions at all is no error: n is 0. */
int sym_symtab_read(struct sym_symtab *t, const struct sym_elf *e) __must_check;
void sym_symtab_release(struct sym_symtab *t);

/* Linker name of the function at an address, or NULL. Owned by the ELF file. */
const char *sym_symtab_name(const struct sym_symtab *t, u64 addr);

/* ---- sym_abbrev ---- */

/* Reads bytes of a section; after the first read that does not fit, is_broken is set and every read gives 0. */
struct sym_cursor {
	const u8 *p, *end;
	bool is_big; /* most significant byte first */
	bool is_broken;
};

u64 sym_cursor_uint(struct sym_cursor *c, u32 bytes); /* bytes: 0-8 */
u64 sym_cursor_uleb(struct sym_cursor *c);
void sym_cursor_skip(struct sym_cursor *c, u64 bytes);

/* A section as libdw has it in memory (decompressed). */
struct sym_section {
	const u8 *data;
	size_t size;
};

/* Contents of a section, decompressed; empty for NULL, and when it cannot be read. */
struct sym_section sym_section_bytes(Elf_Scn *scn);

/* ---- sym_image ---- */

struct sym_image_section {
	const char *name;
	struct sym_section data;
};

struct sym_image {
	u8 *bytes;
	Elf *elf;
	Dwarf *dbg;
};

/* An ELF file of these sections (copied) for the machine of `like`: 0; -EFBIG, -EBADMSG it cannot be; -ENOMEM. */
int sym_image_make(struct sym_image *im, const struct sym_elf *like, const struct sym_image_section *v, u32 n) __must_check;
void sym_image_release(struct sym_image *im);

/* ---- sym_rangelist ---- */

/* Where a split unit's addresses and ranges are. */
struct sym_bases {
	u16 version;
	u8 addr_size, offset_size;
	u64 low_pc; /* of the unit: what offsets in a list count from; 0 unknown */
	struct sym_section addr, lists;
	u64 addr_base;	/* of the unit's part of .debug_addr */
	u64 lists_base; /* version 5: of the table of offsets; 4: what offsets of lists count from */
};

typedef int (*sym_range_fn)(void *ctx, u64 lo, u64 hi);

bool sym_bases_addr(const struct sym_bases *b, u64 index, u64 *ret); /* an address by its index; false: there is none */
bool sym_bases_list(const struct sym_bases *b, u64 index, u64 *ret); /* offset of a range list by its index */

/* Calls fn for each range of the list at an offset until it returns other than 0, which is returned. Damage ends the list. */
int sym_bases_walk(const struct sym_bases *b, u64 off, sym_range_fn fn, void *ctx) __must_check;

/* ---- units ---- */

struct sym_split;

/* Header facts of a unit, and its first entry. */
struct sym_unit {
	struct sym_split *split; /* NULL: an ordinary unit */
	struct sym_bases bases;	 /* of a split one */
	Dwarf_Die die;
	u64 die_off;	/* of the first entry, in .debug_info */
	u64 end_off;	/* behind the last byte of the unit, inside .debug_info */
	u64 abbrev_off; /* of its abbreviations, in .debug_abbrev */
	u16 version;
	u8 addr_size, offset_size; /* bytes */
};

struct sym_attr {
	u16 name, form;
};

#define SYM_SIZE_VARIES	 UINT32_MAX
#define SYM_SIZE_UNKNOWN (UINT32_MAX - 1)

struct sym_abbrev {
	u32 size;	/* bytes of all attributes of an entry, or SYM_SIZE_VARIES */
	u32 first_attr; /* index into attrs */
	u16 n_attrs;
	u16 tag; /* 0: no such abbreviation */
	bool has_children;
	bool has_code; /* has DW_AT_low_pc or DW_AT_ranges */
};

struct sym_abbrevs {
	struct sym_abbrev *v; /* by code */
	size_t n;
	struct sym_attr *attrs;
	u32 n_attrs;
	size_t cap_attrs;
};

/* The abbreviations of a unit into *a (zeroed by the caller). Damage ends the table; -ENOMEM. */
int sym_abbrevs_read(struct sym_abbrevs *a, const struct sym_unit *u, const struct sym_section *abbrev) __must_check;
void sym_abbrevs_release(struct sym_abbrevs *a);

/* Bytes of an attribute's value, SYM_SIZE_VARIES, or SYM_SIZE_UNKNOWN for a form that is not known. */
u32 sym_form_size(const struct sym_unit *u, u32 form);

/* Moves behind an attribute's value; a form that is not known breaks the cursor. */
void sym_cursor_skip_form(struct sym_cursor *c, const struct sym_unit *u, u32 form);

/* ---- sym_scope ---- */

/* A function with code, or a call inlined into one. */
struct sym_scope {
	u64 die_off; /* of its entry in .debug_info */
	u32 parent;  /* scope it is inlined into; SYM_NO_OWNER for a function */
};

struct sym_scopes {
	struct sym_scope *v;
	u32 n;
	size_t cap;
	struct sym_ranges ranges; /* innermost scope by address */
};

/* The sections of entries. */
struct sym_sections {
	struct sym_section info, abbrev;
	struct sym_section addr; /* of the program; for split units */
};

/*
 * Scans the unit's entries into *s (zeroed by the caller). Damage ends the scan: what came before is kept and 0 returned; -ENOMEM.
 */
int sym_scopes_scan(struct sym_scopes *s, const struct sym_elf *e, const struct sym_unit *u,
		    const struct sym_sections *from) __must_check;
void sym_scopes_release(struct sym_scopes *s);

/* Ranges of one entry through libdw, those outside executable segments dropped (linkers leave such for functions they removed). */
int sym_die_ranges(const struct sym_elf *e, Dwarf_Die *die, struct sym_ranges *r, u32 owner) __must_check;

/* ---- sym_split ---- */

/* A unit, or all of a .dwo file, in memory. */
struct sym_split {
	struct sym_split *next;
	char *name; /* of the .dwo; NULL: out of a package */
	struct sym_image image;
	struct sym_sections sections; /* in the image */
	struct sym_section rnglists;
};

bool sym_unit_is_skeleton(const struct sym_unit *u);

/* The unit that belongs to a skeleton. -ENOENT and other errors: it cannot be had; -ENOMEM. */
int sym_split_open(struct sym_module *m, const struct sym_unit *skeleton, struct sym_unit *ret) __must_check;
void sym_splits_release(struct sym_module *m);

/* ---- sym_dwarf ---- */

struct sym_cu {
	struct sym_unit unit;
	bool is_scanned;
	bool is_c;	      /* plain names are whole names, and there are no linker names */
	bool is_skeleton;     /* its entries are in another file (split DWARF): */
	bool is_missing;      /* ... which is not there */
	struct sym_unit body; /* the unit with the entries: `unit`, or the split one */
	const char *comp_dir; /* directory the compiler ran in; NULL none */
	struct sym_scopes scopes;
	Dwarf_Files *files; /* NULL none */
	size_t n_files;
	struct u64map file_names; /* address of a path in libdw's memory -> strtab index of how it is handed out */
};

/* What is handed out of a scope that was asked for; it is asked for again by every address in it. */
struct sym_known {
	const char *function; /* NULL: it depends on the address */
	const char *typed_name;
	const char *call_file; /* where it was called; NULL unknown */
	u32 call_line;
};

struct sym_dwarf {
	Dwarf *dbg; /* NULL: the file has none */
	struct sym_sections sections;
	struct sym_cu *cus;
	u32 n_cus;
	size_t cap_cus;
	struct sym_ranges ranges; /* unit by address */
	struct u64map names;	  /* address of a linker name in memory -> strtab index of its readable form */
	struct sym_known *known;
	u32 n_known;
	size_t cap_known;
	struct u64map by_scope; /* unit << 32 | scope -> index into known */
	struct u64map
		by_origin; /* address of an inlined function's entry in memory -> index into known, of which the names hold */
};

struct sym_tasks;

struct sym_module {
	struct sym_elf elf;    /* the code */
	struct sym_elf *debug; /* separate debug information, with the segments of the code; NULL none */
	Dwarf *alt;	       /* what dwz moved out; NULL none */
	int alt_fd;
	struct sym_image no_alt; /* stands in for it */
	struct sym_input from;	 /* of it only open_split and ctx are used */
	struct sym_split *splits;
	struct split_file *package; /* NULL not asked for yet; its fd -1 there is none */
	bool package_asked;
	u32 split_missing;
	struct sym_symtab symtab;
	struct sym_dwarf dwarf;
	struct strtab *strings;	 /* every string handed out */
	struct sym_tasks *tasks; /* of sym_module_task(); NULL not asked for yet */
};

/* The file with the DWARF. */
const struct sym_elf *sym_module_dwarf_elf(const struct sym_module *m);

int sym_dwarf_open(struct sym_dwarf *d, const struct sym_elf *e) __must_check; /* no DWARF is no error; -ENOMEM */
void sym_dwarf_release(struct sym_dwarf *d);

/* Bytes of code in units that have functions: in this file, or in one of split DWARF unless that was asked for in vain. */
u64 sym_dwarf_code_size(const struct sym_dwarf *d, bool has_split);

/* As sym_module_lookup(), at an ELF address, where DWARF knows it; 0 where it does not. */
int sym_dwarf_lookup(struct sym_module *m, u64 addr, struct sym_frame *ret, u32 max) __must_check;

/* ---- sym_task ---- */

struct sym_tasks *sym_tasks_free(struct sym_tasks *t); /* accepts NULL, returns NULL */

/* ---- sym_name: strings that live as long as the module; each gives NULL on ENOMEM ---- */

/* Copy, cut at 64 KiB. */
const char *sym_intern(struct sym_module *m, const char *s);

/*
 * Readable form of a linker name in the file's memory, its last part told by `own`, the debug info's name of the function (may be
 * NULL).
 */
const char *sym_linker_name(struct sym_module *m, const char *linker, const char *own);

/* `function` with its last part, a closure, replaced by `own` where that tells more; `function` itself when it does not. */
const char *sym_with_closure_name(struct sym_module *m, const char *function, const char *own);

/* Readable name of the symbol table's function at an address; also NULL when it has none (*ret_err 0, -ENOMEM otherwise). */
const char *sym_symtab_function(struct sym_module *m, u64 addr, int *ret_err);

/*
 * Gives a frame that is only "{async_fn#0}" or the like the path that its caller's type arguments name:
 * "poll<a::b::{async_fn_env#0}>" makes it "a::b::{async_fn#0}". Unchanged when they name none or several. 0 or -ENOMEM.
 */
int sym_qualify_body(struct sym_module *m, struct sym_frame *f, const struct sym_frame *caller) __must_check;
