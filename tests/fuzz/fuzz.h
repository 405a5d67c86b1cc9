/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz.h: libFuzzer's interface (llvm.org/docs/LibFuzzer.html), which has no header of its own in C. */
#pragma once

#include "base/base.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max_size, u32 seed);
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max_size); /* libFuzzer's, or fuzz_replay.c's */

/* Writes the captures that fuzzing starts from into a directory that exists. 0 or -errno. */
int fuzz_seeds_write(const char *dir) __must_check;
