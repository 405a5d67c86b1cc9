/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cmds.h: the commands that read captures. argv[0] is the command's name; each returns the exit code: 0 done, 1 failed, 2 usage, 3 done, but data was lost or
 * damaged.
 */
#pragma once

int report_cmd(int argc, char **argv);
int query_cmd(int argc, char **argv);
int export_cmd(int argc, char **argv);
int info_cmd(int argc, char **argv);
int check_cmd(int argc, char **argv);
int dump_cmd(int argc, char **argv);
int bundle_cmd(int argc, char **argv);
