/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_sym_wire.c: what a child may say about names, whole and in pieces, and every way to break it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the four above */

#include <errno.h>
#include <string.h>

#include "report/sym_wire.h"

static void put_opened(struct buf *b)
{
	struct sym_wire_opened o = {.layers = 5, .source = SYM_DWARF, .dwarf_percent = 98};

	sym_wire_put(b, SYM_WIRE_OPENED, &o, sizeof(o));
}

static void put_string(struct buf *b, const char *s)
{
	sym_wire_put(b, SYM_WIRE_STRING, s, (u32)strlen(s));
}

static void put_done(struct buf *b)
{
	struct sym_wire_done d = {.split_missing = 3};

	sym_wire_put(b, SYM_WIRE_DONE, &d, sizeof(d));
}

/* Three lookups: two frames, none, one. */
static void put_all(struct buf *b)
{
	struct sym_wire_frame two[] = {{.function = 1, .file = 2, .typed_name = 3, .line = 7, .inlined = 1},
				       {.function = 3, .line = UINT32_MAX}};
	struct sym_wire_frame one = {.function = 4};

	put_opened(b);
	put_string(b, "inner");
	put_string(b, "src/a.rs");
	put_string(b, "outer");
	sym_wire_put(b, SYM_WIRE_FRAMES, two, sizeof(two));
	put_string(b, "");
	sym_wire_put(b, SYM_WIRE_FRAMES, NULL, 0);
	sym_wire_put(b, SYM_WIRE_FRAMES, &one, sizeof(one));
	put_done(b);
	assert_int_equal(buf_err(b), 0);
}

static void check_all(const struct sym_answers *a)
{
	const struct sym_answer *f;
	u32 n;

	assert_int_equal(a->state, SYM_ANSWERS_DONE);
	assert_int_equal(a->opened.layers, 5);
	assert_int_equal(a->opened.source, SYM_DWARF);
	assert_int_equal(a->opened.dwarf_percent, 98);
	assert_int_equal(a->done.split_missing, 3);
	f = sym_answers_frames(a, 0, &n);
	assert_int_equal(n, 2);
	assert_string_equal(sym_answers_string(a, f[0].function), "inner");
	assert_string_equal(sym_answers_string(a, f[0].file), "src/a.rs");
	assert_string_equal(sym_answers_string(a, f[0].typed_name), "outer");
	assert_int_equal(f[0].line, 7);
	assert_true(f[0].inlined);
	assert_string_equal(sym_answers_string(a, f[1].function), "outer");
	assert_int_equal(f[1].file, 0);
	assert_int_equal(f[1].line, UINT32_MAX);
	assert_false(f[1].inlined);
	assert_null(sym_answers_frames(a, 1, &n));
	assert_int_equal(n, 0);
	f = sym_answers_frames(a, 2, &n);
	assert_int_equal(n, 1);
	assert_string_equal(sym_answers_string(a, f[0].function), "");
	assert_null(sym_answers_frames(a, 3, &n));
	assert_int_equal(n, 0);
	assert_string_equal(sym_answers_string(a, 0), "");
	assert_string_equal(sym_answers_string(a, 5), "");
	assert_string_equal(sym_answers_string(a, UINT32_MAX), "");
}

/* However the bytes are cut into pieces. */
static void answers_in_pieces(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	put_all(&b);
	for (size_t piece = 1; piece <= b.len; piece++) {
		_cleanup_answers_ struct sym_answers a;

		assert_int_equal(sym_answers_init(&a, 3), 0);
		for (size_t pos = 0; pos < b.len; pos += piece) {
			size_t n = b.len - pos < piece ? b.len - pos : piece;

			assert_int_not_equal(a.state, SYM_ANSWERS_DONE);
			assert_int_equal(sym_answers_feed(&a, b.data + pos, n), 0);
		}
		check_all(&a);
	}
}

/* Cut anywhere, nothing is complete. */
static void answers_cut_short(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	put_all(&b);
	for (size_t n = 0; n < b.len; n++) {
		_cleanup_answers_ struct sym_answers a;

		assert_int_equal(sym_answers_init(&a, 3), 0);
		assert_int_equal(sym_answers_feed(&a, b.data, n), 0);
		assert_true(a.state == SYM_ANSWERS_OPENING || a.state == SYM_ANSWERS_RUNNING);
	}
}

/* Feeds b to answers of n lookups: it must be refused, with these words, and stay so. */
static void refuse(struct buf *b, u64 n_lookups, const char *why)
{
	_cleanup_answers_ struct sym_answers a;

	assert_int_equal(buf_err(b), 0);
	assert_int_equal(sym_answers_init(&a, n_lookups), 0);
	assert_int_equal(sym_answers_feed(&a, b->data, b->len), -EBADMSG);
	assert_int_equal(a.state, SYM_ANSWERS_BROKEN);
	assert_string_equal(a.why, why);
	assert_int_equal(sym_answers_feed(&a, "", 1), -EBADMSG);
	buf_reset(b);
}

static void wrong_order(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	put_string(&b, "x");
	refuse(&b, 1, "an unexpected string");
	sym_wire_put(&b, SYM_WIRE_FRAMES, NULL, 0);
	refuse(&b, 1, "an answer to nothing");
	put_done(&b);
	refuse(&b, 0, "an end before all was answered");
	put_opened(&b);
	put_opened(&b);
	refuse(&b, 1, "an unexpected beginning");
	put_opened(&b);
	put_done(&b);
	refuse(&b, 1, "an end before all was answered");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_FRAMES, NULL, 0);
	sym_wire_put(&b, SYM_WIRE_FRAMES, NULL, 0);
	refuse(&b, 1, "an answer to nothing");
	put_opened(&b);
	put_done(&b);
	put_string(&b, "x");
	refuse(&b, 0, "an unexpected string");
	sym_wire_put(&b, (enum sym_wire_kind)99, NULL, 0);
	refuse(&b, 1, "a record of no known kind");
	sym_wire_put(&b, (enum sym_wire_kind)0, NULL, 0);
	refuse(&b, 1, "a record of no known kind");
	sym_wire_put(&b, SYM_WIRE_LOOKUPS_OF, NULL, 0);
	refuse(&b, 1, "a record of no known kind");
}

static void wrong_lengths(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ u8 *zeros = calloc(1, SYM_WIRE_RECORD_MAX), *text = malloc(SYM_WIRE_STRING_MAX + 1);
	struct sym_wire_head h = {.len = SYM_WIRE_RECORD_MAX + 1, .kind = SYM_WIRE_STRING};

	(void)state;
	assert_non_null(zeros);
	assert_non_null(text);
	memset(text, 'x', SYM_WIRE_STRING_MAX + 1);
	buf_put(&b, &h, sizeof(h));
	refuse(&b, 1, "a record that is too long");
	h.len = UINT32_MAX;
	buf_put(&b, &h, sizeof(h));
	refuse(&b, 1, "a record that is too long");
	sym_wire_put(&b, SYM_WIRE_OPENED, zeros, 11);
	refuse(&b, 1, "an unexpected beginning");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_FRAMES, zeros, 19);
	refuse(&b, 1, "an answer of impossible length");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_FRAMES, zeros, (SYM_MAX_INLINE + 1) * sizeof(struct sym_wire_frame));
	refuse(&b, 1, "an answer of impossible length");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_STRING, text, SYM_WIRE_STRING_MAX + 1);
	refuse(&b, 1, "a string that is too long or not text");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_STRING, "a\0b", 3);
	refuse(&b, 1, "a string that is too long or not text");
	put_opened(&b);
	sym_wire_put(&b, SYM_WIRE_DONE, zeros, 5);
	refuse(&b, 0, "an end before all was answered");
	sym_wire_put(&b, SYM_WIRE_FAILED, zeros, 3);
	refuse(&b, 0, "an unexpected failure");
}

static void wrong_values(void **state)
{
	static const struct sym_wire_frame frames[] = {
		{.function = 0},
		{.function = 2},
		{.function = 1, .file = 2},
		{.function = 1, .typed_name = UINT32_MAX},
		{.function = 1, .inlined = 2},
	};
	static const struct sym_wire_opened opened[] = {{.source = 3}, {.source = SYM_DWARF, .dwarf_percent = 101}};
	static const s32 errs[] = {0, 1, -4096, INT32_MIN};
	_cleanup_buf_ struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		put_opened(&b);
		put_string(&b, "only");
		sym_wire_put(&b, SYM_WIRE_FRAMES, &frames[i], sizeof(frames[i]));
		refuse(&b, 1, "a frame of strings that were not sent");
	}
	for (size_t i = 0; i < ARRAY_SIZE(opened); i++) {
		sym_wire_put(&b, SYM_WIRE_OPENED, &opened[i], sizeof(opened[i]));
		refuse(&b, 1, "a beginning that makes no sense");
	}
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		sym_wire_put(&b, SYM_WIRE_FAILED, &errs[i], sizeof(errs[i]));
		refuse(&b, 1, "a failure that makes no sense");
	}
}

/* A failure's phrase is printed: it has no control characters and is not endless. */
static void failure_phrase(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_answers_ struct sym_answers a;
	u8 payload[4 + 1000];
	s32 err = -ENOEXEC;

	(void)state;
	memset(payload, '\033', sizeof(payload));
	memcpy(payload, &err, sizeof(err));
	memcpy(payload + 4, "not an\n", 7);
	sym_wire_put(&b, SYM_WIRE_FAILED, payload, sizeof(payload));
	assert_int_equal(sym_answers_init(&a, 1), 0);
	assert_int_equal(sym_answers_feed(&a, b.data, b.len), 0);
	assert_int_equal(a.state, SYM_ANSWERS_FAILED);
	assert_int_equal(a.err, -ENOEXEC);
	assert_int_equal(strlen(a.why), SYM_WIRE_WHY_MAX - 1);
	assert_memory_equal(a.why, "not an????", 10);
	put_opened(&b);
	assert_int_equal(sym_answers_feed(&a, b.data + 8 + sizeof(payload), b.len - 8 - sizeof(payload)), -EBADMSG);
}

/* Feeds one record again and again until it is refused. */
static u64 feed_until_refused(struct sym_answers *a, const struct buf *record)
{
	for (u64 n = 0; n < UINT32_MAX; n++)
		if (sym_answers_feed(a, record->data, record->len))
			return n;
	return UINT32_MAX;
}

/* What one child can make the parent keep has a limit: text, strings and frames. */
static void no_flood(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT, big = BUF_INIT, full = BUF_INIT;
	_cleanup_free_ char *text = malloc(SYM_WIRE_STRING_MAX + 1);
	struct sym_wire_frame frames[SYM_MAX_INLINE];
	u64 n_lookups = 100000;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', SYM_WIRE_STRING_MAX);
	text[SYM_WIRE_STRING_MAX] = '\0';
	put_opened(&b);
	put_string(&b, "f");
	put_string(&big, text);
	for (u32 i = 0; i < SYM_MAX_INLINE; i++)
		frames[i] = (struct sym_wire_frame){.function = 1};
	sym_wire_put(&full, SYM_WIRE_FRAMES, frames, sizeof(frames));
	for (int what = 0; what < 2; what++) {
		_cleanup_answers_ struct sym_answers a;
		u64 n;

		assert_int_equal(sym_answers_init(&a, n_lookups), 0);
		assert_int_equal(sym_answers_feed(&a, b.data, b.len), 0);
		n = feed_until_refused(&a, what ? &full : &big);
		assert_int_equal(a.state, SYM_ANSWERS_BROKEN);
		if (what) {
			assert_string_equal(a.why, "too many frames");
			assert_in_range(n, n_lookups / 2 - 1, n_lookups / 2 + 1);
		} else {
			assert_string_equal(a.why, "too much text");
			assert_int_equal(n, SYM_WIRE_STRINGS_MAX / (SYM_WIRE_STRING_MAX + 1));
		}
	}
}

/* Few lookups may have as many frames as they like. */
static void few_deep_lookups(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_answers_ struct sym_answers a;
	struct sym_wire_frame frames[SYM_MAX_INLINE];
	u32 n;

	(void)state;
	for (u32 i = 0; i < SYM_MAX_INLINE; i++)
		frames[i] = (struct sym_wire_frame){.function = 1};
	put_opened(&b);
	put_string(&b, "deep");
	for (int i = 0; i < 100; i++)
		sym_wire_put(&b, SYM_WIRE_FRAMES, frames, sizeof(frames));
	put_done(&b);
	assert_int_equal(sym_answers_init(&a, 100), 0);
	assert_int_equal(sym_answers_feed(&a, b.data, b.len), 0);
	assert_int_equal(a.state, SYM_ANSWERS_DONE);
	assert_non_null(sym_answers_frames(&a, 99, &n));
	assert_int_equal(n, SYM_MAX_INLINE);
}

static void wants(void **state)
{
	static const struct sym_split_want in[] = {
		{.comp_dir = "/src", .name = "a.dwo", .dwo_id = UINT64_MAX, .nth = 2},
		{.comp_dir = "/src"},
		{.name = ""},
		{.dwo_id = 1},
	};
	u8 packet[SYM_WIRE_WANT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		struct sym_split_want out;
		int n = sym_wire_put_want(&in[i], packet);

		assert_true(n > 0);
		for (int cut = 0; cut < n; cut++)
			assert_int_equal(sym_wire_get_want(packet, (size_t)cut, &out), -EBADMSG);
		packet[n] = 'x';
		assert_int_equal(sym_wire_get_want(packet, (size_t)n + 1, &out), -EBADMSG);
		assert_int_equal(sym_wire_get_want(packet, (size_t)n, &out), 0);
		assert_int_equal(out.dwo_id, in[i].dwo_id);
		assert_int_equal(out.nth, in[i].nth);
		assert_int_equal(!out.name, !in[i].name);
		assert_int_equal(!out.comp_dir, !in[i].comp_dir);
		if (in[i].name)
			assert_string_equal(out.name, in[i].name);
		if (in[i].comp_dir)
			assert_string_equal(out.comp_dir, in[i].comp_dir);
	}
}

static void want_too_long(void **state)
{
	_cleanup_free_ u8 *packet = calloc(1, SYM_WIRE_WANT_MAX + 8);
	char name[SYM_WIRE_WANT_MAX + 1];
	struct sym_split_want w = {.name = name}, out;

	(void)state;
	assert_non_null(packet);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(sym_wire_put_want(&w, packet), -ENAMETOOLONG);
	name[SYM_WIRE_WANT_MAX - sizeof(struct sym_wire_want) - 1] = '\0';
	assert_int_equal(sym_wire_put_want(&w, packet), SYM_WIRE_WANT_MAX);
	assert_int_equal(sym_wire_get_want(packet, SYM_WIRE_WANT_MAX, &out), 0);
	assert_int_equal(sym_wire_get_want(packet, SYM_WIRE_WANT_MAX + 1, &out), -EBADMSG);
}

static enum sym_answers_state tasks_state(const struct sym_wire_task *t, u32 n, u64 n_asked, u32 cut)
{
	_cleanup_answers_ struct sym_answers a;
	_cleanup_buf_ struct buf b = BUF_INIT;
	enum sym_answers_state state;

	assert_int_equal(sym_answers_init(&a, 0), 0);
	a.n_tasks = n_asked;
	put_opened(&b);
	put_string(&b, "app::run");
	for (u32 i = 0; i < n; i++)
		sym_wire_put(&b, SYM_WIRE_TASK, &t[i], (u32)sizeof(*t) - cut);
	put_done(&b);
	assert_true(sym_answers_feed(&a, b.data, b.len) <= 0);
	for (u32 i = 0; i < n && a.state == SYM_ANSWERS_DONE; i++) {
		struct sym_wire_task got = sym_answers_task(&a, i);

		assert_memory_equal(&got, &t[i], sizeof(got));
		assert_string_equal(sym_answers_string(&a, got.name), got.name ? "app::run" : "");
	}
	assert_int_equal(sym_answers_task(&a, n_asked).how, TASK_UNKNOWN);
	state = a.state;
	return state;
}

/* As many as were asked for, with names that were sent, of kinds that there are. */
static void tasks(void **state)
{
	const struct sym_wire_task good[] = {{.name = 1, .how = TASK_BY_V0, .kind = TASK_BLOCKING}, {.kind = TASK_WORKER}};
	const struct sym_wire_task bad[] = {
		{.name = 2, .how = TASK_BY_V0},
		{.name = 1, .how = TASK_UNKNOWN},
		{.how = TASK_BY_SYMBOLS},
		{.name = 1, .how = TASK_CANDIDATES + 1},
		{.name = 1, .how = TASK_BY_V0, .kind = TASK_KINDS},
	};

	(void)state;
	assert_int_equal(tasks_state(good, 2, 2, 0), SYM_ANSWERS_DONE);
	assert_int_equal(tasks_state(NULL, 0, 0, 0), SYM_ANSWERS_DONE);
	assert_int_equal(tasks_state(good, 2, 1, 0), SYM_ANSWERS_BROKEN);
	assert_int_equal(tasks_state(good, 2, 3, 0), SYM_ANSWERS_BROKEN);
	assert_int_equal(tasks_state(good, 1, 1, 4), SYM_ANSWERS_BROKEN);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(tasks_state(&bad[i], 1, 1, 0), SYM_ANSWERS_BROKEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_in_pieces),
		cmocka_unit_test(answers_cut_short),
		cmocka_unit_test(wrong_order),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(failure_phrase),
		cmocka_unit_test(no_flood),
		cmocka_unit_test(few_deep_lookups),
		cmocka_unit_test(wants),
		cmocka_unit_test(want_too_long),
		cmocka_unit_test(tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
