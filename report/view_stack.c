/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_stack.c: see view_stack.h. */
#include "report/view_stack.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/sqlrow.h"
#include "report/stack_status.h"
#include "report/view_text.h"

/* Recursion is shown this far unless --full. */
#define VSTACK_MAX_SHOWN 24
#define CALLED_SHOWN	 3 /* frames of libraries, at either end of what the user's code called */
#define ALONE_SHOWN	 8 /* and when there is no frame of the user's */

static bool is_kind(const struct vframe *f, enum frame_kind k)
{
	return f->has_kind && f->kind == k;
}

/* What a frame is to the user: other people's code that says what it does (names included that are missing), or his own. */
static bool is_called(const struct vframe *f)
{
	return !f->has_kind || f->kind == FRAME_LIBRARY || f->kind == FRAME_JIT;
}

/* Index of the frame that polls the task, s->n when there is none: further out nothing is the task's. */
static u32 task_poll_index(const struct vstack *s)
{
	for (u32 i = 0; i < s->n; i++)
		if (is_kind(&s->frames[i], FRAME_RUNTIME) && s->frames[i].polls_task)
			return i;
	return s->n;
}

/*
 * Where code of the user's around a root future begins: at the outermost block_on, as what that future itself blocks on is further
 * in. s->n when there is none.
 */
static u32 root_index(const struct vstack *s)
{
	for (u32 i = s->n; i-- > 0;)
		if (is_kind(&s->frames[i], FRAME_RUNTIME) && s->frames[i].blocks_on)
			return i;
	return s->n;
}

/*
 * What people read: the user's own frames within the task or root future, and what these called in libraries and scripts (the
 * first and the last few of it). Around the user's code is what runs it: runtime, web framework, thread start, or a script.
 * Without any frame of the user's the innermost ones of libraries and without names stand in.
 */
void vstack_mark_shown(struct vstack *s)
{
	u32 end = task_poll_index(s), user = 0, seen = 0, total = 0;

	while (user < end && !is_kind(&s->frames[user], FRAME_USER))
		user++;
	if (end == s->n && user < root_index(s))
		end = root_index(s);
	for (u32 i = 0; i < user; i++)
		total += is_called(&s->frames[i]);
	for (u32 i = 0; i < end; i++) {
		struct vframe *f = &s->frames[i];

		if (i >= user) {
			f->shown = is_kind(f, FRAME_USER) || is_kind(f, FRAME_JIT);
		} else if (is_called(f)) {
			seen++;
			f->shown = user == end ? seen <= ALONE_SHOWN : seen <= CALLED_SHOWN || seen + CALLED_SHOWN > total;
		}
	}
}

int vframe_name(const struct vframe *f, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (f->function)
		buf_puts(&b, f->function);
	else if (f->module)
		buf_printf(&b, "%s+0x%llx", text_basename(f->module), (unsigned long long)f->file_off);
	else
		buf_printf(&b, "0x%llx", (unsigned long long)f->file_off);
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

static int plain_label(const struct vframe *f, bool full, char **ret)
{
	_cleanup_free_ char *raw = NULL;
	char name[FRAME_NAME_LEN];
	int r;

	/*
	 * Of a library's function the path says most, of the user's own file and line do; of a kernel or C function there is no
	 * more than its name.
	 */
	if (f->function && is_kind(f, FRAME_USER) && !full)
		return text_clean(frame_display_function(f->function, name, sizeof(name)), "?", ret);
	if (f->function && !is_kind(f, FRAME_KERNEL) && !is_kind(f, FRAME_NATIVE) && !is_kind(f, FRAME_JIT) && !full)
		return text_clean(frame_function_path(f->function, name, sizeof(name)), "?", ret);
	r = vframe_name(f, &raw);
	return r < 0 ? r : text_clean(raw, "", ret);
}

int vframe_label(const struct vframe *f, bool full, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *plain = NULL;
	int r;

	if (!f->guessed)
		return plain_label(f, full, ret);
	r = plain_label(f, full, &plain);
	if (r < 0)
		return r;
	buf_printf(&b, "%s?", plain);
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

const struct vframe *vstack_place(const struct vstack *s)
{
	static const enum frame_kind order[] = {FRAME_USER, FRAME_JIT, FRAME_LIBRARY};
	u32 end = task_poll_index(s);

	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		for (u32 i = 0; i < end; i++)
			if (is_kind(&s->frames[i], order[k]))
				return &s->frames[i];
	return s->n ? &s->frames[0] : NULL;
}

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; name && i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

bool kernel_frame_is_watcher(const char *name)
{
	static const char *const prefixes[] = {"bpf_prog_", "bpf_trace_run", "__bpf_trace_", "__traceiter_", "bpf_trampoline_"};

	for (size_t i = 0; name && i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* The scheduler's own frames, and those of whoever watches it. */
static bool is_scheduler_entry(const char *name)
{
	static const char *const names[] = {"__schedule", "schedule", "preempt_schedule_common", "__cond_resched"};

	return kernel_frame_is_watcher(name) || in_list(name, names, ARRAY_SIZE(names));
}

static bool is_trampoline(const char *name)
{
	static const char *const names[] = {"do_syscall_64",	    "x64_sys_call",	 "entry_SYSCALL_64_after_hwframe",
					    "entry_SYSCALL_64",	    "ret_from_fork",	 "asm_exc_page_fault",
					    "invoke_syscall",	    "el0_svc_common",	 "el0_svc_common.constprop.0",
					    "do_el0_svc",	    "ret_from_fork_asm", "el0_svc",
					    "el0t_64_sync_handler", "el0t_64_sync"};

	return in_list(name, names, ARRAY_SIZE(names));
}

void vstack_kernel_core(const struct vstack *s, u32 *ret_first, u32 *ret_end)
{
	u32 first = 0, end = s->n;

	while (first < end && is_scheduler_entry(s->frames[first].function))
		first++;
	while (end > first && is_trampoline(s->frames[end - 1].function))
		end--;
	/* A stack of nothing else: better all of it than none. */
	*ret_first = first == end ? 0 : first;
	*ret_end = first == end ? s->n : end;
}

static int print_frame(const struct vframe *f, const struct vstack_style *style, u32 name_width, FILE *out)
{
	_cleanup_free_ char *name = NULL, *place = NULL;
	int r;

	r = vframe_label(f, style->full, &name);
	if (r == 0)
		r = text_place(f->file, f->line, style->full, &place);
	if (r < 0)
		return r;
	(void)fprintf(out, "%*s", (int)style->indent, "");
	if (!*place) {
		(void)fprintf(out, "%s", name);
	} else if (style->indent + max_u64(text_width(name), name_width) + 2 + text_width(place) <= style->width) {
		text_left(out, name, name_width);
		(void)fprintf(out, "  %s", place);
	} else {
		/* Neither is cut: the place gets a line of its own. */
		(void)fprintf(out, "%s\n%*s%s", name, (int)style->indent + 4, "", place);
	}
	(void)fputs(style->full && f->inlined ? "  (inlined)\n" : "\n", out);
	return 0;
}

/*
 * A run [from, to) of folded frames. The first run of a stack is named by its outermost function: it is what the user's code
 * called.
 */
static int print_fold(const struct vstack *s, u32 from, u32 to, const struct vstack_style *style, FILE *out)
{
	_cleanup_free_ char *name = NULL, *place = NULL;
	u32 seen[FRAME_KERNEL + 1] = {0};
	bool called = from == 0 && to < s->n && s->frames[to - 1].function;
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;
	const char *what;
	int r;

	for (u32 i = from; i < to; i++)
		seen[s->frames[i].has_kind ? s->frames[i].kind : FRAME_NATIVE]++;
	/* those of the user's that are folded ran what is told, and are no part of it */
	what = seen[FRAME_USER]	     ? "outer"
	       : seen[FRAME_RUNTIME] ? "runtime"
	       : seen[FRAME_LIBRARY] ? "library"
	       : seen[FRAME_STD]     ? "std"
	       : seen[FRAME_JIT]     ? "JIT"
				     : "native";
	buf_printf(&b, "... %u %s frame%s", to - from, what, to - from == 1 ? "" : "s");
	if (called) {
		r = vframe_label(&s->frames[to - 1], false, &name);
		if (r < 0)
			return r;
		buf_printf(&b, ", called as %s", name);
		/* Debug info of inlined generic functions has no path: then the file tells which `lock` it is. */
		if (!strstr(name, "::") && s->frames[to - 1].file) {
			r = text_place(s->frames[to - 1].file, 0, false, &place);
			if (r < 0)
				return r;
			buf_printf(&b, " in %s", place);
		}
	}
	buf_puts(&b, " (--full)");
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	(void)fprintf(out, "%*s", (int)style->indent, "");
	text_paragraph(out, style->width, style->indent + 4, style->indent, text);
	return 0;
}

/* The widest name among the frames that will be shown, as far as it leaves room for places. */
static int name_column(const struct vstack *s, const struct vstack_style *style, u32 *ret)
{
	u32 widest = 0, limit = (style->width - style->indent) / 2;

	for (u32 i = 0; i < s->n; i++) {
		_cleanup_free_ char *name = NULL;
		u32 w;
		int r;

		if (!s->frames[i].file || (!style->full && !s->frames[i].shown))
			continue;
		r = vframe_label(&s->frames[i], style->full, &name);
		if (r < 0)
			return r;
		w = text_width(name);
		if (w <= limit && w > widest)
			widest = w;
	}
	*ret = widest;
	return 0;
}

/* Why there is no more: the reason, and the module that is the cause of it. */
static int print_cut(const struct vstack *s, const struct vstack_style *style, FILE *out)
{
	const char *path = s->n && s->has_culprit ? s->frames[s->n - 1].module : NULL;
	_cleanup_free_ char *module = NULL, *text = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	int r;

	r = text_clean(path ? text_basename(path) : NULL, "", &module);
	if (r < 0)
		return r;
	buf_printf(&b, "... the stack could not be walked %s: %s", s->n ? "further" : "at all", s->why);
	if (*module)
		buf_printf(&b, " (%s)", module);
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	(void)fprintf(out, "%*s", (int)style->indent, "");
	text_paragraph(out, style->width, style->indent + 4, style->indent, text);
	return 0;
}

int vstack_print(const struct vstack *s, const struct vstack_style *style, FILE *out)
{
	u32 width, shown = 0;
	int r;

	r = name_column(s, style, &width);
	if (r < 0)
		return r;
	for (u32 i = 0; i < s->n;) {
		u32 end = i;

		while (!style->full && end < s->n && !s->frames[end].shown)
			end++;
		if (end > i) {
			r = print_fold(s, i, end, style, out);
			if (r < 0)
				return r;
			i = end;
			continue;
		}
		if (!style->full && shown == VSTACK_MAX_SHOWN) {
			(void)fprintf(out, "%*s... %u more frames (--full)\n", (int)style->indent, "", s->n - i);
			break;
		}
		r = print_frame(&s->frames[i++], style, width, out);
		if (r < 0)
			return r;
		shown++;
	}
	return s->cut ? print_cut(s, style, out) : 0;
}

int vstack_print_kernel(const struct vstack *s, const struct vstack_style *style, FILE *out)
{
	static const char label[] = "kernel   ";
	u32 first = 0, end = s->n, indent = style->indent + (u32)sizeof(label) - 1;
	struct text_wrap w;
	int r;

	if (!s->n)
		return 0;
	if (!style->full)
		vstack_kernel_core(s, &first, &end);
	(void)fprintf(out, "%*s%s", (int)style->indent, "", label);
	text_wrap_begin(&w, out, style->width, indent, indent, " < ");
	for (u32 i = first; i < end; i++) {
		_cleanup_free_ char *name = NULL;

		r = vframe_label(&s->frames[i], style->full, &name);
		if (r < 0)
			return r;
		text_wrap_word(&w, name);
	}
	(void)fputc('\n', out);
	return 0;
}

void vstack_json(const struct vstack *s, struct json *j)
{
	for (u32 i = 0; i < s->n; i++) {
		const struct vframe *f = &s->frames[i];

		json_object_begin(j);
		json_kv_string(j, "function", f->function);
		json_kv_string(j, "file", f->file);
		json_kv_u64_or_null(j, "line", f->line, f->line);
		json_kv_bool(j, "inlined", f->inlined);
		json_kv_string(j, "module", f->module);
		json_kv_string(j, "kind", f->has_kind ? frame_kind_name(f->kind) : NULL);
		json_kv_u64(j, "file_off", f->file_off);
		json_kv_bool(j, "guessed", f->guessed);
		json_object_end(j);
	}
}
