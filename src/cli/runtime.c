#include "cli/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/cli.h"
#include "serve/http.h"
#include "wire/source.h"

#define PROGRESS_MS 250
#define BAR_WIDTH 24

struct running {
	struct stream *stream;
	bool ended;
};

struct runtime {
	struct manifest *manifest;
	struct lake **lakes; /* one a catalog; NULL where no stream uses it */
	struct running *streams;
	int stream_count;
	struct embedded_broker *broker;
	struct http_server *http;
	bool stopping;
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

/* DuckDB's bound: the shares of all streams of this catalog. */
static int64_t duckdb_bytes(const struct runtime *runtime, const struct spec_catalog *catalog)
{
	int64_t bytes = 0;

	for (int i = 0; i < runtime->manifest->stream_count; i++)
		if (runtime->manifest->streams[i].catalog == catalog)
			bytes += stream_memory(&runtime->manifest->streams[i]).lake;
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

static int start_streams(struct runtime *runtime, struct error *err)
{
	for (int i = 0; i < runtime->manifest->stream_count; i++) {
		const struct spec_stream *spec = &runtime->manifest->streams[i];
		struct stream_options options = {0};
		struct lake *lake = lake_of(runtime, spec->catalog, err);

		if (!lake)
			return -1;
		if (is_embedded(spec)) {
			options.brokers = embedded_broker_address(runtime->broker);
			options.embedded = true;
		}
		runtime->streams[i].stream = stream_start(spec, lake, &options, err);
		if (!runtime->streams[i].stream)
			return -1;
		runtime->stream_count++;
	}
	return 0;
}

/* ---- the HTTP answers */

static void before_metrics(void *context)
{
	struct runtime *runtime = context;
	struct stream_status status;

	for (int i = 0; i < runtime->stream_count; i++)
		stream_status(runtime->streams[i].stream, &status);
}

static bool ready(void *context, struct buffer *reason)
{
	struct runtime *runtime = context;
	struct stream_status status;
	bool all = true;

	for (int i = 0; i < runtime->stream_count; i++) {
		stream_status(runtime->streams[i].stream, &status);
		if (status.ready)
			continue;
		buffer_printf(reason, "%sstream %s: %s", all ? "" : "; ", stream_spec(runtime->streams[i].stream)->name,
		              *status.problem ? status.problem : "no lanes are assigned yet");
		all = false;
	}
	return all;
}

static int start_http(struct runtime *runtime, const char *listen, struct error *err)
{
	struct http_answers answers = {.context = runtime, .before_metrics = before_metrics, .ready = ready};

	if (!listen)
		return 0;
	runtime->http = http_start(listen, &answers, err);
	if (!runtime->http)
		return -1;
	log_event(EVENT_LISTEN, FIELDS(LOG_TEXT("address", http_address(runtime->http))),
	          "http://%s answers /metrics, /healthz and /readyz", http_address(runtime->http));
	return 0;
}

struct runtime *runtime_start(struct manifest *manifest, const char *listen, struct error *err)
{
	struct runtime *runtime = calloc(1, sizeof *runtime);

	if (!runtime) {
		error_no_memory(err);
		return NULL;
	}
	runtime->manifest = manifest;
	runtime->lakes = calloc((size_t)manifest->catalog_count + 1, sizeof(struct lake *));
	runtime->streams = calloc((size_t)manifest->stream_count + 1, sizeof *runtime->streams);
	runtime->shown_ms = clock_monotonic_ms();
	if (!runtime->lakes || !runtime->streams)
		error_no_memory(err);
	else if (!manifest->stream_count)
		error_set(err, ERROR_INVALID, 0, "%s declares no DuckLakeStream: there is nothing to run",
		          manifest->file);
	else if (!start_broker(runtime, err) && !start_streams(runtime, err) && !start_http(runtime, listen, err))
		return runtime;
	runtime_free(runtime);
	return NULL;
}

void runtime_free(struct runtime *runtime)
{
	struct error err;

	if (!runtime)
		return;
	http_stop(runtime->http);
	for (int i = 0; i < runtime->stream_count; i++)
		stream_halt(runtime->streams[i].stream);
	for (int i = 0; i < runtime->stream_count; i++) {
		while (stream_wait(runtime->streams[i].stream, 1000, &err) == 0)
			;
		stream_free(runtime->streams[i].stream);
	}
	for (int i = 0; runtime->lakes && i < runtime->manifest->catalog_count; i++)
		lake_close(runtime->lakes[i]);
	if (runtime->broker)
		embedded_broker_stop(runtime->broker);
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

int runtime_finish(struct runtime *runtime, struct error *err)
{
	for (int i = 0; i < runtime->stream_count; i++)
		if (stream_finish(runtime->streams[i].stream, err))
			return -1;
	return 0;
}

void runtime_stop(struct runtime *runtime)
{
	runtime->stopping = true;
	for (int i = 0; i < runtime->stream_count; i++)
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

/* 1: all ended well; 0: some run; -1: one failed. */
static int look(struct runtime *runtime, struct error *err)
{
	int running = 0;

	for (int i = 0; i < runtime->stream_count; i++) {
		int state = runtime->streams[i].ended ? 1 : stream_wait(runtime->streams[i].stream, 0, err);

		if (state < 0)
			return -1;
		runtime->streams[i].ended = state == 1;
		running += state == 0;
	}
	return running ? 0 : 1;
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
