/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_copies.c: where a library's thread-locals are, and which copy of Tokio a thread is in. The target is this process: thread control blocks, dtvs and
 * contexts are made up in its memory, in the shape that glibc gives them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "record/copies.h"
#include "tests/unit/fake_memory.h"
#include "tests/unit/tls_image.h"

/* ---- the file ---- */

static int read_slot(const struct tls_image *shape, struct tls_slot *ret)
{
	_cleanup_close_ int fd = tls_image_make(shape);

	return tls_slot_read(fd, ret);
}

static void slots(void **state)
{
	const struct {
		struct tls_image file;
		enum tls_slot_kind kind;
		u64 vaddr, symbol;
	} cases[] = {
		{{.n = 1, .rela = {{.type = R_X86_64_DTPMOD64, .slot = 0x3010}}}, TLS_SLOT_MODULE, 0x3010, 0},
		{{.n = 1, .rela = {{.type = R_X86_64_TPOFF64, .slot = 0x3010, .addend = 24}}}, TLS_SLOT_OFFSET, 0x3010, 24},
		{{.n = 1, .rela = {{.type = R_X86_64_TPOFF64, .slot = 0x3010, .symbol = TLS_IMAGE_DEFINED, .addend = 8}}},
		 TLS_SLOT_OFFSET,
		 0x3010,
		 TLS_IMAGE_VALUE + 8},
		{{.n = 1, .rela = {{.type = R_X86_64_TLSDESC, .slot = 0x3010}}}, TLS_SLOT_DESCRIPTOR, 0x3010, 0},
		{{.n = 1, .plt = true, .rela = {{.type = R_X86_64_TLSDESC, .slot = 0x3010}}}, TLS_SLOT_DESCRIPTOR, 0x3010, 0},
		{{.n = 1, .rela = {{.type = R_X86_64_RELATIVE, .slot = 0x3010}}}, TLS_SLOT_NONE, 0, 0},
		{{.n = 0}, TLS_SLOT_NONE, 0, 0},
		/* errno, say: it is libc's block that this slot is about */
		{{.n = 1, .rela = {{.type = R_X86_64_TPOFF64, .slot = 0x3010, .symbol = TLS_IMAGE_UNDEFINED}}},
		 TLS_SLOT_NONE,
		 0,
		 0},
		/* the best of several */
		{{.n = 3,
		  .rela = {{.type = R_X86_64_TLSDESC, .slot = 0x3000},
			   {.type = R_X86_64_TPOFF64, .slot = 0x3010},
			   {.type = R_X86_64_DTPMOD64, .slot = 0x3020}}},
		 TLS_SLOT_MODULE,
		 0x3020,
		 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_slot s;

		assert_int_equal(read_slot(&cases[i].file, &s), 0);
		assert_int_equal(s.kind, cases[i].kind);
		assert_int_equal(s.vaddr, cases[i].vaddr);
		assert_int_equal(s.symbol, cases[i].symbol);
		assert_int_equal(s.text_delta, TLS_IMAGE_TEXT_DELTA);
	}
}

static void files_that_are_none(void **state)
{
	struct tls_slot s;
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_true(tls_slot_read(pipes[0], &s) < 0);
	assert_int_equal(s.kind, TLS_SLOT_NONE);
	assert_false(tls_slot_is_for_musl(pipes[0]));
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void loaders(void **state)
{
	const struct {
		const char *interp;
		bool is_musl;
	} cases[] = {{"/lib64/ld-linux-x86-64.so.2", false}, {"/lib/ld-musl-x86_64.so.1", true}, {NULL, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_close_ int fd = tls_image_make(&(struct tls_image){.interp = cases[i].interp});

		assert_int_equal(tls_slot_is_for_musl(fd), cases[i].is_musl);
	}
}

/* ---- the live slot, and a thread's block ---- */

#define SLOT	0x7f0000003010ULL
#define FSBASE	0x7f0000100000ULL
#define DTV	0x7f0000200040ULL
#define BLOCK	0x7f0000300000ULL
#define DTV_OFF 48 /* module 3 */

static struct fake_memory *thread_with_dtv(void **state, u64 slots_there, u64 block)
{
	struct fake_memory *m = *state;

	m->n = 0;
	fake_put(m, FSBASE, FSBASE);
	fake_put(m, FSBASE + 8, DTV);
	fake_put(m, DTV - 16, slots_there);
	fake_put(m, DTV, 5); /* generation */
	fake_put(m, DTV + DTV_OFF, block);
	return m;
}

static void places(void **state)
{
	const struct tls_slot module = {.kind = TLS_SLOT_MODULE, .vaddr = 0x3010}, offset = {TLS_SLOT_OFFSET, 0x3010, 24, 0};
	struct fake_memory *m = *state;
	struct tls_place p;

	m->n = 0;
	assert_int_equal(tls_place_read(&module, SLOT - 0x3010, fake_read, m, &p), -EFAULT);
	fake_put(m, SLOT, 0);
	assert_int_equal(tls_place_read(&module, SLOT - 0x3010, fake_read, m, &p), -EAGAIN); /* not relocated yet */
	fake_put(m, SLOT, 3);
	assert_int_equal(tls_place_read(&module, SLOT - 0x3010, fake_read, m, &p), 0);
	assert_int_equal(p.dtv_off, DTV_OFF);
	fake_put(m, SLOT, 0x7f0000000000);
	assert_int_equal(tls_place_read(&module, SLOT - 0x3010, fake_read, m, &p), -EBADMSG);
	fake_put(m, SLOT, (u64)-0x100);
	assert_int_equal(tls_place_read(&offset, SLOT - 0x3010, fake_read, m, &p), 0);
	assert_int_equal(p.dtv_off, 0);
	assert_int_equal(p.distance, -0x118);
	fake_put(m, SLOT, 0x100); /* above the thread pointer is no block */
	assert_int_equal(tls_place_read(&offset, SLOT - 0x3010, fake_read, m, &p), -EBADMSG);
	assert_int_equal(tls_place_read(&(struct tls_slot){.kind = TLS_SLOT_DESCRIPTOR}, 0, fake_read, m, &p), -EBADMSG);
}

static void blocks(void **state)
{
	struct fake_memory *m = thread_with_dtv(state, 17, BLOCK);
	u64 block = 0;

	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), 0);
	assert_int_equal(block, BLOCK);
	/* the array ends before the module: its entry is somebody else's memory */
	m = thread_with_dtv(state, 2, BLOCK);
	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), -ENOENT);
	m = thread_with_dtv(state, 3, BLOCK);
	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), 0);
	m = thread_with_dtv(state, 17, (u64)-1); /* TLS_DTV_UNALLOCATED */
	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), -ENOENT);
	m = thread_with_dtv(state, 17, 0);
	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), -ENOENT);
	fake_unmap(m, DTV);
	assert_int_equal(tls_block(DTV_OFF, FSBASE, fake_read, m, &block), -EFAULT);
	assert_int_equal(tls_block(DTV_OFF, 0, fake_read, m, &block), -EFAULT);
}

/* ---- which copy ---- */

/* A thread of this process: its control block, the library's block; and a Context in either, as `l` has it. */
struct own_thread {
	u8 before[256]; /* the main program's block ends at the thread pointer */
	u64 tcb, dtv;
	u64 array[16]; /* dtv[-1] is array[0] */
	u8 block[256];
};

enum { EXE_AT = -128, LIB_AT = 64 };

static struct wire_layout layout(s32 at, u32 dtv_off, u32 gen)
{
	return (struct wire_layout){.valid = 1,
				    .gen = gen,
				    .dtv_off = dtv_off,
				    .at = at,
				    .off_sched = 40,
				    .off_id = 48,
				    .off_id_tag = WIRE_NO_FIELD,
				    .off_budget = 68,
				    .off_runtime = 70};
}

static void outside(u8 *context)
{
	context[70] = WIRE_NOT_ENTERED;
}

static void start_thread(struct own_thread *t)
{
	*t = (struct own_thread){.tcb = (uintptr_t)&t->tcb, .dtv = (uintptr_t)&t->array[2], .array = {6}};
	t->array[2 + 2 * 2] = (uintptr_t)t->block; /* module 2 */
	outside(&t->before[256 + EXE_AT]);
	outside(&t->block[LIB_AT]);
}

static struct wire_ctx read_thread(struct cat_process *p, const struct own_thread *t)
{
	struct wire_ctx x;

	copies_read_ctx(p, (uintptr_t)&t->tcb, &x);
	return x;
}

static void which_copy(void **state)
{
	struct cat_copy copies[3] = {{.is_mapped = true, .wire = layout(EXE_AT, 0, 7)},
				     {.is_mapped = true}, /* found later: places without a layout are passed over */
				     {.is_mapped = true, .is_library = true, .wire = layout(LIB_AT, 32, 9)}};
	struct cat_process p = {.pid = (u32)getpid(), .mem_fd = -1, .copies = copies, .n_copies = 3};
	static struct own_thread t;
	struct wire_ctx x;

	(void)state;
	start_thread(&t);
	x = read_thread(&p, &t); /* in neither: as the first says */
	assert_int_equal(x.status, WIRE_CTX_READ);
	assert_int_equal(x.gen, 7);
	assert_int_equal(x.runtime, WIRE_NOT_ENTERED);

	t.block[LIB_AT + 68] = 1; /* a poll in the library's: LocalSet or root future */
	t.block[LIB_AT + 69] = 99;
	t.block[LIB_AT + 70] = 1;
	x = read_thread(&p, &t);
	assert_int_equal(x.gen, 9);
	assert_int_equal(x.budget, 100);
	assert_ptr_equal(copies_by_gen(&p, x.gen), &copies[2]);

	t.before[256 + EXE_AT + 48] = 5; /* and a task's id in the program's: that comes first */
	x = read_thread(&p, &t);
	assert_int_equal(x.gen, 7);
	assert_int_equal(x.task, 5);

	start_thread(&t);
	t.array[0] = 1; /* it has not used the library, and does not know it */
	t.block[LIB_AT + 68] = 1;
	x = read_thread(&p, &t);
	assert_int_equal(x.gen, 7);
	copies[0].wire.valid = 0;
	x = read_thread(&p, &t);
	assert_int_equal(x.status, WIRE_CTX_READ);
	assert_int_equal(x.runtime, WIRE_NOT_ENTERED);
	assert_int_equal(x.gen, 9);

	t.dtv = 8; /* nobody's */
	assert_int_equal(read_thread(&p, &t).status, WIRE_CTX_UNREAD);
	copies[2].wire.valid = 0;
	assert_int_equal(read_thread(&p, &t).status, WIRE_CTX_NO_LAYOUT);
	assert_null(copies_by_gen(&p, 8));
	assert_null(copies_by_gen(&p, 0)); /* a copy without a layout has number 0 */
	(void)close(p.mem_fd);
}

/* The scan counts from the end of a block, the kernel side from where it finds the base. */
static void places_from_the_base(void **state)
{
	const struct tokio_elf e = {.tls_memsz = 0x120, .tls_align = 64};
	const struct cat_copy exe = {.elf = &e}, lib = {.elf = &e, .is_library = true};
	const struct tls_place dynamic = {.dtv_off = 32}, fixed = {.distance = -0x400};
	struct cat_process p = {.pid = (u32)getpid(), .mem_fd = -1};
	static struct own_thread t;
	u64 fs;

	(void)state;
	start_thread(&t);
	fs = (uintptr_t)&t.tcb;
	assert_int_equal(tokio_elf_tls_back(&e, 0), 0x140); /* 0x120, up to the alignment */
	assert_int_equal(copies_tls_end(&p, &exe, &(struct tls_place){0}, fs), fs);
	assert_int_equal(copies_tls_end(&p, &lib, &dynamic, fs), (uintptr_t)t.block + 0x140);
	assert_int_equal(copies_tls_end(&p, &lib, &fixed, fs), fs - 0x400 + 0x140);
	assert_int_equal(copies_place_from_base(&exe, &(struct tls_place){0}, -0x80), -0x80);
	assert_int_equal(copies_place_from_base(&lib, &dynamic, -0x80), 0xc0);
	assert_int_equal(copies_place_from_base(&lib, &fixed, -0x80), 0xc0 - 0x400);
	assert_int_equal(copies_place_from_base(&lib, &dynamic, WIRE_NOWHERE), WIRE_NOWHERE);
	t.array[0] = 1;
	assert_int_equal(copies_tls_end(&p, &lib, &dynamic, fs), 0);
	(void)close(p.mem_fd);
}

static void more_than_the_kernel_side_reads(void **state)
{
	struct cat_copy copies[WIRE_COPIES + 2] = {0};
	const struct cat_process p = {.copies = copies, .n_copies = WIRE_COPIES + 2};
	struct wire_target t = {0};

	(void)state;
	for (u32 i = 1; i < p.n_copies; i++)
		copies[i].wire = layout(0, 0, i);
	copies_to_wire(&p, &t);
	for (u32 i = 0; i < WIRE_COPIES; i++)
		assert_int_equal(t.layout[i].gen, i + 1);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct fake_memory));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(loaders),
		cmocka_unit_test_setup_teardown(places, setup, teardown),
		cmocka_unit_test_setup_teardown(blocks, setup, teardown),
		cmocka_unit_test(which_copy),
		cmocka_unit_test(places_from_the_base),
		cmocka_unit_test(more_than_the_kernel_side_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
