/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_module.c: the public face of the symbolizer (sym.h): DWARF where it knows the address, else the symbol table.
 * Invariant: every string in a struct sym_frame is in m->strings.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "format/fmt_file_id.h"
#include "report/sym_impl.h"

const struct sym_elf *sym_module_dwarf_elf(const struct sym_module *m)
{
	return m->debug ? m->debug : &m->elf;
}

/* The functions of .symtab are all of them, those of .dynsym only what others may call: what was stripped is in the other file. */
static int read_symtab(struct sym_module *m)
{
	int err = m->debug ? sym_symtab_read(&m->symtab, m->debug) : 0;

	return err || m->symtab.n ? err : sym_symtab_read(&m->symtab, &m->elf);
}

static int open_debug(struct sym_module *m, int fd, const char **reterr_why)
{
	int err;

	m->debug = calloc(1, sizeof(*m->debug));
	if (!m->debug)
		return -ENOMEM;
	err = sym_elf_open(m->debug, fd, reterr_why);
	if (err)
		return err;
	memcpy(m->debug->segments, m->elf.segments, sizeof(m->debug->segments));
	m->debug->n_segments = m->elf.n_segments;
	return 0;
}

/*
 * A supplementary file that cannot be read costs the names that are in it. Where there is none an empty one stands in for it:
 * dwarf_getalt(3) of libdw 0.188 would look for the file by the name in .gnu_debugaltlink, which may be any.
 */
static int open_alt(struct sym_module *m, int fd)
{
	static const u8 nothing[1];
	const struct sym_image_section s = {".debug_str", {nothing, sizeof(nothing)}};
	int err;

	if (!m->dwarf.dbg || !sym_elf_section(sym_module_dwarf_elf(m), ".gnu_debugaltlink"))
		return 0;
	if (fd >= 0) {
		m->alt_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (m->alt_fd < 0)
			return -errno;
		m->alt = dwarf_begin(m->alt_fd, DWARF_C_READ);
	}
	if (m->alt) {
		dwarf_setalt(m->dwarf.dbg, m->alt);
		return 0;
	}
	err = sym_image_make(&m->no_alt, &m->elf, &s, 1);
	if (!err)
		dwarf_setalt(m->dwarf.dbg, m->no_alt.dbg);
	return err == -ENOMEM ? err : 0;
}

static int module_read(struct sym_module *m, const struct sym_input *in, const char **reterr_why)
{
	int err = sym_elf_open(&m->elf, in->fd, reterr_why);

	if (!err && in->debug_fd >= 0)
		err = open_debug(m, in->debug_fd, reterr_why);
	if (err)
		return err;
	if (reterr_why)
		*reterr_why = "out of memory";
	m->strings = strtab_new();
	if (!m->strings)
		return -ENOMEM;
	err = read_symtab(m);
	if (!err)
		err = sym_dwarf_open(&m->dwarf, sym_module_dwarf_elf(m));
	if (!err)
		err = open_alt(m, in->alt_fd);
	return err;
}

int sym_module_open(const char *path, struct sym_module **ret, const char **reterr_why)
{
	/* O_NONBLOCK: a fifo of that name must not hang the report. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct sym_input in = {.fd = fd, .debug_fd = -1, .alt_fd = -1};

	if (fd < 0 && reterr_why)
		*reterr_why = "cannot be opened";
	return fd < 0 ? -errno : sym_module_open_fd(&in, ret, reterr_why);
}

int sym_module_open_fd(const struct sym_input *in, struct sym_module **ret, const char **reterr_why)
{
	struct sym_module *m = calloc(1, sizeof(*m));
	int err;

	if (!m) {
		if (reterr_why)
			*reterr_why = "out of memory";
		return -ENOMEM;
	}
	m->elf.fd = m->alt_fd = -1;
	m->from = *in;
	err = module_read(m, in, reterr_why);
	if (err) {
		(void)sym_module_close(m);
		return err;
	}
	*ret = m;
	return 0;
}

struct sym_module *sym_module_close(struct sym_module *m)
{
	if (!m)
		return NULL;
	sym_dwarf_release(&m->dwarf);
	sym_splits_release(m);
	sym_symtab_release(&m->symtab);
	if (m->alt)
		(void)dwarf_end(m->alt);
	sym_image_release(&m->no_alt);
	if (m->alt_fd >= 0)
		(void)close(m->alt_fd);
	if (m->debug)
		sym_elf_release(m->debug);
	free(m->debug);
	sym_elf_release(&m->elf);
	(void)strtab_free(m->strings);
	m->tasks = sym_tasks_free(m->tasks);
	free(m);
	return NULL;
}

int sym_module_build_id(const struct sym_module *m, char *buf)
{
	if (!m->elf.build_id_len)
		return -ENODATA;
	for (u32 i = 0; i < m->elf.build_id_len; i++)
		(void)snprintf(buf + 2 * (size_t)i, 3, "%02x", m->elf.build_id[i]);
	return 0;
}

u32 sym_module_split_missing(const struct sym_module *m)
{
	return m->split_missing;
}

int sym_module_file_id(const struct sym_module *m, char *buf)
{
	return fmt_file_id(m->elf.fd, buf);
}

enum sym_source sym_module_source(const struct sym_module *m)
{
	if (sym_dwarf_code_size(&m->dwarf, m->from.open_split != NULL))
		return SYM_DWARF;
	return m->symtab.n ? SYM_SYMTAB : SYM_NONE;
}

u32 sym_module_dwarf_percent(const struct sym_module *m)
{
	u64 code = 0, known = sym_dwarf_code_size(&m->dwarf, m->from.open_split != NULL);

	for (u32 i = 0; i < m->elf.n_segments; i++)
		if (m->elf.segments[i].is_exec)
			code += min_u64(m->elf.segments[i].size, UINT64_MAX / 256);
	return code ? (u32)min_u64(100, min_u64(known, UINT64_MAX / 100) * 100 / code) : 0;
}

int sym_module_lookup(struct sym_module *m, u64 file_off, bool is_return, struct sym_frame *ret, u32 max)
{
	const char *function;
	u64 addr;
	int n;

	if (!max || (is_return && !file_off) || !sym_elf_addr_of(&m->elf, file_off - is_return, &addr))
		return 0;
	n = sym_dwarf_lookup(m, addr, ret, min_u64(max, SYM_MAX_INLINE));
	if (n)
		return n;
	function = sym_symtab_function(m, addr, &n);
	if (!function)
		return n;
	*ret = (struct sym_frame){.function = function};
	return 1;
}
