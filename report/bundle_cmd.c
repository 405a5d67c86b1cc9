/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bundle_cmd.c: `ascope bundle FILE`: the names of a capture's stacks into the capture. Called by ascope.c; bundle.c does it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "base/log.h"
#include "base/opts.h"
#include "report/bundle.h"
#include "report/cmds.h"

#define MAX_TOLD 20 /* modules without names, one by one */

struct told {
	u64 n;
};

static void tell(void *ctx, const char *path, const char *why)
{
	struct told *t = ctx;
	struct human_clean clean, reason;

	if (t->n++ < MAX_TOLD)
		log_warn("%s: %s", human_clean(&clean, path, strlen(path)), human_clean(&reason, why, strlen(why)));
}

static int opt_modules(void *ctx, const char *value)
{
	bool *libs_only = ctx;

	if (strcmp(value, "libs") != 0 && strcmp(value, "all") != 0) {
		log_error("--modules is libs or all, not '%s'", value);
		return -EINVAL;
	}
	*libs_only = !strcmp(value, "libs");
	return 0;
}

static int bundle_file(const struct bundle_opts *o)
{
	struct bundle_result r;
	struct told t = {0};
	struct human_clean name;
	const char *to = o->out ? o->out : o->names->capture;

	if (bundle_run(o, tell, &t, &r) < 0)
		return 1; /* it has been said */
	if (t.n > MAX_TOLD)
		log_warn("and %s modules more without names", human_count(t.n - MAX_TOLD).s);
	(void)human_clean(&name, to, strlen(to));
	if (!r.frames)
		log_info("%s: no stack of it has code of a file: there is nothing to name", name.s);
	else if (!r.is_written)
		log_info("%s: nothing to add: it carries the names of %s of %s addresses", name.s, human_count(r.named).s,
			 human_count(r.frames).s);
	else
		log_info("%s: carries the names of %s of %s addresses in %s of %s modules, %s new; %s, was %s", name.s,
			 human_count(r.named).s, human_count(r.frames).s, human_count(r.modules_named).s,
			 human_count(r.modules).s, human_count(r.added).s, human_bytes(r.bytes).s, human_bytes(r.bytes_before).s);
	return 0;
}

int bundle_cmd(int argc, char **argv)
{
	struct capture_opts names = {0};
	struct bundle_opts b = {.names = &names};
	bool quiet = false;
	const struct opt table[] = {
		{'o', "output", OPT_STRING, &b.out, "OUT", "write a new capture here; FILE stays as it is", NULL},
		{'f', "force", OPT_FLAG, &b.force, NULL, "overwrite OUT", NULL},
		{0, "modules", OPT_CALLBACK, &b.libs_only, "WHICH",
		 "all: names of every file (default); libs: of all but the recorded programs' own executables", opt_modules},
		{0, "target", OPT_CALLBACK, &names, "BIN",
		 "take names from this binary (its build-id must be in the capture); may be repeated", capture_opt_target},
		{0, "debug-dir", OPT_CALLBACK, &names, "DIR",
		 "look here for programs and debug files (taken by build-id); may be repeated", capture_opt_debug_dir},
		{'q', "quiet", OPT_FLAG, &quiet, NULL, "say only what went wrong", NULL},
	};
	const struct opts o = {
		.command = "ascope bundle",
		.synopsis = "[OPTIONS] FILE",
		.summary =
			"Puts the names of a capture's stacks into the capture, on a host that has the binaries, so that reports elsewhere need none of them.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = "FILE is replaced only when the new one is whole. Modules without names are named, with what to pass.\n"
			  "\n"
			  "Examples:\n"
			  "  ascope bundle orders.ascope\n"
			  "  ascope bundle --target target/release/orders -o named.ascope orders.ascope\n"
			  "\n"
			  "Exit codes: 0 done, also when some names were not found; 1 failed, FILE is as it was; 2 usage",
	};
	int n, res = opts_parse(&o, argc, argv, &n);

	if (res)
		return res == OPTS_HELP ? 0 : 2;
	if (n != 1) {
		log_error("%s (see ascope bundle --help)", n ? "one capture at a time" : "which capture? ascope bundle FILE");
		return 2;
	}
	if (b.force && !b.out) {
		log_error("--force belongs to -o OUT (see ascope bundle --help)");
		return 2;
	}
	names.capture = argv[0];
	log_set_quiet(quiet);
	return bundle_file(&b);
}
