/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tokio_elf.h: what an ELF file says of the Tokio inside, without DWARF and without turning an address into a name: its TLS segment, the symbols of
 * Tokio's thread-locals where there are any, and the version in the panic locations of its read-only data.
 */
#pragma once

#include "base/base.h"

#define TOKIO_MAX_SYMBOLS  24
#define TOKIO_MAX_TLS_INIT 1024

/* Thread-local variables in which a Tokio keeps what a thread does. */
enum layout_place {
	LAYOUT_CONTEXT, /* since 1.22 */
	LAYOUT_MT,	/* before 1.29: the multi-thread scheduler's CURRENT */
	LAYOUT_CT,	/* before 1.29: the current-thread scheduler's */
	LAYOUT_BUDGET,	/* before 1.22 */
	LAYOUT_RUNTIME, /* before 1.22 */
	LAYOUT_PLACES,
};

struct tokio_symbol {
	enum layout_place place;
	u64 value; /* offset in the TLS segment */
	u64 size;
};

struct tokio_elf {
	u64 tls_memsz, tls_align; /* PT_TLS; memsz 0: the file has no thread-local storage */
	u64 tls_vaddr;
	u32 n_tls_init; /* bytes of the segment that do not begin as 0; at most so many are kept */
	u8 tls_init[TOKIO_MAX_TLS_INIT];
	bool has_symtab; /* not stripped */
	u32 n_symbols;	 /* of Tokio's thread-locals: one per place and copy */
	struct tokio_symbol symbols[TOKIO_MAX_SYMBOLS];
	bool names_tokio; /* its panic locations name a source of Tokio's */
	u32 rustc;	  /* 1.x that made it, by its .comment; 0 unknown */
	char version[16]; /* "1.54.1"; "" unknown or several */
};

/* Reads the file behind fd (borrowed). 0; -ENOEXEC not an ELF file of this machine; negative errno. */
int tokio_elf_read(int fd, struct tokio_elf *ret) __must_check;

/*
 * Bytes from a symbol of the main program's TLS segment up to the thread pointer, x86-64 (TLS variant II: the block ends at fsbase).
 * Source: ELF Handling For Thread-Local Storage (Drepper), section 3; lld's formula for an unaligned p_vaddr.
 */
u64 tokio_elf_tls_back(const struct tokio_elf *e, u64 symbol_value);

/* The one symbol of a place; NULL when there is none, or several: two copies in one file. */
const struct tokio_symbol *tokio_elf_symbol(const struct tokio_elf *e, enum layout_place place);

/* Whether there is any. */
bool tokio_elf_has_symbol(const struct tokio_elf *e, enum layout_place place);

/* Bytes from the first of the TLS block up to the thread pointer, padding for alignment included; rounded up to 8. */
u64 tokio_elf_tls_size(const struct tokio_elf *e);
