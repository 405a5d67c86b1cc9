/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * layout.h: where Tokio's thread-locals lie in a live process and what is at which offset of them: found by looking at the threads' own
 * TLS, with the symbols (where there are any) as a second witness (layout.c, layout_scan.c), and how they are then read (layout_ctx.c). Pure but
 * for the reader it is given, so that tests feed it made-up memory.
 */
#pragma once

#include <string.h>

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "record/tokio_elf.h"

#define LAYOUT_RANGES		     4
#define LAYOUT_VERSION(minor, patch) ((minor)*1000u + (patch)) /* of Tokio 1.x */

/*
 * One known layout of what Tokio keeps of a thread, by versions, cargo features and compiler; fixtures/layouts/make.py writes them. Offsets in bytes;
 * WIRE_NO_FIELD where this layout does not have the field.
 */
struct layout_row {
	const char *name; /* of versions and features, for people */
	struct {
		u32 first, last; /* LAYOUT_VERSION, both included; 0 not used */
	} ranges[LAYOUT_RANGES];
	bool is_unstable; /* of builds with --cfg tokio_unstable only: live threads show it, symbols do not */
	u16 rustc_last;	  /* 1.x, the newest compiler of those tried that gave this row */
	/* tokio::runtime::context::Context, and the symbol that holds it at value_at; size 0: there is none (before 1.22) */
	u16 size, symbol_size, value_at;
	u16 sched; /* since 1.29 */
	u16 id, id_tag, budget, runtime;
	u16 handle;	 /* the Arc of the runtime's Handle that is current */
	u16 rng;	 /* two u32; since 1.29 an Option of them */
	bool flavor_tag; /* rt-multi-thread since 1.29: scheduler::Context is an enum of two */
	/* in the scheduler's context; the RefCell's borrow flag is in front of the core */
	u16 mt_owner, mt_core, ct_owner, ct_core;
	u16 worker_handle, worker_index; /* of Worker, from its Arc */
	/* in the multi-thread Core */
	u16 park, lifo, queue, tick_mt;
	bool plain_queue; /* its head is the 64 bits at 24 from the Arc, its tail the 32 bits behind them */
	/* in the current-thread Core */
	u16 tick_ct;
	/* ticks are a first guess only; record/calibrate.h proves them or finds others */
};

const struct layout_row *layout_rows(u32 *ret_n);

/*
 * Whether the fields of a Context lie within it and apart, and those of a Core apart. One that does not is not used: live threads prove where the scheduler's context
 * and the id are, but a budget or a runtime's byte that is read elsewhere can look like that of a thread that is always idle, and an empty LIFO slot like a park that
 * is taken out.
 */
bool layout_row_is_sound(const struct layout_row *row);

/* "1.54.1" as LAYOUT_VERSION; 0 when it is none. */
u32 layout_version_number(const char *text);

/* Of Worker, from its Arc, in every row that has one. */
enum { LAYOUT_WORKER_HANDLE = 16, LAYOUT_WORKER_INDEX = 24, LAYOUT_MAX_WORKERS = 4096 };

#define LAYOUT_MAX_CORE 1024 /* bytes into a Core that a row may point */

/* Of bytes that were read from a target. */
static inline u64 layout_u64(const u8 *p, u64 off)
{
	u64 v;

	memcpy(&v, p + off, 8);
	return v;
}

static inline bool layout_is_user_addr(u64 addr)
{
	return addr >= 0x1000 && addr < 1ULL << 47;
}

/* Reads n bytes of the target at addr: 0 or negative errno. */
typedef int (*layout_read_fn)(void *ctx, u64 addr, void *buf, size_t n);

struct layout_thread {
	u64 tls_end; /* of its block of thread-locals: for the main program's the thread pointer, fsbase; 0: it has none */
	u64 sp;	     /* user stack pointer */
	u64 stack_start, stack_end; /* mapping that holds sp */
};

enum layout_outcome {
	LAYOUT_NONE,	  /* no thread looks as if it were in a runtime, and there is no symbol */
	LAYOUT_BY_SYMBOL, /* from the symbols alone: no thread has entered a runtime yet */
	LAYOUT_FOUND,	  /* threads agree */
	LAYOUT_AMBIGUOUS, /* several readings fit equally well: none is used */
};

struct layout_result {
	enum layout_outcome outcome;
	const struct layout_row *row;
	s32 at[LAYOUT_PLACES]; /* bytes from the TLS base, as in struct wire_layout; WIRE_NOWHERE */
	u32 threads;	       /* on which it was seen */
	u32 with_mt_core;      /* of these: multi-thread workers with their core */
	u32 candidates;	       /* readings that had the most votes */
	bool symbol_agrees;    /* the symbol was there and names the same place */
	bool is_partial; /* before 1.29: a place is not known, for no thread was seen in that scheduler; a later look may show it */
};

/*
 * Scans n threads. Tries the rows of the file's version, all rows when none is of it or it is not known. Places and rows that lead to the same reading are one
 * candidate; accepted is the one on which more threads agree than on any other and, where `e` has symbols, only one that they name. Returns 0 or -ENOMEM.
 */
int layout_find(const struct tokio_elf *e, const struct layout_thread *threads, u32 n, layout_read_fn read, void *ctx,
		struct layout_result *ret) __must_check;

/*
 * What one thread says of a reading. It must sleep, and not have run since its memory was read: then nothing of it is half done. mt: it is in a multi-thread
 * scheduler. A thread that is in no runtime says nothing, nor does a worker whose core is out of its place.
 */
struct layout_word {
	enum { LAYOUT_SAYS_NOTHING, LAYOUT_SAYS_FITS, LAYOUT_SAYS_MISFIT } what;
	bool mt;
	u64 task; /* of a worker that fits: the id of what it runs, or its own; 0 none is kept */
};

/*
 * Asks n threads about a row at its places; by the symbols (without them, by the row) a thread is in a runtime when what is there points into its own stack. row NULL:
 * no reading is known, whoever is in a runtime contradicts. ret: n words. 0 or -ENOMEM.
 */
int layout_ask(const struct tokio_elf *e, const struct layout_row *row, const s32 *at, const struct layout_thread *threads, u32 n,
	       layout_read_fn read, void *ctx, struct layout_word *ret) __must_check;

/* What threads have said of a reading, look for look; index 0 of current-thread schedulers, 1 of multi-thread ones. All zero is the start. */
struct layout_witness {
	u32 fit[2], misfit[2];
	u32 looks[2]; /* that had a misfit */
};

/*
 * Takes in what one look has heard of n threads; a word that does not count (the thread ran meanwhile) is LAYOUT_SAYS_NOTHING. Two workers with one task's id do not fit:
 * a task is on one thread at a time, and a parked worker has an id of its own.
 */
void layout_hear(struct layout_witness *w, const struct layout_word *words, u32 n);

/* Whether a reading is refuted: again and again, in one flavor, and by many more threads than it fits. */
bool layout_is_refuted(const struct layout_witness *w);

/* Whether two rows at the same places read the same of every thread. Ticks are only first guesses. */
bool layout_reads_alike(const struct layout_row *a, const struct layout_row *b);

/* Fills the places and offsets of *l from a result that has a row. */
void layout_to_wire(const struct layout_result *r, struct wire_layout *l);

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
