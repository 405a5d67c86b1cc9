/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_kernel_bugs.c: which kernels count as able to lock up, by the names that distributions give theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include "record/kernel_bugs.h"

#define HARDENED "CONFIG_SLUB=y\nCONFIG_HARDENED_USERCOPY=y\n"
#define PLAIN	 "CONFIG_SLUB=y\n# CONFIG_HARDENED_USERCOPY is not set\n"

struct kernel_case {
	const char *release, *version, *signature, *config;
	bool affected;
};

static const struct kernel_case cases[] = {
	/* upstream: the first bad one and the first good one of each series */
	{"5.15.120", "#1 SMP", "", HARDENED, false},
	{"5.18.19", "#1 SMP", "", HARDENED, false},
	{"5.19.0", "#1 SMP", "", HARDENED, true},
	{"6.0.19", "#1 SMP", "", HARDENED, true},
	{"6.1.35", "#1 SMP", "", HARDENED, true},
	{"6.1.36", "#1 SMP", "", HARDENED, false},
	{"6.2.16", "#1 SMP", "", HARDENED, true},
	{"6.3.9", "#1 SMP", "", HARDENED, true},
	{"6.3.10", "#1 SMP", "", HARDENED, false},
	{"6.4.0", "#1 SMP", "", HARDENED, false},
	{"6.18.44-fc-v657", "#1 SMP PREEMPT_DYNAMIC @0", "", "", false},
	{"7.0.1", "#1 SMP", "", HARDENED, false},
	/* without the check there is nothing to go wrong; without a configuration at hand it counts as there */
	{"6.1.25", "#1 SMP", "", PLAIN, false},
	{"6.1.25-37.47.amzn2023.x86_64", "#1 SMP", "", "", true},
	/* Debian: the release names an ABI */
	{"6.1.0-7-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.20-1 (2023-03-19)", "", HARDENED, true},
	{"6.1.0-10-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.38-1 (2023-07-14)", "", HARDENED, false},
	{"6.1.0-56-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-1 (2026-01-01)", "", HARDENED, false},
	/* Ubuntu: so it does there */
	{"6.2.0-39-generic", "#40~22.04.1-Ubuntu SMP", "Ubuntu 6.2.0-39.40~22.04.1-generic 6.2.16", HARDENED, true},
	{"6.5.0-14-generic", "#14-Ubuntu SMP", "Ubuntu 6.5.0-14.14-generic 6.5.3", HARDENED, false},
	/* Red Hat: an older kernel's name, with its own backports */
	{"5.14.0-427.el9.x86_64", "#1 SMP", "", HARDENED, false},
	/* not understood: no alarm */
	{"strange", "", "", HARDENED, false},
};

static void every_kernel(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kernel_names k = {cases[i].release, cases[i].version, cases[i].signature, cases[i].config};
		bool affected = kernel_bugs_usercopy_deadlock(&k);

		if (affected != cases[i].affected)
			print_error("%s (%s)\n", cases[i].release, cases[i].version);
		assert_int_equal(affected, cases[i].affected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_kernel)};

	return cmocka_run_group_tests_name("kernel_bugs", tests, NULL, NULL);
}
