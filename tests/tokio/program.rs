// Blocks a runtime now and then and makes tasks, and says so on stdout, one line each, times in ns of CLOCK_MONOTONIC:
//
//   sleep BEGIN END             an injected sleep; everything else that it does must not be reported
//   spawn K LINE PARENT BEGIN END TYPE   the K-th task was made, by line LINE of this file, in task number PARENT (0: the root future), between two instants
//   end K TIME                  its future is about to be done
//   abort K TIME                it was told to stop, and has
//
// Ids are Tokio's own counter, and all spawns of the process go through one lock: task K + 1 has the id of task K, plus 1, and of two runtimes as well.
//
// usage: program MODE SECONDS     MODE: workers, current, localset, two (a runtime of each kind, or two of current_thread)
// Built against many versions of Tokio (run.py), with `rt` and `time` alone or `full`: no feature and no function that came later than 1.20.
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

const PERIOD: Duration = Duration::from_millis(100);
const BLOCK: Duration = Duration::from_millis(20);

static SPAWNED: Mutex<u64> = Mutex::new(0);

fn now() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: t is a timespec of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn type_of<T>(_: &T) -> &'static str {
    std::any::type_name::<T>()
}

// $make gets the task's number and returns its future, $spawn gets that; at the line of whoever uses the macro, for that is what Rust's Location says.
macro_rules! spawn {
    ($spawn:path, $parent:expr, $make:expr) => {{
        let mut spawned = SPAWNED.lock().expect("no one panics");
        *spawned += 1;
        let (k, begin, future) = (*spawned, now(), $make(*spawned));
        let name = type_of(&future);
        let handle = $spawn(future);
        println!("spawn {k} {} {} {begin} {} {name}", line!(), $parent, now());
        drop(spawned);
        (k, handle)
    }};
}

#[inline(never)]
fn block_here() {
    let begin = now();
    std::thread::sleep(BLOCK);
    println!("sleep {begin} {}", now());
}

// What a sound task does: short work, then it waits for a timer.
async fn idle(k: u64, end: Instant) {
    while Instant::now() < end {
        let until = Instant::now() + Duration::from_micros(200);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    println!("end {k} {}", now());
}

async fn blocker(k: u64, end: Instant) {
    while Instant::now() < end {
        block_here();
        tokio::time::sleep(PERIOD).await;
    }
    println!("end {k} {}", now());
}

async fn pool(k: u64, end: Instant) {
    while Instant::now() < end {
        let (_, closure) = spawn!(tokio::task::spawn_blocking, k, |_| || std::thread::sleep(
            BLOCK
        ));
        closure.await.expect("a thread that does not panic");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("end {k} {}", now());
}

async fn leaf(k: u64) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    println!("end {k} {}", now());
}

// Makes two tasks at a time: one that is done soon, and one that is aborted.
async fn parent(k: u64, end: Instant) {
    while Instant::now() < end {
        let (_, first) = spawn!(tokio::spawn, k, leaf);
        let (doomed, second) = spawn!(tokio::spawn, k, |_| async {
            tokio::time::sleep(Duration::from_secs(1000)).await;
        });
        first.await.expect("a task that does not panic");
        second.abort();
        assert!(second
            .await
            .expect_err("a task that was aborted")
            .is_cancelled());
        println!("abort {doomed} {}", now());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("end {k} {}", now());
}

async fn work(end: Instant) {
    let mut tasks = vec![
        spawn!(tokio::spawn, 0, |k| blocker(k, end)).1,
        spawn!(tokio::spawn, 0, |k| pool(k, end)).1,
        spawn!(tokio::spawn, 0, |k| parent(k, end)).1,
    ];
    for _ in 0..4 {
        tasks.push(spawn!(tokio::spawn, 0, |k| idle(k, end)).1);
    }
    for task in tasks {
        task.await.expect("a task that does not panic");
    }
}

// The same on a LocalSet, but for `parent`, whose children are the runtime's.
async fn work_locally(end: Instant) {
    let mut tasks = vec![
        spawn!(tokio::task::spawn_local, 0, |k| blocker(k, end)).1,
        spawn!(tokio::task::spawn_local, 0, |k| pool(k, end)).1,
        spawn!(tokio::task::spawn_local, 0, |k| parent(k, end)).1,
    ];
    for _ in 0..4 {
        tasks.push(spawn!(tokio::task::spawn_local, 0, |k| idle(k, end)).1);
    }
    for task in tasks {
        task.await.expect("a task that does not panic");
    }
}

fn current() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#[cfg(feature = "workers")]
fn workers() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[cfg(not(feature = "workers"))]
fn workers() -> Runtime {
    current()
}

async fn second(end: Instant) {
    spawn!(tokio::spawn, 0, |k| idle(k, end))
        .1
        .await
        .expect("a task that does not panic");
}

fn main() {
    let usage = "usage: program workers|current|localset|two SECONDS";
    let mode = std::env::args().nth(1).expect(usage);
    let seconds: u64 = std::env::args()
        .nth(2)
        .and_then(|s| s.parse().ok())
        .expect(usage);
    let end = Instant::now() + Duration::from_secs(seconds);
    println!("ready");
    match mode.as_str() {
        "workers" => workers().block_on(work(end)),
        "current" => current().block_on(work(end)),
        "localset" => tokio::task::LocalSet::new().block_on(&current(), work_locally(end)),
        "two" => {
            let (one, another) = (current(), workers()); // workers take ids, too
            let other = std::thread::spawn(move || another.block_on(second(end)));
            one.block_on(work(end));
            other.join().expect("a thread that does not panic");
        }
        _ => panic!("{usage}"),
    }
}
