/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * query_schema.h: `ascope query --schema`: every table and view with its sentence, every column with its comment, all taken
 * from schema.sql.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

int query_schema_print(FILE *out) __must_check; /* 0 or negative errno */
