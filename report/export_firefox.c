/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_firefox.c: the Firefox Profiler's processed profile, version 55: src/types/profile.ts and docs-developer/CHANGELOG-formats.md of
 * firefox-devtools/profiler, and what the crate fxprof-processed-profile 0.8.1 writes. Later versions share tables between threads; the viewer upgrades
 * what is older than itself, so this one stays.
 *
 * One thread of the file for each pair of frames in front of stacks, with tables of its own; a sample for each distinct stack, in the profile's order. Times are
 * the sum of the weights before: the profile does not say when.
 *
 * Invariant: tables are strtabs of rows of u32; a row's index is its string's less 1. Texts go out as json.for_html has them: nothing in them acts anywhere.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "report/export.h"
#include "report/view_text.h"
#include "version.h"

#define VERSION_PROCESSED 55
#define VERSION_GECKO	  24 /* not read where the other one is there */
#define RESOURCE_LIBRARY  1

/* Category 0 is the viewer's default: it wants a grey one. Those of kinds of frames follow in the order of the enum. */
enum { CATEGORY_OTHER, CATEGORY_KIND, CATEGORY_SYNTHETIC = CATEGORY_KIND + FRAME_KERNEL + 1, N_CATEGORIES };

static const char *const category_colors[] = {
	[CATEGORY_OTHER] = "grey",
	[CATEGORY_KIND + FRAME_USER] = "yellow",
	[CATEGORY_KIND + FRAME_LIBRARY] = "green",
	[CATEGORY_KIND + FRAME_STD] = "lightblue",
	[CATEGORY_KIND + FRAME_RUNTIME] = "purple",
	[CATEGORY_KIND + FRAME_NATIVE] = "blue",
	[CATEGORY_KIND + FRAME_JIT] = "magenta",
	[CATEGORY_KIND + FRAME_KERNEL] = "orange",
	[CATEGORY_SYNTHETIC] = "brown",
};

/* Rows of tables, numbered from 0. */
enum { RESOURCE_LIB, RESOURCE_NAME, N_RESOURCE };
enum { FUNC_NAME, FUNC_FILE, FUNC_RESOURCE, N_FUNC }; /* file and resource + 1; 0: none */
enum { FRAME_FUNC, FRAME_LINE, FRAME_CATEGORY, N_FRAME };
enum { STACK_PREFIX, STACK_FRAME, N_STACK }; /* prefix + 1; 0: none */
#define MAX_COLUMNS 3

struct table {
	struct strtab *rows;
	u32 n_columns;
};

/* A thread of the file: p.stacks[first .. end). */
struct firefox_thread {
	struct strtab *strings; /* 0 is "" */
	struct table resources, funcs, frames, stacks;
	struct u64map frame_of; /* of a frame of the profile: its row */
	u32 *stack_of;		/* by place from first: its row + 1 */
	u32 first, end;
	u32 pid, tid; /* numbers within the file */
};

struct firefox {
	struct profile p;
	struct strtab *libs; /* module, NUL, build id */
	u32 *lib_of;	     /* by frame: lib + 1, 0 none */
	struct json j;
	bool counts; /* weights are samples, not ms */
};

static void thread_release(struct firefox_thread *t)
{
	t->strings = strtab_free(t->strings);
	t->resources.rows = strtab_free(t->resources.rows);
	t->funcs.rows = strtab_free(t->funcs.rows);
	t->frames.rows = strtab_free(t->frames.rows);
	t->stacks.rows = strtab_free(t->stacks.rows);
	u64map_release(&t->frame_of);
	free(t->stack_of);
}

static int thread_init(struct firefox_thread *t)
{
	t->strings = strtab_new();
	t->resources = (struct table){strtab_new(), N_RESOURCE};
	t->funcs = (struct table){strtab_new(), N_FUNC};
	t->frames = (struct table){strtab_new(), N_FRAME};
	t->stacks = (struct table){strtab_new(), N_STACK};
	t->stack_of = calloc((size_t)(t->end - t->first) + 1, sizeof(*t->stack_of));
	if (!t->strings || !t->resources.rows || !t->funcs.rows || !t->frames.rows || !t->stacks.rows || !t->stack_of)
		return -ENOMEM;
	return 0;
}

static void firefox_release(struct firefox *x)
{
	x->libs = strtab_free(x->libs);
	free(x->lib_of);
	profile_release(&x->p);
}

/* The number of this row, which is added where it is new. */
static int table_row(struct table *t, const u32 *row, u32 *ret)
{
	int r = strtab_intern(t->rows, (const char *)row, t->n_columns * sizeof(*row), ret, NULL);

	if (r == 0)
		(*ret)--;
	return r;
}

static u32 table_count(const struct table *t)
{
	/* The empty string is none of its rows. */
	return strtab_count(t->rows);
}

static u32 table_get(const struct table *t, u32 row, u32 column)
{
	u32 values[MAX_COLUMNS];

	memcpy(values, strtab_get(t->rows, row + 1, NULL), t->n_columns * sizeof(*values));
	return values[column];
}

static int string_of(struct firefox_thread *t, const char *s, u32 *ret)
{
	return strtab_intern(t->strings, s, strlen(s), ret, NULL);
}

/* ---- what a thread is made of ---- */

/* The modules of all frames. */
static int find_libs(struct firefox *x)
{
	x->libs = strtab_new();
	x->lib_of = calloc((size_t)x->p.n_frames + 1, sizeof(*x->lib_of));
	if (!x->libs || !x->lib_of)
		return -ENOMEM;
	for (u32 i = 0; i < x->p.n_frames; i++) {
		const struct profile_frame *f = &x->p.frames[i];
		_cleanup_buf_ struct buf key = BUF_INIT;
		int r;

		if (!f->module || !*f->module)
			continue;
		buf_put(&key, f->module, strlen(f->module) + 1);
		buf_puts(&key, f->build_id ? f->build_id : "");
		r = buf_err(&key);
		if (r == 0)
			r = strtab_intern(x->libs, (const char *)key.data, key.len, &x->lib_of[i], NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *lib_path(const struct firefox *x, u32 lib)
{
	return strtab_get(x->libs, lib + 1, NULL);
}

static int resource_row(struct firefox *x, struct firefox_thread *t, u32 lib, u32 *ret)
{
	u32 row[N_RESOURCE] = {[RESOURCE_LIB] = lib};
	int r = string_of(t, text_basename(lib_path(x, lib)), &row[RESOURCE_NAME]);

	return r < 0 ? r : table_row(&t->resources, row, ret);
}

static int func_row(struct firefox *x, struct firefox_thread *t, u32 frame, u32 *ret)
{
	const struct profile_frame *f = &x->p.frames[frame];
	u32 row[N_FUNC] = {0}, resource;
	int r = string_of(t, f->name, &row[FUNC_NAME]);

	if (r == 0 && f->file) {
		r = string_of(t, f->file, &row[FUNC_FILE]);
		row[FUNC_FILE]++;
	}
	if (r == 0 && x->lib_of[frame]) {
		r = resource_row(x, t, x->lib_of[frame] - 1, &resource);
		row[FUNC_RESOURCE] = resource + 1;
	}
	return r < 0 ? r : table_row(&t->funcs, row, ret);
}

static u32 category_of(const struct profile_frame *f)
{
	if (f->synthetic)
		return CATEGORY_SYNTHETIC;
	if (f->has_kind)
		return CATEGORY_KIND + f->kind;
	return f->kernel ? CATEGORY_KIND + FRAME_KERNEL : CATEGORY_OTHER;
}

/* Frames that differ in their address alone are one here. */
static int frame_row(struct firefox *x, struct firefox_thread *t, u32 frame, u32 *ret)
{
	const struct profile_frame *f = &x->p.frames[frame];
	u32 row[N_FRAME] = {[FRAME_LINE] = (u32)min_u64(f->line, UINT32_MAX), [FRAME_CATEGORY] = category_of(f)};
	u64 known;
	int r;

	if (u64map_get(&t->frame_of, frame, &known)) {
		*ret = (u32)known;
		return 0;
	}
	r = func_row(x, t, frame, &row[FRAME_FUNC]);
	if (r == 0)
		r = table_row(&t->frames, row, ret);
	return r < 0 ? r : u64map_put(&t->frame_of, frame, *ret);
}

static u32 n_front(const struct firefox *x, const struct profile_stack *s)
{
	return s->n < x->p.n_front ? s->n : x->p.n_front;
}

/* A prefix is a row before its own: it is made first. */
static int make_tables(struct firefox *x, struct firefox_thread *t)
{
	for (u32 i = t->first; i < t->end; i++) {
		const struct profile_stack *s = &x->p.stacks[i];
		u32 *at = &t->stack_of[i - t->first];

		for (u32 k = n_front(x, s); k < s->n; k++) {
			u32 row[N_STACK] = {[STACK_PREFIX] = *at};
			int r = frame_row(x, t, s->frames[k], &row[STACK_FRAME]);

			if (r == 0)
				r = table_row(&t->stacks, row, at);
			if (r < 0)
				return r;
			(*at)++;
		}
	}
	return 0;
}

/* ---- JSON ---- */

/* ns as ms, exact. */
static void put_ms(struct json *j, u64 ns)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu.%06llu", (unsigned long long)(ns / 1000000), (unsigned long long)(ns % 1000000));
	json_raw(j, text);
}

static void column_begin(struct json *j, const char *key)
{
	json_key(j, key);
	json_array_begin(j);
}

/* n times the same, which is JSON already. */
static void put_same(struct json *j, const char *key, u32 n, const char *value)
{
	column_begin(j, key);
	for (u32 i = 0; i < n; i++)
		json_raw(j, value);
	json_array_end(j);
}

/* A column of a table as it is. */
static void put_column(struct json *j, const char *key, const struct table *t, u32 column)
{
	column_begin(j, key);
	for (u32 i = 0; i < table_count(t); i++)
		json_u64(j, table_get(t, i, column));
	json_array_end(j);
}

/* A column of what may not be there, off by one. */
static void put_column_or(struct json *j, const char *key, const struct table *t, u32 column, u32 off, const char *none)
{
	column_begin(j, key);
	for (u32 i = 0; i < table_count(t); i++) {
		u32 value = table_get(t, i, column);

		if (value)
			json_u64(j, value - off);
		else
			json_raw(j, none);
	}
	json_array_end(j);
}

static void table_begin(struct json *j, const char *key, u32 length)
{
	json_key(j, key);
	json_object_begin(j);
	json_kv_u64(j, "length", length);
}

/* A table without rows. */
static void put_empty(struct json *j, const char *key, const char *const *columns)
{
	table_begin(j, key, 0);
	for (; *columns; columns++)
		put_same(j, *columns, 0, NULL);
	json_object_end(j);
}

static void put_frames(struct json *j, const struct table *t)
{
	u32 n = table_count(t);

	table_begin(j, "frameTable", n);
	put_column(j, "func", t, FRAME_FUNC);
	put_column(j, "category", t, FRAME_CATEGORY);
	put_column_or(j, "line", t, FRAME_LINE, 0, "null");
	put_same(j, "subcategory", n, "0");
	put_same(j, "address", n, "-1");
	put_same(j, "inlineDepth", n, "0");
	put_same(j, "nativeSymbol", n, "null");
	put_same(j, "innerWindowID", n, "0");
	put_same(j, "column", n, "null");
	json_object_end(j);
}

static void put_funcs(struct json *j, const struct table *t)
{
	u32 n = table_count(t);

	table_begin(j, "funcTable", n);
	put_column(j, "name", t, FUNC_NAME);
	put_column_or(j, "fileName", t, FUNC_FILE, 1, "null");
	put_column_or(j, "resource", t, FUNC_RESOURCE, 1, "-1");
	put_same(j, "isJS", n, "false");
	put_same(j, "relevantForJS", n, "false");
	put_same(j, "lineNumber", n, "null");
	put_same(j, "columnNumber", n, "null");
	json_object_end(j);
}

static void put_other_tables(struct json *j, const struct firefox_thread *t)
{
	static const char *const symbols[] = {"address", "functionSize", "libIndex", "name", NULL};
	static const char *const markers[] = {"category", "data", "endTime", "name", "phase", "startTime", NULL};
	u32 n = table_count(&t->resources);

	table_begin(j, "stackTable", table_count(&t->stacks));
	put_column_or(j, "prefix", &t->stacks, STACK_PREFIX, 1, "null");
	put_column(j, "frame", &t->stacks, STACK_FRAME);
	json_object_end(j);
	table_begin(j, "resourceTable", n);
	put_column(j, "lib", &t->resources, RESOURCE_LIB);
	put_column(j, "name", &t->resources, RESOURCE_NAME);
	put_same(j, "host", n, "null");
	column_begin(j, "type");
	for (u32 i = 0; i < n; i++)
		json_u64(j, RESOURCE_LIBRARY);
	json_array_end(j);
	json_object_end(j);
	put_empty(j, "nativeSymbols", symbols);
	put_empty(j, "markers", markers);
	column_begin(j, "stringArray");
	for (u32 i = 0; i <= strtab_count(t->strings); i++)
		json_string(j, strtab_get(t->strings, i, NULL));
	json_array_end(j);
}

/* Between samples; 1 ms where the recording does not say. */
static u64 interval_ns(const struct firefox *x)
{
	return x->p.period_ns ? x->p.period_ns : 1000000;
}

/* What a stack takes on the time line. */
static u64 length_ns(const struct firefox *x, const struct profile_stack *s)
{
	return x->counts ? s->samples * interval_ns(x) : s->ns;
}

static void put_samples(struct firefox *x, const struct firefox_thread *t)
{
	const struct profile_stack *stacks = x->p.stacks;
	struct json *j = &x->j;
	u64 ns = 0;

	table_begin(j, "samples", t->end - t->first);
	json_kv_string(j, "weightType", x->counts ? "samples" : "tracing-ms");
	column_begin(j, "stack");
	for (u32 i = 0; i < t->end - t->first; i++) {
		if (t->stack_of[i])
			json_u64(j, t->stack_of[i] - 1);
		else
			json_null(j);
	}
	json_array_end(j);
	column_begin(j, "time");
	for (u32 i = t->first; i < t->end; ns += length_ns(x, &stacks[i++]))
		put_ms(j, ns);
	json_array_end(j);
	column_begin(j, "weight");
	for (u32 i = t->first; i < t->end; i++) {
		if (x->counts)
			json_u64(j, stacks[i].samples);
		else
			put_ms(j, stacks[i].ns);
	}
	json_array_end(j);
	json_object_end(j);
}

static void put_thread(struct firefox *x, const struct firefox_thread *t)
{
	const struct profile_stack *s = &x->p.stacks[t->first];
	u32 front = n_front(x, s);
	struct json *j = &x->j;
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%u", t->pid);
	json_object_begin(j);
	json_kv_string(j, "processType", "default");
	json_kv_string(j, "processName", front ? x->p.frames[s->frames[0]].name : "all");
	json_kv_string(j, "name", front > 1 ? x->p.frames[s->frames[1]].name : "all");
	json_kv_bool(j, "isMainThread", false);
	json_kv_string(j, "pid", pid);
	json_kv_u64(j, "tid", t->tid);
	json_kv_u64(j, "processStartupTime", 0);
	json_kv_u64_or_null(j, "processShutdownTime", false, 0);
	json_kv_u64(j, "registerTime", 0);
	json_kv_u64_or_null(j, "unregisterTime", false, 0);
	put_same(j, "pausedRanges", 0, NULL);
	put_samples(x, t);
	put_frames(j, &t->frames);
	put_funcs(j, &t->funcs);
	put_other_tables(j, t);
	json_object_end(j);
}

static bool is_same_front(const struct firefox *x, const struct profile_stack *a, const struct profile_stack *b, u32 n)
{
	return n_front(x, a) >= n && n_front(x, b) >= n && memcmp(a->frames, b->frames, n * sizeof(*a->frames)) == 0;
}

/* Where the thread ends that begins at `first`. The profile has stacks of one front side by side. */
static u32 thread_end(const struct firefox *x, u32 first)
{
	u32 i = first + 1;

	while (i < x->p.n_stacks && is_same_front(x, &x->p.stacks[first], &x->p.stacks[i], x->p.n_front))
		i++;
	return i;
}

static int put_threads(struct firefox *x)
{
	u32 pid = 0, tid = 0, end;
	int r = 0;

	column_begin(&x->j, "threads");
	for (u32 first = 0; r == 0 && first < x->p.n_stacks; first = end) {
		_cleanup_(thread_release) struct firefox_thread t = {.first = first, .tid = ++tid};

		end = t.end = thread_end(x, first);
		if (!first || !is_same_front(x, &x->p.stacks[first - 1], &x->p.stacks[first], x->p.n_front ? 1 : 0))
			pid++;
		t.pid = pid;
		r = thread_init(&t);
		if (r == 0)
			r = make_tables(x, &t);
		if (r == 0)
			put_thread(x, &t);
	}
	json_array_end(&x->j);
	return r;
}

/*
 * The id that symbol servers know a file by: the build id's first 16 bytes as a GUID (three numbers, little-endian, then bytes), and an age of 0. "" where
 * there is no such id.
 */
static void put_breakpad_id(struct json *j, const char *build_id)
{
	static const u8 order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
	char text[2 * sizeof(order) + 2] = "";

	if (strlen(build_id) >= 2 * sizeof(order)) {
		for (u32 i = 0; i < 2 * sizeof(order); i++) {
			char c = build_id[2 * order[i / 2] + i % 2];

			text[i] = c >= 'a' && c <= 'f' ? (char)(c - 'a' + 'A') : c;
		}
		text[2 * sizeof(order)] = '0';
	}
	json_kv_string(j, "breakpadId", text);
}

static void put_libs(struct firefox *x)
{
	struct json *j = &x->j;

	column_begin(j, "libs");
	for (u32 i = 0; i < strtab_count(x->libs); i++) {
		const char *path = lib_path(x, i), *build_id = path + strlen(path) + 1;

		json_object_begin(j);
		json_kv_string(j, "name", text_basename(path));
		json_kv_string(j, "path", path);
		json_kv_string(j, "debugName", text_basename(path));
		json_kv_string(j, "debugPath", path);
		put_breakpad_id(j, build_id);
		json_kv_string(j, "codeId", *build_id ? build_id : NULL);
		json_kv_string(j, "arch", NULL);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_categories(struct json *j)
{
	column_begin(j, "categories");
	for (u32 i = 0; i < N_CATEGORIES; i++) {
		const char *name = i == CATEGORY_OTHER	     ? "other"
				   : i == CATEGORY_SYNTHETIC ? "synthetic"
							     : frame_kind_name((enum frame_kind)(i - CATEGORY_KIND));

		json_object_begin(j);
		json_kv_string(j, "name", name);
		json_kv_string(j, "color", category_colors[i]);
		put_same(j, "subcategories", 1, "\"Other\"");
		json_object_end(j);
	}
	json_array_end(j);
}

/* The longest thread: without it the viewer would end one sampling interval after the last sample's begin. */
static u64 longest_ns(const struct firefox *x)
{
	u64 longest = 0, ns = 0;

	for (u32 i = 0, end = 0; i < x->p.n_stacks; i++) {
		if (i == end) {
			end = thread_end(x, i);
			ns = 0;
		}
		ns += length_ns(x, &x->p.stacks[i]);
		longest = max_u64(longest, ns);
	}
	return longest;
}

static void put_meta(struct firefox *x, const struct export_opts *o)
{
	struct json *j = &x->j;
	char name[160];

	(void)snprintf(name, sizeof(name), "%s of %.100s", export_profile_word(o), text_basename(o->file));
	json_key(j, "meta");
	json_object_begin(j);
	json_kv_u64(j, "version", VERSION_GECKO);
	json_kv_u64(j, "preprocessedProfileVersion", VERSION_PROCESSED);
	json_kv_string(j, "product", name);
	json_kv_string(j, "importedFrom", "ascope " ASCOPE_VERSION);
	json_key(j, "interval");
	put_ms(j, interval_ns(x));
	json_key(j, "startTime");
	put_ms(j, x->p.realtime_ns ? x->p.realtime_ns + x->p.lo : 0);
	json_kv_u64(j, "profilingStartTime", 0);
	json_key(j, "profilingEndTime");
	put_ms(j, longest_ns(x));
	json_kv_u64(j, "processType", 0);
	json_kv_u64(j, "stackwalk", 1);
	json_kv_bool(j, "debug", false);
	json_kv_bool(j, "symbolicated", true);
	json_kv_bool(j, "usesOnlyOneStackType", true);
	json_kv_bool(j, "sourceCodeIsNotOnSearchfox", true);
	put_same(j, "markerSchema", 0, NULL);
	put_categories(j);
	json_object_end(j);
}

int export_firefox(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_(firefox_release) struct firefox x = {.counts = o->profile.kind == PROFILE_ONCPU};
	int r;

	r = export_profile(db, o, &x.p);
	if (r == 0)
		r = find_libs(&x);
	if (r < 0)
		return r;
	json_init(&x.j, out, false);
	x.j.for_html = true;
	json_object_begin(&x.j);
	put_meta(&x, o);
	put_libs(&x);
	put_same(&x.j, "pages", 0, NULL);
	put_same(&x.j, "counters", 0, NULL);
	r = put_threads(&x);
	json_object_end(&x.j);
	(void)fputc('\n', out);
	*ret = (struct export_result){.events = x.p.n_stacks};
	return r;
}
