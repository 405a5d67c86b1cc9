/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* emit.bpf.h: the ring, the counters, the targets: what every program shares. */
#pragma once

#include "kern_types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ascope_wire.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20); /* user space may set another size */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WIRE_STATS);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WIRE_MAX_TARGETS);
	__type(key, u32); /* tgid */
	__type(value, struct wire_target);
} targets SEC(".maps");

/* Threads of targets that were switched out at least once. */
struct run_state {
	u64 ts;	  /* of the last switch-out */
	u64 exec; /* run time then, ns */
	u32 is_out;
	u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WIRE_MAX_THREADS);
	__type(key, u32); /* tid */
	__type(value, struct run_state);
} run_states SEC(".maps");

/* Wake user space early when this many bytes wait; else it drains on a timer of its own. */
const volatile u64 ring_wake_bytes = 4 << 20;

static __always_inline void stat_add(u32 idx)
{
	u64 *v = bpf_map_lookup_elem(&stats, &idx);

	if (v)
		*v += 1; /* per cpu, and interrupted at most by a program that adds to another slot */
}

static __always_inline struct wire_target *target_of(u32 tgid)
{
	return bpf_map_lookup_elem(&targets, &tgid);
}

/* A record of `size` bytes, zeroed by the caller's assignments; NULL and counted when the ring is full. */
#define RESERVE(type, kind_id)                                                                                                   \
	({                                                                                                                       \
		type *__e = bpf_ringbuf_reserve(&ring, sizeof(type), 0);                                                         \
		if (__e) {                                                                                                       \
			__builtin_memset(__e, 0, sizeof(*__e));                                                                  \
			__e->h.kind = (kind_id);                                                                                 \
			__e->h.ts = bpf_ktime_get_ns();                                                                          \
			__e->h.cpu = bpf_get_smp_processor_id();                                                                 \
		} else {                                                                                                         \
			stat_add(WIRE_STAT_LOST + (kind_id));                                                                    \
		}                                                                                                                \
		__e;                                                                                                             \
	})

static __always_inline u64 wake_flag(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline void submit(void *e, u32 kind)
{
	stat_add(WIRE_STAT_SENT + kind);
	bpf_ringbuf_submit(e, wake_flag());
}
