/*
 * serving.h - all that answers at one address: `tarn serve` and `tarn run --listen`.
 *
 * Life cycle: serving_start -> serving_stop. Handlers (routes.h) look at its members and change none.
 */
#ifndef TARN_SERVE_SERVING_H
#define TARN_SERVE_SERVING_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "serve/first_token.h"
#include "spec/spec.h"

struct asker;
struct console;
struct tokens;
struct http_server;
struct service;

struct serving_options {
	const struct manifest *manifest; /* borrowed until serving_stop */
	const char *listen; /* struct http_options.address */
	const char *certificate, *key; /* PEM files; NULL: no TLS */
	const char *tokens; /* a file of DuckLakeTokens; NULL: those of the manifest alone */
	bool anyone; /* no token is asked for */
	const char *audit; /* a file to append to; NULL: the log */
	bool writes; /* this process writes the manifest's lakes, too (service.h) */
	bool probes_alone; /* /metrics, /healthz and /readyz, and no service */
	/* Of whoever runs more than the service (cli/runtime.c); may be NULL. */
	void *context;
	void (*before_metrics)(void *context); /* brings the gauges up to date */
	bool (*ready)(void *context, struct buffer *reason); /* false: with the reason, a sentence */
};

struct serving {
	struct serving_options options;
	struct http_server *http;
	struct tokens *tokens;
	struct first_token first;
	struct service *service; /* NULL: probes alone */
	struct asker *asker;
	struct console *console;
	/* The state of each part stands here: its start and its end are rows of `parts` in serving.c. */
};

struct serving *serving_start(const struct serving_options *options, struct error *err);
const char *serving_address(const struct serving *serving);
bool serving_is_tls(const struct serving *serving);
/* Whether more than the probes is answered: whether there is a service. */
bool serving_is_service(const struct serving *serving);
/* The token that was made because there was none; NULL: there are others, or none is asked for. It is a secret. */
const struct first_token *serving_first_token(const struct serving *serving);
/* Answers that are under way may end within the time. */
void serving_stop(struct serving *serving, int patience_ms);

#endif
