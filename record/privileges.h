/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* privileges.h: the recorder's rights after everything is attached: none. */
#pragma once

#include <sys/types.h>

#include "base/base.h"

/*
 * Gives up root (for the user who called sudo, else for 65534, the overflow uid) and all capabilities, for good: no_new_privs is set. Without root, only the
 * capabilities go. 0 or negative errno; after an error the process may keep some of them.
 */
int privileges_drop(void) __must_check;

/*
 * Under sudo becomes the user who called it, without capabilities (the groups beside his own are lost); otherwise stays who it is, without capabilities unless
 * that is root. no_new_privs is set in any case. 0 or negative errno; after an error the process may be neither.
 */
int privileges_become_invoker(void) __must_check;

/*
 * Whether a BPF map can be used without privileges through a descriptor that is open: kernels before 5.19 refuse every bpf(2) command then
 * (c8644cd0efe7 "bpf: refine kernel.unprivileged_bpf_disabled behaviour"). Tried in a child process on an array map with key 0.
 */
bool privileges_bpf_works_without(int array_map_fd, size_t value_size);
