/*
 * metrics.h - counters, gauges and histograms, one row of metrics.def each, in Prometheus' text format (version 0.0.4).
 *
 * A metric's labels are those of its scope: a stream; a stream's lane (stream, partition); a pipeline; a pool... Sets
 * are made at start, on assignment or with a first value; reading and adding take no lock (atomics), so that the hot
 * path may count. Life cycle: metrics_find and its like find or make a set, which lives as long as the process.
 */
#ifndef TARN_BASE_METRICS_H
#define TARN_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buffer.h"

enum metric {
#define METRIC(id, type, scope, per_unit, name, help) METRIC_##id,
#include "base/metrics.def"
	METRIC_COUNT
};

enum metric_histogram {
#define HISTOGRAM(id, scope, name, help) HISTOGRAM_##id,
#include "base/metrics.def"
	HISTOGRAM_COUNT
};

/* SCOPE(id, its labels, NULL where there are fewer than three); that of an empty text is left out. A lane has its
 * partition, too. */
#define METRIC_SCOPES(SCOPE)                                                                                           \
	SCOPE(STREAM, "stream", NULL, NULL)                                                                            \
	SCOPE(LANE, "stream", NULL, NULL)                                                                              \
	SCOPE(PIPELINE, "pipeline", NULL, NULL)                                                                        \
	SCOPE(MODEL, "pipeline", "model", NULL)                                                                        \
	SCOPE(REASON, "pipeline", "model", "reason")                                                                   \
	SCOPE(EXPECTATION, "pipeline", "table", "expectation")                                                         \
	SCOPE(POOL, "pool", "namespace", NULL)                                                                         \
	SCOPE(OUTCOME, "pool", "namespace", "outcome")                                                                 \
	SCOPE(ROUTE, "route", "method", NULL)                                                                          \
	SCOPE(STATUS, "route", "method", "status")                                                                     \
	SCOPE(ENDPOINT, "endpoint", NULL, NULL)                                                                        \
	SCOPE(ASSISTANT, "assistant", NULL, NULL)                                                                      \
	SCOPE(QUESTION, "assistant", "outcome", NULL)

enum metric_scope {
#define SCOPE_ID(id, ...) SCOPE_##id,
	METRIC_SCOPES(SCOPE_ID)
#undef SCOPE_ID
	        SCOPE_COUNT
};

/* Upper bounds in microseconds; the last one is +Inf. */
#define HISTOGRAM_BOUNDS_US                                                                                            \
	500, 1000, 2000, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000, 30000000, 300000000
#define HISTOGRAM_BUCKETS 14

struct histogram {
	_Atomic int64_t buckets[HISTOGRAM_BUCKETS]; /* each its own; they are added up when they are written */
	_Atomic int64_t sum_us;
};

struct metrics {
	enum metric_scope scope;
	char labels[3][160]; /* "" where the scope has fewer */
	int partition; /* of a lane */
	_Atomic int64_t values[METRIC_COUNT];
	struct histogram *histograms; /* HISTOGRAM_COUNT; NULL where the scope has none */
	struct metrics *next;
};

/* The set with these labels, cut to fit; NULL stands for "". NULL only when out of memory. */
struct metrics *metrics_find(enum metric_scope scope, const char *first, const char *second, const char *third);

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

/* Adds one that took so long. */
void metric_observe(struct metrics *metrics, enum metric_histogram histogram, int64_t us);

static inline int64_t metric_get(struct metrics *metrics, enum metric metric)
{
	return metrics ? atomic_load_explicit(&metrics->values[metric], memory_order_relaxed) : 0;
}

#endif
