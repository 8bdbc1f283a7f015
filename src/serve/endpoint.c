#include "serve/endpoint.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/owned.h"
#include "pool/request.h"
#include "serve/accept.h"
#include "serve/endpoint_private.h"
#include "serve/reply.h"
#include "serve/serving.h"
#include "serve/target.h"

#define MISSING_RETRY_S 5
#define WAIT_MS 60000 /* for an equal question that is being asked */

/* ---- life */

static int define(struct endpoint *endpoint, struct error *err)
{
	const struct spec_endpoint *spec = endpoint->spec;
	OWNED_BUFFER struct buffer all = {0};
	char digits[HASH_HEX_SIZE];

	buffer_init(&all, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&all, "%s\n%s\n%s\n%d\n%s\n", spec->name, spec->path, spec->sql, (int)spec->result,
	              spec->catalog->name);
	for (int i = 0; i < spec->null_as_count; i++)
		buffer_printf(&all, "%s\n%s\n", spec->null_as[i].name, spec->null_as[i].value);
	for (int i = 0; i < spec->page_key_count; i++)
		buffer_printf(&all, "%s\n", spec->page_key[i]);
	if (!buffer_ok(&all) || !hash_whole(buffer_string(&all), all.size, digits))
		return error_no_memory(err);
	memcpy(endpoint->definition, digits, sizeof endpoint->definition - 1);
	return 0;
}

static int begin(struct endpoints *endpoints, struct reads_parser *parser, int index, struct error *err)
{
	struct endpoint *endpoint = &endpoints->list[index];
	const struct spec_endpoint *spec = &endpoints->manifest->endpoints[index];

	*endpoint = (struct endpoint){.spec = spec, .all = endpoints, .looked_at = -1};
	pthread_mutex_init(&endpoint->lock, NULL);
	endpoint->metrics = metrics_find(SCOPE_ENDPOINT, spec->name, NULL, NULL);
	endpoints->count++;
	if (endpoint_reads(parser, endpoints->manifest->file, spec, &endpoint->reads, err) || define(endpoint, err))
		return -1;
	endpoint->answers = answers_new(spec->cache_answers, spec->cache_bytes);
	return endpoint->answers ? 0 : error_no_memory(err);
}

struct endpoints *endpoints_new(const struct manifest *manifest, struct service *service, struct error *err)
{
	struct endpoints *endpoints = calloc(1, sizeof *endpoints);
	struct reads_parser *parser = NULL;
	int failed = -1;

	if (endpoints) {
		endpoints->manifest = manifest;
		endpoints->service = service;
		endpoints->list = calloc((size_t)manifest->endpoint_count + 1, sizeof *endpoints->list);
	}
	if (!endpoints || !endpoints->list)
		error_no_memory(err);
	else if (!manifest->endpoint_count || (parser = reads_parser_open(err)))
		failed = 0;
	for (int i = 0; !failed && i < manifest->endpoint_count; i++)
		failed = begin(endpoints, parser, i, err);
	reads_parser_close(parser);
	if (!failed)
		return endpoints;
	endpoints_free(endpoints);
	return NULL;
}

void endpoints_free(struct endpoints *endpoints)
{
	for (int i = 0; endpoints && i < endpoints->count; i++) {
		answers_free(endpoints->list[i].answers);
		endpoint_reads_release(&endpoints->list[i].reads);
		free(endpoints->list[i].columns);
		pthread_mutex_destroy(&endpoints->list[i].lock);
	}
	if (endpoints)
		free(endpoints->list);
	free(endpoints);
}

/* ---- the request */

struct gathering {
	struct endpoint_argument arguments[TARGET_ARGUMENTS_MAX];
	int count;
};

static bool gather(void *context, const char *name, const char *value)
{
	struct gathering *g = context;

	if (g->count == TARGET_ARGUMENTS_MAX)
		return false;
	g->arguments[g->count++] = (struct endpoint_argument){name, value};
	return true;
}

static bool may_ask(struct asked *asked)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;
	struct call *call = asked->call;

	if (spec->access == ACCESS_ANYONE)
		return true;
	if (!call_authorize(call))
		return false;
	if (token_may_endpoint(call->token, spec->name) && token_may_catalog(call->token, spec->catalog->name))
		return true;
	problem_reply(call->response, call->request, PROBLEM_NOT_ALLOWED, "The token has no right to this endpoint.");
	return false;
}

static const char *const media_types[] = {
        [ANSWER_CSV] = "text/csv",
        [ANSWER_JSON] = "application/json",
        [ANSWER_NDJSON] = "application/x-ndjson",
        [ANSWER_ARROW] = "application/vnd.apache.arrow.stream",
        [ANSWER_PARQUET] = "application/vnd.apache.parquet",
};

/* One row is an object of JSON; pages have no Arrow and no Parquet. */
static bool can_be(const struct spec_endpoint *spec, enum answer_format format)
{
	if (spec->result == RESULT_OBJECT)
		return format == ANSWER_JSON;
	return !spec->page_size || (format != ANSWER_ARROW && format != ANSWER_PARQUET);
}

/* The form that Accept weighs most; of several the endpoint's own, then in the order of the manifest's reference. */
static bool choose_format(struct asked *asked)
{
	static const enum answer_format all[] = {ANSWER_JSON, ANSWER_CSV, ANSWER_NDJSON, ANSWER_ARROW, ANSWER_PARQUET};
	const struct spec_endpoint *spec = asked->endpoint->spec;
	const char *accept = http_header(asked->call->request, "Accept");
	int best = accept_type(accept, media_types[spec->format]);

	asked->format = spec->format;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		int weight = can_be(spec, all[i]) ? accept_type(accept, media_types[all[i]]) : 0;

		if (weight > best) {
			best = weight;
			asked->format = all[i];
		}
	}
	if (best)
		return true;
	problem_reply(asked->call->response, asked->call->request, PROBLEM_NOT_ACCEPTABLE,
	              "Accept takes none of the forms that this answer can have: %s.",
	              spec->result == RESULT_OBJECT ? "application/json"
	              : spec->page_size             ? "application/json, application/x-ndjson, text/csv"
	                                            : "application/json, application/x-ndjson, text/csv, "
	                                              "application/vnd.apache.arrow.stream, "
	                                              "application/vnd.apache.parquet");
	return false;
}

static void bad_request(struct asked *asked, const struct error *err)
{
	problem_reply(asked->call->response, asked->call->request, PROBLEM_BAD_REQUEST, "%s.", err->message);
}

static bool read_values(struct asked *asked)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;
	struct gathering g;
	struct error err;

	g.count = 0;
	http_arguments(asked->call->request, gather, &g);
	if (endpoint_values_read(spec, http_path(asked->call->request), g.arguments, g.count, &asked->values, &err)) {
		bad_request(asked, &err);
		return false;
	}
	buffer_printf(&asked->mark, "%s\n", asked->endpoint->definition);
	endpoint_values_key(spec, &asked->values, false, &asked->mark);
	if (!asked->values.cursor ||
	    !cursor_read(asked->values.cursor, buffer_string(&asked->mark), spec->page_key_count, &asked->cursor, &err))
		return true;
	bad_request(asked, &err);
	return false;
}

/*
 * Which snapshot: pages stay with the first one's, or a later one in which nothing changed that they are made of, for
 * snapshots expire.
 */
static bool choose_snapshot(struct asked *asked)
{
	endpoint_version(asked->endpoint, -1, &asked->version);
	asked->snapshot = -1;
	if (!asked->cursor.key)
		return true;
	if (endpoint_is_another_lake(asked->endpoint, &asked->cursor, asked->version.snapshot)) {
		problem_reply(asked->call->response, asked->call->request, PROBLEM_GONE,
		              "The lake of these pages is not there any more; begin again without a cursor.");
		return false;
	}
	if (asked->version.keeps && asked->version.version <= asked->cursor.snapshot) {
		asked->snapshot = asked->version.snapshot;
		return true;
	}
	asked->snapshot = asked->cursor.snapshot;
	endpoint_version(asked->endpoint, asked->cursor.snapshot, &asked->version);
	return true;
}

static bool make_key(struct asked *asked)
{
	buffer_printf(&asked->key, "%d\n%s\n", (int)asked->format, asked->version.stamp);
	endpoint_values_key(asked->endpoint->spec, &asked->values, true, &asked->key);
	if (asked->cursor.key)
		buffer_printf(&asked->key, "\n%s", asked->values.cursor);
	if (buffer_ok(&asked->key) && buffer_ok(&asked->mark))
		return true;
	problem_reply(asked->call->response, asked->call->request, PROBLEM_UNAVAILABLE, "There is no memory for this.");
	return false;
}

/* ---- the response */

/* One of the list's tags, by the weak comparison of RFC 9110 section 8.8.3.2; or *. */
static bool has_tag(const char *list, const char *tag)
{
	size_t size = strlen(tag);

	while (list && *list) {
		list += strspn(list, ", \t");
		if (*list == '*')
			return true;
		if (!strncmp(list, "W/", 2))
			list += 2;
		if (*list != '"')
			return false;
		if (!strncmp(list, tag, size))
			return true;
		list += 1 + strcspn(list + 1, "\"");
		list += *list == '"';
	}
	return false;
}

static void add_caching(const struct asked *asked, int64_t version, const char *at)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;
	struct http_response *response = asked->call->response;
	const char *who = spec->access == ACCESS_ANYONE ? "public" : "private";
	char etag[ETAG_SIZE];

	if (!asked->version.keeps)
		return;
	endpoint_etag(asked, version, at, etag);
	http_add(response, "ETag", "%s", etag);
	if (spec->cache_age_ms >= 1000)
		http_add(response, "Cache-Control", "%s, max-age=%lld", who, (long long)spec->cache_age_ms / 1000);
	else
		http_add(response, "Cache-Control", "%s, no-cache", who);
}

/* True: the client has it, and nothing is asked. */
static bool is_unchanged(struct asked *asked)
{
	const char *list = http_header(asked->call->request, "If-None-Match");
	char etag[ETAG_SIZE];

	if (!list || !asked->version.keeps)
		return false;
	endpoint_etag(asked, asked->version.version, asked->version.at, etag);
	if (!*etag || !has_tag(list, etag))
		return false;
	add_caching(asked, asked->version.version, asked->version.at);
	metric_add(asked->endpoint->metrics, METRIC_CACHE_HITS, 1);
	asked->call->response->status = 304;
	return true;
}

/* NAME=VALUE& of a value that is JSON: a text without its quotes, anything else as it is. */
static void append_argument(struct buffer *out, const char *name, const char *json)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	yyjson_doc *document = json ? yyjson_read(json, strlen(json), 0) : NULL;
	yyjson_val *value = yyjson_doc_get_root(document);
	const char *text = yyjson_is_str(value) ? yyjson_get_str(value) : json;

	if (value)
		buffer_printf(out, "%s=", name);
	for (; value && *text; text++)
		buffer_printf(out, strchr(plain, *text) ? "%c" : "%%%02X", (unsigned char)*text);
	buffer_text(out, value ? "&" : "");
	yyjson_doc_free(document);
}

static void add_next(const struct asked *asked, const char *cursor)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;
	OWNED_BUFFER struct buffer link = {0};

	buffer_init(&link, 65536);
	buffer_text(&link, "<?");
	for (int i = 0; i < spec->parameter_count; i++)
		if (!spec->parameters[i].in_path)
			append_argument(&link, spec->parameters[i].name, asked->values.json[i]);
	buffer_printf(&link, "cursor=%s>; rel=\"next\"", cursor);
	asked->call->response->headers.failed |= !buffer_ok(&link);
	http_add(asked->call->response, "Link", "%s", buffer_string(&link));
}

static void add_form(const struct asked *asked, const char *content_type, const char *cache)
{
	struct http_response *response = asked->call->response;

	http_add(response, "Content-Type", "%s", content_type);
	http_add(response, "Cache-Status", "tarn; %s", cache); /* RFC 9211 */
}

/* facts: of who asked a worker for it; NULL: nobody did now. */
static void reply_kept(struct asked *asked, const struct kept *kept, const struct answer_facts *facts)
{
	struct http_response *response = asked->call->response;
	const struct token *token = asked->call->token;

	if (token && kept->rows > token_spec(token)->max_rows) {
		problem_write(response, refusal_status(REFUSAL_ROWS), refusal_name(REFUSAL_ROWS),
		              refusal_title(REFUSAL_ROWS), "The answer has more rows than the token may have.",
		              http_path(asked->call->request));
		return;
	}
	add_form(asked, kept->content_type, facts ? "fwd=miss" : "hit");
	add_caching(asked, kept->version, kept->at);
	if (kept->next)
		add_next(asked, kept->next);
	if (facts) {
		reply_facts(response, facts, true);
	} else {
		/* what was read then is what would be read now */
		http_add(response, "Tarn-Snapshot", "%lld",
		         (long long)(asked->version.snapshot > kept->snapshot ? asked->version.snapshot
		                                                              : kept->snapshot));
		http_add(response, "Tarn-Rows", "%lld", (long long)kept->rows);
	}
	buffer_append(&response->body, kept->body.data, kept->body.size);
}

/* An answer that is not kept, as it comes. */
static void reply_as_it_comes(struct asked *asked, struct ran *ran)
{
	add_form(asked, ran->facts.content_type, "fwd=bypass");
	reply_stream(asked->call, ran->stream, &ran->begun);
}

/* ---- refusals */

static void not_yet(struct asked *asked, const char *what, const char *name, const char *is)
{
	http_add(asked->call->response, "Retry-After", "%d", MISSING_RETRY_S);
	problem_reply(asked->call->response, asked->call->request, PROBLEM_UNAVAILABLE,
	              "The answer %s%s, which is %s yet.", what, name, is);
}

/* A table or model of the manifest's SQL that is not there yet is nobody's mistake who asks. */
static bool is_too_early(struct asked *asked, const struct service_refusal *refusal)
{
	const char *missing;

	if (refusal->kind != REFUSAL_INVALID)
		return false;
	if (endpoint_lacks_model(asked->endpoint)) {
		not_yet(asked, "asks a model", "", "not trained");
		return true;
	}
	missing = endpoint_missing(asked->endpoint);
	if (!missing)
		return false;
	if (!strncmp(missing, "main.", 5))
		missing += 5;
	if (!strcasestr(refusal->detail, missing))
		return false;
	not_yet(asked, "is made of the table ", missing, "not there");
	return true;
}

/*
 * The SELECT is the manifest's, and reads what the asker may not: what DuckDB says of its words, columns and values is
 * for the log. What is said of parameters and pages is the asker's.
 */
static bool is_for_log(const struct service_refusal *refusal)
{
	return refusal->kind == REFUSAL_SYNTAX || refusal->kind == REFUSAL_FORBIDDEN ||
	       (refusal->kind == REFUSAL_INVALID && !refusal->about_page);
}

static void refuse_in_our_words(struct asked *asked, const struct service_refusal *refusal)
{
	struct service_refusal told = *refusal;

	log_event(EVENT_ENDPOINT_FAILED,
	          FIELDS(LOG_TEXT("endpoint", asked->endpoint->spec->name), LOG_NUMBER("query", refusal->query)),
	          "endpoint %s cannot be answered: %s", asked->endpoint->spec->name, refusal->detail);
	snprintf(told.detail, sizeof told.detail,
	         "The endpoint's SELECT does not fit its tables, or fails on a value of them or of the request; the "
	         "server's log says why.");
	reply_refusal(asked->call, &told);
}

static void refuse(struct asked *asked, const struct service_refusal *refusal)
{
	struct http_response *response = asked->call->response;

	if (is_too_early(asked, refusal))
		return;
	if (asked->cursor.key && refusal->kind == REFUSAL_NOT_FOUND) {
		problem_reply(response, asked->call->request, PROBLEM_GONE,
		              "The snapshot of these pages is not kept any more; begin again without a cursor.");
		return;
	}
	if (is_for_log(refusal))
		refuse_in_our_words(asked, refusal);
	else
		reply_refusal(asked->call, refusal);
}

/* ---- asking */

static bool client_is_gone(void *context)
{
	struct pollfd client = {.fd = *(int *)context, .events = POLLRDHUP};

	return client.fd >= 0 && poll(&client, 1, 0) > 0 && client.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void run_and_reply(struct asked *asked, bool others_wait)
{
	struct service_refusal refusal = {0};
	struct ran ran = {0};
	int failed = endpoint_run(asked, &ran, &refusal);
	struct endpoint *endpoint = asked->endpoint;

	if (others_wait)
		answers_finish(endpoint->answers, buffer_string(&asked->key), asked->version.version,
		               asked->version.keeps ? ran.kept : NULL);
	metric_add(endpoint->metrics, METRIC_CACHE_MISSES, 1);
	metric_put(endpoint->metrics, METRIC_CACHE_BYTES, answers_facts(endpoint->answers).bytes);
	if (failed)
		refuse(asked, &refusal);
	else if (ran.kept)
		reply_kept(asked, ran.kept, &ran.facts);
	else
		reply_as_it_comes(asked, &ran);
	kept_release(ran.kept);
}

static void answer(struct asked *asked)
{
	int fd = http_client_fd(asked->call->request);
	struct answers_wait wait = {.most_ms = WAIT_MS, .gone = client_is_gone, .context = &fd};
	enum answers_found found = ANSWERS_ALONE;
	struct kept *kept = NULL;

	if (asked->version.keeps)
		found = answers_take(asked->endpoint->answers, buffer_string(&asked->key), asked->version.version,
		                     &wait, &kept);
	metric_add(asked->endpoint->metrics, METRIC_CACHE_HITS, found == ANSWERS_KEPT);
	if (found == ANSWERS_KEPT)
		reply_kept(asked, kept, NULL);
	else if (found == ANSWERS_GONE)
		problem_reply(asked->call->response, asked->call->request, PROBLEM_UNAVAILABLE,
		              "The same question is being asked already, and takes longer than is waited for.");
	else
		run_and_reply(asked, found == ANSWERS_ASK);
	kept_release(kept);
}

static void asked_release(struct asked *asked)
{
	endpoint_values_release(&asked->values);
	cursor_release(&asked->cursor);
	buffer_release(&asked->mark);
	buffer_release(&asked->key);
}

static void ask(struct endpoints *endpoints, struct call *call, const struct spec_endpoint *spec)
{
	struct asked asked = {.call = call, .endpoint = &endpoints->list[spec - endpoints->manifest->endpoints]};

	buffer_init(&asked.mark, BUFFER_DEFAULT_MAXIMUM);
	buffer_init(&asked.key, BUFFER_DEFAULT_MAXIMUM);
	call->response->route = spec->path;
	http_add(call->response, "Vary", "Accept, Accept-Encoding");
	if (may_ask(&asked) && choose_format(&asked) && read_values(&asked)) {
		/* Of a 304, too, so that its ETag is the answer's. */
		call->response->compress = asked.format != ANSWER_PARQUET;
		if (choose_snapshot(&asked) && make_key(&asked) && !is_unchanged(&asked))
			answer(&asked);
	}
	asked_release(&asked);
}

void endpoints_answer(struct endpoints *endpoints, struct call *call)
{
	const struct spec_endpoint *spec = endpoint_find(endpoints->manifest, http_path(call->request));
	const char *method = http_method(call->request);

	if (!spec)
		call_no_such_path(call);
	else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		call_other_method(call, "GET, HEAD");
	else
		ask(endpoints, call, spec);
}
