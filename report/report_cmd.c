/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* report_cmd.c: `ascope report`: options, the database, one view to stdout, the exit code. */
#include "report/cmds.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/opts.h"
#include "base/parse.h"
#include "report/capture_db.h"
#include "report/view.h"
#include "report/view_text.h"

#define MIN_UNSET UINT64_MAX

enum { WIDTH_MIN = 60, WIDTH_MAX = 400 };
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PARTIAL = 3 };

struct report_args {
	struct capture_opts capture;
	struct report_opts report;
	bool blocking, summary, markers, tasks, workers, wakers, cascade, offcpu, oncpu, timeline, json, dot;
	u64 width; /* 0: of the terminal */
};

/* The reports: the option that asks for each, and what prints it. Those of tasks need every row, not those of blocked polls alone. */
struct report_kind {
	const char *name;
	size_t asked; /* offset of its flag in report_args */
	int (*text)(sqlite3 *db, const struct report_opts *o, FILE *out);
	int (*json)(sqlite3 *db, const struct report_opts *o, FILE *out);
	enum capture_rows rows;
	bool of_time;  /* of threads' time: takes --pid, --tid, --comm */
	bool of_waits; /* --min is of waits: 0 unless given */
};

static const struct report_kind kinds[] = {
	{"blocking", offsetof(struct report_args, blocking), view_blocking, view_blocking_json, CAPTURE_ROWS_POLLS, false, false},
	{"summary", offsetof(struct report_args, summary), view_summary, view_summary_json, CAPTURE_ROWS_ALL, false, false},
	{"markers", offsetof(struct report_args, markers), view_markers, view_markers_json, CAPTURE_ROWS_ALL, false, false},
	{"tasks", offsetof(struct report_args, tasks), view_tasks, view_tasks_json, CAPTURE_ROWS_ALL, false, false},
	{"workers", offsetof(struct report_args, workers), view_workers, view_workers_json, CAPTURE_ROWS_ALL, false, false},
	{"wakers", offsetof(struct report_args, wakers), view_wakers, view_wakers_json, CAPTURE_ROWS_ALL, false, false},
	{"cascade", offsetof(struct report_args, cascade), view_cascade, view_cascade_json, CAPTURE_ROWS_ALL, false, false},
	{"offcpu", offsetof(struct report_args, offcpu), view_offcpu, view_offcpu_json, CAPTURE_ROWS_ALL, true, true},
	{"oncpu", offsetof(struct report_args, oncpu), view_oncpu, view_oncpu_json, CAPTURE_ROWS_ALL, true, true},
	{"timeline", offsetof(struct report_args, timeline), view_timegrid, view_timegrid_json, CAPTURE_ROWS_ALL, true, false},
};

/* The report that was asked for, the first without any; NULL when several were. */
static const struct report_kind *kind_asked(const struct report_args *a)
{
	const struct report_kind *kind = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!*(const bool *)((const char *)a + kinds[i].asked))
			continue;
		if (kind)
			return NULL;
		kind = &kinds[i];
	}
	return kind ? kind : &kinds[0];
}

static const char epilog[] =
	"Examples:\n"
	"  ascope report orders.ascope                          what blocked, on the machine that has the binary\n"
	"  ascope report --target ./target/release/orders orders.ascope\n"
	"  ascope report --min 1ms --top 0 --from 10s --to 12s orders.ascope\n"
	"  ascope report --json orders.ascope | jq '.places[0]'\n"
	"  ascope report --cascade 3 orders.ascope              what block #3 of the report delayed\n"
	"  ascope report --timeline --from 10s --to 12s orders.ascope\n"
	"  ascope report --offcpu --class lock --min 1ms orders.ascope\n"
	"  ascope report --wakers --dot orders.ascope | dot -Tsvg > wakers.svg\n"
	"\n"
	"Exit codes: 0 done, 1 failed, 2 usage, 3 done, but the capture lost data or is damaged.\n";

/* Of `--cascade 3 FILE` the number; what is left is the file. */
static int take_number(struct report_args *a, char ***argv, int *n)
{
	if (!a->cascade || *n != 2)
		return 0;
	if (parse_u64((*argv)[0], &a->report.block) < 0 || !a->report.block) {
		log_error("--cascade takes the number of a block as report --blocking counts them, from 1, not '%s'", (*argv)[0]);
		return -EINVAL;
	}
	(*argv)++;
	(*n)--;
	return 0;
}

/* As span_class() of thread_spans.h has them. */
static bool is_class(const char *name)
{
	static const char *const words[] = {"sleep",   "lock",	"disk",	 "network", "dns",  "pipe",
					    "process", "fault", "other", "stopped", "idle", "runnable"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(name, words[i]) == 0)
			return true;
	return false;
}

/* What only some of the reports take. */
static int check_filters(struct report_args *a)
{
	const struct report_kind *kind = kind_asked(a);
	const struct report_opts *o = &a->report;

	if (!kind->of_time && (o->pid || o->tid || o->comm)) {
		log_error("--pid, --tid and --comm belong to --offcpu, --oncpu and --timeline");
		return -EINVAL;
	}
	if (!kind->of_waits && o->task) {
		log_error("--task belongs to --offcpu and --oncpu");
		return -EINVAL;
	}
	if (!a->offcpu && (o->class_is || o->max_ns || o->all)) {
		log_error("--class, --max and --all belong to --offcpu");
		return -EINVAL;
	}
	if (o->class_is && !is_class(o->class_is)) {
		log_error(
			"--class takes sleep, lock, disk, network, dns, pipe, process, fault, other, stopped, idle or runnable, not '%s'",
			o->class_is);
		return -EINVAL;
	}
	if (a->oncpu && o->min_ns != MIN_UNSET) {
		log_error("--min belongs to polls and waits: --oncpu counts samples");
		return -EINVAL;
	}
	if (o->min_ns == MIN_UNSET)
		a->report.min_ns = kind->of_waits ? 0 : REPORT_MIN_NS;
	if (o->max_ns && o->max_ns < o->min_ns) {
		log_error("--max must not be shorter than --min");
		return -EINVAL;
	}
	if (a->width && (a->width < WIDTH_MIN || a->width > WIDTH_MAX)) {
		log_error("--width takes %d to %d characters", WIDTH_MIN, WIDTH_MAX);
		return -EINVAL;
	}
	return 0;
}

static int check_args(struct report_args *a, char **argv, int n)
{
	if (take_number(a, &argv, &n) < 0)
		return -EINVAL;
	if (n != 1) {
		log_error(n ? "report takes one capture file, not %d; see ascope report --help"
			    : "which capture file? see ascope report --help",
			  n);
		return -EINVAL;
	}
	if (!kind_asked(a)) {
		log_error(
			"--blocking, --summary, --markers, --tasks, --workers, --wakers, --cascade, --offcpu, --oncpu and --timeline are "
			"reports of their own: ask for one");
		return -EINVAL;
	}
	if (a->dot && (!a->wakers || a->json)) {
		log_error(a->json ? "--dot and --json are two formats: ask for one" : "--dot belongs to --wakers");
		return -EINVAL;
	}
	if (check_filters(a) < 0)
		return -EINVAL;
	if (a->report.to_ns && a->report.to_ns <= a->report.from_ns) {
		log_error("--to must be later than --from");
		return -EINVAL;
	}
	a->capture.capture = argv[0];
	a->capture.rows = kind_asked(a)->rows;
	a->capture.from_ns = a->report.from_ns;
	a->capture.to_ns = a->report.to_ns;
	a->report.file = argv[0];
	return OPTS_OK;
}

/* Returns an enum opts_result or -EINVAL; what is wrong was said. */
static int parse_args(int argc, char **argv, struct report_args *a)
{
	const struct opt table[] = {
		{0, "blocking", OPT_FLAG, &a->blocking, NULL, "polls that blocked, by place (default)", NULL},
		{0, "summary", OPT_FLAG, &a->summary, NULL,
		 "one screen: where each thread's time went, what blocked, what was lost", NULL},
		{0, "markers", OPT_FLAG, &a->markers, NULL, "what markers (record --marker) saw beside what the scheduler saw",
		 NULL},
		{0, "tasks", OPT_FLAG, &a->tasks, NULL,
		 "kinds of task: how many, what they cost, how long they wait for their turn", NULL},
		{0, "workers", OPT_FLAG, &a->workers, NULL, "where each worker's time went, how evenly they share it", NULL},
		{0, "wakers", OPT_FLAG, &a->wakers, NULL, "who wakes whom", NULL},
		{0, "dot", OPT_FLAG, &a->dot, NULL, "with --wakers: as a graph for Graphviz (dot -Tsvg)", NULL},
		{0, "cascade", OPT_FLAG, &a->cascade, NULL,
		 "one block and the tasks delayed behind it: --cascade N FILE is #N of --blocking (default: the longest)", NULL},
		{0, "offcpu", OPT_FLAG, &a->offcpu, NULL,
		 "where time off the CPU went: by state, system call, thread, length, waker, stack", NULL},
		{0, "oncpu", OPT_FLAG, &a->oncpu, NULL, "where CPU time went: by thread, category of code, function", NULL},
		{0, "timeline", OPT_FLAG, &a->timeline, NULL, "a picture: each worker's time, and where polls blocked", NULL},
		{0, "min", OPT_DURATION, &a->report.min_ns, "DUR",
		 "report polls at least this long (default 10ms); with --offcpu waits (default all)", NULL},
		{0, "max", OPT_DURATION, &a->report.max_ns, "DUR", "with --offcpu: only waits at most this long", NULL},
		{0, "pid", OPT_U64, &a->report.pid, "PID", "with --offcpu, --oncpu, --timeline: only threads of this process",
		 NULL},
		{0, "tid", OPT_U64, &a->report.tid, "TID", "likewise: only this thread", NULL},
		{0, "comm", OPT_STRING, &a->report.comm, "NAME", "likewise: only threads of this name", NULL},
		{0, "task", OPT_U64, &a->report.task, "ID", "with --offcpu, --oncpu: only in polls of this task (Tokio's id)",
		 NULL},
		{0, "class", OPT_STRING, &a->report.class_is, "CLASS",
		 "with --offcpu: only waits of this class: sleep, lock, disk, .., or stopped, idle, runnable", NULL},
		{0, "all", OPT_FLAG, &a->report.all, NULL, "with --offcpu: idle and runnable time in every list", NULL},
		{0, "top", OPT_U64, &a->report.top, "N", "the N longest polls, 0 all (default: of each place one)", NULL},
		{0, "from", OPT_DURATION, &a->report.from_ns, "T", "only from T after the recording began", NULL},
		{0, "to", OPT_DURATION, &a->report.to_ns, "T", "only to T after the recording began", NULL},
		{0, "full", OPT_FLAG, &a->report.full, NULL, "every frame and whole paths", NULL},
		{0, "width", OPT_U64, &a->width, "N", "characters a line (default: the terminal's, 80 to 160)", NULL},
		{0, "ascii", OPT_FLAG, &a->report.ascii, NULL,
		 "draw bars and timelines in ASCII (default where the terminal's locale is not UTF-8)", NULL},
		{0, "json", OPT_FLAG, &a->json, NULL, "one JSON object (ascope-report(1) has its keys)", NULL},
		CAPTURE_OPT_ROWS(&a->capture),
	};
	const struct opts o = {
		.command = "ascope report",
		.synopsis =
			"[--blocking|--summary|--timeline|--offcpu|--oncpu|--tasks|--workers|--wakers|--cascade [N]|--markers] [options] FILE",
		.summary = "Says which task blocked which worker, for how long, at which line, why, and who waited behind it.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = epilog,
	};
	int n = 0, r;

	r = opts_parse(&o, argc, argv, &n);
	return r == OPTS_OK ? check_args(a, argv, n) : r;
}

static int run_view(sqlite3 *db, struct report_args *a)
{
	_cleanup_library_table_ struct library_table *libraries = NULL;
	const struct report_kind *kind = kind_asked(a);
	int r = a->oncpu ? library_table_load(a->capture.libraries, a->capture.n_libraries, &libraries) : 0;

	if (r < 0)
		return EXIT_FAILED;
	a->report.libraries = libraries;
	if (a->dot)
		r = view_wakers_dot(db, &a->report, stdout);
	else
		r = a->json ? kind->json(db, &a->report, stdout) : kind->text(db, &a->report, stdout);
	if (r == -ERANGE) {
		log_error("--from lies behind the end of the recording (ascope info %s says how long it is)", a->report.file);
		return EXIT_USAGE;
	}
	if (r < 0) {
		log_error("the report of %s failed: %s (%s)", a->report.file, strerror(-r), sqlite3_errmsg(db));
		return EXIT_FAILED;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_error("could not write the report: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

int report_cmd(int argc, char **argv)
{
	struct report_args a = {.report = {.min_ns = MIN_UNSET, .top = REPORT_TOP_UNSET}};
	struct capture_db *cdb = NULL;
	int code, r;

	r = parse_args(argc, argv, &a);
	if (r != OPTS_OK)
		return r == OPTS_HELP ? EXIT_DONE : EXIT_USAGE;
	a.report.color = text_terminal_color(STDOUT_FILENO);
	a.report.width = a.width ? (u32)a.width : text_terminal_width(STDOUT_FILENO);
	a.report.ascii |= !text_terminal_utf8(STDOUT_FILENO);
	r = capture_db_open(&a.capture, &cdb);
	if (r < 0)
		return EXIT_FAILED;
	code = run_view(capture_db_handle(cdb), &a);
	if (code == EXIT_DONE && capture_db_is_partial(cdb))
		code = EXIT_PARTIAL;
	(void)capture_db_close(cdb);
	return code;
}
