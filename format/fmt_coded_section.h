/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fmt_coded_section.h: which columns of a section go by a code that adapts, and by what. Called by fmt_section_encode(). A reader takes any choice. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "format/fmt_codec.h"

/* Whether the section is of a kind, and of so few rows, that it is written so. */
bool fmt_coded_section_fits(const struct fmt_rows *r);

/* Appends all columns to data and their entries to directory, in an order of its own; both have sticky errors. */
void fmt_coded_section_encode(const struct fmt_rows *r, struct buf *directory, struct buf *data);
