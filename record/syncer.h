/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * syncer.h: fdatasync(2) in a thread of its own. A disk may take seconds for it, in which the recorder must go on draining: the rings hold less
 * (doc/reliability.md has the figures).
 *
 * An error is final: the kernel reports a lost write once and forgets it, so a later success would prove nothing. It is kept and nothing is synced any more.
 */
#pragma once

#include "base/base.h"

struct syncer;

/* fd is borrowed and must stay open until syncer_free(). The thread is made at the first request: what changes this process's privileges comes before. */
int syncer_new(int fd, struct syncer **ret) __must_check;
struct syncer *syncer_free(struct syncer *s); /* waits for a running fdatasync; accepts NULL, returns NULL */

/* Asks for all that was written so far to be put on the disk, and does not wait. 0, or the negative errno of an earlier one. */
int syncer_request(struct syncer *s) __must_check;

/* Waits for what was asked for, then syncs here and now. 0 or negative errno, of this one or an earlier one. */
int syncer_now(struct syncer *s) __must_check;

int syncer_err(struct syncer *s); /* of the first that failed; 0 */
