/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* doctor_cmd.h: `ascope doctor`; argv[0] is its name, returns the exit code. */
#pragma once

int doctor_cmd(int argc, char **argv);
