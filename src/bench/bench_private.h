/* bench_private.h - what the stages share. */
#ifndef TARN_BENCH_PRIVATE_H
#define TARN_BENCH_PRIVATE_H

#include "batch/batch.h"
#include "bench/bench.h"
#include "lake/lake.h"
#include "spec/spec.h"
#include "wire/source.h"

/* From meter_start to meter_stop is what a sample's wall and CPU time say. */
struct meter {
	int64_t wall_us, cpu_us;
	int64_t busy, total; /* jiffies of the machine */
};
void meter_start(struct meter *meter);
void meter_stop(const struct meter *meter, struct bench_sample *sample);

#define STAGE(id, name, function, meaning)                                                                             \
	int function(const struct bench_config *config, struct bench_sample *sample, struct error *err);
#include "bench/stages.def"
#undef STAGE

/* Reads every partition from its first offset to its end. `each` takes the message (message_release). */
int topic_read(const struct bench_config *config,
               int (*each)(void *context, struct message *message, struct error *err), void *context,
               struct error *err);

/* The first config->held_bytes of the topic, copied. */
struct held_topic {
	struct batch_bytes *messages; /* owned, as is their data; release NULL */
	int count;
	int64_t bytes; /* held */
	int64_t topic_bytes; /* of the whole topic */
};
int topic_hold(const struct bench_config *config, struct held_topic *ret_held, struct error *err);

/* The manifest of a lake with one stream, in config->folder. */
struct manifest *bench_manifest(const struct bench_config *config, struct error *err);
struct lake *bench_lake(const struct manifest *manifest, struct error *err);
/* Files of the stream's table. */
int bench_table_size(const struct manifest *manifest, struct lake *lake, struct bench_sample *sample,
                     struct error *err);

#endif
