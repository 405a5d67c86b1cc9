/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_speedscope.c: speedscope's own format (its file-format-schema.json, version 1.25): one profile of type "sampled", a sample for each distinct stack,
 * weighed in ns. speedscope adds up by frame, so frames here differ by name and file alone, not by line or address.
 */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/strtab.h"
#include "report/export.h"
#include "report/view_text.h"
#include "version.h"

/* The first frame of each name and file, and by frame the number of its first one. */
struct speed_frames {
	u32 *number; /* by frame */
	u32 *first;  /* by number */
	u32 n;
};

static void speed_frames_release(struct speed_frames *f)
{
	free(f->number);
	free(f->first);
}

static int number_frames(const struct profile *p, struct speed_frames *f)
{
	struct strtab *keys = strtab_new(), *texts = strtab_new();
	int r = keys && texts ? 0 : -ENOMEM;

	f->number = calloc((size_t)p->n_frames + 1, sizeof(*f->number));
	f->first = calloc((size_t)p->n_frames + 1, sizeof(*f->first));
	if (!f->number || !f->first)
		r = -ENOMEM;
	for (u32 i = 0; r == 0 && i < p->n_frames; i++) {
		const char *file = p->frames[i].file ? p->frames[i].file : "";
		u32 key[3] = {0}, at;
		bool is_new;

		r = strtab_intern(texts, p->frames[i].name, strlen(p->frames[i].name), &key[0], NULL);
		if (r == 0)
			r = strtab_intern(texts, file, strlen(file), &key[1], NULL);
		key[2] = p->frames[i].synthetic;
		if (r == 0)
			r = strtab_intern(keys, (const char *)key, sizeof(key), &at, &is_new);
		if (r < 0)
			break;
		f->number[i] = at - 1;
		if (is_new)
			f->first[f->n++] = i;
	}
	(void)strtab_free(keys);
	(void)strtab_free(texts);
	return r;
}

static void put_frames(const struct profile *p, const struct speed_frames *f, struct json *j)
{
	json_key(j, "shared");
	json_object_begin(j);
	json_key(j, "frames");
	json_array_begin(j);
	for (u32 i = 0; i < f->n; i++) {
		const struct profile_frame *frame = &p->frames[f->first[i]];

		json_object_begin(j);
		json_kv_string(j, "name", frame->name);
		if (frame->file || frame->module)
			json_kv_string(j, "file", frame->file ? frame->file : frame->module);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void put_profile(const struct profile *p, const struct speed_frames *f, const char *name, struct json *j)
{
	json_object_begin(j);
	json_kv_string(j, "type", "sampled");
	json_kv_string(j, "name", name);
	json_kv_string(j, "unit", "nanoseconds");
	json_kv_u64(j, "startValue", 0);
	json_kv_u64(j, "endValue", p->ns);
	json_key(j, "samples");
	json_array_begin(j);
	for (u32 i = 0; i < p->n_stacks; i++) {
		json_array_begin(j);
		for (u32 k = 0; k < p->stacks[i].n; k++)
			json_u64(j, f->number[p->stacks[i].frames[k]]);
		json_array_end(j);
	}
	json_array_end(j);
	json_key(j, "weights");
	json_array_begin(j);
	for (u32 i = 0; i < p->n_stacks; i++)
		json_u64(j, p->stacks[i].ns);
	json_array_end(j);
	json_object_end(j);
}

int export_speedscope(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret)
{
	_cleanup_(speed_frames_release) struct speed_frames f = {0};
	_cleanup_profile_ struct profile p = {0};
	char name[160];
	struct json j;
	int r;

	r = export_profile(db, o, &p);
	if (r == 0)
		r = number_frames(&p, &f);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "%s of %.100s", export_profile_word(o), text_basename(o->file));
	json_init(&j, out, false);
	json_object_begin(&j);
	json_kv_string(&j, "$schema", "https://www.speedscope.app/file-format-schema.json");
	json_kv_string(&j, "exporter", "ascope@" ASCOPE_VERSION);
	json_kv_string(&j, "name", name);
	json_kv_u64(&j, "activeProfileIndex", 0);
	put_frames(&p, &f, &j);
	json_key(&j, "profiles");
	json_array_begin(&j);
	put_profile(&p, &f, name, &j);
	json_array_end(&j);
	json_object_end(&j);
	(void)fputc('\n', out);
	*ret = (struct export_result){.events = p.n_stacks};
	return 0;
}
