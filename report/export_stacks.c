/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* export_stacks.c: see export_stacks.h. */
#include "report/export_stacks.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/view_text.h"

/* Frames of one LINE form: an args panel shows a few lines. */
#define LINE_MAX_FRAMES 16

int stack_texts_init(struct stack_texts *t, sqlite3 *db, enum stack_form form)
{
	*t = (struct stack_texts){.form = form};
	return vstack_loader_init(&t->loader, db);
}

void stack_texts_release(struct stack_texts *t)
{
	vstack_loader_release(&t->loader);
	u64map_release(&t->index);
	for (size_t i = 0; i < t->n; i++) {
		free(t->rows[i].text);
		free(t->rows[i].place);
	}
	free(t->rows);
	*t = (struct stack_texts){0};
}

int folded_name(const char *raw, const char *suffix, char **ret)
{
	_cleanup_free_ char *clean = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	size_t n, digits;
	int r;

	r = text_clean(raw, "?", &clean);
	if (r < 0)
		return r;
	for (char *p = clean; *p; p++)
		if (*p == ';')
			*p = ':';
	n = digits = strlen(clean);
	while (digits && (isdigit((unsigned char)clean[digits - 1]) || clean[digits - 1] == '.'))
		digits--;
	if (digits < n && digits && clean[digits - 1] == ' ')
		clean[digits - 1] = '_';
	buf_printf(&b, "%s%s", *clean ? clean : "?", suffix);
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

static int make_folded(const struct vstack *s, struct buf *b)
{
	int r;

	if (s->cut)
		buf_puts(b, "[stack cut];");
	for (u32 i = s->n; i-- > 0;) {
		const struct vframe *f = &s->frames[i];
		_cleanup_free_ char *raw = NULL, *name = NULL;

		r = vframe_name(f, &raw);
		if (r == 0)
			r = folded_name(raw, f->has_kind && f->kind == FRAME_KERNEL ? "_[k]" : f->inlined ? "_[i]" : "", &name);
		if (r < 0)
			return r;
		buf_printf(b, "%s%s", name, i ? ";" : "");
	}
	return 0;
}

int stack_line(const struct vstack *s, bool kernel, struct buf *b)
{
	u32 first = 0, end = s->n, shown = 0;
	bool dots = false;
	int r;

	if (kernel)
		vstack_kernel_core(s, &first, &end);
	for (u32 i = first; i < end && shown < LINE_MAX_FRAMES; i++) {
		_cleanup_free_ char *name = NULL;

		/* The innermost frame is told in any case: it is what ran. */
		if (i != first && !kernel && !s->frames[i].shown) {
			dots = true;
			continue;
		}
		if (!s->frames[i].label) {
			r = vframe_label(&s->frames[i], false, &name);
			if (r < 0)
				return r;
		}
		buf_puts(b, shown ? " < " : "");
		buf_puts(b, dots && shown ? ".. < " : "");
		buf_puts(b, name ? name : s->frames[i].label);
		buf_puts(b, !name && s->frames[i].guessed ? "?" : "");
		dots = false;
		shown++;
	}
	return 0;
}

static int make_text(struct stack_texts *t, u64 stack_id, bool kernel, struct stack_text *ret)
{
	_cleanup_vstack_ struct vstack s = {0};
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	const struct vframe *place;
	int r;

	r = vstack_load(&t->loader, stack_id, kernel, &s);
	if (r < 0)
		return r;
	r = t->form == STACK_FORM_FOLDED ? make_folded(&s, &b) : stack_line(&s, kernel, &b);
	if (r < 0)
		return r;
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	*ret = (struct stack_text){0};
	place = vstack_place(&s);
	if (place) {
		r = vframe_label(place, false, &ret->place);
		if (r < 0)
			return r;
	}
	ret->text = TAKE_PTR(text);
	return 0;
}

int stack_texts_get(struct stack_texts *t, u64 stack_id, bool kernel, struct stack_text *ret)
{
	u64 at;
	int r;

	if (!stack_id) {
		*ret = (struct stack_text){NULL, NULL};
		return 0;
	}
	if (u64map_get(&t->index, stack_id, &at)) {
		*ret = t->rows[at];
		return 0;
	}
	if (t->n == t->cap) {
		size_t want = t->cap ? t->cap * 2 : 256;
		struct stack_text *p = reallocarray(t->rows, want, sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->rows = p;
		t->cap = want;
	}
	r = make_text(t, stack_id, kernel, &t->rows[t->n]);
	if (r < 0)
		return r;
	t->n++;
	*ret = t->rows[t->n - 1];
	return u64map_put(&t->index, stack_id, t->n - 1);
}
