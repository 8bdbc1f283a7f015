/*
 * kafka_broken.c - a batch that librdkafka cannot decompress: its bytes are damaged, or they become more than
 * receive.message.max.bytes. librdkafka says so in place of its messages, again and again, and never goes beyond it.
 * So the batch's offsets are given out one by one as messages without bytes that are `broken`, and the lane is read on
 * behind them.
 *
 * The error has the batch's first offset and not its last one. A consumer of its own looks for that: the broker answers
 * a fetch of any offset of the batch with the whole batch, so an offset belongs to it (or to a gap right before it)
 * exactly where reading from there gives the same error. The steps double until one is outside, and are then halved.
 *
 * Invariants:
 *  1. An offset is given out as broken only where reading from it was seen to fail, or from one before it and one
 * behind it that belong to the same batch; each fails twice at least: for the lane and for the search. What fails once
 * is read again.
 *  2. A search has an end (SEARCH_MS). What it does not find in this time, or without a broker, is TRANSIENT: the lane
 *     stays where it is, and meets the batch again.
 *  3. Of a lane that is dropped (kafka_lanes.h, 6) its broken batch is forgotten; it is met again.
 *
 * Life cycle: broken_found -> broken_next... until the lane's position is behind the batch. All on the polling thread.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/owned.h"
#include "wire/kafka_lanes.h"

#define SEARCH_MS 30000
#define LOOK_MS 100

struct search {
	rd_kafka_t *rk; /* reads this lane alone, in no group */
	struct kafka_source *source;
	int32_t partition;
	int64_t base; /* of the batch */
	int64_t until_ms;
};

static void search_close(struct search *search)
{
	if (search->rk)
		rd_kafka_destroy_flags(search->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* no group to leave */
}

/* A batch an answer is enough, and after an error the next one is wanted at once. */
static int search_open(struct search *search, struct error *err)
{
	static const struct kafka_rule properties[] = {{"fetch.message.max.bytes", "1", NULL},
	                                               {"queued.min.messages", "1", NULL},
	                                               {"fetch.error.backoff.ms", "10", NULL}};
	rd_kafka_conf_t *conf = rd_kafka_conf_dup(search->source->conf);
	char reason[256];

	for (size_t i = 0; i < COUNT_OF(properties); i++)
		rd_kafka_conf_set(conf, properties[i].name, properties[i].value, reason, sizeof reason);
	search->rk = kafka_new(RD_KAFKA_CONSUMER, conf, err);
	if (!search->rk)
		return -1;
	rd_kafka_poll_set_consumer(search->rk);
	return 0;
}

/* 1: the offset that was read from belongs to the batch; 0: it does not; -1: this says neither. */
static int judge(const struct search *search, const rd_kafka_message_t *m)
{
	switch ((int)m->err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR__PARTITION_EOF: return 0;
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION: return m->offset == search->base;
	default: return -1;
	}
}

/* -1: TRANSIENT. */
static int belongs(struct search *search, int64_t offset, bool *ret, struct error *err)
{
	rd_kafka_topic_partition_list_t *list = lanes_list(search->source, search->partition, offset);
	rd_kafka_resp_err_t code = rd_kafka_assign(search->rk, list);
	int verdict = -1;

	rd_kafka_topic_partition_list_destroy(list);
	while (!code && verdict < 0 && clock_monotonic_ms() < search->until_ms) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(search->rk, LOOK_MS);

		verdict = m ? judge(search, m) : -1;
		if (m && m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) /* gone meanwhile: the lane is told, too */
			code = m->err;
		if (m)
			rd_kafka_message_destroy(m);
	}
	*ret = verdict == 1;
	if (verdict >= 0)
		return 0;
	code = code ? code : RD_KAFKA_RESP_ERR__TIMED_OUT;
	return error_set(err, ERROR_TRANSIENT, (int)code,
	                 "topic %s partition %d: the end of a batch that cannot be decompressed is not found: %s",
	                 search->source->topic, search->partition, rd_kafka_err2str(code));
}

/* The first offset behind the batch. from: an offset of it, or of the gap before it; where it is neither, that. */
static int find_end(struct search *search, int64_t from, int64_t *ret_end, struct error *err)
{
	int64_t low, high, inside = from, outside;
	rd_kafka_resp_err_t code;
	bool yes;

	code = rd_kafka_query_watermark_offsets(search->rk, search->source->topic, search->partition, &low, &high,
	                                        KAFKA_ASK_MS);
	if (code)
		return lane_error(search->source, search->partition, "asking for its first and last offset", code, err);
	*ret_end = from;
	if (belongs(search, from, &yes, err))
		return -1;
	if (!yes)
		return 0;
	for (int64_t step = 1;; step *= 2) {
		outside = high - from > step ? from + step : high;
		yes = false;
		if (outside < high && belongs(search, outside, &yes, err))
			return -1;
		if (!yes)
			break;
		inside = outside;
	}
	while (outside - inside > 1) {
		int64_t middle = inside + (outside - inside) / 2;

		if (belongs(search, middle, &yes, err))
			return -1;
		*(yes ? &inside : &outside) = middle;
	}
	*ret_end = outside;
	return 0;
}

int broken_found(struct kafka_source *source, struct lane *lane, const rd_kafka_message_t *m, struct error *err)
{
	OWNED_BY(search_close)
	struct search search = {.source = source,
	                        .partition = m->partition,
	                        .base = m->offset,
	                        .until_ms = clock_monotonic_ms() + SEARCH_MS};
	int64_t from = lane->position, end = from;

	if (m->offset < lane->broken_end) /* told again, while it is given out */
		return 0;
	kafka_warn(&source->client, "topic %s partition %d: %s", source->topic, m->partition,
	           rd_kafka_message_errstr(m));
	if (search_open(&search, err) || find_end(&search, from, &end, err))
		return -1;
	if (end == from) {
		lane_lead_astray(source, lane);
		return 0;
	}
	source->broken_count++;
	if (lane->position < m->offset)
		lane->position = m->offset; /* between them there is no message: reading from there gave the batch */
	lane->broken_base = m->offset;
	lane->broken_end = end;
	return 0;
}

void broken_forget(struct kafka_source *source, struct lane *lane)
{
	source->broken_count -= lane->broken_end > 0;
	lane->broken_end = 0;
}

bool broken_next(struct kafka_source *source, struct message *ret)
{
	for (int32_t i = 0; i < source->lane_count; i++) {
		struct lane *lane = &source->lanes[i];

		if (!lane->broken_end || lane->pause != PAUSE_NONE)
			continue;
		snprintf(source->broken, sizeof source->broken,
		         "the batch of offsets %lld..%lld cannot be decompressed: it is damaged, or takes more than "
		         "receive.message.max.bytes",
		         (long long)lane->broken_base, (long long)lane->broken_end - 1);
		*ret = (struct message){
		        .partition = i, .offset = lane->position++, .timestamp_ms = -1, .broken = source->broken};
		if (lane->position == lane->broken_end)
			lane_lead_astray(source, lane); /* librdkafka is still before it */
		return true;
	}
	return false;
}
