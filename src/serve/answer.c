/* answer.c - a request to a worker and what it answers, with the lines of the audit log around it. */
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "serve/rights.h"
#include "serve/service_private.h"

#define HEAD_BYTES_MAX ((size_t)1 << 20) /* of START and END */

struct answer {
	struct service *service;
	struct served *served;
	struct lease *lease;
	struct answer_facts facts;
	char *content_type, *columns, *tables; /* of START */
	char *next; /* of END */
	int64_t began_us, handed_us;
	bool over; /* its END was read, or it failed */
	const char *outcome;
};

/* ---- the lease */

static int64_t most_ms(const struct served *served, const struct request *request)
{
	return request->max_ms && request->max_ms < served->spec->max_query_ms ? request->max_ms
	                                                                       : served->spec->max_query_ms;
}

static void refuse_lease(enum pool_answer given, int retry_after_s, struct service_refusal *refusal)
{
	switch (given) {
	case POOL_FULL:
		refuse(refusal, PROBLEM_QUEUE_FULL, retry_after_s, "Every worker is busy, and the queue is full.");
		return;
	case POOL_WAITED:
		refuse(refusal, PROBLEM_QUEUE_WAITED, retry_after_s, "Every worker was busy for too long.");
		return;
	case POOL_STOPPED: refuse(refusal, PROBLEM_STOPPING, retry_after_s, "The server is about to stop."); return;
	case POOL_CLIENT_GONE: refuse_as(refusal, REFUSAL_CANCELLED, "The client went away."); return;
	default: refuse(refusal, PROBLEM_NO_WORKER, 5, "No worker can be started just now."); return;
	}
}

/* The newest snapshot, and what a worker has to know of it, the catalog tells a server for next to nothing; a worker's
 * DuckDB asks 2 to 10 ms for each. Where it does not, the worker asks. changed: room for the pool's hot tables. */
static void tell_lake(const struct answer *answer, struct request *request, int64_t *changed)
{
	const struct spec_pool *pool = answer->served->spec;
	enum backend_type backend = pool->catalog->backend.type;
	struct version *version = answer->served->version;
	struct error ignored;
	int64_t newest;

	request->inlined_schema = -1;
	if (request->op != REQUEST_QUERY || (backend != BACKEND_SQLITE && backend != BACKEND_POSTGRES) ||
	    version_now(version, &newest, &ignored))
		return;
	request->inlined_schema = version_inlined(version);
	if (request->snapshot < 0)
		request->snapshot = newest;
	if (request->snapshot != newest)
		return;
	for (int i = 0; i < pool->hot_table_count; i++)
		if (version_of_name(version, pool->hot_tables[i], newest, &changed[i]) < 0)
			return;
	request->hot_changed = changed;
	request->hot_changed_count = pool->hot_table_count;
}

/* ---- frames */

/* A list as JSON, owned by the caller; NULL: it is none. */
static char *list_of(yyjson_val *list)
{
	return yyjson_is_arr(list) ? yyjson_val_write(list, 0, NULL) : NULL;
}

static int take_start(struct answer *answer, const struct buffer *payload)
{
	yyjson_doc *document = yyjson_read(payload->data, payload->size, 0);
	yyjson_val *root = yyjson_doc_get_root(document);
	const char *type = yyjson_get_str(yyjson_obj_get(root, "content_type"));

	answer->facts.snapshot = yyjson_get_sint(yyjson_obj_get(root, "snapshot"));
	answer->content_type = type ? strdup(type) : NULL;
	answer->facts.content_type = answer->content_type;
	answer->facts.columns = answer->columns = list_of(yyjson_obj_get(root, "columns"));
	answer->facts.tables = answer->tables = list_of(yyjson_obj_get(root, "tables"));
	answer->facts.started_us = clock_monotonic_us() - answer->began_us;
	yyjson_doc_free(document);
	return answer->content_type ? 0 : -1;
}

/* 0: all went well; -1: *refusal is the worker's. */
static int take_end(struct answer *answer, const struct buffer *payload, struct service_refusal *refusal)
{
	yyjson_doc *document = yyjson_read(payload->data ? payload->data : "", payload->size, 0);
	yyjson_val *root = yyjson_doc_get_root(document);
	yyjson_val *error = yyjson_obj_get(root, "error");
	const char *message = yyjson_get_str(yyjson_obj_get(root, "message"));
	bool failed = error || !yyjson_is_obj(root);

	answer->facts.rows = yyjson_get_sint(yyjson_obj_get(root, "rows"));
	answer->facts.more = yyjson_get_bool(yyjson_obj_get(root, "more"));
	answer->facts.next = answer->next = list_of(yyjson_obj_get(root, "next"));
	if (failed)
		refuse_as(refusal, refusal_find(yyjson_get_str(error)), message ? message : "The query failed.");
	if (failed) {
		refusal->about_names = yyjson_get_bool(yyjson_obj_get(root, "names"));
		refusal->about_page = yyjson_get_bool(yyjson_obj_get(root, "page"));
	}
	yyjson_doc_free(document);
	return failed ? -1 : 0;
}

/* What ends an answer before its END. */
static int take_loss(enum lease_event event, const struct error *err, struct service_refusal *refusal)
{
	if (event == LEASE_CLIENT_GONE)
		refuse_as(refusal, REFUSAL_CANCELLED, "The client went away.");
	else if (event == LEASE_LATE)
		refuse_as(refusal, REFUSAL_TIME, "The query takes longer than it may.");
	else
		refuse_as(refusal, REFUSAL_LOST, "The worker ended before it had answered.");
	if (event == LEASE_LOST)
		log_event(EVENT_LAKE, NO_FIELDS, "a worker was lost: %s", err->message);
	return -1;
}

int answer_next(struct answer *answer, struct buffer *block, struct service_refusal *ret_refusal)
{
	struct error err = {0};
	enum lease_event event;
	int result;

	ret_refusal->query = answer->facts.query;
	if (answer->over)
		return 0;
	event = lease_next(answer->lease, block, &err);
	if (event == LEASE_DATA) {
		answer->facts.bytes += (int64_t)block->size;
		return 1;
	}
	answer->over = true;
	answer->facts.took_us = clock_monotonic_us() - answer->began_us;
	result = event == LEASE_END ? take_end(answer, block, ret_refusal) : take_loss(event, &err, ret_refusal);
	buffer_clear(block);
	answer->outcome = result ? ret_refusal->name : "ok";
	return result;
}

bool answer_ready(struct answer *answer, int wait_ms)
{
	return answer->over || lease_ready(answer->lease, wait_ms);
}

/* 1: the worker was lost, and nothing of an answer was said. */
static int await_start(struct answer *answer, struct service_refusal *refusal)
{
	OWNED_BUFFER struct buffer payload = {0};
	struct error err = {0};
	enum lease_event event;

	buffer_init(&payload, FRAME_BYTES_MAX);
	event = lease_next(answer->lease, &payload, &err);
	if (event == LEASE_START && !take_start(answer, &payload))
		return 0;
	answer->over = true;
	if (event == LEASE_START || event == LEASE_DATA)
		refuse_as(refusal, REFUSAL_INTERNAL, "The worker's answer cannot be understood.");
	else if (event != LEASE_END)
		take_loss(event, &err, refusal);
	else if (!take_end(answer, &payload, refusal))
		refuse_as(refusal, REFUSAL_INTERNAL, "The worker's answer has no beginning.");
	return event == LEASE_LOST ? 1 : -1;
}

/* ---- one worker, and another one where it is lost */

static int take_lease(struct answer *answer, const struct pool_ask *ask, struct service_refusal *refusal)
{
	const struct served *served = answer->served;
	int64_t asked_us = clock_monotonic_us();
	struct error err = {0};
	int retry_after_s = 0;
	enum pool_answer given = pool_acquire(served->pool, ask, &answer->lease, &retry_after_s, &err);

	answer->handed_us = clock_monotonic_us();
	answer->facts.waited_us += answer->handed_us - asked_us;
	metric_observe(served->metrics, HISTOGRAM_POOL_QUEUED, answer->handed_us - asked_us);
	if (given != POOL_GIVEN) {
		if (given == POOL_FAILED)
			log_event(EVENT_LAKE, FIELDS(LOG_TEXT("pool", served->spec->name)), "no worker can be had: %s",
			          err.message);
		refuse_lease(given, retry_after_s, refusal);
		return -1;
	}
	metric_observe(served->metrics, HISTOGRAM_POOL_WAIT, answer->handed_us - asked_us);
	answer->facts.worker = lease_facts(answer->lease).worker;
	answer->facts.one_shot = lease_facts(answer->lease).one_shot;
	return 0;
}

/* Workers of a lake that was here before know nothing of this one. Returns the lineage that leases from here on see. */
static int64_t follow_lake(struct served *served)
{
	int64_t now = version_lineage(served->version), was = served->lineage;

	if (was >= now)
		return was;
	log_event(EVENT_ANOTHER_LAKE, FIELDS(LOG_TEXT("catalog", served->catalog->name)),
	          "catalog %s holds another lake than before: its workers are replaced", served->catalog->name);
	/* Before others believe that it was done; that two do it does no harm. */
	pool_renew(served->pool);
	while (was < now && !atomic_compare_exchange_weak(&served->lineage, &was, now))
		;
	return now;
}

/* Up to START; 1: the worker was lost before. */
static int ask_one(struct answer *answer, const struct pool_ask *ask, const struct request *request,
                   struct service_refusal *refusal)
{
	OWNED_FREE int64_t *changed = calloc((size_t)answer->served->spec->hot_table_count + 1, sizeof *changed);
	struct request sent = *request; /* its texts are the request's */
	struct error err = {0};
	int64_t lineage = follow_lake(answer->served);

	if (!changed) {
		refuse_as(refusal, REFUSAL_INTERNAL, "The server has no memory left.");
		return -1;
	}
	if (take_lease(answer, ask, refusal))
		return -1;
	tell_lake(answer, &sent, changed);
	if (follow_lake(answer->served) != lineage) {
		refuse_as(refusal, REFUSAL_LATER, "The lake is another one since a moment ago.");
		return 1;
	}
	if (lease_send(answer->lease, &sent, &err) == 0)
		return await_start(answer, refusal);
	if (err.kind == ERROR_INVALID) {
		refuse(refusal, PROBLEM_BODY_SIZE, 0, "The statement and its parameters are too large.");
		return -1;
	}
	refuse_as(refusal, REFUSAL_LOST, "The worker ended before it had the query.");
	return 1;
}

/* Nothing of the answer was said, and a SELECT changes nothing: another worker may be asked, once, in the time that is
 * left. A one-shot worker that ends says that none can be had. */
static int ask_workers(struct answer *answer, const struct service_ask *ask, struct request *request,
                       struct service_refusal *refusal)
{
	struct pool_ask pool_ask = {.holder = ask->token ? token_spec(ask->token)->name : "",
	                            .max_ms = most_ms(answer->served, request),
	                            .client_fd = ask->client_fd};
	int got = ask_one(answer, &pool_ask, request, refusal);

	if (got <= 0)
		return got;
	pool_ask.max_ms -= (clock_monotonic_us() - answer->handed_us) / 1000;
	if (pool_ask.max_ms <= 0 || answer->facts.one_shot)
		return -1;
	request->max_ms = pool_ask.max_ms;
	lease_release(TAKE(answer->lease));
	answer->over = false;
	metric_add(answer->served->metrics, METRIC_POOL_RETRIES, 1);
	return ask_one(answer, &pool_ask, request, refusal);
}

/* ---- its life */

static void begin_audit(struct answer *answer, const struct service_ask *ask)
{
	struct audit_start start = {.token = ask->token ? token_spec(ask->token)->name : NULL,
	                            .route = ask->route,
	                            .catalog = ask->catalog->name,
	                            .sql = ask->request->sql,
	                            .client = ask->client};

	answer->facts.query = audit_begin(answer->service->audit, &start);
}

static bool refuse_catalog(struct service *service, const struct service_ask *ask, struct service_refusal *refusal)
{
	const struct served *served = service_served(service, ask->catalog);

	if (ask->token && !token_may_catalog(ask->token, ask->catalog->name))
		refuse(refusal, PROBLEM_CATALOG, 0, "The token does not allow the catalog %s.", ask->catalog->name);
	else if (!served->pool)
		refuse(refusal, PROBLEM_NOT_SERVED, SERVICE_NOT_SERVED_RETRY_S, "The catalog %s is not served: %s.",
		       ask->catalog->name, served->why_not);
	else
		return false;
	return true;
}

/* An endpoint's SQL reads what the manifest says, within the bounds of the token. */
static int narrow(const struct service_ask *ask, struct rights *ret_rights)
{
	struct spec_token token;

	if (!ask->token)
		return rights_narrow(ask->request, NULL, ret_rights);
	token = *token_spec(ask->token);
	if (ask->own_rights)
		token.table_count = 0;
	return rights_narrow(ask->request, &token, ret_rights);
}

struct answer *service_run(struct service *service, const struct service_ask *ask, struct service_refusal *ret_refusal)
{
	struct answer *answer;
	struct rights rights;
	int failed;

	*ret_refusal = (struct service_refusal){.kind = REFUSAL_NONE};
	if (refuse_catalog(service, ask, ret_refusal))
		return NULL;
	answer = calloc(1, sizeof *answer);
	if (!answer || narrow(ask, &rights)) {
		free(answer);
		refuse_as(ret_refusal, REFUSAL_INTERNAL, "The server has no memory left.");
		return NULL;
	}
	answer->service = service;
	answer->served = service_served(service, ask->catalog);
	answer->facts.snapshot = -1;
	answer->outcome = "cancelled";
	answer->began_us = clock_monotonic_us();
	begin_audit(answer, ask);
	ret_refusal->query = answer->facts.query;
	failed = ask_workers(answer, ask, &rights.request, ret_refusal);
	rights_release(&rights);
	if (!failed)
		return answer;
	answer->outcome = ret_refusal->name;
	answer_close(answer);
	return NULL;
}

struct answer_facts answer_facts(const struct answer *answer)
{
	struct answer_facts facts = answer->facts;

	if (!answer->over)
		facts.took_us = clock_monotonic_us() - answer->began_us;
	return facts;
}

static void count(const struct answer *answer)
{
	const struct spec_pool *pool = answer->served->spec;

	metric_add(metrics_find(SCOPE_OUTCOME, pool->name, pool->namespace, answer->outcome), METRIC_QUERY_OUTCOMES, 1);
	if (!strcmp(answer->outcome, refusal_name(REFUSAL_TIME)))
		metric_add(answer->served->metrics, METRIC_POOL_TIMEOUTS, 1);
	metric_add(answer->served->metrics, METRIC_QUERY_ROWS, answer->facts.rows);
	metric_add(answer->served->metrics, METRIC_QUERY_BYTES, answer->facts.bytes);
	if (answer->lease)
		metric_observe(answer->served->metrics, HISTOGRAM_POOL_QUERY, clock_monotonic_us() - answer->handed_us);
}

void answer_close(struct answer *answer)
{
	struct answer_facts facts;
	struct audit_end end;

	if (!answer)
		return;
	facts = answer_facts(answer);
	end = (struct audit_end){.outcome = answer->outcome,
	                         .snapshot = facts.snapshot,
	                         .rows = facts.rows,
	                         .bytes = facts.bytes,
	                         .ms = (clock_monotonic_us() - answer->began_us) / 1000,
	                         .queue_ms = facts.waited_us / 1000,
	                         .worker = facts.worker};
	count(answer);
	/* The worker is the next one's before anybody waits for a disk. */
	if (answer->lease)
		lease_release(answer->lease);
	audit_finish(answer->service->audit, facts.query, &end);
	free(answer->content_type);
	free(answer->columns);
	free(answer->tables);
	free(answer->next);
	free(answer);
}

int answer_collect(struct answer *answer, struct buffer *out, size_t max_bytes, struct answer_facts *ret_facts,
                   struct service_refusal *ret_refusal)
{
	OWNED_BUFFER struct buffer block = {0};
	int more;

	buffer_init(&block, FRAME_BYTES_MAX);
	while ((more = answer_next(answer, &block, ret_refusal)) > 0) {
		if (out->size + block.size > max_bytes) {
			refuse_as(ret_refusal, REFUSAL_ROWS, "The answer is larger than is kept in memory.");
			answer->outcome = ret_refusal->name;
			more = -1;
			break;
		}
		buffer_append(out, block.data, block.size);
	}
	if (more == 0 && !buffer_ok(out)) {
		refuse_as(ret_refusal, REFUSAL_INTERNAL, "The server has no memory left.");
		more = -1;
	}
	*ret_facts = answer_facts(answer);
	ret_facts->content_type = ret_facts->columns = ret_facts->tables = ret_facts->next = NULL;
	answer_close(answer);
	return more;
}
