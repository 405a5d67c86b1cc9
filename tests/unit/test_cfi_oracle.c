/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_cfi_oracle.c: the unwind tables of real files against libdw, which interprets the same .eh_frame on its own: at the first and the last byte of every row
 * that libdw tells apart, and UW_END inside every gap between FDEs.
 *
 * ASCOPE_CFI_CORPUS names more files, separated by colons; ASCOPE_CFI_VERBOSE prints a line per file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <dirent.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "base/base.h"
#include "record/unwind_module.h"

enum { RBP = 6, RSP = 7, RA = 16, SHOWN = 10 };

struct fde {
	u64 start, end;
};

/* One file, both ways. */
struct oracle {
	const char *name;
	Elf *elf;
	Dwarf_CFI *cfi;	      /* .eh_frame */
	Dwarf_CFI *debug_cfi; /* .debug_frame; NULL none. Owned by dw, and that by check_elf(). */
	struct unwind_module m;
	struct fde *fdes;
	u32 n_fdes, cap_fdes;
	u64 points, gaps, debug_points, in_plts, known_code, mismatches;
	u32 next_row; /* the first row of ours behind the gap before */
};

/* ---- what libdw says ---- */

/* How libdw describes the place of a register. */
struct place {
	enum { UNDEFINED, SAME, CFA_OFF, IS_CFA, REG_OFF, IN_REG, ELSE } is;
	u64 reg;
	s64 off;
};

/* "the caller's register is saved at `reg + off`", as libdw gives an expression: the CFA is pushed first, for it to use. */
static bool saved_at_breg(const Dwarf_Op *ops, size_t n, struct place *p)
{
	if (n && ops[0].atom == DW_OP_call_frame_cfa) {
		ops++;
		n--;
	}
	if (n != 1 || ops[0].atom < DW_OP_breg0 || ops[0].atom > DW_OP_breg31)
		return false;
	*p = (struct place){REG_OFF, (u64)(ops[0].atom - DW_OP_breg0), (s64)ops[0].number};
	return true;
}

static struct place place_of(Dwarf_Frame *frame, int reg)
{
	Dwarf_Op mem[3], *ops;
	struct place p = {.is = ELSE};
	size_t n;

	if (dwarf_frame_register(frame, reg, mem, &ops, &n) != 0)
		return p;
	if (!n)
		return (struct place){.is = ops ? UNDEFINED : SAME};
	if (n <= 2 && ops[0].atom == DW_OP_call_frame_cfa) {
		if (n == 1)
			return (struct place){.is = CFA_OFF};
		if (ops[1].atom == DW_OP_plus_uconst)
			return (struct place){.is = CFA_OFF, .off = (s64)ops[1].number};
		if (ops[1].atom == DW_OP_stack_value)
			return (struct place){.is = IS_CFA};
	}
	if (n == 1 && ops[0].atom == DW_OP_regx)
		return (struct place){IN_REG, ops[0].number, 0};
	(void)saved_at_breg(ops, n, &p);
	return p;
}

static bool is_plt_expression(const Dwarf_Op *ops, size_t n, u32 *ret_threshold)
{
	static const u8 atoms[] = {DW_OP_breg7, DW_OP_breg16, DW_OP_lit15, DW_OP_and, 0,
				   DW_OP_ge,	DW_OP_lit3,   DW_OP_shl,   DW_OP_plus};

	if (n != ARRAY_SIZE(atoms) || ops[0].number != 8 || ops[1].number != 0 || ops[4].atom < DW_OP_lit0 ||
	    ops[4].atom > DW_OP_lit15)
		return false;
	for (size_t i = 0; i < n; i++)
		if (atoms[i] && ops[i].atom != atoms[i])
			return false;
	*ret_threshold = (u32)(ops[4].atom - DW_OP_lit0);
	return true;
}

/* *(rsp + offset + register * 8) + 8 */
static bool is_array_expression(const Dwarf_Op *ops, size_t n)
{
	return n == 7 && ops[0].atom == DW_OP_breg7 && ops[1].atom >= DW_OP_breg0 && ops[1].atom <= DW_OP_breg15 &&
	       !ops[1].number && ops[2].atom == DW_OP_lit8 && ops[3].atom == DW_OP_mul && ops[4].atom == DW_OP_plus &&
	       ops[5].atom == DW_OP_deref && ops[6].atom == DW_OP_plus_uconst && ops[6].number == 8;
}

/* A rule that names a register. */
static u32 fitting_reg(enum uw_kind kind, s64 fp, u64 reg, s64 off)
{
	if (reg > 15 || fp % 8 || off % 8 || fp / 8 < -128 || fp / 8 > 127 || off / 8 < -(1 << 15) || off / 8 >= 1 << 15)
		return UW_BAD;
	return uw_rule_with_reg(kind, (s32)(fp / 8), (u32)reg, (s32)(off / 8));
}

/* The rule if bytes fit into its fields, else UW_BAD. */
static u32 fitting(enum uw_kind kind, s64 fp, s64 cfa)
{
	if (fp % 8 || cfa % 8 || fp / 8 < -128 || fp / 8 > 127 || cfa / 8 < -(1 << 19) || cfa / 8 >= 1 << 19)
		return UW_BAD;
	return uw_rule(kind, (s32)(fp / 8), (s32)(cfa / 8));
}

/* CFA = *(reg + off) + add */
static u32 deref_rule(u64 reg, s64 off, u64 add, const struct place *fp, s64 fp_off)
{
	if (reg == RBP && !add && fp->is == REG_OFF && fp->reg == RBP && !fp->off)
		return fitting(UW_DEREF_FP, 0, off);
	if (reg == RSP && add && add % 8 == 0 && (fp->is == SAME || fp_off))
		return fitting_reg(UW_DEREF_SP, fp_off, add / 8, off);
	return UW_BAD;
}

/* CFA = reg + off, and rbp is said to be saved where it points. */
static u32 realigned_rule(u64 reg, s64 off)
{
	if (reg == RSP)
		return off == 8 ? uw_rule(UW_SP, 0, 1) : UW_BAD;
	return reg == RBP ? UW_BAD : fitting_reg(UW_REG_FP, 0, reg, off);
}

static u32 rule_of(Dwarf_Frame *frame, bool signal)
{
	struct place fp = place_of(frame, RBP), sp = place_of(frame, RSP), ra = place_of(frame, RA);
	s64 fp_off = fp.is == CFA_OFF ? fp.off : 0;
	u32 threshold;
	Dwarf_Op *ops;
	size_t n;

	if (dwarf_frame_cfa(frame, &ops, &n) != 0)
		return UW_BAD;
	if (signal) /* of a glibc trampoline: the saved rip is in the signal frame */
		return ra.is == REG_OFF && ra.reg == RSP && ra.off == 168 ? UW_SIGNAL : UW_BAD;
	if (ra.is == UNDEFINED)
		return UW_STOP;
	if (ra.is == IN_REG)
		return n == 1 && ops[0].atom == DW_OP_bregx && ops[0].number == RSP && fp.is == SAME && sp.is == IS_CFA
			       ? fitting_reg(UW_RA_REG, 0, ra.reg, (s64)ops[0].number2)
			       : UW_BAD;
	if (ra.is != CFA_OFF || ra.off != -8 || sp.is != IS_CFA)
		return UW_BAD;
	if (n >= 2 && ops[1].atom == DW_OP_deref && (n == 2 || (n == 3 && ops[2].atom == DW_OP_plus_uconst)))
		return deref_rule((u64)(ops[0].atom - DW_OP_breg0), (s64)ops[0].number, n == 3 ? ops[2].number : 0, &fp, fp_off);
	if (n == 1 && ops[0].atom == DW_OP_bregx && fp.is == REG_OFF && fp.reg == RBP && !fp.off)
		return realigned_rule(ops[0].number, (s64)ops[0].number2);
	if (fp.is != SAME && !fp_off)
		return UW_BAD;
	if (is_array_expression(ops, n))
		return fitting_reg(UW_DEREF_AT, fp_off, (u64)(ops[1].atom - DW_OP_breg0), (s64)ops[0].number);
	if (is_plt_expression(ops, n, &threshold))
		return fp_off ? UW_BAD : uw_rule(UW_PLT, 0, (s32)threshold);
	if (n == 1 && ops[0].atom == DW_OP_bregx && (ops[0].number == RSP || ops[0].number == RBP))
		return fitting(ops[0].number == RSP ? UW_SP : UW_FP, fp_off, (s64)ops[0].number2);
	if (n == 1 && ops[0].atom == DW_OP_bregx)
		return fitting_reg(UW_REG, fp_off, ops[0].number, (s64)ops[0].number2);
	return UW_BAD;
}

/* ---- what we say ---- */

static u32 our_rule(const struct unwind_module *m, u64 vaddr)
{
	u64 key = (vaddr - m->base) << 32 | UINT32_MAX;
	u32 lo = 0, hi = m->rows.n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (m->rows.rows[mid] <= key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? (u32)m->rows.rows[lo - 1] : UW_END;
}

static void mismatch(struct oracle *o, u64 vaddr, u32 ours, u32 theirs)
{
	if (o->mismatches++ < SHOWN)
		print_error("%s %#llx: ours kind %u cfa %lld fp %lld, libdw kind %u cfa %lld fp %lld\n", o->name,
			    (unsigned long long)vaddr, ours & 15, (long long)uw_rule_cfa(ours), (long long)uw_rule_fp(ours),
			    theirs & 15, (long long)uw_rule_cfa(theirs), (long long)uw_rule_fp(theirs));
}

static void compare(struct oracle *o, u64 vaddr, u32 theirs)
{
	u32 ours = our_rule(&o->m, vaddr);

	o->points++;
	if (ours != theirs)
		mismatch(o, vaddr, ours, theirs);
}

static bool is_code(const struct oracle *o, u64 vaddr)
{
	for (u32 i = 0; i < o->m.n_segments; i++)
		if (vaddr - o->m.segments[i].vaddr < o->m.segments[i].file_size)
			return true;
	return false;
}

static bool in_plt(const struct oracle *o, u64 vaddr)
{
	Elf_Scn *scn = NULL;
	size_t shstrndx;
	GElf_Shdr sh;

	assert_int_equal(elf_getshdrstrndx(o->elf, &shstrndx), 0);
	while ((scn = elf_nextscn(o->elf, scn)) && gelf_getshdr(scn, &sh)) {
		const char *name = elf_strptr(o->elf, shstrndx, sh.sh_name);

		if (sh.sh_flags & SHF_EXECINSTR && vaddr - sh.sh_addr < sh.sh_size)
			return name && (!strncmp(name, ".plt", 4) || !strcmp(name, ".iplt"));
	}
	return false;
}

/* As in glibc's clone and clone3. */
static bool is_syscall(const struct oracle *o, u64 vaddr)
{
	size_t size;
	const char *file = elf_rawfile(o->elf, &size);

	for (u32 i = 0; i < o->m.n_segments; i++) {
		const struct unwind_segment *s = &o->m.segments[i];
		u64 off = s->file_off + vaddr - s->vaddr;

		if (vaddr - s->vaddr < s->file_size && off + 2 <= size)
			return file[off] == 0x0f && file[off + 1] == 0x05;
	}
	return false;
}

/*
 * Where .eh_frame has no FDE there is what .debug_frame says, a PLT stub, or one of the few places that unwind_extra.c knows by their code: in glibc two system calls, in musl two where
 * frames end and one where signal handlers return to.
 */
static void compare_in_gap(struct oracle *o, u64 vaddr)
{
	u32 ours = our_rule(&o->m, vaddr), theirs = UW_END;
	Dwarf_Frame *frame;
	bool signal;

	if (ours == UW_STOP || ours == UW_SIGNAL || (ours == uw_rule(UW_SP, 0, 1) && is_syscall(o, vaddr))) {
		o->known_code++;
		return;
	}
	if (o->debug_cfi && is_code(o, vaddr) && dwarf_cfi_addrframe(o->debug_cfi, vaddr, &frame) == 0) {
		assert_int_equal(dwarf_frame_info(frame, NULL, NULL, &signal), RA);
		theirs = rule_of(frame, signal);
		free(frame);
		o->debug_points++;
	} else if (ours != UW_END && in_plt(o, vaddr)) {
		o->in_plts++;
		return;
	}
	if (ours != theirs)
		mismatch(o, vaddr, ours, theirs);
}

static void compare_gap(struct oracle *o, u64 start, u64 end)
{
	u64 from = (start - o->m.base) << 32, to = (end - o->m.base) << 32;

	o->gaps++;
	compare_in_gap(o, start);
	compare_in_gap(o, start + (end - start) / 2);
	compare_in_gap(o, end - 1);
	while (o->next_row < o->m.rows.n && o->m.rows.rows[o->next_row] < from)
		o->next_row++;
	for (; o->next_row < o->m.rows.n && o->m.rows.rows[o->next_row] < to; o->next_row++)
		compare_in_gap(o, o->m.base + (o->m.rows.rows[o->next_row] >> 32));
}

/* ---- all of a file ---- */

static void add_fde(struct oracle *o, u64 start, u64 end)
{
	if (o->n_fdes == o->cap_fdes) {
		o->cap_fdes = o->cap_fdes ? 2 * o->cap_fdes : 1024;
		o->fdes = realloc(o->fdes, o->cap_fdes * sizeof(*o->fdes));
		assert_non_null(o->fdes);
	}
	o->fdes[o->n_fdes++] = (struct fde){start, end};
}

/* Offset of a CIE's pointer encoding: all letters of an augmentation that linkers write in front of R have data of known size. */
static u8 encoding_of(const Dwarf_CIE *cie)
{
	const u8 *data = cie->augmentation_data;

	for (const char *a = cie->augmentation; *a; a++) {
		if (*a == 'R')
			return *data;
		if (*a == 'L')
			data++;
		else if (*a == 'P')
			data += (*data & 7) == 3 ? 5 : 9;
	}
	return 0;
}

static void collect_fdes(struct oracle *o)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(o->elf, NULL);
	size_t shstrndx;
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	Elf_Data *data;

	assert_int_equal(elf_getshdrstrndx(o->elf, &shstrndx), 0);
	while ((scn = elf_nextscn(o->elf, scn)) && gelf_getshdr(scn, &sh))
		if (!strcmp(elf_strptr(o->elf, shstrndx, sh.sh_name), ".eh_frame") && sh.sh_type != SHT_NOBITS)
			break;
	if (!scn)
		return;
	data = elf_rawdata(scn, NULL);
	assert_non_null(data);
	for (Dwarf_Off off = 0, next; off != (Dwarf_Off)-1; off = next) {
		Dwarf_CFI_Entry entry, cie;
		Dwarf_Off unused;
		u8 encoding;
		s32 words[2];
		u64 start;

		if (dwarf_next_cfi(ident, data, true, off, &next, &entry) != 0)
			break;
		if (dwarf_cfi_cie_p(&entry))
			continue;
		assert_int_equal(dwarf_next_cfi(ident, data, true, entry.fde.CIE_pointer, &unused, &cie), 0);
		encoding = encoding_of(&cie.cie);
		if (encoding != 0x1b && encoding != 0x03) /* pcrel sdata4; udata4: all that the corpus has */
			fail_msg("%s: FDEs in encoding %#x", o->name, encoding);
		memcpy(words, entry.fde.start, sizeof(words));
		start = encoding == 0x03 ? (u32)words[0]
					 : sh.sh_addr + (u64)(entry.fde.start - (const u8 *)data->d_buf) + (u64)(s64)words[0];
		if (words[1] > 0 && is_code(o, start))
			add_fde(o, start, start + (u32)words[1]);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct fde *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void compare_fde(struct oracle *o, u64 start, u64 end)
{
	for (u64 pc = start; pc < end;) {
		Dwarf_Frame *frame;
		Dwarf_Addr row_end;
		bool signal;
		u32 rule;

		if (dwarf_cfi_addrframe(o->cfi, pc, &frame) != 0) {
			print_error("%s %#llx: libdw: %s\n", o->name, (unsigned long long)pc, dwarf_errmsg(-1));
			o->mismatches++;
			return;
		}
		assert_int_equal(dwarf_frame_info(frame, NULL, &row_end, &signal), RA); /* its start may be stale in 0.188 */
		row_end = min_u64(row_end, end);
		assert_true(row_end > pc);
		rule = rule_of(frame, signal);
		free(frame);
		compare(o, pc, rule);
		compare(o, row_end - 1, rule);
		pc = row_end;
	}
}

static void check_elf(const char *name, Elf *elf, struct unwind_module *m)
{
	struct oracle o = {.name = name, .elf = elf, .m = *m};
	u64 covered = 0;
	Dwarf *dw;

	assert_non_null(elf);
	assert_int_equal(m->status, UNWIND_MODULE_OK);
	dw = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	o.debug_cfi = dw ? dwarf_getcfi(dw) : NULL;
	o.cfi = dwarf_getcfi_elf(elf);
	assert_non_null(o.cfi);
	collect_fdes(&o);
	assert_true(o.n_fdes > 0);
	qsort(o.fdes, o.n_fdes, sizeof(*o.fdes), by_start);
	for (u32 i = 0; i < o.n_fdes; i++) {
		u64 start = o.fdes[i].start, end = o.fdes[i].end;

		if (i + 1 < o.n_fdes)
			end = min_u64(end, o.fdes[i + 1].start);
		if (start == end)
			continue;
		if (start > covered)
			compare_gap(&o, covered ? covered : m->base, start);
		compare_fde(&o, start, end);
		covered = max_u64(covered, end);
	}
	compare_gap(&o, covered, m->base + m->span);
	if (getenv("ASCOPE_CFI_VERBOSE"))
		print_message(
			"%s: %u FDEs, %u rows, %llu points, %llu gaps, in them %llu points by .debug_frame, %llu in PLTs, %llu in known code; "
			"%llu mismatches\n",
			name, o.n_fdes, m->rows.n, (unsigned long long)o.points, (unsigned long long)o.gaps,
			(unsigned long long)o.debug_points, (unsigned long long)o.in_plts, (unsigned long long)o.known_code,
			(unsigned long long)o.mismatches);
	free(o.fdes);
	assert_int_equal(dwarf_cfi_end(o.cfi), 0);
	if (dw)
		assert_int_equal(dwarf_end(dw), 0);
	assert_int_equal(elf_end(elf), 0);
	unwind_module_release(m);
	assert_in_range(o.known_code, 0, 12);
	assert_int_equal(o.mismatches, 0);
}

/* libdw finds nothing either, beyond what is in no segment of code. */
static void check_no_fdes(Elf *elf, const struct unwind_module *m)
{
	struct oracle o = {.name = "a file without a table", .elf = elf, .m = *m};

	assert_non_null(elf);
	collect_fdes(&o);
	assert_int_equal(o.n_fdes, 0);
	assert_int_equal(elf_end(elf), 0);
}

/* False: it cannot be opened, or is no ELF file. */
static bool check_file(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct unwind_module m;

	if (fd < 0)
		return false;
	assert_int_equal(unwind_module_read(fd, &m), 0);
	if (m.status == UNWIND_MODULE_NOT_ELF)
		return false;
	if (m.status == UNWIND_MODULE_NO_EH_FRAME) {
		check_no_fdes(elf_begin(fd, ELF_C_READ_MMAP, NULL), &m);
		return true;
	}
	check_elf(path, elf_begin(fd, ELF_C_READ_MMAP, NULL), &m);
	return true;
}

/* ---- tests ---- */

static int set_up(void **state)
{
	(void)state;
	return elf_version(EV_CURRENT) == EV_NONE;
}

static void system_libraries(void **state)
{
	static const char *const dirs[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
					   "/usr/lib"};
	static const char *const names[] = {"libc.so.6",      "ld-linux-x86-64.so.2", "libm.so.6",   "libgcc_s.so.1",
					    "libstdc++.so.6", "libsqlite3.so.0",      "libzstd.so.1"};
	u32 n = 0;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		for (u32 d = 0; d < ARRAY_SIZE(dirs); d++) {
			char path[128];

			(void)snprintf(path, sizeof(path), "%s/%s", dirs[d], names[i]);
			if (check_file(path)) {
				n++;
				break;
			}
		}
	}
	assert_true(n >= 3);
}

static void programs(void **state)
{
	(void)state;
	assert_true(check_file("/proc/self/exe"));
	(void)check_file("/usr/bin/python3");
}

/* Rust programs beside this one, if they were built. */
static void fixtures(void **state)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	struct dirent *e;
	u32 checked = 0;
	size_t dir_len;
	DIR *d;

	(void)state;
	assert_true(n > 0);
	path[n] = 0;
	dir_len = (size_t)(strrchr(path, '/') - path);
	dir_len += (size_t)snprintf(path + dir_len, sizeof(path) - dir_len, "/../fixtures/release");
	d = opendir(path);
	if (!d)
		skip();
	while ((e = readdir(d))) {
		struct stat st;

		(void)snprintf(path + dir_len, sizeof(path) - dir_len, "/%s", e->d_name);
		if (!stat(path, &st) && S_ISREG(st.st_mode) && st.st_mode & S_IXUSR)
			checked += check_file(path);
	}
	(void)closedir(d);
	if (!checked)
		skip();
}

static void vdso(void **state)
{
	const u8 *image = (const u8 *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr eh;
	struct unwind_module m;
	size_t n;

	(void)state;
	if (!image)
		skip();
	memcpy(&eh, image, sizeof(eh));
	n = eh.e_shoff + (size_t)eh.e_shnum * eh.e_shentsize; /* section headers are its end */
	assert_int_equal(unwind_module_read_image(image, n, &m), 0);
	check_elf("[vdso]", elf_memory((char *)(uintptr_t)image, n), &m);
}

/* Checks nothing unless it is asked to: ASCOPE_CFI_CORPUS=FILE:FILE... */
static void named_files(void **state)
{
	const char *at = getenv("ASCOPE_CFI_CORPUS");

	(void)state;
	while (at && *at) {
		size_t n = strcspn(at, ":");
		char path[4096];

		(void)snprintf(path, sizeof(path), "%.*s", (int)n, at);
		at += n + (at[n] == ':');
		if (*path && !check_file(path))
			fail_msg("%s: cannot be read as ELF", path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_libraries), cmocka_unit_test(programs),
		cmocka_unit_test(fixtures),	    cmocka_unit_test(vdso),
		cmocka_unit_test(named_files),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
