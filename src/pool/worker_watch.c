#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "lake/query.h"
#include "pool/worker_private.h"

#define LOOK_MS 10
#define AGAIN_MS 2 /* an interrupt may come before anything runs, and is lost then */
#define HEADER_BYTES 5

struct statm {
	long long resident, shared, data; /* pages; proc(5) */
};

static struct statm read_statm(const struct watch *watch)
{
	struct statm statm = {0};
	char text[128];
	ssize_t got = watch->statm < 0 ? -1 : pread(watch->statm, text, sizeof text - 1, 0);

	if (got <= 0)
		return statm;
	text[got] = 0;
	if (sscanf(text, "%*d %lld %lld %*d %*d %lld", &statm.resident, &statm.shared, &statm.data) != 3)
		return (struct statm){0};
	return statm;
}

int64_t watch_memory(const struct watch *watch)
{
	struct statm statm = read_statm(watch);

	return (statm.resident - statm.shared) * sysconf(_SC_PAGESIZE);
}

int64_t watch_mapped(const struct watch *watch)
{
	return read_statm(watch).data * sysconf(_SC_PAGESIZE);
}

/* What the server says while a query runs. A REQUEST is none of it, unless the query has just ended: it stays. */
static void hear(struct watch *watch)
{
	unsigned char header[HEADER_BYTES];
	ssize_t got = recv(watch->fd, header, sizeof header, MSG_PEEK | MSG_DONTWAIT);

	/* The server is gone: nobody wants anything of this process any more. */
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		_exit(0);
	if (got != sizeof header || header[4] != FRAME_CANCEL)
		return;
	if (recv(watch->fd, header, sizeof header, MSG_DONTWAIT) != sizeof header)
		_exit(0);
	watch->stop = watch->stop ? watch->stop : STOP_CANCELLED;
}

/* Under the lock. */
static void check(struct watch *watch)
{
	hear(watch);
	if (!watch->stop && clock_monotonic_ms() >= watch->deadline_ms)
		watch->stop = STOP_TIME;
	if (!watch->stop && watch->memory_bytes && watch_memory(watch) - watch->base_bytes > watch->memory_bytes)
		watch->stop = STOP_MEMORY;
	if (!watch->stop)
		return;
	atomic_store(&watch->ended, true);
	query_interrupt(watch->connection);
	query_interrupt(watch->parser);
}

/* Under the lock, which it gives up while it waits. A REQUEST that lies there already would end the wait at once; then
 * the query has ended, or is about to. */
static void wait_a_little(struct watch *watch)
{
	int64_t left = watch->deadline_ms - clock_monotonic_ms(), most = watch->stop ? AGAIN_MS : LOOK_MS;
	struct timespec until = clock_deadline(left > 0 && left < most ? left : most);

	pthread_cond_clockwait(&watch->begun, &watch->lock, CLOCK_MONOTONIC, &until);
}

static void *run(void *context)
{
	struct watch *watch = context;

	pthread_mutex_lock(&watch->lock);
	for (;;) {
		if (!watch->running) {
			pthread_cond_wait(&watch->begun, &watch->lock);
			continue;
		}
		wait_a_little(watch);
		if (watch->running)
			check(watch);
	}
	return NULL;
}

int watch_start(struct watch *watch, int fd, struct error *err)
{
	int failed;

	pthread_mutex_init(&watch->lock, NULL);
	pthread_cond_init(&watch->begun, NULL);
	watch->fd = fd;
	failed = pthread_create(&watch->thread, NULL, run, watch);
	if (failed)
		return error_set(err, ERROR_FATAL, failed, "no second thread: %s", strerror(failed));
	pthread_detach(watch->thread);
	return 0;
}

void watch_begin(struct watch *watch, int64_t max_ms, int64_t memory_bytes)
{
	pthread_mutex_lock(&watch->lock);
	watch->running = true;
	watch->stop = STOP_NONE;
	atomic_store(&watch->ended, false);
	watch->deadline_ms = max_ms > 0 ? clock_monotonic_ms() + max_ms : INT64_MAX;
	watch->memory_bytes = memory_bytes;
	watch->base_bytes = memory_bytes ? watch_memory(watch) : 0;
	pthread_cond_signal(&watch->begun);
	pthread_mutex_unlock(&watch->lock);
}

enum stop watch_end(struct watch *watch)
{
	enum stop stop;

	pthread_mutex_lock(&watch->lock);
	watch->running = false;
	stop = watch->stop;
	pthread_mutex_unlock(&watch->lock);
	return stop;
}
