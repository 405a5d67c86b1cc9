/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* export_profile.c: what the formats of profiles share. */
#include "report/export.h"

int export_profile(sqlite3 *db, const struct export_opts *o, struct profile *ret)
{
	struct profile_opts p = o->profile;

	p.from_ns = o->from_ns;
	p.to_ns = o->to_ns;
	return profile_load(db, &p, ret);
}

const char *export_profile_word(const struct export_opts *o)
{
	static const char *const words[] = {
		[PROFILE_ONCPU] = "time on CPU",
		[PROFILE_OFFCPU] = "waiting",
		[PROFILE_WALL] = "time on CPU and waiting",
		[PROFILE_BLOCKING] = "time in blocking polls",
	};

	return words[o->profile.kind];
}
