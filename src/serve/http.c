#include "serve/http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/http_private.h"

/* Of a connection: its request's head and a chunk of its answer. Ours are the smaller bounds, which are told as
 * problems; libmicrohttpd tells what does not fit here in its own words. */
#define CONNECTION_BYTES ((size_t)160 << 10)
#define LINGER_BYTES_MAX ((size_t)64 << 20)
#define LINGER_MS 2000

/* A client that still sends its body when its refusal is there may lose that to the reset which a close would send. */
static void linger(struct link *link)
{
	int64_t until = clock_monotonic_ms() + LINGER_MS;
	static __thread char drain[65536];
	size_t drained = 0;

	if (!link->linger || link->cut)
		return;
	shutdown(link->fd, SHUT_WR);
	while (drained < LINGER_BYTES_MAX) {
		struct pollfd readable = {.fd = link->fd, .events = POLLIN};
		int64_t left = until - clock_monotonic_ms();
		ssize_t got;

		if (left <= 0 || poll(&readable, 1, (int)left) <= 0)
			return;
		got = recv(link->fd, drain, sizeof drain, MSG_DONTWAIT);
		if (got <= 0)
			return;
		drained += (size_t)got;
	}
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct link *link = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		link = calloc(1, sizeof *link);
		if (link && info)
			link_open(link, context, info->connect_fd);
		*socket_context = link;
	} else if (link) {
		linger(link);
		link_close(link);
		free(link);
		*socket_context = NULL;
	}
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
	struct http_server *server = context;
	struct http_request *request = *state;

	*state = NULL;
	if (!request)
		return;
	if (request->replied && server->options.done) {
		request->done.method = request->method;
		request->done.us = clock_monotonic_us() - request->began_us;
		request->done.whole = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
		server->options.done(server->options.context, &request->done);
	}
	link_state(request->link, LINK_IDLE, 0);
	http_request_free(request);
}

static void on_log(void *context, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void on_log(void *context, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof text, format, args);
	text[strcspn(text, "\r\n")] = 0;
	log_event(EVENT_HTTP, NO_FIELDS, "%s", text);
}

static int start_daemon(struct http_server *server, int fd, struct error *err)
{
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
	                 MHD_USE_ERROR_LOG | (server->certificates ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
	        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, certificates_callback()},
	        {MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	server->daemon = MHD_start_daemon(
	        flags, 0, NULL, NULL, http_request_handle, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server,
	        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)server->options.connections,
	        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)server->options.idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
	        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, http_request_new,
	        server, MHD_OPTION_ARRAY, server->certificates ? tls : none, MHD_OPTION_END);
	return server->daemon ? 0
	                      : error_set(err, ERROR_FATAL, 0, "--listen %s: the HTTP server does not start",
	                                  server->options.address);
}

static int start(struct http_server *server, struct error *err)
{
	OWNED_FD int fd = -1;

	if (server->options.certificate) {
		server->certificates = certificates_load(server->options.certificate, server->options.key, err);
		if (!server->certificates)
			return -1;
	}
	fd = http_bind(server->options.address, server->options.loopback, err);
	if (fd < 0)
		return -1;
	http_name_address(fd, server->address, sizeof server->address);
	if (start_daemon(server, fd, err))
		return -1;
	fd = -1;
	return links_watch(server, err);
}

static void release(struct http_server *server)
{
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	certificates_free(server->certificates);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->changed);
	free(server);
}

struct http_server *http_start(const struct http_options *options, struct error *err)
{
	struct http_server *server = calloc(1, sizeof *server);

	if (!server) {
		error_no_memory(err);
		return NULL;
	}
	server->options = *options;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	if (!start(server, err))
		return server;
	release(server);
	return NULL;
}

const char *http_address(const struct http_server *server)
{
	return server->address;
}

bool http_is_tls(const struct http_server *server)
{
	return server->certificates != NULL;
}

void http_quiesce(struct http_server *server)
{
	bool quiet;
	int fd;

	pthread_mutex_lock(&server->lock);
	quiet = server->quiet;
	server->quiet = true;
	pthread_mutex_unlock(&server->lock);
	if (quiet)
		return;
	fd = MHD_quiesce_daemon(server->daemon);
	if (fd >= 0)
		close(fd);
	links_cut(server, LINK_IDLE, false);
}

void http_stop(struct http_server *server, int patience_ms)
{
	struct timespec until = clock_deadline(patience_ms);

	if (!server)
		return;
	http_quiesce(server);
	pthread_mutex_lock(&server->lock);
	while (server->link_count &&
	       pthread_cond_clockwait(&server->changed, &server->lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&server->lock);
	links_cut(server, LINK_IDLE, true);
	pthread_mutex_lock(&server->lock);
	server->ending = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->watcher, NULL);
	release(server);
}
