-- SPDX-License-Identifier: MIT OR Apache-2.0
--
-- report_db.sql: a believable capture database, for the tests of the views and exports; run after report/schema.sql.
-- 30 s of a web service: 4 workers, 14 polls that held a worker for 10 ms and more, and everything a report must keep apart from them:
-- a root future, a local set, polls below the threshold, possible, unclassified and contended ones, idle workers, the blocking pool, a thread never seen,
-- hostile names, stacks of every kind and status, two gaps. Times are written as ms since t0 = 1,000,000,000,000 ns.

INSERT INTO capture VALUES ('5f0c0ffe-0000-4000-8000-00000000a5c0', '/home/me/orders.ascope', 1523456, 1700000000000000000,
    1000000000000, 1030000000000, 1700000000000000000, 'prod-3', '6.18.44', 2004008, 'partial',
    'of 15,873 events 37 were lost while recording (0.23 %)' || char(10) || 'of 12 user stacks 1 is not whole (8.3 %)');
INSERT INTO meta VALUES ('tool.version', '0.1.0'), ('option.freq', '499'), ('option.stacks', 'auto');
INSERT INTO total VALUES ('lost.ring_full', 37), ('events.switch_out', 4000);
INSERT INTO loss VALUES ('ring_full', 37);
INSERT INTO gap VALUES (1017000000000, 1017250000000, 'ring_full', 30), (1017200000000, 1017300000000, 'ring_full', 7);

INSERT INTO process VALUES (1, 24036, 17, 1, 'orders', '/srv/orders/bin/orders', 990000000000, NULL, '/orders.service');
INSERT INTO thread (id, process_id, tid, ns_tid, name, ts_start, ts_end) VALUES
    (1, 1, 24036, 17, 'orders', 990000000000, NULL),
    (2, 1, 24037, 18, 'tokio-rt-worker', 990001000000, NULL),
    (3, 1, 24038, 19, 'tokio-rt-worker', 990001000000, NULL),
    (4, 1, 24039, 20, 'tokio-rt-worker', 990001000000, NULL),
    (5, 1, 24040, 21, 'tokio-rt-worker', 990001000000, NULL),
    (6, 1, 24041, 22, 'tokio-rt-worker', 1002000000000, 1028000000000),
    (7, 1, 24042, 23, 'metrics', 990002000000, NULL),
    (8, 1, 24043, 24, 'ev"il;<b>' || char(27) || '[31m 7', 990002000000, NULL);

INSERT INTO module VALUES
    (1, '/srv/orders/bin/orders', 'c0ffee0000000000000000000000000000000001', NULL, './target/release/orders', 'dwarf', NULL),
    (2, '/usr/lib/x86_64-linux-gnu/libc.so.6', 'c0ffee0000000000000000000000000000000002', NULL, '/usr/lib/x86_64-linux-gnu/libc.so.6', 'symtab', NULL),
    (3, '/opt/vendor/libweird.so.1', NULL, '00ff00ff', NULL, NULL, 'not found on this machine: pass --target libweird.so.1 as it was on prod-3'),
    (4, '[kernel]', NULL, NULL, '[capture]', 'symtab', NULL);
INSERT INTO mapping VALUES (1, 1, 94000000000000, 94000010000000, 0, 0), (1, 2, 140000000000000, 140000002000000, 0, 0);

INSERT INTO runtime VALUES
    (1, 1, 24036, '1.53.1', 'multi_thread', 4, '/srv/orders/bin/orders', 'shape scan of 4 threads, row modern', 1, 1000100000000, 1),
    (2, 1, 24036, '1.53.1', 'current_thread', 1, '/srv/orders/bin/orders', 'shape scan of 1 thread, row modern', 0, NULL, 1);
INSERT INTO worker VALUES (1, 0, 2, 1000000000000), (1, 1, 3, 1000000000000), (1, 2, 4, 1000000000000), (1, 3, 5, 1000000000000),
    (2, NULL, 7, 1000000000000);

-- Code addresses: 1-19 the program, 20-29 libc, 30-39 without names, 40-59 the kernel.
INSERT INTO frame VALUES
    (1, 1, 4096, 1), (2, 1, 4352, 1), (3, 1, 4608, 1), (4, 1, 4864, 1), (5, 1, 5120, 1), (6, 1, 5376, 0), (7, 1, 5632, 1), (8, 1, 5888, 1),
    (9, 1, 6144, 1), (10, 1, 6400, 1), (11, 1, 6656, 1), (12, 1, 6912, 1), (13, 1, 7168, 1), (14, 1, 7424, 1), (15, 1, 7680, 0),
    (20, 2, 1024, 1), (21, 2, 1280, 1), (22, 2, 1536, 1), (23, 2, 1792, 1),
    (30, 3, 512, 1), (31, 1, 9216, 1), (32, NULL, 139999999999, 1),
    (40, 4, 16, 1), (41, 4, 32, 1), (42, 4, 48, 1), (43, 4, 64, 1), (44, 4, 80, 1), (45, 4, 96, 1), (46, 4, 112, 1),
    (47, 4, 128, 1), (48, 4, 144, 1), (49, 4, 160, 1), (50, 4, 176, 1), (51, 4, 192, 1), (52, 4, 208, 1), (53, 4, 224, 1);
INSERT INTO symbol VALUES
    -- std::thread::sleep, inlined twice
    (1, 0, 'std::sys::thread::unix::sleep', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/thread/unix.rs', 570, 1, 'std'),
    (1, 1, 'std::thread::functions::sleep', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/thread/functions.rs', 301, 0, 'std'),
    (2, 0, 'orders::api::process_large_file', 'src/api.rs', 142, 1, 'user'),
    (2, 1, 'orders::api::handle_upload::{async_fn#0}', 'src/api.rs', 89, 0, 'user'),
    (3, 0, '<core::pin::Pin<P> as core::future::future::Future>::poll', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/future/future.rs', 133, 1, 'std'),
    (3, 1, 'tokio::runtime::task::core::Core<T,S>::poll', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.53.1/src/runtime/task/core.rs', 375, 1, 'runtime'),
    (3, 2, 'tokio::runtime::task::harness::poll_future', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.53.1/src/runtime/task/harness.rs', 534, 0, 'runtime'),
    (4, 0, 'tokio::runtime::scheduler::multi_thread::worker::Context::run_task', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.53.1/src/runtime/scheduler/multi_thread/worker.rs', 640, 0, 'runtime'),
    (5, 0, 'std::sys::thread::unix::Thread::new::thread_start', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/thread/unix.rs', 128, 0, 'std'),
    -- a hash: library code with one more of it inlined
    (6, 0, 'bcrypt::blowfish::Blowfish::encipher', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/bcrypt-0.15.1/src/blowfish.rs', 61, 1, 'library'),
    (6, 1, 'bcrypt::bcrypt::<[u8; 24]>', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/bcrypt-0.15.1/src/bcrypt.rs', 40, 0, 'library'),
    (7, 0, 'orders::auth::hash_password', 'src/auth.rs', 31, 0, 'user'),
    (8, 0, 'orders::auth::login::{async_fn#0}', 'src/auth.rs', 77, 0, 'user'),
    -- a file
    (9, 0, 'std::fs::read::inner', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/fs.rs', 310, 0, 'std'),
    (10, 0, 'orders::config::load_config', 'src/config.rs', 18, 0, 'user'),
    -- a lock
    (11, 0, 'std::sys::sync::mutex::futex::Mutex::lock_contended', '/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/sys/sync/mutex/futex.rs', 93, 0, 'std'),
    (12, 0, 'orders::cache::very::deeply::nested::module::of::the::application::ShardedCache<Key,Value>::get_or_insert_with::{closure#0}', 'crates/cache/src/very/deeply/nested/module/of/the/application/sharded_cache.rs', 1207, 0, 'user'),
    -- a client
    (13, 0, 'reqwest::blocking::client::Client::execute', '/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/reqwest-0.12.9/src/blocking/client.rs', 900, 0, 'library'),
    (14, 0, 'orders::pricing::fetch_rates', 'src/pricing.rs', 55, 0, 'user'),
    -- a spin in the program
    (15, 0, 'orders::render::render_invoice', 'src/render.rs', 210, 0, 'user'),
    (20, 0, 'clock_nanosleep', NULL, NULL, 0, 'native'), (21, 0, 'read', NULL, NULL, 0, 'native'),
    (22, 0, 'syscall', NULL, NULL, 0, 'native'), (23, 0, 'start_thread', NULL, NULL, 0, 'native'),
    (40, 0, '__schedule', NULL, NULL, 0, 'kernel'), (41, 0, 'schedule', NULL, NULL, 0, 'kernel'),
    (42, 0, 'do_nanosleep', NULL, NULL, 0, 'kernel'), (43, 0, 'hrtimer_nanosleep', NULL, NULL, 0, 'kernel'),
    (44, 0, '__x64_sys_clock_nanosleep', NULL, NULL, 0, 'kernel'), (45, 0, 'do_syscall_64', NULL, NULL, 0, 'kernel'),
    (46, 0, 'entry_SYSCALL_64_after_hwframe', NULL, NULL, 0, 'kernel'), (47, 0, 'io_schedule', NULL, NULL, 0, 'kernel'),
    (48, 0, 'folio_wait_bit_common', NULL, NULL, 0, 'kernel'), (49, 0, 'filemap_get_pages', NULL, NULL, 0, 'kernel'),
    (50, 0, '__x64_sys_read', NULL, NULL, 0, 'kernel'), (51, 0, 'futex_wait_queue', NULL, NULL, 0, 'kernel'),
    (52, 0, '__x64_sys_futex', NULL, NULL, 0, 'kernel'), (53, 0, 'do_epoll_wait', NULL, NULL, 0, 'kernel');

INSERT INTO stack (id, process_id, kind, status, depth, fp_from) VALUES
    (1, 1, 'user', 'whole', 6, NULL), (2, 1, 'user', 'whole', 7, NULL), (3, 1, 'user', 'whole', 7, NULL), (4, 1, 'user', 'whole', 7, NULL), (5, 1, 'user', 'whole', 4, NULL),
    (6, 1, 'user', 'no_table', 4, 2), (7, 1, 'user', 'whole', 2, NULL), (8, 1, 'user', 'whole', 4, NULL), (9, 1, 'user', 'whole', 5, NULL), (10, 1, 'user', 'truncated', 2, NULL),
    (11, 1, 'user', 'frame_pointers', 2, NULL), (12, 1, 'user', 'whole', 4, NULL), (13, 1, 'user', 'whole', 0, NULL),
    (20, NULL, 'kernel', 'whole', 7, NULL), (21, NULL, 'kernel', 'whole', 8, NULL), (22, NULL, 'kernel', 'whole', 6, NULL), (23, NULL, 'kernel', 'whole', 3, NULL);
INSERT INTO frame_list VALUES
    (1, 0, 20), (1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4), (1, 5, 5),                 -- sleep
    (2, 0, 6), (2, 1, 7), (2, 2, 8), (2, 3, 3), (2, 4, 4), (2, 5, 5), (2, 6, 23),      -- hash
    (3, 0, 21), (3, 1, 9), (3, 2, 10), (3, 3, 3), (3, 4, 4), (3, 5, 5), (3, 6, 23),    -- file
    (4, 0, 22), (4, 1, 11), (4, 2, 12), (4, 3, 3), (4, 4, 4), (4, 5, 5), (4, 6, 23),   -- lock
    (5, 0, 30), (5, 1, 31), (5, 2, 4), (5, 3, 32),                                     -- stripped parts
    (6, 0, 21), (6, 1, 13), (6, 2, 14), (6, 3, 30),                                    -- client, partly by frame pointer
    (7, 0, 20), (7, 1, 10),                                                            -- root future
    (8, 0, 22), (8, 1, 4), (8, 2, 5), (8, 3, 23),                                      -- idle pool thread
    (9, 0, 20), (9, 1, 1), (9, 2, 14), (9, 3, 5), (9, 4, 23),                          -- job of the pool
    (10, 0, 21), (10, 1, 13),                                                          -- truncated
    (11, 0, 15), (11, 1, 8),
    (12, 0, 15), (12, 1, 8), (12, 2, 3), (12, 3, 4),
    (20, 0, 40), (20, 1, 41), (20, 2, 42), (20, 3, 43), (20, 4, 44), (20, 5, 45), (20, 6, 46),
    (21, 0, 40), (21, 1, 41), (21, 2, 47), (21, 3, 48), (21, 4, 49), (21, 5, 50), (21, 6, 45), (21, 7, 46),
    (22, 0, 40), (22, 1, 41), (22, 2, 51), (22, 3, 52), (22, 4, 45), (22, 5, 46),
    (23, 0, 40), (23, 1, 41), (23, 2, 53);
INSERT INTO stack_part SELECT DISTINCT list_id, 0, list_id FROM frame_list;

-- What each stack is known by, as the loader writes it: user's code, else a library's, else anything.
INSERT INTO stack_place
SELECT stack_id, function, file, line, kind FROM (
    SELECT sf.stack_id, s.function, s.file, s.line, s.kind, row_number() OVER (PARTITION BY sf.stack_id
        ORDER BY CASE s.kind WHEN 'user' THEN 0 WHEN 'library' THEN 1 ELSE 2 END, sf.depth, s.depth) AS nth
    FROM stack AS st JOIN stack_frame AS sf ON sf.stack_id = st.id JOIN symbol AS s ON s.frame_id = sf.frame_id WHERE st.kind = 'user')
WHERE nth = 1;

-- Polls, times in us since t0; run and cpu are parts of dur, the rest is waiting.
CREATE TEMP TABLE seed (id, thread, worker, runtime, task, at, dur, dmin, dmax, cpu, run, waits, samples, class, rule, syscall, holds, classified,
    state, stack, kstack, lifo, queued);
INSERT INTO seed VALUES
    (1, 3, 1, 1, 30, 3214000, 450210, 450210, 450210, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'complete', 1, 20, 1, 199),
    (2, 4, 2, 1, 31, 5010000, 450120, 450120, 450120, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'complete', 1, 20, 0, 12),
    (3, 3, 1, 1, 44, 8110000, 450080, 450080, 450080, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'complete', 1, 20, 0, 0),
    (4, 5, 3, 1, 45, 11500000, 450150, 450150, 450150, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'complete', 1, 20, NULL, NULL),
    (5, 2, 0, 1, 46, 0, 310000, 310000, 310000, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'open-start', 1, NULL, NULL, NULL),
    (6, 5, 3, 1, 47, 29800000, 200000, 200000, 200000, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'runtime', 1, 'open-end', 1, 20, 0, 3),
    (7, 2, 0, 1, 50, 6070000, 92400, 92400, 96400, 92400, 0, 0, 47, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 2, NULL, NULL, NULL),
    (8, 3, 1, 1, 51, 12070000, 88100, 88100, 92100, 86100, 2000, 0, 44, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 2, NULL, NULL, NULL),
    (9, 4, 2, 1, 52, 18070000, 83500, 83500, 87500, 83500, 0, 0, 42, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 2, NULL, NULL, NULL),
    (10, 2, 0, 1, 60, 9065000, 12100, 12100, 12100, 100, 0, 2, 0, 'disk', 'file', 'read', 'runtime', 1, 'complete', 3, 21, 0, 0),
    (11, 4, 2, 1, 61, 14070000, 25000, 25000, 25000, 4000, 1000, 20, 2, 'lock', 'futex', 'futex', 'runtime', 1, 'complete', 4, 22, 1, 7),
    (12, 3, 1, 1, 62, 16070000, 18000, 18000, 18000, 0, 0, 1, 0, 'other', 'other', 'ioctl', 'runtime', 1, 'complete', 5, NULL, 0, 2),
    (13, 5, 3, 1, 63, 20070000, 140300, 140300, 140300, 0, 0, 1, 0, 'network', 'socket', 'recvfrom', 'runtime', 1, 'complete', 6, NULL, 1, 0),
    (14, 7, NULL, 2, NULL, 21070000, 31000, 31000, 31000, 0, 0, 1, 0, 'network', 'socket', 'recvfrom', 'runtime', 1, 'complete', 10, NULL, NULL, NULL),
    -- kept apart: a root future, a local set, below the threshold, possible, unclassified
    (15, 1, NULL, 1, NULL, 2000000, 250000, 250000, 250000, 0, 0, 1, 0, 'sleep', 'nanosleep', 'clock_nanosleep', 'root', 1, 'complete', 7, 20, NULL, NULL),
    (16, 1, NULL, NULL, 9, 4000000, 55000, 55000, 55000, 0, 0, 1, 0, 'lock', 'futex', 'futex', 'localset', 1, 'complete', 4, 22, NULL, NULL),
    (17, 2, 0, 1, 70, 22070000, 8200, 8200, 8200, 0, 0, 1, 0, 'lock', 'futex', 'futex', 'runtime', 1, 'complete', 4, 22, 0, 0),
    (18, 3, 1, 1, 71, 23070000, 8000, 8000, 12000, 8000, 0, 0, 5, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 12, NULL, NULL, NULL),
    (19, 4, 2, 1, 72, 24070000, 0, 0, 4000, 0, 0, 0, 1, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 11, NULL, NULL, NULL),
    (20, 7, NULL, 2, 3, 25070000, 28000, 28000, 30000, 28000, 0, 0, 15, 'cpu', 'cpu', NULL, 'runtime', 0, 'complete', 12, NULL, NULL, NULL),
    -- long because the CPUs were busy: no row of the view
    (21, 5, 3, 1, 73, 26070000, 15000, 15000, 15000, 2000, 13000, 0, 2, 'cpu', 'cpu', NULL, 'runtime', 1, 'complete', 12, NULL, NULL, NULL);
INSERT INTO poll (id, ts, dur, dur_min, dur_max, off_cpu, on_cpu, runnable, waits, samples, class, rule, syscall, holds, thread_id, runtime_id, worker,
    task_id, tick, joined_by, classified, state, stack_id, kstack_id, lifo, queued)
SELECT id, 1000000000000 + at * 1000, dur * 1000, dmin * 1000, dmax * 1000, (dur - cpu - run) * 1000, cpu * 1000, run * 1000, waits, samples, class,
    rule, syscall, holds, thread, runtime, worker, task, CASE WHEN classified AND worker IS NOT NULL THEN 1000 + id END,
    CASE WHEN class = 'cpu' THEN 'tick+budget' WHEN worker IS NULL THEN 'interval' ELSE 'tick' END, classified, state, stack, kstack, lifo, queued
    FROM seed ORDER BY id;
UPDATE poll SET (function, file, line) = (SELECT function, file, line FROM stack_place AS p WHERE p.stack_id = poll.stack_id);

-- Waits of polls: `waits` of equal length with on-CPU and then runnable time between them, so that the parts add up.
INSERT INTO offcpu (thread_id, ts, dur, ts_waking, cpu, state, role, poll_id, class, rule, syscall, stack_id, kstack_id, waker_tid, waker_task)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 19)
SELECT s.thread, 1000000000000 + (s.at + i * (s.dur / s.waits)) * 1000,
    CASE WHEN s.state = 'open-end' THEN NULL ELSE (s.dur / s.waits - s.cpu / s.waits) * 1000 END,
    CASE WHEN s.state = 'open-end' THEN NULL ELSE 1000000000000 + (s.at + i * (s.dur / s.waits) + s.dur / s.waits - (s.cpu + s.run) / s.waits) * 1000 END,
    CASE WHEN s.state = 'open-start' THEN NULL ELSE s.thread % 2 END, CASE s.class WHEN 'disk' THEN 'D' ELSE 'S' END, 'in_poll', s.id,
    s.class, s.rule, s.syscall, s.stack, s.kstack, CASE s.class WHEN 'lock' THEN 24037 WHEN 'sleep' THEN 0 END, CASE s.class WHEN 'lock' THEN 30 END
FROM seed AS s JOIN n ON n.i < s.waits WHERE s.waits > 0 ORDER BY s.id, i;

-- The hash of poll 8 was preempted once, poll 21 for most of its time.
INSERT INTO offcpu (thread_id, ts, dur, ts_waking, cpu, state, role, poll_id, class)
VALUES (3, 1012110000000, 2000000, NULL, 1, 'R', 'in_poll', 8, NULL), (5, 1026071000000, 13000000, NULL, 1, 'R', 'in_poll', 21, NULL);

-- Samples of the polls that hold the cpu.
INSERT INTO sample (ts, thread_id, cpu, mode, role, poll_id, stack_id, kstack_id)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
SELECT 1000000000000 + s.at * 1000 + CASE WHEN s.samples > 1 THEN i * (s.dur * 1000 / (s.samples - 1)) ELSE 0 END, s.thread, s.thread % 2, 'user',
    'in_poll', s.id, s.stack, NULL
FROM seed AS s JOIN n ON n.i < s.samples WHERE s.class = 'cpu' ORDER BY s.id, i;
-- Two of them in the kernel.
INSERT INTO sample (ts, thread_id, cpu, mode, role, poll_id, stack_id, kstack_id)
VALUES (1014070200000, 4, 0, 'kernel', 'in_poll', 11, 4, 22), (1014080000000, 4, 0, 'kernel', 'in_poll', 11, 4, 22);

-- Idle workers: parked 60 of every 100 ms wherever no poll is in the way; the thread of runtime 2 likewise.
INSERT INTO offcpu (thread_id, ts, dur, ts_waking, cpu, state, role, class, rule, syscall, kstack_id, waker_tid)
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 299),
     w (thread) AS (VALUES (2), (3), (4), (5), (7))
SELECT w.thread, 1000000000000 + n.i * 100000000 + w.thread * 1000000, 60000000, 1000000000000 + n.i * 100000000 + w.thread * 1000000 + 59950000,
    w.thread % 2, 'S', 'parked', 'other', 'event_loop', 'epoll_wait', 23, 0
FROM n, w WHERE NOT EXISTS (SELECT 1 FROM seed AS s WHERE s.thread = w.thread AND s.at * 1000 < n.i * 100000000 + w.thread * 1000000 + 60000000
    AND (s.at + s.dur) * 1000 > n.i * 100000000 + w.thread * 1000000);

-- The main thread waits in block_on between its two polls; the pool thread works once and then idles; thread 8 was never seen.
INSERT INTO offcpu (thread_id, ts, dur, ts_waking, cpu, state, role, class, rule, syscall, stack_id, kstack_id) VALUES
    (1, 1000000000000, 2000000000, 1001999900000, NULL, 'S', 'parked', 'lock', 'futex', 'futex', NULL, NULL),
    (1, 1002250100000, 1749800000, 1003999800000, 0, 'S', 'parked', 'lock', 'futex', 'futex', NULL, NULL),
    (1, 1004055200000, NULL, NULL, 0, 'S', 'parked', 'lock', 'futex', 'futex', NULL, NULL),
    (6, 1003000000000, 1000000000, 1003999990000, 1, 'S', 'blocking_pool', 'sleep', 'nanosleep', 'clock_nanosleep', 9, 20),
    (6, 1004000500000, 23999500000, 1027999900000, 1, 'S', 'blocking_pool', 'lock', 'futex', 'futex', 8, 22);
DROP TABLE seed;

-- How the stacks of all of these ended.
INSERT INTO stack_end
SELECT st.status, CASE st.status WHEN 'no_table' THEN 3 END, count(*), total(st.fp_from IS NOT NULL), count(DISTINCT st.id)
FROM (SELECT stack_id FROM offcpu UNION ALL SELECT stack_id FROM sample) AS e JOIN stack AS st ON st.id = e.stack_id GROUP BY st.status;
