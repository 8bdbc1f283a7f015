/*
 * metrics.h - counters and gauges, one row of metrics.def each, in Prometheus' text format (version 0.0.4).
 *
 * A metric is labelled by at most `stream` and `partition`. Sets are made at start or on assignment; reading and adding
 * take no lock (atomics), so that the hot path may count.
 * Life cycle: metrics_set(stream, partition) finds or makes a set, which lives as long as the process.
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

struct metrics {
	char stream[128];
	int partition; /* -1: the metrics of the whole stream */
	_Atomic int64_t values[METRIC_COUNT];
	struct metrics *next;
};

/* The set of one stream (partition -1) or one lane; NULL only when out of memory. */
struct metrics *metrics_set(const char *stream, int partition);
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
