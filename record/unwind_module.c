/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_module.c: from an ELF file to an unwind table. Called by the catalog, through the privileged helper for files that only it may open.
 *
 * Only headers, the sections with call frame information and, in the few cases that unwind_extra.c names, code are read, into memory of ours; whatever the
 * file says of sizes, no more is read than it has bytes.
 */
#include "record/unwind_module.h"

#include <errno.h>
#include <string.h>

#include "format/fmt_cursor.h"
#include "record/cfi_pointer.h"
#include "record/elf_view.h"
#include "record/unwind_extra.h"

enum {
	PAGE = 4096,
	HDR_FIXED = 4,	  /* bytes of .eh_frame_hdr in front of its first pointer */
	HDR_BYTES = 24,	  /* of which the table begins at 12 with the encodings that all linkers use */
	ENC_DATA4 = 0x3b, /* datarel sdata4 */
	MAX_TABLE = 64 << 20,
	/* .eh_frame has 3.79 to 8.1 bytes per row in each of the 1,260 ELF files of a Debian 12 with developer tools that have more than 10,000 rows */
	QUARTER_BYTES_PER_ROW = 15,
	EXTRA_ROWS = 64,	/* PLT stubs and the like */
	MAX_ESTIMATE = 1 << 26, /* as many as a table may have */
	ROWS_PER_BLOCK = 2,	/* an index entry is as large as a row */
};

static u64 page_floor(u64 v)
{
	return v & ~(u64)(PAGE - 1);
}

static u64 page_ceil(u64 v)
{
	return page_floor(v + PAGE - 1);
}

/* ---- segments ---- */

static enum unwind_module_status read_segments(const struct elf_view *v, struct unwind_module *m)
{
	u64 lowest = UINT64_MAX, end = 0;

	for (u32 i = 0; i < v->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &v->ph[i];

		if (p->p_type != PT_LOAD)
			continue;
		lowest = min_u64(lowest, p->p_vaddr);
		if (!(p->p_flags & PF_X) || !p->p_filesz)
			continue;
		if (m->n_segments == UNWIND_MAX_SEGMENTS)
			return UNWIND_MODULE_MALFORMED;
		m->segments[m->n_segments++] = (struct unwind_segment){p->p_vaddr, p->p_offset, p->p_filesz};
		end = max_u64(end, p->p_vaddr + p->p_filesz);
	}
	if (lowest == UINT64_MAX)
		return UNWIND_MODULE_MALFORMED;
	m->base = page_floor(lowest);
	if (!end)
		return UNWIND_MODULE_NO_EH_FRAME; /* data only */
	end = page_ceil(end);
	if (end - m->base > UINT32_MAX)
		return UNWIND_MODULE_TOO_LARGE;
	m->span = (u32)(end - m->base);
	return UNWIND_MODULE_OK;
}

/* ---- where .eh_frame is, and how long ---- */

struct eh_frame_hdr {
	u64 vaddr, size;
	u64 eh_frame; /* address */
	u32 n_fdes;   /* 0: not said */
	bool sorted;  /* an ordinary table of n_fdes begins at vaddr + 12 */
};

/* LSB Core 5.0 section 10.6.2. False: there is none, or it is malformed. */
static bool read_hdr(const struct elf_view *v, struct eh_frame_hdr *ret)
{
	const Elf64_Phdr *ph = elf_view_phdr(v, PT_GNU_EH_FRAME);
	u8 bytes[HDR_BYTES];
	struct cfi_input in = {.eh_frame = bytes};
	struct fmt_cursor c;
	u64 n_fdes;
	ssize_t n;

	if (!ph)
		return false;
	n = elf_view_read(v, bytes, min_u64(sizeof(bytes), ph->p_filesz), ph->p_offset);
	if (n < HDR_FIXED || bytes[0] != 1)
		return false;
	in.vaddr = in.data_base = ph->p_vaddr;
	c = cur_init(bytes, (size_t)n);
	(void)cur_bytes(&c, HDR_FIXED, "header");
	*ret = (struct eh_frame_hdr){.vaddr = ph->p_vaddr, .size = ph->p_filesz};
	ret->eh_frame = cfi_read_pointer(&in, &c, bytes[1]);
	if (c.err)
		return false;
	n_fdes = cfi_read_pointer(&in, &c, bytes[2]);
	if (!c.err && n_fdes <= ph->p_filesz / 2)
		ret->n_fdes = (u32)min_u64(n_fdes, UINT32_MAX);
	ret->sorted = !c.err && c.p == bytes + 12 && bytes[3] == ENC_DATA4;
	return true;
}

/* End of the last FDE that .eh_frame_hdr names, as an address; 0 when it does not tell. */
static int end_by_hdr(const struct elf_view *v, const struct eh_frame_hdr *hdr, u64 *ret)
{
	_cleanup_free_ u8 *table = NULL, *head = NULL;
	u64 last = 0;
	size_t n;
	int err;

	*ret = 0;
	if (!hdr->sorted || hdr->size < 12)
		return 0;
	err = elf_view_copy(v, hdr->vaddr + 12, min_u64(min_u64(8ULL * hdr->n_fdes, hdr->size - 12), MAX_TABLE), &table, &n);
	for (size_t i = 0; !err && i + 8 <= n; i += 8) {
		s32 off;

		memcpy(&off, table + i + 4, sizeof(off));
		last = max_u64(last, hdr->vaddr + (u64)(s64)off);
	}
	if (err || last < hdr->eh_frame)
		return err;
	err = elf_view_copy(v, last, 4, &head, &n);
	if (!err && n == 4) {
		struct fmt_cursor c = cur_init(head, n);
		u32 length = cur_le32(&c, "length");

		if (length < 0xfffffff0) /* longer ones are left to the terminator */
			*ret = last + 4 + length;
	}
	return err;
}

/* Length of the entries up to the first terminator, or n. */
static size_t length_to_terminator(const u8 *bytes, size_t n)
{
	struct fmt_cursor c = cur_init(bytes, n);

	while (cur_left(&c)) {
		const u8 *at = c.p;
		u64 length = cur_le32(&c, "length");

		if (length == 0xffffffff)
			length = cur_le64(&c, "length");
		if (c.err || !length)
			return (size_t)(at - bytes);
		if (length > cur_left(&c))
			break;
		c.p += length;
	}
	return n;
}

/* A section's bytes, its address and true length. */
struct frame_section {
	u8 *bytes; /* owned */
	size_t size;
	u64 vaddr, data_base;
};

static bool has_bytes(const Elf64_Shdr *s)
{
	return s && s->sh_type != SHT_NOBITS && !(s->sh_flags & SHF_COMPRESSED) && s->sh_size;
}

/*
 * Finds .eh_frame: its address (0: there is none) and size (UINT64_MAX: up to the terminator). Static programs of glibc have no .eh_frame_hdr, and then only the
 * section header tells where it is. How long it is, the section header tells best; without one, the last FDE in .eh_frame_hdr's table.
 */
static int find_eh_frame(const struct elf_view *v, u64 *ret_vaddr, u64 *ret_size, u64 *ret_data_base)
{
	const Elf64_Shdr *s = elf_view_section(v, ".eh_frame");
	struct eh_frame_hdr hdr = {0};
	bool has_hdr = read_hdr(v, &hdr);
	u64 end = 0;
	int err = 0;

	if (!has_bytes(s))
		s = NULL;
	*ret_vaddr = has_hdr ? hdr.eh_frame : s ? s->sh_addr : 0;
	*ret_data_base = hdr.vaddr;
	*ret_size = UINT64_MAX;
	if (s && s->sh_addr == *ret_vaddr)
		*ret_size = s->sh_size;
	else
		err = end_by_hdr(v, &hdr, &end);
	if (end > *ret_vaddr)
		*ret_size = end - *ret_vaddr;
	return err;
}

static int read_eh_frame(const struct elf_view *v, struct frame_section *ret)
{
	u64 size;
	int err;

	*ret = (struct frame_section){0};
	err = find_eh_frame(v, &ret->vaddr, &size, &ret->data_base);
	if (!err && ret->vaddr)
		err = elf_view_copy(v, ret->vaddr, size, &ret->bytes, &ret->size);
	if (size == UINT64_MAX)
		ret->size = length_to_terminator(ret->bytes, ret->size);
	return err;
}

/* ---- compiling ---- */

static int compile(const struct cfi_input *common, const struct frame_section *s, bool debug_frame, struct cfi_rows *rows,
		   struct cfi_counts *counts)
{
	struct cfi_input in = *common;

	in.eh_frame = s->bytes;
	in.size = s->size;
	in.vaddr = s->vaddr;
	in.data_base = s->data_base;
	in.debug_frame = debug_frame;
	return s->size ? cfi_compile(&in, rows, counts) : 0;
}

/*
 * .debug_frame where .eh_frame says nothing: C compiled without asynchronous unwind tables, above all the musl that Rust links into its static programs. It goes
 * when a file is stripped.
 */
static int lay_debug_frame_under(const struct elf_view *v, const struct cfi_input *common, struct unwind_module *m)
{
	const Elf64_Shdr *s = elf_view_section(v, ".debug_frame");
	struct frame_section section = {0};
	struct cfi_rows rows = {0};
	struct cfi_counts counts = {0};
	int err;

	if (!has_bytes(s))
		return 0;
	err = elf_view_copy_at(v, s->sh_offset, s->sh_size, &section.bytes, &section.size);
	if (!err)
		err = compile(common, &section, true, &rows, &counts);
	if (!err)
		err = unwind_extra_lay_under(&m->rows, &rows);
	m->counts.fdes += counts.fdes;
	m->counts.bad_fdes += counts.bad_fdes;
	m->counts.bad_rules += counts.bad_rules;
	free(rows.rows);
	free(section.bytes);
	return err;
}

/* What is known better on top, then .eh_frame, PLT stubs, .debug_frame. */
static int lay_extras(const struct elf_view *v, const struct cfi_input *common, struct unwind_module *m, bool *ret_any_strong)
{
	struct unwind_extra extra;
	int err = unwind_extra_find(v, common, &m->rows, &extra);

	if (!err)
		err = unwind_extra_lay_under(&m->rows, &extra.weak);
	if (!err)
		err = lay_debug_frame_under(v, common, m);
	*ret_any_strong = extra.strong.n;
	if (!err && extra.strong.n) {
		err = unwind_extra_lay_under(&extra.strong, &m->rows);
		if (!err) {
			struct cfi_rows under = m->rows;

			m->rows = extra.strong;
			extra.strong = under;
		}
	}
	unwind_extra_release(&extra);
	return err;
}

static int read_tables(const struct elf_view *v, struct unwind_module *m)
{
	struct cfi_range text[UNWIND_MAX_SEGMENTS];
	struct cfi_input common = {.base = m->base, .text = text, .n_text = m->n_segments};
	bool any_strong = false;
	struct frame_section s;
	int err;

	for (u32 i = 0; i < m->n_segments; i++)
		text[i] = (struct cfi_range){m->segments[i].vaddr, m->segments[i].vaddr + m->segments[i].file_size};
	err = read_eh_frame(v, &s);
	if (!err)
		err = compile(&common, &s, false, &m->rows, &m->counts);
	free(s.bytes);
	if (!err)
		err = lay_extras(v, &common, m, &any_strong);
	/* stubs alone are not worth a table, but knowing where signal handlers return to and threads end is, with frame pointers for the rest */
	if (!err && !m->counts.fdes && !m->counts.bad_fdes && !any_strong) {
		m->status = UNWIND_MODULE_NO_EH_FRAME;
		m->rows.n = 0;
	}
	return err;
}

static int read_module(int fd, const u8 *image, size_t n, struct unwind_module *ret)
{
	struct unwind_module m = {0};
	struct elf_view v;
	int err = elf_view_open(&v, fd, image, n);

	if (!err) {
		m.status = read_segments(&v, &m);
		if (m.status == UNWIND_MODULE_OK)
			err = read_tables(&v, &m);
	} else if (err == -ENOEXEC || err == -EBADMSG) {
		m.status = err == -ENOEXEC ? UNWIND_MODULE_NOT_ELF : UNWIND_MODULE_MALFORMED;
		err = 0;
	}
	elf_view_release(&v);
	if (err == -EFBIG) {
		m.status = UNWIND_MODULE_TOO_LARGE;
		err = 0;
	}
	if (err || (m.status != UNWIND_MODULE_OK && m.status != UNWIND_MODULE_NO_EH_FRAME))
		unwind_module_release(&m);
	if (!err)
		*ret = m;
	return err;
}

int unwind_module_read(int fd, struct unwind_module *ret)
{
	return read_module(fd, NULL, 0, ret);
}

int unwind_module_read_image(const u8 *image, size_t n, struct unwind_module *ret)
{
	return read_module(-1, image, n, ret);
}

void unwind_module_release(struct unwind_module *m)
{
	enum unwind_module_status status = m->status;

	free(m->rows.rows);
	*m = (struct unwind_module){.status = status};
}

/*
 * A mapping begins at the page that a segment begins in, which may lie below the segment's first byte and belong to the segment before as well; a part of a mapping,
 * after mprotect(2), may begin anywhere.
 */
int unwind_module_pc(const struct unwind_module *m, u64 file_off, u32 *ret)
{
	const struct unwind_segment *best = NULL;
	int best_fit = 0;

	for (u32 i = 0; i < m->n_segments; i++) {
		const struct unwind_segment *s = &m->segments[i];
		u64 first = page_floor(s->file_off), end = s->file_off + s->file_size;
		int fit = file_off == first			      ? 3
			  : file_off >= s->file_off && file_off < end ? 2
								      : file_off > first && file_off < page_ceil(end);

		if (fit > best_fit) {
			best = s;
			best_fit = fit;
		}
	}
	if (!best || best->vaddr + file_off - best->file_off - m->base >= m->span)
		return -ENOENT;
	*ret = (u32)(best->vaddr + file_off - best->file_off - m->base);
	return 0;
}

u32 unwind_module_blocks(const struct unwind_module *m, u32 block_log)
{
	return (u32)((page_ceil(m->span) + (1ULL << block_log) - 1) >> block_log);
}

/* Whether every block of 2^log bytes has few enough rows between its ends. */
static bool fits_blocks(const struct cfi_rows *rows, u32 log)
{
	const u32 most = (1 << UW_SEARCH_STEPS) - 1;

	for (u32 i = 0; i + most < rows->n; i++)
		if (rows->rows[i] >> 32 >> log == rows->rows[i + most] >> 32 >> log)
			return false;
	return true;
}

u32 unwind_module_block_log(const struct unwind_module *m)
{
	u32 log = UW_BLOCK_LOG;

	while (log < UW_BLOCK_LOG_MAX && unwind_module_blocks(m, log) > m->rows.n / ROWS_PER_BLOCK &&
	       fits_blocks(&m->rows, log + 1))
		log++;
	return log;
}

void unwind_module_estimate(int fd, u32 *ret_rows, u32 *ret_span)
{
	struct unwind_module m = {0};
	const Elf64_Shdr *s;
	struct elf_view v;
	u64 vaddr = 0, size = 0, data_base;

	*ret_rows = *ret_span = 0;
	if (!elf_view_open(&v, fd, NULL, 0) && read_segments(&v, &m) == UNWIND_MODULE_OK &&
	    !find_eh_frame(&v, &vaddr, &size, &data_base)) {
		const Elf64_Phdr *load = vaddr ? elf_view_load(&v, vaddr) : NULL;

		/* what the file says is believed as far as it has bytes, and an upper bound that wastes a little is wanted */
		size = load ? min_u64(size, load->p_filesz - (vaddr - load->p_vaddr)) : 0;
		s = elf_view_section(&v, ".debug_frame");
		if (has_bytes(s))
			size += min_u64(s->sh_size, MAX_TABLE);
		*ret_rows = size ? (u32)min_u64(size * 4 / QUARTER_BYTES_PER_ROW + EXTRA_ROWS, MAX_ESTIMATE) : 0;
		*ret_span = size ? m.span : 0;
	}
	elf_view_release(&v);
}
