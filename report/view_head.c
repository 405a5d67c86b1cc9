/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_head.c: see view_head.h. The header is the promise that "no signal" never reads as "no problem": its verdict stands in
 * front of every number.
 */
#include "report/view_head.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/sqlrow.h"
#include "report/verdict.h"
#include "report/view_text.h"

void capture_facts_release(struct capture_facts *f)
{
	free(f->uuid);
	free(f->path);
	free(f->host);
	free(f->kernel);
	free(f->verdict);
	free(f->verdict_why);
	free(f->stopped_by);
	free(f->notes);
	*f = (struct capture_facts){0};
}

static int dup_column(sqlite3_stmt *st, int col, char **ret)
{
	const char *s = sql_text(st, col);

	*ret = strdup(s ? s : "");
	return *ret ? 0 : -ENOMEM;
}

static int load_capture_row(sqlite3 *db, struct capture_facts *f)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char **texts[] = {&f->uuid, &f->path, &f->host, &f->kernel, &f->verdict, &f->verdict_why};
	int r;

	r = sql_prepare(
		db, &st,
		"SELECT uuid, path, host, kernel, verdict, verdict_why, ts_start, ts_end, realtime_start, sample_period, "
		"(SELECT value FROM meta WHERE key = 'recording.stopped_by'), (SELECT value FROM meta WHERE key = 'ascope.notes') "
		"FROM capture",
		NULL, 0);
	if (r < 0)
		return r;
	r = db_step(st);
	if (r < 0)
		return r;
	if (!r)
		return -ENODATA;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		r = dup_column(st, (int)i, texts[i]);
		if (r < 0)
			return r;
	}
	r = dup_column(st, 10, &f->stopped_by);
	if (r == 0)
		r = dup_column(st, 11, &f->notes);
	if (r < 0)
		return r;
	f->ts_start = sql_u64(st, 6);
	f->ts_end = max_u64(sql_u64(st, 7), f->ts_start);
	f->realtime_start = sql_u64(st, 8);
	f->sample_period = sql_u64(st, 9);
	return 0;
}

/* Gaps may overlap (one per cause): their union is what was not seen. */
static int load_gaps(sqlite3 *db, struct capture_facts *f)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 done = f->ts_start;
	int r;

	r = sql_prepare(db, &st, "SELECT ts, ts_end FROM gap ORDER BY ts, ts_end", NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		u64 from = max_u64(sql_u64(st, 0), done), to = min_u64(sql_u64(st, 1), f->ts_end);

		if (to <= from)
			continue;
		f->gap_ns += to - from;
		done = to;
	}
	return r;
}

/*
 * Causes of table loss that count something else than events which the kernel side could not deliver: bytes, blocks, rows
 * (load.c).
 */
#define NOT_EVENTS                                                                                                               \
	"('damaged_blocks', 'missing_blocks', 'damaged_bytes', 'not_closed', 'unread', 'order', 'unpaired', 'bad_rows', "        \
	"'unknown_threads')"

static int load_counts(sqlite3 *db, struct capture_facts *f)
{
	const struct {
		u64 *dest;
		const char *sql;
	} counts[] = {
		{&f->lost, "SELECT CAST(total(count) AS INTEGER) FROM loss WHERE cause NOT IN " NOT_EVENTS},
		{&f->processes, "SELECT count(*) FROM process"},
		{&f->threads, "SELECT count(*) FROM thread"},
		{&f->runtimes, "SELECT count(*) FROM runtime"},
		{&f->mt_runtimes, "SELECT count(*) FROM runtime WHERE flavor <> 'current_thread'"},
		{&f->mt_workers, "SELECT CAST(total(workers) AS INTEGER) FROM runtime WHERE flavor <> 'current_thread'"},
		{&f->ct_runtimes, "SELECT count(*) FROM runtime WHERE flavor = 'current_thread'"},
		{&f->tick_unproven, "SELECT count(*) FROM runtime WHERE tick_valid = 0"},
		{&f->stacks_fp, "SELECT CAST(total(events) AS INTEGER) FROM stack_end WHERE status = 'frame_pointers'"},
		{&f->stacks, "SELECT CAST(total(events) AS INTEGER) FROM stack_end WHERE status <> 'frame_pointers'"},
		{&f->stacks_whole, "SELECT CAST(total(events) AS INTEGER) FROM stack_end WHERE status = 'whole'"},
		{&f->stacks_guessed, "SELECT CAST(total(guessed) AS INTEGER) FROM stack_end"},
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		r = sql_one_u64(db, counts[i].sql, NULL, 0, counts[i].dest);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What only a reading of all events tells; tables may have a part of them. */
static int load_extent(sqlite3 *db, struct capture_facts *f)
{
	const struct {
		u64 *dest;
		const char *key;
	} values[] = {
		{&f->events, "ascope.events"}, {&f->switches, "ascope.switches"},   {&f->samples, "ascope.samples"},
		{&f->tasks, "ascope.tasks"},   {&f->read_lo, "ascope.window_from"}, {&f->read_hi, "ascope.window_to"},
	};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r = db_prepare(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?", &st);

	for (size_t i = 0; i < ARRAY_SIZE(values) && r >= 0; i++) {
		r = db_bind(st, (struct db_val[]){db_text(values[i].key)}, 1);
		if (r == 0)
			r = db_step(st);
		if (r > 0)
			*values[i].dest = sql_u64(st, 0);
	}
	return r < 0 ? r : 0;
}

int capture_facts_load(sqlite3 *db, const struct report_opts *o, struct capture_facts *ret)
{
	_cleanup_facts_ struct capture_facts f = {0};
	u64 length;
	int r;

	r = load_capture_row(db, &f);
	if (r < 0)
		return r;
	length = f.ts_end - f.ts_start;
	if (o->from_ns > length || (o->from_ns && o->from_ns == length))
		return -ERANGE;
	f.lo = f.ts_start + o->from_ns;
	f.hi = o->to_ns && o->to_ns < length ? f.ts_start + o->to_ns : f.ts_end;
	if (f.lo > f.hi)
		return -ERANGE;
	f.windowed = f.lo != f.ts_start || f.hi != f.ts_end;
	r = load_gaps(db, &f);
	if (r < 0)
		return r;
	r = load_counts(db, &f);
	if (r == 0)
		r = load_extent(db, &f);
	if (r < 0)
		return r;
	*ret = f;
	f = (struct capture_facts){0};
	return 0;
}

int facts_workers_text(const struct capture_facts *f, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (!f->runtimes)
		buf_puts(&b, "no Tokio runtime");
	if (f->mt_workers)
		buf_printf(&b, "%llu worker%s", (unsigned long long)f->mt_workers, f->mt_workers == 1 ? "" : "s");
	if (f->mt_workers && f->ct_runtimes)
		buf_puts(&b, " + ");
	if (f->ct_runtimes)
		buf_printf(&b, "%llu current_thread runtime%s", (unsigned long long)f->ct_runtimes,
			   f->ct_runtimes == 1 ? "" : "s");
	if (f->runtimes && !f->mt_workers && !f->ct_runtimes)
		buf_puts(&b, "no workers seen");
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

/* "pid 24036 orders", "pids 24036 24101 orders", "6 processes orders migrate" */
static int processes_text(sqlite3 *db, struct buf *b)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 n;
	int r;

	r = sql_one_u64(db, "SELECT count(DISTINCT pid) FROM process", NULL, 0, &n);
	if (r < 0)
		return r;
	if (n > 4)
		buf_printf(b, "%s processes", human_count(n).s);
	else {
		buf_puts(b, n == 1 ? "pid" : n ? "pids" : "no process seen");
		r = sql_prepare(db, &st, "SELECT DISTINCT pid FROM process ORDER BY pid", NULL, 0);
		if (r < 0)
			return r;
		while ((r = db_step(st)) > 0)
			buf_printf(b, " %llu", (unsigned long long)sql_u64(st, 0));
		if (r < 0)
			return r;
		(void)sqlite3_finalize(TAKE_PTR(st));
	}
	r = sql_prepare(db, &st, "SELECT name FROM process GROUP BY name ORDER BY min(id) LIMIT 3", NULL, 0);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		_cleanup_free_ char *name = NULL;

		r = text_clean(sql_text(st, 0), "?", &name);
		if (r < 0)
			return r;
		buf_printf(b, " %s", name);
	}
	return r;
}

/* PARTIAL 97.3 %: the smaller of the time without gaps and the events that arrived; never 100. */
static double partial_percent(const struct capture_facts *f)
{
	u64 length = f->ts_end - f->ts_start, events = f->events;
	double time = length ? 100.0 * (double)(length - min_u64(f->gap_ns, length)) / (double)length : 100.0;
	double arrived = events + f->lost ? 100.0 * (double)events / ((double)events + (double)f->lost) : 100.0;
	double share = time < arrived ? time : arrived;

	return share > 99.9 ? 99.9 : share;
}

struct text_dur facts_whole_text(const struct capture_facts *f)
{
	double percent = f->stacks ? 100.0 * (double)f->stacks_whole / (double)f->stacks : 0;
	struct text_dur d;

	/* "100 %" is a promise: one stack of a million that is not whole must not round to it, nor "0.00 %" hide one that is */
	if (f->stacks_whole == f->stacks || !f->stacks_whole)
		(void)snprintf(d.s, sizeof(d.s), "%.0f %%", percent);
	else
		(void)snprintf(d.s, sizeof(d.s), "%.2f %%", percent > 99.99 ? 99.99 : percent < 0.01 ? 0.01 : percent);
	return d;
}

struct verdict_words {
	char state[32], rest[96];
	enum text_color color;
};

static void verdict_words(const struct capture_facts *f, struct verdict_words *ret)
{
	char stacks[64] = "";

	if (f->stacks)
		(void)snprintf(stacks, sizeof(stacks), ", %s stacks whole", facts_whole_text(f).s);
	else if (f->stacks_fp)
		(void)snprintf(stacks, sizeof(stacks), ", stacks by frame pointers");
	(void)snprintf(ret->rest, sizeof(ret->rest), " (%s lost%s)", human_count(f->lost).s, stacks);
	if (strcmp(f->verdict, "complete") == 0) {
		ret->color = TEXT_GREEN;
		(void)snprintf(ret->state, sizeof(ret->state), "COMPLETE");
	} else if (strcmp(f->verdict, "partial") == 0) {
		ret->color = TEXT_YELLOW;
		/* What a cut-off or damaged file lacks is not known: then there is no number, only the reasons below. */
		if (f->lost || f->gap_ns)
			(void)snprintf(ret->state, sizeof(ret->state), "PARTIAL %.1f %%", partial_percent(f));
		else
			(void)snprintf(ret->state, sizeof(ret->state), "PARTIAL");
	} else {
		ret->color = TEXT_RED;
		(void)snprintf(ret->state, sizeof(ret->state), "UNTRUSTWORTHY");
	}
}

/* The reasons, or notes, each on lines of its own under the verdict. */
static int print_reasons(const struct report_opts *o, const char *text, FILE *out)
{
	_cleanup_free_ char *copy = strdup(text);
	char *rest = copy, *line;

	if (!copy)
		return -ENOMEM;
	while ((line = strsep(&rest, "\n")) != NULL) {
		_cleanup_free_ char *clean = NULL;
		int r;

		if (!*line)
			continue;
		r = text_clean(line, "", &clean);
		if (r < 0)
			return r;
		(void)fputs("  - ", out);
		text_paragraph(out, o->width, 4, 4, clean);
	}
	return 0;
}

int view_head(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out)
{
	_cleanup_free_ char *file = NULL, *host = NULL, *workers = NULL, *processes = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	char words[3][64], window[80] = "";
	struct verdict_words verdict;
	struct text_wrap w;
	int r;

	r = text_clean(text_basename(o->file ? o->file : f->path), "?", &file);
	if (r == 0)
		r = text_clean(f->host, "", &host);
	if (r == 0)
		r = facts_workers_text(f, &workers);
	if (r == 0)
		r = processes_text(db, &b);
	if (r < 0)
		return r;
	processes = buf_take_str(&b);
	if (!processes)
		return -ENOMEM;
	(void)snprintf(words[0], sizeof(words[0]), "%s", human_ns(f->ts_end - f->ts_start).s);
	(void)snprintf(words[1], sizeof(words[1]), "%s switch%s", human_count(f->switches).s, f->switches == 1 ? "" : "es");
	(void)snprintf(words[2], sizeof(words[2]), "%s task%s in polls", human_count(f->tasks).s, f->tasks == 1 ? "" : "s");
	text_wrap_begin(&w, out, o->width, 2, 0, "  ");
	text_wrap_word(&w, file);
	if (*host)
		text_wrap_word(&w, host);
	text_wrap_word(&w, processes);
	text_wrap_word(&w, words[0]);
	text_wrap_word(&w, workers);
	text_wrap_word(&w, words[1]);
	text_wrap_word(&w, words[2]);
	verdict_words(f, &verdict);
	/* Where it does not fit it gets a line. */
	(void)fputs(w.col + 5 + strlen(verdict.state) + strlen(verdict.rest) <= o->width ? "     " : "\n  ", out);
	text_color(out, o->color, verdict.color, verdict.state);
	(void)fprintf(out, "%s\n", verdict.rest);
	r = print_reasons(o, f->verdict_why, out);
	if (r == 0)
		r = print_reasons(o, f->notes, out);
	if (r < 0)
		return r;
	if (verdict_end_of(f->stopped_by) == VERDICT_END_MAX_SIZE)
		(void)fprintf(out, "  it ended at --max-size after %s\n", human_ns(f->ts_end - f->ts_start).s);
	if (f->windowed) {
		(void)snprintf(window, sizeof(window), "window +%s to +%s", text_offset(f->lo - f->ts_start).s,
			       text_offset(f->hi - f->ts_start).s);
		(void)fprintf(out, "  only %s (--from, --to): polls that overlap it\n", window);
	}
	if (f->read_hi) {
		(void)snprintf(window, sizeof(window), "+%s to +%s", text_offset(f->read_lo - f->ts_start).s,
			       text_offset(f->read_hi - f->ts_start).s);
		(void)fprintf(out, "  read only from %s: what began before is not seen; --db FILE reads all\n", window);
	}
	return 0;
}
