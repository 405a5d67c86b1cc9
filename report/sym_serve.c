/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sym_serve.c: see sym_serve.h. Reading is blocking and in order.
 *
 * libelf and libdw go on without what they had no memory for: a section that cannot be decompressed is as if it were not there. So errno, which malloc(3) and
 * mmap(2) set, is looked at behind each of their calls: names that are left out for want of memory must not pass for names that do not exist.
 */
#include "report/sym_serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdio.h"
#include "base/u64map.h"
#include "report/sym_wire.h"

#define FLUSH_AT ((size_t)64 << 10)

struct server {
	const struct sym_serve *s;
	struct sym_module *module;
	struct u64map strings; /* address of a string of the module -> its number */
	u32 n_strings;
	struct buf out;
};

static int flush(struct server *v)
{
	int err = buf_err(&v->out);

	if (!err && v->out.len)
		err = fd_write_full(v->s->sock, v->out.data, v->out.len);
	buf_reset(&v->out);
	return err;
}

/* All n bytes; 0, -ENODATA at the end of the stream, -EPIPE in the middle of a record, -errno. */
static int read_full(int fd, void *p, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = read(fd, (u8 *)p + got, n - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (!k)
			return got ? -EPIPE : -ENODATA;
		got += (size_t)k;
	}
	return 0;
}

/* Number of a string, which is sent when it is new. 0 for NULL; negative errno. */
static s64 string_number(struct server *v, const char *s)
{
	u64 key = (u64)(uintptr_t)s, idx;
	int err;

	if (!s)
		return 0;
	if (u64map_get(&v->strings, key, &idx))
		return (s64)idx;
	err = u64map_put(&v->strings, key, v->n_strings + 1);
	if (err)
		return err;
	sym_wire_put(&v->out, SYM_WIRE_STRING, s, (u32)strnlen(s, SYM_WIRE_STRING_MAX));
	return ++v->n_strings;
}

static int put_frames(struct server *v, const struct sym_frame *f, int n)
{
	struct sym_wire_frame out[SYM_MAX_INLINE];

	for (int i = 0; i < n; i++) {
		s64 function = string_number(v, f[i].function), file = string_number(v, f[i].file);
		s64 typed = string_number(v, f[i].typed_name);

		if (function < 0 || file < 0 || typed < 0)
			return -ENOMEM;
		out[i] = (struct sym_wire_frame){
			.function = (u32)function,
			.file = (u32)file,
			.typed_name = (u32)typed,
			.line = f[i].line,
			.inlined = f[i].inlined,
		};
	}
	sym_wire_put(&v->out, SYM_WIRE_FRAMES, out, (u32)(n > 0 ? n : 0) * (u32)sizeof(*out));
	return 0;
}

static int answer(struct server *v, const struct sym_wire_lookup *l)
{
	struct sym_frame frames[SYM_MAX_INLINE];
	int n, err;

	errno = 0;
	n = sym_module_lookup(v->module, l->file_off, l->is_return != 0, frames, SYM_MAX_INLINE);
	if (n == -ENOMEM || errno == ENOMEM)
		return -ENOMEM;
	err = put_frames(v, frames, n); /* a lookup that fails has no frames */
	return !err && v->out.len >= FLUSH_AT ? flush(v) : err;
}

/* Names of types are not in the module's memory: each is sent, as they are all different. */
static int answer_task(struct server *v, const struct sym_wire_tasks_of *q)
{
	struct sym_wire_task out = {0};
	struct task_answer a;
	int err;

	errno = 0;
	err = sym_module_task(v->module, q->poll_off, q->dealloc_off, &a);
	if (err == -ENOMEM || errno == ENOMEM)
		return -ENOMEM;
	if (!err && a.how) {
		sym_wire_put(&v->out, SYM_WIRE_STRING, a.name, (u32)strlen(a.name));
		out = (struct sym_wire_task){.name = ++v->n_strings, .how = a.how, .kind = a.kind};
	}
	sym_wire_put(&v->out, SYM_WIRE_TASK, &out, sizeof(out));
	return v->out.len >= FLUSH_AT ? flush(v) : 0;
}

/* What is asked for, after its head. */
union asked {
	struct sym_wire_lookup lookups[SYM_WIRE_LOOKUPS];
	struct sym_wire_tasks_of tasks[SYM_WIRE_TASKS];
};

static int answer_record(struct server *v)
{
	union asked q;
	struct sym_wire_head h = {0};
	int err = read_full(v->s->sock, &h, sizeof(h));
	bool is_tasks = h.kind == SYM_WIRE_TASKS_OF;
	size_t size = is_tasks ? sizeof(q.tasks[0]) : sizeof(q.lookups[0]);

	if (err)
		return err;
	if ((!is_tasks && h.kind != SYM_WIRE_LOOKUPS_OF) || h.len > sizeof(q) || h.len % size)
		return -EPROTO;
	err = read_full(v->s->sock, &q, h.len);
	for (u32 i = 0; !err && i < h.len / size; i++)
		err = is_tasks ? answer_task(v, &q.tasks[i]) : answer(v, &q.lookups[i]);
	return err ? err : flush(v);
}

static void put_failed(struct server *v, int err, const char *why)
{
	struct sym_wire_failed f = {.err = err};
	_cleanup_buf_ struct buf b = BUF_INIT;

	buf_put(&b, &f, sizeof(f));
	if (why)
		buf_puts(&b, why);
	if (!buf_err(&b))
		sym_wire_put(&v->out, SYM_WIRE_FAILED, b.data, (u32)b.len);
	(void)flush(v);
}

static int open_module(struct server *v)
{
	struct sym_input in = v->s->in;
	struct sym_wire_opened o = {.layers = v->s->layers};
	const char *why = NULL;
	int err;

	if (v->s->files >= 0) {
		in.open_split = sym_serve_open_split;
		in.ctx = (void *)(uintptr_t)v->s;
	}
	errno = 0;
	err = sym_module_open_fd(&in, &v->module, &why);
	if (err == -ENOMEM || errno == ENOMEM)
		return -ENOMEM;
	if (err) {
		put_failed(v, err, why);
		return -ENODATA;
	}
	o.source = sym_module_source(v->module);
	o.dwarf_percent = sym_module_dwarf_percent(v->module);
	sym_wire_put(&v->out, SYM_WIRE_OPENED, &o, sizeof(o));
	return flush(v);
}

static int run(struct server *v)
{
	struct sym_wire_done done;
	int err = open_module(v);

	if (err == -ENODATA) /* it was said why */
		return 0;
	while (!err)
		err = answer_record(v);
	if (err != -ENODATA)
		return err;
	done.split_missing = sym_module_split_missing(v->module);
	sym_wire_put(&v->out, SYM_WIRE_DONE, &done, sizeof(done));
	return flush(v);
}

/* libdw does not always look at what it gets from malloc(3): such a crash is a lack of memory. Any other happens again when this returns. */
static void on_fault(int sig)
{
	(void)sig;
	if (errno == ENOMEM)
		_exit(SYM_SERVE_NO_MEMORY);
}

int sym_serve_run(const struct sym_serve *s)
{
	struct sigaction fault = {.sa_handler = on_fault, .sa_flags = (int)SA_RESETHAND};
	struct server v = {.s = s};
	int err;

	(void)sigaction(SIGSEGV, &fault, NULL);
	(void)sigaction(SIGABRT, &fault, NULL);
	err = run(&v);

	/* Nothing is taken down: the process ends. */
	if (err == -ENOMEM)
		return SYM_SERVE_NO_MEMORY;
	return err ? SYM_SERVE_NO_PARENT : SYM_SERVE_OK;
}

/* ---- files of split DWARF ---- */

/* The one answer of a request: an errno, and with 0 a file descriptor. */
static int receive_file(int sock)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	s32 err = 0;
	struct iovec iov = {.iov_base = &err, .iov_len = sizeof(err)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	ssize_t n;
	int fd;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(err))
		return n < 0 ? -errno : -EPIPE;
	if (err)
		return err < 0 ? err : -EPROTO;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EMFILE; /* the limit of open files */
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int sym_serve_open_split(void *ctx, const struct sym_split_want *want)
{
	const struct sym_serve *s = ctx;
	u8 packet[SYM_WIRE_WANT_MAX];
	int n = sym_wire_put_want(want, packet);
	struct iovec iov = {.iov_base = packet, .iov_len = n > 0 ? (size_t)n : 0};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (n < 0)
		return n;
	do
		sent = sendmsg(s->files, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : receive_file(s->files);
}
