/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_schema.c: turns the lists of fmt_def.h into the table that codec, dump and tests walk. */
#include "format/fmt_schema.h"

#include <stddef.h>

#define COLUMN(col, encoding, text) {.name = #col, .enc = FMT_ENC_##encoding, .doc = text},
#define KIND_COLUMNS(NAME, kind_name, kind_id, kind_payload, event)                                                              \
	static const struct fmt_column cols_##kind_name[] = {FMT_##NAME##_COLS(COLUMN)};                                         \
	_Static_assert(sizeof(cols_##kind_name) / sizeof(cols_##kind_name[0]) <= FMT_MAX_COLUMNS,                                \
		       "too many columns in " #kind_name);
FMT_KINDS(KIND_COLUMNS)

#define KIND_ENTRY(NAME, kind_name, kind_id, kind_payload, event)                                                                \
	{.id = FMT_##NAME,                                                                                                       \
	 .name = #kind_name,                                                                                                     \
	 .payload = FMT_PAYLOAD_##kind_payload,                                                                                  \
	 .is_event = (event),                                                                                                    \
	 .n_cols = sizeof(cols_##kind_name) / sizeof(cols_##kind_name[0]),                                                       \
	 .cols = cols_##kind_name},
static const struct fmt_kind kinds[] = {FMT_KINDS(KIND_ENTRY)};

const struct fmt_kind *fmt_kinds(uint32_t *ret_n)
{
	*ret_n = sizeof(kinds) / sizeof(kinds[0]);
	return kinds;
}

const struct fmt_kind *fmt_kind_by_id(uint64_t id)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].id == id)
			return &kinds[i];
	return NULL;
}

const char *fmt_stack_status_name(uint64_t status)
{
#define STATUS_NAME(NAME, name, value, doc) [value] = #name,
	static const char *const names[FMT_STACK_STATUS_END] = {FMT_STACK_STATUSES(STATUS_NAME)};
#undef STATUS_NAME

	return status < FMT_STACK_STATUS_END ? names[status] : NULL;
}
