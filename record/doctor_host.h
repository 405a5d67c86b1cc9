/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_host.h: what this host and these rights allow of a recording, found by trying and not by the kernel's version, but for bugs that cannot be tried
 * (kernel_bugs.h). For doctor_cmd.c.
 */
#pragma once

#include "base/base.h"
#include "record/kernel_side.h"

enum doctor_state {
	DOCTOR_OK,
	DOCTOR_LESS,	/* a recording does without something */
	DOCTOR_UNKNOWN, /* it could not be tried */
	DOCTOR_NO,	/* there can be no recording */
	DOCTOR_STATES,
};

const char *doctor_state_name(enum doctor_state s); /* "ok", "less", "unknown", "no" */

struct doctor_check {
	const char *name; /* stable, for programs */
	enum doctor_state state;
	char text[400];
	const char *fix; /* static text; NULL */
};

enum { DOCTOR_MAX_CHECKS = 16 };

struct doctor_host {
	struct doctor_check checks[DOCTOR_MAX_CHECKS];
	u32 n;
	struct helper helper;
	struct kernel_side *kernel; /* loaded and not attached; NULL: no BPF here */
	bool sees_others;	    /* may read the memory of other users' processes */
};

/* Tries everything; loads the programs with room for the unwind tables of no process. Released in any case. */
void doctor_host_look(struct doctor_host *h);
void doctor_host_release(struct doctor_host *h);

/* The worst state of all checks. */
enum doctor_state doctor_host_state(const struct doctor_host *h);
