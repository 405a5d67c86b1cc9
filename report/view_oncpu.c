/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_oncpu.c: placeholder */
#include <errno.h>
#include "report/view.h"
int view_oncpu(sqlite3 *db, const struct report_opts *o, FILE *out){(void)db;(void)o;(void)out;return -ENOSYS;}
int view_oncpu_json(sqlite3 *db, const struct report_opts *o, FILE *out){(void)db;(void)o;(void)out;return -ENOSYS;}
