/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_flames.h: the flame graphs of the HTML report. Called by export_html.c. */
#pragma once

#include <sqlite3.h>
#include <stdio.h>

#include "report/view.h"

/* Data blocks flame-blocking, flame-oncpu and flame-offcpu (flame_data.h), each with {"flame": data, "cut_stacks": how many were cut short} */
int html_flames_put(sqlite3 *db, const struct report_opts *o, FILE *out) __must_check;
