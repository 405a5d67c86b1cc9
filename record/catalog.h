/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * catalog.h: the processes, threads, modules, mappings, stacks and strings that a recording has met. Gives each an index and writes its
 * dictionary row the first time, so that the rows of events can refer to it.
 *
 * Functions that need /proc tolerate that the process is gone: the entry is then made from what the event said.
 */
#pragma once

#include "base/base.h"
#include "bpf/ascope_wire.h"
#include "format/fmt_def.h"
#include "format/fmt_writer.h"
#include "record/calibrate.h"
#include "record/layout.h"
#include "record/procfs.h"
#include "record/tls_slot.h"
#include "record/tokio_elf.h"
#include "record/unwind_tables.h"

struct catalog;
struct cat_tasks;
struct task_catalog_counts;

/* An executable mapping of a process, as it was when its maps were read last. */
struct cat_mapping {
	u64 start, end, file_off;
	u64 dev, inode; /* as in /proc/PID/maps; 0 without a file */
	u32 module;	/* 0: anonymous memory */
	bool again;	/* it was mapped anew since: it may be another file */
};

/* Something was mapped. */
struct cat_news {
	u64 start, end, ts;
};

/* When to look at a process's maps; record/mappings.c. */
struct cat_scan {
	bool wanted;
	bool lost_anon;	 /* anonymous memory was unmapped since map_gen changed */
	u64 ended, cost; /* the last scan's end, CLOCK_MONOTONIC ns, and its cpu time without building tables */
	u64 interval;	 /* to the next, ns */
};

/*
 * A copy of Tokio in a program image: in the main program or in a library (copies.h). Filled by record/discover.c. elf and slot belong to the module.
 */
struct cat_copy {
	u32 module; /* index */
	bool is_library;
	bool is_mapped; /* false: it was unloaded */
	u64 bias;	/* of a library: what to add to an address of its file */
	const struct tokio_elf *elf;
	const struct tls_slot *slot; /* of a library */
	const char *refused;	     /* why it cannot be read; NULL */
	struct wire_layout wire;     /* as the kernel side has it, if it is among the first WIRE_COPIES valid ones */
	u32 layout_idx;		     /* layout entry; 0 none yet */
	bool is_probed;		     /* task_probes.h has done what it can */
	u64 spawn_from, spawn_until; /* calls of spawn are watched (task_probes.h); spawn_from 0: not; CLOCK_MONOTONIC ns */
	u32 by_shape;	   /* groups of probes whose places say no name: what is hit there is looked at (convert_task.c) */
	bool is_confirmed; /* seen on live threads, not only by symbol */
	bool is_partial;   /* before Tokio 1.29: a place is not known yet, looking goes on */
	bool is_ambiguous; /* the last scan found several equally good places */
	u32 candidates;	   /* readings of memory that had the most votes then */
	u32 threads;	   /* on which it was seen */
	u64 tls_back;	   /* as in the layout entry */
	u64 layout_ts;
	const char *row, *found_by;
	const struct layout_row *reading; /* of wire, or the one that was given up; NULL none yet */
	s32 at[LAYOUT_PLACES];		  /* of it, as in struct layout_result */
	struct layout_witness witness;	  /* of it */
	u64 void_until; /* CLOCK_MONOTONIC ns; what its context said before is void; UINT64_MAX: all it will say; 0 nothing is */
	bool is_unfit;	/* live threads contradict every reading that was tried: none is used */
	u64 tick_from_mt, tick_from_ct;
	struct calibrate *cal_mt, *cal_ct; /* NULL until the first bytes of a Core; large, and most processes have none */
	u64 next_look_ns;		   /* when to look for a runtime again */
	u64 look_interval_ns;
};

#define MAX_COPIES 64 /* that are remembered; WIRE_COPIES of them are read */

/* A program image of a target process. Owned by the catalog. */
struct cat_process {
	const struct procfs *fs; /* borrowed */
	u32 idx, pid;
	u32 ns_pid; /* inside its pid namespace; 0 unknown */
	u32 exec_gen;
	bool gone;
	u64 cpu_ns;		  /* gone: what it used, by its exit record; 0 unknown */
	struct fmt_process row;	  /* as written last */
	u32 exe_module;		  /* module index of the main program; 0 unknown */
	struct cat_mapping *maps; /* sorted, without overlaps */
	u32 n_maps;
	struct cat_news *news; /* since the last scan */
	u32 n_news;
	struct cat_scan scan;
	struct unwind_slice slice; /* its mappings as the kernel side's walker uses them */
	u32 map_gen;		   /* changes when an address may mean other code; never 0 after the first scan */
	bool unpublished;	   /* slice or map_gen changed since the kernel side was told */
	bool met_unknown;	   /* a stack ended at an address in no known mapping since then */
	/* Tokio, filled by record/discover.c */
	bool is_discovered;	      /* its maps were read once, and a runtime was looked for */
	bool is_rescanned;	      /* its maps were read since copies of Tokio were looked for in them */
	bool met_exe;		      /* the main program was looked at, and is among the copies if it may hold Tokio */
	struct module_tokio *own_exe; /* when the module of the main program is not known; NULL */
	bool is_stripped;	      /* the main program has no symbol table */
	struct cat_copy *copies;      /* stay when the process is gone: late records name them */
	u32 n_copies;
	struct cat_tasks *tasks;  /* of task_catalog.c; NULL until a task is met */
	struct task_lists *lists; /* its runtimes, record/task_lists.c; NULL none met */
	int mem_fd;		  /* /proc/PID/mem, opened at first use; -1 */
};

struct catalog_opts {
	bool store_cmdline;
	u64 stext;		     /* kernel addresses are stored relative to it */
	const struct procfs *fs;     /* how /proc is opened; borrowed; NULL: with this process's rights */
	struct unwind_arrays unwind; /* where unwind tables go; all zero: none are built */
};

/* The writer is borrowed and must outlive the catalog. */
int catalog_new(struct fmt_writer *w, const struct catalog_opts *o, struct catalog **ret) __must_check;
struct catalog *catalog_free(struct catalog *c); /* accepts NULL, returns NULL */

/* First write error seen while adding entries; 0 when none. */
int catalog_err(const struct catalog *c) __must_check;

/* Writes a row without payload; the first error sticks in catalog_err(). For record/modules.c and mappings.c. */
void catalog_row(struct catalog *c, enum fmt_kind_id kind, const void *row);

u32 catalog_string(struct catalog *c, const char *s);		   /* 0 for "" and when out of memory (sticky in catalog_err) */
const char *catalog_string_text(const struct catalog *c, u32 idx); /* "" for 0; valid until catalog_free() */

/* The current image of a process; made on first sight. NULL when out of memory. */
struct cat_process *catalog_process(struct catalog *c, u32 pid);
/* A process with this pid was forked: an older one of the same pid is gone, and is another. NULL when out of memory. */
struct cat_process *catalog_process_start(struct catalog *c, u32 pid);
/* The process execed: a new image under the same pid. */
struct cat_process *catalog_process_exec(struct catalog *c, u32 pid);
/* It has ended, having used so much cpu time (0 unknown). */
void catalog_process_exit(struct catalog *c, u32 pid, u64 cpu_ns);
/* The process's cgroup, when it is another than was written last: its row is written again. */
void catalog_process_cgroup(struct catalog *c, struct cat_process *p, const char *path);

/* Calls fn for every image, alive or not; for every one that is alive. */
void catalog_each_image(struct catalog *c, void (*fn)(void *ctx, struct cat_process *p), void *ctx);
void catalog_each_process(struct catalog *c, void (*fn)(void *ctx, struct cat_process *p), void *ctx);
u32 catalog_alive(const struct catalog *c); /* processes that have not exited */

/* The thread has another name (a string index) from now on: its entry is written again, for readers that do not see all events. */
void catalog_thread_rename(struct catalog *c, u32 idx, u32 comm);

/* The thread's index; made on first sight. comm and start (ns of CLOCK_MONOTONIC, 0 unknown) are used for a new one, comm may be NULL. */
u32 catalog_thread(struct catalog *c, u32 pid, u32 tid, const char *comm, u64 start);
/* A new thread with this tid began: one of the same tid is another thread, unless it began at that instant (start is not 0). */
u32 catalog_thread_start(struct catalog *c, u32 pid, u32 tid, const char *comm, u64 start);
/* Only if it is known already; 0 otherwise. */
u32 catalog_thread_known(const struct catalog *c, u32 pid, u32 tid);

/*
 * Reads /proc/PID/maps: adds rows of new modules and mappings, stamped ts (0 = since before the capture), builds unwind tables of new modules and writes the
 * process's slice. Sets exe_module; `unpublished` when the kernel side is to be told. With ts 0 all tables are built at once; else, when they take long, the
 * rest when catalog_scan_due() says so. 0; -ESRCH and others of /proc: the process is gone; -ENOMEM, which sticks.
 */
int catalog_scan_maps(struct catalog *c, struct cat_process *p, u64 ts) __must_check;
bool catalog_scan_due(const struct cat_process *p,
		      u64 now); /* there is something to look for, and it is time. CLOCK_MONOTONIC ns */

/* A process has mapped something executable (mmap_watch.h). False: it is not known, or gone. */
bool catalog_mapped(struct catalog *c, u32 pid, u64 addr, u64 len, u64 ts);
/* Such news were lost: all are to be looked at. */
void catalog_mapped_unknown(struct catalog *c);

/* The unwind tables as the kernel side sees them, for a walk from outside; NULL when none are built. */
const struct unwind_arrays *catalog_unwind(const struct catalog *c);
struct unwind_tables_counts catalog_unwind_counts(const struct catalog *c); /* zeros then */

struct cat_stack {
	const u64 *frames;
	u32 n;
	u32 fp_from; /* 1 + first frame found by a frame pointer; 0 none */
	enum fmt_stack_status status;
};

/*
 * Adds a stack under a hash of the caller's (unique over the recording). Addresses innermost first; user addresses in no known mapping
 * make the catalog look at the maps again. Returns its index, 0 on failure.
 */
u32 catalog_stack(struct catalog *c, u64 hash, struct cat_process *p, const struct cat_stack *s, u64 ts);
u32 catalog_stack_known(const struct catalog *c, u64 hash); /* 0 when it never arrived */

/* The context entry for a thread inside a scheduler context; 0 when x has none. */
u32 catalog_context(struct catalog *c, struct cat_process *p, u32 thread, const struct wire_ctx *x);
/* Only if it is known already, of which sched and gen of x are enough; 0 otherwise. */
u32 catalog_context_known(const struct catalog *c, u32 thread, const struct wire_ctx *x);

/* Writes (again) the layout entry of a copy of Tokio. */
void catalog_layout(struct catalog *c, const struct cat_process *p, struct cat_copy *copy, u64 ts);
/* What task_catalog.c counts. */
struct task_catalog_counts *catalog_task_counts(struct catalog *c);
/* A number for a layout, which no other has in this recording; never 0. */
u32 catalog_next_gen(struct catalog *c);

/* What is known of the file behind a module; NULL: it is no ELF file, or could not be opened. */
struct module_tokio;
struct module_tokio *catalog_module_tokio(const struct catalog *c, u32 module);

/* Kernel addresses met in kernel stacks, for naming after the last event: count, and the i-th. */
u32 catalog_kernel_addrs(const struct catalog *c, const u64 **ret);

/* The process's memory: fd of /proc/PID/mem, or -errno. Borrowed. */
int cat_process_mem(struct cat_process *p);
/* A layout_read_fn over it; ctx is the struct cat_process. */
int cat_process_read(void *ctx, u64 addr, void *buf, size_t n);
