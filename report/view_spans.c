/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_spans.c: see view_spans.h. */
#include "report/view_spans.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define LABEL_WIDTH 28

int span_thread_label(const struct capture_facts *f, const struct tl_thread *t, char *buf, size_t n)
{
	_cleanup_free_ char *name = NULL;
	int r = text_clean(t->name, "?", &name);

	if (r < 0)
		return r;
	if (t->has_worker && f->mt_runtimes > 1)
		(void)snprintf(buf, n, "rt %llu worker %llu", (unsigned long long)t->runtime_id, (unsigned long long)t->worker);
	else if (t->has_worker)
		(void)snprintf(buf, n, "worker %llu", (unsigned long long)t->worker);
	else
		(void)snprintf(buf, n, "%.*s", LABEL_WIDTH, name);
	return 0;
}

void text_bar(FILE *out, u64 value, u64 max, u32 width, bool ascii)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	u64 all = max ? (u64)((double)value / (double)max * width * 8 + 0.5) : 0;
	u32 full;

	if (value && !all)
		all = 1;
	all = min_u64(all, (u64)width * 8);
	full = (u32)(all / 8);
	if (ascii && all % 8 >= 4)
		full++;
	if (ascii && value && !full)
		full = 1;
	for (u32 col = 0; col < full; col++)
		(void)fputs(ascii ? "#" : "█", out);
	if (!ascii && all % 8)
		(void)fputs(eighths[all % 8], out);
}

void span_heading(FILE *out, const struct report_opts *o, const char *text)
{
	(void)fputc('\n', out);
	text_color(out, o->color, TEXT_BOLD, text);
}

void span_line(FILE *out, const struct report_opts *o, const char *label, const char *text)
{
	(void)fprintf(out, "  %-13s", label);
	text_paragraph(out, o->width, 15, 15, text);
}

int span_filters(FILE *out, const struct report_opts *o)
{
	_cleanup_free_ char *comm = NULL, *class_is = NULL, *text = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r = text_clean(o->comm, "", &comm);

	if (r == 0)
		r = text_clean(o->class_is, "", &class_is);
	if (r < 0)
		return r;
	if (o->pid)
		buf_printf(&b, ", pid %llu", (unsigned long long)o->pid);
	if (o->tid)
		buf_printf(&b, ", tid %llu", (unsigned long long)o->tid);
	if (o->comm)
		buf_printf(&b, ", threads named %s", comm);
	if (o->task)
		buf_printf(&b, ", in polls of task %llu", (unsigned long long)o->task);
	if (o->class_is)
		buf_printf(&b, ", class %s", class_is);
	if (o->min_ns)
		buf_printf(&b, ", at least %s", text_threshold(o->min_ns).s);
	if (o->max_ns)
		buf_printf(&b, ", at most %s", text_threshold(o->max_ns).s);
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	if (*text)
		(void)fprintf(out, "  only %s\n", text + 2);
	return 0;
}

void span_filters_json(struct json *j, const struct report_opts *o)
{
	json_key(j, "filters");
	json_object_begin(j);
	json_kv_u64_or_null(j, "pid", o->pid, o->pid);
	json_kv_u64_or_null(j, "tid", o->tid, o->tid);
	json_kv_string(j, "comm", o->comm);
	json_kv_u64_or_null(j, "task", o->task, o->task);
	json_kv_string(j, "class", o->class_is);
	json_kv_u64(j, "min", o->min_ns);
	json_kv_u64_or_null(j, "max", o->max_ns, o->max_ns);
	json_kv_bool(j, "all", o->all);
	json_object_end(j);
}

void span_thread_json(struct json *j, const struct tl_thread *t)
{
	json_kv_u64(j, "pid", t->pid);
	json_kv_u64(j, "tid", t->tid);
	json_kv_string(j, "name", t->name);
	json_kv_u64_or_null(j, "worker", t->has_worker, t->worker);
}

int span_json_begin(sqlite3 *db, const struct report_opts *o, const struct capture_facts *f, FILE *out, struct json *j)
{
	int r = view_json_begin(db, f, out, j);

	if (r < 0)
		return r;
	json_kv_u64(j, "window_start", f->lo);
	json_kv_u64(j, "window_end", f->hi);
	span_filters_json(j, o);
	return 0;
}
