/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * oracle_dwfl.c: see oracle_dwfl.h. libdwfl is given a process whose only thread is the record's, with memory that is the record's stack and nothing else.
 * Where it finds no call frame information it follows frame pointers without a word (backends/x86_64_unwind.c of elfutils); such frames are cut here,
 * as they are no evidence.
 */
#include "tests/live/unwind/oracle_dwfl.h"

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CFI_CACHE = 1 << 16 };

struct oracle_dwfl {
	Dwfl *dwfl;
	pid_t pid;
	const struct oracle_record *e; /* what is being walked */
	struct oracle_stack *out;
	struct {
		u64 pc;
		bool has;
	} cfi[CFI_CACHE];
};

static char *debuginfo_path; /* the system's; libdwfl's interface wants a place to keep it */
static const Dwfl_Callbacks module_callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &debuginfo_path,
};

static pid_t next_thread(Dwfl *dwfl __maybe_unused, void *arg, void **thread)
{
	struct oracle_dwfl *o = arg;

	if (*thread)
		return 0;
	*thread = o;
	return (pid_t)o->e->tid;
}

static bool get_thread(Dwfl *dwfl __maybe_unused, pid_t tid __maybe_unused, void *arg, void **thread)
{
	*thread = arg;
	return true;
}

static bool read_memory(Dwfl *dwfl __maybe_unused, Dwarf_Addr addr, Dwarf_Word *ret, void *arg)
{
	const struct oracle_record *e = ((struct oracle_dwfl *)arg)->e;

	if (addr < e->stack_at || e->stack_bytes < 8 || addr - e->stack_at > e->stack_bytes - 8)
		return false;
	memcpy(ret, e->stack + (addr - e->stack_at), 8);
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct oracle_record *e = ((struct oracle_dwfl *)arg)->e;
	Dwarf_Word regs[ORACLE_REGS];

	for (u32 i = 0; i < ORACLE_REGS; i++)
		regs[i] = e->regs[i];
	return dwfl_thread_state_registers(thread, 0, ORACLE_REGS, regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static bool has_rule(Dwarf_CFI *cfi, Dwarf_Addr pc)
{
	Dwarf_Frame *frame = NULL;

	if (!cfi || dwarf_cfi_addrframe(cfi, pc, &frame) != 0)
		return false;
	free(frame);
	return true;
}

static bool look_up_cfi(struct oracle_dwfl *o, u64 pc)
{
	Dwfl_Module *mod = dwfl_addrmodule(o->dwfl, pc);
	Dwarf_Addr bias = 0;
	Dwarf_CFI *cfi;

	if (!mod)
		return false;
	cfi = dwfl_module_eh_cfi(mod, &bias);
	return has_rule(cfi, pc - bias);
}

static bool has_cfi(struct oracle_dwfl *o, u64 pc)
{
	u32 slot = (u32)((pc * 0x9e3779b97f4a7c15ULL) >> 48) % CFI_CACHE;

	if (o->cfi[slot].pc != pc) {
		o->cfi[slot].has = look_up_cfi(o, pc);
		o->cfi[slot].pc = pc;
	}
	return o->cfi[slot].has;
}

static int on_frame(Dwfl_Frame *frame, void *arg)
{
	struct oracle_dwfl *o = arg;
	bool exact;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &exact) || o->out->n >= ARRAY_SIZE(o->out->frames))
		return DWARF_CB_ABORT;
	o->out->frames[o->out->n++] = pc;
	if (!has_cfi(o, pc - (exact ? 0 : 1))) {
		o->out->no_cfi = true;
		return DWARF_CB_ABORT;
	}
	return DWARF_CB_OK;
}

void oracle_dwfl_walk(struct oracle_dwfl *o, const struct oracle_record *e, struct oracle_stack *ret)
{
	ret->n = 0;
	ret->no_cfi = false;
	o->e = e;
	o->out = ret;
	ret->ended = dwfl_getthread_frames(o->dwfl, (pid_t)e->tid, on_frame, o) == 0;
}

static int report(struct oracle_dwfl *o)
{
	if (dwfl_linux_proc_report(o->dwfl, o->pid) != 0 || dwfl_report_end(o->dwfl, NULL, NULL) != 0) {
		fprintf(stderr, "oracle: libdwfl: %s\n", dwfl_errmsg(-1));
		return -EIO;
	}
	memset(o->cfi, 0, sizeof(o->cfi));
	return 0;
}

int oracle_dwfl_open(u32 pid, struct oracle_dwfl **ret)
{
	struct oracle_dwfl *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	o->pid = (pid_t)pid;
	o->dwfl = dwfl_begin(&module_callbacks);
	err = o->dwfl ? report(o) : -ENOMEM;
	if (!err && !dwfl_attach_state(o->dwfl, NULL, o->pid, &thread_callbacks, o)) {
		fprintf(stderr, "oracle: libdwfl: %s\n", dwfl_errmsg(-1));
		err = -EIO;
	}
	if (err) {
		oracle_dwfl_close(o);
		return err;
	}
	*ret = o;
	return 0;
}

int oracle_dwfl_refresh(struct oracle_dwfl *o)
{
	dwfl_report_begin(o->dwfl);
	return report(o);
}

struct oracle_dwfl *oracle_dwfl_close(struct oracle_dwfl *o)
{
	if (o) {
		dwfl_end(o->dwfl);
		free(o);
	}
	return NULL;
}

void oracle_dwfl_describe(struct oracle_dwfl *o, u64 pc, char *buf, size_t n)
{
	Dwfl_Module *mod = dwfl_addrmodule(o->dwfl, pc);
	const char *name = mod ? dwfl_module_info(mod, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : NULL;
	GElf_Sym sym;
	GElf_Off off = 0;
	const char *function = mod ? dwfl_module_addrinfo(mod, pc, &off, &sym, NULL, NULL, NULL) : NULL;

	(void)snprintf(buf, n, "%#lx %s+%#lx (%s)", (unsigned long)pc, function ? function : "?", (unsigned long)off,
		       name ? name : "no module");
}
