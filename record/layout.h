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

/*
 * One known layout of what Tokio keeps of a thread, by version range and cargo features. Offsets in bytes; WIRE_NO_FIELD where this layout does not have
 * the field.
 */
struct layout_row {
	const char *name; /* of versions and features, for people */
	u16 size;	  /* of tokio::runtime::context::Context, as its symbol has it */
	/* in Context */
	u16 off_sched, off_id, off_id_tag, off_budget, off_runtime;
	bool has_flavor_tag; /* rt-multi-thread since 1.29: scheduler::Context is an enum of two */
	/* in the scheduler's context */
	u16 mt_owner, mt_core, ct_owner, ct_core;
	/* in the multi-thread Core */
	u16 park, lifo, queue, tick_mt;
	/* in the current-thread Core */
	u16 tick_ct;
	/* ticks are a first guess only; record/calibrate.h proves them or finds others */
};

/* Thread-local variables that a layout may have. */
enum layout_place {
	LAYOUT_CONTEXT, /* since 1.22 */
	LAYOUT_MT,	/* before 1.29: the multi-thread scheduler's CURRENT */
	LAYOUT_CT,	/* before 1.29: the current-thread scheduler's */
	LAYOUT_BUDGET,	/* before 1.22 */
	LAYOUT_RUNTIME, /* before 1.22 */
	LAYOUT_PLACES,
};

const struct layout_row *layout_rows(u32 *ret_n);

/* Reads n bytes of the target at addr: 0 or negative errno. */
typedef int (*layout_read_fn)(void *ctx, u64 addr, void *buf, size_t n);

struct layout_thread {
	u64 tls_end; /* of its block of thread-locals: for the main program's the thread pointer, fsbase; 0: it has none */
	u64 sp;	     /* user stack pointer */
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
	s32 at[LAYOUT_PLACES]; /* bytes from the TLS base, as in struct wire_layout; WIRE_NOWHERE */
	u32 threads;	       /* on which it was seen */
	u32 candidates;	       /* places that had the most votes */
	bool symbol_agrees;    /* the symbol was there and names the same place */
};

/*
 * Scans n threads. Accepts a place only when more threads agree on it than on any other; with symbols in `e`, only a place that one of
 * them names. Returns 0 or -ENOMEM.
 */
int layout_find(const struct tokio_elf *e, const struct layout_thread *threads, u32 n, layout_read_fn read, void *ctx,
		struct layout_result *ret) __must_check;

/* Fills the places and offsets of *l from a result that has a row. version is the copy of Tokio's ("" unknown): Core differs in some releases. */
void layout_to_wire(const struct layout_result *r, const char *version, struct wire_layout *l);

/* Reads a thread's context as the kernel side does (tokio.bpf.h), through the reader. base: what l's places count from, dtv_off is done with. */
void layout_read_ctx(const struct wire_layout *l, u64 base, layout_read_fn read, void *ctx, struct wire_ctx *ret);

/* What a thread's scheduler context belongs to. */
struct layout_owner {
	u64 handle; /* address of the runtime's Handle: its identity */
	u32 worker; /* 1 + worker index; 0 none */
};

/* Reads it for the scheduler context at x->sched. 0, or -EFAULT / -EBADMSG when it makes no sense. */
int layout_read_owner(const struct wire_layout *l, const struct wire_ctx *x, layout_read_fn read, void *ctx,
		      struct layout_owner *ret) __must_check;
