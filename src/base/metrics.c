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
#undef METRIC
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metrics *first;

/* Finds the set with these labels, or makes it. */
static struct metrics *find(const struct metrics *labels)
{
	struct metrics *set;

	pthread_mutex_lock(&lock);
	for (set = first; set; set = set->next)
		if (set->scope == labels->scope && set->partition == labels->partition &&
		    !strcmp(set->name, labels->name) && !strcmp(set->model, labels->model) &&
		    !strcmp(set->reason, labels->reason))
			break;
	if (!set) {
		set = calloc(1, sizeof *set);
		if (set) {
			set->scope = labels->scope;
			set->partition = labels->partition;
			memcpy(set->name, labels->name, sizeof set->name);
			memcpy(set->model, labels->model, sizeof set->model);
			memcpy(set->reason, labels->reason, sizeof set->reason);
			set->next = first;
			first = set;
		}
	}
	pthread_mutex_unlock(&lock);
	return set;
}

struct metrics *metrics_set(const char *stream, int partition)
{
	struct metrics labels = {.scope = partition < 0 ? SCOPE_STREAM : SCOPE_LANE, .partition = partition};

	snprintf(labels.name, sizeof labels.name, "%s", stream);
	return find(&labels);
}

struct metrics *metrics_pipeline_set(const char *pipeline, const char *model, const char *reason)
{
	struct metrics labels = {.scope = reason ? SCOPE_REASON : model ? SCOPE_MODEL : SCOPE_PIPELINE};

	snprintf(labels.name, sizeof labels.name, "%s", pipeline);
	snprintf(labels.model, sizeof labels.model, "%s", model ? model : "");
	snprintf(labels.reason, sizeof labels.reason, "%s", reason ? reason : "");
	return find(&labels);
}

struct metrics *metrics_expectation_set(const char *pipeline, const char *of, const char *expectation)
{
	struct metrics labels = {.scope = SCOPE_EXPECTATION};

	snprintf(labels.name, sizeof labels.name, "%s", pipeline);
	snprintf(labels.model, sizeof labels.model, "%s", of);
	snprintf(labels.reason, sizeof labels.reason, "%s", expectation);
	return find(&labels);
}

static void write_labels(struct buffer *out, const struct metrics *set)
{
	buffer_text(out, set->scope == SCOPE_STREAM || set->scope == SCOPE_LANE ? "{stream=" : "{pipeline=");
	buffer_json_text(out, set->name, strlen(set->name));
	if (set->scope == SCOPE_LANE)
		buffer_printf(out, ",partition=\"%d\"", set->partition);
	if (*set->model) {
		buffer_text(out, set->scope == SCOPE_EXPECTATION ? ",table=" : ",model=");
		buffer_json_text(out, set->model, strlen(set->model));
	}
	if (*set->reason) {
		buffer_text(out, set->scope == SCOPE_EXPECTATION ? ",expectation=" : ",reason=");
		buffer_json_text(out, set->reason, strlen(set->reason));
	}
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

void metrics_write(struct buffer *out)
{
	pthread_mutex_lock(&lock);
	for (int i = 0; i < METRIC_COUNT; i++) {
		buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
		              table[i].type);
		for (struct metrics *set = first; set; set = set->next)
			if (set->scope == table[i].scope)
				write_sample(out, i, set);
	}
	pthread_mutex_unlock(&lock);
}
