/*
 * lane_race.c - adversarial tests of the commit protocol (docs/commit-protocol.md).
 *
 *     lane_race --backend sqlite|postgres|duckdb|file --folder DIR [--rounds N] [--seed S] [--measure COMMITS]
 *               [--offsets files|rows] [CASE...]
 *
 * Data files are in DIR, or where RACE_STORE="ENDPOINT BUCKET KEY SECRET" says, and the cases are then BACKEND+s3/NAME.
 * Postgres: the connection is RACE_CONNECTION in the environment, and psql must reach the same server (PGHOST and the
 * like). Prints "ok NAME" or "not ok NAME: why" a case; exit code 1 if any failed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owned.h"
#include "cases.h"

#define POSTGRES (1 << BACKEND_POSTGRES)
#define SQLITE (1 << BACKEND_SQLITE)
#define DUCKDB (1 << BACKEND_DUCKDB)
#define PLAIN_FILE (1 << BACKEND_FILE)
#define ONE_WRITER (SQLITE | DUCKDB | PLAIN_FILE)
#define LAKES (POSTGRES | SQLITE | DUCKDB)
#define ROWS (1 << 8) /* only where the offsets are rows in the catalog */
#define EVERY (POSTGRES | ONE_WRITER)

static const struct {
	const char *name;
	int backends;
	race_case *run;
} cases[] = {
        {"first-start", POSTGRES | ROWS, case_first_start},
        {"interleavings", EVERY, case_interleavings},
        {"together", EVERY, case_together},
        {"apart", POSTGRES, case_apart},
        {"stopped", POSTGRES, case_stopped},
        {"epochs", EVERY, case_epochs},
        {"first-claims", POSTGRES, case_first_claims},
        {"flush", POSTGRES, case_flush},
        {"prune", LAKES | ROWS, case_prune},
        {"second-writer", ONE_WRITER, case_second_writer},
        {"trap-late-read", EVERY, trap_late_read},
        {"trap-epoch", EVERY, trap_epoch},
        {"trap-appended-offsets", POSTGRES, trap_appended},
        {"trap-one-table", POSTGRES, trap_one_table},
        {"trap-swapped-table", POSTGRES | ROWS, trap_swapped_table},
        {"trap-prune-live", LAKES | ROWS, trap_prune_live},
        {"trap-prune-young", SQLITE | ROWS, trap_prune_young},
        {"trap-no-lock", SQLITE, trap_no_lock},
        {"trap-no-lock-two-processes", SQLITE, trap_no_lock_two_processes},
        {"trap-commit-after-failure", EVERY, trap_commit_after_failure},
        {"trap-failed-commit", POSTGRES, trap_failed_commit},
        {"killed-commits", POSTGRES, case_killed_commits},
};

static int usage(void)
{
	fprintf(stderr, "usage: lane_race --backend sqlite|postgres|duckdb|file --folder DIR [--rounds N] [--seed S] "
	                "[--measure COMMITS] [--offsets files|rows] [CASE...]\n");
	return 2;
}

static bool wanted(const char *name, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(name, names[i]))
			return true;
	return count == 0;
}

/* Whether there is one. Its texts are never freed. */
static bool find_store(struct spec_catalog *catalog)
{
	const char *store = getenv("RACE_STORE");

	if (!store || sscanf(store, "%ms %ms %ms %ms", &catalog->store.endpoint, &catalog->store.bucket,
	                     &catalog->store.key_id, &catalog->store.secret) != 4)
		return false;
	catalog->store.region = strdup("us-east-1");
	return true;
}

static int report(const char *backend, const char *name, int failed, const char *why, int64_t began_ms)
{
	printf("# %s/%s took %.1f s\n", backend, name, (double)(clock_monotonic_ms() - began_ms) / 1000);
	if (failed)
		printf("not ok %s/%s: %s\n", backend, name, why);
	else
		printf("ok %s/%s\n", backend, name);
	return failed != 0;
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], data[PATH_MAX], label[32], *connection = getenv("RACE_CONNECTION");
	struct spec_catalog catalog = {.name = (char[]){"race"}, .data_path = data, .backend = {.path = path}};
	struct race race = {.catalog = &catalog, .rounds = 210, .seed = 1};
	const char *folder = NULL, *backend = NULL;
	int at = 1, failed = 0, commits = 0;

	for (; at + 1 < argc && !strncmp(argv[at], "--", 2); at += 2) {
		if (!strcmp(argv[at], "--backend"))
			backend = argv[at + 1];
		else if (!strcmp(argv[at], "--folder"))
			folder = argv[at + 1];
		else if (!strcmp(argv[at], "--rounds"))
			race.rounds = atoi(argv[at + 1]);
		else if (!strcmp(argv[at], "--seed"))
			race.seed = (unsigned)atoi(argv[at + 1]);
		else if (!strcmp(argv[at], "--measure"))
			commits = atoi(argv[at + 1]);
		else if (!strcmp(argv[at], "--offsets"))
			in_files = !strcmp(argv[at + 1], "files");
		else
			return usage();
	}
	if (!backend || !folder || race.rounds < 1)
		return usage();
	while (catalog.backend.type <= BACKEND_FILE && strcmp(backend_name(catalog.backend.type), backend))
		catalog.backend.type++;
	if (catalog.backend.type > BACKEND_FILE || (catalog.backend.type == BACKEND_POSTGRES && !connection))
		return usage();
	setvbuf(stdout, NULL, _IOLBF, 0);
	catalog.backend.connection = connection;
	snprintf(path, sizeof path, "%s/%s.catalog", folder, backend);
	snprintf(label, sizeof label, "%s%s", backend, find_store(&catalog) ? "+s3" : "");
	if (catalog.store.bucket)
		snprintf(data, sizeof data, "s3://%s/%s/", catalog.store.bucket, backend);
	else
		snprintf(data, sizeof data, "%s/%s.data/", folder, backend);
	if (catalog.backend.type == BACKEND_FILE)
		catalog.data_path = NULL;
	for (int lanes = 1; commits && lanes <= RACE_LANES; lanes *= 8) {
		char why[512] = "";
		int64_t began = clock_monotonic_ms();

		failed += report(label, "measure", measure(&race, lanes, commits, why), why, began);
	}
	for (size_t i = 0; !commits && i < COUNT_OF(cases); i++) {
		char why[512] = "";
		int64_t began = clock_monotonic_ms();

		if (!(cases[i].backends & 1 << catalog.backend.type) || (in_files && cases[i].backends & ROWS) ||
		    !wanted(cases[i].name, argv + at, argc - at))
			continue;
		failed += report(label, cases[i].name, cases[i].run(&race, why), why, began);
	}
	return failed ? 1 : 0;
}
