/*
 * kafka_lanes.h - which partitions of the topic a Kafka source reads, and from where.
 *
 * Private to wire/: kafka_lanes.c talks with the group (assign, revoke), kafka.c polls, kafka_ahead.c takes many
 * messages at once, kafka_spent.c frees them, kafka_broken.c gets past batches that cannot be read.
 *
 * Invariants:
 *  1. A lane goes LANE_AWAY -> LANE_ASKING (the group gave it; `assigned` is to say where to start) -> LANE_READING or,
 *     where `assigned` says -1, back to LANE_AWAY. A failing `assigned` leaves it ASKING, and the next poll asks again.
 *  2. Exactly the READING lanes are in librdkafka's assignment.
 *  3. `revoked` is called once for each lane that was READING or ASKING, before it is let go.
 *  4. reading_count and paused_count are what counting the lanes would give.
 *  5. A lane's position is the offset of the next message to be given out, or less: assigning it there loses nothing.
 *  6. Messages (and ends) of a lane that were taken from librdkafka and not given out (`ahead`) follow the position
 * without a gap. Where a lane's position is set anew its messages are dropped: lane_drop_ahead, always. Where they are
 * dropped and the position stays, the lane is astray until it is assigned there again.
 *
 * Not thread-safe: all of it runs on the polling thread, but for `question` and what becomes of spent messages.
 */
#ifndef TARN_WIRE_KAFKA_LANES_H
#define TARN_WIRE_KAFKA_LANES_H

#include "wire/kafka_conf.h"

enum lane_state { LANE_AWAY, LANE_ASKING, LANE_READING };

/* librdkafka's own pause throws away what was fetched ahead, and a reader that works at its bound of memory pauses
 * often. So a pause is first only NOTED; the first message of the lane that still comes out of the queue waits in
 * `ahead`, and only then is the lane paused in librdkafka (REAL). */
enum lane_pause { PAUSE_NONE, PAUSE_NOTED, PAUSE_REAL };

struct lane {
	enum lane_state state;
	enum lane_pause pause;
	int64_t position;
	bool astray; /* librdkafka reads elsewhere: nothing is given out before the lane is assigned at its position
	                again */
	int64_t dropped; /* of kafka_source's drops, the last of this lane */
	int64_t broken_base, broken_end; /* the offsets of a batch that cannot be decompressed; those from the position
	                                    on are to be given out (kafka_broken.c). broken_end 0: none */
};

#define AHEAD_MAX 128

struct kafka_source {
	struct source source; /* first: the vtable's user holds its address */
	struct kafka_client client;
	rd_kafka_t *rk;
	rd_kafka_conf_t *conf; /* rk's, without what calls back */
	struct source_events events;
	char *topic, *name;
	bool assign_all; /* no group */
	enum kafka_way way;
	bool all_assigned, closing;
	bool given_late; /* the last lanes were given while closing */
	bool asking; /* some lane is LANE_ASKING */
	bool astray; /* some lane is */
	struct lane *lanes; /* by partition */
	int32_t lane_count, reading_count, paused_count;
	/* Taken from librdkafka many at once, for a call a message would cost more than most small messages do. The
	 * events in [ahead_at, ahead_count) in order, NULL: given out. A paused lane's stay. */
	rd_kafka_queue_t *queue;
	rd_kafka_message_t *ahead[AHEAD_MAX];
	int ahead_at, ahead_count;
	struct spent *spent; /* KAFKA_APART's */
	unsigned int given; /* events */
	int32_t broken_count; /* lanes with a broken_end */
	char broken[192]; /* the last given out one's reason */
	int64_t fetched_ms; /* when librdkafka was last asked */
	bool taking; /* rd_kafka_consume_batch_queue runs */
	int64_t drops;
	int64_t quiet_until_ms; /* while all lanes are paused; 0: not yet set */
	rd_kafka_queue_t *question; /* kafka_ask_id's, on whose thread it is used; NULL: none is open */
	bool failed;
	struct error failure; /* seen in a callback; the poll around it returns it */
};

/* NULL where there is none. Borrowed until the next assignment. */
struct lane *lane_at(struct kafka_source *source, int32_t partition);
/* NULL with a TRANSIENT error where the lane is not READING. */
struct lane *lane_find_reading(struct kafka_source *source, int32_t partition, struct error *err);
void lane_set_pause(struct kafka_source *source, struct lane *lane, enum lane_pause pause);
/* Pauses it in librdkafka too. */
int lane_pause_really(struct kafka_source *source, int32_t partition, struct lane *lane, struct error *err);
/* Forgets the messages of the lane that were taken from librdkafka and not given out. */
void lane_drop_ahead(struct kafka_source *source, struct lane *lane);
/* The same where its position stays: it is assigned there again before anything more of it is given out. */
void lane_lead_astray(struct kafka_source *source, struct lane *lane);

/* ---- kafka_broken.c */

/* Looks for the end of the batch that this error of librdkafka's is about. Takes as long as that does. TRANSIENT where
 * it is not found. */
int broken_found(struct kafka_source *source, struct lane *lane, const rd_kafka_message_t *m, struct error *err);
/* The next offset of such a batch as a message; false: there is none. Its `broken` holds until the next one's. */
bool broken_next(struct kafka_source *source, struct message *ret);
void broken_forget(struct kafka_source *source, struct lane *lane);

/* ---- kafka_ahead.c */

/* The oldest event that may be given out, now the caller's; NULL: none. */
rd_kafka_message_t *ahead_next(struct kafka_source *source);
/* Waits for an event, and takes what else is ready. False: none came in time. */
bool ahead_fetch(struct kafka_source *source, int timeout_ms);
void ahead_drop_all(struct kafka_source *source);

/* ---- kafka_spent.c: NULL is none, everywhere */

struct spent *spent_new(struct error *err);
/* Frees it, soon. */
void spent_add(struct spent *spent, rd_kafka_message_t *m);
/* Nothing more comes for now. */
void spent_hurry(struct spent *spent);
void spent_free(struct spent *spent);

/* ---- kafka_lanes.c */

/* Assigns the lanes that are astray at their positions. */
int lanes_bring_back(struct kafka_source *source, struct error *err);
/* Reads on from lane->position by taking the lane out of the assignment and in again: works where a seek is refused. */
int lane_reassign(struct kafka_source *source, int32_t partition, struct lane *lane, struct error *err);
int lane_error(struct kafka_source *source, int32_t partition, const char *what, rd_kafka_resp_err_t code,
               struct error *err);

/* A list of one partition of the topic; owned by the caller. */
rd_kafka_topic_partition_list_t *lanes_list(struct kafka_source *source, int32_t partition, int64_t offset);
/* Asks `assigned` about every ASKING lane and reads those it names an offset for. */
int lanes_ask(struct kafka_source *source, struct error *err);
/* assign_all: asks for the topic's partitions; while it does not exist (or no broker answers) only a warn line. */
int lanes_all(struct kafka_source *source, int timeout_ms, struct error *err);
/* Calls `revoked` for all that are not AWAY, without telling librdkafka. */
void lanes_revoke_rest(struct kafka_source *source, bool lost);
/* librdkafka's rebalance callback. */
void lanes_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque);
/* Ends the poll around a callback with this error. */
void lanes_fail_poll(struct kafka_source *source, const struct error *err);

#endif
