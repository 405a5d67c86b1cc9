/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_elf.c: opens an ELF file and reads what needs no section headers: load segments and the build-id note. Used by sym_module.c.
 * Invariant: after sym_elf_open() every segment lies inside the file and neither its addresses nor its offsets wrap.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "report/sym_impl.h"

#define NOTES_MAX ((size_t)1 << 20)

static u32 read_u32(const u8 *p, bool is_big)
{
	u32 le = (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;

	return is_big ? __builtin_bswap32(le) : le;
}

static size_t align_up(size_t n, size_t align)
{
	return (n + align - 1) & ~(align - 1);
}

/* ELF gABI, "Note Section": namesz, descsz, type, name, desc, the last two padded. Sizes are 32 bit, so that sums fit a size_t. */
static void notes_find_build_id(struct sym_elf *e, const u8 *p, size_t n, size_t align)
{
	size_t pos = 0;

	while (n - pos >= 12) {
		size_t name_sz = read_u32(p + pos, e->is_big), desc_sz = read_u32(p + pos + 4, e->is_big);
		u32 type = read_u32(p + pos + 8, e->is_big);
		size_t desc = align_up(pos + 12 + name_sz, align);
		size_t next = align_up(desc + desc_sz, align);

		if (desc > n || desc_sz > n - desc)
			return;
		if (type == NT_GNU_BUILD_ID && name_sz == 4 && !memcmp(p + pos + 12, "GNU", 4) && desc_sz &&
		    desc_sz <= SYM_BUILD_ID_MAX) {
			memcpy(e->build_id, p + desc, desc_sz);
			e->build_id_len = (u32)desc_sz;
			return;
		}
		if (next > n)
			return;
		pos = next;
	}
}

static int read_notes(struct sym_elf *e, u64 off, u64 size, u64 align)
{
	_cleanup_free_ u8 *notes = NULL;
	ssize_t n;

	if (e->build_id_len || !size || size > NOTES_MAX)
		return 0;
	notes = malloc(size);
	if (!notes)
		return -ENOMEM;
	n = fd_pread_full(e->fd, notes, size, off);
	if (n > 0)
		notes_find_build_id(e, notes, (size_t)n, align == 8 ? 8 : 4);
	return 0;
}

/*
 * A file of debug information alone: where the segment was in the file whose code was taken out. eu-strip keeps what its program
 * header said (is_kept); objcopy keeps of it p_memsz. Linkers put a segment at the next offset that is as far behind a page
 * boundary as its address (seen with GNU ld 2.40 and LLD).
 */
static void add_emptied_segment(struct sym_elf *e, const GElf_Phdr *ph, bool is_kept, u64 *end)
{
	u64 align = ph->p_align && !(ph->p_align & (ph->p_align - 1)) ? ph->p_align : 1;
	u64 off = is_kept ? ph->p_offset : *end + ((ph->p_vaddr - *end) & (align - 1));
	u64 size = min_u64(ph->p_memsz, UINT64_MAX - ph->p_vaddr);

	if (e->n_segments == SYM_MAX_SEGMENTS || !size || off > INT64_MAX || size > INT64_MAX)
		return;
	e->segments[e->n_segments++] =
		(struct sym_segment){.addr = ph->p_vaddr, .off = off, .size = size, .is_exec = ph->p_flags & PF_X};
	*end = off + size;
}

static void add_segment(struct sym_elf *e, const GElf_Phdr *ph)
{
	u64 size = ph->p_filesz;

	if (e->n_segments == SYM_MAX_SEGMENTS || ph->p_offset >= e->size)
		return;
	size = min_u64(size, e->size - ph->p_offset);
	size = min_u64(size, UINT64_MAX - ph->p_vaddr);
	if (!size)
		return;
	e->segments[e->n_segments++] = (struct sym_segment){
		.addr = ph->p_vaddr,
		.off = ph->p_offset,
		.size = size,
		.is_exec = ph->p_flags & PF_X,
	};
}

/* True when the sections with machine code have no bytes: a file of debug information alone. */
static bool is_emptied(const struct sym_elf *e)
{
	Elf_Scn *scn = NULL;
	bool has_any = false;

	while ((scn = elf_nextscn(e->elf, scn))) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_EXECINSTR))
			continue;
		if (sh.sh_type != SHT_NOBITS)
			return false;
		has_any = true;
	}
	return has_any;
}

/* True when the program headers of such a file still tell what was in the code's file. */
static bool has_kept_headers(const struct sym_elf *e, size_t n)
{
	for (size_t i = 0; i < n && i < UINT16_MAX; i++) {
		GElf_Phdr ph;

		if (gelf_getphdr(e->elf, (int)i, &ph) && ph.p_type == PT_LOAD && (ph.p_flags & PF_X) && !ph.p_filesz)
			return false;
	}
	return true;
}

static int read_segments(struct sym_elf *e)
{
	bool emptied = is_emptied(e);
	bool is_kept;
	u64 end = 0;
	size_t n;

	if (elf_getphdrnum(e->elf, &n))
		return -ENOEXEC;
	is_kept = has_kept_headers(e, n);
	for (size_t i = 0; i < n && i < UINT16_MAX; i++) {
		GElf_Phdr ph;
		int err = 0;

		if (!gelf_getphdr(e->elf, (int)i, &ph))
			continue;
		if (ph.p_type == PT_LOAD && emptied)
			add_emptied_segment(e, &ph, is_kept, &end);
		else if (ph.p_type == PT_LOAD)
			add_segment(e, &ph);
		else if (ph.p_type == PT_NOTE)
			err = read_notes(e, ph.p_offset, ph.p_filesz, ph.p_align);
		if (err)
			return err;
	}
	return 0;
}

/* A file of debug information alone (objcopy --only-keep-debug) keeps the note, but not where its program header says. */
static int read_note_section(struct sym_elf *e)
{
	Elf_Scn *scn = e->build_id_len ? NULL : sym_elf_section(e, ".note.gnu.build-id");
	GElf_Shdr sh;

	if (!scn || !gelf_getshdr(scn, &sh) || sh.sh_type != SHT_NOTE)
		return 0;
	return read_notes(e, sh.sh_offset, sh.sh_size, sh.sh_addralign);
}

static int open_regular(int from, u64 *ret_size, const char **ret_why)
{
	_cleanup_close_ int fd = fcntl(from, F_DUPFD_CLOEXEC, 0);
	struct stat st;

	*ret_why = "cannot be opened";
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		return -errno;
	*ret_why = "not a regular file";
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	*ret_size = (u64)st.st_size;
	return TAKE_FD(fd);
}

static int open_elf(struct sym_elf *e, int fd, const char **ret_why)
{
	GElf_Ehdr eh;
	int err;

	e->fd = open_regular(fd, &e->size, ret_why);
	if (e->fd < 0)
		return e->fd;
	*ret_why = "not an ELF file";
	(void)elf_version(EV_CURRENT);
	e->elf = elf_begin(e->fd, ELF_C_READ_MMAP, NULL);
	if (!e->elf || elf_kind(e->elf) != ELF_K_ELF || !gelf_getehdr(e->elf, &eh))
		return -ENOEXEC;
	*ret_why = "neither a program nor a shared library";
	if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
		return -ENOEXEC;
	e->elf_class = gelf_getclass(e->elf);
	e->machine = eh.e_machine;
	e->is_big = eh.e_ident[EI_DATA] == ELFDATA2MSB;
	*ret_why = "its program headers cannot be read";
	err = read_segments(e);
	return err ? err : read_note_section(e);
}

int sym_elf_open(struct sym_elf *e, int fd, const char **reterr_why)
{
	const char *why = NULL;
	int err;

	*e = (struct sym_elf){.fd = -1};
	err = open_elf(e, fd, &why);
	if (err) {
		if (reterr_why)
			*reterr_why = err == -ENOMEM ? "out of memory" : why;
		sym_elf_release(e);
	}
	return err;
}

void sym_elf_release(struct sym_elf *e)
{
	if (e->elf)
		(void)elf_end(e->elf);
	if (e->fd >= 0)
		(void)close(e->fd);
	*e = (struct sym_elf){.fd = -1};
}

Elf_Scn *sym_elf_section(const struct sym_elf *e, const char *name)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(e->elf, &names))
		return NULL;
	while ((scn = elf_nextscn(e->elf, scn))) {
		GElf_Shdr sh;
		const char *s;

		if (!gelf_getshdr(scn, &sh))
			continue;
		s = elf_strptr(e->elf, names, sh.sh_name);
		if (s && !strcmp(s, name))
			return scn;
	}
	return NULL;
}

bool sym_elf_addr_of(const struct sym_elf *e, u64 file_off, u64 *ret_addr)
{
	/* Executable segments first: linkers let neighbouring segments share a page of the file. */
	for (int want_exec = 1; want_exec >= 0; want_exec--)
		for (u32 i = 0; i < e->n_segments; i++) {
			const struct sym_segment *s = &e->segments[i];

			if (s->is_exec != !!want_exec || file_off < s->off || file_off - s->off >= s->size)
				continue;
			*ret_addr = s->addr + (file_off - s->off);
			return true;
		}
	return false;
}

u64 sym_elf_exec_end(const struct sym_elf *e, u64 addr)
{
	for (u32 i = 0; i < e->n_segments; i++) {
		const struct sym_segment *s = &e->segments[i];

		if (s->is_exec && addr >= s->addr && addr - s->addr < s->size)
			return s->addr + s->size;
	}
	return 0;
}
