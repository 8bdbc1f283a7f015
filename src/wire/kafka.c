/*
 * kafka.c - one consumer on one topic: opening, polling and the other operations. kafka_lanes.h has the lanes' rules.
 *
 * While all lanes are paused the queue is not touched at all for PAUSE_QUIET_MS, so that nothing fetched ahead is
 * thrown away; after that rebalances must be heard again.
 *
 * A seek is refused by librdkafka in some states (after an out-of-range error, before the first fetch); then the lane
 * is taken out of the assignment and put in again at the new offset.
 */
#include <rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/owned.h"
#include "wire/headers.h"
#include "wire/kafka_lanes.h"

#define PAUSE_QUIET_MS 500
#define HEAR_MS 100

static struct kafka_source *of(struct source *source)
{
	return (struct kafka_source *)source;
}

/* ---- polling */

static void release_message(struct message *message)
{
	spent_add(message->context, message->owner);
}

static void append_headers(const struct message *message, struct buffer *out)
{
	rd_kafka_headers_t *headers;
	const char *name;
	const void *value;
	size_t size;

	if (rd_kafka_message_headers(message->owner, &headers) || !rd_kafka_header_cnt(headers))
		return;
	buffer_char(out, '[');
	for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++) {
		if (i)
			buffer_char(out, ',');
		headers_pair_json(out, name, value, size);
	}
	buffer_char(out, ']');
}

static enum poll_result give_out(struct kafka_source *source, struct lane *lane, rd_kafka_message_t *m,
                                 struct message *ret)
{
	rd_kafka_timestamp_type_t type;

	*ret = (struct message){
	        .partition = m->partition,
	        .offset = m->offset,
	        .timestamp_ms = rd_kafka_message_timestamp(m, &type),
	        .payload = m->payload,
	        .size = m->len,
	        .key = m->key,
	        .key_size = m->key_len,
	        .owner = m,
	        .context = source->spent,
	        .release = release_message,
	        .headers = append_headers,
	};
	lane->position = m->offset + 1;
	return POLL_MESSAGE;
}

static enum poll_result take_message(struct kafka_source *source, rd_kafka_message_t *m, struct message *ret)
{
	struct lane *lane = lane_at(source, m->partition);

	if (lane && lane->state == LANE_READING && !lane->astray && m->offset >= lane->position)
		return give_out(source, lane, m, ret);
	rd_kafka_message_destroy(m);
	return POLL_NOTHING;
}

/* What librdkafka says in place of a message; most of it passes by itself. */
static enum poll_result take_error_event(struct kafka_source *source, const rd_kafka_message_t *m, struct message *ret,
                                         struct error *err)
{
	struct lane *lane = m->rkt ? lane_at(source, m->partition) : NULL;
	const char *text = rd_kafka_message_errstr(m);

	switch ((int)m->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		if (!lane || lane->state != LANE_READING || lane->astray)
			return POLL_NOTHING;
		*ret = (struct message){.partition = m->partition, .offset = m->offset, .timestamp_ms = -1};
		if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
			return POLL_OUT_OF_RANGE;
		return POLL_LANE_END;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		kafka_warn(&source->client, "topic %s does not exist yet; waiting for it", source->topic);
		return POLL_NOTHING;
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		if (!lane || lane->state != LANE_READING || lane->astray || !broken_found(source, lane, m, err))
			return POLL_NOTHING;
		return POLL_ERROR;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
		error_set(err, ERROR_CORRUPT, (int)m->err, "topic %s partition %d offset %lld: %s", source->topic,
		          m->partition, (long long)m->offset, text);
		return POLL_ERROR;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
	case RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT:
	case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
	case RD_KAFKA_RESP_ERR_UNSUPPORTED_ASSIGNOR:
		error_set(err, ERROR_INVALID, (int)m->err, "topic %s: %s", source->topic, text);
		return POLL_ERROR;
	default: break;
	}
	if (kafka_is_refusal(m->err) &&
	    !(source->assign_all && m->err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)) {
		error_set(err, ERROR_INVALID, (int)m->err, "topic %s: %s: check the credentials and their rights",
		          source->topic, text);
		return POLL_ERROR;
	}
	kafka_warn(&source->client, "topic %s: %s", source->topic, text);
	return POLL_NOTHING;
}

/* Errors of the client as a whole; runs inside rd_kafka_consumer_poll. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_client *client = opaque;
	struct kafka_source *source = client->owner;
	char text[384];
	struct error err = {0};

	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		code = rd_kafka_fatal_error(rk, text, sizeof text);
		error_set(&err, ERROR_FATAL, code, "Kafka consumer of topic %s: %s", source->topic, text);
		lanes_fail_poll(source, &err);
	} else if (kafka_is_refusal(code)) {
		error_set(&err, ERROR_INVALID, code, "Kafka broker refuses this client: %s: check the credentials",
		          reason);
		lanes_fail_poll(source, &err);
	} else {
		kafka_warn(client, "%s", reason);
	}
}

static bool all_quiet(struct kafka_source *source)
{
	int64_t now;

	if (!source->reading_count || source->paused_count < source->reading_count)
		return false;
	now = clock_monotonic_ms();
	if (!source->quiet_until_ms)
		source->quiet_until_ms = now + PAUSE_QUIET_MS;
	return now < source->quiet_until_ms;
}

static enum poll_result take_event(struct kafka_source *source, rd_kafka_message_t *m, struct message *ret,
                                   struct error *err)
{
	enum poll_result result;

	if (!m->err)
		return take_message(source, m, ret);
	result = take_error_event(source, m, ret, err);
	rd_kafka_message_destroy(m);
	return result;
}

/* The group's news come by fetching: a reader that takes long over its messages must not miss them. */
static bool must_hear(struct kafka_source *source)
{
	return ++source->given % 16 == 0 && (source->ahead_at || source->broken_count) &&
	       clock_monotonic_ms() > source->fetched_ms + HEAR_MS;
}

/* Lanes that wait for `assigned`, and errors that a callback left. */
static int settle(struct kafka_source *source, int timeout_ms, struct error *err)
{
	if (source->failed) {
		source->failed = false;
		*err = source->failure;
		return -1;
	}
	if (source->assign_all && !source->all_assigned && lanes_all(source, timeout_ms, err))
		return -1;
	if (source->astray && lanes_bring_back(source, err))
		return -1;
	return source->asking ? lanes_ask(source, err) : 0;
}

static enum poll_result kafka_poll(struct source *base, int timeout_ms, struct message *ret, struct error *err)
{
	struct kafka_source *source = of(base);
	struct error unused;
	int64_t deadline = 0; /* not needed, as long as there are messages */
	int left = timeout_ms;

	err = err ? err : &unused;
	if ((source->ahead_count || source->broken_count) && must_hear(source))
		ahead_fetch(source, 0);
	for (;;) {
		if (source->broken_count && broken_next(source, ret))
			return POLL_MESSAGE;
		rd_kafka_message_t *m = source->ahead_count ? ahead_next(source) : NULL;
		enum poll_result result = m ? take_event(source, m, ret, err) : POLL_NOTHING;

		if (result != POLL_NOTHING)
			return result;
		if (m)
			continue;
		if (deadline)
			left = (int)(deadline - clock_monotonic_ms());
		else
			deadline = clock_monotonic_ms() + timeout_ms;
		left = left > 0 ? left : 0;
		if ((source->failed || source->asking || source->astray || source->assign_all) &&
		    settle(source, left, err)) {
			/* The group's news all the same: it may take away the very lane that is the trouble. */
			ahead_fetch(source, 0);
			return POLL_ERROR;
		}
		if (source->paused_count && all_quiet(source)) {
			clock_sleep_ms(left);
			return POLL_NOTHING;
		}
		if (!ahead_fetch(source, left) && !left && !source->failed)
			return POLL_NOTHING;
	}
}

/* ---- the other operations */

static int kafka_pause(struct source *base, int32_t partition, struct error *err)
{
	struct lane *lane = lane_find_reading(of(base), partition, err);

	if (!lane)
		return -1;
	if (lane->pause != PAUSE_NONE)
		return 0;
	lane_set_pause(of(base), lane, PAUSE_NOTED);
	return 0;
}

static int kafka_resume(struct source *base, int32_t partition, struct error *err)
{
	struct kafka_source *source = of(base);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
	struct lane *lane = lane_find_reading(source, partition, err);

	if (!lane)
		return -1;
	if (lane->pause == PAUSE_REAL) {
		list = lanes_list(source, partition, RD_KAFKA_OFFSET_INVALID);
		code = rd_kafka_resume_partitions(source->rk, list);
		code = code ? code : list->elems[0].err;
		rd_kafka_topic_partition_list_destroy(list);
	}
	if (code)
		return lane_error(source, partition, "resume", code, err);
	lane_set_pause(source, lane, PAUSE_NONE);
	return 0;
}

static int kafka_seek(struct source *base, int32_t partition, int64_t offset, struct error *err)
{
	struct kafka_source *source = of(base);
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_error_t *error;
	struct lane *lane = lane_find_reading(source, partition, err);
	bool done;

	if (!lane)
		return -1;
	lane_drop_ahead(source, lane);
	lane->position = offset;
	list = lanes_list(source, partition, offset);
	error = rd_kafka_seek_partitions(source->rk, list, KAFKA_ASK_MS);
	done = !error && !list->elems[0].err;
	lane->astray &= !done;
	if (error)
		rd_kafka_error_destroy(error);
	rd_kafka_topic_partition_list_destroy(list);
	return done ? 0 : lane_reassign(source, partition, lane, err);
}

static int kafka_watermarks(struct source *base, int32_t partition, int64_t *ret_low, int64_t *ret_high,
                            struct error *err)
{
	struct kafka_source *source = of(base);
	int64_t low, high;
	rd_kafka_resp_err_t code;

	code = rd_kafka_query_watermark_offsets(source->rk, source->topic, partition, &low, &high, KAFKA_ASK_MS);
	if (code)
		return lane_error(source, partition, "asking for its first and last offset", code, err);
	*ret_low = low;
	*ret_high = high;
	return 0;
}

static int64_t kafka_cached_high(struct source *base, int32_t partition)
{
	int64_t low, high;

	if (rd_kafka_get_watermark_offsets(of(base)->rk, of(base)->topic, partition, &low, &high))
		return -1;
	return high < 0 ? -1 : high;
}

/* Takes the question. */
static int answer_existing(struct kafka_source *source, rd_kafka_queue_t *question, struct kafka_topic *ret,
                           struct error *err)
{
	if (kafka_topic_answer(question, source->topic, KAFKA_ASK_MS, ret, err))
		return -1;
	if (!ret->exists)
		return error_set(err, ERROR_TRANSIENT, 0, "topic %s does not exist", source->topic);
	return 0;
}

static int describe_existing(struct kafka_source *source, struct kafka_topic *ret, struct error *err)
{
	return answer_existing(source, kafka_topic_ask(source->rk, source->topic, KAFKA_ASK_MS), ret, err);
}

static int kafka_partition_count(struct source *base, int32_t *ret_count, struct error *err)
{
	struct kafka_topic topic;

	if (describe_existing(of(base), &topic, err))
		return -1;
	*ret_count = topic.partitions;
	return 0;
}

static int kafka_topic_id(struct source *base, char *id, size_t size, struct error *err)
{
	struct kafka_topic topic;

	if (describe_existing(of(base), &topic, err))
		return -1;
	snprintf(id, size, "%s", topic.id);
	return 0;
}

static void kafka_ask_id(struct source *base)
{
	struct kafka_source *source = of(base);

	if (source->question)
		rd_kafka_queue_destroy(source->question);
	source->question = kafka_topic_ask(source->rk, source->topic, KAFKA_ASK_MS);
}

static int kafka_id_answer(struct source *base, char *id, size_t size, struct error *err)
{
	struct kafka_topic topic;

	if (answer_existing(of(base), TAKE(of(base)->question), &topic, err))
		return -1;
	snprintf(id, size, "%s", topic.id);
	return 0;
}

/* A hint that does not arrive harms nobody: the next one says more. */
static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
}

static void kafka_store_hint(struct source *base, int32_t partition, int64_t next_offset)
{
	struct kafka_source *source = of(base);
	rd_kafka_topic_partition_list_t *list;

	if (source->assign_all)
		return;
	list = lanes_list(source, partition, next_offset);
	rd_kafka_commit(source->rk, list, 1);
	rd_kafka_topic_partition_list_destroy(list);
}

static void source_free(struct kafka_source *source)
{
	ahead_drop_all(source);
	spent_free(source->spent);
	if (source->question)
		rd_kafka_queue_destroy(source->question);
	if (source->queue)
		rd_kafka_queue_destroy(source->queue);
	if (source->rk)
		rd_kafka_destroy(source->rk);
	if (source->conf)
		rd_kafka_conf_destroy(source->conf);
	free(source->lanes);
	free(source->topic);
	free(source->name);
	free(source);
}

static void kafka_close(struct source *base)
{
	struct kafka_source *source = of(base);

	source->closing = true;
	ahead_drop_all(source);
	spent_free(TAKE(source->spent));
	if (source->assign_all)
		lanes_revoke_rest(source, false);
	rd_kafka_consumer_close(source->rk);
	/* What the group did not ask back: it has forgotten this member. */
	lanes_revoke_rest(source, true);
	source_free(source);
}

/* ---- opening */

static const struct source_ops kafka_ops = {
        .poll = kafka_poll,
        .pause = kafka_pause,
        .resume = kafka_resume,
        .seek = kafka_seek,
        .watermarks = kafka_watermarks,
        .cached_high = kafka_cached_high,
        .partition_count = kafka_partition_count,
        .topic_id = kafka_topic_id,
        .ask_id = kafka_ask_id,
        .id_answer = kafka_id_answer,
        .store_hint = kafka_store_hint,
        .close = kafka_close,
};

static rd_kafka_conf_t *make_conf(struct kafka_source *source, const struct kafka_config *config, struct error *err)
{
	const char *protocol = kafka_property_get(config->properties, config->property_count, "group.protocol");
	bool kip848 = protocol && !strcasecmp(protocol, "consumer");
	char prefetch_kb[24], response[24], share[24];
	const struct kafka_rule defaults[] = {
	        {"client.id", config->client_id ? config->client_id : "tarn", NULL},
	        {"isolation.level", "read_committed", NULL},
	        /* librdkafka counts what is queued before it asks, not what the answer adds to it: that is unpacked as
	         * a whole, to several times its size, and a live message keeps all of it. So answers are small... */
	        {"fetch.max.bytes", response, NULL},
	        /* ... and hold more than one lane. A larger message still comes, alone (KIP-74). */
	        {"fetch.message.max.bytes", share, NULL},
	        {"queued.max.messages.kbytes", prefetch_kb, NULL},
	        /* A full queue is empty again within milliseconds; librdkafka would look after a second. */
	        {"fetch.queue.backoff.ms", "10", NULL},
	        /* The embedded broker answers an empty fetch only after this time, whatever arrives meanwhile. */
	        {"fetch.wait.max.ms", "100", NULL},
	        /* How soon a topic or partition made later is seen. */
	        {"topic.metadata.refresh.interval.ms", "10000", NULL},
	        /* Last: KIP-848 forbids it. */
	        {"partition.assignment.strategy", "cooperative-sticky", NULL},
	};
	const struct kafka_rule owned[] = {
	        {"bootstrap.servers", config->brokers, "the stream's brokers say where Kafka is"},
	        {"metadata.broker.list", config->brokers, "the stream's brokers say where Kafka is"},
	        {"group.id", config->group ? config->group : "tarn", "the stream's group says it"},
	        {"enable.auto.commit", "false", "offsets commit with the rows, in the lake"},
	        {"enable.auto.offset.store", "false", "offsets commit with the rows, in the lake"},
	        {"auto.offset.reset", "error", "where to go on is read from the lake, never guessed"},
	        {"enable.partition.eof", "true", "Tarn must know where a partition ends"},
	};
	const struct kafka_rules rules = {defaults, (int)COUNT_OF(defaults) - kip848, owned, COUNT_OF(owned)};
	int64_t kb = config->prefetch_bytes > 0 ? config->prefetch_bytes / 1024 : 65536;
	int64_t response_kb = kb / 8 < 1024 ? 1024 : kb / 8 > 16384 ? 16384 : kb / 8;
	rd_kafka_conf_t *conf;

	snprintf(response, sizeof response, "%lld", (long long)response_kb * 1024);
	snprintf(share, sizeof share, "%lld", (long long)response_kb * 256);
	snprintf(prefetch_kb, sizeof prefetch_kb, "%lld", (long long)(kb < 1 ? 1 : kb > 2097151 ? 2097151 : kb));
	conf = kafka_conf_new(&source->client, &rules, config->properties, config->property_count, err);
	if (!conf)
		return NULL;
	source->conf = rd_kafka_conf_dup(conf);
	rd_kafka_conf_set_rebalance_cb(conf, lanes_on_rebalance);
	rd_kafka_conf_set_offset_commit_cb(conf, on_committed);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return conf;
}

static int subscribe(struct kafka_source *source, struct error *err)
{
	rd_kafka_topic_partition_list_t *list = lanes_list(source, RD_KAFKA_PARTITION_UA, RD_KAFKA_OFFSET_INVALID);
	rd_kafka_resp_err_t code = rd_kafka_subscribe(source->rk, list);

	rd_kafka_topic_partition_list_destroy(list);
	if (code)
		return error_set(err, ERROR_INVALID, (int)code, "cannot subscribe to topic %s: %s", source->topic,
		                 rd_kafka_err2str(code));
	return 0;
}

struct source *source_open_kafka(const struct kafka_config *config, const struct source_events *events,
                                 struct error *err)
{
	struct kafka_source *source = calloc(1, sizeof *source);
	rd_kafka_conf_t *conf;

	if (!source) {
		error_no_memory(err);
		return NULL;
	}
	*source = (struct kafka_source){
	        .source = {&kafka_ops}, .events = *events, .assign_all = config->assign_all, .way = config->way};
	source->topic = strdup(config->topic);
	source->name = strdup(config->stream_name ? config->stream_name : config->topic);
	source->client = (struct kafka_client){.name = source->name, .owner = source};
	if (!source->topic || !source->name) {
		error_no_memory(err);
		goto failed;
	}
	conf = make_conf(source, config, err);
	source->rk = conf ? kafka_new(RD_KAFKA_CONSUMER, conf, err) : NULL;
	if (!source->rk || (config->way == KAFKA_APART && !(source->spent = spent_new(err))))
		goto failed;
	rd_kafka_poll_set_consumer(source->rk);
	source->queue = rd_kafka_queue_get_consumer(source->rk);
	if (!source->assign_all && subscribe(source, err))
		goto failed;
	return &source->source;
failed:
	source_free(source);
	return NULL;
}
