/*
 * produce.h - sends made-up events to a topic: `tarn produce`, the demo and the benches.
 *
 * Invariants:
 *  1. Message i has rows i*batch_rows .. and goes to partition i mod partitions: the same configuration makes the same
 *     topic, byte for byte.
 *  2. A message is a whole Arrow IPC stream (schema, one record batch, end of stream); or one JSON object; or, with
 * more rows a message, JSON objects that each end in a line feed.
 *  3. On success, stopped or not, everything that was sent is acknowledged.
 *
 * Life cycle: produce_run blocks; one thread. *config is borrowed for the call.
 */
#ifndef TARN_PRODUCE_PRODUCE_H
#define TARN_PRODUCE_PRODUCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/source.h"

/* Rows of one message at most: about what 16 MiB hold. */
#define PRODUCE_ROWS_MAX 14000

struct produce_config {
	const char *brokers, *topic;
	const char *shape; /* NULL or "posthog"; "telecom" */
	const char *format; /* NULL or "arrow"; "json" */
	double bad; /* the share of bad events, of a shape that has them; negative: the shape's own (shape.h) */
	int64_t count; /* rows in all */
	int batch_rows; /* rows a message, 1 to PRODUCE_ROWS_MAX; 0: 1,000 of arrow (about 1.1 MB), 1 of json */
	double rate; /* rows a second; 0: as fast as it goes */
	int partitions; /* 0: 1. A topic that does not exist is made with so many */
	uint64_t seed;
	const struct kafka_property *properties; /* librdkafka's */
	int property_count;
	bool embedded; /* the broker is the embedded one (wire/producer.h) */
	/* The next offset that the consumer wants of this partition, -1 where it is not known; NULL: no pacing. */
	int64_t (*position)(void *context, int32_t partition);
	void *position_context;
	/* Paced by the offsets that this group has committed; NULL: not. Only where `position` is NULL. */
	const char *pace_group;
	/* After each message: rows and payload bytes sent so far; may be NULL. */
	void (*progress)(void *context, int64_t rows, int64_t bytes);
	void *progress_context;
	const atomic_bool *stop; /* may be NULL; true ends the run after the message in hand */
};

struct produce_report {
	int64_t messages, rows, bytes; /* acknowledged; bytes of payload */
	double seconds;
	bool stopped;
};

/* Errors: INVALID (configuration, topic), TRANSIENT (not delivered), FATAL. */
int produce_run(const struct produce_config *config, struct produce_report *ret, struct error *err);

#endif
