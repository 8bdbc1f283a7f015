/*
 * memory.c - replays messages that the caller keeps alive, in their order, skipping the lanes that are paused.
 *
 * It behaves as a log does: a lane's low is its first message's offset and its high the offset after its last one,
 * offsets between messages are gaps, and a position outside low..high gives POLL_OUT_OF_RANGE once, until a seek. One
 * thread polls. It never waits longer than a millisecond, for nothing can arrive meanwhile.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/owned.h"
#include "wire/source.h"

enum lane_state {
	LANE_AWAY, /* `assigned` has not named an offset */
	LANE_READING,
	LANE_ENDED, /* POLL_LANE_END was given */
	LANE_ASTRAY, /* POLL_OUT_OF_RANGE was given */
};

struct lane {
	enum lane_state state;
	bool paused;
	int64_t position, low, high; /* high 0: the lane has no message */
	int next; /* the first message of this lane with offset >= position, or message_count */
};

struct memory_source {
	struct source source; /* first: the vtable's user holds its address */
	struct source_events events;
	const struct message *messages; /* borrowed */
	int message_count;
	struct lane *lanes; /* by partition */
	int lane_count;
	bool assigned;
};

static struct memory_source *of(struct source *source)
{
	return (struct memory_source *)source;
}

static void find_next(struct memory_source *source, int partition, int from)
{
	struct lane *lane = &source->lanes[partition];

	for (lane->next = from; lane->next < source->message_count; lane->next++) {
		const struct message *message = &source->messages[lane->next];

		if (message->partition == partition && message->offset >= lane->position)
			return;
	}
}

static void start_at(struct memory_source *source, int partition, int64_t offset)
{
	struct lane *lane = &source->lanes[partition];

	lane->state = LANE_READING;
	lane->position = offset;
	find_next(source, partition, 0);
}

static int assign(struct memory_source *source, struct error *err)
{
	OWNED_FREE struct source_start *starts = calloc((size_t)source->lane_count + 1, sizeof *starts);
	int count = 0;

	if (!starts)
		return error_no_memory(err);
	for (int i = 0; i < source->lane_count; i++)
		if (source->lanes[i].high)
			starts[count++] = (struct source_start){.partition = i, .offset = -1};
	if (count && source->events.assigned(source->events.context, starts, count, err))
		return -1;
	source->assigned = true;
	for (int i = 0; i < count; i++)
		if (starts[i].offset >= 0)
			start_at(source, starts[i].partition, starts[i].offset);
	return 0;
}

/* The end of a lane, or a position outside it, that was not yet told. */
static enum poll_result tell_lane(struct lane *lane, int partition, int message_count, struct message *ret)
{
	bool astray = lane->position < lane->low || lane->position > lane->high;

	if (lane->state != LANE_READING || (!astray && lane->next < message_count))
		return POLL_NOTHING;
	if (!astray)
		lane->position = lane->high;
	*ret = (struct message){.partition = partition, .offset = lane->position, .timestamp_ms = -1};
	lane->state = astray ? LANE_ASTRAY : LANE_ENDED;
	return astray ? POLL_OUT_OF_RANGE : POLL_LANE_END;
}

static enum poll_result memory_poll(struct source *base, int timeout_ms, struct message *ret, struct error *err)
{
	struct memory_source *source = of(base);
	struct lane *first = NULL;

	if (!source->assigned && assign(source, err))
		return POLL_ERROR;
	for (int i = 0; i < source->lane_count; i++) {
		struct lane *lane = &source->lanes[i];
		enum poll_result result = tell_lane(lane, i, source->message_count, ret);

		if (result != POLL_NOTHING)
			return result;
		if (lane->state == LANE_READING && !lane->paused && (!first || lane->next < first->next))
			first = lane;
	}
	if (!first) {
		if (timeout_ms > 0)
			clock_sleep_ms(1);
		return POLL_NOTHING;
	}
	*ret = source->messages[first->next];
	first->position = ret->offset + 1;
	find_next(source, ret->partition, first->next + 1);
	return POLL_MESSAGE;
}

static struct lane *find_assigned(struct memory_source *source, int32_t partition, struct error *err)
{
	if (partition >= 0 && partition < source->lane_count && source->lanes[partition].state != LANE_AWAY)
		return &source->lanes[partition];
	error_set(err, ERROR_TRANSIENT, 0, "partition %d is not assigned to this reader", partition);
	return NULL;
}

static int memory_pause(struct source *base, int32_t partition, struct error *err)
{
	struct lane *lane = find_assigned(of(base), partition, err);

	if (!lane)
		return -1;
	lane->paused = true;
	return 0;
}

static int memory_resume(struct source *base, int32_t partition, struct error *err)
{
	struct lane *lane = find_assigned(of(base), partition, err);

	if (!lane)
		return -1;
	lane->paused = false;
	return 0;
}

static int memory_seek(struct source *base, int32_t partition, int64_t offset, struct error *err)
{
	struct lane *lane = find_assigned(of(base), partition, err);

	if (!lane)
		return -1;
	start_at(of(base), partition, offset);
	return 0;
}

static int memory_watermarks(struct source *base, int32_t partition, int64_t *ret_low, int64_t *ret_high,
                             struct error *err)
{
	struct memory_source *source = of(base);

	if (partition < 0 || partition >= source->lane_count)
		return error_set(err, ERROR_INVALID, 0, "there is no partition %d", partition);
	*ret_low = source->lanes[partition].low;
	*ret_high = source->lanes[partition].high;
	return 0;
}

static int64_t memory_cached_high(struct source *base, int32_t partition)
{
	struct memory_source *source = of(base);

	return partition < 0 || partition >= source->lane_count ? -1 : source->lanes[partition].high;
}

static int memory_partition_count(struct source *base, int32_t *ret_count, struct error *err)
{
	*ret_count = of(base)->lane_count;
	return 0;
}

static int memory_topic_id(struct source *base, char *id, size_t size, struct error *err)
{
	if (size)
		*id = 0;
	return 0;
}

static void memory_store_hint(struct source *base, int32_t partition, int64_t next_offset)
{
}

static void memory_close(struct source *base)
{
	struct memory_source *source = of(base);
	OWNED_FREE int32_t *partitions = calloc((size_t)source->lane_count + 1, sizeof *partitions);
	int count = 0;

	for (int i = 0; i < source->lane_count && partitions; i++)
		if (source->lanes[i].state != LANE_AWAY)
			partitions[count++] = i;
	if (count)
		source->events.revoked(source->events.context, partitions, count, false);
	free(source->lanes);
	free(source);
}

static const struct source_ops memory_ops = {
        .poll = memory_poll,
        .pause = memory_pause,
        .resume = memory_resume,
        .seek = memory_seek,
        .watermarks = memory_watermarks,
        .cached_high = memory_cached_high,
        .partition_count = memory_partition_count,
        .topic_id = memory_topic_id,
        .store_hint = memory_store_hint,
        .close = memory_close,
};

static int read_lanes(struct memory_source *source, struct error *err)
{
	for (int i = 0; i < source->message_count; i++) {
		const struct message *message = &source->messages[i];
		struct lane *lane;

		if (message->partition < 0 || message->offset < 0)
			return error_set(err, ERROR_INVALID, 0, "message %d has a negative partition or offset", i);
		if (message->partition >= source->lane_count) {
			struct lane *lanes = realloc(source->lanes, (size_t)(message->partition + 1) * sizeof *lanes);

			if (!lanes)
				return error_no_memory(err);
			source->lanes = lanes;
			while (source->lane_count <= message->partition)
				lanes[source->lane_count++] = (struct lane){0};
		}
		lane = &source->lanes[message->partition];
		if (lane->high && message->offset < lane->high)
			return error_set(err, ERROR_INVALID, 0, "message %d: offset %lld of partition %d does not rise",
			                 i, (long long)message->offset, message->partition);
		lane->low = lane->high ? lane->low : message->offset;
		lane->high = message->offset + 1;
	}
	return 0;
}

struct source *source_open_memory(const struct message *messages, int count, const struct source_events *events,
                                  struct error *err)
{
	struct memory_source *source = calloc(1, sizeof *source);

	if (!source) {
		error_no_memory(err);
		return NULL;
	}
	*source = (struct memory_source){{&memory_ops}, *events, .messages = messages, .message_count = count};
	if (read_lanes(source, err)) {
		free(source->lanes);
		free(source);
		return NULL;
	}
	return &source->source;
}
