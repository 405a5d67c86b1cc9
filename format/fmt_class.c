/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_class.c: see fmt_class.h.
 *
 * Rows are hashed once, and compared with the first row of the class that their hash finds: equality is exact whatever the hash does. Class numbers are
 * the encoder's to choose: the 256 most frequent classes come first, so that the second byte of a row's number is nearly always 0; among them, and among
 * the rest, classes are sorted by their values, so that a class's value is close to the one before.
 */
#include "format/fmt_class.h"

#include <errno.h>
#include <string.h>

#define CLASS_SLOTS (2 * FMT_MAX_CLASSES)

struct class_table {
	u16 slots[CLASS_SLOTS];	    /* class + 1 */
	u32 tag[FMT_MAX_CLASSES];   /* upper half of its hash */
	u32 count[FMT_MAX_CLASSES]; /* rows */
	u16 order[FMT_MAX_CLASSES], rank[FMT_MAX_CLASSES];
	u32 sorted_first[FMT_MAX_CLASSES];
};

void fmt_classes_release(struct fmt_classes *k)
{
	free(k->of);
	free(k->first);
	free(k->table);
	*k = (struct fmt_classes){0};
}

static bool reserve(struct fmt_classes *k, u32 rows)
{
	u16 *of = k->of;

	if (!k->table)
		k->table = malloc(sizeof(*k->table));
	if (!k->first)
		k->first = malloc(FMT_MAX_CLASSES * sizeof(*k->first));
	if (k->rows_cap < rows) {
		of = realloc(k->of, rows * sizeof(*of));
		k->of = of ? of : k->of;
		k->rows_cap = of ? rows : k->rows_cap;
	}
	return k->table && k->first && of;
}

/* Sums of products by odd constants: independent of each other, so that a row costs a few cycles. */
static u64 hash_row(const u64 *row, const u16 *members, u32 n)
{
	u64 h = 0, k = 0x9e3779b97f4a7c15ULL;

	for (u32 i = 0; i < n; i++) {
		h += (row[members[i]] ^ (row[members[i]] >> 32)) * k;
		k += 0xd1b54a32d192ed02ULL; /* stays odd */
	}
	return (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ULL;
}

static bool same_row(const u64 *a, const u64 *b, const u16 *members, u32 n)
{
	u64 differ = 0;

	for (u32 i = 0; i < n; i++)
		differ |= a[members[i]] ^ b[members[i]];
	return !differ;
}

struct class_order {
	const u64 *values;
	u32 n_cols;
	const struct fmt_classes *k;
};

static int by_values(const void *a, const void *b, void *ctx)
{
	const struct class_order *o = ctx;
	const u64 *x = o->values + (size_t)o->k->first[*(const u16 *)a] * o->n_cols;
	const u64 *y = o->values + (size_t)o->k->first[*(const u16 *)b] * o->n_cols;

	for (u32 i = 0; i < o->k->n_members; i++) {
		u16 m = o->k->members[i];

		if (x[m] != y[m])
			return x[m] < y[m] ? -1 : 1;
	}
	return 0;
}

static int by_count(const void *a, const void *b, void *ctx)
{
	const struct class_order *o = ctx;
	u16 i = *(const u16 *)a, k = *(const u16 *)b;
	u32 x = o->k->table->count[i], y = o->k->table->count[k];

	return x != y ? (x > y ? -1 : 1) : (i > k) - (i < k); /* the same order wherever it runs */
}

static void number(struct fmt_classes *k, const u64 *values, u32 n_cols, u32 rows)
{
	struct class_order o = {.values = values, .n_cols = n_cols, .k = k};
	struct class_table *t = k->table;
	u32 common = k->n < 256 ? k->n : 256;

	for (u32 i = 0; i < k->n; i++)
		t->order[i] = (u16)i;
	if (k->n > 256)
		qsort_r(t->order, k->n, sizeof(*t->order), by_count, &o);
	qsort_r(t->order, common, sizeof(*t->order), by_values, &o);
	qsort_r(t->order + common, k->n - common, sizeof(*t->order), by_values, &o);
	for (u32 i = 0; i < k->n; i++) {
		t->rank[t->order[i]] = (u16)i;
		t->sorted_first[i] = k->first[t->order[i]];
	}
	memcpy(k->first, t->sorted_first, k->n * sizeof(*k->first));
	for (u32 i = 0; i < rows; i++)
		k->of[i] = t->rank[k->of[i]];
}

bool fmt_classes_find(struct fmt_classes *k, const u64 *values, u32 n_cols, u32 rows, const u16 *members, u32 n_members)
{
	u32 limit =
		rows / 2 + 16 < FMT_MAX_CLASSES ? rows / 2 + 16 : FMT_MAX_CLASSES; /* more: columns by themselves are cheaper */
	struct class_table *t;

	k->n = 0;
	if (!reserve(k, rows))
		return false;
	t = k->table;
	memset(t->slots, 0, sizeof(t->slots));
	k->n_members = n_members;
	memcpy(k->members, members, n_members * sizeof(*members));
	for (u32 i = 0; i < rows; i++) {
		const u64 *row = values + (size_t)i * n_cols;
		u64 h = hash_row(row, members, n_members);
		u32 tag = (u32)(h >> 32), at = (u32)h % CLASS_SLOTS, c;

		for (; (c = t->slots[at]) != 0; at = (at + 1) % CLASS_SLOTS)
			if (t->tag[c - 1] == tag && same_row(row, values + (size_t)k->first[c - 1] * n_cols, members, n_members))
				break;
		if (!c) {
			if (k->n == limit)
				return false;
			c = ++k->n;
			t->slots[at] = (u16)c;
			t->tag[c - 1] = tag;
			t->count[c - 1] = 0;
			k->first[c - 1] = i;
		}
		t->count[c - 1]++;
		k->of[i] = (u16)(c - 1);
	}
	number(k, values, n_cols, rows);
	return true;
}

void fmt_classes_encode(const struct fmt_classes *k, u32 rows, struct buf *out)
{
	u8 *p;

	buf_put_uvarint(out, k->n);
	p = buf_reserve(out, (size_t)rows * 2);
	if (!p)
		return;
	for (u32 i = 0; i < rows; i++)
		p[i] = (u8)k->of[i];
	for (u32 i = 0; i < rows && k->n > 256; i++)
		p[rows + i] = (u8)(k->of[i] >> 8);
	out->len += k->n > 256 ? (size_t)rows * 2 : rows;
}

int fmt_classes_decode(struct fmt_cursor *c, u32 rows, u32 *ret_n, u16 *ret)
{
	u64 n = cur_uvarint_max(c, min_u64(FMT_MAX_CLASSES, rows), "number of classes");
	const u8 *low = cur_bytes(c, rows, "class numbers"), *high = low && n > 256 ? cur_bytes(c, rows, "class numbers") : NULL;
	u16 most = 0;

	if (c->err)
		return c->err;
	for (u32 i = 0; i < rows; i++) {
		ret[i] = (u16)(low[i] | (high ? high[i] << 8 : 0));
		most = ret[i] > most ? ret[i] : most;
	}
	if (rows && most >= n)
		return cur_fail(c, -EBADMSG, "class number");
	*ret_n = (u32)n;
	return cur_left(c) ? cur_fail(c, -EBADMSG, "bytes behind a column") : 0;
}

static int by_value(const void *a, const void *b)
{
	const struct fmt_class_value *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* By sorting, not by hashing: a file may be made so that its values collide. */
void fmt_class_groups(struct fmt_class_value *v, u32 n, u16 *ret)
{
	u16 group = 0;

	BUG_ON(n > FMT_MAX_CLASSES);
	qsort(v, n, sizeof(*v), by_value);
	for (u32 i = 0; i < n; i++) {
		group = (u16)(group + (i && v[i].value != v[i - 1].value));
		ret[v[i].of] = group;
	}
}
