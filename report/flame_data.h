/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flame_data.h: a profile as the JSON tree that report/web/flame.js draws: ascopeFlame(element, data, options).
 *
 * One object. Numbers are columns, so that 100,000 nodes are a few megabytes:
 *
 *   "total_ns", "samples", "period_ns", "lo_ns", "hi_ns"   as struct profile has them
 *   "base": {the same}                                     of what it is compared with; only with a base
 *   "kinds": ["user", ..]                                  names of the kinds that frames.kind counts in
 *   "strings": ["", ..]
 *   "frames": {"name", "path", "short", "file", "module", "kind", "inlined"}
 *             the first four and module: positions in strings, 0 = none. path: the name without generic arguments,
 *             short: as reports have it. Frame 0 is the root's, "all".
 *   "nodes": {"depth", "frame", "self_ns", "self_samples", "line", "lines", "base_ns", "base_samples"}
 *             in preorder, the root first with depth 0. line: the smallest that was seen, lines: how far the largest is from it;
 *             0, 0 unknown. base_ns, base_samples: only with a base, as recorded there (the viewer normalises).
 *
 * Stacks that differ in lines, inlined code's too, are one node; what differs in the function's name or kind is not.
 */
#pragma once

#include "base/json.h"
#include "report/profile.h"

/*
 * One JSON value. base: NULL, or what to compare with. The sum of nodes.self_ns is p->ns, that of base_ns is base->ns. 0 or -ENOMEM;
 * nothing is written then.
 */
int flame_data_put(struct json *j, const struct profile *p, const struct profile *base) __must_check;
