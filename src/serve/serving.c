#include "serve/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "base/owned.h"
#include "serve/ask.h"
#include "serve/console.h"
#include "serve/endpoint.h"
#include "serve/http.h"
#include "serve/routes.h"
#include "serve/service.h"
#include "serve/token.h"

#define CONNECTIONS_MAX 256
#define BODY_BYTES_MAX ((size_t)8 << 20)
#define BODIES_BYTES_MAX (8 * BODY_BYTES_MAX)
#define IDLE_S 30

/* A label's values are few, whatever clients send. */
static const char *known_method(const char *method)
{
	static const char *const known[] = {"GET", "HEAD", "POST", "OPTIONS"};

	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(known[i], method))
			return known[i];
	return "other";
}

static int start_tokens(struct serving *serving, struct error *err)
{
	serving->tokens = tokens_new(serving->options.manifest, serving->options.tokens, err);
	return serving->tokens ? 0 : -1;
}

static void end_tokens(struct serving *serving)
{
	tokens_free(serving->tokens);
}

static int start_console(struct serving *serving, struct error *err)
{
	serving->console = console_new(err);
	return serving->console ? 0 : -1;
}

static void end_console(struct serving *serving)
{
	console_free(serving->console);
}

static int start_asker(struct serving *serving, struct error *err)
{
	if (!serving->service)
		return 0;
	serving->asker = asker_new(serving->service, err);
	return serving->asker ? 0 : -1;
}

static void end_asker(struct serving *serving)
{
	asker_free(serving->asker);
}

static int start_service(struct serving *serving, struct error *err)
{
	struct service_options options = {.manifest = serving->options.manifest,
	                                  .audit = serving->options.audit,
	                                  .writes = serving->options.writes};

	if (serving->options.probes_alone)
		return 0;
	serving->service = service_new(&options, err);
	return serving->service ? 0 : -1;
}

static void end_service(struct serving *serving)
{
	service_stop(serving->service, 0);
	service_free(serving->service);
}

static int start_endpoints(struct serving *serving, struct error *err)
{
	if (serving->options.probes_alone)
		return 0;
	serving->endpoints = endpoints_new(serving->options.manifest, serving->service, err);
	return serving->endpoints ? 0 : -1;
}

static void end_endpoints(struct serving *serving)
{
	endpoints_free(serving->endpoints);
}

/* What became of each response, for /metrics. */
static void count_response(void *context, const struct http_done *done)
{
	const char *route = done->route ? done->route : "none";
	char status[8];
	struct metrics *metrics = metrics_find(SCOPE_ROUTE, route, known_method(done->method), NULL);

	snprintf(status, sizeof status, "%d", done->status);
	metric_add(metrics_find(SCOPE_STATUS, route, known_method(done->method), status), METRIC_HTTP_REQUESTS, 1);
	metric_add(metrics, METRIC_HTTP_BYTES, done->bytes);
	metric_add(metrics, METRIC_HTTP_CUT, !done->whole);
	metric_observe(metrics, HISTOGRAM_HTTP_SECONDS, done->us);
}

static int start_http(struct serving *serving, struct error *err)
{
	struct http_options options = {
	        .address = serving->options.listen,
	        .certificate = serving->options.certificate,
	        .key = serving->options.key,
	        .loopback = serving->options.anyone,
	        .connections = CONNECTIONS_MAX,
	        .body_bytes = BODY_BYTES_MAX,
	        .bodies_bytes = BODIES_BYTES_MAX,
	        .idle_s = IDLE_S,
	        .context = serving,
	        .handle = routes_handle,
	        .before_body = routes_before_body,
	        .done = count_response,
	};

	serving->http = http_start(&options, err);
	return serving->http ? 0 : -1;
}

/* Behind the address is known, which is in the file's name. */
static int start_first_token(struct serving *serving, struct error *err)
{
	if (!serving->service || serving->options.anyone || serving->options.tokens || tokens_count(serving->tokens))
		return 0;
	if (first_token_make(serving->options.manifest->folder, http_address(serving->http), &serving->first, err))
		return -1;
	return tokens_add(serving->tokens, serving->first.sha256, err);
}

static void end_first_token(struct serving *serving)
{
	first_token_remove(&serving->first);
}

/* In this order, and ended in the other one: the requests come last and go first. */
static const struct part {
	int (*start)(struct serving *serving, struct error *err);
	void (*end)(struct serving *serving); /* also of what did not start */
} parts[] = {
        {start_tokens, end_tokens},           {start_service, end_service},
        {start_endpoints, end_endpoints},     {start_asker, end_asker},
        {start_console, end_console},         {start_http, NULL},
        {start_first_token, end_first_token},
};
#define PARTS ((int)(sizeof parts / sizeof *parts))

struct serving *serving_start(const struct serving_options *options, struct error *err)
{
	struct serving *serving = calloc(1, sizeof *serving);

	if (!serving) {
		error_no_memory(err);
		return NULL;
	}
	serving->options = *options;
	for (int i = 0; i < PARTS; i++)
		if (parts[i].start(serving, err)) {
			serving_stop(serving, 0);
			return NULL;
		}
	return serving;
}

const char *serving_address(const struct serving *serving)
{
	return http_address(serving->http);
}

bool serving_is_tls(const struct serving *serving)
{
	return http_is_tls(serving->http);
}

bool serving_is_service(const struct serving *serving)
{
	return serving->service;
}

const struct first_token *serving_first_token(const struct serving *serving)
{
	return serving->first.file ? &serving->first : NULL;
}

void serving_stop(struct serving *serving, int patience_ms)
{
	if (!serving)
		return;
	http_stop(serving->http, patience_ms);
	for (int i = PARTS - 1; i >= 0; i--)
		if (parts[i].end)
			parts[i].end(serving);
	free(serving);
}
