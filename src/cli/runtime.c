#include "cli/runtime.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "cli/listening.h"
#include "layers/refresher.h"
#include "wire/source.h"

#define STOP_MS 5000 /* for answers that are under way */
#define PROGRESS_MS 250
#define BAR_WIDTH 24
#define ANEW_MS 1000 /* between tries to open a lake anew */
#define ANEW_PATIENCE_MS 60000 /* for errors that do not pass by themselves */

struct running {
	struct stream *stream; /* NULL: its lake is to be opened anew */
	bool ended;
};

struct runtime {
	struct manifest *manifest;
	struct lake **lakes; /* one a catalog; NULL where no stream uses it */
	struct running *streams;
	int stream_count;
	struct refresher **refreshers; /* one a pipeline; NULL: by hand alone, or its lake is to be opened anew */
	int64_t commits; /* of all streams, as last seen */
	struct embedded_broker *broker;
	struct serving *serving;
	pthread_mutex_t lock; /* of streams[].stream, which the HTTP answers look at; this thread alone changes it */
	bool stopping, finishing, mends;
	int64_t dropped_ms, anew_ms; /* a lake broke; the next try to open it */
	struct error trouble; /* of the last one */
	int64_t shown_ms, shown_rows, shown_bytes; /* of the progress line */
	double rows_per_s, bytes_per_s;
};

static bool is_embedded(const struct spec_stream *spec)
{
	return spec->kafka.brokers && !strcmp(spec->kafka.brokers, "embedded");
}

static int start_broker(struct runtime *runtime, struct error *err)
{
	for (int i = 0; i < runtime->manifest->stream_count; i++) {
		const struct spec_stream *spec = &runtime->manifest->streams[i];

		if (!is_embedded(spec))
			continue;
		if (!runtime->broker) {
			runtime->broker = embedded_broker_start(err);
			if (!runtime->broker)
				return -1;
			log_event(EVENT_EMBEDDED, FIELDS(LOG_TEXT("address", embedded_broker_address(runtime->broker))),
			          "embedded broker at %s (in memory, for trying things out)",
			          embedded_broker_address(runtime->broker));
		}
		if (embedded_broker_create_topic(runtime->broker, spec->kafka.topic, spec->kafka.partitions, err))
			return -1;
	}
	return 0;
}

/* Refreshed by `tarn transform` alone. */
static bool by_hand(const struct spec_pipeline *spec)
{
	return !spec->refresh.every_ms && !spec->refresh.schedule && spec->refresh.on == REFRESH_MANUAL;
}

/* DuckDB's bound: the shares of all streams and pipelines of this catalog. */
static int64_t duckdb_bytes(const struct runtime *runtime, const struct spec_catalog *catalog)
{
	int64_t bytes = 0;

	for (int i = 0; i < runtime->manifest->stream_count; i++)
		if (runtime->manifest->streams[i].catalog == catalog)
			bytes += stream_memory(&runtime->manifest->streams[i]).lake;
	for (int i = 0; i < runtime->manifest->pipeline_count; i++)
		if (runtime->manifest->pipelines[i].catalog == catalog && !by_hand(&runtime->manifest->pipelines[i]))
			bytes += runtime->manifest->pipelines[i].memory_bytes;
	return bytes;
}

static struct lake *lake_of(struct runtime *runtime, const struct spec_catalog *catalog, struct error *err)
{
	int index = (int)(catalog - runtime->manifest->catalogs);
	struct lake_options options = {.writer = true, .memory_bytes = duckdb_bytes(runtime, catalog)};

	if (!runtime->lakes[index])
		runtime->lakes[index] = lake_open(catalog, &options, err);
	return runtime->lakes[index];
}

static int start_stream(struct runtime *runtime, int index, struct error *err)
{
	const struct spec_stream *spec = &runtime->manifest->streams[index];
	struct stream_options options = {0};
	struct lake *lake = lake_of(runtime, spec->catalog, err);
	struct stream *stream;

	if (!lake)
		return -1;
	if (is_embedded(spec)) {
		options.brokers = embedded_broker_address(runtime->broker);
		options.embedded = true;
	}
	stream = stream_start(spec, lake, &options, err);
	if (!stream)
		return -1;
	if (runtime->finishing)
		stream_finish(stream, err);
	pthread_mutex_lock(&runtime->lock);
	runtime->streams[index].stream = stream;
	pthread_mutex_unlock(&runtime->lock);
	return 0;
}

static int start_streams(struct runtime *runtime, struct error *err)
{
	for (int i = 0; i < runtime->manifest->stream_count; i++) {
		if (start_stream(runtime, i, err))
			return -1;
		runtime->stream_count++;
	}
	return 0;
}

/* Those that are due to run and do not: at the start, and of a lake that was opened anew. */
static int start_pipelines(struct runtime *runtime, const struct spec_catalog *catalog, struct error *err)
{
	for (int i = 0; i < runtime->manifest->pipeline_count; i++) {
		const struct spec_pipeline *spec = &runtime->manifest->pipelines[i];
		struct lake *lake;
		struct refresher *refresher;

		if (runtime->refreshers[i] || by_hand(spec) || (catalog && spec->catalog != catalog))
			continue;
		lake = lake_of(runtime, spec->catalog, err);
		refresher = lake ? refresher_start(spec, runtime->manifest, lake, err) : NULL;
		if (!refresher)
			return error_wrap(err, "pipeline %s", spec->name);
		pthread_mutex_lock(&runtime->lock);
		runtime->refreshers[i] = refresher;
		pthread_mutex_unlock(&runtime->lock);
	}
	return 0;
}

static void end_pipeline(struct runtime *runtime, int index)
{
	struct refresher *refresher;

	pthread_mutex_lock(&runtime->lock);
	refresher = TAKE(runtime->refreshers[index]);
	pthread_mutex_unlock(&runtime->lock);
	refresher_free(refresher);
}

static void end_stream(struct runtime *runtime, int index)
{
	struct stream *stream;
	struct error ignored;

	pthread_mutex_lock(&runtime->lock);
	stream = TAKE(runtime->streams[index].stream);
	pthread_mutex_unlock(&runtime->lock);
	if (!stream)
		return;
	stream_halt(stream);
	while (stream_wait(stream, 1000, &ignored) == 0)
		;
	stream_free(stream);
}

/* ---- a lake that broke */

/*
 * A server that goes away in the middle of an answer can break a DuckDB for good (docs/commit-protocol.md). Its streams
 * then start over with a new one, from what the lake holds; other catalogs' streams go on. Embedded catalogs are not
 * opened twice in a process: the old DuckDB may hold their locks.
 */
static bool may_start_over(const struct runtime *runtime, int index)
{
	const struct spec_catalog *catalog = runtime->manifest->streams[index].catalog;
	struct lake *lake = runtime->lakes[catalog - runtime->manifest->catalogs];

	return runtime->mends && !runtime->stopping && lake_has_many_writers(lake) && lake_is_broken(lake);
}

static void close_lake(struct runtime *runtime, const struct spec_catalog *catalog)
{
	for (int i = 0; i < runtime->stream_count; i++)
		if (runtime->manifest->streams[i].catalog == catalog)
			end_stream(runtime, i);
	for (int i = 0; i < runtime->manifest->pipeline_count; i++)
		if (runtime->manifest->pipelines[i].catalog == catalog)
			end_pipeline(runtime, i);
	lake_close(TAKE(runtime->lakes[catalog - runtime->manifest->catalogs]));
}

static void drop_lake(struct runtime *runtime, int index, const struct error *why)
{
	const struct spec_catalog *catalog = runtime->manifest->streams[index].catalog;

	log_event(EVENT_LAKE_ANEW, FIELDS(LOG_TEXT("catalog", catalog->name)),
	          "catalog %s is opened anew, and its streams start over: %s", catalog->name, why->message);
	close_lake(runtime, catalog);
	runtime->trouble = *why;
	runtime->dropped_ms = clock_monotonic_ms();
	runtime->anew_ms = 0;
}

/* The stream's lake is opened where it is not. -1: it cannot be, and time will not help. */
static int start_over(struct runtime *runtime, int index, struct error *err)
{
	const struct spec_catalog *catalog = runtime->manifest->streams[index].catalog;
	struct lake **lake = &runtime->lakes[catalog - runtime->manifest->catalogs];
	int64_t now = clock_monotonic_ms();
	struct error why = {0};

	if (runtime->stopping) {
		*err = runtime->trouble;
		return -1;
	}
	if (now < runtime->anew_ms ||
	    (start_stream(runtime, index, &why) == 0 && start_pipelines(runtime, catalog, &why) == 0))
		return 0;
	if (why.kind != ERROR_TRANSIENT && now > runtime->dropped_ms + ANEW_PATIENCE_MS) {
		*err = why;
		return -1;
	}
	if (strcmp(why.message, runtime->trouble.message) != 0)
		log_event(EVENT_LAKE, NO_FIELDS, "the lake does not answer: %s", why.message);
	if (*lake && lake_is_broken(*lake))
		close_lake(runtime, catalog);
	runtime->trouble = why;
	runtime->anew_ms = now + ANEW_MS;
	return 0;
}

/* ---- the HTTP answers */

static void before_metrics(void *context)
{
	struct runtime *runtime = context;
	struct stream_status status;

	pthread_mutex_lock(&runtime->lock);
	for (int i = 0; i < runtime->stream_count; i++)
		if (runtime->streams[i].stream)
			stream_status(runtime->streams[i].stream, &status);
	pthread_mutex_unlock(&runtime->lock);
}

static bool ready(void *context, struct buffer *reason)
{
	struct runtime *runtime = context;
	struct stream_status status;
	bool all = true;

	pthread_mutex_lock(&runtime->lock);
	for (int i = 0; i < runtime->stream_count; i++) {
		status = (struct stream_status){.problem = "its lake is opened anew"};
		if (runtime->streams[i].stream)
			stream_status(runtime->streams[i].stream, &status);
		if (status.ready)
			continue;
		buffer_printf(reason, "%sstream %s: %s", all ? "" : "; ", runtime->manifest->streams[i].name,
		              *status.problem ? status.problem : "no lanes are assigned yet");
		all = false;
	}
	for (int i = 0; i < runtime->manifest->pipeline_count; i++) {
		struct refresher_status pipeline = {.ready = true};

		if (runtime->refreshers[i])
			refresher_status(runtime->refreshers[i], &pipeline);
		if (pipeline.ready)
			continue;
		buffer_printf(reason, "%spipeline %s: %s", all ? "" : "; ", runtime->manifest->pipelines[i].name,
		              *pipeline.problem ? pipeline.problem : "its first refresh has not ended");
		all = false;
	}
	pthread_mutex_unlock(&runtime->lock);
	return all;
}

/* Workers cost memory: a manifest that only fills a lake has none. */
static bool has_something_to_serve(const struct manifest *manifest)
{
	return manifest->pool_count || manifest->endpoint_count || manifest->assistant_count || manifest->token_count;
}

static int start_serving(struct runtime *runtime, const struct serving_options *serving, struct error *err)
{
	struct serving_options options;

	if (!serving)
		return 0;
	options = *serving;
	options.context = runtime;
	options.before_metrics = before_metrics;
	options.ready = ready;
	options.writes = true;
	options.probes_alone = !has_something_to_serve(runtime->manifest) && !options.tokens && !options.anyone;
	runtime->serving = serving_start(&options, err);
	if (!runtime->serving)
		return -1;
	listening_tell(runtime->serving);
	return 0;
}

struct runtime *runtime_start(struct manifest *manifest, const struct serving_options *serving, struct error *err)
{
	struct runtime *runtime = calloc(1, sizeof *runtime);

	if (!runtime) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&runtime->lock, NULL);
	runtime->manifest = manifest;
	runtime->lakes = calloc((size_t)manifest->catalog_count + 1, sizeof(struct lake *));
	runtime->streams = calloc((size_t)manifest->stream_count + 1, sizeof *runtime->streams);
	runtime->refreshers = calloc((size_t)manifest->pipeline_count + 1, sizeof(struct refresher *));
	runtime->shown_ms = clock_monotonic_ms();
	if (!runtime->lakes || !runtime->streams || !runtime->refreshers)
		error_no_memory(err);
	else if (!manifest->stream_count && !manifest->pipeline_count)
		error_set(err, ERROR_INVALID, 0,
		          "%s declares neither DuckLakeStream nor DuckLakePipeline: there is nothing to run",
		          manifest->file);
	else if (!start_broker(runtime, err) && !start_streams(runtime, err) && !start_pipelines(runtime, NULL, err) &&
	         !start_serving(runtime, serving, err))
		return runtime;
	runtime_free(runtime);
	return NULL;
}

void runtime_free(struct runtime *runtime)
{
	if (!runtime)
		return;
	serving_stop(runtime->serving, STOP_MS);
	for (int i = 0; runtime->streams && i < runtime->stream_count; i++)
		if (runtime->streams[i].stream)
			stream_halt(runtime->streams[i].stream);
	for (int i = 0; i < runtime->stream_count; i++)
		end_stream(runtime, i);
	for (int i = 0; runtime->refreshers && i < runtime->manifest->pipeline_count; i++)
		end_pipeline(runtime, i);
	for (int i = 0; runtime->lakes && i < runtime->manifest->catalog_count; i++)
		lake_close(runtime->lakes[i]);
	if (runtime->broker)
		embedded_broker_stop(runtime->broker);
	pthread_mutex_destroy(&runtime->lock);
	free(runtime->refreshers);
	free(runtime->streams);
	free(runtime->lakes);
	free(runtime);
}

int runtime_stream_count(const struct runtime *runtime)
{
	return runtime->stream_count;
}

struct stream *runtime_stream(struct runtime *runtime, int index)
{
	return runtime->streams[index].stream;
}

const char *runtime_embedded_address(const struct runtime *runtime)
{
	return runtime->broker ? embedded_broker_address(runtime->broker) : NULL;
}

void runtime_mend(struct runtime *runtime)
{
	runtime->mends = true;
}

int runtime_finish(struct runtime *runtime, struct error *err)
{
	runtime->finishing = true;
	for (int i = 0; i < runtime->stream_count; i++)
		if (stream_finish(runtime->streams[i].stream, err))
			return -1;
	return 0;
}

void runtime_stop(struct runtime *runtime)
{
	runtime->stopping = true;
	for (int i = 0; i < runtime->stream_count; i++)
		if (runtime->streams[i].stream)
			stream_stop(runtime->streams[i].stream);
}

/* ---- the progress line */

/* Of files there is an end that can be seen: a bar. */
static void draw_bar(const struct stream_status *all, double bytes_per_s, char *line, size_t size)
{
	const struct files_progress *files = &all->files;
	double done = files->bytes ? (double)files->bytes_read / (double)files->bytes : 0;
	char bar[BAR_WIDTH + 1];

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < (int)(done * BAR_WIDTH) ? '#' : '-';
	bar[BAR_WIDTH] = 0;
	snprintf(line, size,
	         "[%s] %3.0f%%  %" PRId64 " of %" PRId64 " files  %.1f of %.1f MB  %.1f MB/s  %" PRId64 " rows", bar,
	         100 * done, files->files_read, files->files, (double)files->bytes_read / 1e6,
	         (double)files->bytes / 1e6, bytes_per_s / 1e6, all->rows);
}

static void show_progress(struct runtime *runtime)
{
	struct stream_status status, all = {0};
	int64_t now = clock_monotonic_ms(), age_ms;
	double seconds = (double)(now - runtime->shown_ms) / 1000;
	char line[256], commit[64] = "none yet";
	int finishing = 0;

	if (!log_is_terminal() || now - runtime->shown_ms < PROGRESS_MS)
		return;
	for (int i = 0; i < runtime->stream_count; i++) {
		if (!runtime->streams[i].stream)
			continue;
		stream_status(runtime->streams[i].stream, &status);
		all.rows += status.rows;
		all.payload_bytes += status.payload_bytes;
		all.lag += status.lag;
		finishing += status.finishing && status.files.files;
		all.files.files += status.files.files;
		all.files.files_read += status.files.files_read;
		all.files.bytes += status.files.bytes;
		all.files.bytes_read += status.files.bytes_read;
		if (status.last_commit_ms > all.last_commit_ms)
			all.last_commit_ms = status.last_commit_ms;
	}
	/* A smoothed rate: commits come in steps. */
	runtime->rows_per_s = 0.8 * runtime->rows_per_s + 0.2 * (double)(all.rows - runtime->shown_rows) / seconds;
	runtime->bytes_per_s =
	        0.8 * runtime->bytes_per_s + 0.2 * (double)(all.payload_bytes - runtime->shown_bytes) / seconds;
	age_ms = all.last_commit_ms ? clock_wall_ms() - all.last_commit_ms : -1;
	if (age_ms >= 0)
		snprintf(commit, sizeof commit, "%.1f s ago", (double)age_ms / 1000);
	snprintf(line, sizeof line, "%" PRId64 " rows  %.0f rows/s  %.1f MB/s  lag %" PRId64 "  last commit %s",
	         all.rows, runtime->rows_per_s, runtime->bytes_per_s / 1e6, all.lag, commit);
	if (runtime->stream_count && finishing == runtime->stream_count)
		draw_bar(&all, runtime->bytes_per_s, line, sizeof line);
	log_progress(line);
	runtime->shown_ms = now;
	runtime->shown_rows = all.rows;
	runtime->shown_bytes = all.payload_bytes;
}

/* The pipelines go on when something was committed. */
static void notify(struct runtime *runtime)
{
	struct stream_status status;
	int64_t commits = 0;

	for (int i = 0; i < runtime->stream_count; i++) {
		if (!runtime->streams[i].stream)
			continue;
		stream_status(runtime->streams[i].stream, &status);
		commits += status.commits;
	}
	if (commits == runtime->commits)
		return;
	runtime->commits = commits;
	for (int i = 0; i < runtime->manifest->pipeline_count; i++)
		if (runtime->refreshers[i])
			refresher_notify(runtime->refreshers[i]);
}

/* When the streams have ended: the pipelines see what they committed, and end. Interrupted, they end as they are: the
 * next run goes on. 1: all ended well; 0: some run; -1: one failed. */
static int end_pipelines(struct runtime *runtime, struct error *err)
{
	int running = 0;

	for (int i = 0; i < runtime->manifest->pipeline_count; i++) {
		int state;

		if (!runtime->refreshers[i])
			continue;
		if (runtime->stopping)
			refresher_stop(runtime->refreshers[i]);
		else if (runtime->finishing)
			refresher_finish(runtime->refreshers[i]);
		state = refresher_wait(runtime->refreshers[i], 0, err);
		if (state < 0)
			return error_wrap(err, "pipeline %s", runtime->manifest->pipelines[i].name);
		running += state == 0;
	}
	return running ? 0 : 1;
}

/* 1: all ended well; 0: some run; -1: one failed. */
static int look(struct runtime *runtime, struct error *err)
{
	int running = 0;

	for (int i = 0; i < runtime->stream_count; i++) {
		struct running *one = &runtime->streams[i];
		int state = one->ended    ? 1
		            : one->stream ? stream_wait(one->stream, 0, err)
		                          : start_over(runtime, i, err);

		if (state < 0 && one->stream && may_start_over(runtime, i)) {
			drop_lake(runtime, i, err);
			*err = (struct error){0};
			state = 0;
		}
		if (state < 0)
			return -1;
		one->ended = state == 1;
		running += state == 0;
	}
	notify(runtime);
	return running ? 0 : end_pipelines(runtime, err);
}

int runtime_wait(struct runtime *runtime, int timeout_ms, struct error *err)
{
	int64_t until = clock_monotonic_ms() + timeout_ms;
	int state;

	for (;;) {
		if (cli_interrupted() && !runtime->stopping) {
			log_event(EVENT_STOP, NO_FIELDS,
			          "stopping: what was read is committed first (a second signal stops at once)");
			runtime_stop(runtime);
		}
		state = look(runtime, err);
		if (state || clock_monotonic_ms() >= until)
			break;
		show_progress(runtime);
		usleep(20000);
	}
	if (state)
		log_progress(NULL);
	return state;
}
