/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * utf8.h: strict UTF-8, for the places that let strangers' text out (json.c, human.c, report/html.c).
 * Overlong forms, surrogates and values above U+10FFFF are invalid, so that what passes here passes every other decoder.
 */
#pragma once

#include "base/base.h"

/*
 * Length in bytes (1..4) of the valid sequence at s[0..n), n >= 1, its code point in *ret_cp; 0 when the bytes at s are not valid
 * UTF-8 (the caller then replaces one byte and goes on behind it).
 */
size_t utf8_decode(const u8 *s, size_t n, u32 *ret_cp);

/*
 * C0, DEL, C1, and what turns the reading direction or breaks a line (Unicode 15, Bidi_Control and U+2028, U+2029): with these a
 * name could repaint the line it stands in.
 */
bool utf8_is_unsafe(u32 cp);
