/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_split.c: units of split DWARF: the program has a skeleton of each, the entries are in a .dwo file or in a package (.dwp,
 * DWARF 5 section 7.3.5). Used by sym_dwarf.c. The files come from sym_input.open_split; a unit is taken when its id is the
 * skeleton's.
 *
 * libdw 0.188 knows no packages, and would open a .dwo by itself: so the parts of a unit are put into an image of a .dwo file
 * (sym_image.c), which it reads names from. Addresses and range lists are read here (sym_rangelist.c), because they lead into
 * the program's sections.
 *
 * Invariant: a struct sym_split is owned by the module's list; units of one .dwo share one.
 */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "report/sym_impl.h"

#define CANDIDATES_MAX 16
#define UNITS_MAX      65536U
#define SECTION_MAX    ((u64)2 << 30) /* decompressed */
#define PATH_LEN       4096

#ifndef DW_AT_GNU_dwo_name
#define DW_AT_GNU_dwo_name 0x2130
#endif
#ifndef DW_AT_GNU_dwo_id
#define DW_AT_GNU_dwo_id 0x2131
#endif
#ifndef DW_AT_GNU_ranges_base
#define DW_AT_GNU_ranges_base 0x2132
#endif
#ifndef DW_AT_GNU_addr_base
#define DW_AT_GNU_addr_base 0x2133
#endif

/* The sections of a .dwo or .dwp that are needed, and their numbers as columns of a package's index (DWARF 5, 7.3.5.3). */
enum { PART_INFO, PART_ABBREV, PART_LINE, PART_STR_OFFSETS, PART_RNGLISTS, PART_STR, PARTS };

static const struct {
	const char *name, *z_name;
	u32 column; /* 0: the whole package shares it */
} parts[PARTS] = {
	[PART_INFO] = {".debug_info.dwo", ".zdebug_info.dwo", 1},
	[PART_ABBREV] = {".debug_abbrev.dwo", ".zdebug_abbrev.dwo", 3},
	[PART_LINE] = {".debug_line.dwo", ".zdebug_line.dwo", 4},
	[PART_STR_OFFSETS] = {".debug_str_offsets.dwo", ".zdebug_str_offsets.dwo", 6},
	[PART_RNGLISTS] = {".debug_rnglists.dwo", ".zdebug_rnglists.dwo", 8},
	[PART_STR] = {".debug_str.dwo", ".zdebug_str.dwo", 0},
};

/* An open .dwo or .dwp. */
struct split_file {
	int fd;
	Elf *elf;
	struct sym_section v[PARTS], index;
};

static void file_release(struct split_file *f)
{
	if (f->elf)
		(void)elf_end(f->elf);
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct split_file){.fd = -1};
}

struct sym_section sym_section_bytes(Elf_Scn *scn)
{
	GElf_Shdr sh;
	GElf_Chdr ch;
	Elf_Data *data;

	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS)
		return (struct sym_section){0};
	if ((sh.sh_flags & SHF_COMPRESSED) &&
	    (!gelf_getchdr(scn, &ch) || ch.ch_size > SECTION_MAX || elf_compress(scn, 0, 0) < 0))
		return (struct sym_section){0};
	data = elf_getdata(scn, NULL);
	return data && data->d_buf ? (struct sym_section){data->d_buf, data->d_size} : (struct sym_section){0};
}

/* Takes fd. -EBADMSG: not such a file. */
static int file_open(struct split_file *f, int fd, const struct sym_elf *like)
{
	size_t names;
	Elf_Scn *scn = NULL;
	GElf_Ehdr eh;

	*f = (struct split_file){.fd = fd};
	f->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF || !gelf_getehdr(f->elf, &eh) || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_machine != like->machine || elf_getshdrstrndx(f->elf, &names)) {
		file_release(f);
		return -EBADMSG;
	}
	while ((scn = elf_nextscn(f->elf, scn))) {
		GElf_Shdr sh;
		const char *name = gelf_getshdr(scn, &sh) ? elf_strptr(f->elf, names, sh.sh_name) : NULL;

		if (!name)
			continue;
		if (!strcmp(name, ".debug_cu_index"))
			f->index = sym_section_bytes(scn);
		for (u32 i = 0; i < PARTS; i++) {
			if (!strcmp(name, parts[i].z_name))
				(void)elf_compress_gnu(scn, 0, 0);
			else if (strcmp(name, parts[i].name) != 0)
				continue;
			f->v[i] = sym_section_bytes(scn);
		}
	}
	if (f->v[PART_INFO].size && f->v[PART_ABBREV].size)
		return 0;
	file_release(f);
	return -EBADMSG;
}

/* ---- the index of a package ---- */

struct index {
	struct sym_section s;
	u32 version, columns, rows, slots;
	u64 hash_at, rows_at, ids_at, offsets_at, sizes_at;
};

static u64 index_uint(const struct index *x, u64 at, u32 bytes)
{
	struct sym_cursor c = {.p = x->s.data, .end = x->s.data + x->s.size};

	sym_cursor_skip(&c, at);
	return sym_cursor_uint(&c, bytes);
}

/* False when it makes no sense. Version 2 is GNU's of DWARF 4. All counts are 32 bit, so that no sum below wraps. */
static bool index_read(struct index *x, const struct sym_section *s)
{
	*x = (struct index){.s = *s};
	if (s->size < 16)
		return false;
	x->version = (u32)index_uint(x, 0, 4);
	if (x->version != 2)
		x->version = (u32)index_uint(x, 0, 2);
	x->columns = (u32)index_uint(x, 4, 4);
	x->rows = (u32)index_uint(x, 8, 4);
	x->slots = (u32)index_uint(x, 12, 4);
	x->hash_at = 16;
	x->rows_at = x->hash_at + (u64)x->slots * 8;
	x->ids_at = x->rows_at + (u64)x->slots * 4;
	if ((x->version != 2 && x->version != 5) || x->columns > 16 || !x->slots || (x->slots & (x->slots - 1)))
		return false;
	x->offsets_at = x->ids_at + (u64)x->columns * 4;
	x->sizes_at = x->offsets_at + (u64)x->rows * x->columns * 4;
	return x->sizes_at + (u64)x->rows * x->columns * 4 <= s->size;
}

/* Row of a unit, counted from 1; 0 none. DWARF 5, 7.3.5.3: open addressing with a second hash. */
static u32 index_find(const struct index *x, u64 dwo_id)
{
	u64 mask = x->slots - 1, at = dwo_id & mask, step = ((dwo_id >> 32) & mask) | 1;

	for (u32 i = 0; i < x->slots; i++, at = (at + step) & mask) {
		u32 row = (u32)index_uint(x, x->rows_at + at * 4, 4);

		if (!row)
			return 0;
		if (index_uint(x, x->hash_at + at * 8, 8) == dwo_id)
			return row <= x->rows ? row : 0;
	}
	return 0;
}

/* What a row has of a section: all of one that the package shares. False when it lies outside. */
static bool index_slice(const struct index *x, u32 row, u32 part, const struct sym_section *whole, struct sym_section *ret)
{
	*ret = parts[part].column ? (struct sym_section){0} : *whole;
	for (u32 i = 0; i < x->columns && parts[part].column; i++) {
		u64 cell = ((u64)(row - 1) * x->columns + i) * 4, off, size;

		/* 8 is .debug_macro of version 2 */
		if (index_uint(x, x->ids_at + (u64)i * 4, 4) != parts[part].column || (part == PART_RNGLISTS && x->version < 5))
			continue;
		off = index_uint(x, x->offsets_at + cell, 4);
		size = index_uint(x, x->sizes_at + cell, 4);
		if (off > whole->size || size > whole->size - off)
			return false;
		*ret = (struct sym_section){whole->data + off, size};
	}
	return true;
}

/* ---- strings: a package's units share one section, of which each gets its own ---- */

/* Bytes of the header of a unit's string offsets; *ret_size of an offset. Version 4 has none. */
static u64 str_offsets_header(const struct sym_section *s, u16 version, u32 *ret_size)
{
	struct sym_cursor c = {.p = s->data, .end = s->data + s->size};
	bool is_64 = version >= 5 && sym_cursor_uint(&c, 4) == UINT32_MAX;

	*ret_size = is_64 ? 8 : 4;
	return version < 5 ? 0 : is_64 ? 16 : 8;
}

static u16 unit_version(const struct sym_section *info)
{
	struct sym_cursor c = {.p = info->data, .end = info->data + info->size};

	if (sym_cursor_uint(&c, 4) == UINT32_MAX)
		sym_cursor_skip(&c, 8);
	return (u16)sym_cursor_uint(&c, 2);
}

static void put_offset(u8 *p, u64 v, u32 size)
{
	for (u32 i = 0; i < size; i++)
		p[i] = (u8)(v >> 8 * i);
}

/*
 * Copies the strings that `offsets` (a copy the caller owns) leads to, and lets it lead there. -ENOMEM, -EFBIG. Strings that do
 * not exist become the empty one at 0.
 */
static int gather_strings(u8 *offsets, const struct sym_section *in, u16 version, const struct sym_section *all, struct buf *ret)
{
	u32 size;
	u64 at = str_offsets_header(in, version, &size);

	buf_putc(ret, '\0');
	for (; at < in->size && in->size - at >= size; at += size) {
		struct sym_cursor c = {.p = offsets + at, .end = offsets + at + size};
		u64 off = sym_cursor_uint(&c, size);
		const u8 *nul = off < all->size ? memchr(all->data + off, 0, all->size - off) : NULL;

		put_offset(offsets + at, nul ? ret->len : 0, size);
		if (nul)
			buf_put(ret, all->data + off, (size_t)(nul - (all->data + off)) + 1);
	}
	return buf_err(ret);
}

/* ---- units ---- */

static int make_image(struct sym_split *sp, const struct sym_elf *like, const struct sym_section v[PARTS])
{
	struct sym_image_section s[PARTS];
	u32 n = 0;
	int err;

	for (u32 i = 0; i < PARTS; i++)
		if (v[i].size)
			s[n++] = (struct sym_image_section){parts[i].name, v[i]};
	err = sym_image_make(&sp->image, like, s, n);
	if (err)
		return err;
	for (Elf_Scn *scn = elf_nextscn(sp->image.elf, NULL); scn; scn = elf_nextscn(sp->image.elf, scn)) {
		size_t i = elf_ndxscn(scn);

		if (i > n)
			break;
		if (s[i - 1].data.data == v[PART_INFO].data)
			sp->sections.info = sym_section_bytes(scn);
		else if (s[i - 1].data.data == v[PART_ABBREV].data)
			sp->sections.abbrev = sym_section_bytes(scn);
		else if (s[i - 1].data.data == v[PART_RNGLISTS].data)
			sp->rnglists = sym_section_bytes(scn);
	}
	return 0;
}

/* The image of one unit of a package. 0, -ENOENT the package has no such unit, -EBADMSG, -ENOMEM. */
static int read_from_package(struct sym_split *sp, const struct sym_elf *like, const struct split_file *f, u64 dwo_id)
{
	_cleanup_buf_ struct buf strings = {.max = (size_t)SECTION_MAX};
	_cleanup_free_ u8 *offsets = NULL;
	struct sym_section v[PARTS];
	struct index x;
	u32 row = index_read(&x, &f->index) ? index_find(&x, dwo_id) : 0;
	int err;

	if (!row)
		return -ENOENT;
	for (u32 i = 0; i < PARTS; i++)
		if (!index_slice(&x, row, i, &f->v[i], &v[i]))
			return -EBADMSG;
	offsets = malloc(v[PART_STR_OFFSETS].size + 1);
	if (!offsets)
		return -ENOMEM;
	if (v[PART_STR_OFFSETS].size)
		memcpy(offsets, v[PART_STR_OFFSETS].data, v[PART_STR_OFFSETS].size);
	err = gather_strings(offsets, &v[PART_STR_OFFSETS], unit_version(&v[PART_INFO]), &v[PART_STR], &strings);
	if (err)
		return err == -EFBIG ? -EBADMSG : err;
	v[PART_STR_OFFSETS].data = offsets;
	v[PART_STR] = (struct sym_section){strings.data, strings.len};
	return make_image(sp, like, v);
}

/* The unit of this id in an image: 0, or -ENOENT. */
static int find_unit(struct sym_split *sp, u64 dwo_id, struct sym_unit *ret)
{
	Dwarf_Off off = 0, next, abbrev_off;
	size_t header_size;

	for (u32 i = 0; i < UNITS_MAX; i++, off = next) {
		struct sym_unit u = {.split = sp};
		uint64_t id = 0;
		Dwarf_Die die;
		uint8_t type;

		if (dwarf_next_unit(sp->image.dbg, off, &next, &header_size, &u.version, &abbrev_off, &u.addr_size,
				    &u.offset_size, NULL, NULL) ||
		    next <= off)
			return -ENOENT;
		u.abbrev_off = abbrev_off;
		u.die_off = off + header_size;
		u.end_off = min_u64(next, sp->sections.info.size);
		if (!dwarf_offdie(sp->image.dbg, u.die_off, &u.die) ||
		    dwarf_cu_info(u.die.cu, NULL, &type, &die, NULL, &id, NULL, NULL) || type != DW_UT_split_compile ||
		    id != dwo_id)
			continue;
		*ret = u;
		return 0;
	}
	return -ENOENT;
}

void sym_splits_release(struct sym_module *m)
{
	while (m->splits) {
		struct sym_split *sp = m->splits;

		m->splits = sp->next;
		sym_image_release(&sp->image);
		free(sp->name);
		free(sp);
	}
	if (m->package)
		file_release(m->package);
	free(m->package);
	m->package = NULL;
}

static struct sym_split *new_split(void)
{
	return calloc(1, sizeof(struct sym_split));
}

/* Puts a finished one on the module's list. */
static void keep_split(struct sym_module *m, struct sym_split *sp)
{
	sp->next = m->splits;
	m->splits = sp;
}

static void drop_split(struct sym_split *sp)
{
	sym_image_release(&sp->image);
	free(sp->name);
	free(sp);
}

/* The first package that opens is the module's. */
static int open_package(struct sym_module *m)
{
	struct sym_split_want want = {0};

	if (m->package_asked)
		return 0;
	m->package_asked = true;
	m->package = calloc(1, sizeof(*m->package));
	if (!m->package)
		return -ENOMEM;
	m->package->fd = -1;
	for (; want.nth < CANDIDATES_MAX; want.nth++) {
		int fd = m->from.open_split(m->from.ctx, &want);

		if (fd < 0)
			return fd == -ENOMEM ? fd : 0;
		if (file_open(m->package, fd, &m->elf) == 0)
			return 0;
	}
	return 0;
}

static int take_from_package(struct sym_module *m, u64 dwo_id, struct sym_unit *ret)
{
	struct sym_split *sp;
	int err = open_package(m);

	if (err || m->package->fd < 0)
		return err ? err : -ENOENT;
	sp = new_split();
	if (!sp)
		return -ENOMEM;
	err = read_from_package(sp, &m->elf, m->package, dwo_id);
	if (!err)
		err = find_unit(sp, dwo_id, ret);
	if (err)
		drop_split(sp);
	else
		keep_split(m, sp);
	return err;
}

static char *full_name(const struct sym_split_want *want)
{
	_cleanup_buf_ struct buf b = {.max = 2 * (size_t)PATH_LEN};

	buf_printf(&b, "%s/%s", want->comp_dir ? want->comp_dir : "", want->name);
	return buf_take_str(&b);
}

/* One candidate of a .dwo: 0, -ENOENT it is another build's, -ENOMEM. */
static int take_from_file(struct sym_module *m, int fd, char *name, u64 dwo_id, struct sym_unit *ret)
{
	struct split_file f;
	struct sym_split *sp;
	int err = file_open(&f, fd, &m->elf);

	if (err)
		return err;
	sp = new_split();
	err = sp ? make_image(sp, &m->elf, f.v) : -ENOMEM;
	file_release(&f);
	if (!err)
		err = find_unit(sp, dwo_id, ret);
	if (!err) {
		sp->name = strdup(name);
		err = sp->name ? 0 : -ENOMEM;
	}
	if (err && sp)
		drop_split(sp);
	else if (!err)
		keep_split(m, sp);
	return err;
}

static int take_from_files(struct sym_module *m, struct sym_split_want *want, struct sym_unit *ret)
{
	_cleanup_free_ char *name = full_name(want);

	if (!name)
		return -ENOMEM;
	for (struct sym_split *sp = m->splits; sp; sp = sp->next)
		if (sp->name && !strcmp(sp->name, name) && !find_unit(sp, want->dwo_id, ret))
			return 0;
	for (; want->nth < CANDIDATES_MAX; want->nth++) {
		int fd = m->from.open_split(m->from.ctx, want);
		int err = fd < 0 ? fd : take_from_file(m, fd, name, want->dwo_id, ret);

		if (fd < 0 || !err || err == -ENOMEM)
			return err;
	}
	return -ENOENT;
}

/* ---- skeletons ---- */

static u64 offset_attr(Dwarf_Die *die, unsigned int name, unsigned int gnu_name, u64 missing)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	if (!dwarf_attr(die, name, &attr) && !dwarf_attr(die, gnu_name, &attr))
		return missing;
	return dwarf_formudata(&attr, &v) ? missing : v;
}

/* Where the unit's addresses and ranges are: in the program, but for the range lists of version 5. */
static void read_bases(struct sym_module *m, Dwarf_Die *skeleton, struct sym_unit *u)
{
	const struct sym_elf *e = sym_module_dwarf_elf(m);
	struct sym_bases *b = &u->bases;
	Dwarf_Addr low;

	*b = (struct sym_bases){.version = u->version, .addr_size = u->addr_size, .offset_size = u->offset_size};
	if (!dwarf_lowpc(skeleton, &low))
		b->low_pc = low;
	b->addr = m->dwarf.sections.addr;
	b->addr_base = offset_attr(skeleton, DW_AT_addr_base, DW_AT_GNU_addr_base, u->version >= 5 ? 8 : 0);
	if (u->version >= 5) {
		b->lists = u->split->rnglists;
		b->lists_base = u->offset_size == 8 ? 20 : 12; /* behind the header */
	} else {
		b->lists = sym_section_bytes(sym_elf_section(e, ".debug_ranges"));
		b->lists_base = offset_attr(skeleton, DW_AT_GNU_ranges_base, DW_AT_GNU_ranges_base, 0);
	}
}

bool sym_unit_is_skeleton(const struct sym_unit *u)
{
	uint8_t type;

	return dwarf_cu_info(u->die.cu, NULL, &type, NULL, NULL, NULL, NULL, NULL) == 0 && type == DW_UT_skeleton;
}

int sym_split_open(struct sym_module *m, const struct sym_unit *skeleton, struct sym_unit *ret)
{
	struct sym_split_want want = {0};
	Dwarf_Die die = skeleton->die;
	Dwarf_Attribute attr;
	uint64_t id = 0;
	int err;

	if (!m->from.open_split || dwarf_cu_info(die.cu, NULL, NULL, NULL, NULL, &id, NULL, NULL))
		return -ENOENT;
	want.dwo_id = id;
	want.comp_dir = dwarf_formstring(dwarf_attr(&die, DW_AT_comp_dir, &attr));
	want.name = dwarf_formstring(dwarf_attr(&die, DW_AT_dwo_name, &attr));
	if (!want.name)
		want.name = dwarf_formstring(dwarf_attr(&die, DW_AT_GNU_dwo_name, &attr));
	err = take_from_package(m, id, ret);
	if (err && err != -ENOMEM && want.name && strlen(want.name) < PATH_LEN && *want.name &&
	    (!want.comp_dir || strlen(want.comp_dir) < PATH_LEN))
		err = take_from_files(m, &want, ret);
	if (!err)
		read_bases(m, &die, ret);
	return err;
}
