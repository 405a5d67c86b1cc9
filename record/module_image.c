/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* module_image.c: see module_image.h. */
#include "record/module_image.h"

struct module_image module_image_of(const struct elf_view *v)
{
	struct module_image r = {.start = UINT64_MAX};
	bool has_text = false;

	for (u32 i = 0; i < v->eh.e_phnum; i++) {
		const Elf64_Phdr *p = &v->ph[i];

		if (p->p_type != PT_LOAD || !p->p_memsz || p->p_memsz > UINT64_MAX - p->p_vaddr)
			continue;
		r.start = min_u64(r.start, p->p_vaddr);
		r.end = max_u64(r.end, p->p_vaddr + p->p_memsz);
		if (p->p_flags & PF_X && !has_text) {
			r.text_delta = p->p_vaddr - p->p_offset;
			has_text = true;
		}
	}
	return has_text ? r : (struct module_image){0};
}
