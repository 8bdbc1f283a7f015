/*
 * producer.h - messages out: to a topic of a Kafka cluster, or of the embedded broker.
 *
 * Invariants:
 *  1. A message counts as acknowledged only when the cluster has it (acks=all, idempotent unless the user says
 * otherwise).
 *  2. The first message that cannot be delivered ends the producer: each later call returns its error.
 *  3. With `position` no partition runs further ahead of its consumer than wire/pace.h allows.
 *
 * Life cycle: producer_open -> producer_ensure_topic -> producer_send... -> producer_flush -> producer_close.
 * One thread calls; `position` runs on it.
 */
#ifndef TARN_WIRE_PRODUCER_H
#define TARN_WIRE_PRODUCER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/source.h"

struct producer_config {
	const char *brokers, *client_id; /* client_id NULL: "tarn" */
	const struct kafka_property *properties;
	int property_count;
	/* The broker is the embedded one: nothing is compressed, and a message has at most EMBEDDED_MESSAGE_BYTES_MAX.
	 */
	bool embedded;
	/* The next offset that the consumer wants of this partition, -1 where it is not known; NULL: no pacing. */
	int64_t (*position)(void *context, int32_t partition);
	void *position_context;
	const atomic_bool *stop; /* may be NULL; true ends the waiting in producer_send */
};

/* Two such messages fit the embedded broker's 5 MiB a partition; of two larger ones it can lose the newer. */
#define EMBEDDED_MESSAGE_BYTES_MAX 2500000

struct producer_header {
	const char *name;
	const void *value; /* NULL: none */
	size_t size;
};

struct producer_message {
	const char *topic;
	int32_t partition; /* -1: by key, or any */
	const void *payload;
	size_t size;
	bool take; /* payload was malloc'ed and is the producer's once producer_send returns PRODUCER_SENT; else it is
	              copied */
	const void *key; /* copied; NULL: none */
	size_t key_size;
	const struct producer_header *headers; /* copied */
	int header_count;
	int64_t timestamp_ms; /* 0: now */
};

struct producer_counts {
	int64_t sent, acked, failed; /* messages */
	int64_t acked_bytes; /* of their payloads */
};

enum producer_result { PRODUCER_ERROR = -1, PRODUCER_SENT = 0, PRODUCER_STOPPED = 1 };

struct producer;
struct producer *producer_open(const struct producer_config *config, struct error *err);

/* Makes the topic where the cluster has none (with the broker's default replication); an existing one with fewer
 * partitions is an INVALID error. */
int producer_ensure_topic(struct producer *producer, const char *topic, int partitions, struct error *err);

/* Waits while the queue is full or the partition is too far ahead. */
enum producer_result producer_send(struct producer *producer, const struct producer_message *message,
                                   struct error *err);

/* Serves acknowledgements for up to timeout_ms: for a caller that waits for something else. */
int producer_poll(struct producer *producer, int timeout_ms, struct error *err);

/* Waits until all is acknowledged. TRANSIENT after timeout_ms. */
int producer_flush(struct producer *producer, int timeout_ms, struct error *err);
struct producer_counts producer_counts(const struct producer *producer);
/* Throws away what was not acknowledged. */
void producer_close(struct producer *producer);

/*
 * The committed offsets of a group, as a `position`: for pacing by a consumer in another process. They are as old as
 * the consumer's last commit, so this paces more tightly than the consumer's own position would.
 */
struct group_position;
struct group_position *group_position_open(const struct producer_config *config, const char *group, const char *topic,
                                           int partitions, struct error *err);
int64_t group_position_get(void *group_position, int32_t partition);
void group_position_close(struct group_position *position);

#endif
