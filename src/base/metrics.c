#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum metric_scope { SCOPE_STREAM, SCOPE_LANE };

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

struct metrics *metrics_set(const char *stream, int partition)
{
	struct metrics *set;

	pthread_mutex_lock(&lock);
	for (set = first; set; set = set->next)
		if (set->partition == partition && !strcmp(set->stream, stream))
			break;
	if (!set) {
		set = calloc(1, sizeof *set);
		if (set) {
			snprintf(set->stream, sizeof set->stream, "%s", stream);
			set->partition = partition;
			set->next = first;
			first = set;
		}
	}
	pthread_mutex_unlock(&lock);
	return set;
}

static void write_sample(struct buffer *out, int metric, struct metrics *set)
{
	long long value;

	buffer_printf(out, "%s{stream=", table[metric].name);
	buffer_json_text(out, set->stream, strlen(set->stream));
	if (table[metric].scope == SCOPE_LANE)
		buffer_printf(out, ",partition=\"%d\"", set->partition);
	value = (long long)metric_get(set, (enum metric)metric);
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
			if ((set->partition >= 0) == (table[i].scope == SCOPE_LANE))
				write_sample(out, i, set);
	}
	pthread_mutex_unlock(&lock);
}
