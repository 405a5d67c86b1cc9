/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ksyms.c: "ADDRESS TYPE NAME [MODULE]" a line, unsorted across modules; kallsyms(8). */
#include "record/ksyms.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fdio.h"

struct ksym {
	u64 addr;
	char *name;
	char *module; /* "" the kernel */
};

struct ksym_table {
	struct buf text;
	struct ksym *syms;
	size_t n;
};

static int compare_syms(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Cuts one line into its fields in place; false when it is no text symbol. */
static bool parse_line(char *line, struct ksym *ret)
{
	char *type, *name, *module;
	u64 addr = strtoull(line, &type, 16);

	if (!addr || type[0] != ' ' || !strchr("tTwW", type[1]) || type[2] != ' ')
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

static int table_read(struct ksym_table *t, const struct procfs *fs)
{
	_cleanup_close_ int fd = proc_open_kallsyms(fs);
	size_t cap = 0;
	char *line, *next;
	int err = fd < 0 ? fd : fd_read_all(fd, &t->text, (size_t)256 << 20);

	buf_putc(&t->text, 0);
	if (!err)
		err = buf_err(&t->text);
	if (err)
		return err;
	for (line = (char *)t->text.data; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (t->n == cap) {
			struct ksym *syms = reallocarray(t->syms, cap ? cap * 2 : 1 << 16, sizeof(*syms));

			if (!syms)
				return -ENOMEM;
			t->syms = syms;
			cap = cap ? cap * 2 : 1 << 16;
		}
		t->n += parse_line(line, &t->syms[t->n]);
	}
	qsort(t->syms, t->n, sizeof(*t->syms), compare_syms);
	return 0;
}

static void table_release(struct ksym_table *t)
{
	buf_release(&t->text);
	free(t->syms);
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

/* The last symbol at or below addr. */
static const struct ksym *find(const struct ksym_table *t, u64 addr)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->syms[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &t->syms[lo - 1] : NULL;
}

int ksyms_copy(struct catalog *cat, const struct procfs *fs, struct fmt_writer *w, u64 stext)
{
	struct ksym_table t = {.n = 0};
	const u64 *addrs;
	u32 n = catalog_kernel_addrs(cat, &addrs);
	int err = n ? table_read(&t, fs) : 0;

	if (err == -EACCES || err == -EPERM || err == -ENOENT) /* hidden */
		err = 0;
	for (u32 i = 0; i < n && !err; i++) {
		const struct ksym *s = find(&t, addrs[i]);
		struct fmt_ksym row = {.addr = addrs[i] - stext};

		if (!s || addrs[i] - s->addr >= 1 << 20)
			continue;
		row.off = addrs[i] - s->addr;
		row.name = catalog_string(cat, s->name);
		row.module = catalog_string(cat, s->module);
		err = fmt_writer_row(w, FMT_KSYM, &row, NULL, 0);
	}
	table_release(&t);
	return err;
}
