/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_stacks.c: see html_stacks.h. */
#include "report/html_stacks.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "report/html_limits.h"
#include "report/view_text.h"

enum { FUNCTION_SHOWN = 1, FUNCTION_INLINED = 2, FUNCTION_GUESSED = 4, FUNCTION_KERNEL = 8 };

/* Without padding: their bytes are keys. */
struct html_function {
	u64 line;
	u32 name, label, file, module, kind, bits; /* kind: position of a text */
};
struct html_stack_key {
	u64 id, kernel;
};

int html_stacks_init(struct html_stacks *s, sqlite3 *db)
{
	*s = (struct html_stacks){.texts = strtab_new(), .functions = strtab_new(), .stacks = strtab_new()};
	if (!s->texts || !s->functions || !s->stacks)
		return -ENOMEM;
	return vstack_loader_init(&s->loader, db);
}

void html_stacks_release(struct html_stacks *s)
{
	for (u32 i = 0; s->stacks && i < strtab_count(s->stacks) && i < s->cap_lists; i++)
		buf_release(&s->lists[i]);
	free(s->lists);
	free(s->whys);
	s->texts = strtab_free(s->texts);
	s->functions = strtab_free(s->functions);
	s->stacks = strtab_free(s->stacks);
	vstack_loader_release(&s->loader);
}

int html_text_add(struct html_stacks *s, const char *text, u32 *ret)
{
	_cleanup_free_ char *clean = NULL;
	int r = text_clean(text, "", &clean);

	return r < 0 ? r : strtab_intern(s->texts, clean, strlen(clean), ret, NULL);
}

static int add_function(struct html_stacks *s, const struct vframe *f, u32 *ret)
{
	struct html_function key = {.line = f->line};
	_cleanup_free_ char *name = NULL, *label = NULL;
	int r = vframe_name(f, &name);

	if (r == 0)
		r = vframe_label(f, false, &label);
	if (r == 0)
		r = html_text_add(s, name, &key.name);
	if (r == 0)
		r = html_text_add(s, label, &key.label);
	if (r == 0)
		r = html_text_add(s, f->file, &key.file);
	if (r == 0)
		r = html_text_add(s, f->module, &key.module);
	if (r == 0 && f->has_kind)
		r = html_text_add(s, frame_kind_name(f->kind), &key.kind);
	if (r < 0)
		return r;
	key.bits = (f->shown ? FUNCTION_SHOWN : 0) | (f->inlined ? FUNCTION_INLINED : 0) | (f->guessed ? FUNCTION_GUESSED : 0) |
		   (f->has_kind && f->kind == FRAME_KERNEL ? FUNCTION_KERNEL : 0);
	return strtab_intern(s->functions, (const char *)&key, sizeof(key), ret, NULL);
}

static int fill(struct html_stacks *s, u32 at, u64 stack_id, bool kernel)
{
	_cleanup_vstack_ struct vstack v = {0};
	u32 first = 0, end, function;
	int r = vstack_load(&s->loader, stack_id, kernel, &v);

	if (r < 0)
		return r;
	end = v.n;
	if (kernel)
		vstack_kernel_core(&v, &first, &end);
	for (u32 i = first; i < end && i - first < HTML_MAX_FRAMES; i++) {
		r = add_function(s, &v.frames[i], &function);
		if (r < 0)
			return r;
		buf_put(&s->lists[at], &function, sizeof(function));
	}
	s->whys[at] = end - first > HTML_MAX_FRAMES ? "deeper frames are left out of this file" : v.cut ? v.why : NULL;
	return buf_err(&s->lists[at]);
}

int html_stack_add(struct html_stacks *s, u64 stack_id, bool kernel, u32 *ret)
{
	const struct html_stack_key key = {stack_id, kernel};
	bool is_new;
	int r;

	*ret = 0;
	if (!stack_id)
		return 0;
	r = ARRAY_ROOM(s->lists, strtab_count(s->stacks), &s->cap_lists);
	if (r == 0)
		r = ARRAY_ROOM(s->whys, strtab_count(s->stacks), &s->cap_whys);
	if (r == 0)
		r = strtab_intern(s->stacks, (const char *)&key, sizeof(key), ret, &is_new);
	if (r < 0 || !is_new)
		return r;
	if (*ret > HTML_MAX_STACKS) {
		s->left++;
		s->whys[*ret - 1] = "this stack had no room in this file";
		return 0;
	}
	return fill(s, *ret - 1, stack_id, kernel);
}

static void put_function(const struct html_stacks *s, u32 at, struct json *j)
{
	struct html_function f;
	size_t len;

	memcpy(&f, strtab_get(s->functions, at, &len), sizeof(f));
	json_array_begin(j);
	json_u64(j, f.name);
	json_u64(j, f.file);
	json_u64(j, f.line);
	json_u64(j, f.module);
	json_string(j, f.kind ? strtab_get(s->texts, f.kind, &len) : NULL);
	json_u64(j, f.bits);
	json_u64(j, f.label);
	json_array_end(j);
}

void html_stacks_put(const struct html_stacks *s, struct json *j)
{
	size_t len;

	json_key(j, "texts");
	json_array_begin(j);
	json_null(j);
	for (u32 i = 1; i <= strtab_count(s->texts); i++)
		json_string(j, strtab_get(s->texts, i, &len));
	json_array_end(j);
	json_key(j, "functions");
	json_array_begin(j);
	json_null(j);
	for (u32 i = 1; i <= strtab_count(s->functions); i++)
		put_function(s, i, j);
	json_array_end(j);
	json_key(j, "stacks");
	json_array_begin(j);
	json_null(j);
	for (u32 i = 0; i < strtab_count(s->stacks); i++) {
		const struct buf *list = &s->lists[i];

		json_object_begin(j);
		json_key(j, "f");
		json_array_begin(j);
		for (size_t k = 0; k < list->len / sizeof(u32); k++) {
			u32 function;

			memcpy(&function, list->data + k * sizeof(u32), sizeof(function));
			json_u64(j, function);
		}
		json_array_end(j);
		json_kv_string(j, "why", s->whys[i]);
		json_object_end(j);
	}
	json_array_end(j);
}
