/* cases.h - the races and traps of tests/race, as one table (lane_race.c); what they share. */
#ifndef TARN_TESTS_RACE_CASES_H
#define TARN_TESTS_RACE_CASES_H

#include "round.h"

struct race {
	const struct spec_catalog *catalog;
	int rounds; /* wanted of the interleavings; other cases scale with it */
	unsigned seed;
};

/* Each returns 0, or -1 with the reason in why[512]. */
typedef int race_case(const struct race *race, char *why);

race_case case_first_start, case_interleavings, case_together, case_apart, case_stopped, case_epochs, case_flush,
        case_prune, case_second_writer, case_first_claims;
race_case trap_late_read, trap_epoch, trap_appended, trap_one_table, trap_no_lock, trap_no_lock_two_processes;
race_case trap_commit_after_failure, trap_failed_commit;
race_case trap_swapped_table, trap_prune_live, trap_prune_young;
race_case case_killed_commits;

/* Prints the time of each step of a commit and the files it leaves, with `lanes` lanes. */
int measure(const struct race *race, int lanes, int commits, char *why);

/* One statement as the server's administrator, by psql (PGHOST and the like are in the environment). */
int admin(const char *sql, char *ret_text, size_t size);

/* Of lane 0: rows in the catalog, of which `ret_old` hold no more. -1: world->why. */
int count_versions(struct world *world, int64_t *ret_all, int64_t *ret_old);

/* Closes the world; `failed`, or -1 with its reason in why. */
int world_end(struct world *world, int failed, char *why);

#endif
