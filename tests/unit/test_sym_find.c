/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sym_find.c: names of one program out of every form its debug information can have: in it, split off, moved out, compressed,
 * packed. The programs are built here by the system's tools; a form whose tool is not installed is skipped. What names there
 * should be is what the same build says with all in one file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "capture_builder.h"
#include "report/capture_db.h"
#include "report/sym_fetch.h"
#include "report/sym_find.h"
#include "report/sym_impl.h"

/* Line 2 is inlined into line 3. The asm keeps the compiler from folding it. */
static const char source_c[] =
	"#include <unistd.h>\n"
	"static inline __attribute__((always_inline)) int inner(int x) { __asm__ volatile(\"\"); return getpid() + x; }\n"
	"__attribute__((noinline)) int outer(int x) { return inner(x) * 2; }\n"
	"int main(void) { return outer(3) & 1; }\n";
static const char source_rs[] = "#[inline(always)]\nfn inner(x: u32) -> u32 { std::process::id() + x }\n"
				"#[inline(never)]\npub fn outer(x: u32) -> u32 { inner(x) * 2 }\n"
				"fn main() { println!(\"{}\", outer(3)); }\n";

#define ALL_C	    "inner:2 outer:3"
#define SYMBOL_C    "outer:0"
#define ALL_RS	    "prog::inner:2 prog::outer:4"
#define NO_NAMES    "(none)"
#define NO_FILE	    "(no file)"
#define NOWHERE	    "/nowhere/at/all/prog"
#define TEXT_MAX    512
#define COMMAND_MAX 2048

struct fixture {
	char dir[64];
	u64 file_off; /* of an instruction of inner() in outer() */
	struct sym_file id;
};

static bool has_tool(const char *name)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "command -v %s >/dev/null 2>&1", name);
	return system(cmd) == 0;
}

/* Runs a shell command in the fixture's directory; it must succeed. */
static void run(const struct fixture *fx, const char *cmd)
{
	char all[COMMAND_MAX];

	assert_true(snprintf(all, sizeof(all), "cd %s && { %s ; } >log 2>&1 || { cat log >&2; false; }", fx->dir, cmd) <
		    (int)sizeof(all));
	assert_int_equal(system(all), 0);
}

static void write_source(const struct fixture *fx, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	struct fixture *fx = calloc(1, sizeof(*fx));

	assert_non_null(fx);
	(void)snprintf(fx->dir, sizeof(fx->dir), "/tmp/ascope-find-XXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	write_source(fx, "prog.c", source_c);
	write_source(fx, "prog.rs", source_rs);
	*state = fx;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fx = *state;
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", fx->dir);
	assert_int_equal(system(cmd), 0);
	free(fx);
	return 0;
}

static void frames_text(struct sym_module *m, u64 file_off, char text[TEXT_MAX])
{
	struct sym_frame f[SYM_MAX_INLINE];
	int n = sym_module_lookup(m, file_off, false, f, SYM_MAX_INLINE);
	size_t len = 0;

	assert_true(n >= 0);
	(void)snprintf(text, TEXT_MAX, NO_NAMES);
	for (int i = 0; i < n && len < TEXT_MAX; i++)
		len += (size_t)snprintf(text + len, TEXT_MAX - len, "%s%s:%u", i ? " " : "", f[i].function, f[i].line);
}

struct asking {
	const struct sym_finder *f;
	const struct sym_want *w;
	const struct sym_found *found;
};

static int open_split(void *ctx, const struct sym_split_want *split)
{
	const struct asking *a = ctx;

	return sym_find_split(a->f, a->w, a->found, split);
}

/* An instruction with these frames; 0 none. */
static u64 search(struct sym_module *m, const char *frames)
{
	char text[TEXT_MAX];

	for (u32 i = 0; i < m->elf.n_segments; i++) {
		const struct sym_segment *s = &m->elf.segments[i];

		for (u64 off = s->off; s->is_exec && off < s->off + s->size; off++) {
			frames_text(m, off, text);
			if (strcmp(text, frames) == 0)
				return off;
		}
	}
	return 0;
}

/* The program with everything in it or beside it: notes its id and an instruction with these frames. */
static void learn(struct fixture *fx, const char *name, const char *frames)
{
	struct sym_finder f = {.capture = "/nowhere/x"};
	struct sym_want w = {0};
	struct sym_found found;
	const struct asking a = {&f, &w, &found};
	struct sym_input in = {.debug_fd = -1, .alt_fd = -1, .open_split = open_split, .ctx = (void *)(uintptr_t)&a};
	struct sym_module *m;
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", fx->dir, name);
	fd = sym_file_open(path, &fx->id, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
	w = (struct sym_want){.path = path, .build_id = fx->id.build_id, .file_id = fx->id.file_id};
	assert_int_equal(sym_find(&f, &w, &found), 1);
	in.fd = found.fd;
	assert_int_equal(sym_module_open_fd(&in, &m, NULL), 0);
	assert_int_equal(sym_module_source(m), SYM_DWARF);
	fx->file_off = search(m, frames);
	assert_true(fx->file_off != 0);
	assert_int_equal(sym_module_split_missing(m), 0);
	(void)sym_module_close(m);
	sym_found_release(&found);
}

/* Names by what the finder finds in one directory of the fixture for a module at `path`; *ret_why, *ret_missing may be NULL. */
static void names_in(const struct fixture *fx, const char *dir, const char *path, char text[TEXT_MAX], char *ret_why,
		     u32 *ret_missing)
{
	char full[128], capture[128], sys[128];
	const char *dirs[] = {full};
	struct sym_finder f = {.capture = capture, .debug_dirs = dirs, .n_debug_dirs = dir ? 1 : 0, .system_dir = sys};
	const struct sym_want w = {.path = path, .build_id = fx->id.build_id, .file_id = fx->id.file_id};
	struct sym_found found;
	const struct asking a = {&f, &w, &found};
	struct sym_input in = {.open_split = open_split, .ctx = (void *)(uintptr_t)&a};
	struct sym_module *m;
	int n;

	(void)snprintf(full, sizeof(full), "%s/%s", fx->dir, dir ? dir : "");
	(void)snprintf(capture, sizeof(capture), "%s/captures/x.ascope", fx->dir);
	(void)snprintf(sys, sizeof(sys), "%s/sys", fx->dir);
	n = sym_find(&f, &w, &found);
	assert_true(n >= 0);
	if (ret_why)
		(void)snprintf(ret_why, TEXT_MAX, "%s", found.why ? found.why : "");
	(void)snprintf(text, TEXT_MAX, NO_FILE);
	if (n) {
		in.fd = found.fd;
		in.debug_fd = found.debug_fd;
		in.alt_fd = found.alt_fd;
		assert_int_equal(sym_module_open_fd(&in, &m, NULL), 0);
		frames_text(m, fx->file_off, text);
		if (ret_missing)
			*ret_missing = sym_module_split_missing(m);
		(void)sym_module_close(m);
	}
	sym_found_release(&found);
}

static void expect_names(const struct fixture *fx, const char *dir, const char *names)
{
	char text[TEXT_MAX];

	names_in(fx, dir, NOWHERE, text, NULL, NULL);
	assert_string_equal(text, names);
}

/* Builds prog in `dir` with everything in it, learns it, and strips prog into stripped/prog. */
static void build_whole(struct fixture *fx)
{
	run(fx, "mkdir -p whole stripped && cc -g -O2 -rdynamic prog.c -o whole/prog && strip -o stripped/prog whole/prog");
	learn(fx, "whole/prog", ALL_C);
}

/* ---- separate files ---- */

static void whole_and_stripped(void **state)
{
	struct fixture *fx = *state;

	build_whole(fx);
	expect_names(fx, NULL, NO_FILE);
	expect_names(fx, "stripped", SYMBOL_C);
	expect_names(fx, "whole", ALL_C);
}

static void debug_file_places(void **state)
{
	struct fixture *fx = *state;
	char places[4][256] = {"", "d2/prog.debug", "d3/nowhere/at/all/prog.debug", "d4/prog"}, cmd[COMMAND_MAX], dir[4];

	build_whole(fx);
	run(fx, "objcopy --only-keep-debug whole/prog prog.debug");
	(void)snprintf(places[0], sizeof(places[0]), "d1/.build-id/%.2s/%s.debug", fx->id.build_id, fx->id.build_id + 2);
	for (u32 i = 0; i < ARRAY_SIZE(places); i++) {
		(void)snprintf(dir, sizeof(dir), "d%u", i + 1);
		(void)snprintf(cmd, sizeof(cmd), "mkdir -p $(dirname %s) && cp prog.debug %s", places[i], places[i]);
		run(fx, cmd);
		expect_names(fx, dir, ALL_C); /* without the program */
	}
}

static void debug_file_beside_program(void **state)
{
	struct fixture *fx = *state;
	char text[TEXT_MAX], path[128], cmd[COMMAND_MAX];

	build_whole(fx);
	run(fx, "objcopy --only-keep-debug whole/prog p.dbg && mkdir -p stripped/.debug && "
		"objcopy --add-gnu-debuglink=p.dbg stripped/prog && cp p.dbg stripped/.debug/");
	(void)snprintf(path, sizeof(path), "%s/stripped/prog", fx->dir);
	names_in(fx, NULL, path, text, NULL, NULL);
	assert_string_equal(text, ALL_C);
	run(fx, "rm -r stripped/.debug");
	names_in(fx, NULL, path, text, NULL, NULL);
	assert_string_equal(text, SYMBOL_C);
	/* as a distribution has it: sys stands for /usr/lib/debug */
	(void)snprintf(cmd, sizeof(cmd), "mkdir -p sys%s/stripped && cp p.dbg sys%s/stripped/", fx->dir, fx->dir);
	run(fx, cmd);
	names_in(fx, NULL, path, text, NULL, NULL);
	assert_string_equal(text, ALL_C);
	(void)snprintf(cmd, sizeof(cmd), "rm -r sys && mkdir -p sys/.build-id/%.2s && cp p.dbg sys/.build-id/%.2s/%s.debug",
		       fx->id.build_id, fx->id.build_id, fx->id.build_id + 2);
	run(fx, cmd);
	names_in(fx, NULL, path, text, NULL, NULL);
	assert_string_equal(text, ALL_C);
}

static void beside_the_capture(void **state)
{
	struct fixture *fx = *state;

	build_whole(fx);
	run(fx, "mkdir captures && cp stripped/prog captures/");
	expect_names(fx, NULL, SYMBOL_C);
	run(fx, "objcopy --only-keep-debug whole/prog captures/prog.debug");
	expect_names(fx, NULL, ALL_C);
}

/* The same source with another option is another build. */
static void other_builds_are_refused(void **state)
{
	struct fixture *fx = *state;
	char text[TEXT_MAX], why[TEXT_MAX], cmd[COMMAND_MAX];

	build_whole(fx);
	run(fx, "mkdir -p other && cc -g -O1 prog.c -o other/prog && objcopy --only-keep-debug other/prog other/prog.debug");
	names_in(fx, "other", NOWHERE, text, why, NULL);
	assert_string_equal(text, NO_FILE);
	assert_non_null(strstr(why, "/other/prog.debug is another build (its build-id is "));
	run(fx, "rm other/prog && cp stripped/prog other/");
	names_in(fx, "other", NOWHERE, text, why, NULL);
	assert_string_equal(text, SYMBOL_C);
	/* under the very name of this build's id */
	(void)snprintf(cmd, sizeof(cmd), "mkdir -p other/.build-id/%.2s && mv other/prog.debug other/.build-id/%.2s/%s.debug",
		       fx->id.build_id, fx->id.build_id, fx->id.build_id + 2);
	run(fx, cmd);
	names_in(fx, "other", NOWHERE, text, why, NULL);
	assert_string_equal(text, SYMBOL_C);
}

static void without_build_id(void **state)
{
	struct fixture *fx = *state;
	char text[TEXT_MAX], why[TEXT_MAX];
	struct sym_file facts;
	u32 crc;
	int fd;

	run(fx, "mkdir -p whole stripped same && cc -g -O2 -rdynamic -Wl,--build-id=none prog.c -o whole/prog && "
		"objcopy --only-keep-debug whole/prog p.debug && strip -o stripped/prog whole/prog && "
		"objcopy --add-gnu-debuglink=p.debug stripped/prog");
	learn(fx, "whole/prog", ALL_C);
	assert_string_equal(fx->id.build_id, "");
	expect_names(fx, "stripped", NO_FILE); /* another content id: the file that ran is the whole one */
	expect_names(fx, "whole", ALL_C);
	run(fx, "cp stripped/prog same/");
	learn(fx, "whole/prog", ALL_C);
	(void)snprintf(text, sizeof(text), "%s/same/prog", fx->dir);
	assert_true(close(sym_file_open(text, &fx->id, NULL)) == 0); /* now the stripped one is what ran */
	expect_names(fx, "same", SYMBOL_C);
	run(fx, "cp p.debug same/");
	expect_names(fx, "same", ALL_C);
	run(fx, "printf x >>same/p.debug");
	names_in(fx, "same", NOWHERE, text, why, NULL);
	assert_string_equal(text, SYMBOL_C);
	run(fx, "truncate -s 1T same/p.debug"); /* sparse: it would be read for minutes */
	names_in(fx, "same", NOWHERE, text, why, NULL);
	assert_string_equal(text, SYMBOL_C);
	(void)snprintf(text, sizeof(text), "%s/same/p.debug", fx->dir);
	fd = sym_file_open(text, &facts, NULL);
	assert_true(fd >= 0); /* it is an ELF file nevertheless */
	assert_int_equal(sym_file_crc(fd, &crc), -EFBIG);
	assert_int_equal(close(fd), 0);
}

/* ---- forms ---- */

static void kept_by_other_tools(void **state)
{
	struct fixture *fx = *state;

	build_whole(fx);
	if (has_tool("eu-strip")) {
		run(fx, "mkdir -p eu && cp whole/prog x && eu-strip -f eu/prog.debug -o y x");
		expect_names(fx, "eu", ALL_C);
	}
	if (has_tool("llvm-objcopy")) {
		run(fx, "mkdir -p llvm && llvm-objcopy --only-keep-debug whole/prog llvm/prog.debug");
		expect_names(fx, "llvm", ALL_C);
	}
	if (!has_tool("eu-strip") || !has_tool("llvm-objcopy"))
		skip();
}

static void compressed(void **state)
{
	struct fixture *fx = *state;

	build_whole(fx);
	run(fx, "mkdir -p z gnu && objcopy --compress-debug-sections=zlib whole/prog z/prog && "
		"objcopy --compress-debug-sections=zlib-gnu whole/prog gnu/prog");
	expect_names(fx, "z", ALL_C);
	expect_names(fx, "gnu", ALL_C);
}

static void moved_out_by_dwz(void **state)
{
	struct fixture *fx = *state;
	char text[TEXT_MAX], why[TEXT_MAX];

	if (!has_tool("dwz"))
		skip();
	build_whole(fx);
	run(fx, "mkdir -p dwz && objcopy --only-keep-debug whole/prog dwz/prog.debug && cp dwz/prog.debug dwz/b.debug && "
		"cd dwz && dwz -m common.debug -M common.debug prog.debug b.debug");
	names_in(fx, "dwz", NOWHERE, text, why, NULL);
	assert_string_equal(text, ALL_C);
	assert_string_equal(why, "");
	run(fx, "rm dwz/common.debug");
	names_in(fx, "dwz", NOWHERE, text, why, NULL);
	assert_string_not_equal(text, ALL_C);
	assert_non_null(strstr(text, "outer:3")); /* lines stay, and the name is the symbol table's */
	assert_string_equal(why, "common.debug, where dwz put some of its names, is not on this machine");
}

/* ---- split DWARF ---- */

static void split_by(struct fixture *fx, const char *cc, u32 version)
{
	char cmd[COMMAND_MAX], text[TEXT_MAX];
	u32 missing = 0;

	(void)snprintf(cmd, sizeof(cmd),
		       "rm -rf s dwo && mkdir -p s dwo && cd s && %s -g -gdwarf-%u -gsplit-dwarf -O2 -rdynamic -c ../prog.c -o "
		       "prog.o && %s prog.o -rdynamic -o prog",
		       cc, version, cc);
	run(fx, cmd);
	run(fx, "cp -r s plain && rm -f plain/*.dwo");
	learn(fx, "s/prog", ALL_C); /* what runs is the split one */
	run(fx, "mv s/*.dwo dwo/");
	names_in(fx, "plain", NOWHERE, text, NULL, &missing);
	assert_string_equal(text, SYMBOL_C);
	assert_int_equal(missing, 1);
	run(fx, "cp s/prog dwo/");
	names_in(fx, "dwo", NOWHERE, text, NULL, &missing);
	assert_string_equal(text, ALL_C);
	assert_int_equal(missing, 0);
}

/* The unit of another build does not do, whatever its name is. */
static void refuse_other_dwo(struct fixture *fx, const char *cc, u32 version)
{
	char cmd[COMMAND_MAX], text[TEXT_MAX];
	u32 missing = 0;

	(void)snprintf(cmd, sizeof(cmd),
		       "cd dwo && mv $(ls *.dwo) real.bak && sed s/getpid/getppid/ ../prog.c >other.c && "
		       "%s -g -gdwarf-%u -gsplit-dwarf -O2 -c other.c -o other.o && mv other.dwo prog.dwo",
		       cc, version);
	run(fx, cmd);
	names_in(fx, "dwo", NOWHERE, text, NULL, &missing);
	assert_string_equal(text, SYMBOL_C);
	assert_int_equal(missing, 1);
	run(fx, "cd dwo && rm prog.dwo && mv real.bak prog.dwo");
}

static void package_by(struct fixture *fx, const char *dwp)
{
	char cmd[COMMAND_MAX];

	(void)snprintf(
		cmd, sizeof(cmd),
		"rm -rf pkg && mkdir -p pkg && timeout 20 %s dwo/*.dwo -o pkg/prog.dwp && cp s/prog pkg/ && rm -rf dwo.gone && "
		"mv dwo dwo.gone",
		dwp);
	run(fx, cmd);
	expect_names(fx, "pkg", ALL_C);
	run(fx, "mv dwo.gone dwo");
}

static void split_gcc(void **state)
{
	struct fixture *fx = *state;

	if (!has_tool("gcc"))
		skip();
	split_by(fx, "gcc", 4);
	refuse_other_dwo(fx, "gcc", 4);
	if (has_tool("dwp"))
		package_by(fx, "dwp");
	run(fx, "rm -rf plain");
	split_by(fx, "gcc", 5);
	refuse_other_dwo(fx, "gcc", 5);
}

static void split_clang(void **state)
{
	struct fixture *fx = *state;

	if (!has_tool("clang") || !has_tool("llvm-dwp"))
		skip();
	split_by(fx, "clang", 4);
	package_by(fx, "llvm-dwp");
	run(fx, "rm -rf plain");
	split_by(fx, "clang", 5);
	package_by(fx, "llvm-dwp");
}

/* learn() without -C split-debuginfo is another build: so it is told where the names must be. */
static void learn_rust(struct fixture *fx, const char *dir)
{
	char path[128], text[TEXT_MAX];
	struct sym_module *m;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/prog", fx->dir, dir);
	fd = sym_file_open(path, &fx->id, NULL);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(sym_module_open(path, &m, NULL), 0);
	for (u32 i = 0; i < m->symtab.n; i++) {
		const char *name = elf_strptr(m->symtab.elf, m->symtab.strings, m->symtab.symbols[i].name);

		if (!name || !strstr(name, "prog5outer"))
			continue;
		for (u64 a = m->symtab.symbols[i].addr; a < m->symtab.symbols[i].end; a++)
			for (u32 k = 0; k < m->elf.n_segments; k++) {
				const struct sym_segment *s = &m->elf.segments[k];

				if (!s->is_exec || a < s->addr || a - s->addr >= s->size)
					continue;
				fx->file_off = s->off + (a - s->addr);
				names_in(fx, dir, NOWHERE, text, NULL, NULL);
				if (strcmp(text, ALL_RS) == 0) {
					(void)sym_module_close(m);
					return;
				}
			}
	}
	fail_msg("no inlined frame in %s, the last is %s", path, text);
}

static void split_rust(void **state)
{
	static const char *const kinds[] = {"unpacked", "packed"};
	struct fixture *fx = *state;
	char cmd[COMMAND_MAX], text[TEXT_MAX];

	if (!has_tool("rustc"))
		skip();
	for (u32 version = 4; version <= 5; version++)
		for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
			u32 missing = 0;

			(void)snprintf(
				cmd, sizeof(cmd),
				"rm -rf r bare && mkdir r bare && rustc -g -O -C dwarf-version=%u -C split-debuginfo=%s prog.rs -o "
				"r/prog && cp r/prog bare/prog && ls r/*.dw? && cp -r r r2 && rm -rf r && mv r2 r",
				version, kinds[i]);
			run(fx, cmd);
			learn_rust(fx, "r");
			run(fx, "mv r elsewhere && cp -r elsewhere moved");
			names_in(fx, "bare", NOWHERE, text, NULL, &missing);
			assert_string_equal(text, "prog::outer:0");
			assert_int_equal(missing, 1);
			names_in(fx, "moved", NOWHERE, text, NULL, &missing);
			assert_string_equal(text, ALL_RS);
			assert_int_equal(missing, 0);
			run(fx, "rm -rf moved elsewhere");
		}
}

/* ---- debuginfod ---- */

static void servers(void **state)
{
	static const char *const yes[] = {"https://debuginfod.debian.net", "http://localhost:8002/", "http://127.0.0.1",
					  "http://[::1]:80"};
	static const char *const no[] = {"http://debuginfod.debian.net",
					 "http://localhost.evil.example",
					 "http://localhost:x@evil.example/",
					 "file:///etc",
					 "ftp://127.0.0.1",
					 "https://",
					 ""};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(sym_fetch_is_server(yes[i], strlen(yes[i])));
	for (u32 i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(sym_fetch_is_server(no[i], strlen(no[i])));
}

/* What a server sends is taken when its id is right; a program stands for debuginfod-find. */
static void fetched_files_are_checked(void **state)
{
	struct fixture *fx = *state;
	struct sym_want w = {.path = NOWHERE};
	struct sym_finder f = {.capture = "/nowhere/x", .system_dir = "/nowhere", .debuginfod = true};
	struct sym_found found;
	char path[PATH_MAX];

	build_whole(fx);
	w.build_id = fx->id.build_id;
	run(fx,
	    "mkdir bin && printf '#!/bin/sh\necho \"$DEBUGINFOD_URLS $DEBUGINFOD_MAXSIZE $1 $2\" >>%s/asked\n"
	    "[ $1 = debuginfo ] && echo %s/answer\n' \"$PWD\" \"$PWD\" >bin/debuginfod-find && chmod +x bin/debuginfod-find && "
	    "cp stripped/prog answer && cc -g -O1 prog.c -o other");
	(void)snprintf(path, sizeof(path), "%s/bin:%s", fx->dir, getenv("PATH"));
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(setenv("DEBUGINFOD_URLS", "http://evil.example https://good.example", 1), 0);
	run(fx, "cp whole/prog answer");
	assert_int_equal(sym_find(&f, &w, &found), 1);
	assert_true(found.facts.has_dwarf);
	sym_found_release(&found);
	run(fx, "grep -q '^https://good.example  *2147483648 debuginfo' asked && ! grep -q evil asked");
	run(fx, "cp other answer && rm asked");
	assert_int_equal(sym_find(&f, &w, &found), 0);
	assert_non_null(strstr(found.why, "/answer is another build"));
	sym_found_release(&found);
	/* one that has closed its output, and hangs */
	run(fx, "printf '#!/bin/sh\nexec >/dev/null sleep 30\n' >bin/debuginfod-find");
	assert_int_equal(sym_find(&f, &w, &found), 0);
	assert_string_equal(found.why, "debuginfod did not answer in time");
	sym_found_release(&found);
	f.debuginfod = false;
	run(fx, "rm asked");
	assert_int_equal(sym_find(&f, &w, &found), 0);
	sym_found_release(&found);
	run(fx, "! test -e asked"); /* not asked unless told to */
}

/* elfutils' own server, on this machine. */
static void real_server(void **state)
{
	struct fixture *fx = *state;
	struct sym_want w = {.path = NOWHERE};
	struct sym_finder f = {.capture = "/nowhere/x", .system_dir = "/nowhere", .debuginfod = true};
	struct sym_found found = {.fd = -1, .debug_fd = -1, .alt_fd = -1};
	char cmd[COMMAND_MAX];
	u32 port = 20000 + (u32)getpid() % 20000;
	int n = 0;

	if (!has_tool("debuginfod") || !has_tool("debuginfod-find"))
		skip();
	build_whole(fx);
	w.build_id = fx->id.build_id;
	(void)snprintf(
		cmd, sizeof(cmd),
		"mkdir -p served home && cp whole/prog served/ && { HOME=$PWD/home timeout 60 debuginfod -d :memory: -p %u -F "
		"served >/dev/null 2>&1 & echo $! >pid; }",
		port);
	run(fx, cmd);
	(void)snprintf(cmd, sizeof(cmd), "http://127.0.0.1:%u", port);
	assert_int_equal(setenv("DEBUGINFOD_URLS", cmd, 1), 0);
	for (u32 i = 0; i < 40 && n == 0;
	     i++) { /* until it has read the file; a cache of its own each time remembers no failure */
		(void)snprintf(cmd, sizeof(cmd), "%s/cache%u", fx->dir, i);
		assert_int_equal(setenv("DEBUGINFOD_CACHE_PATH", cmd, 1), 0);
		sym_found_release(&found);
		n = sym_find(&f, &w, &found);
		if (!n)
			(void)usleep(250000);
	}
	run(fx, "kill $(cat pid)");
	assert_int_equal(n, 1);
	assert_true(found.facts.has_dwarf);
	assert_non_null(strstr(found.path, "/cache"));
	sym_found_release(&found);
}

/* ---- through the database, step by step ---- */

static void expect_row(const struct capture_opts *o, const char *sql, const char *rows)
{
	struct capture_db *db = NULL;

	assert_int_equal(capture_db_open(o, &db), 0);
	assert_string_equal(cb_text(capture_db_handle(db), sql), rows);
	capture_db_close(db);
}

static void steps_of_a_capture(void **state)
{
	static const char names[] = "SELECT function, line FROM stack_text ORDER BY depth, inline_depth",
			  note[] = "SELECT note FROM module WHERE id = 2";
	struct fixture *fx = *state;
	struct capture_builder cb;
	struct capture_opts o;
	u64 base = 0x40000000, addr;
	char stripped[128], debug[128], all[TEXT_MAX];

	build_whole(fx);
	cb_init(&cb);
	o = (struct capture_opts){.capture = cb.path, .rows = CAPTURE_ROWS_ALL};
	cb_row(&cb, FMT_MODULE,
	       &(struct fmt_module){.idx = 2, .path = cb_string(&cb, NOWHERE), .build_id = cb_string(&cb, fx->id.build_id)});
	cb_row(&cb, FMT_MAPPING, &(struct fmt_mapping){.process = 1, .module = 2, .start = base, .end = base + 0x10000000});
	addr = base + fx->file_off + 1; /* a return address: looked up one before */
	cb_row(&cb, FMT_SWITCH_OUT,
	       &(struct fmt_switch_out){.ts = CB_START + 1000,
					.thread = 1,
					.state = 1,
					.syscall = SYS_futex + 1,
					.ustack = cb_stack(&cb, FMT_STACK_USER, &addr, 1)});
	cb_row(&cb, FMT_SWITCH_IN, &(struct fmt_switch_in){.ts = CB_START + 2000, .thread = 1});
	cb_finish(&cb);
	expect_row(&o, names, "-|-");
	(void)snprintf(all, sizeof(all),
		       "no names: " NOWHERE
		       " is not on this machine; pass the file with build-id %s with --target, or its directory with "
		       "--debug-dir",
		       fx->id.build_id);
	expect_row(&o, note, all);
	(void)snprintf(stripped, sizeof(stripped), "%s/stripped", fx->dir);
	o.debug_dirs[o.n_debug_dirs++] = stripped;
	expect_row(&o, names, "outer|-");
	expect_row(&o, "SELECT symbols, note LIKE 'no line numbers: %' FROM module WHERE id = 2", "symtab|1");
	run(fx, "mkdir -p debug && objcopy --only-keep-debug whole/prog debug/prog.debug");
	(void)snprintf(debug, sizeof(debug), "%s/debug", fx->dir);
	o.debug_dirs[o.n_debug_dirs++] = debug;
	expect_row(&o, names, "inner|2\nouter|3");
	(void)snprintf(all, sizeof(all), "dwarf|%s/prog.debug", debug);
	expect_row(&o, "SELECT symbols, symbols_from FROM module WHERE id = 2", all);
	o.n_debug_dirs = 0; /* and they stay */
	expect_row(&o, names, "inner|2\nouter|3");
	cb_release(&cb);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(whole_and_stripped),
		TEST(debug_file_places),
		TEST(debug_file_beside_program),
		TEST(beside_the_capture),
		TEST(other_builds_are_refused),
		TEST(without_build_id),
		TEST(kept_by_other_tools),
		TEST(compressed),
		TEST(moved_out_by_dwz),
		TEST(split_gcc),
		TEST(split_clang),
		TEST(split_rust),
		cmocka_unit_test(servers),
		TEST(real_server), /* before the test that puts its own debuginfod-find into PATH */
		TEST(fetched_files_are_checked),
		TEST(steps_of_a_capture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
