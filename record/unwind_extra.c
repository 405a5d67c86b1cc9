/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * unwind_extra.c: see unwind_extra.h.
 *
 * PLT stubs are found by section headers, so not in files that lost them. The system call in glibc's clone and clone3 has no FDE, because the new thread
 * returns from it on another stack (sysdeps/unix/sysv/linux/x86_64/clone3.S); the thread that called is there for as long as the kernel takes. Of
 * musl, which is written without call frame information for its assembly:
 *
 *	_start           the program's entry point, where it begins with `xor %ebp,%ebp` as the ABI recommends for the outermost frame; of glibc's loader, `mov
 *	                 %rsp,%rdi; call _dl_start` (sysdeps/x86_64/dl-machine.h, RTLD_START)
 *	__restore_rt     `mov $15,%rax; syscall`: rt_sigreturn, before which the kernel's signal frame is at the stack pointer
 *	__clone          the tail that calls the new thread's function and then exits the thread
 *
 * The latter two are searched for in files that need no other file, because such a one is or contains its own C library, and only if the tables have nothing
 * of that kind yet, as glibc's have.
 */
#include "record/unwind_extra.h"

#include <string.h>

enum {
	PLT_ENTRY = 16,	       /* bytes */
	PLT_STATIC_ENTRY = 8,  /* of a static program's .plt */
	PLT_HEAD = 32,	       /* bytes of a PLT looked at: two entries, or mold's first one */
	PLT_PUSH_HEAD = 6,     /* length of `push GOT+8` at the start of a .plt's first entry */
	ENTRY_BYTES = 64,      /* more than any _start has */
	SCAN_CHUNK = 1 << 20,  /* bytes of code searched at a time */
	MAX_SCAN = 256 << 20,  /* bytes of code searched, a multiple of SCAN_CHUNK */
	MAX_DYNAMIC = 1 << 16, /* bytes of PT_DYNAMIC looked at */
	MAX_PIECES = 64,
	SYSCALL_BYTES = 2,  /* length of `syscall` */
	MAX_CLONE_GAP = 32, /* from there to where the new thread begins */
};

/* Code from pc `start` to pc `end` has one rule. */
struct piece {
	u32 start, end;
	u32 rule;
};

struct pieces {
	struct piece at[MAX_PIECES]; /* what does not fit is left out */
	u32 n;
};

/* An address range, if it is code. */
static void add_piece(struct pieces *p, const struct cfi_input *in, u64 start, u64 end, u32 rule)
{
	for (u32 i = 0; i < in->n_text; i++) {
		const struct cfi_range *t = &in->text[i];

		if (p->n < MAX_PIECES && start >= t->start && start < end && end <= t->end && end - in->base <= UINT32_MAX)
			p->at[p->n++] = (struct piece){(u32)(start - in->base), (u32)(end - in->base), rule};
	}
}

static int by_start(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* Sorted; of overlapping ones the later lose. */
static int put_pieces(struct pieces *p, struct cfi_rows *out)
{
	u32 covered = 0;
	int err = 0;

	qsort(p->at, p->n, sizeof(p->at[0]), by_start);
	for (u32 i = 0; i < p->n && !err; i++) {
		const struct piece *x = &p->at[i];

		if (out->n && x->start < covered)
			continue;
		if (out->n && x->start > covered)
			err = cfi_rows_put(out, 0, covered, uw_rule(UW_END, 0, 0));
		if (!err)
			err = cfi_rows_put(out, 0, x->start, x->rule);
		covered = x->end;
	}
	if (!err && out->n)
		err = cfi_rows_put(out, 0, covered, uw_rule(UW_END, 0, 0));
	return err;
}

/* ---- PLT ---- */

/*
 * Where in an entry of a lazy .plt the push of the relocation's index is over, from the entry's code: `jmp *GOT; push N; jmp PLT0` (System V ABI AMD64 1.0 figure
 * 5.2), or with IBT `endbr64; push N; jmp PLT0`. 0: other code.
 */
static u32 push_end(const u8 entry[PLT_ENTRY])
{
	static const u8 endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

	if (entry[0] == 0xff && entry[1] == 0x25 && entry[6] == 0x68)
		return 11;
	if (!memcmp(entry, endbr64, sizeof(endbr64)) && entry[4] == 0x68)
		return 9;
	return 0;
}

/* GNU ld's and lld's: the first entry pushes a word more, unless it is an ordinary one already, as in .iplt. */
static void add_lazy_plt(struct pieces *p, const struct cfi_input *in, u64 start, u64 end, const u8 code[PLT_HEAD])
{
	u32 threshold = push_end(code);

	if (start % PLT_ENTRY)
		return;
	if (code[0] == 0xff && code[1] == 0x35) { /* push GOT+8 */
		add_piece(p, in, start, start + PLT_PUSH_HEAD, uw_rule(UW_SP, 0, 2));
		add_piece(p, in, start + PLT_PUSH_HEAD, start + PLT_ENTRY, uw_rule(UW_SP, 0, 3));
		start += PLT_ENTRY;
		threshold = push_end(code + PLT_ENTRY);
	}
	if (threshold)
		add_piece(p, in, start, end, uw_rule(UW_PLT, 0, (s32)threshold));
}

/*
 * mold's: the first entry, of 32 bytes, is `endbr64; push %r11; push GOT+8; jmp *GOT+16`, the others push nothing (rui314/mold, src/arch-x86-64.cc, write_plt_header and
 * write_plt_entry).
 */
static bool add_mold_plt(struct pieces *p, const struct cfi_input *in, u64 start, u64 end, const u8 code[PLT_HEAD])
{
	static const u8 head[] = {0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x53, 0xff, 0x35};

	if (memcmp(code, head, sizeof(head)) != 0)
		return false;
	add_piece(p, in, start, start + 6, uw_rule(UW_SP, 0, 1));
	add_piece(p, in, start + 6, start + 12, uw_rule(UW_SP, 0, 2));
	add_piece(p, in, start + 12, start + PLT_HEAD, uw_rule(UW_SP, 0, 3));
	add_piece(p, in, start + PLT_HEAD, end, uw_rule(UW_SP, 0, 1));
	return true;
}

/* GNU ld's of a static program, entries of 8 bytes for functions chosen at start: `jmp *GOT; xchg %ax,%ax`. */
static bool is_static_stub(const u8 code[PLT_HEAD])
{
	return code[0] == 0xff && code[1] == 0x25 && code[6] == 0x66 && code[7] == 0x90;
}

/* .plt or .iplt: its code tells whose it is; other code gets no rows. */
static void add_coded_plt(struct pieces *p, const struct elf_view *v, const struct cfi_input *in, const Elf64_Shdr *s)
{
	u64 start = s->sh_addr, end = s->sh_addr + s->sh_size;
	u8 code[PLT_HEAD] = {0};
	ssize_t got = elf_view_read(v, code, min_u64(sizeof(code), s->sh_size), s->sh_offset);

	if (got >= PLT_STATIC_ENTRY && is_static_stub(code))
		add_piece(p, in, start, end, uw_rule(UW_SP, 0, 1));
	else if (got >= PLT_ENTRY && !add_mold_plt(p, in, start, end, code))
		add_lazy_plt(p, in, start, end, code);
}

/* Stubs without a push: the return address is on top. */
static void add_plain_plt(struct pieces *p, const struct cfi_input *in, const Elf64_Shdr *s)
{
	add_piece(p, in, s->sh_addr, s->sh_addr + s->sh_size, uw_rule(UW_SP, 0, 1));
}

static void find_plts(struct pieces *p, const struct elf_view *v, const struct cfi_input *in)
{
	static const struct {
		const char *name;
		bool lazy;
	} sections[] = {{".plt", true}, {".iplt", true}, {".plt.got", false}, {".plt.sec", false}};

	for (u32 i = 0; i < ARRAY_SIZE(sections); i++) {
		const Elf64_Shdr *s = elf_view_section(v, sections[i].name);

		if (!s || s->sh_type == SHT_NOBITS || s->sh_addr > INT64_MAX || s->sh_size > INT64_MAX)
			continue;
		if (sections[i].lazy)
			add_coded_plt(p, v, in, s);
		else
			add_plain_plt(p, in, s);
	}
}

/* ---- clone ---- */

static bool is_kind(u64 row, enum uw_kind kind)
{
	return (row & 15) == kind;
}

/*
 * A gap of a few bytes that begins with `syscall`, behind code whose frame is the return address alone and in front of code that ends a stack. Only that instruction
 * gets a rule: behind it a new thread may stand; in it, or behind it in the kernel, only the caller (the kernel side knows a new thread by its registers).
 */
static int find_clone(struct pieces *p, const struct elf_view *v, const struct cfi_input *in, const struct cfi_rows *rows)
{
	static const u8 syscall[SYSCALL_BYTES] = {0x0f, 0x05};

	for (u32 i = 1; i + 1 < rows->n && p->n < MAX_PIECES; i++) {
		u64 start = in->base + (rows->rows[i] >> 32), gap = (rows->rows[i + 1] >> 32) - (rows->rows[i] >> 32);
		_cleanup_free_ u8 *code = NULL;
		size_t n;
		int err;

		if (!is_kind(rows->rows[i], UW_END) || (u32)rows->rows[i - 1] != uw_rule(UW_SP, 0, 1) ||
		    !is_kind(rows->rows[i + 1], UW_STOP) || gap <= SYSCALL_BYTES || gap > MAX_CLONE_GAP)
			continue;
		err = elf_view_copy(v, start, SYSCALL_BYTES, &code, &n);
		if (err)
			return err;
		if (n == SYSCALL_BYTES && !memcmp(code, syscall, SYSCALL_BYTES))
			add_piece(p, in, start, start + SYSCALL_BYTES, uw_rule(UW_SP, 0, 1));
	}
	return 0;
}

/* ---- musl ---- */

/* Number of the first row above a pc. */
static u32 row_above(const struct cfi_rows *rows, u64 pc)
{
	u32 lo = 0, hi = rows->n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (rows->rows[mid] >> 32 <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int find_entry(struct pieces *p, const struct elf_view *v, const struct cfi_input *in, const struct cfi_rows *rows)
{
	static const u8 xor_ebp[] = {0x31, 0xed}, xor_rbp[] = {0x48, 0x31, 0xed}, loader[] = {0x48, 0x89, 0xe7, 0xe8};
	_cleanup_free_ u8 *code = NULL;
	u64 start = v->eh.e_entry, end;
	u32 above = row_above(rows, start - in->base);
	size_t n;
	int err;

	if (above && (rows->rows[above - 1] & 15) != UW_END)
		return 0;
	err = elf_view_copy(v, start, ENTRY_BYTES, &code, &n);
	if (err || n < sizeof(loader))
		return err;
	end = above < rows->n ? min_u64(start + n, in->base + (rows->rows[above] >> 32)) : start + n;
	if (!memcmp(code, xor_ebp, sizeof(xor_ebp)) || !memcmp(code, xor_rbp, sizeof(xor_rbp)) ||
	    !memcmp(code, loader, sizeof(loader)))
		add_piece(p, in, start, end, uw_rule(UW_STOP, 0, 0));
	return 0;
}

/* Does it need other files? -ENOMEM and so on as ever. */
static int needs_others(const struct elf_view *v)
{
	const Elf64_Phdr *ph = elf_view_phdr(v, PT_DYNAMIC);
	_cleanup_free_ u8 *bytes = NULL;
	size_t n = 0;
	int err = ph ? elf_view_copy_at(v, ph->p_offset, min_u64(ph->p_filesz, MAX_DYNAMIC), &bytes, &n) : 0;

	for (size_t i = 0; !err && i + sizeof(Elf64_Dyn) <= n; i += sizeof(Elf64_Dyn)) {
		Elf64_Dyn d;

		memcpy(&d, bytes + i, sizeof(d));
		if (d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_NEEDED)
			return 1;
	}
	return err;
}

static bool has_kind(const struct cfi_rows *rows, enum uw_kind kind)
{
	for (u32 i = 0; i < rows->n; i++)
		if ((rows->rows[i] & 15) == kind)
			return true;
	return false;
}

/* Bytes that mean something: rows for [at - before, at + n). */
struct pattern {
	u8 bytes[11];
	u8 n, before;
	u32 rule;
};

static void search(struct pieces *p, const struct cfi_input *in, const u8 *code, size_t n, u64 vaddr, const struct pattern *pat)
{
	const u8 *at = code;

	while ((at = memmem(at, (size_t)(code + n - at), pat->bytes, pat->n))) {
		u64 start = vaddr + (u64)(at - code);

		add_piece(p, in, start - pat->before, start + pat->n, pat->rule);
		at += pat->n;
	}
}

/* The code in chunks that overlap by less than a pattern, so that none is found twice. */
static int search_text(struct pieces *p, const struct elf_view *v, const struct cfi_input *in, const struct pattern *pat)
{
	u64 step = SCAN_CHUNK, left = MAX_SCAN;

	for (u32 i = 0; i < in->n_text; i++) {
		for (u64 at = in->text[i].start; at < in->text[i].end && p->n < MAX_PIECES && left; at += step, left -= step) {
			_cleanup_free_ u8 *code = NULL;
			size_t n;
			int err = elf_view_copy(v, at, min_u64(step + pat->n - 1u, in->text[i].end - at), &code, &n);

			if (err)
				return err;
			if (n < pat->n)
				break;
			search(p, in, code, n, at, pat);
		}
	}
	return 0;
}

static int find_libc(struct pieces *p, const struct elf_view *v, const struct cfi_input *in, const struct cfi_rows *rows)
{
	/* mov $15,%rax; syscall. The row begins a byte early, because a caller's pc is looked up one less: the handler "was called from" here. */
	const struct pattern restore = {{0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}, 9, 1, uw_rule(UW_SIGNAL, 0, 0)};
	/* call *%r9; mov %eax,%edi; xor %eax,%eax; mov $60,%al; syscall */
	const struct pattern clone = {
		{0x41, 0xff, 0xd1, 0x89, 0xc7, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05}, 11, 0, uw_rule(UW_STOP, 0, 0)};
	int err = 0;

	if (!has_kind(rows, UW_SIGNAL))
		err = search_text(p, v, in, &restore);
	if (!err && !has_kind(rows, UW_STOP))
		err = search_text(p, v, in, &clone);
	return err;
}

/* ---- together ---- */

int unwind_extra_find(const struct elf_view *v, const struct cfi_input *in, const struct cfi_rows *rows, struct unwind_extra *ret)
{
	struct pieces weak, strong;
	int err;

	*ret = (struct unwind_extra){0};
	weak.n = strong.n = 0;
	find_plts(&weak, v, in);
	err = needs_others(v);
	if (!err)
		err = find_libc(&strong, v, in, rows);
	if (err >= 0)
		err = find_entry(&weak, v, in, rows);
	if (!err)
		err = find_clone(&weak, v, in, rows);
	if (!err)
		err = put_pieces(&weak, &ret->weak);
	if (!err)
		err = put_pieces(&strong, &ret->strong);
	return err;
}

void unwind_extra_release(struct unwind_extra *e)
{
	free(e->weak.rows);
	free(e->strong.rows);
	*e = (struct unwind_extra){0};
}

int unwind_extra_lay_under(struct cfi_rows *rows, const struct cfi_rows *under)
{
	struct cfi_rows out = {0};
	u32 i = 0, j = 0, over_rule = 0, under_rule = 0;
	int err = 0;

	if (!under->n)
		return 0;
	while (!err && (i < rows->n || j < under->n)) {
		u64 a = i < rows->n ? rows->rows[i] : UINT64_MAX, b = j < under->n ? under->rows[j] : UINT64_MAX;
		u32 pc = (u32)(min_u64(a, b) >> 32), rule;

		if (i < rows->n && a >> 32 == pc) {
			over_rule = (u32)a;
			i++;
		}
		if (j < under->n && b >> 32 == pc) {
			under_rule = (u32)b;
			j++;
		}
		rule = (over_rule & 15) != UW_END ? over_rule : under_rule;
		if (out.n || (rule & 15) != UW_END)
			err = cfi_rows_put(&out, 0, pc, rule);
	}
	if (err) {
		free(out.rows);
		return err;
	}
	free(rows->rows);
	*rows = out;
	return 0;
}
