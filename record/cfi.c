/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cfi.c: from an .eh_frame section to rows. Called by unwind_module.c.
 *
 * The section is walked once from its start, every length checked (the vdso's has no terminator); that gives CIEs, with their initial instructions run,
 * and FDEs' ranges. FDEs are then sorted by where their code starts, each is cut off where the next begins, and their programs run in that order, so
 * that rows come out sorted and no row of one function reaches into another.
 *
 * Entries: LSB Core 5.0 section 10.6.1.
 */
#include "record/cfi.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "format/fmt_cursor.h"
#include "record/cfi_pointer.h"
#include "record/cfi_program.h"

struct cfi_fde {
	u32 start, end;	       /* pcs */
	u32 program, prog_end; /* offsets in the section; program > prog_end: malformed */
	u32 cie;
};

struct cfi_walk {
	const struct cfi_input *in;
	struct cfi_counts counts;
	struct cfi_cie *cies; /* sorted by offset, as they are found */
	struct cfi_fde *fdes;
	u32 n_cies, n_fdes;
	size_t cap_cies, cap_fdes;
	u32 last_cie, last_text;
	bool sorted;
};

/* ---- CIEs ---- */

/* The pointer to the personality routine is of no use here, but the fields behind it are. */
static void skip_personality(const struct cfi_input *in, struct fmt_cursor *c)
{
	u8 encoding = cur_u8(c, "encoding");
	u64 vaddr = in->vaddr + (u64)(c->p - in->eh_frame);

	if (encoding == CFI_ENC_OMIT)
		return;
	if (encoding == CFI_ENC_ALIGNED)
		(void)cur_bytes(c, ((0 - vaddr) & 7) + 8, "personality");
	else
		(void)cfi_read_pointer(in, c, encoding & CFI_ENC_FORMAT);
}

/* The augmentation's letters and their data. `letters` is behind the 'z'. */
static void read_letters(const struct cfi_input *in, struct fmt_cursor *data, const char *letters, struct cfi_cie *cie)
{
	for (; *letters && !data->err; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = cur_u8(data, "encoding");
			break;
		case 'L':
			(void)cur_u8(data, "encoding");
			break;
		case 'P':
			skip_personality(in, data);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* AArch64's: no data */
		case 'G':
			break;
		default: /* the size of the data lets us go on without it, as libgcc does, unless the encoding is behind it */
			if (strchr(letters, 'R'))
				cur_fail(data, -EBADMSG, "augmentation");
			return;
		}
	}
}

/* The string up to its NUL, or NULL. */
static const char *read_string(struct fmt_cursor *c)
{
	const u8 *start = c->p;
	const u8 *nul = cur_left(c) ? memchr(start, 0, cur_left(c)) : NULL;

	if (!nul) {
		cur_fail(c, -ENODATA, "augmentation");
		return NULL;
	}
	c->p = nul + 1;
	return (const char *)start;
}

/* Fills in a CIE from its version on. What is not understood leaves known or usable false. */
static void read_cie(const struct cfi_input *in, struct fmt_cursor c, struct cfi_cie *cie)
{
	u8 version = cur_u8(&c, "version");
	const char *augmentation = read_string(&c);
	struct fmt_cursor data;
	u64 ra, size;

	if (!augmentation || (version != 1 && version != 3 && version != 4))
		return;
	if (!strcmp(augmentation, "eh")) { /* gcc 2's: a pointer follows */
		(void)cur_bytes(&c, 8, "exception table");
		augmentation = "";
	}
	cie->encoding = CFI_ENC_ABSPTR;
	if (version == 4 && cur_le16(&c, "address and segment size") != 8)
		return;
	cie->code_align = cur_uvarint(&c, "code alignment");
	cie->data_align = cfi_read_sleb(&c);
	ra = version == 1 ? cur_u8(&c, "return address register") : cur_uvarint(&c, "return address register");
	cie->known = !c.err;
	if (*augmentation == 'z') {
		size = cur_uvarint(&c, "size of augmentation data");
		if (c.err || size > cur_left(&c)) {
			cie->known = false;
			return;
		}
		data = cur_init(c.p, size);
		c.p += size;
		cie->sized = true;
		read_letters(in, &data, augmentation + 1, cie);
		cie->known = !data.err;
	} else if (*augmentation) {
		return;
	}
	cie->usable = cie->known && ra == 16 && cfi_run_initial(in, c, cie);
}

static int add_cie(struct cfi_walk *w, u32 off, struct fmt_cursor c)
{
	if (ARRAY_ROOM_RAW(w->cies, w->n_cies, &w->cap_cies) < 0)
		return -ENOMEM;
	w->cies[w->n_cies] = (struct cfi_cie){.off = off};
	read_cie(w->in, c, &w->cies[w->n_cies++]);
	return 0;
}

/* Mostly the one that was asked for last. */
static const struct cfi_cie *find_cie(struct cfi_walk *w, u64 off)
{
	u32 lo = 0, hi = w->n_cies;

	if (w->last_cie < w->n_cies && w->cies[w->last_cie].off == off)
		return &w->cies[w->last_cie];
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (w->cies[mid].off < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == w->n_cies || w->cies[lo].off != off)
		return NULL;
	w->last_cie = lo;
	return &w->cies[lo];
}

/* ---- FDEs ---- */

/* Clips a range of addresses to the executable segment that it starts in. False: in none, as with functions that the linker dropped. */
static bool clip_to_text(struct cfi_walk *w, u64 start, u64 size, struct cfi_fde *fde)
{
	const struct cfi_input *in = w->in;

	for (u32 i = 0; i < in->n_text; i++) {
		const struct cfi_range *t = &in->text[(w->last_text + i) % in->n_text];
		u64 end;

		if (start < t->start || start >= t->end || start < in->base)
			continue;
		w->last_text = (u32)(t - in->text);
		end = size < t->end - start ? start + size : t->end;
		if (end - in->base > UINT32_MAX)
			return false;
		fde->start = (u32)(start - in->base);
		fde->end = (u32)(end - in->base);
		return fde->start < fde->end;
	}
	return false;
}

/* An FDE from behind its CIE pointer. */
static int add_fde(struct cfi_walk *w, u64 cie_off, struct fmt_cursor c)
{
	const struct cfi_input *in = w->in;
	const struct cfi_cie *cie = find_cie(w, cie_off);
	struct cfi_fde fde;
	u64 start, size, skip;

	if (!cie || !cie->known) {
		w->counts.bad_fdes++;
		return 0;
	}
	start = cfi_read_pointer(in, &c, cie->encoding);
	size = cfi_read_pointer(in, &c, cie->encoding & CFI_ENC_FORMAT);
	if (c.err || (s64)size < 0) {
		w->counts.bad_fdes++;
		return 0;
	}
	if (!clip_to_text(w, start, size, &fde))
		return 0;
	skip = cie->sized ? cur_uvarint(&c, "size of augmentation data") : 0;
	if (skip > cur_left(&c) || !cur_bytes(&c, skip, "augmentation data") || !cie->usable)
		cur_fail(&c, -EBADMSG, "FDE");
	fde.program = c.err ? 1 : (u32)(c.p - in->eh_frame);
	fde.prog_end = c.err ? 0 : (u32)(c.end - in->eh_frame);
	fde.cie = (u32)(cie - w->cies);
	if (ARRAY_ROOM_RAW(w->fdes, w->n_fdes, &w->cap_fdes) < 0)
		return -ENOMEM;
	w->sorted = w->sorted && (!w->n_fdes || w->fdes[w->n_fdes - 1].start <= fde.start);
	w->fdes[w->n_fdes++] = fde;
	return 0;
}

/* ---- the section ---- */

/* One entry, whose length was read: the cursor is over the rest of it. */
static int add_entry(struct cfi_walk *w, u32 off, bool is_64, struct fmt_cursor c)
{
	u64 id_off = (u64)(c.p - w->in->eh_frame), id, cie_off;
	bool is_cie;

	if (w->in->debug_frame) {
		id = is_64 ? cur_le64(&c, "CIE pointer") : cur_le32(&c, "CIE pointer");
		is_cie = id == (is_64 ? UINT64_MAX : UINT32_MAX);
		cie_off = id;
	} else { /* distance back from here, of four bytes in the 64-bit format too */
		id = cur_le32(&c, "CIE pointer");
		is_cie = !id;
		cie_off = id_off - id; /* out of the section if negative: no CIE is there */
	}
	if (c.err) {
		w->counts.bad_fdes++;
		return 0;
	}
	return is_cie ? add_cie(w, off, c) : add_fde(w, cie_off, c);
}

/*
 * Walks all entries. A length of 0 is a terminator, of which there may be several where a linker joined sections without looking into them; how far the
 * section reaches is the caller's to know.
 */
static int walk_section(struct cfi_walk *w)
{
	const struct cfi_input *in = w->in;
	struct fmt_cursor c = cur_init(in->eh_frame, in->size < UINT32_MAX ? in->size : UINT32_MAX);
	int err = 0;

	while (cur_left(&c) && !err) {
		u32 off = (u32)(c.p - in->eh_frame);
		u64 length = cur_le32(&c, "length");

		bool is_64 = length == 0xffffffff;

		if (is_64)
			length = cur_le64(&c, "length");
		if (c.err || length > cur_left(&c)) {
			w->counts.cut = true;
			return 0;
		}
		if (!length)
			continue;
		err = add_entry(w, off, is_64, cur_init(c.p, length));
		c.p += length;
	}
	return err;
}

/* ---- rows ---- */

static int by_start(const void *a, const void *b)
{
	const struct cfi_fde *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->program > y->program) - (x->program < y->program); /* qsort is not stable, but the result must be */
}

static int put_fde(struct cfi_walk *w, const struct cfi_fde *fde, u32 end, struct cfi_rows *out, u32 first)
{
	struct fmt_cursor c;
	int ret;

	if (fde->program > fde->prog_end) {
		w->counts.bad_fdes++;
		return cfi_rows_put(out, first, fde->start, uw_rule(UW_BAD, 0, 0));
	}
	c = cur_init(w->in->eh_frame + fde->program, fde->prog_end - fde->program);
	ret = cfi_run_fde(w->in, c, &w->cies[fde->cie], fde->start, end, out, first, &w->counts.bad_rules);
	w->counts.bad_fdes += ret == 1;
	w->counts.fdes += ret == 0;
	return ret < 0 ? ret : 0;
}

/* Where FDEs overlap, the one that starts last has the rest. */
static int put_rows(struct cfi_walk *w, struct cfi_rows *out)
{
	u32 first = out->n, covered = 0; /* pc where the FDE before ends */
	int err = 0;

	if (!w->sorted)
		qsort(w->fdes, w->n_fdes, sizeof(*w->fdes), by_start);
	for (u32 i = 0; i < w->n_fdes && !err; i++) {
		const struct cfi_fde *fde = &w->fdes[i];
		u32 end = fde->end;

		if (i + 1 < w->n_fdes && w->fdes[i + 1].start < end)
			end = w->fdes[i + 1].start;
		if (fde->start == end)
			continue;
		if (covered < fde->start && out->n > first)
			err = cfi_rows_put(out, first, covered, uw_rule(UW_END, 0, 0));
		if (!err)
			err = put_fde(w, fde, end, out, first);
		covered = end;
	}
	if (!err && out->n > first)
		err = cfi_rows_put(out, first, covered, uw_rule(UW_END, 0, 0));
	return err;
}

int cfi_compile(const struct cfi_input *in, struct cfi_rows *out, struct cfi_counts *counts)
{
	struct cfi_walk w = {.in = in, .sorted = true};
	u32 before = out->n;
	int err = walk_section(&w);

	if (!err)
		err = put_rows(&w, out);
	free(w.cies);
	free(w.fdes);
	if (err)
		out->n = before;
	else
		*counts = w.counts;
	return err;
}
