/*
 * quarantine.h - the messages in tarn.quarantine: which ones are meant, and what is known of them.
 *
 * A message is one of a stream, of a topic (of one incarnation of it: topic_id) and partition, at an offset. It came
 * there with the commit that passed its offset (ledger.h), and leaves with one that resolves it (resolve.h).
 */
#ifndef TARN_LAKE_QUARANTINE_H
#define TARN_LAKE_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"
#include "lake/place.h"

struct lake_session;

/* All that match every part that is given. Borrowed for the call. */
struct quarantine_selection {
	const char *stream; /* NULL: any */
	const struct place *places; /* any of them */
	int place_count; /* 0: any place */
	const char *reason; /* a part of the reason, or of its shape ("line N, byte N"); NULL: any */
	int64_t since_ms; /* quarantined at this wall time or later; 0: any time */
};

/* INVALID where the lake has no quarantine, for no stream ever wrote to it. */
int quarantine_check(struct lake_session *session, struct error *err);

/* Appends " WHERE ..." for the rows of tarn.quarantine that are meant. */
void quarantine_where(const struct quarantine_selection *selection, struct buffer *sql);

/* SQL for query.h: the messages, newest first, at most `limit` of them (-1: all); how many there are of each shape of
 * reason, most first. people: fewer columns. */
void quarantine_list_sql(const struct quarantine_selection *selection, int64_t limit, bool people, struct buffer *sql);
void quarantine_totals_sql(const struct quarantine_selection *selection, struct buffer *sql);

struct quarantined {
	const char *stream, *topic, *topic_id;
	int32_t partition;
	int64_t offset;
	const char *table; /* SCHEMA.TABLE that it was for */
	int64_t message_ms; /* wall time; -1: none */
	const void *key; /* NULL: none */
	size_t key_size;
	const char *headers; /* JSON; NULL: none */
	const void *payload; /* NULL: there is none, as `reason` says */
	size_t size;
	const char *reason, *fingerprint;
	int64_t quarantined_ms;
	void *memory; /* what the fields above point into; owned */
};

struct quarantine_batch {
	struct quarantined *messages; /* owned */
	int count;
};

/* All rows that `where` ("" or " WHERE ...") leaves, in memory, in no order. */
int quarantine_read(struct lake_session *session, const char *where, struct quarantine_batch *ret_batch,
                    struct error *err);
void quarantine_batch_release(struct quarantine_batch *batch);

#define OWNED_QUARANTINE_BATCH OWNED_BY(quarantine_batch_release)

/*
 * The messages of one stream cut into portions of at most `messages` messages and about `bytes` bytes of payload, in
 * order of place: each is a " WHERE ..." for quarantine_read. Messages that come later are in none.
 */
struct quarantine_plan {
	char **wheres; /* owned */
	int count;
	int64_t messages; /* of all portions */
};

int quarantine_plan(struct lake_session *session, const struct quarantine_selection *selection, int64_t messages,
                    int64_t bytes, struct quarantine_plan *ret_plan, struct error *err);
void quarantine_plan_release(struct quarantine_plan *plan);

#define OWNED_QUARANTINE_PLAN OWNED_BY(quarantine_plan_release)

/* The streams that have messages among those; names owned. */
struct quarantine_streams {
	char **names;
	int64_t *messages, *bytes; /* of each */
	int count;
};

int quarantine_streams(struct lake_session *session, const struct quarantine_selection *selection,
                       struct quarantine_streams *ret_streams, struct error *err);
void quarantine_streams_release(struct quarantine_streams *streams);

#define OWNED_QUARANTINE_STREAMS OWNED_BY(quarantine_streams_release)

#endif
