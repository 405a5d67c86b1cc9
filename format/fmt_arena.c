/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_arena.c: memory that one decoded block lives in, freed or used again as a whole. Declared in fmt_codec.h. */
#include <string.h>

#include "format/fmt_codec.h"

#ifndef ARENA_CHUNK /* a fuzzer's is smaller: to get and clear it would be most of its time */
#define ARENA_CHUNK ((size_t)1 << 20)
#endif

static size_t chunk_size(const u8 *chunk)
{
	return *(const size_t *)(const void *)chunk;
}

/* Not zeroed. Big requests get a chunk of their own; the chunk's first 16 bytes hold its size. */
void *fmt_arena_take(struct fmt_arena *a, size_t n)
{
	u8 *chunk;

	n = (n + 15) & ~(size_t)15;
	while (a->cur < a->n_chunks) {
		if (chunk_size(a->chunks[a->cur]) - a->used >= n) {
			chunk = a->chunks[a->cur] + 16 + a->used;
			a->used += n;
			return chunk;
		}
		a->cur++;
		a->used = 0;
	}
	if (a->n_chunks == a->cap_chunks) {
		size_t cap = a->cap_chunks ? a->cap_chunks * 2 : 16;
		u8 **chunks = reallocarray(a->chunks, cap, sizeof(*chunks));

		if (!chunks)
			return NULL;
		a->chunks = chunks;
		a->cap_chunks = cap;
	}
	chunk = malloc(16 + (n > ARENA_CHUNK ? n : ARENA_CHUNK));
	if (!chunk)
		return NULL;
	*(size_t *)(void *)chunk = n > ARENA_CHUNK ? n : ARENA_CHUNK;
	a->chunks[a->n_chunks++] = chunk;
	a->cur = a->n_chunks - 1;
	a->used = n;
	return chunk + 16;
}

void *fmt_arena_alloc(struct fmt_arena *a, size_t n)
{
	void *p = fmt_arena_take(a, n);

	return p ? memset(p, 0, n) : NULL;
}

/* Big chunks go back: kept, blocks that grow a little each would find every one too small and leave it behind. */
void fmt_arena_reset(struct fmt_arena *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n_chunks; i++) {
		if (chunk_size(a->chunks[i]) == ARENA_CHUNK)
			a->chunks[kept++] = a->chunks[i];
		else
			free(a->chunks[i]);
	}
	a->n_chunks = kept;
	a->cur = 0;
	a->used = 0;
	a->cells = 0;
}

void fmt_arena_release(struct fmt_arena *a)
{
	for (size_t i = 0; i < a->n_chunks; i++)
		free(a->chunks[i]);
	free(a->chunks);
	*a = (struct fmt_arena){0};
}
