/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_task_find.c: types of tasks out of made-up symbols and machine code: what calls what is written here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/task_find.h"

#define TEXT	0x1000ULL
#define GOT	0x9000ULL
#define SLOT	64 /* bytes of each function */
#define N_SLOTS 24

/* Functions are at TEXT + SLOT * i; pointers in memory at GOT + 8 * i lead to them. */
struct program {
	u8 text[N_SLOTS * SLOT];
	struct task_code_func funcs[64];
	struct task_code_part part;
	struct task_code code;
	u32 used[N_SLOTS]; /* bytes of code in it */
};

static u64 at(u32 slot)
{
	return TEXT + SLOT * (u64)slot;
}

static bool pointer(void *ctx, u64 addr, u64 *ret)
{
	(void)ctx;
	if (addr < GOT || addr >= GOT + 8ULL * N_SLOTS || addr % 8)
		return false;
	*ret = at((u32)((addr - GOT) / 8));
	return true;
}

static void program_init(struct program *p)
{
	*p = (struct program){.part = {TEXT, sizeof(p->text), p->text}};
	memset(p->text, 0x90, sizeof(p->text));
	p->code = (struct task_code){.parts = &p->part, .n_parts = 1, .funcs = p->funcs, .pointer = pointer};
}

/* In the order of slots. */
static void name(struct program *p, u32 slot, const char *linker)
{
	p->funcs[p->code.n_funcs++] = (struct task_code_func){at(slot), at(slot) + SLOT, linker};
}

static void put(struct program *p, u32 slot, const u8 *code, u32 n, u64 to)
{
	u8 *out = p->text + slot * SLOT + p->used[slot];
	u64 next = at(slot) + p->used[slot] + n + 4;
	u32 rel = (u32)(to - next);

	memcpy(out, code, n);
	memcpy(out + n, &rel, sizeof(rel));
	p->used[slot] += n + 4 + 1; /* a nop between */
}

static void call(struct program *p, u32 from, u32 to)
{
	put(p, from, (const u8 *)"\xe8", 1, at(to));
}

static void jump(struct program *p, u32 from, u32 to)
{
	put(p, from, (const u8 *)"\xe9", 1, at(to));
}

static void call_through_memory(struct program *p, u32 from, u32 to)
{
	put(p, from, (const u8 *)"\xff\x15", 2, GOT + 8ULL * to);
}

static void expect(const struct program *p, u32 poll, u32 dealloc, const struct task_census *census, enum task_how how,
		   enum task_kind kind, const char *want)
{
	const struct task_query q = {.poll = at(poll), .dealloc = at(dealloc), .census = census};
	struct task_answer a;

	assert_int_equal(task_find(&p->code, &q, &a), 0);
	assert_string_equal(a.name, want);
	assert_int_equal(a.how, how);
	assert_int_equal(a.kind, kind);
}

#define POLL	"_ZN5tokio7runtime4task3raw4poll17h0123456789abcdefE"
#define DEALLOC "_ZN5tokio7runtime4task3raw7dealloc17h0123456789abcdefE"
#define HARNESS "_ZN5tokio7runtime4task7harness20Harness$LT$T$C$S$GT$4poll17h0123456789abcdefE"
#define CELL_A                                                                                                                   \
	"_ZN4core3ptr101drop_in_place$LT$tokio..runtime..task..core..Cell$LT$app..a..$u7b$$u7b$closure$u7d$$u7d$$C$S1$GT$$GT$"   \
	"17h0123456789abcdefE"
#define CELL_B                                                                                                                   \
	"_ZN4core3ptr101drop_in_place$LT$tokio..runtime..task..core..Cell$LT$app..b..$u7b$$u7b$closure$u7d$$u7d$$C$S1$GT$$GT$"   \
	"17h0123456789abcdefE"
#define BODY_A "_ZN3app1a28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE"
#define BODY_B "_ZN3app1b28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE"

/* ---- who calls whom ---- */

static void callees(void **state)
{
	struct program p;
	u32 got[8];

	(void)state;
	program_init(&p);
	for (u32 i = 0; i < 6; i++)
		name(&p, i, "f");
	call(&p, 0, 1);
	call(&p, 0, 1); /* once is enough */
	call_through_memory(&p, 0, 2);
	jump(&p, 0, 3);
	put(&p, 0, (const u8 *)"\x0f\x84", 2, at(4));
	put(&p, 0, (const u8 *)"\xe8", 1, at(5) + 1); /* not a start */
	assert_int_equal(task_code_callees(&p.code, at(0), at(1), got, 8), 4);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(got[i], i + 1);
	assert_int_equal(task_code_callees(&p.code, at(0), at(1), got, 2), 2);
	assert_int_equal(task_code_callees(&p.code, at(0), at(0) + 4, got, 8), 0); /* not whole */
	assert_int_equal(task_code_callees(&p.code, at(0), at(0), got, 8), 0);
	assert_int_equal(task_code_callees(&p.code, TEXT - 1, TEXT, got, 8), 0);
	assert_int_equal(task_code_callees(&p.code, TEXT + sizeof(p.text), UINT64_MAX, got, 8), 0);
	assert_int_equal(task_code_at(&p.code, at(3)), 3);
	assert_int_equal(task_code_at(&p.code, at(3) + 1), p.code.n_funcs);
}

/* Any bytes at all: what is found are functions, each once. */
static void callees_of_garbage(void **state)
{
	struct program p;
	u64 z = 1;

	(void)state;
	program_init(&p);
	for (u32 i = 0; i < N_SLOTS; i++)
		name(&p, i, "f");
	for (u32 round = 0; round < 2000; round++) {
		u32 got[8], n;

		for (size_t i = 0; i < sizeof(p.text); i++) {
			z = z * 6364136223846793005ULL + 1442695040888963407ULL;
			p.text[i] = (u8)(z >> 60 ? z >> 56 & 3 : 0xe8);
		}
		n = task_code_callees(&p.code, at(round % N_SLOTS), at(round % N_SLOTS) + (z >> 50), got, 8);
		assert_true(n <= 8);
		for (u32 i = 0; i < n; i++)
			assert_true(got[i] < p.code.n_funcs);
	}
}

/* ---- types ---- */

/* poll -> Harness::poll -> the body; dealloc -> drop_in_place<Cell<T, S>>. */
static void by_symbols(void **state)
{
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, HARNESS);
	name(&p, 2, DEALLOC);
	name(&p, 3, CELL_A);
	name(&p, 4, BODY_B);
	jump(&p, 0, 1);
	call(&p, 1, 4); /* another body: of a future that is awaited, its own is merged into the poll */
	call_through_memory(&p, 2, 3);
	expect(&p, 0, 2, NULL, TASK_BY_SYMBOLS, TASK_FUTURE, "app::a");
	expect(&p, 0, 5, NULL, TASK_CANDIDATES, TASK_FUTURE, "app::b | ..."); /* no dealloc: the body may be the task's */
	expect(&p, 5, 2, NULL, TASK_BY_SYMBOLS, TASK_FUTURE, "app::a");
	expect(&p, 5, 6, NULL, TASK_UNKNOWN, TASK_FUTURE, "");
}

/* Both names are left on one function: what poll calls tells. */
static void merged_with_names(void **state)
{
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, DEALLOC);
	name(&p, 2, CELL_A);
	name(&p, 2, CELL_B);
	name(&p, 3, BODY_B);
	call(&p, 1, 2);
	expect(&p, 0, 1, NULL, TASK_CANDIDATES, TASK_FUTURE, "app::a | app::b");
	call(&p, 0, 3);
	expect(&p, 0, 1, NULL, TASK_BY_SYMBOLS, TASK_FUTURE, "app::b");
}

/* Two vtables of one scheduler, one dealloc, one name left: it may be either's, until a body tells. */
static void merged_without_names(void **state)
{
	struct task_vtable v[] = {{at(0), at(9), at(2)}, {at(1), at(9), at(2)}, {at(0), at(10), at(3)}};
	struct task_census *census = NULL;
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, POLL);
	name(&p, 2, DEALLOC);
	name(&p, 3, DEALLOC);
	name(&p, 4, CELL_A);
	name(&p, 5, BODY_A);
	call(&p, 2, 4);
	assert_int_equal(task_census_new(&p.code, v, ARRAY_SIZE(v), &census), 0);
	expect(&p, 0, 2, census, TASK_CANDIDATES, TASK_FUTURE, "app::a | ...");
	expect(&p, 1, 2, census, TASK_CANDIDATES, TASK_FUTURE, "app::a | ...");
	call(&p, 1, 5);
	expect(&p, 1, 2, census, TASK_BY_SYMBOLS, TASK_FUTURE, "app::a");
	expect(&p, 0, 2, census, TASK_UNKNOWN, TASK_FUTURE, ""); /* the name is the other's */
	call(&p, 0, 5);						 /* both call that body: it is no evidence for either */
	expect(&p, 0, 2, census, TASK_CANDIDATES, TASK_FUTURE, "app::a | ...");
	(void)task_census_free(census);
}

/* A type has a vtable for each scheduler; that these share a function is no doubt. */
static void two_schedulers(void **state)
{
	struct task_vtable v[] = {{at(0), at(9), at(2)}, {at(1), at(10), at(2)}};
	struct task_census *census = NULL;
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, POLL);
	name(&p, 2, DEALLOC);
	name(&p, 4, CELL_A);
	call(&p, 2, 4);
	assert_int_equal(task_census_new(&p.code, v, ARRAY_SIZE(v), &census), 0);
	expect(&p, 0, 2, census, TASK_BY_SYMBOLS, TASK_FUTURE, "app::a");
	expect(&p, 1, 2, census, TASK_BY_SYMBOLS, TASK_FUTURE, "app::a");
	(void)task_census_free(census);
}

/* With line tables alone poll, which only jumps on, has no debug info; merged deallocs have that of one of their types. */
static void merged_debug_info(void **state)
{
	struct task_vtable v[] = {{at(0), at(9), at(2)}, {at(1), at(9), at(2)}}, alone = v[0];
	struct task_query q = {.poll = at(1), .dealloc = at(2), .typed_dealloc = "dealloc<app::a::{async_fn_env#0}, S>"};
	struct task_census *census = NULL;
	struct task_answer a;
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, POLL);
	name(&p, 2, DEALLOC);
	name(&p, 4, CELL_A);
	name(&p, 4, CELL_B);
	name(&p, 5, BODY_B);
	call(&p, 2, 4);
	call(&p, 1, 5);
	assert_int_equal(task_census_new(&p.code, v, ARRAY_SIZE(v), &census), 0);
	q.census = census;
	assert_int_equal(task_find(&p.code, &q, &a), 0);
	assert_int_equal(a.how, TASK_BY_SYMBOLS);
	assert_string_equal(a.name, "app::b");
	(void)task_census_free(census);
	assert_int_equal(task_census_new(&p.code, &alone, 1, &census), 0); /* one type alone has it */
	q.census = census;
	assert_int_equal(task_find(&p.code, &q, &a), 0);
	assert_int_equal(a.how, TASK_BY_DWARF);
	assert_string_equal(a.name, "app::a");
	(void)task_census_free(census);
}

static void by_v0(void **state)
{
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, "_RINvNtNtNtCs1_5tokio7runtime4task3raw4pollNCNvCs2_3app5serve0NtCs1_5tokio1SEB7_");
	name(&p, 1, DEALLOC);
	name(&p, 2, CELL_A);
	call(&p, 1, 2);
	expect(&p, 0, 3, NULL, TASK_BY_V0, TASK_FUTURE, "app::serve");
}

static void by_debug_info(void **state)
{
	static const char typed[] = "poll<app::{impl#0}::a::{async_fn_env#0}, S>";
	struct task_query q = {.poll = at(0), .dealloc = at(1), .typed_poll = typed};
	struct task_answer a;
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, DEALLOC);
	name(&p, 2,
	     "_ZN4core3ptr130drop_in_place$LT$tokio..runtime..task..core..Stage$LT$$LT$app..Job$u20$as$u20$app..Run$GT$..a.."
	     "$u7b$$u7b$closure$u7d$$u7d$$GT$$GT$17h0123456789abcdefE");
	assert_int_equal(task_find(&p.code, &q, &a), 0);
	assert_int_equal(a.how, TASK_BY_DWARF);
	assert_string_equal(a.name, "app::{impl#0}::a");
	call(&p, 1, 2); /* the linker's name has the type that {impl#0} is of */
	assert_int_equal(task_find(&p.code, &q, &a), 0);
	assert_int_equal(a.how, TASK_BY_DWARF);
	assert_string_equal(a.name, "app::Job::a");
	q.typed_poll = "poll<tokio::runtime::blocking::task::BlockingTask<app::run::{closure_env#0}>, S>";
	assert_int_equal(task_find(&p.code, &q, &a), 0);
	assert_int_equal(a.kind, TASK_BLOCKING);
	assert_string_equal(a.name, "app::run::{closure}");
}

/* A worker's main loop is known by where it leads when no type is. */
static void worker(void **state)
{
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, HARNESS);
	name(&p, 2, "_ZN5tokio7runtime9scheduler12multi_thread6worker3run17h0123456789abcdefE");
	call(&p, 0, 1);
	call(&p, 1, 2);
	expect(&p, 0, 5, NULL, TASK_UNKNOWN, TASK_WORKER, "");
}

/* More than can be named, and code that goes round in circles. */
static void many(void **state)
{
	static char names[TASK_CANDIDATES_MAX + 2][160];
	struct program p;

	(void)state;
	program_init(&p);
	name(&p, 0, POLL);
	name(&p, 1, DEALLOC);
	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(
			names[i], sizeof(names[i]),
			"_ZN4core3ptr69drop_in_place$LT$tokio..runtime..task..core..Stage$LT$app..T%u$GT$$GT$17h0123456789abcdefE",
			i);
		name(&p, 2, names[i]);
	}
	call(&p, 1, 1);
	call(&p, 1, 0);
	call(&p, 0, 1);
	call(&p, 1, 2);
	expect(&p, 0, 1, NULL, TASK_CANDIDATES, TASK_FUTURE, "app::T0 | app::T1 | app::T2 | app::T3 | ...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callees),
		cmocka_unit_test(callees_of_garbage),
		cmocka_unit_test(by_symbols),
		cmocka_unit_test(merged_with_names),
		cmocka_unit_test(merged_without_names),
		cmocka_unit_test(two_schedulers),
		cmocka_unit_test(merged_debug_info),
		cmocka_unit_test(by_v0),
		cmocka_unit_test(by_debug_info),
		cmocka_unit_test(worker),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
