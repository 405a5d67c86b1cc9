/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_tokio_points.c: places of probes in files made here: by names of both manglings, by the shape of vtables, by USDT notes; files that are broken in every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/elf_symbol.h"
#include "record/tokio_points.h"
#include "record/usdt.h"

#define H17 "17h0123456789abcdefE"

/* Offsets in the image, which are addresses, too. */
enum {
	TEXT = 0x1000,
	HDR = 0x1c00,
	DATA = 0x2000,
	DYN = 0x3000,
	RELA = 0x3100,
	RELR = 0x3800,
	SYMS = 0x4000,
	STRS = 0x5000,
	SHDRS = 0x7000,
	SIZE = 0x7400
};
enum { FUNCTION_SIZE = 16, FUNCTIONS = 64 };

struct named {
	const char *name;
	int group; /* -1: none */
};

/* Function i is at TEXT + 16 * i. */
static const struct named names[] = {
	{"_ZN5tokio7runtime4task3raw4poll" H17, PROBE_POLL},
	{"_ZN5tokio7runtime4task3raw4poll17h0123456789abcde0E.llvm.123456", PROBE_POLL},
	{"_RINvNtNtNtCsgnDY7M3x32I_5tokio7runtime4task3raw4pollNCNvCs1_4prog5small0NtB2_1SECs1_4prog", PROBE_POLL},
	{"_ZN5tokio7runtime4task3raw8schedule" H17, PROBE_SCHEDULE},
	{"_RINvNtNtNtCsg_5tokio7runtime4task3raw8scheduleNtB2_1SECs1_4prog", PROBE_SCHEDULE},
	{"_ZN5tokio7runtime4task3raw7dealloc" H17, PROBE_DEALLOC},
	{"_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$8complete" H17, PROBE_COMPLETE},
	{"_RNvMs4_NtNtNtCsg_5tokio7runtime4task7harnessINtB5_7HarnessNCNvCs1_4prog5small0NtB2_1SE8completeCs1_4prog",
	 PROBE_COMPLETE},
	{"_ZN5tokio7runtime4task4list19OwnedTasks$LT$S$GT$10bind_inner" H17, PROBE_BIND},
	{"_RNvMs_NtNtNtCsg_5tokio7runtime4task4listINtB4_10OwnedTasksNtB2_1SE10bind_innerB8_", PROBE_BIND},
	{"_ZN5tokio7runtime8blocking4pool7Spawner10spawn_task" H17, PROBE_BLOCKING},
	{"_RNvMs5_NtNtNtCsg_5tokio7runtime8blocking4poolNtB5_7Spawner10spawn_task", PROBE_BLOCKING},
	{"_ZN5tokio7runtime8blocking4pool7Spawner5spawn" H17, PROBE_BLOCKING},
	{"_ZN5tokio4task5spawn5spawn" H17, PROBE_SPAWN},
	{"_ZN5tokio4task5spawn11spawn_inner" H17, PROBE_SPAWN},
	{"_RINvNtNtCsg_5tokio4task5spawn5spawnNCNvCs1_4prog5large0EBL_", PROBE_SPAWN},
	{"_ZN5tokio4task5local11spawn_local" H17, PROBE_SPAWN},
	{"_ZN5tokio4task5local8LocalSet11spawn_local" H17, PROBE_SPAWN},
	{"_RINvMs2_NtNtCsg_5tokio4task5localNtB6_8LocalSet11spawn_localNCNvCs1_4prog5small0EB1a_", PROBE_SPAWN},
	{"_RINvMs5_NtNtNtCsg_5tokio7runtime8blocking4poolNtB6_7Spawner14spawn_blockingNCNCNvCs1_4prog5round0s0_0yEB1r_",
	 PROBE_SPAWN},
	{"_RINvNtNtNtCsg_5tokio7runtime8blocking4pool14spawn_blockingNCNCNvCs1_4prog5round0s0_0yEB1r_", PROBE_SPAWN},
	/* decoys */
	{"_ZN5tokio7runtime4task3raw7RawTask4poll" H17, -1},
	{"_ZN5tokio7runtime4task4list19OwnedTasks$LT$S$GT$4bind" H17, -1}, /* gets the future, not the task */
	{"_ZN5tokio7runtime4task4list24LocalOwnedTasks$LT$S$GT$4bind" H17, -1},
	{"_ZN5tokio7runtime4task3raw4pollster" H17, -1},
	{"_ZN4core3ptr40drop_in_place$LT$5tokio7runtime4task3raw4poll$GT$" H17, -1},
	{"_RINvNtCs9_4core3ptr13drop_in_placeNtNtNtNtCsg_5tokio7runtime4task3raw4pollEB4_", -1},
	{"_RNCNvMs4_NtNtNtCsg_5tokio7runtime4task7harnessINtB5_7HarnessNtB2_1TNtB2_1SE8complete0Cs1_4prog", -1},
	{"_RNvMs4_NtNtNtCsg_5tokio7runtime4task7harnessINtB5_7HarnessNtCs1_4prog8completeNtB2_1SE4pollCs1_4prog", -1},
	{"_RINvMNtNtNtCsg_5tokio7runtime8blocking7shardedNtB3_11ShardedImpl10spawn_taskNCNvMs5_NtB5_4poolNtB1u_7Spawner10spawn_task0EB9_",
	 -1},
	{"_RNvNtNtCs1_6tokio24task5spawn5spawn", -1},
	{"_RINvNtNtNtCsg_5tokio7runtime4task3raw4", -1},
	{"_R", -1},
	{"_RI", -1},
	{"_RNvMs5tokio", -1},
};

struct image {
	u8 b[SIZE];
};

static void put64(struct image *m, u64 at, u64 value)
{
	memcpy(m->b + at, &value, 8);
}

static u64 function(u32 i)
{
	return TEXT + (u64)FUNCTION_SIZE * i;
}

static void put_headers(struct image *m, u16 type)
{
	const Elf64_Phdr ph[4] = {
		{.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0, .p_offset = 0, .p_filesz = DATA, .p_memsz = DATA},
		{.p_type = PT_LOAD,
		 .p_flags = PF_R | PF_W,
		 .p_vaddr = DATA,
		 .p_offset = DATA,
		 .p_filesz = SYMS - DATA,
		 .p_memsz = SYMS - DATA},
		{.p_type = PT_DYNAMIC, .p_flags = PF_R, .p_vaddr = DYN, .p_offset = DYN, .p_filesz = 0x100, .p_memsz = 0x100},
		{.p_type = PT_GNU_EH_FRAME,
		 .p_flags = PF_R,
		 .p_vaddr = HDR,
		 .p_offset = HDR,
		 .p_filesz = 0x400,
		 .p_memsz = 0x400},
	};
	const Elf64_Ehdr eh = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			       .e_type = type,
			       .e_machine = EM_X86_64,
			       .e_phoff = sizeof(Elf64_Ehdr),
			       .e_phentsize = sizeof(Elf64_Phdr),
			       .e_phnum = ARRAY_SIZE(ph)};

	memcpy(m->b, &eh, sizeof(eh));
	memcpy(m->b + sizeof(eh), ph, sizeof(ph));
}

/* Every function has an entry in the table of .eh_frame_hdr. */
static void put_starts(struct image *m)
{
	const u8 head[] = {1, 0x1b, 0x03, 0x3b};
	s32 n = FUNCTIONS;

	memcpy(m->b + HDR, head, sizeof(head));
	memcpy(m->b + HDR + 8, &n, 4);
	for (u32 i = 0; i < FUNCTIONS; i++) {
		s32 off = (s32)function(i) - HDR;

		memcpy(m->b + HDR + 12 + (size_t)8 * i, &off, 4);
	}
}

static void put_symbols(struct image *m)
{
	Elf64_Shdr sh[4] = {{0}};
	Elf64_Ehdr eh;
	u64 str = 1;

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		const Elf64_Sym s = {.st_name = (u32)str, .st_info = STT_FUNC, .st_shndx = 1, .st_value = function(i)};
		size_t n = strlen(names[i].name) + 1;

		memcpy(m->b + SYMS + i * sizeof(s), &s, sizeof(s));
		memcpy(m->b + STRS + str, names[i].name, n);
		str += n;
	}
	assert_true(str < SHDRS - STRS - 64);
	sh[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
			     .sh_offset = SYMS,
			     .sh_size = ARRAY_SIZE(names) * sizeof(Elf64_Sym),
			     .sh_link = 2,
			     .sh_entsize = sizeof(Elf64_Sym)};
	sh[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = STRS, .sh_size = SHDRS - STRS - 32};
	memcpy(m->b + SHDRS, sh, sizeof(sh));
	memcpy(&eh, m->b, sizeof(eh));
	eh.e_shoff = SHDRS;
	eh.e_shnum = ARRAY_SIZE(sh);
	eh.e_shentsize = sizeof(Elf64_Shdr);
	eh.e_shstrndx = 2;
	memcpy(m->b, &eh, sizeof(eh));
}

/* A vtable of functions first, first + 1, ... at DATA + at. */
static void put_vtable(struct image *m, u64 at, u32 first, u64 trailer, u64 scheduler, u64 id)
{
	for (u32 i = 0; i < 7; i++)
		put64(m, DATA + at + (u64)8 * i, function(first + i));
	put64(m, DATA + at + 56, trailer);
	put64(m, DATA + at + 64, scheduler);
	put64(m, DATA + at + 72, id);
}

/* Relocations of the seven words at DATA + at; slot: number of the first. The words themselves are cleared, as lld does. */
static void put_rela(struct image *m, u64 at, u32 slot)
{
	for (u32 i = 0; i < 7; i++) {
		Elf64_Rela r = {.r_offset = DATA + at + (u64)8 * i, .r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE)};

		memcpy(&r.r_addend, m->b + r.r_offset, 8);
		put64(m, r.r_offset, 0);
		memcpy(m->b + RELA + (slot + i) * sizeof(r), &r, sizeof(r));
	}
	put64(m, DYN, DT_RELA);
	put64(m, DYN + 8, RELA);
	put64(m, DYN + 16, DT_RELASZ);
	put64(m, DYN + 24, (slot + 7) * sizeof(Elf64_Rela));
}

static int read_image(const struct image *m, const char *version, struct tokio_points *ret)
{
	struct tokio_elf e = {.tls_memsz = 64};
	struct elf_view v;
	int err = elf_view_open(&v, -1, m->b, sizeof(m->b));

	(void)snprintf(e.version, sizeof(e.version), "%s", version);
	if (!err)
		err = tokio_points_read(&v, &e, ret);
	elf_view_release(&v);
	return err;
}

static bool has_place(const struct tokio_points *p, int group, u64 off)
{
	for (u32 i = 0; i < p->group[group].n; i++)
		if (p->group[group].offsets[i] == off)
			return true;
	return false;
}

static void names_lead_to_their_groups(void **state)
{
	static struct image m;
	struct tokio_points p;
	u32 n[PROBE_GROUPS] = {0};

	(void)state;
	put_headers(&m, ET_DYN);
	put_starts(&m);
	put_symbols(&m);
	assert_int_equal(read_image(&m, "1.54.1", &p), 0);
	assert_int_equal(p.from, TOKIO_POINTS_SYMBOLS);
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		for (int g = 0; g < PROBE_GROUPS; g++)
			if (has_place(&p, g, function(i)) != (g == names[i].group))
				fail_msg("%s is %sin group %d", names[i].name, g == names[i].group ? "not " : "", g);
		if (names[i].group >= 0)
			n[names[i].group]++;
	}
	for (u32 g = 0; g < PROBE_GROUPS; g++)
		assert_int_equal(p.group[g].n, n[g]);
	assert_null(p.group[PROBE_POLL_END].missing);
	assert_int_equal(p.task.off_vtable, 16);
	assert_int_equal(p.task.has_ids, 1);
	tokio_points_release(&p);
}

static void old_versions_say_what_they_lack(void **state)
{
	static struct image m;
	struct tokio_points p;

	(void)state;
	put_headers(&m, ET_DYN);
	put_starts(&m);
	assert_int_equal(read_image(&m, "1.20.6", &p), 0);
	assert_int_equal(p.from, TOKIO_POINTS_NONE);
	assert_int_equal(p.task.off_vtable, 32);
	assert_int_equal(p.task.has_ids, 0);
	for (u32 g = 0; g < PROBE_GROUPS; g++) {
		assert_int_equal(p.group[g].n, 0);
		assert_non_null(strstr(p.group[g].missing, "before Tokio 1.23"));
	}
	tokio_points_release(&p);
	assert_int_equal(read_image(&m, "1.22.0", &p), 0);
	assert_int_equal(p.task.off_vtable, 16);
	assert_int_equal(p.task.has_ids, 0);
	tokio_points_release(&p);
}

static void check_shapes(const struct image *m)
{
	struct tokio_points p;

	assert_int_equal(read_image(m, "", &p), 0);
	assert_int_equal(p.from, TOKIO_POINTS_SHAPES);
	assert_int_equal(p.vtables.n, 2);
	assert_int_equal(p.vtables.rows[0].addr, DATA + 0x40);
	assert_int_equal(p.vtables.rows[0].poll, function(0));
	assert_int_equal(p.vtables.rows[0].schedule, function(1));
	assert_int_equal(p.vtables.rows[0].dealloc, function(2));
	assert_int_equal(p.vtables.rows[0].shutdown, function(6));
	assert_int_equal(p.vtables.rows[0].trailer_off, 200);
	assert_int_equal(p.vtables.rows[0].scheduler_off, 32);
	assert_int_equal(p.vtables.rows[0].id_off, 40);
	assert_int_equal(p.vtables.rows[1].addr, DATA + 0x100);
	assert_int_equal(p.vtables.rows[1].id_off, 136);
	assert_int_equal(p.group[PROBE_POLL].n, 2);
	assert_true(has_place(&p, PROBE_POLL, function(10)));
	assert_true(has_place(&p, PROBE_SCHEDULE, function(11)));
	assert_true(has_place(&p, PROBE_DEALLOC, function(12)));
	assert_null(p.group[PROBE_POLL_END].missing);
	assert_non_null(strstr(p.group[PROBE_SPAWN].missing, "stripped"));
	assert_non_null(strstr(p.group[PROBE_BIND].missing, "stripped"));
	assert_int_equal(p.task.has_ids, 1);
	tokio_points_release(&p);
}

static void put_two_vtables(struct image *m, u16 type)
{
	memset(m, 0, sizeof(*m));
	put_headers(m, type);
	put_starts(m);
	put_vtable(m, 0x40, 0, 200, 32, 40);
	put_vtable(m, 0x100, 10, 3000, 128, 136);
}

static void shapes_are_found_by_relocations(void **state)
{
	static struct image m;

	(void)state;
	put_two_vtables(&m, ET_DYN);
	put_rela(&m, 0x100, 0); /* not in their order */
	put_rela(&m, 0x40, 7);
	check_shapes(&m);
}

static void shapes_are_found_by_packed_relocations(void **state)
{
	static struct image m;

	(void)state;
	put_two_vtables(&m, ET_DYN);
	put64(&m, RELR, DATA + 0x40);
	put64(&m, RELR + 8, 0x3f << 1 | 1); /* the six words behind it */
	put64(&m, RELR + 16, DATA + 0x100);
	put64(&m, RELR + 24, 0x3f << 1 | 1);
	put64(&m, DYN, 36);
	put64(&m, DYN + 8, RELR);
	put64(&m, DYN + 16, 35);
	put64(&m, DYN + 24, 32);
	check_shapes(&m);
}

static void shapes_are_found_in_place(void **state)
{
	static struct image m;

	(void)state;
	put_two_vtables(&m, ET_EXEC);
	check_shapes(&m);
}

static void put_code(struct image *m, u32 function_number, const u8 *code, size_t n)
{
	memcpy(m->b + function(function_number), code, n);
}

/* State::transition_to_complete() and OwnedTasks::bind_inner() of 1.54.1, in part. */
static const u8 complete_code[] = {0x48, 0x8b, 0x07, 0x48, 0x89, 0xc1, 0x48, 0x83, 0xf1, 0x03, 0xf0, 0x48, 0x0f, 0xb1, 0x0f};
static const u8 bind_code[] = {0x48, 0x8b, 0x47, 0x28, 0x48, 0x89, 0x46, 0x18, 0x48, 0x8b, 0x46, 0x10, 0x48, 0x8b, 0x40, 0x48};

static void stripped_functions_are_found_by_their_code(void **state)
{
	static struct image m;
	struct tokio_points p;

	(void)state;
	put_two_vtables(&m, ET_EXEC);
	put_code(&m, 3, bind_code, sizeof(bind_code));
	put_code(&m, 5, complete_code, sizeof(complete_code));
	put_code(&m, FUNCTIONS - 1, complete_code, sizeof(complete_code));
	assert_int_equal(read_image(&m, "1.54.1", &p), 0);
	assert_int_equal(p.group[PROBE_BIND].n, 1);
	assert_true(has_place(&p, PROBE_BIND, function(3)));
	assert_int_equal(p.group[PROBE_COMPLETE].n, 2);
	assert_true(has_place(&p, PROBE_COMPLETE, function(5)));
	assert_true(has_place(&p, PROBE_COMPLETE, function(FUNCTIONS - 1)));
	assert_int_equal(p.by_shape, 1U << PROBE_BIND | 1U << PROBE_COMPLETE);
	assert_null(p.group[PROBE_BIND].missing);
	assert_null(p.group[PROBE_COMPLETE].missing);
	assert_non_null(strstr(p.group[PROBE_BLOCKING].missing, "only symbols tell"));
	tokio_points_release(&p);

	/* what reaches into the next function is not this one's */
	put_two_vtables(&m, ET_EXEC);
	memcpy(m.b + function(4) - 8, bind_code, sizeof(bind_code));
	assert_int_equal(read_image(&m, "1.54.1", &p), 0);
	assert_int_equal(p.group[PROBE_BIND].n, 0);
	assert_int_equal(p.by_shape, 0);
	assert_non_null(strstr(p.group[PROBE_BIND].missing, "looks like"));
	tokio_points_release(&p);
	assert_int_equal(read_image(&m, "1.29.1", &p), 0);
	assert_non_null(strstr(p.group[PROBE_BIND].missing, "before Tokio 1.35"));
	tokio_points_release(&p);
}

/* With symbols, they say where: code that resembles is not asked. */
static void code_is_not_asked_where_symbols_tell(void **state)
{
	static struct image m;
	struct tokio_points p;

	(void)state;
	memset(&m, 0, sizeof(m));
	put_headers(&m, ET_DYN);
	put_starts(&m);
	put_symbols(&m);
	put_code(&m, FUNCTIONS - 1, bind_code, sizeof(bind_code));
	assert_int_equal(read_image(&m, "1.54.1", &p), 0);
	assert_int_equal(p.from, TOKIO_POINTS_SYMBOLS);
	assert_false(has_place(&p, PROBE_BIND, function(FUNCTIONS - 1)));
	assert_int_equal(p.by_shape, 0);
	tokio_points_release(&p);
}

static void expect_no_shape(struct image *m)
{
	struct tokio_points p;

	assert_int_equal(read_image(m, "1.54.1", &p), 0);
	assert_int_equal(p.vtables.n, 0);
	assert_int_equal(p.from, TOKIO_POINTS_NONE);
	assert_non_null(strstr(p.group[PROBE_POLL].missing, "nothing in it looks like"));
	tokio_points_release(&p);
}

static void what_only_resembles_a_vtable_is_none(void **state)
{
	static const struct {
		u64 trailer, scheduler, id;
	} wrong[] = {{40, 32, 40},  {200, 24, 40}, {200, 32, 24}, {200, 32, 104},
		     {204, 32, 40}, {200, 36, 44}, {0, 8, 8},	  {1ULL << 40, 32, 40}};
	static struct image m;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		memset(&m, 0, sizeof(m));
		put_headers(&m, ET_EXEC);
		put_starts(&m);
		put_vtable(&m, 0x40, 0, wrong[i].trailer, wrong[i].scheduler, wrong[i].id);
		expect_no_shape(&m);
	}
	for (u32 i = 0; i < 7; i++) { /* into the middle of a function */
		put_vtable(&m, 0x40, 0, 200, 32, 40);
		put64(&m, DATA + 0x40 + (u64)8 * i, function(i) + 1);
		expect_no_shape(&m);
	}
	memset(&m, 0, sizeof(m)); /* an offset is a pointer itself */
	put_headers(&m, ET_DYN);
	put_starts(&m);
	put_vtable(&m, 0x40, 0, 200, 32, 40);
	put_rela(&m, 0x40, 0);
	put_rela(&m, 0x48, 7);
	put64(&m, DATA + 0x40 + 56, 200);
	expect_no_shape(&m);
}

static void broken_files_end_in_a_status(void **state)
{
	static struct image whole, m;
	u32 opened = 0;

	(void)state;
	put_two_vtables(&whole, ET_DYN);
	put_rela(&whole, 0x40, 0);
	put_rela(&whole, 0x100, 7);
	put64(&whole, DYN + 32, 36);
	put64(&whole, DYN + 40, RELR);
	put64(&whole, DYN + 48, 35);
	put64(&whole, DYN + 56, 0x100);
	put_symbols(&whole);
	for (size_t i = 0; i < SIZE; i++) {
		static const u8 with[] = {0xff, 0x80, 0x01};

		for (u32 k = 0; k < ARRAY_SIZE(with); k++) {
			struct tokio_points p;

			if (i >= TEXT && i < HDR) /* code is not looked at */
				continue;
			memcpy(&m, &whole, sizeof(m));
			m.b[i] ^= with[k];
			if (read_image(&m, "1.54.1", &p) < 0)
				continue;
			opened++;
			for (u32 g = 0; g < PROBE_GROUPS; g++)
				for (u32 n = 0; n < p.group[g].n; n++)
					assert_true(p.group[g].offsets[n] < SIZE || (i >= 64 && i < TEXT));
			tokio_points_release(&p);
		}
	}
	assert_true(opened > SIZE);
}

/* ---- probes that a program was built with: this one ---- */

#define PLACE(label, provider, name, semaphore)                                                                                         \
	"990" label ": nop\n"                                                                                                           \
	".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n.long 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n" \
	"993: .8byte 990" label "b, 0, " semaphore "\n.asciz \"" provider "\"\n.asciz \"" name                                          \
	"\"\n.asciz \"8@%%rdi\"\n994: .balign 4\n.popsection\n"

__attribute__((noinline)) static void probed(u64 id)
{
	__asm__ volatile(PLACE("1", "tokio", "task-poll-end", "0") PLACE("2", "tokio", "task-poll-end", "0x1234")
				 PLACE("3", "tokio", "task-spawn", "0") PLACE("4", "other", "task-poll-end", "0")
			 :
			 : "D"(id));
}

struct counted {
	u32 tokio, others, ends;
	u64 end;
};

static int count(void *ctx, const struct usdt_probe *p)
{
	struct counted *c = ctx;

	if (strcmp(p->provider, "tokio") != 0) {
		c->others += !strcmp(p->provider, "other");
		return 0;
	}
	c->tokio++;
	if (!strcmp(p->name, "task-poll-end") && !p->semaphore) {
		c->ends++;
		c->end = p->addr;
	}
	return 0;
}

static void usdt_probes_tell_where_polls_end(void **state)
{
	struct tokio_elf e = {.tls_memsz = 64};
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct counted c = {0};
	struct tokio_points p;
	struct elf_view v;
	u64 off;

	(void)state;
	probed(7);
	assert_int_equal(elf_view_open(&v, fd, NULL, 0), 0);
	assert_int_equal(usdt_each(&v, count, &c), 0);
	assert_int_equal(c.tokio, 3);
	assert_int_equal(c.ends, 1);
	assert_int_equal(c.others, 1);
	assert_int_equal(tokio_points_read(&v, &e, &p), 0);
	assert_true(p.has_usdt);
	assert_int_equal(p.from_usdt, 1 << PROBE_POLL_END);
	assert_int_equal(p.group[PROBE_POLL_END].n, 1);
	assert_int_equal(elf_file_offset(&v, c.end, &off), 0);
	assert_int_equal(p.group[PROBE_POLL_END].offsets[0], off);
	tokio_points_release(&p);
	elf_view_release(&v);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_lead_to_their_groups),
		cmocka_unit_test(old_versions_say_what_they_lack),
		cmocka_unit_test(shapes_are_found_by_relocations),
		cmocka_unit_test(shapes_are_found_by_packed_relocations),
		cmocka_unit_test(stripped_functions_are_found_by_their_code),
		cmocka_unit_test(code_is_not_asked_where_symbols_tell),
		cmocka_unit_test(shapes_are_found_in_place),
		cmocka_unit_test(what_only_resembles_a_vtable_is_none),
		cmocka_unit_test(broken_files_end_in_a_status),
		cmocka_unit_test(usdt_probes_tell_where_polls_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
