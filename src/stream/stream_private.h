/* stream_private.h - what reader.c, committer.c and stream.c share; who owns which field is said at each group. */
#ifndef TARN_STREAM_PRIVATE_H
#define TARN_STREAM_PRIVATE_H

#include <pthread.h>

#include "base/metrics.h"
#include "batch/batch.h"
#include "batch/json.h"
#include "lake/append.h"
#include "lake/lane.h"
#include "lake/ledger.h"
#include "stream/queue.h"
#include "stream/stream.h"
#include "stream/telling.h"
#include "wire/source.h"

#define GATHER_MS 20 /* how long rows of JSON messages wait for more */
#define LANES_MAX 1024 /* partitions of a topic; lane i is partition i */

/*
 * A lane's life here:
 *
 *     FREE --assigned, lane_claim--> READING --revoked, lanes_release--> FREE
 *                                    READING --commit failed, stream_reset--> SEEKING --reader_seek--> READING
 *                                    READING | SEEKING --CONFLICT, stream_conflict--> CONFLICTED --reader_reclaim-->
 * SEEKING
 */
enum lane_state { LANE_FREE, LANE_READING, LANE_SEEKING, LANE_CONFLICTED, LANE_STATES };

struct lane {
	enum lane_state state;
	struct lake_lane lake; /* what the lake holds, as this owner believes */
	int64_t read_next; /* the next offset expected from the source (reader thread) */
	/* Of what is read since the lane became READING (reader thread). Where the committer has raised generations[]
	 * since, what is made of the message that the reader is at is stale from the start. */
	uint64_t generation;
	bool paused; /* in the source, for memory (reader thread) */
	int64_t target; /* finish: commit up to here; -1: no target; INT64_MAX: not known yet */
	int64_t low; /* the topic's oldest offset when the target was set */
	int64_t careful_until; /* below this offset one message cannot be stored: windows are halved until they hold it
	                          alone */
	int64_t refused; /* this offset alone was refused, so often, for reasons that may not be the message's */
	int refusals;
	int64_t poison; /* this offset cannot be stored; -1: none */
	char *poison_reason;
	int64_t conflict_ms; /* when it became CONFLICTED */
	struct metrics *metrics;
};

/* The table that a decoder of JSON learns from, and its columns when it last did. */
struct json_table {
	const struct spec_stream *spec;
	struct lake_session *session;
	struct append_columns columns; /* owned; none where columns are declared */
};

#define TARGETS (WINDOW_OTHERS + 1)

/* The table as the schemas of the last messages see it, each prepared: that of the window, and those that may stand
 * aside. */
/* No such partition, or one that never held a message. One that retention has emptied is looked at: where the lake is
 * behind its end there is a gap to be noted. */
static inline bool lane_never_held(const struct lane *lane)
{
	return lane->target <= 0;
}

struct targets {
	struct append_target *all[TARGETS]; /* NULL from the first that was not needed yet */
	int64_t used[TARGETS]; /* by `turns` */
	int64_t turns;
};

/* What the topic last said of itself (confirm.c). */
struct confirmed {
	int64_t asked; /* it was the answer to this question, counted as queue.asked is; 0: there was none */
	char topic_id[64];
	bool open; /* a question is */
};

struct stream {
	const struct spec_stream *spec;
	struct stream_options options;
	struct lake *lake;
	struct lane_key key;
	char topic[80]; /* key.topic, of files */
	struct stream_files *files; /* the source is files (files.h); NULL: it is a topic */
	char table_name[256]; /* SCHEMA.TABLE, as the ledger names it */
	char owner[128];
	struct metrics *metrics;
	struct batch_counters counters;

	pthread_t reader, committer;
	bool reader_runs, committer_runs;

	/* Shared, under queue.lock. generations[i] rises whenever lane i's queued units stop to count. */
	struct queue queue;
	struct lane *lanes;
	uint64_t *generations;
	int lane_count; /* LANES_MAX */
	int lane_top; /* behind the last lane that was ever read (reader thread) */
	bool finish; /* stop when every target is committed */
	bool targets_set;
	bool stop; /* no more reading; drain, commit, leave */
	bool halt; /* leave at once */
	bool reading_done; /* the reader will push nothing more */
	bool ended;
	bool ready;
	bool paused; /* lanes are, for memory; the reader's alone */
	_Atomic bool learn; /* the table's columns are to be looked at again before more JSON is decoded */
	char problem[256];
	struct error failure; /* kind NONE: none */
	int64_t rows, messages, quarantined, commits, conflicts, commit_failures, last_commit_ms;

	/* Owned by the reader thread. */
	int64_t started_ms;
	int64_t untroubled_ms; /* until when reading went well; 0: it does */
	int64_t heard_ms, asked_ms; /* when the broker last gave a sign of life; when it was last asked for one */
	bool targets_read; /* the queue drains for good */
	struct source *source;
	struct lake_session *claims;
	struct batch_decoder *decoder; /* of Arrow; NULL: the messages are JSON */
	struct json_decoder *json;
	struct json_table json_table;
	struct unit *gathered; /* JSON messages whose rows are in `json`; NULL: none are */
	int64_t now_us; /* of the wall clock, a few messages old at most */
	int64_t gathered_ms; /* since when */
	int64_t backlog_ms; /* when queue.waiting was last counted */

	/* Owned by the committer thread. */
	struct lake_session *session;
	struct targets targets;
	struct confirmed confirmed;
	struct telling telling;
	int64_t others_asked_ms;
	int64_t lane_versions; /* of an offsets table, that commits left since the last lanes_prune */
	int64_t unmerged; /* commits that wrote files since the last look at small ones */
	int64_t cleaned_ms; /* when files that merges replaced were last deleted */
	int64_t trimmed_ms; /* when free memory was last given back */
	int64_t careful_units; /* the most messages of a window while a lane is careful */
};

void *reader_main(void *stream);
/* NULL with *err where there is no such lane. */
struct lane *stream_lane(struct stream *stream, int32_t partition, struct error *err);

/* take.c, on the reader's thread; -1 with *err: out of memory, unless said otherwise. */
int take_open(struct stream *stream, struct error *err);
void take_close(struct stream *stream);
/* Takes the message in every case but -1. */
int take_message(struct stream *stream, struct message *message, struct error *err);
/* Offsets that hold no message: control records and compaction (skipped), or retention (lost). */
int take_stretch(struct stream *stream, int32_t partition, int64_t to, bool lost, struct error *err);
/* Queues what was gathered; what was gathered long enough ago. */
int take_flush(struct stream *stream, struct error *err);
int take_flush_old(struct stream *stream, struct error *err);
/* Looks at the table's columns where that is due. Errors: as the lake gives them. */
int take_learn(struct stream *stream, struct error *err);

/* Bounded as the stream's memory says. Also of replay.c. */
struct batch_decoder *take_arrow_decoder(const struct spec_stream *spec, struct batch_counters *counters,
                                         struct error *err);
/* A decoder as the manifest says, which lives no longer than `table`; and what the table's columns are, for one that
 * infers. Also of replay.c. */
struct json_decoder *take_json_decoder(struct json_table *table, struct batch_counters *counters, struct error *err);
int take_json_learn(struct json_decoder *decoder, struct json_table *table, struct error *err);

/* The reader's answers to assignment and revocation. */
void stream_events(struct stream *stream, struct source_events *ret_events);
void *committer_main(void *stream);
/* confirm.c: see there. */
void confirm_begin(struct stream *stream);
int confirm_end(struct stream *stream, const struct lake_lane *lanes, int count, struct error *err);
int confirm_now(struct stream *stream, struct error *err);
/* refused.c, on the committer's thread: the closed window's messages that go to quarantine, in its transaction; and in
 * the log what was not told of them one by one. all: also of kinds whose time is not over. */
int refused_write(struct stream *stream, struct error *err);
void refused_tell(struct stream *stream, bool all);
/* targets.c, on the committer's thread. */
int targets_open(struct stream *stream, struct error *err);
void targets_close(struct stream *stream);
/* The table for rows of this schema. 0: ready; 1: refused, the messages go to quarantine or are decoded again; -1: try
 * again. */
int targets_prepare(struct stream *stream, struct batch_schema *schema, struct error *err);
/* Before the window of this schema opens: which others may stand aside. */
void targets_allow(struct stream *stream, const struct batch_schema *schema);
/* Inserts what the open window gives, closes it, and inserts what stood aside. schema NULL: the window has no rows. */
int targets_insert(struct stream *stream, struct batch_schema *schema, int64_t *ret_rows, struct error *err);
/* upkeep.c, on the committer's thread, between commits: prunes the lanes' rows and merges small files where enough of
 * them may have come. What fails is logged and tried again later; no commit depends on it. */
void upkeep(struct stream *stream);

/* Moves the lane; a move that the picture above has not is a bug and aborts. Lock held. */
void lane_move(struct stream *stream, int lane, enum lane_state to);
/* The stream cannot go on. The first failure stays. */
void stream_fail(struct stream *stream, const struct error *err);
/* Notes what is wrong (or NULL: nothing) for /readyz and the progress line. */
void stream_problem(struct stream *stream, const char *problem);
/* Every lane goes back to the lake's offset; all that is queued is dropped. */
void stream_reset(struct stream *stream);
/* 1: every target is in the lake; 0: not yet; -1: as far as this process's lanes go, but others' are not known. */
int stream_wants_end(struct stream *stream);

#endif
