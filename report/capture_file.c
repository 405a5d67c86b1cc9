/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* capture_file.c: see capture_file.h. */
#include "report/capture_file.h"

#include <errno.h>
#include <string.h>

#include "base/human.h"
#include "base/log.h"

static void explain(const char *path, int err, const struct fmt_diag *diag)
{
	switch (-err) {
	case ENOENT:
		log_error("%s: there is no such file; captures are made by `ascope record -o FILE`", path);
		return;
	case EACCES:
		log_error(
			"%s: permission denied; captures belong to the user who recorded them: chown it, or read it as that user",
			path);
		return;
	case EISDIR:
	case ESPIPE:
		log_error("%s: not a regular file; save the capture to a file first, then name that", path);
		return;
	case EBADMSG:
		log_error("%s: cannot be read as a capture: %s (offset %llu); captures are made by `ascope record -o FILE`", path,
			  diag->what, (unsigned long long)diag->off);
		return;
	case ENODATA:
		log_error(
			"%s: ends inside the file header (%d bytes): cut short, or nothing was recorded; copy or record it again",
			path, FMT_HEADER_SIZE);
		return;
	case EPROTONOSUPPORT:
		log_error("%s: written by a newer ascope (%s); read it with that version or a later one", path, diag->what);
		return;
	case EPROTO:
		log_error("%s: was written by an ascope from before its first release (%s); no release reads it: record again",
			  path, diag->what);
		return;
	default:
		log_error("%s: cannot be read: %s", path, strerror(-err));
	}
}

int capture_file_open(const char *path, struct fmt_reader **ret)
{
	struct fmt_diag diag = {0};
	int err = fmt_reader_open(path, ret, &diag);

	if (err)
		explain(path, err, &diag);
	return err;
}

int capture_strings_init(struct capture_strings *s)
{
	*s = (struct capture_strings){.texts = strtab_new(), .by_idx = U64MAP_INIT};
	return s->texts ? 0 : -ENOMEM;
}

void capture_strings_release(struct capture_strings *s)
{
	s->texts = strtab_free(s->texts);
	u64map_release(&s->by_idx);
}

static int add_string(struct capture_strings *s, const struct fmt_section *sec, u32 row)
{
	u32 from = sec->payload_off[row], to = sec->payload_off[row + 1], text;
	u64 idx = sec->cols[0][row];

	if (capture_strings_has(s, idx))
		return 0;
	if (strtab_intern(s->texts, to > from ? (const char *)sec->bytes + from : "", to - from, &text, NULL))
		return -ENOMEM;
	return u64map_put(&s->by_idx, idx, text);
}

int capture_strings_add(struct capture_strings *s, const struct fmt_block *b)
{
	for (u32 i = 0; i < b->n_sections; i++) {
		const struct fmt_section *sec = &b->sections[i];

		for (u32 row = 0; sec->kind_id == FMT_STRING && row < sec->rows; row++) {
			int err = add_string(s, sec, row);

			if (err)
				return err;
		}
	}
	return 0;
}

bool capture_strings_has(const struct capture_strings *s, u64 idx)
{
	u64 text;

	return u64map_get(&s->by_idx, idx, &text);
}

const char *capture_strings_get(const struct capture_strings *s, u64 idx, size_t *ret_len)
{
	u64 text = 0;

	if (!idx || !u64map_get(&s->by_idx, idx, &text))
		text = 0;
	return strtab_get(s->texts, (u32)text, ret_len);
}

char *capture_text_clean(const char *s, size_t n)
{
	_cleanup_free_ char *copy = malloc(n + 1);

	if (!copy)
		return NULL;
	for (size_t i = 0; i < n; i++)
		copy[i] = s[i] ? s[i] : '\1'; /* human_sanitize ends at a NUL */
	copy[n] = '\0';
	return human_sanitize(copy);
}
