/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* usdt.c: see usdt.h. */
#include "record/usdt.h"

#include <errno.h>
#include <string.h>

enum { MAX_NOTES = 4 << 20 /* bytes of the section */, STAPSDT_TYPE = 3 };

/* The text at p up to its NUL, which lies before end; NULL: there is none. *p is then behind it. */
static const char *text_at(const u8 **p, const u8 *end)
{
	const u8 *from = *p, *nul = memchr(from, 0, (size_t)(end - from));

	if (!nul)
		return NULL;
	*p = nul + 1;
	return (const char *)from;
}

/* Three addresses, then provider and name. */
static bool parse(const u8 *p, size_t n, u64 base, struct usdt_probe *ret)
{
	const u8 *end = p + n;
	u64 at[3];

	if (n < sizeof(at))
		return false;
	memcpy(at, p, sizeof(at));
	p += sizeof(at);
	ret->addr = base ? at[0] + (base - at[1]) : at[0];
	ret->semaphore = at[2] && base ? at[2] + (base - at[1]) : at[2];
	ret->provider = text_at(&p, end);
	ret->name = ret->provider ? text_at(&p, end) : NULL;
	return ret->name;
}

int usdt_each(const struct elf_view *v, usdt_fn fn, void *ctx)
{
	const Elf64_Shdr *sh = elf_view_section(v, ".note.stapsdt"), *moved = elf_view_section(v, ".stapsdt.base");
	_cleanup_free_ u8 *notes = NULL;
	size_t n = 0, at = 0;
	int err = sh && sh->sh_type == SHT_NOTE ? elf_view_copy_at(v, sh->sh_offset, min_u64(sh->sh_size, MAX_NOTES), &notes, &n)
						: 0;

	while (!err && n - at >= sizeof(Elf64_Nhdr)) {
		struct usdt_probe p;
		Elf64_Nhdr h;
		u64 name, desc;

		memcpy(&h, notes + at, sizeof(h));
		at += sizeof(h);
		name = ((u64)h.n_namesz + 3) & ~3ULL;
		desc = ((u64)h.n_descsz + 3) & ~3ULL;
		if (name > n - at || desc > n - at - name)
			break;
		if (h.n_type == STAPSDT_TYPE && h.n_namesz == 8 && !memcmp(notes + at, "stapsdt", 8) &&
		    parse(notes + at + name, h.n_descsz, moved ? moved->sh_addr : 0, &p))
			err = fn(ctx, &p);
		at += name + desc;
	}
	return err;
}
