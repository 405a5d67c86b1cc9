/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * view_text.h: how the text views put words on a screen: clean copies of names out of a capture, columns, elision, wrapping,
 * colour. Widths are in characters; every character counts as one column.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

#define TEXT_MIN_WIDTH	80
#define TEXT_MAX_WIDTH	160
#define TEXT_PIPE_WIDTH 120 /* when the output is no terminal and COLUMNS is not set */

enum text_color { TEXT_PLAIN, TEXT_BOLD, TEXT_GREEN, TEXT_YELLOW, TEXT_RED, TEXT_DIM };

/*
 * The width to write for: COLUMNS, else the terminal's (of a pipe: stderr's), else TEXT_PIPE_WIDTH; between TEXT_MIN_WIDTH and
 * TEXT_MAX_WIDTH.
 */
u32 text_terminal_width(int fd);
/* Colour is for terminals, and not with NO_COLOR. */
bool text_terminal_color(int fd);
/* False on a terminal whose locale (LC_ALL, LC_CTYPE, LANG) is not UTF-8; files and pipes get UTF-8 whatever the locale is. */
bool text_terminal_utf8(int fd);

/* A copy without control bytes and invalid UTF-8; NULL becomes `fallback`. malloc'ed; -ENOMEM. */
int text_clean(const char *s, const char *fallback, char **ret) __must_check;

/*
 * "src/api.rs:142" for people, clean. Unless `full`, the well-known parts in front of a crate are left out (/rustc/HASH/, the
 * toolchain, the registry); the rest is never cut. "" when file is NULL, no ":0" when line is 0. malloc'ed; -ENOMEM.
 */
int text_place(const char *file, u64 line, bool full, char **ret) __must_check;

const char *text_basename(const char *path); /* behind the last slash */
u32 text_width(const char *s);		     /* characters */

void text_left(FILE *out, const char *s, u32 width);  /* padded on the right; longer text is written whole */
void text_right(FILE *out, const char *s, u32 width); /* padded on the left */
/* A name in a column of `width`, behind `indent` blanks that count; one that is longer gets a line of its own, and the column is blank below it. */
void text_left_or_line(FILE *out, const char *s, u32 indent, u32 width);
/* As text_left, but text longer than width loses its beginning ("..tail"): the end of a Rust path says most. */
void text_left_elided(FILE *out, const char *s, u32 width);

void text_color(FILE *out, bool on, enum text_color c, const char *s);

/* Words joined by `sep`, broken before a word that would pass `width`; continuation lines begin with `indent` blanks. */
struct text_wrap {
	FILE *out;
	u32 width, indent, col;
	const char *sep;
	bool first;
};
void text_wrap_begin(struct text_wrap *w, FILE *out, u32 width, u32 indent, u32 col, const char *sep);
void text_wrap_word(struct text_wrap *w, const char *word);

/* Text parted by single blanks, wrapped likewise, from column `col` on; ends the line. */
void text_paragraph(FILE *out, u32 width, u32 indent, u32 col, const char *text);

/* 10 ms rather than 10.0 ms: for thresholds and other round numbers. */
struct text_dur {
	char s[32];
};
struct text_dur text_threshold(u64 ns);
struct text_dur text_exact(u64 ns);  /* 450.21 ms, 1.234 s, 12.3 us: two or three decimals, for single polls */
struct text_dur text_offset(u64 ns); /* 3.214 s: an instant since the recording's start, to the ms */
/* 4.0 %: part of whole, 0.0 % when whole is 0. */
struct text_dur text_percent(u64 part, u64 whole);
