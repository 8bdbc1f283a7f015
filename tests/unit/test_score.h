/* test_score.h - made-up rows for the tests of score/: the same on every machine. */
#ifndef TARN_TESTS_TEST_SCORE_H
#define TARN_TESTS_TEST_SCORE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "score/booster.h"

/* splitmix64: a number from 0 to 1 */
static inline double drawn(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

#define MADE_COLUMNS 3

static const char *const made_names[] = {"alpha", "beta", "gamma"};
static const char *const made_types[] = {"float", "int", "i"};
static const struct booster_features made_features __attribute__((unused)) = {made_names, made_types, MADE_COLUMNS};

/* Labels that mostly follow alpha and beta; some values are missing. The caller frees both. */
static inline void make_rows(int64_t count, float **ret_values, float **ret_labels)
{
	uint64_t state = 7;

	*ret_values = malloc((size_t)count * MADE_COLUMNS * sizeof **ret_values);
	*ret_labels = malloc((size_t)count * sizeof **ret_labels);
	for (int64_t i = 0; i < count; i++) {
		float *row = *ret_values + i * MADE_COLUMNS;
		double odds;

		row[0] = (float)(drawn(&state) * 10);
		row[1] = floorf((float)(drawn(&state) * 5));
		row[2] = drawn(&state) < 0.5 ? 0 : 1;
		odds = row[0] - 5 + row[1] - 2;
		if (drawn(&state) < 0.05)
			row[0] = NAN;
		(*ret_labels)[i] = drawn(&state) < 1 / (1 + exp(-odds)) ? 1 : 0;
	}
}

#endif
