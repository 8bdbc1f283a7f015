#include "stream/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "stream/files.h"
#include "stream/stream_private.h"
#include "wire/files.h"

#define MESSAGE_BYTES_MIN ((int64_t)64 << 20) /* a document of 16 MB takes as much to be read */
#define LAKE_BYTES_MIN ((int64_t)96 << 20) /* DuckDB writes no file of a wide table with less */

static const bool allowed[LANE_STATES][LANE_STATES] = {
        [LANE_FREE] = {[LANE_READING] = true},
        [LANE_READING] = {[LANE_FREE] = true, [LANE_SEEKING] = true, [LANE_CONFLICTED] = true},
        [LANE_SEEKING] = {[LANE_FREE] = true, [LANE_READING] = true, [LANE_CONFLICTED] = true, [LANE_SEEKING] = true},
        [LANE_CONFLICTED] = {[LANE_FREE] = true, [LANE_SEEKING] = true, [LANE_CONFLICTED] = true},
};

void lane_move(struct stream *stream, int lane, enum lane_state to)
{
	enum lane_state from = stream->lanes[lane].state;

	if (!allowed[from][to]) {
		fprintf(stderr, "bug: lane %d moves from state %d to %d\n", lane, (int)from, (int)to);
		abort();
	}
	stream->lanes[lane].state = to;
}

void stream_fail(struct stream *stream, const struct error *err)
{
	pthread_mutex_lock(&stream->queue.lock);
	if (!stream->failure.kind) {
		stream->failure = *err;
		if (!stream->failure.kind)
			stream->failure.kind = ERROR_FATAL;
	}
	stream->stop = true;
	stream->ready = false;
	pthread_cond_broadcast(&stream->queue.changed);
	pthread_mutex_unlock(&stream->queue.lock);
}

void stream_problem(struct stream *stream, const char *problem)
{
	pthread_mutex_lock(&stream->queue.lock);
	snprintf(stream->problem, sizeof stream->problem, "%.*s", (int)sizeof stream->problem - 1,
	         problem ? problem : "");
	pthread_mutex_unlock(&stream->queue.lock);
}

void stream_reset(struct stream *stream)
{
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++) {
		if (stream->lanes[i].state != LANE_READING)
			continue;
		stream->generations[i]++;
		lane_move(stream, i, LANE_SEEKING);
	}
	pthread_mutex_unlock(&stream->queue.lock);
	queue_drop_all(&stream->queue);
}

int stream_wants_end(struct stream *stream)
{
	int done;

	pthread_mutex_lock(&stream->queue.lock);
	done = stream->finish && stream->targets_set && !stream->stop;
	for (int i = 0; done && i < stream->lane_count; i++) {
		const struct lane *lane = &stream->lanes[i];

		if (lane_never_held(lane))
			continue;
		if (lane->state == LANE_FREE)
			done = -1;
		else if (lane->state != LANE_READING || lane->lake.next_offset < lane->target)
			done = 0;
	}
	pthread_mutex_unlock(&stream->queue.lock);
	return done;
}

struct stream_memory stream_memory(const struct spec_stream *spec)
{
	/* librdkafka counts payloads, and keeps as much again beside each of a small event's. */
	struct stream_memory memory = {.prefetch = spec->memory_bytes / (spec->format == FORMAT_JSON ? 16 : 8),
	                               .queue = spec->memory_bytes / 4};

	/* The last quarter is for what DuckDB does not count: its encoders' own buffers (docs/benchmarks.md). */
	memory.message = spec->memory_bytes < MESSAGE_BYTES_MIN ? MESSAGE_BYTES_MIN : spec->memory_bytes;
	if (memory.message > IPC_MADE_MAX)
		memory.message = IPC_MADE_MAX;
	memory.lake = spec->memory_bytes * 3 / 8;
	if (memory.lake < LAKE_BYTES_MIN)
		memory.lake = LAKE_BYTES_MIN;
	return memory;
}

static void name_owner(struct stream *stream)
{
	char host[64] = "localhost";

	gethostname(host, sizeof host - 1);
	snprintf(stream->owner, sizeof stream->owner, "%s:%d:%" PRIx64, host, (int)getpid(), clock_monotonic_us());
}

static int open_source(struct stream *stream, struct error *err)
{
	const struct spec_stream *spec = stream->spec;
	OWNED_FREE struct kafka_property *properties =
	        calloc((size_t)spec->kafka.property_count + 1, sizeof *properties);
	struct source_events events = {.context = stream};
	struct kafka_config config = {
	        .brokers = stream->options.brokers ? stream->options.brokers : spec->kafka.brokers,
	        .topic = spec->kafka.topic,
	        .group = spec->kafka.group,
	        .properties = properties,
	        .property_count = spec->kafka.property_count,
	        .prefetch_bytes = stream_memory(spec).prefetch,
	        .stream_name = spec->name,
	};

	if (!properties)
		return error_no_memory(err);
	for (int i = 0; i < spec->kafka.property_count; i++)
		properties[i] =
		        (struct kafka_property){spec->kafka.properties[i].name, spec->kafka.properties[i].value};
	stream_events(stream, &events);
	if (spec_reads_files(spec))
		return files_open(stream, err);
	if (stream->options.open_source)
		stream->source = stream->options.open_source(stream->options.source_context, &events, err);
	else
		stream->source = source_open_kafka(&config, &events, err);
	return stream->source ? 0 : -1;
}

static int init_lanes(struct stream *stream, struct error *err)
{
	stream->lane_count = LANES_MAX;
	stream->careful_units = INT64_MAX;
	stream->lane_versions = LANE_VERSIONS;
	stream->lanes = calloc(LANES_MAX, sizeof *stream->lanes);
	stream->generations = calloc(LANES_MAX, sizeof *stream->generations);
	if (!stream->lanes || !stream->generations)
		return error_no_memory(err);
	for (int i = 0; i < LANES_MAX; i++) {
		stream->lanes[i].target = -1;
		stream->lanes[i].poison = -1;
	}
	return queue_init(&stream->queue, stream_memory(stream->spec).queue, stream->generations, LANES_MAX, err);
}

static int open_parts(struct stream *stream, struct error *err)
{
	stream->session = lake_session_new(stream->lake, err);
	if (!stream->session)
		return -1;
	stream->claims = lake_session_new(stream->lake, err);
	if (!stream->claims)
		return -1;
	if (targets_open(stream, err))
		return -1;
	return take_open(stream, err) || open_source(stream, err) ? -1 : 0;
}

static int start_threads(struct stream *stream, struct error *err)
{
	if (pthread_create(&stream->committer, NULL, committer_main, stream))
		return error_set(err, ERROR_FATAL, 0, "cannot start a thread");
	stream->committer_runs = true;
	if (pthread_create(&stream->reader, NULL, reader_main, stream)) {
		stream->halt = true;
		pthread_join(stream->committer, NULL);
		return error_set(err, ERROR_FATAL, 0, "cannot start a thread");
	}
	stream->reader_runs = true;
	return 0;
}

struct stream *stream_start(const struct spec_stream *spec, struct lake *lake, const struct stream_options *options,
                            struct error *err)
{
	struct stream *stream = calloc(1, sizeof *stream);

	if (!stream) {
		error_no_memory(err);
		return NULL;
	}
	stream->spec = spec;
	stream->lake = lake;
	stream->options = *options;
	files_topic(spec, stream->topic);
	stream->key = (struct lane_key){.stream = spec->name,
	                                .topic = spec_reads_files(spec) ? stream->topic : spec->kafka.topic};
	snprintf(stream->table_name, sizeof stream->table_name, "%s.%s", spec->schema, spec->table);
	stream->metrics = metrics_set(spec->name, -1);
	name_owner(stream);
	if (init_lanes(stream, err) || open_parts(stream, err) || start_threads(stream, err)) {
		error_wrap(err, "stream %s", spec->name);
		stream_free(stream);
		return NULL;
	}
	return stream;
}

int stream_finish(struct stream *stream, struct error *err)
{
	(void)err;
	pthread_mutex_lock(&stream->queue.lock);
	stream->finish = true;
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

void stream_stop(struct stream *stream)
{
	pthread_mutex_lock(&stream->queue.lock);
	stream->stop = true;
	stream->ready = false;
	stream->queue.drain++;
	pthread_cond_broadcast(&stream->queue.changed);
	pthread_cond_broadcast(&stream->queue.room);
	pthread_mutex_unlock(&stream->queue.lock);
}

void stream_halt(struct stream *stream)
{
	stream->halt = true;
	stream_stop(stream);
}

int stream_wait(struct stream *stream, int timeout_ms, struct error *err)
{
	struct timespec until = clock_deadline(timeout_ms);
	bool ended;

	pthread_mutex_lock(&stream->queue.lock);
	while (!stream->ended)
		if (pthread_cond_clockwait(&stream->queue.changed, &stream->queue.lock, CLOCK_MONOTONIC, &until))
			break;
	ended = stream->ended;
	if (ended && stream->failure.kind && err)
		*err = stream->failure;
	pthread_mutex_unlock(&stream->queue.lock);
	if (!ended)
		return 0;
	return stream->failure.kind ? error_wrap(err, "stream %s", stream->spec->name) : 1;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	if (stream->reader_runs)
		pthread_join(stream->reader, NULL);
	else if (stream->source)
		stream->source->ops->close(stream->source);
	targets_close(stream);
	take_close(stream);
	files_free(stream);
	if (stream->lanes)
		queue_release(&stream->queue);
	lake_session_free(stream->session);
	lake_session_free(stream->claims);
	for (int i = 0; stream->lanes && i < stream->lane_count; i++)
		free(stream->lanes[i].poison_reason);
	free(stream->lanes);
	free(stream->generations);
	free(stream);
}

int64_t stream_position(struct stream *stream, int32_t partition)
{
	int64_t position = -1;

	if (partition < 0 || partition >= stream->lane_count)
		return -1;
	pthread_mutex_lock(&stream->queue.lock);
	if (stream->lanes[partition].state != LANE_FREE)
		position = stream->lanes[partition].read_next;
	pthread_mutex_unlock(&stream->queue.lock);
	return position;
}

static int64_t lane_lag(struct stream *stream, int i)
{
	struct lane *lane = &stream->lanes[i];
	int64_t high = stream->source ? stream->source->ops->cached_high(stream->source, i) : -1;
	int64_t lag;

	if (high < metric_get(lane->metrics, METRIC_HIGH_WATERMARK))
		high = metric_get(lane->metrics, METRIC_HIGH_WATERMARK);
	metric_put(lane->metrics, METRIC_HIGH_WATERMARK, high);
	lag = high > lane->lake.next_offset ? high - lane->lake.next_offset : 0;
	metric_put(lane->metrics, METRIC_LAG, lag);
	return lag;
}

void stream_status(struct stream *stream, struct stream_status *ret_status)
{
	pthread_mutex_lock(&stream->queue.lock);
	*ret_status = (struct stream_status){
	        .rows = stream->rows,
	        .messages = stream->messages,
	        .quarantined = stream->quarantined,
	        .payload_bytes = atomic_load(&stream->counters.payload),
	        .copied_bytes = atomic_load(&stream->counters.copied),
	        .decompressed_bytes = atomic_load(&stream->counters.decompressed),
	        .commits = stream->commits,
	        .conflicts = stream->conflicts,
	        .commit_failures = stream->commit_failures,
	        .in_flight = atomic_load(&stream->queue.in_flight),
	        .last_commit_ms = stream->last_commit_ms,
	        .ready = stream->ready && !*stream->problem,
	};
	memcpy(ret_status->problem, stream->problem, sizeof ret_status->problem);
	for (int i = 0; i < stream->lane_count; i++) {
		if (stream->lanes[i].state == LANE_FREE)
			continue;
		ret_status->lanes_owned++;
		if (!stream->ended)
			ret_status->lag += lane_lag(stream, i);
	}
	if (stream->files && stream->source)
		files_progress(stream->source, &ret_status->files);
	pthread_mutex_unlock(&stream->queue.lock);
	ret_status->finishing = stream->finish;
	if (stream->files)
		metric_put(stream->metrics, METRIC_FILES_WAITING, ret_status->files.waiting);
	metric_put(stream->metrics, METRIC_IN_FLIGHT, ret_status->in_flight);
	metric_put(stream->metrics, METRIC_RSS, clock_rss_bytes());
	metric_put(stream->metrics, METRIC_COPIED, ret_status->copied_bytes);
	metric_put(stream->metrics, METRIC_DECOMPRESSED, ret_status->decompressed_bytes);
}
