/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dump_cmd.c: `ascope dump FILE`: every block and every record of a capture as it lies in the file: the project's own debugger.
 * Called by ascope.c.
 *
 * Everything is driven by the table of kinds (fmt_schema.h): a new kind or column needs no change here. Two things are told from
 * a column's description: "string: ..." is an index into the strings and is shown as text, "... address ..." is shown in hex.
 *
 * Two passes: the first gathers the strings (in a damaged file a name may survive only in a later checkpoint) and finds what is
 * damaged.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opts.h"
#include "base/parse.h"
#include "report/capture_file.h"
#include "report/cmds.h"

struct dump {
	const char *path;
	const struct fmt_kind *kind; /* --kind; NULL = all */
	bool one_block;		     /* --block */
	u64 block;		     /* its sequence number */
	u64 from_ns, to_ns;	     /* --from, --to; since the recording began; to 0: to the end */
	u64 from, to;		     /* the same as times of the capture */
	bool as_json, schema;
	struct capture_strings strings;
	u64 next_seq; /* of the blocks printed, to name holes */
	u64 ts_zero;  /* when the recording began: as it says itself, or its first event */
};

static bool is_string(const struct fmt_column *c)
{
	return !strncmp(c->doc, "string:", 7);
}

/* "address of ...", "first address": one address; not "addresses" (of a payload), not "address family". */
static bool is_address(const struct fmt_column *c)
{
	const char *at = strstr(c->doc, "address");

	return at && strncmp(at, "addresses", 9) != 0 && strncmp(at, "address family", 14) != 0;
}

/* ---- one record as text: kind column=value ... ---- */

/* In quotes; a quote or backslash inside is escaped so that the end can be seen. */
static void print_quoted(const char *s, size_t n)
{
	struct human_clean clean;

	(void)putchar('"');
	for (const char *p = human_clean(&clean, s, n); *p; p++) {
		if (*p == '"' || *p == '\\')
			(void)putchar('\\');
		(void)putchar(*p);
	}
	(void)putchar('"');
}

static void print_column(const struct dump *d, const struct fmt_column *c, u64 v)
{
	size_t n;
	const char *text;

	printf(" %s=", c->name);
	if (!is_string(c)) {
		printf(is_address(c) && v ? "0x%" PRIx64 : "%" PRIu64, v);
		return;
	}
	printf("%" PRIu64, v);
	if (!v)
		return;
	text = capture_strings_get(&d->strings, v, &n);
	if (capture_strings_has(&d->strings, v))
		print_quoted(text, n);
	else
		printf("(missing)");
}

static void print_payload(const struct fmt_section *s, u32 row)
{
	u32 from = s->payload_off[row], to = s->payload_off[row + 1];

	if (s->kind->payload == FMT_PAYLOAD_BYTES) {
		(void)putchar(' ');
		print_quoted(to > from ? (const char *)s->bytes + from : "", to - from);
		return;
	}
	printf(" [");
	for (u32 i = from; i < to; i++)
		printf("%s0x%" PRIx64, i > from ? " " : "", s->list[i]);
	(void)putchar(']');
}

static void print_record(const struct dump *d, const struct fmt_section *s, u32 row)
{
	printf("  %s", s->kind->name);
	for (u32 c = 0; c < s->kind->n_cols; c++)
		print_column(d, &s->kind->cols[c], s->cols[c][row]);
	if (s->kind->payload != FMT_PAYLOAD_NONE)
		print_payload(s, row);
	(void)putchar('\n');
}

static bool is_windowed(const struct dump *d)
{
	return d->from_ns || d->to_ns;
}

/* Seconds since the recording began. */
static double since_start(const struct dump *d, u64 ts)
{
	return ts >= d->ts_zero ? (double)(ts - d->ts_zero) / 1e9 : -(double)(d->ts_zero - ts) / 1e9;
}

static void print_type(const struct fmt_block *b)
{
	static const char *const names[] = {
		[FMT_BLOCK_EVENTS] = "events",
		[FMT_BLOCK_FOOTER] = "footer",
		[FMT_BLOCK_DICTIONARY] = "dictionary",
	};

	if (b->type == FMT_BLOCK_COPY)
		printf("copy of block %" PRIu64, b->copy_of);
	else if (b->type < ARRAY_SIZE(names) && names[b->type])
		printf("%s%s", names[b->type], b->recovered ? ", lost, from its copy" : "");
	else
		printf("type %u of a later version, skipped", b->type);
}

static void print_block_head(struct dump *d, const struct fmt_block *b)
{
	if (!d->one_block && b->seq == d->next_seq + 1)
		printf("-- block %" PRIu64 " is damaged or missing --\n", d->next_seq);
	else if (!d->one_block && b->seq > d->next_seq)
		printf("-- blocks %" PRIu64 " to %" PRIu64 " are damaged or missing --\n", d->next_seq, b->seq - 1);
	d->next_seq = b->seq + 1;
	printf("block %" PRIu64 " at %" PRIu64 ": ", b->seq, b->offset);
	print_type(b);
	printf(", %u records, %u bytes (%u before compression)", b->rows, b->stored_size, b->raw_size);
	if (b->ts_first)
		printf(", %+.6f s to %+.6f s", since_start(d, b->ts_first), since_start(d, b->ts_last));
	(void)putchar('\n');
}

/* ---- one record as a line of JSON ---- */

/* A column named like one of the line's own keys is written as KIND_COLUMN: an object must not have a key twice. */
static void json_column_key(struct json *j, const struct fmt_kind *k, const struct fmt_column *c)
{
	char key[128];

	if (strcmp(c->name, "block") != 0 && strcmp(c->name, "kind") != 0) {
		json_key(j, c->name);
		return;
	}
	(void)snprintf(key, sizeof(key), "%s_%s", k->name, c->name);
	json_key(j, key);
}

static void json_column(const struct dump *d, struct json *j, const struct fmt_kind *k, const struct fmt_column *c, u64 v)
{
	char key[128];
	size_t n;
	const char *text;

	json_column_key(j, k, c);
	if (!is_string(c)) {
		json_u64(j, v);
		return;
	}
	text = capture_strings_get(&d->strings, v, &n);
	if (v && capture_strings_has(&d->strings, v)) {
		json_stringn(j, text, n);
		return;
	}
	json_null(j);
	if (v) { /* its text is lost: the index is all there is to tell it from others */
		(void)snprintf(key, sizeof(key), "%s_idx", c->name);
		json_kv_u64(j, key, v);
	}
}

static void json_payload(struct json *j, const struct fmt_section *s, u32 row)
{
	u32 from = s->payload_off[row], to = s->payload_off[row + 1];

	if (s->kind->payload == FMT_PAYLOAD_BYTES) {
		json_key(j, "bytes");
		json_stringn(j, to > from ? (const char *)s->bytes + from : "", to - from);
		return;
	}
	json_key(j, "list");
	json_array_begin(j);
	for (u32 i = from; i < to; i++)
		json_u64(j, s->list[i]);
	json_array_end(j);
}

static void json_record(const struct dump *d, const struct fmt_block *b, const struct fmt_section *s, u32 row)
{
	struct json j;

	json_init(&j, stdout, false);
	json_object_begin(&j);
	json_kv_u64(&j, "block", b->seq);
	json_kv_string(&j, "kind", s->kind->name);
	for (u32 c = 0; c < s->kind->n_cols; c++)
		json_column(d, &j, s->kind, &s->kind->cols[c], s->cols[c][row]);
	if (s->kind->payload != FMT_PAYLOAD_NONE)
		json_payload(&j, s, row);
	json_object_end(&j);
	(void)putchar('\n');
}

/* Rows of a kind this version does not know: they are counted, so that nothing is left out in silence. */
static void dump_unknown(const struct dump *d, const struct fmt_block *b, const struct fmt_section *s)
{
	struct json j;

	if (!d->as_json) {
		printf("  (kind %u of a later version: %u records, %" PRIu64 " bytes)\n", s->kind_id, s->rows, s->encoded_size);
		return;
	}
	json_init(&j, stdout, false);
	json_object_begin(&j);
	json_kv_u64(&j, "block", b->seq);
	json_kv_string(&j, "kind", NULL);
	json_kv_u64(&j, "kind_id", s->kind_id);
	json_kv_u64(&j, "rows", s->rows);
	json_object_end(&j);
	(void)putchar('\n');
}

static void dump_section(const struct dump *d, const struct fmt_block *b, const struct fmt_section *s)
{
	if (d->kind && s->kind != d->kind)
		return;
	if (!s->kind) {
		dump_unknown(d, b, s);
		return;
	}
	for (u32 row = 0; row < s->rows && !ferror(stdout); row++) {
		if (is_windowed(d) && (!s->kind->is_event || s->cols[0][row] < d->from || s->cols[0][row] > d->to))
			continue;
		if (d->as_json)
			json_record(d, b, s, row);
		else
			print_record(d, s, row);
	}
}

/* ---- the file ---- */

static void note_ts(struct dump *d, u64 ts)
{
	if (ts && (!d->ts_zero || ts < d->ts_zero))
		d->ts_zero = ts;
}

/* The recorder's word for when it began. */
static void note_start(struct dump *d, const struct fmt_section *s)
{
	for (u32 i = 0; s->kind_id == FMT_META && i < s->rows; i++) {
		u64 v;

		if (!strcmp(capture_strings_get(&d->strings, s->cols[0][i], NULL), "recording.start_ns") &&
		    parse_u64(capture_strings_get(&d->strings, s->cols[1][i], NULL), &v) == 0)
			note_ts(d, v);
	}
}

/* The first event by the footer's index: 1 it tells, so that a window needs no other block; 0 not. */
static int first_by_index(struct dump *d, struct fmt_reader *r)
{
	struct fmt_block b;
	int n = fmt_reader_footer(r, &b);

	for (u32 i = 0; n == 1 && i < b.n_sections; i++)
		for (u32 row = 0; b.sections[i].kind_id == FMT_INDEX && row < b.sections[i].rows; row++)
			note_ts(d, b.sections[i].cols[3][row]);
	return n == 1 ? d->ts_zero != 0 : n;
}

static int gather(struct dump *d, struct fmt_reader *r, bool *ret_found)
{
	struct fmt_want all = {.dictionaries = true, .events = true, .copies = true, .others = true};
	struct fmt_block b;
	int n;

	*ret_found = !d->one_block;
	if (is_windowed(d)) {
		n = first_by_index(d, r);
		if (n < 0)
			return n;
		all = (struct fmt_want){.dictionaries = true, .events = n == 0};
	}
	fmt_reader_want(r, &all);
	while ((n = fmt_reader_next(r, &b)) == 1) {
		*ret_found |= b.seq == d->block;
		note_ts(d, b.ts_first);
		n = capture_strings_add(&d->strings, &b);
		if (n)
			break;
		for (u32 i = 0; i < b.n_sections; i++)
			note_start(d, &b.sections[i]);
	}
	return n;
}

static int print_blocks(struct dump *d, struct fmt_reader *r)
{
	struct fmt_block b;
	int n;

	if (is_windowed(d)) {
		struct fmt_want window = {.events = true};

		d->from = window.from = d->ts_zero + d->from_ns;
		d->to = window.to = d->to_ns ? d->ts_zero + d->to_ns : UINT64_MAX;
		fmt_reader_want(r, &window);
	}
	fmt_reader_rewind(r);
	while (!ferror(stdout) && (n = fmt_reader_next(r, &b)) != 0) {
		if (n < 0)
			return n;
		if ((d->one_block && b.seq != d->block) || (is_windowed(d) && b.type == FMT_BLOCK_FOOTER))
			continue;
		if (is_windowed(d))
			d->next_seq = b.seq; /* what lies between is not looked at */
		if (!d->as_json)
			print_block_head(d, &b);
		if (b.type == FMT_BLOCK_COPY && !d->one_block)
			continue; /* its records have been printed */
		for (u32 i = 0; i < b.n_sections; i++)
			dump_section(d, &b, &b.sections[i]);
	}
	return 0;
}

/* True when the whole file is there; says on stderr what is not. */
static bool report_health(const char *path, const struct fmt_health *h)
{
	if (!h->blocks_damaged && !h->blocks_missing && !h->bytes_skipped && h->closed_cleanly)
		return true;
	log_warn("%s: %s blocks intact, %s damaged, %s missing, %s skipped, %s; first damage at offset %" PRIu64
		 ": %s; what is intact was printed",
		 path, human_count(h->blocks_intact).s, human_count(h->blocks_damaged).s, human_count(h->blocks_missing).s,
		 human_bytes(h->bytes_skipped).s, h->closed_cleanly ? "closed cleanly" : "not closed cleanly",
		 h->first_damage.off, h->first_damage.what[0] ? h->first_damage.what : "unknown");
	return false;
}

static int dump_file(struct dump *d)
{
	_cleanup_reader_ struct fmt_reader *r = NULL;
	struct fmt_health health;
	bool found;
	int err = capture_file_open(d->path, &r);

	if (err)
		return 1; /* it has been said */
	err = capture_strings_init(&d->strings);
	if (!err)
		err = gather(d, r, &found);
	health = *fmt_reader_health(r);
	if (!err && !found) {
		log_error("%s: there is no intact block %" PRIu64 "; `ascope dump` without --block shows which there are",
			  d->path, d->block);
		return 1;
	}
	if (!err)
		err = print_blocks(d, r);
	if (err) {
		log_error("%s: reading stopped: %s", d->path, strerror(-err));
		return 1;
	}
	if (ferror(stdout))
		return 1; /* ascope.c says so */
	log_debug("%s: %" PRIu64 " of %" PRIu64 " bytes were read", d->path, fmt_reader_bytes_read(r), health.file_size);
	return report_health(d->path, &health) ? 0 : 3;
}

/* ---- --schema ---- */

static const char *encoding_name(enum fmt_encoding e)
{
	static const char *const names[] = {
		[FMT_ENC_CONST] = "const", [FMT_ENC_VARINT] = "varint", [FMT_ENC_DELTA] = "delta",
		[FMT_ENC_DICT] = "dict",   [FMT_ENC_BYTES] = "bytes",	[FMT_ENC_LIST] = "list",
	};

	return (size_t)e < ARRAY_SIZE(names) && names[e] ? names[e] : "?";
}

static const char *payload_name(enum fmt_payload p)
{
	return p == FMT_PAYLOAD_BYTES ? "bytes" : p == FMT_PAYLOAD_LIST ? "list of u64" : NULL;
}

static void schema_text(const struct fmt_kind *k)
{
	const char *payload = payload_name(k->payload);

	printf("%s (kind %u, %s%s%s)\n", k->name, (u32)k->id, k->is_event ? "event" : "no event", payload ? ", payload: " : "",
	       payload ? payload : "");
	for (u32 c = 0; c < k->n_cols; c++)
		printf("  %3u  %-14s %-7s %s\n", c + 1, k->cols[c].name, encoding_name(k->cols[c].enc), k->cols[c].doc);
	(void)putchar('\n');
}

static void schema_json(struct json *j, const struct fmt_kind *k)
{
	json_object_begin(j);
	json_kv_string(j, "kind", k->name);
	json_kv_u64(j, "id", k->id);
	json_kv_bool(j, "is_event", k->is_event);
	json_kv_string(j, "payload", payload_name(k->payload));
	json_key(j, "columns");
	json_array_begin(j);
	for (u32 c = 0; c < k->n_cols; c++) {
		json_object_begin(j);
		json_kv_u64(j, "id", c + 1);
		json_kv_string(j, "name", k->cols[c].name);
		json_kv_string(j, "encoding", encoding_name(k->cols[c].enc));
		json_kv_string(j, "doc", k->cols[c].doc);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static int dump_schema(const struct dump *d)
{
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);
	struct json j;

	json_init(&j, stdout, true);
	if (d->as_json)
		json_array_begin(&j);
	for (u32 i = 0; i < n; i++) {
		if (d->kind && &kinds[i] != d->kind)
			continue;
		if (d->as_json)
			schema_json(&j, &kinds[i]);
		else
			schema_text(&kinds[i]);
	}
	if (d->as_json) {
		json_array_end(&j);
		(void)putchar('\n');
	}
	if (ferror(stdout))
		return 1; /* ascope.c says so */
	return 0;
}

/* ---- options ---- */

static int opt_kind(void *ctx, const char *value)
{
	struct dump *d = ctx;
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);

	for (u32 i = 0; i < n; i++) {
		if (!strcmp(kinds[i].name, value)) {
			d->kind = &kinds[i];
			return 0;
		}
	}
	log_error("--kind: there is no kind '%s'; `ascope dump --schema` lists them", value);
	return -EINVAL;
}

static int opt_block(void *ctx, const char *value)
{
	struct dump *d = ctx;

	if (parse_u64(value, &d->block)) {
		log_error("--block: '%s': the sequence number of a block is wanted, e.g. 0 (see ascope dump --help)", value);
		return -EINVAL;
	}
	d->one_block = true;
	return 0;
}

int dump_cmd(int argc, char **argv)
{
	struct dump d = {0};
	const struct opt table[] = {
		{0, "block", OPT_CALLBACK, &d, "N", "only the block with this sequence number (the first is 0)", opt_block},
		{0, "kind", OPT_CALLBACK, &d, "NAME", "only records of this kind, e.g. switch_out", opt_kind},
		{0, "from", OPT_DURATION, &d.from_ns, "T", "only events from T after the recording began", NULL},
		{0, "to", OPT_DURATION, &d.to_ns, "T", "only events to T after the recording began", NULL},
		{0, "json", OPT_FLAG, &d.as_json, NULL, "one JSON object a line and record: {\"block\", \"kind\", columns...}",
		 NULL},
		{0, "schema", OPT_FLAG, &d.schema, NULL, "print every kind and column this version knows instead; needs no FILE",
		 NULL},
	};
	const struct opts o = {
		.command = "ascope dump",
		.synopsis = "[--block N | --from T --to T] [--kind NAME] [--json] FILE\n--schema [--kind NAME] [--json]",
		.summary =
			"Prints every block and record of a capture in file order, with the format's names; damaged files, too.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = "Exit codes: 0 done, 1 not readable, 2 usage, 3 damaged or cut short (what is intact was printed).",
	};
	int n, res = opts_parse(&o, argc, argv, &n);

	if (res)
		return res == OPTS_HELP ? 0 : 2;
	if (n != !d.schema) {
		log_error("%s (see ascope dump --help)", d.schema ? "--schema takes no FILE"
							 : n	  ? "one capture at a time"
								  : "which capture? ascope dump FILE");
		return 2;
	}
	if (is_windowed(&d) && (d.one_block || d.schema)) {
		log_error("--from and --to choose blocks by their time: not together with --block or --schema");
		return 2;
	}
	if (d.to_ns && d.to_ns <= d.from_ns) {
		log_error("--to must be later than --from");
		return 2;
	}
	if (d.schema)
		return dump_schema(&d);
	d.path = argv[0];
	res = dump_file(&d);
	capture_strings_release(&d.strings);
	return res;
}
