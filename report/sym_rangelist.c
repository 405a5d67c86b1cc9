/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_rangelist.c: addresses by index and lists of ranges of split units, whose parts lie in two files: DWARF 5, 2.17.3, 7.27 to
 * 7.29, and of version 4 the GNU extension "DebugFission" (gcc wiki), where .debug_addr and .debug_ranges stay in the program.
 * Used by sym_scope.c. libdw could only do this if it opened the files itself.
 */
#include <dwarf.h>
#include <errno.h>

#include "report/sym_impl.h"

#define LIST_MAX 65536 /* ranges of one list */

static struct sym_cursor cursor_at(const struct sym_section *s, u64 off)
{
	if (off >= s->size)
		return (struct sym_cursor){.is_broken = true};
	return (struct sym_cursor){.p = s->data + off, .end = s->data + s->size};
}

/* Offset of an element of a table; false when it would wrap. */
static bool table_at(u64 base, u64 index, u32 size, u64 *ret)
{
	return !__builtin_mul_overflow(index, size, ret) && !__builtin_add_overflow(*ret, base, ret);
}

bool sym_bases_addr(const struct sym_bases *b, u64 index, u64 *ret)
{
	struct sym_cursor c;
	u64 off;

	if (!table_at(b->addr_base, index, b->addr_size, &off))
		return false;
	c = cursor_at(&b->addr, off);
	*ret = sym_cursor_uint(&c, b->addr_size);
	return !c.is_broken;
}

bool sym_bases_list(const struct sym_bases *b, u64 index, u64 *ret)
{
	struct sym_cursor c;
	u64 off;

	/* The table of offsets, which count from its own start, stands behind the header. */
	if (b->version < 5 || !table_at(b->lists_base, index, b->offset_size, &off))
		return false;
	c = cursor_at(&b->lists, off);
	return !__builtin_add_overflow(sym_cursor_uint(&c, b->offset_size), b->lists_base, ret) && !c.is_broken;
}

/* .debug_ranges: pairs, an end of list, and selections of another base. */
static int walk_ranges(const struct sym_bases *b, u64 off, sym_range_fn fn, void *ctx)
{
	u64 base = b->low_pc, all_ones = b->addr_size == 8 ? UINT64_MAX : UINT32_MAX;
	struct sym_cursor c;

	if (__builtin_add_overflow(off, b->lists_base, &off))
		return 0;
	c = cursor_at(&b->lists, off);
	for (u32 i = 0; i < LIST_MAX; i++) {
		u64 lo = sym_cursor_uint(&c, b->addr_size), hi = sym_cursor_uint(&c, b->addr_size);
		int err;

		if (c.is_broken || (!lo && !hi))
			return 0;
		if (lo == all_ones) {
			base = hi;
			continue;
		}
		err = fn(ctx, base + lo, base + hi);
		if (err)
			return err;
	}
	return 0;
}

/* One entry of .debug_rnglists: 1 and a range, 0 no range, -ENODATA the end or damage. */
static int read_entry(const struct sym_bases *b, struct sym_cursor *c, u64 *base, u64 *ret_lo, u64 *ret_hi)
{
	u64 kind = sym_cursor_uint(c, 1), lo = 0, hi = 0;
	bool ok = true;

	switch (kind) {
	case DW_RLE_base_addressx:
		ok = sym_bases_addr(b, sym_cursor_uleb(c), base);
		return ok && !c->is_broken ? 0 : -ENODATA;
	case DW_RLE_base_address:
		*base = sym_cursor_uint(c, b->addr_size);
		return c->is_broken ? -ENODATA : 0;
	case DW_RLE_startx_endx:
		ok = sym_bases_addr(b, sym_cursor_uleb(c), &lo) && sym_bases_addr(b, sym_cursor_uleb(c), &hi);
		break;
	case DW_RLE_startx_length:
		ok = sym_bases_addr(b, sym_cursor_uleb(c), &lo);
		hi = lo + sym_cursor_uleb(c);
		break;
	case DW_RLE_offset_pair:
		lo = *base + sym_cursor_uleb(c);
		hi = *base + sym_cursor_uleb(c);
		break;
	case DW_RLE_start_end:
		lo = sym_cursor_uint(c, b->addr_size);
		hi = sym_cursor_uint(c, b->addr_size);
		break;
	case DW_RLE_start_length:
		lo = sym_cursor_uint(c, b->addr_size);
		hi = lo + sym_cursor_uleb(c);
		break;
	default: /* DW_RLE_end_of_list, and what is not known */
		return -ENODATA;
	}
	*ret_lo = lo;
	*ret_hi = hi;
	return ok && !c->is_broken ? 1 : -ENODATA;
}

int sym_bases_walk(const struct sym_bases *b, u64 off, sym_range_fn fn, void *ctx)
{
	u64 base = b->low_pc;
	struct sym_cursor c;

	if (b->version < 5)
		return walk_ranges(b, off, fn, ctx);
	c = cursor_at(&b->lists, off);
	for (u32 i = 0; i < LIST_MAX && !c.is_broken; i++) {
		u64 lo, hi;
		int n = read_entry(b, &c, &base, &lo, &hi);

		if (n < 0)
			return 0;
		if (n)
			n = fn(ctx, lo, hi);
		if (n)
			return n;
	}
	return 0;
}
