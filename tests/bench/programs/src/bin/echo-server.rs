// SPDX-License-Identifier: MIT OR Apache-2.0
//! echo-server: a Tokio echo server on one thread, as its documentation would write it. Prints `port N`, serves until killed.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(mut peer: TcpStream) -> std::io::Result<()> {
    let mut buf = [0u8; 1024];

    peer.set_nodelay(true)?;
    loop {
        let n = peer.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        peer.write_all(&buf[..n]).await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;

    println!("port {}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(e) = serve(peer).await {
                eprintln!("echo-server: {e}");
            }
        });
    }
}
