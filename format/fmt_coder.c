/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_coder.c: see fmt_coder.h. The coder is the well-known one with a carry (G. N. N. Martin, "Range encoding", 1979): the bytes written so far are the
 * lower end of an interval, which each decision cuts in two.
 *
 * Probabilities begin as the estimate of Krichevsky and Trofimov, (zeros + 1/2) / (all + 1), and end as an average over the last LIMIT decisions or so.
 * With a context they begin where those without one are.
 */
#include "format/fmt_coder.h"

enum { LIMIT = 30, LEAST = 64 };

/* 2^32 / (2 * m + 1), rounded up: a product with it in place of a division, exact for what is below 2^17 (2^17 * 61 < 2^32). */
#define PART(m)	 (u32)((1ULL << 32) / (2 * (m) + 1) + 1)
#define PARTS(m) PART(m), PART((m) + 1), PART((m) + 2), PART((m) + 3), PART((m) + 4), PART((m) + 5)
static const u32 part[LIMIT + 1] = {0, PARTS(1), PARTS(7), PARTS(13), PARTS(19), PARTS(25)};

/* The bit is `bit`: p moves towards it, by less each time. */
static inline void learn(struct fmt_prob *p, bool bit)
{
	u32 zero = p->zero, way = bit ? zero : 65536 - zero, by = (u32)((u64)(2 * way) * part[p->met] >> 32);

	zero = bit ? zero - by : zero + by;
	p->zero = (u16)(zero < LEAST ? LEAST : zero > 65536 - LEAST ? 65536 - LEAST : zero);
	p->met = (u16)(p->met + (p->met < LIMIT ? 1 : 0));
}

/* The decision at `node`: *ret_base is the one without a context, the same if there is none. */
static inline struct fmt_prob *decision(struct fmt_tree *t, u32 context, u32 node, struct fmt_prob **ret_base)
{
	struct fmt_prob *base = t->probs + node, *p = base + ((size_t)context << t->bits);

	if (!base->met)
		*base = (struct fmt_prob){.zero = 32768, .met = 1};
	if (!p->met)
		*p = (struct fmt_prob){.zero = base->zero, .met = 2};
	*ret_base = base;
	return p;
}

/* ---- put ---- */

struct fmt_put fmt_put_init(struct buf *out)
{
	return (struct fmt_put){.out = out, .start = out->len, .range = UINT32_MAX};
}

/* `low` went over 32 bits: one more in the bytes before. That the first would go over is impossible: the interval began as all there is. */
static void carry(struct fmt_put *c)
{
	size_t at = c->out->len;

	c->low &= UINT32_MAX;
	while (at > c->start && !++c->out->data[--at])
		;
}

static inline void put_shift(struct fmt_put *c)
{
	if (c->low > UINT32_MAX)
		carry(c);
	while (c->range < 1u << 24) {
		buf_putc(c->out, (u8)(c->low >> 24));
		c->low = c->low << 8 & UINT32_MAX;
		c->range <<= 8;
	}
}

void fmt_put_symbol(struct fmt_put *c, struct fmt_tree *t, u32 context, u32 symbol)
{
	u32 node = 1;

	for (u32 i = t->bits; i-- > 0;) {
		struct fmt_prob *base, *p = decision(t, context, node, &base);
		bool bit = symbol >> i & 1;
		u32 zero = (c->range >> 16) * p->zero;

		c->low += bit ? zero : 0;
		c->range = bit ? c->range - zero : zero;
		put_shift(c);
		learn(p, bit);
		if (p != base)
			learn(base, bit);
		node = 2 * node + bit;
	}
}

void fmt_put_bits(struct fmt_put *c, u64 v, u32 n)
{
	while (n-- > 0) {
		c->range >>= 1;
		c->low += v >> n & 1 ? c->range : 0;
		put_shift(c);
	}
}

/* Of the numbers in the interval the one with most zeros at its end, for they need not be written: 2^32, or a multiple of 2^24, which range holds. */
void fmt_put_end(struct fmt_put *c)
{
	c->low = c->low + c->range > 1ULL << 32 ? 1ULL << 32 : (c->low + (1u << 24) - 1) >> 24 << 24;
	if (c->low > UINT32_MAX)
		carry(c);
	for (u32 i = 0; i < 4; i++)
		buf_putc(c->out, (u8)(c->low >> (24 - 8 * i)));
	while (!buf_err(c->out) && c->out->len > c->start && !c->out->data[c->out->len - 1])
		c->out->len--;
}

/* ---- get ---- */

static inline u32 next_byte(struct fmt_get *c)
{
	return c->p < c->end ? *c->p++ : 0;
}

struct fmt_get fmt_get_init(const u8 *p, size_t n)
{
	struct fmt_get c = {.p = p, .end = n ? p + n : p, .range = UINT32_MAX};

	for (u32 i = 0; i < 4; i++)
		c.code = c.code << 8 | next_byte(&c);
	return c;
}

static inline void get_shift(struct fmt_get *c)
{
	while (c->range < 1u << 24) {
		c->code = c->code << 8 | next_byte(c);
		c->range <<= 8;
	}
}

u32 fmt_get_symbol(struct fmt_get *c, struct fmt_tree *t, u32 context)
{
	u32 node = 1;

	for (u32 i = 0; i < t->bits; i++) {
		struct fmt_prob *base, *p = decision(t, context, node, &base);
		u32 zero = (c->range >> 16) * p->zero;
		bool bit = c->code >= zero;

		c->code -= bit ? zero : 0;
		c->range = bit ? c->range - zero : zero;
		get_shift(c);
		learn(p, bit);
		if (p != base)
			learn(base, bit);
		node = 2 * node + bit;
	}
	return node - (1u << t->bits);
}

u64 fmt_get_bits(struct fmt_get *c, u32 n)
{
	u64 v = 0;

	while (n-- > 0) {
		bool bit;

		c->range >>= 1;
		bit = c->code >= c->range;
		c->code -= bit ? c->range : 0;
		get_shift(c);
		v = v << 1 | bit;
	}
	return v;
}
