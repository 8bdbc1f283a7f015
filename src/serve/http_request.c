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
	buffer_release(&request->body);
	free(request);
}

static void response_init(struct http_response *response)
{
	*response = (struct http_response){.status = 200};
	buffer_init(&response->headers, HEADER_BYTES_MAX);
	buffer_init(&response->body, BUFFER_DEFAULT_MAXIMUM);
}

static enum MHD_Result refuse_at_once(struct http_request *request, struct http_response *response)
{
	http_add(response, "Connection", "close");
	request->link->linger = true;
	return http_reply(request, response);
}

static enum MHD_Result begin(struct http_request *request, const char *method, const char *version)
{
	struct http_response response;

	request->read = true;
	name_client(request);
	response_init(&response);
	if (http_head_check(request, method, version, &response))
		return refuse_at_once(request, &response);
	buffer_release(&response.headers);
	return MHD_YES;
}

/* A body of unknown length turned out too large. libmicrohttpd takes no reply in the middle of a body: it is written
 * past it, and the connection ends. */
static enum MHD_Result cut_body(struct http_request *request)
{
	OWNED_BUFFER struct buffer body = {0};
	OWNED_BUFFER struct buffer text = {0};

	buffer_init(&body, 4096);
	buffer_init(&text, 8192);
	problem_json(&body, 413, problem_name(PROBLEM_BODY_SIZE), "The request's body is too large",
	             "The body is too large.", request->target.path);
	buffer_printf(&text,
	              "HTTP/1.1 413 Content Too Large\r\nContent-Type: " PROBLEM_CONTENT_TYPE
	              "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
	              body.size, buffer_string(&body));
	request->link->linger = true;
	http_send_raw(request->connection, request->link->fd, text.data, text.size, RAW_PATIENCE_MS);
	return MHD_NO;
}

static enum MHD_Result answer(struct http_request *request)
{
	struct http_server *server = request->server;
	struct http_response response;

	link_state(request->link, LINK_HANDLING, 0);
	response_init(&response);
	server->options.handle(server->options.context, request, &response);
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
	buffer_append(&request->body, upload, *upload_size);
	if (!buffer_ok(&request->body))
		return cut_body(request);
	*upload_size = 0;
	return MHD_YES;
}
