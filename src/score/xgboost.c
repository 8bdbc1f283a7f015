#include <xgboost/c_api.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "score/booster.h"

struct booster {
	BoosterHandle handle;
};

/* XGBoost's warnings go to standard error, and are a thread's to turn off. */
static void be_quiet(void)
{
	static _Thread_local bool quiet;

	if (!quiet)
		quiet = XGBSetGlobalConfig("{\"verbosity\": 0}") == 0;
}

/* The first line without "[12:34:56] ../src/file.cc:123: "; what follows is a stack trace. */
static int fail(struct error *err)
{
	const char *text = XGBGetLastError(), *source;
	char line[256];

	snprintf(line, sizeof line, "%s", text ? text : "no reason given");
	line[strcspn(line, "\n")] = 0;
	source = strstr(line, ".cc:");
	source = source ? strchr(source + 4, ':') : NULL;
	text = source ? source + 1 + strspn(source + 1, " ") : line;
	if (strstr(line, "bad_alloc"))
		return error_set(err, ERROR_MEMORY, 0, "XGBoost has no memory left");
	return error_set(err, ERROR_FATAL, 0, "XGBoost: %s", text);
}

/* NumPy's array interface, version 3, as JSON: where the numbers are. */
#define ARRAY_SIZE 160

static void describe(const struct booster_rows *rows, char ret_array[ARRAY_SIZE])
{
	snprintf(ret_array, ARRAY_SIZE,
	         "{\"data\": [%" PRIuPTR ", true], \"shape\": [%" PRId64 ", %d], \"typestr\": \"<f4\", \"version\": 3}",
	         (uintptr_t)rows->values, rows->count, rows->columns);
}

static int make_matrix(const struct booster_rows *rows, int threads, DMatrixHandle *ret_matrix, struct error *err)
{
	char array[ARRAY_SIZE], config[64];

	describe(rows, array);
	snprintf(config, sizeof config, "{\"missing\": NaN, \"nthread\": %d}", threads);
	return XGDMatrixCreateFromDense(array, config, ret_matrix) ? fail(err) : 0;
}

/* ---- train */

static double share_of_ones(const float *labels, int64_t count)
{
	int64_t ones = 0;

	for (int64_t i = 0; i < count; i++)
		ones += labels[i] > 0;
	return (double)ones / (double)count;
}

static int set_parameters(BoosterHandle handle, const struct booster_training *training, double base, struct error *err)
{
	char threads[16], depth[16], seed[16], rate[32], base_score[32];
	const char *const parameters[][2] = {
	        {"booster", "gbtree"},
	        {"objective", "binary:logistic"},
	        {"tree_method", "hist"},
	        {"disable_default_eval_metric", "1"},
	        {"nthread", threads},
	        {"max_depth", depth},
	        {"seed", seed},
	        {"eta", rate},
	        /* Where the trees begin: a few of them then tell the right share already. */
	        {"base_score", base_score},
	};

	snprintf(threads, sizeof threads, "%d", training->threads);
	snprintf(depth, sizeof depth, "%d", training->depth);
	snprintf(seed, sizeof seed, "%d", training->seed);
	snprintf(rate, sizeof rate, "%.9g", training->learning_rate);
	snprintf(base_score, sizeof base_score, "%.9g", base);
	for (size_t i = 0; i < COUNT_OF(parameters); i++)
		if (XGBoosterSetParam(handle, parameters[i][0], parameters[i][1]))
			return fail(err);
	return 0;
}

static int name_features(BoosterHandle handle, const struct booster_features *features, struct error *err)
{
	const char **names = (const char **)(uintptr_t)features->names;
	const char **types = (const char **)(uintptr_t)features->types;

	if (XGBoosterSetStrFeatureInfo(handle, "feature_name", names, (bst_ulong)features->count) ||
	    XGBoosterSetStrFeatureInfo(handle, "feature_type", types, (bst_ulong)features->count))
		return fail(err);
	return 0;
}

static int grow(BoosterHandle handle, DMatrixHandle matrix, int rounds, struct error *err)
{
	for (int i = 0; i < rounds; i++)
		if (XGBoosterUpdateOneIter(handle, i, matrix))
			return fail(err);
	return 0;
}

struct booster *booster_train(const struct booster_rows *rows, const float *labels,
                              const struct booster_features *features, const struct booster_training *training,
                              struct error *err)
{
	OWNED_BOOSTER struct booster *booster = calloc(1, sizeof *booster);
	DMatrixHandle matrix = NULL;
	int failed;

	be_quiet();
	if (!booster) {
		error_no_memory(err);
		return NULL;
	}
	if (make_matrix(rows, training->threads, &matrix, err))
		return NULL;
	failed = XGDMatrixSetFloatInfo(matrix, "label", labels, (bst_ulong)rows->count) ||
	         XGBoosterCreate(&matrix, 1, &booster->handle);
	if (failed)
		fail(err);
	else
		failed = set_parameters(booster->handle, training, share_of_ones(labels, rows->count), err) ||
		         grow(booster->handle, matrix, training->rounds, err) ||
		         name_features(booster->handle, features, err);
	XGDMatrixFree(matrix);
	return failed ? NULL : TAKE(booster);
}

int booster_save(struct booster *booster, struct buffer *json, struct error *err)
{
	const char *bytes = NULL;
	bst_ulong size = 0;

	be_quiet();
	if (XGBoosterSaveModelToBuffer(booster->handle, "{\"format\": \"json\"}", &size, &bytes))
		return fail(err);
	buffer_append(json, bytes, size);
	return buffer_ok(json) ? 0
	                       : error_set(err, ERROR_INVALID, 0,
	                                   "the model has more than %zu MiB: fewer rounds or less depth would be right",
	                                   json->maximum >> 20);
}

/* ---- load and ask */

/* What XGBoost puts off to the first question it does now, while one thread has the booster. */
static int configure(struct booster *booster, struct error *err)
{
	OWNED_FREE float *row = NULL;
	bst_ulong columns = 0;
	float score;

	if (XGBoosterGetNumFeature(booster->handle, &columns))
		return fail(err);
	row = calloc(columns + 1, sizeof *row);
	if (!row)
		return error_no_memory(err);
	return booster_predict(booster, &(struct booster_rows){row, 1, (int)columns}, &score, err);
}

struct booster *booster_load(const char *json, size_t size, struct error *err)
{
	OWNED_BOOSTER struct booster *booster = calloc(1, sizeof *booster);

	be_quiet();
	if (!booster) {
		error_no_memory(err);
		return NULL;
	}
	if (XGBoosterCreate(NULL, 0, &booster->handle) || XGBoosterSetParam(booster->handle, "nthread", "1") ||
	    XGBoosterLoadModelFromBuffer(booster->handle, json, size) ||
	    XGBoosterSetParam(booster->handle, "nthread", "1")) {
		fail(err);
		return NULL;
	}
	return configure(booster, err) ? NULL : TAKE(booster);
}

void booster_free(struct booster *booster)
{
	if (!booster)
		return;
	if (booster->handle)
		XGBoosterFree(booster->handle);
	free(booster);
}

int booster_predict(const struct booster *booster, const struct booster_rows *rows, float *ret_scores,
                    struct error *err)
{
	static const char config[] = "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
	                             "\"strict_shape\": false, \"cache_id\": 0, \"missing\": NaN}";
	const bst_ulong *shape = NULL;
	const float *scores = NULL;
	bst_ulong dimensions = 0;
	char array[ARRAY_SIZE];

	if (!rows->count)
		return 0;
	be_quiet();
	describe(rows, array);
	if (XGBoosterPredictFromDense(booster->handle, array, config, NULL, &shape, &dimensions, &scores))
		return fail(err);
	/* The thread's own memory, until its next question to this booster. */
	memcpy(ret_scores, scores, (size_t)rows->count * sizeof *ret_scores);
	return 0;
}

int booster_contributions(const struct booster *booster, const struct booster_rows *rows, float *ret_values,
                          struct error *err)
{
	static const char config[] = "{\"type\": 2, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, "
	                             "\"strict_shape\": false}";
	const bst_ulong *shape = NULL;
	const float *values = NULL;
	DMatrixHandle matrix = NULL;
	bst_ulong dimensions = 0;
	int failed = 0;

	if (!rows->count)
		return 0;
	be_quiet();
	if (make_matrix(rows, 1, &matrix, err))
		return -1;
	if (XGBoosterPredictFromDMatrix(booster->handle, matrix, config, &shape, &dimensions, &values))
		failed = fail(err);
	else
		memcpy(ret_values, values, (size_t)rows->count * (size_t)(rows->columns + 1) * sizeof *ret_values);
	XGDMatrixFree(matrix);
	return failed;
}
