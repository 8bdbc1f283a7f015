/*
 * traps.c - each guard left out on purpose: the bad outcome must be seen at least once, or the test has no teeth; and
 * with the guard it must never be.
 */
#include <inttypes.h>
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

/* `rounds` with this bypass, in a world of its own. */
static int tally_rounds(const struct race *race, const char *name, unsigned bypass, struct tally *tally, char *why)
{
	struct world world;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	*tally = (struct tally){0};
	failed = failed || race_rounds(&world, race->rounds, bypass, tally);
	tally_print(tally, name);
	return world_end(&world, failed ? -1 : 0, why);
}

static int expect(bool held, char *why, const char *what)
{
	if (!held)
		snprintf(why, 512, "%s", what);
	return held ? 0 : -1;
}

int trap_late_read(const struct race *race, char *why)
{
	struct tally bare, count, fence;

	return tally_rounds(race, "neither fence nor count", NO_FENCE | NO_COUNT, &bare, why) ||
	       expect(bare.doubled > 0, why, "without fence and count no round doubled: no teeth") ||
	       tally_rounds(race, "count alone", NO_FENCE, &count, why) ||
	       expect(!tally_bad(&count), why, "the count of changed rows alone does not hold") ||
	       tally_rounds(race, "fence alone", NO_COUNT, &fence, why) ||
	       expect(!tally_bad(&fence), why, "the fence alone does not hold");
}

/* A lane is claimed after its owner's BEGIN; the owner goes on and looks at its offset alone. */
int trap_epoch(const struct race *race, char *why)
{
	static const enum race_op rest[] = {OP_READ, OP_UPDATE, OP_COMMIT};
	struct world world;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int guarded = 0; guarded < 2 && !failed; guarded++) {
		struct race_call call = {.op = OP_BEGIN, .bypass = NO_FENCE}, claim = {.op = OP_CLAIM, .count = 1};
		struct race_reply reply;
		bool won = true;

		failed = world_agree(&world, NULL) ||
		         (shape_of(race) == THREE_PROCESSES && actor_call(&world.crew.actors[0], &call, &reply)) ||
		         actor_call(&world.crew.actors[1], &claim, &reply) ||
		         (shape_of(race) == ONE_PROCESS && actor_call(&world.crew.actors[0], &call, &reply));
		for (int i = 0; i < 3 && !failed && won; i++) {
			call = (struct race_call){.op = rest[i], .bypass = guarded ? NO_FENCE : NO_FENCE | NO_EPOCH};
			won = actor_call(&world.crew.actors[0], &call, &reply) == 0;
		}
		if (!won)
			actor_call(&world.crew.actors[0], &(struct race_call){.op = OP_ROLLBACK}, &reply);
		if (!failed && won == guarded)
			failed = world_fail(&world,
			                    guarded ? "an owner of an old epoch committed"
			                            : "without the epoch the old owner did not commit: no teeth");
	}
	return world_end(&world, failed ? -1 : 0, why);
}

/* `bypass` keeps its offsets in a table that all rounds share. */
static int tally_elsewhere(const struct race *race, const char *name, const char *table, bool apart, unsigned bypass,
                           struct tally *tally, char *why)
{
	struct world world;
	struct race small = *race;
	int failed = world_open(&world, race->catalog, shape_of(race), apart, race->seed);

	*tally = (struct tally){0};
	small.rounds = race->rounds < INTERLEAVINGS ? race->rounds : INTERLEAVINGS;
	failed = failed ||
	         world_sql(&world, "CREATE OR REPLACE TABLE lake.main.%s (lane INTEGER, next_offset BIGINT)", table) ||
	         world_sql(&world, "INSERT INTO lake.main.%s VALUES (0, 0), (1, 0)", table) ||
	         race_rounds(&world, small.rounds, bypass, tally);
	tally_print(tally, name);
	return world_end(&world, failed ? -1 : 0, why);
}

int trap_appended(const struct race *race, char *why)
{
	struct tally tally;

	return tally_elsewhere(race, "appended offsets", "appended", false, APPENDED, &tally, why) ||
	       expect(tally.both_won > 0, why, "with appended offsets never did both win: no teeth");
}

/* The guarded side of this one is case_apart: no conflict in any round. */
int trap_one_table(const struct race *race, char *why)
{
	struct tally tally;

	return tally_elsewhere(race, "one table for two lanes", "shared", true, ONE_TABLE, &tally, why) ||
	       expect(tally.conflicts > 0, why, "two lanes in one table never met: no teeth");
}

/*
 * The other way to be rid of old versions: the commit makes the lane's table anew. DuckLake forgets what a transaction
 * did to a table that it drops, and a drop conflicts with no UPDATE that came before it.
 */
int trap_swapped_table(const struct race *race, char *why)
{
	struct tally tally;

	return tally_rounds(race, "a new table instead of the UPDATE", SWAPPED, &tally, why) ||
	       expect(tally.doubled > 0, why, "with a new table instead of the UPDATE no round doubled: no teeth");
}

/* ---- old versions of the lanes' rows */

/* One commit by actor 0, as the lake is. */
static int commit_once(struct world *world, struct lake_lane *ret_before)
{
	static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};
	struct race_reply reply;

	if (world_agree(world, ret_before))
		return -1;
	for (int i = 0; i < 4; i++)
		if (actor_call(&world->crew.actors[0], &(struct race_call){.op = steps[i]}, &reply))
			return world_fail(world, "step %d: %s", i, reply.error.message);
	return 0;
}

/* Every version that began, or (guarded) those that ended as well. */
static int prune_lane(struct world *world, bool guarded)
{
	struct race_reply reply;
	int64_t found[8];

	if (guarded)
		return actor_call(&world->crew.actors[2], &(struct race_call){.op = OP_PRUNE}, &reply)
		               ? world_fail(world, "prune: %s", reply.error.message)
		               : 0;
	if (world_query(
	            world, found,
	            "SELECT i.table_id, i.schema_version FROM __ducklake_metadata_lake.ducklake_inlined_data_tables "
	            "i JOIN __ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id WHERE "
	            "t.end_snapshot IS NULL AND starts_with(t.table_name, 'offsets_%s')",
	            world->stream))
		return -1;
	return world_sql(world, "DELETE FROM __ducklake_metadata_lake.ducklake_inlined_data_%" PRId64 "_%" PRId64,
	                 found[0], found[1]);
}

/* Without its row a lane is a new one, and starts where the topic does. */
int trap_prune_live(const struct race *race, char *why)
{
	struct race_call claim = {.op = OP_CLAIM, .count = 1};
	struct world world;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int guarded = 1; guarded >= 0 && !failed; guarded--) {
		struct tally tally = {0};
		struct race_reply reply;
		struct lake_lane lane;

		failed = commit_once(&world, &lane) || commit_once(&world, &lane) || prune_lane(&world, guarded) ||
		         actor_call(&world.crew.actors[0], &claim, &reply) ||
		         actor_call(&world.crew.actors[2], &claim, &reply) || commit_once(&world, &lane) ||
		         judge(&world, 0, 0, &tally);
		printf("# a lane claimed after its %s versions were removed: goes on at %" PRId64 ", doubled %d\n",
		       guarded ? "old" : "", lane.next_offset, tally.doubled);
		if (!failed && guarded && tally_bad(&tally))
			failed = world_fail(&world, "removing old versions broke a lane");
		if (!failed && !guarded && !tally.doubled)
			failed = world_fail(&world, "without the row that holds nothing doubled: no teeth");
	}
	return world_end(&world, failed ? -1 : 0, why);
}

/* A reader's transaction, a commit, a prune: what does the reader find of the lane? */
static int read_across(struct world *world, int64_t grace_ms, int64_t *ret_rows)
{
	struct actor *reader = &world->crew.actors[1];
	struct race_call prune = {.op = OP_PRUNE, .values = {grace_ms}};
	struct race_call begin = {.op = OP_BEGIN, .bypass = NO_LOCK}, end = {.op = OP_ROLLBACK, .bypass = NO_LOCK};
	struct race_call query = {.op = OP_QUERY};
	struct race_reply reply;
	struct lake_lane lane;

	snprintf(query.text, sizeof query.text, "SELECT count(*) FROM lake.tarn.offsets_%s", world->stream);
	if (actor_call(reader, &begin, &reply) || actor_call(reader, &query, &reply))
		return world_fail(world, "the reader: %s", reply.error.message);
	if (commit_once(world, &lane) || actor_call(&world->crew.actors[2], &prune, &reply))
		return world_fail(world, "prune: %s", reply.error.message);
	if (actor_call(reader, &query, &reply))
		return world_fail(world, "the reader: %s", reply.error.message);
	*ret_rows = reply.values[0];
	return actor_call(reader, &end, &reply);
}

/* DuckLake's reads of a SQLite catalog are not of one moment: only that old versions stay a while helps readers. */
int trap_prune_young(const struct race *race, char *why)
{
	struct world world;
	int64_t bare = -1, guarded = -1;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	failed = failed || read_across(&world, 0, &bare) || read_across(&world, LANE_GRACE_MS, &guarded);
	printf("# a reader across a prune finds %" PRId64 " rows of its snapshot's lane without the grace, %" PRId64
	       " with it\n",
	       bare, guarded);
	if (!failed && bare)
		failed = world_fail(&world, "without the grace the reader found its row: no teeth");
	if (!failed && guarded != 1)
		failed = world_fail(&world, "the grace does not help readers");
	return world_end(&world, failed ? -1 : 0, why);
}

/* Two writers of a catalog that has room for one, in this shape, with and without the catalog lock. */
static int unlocked(const struct race *race, enum crew_shape shape, char *why)
{
	struct world world;
	struct tally bare = {0}, locked = {0};
	int failed = world_open(&world, race->catalog, shape, false, race->seed);

	/* SQLite's own wait for its lock is 5 s. */
	world.begin_patience_ms = world.step_patience_ms = 6000;
	failed = failed || race_rounds(&world, race->rounds / 3 + 1, NO_LOCK, &bare);
	tally_print(&bare, "without the catalog lock");
	world.begin_patience_ms = 40;
	failed = failed || world_renew(&world) || race_rounds(&world, race->rounds / 3 + 1, 0, &locked);
	tally_print(&locked, "with the catalog lock");
	if (!failed && !bare.other_errors && !tally_bad(&bare))
		failed = world_fail(&world, "without the catalog lock nothing went wrong: no teeth");
	if (!failed && (locked.other_errors || tally_bad(&locked)))
		failed = world_fail(&world, "the catalog lock does not hold: %s", locked.other);
	return world_end(&world, failed ? -1 : 0, why);
}

int trap_no_lock(const struct race *race, char *why)
{
	return unlocked(race, ONE_PROCESS, why);
}

int trap_no_lock_two_processes(const struct race *race, char *why)
{
	return unlocked(race, UNLOCKED_PROCESSES, why);
}

/* ---- COMMIT after a failed statement */

static int say(struct world *world, enum race_op op, const char *sql)
{
	struct race_call call = {.op = op};
	struct race_reply reply;

	snprintf(call.text, sizeof call.text, "%s", sql ? sql : "");
	return actor_call(&world->crew.actors[0], &call, &reply);
}

/* Rows, a statement that does not bind, COMMIT: the rows are there and the offset is not. */
static int commit_after_binder_error(struct world *world)
{
	struct tally tally = {0};
	struct lake_lane lane;
	char sql[256];

	if (world_agree(world, &lane))
		return -1;
	snprintf(sql, sizeof sql, "INSERT INTO lake.main.rows_%s VALUES (0, %" PRId64 ", 'actor0')", world->stream,
	         lane.next_offset);
	if (say(world, OP_BEGIN, NULL) || say(world, OP_READ, NULL) || say(world, OP_SQL, sql))
		return world_fail(world, "the transaction could not be filled");
	if (!say(world, OP_SQL, "UPDATE lake.tarn.no_such_table SET next_offset = 1"))
		return world_fail(world, "a table that is not there was updated");
	if (say(world, OP_SQL, "COMMIT"))
		return world_fail(world, "COMMIT after a binder error failed: no teeth");
	say(world, OP_ROLLBACK, NULL);
	if (judge(world, 0, lane.next_offset, &tally))
		return -1;
	printf("# COMMIT after a binder error: succeeded, rows beyond the offset: %s\n",
	       tally.uncovered ? "yes" : "no");
	return tally.uncovered ? 0 : world_fail(world, "COMMIT after a binder error left no rows: no teeth");
}

/* A whole transaction, a statement that fails as it runs, COMMIT: it says yes, and nothing is there. */
static int commit_after_runtime_error(struct world *world, bool guarded)
{
	struct lake_lane lane, after;
	int said;

	if (world_agree(world, &lane))
		return -1;
	if (say(world, OP_BEGIN, NULL) || say(world, OP_READ, NULL) || say(world, OP_UPDATE, NULL))
		return world_fail(world, "the transaction could not be filled");
	if (!say(world, OP_SQL, "SELECT error('as it runs')"))
		return world_fail(world, "error() did not fail");
	said = guarded ? say(world, OP_ROLLBACK, NULL) : say(world, OP_SQL, "COMMIT");
	say(world, OP_ROLLBACK, NULL);
	if (world_agree(world, &after))
		return -1;
	printf("# %s after a runtime error: answer %d, offset moved: %s\n", guarded ? "ROLLBACK" : "COMMIT", said,
	       after.next_offset != lane.next_offset ? "yes" : "no");
	if (guarded)
		return after.next_offset == lane.next_offset ? 0
		                                             : world_fail(world, "a rolled back transaction is there");
	return said == 0 && after.next_offset == lane.next_offset
	               ? 0
	               : world_fail(world, "COMMIT after a runtime error did not pretend: no teeth");
}

int trap_commit_after_failure(const struct race *race, char *why)
{
	struct world world;
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	failed = failed || commit_after_runtime_error(&world, false) || commit_after_runtime_error(&world, true) ||
	         commit_after_binder_error(&world);
	return world_end(&world, failed ? -1 : 0, why);
}

/* ---- a COMMIT that fails */

int admin(const char *sql, char *ret_text, size_t size)
{
	char command[1024];
	FILE *out;
	size_t got;

	snprintf(command, sizeof command, "psql -qAtX -c \"%s\" 2>&1", sql);
	out = popen(command, "r");
	if (!out)
		return -1;
	got = fread(ret_text, 1, size - 1, out);
	ret_text[got] = 0;
	return pclose(out);
}

static int admin_all(struct world *world, const char *const *statements)
{
	char text[512];

	for (; *statements; statements++)
		if (admin(*statements, text, sizeof text))
			return world_fail(world, "psql: %.300s", text);
	return 0;
}

#define OTHERS "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

/*
 * A COMMIT that the server has done when its connection dies: it waits for a standby that is not there, and is killed.
 * The actor's COMMIT fails in either case; `done`: whether the server had it.
 */
static int fail_commit(struct world *world, bool done, struct race_reply *reply)
{
	static const char *const hold[] = {"ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
	                                   "ALTER SYSTEM SET synchronous_commit = 'on'", "SELECT pg_reload_conf()",
	                                   NULL};
	static const char *const let_go[] = {"ALTER SYSTEM RESET synchronous_standby_names",
	                                     "ALTER SYSTEM RESET synchronous_commit", "SELECT pg_reload_conf()", NULL};
	struct actor *actor = &world->crew.actors[0];
	char text[512] = "0";

	if (!done && admin("SELECT count(pg_terminate_backend(pid)) " OTHERS " AND state LIKE 'idle in transaction%'",
	                   text, sizeof text))
		return world_fail(world, "psql: %.300s", text);
	if (done && admin_all(world, hold))
		return -1;
	actor_send(actor, &(struct race_call){.op = OP_COMMIT});
	for (int tries = 0; done && tries < 200 && *text != '1'; tries++)
		if (admin("SELECT count(pg_terminate_backend(pid)) " OTHERS " AND wait_event = 'SyncRep'", text,
		          sizeof text))
			return world_fail(world, "psql: %.300s", text);
	if (done && admin_all(world, let_go))
		return -1;
	if (actor_wait(actor, 60000, reply) != 1)
		return world_fail(world, "no answer to COMMIT");
	if (!reply->failed)
		return world_fail(world, "a COMMIT whose connection was killed succeeded");
	printf("# COMMIT killed %s the server did it: %s: %.160s\n", done ? "after" : "before",
	       error_kind_name(reply->error.kind), reply->error.message);
	return 0;
}

enum belief { BELIEVE_NOT_DONE, BELIEVE_DONE, READ_AGAIN };

/* One failed COMMIT, and what the actor makes of it. */
static int failed_commit(struct world *world, bool done, enum belief belief, struct tally *tally)
{
	struct race_call believe = {.op = OP_BELIEVE, .count = 1};
	unsigned bypass = belief == READ_AGAIN ? 0 : NO_FENCE | BLIND;
	static const enum race_op steps[] = {OP_BEGIN, OP_READ, OP_UPDATE, OP_COMMIT};
	struct race_reply reply;
	struct lake_lane lane;

	if (world_agree(world, &lane))
		return -1;
	if (say(world, OP_BEGIN, NULL) || say(world, OP_READ, NULL) || say(world, OP_UPDATE, NULL))
		return world_fail(world, "the transaction could not be filled");
	if (fail_commit(world, done, &reply))
		return -1;
	believe.lanes[0] = lane;
	if (belief == BELIEVE_DONE)
		believe.lanes[0].next_offset += ROUND_OFFSETS;
	if (belief == READ_AGAIN)
		believe.op = OP_REREAD;
	for (int tries = 0; actor_call(&world->crew.actors[0], &believe, &reply); tries++)
		if (tries == 20)
			return world_fail(world, "reading again after a failed COMMIT: %s", reply.error.message);
	for (int i = 0; i < 4; i++) {
		struct race_call call = {.op = steps[i], .bypass = bypass};

		if (actor_call(&world->crew.actors[0], &call, &reply))
			return world_fail(world, "after a failed COMMIT, step %d: %s", i, reply.error.message);
	}
	tally->rounds++;
	return judge(world, 0, lane.next_offset, tally);
}

int trap_failed_commit(const struct race *race, char *why)
{
	struct world world;
	struct tally not_done = {0}, is_done = {0}, again = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed);

	for (int i = 0; i < 3 && !failed; i++)
		failed = failed_commit(&world, true, READ_AGAIN, &again) ||
		         failed_commit(&world, false, READ_AGAIN, &again);
	failed = failed || failed_commit(&world, true, BELIEVE_NOT_DONE, &not_done) || world_renew(&world) ||
	         failed_commit(&world, false, BELIEVE_DONE, &is_done);
	tally_print(&not_done, "a failed COMMIT taken for not done");
	tally_print(&is_done, "a failed COMMIT taken for done");
	tally_print(&again, "a failed COMMIT, and the offsets read again");
	if (!failed && (!not_done.doubled || !is_done.lost))
		failed = world_fail(&world, "a belief about a failed COMMIT did no harm: no teeth");
	if (!failed && tally_bad(&again))
		failed = world_fail(&world, "reading again after a failed COMMIT did not help");
	return world_end(&world, failed ? -1 : 0, why);
}

/* The connection dies at any moment of a COMMIT. */
int case_killed_commits(const struct race *race, char *why)
{
	struct world world;
	struct tally tally = {0};
	int failed = world_open(&world, race->catalog, shape_of(race), false, race->seed), survived = 0, was_done = 0;

	for (int n = 0; !failed && n < race->rounds / 7; n++) {
		struct race_call again = {.op = OP_REREAD};
		struct race_reply reply;
		struct lake_lane lane;
		char text[512];

		if (world_agree(&world, &lane) || say(&world, OP_BEGIN, NULL) || say(&world, OP_READ, NULL) ||
		    say(&world, OP_UPDATE, NULL)) {
			failed = world_fail(&world, "the transaction could not be filled");
			break;
		}
		actor_send(&world.crew.actors[0], &(struct race_call){.op = OP_COMMIT});
		usleep(race_random(&world, 8000));
		admin("SELECT count(pg_terminate_backend(pid)) " OTHERS, text, sizeof text);
		if (actor_wait(&world.crew.actors[0], 60000, &reply) != 1)
			failed = world_fail(&world, "no answer to COMMIT");
		survived += !reply.failed;
		for (int who = 0; who < 3; who++)
			for (int tries = 0; actor_call(&world.crew.actors[who], &again, &reply) && tries < 20; tries++)
				usleep(10000);
		was_done += reply.lanes[0].next_offset > lane.next_offset;
		tally.rounds++;
		failed = failed || judge(&world, 0, lane.next_offset, &tally);
	}
	printf("# killed commits: %d rounds, COMMIT answered yes %d, the server had done %d\n", tally.rounds, survived,
	       was_done);
	if (!failed && tally_bad(&tally))
		failed = world_fail(&world, "%d rounds broke a promise", tally_bad(&tally));
	return world_end(&world, failed ? -1 : 0, why);
}
