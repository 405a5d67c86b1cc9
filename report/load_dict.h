/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load_dict.h: the first pass over a capture: its dictionaries in memory, where events may be missing, and what it covers.
 * Ids come from an untrusted file: they are looked up in maps, never used as array indices; a reference that leads nowhere is
 * a NULL here.
 */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/u64map.h"
#include "format/fmt_reader.h"
#include "report/intervals.h"

#define LOAD_TS_MAX (1ULL << 62) /* ns; later times are no times */

/* Rows of one size, found by the file's index. */
struct dict_table {
	u8 *rows;
	size_t row_size;
	u32 n;
	size_t cap;
	struct u64map by_idx; /* file index -> slot */
};

struct dict_string {
	u64 off, len; /* in load_dict.text */
};

struct dict_thread {
	struct fmt_thread f;
	u64 ts_start, ts_end; /* 0 unknown */
	u64 name;	      /* string: latest */
	u64 name_ts;	      /* when it got it */
	/* of the second pass: what struct thread_run says at its end */
	u64 ts_last_in, ts_last_out, last_cpu;
};

struct dict_process {
	struct fmt_process f;
	u64 ts_end; /* 0 outlived the recording */
};

struct dict_stack {
	u64 idx, process, kind, status;
	u64 fp_from;  /* 1 + first frame found by a frame pointer; 0 none */
	u64 off, len; /* in load_dict.addrs, elements */
	/* of stack_store (load_stack.h) */
	u64 ts;		    /* of its first use */
	bool is_used;	    /* ts, top_is_return and end are known */
	bool top_is_return; /* its innermost address is looked up like a return address */
	bool is_counted;    /* told in stack_ends.stacks */
	bool is_listed, is_kept;
	u32 end, weight;  /* position of how it ended; as stack.weight */
	u32 kernel_marks; /* of a kernel stack: what its functions say */
	bool has_marks;	  /* kernel_marks is known */
};

/* A piece of a process's perf map. */
struct dict_piece {
	u64 process, chunk;
	u64 off, len; /* in load_dict.map_text */
};

struct dict_gap {
	u64 ts, ts_end, cause, count; /* cause: string; 0 = damaged blocks */
};

/* A process was in a cgroup: what each of its entries said. */
struct dict_member {
	u64 process, cgroup; /* cgroup: string */
};

struct load_frame_row; /* load_symbol.h */

struct load_dict {
	struct dict_table strings, processes, threads, modules, stacks, layouts, contexts,
		ksyms;				 /* ksyms by address, the others by idx */
	struct dict_table symbols, module_names; /* names that the capture carries (load_symbol.h); module_names by module */
	struct dict_table vtables, locations, task_names; /* task_names by vtable */
	struct load_frame_row *symbol_frames;		  /* sorted after load_dict_read() */
	size_t n_symbol_frames, cap_symbol_frames;
	struct buf text;  /* strings, each NUL-terminated */
	struct buf addrs; /* u64s of all stacks */
	struct fmt_mapping *mappings;
	size_t n_mappings, cap_mappings;
	struct dict_gap *gaps; /* sorted by ts after load_dict_read() */
	size_t n_gaps, cap_gaps;
	struct dict_member *members;
	size_t n_members, cap_members;
	struct fmt_throttle *throttles;
	size_t n_throttles, cap_throttles;
	struct fmt_probe *probes;
	size_t n_probes, cap_probes;
	struct buf map_text; /* perf maps, piece by piece */
	struct dict_piece *pieces;
	size_t n_pieces, cap_pieces;
	struct gap_span *spans; /* their union */
	size_t n_spans;
	struct u64map meta, totals; /* string of the key -> string, value */
	struct fmt_clock clock;	    /* first snapshot; ts 0 none */
	u64 ts_first, ts_last;	    /* of any event; 0 none */
	u64 events;		    /* clock snapshots and gaps apart */
	u64 bad_rows;		    /* rows that were refused: index or time out of range */
	struct fmt_health health;   /* of the file, once it was read to its end */
};

typedef void (*load_progress_fn)(void *ctx, u64 offset); /* bytes of the file read so far */

/*
 * Reads the file from its first to its last block. 0 or negative errno (memory, I/O); damage is no error. The caller releases
 * d in both cases.
 */
int load_dict_read(struct load_dict *d, struct fmt_reader *r, load_progress_fn progress, void *ctx) __must_check;
void load_dict_release(struct load_dict *d);

/*
 * An exit, exec, rename or start (struct fmt_<kind>) is told to its thread and process; for the second pass, when all entries
 * are known.
 */
void load_dict_note_event(struct load_dict *d, u32 kind, const void *row);

/* Text of a string index; NULL for 0 and unknown ones. Valid until release. */
const char *load_dict_str(const struct load_dict *d, u64 idx);

/* Value of a META key; NULL when the capture has none. */
const char *load_dict_meta(const struct load_dict *d, const char *key);

/* The row with this file index, or NULL; *ret_slot (may be NULL) its position. The type is the table's. */
void *dict_table_find(const struct dict_table *t, u64 idx, u32 *ret_slot);
void *dict_table_at(const struct dict_table *t, u32 slot);

void dict_table_release(struct dict_table *t);

/* The row with this index, zeroed and added when new. NULL on ENOMEM. */
void *dict_table_add(struct dict_table *t, u64 idx, bool *ret_is_new);
