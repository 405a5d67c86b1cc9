/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* html_limits.h: how much of a capture the HTML report embeds. What is left out is counted and said in the file. */
#pragma once

#define HTML_MAX_PLACES	      500   /* of each group, those of most time first */
#define HTML_MAX_BLOCKS	      4000  /* of each group, longest first; each place's longest besides */
#define HTML_MAX_STACKS	      3000  /* distinct, of blocks */
#define HTML_MAX_FRAMES	      400   /* of one stack, inlined functions included */
#define HTML_MAX_THREADS      96    /* rows of the timeline */
#define HTML_MAX_SEGMENTS     50000 /* of all rows: beyond it short ones are put together */
#define HTML_MAX_FLAME_STACKS 4000  /* distinct, of each flame graph: the others end at their class */
#define HTML_MAX_LISTED	      1000  /* threads with their times */
#define HTML_MAX_GAPS	      500
#define HTML_MAX_FACTS	      200
