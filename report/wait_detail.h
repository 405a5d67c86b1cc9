/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wait_detail.h: what the system call alone says beyond the class of a wait (columns offcpu.detail, poll.detail). Pure; called by the
 * loader for each wait and poll. Kinds of locks and what else needs names come later (wait_names.h).
 */
#pragma once

#include "base/base.h"
#include "report/classify.h"

/* syscall: 1 + number on x86-64; 0 none. Static; NULL: nothing more is known. */
const char *wait_detail_of_call(struct wait_verdict verdict, u64 syscall);
