/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stack_calls.c: see stack_calls.h. */
#include "report/stack_calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "report/export_stacks.h"

#define CALLS_MAX_BYTES ((size_t)64 << 20)

/* Text that a JSON string has as it is. */
static bool is_plain(const char *s)
{
	while (*s >= ' ' && *s < 0x7f && *s != '"' && *s != '\\')
		s++;
	return !*s;
}

int json_inner(const char *text, char **ret)
{
	_cleanup_free_ char *quoted = NULL;
	size_t n = 0;
	struct json j;
	FILE *out;

	if (is_plain(text ? text : "")) {
		*ret = strdup(text ? text : "");
		return *ret ? 0 : -ENOMEM;
	}
	out = open_memstream(&quoted, &n);
	if (!out)
		return -ENOMEM;
	json_init(&j, out, false);
	json_string(&j, text ? text : "");
	if (memstream_close(out, &quoted) < 0 || n < 2)
		return -ENOMEM;
	*ret = strndup(quoted + 1, n - 2);
	return *ret ? 0 : -ENOMEM;
}

int stack_calls_init(struct stack_calls *c, sqlite3 *db, const struct library_table *libraries, bool json)
{
	*c = (struct stack_calls){.libraries = libraries, .json = json};
	return vstack_loader_init(&c->loader, db);
}

static struct stack_call *call_free(struct stack_call *k)
{
	if (!k)
		return NULL;
	free(k->name);
	free(k->library);
	free(k->text);
	free(k);
	return NULL;
}

static void forget(struct stack_calls *c)
{
	for (size_t i = 0; i < c->n; i++)
		(void)call_free(c->rows[i]);
	free(c->rows);
	c->rows = NULL;
	c->n = c->cap = c->bytes = 0;
	u64map_release(&c->user);
	u64map_release(&c->kernel);
}

void stack_calls_release(struct stack_calls *c)
{
	forget(c);
	vstack_loader_release(&c->loader);
}

void stack_calls_trim(struct stack_calls *c)
{
	if (c->bytes > CALLS_MAX_BYTES)
		forget(c);
}

/* As json_inner() when the owner wants that; takes the text over. */
static int keep(const struct stack_calls *c, char **text)
{
	char *plain = *text;
	int r;

	if (!plain || !c->json)
		return 0;
	*text = NULL;
	r = json_inner(plain, text);
	free(plain);
	return r;
}

static const char *library_of(const struct stack_calls *c, const struct vframe *f, char *buf, size_t n)
{
	return f->has_kind ? library_table_name(c->libraries, f->function, f->file, f->kind, buf, n) : NULL;
}

static const char *category(const struct stack_calls *c, const char *library, const struct vframe *f)
{
	const char *word = library ? library_table_category(c->libraries, library) : "";

	return *word ? word : f->has_kind ? frame_kind_name(f->kind) : "unknown";
}

static int name_call(struct stack_calls *c, const struct vstack *s, struct stack_call *k)
{
	const struct vframe *place = vstack_place(s);
	char buf[LIBRARY_MAX_PREFIX + 1];
	int r;

	if (!place)
		return 0;
	r = vframe_label(place, false, &k->name);
	if (r < 0)
		return r;
	if (!*k->name) { /* viewers want a name of a slice */
		free(k->name);
		k->name = strdup("?");
		if (!k->name)
			return -ENOMEM;
	}
	k->category = category(c, library_of(c, place, buf, sizeof(buf)), place);
	if (!place->has_kind || place->kind != FRAME_USER)
		return 0;
	for (const struct vframe *f = place; f-- > s->frames;) {
		const char *library = library_of(c, f, buf, sizeof(buf));

		if (!library || !*library)
			continue;
		k->library = strdup(library);
		k->library_category = category(c, library, f);
		return k->library ? 0 : -ENOMEM;
	}
	return 0;
}

static int make_call(struct stack_calls *c, u64 stack_id, bool kernel, struct stack_call *k)
{
	_cleanup_vstack_ struct vstack s = {0};
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = vstack_load(&c->loader, stack_id, kernel, &s);

	if (r == 0)
		r = stack_line(&s, kernel, &b);
	if (r == 0)
		r = name_call(c, &s, k);
	if (r < 0)
		return r;
	k->text = buf_take_str(&b);
	if (!k->text)
		return -ENOMEM;
	r = keep(c, &k->text);
	if (r == 0) {
		k->text_n = strlen(k->text);
		r = keep(c, &k->name);
	}
	return r < 0 ? r : keep(c, &k->library);
}

static size_t text_bytes(const char *s)
{
	return s ? strlen(s) + 32 : 0;
}

int stack_calls_get(struct stack_calls *c, u64 stack_id, bool kernel, const struct stack_call **ret)
{
	struct u64map *map = kernel ? &c->kernel : &c->user;
	struct stack_call *k;
	u64 at;
	int r;

	*ret = NULL;
	if (!stack_id)
		return 0;
	if (u64map_get(map, stack_id, &at)) {
		*ret = c->rows[at];
		return 0;
	}
	if (ARRAY_ROOM(c->rows, c->n, &c->cap) < 0)
		return -ENOMEM;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	r = make_call(c, stack_id, kernel, k);
	if (r == 0)
		r = u64map_put(map, stack_id, c->n);
	if (r < 0) {
		(void)call_free(k);
		return r;
	}
	c->rows[c->n++] = k;
	c->bytes += sizeof(*k) + 64 + text_bytes(k->name) + text_bytes(k->library) + text_bytes(k->text);
	*ret = k;
	return 0;
}
