#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh: what `make bench` runs: builds the load programs, measures what ascope costs, prints the figures beside their bars.
#
# usage: tests/bench/run.sh OUT [--json] [--rounds N] [NAME...]        names: echo echo16 tasks cut bpf walk verifier storm table coding open load export size symbolize; default all
#
# A figure never makes it fail; a measurement that could not be made does, and is named. Needs root, BTF, cargo and, for the comparisons, perf.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath "$1")
shift

[ "$(id -u)" = 0 ] || { echo 'bench: needs root, as recording does' >&2; exit 1; }
[ -x "$out/ascope" ] || { echo "bench: $out/ascope is not built (make)" >&2; exit 1; }
(cd "$here/programs" && CARGO_TARGET_DIR="$out/bench" cargo build --release --locked --quiet)
(cd "$here/../../fixtures" && CARGO_TARGET_DIR="$out/fixtures" cargo build --release --locked --quiet -p orders)
tools=()
[ ! -x "$out/table_build" ] || tools=(--table-build "$out/table_build")
[ ! -x "$out/codec" ] || tools+=(--codec "$out/codec")
[ ! -x "$out/long_capture" ] || tools+=(--long-capture "$out/long_capture")
[ ! -x "$out/bare_insert" ] || tools+=(--bare-insert "$out/bare_insert")
[ ! -x "$out/sym_bench" ] || tools+=(--sym-bench "$out/sym_bench")
case " $* " in
*" "[a-z]*" "*) wanted=$* ;; # names
*) wanted=tasks ;;
esac
if [[ " $wanted " == *" tasks "* ]]; then # the peer, with the flags that it asks for: two minutes once
	(cd "$here/dial9" && RUSTFLAGS='--cfg tokio_unstable -C force-frame-pointers=yes' CARGO_TARGET_DIR="$out/dial9" cargo build --release --locked --quiet) &&
		tools+=(--dial9 "$out/dial9/release/task-server-dial9")
fi
exec python3 -B "$here/bench.py" --ascope "$out/ascope" --programs "$out/bench/release" --fixtures "$out/fixtures/release" "${tools[@]}" "$@"
