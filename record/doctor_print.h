/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor_print.h: what doctor found, as text for people and as JSON. All names of files and threads are untrusted, and cleaned. */
#pragma once

#include <stdio.h>

#include "base/base.h"
#include "base/json.h"
#include "record/doctor_host.h"
#include "record/doctor_target.h"

void doctor_print_host(FILE *out, const struct doctor_host *h);
void doctor_print_target(FILE *out, const struct doctor_target *t);

void doctor_json_host(struct json *j, const struct doctor_host *h);
void doctor_json_target(struct json *j, const struct doctor_target *t);
