/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * poll_end.h: where polls end. A poll's probe tells the address that it will return to (struct wire_task_poll); a probe at that instruction tells the end of
 * the poll, without the trampoline in the stack that a return probe needs. An address is probed only if a call instruction ends there: then an instruction begins
 * there, and nothing but the return of that call should come by. Used by record/task_probes.c, which moves it along to where it is cheaper (probe_place.h).
 */
#pragma once

#include "base/base.h"

enum { POLL_END_CALL = 7 }; /* bytes of the longest call, but for prefixes that compilers do not use */

/*
 * Whether a call instruction may end at code + n, n <= POLL_END_CALL bytes in front of the address: e8 rel32, or ff /2 with any addressing. Which instruction ends
 * at an address cannot be told for sure by what is in front of it, so this refuses what cannot be a return address rather than prove what is.
 * Source: Intel SDM volume 2, sections 2.1 (ModR/M, SIB) and 3.2 CALL.
 */
bool poll_end_is_call(const u8 *code, u32 n);

/* Addresses that polls return to, of all processes. Zero-initialise. */
enum { POLL_ENDS = 256 };

enum poll_end_state { POLL_END_NEW, POLL_END_DONE };

struct poll_ends {
	struct poll_end {
		u32 pid, module;
		u64 addr;
		enum poll_end_state state;
	} ends[POLL_ENDS];
	u32 n, n_new;
	u64 no_room; /* times that there was none */
};

/* One that was sent; known ones are passed over. */
void poll_ends_note(struct poll_ends *e, u32 pid, u32 module, u64 addr);
/* The process is gone. */
void poll_ends_forget(struct poll_ends *e, u32 pid);
