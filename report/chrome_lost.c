/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_lost.c: what is missing: a track for each cause with the spans in which events may be missing, an instant where each begins, one for each loss without
 * a known time, and a counter of events lost so far.
 */
#include <string.h>

#include "report/chrome.h"
#include "report/sqlrow.h"

#define LOST_MAX_CAUSES 15 /* tracks; what is beyond shares the last */

static u64 first_pid(const struct chrome *c)
{
	return c->threads.n ? c->threads.rows[0].pid : 1;
}

int chrome_lost_names(struct chrome *c)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 pid = first_pid(c), n = 0;
	char text[96];
	int r = sql_prepare(c->db, &st, "SELECT DISTINCT cause FROM gap ORDER BY cause", NULL, 0);

	while (r >= 0 && n < LOST_MAX_CAUSES && (r = db_step(st)) > 0) {
		n++;
		(void)snprintf(text, sizeof(text), "events lost: %.64s", sql_text(st, 0));
		chrome_put_meta(&c->w, "thread_name", pid, TRACK_GAPS + n, text, 0);
		chrome_put_meta(&c->w, "thread_sort_index", pid, TRACK_GAPS + n, NULL, n);
	}
	return r < 0 ? r : 0;
}

/* Gaps of one cause that overlap become one slice. */
static int put_gaps(struct chrome *c)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 pid = first_pid(c), n = 0, done = 0;
	struct chrome_track track = chrome_track_of(pid, TRACK_GAPS);
	char last[65] = "";
	int r;

	r = sql_prepare(c->db, &st, "SELECT cause, ts, ts_end, count FROM gap ORDER BY cause, ts, ts_end", NULL, 0);
	while (r >= 0 && (r = db_step(st)) > 0) {
		const char *cause = sql_text(st, 0);
		u64 ts, end = min_u64(sql_u64(st, 2), c->hi);

		if ((!n || strncmp(cause, last, sizeof(last) - 1) != 0) && n < LOST_MAX_CAUSES) {
			(void)snprintf(last, sizeof(last), "%s", cause);
			track = chrome_track_of(pid, TRACK_GAPS + ++n);
			done = c->f->lo;
		}
		ts = max_u64(sql_u64(st, 1), done);
		if (end <= ts)
			continue;
		done = end;
		chrome_slice_begin(&c->w, &track, "lost", NULL, ts, end, 0);
		chrome_puts(&c->w, "lost: ");
		chrome_puts_raw(&c->w, cause);
		chrome_args_begin(&c->w);
		chrome_arg_u64(&c->w, "count", sql_u64(st, 3));
		chrome_event_end(&c->w);
		chrome_instant_begin(&c->w, "lost", &track, ts);
		chrome_puts(&c->w, "gap: ");
		chrome_puts_raw(&c->w, cause);
		chrome_args_begin(&c->w);
		chrome_arg_u64(&c->w, "count", sql_u64(st, 3));
		chrome_event_end(&c->w);
		c->lost.gaps++;
	}
	return r < 0 ? r : 0;
}

/* Losses that no gap tells: at the end, for it is not known when they were. */
static int put_losses(struct chrome *c)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 pid = first_pid(c);
	const struct chrome_track track = chrome_track_of(pid, pid);
	int r = sql_prepare(c->db, &st, "SELECT cause, count FROM loss WHERE cause NOT IN (SELECT cause FROM gap) ORDER BY cause",
			    NULL, 0);

	while (r >= 0 && (r = db_step(st)) > 0) {
		chrome_instant_begin(&c->w, "lost", &track, c->hi);
		chrome_puts(&c->w, "lost, not known when: ");
		chrome_puts_raw(&c->w, sql_text(st, 0));
		chrome_args_begin(&c->w);
		chrome_arg_u64(&c->w, "count", sql_u64(st, 1));
		chrome_event_end(&c->w);
		c->lost.causes++;
	}
	return r < 0 ? r : 0;
}

/* Of causes that count events, not blocks or bytes of the file. A value for each millisecond in which it changed. */
#define COUNT_SQL                                                                                                                   \
	"SELECT min(max(ts_end, ?1), ?2), count FROM gap WHERE cause NOT IN ('damaged_blocks', 'missing_blocks', 'damaged_bytes') " \
	"AND ts_end >= ?1 AND ts < ?2 ORDER BY 1"

static int put_counter(struct chrome *c)
{
	const u64 window[2] = {c->f->lo, c->hi};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	u64 pid = first_pid(c), at = c->f->lo, written = UINT64_MAX;
	int r = sql_prepare(c->db, &st, COUNT_SQL, window, 2);

	while (r >= 0 && (r = db_step(st)) > 0) {
		u64 ts = sql_u64(st, 0), next = ts - (ts - c->f->lo) % NSEC_PER_MSEC;

		if (next != at && c->lost.events != written) {
			written = c->lost.events;
			chrome_put_counter(&c->w, "events lost", "events", pid, at, written);
		}
		at = next;
		c->lost.events += sql_u64(st, 1);
	}
	if (r >= 0 && c->lost.events != written)
		chrome_put_counter(&c->w, "events lost", "events", pid, at, c->lost.events);
	return r < 0 ? r : 0;
}

int chrome_lost_put(struct chrome *c)
{
	int r = put_gaps(c);

	if (r == 0)
		r = put_losses(c);
	return r < 0 ? r : put_counter(c);
}
