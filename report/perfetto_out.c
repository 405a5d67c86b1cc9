/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* perfetto_out.c: see perfetto_out.h. Field numbers stand beside their names; those of a message have its name in front. */
#include "report/perfetto_out.h"

#include <errno.h>
#include <string.h>

enum { SEQUENCE = 1, FLAG_CLEARED = 1, FLAG_NEEDS_STATE = 2 };
enum { CLOCK_ID_REALTIME = 1, CLOCK_ID_MONOTONIC = 3 };
enum { EVENT_BEGIN = 1, EVENT_END = 2, EVENT_INSTANT = 3, EVENT_COUNTER = 4 };

enum {
	TRACE_PACKET = 1,

	PACKET_FTRACE_EVENTS = 1,
	PACKET_CLOCK_SNAPSHOT = 6,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_TRACK_EVENT = 11,
	PACKET_INTERNED_DATA = 12,
	PACKET_FLAGS = 13,
	PACKET_CLOCK_ID = 58,
	PACKET_DEFAULTS = 59,
	PACKET_TRACK_DESCRIPTOR = 60,
	PACKET_PERF_SAMPLE = 66,
	PACKET_FIRST = 87,
	PACKET_TASK_STATE = 117,

	SNAPSHOT_CLOCK = 1,
	SNAPSHOT_PRIMARY = 2,
	CLOCK_ID = 1,
	CLOCK_TIMESTAMP = 2,

	DEFAULTS_PERF_SAMPLE = 12,
	DEFAULTS_CLOCK_ID = 58,
	PERF_DEFAULTS_TIMEBASE = 1,
	TIMEBASE_PERIOD = 1,
	TIMEBASE_COUNTER = 4,
	TIMEBASE_NAME = 10,
	COUNTER_CPU_CLOCK = 1,

	TRACK_UUID = 1,
	TRACK_NAME = 2,
	TRACK_PROCESS = 3,
	TRACK_THREAD = 4,
	TRACK_PARENT = 5,
	TRACK_COUNTER = 8,
	TRACK_CHILD_ORDER = 11,
	TRACK_RANK = 12,
	TRACK_MERGE = 15,
	PROCESS_PID = 1,
	PROCESS_NAME = 6,
	THREAD_PID = 1,
	THREAD_TID = 2,
	THREAD_SORT = 3,
	THREAD_NAME = 5,
	COUNTER_UNIT_NAME = 6,
	ORDER_EXPLICIT = 3,
	MERGE_NONE = 2,

	EVENT_CATEGORY_IIDS = 3,
	EVENT_ANNOTATION = 4,
	EVENT_TYPE = 9,
	EVENT_NAME_IID = 10,
	EVENT_TRACK = 11,
	EVENT_NAME = 23,
	EVENT_DOUBLE = 44,
	EVENT_FLOW = 47,
	EVENT_FLOW_END = 48,
	EVENT_CALLSTACK_IID = 56,
	ANNOTATION_NAME_IID = 1,
	ANNOTATION_UINT = 3,
	ANNOTATION_STRING_IID = 17,

	INTERNED_IID = 1,
	INTERNED_TEXT = 2,

	STATE_CPU = 1,
	STATE_COMM = 2,
	STATE_TID = 3,
	STATE_STATE = 4,

	FTRACE_CPU = 1,
	FTRACE_EVENT = 2,
	FTRACE_TIMESTAMP = 1,
	FTRACE_PID = 2,
	FTRACE_WAKING = 20,
	WAKING_COMM = 1,
	WAKING_PID = 2,

	SAMPLE_CPU = 1,
	SAMPLE_PID = 2,
	SAMPLE_TID = 3,
	SAMPLE_CALLSTACK_IID = 4,
	SAMPLE_MODE = 5,
	MODE_KERNEL = 1,
	MODE_USER = 2,
};

static const char *const category_names[PF_CATS] = {
	[PF_CAT_POLL] = "poll",	      [PF_CAT_UNCLASSIFIED] = "unclassified",
	[PF_CAT_BLOCKED] = "blocked", [PF_CAT_WAIT] = "wait",
	[PF_CAT_PARK] = "park",	      [PF_CAT_READY] = "ready",
	[PF_CAT_WAKE] = "wake",	      [PF_CAT_SPAWN] = "spawn",
	[PF_CAT_LOST] = "lost",	      [PF_CAT_CAPTURE] = "capture",
};

static const char *const key_names[PF_KEYS] = {
	[PF_KEY_TASK] = "task",
	[PF_KEY_KIND] = "kind",
	[PF_KEY_WORKER] = "worker",
	[PF_KEY_CLASS] = "class",
	[PF_KEY_SYSCALL] = "syscall",
	[PF_KEY_DETAIL] = "detail",
	[PF_KEY_STATE] = "state",
	[PF_KEY_ROLE] = "role",
	[PF_KEY_POLL_ID] = "poll_id",
	[PF_KEY_WAKER] = "waker",
	[PF_KEY_WAKER_TASK] = "waker_task",
	[PF_KEY_WAKER_FUNCTION] = "waker_function",
	[PF_KEY_FUNCTION] = "function",
	[PF_KEY_FILE] = "file",
	[PF_KEY_LINE] = "line",
	[PF_KEY_SPAWN] = "spawned_at",
	[PF_KEY_TID] = "tid",
	[PF_KEY_DUR_MIN] = "dur_min_ns",
	[PF_KEY_DUR_MAX] = "dur_max_ns",
	[PF_KEY_OFF_CPU] = "off_cpu_ns",
	[PF_KEY_ON_CPU] = "on_cpu_ns",
	[PF_KEY_RUNNABLE] = "runnable_ns",
	[PF_KEY_WAITS] = "waits",
	[PF_KEY_SAMPLES] = "samples",
	[PF_KEY_COUNT] = "count",
	[PF_KEY_TOOL] = "tool",
	[PF_KEY_CAPTURE] = "capture",
	[PF_KEY_VERDICT] = "verdict",
	[PF_KEY_WHY] = "why",
	[PF_KEY_KERNEL] = "kernel",
	[PF_KEY_HOST] = "host",
};

int pf_init(struct pf_out *o, FILE *out)
{
	static const enum pf_text kinds[] = {PF_TEXT_CATEGORY, PF_TEXT_NAME, PF_TEXT_KEY,    PF_TEXT_FUNCTION,
					     PF_TEXT_BUILD_ID, PF_TEXT_PATH, PF_TEXT_SOURCE, PF_TEXT_VALUE};

	*o = (struct pf_out){0};
	pb_init(&o->p, out);
	pb_init(&o->interned, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		o->texts[kinds[i]] = strtab_new();
		if (!o->texts[kinds[i]])
			return -ENOMEM;
	}
	return 0;
}

void pf_release(struct pf_out *o)
{
	pb_release(&o->p);
	pb_release(&o->interned);
	for (size_t i = 0; i < PF_TEXTS; i++)
		o->texts[i] = strtab_free(o->texts[i]);
}

int pf_finish(struct pf_out *o)
{
	int r = pb_finish(&o->p);

	return o->err ? o->err : r;
}

static void put_interned(struct pf_out *o, enum pf_text kind, u64 iid, const void *s, size_t n, bool is_text)
{
	pb_begin(&o->interned, kind);
	pb_u64(&o->interned, INTERNED_IID, iid);
	if (is_text)
		pb_string(&o->interned, INTERNED_TEXT, s);
	else
		pb_bytes(&o->interned, INTERNED_TEXT, s, n);
	pb_end(&o->interned);
}

/* A build-id is kept as hex and written as the bytes that it is. */
static void put_build_id(struct pf_out *o, u64 iid, const char *hex)
{
	static const char digits[] = "0123456789abcdef";
	u8 raw[64];
	size_t n = 0;

	for (; n < sizeof(raw) && hex[2 * n] && hex[2 * n + 1]; n++) {
		const char *hi = strchr(digits, hex[2 * n]), *lo = strchr(digits, hex[2 * n + 1]);

		if (!hi || !lo)
			break;
		raw[n] = (u8)((hi - digits) << 4 | (lo - digits));
	}
	put_interned(o, PF_TEXT_BUILD_ID, iid, raw, n, false);
}

u64 pf_text(struct pf_out *o, enum pf_text kind, const char *s)
{
	bool is_new = false;
	u32 iid = 0;
	int r;

	if (!s || !*s)
		return 0;
	r = strtab_intern(o->texts[kind], s, strlen(s), &iid, &is_new);
	if (r < 0) {
		o->err = o->err ? o->err : r;
		return 0;
	}
	if (is_new && kind == PF_TEXT_BUILD_ID)
		put_build_id(o, iid, s);
	else if (is_new)
		put_interned(o, kind, iid, s, 0, true);
	return iid;
}

void pf_packet_begin(struct pf_out *o, u64 ts)
{
	pb_begin(&o->p, TRACE_PACKET);
	if (ts)
		pb_u64(&o->p, PACKET_TIMESTAMP, ts);
	pb_u64(&o->p, PACKET_SEQUENCE, SEQUENCE);
	pb_u64(&o->p, PACKET_FLAGS, o->packets ? FLAG_NEEDS_STATE : FLAG_CLEARED);
	if (!o->packets)
		pb_u64(&o->p, PACKET_FIRST, 1);
	o->packets++;
}

void pf_packet_end(struct pf_out *o)
{
	if (o->interned.b.err)
		o->err = o->err ? o->err : o->interned.b.err;
	if (o->interned.b.len)
		pb_bytes(&o->p, PACKET_INTERNED_DATA, o->interned.b.data, o->interned.b.len);
	buf_reset(&o->interned.b);
	pb_end(&o->p);
}

static void put_clock(struct pf_out *o, u64 id, u64 ts)
{
	pb_begin(&o->p, SNAPSHOT_CLOCK);
	pb_u64(&o->p, CLOCK_ID, id);
	pb_u64(&o->p, CLOCK_TIMESTAMP, ts);
	pb_end(&o->p);
}

void pf_put_start(struct pf_out *o, u64 monotonic, u64 realtime, u64 period_ns)
{
	pf_packet_begin(o, 0);
	pb_begin(&o->p, PACKET_CLOCK_SNAPSHOT);
	put_clock(o, CLOCK_ID_MONOTONIC, monotonic);
	if (realtime)
		put_clock(o, CLOCK_ID_REALTIME, realtime);
	pb_u64(&o->p, SNAPSHOT_PRIMARY, CLOCK_ID_MONOTONIC);
	pb_end(&o->p);
	pb_begin(&o->p, PACKET_DEFAULTS);
	pb_u64(&o->p, DEFAULTS_CLOCK_ID, CLOCK_ID_MONOTONIC);
	if (period_ns) {
		pb_begin(&o->p, DEFAULTS_PERF_SAMPLE);
		pb_begin(&o->p, PERF_DEFAULTS_TIMEBASE);
		pb_u64(&o->p, TIMEBASE_PERIOD, period_ns);
		pb_u64(&o->p, TIMEBASE_COUNTER, COUNTER_CPU_CLOCK);
		pb_string(&o->p, TIMEBASE_NAME, "cpu-clock");
		pb_end(&o->p);
		pb_end(&o->p);
	}
	pb_end(&o->p);
	pf_packet_end(o);
}

/* ---- tracks ---- */

static void track_begin(struct pf_out *o, u64 uuid)
{
	pf_packet_begin(o, 0);
	pb_begin(&o->p, PACKET_TRACK_DESCRIPTOR);
	pb_u64(&o->p, TRACK_UUID, uuid);
}

static void track_end(struct pf_out *o)
{
	pb_end(&o->p);
	pf_packet_end(o);
}

void pf_put_process(struct pf_out *o, u64 uuid, u64 pid, const char *name)
{
	track_begin(o, uuid);
	pb_begin(&o->p, TRACK_PROCESS);
	pb_u64(&o->p, PROCESS_PID, pid);
	pb_string(&o->p, PROCESS_NAME, name);
	pb_end(&o->p);
	pb_u64(&o->p, TRACK_CHILD_ORDER, ORDER_EXPLICIT);
	track_end(o);
}

void pf_put_thread(struct pf_out *o, u64 uuid, u64 pid, u64 tid, const char *name, u64 rank)
{
	track_begin(o, uuid);
	pb_begin(&o->p, TRACK_THREAD);
	pb_u64(&o->p, THREAD_PID, pid);
	pb_u64(&o->p, THREAD_TID, tid);
	pb_u64(&o->p, THREAD_SORT, rank);
	pb_string(&o->p, THREAD_NAME, name);
	pb_end(&o->p);
	track_end(o);
}

static void child_begin(struct pf_out *o, u64 uuid, u64 parent, const char *name, u64 rank)
{
	track_begin(o, uuid);
	pb_string(&o->p, TRACK_NAME, name);
	if (parent)
		pb_u64(&o->p, TRACK_PARENT, parent);
	pb_u64(&o->p, TRACK_RANK, rank);
}

void pf_put_track(struct pf_out *o, u64 uuid, u64 parent, const char *name, u64 rank, bool own)
{
	child_begin(o, uuid, parent, name, rank);
	if (own)
		pb_u64(&o->p, TRACK_MERGE, MERGE_NONE);
	track_end(o);
}

void pf_put_counter_track(struct pf_out *o, u64 uuid, u64 parent, const char *name, const char *unit, u64 rank)
{
	child_begin(o, uuid, parent, name, rank);
	pb_begin(&o->p, TRACK_COUNTER);
	pb_string(&o->p, COUNTER_UNIT_NAME, unit);
	pb_end(&o->p);
	track_end(o);
}

/* ---- events ---- */

static void event_begin(struct pf_out *o, u64 type, u64 track, u64 ts)
{
	pf_packet_begin(o, ts);
	pb_begin(&o->p, PACKET_TRACK_EVENT);
	pb_u64(&o->p, EVENT_TYPE, type);
	pb_u64(&o->p, EVENT_TRACK, track);
}

static void put_category(struct pf_out *o, enum pf_category c)
{
	if (!o->categories[c])
		o->categories[c] = pf_text(o, PF_TEXT_CATEGORY, category_names[c]);
	pb_u64(&o->p, EVENT_CATEGORY_IIDS, o->categories[c]);
}

void pf_slice_begin(struct pf_out *o, u64 track, u64 ts, enum pf_category c)
{
	event_begin(o, EVENT_BEGIN, track, ts);
	put_category(o, c);
	o->slices++;
}

void pf_instant_begin(struct pf_out *o, u64 track, u64 ts, enum pf_category c)
{
	event_begin(o, EVENT_INSTANT, track, ts);
	put_category(o, c);
	o->slices++;
}

void pf_event_end(struct pf_out *o)
{
	pb_end(&o->p);
	pf_packet_end(o);
}

void pf_slice_end(struct pf_out *o, u64 track, u64 ts)
{
	event_begin(o, EVENT_END, track, ts);
	pf_event_end(o);
}

void pf_counter(struct pf_out *o, u64 track, u64 ts, double value)
{
	event_begin(o, EVENT_COUNTER, track, ts);
	pb_double(&o->p, EVENT_DOUBLE, value);
	pf_event_end(o);
}

void pf_name(struct pf_out *o, const char *name)
{
	u64 iid = pf_text(o, PF_TEXT_NAME, name);

	if (iid)
		pb_u64(&o->p, EVENT_NAME_IID, iid);
}

void pf_name_once(struct pf_out *o, const char *name)
{
	pb_string(&o->p, EVENT_NAME, name);
}

static void arg_begin(struct pf_out *o, enum pf_key key)
{
	if (!o->keys[key])
		o->keys[key] = pf_text(o, PF_TEXT_KEY, key_names[key]);
	pb_begin(&o->p, EVENT_ANNOTATION);
	pb_u64(&o->p, ANNOTATION_NAME_IID, o->keys[key]);
}

void pf_arg_u64(struct pf_out *o, enum pf_key key, u64 v)
{
	arg_begin(o, key);
	pb_u64(&o->p, ANNOTATION_UINT, v);
	pb_end(&o->p);
}

void pf_arg_text(struct pf_out *o, enum pf_key key, const char *v)
{
	u64 iid = pf_text(o, PF_TEXT_VALUE, v);

	if (!iid)
		return;
	arg_begin(o, key);
	pb_u64(&o->p, ANNOTATION_STRING_IID, iid);
	pb_end(&o->p);
}

void pf_flow_out(struct pf_out *o, u64 id)
{
	pb_fixed64(&o->p, EVENT_FLOW, id);
}

void pf_flow_in(struct pf_out *o, u64 id)
{
	pb_fixed64(&o->p, EVENT_FLOW_END, id);
	o->flows++;
}

void pf_stack(struct pf_out *o, u64 callstack_iid)
{
	if (callstack_iid)
		pb_u64(&o->p, EVENT_CALLSTACK_IID, callstack_iid);
}

/* ---- the kernel's view ---- */

void pf_thread_state(struct pf_out *o, u64 ts, u64 tid, const char *name, u64 cpu, enum pf_state state)
{
	pf_packet_begin(o, ts);
	pb_begin(&o->p, PACKET_TASK_STATE);
	pb_u64(&o->p, STATE_CPU, cpu);
	pb_string(&o->p, STATE_COMM, name);
	pb_u64(&o->p, STATE_TID, tid);
	pb_u64(&o->p, STATE_STATE, state);
	pb_end(&o->p);
	pf_packet_end(o);
}

void pf_waking(struct pf_out *o, u64 ts, u64 tid, const char *name, u64 cpu, u64 waker_tid)
{
	pf_packet_begin(o, 0);
	pb_begin(&o->p, PACKET_FTRACE_EVENTS);
	pb_u64(&o->p, FTRACE_CPU, cpu);
	pb_begin(&o->p, FTRACE_EVENT);
	pb_u64(&o->p, FTRACE_TIMESTAMP, ts);
	pb_u64(&o->p, FTRACE_PID, waker_tid);
	pb_begin(&o->p, FTRACE_WAKING);
	pb_string(&o->p, WAKING_COMM, name);
	pb_u64(&o->p, WAKING_PID, tid);
	pb_end(&o->p);
	pb_end(&o->p);
	pb_end(&o->p);
	pf_packet_end(o);
}

void pf_sample(struct pf_out *o, u64 ts, u64 pid, u64 tid, u64 cpu, bool kernel, u64 callstack_iid)
{
	pf_packet_begin(o, ts);
	pb_begin(&o->p, PACKET_PERF_SAMPLE);
	pb_u64(&o->p, SAMPLE_CPU, cpu);
	pb_u64(&o->p, SAMPLE_PID, pid);
	pb_u64(&o->p, SAMPLE_TID, tid);
	if (callstack_iid)
		pb_u64(&o->p, SAMPLE_CALLSTACK_IID, callstack_iid);
	pb_u64(&o->p, SAMPLE_MODE, kernel ? MODE_KERNEL : MODE_USER);
	pb_end(&o->p);
	pf_packet_end(o);
}
