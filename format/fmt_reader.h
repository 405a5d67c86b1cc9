/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fmt_reader.h: read a capture file block by block. Trusts nothing: every size is checked against FORMAT.md's limits before
 * it is used, a damaged block is reported and skipped, and reading resumes at the next intact block. A dictionary block that is lost is
 * replaced by its copy. Memory is bounded by the limits of one block, whatever the size of the file.
 *
 *	struct fmt_reader *r;
 *	struct fmt_block b;
 *	fmt_reader_open(path, &r, &diag);
 *	while ((err = fmt_reader_next(r, &b)) == 1)
 *		for each of b.sections: for each row: fmt_section_row(...)
 *	fmt_reader_close(r);
 */
#pragma once

#include "base/base.h"
#include "format/fmt_schema.h"

/* What is wrong and where; filled by functions that fail with a negative errno, else untouched. */
struct fmt_diag {
	u64 off;       /* file offset, bytes */
	char what[96]; /* a phrase, e.g. "block header checksum" */
};

/* One kind's rows of a decoded block. All memory belongs to the reader and lives until the next fmt_reader_next(). */
struct fmt_section {
	u32 kind_id;
	const struct fmt_kind *kind; /* NULL: unknown to this version; then no column is decoded */
	u32 rows;
	u64 **cols; /* kind->n_cols arrays of `rows` values; a column the file lacks is all 0. Never written to: those of 0 are one array */
	const u8 *bytes;	/* FMT_PAYLOAD_BYTES: all bytes; row i has [payload_off[i], payload_off[i + 1]) */
	const u64 *list;	/* FMT_PAYLOAD_LIST: all elements, likewise */
	const u32 *payload_off; /* rows + 1 entries; NULL without payload */
	u64 encoded_size;	/* bytes of this section in the block, before compression; those of all sections are raw_size */
};

struct fmt_block {
	u64 offset;   /* of its header in the file; of a recovered one, of the copy's */
	u32 type;     /* enum fmt_block_type, or a type this version does not know (then n_sections is 0) */
	u64 seq;      /* sequence number, from 0; a hole means lost blocks */
	u64 ts_first; /* CLOCK_MONOTONIC ns; 0 when the block holds no events */
	u64 ts_last;
	u64 copy_of;	 /* FMT_BLOCK_COPY: sequence number of the dictionary block it repeats; else 0 */
	bool recovered;	 /* a lost dictionary block: type and seq are its own, all else is from its copy */
	u32 rows;	 /* records in it, as its header says */
	u32 stored_size; /* header and payload in the file, bytes */
	u32 raw_size;	 /* payload after decompression, bytes */
	u32 n_sections;
	struct fmt_section *sections;
};

/*
 * How much of the file could be read; complete after fmt_reader_next() returned 0. After fmt_reader_want() it speaks of what was read: the payloads of
 * blocks_hopped are not verified.
 */
struct fmt_health {
	u64 file_size;
	u64 blocks_intact;	/* copies and the footer included */
	u64 blocks_damaged;	/* found, but a checksum, limit or the decoding failed */
	u64 blocks_missing;	/* holes in the sequence numbers */
	u64 blocks_recovered;	/* of damaged and missing ones: dictionary blocks whose copy was delivered: no name was lost */
	u64 blocks_hopped;	/* not wanted: their header held, their payload was not read */
	u64 copies, copy_bytes; /* intact copies of dictionary blocks, and their bytes in the file, headers included */
	u64 bytes_skipped;	/* searched through for the next block; and the byte of the file header that was put right */
	bool closed_cleanly;	/* footer and trailer are there */
	u64 ts_last;		/* last timestamp in an intact block */
	struct fmt_diag first_damage; /* of the first damaged place; what is "" when there is none */
};

struct fmt_file_info {
	u32 version;
	u64 compat, incompat; /* feature bits */
	u8 uuid[16];	      /* of this capture */
};

/* One damaged place. Numbers of a block are those of its header, where that holds; else 0. */
struct fmt_damage {
	u64 off, end;	/* bytes concerned; equal where blocks were cut out or the file ends too early */
	u64 seq;	/* of the (first) block that is lost; UINT64_MAX unknown, or none is */
	u64 blocks;	/* how many are lost, by their numbers; 0 unknown, or none is */
	u32 type;	/* 0 unknown */
	bool recovered; /* all of them were dictionary blocks, and their copies were delivered */
	u64 ts_first, ts_last, rows;
	char what[96]; /* a phrase, e.g. "payload checksum" */
};

/* What fmt_reader_next() gives. The footer is always given. */
struct fmt_want {
	bool dictionaries; /* and what replaces a lost one */
	bool events;
	bool copies;  /* copies of dictionary blocks, as they lie in the file */
	bool others;  /* blocks of types that this version does not know */
	u64 from, to; /* events blocks that overlap [from, to], ns of CLOCK_MONOTONIC; to 0: no end */
};

struct fmt_reader;

/*
 * Opens a capture and checks its header. Errors: -ENOENT, -EACCES, ... from open(2); -EBADMSG not a capture or its header is damaged;
 * -ENODATA it ends inside the header; -EPROTONOSUPPORT written by a newer version (diag says which), -EPROTO by one from before version 1; -ESPIPE not a regular file.
 * On success the caller owns *ret and closes it.
 */
int fmt_reader_open(const char *path, struct fmt_reader **ret, struct fmt_diag *reterr) __must_check;

/* Accepts NULL. Returns NULL. */
struct fmt_reader *fmt_reader_close(struct fmt_reader *r);

/*
 * Decodes the next intact block into *ret. Returns 1; 0 at the end of the file; negative errno only when reading cannot go on
 * (-ENOMEM, -EIO). Damage is not an error: it is counted in fmt_reader_health() and reading goes on behind it.
 */
int fmt_reader_next(struct fmt_reader *r, struct fmt_block *ret) __must_check;

/* Starts again at the first block. What is wanted, and who is told of damage, stays. */
void fmt_reader_rewind(struct fmt_reader *r);

/*
 * fn is told of every damage in the order of the file, once its extent is known: at the latest before the next block behind it is given. A
 * recovered block may be given before its damage is told. NULL: nobody is.
 */
void fmt_reader_on_damage(struct fmt_reader *r, void (*fn)(void *ctx, const struct fmt_damage *d), void *ctx);

/*
 * From now on only these blocks are given, and only their payloads are read; of the others, headers are. NULL: all but copies, and copies are
 * verified, too; so it is at first.
 */
void fmt_reader_want(struct fmt_reader *r, const struct fmt_want *w);

/*
 * The footer, found from the end of the file, wherever fmt_reader_next() stands: 1 and *ret (which replaces the block that fmt_reader_next() gave) when
 * trailer and footer are intact, 0 when not, -ENOMEM, -EIO. Nothing is counted and nobody is told.
 */
int fmt_reader_footer(struct fmt_reader *r, struct fmt_block *ret) __must_check;

u64 fmt_reader_bytes_read(const struct fmt_reader *r); /* from the file, since it was opened */

const struct fmt_file_info *fmt_reader_info(const struct fmt_reader *r);
const struct fmt_health *fmt_reader_health(const struct fmt_reader *r);

/* Copies row i into *ret_row: the struct fmt_<kind> of the section's kind (kind->n_cols u64). */
void fmt_section_row(const struct fmt_section *s, u32 i, void *ret_row);

/* One event of a block: which section, which row. */
struct fmt_ref {
	u32 section;
	u32 row;
	u64 ts;
};

/*
 * The events of a block (sections whose kind is_event) in time order; equal times keep the order exits, outs, then ins by kind id, and row
 * order within a kind. *ret is the reader's, until the next fmt_reader_next(). Returns the count, or -ENOMEM.
 */
int fmt_block_events(struct fmt_reader *r, const struct fmt_block *b, const struct fmt_ref **ret) __must_check;
