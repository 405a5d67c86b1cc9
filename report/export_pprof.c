/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_pprof.c: pprof's profile.proto, gzipped (github.com/google/pprof, proto/profile.proto): for `go tool pprof`, Pyroscope, Parca, speedscope.
 *
 * The frames in front of a stack (process, thread ..) are labels of its samples here. Every module lies at addresses of its own, as recorded addresses differ
 * from process to process: module N begins at N << 40, so that an address less its mapping's start is the offset in the file.
 *
 * Messages may come in any order, so that samples are written as they are met, and what they mean behind them.
 */
#include <errno.h>
#include <string.h>

#include "base/gzip.h"
#include "base/protobuf.h"
#include "base/strtab.h"
#include "report/export.h"
#include "report/view_text.h"

/* profile.proto, fields of Profile */
enum {
	P_SAMPLE_TYPE = 1,
	P_SAMPLE = 2,
	P_MAPPING = 3,
	P_LOCATION = 4,
	P_FUNCTION = 5,
	P_STRING_TABLE = 6,
	P_TIME_NANOS = 9,
	P_DURATION_NANOS = 10,
	P_PERIOD_TYPE = 11,
	P_PERIOD = 12,
	P_COMMENT = 13,
	P_DEFAULT_SAMPLE_TYPE = 14,
};

#define MODULE_SHIFT 40

struct pprof {
	struct profile p;
	struct pb pb;
	struct strtab *texts;	  /* the string table: its index 0 is "", as pprof wants it */
	struct strtab *modules;	  /* path NUL build-id: the mapping's id */
	struct strtab *functions; /* name, file: u32 pairs; the function's id */
	struct strtab *locations; /* positions of frames, innermost first: the location's id */
	u32 *function_of;	  /* by frame: id */
	u32 *module_of;		  /* by frame: id, 0 none */
	u64 *limit_of;		  /* by module id: one above the highest offset */
};

static void pprof_release(struct pprof *x)
{
	pb_release(&x->pb);
	(void)strtab_free(x->texts);
	(void)strtab_free(x->modules);
	(void)strtab_free(x->functions);
	(void)strtab_free(x->locations);
	free(x->function_of);
	free(x->module_of);
	free(x->limit_of);
	profile_release(&x->p);
}

/* ---- texts, functions, modules ---- */

/* Clean: pprof prints names to terminals as they are. NULL is "". */
static int text_id(struct pprof *x, const char *raw, u32 *ret)
{
	_cleanup_free_ char *clean = NULL;
	int r = text_clean(raw, "", &clean);

	return r < 0 ? r : strtab_intern(x->texts, clean, strlen(clean), ret, NULL);
}

static int function_id(struct pprof *x, const struct profile_frame *f, u32 *ret)
{
	u32 key[2];
	int r;

	r = text_id(x, f->name, &key[0]);
	if (r == 0)
		r = text_id(x, f->file, &key[1]);
	return r < 0 ? r : strtab_intern(x->functions, (const char *)key, sizeof(key), ret, NULL);
}

static int module_id(struct pprof *x, const struct profile_frame *f, u32 *ret)
{
	u32 key[2];
	int r;

	*ret = 0;
	if (!f->module)
		return 0;
	r = text_id(x, f->module, &key[0]);
	if (r == 0)
		r = text_id(x, f->build_id, &key[1]);
	return r < 0 ? r : strtab_intern(x->modules, (const char *)key, sizeof(key), ret, NULL);
}

static int number_frames(struct pprof *x)
{
	size_t n = (size_t)x->p.n_frames + 2;
	int r;

	x->function_of = calloc(n, sizeof(*x->function_of));
	x->module_of = calloc(n, sizeof(*x->module_of));
	x->limit_of = calloc(n, sizeof(*x->limit_of));
	if (!x->function_of || !x->module_of || !x->limit_of)
		return -ENOMEM;
	for (u32 i = 0; i < x->p.n_frames; i++) {
		const struct profile_frame *f = &x->p.frames[i];
		u32 module;

		r = function_id(x, f, &x->function_of[i]);
		if (r == 0)
			r = module_id(x, f, &x->module_of[i]);
		if (r < 0)
			return r;
		module = x->module_of[i];
		/* An offset of 2^40 is no file's. */
		x->limit_of[module] = max_u64(x->limit_of[module], min_u64(f->file_off, ((u64)1 << MODULE_SHIFT) - 1) + 1);
	}
	return 0;
}

/* ---- messages ---- */

static int put_value_type(struct pprof *x, u32 field, const char *type, const char *unit)
{
	u32 type_id, unit_id;
	int r;

	r = text_id(x, type, &type_id);
	if (r == 0)
		r = text_id(x, unit, &unit_id);
	if (r < 0)
		return r;
	pb_begin(&x->pb, field);
	pb_u64(&x->pb, 1, type_id);
	pb_u64(&x->pb, 2, unit_id);
	pb_end(&x->pb);
	return 0;
}

static int put_label(struct pprof *x, const char *key, const char *text)
{
	u32 key_id, text_at;
	int r;

	r = text_id(x, key, &key_id);
	if (r == 0)
		r = text_id(x, text, &text_at);
	if (r < 0)
		return r;
	pb_begin(&x->pb, 3);
	pb_u64(&x->pb, 1, key_id);
	pb_u64(&x->pb, 2, text_at);
	pb_end(&x->pb);
	return 0;
}

/* The locations of a stack, innermost first: a function that is inlined shares that of the function it is inlined into. */
static int put_locations(struct pprof *x, const struct profile_stack *s)
{
	_cleanup_free_ u32 *lines = calloc((size_t)s->n + 1, sizeof(*lines));
	u32 n = 0, id;
	int r = 0;

	if (!lines)
		return -ENOMEM;
	pb_begin(&x->pb, 1);
	for (u32 i = s->n; r == 0 && i-- > x->p.n_front;) {
		lines[n++] = s->frames[i];
		if (x->p.frames[s->frames[i]].inlined && i > x->p.n_front)
			continue;
		r = strtab_intern(x->locations, (const char *)lines, n * sizeof(*lines), &id, NULL);
		if (r == 0)
			pb_raw_varint(&x->pb, id);
		n = 0;
	}
	pb_end(&x->pb);
	return r;
}

static int put_sample(struct pprof *x, const struct profile_stack *s)
{
	u64 values[2] = {s->count, s->ns};
	int r;

	pb_begin(&x->pb, P_SAMPLE);
	r = put_locations(x, s);
	pb_packed_u64(&x->pb, 2, values, 2);
	for (u32 i = 0; r == 0 && i < x->p.n_front && i < s->n; i++)
		r = put_label(x, x->p.front[i], x->p.frames[s->frames[i]].name);
	pb_end(&x->pb);
	return r;
}

static u64 module_start(u32 id)
{
	return (u64)id << MODULE_SHIFT;
}

/*
 * All are said to have their functions, files, lines and inlined ones, also where a frame has no name: else Go's pprof (1.26) takes names for all of a mapping's frames
 * from whatever file lies at its path now, and does not look at the build-id.
 */
static void put_mappings(struct pprof *x)
{
	for (u32 id = 1; id <= strtab_count(x->modules); id++) {
		u32 key[2];

		memcpy(key, strtab_get(x->modules, id, NULL), sizeof(key));
		pb_begin(&x->pb, P_MAPPING);
		pb_u64(&x->pb, 1, id);
		pb_u64(&x->pb, 2, module_start(id));
		pb_u64(&x->pb, 3, module_start(id) + x->limit_of[id]);
		pb_u64(&x->pb, 5, key[0]);
		pb_u64(&x->pb, 6, key[1]);
		for (u32 has = 7; has <= 10; has++)
			pb_u64(&x->pb, has, 1);
		pb_end(&x->pb);
	}
}

static void put_location_table(struct pprof *x)
{
	for (u32 id = 1; id <= strtab_count(x->locations); id++) {
		size_t len;
		const char *key = strtab_get(x->locations, id, &len);
		const struct profile_frame *f;
		u32 at;

		memcpy(&at, key, sizeof(at));
		f = &x->p.frames[at];
		pb_begin(&x->pb, P_LOCATION);
		pb_u64(&x->pb, 1, id);
		if (x->module_of[at])
			pb_u64(&x->pb, 2, x->module_of[at]);
		if (!f->synthetic)
			pb_u64(&x->pb, 3,
			       module_start(x->module_of[at]) + min_u64(f->file_off, x->limit_of[x->module_of[at]] - 1));
		for (size_t i = 0; i < len; i += sizeof(at)) {
			memcpy(&at, key + i, sizeof(at));
			pb_begin(&x->pb, 4);
			pb_u64(&x->pb, 1, x->function_of[at]);
			if (x->p.frames[at].line)
				pb_u64(&x->pb, 2, min_u64(x->p.frames[at].line, INT64_MAX));
			pb_end(&x->pb);
		}
		pb_end(&x->pb);
	}
}

static void put_functions(struct pprof *x)
{
	for (u32 id = 1; id <= strtab_count(x->functions); id++) {
		u32 key[2];

		memcpy(key, strtab_get(x->functions, id, NULL), sizeof(key));
		pb_begin(&x->pb, P_FUNCTION);
		pb_u64(&x->pb, 1, id);
		pb_u64(&x->pb, 2, key[0]);
		pb_u64(&x->pb, 3, key[0]);
		pb_u64(&x->pb, 4, key[1]);
		pb_end(&x->pb);
	}
}

/* Names of the two values of each sample: how often, and how long. */
static int put_head(struct pprof *x, const struct export_opts *o, const char **ret_default)
{
	static const char *const names[][2] = {
		[PROFILE_ONCPU] = {"samples", "cpu"},
		[PROFILE_OFFCPU] = {"waits", "wait"},
		[PROFILE_WALL] = {"events", "wall"},
		[PROFILE_BLOCKING] = {"events", "blocking"},
	};
	const char *const *name = names[o->profile.kind];
	int r;

	*ret_default = name[1];
	r = put_value_type(x, P_SAMPLE_TYPE, name[0], "count");
	if (r == 0)
		r = put_value_type(x, P_SAMPLE_TYPE, name[1], "nanoseconds");
	if (r == 0 && x->p.period_ns && o->profile.kind == PROFILE_ONCPU) {
		r = put_value_type(x, P_PERIOD_TYPE, "cpu", "nanoseconds");
		pb_u64(&x->pb, P_PERIOD, x->p.period_ns);
	}
	if (x->p.realtime_ns)
		pb_u64(&x->pb, P_TIME_NANOS, x->p.realtime_ns + x->p.lo);
	pb_u64(&x->pb, P_DURATION_NANOS, x->p.hi - x->p.lo);
	return r;
}

static int put_tail(struct pprof *x, const struct export_opts *o, const char *default_type)
{
	char comment[160];
	u32 comment_id, type_id;
	int r;

	put_mappings(x);
	put_location_table(x);
	put_functions(x);
	(void)snprintf(comment, sizeof(comment), "ascope: %s of %.100s", export_profile_word(o), text_basename(o->file));
	r = text_id(x, comment, &comment_id);
	if (r == 0)
		r = text_id(x, default_type, &type_id);
	if (r < 0)
		return r;
	pb_u64(&x->pb, P_COMMENT, comment_id);
	pb_u64(&x->pb, P_DEFAULT_SAMPLE_TYPE, type_id);
	pb_string(&x->pb, P_STRING_TABLE, "");
	for (u32 id = 1; id <= strtab_count(x->texts); id++)
		pb_string(&x->pb, P_STRING_TABLE, strtab_get(x->texts, id, NULL));
	return pb_finish(&x->pb);
}

static int put_all(struct pprof *x, const struct export_opts *o, FILE *out)
{
	const char *default_type;
	int r;

	pb_init(&x->pb, out);
	r = put_head(x, o, &default_type);
	for (u32 i = 0; r == 0 && i < x->p.n_stacks; i++)
		r = put_sample(x, &x->p.stacks[i]);
	return r < 0 ? r : put_tail(x, o, default_type);
}

int export_pprof(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_(pprof_release) struct pprof x = {0};
	struct gzip *z = NULL;
	FILE *f;
	int r, closed;

	x.texts = strtab_new();
	x.modules = strtab_new();
	x.functions = strtab_new();
	x.locations = strtab_new();
	if (!x.texts || !x.modules || !x.functions || !x.locations)
		return -ENOMEM;
	r = export_profile(db, o, &x.p);
	if (r == 0)
		r = number_frames(&x);
	if (r < 0)
		return r;
	f = gzip_open(out, &z);
	if (!f)
		return -ENOMEM;
	r = put_all(&x, o, f);
	closed = gzip_close(f, z);
	if (r == 0)
		r = closed;
	if (r == 0)
		*ret = (struct export_result){.events = x.p.n_stacks};
	return r;
}
