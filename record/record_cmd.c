/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* record_cmd.c: options of `ascope record` to struct session_opts. */
#include "record/record_cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/opts.h"
#include "record/refusals.h"
#include "record/session.h"

enum { MAX_FREQ = 10000, MIN_MAX_SIZE = 128 << 10 };

static int opt_pid(void *ctx, const char *value)
{
	return target_add_pids(ctx, value);
}

static int opt_comm(void *ctx, const char *value)
{
	return target_add_comm(ctx, value);
}

static int opt_marker(void *ctx, const char *value)
{
	return marker_add(ctx, value);
}

static int opt_stacks(void *ctx, const char *value)
{
	bool *all = ctx;

	if (strcmp(value, "auto") != 0 && strcmp(value, "all") != 0) {
		log_error("--stacks is auto or all, not '%s'", value);
		return -EINVAL;
	}
	*all = !strcmp(value, "all");
	return 0;
}

static int opt_embed(void *ctx, const char *value)
{
	static const char *const names[] = {[EMBED_NONE] = "none", [EMBED_LIBS] = "libs", [EMBED_ALL] = "all"};
	enum embed *embed = ctx;

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i])) {
			*embed = (enum embed)i;
			return 0;
		}
	log_error("--embed is none, libs or all, not '%s'", value);
	return -EINVAL;
}

static int opt_tasks(void *ctx, const char *value)
{
	bool *off = ctx;

	if (strcmp(value, "auto") != 0 && strcmp(value, "off") != 0) {
		log_error("--tasks is auto or off, not '%s'", value);
		return -EINVAL;
	}
	*off = !strcmp(value, "off");
	return 0;
}

/* Percent with up to two digits behind the point, to hundredths. */
static int opt_overhead(void *ctx, const char *value)
{
	u32 *share = ctx;
	char *end;
	double v = strtod(value, &end);

	if (value[0] < '0' || value[0] > '9' || *end || !(v >= 0.01 && v <= 100)) {
		log_error("--max-overhead is 0.01 to 100 (percent), not '%s'", value);
		return -EINVAL;
	}
	*share = (u32)(v * 100 + 0.5);
	return 0;
}

static const char epilog[] = "Ends after --duration, at --max-size, when the target exits, or on SIGINT, SIGTERM\n"
			     "or SIGHUP; what was recorded is then complete.\n"
			     "\n"
			     "Examples:\n"
			     "  sudo ascope record -p $(pgrep orders) --duration 30 -o orders.ascope\n"
			     "  sudo ascope record -o build.ascope -- cargo run --release\n"
			     "\n"
			     "Exit codes: 0 done, 1 failed, 2 usage, 3 recorded, but events were lost or the\n"
			     "disk was full\n";

/* Cuts argv at "--"; what follows is the command. */
static char **split_command(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "--")) {
			argv[i] = NULL;
			*argc = i;
			return &argv[i + 1];
		}
	}
	return NULL;
}

/* pids of another namespace than the host's would be taken for other processes. */
static int check_pid_namespace(void)
{
	struct stat st;

	/* PROC_PID_INIT_INO, include/uapi/linux/nsfs.h and proc_ns.h: the host's pid namespace */
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != 0xEFFFFFFCU) {
		log_error("%s", REFUSAL_PID_NAMESPACE);
		return -ENOTSUP;
	}
	return 0;
}

static int check(const struct session_opts *o, bool has_pids, char **operands, int n)
{
	if (n && !has_pids) {
		log_error("'%s'? say -p PID, --comm NAME or -- COMMAND; see ascope record --help", operands[0]);
		return -EINVAL;
	}
	if (o->command && !o->command[0]) {
		log_error("-- is followed by no command");
		return -EINVAL;
	}
	if (!o->targets.n && !o->command) {
		log_error("record what? -p PID..., --comm NAME or -- COMMAND; see ascope record --help");
		return -EINVAL;
	}
	if (o->sample_freq > MAX_FREQ) {
		log_error("--freq is at most %d Hz", MAX_FREQ);
		return -EINVAL;
	}
	if (o->compress_level < 1 || o->compress_level > 19) {
		log_error("--compress is 1 to 19");
		return -EINVAL;
	}
	if (o->embed != EMBED_NONE && embed_check(o->output) < 0)
		return -EINVAL;
	if (o->tasks.off && (o->tasks.polls || o->tasks.wakes)) {
		log_error("--tasks off and %s exclude each other", o->tasks.polls ? "--polls" : "--wakes");
		return -EINVAL;
	}
	if (o->max_size && o->max_size < MIN_MAX_SIZE) {
		log_error("--max-size is at least 128k");
		return -EINVAL;
	}
	return 0;
}

static void release_opts(struct session_opts *o)
{
	marker_list_release(&o->markers);
}

int record_cmd(int argc, char **argv)
{
	_cleanup_(release_opts) struct session_opts o = {
		.output = "out.ascope", .tasks.overhead = 200, .sample_freq = 499, .ring_bytes = 16 << 20, .compress_level = 1};
	u64 level = 1;
	const struct opt table[] = {
		{0, "What to record (one of)", OPT_HEADING, NULL, NULL, NULL, NULL},
		{'p', "pid", OPT_CALLBACK, &o.targets, "PID...", "these processes, with their threads and the children they fork",
		 opt_pid},
		{0, "comm", OPT_CALLBACK, &o.targets, "NAME", "every process with this command name", opt_comm},
		{0, "How", OPT_HEADING, NULL, NULL, NULL, NULL},
		{'o', "output", OPT_STRING, &o.output, "FILE",
		 "write the capture here (default out.ascope; - is standard output)", NULL},
		{'f', "force", OPT_FLAG, &o.force, NULL, "overwrite FILE", NULL},
		{'d', "duration", OPT_DURATION, &o.duration_ns, "TIME",
		 "stop after this long, e.g. 30, 2.5s, 10m (default: until stopped)", NULL},
		{'F', "freq", OPT_U64, &o.sample_freq, "HZ",
		 "cpu-clock samples per second of running target threads (default 499; 0 none)", NULL},
		{0, "stacks", OPT_CALLBACK, &o.all_stacks, "WHICH",
		 "auto: stacks of waits inside tasks (default); all: of every switch", opt_stacks},
		{0, "waker-stacks", OPT_FLAG, &o.waker_stacks, NULL, "take the stack of whoever wakes a thread, too", NULL},
		{0, "tasks", OPT_CALLBACK, &o.tasks.off, "WHICH",
		 "auto: probe where tasks are spawned and where they end (default); off: no probe in its code, no look at tasks alive",
		 opt_tasks},
		{0, "polls", OPT_FLAG, &o.tasks.polls, NULL, "record begin and end of every poll of a task, by probes", NULL},
		{0, "wakes", OPT_FLAG, &o.tasks.wakes, NULL, "record every wake that queues a task, by probes; includes --polls",
		 NULL},
		{0, "max-overhead", OPT_CALLBACK, &o.tasks.overhead, "PCT",
		 "take probes away when they cost more than this share of the target's cpu time (default 2; 100: never)",
		 opt_overhead},
		{0, "marker", OPT_CALLBACK, &o.markers, "START,END",
		 "for validation: note when these two functions are entered, each SYMBOL, 0xADDRESS or FILE:...; up to 8 pairs",
		 opt_marker},
		{0, "store-cmdline", OPT_FLAG, &o.store_cmdline, NULL, "store the targets' command lines, which may hold secrets",
		 NULL},
		{0, "embed", OPT_CALLBACK, &o.embed, "WHICH",
		 "put the names that reports need into FILE when it is closed: none (default), libs: of all but the recorded programs' own "
		 "executables, all",
		 opt_embed},
		{0, "max-size", OPT_SIZE, &o.max_size, "SIZE",
		 "stop before FILE is larger than this, e.g. 500M, 2G (default: no limit)", NULL},
		{0, "compress", OPT_U64, &level, "LEVEL", "zstd level, 1 to 19 (default 1)", NULL},
		{'q', "quiet", OPT_FLAG, &o.quiet, NULL, "no status line, no end line", NULL},
	};
	const struct opts opts = {
		.command = "ascope record",
		.synopsis = "-p PID... [OPTIONS]\n--comm NAME [OPTIONS]\n[OPTIONS] -- COMMAND [ARGS]",
		.summary =
			"Records what the threads and async tasks of a program do, unmodified, into one capture file. Needs root.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = epilog,
	};
	int n, r;

	o.command = split_command(&argc, argv);
	r = opts_parse(&opts, argc, argv, &n);
	if (r == OPTS_HELP)
		return 0;
	if (r < 0)
		return r == -ESRCH ? 1 : 2;
	o.compress_level = level <= 19 ? (int)level : 20;
	for (int i = 0; i < n && o.targets.n; i++) /* -p 1 2 3 */
		if (target_add_pids(&o.targets, argv[i]) < 0)
			return 1;
	if (check(&o, o.targets.n > 0, argv, n) < 0)
		return 2;
	log_set_quiet(o.quiet);
	if (check_pid_namespace() < 0)
		return 1;
	return session_run(&o);
}
