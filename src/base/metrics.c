#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name, *type, *help;
	enum metric_scope scope;
	int per_unit;
} table[METRIC_COUNT] = {
#define METRIC(id, type, scope, per_unit, name, help) [METRIC_##id] = {name, #type, help, SCOPE_##scope, per_unit},
#include "base/metrics.def"
};

static const struct {
	const char *name, *help;
	enum metric_scope scope;
} histograms[HISTOGRAM_COUNT] = {
#define HISTOGRAM(id, scope, name, help) [HISTOGRAM_##id] = {name, help, SCOPE_##scope},
#include "base/metrics.def"
};

static const char *const label_names[SCOPE_COUNT][3] = {
#define SCOPE_LABELS(id, first, second, third) [SCOPE_##id] = {first, second, third},
        METRIC_SCOPES(SCOPE_LABELS)
#undef SCOPE_LABELS
};

static const int64_t bounds_us[HISTOGRAM_BUCKETS - 1] = {HISTOGRAM_BOUNDS_US};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metrics *first_set;

static bool same(const struct metrics *set, const struct metrics *labels)
{
	return set->scope == labels->scope && set->partition == labels->partition &&
	       !strcmp(set->labels[0], labels->labels[0]) && !strcmp(set->labels[1], labels->labels[1]) &&
	       !strcmp(set->labels[2], labels->labels[2]);
}

static bool has_histograms(enum metric_scope scope)
{
	for (int i = 0; i < HISTOGRAM_COUNT; i++)
		if (histograms[i].scope == scope)
			return true;
	return false;
}

static struct metrics *make(const struct metrics *labels)
{
	struct metrics *set = calloc(1, sizeof *set);

	if (!set)
		return NULL;
	set->scope = labels->scope;
	set->partition = labels->partition;
	memcpy(set->labels, labels->labels, sizeof set->labels);
	if (has_histograms(set->scope)) {
		set->histograms = calloc(HISTOGRAM_COUNT, sizeof *set->histograms);
		if (!set->histograms) {
			free(set);
			return NULL;
		}
	}
	set->next = first_set;
	first_set = set;
	return set;
}

/* Finds the set with these labels, or makes it. */
static struct metrics *find(const struct metrics *labels)
{
	struct metrics *set;

	pthread_mutex_lock(&lock);
	for (set = first_set; set; set = set->next)
		if (same(set, labels))
			break;
	if (!set)
		set = make(labels);
	pthread_mutex_unlock(&lock);
	return set;
}

static void put_label(char label[160], const char *text)
{
	snprintf(label, 160, "%s", text ? text : "");
}

struct metrics *metrics_find(enum metric_scope scope, const char *first, const char *second, const char *third)
{
	struct metrics labels = {.scope = scope};

	put_label(labels.labels[0], first);
	put_label(labels.labels[1], second);
	put_label(labels.labels[2], third);
	return find(&labels);
}

struct metrics *metrics_set(const char *stream, int partition)
{
	struct metrics labels = {.scope = partition < 0 ? SCOPE_STREAM : SCOPE_LANE, .partition = partition};

	put_label(labels.labels[0], stream);
	return find(&labels);
}

struct metrics *metrics_pipeline_set(const char *pipeline, const char *model, const char *reason)
{
	return metrics_find(reason ? SCOPE_REASON : model ? SCOPE_MODEL : SCOPE_PIPELINE, pipeline, model, reason);
}

struct metrics *metrics_expectation_set(const char *pipeline, const char *of, const char *expectation)
{
	return metrics_find(SCOPE_EXPECTATION, pipeline, of, expectation);
}

void metric_observe(struct metrics *metrics, enum metric_histogram histogram, int64_t us)
{
	struct histogram *one = metrics && metrics->histograms ? &metrics->histograms[histogram] : NULL;
	int bucket = 0;

	if (!one)
		return;
	while (bucket < HISTOGRAM_BUCKETS - 1 && us > bounds_us[bucket])
		bucket++;
	atomic_fetch_add_explicit(&one->buckets[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&one->sum_us, us, memory_order_relaxed);
}

/* {a="x",b="y", without the brace at the end */
static void write_labels(struct buffer *out, const struct metrics *set)
{
	const char *const *names = label_names[set->scope];

	for (int i = 0; i < 3 && names[i]; i++) {
		if (i && !*set->labels[i])
			continue;
		buffer_printf(out, "%s%s=", i ? "," : "{", names[i]);
		buffer_json_text(out, set->labels[i], strlen(set->labels[i]));
	}
	if (set->scope == SCOPE_LANE)
		buffer_printf(out, ",partition=\"%d\"", set->partition);
}

static void write_sample(struct buffer *out, int metric, struct metrics *set)
{
	long long value = (long long)metric_get(set, (enum metric)metric);

	buffer_text(out, table[metric].name);
	write_labels(out, set);
	if (table[metric].per_unit == 1)
		buffer_printf(out, "} %lld\n", value);
	else
		buffer_printf(out, "} %.3f\n", (double)value / table[metric].per_unit);
}

static void write_histogram(struct buffer *out, int histogram, struct metrics *set)
{
	const char *name = histograms[histogram].name;
	struct histogram *one = &set->histograms[histogram];
	long long count = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		count += (long long)atomic_load_explicit(&one->buckets[i], memory_order_relaxed);
		buffer_printf(out, "%s_bucket", name);
		write_labels(out, set);
		if (i < HISTOGRAM_BUCKETS - 1)
			buffer_printf(out, ",le=\"%g\"} %lld\n", (double)bounds_us[i] / 1e6, count);
		else
			buffer_printf(out, ",le=\"+Inf\"} %lld\n", count);
	}
	buffer_printf(out, "%s_sum", name);
	write_labels(out, set);
	buffer_printf(out, "} %.6f\n%s_count", (double)atomic_load(&one->sum_us) / 1e6, name);
	write_labels(out, set);
	buffer_printf(out, "} %lld\n", count);
}

void metrics_write(struct buffer *out)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < METRIC_COUNT; i++) {
		buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
		              table[i].type);
		for (struct metrics *set = first_set; set; set = set->next)
			if (set->scope == table[i].scope)
				write_sample(out, i, set);
	}
	for (int i = 0; i < HISTOGRAM_COUNT; i++) {
		buffer_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", histograms[i].name, histograms[i].help,
		              histograms[i].name);
		for (struct metrics *set = first_set; set; set = set->next)
			if (set->scope == histograms[i].scope)
				write_histogram(out, i, set);
	}
	pthread_mutex_unlock(&lock);
}
