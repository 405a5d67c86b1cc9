/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_jitmap.c: perf maps line by line, against a search of all lines for maps of random ones; names of V8 taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "report/jitmap.h"

static void parse(struct jitmap *m, const char *text, u64 names, u64 malformed)
{
	assert_int_equal(jitmap_parse(m, text, strlen(text)), 0);
	assert_int_equal(m->names, names);
	assert_int_equal(m->malformed, malformed);
}

/* name NULL: nothing there */
static void expect(const struct jitmap *m, u64 addr, const char *name)
{
	struct jitmap_text t = {0};
	bool found = jitmap_find(m, addr, &t);

	if (found != (name != NULL) || (found && (t.n != strlen(name) || memcmp(t.s, name, t.n) != 0)))
		fail_msg("at %llx: '%.*s', not '%s'", (unsigned long long)addr, (int)t.n, found ? t.s : "",
			 name ? name : "(none)");
}

static void lines(void **state)
{
	struct jitmap m;

	(void)state;
	parse(&m, "1000 10 one\n0x2000 0x8 two words: a b \r\n3000 1 \t last without newline", 3, 0);
	expect(&m, 0xfff, NULL);
	expect(&m, 0x1000, "one");
	expect(&m, 0x100f, "one");
	expect(&m, 0x1010, NULL);
	expect(&m, 0x2007, "two words: a b");
	expect(&m, 0x2008, NULL);
	expect(&m, 0x3000, "last without newline");
	expect(&m, UINT64_MAX, NULL);
	jitmap_release(&m);
	parse(&m, "", 0, 0);
	expect(&m, 0, NULL);
	jitmap_release(&m);
	parse(&m, "\n\n0 1 a\n\n", 1, 0); /* empty lines are none */
	expect(&m, 0, "a");
	jitmap_release(&m);
}

static void malformed(void **state)
{
	struct jitmap m;

	(void)state;
	parse(&m,
	      "1000 10 good\n"
	      "1000\n"
	      "1000 10\n"
	      "1000 10 \n"
	      "xyz 10 bad\n"
	      "1000 g0 bad\n"
	      "1000 0 no code\n"
	      "10000000000000000 1 65 bits\n"
	      "ffffffffffffffff 1 at the very end\n"
	      "fffffffffffffff0 10 past the end\n"
	      "-1 10 sign\n"
	      " 1000 10 blank in front\n"
	      "0x 10 no digit\n"
	      "1000 0x\n"
	      " \n",
	      1, 14);
	expect(&m, 0x1000, "good");
	expect(&m, UINT64_MAX, NULL); /* [2^64 - 1, 2^64 - 1 + 1) would end at 0 */
	jitmap_release(&m);
}

static void later_lines_win(void **state)
{
	struct jitmap m;

	(void)state;
	parse(&m, "1000 100 old\n1040 10 new\n1000 8 newest\n1090 100 tail\n10f0 8 old name again\n1040 10 new\n", 6, 0);
	expect(&m, 0x1000, "newest");
	expect(&m, 0x1008, "old");
	expect(&m, 0x103f, "old");
	expect(&m, 0x1040, "new");
	expect(&m, 0x104f, "new");
	expect(&m, 0x1050, "old");
	expect(&m, 0x108f, "old");
	expect(&m, 0x1090, "tail");
	expect(&m, 0x10ef, "tail");
	expect(&m, 0x10f0, "old name again");
	expect(&m, 0x10f8, "tail");
	expect(&m, 0x118f, "tail");
	expect(&m, 0x1190, NULL);
	jitmap_release(&m);
	/* a function recompiled in place, then its memory given to another: the file as it is at the end counts */
	parse(&m, "2000 40 f\n2000 40 g\n2000 20 h\n", 3, 0);
	expect(&m, 0x2000, "h");
	expect(&m, 0x2020, "g");
	jitmap_release(&m);
}

static u64 next_random(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Every address of a small space against the last of all lines that cover it. */
static void random_maps(void **state)
{
	enum { SPACE = 256, LINES = 60 };

	(void)state;
	for (u64 run = 1; run <= 300; run++) {
		_cleanup_buf_ struct buf b = BUF_INIT;
		_cleanup_free_ char *text = NULL;
		u64 seed = run * 0x9e3779b97f4a7c15ULL, n = 1 + run % LINES;
		int last[SPACE];
		struct jitmap m;

		memset(last, -1, sizeof(last));
		for (u64 i = 0; i < n; i++) {
			u64 start = next_random(&seed) % SPACE,
			    size = 1 + next_random(&seed) % (next_random(&seed) % 3 ? 16 : 100);

			buf_printf(&b, "%llx %llx f%llu\n", (unsigned long long)start, (unsigned long long)size,
				   (unsigned long long)i);
			for (u64 a = start; a < start + size && a < SPACE; a++)
				last[a] = (int)i;
		}
		text = buf_take_str(&b);
		assert_non_null(text);
		parse(&m, text, n, 0);
		for (u64 a = 0; a < SPACE; a++) {
			char name[16];

			(void)snprintf(name, sizeof(name), "f%d", last[a]);
			expect(&m, a, last[a] < 0 ? NULL : name);
		}
		jitmap_release(&m);
	}
}

/* Bytes of every value in any place: read or refused, never a crash; a name is cut at its limit. */
static void hostile_bytes(void **state)
{
	_cleanup_free_ char *text = malloc(1 << 16);
	struct jitmap_text t;
	struct jitmap m;

	(void)state;
	assert_non_null(text);
	for (u64 run = 1; run <= 50; run++) {
		u64 seed = run * 0x2545f4914f6cdd1dULL;

		for (size_t i = 0; i < 4096; i++) {
			static const char common[] = "0123456789abcdefx  \n\n";
			u64 r = next_random(&seed);

			text[i] = r % 8 ? common[r / 8 % (sizeof(common) - 1)] : (char)(r / 256);
		}
		assert_int_equal(jitmap_parse(&m, text, 4096), 0);
		assert_true(m.names + m.malformed > 0);
		for (u64 a = 0; a < 1000; a++)
			if (jitmap_find(&m, a, &t))
				(void)jitmap_split(t);
		jitmap_release(&m);
	}
	memset(text, 'n', 1 << 16);
	memcpy(text, "10 1 ", 5);
	assert_int_equal(jitmap_parse(&m, text, 1 << 16), 0);
	assert_true(jitmap_find(&m, 0x10, &t));
	assert_int_equal(t.n, JITMAP_MAX_NAME);
	jitmap_release(&m);
}

static void names_of_v8(void **state)
{
	/* all but the last three and the Windows one as node 20 wrote them */
	static const struct {
		const char *name, *function, *file;
		u64 line;
	} cases[] = {
		{"JS:*hot /tmp/x.js:3:13", "JS:*hot", "/tmp/x.js", 3},
		{"JS:^get v /tmp/js dir/x y.js:2:15", "JS:^get v", "/tmp/js dir/x y.js", 2},
		{"JS:~odd name /tmp/js dir/x y.js:2:123", "JS:~odd name", "/tmp/js dir/x y.js", 2},
		{"JS:~ /tmp/x.js:4:12", "JS:~", "/tmp/x.js", 4},
		{"JS:~processTimers node:internal/timers:506:25", "JS:~processTimers", "node:internal/timers", 506},
		{"JS:~ file:///srv/app.mjs:1:1", "JS:~", "/srv/app.mjs", 1},
		{"Function:~f C:\\app dir\\x.js:7:1", "Function:~f", "C:\\app dir\\x.js", 7},
		{"JS:*f evalmachine.<anonymous>:9:1", "JS:*f", "evalmachine.<anonymous>", 9},
		{"Builtin:ArrayMap", "Builtin:ArrayMap", "", 0},
		{"BytecodeHandler:Ldar.Wide", "BytecodeHandler:Ldar.Wide", "", 0},
		{"RegExp:^a b:1$", "RegExp:^a b:1$", "", 0},
		{"TRACE_1::main.lua:10", "TRACE_1::main.lua:10", "", 0}, /* a line, but no column and no blank */
		{"f /x.js:99999999999:1", "f /x.js:99999999999:1", "", 0},
		{" :1:2", " :1:2", "", 0},
		{":1:2", ":1:2", "", 0},
		{"f :1:2", "f :1:2", "", 0},
		{"", "", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jitmap_symbol s = jitmap_split((struct jitmap_text){cases[i].name, strlen(cases[i].name)});

		if (s.function.n != strlen(cases[i].function) || memcmp(s.function.s, cases[i].function, s.function.n) != 0 ||
		    s.file.n != strlen(cases[i].file) || (s.file.n && memcmp(s.file.s, cases[i].file, s.file.n) != 0) ||
		    s.line != cases[i].line)
			fail_msg("'%s': '%.*s' '%.*s' %llu", cases[i].name, (int)s.function.n, s.function.s, (int)s.file.n,
				 s.file.n ? s.file.s : "", (unsigned long long)s.line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),       cmocka_unit_test(malformed),	cmocka_unit_test(later_lines_win),
		cmocka_unit_test(random_maps), cmocka_unit_test(hostile_bytes), cmocka_unit_test(names_of_v8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
