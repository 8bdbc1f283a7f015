#include "round.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define STUCK_MS 60000

bool in_files;

static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};

#define STEP_COUNT 4

struct side {
	struct actor *actor;
	int partition;
	int step; /* the next one to take */
	bool pending, over, stopped;
	bool won;
};

unsigned race_random(struct world *world, unsigned below)
{
	world->seed = world->seed * 1664525u + 1013904223u;
	return (world->seed >> 8) % below;
}

int world_fail(struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!*world->why)
		vsnprintf(world->why, sizeof world->why, format, args);
	va_end(args);
	return -1;
}

static int ask(struct world *world, int who, struct race_call *call, struct race_reply *reply)
{
	if (actor_call(&world->crew.actors[who], call, reply))
		return world_fail(world, "actor %d, op %d: %s", who, (int)call->op, reply->error.message);
	return 0;
}

int world_sql(struct world *world, const char *format, ...)
{
	struct race_call call = {.op = OP_SQL};
	struct race_reply reply;
	va_list args;

	va_start(args, format);
	vsnprintf(call.text, sizeof call.text, format, args);
	va_end(args);
	return ask(world, 2, &call, &reply);
}

int world_query(struct world *world, int64_t *ret_values, const char *format, ...)
{
	struct race_call call = {.op = OP_QUERY};
	struct race_reply reply;
	va_list args;

	va_start(args, format);
	vsnprintf(call.text, sizeof call.text, format, args);
	va_end(args);
	if (ask(world, 2, &call, &reply))
		return -1;
	memcpy(ret_values, reply.values, 8 * sizeof *ret_values);
	return 0;
}

/* As where a lake's owner turned inlining off. */
int world_in_files(struct world *world)
{
	bool many = world->catalog->backend.type == BACKEND_POSTGRES;

	for (int i = 0; i < (many ? RACE_LANES : 1); i++) {
		char table[128];
		int64_t there[8];

		snprintf(table, sizeof table, many ? "offsets_%s_%d" : "offsets_%s", world->stream, i);
		if (world_query(world, there, "SELECT count(*) FROM duckdb_tables() WHERE table_name = '%s'", table))
			return -1;
		if (there[0] && world_sql(world,
		                          "CALL lake.set_option('data_inlining_row_limit', '0', schema => 'tarn', "
		                          "table_name => '%s')",
		                          table))
			return -1;
	}
	return 0;
}

int world_renew(struct world *world)
{
	struct race_call call = {.op = OP_WORLD}, claim = {.op = OP_CLAIM, .count = world->lane_count};
	struct race_reply reply;
	static int renewed;

	snprintf(world->stream, sizeof world->stream, "s%d_%d", (int)getpid(), renewed++);
	snprintf(call.text, sizeof call.text, "%s", world->stream);
	for (int i = 0; i < 3; i++)
		if (ask(world, i, &call, &reply))
			return -1;
	for (int i = 0; i < claim.count; i++)
		claim.lanes[i].partition = i;
	if (ask(world, 2, &claim, &reply))
		return -1;
	if (in_files && world_in_files(world))
		return -1;
	return world_sql(world, "CREATE TABLE lake.main.rows_%s (lane INTEGER, o BIGINT, who VARCHAR)", world->stream);
}

int world_open(struct world *world, const struct spec_catalog *catalog, enum crew_shape shape, bool apart,
               unsigned seed)
{
	struct error err = {0};
	bool waits = catalog->backend.type != BACKEND_POSTGRES;

	*world = (struct world){
	        .catalog = catalog,
	        .shape = shape,
	        .apart = apart,
	        .lane_count = apart ? 2 : 1,
	        .seed = seed,
	        .begin_patience_ms = waits ? 40 : 5000,
	        .step_patience_ms = 5000,
	};
	if (crew_start(&world->crew, catalog, shape, &err))
		return world_fail(world, "%s", err.message);
	return world_renew(world);
}

void world_close(struct world *world)
{
	crew_stop(&world->crew);
}

int world_agree(struct world *world, struct lake_lane *ret_lane)
{
	struct race_call call = {.op = OP_REREAD};
	struct race_reply lake, reply;

	if (ask(world, 2, &call, &lake))
		return -1;
	call.op = OP_BELIEVE;
	for (int i = 0; i < 2; i++) {
		call.count = 1;
		call.lanes[0] = lake.lanes[world->apart ? i : 0];
		if (ask(world, i, &call, &reply))
			return -1;
	}
	if (ret_lane)
		*ret_lane = lake.lanes[0];
	return 0;
}

/* ---- one side's steps */

static void send_step(struct side *side, unsigned bypass)
{
	struct race_call call = {.op = steps[side->step], .bypass = bypass};

	actor_send(side->actor, &call);
	side->pending = true;
}

static void roll_back(struct side *side, unsigned bypass)
{
	struct race_call call = {.op = OP_ROLLBACK, .bypass = bypass};
	struct race_reply reply;

	actor_call(side->actor, &call, &reply);
}

static void note_error(struct tally *tally, const struct error *err)
{
	if (err->kind == ERROR_CONFLICT) {
		tally->conflicts++;
		return;
	}
	tally->other_errors++;
	snprintf(tally->other, sizeof tally->other, "%s: %.220s", error_kind_name(err->kind), err->message);
}

/* False: still waiting. */
static bool take_reply(struct side *side, int timeout_ms, unsigned bypass, struct tally *tally)
{
	struct race_reply reply;
	int got = actor_wait(side->actor, timeout_ms, &reply);

	if (got == 0)
		return false;
	side->pending = false;
	if (got < 0) {
		side->over = true;
		tally->other_errors++;
		snprintf(tally->other, sizeof tally->other, "a host died");
		return true;
	}
	side->step++;
	if (reply.failed) {
		note_error(tally, &reply.error);
		tally->unknown += side->step == STEP_COUNT;
		if (side->step < STEP_COUNT || bypass & NO_LOCK)
			roll_back(side, bypass);
		side->over = true;
	} else if (side->step == STEP_COUNT) {
		side->over = side->won = true;
	}
	return true;
}

static int patience(const struct world *world, const struct side *side)
{
	return side->step == 0 ? world->begin_patience_ms : world->step_patience_ms;
}

/* The actor's process stands still; true once the kernel says so. */
static bool stop_host(struct side *side)
{
	int status;

	kill(side->actor->host, SIGSTOP);
	side->stopped = waitpid(side->actor->host, &status, WUNTRACED) == side->actor->host && WIFSTOPPED(status);
	return side->stopped;
}

/* One slot of the order: the side takes its next step, unless it is behind. */
static void take_slot(struct world *world, struct side *side, const struct pause *pause, unsigned bypass,
                      struct tally *tally)
{
	int wanted = side->step;

	/* Whoever stands still may have answered before: what follows an answer, a rollback, would wait for it. */
	if (side->stopped || (side->pending && !take_reply(side, patience(world, side), bypass, tally)))
		return;
	if (side->over)
		return;
	wanted = side->step;
	if (pause && wanted == pause->step && !pause->within_us) {
		tally->stopped += stop_host(side);
		return;
	}
	send_step(side, bypass);
	if (pause && wanted + 1 == pause->step && pause->within_us) {
		usleep((useconds_t)pause->within_us);
		tally->stopped += stop_host(side);
		return;
	}
	if (world->together && steps[wanted] == OP_COMMIT)
		return;
	if (!take_reply(side, patience(world, side), bypass, tally))
		tally->blocked++;
}

/* All steps that are left, in whatever order they come free. `stopped` sides wait until the other is through. */
static int drain(struct world *world, struct side *sides, unsigned bypass, struct tally *tally)
{
	int64_t began = clock_monotonic_ms(), moved = began;

	while (!sides[0].over || !sides[1].over) {
		for (int i = 0; i < 2; i++) {
			struct side *side = &sides[i], *other = &sides[!i];

			/* A process that stands still in a commit may hold what the other waits for. */
			if (side->stopped && (other->over || clock_monotonic_ms() - moved > 2000)) {
				kill(side->actor->host, SIGCONT);
				side->stopped = false;
			}
			if (side->over || side->stopped)
				continue;
			if (!side->pending)
				send_step(side, bypass);
			if (take_reply(side, 20, bypass, tally))
				moved = clock_monotonic_ms();
		}
		if (clock_monotonic_ms() - began > STUCK_MS)
			return world_fail(world, "the actors are stuck at steps %d and %d", sides[0].step,
			                  sides[1].step);
	}
	for (int i = 0; i < 2; i++)
		if (sides[i].stopped)
			kill(sides[i].actor->host, SIGCONT);
	return 0;
}

/* Alone: reads the lake again and writes the next offsets. */
static int follow_up(struct world *world, struct side *side, unsigned bypass)
{
	struct race_call call = {.op = OP_REREAD};
	struct race_reply reply;

	if (actor_call(side->actor, &call, &reply))
		return world_fail(world, "reading again: %s", reply.error.message);
	for (int step = 0; step < STEP_COUNT; step++) {
		call = (struct race_call){.op = steps[step], .bypass = bypass & (unsigned)~NO_LOCK};
		if (actor_call(side->actor, &call, &reply)) {
			world_fail(world, "alone, step %d failed: %s", step, reply.error.message);
			if (step < STEP_COUNT - 1)
				roll_back(side, bypass);
			return -1;
		}
	}
	return 0;
}

int judge(struct world *world, int partition, int64_t from, struct tally *tally)
{
	bool many = world->catalog->backend.type == BACKEND_POSTGRES;
	int64_t seen[8]; /* the lane's offset; rows, offsets, offsets covered, winners; ledger breaks, its end */
	char offsets[128];

	snprintf(offsets, sizeof offsets, many ? "offsets_%s_%d" : "offsets_%s", world->stream, partition);
	if (world_query(world, seen,
	                "WITH lane AS (SELECT next_offset AS n FROM lake.tarn.%s WHERE \"partition\" = %d), r AS "
	                "(SELECT count(*), "
	                "count(DISTINCT o), count(DISTINCT o) FILTER (o < (FROM lane)), count(DISTINCT who) FILTER (o "
	                "< %" PRId64 ") FROM lake.main.rows_%s WHERE lane = %d AND o >= %" PRId64
	                "), b AS (SELECT count(*) FILTER (from_offset "
	                "<> due), max(next_offset) FROM (SELECT from_offset, next_offset, coalesce(lag(next_offset) "
	                "OVER (ORDER BY "
	                "from_offset, next_offset), %" PRId64
	                ") AS due FROM lake.tarn.ledger WHERE stream = '%s' AND \"partition\" "
	                "= %d AND from_offset >= %" PRId64 ")) SELECT * FROM lane, r, b",
	                offsets, partition, from + ROUND_OFFSETS, world->stream, partition, from, from, world->stream,
	                partition, from))
		return -1;
	tally->doubled += seen[1] > seen[2];
	tally->lost += seen[3] < seen[0] - from;
	tally->uncovered += seen[2] > seen[3];
	tally->both_won += seen[4] > 1;
	tally->bad_ledger += seen[0] > from && (seen[5] > 0 || seen[6] != seen[0]);
	return 0;
}

/* Of the bypasses that keep their offsets elsewhere: who left rows. */
static int count_writers(struct world *world, int partition, int64_t from, struct tally *tally)
{
	int64_t who[8];

	if (world_query(world, who,
	                "SELECT count(DISTINCT who) FROM lake.main.rows_%s WHERE lane = %d AND o >= %" PRId64,
	                world->stream, partition, from))
		return -1;
	tally->both_won += who[0] > 1;
	return 0;
}

/* The bypasses that keep their offsets elsewhere: all agree again, beyond what the round wrote. */
static int level(struct world *world, unsigned bypass, int64_t from)
{
	for (int p = 0; p < world->lane_count; p++) {
		int64_t next = from + ROUND_OFFSETS;

		if (world_sql(world, "UPDATE lake.tarn.offsets_%s_%d SET next_offset = %" PRId64, world->stream, p,
		              next))
			return -1;
		if (bypass & APPENDED
		            ? world_sql(world, "INSERT INTO lake.main.appended VALUES (%d, %" PRId64 ")", p, next)
		            : world_sql(world, "UPDATE lake.main.shared SET next_offset = %" PRId64 " WHERE lane = %d",
		                        next, p))
			return -1;
	}
	return 0;
}

/* Left to run where it waits for a lock, or when `at_once`. */
static bool send_prune(struct world *world, bool at_once, struct race_reply *reply)
{
	actor_send(&world->crew.actors[2], &(struct race_call){.op = OP_PRUNE});
	return !at_once && actor_wait(&world->crew.actors[2], world->begin_patience_ms, reply) == 1;
}

int race_round(struct world *world, const int *order, unsigned bypass, const struct pause *pause, struct tally *tally)
{
	struct side sides[2] = {{.actor = &world->crew.actors[0]},
	                        {.actor = &world->crew.actors[1], .partition = world->apart}};
	int prune = world->prunes ? (int)race_random(world, 2 * STEP_COUNT) : -1;
	struct race_reply pruned;
	struct lake_lane lane;
	bool answered = true;

	if (world_agree(world, &lane))
		return -1;
	for (int i = 0; i < 2 * STEP_COUNT; i++) {
		if (i == prune)
			answered = send_prune(world, race_random(world, 2), &pruned);
		take_slot(world, &sides[order[i]], pause && pause->step >= 0 && pause->side == order[i] ? pause : NULL,
		          bypass, tally);
	}
	if (drain(world, sides, bypass, tally))
		return -1;
	if (!answered && actor_wait(&world->crew.actors[2], STUCK_MS, &pruned) != 1)
		return world_fail(world, "no answer to a prune");
	if (prune >= 0 && pruned.failed)
		return world_fail(world, "prune: %s", pruned.error.message);
	tally->rounds++;
	tally->one_winner += sides[0].won + sides[1].won == 1 + world->apart;
	tally->no_winner += !sides[0].won && !sides[1].won;
	for (int p = 0; bypass & (APPENDED | ONE_TABLE) && p < world->lane_count; p++)
		if (count_writers(world, p, lane.next_offset, tally))
			return -1;
	if (bypass & (APPENDED | ONE_TABLE))
		return level(world, bypass, lane.next_offset);
	for (int i = 0; i < 2; i++)
		if (!sides[i].won && follow_up(world, &sides[i], bypass))
			return -1;
	for (int p = 0; p < world->lane_count; p++)
		if (judge(world, p, lane.next_offset, tally))
			return -1;
	return 0;
}

int race_rounds(struct world *world, int rounds, unsigned bypass, struct tally *tally)
{
	int masks[INTERLEAVINGS], count = 0;

	for (int mask = 0; mask < 256; mask++)
		if (__builtin_popcount((unsigned)mask) == STEP_COUNT)
			masks[count++] = mask;
	for (int n = 0; n < rounds; n++) {
		int order[8];

		if (n % count == 0) {
			for (int i = count - 1; i > 0; i--) {
				int j = (int)race_random(world, (unsigned)i + 1), was = masks[i];

				masks[i] = masks[j];
				masks[j] = was;
			}
			if (n && world_renew(world))
				return -1;
		}
		for (int i = 0; i < 8; i++)
			order[i] = (masks[n % count] >> i & 1) ^ (n / count & 1);
		if (race_round(world, order, bypass, NULL, tally))
			return -1;
	}
	return 0;
}

int tally_bad(const struct tally *tally)
{
	return tally->both_won + tally->doubled + tally->lost + tally->uncovered + tally->bad_ledger;
}

void tally_print(const struct tally *tally, const char *name)
{
	printf("# %s: %d rounds, one winner %d, none %d, both %d; doubled %d, lost %d, uncovered %d, ledger wrong %d; "
	       "conflicts %d, in COMMIT %d, other errors %d, waited %d, stopped %d\n",
	       name, tally->rounds, tally->one_winner, tally->no_winner, tally->both_won, tally->doubled, tally->lost,
	       tally->uncovered, tally->bad_ledger, tally->conflicts, tally->unknown, tally->other_errors,
	       tally->blocked, tally->stopped);
	if (*tally->other)
		printf("# %s: other error: %s\n", name, tally->other);
}
