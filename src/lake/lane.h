/*
 * lane.h - the fence: which offset of a lane is next, and who may say so.
 *
 * A lane is (stream, topic, partition). Its row in tarn.offsets_* holds next_offset, an epoch that each new owner
 * raises, and the topic's id. Where many processes write (postgres) each lane has a table of its own, for two writers
 * of one table conflict even on different rows; elsewhere a stream has one table.
 *
 * Invariants:
 *  1. Rows and next_offset change in one transaction (lanes_advance runs in the transaction that inserted the rows).
 *  2. lanes_advance changes exactly one row a lane, where next_offset and epoch are what the owner believes; any other
 *     count is a CONFLICT. A zombie that read late sees the winner's offset, changes 0 rows, and its COMMIT would
 * succeed.
 *  3. An UPDATE, never an append: inserts do not conflict and so fence nobody off.
 *  4. What lanes_prune removes no snapshot of the last LANE_GRACE_MS sees; it never touches a row that holds, so the
 *     fence reads the same with it and without.
 *  5. A lane's first row is an append (3), so of two first claims at once on a server both stay. Nothing is advanced by
 *     an epoch that an append gave: who appended claims once more, and who finds several rows makes one of them. Until
 *     then the row of the highest epoch holds.
 *
 * DuckLake keeps every version of an inlined row, and reads them all to find the one that holds: a commit would take
 * longer with each one before it. lanes_prune bounds them. What a lane's offset once was the ledger says.
 */
#ifndef TARN_LAKE_LANE_H
#define TARN_LAKE_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct lake_session;

struct lane_key {
	const char *stream, *topic;
};

struct lake_lane {
	int32_t partition;
	char topic_id[64]; /* "" where the source has none */
	int64_t first_offset, next_offset;
	int64_t epoch;
};

/* What to do where a topic is another one by the same name. */
#define LANE_READ_ANEW                                                                                                 \
	"Read it as a new stream: give the stream or the topic another name; and another table too where the topic "   \
	"holds again what was read, or those rows are doubled"

/* Sets the INVALID error that says so where the topic's id is not the lane's (and both are known), and returns -1. */
int lane_check_topic_id(const struct lane_key *key, const struct lake_lane *lane, const char *topic_id,
                        struct error *err);

/* What a new lane starts from, asked only where the lake has no row yet. */
struct lane_start {
	void *context;
	int (*first_offset)(void *context, int32_t partition, int64_t *ret_offset, struct error *err);
	bool may_restart; /* the topic's id may change (the embedded broker): the lane starts anew; else INVALID */
};

/*
 * Claims lanes for `owner` in a transaction of its own: makes what is missing, raises the epochs, reads the offsets.
 * lanes[i].partition and topic_id are given, the rest is filled. Tries again on conflicts for up to `patience_ms`.
 */
int lanes_claim(struct lake_session *session, const struct lane_key *key, const char *owner, struct lake_lane *lanes,
                int count, const struct lane_start *start, int64_t patience_ms, struct error *err);

/*
 * First statement of a transaction, which fixes its snapshot. CONFLICT where the lake differs from a lane's next_offset
 * or epoch: of any lane that shares the first one's table; the others are lanes_advance's to find.
 */
int lanes_fence(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
                struct error *err);

/* Last statement: next_offset becomes next[i]. Lanes whose next[i] equals next_offset are left alone. */
int lanes_advance(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes,
                  const int64_t *next, int count, struct error *err);

/* After an unknown outcome, in a transaction of its own: reads what the lake holds now into ret_lanes (same partitions;
 * epoch -1 where there is no row). */
int lanes_read(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
               struct lake_lane *ret_lanes, struct error *err);

/* Versions of one table after which it is time to prune, and how long those that ended are kept: a reader of a SQLite
 * catalog is not isolated from what is deleted, and finds no row where its snapshot's was. */
#define LANE_VERSIONS 1000
#define LANE_GRACE_MS 10000

/*
 * Between commits, in a transaction of its own: removes the versions of the lanes' rows that ended grace_ms ago or
 * earlier. Errors: as DuckDB gives them; nothing has changed then, or the outcome is unknown and does not matter.
 */
int lanes_prune(struct lake_session *session, const struct lane_key *key, const struct lake_lane *lanes, int count,
                int64_t grace_ms, struct error *err);

#endif
