/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_write.c: see load_write.h. Numbers of an untrusted file are stored as they are; ids that lead nowhere were left out
 * before.
 */
#include "report/load_write.h"

#include <string.h>

static const char *text_or(const struct load_dict *d, u64 idx, const char *other)
{
	const char *s = load_dict_str(d, idx);

	return s ? s : other;
}

/* The smallest id that no row of the table has; the tables are keyed by the capture's indices. */
static u64 id_behind(const struct dict_table *t)
{
	u64 max = 0;

	for (u32 slot = 0; slot < t->n; slot++)
		max = max_u64(max, *(u64 *)dict_table_at(t, slot)); /* idx is the first member of every row */
	return max + 1;
}

u64 load_kernel_module_id(const struct load_dict *d)
{
	return id_behind(&d->modules);
}

static int write_mappings(const struct load_dict *d, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT INTO mapping VALUES (?, ?, ?, ?, ?, ?)", &ins);

	for (size_t i = 0; i < d->n_mappings && !err; i++) {
		const struct fmt_mapping *m = &d->mappings[i];

		if (!dict_table_find(&d->processes, m->process, NULL) || !dict_table_find(&d->modules, m->module, NULL))
			continue;
		err = db_run(ins,
			     (struct db_val[]){DB_INT(m->process), DB_INT(m->module), DB_INT(m->start), DB_INT(m->end),
					       DB_INT(m->file_off), DB_INT(m->ts <= LOAD_TS_MAX ? m->ts : 0)},
			     6);
	}
	return err;
}

int load_write_modules(const struct load_dict *d, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT INTO module VALUES (?, ?, ?, ?, NULL, NULL, NULL)", &ins);

	for (u32 slot = 0; slot < d->modules.n && !err; slot++) {
		const struct fmt_module *m = dict_table_at(&d->modules, slot);
		struct db_val v[] = {DB_INT(m->idx), db_text(text_or(d, m->path, "?")), db_text(load_dict_str(d, m->build_id)),
				     db_text(load_dict_str(d, m->file_id))};

		err = db_run(ins, v, 4);
	}
	if (!err)
		err = db_run(ins, (struct db_val[]){DB_INT(load_kernel_module_id(d)), db_text("[kernel]"), DB_NULL, DB_NULL}, 4);
	return err ? err : write_mappings(d, db);
}

/* Facts of the loader: a capture that has such is not heard, or it could say what was loaded, or that a reader failed. */
static bool is_loaders_fact(const char *key)
{
	return strncmp(key, "ascope.", 7) == 0 && strcmp(key, "ascope.version") != 0;
}

int load_write_facts(const struct load_dict *d, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *meta = NULL, *total = NULL, *gap = NULL;
	int err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", &meta);

	if (!err)
		err = db_prepare(db, "INSERT OR REPLACE INTO total VALUES (?, ?)", &total);
	if (!err)
		err = db_prepare(db, "INSERT INTO gap VALUES (?, ?, ?, ?)", &gap);
	for (size_t i = 0; i < d->meta.cap && !err; i++) {
		const char *key = d->meta.used[i] ? load_dict_str(d, d->meta.keys[i]) : NULL;

		if (key && !is_loaders_fact(key))
			err = db_run(meta, (struct db_val[]){db_text(key), db_text(text_or(d, d->meta.values[i], ""))}, 2);
	}
	for (size_t i = 0; i < d->totals.cap && !err; i++)
		if (d->totals.used[i] && load_dict_str(d, d->totals.keys[i]))
			err = db_run(total,
				     (struct db_val[]){db_text(load_dict_str(d, d->totals.keys[i])), DB_INT(d->totals.values[i])},
				     2);
	for (size_t i = 0; i < d->n_gaps && !err; i++) {
		const struct dict_gap *g = &d->gaps[i];
		const char *cause = g->cause ? text_or(d, g->cause, "unknown") : "damaged_blocks";

		err = db_run(gap, (struct db_val[]){DB_INT(g->ts), DB_INT(g->ts_end), db_text(cause), DB_INT(g->count)}, 4);
	}
	return err;
}

static int write_threads(const struct load_dict *d, sqlite3 *db, u64 unknown_process, bool *ret_orphans)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(
		db,
		"INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end, ts_last_in, ts_last_out, last_cpu, is_main_thread) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&ins);

	for (u32 slot = 0; slot < d->threads.n && !err; slot++) {
		const struct dict_thread *t = dict_table_at(&d->threads, slot);
		const struct dict_process *p = dict_table_find(&d->processes, t->f.process, NULL);
		bool is_orphan = !p;

		*ret_orphans |= is_orphan;
		err = db_run(ins,
			     (struct db_val[]){DB_INT(t->f.idx), DB_INT(is_orphan ? unknown_process : t->f.process),
					       DB_INT(t->f.tid), db_opt(t->f.ns_tid), db_text(text_or(d, t->name, "?")),
					       db_opt(t->ts_start), db_opt(t->ts_end), db_opt(t->ts_last_in),
					       t->ts_last_in ? DB_INT(t->ts_last_out) : DB_NULL,
					       t->ts_last_in && t->last_cpu ? DB_INT(t->last_cpu - 1) : DB_NULL,
					       p ? DB_INT(t->f.tid == p->f.pid) : DB_NULL},
			     11);
	}
	return err;
}

int load_write_tasks(const struct load_dict *d, sqlite3 *db, u64 ts_start)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	u64 unknown_process = id_behind(&d->processes);
	bool orphans = false;
	int err = db_prepare(db, "INSERT INTO process VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", &ins);

	if (!err)
		err = write_threads(d, db, unknown_process, &orphans);
	for (u32 slot = 0; slot < d->processes.n && !err; slot++) {
		const struct dict_process *p = dict_table_at(&d->processes, slot);
		u64 start = p->f.start <= LOAD_TS_MAX ? p->f.start : ts_start;

		err = db_run(ins,
			     (struct db_val[]){DB_INT(p->f.idx), DB_INT(p->f.pid), db_opt(p->f.ns_pid), db_opt(p->f.ppid),
					       db_text(text_or(d, p->f.comm, "?")), db_text(load_dict_str(d, p->f.exe)),
					       DB_INT(start), db_opt(p->ts_end), db_text(load_dict_str(d, p->f.cgroup))},
			     9);
	}
	if (!err && orphans) /* its entry was lost with a damaged block */
		err = db_run(ins,
			     (struct db_val[]){DB_INT(unknown_process), DB_INT(0), DB_NULL, DB_NULL, db_text("?"), DB_NULL,
					       DB_INT(ts_start), DB_NULL, DB_NULL},
			     9);
	return err;
}

int load_write_throttles(const struct load_dict *d, sqlite3 *db)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err = db_prepare(db, "INSERT INTO throttle VALUES (?, ?, ?, ?, ?)", &ins);

	for (size_t i = 0; i < d->n_throttles && !err; i++) {
		const struct fmt_throttle *t = &d->throttles[i];

		err = db_run(ins,
			     (struct db_val[]){DB_INT(t->ts), DB_INT(t->ts_end), db_text(text_or(d, t->cgroup, "?")),
					       DB_INT(t->periods), DB_INT(t->throttled)},
			     5);
	}
	return err;
}

int load_write_loss(sqlite3 *db, const char *cause, u64 count)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err;

	if (!count)
		return 0;
	err = db_prepare(db,
			 "INSERT INTO loss VALUES (?1, ?2) ON CONFLICT (cause) DO UPDATE SET count = max(count, excluded.count)",
			 &ins);
	return err ? err : db_run(ins, (struct db_val[]){db_text(cause), DB_INT(min_u64(count, INT64_MAX))}, 2);
}

int load_write_perfmaps(sqlite3 *db, const struct perfmap_set *maps)
{
	_cleanup_stmt_ sqlite3_stmt *ins = NULL;
	int err;

	if (!maps->n)
		return 0;
	err = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES (?, CAST(? AS TEXT))", &ins);
	if (!err)
		err = db_run(ins, (struct db_val[]){db_text("ascope.perfmap.names"), DB_INT(maps->names)}, 2);
	if (!err)
		err = db_run(ins, (struct db_val[]){db_text("ascope.perfmap.malformed"), DB_INT(maps->malformed)}, 2);
	return err;
}

static int write_lost_totals(const struct load_dict *d, sqlite3 *db)
{
	int err = 0;

	for (size_t i = 0; i < d->totals.cap && !err; i++) {
		const char *key = d->totals.used[i] ? load_dict_str(d, d->totals.keys[i]) : NULL;

		if (key && strncmp(key, "lost.", 5) == 0)
			err = load_write_loss(db, key + 5, d->totals.values[i]);
	}
	return err;
}

int load_write_lost_events(const struct load_dict *d, sqlite3 *db, u64 *ret_lost)
{
	_cleanup_stmt_ sqlite3_stmt *by_cause = NULL;
	s64 lost = 0;
	int err = write_lost_totals(d, db);

	/*
	 * Gaps are read back from their table, where strangers' counts were clamped to what a row can hold. A total may be split
	 * finer than its gaps (lost.ring_full.sample, gap ring_full): only what the totals do not say is added.
	 */
	if (!err)
		err = db_prepare(
			db,
			"SELECT cause, CAST(max(0, min(n - said, 4e18)) AS INTEGER) FROM (SELECT cause, total(max(count, 0)) AS n, "
			"(SELECT total(l.count) FROM loss AS l WHERE l.cause LIKE gap.cause || '.%') AS said "
			"FROM gap WHERE cause <> 'damaged_blocks' GROUP BY cause)",
			&by_cause);
	while (!err) {
		int n = db_step(by_cause);

		if (n <= 0) {
			err = n;
			break;
		}
		err = load_write_loss(db, (const char *)sqlite3_column_text(by_cause, 0), (u64)sqlite3_column_int64(by_cause, 1));
	}
	if (!err)
		err = db_get_s64(db, "SELECT CAST(min(total(count), 4e18) AS INTEGER) FROM loss", &lost);
	*ret_lost = (u64)lost;
	return err;
}
