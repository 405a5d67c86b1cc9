/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_coder.h: symbols to bits by how likely each is, and back: a binary range coder whose probabilities adapt as it goes. FORMAT.md section 5, "Codes".
 * It has no table to write down first, as zstd's Huffman codes do, so that a hundred rows cost little more than what they say. Called by fmt_coded.c.
 *
 * A symbol of w bits is w decisions from its highest bit down, each with a probability of its own, which the bits above choose; and, where the symbol has
 * a context, the context. Both sides make the same integers: nothing here may depend on the machine.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"

/* How likely a decision is 0. All zero: not met so far. */
struct fmt_prob {
	u16 zero; /* in 65,536ths */
	u16 met;  /* 1 + times, to a limit */
};

/* The decisions of symbols of `bits` bits, 1..12: those without a context, then those of contexts 1..contexts. */
struct fmt_tree {
	struct fmt_prob *probs; /* fmt_tree_size() of them, zeroed; borrowed */
	u32 bits, contexts;
};

static inline size_t fmt_tree_size(u32 bits, u32 contexts)
{
	return (size_t)(contexts + 1) << bits;
}

/* What is written goes behind `start` of out, whose sticky error the caller checks. */
struct fmt_put {
	struct buf *out;
	size_t start;
	u64 low;
	u32 range;
};

struct fmt_put fmt_put_init(struct buf *out);
void fmt_put_symbol(struct fmt_put *c, struct fmt_tree *t, u32 context, u32 symbol); /* context 0: none */
void fmt_put_bits(struct fmt_put *c, u64 v, u32 n);				     /* n <= 64 bits of v as they are */
void fmt_put_end(struct fmt_put *c);

struct fmt_get {
	const u8 *p, *end; /* of what was not yet taken; behind it lie zeros */
	u32 code, range;
};

struct fmt_get fmt_get_init(const u8 *p, size_t n);
u32 fmt_get_symbol(struct fmt_get *c, struct fmt_tree *t, u32 context); /* below 1 << t->bits, whatever the bytes are */
u64 fmt_get_bits(struct fmt_get *c, u32 n);
