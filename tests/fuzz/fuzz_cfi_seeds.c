/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_cfi_seeds.c: the sections and ELF images that fuzzing of call frame information starts from: every instruction, encoding and augmentation once, and images of
 * the shapes that linkers make. Made by hand, so that they are small and nobody else's.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fdio.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/cfi_section.h"
#include "tests/unit/elf_image.h"

static int write_seed(const char *dir, const char *name, u8 flags, const struct buf *body)
{
	_cleanup_close_ int fd = -1;
	const u8 head[] = {flags, 0};
	char path[4096];
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	err = fd_write_full(fd, head, sizeof(head));
	return err ? err : fd_write_full(fd, body->data, body->len);
}

/* Programs that have every instruction and every expression that is understood. */
static void put_fdes(struct section *s, size_t cie)
{
	section_put_fde(s, cie, 0x1000, 0x20, BYTES(0x44, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, 0x02, 8, 0x0c, 7, 8, 0xc6));
	section_put_fde(s, cie, 0x1020, 0x20,
			BYTES(0x0a, 0x03, 4, 0, 0x0e, 0x80, 2, 0x04, 4, 0, 0, 0, 0x0b, 0x05, 6, 3, 0x41, 0x06, 6));
	section_put_fde(s, cie, 0x1040, 0x20,
			BYTES(0x07, 16, 0x41, 0x08, 16, 0x41, 0x09, 16, 5, 0x41, 0x11, 6, 0x7e, 0x12, 7, 0x7e, 0x13, 0x7d));
	section_put_fde(s, cie, 0x1060, 0x10, BYTES(0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22));
	section_put_fde(s, cie, 0x1080, 0x20, BYTES(0x10, 6, 2, 0x76, 0, 0x41, 0x0f, 3, 0x76, 0x78, 0x06));
	section_put_fde(s, cie, 0x10a0, 0x20,
			BYTES(0x41, 0x0f, 5, 0x77, 24, 0x06, 0x23, 8, 0x41, 0x16, 7, 1, 0x96, 0x2d, 0x2e, 8, 0x2f, 6, 2));
	section_put_fde(s, cie, 0x0ff0, 0x20, BYTES(0x14, 7, 0, 0x15, 6, 1));
	section_put_fde(s, cie, 0x8000, 0x20, BYTES(0x01, 0x3f, 0xb0, 0xff, 0xff, 0x0e, 16));
}

static int write_sections(const char *dir)
{
	static const u8 encodings[] = {0x00, 0x01, 0x02, 0x03, 0x09, 0x1a, 0x1b, 0x1c, 0x3a, 0x3b};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(encodings) && !err; i++) {
		struct section s = section_new();
		char name[32];
		size_t cie;

		s.encoding = encodings[i];
		s.is_64 = i % 4 == 3;
		cie = section_put_cie(&s, i % 2 ? 3 : 1, "zR", &encodings[i], 1, 16, USUAL_PROGRAM);
		put_fdes(&s, cie);
		(void)snprintf(name, sizeof(name), "section-%02x", encodings[i]);
		err = write_seed(dir, name, i % 3 ? 0 : 8, &s.b);
		buf_release(&s.b);
	}
	return err;
}

static int write_augmentations(const char *dir)
{
	struct section s = section_new();
	size_t cie;
	int err;

	s.encoding = 0x03;
	cie = section_put_cie(&s, 4, "zPLRS", BYTES(0x9b, 1, 2, 3, 4, 0x1b, 0x03), 16, USUAL_PROGRAM);
	section_put_fde(&s, cie, 0x1000, 16,
			BYTES(0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 6, 3, 0x77, 0xf8, 0, 0x10, 16, 3, 0x77, 0xa8, 1));
	cie = section_put_cie(&s, 1, "zPR", BYTES(0x50, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x03), 16, USUAL_PROGRAM);
	section_put_fde(&s, cie, 0x1100, 16, BYTES(0x41));
	buf_put_le32(&s.b, 0);
	s.encoding = 0;
	cie = section_put_cie(&s, 1, "eh", NULL, 0, 16, USUAL_PROGRAM);
	section_put_fde(&s, cie, 0x1200, 16, BYTES(0x41));
	cie = section_put_cie(&s, 1, "x", NULL, 0, 16, USUAL_PROGRAM);
	section_put_fde(&s, cie, 0x1300, 16, BYTES(0x41));
	err = write_seed(dir, "augmentations", 0, &s.b);
	buf_release(&s.b);
	return err;
}

static int write_debug_frame(const char *dir)
{
	struct section s = section_new();
	int err;

	s.debug_frame = true;
	put_fdes(&s, section_put_cie(&s, 3, "", NULL, 0, 16, USUAL_PROGRAM));
	s.is_64 = true;
	put_fdes(&s, section_put_cie(&s, 4, "", NULL, 0, 16, USUAL_PROGRAM));
	err = write_seed(dir, "debug-frame", 2, &s.b);
	buf_release(&s.b);
	return err;
}

static int write_images(const char *dir)
{
	static const struct {
		const char *name;
		struct elf_image_shape shape;
	} seeds[] = {
		{"image-plain", {.eh_frame = true, .hdr = true, .sections = true}},
		{"image-stripped", {.eh_frame = true, .hdr = true}},
		{"image-no-table", {.eh_frame = true, .hdr = true, .no_table = true}},
		{"image-static", {.eh_frame = true, .sections = true}},
		{"image-plt", {.eh_frame = true, .hdr = true, .sections = true, .plt = true, .needed = true}},
		{"image-musl", {.eh_frame = true, .hdr = true, .sections = true, .musl = true, .debug_frame = true}},
		{"image-two", {.eh_frame = true, .hdr = true, .sections = true, .two = true}},
	};
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(seeds) && !err; i++) {
		struct buf b = elf_image_make(&seeds[i].shape);

		err = buf_err(&b);
		if (!err)
			err = write_seed(dir, seeds[i].name, 1, &b);
		buf_release(&b);
	}
	return err;
}

int fuzz_seeds_write(const char *dir)
{
	int err = write_sections(dir);

	if (!err)
		err = write_augmentations(dir);
	if (!err)
		err = write_debug_frame(dir);
	return err ? err : write_images(dir);
}
