/*
 * ledger.h - what each commit took: the proof that nothing is lost or doubled.
 *
 * tarn.ledger: one row a lane and commit: (from_offset, next_offset) and how many of those offsets were accepted
 * messages, quarantined, skipped by the source, or lost to its retention. The four add up to next_offset - from_offset.
 * tarn.quarantine: one row a message that could not be decoded or stored.
 * Both are appended to in the transaction that holds the rows; appends never conflict.
 */
#ifndef TARN_LAKE_LEDGER_H
#define TARN_LAKE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/lane.h"

struct ledger_row {
	int32_t partition;
	const char *topic_id;
	int64_t epoch;
	int64_t from_offset, next_offset;
	int64_t messages, rows, quarantined, skipped, lost;
};

/* Do the options (name, scope, value, as ducklake_options gives them) say already what ledger_create would? */
struct duck_rows;
bool ledger_options_said(const struct duck_rows *options);

/* Makes tarn.ledger and tarn.quarantine where absent. Safe beside other processes that do the same. */
int ledger_create(struct lake_session *session, struct error *err);

/* table: SCHEMA.TABLE. */
int ledger_append(struct lake_session *session, const struct lane_key *key, const char *table,
                  const struct ledger_row *rows, int count, struct error *err);

struct quarantine_row {
	int32_t partition;
	const char *topic_id;
	int64_t offset;
	int64_t timestamp_ms; /* -1: none */
	const void *key;
	size_t key_size;
	const char *headers; /* JSON, or NULL */
	const void *payload; /* NULL: a tombstone */
	size_t size;
	const char *reason;
	const char *fingerprint; /* "" where no schema was read */
};

int quarantine_append(struct lake_session *session, const struct lane_key *key, const char *table,
                      const struct quarantine_row *rows, int count, struct error *err);

#endif
