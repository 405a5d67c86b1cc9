/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* oncpu_stats.c: see oncpu_stats.h. */
#include "report/oncpu_stats.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/strtab.h"
#include "report/library_table.h"
#include "report/sqlrow.h"
#include "report/view_stack.h"
#include "report/view_text.h"

/* A distinct pair of user and kernel stack. */
struct stack_key {
	u64 stack_id, kstack_id;
};

struct load {
	sqlite3 *db;
	const struct report_opts *o;
	const struct capture_facts *f;
	struct oncpu_stats *s;
	const struct library_table *libraries;
	struct thread_spans spans;
	struct u64map polls;				/* of o->task */
	struct strtab *stacks, *functions, *categories; /* index - 1 is the position */
	u64 *counts;					/* samples of each distinct stack */
	size_t cap_counts, cap_functions, cap_categories;
	struct vstack_loader loader;
	sqlite3_stmt *samples;
};

static void load_release(struct load *l)
{
	thread_spans_release(&l->spans);
	u64map_release(&l->polls);
	l->stacks = strtab_free(l->stacks);
	l->functions = strtab_free(l->functions);
	l->categories = strtab_free(l->categories);
	free(l->counts);
	vstack_loader_release(&l->loader);
	(void)sqlite3_finalize(l->samples);
}

/* ---- samples ---- */

static int add_on_cpu(void *ctx, const struct tl_thread *t, const struct span *sp)
{
	struct on_thread *x = ctx;

	(void)t;
	x->wall += sp->end - sp->ts;
	x->on_cpu += sp->kind == SPAN_ONCPU ? sp->end - sp->ts : 0;
	return 0;
}

static int count_stack(struct load *l, const struct stack_key *key)
{
	bool is_new;
	u32 idx;
	int r = strtab_intern(l->stacks, (const char *)key, sizeof(*key), &idx, &is_new);

	if (r == 0 && is_new)
		r = ARRAY_ROOM(l->counts, idx - 1, &l->cap_counts);
	if (r < 0)
		return r;
	if (is_new)
		l->counts[idx - 1] = 0;
	l->counts[idx - 1]++;
	return 0;
}

/* By their key. The task is of the poll's row, or, of a poll without one, the sample's own. */
#define SAMPLES_SQL                                                                                                              \
	"SELECT s.stack_id, s.kstack_id, s.poll_id, s.task_id, k.mode = 'kernel', k.role = 'in_poll' FROM _sample AS s "         \
	"LEFT JOIN _sample_kind AS k ON k.id = s.kind_id WHERE s.thread_id = ?1 AND s.ts BETWEEN ?2 AND ?3"

static int add_samples(struct load *l, struct on_thread *x)
{
	int r = sql_rebind(l->samples, x->t->id);
	u64 one;

	if (r < 0)
		return r;
	while ((r = db_step(l->samples)) > 0) {
		struct stack_key key = {sql_u64(l->samples, 0), sql_u64(l->samples, 1)};
		u64 poll = sql_u64(l->samples, 2);

		if (l->o->task && sql_u64(l->samples, 3) != l->o->task && !(poll && u64map_get(&l->polls, poll, &one)))
			continue;
		x->samples++;
		x->in_kernel += sql_u64(l->samples, 4);
		x->in_poll += sql_u64(l->samples, 5);
		r = count_stack(l, &key);
		if (r < 0)
			return r;
	}
	return r;
}

/* A sample that the clock took while the recording was ending counts when all of it is asked for, as in profiles. */
static int prepare_samples(struct load *l)
{
	u64 binds[3] = {0, l->f->windowed ? l->f->lo : 0, l->f->windowed ? l->f->hi : INT64_MAX};

	return sql_prepare(l->db, &l->samples, SAMPLES_SQL, binds, 3);
}

static int walk_threads(struct load *l)
{
	struct oncpu_stats *s = l->s;
	int r = prepare_samples(l);

	for (size_t i = 0; i < s->threads.n && r == 0; i++) {
		struct on_thread *x = &s->rows[i];

		x->t = &s->threads.rows[i];
		r = thread_spans_walk(&l->spans, x->t, add_on_cpu, x);
		if (r == 0)
			r = add_samples(l, x);
		s->all.wall += x->wall;
		s->all.on_cpu += x->on_cpu;
		s->all.samples += x->samples;
		s->all.in_kernel += x->in_kernel;
		s->all.in_poll += x->in_poll;
	}
	return r;
}

/* ---- functions ---- */

static int add_category(struct load *l, const char *name, struct on_category **ret)
{
	struct oncpu_stats *s = l->s;
	bool is_new;
	u32 idx;
	int r = strtab_intern(l->categories, name, strlen(name), &idx, &is_new);

	if (r == 0 && is_new)
		r = ARRAY_ROOM(s->categories, s->n_categories, &l->cap_categories);
	if (r < 0)
		return r;
	if (is_new)
		s->categories[s->n_categories++] = (struct on_category){.name = name};
	*ret = &s->categories[idx - 1];
	return 0;
}

/* Static, or the table's. */
static const char *category_of(const struct load *l, const struct vframe *f)
{
	char buf[LIBRARY_MAX_PREFIX + 1];
	const char *name, *category;

	if (!f->has_kind || !f->function)
		return f->has_kind && f->kind == FRAME_KERNEL ? "kernel" : "unknown";
	name = library_table_name(l->libraries, f->function, f->file, f->kind, buf, sizeof(buf));
	category = name ? library_table_category(l->libraries, name) : "";
	return *category ? category : frame_kind_name(f->kind);
}

/* Whose doing a frame is not: what runs for its caller. */
static bool runs_for_caller(const struct vframe *f)
{
	return !f->has_kind || f->kind == FRAME_KERNEL || f->kind == FRAME_NATIVE || f->kind == FRAME_STD;
}

static int name_function(struct load *l, const struct vframe *f, const char *name, struct on_function *x)
{
	int r;

	*x = (struct on_function){.has_kind = f->has_kind, .kind = f->kind, .category = category_of(l, f)};
	x->name = strdup(name);
	r = x->name ? text_place(f->file, f->line, l->o->full, &x->place) : -ENOMEM;
	if (r < 0)
		return r;
	return f->function ? vframe_label(f, l->o->full, &x->label) : text_clean(name, "?", &x->label);
}

static int find_function(struct load *l, const struct vframe *f, struct on_function **ret)
{
	char path[FRAME_NAME_LEN], key[FRAME_NAME_LEN + 8];
	struct oncpu_stats *s = l->s;
	bool is_new;
	u32 idx;
	int r, n;

	if (f->function)
		(void)frame_function_path(f->function, path, sizeof(path));
	else
		(void)snprintf(path, sizeof(path), "%.480s (no name)", f->module ? text_basename(f->module) : "code of no file");
	/* A function of the kernel's is not one of the program's of the same name. */
	n = snprintf(key, sizeof(key), "%d %s", f->has_kind ? (int)f->kind : -1, path);
	r = strtab_intern(l->functions, key, min_u64((u64)n, sizeof(key) - 1), &idx, &is_new);
	if (r == 0 && is_new) {
		r = ARRAY_ROOM(s->functions, s->n_functions, &l->cap_functions);
		if (r == 0)
			r = name_function(l, f, path, &s->functions[s->n_functions++]);
	}
	if (r < 0)
		return r;
	*ret = &s->functions[idx - 1];
	return 0;
}

/* A stack's frames, innermost first: those of the kernel, then the program's. */
static const struct vframe *frame_at(const struct vstack *kernel, const struct vstack *user, u32 i)
{
	return i < kernel->n ? &kernel->frames[i] : &user->frames[i - kernel->n];
}

static int add_stack(struct load *l, u64 number, const struct stack_key *key, u64 samples)
{
	_cleanup_vstack_ struct vstack user = {0}, kernel = {0};
	struct on_category *own, *by;
	struct on_function *x;
	const char *name = NULL;
	int r = vstack_load(&l->loader, key->stack_id, false, &user);

	if (r == 0)
		r = vstack_load(&l->loader, key->kstack_id, true, &kernel);
	if (r < 0)
		return r;
	if (!(user.n + kernel.n)) {
		l->s->no_stack += samples;
		return 0;
	}
	for (u32 i = 0; i < kernel.n + user.n; i++) {
		const struct vframe *f = frame_at(&kernel, &user, i);

		r = find_function(l, f, &x);
		if (r < 0)
			return r;
		x->self += i ? 0 : samples;
		x->total += x->seen_in == number ? 0 : samples;
		x->seen_in = number;
		if (!name && !runs_for_caller(f))
			name = x->category;
	}
	r = find_function(l, frame_at(&kernel, &user, 0), &x);
	if (r == 0)
		r = add_category(l, x->category, &own);
	if (r < 0)
		return r;
	own->self += samples;
	r = add_category(l, name ? name : x->category, &by);
	if (r == 0)
		by->with_called += samples;
	return r;
}

static int most_self(const void *a, const void *b)
{
	const struct on_function *x = a, *y = b;

	if (x->self != y->self)
		return x->self > y->self ? -1 : 1;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int most_called(const void *a, const void *b)
{
	const struct on_category *x = a, *y = b;

	if (x->with_called != y->with_called)
		return x->with_called > y->with_called ? -1 : 1;
	if (x->self != y->self)
		return x->self > y->self ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int load_functions(struct load *l)
{
	struct oncpu_stats *s = l->s;
	int r = vstack_loader_init(&l->loader, l->db);

	s->stacks = strtab_count(l->stacks);
	for (u32 i = 0; i < s->stacks && r == 0; i++) {
		struct stack_key key;

		memcpy(&key, strtab_get(l->stacks, i + 1, NULL), sizeof(key));
		r = add_stack(l, i + 1, &key, l->counts[i]);
	}
	if (r < 0)
		return r;
	if (s->n_functions)
		qsort(s->functions, s->n_functions, sizeof(*s->functions), most_self);
	if (s->n_categories)
		qsort(s->categories, s->n_categories, sizeof(*s->categories), most_called);
	return 0;
}

static int load_begin(struct load *l)
{
	int r = thread_spans_init(&l->spans, l->db);

	if (r == 0)
		r = thread_spans_threads(l->db, l->o, l->f->lo, l->f->hi, &l->s->threads);
	if (r == 0)
		r = thread_spans_polls_of(l->db, l->o->task, &l->polls);
	if (r == 0 && !l->o->libraries)
		r = library_table_builtin(&l->s->own_table);
	if (r < 0)
		return r;
	l->libraries = l->o->libraries ? l->o->libraries : l->s->own_table;
	l->s->rows = calloc(l->s->threads.n + 1, sizeof(*l->s->rows));
	l->stacks = strtab_new();
	l->functions = strtab_new();
	l->categories = strtab_new();
	return l->s->rows && l->stacks && l->functions && l->categories ? 0 : -ENOMEM;
}

int oncpu_stats_load(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, struct oncpu_stats *ret)
{
	_cleanup_oncpu_stats_ struct oncpu_stats s = {.period = f->sample_period};
	_cleanup_(load_release) struct load l = {.db = db, .o = o, .f = f, .s = &s, .polls = U64MAP_INIT};
	int r = load_begin(&l);

	if (r == 0)
		r = walk_threads(&l);
	if (r == 0)
		r = load_functions(&l);
	if (r < 0)
		return r;
	*ret = s;
	s = (struct oncpu_stats){0};
	return 0;
}

void oncpu_stats_release(struct oncpu_stats *s)
{
	for (size_t i = 0; i < s->n_functions; i++) {
		free(s->functions[i].name);
		free(s->functions[i].label);
		free(s->functions[i].place);
	}
	free(s->functions);
	free(s->categories);
	free(s->rows);
	tl_threads_release(&s->threads);
	s->own_table = library_table_free(s->own_table);
	*s = (struct oncpu_stats){0};
}
