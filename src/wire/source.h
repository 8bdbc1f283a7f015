/*
 * source.h - bytes in: messages by lane (partition), whatever carries them.
 *
 * A source is a vtable: wire/kafka.c reads a Kafka topic, wire/files.c reads files, wire/memory.c replays messages from
 * memory (tests, bench).
 * wire/ knows nothing of columns or of the lake; stream/ joins them.
 *
 * Invariants:
 *  1. A message's payload, key and headers stay where they are until message_release; nothing is copied out, but by
 *     message_keep.
 *  2. `assigned` is called before the first message of a lane and says where to start: the lake's offset wins over
 *     anything that the source remembers (DESIGN invariant 2).
 *  3. When `revoked` returns, no further message of that lane is delivered until it is assigned again.
 *  4. Both callbacks run inside source_poll or source_close, on the polling thread.
 *
 * Life cycle: open -> poll... -> close. Every message is released before close. message_release may be called from any
 * thread.
 */
#ifndef TARN_WIRE_SOURCE_H
#define TARN_WIRE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct source;

/* One message, or one event of its lane. The bytes are borrowed from `owner` until message_release. */
struct message {
	int32_t partition;
	int64_t offset;
	int64_t timestamp_ms; /* since 1970, -1 where the source has none */
	const uint8_t *payload; /* NULL: a tombstone */
	size_t size; /* bytes of payload */
	const uint8_t *key; /* NULL: none */
	size_t key_size;
	void *owner; /* the library's message, or NULL */
	void *context; /* what release needs beside it */
	void (*release)(struct message *); /* NULL: nothing to release */
	/* Why there are no bytes, or none that can be read; NULL: they can. Borrowed until the next message. */
	const char *broken;
	/* Of files: the line, or the batch, in the file that `key` names, from 1. */
	int64_t place;
	const char *place_unit; /* "line" */
	void (*headers)(const struct message *, struct buffer *out); /* NULL: it has none */
};

static inline void message_release(struct message *message)
{
	if (message->release)
		message->release(message);
	*message = (struct message){.offset = -1};
}

/* Appends the headers as a JSON array of [name, value] pairs (values as text, or base64 prefixed "base64:" where they
 * are not UTF-8); nothing where there are none. */
static inline void message_headers_json(const struct message *message, struct buffer *out)
{
	if (message->headers)
		message->headers(message, out);
}

/* Copies the message's bytes into a block of their own and lets go of what it came with: a few messages that wait for a
 * commit would keep all that was fetched with them in memory. -1: out of memory, and the message is as it was. */
int message_keep(struct message *message, struct error *err);

enum poll_result {
	POLL_ERROR = -1,
	POLL_NOTHING = 0, /* the timeout passed */
	POLL_MESSAGE = 1,
	POLL_LANE_END = 2, /* *message has partition and offset: the next offset of a lane read to its end */
	POLL_OUT_OF_RANGE = 3, /* *message has the partition: its position is not in the log any more (retention) */
};

struct source_start {
	int32_t partition;
	int64_t offset; /* filled by `assigned`: where to read from; -1: this lane cannot be read now (not assigned) */
};

/* What a source tells its reader. */
struct source_events {
	void *context;
	/* Fill each start's offset. -1 with *err ends the source_poll with that error. */
	int (*assigned)(void *context, struct source_start *starts, int count, struct error *err);
	/* May name lanes that `assigned` failed for. lost: they have another owner already; nothing may be committed
	 * for them. */
	void (*revoked)(void *context, const int32_t *partitions, int count, bool lost);
};

struct source_ops {
	enum poll_result (*poll)(struct source *, int timeout_ms, struct message *ret_message, struct error *);
	int (*pause)(struct source *, int32_t partition, struct error *);
	int (*resume)(struct source *, int32_t partition, struct error *);
	/* Reads on from `offset`, dropping what was fetched ahead. */
	int (*seek)(struct source *, int32_t partition, int64_t offset, struct error *);
	/* low: oldest offset kept; high: the next offset to be written. May ask the network. */
	int (*watermarks)(struct source *, int32_t partition, int64_t *ret_low, int64_t *ret_high, struct error *);
	/* The newest known high watermark, from memory; -1 where none was seen. */
	int64_t (*cached_high)(struct source *, int32_t partition);
	/* Partitions of the topic, 0..n-1. */
	int (*partition_count)(struct source *, int32_t *ret_count, struct error *);
	/* Names this incarnation of the topic (Kafka's topic id, KIP-516); "" where it has none. size >= 64. */
	int (*topic_id)(struct source *, char *id, size_t size, struct error *);
	/* The same question without waiting, and its answer, which is waited for: both on one thread, which need not be
	 * the polling one. At most one question is open; the next one takes its place. What was polled before ask_id is
	 * of the topic that the answer names, or of one before it. NULL: there is no id, or it cannot change. */
	void (*ask_id)(struct source *);
	int (*id_answer)(struct source *, char *id, size_t size, struct error *);
	/* A hint for lag monitors (Kafka's committed offset): not waited for, never the truth. */
	void (*store_hint)(struct source *, int32_t partition, int64_t next_offset);
	/* Where the end is not known before all is read (files): from here on nothing new is given, and POLL_LANE_END
	 * tells the end, also where it was told before. NULL: watermarks tell it. */
	int (*freeze)(struct source *, struct error *);
	/* Leaves the group (calls `revoked`), frees the source. */
	void (*close)(struct source *);
};

struct source {
	const struct source_ops *ops;
};

/* Kafka: one consumer in a group on one topic. Properties are librdkafka's, passed through; the ones Tarn must own
 * (enable.auto.commit, enable.auto.offset.store, auto.offset.reset, enable.partition.eof, check.crcs ...) win, with an
 * INVALID error where a user sets one of them to something else. */
struct kafka_property {
	const char *name, *value;
};

/* How messages come, and go. The last two are for bench: what librdkafka alone costs. */
enum kafka_way {
	KAFKA_APART, /* many a call, and freed on a thread of their own */
	KAFKA_MANY, /* many a call, freed by who reads them */
	KAFKA_SINGLE, /* a call a message */
};

struct kafka_config {
	const char *brokers, *topic, *group, *client_id;
	const struct kafka_property *properties;
	int property_count;
	int64_t prefetch_bytes; /* bound of librdkafka's own queue */
	bool assign_all; /* no group: read every partition (bench, verify) */
	enum kafka_way way;
	const char *stream_name; /* for log lines */
};

/* The source, or NULL with *err. Texts are copied. */
struct source *source_open_kafka(const struct kafka_config *config, const struct source_events *events,
                                 struct error *err);

/* Replays messages that the caller keeps alive; for tests and for the bench. Offsets of a lane must rise. Every lane is
 * assigned at the first poll; after the last message of a lane POLL_LANE_END is given once. */
struct source *source_open_memory(const struct message *messages, int count, const struct source_events *events,
                                  struct error *err);

/* The in-process broker: librdkafka's mock cluster. For trying things out and for tests, not for durability: it keeps
 * at most 5 MiB or 100,000 messages a partition, in memory, and drops the oldest. */
struct embedded_broker;
struct embedded_broker *embedded_broker_start(struct error *err);
/* "127.0.0.1:PORT", borrowed. Other processes may connect. */
const char *embedded_broker_address(const struct embedded_broker *broker);
int embedded_broker_create_topic(struct embedded_broker *broker, const char *topic, int partitions, struct error *err);
void embedded_broker_stop(struct embedded_broker *broker);

#endif
