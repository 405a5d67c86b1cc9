/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * db_file.h: how a database gets its name: it is made in a temporary beside it and takes the name when it is whole. Called by capture_db.c. Nothing here
 * logs.
 */
#pragma once

#include "base/base.h"

/*
 * A new, empty file beside path that only its owner can read, after what killed processes left of such was removed. The caller frees *ret and removes the
 * file, unless it gets its name. 0 or negative errno.
 */
int db_file_create_temp(const char *path, char **ret) __must_check;

/* To the disk. 0 or negative errno. */
int db_file_sync(const char *path) __must_check;

/*
 * temp takes the name of path. Who has open what was there keeps it; one that writes names into it is waited for (DB_FILE_WAIT_MS), because its journal goes
 * by the name and would be taken for the new file's. -EBUSY: it was not done by then. 0 or negative errno; temp is there then.
 */
#define DB_FILE_WAIT_MS 120000
int db_file_replace(const char *temp, const char *path) __must_check;
