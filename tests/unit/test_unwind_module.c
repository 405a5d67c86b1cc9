/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_unwind_module.c: ELF images of all shapes (elf_image.h), files and images cut and changed, and where a file offset's pc is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fdio.h"
#include "record/unwind_module.h"
#include "tests/unit/cfi_check.h"
#include "tests/unit/elf_image.h"

/* The rows that every image with FDEs has. */
#define FDE_ROWS ROW(0x1400, SP(1, 0)), ROW(0x1401, SP(2, -2)), ROW(0x1420, SP(1, 0))

static int memory_file(const struct buf *b)
{
	int fd = memfd_create("test_unwind_module", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, b->data, b->len), 0);
	return fd;
}

static struct unwind_module read_image(const struct buf *b)
{
	struct unwind_module m;

	assert_int_equal(buf_err(b), 0);
	assert_int_equal(unwind_module_read_image(b->data, b->len, &m), 0);
	return m;
}

/* As an image and as a file, with the same result, which the caller releases. */
static struct unwind_module read_shape(const struct elf_image_shape *shape)
{
	struct buf b = elf_image_make(shape);
	struct unwind_module m = read_image(&b), of_file;
	_cleanup_close_ int fd = memory_file(&b);

	assert_int_equal(unwind_module_read(fd, &of_file), 0);
	assert_int_equal(of_file.status, m.status);
	assert_int_equal(of_file.rows.n, m.rows.n);
	if (m.rows.n)
		assert_memory_equal(of_file.rows.rows, m.rows.rows, m.rows.n * sizeof(*m.rows.rows));
	unwind_module_release(&of_file);
	buf_release(&b);
	return m;
}

static void check_shape(const char *name, const struct elf_image_shape *shape, const u64 *expected, u32 n)
{
	struct unwind_module m = read_shape(shape);

	assert_int_equal(m.status, n ? UNWIND_MODULE_OK : UNWIND_MODULE_NO_EH_FRAME);
	cfi_assert_rows(name, &m.rows, expected, n);
	assert_true(m.base == shape->load);
	assert_int_equal(m.span, shape->two ? 0x201000 : 0x2000);
	assert_int_equal(m.n_segments, shape->two ? 2 : 1);
	unwind_module_release(&m);
}

#define CHECK_SHAPE(name, shape, ...)                                                                                            \
	check_shape(name, shape, (const u64[]){__VA_ARGS__}, ARRAY_SIZE(((const u64[]){__VA_ARGS__})))

/* .eh_frame is found, and ends where it does, whatever of the headers is left. Garbage follows it in all of them. */
static void places(void **state)
{
	static const struct elf_image_shape shapes[] = {
		{.eh_frame = true, .hdr = true, .sections = true},
		{.eh_frame = true, .hdr = true},				       /* stripped of section headers */
		{.eh_frame = true, .hdr = true, .no_table = true, .terminator = true}, /* and the table is missing */
		{.eh_frame = true, .sections = true},				       /* glibc's static programs */
		{.eh_frame = true, .hdr = true, .no_table = true, .sections = true},
		{.eh_frame = true, .hdr = true, .load = 0x400000},
		{.eh_frame = true, .sections = true, .load = 0x7f0000000000},
		{.eh_frame = true, .hdr = true, .terminator = true, .needed = true},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "shape %u", i);
		CHECK_SHAPE(name, &shapes[i], FDE_ROWS, ROW(0x1430, UW_END));
	}
}

static void no_tables(void **state)
{
	static const struct elf_image_shape shapes[] = {
		{0},
		{.hdr = true},			 /* empty */
		{.sections = true, .plt = true}, /* stubs alone are not worth a table */
		{.eh_frame = true},		 /* nothing says where it is */
		{.hdr = true, .sections = true},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++)
		check_shape("none", &shapes[i], NULL, 0);
}

static void two_segments(void **state)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .sections = true, .two = true, .load = 0x10000};

	(void)state;
	CHECK_SHAPE("two", &shape, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x200500, SP(3, 0)), ROW(0x200510, UW_END));
}

/* lld writes no FDE for these. */
static void plt(void **state)
{
	struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .sections = true, .plt = true, .needed = true};

	(void)state;
	CHECK_SHAPE("PLT", &shape, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1440, SP(2, 0)), ROW(0x1446, SP(3, 0)),
		    ROW(0x1450, RULE(UW_PLT, 0, 11)), ROW(0x1470, UW_END), ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END));
	shape.ibt = true;
	CHECK_SHAPE("PLT, IBT", &shape, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1440, SP(2, 0)), ROW(0x1446, SP(3, 0)),
		    ROW(0x1450, RULE(UW_PLT, 0, 9)), ROW(0x1470, UW_END), ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END));
}

/* Overwrites bytes of an image made from a shape, and compares. */
static void check_patched(const char *name, const struct elf_image_shape *shape, size_t off, const void *p, size_t n_bytes,
			  const u64 *expected, u32 n)
{
	struct buf b = elf_image_make(shape);
	struct unwind_module m;

	assert_int_equal(buf_err(&b), 0);
	assert_true(off + n_bytes <= b.len);
	memcpy(b.data + off, p, n_bytes);
	m = read_image(&b);
	assert_int_equal(m.status, UNWIND_MODULE_OK);
	cfi_assert_rows(name, &m.rows, expected, n);
	unwind_module_release(&m);
	buf_release(&b);
}

#define CHECK_PATCHED(name, shape, off, p, n, ...)                                                                               \
	check_patched(name, shape, off, p, n, (const u64[]){__VA_ARGS__}, ARRAY_SIZE(((const u64[]){__VA_ARGS__})))

/* Entries that do not look like what they are called: no rows. */
static void strange_plt(void **state)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .sections = true, .plt = true, .needed = true};
	const u8 other[32] = {0xf3, 0x0f, 0x1e, 0xfa, 0xe8};

	/* mold's, whose first entry is longer and whose others push nothing */
	const u8 mold[32] = {0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x53, 0xff, 0x35, 1, 0, 0, 0, 0xff, 0x25};

	(void)state;
	CHECK_PATCHED("mold", &shape, 0x440, mold, 32, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1440, SP(1, 0)),
		      ROW(0x1446, SP(2, 0)), ROW(0x144c, SP(3, 0)), ROW(0x1460, SP(1, 0)), ROW(0x1470, UW_END),
		      ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END));
	CHECK_PATCHED("first entry", &shape, 0x440, other, 16, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1480, SP(1, 0)),
		      ROW(0x1490, UW_END));
	CHECK_PATCHED("others", &shape, 0x450, other, 16, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1440, SP(2, 0)),
		      ROW(0x1446, SP(3, 0)), ROW(0x1450, UW_END), ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END));
}

/* GNU ld's of a static program: entries of eight bytes, none of which pushes anything. */
static void static_plt(void **state)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .sections = true, .plt = true, .needed = true};
	const u8 entry[] = {0xff, 0x25, 1, 2, 3, 4, 0x66, 0x90}, other[] = {0xff, 0x25, 1, 2, 3, 4, 0x66, 0x91};

	(void)state;
	CHECK_PATCHED("static", &shape, 0x440, entry, sizeof(entry), FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1440, SP(1, 0)),
		      ROW(0x1470, UW_END), ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END));
	CHECK_PATCHED("almost", &shape, 0x440, other, sizeof(other), FDE_ROWS, ROW(0x1430, UW_END), ROW(0x1480, SP(1, 0)),
		      ROW(0x1490, UW_END));
}

/* The system call that makes a thread, without an FDE: a rule for the one who calls, none for what the new thread runs as well. */
static void clone_call(void **state)
{
	struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .clone = true, .needed = true};
	const u64 none[] = {FDE_ROWS, ROW(0x1430, UW_END), ROW(0x143a, KIND(UW_STOP)), ROW(0x1450, UW_END)};

	(void)state;
	CHECK_SHAPE("clone", &shape, FDE_ROWS, ROW(0x1432, UW_END), ROW(0x143a, KIND(UW_STOP)), ROW(0x1450, UW_END));
	check_patched("other code", &shape, 0x430, "\x0f\x0b", 2, none, ARRAY_SIZE(none));
	/* the FDE before it is malformed: its program is at 0x283 */
	CHECK_PATCHED("other frame", &shape, 0x283, "\x0b", 1, ROW(0x1400, SP(1, 0)), ROW(0x1401, SP(2, -2)),
		      ROW(0x1420, KIND(UW_BAD)), ROW(0x1430, UW_END), ROW(0x143a, KIND(UW_STOP)), ROW(0x1450, UW_END));
	shape.two = true; /* the code behind is no outermost frame's: its program is at 0x297 */
	CHECK_PATCHED("other code behind", &shape, 0x297, "\x0e\x10", 2, FDE_ROWS, ROW(0x1430, UW_END), ROW(0x143a, SP(2, 0)),
		      ROW(0x1450, UW_END), ROW(0x200500, SP(3, 0)), ROW(0x200510, UW_END));
}

/* A .plt with an FDE of its own, as GNU ld makes it: what that says stays. */
static void covered_plt(void **state)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .sections = true, .plt = true, .needed = true};
	const s32 pc = 0x1420 + 0x24 - 0x278; /* moves the second FDE from 0x1420 to 0x1444: its first field is at 0x278 */
	struct buf b = elf_image_make(&shape);
	struct unwind_module m;
	s32 was;

	(void)state;
	memcpy(&was, b.data + 0x278, sizeof(was));
	assert_int_equal(was, 0x1420 - 0x278);
	memcpy(b.data + 0x278, &pc, sizeof(pc));
	m = read_image(&b);
	cfi_assert_rows("covered", &m.rows,
			(const u64[]){ROW(0x1400, SP(1, 0)), ROW(0x1401, SP(2, -2)), ROW(0x1420, UW_END), ROW(0x1440, SP(2, 0)),
				      ROW(0x1444, SP(1, 0)), ROW(0x1454, RULE(UW_PLT, 0, 11)), ROW(0x1470, UW_END),
				      ROW(0x1480, SP(1, 0)), ROW(0x1490, UW_END)},
			9);
	unwind_module_release(&m);
	buf_release(&b);
}

static void musl(void **state)
{
	struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .musl = true};

	(void)state;
	CHECK_SHAPE("musl", &shape, FDE_ROWS, ROW(0x1430, KIND(UW_STOP)), ROW(0x1470, UW_END), ROW(0x149f, KIND(UW_SIGNAL)),
		    ROW(0x14a9, UW_END), ROW(0x14b0, KIND(UW_STOP)), ROW(0x14bb, UW_END));
	shape.needed = true; /* a file that needs others has no C library in it */
	CHECK_SHAPE("not searched", &shape, FDE_ROWS, ROW(0x1430, KIND(UW_STOP)), ROW(0x1470, UW_END));
	shape.needed = false;
	shape.sections = shape.debug_frame = true; /* which is wrong about the trampoline */
	CHECK_SHAPE("with .debug_frame", &shape, FDE_ROWS, ROW(0x1430, KIND(UW_STOP)), ROW(0x1470, UW_END),
		    ROW(0x149f, KIND(UW_SIGNAL)), ROW(0x14a9, UW_END), ROW(0x14b0, KIND(UW_STOP)), ROW(0x14bb, UW_END),
		    ROW(0x14e0, SP(4, 0)), ROW(0x14f0, UW_END));
}

/* Alpine's libc has no call frame information at all. */
static void musl_without_tables(void **state)
{
	const struct elf_image_shape shape = {.musl = true};

	(void)state;
	CHECK_SHAPE("musl without tables", &shape, ROW(0x1430, KIND(UW_STOP)), ROW(0x1470, UW_END), ROW(0x149f, KIND(UW_SIGNAL)),
		    ROW(0x14a9, UW_END), ROW(0x14b0, KIND(UW_STOP)), ROW(0x14bb, UW_END));
}

/* The entry point is the outermost frame only where nothing else is known and it begins as the ABI recommends. */
static void entry_point(void **state)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .needed = true};
	const u64 covered = 0x1408, outside = 0x123456789;

	(void)state;
	CHECK_PATCHED("other code", &shape, 0x430, "\x48\x89\xe7", 3, FDE_ROWS, ROW(0x1430, UW_END));
	CHECK_PATCHED("xor %ebp,%ebp", &shape, 0x430, "\x31\xed", 2, FDE_ROWS, ROW(0x1430, KIND(UW_STOP)), ROW(0x1470, UW_END));
	CHECK_PATCHED("glibc's loader", &shape, 0x430, "\x48\x89\xe7\xe8", 4, FDE_ROWS, ROW(0x1430, KIND(UW_STOP)),
		      ROW(0x1470, UW_END));
	CHECK_PATCHED("covered", &shape, offsetof(Elf64_Ehdr, e_entry), &covered, 8, FDE_ROWS, ROW(0x1430, UW_END));
	CHECK_PATCHED("outside", &shape, offsetof(Elf64_Ehdr, e_entry), &outside, 8, FDE_ROWS, ROW(0x1430, UW_END));
}

static void only_debug_frame(void **state)
{
	const struct elf_image_shape shape = {.sections = true, .debug_frame = true, .needed = true};

	(void)state;
	CHECK_SHAPE(".debug_frame", &shape, ROW(0x14a0, SP(1, 0)), ROW(0x14a9, UW_END), ROW(0x14e0, SP(4, 0)),
		    ROW(0x14f0, UW_END));
}

/* ---- what is refused ---- */

static enum unwind_module_status status_of(size_t off, const void *p, size_t n)
{
	const struct elf_image_shape shape = {.eh_frame = true, .hdr = true, .two = true};
	struct buf b = elf_image_make(&shape);
	struct unwind_module m;

	assert_int_equal(buf_err(&b), 0);
	memcpy(b.data + off, p, n);
	m = read_image(&b);
	assert_true(m.status == UNWIND_MODULE_OK || !m.rows.n);
	unwind_module_release(&m);
	buf_release(&b);
	return m.status;
}

#define PHDR(i, field) (sizeof(Elf64_Ehdr) + (i) * sizeof(Elf64_Phdr) + offsetof(Elf64_Phdr, field))

static void refused(void **state)
{
	const u64 none = 0, far = 0x7fffffffffff1000, wraps = UINT64_MAX - 0x800, four_gb = 0x100000000,
		  just_below = 0xffffff00 - 0x80, wide = 1ULL << 62;
	const u16 zero = 0, arm = EM_AARCH64, rel = ET_REL, i386 = EM_386;
	const u32 null = PT_NULL;

	(void)state;
	assert_int_equal(status_of(0, "\x7f", 1), UNWIND_MODULE_OK);
	assert_int_equal(status_of(0, "#!/", 3), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(EI_CLASS, "\1", 1), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(EI_DATA, "\2", 1), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_machine), &arm, 2), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_machine), &i386, 2), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_type), &rel, 2), UNWIND_MODULE_NOT_ELF);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_phnum), &zero, 2), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_phnum), "\xff\xff", 2), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_phentsize), &zero, 2), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(offsetof(Elf64_Ehdr, e_phoff), &wraps, 8), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(PHDR(1, p_vaddr), &wraps, 8), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(PHDR(1, p_offset), &wraps, 8), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(PHDR(1, p_filesz), &wraps, 8), UNWIND_MODULE_MALFORMED);
	assert_int_equal(status_of(PHDR(4, p_vaddr), &four_gb, 8), UNWIND_MODULE_TOO_LARGE);
	assert_int_equal(status_of(PHDR(4, p_vaddr), &far, 8), UNWIND_MODULE_TOO_LARGE);
	assert_int_equal(status_of(PHDR(4, p_filesz), &wide, 8), UNWIND_MODULE_TOO_LARGE);
	assert_int_equal(status_of(PHDR(4, p_vaddr), &just_below, 8), UNWIND_MODULE_TOO_LARGE); /* its last page ends at 4 GB */
	assert_int_equal(status_of(PHDR(1, p_type), &null, 4), UNWIND_MODULE_OK);	/* code of the other segment is left */
	assert_int_equal(status_of(ELF_IMAGE_HDR, "\2", 1), UNWIND_MODULE_NO_EH_FRAME); /* another version */
	assert_int_equal(status_of(ELF_IMAGE_HDR + 1, "\xff", 1), UNWIND_MODULE_NO_EH_FRAME); /* no pointer */
	assert_int_equal(status_of(PHDR(3, p_filesz), &none, 8), UNWIND_MODULE_NO_EH_FRAME);
	assert_int_equal(status_of(PHDR(3, p_offset), &far, 8), UNWIND_MODULE_NO_EH_FRAME);
}

static void too_many_segments(void **state)
{
	for (u32 n = UNWIND_MAX_SEGMENTS; n <= UNWIND_MAX_SEGMENTS + 1; n++) {
		Elf64_Ehdr eh = {.e_type = ET_DYN,
				 .e_machine = EM_X86_64,
				 .e_phoff = sizeof(eh),
				 .e_phentsize = sizeof(Elf64_Phdr),
				 .e_phnum = (u16)n};
		struct buf b = BUF_INIT;
		struct unwind_module m;

		memcpy(eh.e_ident, "\x7f\x45\x4c\x46\2\1\1", 7);
		buf_put(&b, &eh, sizeof(eh));
		for (u32 i = 0; i < n; i++) {
			const Elf64_Phdr ph = {.p_type = PT_LOAD, .p_flags = PF_X, .p_vaddr = 0x1000 * i, .p_filesz = 1};

			buf_put(&b, &ph, sizeof(ph));
		}
		m = read_image(&b);
		assert_int_equal(m.status, n > UNWIND_MAX_SEGMENTS ? UNWIND_MODULE_MALFORMED : UNWIND_MODULE_NO_EH_FRAME);
		unwind_module_release(&m);
		buf_release(&b);
	}
	(void)state;
}

static void not_a_file(void **state)
{
	_cleanup_close_ int dir = open("/", O_RDONLY | O_CLOEXEC), zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct unwind_module m = {.status = 77};
	u32 rows = 1, span = 1;

	(void)state;
	assert_int_equal(unwind_module_read(dir, &m), 0);
	assert_int_equal(m.status, UNWIND_MODULE_NOT_ELF);
	assert_int_equal(unwind_module_read(zeros, &m), 0);
	assert_int_equal(m.status, UNWIND_MODULE_NOT_ELF);
	m.status = 77;
	assert_int_equal(unwind_module_read(1000000, &m), -EBADF);
	assert_int_equal(m.status, 77);
	unwind_module_estimate(dir, &rows, &span);
	assert_int_equal(rows, 0);
	assert_int_equal(span, 0);
}

/* Every length that a file may be cut to, and every byte changed: an answer, and only rows of the segments there are. */
static void cut_and_changed(void **state)
{
	const struct elf_image_shape shape = {
		.eh_frame = true, .hdr = true, .sections = true, .plt = true, .musl = true, .debug_frame = true, .two = true};
	struct buf b = elf_image_make(&shape);
	struct unwind_module all = read_image(&b);
	u32 whole = all.rows.n, n_ok = 0;

	(void)state;
	unwind_module_release(&all);
	for (size_t n = 0; n <= b.len; n++) {
		struct buf cut = {.data = malloc(n ? n : 1), .len = n};
		_cleanup_close_ int fd = -1;
		struct unwind_module m, of_file;

		assert_non_null(cut.data);
		memcpy(cut.data, b.data, n);
		m = read_image(&cut);
		fd = memory_file(&cut);
		assert_int_equal(unwind_module_read(fd, &of_file), 0);
		assert_int_equal(m.status, of_file.status);
		assert_int_equal(m.rows.n, of_file.rows.n);
		assert_true(m.rows.n <= whole);
		assert_true(n >= 64 || m.status == UNWIND_MODULE_NOT_ELF);
		n_ok += m.status == UNWIND_MODULE_OK;
		unwind_module_release(&m);
		unwind_module_release(&of_file);
		free(cut.data);
	}
	assert_true(n_ok > b.len / 2);
	for (size_t i = 0; i < b.len; i++) {
		struct unwind_module m;

		b.data[i] ^= 0xff;
		m = read_image(&b);
		for (u32 k = 0; k < m.rows.n; k++)
			assert_true(m.rows.rows[k] >> 32 <= m.span);
		unwind_module_release(&m);
		b.data[i] ^= 0xff;
	}
	buf_release(&b);
}

/* ---- pcs of mappings ---- */

static void pcs(void **state)
{
	/* lld's: the address is not the offset, and the text's first page in the file belongs to the segment before as well */
	const struct unwind_module m = {
		.base = 0x400000,
		.span = 0x900000,
		.n_segments = 3,
		.segments = {{0x401c40, 0xc40, 0x1800}, {0x403460, 0x2460, 0x200}, {0xc00000, 0x200000, 0x80000}}};
	static const struct {
		u64 file_off;
		u32 pc;
	} good[] = {{0, 0x1000}, {0x1000, 0x2000}, {0x2000, 0x3000}, {0x200000, 0x800000}, {0x27f000, 0x87f000}};
	static const u64 none[] = {0x3000, 0x1ff000, 0x280000, 0x1000000, UINT64_MAX, UINT64_MAX & ~0xfffULL};
	u32 pc;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(unwind_module_pc(&m, good[i].file_off, &pc), 0);
		assert_int_equal(pc, good[i].pc);
	}
	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		pc = 77;
		assert_int_equal(unwind_module_pc(&m, none[i], &pc), -ENOENT);
		assert_int_equal(pc, 77);
	}
}

/* An address of this program's code, through /proc/self/maps and the table. */
static void pc_of_this_program(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	u64 here = (u64)(uintptr_t)pc_of_this_program, start = 0, end = 0, off = 0;
	struct unwind_module m;
	u32 pc, rows, span;
	char line[512];
	FILE *maps;

	(void)state;
	assert_int_equal(unwind_module_read(fd, &m), 0);
	assert_int_equal(m.status, UNWIND_MODULE_OK);
	maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long a, b, c;

		assert_int_equal(sscanf(line, "%llx-%llx %*s %llx", &a, &b, &c), 3);
		start = a;
		end = b;
		off = c;
		if (here >= start && here < end)
			break;
	}
	(void)fclose(maps);
	assert_true(here >= start && here < end);
	assert_int_equal(unwind_module_pc(&m, off, &pc), 0);
	pc += (u32)(here - start);
	/* at its entry a function's frame is the return address alone, and a row begins there */
	for (u32 i = 0; i < m.rows.n; i++)
		if (m.rows.rows[i] >> 32 == pc) {
			assert_int_equal((u32)m.rows.rows[i], SP(1, 0));
			pc = 0;
		}
	assert_int_equal(pc, 0);
	unwind_module_estimate(fd, &rows, &span);
	assert_int_equal(span, m.span);
	assert_in_range(rows, m.rows.n, 4 * m.rows.n); /* twice; this program may be an instrumented one */
	unwind_module_release(&m);
}

static void estimates(void **state)
{
	static const struct elf_image_shape shapes[] = {{.eh_frame = true, .hdr = true, .sections = true},
							{.eh_frame = true, .hdr = true},
							{.eh_frame = true, .hdr = true, .no_table = true},
							{.sections = true, .debug_frame = true}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(shapes); i++) {
		struct buf b = elf_image_make(&shapes[i]);
		_cleanup_close_ int fd = memory_file(&b);
		struct unwind_module m = read_image(&b);
		u32 rows, span;

		unwind_module_estimate(fd, &rows, &span);
		assert_int_equal(span, m.span);
		assert_in_range(rows, m.rows.n, 256);
		unwind_module_release(&m);
		buf_release(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),	cmocka_unit_test(no_tables),
		cmocka_unit_test(two_segments), cmocka_unit_test(plt),
		cmocka_unit_test(strange_plt),	cmocka_unit_test(covered_plt),
		cmocka_unit_test(static_plt),	cmocka_unit_test(clone_call),
		cmocka_unit_test(musl),		cmocka_unit_test(musl_without_tables),
		cmocka_unit_test(entry_point),	cmocka_unit_test(only_debug_frame),
		cmocka_unit_test(refused),	cmocka_unit_test(too_many_segments),
		cmocka_unit_test(not_a_file),	cmocka_unit_test(cut_and_changed),
		cmocka_unit_test(pcs),		cmocka_unit_test(pc_of_this_program),
		cmocka_unit_test(estimates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
