/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_dwarf.c: units by address, lines, names and inlined calls, through libdw. Used by sym_module.c.
 *
 * .debug_aranges is not used: LLVM's linkers often have none, or one that leaves units out. The ranges of all units are read once
 * when the file is opened; a unit's functions and lines only when an address in it is asked for.
 */
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"

#include "base/array.h"
#include "report/frame_kind.h"
#include "report/sym_impl.h"

#define UNITS_MAX      (1U << 20)
#define FILE_NAME_MAX  ((size_t)64 << 10)
#define LINES_NEAR_MAX 64

static const char *string_attr(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr(die, name, &attr));
}

/* Of this entry, or of the declaration or abstract function it refers to. */
static const char *string_attr_integrate(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attr));
}

static bool unit_is_c(Dwarf_Die *die)
{
	switch (dwarf_srclang(die)) {
	case DW_LANG_C:
	case DW_LANG_C89:
	case DW_LANG_C99:
	case DW_LANG_C11:
	case DW_LANG_Mips_Assembler:
		return true;
	default:
		return false;
	}
}

static int add_unit(struct sym_dwarf *d, const struct sym_elf *e, const struct sym_unit *unit)
{
	u32 idx = d->n_cus, n_ranges = d->ranges.n;
	struct sym_cu *cu;
	int err;

	if (ARRAY_ROOM(d->cus, idx, &d->cap_cus) < 0)
		return -ENOMEM;
	cu = &d->cus[idx];
	*cu = (struct sym_cu){.unit = *unit};
	err = sym_die_ranges(e, &cu->unit.die, &d->ranges, idx);
	if (err)
		return err;
	if (d->ranges.n == n_ranges) {
		/*
		 * No range of its own: take those of its functions. Units without code cost little to scan, others need it
		 * anyway.
		 */
		err = sym_scopes_scan(&cu->scopes, e, &cu->unit, &d->sections);
		for (u32 i = 0; !err && i < cu->scopes.ranges.n; i++)
			err = sym_ranges_add(&d->ranges, cu->scopes.ranges.v[i].lo, cu->scopes.ranges.v[i].hi, idx);
		sym_scopes_release(&cu->scopes);
		if (err || d->ranges.n == n_ranges)
			return err;
	}
	d->n_cus++;
	return 0;
}

static int read_units(struct sym_dwarf *d, const struct sym_elf *e)
{
	Dwarf_Off off = 0;

	for (u32 i = 0; i < UNITS_MAX; i++) {
		struct sym_unit u = {0};
		Dwarf_Off next, abbrev_off;
		size_t header_size;
		int tag, err;

		if (dwarf_next_unit(d->dbg, off, &next, &header_size, &u.version, &abbrev_off, &u.addr_size, &u.offset_size, NULL,
				    NULL) ||
		    next <= off)
			return 0;
		u.abbrev_off = abbrev_off;
		u.die_off = off + header_size;
		u.end_off = min_u64(next, d->sections.info.size);
		off = next;
		if (!dwarf_offdie(d->dbg, u.die_off, &u.die))
			continue;
		tag = dwarf_tag(&u.die);
		if (tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit)
			continue;
		err = add_unit(d, e, &u);
		if (err)
			return err == -EFBIG ? 0 : err;
	}
	return 0;
}

/* Contents of a section as libdw sees them; `z_name` is how old compilers call it when it is compressed. */
static struct sym_section section_data(const struct sym_elf *e, const char *name, const char *z_name)
{
	Elf_Scn *scn = sym_elf_section(e, name);
	Elf_Data *data;

	if (!scn)
		scn = sym_elf_section(e, z_name);
	data = scn ? elf_getdata(scn, NULL) : NULL;
	return data && data->d_buf ? (struct sym_section){data->d_buf, data->d_size} : (struct sym_section){0};
}

int sym_dwarf_open(struct sym_dwarf *d, const struct sym_elf *e)
{
	int err;

	*d = (struct sym_dwarf){0};
	d->dbg = dwarf_begin_elf(e->elf, DWARF_C_READ, NULL);
	if (!d->dbg)
		return 0;
	/* libdw has decompressed in place by now. */
	d->sections.info = section_data(e, ".debug_info", ".zdebug_info");
	d->sections.abbrev = section_data(e, ".debug_abbrev", ".zdebug_abbrev");
	d->sections.addr = section_data(e, ".debug_addr", ".zdebug_addr");
	if (!d->sections.info.size)
		return 0;
	err = read_units(d, e);
	return err ? err : sym_ranges_flatten(&d->ranges);
}

void sym_dwarf_release(struct sym_dwarf *d)
{
	for (u32 i = 0; i < d->n_cus; i++) {
		sym_scopes_release(&d->cus[i].scopes);
		u64map_release(&d->cus[i].file_names);
	}
	free(d->cus);
	sym_ranges_release(&d->ranges);
	u64map_release(&d->names);
	free(d->known);
	u64map_release(&d->by_scope);
	u64map_release(&d->by_origin);
	if (d->dbg)
		(void)dwarf_end(d->dbg);
	*d = (struct sym_dwarf){0};
}

u64 sym_dwarf_code_size(const struct sym_dwarf *d, bool has_split)
{
	u64 sum = 0;

	for (u32 i = 0; i < d->ranges.n; i++) {
		const struct sym_range *r = &d->ranges.v[i];

		struct sym_cu *cu = &d->cus[r->owner];

		if (dwarf_haschildren(&cu->unit.die) > 0 || (has_split && !cu->is_missing && sym_unit_is_skeleton(&cu->unit)))
			sum += r->hi - r->lo;
	}
	return sum;
}

static int cu_scan(struct sym_module *m, struct sym_cu *cu)
{
	Dwarf_Die *die = &cu->unit.die;
	int err;

	if (cu->is_scanned)
		return 0;
	cu->is_skeleton = sym_unit_is_skeleton(&cu->unit);
	cu->body = cu->unit;
	err = cu->is_skeleton && !cu->is_missing ? sym_split_open(m, &cu->unit, &cu->body) : 0;
	if (err == -ENOMEM)
		return err;
	if (err) {
		cu->is_missing = true;
		m->split_missing++;
	}
	err = sym_scopes_scan(&cu->scopes, &m->elf, &cu->body, cu->body.split ? &cu->body.split->sections : &m->dwarf.sections);
	if (err) {
		sym_scopes_release(&cu->scopes);
		return err;
	}
	cu->is_scanned = true;
	cu->is_c = unit_is_c(&cu->body.die);
	cu->comp_dir = string_attr(die, DW_AT_comp_dir);
	/* A split unit's own table of files, where it has one, is not the one that its lines go by. */
	if ((!cu->body.split || dwarf_getsrcfiles(&cu->body.die, &cu->files, &cu->n_files)) &&
	    dwarf_getsrcfiles(die, &cu->files, &cu->n_files))
		cu->files = NULL;
	return 0;
}

/*
 * Users know their files as src/api.rs, relative to the directory the compiler ran in. Names of dependencies are absolute,
 * because only their directory says what they are. libdw joins a relative name with that directory for some tables and not for
 * others: both are brought to this form here.
 */
static const char *shown_file(struct sym_module *m, const struct sym_cu *cu, const char *path)
{
	size_t n = cu->comp_dir ? strlen(cu->comp_dir) : 0;
	_cleanup_buf_ struct buf joined = {.max = FILE_NAME_MAX};

	while (n && cu->comp_dir[n - 1] == '/')
		n--;
	if (!n)
		return sym_intern(m, path);
	if (*path == '/') {
		if (!strncmp(path, cu->comp_dir, n) && path[n] == '/' && frame_path_origin(path) == FRAME_PATH_OTHER)
			path += n + strspn(path + n, "/");
		return sym_intern(m, path);
	}
	buf_put(&joined, cu->comp_dir, n);
	buf_putc(&joined, '/');
	buf_put(&joined, path, strlen(path) + 1);
	if (buf_err(&joined) || frame_path_origin((const char *)joined.data) == FRAME_PATH_OTHER)
		return sym_intern(m, path);
	return sym_intern(m, (const char *)joined.data);
}

/* The same for a path in libdw's memory, which stays: once each. */
static const char *intern_file(struct sym_module *m, struct sym_cu *cu, const char *path)
{
	const char *s;
	u32 new_idx;
	u64 idx;

	if (u64map_get(&cu->file_names, (u64)(uintptr_t)path, &idx))
		return strtab_get(m->strings, (u32)idx, NULL);
	s = shown_file(m, cu, path);
	if (!s || strtab_intern(m->strings, s, strlen(s), &new_idx, NULL) ||
	    u64map_put(&cu->file_names, (u64)(uintptr_t)path, new_idx))
		return NULL;
	return strtab_get(m->strings, new_idx, NULL);
}

/* Index of the line table's first row behind an address; n when none is. */
static size_t row_behind(Dwarf_Lines *lines, size_t n, u64 addr)
{
	size_t lo = 0;

	while (lo < n) {
		size_t mid = lo + (n - lo) / 2;
		Dwarf_Addr a;

		if (!dwarf_lineaddr(dwarf_onesrcline(lines, mid), &a) && a <= addr)
			lo = mid + 1;
		else
			n = mid;
	}
	return lo;
}

/*
 * Code that a compiler moved or merged has line 0, and often another function's file. The nearest line in the same piece of the
 * same function, first before it, then behind, is the best that can be said. NULL when there is none.
 */
static Dwarf_Line *nearest_line(struct sym_cu *cu, u64 addr, const struct sym_range *in)
{
	Dwarf_Lines *lines;
	size_t n, at;

	if (dwarf_getsrclines(&cu->unit.die, &lines, &n))
		return NULL;
	at = row_behind(lines, n, addr);
	for (int step = -1; step <= 1; step += 2) {
		size_t i = step < 0 ? at - 1 : at;

		for (u32 k = 0; k < LINES_NEAR_MAX && i < n; k++, i += (size_t)step) {
			Dwarf_Line *line = dwarf_onesrcline(lines, i);
			bool is_end = false;
			Dwarf_Addr a;
			int no;

			if (dwarf_lineaddr(line, &a) || a < in->lo || a >= in->hi || dwarf_lineendsequence(line, &is_end) ||
			    is_end || dwarf_lineno(line, &no))
				break;
			if (no > 0)
				return line;
		}
	}
	return NULL;
}

/* Place of the instruction itself, `in` is the code of its function around it (NULL unknown); no line is no error. */
static int innermost_line(struct sym_module *m, struct sym_cu *cu, u64 addr, const struct sym_range *in, const char **ret_file,
			  u32 *ret_line)
{
	Dwarf_Line *line = dwarf_getsrc_die(&cu->unit.die, addr), *near;
	const char *path;
	int no = 0;

	*ret_file = NULL;
	*ret_line = 0;
	if (!line || dwarf_lineno(line, &no))
		return 0;
	if (no <= 0 && in) {
		near = nearest_line(cu, addr, in);
		line = near ? near : line;
	}
	path = dwarf_linesrc(line, NULL, NULL);
	if (!path || dwarf_lineno(line, &no))
		return 0;
	*ret_file = intern_file(m, cu, path);
	if (!*ret_file)
		return -ENOMEM;
	*ret_line = no > 0 ? (u32)no : 0;
	/*
	 * Without a line the file may be anyone's; as a dependency's it at least keeps the frame from counting as the program's
	 * own.
	 */
	if (no <= 0 && frame_path_origin(*ret_file) == FRAME_PATH_OTHER)
		*ret_file = NULL;
	return 0;
}

/* Place where the inlined function was called. */
static int call_line(struct sym_module *m, struct sym_cu *cu, Dwarf_Die *die, const char **ret_file, u32 *ret_line)
{
	Dwarf_Attribute attr;
	Dwarf_Word file = 0, line = 0;
	const char *path = NULL;

	*ret_file = NULL;
	*ret_line = 0;
	if (!dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attr), &line) && line <= UINT32_MAX)
		*ret_line = (u32)line;
	if (cu->files && !dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attr), &file) && file < cu->n_files)
		path = dwarf_filesrc(cu->files, file, NULL, NULL);
	if (!path)
		return 0;
	*ret_file = intern_file(m, cu, path);
	return *ret_file ? 0 : -ENOMEM;
}

/*
 * Names of a scope's function into *k. Outer functions without a linker name (line tables alone have none) get the symbol
 * table's: *function stays NULL.
 */
static int entry_names(struct sym_module *m, const struct sym_cu *cu, Dwarf_Die *die, bool is_inlined, struct sym_known *k)
{
	const char *own = string_attr_integrate(die, DW_AT_name);
	const char *linker = string_attr_integrate(die, DW_AT_linkage_name);

	if (own && strchr(own, '<')) {
		k->typed_name = sym_intern(m, own);
		if (!k->typed_name)
			return -ENOMEM;
	}
	if (!linker)
		linker = string_attr_integrate(die, DW_AT_MIPS_linkage_name);
	if (linker && *linker)
		k->function = sym_linker_name(m, linker, own);
	else if (is_inlined || (cu->is_c && own)) /* a name that dwz moved to a file which is missing is none */
		k->function = sym_intern(m, own && *own ? own : "??");
	else
		return 0;
	return k->function ? 0 : -ENOMEM;
}

/* Of a function whose entry has no linker name. */
static int name_by_symbol(struct sym_module *m, Dwarf_Die *die, u64 addr, struct sym_frame *f)
{
	const char *own = string_attr_integrate(die, DW_AT_name);
	int err;

	f->function = sym_symtab_function(m, addr, &err);
	if (f->function)
		f->function = sym_with_closure_name(m, f->function, own);
	else if (!err)
		f->function = sym_intern(m, own && *own ? own : "??");
	return err ? err : f->function ? 0 : -ENOMEM;
}

/* The same function is inlined at many places, and its entry read once. *die is the inlined call's. */
static int inlined_names(struct sym_module *m, const struct sym_cu *cu, Dwarf_Die *die, struct sym_known *k)
{
	struct sym_dwarf *d = &m->dwarf;
	Dwarf_Attribute attr;
	Dwarf_Die origin;
	u64 idx;
	int err;

	if (!dwarf_formref_die(dwarf_attr(die, DW_AT_abstract_origin, &attr), &origin))
		return entry_names(m, cu, die, true, k);
	if (u64map_get(&d->by_origin, (u64)(uintptr_t)origin.addr, &idx)) {
		k->function = d->known[idx].function;
		k->typed_name = d->known[idx].typed_name;
		return 0;
	}
	err = entry_names(m, cu, &origin, true, k);
	/* n_known: where the caller is about to put *k. */
	return err ? err : u64map_put(&d->by_origin, (u64)(uintptr_t)origin.addr, d->n_known);
}

/* Reads a scope's entry into a new struct sym_known; *die is the entry. */
static int learn_scope(struct sym_module *m, struct sym_cu *cu, u64 key, Dwarf_Die *die, bool is_inlined)
{
	struct sym_dwarf *d = &m->dwarf;
	struct sym_known k = {0};
	int err;

	if (ARRAY_ROOM(d->known, d->n_known, &d->cap_known) < 0)
		return -ENOMEM;
	err = is_inlined ? inlined_names(m, cu, die, &k) : entry_names(m, cu, die, false, &k);
	if (!err && is_inlined)
		err = call_line(m, cu, die, &k.call_file, &k.call_line);
	if (!err)
		err = u64map_put(&d->by_scope, key, d->n_known);
	if (err)
		return err;
	d->known[d->n_known++] = k;
	return 0;
}

/* One scope's frame, and where it was called: 1, 0 when its entry cannot be read, -ENOMEM. */
static int scope_frame(struct sym_module *m, struct sym_cu *cu, u32 scope, u64 addr, struct sym_frame *f, struct sym_known *ret)
{
	u64 key = (u64)(cu - m->dwarf.cus) << 32 | scope, idx;
	bool is_known = u64map_get(&m->dwarf.by_scope, key, &idx);
	Dwarf_Die die;
	int err = 0;

	if ((!is_known || !m->dwarf.known[idx].function) &&
	    !dwarf_offdie(dwarf_cu_getdwarf(cu->body.die.cu), cu->scopes.v[scope].die_off, &die))
		return 0;
	if (!is_known) {
		idx = m->dwarf.n_known;
		err = learn_scope(m, cu, key, &die, f->inlined);
	}
	if (err)
		return err;
	*ret = m->dwarf.known[idx];
	f->function = ret->function;
	f->typed_name = ret->typed_name;
	if (!f->function)
		err = name_by_symbol(m, &die, addr, f);
	return err ? err : 1;
}

/* No function entry: assembly, or units that hold lines alone. */
static int lookup_line_only(struct sym_module *m, struct sym_cu *cu, u64 addr, struct sym_frame *ret)
{
	const char *file, *function;
	u32 line;
	int err = innermost_line(m, cu, addr, NULL, &file, &line);

	if (err || !file)
		return err;
	function = sym_symtab_function(m, addr, &err);
	if (err)
		return err;
	if (!function)
		function = sym_intern(m, "??");
	if (!function)
		return -ENOMEM;
	*ret = (struct sym_frame){.function = function, .file = file, .line = line};
	return 1;
}

int sym_dwarf_lookup(struct sym_module *m, u64 addr, struct sym_frame *ret, u32 max)
{
	const struct sym_range *in = sym_ranges_find(&m->dwarf.ranges, addr);
	struct sym_cu *cu = in ? &m->dwarf.cus[in->owner] : NULL;
	u32 scope, line, n = 0;
	const char *file;
	int err;

	if (!cu || !max)
		return 0;
	err = cu_scan(m, cu);
	if (err)
		return err;
	in = sym_ranges_find(&cu->scopes.ranges, addr);
	if (!in)
		/*
		 * A skeleton's lines without its functions would put an inlined function's file beside the outer function's name.
		 */
		return cu->is_missing ? 0 : lookup_line_only(m, cu, addr, ret);
	scope = in->owner;
	err = innermost_line(m, cu, addr, in, &file, &line);
	while (!err && scope != SYM_NO_OWNER && n < max) {
		u32 parent = cu->scopes.v[scope].parent;
		struct sym_known known = {0};
		int found;

		ret[n] = (struct sym_frame){.file = file, .line = line, .inlined = parent != SYM_NO_OWNER};
		found = scope_frame(m, cu, scope, addr, &ret[n], &known);
		if (found <= 0) {
			err = found;
			break;
		}
		file = known.call_file;
		line = known.call_line;
		scope = parent;
		n++;
	}
	for (u32 i = 0; !err && i + 1 < n; i++)
		err = sym_qualify_body(m, &ret[i], &ret[i + 1]);
	return err ? err : (int)n;
}
