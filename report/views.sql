-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- views.sql: what people query: views and small tables over the base tables of schema.sql. Embedded in ascope and run behind schema.sql (schema.c).
-- The first part has Perfetto's names and columns where the meaning is the same (public tables of trace_processor, commit ec5d16b1), so that
-- queries that people already have run here; columns that a recording has nothing for are there and null. The second is ascope's own, the third
-- is for Grafana: its column time is unix seconds. Where no clock snapshot survived (capture.realtime_start is null) it is null.
--
-- Comment lines directly above a CREATE describe it; the comment behind a column is the column's; columns of a view stand one a line, and the line of
-- FROM begins with that word. tests/unit/test_schema.c holds them to it.

-- This table: what every table, view and column means.
CREATE TABLE ascope_doc (
    name        TEXT NOT NULL,            -- of the table or view; a leading underscore: internal, may change
    "column"    TEXT,                     -- null: text is about the table or view itself
    text        TEXT NOT NULL             -- in one sentence or two
) STRICT;

-- The thread that woke another is known by its tid only.
CREATE INDEX thread_by_tid ON thread (tid);

-- ---- Perfetto's names ----

-- Stacks of samples and polls as one tree: a row is one frame called from the row that is its parent. _stack_callsite leads from stacks into it.
CREATE TABLE stack_profile_callsite (
    id          INTEGER PRIMARY KEY,
    depth       INTEGER NOT NULL,         -- 0 = outermost
    parent_id   INTEGER REFERENCES stack_profile_callsite (id), -- the caller; null for the outermost frame
    frame_id    INTEGER NOT NULL REFERENCES frame (id)
) STRICT;

-- From a stack to its innermost frame in stack_profile_callsite. User stacks alone (kstack_id 0), and with the kernel stacks that samples have on top of them.
CREATE TABLE _stack_callsite (
    stack_id    INTEGER NOT NULL,         -- as stack.id; 0 none
    kstack_id   INTEGER NOT NULL,         -- as stack.id; 0 none
    callsite_id INTEGER NOT NULL REFERENCES stack_profile_callsite (id),
    PRIMARY KEY (stack_id, kstack_id)
) STRICT, WITHOUT ROWID;

-- From the stack_id of blocking, poll, offcpu or sample into stack_profile_callsite.
CREATE VIEW stack_callsite AS
SELECT
    stack_id,                             -- user stack
    callsite_id                           -- its innermost frame
FROM _stack_callsite WHERE kstack_id = 0;

-- What each thread did when. One row for each time that it ran, waited, or was ready to run; where there is no row, nothing is known (gaps).
CREATE VIEW thread_state AS
SELECT
    o.id * 4 AS id,                       -- unique
    o.ts - o.ran AS ts,                   -- from here
    o.ran AS dur,                         -- for so long; -1: the end is not known, or lies behind the recording
    o.cpu AS cpu,                         -- where it ran; null when it did not
    o.thread_id AS utid,                  -- as thread.utid
    'Running' AS state,                   -- Running; R ready since it was woken; R+ preempted; else what it waited in (S, D, I, T, t, X, Z, P as in ps(1); ? unknown)
    NULL AS io_wait,                      -- 1: it waited for a disk (the kernel's in_iowait); null when it did not wait
    NULL AS blocked_function,             -- not recorded; see class, syscall and offcpu.kstack_id
    NULL AS waker_utid,                   -- of R: the thread that woke it, when that is known and a target's
    NULL AS waker_id,                     -- not recorded
    NULL AS irq_context,                  -- of R: 1 woken by an interrupt
    o.cpu AS ucpu,                        -- as cpu
    NULL AS class,                        -- of a wait: as offcpu.class
    NULL AS syscall                       -- of a wait
FROM offcpu AS o WHERE o.ran IS NOT NULL
UNION ALL
SELECT t.id * 4 + 3, t.ts_last_in, t.ts_last_out - t.ts_last_in, t.last_cpu, t.id, 'Running', NULL, NULL, NULL, NULL, NULL, t.last_cpu, NULL, NULL
FROM thread AS t WHERE t.ts_last_in IS NOT NULL
UNION ALL
SELECT o.id * 4 + 1, o.ts, coalesce(o.ts_waking - o.ts, o.dur, -1), NULL, o.thread_id, CASE o.state WHEN 'R' THEN 'R+' ELSE o.state END,
       CASE WHEN o.state <> 'R' THEN coalesce(o.rule = 'iowait', 0) END, NULL, NULL, NULL, NULL, NULL, o.class, o.syscall
FROM offcpu AS o
UNION ALL
SELECT o.id * 4 + 2, o.ts_waking, coalesce(o.ts + o.dur - o.ts_waking, -1), NULL, o.thread_id, 'R', NULL, NULL,
       (SELECT w.id FROM thread AS w WHERE w.tid = o.waker_tid AND coalesce(w.ts_start, 0) <= o.ts_waking AND (w.ts_end IS NULL OR w.ts_end >= o.ts_waking)
        ORDER BY w.ts_start DESC LIMIT 1), NULL, o.waker_tid = 0, NULL, NULL, NULL
FROM offcpu AS o WHERE o.ts_waking IS NOT NULL;

-- When which thread ran on which cpu: threads of the targets only.
CREATE VIEW sched_slice AS
SELECT
    o.id * 4 AS id,                       -- as thread_state.id
    o.ts - o.ran AS ts,                   -- switched in
    o.ran AS dur,                         -- until switched out, or the end of the recording
    o.cpu AS cpu,                         -- number of the cpu; null unknown
    o.thread_id AS utid,                  -- as thread.utid
    CASE o.state WHEN 'R' THEN 'R+' ELSE o.state END AS end_state, -- why it stopped: R+ preempted, else the state that it waited in; null: exit, or the end of the recording
    NULL AS priority,                     -- not recorded
    o.cpu AS ucpu                         -- as cpu
FROM offcpu AS o WHERE o.ran IS NOT NULL
UNION ALL
SELECT t.id * 4 + 3, t.ts_last_in, t.ts_last_out - t.ts_last_in, t.last_cpu, t.id, NULL, NULL, t.last_cpu
FROM thread AS t WHERE t.ts_last_in IS NOT NULL;

-- The same as sched_slice.
CREATE VIEW sched AS
SELECT
    id,                                   -- as thread_state.id
    ts,                                   -- switched in
    dur,                                  -- until switched out, or the end of the recording
    cpu,                                  -- number of the cpu; null unknown
    utid,                                 -- as thread.utid
    end_state,                            -- why it stopped
    priority,                             -- not recorded
    ucpu                                  -- as cpu
FROM sched_slice;

-- Polls, and the waits in them one level deeper; and, on tracks of their own, markers.
CREATE VIEW slice AS
SELECT
    p.id * 4 AS id,                       -- unique
    p.ts AS ts,                           -- from here
    p.dur + p.stopped AS dur,             -- for so long; -1: the end is not known
    p.thread_id * 2 AS track_id,          -- as thread_track.id
    CASE p.classified WHEN 1 THEN 'poll' ELSE 'unclassified' END AS category, -- poll; unclassified (may be several polls); wait; marker
    coalesce(p.function, 'poll') AS name, -- of a poll its function; of a wait its system call or class; of a marker the option's text
    0 AS depth,                           -- 0, waits 1
    NULL AS parent_id,                    -- of a wait: the slice of its poll
    NULL AS arg_set_id,                   -- not recorded
    NULL AS thread_ts,                    -- not recorded
    p.on_cpu AS thread_dur,               -- of a poll: time on a cpu
    CASE p.classified WHEN 1 THEN 'poll' ELSE 'unclassified' END AS cat, -- as category
    p.id AS poll_id,                      -- row of poll; null for markers
    p.task_id AS task_id                  -- null for root futures
FROM poll AS p
UNION ALL
SELECT o.id * 4 + 1, o.ts, coalesce(o.dur, -1), o.thread_id * 2, 'wait', coalesce(o.syscall, o.class, 'preempted'), 1, o.poll_id * 4, NULL, NULL, 0, 'wait',
       o.poll_id, NULL
FROM offcpu AS o WHERE o.poll_id IS NOT NULL
UNION ALL
SELECT m.id * 4 + 2, m.ts, coalesce(m.dur, -1), m.thread_id * 2 + 1, 'marker', coalesce(m.name, 'marker'), m.depth, NULL, NULL, NULL, NULL, 'marker', NULL, m.task_id
FROM marker AS m;

-- Tracks of slices: two for each thread.
CREATE VIEW thread_track AS
SELECT
    t.id * 2 AS id,                       -- unique
    t.name AS name,                       -- the thread's
    'thread_execution' AS type,           -- thread_execution: polls and their waits; thread_marker
    NULL AS parent_id,                    -- not used
    NULL AS source_arg_set_id,            -- not recorded
    t.id AS utid                          -- as thread.utid
FROM thread AS t
UNION ALL
SELECT t.id * 2 + 1, t.name || ' markers', 'thread_marker', NULL, NULL, t.id
FROM thread AS t WHERE t.id IN (SELECT m.thread_id FROM marker AS m);

-- Tracks of counter: for each worker, how many tasks are in its local queue.
CREATE VIEW counter_track AS
SELECT
    -(w.runtime_id * 65536 + coalesce(w.worker, 65535)) AS id, -- below 0
    printf('queue of worker %s of runtime %d', coalesce(w.worker, '-'), w.runtime_id) AS name, -- what is counted
    'worker_queue' AS type,               -- worker_queue
    NULL AS parent_id,                    -- not used
    'tasks' AS unit,                      -- tasks
    w.runtime_id AS runtime_id,           -- as runtime.runtime_id
    w.worker AS worker                    -- worker index
FROM (SELECT DISTINCT runtime_id, worker FROM worker) AS w;

-- Numbers that change: tasks that wait in a worker's local queue, as read when it began to wait within a poll.
CREATE VIEW counter AS
SELECT
    p.id AS id,                           -- unique
    p.ts AS ts,                           -- when it was read
    -(p.runtime_id * 65536 + coalesce(p.worker, 65535)) AS track_id, -- as counter_track.id
    p.queued + coalesce(p.lifo, 0) AS value, -- tasks in its queue and its LIFO slot
    NULL AS arg_set_id                    -- not recorded
FROM poll AS p WHERE p.queued IS NOT NULL AND p.runtime_id IS NOT NULL;

-- All tracks.
CREATE VIEW track AS
SELECT
    id,                                   -- as thread_track.id or counter_track.id
    name,                                 -- what is on it
    type,                                 -- thread_execution, thread_marker, worker_queue
    parent_id,                            -- not used
    source_arg_set_id                     -- not recorded
FROM thread_track
UNION ALL
SELECT id, name, type, parent_id, NULL
FROM counter_track;

-- Wakeups from within one poll that ended a wait in another.
CREATE VIEW flow AS
SELECT
    o.id AS id,                           -- as offcpu.id
    w.id * 4 AS slice_out,                -- the poll that woke (slice.id)
    o.poll_id * 4 AS slice_in,            -- the poll that waited (slice.id)
    NULL AS trace_id,                     -- not recorded
    NULL AS arg_set_id                    -- not recorded
FROM offcpu AS o
JOIN thread AS t ON t.tid = o.waker_tid
JOIN poll AS w ON w.id = (SELECT p.id FROM poll AS p WHERE p.thread_id = t.id AND p.ts <= o.ts_waking ORDER BY p.ts DESC LIMIT 1)
WHERE o.poll_id IS NOT NULL AND o.ts_waking IS NOT NULL AND o.ts_waking <= w.ts + w.dur + w.stopped;

-- Cpu-clock samples of the targets' threads.
CREATE VIEW perf_sample AS
SELECT
    s.id AS id,                           -- as sample.id
    s.ts AS ts,                           -- when
    s.thread_id AS utid,                  -- as thread.utid
    s.cpu AS cpu,                         -- number of the cpu
    s.mode AS cpu_mode,                   -- user or kernel
    c.callsite_id AS callsite_id,         -- innermost frame, the kernel's on top of the program's; null without a stack
    CASE WHEN u.status NOT IN ('whole', 'frame_pointers') THEN u.status END AS unwind_error, -- as stack.status; null when the walk came to the outermost frame
    1 AS perf_session_id                  -- 1
FROM sample AS s
LEFT JOIN _stack_callsite AS c ON c.stack_id = coalesce(s.stack_id, 0) AND c.kstack_id = coalesce(s.kstack_id, 0)
LEFT JOIN stack AS u ON u.id = s.stack_id;

-- Files that code came from: one row for each, whatever it was mapped as (see mapping); so start, end and offsets are 0 and rel_pc counts from the file's start.
CREATE VIEW stack_profile_mapping AS
SELECT
    m.id AS id,                           -- as module.id
    coalesce(m.build_id, '') AS build_id, -- hex
    0 AS exact_offset,                    -- 0
    0 AS start_offset,                    -- 0
    0 AS start,                           -- 0
    0 AS "end",                           -- 0
    0 AS load_bias,                       -- 0
    m.path AS name                        -- path on the recording host
FROM module AS m;

-- Distinct code addresses.
CREATE VIEW stack_profile_frame AS
SELECT
    f.id AS id,                           -- as frame.id
    (SELECT s.function FROM symbol AS s WHERE s.frame_id = f.id ORDER BY s.depth DESC LIMIT 1) AS name, -- function that the code is in: the one that others were inlined into; null without names
    f.module_id AS mapping,               -- as stack_profile_mapping.id; null outside of every file
    f.file_off AS rel_pc,                 -- as frame.file_off
    CASE WHEN EXISTS (SELECT 1 FROM symbol AS s WHERE s.frame_id = f.id) THEN f.id END AS symbol_set_id, -- as stack_profile_symbol.symbol_set_id
    NULL AS deobfuscated_name             -- not used
FROM frame AS f;

-- Functions at a frame, inlined ones first.
CREATE VIEW stack_profile_symbol AS
SELECT
    s.frame_id * 256 + s.depth AS id,     -- unique
    s.frame_id AS symbol_set_id,          -- as stack_profile_frame.symbol_set_id
    s.function AS name,                   -- demangled
    s.file AS source_file,                -- null unknown
    s.line AS line_number,                -- null unknown
    s.inlined AS inlined                  -- 1 when inlined into the next
FROM symbol AS s;

-- Facts of the recording, each under its name.
CREATE VIEW metadata AS
SELECT
    m.key AS name,                        -- as meta.key
    'single' AS key_type,                 -- single
    CASE WHEN m.value NOT GLOB '*[^0-9]*' AND length(m.value) BETWEEN 1 AND 18 THEN CAST(m.value AS INTEGER) END AS int_value, -- of a number
    CASE WHEN m.value GLOB '*[^0-9]*' OR length(m.value) NOT BETWEEN 1 AND 18 THEN m.value END AS str_value -- of anything else
FROM meta AS m;

-- Counters of the recorder, and what is missing.
CREATE VIEW stats AS
SELECT
    t.key AS name,                        -- as total.key, or data_loss. and loss.cause
    NULL AS idx,                          -- not used
    'info' AS severity,                   -- info or data_loss
    'trace' AS source,                    -- trace: the recorder; analysis: the loader
    t.value AS value                      -- a count
FROM total AS t
UNION ALL
SELECT 'data_loss.' || l.cause, NULL, 'data_loss', 'analysis', l.count
FROM loss AS l;

-- ---- ascope's own ----

-- One row per task that is known by anything: its spawn, its end, the runtime's list of tasks, or a poll that was caught. What was not recorded is null.
CREATE VIEW task AS
SELECT
    coalesce(k.runtime_id, CASE WHEN p.owner > 0 THEN p.owner END) AS runtime_id, -- as runtime.runtime_id; null unknown
    p.task_id AS task_id,                 -- Tokio's
    y.name AS name,                       -- the future's type; null unknown
    s.function AS spawn_function,         -- that spawned it: as spawn_site.function; null unknown
    s.file AS spawn_file,                 -- where: as spawn_site.file; null unknown
    s.line AS spawn_line,                 -- likewise
    k.spawned_by AS spawned_by,           -- id of the task that spawned it; null not by a task, or unknown
    k.ts_spawn AS ts_spawn,               -- null not seen
    k.ts_end AS ts_end,                   -- null not seen
    p.busy AS busy,                       -- time in its polls, of those that were caught (a wait or two records lie in them): a lower bound
    p.blocked AS blocked,                 -- of that, time in which its thread waited
    p.on_cpu AS on_cpu,                   -- of that, time executing
    p.runnable AS runnable,               -- of that, time ready but not running
    p.polls AS polls,                     -- polls that were caught, if only by one sample
    p.longest AS longest,                 -- the longest of them; null none
    p.ts_first AS ts_first,               -- first caught; null never
    p.ts_last AS ts_last,                 -- last caught; null never
    k.type_id AS type_id,                 -- as task_type.id; null unknown
    k.site_id AS site_id,                 -- as spawn_site.id; null unknown
    k.spawned_from AS spawned_from,       -- task, root (a future of block_on), driver (the runtime between polls), blocking_pool, outside; null unknown
    k.ended AS ended,                     -- done, cancelled, dropped (freed without either seen); null: its end was not seen
    coalesce(y.kind, CASE k.blocking WHEN 1 THEN 'blocking' END) AS kind, -- future; blocking: a closure of the blocking pool; worker: Tokio's own main loop; null unknown
    CASE WHEN k.ts_end IS NOT NULL THEN 0 WHEN k.ts_spawn IS NOT NULL OR k.alive_at_start = 1 THEN 1 END AS alive_at_end, -- 1: it began, or was there at the start, and no end was seen; null unknown
    coalesce(k.alive_at_start, 0) AS alive_at_start, -- 1: it was in its runtime's list of tasks when the recording began
    p.row AS id                           -- as task_poll.task_row and task_wake.task_row; null: known by polls that were caught alone
FROM (SELECT o.owner, o.task_id, max(o.row) AS row, count(o.ts) AS polls, max(o.dur) AS longest, min(o.ts) AS ts_first, max(o.ts + o.dur + o.stopped) AS ts_last,
             CAST(total(o.dur) AS INTEGER) AS busy, CAST(total(o.off_cpu) AS INTEGER) AS blocked, CAST(total(o.on_cpu) AS INTEGER) AS on_cpu,
             CAST(total(o.runnable) AS INTEGER) AS runnable
      FROM (SELECT coalesce(q.runtime_id, -(SELECT h.process_id FROM thread AS h WHERE h.id = q.thread_id)) AS owner, q.task_id AS task_id, NULL AS row, q.ts AS ts,
                   q.dur AS dur, q.off_cpu AS off_cpu, q.on_cpu AS on_cpu, q.runnable AS runnable, q.stopped AS stopped
            FROM poll AS q WHERE q.task_id IS NOT NULL
            UNION ALL
            SELECT coalesce(m.runtime_id, -(SELECT h.process_id FROM thread AS h WHERE h.id = m.thread_id)), m.task_id, NULL, m.ts, 0, 0, 0, 0, 0
            FROM _sample AS m WHERE m.task_id IS NOT NULL
            UNION ALL
            SELECT i.owner, i.task_id, i.id, NULL, NULL, NULL, NULL, NULL, NULL FROM _task AS i) AS o
      GROUP BY o.owner, o.task_id) AS p
LEFT JOIN _task AS k ON k.id = p.row
LEFT JOIN task_type AS y ON y.id = k.type_id
LEFT JOIN spawn_site AS s ON s.id = k.site_id;

-- How long tasks that became ready waited for their poll: one row per wake whose poll was seen (record --wakes).
CREATE VIEW task_delay AS
SELECT
    w.id AS wake_id,                      -- as task_wake.id
    w.ts AS ts,                           -- ready from here
    w.delay AS delay,                     -- until its next poll began
    t.runtime_id AS runtime_id,           -- as task.runtime_id
    t.task_id AS task_id,                 -- of the woken task
    y.name AS name,                       -- the future's type; null unknown
    t.site_id AS site_id,                 -- as spawn_site.id
    w.waker AS waker,                     -- as task_wake.waker
    w.waker_task AS waker_task,           -- as task_wake.waker_task
    w.task_row AS task_row                -- as task.id
FROM _task_wake AS w
LEFT JOIN _task AS t ON t.id = w.task_row
LEFT JOIN task_type AS y ON y.id = t.type_id
WHERE w.delay IS NOT NULL;

-- Places that spawn tasks: how many, what their polls that were caught took, and how long they waited to be polled (delays: record --wakes).
CREATE VIEW spawn_site_stats AS
SELECT
    s.id AS site_id,                      -- as spawn_site.id
    s.function AS function,               -- as spawn_site.function
    s.file AS file,                       -- as spawn_site.file
    s.line AS line,                       -- as spawn_site.line
    count(*) AS tasks,                    -- spawned there
    CAST(total(t.alive_at_end) AS INTEGER) AS alive_at_end, -- of these, not ended
    CAST(total(t.busy) AS INTEGER) AS busy, -- as task.busy, summed
    CAST(total(t.blocked) AS INTEGER) AS blocked, -- as task.blocked, summed
    d.wakes AS wakes,                     -- wakes whose poll was seen; null none
    d.p50 AS delay_p50,                   -- half of them waited no longer
    d.p99 AS delay_p99,                   -- 99 of 100
    d.longest AS delay_max                -- the longest
FROM task AS t
JOIN spawn_site AS s ON s.id = t.site_id
LEFT JOIN (SELECT r.site_id, max(r.n) AS wakes, max(r.delay) AS longest, min(CASE WHEN r.at * 2 >= r.n THEN r.delay END) AS p50,
                  min(CASE WHEN r.at * 100 >= r.n * 99 THEN r.delay END) AS p99
           FROM (SELECT e.site_id, e.delay, row_number() OVER (PARTITION BY e.site_id ORDER BY e.delay) AS at, count(*) OVER (PARTITION BY e.site_id) AS n
                 FROM task_delay AS e WHERE e.site_id IS NOT NULL) AS r
           GROUP BY r.site_id) AS d ON d.site_id = s.id
GROUP BY s.id;

-- The worker that each thread served first: one row per thread of a runtime (worker has all).
CREATE VIEW worker_thread AS
SELECT
    w.thread_id AS thread_id,             -- as thread.id
    w.runtime_id AS runtime_id,           -- as runtime.runtime_id
    w.worker AS worker,                   -- worker index; null for the thread of a current_thread runtime
    min(w.ts) AS ts                       -- first seen
FROM worker AS w
GROUP BY w.thread_id;

-- One row per time that a thread was woken: who woke it, and how long it then waited for a cpu.
CREATE VIEW wakeup AS
SELECT
    o.ts_waking AS ts,                    -- woken
    o.thread_id AS thread_id,             -- the woken thread
    t.tid AS tid,                         -- of it
    o.waker_tid AS waker_tid,             -- the thread that woke it; 0 an interrupt, null not seen
    o.waker_task AS waker_task,           -- the task that woke it; null when not from a task
    o.ts_waking - o.ts AS slept,          -- how long it had waited
    o.ts + o.dur - o.ts_waking AS delay,  -- from then until it ran; null at the end of the recording
    o.role AS role,                       -- what it was doing: as offcpu.role
    o.class AS class,                     -- of the wait that ended
    o.poll_id AS poll_id,                 -- that the wait lies in
    o.id AS offcpu_id                     -- the wait
FROM offcpu AS o
JOIN thread AS t ON t.id = o.thread_id
WHERE o.ts_waking IS NOT NULL;

-- How much of each thread's time is known.
CREATE VIEW coverage AS
SELECT
    t.id AS thread_id,                    -- as thread.id
    t.tid AS tid,                         -- of it, as the host sees it
    t.name AS name,                       -- latest name
    c.end_ts - c.begin_ts AS dur,         -- how long it was there during the recording
    c.on_cpu AS on_cpu,                   -- of that: running
    c.off_cpu AS off_cpu,                 -- of that: waiting, or ready but not running
    max(c.end_ts - c.begin_ts - c.on_cpu - c.off_cpu, 0) AS unknown, -- of that: neither is known
    c.gaps AS gaps,                       -- of that: in a gap, where events may be missing; gaps that overlap are all counted
    c.rows AS rows                        -- rows of offcpu
FROM thread AS t
JOIN (SELECT x.id, x.begin_ts, x.end_ts, coalesce(o.rows, 0) AS rows, coalesce(o.on_cpu, 0) + x.last_ran AS on_cpu,
             coalesce(o.off_cpu + CASE WHEN o.last_dur IS NULL THEN x.end_ts - o.last_ts ELSE 0 END, 0) AS off_cpu,
             (SELECT CAST(total(min(g.ts_end, x.end_ts) - max(g.ts, x.begin_ts)) AS INTEGER) FROM gap AS g WHERE g.ts < x.end_ts AND g.ts_end > x.begin_ts) AS gaps
      FROM (SELECT t.id, coalesce(t.ts_last_out - t.ts_last_in, 0) AS last_ran, max(coalesce(t.ts_start, 0), k.ts_start) AS begin_ts, min(coalesce(t.ts_end, k.ts_end), k.ts_end) AS end_ts FROM thread AS t, capture AS k) AS x
      LEFT JOIN (SELECT thread_id, count(*) AS rows, CAST(total(ran) AS INTEGER) AS on_cpu, CAST(total(dur) AS INTEGER) AS off_cpu, max(ts) AS last_ts, dur AS last_dur
                 FROM _offcpu GROUP BY thread_id) AS o
          ON o.thread_id = x.id) AS c ON c.id = t.id;

-- ---- for Grafana: time is unix seconds ----

-- Blocked polls over time.
CREATE VIEW v_blocking_ts AS
SELECT
    (k.realtime_start + b.ts - k.ts_start) / 1e9 AS time, -- when it began, unix seconds
    b.dur / 1e6 AS dur_ms,                -- for so long
    b.class AS class,                     -- as blocking.class
    coalesce(b.function, '?') AS function, -- the user's own innermost frame
    b.holds AS holds,                     -- what waits meanwhile: runtime, localset or root
    b.runtime_id AS runtime_id,           -- as runtime.runtime_id
    b.worker AS worker,                   -- worker index
    b.poll_id AS poll_id                  -- as poll.id
FROM blocking AS b, capture AS k;

-- How busy each worker's thread was in each second since the recording began.
CREATE VIEW v_utilisation_ts AS
SELECT
    (k.realtime_start + u.second * 1000000000) / 1e9 AS time, -- begin of the second, unix seconds
    coalesce('worker ' || w.worker, t.name) AS name, -- worker 0, worker 1, ...; the thread of a current_thread runtime has its own name
    CAST(u.ran AS REAL) / min(1000000000, k.ts_end - k.ts_start - u.second * 1000000000) AS busy, -- share of the second that it was on a cpu, 0 to 1
    w.runtime_id AS runtime_id,           -- as runtime.runtime_id
    t.tid AS tid                          -- of its thread
FROM (WITH RECURSIVE
          run (thread_id, s, e) AS (
              SELECT o.thread_id, o.ts - o.ran - k.ts_start, o.ts - k.ts_start
              FROM worker_thread AS w, capture AS k CROSS JOIN offcpu AS o ON o.thread_id = w.thread_id WHERE o.ran > 0
              UNION ALL
              SELECT t.id, t.ts_last_in - k.ts_start, t.ts_last_out - k.ts_start
              FROM worker_thread AS w, capture AS k JOIN thread AS t ON t.id = w.thread_id WHERE t.ts_last_out > t.ts_last_in),
          rest (thread_id, second, e) AS (
              SELECT thread_id, s / 1000000000 + 1, e FROM run WHERE e > (s / 1000000000 + 1) * 1000000000
              UNION ALL
              SELECT thread_id, second + 1, e FROM rest WHERE e > (second + 1) * 1000000000
              LIMIT 500000) -- 64 workers for two hours; a damaged time may be centuries away
      SELECT thread_id, second, sum(ran) AS ran
      FROM (SELECT thread_id, s / 1000000000 AS second, min(e, (s / 1000000000 + 1) * 1000000000) - s AS ran FROM run
            UNION ALL
            SELECT thread_id, second, min(e - second * 1000000000, 1000000000) FROM rest)
      GROUP BY 1, 2) AS u
JOIN worker_thread AS w ON w.thread_id = u.thread_id
JOIN thread AS t ON t.id = u.thread_id, capture AS k;

-- How long threads that were woken waited for a cpu.
CREATE VIEW v_wakeup_ts AS
SELECT
    (k.realtime_start + w.ts - k.ts_start) / 1e9 AS time, -- when woken, unix seconds
    w.delay / 1e6 AS delay_ms,            -- from then until it ran
    t.name AS thread,                     -- the woken thread
    w.tid AS tid,                         -- of it
    w.role AS role                        -- what it was doing: as offcpu.role
FROM wakeup AS w
JOIN thread AS t ON t.id = w.thread_id, capture AS k
WHERE w.delay IS NOT NULL;

-- Spans in which events may be missing: for annotations.
CREATE VIEW v_gap_ts AS
SELECT
    (k.realtime_start + g.ts - k.ts_start) / 1e9 AS time, -- from here, unix seconds
    (k.realtime_start + g.ts_end - k.ts_start) / 1e9 AS time_end, -- to here
    g.cause || ': ' || g.count AS text,   -- what was lost, and how much
    g.cause AS cause,                     -- as gap.cause
    g.count AS count                      -- as gap.count
FROM gap AS g, capture AS k;
