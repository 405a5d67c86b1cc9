/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_scope.c: one pass over the entries of a compilation unit that notes every function and inlined call with code. Used by
 * sym_dwarf.c.
 *
 * Why not libdw's dwarf_child() and dwarf_siblingof(): without DW_AT_sibling (LLVM writes none) each step over an entry walks all
 * that is below it, so a whole unit costs depth times size. Here an entry whose attributes have fixed sizes costs one addition.
 * Indexed addresses and range lists still come from libdw.
 *
 * Invariant: the cursor never leaves the unit; a scope's parent has a smaller index than the scope.
 */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "report/sym_impl.h"

#include "base/array.h"

#define DEPTH_MAX      1024
#define SCOPES_MAX     (16U << 20)
#define DIE_RANGES_MAX 65536

struct scan {
	struct sym_scopes *out;
	const struct sym_elf *elf;
	const struct sym_unit *unit;
	const u8 *base; /* start of .debug_info */
	struct sym_cursor c;
	struct sym_abbrevs abbrevs;
	u32 parents[DEPTH_MAX]; /* scope around the entries at this depth, or SYM_NO_OWNER */
	u32 depth;
};

/* What an entry says about its code; simple = low and high are known without libdw. */
struct pc_attrs {
	u64 low, high;
	bool has_low, has_high, high_is_size;
	bool is_simple;
	u64 list; /* of a split unit: where its ranges are */
	bool has_list;
};

static void take_high_pc(struct scan *s, struct pc_attrs *pc, u32 form)
{
	u32 size = sym_form_size(s->unit, form);

	pc->has_high = true;
	switch (form) {
	case DW_FORM_addr:
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
		pc->high = sym_cursor_uint(&s->c, size);
		pc->high_is_size = form != DW_FORM_addr;
		break;
	case DW_FORM_udata:
		pc->high = sym_cursor_uleb(&s->c);
		pc->high_is_size = true;
		break;
	default:
		pc->is_simple = false;
		sym_cursor_skip_form(&s->c, s->unit, form);
	}
}

static bool is_index(u32 form)
{
	return form == DW_FORM_addrx || form == DW_FORM_GNU_addr_index || (form >= DW_FORM_addrx1 && form <= DW_FORM_addrx4);
}

static u64 take_index(struct scan *s, u32 form)
{
	u32 size = sym_form_size(s->unit, form);

	return size < SYM_SIZE_UNKNOWN ? sym_cursor_uint(&s->c, size) : sym_cursor_uleb(&s->c);
}

/* DW_AT_low_pc or DW_AT_ranges of a split unit, which lead into the program's sections. */
static void take_split_pc(struct scan *s, struct pc_attrs *pc, const struct sym_attr *at)
{
	const struct sym_bases *b = &s->unit->bases;

	if (at->name == DW_AT_low_pc && is_index(at->form)) {
		pc->has_low = sym_bases_addr(b, take_index(s, at->form), &pc->low);
	} else if (at->name == DW_AT_ranges && at->form == DW_FORM_rnglistx) {
		pc->has_list = sym_bases_list(b, sym_cursor_uleb(&s->c), &pc->list);
	} else if (at->name == DW_AT_ranges && (at->form == DW_FORM_sec_offset || at->form == DW_FORM_data4)) {
		pc->list = sym_cursor_uint(&s->c, sym_form_size(s->unit, at->form));
		pc->has_list = true;
	} else {
		sym_cursor_skip_form(&s->c, s->unit, at->form);
	}
}

static void take_pc_attrs(struct scan *s, const struct sym_abbrev *a, struct pc_attrs *pc)
{
	*pc = (struct pc_attrs){.is_simple = true};
	for (u32 i = 0; i < a->n_attrs && !s->c.is_broken; i++) {
		const struct sym_attr *at = &s->abbrevs.attrs[a->first_attr + i];

		if (s->unit->split && (at->name == DW_AT_low_pc || at->name == DW_AT_ranges)) {
			take_split_pc(s, pc, at);
		} else if (at->name == DW_AT_low_pc && at->form == DW_FORM_addr) {
			pc->low = sym_cursor_uint(&s->c, s->unit->addr_size);
			pc->has_low = true;
		} else if (at->name == DW_AT_high_pc) {
			take_high_pc(s, pc, at->form);
		} else {
			if (at->name == DW_AT_low_pc || at->name == DW_AT_ranges)
				pc->is_simple = false;
			sym_cursor_skip_form(&s->c, s->unit, at->form);
		}
	}
}

static int add_code(const struct sym_elf *e, struct sym_ranges *r, u64 lo, u64 hi, u32 owner)
{
	u64 end = sym_elf_exec_end(e, lo);

	/* Removed functions sit at 0 or 1, which a segment may hold (the ELF header), but code never does. */
	if (lo <= 1 || !end)
		return 0;
	return sym_ranges_add(r, lo, min_u64(hi, end), owner);
}

int sym_die_ranges(const struct sym_elf *e, Dwarf_Die *die, struct sym_ranges *r, u32 owner)
{
	Dwarf_Addr base, lo, hi;
	ptrdiff_t at = 0;

	for (u32 i = 0; i < DIE_RANGES_MAX; i++) {
		int err;

		at = dwarf_ranges(die, at, &base, &lo, &hi);
		if (at <= 0)
			return 0;
		err = add_code(e, r, lo, hi, owner);
		if (err)
			return err;
	}
	return 0;
}

struct list_ctx {
	struct scan *s;
	u32 owner;
};

static int add_list_range(void *ctx, u64 lo, u64 hi)
{
	const struct list_ctx *l = ctx;

	return add_code(l->s->elf, &l->s->out->ranges, lo, hi, l->owner);
}

static int add_scope_ranges(struct scan *s, const struct pc_attrs *pc, u32 owner)
{
	Dwarf_Die die;

	if (pc->has_list)
		return sym_bases_walk(&s->unit->bases, pc->list, add_list_range, &(struct list_ctx){s, owner});
	if (pc->is_simple && pc->has_low) {
		u64 high = pc->high_is_size ? pc->low + min_u64(pc->high, UINT64_MAX - pc->low) : pc->high;

		return pc->has_high ? add_code(s->elf, &s->out->ranges, pc->low, high, owner) : 0;
	}
	if (s->unit->split)
		return 0;
	if (!dwarf_offdie(dwarf_cu_getdwarf(s->unit->die.cu), s->out->v[owner].die_off, &die))
		return 0;
	return sym_die_ranges(s->elf, &die, &s->out->ranges, owner);
}

static int add_scope(struct scan *s, u64 die_off, u32 parent)
{
	struct sym_scopes *o = s->out;

	if (o->n >= SCOPES_MAX)
		return -EFBIG;
	if (ARRAY_ROOM_RAW(o->v, o->n, &o->cap) < 0)
		return -ENOMEM;
	o->v[o->n++] = (struct sym_scope){.die_off = die_off, .parent = parent};
	return 0;
}

/* One entry behind its abbreviation code; *inner becomes the scope around its children. */
static int scan_entry(struct scan *s, const struct sym_abbrev *a, u64 die_off, u32 *inner)
{
	bool is_function = a->tag == DW_TAG_subprogram;
	struct pc_attrs pc;
	int err;

	/* Calls inlined into a function without code (its abstract form) have no code either. */
	if (is_function && !a->has_code)
		*inner = SYM_NO_OWNER;
	if ((!is_function && a->tag != DW_TAG_inlined_subroutine) || (is_function && !a->has_code) ||
	    (!is_function && *inner == SYM_NO_OWNER)) {
		if (a->size != SYM_SIZE_VARIES) {
			sym_cursor_skip(&s->c, a->size);
			return 0;
		}
		for (u32 i = 0; i < a->n_attrs && !s->c.is_broken; i++)
			sym_cursor_skip_form(&s->c, s->unit, s->abbrevs.attrs[a->first_attr + i].form);
		return 0;
	}
	take_pc_attrs(s, a, &pc);
	if (s->c.is_broken)
		return 0;
	err = add_scope(s, die_off, is_function ? SYM_NO_OWNER : *inner);
	if (err)
		return err;
	*inner = s->out->n - 1;
	return a->has_code ? add_scope_ranges(s, &pc, *inner) : 0;
}

static int scan_entries(struct scan *s)
{
	s->parents[0] = SYM_NO_OWNER;
	while (s->c.p < s->c.end && !s->c.is_broken) {
		u64 die_off = (u64)(s->c.p - s->base);
		u64 code = sym_cursor_uleb(&s->c);
		const struct sym_abbrev *a;
		u32 inner;
		int err;

		if (!code) {
			if (!s->depth || !--s->depth)
				return 0;
			continue;
		}
		a = code < s->abbrevs.n ? &s->abbrevs.v[code] : NULL;
		if (!a || !a->tag)
			return 0;
		inner = s->parents[s->depth];
		err = scan_entry(s, a, die_off, &inner);
		if (err)
			return err;
		if (!a->has_children)
			continue;
		if (++s->depth == DEPTH_MAX)
			return 0;
		s->parents[s->depth] = inner;
	}
	return 0;
}

int sym_scopes_scan(struct sym_scopes *out, const struct sym_elf *e, const struct sym_unit *u, const struct sym_sections *from)
{
	struct scan s = {.out = out, .elf = e, .unit = u, .base = from->info.data};
	int err;

	if (u->die_off >= u->end_off || u->end_off > from->info.size)
		return 0;
	s.c = (struct sym_cursor){.p = s.base + u->die_off, .end = s.base + u->end_off, .is_big = e->is_big};
	err = sym_abbrevs_read(&s.abbrevs, u, &from->abbrev);
	if (!err)
		err = scan_entries(&s);
	sym_abbrevs_release(&s.abbrevs);
	if (err == -EFBIG)
		err = 0;
	return err ? err : sym_ranges_flatten(&out->ranges);
}

void sym_scopes_release(struct sym_scopes *s)
{
	free(s->v);
	sym_ranges_release(&s->ranges);
	*s = (struct sym_scopes){0};
}
