/*
 * actor.h - owners of lanes that take one step of the commit protocol at a time, as the driver tells them.
 *
 * An actor is one session, served by one thread. Its thread lives in a host: a forked process with a lake of its own.
 * Driver and actor speak in whole messages over a socket pair, so that the driver can leave a step that waits for a
 * lock and go on with another actor, or stop a host between two steps.
 *
 * Invariants:
 *  1. The driver never opens DuckDB: hosts are forked while there is nothing of it in the process.
 *  2. An actor answers each call exactly once, in order.
 *
 * Life cycle: crew_start -> actor_call... (or actor_send, actor_wait) -> crew_stop.
 */
#ifndef TARN_TESTS_RACE_ACTOR_H
#define TARN_TESTS_RACE_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "lake/lane.h"
#include "spec/spec.h"

#define RACE_LANES 8
#define BENCH_STEPS 6
#define ROUND_OFFSETS 3 /* of a lane, that one commit takes */

enum race_op {
	OP_WORLD, /* text: the stream's name; its rows go to lake.main.rows_NAME. Makes Tarn's own tables, as each
	             process does */
	OP_CLAIM, /* lanes: partitions. Answers with lanes */
	OP_BELIEVE, /* lanes: what this actor takes for the lake's state */
	OP_REREAD, /* answers with lanes, and believes them */
	OP_BEGIN,
	OP_READ,
	OP_UPDATE,
	OP_COMMIT,
	OP_ROLLBACK,
	OP_SQL, /* text. Answers with values[0]: rows changed */
	OP_QUERY, /* text. Answers with the first row as values */
	OP_PRUNE, /* values[0]: the grace in milliseconds */
	OP_BENCH, /* values[0]: commits. Answers with microseconds a step as values */
};

/* Ways to leave a guard out. Without any, each step is the function of lake/ that the stream calls. */
enum race_bypass {
	NO_LOCK = 1, /* BEGIN and COMMIT around the catalog lock */
	NO_FENCE = 2, /* offsets are not read first */
	NO_COUNT = 4, /* how many rows the UPDATE changed is not looked at */
	NO_EPOCH = 8, /* the UPDATE compares offsets alone */
	APPENDED = 16, /* offsets as a log: the newest row counts, and INSERT says the next */
	ONE_TABLE = 32, /* one table of offsets for all lanes */
	BLIND = 64, /* the UPDATE compares nothing */
	SWAPPED = 128, /* actor 1 makes the lane's table anew, with the next offset in it, instead of the UPDATE */
};

struct race_call {
	enum race_op op;
	unsigned bypass;
	int count;
	struct lake_lane lanes[RACE_LANES];
	int64_t values[8];
	char text[1024];
};

struct race_reply {
	int failed;
	struct error error;
	int count;
	struct lake_lane lanes[RACE_LANES];
	int64_t values[2 * BENCH_STEPS];
	int value_count;
};

struct actor {
	int socket; /* the driver's end */
	pid_t host;
};

struct crew {
	struct actor actors[3]; /* 0 and 1 race, 2 judges */
	int host_count;
	pid_t hosts[3];
};

enum crew_shape {
	ONE_PROCESS, /* three sessions of one lake */
	THREE_PROCESSES, /* three lakes on one catalog */
	UNLOCKED_PROCESSES /* the same, each writer lock taken from under its holder */
};

/* The judge is up when this returns; 0, or -1 with what a host said. */
int crew_start(struct crew *crew, const struct spec_catalog *catalog, enum crew_shape shape, struct error *err);
/* Opens the same catalog as a second writer in a process of its own, once; what it was told. */
int second_writer(const struct spec_catalog *catalog, struct error *err);
void crew_stop(struct crew *crew);

void actor_send(struct actor *actor, const struct race_call *call);
/* 1: *ret_reply is filled; 0: nothing within timeout_ms; -1: its host is gone. */
int actor_wait(struct actor *actor, int timeout_ms, struct race_reply *ret_reply);
/* Sends, and waits for up to a minute. The reply's `failed`. */
int actor_call(struct actor *actor, const struct race_call *call, struct race_reply *ret_reply);

#endif
