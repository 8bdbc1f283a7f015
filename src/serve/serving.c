#include "serve/serving.h"

#include <stdlib.h>

#include "serve/http.h"
#include "serve/routes.h"
#include "serve/token.h"

#define CONNECTIONS_MAX 256
#define BODY_BYTES_MAX ((size_t)8 << 20)
#define IDLE_S 30

static int start_tokens(struct serving *serving, struct error *err)
{
	serving->tokens = tokens_new(serving->options.manifest, serving->options.tokens, err);
	return serving->tokens ? 0 : -1;
}

static void end_tokens(struct serving *serving)
{
	tokens_free(serving->tokens);
}

static int start_http(struct serving *serving, struct error *err)
{
	struct http_options options = {
	        .address = serving->options.listen,
	        .certificate = serving->options.certificate,
	        .key = serving->options.key,
	        .connections = CONNECTIONS_MAX,
	        .body_bytes = BODY_BYTES_MAX,
	        .idle_s = IDLE_S,
	        .context = serving,
	        .handle = routes_handle,
	};

	serving->http = http_start(&options, err);
	return serving->http ? 0 : -1;
}

/* In this order, and ended in the other one: the requests come last and go first. */
static const struct part {
	int (*start)(struct serving *serving, struct error *err);
	void (*end)(struct serving *serving); /* also of what did not start */
} parts[] = {
        {start_tokens, end_tokens},
        {start_http, NULL},
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
