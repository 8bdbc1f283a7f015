#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/owned.h"
#include "pool/pool_private.h"

#define HEADER_BYTES ((size_t)5)

/* ---- frames in parts */

static bool take_header(struct incoming *incoming, struct buffer *payload)
{
	const unsigned char *h = incoming->header;

	incoming->size = h[0] | (size_t)h[1] << 8 | (size_t)h[2] << 16 | (size_t)h[3] << 24;
	if (incoming->size > FRAME_BYTES_MAX || !h[4] || !strchr("RSDEL", h[4]))
		return false;
	if (payload)
		buffer_clear(payload);
	return !payload || buffer_reserve(payload, incoming->size);
}

/* What is read next: of the header, or of the payload. */
static ssize_t read_some(struct incoming *incoming, int fd, struct buffer *payload)
{
	char rest[65536];
	size_t done, left;
	ssize_t got;

	if (incoming->got < HEADER_BYTES)
		return recv(fd, incoming->header + incoming->got, HEADER_BYTES - incoming->got, MSG_DONTWAIT);
	done = incoming->got - HEADER_BYTES;
	left = incoming->size - done;
	if (payload) {
		got = recv(fd, payload->data + done, left, MSG_DONTWAIT);
		if (got > 0)
			payload->size = done + (size_t)got;
		return got;
	}
	return recv(fd, rest, left < sizeof rest ? left : sizeof rest, MSG_DONTWAIT);
}

enum frame_progress incoming_read(struct incoming *incoming, int fd, enum frame_type *ret_type, struct buffer *payload)
{
	while (incoming->got < HEADER_BYTES || incoming->got - HEADER_BYTES < incoming->size) {
		ssize_t got = read_some(incoming, fd, payload);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return FRAME_PART;
		if (got <= 0)
			return FRAME_LOST;
		incoming->got += (size_t)got;
		if (incoming->got == HEADER_BYTES && !take_header(incoming, payload))
			return FRAME_NONSENSE;
	}
	if (payload)
		payload->data[payload->size] = 0;
	*ret_type = (enum frame_type)incoming->header[4];
	incoming->got = incoming->size = 0;
	return FRAME_WHOLE;
}

/* ---- the lease */

struct lease_facts lease_facts(const struct lease *lease)
{
	return (struct lease_facts){lease->worker, lease->one_shot, lease->waited_us};
}

static void count(struct lease *lease, int64_t *counter)
{
	pthread_mutex_lock(&lease->pool->lock);
	(*counter)++;
	pthread_mutex_unlock(&lease->pool->lock);
}

bool lease_ready(const struct lease *lease, int wait_ms)
{
	struct pollfd fd = {lease->fd, POLLIN, 0};

	return poll(&fd, 1, wait_ms) > 0;
}

int lease_send(struct lease *lease, const struct request *request, struct error *err)
{
	struct timeval patience = {.tv_sec = SEND_MS / 1000};
	OWNED_BUFFER struct buffer json = {0};
	struct pool *pool = lease->pool;
	struct member *member;

	buffer_init(&json, FRAME_BYTES_MAX);
	request_write(request, &json);
	if (!buffer_ok(&json))
		return error_set(err, ERROR_INVALID, 0, "the request is larger than a worker takes");
	pthread_mutex_lock(&pool->lock);
	machine_began(pool->machine, lease->worker, clock_monotonic_ms());
	pool->queries++;
	member = pool_member(pool, lease->worker);
	if (member)
		member->queries++;
	pthread_mutex_unlock(&pool->lock);
	lease->sent = true;
	lease->sent_ms = clock_monotonic_ms();
	setsockopt(lease->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (frame_write(lease->fd, FRAME_REQUEST, json.data, json.size, err) == 0)
		return 0;
	lease->broken = true;
	count(lease, &pool->lost);
	return -1;
}

static void cancel(struct lease *lease)
{
	struct error ignored;

	if (!lease->cancelled && frame_write(lease->fd, FRAME_CANCEL, NULL, 0, &ignored))
		lease->broken = true;
	lease->cancelled = true;
}

/* Waits until the worker says something: LEASE_DATA; or for what ends the answer. */
static enum lease_event wait_for_worker(struct lease *lease)
{
	struct pollfd fds[2] = {{lease->fd, POLLIN, 0}, {lease->client_fd, POLLRDHUP, 0}};
	/* A one-shot worker gets warm first. */
	int64_t until_ms = lease->sent_ms + lease->max_ms + LATE_MS + (lease->one_shot ? START_MS : 0);

	for (;;) {
		int64_t left = until_ms - clock_monotonic_ms();

		if (left <= 0)
			return LEASE_LATE;
		if (poll(fds, lease->client_fd < 0 ? 1 : 2, left > INT32_MAX ? INT32_MAX : (int)left) < 0 &&
		    errno != EINTR)
			return LEASE_LOST;
		if (fds[1].revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
			return LEASE_CLIENT_GONE;
		if (fds[0].revents)
			return LEASE_DATA;
	}
}

static enum lease_event lose(struct lease *lease, const char *why, struct error *err)
{
	lease->broken = true;
	count(lease, &lease->pool->lost);
	error_set(err, ERROR_TRANSIENT, 0, "%s", why);
	return LEASE_LOST;
}

static enum lease_event stop_answer(struct lease *lease, enum lease_event event, struct error *err)
{
	if (event == LEASE_LOST)
		return lose(lease, "the worker's socket cannot be read", err);
	if (event == LEASE_LATE)
		count(lease, &lease->pool->late);
	cancel(lease);
	return event;
}

static enum lease_event event_of(struct lease *lease, enum frame_type type)
{
	lease->ended |= type == FRAME_END || type == FRAME_LAST;
	lease->broken |= type == FRAME_LAST;
	return type == FRAME_START ? LEASE_START : type == FRAME_DATA ? LEASE_DATA : LEASE_END;
}

enum lease_event lease_next(struct lease *lease, struct buffer *payload, struct error *err)
{
	for (;;) {
		enum frame_type type;
		enum lease_event event;

		switch (incoming_read(&lease->incoming, lease->fd, &type, payload)) {
		case FRAME_WHOLE:
			if (type == FRAME_READY && lease->one_shot)
				continue;
			if (type == FRAME_READY)
				return lose(lease, "the worker said what it must not", err);
			return event_of(lease, type);
		case FRAME_LOST: return lose(lease, "the worker ended before it had answered", err);
		case FRAME_NONSENSE: return lose(lease, "the worker said what is no answer", err);
		case FRAME_PART: break;
		}
		event = wait_for_worker(lease);
		if (event != LEASE_DATA)
			return stop_answer(lease, event, err);
	}
}

bool pool_is_too_large(const struct pool *pool, int64_t handle)
{
	return pool->driver.memory_bytes(pool->driver.context, handle) > pool->spec->memory_bytes;
}

/* Under the lock. */
static void give_back(struct lease *lease, struct member *member, bool broken)
{
	struct pool *pool = lease->pool;
	int64_t now = clock_monotonic_ms();

	if (lease->sent)
		pool->average_ms += (now - lease->sent_ms - pool->average_ms) / 8;
	member->state = MEMBER_IDLE;
	machine_released(pool->machine, lease->worker, broken ? RELEASE_BROKEN : RELEASE_GOOD, now);
	if (member->doomed)
		pool_end_member(member);
	pool_do_actions(pool);
}

void lease_release(struct lease *lease)
{
	struct pool *pool = lease->pool;
	bool unfinished = lease->sent && !lease->ended;
	bool broken = lease->broken || (lease->ended && !lease->one_shot && pool_is_too_large(pool, lease->handle));
	struct member *member;

	if (unfinished && !broken)
		cancel(lease);
	broken |= lease->broken;
	pthread_mutex_lock(&pool->lock);
	member = pool_member(pool, lease->worker);
	if (member && unfinished && !broken && !member->doomed) {
		member->state = MEMBER_CEDED;
		member->incoming = lease->incoming;
		member->kill_ms = clock_monotonic_ms() + GRACE_MS;
		pool_wake_manager(pool);
	} else if (member) {
		give_back(lease, member, broken);
	}
	pthread_mutex_unlock(&pool->lock);
	free(lease);
}
