#include "wire/pace.h"

#include <stdlib.h>
#include <string.h>

struct pace_entry {
	int64_t offset; /* -1: not yet acknowledged */
	size_t size;
};

struct pace_lane {
	struct pace_entry *entries; /* a ring; owned */
	int capacity, first, count;
	int acked; /* of the count oldest, so many have an offset */
	int64_t bytes;
};

void pace_init(struct pace *pace)
{
	*pace = (struct pace){0};
}

void pace_release(struct pace *pace)
{
	for (int32_t i = 0; i < pace->lane_count; i++)
		free(pace->lanes[i].entries);
	free(pace->lanes);
	pace_init(pace);
}

static struct pace_lane *lane_of(const struct pace *pace, int32_t partition)
{
	return partition >= 0 && partition < pace->lane_count ? &pace->lanes[partition] : NULL;
}

static struct pace_entry *entry_at(struct pace_lane *lane, int index)
{
	return &lane->entries[(lane->first + index) % lane->capacity];
}

bool pace_allows(const struct pace *pace, int32_t partition, size_t size)
{
	const struct pace_lane *lane = lane_of(pace, partition);

	if (!lane || !lane->count)
		return true;
	return lane->count < PACE_MESSAGES_MAX && lane->bytes + (int64_t)size <= PACE_BYTES_MAX;
}

static int lane_grow(struct pace_lane *lane, struct error *err)
{
	int capacity = lane->capacity ? lane->capacity * 2 : 64;
	struct pace_entry *entries = malloc((size_t)capacity * sizeof *entries);

	if (!entries)
		return error_no_memory(err);
	for (int i = 0; i < lane->count; i++)
		entries[i] = *entry_at(lane, i);
	free(lane->entries);
	lane->entries = entries;
	lane->capacity = capacity;
	lane->first = 0;
	return 0;
}

int pace_sent(struct pace *pace, int32_t partition, size_t size, struct error *err)
{
	struct pace_lane *lane;

	if (partition < 0)
		return error_set(err, ERROR_INVALID, 0, "a paced message needs its partition");
	if (partition >= pace->lane_count) {
		struct pace_lane *lanes = realloc(pace->lanes, (size_t)(partition + 1) * sizeof *lanes);

		if (!lanes)
			return error_no_memory(err);
		memset(lanes + pace->lane_count, 0, (size_t)(partition + 1 - pace->lane_count) * sizeof *lanes);
		pace->lanes = lanes;
		pace->lane_count = partition + 1;
	}
	lane = &pace->lanes[partition];
	if (lane->count == lane->capacity && lane_grow(lane, err))
		return -1;
	lane->count++;
	*entry_at(lane, lane->count - 1) = (struct pace_entry){.offset = -1, .size = size};
	lane->bytes += (int64_t)size;
	return 0;
}

void pace_acked(struct pace *pace, int32_t partition, int64_t offset)
{
	struct pace_lane *lane = lane_of(pace, partition);

	if (lane && lane->acked < lane->count)
		entry_at(lane, lane->acked++)->offset = offset;
}

void pace_passed(struct pace *pace, int32_t partition, int64_t position)
{
	struct pace_lane *lane = lane_of(pace, partition);

	while (lane && lane->acked && entry_at(lane, 0)->offset < position) {
		lane->bytes -= (int64_t)entry_at(lane, 0)->size;
		lane->first = (lane->first + 1) % lane->capacity;
		lane->count--;
		lane->acked--;
	}
}
