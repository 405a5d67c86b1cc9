/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_arena.c: memory that one decoded block lives in, freed or used again as a whole. Declared in fmt_codec.h. */
#include <string.h>

#include "format/fmt_codec.h"

#ifndef ARENA_CHUNK /* a fuzzer's is smaller: to get and clear it would be most of its time */
#define ARENA_CHUNK ((size_t)1 << 20)
#endif

static u8 *chunk_new(struct fmt_chunks *c, size_t n)
{
	u8 *chunk;

	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		u8 **at = reallocarray(c->at, cap, sizeof(*at));

		if (!at)
			return NULL;
		c->at = at;
		c->cap = cap;
	}
	chunk = malloc(n);
	if (!chunk)
		return NULL;
	c->at[c->n++] = chunk;
	c->bytes += n;
	return chunk;
}

static void chunks_free(struct fmt_chunks *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->at[i]);
	c->n = 0;
	c->bytes = 0;
}

/* Not zeroed. Big requests get a chunk of their own; it is none of those that small ones are served from in turn. */
void *fmt_arena_take(struct fmt_arena *a, size_t n)
{
	u8 *p;

	n = (n + 15) & ~(size_t)15;
	if (n > ARENA_CHUNK)
		return chunk_new(&a->big, n);
	if (a->cur < a->chunks.n && ARENA_CHUNK - a->used < n) {
		a->cur++;
		a->used = 0;
	}
	if (a->cur == a->chunks.n && !chunk_new(&a->chunks, ARENA_CHUNK))
		return NULL;
	p = a->chunks.at[a->cur] + a->used;
	a->used += n;
	return p;
}

void *fmt_arena_alloc(struct fmt_arena *a, size_t n)
{
	void *p = fmt_arena_take(a, n);

	return p ? memset(p, 0, n) : NULL;
}

/* Big chunks go back: kept, blocks that grow a little each would find every one too small and leave it behind. */
void fmt_arena_reset(struct fmt_arena *a)
{
	chunks_free(&a->big);
	a->cur = 0;
	a->used = 0;
	a->cells = 0;
}

void fmt_arena_release(struct fmt_arena *a)
{
	chunks_free(&a->chunks);
	chunks_free(&a->big);
	free(a->chunks.at);
	free(a->big.at);
	*a = (struct fmt_arena){0};
}
