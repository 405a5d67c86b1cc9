/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * opts.c: option tables; every command's parser and --help come from here. The one file of base/ that speaks: a mistake of usage
 * is named on stderr with its remedy, and --help goes to stdout.
 *
 * Invariant: argv is only permuted in place. An operand never moves to the right, so argv[] never holds a pointer twice that is
 * still to be parsed.
 */
#include "base/opts.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/parse.h"

enum {
	HELP_WIDTH = 80,  /* columns of --help */
	HELP_INDENT = 30, /* where the sentences begin */
	SUGGEST_MAX_LEN = 32,
};

struct parser {
	const struct opts *o;
	int argc, at; /* argv[at] is looked at */
	char **argv;
};

/* Restricted edit distance (a swap of neighbours is one step), for short names; a large number when one is long. */
static u32 distance(const char *a, const char *b)
{
	u32 d[SUGGEST_MAX_LEN + 1][SUGGEST_MAX_LEN + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > SUGGEST_MAX_LEN || m > SUGGEST_MAX_LEN)
		return UINT32_MAX;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (u32)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (u32)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			u32 best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

/* The long name that was probably meant; NULL when none is near. */
static const char *suggest(const struct opts *o, const char *name)
{
	const char *best = NULL;
	u32 best_distance = 3;

	for (size_t i = 0; i < o->n; i++) {
		const struct opt *opt = &o->table[i];

		if (opt->type == OPT_HEADING || !opt->name)
			continue;
		if (strlen(name) >= 3 && !strncmp(opt->name, name, strlen(name)))
			return opt->name;
		if (distance(name, opt->name) < best_distance) {
			best_distance = distance(name, opt->name);
			best = opt->name;
		}
	}
	return best_distance < strlen(name) ? best : NULL;
}

static const struct opt *find_long(const struct opts *o, const char *name, size_t n)
{
	for (size_t i = 0; i < o->n; i++) {
		const struct opt *opt = &o->table[i];

		if (opt->type != OPT_HEADING && opt->name && strlen(opt->name) == n && !memcmp(opt->name, name, n))
			return opt;
	}
	return NULL;
}

static const struct opt *find_short(const struct opts *o, char c)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->table[i].type != OPT_HEADING && o->table[i].short_name && o->table[i].short_name == c)
			return &o->table[i];
	}
	return NULL;
}

static bool takes_value(const struct opt *opt)
{
	return opt->type != OPT_FLAG && (opt->type != OPT_CALLBACK || opt->arg);
}

/* Why a number was refused, in the option's own terms. */
static int bad_value(const struct opts *o, const struct opt *opt, const char *spelled, const char *value, int err)
{
	static const char *const wants[] = {
		[OPT_U64] = "a whole number is wanted, e.g. 42",
		[OPT_DURATION] = "a duration is wanted, e.g. 10ms, 2.5s, 3m, 250us",
		[OPT_SIZE] = "a size is wanted, e.g. 4096, 64k, 10M, 1G",
	};

	log_error("%s: '%s': %s (see %s --help)", spelled, value, err == -ERANGE ? "the number is too large" : wants[opt->type],
		  o->command);
	return -EINVAL;
}

/* `spelled` is the option as the user wrote it, for messages. */
static int apply(const struct opts *o, const struct opt *opt, const char *spelled, const char *value)
{
	int err = 0;

	switch (opt->type) {
	case OPT_FLAG:
		*(bool *)opt->dest = true;
		return 0;
	case OPT_STRING:
		*(const char **)opt->dest = value;
		return 0;
	case OPT_U64:
		err = parse_u64(value, opt->dest);
		break;
	case OPT_DURATION:
		err = parse_duration(value, opt->dest);
		break;
	case OPT_SIZE:
		err = parse_size(value, opt->dest);
		break;
	case OPT_CALLBACK:
		return opt->fn(opt->dest, value) < 0 ? -EINVAL : 0; /* it has said why */
	case OPT_HEADING:
		BUG_ON(true);
	}
	return err ? bad_value(o, opt, spelled, value, err) : 0;
}

/* The argument behind the current one, which is consumed; NULL when there is none. */
static const char *next_argument(struct parser *p)
{
	return p->at + 1 < p->argc ? p->argv[++p->at] : NULL;
}

static int missing_value(const struct opts *o, const struct opt *opt, const char *spelled)
{
	log_error("%s wants a value: %s %s (see %s --help)", spelled, spelled, opt->arg ? opt->arg : "VALUE", o->command);
	return -EINVAL;
}

static int unknown_long(const struct opts *o, const char *name)
{
	const char *meant = suggest(o, name);

	if (meant)
		log_error("unknown option --%s; did you mean --%s? (see %s --help)", name, meant, o->command);
	else
		log_error("unknown option --%s (see %s --help)", name, o->command);
	return -EINVAL;
}

static int parse_long(struct parser *p)
{
	char name[64];
	char spelled[sizeof(name) + 2];
	const char *arg = p->argv[p->at] + 2, *value = strchr(arg, '=');
	size_t n = value ? (size_t)(value - arg) : strlen(arg);
	const struct opt *opt;

	if (!strcmp(arg, "help"))
		return OPTS_HELP;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(n < sizeof(name) ? n : sizeof(name) - 1), arg);
	opt = find_long(p->o, arg, n);
	if (!opt)
		return unknown_long(p->o, name);
	(void)snprintf(spelled, sizeof(spelled), "--%s", name);
	if (!takes_value(opt)) {
		if (value) {
			log_error("%s takes no value (see %s --help)", spelled, p->o->command);
			return -EINVAL;
		}
		return apply(p->o, opt, spelled, NULL);
	}
	value = value ? value + 1 : next_argument(p);
	if (!value)
		return missing_value(p->o, opt, spelled);
	return apply(p->o, opt, spelled, value);
}

/* -x, -xVALUE, -x VALUE, and flags together: -xyz. */
static int parse_short(struct parser *p)
{
	const char *c = p->argv[p->at] + 1;

	for (; *c; c++) {
		const char spelled[3] = {'-', *c, '\0'};
		const struct opt *opt = find_short(p->o, *c);
		const char *value;
		int err;

		if (!opt && *c == 'h')
			return OPTS_HELP;
		if (!opt) {
			log_error("unknown option -%c (see %s --help)", *c, p->o->command);
			return -EINVAL;
		}
		if (takes_value(opt)) {
			value = c[1] ? c + 1 : next_argument(p);
			return value ? apply(p->o, opt, spelled, value) : missing_value(p->o, opt, spelled);
		}
		err = apply(p->o, opt, spelled, NULL);
		if (err)
			return err;
	}
	return OPTS_OK;
}

int opts_parse(const struct opts *o, int argc, char **argv, int *ret_n)
{
	struct parser p = {.o = o, .argc = argc, .at = 1, .argv = argv};
	bool operands_only = false;
	int n = 0;

	for (; p.at < argc; p.at++) {
		const char *arg = argv[p.at];
		int res;

		if (operands_only || arg[0] != '-' || !arg[1]) {
			argv[n++] = argv[p.at];
			operands_only |= o->stop_at_operand;
			continue;
		}
		if (!strcmp(arg, "--")) {
			operands_only = true;
			continue;
		}
		res = arg[1] == '-' ? parse_long(&p) : parse_short(&p);
		if (res == OPTS_HELP)
			opts_print_help(o, stdout);
		if (res)
			return res;
	}
	argv[n] = NULL;
	*ret_n = n;
	return OPTS_OK;
}

/* Words of text from column `at` on, folded at HELP_WIDTH; the lines behind the first begin at `indent`. */
static void print_folded(FILE *out, const char *text, size_t at, size_t indent)
{
	const char *word = text;

	while (*word) {
		size_t n = strcspn(word, " ");
		bool first = word == text;

		if (!first && at + 1 + n > HELP_WIDTH) {
			(void)fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			(void)putc(' ', out);
			at++;
		}
		(void)fwrite(word, 1, n, out);
		at += n;
		word += n;
		word += strspn(word, " ");
	}
	(void)putc('\n', out);
}

static void print_option(FILE *out, const struct opt *opt)
{
	const char *blank = opt->arg ? " " : "", *arg = opt->arg ? opt->arg : "";
	const char *dashes = opt->name ? "--" : "", *name = opt->name ? opt->name : "";
	char left[128];
	int n;

	if (opt->short_name)
		n = snprintf(left, sizeof(left), "  -%c%s%s%s%s%s", opt->short_name, opt->name ? ", " : "", dashes, name, blank,
			     arg);
	else
		n = snprintf(left, sizeof(left), "      %s%s%s%s", dashes, name, blank, arg);
	(void)fputs(left, out);
	if (n + 2 > HELP_INDENT) {
		(void)putc('\n', out);
		n = 0;
	}
	(void)fprintf(out, "%*s", HELP_INDENT - n, "");
	print_folded(out, opt->help ? opt->help : "", HELP_INDENT, HELP_INDENT);
}

/* One line for each usage, the command's name in front of every one. */
static void print_usage(const struct opts *o, FILE *out)
{
	const char *line = o->synopsis ? o->synopsis : "", *label = "Usage:";

	for (;;) {
		size_t n = strcspn(line, "\n");

		(void)fprintf(out, "%s %s%s%.*s\n", label, o->command, n ? " " : "", (int)n, line);
		if (!line[n])
			return;
		line += n + 1;
		label = "      ";
	}
}

void opts_print_help(const struct opts *o, FILE *out)
{
	static const struct opt help = {'h', "help", OPT_FLAG, NULL, NULL, "print this text", NULL};

	print_usage(o, out);
	if (o->summary) {
		(void)putc('\n', out);
		print_folded(out, o->summary, 0, 0);
	}
	if (!o->n || o->table[0].type != OPT_HEADING)
		(void)fputs("\nOptions:\n", out);
	for (size_t i = 0; i < o->n; i++) {
		if (o->table[i].type == OPT_HEADING)
			(void)fprintf(out, "\n%s:\n", o->table[i].name);
		else
			print_option(out, &o->table[i]);
	}
	print_option(out, &help);
	if (o->epilog)
		(void)fprintf(out, "\n%s%s", o->epilog,
			      o->epilog[strlen(o->epilog) ? strlen(o->epilog) - 1 : 0] == '\n' ? "" : "\n");
}
