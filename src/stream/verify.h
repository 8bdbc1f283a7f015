/*
 * verify.h - is every offset of every lane accounted for exactly once?
 *
 * From the lake alone: the ledger's ranges join without gap or overlap, their counts add up, the lane's row stands
 * where the ledger ends, each message that the ledger calls quarantined is in quarantine or resolved (and not both),
 * and the table holds as many rows as the ledger and the replayed messages promised. With a source also: what the topic
 * still holds lies at or behind the lane's next offset. Of files see verify_files.h.
 */
#ifndef TARN_STREAM_VERIFY_H
#define TARN_STREAM_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/audit.h"
#include "lake/lake.h"
#include "spec/spec.h"

struct verified_lane {
	struct lane_audit audit;
	bool current; /* its topic id is the newest: earlier incarnations of an embedded topic are history */
	int64_t low, high; /* the topic's watermarks; -1: not asked */
	int64_t lag; /* high - next_offset; -1: not asked */
	int64_t gaps, duplicates; /* offsets */
	char problem[400]; /* "" where all is well */
};

struct verification {
	struct verified_lane *lanes; /* owned */
	int lane_count;
	int64_t rows, table_rows, ledger_rows, replayed_rows, snapshot, last_commit_ms;
	int64_t gaps, duplicates;
	int64_t files_taken, files_there; /* of a stream of files; there: -1: not asked */
	char problem[256]; /* of the table; "" where all is well */
	bool passed;
};

/* with_topic: asks the source at `brokers` (NULL: the manifest's) for its watermarks too. */
int verify_stream(const struct spec_stream *spec, struct lake_session *session, bool with_topic, const char *brokers,
                  struct verification *ret_verification, struct error *err);
/* The topic's side alone, for a stream whose lake is not there yet: its lanes with their watermarks. */
int verify_topic(const struct spec_stream *spec, struct verification *ret_verification, struct error *err);
void verification_release(struct verification *verification);

#endif
