/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* syncer.c: see syncer.h. One thread, one mutex; requests that come while one is served become one. */
#include "record/syncer.h"

#include <errno.h>
#include <pthread.h>

struct syncer {
	int fd;
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	bool wanted, busy, ending;
	int err;
};

static int sync_fd(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

static void *serve(void *arg)
{
	struct syncer *s = arg;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->ending) {
		int err;

		if (!s->wanted || s->err) {
			(void)pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		s->wanted = false;
		s->busy = true;
		(void)pthread_mutex_unlock(&s->lock);
		err = sync_fd(s->fd);
		(void)pthread_mutex_lock(&s->lock);
		s->busy = false;
		s->err = err;
		(void)pthread_cond_broadcast(&s->changed);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

int syncer_new(int fd, struct syncer **ret)
{
	struct syncer *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	*ret = s;
	return 0;
}

struct syncer *syncer_free(struct syncer *s)
{
	if (!s)
		return NULL;
	(void)pthread_mutex_lock(&s->lock);
	s->ending = true;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	if (s->has_thread)
		(void)pthread_join(s->thread, NULL);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

int syncer_request(struct syncer *s)
{
	int err;

	if (!s->has_thread && pthread_create(&s->thread, NULL, serve, s) == 0)
		s->has_thread = true;
	if (!s->has_thread)
		return syncer_now(s); /* no thread to be had: late is better than never */
	(void)pthread_mutex_lock(&s->lock);
	s->wanted = true;
	err = s->err;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	return err;
}

int syncer_now(struct syncer *s)
{
	int err;

	(void)pthread_mutex_lock(&s->lock);
	s->wanted = false; /* the one below includes it */
	while (s->busy)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	if (!s->err)
		s->err = sync_fd(s->fd); /* nobody else needs the lock meanwhile */
	err = s->err;
	(void)pthread_mutex_unlock(&s->lock);
	return err;
}

int syncer_err(struct syncer *s)
{
	int err;

	(void)pthread_mutex_lock(&s->lock);
	err = s->err;
	(void)pthread_mutex_unlock(&s->lock);
	return err;
}
