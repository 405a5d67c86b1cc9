/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * unwind.bpf.h: what unwind.h needs in the kernel: the three arrays that user space fills (unwind_rows.h), and user memory.
 *
 * What the verifier shall look at once, and not once for every frame, is a global function: not static, not inlined, arguments only numbers and
 * pointers to memory of a fixed size. So a loop around it costs a few instructions a round.
 */
#pragma once

#include "emit.bpf.h"
#include "unwind_rows.h"

/* User space sets the sizes before it loads the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} uw_rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64); /* an array's entries are 8 bytes apart, whatever their size */
} uw_idx SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct uw_map);
} uw_maps SEC(".maps");

#define UW_FN	 __attribute__((noinline))
#define UW_STATE u64 regs; /* kernel address of the innermost frame's struct pt_regs; 0 none */

struct uw;

static __always_inline const u64 *uw_row_at(const struct uw *s, u32 k)
{
	return bpf_map_lookup_elem(&uw_rows, &k);
}

static __always_inline const u64 *uw_idx_at(const struct uw *s, u32 k)
{
	return bpf_map_lookup_elem(&uw_idx, &k);
}

static __always_inline const struct uw_map *uw_map_at(const struct uw *s, u32 k)
{
	return bpf_map_lookup_elem(&uw_maps, &k);
}

static __always_inline long uw_read(const struct uw *s, void *dst, u32 n, u64 addr)
{
	return bpf_probe_read_user(dst, n, (void *)addr);
}
