/*
 * round.h - two owners of one lane, who believe the same, through one interleaving of the commit protocol.
 *
 * Each takes BEGIN, READ, UPDATE (rows, ledger, offsets) and COMMIT; there are C(8,4) = 70 ways to interleave them. Who
 * did not commit reads the lake again and then writes the next offsets, as the stream does. What a round must leave:
 *  1. the rows of each offset exactly once, and none at or after the lane's offset;
 *  2. a ledger without gap or overlap that ends at the lane's offset;
 *  3. one winner of the contested offsets (none only where none of them has rows).
 */
#ifndef TARN_TESTS_RACE_ROUND_H
#define TARN_TESTS_RACE_ROUND_H

#include "actor.h"

#define INTERLEAVINGS 70

/* The offsets are Parquet files, not rows in the catalog: for all worlds (--offsets files). */
extern bool in_files;

struct world {
	struct crew crew;
	const struct spec_catalog *catalog;
	enum crew_shape shape;
	char stream[64];
	int lane_count; /* that the actors own together: 1, or 2 with a lane each (`apart`) */
	bool apart;
	bool prunes; /* in every round, at any of its steps, actor 2 removes old versions of the lanes' rows */
	bool together; /* both COMMITs are sent before either is waited for */
	int begin_patience_ms, step_patience_ms; /* after which a step counts as waiting for the other actor */
	unsigned seed;
	char why[512]; /* the first thing that was wrong */
};

struct tally {
	int rounds, one_winner, no_winner, both_won; /* apart: one_winner where both lanes moved */
	int doubled, lost, uncovered, bad_ledger; /* rounds that broke a promise */
	int conflicts, unknown, other_errors, blocked, stopped;
	char other[256]; /* the last error that was not a conflict */
};

/* A stop of one side: before step `step` (or within the one before it), until the other side is through. */
struct pause {
	int side, step; /* step < 0: none */
	int within_us; /* > 0: that long into step-1 */
};

/* Starts the actors, makes the tables and claims the lane (or lanes). 0, or -1 with world->why. */
int world_open(struct world *world, const struct spec_catalog *catalog, enum crew_shape shape, bool apart,
               unsigned seed);
void world_close(struct world *world);
/* A fresh stream on the same actors. */
int world_renew(struct world *world);
/* Puts the offsets of all lanes there are into files. */
int world_in_files(struct world *world);
int world_sql(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
int world_query(struct world *world, int64_t *ret_values, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The lake's own belief goes to both actors; *ret_lane (may be NULL) is lane 0. */
int world_agree(struct world *world, struct lake_lane *ret_lane);

/* order[i]: which side takes the i-th step. -1: the world itself failed (world->why). */
int race_round(struct world *world, const int *order, unsigned bypass, const struct pause *pause, struct tally *tally);
/* `rounds` of them, all 70 interleavings in a shuffled order, roles changing with every 70. */
int race_rounds(struct world *world, int rounds, unsigned bypass, struct tally *tally);
/* Judges lane `partition` from offset `from` on, whatever happened. */
int judge(struct world *world, int partition, int64_t from, struct tally *tally);

/* Rounds that broke a promise. */
int tally_bad(const struct tally *tally);
void tally_print(const struct tally *tally, const char *name);

unsigned race_random(struct world *world, unsigned below);

#endif
