/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_stack.h: stacks with names, for people: loading, folding of runtime and std frames, the kernel's line, one-line forms for
 * the exports.
 */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "base/base.h"
#include "base/json.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "report/frame_kind.h"

/* One function of a stack; texts are raw, and the loader's: borrowed until that is released. */
struct vframe {
	const char *function; /* NULL: no name */
	const char *file;     /* NULL unknown */
	const char *module;   /* path; NULL: in no known mapping */
	const char *label;    /* as vframe_label(), short and without the mark of a guess; NULL: not made */
	u64 line;	      /* 0 unknown */
	u64 file_off;	      /* of the code address in its module */
	bool has_kind;	      /* false: no name, so nothing is known */
	enum frame_kind kind;
	bool shown;		    /* unless --full: false for std, runtime, and what runs the user's code */
	bool inlined;		    /* into the next one */
	bool polls_task, blocks_on; /* of Tokio's: it polls a task's future; it is block_on() */
	bool guessed;		    /* a frame pointer led there, here or further in: it may be wrong */
};

struct vstack {
	struct vframe *frames; /* innermost first, inlined ones included */
	u32 n;
	const char *status; /* as in table stack; static; NULL when there is no such stack */
	bool cut;	    /* known not to have been walked to its end */
	const char *why;    /* when it is cut: why the walk ended; static */
	bool has_culprit;   /* it ended in the module of the outermost frame, which is to be told */
};

/* Loads stacks of one database; statements are compiled once, and a frame is read once, for many stacks have it. Memory goes with distinct frames. */
struct vstack_loader {
	sqlite3_stmt *addresses, *functions, *status;
	struct strtab *texts;
	struct u64map by_frame; /* frame id -> position in runs */
	struct vframe_run {
		u32 first, n; /* in functions_of */
	} * runs;
	struct vframe *functions_of; /* of the frames that were read, innermost first */
	size_t n_runs, cap_runs, n_functions, cap_functions;
};

int vstack_loader_init(struct vstack_loader *l, sqlite3 *db) __must_check;
void vstack_loader_release(struct vstack_loader *l);
#define _cleanup_vstack_loader_ _cleanup_(vstack_loader_release)

/* stack_id 0 gives an empty stack. The caller releases *ret, before the loader. */
int vstack_load(struct vstack_loader *l, u64 stack_id, bool kernel, struct vstack *ret) __must_check;
void vstack_release(struct vstack *s);
#define _cleanup_vstack_ _cleanup_(vstack_release)

/* Sets `shown` of all frames: what people read. vstack_load() does it. */
void vstack_mark_shown(struct vstack *s);

/* "orders::handle" or "orders+0x1234" or "0x7f..": raw, malloc'ed. */
int vframe_name(const struct vframe *f, char **ret) __must_check;

/* The same for a person: clean, the user's own functions without their modules unless full, "?" behind a guess. malloc'ed; -ENOMEM. */
int vframe_label(const struct vframe *f, bool full, char **ret) __must_check;

/*
 * The frame a stack is known by: the user's own innermost, else JIT code's, else a library's, else the innermost with or without a name; NULL when
 * it is empty.
 */
const struct vframe *vstack_place(const struct vstack *s);

/* A kernel function of whoever watches the scheduler (ascope, for one): no part of what the thread did. */
bool kernel_frame_is_watcher(const char *name);

/* Range of kernel frames that say something: without the scheduler's own entry and the system call's trampoline. */
void vstack_kernel_core(const struct vstack *s, u32 *ret_first, u32 *ret_end);

struct vstack_style {
	bool full;  /* every frame, whole paths */
	u32 width;  /* characters */
	u32 indent; /* blanks in front of each line */
};

/*
 * Lines "function   file:line"; runs of runtime and std frames become one line unless full. A stack that is not whole ends with a
 * line that says why, be it the only one.
 */
int vstack_print(const struct vstack *s, const struct vstack_style *style, FILE *out) __must_check;

/* "kernel   a < b < c" with a newline, or nothing when the stack is empty. */
int vstack_print_kernel(const struct vstack *s, const struct vstack_style *style, FILE *out) __must_check;

/* The elements of an open JSON array. */
void vstack_json(const struct vstack *s, struct json *j);
