/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* emit.bpf.h: the rings, the counters, the targets: what every program shares. */
#pragma once

#include "kern_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ascope_wire.h"

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* those that user space puts in have other sizes */
};

/* A ring has one lock: cpus have rings of their own, up to so many. record/ring_maps.c makes them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, WIRE_MAX_RINGS); /* user space sets ring_count */
	__type(key, u32);
	__array(values, struct ring_map);
} rings SEC(".maps");

const volatile u32 ring_count = 1;

/* An entry a cpu, of which user space sets the number. Not a map of the per-cpu kind: those take a system call for each counter that is read. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct wire_stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WIRE_MAX_TARGETS);
	__type(key, u32); /* tgid */
	__type(value, struct wire_target);
} targets SEC(".maps");

/* Wake user space early when this many bytes wait in a ring; else it drains on a timer of its own. */
const volatile u64 ring_wake_bytes = 4 << 20;

/* This cpu's counter. NULL: never, but the verifier does not know. */
static __always_inline u64 *stat_of(u32 idx)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct wire_stats *s = bpf_map_lookup_elem(&stats, &cpu);

	if (!s)
		return 0;
	barrier_var(s); /* else the compiler may add to it before it looks whether there is one, which the verifier refuses */
	if (!__builtin_constant_p(idx))
		barrier_var(idx); /* the compiler may know that it is small, the verifier does not */
	return &s->of[idx & (WIRE_STATS_ROOM - 1)];
}

/* Returns the new count. */
static __always_inline u64 stat_sum(u32 idx, u64 n)
{
	u64 *v = stat_of(idx);

	/* per cpu; a program that interrupts just here and adds to the same counter is lost in it, which is rare */
	return v ? *v += n : 0;
}

static __always_inline u64 stat_add(u32 idx)
{
	return stat_sum(idx, 1);
}

/*
 * The target's tgid, at its place modulo the number of words; WIRE_TARGET_SHARED where targets met. Most switches concern no target, and half of the rest need
 * only know that they do: a word costs far less than a look at a hash table, which is some 90 ns when its memory was not used just before. Set after a target
 * is added, cleared before it is removed.
 */
u32 target_words[WIRE_TARGET_WORDS];

static __always_inline struct wire_target *target_of(u32 tgid)
{
	u32 word = target_words[tgid % WIRE_TARGET_WORDS];

	return word == tgid || word == WIRE_TARGET_SHARED ? bpf_map_lookup_elem(&targets, &tgid) : 0;
}

/* The same where nothing of the target is wanted. tgid is not 0. */
static __always_inline bool is_target(u32 tgid)
{
	u32 word = target_words[tgid % WIRE_TARGET_WORDS];

	return word == tgid || (word == WIRE_TARGET_SHARED && bpf_map_lookup_elem(&targets, &tgid));
}

/* kernel_side_set_target() has the same rule. */
static __always_inline void note_target(u32 tgid)
{
	u32 *word = &target_words[tgid % WIRE_TARGET_WORDS];
	u32 old = __sync_val_compare_and_swap(word, 0, tgid);

	if (old && old != tgid)
		*word = WIRE_TARGET_SHARED;
}

static __always_inline void *ring_of(u32 cpu)
{
	if (cpu >= ring_count)
		cpu %= ring_count;
	return bpf_map_lookup_elem(&rings, &cpu);
}

/* A record, zeroed but for its kind, place and time, which is `now` (38 ns to read on the machine of doc/bench.md); NULL and counted when the ring is full. */
#define RESERVE_AT(type, kind_id, now)                                                                                           \
	({                                                                                                                       \
		u32 __cpu = bpf_get_smp_processor_id();                                                                          \
		void *__ring = ring_of(__cpu);                                                                                   \
		type *__e = __ring ? bpf_ringbuf_reserve(__ring, sizeof(type), 0) : 0;                                           \
		if (__e) {                                                                                                       \
			__builtin_memset(__e, 0, sizeof(*__e));                                                                  \
			__e->h.kind = (kind_id);                                                                                 \
			__e->h.ts = (now);                                                                                       \
			__e->h.cpu = __cpu;                                                                                      \
		} else {                                                                                                         \
			stat_add(WIRE_STAT_LOST + (kind_id));                                                                    \
		}                                                                                                                \
		__e;                                                                                                             \
	})

#define RESERVE(type, kind_id) RESERVE_AT(type, kind_id, bpf_ktime_get_ns())

static __always_inline u64 wake_flag_of(void *ring)
{
	return bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= ring_wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* What user space has to look at before its next turn: it is woken at once, but not again within CALL_NS, by when it would have come by itself if it has news. */
#define CALL_NS 20000000
u64 called_at = 0;

static __always_inline bool may_call(u64 now)
{
	if (now - called_at < CALL_NS)
		return false;
	called_at = now;
	return true;
}

static __always_inline u64 wake_flag(void)
{
	void *ring = ring_of(bpf_get_smp_processor_id());

	return ring ? wake_flag_of(ring) : BPF_RB_NO_WAKEUP;
}

/* A record that is made elsewhere; call: see may_call(). Non-zero when there was no room. */
static __always_inline long output(void *data, u64 size, bool call)
{
	void *ring = ring_of(bpf_get_smp_processor_id());

	return ring ? bpf_ringbuf_output(ring, data, size, call ? BPF_RB_FORCE_WAKEUP : wake_flag_of(ring)) : -1;
}

/* How full the ring is costs as much to ask as to submit: it is looked at now and then. */
static __always_inline void submit(void *e, u32 kind)
{
	u64 sent = stat_add(WIRE_STAT_SENT + kind);

	bpf_ringbuf_submit(e, sent % 32 ? BPF_RB_NO_WAKEUP : wake_flag());
}

static __always_inline void submit_and_call(void *e, u32 kind)
{
	stat_add(WIRE_STAT_SENT + kind);
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}
