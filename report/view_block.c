/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_block.c: see view_block.h. */
#include "report/view_block.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"
#include "report/frame_kind.h"
#include "report/sqlrow.h"
#include "report/view_text.h"

#define LABEL_WIDTH 9

void block_put_line(const struct block_text *v, const char *label, const char *text)
{
	(void)fprintf(v->out, "%*s%-*s", BLOCK_INDENT, "", LABEL_WIDTH, label);
	text_paragraph(v->out, v->o->width, BLOCK_INDENT + LABEL_WIDTH, BLOCK_INDENT + LABEL_WIDTH, text);
}

/* "worker 2 (tid 24038, cpu 1)"; with more than one runtime, which one. */
static int who_text(const struct block_text *v, const struct block *k, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	bool runtime_held = k->holds && strcmp(k->holds, "runtime") == 0;

	if (runtime_held && k->has_worker) {
		if (v->f->mt_runtimes > 1)
			buf_printf(&b, "runtime %llu ", (unsigned long long)k->runtime_id);
		buf_printf(&b, "worker %llu", (unsigned long long)k->worker);
	} else if (runtime_held) {
		buf_printf(&b, "%s runtime %llu", k->flavor ? k->flavor : "unknown", (unsigned long long)k->runtime_id);
	} else {
		_cleanup_free_ char *thread = NULL;
		int r = text_clean(k->thread_name, "?", &thread);

		if (r < 0)
			return r;
		buf_printf(&b, "%s on thread %s", k->holds && strcmp(k->holds, "localset") == 0 ? "local set" : "root future",
			   thread);
	}
	if (v->f->processes > 1)
		buf_printf(&b, " (pid %llu, tid %llu", (unsigned long long)k->pid, (unsigned long long)k->tid);
	else
		buf_printf(&b, " (tid %llu", (unsigned long long)k->tid);
	if (k->has_cpu)
		buf_printf(&b, ", cpu %llu", (unsigned long long)k->cpu);
	buf_putc(&b, ')');
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

int block_put_title(const struct block_text *v, const struct block *k, u64 n)
{
	_cleanup_free_ char *who = NULL, *syscall = NULL, *detail = NULL;
	char number[32], what[128], when[48];
	struct text_wrap w;
	int r;

	r = who_text(v, k, &who);
	if (r == 0)
		r = text_clean(k->syscall, "", &syscall);
	if (r == 0)
		r = text_clean(k->detail, "", &detail);
	if (r < 0)
		return r;
	if (n)
		(void)snprintf(number, sizeof(number), "#%llu", (unsigned long long)n);
	else
		(void)snprintf(number, sizeof(number), "LONGEST");
	/* "lock: rwlock (futex)"; a detail that only says again what stands beside it is left out */
	if (strcmp(detail, syscall) == 0 || strcmp(detail, k->class_name) == 0)
		*detail = '\0';
	(void)snprintf(what, sizeof(what), "%s%s%s%s%s%s", k->class_name, *detail ? ": " : "", detail, *syscall ? " (" : "",
		       syscall, *syscall ? ")" : "");
	/* A poll that was open at the start may have been seen by the snapshot just before it. */
	(void)snprintf(when, sizeof(when), "+%s", text_offset(k->ts > v->f->ts_start ? k->ts - v->f->ts_start : 0).s);
	(void)fputc('\n', v->out);
	text_color(v->out, v->o->color, TEXT_BOLD, number);
	(void)fprintf(v->out, "  %s  %s", text_exact(k->dur).s, what);
	text_wrap_begin(&w, v->out, v->o->width, BLOCK_INDENT,
			(u32)(strlen(number) + 4 + strlen(text_exact(k->dur).s) + text_width(what)), "   ");
	w.first = false;
	text_wrap_word(&w, who);
	text_wrap_word(&w, when);
	(void)fputc('\n', v->out);
	return 0;
}

/* ---- its task ---- */

int block_put_named(FILE *out, const struct report_opts *o, u32 indent, const char *who, const char *name, const char *function,
		    const char *file, u64 line)
{
	_cleanup_free_ char *clean = NULL, *place = NULL, *in = NULL;
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct text_wrap w;
	int r;

	r = text_clean(name, "", &clean);
	if (r == 0)
		r = text_place(file, line, o->full, &place);
	if (r == 0)
		r = text_clean(function, "", &in);
	if (r < 0)
		return r;
	if (*place)
		buf_printf(&b, "spawned at %s", place);
	else if (*in)
		buf_printf(&b, "spawned in %s", in);
	free(place);
	place = buf_take_str(&b);
	if (!place)
		return -ENOMEM;
	(void)fprintf(out, "%*s%s%s%s", (int)indent, "", who, *clean ? "  " : "", clean);
	text_wrap_begin(&w, out, o->width, indent + 2, indent + text_width(who) + 2 + text_width(clean), "   ");
	w.first = false;
	if (*place)
		text_wrap_word(&w, place);
	(void)fputc('\n', out);
	return 0;
}

int block_put_task(const struct block_text *v, const struct block *k)
{
	char who[40];

	(void)snprintf(who, sizeof(who), "task %llu", (unsigned long long)k->task_id);
	if (k->has_task)
		return block_put_named(v->out, v->o, BLOCK_INDENT, who, k->task_name, k->spawn_function, k->spawn_file,
				       k->spawn_line);
	if (k->runtime_id && !k->task_ids)
		(void)fprintf(v->out, "%*stask unknown: Tokio before 1.22 keeps no id of it where it can be read\n", BLOCK_INDENT,
			      "");
	else if (k->holds && strcmp(k->holds, "runtime") == 0)
		(void)fprintf(v->out, "%*sroot future (block_on) of this runtime: all its tasks wait\n", BLOCK_INDENT, "");
	return 0;
}

#define WHERE_SQL "SELECT function, file, line FROM stack_place WHERE stack_id = ?1"

int block_put_where(const struct block_text *v, sqlite3 *db, const struct block *k)
{
	_cleanup_free_ char *function = NULL, *place = NULL;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	char name[FRAME_NAME_LEN];
	int r = sql_prepare(db, &st, WHERE_SQL, &k->stack_id, 1);

	if (r == 0)
		r = db_step(st);
	if (r <= 0)
		return r;
	r = text_clean(v->o->full ? sql_text(st, 0) : frame_display_function(sql_text(st, 0), name, sizeof(name)), "?",
		       &function);
	if (r == 0)
		r = text_place(sql_text(st, 1), sql_u64(st, 2), v->o->full, &place);
	if (r < 0)
		return r;
	(void)fprintf(v->out, "%*s%-*s%s%s%s\n", BLOCK_INDENT, "", LABEL_WIDTH, "at", function, *place ? "  " : "", place);
	return 0;
}

/* ---- who paid ---- */

bool block_lifo_is_stealable(const char *tokio_version)
{
	static const char *const versions[] = {"1.51.0", "1.51.1", "1.52.0", "1.52.1"};

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (!tokio_version || strcmp(tokio_version, versions[i]) == 0)
			return true;
	return false;
}

/* "1 in the LIFO slot, 199 local, 47 injected" */
static void add_depths(struct buf *b, bool has_lifo, u64 lifo, bool has_queued, u64 queued, bool has_inject, u64 inject)
{
	const char *sep = "";

	if (has_lifo) {
		buf_printf(b, "%llu in the LIFO slot", (unsigned long long)lifo);
		sep = ", ";
	}
	if (has_queued) {
		buf_printf(b, "%s%s local", sep, human_count(queued).s);
		sep = ", ";
	}
	if (has_inject)
		buf_printf(b, "%s%s injected", sep, human_count(inject).s);
}

/* With wakes it is known whom it delayed; the queues tell how many stood there, some of whom others may have taken. */
static void add_exact(struct buf *b, const struct block *k)
{
	if (!k->victims)
		buf_puts(b, "no task was delayed by it");
	else
		buf_printf(b, "%s task%s queued behind it", human_count(k->victims).s, k->victims == 1 ? "" : "s");
	if (k->has_lifo || k->has_queued || k->has_inject) {
		buf_puts(b, " (at its start ");
		add_depths(b, k->has_lifo, k->lifo, k->has_queued, k->queued, k->has_inject, k->inject);
		buf_putc(b, ')');
	}
	if (k->victims && k->worst_delay)
		buf_printf(b, "; worst extra delay %s", human_ns(k->worst_delay).s);
}

static void add_depths_seen(struct buf *b, const struct block *k)
{
	u64 n = k->lifo + k->queued;

	if (!n) {
		buf_puts(b, "no task was queued on its worker at its start");
		if (k->has_inject && k->inject)
			buf_printf(b, "; %s in the runtime's injection queue", human_count(k->inject).s);
	} else {
		buf_printf(b, ">= %s queued at its start (", human_count(n).s);
		add_depths(b, k->has_lifo, k->lifo, k->has_queued, k->queued, k->has_inject, k->inject);
		buf_putc(b, ')');
	}
	if (k->has_end && k->lifo_end + k->queued_end > n) {
		buf_puts(b, "; at its end ");
		add_depths(b, true, k->lifo_end, true, k->queued_end, k->has_inject, k->inject_end);
	}
	if (k->lifo && k->tokio_version && !block_lifo_is_stealable(k->tokio_version))
		buf_puts(b, "; the LIFO slot's task could run nowhere else");
}

static int put_driver(const struct block_text *v, const struct block *k)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (k->driver_stalled < NSEC_PER_MSEC) /* the end of a longer time, which is the next one's */
		return 0;
	buf_printf(&b, "the I/O driver stood still for %s of it: all timers and I/O", human_ns(k->driver_stalled).s);
	if (k->runtime_id)
		buf_printf(&b, " of runtime %llu", (unsigned long long)k->runtime_id);
	buf_puts(&b, " waited");
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	block_put_line(v, "driver", text);
	return 0;
}

int block_put_paid_by(const struct block_text *v, const struct block *k)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *text = NULL;

	if (k->has_victims)
		add_exact(&b, k);
	else if (k->has_lifo || k->has_queued)
		add_depths_seen(&b, k);
	text = buf_take_str(&b);
	if (!text)
		return -ENOMEM;
	if (*text)
		block_put_line(v, "paid by", text);
	return put_driver(v, k);
}
