/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_file.h: what `ascope info` and `ascope dump` share: opening a capture with a message that says what to do when that
 * fails, and the strings of a capture by their index.
 */
#pragma once

#include "base/base.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "format/fmt_reader.h"

/* As fmt_reader_open(), but has said on stderr what is wrong, where, and what to do. */
int capture_file_open(const char *path, struct fmt_reader **ret) __must_check;

static inline void capture_file_close_p(struct fmt_reader **r)
{
	*r = fmt_reader_close(*r);
}

#define _cleanup_reader_ _cleanup_(capture_file_close_p)

/*
 * The strings of a capture. An index that is defined twice (checkpoints repeat them) keeps its first text. Initialise with
 * capture_strings_init(), 0 or -ENOMEM; release also when that failed.
 */
struct capture_strings {
	struct strtab *texts;
	struct u64map by_idx; /* index in the capture -> index in texts */
};

int capture_strings_init(struct capture_strings *s) __must_check;
void capture_strings_release(struct capture_strings *s);
int capture_strings_add(struct capture_strings *s, const struct fmt_block *b) __must_check; /* 0 or -ENOMEM */

/*
 * The text of an index, as the file has it (strangers' bytes); "" for 0 and for an index that is not in what could be read. Valid
 * until release.
 */
const char *capture_strings_get(const struct capture_strings *s, u64 idx, size_t *ret_len);
bool capture_strings_has(const struct capture_strings *s, u64 idx);

/* Bytes of a capture for a terminal (see human_sanitize; NUL bytes become '?', too). malloc'ed; NULL on ENOMEM. */
char *capture_text_clean(const char *s, size_t n);
