// SPDX-License-Identifier: MIT OR Apache-2.0
//! switches EVERY: a Tokio service that is woken for each datagram and parks again; every EVERY-th datagram makes it sleep for
//! 50 us inside its poll, as code does that blocks. Prints `port N`, serves until killed.
//! switches pulse PORT HZ: sends it one datagram HZ times a second, until killed. A process of its own, so that no switch of the
//! sender counts as one of the service.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

#[inline(never)]
fn block() {
    std::thread::sleep(Duration::from_micros(50));
}

async fn serve(every: u64) -> Result<()> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let mut buf = [0u8; 64];
    let mut n = 0u64;

    println!("port {}", socket.local_addr()?.port());
    loop {
        socket.recv(&mut buf).await?;
        n += 1;
        if n % every == 0 {
            block();
        }
    }
}

/// The kernel may delay a timer by 50 us to save wake-ups, which is as long as a whole period here.
fn exact_timers() {
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1usize) };
}

fn sleep_until(ns: u64) {
    let at =
        libc::timespec { tv_sec: (ns / 1_000_000_000) as libc::time_t, tv_nsec: (ns % 1_000_000_000) as libc::c_long };

    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &at, std::ptr::null_mut()) };
}

fn now() -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };

    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

/// A tick that comes late is not made up for: two datagrams at once are one switch.
fn pulse(port: u16, hz: u64) -> Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let period = 1_000_000_000 / hz.max(1);
    let mut next = now();

    socket.connect(("127.0.0.1", port))?;
    exact_timers();
    loop {
        next = (next + period).max(now());
        sleep_until(next);
        socket.send(&[1])?;
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |s: &str| s.parse::<u64>().map_err(Error::other);

    match words[..] {
        ["pulse", port, hz] => pulse(number(port)? as u16, number(hz)?),
        [every] => {
            exact_timers();
            let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let every = number(every)?.max(1);
            rt.block_on(async move { tokio::spawn(serve(every)).await.map_err(Error::other)? })
        }
        _ => Err(Error::new(ErrorKind::InvalidInput, "usage: switches EVERY | switches pulse PORT HZ")),
    }
}
