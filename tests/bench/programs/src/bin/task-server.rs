// SPDX-License-Identifier: MIT OR Apache-2.0
//! task-server MODE [TRACE_DIR]: an echo server on one worker, as its documentation would write it. Prints `port N`, serves until killed.
//! MODE echo: a task a connection, which is polled once a request. spawn: besides a task for each request, which makes the answer.
//!
//! Built as it is, and (feature dial9, ../dial9) with dial9's telemetry: recording when there is a TRACE_DIR, built in but off without.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn answer(request: Vec<u8>) -> Vec<u8> {
    tokio::task::yield_now().await;
    request
}

async fn serve(mut peer: TcpStream, spawns: bool) -> std::io::Result<()> {
    let mut buf = [0u8; 1024];

    peer.set_nodelay(true)?;
    loop {
        let n = peer.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        if spawns {
            let done = tokio::spawn(answer(buf[..n].to_vec())).await?;
            peer.write_all(&done).await?;
        } else {
            peer.write_all(&buf[..n]).await?;
        }
    }
}

async fn listen(spawns: bool) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;

    println!("port {}", listener.local_addr()?.port());
    loop {
        let (peer, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(e) = serve(peer, spawns).await {
                eprintln!("task-server: {e}");
            }
        });
    }
}

fn builder() -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder
}

#[cfg(not(feature = "dial9"))]
fn run(_: Option<String>, server: impl std::future::Future<Output = std::io::Result<()>>) -> std::io::Result<()> {
    builder().build()?.block_on(server)
}

#[cfg(feature = "dial9")]
fn run(
    dir: Option<String>,
    server: impl std::future::Future<Output = std::io::Result<()>> + Send + 'static,
) -> std::io::Result<()> {
    use dial9::{Dial9HandleTokioExt, DiskBuffer, TokioAttachOptions};

    let Some(dir) = dir else {
        return builder().build()?.block_on(server);
    };
    let writer = DiskBuffer::builder().base_path(dir).max_total_size(1 << 30).build()?;
    let recorder = dial9::recorder(writer).build();
    let options = TokioAttachOptions::builder().runtime_name("main").task_tracking_enabled(true).build();
    let runtime = recorder.handle().attach_tokio_runtime(builder(), options)?;
    runtime.block_on(server)
}

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let spawns = match args.next().as_deref() {
        Some("echo") => false,
        Some("spawn") => true,
        _ => return Err(std::io::Error::other("usage: task-server echo|spawn [TRACE_DIR]")),
    };
    run(args.next(), listen(spawns))
}
