/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mappings.h: the executable mappings of the targets: reads them, writes their rows, and publishes them with their modules' tables for the kernel side's
 * walker. Part of the catalog (catalog_scan_maps() and others call it); discover.c passes on what changed.
 *
 * A process is looked at when it is met, at news of a new mapping (mmap_watch.h), and when a stack has an address in no known mapping.
 */
#pragma once

#include "base/base.h"
#include "record/catalog.h"
#include "record/unwind_tables.h"

struct mappings;

/* The catalog is borrowed. arrays may be NULL: then nothing is published. 0 or -ENOMEM. */
int mappings_new(struct catalog *cat, const struct unwind_arrays *arrays, struct mappings **ret) __must_check;
struct mappings *mappings_free(struct mappings *ms); /* accepts NULL, returns NULL */

/* See catalog_scan_maps(). 0; -ESRCH and others of /proc; -ENOMEM. */
int mappings_scan(struct mappings *ms, struct cat_process *p, u64 ts) __must_check;

/* Something new is mapped at [addr, addr + len) since ts; len 0: somewhere. */
void mappings_note(struct cat_process *p, u64 addr, u64 len, u64 ts);
/* An address that is in no known mapping, or with which the kernel side's walker could do nothing, was met. */
void mappings_miss(struct cat_process *p);
bool mappings_due(const struct cat_process *p, u64 now); /* a scan is wanted, and not too soon after the last */

bool mappings_hold(const struct cat_process *p, u64 addr);

/* The process is gone. */
void mappings_drop(struct mappings *ms, struct cat_process *p);
void mappings_release(struct cat_process *p); /* frees what a process owns of it */

struct module_tokio;
struct module_tokio *mappings_module_tokio(const struct mappings *ms, u32 module); /* catalog_module_tokio() */

const struct unwind_tables *mappings_tables(const struct mappings *ms); /* NULL when nothing is published */
