/* read.c - the topic from its first offset to its end, and the stages that do no more than read it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "bench/bench_private.h"
#include "stream/stream.h"

#define POLL_MS 1000
#define SILENCE_MS 60000

struct reading {
	struct source *source;
};

static int assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	struct reading *reading = context;
	int64_t high;

	for (int i = 0; i < count; i++)
		if (reading->source->ops->watermarks(reading->source, starts[i].partition, &starts[i].offset, &high,
		                                     err))
			return -1;
	return 0;
}

static void revoked(void *context, const int32_t *partitions, int count, bool lost)
{
}

static int read_all(struct source *source, topic_each *each, void *context, struct error *err)
{
	int32_t left;
	int64_t heard_ms = clock_monotonic_ms();

	if (source->ops->partition_count(source, &left, err))
		return -1;
	while (left > 0) {
		struct message message = {.offset = -1};

		switch (source->ops->poll(source, POLL_MS, &message, err)) {
		case POLL_ERROR: return -1;
		case POLL_LANE_END: left--; break;
		case POLL_OUT_OF_RANGE:
			return error_set(err, ERROR_TRANSIENT, 0, "partition %d lost messages while it was read",
			                 message.partition);
		case POLL_MESSAGE:
			heard_ms = clock_monotonic_ms();
			if (each(context, &message, err))
				return -1;
			break;
		case POLL_NOTHING:
			if (clock_monotonic_ms() - heard_ms > SILENCE_MS)
				return error_set(err, ERROR_TRANSIENT, 0, "the brokers have been silent for a minute");
			break;
		}
	}
	return 0;
}

static int read_topic(const struct bench_config *config, enum kafka_way way, topic_each *each, void *context,
                      struct error *err)
{
	struct reading reading = {0};
	struct source_events events = {.context = &reading, .assigned = assigned, .revoked = revoked};
	struct kafka_config kafka = {
	        .brokers = config->brokers,
	        .topic = config->topic,
	        .prefetch_bytes = stream_memory(&(struct spec_stream){.memory_bytes = config->memory_bytes}).prefetch,
	        .assign_all = true,
	        .way = way,
	        .stream_name = "bench",
	};
	int failed;

	reading.source = source_open_kafka(&kafka, &events, err);
	if (!reading.source)
		return -1;
	failed = read_all(reading.source, each, context, err);
	reading.source->ops->close(reading.source);
	return failed;
}

int topic_read(const struct bench_config *config, topic_each *each, void *context, struct error *err)
{
	return read_topic(config, KAFKA_APART, each, context, err);
}

/* ---- the stages: one work, with a decoder and without */

struct reading_work {
	struct meter meter;
	struct bench_sample *sample;
	struct batch_decoder *decoder; /* NULL: messages are dropped as they come */
};

static void note_message(struct reading_work *work, const struct message *message)
{
	meter_work_begins(&work->meter);
	work->sample->messages++;
	work->sample->bytes += (int64_t)message->size;
}

static int drop_message(void *context, struct message *message, struct error *err)
{
	note_message(context, message);
	message_release(message);
	return 0;
}

static void release_held(void *opaque)
{
	struct message *message = opaque;

	message_release(message);
	free(message);
}

static int decode_message(void *context, struct message *message, struct error *err)
{
	struct reading_work *work = context;
	struct message *held = malloc(sizeof *held);
	struct batch_set set;

	if (!held)
		return error_no_memory(err);
	note_message(work, message);
	*held = *message;
	if (ipc_decode(work->decoder, (struct batch_bytes){held->payload, held->size, release_held, held}, &set, err)) {
		release_held(held);
		return error_wrap(err, "partition %d offset %lld", message->partition, (long long)message->offset);
	}
	work->sample->rows += set.rows;
	batch_set_release(&set);
	return 0;
}

static int read_and(const struct bench_config *config, enum kafka_way way, struct reading_work *work, topic_each *each,
                    struct error *err)
{
	meter_start(&work->meter);
	if (read_topic(config, way, each, work, err))
		return -1;
	meter_work_ends(&work->meter, work->sample);
	meter_stop(&work->meter, work->sample);
	return 0;
}

int stage_poll(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct reading_work work = {.sample = sample};

	return read_and(config, KAFKA_SINGLE, &work, drop_message, err);
}

int stage_read(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct reading_work work = {.sample = sample};

	return read_and(config, KAFKA_MANY, &work, drop_message, err);
}

int stage_decode(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct batch_counters counters = {0};
	struct reading_work work = {.sample = sample, .decoder = batch_decoder_new(&counters, err)};
	int failed = !work.decoder || read_and(config, KAFKA_APART, &work, decode_message, err);

	sample->copied_bytes = counters.copied;
	batch_decoder_free(work.decoder);
	return failed ? -1 : 0;
}

/* ---- held in memory */

struct holding {
	struct held_topic *held;
	int64_t bound; /* bytes */
};

static int keep_copy(struct held_topic *held, const struct message *message, struct error *err)
{
	uint8_t *copy;

	if (held->count == held->capacity) {
		int capacity = held->capacity ? held->capacity * 2 : 1024;
		struct batch_bytes *grown = realloc(held->messages, (size_t)capacity * sizeof *grown);

		if (!grown)
			return error_no_memory(err);
		held->messages = grown;
		held->capacity = capacity;
	}
	copy = malloc(message->size + 1);
	if (!copy)
		return error_no_memory(err);
	memcpy(copy, message->payload, message->size);
	held->messages[held->count++] = (struct batch_bytes){.data = copy, .size = message->size};
	held->bytes += (int64_t)message->size;
	return 0;
}

static int hold_message(void *context, struct message *message, struct error *err)
{
	struct holding *holding = context;
	int failed = 0;

	holding->held->topic_bytes += (int64_t)message->size;
	if (holding->held->bytes < holding->bound && message->payload)
		failed = keep_copy(holding->held, message, err);
	message_release(message);
	return failed;
}

int topic_hold(const struct bench_config *config, struct held_topic *ret_held, struct error *err)
{
	struct holding holding = {.held = ret_held, .bound = config->held_bytes};

	*ret_held = (struct held_topic){0};
	if (topic_read(config, hold_message, &holding, err))
		return -1;
	if (!ret_held->bytes)
		return error_set(err, ERROR_INVALID, 0, "topic %s holds no messages: there is nothing to measure",
		                 config->topic);
	return 0;
}
