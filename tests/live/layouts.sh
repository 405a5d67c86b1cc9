#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Builds the Tokio of fixtures/Cargo.lock for every choice of features and compares what its debug information says with the table in record/layout_rows.h. Prints TAP.
# Fails when a compiler orders fields in a new way, or when the table was edited by hand: fixtures/layouts/make.py writes it.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in cargo gdb; do
	command -v $tool >/dev/null || { echo "1..1"; echo "ok 1 - layouts # SKIP no $tool"; exit 0; }
done
version=$(awk '$0 == "name = \"tokio\"" { getline; gsub(/version = |"/, ""); print }' "$root/fixtures/Cargo.lock")
[ -n "$version" ] || { echo "Bail out! fixtures/Cargo.lock names no tokio"; exit 1; }
exec python3 -B "$root/fixtures/layouts/make.py" --check "$version" --work "${ASCOPE_OUT:-$root/out}/layouts"
