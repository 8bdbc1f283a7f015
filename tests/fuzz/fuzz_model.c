/*
 * fuzz_model.c - any bytes as a model's file: refused with a reason, or a model that XGBoost loads, and that can be
 * asked and explained.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "score/booster.h"
#include "score/model_json.h"

#define REQUIRE(condition)                                                                                             \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, err.message);                       \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#define ROWS 3 /* of zeros, of large numbers, and of nothing */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct booster *booster, int columns)
{
	OWNED_FREE float *values = calloc((size_t)columns * ROWS, sizeof *values);
	OWNED_FREE float *parts = calloc((size_t)(columns + 1) * ROWS, sizeof *parts);
	struct booster_rows rows = {values, ROWS, columns};
	struct error err = {0};
	float scores[ROWS];

	for (int i = 0; i < columns; i++) {
		values[columns + i] = 1e30F;
		values[2 * columns + i] = NAN;
	}
	REQUIRE(!booster_predict(booster, &rows, scores, &err));
	for (int i = 0; i < ROWS; i++)
		REQUIRE(scores[i] >= 0 && scores[i] <= 1);
	REQUIRE(!booster_contributions(booster, &rows, parts, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_OUTLINE struct model_outline outline = {0};
	OWNED_BOOSTER struct booster *booster = NULL;
	OWNED_BUFFER struct buffer plain = {0};
	struct error err = {0};

	buffer_init(&plain, BUFFER_DEFAULT_MAXIMUM);
	if (model_json_read((const char *)data, size, &outline, &plain, &err)) {
		REQUIRE((err.kind == ERROR_INVALID || err.kind == ERROR_CORRUPT) && *err.message);
		return 0;
	}
	booster = booster_load(buffer_string(&plain), plain.size, &err);
	REQUIRE(booster);
	ask(booster, outline.feature_count);
	return 0;
}
