#include "pool/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "pool/pool_private.h"

/* ---- what the machine wants done */

struct member *pool_member(struct pool *pool, int64_t worker)
{
	struct member *member = pool->members;

	while (member && member->id != worker)
		member = member->next;
	return member;
}

void pool_wake_manager(struct pool *pool)
{
	uint64_t one = 1;

	if (write(pool->wake, &one, sizeof one) < 0) {
		/* It is full of wakes already. */
	}
}

void pool_end_member(struct member *member)
{
	if (member->fd >= 0)
		close(member->fd);
	member->fd = -1;
	member->state = MEMBER_ENDING;
}

static void add_member(struct pool *pool, int64_t worker, bool one_shot)
{
	struct member *member = calloc(1, sizeof *member);

	if (!member) {
		machine_died(pool->machine, worker, clock_monotonic_ms());
		return;
	}
	member->id = worker;
	member->one_shot = one_shot;
	member->fd = -1;
	member->state = one_shot ? MEMBER_STARTING : MEMBER_UNBORN;
	member->in_birth = one_shot; /* who asked starts it */
	member->born_ms = clock_monotonic_ms();
	buffer_init(&member->ready, READY_BYTES_MAX);
	member->next = pool->members;
	pool->members = member;
	pool_wake_manager(pool);
}

static void end_worker(struct pool *pool, int64_t worker, bool kill)
{
	struct member *member = pool_member(pool, worker);

	if (!member)
		return;
	if (kill && member->has_process)
		pool->driver.kill(pool->driver.context, member->handle);
	/* A lease whose worker was killed sees its end; it alone closes what it reads. */
	if (member->state == MEMBER_LEASED)
		member->doomed = true;
	else
		pool_end_member(member);
	pool_wake_manager(pool);
}

static void answer_asker(struct pool *pool, const struct action *action, enum asker_state state)
{
	uint64_t one = 1;

	for (struct asker *asker = pool->askers; asker; asker = asker->next) {
		if (asker->request != action->request)
			continue;
		asker->state = state;
		asker->worker = action->worker;
		if (asker->event >= 0 && write(asker->event, &one, sizeof one) < 0)
			log_event(EVENT_LAKE, NO_FIELDS, "an eventfd cannot be written: %s", strerror(errno));
		return;
	}
}

static void hand(struct pool *pool, const struct action *action)
{
	struct member *member = pool_member(pool, action->worker);

	if (member)
		member->state = MEMBER_LEASED;
	answer_asker(pool, action, ASKER_GIVEN);
}

static void do_action(struct pool *pool, const struct action *action)
{
	switch (action->type) {
	case ACTION_NONE: break;
	case ACTION_START: add_member(pool, action->worker, false); break;
	case ACTION_STOP: end_worker(pool, action->worker, false); break;
	case ACTION_KILL: end_worker(pool, action->worker, true); break;
	case ACTION_HAND: hand(pool, action); break;
	case ACTION_ONE_SHOT:
		add_member(pool, action->worker, true);
		answer_asker(pool, action, ASKER_ONE_SHOT);
		break;
	case ACTION_REFUSE_FULL: answer_asker(pool, action, ASKER_FULL); break;
	case ACTION_REFUSE_WAITED: answer_asker(pool, action, ASKER_WAITED); break;
	case ACTION_REFUSE_STOPPED: answer_asker(pool, action, ASKER_STOPPED); break;
	}
}

void pool_do_actions(struct pool *pool)
{
	struct action action;

	while (machine_next(pool->machine, &action))
		do_action(pool, &action);
	if (machine_due_ms(pool->machine) < pool->sleeps_until_ms)
		pool_wake_manager(pool);
}

/* ---- acquiring */

static void unlink_asker(struct pool *pool, struct asker *asker)
{
	struct asker **at = &pool->askers;

	while (*at != asker)
		at = &(*at)->next;
	*at = asker->next;
}

/* Waits for the machine's answer, or for the client to go away, which is true. */
static bool wait_or_gone(const struct asker *asker, int client_fd)
{
	struct pollfd fds[2] = {{asker->event, POLLIN, 0}, {client_fd, POLLRDHUP, 0}};

	for (;;) {
		if (poll(fds, client_fd < 0 ? 1 : 2, -1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return false;
		if (fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
			return true;
	}
}

/* Under the lock, which it gives up while it waits. True: the client went away, and no worker is held for it. */
static bool wait_for_turn(struct pool *pool, struct asker *asker, int client_fd)
{
	bool gone;

	while (asker->state == ASKER_WAITS) {
		pthread_mutex_unlock(&pool->lock);
		gone = wait_or_gone(asker, client_fd);
		pthread_mutex_lock(&pool->lock);
		if (!gone || asker->state != ASKER_WAITS)
			continue;
		machine_request_gone(pool->machine, asker->request, clock_monotonic_ms());
		pool_do_actions(pool);
		return true;
	}
	return false;
}

static bool is_alive(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	/* An idle worker says nothing. */
	return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static int retry_after(const struct pool *pool)
{
	struct machine_facts facts = machine_facts(pool->machine);
	int64_t seconds = facts.waiting * pool->average_ms / (facts.size > 0 ? facts.size : 1) / 1000;

	return seconds < 1 ? 1 : seconds > 60 ? 60 : (int)seconds;
}

static enum pool_answer answer_of(const struct pool *pool, enum asker_state state, int *ret_retry_after_s)
{
	*ret_retry_after_s = retry_after(pool);
	return state == ASKER_FULL ? POOL_FULL : state == ASKER_WAITED ? POOL_WAITED : POOL_STOPPED;
}

/* Under the lock: a worker for the lease, or the reason why there is none. */
static enum pool_answer get_worker(struct pool *pool, struct lease *lease, const struct pool_ask *ask,
                                   int *ret_retry_after_s, struct error *err)
{
	struct asker asker = {.request = pool->next_request++, .state = ASKER_WAITS, .event = -1, .next = pool->askers};
	enum pool_answer answer = POOL_GIVEN;

	pool->askers = &asker;
	if (machine_request(pool->machine, asker.request, ask->holder, INT64_MAX / 2, clock_monotonic_ms())) {
		error_no_memory(err);
		answer = POOL_FAILED;
	}
	pool_do_actions(pool);
	if (answer == POOL_GIVEN && asker.state == ASKER_WAITS) {
		asker.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (asker.event < 0) {
			error_set(err, ERROR_TRANSIENT, errno, "no eventfd: %s", strerror(errno));
			machine_request_gone(pool->machine, asker.request, clock_monotonic_ms());
			pool_do_actions(pool);
			answer = POOL_FAILED;
		} else if (wait_for_turn(pool, &asker, ask->client_fd)) {
			answer = POOL_CLIENT_GONE;
		}
	}
	unlink_asker(pool, &asker);
	if (asker.event >= 0)
		close(asker.event);
	if (answer == POOL_GIVEN && asker.state >= ASKER_FULL)
		answer = answer_of(pool, asker.state, ret_retry_after_s);
	lease->worker = asker.worker;
	lease->one_shot = asker.state == ASKER_ONE_SHOT;
	return answer;
}

/* Under the lock: the lease's worker was dead when it was handed out. */
static void bury(struct pool *pool, struct member *member)
{
	member->told = true;
	pool_end_member(member);
	if (member->has_process)
		pool->driver.kill(pool->driver.context, member->handle);
	machine_died(pool->machine, member->id, clock_monotonic_ms());
	pool_do_actions(pool);
	pool_wake_manager(pool);
}

/* Under the lock, which it gives up while the process starts: -1 where it does not. */
static int start_one_shot(struct pool *pool, struct lease *lease, struct error *err)
{
	struct member *member = pool_member(pool, lease->worker); /* nobody frees it while it is being born */
	int64_t handle = 0;
	int fd;

	if (!member)
		return error_no_memory(err);
	pthread_mutex_unlock(&pool->lock);
	fd = pool->driver.start(pool->driver.context, true, &handle, err);
	pthread_mutex_lock(&pool->lock);
	member->in_birth = false;
	member->has_process = fd >= 0;
	member->handle = lease->handle = handle;
	member->fd = lease->fd = fd;
	if (fd >= 0 && member->state == MEMBER_STARTING) {
		member->state = MEMBER_LEASED;
		return 0;
	}
	if (fd >= 0)
		error_set(err, ERROR_TRANSIENT, 0, "the pool ends");
	bury(pool, member);
	return -1;
}

enum pool_answer pool_acquire(struct pool *pool, const struct pool_ask *ask, struct lease **ret_lease,
                              int *ret_retry_after_s, struct error *err)
{
	int64_t begun_us = clock_monotonic_us();
	OWNED_FREE struct lease *lease = calloc(1, sizeof *lease);
	enum pool_answer answer;
	struct member *member;

	*ret_retry_after_s = 0;
	if (!lease) {
		error_no_memory(err);
		return POOL_FAILED;
	}
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		answer = get_worker(pool, lease, ask, ret_retry_after_s, err);
		if (answer != POOL_GIVEN)
			break;
		member = pool_member(pool, lease->worker);
		if (lease->one_shot) {
			answer = start_one_shot(pool, lease, err) ? POOL_FAILED : POOL_GIVEN;
			break;
		}
		lease->fd = member->fd;
		lease->handle = member->handle;
		if (is_alive(lease->fd))
			break;
		bury(pool, member);
	}
	pthread_mutex_unlock(&pool->lock);
	if (answer != POOL_GIVEN)
		return answer;
	lease->pool = pool;
	lease->client_fd = ask->client_fd;
	lease->max_ms =
	        ask->max_ms > 0 && ask->max_ms < pool->spec->max_query_ms ? ask->max_ms : pool->spec->max_query_ms;
	lease->waited_us = clock_monotonic_us() - begun_us;
	*ret_lease = TAKE(lease);
	return POOL_GIVEN;
}

/* ---- the pool itself */

static struct machine_limits limits_of(const struct spec_pool *spec)
{
	return (struct machine_limits){
	        .min_size = spec->min_size,
	        .max_size = spec->max_size,
	        .target_utilization = strtod(spec->target_utilization, NULL),
	        .max_idle_ms = spec->max_idle_ms,
	        .max_lifetime_ms = spec->max_lifetime_ms,
	        .max_queries = spec->max_queries,
	        .queue_length = spec->queue_length,
	        .queue_wait_ms = spec->queue_wait_ms,
	        .scale_up = spec->scale_up,
	        .scale_down = spec->scale_down,
	        .scale_interval_ms = spec->scale_interval_ms,
	        .stabilization_ms = spec->stabilization_ms,
	        .start_ms = START_MS,
	        .drain_ms = spec->max_query_ms + 2 * GRACE_MS,
	};
}

struct pool *pool_new(const struct spec_pool *spec, const struct pool_driver *driver, struct error *err)
{
	struct machine_limits limits = limits_of(spec);
	struct pool *pool = calloc(1, sizeof *pool);
	int failed;

	if (!pool) {
		error_no_memory(err);
		return NULL;
	}
	pool->spec = spec;
	pool->driver = *driver;
	pool->sleeps_until_ms = INT64_MAX;
	pthread_mutex_init(&pool->lock, NULL);
	pool->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pool->machine = machine_new(&limits, clock_monotonic_ms(), err);
	if (pool->wake < 0 || !pool->machine) {
		if (pool->wake < 0)
			error_set(err, ERROR_TRANSIENT, errno, "no eventfd: %s", strerror(errno));
		pool_free(pool);
		return NULL;
	}
	pool_do_actions(pool);
	failed = pthread_create(&pool->manager, NULL, pool_manage, pool);
	if (failed) {
		error_set(err, ERROR_TRANSIENT, failed, "no thread for a pool: %s", strerror(failed));
		pool_free(pool);
		return NULL;
	}
	pool->has_manager = true;
	return pool;
}

/* Under the lock. */
static bool has_members(const struct pool *pool)
{
	return pool->members != NULL;
}

static void wait_for_members(struct pool *pool, int64_t until_ms)
{
	bool some = true;

	while (some && clock_monotonic_ms() < until_ms) {
		pthread_mutex_lock(&pool->lock);
		some = has_members(pool);
		pthread_mutex_unlock(&pool->lock);
		if (some)
			clock_sleep_ms(5);
	}
}

void pool_renew(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	machine_renew(pool->machine, clock_monotonic_ms());
	pool_do_actions(pool);
	pool_wake_manager(pool);
	pthread_mutex_unlock(&pool->lock);
}

void pool_stop(struct pool *pool, int64_t patience_ms)
{
	pthread_mutex_lock(&pool->lock);
	pool->draining = true;
	machine_drain_all(pool->machine, clock_monotonic_ms());
	pool_do_actions(pool);
	pool_wake_manager(pool);
	pthread_mutex_unlock(&pool->lock);
	wait_for_members(pool, clock_monotonic_ms() + patience_ms);
	pthread_mutex_lock(&pool->lock);
	for (struct member *member = pool->members; member; member = member->next)
		if (member->has_process)
			pool->driver.kill(pool->driver.context, member->handle);
	pool_wake_manager(pool);
	pthread_mutex_unlock(&pool->lock);
	wait_for_members(pool, clock_monotonic_ms() + 2 * GRACE_MS);
}

static void free_members(struct pool *pool)
{
	for (struct member *member = pool->members, *next; member; member = next) {
		next = member->next;
		if (member->has_process)
			pool->driver.kill(pool->driver.context, member->handle);
		if (member->fd >= 0)
			close(member->fd);
		buffer_release(&member->ready);
		free(member);
	}
}

void pool_free(struct pool *pool)
{
	if (!pool)
		return;
	if (pool->has_manager) {
		pthread_mutex_lock(&pool->lock);
		pool->ending = true;
		pool_wake_manager(pool);
		pthread_mutex_unlock(&pool->lock);
		pthread_join(pool->manager, NULL);
	}
	free_members(pool);
	machine_free(pool->machine);
	if (pool->wake >= 0)
		close(pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

struct pool_facts pool_facts(struct pool *pool)
{
	struct pool_facts facts;

	pthread_mutex_lock(&pool->lock);
	facts = (struct pool_facts){machine_facts(pool->machine), pool->queries, pool->lost, pool->late};
	pthread_mutex_unlock(&pool->lock);
	return facts;
}

const struct spec_pool *pool_spec(const struct pool *pool)
{
	return pool->spec;
}

void pool_describe(struct pool *pool, struct buffer *json)
{
	static const char *const names[] = {
	        [MEMBER_UNBORN] = "starting", [MEMBER_STARTING] = "starting", [MEMBER_IDLE] = "idle",
	        [MEMBER_LEASED] = "busy",     [MEMBER_CEDED] = "draining",    [MEMBER_ENDING] = "terminating",
	};
	int64_t now = clock_monotonic_ms();
	const char *comma = "";

	buffer_char(json, '[');
	pthread_mutex_lock(&pool->lock);
	for (struct member *member = pool->members; member; member = member->next, comma = ",") {
		int64_t memory = member->has_process && member->state != MEMBER_ENDING
		                         ? pool->driver.memory_bytes(pool->driver.context, member->handle)
		                         : 0;

		buffer_printf(json,
		              "%s{\"id\":%lld,\"state\":\"%s\",\"queries\":%lld,\"age_ms\":%lld,\"memory\":%lld,"
		              "\"one_shot\":%s}",
		              comma, (long long)member->id, names[member->state], (long long)member->queries,
		              (long long)(now - member->born_ms), (long long)memory,
		              member->one_shot ? "true" : "false");
	}
	pthread_mutex_unlock(&pool->lock);
	buffer_char(json, ']');
}
