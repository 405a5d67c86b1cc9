/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_codec.c: the columnar coding.
 *
 *	section   = kind, rows, columns, body size (varints), directory, column data
 *	directory = columns x { column id (varint), encoding (u8), data size (varint) }
 *
 * A column whose rows are all equal costs two or three bytes whatever its encoding was to be. Columns that go together are coded by class (fmt_class.h) where
 * rows have few enough classes, else by dictionary, and with too many distinct values as plain varints. zstd sees the result, so entropy is its business
 * and locality is ours. Any choice is right for a reader: it takes what the directory says.
 */
#include "format/fmt_codec.h"

#include <errno.h>

#include "format/fmt_class.h"
#include "format/fmt_coded.h"
#include "format/fmt_coded_section.h"
#include "format/fmt_numbers.h"

/* ---- rows ---- */

void fmt_rows_release(struct fmt_rows *r)
{
	free(r->values);
	free(r->payload_off);
	buf_release(&r->payload);
	*r = (struct fmt_rows){.kind = r->kind};
}

void fmt_rows_clear(struct fmt_rows *r)
{
	r->rows = 0;
	buf_reset(&r->payload);
}

static int rows_grow(struct fmt_rows *r)
{
	u32 cap = r->cap ? r->cap * 2 : 64;
	u64 *values;
	u32 *off;

	if (r->rows >= FMT_MAX_ROWS)
		return -EFBIG;
	values = reallocarray(r->values, cap, r->kind->n_cols * sizeof(u64));
	if (!values)
		return -ENOMEM;
	r->values = values;
	if (r->kind->payload != FMT_PAYLOAD_NONE) {
		off = reallocarray(r->payload_off, (size_t)cap + 1, sizeof(u32));
		if (!off)
			return -ENOMEM;
		r->payload_off = off;
	}
	r->cap = cap;
	return 0;
}

int fmt_rows_add(struct fmt_rows *r, const void *row, const void *payload, size_t n)
{
	size_t unit = r->kind->payload == FMT_PAYLOAD_LIST ? sizeof(u64) : 1;
	int err;

	if ((r->kind->payload == FMT_PAYLOAD_BYTES && n > FMT_MAX_STRING) ||
	    (r->kind->payload == FMT_PAYLOAD_LIST && n > FMT_MAX_FRAMES))
		return -EFBIG;
	if (r->rows == r->cap) {
		err = rows_grow(r);
		if (err)
			return err;
	}
	if (r->kind->payload != FMT_PAYLOAD_NONE) {
		r->payload_off[0] = 0;
		buf_put(&r->payload, payload, n * unit);
		err = buf_err(&r->payload);
		if (err)
			return err;
		r->payload_off[r->rows + 1] = (u32)(r->payload.len / unit);
	}
	memcpy(r->values + (size_t)r->rows * r->kind->n_cols, row, r->kind->n_cols * sizeof(u64));
	r->rows++;
	return 0;
}

/* ---- encode ---- */

/* What is worked out once for a section that is encoded. */
struct encoder {
	const struct fmt_rows *r;
	struct fmt_classes classes;
	bool has_classes;
	u64 members;	   /* bit c: column c goes by class, when there are classes */
	u64 varies;	   /* bit c: not all rows agree in column c */
	u64 *column, *tmp; /* r->rows values each */
	u16 group_of[FMT_MAX_CLASSES];
	u64 last[FMT_MAX_CLASSES];
	struct fmt_class_value sorted[FMT_MAX_CLASSES];
};

static void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	fmt_classes_release(&e->classes);
	free(e->column);
	free(e);
}

static u64 columns_that_vary(const struct fmt_rows *r)
{
	u64 differ[FMT_MAX_COLUMNS] = {0}, mask = 0;
	u32 n = r->kind->n_cols;

	for (u32 i = 1; i < r->rows; i++)
		for (u32 c = 0; c < n; c++)
			differ[c] |= r->values[(size_t)i * n + c] ^ r->values[c];
	for (u32 c = 0; c < n; c++)
		mask |= differ[c] ? 1ULL << c : 0;
	return mask;
}

/* Takes the columns out that have a value of their own in every few rows, addresses and stacks for the most part: what is left may have classes. */
static u32 drop_wide(const struct fmt_rows *r, u16 *members, u32 n)
{
	u32 kept = 0;

	for (u32 i = 0; i < n; i++)
		if (fmt_numbers_distinct(r->values + members[i], r->kind->n_cols, r->rows) <=
		    min_u64(r->rows / 16 + 4, FMT_MAX_DICT))
			members[kept++] = members[i];
	return kept < n ? kept : 0;
}

static struct encoder *encoder_new(const struct fmt_rows *r)
{
	struct encoder *e = malloc(sizeof(*e));
	u16 members[FMT_MAX_COLUMNS];
	u32 n = 0;

	if (!e)
		return NULL;
	e->r = r;
	e->classes = (struct fmt_classes){0};
	e->column = malloc((size_t)r->rows * 2 * sizeof(u64));
	e->tmp = e->column + r->rows;
	if (!e->column) {
		free(e);
		return NULL;
	}
	e->varies = columns_that_vary(r);
	for (u32 c = 0; c < r->kind->n_cols; c++)
		if (r->kind->cols[c].enc == FMT_ENC_CLASS && e->varies >> c & 1)
			members[n++] = (u16)c;
	e->has_classes = n > 1 && fmt_classes_find(&e->classes, r->values, r->kind->n_cols, r->rows, members, n);
	if (n > 1 && !e->has_classes) {
		n = drop_wide(r, members, n);
		e->has_classes = n > 1 && fmt_classes_find(&e->classes, r->values, r->kind->n_cols, r->rows, members, n);
	}
	e->members = 0;
	for (u32 i = 0; i < n; i++)
		e->members |= 1ULL << members[i];
	return e;
}

/* The column whose rows a group column's differences are taken among: whose tick, whose task it is. */
static u32 group_by(const struct fmt_rows *r)
{
	return r->kind->id == FMT_WAKING ? offsetof(struct fmt_waking, waker) / sizeof(u64)
					 : offsetof(struct fmt_switch_out, thread) / sizeof(u64);
}
_Static_assert(offsetof(struct fmt_sample, thread) == offsetof(struct fmt_switch_out, thread) &&
		       offsetof(struct fmt_snapshot, thread) == offsetof(struct fmt_switch_out, thread) &&
		       offsetof(struct fmt_marker, thread) == offsetof(struct fmt_switch_out, thread),
	       "group columns go by thread");

static void encode_group(struct encoder *e, u32 c, u32 g, struct buf *out)
{
	const struct fmt_classes *k = &e->classes;
	u32 n_cols = e->r->kind->n_cols;

	for (u32 i = 0; i < k->n; i++)
		e->sorted[i] = (struct fmt_class_value){.value = e->r->values[(size_t)k->first[i] * n_cols + g], .of = i};
	fmt_class_groups(e->sorted, k->n, e->group_of);
	memset(e->last, 0, k->n * sizeof(*e->last));
	for (u32 i = 0; i < e->r->rows; i++) {
		u64 v = e->r->values[(size_t)i * n_cols + c], *last = &e->last[e->group_of[k->of[i]]];

		e->tmp[i] = fmt_zigzag(v - *last);
		*last = v;
	}
	buf_put_uvarint(out, g + 1);
	fmt_split_encode(e->tmp, e->r->rows, out);
}

/* Of a class column: the values of the classes. Values that repeat go by a dictionary; others grow, since classes are sorted. */
static void encode_class(struct encoder *e, u32 c, struct buf *out)
{
	const struct fmt_classes *k = &e->classes;
	size_t at = out->len;
	u32 changes = 0;
	enum fmt_encoding enc;

	for (u32 i = 0; i < k->n; i++) {
		e->column[i] = e->r->values[(size_t)k->first[i] * e->r->kind->n_cols + c];
		changes += i && e->column[i] != e->column[i - 1];
	}
	buf_putc(out, 0);
	enc = fmt_numbers_encode(e->column, k->n, changes > k->n / 2 ? FMT_ENC_SPLIT_DELTA : FMT_ENC_DICT, e->tmp, out);
	if (!buf_err(out))
		out->data[at] = (u8)enc;
}

static enum fmt_encoding encode_column(struct encoder *e, u32 c, struct buf *out)
{
	const struct fmt_rows *r = e->r;
	enum fmt_encoding want = r->kind->cols[c].enc;
	u32 n_cols = r->kind->n_cols, g = group_by(r);

	if (!(e->varies >> c & 1)) {
		buf_put_uvarint(out, r->values[c]);
		return FMT_ENC_CONST;
	}
	if (e->has_classes && e->members >> c & 1) {
		encode_class(e, c, out);
		return FMT_ENC_CLASS;
	}
	if (want == FMT_ENC_GROUP && e->has_classes && e->members >> g & 1) {
		encode_group(e, c, g, out);
		return FMT_ENC_GROUP;
	}
	if (want == FMT_ENC_CLASS)
		want = FMT_ENC_DICT;
	if (want == FMT_ENC_GROUP)
		want = FMT_ENC_SPLIT_DELTA;
	for (u32 i = 0; i < r->rows; i++)
		e->column[i] = r->values[(size_t)i * n_cols + c];
	return fmt_numbers_encode(e->column, r->rows, want, e->tmp, out);
}

static enum fmt_encoding encode_payload(const struct fmt_rows *r, struct buf *out)
{
	for (u32 i = 0; i < r->rows; i++)
		buf_put_uvarint(out, r->payload_off[i + 1] - r->payload_off[i]);
	if (r->kind->payload == FMT_PAYLOAD_BYTES) {
		buf_put(out, r->payload.data, r->payload.len);
		return FMT_ENC_BYTES;
	}
	for (u32 i = 0; i < r->rows; i++) {
		const u64 *list = (const u64 *)(const void *)r->payload.data;
		u64 prev = 0;

		for (u32 k = r->payload_off[i]; k < r->payload_off[i + 1]; k++) {
			buf_put_uvarint(out, fmt_zigzag(list[k] - prev));
			prev = list[k];
		}
	}
	return FMT_ENC_LIST;
}

static void put_directory_entry(struct buf *out, u32 column_id, enum fmt_encoding enc, size_t size)
{
	buf_put_uvarint(out, column_id);
	buf_putc(out, (u8)enc);
	buf_put_uvarint(out, size);
}

void fmt_section_encode(const struct fmt_rows *r, const struct fmt_rows *outs, struct buf *scratch, struct buf *out)
{
	struct buf body = BUF_INIT;		    /* directory */
	u32 n_cols = r->rows ? r->kind->n_cols : 0; /* the index of an empty capture: no rows, nothing to say of their columns */
	bool has_payload = r->rows && r->kind->payload != FMT_PAYLOAD_NONE;
	bool coded = r->rows && fmt_coded_section_fits(r);
	struct encoder *e = r->rows && !coded ? encoder_new(r) : NULL;

	buf_reset(scratch);
	if (r->rows && !coded && !e)
		out->err = out->err ? out->err : -ENOMEM;
	if (coded)
		n_cols = fmt_coded_section_encode(r, outs, &body, scratch);
	if (e && e->has_classes) {
		fmt_classes_encode(&e->classes, r->rows, scratch);
		put_directory_entry(&body, FMT_CLASS_COLUMN, FMT_ENC_CLASS, scratch->len);
	}
	for (u32 c = 0; e && c < n_cols; c++) {
		size_t start = scratch->len;
		enum fmt_encoding enc = encode_column(e, c, scratch);

		put_directory_entry(&body, c + 1, enc, scratch->len - start);
	}
	if (has_payload) {
		size_t start = scratch->len;
		enum fmt_encoding enc = encode_payload(r, scratch);

		put_directory_entry(&body, FMT_PAYLOAD_COLUMN, enc, scratch->len - start);
	}
	buf_put_uvarint(out, (u64)r->kind->id);
	buf_put_uvarint(out, r->rows);
	buf_put_uvarint(out, n_cols + (has_payload ? 1u : 0u) + (e && e->has_classes ? 1u : 0u));
	buf_put_uvarint(out, body.len + scratch->len);
	buf_put(out, body.data, body.len);
	buf_put(out, scratch->data, scratch->len);
	if (buf_err(&body) || buf_err(scratch))
		out->err = out->err ? out->err : -ENOMEM;
	buf_release(&body);
	encoder_free(e);
}

/* ---- decode ---- */

/* FORMAT.md section 5: the data of a column is used up exactly. */
static int used_up(struct fmt_cursor *c)
{
	return cur_left(c) ? cur_fail(c, -EBADMSG, "bytes behind a column") : c->err;
}

/* What is known of a section while its columns are decoded. */
struct decoder {
	struct fmt_arena *a;
	struct fmt_section *s;
	u64 *zeros;    /* a column of 0: absent columns and constant ones share it */
	u16 *class_of; /* of each row; NULL: no class column so far */
	u32 n_classes;
	u64 *table[FMT_MAX_COLUMNS]; /* values of the classes, of columns that are coded by class */
	u16 *group_of;		     /* groups by the values of column `grouped`, of each class */
	u64 *last;		     /* value of each group */
	struct fmt_class_value *sorted;
	u64 grouped; /* column id; 0 none */
	struct fmt_coded_reader coded;
};

/* Room for the values of column c, not zeroed. */
static u64 *column_new(struct decoder *d)
{
	return fmt_arena_take(d->a, (size_t)d->s->rows * sizeof(u64));
}

static u64 *zero_column(struct decoder *d)
{
	if (!d->zeros)
		d->zeros = fmt_arena_alloc(d->a, (size_t)d->s->rows * sizeof(u64));
	return d->zeros;
}

static int decode_classes(struct fmt_cursor *c, struct decoder *d, u8 enc)
{
	if (enc != FMT_ENC_CLASS)
		return cur_fail(c, -EBADMSG, "encoding of the class column");
	d->class_of = fmt_arena_take(d->a, (size_t)d->s->rows * sizeof(u16) + 1);
	return d->class_of ? fmt_classes_decode(c, d->s->rows, &d->n_classes, d->class_of) : -ENOMEM;
}

static int decode_class(struct fmt_cursor *c, struct decoder *d, u32 column, u64 *ret)
{
	u8 enc = cur_u8(c, "encoding of a class column");
	u64 *table;
	int err;

	if (!d->class_of)
		return cur_fail(c, -EBADMSG, "no class column before one that is coded by class");
	d->a->cells += d->n_classes;
	if (d->a->cells > FMT_MAX_CELLS)
		return cur_fail(c, -EBADMSG, "too many values in one block");
	table = fmt_arena_take(d->a, (size_t)d->n_classes * sizeof(u64));
	if (!table)
		return -ENOMEM;
	err = fmt_numbers_decode(c, enc, d->n_classes, table);
	if (err)
		return err;
	d->table[column] = table;
	for (u32 i = 0; i < d->s->rows; i++)
		ret[i] = table[d->class_of[i]];
	return 0;
}

static int find_groups(struct fmt_cursor *c, struct decoder *d, u64 g)
{
	if (!g || g > FMT_MAX_COLUMNS || !d->table[g - 1])
		return cur_fail(c, -EBADMSG, "differences within groups of a column that is not coded by class");
	if (d->grouped == g)
		return 0;
	if (!d->sorted)
		d->sorted = fmt_arena_take(d->a, (size_t)d->n_classes * sizeof(*d->sorted));
	if (!d->group_of)
		d->group_of = fmt_arena_take(d->a, (size_t)d->n_classes * sizeof(*d->group_of));
	if (!d->last)
		d->last = fmt_arena_take(d->a, (size_t)d->n_classes * sizeof(*d->last));
	if (!d->sorted || !d->group_of || !d->last)
		return -ENOMEM;
	for (u32 i = 0; i < d->n_classes; i++)
		d->sorted[i] = (struct fmt_class_value){.value = d->table[g - 1][i], .of = i};
	fmt_class_groups(d->sorted, d->n_classes, d->group_of);
	d->grouped = g;
	return 0;
}

static int decode_group(struct fmt_cursor *c, struct decoder *d, u64 *ret)
{
	int err = find_groups(c, d, cur_uvarint(c, "column of groups"));

	if (!err)
		err = fmt_numbers_decode(c, FMT_ENC_SPLIT, d->s->rows, ret);
	if (err)
		return err;
	memset(d->last, 0, d->n_classes * sizeof(*d->last));
	for (u32 i = 0; i < d->s->rows; i++) {
		u64 *last = &d->last[d->group_of[d->class_of[i]]];

		ret[i] = *last += fmt_unzigzag(ret[i]);
	}
	return 0;
}

static int decode_column(struct fmt_cursor *c, struct decoder *d, u32 column, u8 enc)
{
	u64 *ret;

	if (enc == FMT_ENC_CONST && cur_left(c) == 1 && !*c->p) {
		d->s->cols[column] = zero_column(d);
		return d->s->cols[column] ? 0 : -ENOMEM;
	}
	ret = d->s->cols[column] = column_new(d);
	if (!ret)
		return -ENOMEM;
	if (enc == FMT_ENC_CLASS)
		return decode_class(c, d, column, ret);
	if (enc == FMT_ENC_GROUP)
		return decode_group(c, d, ret);
	if (enc >= FMT_ENC_SYMBOLS && enc <= FMT_ENC_COUNT)
		return fmt_coded_read(&d->coded, c, column, enc, ret);
	return fmt_numbers_decode(c, enc, d->s->rows, ret);
}

/* Row lengths first, so that every offset is known and bounded before an element is read. */
static int decode_payload(struct fmt_cursor *c, struct fmt_arena *a, u8 enc, struct fmt_section *s)
{
	bool is_list = s->kind->payload == FMT_PAYLOAD_LIST;
	u64 max = is_list ? FMT_MAX_FRAMES : FMT_MAX_STRING, total = 0;
	u32 *off = fmt_arena_alloc(a, ((size_t)s->rows + 1) * sizeof(u32));
	u64 *list;

	if (!off)
		return -ENOMEM;
	if (enc != (is_list ? FMT_ENC_LIST : FMT_ENC_BYTES))
		return cur_fail(c, -EBADMSG, "payload encoding");
	for (u32 i = 0; i < s->rows; i++) {
		total += cur_uvarint_max(c, max, "payload length");
		off[i + 1] = (u32)total;
	}
	if (total > cur_left(c)) /* an element takes at least a byte */
		return cur_fail(c, -EBADMSG, "payload length");
	a->cells += total;
	if (a->cells > FMT_MAX_CELLS)
		return cur_fail(c, -EBADMSG, "too many values in one block");
	s->payload_off = off;
	if (!is_list) {
		s->bytes = cur_bytes(c, total, "payload bytes");
		return used_up(c);
	}
	list = fmt_arena_alloc(a, (total + 1) * sizeof(u64));
	if (!list)
		return -ENOMEM;
	for (u32 i = 0; i < s->rows; i++) {
		u64 v = 0;

		for (u32 k = off[i]; k < off[i + 1]; k++) {
			v += fmt_unzigzag(cur_uvarint(c, "payload element"));
			list[k] = v;
		}
	}
	s->list = list;
	return used_up(c);
}

struct directory_entry {
	u64 column_id; /* 1 to FMT_PAYLOAD_COLUMN */
	u8 enc;
	u64 size;
};

static int decode_section_columns(struct fmt_cursor *body, struct fmt_arena *a, const struct fmt_section *outs,
				  const struct directory_entry *dir, u64 n, struct fmt_section *s)
{
	bool seen[FMT_PAYLOAD_COLUMN + 1] = {0};
	struct decoder d = {.a = a, .s = s, .coded = {.a = a, .s = s, .outs = outs}};

	for (u64 k = 0; k < n; k++) {
		const u8 *p = cur_bytes(body, dir[k].size, "column data");
		struct fmt_cursor col;
		int err = 0;

		if (!p)
			return body->err;
		/* two answers for one column, and decoding as often as a hostile directory likes */
		if (seen[dir[k].column_id])
			return cur_fail(body, -EBADMSG, "column occurs twice");
		seen[dir[k].column_id] = true;
		col = cur_init(p, dir[k].size);
		if (dir[k].column_id >= 1 && dir[k].column_id <= s->kind->n_cols)
			err = decode_column(&col, &d, (u32)dir[k].column_id - 1, dir[k].enc);
		else if (dir[k].column_id == FMT_CLASS_COLUMN)
			err = decode_classes(&col, &d, dir[k].enc);
		else if (dir[k].column_id == FMT_PAYLOAD_COLUMN && s->kind->payload != FMT_PAYLOAD_NONE)
			err = decode_payload(&col, a, dir[k].enc, s);
		if (err)
			return err == -ENOMEM ? err : cur_fail(body, err, col.what);
	}
	for (u32 c = 0; c < s->kind->n_cols; c++) {
		if (!s->cols[c])
			s->cols[c] = zero_column(&d);
		if (!s->cols[c])
			return -ENOMEM;
	}
	return cur_left(body) ? cur_fail(body, -EBADMSG, "bytes behind a section") : 0;
}

static int section_alloc_columns(struct fmt_arena *a, struct fmt_section *s)
{
	s->cols = fmt_arena_alloc(a, s->kind->n_cols * sizeof(*s->cols));
	if (!s->cols)
		return -ENOMEM;
	if (s->kind->payload != FMT_PAYLOAD_NONE) {
		s->payload_off = fmt_arena_alloc(a, ((size_t)s->rows + 1) * sizeof(u32));
		if (!s->payload_off)
			return -ENOMEM;
	}
	return 0;
}

int fmt_section_decode(struct fmt_cursor *c, struct fmt_arena *a, const struct fmt_section *outs, struct fmt_section *ret)
{
	struct directory_entry dir[FMT_MAX_COLUMNS + 2]; /* and classes, and a payload */
	const u8 *start = c->p;
	u64 kind_id = cur_uvarint_max(c, UINT32_MAX, "section kind");
	u64 rows = cur_uvarint_max(c, FMT_MAX_ROWS, "section rows");
	u64 n_cols = cur_uvarint_max(c, ARRAY_SIZE(dir), "section columns");
	u64 size = cur_uvarint_max(c, FMT_MAX_RAW, "section size");
	const u8 *p = cur_bytes(c, size, "section");
	struct fmt_section s = {0};
	struct fmt_cursor body;
	int err;

	if (!p)
		return c->err;
	s = (struct fmt_section){.kind_id = (u32)kind_id, .rows = (u32)rows, .encoded_size = (u64)(c->p - start)};
	s.kind = fmt_kind_by_id(kind_id);
	if (s.kind) {
		/* a constant column expands two bytes to `rows` values: bound what a hostile block may ask for */
		a->cells += rows * s.kind->n_cols;
		if (a->cells > FMT_MAX_CELLS)
			return cur_fail(c, -EBADMSG, "too many values in one block");
		body = cur_init(p, size);
		for (u64 k = 0; k < n_cols; k++) {
			dir[k].column_id = cur_uvarint_max(&body, FMT_PAYLOAD_COLUMN, "column id");
			if (!dir[k].column_id && !body.err)
				return cur_fail(c, -EBADMSG, "column id");
			dir[k].enc = cur_u8(&body, "column encoding");
			dir[k].size = cur_uvarint_max(&body, FMT_MAX_RAW, "column size");
		}
		err = section_alloc_columns(a, &s);
		if (err)
			return err;
		err = body.err ? body.err : decode_section_columns(&body, a, outs, dir, n_cols, &s);
		if (err)
			return err == -ENOMEM ? err : cur_fail(c, err, body.what);
	}
	*ret = s;
	return 0;
}
