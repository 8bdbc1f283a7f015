/*
 * upkeep.c - between commits: old versions of the lanes' rows go, small files become larger ones, files that were
 * replaced are deleted, and memory that is free is given back.
 *
 * On the committer's thread, for all are transactions of the same catalog; the reader goes on meanwhile. Bounded: a
 * look after LANE_VERSIONS versions and after MERGE_FILES commits (MERGE_LATEST for a stream that is behind), and what
 * one merge writes (lake/merge.h).
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "lake/merge.h"
#include "lake/shed.h"
#include "stream/stream_private.h"

#define CLEANUP_EVERY_MS (10 * 60 * 1000)
#define TRIM_EVERY_MS 5000
#define MERGE_LATEST 64 /* commits: a stream that is never up to date merges all the same */

/* What was freed stays in the arenas of the threads that asked for it, between what is in use. */
static void give_back_freed(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

static int merge_table(struct stream *stream, const char *schema, const char *table, bool small_only, bool *more,
                       struct error *err)
{
	int64_t started_ms = clock_monotonic_ms();
	struct merge_report report;

	if (lake_merge(stream->session, schema, table, small_only, &report, err))
		return -1;
	*more |= report.more;
	metric_add(stream->metrics, METRIC_MERGE_MS, clock_monotonic_ms() - started_ms);
	if (!report.files_before)
		return 0;
	metric_add(stream->metrics, METRIC_MERGED, report.files_before);
	log_event(EVENT_MERGE,
	          FIELDS(LOG_TEXT("stream", stream->spec->name), LOG_TEXT("table", table),
	                 LOG_NUMBER("from", report.files_before), LOG_NUMBER("to", report.files_after),
	                 LOG_NUMBER("ms", clock_monotonic_ms() - started_ms)),
	          "%" PRId64 " small files of %s.%s became %" PRId64, report.files_before, schema, table,
	          report.files_after);
	/* The next table's merge and the next commit want it. */
	give_back_freed();
	return lake_purge(stream->session, err);
}

static int clean_up(struct stream *stream, struct error *err)
{
	if (clock_monotonic_ms() < stream->cleaned_ms + CLEANUP_EVERY_MS)
		return 0;
	stream->cleaned_ms = clock_monotonic_ms();
	return lake_merge_cleanup(stream->session, err);
}

/* After its first commit a process looks at what the ones before it left (stream.c). */
static void prune_lanes(struct stream *stream)
{
	OWNED_FREE struct lake_lane *lanes = NULL;
	struct error err = {0};
	int count = 0;

	if (!stream->commits || stream->lane_versions < LANE_VERSIONS ||
	    !(lanes = calloc((size_t)stream->lane_count, sizeof *lanes)))
		return;
	pthread_mutex_lock(&stream->queue.lock);
	for (int i = 0; i < stream->lane_count; i++)
		if (stream->lanes[i].state != LANE_FREE)
			lanes[count++] = stream->lanes[i].lake;
	pthread_mutex_unlock(&stream->queue.lock);
	if (!count)
		return;
	stream->lane_versions = 0;
	if (lanes_prune(stream->session, &stream->key, lanes, count, LANE_GRACE_MS, &err))
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("stream", stream->spec->name)),
		          "old versions of the lanes' rows were not removed, which is tried again later: %s",
		          err.message);
}

static bool is_behind(struct stream *stream)
{
	bool behind;

	pthread_mutex_lock(&stream->queue.lock);
	behind = queue_is_behind(&stream->queue);
	pthread_mutex_unlock(&stream->queue.lock);
	return behind;
}

/* The rows that wait are worth more than larger files, which a stream that is behind makes anyway (queue.h). It merges
 * later, and small files alone. What is too much for one merge goes on after the next commit. */
static void merge(struct stream *stream)
{
	bool behind = is_behind(stream), more = false;
	struct error err = {0};

	if (!stream->spec->merge_files || stream->unmerged < (behind ? MERGE_LATEST : MERGE_FILES))
		return;
	stream->unmerged = 0;
	if (merge_table(stream, stream->spec->schema, stream->spec->table, behind, &more, &err) ||
	    merge_table(stream, "tarn", "quarantine", behind, &more, &err) || clean_up(stream, &err))
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("stream", stream->spec->name)),
		          "small files were not merged, which is tried again later: %s", err.message);
	else if (more)
		stream->unmerged = MERGE_LATEST;
}

static void give_back_memory(struct stream *stream)
{
	struct error err = {0};
	int64_t shed;

	if (clock_monotonic_ms() < stream->trimmed_ms + TRIM_EVERY_MS)
		return;
	stream->trimmed_ms = clock_monotonic_ms();
	if (lake_shed(stream->session, SHED_ABOVE_BYTES, &shed, &err))
		log_event(EVENT_LAKE, FIELDS(LOG_TEXT("stream", stream->spec->name)),
		          "DuckDB's cache was not emptied, which is tried again later: %s", err.message);
	give_back_freed();
}

void upkeep(struct stream *stream)
{
	prune_lanes(stream);
	merge(stream);
	give_back_memory(stream);
}
