/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* verdict.c: see verdict.h. A pure function of counts; each rule below gives its reason, the worst one gives the state. */
#include "report/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/human.h"

static u64 add_saturated(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Is part more than 1 in n of whole? Any values. */
static bool exceeds(u64 part, u64 whole, u64 n)
{
	return (unsigned __int128)part * n > whole;
}

static void __printf_fmt(3, 4) add_reason(struct verdict *v, enum verdict_state state, const char *fmt, ...)
{
	va_list ap;

	if (state > v->state)
		v->state = state;
	v->is_lossy = true;
	BUG_ON(v->n_reasons == VERDICT_MAX_LINES);
	va_start(ap, fmt);
	(void)vsnprintf(v->reasons[v->n_reasons++], VERDICT_LINE, fmt, ap);
	va_end(ap);
}

static void __printf_fmt(2, 3) add_note(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	BUG_ON(v->n_notes == VERDICT_MAX_LINES);
	va_start(ap, fmt);
	(void)vsnprintf(v->notes[v->n_notes++], VERDICT_LINE, fmt, ap);
	va_end(ap);
}

/* "12.3 %", two decimals below one so that a small share does not read as none. */
struct share {
	char s[16];
};

static struct share share_of(u64 part, u64 whole)
{
	double percent = whole ? 100.0 * (double)part / (double)whole : 0;
	struct share sh;

	(void)snprintf(sh.s, sizeof(sh.s),
		       percent > 0 && percent < 0.01 ? "< 0.01 %%"
		       : percent < 1		     ? "%.2f %%"
						     : "%.1f %%",
		       percent);
	return sh;
}

/* A few walks always end early, where threads and programs begin and end: in a short capture they are soon 1 %. */
enum { MANY_STACKS = 10 };

static enum verdict_state by_share(u64 part, u64 whole)
{
	return exceeds(part, whole, 10) ? VERDICT_UNTRUSTWORTHY : VERDICT_PARTIAL;
}

static void judge_events(const struct verdict_facts *f, struct verdict *v)
{
	u64 all = add_saturated(f->events, f->lost);

	if (!f->events)
		add_reason(v, VERDICT_UNTRUSTWORTHY, "it holds no event");
	if (f->lost)
		add_reason(v, by_share(f->lost, all), "of %s events %s were lost while recording (%s)", human_count(all).s,
			   human_count(f->lost).s, share_of(f->lost, all).s);
}

static void judge_file(const struct verdict_facts *f, struct verdict *v)
{
	u64 bad = add_saturated(f->blocks_damaged, f->blocks_missing);
	u64 all = add_saturated(f->blocks_intact, bad);

	if (bad)
		add_reason(v, bad > 1 ? by_share(bad, all) : VERDICT_PARTIAL,
			   "blocks: %s, of which %s damaged and %s missing (%s)", human_count(all).s,
			   human_count(f->blocks_damaged).s, human_count(f->blocks_missing).s, share_of(bad, all).s);
	if (f->bytes_skipped)
		add_reason(v, exceeds(f->bytes_skipped, f->file_size, 2) ? VERDICT_UNTRUSTWORTHY : VERDICT_PARTIAL,
			   "%s of %s could not be read (%s)", human_bytes(f->bytes_skipped).s, human_bytes(f->file_size).s,
			   share_of(f->bytes_skipped, f->file_size).s);
	if (!f->closed_cleanly)
		add_reason(v, VERDICT_PARTIAL,
			   "it was not closed: the recording ended abruptly, or the copy is cut short or damaged");
}

enum verdict_end verdict_end_of(const char *stopped_by)
{
	static const char *const names[] = {
		[VERDICT_END_MAX_SIZE] = "max-size",   [VERDICT_END_FILE_LIMIT] = "file size limit",
		[VERDICT_END_DISK_FULL] = "disk full", [VERDICT_END_DISK_QUOTA] = "disk quota",
		[VERDICT_END_ERROR] = "error",
	};

	for (u32 i = 0; stopped_by && i < ARRAY_SIZE(names); i++)
		if (names[i] && !strcmp(names[i], stopped_by))
			return (enum verdict_end)i;
	return VERDICT_END_AS_ASKED;
}

/* What was recorded is whole, but it is less than was asked for. */
static void judge_end(const struct verdict_facts *f, struct verdict *v)
{
	static const char *const why[] = {
		[VERDICT_END_FILE_LIMIT] = "the file reached the limit of ulimit -f",
		[VERDICT_END_DISK_FULL] = "the disk was full",
		[VERDICT_END_DISK_QUOTA] = "the disk quota was used up",
		[VERDICT_END_ERROR] = "an error ended it",
	};
	struct human lasted = human_ns(f->duration);

	if (f->end == VERDICT_END_MAX_SIZE)
		add_note(v, "it ended at --max-size after %s", lasted.s);
	else if (f->end != VERDICT_END_AS_ASKED)
		add_reason(v, VERDICT_PARTIAL, "it stopped early: %s after %s", why[f->end], lasted.s);
}

/* The file is sound, but is what was left of another. */
static void judge_repair(const struct verdict_facts *f, struct verdict *v)
{
	const struct repair_facts *r = &f->repaired;

	if (r->blocks_lost)
		add_reason(v, r->blocks_lost > 1 ? by_share(r->blocks_lost, r->blocks) : VERDICT_PARTIAL,
			   "it was repaired: of %s blocks %s were damaged or missing (%s)", human_count(r->blocks).s,
			   human_count(r->blocks_lost).s, share_of(r->blocks_lost, r->blocks).s);
	if (r->bytes_lost)
		add_reason(v, exceeds(r->bytes_lost, r->bytes, 2) ? VERDICT_UNTRUSTWORTHY : VERDICT_PARTIAL,
			   "before it was repaired, %s of %s could not be read (%s)", human_bytes(r->bytes_lost).s,
			   human_bytes(r->bytes).s, share_of(r->bytes_lost, r->bytes).s);
	if (r->not_closed)
		add_reason(
			v, VERDICT_PARTIAL,
			"before it was repaired, it was not closed: the recording ended abruptly, or the copy was cut short or "
			"damaged");
	if (repair_facts_any(r) && !r->blocks_lost && !r->bytes_lost && !r->not_closed)
		add_note(v, "it was repaired, and nothing was lost");
}

static void judge_contexts(const struct verdict_facts *f, struct verdict *v)
{
	if (f->contexts_unread && exceeds(f->contexts_unread, f->contexts, 1000))
		add_reason(v, by_share(f->contexts_unread, f->contexts),
			   "of %s runtime contexts %s could not be read (%s): polls may be missing", human_count(f->contexts).s,
			   human_count(f->contexts_unread).s, share_of(f->contexts_unread, f->contexts).s);
	else if (f->contexts_unread)
		add_note(v, "of %s runtime contexts %s could not be read (%s)", human_count(f->contexts).s,
			 human_count(f->contexts_unread).s, share_of(f->contexts_unread, f->contexts).s);
}

u64 verdict_stacks(const struct verdict_facts *f)
{
	u64 sum = 0;

	for (u64 i = 0; i < STACK_STATUSES; i++)
		sum = add_saturated(sum, f->stacks[i]);
	return sum;
}

u64 verdict_stacks_known(const struct verdict_facts *f)
{
	u64 sum = 0;

	for (u64 i = 0; i < STACK_STATUSES; i++)
		sum = add_saturated(sum, stack_status_is_judged(i) ? f->stacks[i] : 0);
	return sum;
}

/* "no unwind table 12, not walked 3": the commonest first, as many as a line has room for. */
static void list_cuts(const struct verdict_facts *f, char *buf, size_t size)
{
	bool told[STACK_STATUSES] = {0};
	size_t n = 0;

	buf[0] = '\0';
	for (u32 round = 0; round < 3; round++) {
		u64 best = STACK_STATUSES;

		for (u64 i = 0; i < STACK_STATUSES; i++)
			if (stack_status_is_cut(i) && stack_status_is_judged(i) && !told[i] && f->stacks[i] &&
			    (best == STACK_STATUSES || f->stacks[i] > f->stacks[best]))
				best = i;
		if (best == STACK_STATUSES)
			return;
		told[best] = true;
		n += (size_t)snprintf(buf + n, size - n, "%s%s %s", n ? ", " : "", stack_status_why(best),
				      human_count(f->stacks[best]).s);
	}
}

static void judge_stacks(const struct verdict_facts *f, struct verdict *v)
{
	u64 all = verdict_stacks(f), known = verdict_stacks_known(f), whole = f->stacks[FMT_STACK_WHOLE];
	u64 cut = known > whole ? known - whole : 0;
	char text[VERDICT_LINE + 64], why[VERDICT_LINE];

	if (cut) {
		list_cuts(f, why, sizeof(why));
		(void)snprintf(text, sizeof(text), "of %s user stacks %s are not whole (%s): %s", human_count(known).s,
			       human_count(cut).s, share_of(cut, known).s, why);
		if (cut >= MANY_STACKS && exceeds(cut, known, 100))
			add_reason(v, VERDICT_PARTIAL, "%s", text);
		else
			add_note(v, "%s", text);
	}
	if (f->stacks_guessed)
		add_note(v, "of %s user stacks %s rest in part on frame pointers, which may mislead (%s)", human_count(all).s,
			 human_count(f->stacks_guessed).s, share_of(f->stacks_guessed, all).s);
	if (f->stacks[FMT_STACK_STARTING])
		add_note(v, "of %s user stacks %s were taken while a program was being loaded, before its files could be known",
			 human_count(all).s, human_count(f->stacks[FMT_STACK_STARTING]).s);
	if (f->stacks[FMT_STACK_FP])
		add_note(v, "of %s user stacks %s were walked by frame pointers: whether they are whole is not known",
			 human_count(all).s, human_count(f->stacks[FMT_STACK_FP]).s);
}

/* "schedule, poll": of one half of the groups, those with a value; false: none. *ret_worst: the least, or the greatest value. */
static bool list_groups(const u64 *values, bool is_detail, bool wants_least, char *buf, size_t size, u64 *ret_value)
{
	u32 from = is_detail ? 0 : PROBE_FACT_DETAIL, to = is_detail ? PROBE_FACT_DETAIL : PROBE_FACT_COUNT;
	size_t n = 0;

	*ret_value = 0;
	for (u32 g = from; g < to; g++) {
		if (!values[g])
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "", probe_fact_name((enum probe_fact)g));
		if (!*ret_value || (wants_least ? values[g] < *ret_value : values[g] > *ret_value))
			*ret_value = values[g];
	}
	return n != 0;
}

/* What was asked for and cut makes it partial, but what is here is whole. */
static void judge_probes(const struct verdict_facts *f, struct verdict *v)
{
	bool is_lossy = v->is_lossy;
	char groups[VERDICT_LINE / 2];
	u64 value;

	if (list_groups(f->probes.taken, true, true, groups, sizeof(groups), &value))
		add_reason(
			v, VERDICT_PARTIAL,
			"probes of polls and wakes (%s) were taken away, the first after %s, as they cost more than --max-overhead: later ones are missing",
			groups, human_ns(value).s);
	if (list_groups(f->probes.impossible, true, false, groups, sizeof(groups), &value))
		add_reason(
			v, VERDICT_PARTIAL,
			"probes of polls and wakes (%s) were not possible in %s program%s (ascope doctor says why): theirs are missing",
			groups, human_count(value).s, value == 1 ? "" : "s");
	v->is_lossy = is_lossy;
	v->n_task_notes = v->n_notes;
	if (list_groups(f->probes.taken, false, true, groups, sizeof(groups), &value))
		add_note(
			v,
			"probes of spawns and ends (%s) were taken away, the first after %s, as they cost more than --max-overhead: less is known of later tasks",
			groups, human_ns(value).s);
	if (list_groups(f->probes.impossible, false, false, groups, sizeof(groups), &value))
		add_note(
			v,
			"probes of spawns and ends (%s) were not possible in %s program%s (ascope doctor says why): less is known of tasks",
			groups, human_count(value).s, value == 1 ? "" : "s");
	if (f->probes.list_unknown)
		add_note(v, "which tasks were alive when the recording began is not known of %s runtime%s",
			 human_count(f->probes.list_unknown).s, f->probes.list_unknown == 1 ? "" : "s");
	v->n_task_notes = v->n_notes - v->n_task_notes;
}

void verdict_decide(const struct verdict_facts *f, struct verdict *ret)
{
	*ret = (struct verdict){.state = VERDICT_COMPLETE};
	judge_events(f, ret);
	judge_file(f, ret);
	judge_end(f, ret);
	judge_repair(f, ret);
	judge_contexts(f, ret);
	judge_stacks(f, ret);
	judge_probes(f, ret);
}

const char *verdict_name(enum verdict_state state)
{
	static const char *const names[] = {
		[VERDICT_COMPLETE] = "complete",
		[VERDICT_PARTIAL] = "partial",
		[VERDICT_UNTRUSTWORTHY] = "untrustworthy",
	};

	return names[state];
}

char *verdict_reasons(const struct verdict *v)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (u32 i = 0; i < v->n_reasons; i++)
		buf_printf(&b, "%s%s", i ? "\n" : "", v->reasons[i]);
	return buf_take_str(&b);
}
