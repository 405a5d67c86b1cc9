/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* strtab.h: strings interned to indices from 1; index 0 is "none" / "". */
#pragma once

#include "base/base.h"

struct strtab;

struct strtab *strtab_new(void);
struct strtab *strtab_free(struct strtab *t); /* accepts NULL, returns NULL */

/*
 * The index of these bytes, adding them if they are new (*ret_is_new, may be NULL). Returns 0 or -ENOMEM. The empty string is
 * index 0.
 */
int strtab_intern(struct strtab *t, const char *s, size_t n, u32 *ret_idx, bool *ret_is_new) __must_check;
const char *strtab_get(const struct strtab *t, u32 idx,
		       size_t *ret_len); /* NUL-terminated; "" for 0 and unknown; valid until free */

/* A copy of the text that lasts until free, the same one for the same text; NULL stays NULL. 0 or -ENOMEM (*ret is NULL). */
int strtab_keep(struct strtab *t, const char *s, const char **ret) __must_check;

u32 strtab_count(const struct strtab *t);
