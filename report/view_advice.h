/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_advice.h: what to do about a blocked poll: one table from (class, library) to one sentence. */
#pragma once

#include "base/base.h"
#include "report/view_stack.h"

/*
 * The sentence for a block of this class with this user stack; NULL when there is nothing useful to say. The innermost frame that
 * a rule of the class knows decides; without one, the class does. The text is static.
 */
const char *advice_for(const char *class_name, const struct vstack *user);

/*
 * True when a function's path is under `prefix`, trait and generic forms included: "<std::fs::File as std::io::Read>::read" is
 * under "std::fs".
 */
bool advice_function_matches(const char *function, const char *prefix);

/* The same by source file, for inlined functions whose names have no path: std's modules and crates of the registry. */
bool advice_file_matches(const char *file, const char *prefix);
