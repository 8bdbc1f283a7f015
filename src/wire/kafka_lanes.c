#include "wire/kafka_lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"

#define ASK_TOPIC_MS 1000

struct lane *lane_at(struct kafka_source *source, int32_t partition)
{
	return partition >= 0 && partition < source->lane_count ? &source->lanes[partition] : NULL;
}

static int lanes_reach(struct kafka_source *source, int32_t count, struct error *err)
{
	struct lane *lanes;

	if (count <= source->lane_count)
		return 0;
	lanes = realloc(source->lanes, (size_t)count * sizeof *lanes);
	if (!lanes)
		return error_no_memory(err);
	memset(lanes + source->lane_count, 0, (size_t)(count - source->lane_count) * sizeof *lanes);
	source->lanes = lanes;
	source->lane_count = count;
	return 0;
}

void lane_drop_ahead(struct kafka_source *source, struct lane *lane)
{
	lane->dropped = ++source->drops;
	for (int i = source->ahead_at; i < source->ahead_count; i++)
		if (source->ahead[i] && lane_at(source, source->ahead[i]->partition) == lane)
			rd_kafka_message_destroy(TAKE(source->ahead[i]));
	broken_forget(source, lane);
}

void lane_lead_astray(struct kafka_source *source, struct lane *lane)
{
	lane_drop_ahead(source, lane);
	lane->astray = source->astray = true;
}

/* The only place where a lane's pause changes: it keeps paused_count. */
void lane_set_pause(struct kafka_source *source, struct lane *lane, enum lane_pause pause)
{
	source->paused_count += (pause != PAUSE_NONE) - (lane->pause != PAUSE_NONE);
	lane->pause = pause;
	source->quiet_until_ms = 0;
}

int lane_pause_really(struct kafka_source *source, int32_t partition, struct lane *lane, struct error *err)
{
	rd_kafka_topic_partition_list_t *list = lanes_list(source, partition, RD_KAFKA_OFFSET_INVALID);
	rd_kafka_resp_err_t code = rd_kafka_pause_partitions(source->rk, list);

	code = code ? code : list->elems[0].err;
	rd_kafka_topic_partition_list_destroy(list);
	if (code)
		return lane_error(source, partition, "pause", code, err);
	lane_set_pause(source, lane, PAUSE_REAL);
	return 0;
}

rd_kafka_topic_partition_list_t *lanes_list(struct kafka_source *source, int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, source->topic, partition)->offset = offset;
	return list;
}

/* librdkafka's pause outlives the assignment: a lane that came back would stay silent. */
static void forget_pause(struct kafka_source *source, const struct lane *lane)
{
	rd_kafka_topic_partition_list_t *list =
	        lanes_list(source, (int32_t)(lane - source->lanes), RD_KAFKA_OFFSET_INVALID);

	rd_kafka_resume_partitions(source->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* The only place where a lane's state changes: it keeps reading_count. */
static void set_state(struct kafka_source *source, struct lane *lane, enum lane_state state)
{
	if (state != LANE_READING) {
		if (lane->pause == PAUSE_REAL)
			forget_pause(source, lane);
		lane_set_pause(source, lane, PAUSE_NONE);
		lane_drop_ahead(source, lane);
		lane->astray = false;
	}
	source->reading_count += (state == LANE_READING) - (lane->state == LANE_READING);
	source->asking |= state == LANE_ASKING;
	lane->state = state;
}

int lane_error(struct kafka_source *source, int32_t partition, const char *what, rd_kafka_resp_err_t code,
               struct error *err)
{
	return error_set(err, kafka_is_refusal(code) ? ERROR_INVALID : ERROR_TRANSIENT, (int)code,
	                 "topic %s partition %d: %s: %s", source->topic, partition, what, rd_kafka_err2str(code));
}

struct lane *lane_find_reading(struct kafka_source *source, int32_t partition, struct error *err)
{
	struct lane *lane = lane_at(source, partition);

	if (lane && lane->state == LANE_READING)
		return lane;
	error_set(err, ERROR_TRANSIENT, 0, "topic %s partition %d is not assigned to this reader", source->topic,
	          partition);
	return NULL;
}

/* ---- the group */

static int take_error(rd_kafka_error_t *error, const char *what, struct error *err)
{
	if (!error)
		return 0;
	error_set(err, rd_kafka_error_is_fatal(error) ? ERROR_FATAL : ERROR_TRANSIENT, (int)rd_kafka_error_code(error),
	          "%s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return -1;
}

static bool is_eager(const struct kafka_source *source)
{
	const char *protocol = rd_kafka_rebalance_protocol(source->rk);

	return protocol && !strcmp(protocol, "EAGER");
}

/* Assigns every lane being read at its own position: what an eager protocol asks for. */
static int assign_whole(struct kafka_source *source, struct error *err)
{
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(source->lane_count + 1);
	rd_kafka_topic_partition_list_t *paused = rd_kafka_topic_partition_list_new(source->lane_count + 1);
	rd_kafka_resp_err_t code;

	for (int32_t i = 0; i < source->lane_count; i++) {
		struct lane *lane = &source->lanes[i];

		if (lane->state != LANE_READING)
			continue;
		lane_drop_ahead(source, lane);
		lane->astray = true; /* until this has succeeded */
		rd_kafka_topic_partition_list_add(all, source->topic, i)->offset = lane->position;
		if (lane->pause == PAUSE_REAL)
			rd_kafka_topic_partition_list_add(paused, source->topic, i);
	}
	code = rd_kafka_assign(source->rk, all);
	if (!code && paused->cnt)
		code = rd_kafka_pause_partitions(source->rk, paused);
	rd_kafka_topic_partition_list_destroy(all);
	rd_kafka_topic_partition_list_destroy(paused);
	source->astray |= code != 0;
	if (code)
		return error_set(err, ERROR_TRANSIENT, (int)code, "topic %s: assign: %s", source->topic,
		                 rd_kafka_err2str(code));
	for (int32_t i = 0; i < source->lane_count; i++)
		source->lanes[i].astray = false;
	return 0;
}

/* Begins to read the lanes of `list`, which are LANE_READING already. May be empty: the group waits for the call. */
static int start_reading(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list, struct error *err)
{
	if (is_eager(source))
		return assign_whole(source, err);
	return take_error(rd_kafka_incremental_assign(source->rk, list), "incremental assign", err);
}

int lane_reassign(struct kafka_source *source, int32_t partition, struct lane *lane, struct error *err)
{
	rd_kafka_topic_partition_list_t *list;
	int result;

	if (is_eager(source))
		return assign_whole(source, err);
	list = lanes_list(source, partition, lane->position);
	result = take_error(rd_kafka_incremental_unassign(source->rk, list), "seek: incremental unassign", err);
	list->elems[0].offset = lane->position;
	if (!result)
		result = take_error(rd_kafka_incremental_assign(source->rk, list), "seek: incremental assign", err);
	if (!result && lane->pause == PAUSE_REAL)
		rd_kafka_pause_partitions(source->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	lane->astray = result != 0;
	source->astray |= lane->astray;
	return result;
}

int lanes_bring_back(struct kafka_source *source, struct error *err)
{
	for (int32_t i = 0; i < source->lane_count; i++)
		if (source->lanes[i].astray && source->lanes[i].state == LANE_READING &&
		    lane_reassign(source, i, &source->lanes[i], err))
			return -1;
	source->astray = false;
	return 0;
}

int lanes_ask(struct kafka_source *source, struct error *err)
{
	OWNED_FREE struct source_start *starts = calloc((size_t)source->lane_count + 1, sizeof *starts);
	rd_kafka_topic_partition_list_t *list;
	int count = 0, result;

	if (!starts)
		return error_no_memory(err);
	for (int32_t i = 0; i < source->lane_count; i++)
		if (source->lanes[i].state == LANE_ASKING)
			starts[count++] = (struct source_start){.partition = i, .offset = -1};
	if (count && source->events.assigned(source->events.context, starts, count, err))
		return -1;
	source->asking = false;
	list = rd_kafka_topic_partition_list_new(count + 1);
	for (int i = 0; i < count; i++) {
		struct lane *lane = &source->lanes[starts[i].partition];

		set_state(source, lane, starts[i].offset < 0 ? LANE_AWAY : LANE_READING);
		lane->position = starts[i].offset;
		if (lane->state == LANE_READING)
			rd_kafka_topic_partition_list_add(list, source->topic, starts[i].partition)->offset =
			        lane->position;
	}
	result = start_reading(source, list, err);
	for (int i = 0; i < list->cnt && result; i++)
		set_state(source, &source->lanes[list->elems[i].partition], LANE_ASKING);
	rd_kafka_topic_partition_list_destroy(list);
	return result;
}

void lanes_fail_poll(struct kafka_source *source, const struct error *err)
{
	if (!source->failed)
		source->failure = *err;
	source->failed = true;
	/* rd_kafka_consume_batch_queue would lose the message that comes next; it is not waiting anyway. */
	if (!source->taking)
		rd_kafka_yield(source->rk);
}

static void on_given(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *none;
	struct error err = {0}, ignored;

	source->given_late = source->closing;
	for (int i = 0; i < list->cnt && !source->closing; i++)
		if (!lanes_reach(source, list->elems[i].partition + 1, &err))
			set_state(source, &source->lanes[list->elems[i].partition], LANE_ASKING);
	if (!source->closing && err.kind == ERROR_NONE && !lanes_ask(source, &err))
		return;
	if (err.kind != ERROR_NONE)
		lanes_fail_poll(source, &err);
	/* The group's protocol goes on only after an assign call. */
	none = rd_kafka_topic_partition_list_new(1);
	start_reading(source, none, &ignored);
	rd_kafka_topic_partition_list_destroy(none);
}

/* Tells the reader, while nothing new can be given out, that these lanes go: those that it was asked about and did not
 * get, too, for it may have begun with them. The list of those that were read. */
static rd_kafka_topic_partition_list_t *
tell_revoked(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list, bool lost, struct error *err)
{
	OWNED_FREE int32_t *partitions = calloc((size_t)list->cnt + 1, sizeof *partitions);
	rd_kafka_topic_partition_list_t *reading = rd_kafka_topic_partition_list_new(list->cnt + 1);
	int count = 0;

	for (int i = 0; i < list->cnt; i++) {
		struct lane *lane = lane_at(source, list->elems[i].partition);

		if (!lane || lane->state == LANE_AWAY)
			continue;
		if (partitions)
			partitions[count++] = list->elems[i].partition;
		if (lane->state == LANE_READING)
			rd_kafka_topic_partition_list_add(reading, source->topic, list->elems[i].partition);
		set_state(source, lane, LANE_AWAY);
	}
	if (!partitions)
		error_no_memory(err);
	else if (count)
		source->events.revoked(source->events.context, partitions, count, lost);
	return reading;
}

static void on_taken(struct kafka_source *source, const rd_kafka_topic_partition_list_t *list, bool lost)
{
	struct error err = {0};
	rd_kafka_topic_partition_list_t *reading = tell_revoked(source, list, lost, &err);

	/* Lanes that came only while the group was being left: nobody waits for an answer, and librdkafka may drop it
	 * with the group, so that the call would wait for ever. (Lanes that came before are waited for.) */
	if (source->given_late && !reading->cnt) {
		rd_kafka_topic_partition_list_destroy(reading);
		return;
	}
	if (is_eager(source))
		rd_kafka_assign(source->rk, NULL);
	else
		take_error(rd_kafka_incremental_unassign(source->rk, reading), "incremental unassign", &err);
	rd_kafka_topic_partition_list_destroy(reading);
	if (err.kind != ERROR_NONE)
		lanes_fail_poll(source, &err);
}

void lanes_revoke_rest(struct kafka_source *source, bool lost)
{
	rd_kafka_topic_partition_list_t *rest = rd_kafka_topic_partition_list_new(source->lane_count + 1);
	struct error ignored;

	for (int32_t i = 0; i < source->lane_count; i++)
		rd_kafka_topic_partition_list_add(rest, source->topic, i);
	rd_kafka_topic_partition_list_destroy(tell_revoked(source, rest, lost, &ignored));
	rd_kafka_topic_partition_list_destroy(rest);
}

void lanes_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct kafka_client *client = opaque;
	struct kafka_source *source = client->owner;

	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		on_given(source, list);
		return;
	}
	if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
		kafka_warn(client, "rebalance failed: %s", rd_kafka_err2str(code));
	on_taken(source, list, rd_kafka_assignment_lost(rk));
}

int lanes_all(struct kafka_source *source, int timeout_ms, struct error *err)
{
	struct kafka_topic topic;

	if (kafka_topic_describe(source->rk, source->topic, timeout_ms > ASK_TOPIC_MS ? timeout_ms : ASK_TOPIC_MS,
	                         &topic, err)) {
		if (err->kind == ERROR_INVALID)
			return -1;
		kafka_warn(&source->client, "%s", err->message);
		*err = (struct error){0};
		return 0;
	}
	if (!topic.exists) {
		kafka_warn(&source->client, "topic %s does not exist yet; waiting for it", source->topic);
		clock_sleep_ms(timeout_ms > 100 ? 100 : timeout_ms);
		return 0;
	}
	if (lanes_reach(source, topic.partitions, err))
		return -1;
	for (int32_t i = 0; i < topic.partitions; i++)
		set_state(source, &source->lanes[i], LANE_ASKING);
	source->all_assigned = true;
	return 0;
}
