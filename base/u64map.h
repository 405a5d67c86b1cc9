/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* u64map.h: u64 -> u64, open addressing; any key, values too. */
#pragma once

#include "base/base.h"

struct u64map {
	u64 *keys, *values;
	u8 *used;
	size_t cap, n;
};

#define U64MAP_INIT ((struct u64map){0})

void u64map_release(struct u64map *m);
bool u64map_get(const struct u64map *m, u64 key, u64 *ret_value);
int u64map_put(struct u64map *m, u64 key, u64 value) __must_check; /* adds or replaces; 0 or -ENOMEM */
