#include "wire/kafka_conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"

static bool is_secret(const char *name)
{
	static const char *const parts[] = {"password", "secret", ".pem", "oauthbearer.config", "jaas"};

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (strcasestr(name, parts[i]))
			return true;
	return false;
}

const char *kafka_property_get(const struct kafka_property *properties, int count, const char *name)
{
	for (int i = count - 1; i >= 0; i--)
		if (!strcmp(properties[i].name, name))
			return properties[i].value;
	return NULL;
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char reason[256];

	if (!name || !value)
		return error_set(err, ERROR_INVALID, 0, "Kafka property %s has no %s", name ? name : "(unnamed)",
		                 name ? "value" : "name");
	if (is_secret(name))
		log_mask_secret(value);
	if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
		return 0;
	if (is_secret(name))
		return error_set(err, ERROR_INVALID, 0, "Kafka property %s: librdkafka refuses its value (not shown)",
		                 name);
	return error_set(err, ERROR_INVALID, 0, "Kafka property %s: %s", name, reason);
}

static int check_owned(const struct kafka_rules *rules, const struct kafka_property *property, struct error *err)
{
	for (int i = 0; i < rules->owned_count; i++) {
		const struct kafka_rule *rule = &rules->owned[i];

		if (!property->name || strcmp(property->name, rule->name))
			continue;
		if (property->value && !strcasecmp(property->value, rule->value))
			return 0;
		return error_set(err, ERROR_INVALID, 0, "Kafka property %s cannot be set to \"%s\": %s; leave it out",
		                 property->name, property->value ? property->value : "", rule->why);
	}
	return 0;
}

/* True where one more line may be written; *ret_dropped says how many were not since the last one. */
static bool limit_pass(struct kafka_limit *limit, int *ret_dropped)
{
	int64_t now = clock_monotonic_ms(), since = atomic_load(&limit->since_ms);

	if (now - since >= KAFKA_LINES_MS && atomic_compare_exchange_strong(&limit->since_ms, &since, now))
		atomic_store(&limit->passed, 0);
	if (atomic_fetch_add(&limit->passed, 1) >= KAFKA_LINES_MAX) {
		atomic_fetch_add(&limit->dropped, 1);
		return false;
	}
	*ret_dropped = atomic_exchange(&limit->dropped, 0);
	return true;
}

static void write_line(struct kafka_client *client, const char *text, int dropped)
{
	const char *name = client && client->name ? client->name : "";

	if (dropped)
		log_event(EVENT_KAFKA, FIELDS(LOG_TEXT("stream", name), LOG_NUMBER("lines_left_out", dropped)), "%s",
		          text);
	else
		log_event(EVENT_KAFKA, FIELDS(LOG_TEXT("stream", name)), "%s", text);
}

void kafka_warn(struct kafka_client *client, const char *format, ...)
{
	char text[512];
	va_list args;
	int dropped;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (!strncmp(client->said, text, sizeof client->said - 1) &&
	    clock_monotonic_ms() < client->said_ms + KAFKA_REPEAT_MS)
		return;
	if (!limit_pass(&client->limit, &dropped))
		return;
	snprintf(client->said, sizeof client->said, "%.*s", (int)sizeof client->said - 1, text);
	client->said_ms = clock_monotonic_ms();
	write_line(client, text, dropped);
}

/* Runs on librdkafka's own threads. Levels are syslog's: 4 is a warning; 7 only comes where the user set `debug`, and
 * then all of it is wanted. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	struct kafka_client *client = rd_kafka_opaque(rk);
	char line[1024];
	int dropped = 0;

	if (level == 5 || level == 6)
		return;
	if (level <= 4 && client && !limit_pass(&client->limit, &dropped))
		return;
	snprintf(line, sizeof line, "%s: %s", facility, text);
	write_line(client, line, dropped);
}

rd_kafka_conf_t *kafka_conf_new(struct kafka_client *client, const struct kafka_rules *rules,
                                const struct kafka_property *properties, int property_count, struct error *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	for (int i = 0; i < rules->default_count; i++)
		if (set(conf, rules->defaults[i].name, rules->defaults[i].value, err))
			goto failed;
	for (int i = 0; i < property_count; i++)
		if (check_owned(rules, &properties[i], err) || set(conf, properties[i].name, properties[i].value, err))
			goto failed;
	for (int i = 0; i < rules->owned_count; i++)
		if (set(conf, rules->owned[i].name, rules->owned[i].value, err))
			goto failed;
	rd_kafka_conf_set_opaque(conf, client);
	rd_kafka_conf_set_log_cb(conf, on_log);
	return conf;
failed:
	rd_kafka_conf_destroy(conf);
	return NULL;
}

rd_kafka_t *kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct error *err)
{
	char reason[384];
	rd_kafka_t *rk = rd_kafka_new(type, conf, reason, sizeof reason);

	if (rk)
		return rk;
	rd_kafka_conf_destroy(conf);
	error_set(err, ERROR_INVALID, (int)rd_kafka_last_error(), "the Kafka properties do not fit together: %s",
	          reason);
	if (err)
		log_mask(err->message);
	return NULL;
}

bool kafka_is_refusal(rd_kafka_resp_err_t code)
{
	switch ((int)code) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
	case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return true;
	default: return false;
	}
}

static int describe_failed(const char *topic, rd_kafka_resp_err_t code, const char *text, struct error *err)
{
	return error_set(err, kafka_is_refusal(code) ? ERROR_INVALID : ERROR_TRANSIENT, (int)code,
	                 "topic %s cannot be described: %s", topic, text && *text ? text : rd_kafka_err2str(code));
}

static int read_description(rd_kafka_event_t *event, const char *topic, struct kafka_topic *ret, struct error *err)
{
	const rd_kafka_DescribeTopics_result_t *result;
	const rd_kafka_TopicDescription_t **topics;
	const rd_kafka_error_t *error;
	const rd_kafka_Uuid_t *id;
	size_t count = 0;

	if (rd_kafka_event_error(event))
		return describe_failed(topic, rd_kafka_event_error(event), rd_kafka_event_error_string(event), err);
	result = rd_kafka_event_DescribeTopics_result(event);
	topics = result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
	if (!topics || count != 1)
		return describe_failed(topic, RD_KAFKA_RESP_ERR_UNKNOWN, "the broker's answer names no topic", err);
	*ret = (struct kafka_topic){0};
	error = rd_kafka_TopicDescription_error(topics[0]);
	switch ((int)rd_kafka_error_code(error)) {
	case RD_KAFKA_RESP_ERR_NO_ERROR: break;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC: return 0;
	default: return describe_failed(topic, rd_kafka_error_code(error), rd_kafka_error_string(error), err);
	}
	ret->exists = true;
	rd_kafka_TopicDescription_partitions(topics[0], &count);
	ret->partitions = (int32_t)count;
	id = rd_kafka_TopicDescription_topic_id(topics[0]);
	if (id && (rd_kafka_Uuid_most_significant_bits(id) || rd_kafka_Uuid_least_significant_bits(id)))
		snprintf(ret->id, sizeof ret->id, "%s", rd_kafka_Uuid_base64str(id));
	return 0;
}

rd_kafka_queue_t *kafka_topic_ask(rd_kafka_t *rk, const char *topic, int timeout_ms)
{
	const char *names[] = {topic};
	rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, 1);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	char reason[128];

	rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, reason, sizeof reason);
	rd_kafka_DescribeTopics(rk, topics, options, queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_TopicCollection_destroy(topics);
	return queue;
}

int kafka_topic_answer(rd_kafka_queue_t *queue, const char *topic, int timeout_ms, struct kafka_topic *ret,
                       struct error *err)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
	int result = -1;

	if (event) {
		result = read_description(event, topic, ret, err);
		rd_kafka_event_destroy(event);
	} else {
		describe_failed(topic, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, err);
	}
	rd_kafka_queue_destroy(queue);
	return result;
}

int kafka_topic_describe(rd_kafka_t *rk, const char *topic, int timeout_ms, struct kafka_topic *ret, struct error *err)
{
	return kafka_topic_answer(kafka_topic_ask(rk, topic, timeout_ms), topic, timeout_ms, ret, err);
}
