/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tls_slot.h: where a shared library that is loaded in a process has its thread-locals. The main program's lie at a fixed distance from the thread pointer;
 * a library's wherever the dynamic linker put them, thread by thread. What it decided stands in the library's own global offset table, in a slot that a
 * relocation names. (The other place, struct link_map's l_tls_modid, moves with every glibc; the slot is part of the ABI.) Used by record/copies.c.
 *
 *	R_X86_64_DTPMOD64  general and local dynamic, rustc's default: the slot holds the module's number, which leads through glibc's dtv to each thread's block
 *	R_X86_64_TPOFF64   initial exec: the slot holds a fixed distance from the thread pointer
 *	R_X86_64_TLSDESC   descriptors: what the slot holds belongs to the dynamic linker alone; not supported
 *
 * Sources: ELF Handling For Thread-Local Storage (Drepper) sections 3.4.2 and 4.4.2; glibc 2.25 - 2.41 sysdeps/generic/dl-dtv.h, elf/dl-tls.c.
 */
#pragma once

#include "base/base.h"

enum tls_slot_kind { TLS_SLOT_NONE, TLS_SLOT_MODULE, TLS_SLOT_OFFSET, TLS_SLOT_DESCRIPTOR };

/* Of a file. */
struct tls_slot {
	enum tls_slot_kind kind;
	u64 vaddr;	/* of the slot, as the file has it */
	u64 symbol;	/* TLS_SLOT_OFFSET: the offset in the library's block that the slot is about */
	u64 text_delta; /* of its first executable segment: address - file offset */
};

/*
 * Reads the dynamic section and the relocations of the file behind fd (borrowed): no section headers are needed. 0: *ret is what was found, possibly
 * TLS_SLOT_NONE; -ENOEXEC, -EBADMSG, -ENOMEM, or another negative errno of pread(2).
 */
int tls_slot_read(int fd, struct tls_slot *ret) __must_check;

/* Whether a program (fd is borrowed) is started by musl's dynamic linker. */
bool tls_slot_is_for_musl(int fd);

/* Reads n bytes of the target at addr: 0 or negative errno. */
typedef int (*tls_read_fn)(void *ctx, u64 addr, void *buf, size_t n);

/* Where a loaded library's blocks are. */
struct tls_place {
	u32 dtv_off;  /* as in struct wire_layout; 0: at a fixed distance from the thread pointer */
	s64 distance; /* of the block's start from there, when dtv_off is 0 */
};

/* Reads the live slot of a library loaded at `bias`. 0; -EAGAIN not filled in yet; -EBADMSG nonsense; -EFAULT. */
int tls_place_read(const struct tls_slot *s, u64 bias, tls_read_fn read, void *ctx, struct tls_place *ret) __must_check;

/* The start of a thread's block. 0; -ENOENT the thread has not used the library yet; -EFAULT. bpf/tokio.bpf.h has the same. */
int tls_block(u32 dtv_off, u64 fsbase, tls_read_fn read, void *ctx, u64 *ret) __must_check;
