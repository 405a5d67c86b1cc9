/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * copies.h: the copies of Tokio in one process image: its main program, and each library that was built with a Tokio of its own (a plugin, a Python extension).
 * Each has its own thread-locals, its own layout and its own runtimes. Which there are follows from the mappings; where their contexts lie, discover.c finds out.
 *
 * Not reached: a library loaded by musl's dynamic linker, or one that was built for TLS descriptors; cat_copy.refused says so. A stripped library whose build
 * took the version out of its panic messages' paths (-Z trim-paths, --remap-path-prefix) is not known to hold Tokio.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/layout.h"
#include "record/module_image.h"

/* What a module is, as far as Tokio is concerned; record/modules.c reads it once for each file. */
struct module_tokio {
	struct tokio_elf elf;
	struct tls_slot slot;
	struct module_image image;
	bool is_for_musl; /* a program that asks for musl's dynamic linker */
	bool is_told;	  /* that this copy cannot be read */
	char name[64];	  /* of the file, cut short; for messages */
};

/* Reads the file behind fd (borrowed) into new memory. *ret stays as it is when it is no ELF file. 0 or -ENOMEM. */
int module_tokio_read(int fd, const char *path, struct module_tokio **ret) __must_check;

/* Brings p->copies up to date with its mappings: to be called when they were read. ret_changed: the kernel side is to be told. 0 or -ENOMEM. */
int copies_refresh(struct catalog *cat, struct cat_process *p, bool *ret_changed) __must_check;

/* Places of a copy whose threads' blocks are at *where; 0, -EAGAIN the library is being loaded, or another negative errno: it cannot be read now. */
int copies_place(struct cat_process *p, const struct cat_copy *c, struct tls_place *ret) __must_check;

/* The end of a thread's block, as struct layout_thread wants it; 0 the thread has none. */
u64 copies_tls_end(struct cat_process *p, const struct cat_copy *c, const struct tls_place *where, u64 fsbase);

/* A place below the end of the block (layout.h) -> one from the TLS base of struct wire_layout. */
s32 copies_place_from_base(const struct cat_copy *c, const struct tls_place *where, s32 at);

/* The copies that the kernel side is to read, the valid ones first. */
void copies_to_wire(const struct cat_process *p, struct wire_target *t);

/* The copy that a record was read with; NULL: none of this image. */
struct cat_copy *copies_by_gen(const struct cat_process *p, u32 gen);

/* Reads a thread's context as the kernel side does: of several copies the one in whose runtime it is. */
void copies_read_ctx(struct cat_process *p, u64 fsbase, struct wire_ctx *ret);
