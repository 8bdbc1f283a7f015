/*
 * reader.c - the reading thread: poll, take (take.c), queue; and the lanes' coming and going, which the source reports
 * on this thread. Decoding and validating happen here, before anything is queued.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/owned.h"
#include "stream/files.h"
#include "stream/stream_private.h"
#include "wire/files.h"

#define POLL_MS 100
#define POLL_MESSAGES 1024
#define PAUSE_AFTER_MS 2000 /* without room for so long, the lanes are paused, and polled only to stay in the group */
#define CLAIM_PATIENCE_MS 60000
#define DRAIN_PATIENCE_MS 30000
#define RECLAIM_AFTER_MS 5000
#define BACKLOG_EVERY_MS 100
#define RETRY_MS 200
#define ONCE_PATIENCE_MS 15000
#define SILENCE_ASK_MS 5000
#define SILENCE_MAX_MS 300000 /* a broker that went away after the start of --once (commands.def says five minutes) */

struct lane *stream_lane(struct stream *stream, int32_t partition, struct error *err)
{
	if (partition >= 0 && partition < stream->lane_count)
		return &stream->lanes[partition];
	error_set(err, ERROR_INVALID, 0, "partition %d: a topic may have up to %d partitions here", partition,
	          LANES_MAX);
	return NULL;
}

/* ---- lanes that come */

static int first_offset(void *context, int32_t partition, int64_t *ret_offset, struct error *err)
{
	struct stream *stream = context;
	int64_t high;

	return stream->source->ops->watermarks(stream->source, partition, ret_offset, &high, err);
}

static int claim(struct stream *stream, struct lake_lane *lanes, int count, struct error *err)
{
	struct lane_start start = {
	        .context = stream, .first_offset = first_offset, .may_restart = stream->options.embedded};

	return lanes_claim(stream->claims, &stream->key, stream->owner, lanes, count, &start, CLAIM_PATIENCE_MS, err);
}

/* The lake's offset against what the topic still holds. */
static int compare_with_topic(struct stream *stream, int32_t partition, struct error *err)
{
	struct lane *lane = &stream->lanes[partition];
	int64_t low, high;

	if (stream->files) /* they compare their register with it (wire/files.c) */
		return 0;
	if (stream->source->ops->watermarks(stream->source, partition, &low, &high, err))
		return -1;
	metric_put(lane->metrics, METRIC_HIGH_WATERMARK, high);
	if (lane->read_next > high)
		return error_set(err, ERROR_INVALID, 0,
		                 "partition %d of topic %s ends at offset %" PRId64 " and the lake is at %" PRId64
		                 ": the topic was deleted and made anew, or this is another cluster. " LANE_READ_ANEW,
		                 partition, stream->key.topic, high, lane->read_next);
	if (lane->read_next < low)
		return take_stretch(stream, partition, low, true, err);
	return 0;
}

static void start_lane(struct stream *stream, const struct lake_lane *claimed)
{
	struct lane *lane = &stream->lanes[claimed->partition];

	pthread_mutex_lock(&stream->queue.lock);
	lane->lake = *claimed;
	lane->read_next = claimed->next_offset;
	lane->poison = -1;
	lane->careful_until = 0;
	lane->paused = false;
	lane->generation = ++stream->generations[claimed->partition];
	if (stream->lane_top <= claimed->partition)
		stream->lane_top = claimed->partition + 1;
	if (lane->state != LANE_FREE) /* given again without being taken away: the source tried twice */
		lane_move(stream, claimed->partition, LANE_FREE);
	lane_move(stream, claimed->partition, LANE_READING);
	pthread_mutex_unlock(&stream->queue.lock);
	if (!lane->metrics)
		lane->metrics = metrics_set(stream->spec->name, claimed->partition);
	metric_put(lane->metrics, METRIC_OWNED, 1);
	metric_put(lane->metrics, METRIC_PAUSED, 0);
	metric_put(lane->metrics, METRIC_NEXT_OFFSET, claimed->next_offset);
	metric_put(lane->metrics, METRIC_POSITION, claimed->next_offset);
}

static int fill_claims(struct stream *stream, const struct source_start *starts, int count, struct lake_lane *claims,
                       struct error *err)
{
	char topic_id[64] = "";

	if (stream->source->ops->topic_id(stream->source, topic_id, sizeof topic_id, err))
		return -1;
	for (int i = 0; i < count; i++) {
		if (!stream_lane(stream, starts[i].partition, err))
			return -1;
		claims[i] = (struct lake_lane){.partition = starts[i].partition};
		memcpy(claims[i].topic_id, topic_id, sizeof topic_id);
	}
	return 0;
}

static int on_assigned(void *context, struct source_start *starts, int count, struct error *err)
{
	struct stream *stream = context;
	OWNED_FREE struct lake_lane *claims = calloc((size_t)count + 1, sizeof *claims);
	int failed;

	if (!claims)
		return error_no_memory(err);
	/* An open window may hold the catalog lock until its time is over: let it end. */
	queue_drain_begin(&stream->queue);
	failed = fill_claims(stream, starts, count, claims, err) || claim(stream, claims, count, err);
	queue_drain_end(&stream->queue);
	if (failed)
		return -1;
	for (int i = 0; i < count; i++) {
		start_lane(stream, &claims[i]);
		if (compare_with_topic(stream, claims[i].partition, err))
			return -1;
		starts[i].offset = stream->lanes[claims[i].partition].read_next;
		log_event(EVENT_LANE_ASSIGNED,
		          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("partition", starts[i].partition),
		                 LOG_NUMBER("offset", starts[i].offset), LOG_NUMBER("epoch", claims[i].epoch)),
		          "partition %d: reading from offset %" PRId64, starts[i].partition, starts[i].offset);
	}
	pthread_mutex_lock(&stream->queue.lock);
	stream->ready = true;
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

/* ---- lanes that go */

static void release_lane(struct stream *stream, int32_t partition)
{
	struct lane *lane = &stream->lanes[partition];

	stream->learn = true; /* as for what is read again: another reads it */
	pthread_mutex_lock(&stream->queue.lock);
	stream->generations[partition]++;
	if (lane->state != LANE_FREE)
		lane_move(stream, partition, LANE_FREE);
	pthread_mutex_unlock(&stream->queue.lock);
	metric_put(lane->metrics, METRIC_OWNED, 0);
}

static void on_revoked(void *context, const int32_t *partitions, int count, bool lost)
{
	struct stream *stream = context;

	struct error failed = {0};

	if (take_flush(stream, &failed))
		stream_fail(stream, &failed);
	/* A lane that is given back commits what was read; one that is lost has another owner already. */
	queue_drain_begin(&stream->queue);
	if (!lost && !stream->halt)
		queue_wait_empty(&stream->queue, DRAIN_PATIENCE_MS);
	for (int i = 0; i < count; i++)
		if (partitions[i] >= 0 && partitions[i] < stream->lane_count)
			release_lane(stream, partitions[i]);
	/* A window that took from these lanes ends before the next owner may start; the fence guards what is left. */
	if (!stream->halt)
		queue_wait_no_window(&stream->queue, DRAIN_PATIENCE_MS);
	queue_drain_end(&stream->queue);
	log_event(EVENT_LANE_REVOKED,
	          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("lanes", count), LOG_NUMBER("lost", lost)),
	          "%d partitions %s", count, lost ? "were lost" : "were given back");
}

void stream_events(struct stream *stream, struct source_events *ret_events)
{
	*ret_events = (struct source_events){.context = stream, .assigned = on_assigned, .revoked = on_revoked};
}

/* ---- lanes that start over */

static int reclaim(struct stream *stream, int32_t partition, struct error *err)
{
	struct source_start start = {.partition = partition};
	struct lake_lane claimed;

	if (fill_claims(stream, &start, 1, &claimed, err) || claim(stream, &claimed, 1, err))
		return -1;
	pthread_mutex_lock(&stream->queue.lock);
	stream->lanes[partition].lake = claimed;
	if (stream->files) { /* the other owner's offsets may be other files' */
		stream->lanes[partition].poison = -1;
		stream->lanes[partition].careful_until = 0;
	}
	lane_move(stream, partition, LANE_SEEKING);
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

static int seek_lane(struct stream *stream, int32_t partition, struct error *err)
{
	struct lane *lane = &stream->lanes[partition];

	stream->learn = true; /* columns that were inferred from what is read again may not be the table's */
	pthread_mutex_lock(&stream->queue.lock);
	lane->read_next = lane->lake.next_offset;
	if (stream->files && stream->targets_set)
		lane->target = INT64_MAX; /* told anew at the end */
	lane->generation = ++stream->generations[partition];
	pthread_mutex_unlock(&stream->queue.lock);
	/* Not READING before the source is where the lake is: a message from further ahead would make the offsets
	 * between look as if they held none. */
	if (stream->source->ops->seek(stream->source, partition, lane->read_next, err))
		return -1;
	metric_put(lane->metrics, METRIC_POSITION, lane->read_next);
	pthread_mutex_lock(&stream->queue.lock);
	lane_move(stream, partition, LANE_READING);
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

/* A topic's lane comes back by the group, or else after a while; one of files when its owner does nothing. */
static bool may_reclaim(struct stream *stream, const struct lane *lane)
{
	return clock_monotonic_ms() - lane->conflict_ms > RECLAIM_AFTER_MS &&
	       (!stream->files || files_may_claim(stream, lane));
}

/* Lanes whose state another thread changed: back to the lake's offset, or claimed again after a conflict. */
static int restart_lanes(struct stream *stream, struct error *err)
{
	for (int i = 0; i < stream->lane_top; i++) {
		struct lane *lane = &stream->lanes[i];

		if (lane->state == LANE_CONFLICTED && may_reclaim(stream, lane) && reclaim(stream, i, err))
			return -1;
		if (lane->state == LANE_SEEKING && seek_lane(stream, i, err))
			return -1;
	}
	return 0;
}

/* ---- memory */

/* Every lane that is not yet so. After a failure, or when lanes came, once more. */
static int pause_all(struct stream *stream, bool pause, struct error *err)
{
	stream->paused |= pause;
	for (int i = 0; i < stream->lane_count; i++) {
		const struct source_ops *ops = stream->source->ops;
		struct lane *lane = &stream->lanes[i];

		if (lane->state == LANE_FREE || lane->paused == pause)
			continue;
		if ((pause ? ops->pause : ops->resume)(stream->source, i, err))
			return -1;
		lane->paused = pause;
		metric_put(lane->metrics, METRIC_PAUSED, pause);
		log_event(pause ? EVENT_LANE_PAUSED : EVENT_LANE_RESUMED,
		          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("partition", i)), "partition %d %s",
		          i, pause ? "paused: the bound of memory is reached" : "resumed");
	}
	stream->paused = pause;
	return 0;
}

/*
 * Holds the reader while too much is in flight. Not polling is enough for a short while: librdkafka's own queue is
 * bounded too, and a pause would throw away what it fetched ahead. Longer, the lanes are paused so that polling can go
 * on.
 */
static int keep_within_memory(struct stream *stream, struct error *err)
{
	int waited_ms = 0;

	if (take_flush_old(stream, err))
		return -1;
	while (!stream->paused && !stream->stop && !queue_wait_room(&stream->queue, POLL_MS)) {
		waited_ms += POLL_MS;
		if (waited_ms >= PAUSE_AFTER_MS && pause_all(stream, true, err))
			return -1;
	}
	/* Lanes that came while the others were paused are paused, too. */
	return stream->paused ? pause_all(stream, !queue_wait_room(&stream->queue, 0), err) : 0;
}

/* ---- the loop */

static int out_of_range(struct stream *stream, int32_t partition, struct error *err)
{
	struct lane *lane = stream_lane(stream, partition, err);

	if (!lane)
		return -1;
	if (lane->state != LANE_READING)
		return 0;
	if (confirm_now(stream, err) || compare_with_topic(stream, partition, err))
		return -1;
	return stream->source->ops->seek(stream->source, partition, lane->read_next, err);
}

static int lane_end(struct stream *stream, const struct message *message, struct error *err)
{
	struct lane *lane = stream_lane(stream, message->partition, err);

	if (!lane)
		return -1;
	metric_put(lane->metrics, METRIC_HIGH_WATERMARK, message->offset);
	if (stream->targets_set && stream->source->ops->freeze && lane->state == LANE_READING) {
		pthread_mutex_lock(&stream->queue.lock);
		lane->target = message->offset;
		pthread_mutex_unlock(&stream->queue.lock);
	}
	if (lane->state == LANE_READING && message->offset > lane->read_next)
		return take_stretch(stream, message->partition, message->offset, false, err);
	return 0;
}

/* Of every partition, owned or not: with several processes, the others' lanes count too. */
static int set_targets(struct stream *stream, struct error *err)
{
	int32_t count;

	if (stream->source->ops->partition_count(stream->source, &count, err) ||
	    (stream->source->ops->freeze && stream->source->ops->freeze(stream->source, err)))
		return -1;
	for (int32_t i = 0; i < count; i++) {
		struct lane *lane = stream_lane(stream, i, err);

		if (lane && stream->source->ops->freeze) {
			lane->target = INT64_MAX;
			continue;
		}
		if (!lane || stream->source->ops->watermarks(stream->source, i, &lane->low, &lane->target, err))
			return -1;
		metric_put(lane->metrics, METRIC_HIGH_WATERMARK, lane->target);
	}
	if (confirm_now(stream, err)) /* these are the ends of the topic that is read */
		return -1;
	stream->heard_ms = clock_monotonic_ms();
	pthread_mutex_lock(&stream->queue.lock);
	stream->targets_set = true;
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

/* Everything up to the targets is queued: what is left to do is to commit it, without waiting for more. */
static void drain_at_targets(struct stream *stream)
{
	if (!stream->targets_set || stream->targets_read || !stream->ready || stream->gathered)
		return;
	for (int i = 0; i < stream->lane_top; i++)
		if (stream->lanes[i].state != LANE_FREE && stream->lanes[i].read_next < stream->lanes[i].target)
			return;
	stream->targets_read = true;
	queue_drain_begin(&stream->queue);
}

static int poll_once(struct stream *stream, struct error *err)
{
	struct message message = {.offset = -1};
	enum poll_result polled;

	/* Another process reads the files: what would be read here could not be committed. Or the seek has failed: the
	 * source is not where the lake is, and the next file would come to be at a wrong offset. */
	if (stream->files && (stream->lanes[0].state == LANE_CONFLICTED || stream->lanes[0].state == LANE_SEEKING)) {
		clock_sleep_ms(POLL_MS);
		return take_flush(stream, err);
	}
	polled = stream->source->ops->poll(stream->source, stream->gathered ? GATHER_MS : POLL_MS, &message, err);
	/* Of messages that are gathered the first is enough: a clock for each costs 1 % of a small one. */
	if (polled != POLL_ERROR && polled != POLL_NOTHING && !(polled == POLL_MESSAGE && stream->gathered))
		stream->heard_ms = clock_monotonic_ms();
	switch (polled) {
	case POLL_ERROR: return -1;
	case POLL_NOTHING: return take_flush(stream, err);
	case POLL_LANE_END: return take_flush(stream, err) || lane_end(stream, &message, err) ? -1 : 0;
	case POLL_OUT_OF_RANGE: return out_of_range(stream, message.partition, err);
	case POLL_MESSAGE: break;
	}
	if (take_message(stream, &message, err)) {
		message_release(&message);
		return -1;
	}
	return 0;
}

/* Up to the end of a unit: to look at everything else after each small message would cost more than the message. Where
 * lanes take turns each message ends a unit and begins one, so the bound is looked at as well. */
static int poll_unit(struct stream *stream, struct error *err)
{
	for (int i = 0; i < POLL_MESSAGES; i++) {
		if (i % 16 == 0)
			stream->now_us = clock_wall_ms() * 1000;
		if (poll_once(stream, err) || (i % 16 == 15 && take_flush_old(stream, err)))
			return -1;
		if (!stream->gathered || queue_is_full(&stream->queue))
			break;
	}
	return 0;
}

/* Counts what waits behind what was read. */
static void note_backlog(struct stream *stream)
{
	int64_t now = clock_monotonic_ms(), waiting = 0;

	if (now < stream->backlog_ms + BACKLOG_EVERY_MS)
		return;
	stream->backlog_ms = now;
	for (int i = 0; i < stream->lane_top; i++) {
		const struct lane *lane = &stream->lanes[i];
		int64_t high = lane->state == LANE_READING ? stream->source->ops->cached_high(stream->source, i) : -1;

		waiting += high > lane->read_next ? high - lane->read_next : 0;
	}
	atomic_store(&stream->queue.waiting, waiting);
}

static bool passes(const struct error *err)
{
	return err->kind == ERROR_TRANSIENT || err->kind == ERROR_CONFLICT;
}

static int read_once(struct stream *stream, struct error *err)
{
	struct error trouble = {0};

	if (keep_within_memory(stream, &trouble) || restart_lanes(stream, &trouble) || take_learn(stream, &trouble) ||
	    (stream->finish && !stream->targets_set && set_targets(stream, &trouble))) {
		/* Polled all the same where it may pass: the group's news (this lane is another's now) come by polling,
		 * and may be the very end of the trouble. */
		if (!passes(&trouble) || poll_once(stream, err) == 0)
			*err = trouble;
		return -1;
	}
	drain_at_targets(stream);
	note_backlog(stream);
	return poll_unit(stream, err);
}

/* A failure that another try may heal. With --once there is an end to waiting for a topic that nobody has made. */
static bool survives(struct stream *stream, const struct error *err)
{
	if (!passes(err))
		return false;
	if (stream->finish && !stream->targets_set && clock_monotonic_ms() > stream->started_ms + ONCE_PATIENCE_MS)
		return false;
	/* Files and object stores that do not answer: their end is not known before they are read. */
	if (stream->finish && stream->files && clock_monotonic_ms() > stream->untroubled_ms + ONCE_PATIENCE_MS)
		return false;
	/* Said once, not at each try. */
	if (strncmp(stream->problem, err->message, sizeof stream->problem - 1) != 0)
		log_event(stream->files ? EVENT_FILES : EVENT_KAFKA, FIELDS(LOG_TEXT("stream", stream->spec->name)),
		          "reading: %s", err->message);
	stream_problem(stream, err->message);
	return true;
}

static int64_t offsets_left(struct stream *stream)
{
	int64_t left = 0;

	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++) {
		const struct lane *lane = &stream->lanes[i];
		int64_t from = lane->lake.next_offset > lane->low ? lane->lake.next_offset : lane->low;

		left += lane->target > from ? lane->target - from : 0;
	}
	pthread_mutex_unlock(&stream->queue.lock);
	return left;
}

/*
 * With --once there is an end to waiting for a broker that went away. It lives while it gives anything, or says how
 * many partitions the topic has; and while what it gave is being committed its silence does not matter.
 */
static bool is_forsaken(struct stream *stream, struct error *err)
{
	int64_t now = clock_monotonic_ms();
	struct error why = {0};
	int32_t count;

	if (!stream->finish || !stream->targets_set || stream->files)
		return false;
	if (atomic_load(&stream->queue.in_flight) > 0)
		stream->heard_ms = now;
	if (now < stream->heard_ms + SILENCE_ASK_MS || now < stream->asked_ms + SILENCE_ASK_MS)
		return false;
	if (stream->source->ops->partition_count(stream->source, &count, &why) == 0)
		stream->heard_ms = clock_monotonic_ms();
	stream->asked_ms = clock_monotonic_ms();
	if (!why.kind || (now < stream->heard_ms + SILENCE_MAX_MS && !fault_hit(FAULT_ONCE_SILENT)))
		return false;
	*err = why;
	err->kind = ERROR_TRANSIENT;
	error_wrap(err,
	           "no word from the broker for %" PRId64 " s, and %" PRId64 " offsets are left: the next run goes on",
	           (now - stream->heard_ms) / 1000, offsets_left(stream));
	return true;
}

void *reader_main(void *opaque)
{
	struct stream *stream = opaque;
	struct source *source;
	struct error err = {0};
	bool troubled = false;

	stream->started_ms = clock_monotonic_ms();
	while (!stream->stop && !stream->halt) {
		if (is_forsaken(stream, &err)) {
			stream_fail(stream, &err);
			break;
		}
		if (read_once(stream, &err) == 0) {
			if (troubled)
				stream_problem(stream, NULL);
			troubled = false;
			stream->untroubled_ms = 0;
			continue;
		}
		if (!stream->untroubled_ms)
			stream->untroubled_ms = clock_monotonic_ms();
		if (!survives(stream, &err)) {
			stream_fail(stream, &err);
			break;
		}
		err = (struct error){0};
		troubled = true;
		clock_sleep_ms(RETRY_MS);
	}
	if (take_flush(stream, &err))
		stream_fail(stream, &err);
	pthread_mutex_lock(&stream->queue.lock);
	stream->reading_done = true;
	stream->queue.drain++;
	pthread_cond_broadcast(&stream->queue.changed);
	pthread_mutex_unlock(&stream->queue.lock);
	/* The committer drains the queue; then the group is left, with nothing of ours uncommitted. */
	pthread_join(stream->committer, NULL);
	queue_drop_all(&stream->queue);
	/* DuckDB lets go of its last arrays; a message that anybody held would keep the source from closing, for ever.
	 */
	targets_close(stream);
	lake_session_free(TAKE(stream->session));
	if (stream->files && stream->finish && files_unread(stream->source, &err))
		stream_fail(stream, &err);
	/* stream_status asks the source, too. */
	pthread_mutex_lock(&stream->queue.lock);
	source = TAKE(stream->source);
	pthread_mutex_unlock(&stream->queue.lock);
	source->ops->close(source);
	pthread_mutex_lock(&stream->queue.lock);
	stream->ended = true;
	pthread_cond_broadcast(&stream->queue.changed);
	pthread_mutex_unlock(&stream->queue.lock);
	return NULL;
}
