/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_cgroup.c: the kernel's texts about cgroups, as recorded on hosts of each kind, and as somebody hostile would name a cgroup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "record/cgroup.h"

/* A VM with v1 controllers, each mounted by itself, and v2 beside them without any (Linux 6.18). */
static const char hybrid[] = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
			     "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
			     "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
			     "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
			     "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
			     "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
static const char hybrid_process[] =
	"9:name=systemd:/\n4:memory:/process_api/bdd0\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/web/a b\n0::/\n";

/* systemd and cgroup v2 (Debian 12). */
static const char unified[] =
	"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
	"30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

/* A container of Docker on v1: it sees its own part of each hierarchy, which is mounted read-only. */
static const char container[] =
	"823 822 0:62 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755\n"
	"825 823 0:29 /docker/5f /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime master:16 - cgroup cgroup rw,cpu,cpuacct\n";

static void expect_path(const char *text, const char *want, bool want_v1)
{
	char path[64] = "";
	bool v1 = !want_v1;

	assert_int_equal(cgroup_path_of(text, path, sizeof(path), &v1), 0);
	assert_string_equal(path, want);
	assert_int_equal(v1, want_v1);
}

static void path_of_a_process(void **state)
{
	char path[8];

	(void)state;
	expect_path(hybrid_process, "/web/a b", true);
	expect_path("0::/system.slice/orders.service\n", "/system.slice/orders.service", false);
	expect_path("0::/", "/", false);
	expect_path("4:cpuacct,cpu:/x\n0::/y\n", "/x", true);
	expect_path("0::/y\n4:cpu,cpuacct:/x\n", "/x", true);
	expect_path("3:cpuset:/wrong\n2:cpuacct:/wrong\n0::/gone (deleted)\n", "/gone", false);
	expect_path("0::/../../outside\n", "/../../outside", false);
	expect_path("0::/a:b::c\n", "/a:b::c", false);
	expect_path("1:name=cpu:/wrong\n0::/y\n", "/y", false);
	assert_int_equal(cgroup_path_of("", path, sizeof(path), NULL), -ENOENT);
	assert_int_equal(cgroup_path_of("\n:\n::\n0:\n0::\n0::x\n7:cpuset:/a\n10::/b\n", path, sizeof(path), NULL), -ENOENT);
	assert_int_equal(cgroup_path_of("0::/1234567\n", path, sizeof(path), NULL), -ENAMETOOLONG);
	assert_int_equal(cgroup_path_of("0::/123456\n", path, sizeof(path), NULL), 0);
}

static void path_of_this_process(void **state)
{
	char path[4096];
	int err = cgroup_of_process(NULL, (u32)getpid(), path, sizeof(path));

	(void)state;
	if (err == -ENOENT) /* a kernel without cgroups, or without any hierarchy for this process */
		skip();
	assert_int_equal(err, 0);
	assert_int_equal(path[0], '/');
	assert_int_equal(cgroup_of_process(NULL, INT32_MAX, path, sizeof(path)), -ESRCH);
}

static const struct cgroup_mounts *mounts_of(const char *text, struct cgroup_mounts *m)
{
	cgroup_mounts_parse(text, m);
	return m;
}

static void mounts(void **state)
{
	static struct cgroup_mounts parsed;
	const struct cgroup_mounts *m = mounts_of(hybrid, &parsed);

	(void)state;
	assert_string_equal(m->v1.point, "/sys/fs/cgroup/cpu");
	assert_string_equal(m->v1.root, "/");
	assert_string_equal(m->v2.point, "/sys/fs/cgroup/unified");
	m = mounts_of(unified, &parsed);
	assert_string_equal(m->v1.point, "");
	assert_string_equal(m->v2.point, "/sys/fs/cgroup");
	m = mounts_of(container, &parsed);
	assert_string_equal(m->v1.point, "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(m->v1.root, "/docker/5f");
	m = mounts_of("1 2 3:4 /part /one rw - cgroup2 none rw\n1 2 3:4 / /all\\040of\\011it\\134\\x rw - cgroup2 none rw\n"
		      "1 2 3:4 / /late rw - cgroup2 none rw\n",
		      &parsed);
	assert_string_equal(m->v2.point, "/all of\tit\\\\x");
	m = mounts_of("\n1\n1 2 3:4 /\n1 2 3:4 / /x rw\n1 2 3:4 / /x rw -\n1 2 3:4 / /x rw - cgroup none\n- - - - - - cgroup2\n",
		      &parsed);
	assert_string_equal(m->v1.point, "");
}

static void expect_stat(const struct cgroup_mount *m, const char *cgroup, const char *want)
{
	char path[64] = "";

	assert_int_equal(cgroup_stat_path(m, cgroup, path, sizeof(path)), want ? 0 : -ENOENT);
	assert_string_equal(path, want ? want : "");
}

static void files(void **state)
{
	static struct cgroup_mounts on_hybrid, in_container;
	const struct cgroup_mounts *h = mounts_of(hybrid, &on_hybrid), *c = mounts_of(container, &in_container);
	char path[32];

	(void)state;
	expect_stat(&h->v1, "/", "/sys/fs/cgroup/cpu/cpu.stat");
	expect_stat(&h->v1, "/web/a b", "/sys/fs/cgroup/cpu/web/a b/cpu.stat");
	expect_stat(&h->v1, "/../outside", NULL);
	expect_stat(&h->v1, "/..", NULL);
	expect_stat(&h->v1, "/..x", "/sys/fs/cgroup/cpu/..x/cpu.stat");
	expect_stat(&h->v1, "", NULL);
	expect_stat(&c->v1, "/docker/5f", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat");
	expect_stat(&c->v1, "/docker/5f/job", "/sys/fs/cgroup/cpu,cpuacct/job/cpu.stat");
	expect_stat(&c->v1, "/docker/5fe", NULL);
	expect_stat(&c->v1, "/docker", NULL);
	expect_stat(&c->v2, "/", NULL); /* not mounted */
	assert_int_equal(cgroup_stat_path(&h->v1, "/webs", path, sizeof(path)), -ENAMETOOLONG);
}

static void parents(void **state)
{
	char path[] = "/a/b.slice/c";

	(void)state;
	assert_true(cgroup_to_parent(path));
	assert_string_equal(path, "/a/b.slice");
	assert_true(cgroup_to_parent(path));
	assert_string_equal(path, "/a");
	assert_true(cgroup_to_parent(path));
	assert_string_equal(path, "/");
	assert_false(cgroup_to_parent(path));
	assert_string_equal(path, "/");
	*path = 0;
	assert_false(cgroup_to_parent(path));
}

static void counts(void **state)
{
	struct cgroup_counts c = {7, 7};

	(void)state;
	assert_int_equal(
		cgroup_counts_parse("nr_periods 41\nnr_throttled 40\nthrottled_time 3490076914\nnr_bursts 0\nburst_time 0\n", &c),
		0);
	assert_int_equal(c.periods, 40);
	assert_int_equal(c.throttled_ns, 3490076914);
	assert_int_equal(
		cgroup_counts_parse("usage_usec 812345\nuser_usec 800000\nsystem_usec 12345\nnr_periods 10\nnr_throttled 9\n"
				    "throttled_usec 720001\nnr_bursts 0\nburst_usec 0\n",
				    &c),
		0);
	assert_int_equal(c.periods, 9);
	assert_int_equal(c.throttled_ns, 720001000);
	assert_int_equal(cgroup_counts_parse("nr_throttled 3\n", &c), 0);
	assert_int_equal(c.throttled_ns, 0);
	assert_int_equal(cgroup_counts_parse("nr_throttled 3\nthrottled_usec 18446744073709551615\n", &c), 0);
	assert_int_equal(c.throttled_ns, 0);
	assert_int_equal(cgroup_counts_parse("usage_usec 1\nuser_usec 1\nsystem_usec 0\n", &c), -ENOENT); /* no cpu controller */
	assert_int_equal(cgroup_counts_parse("", &c), -ENOENT);
	assert_int_equal(cgroup_counts_parse("nr_throttled\nnr_throttled -1\nnr_throttled 1x\n", &c), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_of_a_process),
		cmocka_unit_test(path_of_this_process),
		cmocka_unit_test(mounts),
		cmocka_unit_test(files),
		cmocka_unit_test(parents),
		cmocka_unit_test(counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
