/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * ascope_wire.h: what the kernel side sends and what user space tells it. The only header both sides include; fixed sizes,
 * same machine, never written to disk as is (record/convert.c turns it into format rows).
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#include "unwind_rows.h"

#define WIRE_MAX_FRAMES	   256 /* frames of one stack */
#define WIRE_COMM_LEN	   16
#define WIRE_CORE_BYTES	   256 /* of a scheduler Core, for tick calibration */
#define WIRE_MAX_TARGETS   4096
#define WIRE_MAX_RINGS	   32	      /* cpus beyond share them */
#define WIRE_TARGET_WORDS  1024	      /* of the filter by tgid, */
#define WIRE_TARGET_SHARED 0xffffffff /* and one that several targets have had a claim to */
#define WIRE_CTX_BYTES	   96	      /* of a CONTEXT that are read: all fields lie in them */

enum wire_kind {
	WIRE_SWITCH_OUT = 1,
	WIRE_SWITCH_IN,
	WIRE_WAKING,
	WIRE_SAMPLE,
	WIRE_STACK,
	WIRE_THREAD_START,
	WIRE_THREAD_EXIT,
	WIRE_RENAME,
	WIRE_EXEC,
	WIRE_MARKER,
	WIRE_TASK_SPAWN,
	WIRE_TASK_END,
	WIRE_TASK_POLL,
	WIRE_TASK_WAKE,
	WIRE_CORE, /* raw bytes of a scheduler Core, while the tick is being calibrated */
	WIRE_KINDS,
};

/* Every record begins with this. */
struct wire_hdr {
	__u32 kind;
	__u32 cpu;
	__u64 ts; /* CLOCK_MONOTONIC ns, read after the ring slot was reserved */
	__u32 tgid;
	__u32 tid;
};

enum wire_ctx_status { WIRE_CTX_NO_LAYOUT = 0, WIRE_CTX_READ = 1, WIRE_CTX_UNREAD = 2 };
enum wire_flavor { WIRE_FLAVOR_UNKNOWN = 0, WIRE_FLAVOR_CURRENT_THREAD = 1, WIRE_FLAVOR_MULTI_THREAD = 2 };

/* The Tokio context of a thread at one instant; tokio/src/runtime/context.rs. */
struct wire_ctx {
	__u64 sched; /* CONTEXT.scheduler: address of the entered scheduler::Context; 0 none */
	__u64 core;  /* its Core; 0 handed off */
	__u64 task;  /* current task id; 0 none */
	__u32 tick;
	__u16 budget; /* 0 None, else 1 + remaining */
	__u8 status;  /* enum wire_ctx_status */
	__u8 runtime; /* EnterRuntime: 0, 1, 2 */
	__u8 flavor;  /* enum wire_flavor; 0 when sched is 0 */
	__u8 park;    /* multi-thread: core.park is present */
	__u16 pad;
	__u32 gen; /* generation of the layout it was read with */
};

/* Evidence for the class of a wait. */
struct wire_wait {
	__u64 arg0;
	__s32 syscall; /* -1 none */
	__u8 iowait;
	__u8 fd_type;	 /* S_IFMT >> 12 of the file behind arg0 or the first pollfd; 0 none */
	__u16 fd_family; /* 1 + address family; 0 no socket */
};

struct wire_switch_out {
	struct wire_hdr h;
	struct wire_ctx ctx;
	struct wire_wait wait;
	__u64 ustack, kstack; /* hashes; 0 not taken */
	__u64 exec;	      /* ns the thread was on a cpu since it began */
	__u32 switches;	      /* how often it was switched out, this time included; wraps */
	__u32 pad;
	__u32 state;
	__u8 preempt;
	__u8 lifo;    /* 1 + occupied; 0 not read */
	__u16 queued; /* 1 + length; 0 not read */
	__u32 inject; /* 1 + length of the runtime's injection queue; 0 not read */
	__u32 pad2;
};

struct wire_switch_in {
	struct wire_hdr h;
};

struct wire_waking {
	struct wire_hdr h;	   /* the thread that is woken */
	struct wire_ctx waker_ctx; /* without flavor, core, park and tick */
	__u32 waker_tgid, waker_tid;
	__u32 irq;			  /* 1: an interrupt woke it, the running thread is not the cause */
	__u32 state;			  /* of the woken thread, just before */
	__u64 waker_ustack, waker_kstack; /* hashes; 0 not taken */
};

struct wire_sample {
	struct wire_hdr h;
	struct wire_ctx ctx;
	__u64 ustack, kstack; /* ustack: of the callers only, the innermost address is pc */
	__u64 pc;	      /* user address that was interrupted, or behind the system call */
	__u32 inject;	      /* this and the next two as in wire_switch_out */
	__u16 queued;
	__u8 lifo;
	__u8 user_mode;
};

struct wire_stack {
	struct wire_hdr h;
	__u64 hash;
	__u32 kernel;
	__u32 n;
	__u16 status;		       /* enum uw_status */
	__u16 fp_from;		       /* 1 + number of the first frame found by a frame pointer; 0 none */
	__u32 in_syscall;	       /* the innermost user address is behind a syscall instruction */
	__u64 frames[WIRE_MAX_FRAMES]; /* innermost first */
};

struct wire_thread_start {
	struct wire_hdr h; /* the new thread */
	__u64 start;	   /* CLOCK_MONOTONIC ns */
	__u32 parent_tgid, parent_tid;
	char comm[WIRE_COMM_LEN];
};

struct wire_thread_exit {
	struct wire_hdr h;
	__u32 group_dead;
	__u32 pad;
	__u64 cpu_ns; /* with group_dead: cpu time of all threads of the process; those that end at the same time on other cpus may be missing */
};

struct wire_rename {
	struct wire_hdr h;
	char comm[WIRE_COMM_LEN];
};

struct wire_exec {
	struct wire_hdr h;
	__u32 old_tid; /* the thread that called exec; it is now the leader */
	__u32 pad;
};

/* A user's own function was entered: record/marker.h. */
struct wire_marker {
	struct wire_hdr h; /* ts: of a START when its program ends, of an END when it begins, so that the interval has neither */
	__u64 task;	   /* current task id; 0 none or not known */
	__u64 ustack;	   /* of a START: the function's callers; 0 not taken */
	__u32 pair;	   /* from 0 */
	__u32 end;	   /* 0 START, 1 END */
};

/* Of a task that a probe met (record/probe_group.h). Fields that could not be read are 0. */
struct wire_task_ref {
	__u64 header; /* address of its Header: an identity only while it lives */
	__u64 vtable; /* address */
	__u64 task;   /* its id, read by the vtable's id offset; 0 unknown */
	__u32 state;  /* low bits of Tokio's state word */
	__u32 module; /* of the cookie: the file that the probe is in */
};

/* What the thread at a probe was doing itself. */
struct wire_task_by {
	__u64 task;   /* its current task id */
	__u16 budget; /* as in wire_ctx */
	__u8 status;  /* enum wire_ctx_status */
	__u8 runtime;
	__u8 entered; /* it is in a scheduler context */
	__u8 pad[3];
};

struct wire_task_spawn {
	struct wire_hdr h;
	struct wire_task_ref ref;
	struct wire_task_by by;
	__u64 handle; /* what its scheduler field points to (Arc<Handle>), read by the vtable's scheduler_offset; 0 unknown, or none */
	__u64 location[2]; /* what may be the address of the Location, of the spawn that led here, the likelier first; 0 none */
	__u64 caller;	   /* return address into what called spawn, or bind where spawn is inlined */
	__u32 blocking;	   /* 1: a closure for the blocking pool */
	__u32 pad;
};

struct wire_task_end {
	struct wire_hdr h;
	struct wire_task_ref ref;
	__u32 freed; /* 0 complete was entered, 1 dealloc was */
	__u32 pad;
};

struct wire_task_poll {
	struct wire_hdr h;
	struct wire_task_ref ref; /* of an end: module alone */
	__u64 returns_to;	  /* of a begin, where its end is not probed yet; else 0 */
	__u32 end;
	__u32 pad;
};

struct wire_task_wake {
	struct wire_hdr h; /* the thread that wakes */
	struct wire_task_ref ref;
	struct wire_task_by by;
};

#define WIRE_LOCATION_FILE_MAX 4096 /* bytes of a source file's name */
#define WIRE_LOCATION_LINE_MAX (1 << 24)

/*
 * The cookie of a task's probe (probe_group.h: PROBE_COOKIE): bits 0-31 module, 32-39 group, 40-47 where a Header has its vtable, 48 whether that ends with
 * scheduler_offset and id_offset, 49 whether the instruction there is one that the kernel does not emulate (record/probe_place.h), 50-51 of SCHEDULE
 * enum schedule_how (task_groups.h).
 */
#define WIRE_COOKIE_MODULE(cookie) ((__u32)(cookie))
#define WIRE_COOKIE_VTABLE(cookie) ((cookie) >> 40 & 0xff)
#define WIRE_COOKIE_IDS(cookie)	   ((cookie) >> 48 & 1)
#define WIRE_COOKIE_STEPPED	   (1ULL << 49)
#define WIRE_COOKIE_HOW(cookie)	   ((cookie) >> 50 & 3)

/* Ends of polls that are known: a table of sets of keys, which one process's address makes. 0 is no key. */
#define WIRE_END_SETS		    256
#define WIRE_END_WAYS		    4
#define WIRE_END_KEY(tgid, address) ((((__u64)(address) ^ (__u64)(tgid) << 48 ^ (__u64)(tgid) >> 16) * 0x9e3779b97f4a7c15ULL) | 1)
#define WIRE_END_SET(key)	    ((key) >> 56)

struct wire_core {
	struct wire_hdr h;
	struct wire_ctx ctx;
	__u32 waits; /* 1: the thread is about to wait, 0: preempted or sampled */
	__u32 pad;
	__u8 bytes[WIRE_CORE_BYTES];
};

/* The cookie of a marker's probe. */
#define WIRE_MARKER_COOKIE(pair, end) ((__u64)(pair) << 1 | (end))

/* One row of the task iterator: a thread as it is now. */
struct wire_task {
	__u32 tgid, tid;
	__u32 state;
	__u32 pad;
	__u64 fsbase, ip, sp, bp; /* ip 0: no x86-64 code to walk, or a new thread that has no callers */
	__u64 nvcsw, nivcsw;	  /* switches so far: equal before and after a look means that it did not run */
	__u64 start;
	struct wire_wait wait;
	char comm[WIRE_COMM_LEN];
};

#define WIRE_COPIES	 3	    /* of Tokio in one process, whose contexts are read */
#define WIRE_NOT_ENTERED 2	    /* EnterRuntime::NotEntered */
#define WIRE_NOWHERE	 0x7fffffff /* a place that this copy does not have */
#define WIRE_NO_FIELD	 0xffff	    /* an offset of a field that this layout does not have */

/*
 * Where one copy of Tokio keeps a thread's context: record/layout.c fills it. Places are in bytes from the copy's TLS base: the thread pointer for the main
 * program and what was loaded with it (places are negative), the module's own block for a library that was loaded later.
 */
struct wire_layout {
	__u32 valid;
	__u32 gen; /* never given twice in a recording: user space knows by it which copy, of which process, a record was read with */
	__u32 dtv_off; /* 0: the base is fsbase; else *(u64 *)(*(u64 *)(fsbase + 8) + dtv_off): glibc's dtv, 16 bytes a module (record/tls_slot.h) */
	__s32 at; /* CONTEXT, of which one read takes 96 bytes; WIRE_NOWHERE before Tokio 1.22 */
	/* in CONTEXT */
	__u16 off_sched;  /* WIRE_NO_FIELD before 1.29: at_mt and at_ct then */
	__u16 off_id;	  /* of the value; WIRE_NO_FIELD before 1.22: there is none */
	__u16 off_id_tag; /* WIRE_NO_FIELD: no tag (1.40 and later); else of the u64 that is 1 for Some */
	__u16 off_budget;
	__u16 off_runtime;
	__u16 has_flavor_tag; /* scheduler::Context starts with a u64 tag: 1 multi-thread, 0 current-thread */
	/* thread-locals of their own in older versions */
	__s32 at_mt, at_ct;	     /* pointers to the context of either scheduler, 0 while none is entered (before 1.29) */
	__s32 at_budget, at_runtime; /* before 1.22 */
	/* in the scheduler's context */
	__u16 mt_owner, mt_core; /* Arc<Worker>; Box<Core> */
	__u16 ct_owner, ct_core; /* Arc<Handle> or what stands for it; Box<Core> */
	/* in Core */
	__u16 tick_mt, tick_ct;
	__u16 off_park;		   /* multi-thread */
	__u16 off_lifo, off_queue; /* multi-thread: LIFO slot and the run queue's Arc; WIRE_NO_FIELD: not read */
	/* from a runtime's Handle to the length of its injection queue (usize), by flavor; WIRE_NO_FIELD: not read */
	__u16 off_inject, off_inject_ct;
	__u16 off_tasks; /* in the current-thread Core: length of its own queue (usize); WIRE_NO_FIELD: not read */
	__u16 core_from; /* current-thread: offset in Core of what WIRE_CORE takes along; before 1.32 the tick is far in */
	__u32 want_core; /* send WIRE_CORE: bit 0 current-thread, bit 1 multi-thread */
};

/* One per target process (tgid). */
struct wire_target {
	struct wire_layout layout[WIRE_COPIES]; /* the valid ones first: most processes have one copy */
	__u32 map_first, map_n;			/* its slice of the unwind maps (unwind_rows.h); map_n 0: nothing is known yet */
	__u32 map_gen; /* counts changes after which an address may mean other code: exec, a mapping replaced */
	__u32 pad;
};

/* Per-cpu counters, index = enum wire_stat. */
enum wire_stat {
	WIRE_STAT_SENT = 0,		   /* + enum wire_kind */
	WIRE_STAT_LOST = WIRE_KINDS,	   /* + enum wire_kind: no room in the ring */
	WIRE_STAT_UNREAD = 2 * WIRE_KINDS, /* context reads that faulted */
	WIRE_STAT_STACK_FAILED,		   /* stacks the kernel could not take */
	WIRE_STAT_TARGETS_FULL,		   /* a child process could not be followed */
	WIRE_STAT_WALK_FRAMES,		   /* frames of all user stacks that were walked */
	WIRE_STAT_WALK_SAME,		   /* user stacks that were not walked, being provably those of the time before */
	WIRE_STAT_WALK,			   /* + enum uw_status: user stacks that were walked */
	WIRE_STAT_WALK_LAST = WIRE_STAT_WALK + UW_STATUSES - 1,
	WIRE_STAT_PROBE_HITS, /* + enum probe_group (record/probe_group.h): hits in a target */
	WIRE_STAT_PROBE_LAST = WIRE_STAT_PROBE_HITS + 7,
	WIRE_STAT_PROBE_STEPPED, /* + enum probe_group: those of them whose cookie has WIRE_COOKIE_STEPPED */
	WIRE_STAT_PROBE_STEPPED_LAST = WIRE_STAT_PROBE_STEPPED + 7,
	WIRE_STAT_PROBE_OTHERS, /* hits in processes that are no targets */
	WIRE_STATS,
	WIRE_STATS_ROOM = 128, /* whole cache lines: cpus do not share one */
};

/* Those of one cpu: an entry of the map `stats`, which user space has in its memory. */
struct wire_stats {
	__u64 of[WIRE_STATS_ROOM];
};
