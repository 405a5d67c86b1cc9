-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- schema.sql: the capture database. Embedded in ascope and run once on an empty database; `ascope query FILE --schema` prints it.
-- PRAGMA user_version is the schema version (SCHEMA_VERSION in db.h), application_id is 0x4153434f ("ASCO").
--
-- All times are ns of CLOCK_MONOTONIC of the recording host; all durations are ns. Ids start at 1. A comment line directly above a
-- table or view is its description and is printed by --schema; comments behind columns are theirs; columns of a view stand one a line (schema.c).

-- One row: which capture this database was made from and what it covers.
CREATE TABLE capture (
    uuid            TEXT PRIMARY KEY,     -- of the capture file
    path            TEXT NOT NULL,        -- as given when loaded
    size            INTEGER NOT NULL,     -- of the capture file, bytes
    mtime           INTEGER NOT NULL,     -- of the capture file, ns of CLOCK_REALTIME
    ts_start        INTEGER NOT NULL,     -- recording began (probes in place)
    ts_end          INTEGER NOT NULL,     -- recording ended, or the last event of a file that ended abruptly
    realtime_start  INTEGER,              -- CLOCK_REALTIME at ts_start, ns since 1970; null when no clock snapshot survived
    host            TEXT,                 -- host name
    kernel          TEXT,                 -- kernel release
    sample_period   INTEGER NOT NULL,     -- ns between cpu-clock samples of a running thread; 0 = no sampling
    verdict         TEXT NOT NULL CHECK (verdict IN ('complete', 'partial', 'untrustworthy')),
    verdict_why     TEXT NOT NULL         -- reasons, one a line; empty when complete
) STRICT;

-- Facts about host, options and recorder, as recorded. Those that begin with ascope.* are the loader's: rows ('polls': of view offcpu, view sample,
-- table poll and what their stacks need only the rows of reported polls are here; 'all'), events, switches, samples, tasks (how many there were,
-- loaded or not), data_lost (1 when data was lost or damaged), perfmap.names and perfmap.malformed (lines of perf maps that could and could not be read;
-- not there without any), notes (what is not known of tasks, one a line; not there when nothing is), marker.ends_alone (ENDs of markers that no START
-- belongs to; not there without any), libraries (of which table of libraries symbol.kind, poll.library and poll.advice_id are), unreadable.N (why the
-- debug information of module N could not be read; not there for others), task_names.N (files that were asked for the types of tasks in module N; not
-- there for others).
CREATE TABLE meta (
    key         TEXT PRIMARY KEY,         -- name of the fact
    value       TEXT NOT NULL
) STRICT;

-- Counters of the recorder at the end of recording (events seen, bytes, its own cpu time, ...).
CREATE TABLE total (
    key         TEXT PRIMARY KEY,         -- name of the counter
    value       INTEGER NOT NULL          -- its latest value
) STRICT;

-- What is missing, by cause. No row = nothing lost. The recorder's causes are the suffixes of its lost.* totals. The loader's: damaged_blocks,
-- missing_blocks, damaged_bytes, not_closed (1), unread (contexts), order (events older than one before them of their thread), unpaired
-- (switches without counterpart), bad_rows (impossible ids or times), unknown_threads (without an entry).
CREATE TABLE loss (
    cause       TEXT PRIMARY KEY,         -- the recorder's, e.g. ring_full.sample, or the loader's (see above)
    count       INTEGER NOT NULL
) STRICT;

-- Spans of time in which events may be missing.
CREATE TABLE gap (
    ts          INTEGER NOT NULL,         -- from here
    ts_end      INTEGER NOT NULL,         -- to here, exclusive
    cause       TEXT NOT NULL,            -- as in loss
    count       INTEGER NOT NULL          -- events lost; for damaged_blocks: blocks
) STRICT;

-- One row per program image of a process (exec makes a new one).
CREATE TABLE process (
    id          INTEGER PRIMARY KEY,
    pid         INTEGER NOT NULL,         -- thread group id as the host sees it
    ns_pid      INTEGER,                  -- the same inside its own pid namespace
    ppid        INTEGER,                  -- parent when first seen
    name        TEXT NOT NULL,            -- command name
    exe         TEXT,                     -- path of the executable
    ts_start    INTEGER NOT NULL,         -- start of the process
    ts_end      INTEGER,                  -- end of the process; null when it outlived the recording
    cgroup      TEXT,                     -- of the cpu controller, a path as the recorder saw it (the last one, when it moved); null unknown
    upid        INTEGER AS (id) VIRTUAL,  -- Perfetto's name of id
    start_ts    INTEGER AS (ts_start) VIRTUAL, -- Perfetto's name of ts_start
    end_ts      INTEGER AS (ts_end) VIRTUAL -- Perfetto's name of ts_end
) STRICT;

-- Times in which a cgroup that a target is in, or one above it, ran out of cpu quota: what its cpu.stat counted between two readings.
CREATE TABLE throttle (
    ts          INTEGER NOT NULL,         -- one reading
    ts_end      INTEGER NOT NULL,         -- the next; threads may have been stopped since up to a period before ts
    cgroup      TEXT NOT NULL,            -- path, as process.cgroup
    periods     INTEGER NOT NULL,         -- periods in which it ran out of quota
    dur         INTEGER NOT NULL          -- time that its run queues were stopped, summed over cpus; 0 when not known
) STRICT;

-- One row per thread.
CREATE TABLE thread (
    id          INTEGER PRIMARY KEY,
    process_id  INTEGER NOT NULL REFERENCES process (id),
    tid         INTEGER NOT NULL,         -- as the host sees it
    ns_tid      INTEGER,                  -- inside its own pid namespace
    name        TEXT NOT NULL,            -- latest name
    ts_start    INTEGER,                  -- start of the thread; null unknown
    ts_end      INTEGER,                  -- its exit; null when it outlived the recording
    ts_last_in  INTEGER,                  -- on its cpu from here without a later row in offcpu; null: it was not, or that is not known
    ts_last_out INTEGER,                  -- to here: its exit, or the end of the recording; null with ts_last_in
    last_cpu    INTEGER,                  -- on this one; null unknown
    is_main_thread INTEGER,               -- 1: the first thread of its process; null: its process is not known
    utid        INTEGER AS (id) VIRTUAL,  -- Perfetto's name of id
    upid        INTEGER AS (process_id) VIRTUAL, -- Perfetto's name of process_id
    start_ts    INTEGER AS (ts_start) VIRTUAL, -- Perfetto's name of ts_start
    end_ts      INTEGER AS (ts_end) VIRTUAL -- Perfetto's name of ts_end
) STRICT;

-- Files mapped executable by the target, and the kernel.
CREATE TABLE module (
    id          INTEGER PRIMARY KEY,
    path        TEXT NOT NULL,            -- on the recording host
    build_id    TEXT,                     -- GNU build-id, hex
    file_id     TEXT,                     -- content id, for files without a build-id
    symbols_from TEXT,                    -- files that were read for names, ' + ' between; null = none found
    symbols     TEXT,                     -- 'dwarf', 'symtab' or null
    note        TEXT,                     -- why there are no (better) names and what to pass; null when all is well
    name        TEXT AS (replace(path, rtrim(path, replace(path, '/', '')), '')) VIRTUAL -- last part of path
) STRICT;

-- Executable mappings of each process.
CREATE TABLE mapping (
    process_id  INTEGER NOT NULL REFERENCES process (id),
    module_id   INTEGER NOT NULL REFERENCES module (id),
    addr_start  INTEGER NOT NULL,
    addr_end    INTEGER NOT NULL,         -- behind the last byte
    file_off    INTEGER NOT NULL,         -- file offset of addr_start
    ts          INTEGER NOT NULL          -- first seen; 0 = since before the recording
) STRICT;

-- Distinct code addresses, normalised: module and offset in its file.
CREATE TABLE frame (
    id          INTEGER PRIMARY KEY,
    module_id   INTEGER REFERENCES module (id), -- null: address in no known mapping, or in one that is no file's (JIT code)
    file_off    INTEGER NOT NULL,         -- offset in the module's file; the absolute address when module_id is null; for kernel frames relative to _stext
    is_return   INTEGER NOT NULL,         -- 1 a return address (symbolized at file_off - 1), 0 an interrupted instruction
    UNIQUE (module_id, file_off, is_return)
) STRICT;

-- Names of frames: depth 0 is the innermost inlined function at that address. No row = no name. Of kind jit are names that the process's JIT
-- compiler gave (its perf map).
CREATE TABLE symbol (
    frame_id    INTEGER NOT NULL REFERENCES frame (id),
    depth       INTEGER NOT NULL,
    function    TEXT NOT NULL,            -- demangled, hash suffix removed
    file        TEXT,                     -- source file as the compiler was given it
    line        INTEGER,
    inlined     INTEGER NOT NULL,         -- 1 when inlined into the next depth
    kind        TEXT NOT NULL CHECK (kind IN ('user', 'library', 'std', 'runtime', 'native', 'kernel', 'jit')),
    PRIMARY KEY (frame_id, depth)
) STRICT, WITHOUT ROWID;

-- Distinct stacks. Statuses of user stacks, by how the walk ended: whole (at the outermost frame), truncated (at the limit of frames), no_table (in code
-- without unwind table), fault (stack memory could not be read), no_mapping (at an address in no known file), bad_rule (at an unwind rule that
-- cannot be followed), broken (the stack pointer led nowhere), starting (as no_mapping or fault, while
-- the program was being loaded), frame_pointers (walked by them alone: how it ended is unknown), leaf_only (not
-- walked: the interrupted address is all there is).
CREATE TABLE stack (
    id          INTEGER PRIMARY KEY,
    process_id  INTEGER REFERENCES process (id), -- null for kernel stacks
    kind        TEXT NOT NULL CHECK (kind IN ('user', 'kernel')),
    status      TEXT NOT NULL CHECK (status IN ('whole', 'truncated', 'no_table', 'fault', 'frame_pointers', 'no_mapping', 'bad_rule', 'broken', 'starting', 'leaf_only')),
    depth       INTEGER NOT NULL,         -- frames; 0 when not even the first is known
    fp_from     INTEGER,                  -- depth of the first frame that was found by a frame pointer: it and all further out are a guess; null none
    weight      INTEGER NOT NULL DEFAULT 0 -- switch-outs and samples of reported polls, and markers, that have it
) STRICT;

-- What stacks are made of: a stack is one list of frames, or the list of its interrupted address and the list of its callers, which many share.
-- View stack_frame puts them together.
CREATE TABLE stack_part (
    stack_id    INTEGER NOT NULL REFERENCES stack (id),
    depth       INTEGER NOT NULL,         -- in the stack, of the list's first frame
    list_id     INTEGER NOT NULL,
    PRIMARY KEY (stack_id, depth)
) STRICT, WITHOUT ROWID;

-- Lists of frames, innermost first.
CREATE TABLE frame_list (
    list_id     INTEGER NOT NULL,
    depth       INTEGER NOT NULL,         -- in the list
    frame_id    INTEGER NOT NULL REFERENCES frame (id),
    PRIMARY KEY (list_id, depth)
) STRICT, WITHOUT ROWID;

-- Frames of stacks: depth 0 is the innermost.
CREATE VIEW stack_frame AS
SELECT
    p.stack_id,                           -- as stack.id
    p.depth + l.depth AS depth,           -- 0 = innermost
    l.frame_id                            -- as frame.id
FROM stack_part AS p
JOIN frame_list AS l ON l.list_id = p.list_id;

-- How the walks of user stacks ended, weighed by what was recorded: one row for each status and, where a walk ended early, each module that it ended in.
CREATE TABLE stack_end (
    status      TEXT NOT NULL,            -- as stack.status
    module_id   INTEGER REFERENCES module (id), -- of the outermost frame that was found; null for whole and truncated stacks, and outside every module
    events      INTEGER NOT NULL,         -- switch-outs and samples whose user stack ended so
    guessed     INTEGER NOT NULL,         -- of these, how many rest in part on a frame pointer (stack.fp_from)
    stacks      INTEGER NOT NULL          -- distinct stacks
) STRICT;

-- The function that each user stack is reported under: the innermost of the user's own code, else of a library, else of anything named.
CREATE TABLE stack_place (
    stack_id    INTEGER PRIMARY KEY REFERENCES stack (id),
    function    TEXT NOT NULL,            -- path without generic arguments
    file        TEXT,
    line        INTEGER,
    kind        TEXT NOT NULL             -- as symbol.kind
) STRICT;

-- One row per Tokio runtime instance.
CREATE TABLE runtime (
    runtime_id    INTEGER PRIMARY KEY,
    process_id    INTEGER NOT NULL REFERENCES process (id),
    pid           INTEGER NOT NULL,
    tokio_version TEXT,                   -- e.g. 1.54.1; null when unknown
    flavor        TEXT NOT NULL CHECK (flavor IN ('multi_thread', 'current_thread', 'unknown')),
    workers       INTEGER NOT NULL,       -- workers seen
    module        TEXT,                   -- file that holds this copy of tokio
    found_by      TEXT NOT NULL,          -- how its context was found and validated
    tick_valid    INTEGER NOT NULL,       -- 1: polls can be told apart by tick, so CPU-bound polls are classified; 0: they are UNCLASSIFIED
    tick_from     INTEGER,                -- from this time on; null when tick_valid is 0
    task_ids      INTEGER NOT NULL        -- 0: Tokio before 1.22, which keeps no task id where it can be read: every task_id is null and says nothing
) STRICT;

-- Which thread served which worker of which runtime (a worker moves to another thread by block_in_place).
CREATE TABLE worker (
    runtime_id  INTEGER NOT NULL REFERENCES runtime (runtime_id),
    worker      INTEGER,                  -- worker index; null for the thread of a current_thread runtime
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    ts          INTEGER NOT NULL          -- first seen
) STRICT;

-- Blocks and other polls that were caught at more than one instant: a poll is a maximal run of one thread's in-poll records of equal key. Of which
-- nothing is known but that a single sample lies in it has no row; the sample says its task. (Where ticks are not proven, it has: it may be part of more.)
CREATE TABLE poll (
    id          INTEGER PRIMARY KEY,
    ts          INTEGER NOT NULL,         -- first observed instant
    dur         INTEGER NOT NULL,         -- first to last observed instant, without the time that its thread was stopped: the poll ends at ts + dur + stopped
    dur_min     INTEGER NOT NULL,         -- proven length
    dur_max     INTEGER NOT NULL,         -- possible length: up to the neighbouring records outside the poll
    off_cpu     INTEGER NOT NULL,         -- part of dur: waiting
    on_cpu      INTEGER NOT NULL,         -- part of dur: executing
    runnable    INTEGER NOT NULL,         -- part of dur: ready, but preempted or not yet given a cpu
    waits       INTEGER NOT NULL,         -- how many waits
    samples     INTEGER NOT NULL,         -- how many cpu-clock samples
    class       TEXT NOT NULL CHECK (class IN ('sleep', 'lock', 'disk', 'network', 'dns', 'pipe', 'process', 'fault', 'cpu', 'other')),
    rule        TEXT NOT NULL,            -- the rule that gave the class of the largest part: see offcpu.rule; cpu
    syscall     TEXT,                     -- of the largest part; null for cpu and fault
    detail      TEXT,                     -- what within the class, of the longest wait of the largest part: see offcpu.detail; null unknown
    holds       TEXT NOT NULL CHECK (holds IN ('runtime', 'localset', 'root')), -- what waits while this poll does not return
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    runtime_id  INTEGER REFERENCES runtime (runtime_id), -- null for root futures and local sets outside any runtime's threads
    worker      INTEGER,                  -- worker index; null when not a multi-thread worker
    task_id     INTEGER,                  -- null for a root future
    tick        INTEGER,                  -- Core.tick of the poll; null when not proven
    joined_by   TEXT NOT NULL,            -- the rule that joined its records: 'tick', 'tick+budget' or 'interval'
    classified  INTEGER NOT NULL,         -- 0: may be several polls (tick not proven), so it is never reported as blocking
    state       TEXT NOT NULL CHECK (state IN ('complete', 'open-start', 'open-end', 'open-both')), -- open: it had begun before the recording, or had not ended with it; dur and dur_max are what lies in the recording
    stack_id    INTEGER REFERENCES stack (id),  -- user stack of its largest part
    kstack_id   INTEGER REFERENCES stack (id),  -- kernel stack of its largest part
    lifo        INTEGER,                  -- tasks in the worker's LIFO slot (0 or 1) when it began to wait, or was first caught; null not read
    queued      INTEGER,                  -- tasks in the worker's local queue then; null not read
    function    TEXT,                     -- the user's own innermost frame (not std, tokio, libc), inlined frames included
    file        TEXT,
    line        INTEGER,
    library     TEXT,                     -- the library that this frame called (rusqlite, reqwest::blocking, std::fs); null: its own code waits or runs
    advice_id   INTEGER REFERENCES advice (id), -- what to try; null nothing, or a poll of one record
    stopped     INTEGER NOT NULL DEFAULT 0, -- time within it that is not part of dur: stopped by a signal or a debugger, or frozen with its cgroup
    throttled   INTEGER NOT NULL DEFAULT 0, -- 1: its process's cgroup, or one above, ran out of cpu quota about then (table throttle), so it may have been stopped by that
    inject      INTEGER,                  -- tasks in the runtime's injection queue then; null not read
    lifo_end    INTEGER,                  -- as lifo, at ts_queues_end
    queued_end  INTEGER,                  -- as queued, at ts_queues_end
    inject_end  INTEGER,                  -- as inject, at ts_queues_end
    ts_queues_end INTEGER,                -- the thread's next own record behind the poll, where the queues were read again; null not read
    victims     INTEGER,                  -- tasks that were ready, in a queue that only this poll's thread served, and did not run before it was over; null: not every wake and poll about it is known (record --wakes)
    worst_delay INTEGER,                  -- how long at most one of them waited while this poll lasted; null with victims, and without any
    driver_stalled INTEGER                -- of dur: time in which no thread of the runtime waited in the I/O and timer driver, or could; null unknown, or the runtime has no driver
) STRICT;

-- The types of tasks: what Tokio keeps a vtable of functions for.
CREATE TABLE task_type (
    id          INTEGER PRIMARY KEY,
    process_id  INTEGER REFERENCES process (id), -- null unknown
    vtable      INTEGER NOT NULL,         -- address
    poll_frame_id INTEGER REFERENCES frame (id), -- its function poll; null not read
    dealloc_frame_id INTEGER REFERENCES frame (id), -- its function dealloc; null not read
    name        TEXT,                     -- the future's type; several candidates with ' | ' between; null unknown
    name_from   TEXT CHECK (name_from IN ('v0', 'dwarf', 'symbols', 'candidates')), -- where the name comes from; null with name
    kind        TEXT CHECK (kind IN ('future', 'blocking', 'worker')) -- blocking: a closure of the blocking pool; worker: Tokio's own main loop; null unknown
) STRICT;

-- Where tasks are spawned: what view spawn_site is made of.
CREATE TABLE _spawn_site (
    id          INTEGER PRIMARY KEY,
    file        TEXT,                     -- of the Location that the call was given; null it was not seen
    line        INTEGER,
    col         INTEGER,
    frame_id    INTEGER REFERENCES frame (id) -- return address into what called spawn, of the first call; null unknown
) STRICT;

-- Where tasks are spawned: a row for each call in the program's text, as far as it is known: by the Location that the call was given, else by debug information
-- of the code that called spawn.
CREATE VIEW spawn_site AS
SELECT
    s.id,                                 -- as task.site_id
    coalesce(s.file, y.file) AS file,     -- source file as the compiler was given it; null unknown
    CASE WHEN s.file IS NULL THEN y.line ELSE s.line END AS line, -- null unknown
    s.col,                                -- column; null unknown
    y.function,                           -- that called spawn: the innermost that is not Tokio's or std's; null unknown
    s.frame_id,                           -- return address into it: as frame.id; null unknown
    s.file IS NOT NULL AS from_location   -- 1: file and line are of the Location; 0: by debug information
FROM _spawn_site AS s
LEFT JOIN symbol AS y ON y.frame_id = s.frame_id
    AND y.depth = (SELECT min(i.depth) FROM symbol AS i WHERE i.frame_id = s.frame_id AND i.kind NOT IN ('runtime', 'std'));

-- Tasks whose spawn, life, poll, wake or end was recorded: what view task is made of, with what is known by polls.
CREATE TABLE _task (
    id          INTEGER PRIMARY KEY,
    layout      INTEGER NOT NULL,         -- which copy of Tokio counts its id: the capture's layout index
    process_id  INTEGER REFERENCES process (id), -- null unknown
    task_id     INTEGER NOT NULL,         -- Tokio's
    runtime_id  INTEGER REFERENCES runtime (runtime_id), -- null unknown: a task of a LocalSet, a closure of the blocking pool
    type_id     INTEGER REFERENCES task_type (id),
    site_id     INTEGER REFERENCES _spawn_site (id),
    spawned_by  INTEGER,                  -- task id, of the same copy of Tokio; null not by a task, or unknown
    spawned_from TEXT CHECK (spawned_from IN ('task', 'root', 'driver', 'blocking_pool', 'outside')), -- null unknown
    ts_spawn    INTEGER,                  -- null not seen
    ts_end      INTEGER,                  -- null not seen
    ended       TEXT CHECK (ended IN ('done', 'cancelled', 'dropped')), -- null: it was alive at the end, or its end was not seen
    blocking    INTEGER NOT NULL,         -- 1: a closure for the blocking pool
    alive_at_start INTEGER NOT NULL,      -- 1: it was in its runtime's list when that was looked at
    owner       INTEGER AS (coalesce(runtime_id, -process_id)) VIRTUAL -- as owner of polls in view task
) STRICT;

-- What view task_poll is made of.
CREATE TABLE _task_poll (
    id          INTEGER PRIMARY KEY,
    ts          INTEGER NOT NULL,
    dur         INTEGER,
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    task_row    INTEGER REFERENCES _task (id), -- null: its id could not be read
    type_id     INTEGER REFERENCES task_type (id)
) STRICT;

-- Polls as probes saw them begin and end (record --polls, --wakes), every one while the probes were there (table probe). Only where meta ascope.rows is 'all'.
CREATE VIEW task_poll AS
SELECT
    p.id,                                 -- in the order in which they began
    p.ts,                                 -- it begins
    p.dur,                                -- until it returned; null not seen
    p.thread_id,                          -- as thread.id
    t.runtime_id,                         -- as task.runtime_id
    t.task_id,                            -- null: its id could not be read
    p.type_id,                            -- as task_type.id
    p.task_row                            -- as task.id
FROM _task_poll AS p
LEFT JOIN _task AS t ON t.id = p.task_row;

-- What view task_wake is made of.
CREATE TABLE _task_wake (
    id          INTEGER PRIMARY KEY,
    ts          INTEGER NOT NULL,
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    task_row    INTEGER REFERENCES _task (id), -- null: its id could not be read
    type_id     INTEGER REFERENCES task_type (id),
    waker       TEXT NOT NULL CHECK (waker IN ('task', 'completion', 'root', 'driver', 'blocking_pool', 'outside', 'unknown')),
    waker_task  INTEGER,
    delay       INTEGER
) STRICT;

-- Wakes that put a task into a run queue (record --wakes): not those of a task that is queued already, nor a task's own while it is polled (it is then queued at
-- the end of the poll). A spawn is none. Only where meta ascope.rows is 'all'.
CREATE VIEW task_wake AS
SELECT
    w.id,                                 -- in the order of time
    w.ts,                                 -- the task is ready from here
    w.thread_id,                          -- thread that woke it: as thread.id
    t.runtime_id,                         -- as task.runtime_id
    t.task_id,                            -- the woken task; null: its id could not be read
    w.type_id,                            -- of the woken task: as task_type.id
    w.waker,                              -- task: from within its poll; completion: the end of a task that was joined; root: a future of block_on; driver: a timer, I/O or a yield; blocking_pool: a closure of it; outside: a thread without a runtime; unknown
    w.waker_task,                         -- task id of the waker, where it is a task or a closure; null else
    w.delay,                              -- until its next poll began; null not seen
    w.task_row                            -- as task.id
FROM _task_wake AS w
LEFT JOIN _task AS t ON t.id = w.task_row;

-- Which tasks a block delayed: as poll.victims counts them (doc/tasks.md). Only where meta ascope.rows is 'all'.
CREATE TABLE block_victim (
    poll_id     INTEGER NOT NULL REFERENCES poll (id), -- the block
    task_row    INTEGER NOT NULL REFERENCES _task (id), -- the delayed task: as task.id
    wake_id     INTEGER,                  -- as task_wake.id; null: it was ready since it was spawned
    ts          INTEGER NOT NULL,         -- it was ready from here
    delayed     INTEGER NOT NULL,         -- how long of the block it waited
    thread_id   INTEGER NOT NULL REFERENCES thread (id) -- what woke or spawned it: as thread.id
) STRICT;

-- When nobody served a runtime's timers and I/O: each of its workers was in a poll, or parked elsewhere (doc/tasks.md). Spans of one runtime do not overlap; poll.driver_stalled is what of them lies in a poll.
CREATE TABLE driver_stall (
    runtime_id  INTEGER NOT NULL REFERENCES runtime (runtime_id),
    ts          INTEGER NOT NULL,
    dur         INTEGER NOT NULL
) STRICT;

-- Probes in the target's code (uprobes): which were there from when to when, what they cost, and why some were not. No row: none was asked for.
CREATE TABLE probe (
    ts          INTEGER NOT NULL,
    process_id  INTEGER REFERENCES process (id), -- null all
    module_id   INTEGER REFERENCES module (id), -- null unknown
    grp         TEXT NOT NULL,            -- spawn, bind, blocking, complete, dealloc, poll, poll_end, schedule
    action      TEXT NOT NULL CHECK (action IN ('attached', 'not possible', 'taken away', 'at end')), -- taken away: by the governor (record --max-overhead)
    places      INTEGER NOT NULL,         -- places in the code
    hits        INTEGER NOT NULL,         -- how often they were hit until then
    cost        INTEGER NOT NULL,         -- estimated cpu time of that
    why         TEXT                      -- reason; null none
) STRICT;

-- What to try against blocks, by class, detail and library (ascope-libraries(5)); each sentence once.
CREATE TABLE advice (
    id          INTEGER PRIMARY KEY,
    text        TEXT NOT NULL
) STRICT;

-- The distinct states, roles and classes of rows of _offcpu (view offcpu says what they mean).
CREATE TABLE _wait (
    id          INTEGER PRIMARY KEY,
    state       TEXT NOT NULL CHECK (state IN ('S', 'D', 'I', 'T', 't', 'X', 'Z', 'P', 'R', '?')),
    role        TEXT NOT NULL,
    class       TEXT,
    rule        TEXT,
    syscall     TEXT,
    detail      TEXT
) STRICT;

-- The rows of view offcpu, narrow. Where only reports of blocked polls were made (meta ascope.rows is 'polls') the rows of such polls alone are here:
-- `ascope query FILE --load` loads the others.
-- Contract: of one thread, each row is an interval [ts, ts + dur) off its cpu, before it one of length `ran` on `cpu`, which began no earlier than the
-- row before ended. Between the two, and where ran is null, nothing is known (gaps). What a thread ran after its last row is in thread (ts_last_in).
-- Ids are in the order in which intervals ended and do not depend on how many rows were loaded.
CREATE TABLE _offcpu (
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    ts          INTEGER NOT NULL,         -- switched out
    id          INTEGER NOT NULL,
    dur         INTEGER,                  -- until switched in; null = still out at the end of the recording
    waking      INTEGER,                  -- woken so long after ts; null when preempted or not seen
    cpu         INTEGER,                  -- where it ran before; null when it was out before the recording
    wait_id     INTEGER NOT NULL REFERENCES _wait (id),
    poll_id     INTEGER REFERENCES poll (id),
    stack_id    INTEGER REFERENCES stack (id),
    kstack_id   INTEGER REFERENCES stack (id),
    waker_tid   INTEGER,                  -- as in offcpu
    waker_task  INTEGER,                  -- as in offcpu
    ran         INTEGER,                  -- as in offcpu
    waker_stack_id INTEGER REFERENCES stack (id), -- as in offcpu
    waker_kstack_id INTEGER REFERENCES stack (id), -- as in offcpu
    PRIMARY KEY (thread_id, ts, id)
) STRICT, WITHOUT ROWID;

-- One row per time a thread was off its cpu. Its role says what the thread was doing: in_poll, parked (idle, or waiting between polls), scheduler
-- (the runtime's own code, between polls), blocking_pool, block_in_place, none (no runtime entered), unread, unknown.
-- Rules, by the system call: fault, nanosleep, futex, socket, io-uring, iowait, file, fsync, path, pipe, device, child, event-loop, other; by names in
-- its stacks: fault-stack (in a page fault, though in a system call too), dns, anon-inode (eventfd and its like), fifo-open, file-lock, file-system.
-- Details, of lock: mutex, rwlock, condvar, channel, join, once, barrier, park, block_on, semaphore, stdio, allocator, dynamic loader; network: connect,
-- accept, read, write, tls, poll, close; disk: read, write, copy, fsync, open, stat, readdir, lock, rename, unlink, mkdir, link, truncate, close, exec;
-- pipe: pipe, device, tty, open; process: wait, spawn; other: event loop, io_uring, eventfd, timerfd, signalfd, inotify, fanotify, userfaultfd, signal,
-- semaphore, message queue, memory map, random.
CREATE VIEW offcpu AS
SELECT
    o.id,                                 -- in the order in which intervals ended
    o.thread_id,                          -- table thread
    o.ts,                                 -- switched out
    o.dur,                                -- until switched in; null = still out at the end of the recording
    o.ts + o.waking AS ts_waking,         -- woken; null when preempted or not seen
    o.cpu,                                -- where it ran before; null when it was out before the recording
    w.state,                              -- S, D, I, T, t, X, Z, P as in /proc/PID/stat; R preempted or runnable
    w.role,                               -- 'in_poll', 'parked', 'scheduler', 'blocking_pool', 'block_in_place', 'none', 'unread', 'unknown'
    o.poll_id,                            -- table poll; null outside of polls
    w.class,                              -- class of the wait; null when preempted
    w.rule,                               -- which gave the class
    w.syscall,                            -- name of the system call; null none
    w.detail,                             -- what within the class; null unknown
    o.stack_id,                           -- user stack
    o.kstack_id,                          -- kernel stack
    o.waker_tid,                          -- thread that woke it; null not seen, 0 an interrupt
    o.waker_task,                         -- task that woke it; null when not from a task
    o.ran,                                -- how long it had run on cpu until ts: [ts - ran, ts) is its time on the cpu before this row; null unknown
    o.waker_stack_id,                     -- user stack of the thread that woke it; null not recorded (record --waker-stacks), or an interrupt or no target's thread did
    o.waker_kstack_id                     -- its kernel stack; null not recorded, or an interrupt did
FROM _offcpu AS o
LEFT JOIN _wait AS w ON w.id = o.wait_id;

-- The distinct modes and roles of rows of _sample.
CREATE TABLE _sample_kind (
    id          INTEGER PRIMARY KEY,
    mode        TEXT NOT NULL CHECK (mode IN ('user', 'kernel')),
    role        TEXT NOT NULL             -- as offcpu.role
) STRICT;

-- The rows of view sample, narrow; as with _offcpu, those of reported polls alone where meta ascope.rows is 'polls'.
CREATE TABLE _sample (
    thread_id   INTEGER NOT NULL REFERENCES thread (id),
    ts          INTEGER NOT NULL,
    id          INTEGER NOT NULL,         -- in the order of the file, whether or not all were loaded
    cpu         INTEGER NOT NULL,
    kind_id     INTEGER NOT NULL REFERENCES _sample_kind (id),
    poll_id     INTEGER REFERENCES poll (id),
    stack_id    INTEGER REFERENCES stack (id),
    kstack_id   INTEGER REFERENCES stack (id),
    runtime_id  INTEGER REFERENCES runtime (runtime_id), -- of a poll without row
    task_id     INTEGER,                  -- of a poll without row
    PRIMARY KEY (thread_id, ts, id)
) STRICT, WITHOUT ROWID;

-- One row per cpu-clock sample of a target's thread.
CREATE VIEW sample AS
SELECT
    s.id,                                 -- in the order of the file
    s.ts,                                 -- when
    s.thread_id,                          -- table thread
    s.cpu,                                -- on which it ran
    k.mode,                               -- 'user' or 'kernel': where it was interrupted
    k.role,                               -- as offcpu.role
    s.poll_id,                            -- table poll; null outside of polls, and where the sample is all that was seen of its poll
    s.stack_id,                           -- user stack
    s.kstack_id,                          -- kernel stack
    coalesce(s.runtime_id, (SELECT p.runtime_id FROM poll AS p WHERE p.id = s.poll_id)) AS runtime_id, -- in a poll: of the runtime that polled
    coalesce(s.task_id, (SELECT p.task_id FROM poll AS p WHERE p.id = s.poll_id)) AS task_id -- in a poll: of this task; null for a root future
FROM _sample AS s
LEFT JOIN _sample_kind AS k ON k.id = s.kind_id;

-- Intervals between the user's own functions START and END (record --marker): what markers saw, to be compared with what the scheduler saw. No row without
-- the option. A START belongs to the END of the same pair and task, or, outside of tasks, thread.
CREATE TABLE marker (
    id          INTEGER PRIMARY KEY,      -- in the order of STARTs
    pair        INTEGER NOT NULL,         -- number of the option, from 1
    name        TEXT,                     -- its text, START,END
    thread_id   INTEGER NOT NULL REFERENCES thread (id), -- at START
    ts          INTEGER NOT NULL,         -- START
    dur         INTEGER,                  -- until END; null: not seen
    end_thread_id INTEGER REFERENCES thread (id), -- at END: another one when the task moved at an await; null: not seen
    task_id     INTEGER,                  -- at START; null outside of tasks, or not known
    depth       INTEGER NOT NULL,         -- how many others of its pair and task (thread) were open at START
    stack_id    INTEGER REFERENCES stack (id) -- callers of START's function
) STRICT;

-- One row per blocked poll; scripts rely on its names. Every one is here: the reports' threshold (--min, 10 ms) is theirs. Left out are
-- polls that mostly waited for a cpu and held for less than 10 ms besides (held = off_cpu + on_cpu): contention, to be found in table poll.
CREATE VIEW blocking AS
SELECT
    p.ts,                                 -- CLOCK_MONOTONIC when it began to block within its poll: the first observed instant
    p.dur,                                -- from there to the last observed instant of its poll, ns, without the time that its thread was stopped
    p.dur_min,                            -- proven length
    p.dur_max,                            -- possible length: equal to dur for a wait, apart for a poll seen by samples
    p.off_cpu,                            -- part of dur: waiting
    p.on_cpu,                             -- part of dur: executing
    p.runnable,                           -- part of dur: ready, but preempted, throttled or not yet given a cpu
    p.waits,                              -- how many waits
    p.class,                              -- sleep, lock, disk, network, dns, pipe, process, fault, cpu, other: of the largest part
    p.syscall,                            -- of the largest part; null for cpu and fault
    pr.pid,                               -- as the host sees it
    pr.ns_pid,                            -- inside its own pid namespace
    t.tid,                                -- as the host sees it
    t.ns_tid,                             -- inside its own pid namespace
    p.worker,                             -- worker index; null for other threads than workers
    p.runtime_id,                         -- as runtime.runtime_id; null for root futures and local sets outside any runtime
    p.task_id,                            -- null for a root future
    p.function,                           -- the user's own innermost frame (not std, tokio, libc), inlined frames included; where there is none, a library's, else any
    p.file,                               -- of it
    p.line,                               -- of it
    p.stack_id,                           -- user stack of its largest part: spelled out in stack_text
    p.kstack_id,                          -- kernel stack of its largest part
    p.state,                              -- complete; open-start: had begun when the recording began; open-end: had not ended when it did; open-both
    p.holds,                              -- what waits while the poll does not return: runtime, localset or root
    p.rule,                               -- the rule that gave the class: see offcpu.rule; cpu
    p.samples,                            -- how many cpu-clock samples
    p.lifo,                               -- tasks in the worker's LIFO slot when it began to wait; null not read
    p.queued,                             -- tasks in the worker's local queue when it began to wait; null not read
    p.id AS poll_id,                      -- as poll.id
    p.off_cpu + p.on_cpu AS held,         -- off_cpu + on_cpu: what the poll itself took
    p.stopped,                            -- time within it that is not part of dur: stopped by a signal or a debugger, or frozen
    p.throttled,                          -- 1: the cpu quota of its cgroup, or of one above, was used up about then
    p.detail,                             -- what within the class: see offcpu.detail; null unknown
    p.library,                            -- what the function called: rusqlite, reqwest::blocking, std::fs; null: its own code waits or runs
    (SELECT a.text FROM advice AS a WHERE a.id = p.advice_id) AS advice, -- what to try; null nothing
    y.name AS task_name,                  -- the future's type: as task.name; null unknown
    n.function AS spawn_function, -- where its task was spawned: as task.spawn_function; null unknown
    coalesce(w.file, n.file) AS spawn_file, -- likewise
    CASE WHEN w.file IS NULL THEN n.line ELSE w.line END AS spawn_line, -- likewise
    p.inject,                             -- tasks in the runtime's injection queue when it began to wait; null not read
    p.lifo_end,                           -- as lifo, at the thread's next own record behind it; null not read
    p.queued_end,                         -- as queued, likewise
    p.inject_end,                         -- as inject, likewise
    p.victims,                            -- how many tasks were delayed by it (doc/tasks.md); null: needs record --wakes
    p.worst_delay,                        -- by how much at most; null unknown, or there was none
    p.driver_stalled                      -- of dur: time in which nobody served the runtime's timers and I/O; null unknown
FROM poll AS p
CROSS JOIN thread AS t ON t.id = p.thread_id
CROSS JOIN process AS pr ON pr.id = t.process_id
LEFT JOIN _task AS k ON k.id = (SELECT min(i.id) FROM _task AS i WHERE i.task_id = p.task_id AND i.owner = coalesce(p.runtime_id, -t.process_id))
LEFT JOIN task_type AS y ON y.id = k.type_id
LEFT JOIN _spawn_site AS w ON w.id = k.site_id
LEFT JOIN symbol AS n ON n.frame_id = w.frame_id
    AND n.depth = (SELECT min(i.depth) FROM symbol AS i WHERE i.frame_id = w.frame_id AND i.kind NOT IN ('runtime', 'std'))
WHERE p.classified = 1 AND (p.waits > 0 OR p.dur > 0)
  AND NOT (p.runnable > p.off_cpu + p.on_cpu AND p.off_cpu + p.on_cpu < 10000000);

-- Stacks spelled out: one row per function, inlined ones included, innermost first.
CREATE VIEW stack_text AS
SELECT
    p.stack_id,                           -- as stack.id
    p.depth + l.depth AS depth,           -- of the frame: 0 = innermost
    coalesce(s.depth, 0) AS inline_depth, -- 0 = innermost inlined function at that frame
    s.function,                           -- null: no name
    s.file,                               -- source file; null unknown
    s.line,                               -- null unknown
    coalesce(s.inlined, 0) AS inlined,    -- 1 when inlined into the next
    s.kind,                               -- as symbol.kind
    m.path AS module,                     -- file that the code is in
    f.file_off,                           -- as frame.file_off
    coalesce(p.depth + l.depth >= st.fp_from, 0) AS guessed -- 1 when a frame pointer led there (stack.fp_from)
FROM stack AS st
JOIN stack_part AS p ON p.stack_id = st.id
JOIN frame_list AS l ON l.list_id = p.list_id
JOIN frame AS f ON f.id = l.frame_id
LEFT JOIN module AS m ON m.id = f.module_id
LEFT JOIN symbol AS s ON s.frame_id = f.id;
