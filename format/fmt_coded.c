/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_coded.c: see fmt_coded.h. */
#include "format/fmt_coded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/fmt_numbers.h"

static u32 bits_of(u32 n)
{
	return n <= 2 ? 1 : 32 - (u32)__builtin_clz(n - 1);
}

static struct fmt_tree tree_new(struct fmt_prob *probs, u32 bits, u32 contexts)
{
	memset(probs, 0, fmt_tree_size(bits, contexts) * sizeof(*probs));
	return (struct fmt_tree){.probs = probs, .bits = bits, .contexts = contexts};
}

static u32 context_of(const struct fmt_symbols *s, const struct fmt_symbols *given, u32 row)
{
	if (!given || (s == given && !row))
		return 0;
	return 1u + given->of[s == given ? row - 1 : row];
}

/* ---- symbols ---- */

void fmt_symbols_put(const u64 *values, const struct fmt_symbols *s, u32 rows, struct fmt_given given, struct fmt_prob *probs,
		     struct buf *out)
{
	u32 bits = bits_of(s->n);
	struct fmt_tree t;
	struct fmt_put c;

	if (given.symbols && fmt_tree_size(bits, given.symbols->n) > FMT_MAX_PROBS)
		given = (struct fmt_given){0};
	buf_put_uvarint(out, given.column);
	buf_put_uvarint(out, s->n);
	for (u32 i = 0; i < s->n; i++)
		buf_put_uvarint(out, values[i] - (i ? values[i - 1] : 0));
	t = tree_new(probs, bits, given.symbols ? given.symbols->n : 0);
	c = fmt_put_init(out);
	for (u32 i = 0; i < rows; i++)
		fmt_put_symbol(&c, &t, context_of(s, given.symbols, i), s->of[i]);
	fmt_put_end(&c);
}

int fmt_symbols_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_symbols *given, bool own, u32 rows,
		    struct fmt_symbols *ret_symbols, u64 *ret)
{
	u32 n = (u32)cur_uvarint_max(c, min_u64(FMT_MAX_CLASSES, rows), "number of symbols");
	u16 *symbols = ret_symbols->of;
	struct fmt_tree t;
	struct fmt_get get;
	u64 v = 0;

	for (u32 i = 0; i < n; i++)
		k->values[i] = v += cur_uvarint(c, "value of a symbol");
	if (c->err)
		return c->err;
	ret_symbols->n = n;
	given = own ? ret_symbols : given;
	if (!n || (given && fmt_tree_size(bits_of(n), given->n) > FMT_MAX_PROBS))
		return cur_fail(c, -EBADMSG, "contexts of a column of symbols");
	t = tree_new(k->probs, bits_of(n), given ? given->n : 0);
	get = fmt_get_init(c->p, cur_left(c));
	for (u32 i = 0; i < rows; i++) {
		u32 symbol = fmt_get_symbol(&get, &t, context_of(ret_symbols, given, i));

		if (symbol >= n)
			return cur_fail(c, -EBADMSG, "symbol");
		symbols[i] = (u16)symbol;
		ret[i] = k->values[symbol];
	}
	return get.p < get.end ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}

/* ---- numbers: tokens as of split columns, by a tree, and their bits ---- */

enum { TOKEN_BITS = 8 };

static void put_number(struct fmt_put *c, struct fmt_tree *t, u32 context, u64 v)
{
	u32 token = fmt_split_token(v);

	fmt_put_symbol(c, t, context, token);
	fmt_put_bits(c, v & ((1ULL << fmt_split_extra(token)) - 1), fmt_split_extra(token));
}

static u64 get_number(struct fmt_get *c, struct fmt_tree *t, u32 context)
{
	u32 token = fmt_get_symbol(c, t, context), extra = fmt_split_extra(token);

	return token < 16 ? token : (u64)(4 | (token & 3)) << extra | fmt_get_bits(c, extra);
}

/* ---- steps ---- */

enum step { STEP_FIRST, STEP_PERIODS, STEP_REST, STEPS };

static void steps_trees(struct fmt_prob *probs, struct fmt_tree *ret)
{
	for (u32 i = 0; i < STEPS; i++)
		ret[i] = tree_new(probs + ((size_t)i << TOKEN_BITS), TOKEN_BITS, 0);
}

/* How far the point moves from which the next period is counted, when a value was `rest` off: slowly up, for timers are late, not early. */
static u64 follow(u64 rest)
{
	s64 r = (s64)rest;

	return r > 0 ? (u64)(r / 16) : (u64)(r / 4);
}

static u64 periods(u64 d, u64 period)
{
	s64 k = (s64)d / (s64)period, rest = (s64)d % (s64)period;

	return (u64)(k + (rest * 2 >= (s64)period ? 1 : 0) - (rest * 2 < -(s64)period ? 1 : 0));
}

void fmt_steps_put(const u64 *v, u32 rows, struct fmt_given group, u64 period, struct fmt_prob *probs, struct fmt_last *last,
		   struct buf *out)
{
	u32 n = group.symbols ? group.symbols->n : 1;
	struct fmt_tree t[STEPS];
	struct fmt_put c;

	memset(last, 0, n * sizeof(*last));
	steps_trees(probs, t);
	buf_put_uvarint(out, group.column);
	buf_put_uvarint(out, period);
	c = fmt_put_init(out);
	for (u32 i = 0; i < rows; i++) {
		struct fmt_last *l = &last[group.symbols ? group.symbols->of[i] : 0];
		u64 d = v[i] - l->at, k = 0;

		if (!l->seen) {
			put_number(&c, &t[STEP_FIRST], 0, fmt_zigzag(v[i] - (i ? v[i - 1] : 0)));
			*l = (struct fmt_last){.at = v[i], .seen = true};
			continue;
		}
		if (period) {
			k = periods(d, period);
			put_number(&c, &t[STEP_PERIODS], 0, fmt_zigzag(k - 1));
		}
		d -= k * period;
		put_number(&c, &t[STEP_REST], 0, fmt_zigzag(d));
		l->at += k * period + (period ? follow(d) : d);
	}
	fmt_put_end(&c);
}

int fmt_steps_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_symbols *group, u32 rows, u64 *ret)
{
	u64 period = cur_uvarint(c, "period");
	struct fmt_tree t[STEPS];
	struct fmt_get get;

	if (c->err)
		return c->err;
	memset(k->last, 0, (group ? group->n : 1) * sizeof(*k->last));
	steps_trees(k->probs, t);
	get = fmt_get_init(c->p, cur_left(c));
	for (u32 i = 0; i < rows; i++) {
		struct fmt_last *l = &k->last[group ? group->of[i] : 0];
		u64 rest;

		if (!l->seen) {
			ret[i] = (i ? ret[i - 1] : 0) + fmt_unzigzag(get_number(&get, &t[STEP_FIRST], 0));
			*l = (struct fmt_last){.at = ret[i], .seen = true};
			continue;
		}
		if (period)
			l->at += period * (fmt_unzigzag(get_number(&get, &t[STEP_PERIODS], 0)) + 1);
		rest = fmt_unzigzag(get_number(&get, &t[STEP_REST], 0));
		ret[i] = l->at + rest;
		l->at += period ? follow(rest) : rest;
	}
	return get.p < get.end ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}

/* ---- beside switches ---- */

/* Whether it is another value than foreseen, by context; then which. */
struct like_trees {
	struct fmt_tree other, value;
};

static struct like_trees like_trees(struct fmt_prob *probs, const struct fmt_symbols *given)
{
	return (struct like_trees){.value = tree_new(probs, TOKEN_BITS, 0),
				   .other = tree_new(probs + fmt_tree_size(TOKEN_BITS, 0), 1, given ? given->n : 0)};
}
_Static_assert(((FMT_MAX_CLASSES + 1) << 1) + (1 << TOKEN_BITS) <= FMT_MAX_PROBS, "trees of a like column");
_Static_assert((FMT_BESIDE_CONTEXTS + 1) << TOKEN_BITS <= FMT_MAX_PROBS, "tree of a counter");

void fmt_like_put(const struct fmt_columns *s, u32 c, const struct fmt_beside *b, struct fmt_given given, struct fmt_prob *probs,
		  struct buf *out)
{
	int out_column = fmt_beside_column(s, c);
	struct like_trees t = like_trees(probs, given.symbols);
	struct fmt_put put;

	buf_put_uvarint(out, given.column);
	put = fmt_put_init(out);
	for (u32 i = 0; i < s->rows; i++) {
		u64 d = s->of[c][(size_t)i * s->step] - fmt_beside_value(b, s, c, out_column, i);

		fmt_put_symbol(&put, &t.other, given.symbols ? given.symbols->of[i] + 1u : 0, d != 0);
		if (d)
			put_number(&put, &t.value, 0, s->of[c][(size_t)i * s->step]);
	}
	fmt_put_end(&put);
}

int fmt_like_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_columns *s, u32 column,
		 const struct fmt_beside *b, const struct fmt_symbols *given, u64 *ret)
{
	int out_column = fmt_beside_column(s, column);
	struct like_trees t = like_trees(k->probs, given);
	struct fmt_get get = fmt_get_init(c->p, cur_left(c));

	for (u32 i = 0; i < s->rows; i++) {
		ret[i] = fmt_beside_value(b, s, column, out_column, i);
		if (fmt_get_symbol(&get, &t.other, given ? given->of[i] + 1u : 0))
			ret[i] = get_number(&get, &t.value, 0);
	}
	return get.p < get.end ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}

void fmt_count_put(const struct fmt_columns *s, u32 c, const struct fmt_beside *b, struct fmt_prob *probs, struct buf *out)
{
	struct fmt_tree t = tree_new(probs, TOKEN_BITS, FMT_BESIDE_CONTEXTS);
	int out_column = fmt_beside_column(s, c);
	struct fmt_put put = fmt_put_init(out);

	for (u32 i = 0; i < s->rows; i++) {
		u32 context;
		u64 v = fmt_beside_count(b, s, c, out_column, i, &context);

		put_number(&put, &t, context, fmt_zigzag(s->of[c][(size_t)i * s->step] - v));
	}
	fmt_put_end(&put);
}

int fmt_count_get(struct fmt_cursor *c, const struct fmt_coded *k, const struct fmt_columns *s, u32 column,
		  const struct fmt_beside *b, u64 *ret)
{
	struct fmt_tree t = tree_new(k->probs, TOKEN_BITS, FMT_BESIDE_CONTEXTS);
	int out_column = fmt_beside_column(s, column);
	struct fmt_get get = fmt_get_init(c->p, cur_left(c));

	for (u32 i = 0; i < s->rows; i++) {
		u32 context;
		u64 v = fmt_beside_count(b, s, column, out_column, i, &context);

		ret[i] = v + fmt_unzigzag(get_number(&get, &t, context));
	}
	return get.p < get.end ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}

/* ---- the period ---- */

/* Bits that the differences take, if this were the period. */
static u64 cost_of(const u64 *d, u32 n, u64 period)
{
	u64 bits = 0;

	for (u32 i = 0; i < n; i++) {
		u64 k = periods(d[i], period);

		bits += 64 - (u64)__builtin_clzll(fmt_zigzag(d[i] - k * period) | 1) + (k == 1 ? 0 : 4);
	}
	return bits;
}

static int ascending(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

enum { GUESSES = 4, LEAST_ROWS = 16 };

/*
 * Most differences are one period or a small multiple, and some quarter of them is near one. From a guess, all differences together by the number of
 * periods in each give the period exactly: what a timer is late does not add up.
 */
u64 fmt_steps_period(const u64 *v, u32 rows, struct fmt_given group, struct fmt_last *last, u64 *tmp)
{
	u64 best = 0, best_cost = UINT64_MAX;
	u32 n = 0;

	memset(last, 0, (group.symbols ? group.symbols->n : 1) * sizeof(*last));
	for (u32 i = 0; i < rows; i++) {
		struct fmt_last *l = &last[group.symbols ? group.symbols->of[i] : 0];

		if (l->seen && v[i] > l->at && v[i] - l->at < 1ULL << 40)
			tmp[n++] = v[i] - l->at;
		*l = (struct fmt_last){.at = v[i], .seen = true};
	}
	if (n < LEAST_ROWS)
		return 0;
	qsort(tmp, n, sizeof(*tmp), ascending);
	for (u32 g = 0; g < GUESSES; g++) {
		u64 period = tmp[n / (2 * GUESSES) * (2 * g + 1)], cost;

		for (u32 round = 0; round < 2 && period; round++) {
			u64 sum = 0, k = 0;

			for (u32 i = 0; i < n; i++) {
				sum += tmp[i];
				k += periods(tmp[i], period);
			}
			period = k ? sum / k : 0;
		}
		cost = period ? cost_of(tmp, n, period) : UINT64_MAX;
		if (cost < best_cost) {
			best = period;
			best_cost = cost;
		}
	}
	return best;
}
