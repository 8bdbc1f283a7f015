/*
 * http.h - HTTP/1.1 (RFC 9112) as requests and responses; http*.c alone see libmicrohttpd.
 *
 * One thread a connection: a handler may wait for a worker, and a producer for its bytes. Bounds: so many connections,
 * so many bytes of a request's line and headers (431, 414), of its body (413) and of all bodies together (503), so long
 * for a request to come (408 or the connection is closed), so long for a client to take a block of an answer. A handler
 * and a producer take the time that they need.
 *
 * Invariants:
 *  1. Every request gets one response, or its connection is cut.
 *  2. A producer's next is called only when the client took what was given before: backpressure reaches the worker.
 *  3. A producer that fails after its first byte cuts the connection: in the middle of a chunk, or in the middle of the
 *     trailers where the client says that it takes them (TE: trailers; RFC 9110 section 10.1.4). No client that follows
 *     the framing can take what came for whole. HTTP/1.0 has no framing: there the connection is reset.
 *  4. producer.close is called once, also where the client went away.
 *  5. A request that two programs could read in two ways (two lengths, two hosts, an encoded '/' in a path...) is
 *     refused, and its connection closed.
 *  6. No byte of a body is kept before before_body let it in and it has its part of bodies_bytes. What is answered
 *     before its body was read closes its connection (RFC 9112 section 9.3), and a client that waits for 100 gets the
 *     answer in its place (RFC 9110 section 10.1.1).
 *
 * Life cycle: http_start -> http_stop. Handlers run on the connections' threads.
 */
#ifndef TARN_SERVE_HTTP_H
#define TARN_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct http_server;
struct http_request;
struct http_response;

/* ---- the request: all borrowed until the handler returns */

const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request); /* decoded, without what stands behind '?' */
/* NULL: there is none. Several are one list with ", " between them; of those that may stand there once there is one. */
const char *http_header(const struct http_request *request, const char *name);
/* What stands behind '?', decoded. NULL: not there. */
const char *http_argument(const struct http_request *request, const char *name);
/* Each of them; two may have one name. False from `each` ends it. */
void http_arguments(const struct http_request *request,
                    bool (*each)(void *context, const char *name, const char *value), void *context);
const char *http_body(const struct http_request *request, size_t *ret_size);
/* The connection's socket, for who waits: it becomes readable with end of file when the client goes away. */
int http_client_fd(const struct http_request *request);
const char *http_client_address(const struct http_request *request); /* "127.0.0.1" */
int64_t http_began_us(const struct http_request *request); /* clock_monotonic_us() when its first line had come */

/* ---- the response */

struct http_producer {
	void *context;
	/* Appends the next bytes to *block, which is empty. 1: there may be more; 0: that was all; -1: it failed. */
	int (*next)(void *context, struct buffer *block);
	/* Trailers, when all went well or it failed; may be NULL. */
	void (*trailers)(void *context, struct http_response *response);
	void (*close)(void *context);
};

struct http_response {
	int status; /* 200 at the beginning */
	struct buffer headers; /* "Name: value\n"...; by http_add */
	struct buffer body;
	struct http_producer producer; /* next NULL: the body is all */
	/* The body or what is produced may be sent in gzip or zstd, as Accept-Encoding says; an ETag becomes a weak one
	 * (W/"...") then. */
	bool compress;
	const char *route; /* for `done`: a text that outlives the response; NULL: none */
};

/* Instead of a header of that name that is there already. The value is one line; bytes that would end it are left out.
 * One that does not fit is not cut: the response fails, and the connection with it. */
void http_add(struct http_response *response, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

struct http_done { /* what became of a response */
	const char *route; /* the response's */
	const char *method;
	int status;
	int64_t bytes; /* of its body, as sent */
	int64_t us; /* from the request's first line to the response's end */
	bool whole; /* false: the client went away, or it was cut */
};

struct http_options {
	const char
	        *address; /* "PORT", "HOST:PORT" or "[IPV6]:PORT"; a port alone means 127.0.0.1; port 0: any free one */
	const char *certificate, *key; /* PEM files; read again when they change; NULL: no TLS */
	bool loopback; /* an address that other machines reach is a mistake */
	int connections; /* the most at once */
	size_t body_bytes; /* the largest body of a request */
	size_t bodies_bytes; /* of those of all requests, until their handlers return; not below body_bytes */
	int idle_s; /* a connection whose client is silent so long is closed */
	void *context;
	void (*handle)(void *context, const struct http_request *request, struct http_response *response);
	/* Of a request with a body, before it is read. False: *response is its answer, and the body is not wanted. May
	 * be NULL: all are taken. */
	bool (*before_body)(void *context, const struct http_request *request, struct http_response *response);
	void (*done)(void *context, const struct http_done *done); /* may be NULL */
};

struct http_server *http_start(const struct http_options *options, struct error *err);
/* "127.0.0.1:PORT", borrowed. */
const char *http_address(const struct http_server *server);
bool http_is_tls(const struct http_server *server);
/* From now on no new connection, and those without a request are closed: the first half of http_stop, which does it
 * too. */
void http_quiesce(struct http_server *server);
/* No new connection; those that answer may end within the time, then are cut. Handlers that wait notice by
 * http_client_fd. */
void http_stop(struct http_server *server, int patience_ms);

#endif
