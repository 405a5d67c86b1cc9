/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * poll_over.h: when a poll of a row `p` of _task_poll (or view task_poll) was over, for SQL of what draws polls: when it returned; where that was not seen, the
 * first of what cannot have been in it: its thread begins another poll or parks, or its task is polled again. NULL when nothing followed: it may have lasted to
 * the end of the recording. A LocalSet's task is polled within another one: where the outer one's return was not seen, it is drawn too short, not too long.
 */
#pragma once

#define POLL_END_LAST "9223372036854775807"
#define POLL_END_SQL                                                                                                             \
	"coalesce(p.ts + p.dur, nullif(min("                                                                                     \
	"coalesce((SELECT n.ts FROM _task_poll AS n WHERE n.thread_id = p.thread_id AND n.ts > p.ts "                            \
	"ORDER BY n.ts LIMIT 1), " POLL_END_LAST "), "                                                                           \
	"coalesce((SELECT n.ts FROM _task_poll AS n WHERE n.task_row = p.task_row AND n.ts > p.ts "                              \
	"ORDER BY n.ts LIMIT 1), " POLL_END_LAST "), "                                                                           \
	"coalesce((SELECT o.ts FROM offcpu AS o WHERE o.thread_id = p.thread_id AND o.ts > p.ts AND o.role = 'parked' "          \
	"ORDER BY o.ts LIMIT 1), " POLL_END_LAST ")), " POLL_END_LAST "))"
