/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * export_cmd.c: `ascope export`: options, the database, one format to a file or stdout, the exit code.
 *
 * A file appears under its name only when it is whole: it is written beside it as NAME.tmp.PID and renamed. It replaces another
 * file with --force only.
 */
#include "report/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/human.h"
#include "base/log.h"
#include "base/opts.h"
#include "report/capture_db.h"
#include "report/export.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTIAL = 3 };

struct export_args {
	struct capture_opts capture;
	struct export_opts export;
	bool chrome, perfetto, folded, speedscope, pprof, firefox, flamegraph, html, force;
	bool oncpu, offcpu, wall, blocking; /* what a profile weighs: one of them */
	const char *by;			    /* --by; NULL: thread */
	const char *diff;		    /* flamegraph: the capture to compare with */
	struct capture_opts base;	    /* it, as it is opened */
	const char *out;		    /* NULL or "-": stdout */
};

/* What one may ask for: the options of formats[] below, in its order. */
#define FORMATS "--chrome|--perfetto|--folded|--speedscope|--pprof|--firefox|--flamegraph|--html"

/* The formats: the option that asks for each, and what writes it. */
struct export_format {
	const char *name;
	size_t asked; /* offset of its flag in export_args */
	int (*write)(sqlite3 *db, const struct export_opts *o, FILE *out, struct export_result *ret);
	const char *events;   /* what export_result.events counts */
	bool is_for_terminal; /* lines that a person may read */
	bool is_profile;      /* takes the options of profiles */
};

static const struct export_format formats[] = {
	{"chrome", offsetof(struct export_args, chrome), export_chrome, "events", false, false},
	{"perfetto", offsetof(struct export_args, perfetto), export_perfetto, "slices", false, false},
	{"folded", offsetof(struct export_args, folded), export_folded, "stacks", true, true},
	{"speedscope", offsetof(struct export_args, speedscope), export_speedscope, "stacks", false, true},
	{"pprof", offsetof(struct export_args, pprof), export_pprof, "stacks", false, true},
	{"firefox", offsetof(struct export_args, firefox), export_firefox, "stacks", false, true},
	{"flamegraph", offsetof(struct export_args, flamegraph), export_flame, "stacks", false, true},
	{"html", offsetof(struct export_args, html), export_html, "blocked polls", false, false},
};

/* The format that was asked for; NULL: none, or several. */
static const struct export_format *format_asked(const struct export_args *a, int *ret_n)
{
	const struct export_format *format = NULL;

	*ret_n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (*(const bool *)((const char *)a + formats[i].asked)) {
			format = &formats[i];
			(*ret_n)++;
		}
	return *ret_n == 1 ? format : NULL;
}

static const char epilog[] = "Examples:\n"
			     "  ascope export --chrome -o trace.json orders.ascope     for ui.perfetto.dev\n"
			     "  ascope export --chrome --tasks -o trace.json orders.ascope    tasks, and who woke them\n"
			     "  ascope export --chrome --no-args -o t.json orders.ascope    for speedscope\n"
			     "  ascope export --folded orders.ascope | flamegraph.pl > oncpu.svg\n"
			     "  ascope export --folded --offcpu -o waits.txt orders.ascope\n"
			     "  ascope export --speedscope --blocking --by task -o orders.speedscope.json orders.ascope\n"
			     "  ascope export --pprof --wall -o orders.pb.gz orders.ascope    for go tool pprof\n"
			     "  ascope export --flamegraph -o orders.html orders.ascope    search, zoom, callers\n"
			     "  ascope export --flamegraph --diff before.ascope -o change.html after.ascope\n"
			     "  ascope export --html -o orders.html orders.ascope      the report, to attach to a ticket\n"
			     "\n"
			     "Exit codes: 0 done, 1 failed, 2 usage,\n"
			     "            3 done, but the capture lost data or is damaged.\n";

/* Options of profiles; what is wrong with them, or NULL. */
static const char *check_profile(struct export_args *a, const struct export_format *format)
{
	static const char *const by[] = {
		[PROFILE_BY_THREAD] = "thread",
		[PROFILE_BY_TASK] = "task",
		[PROFILE_BY_CLASS] = "class",
		[PROFILE_BY_NONE] = "none",
	};
	struct profile_opts *p = &a->export.profile;
	u32 k = 0;

	if (a->oncpu + a->offcpu + a->wall + a->blocking > 1)
		return "--oncpu, --offcpu, --wall and --blocking: ask for one";
	if (!format->is_profile && (a->oncpu || a->offcpu || a->wall || a->blocking || a->by || p->all || p->wakers))
		return "--oncpu, --offcpu, --wall, --blocking, --by, --all and --wakers belong to profiles (--folded and its like): "
		       "a timeline shows all of it";
	if (!format->is_profile &&
	    ((p->min_ns && !a->chrome && !a->html) || p->max_ns || p->pid || p->tid || p->task || p->comm || p->class_is))
		return "--max, --pid, --tid, --comm, --task and --class belong to profiles (--folded and its like), --min to these, "
		       "--chrome and --html";
	p->kind = a->offcpu ? PROFILE_OFFCPU : a->wall ? PROFILE_WALL : a->blocking ? PROFILE_BLOCKING : PROFILE_ONCPU;
	while (a->by && k < ARRAY_SIZE(by) && strcmp(by[k], a->by) != 0)
		k++;
	if (k == ARRAY_SIZE(by))
		return "--by takes thread, task, class or none";
	p->by = (enum profile_by)k;
	if (p->all && p->kind != PROFILE_OFFCPU && p->kind != PROFILE_WALL)
		return "--all belongs to --offcpu and --wall";
	if (format->is_profile && p->kind == PROFILE_ONCPU && (p->min_ns || p->max_ns || p->class_is || p->wakers))
		return "--min, --max, --class and --wakers belong to --offcpu, --wall and --blocking: a sample has no length";
	if (p->max_ns && p->max_ns < p->min_ns)
		return "--max must not be less than --min";
	return NULL;
}

static int check_args(struct export_args *a, int n)
{
	const char *wrong = NULL;
	int n_formats;
	const struct export_format *format = format_asked(a, &n_formats);

	if (n != 1)
		wrong = n ? "export takes one capture file" : "which capture file?";
	else if (!format)
		wrong = n_formats ? "more than one format: ask for one" : "which format? " FORMATS;
	else if ((wrong = check_profile(a, format)) != NULL)
		;
	else if (a->diff && !a->flamegraph)
		wrong = "--diff belongs to --flamegraph";
	else if (!a->chrome && (a->export.tasks || a->export.max_flows != EXPORT_MAX_FLOWS))
		wrong = "--tasks and --max-flows belong to --chrome";
	else if (!a->chrome && a->export.max_events != EXPORT_MAX_EVENTS)
		wrong = "--max-events belongs to --chrome";
	else if (!a->chrome && !a->perfetto && (a->export.no_args || a->export.no_idle))
		wrong = "--no-args and --no-idle belong to --chrome and --perfetto";
	else if (a->export.to_ns && a->export.to_ns <= a->export.from_ns)
		wrong = "--to must be later than --from";
	else if (!format->is_for_terminal && !a->out && isatty(STDOUT_FILENO))
		wrong = "this format is not for a terminal: use -o FILE, or a pipe";
	if (!wrong)
		return 0;
	log_error("%s; see ascope export --help", wrong);
	return -EINVAL;
}

/* Returns an enum opts_result or -EINVAL; what is wrong was said. */
static int parse_args(int argc, char **argv, struct export_args *a)
{
	struct profile_opts *p = &a->export.profile;
	const struct opt table[] = {
		{0, "chrome", OPT_FLAG, &a->chrome, NULL, "timeline of threads and polls as Chrome JSON", NULL},
		{0, "perfetto", OPT_FLAG, &a->perfetto, NULL, "the same and more as Perfetto's own format, of any size", NULL},
		{0, "folded", OPT_FLAG, &a->folded, NULL, "collapsed stacks, \"a;b;c COUNT\", for flame graphs", NULL},
		{0, "speedscope", OPT_FLAG, &a->speedscope, NULL, "stacks for speedscope", NULL},
		{0, "pprof", OPT_FLAG, &a->pprof, NULL, "stacks for pprof and what reads its profiles", NULL},
		{0, "firefox", OPT_FLAG, &a->firefox, NULL, "stacks for profiler.firefox.com", NULL},
		{0, "flamegraph", OPT_FLAG, &a->flamegraph, NULL, "stacks as a flame graph: one HTML file for any browser", NULL},
		{0, "html", OPT_FLAG, &a->html, NULL, "the report as one HTML file, to attach to a ticket", NULL},
		{'o', "output", OPT_STRING, &a->out, "OUT", "write to this file (default: stdout)", NULL},
		{0, "force", OPT_FLAG, &a->force, NULL, "replace OUT when it exists", NULL},
		{0, "from", OPT_DURATION, &a->export.from_ns, "T", "only from T after the recording began", NULL},
		{0, "to", OPT_DURATION, &a->export.to_ns, "T", "only to T after the recording began", NULL},
		{0, "Profiles (all formats of stacks)", OPT_HEADING, NULL, NULL, NULL, NULL},
		{0, "oncpu", OPT_FLAG, &a->oncpu, NULL, "weigh time on CPU, by cpu-clock samples (default)", NULL},
		{0, "offcpu", OPT_FLAG, &a->offcpu, NULL, "weigh time of waiting, not of idle threads", NULL},
		{0, "wall", OPT_FLAG, &a->wall, NULL, "weigh both", NULL},
		{0, "blocking", OPT_FLAG, &a->blocking, NULL, "weigh the time of blocked polls: waiting, on CPU, runnable", NULL},
		{0, "by", OPT_STRING, &a->by, "WHAT",
		 "frames in front of stacks: thread (default), task, class (each below its process), none", NULL},
		{0, "all", OPT_FLAG, &p->all, NULL, "with --offcpu, --wall: idle and runnable time too", NULL},
		{0, "min", OPT_DURATION, &p->min_ns, "T", "only waits (--blocking: polls; --chrome: slices) of T or more", NULL},
		{0, "max", OPT_DURATION, &p->max_ns, "T", "only waits (--blocking: polls) of T or less", NULL},
		{0, "class", OPT_STRING, &p->class_is, "CLASS",
		 "only waits (--blocking: polls) of this class: lock, disk, sleep, ...", NULL},
		{0, "pid", OPT_U64, &p->pid, "PID", "only this process", NULL},
		{0, "tid", OPT_U64, &p->tid, "TID", "only this thread", NULL},
		{0, "comm", OPT_STRING, &p->comm, "NAME", "only threads of this name", NULL},
		{0, "task", OPT_U64, &p->task, "ID", "only polls of this task", NULL},
		{0, "wakers", OPT_FLAG, &p->wakers, NULL, "waits: who ended it, behind a frame \"--\"", NULL},
		{0, "diff", OPT_STRING, &a->diff, "BASE", "flamegraph: compare with the capture BASE", NULL},
		{0, "Timelines", OPT_HEADING, NULL, NULL, NULL, NULL},
		{0, "max-events", OPT_U64, &a->export.max_events, "N", "chrome: at most N slices (default 1000000)", NULL},
		{0, "tasks", OPT_FLAG, &a->export.tasks, NULL,
		 "chrome: a track for each task, arrows from spawns and wakes to polls", NULL},
		{0, "max-flows", OPT_U64, &a->export.max_flows, "N", "chrome: at most N arrows (default 100000)", NULL},
		{0, "no-args", OPT_FLAG, &a->export.no_args, NULL,
		 "chrome, perfetto: names and times only (chrome: for speedscope)", NULL},
		{0, "no-idle", OPT_FLAG, &a->export.no_idle, NULL, "chrome, perfetto: leave out idle threads", NULL},
		{0, "Names and database", OPT_HEADING, NULL, NULL, NULL, NULL},
		CAPTURE_OPT_ROWS(&a->capture),
	};
	const struct opts o = {
		.command = "ascope export",
		.synopsis = FORMATS " [options] FILE",
		.summary = "Writes a capture in a format of other people's viewers.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = epilog,
	};
	int n = 0, r;

	r = opts_parse(&o, argc, argv, &n);
	if (r != OPTS_OK)
		return r;
	r = check_args(a, n);
	if (r < 0)
		return r;
	if (a->out && strcmp(a->out, "-") == 0)
		a->out = NULL;
	a->capture.capture = argv[0];
	a->capture.from_ns = a->export.from_ns;
	a->capture.to_ns = a->export.to_ns;
	a->export.file = argv[0];
	if (a->diff) {
		/* The database that was asked for is the capture's own. */
		a->base = a->capture;
		a->base.capture = a->diff;
		a->base.db = NULL;
		a->base.rows = CAPTURE_ROWS_ALL;
		a->export.base = &a->base;
	}
	return OPTS_OK;
}

/* ---- the output ---- */

struct export_out {
	FILE *f;
	char *temp;	  /* what is being written; NULL when it is stdout, or no regular file (/dev/null, a pipe) */
	const char *name; /* the name it gets */
};

static void export_out_release(struct export_out *x)
{
	if (x->f && x->f != stdout)
		(void)fclose(x->f);
	if (x->temp)
		(void)unlink(x->temp);
	free(x->temp);
}

static int open_temp(struct export_out *x)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	int fd;

	buf_printf(&b, "%s.tmp.%ld", x->name, (long)getpid());
	x->temp = buf_take_str(&b);
	if (!x->temp)
		return -ENOMEM;
	fd = open(x->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0) {
		int err = -errno;

		/* What is there is not ours to remove. */
		free(TAKE_PTR(x->temp));
		return err;
	}
	x->f = fdopen(fd, "w");
	if (!x->f) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return 0;
}

/* Returns 0 or -errno after it said what is wrong. */
static int export_out_open(const struct export_args *a, struct export_out *x)
{
	struct stat st;
	int r;

	if (!a->out) {
		x->f = stdout;
		return 0;
	}
	x->name = a->out;
	if (stat(a->out, &st) == 0) {
		if (S_ISREG(st.st_mode) && !a->force) {
			log_error("%s exists; --force replaces it", a->out);
			return -EEXIST;
		}
		if (!S_ISREG(st.st_mode)) {
			x->f = fopen(a->out, "we");
			r = x->f ? 0 : -errno;
			if (r < 0)
				log_error("cannot write %s: %s", a->out, strerror(-r));
			return r;
		}
	}
	r = open_temp(x);
	if (r < 0)
		log_error("cannot write beside %s: %s", a->out, strerror(-r));
	return r;
}

/* The whole file gets its name. Without --force a file that appeared meanwhile is not replaced. */
static int export_out_finish(const struct export_args *a, struct export_out *x)
{
	FILE *f = x->f;
	int r = 0;

	if (fflush(f) != 0 || ferror(f))
		r = errno ? -errno : -EIO;
	if (f == stdout)
		return r;
	x->f = NULL;
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r < 0 || !x->temp)
		return r;
	if (a->force)
		r = rename(x->temp, x->name) < 0 ? -errno : 0;
	else
		r = renameat2(AT_FDCWD, x->temp, AT_FDCWD, x->name, RENAME_NOREPLACE) < 0 ? -errno : 0;
	/* A file system without RENAME_NOREPLACE: a second name will not replace either, and the first goes with the release. */
	if (r == -EINVAL && !a->force)
		return link(x->temp, x->name) < 0 ? -errno : 0;
	if (r == 0)
		free(TAKE_PTR(x->temp));
	return r;
}

static void warn_tasks(const struct export_result *result)
{
	if (!result->tasks)
		log_warn("no task was seen in a poll: there is no track of one (ascope record --polls records every poll)");
	if (result->tasks_left)
		log_warn("%s tasks have no track: only those that blocked or ran longest have; --from and --to choose a part",
			 human_count(result->tasks_left).s);
}

/* A browser that gives up says little of why. */
static void warn_size(const struct export_args *a, const struct export_result *result)
{
	const char *instead =
		"--from and --to choose a part, --min T leaves out slices shorter than T, --perfetto writes a form for big captures";

	if (result->cut_at_ns)
		log_warn("cut at %s of the recording: --max-events %llu is reached; %s", human_ns(result->cut_at_ns).s,
			 (unsigned long long)a->export.max_events, instead);
	if (result->flows_left)
		log_warn("%s arrows are left out: --max-flows %llu is reached", human_count(result->flows_left).s,
			 (unsigned long long)a->export.max_flows);
	if (result->bytes > EXPORT_MAX_BYTES || result->all_events > 2 * (u64)EXPORT_MAX_EVENTS)
		log_warn("%s events, %s: more than viewers in a browser open (about %s events or %s); %s",
			 human_count(result->all_events).s, human_bytes(result->bytes).s,
			 human_count(2 * (u64)EXPORT_MAX_EVENTS).s, human_bytes(EXPORT_MAX_BYTES).s, instead);
}

static int write_export(sqlite3 *db, const struct export_args *a, struct export_out *x)
{
	struct export_result result = {0};
	int n_formats;
	const struct export_format *format = format_asked(a, &n_formats);
	int r;

	log_status("exporting %s", a->export.file);
	r = format->write(db, &a->export, x->f, &result);
	log_status_end();
	if (r == -ERANGE) {
		log_error("--from lies behind the end of the recording (ascope info %s says how long it is)", a->export.file);
		return EXIT_USAGE;
	}
	if (r < 0) {
		log_error("the export of %s failed: %s%s%s", a->export.file, strerror(-r), sqlite3_errcode(db) ? ": " : "",
			  sqlite3_errcode(db) ? sqlite3_errmsg(db) : "");
		return EXIT_FAILED;
	}
	r = export_out_finish(a, x);
	if (r < 0) {
		log_error("could not write %s: %s", a->out ? a->out : "the export", strerror(-r));
		return EXIT_FAILED;
	}
	if (a->chrome)
		warn_size(a, &result);
	if (a->export.tasks)
		warn_tasks(&result);
	if (a->out)
		log_info("wrote %s: %s %s", a->out, human_count(result.events).s, format->events);
	return EXIT_DONE;
}

int export_cmd(int argc, char **argv)
{
	struct export_args a = {.export = {.max_events = EXPORT_MAX_EVENTS, .max_flows = EXPORT_MAX_FLOWS}};
	_cleanup_(export_out_release) struct export_out x = {0};
	_cleanup_library_table_ struct library_table *libraries = NULL;
	struct capture_db *cdb = NULL;
	int code, r;

	r = parse_args(argc, argv, &a);
	if (r != OPTS_OK)
		return r == OPTS_HELP ? EXIT_DONE : EXIT_USAGE;
	/* Before the capture is loaded, which may take minutes. */
	r = export_out_open(&a, &x);
	if (r < 0)
		return EXIT_FAILED;
	a.capture.rows = CAPTURE_ROWS_ALL;
	r = capture_db_open(&a.capture, &cdb);
	if (r < 0)
		return EXIT_FAILED;
	/* It was read for names before: mistakes were told then. */
	if (a.chrome && library_table_load(a.capture.libraries, a.capture.n_libraries, &libraries) == 0)
		a.export.libraries = libraries;
	code = write_export(capture_db_handle(cdb), &a, &x);
	if (code == EXIT_DONE && capture_db_is_partial(cdb))
		code = EXIT_PARTIAL;
	(void)capture_db_close(cdb);
	return code;
}
