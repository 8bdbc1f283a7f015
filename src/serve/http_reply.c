/*
 * http_reply.c - responses: whole bodies, and producers whose bytes are fetched as the client takes them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/owned.h"
#include "serve/http_private.h"

#define BLOCK_BYTES_MAX ((size_t)64 << 20) /* a producer's block, and its encoded form */
#define CHUNK_BYTES ((size_t)128 << 10)
#define CUT_PATIENCE_MS 2000

struct sending {
	struct http_request *request;
	struct MHD_Response *response;
	struct http_producer producer;
	struct encoder *encoder; /* NULL: identity */
	struct buffer raw, block; /* as produced, where it is encoded; what goes out */
	size_t taken; /* of block */
	bool ended;
};

void http_add(struct http_response *response, const char *name, const char *format, ...)
{
	struct buffer *headers = &response->headers;
	OWNED_BUFFER struct buffer value = {0};
	size_t name_size = strlen(name);
	char *out;
	va_list args;

	buffer_init(&value, HEADER_BYTES_MAX);
	va_start(args, format);
	buffer_vprintf(&value, format, args);
	va_end(args);
	headers->failed |= !buffer_ok(&value);
	out = value.data;
	for (const char *c = buffer_string(&value); *c; c++)
		if ((unsigned char)*c >= 0x20 && *c != 0x7f)
			*out++ = *c;
	if (out)
		*out = 0;
	for (char *line = headers->data; line && *line;) {
		size_t size = strcspn(line, "\n") + 1;

		if (!strncasecmp(line, name, name_size) && line[name_size] == ':') {
			memmove(line, line + size, headers->size - (size_t)(line - headers->data) - size + 1);
			headers->size -= size;
		} else {
			line += size;
		}
	}
	buffer_printf(headers, "%s: %s\n", name, buffer_string(&value));
}

/* Calls `add` with each header of the text, which is cut up. */
static void each_header(struct buffer *headers,
                        enum MHD_Result (*add)(struct MHD_Response *, const char *, const char *),
                        struct MHD_Response *response)
{
	char *line = headers->data;

	while (line && *line) {
		char *end = line + strcspn(line, "\n"), *colon = strchr(line, ':');

		*end = 0;
		*colon = 0;
		add(response, line, colon + 2);
		line = end + 1;
	}
	buffer_clear(headers);
}

/* ---- producers */

static void sending_free(void *context)
{
	struct sending *sending = context;

	if (sending->producer.close)
		sending->producer.close(sending->producer.context);
	encoder_free(sending->encoder);
	buffer_release(&sending->raw);
	buffer_release(&sending->block);
	free(sending);
}

/* The next block, in its encoding. 0, or -1: it failed. */
static int fetch(struct sending *sending)
{
	struct buffer *to = sending->encoder ? &sending->raw : &sending->block;
	struct error err = {0};
	int more;

	buffer_clear(&sending->block);
	buffer_clear(&sending->raw);
	sending->taken = 0;
	more = sending->producer.next(sending->producer.context, to);
	if (more < 0 || !buffer_ok(to))
		return -1;
	sending->ended = !more;
	if (!sending->encoder)
		return 0;
	if (to->size && encoder_put(sending->encoder, to->data, to->size, &sending->block, &err))
		return -1;
	return sending->ended ? encoder_end(sending->encoder, &sending->block, &err) : 0;
}

static void take_trailers(struct sending *sending, struct http_response *ret_trailers)
{
	*ret_trailers = (struct http_response){0};
	buffer_init(&ret_trailers->headers, HEADER_BYTES_MAX);
	if (sending->producer.trailers)
		sending->producer.trailers(sending->producer.context, ret_trailers);
}

static ssize_t finish(struct sending *sending)
{
	struct http_response trailers;

	if (!sending->request->old) {
		take_trailers(sending, &trailers);
		each_header(&trailers.headers, MHD_add_response_footer, sending->response);
		buffer_release(&trailers.headers);
	}
	return MHD_CONTENT_READER_END_OF_STREAM;
}

/* Invariant 3 of http.h: what came is not to be taken for whole. */
static ssize_t cut(struct sending *sending)
{
	struct http_request *request = sending->request;
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	OWNED_BUFFER struct buffer text = {0};
	struct http_response trailers;

	buffer_init(&text, HEADER_BYTES_MAX * 2);
	if (request->old) {
		/* Resets it (connect(2)); libmicrohttpd would end it in peace before it closes it. */
		connect(request->link->fd, &none, sizeof none);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (request->trailers) {
		take_trailers(sending, &trailers);
		buffer_text(&text, "0\r\n");
		for (const char *c = buffer_string(&trailers.headers); *c; c++)
			buffer_printf(&text, *c == '\n' ? "\r%c" : "%c", *c);
		buffer_release(&trailers.headers);
	} else {
		buffer_text(&text, "ffff\r\n");
	}
	http_send_raw(request->connection, request->link->fd, text.data, text.size, CUT_PATIENCE_MS);
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* libmicrohttpd counts a connection's silence, and while the producer works it is not the client that is silent: the
 * count begins anew behind it. */
static int fetch_in_peace(struct sending *sending)
{
	struct http_request *request = sending->request;
	int failed;

	link_state(request->link, LINK_HANDLING, 0);
	MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	failed = fetch(sending);
	MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT,
	                          (unsigned)request->server->options.idle_s);
	return failed;
}

/* libmicrohttpd calls it when all that it got before is sent. */
static ssize_t read_sending(void *context, uint64_t position, char *to, size_t most)
{
	struct sending *sending = context;
	struct link *link = sending->request->link;
	size_t size;

	while (sending->taken == sending->block.size) {
		if (sending->ended)
			return finish(sending);
		if (fetch_in_peace(sending))
			return cut(sending);
	}
	size = sending->block.size - sending->taken;
	size = size < most ? size : most;
	memcpy(to, sending->block.data + sending->taken, size);
	sending->taken += size;
	sending->request->done.bytes += (int64_t)size;
	link_state(link, LINK_SENDING, (int64_t)size);
	return (ssize_t)size;
}

/* Takes the producer in any case. */
static struct MHD_Response *make_stream(struct http_request *request, struct http_response *response,
                                        enum encoding encoding)
{
	struct sending *sending = calloc(1, sizeof *sending);
	struct http_producer producer = response->producer;
	struct error err = {0};

	response->producer = (struct http_producer){0};
	if (!sending) {
		if (producer.close)
			producer.close(producer.context);
		return NULL;
	}
	sending->request = request;
	sending->producer = producer;
	buffer_init(&sending->raw, BLOCK_BYTES_MAX);
	buffer_init(&sending->block, BLOCK_BYTES_MAX);
	if (encoding != ENCODING_IDENTITY)
		sending->encoder = encoder_new(encoding, &err);
	if (encoding == ENCODING_IDENTITY || sending->encoder)
		sending->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK_BYTES, read_sending,
		                                                      sending, sending_free);
	if (sending->response)
		return sending->response;
	sending_free(sending);
	return NULL;
}

/* ---- whole bodies */

/* The body in its encoding, if that is smaller; else it stays as it is. */
static bool encode_body(struct buffer *body, enum encoding encoding)
{
	struct error err = {0};
	struct encoder *encoder = encoder_new(encoding, &err);
	struct buffer encoded = {0};
	bool smaller;

	buffer_init(&encoded, BUFFER_DEFAULT_MAXIMUM);
	smaller = encoder && !encoder_put(encoder, body->data, body->size, &encoded, &err) &&
	          !encoder_end(encoder, &encoded, &err) && encoded.size < body->size;
	encoder_free(encoder);
	if (!smaller) {
		buffer_release(&encoded);
		return false;
	}
	buffer_release(body);
	*body = encoded;
	return true;
}

static struct MHD_Response *make_body(struct http_request *request, struct http_response *response)
{
	struct MHD_Response *made;
	size_t size = response->body.size;

	if (!size)
		return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
	made = MHD_create_response_from_buffer(size, response->body.data, MHD_RESPMEM_MUST_FREE);
	if (made)
		response->body = (struct buffer){0};
	request->done.bytes = request->head ? 0 : (int64_t)size;
	return made;
}

/* ---- the response */

static const char *find_header(const struct buffer *headers, const char *name)
{
	size_t size = strlen(name);

	for (const char *line = buffer_string(headers); *line; line += strcspn(line, "\n") + 1)
		if (!strncasecmp(line, name, size) && line[size] == ':')
			return line + size + 2;
	return NULL;
}

/* The encoding that the response will have, told in its headers. */
static enum encoding choose(struct http_request *request, struct http_response *response)
{
	const char *tag = find_header(&response->headers, "ETag");
	enum encoding encoding;

	if (!response->compress)
		return ENCODING_IDENTITY;
	if (!find_header(&response->headers, "Vary")) /* who has one names this, too */
		http_add(response, "Vary", "Accept-Encoding");
	encoding_choose(http_header(request, "Accept-Encoding"), &encoding);
	if (tag && *tag == '"') {
		OWNED_FREE char *copy = strndup(tag, strcspn(tag, "\n"));

		if (copy)
			http_add(response, "ETag", "W/%s", copy);
	}
	if (encoding == ENCODING_IDENTITY || response->status == 204 || response->status == 304)
		return ENCODING_IDENTITY;
	if (!response->producer.next &&
	    (response->body.size < ENCODE_BYTES_MIN || !encode_body(&response->body, encoding)))
		return ENCODING_IDENTITY;
	http_add(response, "Content-Encoding", "%s", encoding_name(encoding));
	return encoding;
}

static bool is_quiet(struct http_server *server)
{
	bool quiet;

	pthread_mutex_lock(&server->lock);
	quiet = server->quiet;
	pthread_mutex_unlock(&server->lock);
	return quiet;
}

enum MHD_Result http_reply(struct http_request *request, struct http_response *response)
{
	enum MHD_Result result = MHD_NO;
	enum encoding encoding = choose(request, response);
	struct MHD_Response *made;

	request->done = (struct http_done){.route = response->route, .status = response->status};
	if (is_quiet(request->server))
		http_add(response, "Connection", "close");
	made = response->producer.next ? make_stream(request, response, encoding) : make_body(request, response);
	if (made && buffer_ok(&response->headers)) {
		each_header(&response->headers, MHD_add_response_header, made);
		request->replied = true;
		link_state(request->link, LINK_SENDING, request->done.bytes);
		result = MHD_queue_response(request->connection, (unsigned)response->status, made);
	}
	if (made)
		MHD_destroy_response(made);
	buffer_release(&response->headers);
	buffer_release(&response->body);
	return result;
}
