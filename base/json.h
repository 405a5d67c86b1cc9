/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * json.h: writes JSON to a stream. Commas and escapes are its business; nesting is the caller's (checked by BUG_ON).
 * Strings: `"`, `\` and bytes < 0x20 escaped, invalid UTF-8 replaced by U+FFFD, everything else raw.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

#define JSON_MAX_DEPTH 32

/*
 * One JSON document on a stream. Not thread-safe; owns nothing. Write errors stay in the stream: the caller checks it when it
 * flushes.
 */
struct json {
	FILE *out;
	u32 depth;
	u64 has_item;  /* bit d: the container at depth d has an item already */
	u64 is_object; /* bit d: the container at depth d is an object, so its values need keys */
	bool pending_key;
	bool pretty;   /* newline and two blanks a level; else compact */
	bool for_html; /* stands in a <script> of HTML: `<`, `>`, `&` are escaped, what utf8_is_unsafe() becomes U+FFFD */
};

/* out is borrowed. Values outside any container are not separated: print a newline between them for JSON Lines. */
void json_init(struct json *j, FILE *out, bool pretty);
void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);
void json_string(struct json *j, const char *s); /* NULL prints null */
void json_stringn(struct json *j, const char *s, size_t n);
void json_u64(struct json *j, u64 v);
void json_s64(struct json *j, s64 v);
void json_double(struct json *j, double v, int decimals); /* 0..17 decimals; NaN and infinities print null */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_raw(struct json *j, const char *text); /* one value already in JSON */

/* key and value in one */
void json_kv_string(struct json *j, const char *key, const char *s);
void json_kv_u64(struct json *j, const char *key, u64 v);
void json_kv_u64_or_null(struct json *j, const char *key, bool known, u64 v);
void json_kv_bool(struct json *j, const char *key, bool v);
