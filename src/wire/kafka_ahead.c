/*
 * kafka_ahead.c - events on their way from librdkafka to the reader, taken many at once.
 * kafka_lanes.h has the invariants.
 */
#include "base/clock.h"
#include "base/owned.h"
#include "wire/kafka_lanes.h"

#define PREFETCH_BYTES 512
#define AHEAD_BYTES ((size_t)1 << 20) /* librdkafka bounds only what is in its own queue */

/* Another core has written what the next messages hold: it comes while the one before them is decoded. */
static void prefetch(const struct kafka_source *source, int at)
{
	const rd_kafka_message_t *m = at < source->ahead_count ? source->ahead[at] : NULL;

	for (size_t i = 0; m && m->payload && i < m->len && i < PREFETCH_BYTES; i += 64)
		__builtin_prefetch((const char *)m->payload + i);
	if (at + 2 < source->ahead_count && source->ahead[at + 2])
		__builtin_prefetch(source->ahead[at + 2]);
}

rd_kafka_message_t *ahead_next(struct kafka_source *source)
{
	rd_kafka_message_t *m = NULL;

	prefetch(source, source->ahead_at + 2);
	for (int i = source->ahead_at; i < source->ahead_count && !m; i++) {
		struct lane *lane = source->ahead[i] ? lane_at(source, source->ahead[i]->partition) : NULL;

		if (!lane || lane->pause == PAUSE_NONE)
			m = TAKE(source->ahead[i]);
	}
	while (source->ahead_at < source->ahead_count && !source->ahead[source->ahead_at])
		source->ahead_at++;
	if (source->ahead_at == source->ahead_count)
		source->ahead_at = source->ahead_count = 0;
	return m;
}

/* A lane was dropped (given, taken, sought) in a callback while messages were taken: which of them are from before, no
 * one can tell. They are read again. */
static void drop_doubtful(struct kafka_source *source, int64_t drops)
{
	for (int i = 0; i < source->ahead_count; i++) {
		struct lane *lane = source->ahead[i] ? lane_at(source, source->ahead[i]->partition) : NULL;

		if (lane && lane->dropped > drops)
			lane_lead_astray(source, lane);
	}
}

/* Behind the message that came, those that are there already. */
static void take_ready(struct kafka_source *source, size_t size)
{
	size_t room = (size_t)(AHEAD_MAX - source->ahead_count), most = AHEAD_BYTES / (size + 1);
	ssize_t taken;

	most = most < room ? most : room;
	if (!most)
		return;
	source->taking = true;
	taken = rd_kafka_consume_batch_queue(source->queue, 0, source->ahead + source->ahead_count, most);
	source->taking = false;
	source->ahead_count += taken > 0 ? (int)taken : 0;
}

/* A pause that was only noted does not keep librdkafka from fetching; these came. */
static void pause_lanes(struct kafka_source *source, int from)
{
	struct error ignored;

	for (int i = from; i < source->ahead_count && source->paused_count; i++) {
		struct lane *lane = source->ahead[i] ? lane_at(source, source->ahead[i]->partition) : NULL;

		if (lane && lane->pause == PAUSE_NOTED)
			lane_pause_really(source, source->ahead[i]->partition, lane, &ignored);
	}
}

static void close_gaps(struct kafka_source *source)
{
	int kept = 0;

	for (int i = source->ahead_at; i < source->ahead_count; i++)
		if (source->ahead[i])
			source->ahead[kept++] = source->ahead[i];
	source->ahead_at = 0;
	source->ahead_count = kept;
}

/*
 * Full of paused lanes' messages, for others were given out. One more of these is let go of, and its lane reads on from
 * its position; for one of a lane that is not paused the first of these lanes lets go of its own. True: there is room.
 */
static bool make_room(struct kafka_source *source, const rd_kafka_message_t *m)
{
	struct lane *lane = lane_at(source, m->partition);
	bool waits = lane && lane->pause == PAUSE_NONE;

	if (waits)
		lane = lane_at(source, source->ahead[0]->partition);
	if (lane)
		lane_lead_astray(source, lane);
	close_gaps(source);
	return waits;
}

bool ahead_fetch(struct kafka_source *source, int timeout_ms)
{
	rd_kafka_message_t *m = rd_kafka_consumer_poll(source->rk, timeout_ms);
	int64_t drops = source->drops;
	int from;

	source->fetched_ms = clock_monotonic_ms();
	if (!m) {
		spent_hurry(source->spent);
		return false;
	}
	close_gaps(source);
	if (source->ahead_count == AHEAD_MAX && !make_room(source, m)) {
		rd_kafka_message_destroy(m);
		return true;
	}
	from = source->ahead_count;
	source->ahead[source->ahead_count++] = m;
	if (!m->err && source->way != KAFKA_SINGLE)
		take_ready(source, m->len);
	if (source->drops > drops)
		drop_doubtful(source, drops);
	pause_lanes(source, from);
	return true;
}

void ahead_drop_all(struct kafka_source *source)
{
	for (int32_t i = 0; i < source->lane_count; i++)
		lane_drop_ahead(source, &source->lanes[i]);
	for (int i = source->ahead_at; i < source->ahead_count; i++)
		if (source->ahead[i])
			rd_kafka_message_destroy(source->ahead[i]);
	source->ahead_at = source->ahead_count = 0;
}
