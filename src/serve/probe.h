/*
 * probe.h - what a machine asks a running tarn: /metrics (Prometheus), /healthz (the process lives), /readyz (it does
 * its work: lanes assigned, the lake answering). The only file that sees libmicrohttpd is probe.c.
 *
 * Life cycle: http_start -> http_stop. The callbacks run on the server's own thread.
 */
#ifndef TARN_SERVE_PROBE_H
#define TARN_SERVE_PROBE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

struct http_server;

struct http_answers {
	void *context;
	void (*before_metrics)(void *context); /* brings the gauges up to date */
	bool (*ready)(void *context, struct buffer *reason); /* false: with the reason, a sentence */
};

/* address: "PORT", "HOST:PORT" or "[IPV6]:PORT"; a port alone means 127.0.0.1; port 0: any free one. */
struct http_server *http_start(const char *address, const struct http_answers *answers, struct error *err);
/* "127.0.0.1:PORT", borrowed. */
const char *http_address(const struct http_server *server);
void http_stop(struct http_server *server);

#endif
