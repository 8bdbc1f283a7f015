/*
 * metrics.h - counters and gauges, one row of metrics.def each, in Prometheus' text format (version 0.0.4).
 *
 * A metric's labels are those of its scope: a stream; a stream's lane (stream, partition); a pipeline; a pipeline's
 * model; a reason why rows of a model were filtered; what is expected of a pipeline's table. Sets are made at start, on
 * assignment or with a first value; reading and adding take no lock (atomics), so that the hot path may count. Life
 * cycle: metrics_find finds or makes a set, which lives as long as the process.
 */
#ifndef TARN_BASE_METRICS_H
#define TARN_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"

enum metric {
#define METRIC(id, type, scope, per_unit, name, help) METRIC_##id,
#include "base/metrics.def"
#undef METRIC
	METRIC_COUNT
};

enum metric_scope { SCOPE_STREAM, SCOPE_LANE, SCOPE_PIPELINE, SCOPE_MODEL, SCOPE_REASON, SCOPE_EXPECTATION };

struct metrics {
	enum metric_scope scope;
	char name[128]; /* of the stream or pipeline */
	int partition; /* of a lane */
	char model[128], reason[160]; /* or table and expectation; "" where the scope has none */
	_Atomic int64_t values[METRIC_COUNT];
	struct metrics *next;
};

/* The set of one stream (partition -1) or one lane; NULL only when out of memory. */
struct metrics *metrics_set(const char *stream, int partition);
/* Of a pipeline (model NULL), of one of its models (reason NULL), or of a reason. Texts are cut to fit. */
struct metrics *metrics_pipeline_set(const char *pipeline, const char *model, const char *reason);
/* Of what is expected of the table `of` ("": of none). Texts are cut to fit. */
struct metrics *metrics_expectation_set(const char *pipeline, const char *of, const char *expectation);
void metrics_write(struct buffer *out);

static inline void metric_add(struct metrics *metrics, enum metric metric, int64_t value)
{
	if (metrics)
		atomic_fetch_add_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

static inline void metric_put(struct metrics *metrics, enum metric metric, int64_t value)
{
	if (metrics)
		atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

static inline int64_t metric_get(struct metrics *metrics, enum metric metric)
{
	return metrics ? atomic_load_explicit(&metrics->values[metric], memory_order_relaxed) : 0;
}

#endif
