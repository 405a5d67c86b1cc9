/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * check.h: reads all of a capture and finds everything that is wrong with it: damaged and missing blocks (fmt_reader.h), a footer that
 * says something else than the blocks do, records that do not hold together (check_refs.h). `ascope check` prints what it finds,
 * repair.c writes what is intact. Memory does not grow with the events.
 */
#pragma once

#include "report/capture_file.h"
#include "report/check_refs.h"
#include "report/repair_facts.h"

#ifndef CHECK_MAX_DAMAGES      /* a fuzzer's are fewer: to clear them would be much of its time */
#define CHECK_MAX_DAMAGES 1000 /* that are kept; more are counted */
#define CHECK_MAX_SPANS	  1000
#endif
#define CHECK_MAX_FAULTS 64
#define CHECK_KINDS	 128 /* kind ids below are counted one by one */
#define CHECK_FAULT_LEN	 224

/* Blocks that are lost, one after the other, and what was in them. */
struct check_lost {
	u64 seq, blocks;       /* the first one's number; how many */
	u64 ts_first, ts_last; /* events of this time are missing, ns of CLOCK_MONOTONIC; 0, 0: none, or of an unknown time */
	u64 records;	       /* in them, as far as is known */
	bool has_events;       /* events are missing, or may be */
	bool has_names;	       /* dictionary entries are missing: no copy of them is left */
	bool is_exact;	       /* header or footer told what was in them; else the times are those of their neighbours */
};

/* Where a file is sound byte by byte, but says what cannot be. */
struct check_fault {
	u64 off; /* of the block; UINT64_MAX: it is the footer that is wrong */
	u64 seq; /* UINT64_MAX: likewise */
	char what[CHECK_FAULT_LEN];
};

/* Told while the file is read, in its order; any may be NULL. Negative errno ends the reading. */
struct check_hooks {
	void *ctx;
	int (*on_block)(void *ctx, const struct fmt_block *b);
	int (*on_lost)(void *ctx, const struct check_lost *l); /* events are missing here */
};

struct check {
	struct fmt_file_info file;
	struct fmt_health health;
	struct check_refs refs;
	struct capture_strings strings;
	u64 string_bytes;

	struct fmt_damage damages[CHECK_MAX_DAMAGES]; /* in file order; what their headers do not tell is the index's */
	u32 n_damages;
	u64 n_untold; /* damages beyond */
	struct check_lost lost[CHECK_MAX_SPANS];
	u32 n_lost;
	u64 n_lost_untold;
	struct check_fault faults[CHECK_MAX_FAULTS]; /* make the file unsound */
	u32 n_faults;
	u64 n_faults_untold;
	u64 footer_faults; /* of them, told or not, the footer's: a repair makes it anew */

	u64 blocks_lost, blocks_recovered; /* not: copies, footers, blocks twice */
	u64 event_blocks_lost, name_blocks_lost;
	u64 records_lost; /* in blocks of events, as far as is known */
	u64 blocks, event_blocks, dictionary_blocks, copies, unknown_blocks;
	u64 records, events; /* in intact blocks; events but clock and gap */
	u64 rows[CHECK_KINDS], encoded[CHECK_KINDS];
	u64 ts_first, ts_last;	      /* of events; 0 none */
	u64 start;		      /* what the times of reports count from: meta recording.start_ns, or ts_first */
	bool has_footer;	      /* an intact one that could be compared with the blocks */
	struct repair_facts repaired; /* what an earlier repair says of itself */
	u64 seen_repaired;	      /* of the totals repaired.*: bit per key, see repair_facts.h */

	/* the footer's index: by sequence number */
	struct fmt_index *index;
	u32 n_index;
	/* while reading */
	const struct check_hooks *hooks;
	int err;
	u64 next_seq, expected_total;
	struct fmt_damage pending[64]; /* blocks whose header holds, since the last block that was delivered */
	u32 n_pending;
	struct check_lost open; /* lost events whose end is not known before the next events */
	bool is_open;
	u32 index_at;
};

/*
 * Reads r from its first block to its last. 0, -ENOMEM, -EIO, or what a hook returned. progress is called with the file offset
 * reached. Large: allocate it, zeroed; release in any case.
 */
int check_run(struct check *c, struct fmt_reader *r, const struct check_hooks *hooks, void (*progress)(void *ctx, u64 off),
	      void *progress_ctx) __must_check;

/* After it: does the trailer count the blocks as they are? 0 or -errno. */
int check_trailer(struct check *c, const char *path) __must_check;
void check_release(struct check *c);

/* Nothing is damaged, missing, or contradicts something else; and the file was closed. */
bool check_is_sound(const struct check *c);
