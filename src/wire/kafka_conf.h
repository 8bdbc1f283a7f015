/*
 * kafka_conf.h - what wire/'s users of librdkafka have in common: properties, log lines, what a topic is.
 *
 * Private to wire/: only kafka.c, producer.c, embedded.c and kafka_conf.c include it, and rdkafka.h with it.
 *
 * Invariants:
 *  1. The order is: our defaults, the user's properties, the properties that Tarn owns. So a user's value wins over a
 *     default under each of a property's names, and never over an owned one (that is an INVALID error, with the
 * reason).
 *  2. A secret's value never enters an error; it is registered with log_mask_secret before librdkafka sees it.
 *  3. Log lines are limited (KAFKA_LINES_MAX a KAFKA_LINES_MS), and the next line that passes says how many did not.
 *
 * Life cycle: kafka_conf_new -> rd_kafka_new takes the conf (on failure: rd_kafka_conf_destroy).
 */
#ifndef TARN_WIRE_KAFKA_CONF_H
#define TARN_WIRE_KAFKA_CONF_H

#include <rdkafka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/source.h"

#define KAFKA_LINES_MAX 10
#define KAFKA_LINES_MS 10000
#define KAFKA_REPEAT_MS 30000 /* the same warning again only after this time */
#define KAFKA_ASK_MS 10000 /* how long one question to the cluster may take */
#define KAFKA_MESSAGE_BYTES_MAX "16777216" /* 16 MiB */

/* Lets KAFKA_LINES_MAX lines pass in KAFKA_LINES_MS. All zero at first; any thread. */
struct kafka_limit {
	_Atomic int64_t since_ms;
	atomic_int passed;
	atomic_int dropped; /* since the last line that passed */
};

/* One librdkafka client; its address is the conf's opaque. It must outlive the client. */
struct kafka_client {
	const char *name; /* for log lines: the stream or topic; borrowed */
	struct kafka_limit limit;
	char said[160]; /* kafka_warn's last line (polling thread) */
	int64_t said_ms;
	void *owner; /* the source or producer */
};

/* A property with the value it has unless the user gives another, or that it must have (`why`). */
struct kafka_rule {
	const char *name, *value, *why;
};

struct kafka_rules {
	const struct kafka_rule *defaults;
	int default_count;
	const struct kafka_rule *owned;
	int owned_count;
};

rd_kafka_conf_t *kafka_conf_new(struct kafka_client *client, const struct kafka_rules *rules,
                                const struct kafka_property *properties, int property_count, struct error *err);

/* Takes conf in every case. NULL with *err: INVALID where librdkafka refuses the properties together. */
rd_kafka_t *kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *err);

/* The value that the user gives this property, or NULL. Borrowed. */
const char *kafka_property_get(const struct kafka_property *properties, int count, const char *name);

/* A warn line of this client, limited. */
void kafka_warn(struct kafka_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* INVALID: credentials or rights are missing; trying again does not help. */
bool kafka_is_refusal(rd_kafka_resp_err_t code);

struct kafka_topic {
	bool exists;
	int32_t partitions;
	char id[64]; /* KIP-516, base64; "" where the broker has none */
};

/* Asks the cluster. A topic that does not exist is no error. */
int kafka_topic_describe(rd_kafka_t *rk, const char *topic, int timeout_ms, struct kafka_topic *ret, struct error *err);
/* The same in two steps: the answer comes to this queue, which kafka_topic_answer takes (or its owner destroys). */
rd_kafka_queue_t *kafka_topic_ask(rd_kafka_t *rk, const char *topic, int timeout_ms);
int kafka_topic_answer(rd_kafka_queue_t *queue, const char *topic, int timeout_ms, struct kafka_topic *ret,
                       struct error *err);

#endif
