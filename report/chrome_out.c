/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_out.c: see chrome_out.h. */
#include "report/chrome_out.h"

#include <errno.h>

#include "report/stack_calls.h"

int chrome_out_init(struct chrome_out *w, FILE *out, u64 ts_start, bool no_args)
{
	*w = (struct chrome_out){.out = out, .ts_start = ts_start, .no_args = no_args};
	w->buf = malloc(CHROME_BUF);
	return w->buf ? 0 : -ENOMEM;
}

void chrome_out_release(struct chrome_out *w)
{
	free(w->buf);
	w->buf = NULL;
}

/* What goes wrong stays in the stream, whose owner looks. */
void chrome_flush(struct chrome_out *w)
{
	(void)fwrite(w->buf, 1, w->n, w->out);
	w->n = 0;
}

void chrome_put(struct chrome_out *w, const char *text, size_t n)
{
	w->bytes += n;
	if (n > CHROME_BUF - w->n)
		chrome_flush(w);
	if (n > CHROME_BUF) {
		(void)fwrite(text, 1, n, w->out);
		return;
	}
	memcpy(w->buf + w->n, text, n);
	w->n += n;
}

#define PUT(w, literal) chrome_put(w, literal, sizeof(literal) - 1)

static char *digits(char *end, u64 v)
{
	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return end;
}

void chrome_put_u64(struct chrome_out *w, u64 v)
{
	char text[24], *end = text + sizeof(text), *at = digits(end, v);

	chrome_put(w, at, (size_t)(end - at));
}

/* Thousandths of us, then `tail`. */
static void put_us(struct chrome_out *w, u64 ns, const char *tail)
{
	char text[32], *end = text + sizeof(text), *at;
	u64 part = ns % NSEC_PER_USEC;

	end[-1] = (char)('0' + part % 10);
	end[-2] = (char)('0' + part / 10 % 10);
	end[-3] = (char)('0' + part / 100);
	end[-4] = '.';
	at = digits(end - 4, ns / NSEC_PER_USEC);
	chrome_put(w, at, (size_t)(end - at));
	chrome_puts(w, tail);
}

struct chrome_track chrome_track_of(u64 pid, u64 tid)
{
	struct chrome_track t;

	/* Viewers keep 32 bits; a damaged capture has more. */
	(void)snprintf(t.text, sizeof(t.text), "\"pid\":%u,\"tid\":%u", (u32)pid, (u32)tid);
	return t;
}

static void event_begin(struct chrome_out *w, char ph, const struct chrome_track *track, const char *cat)
{
	if (w->any)
		PUT(w, ",\n{\"ph\":\"");
	else
		PUT(w, "\n{\"ph\":\"");
	w->any = true;
	chrome_put(w, &ph, 1);
	PUT(w, "\",");
	chrome_puts(w, track->text);
	PUT(w, ",\"cat\":\"");
	chrome_puts(w, cat);
}

/*
 * A slice is written 0.1 ns shorter than it is, and more by 0.05 or 0.1 for each that is around it. Viewers in JavaScript add ts and dur as doubles, and the
 * sum may lie behind the ts of the slice that follows, or behind the end of the one around it: speedscope then takes the former for a child which never ends,
 * and the track becomes a staircase. Those that read whole ns (Perfetto) round it back.
 */
static void put_dur(struct chrome_out *w, u64 ns, u32 depth)
{
	static const char *const tails[] = {"9", "8", "7", "65", "6", "59", "58", "57", "56", "55", "54", "53"};

	PUT(w, ",\"dur\":");
	put_us(w, ns ? ns - 1 : 0, ns ? tails[depth < ARRAY_SIZE(tails) ? depth : ARRAY_SIZE(tails) - 1] : "");
}

void chrome_slice_begin(struct chrome_out *w, const struct chrome_track *track, const char *cat, const char *sub, u64 ts, u64 end,
			u32 depth)
{
	event_begin(w, 'X', track, cat);
	w->events++;
	if (sub) {
		PUT(w, ".");
		chrome_puts_raw(w, sub);
	}
	PUT(w, "\",\"ts\":");
	put_us(w, ts - w->ts_start, "");
	put_dur(w, end - ts, depth);
	PUT(w, ",\"name\":\"");
}

void chrome_args_begin(struct chrome_out *w)
{
	/* speedscope shows even an empty one behind the name */
	if (w->no_args)
		PUT(w, "\"");
	else
		PUT(w, "\",\"args\":{");
	w->has_arg = false;
}

static void put_key(struct chrome_out *w, const char *key)
{
	if (w->has_arg)
		PUT(w, ",\"");
	else
		PUT(w, "\"");
	w->has_arg = true;
	chrome_puts(w, key);
	PUT(w, "\":");
}

void chrome_arg(struct chrome_out *w, const char *key, const char *inner)
{
	if (w->no_args || !inner || !*inner)
		return;
	put_key(w, key);
	PUT(w, "\"");
	chrome_puts(w, inner);
	PUT(w, "\"");
}

void chrome_puts_raw(struct chrome_out *w, const char *raw)
{
	_cleanup_free_ char *inner = NULL;
	size_t n = 0;

	while (raw[n] >= 0x20 && raw[n] < 0x7f && raw[n] != '"' && raw[n] != '\\')
		n++;
	if (!raw[n])
		chrome_put(w, raw, n);
	else if (json_inner(raw, &inner) == 0) /* a text that memory does not suffice for is left out */
		chrome_puts(w, inner);
}

void chrome_arg_raw(struct chrome_out *w, const char *key, const char *raw)
{
	if (w->no_args || !raw || !*raw)
		return;
	put_key(w, key);
	PUT(w, "\"");
	chrome_puts_raw(w, raw);
	PUT(w, "\"");
}

void chrome_arg_u64(struct chrome_out *w, const char *key, u64 v)
{
	if (w->no_args)
		return;
	put_key(w, key);
	chrome_put_u64(w, v);
}

void chrome_event_end(struct chrome_out *w)
{
	if (w->no_args)
		PUT(w, "}");
	else
		PUT(w, "}}");
}

void chrome_put_meta(struct chrome_out *w, const char *what, u64 pid, u64 tid, const char *name, u64 index)
{
	const struct chrome_track track = chrome_track_of(pid, tid);
	bool no_args = w->no_args;

	w->no_args = false;
	event_begin(w, 'M', &track, "__metadata");
	PUT(w, "\",\"ts\":0,\"name\":\"");
	chrome_puts(w, what);
	chrome_args_begin(w);
	if (name && *name)
		chrome_arg_raw(w, "name", name);
	else if (name)
		chrome_arg(w, "name", "?");
	else
		chrome_arg_u64(w, "sort_index", index);
	chrome_event_end(w);
	w->no_args = no_args;
}

/* Perfetto reads ids that are text as hexadecimal. An end binds to the slice that it lies in ("bp"). */
void chrome_put_flow(struct chrome_out *w, bool begins, const char *name, u64 id, const struct chrome_track *track, u64 ts)
{
	char text[64];

	event_begin(w, begins ? 's' : 'f', track, name);
	PUT(w, "\",\"name\":\"");
	chrome_puts(w, name);
	PUT(w, "\",\"ts\":");
	put_us(w, ts - w->ts_start, "");
	(void)snprintf(text, sizeof(text), ",\"id\":\"0x%llx\"%s}", (unsigned long long)id, begins ? "" : ",\"bp\":\"e\"");
	chrome_puts(w, text);
	w->others++;
}

void chrome_put_counter(struct chrome_out *w, const char *name, const char *series, u64 pid, u64 ts, u64 value)
{
	const struct chrome_track track = chrome_track_of(pid, pid);
	bool no_args = w->no_args;

	w->no_args = false;
	event_begin(w, 'C', &track, "counter");
	PUT(w, "\",\"ts\":");
	put_us(w, ts - w->ts_start, "");
	PUT(w, ",\"name\":\"");
	chrome_puts(w, name);
	chrome_args_begin(w);
	chrome_arg_u64(w, series, value);
	chrome_event_end(w);
	w->no_args = no_args;
	w->others++;
}

void chrome_instant_begin(struct chrome_out *w, const char *cat, const struct chrome_track *track, u64 ts)
{
	event_begin(w, 'i', track, cat);
	PUT(w, "\",\"s\":\"g\",\"ts\":");
	put_us(w, ts - w->ts_start, "");
	PUT(w, ",\"name\":\"");
	w->others++;
}
