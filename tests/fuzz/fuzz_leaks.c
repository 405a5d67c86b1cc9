/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_leaks.c: leaks that are none of what is searched. libFuzzer watches its memory in a thread; glibc gets memory for a moment when the sanitizer asks where the
 * stack of a new thread is (pthread_getattr_np). A search for leaks in that moment, seen once on a busy machine, takes it for lost.
 */
#include "base/base.h"

const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:pthread_attr_setaffinity_np\nleak:__pthread_attr_extension\n";
}
