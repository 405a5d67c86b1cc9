/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_file.h: which build an ELF file is and what it can tell, by its headers alone. Used by the finder (sym_find.c) in the
 * process that writes the report: bounded reads of the few bytes that are needed, no libelf, no DWARF.
 */
#pragma once

#include "base/elfid.h"
#include "format/fmt_file_id.h"

#define SYM_LINK_LEN 1024 /* longest name of another file that is followed, NUL included */

struct sym_file {
	char build_id[ELFID_HEX_LEN];  /* lower-case hex; "" none */
	char file_id[FMT_FILE_ID_LEN]; /* content id */
	bool has_code;		       /* its machine code is in it; false: a file of debug information alone */
	bool has_dwarf, has_symtab;
	bool has_addr;		 /* .debug_addr: may be a program with split DWARF */
	bool has_split;		 /* it is a file of split DWARF, one unit's (.dwo) or a package ... */
	bool is_package;	 /* ... the latter (.dwp) */
	char link[SYM_LINK_LEN]; /* .gnu_debuglink: name of the file of debug information; "" none */
	u32 link_crc;		 /* of that file */
	char alt[SYM_LINK_LEN];	 /* .gnu_debugaltlink: path of what dwz(1) moved out; "" none */
	char alt_id[ELFID_HEX_LEN];
};

/*
 * Opens a file and reads these facts: a file descriptor that the caller owns. -errno of open(2); -ENOEXEC not a regular file or
 * not ELF; *reterr_why (may be NULL) gets a static phrase. ELF files that are not 64-bit little-endian only have a content id and
 * are taken to have everything. Sources: System V gABI "Sections"; GDB manual "Debugging Information in Separate Files"; DWARF 5
 * 7.3.6 and elfutils 0.188 dwelf.h for .gnu_debugaltlink.
 */
int sym_file_open(const char *path, struct sym_file *ret, const char **reterr_why) __must_check;

/* The same of an open regular file; 0 or negative errno. */
int sym_file_read(int fd, struct sym_file *ret) __must_check;

/* Bytes. A larger file is not read for its checksum: a link may name a sparse file without end. */
#define SYM_CRC_MAX ((u64)4 << 30)

/* CRC-32 of a whole file as .gnu_debuglink has it (polynomial of IEEE 802.3, reflected); 0, -EFBIG (above SYM_CRC_MAX) or other -errno. */
int sym_file_crc(int fd, u32 *ret) __must_check;

/* True when the file is the build with this id: by build-id where there is one (NULL, "" none), else by content id. */
bool sym_file_is(const struct sym_file *f, const char *build_id, const char *file_id);
