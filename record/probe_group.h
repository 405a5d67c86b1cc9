/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* probe_group.h: the groups of probes, which the kernel side's programs share. */
#pragma once

#include "bpf/task_groups.h"
