/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * classify.h: what one record says. Pure functions, no state: the role of a thread at an instant (design 35-blocking section
 * 3), whether a switch-out is a wait that counts, and the class of a wait (section 5). intervals.c and poll.c put records together.
 */
#pragma once

#include "base/base.h"

/* What a thread was doing; names as in offcpu.role of schema.sql. */
enum role {
	ROLE_UNKNOWN,	     /* no runtime layout is known for its process, or what was read cannot be trusted */
	ROLE_UNREAD,	     /* the read faulted: never taken for "not in a runtime" */
	ROLE_NONE,	     /* has entered no runtime */
	ROLE_PARKED,	     /* idle worker, or waiting between polls */
	ROLE_SCHEDULER,	     /* on the cpu in the runtime's own code, between polls */
	ROLE_BLOCK_IN_PLACE, /* has handed its core off: harmless */
	ROLE_BLOCKING_POOL,  /* runs a spawn_blocking closure, block_on inside one included: harmless */
	ROLE_IN_POLL,
};

/* What waits while a poll does not return. */
enum holds { HOLDS_NOTHING, HOLDS_RUNTIME, HOLDS_LOCALSET, HOLDS_ROOT };

enum wait_class {
	CLASS_SLEEP,
	CLASS_LOCK,
	CLASS_DISK,
	CLASS_NETWORK,
	CLASS_DNS,
	CLASS_PIPE,
	CLASS_PROCESS,
	CLASS_FAULT,
	CLASS_CPU,
	CLASS_OTHER,
	CLASS_COUNT,
};

/* Rules in the order in which they are tried; names are stable (offcpu.rule, poll.rule). */
enum wait_rule {
	RULE_FAULT,
	RULE_NANOSLEEP,
	RULE_FUTEX,
	RULE_DNS, /* applied after symbolization, see wait_names.c, which has more such rules */
	RULE_SOCKET,
	RULE_IO_URING, /* the kernel counts its waits as I/O, whatever is in the ring */
	RULE_IOWAIT,
	RULE_FILE,
	RULE_FSYNC,
	RULE_PATH,
	RULE_PIPE,
	RULE_DEVICE, /* a character device: a terminal, usually */
	RULE_CHILD,
	RULE_EVENT_LOOP,
	RULE_OTHER,
	RULE_CPU,
	RULE_COUNT,
};

const char *role_name(enum role r);
const char *holds_name(enum holds h);
const char *wait_class_name(enum wait_class c);
const char *wait_rule_name(enum wait_rule r);

/* One thread's Tokio context at one instant, and what decides besides. */
struct context_facts {
	u64 status;	    /* enum fmt_ctx_status */
	bool has_scheduler; /* it has entered a scheduler context */
	u64 flavor;	    /* of that scheduler: enum fmt_flavor */
	u64 budget;	    /* 0 None, else 1 + remaining */
	u64 runtime;	    /* EnterRuntime: 0, 1, 2 */
	u64 core;	    /* address; 0 handed off */
	u64 park;	    /* multi-thread: 1 present, 0 taken */
	u64 task;	    /* id; 0 none */
	u64 syscall;	    /* 1 + number; 0 none or not known */
	bool waiting;	    /* the record is the begin of a wait, not a sample or a preemption */
};

struct role_facts {
	enum role role;
	enum holds holds; /* HOLDS_NOTHING unless role is ROLE_IN_POLL */
};

struct role_facts classify_context(const struct context_facts *f);

/* The letter of offcpu.state for prev_state bits of the kernel; 'R' when preempted or still runnable. */
char classify_state(u64 state, bool preempt);

/* Whether time out of the cpu in this state is a wait: S, D and I are; stopped, traced, dead and unknown are not. */
bool classify_state_waits(char state);

struct wait_facts {
	char state;  /* from classify_state() */
	u64 syscall; /* 1 + number; 0 none */
	u64 arg0;
	bool iowait;
	u64 fd_type;   /* S_IFMT >> 12; 0 none */
	u64 fd_family; /* 1 + address family; 0 none */
};

struct wait_verdict {
	enum wait_class cls;
	enum wait_rule rule;
};

struct wait_verdict classify_wait(const struct wait_facts *f);

/* The name of 1 + number on x86-64; NULL for 0 and unknown numbers. */
const char *syscall_name(u64 syscall);
