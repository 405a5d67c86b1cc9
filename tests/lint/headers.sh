#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# headers.sh: each header compiles alone, twice included. Kernel-side headers need clang and its BPF target; without clang they are skipped, and that is said.
# shellcheck source=common.inc
. "$(dirname "$0")/common.inc"

cc=${CC:-gcc}
kernel_headers_left=0

for header in $(c_files base format report record tests/unit | grep '\.h$') bpf/ascope_wire.h; do
	[ -f "$header" ] || continue
	errors=$(printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		"$cc" -x c -std=gnu11 -Wall -Wextra -Werror -I. -I"$out/gen" -D_GNU_SOURCE -fsyntax-only - 2>&1)
	[ -z "$errors" ] || fail "$header does not compile alone:
$errors"
done
for header in bpf/*.h; do
	[ -f "$header" ] || continue
	if ! command -v "${CLANG:-clang}" >/dev/null; then
		kernel_headers_left=$((kernel_headers_left + 1))
		continue
	fi
	# kern_types.h stands in for the kernel's own headers, so it comes first everywhere
	errors=$(printf '#include "bpf/kern_types.h"\n#include "%s"\n' "$header" | "${CLANG:-clang}" -x c -target bpf -D__TARGET_ARCH_x86 -Wall -Wextra -Wno-unused -Wno-unused-parameter -Werror \
		-I. -Ibpf -I"/usr/include/$(uname -m)-linux-gnu" -fsyntax-only - 2>&1)
	[ -z "$errors" ] || fail "$header does not compile alone for BPF:
$errors"
done
[ "$kernel_headers_left" -eq 0 ] || skip "$kernel_headers_left kernel-side headers (no clang here)"
finish
