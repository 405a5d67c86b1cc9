/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* say.h: what `ascope record` tells its user on stderr when a recording has ended. Used by record/session.c. */
#pragma once

#include "record/catalog.h"
#include "record/session.h"
#include "record/stop.h"

/* Of Tokio in the target: nothing, when a runtime was found and its program can be named. */
void say_what_was_found(struct catalog *cat);

/* Why it ended before its time: a reason for which stop_is_full() holds. */
void say_full(const struct session_opts *o, enum stop_reason why);
