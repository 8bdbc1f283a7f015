/* producer.c - the producer over librdkafka. */
#include "wire/producer.h"

#include <rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "wire/kafka_conf.h"
#include "wire/pace.h"

#define WAIT_MS 20 /* between two looks at the stop flag and the consumer's position */
#define PACE_WAIT_MS 1
#define GROUP_ASK_MS 100 /* how old a committed offset may be */

struct producer {
	struct kafka_client client;
	rd_kafka_t *rk;
	bool embedded;
	int64_t (*position)(void *context, int32_t partition);
	void *position_context;
	const atomic_bool *stop;
	struct pace pace;
	struct producer_counts counts;
	bool failed;
	struct error failure; /* the first one */
};

static void fail(struct producer *producer, enum error_kind kind, int code, const char *text)
{
	if (!producer->failed)
		error_set(&producer->failure, kind, code, "%s", text);
	producer->failed = true;
}

static int give_failure(struct producer *producer, struct error *err)
{
	if (err)
		*err = producer->failure;
	return -1;
}

/* Runs in rd_kafka_poll and rd_kafka_flush, on the caller's thread. */
static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_client *client = opaque;
	struct producer *producer = client->owner;
	char text[384];

	if (!message->err) {
		producer->counts.acked++;
		producer->counts.acked_bytes += (int64_t)message->len;
		if (producer->position)
			pace_acked(&producer->pace, message->partition, message->offset);
		return;
	}
	producer->counts.failed++;
	snprintf(text, sizeof text, "a message of %zu bytes to topic %s partition %d was not delivered: %s",
	         message->len, rd_kafka_topic_name(message->rkt), message->partition, rd_kafka_err2str(message->err));
	fail(producer,
	     kafka_is_refusal(message->err) || message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERROR_INVALID
	                                                                                            : ERROR_TRANSIENT,
	     (int)message->err, text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_client *client = opaque;
	struct producer *producer = client->owner;
	char text[384];

	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		code = rd_kafka_fatal_error(rk, text, sizeof text);
		fail(producer, ERROR_FATAL, code, text);
	} else if (kafka_is_refusal(code)) {
		fail(producer, ERROR_INVALID, code, reason);
	} else {
		kafka_warn(client, "%s", reason);
	}
}

static rd_kafka_conf_t *make_conf(struct kafka_client *client, const struct producer_config *config, struct error *err)
{
	const struct kafka_rule defaults[] = {
	        {"client.id", config->client_id ? config->client_id : "tarn", NULL},
	        {"enable.idempotence", "true", NULL},
	        {"message.max.bytes", config->embedded ? "2500000" : KAFKA_MESSAGE_BYTES_MAX, NULL},
	        {"compression.type", config->embedded ? "none" : "zstd", NULL},
	        {"linger.ms", "5", NULL},
	        {"batch.size", "1000000", NULL},
	        {"queue.buffering.max.kbytes", "65536", NULL},
	};
	const struct kafka_rule owned[] = {
	        {"bootstrap.servers", config->brokers, "the brokers are given apart"},
	        {"metadata.broker.list", config->brokers, "the brokers are given apart"},
	};
	const struct kafka_rules rules = {defaults, COUNT_OF(defaults), owned, COUNT_OF(owned)};

	return kafka_conf_new(client, &rules, config->properties, config->property_count, err);
}

struct producer *producer_open(const struct producer_config *config, struct error *err)
{
	struct producer *producer = calloc(1, sizeof *producer);
	rd_kafka_conf_t *conf;

	if (!producer) {
		error_no_memory(err);
		return NULL;
	}
	producer->client = (struct kafka_client){.name = "producer", .owner = producer};
	producer->embedded = config->embedded;
	producer->position = config->position;
	producer->position_context = config->position_context;
	producer->stop = config->stop;
	pace_init(&producer->pace);
	conf = make_conf(&producer->client, config, err);
	if (conf) {
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
		rd_kafka_conf_set_error_cb(conf, on_error);
		producer->rk = kafka_new(RD_KAFKA_PRODUCER, conf, err);
	}
	if (!producer->rk) {
		free(producer);
		return NULL;
	}
	return producer;
}

void producer_close(struct producer *producer)
{
	if (!producer)
		return;
	rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_flush(producer->rk, 1000);
	rd_kafka_destroy(producer->rk);
	pace_release(&producer->pace);
	free(producer);
}

struct producer_counts producer_counts(const struct producer *producer)
{
	return producer->counts;
}

/* ---- the topic */

static int created(rd_kafka_event_t *event, const char *topic, struct error *err)
{
	const rd_kafka_CreateTopics_result_t *result = event ? rd_kafka_event_CreateTopics_result(event) : NULL;
	const rd_kafka_topic_result_t **topics;
	rd_kafka_resp_err_t code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	const char *text = event ? rd_kafka_event_error_string(event) : NULL;
	size_t count = 0;

	topics = result && !code ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
	if (topics && count == 1) {
		code = rd_kafka_topic_result_error(topics[0]);
		text = rd_kafka_topic_result_error_string(topics[0]);
	}
	if (!code || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	if (code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION)
		return error_set(err, ERROR_INVALID, (int)code,
		                 "topic %s does not exist and this broker cannot make topics (an embedded one has the "
		                 "topics of its manifest)",
		                 topic);
	return error_set(err,
	                 code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ? ERROR_TRANSIENT
	                                                                                              : ERROR_INVALID,
	                 (int)code, "topic %s cannot be made: %s", topic,
	                 text && *text ? text : rd_kafka_err2str(code));
}

static int create_topic(struct producer *producer, const char *topic, int partitions, struct error *err)
{
	char reason[256];
	rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, partitions, -1, reason, sizeof reason);
	rd_kafka_AdminOptions_t *options;
	rd_kafka_queue_t *queue;
	rd_kafka_event_t *event;
	int result;

	if (!wanted)
		return error_set(err, ERROR_INVALID, 0, "topic %s cannot be made: %s", topic, reason);
	rd_kafka_NewTopic_set_config(wanted, "max.message.bytes", KAFKA_MESSAGE_BYTES_MAX);
	options = rd_kafka_AdminOptions_new(producer->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_ASK_MS, reason, sizeof reason);
	rd_kafka_AdminOptions_set_operation_timeout(options, KAFKA_ASK_MS, reason, sizeof reason);
	queue = rd_kafka_queue_new(producer->rk);
	rd_kafka_CreateTopics(producer->rk, &wanted, 1, options, queue);
	event = rd_kafka_queue_poll(queue, KAFKA_ASK_MS + 1000);
	result = created(event, topic, err);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_NewTopic_destroy(wanted);
	return result;
}

int producer_ensure_topic(struct producer *producer, const char *topic, int partitions, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + KAFKA_ASK_MS;
	struct kafka_topic found;
	bool asked = false;

	if (!topic || !*topic || partitions < 1)
		return error_set(err, ERROR_INVALID, 0, "a topic needs a name and at least one partition");
	for (;;) {
		if (producer_poll(producer, 0, err) ||
		    kafka_topic_describe(producer->rk, topic, KAFKA_ASK_MS, &found, err))
			return -1;
		if (found.exists && found.partitions >= partitions)
			return 0;
		if (found.exists)
			return error_set(err, ERROR_INVALID, 0,
			                 "topic %s has %d partitions, fewer than the %d asked for: ask for %d, or add "
			                 "partitions to the topic",
			                 topic, found.partitions, partitions, found.partitions);
		if (!asked && create_topic(producer, topic, partitions, err))
			return -1;
		asked = true;
		if (clock_monotonic_ms() > deadline)
			return error_set(err, ERROR_TRANSIENT, 0, "topic %s was made but is not seen yet", topic);
		rd_kafka_poll(producer->rk, WAIT_MS);
	}
}

/* ---- sending */

static bool stopped(const struct producer *producer)
{
	return producer->stop && atomic_load_explicit(producer->stop, memory_order_relaxed);
}

static enum producer_result wait_for_pace(struct producer *producer, const struct producer_message *message)
{
	for (;;) {
		pace_passed(&producer->pace, message->partition,
		            producer->position(producer->position_context, message->partition));
		if (pace_allows(&producer->pace, message->partition, message->size))
			return PRODUCER_SENT;
		if (stopped(producer))
			return PRODUCER_STOPPED;
		rd_kafka_poll(producer->rk, PACE_WAIT_MS);
		if (producer->failed)
			return PRODUCER_ERROR;
	}
}

static rd_kafka_headers_t *copy_headers(const struct producer_message *message)
{
	rd_kafka_headers_t *headers =
	        message->header_count ? rd_kafka_headers_new((size_t)message->header_count) : NULL;

	for (int i = 0; i < message->header_count; i++)
		rd_kafka_header_add(headers, message->headers[i].name, -1, message->headers[i].value,
		                    (ssize_t)message->headers[i].size);
	return headers;
}

static rd_kafka_resp_err_t produce(struct producer *producer, const struct producer_message *message)
{
	rd_kafka_headers_t *headers = copy_headers(message);
	rd_kafka_vu_t args[8] = {
	        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = message->topic},
	        {.vtype = RD_KAFKA_VTYPE_PARTITION,
	         .u.i32 = message->partition < 0 ? RD_KAFKA_PARTITION_UA : message->partition},
	        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)message->payload, message->size}},
	        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)message->key, message->key_size}},
	        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = message->take ? RD_KAFKA_MSG_F_FREE : RD_KAFKA_MSG_F_COPY},
	        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = message->timestamp_ms},
	        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
	};
	rd_kafka_error_t *error = rd_kafka_produceva(producer->rk, args, headers ? 7 : 6);
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);

	if (error)
		rd_kafka_error_destroy(error);
	if (code && headers)
		rd_kafka_headers_destroy(headers);
	return code;
}

static int refused(struct producer *producer, const struct producer_message *message, rd_kafka_resp_err_t code,
                   struct error *err)
{
	if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return error_set(err, ERROR_INVALID, (int)code, "a message of %zu bytes to topic %s is too large: %s",
		                 message->size, message->topic,
		                 producer->embedded ? "the embedded broker takes 2.5 MB"
		                                    : "message.max.bytes says how large it may be");
	return error_set(err, code == RD_KAFKA_RESP_ERR__FATAL ? ERROR_FATAL : ERROR_INVALID, (int)code,
	                 "a message to topic %s partition %d cannot be sent: %s", message->topic, message->partition,
	                 rd_kafka_err2str(code));
}

enum producer_result producer_send(struct producer *producer, const struct producer_message *message, struct error *err)
{
	rd_kafka_resp_err_t code;

	rd_kafka_poll(producer->rk, 0);
	if (producer->failed)
		return give_failure(producer, err);
	if (producer->position) {
		enum producer_result result = wait_for_pace(producer, message);

		if (result != PRODUCER_SENT)
			return result == PRODUCER_ERROR ? give_failure(producer, err) : result;
	}
	for (code = produce(producer, message); code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
	     code = produce(producer, message)) {
		if (stopped(producer))
			return PRODUCER_STOPPED;
		rd_kafka_poll(producer->rk, WAIT_MS);
		if (producer->failed)
			return give_failure(producer, err);
	}
	if (code)
		return refused(producer, message, code, err);
	producer->counts.sent++;
	return producer->position ? pace_sent(&producer->pace, message->partition, message->size, err) : 0;
}

int producer_poll(struct producer *producer, int timeout_ms, struct error *err)
{
	rd_kafka_poll(producer->rk, timeout_ms);
	return producer->failed ? give_failure(producer, err) : 0;
}

int producer_flush(struct producer *producer, int timeout_ms, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	for (;;) {
		rd_kafka_resp_err_t code = rd_kafka_flush(producer->rk, WAIT_MS * 5);

		if (producer->failed)
			return give_failure(producer, err);
		if (!code)
			return 0;
		if (clock_monotonic_ms() >= deadline)
			return error_set(err, ERROR_TRANSIENT, (int)code,
			                 "%lld messages were not acknowledged in %d ms",
			                 (long long)(producer->counts.sent - producer->counts.acked), timeout_ms);
	}
}

/* ---- a group's committed offsets */

struct group_position {
	struct kafka_client client;
	rd_kafka_t *rk;
	char *topic;
	int partitions;
	int64_t asked_ms;
	rd_kafka_topic_partition_list_t *list;
	int64_t offsets[]; /* by partition */
};

struct group_position *group_position_open(const struct producer_config *config, const char *group, const char *topic,
                                           int partitions, struct error *err)
{
	struct group_position *position =
	        calloc(1, sizeof *position + (size_t)partitions * sizeof position->offsets[0]);
	const struct kafka_rule owned[] = {{"bootstrap.servers", config->brokers, "the brokers are given apart"},
	                                   {"group.id", group, "the group is given apart"},
	                                   {"enable.auto.commit", "false", "it only looks"}};
	const struct kafka_rules rules = {.owned = owned, .owned_count = COUNT_OF(owned)};
	rd_kafka_conf_t *conf;

	if (!position) {
		error_no_memory(err);
		return NULL;
	}
	position->client = (struct kafka_client){.name = "pace", .owner = position};
	position->topic = strdup(topic);
	position->partitions = partitions;
	for (int i = 0; i < partitions; i++)
		position->offsets[i] = -1;
	position->list = rd_kafka_topic_partition_list_new(partitions);
	rd_kafka_topic_partition_list_add_range(position->list, topic, 0, partitions - 1);
	conf = position->topic
	               ? kafka_conf_new(&position->client, &rules, config->properties, config->property_count, err)
	               : NULL;
	position->rk = conf ? kafka_new(RD_KAFKA_CONSUMER, conf, err) : NULL;
	if (!position->rk) {
		group_position_close(position);
		return NULL;
	}
	return position;
}

int64_t group_position_get(void *group_position, int32_t partition)
{
	struct group_position *position = group_position;
	int64_t now = clock_monotonic_ms();

	if (now - position->asked_ms >= GROUP_ASK_MS) {
		if (rd_kafka_committed(position->rk, position->list, KAFKA_ASK_MS))
			kafka_warn(&position->client, "the group's committed offsets cannot be read");
		for (int i = 0; i < position->list->cnt; i++)
			if (position->list->elems[i].offset >= 0 &&
			    position->list->elems[i].partition < position->partitions)
				position->offsets[position->list->elems[i].partition] = position->list->elems[i].offset;
		position->asked_ms = clock_monotonic_ms();
	}
	return partition >= 0 && partition < position->partitions ? position->offsets[partition] : -1;
}

void group_position_close(struct group_position *position)
{
	if (!position)
		return;
	if (position->rk)
		rd_kafka_destroy(position->rk);
	rd_kafka_topic_partition_list_destroy(position->list);
	free(position->topic);
	free(position);
}
