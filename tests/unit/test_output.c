/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_output.c: what is replaced and what is refused, limits that are never exceeded, full disks that are noticed before, slow and dead readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "record/output.h"
#include "record/syncer.h"

/* Each test runs in a folder of its own. */
struct place {
	char dir[64];
	int old_out; /* standard output */
};

static int enter(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/test_output.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(chdir(p->dir), 0);
	p->old_out = dup(STDOUT_FILENO);
	*state = p;
	return 0;
}

static int leave(void **state)
{
	struct place *p = *state;
	char command[96];

	assert_true(dup2(p->old_out, STDOUT_FILENO) >= 0);
	(void)close(p->old_out);
	assert_int_equal(chdir("/"), 0);
	(void)snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static int open_out(const char *path, bool force, u64 max_size, struct output **ret)
{
	const struct output_opts opts = {.path = path, .force = force, .max_size = max_size, .wake_fd = -1};

	return output_open(&opts, ret);
}

static int put(struct output *o, size_t n)
{
	struct fmt_sink sink = output_sink(o);
	_cleanup_free_ u8 *bytes = malloc(n);

	memset(bytes, 'x', n);
	return sink.write(sink.ctx, bytes, n);
}

static void make(const char *path, const char *contents)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, contents, strlen(contents)), 0);
}

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static u32 files_here(void)
{
	FILE *f = popen("ls -A | wc -l", "r");
	u32 n = 0;

	assert_int_equal(fscanf(f, "%u", &n), 1);
	(void)pclose(f);
	return n;
}

static void a_new_file(void **state)
{
	struct output *o;

	(void)state;
	assert_int_equal(open_out("new", false, 0, &o), 0);
	assert_int_equal(stat_of("new").st_mode, S_IFREG | 0600);
	assert_int_equal(output_begin(o), 0);
	assert_int_equal(put(o, 1000), 0);
	assert_int_equal(output_close(o, true), 0);
	assert_int_equal(stat_of("new").st_size, 1000);

	assert_int_equal(open_out("never", false, 0, &o), 0);
	assert_int_equal(put(o, 1000), 0);
	assert_int_equal(output_close(o, false), 0);
	assert_int_equal(access("never", F_OK), -1);
}

static void refused(void **state)
{
	struct output *o;

	(void)state;
	make("old", "precious");
	assert_int_equal(symlink("old", "link"), 0);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(open_out("old", false, 0, &o), -EEXIST);
	for (int force = 0; force <= 1; force++) {
		assert_int_equal(open_out("link", force, 0, &o), -ELOOP);
		assert_int_equal(open_out("dangling", force, 0, &o), -ELOOP);
		assert_int_equal(open_out("folder", force, 0, &o), -EEXIST);
		assert_int_equal(open_out("/dev/null", force, 0, &o), -EEXIST);
		assert_int_equal(open_out("no/such", force, 0, &o), -ENOENT);
	}
	assert_int_equal(stat_of("old").st_size, 8);
	assert_int_equal(files_here(), 4);
}

/* Until the recording begins the old file is as it was, and nobody writes to it ever. */
static void replaced_only_when_it_begins(void **state)
{
	struct output *o;
	struct stat old, is;

	(void)state;
	make("old", "precious");
	old = stat_of("old");
	assert_int_equal(open_out("old", true, 0, &o), 0);
	assert_int_equal(put(o, 100), 0);
	assert_int_equal(stat_of("old").st_size, 8);
	assert_int_equal(output_close(o, false), 0);
	is = stat_of("old");
	assert_int_equal(is.st_size, 8);
	assert_int_equal(is.st_ino, old.st_ino);
	assert_int_equal(files_here(), 1);

	assert_int_equal(link("old", "kept"), 0);
	assert_int_equal(open_out("old", true, 0, &o), 0);
	assert_int_equal(put(o, 100), 0);
	assert_int_equal(output_begin(o), 0);
	assert_int_equal(put(o, 100), 0);
	assert_int_equal(output_close(o, true), 0);
	assert_int_equal(stat_of("old").st_size, 200);
	assert_int_equal(stat_of("old").st_mode, S_IFREG | 0600);
	assert_int_equal(stat_of("kept").st_size, 8);
	assert_int_equal(files_here(), 2);
}

/* What was put in the way between the two is not followed, and not destroyed. */
static void swapped_meanwhile(void **state)
{
	struct output *o;

	(void)state;
	make("old", "precious");
	make("target", "precious");
	assert_int_equal(open_out("old", true, 0, &o), 0);
	assert_int_equal(unlink("old"), 0);
	assert_int_equal(symlink("target", "old"), 0);
	assert_int_equal(output_begin(o), -EEXIST);
	assert_int_equal(output_close(o, false), 0);
	assert_int_equal(stat_of("target").st_size, 8);
	assert_int_equal(files_here(), 2);

	assert_int_equal(open_out("new", false, 0, &o), 0);
	assert_int_equal(unlink("new"), 0);
	make("new", "another's");
	assert_int_equal(output_close(o, false), 0); /* ours is gone; this one is not ours to remove */
	assert_int_equal(stat_of("new").st_size, 9);
}

static void the_limit_holds(void **state)
{
	struct output *o;

	(void)state;
	assert_int_equal(open_out("f", false, 100000, &o), 0);
	assert_int_equal(output_left(o), 100000);
	assert_int_equal(output_room(o, 100000), OUTPUT_HAS_ROOM);
	assert_int_equal(output_room(o, 100001), OUTPUT_MAX_SIZE);
	assert_int_equal(put(o, 60000), 0);
	assert_int_equal(output_room(o, 40000), OUTPUT_HAS_ROOM);
	assert_int_equal(output_room(o, 40001), OUTPUT_MAX_SIZE);
	assert_int_equal(put(o, 40001), -EFBIG);
	assert_int_equal(put(o, 1), -EFBIG); /* the first error stays */
	assert_int_equal(output_err(o), -EFBIG);
	assert_int_equal(output_close(o, true), 0);
	assert_int_equal(stat_of("f").st_size, 60000);
}

static void file_size_limit_of_the_process(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (!pid) {
		struct rlimit rl = {.rlim_cur = 50000, .rlim_max = 50000};
		struct output *o;
		bool good = setrlimit(RLIMIT_FSIZE, &rl) == 0 && open_out("f", false, 60000, &o) == 0 &&
			    output_room(o, 50001) == OUTPUT_FILE_LIMIT && output_room(o, 50000) == OUTPUT_HAS_ROOM &&
			    put(o, 50000) == 0 && put(o, 1) == -EFBIG && output_close(o, true) == 0;

		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat_of("f").st_size, 50000);
}

/* What was set aside is given back: the file takes no more blocks than one of its size does. */
static void reserve_is_given_back(void **state)
{
	struct output *o;
	struct stat st;

	(void)state;
	assert_int_equal(open_out("f", false, 0, &o), 0);
	assert_int_equal(put(o, 5000), 0);
	assert_int_equal(output_room(o, 3 << 20), OUTPUT_HAS_ROOM);
	assert_int_equal(stat_of("f").st_size, 5000);
	if (stat_of("f").st_blocks * 512 < 3 << 20) {
		assert_int_equal(output_close(o, true), 0);
		skip(); /* this file system sets nothing aside */
	}
	assert_int_equal(put(o, 5000), 0);
	assert_int_equal(output_close(o, true), 0);
	st = stat_of("f");
	assert_int_equal(st.st_size, 10000);
	assert_in_range(st.st_blocks * 512, 0, 64 << 10);
}

/* `>>`: what was there stays, and a torn write is cut off behind it. */
static void appended_to_standard_output(void **state)
{
	struct output *o;
	int fd;

	(void)state;
	make("log", "precious");
	fd = open("log", O_WRONLY | O_APPEND);
	assert_true(fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
	(void)close(fd);
	assert_int_equal(open_out("-", false, 1000, &o), 0);
	assert_int_equal(put(o, 600), 0);
	assert_int_equal(put(o, 600), -EFBIG);
	assert_int_equal(output_close(o, false), 0); /* nor is it removed */
	assert_int_equal(stat_of("log").st_size, 608);
}

/* ---- readers ---- */

struct patience {
	u32 asked, gives_up_at;
	int read_fd; /* read when asked, -1 never */
};

static int on_wait(void *ctx, u64 waited)
{
	struct patience *p = ctx;
	char bytes[8192];

	(void)waited;
	if (p->read_fd >= 0)
		assert_true(read(p->read_fd, bytes, sizeof(bytes)) > 0);
	return ++p->asked == p->gives_up_at ? -ECANCELED : 0;
}

static struct output *open_pipe(int fd, struct patience *p)
{
	const struct output_opts opts = {.path = "-", .wake_fd = -1, .on_wait = on_wait, .ctx = p};
	struct output *o;

	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
	(void)close(fd);
	assert_int_equal(output_open(&opts, &o), 0);
	assert_int_equal(output_room(o, UINT64_MAX), OUTPUT_HAS_ROOM);
	return o;
}

static void readers(int read_fd, int write_fd)
{
	struct patience p = {.gives_up_at = 2, .read_fd = -1};
	struct output *o = open_pipe(write_fd, &p);
	bool was_blocking = !(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK);

	assert_true(was_blocking); /* others share it */
	assert_int_equal(put(o, 1000), 0);
	assert_int_equal(p.asked, 0);
	assert_int_equal(put(o, 8 << 20), -ECANCELED); /* nobody reads */
	assert_int_equal(p.asked, 2);
	assert_int_equal(put(o, 1), -ECANCELED);
	assert_int_equal(output_close(o, true), 0);
	(void)close(read_fd);
}

static void a_reader_that_sleeps(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	readers(fds[0], fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	readers(fds[0], fds[1]);
}

static void a_slow_reader(void **state)
{
	struct patience p = {.gives_up_at = 0};
	struct output *o;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	p.read_fd = fds[0];
	o = open_pipe(fds[1], &p);
	assert_int_equal(put(o, (1 << 20) + 200000), 0);
	assert_in_range(p.asked, 1, 1000);
	assert_int_equal(output_close(o, true), 0);
	(void)close(fds[0]);
}

static void a_reader_that_goes_away(void **state)
{
	struct patience p = {.read_fd = -1};
	struct output *o;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	o = open_pipe(fds[1], &p);
	assert_int_equal(put(o, 10), 0);
	(void)close(fds[0]);
	assert_int_equal(put(o, 10), -EPIPE);
	assert_int_equal(output_close(o, true), 0);
}

static void a_device(void **state)
{
	struct patience p = {.read_fd = -1};
	struct output *o = open_pipe(open("/dev/full", O_WRONLY), &p);

	(void)state;
	assert_int_equal(put(o, 10), -ENOSPC);
	assert_int_equal(output_close(o, true), 0);
}

static void a_fifo(void **state)
{
	struct output *o;
	struct stat st;
	char byte;
	int fd;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	fd = open("fifo", O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(open_out("fifo", false, 0, &o), 0);
	assert_int_equal(output_begin(o), 0);
	assert_int_equal(put(o, 1), 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(output_close(o, false), 0);
	st = stat_of("fifo"); /* it was there before */
	assert_true(S_ISFIFO(st.st_mode));
	(void)close(fd);
}

/* ---- syncing ---- */

static void synced(void **state)
{
	struct output *o;
	struct fmt_sink sink;

	(void)state;
	assert_int_equal(open_out("f", false, 0, &o), 0);
	sink = output_sink(o);
	assert_int_equal(put(o, 10), 0);
	for (u32 i = 0; i < 100; i++)
		assert_int_equal(sink.sync(sink.ctx), 0);
	output_closing(o);
	assert_int_equal(sink.sync(sink.ctx), 0);
	assert_int_equal(output_err(o), 0);
	assert_int_equal(output_close(o, true), 0);
}

/* The kernel tells of a lost write once: nothing that comes later may hide it. */
static void an_error_of_a_sync_stays(void **state)
{
	struct syncer *s;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0); /* cannot be synced: EINVAL */
	assert_int_equal(syncer_new(fds[1], &s), 0);
	assert_int_equal(syncer_request(s), 0);
	assert_int_equal(syncer_now(s), -EINVAL);
	{
		_cleanup_close_ int fd = open("f", O_WRONLY | O_CREAT, 0600);

		assert_true(fd >= 0 && dup2(fd, fds[1]) >= 0); /* this one can */
	}
	assert_int_equal(syncer_now(s), -EINVAL);
	assert_int_equal(syncer_request(s), -EINVAL);
	assert_int_equal(syncer_err(s), -EINVAL);
	assert_null(syncer_free(s));
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_file, enter, leave),
		cmocka_unit_test_setup_teardown(refused, enter, leave),
		cmocka_unit_test_setup_teardown(replaced_only_when_it_begins, enter, leave),
		cmocka_unit_test_setup_teardown(swapped_meanwhile, enter, leave),
		cmocka_unit_test_setup_teardown(the_limit_holds, enter, leave),
		cmocka_unit_test_setup_teardown(file_size_limit_of_the_process, enter, leave),
		cmocka_unit_test_setup_teardown(reserve_is_given_back, enter, leave),
		cmocka_unit_test_setup_teardown(appended_to_standard_output, enter, leave),
		cmocka_unit_test_setup_teardown(a_reader_that_sleeps, enter, leave),
		cmocka_unit_test_setup_teardown(a_slow_reader, enter, leave),
		cmocka_unit_test_setup_teardown(a_reader_that_goes_away, enter, leave),
		cmocka_unit_test_setup_teardown(a_device, enter, leave),
		cmocka_unit_test_setup_teardown(a_fifo, enter, leave),
		cmocka_unit_test_setup_teardown(synced, enter, leave),
		cmocka_unit_test_setup_teardown(an_error_of_a_sync_stays, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
