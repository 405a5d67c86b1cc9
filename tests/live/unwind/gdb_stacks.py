# SPDX-License-Identifier: MIT OR Apache-2.0
"""For gdb: prints every thread's stack as one JSON object, tid -> addresses, innermost first.

    gdb -nx -batch -p PID -x gdb_stacks.py

Only frames that are on the stack: gdb also shows inlined functions, and tail calls that it infers.
"""
import json

import gdb

stacks = {}
for thread in gdb.selected_inferior().threads():
    thread.switch()
    frame, pcs = gdb.newest_frame(), []
    while frame is not None:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(int(frame.pc()))
        frame = frame.older()
    stacks[thread.ptid[1]] = pcs
print("STACKS " + json.dumps(stacks))
