#include "score/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/owned.h"

#define NEVER 1e-15 /* a probability of 0 that was wrong would be infinitely so */

struct told {
	float value, label;
};

static int compare(const void *left, const void *right)
{
	float a = ((const struct told *)left)->value, b = ((const struct told *)right)->value;

	return (a > b) - (a < b);
}

/* The ranks of the positives, those that tie having the mean of theirs, give U. */
static double area(struct told *told, int64_t count, int64_t positives)
{
	int64_t negatives = count - positives;
	double ranks = 0;

	if (!positives || !negatives)
		return NAN;
	qsort(told, (size_t)count, sizeof *told, compare);
	for (int64_t first = 0, next; first < count; first = next) {
		int64_t ones = 0;

		for (next = first; next < count && told[next].value == told[first].value; next++)
			ones += told[next].label > 0;
		ranks += (double)ones * ((double)(first + 1) + (double)next) / 2;
	}
	return (ranks - (double)positives * (double)(positives + 1) / 2) / ((double)positives * (double)negatives);
}

int metrics_auc(const float *labels, const float *values, int64_t count, double *ret_auc, struct error *err)
{
	OWNED_FREE struct told *told = malloc((size_t)count * sizeof *told);
	int64_t positives = 0;

	if (!told)
		return error_no_memory(err);
	for (int64_t i = 0; i < count; i++) {
		told[i] = (struct told){values[i], labels[i]};
		positives += labels[i] > 0;
	}
	*ret_auc = area(told, count, positives);
	return 0;
}

static void add_to_bin(struct metrics *metrics, double probability, double label)
{
	int bin = (int)(probability * METRICS_BINS);

	bin = bin < 0 ? 0 : bin >= METRICS_BINS ? METRICS_BINS - 1 : bin;
	metrics->bins[bin].rows++;
	metrics->bins[bin].predicted += probability;
	metrics->bins[bin].observed += label;
}

static void add_row(struct metrics *metrics, double probability, double label)
{
	double likely = label > 0 ? probability : 1 - probability;

	metrics->positives += label > 0;
	metrics->log_loss -= log(likely < NEVER ? NEVER : likely > 1 - NEVER ? 1 - NEVER : likely);
	metrics->brier += (probability - label) * (probability - label);
	add_to_bin(metrics, probability, label);
}

int metrics_of(const float *labels, const float *probabilities, int64_t count, struct metrics *ret_metrics,
               struct error *err)
{
	struct metrics metrics = {.rows = count};

	if (metrics_auc(labels, probabilities, count, &metrics.auc, err))
		return -1;
	for (int64_t i = 0; i < count; i++)
		add_row(&metrics, probabilities[i], labels[i]);
	metrics.log_loss /= (double)count;
	metrics.brier /= (double)count;
	for (int i = 0; i < METRICS_BINS; i++) {
		struct metrics_bin *bin = &metrics.bins[i];

		bin->predicted = bin->rows ? bin->predicted / (double)bin->rows : 0;
		bin->observed = bin->rows ? bin->observed / (double)bin->rows : 0;
	}
	*ret_metrics = metrics;
	return 0;
}
