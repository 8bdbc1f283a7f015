/*
 * replay.h - messages out of quarantine into their table, after the manifest or the table was mended.
 *
 *     portion: read from quarantine -> decode as the manifest says now -> group by schema -> one transaction a group,
 *     on Postgres each in a DuckDB of its own (lake/apart.h)
 *
 * Invariants:
 *  1. A message's rows, its removal from quarantine and the note that it was replayed commit in one lake transaction
 *     (lake/resolve.h): a kill at any point leaves all of a transaction or nothing.
 *  2. What still cannot be decoded or stored stays in quarantine, untouched, and is told.
 *  3. After a transaction that failed, also in its COMMIT, the lake is asked what came of it before anything is done
 *     again.
 *  4. What is in memory is bounded: PORTION_MESSAGES, about PORTION_BYTES of payload and as much of rows of JSON, and
 * what one message makes of itself.
 *
 * On Postgres it runs beside `tarn run`, and beside itself: of two transactions that meet in quarantine one fails with
 * a conflict and is tried again. Elsewhere the lake's writer lock keeps it alone.
 */
#ifndef TARN_STREAM_REPLAY_H
#define TARN_STREAM_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/lake.h"
#include "lake/quarantine.h"
#include "spec/spec.h"

struct replay_report {
	int64_t messages; /* that were meant when it began */
	int64_t replayed, rows; /* with dry_run: that would be */
	int64_t left; /* still refused */
	int64_t gone; /* resolved by somebody else meanwhile */
	int64_t commits;
};

struct replay_options {
	const struct quarantine_selection *selection; /* its stream is ignored */
	bool dry_run; /* decode, and compare the columns with the table's, and change nothing */
	const atomic_bool *stop; /* true: end after the transaction that runs; NULL: never */
	void *context;
	/* A message that stays, with why. Borrowed for the call. */
	void (*left)(void *context, const struct quarantined *message, const char *reason);
	void (*progress)(void *context, const struct replay_report *report);
};

/* Replays what the stream has among the selection; adds to *report, also where it fails: what it counts is done. */
int replay_stream(const struct spec_stream *spec, struct lake_session *session, const struct replay_options *options,
                  struct replay_report *report, struct error *err);

#endif
