/*
 * resolve.h - how messages leave quarantine: replayed (their rows are in a table now) or discarded, for good.
 *
 * tarn.resolutions has one row a message that left. It is written in the transaction that deletes the message from
 * tarn.quarantine and inserts its rows, so that a message is either in quarantine or resolved, never both, never
 * twice; what the ledger counts as quarantined is the sum of the two, and a table holds the ledger's rows and those of
 * its replayed messages.
 *
 * Invariants:
 *  1. The turn (tarn.resolution_turn, one row) is the first thing that a transaction reads, and it is raised by an
 *     UPDATE that must change exactly one row: of two that resolve at once one gets CONFLICT. DuckLake itself does not
 *     see all pairs of transactions that delete from one file: both commit, and the rows of that file are read twice.
 *  2. A DELETE that finds other messages than were asked for is a CONFLICT: somebody else resolved them.
 *  3. A COMMIT that fails has an unknown outcome: resolve_outcome asks the lake, by `by`, a name that no other attempt
 *     has.
 *
 * Order of one transaction: apart_open -> resolve_begin -> append_rows -> resolve_replayed -> resolve_commit, or
 * lake_rollback -> apart_close. DuckLake writes what is deleted to files of its own, which a COMMIT whose answer is
 * lost must not take along: hence apart.h.
 */
#ifndef TARN_LAKE_RESOLVE_H
#define TARN_LAKE_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/apart.h"
#include "lake/lake.h"
#include "lake/quarantine.h"

struct resolver {
	struct lake_session *session; /* borrowed: what asks the lake what became of a transaction */
	struct apart *apart; /* what the open transaction runs on; borrowed */
	char by[128]; /* of this process and no other: resolved_by */
	int64_t turn; /* as the open transaction saw it */
};

/* Makes the tables where they are absent, also beside another process that does. */
int resolver_init(struct resolver *resolver, struct lake_session *session, struct error *err);

/* apart: open until resolve_commit or lake_rollback; of no more use after the former (apart.h). */
int resolve_begin(struct resolver *resolver, struct apart *apart, struct error *err);

/* A message of a batch that leaves, and how many rows it became. */
struct resolution {
	const struct quarantined *message;
	int64_t rows;
};

/* Takes messages of one stream out of quarantine and notes them as replayed into `table` (SCHEMA.TABLE). */
int resolve_replayed(struct resolver *resolver, const char *table, const struct resolution *resolutions, int count,
                     struct error *err);

/* Takes all that are meant out of quarantine and notes why. A transaction of its own, tried again on conflicts for up
 * to patience_ms. */
int resolve_discard(struct resolver *resolver, const struct quarantine_selection *selection, const char *because,
                    int64_t patience_ms, int64_t *ret_messages, struct error *err);

enum commit_outcome resolve_commit(struct resolver *resolver, const char *note, struct error *err);

/*
 * After a transaction that failed, in a new one: how many of these messages (of one stream) this resolver has resolved,
 * all of them or none, and which are still in quarantine.
 */
int resolve_outcome(struct resolver *resolver, const struct resolution *resolutions, int count, int64_t *ret_mine,
                    bool *ret_waiting, struct error *err);

/* What became of a message: a sentence, "" where it was never resolved. */
int resolve_tell(struct lake_session *session, const struct quarantine_selection *selection, struct buffer *ret_text,
                 struct error *err);

#endif
