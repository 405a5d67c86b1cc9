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
