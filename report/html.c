/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * html.c: the frame of our HTML files (html.h).
 * Invariant: nothing of a capture reaches the file but through html_text() or JSON written for HTML. Type `application/json` is not a
 * script to a browser (HTML standard, "prepare the script element", step 12), so the policy does not have to allow it, and it cannot run.
 */
#include "report/html.h"

#include <string.h>

#include "base/utf8.h"

static const char *entity(u32 cp)
{
	switch (cp) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void html_text(FILE *out, const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n;) {
		u32 cp;
		size_t len = utf8_decode((const u8 *)s + i, n - i, &cp);

		if (!len || utf8_is_unsafe(cp))
			(void)fputs("\xef\xbf\xbd", out);
		else if (entity(cp))
			(void)fputs(entity(cp), out);
		else
			(void)fwrite(s + i, 1, len, out);
		i += len ? len : 1;
	}
}

static void put_hashes(FILE *out, const char *directive, const struct web_asset *const *assets)
{
	(void)fprintf(out, "; %s", directive);
	for (; *assets; assets++)
		(void)fprintf(out, " 'sha256-%s'", (*assets)->sha256);
}

void html_begin(FILE *out, const struct html_page *p)
{
	(void)fputs(
		"<!DOCTYPE html>\n"
		"<html lang=\"en\">\n"
		"<head>\n"
		"<meta charset=\"utf-8\">\n"
		"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action 'none'",
		out);
	put_hashes(out, "script-src", p->scripts);
	put_hashes(out, "style-src", p->styles);
	(void)fputs("\">\n"
		    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		    "<meta name=\"referrer\" content=\"no-referrer\">\n"
		    "<meta name=\"color-scheme\" content=\"light dark\">\n"
		    "<title>",
		    out);
	html_text(out, p->title);
	(void)fputs("</title>\n", out);
	for (const struct web_asset *const *a = p->styles; *a; a++)
		(void)fprintf(out, "<style>%s</style>\n", (*a)->text);
	(void)fputs("</head>\n<body>\n", out);
}

void html_end(FILE *out, const struct html_page *p)
{
	for (const struct web_asset *const *a = p->scripts; *a; a++)
		(void)fprintf(out, "<script>%s</script>\n", (*a)->text);
	(void)fputs("</body>\n</html>\n", out);
}

void html_data_begin(FILE *out, const char *id)
{
	(void)fprintf(out, "<script type=\"application/json\" id=\"%s\">", id);
}

void html_data_end(FILE *out)
{
	(void)fputs("</script>\n", out);
}
