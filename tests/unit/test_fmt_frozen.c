/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_fmt_frozen.c: what readers of format version 1 rely on is as it was declared: kinds, columns, encodings, limits, values of enumerations.
 * format/frozen.txt lists it, a line each; FORMAT.md section 11 says what may be added. After an addition
 *
 *	make format-append		(test_fmt_frozen --append)
 *
 * writes its lines behind those that are there. A line that is there already is never changed and never taken away, whoever's test is in the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "format/fmt_schema.h"

#define LIST "format/frozen.txt"

/* The list up to and with this line is what was declared on 2026-11-22. */
static const char declared_end[] = "# Declared up to here; added since:\n";
static const u64 declared_sum = 0x06360ca22e346bc6ULL;

/* ---- what the code has ---- */

static void put_numbers(struct buf *out)
{
#define LIMIT(NAME) buf_printf(out, "limit " #NAME " %u\n", (unsigned)FMT_MAX_##NAME)
	LIMIT(PAYLOAD), LIMIT(RAW), LIMIT(ROWS), LIMIT(SECTIONS), LIMIT(COLUMNS), LIMIT(CELLS), LIMIT(STRING);
	LIMIT(FRAMES), LIMIT(DICT), LIMIT(CLASSES), LIMIT(CODED), LIMIT(PROBS), LIMIT(ID), LIMIT(PERFMAP);
#undef LIMIT
#define VALUE(GROUP, NAME) buf_printf(out, #GROUP " " #NAME " %u\n", (unsigned)FMT_##GROUP##_##NAME)
	VALUE(BLOCK, EVENTS), VALUE(BLOCK, FOOTER), VALUE(BLOCK, DICTIONARY), VALUE(BLOCK, COPY);
	VALUE(ENC, CONST), VALUE(ENC, VARINT), VALUE(ENC, DELTA), VALUE(ENC, DICT), VALUE(ENC, BYTES), VALUE(ENC, LIST);
	VALUE(ENC, SPLIT), VALUE(ENC, SPLIT_DELTA), VALUE(ENC, CLASS), VALUE(ENC, GROUP), VALUE(ENC, SYMBOLS);
	VALUE(ENC, STEPS), VALUE(ENC, LIKE), VALUE(ENC, COUNT), VALUE(PAYLOAD, COLUMN), VALUE(CLASS, COLUMN);
	VALUE(CTX, NO_LAYOUT), VALUE(CTX, READ), VALUE(CTX, UNREAD);
	VALUE(FLAVOR, UNKNOWN), VALUE(FLAVOR, CURRENT_THREAD), VALUE(FLAVOR, MULTI_THREAD);
	VALUE(TASK, DONE), VALUE(TASK, CANCELLED), VALUE(TASK, FREED);
	VALUE(PROBE, ATTACHED), VALUE(PROBE, IMPOSSIBLE), VALUE(PROBE, TAKEN), VALUE(PROBE, KEPT);
	VALUE(STACK, USER), VALUE(STACK, KERNEL);
#undef VALUE
	for (u32 i = 1; i < FMT_STACK_STATUS_END; i++)
		buf_printf(out, "status %s %u\n", fmt_stack_status_name(i), i);
}

/* The lines of the code as it is, the kinds in the order of their numbers. */
static void put_code(struct buf *out)
{
	static const char *const payloads[] = {"none", "bytes", "list"};
	u32 n;
	const struct fmt_kind *kinds = fmt_kinds(&n);

	buf_printf(out, "version %u\n", (unsigned)FMT_VERSION);
	put_numbers(out);
	for (u32 k = 0; k < n; k++) {
		buf_printf(out, "kind %u %s %s, payload %s\n", (unsigned)kinds[k].id, kinds[k].name,
			   kinds[k].is_event ? "event" : "no event", payloads[kinds[k].payload]);
		for (u32 c = 0; c < kinds[k].n_cols; c++)
			buf_printf(out, "column %s %u %s%s\n", kinds[k].name, c + 1, kinds[k].cols[c].name,
				   strncmp(kinds[k].cols[c].doc, "string:", 7) ? "" : " string");
	}
	buf_putc(out, 0);
	assert_int_equal(buf_err(out), 0);
}

/* ---- lists of lines ---- */

/* Where `line` (n bytes, its end of line with them) stands in the text, as an offset; -1 it does not. */
static long find_line(const char *text, const char *line, size_t n)
{
	for (const char *p = text; *p;) {
		const char *end = strchr(p, '\n');
		size_t len = end ? (size_t)(end - p) + 1 : strlen(p);

		if (len == n && !memcmp(p, line, n))
			return p - text;
		p += len;
	}
	return -1;
}

/* Says which lines of a, comments not counted, are not in b; how many. They go to *ret_missing where it is given. */
static u32 missing_lines(const char *a, const char *b, const char *what, struct buf *ret_missing)
{
	u32 missing = 0;

	for (const char *p = a; *p;) {
		const char *end = strchr(p, '\n');
		size_t len = end ? (size_t)(end - p) + 1 : strlen(p);

		if (*p != '#' && len > 1 && find_line(b, p, len) < 0) {
			missing++;
			if (ret_missing)
				buf_put(ret_missing, p, len);
			(void)fprintf(stderr, "%s: %.*s", what, (int)len, p);
		}
		p += len;
	}
	return missing;
}

static void read_list(struct buf *ret)
{
	if (file_read_all(LIST, ret, 1 << 20) < 0)
		skip(); /* run from elsewhere than the root of the tree */
	buf_putc(ret, 0);
	assert_int_equal(buf_err(ret), 0);
}

/* ---- tests ---- */

static void nothing_is_changed(void **state)
{
	_cleanup_buf_ struct buf list = BUF_INIT, code = BUF_INIT;

	(void)state;
	read_list(&list);
	put_code(&code);
	assert_int_equal(missing_lines((char *)list.data, (char *)code.data, "frozen, and not in the code any more", NULL), 0);
	assert_int_equal(missing_lines((char *)code.data, (char *)list.data, "added: run `make format-append`", NULL), 0);
}

static void what_was_declared_stands(void **state)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	const char *end;

	(void)state;
	read_list(&list);
	end = strstr((char *)list.data, declared_end);
	assert_non_null(end);
	end += sizeof(declared_end) - 1;
	if (XXH3_64bits(list.data, (size_t)(end - (char *)list.data)) != declared_sum)
		fail_msg("the part of " LIST
			 " that was declared was changed: restore it from git, and undo what it does not allow");
}

/* Each column once, behind the one before it. */
static void columns_stand_in_order(void **state)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	char name[64], line[128];
	unsigned id;

	(void)state;
	read_list(&list);
	for (const char *p = (char *)list.data; *p; p = strchr(p, '\n') + 1) {
		size_t n = strcspn(p, "\n");

		assert_int_equal(p[n], '\n');
		assert_true(*p == '#' || find_line((char *)list.data, p, n + 1) == p - (char *)list.data);
		if (sscanf(p, "column %63s %u", name, &id) != 2 || id == 1)
			continue;
		(void)snprintf(line, sizeof(line), "\ncolumn %s %u ", name, id - 1);
		assert_non_null(strstr((char *)list.data, line));
		assert_true(strstr((char *)list.data, line) < p);
	}
}

/* Where the list has column `name` of a kind; SIZE_MAX it has none. */
static size_t place_of(const char *list, const char *kind, const char *name)
{
	char a[64], b[64];
	unsigned id;

	for (const char *p = list; *p; p = strchr(p, '\n') + 1)
		if (sscanf(p, "column %63s %u %63s", a, &id, b) == 3 && !strcmp(a, kind) && !strcmp(b, name))
			return (size_t)(p - list);
	return SIZE_MAX;
}

/*
 * FORMAT.md section 11: switch_out gets no column under a name that a kind which can go by switches had before: readers without it decode the other kind's
 * column by none, newer ones by the new one.
 */
static void no_name_comes_to_mean_a_switch(void **state)
{
	_cleanup_buf_ struct buf list = BUF_INIT;
	const struct fmt_kind *outs = fmt_kind_by_id(FMT_SWITCH_OUT), *kinds;
	const char *text;
	u32 n, compared = 0;

	(void)state;
	read_list(&list);
	text = (char *)list.data;
	kinds = fmt_kinds(&n);
	for (u32 k = 0; k < n; k++) {
		if (&kinds[k] == outs || place_of(text, kinds[k].name, "ts") == SIZE_MAX ||
		    place_of(text, kinds[k].name, "thread") == SIZE_MAX || place_of(text, kinds[k].name, "cpu") == SIZE_MAX)
			continue;
		for (u32 c = 0; c < outs->n_cols; c++) {
			size_t at = place_of(text, kinds[k].name, outs->cols[c].name);

			compared += at != SIZE_MAX;
			if (place_of(text, "switch_out", outs->cols[c].name) > at)
				fail_msg("column %s of switch_out is younger than that of %s", outs->cols[c].name, kinds[k].name);
		}
	}
	assert_true(compared > 20);
}

static int append(void)
{
	_cleanup_buf_ struct buf list = BUF_INIT, code = BUF_INIT, more = BUF_INIT;
	_cleanup_close_ int fd = open(LIST, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || file_read_all(LIST, &list, 1 << 20) < 0) {
		perror(LIST);
		return 1;
	}
	buf_putc(&list, 0);
	put_code(&code);
	if (missing_lines((char *)list.data, (char *)code.data, "frozen, and not in the code any more", NULL))
		return 1;
	(void)missing_lines((char *)code.data, (char *)list.data, "added", &more);
	return buf_err(&more) || fd_write_full(fd, more.data, more.len) < 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_changed),
		cmocka_unit_test(what_was_declared_stands),
		cmocka_unit_test(columns_stand_in_order),
		cmocka_unit_test(no_name_comes_to_mean_a_switch),
	};

	if (argc == 2 && !strcmp(argv[1], "--append"))
		return append();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
