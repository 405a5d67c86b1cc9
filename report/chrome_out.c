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
	w->flushed += w->n;
	w->n = 0;
}

u64 chrome_bytes(const struct chrome_out *w)
{
	return w->flushed + w->n;
}

void chrome_put_far(struct chrome_out *w, const char *text, size_t n)
{
	chrome_flush(w);
	if (n > CHROME_BUF) {
		(void)fwrite(text, 1, n, w->out);
		w->flushed += n;
		return;
	}
	memcpy(w->buf, text, n);
	w->n = n;
}

#define PUT(w, literal) chrome_put(w, literal, sizeof(literal) - 1)

/* Where up to n bytes may be written; the writer then moves w->n. */
static char *room(struct chrome_out *w, size_t n)
{
	if (n > CHROME_BUF - w->n)
		chrome_flush(w);
	return w->buf + w->n;
}

/* ---- numbers ---- */

#define MAX_DIGITS 20

static const char pairs[] =
	"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static u32 count_digits(u64 v)
{
	u32 n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* Returns the end of what it wrote at p. */
static char *digits(char *p, u64 v)
{
	char *end = p + count_digits(v), *at = end;

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(at, &pairs[v % 100 * 2], 2);
	}
	if (v >= 10)
		memcpy(p, &pairs[v * 2], 2);
	else
		*p = (char)('0' + v);
	return end;
}

void chrome_put_u64(struct chrome_out *w, u64 v)
{
	w->n = (size_t)(digits(room(w, MAX_DIGITS), v) - w->buf);
}

/* us with three digits behind the point: MAX_DIGITS + 1 bytes at most. */
static char *micros(char *p, u64 ns)
{
	u64 part = ns % NSEC_PER_USEC;

	p = digits(p, ns / NSEC_PER_USEC);
	*p++ = '.';
	memcpy(p, &pairs[part / 10 * 2], 2);
	p[2] = (char)('0' + part % 10);
	return p + 3;
}

static void put_us(struct chrome_out *w, u64 ns)
{
	w->n = (size_t)(micros(room(w, MAX_DIGITS + 1), ns) - w->buf);
}

/* ---- events ---- */

struct chrome_track chrome_track_of(u64 pid, u64 tid)
{
	struct chrome_track t;

	/* Viewers keep 32 bits; a damaged capture has more. */
	t.n = (u32)snprintf(t.text, sizeof(t.text), "\"pid\":%u,\"tid\":%u,\"cat\":\"", (u32)pid, (u32)tid);
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
	chrome_put(w, track->text, track->n);
	chrome_puts(w, cat);
}

/*
 * A slice is written 0.1 ns shorter than it is, and more by 0.05 or 0.1 for each that is around it. Viewers in JavaScript add ts and dur as doubles, and the
 * sum may lie behind the ts of the slice that follows, or behind the end of the one around it: speedscope then takes the former for a child which never ends,
 * and the track becomes a staircase. Those that read whole ns (Perfetto) round it back.
 */
static char *put_dur(char *p, u64 ns, u32 depth)
{
	static const char tails[][3] = {"9", "8", "7", "65", "6", "59", "58", "57", "56", "55", "54", "53"};
	const char *tail = tails[depth < ARRAY_SIZE(tails) ? depth : ARRAY_SIZE(tails) - 1];

	if (!ns)
		return micros(p, 0);
	p = micros(p, ns - 1);
	*p++ = tail[0];
	if (tail[1])
		*p++ = tail[1];
	return p;
}

void chrome_slice_begin(struct chrome_out *w, const struct chrome_track *track, const char *cat, const char *sub, u64 ts, u64 end,
			u32 depth)
{
	char *p;

	event_begin(w, 'X', track, cat);
	w->events++;
	if (sub) {
		PUT(w, ".");
		chrome_puts_raw(w, sub);
	}
	p = room(w, 2 * MAX_DIGITS + 40);
	memcpy(p, "\",\"ts\":", 7);
	p = micros(p + 7, ts - w->ts_start);
	memcpy(p, ",\"dur\":", 7);
	p = put_dur(p + 7, end - ts, depth);
	memcpy(p, ",\"name\":\"", 9);
	w->n = (size_t)(p + 9 - w->buf);
}

void chrome_puts_raw(struct chrome_out *w, const char *raw)
{
	_cleanup_free_ char *inner = NULL;
	size_t n = 0;

	while (raw[n] >= 0x20 && raw[n] < 0x7f && raw[n] != '"' && raw[n] != '\\')
		n++;
	if (!raw[n])
		chrome_put(w, raw, n);
	else if (json_inner(raw, &inner) == 0)
		chrome_puts(w, inner);
	else
		w->err = -ENOMEM;
}

void chrome_event_end(struct chrome_out *w)
{
	if (w->has_arg)
		PUT(w, "}}");
	else
		PUT(w, "}");
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
	put_us(w, ts - w->ts_start);
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
	put_us(w, ts - w->ts_start);
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
	put_us(w, ts - w->ts_start);
	PUT(w, ",\"name\":\"");
	w->others++;
}
