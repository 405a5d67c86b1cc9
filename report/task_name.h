/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * task_name.h: types of tasks as text: which type a function of Tokio's is for, and how people write it. Pure functions on demangled names, whoever demangled
 * them: legacy Rust (`a::f<u8>::{{closure}}`), v0 (`a::f::<u8>::{closure#0}`), debug info (`a::f::{async_fn_env#0}<u8>`). Called by task_find.c and sym_task.c.
 *
 * Facts of Tokio: 1.20 - 1.54, runtime/task/{raw,harness,core}.rs, runtime/blocking/task.rs.
 */
#pragma once

#include "base/base.h"

#define TASK_NAME_MAX 512 /* bytes of a name, its NUL counted */

enum task_kind { TASK_FUTURE, TASK_BLOCKING, TASK_WORKER, TASK_KINDS };

const char *task_kind_name(enum task_kind kind); /* "future", "blocking", "worker" */

/* A piece of a longer text. */
struct task_text {
	const char *s;
	size_t n;
};

/* T of `core::ptr::drop_in_place<[Box<]tokio::runtime::task::core::{Cell, CoreStage, Stage}<T...>>`. */
bool task_name_of_drop(const char *function, struct task_text *ret);

/* T of `tokio::runtime::task::raw::poll::<T, S>` and other functions that the linker's name or the debug info (`poll<T, S>`) gives with their types. */
bool task_name_of_generic(const char *function, struct task_text *ret);

/* The type that a function's body is of: of `a::f::{{closure}}` all of it, of `<A as core::future::future::Future>::poll` A. */
bool task_name_of_body(const char *function, struct task_text *ret);

/* Is this a wrapper's or Tokio's own function, behind whose calls a task's own body is still to be looked for? */
bool task_name_is_way(const char *function);

/* Whose type it is: T without what only wraps it: Pin, Box, Instrumented, BlockingTask, ...; *ret_kind by what was taken off. */
struct task_text task_name_peel(struct task_text type, enum task_kind *ret_kind);

/*
 * What two spellings of one type have in common: no type arguments, bodies without kind or number. NUL-terminated, cut at n - 1 bytes. {impl#0} stays, as
 * nothing else is known of it there.
 */
void task_name_key(struct task_text type, char *buf, size_t n);

/*
 * As people write it: `orders::api::handle_upload` of an async fn, `orders::serve::{async block}`, `orders::run::{closure}`, `orders::Actor<Mail>`; type arguments
 * in short. type is peeled. NUL-terminated, cut between characters.
 */
void task_name_print(struct task_text type, enum task_kind kind, char *buf, size_t n);
