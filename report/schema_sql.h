/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* schema_sql.h: the text of report/schema.sql, made part of the program by the Makefile. */
#pragma once

extern const char schema_sql[];
