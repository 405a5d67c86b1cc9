/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* view_advice.c: see view_advice.h. Called for each block that a report spells out. */
#include "report/view_advice.h"

#include <string.h>

struct advice {
	const char *class_name; /* NULL: any class */
	const char *prefix;	/* of a function's path; NULL: the class alone */
	const char *text;
};

#define SPAWN_BLOCKING "tokio::task::spawn_blocking"

/* First match wins; rules of a class with a prefix stand before the rule of the class. */
static const struct advice table[] = {
	/* What the library says, whatever it waited for. */
	{NULL, "reqwest::blocking", "reqwest::Client (async) in place of reqwest::blocking"},
	{NULL, "ureq", "an async client (reqwest, hyper), or " SPAWN_BLOCKING " around ureq"},
	{NULL, "rusqlite", SPAWN_BLOCKING " around rusqlite, or tokio-rusqlite, sqlx"},
	{NULL, "diesel", "diesel-async, or " SPAWN_BLOCKING " around the query"},
	{NULL, "postgres", "tokio-postgres in place of postgres"},
	{NULL, "mysql", "mysql_async in place of mysql"},
	{NULL, "redis", "redis::aio in place of the synchronous connection"},
	{NULL, "r2d2", "bb8 or deadpool in place of r2d2"},
	{NULL, "rocksdb", SPAWN_BLOCKING " around rocksdb"},
	{NULL, "sled", SPAWN_BLOCKING " around sled"},
	{NULL, "futures_executor", ".await in place of futures::executor::block_on, which parks the worker"},
	{NULL, "futures::executor", ".await in place of futures::executor::block_on, which parks the worker"},
	{NULL, "pollster", ".await in place of pollster::block_on, which parks the worker"},

	{"sleep", NULL, "tokio::time::sleep(..).await, or " SPAWN_BLOCKING " for code that must block"},

	{"lock", "std::sync::mpsc", "tokio::sync::mpsc, or " SPAWN_BLOCKING " around recv()"},
	{"lock", "crossbeam_channel", "tokio::sync::mpsc, or " SPAWN_BLOCKING " around recv()"},
	{"lock", "flume", "recv_async().await in place of recv()"},
	{"lock", "std::thread::join", SPAWN_BLOCKING " and its JoinHandle in place of thread::spawn and join()"},
	{"lock", "std::thread::JoinHandle", SPAWN_BLOCKING " and its JoinHandle in place of thread::spawn and join()"},
	{"lock", "std::thread::scoped", SPAWN_BLOCKING " around thread::scope"},
	{"lock", "rayon", "tokio::sync::oneshot from rayon::spawn in place of waiting for rayon in the task"},
	{"lock", "std::sync::barrier", "tokio::sync::Barrier"},
	{"lock", "std::sync::Barrier", "tokio::sync::Barrier"},
	{"lock", "std::sync::condvar", "tokio::sync::Notify or a channel in place of Condvar"},
	{"lock", "std::sync::Condvar", "tokio::sync::Notify or a channel in place of Condvar"},
	{"lock", "std::sync::poison::condvar", "tokio::sync::Notify or a channel in place of Condvar"},
	{"lock", "std::sync::rwlock", "hold the lock for less, or tokio::sync::RwLock when it is held across .await"},
	{"lock", "std::sync::poison::rwlock", "hold the lock for less, or tokio::sync::RwLock when it is held across .await"},
	{"lock", "std::sys::sync::rwlock", "hold the lock for less, or tokio::sync::RwLock when it is held across .await"},
	{"lock", "std::sync::once", "initialise before the runtime starts, or tokio::sync::OnceCell"},
	{"lock", "std::sync::lazy_lock", "initialise before the runtime starts, or tokio::sync::OnceCell"},
	{"lock", "std::io::stdio", "write logs through a channel (tracing-appender non_blocking): stdout's lock is shared"},
	{"lock", NULL,
	 "hold the lock for less (no I/O or long work under it), shard it, or tokio::sync::Mutex when it is held across .await"},

	{"disk", "log4rs", "a non-blocking log writer (tracing-appender non_blocking)"},
	{"disk", "tracing_subscriber", "tracing_appender::non_blocking as the writer"},
	{"disk", "tracing_appender::rolling", "tracing_appender::non_blocking around the rolling writer"},
	{"disk", NULL, "tokio::fs, or " SPAWN_BLOCKING " around the whole file operation"},

	{"network", "std::net", "tokio::net in place of std::net"},
	{"network", "native_tls", "tokio-native-tls in place of native_tls on a blocking stream"},
	{"network", "rustls::stream", "tokio-rustls in place of rustls::Stream"},
	{"network", NULL, "an async client, tokio::net, or " SPAWN_BLOCKING " around the blocking one"},

	{"dns", NULL, "tokio::net::lookup_host(..).await, or an async resolver (hickory-resolver)"},

	{"pipe", "std::io::stdio", "tokio::io::stdout, or " SPAWN_BLOCKING ": the reader of this pipe or terminal is slow"},
	{"pipe", "std::process", "tokio::process::Command"},
	{"pipe", NULL, "tokio::net::unix::pipe or tokio::process, or " SPAWN_BLOCKING " around it"},

	{"process", NULL, "tokio::process::Command, whose output() and wait() are async"},

	{"fault", "memmap2",
	 "read ahead (madvise WILLNEED) or " SPAWN_BLOCKING ": a cold mapping is read from disk by touching it"},
	{"fault", NULL,
	 "touch or lock the memory before it is needed, or " SPAWN_BLOCKING ": the page came from disk or was swapped out"},

	{"cpu", "bcrypt", SPAWN_BLOCKING " around the hash: it is slow by design"},
	{"cpu", "argon2", SPAWN_BLOCKING " around the hash: it is slow by design"},
	{"cpu", "scrypt", SPAWN_BLOCKING " around the hash: it is slow by design"},
	{"cpu", "pbkdf2", SPAWN_BLOCKING " around the hash: it is slow by design"},
	{"cpu", "rsa", SPAWN_BLOCKING " around the key operation"},
	{"cpu", "serde_json", SPAWN_BLOCKING " for large documents, or parse them in pieces"},
	{"cpu", "serde", SPAWN_BLOCKING " for large documents, or parse them in pieces"},
	{"cpu", "regex", "compile the Regex once, bound the input, or " SPAWN_BLOCKING},
	{"cpu", "regex_automata", "compile the Regex once, bound the input, or " SPAWN_BLOCKING},
	{"cpu", "flate2", "async-compression, or " SPAWN_BLOCKING " around it"},
	{"cpu", "miniz_oxide", "async-compression, or " SPAWN_BLOCKING " around it"},
	{"cpu", "zstd", "async-compression, or " SPAWN_BLOCKING " around it"},
	{"cpu", "brotli", "async-compression, or " SPAWN_BLOCKING " around it"},
	{"cpu", "image", SPAWN_BLOCKING " or rayon around the image work"},
	{"cpu", NULL, "spawn_blocking or rayon for the work, or tokio::task::yield_now().await between its pieces"},
};

bool advice_function_matches(const char *function, const char *prefix)
{
	size_t n = strlen(prefix);

	for (const char *p = function; (p = strstr(p, prefix)) != NULL; p++) {
		/*
		 * At a path's beginning, and at the end of one of its parts: "postgres" is neither in "tokio_postgres" nor in
		 * "my::postgres".
		 */
		bool begins = p == function || strchr("<&( ,*", p[-1]);
		bool ends = p[n] == '\0' || strchr(":<>, ", p[n]);

		if (begins && ends)
			return true;
	}
	return false;
}

/* "std::sync::mpsc" is "sync/mpsc" behind "/library/std/src/"; std's modules are files or directories. */
static bool is_std_file(const char *file, const char *module)
{
	static const char root[] = "library/std/src/";
	const char *p = strstr(file, root);

	if (!p)
		return false;
	for (p += sizeof(root) - 1; *module; module++) {
		if (module[0] == ':' && module[1] == ':') {
			if (*p++ != '/')
				return false;
			module++;
		} else if (*p++ != *module) {
			return false;
		}
	}
	return *p == '/' || *p == '.';
}

/* "bcrypt" of ".../registry/src/INDEX/bcrypt-0.15.1/src/lib.rs"; a crate's name may have '-' where its path has '_'. */
static bool is_crate_file(const char *file, const char *crate)
{
	const char *p = strstr(file, "/registry/src/");

	p = p ? strchr(p + strlen("/registry/src/"), '/') : NULL;
	if (!p)
		return false;
	for (p++; *crate; crate++, p++)
		if (*p != *crate && !(*p == '-' && *crate == '_'))
			return false;
	return p[0] == '-' && p[1] >= '0' && p[1] <= '9';
}

bool advice_file_matches(const char *file, const char *prefix)
{
	if (strncmp(prefix, "std::", 5) == 0)
		return is_std_file(file, prefix + 5);
	return !strstr(prefix, "::") && is_crate_file(file, prefix);
}

static const struct advice *rule_for_frame(const char *class_name, const struct vframe *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct advice *a = &table[i];

		if (!a->prefix || (a->class_name && strcmp(a->class_name, class_name) != 0))
			continue;
		if (f->function && advice_function_matches(f->function, a->prefix))
			return a;
		if (f->file && advice_file_matches(f->file, a->prefix))
			return a;
	}
	return NULL;
}

const char *advice_for(const char *class_name, const struct vstack *user)
{
	bool user_seen = false;

	for (u32 i = 0; i < user->n; i++) {
		const struct vframe *f = &user->frames[i];
		const struct advice *a;

		user_seen |= f->has_kind && f->kind == FRAME_USER;
		/* Outside the user's code and its runtime begins what made the thread: nothing there was called by this task. */
		if (f->has_kind && f->kind == FRAME_RUNTIME && user_seen)
			break;
		a = rule_for_frame(class_name, f);
		if (a)
			return a->text;
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!table[i].prefix && strcmp(table[i].class_name, class_name) == 0)
			return table[i].text;
	return NULL;
}
