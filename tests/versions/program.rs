// Blocks a runtime now and then and says so: one line per injected sleep, its begin and end in ns of CLOCK_MONOTONIC. Everything else it does must not be reported.
//
// usage: program [current] SECONDS
// Built against many versions of Tokio (run.py), with `rt` and `time` or `rt-multi-thread` and `time` alone: no feature and no function that came later than 1.20.
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);
const BLOCK: Duration = Duration::from_millis(20);

fn now() -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: t is a timespec of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

#[inline(never)]
fn block_here() {
    let begin = now();
    std::thread::sleep(BLOCK);
    println!("sleep {begin} {}", now());
}

// What a sound task does: short work, then it waits for a timer.
async fn idle(end: Instant) {
    while Instant::now() < end {
        let until = Instant::now() + Duration::from_micros(200);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn blocker(end: Instant) {
    while Instant::now() < end {
        block_here();
        tokio::time::sleep(PERIOD).await;
    }
}

async fn pool(end: Instant) {
    while Instant::now() < end {
        tokio::task::spawn_blocking(|| std::thread::sleep(BLOCK))
            .await
            .expect("a thread that does not panic");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn main() {
    let current = std::env::args().nth(1).as_deref() == Some("current");
    let seconds: u64 = std::env::args()
        .last()
        .and_then(|s| s.parse().ok())
        .expect("usage: program [current] SECONDS");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut builder = if current {
        tokio::runtime::Builder::new_current_thread()
    } else {
        workers()
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    println!("ready");
    runtime.block_on(async {
        let mut tasks = vec![tokio::spawn(blocker(end)), tokio::spawn(pool(end))];
        tasks.extend((0..4).map(|_| tokio::spawn(idle(end))));
        for task in tasks {
            task.await.expect("a task that does not panic");
        }
    });
}

#[cfg(feature = "workers")]
fn workers() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

#[cfg(not(feature = "workers"))]
fn workers() -> tokio::runtime::Builder {
    panic!("built without workers");
}
