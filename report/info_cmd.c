/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * info_cmd.c: `ascope info FILE`: what a capture holds, how much of it is there, and whether to trust it; without a database and
 * without symbols. Called by ascope.c. The counting is capture_scan.c's, the verdict verdict.c's; here is only the printing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opts.h"
#include "report/capture_scan.h"
#include "report/cmds.h"

struct uuid_text {
	char s[37];
};

static struct uuid_text uuid_text(const u8 u[16])
{
	struct uuid_text t;
	size_t o = 0;

	for (u32 i = 0; i < 16; i++)
		o += (size_t)snprintf(t.s + o, sizeof(t.s) - o, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	return t;
}

/* "2026-01-31 12:34:56 UTC"; "" when the capture has no clock or the time is not one. */
struct date_text {
	char s[48];
};

static struct date_text date_text(const struct capture_scan *s)
{
	time_t secs = (time_t)((s->ts_first + s->realtime_offset) / NSEC_PER_SEC);
	struct date_text d = {""};
	struct tm tm;

	if (s->has_clock && gmtime_r(&secs, &tm))
		(void)strftime(d.s, sizeof(d.s), "%Y-%m-%d %H:%M:%S UTC", &tm);
	return d;
}

/* A string of the capture, clean. */
static const char *clean(const struct capture_scan *s, u64 idx, struct human_clean *to)
{
	size_t n;
	const char *text = capture_strings_get(&s->strings, idx, &n);

	return human_clean(to, text, n);
}

/* ---- text ---- */

static void print_head(const struct capture_scan *s, const char *path)
{
	static const char *const upper[] = {
		[VERDICT_COMPLETE] = "COMPLETE",
		[VERDICT_PARTIAL] = "PARTIAL",
		[VERDICT_UNTRUSTWORTHY] = "UNTRUSTWORTHY",
	};
	struct human_clean name;
	struct date_text date = date_text(s);

	printf("%s  %s  %s events  %s%s%s\n", human_clean(&name, path, strlen(path)), human_ns(capture_scan_duration(s)).s,
	       human_count(s->facts.events).s, human_bytes(s->health.file_size).s, *date.s ? "  recorded " : "", date.s);
	printf("\nverdict     %s\n", upper[s->verdict.state]);
	for (u32 i = 0; i < s->verdict.n_reasons; i++)
		printf("              %s\n", s->verdict.reasons[i]);
	for (u32 i = 0; i < s->verdict.n_notes; i++)
		printf("  note        %s\n", s->verdict.notes[i]);
	printf("capture     %s, format version %u\n", uuid_text(s->file.uuid).s, s->file.version);
	printf("file        %s blocks intact, %s damaged, %s missing; %s\n", human_count(s->health.blocks_intact).s,
	       human_count(s->health.blocks_damaged).s, human_count(s->health.blocks_missing).s,
	       s->health.closed_cleanly ? "closed cleanly" : "not closed cleanly");
	if (s->health.first_damage.what[0])
		printf("              first damage at offset %llu: %s\n", (unsigned long long)s->health.first_damage.off,
		       s->health.first_damage.what);
	printf("read        %s\n",
	       s->is_quick ? "names and footer; the payloads of events are not verified: `ascope check` does" : "every block");
	if (s->raw)
		printf("compressed  %s to %s (%.1f : 1)\n", human_bytes(s->raw).s, human_bytes(s->stored).s,
		       s->stored ? (double)s->raw / (double)s->stored : 0.0);
}

static void print_kind(const char *name, const struct scan_kind *k)
{
	if (!k->rows)
		return;
	printf("  %-16s %15s %12s %12s %9.2f B\n", name, human_count(k->rows).s, human_bytes(k->encoded).s,
	       human_bytes(k->stored).s, (double)k->stored / (double)k->rows);
}

static void print_kinds(const struct capture_scan *s)
{
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);

	printf("\n%-18s %15s %12s %12s %11s\n", "RECORDS", "count", "encoded", "in file", "per record");
	for (u32 i = 0; i < n; i++)
		print_kind(kinds[i].name, &s->kinds[kinds[i].id]);
	print_kind("(later version)", &s->unknown);
	if (s->copies)
		printf("  %-16s %15s %12s %12s\n", "(names, copied)", human_count(s->copies).s, "", human_bytes(s->copy_bytes).s);
	if (s->footer_bytes)
		printf("  %-16s %15s %12s %12s\n", "(footer)", "", "", human_bytes(s->footer_bytes).s);
}

static void print_stacks(const struct capture_scan *s)
{
	u64 all = verdict_stacks(&s->facts);

	if (!all && !s->kernel_stacks)
		return;
	printf("\n%-24s %13s %10s %13s\n", "STACKS", "in records", "share", "distinct");
	for (u32 i = 0; i < STACK_STATUSES; i++) {
		u32 status = (i + 1) % STACK_STATUSES; /* whole first, not walked last */
		u64 n = s->facts.stacks[status];

		if (n || s->user_stacks[status])
			printf("  user %-17s %13s %8.2f %% %13s\n", stack_status_name(status), human_count(n).s,
			       all ? 100.0 * (double)n / (double)all : 0.0, human_count(s->user_stacks[status]).s);
	}
	if (s->kernel_stacks)
		printf("  %-47s %13s\n", "kernel", human_count(s->kernel_stacks).s);
}

static void print_lost(const struct capture_scan *s)
{
	printf("\nLOST\n");
	if (!s->n_lost)
		printf("  nothing\n");
	for (size_t i = 0; i < s->n_lost; i++) {
		struct human_clean cause;

		printf("  %-34s %s\n", human_clean(&cause, s->lost[i].cause, strlen(s->lost[i].cause)),
		       human_count(s->lost[i].count).s);
	}
	if (s->facts.contexts)
		printf("  %-34s %s of %s\n", "runtime contexts not readable", human_count(s->facts.contexts_unread).s,
		       human_count(s->facts.contexts).s);
}

static void print_layouts(const struct capture_scan *s)
{
	printf("\nTOKIO\n");
	if (!s->n_layouts)
		printf("  no runtime was found\n");
	for (size_t i = 0; i < s->n_layouts; i++) {
		const struct fmt_layout *l = &s->layouts[i];
		u64 path = 0, pid = 0, at;
		struct human_clean text;
		const char *version = clean(s, l->version, &text);

		if (u64map_get(&s->modules.by_key, l->module, &at))
			path = s->modules.entries[at].value;
		if (u64map_get(&s->processes.by_key, l->process, &at))
			pid = s->processes.entries[at].value;
		printf("  tokio %s in ", *version ? version : "(version unknown)");
		printf("%s (pid %llu)", *clean(s, path, &text) ? text.s : "?", (unsigned long long)pid);
		if (l->unfit) {
			printf(": runtime context not usable: its threads contradict the layout that version and symbols call for\n");
			continue;
		}
		if (!l->found_by) { /* there for its tasks alone: a copy that is probed */
			printf(": its threads' runtime contexts were not found, its tasks are known by probes alone\n");
			continue;
		}
		printf(", %llu threads; ", (unsigned long long)l->threads);
		printf("found by: %s\n", clean(s, l->found_by, &text));
		printf("    polls told apart by tick: multi-thread %s, current-thread %s\n", l->tick_from_mt ? "yes" : "no",
		       l->tick_from_ct ? "yes" : "no");
	}
}

/* Path of a module; 0 when the file has no entry of it. */
static u64 module_path(const struct capture_scan *s, u64 module)
{
	u64 at;

	return u64map_get(&s->modules.by_key, module, &at) ? s->modules.entries[at].value : 0;
}

/* What reports need no other file for. */
static void print_names(const struct capture_scan *s)
{
	if (s->names.n || s->kinds[FMT_KSYM].rows)
		printf("\nNAMES IN THE FILE\n");
	if (s->kinds[FMT_KSYM].rows)
		printf("  %-22s the kernel, of the recording host\n", "symbols");
	for (size_t i = 0; i < s->names.n; i++) {
		struct human_clean path;
		u64 v = s->names.entries[i].value;

		printf("  %-22s %s\n",
		       v >> 1 != 2 ? "symbols"
		       : v & 1	   ? "functions and lines"
				   : "functions",
		       clean(s, module_path(s, s->names.entries[i].key), &path));
	}
}

static void print_facts(const struct capture_scan *s)
{
	if (s->meta.n)
		printf("\nRECORDED WITH\n");
	for (size_t i = 0; i < s->meta.n; i++) {
		struct human_clean text;

		printf("  %-34s ", clean(s, s->meta.entries[i].key, &text));
		printf("%s\n", clean(s, s->meta.entries[i].value, &text));
	}
	if (s->totals.n)
		printf("\nTOTALS\n");
	for (size_t i = 0; i < s->totals.n; i++) {
		struct human_clean key;

		printf("  %-34s %s\n", clean(s, s->totals.entries[i].key, &key), human_count(s->totals.entries[i].value).s);
	}
}

/* ---- JSON; the names of 00-product are stable, additions are fine ---- */

static void json_kinds(struct json *j, const struct capture_scan *s, const char *key, size_t member, bool events_only)
{
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);
	const u8 *unknown = (const u8 *)&s->unknown + member;

	json_key(j, key);
	json_object_begin(j);
	for (u32 i = 0; i < n; i++) {
		const struct scan_kind *k = &s->kinds[kinds[i].id];

		if (k->rows && (kinds[i].is_event || !events_only))
			json_kv_u64(j, kinds[i].name, *(const u64 *)(const void *)((const u8 *)k + member));
	}
	if (s->unknown.rows && !events_only)
		json_kv_u64(j, "unknown", *(const u64 *)(const void *)unknown);
	json_object_end(j);
}

static void json_string_of(struct json *j, const struct capture_scan *s, const char *key, u64 idx)
{
	size_t n;
	const char *text = capture_strings_get(&s->strings, idx, &n);

	json_key(j, key);
	if (n)
		json_stringn(j, text, n);
	else
		json_null(j);
}

static void json_verdict(struct json *j, const struct capture_scan *s)
{
	json_kv_string(j, "verdict", verdict_name(s->verdict.state));
	json_key(j, "reasons");
	json_array_begin(j);
	for (u32 i = 0; i < s->verdict.n_reasons; i++)
		json_string(j, s->verdict.reasons[i]);
	json_array_end(j);
	json_key(j, "notes");
	json_array_begin(j);
	for (u32 i = 0; i < s->verdict.n_notes; i++)
		json_string(j, s->verdict.notes[i]);
	json_array_end(j);
}

/* Members of an open object: their sum, and each status. */
static void json_stacks(struct json *j, const u64 counts[STACK_STATUSES])
{
	u64 total = 0;

	for (u64 i = 0; i < STACK_STATUSES; i++)
		total += counts[i];
	json_kv_u64(j, "total", total);
	for (u64 i = 0; i < STACK_STATUSES; i++)
		json_kv_u64(j, stack_status_name((i + 1) % STACK_STATUSES), counts[(i + 1) % STACK_STATUSES]);
}

static void json_counts(struct json *j, const struct capture_scan *s)
{
	json_key(j, "lost");
	json_object_begin(j);
	for (size_t i = 0; i < s->n_lost; i++)
		json_kv_u64(j, s->lost[i].cause, s->lost[i].count);
	json_object_end(j);
	json_key(j, "stacks");
	json_object_begin(j);
	json_stacks(j, s->facts.stacks);
	json_kv_u64(j, "guessed", s->facts.stacks_guessed);
	json_object_end(j);
	json_key(j, "stacks_distinct");
	json_object_begin(j);
	json_stacks(j, s->user_stacks);
	json_kv_u64(j, "kernel", s->kernel_stacks);
	json_object_end(j);
	json_key(j, "contexts");
	json_object_begin(j);
	json_kv_u64(j, "total", s->facts.contexts);
	json_kv_u64(j, "unread", s->facts.contexts_unread);
	json_object_end(j);
}

static void json_blocks(struct json *j, const struct capture_scan *s)
{
	const struct fmt_health *h = &s->health;

	json_key(j, "blocks");
	json_object_begin(j);
	json_kv_u64(j, "intact", h->blocks_intact);
	json_kv_u64(j, "damaged", h->blocks_damaged);
	json_kv_u64(j, "missing", h->blocks_missing);
	json_object_end(j);
	json_key(j, "file");
	json_object_begin(j);
	json_kv_u64(j, "size", h->file_size);
	json_kv_u64(j, "format_version", s->file.version);
	json_kv_string(j, "uuid", uuid_text(s->file.uuid).s);
	json_kv_bool(j, "closed_cleanly", h->closed_cleanly);
	json_kv_u64(j, "bytes_skipped", h->bytes_skipped);
	json_kv_u64(j, "raw_bytes", s->raw);
	json_kv_u64(j, "stored_bytes", s->stored);
	json_kv_u64(j, "copy_bytes", s->copy_bytes);
	json_kv_u64(j, "footer_bytes", s->footer_bytes);
	json_kv_bool(j, "events_verified", !s->is_quick);
	json_key(j, "first_damage");
	if (h->first_damage.what[0]) {
		json_object_begin(j);
		json_kv_u64(j, "offset", h->first_damage.off);
		json_kv_string(j, "what", h->first_damage.what);
		json_object_end(j);
	} else {
		json_null(j);
	}
	json_object_end(j);
}

/* Arrays of {key, value}: the keys are a stranger's, and an object must not have one twice. */
static void json_facts(struct json *j, const struct capture_scan *s)
{
	json_key(j, "meta");
	json_array_begin(j);
	for (size_t i = 0; i < s->meta.n; i++) {
		json_object_begin(j);
		json_string_of(j, s, "key", s->meta.entries[i].key);
		json_string_of(j, s, "value", s->meta.entries[i].value);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "totals");
	json_array_begin(j);
	for (size_t i = 0; i < s->totals.n; i++) {
		json_object_begin(j);
		json_string_of(j, s, "key", s->totals.entries[i].key);
		json_kv_u64(j, "value", s->totals.entries[i].value);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_layouts(struct json *j, const struct capture_scan *s)
{
	json_key(j, "runtimes");
	json_array_begin(j);
	for (size_t i = 0; i < s->n_layouts; i++) {
		const struct fmt_layout *l = &s->layouts[i];
		u64 path = 0, pid = 0, at;

		if (u64map_get(&s->modules.by_key, l->module, &at))
			path = s->modules.entries[at].value;
		if (u64map_get(&s->processes.by_key, l->process, &at))
			pid = s->processes.entries[at].value;
		json_object_begin(j);
		json_string_of(j, s, "tokio_version", l->version);
		json_string_of(j, s, "module", path);
		json_kv_u64(j, "pid", pid);
		json_string_of(j, s, "found_by", l->found_by);
		json_string_of(j, s, "layout", l->row);
		json_kv_u64(j, "threads", l->threads);
		json_kv_bool(j, "usable", !l->unfit);
		json_kv_bool(j, "tick_valid_multi_thread", l->tick_from_mt != 0);
		json_kv_bool(j, "tick_valid_current_thread", l->tick_from_ct != 0);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_names(struct json *j, const struct capture_scan *s)
{
	json_kv_bool(j, "kernel_names", s->kinds[FMT_KSYM].rows != 0);
	json_key(j, "names");
	json_array_begin(j);
	for (size_t i = 0; i < s->names.n; i++) {
		u64 v = s->names.entries[i].value;

		json_object_begin(j);
		json_string_of(j, s, "module", module_path(s, s->names.entries[i].key));
		json_kv_string(j, "source", v >> 1 == 2 ? "dwarf" : "symtab");
		json_kv_bool(j, "lines", v & 1);
		json_object_end(j);
	}
	json_array_end(j);
}

static void print_json(const struct capture_scan *s)
{
	struct json j;

	json_init(&j, stdout, true);
	json_object_begin(&j);
	json_kv_u64(&j, "schema_version", 1);
	json_verdict(&j, s);
	json_kv_u64(&j, "duration_ns", capture_scan_duration(s));
	json_kv_u64(&j, "ts_first", s->ts_first);
	json_kv_u64(&j, "ts_last", s->ts_last);
	json_kinds(&j, s, "events", offsetof(struct scan_kind, rows), true);
	json_kinds(&j, s, "records", offsetof(struct scan_kind, rows), false);
	json_kinds(&j, s, "bytes", offsetof(struct scan_kind, stored), false);
	json_kinds(&j, s, "bytes_encoded", offsetof(struct scan_kind, encoded), false);
	json_counts(&j, s);
	json_blocks(&j, s);
	json_layouts(&j, s);
	json_names(&j, s);
	json_facts(&j, s);
	json_object_end(&j);
	(void)putchar('\n');
}

static void print_text(const struct capture_scan *s, const char *path)
{
	print_head(s, path);
	print_kinds(s);
	print_stacks(s);
	print_lost(s);
	print_layouts(s);
	print_names(s);
	print_facts(s);
}

static int info_file(const char *path, bool as_json, bool full)
{
	_cleanup_reader_ struct fmt_reader *r = NULL;
	_cleanup_(capture_scan_release) struct capture_scan s = {0};
	int err = capture_file_open(path, &r);

	if (err)
		return 1; /* it has been said */
	err = full ? capture_scan_run(&s, r) : capture_scan_quick(&s, r);
	if (err) {
		log_error("%s: reading stopped: %s", path, strerror(-err));
		return 1;
	}
	if (as_json)
		print_json(&s);
	else
		print_text(&s, path);
	if (ferror(stdout))
		return 1; /* ascope.c says so */
	return s.verdict.is_lossy ? 3 : 0;
}

int info_cmd(int argc, char **argv)
{
	bool as_json = false, full = false;
	const struct opt table[] = {
		{0, "json", OPT_FLAG, &as_json, NULL, "print one JSON object instead of text", NULL},
		{0, "scan", OPT_FLAG, &full, NULL, "read and count every event, where names and footer would do", NULL},
	};
	const struct opts o = {
		.command = "ascope info",
		.synopsis = "[--json] [--scan] FILE",
		.summary =
			"What a capture holds and whether to trust it: verdict, losses, records by kind, runtimes, how recorded.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog =
			"Exit codes: 0 complete, 1 not readable, 2 usage, 3 data was lost or damaged (the verdict says how much).",
	};
	int n, res = opts_parse(&o, argc, argv, &n);

	if (res)
		return res == OPTS_HELP ? 0 : 2;
	if (n != 1) {
		log_error("%s (see ascope info --help)", n ? "one capture at a time" : "which capture? ascope info FILE");
		return 2;
	}
	return info_file(argv[0], as_json, full);
}
