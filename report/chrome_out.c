/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* chrome_out.c: see chrome_out.h. */
#include "report/chrome_out.h"

void chrome_event_begin(struct chrome_out *c, const char *ph, const char *name, u64 pid, u64 tid)
{
	(void)fputs(c->any ? ",\n" : "\n", c->out);
	c->any = true;
	json_object_begin(&c->j);
	json_kv_string(&c->j, "ph", ph);
	json_kv_string(&c->j, "name", name);
	json_kv_u64(&c->j, "pid", pid);
	json_kv_u64(&c->j, "tid", tid);
}

/* Thousandths of us, then `tail`. */
static void put_us(struct chrome_out *c, const char *key, u64 ns, const char *tail)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "%llu.%03u%s", (unsigned long long)(ns / NSEC_PER_USEC), (u32)(ns % NSEC_PER_USEC),
		       tail);
	json_key(&c->j, key);
	json_raw(&c->j, text);
}

/*
 * A slice is written 0.1 ns shorter than it is. Viewers in JavaScript add ts and dur as doubles, and the sum may lie behind the ts
 * of the slice that follows: speedscope then takes that one for a child which never ends, and the track becomes a staircase. Those
 * that read whole ns (Perfetto) round it back.
 */
static void put_dur(struct chrome_out *c, u64 ns)
{
	put_us(c, "dur", ns ? ns - 1 : 0, ns ? "9" : "");
}

/* Unless --no-args, leaves "args" open, which chrome_event_end() closes. */
void chrome_slice_begin(struct chrome_out *c, const char *cat, const char *name, u64 pid, u64 tid, u64 ts, u64 end)
{
	chrome_event_begin(c, "X", name, pid, tid);
	c->events++;
	json_kv_string(&c->j, "cat", cat);
	put_us(c, "ts", ts - c->ts_start, "");
	put_dur(c, end - ts);
	/* speedscope shows even an empty one behind the name */
	if (c->no_args)
		return;
	json_key(&c->j, "args");
	json_object_begin(&c->j);
}

void chrome_event_end(struct chrome_out *c)
{
	if (!c->no_args)
		json_object_end(&c->j);
	json_object_end(&c->j);
}

void chrome_put_meta(struct chrome_out *c, const char *what, u64 pid, u64 tid, const char *name, u64 index)
{
	chrome_event_begin(c, "M", what, pid, tid);
	json_kv_string(&c->j, "cat", "__metadata");
	json_kv_u64(&c->j, "ts", 0);
	json_key(&c->j, "args");
	json_object_begin(&c->j);
	if (name)
		json_kv_string(&c->j, "name", name);
	else
		json_kv_u64(&c->j, "sort_index", index);
	json_object_end(&c->j);
	json_object_end(&c->j);
}

/* Perfetto reads ids that are text as hexadecimal. An end binds to the slice that it lies in ("bp"). */
void chrome_put_flow(struct chrome_out *c, bool begins, const char *name, u64 id, u64 pid, u64 tid, u64 ts)
{
	char text[32];

	chrome_event_begin(c, begins ? "s" : "f", name, pid, tid);
	json_kv_string(&c->j, "cat", name);
	put_us(c, "ts", ts - c->ts_start, "");
	(void)snprintf(text, sizeof(text), "0x%llx", (unsigned long long)id);
	json_kv_string(&c->j, "id", text);
	if (!begins)
		json_kv_string(&c->j, "bp", "e");
	json_object_end(&c->j);
}
