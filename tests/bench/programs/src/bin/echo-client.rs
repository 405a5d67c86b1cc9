// SPDX-License-Identifier: MIT OR Apache-2.0
//! echo-client PORT CONNECTIONS: for each line with a number on standard input, that many 64-byte echoes, one in flight on each
//! connection; then prints `done`. The caller reads the clocks of all concerned between the lines.

use std::cell::Cell;
use std::io::{BufRead, Error, ErrorKind, Result, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echoes(peer: &mut TcpStream, left: &Cell<u64>) -> Result<()> {
    let request = [7u8; 64];
    let mut answer = [0u8; 64];

    while left.get() > 0 {
        left.set(left.get() - 1);
        peer.write_all(&request).await?;
        peer.read_exact(&mut answer).await?;
        if answer != request {
            return Err(Error::new(ErrorKind::InvalidData, "the echo differs"));
        }
    }
    Ok(())
}

/// All connections take their turns from one count; `join` of the standard library's futures would need a crate, a LocalSet does.
async fn burst(peers: Vec<TcpStream>, n: u64) -> Result<Vec<TcpStream>> {
    let local = tokio::task::LocalSet::new();
    let left = std::rc::Rc::new(Cell::new(n));
    let tasks: Vec<_> = peers
        .into_iter()
        .map(|mut peer| {
            let left = left.clone();
            local.spawn_local(async move { echoes(&mut peer, &left).await.map(|()| peer) })
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
        let n = line?.trim().parse().map_err(Error::other)?;
        peers = rt.block_on(burst(peers, n))?;
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}
