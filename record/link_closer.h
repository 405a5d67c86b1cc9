/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * link_closer.h: takes probes away beside the main loop. The kernel waits for several grace periods when the descriptor of a probe is closed (25 to 95 ms each,
 * 6.18), and the ring must be drained meanwhile. Several threads close, for the waits of one cover those of the others. Used by record/task_probes.c.
 */
#pragma once

#include "base/base.h"

struct link_closer;

int link_closer_new(struct link_closer **ret) __must_check; /* 0 or -ENOMEM */
/* Waits until all is closed. Accepts NULL, returns NULL. */
struct link_closer *link_closer_free(struct link_closer *c);

/*
 * Closes n descriptors, soon: takes fds over, which is malloc'd or NULL. Where there is no thread or memory to be had it is done before this returns. Returns a
 * ticket, later ones greater.
 */
u64 link_closer_put(struct link_closer *c, int *fds, u32 n);
/* Whether all that was put with this ticket, or before it, is closed. */
bool link_closer_is_done(struct link_closer *c, u64 ticket);
