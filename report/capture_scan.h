/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * capture_scan.h: one pass over a capture file that counts what is in it, without a database; `ascope info` prints the result.
 * Memory grows with the names, totals and stacks of the capture, not with its events.
 */
#pragma once

#include "report/capture_file.h"
#include "report/verdict.h"

#define SCAN_KINDS 66 /* kind ids this version knows are below */

/* Key and value, in the order in which the keys first appeared. */
struct scan_entry {
	u64 key;   /* string or other index of the capture */
	u64 value; /* of the last row with this key, or a sum, as the table says */
};

struct scan_table {
	struct u64map by_key; /* key -> position */
	struct scan_entry *entries;
	size_t n, cap;
};

struct scan_lost {
	const char *cause; /* without "lost."; of the strings, valid until release */
	u64 count;
};

struct scan_kind {
	u64 rows;
	u64 encoded; /* bytes before compression */
	u64 stored;  /* bytes in the file: each block's, shared out by encoded size */
};

#define SCAN_GUESSED 256 /* flag in the values of capture_scan.stacks: part of it was found by a frame pointer */
#define SCAN_KERNEL  512 /* likewise: a kernel stack */

struct capture_scan {
	struct fmt_file_info file;
	struct fmt_health health;
	struct verdict_facts facts;
	struct verdict verdict;

	struct scan_kind kinds[SCAN_KINDS]; /* by kind id */
	struct scan_kind unknown;	    /* kinds of a later version */
	u64 stored, raw;		    /* of blocks of records: bytes in the file, payload bytes before compression */
	u64 copies, copy_bytes;		    /* blocks that repeat names: how many, bytes in the file */
	u64 footer_bytes;		    /* with the trailer; 0 none */
	bool is_quick;			    /* the payloads of events were not read */
	u64 ts_first,
		ts_last; /* what it covers: recording.start_ns and .end_ns, and all events; ns of CLOCK_MONOTONIC; 0 unknown */
	u64 realtime_offset; /* what to add to a time (mod 2^64) to get CLOCK_REALTIME, ns since 1970 */
	bool has_clock;	     /* realtime_offset is known */

	/*
	 * Distinct entries of user stacks, by status (stack_status.h). Those of samples are of callers only: one entry may be part
	 * of many stacks. How many records carry a stack of each status is facts.stacks.
	 */
	u64 user_stacks[STACK_STATUSES];
	u64 kernel_stacks; /* distinct ones */

	struct capture_strings strings;
	struct scan_table meta;	      /* key string -> value string */
	struct scan_table totals;     /* key string -> latest value */
	struct scan_table gaps;	      /* cause string -> sum of counts */
	struct scan_table modules;    /* module index -> path string */
	struct scan_table names;      /* module index -> 2 * source + lines, of modules whose names the file carries */
	struct scan_table processes;  /* process index -> pid */
	struct scan_table stacks;     /* stack index -> status + 1, and SCAN_GUESSED; repeated entries count once */
	struct scan_table stack_uses; /* user stack index of switch-outs and samples without a pc -> how many */
	struct scan_table leaf_uses;  /* the same of samples with a pc, 0 included */
	struct fmt_layout *layouts;   /* the latest entry of each index */
	size_t n_layouts;
	struct scan_lost *lost; /* causes with a count above 0: what verdict_facts.lost sums up */
	size_t n_lost;
};

/* Reads r from its first block to the end. 0, -ENOMEM or -EIO. Release in any case. */
int capture_scan_run(struct capture_scan *s, struct fmt_reader *r) __must_check;

/*
 * The same of a file that was closed and whose recorder summed its events (totals records.*): reads names, headers and footer
 * only, and trusts what they say of the events. Of any other file: as capture_scan_run().
 */
int capture_scan_quick(struct capture_scan *s, struct fmt_reader *r) __must_check;
void capture_scan_release(struct capture_scan *s);

/* ns from ts_first to ts_last. */
u64 capture_scan_duration(const struct capture_scan *s);
