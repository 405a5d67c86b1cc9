/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_rings.c: the consumer of BPF rings over rings of memory. Either any bytes as what lies in them: it must end, read nothing outside and give no record of
 * an impossible size; or orders for well-formed rings: then every record that was submitted is given once, whole, and each ring's in their order.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include "record/rings.h"
#include "tests/fuzz/fuzz.h"
#include "tests/reliability/gen.h"

/* A broken promise of rings.h. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

enum { MAX_RINGS = 4, ROUNDS = 200 };

struct orders {
	const u8 *p;
	size_t left;
};

FUZZ_PLAIN static u8 next_byte(struct orders *o)
{
	if (!o->left)
		return 0;
	o->left--;
	return *o->p++;
}

/* One ring, its memory got by malloc, so that a byte read behind it is seen. */
struct fuzz_ring {
	u64 consumer, producer;
	u8 *data;
	u64 size;
	u64 given, got; /* records of the well-formed kind: how many were put, and taken */
};

struct fuzz {
	struct fuzz_ring ring[MAX_RINGS];
	u32 n;
	bool well_formed;
	u64 taken, sum;
};

FUZZ_PLAIN static int on_record(void *ctx, const struct wire_hdr *h, size_t size)
{
	struct fuzz *f = ctx;
	const u8 *bytes = (const u8 *)h;

	MUST(size >= sizeof(*h) && size <= sizeof(struct wire_stack) && !((uintptr_t)h & 7));
	for (size_t i = 0; i < size; i++)
		f->sum += bytes[i];
	f->taken++;
	if (!f->well_formed)
		return 0;
	MUST(h->cpu < f->n && h->tid == f->ring[h->cpu].got && size == sizeof(*h) + h->tgid % 64);
	for (size_t i = sizeof(*h); i < size; i++)
		MUST(bytes[i] == (u8)(h->tid + i));
	f->ring[h->cpu].got++;
	return 0;
}

FUZZ_PLAIN static void put_bytes(struct fuzz_ring *r, u64 at, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->data[(at + i) & (r->size - 1)] = ((const u8 *)p)[i];
}

/* A record at the producer's position when there is room; `state`: the bits of its length. */
FUZZ_PLAIN static void put_record(struct fuzz *f, u32 i, u64 ts, u32 extra, u32 state)
{
	struct fuzz_ring *r = &f->ring[i];
	struct wire_hdr h = {.kind = WIRE_SWITCH_IN, .cpu = i, .ts = ts, .tgid = extra, .tid = (u32)r->given};
	u32 len = (u32)sizeof(h) + extra, word = len | state, zero = 0;
	u64 need = (len + BPF_RINGBUF_HDR_SZ + 7ULL) / 8 * 8;

	if (r->producer - r->consumer + need > r->size)
		return;
	put_bytes(r, r->producer, &word, 4);
	put_bytes(r, r->producer + 4, &zero, 4);
	put_bytes(r, r->producer + 8, &h, sizeof(h));
	for (u32 k = 0; k < extra; k++)
		put_bytes(r, r->producer + 8 + sizeof(h) + k, &(u8){(u8)(h.tid + sizeof(h) + k)}, 1);
	r->producer += need;
	r->given += !state;
}

static void make_rings(struct fuzz *f, struct orders *o, struct rings *rs)
{
	f->n = 1 + next_byte(o) % MAX_RINGS;
	for (u32 i = 0; i < f->n; i++) {
		struct fuzz_ring *r = &f->ring[i];

		r->size = 8ULL << next_byte(o) % 9;
		r->consumer = r->producer = 8ULL * next_byte(o) + (next_byte(o) == 255 ? UINT64_MAX - 1023 : 0);
		r->data = calloc(1, r->size);
		MUST(r->data);
		rings_add(rs, &(struct ring_memory){
				      .consumer = &r->consumer, .producer = &r->producer, .data = r->data, .size = r->size});
	}
}

/* Well-formed: records of growing times in rings as the orders say, taken now and then. */
static void obey(struct fuzz *f, struct orders *o, struct rings *rs)
{
	u64 ts = 10 * RINGS_SLACK, all = 0, got = 0;

	while (o->left) {
		u8 what = next_byte(o), extra = next_byte(o) % 64;

		ts += what * 1000ULL;
		if (what % 8 == 7)
			MUST(rings_take(rs, ts, what & 64, extra + 1u) >= 0);
		else if (what % 8 == 6)
			put_record(f, what / 8 % f->n, ts, extra, BPF_RINGBUF_DISCARD_BIT);
		else
			put_record(f, what / 8 % f->n, ts, extra, 0);
	}
	MUST(rings_take(rs, UINT64_MAX, false, UINT32_MAX / 2) >= 0);
	for (u32 i = 0; i < f->n; i++) {
		all += f->ring[i].given;
		got += f->ring[i].got;
		MUST(f->ring[i].consumer == f->ring[i].producer);
	}
	MUST(all == got && got == f->taken);
	MUST(!rings_counts(rs).malformed && !rings_counts(rs).bad && !rings_counts(rs).late && !rings_counts(rs).left);
}

/* Any bytes: what is in them, and how far the producer says it is. */
static void disturb(struct fuzz *f, struct orders *o, struct rings *rs)
{
	u64 now = RINGS_SLACK;

	for (u32 round = 0; round < ROUNDS && o->left; round++) {
		struct fuzz_ring *r = &f->ring[next_byte(o) % f->n];
		u8 how = next_byte(o);
		u64 at = r->producer;

		for (u32 k = 0; k < how % 64u; k++)
			put_bytes(r, at + k, &(u8){next_byte(o)}, 1);
		r->producer += how & 64 ? how % 64u : (how % 64u + 7u) / 8 * 8;
		if (how == 255)
			r->producer += next_byte(o) * 8ULL; /* more than there is room for, perhaps */
		now += how * 1000000ULL;
		MUST(rings_take(rs, now, how & 1, 100) >= 0);
		if (how & 2)
			(void)rings_find_stack(rs, how);
	}
	MUST(rings_take(rs, UINT64_MAX, true, 1000) >= 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct orders o = {data, size};
	struct fuzz f = {.well_formed = false};
	struct rings *rs = NULL;

	f.well_formed = next_byte(&o) & 1;
	MUST(rings_new(MAX_RINGS, on_record, &f, &rs) == 0);
	make_rings(&f, &o, rs);
	if (f.well_formed)
		obey(&f, &o, rs);
	else
		disturb(&f, &o, rs);
	rings_free(rs);
	for (u32 i = 0; i < f.n; i++)
		free(f.ring[i].data);
	return 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, max_size);
}

/* Rings that hold what could be records, and orders of all sorts. */
int fuzz_seeds_write(const char *dir)
{
	u64 state = 5;

	for (u32 i = 0; i < 24; i++) {
		u8 bytes[700];
		size_t n = 20 + i * 28;
		char name[32];
		int err;

		for (size_t k = 0; k < n; k++) {
			u64 r = gen_random(&state);

			bytes[k] = (u8)(i & 1 ? r : k % 8 == 0 ? 24 + r % 40 : k % 8 < 4 ? 0 : r);
		}
		bytes[0] = (u8)i;
		for (u32 k = 0; k < 4; k++)
			bytes[2 + k * 3] = (u8)(6 + (i + k) % 3); /* rings of 512 to 2048 bytes */
		(void)snprintf(name, sizeof(name), "%s-%02u", i & 1 ? "orders" : "bytes", i);
		err = fuzz_seed_save(dir, name, bytes, n);
		if (err)
			return err;
	}
	return 0;
}
