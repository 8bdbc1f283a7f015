/*
 * http_private.h - what the files of http.h share: the server, its connections (links) and their requests.
 *
 * A link is always in one state, and each but HANDLING has a deadline, after which the watcher cuts it:
 *
 *     IDLE      no request has begun: the next one's first line must be there by the deadline
 *     READING   its headers and body come
 *     HANDLING  the handler or the producer works
 *     SENDING   the client takes what was given
 *
 * A link's socket is closed only after link_close took it out of the list, so that the watcher, under the lock, may
 * shut it down.
 */
#ifndef TARN_SERVE_HTTP_PRIVATE_H
#define TARN_SERVE_HTTP_PRIVATE_H

#include <microhttpd.h>
#include <pthread.h>

#include "serve/encode.h"
#include "serve/http.h"
#include "serve/target.h"

#define HEADERS_MAX 100
#define HEADER_BYTES_MAX ((size_t)32 << 10)

enum link_state { LINK_IDLE, LINK_READING, LINK_HANDLING, LINK_SENDING };

struct link {
	struct http_server *server;
	int fd;
	enum link_state state;
	int64_t deadline_ms; /* of the state */
	bool cut; /* it was shut down */
	bool linger; /* it was answered before the client had said all */
	struct link *next, *previous;
};

struct certificates;

struct http_server {
	struct http_options options;
	struct MHD_Daemon *daemon;
	struct certificates *certificates; /* NULL: no TLS */
	char address[128];
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed; /* a link is gone, or `ending` */
	struct link *links;
	int link_count;
	size_t bodies; /* bytes of options.bodies_bytes that requests have */
	bool quiet; /* no new connections */
	bool ending;
	pthread_t watcher;
};

struct header {
	const char *name, *value;
	char *joined; /* owned: `value` where there were several */
};

struct http_request {
	struct http_server *server;
	struct link *link;
	struct MHD_Connection *connection;
	struct target target;
	int target_status; /* 0: it is right */
	const char *target_why;
	char method[16];
	char address[64];
	struct header headers[HEADERS_MAX];
	int header_count;
	size_t header_bytes;
	const char *malformed; /* what is wrong with the headers, or NULL */
	bool read; /* the headers were looked at */
	bool old; /* HTTP/1.0 */
	bool head; /* HEAD */
	bool trailers; /* TE: trailers */
	size_t length; /* of the body, as it is said; 0 where it is chunked */
	bool chunked;
	struct buffer body;
	size_t room; /* its part of server->bodies */
	int64_t began_us;
	/* the response */
	bool replied;
	struct http_done done;
};

/* http_listen.c */
int http_bind(const char *address, bool loopback, struct error *err);
void http_name_address(int fd, char *address, size_t size);

/* http_links.c */
void link_open(struct link *link, struct http_server *server, int fd);
void link_close(struct link *link);
/* bytes: that may come or go until the deadline at the slowest rate that is borne. */
void link_state(struct link *link, enum link_state state, int64_t bytes);
int links_watch(struct http_server *server, struct error *err);
/* Shuts down those in `state`; those in any where all. */
void links_cut(struct http_server *server, enum link_state state, bool all);

/* http_tls.c */
struct certificates *certificates_load(const char *certificate, const char *key, struct error *err);
void certificates_free(struct certificates *certificates);
/* Reads them again where a file changed; a mistake in them leaves those that were. */
void certificates_look(struct certificates *certificates);
void *certificates_callback(void); /* gnutls_certificate_retrieve_function3 */
/* The context of the callback's sessions: there is one server with TLS in a process. */
/* Waits until all is sent, at most patience_ms. Plain or TLS, on the connection's own thread. */
int http_send_raw(struct MHD_Connection *connection, int fd, const void *bytes, size_t size, int patience_ms);

/* http_request.c */
void *http_request_new(void *server, const char *raw, struct MHD_Connection *connection);
void http_request_free(struct http_request *request);
enum MHD_Result http_request_handle(void *server, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload, size_t *upload_size,
                                    void **state);
/* http_head.c: the headers, read and checked. 0, or the refusal in *response. */
int http_head_check(struct http_request *request, const char *method, const char *version,
                    struct http_response *response);

/* http_reply.c: takes what is in *response. */
enum MHD_Result http_reply(struct http_request *request, struct http_response *response);

#endif
