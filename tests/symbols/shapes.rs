// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust with what makes names hard: generic functions and traits, closures in closures, async bodies in async bodies, code inlined several deep, code
//! out of line. For matrix.py.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

trait Shape {
    fn area(&self) -> f64;
    fn scaled<F: Fn(f64) -> f64>(&self, by: F) -> f64
    where
        Self: Sized,
    {
        by(self.area())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Square<T>(T);

struct Circle {
    r: f64,
}

impl<T: Copy + Into<f64>> Shape for Square<T> {
    fn area(&self) -> f64 {
        let side: f64 = self.0.into();
        side * side
    }
}

impl Shape for Circle {
    #[inline(never)]
    fn area(&self) -> f64 {
        (0..1000)
            .map(|i| {
                let sign = if i % 2 == 0 { 4.0 } else { -4.0 };
                sign / (2.0 * f64::from(i) + 1.0)
            })
            .sum::<f64>()
            * self.r
            * self.r
    }
}

impl Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "circle of {}", self.r)
    }
}

mod store {
    use super::*;

    pub struct Store<K, V> {
        pub rows: BTreeMap<K, Vec<V>>,
    }

    impl<K: Ord + Clone + Display, V: PartialOrd + Copy> Store<K, V> {
        pub fn put(&mut self, key: K, value: V) -> usize {
            let rows = self.rows.entry(key).or_default();
            rows.push(value);
            rows.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
            rows.len()
        }

        #[inline(never)]
        pub fn largest(&self) -> Option<(String, V)> {
            let rows = self.rows.iter().filter_map(|(k, v)| v.iter().copied().reduce(|a, b| if a > b { a } else { b }).map(|v| (k.to_string(), v)));
            rows.reduce(|a, b| if a.1 > b.1 { a } else { b })
        }
    }

    /// Gives way once, as a future that waits does.
    pub struct Once(pub bool);

    impl Future for Once {
        type Output = u64;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
            if self.0 {
                return Poll::Ready(7);
            }
            self.0 = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

async fn leaf(x: u64) -> u64 {
    let y = store::Once(false).await;
    (0..x % 8).fold(y, |sum, i| sum ^ (i * 31))
}

async fn generic<F: Future<Output = u64>>(inner: F, by: impl Fn(u64) -> u64) -> u64 {
    let got = inner.await;
    let more = async { by(got) + leaf(got).await };
    more.await
}

async fn outer(x: u64) -> u64 {
    let mut sum = 0;
    for i in 0..3 {
        sum += generic(leaf(x + i), |v| v.wrapping_mul(x)).await;
    }
    sum
}

struct Count(std::sync::atomic::AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[inline(never)]
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Count(0.into())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(out) = future.as_mut().poll(&mut cx) {
            return out;
        }
    }
}

#[cold]
#[inline(never)]
fn give_up(why: &str) -> ! {
    panic!("{why}")
}

fn main() {
    let n = std::env::args().count() as u32;
    let shapes: Vec<Box<dyn Shape>> = Vec::new();
    let mut store = store::Store { rows: BTreeMap::new() };
    for i in 0..n * 10 {
        let (square, circle) = (Square(i), Circle { r: f64::from(i) });
        store.put(format!("square {}", i % 3), square.scaled(|a| a * 2.0));
        store.put(circle.to_string(), circle.scaled(|a| (1..4).map(|k| a / f64::from(k)).sum()));
    }
    if n > 100 || !shapes.is_empty() {
        give_up("too many arguments");
    }
    let total = std::thread::spawn(move || block_on(outer(u64::from(n)))).join();
    println!("{:?} {:?} {}", store.largest(), total.ok(), Square(1u8) == Square(2u8));
}
