// SPDX-License-Identifier: MIT OR Apache-2.0
//! Spawns tasks of many types and says of each where its vtable's functions are and what its type is: truth for task_names.py.
//!
//!     task POLL DEALLOC VTABLE <TAB> NAME <TAB> TYPE
//!
//! Addresses are of the ELF file, in hex; NAME is what a report should call it where everything is known, TYPE what the compiler calls it.
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tracing::Instrument;

extern "C" {
    static __ehdr_start: u8;
}

/// A JoinHandle or AbortHandle is a pointer to the task's header (1.23 and later); its third word is the vtable's address.
fn type_says<H>(name: &str, type_name: &str, handle: &H) {
    let base = &raw const __ehdr_start as usize;
    let words = unsafe {
        let header = *(handle as *const H as *const *const usize);
        let vtable = *header.add(2) as *const usize;
        [*vtable, *vtable.add(2), vtable as usize]
    };
    // a program that is not position independent is where its file says
    let base = if base == 0x400000 || base == 0x200000 { 0 } else { base };
    println!("task {:x} {:x} {:x}\t{name}\t{type_name}", words[0] - base, words[1] - base, words[2] - base);
}

macro_rules! spawn {
    ($name:expr, $future:expr) => {{
        let future = $future;
        let name = std::any::type_name_of_val(&future);
        let handle = tokio::spawn(future);
        type_says($name, name, &handle);
        handle
    }};
}

macro_rules! blocking {
    ($name:expr, $closure:expr) => {{
        let closure = $closure;
        let name = std::any::type_name_of_val(&closure);
        let handle = tokio::task::spawn_blocking(closure);
        type_says($name, name, &handle);
        handle
    }};
}

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

mod orders {
    pub mod api {
        pub async fn handle_upload(n: u64) -> u64 {
            let mut sum = 0;
            for i in 0..n {
                super::super::pause(1).await;
                sum += std::hint::black_box(i * n);
            }
            sum
        }

        pub async fn serve(n: u32) {
            let inner = spawn_inner(n);
            super::super::pause(2).await;
            inner.await.unwrap();
        }

        fn spawn_inner(n: u32) -> super::super::JoinHandle<()> {
            use super::super::*;
            spawn!("names::orders::api::spawn_inner::{async block}", async move {
                pause(1).await;
                println!("# inner {n}");
            })
        }
    }

    pub mod store {
        pub mod disk {
            pub struct Store {
                pub name: String,
            }

            pub trait Job {
                fn run(self) -> impl super::super::super::Future<Output = usize> + Send;
            }

            impl Store {
                pub async fn flush(self) -> usize {
                    super::super::super::pause(1).await;
                    self.name.len()
                }
            }

            impl Job for Store {
                async fn run(self) -> usize {
                    super::super::super::pause(1).await;
                    self.name.len() * 2
                }
            }
        }
    }
}

async fn generic<T: Debug + Send>(value: T, tail: &'static str) -> String {
    pause(1).await;
    format!("{value:?}{tail}")
}

/// Those two are alike to the last instruction.
async fn twin_one() {
    pause(1).await;
}

async fn twin_two() {
    pause(1).await;
}

async fn yields(n: u32) -> u32 {
    for _ in 0..n {
        tokio::task::yield_now().await;
    }
    n
}

async fn large(seed: u8) -> u64 {
    let mut room = [seed; 20_000];
    for i in 0..room.len() {
        room[i] = room[i].wrapping_add(std::hint::black_box(i as u8));
    }
    pause(1).await;
    room.iter().map(|b| u64::from(*b)).sum()
}

async fn echo(stream: tokio::net::TcpStream) -> std::io::Result<u64> {
    let (mut read, mut write) = stream.into_split();
    tokio::io::copy(&mut read, &mut write).await
}

struct Countdown {
    left: u32,
}

impl Future for Countdown {
    type Output = &'static str;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'static str> {
        if self.left == 0 {
            return Poll::Ready("done");
        }
        self.left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

fn hash(text: String) -> u64 {
    text.bytes().fold(5381, |h, b| h.wrapping_mul(33) ^ u64::from(b))
}

fn hash_one() -> u64 {
    hash("one".repeat(std::hint::black_box(3)))
}

async fn combined() {
    let _ = spawn!("names::yields", yields(3).map(|n| n + 1)).await;
    let (abortable, _handle) = futures_util::future::abortable(orders::api::handle_upload(1));
    let _ = spawn!("names::orders::api::handle_upload", abortable).await;
    let _ = spawn!("names::yields", tokio::time::timeout(Duration::from_secs(1), yields(4))).await;
    let _ = spawn!("names::yields", tokio::task::unconstrained(yields(5))).await;
    let _ = spawn!("names::orders::api::serve", orders::api::serve(2).instrument(tracing::info_span!("serve"))).await;
    let boxed: Pin<Box<dyn Future<Output = u32> + Send>> = Box::pin(yields(2));
    let _ = spawn!("dyn Future", boxed).await;
    let _ = spawn!("names::yields", Box::pin(yields(6))).await;
    let _ = spawn!("names::Countdown", Countdown { left: 3 }).await;
    let _ = spawn!("names::combined::{async block}", async { 1 }.then(|n| Countdown { left: n })).await;
    let inner = spawn!("names::combined::{async block}", async { pause(1).await });
    let _ = spawn!("tokio::runtime::task::join::JoinHandle<()>", inner).await;
    let _ = spawn!("core::future::ready::Ready<u32>", std::future::ready(7_u32)).await;
    let add = async |n: u32| yields(n).await + 1;
    let _ = spawn!("names::combined::{async closure}", add(2)).await;
}

async fn blocking() {
    let text = "x".repeat(std::hint::black_box(9));
    let _ = blocking!("names::blocking::{closure}", move || hash(text)).await;
    let _ = blocking!("names::hash_one", hash_one).await;
    let _ = blocking!("fn() -> u64", hash_one as fn() -> u64).await;
    let _ = blocking!("names::blocking::{closure}", || {
        std::thread::sleep(Duration::from_millis(1));
        std::hint::black_box(3)
    })
    .await;
    let _ = tokio::fs::read("/proc/self/stat").await;
    tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(1)));
}

async fn network() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = spawn!("names::network::{async block}", async move {
        let (stream, _) = listener.accept().await.unwrap();
        spawn!("names::echo", echo(stream)).await.unwrap()
    });
    let mut client = tokio::net::TcpStream::connect(address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut client, b"hello").await?;
    tokio::io::AsyncWriteExt::shutdown(&mut client).await?;
    let mut back = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client, &mut back).await?; // one that is closed with bytes unread resets the connection
    server.await.unwrap().map(|n| println!("# {n} bytes"))
}

async fn all() {
    let mut set = tokio::task::JoinSet::new();
    for i in 0..3_u64 {
        let member = async move {
            pause(i).await;
            i
        };
        let name = std::any::type_name_of_val(&member);
        type_says("names::all::{async block}", name, &set.spawn(member));
    }
    while set.join_next().await.is_some() {}
    let _ = spawn!("names::orders::api::handle_upload", orders::api::handle_upload(2)).await;
    let _ = spawn!("names::orders::api::serve", orders::api::serve(1)).await;
    let store = || orders::store::disk::Store { name: "s".repeat(std::hint::black_box(4)) };
    let _ = spawn!("names::orders::store::disk::Store::flush", store().flush()).await;
    let _ = spawn!("names::orders::store::disk::Store::run", orders::store::disk::Job::run(store())).await;
    let _ = spawn!("names::generic<u32>", generic(3_u32, "a")).await;
    let _ = spawn!("names::generic<String>", generic(String::from("b"), "c")).await;
    let _ = spawn!("names::generic<Vec<Option<u8>>>", generic(vec![Some(1_u8)], "d")).await;
    let _ = spawn!("names::twin_one", twin_one()).await;
    let _ = spawn!("names::twin_two", twin_two()).await;
    let _ = spawn!("names::large", large(1)).await;
    let loops: Vec<_> = (0..2_u32)
        .map(|i| {
            spawn!("names::all::{closure}::{async block}", async move {
                pause(u64::from(i)).await;
                println!("# loop {i}");
            })
        })
        .collect();
    for l in loops {
        l.await.unwrap();
    }
    combined().await;
    blocking().await;
    network().await.unwrap();
}

async fn local_work(shared: std::rc::Rc<u32>) -> u32 {
    pause(1).await;
    *shared + 1
}

async fn local() {
    let set = tokio::task::LocalSet::new();
    let shared = std::rc::Rc::new(4);
    set.run_until(async move {
        let work = local_work(shared.clone());
        let name = std::any::type_name_of_val(&work);
        let handle = tokio::task::spawn_local(work);
        type_says("names::local_work", name, &handle);
        let _ = handle.await;
        let block = async move {
            yields(*shared).await;
            *shared
        };
        let name = std::any::type_name_of_val(&block);
        let handle = tokio::task::spawn_local(block);
        type_says("names::local::{async block}::{async block}", name, &handle);
        let _ = handle.await;
    })
    .await;
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(all());
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _ = spawn!("names::yields", yields(2)).await;
        local().await;
        let _ = spawn!("names::orders::api::handle_upload", orders::api::handle_upload(1)).await;
    });
}
