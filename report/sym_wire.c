/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_wire.c: see sym_wire.h. Used by both ends: sym_child.c and sym_serve.c. */
#include "report/sym_wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

/* Code has a few inlined frames at each place, not the most everywhere: what a child may make the parent keep. */
#define FRAMES_PER_LOOKUP 32
#define FRAMES_ALWAYS	  65536
#define STRINGS_MAX	  (8U << 20)

void sym_wire_put(struct buf *b, enum sym_wire_kind kind, const void *payload, u32 len)
{
	struct sym_wire_head h = {.len = len, .kind = kind};

	buf_put(b, &h, sizeof(h));
	buf_put(b, payload, len);
}

/* ---- the parent's side ---- */

int sym_answers_init(struct sym_answers *a, u64 n_lookups)
{
	*a = (struct sym_answers){.n_lookups = n_lookups, .text = {.max = SYM_WIRE_STRINGS_MAX}};
	a->ends = calloc(n_lookups ? n_lookups : 1, sizeof(*a->ends));
	return a->ends ? 0 : -ENOMEM;
}

void sym_answers_release(struct sym_answers *a)
{
	buf_release(&a->in);
	buf_release(&a->text);
	free(a->strings);
	free(a->frames);
	free(a->ends);
	free(a->tasks);
	*a = (struct sym_answers){0};
}

static int broken(struct sym_answers *a, const char *what)
{
	a->state = SYM_ANSWERS_BROKEN;
	(void)snprintf(a->why, sizeof(a->why), "%s", what);
	return -EBADMSG;
}

static int take_opened(struct sym_answers *a, const u8 *p, u32 len)
{
	struct sym_wire_opened o;

	if (a->state != SYM_ANSWERS_OPENING || len != sizeof(o))
		return broken(a, "an unexpected beginning");
	memcpy(&o, p, sizeof(o));
	if (o.source > SYM_DWARF || o.dwarf_percent > 100)
		return broken(a, "a beginning that makes no sense");
	a->opened = o;
	a->state = SYM_ANSWERS_RUNNING;
	return 0;
}

/* The phrase is printed: only plain ASCII of it is kept. */
static int take_failed(struct sym_answers *a, const u8 *p, u32 len)
{
	struct sym_wire_failed f;
	u32 n;

	if (a->state > SYM_ANSWERS_RUNNING || len < sizeof(f))
		return broken(a, "an unexpected failure");
	memcpy(&f, p, sizeof(f));
	if (f.err >= 0 || f.err < -4095)
		return broken(a, "a failure that makes no sense");
	n = len - (u32)sizeof(f);
	n = n < SYM_WIRE_WHY_MAX - 1 ? n : SYM_WIRE_WHY_MAX - 1;
	for (u32 i = 0; i < n; i++) {
		u8 c = p[sizeof(f) + i];

		a->why[i] = c >= ' ' && c < 0x7f ? (char)c : '?';
	}
	a->why[n] = '\0';
	a->err = f.err;
	a->state = SYM_ANSWERS_FAILED;
	return 0;
}

static int take_string(struct sym_answers *a, const u8 *p, u32 len)
{
	if (a->state != SYM_ANSWERS_RUNNING)
		return broken(a, "an unexpected string");
	if (len > SYM_WIRE_STRING_MAX || memchr(p, 0, len))
		return broken(a, "a string that is too long or not text");
	if (a->text.len + len + 1 > SYM_WIRE_STRINGS_MAX || a->n_strings == STRINGS_MAX)
		return broken(a, "too much text");
	if (ARRAY_ROOM_RAW(a->strings, a->n_strings, &a->cap_strings) < 0)
		return -ENOMEM;
	a->strings[a->n_strings++] = a->text.len;
	buf_put(&a->text, p, len);
	buf_putc(&a->text, 0);
	return buf_err(&a->text);
}

static int take_frames(struct sym_answers *a, const u8 *p, u32 len)
{
	u32 n = len / (u32)sizeof(struct sym_wire_frame);

	if (a->state != SYM_ANSWERS_RUNNING || a->n_lookups_done == a->n_lookups)
		return broken(a, "an answer to nothing");
	if (len % sizeof(struct sym_wire_frame) || n > SYM_MAX_INLINE)
		return broken(a, "an answer of impossible length");
	if (a->n_frames + n > FRAMES_ALWAYS && (a->n_frames + n) / FRAMES_PER_LOOKUP > a->n_lookups)
		return broken(a, "too many frames");
	if (ARRAY_ROOM_RAW(a->frames, a->n_frames + n, &a->cap_frames) < 0)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		struct sym_wire_frame f;

		memcpy(&f, p + i * sizeof(f), sizeof(f));
		if (!f.function || f.function > a->n_strings || f.file > a->n_strings || f.typed_name > a->n_strings ||
		    f.inlined > 1)
			return broken(a, "a frame of strings that were not sent");
		a->frames[a->n_frames++] = (struct sym_answer){
			.function = f.function, .file = f.file, .typed_name = f.typed_name, .line = f.line, .inlined = f.inlined};
	}
	a->ends[a->n_lookups_done++] = a->n_frames;
	return 0;
}

static int take_task(struct sym_answers *a, const u8 *p, u32 len)
{
	struct sym_wire_task t;

	if (a->state != SYM_ANSWERS_RUNNING || a->n_tasks_done == a->n_tasks || len != sizeof(t))
		return broken(a, "a type of a task that was not asked for");
	memcpy(&t, p, sizeof(t));
	if (t.name > a->n_strings || t.how > TASK_CANDIDATES || t.kind >= TASK_KINDS || !t.name != !t.how)
		return broken(a, "a type of a task that makes no sense");
	if (ARRAY_ROOM_RAW(a->tasks, a->n_tasks_done, &a->cap_tasks) < 0)
		return -ENOMEM;
	a->tasks[a->n_tasks_done++] = t;
	return 0;
}

static int take_done(struct sym_answers *a, const u8 *p, u32 len)
{
	if (a->state != SYM_ANSWERS_RUNNING || len != sizeof(a->done) || a->n_lookups_done != a->n_lookups ||
	    a->n_tasks_done != a->n_tasks)
		return broken(a, "an end before all was answered");
	memcpy(&a->done, p, sizeof(a->done));
	a->state = SYM_ANSWERS_DONE;
	return 0;
}

static int take_record(struct sym_answers *a, u32 kind, const u8 *p, u32 len)
{
	switch (kind) {
	case SYM_WIRE_OPENED:
		return take_opened(a, p, len);
	case SYM_WIRE_FAILED:
		return take_failed(a, p, len);
	case SYM_WIRE_STRING:
		return take_string(a, p, len);
	case SYM_WIRE_FRAMES:
		return take_frames(a, p, len);
	case SYM_WIRE_DONE:
		return take_done(a, p, len);
	case SYM_WIRE_TASK:
		return take_task(a, p, len);
	default:
		return broken(a, "a record of no known kind");
	}
}

/* Takes the whole records out of n bytes; 0 and how many bytes they were. */
static int take_records(struct sym_answers *a, const u8 *p, size_t n, size_t *ret_used)
{
	size_t pos = 0;

	while (n - pos >= sizeof(struct sym_wire_head)) {
		struct sym_wire_head h;
		int err;

		memcpy(&h, p + pos, sizeof(h));
		if (h.len > SYM_WIRE_RECORD_MAX)
			return broken(a, "a record that is too long");
		if (h.len > n - pos - sizeof(h))
			break;
		err = take_record(a, h.kind, p + pos + sizeof(h), h.len);
		if (err)
			return err;
		pos += sizeof(h) + h.len;
	}
	*ret_used = pos;
	return 0;
}

int sym_answers_feed(struct sym_answers *a, const void *p, size_t n)
{
	size_t used = 0;
	int err;

	if (a->state == SYM_ANSWERS_BROKEN)
		return -EBADMSG;
	if (!a->in.len) { /* the usual case: no copy of what is whole */
		err = take_records(a, p, n, &used);
		if (err)
			return err;
		p = (const u8 *)p + used;
		n -= used;
	}
	if (!n)
		return 0;
	buf_put(&a->in, p, n);
	if (buf_err(&a->in))
		return buf_err(&a->in);
	err = take_records(a, a->in.data, a->in.len, &used);
	if (err)
		return err;
	if (used) /* not for each byte of a record that comes byte by byte */
		memmove(a->in.data, a->in.data + used, a->in.len - used);
	a->in.len -= used;
	return 0;
}

const char *sym_answers_string(const struct sym_answers *a, u32 idx)
{
	return idx && idx <= a->n_strings ? (const char *)a->text.data + a->strings[idx - 1] : "";
}

const struct sym_answer *sym_answers_frames(const struct sym_answers *a, u64 i, u32 *ret_n)
{
	u64 start = i && i < a->n_lookups_done ? a->ends[i - 1] : 0;

	*ret_n = i < a->n_lookups_done ? (u32)(a->ends[i] - start) : 0;
	return *ret_n ? a->frames + start : NULL;
}

struct sym_wire_task sym_answers_task(const struct sym_answers *a, u64 i)
{
	return i < a->n_tasks_done ? a->tasks[i] : (struct sym_wire_task){0};
}

/* ---- requests for files of split DWARF ---- */

int sym_wire_put_want(const struct sym_split_want *w, u8 *out)
{
	struct sym_wire_want head = {.dwo_id = w->dwo_id, .nth = w->nth, .has_comp_dir = !!w->comp_dir, .has_name = !!w->name};
	size_t n_dir = w->comp_dir ? strlen(w->comp_dir) + 1 : 0, n_name = w->name ? strlen(w->name) + 1 : 0;

	if (n_dir > SYM_WIRE_WANT_MAX || n_name > SYM_WIRE_WANT_MAX || sizeof(head) + n_dir + n_name > SYM_WIRE_WANT_MAX)
		return -ENAMETOOLONG;
	memcpy(out, &head, sizeof(head));
	if (n_dir)
		memcpy(out + sizeof(head), w->comp_dir, n_dir);
	if (n_name)
		memcpy(out + sizeof(head) + n_dir, w->name, n_name);
	return (int)(sizeof(head) + n_dir + n_name);
}

/* One string out of the rest of a packet. */
static const char *take_text(const u8 **p, size_t *left)
{
	const u8 *start = *p, *nul = *left ? memchr(start, 0, *left) : NULL;

	if (!nul)
		return NULL;
	*left -= (size_t)(nul - start) + 1;
	*p = nul + 1;
	return (const char *)start;
}

int sym_wire_get_want(const u8 *p, size_t n, struct sym_split_want *ret)
{
	struct sym_wire_want head;
	struct sym_split_want w = {0};

	if (n < sizeof(head) || n > SYM_WIRE_WANT_MAX)
		return -EBADMSG;
	memcpy(&head, p, sizeof(head));
	p += sizeof(head);
	n -= sizeof(head);
	w.dwo_id = head.dwo_id;
	w.nth = head.nth;
	if (head.has_comp_dir && !(w.comp_dir = take_text(&p, &n)))
		return -EBADMSG;
	if (head.has_name && !(w.name = take_text(&p, &n)))
		return -EBADMSG;
	if (n)
		return -EBADMSG;
	*ret = w;
	return 0;
}
