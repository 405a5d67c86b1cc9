/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_wire.h: what the report (parent) and the reader of a module's debug information (child, sym_serve.c) say to each other. Pure functions on bytes.
 *
 *	parent -> child	LOOKUPS and TASKS in any mix	on a stream; the child reads until its end
 *	child -> parent	OPENED or FAILED, then STRING, FRAMES and TASK in any mix, as many FRAMES as there were lookups, in their order, and as many
 *			TASK as types of tasks were asked for, then DONE
 *	child -> parent	a request for a file of split DWARF (one packet, answered by one packet) on a second socket
 *
 * A record is struct sym_wire_head and `len` bytes. Both ends are one program on one machine, so numbers are the machine's own.
 *
 * The parent trusts nothing the child says: struct sym_answers takes bytes as they come and keeps its promises whatever they are.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "report/sym.h"
#include "report/task_find.h"

#define SYM_WIRE_STRING_MAX  ((u32)128 << 10) /* bytes of one string */
#define SYM_WIRE_STRINGS_MAX ((u64)256 << 20) /* of all strings of a module */
#define SYM_WIRE_RECORD_MAX  ((u32)256 << 10) /* payload of one record */
#define SYM_WIRE_LOOKUPS     512	      /* at most in one record */
#define SYM_WIRE_TASKS	     512	      /* likewise */
#define SYM_WIRE_WHY_MAX     256

enum sym_wire_kind {
	SYM_WIRE_LOOKUPS_OF = 1, /* struct sym_wire_lookup[] */
	SYM_WIRE_OPENED,	 /* struct sym_wire_opened */
	SYM_WIRE_FAILED,	 /* struct sym_wire_failed, then a phrase */
	SYM_WIRE_STRING,	 /* the bytes of the next string; they are numbered from 1 */
	SYM_WIRE_FRAMES,	 /* struct sym_wire_frame[], innermost first */
	SYM_WIRE_DONE,		 /* struct sym_wire_done */
	SYM_WIRE_TASKS_OF,	 /* struct sym_wire_tasks_of[] */
	SYM_WIRE_TASK,		 /* struct sym_wire_task */
};

struct sym_wire_head {
	u32 len, kind;
};

struct sym_wire_lookup {
	u64 file_off;
	u64 is_return; /* 0, 1 */
};

/* Functions of a vtable: file offsets, 0 not known. */
struct sym_wire_tasks_of {
	u64 poll_off, dealloc_off;
};

struct sym_wire_task {
	u32 name; /* string; 0 nothing is known of it */
	u32 how;  /* enum task_how; 0 with name */
	u32 kind; /* enum task_kind */
};

struct sym_wire_opened {
	u32 layers; /* of the sandbox, enum sym_layer */
	u32 source; /* enum sym_source */
	u32 dwarf_percent;
};

struct sym_wire_failed {
	s32 err; /* negative errno */
};

struct sym_wire_frame {
	u32 function, file, typed_name; /* strings; 0 none */
	u32 line;
	u32 inlined;
};

struct sym_wire_done {
	u32 split_missing;
};

/* A record behind what the buffer holds. */
void sym_wire_put(struct buf *b, enum sym_wire_kind kind, const void *payload, u32 len);

/* ---- the parent's side ---- */

/* A frame as it was answered: indices for sym_answers_string(), 0 none; function is never 0. */
struct sym_answer {
	u32 function, file, typed_name;
	u32 line;
	bool inlined;
};

enum sym_answers_state { SYM_ANSWERS_OPENING, SYM_ANSWERS_RUNNING, SYM_ANSWERS_DONE, SYM_ANSWERS_FAILED, SYM_ANSWERS_BROKEN };

/*
 * What a child has said so far. Invariants, whatever it says: n_lookups_done <= n_lookups; n_tasks_done <= n_tasks; ends[] do not fall; every index of a frame and a task is a string's; no
 * string is longer than SYM_WIRE_STRING_MAX or has a NUL inside; DONE is only reached with all of both answered.
 */
struct sym_answers {
	enum sym_answers_state state;
	u64 n_lookups; /* that will be asked; set by the caller before the first byte */
	struct buf in; /* part of a record */
	struct buf text;
	u64 *strings; /* offset in text of string i + 1 */
	u32 n_strings;
	size_t cap_strings;
	struct sym_answer *frames;
	u64 n_frames;
	size_t cap_frames;
	u64 *ends; /* of lookup i: behind its last frame in frames[] */
	u64 n_lookups_done;
	u64 n_tasks; /* as n_lookups */
	struct sym_wire_task *tasks;
	u64 n_tasks_done;
	size_t cap_tasks;
	struct sym_wire_opened opened; /* valid from RUNNING on */
	struct sym_wire_done done;     /* valid in DONE */
	int err;		       /* FAILED: negative errno */
	char why[SYM_WIRE_WHY_MAX];    /* FAILED: a phrase fit to print; BROKEN: what was wrong */
};

#define _cleanup_answers_ _cleanup_(sym_answers_release)

int sym_answers_init(struct sym_answers *a, u64 n_lookups) __must_check; /* 0 or -ENOMEM; a->n_tasks is 0 and may be set then */
void sym_answers_release(struct sym_answers *a);

/* Bytes from the child; 0, -ENOMEM, or -EBADMSG: the child is broken (a->why), nothing it said is to be used. */
int sym_answers_feed(struct sym_answers *a, const void *p, size_t n) __must_check;

/* NUL-terminated; "" for 0 and unknown indices. */
const char *sym_answers_string(const struct sym_answers *a, u32 idx);

/* Frames of lookup i, innermost first; n of them (0 there is no name, or i was not answered). */
const struct sym_answer *sym_answers_frames(const struct sym_answers *a, u64 i, u32 *ret_n);

/* The type of task i: name "" with TASK_UNKNOWN. */
struct sym_wire_task sym_answers_task(const struct sym_answers *a, u64 i);

/* ---- requests for files of split DWARF ---- */

#define SYM_WIRE_WANT_MAX 8192 /* bytes of a packet */

/* struct sym_wire_want, then comp_dir and name, each with its NUL. */
struct sym_wire_want {
	u64 dwo_id;
	u32 nth;
	u16 has_comp_dir, has_name; /* 0: NULL */
};

/* Bytes written to out (SYM_WIRE_WANT_MAX); -ENAMETOOLONG. */
int sym_wire_put_want(const struct sym_split_want *w, u8 *out) __must_check;

/* *ret points into p; -EBADMSG. */
int sym_wire_get_want(const u8 *p, size_t n, struct sym_split_want *ret) __must_check;
