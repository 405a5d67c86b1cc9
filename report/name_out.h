/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* name_out.h: text of a name into a buffer of a fixed size: what is too much is cut, between two characters. */
#pragma once

#include "base/base.h"

struct name_out {
	char *buf; /* of cap + 1 bytes */
	size_t n, cap;
};

void name_out_put(struct name_out *o, const char *s, size_t n);

/* Takes a sequence of UTF-8 away that was cut, and puts the NUL. Returns buf. */
char *name_out_end(struct name_out *o);
