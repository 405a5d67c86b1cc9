/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* record_cmd.h: `ascope record`. */
#pragma once

/* argv[0] is the command's name. Returns the exit code: 0 done, 1 failed, 2 usage, 3 recorded, but data was lost. */
int record_cmd(int argc, char **argv);
