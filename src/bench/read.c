/* read.c - the topic from its first offset to its end, and the stages that do no more than read it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "bench/bench_private.h"

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

static int read_all(struct source *source, int (*each)(void *context, struct message *message, struct error *err),
                    void *context, struct error *err)
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

int topic_read(const struct bench_config *config,
               int (*each)(void *context, struct message *message, struct error *err), void *context, struct error *err)
{
	struct reading reading = {0};
	struct source_events events = {.context = &reading, .assigned = assigned, .revoked = revoked};
	struct kafka_config kafka = {
	        .brokers = config->brokers,
	        .topic = config->topic,
	        .prefetch_bytes = config->memory_bytes / 8,
	        .assign_all = true,
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

/* ---- librdkafka alone */

static int count_message(void *context, struct message *message, struct error *err)
{
	struct bench_sample *sample = context;

	sample->messages++;
	sample->bytes += (int64_t)message->size;
	message_release(message);
	return 0;
}

int stage_kafka(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct meter meter;

	meter_start(&meter);
	if (topic_read(config, count_message, sample, err))
		return -1;
	meter_stop(&meter, sample);
	return 0;
}

/* ---- librdkafka and decoding */

struct decoding {
	struct bench_sample *sample;
	struct batch_decoder *decoder;
};

static void release_held(void *opaque)
{
	struct message *message = opaque;

	message_release(message);
	free(message);
}

static int decode_message(void *context, struct message *message, struct error *err)
{
	struct decoding *decoding = context;
	struct message *held = malloc(sizeof *held);
	struct batch_bytes bytes = {message->payload, message->size, release_held, held};
	struct batch_set set;

	if (!held)
		return error_no_memory(err);
	*held = *message;
	decoding->sample->messages++;
	decoding->sample->bytes += (int64_t)held->size;
	if (ipc_decode(decoding->decoder, bytes, &set, err)) {
		release_held(held);
		return error_wrap(err, "partition %d offset %lld", message->partition, (long long)message->offset);
	}
	decoding->sample->rows += set.rows;
	batch_set_release(&set);
	return 0;
}

int stage_decode(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct batch_counters counters = {0};
	struct decoding decoding = {.sample = sample, .decoder = batch_decoder_new(&counters, err)};
	struct meter meter;
	int failed;

	if (!decoding.decoder)
		return -1;
	meter_start(&meter);
	failed = topic_read(config, decode_message, &decoding, err);
	meter_stop(&meter, sample);
	sample->copied_bytes = counters.copied;
	batch_decoder_free(decoding.decoder);
	return failed;
}

/* ---- held in memory */

struct holding {
	struct held_topic *held;
	int64_t bound;
	int capacity;
};

static int hold_message(void *context, struct message *message, struct error *err)
{
	struct holding *holding = context;
	struct held_topic *held = holding->held;
	uint8_t *copy = NULL;

	held->topic_bytes += (int64_t)message->size;
	if (held->bytes < holding->bound && message->payload && (copy = malloc(message->size + 1)))
		memcpy(copy, message->payload, message->size);
	if (copy && held->count == holding->capacity) {
		int capacity = holding->capacity ? holding->capacity * 2 : 1024;
		struct batch_bytes *grown = realloc(held->messages, (size_t)capacity * sizeof *grown);

		if (!grown) {
			free(copy);
			return error_no_memory(err);
		}
		held->messages = grown;
		holding->capacity = capacity;
	}
	if (copy) {
		held->messages[held->count++] = (struct batch_bytes){.data = copy, .size = message->size};
		held->bytes += (int64_t)message->size;
	}
	message_release(message);
	return 0;
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

int stage_copy(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct held_topic held;
	struct meter meter;
	OWNED_FREE uint8_t *space = NULL;

	if (topic_hold(config, &held, err))
		return -1;
	/* As large as what is held: a copy that stays in the caches is not what a queue of messages costs. */
	space = malloc((size_t)held.bytes);
	if (!space)
		return error_no_memory(err);
	memset(space, 1, (size_t)held.bytes);
	meter_start(&meter);
	while (sample->bytes < held.topic_bytes) {
		uint8_t *to = space;

		for (int i = 0; i < held.count; i++) {
			memcpy(to, held.messages[i].data, held.messages[i].size);
			to += held.messages[i].size;
		}
		sample->bytes += held.bytes;
		sample->messages += held.count;
	}
	meter_stop(&meter, sample);
	sample->held_bytes = 2 * held.bytes;
	return 0;
}
