/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* copies.c: see copies.h. */
#include "record/copies.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static struct module_image image_of(int fd)
{
	struct module_image r = {0};
	struct elf_view v;

	if (elf_view_open(&v, fd, NULL, 0) == 0)
		r = module_image_of(&v);
	elf_view_release(&v);
	return r;
}

int module_tokio_read(int fd, const char *path, struct module_tokio **ret)
{
	const char *slash = strrchr(path, '/');
	struct module_tokio *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	if (tokio_elf_read(fd, &t->elf) < 0) {
		free(t);
		return 0;
	}
	if (tls_slot_read(fd, &t->slot) < 0)
		t->slot = (struct tls_slot){0};
	t->is_for_musl = tls_slot_is_for_musl(fd);
	t->image = image_of(fd);
	(void)snprintf(t->name, sizeof(t->name), "%s", slash ? slash + 1 : path);
	*ret = t;
	return 0;
}

static bool holds_tokio(const struct tokio_elf *e)
{
	return e->tls_memsz && (e->n_symbols || e->names_tokio);
}

static struct cat_copy *find(const struct cat_process *p, u32 module, u64 bias)
{
	for (u32 i = 0; i < p->n_copies; i++)
		if (p->copies[i].module == module && p->copies[i].bias == bias)
			return &p->copies[i];
	return NULL;
}

static int add(struct cat_process *p, const struct cat_copy *c)
{
	struct cat_copy *copies = reallocarray(p->copies, p->n_copies + 1, sizeof(*copies));

	if (!copies)
		return -ENOMEM;
	p->copies = copies;
	copies[p->n_copies++] = *c;
	return 0;
}

/* Where a mapped library begins: what to add to an address of its file. */
static u64 bias_of(const struct cat_mapping *m, struct module_tokio *t)
{
	return m->start - m->file_off - t->slot.text_delta;
}

/* How many copies the kernel side is to read, now or when their runtimes are found. */
static u32 copies_read(const struct cat_process *p)
{
	u32 n = 0;

	for (u32 i = 0; i < p->n_copies; i++)
		n += !p->copies[i].refused && holds_tokio(p->copies[i].elf);
	return n;
}

static const char *obstacle(const struct cat_process *p, struct module_tokio *exe, struct module_tokio *t)
{
	if (exe && exe->is_for_musl)
		return "musl loaded it, and where musl keeps a library's thread-locals is not known";
	if (t->slot.kind == TLS_SLOT_DESCRIPTOR)
		return "it reaches its thread-locals by TLS descriptors; build it without -mtls-dialect=gnu2";
	if (t->slot.kind == TLS_SLOT_NONE)
		return "no relocation tells where its thread-locals are";
	return copies_read(p) >= WIRE_COPIES ? "there are too many copies in this process" : NULL;
}

static void tell_refused(struct catalog *cat, struct module_tokio *t, const char *why)
{
	char text[FMT_MAX_STRING];

	t->is_told = true;
	(void)snprintf(text, sizeof(text), "%s: %s", t->name, why);
	log_warn("a copy of Tokio cannot be read: %s", text);
	catalog_row(cat, FMT_META,
		    &(struct fmt_meta){.key = catalog_string(cat, "tokio.unreadable"), .value = catalog_string(cat, text)});
}

/* A mapping of a library: its copy, which may be new or back. */
static int meet_library(struct catalog *cat, struct cat_process *p, struct module_tokio *exe, struct module_tokio *t,
			const struct cat_mapping *m)
{
	struct cat_copy *c = find(p, m->module, bias_of(m, t));
	const char *refused;

	if (c) {
		c->is_mapped = true;
		return 0;
	}
	if (p->n_copies >= MAX_COPIES)
		return 0;
	refused = obstacle(p, exe, t);
	if (refused && !t->is_told)
		tell_refused(cat, t, refused);
	return add(p, &(struct cat_copy){.module = m->module,
					 .is_library = true,
					 .is_mapped = true,
					 .bias = bias_of(m, t),
					 .elf = &t->elf,
					 .slot = &t->slot,
					 .refused = refused});
}

/* A library that was unloaded takes its thread-locals along. */
static void leave_library(struct cat_copy *c, bool *ret_changed)
{
	*ret_changed |= c->wire.valid;
	c->wire.valid = 0;
	c->wire.want_core = 0;
	c->is_confirmed = false;
	c->witness = (struct layout_witness){0};
	c->look_interval_ns = 0;
	c->next_look_ns = 0;
}

/* What is known of the main program. Its file may be out of reach as a mapping (deleted, and no right to map_files), but not as what the process runs. */
static int exe_of(struct catalog *cat, struct cat_process *p, struct module_tokio **ret)
{
	int err = 0;

	*ret = catalog_module_tokio(cat, p->exe_module);
	if (!*ret && !p->own_exe && !p->met_exe) {
		_cleanup_close_ int fd = proc_open_exe(p->fs, p->pid);

		if (fd >= 0)
			err = module_tokio_read(fd, "", &p->own_exe);
	}
	if (!*ret)
		*ret = p->own_exe;
	return err;
}

static int meet_exe(struct catalog *cat, struct cat_process *p, struct module_tokio **ret)
{
	int err = exe_of(cat, p, ret);
	bool is_new = !p->met_exe;

	p->met_exe = true;
	if (err || !*ret || !is_new)
		return err;
	p->is_stripped = !(*ret)->elf.has_symtab;
	if (!(*ret)->elf.tls_memsz)
		return 0;
	return add(p, &(struct cat_copy){.module = p->exe_module, .is_mapped = true, .elf = &(*ret)->elf});
}

int copies_refresh(struct catalog *cat, struct cat_process *p, bool *ret_changed)
{
	struct module_tokio *exe, *t;
	int err = meet_exe(cat, p, &exe);

	*ret_changed = false;
	for (u32 i = 0; i < p->n_copies; i++)
		p->copies[i].is_mapped = !p->copies[i].is_library;
	for (u32 i = 0; i < p->n_maps && !err; i++) {
		t = p->maps[i].module != p->exe_module ? catalog_module_tokio(cat, p->maps[i].module) : NULL;
		if (t && holds_tokio(&t->elf))
			err = meet_library(cat, p, exe, t, &p->maps[i]);
	}
	for (u32 i = 0; i < p->n_copies; i++)
		if (!p->copies[i].is_mapped)
			leave_library(&p->copies[i], ret_changed);
	return err;
}

int copies_place(struct cat_process *p, const struct cat_copy *c, struct tls_place *ret)
{
	*ret = (struct tls_place){0};
	return c->is_library ? tls_place_read(c->slot, c->bias, cat_process_read, p, ret) : 0;
}

u64 copies_tls_end(struct cat_process *p, const struct cat_copy *c, const struct tls_place *where, u64 fsbase)
{
	u64 start;

	if (!c->is_library)
		return fsbase;
	if (!where->dtv_off)
		start = fsbase + (u64)where->distance;
	else if (tls_block(where->dtv_off, fsbase, cat_process_read, p, &start) < 0)
		return 0;
	return start + tokio_elf_tls_back(c->elf, 0);
}

s32 copies_place_from_base(const struct cat_copy *c, const struct tls_place *where, s32 at)
{
	if (!c->is_library || at == WIRE_NOWHERE)
		return at;
	return (s32)(at + (s64)tokio_elf_tls_back(c->elf, 0) + where->distance);
}

void copies_to_wire(const struct cat_process *p, struct wire_target *t)
{
	u32 n = 0;

	for (u32 i = 0; i < p->n_copies && n < WIRE_COPIES; i++)
		if (p->copies[i].wire.valid)
			t->layout[n++] = p->copies[i].wire;
}

struct cat_copy *copies_by_gen(const struct cat_process *p, u32 gen)
{
	for (u32 i = 0; i < p->n_copies; i++)
		if (gen && p->copies[i].wire.gen == gen)
			return &p->copies[i];
	return NULL;
}

static void read_copy(struct cat_process *p, const struct wire_layout *l, u64 fsbase, struct wire_ctx *ret)
{
	u64 base = fsbase;
	int err = l->dtv_off ? tls_block(l->dtv_off, fsbase, cat_process_read, p, &base) : 0;

	if (err)
		*ret = (struct wire_ctx){.status = err == -ENOENT ? WIRE_CTX_READ : WIRE_CTX_UNREAD,
					 .runtime = err == -ENOENT ? WIRE_NOT_ENTERED : 0,
					 .gen = l->gen};
	else
		layout_read_ctx(l, base, cat_process_read, p, ret);
}

static bool is_inside(const struct wire_ctx *x)
{
	return x->status == WIRE_CTX_READ && (x->sched || x->budget || x->task || x->runtime != WIRE_NOT_ENTERED);
}

void copies_read_ctx(struct cat_process *p, u64 fsbase, struct wire_ctx *ret)
{
	struct wire_target t = {0};

	copies_to_wire(p, &t);
	*ret = (struct wire_ctx){.status = WIRE_CTX_NO_LAYOUT};
	for (u32 i = 0; i < WIRE_COPIES && t.layout[i].valid; i++) {
		struct wire_ctx x;

		read_copy(p, &t.layout[i], fsbase, &x);
		if (!i || is_inside(&x))
			*ret = x;
		if (is_inside(&x))
			return;
	}
}
