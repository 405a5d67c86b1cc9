/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_serve.h: the child's side of sym_wire.h: reads the files, answers what is asked. Called by sym_child.c, inside the sandbox. */
#pragma once

#include "base/base.h"
#include "report/sym.h"

struct sym_serve {
	int sock;	     /* lookups in, answers out */
	int files;	     /* requests for files of split DWARF; -1: there is none to be had */
	struct sym_input in; /* file descriptors; open_split is not used */
	u32 layers;	     /* that hold, enum sym_layer */
};

/* Exit codes of the child. libdw ends the process with 1, too, when it has no memory (elfutils 0.188, libdw_alloc.c). */
enum { SYM_SERVE_OK = 0, SYM_SERVE_NO_MEMORY = 1, SYM_SERVE_NO_PARENT = 2 };

/* Answers until the parent has no more; returns the exit code. */
int sym_serve_run(const struct sym_serve *s) __must_check;

/* The struct sym_input.open_split of a struct sym_serve (ctx): asks the parent. */
int sym_serve_open_split(void *ctx, const struct sym_split_want *want) __must_check;
