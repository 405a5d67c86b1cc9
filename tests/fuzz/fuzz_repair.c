/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_repair.c: any bytes as a capture that `ascope check --repair` is given. What is written is sound but for what was wrong inside intact blocks, which is
 * passed on; it holds no fewer records than were intact; and a repair of it is sound, too. fuzz_reader.c's mutator and seeds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "report/repair.h"
#include "tests/fuzz/fuzz.h"

/* A broken promise of repair.h. */
#define MUST(cond)                                                                                                               \
	do {                                                                                                                     \
		if (!(cond))                                                                                                     \
			__builtin_trap();                                                                                        \
	} while (0)

static int check_path(const char *path, struct check *ret)
{
	struct fmt_reader *r = NULL;
	struct fmt_diag diag;
	int err = fmt_reader_open(path, &r, &diag);

	memset(ret, 0, sizeof(*ret));
	if (err)
		return err;
	err = check_run(ret, r, NULL, NULL, NULL);
	fmt_reader_close(r);
	return err;
}

/* Repairs `in` and checks what came out of it into *ret. */
static void repair_and_check(const char *in, const struct check *found, const char *out, struct check *ret)
{
	struct repair_result result;
	struct stat st;

	MUST(repair_file(in, found, out, true, &result) == 0);
	MUST(stat(out, &st) == 0 && (st.st_mode & 0777) == 0600 && (u64)st.st_size == result.bytes);
	MUST(check_path(out, ret) == 0);
	MUST(ret->health.closed_cleanly && !ret->health.first_damage.what[0]);
	MUST(ret->records >= found->records && ret->events >= found->events);
	if (found->n_faults + found->n_faults_untold == found->footer_faults)
		MUST(check_is_sound(ret));
}

/* Where all executions write: to make a directory for each would be a tenth of the time. */
struct place {
	bool is_there;
	char dir[32], out[40], out2[40];
	off_t empty_size; /* of the directory: on tmpfs it grows with what is in it */
};

static struct place place;

static void place_remove(void)
{
	(void)rmdir(place.dir);
}

static void place_make(void)
{
	struct stat st;

	if (place.is_there)
		return;
	(void)snprintf(place.dir, sizeof(place.dir), "/dev/shm/fuzz-repair-XXXXXX");
	MUST(mkdtemp(place.dir) && stat(place.dir, &st) == 0);
	(void)snprintf(place.out, sizeof(place.out), "%s/out", place.dir);
	(void)snprintf(place.out2, sizeof(place.out2), "%s/out2", place.dir);
	place.empty_size = st.st_size;
	place.is_there = true;
	MUST(atexit(place_remove) == 0);
}

static void place_clean(void)
{
	struct stat st;

	MUST(unlink(place.out) == 0 && unlink(place.out2) == 0);
	MUST(stat(place.dir, &st) == 0 && st.st_size == place.empty_size); /* nothing else is in it */
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	_cleanup_close_ int fd = memfd_create("fuzz_repair", MFD_CLOEXEC);
	static struct check found, again, thrice; /* large */
	char path[64];

	MUST(fd >= 0 && fd_write_full(fd, data, size) == 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (check_path(path, &found) == 0) {
		place_make();
		repair_and_check(path, &found, place.out, &again);
		repair_and_check(place.out, &again, place.out2, &thrice);
		MUST(thrice.records >= again.records && thrice.events == again.events);
		check_release(&again);
		check_release(&thrice);
		place_clean();
	}
	check_release(&found);
	return 0;
}
