/*
 * fetch.h - one bounded HTTP request to somebody else's server, and its answer; fetch.c alone sees libcurl.
 *
 * Invariants:
 *  1. Every request ends: by its answer, its time (total_ms), its bytes (max_bytes), or because nobody wants it any
 * more (cancelled, asked at least ten times a second).
 *  2. Only http and https are spoken, and no redirect is followed: what was meant for one server goes to no other. A
 *     certificate must be that of the host (SSL_CERT_FILE names authorities of one's own). Proxies are as the
 *     environment says in libcurl's words (https_proxy, no_proxy).
 *  3. No header's value stands in an error.
 *
 * Threads: any. Life cycle: fetch -> use the answer -> fetch_answer_release.
 */
#ifndef TARN_SERVE_FETCH_H
#define TARN_SERVE_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

struct fetch_header {
	const char *name, *value;
};

struct fetch_request {
	const char *url;
	const char *method; /* "GET", "POST"... */
	const struct fetch_header *headers;
	int header_count;
	const void *body; /* NULL: none */
	size_t body_size;
	int64_t connect_ms, total_ms; /* positive; connect_ms is a part of total_ms */
	size_t max_bytes; /* of the answer's body */
	bool (*cancelled)(void *context); /* NULL: it is wanted in any case */
	void *context;
};

enum fetch_outcome {
	FETCH_ANSWERED, /* whatever its status */
	FETCH_UNREACHABLE, /* no name, no route, refused, no connection in connect_ms */
	FETCH_UNTRUSTED, /* its certificate is not that of the host, or no TLS can be agreed on */
	FETCH_LATE,
	FETCH_CUT, /* the connection ended before the answer did, or what came is no HTTP */
	FETCH_TOO_LARGE,
	FETCH_CANCELLED,
	FETCH_FAILED, /* here: out of memory, a URL or header that cannot be */
};

struct fetch_answer {
	int status;
	struct buffer body; /* whole */
	char content_type[128]; /* in lower case, without parameters; "" where none was told */
	int64_t retry_after_s; /* -1: none was told */
};

/* Anything but ANSWERED fills *err (for the log: it may name the host) and leaves nothing to release. */
enum fetch_outcome fetch(const struct fetch_request *request, struct fetch_answer *ret_answer, struct error *err);
void fetch_answer_release(struct fetch_answer *answer);

#define OWNED_FETCH_ANSWER OWNED_BY(fetch_answer_release)

#endif
