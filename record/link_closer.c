/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* link_closer.c: see link_closer.h. A list of descriptors in the order of their tickets; each thread takes the first of it, and holds that place until it is closed. */
#include "record/link_closer.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/array.h"

enum { THREADS = 8 };

struct work {
	u64 ticket;
	int fd;
};

struct link_closer {
	pthread_t threads[THREADS];
	u32 n_threads;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct work *list;
	size_t first, end, cap; /* of what waits in the list */
	u64 closing[THREADS];	/* tickets; 0: none */
	u32 n_closing;
	u64 last; /* ticket given */
	bool ending;
};

static void close_first(struct link_closer *c)
{
	struct work w = c->list[c->first++];
	u32 i = 0;

	while (c->closing[i])
		i++;
	c->closing[i] = w.ticket;
	c->n_closing++;
	(void)pthread_mutex_unlock(&c->lock);
	(void)close(w.fd);
	(void)pthread_mutex_lock(&c->lock);
	c->closing[i] = 0;
	c->n_closing--;
	(void)pthread_cond_broadcast(&c->changed);
}

static void *serve(void *arg)
{
	struct link_closer *c = arg;

	(void)pthread_mutex_lock(&c->lock);
	for (;;) {
		if (c->first < c->end)
			close_first(c);
		else if (c->ending)
			break;
		else
			(void)pthread_cond_wait(&c->changed, &c->lock);
	}
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

int link_closer_new(struct link_closer **ret)
{
	struct link_closer *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	(void)pthread_mutex_init(&c->lock, NULL);
	(void)pthread_cond_init(&c->changed, NULL);
	*ret = c;
	return 0;
}

struct link_closer *link_closer_free(struct link_closer *c)
{
	if (!c)
		return NULL;
	(void)pthread_mutex_lock(&c->lock);
	c->ending = true;
	(void)pthread_cond_broadcast(&c->changed);
	(void)pthread_mutex_unlock(&c->lock);
	for (u32 i = 0; i < c->n_threads; i++)
		(void)pthread_join(c->threads[i], NULL);
	(void)pthread_cond_destroy(&c->changed);
	(void)pthread_mutex_destroy(&c->lock);
	free(c->list);
	free(c);
	return NULL;
}

/* As many threads as there is work, where they can be had. They are made late: behind the drop of privileges, which is each thread's own. */
static bool has_threads(struct link_closer *c, size_t work)
{
	while (c->n_threads < THREADS && c->n_threads < work && pthread_create(&c->threads[c->n_threads], NULL, serve, c) == 0)
		c->n_threads++;
	return c->n_threads > 0;
}

static bool has_room(struct link_closer *c, u32 n)
{
	if (c->first == c->end)
		c->first = c->end = 0;
	return ARRAY_ROOM(c->list, c->end + n, &c->cap) == 0;
}

u64 link_closer_put(struct link_closer *c, int *fds, u32 n)
{
	u64 ticket;
	bool later;

	(void)pthread_mutex_lock(&c->lock);
	ticket = ++c->last;
	later = has_room(c, n) && has_threads(c, c->n_closing + c->end - c->first + n);
	for (u32 i = 0; later && i < n; i++)
		c->list[c->end++] = (struct work){.ticket = ticket, .fd = fds[i]};
	(void)pthread_cond_broadcast(&c->changed);
	(void)pthread_mutex_unlock(&c->lock);
	for (u32 i = 0; !later && i < n; i++)
		(void)close(fds[i]);
	free(fds);
	return ticket;
}

static bool is_done(const struct link_closer *c, u64 ticket)
{
	if (c->first < c->end && c->list[c->first].ticket <= ticket)
		return false;
	for (u32 i = 0; i < THREADS; i++)
		if (c->closing[i] && c->closing[i] <= ticket)
			return false;
	return true;
}

bool link_closer_is_done(struct link_closer *c, u64 ticket)
{
	bool done;

	(void)pthread_mutex_lock(&c->lock);
	done = is_done(c, ticket);
	(void)pthread_mutex_unlock(&c->lock);
	return done;
}
