/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rings.h: takes records out of several BPF ring buffers, merged by their time. Works on memory only; record/ring_maps.c maps the kernel's rings.
 *
 * Why merged here: a cpu has a ring of its own, so that producers share no lock, and a thread that moves between cpus leaves its records in several. Merged,
 * the capture has each thread's events in their order, and its readers need not know of rings. Records wait in their rings until it is their turn: merging
 * takes no memory.
 *
 * When it is a record's turn: its time is taken after its slot is reserved (bpf/emit.bpf.h), so all that are older than the clock was before the producers'
 * positions were read are to be seen. A switch-out's time is taken before its stack is walked: hence RINGS_SLACK. What still comes late is delivered, and
 * counted. Cpus that share a ring, of more than WIRE_MAX_RINGS, stand in it as their slots were reserved: there switch-outs may be out of turn by their walks.
 *
 * Layout and bits of a ring: Linux Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c, include/uapi/linux/bpf.h; unchanged since 5.8. Lengths are checked
 * against the ring's all the same.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"

#define RINGS_SLACK NSEC_PER_MSEC	  /* a walk takes tens of microseconds */
#define RINGS_HOLD  (100 * NSEC_PER_MSEC) /* so long at most a record that is reserved, and not submitted, holds the others up */

/* A ring as it lies in memory. Borrowed. */
struct ring_memory {
	u64 *consumer;	     /* position up to which it was read; counts on across wraps, as does */
	const u64 *producer; /* up to which it is reserved */
	const u8 *data;	     /* aligned to 8; mapped once: a record may go on at the start */
	u64 size;	     /* of data: a power of two, 8 at least */
};

enum ring_state {
	RING_EMPTY,	/* nothing between at and end */
	RING_BUSY,	/* reserved, not submitted yet: len holds, the rest does not */
	RING_RECORD,	/* submitted */
	RING_DISCARDED, /* to be skipped */
	RING_MALFORMED, /* no record can begin so; nothing can be known of what follows */
};

struct ring_slot {
	u64 data; /* position of its bytes */
	u32 len;  /* of them */
	u64 next; /* position behind it */
};

/* What begins at `at`, a producer position being `end`. *ret is set for BUSY, RECORD and DISCARDED. Never reads outside of the ring. */
enum ring_state ring_look(const struct ring_memory *m, u64 at, u64 end, struct ring_slot *ret);
/* n bytes from a position on; n at most the ring's size. */
void ring_copy(const struct ring_memory *m, u64 at, void *to, size_t n);

struct rings;

/* Gets every record, whole, aligned to 8, valid during the call. Non-zero stops; the record counts as taken. */
typedef int (*rings_fn)(void *ctx, const struct wire_hdr *h, size_t size);

int rings_new(u32 max, rings_fn fn, void *ctx, struct rings **ret) __must_check; /* for so many rings */
struct rings *rings_free(struct rings *r);					 /* accepts NULL, returns NULL */
void rings_add(struct rings *r, const struct ring_memory *m);

/*
 * Delivers what is due at `now`: CLOCK_MONOTONIC ns, read by the caller before the call; UINT64_MAX: there will be no more, all is due. `urgent`: a record
 * may have come that is to be delivered at once (WIRE_EXEC), with all that are older. At most `max` records. Returns how many, or fn's error.
 */
int rings_take(struct rings *r, u64 now, bool urgent, u32 max) __must_check;

/* All records older than this were delivered, but for late ones. ns. */
u64 rings_known_until(const struct rings *r);

/* For a record that is needed before its turn: looks for the stack of this hash in all rings and delivers it; it comes again when it is its turn. */
bool rings_find_stack(struct rings *r, u64 hash);

struct rings_counts {
	u64 late;      /* delivered a pass after younger ones, or more */
	u64 malformed; /* times that a ring made no sense, and what it held was given up */
	u64 bad;       /* records of no possible length, left out */
	u64 looked_up; /* stacks delivered before their turn */
	u64 most;      /* bytes that waited in one ring */
	u64 left;      /* bytes that wait now, in all */
};
struct rings_counts rings_counts(const struct rings *r);
