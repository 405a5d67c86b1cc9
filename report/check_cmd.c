/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check_cmd.c: `ascope check FILE`: verifies all of a capture, names each damage in the order of the file, says what it means for a
 * reader, and with --repair writes what is intact. Called by ascope.c. The finding is check.c's; here is only the telling.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "base/json.h"
#include "base/log.h"
#include "base/opts.h"
#include "report/check.h"
#include "report/cmds.h"
#include "report/repair.h"
#include "report/view_text.h"

enum { EXIT_SOUND = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DAMAGED = 3 };

struct check_args {
	const char *path, *out;
	bool as_json, force, color;
};

static const char *type_name(u32 type)
{
	switch (type) {
	case 0:
		return "unknown type";
	case FMT_BLOCK_EVENTS:
		return "events";
	case FMT_BLOCK_FOOTER:
		return "footer";
	case FMT_BLOCK_DICTIONARY:
		return "names";
	case FMT_BLOCK_COPY:
		return "copy of names";
	default:
		return "of a later version";
	}
}

/* For JSON, where a word must not change: null for what is not known. */
static const char *type_word(u32 type)
{
	static const char *const words[] = {
		[FMT_BLOCK_EVENTS] = "events",
		[FMT_BLOCK_FOOTER] = "footer",
		[FMT_BLOCK_DICTIONARY] = "dictionary",
		[FMT_BLOCK_COPY] = "copy",
	};

	return type < ARRAY_SIZE(words) ? words[type] : "later";
}

/* "+12.3 s": since the recording began, as --from and --to count. */
static struct text_dur at(const struct check *c, u64 ts)
{
	struct text_dur d = text_offset(ts > c->start ? ts - c->start : 0), out;

	(void)snprintf(out.s, sizeof(out.s), "+%.30s", d.s);
	return out;
}

/* ---- the last line ---- */

/* "events between +12.3 s and +12.4 s are missing" */
static void say_events(const struct check *c, struct buf *b)
{
	const struct check_lost *only = NULL;
	u64 places = c->n_lost_untold;

	for (u32 i = 0; i < c->n_lost; i++) {
		if (!c->lost[i].has_events)
			continue;
		places++;
		only = &c->lost[i];
	}
	if (places == 1 && only && only->ts_first)
		buf_printf(b, "events between %s and %s are missing", at(c, only->ts_first).s, at(c, only->ts_last).s);
	else if (places)
		buf_printf(b, "events are missing in %s place%s", human_count(places).s, places > 1 ? "s" : "");
	else
		buf_printf(b, "no event is lost");
	if (!c->health.closed_cleanly && !c->has_footer)
		buf_printf(b, "%s what came after %s, if anything, is not there", places ? ", and" : ",", at(c, c->ts_last).s);
	if (c->records_lost)
		buf_printf(b, " (%s records)", human_count(c->records_lost).s);
}

static void say_names(const struct check *c, struct buf *b)
{
	u64 unknown = c->blocks_lost - c->event_blocks_lost - c->name_blocks_lost;

	if (c->name_blocks_lost)
		buf_printf(b, "; the names of %s block%s are lost", human_count(c->name_blocks_lost).s,
			   c->name_blocks_lost > 1 ? "s" : "");
	else if (unknown)
		buf_printf(b, "; names may be lost");
	else if (c->blocks_recovered)
		buf_printf(b, "; no name is lost: %s block%s recovered from copies", human_count(c->blocks_recovered).s,
			   c->blocks_recovered > 1 ? "s of names were" : " of names was");
	else
		buf_printf(b, "; no name is lost");
}

/* What it all means for a reader, in a sentence. malloc'ed; NULL on ENOMEM. */
static char *summary_of(const struct check *c, const char *path, bool repaired)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct human_clean name;
	const struct fmt_health *h = &c->health;
	u64 bad = h->blocks_damaged + h->blocks_missing, all = h->blocks_intact + bad, faults = c->n_faults + c->n_faults_untold;

	bool only_faults = !bad && !h->bytes_skipped && h->closed_cleanly;

	if (check_is_sound(c)) {
		buf_printf(&b, "sound: %s blocks, %s records: checksums, footer and references hold", human_count(c->blocks).s,
			   human_count(c->records).s);
		return buf_take_str(&b);
	}
	if (bad)
		buf_printf(&b, "%s of %s blocks %s damaged or missing: ", human_count(bad).s, human_count(all).s,
			   bad > 1 ? "are" : "is");
	else if (!h->closed_cleanly && !c->has_footer)
		buf_printf(&b, "the file was not closed: ");
	else if (h->bytes_skipped || !h->closed_cleanly)
		buf_printf(&b, "%s belong to no block: ", human_bytes(h->bytes_skipped).s);
	else
		buf_printf(&b, "every block is intact, but not all they say can be true: ");
	say_events(c, &b);
	say_names(c, &b);
	if (faults)
		buf_printf(&b, "; %s contradiction%s", human_count(faults).s, faults > 1 ? "s" : "");
	if (only_faults && !c->footer_faults) {
		buf_puts(&b, "; a repair cannot mend that: the recorder was wrong, or the file was altered");
	} else if (!repaired) {
		buf_puts(&b, "; `ascope check --repair OUT ");
		buf_puts(&b, human_clean(&name, path, strlen(path)));
		buf_puts(&b, "` writes what is intact");
	}
	return buf_take_str(&b);
}

/* ---- text ---- */

static void print_damage(const struct check *c, const struct fmt_damage *d)
{
	printf("  offset %" PRIu64, d->off);
	if (d->end > d->off)
		printf(", %s", human_bytes(d->end - d->off).s);
	if (d->blocks > 1)
		printf(", %s blocks from %" PRIu64, human_count(d->blocks).s, d->seq);
	else if (d->seq != UINT64_MAX)
		printf(", block %" PRIu64 " (%s)", d->seq, type_name(d->type));
	printf(": %s\n", d->what);
	if (d->rows && d->ts_first)
		printf("    %s records of %s to %s\n", human_count(d->rows).s, at(c, d->ts_first).s, at(c, d->ts_last).s);
	else if (d->rows && d->type != FMT_BLOCK_FOOTER)
		printf("    %s records\n", human_count(d->rows).s);
	if (d->recovered)
		printf("    recovered from its copy: no name is lost\n");
}

static void print_lost(const struct check *c)
{
	if (c->n_lost)
		printf("\nLOST\n");
	for (u32 i = 0; i < c->n_lost; i++) {
		const struct check_lost *l = &c->lost[i];

		printf("  block%s %" PRIu64, l->blocks > 1 ? "s" : "", l->seq);
		if (l->blocks > 1)
			printf(" to %" PRIu64, l->seq + l->blocks - 1);
		printf(": %s", l->is_exact ? (l->has_events ? "events" : "names, of which no copy is left") : "events or names");
		if (l->records)
			printf(", %s records", human_count(l->records).s);
		if (l->ts_first)
			printf(", %s to %s", at(c, l->ts_first).s, at(c, l->ts_last).s);
		(void)putchar('\n');
	}
	if (c->n_lost_untold)
		printf("  and in %s places more\n", human_count(c->n_lost_untold).s);
}

static void print_notes(const struct check *c)
{
	const struct check_refs *r = &c->refs;

	if (r->steps_back)
		printf("note: %s records of a thread are earlier than the one before them, by %s at most (first: %s in block %" PRIu64
		       "); reports count them as `order`\n",
		       human_count(r->steps_back).s, human_ns(r->max_step).s, r->first_step.kind->name, r->first_step.seq);
	if (r->is_incomplete)
		printf("note: more entries or threads than can be followed: not every reference was looked up\n");
	if (c->unknown_blocks)
		printf("note: %s blocks are of a later version: only their checksums were verified\n",
		       human_count(c->unknown_blocks).s);
	if (repair_facts_any(&c->repaired))
		printf("note: this capture was repaired: %s of %s blocks lost%s\n", human_count(c->repaired.blocks_lost).s,
		       human_count(c->repaired.blocks).s, c->repaired.not_closed ? ", and it had not been closed" : "");
}

/* Its parts, each on a line. `summary` is taken apart. */
static void print_summary(const struct check *c, const struct check_args *a, char *summary)
{
	for (char *part = summary, *end; part; part = end) {
		end = strstr(part, "; ");
		if (end) {
			*end = 0;
			end += 2;
		}
		text_color(stdout, a->color, check_is_sound(c) ? TEXT_GREEN : TEXT_RED, part);
		(void)putchar('\n');
	}
}

static void print_text(const struct check *c, const struct check_args *a, char *summary)
{
	struct human_clean name;

	printf("%s  %s  %s blocks (%s of events, %s of names, %s copies)  %s records  %s\n",
	       human_clean(&name, a->path, strlen(a->path)), human_bytes(c->health.file_size).s, human_count(c->blocks).s,
	       human_count(c->event_blocks).s, human_count(c->dictionary_blocks).s, human_count(c->copies).s,
	       human_count(c->records).s, human_ns(c->ts_last > c->start ? c->ts_last - c->start : 0).s);
	if (c->n_damages)
		printf("\nDAMAGE\n");
	for (u32 i = 0; i < c->n_damages; i++)
		print_damage(c, &c->damages[i]);
	if (c->n_untold)
		printf("  and %s places more\n", human_count(c->n_untold).s);
	print_lost(c);
	if (c->n_faults)
		printf("\nCONTRADICTIONS\n");
	for (u32 i = 0; i < c->n_faults; i++) {
		if (c->faults[i].off != UINT64_MAX)
			printf("  offset %" PRIu64 ": %s\n", c->faults[i].off, c->faults[i].what);
		else
			printf("  %s\n", c->faults[i].what);
	}
	if (c->n_faults_untold)
		printf("  and %s more\n", human_count(c->n_faults_untold).s);
	if (c->n_damages || c->n_faults || c->n_lost)
		(void)putchar('\n');
	print_notes(c);
	print_summary(c, a, summary);
}

/* ---- JSON ---- */

static void json_ts(struct json *j, const char *key, u64 ts)
{
	json_kv_u64_or_null(j, key, ts != 0, ts);
}

static void json_damages(struct json *j, const struct check *c)
{
	json_key(j, "damage");
	json_array_begin(j);
	for (u32 i = 0; i < c->n_damages; i++) {
		const struct fmt_damage *d = &c->damages[i];

		json_object_begin(j);
		json_kv_u64(j, "offset", d->off);
		json_kv_u64(j, "bytes", d->end - d->off);
		json_kv_u64_or_null(j, "block", d->seq != UINT64_MAX, d->seq);
		json_kv_u64_or_null(j, "blocks", d->blocks != 0, d->blocks);
		json_kv_string(j, "type", type_word(d->type));
		json_kv_string(j, "what", d->what);
		json_ts(j, "ts_first", d->ts_first);
		json_ts(j, "ts_last", d->ts_last);
		json_kv_u64_or_null(j, "records", d->rows != 0, d->rows);
		json_kv_bool(j, "recovered", d->recovered);
		json_object_end(j);
	}
	json_array_end(j);
	json_kv_u64(j, "damage_not_listed", c->n_untold);
}

static void json_lost(struct json *j, const struct check *c)
{
	json_key(j, "lost");
	json_array_begin(j);
	for (u32 i = 0; i < c->n_lost; i++) {
		const struct check_lost *l = &c->lost[i];

		json_object_begin(j);
		json_kv_u64(j, "block", l->seq);
		json_kv_u64(j, "blocks", l->blocks);
		json_kv_bool(j, "events", l->has_events);
		json_kv_bool(j, "names", l->has_names);
		json_kv_u64_or_null(j, "records", l->is_exact, l->records);
		json_ts(j, "ts_first", l->ts_first);
		json_ts(j, "ts_last", l->ts_last);
		json_object_end(j);
	}
	json_array_end(j);
	json_kv_u64(j, "lost_not_listed", c->n_lost_untold);
	json_key(j, "contradictions");
	json_array_begin(j);
	for (u32 i = 0; i < c->n_faults; i++) {
		json_object_begin(j);
		json_kv_u64_or_null(j, "offset", c->faults[i].off != UINT64_MAX, c->faults[i].off);
		json_kv_u64_or_null(j, "block", c->faults[i].seq != UINT64_MAX, c->faults[i].seq);
		json_kv_string(j, "what", c->faults[i].what);
		json_object_end(j);
	}
	json_array_end(j);
	json_kv_u64(j, "contradictions_not_listed", c->n_faults_untold);
}

static void json_sums(struct json *j, const struct check *c)
{
	const struct fmt_health *h = &c->health;

	json_key(j, "blocks");
	json_object_begin(j);
	json_kv_u64(j, "intact", h->blocks_intact);
	json_kv_u64(j, "damaged", h->blocks_damaged);
	json_kv_u64(j, "missing", h->blocks_missing);
	json_kv_u64(j, "recovered", c->blocks_recovered);
	json_kv_u64(j, "lost", c->blocks_lost);
	json_object_end(j);
	json_kv_bool(j, "closed_cleanly", h->closed_cleanly);
	json_kv_u64(j, "size", h->file_size);
	json_kv_u64(j, "bytes_skipped", h->bytes_skipped);
	json_kv_u64(j, "records", c->records);
	json_kv_u64(j, "records_lost", c->records_lost);
	json_ts(j, "ts_start", c->start);
	json_ts(j, "ts_last", c->ts_last);
	json_kv_u64(j, "out_of_order", c->refs.steps_back);
	json_kv_bool(j, "all_references_checked", !c->refs.is_incomplete);
}

static void print_json(const struct check *c, const struct check_args *a, const struct repair_result *done, const char *summary)
{
	struct json j;

	json_init(&j, stdout, true);
	json_object_begin(&j);
	json_kv_u64(&j, "schema_version", 1);
	json_kv_string(&j, "file", a->path);
	json_kv_bool(&j, "sound", check_is_sound(c));
	json_kv_string(&j, "summary", summary);
	json_sums(&j, c);
	json_damages(&j, c);
	json_lost(&j, c);
	json_key(&j, "earlier_repair");
	json_object_begin(&j);
	for (u32 i = 0; i < REPAIR_KEYS && repair_facts_any(&c->repaired); i++)
		json_kv_u64(&j, repair_facts_key(i) + strlen("repaired."), repair_facts_value(&c->repaired, i));
	json_object_end(&j);
	json_key(&j, "repair");
	if (done) {
		json_object_begin(&j);
		json_kv_string(&j, "file", a->out);
		json_kv_u64(&j, "blocks", done->blocks);
		json_kv_u64(&j, "bytes", done->bytes);
		json_object_end(&j);
	} else {
		json_null(&j);
	}
	json_object_end(&j);
	(void)putchar('\n');
}

/* ---- the command ---- */

struct check_progress {
	u64 size, last_percent;
};

static void show_progress(void *ctx, u64 off)
{
	struct check_progress *p = ctx;
	u64 percent = p->size ? off * 100 / p->size : 100;

	if (percent == p->last_percent)
		return;
	p->last_percent = percent;
	log_status("checking %u %%", (unsigned)percent);
}

static int tell(const struct check *c, const struct check_args *a)
{
	struct repair_result done = {0};
	bool repairs = a->out && !check_is_sound(c);
	_cleanup_free_ char *summary = summary_of(c, a->path, repairs);

	if (!summary) {
		log_error("%s: %s", a->path, strerror(ENOMEM));
		return EXIT_FAILED;
	}
	if (repairs && repair_file(a->path, c, a->out, a->force, &done) < 0)
		return EXIT_FAILED; /* it has been said */
	if (a->as_json)
		print_json(c, a, repairs ? &done : NULL, summary);
	else
		print_text(c, a, summary);
	if (ferror(stdout))
		return EXIT_FAILED; /* ascope.c says so */
	if (repairs)
		log_info("wrote %s: %s blocks, %s; its verdict says what was lost", a->out, human_count(done.blocks).s,
			 human_bytes(done.bytes).s);
	else if (a->out)
		log_info("%s is sound: there is nothing to repair, and %s was not written", a->path, a->out);
	return check_is_sound(c) ? EXIT_SOUND : EXIT_DAMAGED;
}

static int check_file(const struct check_args *a)
{
	_cleanup_reader_ struct fmt_reader *r = NULL;
	struct check_progress progress = {.last_percent = UINT64_MAX};
	struct check *c;
	int err = capture_file_open(a->path, &r);

	if (err)
		return EXIT_FAILED; /* it has been said */
	c = calloc(1, sizeof(*c));
	err = c ? 0 : -ENOMEM;
	progress.size = fmt_reader_health(r)->file_size;
	if (!err)
		err = check_run(c, r, NULL, show_progress, &progress);
	if (!err)
		err = check_trailer(c, a->path);
	log_status_end();
	if (err)
		log_error("%s: reading stopped: %s", a->path, strerror(-err));
	err = err ? EXIT_FAILED : tell(c, a);
	if (c)
		check_release(c);
	free(c);
	return err;
}

int check_cmd(int argc, char **argv)
{
	struct check_args a = {0};
	const struct opt table[] = {
		{0, "repair", OPT_STRING, &a.out, "OUT", "write what is intact to this new file, as a capture that is sound",
		 NULL},
		{0, "force", OPT_FLAG, &a.force, NULL, "overwrite OUT", NULL},
		{0, "json", OPT_FLAG, &a.as_json, NULL, "print one JSON object instead of text (ascope-check(1) has its keys)",
		 NULL},
	};
	const struct opts o = {
		.command = "ascope check",
		.synopsis = "[--json] [--repair OUT [--force]] FILE",
		.summary = "Verifies every byte of a capture: names each damage, and what it means for a reader.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = "Exit codes: 0 sound, 1 not readable (or OUT not writable), 2 usage, 3 damaged, repaired or not.",
	};
	int n, res = opts_parse(&o, argc, argv, &n);

	if (res)
		return res == OPTS_HELP ? EXIT_SOUND : EXIT_USAGE;
	if (n != 1) {
		log_error("%s (see ascope check --help)", n ? "one capture at a time" : "which capture? ascope check FILE");
		return EXIT_USAGE;
	}
	if (a.force && !a.out) {
		log_error("--force belongs to --repair OUT (see ascope check --help)");
		return EXIT_USAGE;
	}
	a.path = argv[0];
	a.color = text_terminal_color(STDOUT_FILENO);
	return check_file(&a);
}
