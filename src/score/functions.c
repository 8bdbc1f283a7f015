/* functions.c - predict, explain and model_hash for SQL (models.h). */
#include "score/functions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "lake/duck.h"
#include "lake/duck_function.h"
#include "lake/lake.h"
#include "score/model.h"

/* A model, and where in a statement's rows its features stand. */
struct question {
	atomic_int references;
	struct model *model;
	int *fields; /* of the struct, one a feature */
};

static void *question_retain(void *state)
{
	((struct question *)state)->references++;
	return state;
}

static void question_release(void *state)
{
	struct question *question = state;

	if (!question || --question->references)
		return;
	model_release(question->model);
	free(question->fields);
	free(question);
}

static void owned_question(struct question **question)
{
	question_release(*question);
}

/* ---- bind */

static int no_field(const struct duck_fields *fields, const char *feature, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 1 << 16);
	for (int i = 0; i < fields->count; i++)
		buffer_printf(&names, "%s%s", i ? ", " : "", fields->fields[i].name);
	return error_set(err, ERROR_INVALID, 0,
	                 "the row has no field %.64s, which the model was trained on; it has %.300s", feature,
	                 buffer_string(&names));
}

static int find_field(const struct duck_fields *fields, const char *feature, int *ret_field, struct error *err)
{
	for (int i = 0; i < fields->count; i++) {
		if (strcasecmp(fields->fields[i].name, feature))
			continue;
		if (!duck_class_is_number(fields->fields[i].class))
			return error_set(
			        err, ERROR_INVALID, 0,
			        "the row's field %.64s is no number, boolean, date or timestamp, which the model's "
			        "features are",
			        feature);
		*ret_field = i;
		return 0;
	}
	return no_field(fields, feature, err);
}

static int find_fields(const struct duck_bind *bind, struct question *question, struct error *err)
{
	const struct model_outline *outline = &question->model->outline;
	OWNED_DUCK_FIELDS struct duck_fields fields = {0};

	if (duck_bind_fields(bind, 1, &fields, err))
		return -1;
	if (fields.count < 0)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "the second argument is a row, as in SELECT predict('NAME', t) FROM some_table AS t, or "
		        "{'feature': value, ...}");
	question->fields = calloc((size_t)outline->feature_count + 1, sizeof *question->fields);
	if (!question->fields)
		return error_no_memory(err);
	for (int i = 0; i < outline->feature_count; i++)
		if (find_field(&fields, outline->features[i], &question->fields[i], err))
			return -1;
	return 0;
}

static struct question *question_new(struct score_models *models, const struct duck_bind *bind, struct error *err)
{
	OWNED_BY(owned_question) struct question *question = calloc(1, sizeof *question);
	OWNED_FREE char *name = NULL;

	if (!question) {
		error_no_memory(err);
		return NULL;
	}
	question->references = 1;
	if (duck_bind_text(bind, 0, &name, err))
		return NULL;
	if (!name) {
		error_set(
		        err, ERROR_INVALID, 0,
		        "the first argument is the name of a model, written into the statement: predict('churn', row)");
		return NULL;
	}
	question->model = score_model(models, name, err);
	return question->model ? TAKE(question) : NULL;
}

static int bind_row(void *context, const struct duck_bind *bind, void **ret_state, struct error *err)
{
	OWNED_BY(owned_question) struct question *question = question_new(context, bind, err);

	if (!question)
		return -1;
	if (find_fields(bind, question, err))
		return -1;
	*ret_state = TAKE(question);
	return 0;
}

static int bind_name(void *context, const struct duck_bind *bind, void **ret_state, struct error *err)
{
	*ret_state = question_new(context, bind, err);
	return *ret_state ? 0 : -1;
}

/* ---- call */

/* The rows of a call. Numbers are as SQL has them, column after column; values as the booster takes them, row after
 * row. */
struct asked {
	double *numbers;
	float *values;
	size_t rows, columns;
};

static void asked_release(struct asked *asked)
{
	free(asked->numbers);
	free(asked->values);
}

static int take_rows(const struct question *question, const struct duck_call *call, struct asked *asked,
                     struct error *err)
{
	const struct duck_vector *rows = duck_call_argument(call, 1);
	size_t columns = (size_t)question->model->outline.feature_count, count = duck_call_rows(call);

	asked->rows = count;
	asked->columns = columns;
	asked->numbers = malloc((count * columns + 1) * sizeof *asked->numbers);
	asked->values = malloc((count * columns + 1) * sizeof *asked->values);
	if (!asked->numbers || !asked->values)
		return error_no_memory(err);
	for (size_t column = 0; column < columns; column++) {
		const struct duck_vector *field = duck_vector_field(rows, (size_t)question->fields[column]);
		double *numbers = asked->numbers + column * count;

		duck_vector_numbers(field, count, numbers);
		for (size_t row = 0; row < count; row++)
			asked->values[row * columns + column] = booster_value(numbers[row]);
	}
	return 0;
}

static struct booster_rows rows_of(const struct asked *asked)
{
	return (struct booster_rows){asked->values, (int64_t)asked->rows, (int)asked->columns};
}

static int call_predict(const void *state, struct duck_call *call, struct error *err)
{
	const struct duck_vector *rows = duck_call_argument(call, 1);
	const struct question *question = state;
	OWNED_BY(asked_release) struct asked asked = {0};
	OWNED_FREE float *scores = malloc((duck_call_rows(call) + 1) * sizeof *scores);
	struct booster_rows all;

	if (!scores)
		return error_no_memory(err);
	if (take_rows(question, call, &asked, err))
		return -1;
	all = rows_of(&asked);
	if (booster_predict(question->model->booster, &all, scores, err))
		return -1;
	for (size_t i = 0; i < asked.rows; i++) {
		if (duck_vector_is_null(rows, i))
			duck_call_null(call, i);
		else
			duck_call_number(call, i, scores[i]);
	}
	return 0;
}

struct part { /* of a row's score */
	float contribution;
	int feature;
};

/* The largest first, whichever way it points; of equal ones the first feature. */
static int compare(const void *left, const void *right)
{
	const struct part *a = left, *b = right;
	float x = isnan(a->contribution) ? -1 : fabsf(a->contribution);
	float y = isnan(b->contribution) ? -1 : fabsf(b->contribution);

	if (x != y)
		return x < y ? 1 : -1;
	return a->feature - b->feature;
}

enum { FIELD_FEATURE, FIELD_VALUE, FIELD_CONTRIBUTION };

static void give_part(struct duck_call *call, size_t element, const char *feature, double value, double contribution)
{
	duck_call_field_text(call, element, FIELD_FEATURE, feature);
	if (isnan(value))
		duck_call_field_null(call, element, FIELD_VALUE);
	else
		duck_call_field_number(call, element, FIELD_VALUE, value);
	duck_call_field_number(call, element, FIELD_CONTRIBUTION, contribution);
}

static void give_row(const struct question *question, const struct asked *asked, size_t row, const float *contributions,
                     struct part *parts, struct duck_call *call, size_t first)
{
	for (size_t i = 0; i < asked->columns; i++)
		parts[i] = (struct part){contributions[i], (int)i};
	qsort(parts, asked->columns, sizeof *parts, compare);
	for (size_t i = 0; i < asked->columns; i++)
		give_part(call, first + i, question->model->outline.features[parts[i].feature],
		          asked->numbers[(size_t)parts[i].feature * asked->rows + row], parts[i].contribution);
	give_part(call, first + asked->columns, BASE_FEATURE, NAN, contributions[asked->columns]);
}

static int call_explain(const void *state, struct duck_call *call, struct error *err)
{
	const struct duck_vector *rows = duck_call_argument(call, 1);
	const struct question *question = state;
	size_t each = (size_t)question->model->outline.feature_count + 1, elements = 0;
	OWNED_BY(asked_release) struct asked asked = {0};
	OWNED_FREE float *contributions = malloc((duck_call_rows(call) * each + 1) * sizeof *contributions);
	OWNED_FREE struct part *parts = malloc(each * sizeof *parts);
	struct booster_rows all;

	if (!contributions || !parts)
		return error_no_memory(err);
	if (take_rows(question, call, &asked, err))
		return -1;
	all = rows_of(&asked);
	if (booster_contributions(question->model->booster, &all, contributions, err))
		return -1;
	for (size_t i = 0; i < asked.rows; i++)
		elements += duck_vector_is_null(rows, i) ? 0 : each;
	if (duck_call_reserve(call, elements, err))
		return -1;
	elements = 0;
	for (size_t i = 0; i < asked.rows; i++) {
		if (duck_vector_is_null(rows, i)) {
			duck_call_null(call, i);
			continue;
		}
		duck_call_list(call, i, elements, each);
		give_row(question, &asked, i, contributions + i * each, parts, call, elements);
		elements += each;
	}
	return 0;
}

static int call_hash(const void *state, struct duck_call *call, struct error *err)
{
	const struct question *question = state;

	for (size_t i = 0; i < duck_call_rows(call); i++)
		duck_call_text(call, i, question->model->hash);
	return 0;
}

/* ---- register */

static void release_models(void *context)
{
	score_models_free(context);
}

static bool is_registered(struct lake_session *session)
{
	int line;

	return !duck_check(lake_connection(session), "SELECT model_hash(NULL)", &line, NULL);
}

int score_register(struct score_models *models, struct lake_session *session, struct error *err)
{
	bool registered = is_registered(session);
	const struct duck_function functions[] = {
	        {"predict",
	         {"VARCHAR", "ANY"},
	         "DOUBLE",
	         models,
	         release_models,
	         bind_row,
	         question_retain,
	         question_release,
	         call_predict},
	        {"explain",
	         {"VARCHAR", "ANY"},
	         "STRUCT(feature VARCHAR, \"value\" DOUBLE, contribution DOUBLE)[]",
	         models,
	         release_models,
	         bind_row,
	         question_retain,
	         question_release,
	         call_explain},
	        {"model_hash",
	         {"VARCHAR"},
	         "VARCHAR",
	         models,
	         release_models,
	         bind_name,
	         question_retain,
	         question_release,
	         call_hash},
	};

	for (size_t i = 0; !registered && i < COUNT_OF(functions); i++) {
		score_models_retain(models);
		if (duck_function_register(lake_connection(session), &functions[i], err)) {
			score_models_free(models);
			return -1;
		}
	}
	return 0;
}
