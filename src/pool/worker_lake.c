/* worker_lake.c - the answers about the lake itself: REQUEST_DESCRIBE and REQUEST_OVERVIEW, each of one snapshot. */
#include <string.h>

#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "pool/describe.h"
#include "pool/overview.h"
#include "pool/worker_private.h"

#define LAKE_BYTES_MAX (FRAME_BYTES_MAX * 2)

static int send_whole(struct worker *worker, const struct buffer *json, int64_t snapshot, struct answer_end *end)
{
	OWNED_BUFFER struct buffer start = {0};
	int fd = worker->options->fd;
	int failed;

	buffer_init(&start, 4096);
	buffer_printf(&start, "{\"snapshot\":%lld,\"content_type\":\"application/json\",\"columns\":[],\"tables\":[]}",
	              (long long)snapshot);
	failed = frame_write(fd, FRAME_START, start.data, start.size, &end->err);
	for (size_t at = 0; !failed && at < json->size; at += FRAME_DATA_BYTES) {
		size_t left = json->size - at;

		failed = frame_write(fd, FRAME_DATA, json->data + at, left < FRAME_DATA_BYTES ? left : FRAME_DATA_BYTES,
		                     &end->err);
	}
	end->lost = failed;
	return failed;
}

static int describe(struct worker *worker, const struct request *request, struct buffer *json, int64_t *ret_snapshot,
                    struct error *err)
{
	struct guard_rights rights = {(const char *const *)request->tables, request->table_count};

	if (lake_snapshot(worker->session, ret_snapshot, err) || worker_learn(worker, NULL, *ret_snapshot, err))
		return -1;
	return describe_tables(worker->connection, &rights, &worker->watch.ended, json, err);
}

static int overview(struct worker *worker, const struct request *request, struct buffer *json, int64_t *ret_snapshot,
                    struct error *err)
{
	struct guard_rights rights = {(const char *const *)request->tables, request->table_count};

	if (lake_snapshot(worker->session, ret_snapshot, err) || worker_learn(worker, NULL, *ret_snapshot, err))
		return -1;
	return overview_write(worker->connection, worker->options->manifest, worker->catalog, &rights, json,
	                      ret_snapshot, err);
}

/* Behind watch_end: an interrupt would fail it, and every later query of the connection with it. Also where BEGIN
 * failed, for it may have begun before. */
static void end_transaction(struct worker *worker)
{
	struct error err = {0};

	if (!duck_exec(worker->connection, "ROLLBACK", NULL, &err) || strstr(err.message, "no transaction is active"))
		return;
	log_event(EVENT_WORKER, NO_FIELDS, "a transaction cannot be ended, the worker is replaced: %s", err.message);
	worker->broken = true;
}

/* In a transaction, so that all parts of it are of one snapshot. */
static void answer(struct worker *worker, const struct request *request, struct answer_end *end,
                   int (*write)(struct worker *, const struct request *, struct buffer *, int64_t *, struct error *))
{
	OWNED_BUFFER struct buffer json = {0};
	int64_t snapshot = -1;
	enum stop stop;
	int failed;

	buffer_init(&json, LAKE_BYTES_MAX);
	watch_begin(&worker->watch, request->max_ms, request->memory_bytes);
	failed = duck_exec(worker->connection, "BEGIN TRANSACTION READ ONLY", NULL, &end->err) ||
	         write(worker, request, &json, &snapshot, &end->err);
	stop = watch_end(&worker->watch);
	end_transaction(worker);
	if (!failed && !buffer_ok(&json))
		failed = error_set(&end->err, ERROR_FATAL, 0, "the lake has too many tables to be told of");
	if (failed)
		end->refusal = worker_refusal(worker, stop, &end->err);
	else
		send_whole(worker, &json, snapshot, end);
}

void worker_describe(struct worker *worker, const struct request *request, struct answer_end *end)
{
	answer(worker, request, end, describe);
}

void worker_overview(struct worker *worker, const struct request *request, struct answer_end *end)
{
	answer(worker, request, end, overview);
}
