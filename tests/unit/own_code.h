/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* own_code.h: where the code of the running test lies in its file: captures that lead into the test itself have names that are known. */
#pragma once

#include "base/base.h"

/* Offset of an address of this program in its file, bytes; fails the test when no mapping holds it. */
u64 own_file_off(const void *p);
