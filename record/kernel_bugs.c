/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kernel_bugs.c: see kernel_bugs.h. The one place that asks for a kernel's version: a lock-up cannot be probed for. */
#include "record/kernel_bugs.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/buf.h"
#include "base/fdio.h"

struct upstream {
	u32 major, minor, patch;
};

static bool parse(const char *text, struct upstream *ret)
{
	struct upstream v = {0};
	int n = sscanf(text, "%u.%u.%u", &v.major, &v.minor, &v.patch);

	if (n < 2)
		return false;
	*ret = v;
	return true;
}

/*
 * "6.1.0-37-amd64" is Debian's name for an ABI, its upstream version stands in `version` behind "Debian"; "6.2.0-39-generic" is Ubuntu's, and its upstream version
 * is the last word of the signature ("Ubuntu 6.2.0-39.40-generic 6.2.16").
 */
static bool upstream_of(const struct kernel_names *k, struct upstream *ret)
{
	const char *debian = strstr(k->version, "Debian ");
	const char *last = strrchr(k->signature, ' ');

	if (debian && parse(debian + strlen("Debian "), ret))
		return true;
	if (last && parse(last + 1, ret))
		return true;
	return parse(k->release, ret);
}

static bool before(const struct upstream *v, u32 major, u32 minor, u32 patch)
{
	if (v->major != major)
		return v->major < major;
	return v->minor != minor ? v->minor < minor : v->patch < patch;
}

static bool is_series(const struct upstream *v, u32 major, u32 minor)
{
	return v->major == major && v->minor == minor;
}

bool kernel_bugs_usercopy_deadlock(const struct kernel_names *k)
{
	struct upstream v;

	if (strstr(k->config, "# CONFIG_HARDENED_USERCOPY is not set"))
		return false;
	if (!upstream_of(k, &v) || before(&v, 5, 19, 0) || !before(&v, 6, 4, 0))
		return false;
	if (is_series(&v, 6, 1))
		return before(&v, 6, 1, 36);
	if (is_series(&v, 6, 3))
		return before(&v, 6, 3, 10);
	return true;
}

bool kernel_bugs_here(void)
{
	_cleanup_buf_ struct buf config = BUF_INIT, signature = BUF_INIT;
	char path[256];
	struct utsname u;
	struct kernel_names k;

	if (uname(&u) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/boot/config-%s", u.release);
	(void)!file_read_all(path, &config, (size_t)4 << 20); /* without it the kernel counts as hardened */
	(void)!file_read_all("/proc/version_signature", &signature, 4096);
	if (signature.len && signature.data[signature.len - 1] == '\n')
		signature.data[signature.len - 1] = 0;
	k = (struct kernel_names){
		.release = u.release,
		.version = u.version,
		.signature = signature.len ? (const char *)signature.data : "",
		.config = config.len ? (const char *)config.data : "",
	};
	return kernel_bugs_usercopy_deadlock(&k);
}
