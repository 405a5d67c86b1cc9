/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* clock.h: now, in ns. */
#pragma once

#include <time.h>

#include "base/base.h"

static inline u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (u64)t.tv_sec * NSEC_PER_SEC + (u64)t.tv_nsec;
}
