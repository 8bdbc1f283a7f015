/* measure.c - what one commit costs beyond its rows: each step's time, and the files it leaves. */
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static int64_t files;

static int count_file(const char *path, const struct stat *info, int type, struct FTW *at)
{
	files += type == FTW_F;
	return 0;
}

static int64_t count_files(const struct spec_catalog *catalog)
{
	files = 0;
	if (catalog->data_path)
		nftw(catalog->data_path, count_file, 16, FTW_PHYS);
	return files;
}

int measure(const struct race *race, int lanes, int commits, char *why)
{
	static const char *const names[] = {"begin", "fence", "insert", "ledger", "advance", "commit"};
	struct race_call call = {.op = OP_CLAIM, .count = lanes}, run = {.op = OP_BENCH, .values = {commits}};
	struct world world;
	struct race_reply reply = {0};
	int64_t before, beside = 0, beside_cpu = 0;
	int failed;

	failed = world_open(&world, race->catalog, ONE_PROCESS, false, race->seed);
	for (int i = 0; i < lanes; i++)
		call.lanes[i].partition = i;
	failed = failed || actor_call(&world.crew.actors[0], &call, &reply);
	failed = failed || (in_files && world_in_files(&world));
	before = count_files(race->catalog);
	failed = failed || actor_call(&world.crew.actors[0], &run, &reply);
	if (failed)
		world_fail(&world, "%s", reply.error.message);
	printf("# %s, %d lanes, offsets in %s; ms a commit (of processor):", backend_name(race->catalog->backend.type),
	       lanes, in_files ? "files" : "rows");
	for (size_t i = 0; i < BENCH_STEPS; i++) {
		printf(" %s %.1f (%.1f)", names[i], (double)reply.values[i] / 1000,
		       (double)reply.values[BENCH_STEPS + i] / 1000);
		beside += i == 2 ? 0 : reply.values[i];
		beside_cpu += i == 2 ? 0 : reply.values[BENCH_STEPS + i];
	}
	printf("; beside the insert %.1f (%.1f); files a commit %.1f\n", (double)beside / 1000,
	       (double)beside_cpu / 1000, (double)(count_files(race->catalog) - before) / commits);
	return world_end(&world, failed ? -1 : 0, why);
}
