/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_abbrev.c: abbreviations and forms, that is, how long the entries of .debug_info are. Used by sym_scope.c.
 *
 * Not through libdw: dwarf_getattrcnt() of 0.188 miscounts attributes with DW_FORM_implicit_const, which gcc writes in version 5.
 * Invariant: a cursor never leaves its section, and first_attr + n_attrs of every abbreviation is inside attrs.
 */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "report/sym_impl.h"

#include "base/array.h"

#define CODES_MAX 65536 /* compilers number abbreviations from 1 */
#define ATTRS_MAX 128	/* of one abbreviation */

u64 sym_cursor_uint(struct sym_cursor *c, u32 bytes)
{
	u64 v = 0;

	if ((size_t)(c->end - c->p) < bytes) {
		c->is_broken = true;
		c->p = c->end;
		return 0;
	}
	for (u32 i = 0; i < bytes; i++)
		v |= (u64)c->p[i] << 8 * (c->is_big ? bytes - 1 - i : i);
	c->p += bytes;
	return v;
}

u64 sym_cursor_uleb(struct sym_cursor *c)
{
	u64 v = 0;

	for (u32 shift = 0; shift < 70 && c->p < c->end; shift += 7) {
		u8 byte = *c->p++;

		if (shift < 64)
			v |= (u64)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->is_broken = true;
	return 0;
}

void sym_cursor_skip(struct sym_cursor *c, u64 bytes)
{
	if (bytes > (u64)(c->end - c->p)) {
		c->is_broken = true;
		bytes = (u64)(c->end - c->p);
	}
	c->p += bytes;
}

/* DWARF 5, 7.5.6. */
u32 sym_form_size(const struct sym_unit *u, u32 form)
{
	switch (form) {
	case DW_FORM_flag_present:
	case DW_FORM_implicit_const:
		return 0;
	case DW_FORM_data1:
	case DW_FORM_ref1:
	case DW_FORM_flag:
	case DW_FORM_strx1:
	case DW_FORM_addrx1:
		return 1;
	case DW_FORM_data2:
	case DW_FORM_ref2:
	case DW_FORM_strx2:
	case DW_FORM_addrx2:
		return 2;
	case DW_FORM_strx3:
	case DW_FORM_addrx3:
		return 3;
	case DW_FORM_data4:
	case DW_FORM_ref4:
	case DW_FORM_ref_sup4:
	case DW_FORM_strx4:
	case DW_FORM_addrx4:
		return 4;
	case DW_FORM_data8:
	case DW_FORM_ref8:
	case DW_FORM_ref_sig8:
	case DW_FORM_ref_sup8:
		return 8;
	case DW_FORM_data16:
		return 16;
	case DW_FORM_addr:
		return u->addr_size;
	case DW_FORM_ref_addr:
		return u->version <= 2 ? u->addr_size : u->offset_size;
	case DW_FORM_strp:
	case DW_FORM_line_strp:
	case DW_FORM_strp_sup:
	case DW_FORM_sec_offset:
	case DW_FORM_GNU_ref_alt:
	case DW_FORM_GNU_strp_alt:
		return u->offset_size;
	case DW_FORM_udata:
	case DW_FORM_sdata:
	case DW_FORM_ref_udata:
	case DW_FORM_strx:
	case DW_FORM_addrx:
	case DW_FORM_loclistx:
	case DW_FORM_rnglistx:
	case DW_FORM_GNU_addr_index:
	case DW_FORM_GNU_str_index:
	case DW_FORM_string:
	case DW_FORM_block:
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_exprloc:
	case DW_FORM_indirect:
		return SYM_SIZE_VARIES;
	default:
		return SYM_SIZE_UNKNOWN;
	}
}

static void skip_string(struct sym_cursor *c)
{
	const u8 *nul = memchr(c->p, 0, (size_t)(c->end - c->p));

	if (nul)
		c->p = nul + 1;
	else
		c->is_broken = true;
}

static void skip_varying(struct sym_cursor *c, const struct sym_unit *u, u32 form)
{
	u32 size;

	switch (form) {
	case DW_FORM_string:
		skip_string(c);
		break;
	case DW_FORM_block1:
		sym_cursor_skip(c, sym_cursor_uint(c, 1));
		break;
	case DW_FORM_block2:
		sym_cursor_skip(c, sym_cursor_uint(c, 2));
		break;
	case DW_FORM_block4:
		sym_cursor_skip(c, sym_cursor_uint(c, 4));
		break;
	case DW_FORM_block:
	case DW_FORM_exprloc:
		sym_cursor_skip(c, sym_cursor_uleb(c));
		break;
	case DW_FORM_indirect:
		size = sym_form_size(u, (u32)min_u64(sym_cursor_uleb(c), UINT32_MAX));
		if (size < SYM_SIZE_UNKNOWN)
			sym_cursor_skip(c, size);
		else
			c->is_broken = true; /* no compiler hides a form of varying size behind this one */
		break;
	default:
		(void)sym_cursor_uleb(c);
	}
}

void sym_cursor_skip_form(struct sym_cursor *c, const struct sym_unit *u, u32 form)
{
	u32 size = sym_form_size(u, form);

	if (size < SYM_SIZE_UNKNOWN)
		sym_cursor_skip(c, size);
	else if (size == SYM_SIZE_VARIES)
		skip_varying(c, u, form);
	else
		c->is_broken = true;
}

static int add_attr(struct sym_abbrevs *a, u64 name, u64 form)
{
	if (ARRAY_ROOM(a->attrs, a->n_attrs, &a->cap_attrs) < 0)
		return -ENOMEM;
	/* Too large ones become one that means nothing, instead of another one. */
	a->attrs[a->n_attrs++] = (struct sym_attr){
		.name = (u16)min_u64(name, UINT16_MAX),
		.form = (u16)min_u64(form, UINT16_MAX),
	};
	return 0;
}

/* The attributes of one abbreviation. */
static int read_attrs(struct sym_abbrevs *a, struct sym_abbrev *ab, struct sym_cursor *c, const struct sym_unit *u)
{
	for (;;) {
		u64 name = sym_cursor_uleb(c), form = sym_cursor_uleb(c);
		u32 size = sym_form_size(u, (u32)min_u64(form, UINT32_MAX));
		int err;

		if (form == DW_FORM_implicit_const)
			(void)sym_cursor_uleb(c); /* signed, but as long */
		if (c->is_broken || (!name && !form))
			return 0;
		if (ab->n_attrs == ATTRS_MAX) {
			c->is_broken = true;
			return 0;
		}
		err = add_attr(a, name, form);
		if (err)
			return err;
		ab->n_attrs++;
		ab->has_code |= name == DW_AT_low_pc || name == DW_AT_ranges;
		ab->size = size >= SYM_SIZE_UNKNOWN || ab->size == SYM_SIZE_VARIES ? SYM_SIZE_VARIES : ab->size + size;
	}
}

/* DWARF 5, 7.5.3. */
int sym_abbrevs_read(struct sym_abbrevs *a, const struct sym_unit *u, const struct sym_section *abbrev)
{
	struct sym_cursor c;

	if (u->abbrev_off >= abbrev->size)
		return 0;
	c = (struct sym_cursor){.p = abbrev->data + u->abbrev_off, .end = abbrev->data + abbrev->size};
	for (;;) {
		u64 code = sym_cursor_uleb(&c), tag = sym_cursor_uleb(&c);
		struct sym_abbrev ab = {.first_attr = a->n_attrs, .tag = (u16)min_u64(tag, UINT16_MAX)};
		int err;

		ab.has_children = sym_cursor_uint(&c, 1) != 0;
		if (!code || code >= CODES_MAX || c.is_broken)
			return 0;
		err = read_attrs(a, &ab, &c, u);
		if (!err)
			err = ARRAY_ROOM(a->v, code, &a->n);
		if (err || c.is_broken)
			return err;
		if (!a->v[code].tag)
			a->v[code] = ab;
	}
}

void sym_abbrevs_release(struct sym_abbrevs *a)
{
	free(a->v);
	free(a->attrs);
	*a = (struct sym_abbrevs){0};
}
