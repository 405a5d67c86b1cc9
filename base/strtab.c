/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * strtab.c: strings interned to indices; used by the capture writer and by the loader.
 *
 *	entries[idx - 1] -> {bytes, len, hash}      bytes live in chunks that are never moved, so that pointers stay valid
 *	slots[hash & mask] -> idx, 0 = free         linear probing, at most three quarters full
 *
 * The hash starts from a random seed: the strings may come from a stranger's file, which must not be able to pick colliding ones.
 * Indices depend on the order of interning alone.
 */
#include "base/strtab.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum {
	STRTAB_MIN_SLOTS = 64,
	STRTAB_CHUNK = 1 << 16,
};

struct strtab_entry {
	const char *s; /* NUL-terminated; the NUL is not counted in len */
	size_t len;
	u64 hash;
};

struct strtab_chunk {
	struct strtab_chunk *next;
	size_t len, cap; /* bytes of data */
	char data[];
};

struct strtab {
	struct strtab_entry *entries;
	u32 n, cap;
	u32 *slots;
	size_t n_slots;		     /* power of two */
	struct strtab_chunk *chunks; /* the first is being filled */
	u64 seed;
};

struct strtab *strtab_new(void)
{
	struct strtab *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->slots = calloc(STRTAB_MIN_SLOTS, sizeof(*t->slots));
	if (!t->slots)
		return strtab_free(t);
	t->n_slots = STRTAB_MIN_SLOTS;
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = (u64)(uintptr_t)t;
	return t;
}

struct strtab *strtab_free(struct strtab *t)
{
	if (!t)
		return NULL;
	while (t->chunks) {
		struct strtab_chunk *next = t->chunks->next;

		free(t->chunks);
		t->chunks = next;
	}
	free(t->entries);
	free(t->slots);
	free(t);
	return NULL;
}

/* FNV-1a, then a finalizer, since the low bits pick the slot. */
static u64 hash_bytes(u64 seed, const char *s, size_t n)
{
	u64 h = seed ^ 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (u8)s[i]) * 0x100000001b3ULL;
	h ^= h >> 32;
	h *= 0x94d049bb133111ebULL;
	return h ^ h >> 31;
}

/* The slot of the string, or the free one where it belongs. */
static size_t slot_of(const struct strtab *t, u64 hash, const char *s, size_t n)
{
	size_t mask = t->n_slots - 1, i = (size_t)hash & mask;

	for (; t->slots[i]; i = (i + 1) & mask) {
		const struct strtab_entry *e = &t->entries[t->slots[i] - 1];

		if (e->hash == hash && e->len == n && !memcmp(e->s, s, n))
			break;
	}
	return i;
}

static int grow_slots(struct strtab *t)
{
	size_t n_slots = t->n_slots * 2;
	u32 *slots = calloc(n_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (u32 e = 0; e < t->n; e++) {
		size_t i = (size_t)t->entries[e].hash & (n_slots - 1);

		while (slots[i])
			i = (i + 1) & (n_slots - 1);
		slots[i] = e + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n_slots;
	return 0;
}

static int grow_entries(struct strtab *t)
{
	u32 cap = t->cap ? t->cap * 2 : STRTAB_MIN_SLOTS;
	struct strtab_entry *entries;

	if (t->cap > UINT32_MAX / 4)
		return -ENOMEM;
	entries = reallocarray(t->entries, cap, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	t->entries = entries;
	t->cap = cap;
	return 0;
}

/* A copy with a NUL behind it, in memory that does not move; NULL when there is none. */
static const char *store(struct strtab *t, const char *s, size_t n)
{
	struct strtab_chunk *c = t->chunks;
	char *to;

	if (!c || c->cap - c->len < n + 1) {
		size_t cap = n + 1 > STRTAB_CHUNK ? n + 1 : STRTAB_CHUNK;

		c = malloc(sizeof(*c) + cap);
		if (!c)
			return NULL;
		c->len = 0;
		c->cap = cap;
		c->next = t->chunks;
		t->chunks = c;
	}
	to = c->data + c->len;
	memcpy(to, s, n);
	to[n] = '\0';
	c->len += n + 1;
	return to;
}

int strtab_intern(struct strtab *t, const char *s, size_t n, u32 *ret_idx, bool *ret_is_new)
{
	const char *copy;
	size_t slot;
	u64 hash;

	if (ret_is_new)
		*ret_is_new = false;
	if (!n) {
		*ret_idx = 0;
		return 0;
	}
	if (n > PTRDIFF_MAX / 2)
		return -ENOMEM;
	hash = hash_bytes(t->seed, s, n);
	slot = slot_of(t, hash, s, n);
	if (t->slots[slot]) {
		*ret_idx = t->slots[slot];
		return 0;
	}
	if (t->n == t->cap && grow_entries(t))
		return -ENOMEM;
	if (t->n >= t->n_slots / 4 * 3) {
		if (grow_slots(t))
			return -ENOMEM;
		slot = slot_of(t, hash, s, n);
	}
	copy = store(t, s, n);
	if (!copy)
		return -ENOMEM;
	t->entries[t->n] = (struct strtab_entry){.s = copy, .len = n, .hash = hash};
	t->slots[slot] = ++t->n;
	*ret_idx = t->n;
	if (ret_is_new)
		*ret_is_new = true;
	return 0;
}

const char *strtab_get(const struct strtab *t, u32 idx, size_t *ret_len)
{
	if (!idx || idx > t->n) {
		if (ret_len)
			*ret_len = 0;
		return "";
	}
	if (ret_len)
		*ret_len = t->entries[idx - 1].len;
	return t->entries[idx - 1].s;
}

int strtab_keep(struct strtab *t, const char *s, const char **ret)
{
	u32 idx;
	int r = s ? strtab_intern(t, s, strlen(s), &idx, NULL) : 0;

	*ret = s && !r ? strtab_get(t, idx, NULL) : NULL;
	return r;
}

u32 strtab_count(const struct strtab *t)
{
	return t->n;
}
