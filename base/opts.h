/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * opts.h: a table of options gives both the parser and --help. `--name VALUE`, `--name=VALUE`, `-x VALUE`, `-xVALUE`; `--` ends
 * options. Options and operands may be mixed unless stop_at_operand.
 */
#pragma once

#include <stdio.h>

#include "base/base.h"

enum opt_type {
	OPT_FLAG,     /* bool *: set to true */
	OPT_STRING,   /* const char ** */
	OPT_U64,      /* u64 * */
	OPT_DURATION, /* u64 *, ns */
	OPT_SIZE,     /* u64 *, bytes */
	OPT_CALLBACK, /* opt_fn called with the value (NULL when arg is NULL) */
	OPT_HEADING,  /* help only: name is the heading */
};

/* Returns 0, or negative after it said on stderr what is wrong. */
typedef int (*opt_fn)(void *ctx, const char *value);

struct opt {
	char short_name;  /* 0 = none */
	const char *name; /* long name without dashes */
	enum opt_type type;
	void *dest;	  /* as the type says; the ctx of a callback */
	const char *arg;  /* name of the value in --help; NULL for flags */
	const char *help; /* one sentence, units and default included */
	opt_fn fn;
};

struct opts {
	const char *command;  /* "ascope record" */
	const char *synopsis; /* what follows the command name, one usage a line */
	const char *summary;  /* what it does, a sentence or two */
	const struct opt *table;
	size_t n;
	const char *epilog;   /* examples, exit codes; may be NULL */
	bool stop_at_operand; /* the first operand ends the options */
};

enum opts_result { OPTS_OK = 0, OPTS_HELP = 1 };

/*
 * Parses argv[1..argc). Operands are moved to argv[0 .. *ret_n) in order (argv[*ret_n] = NULL). Returns OPTS_OK; OPTS_HELP after
 * --help was printed to stdout (the command exits 0); -EINVAL after the mistake was named on stderr (the command exits 2).
 */
int opts_parse(const struct opts *o, int argc, char **argv, int *ret_n) __must_check;
void opts_print_help(const struct opts *o, FILE *out);
