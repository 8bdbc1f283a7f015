/* train.c - score_train and score_evaluate (score.h). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lake/duck.h"
#include "lake/lake.h"
#include "score/model.h"
#include "score/score.h"
#include "spec/spec.h"

#define SQL_MAX ((size_t)32 << 20)

struct settings { /* spec.model's numbers, which come as texts */
	double learning_rate, test;
};

static int read_settings(const struct spec_pipeline *pipeline, struct settings *ret_settings, struct error *err)
{
	if (!pipeline->model.name)
		return error_set(err, ERROR_INVALID, 0, "pipeline %s has no spec.model", pipeline->name);
	ret_settings->learning_rate = strtod(pipeline->model.learning_rate, NULL);
	ret_settings->test = strtod(pipeline->model.split_test, NULL);
	if (!(ret_settings->learning_rate > 0 && ret_settings->learning_rate <= 1))
		return error_set(err, ERROR_INVALID, 0,
		                 "spec.model.learningRate is %s: a number above 0, and at most 1, would be right",
		                 pipeline->model.learning_rate);
	if (!(ret_settings->test > 0 && ret_settings->test < 1))
		return error_set(err, ERROR_INVALID, 0,
		                 "spec.model.split.test is %s: a share between 0 and 1, such as 0.2, would be right",
		                 pipeline->model.split_test);
	return 0;
}

/* The rows of spec.model.training, those that train first. */
static int read_rows(struct lake_session *session, const struct spec_pipeline *pipeline, double test,
                     const struct model_outline *outline, struct rows *ret_rows, int64_t *ret_train, struct error *err)
{
	OWNED_ROWS struct rows rows = {0};
	struct rows_request request = {
	        .sql = pipeline->model.training,
	        .key = (const char *const *)pipeline->model.key,
	        .key_count = pipeline->model.key_count,
	        .label = pipeline->model.label,
	        .split_by = pipeline->model.split_by,
	        .seed = (uint64_t)pipeline->model.seed,
	        .memory_bytes = pipeline->memory_bytes,
	};

	if (outline) {
		request.features = (const char *const *)outline->features;
		request.feature_count = outline->feature_count;
	}
	if (rows_read(lake_connection(session), &request, &rows, err) || rows_split(&rows, test, ret_train, err))
		return error_wrap(err, "training");
	*ret_rows = rows;
	rows = (struct rows){0};
	return 0;
}

/* The least value of split.by that evaluates, as text. */
static int find_cut(struct lake_session *session, const struct spec_pipeline *pipeline, const struct rows *rows,
                    int64_t train, char **ret_cut, struct error *err)
{
	OWNED_DUCK_ROWS struct duck_rows found = {0};
	OWNED_BUFFER struct buffer sql = {0};
	double least = rows->places[train];

	for (int64_t i = train; i < rows->count; i++)
		least = rows->places[i] < least ? rows->places[i] : least;
	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql, "SELECT min(place) FROM (SELECT q.");
	buffer_sql_name(&sql, pipeline->model.split_by);
	buffer_text(&sql, " AS place, dense_rank() OVER (ORDER BY q.");
	buffer_sql_name(&sql, pipeline->model.split_by);
	buffer_text(&sql, ") AS rank FROM query(");
	buffer_sql_text(&sql, pipeline->model.training);
	buffer_printf(&sql, ") AS q) WHERE rank = %.0f", least);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	if (duck_query(lake_connection(session), buffer_string(&sql), &found, err))
		return -1;
	*ret_cut = strdup(found.row_count && duck_cell(&found, 0, 0) ? duck_cell(&found, 0, 0) : "");
	return *ret_cut ? 0 : error_no_memory(err);
}

/* Both labels must be among the rows that train. */
static int check_labels(const struct rows *rows, int64_t train, struct error *err)
{
	int64_t ones = 0, all = 0;

	for (int64_t i = 0; i < rows->count; i++) {
		all += rows->labels[i] > 0;
		ones += i < train && rows->labels[i] > 0;
	}
	if (ones && ones < train)
		return 0;
	if (!all || all == rows->count)
		return error_set(err, ERROR_INVALID, 0,
		                 "training: all %" PRId64 " rows have the label %d: there is nothing to tell apart",
		                 rows->count, all > 0);
	return error_set(err, ERROR_INVALID, 0,
	                 "training: all %" PRId64 " rows that train have the label %d, and the %" PRId64
	                 " that evaluate have others: another spec.model.split would be right",
	                 train, ones > 0, rows->count - train);
}

static const char *type_of(enum duck_class class)
{
	return class == DUCK_WHOLE ? "int" : class == DUCK_TRUTH ? "i" : "float";
}

static int grow(const struct spec_pipeline *pipeline, const struct rows *rows, int64_t train, double learning_rate,
                struct buffer *json, struct error *err)
{
	OWNED_FREE const char **types = calloc((size_t)rows->feature_count + 1, sizeof *types);
	struct booster_features features = {(const char *const *)rows->features, types, rows->feature_count};
	struct booster_rows trained = {rows->values, train, rows->feature_count};
	OWNED_BOOSTER struct booster *booster = NULL;
	struct booster_training training = {
	        .rounds = pipeline->model.rounds,
	        .depth = pipeline->model.depth,
	        .seed = pipeline->model.seed,
	        .threads = 1, /* booster.h: more of them might sum in another order */
	        .learning_rate = learning_rate,
	};

	if (!types)
		return error_no_memory(err);
	for (int i = 0; i < rows->feature_count; i++)
		types[i] = type_of(rows->classes[i]);
	booster = booster_train(&trained, rows->labels, &features, &training, err);
	return booster ? booster_save(booster, json, err) : -1;
}

static int judge(const struct model *model, const struct rows *rows, int64_t train, struct evaluation *ret_evaluation,
                 struct error *err)
{
	int64_t count = rows->count - train;
	OWNED_FREE float *probabilities = malloc((size_t)(count + 1) * sizeof *probabilities);
	struct booster_rows unseen = {rows->values + train * rows->feature_count, count, rows->feature_count};

	if (!probabilities)
		return error_no_memory(err);
	if (booster_predict(model->booster, &unseen, probabilities, err))
		return -1;
	return evaluate(rows, train, probabilities, ret_evaluation, err);
}

static void fill_report(const struct model *model, struct rows *rows, struct score_report *report)
{
	report->features = TAKE(rows->features);
	report->feature_count = rows->feature_count;
	rows->feature_count = 0;
	report->trees = model->outline.tree_count;
	report->unlabelled = rows->unlabelled;
	memcpy(report->hash, model->hash, sizeof report->hash);
}

struct job {
	struct lake_session *session;
	const struct spec_pipeline *pipeline;
	struct settings settings;
	struct buffer json; /* of a model that was trained */
	struct score_report report;
	struct error *err;
};

/* With `model` NULL one is trained; the file is for the caller to write. */
static int run(struct job *job, struct model *given)
{
	OWNED_MODEL struct model *model = given ? model_retain(given) : NULL;
	const struct spec_pipeline *pipeline = job->pipeline;
	OWNED_ROWS struct rows rows = {0};
	int64_t train = 0;

	if (lake_snapshot(job->session, &job->report.snapshot, job->err) ||
	    read_rows(job->session, pipeline, job->settings.test, given ? &given->outline : NULL, &rows, &train,
	              job->err))
		return -1;
	if (rows.ranked && find_cut(job->session, pipeline, &rows, train, &job->report.cut, job->err))
		return -1;
	if (!given && (check_labels(&rows, train, job->err) ||
	               grow(pipeline, &rows, train, job->settings.learning_rate, &job->json, job->err)))
		return -1;
	/* What is evaluated is what will be read from the file. */
	if (!given)
		model = model_parse(buffer_string(&job->json), job->json.size, job->err);
	if (!model || judge(model, &rows, train, &job->report.evaluation, job->err))
		return -1;
	fill_report(model, &rows, &job->report);
	return 0;
}

/* One transaction, so that the rows are of one snapshot. */
static int run_in_transaction(struct job *job, struct model *given)
{
	struct duck_connection *connection = lake_connection(job->session);
	int failed;

	if (duck_exec(connection, "BEGIN", NULL, job->err))
		return -1;
	failed = run(job, given);
	duck_exec(connection, "ROLLBACK", NULL, NULL);
	return failed;
}

static int finish(struct job *job, int failed, struct score_report *ret_report)
{
	buffer_release(&job->json);
	if (failed) {
		score_report_release(&job->report);
		return job->pipeline->model.name ? error_wrap(job->err, "model %s", job->pipeline->model.name) : -1;
	}
	*ret_report = job->report;
	return 0;
}

int score_train(struct lake_session *session, const struct spec_pipeline *pipeline, struct score_report *ret_report,
                struct error *err)
{
	struct job job = {.session = session, .pipeline = pipeline, .err = err};
	int failed;

	buffer_init(&job.json, MODEL_BYTES_MAX);
	failed = read_settings(pipeline, &job.settings, err) || run_in_transaction(&job, NULL) ||
	         model_write(pipeline->model.file, buffer_string(&job.json), job.json.size, err);
	return finish(&job, failed, ret_report);
}

int score_evaluate(struct lake_session *session, const struct spec_pipeline *pipeline, struct score_report *ret_report,
                   struct error *err)
{
	struct job job = {.session = session, .pipeline = pipeline, .err = err};
	OWNED_MODEL struct model *model = NULL;
	int failed = read_settings(pipeline, &job.settings, err);

	if (!failed) {
		model = model_load(pipeline->model.file, err);
		failed = !model || run_in_transaction(&job, model);
	}
	return finish(&job, failed, ret_report);
}

void score_report_release(struct score_report *report)
{
	for (int i = 0; i < report->feature_count; i++)
		free(report->features[i]);
	free(report->features);
	free(report->cut);
	*report = (struct score_report){0};
}
