/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout.h: where Tokio's thread-local CONTEXT lies in a live process and what is at which offset of it: found by looking at the threads'
 * own TLS, with the symbol (where there is one) as a second witness. Pure but for the reader it is given, so that tests feed it
 * made-up memory.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "record/tokio_elf.h"

/* One known layout of tokio::runtime::context::Context, by version range and cargo features. Offsets in bytes. */
struct layout_row {
	const char *name;
	u16 off_sched, off_id, off_id_tag, off_budget, off_runtime;
	u16 size;	      /* of the whole, as the symbol has it */
	bool has_flavor_tag;  /* rt-multi-thread: scheduler::Context is an enum of two */
	u16 tick_mt, tick_ct; /* first guess only; record/calibrate.h proves it or finds another */
};

const struct layout_row *layout_rows(u32 *ret_n);

/* Reads n bytes of the target at addr: 0 or negative errno. */
typedef int (*layout_read_fn)(void *ctx, u64 addr, void *buf, size_t n);

struct layout_thread {
	u64 fsbase;
	u64 sp;			    /* user stack pointer */
	u64 stack_start, stack_end; /* mapping that holds sp */
};

enum layout_outcome {
	LAYOUT_NONE,	  /* no thread looks as if it were in a runtime, and there is no symbol */
	LAYOUT_BY_SYMBOL, /* from the symbol alone: no thread has entered a runtime yet */
	LAYOUT_FOUND,	  /* threads agree */
	LAYOUT_AMBIGUOUS, /* several places fit equally well: not used */
};

struct layout_result {
	enum layout_outcome outcome;
	const struct layout_row *row;
	u64 tls_back;
	u32 threads;	    /* on which it was seen */
	u32 candidates;	    /* places that had the most votes */
	bool symbol_agrees; /* the symbol was there and names the same place */
};

/*
 * Scans n threads. Accepts a place only when more threads agree on it than on any other; with symbols in `e`, only a place that one of
 * them names. Returns 0 or -ENOMEM.
 */
int layout_find(const struct tokio_elf *e, const struct layout_thread *threads, u32 n, layout_read_fn read, void *ctx,
		struct layout_result *ret) __must_check;

/* Fills the offsets and ticks of *l from a result that has a row. version is the copy of Tokio's ("" unknown): Core differs in some releases. */
void layout_to_wire(const struct layout_result *r, const char *version, struct wire_layout *l);

/* Reads a thread's context as the kernel side does (tokio.bpf.h), through the reader. */
void layout_read_ctx(const struct wire_layout *l, u64 fsbase, layout_read_fn read, void *ctx, struct wire_ctx *ret);

/* What a thread's scheduler context belongs to. */
struct layout_owner {
	u64 handle; /* address of the runtime's Handle: its identity */
	u32 worker; /* 1 + worker index; 0 none */
};

/* Reads it for the scheduler context at x->sched. 0, or -EFAULT / -EBADMSG when it makes no sense. */
int layout_read_owner(const struct wire_layout *l, const struct wire_ctx *x, layout_read_fn read, void *ctx,
		      struct layout_owner *ret) __must_check;
