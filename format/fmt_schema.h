/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_schema.h: the record kinds of fmt_def.h as a table, for the codec, `ascope dump` and tests. */
#pragma once

#include <stdbool.h>

#include "format/fmt_def.h"

struct fmt_column {
	const char *name;
	enum fmt_encoding enc; /* the writer's choice; a reader takes what the file says */
	const char *doc;       /* one line: meaning, unit, what 0 means */
};

struct fmt_kind {
	enum fmt_kind_id id;
	const char *name;
	enum fmt_payload payload;
	int is_event; /* its first column is a timestamp */
	uint32_t n_cols;
	const struct fmt_column *cols;
};

/*
 * Whether rows of this kind are events of the recorded programs: those that a verdict and total records.events count (FORMAT.md section 6). Clocks and gaps
 * are the recorder's own.
 */
static inline bool fmt_is_recorded_event(uint64_t kind_id)
{
	return kind_id >= FMT_SWITCH_OUT && kind_id < FMT_INDEX && kind_id != FMT_CLOCK && kind_id != FMT_GAP;
}

/* The kind with this id, or NULL when this version does not know it. */
const struct fmt_kind *fmt_kind_by_id(uint64_t id);

/* All kinds in id order; the count goes to *ret_n. */
const struct fmt_kind *fmt_kinds(uint32_t *ret_n);

/* "whole", "truncated", ...; NULL for a value that is no enum fmt_stack_status of this version. */
const char *fmt_stack_status_name(uint64_t status);
