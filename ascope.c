/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ascope.c: the command table, and nothing else. A command is a row: name, what it does, its function. It gets argv from its own name on
 * and returns the exit code.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "base/log.h"
#include "report/cmds.h"
#include "version.h"
#ifdef ASCOPE_RECORD
#include "record/doctor_cmd.h"
#include "record/record_cmd.h"
#endif

struct command {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
};

#ifndef ASCOPE_RECORD
static int record_cmd(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	log_error("this ascope was built without recording (make RECORD=0); build with RECORD=1, or record on another host");
	return 1;
}

static int doctor_cmd(int argc, char **argv)
{
	return record_cmd(argc, argv);
}
#endif

static const struct command commands[] = {
	{"doctor", doctor_cmd, "say what this host and a running program allow to record, and the fix for what they do not"},
	{"record", record_cmd, "record a running program, or a command, into a capture file (needs root)"},
	{"report", report_cmd, "say which task blocked which worker, for how long, where and why"},
	{"export", export_cmd, "write a capture as a Chrome trace or as collapsed stacks"},
	{"query", query_cmd, "run SQL over a capture"},
	{"bundle", bundle_cmd, "put the names that a capture needs into it, on a host that has the binaries"},
	{"info", info_cmd, "what a capture holds, and whether it is complete"},
	{"check", check_cmd, "verify every byte of a capture; write what is intact of a damaged one"},
	{"dump", dump_cmd, "every record of a capture, raw"},
};

static void usage(FILE *out)
{
	fputs("usage: ascope COMMAND [OPTIONS]\n\n"
	      "Finds what blocks async Rust (Tokio) in production: record on the host, copy one file off, read it anywhere.\n\ncommands:\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
	fputs("\n`ascope COMMAND --help` tells a command's options, `man ascope` the whole.\n"
	      "exit codes: 0 done, 1 failed, 2 usage, 3 done, but data was lost or damaged\n",
	      out);
}

/* Output that did not reach its reader is a failure, whatever the command thought. */
static int finish(int code)
{
	bool failed = ferror(stdout);
	int err = fflush(stdout) < 0 ? errno : 0;

	if (!failed && !err)
		return code;
	if (err != EPIPE) /* a reader such as head that has seen enough is told nothing */
		log_error("cannot write to standard output: %s", err ? strerror(err) : "an earlier write failed");
	return code == 0 || code == 3 ? 1 : code;
}

int main(int argc, char **argv)
{
	/* statics.sh: stdio's buffer: without memory for one of its own it would lose what is printed and not say so */
	static char out[BUFSIZ]; /* statics.sh: has to outlive main() */

	(void)setvbuf(stdout, out, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof(out));
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return finish(0);
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		printf("ascope %s%s%s\n", ASCOPE_VERSION, ASCOPE_GIT_ID[0] ? " " : "", ASCOPE_GIT_ID);
		return finish(0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(commands[i].fn(argc - 1, argv + 1));
	log_error("'%s' is not an ascope command; see ascope --help", argv[1]);
	return 2;
}
