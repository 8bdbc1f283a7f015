/*
 * committer.c - the committing thread: one window of the queue becomes one lake transaction.
 *
 * Order in a transaction (the fence's): offsets are read and checked; rows; quarantine; ledger; offsets move; the topic
 * is still the same (confirm.c); COMMIT.
 * A failed statement rolls back and every lane starts over from the lake's offset. A failed COMMIT has an unknown
 * outcome: the offsets are read again, until the lake answers, before anything else is done.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/duck.h"
#include "stream/files.h"
#include "stream/stream_private.h"

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define ASK_OTHERS_MS 1000
#define REFUSALS 3 /* of one message alone, before a server is believed that its row is at fault */
#define STOP_PATIENCE_MS 15000 /* after a signal, for a lake that does not answer */

/* One transaction's view of its lanes: the fenced ones, packed. */
struct attempt {
	struct lake_lane *lanes, *now; /* as the fence saw them; as the lake has them after a failure */
	int64_t *next;
	int *index; /* into stream->lanes */
	int count;
	struct ledger_row *ledger;
	int ledger_count;
	int64_t rows, inserted, messages, quarantined, skipped, lost;
	int64_t files, file_bytes; /* read to their ends */
	int64_t opened_ms;
};

static void attempt_release(struct attempt *attempt)
{
	free(attempt->lanes);
	free(attempt->now);
	free(attempt->next);
	free(attempt->index);
	free(attempt->ledger);
}

#define OWNED_ATTEMPT OWNED_BY(attempt_release)

static int attempt_init(struct attempt *attempt, struct stream *stream, struct error *err)
{
	size_t count = (size_t)stream->lane_count;
	bool fenced[LANES_MAX] = {false};

	*attempt = (struct attempt){
	        .lanes = calloc(count, sizeof *attempt->lanes),
	        .now = calloc(count, sizeof *attempt->now),
	        .next = calloc(count, sizeof *attempt->next),
	        .index = calloc(count, sizeof *attempt->index),
	        .ledger = calloc(count, sizeof *attempt->ledger),
	        .opened_ms = clock_monotonic_ms(),
	};
	if (!attempt->lanes || !attempt->now || !attempt->next || !attempt->index || !attempt->ledger)
		return error_no_memory(err);
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++) {
		if (stream->lanes[i].state != LANE_READING)
			continue;
		fenced[i] = true;
		attempt->lanes[attempt->count] = stream->lanes[i].lake;
		attempt->index[attempt->count++] = i;
	}
	queue_window_begin(&stream->queue, fenced);
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

/* A message that cannot be stored is found by halving the windows until one holds it alone; each that commits doubles
 * the next. */
static int64_t window_units(const struct stream *stream)
{
	for (int i = 0; i < stream->lane_count; i++)
		if (stream->lanes[i].state != LANE_FREE &&
		    stream->lanes[i].careful_until > stream->lanes[i].lake.next_offset)
			return stream->careful_units;
	return INT64_MAX;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What the closed window took, as ledger rows and next offsets. CONFLICT where a lane went away meanwhile. */
static int book(struct attempt *attempt, struct stream *stream, struct error *err)
{
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < attempt->count; i++) {
		const struct window_lane *taken = &stream->queue.window.lanes[attempt->index[i]];
		const struct lake_lane *lane = &attempt->lanes[i];

		attempt->next[i] = lane->next_offset;
		if (taken->from == taken->to)
			continue;
		if (taken->generation != stream->generations[attempt->index[i]] || taken->from != lane->next_offset) {
			pthread_mutex_unlock(&stream->queue.lock);
			return error_set(err, ERROR_CONFLICT, 0,
			                 "partition %d was given back while its rows were written", lane->partition);
		}
		attempt->next[i] = taken->to;
		attempt->ledger[attempt->ledger_count++] = (struct ledger_row){
		        .partition = lane->partition,
		        .topic_id = lane->topic_id,
		        .epoch = lane->epoch,
		        .from_offset = taken->from,
		        .next_offset = taken->to,
		        .messages = taken->messages,
		        .rows = taken->rows,
		        .quarantined = taken->quarantined,
		        .skipped = taken->skipped,
		        .lost = taken->lost,
		};
		attempt->rows += taken->rows;
		attempt->messages += taken->messages;
		attempt->quarantined += taken->quarantined;
		attempt->skipped += taken->skipped;
		attempt->lost += taken->lost;
	}
	pthread_mutex_unlock(&stream->queue.lock);
	return 0;
}

/* Everything between BEGIN and COMMIT. */
static int fill_transaction(struct stream *stream, struct attempt *attempt, struct batch_schema *schema,
                            struct error *err)
{
	int64_t age_ms = clock_monotonic_ms() - attempt->opened_ms;

	if (lanes_fence(stream->session, &stream->key, attempt->lanes, attempt->count, err)) {
		batch_schema_release(schema);
		return -1;
	}
	targets_allow(stream, schema);
	queue_window_open(&stream->queue, schema, stream->spec->commit.max_bytes, window_units(stream),
	                  stream->spec->commit.freshness_ms - smaller(age_ms, stream->spec->commit.freshness_ms / 2));
	if (targets_insert(stream, schema, &attempt->inserted, err))
		return -1;
	confirm_begin(stream);
	if (book(attempt, stream, err))
		return -1;
	if (attempt->inserted != attempt->rows)
		return error_set(err, ERROR_FATAL, 0, "%" PRId64 " rows were read and %" PRId64 " inserted",
		                 attempt->rows, attempt->inserted);
	if (refused_write(stream, err) ||
	    files_register(stream, attempt->ledger, attempt->ledger_count, &attempt->files, &attempt->file_bytes,
	                   err) ||
	    ledger_append(stream->session, &stream->key, stream->table_name, attempt->ledger, attempt->ledger_count,
	                  err))
		return -1;
	if (lanes_advance(stream->session, &stream->key, attempt->lanes, attempt->next, attempt->count, err))
		return -1;
	return confirm_end(stream, attempt->lanes, attempt->count, err);
}

static void note_commit(struct stream *stream, const struct attempt *attempt)
{
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < attempt->count; i++) {
		struct lane *lane = &stream->lanes[attempt->index[i]];

		if (lane->lake.epoch != attempt->lanes[i].epoch)
			continue;
		lane->lake.next_offset = attempt->next[i];
		metric_put(lane->metrics, METRIC_NEXT_OFFSET, attempt->next[i]);
	}
	stream->rows += attempt->rows;
	stream->messages += attempt->messages;
	stream->quarantined += attempt->quarantined;
	stream->commits++;
	stream->last_commit_ms = clock_wall_ms();
	stream->problem[0] = 0;
	pthread_mutex_unlock(&stream->queue.lock);
	stream->unmerged += attempt->rows || attempt->quarantined;
	stream->lane_versions += lake_has_many_writers(stream->lake) ? 1 : attempt->ledger_count;
	metric_add(stream->metrics, METRIC_ROWS_COMMITTED, attempt->rows);
	metric_add(stream->metrics, METRIC_MESSAGES_COMMITTED, attempt->messages);
	metric_add(stream->metrics, METRIC_QUARANTINED, attempt->quarantined);
	metric_add(stream->metrics, METRIC_SKIPPED, attempt->skipped);
	metric_add(stream->metrics, METRIC_GAPS, attempt->lost);
	metric_add(stream->metrics, METRIC_FILES_TAKEN, attempt->files);
	metric_add(stream->metrics, METRIC_FILE_BYTES, attempt->file_bytes);
	metric_add(stream->metrics, METRIC_COMMITS, 1);
	metric_put(stream->metrics, METRIC_LAST_COMMIT, clock_wall_ms() / 1000);
	log_event(EVENT_COMMIT,
	          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_NUMBER("rows", attempt->rows),
	                 LOG_NUMBER("messages", attempt->messages), LOG_NUMBER("quarantined", attempt->quarantined),
	                 LOG_NUMBER("ms", clock_monotonic_ms() - attempt->opened_ms)),
	          "committed %" PRId64 " rows of %" PRId64 " messages", attempt->rows, attempt->messages);
}

/* Kafka's own offsets follow, for lag monitors. */
static void give_hints(struct stream *stream, const struct attempt *attempt)
{
	if (fault_hit(FAULT_KAFKA_HINT))
		return;
	for (int i = 0; i < attempt->count; i++)
		if (attempt->next[i] != attempt->lanes[i].next_offset)
			stream->source->ops->store_hint(stream->source, attempt->lanes[i].partition, attempt->next[i]);
}

static void note_commit_duration(struct stream *stream, int64_t started_ms)
{
	metric_add(stream->metrics, METRIC_COMMIT_MS, clock_monotonic_ms() - started_ms);
}

/* Another owner holds this lane: it is left alone until the group says so, or for RECLAIM_AFTER_MS. */
static void mark_conflict(struct stream *stream, int index)
{
	pthread_mutex_lock(&stream->queue.lock);
	if (stream->lanes[index].state != LANE_FREE) {
		stream->generations[index]++;
		stream->lanes[index].conflict_ms = clock_monotonic_ms();
		lane_move(stream, index, LANE_CONFLICTED);
	}
	stream->conflicts++;
	pthread_mutex_unlock(&stream->queue.lock);
	metric_add(stream->metrics, METRIC_CONFLICTS, 1);
}

/* Fills attempt->now. */
static int read_lake(struct stream *stream, const struct attempt *attempt, struct error *err)
{
	if (lake_begin(stream->session, err))
		return -1;
	if (lanes_read(stream->session, &stream->key, attempt->lanes, attempt->count, attempt->now, err)) {
		lake_rollback(stream->session);
		return -1;
	}
	lake_rollback(stream->session);
	return 0;
}

static void wait_ms(struct stream *stream, int64_t ms)
{
	for (int64_t until = clock_monotonic_ms() + ms; clock_monotonic_ms() < until && !stream->halt;)
		clock_sleep_ms(50);
}

/*
 * What does the lake hold? Asked in a fresh transaction until it answers (or the program is halted), and only then
 * believed: all lanes as the attempt wanted them -> it did commit; else each lane is as the lake says.
 * 1: the attempt committed. 0: it did not. -1: halted, broken, or stopped and out of patience, before the lake
 * answered.
 */
static int learn_outcome(struct stream *stream, const struct attempt *attempt)
{
	const struct lake_lane *now = attempt->now;
	struct error err = {0};
	int64_t pause_ms = RETRY_MIN_MS, stopped_ms = 0;
	bool done = attempt->ledger_count > 0;

	while (read_lake(stream, attempt, &err)) {
		stream_problem(stream, err.message);
		if (err.kind == ERROR_FATAL) { /* this process's DuckDB is gone for good: the next one asks */
			stream_fail(stream, &err);
			return -1;
		}
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("stream", stream->spec->name)), "the lake does not answer: %s",
		          err.message);
		wait_ms(stream, pause_ms);
		pause_ms = smaller(pause_ms * 2, RETRY_MAX_MS);
		stopped_ms += stream->stop ? pause_ms : 0;
		if (stopped_ms > STOP_PATIENCE_MS) {
			error_wrap(&err,
			           "it stops while the lake does not answer; the next run goes on where the lake is");
			stream_fail(stream, &err);
			return -1;
		}
		if (stream->halt)
			return -1;
	}
	for (int i = 0; i < attempt->count; i++)
		done &= now[i].epoch == attempt->lanes[i].epoch && now[i].next_offset == attempt->next[i];
	if (done)
		return 1;
	for (int i = 0; i < attempt->count; i++) {
		if (now[i].epoch != attempt->lanes[i].epoch) {
			mark_conflict(stream, attempt->index[i]);
			continue;
		}
		pthread_mutex_lock(&stream->queue.lock);
		if (stream->lanes[attempt->index[i]].lake.epoch == now[i].epoch)
			stream->lanes[attempt->index[i]].lake.next_offset = now[i].next_offset;
		pthread_mutex_unlock(&stream->queue.lock);
	}
	return 0;
}

/* The message that stood alone is what was refused. */
static bool is_certain(struct stream *stream, struct lane *lane, int64_t offset, const struct error *err)
{
	if (!lake_has_many_writers(stream->lake) || duck_is_about_rows(err->code))
		return true;
	if (lane->refused != offset)
		lane->refusals = 0;
	lane->refused = offset;
	return ++lane->refusals >= REFUSALS;
}

/*
 * DuckDB refused a row of this window, or the window does not fit in its memory: go on with half of it. The message
 * that is refused alone goes to quarantine; one that is too large for the memory alone is nobody's fault but the
 * manifest's, and ends the stream. To try the same again for ever would look like a stream that hangs.
 */
static void be_careful(struct stream *stream, const struct attempt *attempt, const struct error *err)
{
	struct window *window = &stream->queue.window;
	int64_t units;

	pthread_mutex_lock(&stream->queue.lock);
	units = window->units;
	stream->careful_units = units > 1 ? units / 2 : 1;
	for (int i = 0; i < attempt->count; i++) {
		struct lane *lane = &stream->lanes[attempt->index[i]];
		const struct window_lane *taken = &window->lanes[attempt->index[i]];

		if (taken->from == taken->to)
			continue;
		if (units > 1 || err->kind == ERROR_MEMORY) {
			lane->careful_until = taken->to > lane->careful_until ? taken->to : lane->careful_until;
			continue;
		}
		/* [from, to) ends with the one message; what stands before it holds none. */
		if (!is_certain(stream, lane, taken->to - 1, err))
			continue;
		lane->poison = taken->to - 1;
		free(lane->poison_reason);
		lane->poison_reason = strdup(err->message);
	}
	pthread_mutex_unlock(&stream->queue.lock);
}

static void handle_failure(struct stream *stream, const struct attempt *attempt, const struct error *err)
{
	log_event(err->kind == ERROR_CONFLICT ? EVENT_CONFLICT : EVENT_COMMIT_RETRY,
	          FIELDS(LOG_TEXT("stream", stream->spec->name)),
	          "nothing was committed, the lanes start over from the lake: %s", err->message);
	stream_problem(stream, err->message);
	pthread_mutex_lock(&stream->queue.lock);
	stream->commit_failures++;
	pthread_mutex_unlock(&stream->queue.lock);
	metric_add(stream->metrics, METRIC_COMMIT_FAILURES, 1);
	if (err->kind == ERROR_MEMORY && stream->queue.window.max_units == 1) {
		struct error enough = *err;

		error_wrap(&enough, "one message alone does not fit: raise spec.memory");
		stream_fail(stream, &enough);
	} else if ((err->kind == ERROR_INVALID && !stream->failure.kind) || err->kind == ERROR_MEMORY) {
		be_careful(stream, attempt, err);
	}
	if (err->kind == ERROR_FATAL)
		stream_fail(stream, err);
}

/* One transaction. 1: committed; 0: not, and the lanes were reset. */
static int attempt_commit(struct stream *stream, struct batch_schema *schema, struct error *err)
{
	OWNED_ATTEMPT struct attempt attempt = {0};
	int64_t started_ms;
	int done = 0;

	if (attempt_init(&attempt, stream, err) || lake_begin(stream->session, err)) {
		batch_schema_release(schema);
	} else if (!attempt.count) {
		batch_schema_release(schema); /* every lane left meanwhile */
		lake_rollback(stream->session);
		queue_window_clear(&stream->queue);
		return 1;
	} else if (fill_transaction(stream, &attempt, schema, err)) {
		lake_rollback(stream->session);
	} else if (!attempt.ledger_count) {
		lake_rollback(stream->session); /* every unit was stale: nothing to commit */
		queue_window_clear(&stream->queue);
		return 1;
	} else {
		char note[512];

		started_ms = clock_monotonic_ms();
		snprintf(note, sizeof note,
		         "{\"stream\":\"%s\",\"rows\":%" PRId64 ",\"messages\":%" PRId64 ",\"owner\":\"%s\"}",
		         stream->spec->name, attempt.rows, attempt.messages, stream->owner);
		done = lake_commit(stream->session, note, err) == COMMIT_DONE;
		note_commit_duration(stream, started_ms);
	}
	if (!done) {
		handle_failure(stream, &attempt, err);
		done = attempt.count ? learn_outcome(stream, &attempt) : 0;
	}
	if (done == 1) {
		if (stream->careful_units < INT64_MAX / 2)
			stream->careful_units *= 2;
		note_commit(stream, &attempt);
		give_hints(stream, &attempt);
	}
	queue_window_clear(&stream->queue);
	if (done != 1)
		stream_reset(stream);
	return done == 1;
}

static int work_once(struct stream *stream, struct error *err)
{
	int64_t enough = smaller(stream->queue.bound / 4, stream->spec->commit.max_bytes / 4);
	int64_t linger_ms = stream->spec->commit.freshness_ms * 6 / 10;
	struct batch_schema *schema = NULL;
	int prepared;

	if (!queue_wait_work(&stream->queue, 200, enough, linger_ms, &schema))
		return 0;
	if (schema && (prepared = targets_prepare(stream, schema, err))) {
		batch_schema_release(schema);
		return prepared < 0 ? -1 : 0;
	}
	return attempt_commit(stream, schema, err) ? 0 : -1;
}

static bool nothing_left(struct stream *stream)
{
	bool left;

	if (stream->halt || stream->failure.kind)
		return true;
	pthread_mutex_lock(&stream->queue.lock);
	left = !stream->reading_done || stream->queue.head;
	pthread_mutex_unlock(&stream->queue.lock);
	return !left;
}

/* The lanes of other processes, as the lake has them: are they at their targets? */
static bool others_are_done(struct stream *stream)
{
	OWNED_FREE struct lake_lane *others = calloc(LANES_MAX, sizeof *others), *now = calloc(LANES_MAX, sizeof *now);
	struct attempt attempt = {.lanes = others, .now = now};
	struct error ignored;

	if (!others || !now)
		return false;
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++)
		if (stream->lanes[i].state == LANE_FREE && !lane_never_held(&stream->lanes[i]))
			others[attempt.count++].partition = i;
	pthread_mutex_unlock(&stream->queue.lock);
	/* A lane that nobody claimed yet may have no table: not done. */
	if (attempt.count && read_lake(stream, &attempt, &ignored))
		return false;
	for (int i = 0; i < attempt.count; i++)
		if (now[i].epoch < 0 || now[i].next_offset < stream->lanes[others[i].partition].target)
			return false;
	return true;
}

static bool is_finished(struct stream *stream)
{
	int done = stream_wants_end(stream);

	if (done >= 0)
		return done > 0;
	if (clock_monotonic_ms() < stream->others_asked_ms + ASK_OTHERS_MS)
		return false;
	stream->others_asked_ms = clock_monotonic_ms();
	return others_are_done(stream);
}

void *committer_main(void *opaque)
{
	struct stream *stream = opaque;
	int64_t pause_ms = RETRY_MIN_MS;

	while (!nothing_left(stream)) {
		struct error err = {0};

		if (work_once(stream, &err) == 0) {
			pause_ms = RETRY_MIN_MS;
			upkeep(stream);
		} else {
			if (err.kind == ERROR_FATAL)
				stream_fail(stream, &err);
			/* With the reader gone nobody reads again what was dropped: the next owner will. */
			if (stream->reading_done)
				break;
			if (err.kind == ERROR_TRANSIENT || err.kind == ERROR_CONFLICT || err.kind == ERROR_MEMORY) {
				wait_ms(stream, pause_ms);
				pause_ms = smaller(pause_ms * 2, RETRY_MAX_MS);
			}
		}
		refused_tell(stream, false);
		if (is_finished(stream))
			stream_stop(stream);
	}
	refused_tell(stream, true);
	return NULL;
}
