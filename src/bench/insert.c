/* insert.c - DuckDB alone: batches that were decoded before, from memory into a lake, as fast as it takes them. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "batch/arrow_abi.h"
#include "bench/bench_private.h"
#include "lake/append.h"

struct decoded {
	struct held_topic held;
	struct batch_set *sets; /* one a message */
};

/* What one commit pulls. */
struct feed {
	pthread_mutex_t lock;
	const struct decoded *decoded;
	int message, array;
	int64_t commit_bytes, max_bytes; /* taken and allowed in this commit */
	int64_t bytes, max_total; /* in the whole run */
	int64_t messages, rows;
};

static void release_nothing(struct ArrowArray *array)
{
	array->release = NULL;
}

/* The arrays stay: what is handed out is a shallow copy, whose release does nothing. */
static int feed_pull(void *context, struct ArrowArray *ret_array)
{
	struct feed *feed = context;
	int given = 0;

	pthread_mutex_lock(&feed->lock);
	while (!given && (feed->array || (feed->commit_bytes < feed->max_bytes && feed->bytes < feed->max_total))) {
		const struct batch_set *set = &feed->decoded->sets[feed->message];

		if (feed->array == 0) {
			int64_t size = (int64_t)feed->decoded->held.messages[feed->message].size;

			feed->commit_bytes += size;
			feed->bytes += size;
			feed->messages++;
			feed->rows += set->rows;
		}
		if (feed->array < set->count) {
			*ret_array = set->arrays[feed->array++];
			ret_array->release = release_nothing;
			given = ret_array->length > 0;
		} else {
			feed->array = 0;
			feed->message = (feed->message + 1) % feed->decoded->held.count;
		}
	}
	pthread_mutex_unlock(&feed->lock);
	return given;
}

static void release_never(void *opaque)
{
}

static int decode_held(const struct bench_config *config, struct decoded *decoded, struct error *err)
{
	struct batch_counters counters = {0};
	struct batch_decoder *decoder;
	int failed = 0;

	if (topic_hold(config, &decoded->held, err))
		return -1;
	decoded->sets = calloc((size_t)decoded->held.count, sizeof *decoded->sets);
	decoder = batch_decoder_new(&counters, err);
	if (!decoded->sets || !decoder)
		return error_no_memory(err);
	for (int i = 0; i < decoded->held.count && !failed; i++) {
		struct batch_bytes bytes = decoded->held.messages[i];

		bytes.release = release_never;
		failed = ipc_decode(decoder, bytes, &decoded->sets[i], err);
		if (!failed && strcmp(decoded->sets[i].schema->fingerprint, decoded->sets[0].schema->fingerprint) != 0)
			failed = error_set(err, ERROR_INVALID, 0,
			                   "topic %s holds messages of several schemas: this measures one",
			                   config->topic);
	}
	batch_decoder_free(decoder);
	return failed;
}

static int commit_one(struct lake_session *session, struct append_target *target, struct feed *feed, struct error *err)
{
	struct append_pull pull = {.context = feed, .next = feed_pull};
	int64_t rows;

	feed->commit_bytes = 0;
	if (lake_begin(session, err))
		return -1;
	if (append_rows(target, feed->decoded->sets[0].schema, &pull, &rows, err)) {
		lake_rollback(session);
		return -1;
	}
	return lake_commit(session, NULL, err) == COMMIT_DONE ? 0 : -1;
}

static int insert_all(const struct spec_stream *spec, const struct decoded *decoded, struct lake_session *session,
                      struct append_target *target, struct bench_sample *sample, struct error *err)
{
	struct feed feed = {
	        .decoded = decoded, .max_bytes = spec->commit.max_bytes, .max_total = decoded->held.topic_bytes};
	const struct batch_set *first = &decoded->sets[0];
	struct meter meter;
	enum append_news news;

	pthread_mutex_init(&feed.lock, NULL);
	meter_start(&meter);
	meter_work_begins(&meter);
	if (append_prepare(target, first->schema,
	                   first->rows ? (int64_t)decoded->held.messages[0].size / first->rows : 0, &news, err))
		return -1;
	while (feed.bytes < feed.max_total) {
		if (commit_one(session, target, &feed, err))
			return -1;
		sample->commits++;
	}
	meter_work_ends(&meter, sample);
	meter_stop(&meter, sample);
	sample->messages = feed.messages;
	sample->rows = feed.rows;
	sample->bytes = feed.bytes;
	sample->held_bytes = decoded->held.bytes;
	return 0;
}

int stage_insert(const struct bench_config *config, struct bench_sample *sample, struct error *err)
{
	struct manifest *manifest = bench_manifest(config, err);
	const struct spec_stream *spec = manifest ? manifest->streams : NULL;
	struct decoded decoded = {0};
	struct lake *lake = NULL;
	struct lake_session *session = NULL;
	struct append_target *target = NULL;
	int failed = !spec || decode_held(config, &decoded, err) || !(lake = bench_lake(manifest, err)) ||
	             !(session = lake_session_new(lake, err)) ||
	             !(target = append_target_new(session, spec->schema, spec->table, false, err)) ||
	             insert_all(spec, &decoded, session, target, sample, err);

	append_target_free(target);
	lake_session_free(session);
	lake_close(lake);
	manifest_free(manifest);
	return failed ? -1 : 0;
}
