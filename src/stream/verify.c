#include "stream/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"
#include "stream/files.h"
#include "stream/verify_files.h"
#include "wire/source.h"

static void judge_lane(struct verified_lane *lane)
{
	const struct lane_audit *audit = &lane->audit;
	int64_t end = audit->ledger_next < 0 ? audit->first_offset : audit->ledger_next;
	int64_t told = audit->quarantine_rows + audit->replayed + audit->discarded;

	lane->gaps = audit->gap_offsets + audit->lost;
	lane->duplicates += audit->duplicate_offsets;
	if (audit->next_offset > end)
		lane->gaps += audit->next_offset - end;
	if (audit->next_offset < end)
		lane->duplicates += end - audit->next_offset;
	if (lane->high >= 0 && audit->next_offset < lane->low)
		lane->gaps += lane->low - audit->next_offset;

	if (*lane->problem)
		return; /* of the files */
	if (lane->duplicates)
		snprintf(lane->problem, sizeof lane->problem, "%" PRId64 " offsets are accounted for twice",
		         lane->duplicates);
	else if (audit->lost)
		snprintf(lane->problem, sizeof lane->problem,
		         "%" PRId64 " offsets were removed by the topic's retention before they were read",
		         audit->lost);
	else if (lane->gaps)
		snprintf(lane->problem, sizeof lane->problem, "%" PRId64 " offsets are not accounted for", lane->gaps);
	else if (audit->unbalanced)
		snprintf(lane->problem, sizeof lane->problem,
		         "in %" PRId64 " commits the counts do not add up to the offsets", audit->unbalanced);
	else if (told != audit->quarantined || audit->distinct != told)
		snprintf(lane->problem, sizeof lane->problem,
		         "the ledger counts %" PRId64 " quarantined messages, quarantine holds %" PRId64 ", %" PRId64
		         " were replayed and %" PRId64 " discarded (%" PRId64 " distinct)",
		         audit->quarantined, audit->quarantine_rows, audit->replayed, audit->discarded,
		         audit->distinct);
	else if (lane->high >= 0 && audit->next_offset > lane->high)
		snprintf(lane->problem, sizeof lane->problem,
		         "the topic ends at offset %" PRId64 ", before the lake's %" PRId64
		         ": it was made anew, or is another topic",
		         lane->high, audit->next_offset);
}

static void judge_table(struct verification *verification)
{
	int64_t promised = verification->ledger_rows + verification->replayed_rows;
	int64_t difference = (verification->table_rows < 0 ? 0 : verification->table_rows) - promised;

	if (difference > 0)
		verification->duplicates += difference;
	if (difference < 0)
		verification->gaps -= difference;
	if (difference)
		snprintf(verification->problem, sizeof verification->problem,
		         "the table holds %" PRId64 " rows and the ledger%s promised %" PRId64 " (%s)",
		         verification->table_rows, verification->replayed_rows ? " with what was replayed" : "",
		         promised,
		         difference > 0 ? "something else wrote to it, or rows doubled" : "rows were deleted or lost");
}

static void mark_current(struct verification *verification, const char *topic_id)
{
	for (int i = 0; i < verification->lane_count; i++) {
		struct verified_lane *lane = &verification->lanes[i];

		lane->current = topic_id ? !strcmp(lane->audit.topic_id, topic_id) : true;
	}
}

/* ---- the topic's side */

static int assigned_nothing(void *context, struct source_start *starts, int count, struct error *err)
{
	for (int i = 0; i < count; i++)
		starts[i].offset = -1;
	return 0;
}

static void revoked_nothing(void *context, const int32_t *partitions, int count, bool lost)
{
}

static struct verified_lane *find_lane(struct verification *verification, int32_t partition)
{
	for (int i = 0; i < verification->lane_count; i++)
		if (verification->lanes[i].current && verification->lanes[i].audit.partition == partition)
			return &verification->lanes[i];
	return NULL;
}

/* A partition that no commit has touched yet is a lane too: all of it is still to come. */
static struct verified_lane *add_lane(struct verification *verification, int32_t partition, const char *topic_id,
                                      int64_t low)
{
	struct verified_lane *lanes = realloc(verification->lanes,
	                                      (size_t)(verification->lane_count + 1) * sizeof *lanes),
	                     *lane;

	if (!lanes)
		return NULL;
	verification->lanes = lanes;
	lane = &lanes[verification->lane_count++];
	*lane = (struct verified_lane){.current = true};
	lane->audit.partition = partition;
	lane->audit.first_offset = lane->audit.next_offset = low;
	lane->audit.ledger_next = -1;
	snprintf(lane->audit.topic_id, sizeof lane->audit.topic_id, "%s", topic_id);
	return lane;
}

static int ask_lanes(struct source *source, struct verification *verification, struct error *err)
{
	char topic_id[64] = "";
	int32_t count;

	if (source->ops->topic_id(source, topic_id, sizeof topic_id, err) ||
	    source->ops->partition_count(source, &count, err))
		return -1;
	mark_current(verification, *topic_id ? topic_id : NULL);
	for (int32_t partition = 0; partition < count; partition++) {
		struct verified_lane *lane = find_lane(verification, partition);
		int64_t low, high;

		if (source->ops->watermarks(source, partition, &low, &high, err))
			return -1;
		if (!lane && !(lane = add_lane(verification, partition, topic_id, low)))
			return error_no_memory(err);
		lane->low = low;
		lane->high = high;
		lane->lag = high - lane->audit.next_offset;
	}
	return 0;
}

static int ask_topic(const struct spec_stream *spec, const char *brokers, struct verification *verification,
                     struct error *err)
{
	OWNED_FREE struct kafka_property *properties =
	        calloc((size_t)spec->kafka.property_count + 1, sizeof *properties);
	struct source_events events = {.assigned = assigned_nothing, .revoked = revoked_nothing};
	struct kafka_config config = {
	        .brokers = brokers ? brokers : spec->kafka.brokers,
	        .topic = spec->kafka.topic,
	        .properties = properties,
	        .property_count = spec->kafka.property_count,
	        .prefetch_bytes = 1 << 20,
	        .assign_all = true,
	        .stream_name = spec->name,
	};
	struct source *source;
	int failed;

	if (!properties)
		return error_no_memory(err);
	if (!strcmp(config.brokers, "embedded"))
		return error_set(err, ERROR_INVALID, 0,
		                 "stream %s reads the embedded broker, which lives only as long as `tarn run`: verify "
		                 "without --topic",
		                 spec->name);
	for (int i = 0; i < spec->kafka.property_count; i++)
		properties[i] =
		        (struct kafka_property){spec->kafka.properties[i].name, spec->kafka.properties[i].value};
	source = source_open_kafka(&config, &events, err);
	if (!source)
		return -1;
	failed = ask_lanes(source, verification, err);
	source->ops->close(source);
	return failed;
}

int verify_stream(const struct spec_stream *spec, struct lake_session *session, bool with_topic, const char *brokers,
                  struct verification *ret_verification, struct error *err)
{
	struct verification verification = {0};
	struct stream_audit audit = {0};
	bool files = spec_reads_files(spec);
	char topic[FILES_TOPIC_SIZE];

	files_topic(spec, topic);
	if (lake_audit(session, spec->name, files ? topic : spec->kafka.topic, spec->schema, spec->table, &audit, err))
		return error_wrap(err, "verify stream %s", spec->name);
	verification.lanes = calloc((size_t)audit.lane_count + 1, sizeof *verification.lanes);
	if (!verification.lanes) {
		stream_audit_release(&audit);
		return error_no_memory(err);
	}
	verification.lane_count = audit.lane_count;
	for (int i = 0; i < audit.lane_count; i++)
		verification.lanes[i] =
		        (struct verified_lane){.audit = audit.lanes[i], .low = -1, .high = -1, .lag = -1};
	verification.table_rows = audit.table_rows;
	verification.ledger_rows = audit.ledger_rows;
	verification.replayed_rows = audit.replayed_rows;
	verification.snapshot = audit.snapshot;
	verification.last_commit_ms = audit.last_commit_ms;
	stream_audit_release(&audit);
	verification.files_there = -1;
	mark_current(&verification, NULL);
	if (files ? verify_files(spec, session, with_topic, &verification, err)
	          : with_topic && ask_topic(spec, brokers, &verification, err)) {
		verification_release(&verification);
		return error_wrap(err, "verify stream %s", spec->name);
	}
	judge_table(&verification);
	verification.passed = !*verification.problem;
	for (int i = 0; i < verification.lane_count; i++) {
		struct verified_lane *lane = &verification.lanes[i];

		judge_lane(lane);
		verification.rows += lane->audit.rows;
		verification.gaps += lane->gaps;
		verification.duplicates += lane->duplicates;
		verification.passed &= !*lane->problem;
	}
	*ret_verification = verification;
	return 0;
}

int verify_topic(const struct spec_stream *spec, struct verification *ret_verification, struct error *err)
{
	struct verification verification = {0};

	if (ask_topic(spec, NULL, &verification, err)) {
		verification_release(&verification);
		return -1;
	}
	*ret_verification = verification;
	return 0;
}

void verification_release(struct verification *verification)
{
	free(verification->lanes);
	*verification = (struct verification){0};
}
