#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "pool/pool_private.h"

#define REAP_MS 20 /* between two looks at workers that end */
#define WATCHED_MAX 1100

struct watched { /* a socket that the manager waits on; its member may be gone when it wakes */
	int64_t worker;
	int fd;
};

/* ---- starting */

static void begin_life(struct pool *pool, struct member *member, int fd, int64_t handle)
{
	bool unwanted = member->state == MEMBER_ENDING;

	member->has_process = true;
	member->handle = handle;
	member->fd = fd;
	member->state = MEMBER_STARTING;
	if (unwanted) { /* it was told to end while it was being born */
		pool->driver.kill(pool->driver.context, handle);
		pool_end_member(member);
	}
}

static struct member *find_unborn(struct pool *pool)
{
	struct member *member = pool->members;

	while (member && member->state != MEMBER_UNBORN)
		member = member->next;
	return member;
}

/* Under the lock, which it gives up while a process starts. */
static void start_unborn(struct pool *pool)
{
	struct member *member;

	while ((member = find_unborn(pool))) {
		struct error err = {0};
		int64_t worker = member->id, handle = 0;
		int fd;

		member->state = MEMBER_STARTING;
		member->in_birth = true;
		pthread_mutex_unlock(&pool->lock);
		fd = pool->driver.start(pool->driver.context, false, &handle, &err);
		pthread_mutex_lock(&pool->lock);
		member->in_birth = false;
		if (fd >= 0) {
			begin_life(pool, member, fd, handle);
			continue;
		}
		log_event(EVENT_WORKER_FAILED, FIELDS(LOG_TEXT("pool", pool->spec->name), LOG_NUMBER("worker", worker)),
		          "worker %lld: %s", (long long)worker, err.message);
		member->state = MEMBER_ENDING;
		member->told = true;
		machine_died(pool->machine, worker, clock_monotonic_ms());
		pool_do_actions(pool);
	}
}

/* ---- the ends of workers */

static void tell_death(struct pool *pool, struct member *member, const char *why)
{
	if (member->told)
		return;
	member->told = true;
	log_event(EVENT_WORKER_FAILED,
	          FIELDS(LOG_TEXT("pool", pool->spec->name), LOG_NUMBER("worker", member->id), LOG_TEXT("why", why)),
	          "worker %lld %s; it is replaced where it is needed", (long long)member->id, why);
	machine_died(pool->machine, member->id, clock_monotonic_ms());
}

/* An idle worker, or one that starts, ended, or said what it must not. */
static void lose_member(struct pool *pool, struct member *member, const char *why)
{
	pool->driver.kill(pool->driver.context, member->handle);
	pool_end_member(member);
	tell_death(pool, member, why);
	pool_do_actions(pool);
}

/* True: it is gone. */
static bool reap(struct pool *pool, struct member *member)
{
	char why[64];

	if (member->state != MEMBER_ENDING || member->in_birth)
		return false;
	if (member->has_process && !pool->driver.ended(pool->driver.context, member->handle, why))
		return false;
	if (!member->told)
		machine_died(pool->machine, member->id, clock_monotonic_ms());
	return true;
}

/* Under the lock. Whether some are left that have to end. */
static bool reap_all(struct pool *pool)
{
	struct member **at = &pool->members;
	bool left = false;

	while (*at) {
		struct member *member = *at;

		if (!reap(pool, member)) {
			left |= member->state == MEMBER_ENDING;
			at = &member->next;
			continue;
		}
		*at = member->next;
		buffer_release(&member->ready);
		free(member);
	}
	pool_do_actions(pool);
	return left;
}

/* ---- what workers say while nobody leases them */

static void hear_start(struct pool *pool, struct member *member)
{
	enum frame_type type;

	switch (incoming_read(&member->incoming, member->fd, &type, &member->ready)) {
	case FRAME_PART: return;
	case FRAME_WHOLE: break;
	case FRAME_LOST: lose_member(pool, member, "ended before it was ready"); return;
	case FRAME_NONSENSE: lose_member(pool, member, "said nonsense"); return;
	}
	if (type != FRAME_READY) {
		lose_member(pool, member, "said nonsense");
		return;
	}
	member->state = MEMBER_IDLE;
	log_event(EVENT_WORKER_READY,
	          FIELDS(LOG_TEXT("pool", pool->spec->name), LOG_NUMBER("worker", member->id),
	                 LOG_NUMBER("ms", clock_monotonic_ms() - member->born_ms)),
	          "worker %lld is warm after %lld ms", (long long)member->id,
	          (long long)(clock_monotonic_ms() - member->born_ms));
	machine_ready(pool->machine, member->id, clock_monotonic_ms());
	pool_do_actions(pool);
}

static void end_ceded(struct pool *pool, struct member *member, enum release how)
{
	if (how == RELEASE_BROKEN) {
		pool->driver.kill(pool->driver.context, member->handle);
		pool_end_member(member);
	} else {
		member->state = MEMBER_IDLE;
	}
	machine_released(pool->machine, member->id, how, clock_monotonic_ms());
	pool_do_actions(pool);
}

/* The rest of an answer that nobody wants. */
static void hear_ceded(struct pool *pool, struct member *member)
{
	enum frame_type type;

	for (;;) {
		switch (incoming_read(&member->incoming, member->fd, &type, NULL)) {
		case FRAME_PART: return;
		case FRAME_WHOLE: break;
		case FRAME_LOST:
		case FRAME_NONSENSE: end_ceded(pool, member, RELEASE_BROKEN); return;
		}
		if (type != FRAME_END && type != FRAME_LAST)
			continue;
		end_ceded(pool, member,
		          type == FRAME_LAST || pool_is_too_large(pool, member->handle) ? RELEASE_BROKEN
		                                                                        : RELEASE_GOOD);
		return;
	}
}

static void hear(struct pool *pool, const struct watched *watched)
{
	struct member *member = pool_member(pool, watched->worker);

	if (!member || member->fd != watched->fd)
		return;
	if (member->state == MEMBER_STARTING)
		hear_start(pool, member);
	else if (member->state == MEMBER_CEDED)
		hear_ceded(pool, member);
	else if (member->state == MEMBER_IDLE)
		lose_member(pool, member, "ended while it was idle");
}

static void check_ceded(struct pool *pool)
{
	int64_t now = clock_monotonic_ms();

	for (struct member *member = pool->members; member; member = member->next)
		if (member->state == MEMBER_CEDED && member->kill_ms <= now)
			end_ceded(pool, member, RELEASE_BROKEN);
}

/* ---- the thread */

static int watch(struct pool *pool, struct pollfd *fds, struct watched *watched, int64_t *until_ms)
{
	int count = 1;

	fds[0] = (struct pollfd){pool->wake, POLLIN, 0};
	for (struct member *member = pool->members; member && count < WATCHED_MAX; member = member->next) {
		if (member->fd < 0 || member->state == MEMBER_LEASED)
			continue;
		if (member->state == MEMBER_CEDED && member->kill_ms < *until_ms)
			*until_ms = member->kill_ms;
		fds[count] = (struct pollfd){member->fd, POLLIN, 0};
		watched[count++] = (struct watched){member->id, member->fd};
	}
	return count;
}

/* Under the lock, which it gives up while it waits. */
static void wait_for_something(struct pool *pool, bool reaping)
{
	struct pollfd fds[WATCHED_MAX];
	struct watched watched[WATCHED_MAX];
	int64_t now = clock_monotonic_ms(), until_ms = machine_due_ms(pool->machine), left;
	uint64_t wakes;
	int count;

	if (reaping && now + REAP_MS < until_ms)
		until_ms = now + REAP_MS;
	count = watch(pool, fds, watched, &until_ms);
	pool->sleeps_until_ms = until_ms;
	left = until_ms > now ? until_ms - now : 0;
	pthread_mutex_unlock(&pool->lock);
	if (poll(fds, (nfds_t)count, left > 60000 ? 60000 : (int)left) < 0)
		memset(fds, 0, sizeof fds);
	if (fds[0].revents && read(pool->wake, &wakes, sizeof wakes) < 0) {
		/* another look at what there is does no harm */
	}
	pthread_mutex_lock(&pool->lock);
	pool->sleeps_until_ms = 0; /* it is awake, and will look at the time again */
	for (int i = 1; i < count; i++)
		if (fds[i].revents)
			hear(pool, &watched[i]);
}

void *pool_manage(void *context)
{
	struct pool *pool = context;

	pthread_mutex_lock(&pool->lock);
	while (!pool->ending) {
		bool reaping;

		start_unborn(pool);
		check_ceded(pool);
		machine_tick(pool->machine, clock_monotonic_ms());
		pool_do_actions(pool);
		reaping = reap_all(pool);
		if (!find_unborn(pool))
			wait_for_something(pool, reaping);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}
