/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_elfid.c: this binary's build-id as readelf prints it; notes of all shapes; files cut and changed everywhere. */
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
#include <sys/auxv.h>
#include <sys/mman.h>

#include "base/elfid.h"
#include "base/fdio.h"
#include "tests/unit/raw_capture.h"

/* What `readelf -n` calls "Build ID" of this binary. */
static void readelf_says(char *ret, size_t n)
{
	char cmd[64], line[512], *at;
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "readelf -nW /proc/%d/exe 2>/dev/null", getpid());
	f = popen(cmd, "r");
	ret[0] = 0;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, "Build ID: ");
		if (at)
			(void)snprintf(ret, n, "%.*s", (int)strspn(at + 10, "0123456789abcdef"), at + 10);
	}
	(void)pclose(f);
}

static void this_binary(void **state)
{
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	char expected[ELFID_HEX_LEN], hex[ELFID_HEX_LEN] = "untouched";

	(void)state;
	assert_true(fd >= 0);
	readelf_says(expected, sizeof(expected));
	if (!expected[0])
		skip(); /* no readelf, or linked without a build-id */
	assert_int_equal(elf_build_id(fd, hex), 0);
	assert_string_equal(hex, expected);
}

/* The vdso, whose image is in memory, has one as well. */
static void the_vdso(void **state)
{
	const void *image = (const void *)getauxval(AT_SYSINFO_EHDR);
	char hex[ELFID_HEX_LEN];

	(void)state;
	if (!image)
		skip();
	assert_int_equal(elf_build_id_mem(image, 4096, hex), 0);
	assert_true(strlen(hex) >= 16);
}

/* ---- made files ---- */

static void put_note(struct buf *b, const char *name, u32 namesz, u32 type, const void *desc, u32 descsz)
{
	const Elf64_Nhdr h = {.n_namesz = namesz, .n_descsz = descsz, .n_type = type};

	buf_put(b, &h, sizeof(h));
	buf_put(b, name, namesz);
	buf_put(b, "\0\0\0", (4 - namesz % 4) % 4);
	buf_put(b, desc, descsz);
	buf_put(b, "\0\0\0", (4 - descsz % 4) % 4);
}

/* Header, a PT_LOAD, and a PT_NOTE with these notes. */
static void make_elf(const struct buf *notes, struct buf *ret)
{
	const Elf64_Ehdr e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			      .e_type = ET_DYN,
			      .e_machine = EM_X86_64,
			      .e_phoff = sizeof(e),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 2};
	const Elf64_Phdr ph[2] = {{.p_type = PT_LOAD},
				  {.p_type = PT_NOTE, .p_offset = sizeof(e) + sizeof(ph), .p_filesz = notes->len, .p_align = 4}};

	buf_reset(ret);
	buf_put(ret, &e, sizeof(e));
	buf_put(ret, ph, sizeof(ph));
	buf_put(ret, notes->data, notes->len);
	assert_int_equal(buf_err(ret), 0);
}

static int id_of(const struct buf *b, char *hex)
{
	_cleanup_close_ int fd = memfd_create("test_elfid", MFD_CLOEXEC);
	char other[ELFID_HEX_LEN] = "";
	int err;

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, b->data, b->len), 0);
	hex[0] = 0;
	err = elf_build_id(fd, hex);
	if (err == -EOVERFLOW) /* pread(2) of an offset no file has; in memory that is an end like another */
		assert_int_equal(elf_build_id_mem(b->data, b->len, other), -ENODATA);
	else
		assert_int_equal(elf_build_id_mem(b->data, b->len, other), err); /* the same from memory */
	if (!err)
		assert_string_equal(other, hex);
	return err;
}

static void notes_of_all_shapes(void **state)
{
	_cleanup_buf_ struct buf notes = BUF_INIT, file = BUF_INIT;
	char hex[ELFID_HEX_LEN], expected[ELFID_HEX_LEN];
	u8 id[ELFID_MAX_BYTES + 1];

	(void)state;
	for (u32 i = 0; i < sizeof(id); i++)
		id[i] = (u8)(0xf0 + 3 * i);
	make_elf(&notes, &file);
	assert_int_equal(id_of(&file, hex), -ENODATA); /* no note at all */
	put_note(&notes, "GNU", 4, NT_GNU_ABI_TAG, id, 16);
	put_note(&notes, "Go\0", 4, NT_GNU_BUILD_ID, id, 20); /* another's note of that number */
	put_note(&notes, "", 0, NT_GNU_BUILD_ID, id, 20);
	put_note(&notes, "stapsdt", 8, 3, id, 13);
	make_elf(&notes, &file);
	assert_int_equal(id_of(&file, hex), -ENODATA);
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, id, 0);
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, id, ELFID_MAX_BYTES + 1);
	make_elf(&notes, &file);
	assert_int_equal(id_of(&file, hex), -ENODATA);
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, id, 3);
	make_elf(&notes, &file);
	assert_int_equal(id_of(&file, hex), 0);
	assert_string_equal(hex, "f0f3f6");
	buf_reset(&notes);
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, id, ELFID_MAX_BYTES);
	make_elf(&notes, &file);
	assert_int_equal(id_of(&file, hex), 0);
	for (u32 i = 0; i < ELFID_MAX_BYTES; i++)
		(void)snprintf(expected + 2 * (size_t)i, 3, "%02x", id[i]);
	assert_string_equal(hex, expected);
}

static void no_elf(void **state)
{
	_cleanup_buf_ struct buf notes = BUF_INIT, file = BUF_INIT;
	static const struct {
		size_t at;
		u8 value;
	} changes[] = {{0, 'E'},
		       {EI_CLASS, ELFCLASS32},
		       {EI_DATA, ELFDATA2MSB},
		       {offsetof(Elf64_Ehdr, e_phentsize), 32},
		       {offsetof(Elf64_Ehdr, e_phnum) + 1, 2}};
	char hex[ELFID_HEX_LEN];
	int ends[2];

	(void)state;
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, "12345678", 8);
	make_elf(&notes, &file);
	for (u32 i = 0; i < ARRAY_SIZE(changes); i++) {
		u8 was = file.data[changes[i].at];

		file.data[changes[i].at] = changes[i].value;
		assert_int_equal(id_of(&file, hex), -ENOEXEC);
		file.data[changes[i].at] = was;
	}
	assert_int_equal(id_of(&file, hex), 0);
	file.len = sizeof(Elf64_Ehdr) - 1;
	assert_int_equal(id_of(&file, hex), -ENOEXEC);
	file.len = 0;
	assert_int_equal(id_of(&file, hex), -ENOEXEC);
	assert_true(elf_build_id(-1, hex) < 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(elf_build_id(ends[0], hex), -ESPIPE);
	assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

static void cut_and_changed(void **state)
{
	_cleanup_buf_ struct buf notes = BUF_INIT, file = BUF_INIT, copy = BUF_INIT;
	static const u8 values[] = {0, 1, 0x7f, 0x80, 0xff};
	char hex[ELFID_HEX_LEN];
	u64 rnd = 11;

	(void)state;
	put_note(&notes, "stapsdt", 8, 3, "12345", 5);
	put_note(&notes, "GNU", 4, NT_GNU_BUILD_ID, "12345678", 8);
	make_elf(&notes, &file);
	for (size_t n = 0; n < file.len; n++) {
		copy = (struct buf){0};
		buf_put(&copy, file.data, n);
		assert_true(id_of(&copy, hex) < 0);
		buf_release(&copy);
	}
	for (size_t at = 0; at < file.len; at++)
		for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
			u8 was = file.data[at];

			file.data[at] = values[i];
			if (id_of(&file, hex) == 0)
				assert_true(strlen(hex) <= 2 * ELFID_MAX_BYTES && strlen(hex) % 2 == 0);
			file.data[at] = was;
		}
	for (u32 i = 0; i < 5000; i++) { /* a header that holds, and nonsense behind it */
		for (size_t at = EI_VERSION; at < file.len; at++)
			file.data[at] = (u8)raw_random(&rnd);
		file.data[offsetof(Elf64_Ehdr, e_phentsize)] = sizeof(Elf64_Phdr);
		file.data[offsetof(Elf64_Ehdr, e_phentsize) + 1] = 0;
		(void)!id_of(&file, hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_binary), cmocka_unit_test(the_vdso),	  cmocka_unit_test(notes_of_all_shapes),
		cmocka_unit_test(no_elf),      cmocka_unit_test(cut_and_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
