/*
 * audit.h - what the lake itself says about its lanes: the facts that `tarn verify` judges.
 *
 * All figures of one audit come from one snapshot (one transaction). A lake of a Tarn that knew no resolutions is one
 * where nothing was resolved.
 */
#ifndef TARN_LAKE_AUDIT_H
#define TARN_LAKE_AUDIT_H

#include <stdint.h>

#include "base/error.h"

struct lake_session;

/* One lane: a partition of a topic (of one incarnation, where the topic was made anew), as the ledger tells it. */
struct lane_audit {
	char topic_id[64];
	int32_t partition;
	int64_t first_offset, next_offset; /* of the lane's row */
	int64_t ledger_next; /* where the ledger ends; -1: it has no rows */
	int64_t commits, messages, rows, quarantined, skipped, lost;
	int64_t gap_offsets; /* offsets that no commit accounts for */
	int64_t duplicate_offsets; /* offsets that two commits account for */
	int64_t unbalanced; /* commits whose counts do not add up to their offsets */
	int64_t quarantine_rows; /* messages in quarantine */
	int64_t replayed, discarded; /* messages that left it (resolve.h) */
	int64_t distinct; /* offsets among the three above: as many as there are messages, or one is in two places */
};

struct stream_audit {
	struct lane_audit *lanes; /* owned; by topic id and partition */
	int lane_count;
	int64_t table_rows; /* of the target table; -1: there is no table */
	int64_t ledger_rows; /* that all streams' ledgers say went into that table */
	int64_t replayed_rows; /* that came into it out of quarantine, of all streams */
	int64_t snapshot; /* 0 for backend file */
	int64_t last_commit_ms; /* wall clock; 0: none */
};

/* Fills *ret_audit; a stream that never ran has no lanes. */
int lake_audit(struct lake_session *session, const char *stream, const char *topic, const char *schema,
               const char *table, struct stream_audit *ret_audit, struct error *err);
void stream_audit_release(struct stream_audit *audit);

#endif
