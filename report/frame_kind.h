/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame_kind.h: whose code a frame is, and how its function is spelled for people and scripts. Pure functions of text; no I/O.
 * Used when symbols are loaded (symbol.kind, poll.function), by reports that fold runtime frames, and by sym_dwarf.c for paths.
 */
#pragma once

#include "base/base.h"

struct library_table;

/* The names of frame_kind_name() are those of schema.sql, table symbol. */
enum frame_kind {
	FRAME_USER,    /* the program's own Rust code, its workspace included */
	FRAME_LIBRARY, /* a dependency: registry, git checkout or vendored; C code inside such a crate too */
	FRAME_STD,     /* std, core, alloc and what they bring */
	FRAME_RUNTIME, /* tokio, mio, and the glue between runtime and future: futures-util, tracing's instrument, ... */
	FRAME_NATIVE,  /* libc, ld.so, vdso, other C and C++ code */
	FRAME_JIT, /* made while the program ran, and named by its perf map: scripts, wasm; never the answer of frame_kind_of() */
	FRAME_KERNEL,
};

const char *frame_kind_name(enum frame_kind kind); /* "user", "library", "std", "runtime", "native", "jit", "kernel" */
bool frame_kind_of_name(const char *name, enum frame_kind *ret); /* false, and *ret as it was: none of these, or NULL */

/*
 * Decides by, in this order: module (kernel), source file when it is known, crate of the implementing item. Any argument may be
 * NULL or "".
 *
 * function:    demangled
 * file:        as struct sym_frame has it: dependencies absolute
 * module_path: "[kernel...]", "[vdso]", or a path; its base name tells the program's own crate when there is no source file
 *
 * Of `<orders::Store as core::fmt::Debug>::fmt` the crate is orders; of `core::ptr::drop_in_place<orders::Store>` it is core.
 * Without a source file a crate is a library when the table knows it (NULL: none is), else it counts as the user's. What the
 * table's `code` rules say goes before all of this, but for the kernel and system libraries.
 */
enum frame_kind frame_kind_of(const struct library_table *t, const char *function, const char *file, const char *module_path);

/*
 * The path of the item that a function belongs to, within its name: of `<orders::Store as core::fmt::Debug>::fmt` from orders::
 * on, of `<T as core::fmt::Debug>::fmt` from core:: on; the whole name when it begins with a path, or with none at all.
 */
const char *frame_own_path(const char *function);

/* The crate of a frame into buf, cut at n - 1 bytes: of a dependency's source file, else of the function's own path; "" unknown. */
char *frame_crate(const char *function, const char *file, char *buf, size_t n);

/*
 * Tokio's frame that polls a task: what is further in is the task's, what is further out runs it (a user's `main` that entered a
 * current_thread runtime, too, and it is not to blame). By source file or, without one (NULL), by name; tokio 1.29 - 1.54. Code of
 * tokio beside it, as a JoinHandle's poll or a waker, is not it: a task calls that itself.
 */
bool frame_is_task_poll(const char *function, const char *file);

enum frame_path_origin {
	FRAME_PATH_OTHER, /* the program's own, or not known */
	FRAME_PATH_LIBRARY,
	FRAME_PATH_STD,
};

/* Where a source file comes from, by its path alone. */
enum frame_path_origin frame_path_origin(const char *file);

/* Crate of a dependency's source file as its items spell it ("futures_util") into buf, cut at n - 1 bytes; "" when it is none's. */
char *frame_path_crate(const char *file, char *buf, size_t n);

#define FRAME_NAME_LEN 512 /* enough for every name people read; longer ones are cut */

/*
 * The path of a function as view `blocking` has it in column `function`. Into buf, cut at n - 1 bytes at a character's boundary;
 * returns buf.
 *
 *   - Generic arguments behind a path segment are dropped: `orders::sum::<alloc::string::String>` and `orders::sum<...>` become
 *     `orders::sum`. A segment that is itself a type stays whole: `<orders::Store as core::fmt::Debug>::fmt`.
 *   - Closures and async bodies are segments in braces. Where the name says which it is, it is normalised and loses its number:
 *     `{async_fn#0}`, `{async_fn_env#0}` -> `{async fn}`, `{async_block#2}` -> `{async block}`, `{closure#1}` -> `{closure}`.
 *     `{{closure}}` (legacy names without debug info) may be any of them and stays as it is.
 *
 * Rule for scripts: split at `::`, drop the parts that begin with `{`; the last part left is the function's name. It is empty
 * only for a body whose function the debug info does not name.
 */
char *frame_function_path(const char *function, char *buf, size_t n);

/* That last part: `orders::api::handle_upload::{async_fn#0}` -> `handle_upload`. When nothing is left, the last part as it is. */
char *frame_function_name(const char *function, char *buf, size_t n);

/*
 * Short form for reports: name and the braces behind it, with its type in front when it is a method.
 *   `orders::api::handle_upload::{async_fn#0}` -> `handle_upload::{async fn}`
 *   `<orders::Store as orders::Get>::get` -> `Store::get`
 */
char *frame_display_function(const char *function, char *buf, size_t n);
