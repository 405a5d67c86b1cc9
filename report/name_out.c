/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "report/name_out.h"

#include <string.h>

void name_out_put(struct name_out *o, const char *s, size_t n)
{
	n = min_u64(n, o->cap - o->n);
	memcpy(o->buf + o->n, s, n);
	o->n += n;
}

char *name_out_end(struct name_out *o)
{
	size_t lead = o->n, len;

	while (lead && o->n - lead < 3 && ((u8)o->buf[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (o->n == o->cap && lead && (u8)o->buf[lead - 1] >= 0xc0) {
		lead--;
		len = (u8)o->buf[lead] >= 0xf0 ? 4 : (u8)o->buf[lead] >= 0xe0 ? 3 : 2;
		if (lead + len > o->n)
			o->n = lead;
	}
	o->buf[o->n] = '\0';
	return o->buf;
}
