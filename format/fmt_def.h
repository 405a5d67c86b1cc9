/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_def.h: every number of the capture file, and the one table of record kinds.
 *
 * The normative text is FORMAT.md; this header is its C form. Ids are append-only: a kind or a column is never renumbered or reused,
 * to retire one leave it where it is and write 0. FORMAT.md section 11 has the rules, frozen.txt what is there. Id 0 means "none" everywhere (string 0, thread 0, stack 0, ...).
 *
 * A record kind is a list of columns, each a u64. COLS(X) lists them once; from it come the C struct (one u64 member per
 * column, in order), the codec's schema (fmt_schema.c), `ascope dump` and the check that FORMAT.md names each of them.
 * A column's id in the file is its position here plus 1. A kind may carry one payload per row besides: bytes or a list of u64.
 */
#pragma once

#include <stdint.h>

#define FMT_VERSION	 1 /* frozen: FORMAT.md section 11 says what may be added; 0 was never released */
#define FMT_HEADER_SIZE	 64
#define FMT_BLOCK_HEADER 80
#define FMT_TRAILER_SIZE 32

/* PNG's trick: a high bit, CR LF, ^Z and LF, so that a text-mode transfer is noticed in the first 8 bytes. */
#define FMT_MAGIC                                                                                                                \
	"\x89"                                                                                                                   \
	"ASC\r\n\x1a\n"
#define FMT_BLOCK_MAGIC	  0x4b4c4241u /* "ABLK", little-endian */
#define FMT_TRAILER_MAGIC "ASCOPEND"

#ifndef FMT_CELLS /* fuzzers are built with less: clearing 64 MB for twenty bytes would be most of their time */
#define FMT_CELLS (1 << 23)
#endif
#ifndef FMT_CODED /* likewise */
#define FMT_CLASSES 4096
#define FMT_CODED   4096
#define FMT_PROBS   (1 << 16)
#endif

/* Limits: part of the format; a writer stays below them and a reader refuses above them. */
enum fmt_limit {
	FMT_MAX_PAYLOAD = 1 << 24,     /* bytes of a block's compressed payload */
	FMT_MAX_RAW = 1 << 24,	       /* bytes of a block's payload after decompression */
	FMT_MAX_ROWS = 1 << 18,	       /* rows of one kind in one block */
	FMT_MAX_SECTIONS = 64,	       /* kinds in one block */
	FMT_MAX_COLUMNS = 64,	       /* columns of one kind */
	FMT_MAX_CELLS = FMT_CELLS,     /* rows x columns of one block, payload elements included */
	FMT_MAX_STRING = 4096,	       /* bytes of a string */
	FMT_MAX_FRAMES = 512,	       /* frames of a stack */
	FMT_MAX_DICT = 256,	       /* distinct values of a dictionary-coded column in one block */
	FMT_MAX_CLASSES = FMT_CLASSES, /* classes of rows in one section */
	FMT_MAX_CODED = FMT_CODED,     /* rows of a section with columns of encodings 11-14 */
	FMT_MAX_PROBS = FMT_PROBS,     /* probabilities of a column of encodings 11-14 */
	FMT_MAX_ID = 1 << 28,	       /* the largest dictionary index (strings, threads, stacks, ...) */
	FMT_MAX_PERFMAP = 1 << 14,     /* pieces of one process's perf map: 64 MiB */
};

enum fmt_block_type {
	FMT_BLOCK_EVENTS = 1,	  /* events (kinds from 32 on) */
	FMT_BLOCK_FOOTER = 2,	  /* the index of blocks and totals; last; redundant */
	FMT_BLOCK_DICTIONARY = 3, /* dictionary entries and facts (kinds below 32) */
	FMT_BLOCK_COPY = 4,	  /* the payload of an earlier dictionary block again */
};

enum fmt_encoding {
	FMT_ENC_CONST = 1,  /* one varint: the value of every row */
	FMT_ENC_VARINT = 2, /* one varint a row */
	FMT_ENC_DELTA = 3,  /* one zigzag varint a row: difference to the row before, the first to 0 */
	FMT_ENC_DICT = 4,   /* varint n, n varints (values), then one byte a row (index) */
	FMT_ENC_BYTES = 5,  /* payload column: one varint a row (length), then all bytes */
	FMT_ENC_LIST = 6,   /* payload column: one varint a row (length), then zigzag varints: difference to the element before */
	FMT_ENC_SPLIT = 7,  /* one token byte a row (size of the value), then the bits below */
	FMT_ENC_SPLIT_DELTA = 8, /* the same of zigzag differences to the row before, the first to 0 */
	FMT_ENC_CLASS = 9,	 /* one byte: encoding e; then a value for each class of the class column, coded as e */
	FMT_ENC_GROUP =
		10, /* varint: column id g; then as 8, of differences to the latest row before with the same value in g; the first of each to 0 */
	FMT_ENC_SYMBOLS =
		11, /* varints: column id g of contexts, n, n values as differences; then a code of which of them a row has */
	FMT_ENC_STEPS =
		12, /* varints: column id g of groups, period; then a code of differences as in 10, to the nearest multiple of the period */
	FMT_ENC_LIKE =
		13, /* varint: column id g of contexts; then a code of whether a row is as the switches beside it say, and what else */
	FMT_ENC_COUNT = 14, /* a code of the differences to what the switches beside a row say of a counter */
};

enum fmt_payload {
	FMT_PAYLOAD_NONE,
	FMT_PAYLOAD_BYTES,
	FMT_PAYLOAD_LIST,
};

/* The payload column has this id in every kind that has one. */
#define FMT_PAYLOAD_COLUMN 255

/* And this one says which class each row belongs to: varint n, one byte a row, and where n > 256 one more byte a row, the upper. Not a column of any kind. */
#define FMT_CLASS_COLUMN 254

/*
 * What the kernel side could read of the Tokio context at one instant, the same columns wherever it is recorded.
 * Offsets and meaning: tokio/src/runtime/context.rs and scheduler/{multi_thread/worker,current_thread}.rs, 1.29 - 1.54.
 */
#define FMT_CTX_COLS(X)                                                                                                          \
	X(ctx_status, CLASS, "0 no runtime layout known, 1 read, 2 unread (the read faulted)")                                   \
	X(context, CLASS, "context entry: the scheduler context this thread has entered; 0 none")                                \
	X(budget, CLASS, "coop budget: 0 = None (outside a poll), else 1 + remaining units")                                     \
	X(runtime, CLASS, "EnterRuntime: 0 entered, 1 entered with block_in_place allowed, 2 not entered")                       \
	X(core, CLASS, "address of the worker's Core as read; 0 when it is handed off")                                          \
	X(park, CLASS, "multi-thread: 1 when core.park is present (not parking), 0 when taken; current-thread: always 0")        \
	X(task, GROUP, "current task id; 0 none")                                                                                \
	X(tick, GROUP, "Core.tick as read; its validity is the layout's tick_from_*")

/* dictionary entries */
#define FMT_STRING_COLS(X) X(idx, DELTA, "string index; the payload is its bytes")

#define FMT_META_COLS(X)                                                                                                         \
	X(key, VARINT, "string: name of a fact about host, options or recorder")                                                 \
	X(value, VARINT, "string: its value")

#define FMT_PROCESS_COLS(X)                                                                                                      \
	X(idx, DELTA, "process index")                                                                                           \
	X(pid, DELTA, "thread group id as the host sees it")                                                                     \
	X(ns_pid, DELTA, "the same in the process's own pid namespace; 0 unknown")                                               \
	X(ppid, VARINT, "parent's pid when first seen; 0 unknown")                                                               \
	X(start, DELTA, "start of the thread group, ns of CLOCK_MONOTONIC")                                                      \
	X(exec_gen, VARINT, "how many execs ascope saw before this image; 0 for the first")                                      \
	X(comm, VARINT, "string: command name when first seen")                                                                  \
	X(exe, VARINT, "string: path of the executable; 0 unknown")                                                              \
	X(cmdline, VARINT, "string: command line, arguments joined by blanks; 0 unless --store-cmdline")                         \
	X(cgroup, VARINT, "string: cgroup of the cpu controller, a path as the recorder sees it; 0 unknown")

#define FMT_THREAD_COLS(X)                                                                                                       \
	X(idx, DELTA, "thread index")                                                                                            \
	X(process, DICT, "process index")                                                                                        \
	X(tid, DELTA, "thread id as the host sees it")                                                                           \
	X(ns_tid, DELTA, "the same in its own pid namespace; 0 unknown")                                                         \
	X(start, DELTA, "start of the thread, ns of CLOCK_MONOTONIC; 0 unknown")                                                 \
	X(comm, VARINT, "string: name when first seen")

#define FMT_MODULE_COLS(X)                                                                                                       \
	X(idx, DELTA, "module index")                                                                                            \
	X(path, VARINT, "string: path in the target's mount namespace, or [vdso]")                                               \
	X(build_id, VARINT, "string: GNU build-id in hex; 0 none")                                                               \
	X(file_id, VARINT, "string: xxh3-64 of the first 4096 bytes and the size, in hex; given when there is no build-id")      \
	X(inode, VARINT, "inode number")                                                                                         \
	X(size, VARINT, "file size, bytes")                                                                                      \
	X(mtime, VARINT, "modification time, ns of CLOCK_REALTIME")

#define FMT_MAPPING_COLS(X)                                                                                                      \
	X(process, DICT, "process index")                                                                                        \
	X(module, DICT, "module index")                                                                                          \
	X(start, DELTA, "first address")                                                                                         \
	X(end, DELTA, "address behind the last")                                                                                 \
	X(file_off, VARINT, "file offset of start, bytes")                                                                       \
	X(ts, DELTA, "first seen, ns of CLOCK_MONOTONIC; 0 = since before the capture")

#define FMT_STACK_COLS(X)                                                                                                        \
	X(idx, DELTA, "stack index; the payload lists the addresses, innermost first")                                           \
	X(process, DICT, "process index; 0 for a kernel stack")                                                                  \
	X(kind, DICT, "1 user, absolute addresses; 2 kernel, addresses relative to _stext (as two's complement)")                \
	X(status, DICT, "how the walk ended: enum fmt_stack_status")                                                             \
	X(fp_from, DICT,                                                                                                         \
	  "1 + number of the first frame that was found by a frame pointer, a guess all frames further out rest on; 0 none")

#define FMT_LAYOUT_COLS(X)                                                                                                       \
	X(idx, DELTA, "layout index; a later entry of the same index replaces the earlier")                                      \
	X(process, DICT, "process index")                                                                                        \
	X(module, DICT, "module that holds this copy of tokio")                                                                  \
	X(row, VARINT, "string: name of the context layout row")                                                                 \
	X(version, VARINT, "string: tokio version found in the module's read-only data; 0 unknown")                              \
	X(found_by, VARINT, "string: how the context was found and validated")                                                   \
	X(tls_back, VARINT, "bytes from the context up to the thread pointer (fsbase); of a library: up to its block's end")     \
	X(threads, VARINT, "threads on which the live scan saw a runtime with this layout")                                      \
	X(ts, DELTA, "when this entry was made, ns of CLOCK_MONOTONIC")                                                          \
	X(tick_off_mt, VARINT, "offset of tick in the multi-thread Core, as used from ts on")                                    \
	X(tick_off_ct, VARINT, "offset of tick in the current-thread Core, as used from ts on")                                  \
	X(tick_from_mt, VARINT, "ticks of multi-thread records from this time on are proven; 0 not (yet) proven")                \
	X(tick_from_ct, VARINT, "the same for current-thread records")                                                           \
	X(no_task_ids, VARINT, "1: this Tokio (before 1.22) keeps no task id where it can be read; task is 0 in its records")    \
	X(void_until, VARINT, "ns of CLOCK_MONOTONIC: what earlier records say of its contexts is void; 0 nothing is")           \
	X(unfit, VARINT, "1: runtime context not usable: live threads contradict the layout, void_until is 2^64 - 1")

#define FMT_CONTEXT_COLS(X)                                                                                                      \
	X(idx, DELTA, "context index; a later entry of the same index replaces the earlier")                                     \
	X(thread, DELTA, "thread index")                                                                                         \
	X(layout, DICT, "layout index")                                                                                          \
	X(sched, DELTA, "address of the thread's scheduler::Context")                                                            \
	X(flavor, DICT, "0 unknown, 1 current_thread, 2 multi_thread")                                                           \
	X(handle, DICT, "address of the runtime's Handle (its identity within the process); 0 unknown")                          \
	X(worker, VARINT, "1 + worker index; 0 unknown or none")

#define FMT_KSYM_COLS(X)                                                                                                         \
	X(addr, DELTA, "kernel address relative to _stext (as in kernel stacks)")                                                \
	X(name, VARINT, "string: symbol that contains it")                                                                       \
	X(off, VARINT, "offset into the symbol, bytes")                                                                          \
	X(module, VARINT, "string: kernel module; 0 for the kernel itself")

#define FMT_TOTAL_COLS(X)                                                                                                        \
	X(key, VARINT, "string: name of a counter, e.g. lost.ring_full; the latest value counts")                                \
	X(value, VARINT, "its value")

#define FMT_PERFMAP_COLS(X)                                                                                                      \
	X(process, DICT, "process index")                                                                                        \
	X(chunk, DELTA,                                                                                                          \
	  "number of this piece, from 0; the payload is its bytes, pieces joined are /tmp/perf-PID.map as it was after the last event")

#define FMT_SYMBOL_COLS(X)                                                                                                       \
	X(idx, DELTA, "symbol index")                                                                                            \
	X(caller, DELTA, "symbol that this one is inlined into, in front of it; 0 none")                                         \
	X(function, VARINT, "string: demangled name")                                                                            \
	X(file, VARINT, "string: source file as the compiler was given it; 0 unknown")                                           \
	X(line, VARINT, "line of it; 0 unknown")

#define FMT_FRAME_COLS(X)                                                                                                        \
	X(module, DICT, "module index")                                                                                          \
	X(file_off, DELTA, "where the code is in that file, bytes")                                                              \
	X(is_return, DICT, "1: names the call in front of file_off, as of a return; 0: the instruction there")                   \
	X(symbol, DELTA, "innermost symbol there; a later row of the same place replaces the earlier")

#define FMT_MODULE_NAMES_COLS(X)                                                                                                 \
	X(module, DELTA, "module index; a later row of the same module replaces the earlier")                                    \
	X(source, DICT, "1 the symbol table, 2 debug info")                                                                      \
	X(lines, DICT, "1: source files and lines are known of most of its code")

#define FMT_VTABLE_COLS(X)                                                                                                       \
	X(idx, DELTA, "vtable index")                                                                                            \
	X(layout, DICT, "layout index of the copy of Tokio that it belongs to")                                                  \
	X(addr, VARINT, "address of the task's vtable (tokio::runtime::task::raw::Vtable)")                                      \
	X(poll, VARINT, "address of its function poll; 0 the vtable could not be read")                                          \
	X(schedule, VARINT, "address of its function schedule; 0 none (before 1.23)")                                            \
	X(dealloc, VARINT, "address of its function dealloc")                                                                    \
	X(shutdown, VARINT, "address of its function shutdown")                                                                  \
	X(id_off, VARINT, "offset of the task id in the task's cell, bytes; 0 unknown (before 1.23)")

#define FMT_LOCATION_COLS(X)                                                                                                     \
	X(idx, DELTA, "location index")                                                                                          \
	X(layout, DICT, "layout index of the copy of Tokio that was called")                                                     \
	X(addr, VARINT, "address of the core::panic::Location")                                                                  \
	X(file, VARINT, "string: source file as the compiler was given it; 0 it could not be read")                              \
	X(line, VARINT, "line of it")                                                                                            \
	X(column, VARINT, "column of it")

#define FMT_TASK_NAME_COLS(X)                                                                                                                       \
	X(vtable, DELTA, "vtable index")                                                                                                            \
	X(name, VARINT, "string: the future's type, wrappers peeled")                                                                               \
	X(how, DICT,                                                                                                                                \
	  "1 from a v0 symbol, 2 from debug info, 3 from symbols of what poll and dealloc call, 4 one of several candidates, which the name lists") \
	X(kind, DICT, "0 not known, 1 a future, 2 a closure of the blocking pool, 3 Tokio's own worker loop")

/* events; ts is always CLOCK_MONOTONIC ns */
#define FMT_SWITCH_OUT_COLS(X)                                                                                                   \
	X(ts, SPLIT_DELTA, "when the thread left the cpu")                                                                       \
	X(thread, CLASS, "thread index")                                                                                         \
	X(cpu, CLASS, "cpu")                                                                                                     \
	X(state, CLASS,                                                                                                          \
	  "prev_state bits of the kernel (0 running, 1 S, 2 D, ...; 0x8000 also for a thread frozen by its cgroup v2)")          \
	X(preempt, CLASS, "1 preempted: wins over state")                                                                        \
	FMT_CTX_COLS(X)                                                                                                          \
	X(syscall, CLASS, "1 + system call number; 0 when not in a system call")                                                 \
	X(arg0, CLASS, "first argument of the system call")                                                                      \
	X(iowait, CLASS, "1 when the kernel counts the wait as I/O")                                                             \
	X(fd_type, CLASS, "type of the file behind arg0 (or the first pollfd): S_IFMT >> 12; 0 none")                            \
	X(fd_family, CLASS, "address family + 1 when it is a socket; 0 none")                                                    \
	X(ustack, CLASS, "user stack; 0 not taken")                                                                              \
	X(kstack, CLASS, "kernel stack; 0 not taken")                                                                            \
	X(lifo, CLASS, "1 + whether the worker's LIFO slot holds a task; 0 not read")                                            \
	X(queued, CLASS, "1 + tasks in the worker's local run queue; 0 not read")                                                \
	X(inject, CLASS, "1 + tasks in the runtime's injection queue; 0 not read")

#define FMT_SWITCH_IN_COLS(X)                                                                                                    \
	X(ts, SPLIT_DELTA, "when the thread got a cpu")                                                                          \
	X(thread, CLASS, "thread index")                                                                                         \
	X(cpu, CLASS, "cpu")                                                                                                     \
	X(derived, CLASS, "1: not reported by the kernel; ts is from the run time at the next switch-out, cpu is that one")

#define FMT_WAKING_COLS(X)                                                                                                       \
	X(ts, SPLIT_DELTA, "when the thread was woken")                                                                          \
	X(thread, CLASS, "thread that is woken")                                                                                 \
	X(cpu, CLASS, "cpu on which the waker runs")                                                                             \
	X(source, CLASS, "0 the running thread, 1 an interrupt")                                                                 \
	X(waker, CLASS, "thread index of the waker; 0 when outside the target or an interrupt")                                  \
	X(waker_pid, CLASS, "pid of the waker; 0 an interrupt")                                                                  \
	X(waker_tid, CLASS, "tid of the waker; 0 an interrupt")                                                                  \
	X(waker_context, CLASS, "context entry of the waker; 0 none")                                                            \
	X(waker_budget, CLASS, "coop budget of the waker, as in the context columns")                                            \
	X(waker_task, GROUP, "task id of the waker; 0 none")                                                                     \
	X(state, CLASS, "state bits of the woken thread just before; 0 not known")                                               \
	X(waker_ustack, CLASS, "user stack of the waker; 0 not taken")                                                           \
	X(waker_kstack, CLASS, "kernel stack of the waker; 0 not taken")

#define FMT_SAMPLE_COLS(X)                                                                                                       \
	X(ts, SPLIT_DELTA, "when the cpu clock fired")                                                                           \
	X(thread, CLASS, "thread index")                                                                                         \
	X(cpu, CLASS, "cpu")                                                                                                     \
	X(mode, CLASS, "1 user code was interrupted, 2 kernel code")                                                             \
	FMT_CTX_COLS(X)                                                                                                          \
	X(ustack, CLASS, "user stack; 0 not taken")                                                                              \
	X(kstack, CLASS, "kernel stack; 0 not taken")                                                                            \
	X(pc, CLASS, "user address where it was interrupted, when ustack holds only its callers; 0: ustack begins with it")      \
	X(lifo, CLASS, "as in switch_out")                                                                                       \
	X(queued, CLASS, "as in switch_out")                                                                                     \
	X(inject, CLASS, "as in switch_out")

/* one per thread at attach; as a switch-out without its instant */
#define FMT_SNAPSHOT_COLS(X)                                                                                                     \
	X(ts, SPLIT_DELTA, "when the thread was looked at")                                                                      \
	X(thread, CLASS, "thread index")                                                                                         \
	X(on_cpu, CLASS, "1 running or runnable, 0 waiting")                                                                     \
	X(state, CLASS, "state bits of the kernel")                                                                              \
	X(coherent, CLASS, "1 when the thread did not run while its memory was read")                                            \
	FMT_CTX_COLS(X)                                                                                                          \
	X(syscall, CLASS, "1 + system call number; 0 when not in a system call")                                                 \
	X(arg0, CLASS, "first argument of the system call")                                                                      \
	X(iowait, CLASS, "1 when the kernel counts the wait as I/O")                                                             \
	X(fd_type, CLASS, "type of the file behind arg0: S_IFMT >> 12; 0 none")                                                  \
	X(fd_family, CLASS, "address family + 1 when it is a socket; 0 none")                                                    \
	X(ustack, CLASS, "user stack; 0 not taken")

#define FMT_THREAD_START_COLS(X)                                                                                                 \
	X(ts, DELTA, "when it was created")                                                                                      \
	X(thread, VARINT, "the new thread")                                                                                      \
	X(parent, VARINT, "the thread that created it; 0 unknown")

#define FMT_THREAD_EXIT_COLS(X)                                                                                                  \
	X(ts, DELTA, "when it exited")                                                                                           \
	X(thread, VARINT, "thread index")                                                                                        \
	X(group_dead, DICT, "1 when it was the last thread of its process")

#define FMT_RENAME_COLS(X)                                                                                                       \
	X(ts, DELTA, "when")                                                                                                     \
	X(thread, VARINT, "thread index")                                                                                        \
	X(comm, VARINT, "string: the new name")

#define FMT_EXEC_COLS(X)                                                                                                         \
	X(ts, DELTA, "when")                                                                                                     \
	X(thread, VARINT, "thread that called exec, as it was known before")                                                     \
	X(process, VARINT, "process entry of the new image")

#define FMT_CLOCK_COLS(X)                                                                                                        \
	X(ts, DELTA, "CLOCK_MONOTONIC, ns")                                                                                      \
	X(boottime, DELTA, "CLOCK_BOOTTIME at the same instant, ns")                                                             \
	X(realtime, DELTA, "CLOCK_REALTIME at the same instant, ns")

#define FMT_GAP_COLS(X)                                                                                                          \
	X(ts, DELTA, "events may be missing from here")                                                                          \
	X(ts_end, DELTA, "to here (exclusive)")                                                                                  \
	X(cause, VARINT, "string: cause, the suffix of a lost.* counter")                                                        \
	X(count, VARINT, "events lost")

#define FMT_MARKER_COLS(X)                                                                                                       \
	X(ts, SPLIT_DELTA, "when the function was entered")                                                                      \
	X(thread, CLASS, "thread index")                                                                                         \
	X(cpu, CLASS, "cpu")                                                                                                     \
	X(pair, CLASS, "number of the pair, from 1: meta option.marker.N is its text")                                           \
	X(end, CLASS, "0 START, 1 END")                                                                                          \
	X(task, GROUP, "current task id; 0 none or not known")                                                                   \
	X(ustack, CLASS, "of a START: user stack of the callers, innermost first; 0 not taken")

#define FMT_TASK_SPAWN_COLS(X)                                                                                                   \
	X(ts, SPLIT_DELTA, "when the task was made")                                                                             \
	X(thread, CLASS, "thread that spawned it")                                                                               \
	X(cpu, CLASS, "cpu")                                                                                                     \
	X(layout, CLASS, "layout index of the copy of Tokio")                                                                    \
	X(task, GROUP, "the new task's id; 0 not known")                                                                         \
	X(handle, CLASS, "address of its runtime's Handle, as in context; of a LocalSet's task of its Shared; 0 not known")      \
	X(vtable, CLASS, "its vtable index; 0 not known")                                                                        \
	X(by_task, VARINT, "current task id of the thread that spawned it; 0 none")                                              \
	X(budget, CLASS, "that thread's coop budget, as in switch_out: not 0 in a poll")                                         \
	X(runtime, CLASS, "that thread's EnterRuntime, as in switch_out")                                                        \
	X(entered, CLASS, "1 + whether that thread was in a scheduler context; 0 not read")                                      \
	X(location, CLASS, "location index of the call of spawn; 0 not known")                                                   \
	X(caller, CLASS, "return address into the function that called spawn; 0 not known")                                      \
	X(blocking, CLASS, "1: a closure for the blocking pool")

#define FMT_TASK_END_COLS(X)                                                                                                     \
	X(ts, SPLIT_DELTA, "when")                                                                                               \
	X(thread, CLASS, "thread on which it ended")                                                                             \
	X(layout, CLASS, "layout index of the copy of Tokio")                                                                    \
	X(task, GROUP, "task id; 0 not known")                                                                                   \
	X(how, CLASS, "1 its future is done, 2 it was cancelled, 3 its memory is freed")

#define FMT_TASK_ALIVE_COLS(X)                                                                                                   \
	X(ts, SPLIT_DELTA, "when it was found in its runtime's list of tasks")                                                   \
	X(layout, CLASS, "layout index of the copy of Tokio")                                                                    \
	X(handle, CLASS, "address of the runtime's Handle, as in context")                                                       \
	X(task, DELTA, "task id")                                                                                                \
	X(vtable, CLASS, "its vtable index; 0 not known")                                                                        \
	X(state, CLASS, "Tokio's state word: 1 running, 2 complete, 4 notified, 32 cancelled; upper bits are counts")

#define FMT_TASK_POLL_COLS(X)                                                                                                    \
	X(ts, SPLIT_DELTA, "when")                                                                                               \
	X(thread, CLASS, "thread index")                                                                                         \
	X(layout, CLASS, "layout index of the copy of Tokio")                                                                    \
	X(task, GROUP, "task id; 0 not known")                                                                                   \
	X(end, CLASS, "0 a poll begins, 1 the thread's latest one has ended")                                                    \
	X(vtable, CLASS, "of a begin: vtable index; 0 not known")

#define FMT_TASK_WAKE_COLS(X)                                                                                                    \
	X(ts, SPLIT_DELTA, "when the task was put into a run queue")                                                             \
	X(thread, CLASS, "thread that woke it")                                                                                  \
	X(layout, CLASS, "layout index of the copy of Tokio")                                                                    \
	X(task, GROUP, "id of the task that was woken")                                                                          \
	X(vtable, CLASS, "its vtable index; 0 not known")                                                                        \
	X(by_task, VARINT, "current task id of the thread that woke it; 0 none")                                                 \
	X(budget, CLASS, "that thread's coop budget, as in switch_out: not 0 in a poll")                                         \
	X(runtime, CLASS, "that thread's EnterRuntime, as in switch_out")                                                        \
	X(entered, CLASS, "1 + whether that thread was in a scheduler context; 0 not read")

#define FMT_PROBE_COLS(X)                                                                                                        \
	X(ts, DELTA, "when")                                                                                                     \
	X(process, VARINT, "process index; 0 all")                                                                               \
	X(module, VARINT, "module index")                                                                                        \
	X(group, VARINT, "string: what is probed: spawn, bind, blocking, complete, dealloc, poll, poll_end, schedule")           \
	X(action, VARINT, "1 attached, 2 not possible, 3 taken away by the governor, 4 still there at the end")                  \
	X(places, VARINT, "places in the code")                                                                                  \
	X(hits, VARINT, "how often they were hit so far")                                                                        \
	X(cost, VARINT, "estimated cpu time of that, ns")                                                                        \
	X(why, VARINT, "string: reason; 0 none")

#define FMT_THROTTLE_COLS(X)                                                                                                     \
	X(ts, DELTA, "between a reading of the cgroup's cpu.stat here")                                                          \
	X(ts_end, DELTA, "and the next one here")                                                                                \
	X(cgroup, VARINT, "string: path of the cgroup, as in process")                                                           \
	X(periods, VARINT, "periods in which it ran out of quota, counted between the two")                                      \
	X(throttled, VARINT, "time that its run queues were stopped, summed over cpus, ns; 0 when not known")

/* footer */
#define FMT_INDEX_COLS(X)                                                                                                        \
	X(offset, DELTA, "file offset of a block's header")                                                                      \
	X(type, DICT, "its type")                                                                                                \
	X(seq, DELTA, "its sequence number")                                                                                     \
	X(ts_first, DELTA, "its first timestamp; 0 when it has no events")                                                       \
	X(ts_last, DELTA, "its last timestamp")                                                                                  \
	X(rows, VARINT, "records in it")                                                                                         \
	X(copy_of, DELTA, "of a copy: sequence number of the block it repeats; else 0")

#define FMT_KIND_TOTAL_COLS(X)                                                                                                   \
	X(kind, DELTA, "record kind")                                                                                            \
	X(rows, VARINT, "its records in the file, copies not counted")                                                           \
	X(encoded, VARINT, "bytes of their sections before compression")                                                         \
	X(stored, VARINT, "bytes in the file: each block's, header included, shared out by the bytes before compression")

/* X(NAME, lower-case name, id, payload, is it an event) */
#define FMT_KINDS(X)                                                                                                             \
	X(STRING, string, 1, BYTES, 0)                                                                                           \
	X(META, meta, 2, NONE, 0)                                                                                                \
	X(PROCESS, process, 3, NONE, 0)                                                                                          \
	X(THREAD, thread, 4, NONE, 0)                                                                                            \
	X(MODULE, module, 5, NONE, 0)                                                                                            \
	X(MAPPING, mapping, 6, NONE, 0)                                                                                          \
	X(STACK, stack, 7, LIST, 0)                                                                                              \
	X(LAYOUT, layout, 8, NONE, 0)                                                                                            \
	X(CONTEXT, context, 9, NONE, 0)                                                                                          \
	X(KSYM, ksym, 10, NONE, 0)                                                                                               \
	X(TOTAL, total, 11, NONE, 0)                                                                                             \
	X(PERFMAP, perfmap, 12, BYTES, 0)                                                                                        \
	X(SYMBOL, symbol, 13, NONE, 0)                                                                                           \
	X(FRAME, frame, 14, NONE, 0)                                                                                             \
	X(MODULE_NAMES, module_names, 15, NONE, 0)                                                                               \
	X(VTABLE, vtable, 16, NONE, 0)                                                                                           \
	X(LOCATION, location, 17, NONE, 0)                                                                                       \
	X(TASK_NAME, task_name, 18, NONE, 0)                                                                                     \
	X(SWITCH_OUT, switch_out, 32, NONE, 1)                                                                                   \
	X(SWITCH_IN, switch_in, 33, NONE, 1)                                                                                     \
	X(WAKING, waking, 34, NONE, 1)                                                                                           \
	X(SAMPLE, sample, 35, NONE, 1)                                                                                           \
	X(SNAPSHOT, snapshot, 36, NONE, 1)                                                                                       \
	X(THREAD_START, thread_start, 37, NONE, 1)                                                                               \
	X(THREAD_EXIT, thread_exit, 38, NONE, 1)                                                                                 \
	X(RENAME, rename, 39, NONE, 1)                                                                                           \
	X(EXEC, exec, 40, NONE, 1)                                                                                               \
	X(CLOCK, clock, 41, NONE, 1)                                                                                             \
	X(GAP, gap, 42, NONE, 1)                                                                                                 \
	X(MARKER, marker, 43, NONE, 1)                                                                                           \
	X(THROTTLE, throttle, 44, NONE, 1)                                                                                       \
	X(TASK_SPAWN, task_spawn, 45, NONE, 1)                                                                                   \
	X(TASK_END, task_end, 46, NONE, 1)                                                                                       \
	X(TASK_ALIVE, task_alive, 47, NONE, 1)                                                                                   \
	X(TASK_POLL, task_poll, 48, NONE, 1)                                                                                     \
	X(TASK_WAKE, task_wake, 49, NONE, 1)                                                                                     \
	X(PROBE, probe, 50, NONE, 1)                                                                                             \
	X(INDEX, index, 64, NONE, 0)                                                                                             \
	X(KIND_TOTAL, kind_total, 65, NONE, 0)

#define FMT_KIND_ENUM(NAME, name, id, payload, event) FMT_##NAME = (id),
enum fmt_kind_id { FMT_KINDS(FMT_KIND_ENUM) };
#undef FMT_KIND_ENUM

/* struct fmt_switch_out { uint64_t ts; uint64_t thread; ... }; one for each kind, members in column order. */
#define FMT_MEMBER(col, enc, doc) uint64_t col;
#define FMT_KIND_STRUCT(NAME, name, id, payload, event)                                                                          \
	struct fmt_##name {                                                                                                      \
		FMT_##NAME##_COLS(FMT_MEMBER)                                                                                    \
	};
FMT_KINDS(FMT_KIND_STRUCT)
#undef FMT_KIND_STRUCT
#undef FMT_MEMBER

enum fmt_ctx_status { FMT_CTX_NO_LAYOUT = 0, FMT_CTX_READ = 1, FMT_CTX_UNREAD = 2 };
enum fmt_flavor { FMT_FLAVOR_UNKNOWN = 0, FMT_FLAVOR_CURRENT_THREAD = 1, FMT_FLAVOR_MULTI_THREAD = 2 };
enum fmt_task_end_how { FMT_TASK_DONE = 1, FMT_TASK_CANCELLED = 2, FMT_TASK_FREED = 3 };
enum fmt_probe_action { FMT_PROBE_ATTACHED = 1, FMT_PROBE_IMPOSSIBLE = 2, FMT_PROBE_TAKEN = 3, FMT_PROBE_KEPT = 4 };
enum fmt_stack_kind { FMT_STACK_USER = 1, FMT_STACK_KERNEL = 2 };
/* X(NAME, lower-case name, value, how the walk ended) */
#define FMT_STACK_STATUSES(X)                                                                                                    \
	X(WHOLE, whole, 1, "reached the outermost frame")                                                                        \
	X(TRUNCATED, truncated, 2, "at the limit of frames")                                                                     \
	X(NO_TABLE, no_table, 3, "at an address without unwind information, and frame pointers did not help")                    \
	X(FAULT, fault, 4, "stack memory could not be read")                                                                     \
	X(FP, frame_pointers, 5, "walked by frame pointers alone: whether it is whole is unknown")                               \
	X(NO_MAPPING, no_mapping, 6, "at an address in no known executable mapping")                                             \
	X(BAD_RULE, bad_rule, 7, "at unwind information that cannot be followed")                                                \
	X(BROKEN, broken, 8, "the stack pointer did not move towards the stack's base")                                          \
	X(STARTING, starting, 9, "as no mapping or fault, within 100 ms of fork or exec: while the program was being loaded")

#define FMT_STACK_STATUS_ENUM(NAME, name, value, doc) FMT_STACK_##NAME = (value),
enum fmt_stack_status { FMT_STACK_STATUSES(FMT_STACK_STATUS_ENUM) FMT_STACK_STATUS_END };
#undef FMT_STACK_STATUS_ENUM
