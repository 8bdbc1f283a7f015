/*
 * stream.h - one topic, or files, into one table, exactly once.
 *
 *     reader thread: source_poll -> ipc_decode -> queue            (reader.c)
 *     committer thread: window -> one lake transaction             (committer.c), INSERT on DuckDB's threads
 *
 * Invariants (README.md in this folder names the test that breaks each):
 *  1. Rows and the lane's next offset commit in one lake transaction.
 *  2. On assignment, the lake's offset wins over Kafka's.
 *  3. A lane's commit succeeds only if the lake's offset is the one it expects.
 *  4. What cannot be decoded or stored goes to quarantine with everything known, in the same commit.
 *  5. After a revoke nothing commits for that lane.
 *  6. A message's buffer lives until the last reader of it is done, and no longer.
 *  7. Memory in flight is bounded in bytes; at the bound the lane is paused, not dropped.
 *  8. The commit size adapts: a freshness target and a byte bound decide.
 *
 * Life cycle: stream_start -> (stream_finish | stream_stop) -> stream_wait -> stream_free. stream_halt may come at any
 * time.
 */
#ifndef TARN_STREAM_STREAM_H
#define TARN_STREAM_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lake/lake.h"
#include "spec/spec.h"
#include "wire/files.h"

struct stream;

struct stream_options {
	const char *brokers; /* instead of the manifest's (the embedded broker's address); NULL: as it says */
	bool embedded; /* topics of the embedded broker start anew with it: a lane may too */
	struct source *(*open_source)(void *context, const void *events, struct error *err); /* tests: another source */
	void *source_context;
};

/* How the memory that a stream declares is divided; the lake's share is for lake_options. Bytes. */
struct stream_memory {
	int64_t prefetch; /* librdkafka's own queue */
	int64_t queue; /* decoded messages, until the last array in them is released */
	int64_t message; /* what one message may take, decoded, beyond what is queued before it */
	int64_t lake; /* DuckDB's writers */
};
struct stream_memory stream_memory(const struct spec_stream *spec);

/* Borrows spec and lake until stream_free. The threads run when it returns. */
struct stream *stream_start(const struct spec_stream *spec, struct lake *lake, const struct stream_options *options,
                            struct error *err);
/* Reads up to the end offsets as they are now, commits, and stops. */
int stream_finish(struct stream *stream, struct error *err);
/* Stops reading, commits what was read, leaves the group. */
void stream_stop(struct stream *stream);
/* Stops at once: what is not committed stays for the next owner. */
void stream_halt(struct stream *stream);
/* Waits up to timeout_ms for its end. 1: ended well; 0: still running; -1: failed, with *err. */
int stream_wait(struct stream *stream, int timeout_ms, struct error *err);
void stream_free(struct stream *stream);

/* The next offset to be received of a lane; -1 where it is not owned. For pacing a producer. */
int64_t stream_position(struct stream *stream, int32_t partition);

struct stream_status {
	int lanes_owned;
	int64_t rows, messages, quarantined, payload_bytes; /* committed by this process (payload: received) */
	int64_t copied_bytes, decompressed_bytes;
	int64_t commits, conflicts, commit_failures;
	int64_t lag; /* offsets between the lake and the source's ends, as last seen */
	int64_t in_flight; /* bytes */
	int64_t last_commit_ms; /* wall clock; 0: none yet */
	struct files_progress files; /* of a stream of files */
	bool finishing; /* it ends when all is committed */
	bool ready; /* lanes were assigned and the lake answered last time */
	char problem[256]; /* why not */
};

void stream_status(struct stream *stream, struct stream_status *ret_status);

#endif
