/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * vtable_scan.h: finds the tables of functions that Tokio makes for each type of task (tokio::runtime::task::raw::Vtable) in an ELF file, with symbols or
 * without, by their shape: seven pointers to starts of functions, then three offsets into the task's cell. Called by tokio_points.c. The file is untrusted:
 * time and memory are linear in its relocations, or, of a file without any, in its data.
 *
 * Sources: tokio 1.23 - 1.54.1 src/runtime/task/raw.rs (struct Vtable: poll, schedule, dealloc, try_read_output, drop_join_handle_slow, drop_abort_handle, shutdown,
 * trailer_offset, scheduler_offset, id_offset; rustc keeps that order, [shared notes 30-tokio.md 1.2]) and core.rs (Header has 32 bytes, Core is repr(C): scheduler,
 * task_id); System V gABI 4.1 chapter 5 and its RELR proposal (DT_RELR); x86-64 psABI 1.0 table 4.10 (R_X86_64_RELATIVE).
 */
#pragma once

#include "base/base.h"
#include "record/elf_view.h"

enum { VTABLE_SCAN_MAX = 1 << 16 };

/* A task's vtable in the file, addresses as in the file: add the bias of the mapping. */
struct tokio_vtable {
	u64 addr;
	u64 poll, schedule, dealloc, shutdown;
	u32 trailer_off, scheduler_off, id_off; /* in the task's cell, bytes */
};

struct tokio_vtables {
	struct tokio_vtable *rows; /* owned; sorted by address */
	u32 n;
	size_t cap;
};

/* Where functions of the file begin; sorted. */
struct function_starts {
	u64 *at; /* owned */
	size_t n, cap;
};

bool function_starts_has(const struct function_starts *f, u64 addr);

/* Adds what it finds to *ret (zero-initialised; at most VTABLE_SCAN_MAX). 0, -ENOMEM, or a negative errno of pread(2). */
int vtable_scan(const struct elf_view *v, const struct function_starts *starts, struct tokio_vtables *ret) __must_check;
