// SPDX-License-Identifier: MIT OR Apache-2.0
//! depth N: two threads wake each other in turn, each parked N to N + 3 frames of `down` below its start, of about 200 bytes
//! each. The depth changes from turn to turn, so that no two waits in a row have the same stack: a recorder that knows a stack
//! again must walk here. Runs until killed.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::Arc;
use std::thread::{park, spawn, Thread};

#[inline(never)]
fn down(n: u32, leaf: &dyn Fn()) -> u32 {
    let mut locals = [n; 40];

    if n == 0 {
        leaf();
        return 0;
    }
    black_box(&mut locals);
    black_box(down(black_box(n - 1), leaf)) + locals[0]
}

fn wait_for(turn: &AtomicU32, mine: u32) {
    while turn.load(SeqCst) & 1 != mine {
        park();
    }
}

fn play(turn: &AtomicU32, mine: u32, other: &Thread, n: u32) {
    for i in 0u32.. {
        black_box(down(n + (i & 3), &|| wait_for(turn, mine)));
        turn.fetch_add(1, SeqCst);
        other.unpark();
    }
}

fn main() {
    let n: u32 = std::env::args().nth(1).and_then(|a| a.parse().ok()).expect("usage: depth N");
    let turn = Arc::new(AtomicU32::new(0));
    let theirs = turn.clone();
    let first = std::thread::current();
    let second = spawn(move || play(&theirs, 1, &first, n));

    play(&turn, 0, second.thread(), n);
}
