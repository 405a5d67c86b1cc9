/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * rings.c: see rings.h. A heap of the rings, by the key of each one's first record.
 *
 * The key is the record's time, but for a stack: it stands just before the event that names it, whose time may be that of before the walk; it has that event's
 * key, so that it does not hold it up. Between two passes at == *consumer in every ring.
 */
#include "record/rings.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>

enum {
	RECORD_MAX = sizeof(struct wire_stack), /* the largest of all kinds */
	GROUP = 4,				/* records among which a stack's event is looked for */
	LOOKS = 1 << 18,			/* records passed in looking for stacks, each pass */
};
#define NO_KEY UINT64_MAX

struct ring {
	struct ring_memory m;
	u64 at;			/* up to which records were taken */
	u64 told;		/* what *consumer says */
	u64 end;		/* the producer's position at this pass */
	struct ring_slot first; /* at `at`, if key is not NO_KEY */
	u64 key;
	u64 busy_at, busy_since; /* where it stopped last at a record that is not submitted, and when it first did there */
};

struct rings {
	rings_fn fn;
	void *ctx;
	u64 now, until; /* of this pass */
	u64 known;
	u64 latest; /* time of the youngest event that was delivered; */
	u64 before; /* that before this pass */
	u32 looks;  /* left in this pass */
	struct rings_counts counts;
	u32 max, n;
	u32 *heap; /* indices; the least key first */
	u64 turn[RECORD_MAX / 8], found[RECORD_MAX / 8];
	struct ring ring[];
};

/* ---- one ring ---- */

enum ring_state ring_look(const struct ring_memory *m, u64 at, u64 end, struct ring_slot *ret)
{
	u32 word;
	u64 len;

	if (at == end)
		return RING_EMPTY;
	if (end - at > m->size || at & 7)
		return RING_MALFORMED;
	/* acquire: what the producer wrote before it submitted is seen behind this. A header is aligned, so it is in one piece */
	word = __atomic_load_n((const u32 *)(const void *)(m->data + (at & (m->size - 1))), __ATOMIC_ACQUIRE);
	len = word & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
	if (len + BPF_RINGBUF_HDR_SZ > end - at)
		return RING_MALFORMED;
	ret->data = at + BPF_RINGBUF_HDR_SZ;
	ret->len = (u32)len;
	ret->next = at + (len + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	if (ret->next - at > end - at)
		return RING_MALFORMED;
	return word & BPF_RINGBUF_BUSY_BIT ? RING_BUSY : word & BPF_RINGBUF_DISCARD_BIT ? RING_DISCARDED : RING_RECORD;
}

void ring_copy(const struct ring_memory *m, u64 at, void *to, size_t n)
{
	size_t off = (size_t)(at & (m->size - 1)), part = m->size - off < n ? m->size - off : n;

	memcpy(to, m->data + off, part);
	memcpy((u8 *)to + part, m->data, n - part);
}

/* The record's bytes where they lie, or in `room` when they wrap. */
static const struct wire_hdr *whole_record(const struct ring_memory *m, const struct ring_slot *s, u64 *room)
{
	size_t off = (size_t)(s->data & (m->size - 1));

	if (m->size - off >= s->len)
		return (const void *)(m->data + off);
	ring_copy(m, s->data, room, s->len);
	return (const void *)room;
}

static void tell_consumer(struct ring *r)
{
	if (r->told == r->at)
		return;
	__atomic_store_n(r->m.consumer, r->at, __ATOMIC_RELEASE); /* after all reads: the kernel may write there then */
	r->told = r->at;
}

static bool is_possible(const struct ring_slot *s)
{
	return s->len >= sizeof(struct wire_hdr) && s->len <= RECORD_MAX;
}

/* A stack's key: see above. Only records of the same cpu belong together. */
static u64 stack_key(const struct ring *r, const struct wire_hdr *stack)
{
	struct wire_hdr h = *stack;
	u64 at = r->first.next, key = h.ts;

	for (u32 i = 0; i < GROUP && h.kind == WIRE_STACK; i++) {
		struct ring_slot s;
		enum ring_state state = ring_look(&r->m, at, r->end, &s);

		if ((state != RING_RECORD && state != RING_DISCARDED) || !is_possible(&s))
			break;
		at = s.next;
		if (state == RING_DISCARDED)
			continue;
		ring_copy(&r->m, s.data, &h, sizeof(h));
		if (h.cpu != stack->cpu)
			break;
		if (h.ts < key && key - h.ts < RINGS_SLACK)
			key = h.ts;
	}
	return key;
}

/* Until when a ring is known that stopped at a record which is not submitted. */
static u64 busy_until(struct rings *rs, struct ring *r)
{
	if (r->busy_at != r->at || !r->busy_since) {
		r->busy_at = r->at;
		r->busy_since = rs->now;
	}
	if (rs->now - r->busy_since > RINGS_HOLD)
		return rs->until;
	return r->busy_since > RINGS_SLACK ? r->busy_since - RINGS_SLACK : 0;
}

/* Sets the first record that can be taken, and its key. */
static void find_first(struct rings *rs, struct ring *r)
{
	struct wire_hdr h;

	r->key = NO_KEY;
	for (;;) {
		switch (ring_look(&r->m, r->at, r->end, &r->first)) {
		case RING_EMPTY:
			return;
		case RING_BUSY:
			rs->until = min_u64(rs->until, busy_until(rs, r));
			return;
		case RING_MALFORMED:
			rs->counts.malformed++;
			r->at = r->end;
			return;
		case RING_DISCARDED:
			break;
		case RING_RECORD:
			if (is_possible(&r->first)) {
				/* of many rings the processor would not do so itself; half the time a record takes of 64 */
				__builtin_prefetch(r->m.data + (r->first.next & (r->m.size - 1)));
				ring_copy(&r->m, r->first.data, &h, sizeof(h));
				r->key = min_u64(h.kind == WIRE_STACK ? stack_key(r, &h) : h.ts, NO_KEY - 1);
				return;
			}
			rs->counts.bad++;
			break;
		}
		r->at = r->first.next;
	}
}

/* ---- the heap ---- */

static u64 key_of(const struct rings *rs, u32 i)
{
	return rs->ring[rs->heap[i]].key;
}

/* Puts entry i in its place below. */
static void sift(struct rings *rs, u32 i)
{
	u32 moved = rs->heap[i];
	u64 key = rs->ring[moved].key;

	for (;;) {
		u32 child = 2 * i + 1;

		if (child >= rs->n)
			break;
		if (child + 1 < rs->n && key_of(rs, child + 1) < key_of(rs, child))
			child++;
		if (key_of(rs, child) >= key)
			break;
		rs->heap[i] = rs->heap[child];
		i = child;
	}
	rs->heap[i] = moved;
}

/* ---- all ---- */

int rings_new(u32 max, rings_fn fn, void *ctx, struct rings **ret)
{
	struct rings *r = calloc(1, sizeof(*r) + max * sizeof(r->ring[0]));

	if (r)
		r->heap = calloc(max, sizeof(*r->heap));
	if (!r || !r->heap) {
		free(r);
		return -ENOMEM;
	}
	r->max = max;
	r->fn = fn;
	r->ctx = ctx;
	*ret = r;
	return 0;
}

struct rings *rings_free(struct rings *r)
{
	if (r)
		free(r->heap);
	free(r);
	return NULL;
}

void rings_add(struct rings *r, const struct ring_memory *m)
{
	u64 at = *m->consumer;

	BUG_ON(r->n == r->max);
	r->heap[r->n] = r->n;
	r->ring[r->n++] = (struct ring){.m = *m, .at = at, .told = at, .end = at, .key = NO_KEY};
}

static void begin_pass(struct rings *rs, u64 now)
{
	rs->now = now;
	rs->until = now == UINT64_MAX ? NO_KEY : now > RINGS_SLACK ? now - RINGS_SLACK : 0;
	rs->before = rs->latest;
	rs->looks = LOOKS;
	for (u32 i = 0; i < rs->n; i++) {
		struct ring *r = &rs->ring[i];

		/* acquire: the headers up to there are written */
		r->end = __atomic_load_n(r->m.producer, __ATOMIC_ACQUIRE);
		rs->counts.most = max_u64(rs->counts.most, min_u64(r->end - r->at, r->m.size));
		find_first(rs, r);
	}
	for (u32 i = rs->n / 2; i-- > 0;)
		sift(rs, i);
}

static int take_first(struct rings *rs, struct ring *r)
{
	const struct wire_hdr *h = whole_record(&r->m, &r->first, rs->turn);
	int err;

	if (h->kind != WIRE_STACK) {
		rs->counts.late += h->ts < rs->before;
		rs->latest = max_u64(rs->latest, h->ts);
	}
	err = rs->fn(rs->ctx, h, r->first.len);
	r->at = r->first.next;
	if (r->at - r->told >= r->m.size / 8)
		tell_consumer(r);
	find_first(rs, r);
	return err;
}

static int take_due(struct rings *rs, u32 max, u32 *n)
{
	int err = 0;

	while (*n < max && !err && rs->n && key_of(rs, 0) < rs->until) {
		err = take_first(rs, &rs->ring[rs->heap[0]]);
		sift(rs, 0);
		(*n)++;
	}
	return err;
}

/* Time of the youngest WIRE_EXEC that can be seen; 0: none. */
static u64 youngest_exec(const struct rings *rs)
{
	u64 ts = 0;

	for (u32 i = 0; i < rs->n; i++) {
		const struct ring *r = &rs->ring[i];
		enum ring_state state;
		struct ring_slot s;
		struct wire_hdr h;

		for (u64 at = r->at; (state = ring_look(&r->m, at, r->end, &s)) == RING_RECORD || state == RING_DISCARDED;
		     at = s.next) {
			if (state == RING_DISCARDED || !is_possible(&s))
				continue;
			ring_copy(&r->m, s.data, &h, sizeof(h));
			if (h.kind == WIRE_EXEC)
				ts = max_u64(ts, h.ts);
		}
	}
	return ts;
}

int rings_take(struct rings *r, u64 now, bool urgent, u32 max)
{
	u32 n = 0;
	int err;

	begin_pass(r, now);
	err = take_due(r, max, &n);
	if (!err && urgent && n < max) {
		r->until = max_u64(r->until, youngest_exec(r) + 1);
		err = take_due(r, max, &n);
	}
	for (u32 i = 0; i < r->n; i++)
		tell_consumer(&r->ring[i]);
	r->known = min_u64(r->until, r->n ? key_of(r, 0) : NO_KEY);
	return err ? err : (int)n;
}

u64 rings_known_until(const struct rings *r)
{
	return r->known;
}

static bool deliver_if(struct rings *rs, const struct ring_memory *m, const struct ring_slot *s, u64 hash)
{
	const struct wire_stack *stack;

	if (s->len < offsetof(struct wire_stack, frames) || s->len > RECORD_MAX)
		return false;
	stack = (const void *)whole_record(m, s, rs->found);
	if (stack->h.kind != WIRE_STACK || stack->hash != hash)
		return false;
	rs->counts.looked_up++;
	return rs->fn(rs->ctx, &stack->h, s->len) == 0;
}

/* Whoever named the stack had seen that it was sent: it is there, maybe behind a record that is not submitted yet. */
bool rings_find_stack(struct rings *rs, u64 hash)
{
	for (u32 i = 0; i < rs->n; i++) {
		const struct ring *r = &rs->ring[i];
		u64 end = __atomic_load_n(r->m.producer, __ATOMIC_ACQUIRE);
		enum ring_state state;
		struct ring_slot s;

		for (u64 at = r->at;
		     rs->looks && (state = ring_look(&r->m, at, end, &s)) != RING_EMPTY && state != RING_MALFORMED; at = s.next) {
			rs->looks--;
			if (state == RING_RECORD && deliver_if(rs, &r->m, &s, hash))
				return true;
		}
	}
	return false;
}

struct rings_counts rings_counts(const struct rings *r)
{
	struct rings_counts c = r->counts;

	for (u32 i = 0; i < r->n; i++)
		c.left += min_u64(__atomic_load_n(r->ring[i].m.producer, __ATOMIC_ACQUIRE) - r->ring[i].at, r->ring[i].m.size);
	return c;
}
