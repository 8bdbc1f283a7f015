#include "pool/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "pool/hot.h"
#include "pool/worker_places.h"
#include "pool/worker_private.h"
#include "score/functions.h"
#include "score/models.h"

#define STALE_MS 300 /* a hot table may wait for idle time so long */
#define IDLE_MS 250 /* then hot tables are looked after */
/* What a worker is without DuckDB's memory: the program, its libraries' data, stacks. */
#define OWN_BYTES ((int64_t)64 << 20)
#define DUCK_BYTES_MIN ((int64_t)48 << 20)
#define WARM_SQL "SELECT count(*) FROM (SELECT unnest(range(100)) AS n) WHERE n % 2 = 0"

/* ---- getting warm */

static int64_t memory_of_duck(const struct spec_pool *pool)
{
	int64_t share = pool->memory_bytes - OWN_BYTES;

	if (share > pool->memory_bytes * 4 / 5)
		share = pool->memory_bytes * 4 / 5;
	return share > DUCK_BYTES_MIN ? share : DUCK_BYTES_MIN;
}

static int threads_of(const struct spec_pool *pool)
{
	int64_t threads = (pool->cpu_millis + 999) / 1000, cores = sysconf(_SC_NPROCESSORS_ONLN);

	threads = threads < cores ? threads : cores;
	return threads < 1 ? 1 : (int)threads;
}

/* DuckDB's words for it say who holds the file, and not what to do. */
static int tell_lock(const struct spec_catalog *catalog, struct error *err)
{
	if (!strstr(err->message, "Could not set lock on file"))
		return -1;
	return error_set(err, ERROR_TRANSIENT, 0,
	                 "catalog %s: another process writes it, and a lake with backend %s is read only while nobody "
	                 "writes: `tarn serve` beside `tarn run` needs backend sqlite or postgres",
	                 catalog->name, backend_name(catalog->backend.type));
}

static int open_lake(struct worker *worker, struct error *err)
{
	struct lake_options options = {.confined = true, .memory_bytes = memory_of_duck(worker->options->pool)};
	int held; /* until the process ends */

	if (lake_hold_files(worker->catalog, &held, err))
		return -1;
	worker->lake = lake_open(worker->catalog, &options, err);
	if (!worker->lake)
		return tell_lock(worker->catalog, err);
	worker->session = lake_session_new(worker->lake, err);
	worker->parser = worker->session ? lake_session_new(worker->lake, err) : NULL;
	if (!worker->parser)
		return -1;
	worker->connection = lake_connection(worker->session);
	/* Functions are found before the lake is asked for them, which reads its catalog for each statement (2 ms). */
	return duck_exec(worker->connection, "SET search_path = 'system.main,lake.main'", NULL, err);
}

/* A lake is read once, so that what it takes the first time is behind it. */
static int warm_up(struct worker *worker, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	int64_t newest;

	worker->models = score_models_of(worker->options->manifest, worker->catalog, err);
	if (!worker->models || score_register(worker->models, worker->session, err))
		return -1;
	worker->statements = statements_new();
	worker->hot = hot_new(worker->options->pool, worker->session, err);
	if (!worker->hot || !worker->statements)
		return worker->statements ? -1 : error_no_memory(err);
	return worker_newest(worker, &newest, err) || worker_follow(worker, NULL, newest, err) ||
	       hot_renew(worker->hot, worker->session, newest, err) ||
	       duck_query(worker->connection, WARM_SQL, &rows, err);
}

/* Secrets came by it; what of them is needed DuckDB has. */
static void wipe_environment(void)
{
	extern char **environ;

	for (char **variable = environ; *variable; variable++)
		explicit_bzero(*variable, strlen(*variable));
	*environ = NULL;
}

static int close_in(struct worker *worker, struct error *err)
{
	struct worker_places places;

	worker->watch.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (worker_places(worker->options->manifest, worker->catalog, worker->options->pool, &places, err))
		return -1;
	worker->mapped_bytes = watch_mapped(&worker->watch);
	if (!worker->options->without_sandbox && sandbox_enter(&places.sandbox, err))
		return -1;
	wipe_environment();
	worker->watch.connection = worker->connection;
	worker->watch.parser = lake_connection(worker->parser);
	return lake_confine(worker->session, threads_of(worker->options->pool), err) ||
	       watch_start(&worker->watch, worker->options->fd, err);
}

/* ---- answering */

static int send_end(struct worker *worker, const struct answer_end *end, int64_t ms, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};

	buffer_init(&json, 65536);
	buffer_printf(&json, "{\"rows\":%lld,\"ms\":%lld,\"memory\":%lld", (long long)end->rows, (long long)ms,
	              (long long)watch_memory(&worker->watch));
	if (end->more)
		buffer_text(&json, ",\"more\":true");
	if (end->refusal) {
		buffer_text(&json, ",\"error\":");
		buffer_json_text(&json, refusal_name(end->refusal), strlen(refusal_name(end->refusal)));
		buffer_text(&json, ",\"message\":");
		buffer_json_text(&json, end->err.message, strlen(end->err.message));
		if (end->about_names)
			buffer_text(&json, ",\"names\":true");
		if (end->about_page)
			buffer_text(&json, ",\"page\":true");
	}
	if (end->next)
		buffer_printf(&json, ",\"next\":%s", end->next);
	buffer_char(&json, '}');
	return frame_write(worker->options->fd, worker->broken || worker->worn ? FRAME_LAST : FRAME_END, json.data,
	                   json.size, err);
}

/* What a query mapped stays mapped, and counts: the next one would be refused, or end the worker, for what this one
 * took. One that was stopped is trusted less. */
static bool is_worn(const struct worker *worker, bool refused)
{
	int64_t most = worker->options->pool->memory_bytes;

	return watch_mapped(&worker->watch) - worker->mapped_bytes > (refused ? most / 2 : most / 4 * 3);
}

static int answer(struct worker *worker, const struct request *request, struct error *err)
{
	struct answer_end end = {0};
	int64_t begun_ms = clock_monotonic_ms();
	int failed;

	switch (request->op) {
	case REQUEST_QUERY: worker_query(worker, request, &end); break;
	case REQUEST_DESCRIBE: worker_describe(worker, request, &end); break;
	case REQUEST_OVERVIEW: worker_overview(worker, request, &end); break;
	}
	if (end.lost) {
		free(end.next);
		return 0;
	}
	if (end.refusal == REFUSAL_INTERNAL || end.refusal == REFUSAL_LATER)
		worker->broken |= lake_is_broken(worker->lake);
	worker->worn = is_worn(worker, end.refusal != REFUSAL_NONE);
	failed = send_end(worker, &end, clock_monotonic_ms() - begun_ms, err);
	free(end.next);
	return failed;
}

static int take_request(struct worker *worker, const struct buffer *payload, struct error *err)
{
	struct answer_end end = {0};
	struct request request;
	int failed;

	/* The server's mistake: a worker that ended for it would take the next one, which is asked instead, with it. */
	if (request_read(payload->data, payload->size, &request, &end.err)) {
		end.refusal = worker_refusal(worker, STOP_NONE, &end.err);
		return send_end(worker, &end, 0, err);
	}
	failed = answer(worker, &request, err);
	request_release(&request);
	return failed;
}

/* In idle time hot tables follow the lake, so that nobody waits for that. */
static void idle(struct worker *worker)
{
	struct error err = {0};
	int64_t newest;
	int failed;

	if (!worker->options->pool->hot_table_count || !lake_has_snapshots(worker->lake))
		return;
	failed = worker_newest(worker, &newest, &err) || worker_follow(worker, NULL, newest, &err);
	if (!failed && hot_waits(worker->hot, 0)) {
		prepared_clear(&worker->prepared); /* they hold the old copies */
		failed = hot_renew(worker->hot, worker->session, newest, &err);
	}
	if (failed)
		log_event(EVENT_WORKER, NO_FIELDS, "hot tables cannot be renewed just now: %s", err.message);
}

/* 1: a frame; 0: the server closed. */
static int wait_for_frame(struct worker *worker, enum frame_type *ret_type, struct buffer *payload, struct error *err)
{
	struct pollfd fd = {worker->options->fd, POLLIN, 0};
	int wait_ms = worker->options->pool->hot_table_count ? IDLE_MS : -1;

	while (poll(&fd, 1, wait_ms) <= 0)
		idle(worker);
	return frame_read(worker->options->fd, ret_type, payload, err);
}

static int serve(struct worker *worker, struct error *err)
{
	OWNED_BUFFER struct buffer payload = {0};
	enum frame_type type;
	int got;

	buffer_init(&payload, FRAME_BYTES_MAX);
	while (!worker->broken && !worker->worn && (got = wait_for_frame(worker, &type, &payload, err)) == 1) {
		if (type == FRAME_CANCEL)
			continue; /* of a query that had just ended */
		if (type != FRAME_REQUEST)
			return error_set(err, ERROR_CORRUPT, 0, "a worker was sent a frame that is no request");
		if (take_request(worker, &payload, err))
			return -1;
		/* Under load there is no idle time: each some hundred ms somebody waits for a copy to be made. */
		if (hot_waits(worker->hot, STALE_MS))
			idle(worker);
		if (worker->options->one_shot)
			return 0;
	}
	if (worker->broken)
		return error_set(err, ERROR_FATAL, 0,
		                 "DuckDB met an internal error, or stays in a transaction: the worker ends");
	if (worker->worn)
		return error_set(err, ERROR_FATAL, 0,
		                 "a query took nearly all memory that the worker may map: it ends");
	return got;
}

static int say_ready(struct worker *worker, struct error *err)
{
	OWNED_BUFFER struct buffer json = {0};

	buffer_init(&json, 4096);
	buffer_printf(&json, "{\"pid\":%d,\"warm_ms\":%lld}", (int)getpid(),
	              (long long)(clock_monotonic_ms() - worker->begun_ms));
	return frame_write(worker->options->fd, FRAME_READY, json.data, json.size, err);
}

static int check_options(const struct worker_options *options, struct error *err)
{
	const char *unsafe = getenv("TARN_UNSAFE");

	if ((options->without_guard || options->without_sandbox) && (!unsafe || strcmp(unsafe, "1") != 0))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "a worker without its guard or its sandbox is for tests alone: they set TARN_UNSAFE=1");
	if (options->without_guard || options->without_sandbox)
		log_event(EVENT_WORKER, NO_FIELDS, "this worker runs without its %s: for tests alone",
		          options->without_guard ? "guard" : "sandbox");
	return 0;
}

int worker_run(const struct worker_options *options, struct error *err)
{
	struct worker worker = {
	        .options = options, .catalog = options->pool->catalog, .schemas = {-1, -1}, .watch.statm = -1};
	int failed;

	worker.begun_ms = clock_monotonic_ms();
	/* With its server it ends, whatever it does; one that is gone already has closed the socket. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (check_options(options, err))
		return -1;
	failed = open_lake(&worker, err) || warm_up(&worker, err) || close_in(&worker, err) ||
	         say_ready(&worker, err) || serve(&worker, err);
	/* Nothing is left to be put in order: it has only read. */
	return failed ? -1 : 0;
}
