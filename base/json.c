/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json.c: writes JSON; used by every --json. Write errors are the stream's: the command checks it once when it flushes stdout.
 * Invariant: at depth d bit d of has_item says whether a comma is due, bit d of is_object whether a key is. Depth 0 is the
 * document: values there are not separated, so that a caller may print one a line.
 */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

static u64 depth_bit(const struct json *j)
{
	return 1ULL << j->depth;
}

static void newline(struct json *j)
{
	if (j->pretty)
		(void)fprintf(j->out, "\n%*s", (int)(2 * j->depth), "");
}

/* What goes in front of an item of the current container. */
static void item(struct json *j)
{
	if (!j->depth)
		return;
	if (j->has_item & depth_bit(j))
		(void)putc(',', j->out);
	j->has_item |= depth_bit(j);
	newline(j);
}

static void value_begin(struct json *j)
{
	if (j->pending_key) {
		j->pending_key = false;
		return;
	}
	BUG_ON(j->depth && (j->is_object & depth_bit(j))); /* a value without a key */
	item(j);
}

static void container_begin(struct json *j, char open, bool is_object)
{
	value_begin(j);
	(void)putc(open, j->out);
	BUG_ON(j->depth + 1 >= JSON_MAX_DEPTH);
	j->depth++;
	j->has_item &= ~depth_bit(j);
	j->is_object &= ~depth_bit(j);
	if (is_object)
		j->is_object |= depth_bit(j);
}

static void container_end(struct json *j, char close, bool is_object)
{
	bool had_item;

	BUG_ON(!j->depth || j->pending_key);
	BUG_ON(!!(j->is_object & depth_bit(j)) != is_object);
	had_item = j->has_item & depth_bit(j);
	j->depth--;
	if (had_item)
		newline(j);
	(void)putc(close, j->out);
}

void json_init(struct json *j, FILE *out, bool pretty)
{
	*j = (struct json){.out = out, .pretty = pretty};
}

void json_object_begin(struct json *j)
{
	container_begin(j, '{', true);
}

void json_object_end(struct json *j)
{
	container_end(j, '}', true);
}

void json_array_begin(struct json *j)
{
	container_begin(j, '[', false);
}

void json_array_end(struct json *j)
{
	container_end(j, ']', false);
}

static void put_escaped(const struct json *j, const u8 *s, size_t n)
{
	FILE *out = j->out;

	(void)putc('"', out);
	for (size_t i = 0; i < n;) {
		u32 cp;
		size_t len = utf8_decode(s + i, n - i, &cp);

		if (!len || (j->for_html && utf8_is_unsafe(cp))) {
			(void)fputs("\xef\xbf\xbd", out);
			i += len ? len : 1;
			continue;
		}
		if (cp == '"' || cp == '\\')
			(void)fprintf(out, "\\%c", (char)cp);
		else if (cp == '\n')
			(void)fputs("\\n", out);
		else if (cp == '\t')
			(void)fputs("\\t", out);
		else if (cp == '\r')
			(void)fputs("\\r", out);
		else if (cp < 0x20 || (j->for_html && (cp == '<' || cp == '>' || cp == '&')))
			(void)fprintf(out, "\\u%04x", cp);
		else
			(void)fwrite(s + i, 1, len, out);
		i += len;
	}
	(void)putc('"', out);
}

void json_key(struct json *j, const char *key)
{
	BUG_ON(!j->depth || j->pending_key || !(j->is_object & depth_bit(j)));
	item(j);
	put_escaped(j, (const u8 *)key, strlen(key));
	(void)fputs(j->pretty ? ": " : ":", j->out);
	j->pending_key = true;
}

void json_stringn(struct json *j, const char *s, size_t n)
{
	value_begin(j);
	put_escaped(j, (const u8 *)s, n);
}

void json_string(struct json *j, const char *s)
{
	if (s)
		json_stringn(j, s, strlen(s));
	else
		json_null(j);
}

void json_u64(struct json *j, u64 v)
{
	value_begin(j);
	(void)fprintf(j->out, "%llu", (unsigned long long)v);
}

void json_s64(struct json *j, s64 v)
{
	value_begin(j);
	(void)fprintf(j->out, "%lld", (long long)v);
}

void json_double(struct json *j, double v, int decimals)
{
	char text[400]; /* the longest double has 309 digits before the point */
	char *comma;

	if (isnan(v) || isinf(v)) {
		json_null(j);
		return;
	}
	value_begin(j);
	(void)snprintf(text, sizeof(text), "%.*f", decimals < 0 ? 0 : decimals > 17 ? 17 : decimals, v);
	comma = strchr(text, ','); /* the decimal sign of the locale that a terminal library may have set */
	if (comma)
		*comma = '.';
	(void)fputs(text, j->out);
}

void json_bool(struct json *j, bool v)
{
	value_begin(j);
	(void)fputs(v ? "true" : "false", j->out);
}

void json_null(struct json *j)
{
	value_begin(j);
	(void)fputs("null", j->out);
}

void json_raw(struct json *j, const char *text)
{
	value_begin(j);
	(void)fputs(text, j->out);
}

void json_kv_string(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_string(j, s);
}

void json_kv_u64(struct json *j, const char *key, u64 v)
{
	json_key(j, key);
	json_u64(j, v);
}

void json_kv_u64_or_null(struct json *j, const char *key, bool known, u64 v)
{
	json_key(j, key);
	if (known)
		json_u64(j, v);
	else
		json_null(j);
}

void json_kv_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}
