/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * perfetto_out.h: writes packets of Perfetto's trace format: tracks, slices, instants, counters, states of threads, samples.
 * Used by export_perfetto.c and perfetto_tasks.c. Field numbers and their meaning are of Perfetto's protos/perfetto/trace at commit
 * ec5d16b1 (2026); what a number stands for never changes there.
 *
 * Texts and stacks are written once, under a number (iid), in the packet that first uses them, and kept here as long as the export
 * runs: memory goes with distinct names and stacks. All packets are of one sequence, whose state is never cleared. Times are ns of
 * CLOCK_MONOTONIC, as recorded; packets need not be in their order, but for those of one track and time: what ends there is
 * written before what begins.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/protobuf.h"
#include "base/strtab.h"

/* What a slice is about. */
enum pf_category {
	PF_CAT_POLL,
	PF_CAT_UNCLASSIFIED,
	PF_CAT_BLOCKED,
	PF_CAT_WAIT,
	PF_CAT_PARK,
	PF_CAT_READY,
	PF_CAT_WAKE,
	PF_CAT_SPAWN,
	PF_CAT_LOST,
	PF_CAT_CAPTURE,
	PF_CATS
};

/* Names of debug annotations. */
enum pf_key {
	PF_KEY_TASK,
	PF_KEY_KIND,
	PF_KEY_WORKER,
	PF_KEY_CLASS,
	PF_KEY_SYSCALL,
	PF_KEY_DETAIL,
	PF_KEY_STATE,
	PF_KEY_ROLE,
	PF_KEY_POLL_ID,
	PF_KEY_WAKER,
	PF_KEY_WAKER_TASK,
	PF_KEY_WAKER_FUNCTION,
	PF_KEY_FUNCTION,
	PF_KEY_FILE,
	PF_KEY_LINE,
	PF_KEY_SPAWN,
	PF_KEY_TID,
	PF_KEY_DUR_MIN,
	PF_KEY_DUR_MAX,
	PF_KEY_OFF_CPU,
	PF_KEY_ON_CPU,
	PF_KEY_RUNNABLE,
	PF_KEY_WAITS,
	PF_KEY_SAMPLES,
	PF_KEY_COUNT,
	PF_KEY_TOOL,
	PF_KEY_CAPTURE,
	PF_KEY_VERDICT,
	PF_KEY_WHY,
	PF_KEY_KERNEL,
	PF_KEY_HOST,
	PF_KEYS,
};

/* What is interned, by the field of InternedData. */
enum pf_text {
	PF_TEXT_CATEGORY = 1,
	PF_TEXT_NAME = 2,
	PF_TEXT_KEY = 3,
	PF_TEXT_FUNCTION = 5,
	PF_TEXT_BUILD_ID = 16,
	PF_TEXT_PATH = 17,
	PF_TEXT_SOURCE = 18,
	PF_TEXT_VALUE = 29,
	PF_TEXTS,
};

/* GenericKernelTaskStateEvent.state */
enum pf_state {
	PF_STATE_RUNNABLE = 2,
	PF_STATE_RUNNING = 3,
	PF_STATE_SLEEP = 4,
	PF_STATE_DISK = 5,
	PF_STATE_STOPPED = 6,
	PF_STATE_DEAD = 7
};

struct pf_out {
	struct pb p;				/* packets */
	struct pb interned;			/* what the packet that is being made defines */
	struct strtab *texts[PF_TEXTS];		/* an index there is the iid */
	u64 categories[PF_CATS], keys[PF_KEYS]; /* iids; 0: not yet written */
	u64 packets, slices, flows;
	int err; /* first failure to intern */
};

int pf_init(struct pf_out *o, FILE *out) __must_check;
void pf_release(struct pf_out *o);
int pf_finish(struct pf_out *o) __must_check; /* 0, -ENOMEM, -EFBIG, -EIO */

/* The iid of a text, which the packet that is ended next defines when it is new. 0 for "" and after a failure, which sticks. */
u64 pf_text(struct pf_out *o, enum pf_text kind, const char *s);

/* A packet; what is between goes into o->p. ts is not written when it is 0. */
void pf_packet_begin(struct pf_out *o, u64 ts);
void pf_packet_end(struct pf_out *o);

/* The packet that must be first: clocks tied to one another (0: not known), defaults. period_ns: of samples, 0 none. */
void pf_put_start(struct pf_out *o, u64 monotonic, u64 realtime, u64 period_ns);

/* ---- tracks; uuids are the caller's, not 0 ---- */

void pf_put_process(struct pf_out *o, u64 uuid, u64 pid, const char *name);
void pf_put_thread(struct pf_out *o, u64 uuid, u64 pid, u64 tid, const char *name, u64 rank);
/* own: never drawn in one row with a sibling of the same name */
void pf_put_track(struct pf_out *o, u64 uuid, u64 parent, const char *name, u64 rank, bool own);
void pf_put_counter_track(struct pf_out *o, u64 uuid, u64 parent, const char *name, const char *unit, u64 rank);

/* ---- events on tracks ---- */

/* Opens an event; between it and pf_event_end: at most one name, any annotations, flows and one stack. */
void pf_slice_begin(struct pf_out *o, u64 track, u64 ts, enum pf_category c);
void pf_instant_begin(struct pf_out *o, u64 track, u64 ts, enum pf_category c);
void pf_event_end(struct pf_out *o);
void pf_slice_end(struct pf_out *o, u64 track, u64 ts);
void pf_counter(struct pf_out *o, u64 track, u64 ts, double value);

void pf_name(struct pf_out *o, const char *name);      /* interned: for names that many events have */
void pf_name_once(struct pf_out *o, const char *name); /* for others */
void pf_arg_u64(struct pf_out *o, enum pf_key key, u64 v);
void pf_arg_text(struct pf_out *o, enum pf_key key, const char *v); /* interned; NULL: nothing is written */
void pf_flow_out(struct pf_out *o, u64 id);
void pf_flow_in(struct pf_out *o, u64 id);
void pf_stack(struct pf_out *o, u64 callstack_iid); /* 0: none */

/* ---- the kernel's view ---- */

void pf_thread_state(struct pf_out *o, u64 ts, u64 tid, const char *name, u64 cpu, enum pf_state state);
/* cpu: where the woken ran before, for the waker's is not known; waker_tid 0: an interrupt, which Perfetto shows as swapper */
void pf_waking(struct pf_out *o, u64 ts, u64 tid, const char *name, u64 cpu, u64 waker_tid);
void pf_sample(struct pf_out *o, u64 ts, u64 pid, u64 tid, u64 cpu, bool kernel, u64 callstack_iid);
