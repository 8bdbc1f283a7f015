/* bench_private.h - what the stages share. */
#ifndef TARN_BENCH_PRIVATE_H
#define TARN_BENCH_PRIVATE_H

#include <stdbool.h>

#include "batch/batch.h"
#include "bench/bench.h"
#include "lake/lake.h"
#include "spec/spec.h"
#include "wire/source.h"

/* What a process of its own runs. */
typedef int bench_function(const struct bench_config *config, struct bench_sample *sample, struct error *err);

/* CPU time counts from meter_start to meter_stop; wall time, and how busy the machine is, from the first
 * meter_work_begins to the last meter_work_ends. */
struct meter {
	bool begun;
	int64_t wall_us, cpu_us;
	int64_t busy, total; /* jiffies of the machine */
};
void meter_start(struct meter *meter);
void meter_work_begins(struct meter *meter); /* only the first call counts */
void meter_work_ends(const struct meter *meter, struct bench_sample *sample);
void meter_stop(const struct meter *meter, struct bench_sample *sample);

#define STAGE(id, name, function, meaning) bench_function function;
#include "bench/stages.def"
#undef STAGE

/* Reads every partition from its first offset to its end. `each` takes the message (message_release). */
typedef int topic_each(void *context, struct message *message, struct error *err);
int topic_read(const struct bench_config *config, topic_each *each, void *context, struct error *err);

/* The first config->held_bytes of the topic, copied. */
struct held_topic {
	struct batch_bytes *messages; /* owned, as is their data; release NULL */
	int count, capacity;
	int64_t bytes; /* held */
	int64_t topic_bytes; /* of the whole topic */
};
/* Never freed: the process that measures ends with it. INVALID: the topic holds nothing. */
int topic_hold(const struct bench_config *config, struct held_topic *ret_held, struct error *err);

/* The manifest of a lake with one stream, in config->folder. The caller frees it. */
struct manifest *bench_manifest(const struct bench_config *config, struct error *err);
/* Opened to write, bound to the stream's share of memory. The caller closes it. */
struct lake *bench_lake(const struct manifest *manifest, struct error *err);

#endif
