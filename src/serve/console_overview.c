/*
 * console_overview.c - what a lake holds, as a worker tells it, kept for as long as its snapshot is the newest one.
 *
 * A kept overview is known by the catalog, the tables that may be read, and the bounds of who asks, so that tokens of
 * equal rights share it. While one request asks the worker, others for the same wait for what it gets, also where that
 * is a refusal: it would be theirs, too, for they have the same bounds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/owned.h"
#include "serve/console.h"
#include "serve/reply.h"
#include "serve/service.h"
#include "serve/serving.h"

#define KEPT_MAX 32
#define OVERVIEW_BYTES_MAX ((size_t)16 << 20)
#define ASKED_AGAIN_MS 1000 /* a worker, though there is a new snapshot */
#define SHARE 10 /* of a worker's time, one in so many */
#define KEPT_MS 60000 /* also where no snapshot can tell that something is new (backend file) */
#define WAIT_MS 30000 /* for what another request is asking */

struct kept {
	char *key; /* owned; NULL: free */
	bool asking;
	int64_t turn; /* goes up with each answer */
	bool failed; /* the last answer was `refusal` */
	struct service_refusal refusal;
	struct buffer body; /* empty: none yet */
	char etag[24];
	int64_t snapshot, asked_ms, took_ms, used_ms;
};

struct console_overviews {
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	struct kept kept[KEPT_MAX];
};

struct console_overviews *console_overviews_new(struct error *err)
{
	struct console_overviews *overviews = calloc(1, sizeof *overviews);

	if (!overviews) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&overviews->mutex, NULL);
	pthread_cond_init(&overviews->answered, NULL);
	return overviews;
}

static void empty(struct kept *kept)
{
	free(kept->key);
	buffer_release(&kept->body);
	*kept = (struct kept){.turn = kept->turn};
}

void console_overviews_free(struct console_overviews *overviews)
{
	if (!overviews)
		return;
	for (int i = 0; i < KEPT_MAX; i++)
		empty(&overviews->kept[i]);
	pthread_cond_destroy(&overviews->answered);
	pthread_mutex_destroy(&overviews->mutex);
	free(overviews);
}

/* ---- what is kept, under the mutex */

/* Each text with its length before it: no two sets of texts have one key. */
static void write_key(const struct call *call, const struct spec_catalog *catalog, struct buffer *out)
{
	const struct spec_token *spec = token_spec(call->token);

	buffer_printf(out, "%zu:%s %d %lld %lld %d", strlen(catalog->name), catalog->name, spec->max_rows,
	              (long long)spec->max_ms, (long long)spec->memory_bytes, spec->table_count);
	for (int i = 0; i < spec->table_count; i++)
		buffer_printf(out, " %zu:%s", strlen(spec->tables[i]), spec->tables[i]);
}

/* That of the key, or one made free for it. NULL: all are being asked for, or no memory. */
static struct kept *find(struct console_overviews *overviews, const char *key)
{
	struct kept *oldest = NULL;

	for (int i = 0; i < KEPT_MAX; i++) {
		struct kept *kept = &overviews->kept[i];

		if (kept->key && !strcmp(kept->key, key))
			return kept;
		if (!kept->asking && (!oldest || kept->used_ms < oldest->used_ms))
			oldest = kept;
	}
	if (!oldest)
		return NULL;
	empty(oldest);
	oldest->key = strdup(key);
	return oldest->key ? oldest : NULL;
}

static bool is_good(const struct kept *kept, int64_t snapshot, int64_t now_ms)
{
	int64_t again_ms = kept->took_ms * SHARE > ASKED_AGAIN_MS ? kept->took_ms * SHARE : ASKED_AGAIN_MS;

	if (!kept->body.size)
		return false;
	return now_ms - kept->asked_ms < (kept->snapshot == snapshot && again_ms < KEPT_MS ? KEPT_MS : again_ms);
}

/* ---- asking */

static bool ask_worker(const struct call *call, const struct spec_catalog *catalog, struct buffer *out,
                       struct service_refusal *ret_refusal)
{
	struct request request = {.op = REQUEST_OVERVIEW, .format = ANSWER_JSON, .snapshot = -1, .table_count = -1};
	/* Whoever waits for the same must not suffer when this client goes away: it is not watched. */
	struct service_ask ask = {.catalog = catalog,
	                          .token = call->token,
	                          .request = &request,
	                          .route = "GET /console/overview",
	                          .client_fd = -1,
	                          .client = http_client_address(call->request)};
	struct answer_facts facts;
	struct answer *answer = service_run(call->serving->service, &ask, ret_refusal);

	return answer && !answer_collect(answer, out, OVERVIEW_BYTES_MAX, &facts, ret_refusal);
}

static bool write_etag(const struct buffer *body, char etag[24])
{
	struct error err = {0};
	struct hash *hash = hash_new(&err);
	char hex[HASH_HEX_SIZE];

	if (!hash)
		return false;
	hash_add(hash, body->data, body->size);
	hash_hex(hash, hex);
	hash_free(hash);
	snprintf(etag, 24, "\"%.16s\"", hex);
	return true;
}

/* The mutex is given up meanwhile. The entry stays this key's, for it is `asking`. */
static void renew(struct console_overviews *overviews, struct kept *kept, struct call *call,
                  const struct spec_catalog *catalog, int64_t snapshot)
{
	OWNED_BUFFER struct buffer body = {0};
	struct service_refusal refusal = {.status = 500, .name = "internal", .title = "The server failed"};
	int64_t began_ms = clock_monotonic_ms();
	char etag[24] = "";
	bool good;

	kept->asking = true;
	pthread_mutex_unlock(&overviews->mutex);
	buffer_init(&body, OVERVIEW_BYTES_MAX);
	good = ask_worker(call, catalog, &body, &refusal) && write_etag(&body, etag);
	pthread_mutex_lock(&overviews->mutex);
	kept->asking = false;
	kept->turn++;
	kept->failed = !good;
	kept->asked_ms = clock_monotonic_ms();
	kept->took_ms = kept->asked_ms - began_ms;
	if (good) {
		buffer_release(&kept->body);
		kept->body = body;
		body = (struct buffer){0};
		snprintf(kept->etag, sizeof kept->etag, "%s", etag);
		kept->snapshot = snapshot;
	} else {
		kept->refusal = refusal;
		buffer_release(&kept->body);
	}
	pthread_cond_broadcast(&overviews->answered);
}

/* Until who is asking has an answer. False: it takes too long, or the entry is another's by now. */
static bool wait_for(struct console_overviews *overviews, const struct kept *kept, const char *key)
{
	struct timespec deadline = clock_deadline(WAIT_MS);
	int64_t turn = kept->turn;

	while (kept->turn == turn)
		if (pthread_cond_clockwait(&overviews->answered, &overviews->mutex, CLOCK_MONOTONIC, &deadline))
			return false;
	return kept->key && !strcmp(kept->key, key);
}

/* ---- the route */

static void send_kept(struct call *call, struct kept *kept)
{
	kept->used_ms = clock_monotonic_ms();
	http_add(call->response, "ETag", "%s", kept->etag);
	if (console_has_it(call, kept->etag))
		return;
	http_add(call->response, "Content-Type", "application/json");
	buffer_append(&call->response->body, kept->body.data, kept->body.size);
}

static void refuse_busy(struct call *call)
{
	http_add(call->response, "Retry-After", "1");
	problem_reply(call->response, call->request, PROBLEM_UNAVAILABLE,
	              "Too many overviews are being made just now.");
}

static void answer_with(struct call *call, const struct spec_catalog *catalog, const char *key, int64_t snapshot)
{
	struct console_overviews *overviews = call->serving->console->overviews;
	struct kept *kept = find(overviews, key);
	bool there = kept != NULL;

	if (there && kept->asking)
		there = wait_for(overviews, kept, key);
	else if (there && !is_good(kept, snapshot, clock_monotonic_ms()))
		renew(overviews, kept, call, catalog, snapshot);
	if (!there)
		refuse_busy(call);
	else if (kept->failed)
		reply_refusal(call, &kept->refusal);
	else
		send_kept(call, kept);
}

void route_console_overview(struct call *call)
{
	const struct spec_catalog *catalog = console_catalog(call);
	OWNED_BUFFER struct buffer key = {0};
	struct error err = {0};
	int64_t snapshot;

	if (!catalog)
		return;
	if (version_now(service_version(call->serving->service, catalog), &snapshot, &err)) {
		http_add(call->response, "Retry-After", "1");
		problem_reply(call->response, call->request, PROBLEM_UNAVAILABLE,
		              "The lake cannot be reached just now.");
		return;
	}
	buffer_init(&key, 1 << 20);
	write_key(call, catalog, &key);
	buffer_printf(&key, " %lld", (long long)version_lineage(service_version(call->serving->service, catalog)));
	pthread_mutex_lock(&call->serving->console->overviews->mutex);
	answer_with(call, catalog, buffer_string(&key), snapshot);
	pthread_mutex_unlock(&call->serving->console->overviews->mutex);
}
