-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- tasks_db.sql: what a recording with --wakes adds to report_db.sql, for the tests of the reports of tasks. Six types (two vtables of one name, a closure of the
-- blocking pool, Tokio's own loop, candidates with a hostile name, one without), four places that spawn, 15 tasks, and the poll of task 30 that holds
-- worker 1 from 3.214 s for 450.21 ms, behind which task 31 stood in the LIFO slot, tasks 44 and 45 in the local queue, and whose wakes delay others in turn.

INSERT INTO task_type (id, process_id, vtable, name, name_from, kind) VALUES
    (1, 1, 94000008000000, 'orders::api::handle_upload', 'v0', 'future'),
    (2, 1, 94000008000100, 'orders::auth::login', 'dwarf', 'future'),
    (3, 1, 94000008000200, 'orders::accept_loop', 'symbols', 'future'),
    (4, 1, 94000008000300, 'orders::api::handle_upload', 'v0', 'future'),
    (5, 1, 94000008000400, 'orders::render::render_invoice::{closure}', 'symbols', 'blocking'),
    (6, 1, 94000008000500, 'tokio::runtime::scheduler::multi_thread::worker::Launch', 'symbols', 'worker'),
    (7, 1, 94000008000600, 'ev"il<a\b>' || char(27) || '[31m | orders::cache::sweep', 'candidates', 'future'),
    (8, 1, 94000008000700, NULL, NULL, NULL);
INSERT INTO _spawn_site (id, file, line, col, frame_id) VALUES
    (1, 'src/main.rs', 88, 9, NULL), (2, 'src/main.rs', 88, 40, NULL), (3, 'src/main.rs', 41, 5, NULL), (4, NULL, NULL, NULL, 10);

-- runtime, task, type, site, spawned by, from, spawn and end in us, ended, alive at start
CREATE TEMP TABLE life (rt, task, type, site, by_task, origin, spawn, done, ended, old);
INSERT INTO life VALUES
    (1, 3, 3, 3, NULL, 'root', NULL, NULL, NULL, 1),
    (1, 30, 1, 1, 3, 'task', 3100000, 3700000, 'done', 0),
    (1, 31, 1, 1, 3, 'task', 3110000, 5500000, 'done', 0),
    (1, 44, 4, 2, 3, 'task', 3120000, NULL, NULL, 0),
    (1, 45, 1, 1, 3, 'task', 3130000, 12000000, 'done', 0),
    (1, 46, 1, 1, NULL, NULL, NULL, NULL, NULL, 1),
    (1, 47, 1, 1, NULL, 'outside', 29000000, NULL, NULL, 0),
    (1, 50, 2, 3, 3, 'task', 6000000, 6200000, 'cancelled', 0),
    (1, 51, 2, 3, 3, 'task', 12000000, 12300000, 'done', 0),
    (1, 52, 2, 3, 3, 'task', 18000000, 18300000, 'done', 0),
    (1, 60, 7, 4, NULL, 'driver', 1000000, NULL, NULL, 0),
    (1, 61, 8, NULL, NULL, NULL, NULL, NULL, NULL, 0),
    (1, 80, 5, 3, 30, 'task', 3150000, 3900000, 'done', 0),
    (NULL, 1, 6, NULL, NULL, 'blocking_pool', NULL, NULL, NULL, 1);
INSERT INTO _task (layout, process_id, task_id, runtime_id, type_id, site_id, spawned_by, spawned_from, ts_spawn, ts_end, ended, blocking, alive_at_start)
SELECT 1, 1, task, rt, type, site, by_task, origin, 1000000000000 + spawn * 1000, 1000000000000 + done * 1000, ended, type IN (5, 6), old FROM life ORDER BY rowid;

-- thread, task, from and length in us
CREATE TEMP TABLE polled (thread, task, at, dur);
INSERT INTO polled VALUES
    (2, 3, 3099000, 60000), -- accepts, spawns; then the first poll of each
    (3, 30, 3100500, 10), (3, 31, 3110500, 10), (4, 44, 3120500, 10), (3, 45, 3130500, 10), (4, 60, 1000500, 10), (2, 50, 6000500, 10), (3, 51, 12000500, 10),
    (4, 52, 18000500, 10),
    (3, 30, 3213990, 450230), (3, 31, 3664300, 1200), (2, 44, 3664400, 900), (3, 45, 3665600, 2500),
    (4, 61, 3700000, 300), (2, 60, 3666000, 150), (4, 31, 5009990, 450150), (5, 45, 11499990, 450180),
    (2, 50, 6069900, 92600), (3, 51, 12069900, 88300), (4, 52, 18069900, 83700), (3, 44, 8109990, 450110), (5, 47, 29799990, NULL),
    (2, 60, 9064990, 12120), (4, 61, 14069990, 25020);
INSERT INTO _task_poll (ts, dur, thread_id, task_row, type_id)
SELECT 1000000000000 + p.at * 1000, p.dur * 1000, p.thread, t.id, t.type_id FROM polled AS p JOIN _task AS t ON t.task_id = p.task ORDER BY p.at;

-- thread that wakes, woken task, at us, who, waking task
CREATE TEMP TABLE woken (thread, task, at, waker, by_task);
INSERT INTO woken VALUES
    (3, 45, 3213900, 'driver', NULL), (3, 44, 3213950, 'driver', NULL), (3, 30, 3213960, 'driver', NULL),
    (3, 31, 3213995, 'task', 30), (3, 61, 3664900, 'task', 31), (2, 60, 3664800, 'task', 44),
    (4, 31, 5009900, 'outside', NULL), (5, 45, 11499900, 'completion', NULL), (2, 50, 6069800, 'blocking_pool', 80), (3, 51, 12069890, 'driver', NULL),
    (4, 52, 18069800, 'driver', NULL), (3, 44, 8109000, 'driver', NULL), (2, 60, 9064980, 'unknown', NULL), (4, 46, 29999000, 'root', NULL);
INSERT INTO _task_wake (ts, thread_id, task_row, type_id, waker, waker_task, delay)
SELECT ts, thread, row, type_id, waker, by_task, (SELECT min(p.ts) - w.ts FROM _task_poll AS p WHERE p.task_row = w.row AND p.ts >= w.ts)
FROM (SELECT 1000000000000 + w.at * 1000 AS ts, w.thread, t.id AS row, t.type_id, w.waker, w.by_task FROM woken AS w JOIN _task AS t ON t.task_id = w.task) AS w
ORDER BY ts;
INSERT INTO block_victim
SELECT 1, w.task_row, w.id, w.ts, min(1003664210000, w.ts + w.delay) - max(1003214000000, w.ts), w.thread_id
FROM _task_wake AS w WHERE w.ts < 1003664210000 AND w.ts > 1003213000000 AND w.ts + w.delay > 1003664210000;
UPDATE poll SET inject = 47, lifo_end = 1, queued_end = 220, inject_end = 60, ts_queues_end = 1003664220000, victims = 3, worst_delay = 450210000,
    driver_stalled = 431000000 WHERE id = 1;
UPDATE poll SET victims = 0 WHERE id = 2;
UPDATE poll SET driver_stalled = 450150000, inject = 0 WHERE id = 4;
-- polls 1 and 4, and in between a time in which nobody was blocked for long
INSERT INTO driver_stall VALUES (1, 1003233210000, 431000000), (1, 1004100000000, 1500000), (1, 1005010000000, 450150000);
INSERT INTO probe VALUES
    (1000000000000, 1, 1, 'spawn', 'attached', 3, 0, 0, NULL), (1000000000000, 1, 1, 'bind', 'attached', 2, 0, 0, NULL),
    (1000000000000, 1, 1, 'complete', 'not possible', 0, 0, 0, 'no symbol of it: the binary is stripped'),
    (1000000000000, 1, 1, 'schedule', 'attached', 4, 0, 0, NULL),
    (1020000000000, 1, 1, 'spawn', 'taken away', 3, 12345, 11000000, 'all spawn sites learned'),
    (1030000000000, 1, 1, 'bind', 'at end', 2, 12400, 13000000, NULL), (1030000000000, 1, 1, 'schedule', 'at end', 4, 99, 90000, NULL);
DROP TABLE life;
DROP TABLE polled;
DROP TABLE woken;
