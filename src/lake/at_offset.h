/*
 * at_offset.h - the snapshot that holds an offset: the one whose commit the ledger says took it.
 *
 * A ledger row commits with the rows that it counts, and DuckLake remembers which snapshot a row came with (the virtual
 * column snapshot_id, in the catalog, in files, and in files that were merged). So it is one query of the lane's rows
 * of the ledger, however many snapshots there are.
 */
#ifndef TARN_LAKE_AT_OFFSET_H
#define TARN_LAKE_AT_OFFSET_H

#include <stdint.h>

#include "base/error.h"
#include "lake/place.h"

struct lake_session;

/* What was found, and what a person should know about the choice. */
struct offset_snapshot {
	int64_t snapshot;
	char stream[256]; /* whose commit it is */
	int streams; /* how many streams of this lake read the topic: the snapshot is the first that holds it for each
	                that has it */
	int incarnations; /* how many topics of that name the stream knew: the newest one's offset is meant */
};

/*
 * INVALID, with what there is: an unknown topic or partition, an offset that is not committed yet or no longer known,
 * one that holds no message (lost to retention, or skipped), a snapshot that has expired, a backend without snapshots.
 */
int lake_at_offset(struct lake_session *session, const struct place *place, struct offset_snapshot *ret_found,
                   struct error *err);

#endif
