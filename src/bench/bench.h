/*
 * bench.h - what a stage of the path costs, and the ceilings it is measured against.
 *
 * Every measurement runs in a process of its own (a fork), so that its memory and CPU time are its own.
 *
 * Invariants:
 *  1. The caller has no thread and no open lake or client: a fork takes neither with it.
 *  2. All stages read the same messages, commit the same bytes at a time, and are bound to the same memory.
 *  3. What is timed is the work: opening the lake, and loading what DuckDB alone inserts from memory, come before.
 *
 * Life cycle: (bench_fill, or a topic that is there) -> bench_measure...
 */
#ifndef TARN_BENCH_BENCH_H
#define TARN_BENCH_BENCH_H

#include <stdint.h>

#include "base/error.h"

enum bench_stage {
#define STAGE(id, name, function, meaning) BENCH_##id,
#include "bench/stages.def"
#undef STAGE
	BENCH_STAGES,
};

struct bench_config {
	const char *brokers, *topic;
	const char *like; /* a manifest whose stream says the format and columns; NULL: Arrow */
	const char *folder; /* absolute; each lake is made in a folder below it and removed */
	int64_t memory_bytes; /* as a stream's memory */
	int64_t held_bytes; /* how much of the topic the stage from memory holds, and repeats */
	int64_t fill_rows; /* bench_fill: events to write */
};

struct bench_sample {
	int64_t messages, rows, bytes; /* of payloads; rows 0 where the stage sees no rows */
	int64_t wall_us; /* from the first message to the last, or to the last commit */
	int64_t cpu_us; /* of the process, with joining the group and leaving it */
	int64_t peak_rss_bytes;
	int64_t held_bytes; /* of the peak, how much is the topic held in memory */
	double machine_busy; /* share of all cores during wall_us, by whatever process; 0 to 1 */
	int64_t copied_bytes; /* by Tarn, between the receive buffer and DuckDB */
	int64_t commits;
};

const char *bench_stage_name(enum bench_stage stage);
const char *bench_stage_meaning(enum bench_stage stage);

/* Errors: what the stage met; FATAL where its process died. */
int bench_measure(const struct bench_config *config, enum bench_stage stage, struct bench_sample *ret_sample,
                  struct error *err);

/* Makes the topic where it is absent and writes config->fill_rows made-up events to it, compressed by zstd. Errors as
 * produce_run's. */
int bench_fill(const struct bench_config *config, struct error *err);

#endif
