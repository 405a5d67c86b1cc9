/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_folded.c: collapsed stacks, "process;thread;root;..;leaf COUNT", for flamegraph.pl, inferno, speedscope and every tool
 * since. One line per distinct text, sorted by its bytes, so that the same capture gives the same file.
 */
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/strtab.h"
#include "report/export.h"
#include "report/export_stacks.h"
#include "report/sqlrow.h"
#include "report/view_head.h"
#include "report/view_timeline.h"

struct folded {
	const struct export_opts *o;
	struct stack_texts stacks;
	struct tl_idle idle;
	struct strtab *lines; /* distinct texts */
	u64 *weights;	      /* by index in lines: samples, or ns */
	size_t cap;
	struct strtab *keys; /* what a line is made of, so that its text is made once */
	u32 *key_line;	     /* by index in keys: its line */
	size_t key_cap;
};

/* What a line depends on. Without padding: its bytes are a key. */
struct fold_key {
	u64 thread_id, stack_id, kstack_id, leaf;
};

enum fold_leaf { LEAF_NONE, LEAF_RUNNABLE, LEAF_IDLE, LEAF_UNSEEN };

static const char *const leaf_names[] = {
	[LEAF_NONE] = "", [LEAF_RUNNABLE] = ";[runnable]", [LEAF_IDLE] = ";[idle]", [LEAF_UNSEEN] = ";[no events]"};

static void folded_release(struct folded *f)
{
	stack_texts_release(&f->stacks);
	tl_idle_release(&f->idle);
	f->lines = strtab_free(f->lines);
	f->keys = strtab_free(f->keys);
	free(f->weights);
	free(f->key_line);
}

static int make_line(struct folded *f, const struct fold_key *k, const char *process, const char *thread, char **ret)
{
	_cleanup_free_ char *process_frame = NULL, *thread_frame = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct stack_text user, kernel;
	int r;

	r = folded_name(process, "", &process_frame);
	if (r == 0)
		r = folded_name(thread, "", &thread_frame);
	if (r == 0)
		r = stack_texts_get(&f->stacks, k->stack_id, false, &user);
	if (r == 0)
		r = stack_texts_get(&f->stacks, k->kstack_id, true, &kernel);
	if (r < 0)
		return r;
	buf_printf(&b, "%s;%s", process_frame, thread_frame);
	if (has_text(&user))
		buf_printf(&b, ";%s", user.text);
	if (has_text(&kernel))
		buf_printf(&b, ";%s", kernel.text);
	if (!has_text(&user) && !has_text(&kernel) && k->leaf == LEAF_NONE)
		buf_puts(&b, ";[no stack]");
	buf_puts(&b, leaf_names[k->leaf]);
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

static int grow_to(void *slot, size_t *cap, size_t size, u32 idx)
{
	void **rows = slot;
	size_t want = *cap ? *cap : 256;
	void *p;

	if (idx < *cap)
		return 0;
	while (want <= idx)
		want *= 2;
	p = reallocarray(*rows, want, size);
	if (!p)
		return -ENOMEM;
	memset((u8 *)p + *cap * size, 0, (want - *cap) * size);
	*rows = p;
	*cap = want;
	return 0;
}

static int add(struct folded *f, const struct fold_key *k, const char *process, const char *thread, u64 weight)
{
	_cleanup_free_ char *line = NULL;
	bool is_new;
	u32 key, idx;
	int r;

	r = strtab_intern(f->keys, (const char *)k, sizeof(*k), &key, &is_new);
	if (r == 0)
		r = grow_to(&f->key_line, &f->key_cap, sizeof(*f->key_line), key);
	if (r < 0)
		return r;
	if (is_new) {
		r = make_line(f, k, process, thread, &line);
		if (r == 0)
			r = strtab_intern(f->lines, line, strlen(line), &idx, NULL);
		if (r == 0)
			r = grow_to(&f->weights, &f->cap, sizeof(*f->weights), idx);
		if (r < 0)
			return r;
		f->key_line[key] = idx;
	}
	f->weights[f->key_line[key]] += weight;
	return 0;
}

static int add_segment(void *ctx, const struct tl_thread *t, const struct tl_segment *s)
{
	struct folded *f = ctx;
	struct fold_key k = {.thread_id = t->id, .stack_id = s->stack_id, .kstack_id = s->kstack_id};
	int idle;

	if (s->kind == TL_ONCPU)
		return 0;
	idle = tl_is_idle(&f->idle, s);
	if (idle < 0)
		return idle;
	if (s->kind == TL_UNSEEN)
		k.leaf = LEAF_UNSEEN;
	else if (s->kind == TL_RUNNABLE)
		k.leaf = LEAF_RUNNABLE;
	else if (idle)
		k.leaf = LEAF_IDLE;
	/* Dead threads wait for nothing. */
	if (k.leaf != LEAF_NONE && !f->o->all)
		return 0;
	if (s->kind == TL_WAIT && (s->state == 'X' || s->state == 'Z'))
		return 0;
	return add(f, &k, t->process, t->name, s->end - s->ts);
}

#define SAMPLES_SQL                                                                                                              \
	"SELECT s.thread_id, s.stack_id, s.kstack_id, p.name, t.name, count(*) FROM sample AS s "                                \
	"JOIN thread AS t ON t.id = s.thread_id JOIN process AS p ON p.id = t.process_id "                                       \
	"WHERE s.ts >= ?1 AND s.ts <= ?2 GROUP BY s.thread_id, s.stack_id, s.kstack_id ORDER BY 1, 2, 3"

static int add_samples(sqlite3 *db, const struct capture_facts *facts, struct folded *f)
{
	/* Samples at the very edge (the clock fired while the recording was ending) count when all of it is asked for. */
	u64 window[2] = {facts->windowed ? facts->lo : 0, facts->windowed ? facts->hi : INT64_MAX};
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int r;

	r = sql_prepare(db, &st, SAMPLES_SQL, window, 2);
	if (r < 0)
		return r;
	while ((r = db_step(st)) > 0) {
		struct fold_key k = {.thread_id = sql_u64(st, 0), .stack_id = sql_u64(st, 1), .kstack_id = sql_u64(st, 2)};
		const char *process = sql_text(st, 3), *thread = sql_text(st, 4);

		r = add(f, &k, process ? process : "", thread ? thread : "", sql_u64(st, 5));
		if (r < 0)
			return r;
	}
	return r;
}

static int add_waits(sqlite3 *db, const struct capture_facts *facts, struct folded *f)
{
	_cleanup_tl_threads_ struct tl_threads threads = {0};
	int r;

	r = tl_threads_load(db, facts->lo, facts->hi, &threads);
	return r < 0 ? r : timeline_walk(db, &threads, add_segment, f);
}

struct folded_line {
	const char *text;
	u64 count;
};

static int line_compare(const void *a, const void *b)
{
	const struct folded_line *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static int put_lines(const struct folded *f, FILE *out, u64 *ret_lines)
{
	u32 n = strtab_count(f->lines);
	_cleanup_free_ struct folded_line *lines = calloc(n + 1, sizeof(*lines));
	u64 written = 0;

	if (!lines)
		return -ENOMEM;
	/* Index 0 is the empty text, which is no line. */
	for (u32 i = 0; i < n; i++) {
		lines[i].text = strtab_get(f->lines, i + 1, NULL);
		lines[i].count = f->o->offcpu ? f->weights[i + 1] / NSEC_PER_USEC : f->weights[i + 1];
	}
	qsort(lines, n, sizeof(*lines), line_compare);
	for (u32 i = 0; i < n; i++) {
		if (!lines[i].count)
			continue;
		(void)fprintf(out, "%s %llu\n", lines[i].text, (unsigned long long)lines[i].count);
		written++;
	}
	*ret_lines = written;
	return 0;
}

int export_folded(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	struct report_opts window = {.file = o->file, .from_ns = o->from_ns, .to_ns = o->to_ns};
	_cleanup_facts_ struct capture_facts facts = {0};
	_cleanup_(folded_release) struct folded f = {.o = o};
	u64 lines = 0;
	int r;

	r = capture_facts_load(db, &window, &facts);
	if (r == 0)
		r = stack_texts_init(&f.stacks, db, STACK_FORM_FOLDED);
	if (r == 0)
		r = tl_idle_init(&f.idle, db);
	if (r < 0)
		return r;
	f.lines = strtab_new();
	f.keys = strtab_new();
	if (!f.lines || !f.keys)
		return -ENOMEM;
	r = o->offcpu ? add_waits(db, &facts, &f) : add_samples(db, &facts, &f);
	if (r == 0)
		r = put_lines(&f, out, &lines);
	if (r == 0)
		*ret = (struct export_result){.events = lines};
	return r;
}
