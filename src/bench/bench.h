/*
 * bench.h - what a stage of the path costs, and the ceilings it is measured against.
 *
 * Every measurement runs in a process of its own (a fork), so that its memory and CPU time are its own.
 *
 * Invariants:
 *  1. The caller has no thread and no open lake or client: a fork takes neither with it.
 *  2. All stages read the same messages, commit the same bytes at a time, and are bound to the same memory.
 *  3. What is timed is the work: opening the lake, and loading what the stages from memory hold, come before.
 *
 * Life cycle: (bench_fill | bench_broker_start, or a topic that is there) -> bench_measure... -> bench_broker_stop.
 */
#ifndef TARN_BENCH_BENCH_H
#define TARN_BENCH_BENCH_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum bench_stage {
#define STAGE(id, name, function, meaning) BENCH_##id,
#include "bench/stages.def"
#undef STAGE
	BENCH_STAGES,
};

struct bench_config {
	const char *brokers, *topic;
	const char *folder; /* absolute; each lake is made in a folder below it and removed */
	int64_t memory_bytes; /* as a stream's memory */
	int64_t commit_bytes; /* as a stream's commit.maxBytes */
	int64_t held_bytes; /* how much of the topic the stages from memory hold, and repeat */
};

struct bench_sample {
	int64_t messages, rows, bytes; /* of payloads; rows 0 where the stage sees no rows */
	int64_t wall_us, cpu_us;
	int64_t peak_rss_bytes;
	int64_t held_bytes; /* of the peak, how much is the topic held in memory */
	double machine_busy; /* share of all cores, by whatever process; 0 to 1 */
	/* The whole path alone: */
	int64_t copied_bytes, commits, files, file_bytes;
};

const char *bench_stage_name(enum bench_stage stage);
const char *bench_stage_meaning(enum bench_stage stage);

/* Errors: what the stage met; FATAL where its process died. */
int bench_measure(const struct bench_config *config, enum bench_stage stage, struct bench_sample *ret_sample,
                  struct error *err);

/* Makes the topic where it is absent and writes `rows` made-up events to it, BENCH_BATCH_ROWS a message. */
#define BENCH_BATCH_ROWS 1000
int bench_fill(const char *brokers, const char *topic, int64_t rows, int partitions, struct error *err);

/* The in-process broker in a process of its own, with the filled topic. */
struct bench_broker {
	pid_t pid;
	int hold; /* closing it ends the process */
	char address[64];
};
int bench_broker_start(struct bench_broker *broker, const char *topic, int64_t rows, struct error *err);
void bench_broker_stop(struct bench_broker *broker);

#endif
