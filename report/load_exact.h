/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_exact.h: when all wakes and polls of a copy of Tokio were seen: from the time at which the probes of both were attached until one of them was taken away.
 * By slot of the dictionary's layouts in task_loader.exact (load_task.h). Used by load_wake.c.
 */
#pragma once

#include "report/load_task.h"
#include "report/poll.h"

/* Fills tl->exact, which task_loader_release() frees, and tl->has_exact; needs tl->d. 0 or -ENOMEM. */
int load_exact_init(struct task_loader *tl) __must_check;

/* Whether all of the poll, which thread t made, lies in such a time of its runtime's copy; false, too, where it is not known whose it is. has_exact is set. */
bool load_exact_holds(const struct task_loader *tl, const struct task_thread *t, const struct poll_row *p);
