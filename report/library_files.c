/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* library_files.c: where the rules of a library_table (library_table.h) come from: files, the configuration, the built-in text. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/log.h"
#include "report/libraries_txt.h"
#include "report/library_rules.h"

static int add_builtin(struct library_table *t)
{
	struct library_error why;
	int err;

	t->adds_builtin = true;
	err = library_table_add(t, libraries_txt, strlen(libraries_txt), &why);
	BUG_ON(err == -EINVAL); /* our own text; the tests read it */
	return err ? err : library_table_finish(t);
}

int library_table_builtin(struct library_table **ret)
{
	_cleanup_library_table_ struct library_table *t = NULL;
	int err = library_table_new(&t);

	if (!err)
		err = add_builtin(t);
	if (!err)
		*ret = TAKE_PTR(t);
	return err;
}

static int add_file(struct library_table *t, const char *path)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct library_error why;
	int err = file_read_all(path, &b, LIBRARY_MAX_TEXT);

	if (err == -EFBIG)
		log_error("%s: the file is larger than 1 MiB", path);
	else if (err)
		log_error("cannot read the libraries of %s: %s", path, strerror(-err));
	if (err)
		return err;
	err = library_table_add(t, (const char *)b.data, b.len, &why);
	if (err == -EINVAL)
		log_error("%s:%u: %s (ascope-libraries(5))", path, why.line, why.what);
	return err;
}

/* The user's configuration file; NULL when none can be. 0 or -ENOMEM. */
static int config_path(char **ret)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	_cleanup_buf_ struct buf b = BUF_INIT;

	*ret = NULL;
	if (xdg && xdg[0] == '/')
		buf_printf(&b, "%s/ascope/libraries", xdg);
	else if (home && home[0] == '/')
		buf_printf(&b, "%s/.config/ascope/libraries", home);
	else
		return 0;
	*ret = buf_take_str(&b);
	return *ret ? 0 : -ENOMEM;
}

/* It is read without being asked for, so only when it is there and a plain file. */
static int add_config(struct library_table *t)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	int err = config_path(&path);

	if (err || !path || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return err;
	return add_file(t, path);
}

int library_table_load(const char *const *files, u32 n_files, struct library_table **ret)
{
	_cleanup_library_table_ struct library_table *t = NULL;
	int err = library_table_new(&t);

	for (u32 i = 0; i < n_files && !err; i++)
		err = add_file(t, files[i]);
	if (!err)
		err = add_config(t);
	if (!err)
		err = add_builtin(t);
	if (!err)
		*ret = TAKE_PTR(t);
	else if (err == -ENOMEM)
		log_error("%s", strerror(ENOMEM));
	return err;
}
