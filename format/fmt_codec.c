/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_codec.c: the columnar coding.
 *
 *	section   = kind, rows, columns, body size (varints), directory, column data
 *	directory = columns x { column id (varint), encoding (u8), data size (varint) }
 *
 * A column whose rows are all equal costs two or three bytes whatever its encoding was to be; a dictionary column with too many
 * distinct values falls back to plain varints. zstd sees the result, so entropy is its business and locality is ours.
 */
#include "format/fmt_codec.h"

#include <errno.h>

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

/* Values of a dictionary column: found by a small open hash, so that a row costs one probe. */
struct column_dict {
	u64 values[FMT_MAX_DICT];
	u16 slots[1024]; /* index + 1 */
	u32 n;
};

/* The index of v, added when new; -1 when the dictionary is full. */
static int column_dict_index(struct column_dict *d, u64 v)
{
	u32 h = (u32)((v * 0x9e3779b97f4a7c15ULL) >> 54);

	while (d->slots[h]) {
		u32 i = d->slots[h] - 1u;

		if (d->values[i] == v)
			return (int)i;
		h = (h + 1) & 1023;
	}
	if (d->n == FMT_MAX_DICT)
		return -1;
	d->values[d->n] = v;
	d->slots[h] = (u16)++d->n;
	return (int)d->n - 1;
}

/* Row indices and then the dictionary; false (out unchanged) when there are too many values. */
static bool encode_dict(const u64 *v, size_t stride, u32 rows, struct buf *out)
{
	struct column_dict d = {.n = 0};
	size_t start = out->len;
	u8 *indices;

	for (u32 i = 0; i < rows; i++)
		if (column_dict_index(&d, v[i * stride]) < 0)
			return false;
	buf_put_uvarint(out, d.n);
	for (u32 i = 0; i < d.n; i++)
		buf_put_uvarint(out, d.values[i]);
	indices = buf_reserve(out, rows);
	if (!indices) {
		out->len = start;
		return false;
	}
	for (u32 i = 0; i < rows; i++)
		indices[i] = (u8)column_dict_index(&d, v[i * stride]);
	out->len += rows;
	return true;
}

static enum fmt_encoding encode_column(const u64 *v, size_t stride, u32 rows, enum fmt_encoding want, struct buf *out)
{
	bool constant = true;
	u64 prev = 0;

	for (u32 i = 1; i < rows && constant; i++)
		constant = v[i * stride] == v[0];
	if (constant) {
		buf_put_uvarint(out, v[0]);
		return FMT_ENC_CONST;
	}
	if (want == FMT_ENC_DICT && encode_dict(v, stride, rows, out))
		return FMT_ENC_DICT;
	if (want == FMT_ENC_DELTA) {
		for (u32 i = 0; i < rows; i++) {
			buf_put_uvarint(out, fmt_zigzag(v[i * stride] - prev));
			prev = v[i * stride];
		}
		return FMT_ENC_DELTA;
	}
	for (u32 i = 0; i < rows; i++)
		buf_put_uvarint(out, v[i * stride]);
	return FMT_ENC_VARINT;
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

void fmt_section_encode(const struct fmt_rows *r, struct buf *scratch, struct buf *out)
{
	struct buf body = BUF_INIT;		    /* directory */
	u32 n_cols = r->rows ? r->kind->n_cols : 0; /* the index of an empty capture: no rows, nothing to say of their columns */
	bool has_payload = r->rows && r->kind->payload != FMT_PAYLOAD_NONE;

	buf_reset(scratch);
	for (u32 c = 0; c < n_cols; c++) {
		size_t start = scratch->len;
		enum fmt_encoding enc = encode_column(r->values + c, r->kind->n_cols, r->rows, r->kind->cols[c].enc, scratch);

		put_directory_entry(&body, c + 1, enc, scratch->len - start);
	}
	if (has_payload) {
		size_t start = scratch->len;
		enum fmt_encoding enc = encode_payload(r, scratch);

		put_directory_entry(&body, FMT_PAYLOAD_COLUMN, enc, scratch->len - start);
	}
	buf_put_uvarint(out, (u64)r->kind->id);
	buf_put_uvarint(out, r->rows);
	buf_put_uvarint(out, n_cols + (has_payload ? 1u : 0u));
	buf_put_uvarint(out, body.len + scratch->len);
	buf_put(out, body.data, body.len);
	buf_put(out, scratch->data, scratch->len);
	if (buf_err(&body) || buf_err(scratch))
		out->err = out->err ? out->err : -ENOMEM;
	buf_release(&body);
}

/* ---- decode ---- */

#define ARENA_CHUNK ((size_t)1 << 20)

static size_t chunk_size(const u8 *chunk)
{
	return *(const size_t *)(const void *)chunk;
}

/* Big requests get a chunk of their own; the chunk's first 16 bytes hold its size. */
void *fmt_arena_alloc(struct fmt_arena *a, size_t n)
{
	u8 *chunk;

	n = (n + 15) & ~(size_t)15;
	while (a->cur < a->n_chunks) {
		if (chunk_size(a->chunks[a->cur]) - a->used >= n) {
			chunk = a->chunks[a->cur] + 16 + a->used;
			a->used += n;
			return memset(chunk, 0, n);
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
	return memset(chunk + 16, 0, n);
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

static void decode_dict(struct fmt_cursor *c, u32 rows, u64 *ret)
{
	u64 values[FMT_MAX_DICT];
	u64 n = cur_uvarint_max(c, FMT_MAX_DICT, "dictionary size");
	const u8 *indices;

	for (u64 i = 0; i < n; i++)
		values[i] = cur_uvarint(c, "dictionary value");
	indices = cur_bytes(c, rows, "dictionary indices");
	if (!indices)
		return;
	for (u32 i = 0; i < rows; i++) {
		if (indices[i] >= n) {
			cur_fail(c, -EBADMSG, "dictionary index");
			return;
		}
		ret[i] = values[indices[i]];
	}
}

/* FORMAT.md section 5: the data of a column is used up exactly. */
static int used_up(struct fmt_cursor *c)
{
	return cur_left(c) ? cur_fail(c, -EBADMSG, "bytes behind a column") : c->err;
}

static int decode_column(struct fmt_cursor *c, u8 enc, u32 rows, u64 *ret)
{
	u64 v = 0;

	switch (enc) {
	case FMT_ENC_CONST:
		v = cur_uvarint(c, "constant column");
		for (u32 i = 0; i < rows; i++)
			ret[i] = v;
		break;
	case FMT_ENC_VARINT:
		for (u32 i = 0; i < rows; i++)
			ret[i] = cur_uvarint(c, "varint column");
		break;
	case FMT_ENC_DELTA:
		for (u32 i = 0; i < rows; i++) {
			v += fmt_unzigzag(cur_uvarint(c, "delta column"));
			ret[i] = v;
		}
		break;
	case FMT_ENC_DICT:
		decode_dict(c, rows, ret);
		break;
	default:
		return cur_fail(c, -EBADMSG, "unknown column encoding");
	}
	return used_up(c);
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
	u64 column_id;
	u8 enc;
	u64 size;
};

static int decode_section_columns(struct fmt_cursor *body, struct fmt_arena *a, const struct directory_entry *dir, u64 n,
				  struct fmt_section *s)
{
	bool seen[FMT_PAYLOAD_COLUMN + 1] = {0};

	for (u64 k = 0; k < n; k++) {
		const u8 *p = cur_bytes(body, dir[k].size, "column data");
		struct fmt_cursor col;
		int err = 0;

		if (!p)
			return body->err;
		/* two answers for one column, and decoding as often as a hostile directory likes */
		if (dir[k].column_id < ARRAY_SIZE(seen)) {
			if (seen[dir[k].column_id])
				return cur_fail(body, -EBADMSG, "column occurs twice");
			seen[dir[k].column_id] = true;
		}
		col = cur_init(p, dir[k].size);
		if (dir[k].column_id >= 1 && dir[k].column_id <= s->kind->n_cols)
			err = decode_column(&col, dir[k].enc, s->rows, s->cols[dir[k].column_id - 1]);
		else if (dir[k].column_id == FMT_PAYLOAD_COLUMN && s->kind->payload != FMT_PAYLOAD_NONE)
			err = decode_payload(&col, a, dir[k].enc, s);
		if (err)
			return err == -ENOMEM ? err : cur_fail(body, err, col.what);
	}
	return cur_left(body) ? cur_fail(body, -EBADMSG, "bytes behind a section") : 0;
}

static int section_alloc_columns(struct fmt_arena *a, struct fmt_section *s)
{
	s->cols = fmt_arena_alloc(a, s->kind->n_cols * sizeof(*s->cols));
	if (!s->cols)
		return -ENOMEM;
	for (u32 i = 0; i < s->kind->n_cols; i++) {
		s->cols[i] = fmt_arena_alloc(a, (size_t)s->rows * sizeof(u64));
		if (!s->cols[i])
			return -ENOMEM;
	}
	if (s->kind->payload != FMT_PAYLOAD_NONE) {
		s->payload_off = fmt_arena_alloc(a, ((size_t)s->rows + 1) * sizeof(u32));
		if (!s->payload_off)
			return -ENOMEM;
	}
	return 0;
}

int fmt_section_decode(struct fmt_cursor *c, struct fmt_arena *a, struct fmt_section *ret)
{
	struct directory_entry dir[FMT_MAX_COLUMNS + 1];
	u64 kind_id = cur_uvarint(c, "section kind");
	u64 rows = cur_uvarint_max(c, FMT_MAX_ROWS, "section rows");
	u64 n_cols = cur_uvarint_max(c, FMT_MAX_COLUMNS + 1, "section columns");
	u64 size = cur_uvarint_max(c, FMT_MAX_RAW, "section size");
	const u8 *p = cur_bytes(c, size, "section");
	struct fmt_section s = {0};
	struct fmt_cursor body;
	int err;

	if (!p)
		return c->err;
	s = (struct fmt_section){.kind_id = (u32)min_u64(kind_id, UINT32_MAX), .rows = (u32)rows, .encoded_size = size};
	s.kind = fmt_kind_by_id(kind_id);
	if (s.kind) {
		/* a constant column expands two bytes to `rows` values: bound what a hostile block may ask for */
		a->cells += rows * s.kind->n_cols;
		if (a->cells > FMT_MAX_CELLS)
			return cur_fail(c, -EBADMSG, "too many values in one block");
		body = cur_init(p, size);
		for (u64 k = 0; k < n_cols; k++) {
			dir[k].column_id = cur_uvarint(&body, "column id");
			dir[k].enc = cur_u8(&body, "column encoding");
			dir[k].size = cur_uvarint_max(&body, FMT_MAX_RAW, "column size");
		}
		err = section_alloc_columns(a, &s);
		if (err)
			return err;
		err = body.err ? body.err : decode_section_columns(&body, a, dir, n_cols, &s);
		if (err)
			return err == -ENOMEM ? err : cur_fail(c, err, body.what);
	}
	*ret = s;
	return 0;
}
