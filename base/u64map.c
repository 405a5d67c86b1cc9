/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * u64map.c: u64 -> u64 by linear probing; used wherever ids of the kernel or of a file are mapped to dense ones.
 * Invariant: cap is 0 or a power of two and more than a quarter of the slots is free, so that every probe ends. Keys are never
 * removed.
 */
#include "base/u64map.h"

#include <errno.h>

enum { U64MAP_MIN_CAP = 16 };

/* The finalizer of splitmix64: ids are often multiples of a power of two, and the low bits pick the slot. */
static u64 mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct u64map *m, u64 key)
{
	size_t mask = m->cap - 1, i = (size_t)mix(key) & mask;

	while (m->used[i] && m->keys[i] != key)
		i = (i + 1) & mask;
	return i;
}

void u64map_release(struct u64map *m)
{
	free(m->keys);
	free(m->values);
	free(m->used);
	*m = U64MAP_INIT;
}

bool u64map_get(const struct u64map *m, u64 key, u64 *ret_value)
{
	size_t i;

	if (!m->cap)
		return false;
	i = slot_of(m, key);
	if (!m->used[i])
		return false;
	*ret_value = m->values[i];
	return true;
}

static int grow(struct u64map *m)
{
	struct u64map bigger = {.cap = m->cap ? m->cap * 2 : U64MAP_MIN_CAP, .n = m->n};

	bigger.keys = calloc(bigger.cap, sizeof(*bigger.keys));
	bigger.values = calloc(bigger.cap, sizeof(*bigger.values));
	bigger.used = calloc(bigger.cap, sizeof(*bigger.used));
	if (!bigger.keys || !bigger.values || !bigger.used) {
		u64map_release(&bigger);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->cap; i++) {
		size_t to;

		if (!m->used[i])
			continue;
		to = slot_of(&bigger, m->keys[i]);
		bigger.keys[to] = m->keys[i];
		bigger.values[to] = m->values[i];
		bigger.used[to] = 1;
	}
	u64map_release(m);
	*m = bigger;
	return 0;
}

int u64map_put(struct u64map *m, u64 key, u64 value)
{
	size_t i;

	if (m->n >= m->cap / 4 * 3) {
		int err = grow(m);

		if (err)
			return err;
	}
	i = slot_of(m, key);
	if (!m->used[i]) {
		m->used[i] = 1;
		m->keys[i] = key;
		m->n++;
	}
	m->values[i] = value;
	return 0;
}
