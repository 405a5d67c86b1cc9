/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* utf8.c: see utf8.h. */
#include "base/utf8.h"

size_t utf8_decode(const u8 *s, size_t n, u32 *ret_cp)
{
	static const u32 least[5] = {0, 0, 0x80, 0x800, 0x10000}; /* by length: below it the form is overlong */
	u32 cp = s[0];
	size_t len;

	if (cp < 0x80) {
		*ret_cp = cp;
		return 1;
	}
	if ((cp & 0xe0) == 0xc0)
		len = 2, cp &= 0x1f;
	else if ((cp & 0xf0) == 0xe0)
		len = 3, cp &= 0x0f;
	else if ((cp & 0xf8) == 0xf0)
		len = 4, cp &= 0x07;
	else
		return 0;
	if (len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret_cp = cp;
	return len;
}

bool utf8_is_unsafe(u32 cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x61c || (cp >= 0x200e && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}
