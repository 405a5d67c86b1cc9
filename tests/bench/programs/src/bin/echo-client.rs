// SPDX-License-Identifier: MIT OR Apache-2.0
//! echo-client PORT CONNECTIONS: for each line with a number on standard input, that many 64-byte echoes, one in flight on each
//! connection; then prints `done`, and how long it took, the median echo and the 99th percentile, ns. The caller reads the clocks of all concerned between the lines.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, Error, ErrorKind, Result, Write};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echoes(peer: &mut TcpStream, left: &Cell<u64>, took: &RefCell<Vec<u32>>) -> Result<()> {
    let request = [7u8; 64];
    let mut answer = [0u8; 64];

    while left.get() > 0 {
        left.set(left.get() - 1);
        let begin = Instant::now();
        peer.write_all(&request).await?;
        peer.read_exact(&mut answer).await?;
        took.borrow_mut().push(begin.elapsed().as_nanos().min(u32::MAX.into()) as u32);
        if answer != request {
            return Err(Error::new(ErrorKind::InvalidData, "the echo differs"));
        }
    }
    Ok(())
}

/// All connections take their turns from one count; `join` of the standard library's futures would need a crate, a LocalSet does.
async fn burst(peers: Vec<TcpStream>, n: u64, took: std::rc::Rc<RefCell<Vec<u32>>>) -> Result<Vec<TcpStream>> {
    let local = tokio::task::LocalSet::new();
    let left = std::rc::Rc::new(Cell::new(n));
    let tasks: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let (left, took) = (left.clone(), took.clone());
            local.spawn_local(async move { echoes(&mut peer, &left, &took).await.map(|()| peer) })
        })
        .collect();

    local
        .run_until(async move {
            let mut back = Vec::new();
            for task in tasks {
                back.push(task.await.map_err(Error::other)??);
            }
            Ok(back)
        })
        .await
}

fn main() -> Result<()> {
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [port, connections] = args[..] else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: echo-client PORT CONNECTIONS"));
    };
    let rt = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut peers = Vec::new();

    for _ in 0..connections {
        let peer = rt.block_on(TcpStream::connect(("127.0.0.1", port as u16)))?;
        peer.set_nodelay(true)?;
        peers.push(peer);
    }
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let n: u64 = line?.trim().parse().map_err(Error::other)?;
        let took = std::rc::Rc::new(RefCell::new(Vec::with_capacity(n as usize)));
        let begin = Instant::now();
        peers = rt.block_on(burst(peers, n, took.clone()))?;
        let all = begin.elapsed().as_nanos();
        let mut sorted = took.borrow().clone();
        sorted.sort_unstable();
        let percentile = |p| sorted.get(sorted.len() * p / 100).copied().unwrap_or(0);
        println!("done {all} {} {}", percentile(50), percentile(99));
        std::io::stdout().flush()?;
    }
    Ok(())
}
