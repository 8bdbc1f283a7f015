#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "lake/failure.h"
#include "lake/query.h"
#include "pool/hot.h"
#include "pool/worker_private.h"
#include "query/pin.h"
#include "query/tree.h"
#include "query/write.h"

#define SOON_MS 40 /* rows that came are sent then, though a frame is not full */

struct sending {
	struct worker *worker;
	const struct request *request;
	const struct query *query;
	const struct statement *statement; /* NULL: without the guard */
	int64_t snapshot;
	struct buffer block; /* rows that are not sent yet */
	int64_t since_ms; /* when the first of them came */
	bool started; /* START was sent */
	bool lost; /* the server is gone */
	bool wrong_parameters, wrong_page;
	char *next; /* JSON; of a page: the last row's key */
};

/* ---- which snapshot */

int worker_newest(struct worker *worker, int64_t *ret_snapshot, struct error *err)
{
	return lake_snapshot(worker->parser, ret_snapshot, err);
}

static bool knows_schemas(const struct worker *worker, const struct request *request, int64_t snapshot)
{
	if (request && request->inlined_schema >= 0)
		return request->inlined_schema <= worker->schemas.inlined;
	return snapshot <= worker->schemas.snapshot;
}

int worker_learn(struct worker *worker, const struct request *request, int64_t snapshot, struct error *err)
{
	if (!lake_has_snapshots(worker->lake) || knows_schemas(worker, request, snapshot))
		return 0;
	return schemas_know(worker->connection, &worker->schemas, err);
}

int worker_follow(struct worker *worker, const struct request *request, int64_t snapshot, struct error *err)
{
	if (worker_learn(worker, request, snapshot, err))
		return -1;
	if (request && request->hot_changed_count &&
	    hot_tell(worker->hot, snapshot, request->hot_changed, request->hot_changed_count))
		return 0;
	return hot_follow(worker->hot, worker->session, snapshot, err);
}

static int choose_snapshot(struct worker *worker, const struct request *request, int64_t *ret_snapshot,
                           struct error *err)
{
	if (!lake_has_snapshots(worker->lake)) {
		*ret_snapshot = 0;
		if (request->snapshot <= 0)
			return 0;
		return error_set(err, ERROR_INVALID, 0, "No snapshot found: this lake keeps none");
	}
	if (request->snapshot >= 0) {
		*ret_snapshot = request->snapshot;
		return 0;
	}
	return worker_newest(worker, ret_snapshot, err);
}

/* ---- the statement */

static bool in_memory(void *context, const char *schema, const char *table)
{
	const struct sending *sending = context;

	return hot_is_true(sending->worker->hot, schema, table, sending->snapshot);
}

static bool is_copy(const struct node *place)
{
	return node_is(place, "catalog_name", HOT_CATALOG);
}

/* Are the copies that the statement reads still what the lake would give? */
static bool is_true_still(struct sending *sending, const struct statement *statement)
{
	for (int i = 0; i < statement->found.place_count; i++) {
		const struct node *place = statement->found.places[i];

		if (!in_memory(sending, node_text(place, "schema_name"), node_text(place, "table_name")))
			return false;
	}
	return true;
}

static bool is_pinned(struct sending *sending, const struct statement *statement)
{
	if (statement->pinned_hot != hot_generation(sending->worker->hot))
		return false;
	return statement->pinned_at == sending->snapshot || (statement->light && is_true_still(sending, statement));
}

static int pin(struct sending *sending, struct statement *statement, struct error *err)
{
	struct worker *worker = sending->worker;
	struct pin how = {sending->snapshot, HOT_CATALOG, in_memory, sending};

	if (!lake_has_snapshots(worker->lake))
		how = (struct pin){.snapshot = -1};
	if (is_pinned(sending, statement))
		return 0;
	buffer_clear(&statement->pinned);
	statement->pinned_at = -2;
	statement->light = false;
	if (pin_sql(&statement->found, sending->request->sql, lake_connection(worker->parser), &how, &statement->pinned,
	            err))
		return -1;
	statement->pinned_at = sending->snapshot;
	statement->pinned_hot = hot_generation(worker->hot);
	statement->light = lake_has_snapshots(worker->lake) && !statement->found.travels;
	for (int i = 0; i < statement->found.place_count; i++)
		statement->light &= is_copy(statement->found.places[i]);
	return 0;
}

static enum refusal refuse_verdict(const struct worker *worker, const struct statement *statement, struct error *err)
{
	*err = statement->refusal;
	if (statement->verdict == GUARD_FAILED || strstr(err->message, "Allocation failure"))
		return worker_refusal(worker, STOP_NONE, err);
	switch (statement->verdict) {
	case GUARD_SYNTAX: return REFUSAL_SYNTAX;
	case GUARD_FORBIDDEN: return REFUSAL_FORBIDDEN;
	default: return REFUSAL_INTERNAL;
	}
}

/* ---- rows */

static int put_start(struct sending *sending, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};
	const struct query_column *columns = query_columns(sending->query);
	const char *type = write_content_type(sending->request->format);

	buffer_init(&json, FRAME_BYTES_MAX);
	buffer_printf(&json, "{\"snapshot\":%lld,\"content_type\":", (long long)sending->snapshot);
	buffer_json_text(&json, type, strlen(type));
	buffer_text(&json, ",\"columns\":[");
	for (int i = 0; i < query_column_count(sending->query); i++) {
		buffer_text(&json, i ? ",{\"name\":" : "{\"name\":");
		buffer_json_text(&json, columns[i].name, strlen(columns[i].name));
		buffer_text(&json, ",\"type\":");
		buffer_json_text(&json, columns[i].type_name, strlen(columns[i].type_name));
		buffer_char(&json, '}');
	}
	buffer_text(&json, "],\"tables\":[");
	for (int i = 0; sending->statement && i < sending->statement->found.table_count; i++) {
		const char *table = sending->statement->found.tables[i];

		buffer_text(&json, i ? "," : "");
		buffer_json_text(&json, table, strlen(table));
	}
	buffer_text(&json, "]}");
	if (!buffer_ok(&json))
		return error_no_memory(err);
	sending->started = true;
	sending->lost = frame_write(sending->worker->options->fd, FRAME_START, json.data, json.size, err) != 0;
	return sending->lost ? -1 : 0;
}

static int send_block(struct sending *sending, struct error *err)
{
	if (!sending->started && put_start(sending, err))
		return -1;
	for (size_t at = 0; at < sending->block.size; at += FRAME_DATA_BYTES) {
		size_t left = sending->block.size - at, size = left < FRAME_DATA_BYTES ? left : FRAME_DATA_BYTES;

		sending->lost =
		        frame_write(sending->worker->options->fd, FRAME_DATA, sending->block.data + at, size, err) != 0;
		if (sending->lost)
			return -1;
	}
	buffer_clear(&sending->block);
	return 0;
}

static int put(void *context, const void *bytes, size_t size, struct error *err)
{
	struct sending *sending = context;

	if (!sending->block.size)
		sending->since_ms = clock_monotonic_ms();
	buffer_append(&sending->block, bytes, size);
	if (!buffer_ok(&sending->block))
		return error_no_memory(err);
	if (sending->block.size < FRAME_DATA_BYTES && clock_monotonic_ms() - sending->since_ms < SOON_MS)
		return 0;
	return send_block(sending, err);
}

/* ---- running */

/* What reads memory alone is kept open: to plan it takes as long as to run it. What reads the lake is planned anew at
 * each execution (DuckLake); a plan may hold what now() was, or a model. */
static bool is_kept(const struct sending *sending)
{
	return sending->statement && sending->statement->light && !sending->statement->differs;
}

static struct query *open_query(struct sending *sending, const struct request *request, const char *sql,
                                struct error *err)
{
	struct worker *worker = sending->worker;
	struct query *query =
	        is_kept(sending) ? prepared_take(&worker->prepared, hot_generation(worker->hot), sql) : NULL;

	if (!query)
		query = query_open(worker->connection, sql, err);
	if (!query || worker_bind(query, request, err) == 0)
		return query;
	sending->wrong_parameters = true;
	query_close(query);
	return NULL;
}

static void close_query(struct sending *sending, struct query *query, bool failed)
{
	if (!failed && is_kept(sending))
		prepared_give(&sending->worker->prepared, query);
	else
		query_close(query);
}

/* page: NULL for all rows. */
static int run(struct sending *sending, struct query *query, struct worker_page *page, struct write_result *result,
               struct error *err)
{
	const struct request *request = sending->request;
	struct write_options options = {
	        .format = request->format,
	        .max_rows = request->max_rows,
	        .first_rows = request->first_rows,
	        .null_as = request->null_as,
	        .null_as_count = request->null_as_count,
	        .object = request->object,
	        .row = page && request->page_key_count ? worker_page_row : NULL,
	        .row_context = page,
	};
	struct write_sink sink = {sending, put};

	sending->query = query;
	if (page)
		page->query = query;
	if (write_rows(query, &options, &sink, result, err))
		return -1;
	if (request->object && !result->rows)
		return 0;
	return send_block(sending, err);
}

static int run_all(struct sending *sending, const char *sql, struct write_result *result, struct error *err)
{
	struct query *query = open_query(sending, sending->request, sql, err);
	int failed = query ? run(sending, query, NULL, result, err) : -1;

	close_query(sending, query, failed);
	return failed;
}

static int run_page(struct sending *sending, const char *sql, struct write_result *result, struct error *err)
{
	struct worker_page page;
	struct query *query = NULL;
	int failed = worker_page_begin(&page, sending->request, sql, err);

	if (!failed) {
		query = open_query(sending, &page.bound, buffer_string(&page.sql), err);
		failed = query ? run(sending, query, &page, result, err) : -1;
	}
	if (!failed && page_next(&page.page)) {
		sending->next = strdup(page_next(&page.page));
		failed = sending->next ? 0 : error_no_memory(err);
	}
	sending->wrong_page = page.wrong;
	close_query(sending, query, failed);
	worker_page_end(&page);
	return failed;
}

static void refuse(struct answer_end *end, enum refusal refusal, const char *message)
{
	end->refusal = refusal;
	error_set(&end->err, ERROR_INVALID, 0, "%s", message);
}

/* Of the statement's own words and the columns there are: no value of a table stands in such a message. */
static bool is_about_names(const struct error *err)
{
	enum query_failure failure = query_failure_of(err);

	return failure == FAILURE_SYNTAX || failure == FAILURE_NAMES;
}

/* What became of it. */
static void tell(struct sending *sending, int failed, enum stop stop, const struct write_result *result,
                 struct answer_end *end)
{
	end->rows = result->rows;
	end->more = result->more;
	end->next = TAKE(sending->next);
	end->lost = sending->lost;
	if (result->too_many)
		refuse(end, REFUSAL_ROWS,
		       "the answer has more rows than are allowed: a LIMIT, or a sum, would be right");
	else if (sending->wrong_parameters)
		end->refusal = REFUSAL_PARAMETERS;
	else if (sending->wrong_page && stop == STOP_NONE) {
		end->refusal = REFUSAL_INVALID;
		end->about_page = true;
	} else if (failed && !sending->lost) {
		end->about_names = is_about_names(&end->err);
		end->refusal = worker_refusal(sending->worker, stop, &end->err);
	} else if (sending->request->object && !result->rows)
		refuse(end, REFUSAL_NOT_FOUND, "there is no such row");
}

/* The guard, too, takes time and memory. Without one any statement is as good as another. */
static int check(struct sending *sending, struct statement **ret_statement, struct answer_end *end)
{
	struct worker *worker = sending->worker;
	struct statement *statement;

	*ret_statement = NULL;
	if (worker->options->without_guard)
		return 0;
	statement = statements_get(worker->statements, lake_connection(worker->parser), sending->request, &end->err);
	if (!statement) {
		end->refusal = REFUSAL_INTERNAL;
		return -1;
	}
	if (statement->verdict != GUARD_PASSES) {
		end->refusal = refuse_verdict(worker, statement, &end->err);
		return -1;
	}
	*ret_statement = statement;
	sending->statement = statement;
	return 0;
}

static int run_checked(struct sending *sending, struct statement *statement, struct write_result *result,
                       struct error *err)
{
	struct worker *worker = sending->worker;
	const char *sql;

	if (choose_snapshot(worker, sending->request, &sending->snapshot, err) ||
	    worker_follow(worker, sending->request, sending->snapshot, err))
		return -1;
	if (statement && pin(sending, statement, err))
		return -1;
	sql = statement ? buffer_string(&statement->pinned) : sending->request->sql;
	return sending->request->page_rows > 0 ? run_page(sending, sql, result, err)
	                                       : run_all(sending, sql, result, err);
}

void worker_query(struct worker *worker, const struct request *request, struct answer_end *end)
{
	struct sending sending = {.worker = worker, .request = request};
	struct write_result result = {0};
	struct statement *statement;
	enum stop stop;
	int failed;

	buffer_init(&sending.block, FRAME_BYTES_MAX * 4);
	watch_begin(&worker->watch, request->max_ms, request->memory_bytes);
	failed = check(&sending, &statement, end) || run_checked(&sending, statement, &result, &end->err);
	stop = watch_end(&worker->watch);
	if (!end->refusal)
		tell(&sending, failed, stop, &result, end);
	else if (stop)
		end->refusal = worker_refusal(worker, stop, &end->err);
	buffer_release(&sending.block);
	free(sending.next);
}
