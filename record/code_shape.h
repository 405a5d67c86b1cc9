/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * code_shape.h: two of Tokio's functions, known by the first instructions that every compiler makes of them, for files whose symbols are stripped. Called by
 * tokio_points.c for the code behind each start of a function. Nothing is disassembled: instructions that stand next to each other are compared, with any
 * registers, and what they work on must be an argument of the function. That what a probe then finds there is a task is checked at each hit (convert_task.c).
 *
 * Sources: tokio 1.23 - 1.54.1 src/runtime/task/state.rs (transition_to_complete(): the state, which the task's Header begins with, is exchanged for itself xor
 * RUNNING | COMPLETE; it is called by Harness::complete() or is part of it) and list.rs (OwnedTasks::bind_inner(), since 1.35: owner_id, at 24, is stored, then
 * the vtable, at 16, is asked for the offset of the id, at 72), as rustc 1.95 builds them with and without link-time optimization (tests/tokio). Intel SDM volume
 * 2, chapter 2, and XOR, CMPXCHG, MOV; x86-64 psABI 1.0 section 3.2.3 (rdi and rsi are the first two arguments).
 */
#pragma once

#include "base/base.h"

enum { CODE_SHAPE_BYTES = 96 /* of a function that are looked at */ };

/* Of a function's first bytes (n <= CODE_SHAPE_BYTES, not beyond its end). */
bool code_shape_is_complete(const u8 *code, size_t n); /* rdi: a task's Header, whose future is done, or that was cancelled */
bool code_shape_is_bind(const u8 *code, size_t n);     /* rsi: the Header of a task that was just made */
