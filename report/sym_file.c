/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sym_file.c: see sym_file.h. The file is untrusted: every count and size is bounded before it is used. */
#include "report/sym_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fdio.h"

#define SECTIONS_MAX 65536U
#define NAMES_MAX    ((u64)4 << 20)
#define NOTE_MAX     4096U

/* The section headers and their names. */
struct sections {
	Elf64_Shdr *v;
	char *names; /* NUL behind the last byte */
	u32 n;
	u64 names_size;
};

static void sections_release(struct sections *s)
{
	free(s->v);
	free(s->names);
}

static int read_at(int fd, void *p, size_t n, u64 off)
{
	ssize_t got = off > INT64_MAX - n ? 0 : fd_pread_full(fd, p, n, off);

	if (got < 0)
		return (int)got;
	return (size_t)got == n ? 0 : -ENODATA;
}

static int read_names(int fd, struct sections *s, u32 index)
{
	const Elf64_Shdr *sh = index < s->n ? &s->v[index] : NULL;

	if (!sh || sh->sh_type != SHT_STRTAB || sh->sh_size > NAMES_MAX)
		return -ENODATA;
	s->names = malloc(sh->sh_size + 1);
	if (!s->names)
		return -ENOMEM;
	s->names_size = sh->sh_size;
	s->names[sh->sh_size] = '\0';
	return read_at(fd, s->names, sh->sh_size, sh->sh_offset);
}

/* -ENODATA: there are none, or they make no sense. */
static int read_sections(int fd, const Elf64_Ehdr *e, struct sections *s)
{
	u32 names = e->e_shstrndx;
	Elf64_Shdr first;
	int err;

	if (!e->e_shoff || e->e_shentsize != sizeof(first))
		return -ENODATA;
	err = read_at(fd, &first, sizeof(first), e->e_shoff);
	if (err)
		return err;
	/* More sections than the header's fields hold are counted in the first one. */
	s->n = e->e_shnum ? e->e_shnum : (u32)min_u64(first.sh_size, UINT32_MAX);
	if (names == SHN_XINDEX)
		names = first.sh_link;
	if (!s->n || s->n > SECTIONS_MAX)
		return -ENODATA;
	s->v = calloc(s->n, sizeof(*s->v));
	if (!s->v)
		return -ENOMEM;
	err = read_at(fd, s->v, s->n * sizeof(*s->v), e->e_shoff);
	return err ? err : read_names(fd, s, names);
}

static void hex_of(const u8 *p, size_t n, char *hex)
{
	*hex = '\0';
	for (size_t i = 0; i < n && i < ELFID_MAX_BYTES; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", p[i]);
}

/* A name, NUL, and what comes behind it: *ret_rest, *ret_n. -ENODATA when it does not fit. */
static int read_link(int fd, const Elf64_Shdr *sh, char name[SYM_LINK_LEN], u8 *rest, size_t max, size_t *ret_n)
{
	u8 b[SYM_LINK_LEN + ELFID_MAX_BYTES];
	size_t n = (size_t)min_u64(sh->sh_size, sizeof(b)), len;
	int err;

	if (sh->sh_size > sizeof(b) || sh->sh_type == SHT_NOBITS || (sh->sh_flags & SHF_COMPRESSED))
		return -ENODATA;
	err = read_at(fd, b, n, sh->sh_offset);
	if (err)
		return err;
	len = strnlen((const char *)b, n);
	if (!len || len >= SYM_LINK_LEN || len == n || n - len - 1 > max)
		return -ENODATA;
	memcpy(name, b, len + 1);
	memcpy(rest, b + len + 1, n - len - 1);
	*ret_n = n - len - 1;
	return 0;
}

/* .gnu_debuglink: name, NUL, padding to 4, CRC-32. */
static void read_debuglink(int fd, const Elf64_Shdr *sh, struct sym_file *f)
{
	u8 rest[8];
	size_t n, len;

	if (read_link(fd, sh, f->link, rest, sizeof(rest) - 1, &n))
		f->link[0] = '\0';
	if (!f->link[0])
		return;
	len = (4 - (strlen(f->link) + 1) % 4) % 4;
	if (n != len + 4 || strchr(f->link, '/')) /* a plain name is all that any tool writes */
		f->link[0] = '\0';
	else
		f->link_crc = (u32)rest[len] | (u32)rest[len + 1] << 8 | (u32)rest[len + 2] << 16 | (u32)rest[len + 3] << 24;
}

/* .gnu_debugaltlink: path, NUL, build-id. */
static void read_altlink(int fd, const Elf64_Shdr *sh, struct sym_file *f)
{
	u8 id[ELFID_MAX_BYTES];
	size_t n;

	if (read_link(fd, sh, f->alt, id, sizeof(id), &n) || !n)
		f->alt[0] = '\0';
	else
		hex_of(id, n, f->alt_id);
}

/* A file of debug information alone (objcopy --only-keep-debug) keeps the note, but not where its program header says. */
static void read_note_section(int fd, const Elf64_Shdr *sh, struct sym_file *f)
{
	u8 b[NOTE_MAX];
	Elf64_Nhdr h;

	if (sh->sh_type != SHT_NOTE || sh->sh_size < sizeof(h) + 4 || sh->sh_size > sizeof(b) ||
	    read_at(fd, b, sh->sh_size, sh->sh_offset))
		return;
	memcpy(&h, b, sizeof(h));
	if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 && !memcmp(b + sizeof(h), "GNU", 4) && h.n_descsz <= ELFID_MAX_BYTES &&
	    h.n_descsz <= sh->sh_size - sizeof(h) - 4)
		hex_of(b + sizeof(h) + 4, h.n_descsz, f->build_id);
}

static void look_at_section(int fd, const Elf64_Shdr *sh, const char *name, struct sym_file *f)
{
	bool has_bytes = sh->sh_type != SHT_NOBITS && sh->sh_size;

	if (!has_bytes)
		return;
	if (sh->sh_flags & SHF_EXECINSTR)
		f->has_code = true;
	if (sh->sh_type == SHT_SYMTAB)
		f->has_symtab = true;
	else if (!strcmp(name, ".debug_info") || !strcmp(name, ".zdebug_info"))
		f->has_dwarf = true;
	else if (!strcmp(name, ".debug_addr"))
		f->has_addr = true;
	else if (!strcmp(name, ".debug_info.dwo") || !strcmp(name, ".zdebug_info.dwo"))
		f->has_split = true;
	else if (!strcmp(name, ".debug_cu_index"))
		f->is_package = true;
	else if (!strcmp(name, ".gnu_debuglink"))
		read_debuglink(fd, sh, f);
	else if (!strcmp(name, ".gnu_debugaltlink"))
		read_altlink(fd, sh, f);
	else if (!f->build_id[0] && !strcmp(name, ".note.gnu.build-id"))
		read_note_section(fd, sh, f);
}

static int look_at_sections(int fd, const Elf64_Ehdr *e, struct sym_file *f)
{
	_cleanup_(sections_release) struct sections s = {0};
	int err = read_sections(fd, e, &s);

	if (err) {
		f->has_code = true; /* a program needs no sections to run */
		return err == -ENODATA ? 0 : err;
	}
	for (u32 i = 1; i < s.n; i++)
		if (s.v[i].sh_name < s.names_size)
			look_at_section(fd, &s.v[i], s.names + s.v[i].sh_name, f);
	return 0;
}

int sym_file_read(int fd, struct sym_file *ret)
{
	Elf64_Ehdr e = {0};
	int err;

	*ret = (struct sym_file){0};
	err = read_at(fd, &e, EI_NIDENT, 0);
	if (err || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
		return err && err != -ENODATA ? err : -ENOEXEC;
	err = fmt_file_id(fd, ret->file_id);
	if (err)
		return err;
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB || read_at(fd, &e, sizeof(e), 0)) {
		ret->has_code = ret->has_dwarf = ret->has_symtab = true;
		return 0;
	}
	err = elf_build_id(fd, ret->build_id);
	if (err) {
		ret->build_id[0] = '\0';
		if (err != -ENODATA && err != -ENOEXEC)
			return err;
	}
	return look_at_sections(fd, &e, ret);
}

/* The path may be a stranger's: of a device the opening alone does something (a watchdog starts, a tape is wound back), so it is looked at first. */
static int open_regular(const char *path, const char **ret_why)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		/* O_NONBLOCK: if it has become a fifo since, that must not hang the report. */
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd < 0 || fstat(fd, &st) < 0)
			return -errno;
	}
	if (S_ISREG(st.st_mode))
		return TAKE_FD(fd);
	*ret_why = "not a regular file";
	return -ENOEXEC;
}

int sym_file_open(const char *path, struct sym_file *ret, const char **reterr_why)
{
	const char *why = "cannot be read";
	_cleanup_close_ int fd = open_regular(path, &why);
	int err = fd < 0 ? fd : sym_file_read(fd, ret);

	if (fd >= 0 && err == -ENOEXEC)
		why = "not an ELF file";
	if (err && reterr_why)
		*reterr_why = why;
	return err ? err : TAKE_FD(fd);
}

int sym_file_crc(int fd, u32 *ret)
{
	_cleanup_free_ u8 *b = malloc(1 << 16);
	u32 table[256], crc = UINT32_MAX;
	u64 off = 0;
	struct stat st;
	ssize_t n;

	if (!b)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (u64)st.st_size > SYM_CRC_MAX)
		return -EFBIG;
	for (u32 i = 0; i < ARRAY_SIZE(table); i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320U : 0);
	}
	/* one that grows meanwhile ends there, too */
	while (off <= SYM_CRC_MAX && (n = fd_pread_full(fd, b, 1 << 16, off)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			crc = crc >> 8 ^ table[(crc ^ b[i]) & 0xff];
		off += (u64)n;
	}
	if (n)
		return n < 0 ? (int)n : -EFBIG;
	*ret = ~crc;
	return 0;
}

bool sym_file_is(const struct sym_file *f, const char *build_id, const char *file_id)
{
	if (build_id && *build_id)
		return f->build_id[0] && strcasecmp(f->build_id, build_id) == 0;
	return file_id && *file_id && strcasecmp(f->file_id, file_id) == 0;
}
