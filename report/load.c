/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load.c: see load.h. Two passes over the file, because in a damaged one a dictionary entry may come after the events that
 * name it, and because entries of layouts and contexts are replaced by later ones:
 *	1. load_dict.c: dictionaries, gaps      2. load_events.c: events -> intervals.c -> poll.c -> tables
 */
#include "report/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/parse.h"
#include "report/callsite.h"
#include "report/load_events.h"
#include "report/load_symbol.h"
#include "report/load_write.h"
#include "report/schema.h"
#include "report/verdict.h"

/* Indexes are made when the tables are full: three times as fast as keeping them up. */
static const char indexes_sql[] = "CREATE INDEX offcpu_by_poll ON _offcpu (poll_id) WHERE poll_id IS NOT NULL;"
				  "CREATE INDEX sample_by_poll ON _sample (poll_id) WHERE poll_id IS NOT NULL;"
				  "CREATE INDEX poll_by_thread ON poll (thread_id, ts);"
				  /* of every length that reports ask for: dur_min <= dur <= dur_max */
				  "CREATE INDEX poll_by_length ON poll (dur_max);"
				  "CREATE INDEX poll_by_dur ON poll (dur);" /* what people ask for themselves */
				  "CREATE INDEX marker_by_thread ON marker (thread_id, ts);"
				  "CREATE INDEX task_by_id ON _task (task_id, owner);"
				  "CREATE INDEX task_poll_by_thread ON _task_poll (thread_id, ts);"
				  "CREATE INDEX task_poll_by_task ON _task_poll (task_row, ts);"
				  "CREATE INDEX task_wake_by_task ON _task_wake (task_row, ts);"
				  "CREATE INDEX victim_by_poll ON block_victim (poll_id);"
				  "CREATE INDEX mapping_by_process ON mapping (process_id, addr_start);";

struct load_progress {
	const char *what;
	u64 size;
	u64 last_percent;
};

static void show_progress(void *ctx, u64 offset)
{
	struct load_progress *p = ctx;
	u64 percent = p->size ? offset * 100 / p->size : 100;

	if (percent == p->last_percent)
		return;
	p->last_percent = percent;
	log_status("%s %u %%", p->what, (unsigned)percent);
}

void load_uuid_text(const struct fmt_file_info *info, char buf[33])
{
	for (u32 i = 0; i < 16; i++)
		(void)snprintf(buf + 2 * i, 3, "%02x", info->uuid[i]);
}

/* A number among the facts of the recording; the keys are the recorder's (FORMAT.md, meta). */
static u64 fact_u64(const struct load_dict *d, const char *key, u64 fallback)
{
	const char *text = load_dict_meta(d, key);
	u64 v;

	return text && parse_u64(text, &v) == 0 && v <= LOAD_TS_MAX ? v : fallback;
}

static void take_totals(const struct load_dict *d, struct verdict_facts *f)
{
	for (size_t i = 0; i < d->totals.cap; i++) {
		const char *key = d->totals.used[i] ? load_dict_str(d, d->totals.keys[i]) : NULL;

		if (key && !repair_facts_note(&f->repaired, key, d->totals.values[i]))
			(void)probe_facts_note(&f->probes, key, d->totals.values[i]);
	}
}

static struct verdict_facts facts_of(const struct load_dict *d, const struct event_loader *el, u64 lost, u64 duration)
{
	const struct fmt_health *h = &d->health;
	struct verdict_facts f = {
		.events = d->events,
		.lost = lost,
		.blocks_intact = h->blocks_intact,
		.blocks_damaged = h->blocks_damaged,
		.blocks_missing = h->blocks_missing,
		.bytes_skipped = h->bytes_skipped,
		.file_size = h->file_size,
		.closed_cleanly = h->closed_cleanly,
		.end = verdict_end_of(load_dict_meta(d, "recording.stopped_by")),
		.duration = duration,
		.contexts = el->contexts,
		.contexts_unread = el->contexts_unread,
	};

	take_totals(d, &f);
	stack_ends_sum(&el->stacks->ends, &f);
	return f;
}

/* What is missing beside lost events, into table loss. */
static int write_other_loss(sqlite3 *db, const struct load_dict *d, const struct event_loader *el)
{
	const struct {
		const char *cause;
		u64 count;
	} rows[] = {
		{"damaged_blocks", d->health.blocks_damaged},
		{"missing_blocks", d->health.blocks_missing},
		{"damaged_bytes", d->health.bytes_skipped},
		{"not_closed", !d->health.closed_cleanly},
		{"unread", el->iv.unread},
		{"order", el->iv.out_of_order},
		{"unpaired", el->iv.unpaired},
		{"bad_rows", d->bad_rows + el->bad_times + el->markers.refused + el->task_loader.bad_refs},
		{"unknown_threads", el->unknown_threads},
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && !err; i++)
		err = load_write_loss(db, rows[i].cause, rows[i].count);
	return err;
}

/* The reasons of the verdict, and one for each runtime whose polls on the cpu could not be told apart. */
static char *verdict_text(const struct verdict *v, const struct runtime_set *rs, bool *ret_unclassified)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *reasons = verdict_reasons(v);

	if (!reasons)
		return NULL;
	buf_puts(&b, reasons);
	*ret_unclassified = false;
	for (u32 i = 0; i < rs->n_runtimes; i++) {
		const struct runtime_info *r = &rs->runtimes[i];

		/*
		 * while a tick is being calibrated the first polls are open, too: that is a matter of a second, not of the
		 * capture
		 */
		if (!r->unclassified || r->tick_from)
			continue;
		*ret_unclassified = true;
		buf_printf(&b, "%sCPU-bound polls of runtime %llu are unclassified: tick not proven (%llu stretches of samples)",
			   b.len ? "\n" : "", (unsigned long long)r->id, (unsigned long long)r->unclassified);
	}
	return buf_take_str(&b);
}

/* Everything that one load needs; released as a whole. */
struct loader {
	const struct load_window *window;
	enum capture_rows rows;
	u64 ts_start, ts_end; /* of the recording; events.iv has those of the window */
	struct load_dict dict;
	struct runtime_set runtimes;
	struct stack_store stacks;
	struct event_loader events;
};

/* What the verdict notes of probes and tasks, one a line; nothing when there is none. */
static int write_notes(sqlite3 *db, const struct verdict *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	_cleanup_free_ char *text = NULL;
	int err;

	if (!v->n_task_notes)
		return 0;
	for (u32 i = v->n_notes - v->n_task_notes; i < v->n_notes; i++)
		buf_printf(&b, "%s%s", b.len ? "\n" : "", v->notes[i]);
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('ascope.notes', ?)", &ins);
	return err ? err : db_run(ins, (struct db_val[]){db_text(text)}, 1);
}

static int write_capture(sqlite3 *db, const struct load_source *src, struct fmt_reader *r, const struct loader *l,
			 const struct verdict_facts *facts)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	_cleanup_free_ char *why = NULL;
	const struct load_dict *d = &l->dict;
	const struct event_loader *el = &l->events;
	struct verdict v;
	bool unclassified;
	u64 realtime = d->clock.ts ? d->clock.realtime - (d->clock.ts - l->ts_start) : 0;
	char uuid[33];
	int err;

	verdict_decide(facts, &v);
	why = verdict_text(&v, el->runtimes, &unclassified);
	if (!why)
		return -ENOMEM;
	load_uuid_text(fmt_reader_info(r), uuid);
	err = db_prepare(db, "INSERT INTO capture VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", &ins);
	if (!err)
		err = db_run(
			ins,
			(struct db_val[]){
				db_text(uuid),
				db_text(src->path),
				DB_INT(src->size),
				DB_INT(src->mtime),
				DB_INT(l->ts_start),
				DB_INT(l->ts_end),
				realtime <= LOAD_TS_MAX ? db_opt(realtime) : DB_NULL,
				db_text(load_dict_meta(d, "host.name")),
				db_text(load_dict_meta(d, "host.kernel")),
				DB_INT(el->iv.sample_period),
				db_text(verdict_name(unclassified && v.state == VERDICT_COMPLETE ? VERDICT_PARTIAL : v.state)),
				db_text(why),
			},
			12);
	/* polls that could not be classified, and probes that were cut, make the verdict partial, but no data was lost: the exit code stays 0 */
	if (!err)
		err = db_exec(db, v.is_lossy ? "INSERT OR REPLACE INTO meta VALUES ('ascope.data_lost', '1')"
					     : "INSERT OR REPLACE INTO meta VALUES ('ascope.data_lost', '0')");
	return err ? err : write_notes(db, &v);
}

/* What the recording covers: as it says itself, widened to what its events cover. */
static void set_times(struct loader *l)
{
	const struct load_dict *d = &l->dict;
	struct intervals *iv = &l->events.iv;

	l->ts_start = fact_u64(d, "recording.start_ns", d->ts_first);
	if (d->ts_first)
		l->ts_start = min_u64(l->ts_start, d->ts_first);
	l->ts_end = max_u64(max_u64(fact_u64(d, "recording.end_ns", 0), d->ts_last), l->ts_start);
	iv->ts_start = l->ts_start;
	iv->ts_end = l->ts_end;
	iv->sample_period = fact_u64(d, "sample.period_ns", 0);
	if (!l->window)
		return;
	iv->ts_start = min_u64(max_u64(l->ts_start, l->window->from), l->ts_end);
	iv->ts_end = max_u64(min_u64(l->ts_end, l->window->to), iv->ts_start);
	l->events.is_window = true;
}

/* What only a reading of all events could tell. */
static void take_whole(struct load_dict *d, const struct capture_scan *whole)
{
	d->ts_first = whole->ts_first;
	d->ts_last = whole->ts_last;
	d->events = whole->facts.events;
	d->health = whole->health;
	d->clock = (struct fmt_clock){0};
	if (whole->has_clock)
		d->clock = (struct fmt_clock){.ts = whole->ts_first, .realtime = whole->ts_first + whole->realtime_offset};
}

static void loader_release(struct loader *l)
{
	event_loader_release(&l->events);
	stack_store_release(&l->stacks);
	runtime_set_release(&l->runtimes);
	load_dict_release(&l->dict);
}

static int read_capture(struct loader *l, sqlite3 *db, struct fmt_reader *r, u64 size)
{
	struct load_progress p = {"reading names", size, UINT64_MAX};
	struct fmt_want want = {.dictionaries = true, .events = true};
	int err;

	if (l->window) {
		want.from = l->window->from;
		want.to = l->window->to;
		fmt_reader_want(r, &want);
	}
	err = load_dict_read(&l->dict, r, show_progress, &p);
	if (!err && l->window)
		take_whole(&l->dict, l->window->whole);
	if (!err)
		err = load_write_modules(&l->dict, db);
	if (!err)
		err = load_write_facts(&l->dict, db);
	if (!err)
		err = runtime_set_init(&l->runtimes, &l->dict);
	if (!err)
		err = stack_store_init(&l->stacks, &l->dict, db, load_kernel_module_id(&l->dict));
	if (!err)
		err = event_loader_init(&l->events, &l->dict, &l->runtimes, &l->stacks, db);
	if (err)
		return err;
	set_times(l);
	l->events.rows_wanted = l->rows;
	l->events.task_loader.wants_rows = l->rows == CAPTURE_ROWS_ALL;
	p = (struct load_progress){"loading events", size, UINT64_MAX};
	if (l->window) {
		want.dictionaries = false;
		fmt_reader_want(r, &want);
	}
	err = event_loader_read(&l->events, r, show_progress, &p);
	return err ? err : stack_store_write(&l->stacks);
}

/* Facts that tables cannot tell, for the head of reports. */
static int write_extent(const struct loader *l, sqlite3 *db, u64 events)
{
	const struct {
		const char *key;
		u64 value;
		bool is_told;
	} rows[] = {
		{"ascope.events", events, true},
		{"ascope.switches", l->events.offcpus, true},
		{"ascope.samples", l->events.samples, true},
		{"ascope.tasks", l->events.tasks.count, true},
		{"ascope.window_from", l->events.iv.ts_start, l->window != NULL},
		{"ascope.window_to", l->events.iv.ts_end, l->window != NULL},
	};
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &ins);

	for (size_t i = 0; i < ARRAY_SIZE(rows) && !err; i++) {
		char text[24];

		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)rows[i].value);
		if (rows[i].is_told)
			err = db_run(ins, (struct db_val[]){db_text(rows[i].key), db_text(text)}, 2);
	}
	if (!err)
		err = db_run(ins,
			     (struct db_val[]){db_text("ascope.rows"), db_text(l->rows == CAPTURE_ROWS_ALL ? "all" : "polls")},
			     2);
	return err;
}

static int write_rest(struct loader *l, sqlite3 *db, struct fmt_reader *r, const struct load_source *src)
{
	struct verdict_facts facts;
	u64 lost;
	int err = load_write_tasks(&l->dict, db, l->ts_start);

	if (!err)
		err = load_write_throttles(&l->dict, db);
	if (!err)
		err = runtime_set_write(&l->runtimes, db, l->ts_start);
	if (!err)
		err = load_write_lost_events(&l->dict, db, &lost);
	if (err)
		return err;
	facts = l->window ? l->window->whole->facts : facts_of(&l->dict, &l->events, lost, l->ts_end - l->ts_start);
	err = marker_loader_facts(&l->events.markers, db);
	if (!err)
		err = write_other_loss(db, &l->dict, &l->events);
	if (!err)
		err = stack_ends_write(&l->stacks.ends, db);
	if (!err)
		err = load_write_perfmaps(db, &l->stacks.maps);
	if (!err)
		err = write_extent(l, db, facts.events);
	if (!err)
		err = load_symbols_write(&l->dict, db, src->libraries);
	return err ? err : write_capture(db, src, r, l, &facts);
}

int load_capture(sqlite3 *db, struct fmt_reader *r, const struct load_source *src)
{
	struct loader *l = calloc(1, sizeof(*l));
	char pragmas[96];
	int err;

	if (!l)
		return -ENOMEM;
	l->window = src->window;
	l->rows = src->rows;
	(void)snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN",
		       SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	err = db_exec(db, pragmas);
	if (!err)
		err = schema_create(db);
	if (!err)
		err = read_capture(l, db, r, src->size);
	if (!err)
		err = write_rest(l, db, r, src);
	if (!err) {
		log_status("making indexes");
		err = db_exec(db, indexes_sql);
	}
	if (!err && l->rows == CAPTURE_ROWS_ALL)
		err = callsites_fill(db, CALLSITES_MAX);
	if (!err)
		err = db_exec(db, "COMMIT");
	log_status_end();
	loader_release(l);
	free(l);
	return err;
}
