/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chrome_tracks.c: names and order of tracks: a process for each target, in it the workers by number, then the threads of runtimes that are one thread, the
 * threads of the blocking pool, and all others.
 */
#include <errno.h>
#include <string.h>

#include "report/chrome.h"
#include "report/sqlrow.h"

enum group { GROUP_WORKER, GROUP_RUNTIME, GROUP_POOL, GROUP_OTHER, GROUPS };

/* A thread of the pool waits for jobs there: its first waits tell, without reading all of them. */
#define POOL_SQL                                                                                                                 \
	"SELECT EXISTS (SELECT 1 FROM (SELECT wait_id FROM _offcpu WHERE thread_id = ?1 ORDER BY ts LIMIT 1000) "                \
	"WHERE wait_id IN (SELECT id FROM _wait WHERE role = 'blocking_pool'))"

static int group_of(sqlite3_stmt *pool, const struct tl_thread *t, enum group *ret)
{
	int r;

	*ret = t->has_worker ? GROUP_WORKER : t->has_runtime ? GROUP_RUNTIME : GROUP_OTHER;
	if (*ret != GROUP_OTHER)
		return 0;
	r = sql_rebind(pool, t->id);
	if (r == 0)
		r = db_step(pool);
	if (r > 0 && sql_u64(pool, 0))
		*ret = GROUP_POOL;
	(void)sqlite3_reset(pool);
	return r < 0 ? r : 0;
}

static void label(const struct chrome *c, const struct tl_thread *t, enum group g, char *buf, size_t n)
{
	unsigned long long tid = t->tid, runtime = t->runtime_id, worker = t->worker;

	if (g == GROUP_WORKER && c->f->mt_runtimes > 1)
		(void)snprintf(buf, n, "runtime %llu worker %llu (tid %llu)", runtime, worker, tid);
	else if (g == GROUP_WORKER)
		(void)snprintf(buf, n, "worker %llu (tid %llu)", worker, tid);
	else if (g == GROUP_RUNTIME)
		(void)snprintf(buf, n, "runtime %llu: %.64s (tid %llu)", runtime, t->name, tid);
	else if (g == GROUP_POOL)
		(void)snprintf(buf, n, "blocking pool: %.64s (tid %llu)", t->name, tid);
	else
		(void)snprintf(buf, n, "%.64s (tid %llu)", t->name, tid);
}

/* A tid that served two program images of one process names two threads: the later one gets a track that no thread has. */
static int assign(struct chrome *c, u64 *tids)
{
	_cleanup_(u64map_release) struct u64map seen = U64MAP_INIT;
	int r = 0;

	for (size_t i = 0; i < c->threads.n && r == 0; i++) {
		const struct tl_thread *t = &c->threads.rows[i];
		u64 key = t->pid << 32 | (t->tid & UINT32_MAX), at;

		tids[i] = u64map_get(&seen, key, &at) ? TRACK_TWIN + i : t->tid;
		c->tracks[i] = chrome_track_of(t->pid, tids[i]);
		r = u64map_put(&seen, key, i);
	}
	return r;
}

int chrome_tracks_put(struct chrome *c)
{
	_cleanup_free_ u64 *tids = calloc(c->threads.n + 1, sizeof(*tids));
	_cleanup_stmt_ sqlite3_stmt *pool = NULL;
	u64 process = 0;
	char text[192];
	int r;

	c->tracks = calloc(c->threads.n + 1, sizeof(*c->tracks));
	if (!c->tracks || !tids)
		return -ENOMEM;
	r = assign(c, tids);
	if (r == 0)
		r = sql_prepare(c->db, &pool, POOL_SQL, NULL, 0);
	for (size_t i = 0; i < c->threads.n && r == 0; i++) {
		const struct tl_thread *t = &c->threads.rows[i];
		enum group g;

		r = group_of(pool, t, &g);
		if (r < 0)
			break;
		/* Of two program images the later one names the process, as ps(1) would. */
		if (i + 1 == c->threads.n || t[1].pid != t->pid) {
			chrome_put_meta(&c->w, "process_name", t->pid, t->pid, t->process, 0);
			chrome_put_meta(&c->w, "process_sort_index", t->pid, t->pid, NULL, 2 * process++);
		}
		label(c, t, g, text, sizeof(text));
		chrome_put_meta(&c->w, "thread_name", t->pid, tids[i], text, 0);
		/* Rows are in the order of workers; 16 places before them are for losses. */
		chrome_put_meta(&c->w, "thread_sort_index", t->pid, tids[i], NULL, 16 + g * c->threads.n + i);
	}
	return r;
}
