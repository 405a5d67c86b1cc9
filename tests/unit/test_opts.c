/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_opts.c: every type in every spelling, operands, each mistake with its message, the text of --help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "base/opts.h"

struct seen {
	bool quiet, force;
	const char *output;
	u64 freq, duration, size;
	char calls[64]; /* values given to the callback, joined by ',' */
	u32 bare;	/* calls of the one without a value */
};

static int on_pid(void *ctx, const char *value)
{
	struct seen *s = ctx;
	size_t n = strlen(s->calls);

	if (!strcmp(value, "bad"))
		return -ENOENT;
	(void)snprintf(s->calls + n, sizeof(s->calls) - n, "%s,", value);
	return 0;
}

static int on_bare(void *ctx, const char *value)
{
	assert_null(value);
	((struct seen *)ctx)->bare++;
	return 0;
}

/* Runs opts_parse on "cmd" and the given arguments; *ret_said gets what went to stderr and stdout. */
static int run(struct seen *s, bool stop, const char *const *args, char **operands, int *n, char *said, size_t said_size)
{
	const struct opt table[] = {
		{0, "What to record", OPT_HEADING, NULL, NULL, NULL, NULL},
		{'p', "pid", OPT_CALLBACK, s, "PID", "record this process; may be repeated", on_pid},
		{'o', "output", OPT_STRING, &s->output, "FILE", "write the capture here", NULL},
		{0, "duration", OPT_DURATION, &s->duration, "TIME", "stop after this long (default: until ^C)", NULL},
		{'F', "freq", OPT_U64, &s->freq, "HZ", "samples a second", NULL},
		{0, "Other", OPT_HEADING, NULL, NULL, NULL, NULL},
		{0, "max-size", OPT_SIZE, &s->size, "BYTES",
		 "a sentence that is long enough to be folded, since help is folded at eighty columns", NULL},
		{'q', "quiet", OPT_FLAG, &s->quiet, NULL, "say less", NULL},
		{'f', NULL, OPT_FLAG, &s->force, NULL, "overwrite", NULL},
		{0, "bare", OPT_CALLBACK, s, NULL, "no value", on_bare},
	};
	const struct opts o = {
		"ascope test", "[OPTIONS] FILE\n--list", "Does a test.", table, ARRAY_SIZE(table), "Exit codes: 0 done.", stop};
	int fd = memfd_create("said", MFD_CLOEXEC), err = dup(2), out = dup(1), argc = 1, res;

	*s = (struct seen){.freq = 499};
	operands[0] = (char *)"test";
	for (; args[argc - 1]; argc++)
		operands[argc] = (char *)args[argc - 1];
	operands[argc] = NULL;
	(void)fflush(stdout);
	assert_true(fd >= 0 && err >= 0 && out >= 0 && dup2(fd, 2) == 2 && dup2(fd, 1) == 1);
	res = opts_parse(&o, argc, operands, n);
	(void)fflush(stdout);
	assert_true(dup2(err, 2) == 2 && dup2(out, 1) == 1);
	(void)close(err);
	(void)close(out);
	ssize_t got = fd_pread_full(fd, said, said_size - 1, 0);
	assert_true(got >= 0);
	said[got] = '\0';
	(void)close(fd);
	return res;
}

#define RUN(...)      run(&s, false, (const char *const[]){__VA_ARGS__, NULL}, operands, &n, said, sizeof(said))
#define RUN_STOP(...) run(&s, true, (const char *const[]){__VA_ARGS__, NULL}, operands, &n, said, sizeof(said))
#define LOCALS                                                                                                                   \
	struct seen s;                                                                                                           \
	char *operands[16], said[4096];                                                                                          \
	int n = -1;                                                                                                              \
	(void)state

static void every_type(void **state)
{
	LOCALS;
	assert_int_equal(
		RUN("--output", "a", "--duration=2.5s", "--freq", "99", "--max-size=64k", "--quiet", "-f", "--bare", "--pid=7"),
		OPTS_OK);
	assert_string_equal(said, "");
	assert_int_equal(n, 0);
	assert_null(operands[0]);
	assert_string_equal(s.output, "a");
	assert_int_equal(s.duration, 2500000000ULL);
	assert_int_equal(s.freq, 99);
	assert_int_equal(s.size, 65536);
	assert_true(s.quiet);
	assert_true(s.force);
	assert_int_equal(s.bare, 1);
	assert_string_equal(s.calls, "7,");
}

static void short_spellings(void **state)
{
	LOCALS;
	assert_int_equal(RUN("-p", "1", "-p2", "-qfoout", "-F", "7"), OPTS_OK);
	assert_string_equal(s.calls, "1,2,");
	assert_true(s.quiet);
	assert_true(s.force);
	assert_string_equal(s.output, "out");
	assert_int_equal(s.freq, 7);
}

static void operands_anywhere(void **state)
{
	LOCALS;
	assert_int_equal(RUN("a", "-q", "-", "--output=x=y", "b", "--", "--freq", "c"), OPTS_OK);
	assert_int_equal(n, 5);
	assert_string_equal(operands[0], "a");
	assert_string_equal(operands[1], "-");
	assert_string_equal(operands[2], "b");
	assert_string_equal(operands[3], "--freq");
	assert_string_equal(operands[4], "c");
	assert_null(operands[5]);
	assert_true(s.quiet);
	assert_string_equal(s.output, "x=y");
	assert_int_equal(RUN("--output="), OPTS_OK); /* an empty value is a value */
	assert_string_equal(s.output, "");
}

static void stops_at_the_first_operand(void **state)
{
	LOCALS;
	assert_int_equal(RUN_STOP("-q", "cargo", "run", "--freq", "--", "-f"), OPTS_OK);
	assert_int_equal(n, 5);
	assert_string_equal(operands[0], "cargo");
	assert_string_equal(operands[2], "--freq");
	assert_string_equal(operands[3], "--");
	assert_string_equal(operands[4], "-f");
	assert_true(s.quiet);
	assert_false(s.force);
}

#define MISTAKE(message, ...)                                                                                                    \
	do {                                                                                                                     \
		n = -1;                                                                                                          \
		assert_int_equal(RUN(__VA_ARGS__), -EINVAL);                                                                     \
		assert_string_equal(said, "ascope: error: " message " (see ascope test --help)\n");                              \
		assert_int_equal(n, -1);                                                                                         \
	} while (0)

static void mistakes(void **state)
{
	LOCALS;
	MISTAKE("unknown option --zzz", "--zzz");
	MISTAKE("unknown option --zzz", "--zzz=1");
	MISTAKE("unknown option --frqe; did you mean --freq?", "--frqe", "1");
	MISTAKE("unknown option --dur; did you mean --duration?", "--dur", "1");
	MISTAKE("unknown option --ouptut; did you mean --output?", "--ouptut=1");
	MISTAKE("unknown option -x", "-qx");
	MISTAKE("--output wants a value: --output FILE", "--output");
	MISTAKE("-o wants a value: -o FILE", "-o");
	MISTAKE("--quiet takes no value", "--quiet=1");
	MISTAKE("--bare takes no value", "--bare=1");
	MISTAKE("--freq: '-1': a whole number is wanted, e.g. 42", "--freq", "-1");
	MISTAKE("--freq: '18446744073709551616': the number is too large", "--freq=18446744073709551616");
	MISTAKE("--duration: 'ms': a duration is wanted, e.g. 10ms, 2.5s, 3m, 250us", "--duration", "ms");
	MISTAKE("--max-size: '': a size is wanted, e.g. 4096, 64k, 10M, 1G", "--max-size=");
	MISTAKE("unknown option --?[31m", "--\033[31m"); /* no escape byte reaches the terminal */
	assert_int_equal(s.freq, 499);
	assert_int_equal(RUN("--pid", "bad"), -EINVAL);
	assert_string_equal(said, "");			    /* the callback has spoken */
	assert_int_equal(RUN("--What to record"), -EINVAL); /* a heading is no option */
}

static void help(void **state)
{
	static const char want[] = "Usage: ascope test [OPTIONS] FILE\n"
				   "       ascope test --list\n"
				   "\n"
				   "Does a test.\n"
				   "\n"
				   "What to record:\n"
				   "  -p, --pid PID               record this process; may be repeated\n"
				   "  -o, --output FILE           write the capture here\n"
				   "      --duration TIME         stop after this long (default: until ^C)\n"
				   "  -F, --freq HZ               samples a second\n"
				   "\n"
				   "Other:\n"
				   "      --max-size BYTES        a sentence that is long enough to be folded, since\n"
				   "                              help is folded at eighty columns\n"
				   "  -q, --quiet                 say less\n"
				   "  -f                          overwrite\n"
				   "      --bare                  no value\n"
				   "  -h, --help                  print this text\n"
				   "\n"
				   "Exit codes: 0 done.\n";

	LOCALS;
	assert_int_equal(RUN("a", "--help", "--zzz"), OPTS_HELP);
	assert_string_equal(said, want);
	assert_int_equal(RUN("-h"), OPTS_HELP);
	assert_string_equal(said, want);
	assert_int_equal(RUN("-qh"), OPTS_HELP);
	assert_string_equal(said, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type),	     cmocka_unit_test(short_spellings),
		cmocka_unit_test(operands_anywhere), cmocka_unit_test(stops_at_the_first_operand),
		cmocka_unit_test(mistakes),	     cmocka_unit_test(help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
