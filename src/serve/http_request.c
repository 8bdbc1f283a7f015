/* http_request.c - a request from its first line to its handler. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "serve/http_private.h"
#include "serve/problem.h"

#define RAW_PATIENCE_MS 1000
#define NO_ROOM "The bodies of other requests take all the room that there is for them; send it again."
#define NO_ROOM_RETRY_AFTER "1"

/* ---- what a handler sees */

const char *http_method(const struct http_request *request)
{
	return request->method;
}

const char *http_path(const struct http_request *request)
{
	return request->target.path;
}

const char *http_argument(const struct http_request *request, const char *name)
{
	for (int i = 0; i < request->target.argument_count; i++)
		if (!strcmp(request->target.arguments[i].name, name))
			return request->target.arguments[i].value;
	return NULL;
}

void http_arguments(const struct http_request *request,
                    bool (*each)(void *context, const char *name, const char *value), void *context)
{
	for (int i = 0; i < request->target.argument_count; i++)
		if (!each(context, request->target.arguments[i].name, request->target.arguments[i].value))
			return;
}

const char *http_body(const struct http_request *request, size_t *ret_size)
{
	*ret_size = request->body.size;
	return buffer_string(&request->body);
}

int http_client_fd(const struct http_request *request)
{
	return request->link->fd;
}

const char *http_client_address(const struct http_request *request)
{
	return request->address;
}

int64_t http_began_us(const struct http_request *request)
{
	return request->began_us;
}

/* ---- room for its body */

/* So many bytes more, of what all bodies may take. */
static bool take_room(struct http_request *request, size_t bytes)
{
	struct http_server *server = request->server;
	bool fits;

	pthread_mutex_lock(&server->lock);
	fits = bytes <= server->options.bodies_bytes - server->bodies;
	if (fits)
		server->bodies += bytes;
	pthread_mutex_unlock(&server->lock);
	if (fits)
		request->room += bytes;
	return fits;
}

static void release_body(struct http_request *request)
{
	struct http_server *server = request->server;

	buffer_release(&request->body);
	pthread_mutex_lock(&server->lock);
	server->bodies -= request->room;
	pthread_mutex_unlock(&server->lock);
	request->room = 0;
}

/* ---- its life */

static void name_client(struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
	        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;

	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, request->address,
		          sizeof request->address);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, request->address,
		          sizeof request->address);
}

void *http_request_new(void *context, const char *raw, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *link = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct http_request *request = calloc(1, sizeof *request);

	if (!request || !link || !link->socket_context) {
		free(request);
		return NULL;
	}
	request->server = context;
	request->connection = connection;
	request->link = link->socket_context;
	request->began_us = clock_monotonic_us();
	buffer_init(&request->body, request->server->options.body_bytes);
	request->target_status = target_parse(raw, &request->target, &request->target_why);
	link_state(request->link, LINK_READING, 0);
	return request;
}

void http_request_free(struct http_request *request)
{
	if (!request)
		return;
	for (int i = 0; i < request->header_count; i++)
		free(request->headers[i].joined);
	target_release(&request->target);
	release_body(request);
	free(request);
}

static void response_init(struct http_response *response)
{
	*response = (struct http_response){.status = 200};
	buffer_init(&response->headers, HEADER_BYTES_MAX);
	buffer_init(&response->body, BUFFER_DEFAULT_MAXIMUM);
}

static enum MHD_Result answer_at_once(struct http_request *request, struct http_response *response)
{
	http_add(response, "Connection", "close");
	request->link->linger = true;
	return http_reply(request, response);
}

/* Invariant 6 of http.h. False: *response is the answer. */
static bool let_body_in(struct http_request *request, struct http_response *response)
{
	const struct http_options *options = &request->server->options;

	if (!request->length && !request->chunked)
		return true;
	link_state(request->link, LINK_HANDLING, 0);
	if (options->before_body && !options->before_body(options->context, request, response))
		return false;
	/* Chunks say no length: each takes its room when it comes. */
	if (take_room(request, request->length))
		return true;
	http_add(response, "Retry-After", NO_ROOM_RETRY_AFTER);
	problem_reply(response, request, PROBLEM_UNAVAILABLE, NO_ROOM);
	return false;
}

static enum MHD_Result begin(struct http_request *request, const char *method, const char *version)
{
	struct http_response response;

	request->read = true;
	name_client(request);
	response_init(&response);
	if (http_head_check(request, method, version, &response) || !let_body_in(request, &response))
		return answer_at_once(request, &response);
	buffer_release(&response.headers);
	link_state(request->link, LINK_READING, (int64_t)request->length);
	return MHD_YES;
}

/* A body of unknown length turned out too large. libmicrohttpd takes no reply in the middle of a body: it is written
 * past it, and the connection ends. head: the status line, and headers of its own. */
static enum MHD_Result cut_body(struct http_request *request, enum problem problem, const char *head,
                                const char *detail)
{
	OWNED_BUFFER struct buffer body = {0};
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&body, 4096);
	buffer_init(&text, 8192);
	problem_json(&body, problem_status(problem), problem_name(problem), problem_title(problem), detail,
	             request->target.path);
	buffer_printf(&text,
	              "HTTP/1.1 %s\r\nContent-Type: " PROBLEM_CONTENT_TYPE
	              "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
	              head, body.size, buffer_string(&body));
	request->link->linger = true;
	http_send_raw(request->connection, request->link->fd, text.data, text.size, RAW_PATIENCE_MS);
	return MHD_NO;
}

static enum MHD_Result take_piece(struct http_request *request, const char *piece, size_t size)
{
	buffer_append(&request->body, piece, size);
	if (!buffer_ok(&request->body))
		return cut_body(request, PROBLEM_BODY_SIZE, "413 Content Too Large", "The body is too large.");
	if (request->chunked && !take_room(request, size))
		return cut_body(request, PROBLEM_UNAVAILABLE,
		                "503 Service Unavailable\r\nRetry-After: " NO_ROOM_RETRY_AFTER, NO_ROOM);
	return MHD_YES;
}

static enum MHD_Result answer(struct http_request *request)
{
	struct http_server *server = request->server;
	struct http_response response;

	link_state(request->link, LINK_HANDLING, 0);
	response_init(&response);
	server->options.handle(server->options.context, request, &response);
	release_body(request);
	return http_reply(request, &response);
}

enum MHD_Result http_request_handle(void *context, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload, size_t *upload_size,
                                    void **state)
{
	struct http_request *request = *state;

	if (!request)
		return MHD_NO;
	/* A reply on the first call closes the connection, which a refusal wants and an answer does not. */
	if (!request->read)
		return begin(request, method, version);
	if (!*upload_size)
		return answer(request);
	if (take_piece(request, upload, *upload_size) == MHD_NO)
		return MHD_NO;
	*upload_size = 0;
	return MHD_YES;
}
