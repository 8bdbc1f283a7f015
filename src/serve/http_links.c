/*
 * http_links.c - the connections, and the watcher that cuts those that are too slow.
 *
 * libmicrohttpd's own time-out is of silence: a client that sends or takes a byte now and then would keep its
 * connection, and its thread, for ever.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "serve/http_private.h"
#include "serve/problem.h"

#define SLOWEST_BYTES_PER_MS 16 /* 16 kB/s */
#define TICK_MS 250

static void shut(struct link *link)
{
	link->cut = true;
	shutdown(link->fd, SHUT_RDWR);
}

/* Room for another one: the connection that has been idle for longest. Called with the lock. */
static void evict(struct http_server *server)
{
	struct link *oldest = NULL;

	if (server->link_count < server->options.connections - server->options.connections / 8)
		return;
	for (struct link *link = server->links; link; link = link->next)
		if (link->state == LINK_IDLE && !link->cut && (!oldest || link->deadline_ms < oldest->deadline_ms))
			oldest = link;
	if (oldest)
		shut(oldest);
}

static int64_t deadline(const struct http_server *server, enum link_state state, int64_t bytes)
{
	int64_t idle_ms = (int64_t)server->options.idle_s * 1000;

	/* Of an idle one the next request's first line, too. */
	if (state == LINK_IDLE)
		idle_ms *= 2;
	return clock_monotonic_ms() + idle_ms + bytes / SLOWEST_BYTES_PER_MS;
}

void link_open(struct link *link, struct http_server *server, int fd)
{
	*link = (struct link){.server = server, .fd = fd, .deadline_ms = deadline(server, LINK_IDLE, 0)};
	pthread_mutex_lock(&server->lock);
	evict(server);
	link->next = server->links;
	if (link->next)
		link->next->previous = link;
	server->links = link;
	server->link_count++;
	if (server->quiet)
		shut(link);
	pthread_mutex_unlock(&server->lock);
}

void link_close(struct link *link)
{
	struct http_server *server = link->server;

	pthread_mutex_lock(&server->lock);
	if (link->previous)
		link->previous->next = link->next;
	else
		server->links = link->next;
	if (link->next)
		link->next->previous = link->previous;
	server->link_count--;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

void link_state(struct link *link, enum link_state state, int64_t bytes)
{
	int64_t at = deadline(link->server, state, bytes);

	pthread_mutex_lock(&link->server->lock);
	link->state = state;
	link->deadline_ms = at;
	if (link->server->quiet && state == LINK_IDLE)
		shut(link);
	pthread_mutex_unlock(&link->server->lock);
}

void links_cut(struct http_server *server, enum link_state state, bool all)
{
	pthread_mutex_lock(&server->lock);
	for (struct link *link = server->links; link; link = link->next)
		if (all || link->state == state)
			shut(link);
	pthread_mutex_unlock(&server->lock);
}

/* A request that does not come gets its 408, as far as a socket takes it at once. Nobody else writes in that state. */
static void tell_too_slow(struct link *link)
{
	struct buffer text = {0}, body = {0};

	if (link->state != LINK_READING || link->server->certificates)
		return;
	buffer_init(&text, 4096);
	buffer_init(&body, 4096);
	problem_json(&body, 408, problem_name(PROBLEM_TOO_SLOW), "The request did not come in time",
	             "The rest of the request did not come in time.", NULL);
	buffer_printf(&text,
	              "HTTP/1.1 408 Request Timeout\r\nContent-Type: " PROBLEM_CONTENT_TYPE
	              "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
	              body.size, buffer_string(&body));
	send(link->fd, buffer_string(&text), text.size, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_release(&text);
	buffer_release(&body);
}

static void look(struct http_server *server)
{
	int64_t now = clock_monotonic_ms();

	for (struct link *link = server->links; link; link = link->next)
		if (!link->cut && link->state != LINK_HANDLING && now > link->deadline_ms) {
			tell_too_slow(link);
			shut(link);
		}
}

static void *watch(void *context)
{
	struct http_server *server = context;

	pthread_mutex_lock(&server->lock);
	while (!server->ending) {
		struct timespec until = clock_deadline(TICK_MS);

		pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until);
		look(server);
		if (server->certificates) {
			pthread_mutex_unlock(&server->lock);
			certificates_look(server->certificates);
			pthread_mutex_lock(&server->lock);
		}
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

int links_watch(struct http_server *server, struct error *err)
{
	int status = pthread_create(&server->watcher, NULL, watch, server);

	return status ? error_set(err, ERROR_FATAL, status, "a thread cannot be started") : 0;
}
