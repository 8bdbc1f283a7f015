#include "serve/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/owned.h"

#define CONNECTIONS_MAX 64
#define IDLE_SECONDS 30

struct http_server {
	struct MHD_Daemon *daemon;
	struct http_answers answers;
	char address[128];
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
                             const struct buffer *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	        body->size, (void *)(uintptr_t)buffer_string(body), MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static unsigned answer(struct http_server *server, const char *url, const char **ret_type, struct buffer *body)
{
	*ret_type = "text/plain; charset=utf-8";
	if (!strcmp(url, "/metrics")) {
		*ret_type = "text/plain; version=0.0.4; charset=utf-8";
		server->answers.before_metrics(server->answers.context);
		metrics_write(body);
		return MHD_HTTP_OK;
	}
	if (!strcmp(url, "/healthz")) {
		buffer_text(body, "ok\n");
		return MHD_HTTP_OK;
	}
	if (!strcmp(url, "/readyz")) {
		if (server->answers.ready(server->answers.context, body)) {
			buffer_text(body, "ok\n");
			return MHD_HTTP_OK;
		}
		buffer_char(body, '\n');
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	}
	buffer_text(body, "there is /metrics, /healthz and /readyz\n");
	return MHD_HTTP_NOT_FOUND;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
	static int seen;
	OWNED_BUFFER struct buffer body = {0};
	const char *type;
	unsigned status;

	/* A reply on the first call would close the connection: headers first, the reply on the second. */
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	buffer_init(&body, 16 << 20);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		buffer_text(&body, "only GET and HEAD\n");
		return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", &body);
	}
	status = answer(context, url, &type, &body);
	return reply(connection, status, type, &body);
}

/* Splits HOST:PORT; host "" means 127.0.0.1. */
static int split(const char *address, char *host, size_t size, const char **ret_port, struct error *err)
{
	const char *colon = strrchr(address, ':');
	size_t length = colon ? (size_t)(colon - address) : 0;
	char *end;
	long port;

	*ret_port = colon ? colon + 1 : address;
	port = strtol(*ret_port, &end, 10);
	if (!**ret_port || *end || port < 0 || port > 65535 || length >= size)
		return error_set(err, ERROR_INVALID, 0, "--listen %s: wanted PORT, HOST:PORT or [IPV6]:PORT", address);
	if (length >= 2 && address[0] == '[' && address[length - 1] == ']') {
		address++;
		length -= 2;
	}
	snprintf(host, size, "%.*s", (int)length, address);
	if (!*host)
		snprintf(host, size, "127.0.0.1");
	return 0;
}

static int bind_address(const char *address, struct error *err)
{
	char host[96];
	const char *port;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
	int fd, status, on = 1;

	if (split(address, host, sizeof host, &port, err))
		return -1;
	status = getaddrinfo(host, port, &hints, &found);
	if (status)
		return error_set(err, ERROR_INVALID, status, "--listen %s: %s", address, gai_strerror(status));
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 64)) {
		error_set(err, ERROR_INVALID, errno, "--listen %s: %s", address, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static void name_address(struct http_server *server, int fd)
{
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&bound, &size) ||
	    getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
	                NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(server->address, sizeof server->address, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

struct http_server *http_start(const char *address, const struct http_answers *answers, struct error *err)
{
	struct http_server *server = calloc(1, sizeof *server);
	int fd;

	if (!server) {
		error_no_memory(err);
		return NULL;
	}
	server->answers = *answers;
	fd = bind_address(address, err);
	if (fd < 0) {
		free(server);
		return NULL;
	}
	name_address(server, fd);
	server->daemon =
	        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL, NULL, handle, server,
	                         MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
	if (!server->daemon) {
		close(fd);
		free(server);
		error_set(err, ERROR_FATAL, 0, "--listen %s: the HTTP server does not start", address);
		return NULL;
	}
	return server;
}

const char *http_address(const struct http_server *server)
{
	return server->address;
}

void http_stop(struct http_server *server)
{
	if (!server)
		return;
	MHD_stop_daemon(server->daemon);
	free(server);
}
