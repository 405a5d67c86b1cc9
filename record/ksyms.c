/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ksyms.c: "ADDRESS TYPE NAME [MODULE]" a line, unsorted across modules; kallsyms(8). */
#include "record/ksyms.h"

#include <errno.h>
#include <string.h>

static int compare_addrs(const void *a, const void *b)
{
	const struct ksym_found *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

struct ksym {
	u64 addr;
	const char *name;
	const char *module; /* "" the kernel */
};

/* Cuts one line into its fields in place; false when it is no text symbol. */
static bool parse_line(char *line, struct ksym *ret)
{
	char *type, *name, *module;
	u64 addr;

	line[strcspn(line, "\n")] = 0;
	addr = strtoull(line, &type, 16);
	if (!addr || type[0] != ' ' || !type[1] || !strchr("tTwW", type[1]) || type[2] != ' ')
		return false;
	name = type + 3;
	module = strchr(name, '\t');
	if (module) {
		*module++ = 0;
		module += *module == '[';
		module[strcspn(module, "]")] = 0;
	}
	*ret = (struct ksym){.addr = addr, .name = name, .module = module ? module : name + strlen(name)};
	return true;
}

/* The first entry at or above addr. */
static u32 first_from(const struct ksym_found *list, u32 n, u64 addr)
{
	u32 lo = 0, hi = n;

	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (list[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void put_found(struct ksym_found *to, const struct ksym *s)
{
	to->symbol = s->addr;
	(void)snprintf(to->name, sizeof(to->name), "%s", s->name);
	(void)snprintf(to->module, sizeof(to->module), "%s", s->module);
}

/* A symbol is offered to the first address above it only: those that follow get theirs from the one before. */
void ksyms_find(FILE *f, struct ksym_found *list, u32 n)
{
	char line[512];
	struct ksym s;

	qsort(list, n, sizeof(*list), compare_addrs);
	while (fgets(line, sizeof(line), f)) {
		u32 i;

		if (!parse_line(line, &s))
			continue;
		i = first_from(list, n, s.addr);
		if (i < n && s.addr >= list[i].symbol)
			put_found(&list[i], &s);
	}
	for (u32 i = 1; i < n; i++) {
		const struct ksym_found *below = &list[i - 1];

		if (below->symbol > list[i].symbol)
			put_found(&list[i], &(struct ksym){below->symbol, below->name, below->module});
	}
}

/* Calls for no table: the lines are searched as they come. */
struct ksyms_facts ksyms_probe(void)
{
	struct ksyms_facts facts = {0};
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		const char *name = strlen(line) > 19 && line[16] == ' ' && line[18] == ' ' ? line + 19 : "";

		if (!strcmp(name, "_stext\n"))
			facts.stext = strtoull(line, NULL, 16);
		else if (!strcmp(name, "__preempt_count\n") || !strcmp(name, "pcpu_hot\n"))
			facts.has_preempt_count = true;
	}
	if (f)
		(void)fclose(f);
	return facts;
}

static int put_names(struct catalog *cat, struct fmt_writer *w, const struct ksym_found *list, u32 n, u64 stext)
{
	int err = 0;

	for (u32 i = 0; i < n && !err; i++) {
		struct fmt_ksym row = {.addr = list[i].addr - stext, .off = list[i].addr - list[i].symbol};

		if (!list[i].symbol || row.off >= 1 << 20)
			continue;
		row.name = catalog_string(cat, list[i].name);
		row.module = catalog_string(cat, list[i].module);
		err = fmt_writer_row(w, FMT_KSYM, &row, NULL, 0);
	}
	return err;
}

int ksyms_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, u64 stext)
{
	const u64 *addrs;
	u32 n = catalog_kernel_addrs(cat, &addrs);
	_cleanup_free_ struct ksym_found *list = calloc(n ? n : 1, sizeof(*list));
	int fd = n ? proc_open_kallsyms(fs) : -ENOENT;
	FILE *f;

	if (fd == -EACCES || fd == -EPERM || fd == -ENOENT) /* hidden */
		return 0;
	if (fd < 0)
		return fd;
	f = fdopen(fd, "r");
	if (!f || !list) {
		(void)(f ? fclose(f) : close(fd));
		return -ENOMEM;
	}
	for (u32 i = 0; i < n; i++)
		list[i].addr = addrs[i];
	ksyms_find(f, list, n);
	(void)fclose(f);
	return put_names(cat, w, list, n, stext);
}
