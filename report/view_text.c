/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_text.c: see view_text.h. */
#include "report/view_text.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/human.h"
#include "base/parse.h"

u32 text_terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize ws;
	struct stat st;
	u64 width = 0;

	if (!columns || parse_u64(columns, &width) < 0)
		width = 0;
	if (!width && ioctl(fd, TIOCGWINSZ, &ws) == 0)
		width = ws.ws_col;
	/* A pipe to a pager ends on the terminal that the messages go to. */
	if (!width && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0)
		width = ws.ws_col;
	if (!width)
		width = TEXT_PIPE_WIDTH;
	return (u32)max_u64(TEXT_MIN_WIDTH, min_u64(width, TEXT_MAX_WIDTH));
}

bool text_terminal_color(int fd)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fd) && !(no && *no);
}

bool text_terminal_utf8(int fd)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	if (!isatty(fd))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *locale = getenv(names[i]);

		if (locale && *locale)
			return strcasestr(locale, "utf-8") || strcasestr(locale, "utf8");
	}
	return false;
}

int text_clean(const char *s, const char *fallback, char **ret)
{
	char *p = human_sanitize(s ? s : fallback);

	if (!p)
		return -ENOMEM;
	*ret = p;
	return 0;
}

const char *text_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Behind `marker` and the one path component that follows it (a hash, an index); NULL when the path has no such part. */
static const char *skip_past(const char *path, const char *marker)
{
	const char *p = strstr(path, marker);

	if (!p)
		return NULL;
	p = strchr(p + strlen(marker), '/');
	return p && p[1] ? p + 1 : NULL;
}

static const char *skip_known_prefix(const char *path)
{
	static const char rust_src[] = "/lib/rustlib/src/rust/";
	const char *p;

	if (strncmp(path, "/rustc/", 7) == 0) {
		p = skip_past(path, "/rustc/");
		return p ? p : path;
	}
	p = strstr(path, rust_src);
	if (p)
		return p + sizeof(rust_src) - 1;
	p = skip_past(path, "/registry/src/");
	return p ? p : path;
}

int text_place(const char *file, u64 line, bool full, char **ret)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_free_ char *clean = NULL;
	char *s;
	int r;

	if (!file)
		file = "";
	r = text_clean(full ? file : skip_known_prefix(file), "", &clean);
	if (r < 0)
		return r;
	buf_puts(&b, clean);
	if (line && *clean)
		buf_printf(&b, ":%llu", (unsigned long long)line);
	s = buf_take_str(&b);
	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

static u32 width_n(const char *s, size_t n)
{
	u32 width = 0;

	for (size_t i = 0; i < n; i++)
		if (((u8)s[i] & 0xc0) != 0x80)
			width++;
	return width;
}

u32 text_width(const char *s)
{
	return width_n(s, strlen(s));
}

static void pad(FILE *out, u32 have, u32 want)
{
	if (have < want)
		(void)fprintf(out, "%*s", (int)(want - have), "");
}

void text_left(FILE *out, const char *s, u32 width)
{
	(void)fputs(s, out);
	pad(out, text_width(s), width);
}

void text_right(FILE *out, const char *s, u32 width)
{
	pad(out, text_width(s), width);
	(void)fputs(s, out);
}

void text_left_or_line(FILE *out, const char *s, u32 indent, u32 width)
{
	(void)fprintf(out, "%*s", (int)indent, "");
	if (text_width(s) + indent > width)
		(void)fprintf(out, "%s\n%*s", s, (int)width, "");
	else
		text_left(out, s, width - indent);
}

void text_left_elided(FILE *out, const char *s, u32 width)
{
	u32 have = text_width(s);

	if (have <= width || width < 3) {
		text_left(out, s, width);
		return;
	}
	for (u32 drop = have - width + 2; drop; s++)
		if (((u8)s[1] & 0xc0) != 0x80)
			drop--;
	(void)fprintf(out, "..%s", s);
}

void text_color(FILE *out, bool on, enum text_color c, const char *s)
{
	static const char *const codes[] = {
		[TEXT_PLAIN] = "0",   [TEXT_BOLD] = "1",   [TEXT_GREEN] = "32",
		[TEXT_YELLOW] = "33", [TEXT_RED] = "1;31", [TEXT_DIM] = "2",
	};

	if (on && c != TEXT_PLAIN)
		(void)fprintf(out, "\x1b[%sm%s\x1b[0m", codes[c], s);
	else
		(void)fputs(s, out);
}

void text_wrap_begin(struct text_wrap *w, FILE *out, u32 width, u32 indent, u32 col, const char *sep)
{
	*w = (struct text_wrap){.out = out, .width = width, .indent = indent, .col = col, .sep = sep, .first = true};
}

static void wrap_word_n(struct text_wrap *w, const char *word, size_t n)
{
	u32 need = width_n(word, n), sep = text_width(w->sep);

	if (!w->first && w->col + sep + need > w->width) {
		/* A comma ends the old line; a " < " begins the new one. */
		bool ends = *w->sep && *w->sep != ' ';

		(void)fprintf(w->out, "%.*s\n%*s", ends ? (int)strcspn(w->sep, " ") : 0, w->sep, (int)w->indent, "");
		w->col = w->indent;
		if (!ends) {
			/* Without the blanks it starts with. */
			const char *lead = w->sep + strspn(w->sep, " ");

			(void)fputs(lead, w->out);
			w->col += text_width(lead);
		}
	} else if (!w->first) {
		(void)fputs(w->sep, w->out);
		w->col += sep;
	}
	(void)fwrite(word, 1, n, w->out);
	w->col += need;
	w->first = false;
}

void text_wrap_word(struct text_wrap *w, const char *word)
{
	wrap_word_n(w, word, strlen(word));
}

void text_paragraph(FILE *out, u32 width, u32 indent, u32 col, const char *text)
{
	struct text_wrap w;

	text_wrap_begin(&w, out, width, indent, col, " ");
	while (*text) {
		size_t n = strcspn(text, " ");

		wrap_word_n(&w, text, n);
		text += n + (text[n] == ' ');
	}
	(void)fputc('\n', out);
}

static struct text_dur __printf_fmt(1, 2) dur_text(const char *fmt, ...)
{
	struct text_dur d = {{0}};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d.s, sizeof(d.s), fmt, ap);
	va_end(ap);
	return d;
}

struct text_dur text_threshold(u64 ns)
{
	static const struct {
		u64 ns;
		const char *unit;
	} units[] = {{NSEC_PER_SEC, "s"}, {NSEC_PER_MSEC, "ms"}, {NSEC_PER_USEC, "us"}, {1, "ns"}};

	if (!ns)
		return dur_text("0 ms");
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (ns % units[i].ns == 0)
			return dur_text("%llu %s", (unsigned long long)(ns / units[i].ns), units[i].unit);
	return dur_text("%llu ns", (unsigned long long)ns);
}

struct text_dur text_exact(u64 ns)
{
	if (ns >= NSEC_PER_SEC)
		return dur_text("%llu.%03u s", (unsigned long long)(ns / NSEC_PER_SEC), (u32)(ns % NSEC_PER_SEC / NSEC_PER_MSEC));
	if (ns >= NSEC_PER_MSEC)
		return dur_text("%u.%02u ms", (u32)(ns / NSEC_PER_MSEC), (u32)(ns % NSEC_PER_MSEC / 10000));
	return dur_text("%u.%01u us", (u32)(ns / 1000), (u32)(ns % 1000 / 100));
}

struct text_dur text_offset(u64 ns)
{
	return dur_text("%llu.%03u s", (unsigned long long)(ns / NSEC_PER_SEC), (u32)(ns % NSEC_PER_SEC / NSEC_PER_MSEC));
}

struct text_dur text_percent(u64 part, u64 whole)
{
	return dur_text("%.1f %%", whole ? 100.0 * (double)part / (double)whole : 0.0);
}
