/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor_cmd.c: `ascope doctor`: what this host and its targets allow. Attaches nothing and writes no file. Called by ascope.c. */
#include "record/doctor_cmd.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/opts.h"
#include "record/doctor_host.h"
#include "record/doctor_print.h"
#include "record/doctor_target.h"
#include "record/target.h"

static const char epilog[] = "Examples:\n"
			     "  sudo ascope doctor\n"
			     "  sudo ascope doctor -p $(pgrep orders)\n"
			     "\n"
			     "Exit codes: 0 all is there, 1 a recording is not possible, 2 usage, 3 it is\n"
			     "possible, but something is missing\n";

static int opt_pid(void *ctx, const char *value)
{
	return target_add_pids(ctx, value);
}

struct findings {
	enum doctor_state state;
	struct json json;
	bool as_json;
};

static int look_at(struct findings *f, struct doctor_host *h, u32 pid)
{
	struct doctor_target t;
	int err = doctor_target_look(pid, h->kernel, &t);

	if (!err && f->as_json)
		doctor_json_target(&f->json, &t);
	else if (!err)
		doctor_print_target(stdout, &t);
	if (t.err)
		f->state = DOCTOR_NO;
	else if (!doctor_target_is_whole(&t) && f->state == DOCTOR_OK)
		f->state = DOCTOR_LESS;
	doctor_target_release(&t);
	return err;
}

static int look_at_all(struct findings *f, struct doctor_host *h, const struct target_list *l)
{
	int err = 0;

	if (f->as_json) {
		json_init(&f->json, stdout, true);
		json_object_begin(&f->json);
		doctor_json_host(&f->json, h);
		json_key(&f->json, "processes");
		json_array_begin(&f->json);
	} else {
		doctor_print_host(stdout, h);
	}
	for (u32 i = 0; i < l->n && !err; i++)
		err = look_at(f, h, l->pids[i]);
	if (f->as_json) {
		json_array_end(&f->json);
		json_object_end(&f->json);
		fputc('\n', stdout);
	}
	return err;
}

static int exit_code(enum doctor_state s)
{
	return s == DOCTOR_OK ? 0 : s == DOCTOR_NO ? 1 : 3;
}

int doctor_cmd(int argc, char **argv)
{
	_cleanup_free_ struct doctor_host *h = calloc(1, sizeof(*h));
	struct target_list targets = {.n = 0};
	struct findings f = {.as_json = false};
	const struct opt table[] = {
		{'p', "pid", OPT_CALLBACK, &targets, "PID...", "look into these processes, too", opt_pid},
		{0, "json", OPT_FLAG, &f.as_json, NULL, "print one JSON object instead of text", NULL},
	};
	const struct opts opts = {
		.command = "ascope doctor",
		.synopsis = "[-p PID...] [--json]",
		.summary =
			"Says what this host, these rights and a program allow ascope to record, and the fix for what they do not. Attaches nothing.",
		.table = table,
		.n = ARRAY_SIZE(table),
		.epilog = epilog,
	};
	int n, r = opts_parse(&opts, argc, argv, &n);

	if (r == OPTS_HELP)
		return 0;
	if (r < 0)
		return r == -ESRCH ? 1 : 2;
	for (int i = 0; i < n && targets.n; i++) /* -p 1 2 3 */
		if (target_add_pids(&targets, argv[i]) < 0)
			return 1;
	if (n && !targets.n) {
		log_error("'%s'? say -p PID; see ascope doctor --help", argv[0]);
		return 2;
	}
	if (!h) {
		log_error("out of memory");
		return 1;
	}
	doctor_host_look(h);
	f.state = doctor_host_state(h);
	r = look_at_all(&f, h, &targets);
	doctor_host_release(h);
	if (r)
		log_error("%s", strerror(-r));
	return r ? 1 : exit_code(f.state);
}
