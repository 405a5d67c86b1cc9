/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* human.h: numbers as people read them. Pure functions; each writes into the given buffer and returns it. */
#pragma once

#include "base/base.h"

#define HUMAN_LEN 32
struct human {
	char s[HUMAN_LEN];
};

/* Each returns by value, so that several fit into one printf: printf("%s", human_ns(x).s). */
struct human human_ns(u64 ns);	     /* 450.2 ms, 4.51 s, 12.3 us, 830 ns */
struct human human_bytes(u64 bytes); /* 1.5 MB (decimal), 830 B */
struct human human_count(u64 n);     /* 182,400 */

/* Copies s for a terminal: control bytes and invalid UTF-8 become '?'. Returns malloc'ed text, NULL on ENOMEM. */
char *human_sanitize(const char *s);

/* Room for the longest string of a capture, cleaned. */
enum { HUMAN_CLEAN_MAX = 4096 };
struct human_clean {
	char s[HUMAN_CLEAN_MAX + 1];
};

/*
 * The same of n bytes (the first HUMAN_CLEAN_MAX of them), NUL bytes included, which become '?', too. Needs no memory, so it cannot fail. Returns to->s.
 */
const char *human_clean(struct human_clean *to, const char *s, size_t n);
