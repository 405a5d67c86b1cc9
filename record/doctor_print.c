/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor_print.c: see doctor_print.h. */
#include "record/doctor_print.h"

#include <errno.h>
#include <string.h>

#include "base/human.h"
#include "record/layout.h"
#include "record/refusals.h"

static const char *const group_names[] = {
#define NAME_OF(NAME, name, doc) name,
	PROBE_GROUPS_LIST(NAME_OF)
#undef NAME_OF
};

/* ---- what is known of a copy, in words ---- */

enum context_state {
	CONTEXT_FOUND,
	CONTEXT_PARTIAL,
	CONTEXT_BY_SYMBOL,
	CONTEXT_AMBIGUOUS,
	CONTEXT_REFUSED,
	CONTEXT_UNFIT,
	CONTEXT_NONE,
	CONTEXT_NOT_LOOKED,
	CONTEXT_STATES,
};

static const char *const context_names[] = {
	[CONTEXT_FOUND] = "found",	   [CONTEXT_PARTIAL] = "partial",	   [CONTEXT_BY_SYMBOL] = "by_symbol",
	[CONTEXT_AMBIGUOUS] = "ambiguous", [CONTEXT_REFUSED] = "refused",	   [CONTEXT_UNFIT] = "not_usable",
	[CONTEXT_NONE] = "none",	   [CONTEXT_NOT_LOOKED] = "not_looked_at",
};

static enum context_state context_of(const struct doctor_copy *c)
{
	const struct cat_copy *l = c->live;

	if (!l)
		return CONTEXT_NOT_LOOKED;
	if (l->refused)
		return CONTEXT_REFUSED;
	if (l->is_unfit)
		return CONTEXT_UNFIT;
	if (l->is_confirmed)
		return l->is_partial ? CONTEXT_PARTIAL : CONTEXT_FOUND;
	if (l->is_ambiguous)
		return CONTEXT_AMBIGUOUS;
	return l->wire.valid ? CONTEXT_BY_SYMBOL : CONTEXT_NONE;
}

static const char *from_text(const struct tokio_points *p)
{
	switch (p->from) {
	case TOKIO_POINTS_SYMBOLS:
		return "symbols";
	case TOKIO_POINTS_SHAPES:
		return "vtables";
	case TOKIO_POINTS_NONE:
		break;
	}
	return NULL;
}

static bool has_ids(const struct cat_copy *l)
{
	return l && l->wire.valid && l->wire.at != WIRE_NOWHERE && l->wire.off_id != WIRE_NO_FIELD;
}

/* ---- text ---- */

void doctor_print_host(FILE *out, const struct doctor_host *h)
{
	fputs("HOST\n", out);
	for (u32 i = 0; i < h->n; i++) {
		const struct doctor_check *c = &h->checks[i];

		fprintf(out, "  %-8s %-14s %s\n", doctor_state_name(c->state), c->name, c->text);
		if (c->fix)
			fprintf(out, "  %-8s %-14s fix: %s\n", "", "", c->fix);
	}
}

static void print_context(FILE *out, const struct doctor_copy *c)
{
	const struct cat_copy *l = c->live;

	fputs("    context    ", out);
	switch (context_of(c)) {
	case CONTEXT_FOUND:
	case CONTEXT_PARTIAL:
		fprintf(out, "found on %u live threads, layout \"%s\" by %s%s\n", l->threads, l->row, l->found_by,
			l->is_partial ? "; one of its schedulers has not been seen at work yet" : "");
		break;
	case CONTEXT_BY_SYMBOL:
		fprintf(out, "by its symbol alone, layout \"%s\": no thread is in a runtime now\n", l->row);
		break;
	case CONTEXT_AMBIGUOUS:
		fprintf(out, "not usable: %u readings fit equally well. %s\n", l->candidates, REFUSAL_AMBIGUOUS);
		break;
	case CONTEXT_REFUSED:
		fprintf(out, "not usable: %s\n", l->refused);
		break;
	case CONTEXT_UNFIT:
		fprintf(out, "%s\n", REFUSAL_UNFIT);
		break;
	case CONTEXT_NONE:
		fprintf(out, "not found: no thread looks as if it were in a runtime of this copy\n");
		break;
	case CONTEXT_NOT_LOOKED:
	case CONTEXT_STATES:
		fprintf(out, "not looked at: that takes BPF (see above)\n");
	}
	if (l && l->wire.valid)
		fprintf(out, "    task ids   %s\n",
			has_ids(l) ? "in each thread's context" : "none in the context: before Tokio 1.22 blocks have no task");
}

static void print_groups(FILE *out, const struct doctor_copy *c)
{
	if (c->points_err) {
		fprintf(out, "    probes     none: the file cannot be read: %s\n", strerror(-c->points_err));
		return;
	}
	fprintf(out, "    probes     ");
	for (u32 g = 0, any = 0; g < PROBE_GROUPS; g++)
		if (c->points.group[g].n)
			fprintf(out, "%s%s %u", any++ ? ", " : "", group_names[g], c->points.group[g].n);
	if (c->points.from == TOKIO_POINTS_NONE)
		fputs("none", out);
	else if (c->points.from == TOKIO_POINTS_SHAPES)
		fprintf(out, " (by the shape of %u vtables)", c->points.vtables.n);
	fputc('\n', out);
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		if (c->points.group[g].missing)
			fprintf(out, "      no %-9s %s\n", group_names[g], c->points.group[g].missing);
	if (c->points.has_usdt)
		fprintf(out, "      USDT      the file has probes of a provider \"tokio\": %s\n",
			c->points.from_usdt ? "they tell where polls end" : "none that could be used");
}

static void print_copy(FILE *out, const struct doctor_copy *c)
{
	struct human_clean path;

	fprintf(out, "  Tokio %s in %s (%s%s%s)\n", c->elf.version[0] ? c->elf.version : "of unknown version",
		human_clean(&path, c->path, strlen(c->path)), c->is_program ? "the program" : "a library",
		c->elf.has_symtab ? "" : ", stripped", c->has_debug ? ", with debug info" : "");
	if (c->elf.rustc)
		fprintf(out, "    compiler   rustc 1.%u\n", c->elf.rustc);
	print_context(out, c);
	fprintf(out, "    unwinding  rules for %u.%u %% of its code\n", c->unwind_permille / 10, c->unwind_permille % 10);
	print_groups(out, c);
}

static void print_thread(FILE *out, const struct doctor_target *t, const struct doctor_thread *th)
{
	struct human_clean name;

	(void)t;
	fprintf(out, "    %-8u %-16s ", th->tid, human_clean(&name, th->comm, strlen(th->comm)));
	switch (th->role) {
	case DOCTOR_WORKER:
	case DOCTOR_IN_PLACE:
		fprintf(out, "worker %u of runtime %u%s", th->worker - 1, th->runtime,
			th->role == DOCTOR_IN_PLACE ? ", in block_in_place" : "");
		break;
	case DOCTOR_CURRENT:
		fprintf(out, "drives runtime %u", th->runtime);
		break;
	case DOCTOR_BLOCK_ON:
		fputs("block_on of a multi-thread runtime", out);
		break;
	case DOCTOR_BLOCKING:
		fputs("runs a closure of the blocking pool", out);
		break;
	case DOCTOR_UNREAD:
		fputs("unknown", out);
		break;
	case DOCTOR_OTHER:
	case DOCTOR_ROLES:
		fputs("in no runtime, or an idle thread of the blocking pool", out);
	}
	if (th->task)
		fprintf(out, ", task %llu", (unsigned long long)th->task);
	else if (th->in_poll)
		fputs(", in its root future", out);
	fputc('\n', out);
}

static bool has_live_tokio(const struct doctor_target *t)
{
	for (u32 i = 0; i < t->n_copies; i++)
		if (t->copies[i].elf.n_symbols || t->copies[i].elf.names_tokio || context_of(&t->copies[i]) == CONTEXT_FOUND)
			return true;
	return false;
}

void doctor_print_target(FILE *out, const struct doctor_target *t)
{
	struct human_clean name;

	fprintf(out, "\nPROCESS %u  %s\n", t->pid, human_clean(&name, t->comm, strlen(t->comm)));
	if (t->err) {
		fprintf(out, "  cannot be looked at: %s%s\n", strerror(-t->err),
			t->err == -EACCES || t->err == -EPERM ? " (needs root or CAP_SYS_PTRACE)" : "");
		return;
	}
	if (!has_live_tokio(t)) {
		fprintf(out, "  %s\n",
			t->cat ? REFUSAL_NO_RUNTIME : "no file of it holds Tokio that has its symbols or its source paths");
		return;
	}
	for (u32 i = 0; i < t->n_copies; i++)
		print_copy(out, &t->copies[i]);
	for (u32 i = 0; i < t->n_runtimes; i++) {
		const struct doctor_runtime *r = &t->runtimes[i];

		fprintf(out, "  runtime %u   %s, %u %s\n", i + 1, r->is_multi ? "multi-thread" : "current_thread", r->workers,
			r->is_multi ? "workers" : "thread drives it now");
	}
	if (t->n_threads)
		fputs("  threads\n", out);
	for (u32 i = 0; i < t->n_threads; i++)
		print_thread(out, t, &t->threads[i]);
}

/* ---- JSON ---- */

void doctor_json_host(struct json *j, const struct doctor_host *h)
{
	json_key(j, "host");
	json_object_begin(j);
	json_kv_bool(j, "can_record", doctor_host_state(h) != DOCTOR_NO);
	json_key(j, "checks");
	json_array_begin(j);
	for (u32 i = 0; i < h->n; i++) {
		json_object_begin(j);
		json_kv_string(j, "name", h->checks[i].name);
		json_kv_string(j, "state", doctor_state_name(h->checks[i].state));
		json_kv_string(j, "text", h->checks[i].text);
		json_kv_string(j, "fix", h->checks[i].fix);
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void json_groups(struct json *j, const struct doctor_copy *c)
{
	json_kv_string(j, "probes_from", c->points_err ? NULL : from_text(&c->points));
	json_kv_bool(j, "usdt", c->points.has_usdt);
	json_kv_u64(j, "vtables", c->points.vtables.n);
	json_key(j, "probes");
	json_array_begin(j);
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		json_object_begin(j);
		json_kv_string(j, "group", group_names[g]);
		json_kv_u64(j, "places", c->points.group[g].n);
		json_kv_string(j, "missing", c->points_err ? strerror(-c->points_err) : c->points.group[g].missing);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_copy(struct json *j, const struct doctor_copy *c)
{
	const struct cat_copy *l = c->live;
	bool has_row = l && l->row;

	json_object_begin(j);
	json_kv_string(j, "file", c->path);
	json_kv_bool(j, "is_program", c->is_program);
	json_kv_string(j, "version", c->elf.version[0] ? c->elf.version : NULL);
	json_kv_u64_or_null(j, "rustc_minor", c->elf.rustc, c->elf.rustc);
	json_kv_bool(j, "stripped", !c->elf.has_symtab);
	json_kv_bool(j, "debug_info", c->has_debug);
	json_kv_string(j, "context", context_names[context_of(c)]);
	json_kv_string(j, "refused", l ? l->refused : NULL);
	json_kv_string(j, "layout", has_row ? l->row : NULL);
	json_kv_string(j, "found_by", has_row ? l->found_by : NULL);
	json_kv_u64_or_null(j, "threads", has_row, has_row ? l->threads : 0);
	json_kv_u64_or_null(j, "candidates", l, l ? l->candidates : 0);
	json_key(j, "task_ids");
	if (has_row)
		json_bool(j, has_ids(l));
	else
		json_null(j);
	json_key(j, "unwind_share");
	json_double(j, c->unwind_permille / 1000.0, 3);
	json_groups(j, c);
	json_object_end(j);
}

static void json_threads(struct json *j, const struct doctor_target *t)
{
	json_key(j, "threads");
	json_array_begin(j);
	for (u32 i = 0; i < t->n_threads; i++) {
		const struct doctor_thread *th = &t->threads[i];

		json_object_begin(j);
		json_kv_u64(j, "tid", th->tid);
		json_kv_string(j, "comm", th->comm);
		json_kv_string(j, "role", doctor_role_name(th->role));
		json_kv_u64_or_null(j, "runtime", th->runtime, th->runtime);
		json_kv_u64_or_null(j, "worker", th->worker, th->worker - 1);
		json_kv_bool(j, "in_poll", th->in_poll);
		json_kv_u64_or_null(j, "task", th->task, th->task);
		json_object_end(j);
	}
	json_array_end(j);
}

void doctor_json_target(struct json *j, const struct doctor_target *t)
{
	json_object_begin(j);
	json_kv_u64(j, "pid", t->pid);
	json_kv_string(j, "comm", t->comm);
	json_kv_string(j, "error", t->err ? strerror(-t->err) : NULL);
	json_key(j, "copies");
	json_array_begin(j);
	for (u32 i = 0; i < t->n_copies; i++)
		json_copy(j, &t->copies[i]);
	json_array_end(j);
	json_key(j, "runtimes");
	json_array_begin(j);
	for (u32 i = 0; i < t->n_runtimes; i++) {
		json_object_begin(j);
		json_kv_u64(j, "id", i + 1);
		json_kv_string(j, "flavor", t->runtimes[i].is_multi ? "multi_thread" : "current_thread");
		json_kv_u64(j, "workers", t->runtimes[i].workers);
		json_kv_u64(j, "copy", t->runtimes[i].copy);
		json_object_end(j);
	}
	json_array_end(j);
	json_threads(j, t);
	json_object_end(j);
}
