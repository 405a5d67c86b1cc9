/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_deps.c: which crates a program without debug info took from a registry. Rust keeps the source path of every place that may
 * panic, so that even a stripped program names nearly all of its dependencies in its read-only data. Part of sym.h.
 */
#include <string.h>

#include "base/buf.h"
#include "report/frame_kind.h"
#include "report/sym_impl.h"

#define CRATES_MAX 4096
#define CRATE_LEN  64
#define PATH_LEN   256 /* of a path from the mark on */

/* Paths stand behind each other without an end: take what may be part of one. */
static size_t path_len(const u8 *p, size_t n)
{
	size_t i = 0;

	while (i < n && i < PATH_LEN - 1 && p[i] > ' ' && p[i] < 0x7f)
		i++;
	return i;
}

static int note_crate(struct strtab *seen, struct buf *list, const u8 *p, size_t n)
{
	char path[PATH_LEN], crate[CRATE_LEN];
	size_t len = path_len(p, n);
	bool is_new;
	u32 idx;
	int err;

	memcpy(path, p, len);
	path[len] = '\0';
	(void)frame_path_crate(path, crate, sizeof(crate));
	if (!*crate || crate[strspn(crate, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
		return 0;
	err = strtab_intern(seen, crate, strlen(crate), &idx, &is_new);
	if (!err && is_new)
		buf_printf(list, "%s ", crate);
	return err;
}

static int scan_bytes(struct strtab *seen, struct buf *list, const u8 *data, size_t n)
{
	static const char *const marks[] = {"/registry/src/", "/git/checkouts/", "/cargo/registry/"};

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		size_t n_mark = strlen(marks[i]);
		const u8 *p = data;

		while ((p = memmem(p, n - (size_t)(p - data), marks[i], n_mark)) && strtab_count(seen) < CRATES_MAX) {
			int err = note_crate(seen, list, p, n - (size_t)(p - data));

			if (err)
				return err;
			p += n_mark;
		}
	}
	return 0;
}

const char *sym_module_dependencies(struct sym_module *m)
{
	struct strtab *seen = m->dependencies ? NULL : strtab_new();
	_cleanup_buf_ struct buf list = {0};
	size_t size = 0;
	char *image = elf_rawfile(m->elf.elf, &size);
	int err = 0;

	if (m->dependencies || !seen)
		return m->dependencies;
	buf_putc(&list, ' ');
	for (u32 i = 0; image && !err && i < m->elf.n_segments; i++) {
		const struct sym_segment *s = &m->elf.segments[i];

		if (!s->is_exec && s->off < size)
			err = scan_bytes(seen, &list, (const u8 *)image + s->off, min_u64(s->size, size - s->off));
	}
	if (list.len == 1)
		buf_reset(&list);
	seen = strtab_free(seen);
	if (!err)
		m->dependencies = buf_take_str(&list);
	return m->dependencies;
}
