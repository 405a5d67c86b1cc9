/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * throttle.c: see throttle.h. A member is a process and the cgroups that it is in, innermost first; a stat is one cgroup's cpu.stat, shared by its members.
 * Invariant between two ticks: every stat of every member is in use, and has been read once if it can be read.
 */
#include "record/throttle.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"

enum { MAX_MEMBERS = 256, MAX_STATS = 128, MAX_TEXT = 16 << 10 };

struct stat_file {
	char *cgroup; /* path; NULL: free */
	int fd;	      /* -1: cannot be seen */
	bool wanted;  /* a member was in it at this tick */
	bool is_read; /* `counts` holds */
	u64 read_at;  /* before it was read, CLOCK_MONOTONIC ns */
	struct cgroup_counts counts;
};

struct member {
	u32 process; /* index; 0: free */
	int fd;	     /* /proc/PID/cgroup */
	bool seen;   /* at this tick */
	char *cgroup;
	u8 stats[CGROUP_MAX_DEPTH];
	u32 n_stats;
};

struct throttle_watch {
	struct catalog *cat;
	struct fmt_writer *w;
	struct cgroup_mounts mounts;
	struct member members[MAX_MEMBERS];
	u32 n_members;
	struct stat_file stats[MAX_STATS];
	char text[MAX_TEXT];
	u32 last_left_out; /* process index: they are met in order, so each is counted once */
	u64 left_out;
};

int throttle_watch_new(struct catalog *c, struct fmt_writer *w, const struct cgroup_mounts *mounts, struct throttle_watch **ret)
{
	struct throttle_watch *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->cat = c;
	t->w = w;
	t->mounts = *mounts;
	*ret = t;
	return 0;
}

static void member_end(struct member *m)
{
	if (m->fd >= 0)
		(void)close(m->fd);
	free(m->cgroup);
	*m = (struct member){.fd = -1};
}

static void stat_end(struct stat_file *s)
{
	if (s->fd >= 0)
		(void)close(s->fd);
	free(s->cgroup);
	*s = (struct stat_file){.fd = -1};
}

struct throttle_watch *throttle_watch_free(struct throttle_watch *t)
{
	if (!t)
		return NULL;
	for (u32 i = 0; i < t->n_members; i++)
		member_end(&t->members[i]);
	for (u32 i = 0; i < MAX_STATS; i++)
		if (t->stats[i].cgroup)
			stat_end(&t->stats[i]);
	free(t);
	return NULL;
}

u64 throttle_watch_left_out(const struct throttle_watch *t)
{
	return t->left_out;
}

/* All of a small file that is kept open, NUL-terminated. */
static int read_again(struct throttle_watch *t, int fd)
{
	ssize_t n = fd_pread_full(fd, t->text, sizeof(t->text) - 1, 0);

	if (n < 0)
		return (int)n;
	t->text[n] = 0;
	return 0;
}

/* ---- members ---- */

/* The stat of this cgroup; -1 when there is no room. */
static int find_stat(struct throttle_watch *t, const char *cgroup, bool v1)
{
	char path[PATH_MAX];
	int room = -1;

	for (int i = 0; i < MAX_STATS; i++) {
		if (t->stats[i].cgroup && !strcmp(t->stats[i].cgroup, cgroup))
			return i;
		if (!t->stats[i].cgroup && room < 0)
			room = i;
	}
	if (room < 0)
		return -1;
	t->stats[room] = (struct stat_file){.fd = -1, .cgroup = strdup(cgroup)};
	if (!t->stats[room].cgroup)
		return -1;
	if (cgroup_stat_path(v1 ? &t->mounts.v1 : &t->mounts.v2, cgroup, path, sizeof(path)) == 0)
		t->stats[room].fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return room;
}

static void enter_cgroups(struct throttle_watch *t, struct member *m, char *path, bool v1)
{
	m->n_stats = 0;
	do {
		int i = find_stat(t, path, v1);

		if (i >= 0)
			m->stats[m->n_stats++] = (u8)i;
	} while (m->n_stats < CGROUP_MAX_DEPTH && cgroup_to_parent(path));
}

/* Where the process is now. What cannot be read stays as it was: the process is ending, or this host does not tell. */
static void look_at_member(struct throttle_watch *t, struct member *m, struct cat_process *p)
{
	char path[FMT_MAX_STRING];
	bool v1;

	m->seen = true;
	if (m->fd >= 0 && read_again(t, m->fd) == 0 && cgroup_path_of(t->text, path, sizeof(path), &v1) == 0 &&
	    (!m->cgroup || strcmp(m->cgroup, path) != 0)) {
		free(m->cgroup);
		m->cgroup = strdup(path);
		catalog_process_cgroup(t->cat, p, path);
		enter_cgroups(t, m, path, v1);
	}
	for (u32 i = 0; i < m->n_stats; i++)
		t->stats[m->stats[i]].wanted = true;
}

static void look_at_process(void *ctx, struct cat_process *p)
{
	struct throttle_watch *t = ctx;
	struct member *room = NULL;

	for (u32 i = 0; i < t->n_members; i++) {
		if (t->members[i].process == p->idx) {
			look_at_member(t, &t->members[i], p);
			return;
		}
		if (!t->members[i].process && !room)
			room = &t->members[i];
	}
	if (!room && t->n_members < MAX_MEMBERS)
		room = &t->members[t->n_members++];
	if (!room) {
		t->left_out += p->idx > t->last_left_out;
		t->last_left_out = p->idx > t->last_left_out ? p->idx : t->last_left_out;
		return;
	}
	*room = (struct member){.process = p->idx, .fd = proc_open_cgroup(p->fs, p->pid)};
	look_at_member(t, room, p);
}

/* ---- stats ---- */

static int read_stat(struct throttle_watch *t, struct stat_file *s, u64 now)
{
	struct cgroup_counts c;
	struct fmt_throttle row = {.ts = s->read_at};

	if (s->fd < 0 || read_again(t, s->fd) < 0 || cgroup_counts_parse(t->text, &c) < 0)
		return 0;
	if (s->is_read) {
		row.periods = c.periods > s->counts.periods ? c.periods - s->counts.periods : 0;
		row.throttled = c.throttled_ns > s->counts.throttled_ns ? c.throttled_ns - s->counts.throttled_ns : 0;
	}
	s->is_read = true;
	s->read_at = now;
	s->counts = c;
	if (!row.periods && !row.throttled)
		return 0;
	row.cgroup = catalog_string(t->cat, s->cgroup);
	row.ts_end = clock_ns(CLOCK_MONOTONIC);
	return fmt_writer_row(t->w, FMT_THROTTLE, &row, NULL, 0);
}

int throttle_watch_tick(struct throttle_watch *t)
{
	u64 now = clock_ns(CLOCK_MONOTONIC);
	int err = 0;

	for (u32 i = 0; i < t->n_members; i++)
		t->members[i].seen = false;
	for (u32 i = 0; i < MAX_STATS; i++)
		t->stats[i].wanted = false;
	catalog_each_process(t->cat, look_at_process, t);
	for (u32 i = 0; i < t->n_members; i++)
		if (t->members[i].process && !t->members[i].seen)
			member_end(&t->members[i]);
	/* one that is not wanted any more is read a last time: its members were in it until just now */
	for (u32 i = 0; i < MAX_STATS && !err; i++) {
		if (!t->stats[i].cgroup)
			continue;
		err = read_stat(t, &t->stats[i], now);
		if (!t->stats[i].wanted)
			stat_end(&t->stats[i]);
	}
	return err;
}
