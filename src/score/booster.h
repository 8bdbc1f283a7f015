/*
 * booster.h - gradient-boosted trees over numbers, by XGBoost, which xgboost.c alone sees.
 *
 * A booster tells the probability that a row's label is 1 (objective binary:logistic). Rows are dense float32 matrices;
 * NaN is a missing value.
 *
 * Invariants:
 *  1. The same rows, labels and training give the same bytes of JSON where `threads` is the same: sums of floating
 * point depend on their order, and the order on the count of threads. One thread gives the same bytes on any machine.
 *  2. booster_predict and booster_contributions may be called by any number of threads at once: XGBoost's prediction in
 *     place and its contributions write nothing but the calling thread's own memory, once the booster is configured,
 * which booster_load sees to. Each call runs on its caller's thread alone.
 *  3. booster_load is given what model_json.h has written, never a file's own bytes: XGBoost trusts the numbers in a
 * model, and would follow an index out of its arrays.
 *
 * XGBoost keeps space for the answer to a call of each thread that asked a booster, and gives it back when the thread
 * that frees the booster is the one that asked, else when the process ends: a chunk's answer a thread, for each file
 * that a long-lived process has seen.
 *
 * Life cycle: booster_train -> booster_save -> booster_free; booster_load -> booster_predict... -> booster_free.
 */
#ifndef TARN_SCORE_BOOSTER_H
#define TARN_SCORE_BOOSTER_H

#include <math.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

struct booster;

struct booster_rows {
	const float *values; /* row after row; borrowed */
	int64_t count;
	int columns;
};

struct booster_features {
	const char *const *names; /* borrowed */
	const char *const *types; /* "int", "float" or "i" (0 and 1), as XGBoost calls them; borrowed */
	int count;
};

struct booster_training {
	int rounds, depth, seed, threads;
	double learning_rate;
};

/* A number as a booster's value. What float32 has not (an infinity, too) is missing. */
static inline float booster_value(double number)
{
	float value = (float)number;

	return isfinite(value) ? value : NAN;
}

/* Labels are 0 and 1, a row each, both of them there. NULL with *err: MEMORY, or FATAL with XGBoost's words. */
struct booster *booster_train(const struct booster_rows *rows, const float *labels,
                              const struct booster_features *features, const struct booster_training *training,
                              struct error *err);
/* Appends the model as XGBoost's own JSON, with the features' names and types. */
int booster_save(struct booster *booster, struct buffer *json, struct error *err);
struct booster *booster_load(const char *json, size_t size, struct error *err);
void booster_free(struct booster *booster);

/* ret_scores: a probability a row. The rows must have the model's columns, in its order. */
int booster_predict(const struct booster *booster, const struct booster_rows *rows, float *ret_scores,
                    struct error *err);
/*
 * What each column adds to a row's score (TreeSHAP), in the space of log odds: ret_values gets columns + 1 numbers a
 * row, the last of them the score of a row of which nothing is known; their sum is the log odds of the row's
 * probability.
 */
int booster_contributions(const struct booster *booster, const struct booster_rows *rows, float *ret_values,
                          struct error *err);

static inline void owned_booster(struct booster **booster)
{
	booster_free(*booster);
}
#define OWNED_BOOSTER OWNED_BY(owned_booster)

#endif
