/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tokio_elf.h: what an ELF file says of the Tokio inside, without DWARF and without turning an address into a name: its TLS segment, the thread-local
 * CONTEXT's symbol where there is one, and the version in the panic locations of its read-only data.
 */
#pragma once

#include "base/base.h"

#define TOKIO_MAX_SYMBOLS 8

struct tokio_symbol {
	u64 value; /* offset in the TLS segment */
	u64 size;
};

struct tokio_elf {
	u64 tls_memsz, tls_align; /* PT_TLS; memsz 0: the file has no thread-local storage */
	u64 tls_vaddr;
	bool has_symtab; /* not stripped */
	u32 n_symbols;	 /* symbols of tokio's CONTEXT: one per copy of tokio */
	struct tokio_symbol symbols[TOKIO_MAX_SYMBOLS];
	bool names_tokio; /* its panic locations name a source of Tokio's */
	char version[16]; /* "1.54.1"; "" unknown or several */
};

/* Reads the file behind fd (borrowed). 0; -ENOEXEC not an ELF file of this machine; negative errno. */
int tokio_elf_read(int fd, struct tokio_elf *ret) __must_check;

/*
 * Bytes from a symbol of the main program's TLS segment up to the thread pointer, x86-64 (TLS variant II: the block ends at fsbase).
 * Source: ELF Handling For Thread-Local Storage (Drepper), section 3; lld's formula for an unaligned p_vaddr.
 */
u64 tokio_elf_tls_back(const struct tokio_elf *e, u64 symbol_value);

/* Bytes from the first of the TLS block up to the thread pointer, padding for alignment included; rounded up to 8. */
u64 tokio_elf_tls_size(const struct tokio_elf *e);
