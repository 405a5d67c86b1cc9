/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fake_memory.c: see fake_memory.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "tests/unit/fake_memory.h"

static u8 *byte_at(struct fake_memory *m, u64 addr)
{
	for (u32 i = 0; i < m->n; i++)
		if (m->page[i] == addr / FAKE_PAGE)
			return &m->bytes[i][addr % FAKE_PAGE];
	return NULL;
}

void fake_map(struct fake_memory *m, u64 addr, u64 size)
{
	for (u64 p = addr / FAKE_PAGE; p <= (addr + size - 1) / FAKE_PAGE; p++) {
		if (byte_at(m, p * FAKE_PAGE))
			continue;
		assert_true(m->n < FAKE_PAGES);
		m->page[m->n] = p;
		memset(m->bytes[m->n++], 0, FAKE_PAGE);
	}
}

void fake_unmap(struct fake_memory *m, u64 addr)
{
	for (u32 i = 0; i < m->n; i++)
		if (m->page[i] == addr / FAKE_PAGE)
			m->page[i] = UINT64_MAX;
}

void fake_write(struct fake_memory *m, u64 addr, const void *p, size_t n)
{
	fake_map(m, addr, n);
	for (size_t i = 0; i < n; i++)
		*byte_at(m, addr + i) = ((const u8 *)p)[i];
}

void fake_put(struct fake_memory *m, u64 addr, u64 v)
{
	fake_write(m, addr, &v, sizeof(v));
}

void fake_put_u8(struct fake_memory *m, u64 addr, u8 v)
{
	fake_write(m, addr, &v, 1);
}

int fake_read(void *ctx, u64 addr, void *buf, size_t n)
{
	for (u64 p = addr / FAKE_PAGE; p <= (addr + n - 1) / FAKE_PAGE; p++)
		if (addr + n < addr || !byte_at(ctx, p * FAKE_PAGE))
			return -EFAULT;
	for (size_t i = 0; i < n; i++)
		((u8 *)buf)[i] = *byte_at(ctx, addr + i);
	return 0;
}
