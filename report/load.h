/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load.h: a capture file -> an empty database with the schema in it: all tables but symbols of user code and what depends on
 * them (symbolize.h, refine.h).
 */
#pragma once

#include <sqlite3.h>

#include "base/base.h"
#include "format/fmt_reader.h"
#include "report/capture_scan.h"
#include "report/load_events.h"

struct library_table;

/*
 * A part of a recording: events from `from` to `to` (ns of CLOCK_MONOTONIC) are loaded, from the blocks that overlap it, as if the
 * recording had begun and ended there. Names are all loaded; what the capture is as a whole is taken from `whole`.
 */
struct load_window {
	u64 from, to;
	const struct capture_scan *whole; /* its facts cover all events (capture_scan_quick) */
};

struct load_source {
	const char *path;		  /* of the capture, stored as given */
	u64 size;			  /* bytes */
	u64 mtime;			  /* ns of CLOCK_REALTIME */
	const struct load_window *window; /* NULL: all of it */
	enum capture_rows rows;
	const struct library_table
		*libraries; /* whose code the frames are that the capture names itself; NULL: by source files alone */
};

/* Hex of a capture's uuid into buf (33 bytes). */
void load_uuid_text(const struct fmt_file_info *info, char buf[33]);

/*
 * Creates the schema and fills it in one transaction. Damage of the capture is no failure: what is intact is loaded, tables
 * loss and capture say what is not. Progress goes to log_status(). 0 or negative errno (memory, disk, I/O).
 */
int load_capture(sqlite3 *db, struct fmt_reader *r, const struct load_source *src) __must_check;
