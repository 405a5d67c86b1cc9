/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * probe_place.h: where near a place a probe is cheaper. The kernel emulates some instructions when their probe is hit; all others it lets the thread execute in a page
 * of its own, by a single step: twice as dear, and fifteen times on virtual machines that leave for each step (uprobe_link.h: uprobe_is_emulated()). So a probe may
 * move along over instructions that do nothing but compute. Used by task_probes.c for ends of polls, and by tokio_points.c.
 *
 * Nothing is assumed of bytes that are not one of the instructions in the table of probe_place.c: there the way ends, and the probe stays where it was.
 * That the place can be reached another way, by a jump, is not known here: see the two functions.
 */
#pragma once

#include "base/base.h"

enum { PROBE_PLACE_CODE = 64 /* bytes that are looked at */ };

/*
 * From code, where a call returns to, to the first instruction that is emulated: bytes, 0 to stay. All in between goes on to the next instruction and leaves the
 * stack pointer as it is; so a hit there whose stack pointer is that of the return is behind it. One that came by a jump has to be told from it:
 * bpf/task.bpf.h (poll_is_over()) does.
 */
u32 probe_place_behind_call(const u8 *code, size_t n);
