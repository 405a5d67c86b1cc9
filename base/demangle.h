/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* demangle.h: linker names to readable ones: for the reports, and for record, which looks for functions that the user names. */
#pragma once

#include "base/base.h"

/*
 * "_ZN..." or "_R..." to readable text, hash suffix (::h0123456789abcdef) and `.llvm.N` removed; other names are copied.
 * malloc'ed; NULL on ENOMEM.
 */
char *demangle_name(const char *mangled);
