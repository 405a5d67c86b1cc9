/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fake_memory.h: a made-up address space for tests of what reads a target's memory: pages that exist only where they were written. */
#pragma once

#include "base/base.h"

#define FAKE_PAGES 256
#define FAKE_PAGE  4096u

struct fake_memory {
	u32 n;
	u64 page[FAKE_PAGES]; /* page number: address / FAKE_PAGE */
	u8 bytes[FAKE_PAGES][FAKE_PAGE];
};

/* Makes the page of addr exist (all 0) when it does not; fails the test when there are too many. */
void fake_map(struct fake_memory *m, u64 addr, u64 size);
void fake_unmap(struct fake_memory *m, u64 addr); /* the one page that holds addr */
void fake_write(struct fake_memory *m, u64 addr, const void *p, size_t n);
void fake_put(struct fake_memory *m, u64 addr, u64 v); /* 8 bytes */
void fake_put_u8(struct fake_memory *m, u64 addr, u8 v);

/* A layout_read_fn; ctx is the struct fake_memory. All n bytes, or -EFAULT and nothing written. */
int fake_read(void *ctx, u64 addr, void *buf, size_t n);
