/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_runtime.h: layout and context entries of a capture -> runtimes, and what intervals.c wants to know of a context. A
 * runtime is a (layout, Handle): the layout says process and copy of tokio.
 */
#pragma once

#include "report/db.h"
#include "report/load_dict.h"

struct runtime_info {
	u64 id; /* runtime_id, from 1 */
	u64 layout, handle, process, flavor;
	u64 tick_from;	  /* 0 not proven */
	u64 n_workers;	  /* by the highest index of one, from the start; 0 none is known */
	u64 workers;	  /* distinct ones, when the table is written */
	bool is_there;	  /* when the table is written: a record that counts names it */
	u64 unclassified; /* polls on the cpu that the unproven tick left open */
};

struct runtime_set {
	const struct load_dict *d; /* borrowed */
	struct runtime_info *runtimes;
	u32 n_runtimes, cap_runtimes;
	struct context_info *contexts; /* by slot of d->contexts */
	u64 *first_seen;	       /* likewise: first event with that context; 0 none */
	u64 *void_until;	       /* by slot of d->processes: of records that name no context; NULL nothing is void */
};

int runtime_set_init(struct runtime_set *rs, const struct load_dict *d) __must_check;
void runtime_set_release(struct runtime_set *rs);

/* What is known of a context entry that an event of ts names; NULL for 0 and unknown ones. */
const struct context_info *runtime_set_context(struct runtime_set *rs, u64 idx, u64 ts);

/*
 * Whether what a record of ts says of the runtime is void, because the recorder found later that it had read the wrong places: by the layout of the context that it
 * names, or, naming none (0), by any of its process (an index of the file).
 */
bool runtime_set_is_void(const struct runtime_set *rs, u64 context, u64 process, u64 ts);

/* Writes tables runtime and worker; ts_start (ns) stands for contexts that no event named. */
int runtime_set_write(struct runtime_set *rs, sqlite3 *db, u64 ts_start) __must_check;
