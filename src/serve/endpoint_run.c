/* endpoint_run.c - an endpoint's SELECT through a worker (service.h). */
#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "serve/endpoint_private.h"
#include "serve/service_private.h"
#include "spec/sql_text.h"

#define COLLECT_BYTES ((size_t)256 << 10) /* of an answer that is not kept: so much may still become a status */
#define KEEP_BYTES ((size_t)8 << 20)
#define PAGE_BYTES ((size_t)64 << 20)

static char null_json[] = "null";

/* Texts are borrowed: the request is only written. */
static int fill_parameters(const struct spec_endpoint *spec, const struct endpoint_values *values,
                           struct request *request)
{
	request->parameters = calloc((size_t)spec->parameter_count + 1, sizeof *request->parameters);
	if (!request->parameters)
		return -1;
	for (int i = 0; i < spec->parameter_count; i++) {
		if (!spec->parameters[i].in_sql)
			continue;
		request->parameters[request->parameter_count++] = (struct request_parameter){
		        .name = spec->parameters[i].name,
		        .json = values && values->json[i] ? values->json[i] : null_json,
		        .type = (int)spec->parameters[i].type,
		};
	}
	return 0;
}

static struct request request_of(const struct asked *asked)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;

	return (struct request){
	        .op = REQUEST_QUERY,
	        .sql = spec->sql,
	        .format = asked->format,
	        .object = spec->result == RESULT_OBJECT,
	        .null_as = spec->null_as,
	        .null_as_count = spec->null_as_count,
	        .snapshot = asked->snapshot,
	        .table_count = -1,
	        .page_key = spec->page_key,
	        .page_key_count = spec->page_key_count,
	        .page_rows = asked->values.page_rows,
	        .page_after = asked->cursor.key,
	};
}

static void no_memory(struct service_refusal *ret_refusal)
{
	refuse_as(ret_refusal, REFUSAL_INTERNAL, "The server has no memory left.");
}

static struct answer *start(const struct asked *asked, struct service_refusal *ret_refusal)
{
	struct request request = request_of(asked);
	struct service_ask ask = {
	        .catalog = asked->endpoint->spec->catalog,
	        .token = asked->call->token,
	        .own_rights = true,
	        .request = &request,
	        .route = asked->endpoint->spec->name,
	        .client_fd = http_client_fd(asked->call->request),
	        .client = http_client_address(asked->call->request),
	};
	struct answer *answer = NULL;

	*ret_refusal = (struct service_refusal){.kind = REFUSAL_NONE};
	if (fill_parameters(asked->endpoint->spec, &asked->values, &request))
		no_memory(ret_refusal);
	else
		answer = service_run(asked->endpoint->all->service, &ask, ret_refusal);
	free(request.parameters);
	return answer;
}

/* {"rows": [...], "next": "..." or null} of [...], which has a line's end. */
static int wrap_page(struct kept *kept)
{
	OWNED_BUFFER struct buffer page = {0};

	if (!kept->body.size)
		return -1;
	buffer_init(&page, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&page, "{\"rows\": ");
	buffer_append(&page, kept->body.data, kept->body.size - (kept->body.data[kept->body.size - 1] == '\n'));
	buffer_text(&page, ", \"next\": ");
	if (kept->next)
		buffer_printf(&page, "\"%s\"", kept->next);
	else
		buffer_text(&page, "null");
	buffer_text(&page, "}\n");
	if (!buffer_ok(&page))
		return -1;
	buffer_release(&kept->body);
	kept->body = page;
	page = (struct buffer){0};
	return 0;
}

static int finish_page(const struct asked *asked, const struct answer_facts *facts, struct kept *kept)
{
	OWNED_BUFFER struct buffer cursor = {0};
	struct cursor_origin origin;

	buffer_init(&cursor, BUFFER_DEFAULT_MAXIMUM);
	if (facts->next) {
		endpoint_origin(asked->endpoint, facts->snapshot, &origin);
		cursor_write(&cursor, facts->snapshot, &origin, facts->next, buffer_string(&asked->mark));
		kept->next = buffer_ok(&cursor) ? strdup(buffer_string(&cursor)) : NULL;
		if (!kept->next)
			return -1;
	}
	return asked->format == ANSWER_JSON ? wrap_page(kept) : 0;
}

static size_t most_bytes(const struct asked *asked)
{
	const struct spec_endpoint *spec = asked->endpoint->spec;

	if (spec->page_size)
		return PAGE_BYTES;
	if (!asked->version.keeps || spec->cache_bytes < (int64_t)COLLECT_BYTES)
		return COLLECT_BYTES;
	return spec->cache_bytes < (int64_t)KEEP_BYTES ? (size_t)spec->cache_bytes : KEEP_BYTES;
}

static void too_large(struct service_refusal *ret_refusal)
{
	refuse_as(ret_refusal, REFUSAL_ROWS, "The page has more than 64 MiB; ask for fewer rows.");
}

/* Until the end (1), or until it has more bytes than `most` (0). */
static int collect(struct answer *answer, struct buffer *body, size_t most, struct service_refusal *ret_refusal)
{
	OWNED_BUFFER struct buffer block = {0};
	int more;

	buffer_init(&block, BUFFER_DEFAULT_MAXIMUM);
	while ((more = answer_next(answer, &block, ret_refusal)) > 0) {
		buffer_append(body, block.data, block.size);
		if (!buffer_ok(body)) {
			no_memory(ret_refusal);
			return -1;
		}
		if (body->size > most)
			return 0;
	}
	return more < 0 ? -1 : 1;
}

/* The whole answer is there: what does it hold for? */
static int finish(struct asked *asked, const struct answer_facts *facts, struct kept *kept,
                  struct service_refusal *ret_refusal)
{
	struct endpoint_version version;

	kept->snapshot = facts->snapshot;
	kept->rows = facts->rows;
	kept->content_type = strdup(facts->content_type);
	if (!kept->content_type) {
		no_memory(ret_refusal);
		return -1;
	}
	if (asked->endpoint->spec->page_size && finish_page(asked, facts, kept)) {
		no_memory(ret_refusal);
		return -1;
	}
	if (!asked->version.keeps)
		return 0;
	endpoint_version(asked->endpoint, facts->snapshot, &version);
	kept->version = version.version;
	snprintf(kept->at, sizeof kept->at, "%s", version.at);
	if (!version.keeps || strcmp(version.stamp, asked->version.stamp) != 0)
		asked->version.keeps = false;
	return 0;
}

int endpoint_run(struct asked *asked, struct ran *ret_ran, struct service_refusal *ret_refusal)
{
	struct answer *answer = start(asked, ret_refusal);
	struct kept *kept = answer ? kept_new() : NULL;
	int whole = -1;

	if (answer && !kept)
		no_memory(ret_refusal);
	if (kept)
		whole = collect(answer, &kept->body, most_bytes(asked), ret_refusal);
	if (answer)
		ret_ran->facts = answer_facts(answer);
	if (whole > 0 && finish(asked, &ret_ran->facts, kept, ret_refusal))
		whole = -1;
	if (!whole && asked->endpoint->spec->page_size) {
		too_large(ret_refusal);
		whole = -1;
	}
	if (!whole) {
		ret_ran->begun = kept->body;
		kept->body = (struct buffer){0};
		ret_ran->stream = TAKE(answer);
	} else if (whole > 0) {
		ret_ran->kept = TAKE(kept);
	}
	kept_release(kept);
	if (answer)
		answer_close(answer);
	return whole < 0 ? -1 : 0;
}

/* LIMIT 0 of the SELECT, without values: a JSON list, owned by the caller. */
static char *ask_columns(struct endpoint *endpoint)
{
	OWNED_BUFFER struct buffer sql = {0};
	struct request request = {.op = REQUEST_QUERY, .format = ANSWER_JSON, .snapshot = -1, .table_count = -1};
	struct service_ask ask = {.catalog = endpoint->spec->catalog,
	                          .own_rights = true,
	                          .request = &request,
	                          .route = "GET /openapi.json",
	                          .client_fd = -1};
	struct service_refusal refusal;
	struct answer *answer = NULL;
	char *columns = NULL;

	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	buffer_text(&sql, "SELECT * FROM (\n");
	buffer_append(&sql, endpoint->spec->sql, sql_statement_size(endpoint->spec->sql));
	buffer_text(&sql, "\n) LIMIT 0");
	request.sql = sql.data;
	if (buffer_ok(&sql) && !fill_parameters(endpoint->spec, NULL, &request))
		answer = service_run(endpoint->all->service, &ask, &refusal);
	if (answer && answer_facts(answer).columns)
		columns = strdup(answer_facts(answer).columns);
	if (answer)
		answer_close(answer);
	free(request.parameters);
	return columns;
}

const char *endpoint_columns(struct endpoint *endpoint)
{
	char *columns = NULL;
	const char *known;

	pthread_mutex_lock(&endpoint->lock);
	known = endpoint->columns;
	pthread_mutex_unlock(&endpoint->lock);
	if (known)
		return known;
	columns = ask_columns(endpoint);
	pthread_mutex_lock(&endpoint->lock);
	if (!endpoint->columns)
		endpoint->columns = TAKE(columns);
	known = endpoint->columns; /* it stays: nobody replaces it */
	pthread_mutex_unlock(&endpoint->lock);
	free(columns);
	return known;
}
