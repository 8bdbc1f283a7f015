/*
 * metrics.h - how well probabilities tell labels.
 */
#ifndef TARN_SCORE_METRICS_H
#define TARN_SCORE_METRICS_H

#include <stdint.h>

#include "base/error.h"

#define METRICS_BINS 10

struct metrics_bin { /* of calibration: the rows whose probability is from i/10 to (i+1)/10 */
	int64_t rows;
	double predicted, observed; /* the mean probability, and the share of label 1; 0 without rows */
};

struct metrics {
	int64_t rows, positives; /* with label 1 */
	/*
	 * The chance that of two rows with different labels the one with 1 has the higher probability, ties counting a
	 * half (Mann and Whitney's U); NaN where only one label is there.
	 */
	double auc;
	double log_loss; /* the mean of -ln of the probability of what was the label; probabilities of 0 and 1 count as
	                    1e-15 from it */
	double brier; /* the mean squared difference from the label */
	struct metrics_bin bins[METRICS_BINS];
};

/* The same of any values that rows may be ordered by; none is NaN. */
int metrics_auc(const float *labels, const float *values, int64_t count, double *ret_auc, struct error *err);
/* At least one row. Errors: out of memory. */
int metrics_of(const float *labels, const float *probabilities, int64_t count, struct metrics *ret_metrics,
               struct error *err);

#endif
