/*
 * kafka_spent.c - messages that nobody needs any more, on their way back to librdkafka.
 *
 * librdkafka allocates a message on its broker's thread, and in glibc whoever frees it takes the lock of that thread's
 * arena. A reader of small messages that freed each itself slept 4,000 times a second for it, a seventh of its time
 * (docs/benchmarks.md). So a thread of their own frees them, many at once: it may sleep.
 *
 * Invariants:
 *  1. Never more than SPENT_MAX messages, of SPENT_BYTES together, wait; what is more is freed by who brings it.
 *  2. None waits longer than until the next poll that finds nothing (spent_hurry).
 *
 * Life cycle: spent_new -> spent_add... -> spent_free, which frees what waits; before rd_kafka_consumer_close, for
 * librdkafka waits for its messages. spent_add may be called from any thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "wire/kafka_lanes.h"

#define SPENT_MAX 4096
#define SPENT_BYTES ((size_t)1 << 20)
#define SPENT_ENOUGH 512 /* messages that are worth waking the thread for; or a fourth of SPENT_BYTES */

struct spent {
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	rd_kafka_message_t *lists[2][SPENT_MAX];
	int adding; /* the list that is added to; the thread frees the other */
	int count;
	size_t bytes;
	bool ends;
};

static void free_added(struct spent *spent)
{
	rd_kafka_message_t **list = spent->lists[spent->adding];
	int count = spent->count;

	spent->adding = !spent->adding;
	spent->count = 0;
	spent->bytes = 0;
	pthread_mutex_unlock(&spent->lock);
	for (int i = 0; i < count; i++)
		rd_kafka_message_destroy(list[i]);
	pthread_mutex_lock(&spent->lock);
}

static void *spent_main(void *opaque)
{
	struct spent *spent = opaque;

	pthread_mutex_lock(&spent->lock);
	while (spent->count || !spent->ends) {
		if (spent->count)
			free_added(spent);
		else
			pthread_cond_wait(&spent->changed, &spent->lock);
	}
	pthread_mutex_unlock(&spent->lock);
	return NULL;
}

struct spent *spent_new(struct error *err)
{
	struct spent *spent = calloc(1, sizeof *spent);
	int failed;

	if (!spent) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&spent->lock, NULL);
	pthread_cond_init(&spent->changed, NULL);
	failed = pthread_create(&spent->thread, NULL, spent_main, spent);
	if (!failed)
		return spent;
	error_set(err, ERROR_TRANSIENT, failed, "no thread for what was read: %s", strerror(failed));
	pthread_cond_destroy(&spent->changed);
	pthread_mutex_destroy(&spent->lock);
	free(spent);
	return NULL;
}

void spent_add(struct spent *spent, rd_kafka_message_t *m)
{
	size_t size = m->len + m->key_len;
	bool added = false;

	if (spent && size < SPENT_BYTES) {
		pthread_mutex_lock(&spent->lock);
		added = spent->count < SPENT_MAX && spent->bytes + size <= SPENT_BYTES;
		if (added) {
			spent->lists[spent->adding][spent->count++] = m;
			spent->bytes += size;
		}
		if (spent->count == SPENT_ENOUGH || spent->bytes >= SPENT_BYTES / 4)
			pthread_cond_signal(&spent->changed);
		pthread_mutex_unlock(&spent->lock);
	}
	if (!added)
		rd_kafka_message_destroy(m);
}

void spent_hurry(struct spent *spent)
{
	if (!spent)
		return;
	pthread_mutex_lock(&spent->lock);
	if (spent->count)
		pthread_cond_signal(&spent->changed);
	pthread_mutex_unlock(&spent->lock);
}

void spent_free(struct spent *spent)
{
	if (!spent)
		return;
	pthread_mutex_lock(&spent->lock);
	spent->ends = true;
	pthread_cond_signal(&spent->changed);
	pthread_mutex_unlock(&spent->lock);
	pthread_join(spent->thread, NULL);
	pthread_cond_destroy(&spent->changed);
	pthread_mutex_destroy(&spent->lock);
	free(spent);
}
