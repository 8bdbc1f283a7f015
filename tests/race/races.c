/* races.c - what must hold: no interleaving, stop or claim breaks a lane. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cases.h"

static enum crew_shape shape_of(const struct race *race)
{
	return race->catalog->backend.type == BACKEND_POSTGRES ? THREE_PROCESSES : ONE_PROCESS;
}

int world_end(struct world *world, int failed, char *why)
{
	world_close(world);
	if (failed)
		snprintf(why, 512, "%s", *world->why ? world->why : "no reason was given");
	return failed;
}

/* All promises kept, and nothing but conflicts on the way. */
static int expect_clean(struct world *world, const struct tally *tally)
{
	if (tally_bad(tally))
		return world_fail(world, "%d of %d rounds broke a promise (see above)", tally_bad(tally),
		                  tally->rounds);
	if (tally->other_errors)
		return world_fail(world, "%d errors that are no conflicts: %s", tally->other_errors, tally->other);
	return 0;
}

static int rounds_of(const struct race *race, const char *name, bool together, char *why)
{
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	world.together = together;
	failed = failed || race_rounds(&world, race->rounds, 0, &tally);
	tally_print(&tally, name);
	return world_end(&world, failed || expect_clean(&world, &tally) ? -1 : 0, why);
}

int case_interleavings(const struct race *race, char *why)
{
	return rounds_of(race, "interleavings", false, why);
}

/* COMMITs overlap in earnest, as far as the machine has cores for it. */
int case_together(const struct race *race, char *why)
{
	return rounds_of(race, "together", true, why);
}

/* Owners of different lanes never disturb each other. */
int case_apart(const struct race *race, char *why)
{
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), true, race->seed);

	world.together = true;
	failed = failed || race_rounds(&world, race->rounds, 0, &tally) || expect_clean(&world, &tally);
	tally_print(&tally, "apart");
	if (!failed && (tally.conflicts || tally.one_winner != tally.rounds))
		failed = world_fail(&world, "%d conflicts between owners of different lanes", tally.conflicts);
	return world_end(&world, failed ? -1 : 0, why);
}

/* One side's process stands still before any step, or in the middle of one, until the other is through. */
int case_stopped(const struct race *race, char *why)
{
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, THREE_PROCESSES, false, race->seed);

	for (int n = 0; !failed && n < race->rounds / 2; n++) {
		struct pause pause = {.side = n & 1, .step = n / 2 % 5};
		int order[8], left[2] = {4, 4};

		if (pause.step == 4 || race_random(&world, 3) == 0) {
			pause.step = 1 + (int)race_random(&world, 4);
			pause.within_us = 1 + (int)race_random(&world, 30000);
		}
		for (int i = 0; i < 8; i++) {
			order[i] = left[0] && left[1] ? (int)race_random(&world, 2) : !left[0];
			left[order[i]]--;
		}
		failed = race_round(&world, order, 0, &pause, &tally);
	}
	tally_print(&tally, "stopped");
	if (!failed && !tally.stopped)
		failed = world_fail(&world, "no process was stopped");
	return world_end(&world, failed || expect_clean(&world, &tally) ? -1 : 0, why);
}

/* ---- epochs */

static int step(struct world *world, int who, enum race_op op, struct race_reply *reply)
{
	return actor_call(&world->crew.actors[who], &(struct race_call){.op = op}, reply);
}

/* True if all four steps of a fresh transaction were taken. */
static bool commits_alone(struct world *world, int who)
{
	static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};
	struct race_reply reply;

	for (int i = 0; i < 4; i++) {
		if (step(world, who, steps[i], &reply) == 0)
			continue;
		if (i < 3)
			step(world, who, OP_ROLLBACK, &reply);
		return false;
	}
	return true;
}

/*
 * Actor 0 takes `before` steps, actor 1 claims the lane (at once with the next step if `at_once`), actor 0 goes on.
 * If actor 0 commits, then before the claim: the claimer starts after its rows.
 */
static int epoch_round(struct world *world, int before, bool at_once, struct tally *tally)
{
	static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};
	struct race_call claim = {.op = OP_CLAIM, .count = 1};
	struct race_reply reply, claimed;
	struct lake_lane lane;
	bool lost = false, claiming = false;
	int64_t due;

	if (world_agree(world, &lane))
		return -1;
	for (int i = 0; i < 4 && !lost; i++) {
		if (i == before) {
			actor_send(&world->crew.actors[1], &claim);
			claiming = at_once ||
			           actor_wait(&world->crew.actors[1], world->begin_patience_ms * 5, &claimed) != 1;
			tally->blocked += claiming && !at_once;
			lost = !claiming && claimed.failed;
			if (lost)
				return world_fail(world, "the claim failed: %s", claimed.error.message);
		}
		lost = step(world, 0, steps[i], &reply) != 0;
		tally->conflicts += lost && reply.error.kind == ERROR_CONFLICT;
		tally->other_errors += lost && reply.error.kind != ERROR_CONFLICT;
		if (lost && reply.error.kind != ERROR_CONFLICT)
			snprintf(tally->other, sizeof tally->other, "%.250s", reply.error.message);
		if (lost && i < 3)
			step(world, 0, OP_ROLLBACK, &reply);
	}
	if (before == 4)
		actor_send(&world->crew.actors[1], &claim);
	if ((claiming || before == 4) && (actor_wait(&world->crew.actors[1], 60000, &claimed) != 1 || claimed.failed))
		return world_fail(world, "the claim failed: %s", claimed.error.message);
	tally->rounds++;
	tally->both_won += !lost;
	due = lane.next_offset + (lost ? 0 : ROUND_OFFSETS);
	if (claimed.lanes[0].next_offset != due || claimed.lanes[0].epoch <= lane.epoch)
		return world_fail(world,
		                  "claimed at offset %" PRId64 " instead of %" PRId64 ", after %d steps of the other",
		                  claimed.lanes[0].next_offset, due, before);
	if (world->catalog->backend.type == BACKEND_POSTGRES && before < 4 && !at_once && !lost)
		return world_fail(world, "an owner committed after its lane was claimed at its step %d", before);
	if (commits_alone(world, 0))
		return world_fail(world, "an owner of an old epoch committed");
	if (!commits_alone(world, 1))
		return world_fail(world, "the new owner could not commit");
	if (commits_alone(world, 0))
		return world_fail(world, "an owner of an old epoch committed after the new one");
	return judge(world, 0, lane.next_offset, tally);
}

int case_epochs(const struct race *race, char *why)
{
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int n = 0; !failed && n < race->rounds / 4 + 10; n++)
		failed = epoch_round(&world, n % 5, n / 5 % 2, &tally);
	printf("# epochs: %d rounds, the old owner was first %d, conflicts %d, claims that waited %d\n", tally.rounds,
	       tally.both_won, tally.conflicts, tally.blocked);
	tally.both_won = 0;
	return world_end(&world, failed || expect_clean(&world, &tally) ? -1 : 0, why);
}

/* Both claim a lane that nobody had: each may append a row, and one must be left, which one of them can advance. */
static int first_claim_round(struct world *world, int partition)
{
	struct race_call claim = {.op = OP_CLAIM, .count = 1, .lanes = {{.partition = partition}}};
	struct race_reply claimed[2];
	int64_t found[8] = {0};
	int last;

	for (int who = 0; who < 2; who++)
		actor_send(&world->crew.actors[who], &claim);
	for (int who = 0; who < 2; who++)
		if (actor_wait(&world->crew.actors[who], 60000, &claimed[who]) != 1 || claimed[who].failed)
			return world_fail(world, "the claim of lane %d failed: %s", partition,
			                  claimed[who].error.message);
	if (world_query(world, found, "SELECT count(*), max(epoch) FROM lake.tarn.offsets_%s_%d", world->stream,
	                partition))
		return -1;
	last = claimed[1].lanes[0].epoch > claimed[0].lanes[0].epoch;
	if (found[0] != 1 || claimed[last].lanes[0].epoch != found[1])
		return world_fail(world,
		                  "lane %d has %" PRId64 " rows, of epoch %" PRId64 "; its owners have %" PRId64
		                  " and %" PRId64,
		                  partition, found[0], found[1], claimed[0].lanes[0].epoch, claimed[1].lanes[0].epoch);
	if (commits_alone(world, !last))
		return world_fail(world, "an owner of an old epoch committed");
	return commits_alone(world, last) ? 0 : world_fail(world, "the owner of lane %d could not commit", partition);
}

int case_first_claims(const struct race *race, char *why)
{
	struct world world;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int n = 0; !failed && n < race->rounds / 4 + 10; n++)
		failed = first_claim_round(&world, 1000 + n);
	return world_end(&world, failed ? -1 : 0, why);
}

/* ---- maintenance and a second process */

/* Each process attached before any had made Tarn's tables: all keep Tarn's rows in the catalog. */
int case_first_start(const struct race *race, char *why)
{
	struct world world;
	struct race_reply reply;
	int64_t files[8] = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int who = 0; !failed && who < 3; who++)
		failed = step(&world, who, OP_REREAD, &reply) || world_agree(&world, NULL) ||
		         !commits_alone(&world, who);
	failed = failed || world_query(&world, files,
	                               "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file f JOIN "
	                               "__ducklake_metadata_lake.ducklake_table t ON t.table_id = f.table_id WHERE "
	                               "t.table_name LIKE 'offsets%%' OR t.table_name = 'ledger'");
	if (!failed && files[0])
		failed = world_fail(&world, "%" PRId64 " files of offsets and ledger", files[0]);
	return world_end(&world, failed ? -1 : 0, why);
}

/* A flush takes rows of Tarn's and the catalog's in another order than a commit: PostgreSQL ends one of the two, whole
 * (error 40P01). It is tried again like any error of a COMMIT. */
static bool is_beaten(const struct error *err)
{
	return err->kind == ERROR_CONFLICT ||
	       (err->kind == ERROR_TRANSIENT && strstr(err->message, "deadlock detected"));
}

/* Inlined rows are written to files by a third connection, between any two steps or during one. */
int case_flush(const struct race *race, char *why)
{
	static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};
	struct race_call flush = {.op = OP_SQL, .text = "CALL ducklake_flush_inlined_data('lake')"};
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed), flushes_failed = 0;

	for (int n = 0; !failed && n < race->rounds / 2; n++) {
		bool at_once = n / 4 % 2, lost = false;
		struct race_reply reply, flushed;
		struct lake_lane lane;

		failed = world_agree(&world, &lane);
		for (int i = 0; i < 4 && !lost && !failed; i++) {
			if (i == n % 4)
				actor_send(&world.crew.actors[1], &flush);
			if (i == n % 4 && !at_once)
				actor_wait(&world.crew.actors[1], 60000, &flushed);
			lost = step(&world, 0, steps[i], &reply) != 0;
			tally.conflicts += lost && is_beaten(&reply.error);
			tally.other_errors += lost && !is_beaten(&reply.error);
			if (lost && !is_beaten(&reply.error))
				snprintf(tally.other, sizeof tally.other, "%.250s", reply.error.message);
			if (lost && i < 3)
				step(&world, 0, OP_ROLLBACK, &reply);
			if (i == n % 4 && at_once)
				actor_wait(&world.crew.actors[1], 60000, &flushed);
		}
		flushes_failed += flushed.failed != 0;
		if (flushed.failed)
			printf("# flush: %s\n", flushed.error.message);
		tally.rounds++;
		tally.one_winner += !lost;
		failed = failed || (lost && step(&world, 0, OP_REREAD, &reply));
		if (!failed && lost && !commits_alone(&world, 0))
			failed = world_fail(&world, "the owner could not commit after a flush came between");
		failed = failed || judge(&world, 0, lane.next_offset, &tally);
	}
	tally_print(&tally, "flush");
	printf("# flush: %d of %d flushes failed\n", flushes_failed, tally.rounds);
	return world_end(&world, failed || expect_clean(&world, &tally) ? -1 : 0, why);
}

int count_versions(struct world *world, int64_t *ret_all, int64_t *ret_old)
{
	bool many = world->catalog->backend.type == BACKEND_POSTGRES;
	int64_t found[8];

	if (world_query(
	            world, found,
	            "SELECT i.table_id, i.schema_version FROM __ducklake_metadata_lake.ducklake_inlined_data_tables "
	            "i JOIN __ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id WHERE "
	            "t.end_snapshot IS NULL AND t.table_name = 'offsets_%s%s'",
	            world->stream, many ? "_0" : ""))
		return -1;
	if (world_query(world, found,
	                "SELECT count(*), count(end_snapshot) FROM "
	                "__ducklake_metadata_lake.ducklake_inlined_data_%" PRId64 "_%" PRId64,
	                found[0], found[1]))
		return -1;
	*ret_all = found[0];
	*ret_old = found[1];
	return 0;
}

/* Old versions of the lane's row are removed by a third session, between any two steps or during one. */
int case_prune(const struct race *race, char *why)
{
	struct world world;
	struct tally tally = {0};
	int64_t before = 0, all = 0, old = 0;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	/* So that there is something to remove in every round, the first included. */
	for (int i = 0; !failed && i < 3; i++)
		failed = world_agree(&world, NULL) || !commits_alone(&world, 0);
	failed = failed || count_versions(&world, &before, &old);
	world.prunes = true;
	failed = failed || race_rounds(&world, race->rounds, 0, &tally) || count_versions(&world, &all, &old);
	tally_print(&tally, "prune");
	printf("# prune: %" PRId64 " versions before, %" PRId64 " after %d rounds, %" PRId64 " of them old\n", before,
	       all, tally.rounds, old);
	/* One a commit is left since the last prune, and what that one's snapshot did not see as old. */
	if (!failed && (before < 4 || all - old != 1 || old > 4))
		failed = world_fail(&world, "%" PRId64 " versions of one lane, %" PRId64 " of them old", all, old);
	return world_end(&world, failed || expect_clean(&world, &tally) ? -1 : 0, why);
}

/* A catalog with one writer says who that is; and when that one is killed, the next gets in. */
int case_second_writer(const struct race *race, char *why)
{
	struct world world;
	struct error err = {0};
	char pid[32];
	int failed = world_open(&world, race->catalog, ONE_PROCESS, false, race->seed);

	if (!failed) {
		snprintf(pid, sizeof pid, "process %d)", (int)world.crew.hosts[0]);
		if (second_writer(race->catalog, &err) == 0)
			failed = world_fail(&world, "a second writer was let in");
		else if (err.kind != ERROR_CONFLICT || !strstr(err.message, pid))
			failed = world_fail(&world, "the second writer was told: %s", err.message);
		printf("# second writer: %s\n", err.message);
		kill(world.crew.hosts[0], SIGKILL);
		for (int tries = 0; tries < 100 && second_writer(race->catalog, &err); tries++)
			usleep(100000); /* a busy machine takes its time to end a process */
		if (!failed && second_writer(race->catalog, &err))
			failed = world_fail(&world, "after kill -9 of the writer: %s", err.message);
	}
	return world_end(&world, failed, why);
}
