/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* vtable_scan.c: see vtable_scan.h. */
#include "record/vtable_scan.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

enum {
	FUNCTIONS = 7,
	VTABLE_SIZE = 80,
	MAX_SLOTS = 1 << 24,
	MAX_DYN = 4096,
	WINDOW = 1 << 20,
	HEADER_SIZE = 32,	 /* of a task's cell; what follows may be aligned to more */
	MAX_SCHEDULER = 1 << 16, /* its offset: a future's alignment */
	MAX_SCHEDULER_SIZE = 64,
	MAX_TRAILER = 1 << 30, /* size of a future */
};

#define NO_FUNCTION (~0ULL)

/* A word of the file that holds an address: target is NO_FUNCTION unless a function begins there. */
struct slot {
	u64 addr, target;
};

struct slots {
	struct slot *rows; /* owned */
	size_t n, cap;
	bool unsorted;
};

/* The file's bytes around an address, kept for the next read near by. */
struct window {
	const struct elf_view *v;
	u8 *bytes; /* owned */
	size_t n;
	u64 addr;
	u64 left; /* bytes that may still be read: a file can map the same ones a thousand times */
};

#define MAX_READ (1ULL << 30)

bool function_starts_has(const struct function_starts *f, u64 addr)
{
	size_t lo = 0, hi = f->n;

	if (!hi || addr < f->at[0] || addr > f->at[hi - 1])
		return false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->at[mid] < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->n && f->at[lo] == addr;
}

static void release_slots(struct slots *s)
{
	free(s->rows);
}

static void release_window(struct window *w)
{
	free(w->bytes);
}

static u64 le64(const u8 *p)
{
	u64 x;

	memcpy(&x, p, sizeof(x)); /* the hosts are little-endian, too */
	return x;
}

/* NULL: the file has no such bytes. */
static int window_at(struct window *w, u64 addr, size_t n, const u8 **ret)
{
	int err;

	*ret = NULL;
	if (!w->bytes || addr < w->addr || addr - w->addr > w->n || w->n - (addr - w->addr) < n) {
		free(w->bytes);
		w->bytes = NULL;
		w->addr = addr;
		if (w->left < WINDOW)
			return 0;
		err = elf_view_copy(w->v, addr, WINDOW, &w->bytes, &w->n);
		if (err)
			return err;
		w->left -= w->bytes ? WINDOW : 0;
	}
	if (w->bytes && w->n - (addr - w->addr) >= n)
		*ret = w->bytes + (addr - w->addr);
	return 0;
}

static int put_slot(struct slots *s, const struct function_starts *starts, u64 addr, u64 target)
{
	if (s->n >= MAX_SLOTS || ARRAY_ROOM_RAW(s->rows, s->n, &s->cap) < 0)
		return -ENOMEM;
	s->unsorted |= s->n && s->rows[s->n - 1].addr > addr;
	s->rows[s->n++] = (struct slot){.addr = addr, .target = function_starts_has(starts, target) ? target : NO_FUNCTION};
	return 0;
}

/* ---- where the file's pointers are ---- */

struct reloc_tables {
	u64 rela, rela_size, relr, relr_size;
};

static int read_dynamic(const struct elf_view *v, struct reloc_tables *ret)
{
	const Elf64_Phdr *ph = elf_view_phdr(v, PT_DYNAMIC);
	_cleanup_free_ u8 *p = NULL;
	size_t n;
	int err;

	if (!ph)
		return 0;
	err = elf_view_copy_at(v, ph->p_offset, min_u64(ph->p_filesz, MAX_DYN * sizeof(Elf64_Dyn)), &p, &n);
	for (size_t at = 0; !err && at + sizeof(Elf64_Dyn) <= n; at += sizeof(Elf64_Dyn)) {
		u64 tag = le64(p + at), value = le64(p + at + 8);

		if (tag == DT_NULL)
			break;
		if (tag == DT_RELA)
			ret->rela = value;
		else if (tag == DT_RELASZ)
			ret->rela_size = value;
		else if (tag == 36) /* DT_RELR, which elf.h of glibc 2.36 and later has */
			ret->relr = value;
		else if (tag == 35) /* DT_RELRSZ */
			ret->relr_size = value;
	}
	return err;
}

static int slots_of_rela(const struct elf_view *v, const struct reloc_tables *t, const struct function_starts *starts,
			 struct slots *s)
{
	_cleanup_free_ u8 *p = NULL;
	size_t n = 0;
	int err = t->rela ? elf_view_copy(v, t->rela, t->rela_size, &p, &n) : 0;

	for (size_t at = 0; !err && at + sizeof(Elf64_Rela) <= n && s->n < MAX_SLOTS; at += sizeof(Elf64_Rela)) {
		u64 info = le64(p + at + 8);

		if (ELF64_R_TYPE(info) == R_X86_64_RELATIVE)
			err = put_slot(s, starts, le64(p + at), le64(p + at + 16));
	}
	return err;
}

/* An even word is an address that holds a pointer; the bits of an odd one tell which of the next 63 words do. */
static int slots_of_relr(const struct elf_view *v, const struct reloc_tables *t, const struct function_starts *starts,
			 struct slots *s)
{
	_cleanup_(release_window) struct window w = {.v = v, .left = MAX_READ};
	_cleanup_free_ u8 *p = NULL;
	size_t n = 0;
	u64 where = 0, last = 0;
	int err = t->relr ? elf_view_copy(v, t->relr, t->relr_size, &p, &n) : 0;

	for (size_t at = 0; !err && at + 8 <= n && s->n < MAX_SLOTS; at += 8) {
		u64 entry = le64(p + at), bits = entry & 1 ? entry >> 1 : 1;

		if (!(entry & 1) && entry < last)
			break; /* linkers sort them */
		if (!(entry & 1))
			where = last = entry;
		for (u64 addr = where; bits && !err && s->n < MAX_SLOTS; bits >>= 1, addr += 8) {
			const u8 *word;

			if (!(bits & 1))
				continue;
			err = window_at(&w, addr, 8, &word);
			if (!err && word)
				err = put_slot(s, starts, addr, le64(word));
		}
		where += entry & 1 ? 63 * 8 : 8;
	}
	return err;
}

/* A program that is linked to a fixed address has its pointers in place: every word of its data that is the start of a function. */
static int slots_of_data(const struct elf_view *v, const struct function_starts *starts, struct slots *s)
{
	u64 left = MAX_READ;
	int err = 0;

	for (u32 i = 0; i < v->eh.e_phnum && !err; i++) {
		const Elf64_Phdr *ph = &v->ph[i];

		if (ph->p_type != PT_LOAD || (ph->p_flags & PF_X))
			continue;
		for (u64 at = 0; at < ph->p_filesz && !err && left >= WINDOW; at += WINDOW, left -= WINDOW) {
			u64 addr = ph->p_vaddr + at, skip = -addr & 7;
			_cleanup_free_ u8 *p = NULL;
			size_t n;

			err = elf_view_copy_at(v, ph->p_offset + at, min_u64(WINDOW, ph->p_filesz - at), &p, &n);
			if (!err && !n)
				break; /* behind the end of the file */
			for (size_t k = skip; !err && k + 8 <= n && s->n < MAX_SLOTS; k += 8)
				if (function_starts_has(starts, le64(p + k)))
					err = put_slot(s, starts, addr + k, le64(p + k));
		}
	}
	return err;
}

static int by_slot(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static int read_slots(const struct elf_view *v, const struct function_starts *starts, struct slots *s)
{
	struct reloc_tables t = {0};
	int err = read_dynamic(v, &t);

	if (err)
		return err;
	err = v->eh.e_type == ET_EXEC ? slots_of_data(v, starts, s) : slots_of_rela(v, &t, starts, s);
	if (!err && v->eh.e_type != ET_EXEC)
		err = slots_of_relr(v, &t, starts, s);
	if (!err && s->unsorted)
		qsort(s->rows, s->n, sizeof(*s->rows), by_slot);
	return err;
}

/* ---- the shape ---- */

static bool is_run(const struct slots *s, size_t i)
{
	for (size_t k = 0; k < FUNCTIONS; k++)
		if (i + k >= s->n || s->rows[i + k].addr != s->rows[i].addr + 8 * k || s->rows[i + k].target == NO_FUNCTION)
			return false;
	return i + FUNCTIONS == s->n || s->rows[i + FUNCTIONS].addr >= s->rows[i].addr + VTABLE_SIZE;
}

/* Behind the Header comes the scheduler, behind that at once the id, then the future; the trailer is last. */
static bool are_offsets(u64 trailer, u64 scheduler, u64 id)
{
	return scheduler >= HEADER_SIZE && scheduler <= MAX_SCHEDULER && scheduler % 8 == 0 && id >= scheduler &&
	       id - scheduler <= MAX_SCHEDULER_SIZE && id % 8 == 0 && trailer > id && trailer <= MAX_TRAILER && trailer % 8 == 0;
}

static int put_vtable(struct tokio_vtables *t, const struct tokio_vtable *row)
{
	if (ARRAY_ROOM_RAW(t->rows, t->n, &t->cap) < 0)
		return -ENOMEM;
	t->rows[t->n++] = *row;
	return 0;
}

int vtable_scan(const struct elf_view *v, const struct function_starts *starts, struct tokio_vtables *ret)
{
	_cleanup_(release_window) struct window w = {.v = v, .left = MAX_READ};
	_cleanup_(release_slots) struct slots s = {0};
	int err = read_slots(v, starts, &s);

	for (size_t i = 0; !err && i < s.n && ret->n < VTABLE_SCAN_MAX; i++) {
		const struct slot *f = &s.rows[i];
		u64 trailer, scheduler, id;
		const u8 *p;

		if (!is_run(&s, i))
			continue;
		err = window_at(&w, f->addr + FUNCTIONS * 8, VTABLE_SIZE - FUNCTIONS * 8, &p);
		if (err || !p)
			continue;
		trailer = le64(p);
		scheduler = le64(p + 8);
		id = le64(p + 16);
		if (!are_offsets(trailer, scheduler, id))
			continue;
		err = put_vtable(ret, &(struct tokio_vtable){.addr = f->addr,
							     .poll = f[0].target,
							     .schedule = f[1].target,
							     .dealloc = f[2].target,
							     .shutdown = f[6].target,
							     .trailer_off = (u32)trailer,
							     .scheduler_off = (u32)scheduler,
							     .id_off = (u32)id});
		i += FUNCTIONS - 1;
	}
	return err;
}
