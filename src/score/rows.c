#include "score/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "lake/duck.h"
#include "lake/duck_scan.h"
#include "score/booster.h"
#include "score/model_json.h"

/*
 * Bytes of memory for a value and for a row, measured with XGBoost 1.7.4 (200,000 rows of 20 columns, hist): ours is 4
 * and 12, its matrix 8 a value and its histograms' index and gradients about the same.
 */
#define VALUE_BYTES 24
#define ROW_BYTES 64
#define FIRST_ROWS 4096

#define SQL_MAX ((size_t)32 << 20)

/* The columns that the statement for the rows begins with. */
enum { COLUMN_LABEL, COLUMN_UNPLACED, COLUMN_RANK, COLUMN_KEY };

struct reader {
	struct duck_connection *connection; /* borrowed */
	const struct rows_request *request;
	struct duck_rows columns; /* name and type of each of the SELECT's */
	int *chosen; /* of features: which of the columns */
	struct rows *rows;
	int64_t capacity, most; /* rows */
	int64_t seen; /* of all, also where they are too many to be kept */
	struct buffer key, last_key; /* each part with its size before it */
	double numbers[DUCK_SCAN_ROWS_MAX], labels[DUCK_SCAN_ROWS_MAX];
	bool kept[DUCK_SCAN_ROWS_MAX];
};

/* ---- columns */

static const char *column_name(const struct reader *reader, int64_t column)
{
	return duck_cell(&reader->columns, column, 0);
}

static const char *column_type(const struct reader *reader, int64_t column)
{
	return duck_cell(&reader->columns, column, 1);
}

/* -1: there is none. */
static int find_column(const struct reader *reader, const char *name)
{
	for (int64_t i = 0; i < reader->columns.row_count; i++)
		if (!strcasecmp(column_name(reader, i), name))
			return (int)i;
	return -1;
}

static int missing_column(const struct reader *reader, const char *what, const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 1 << 16);
	for (int64_t i = 0; i < reader->columns.row_count; i++)
		buffer_printf(&names, "%s%s", i ? ", " : "", column_name(reader, i));
	return error_set(err, ERROR_INVALID, 0, "%s %.64s is not among the columns: %.240s", what, name,
	                 buffer_string(&names));
}

static int check_named(const struct reader *reader, struct error *err)
{
	const struct rows_request *request = reader->request;
	int label = find_column(reader, request->label);
	enum duck_class class;

	for (int i = 0; i < request->key_count; i++)
		if (find_column(reader, request->key[i]) < 0)
			return missing_column(reader, "the key", request->key[i], err);
	if (request->split_by && find_column(reader, request->split_by) < 0)
		return missing_column(reader, "split.by", request->split_by, err);
	if (label < 0)
		return missing_column(reader, "the label", request->label, err);
	class = duck_class_named(column_type(reader, label));
	if (class != DUCK_WHOLE && class != DUCK_REAL && class != DUCK_TRUTH)
		return error_set(
		        err, ERROR_INVALID, 0,
		        "the label %s is %.60s: a number or a boolean would be right, CAST(... AS BOOLEAN) AS %s, "
		        "say",
		        request->label, column_type(reader, label), request->label);
	return 0;
}

static bool is_feature(const struct reader *reader, const char *name)
{
	const struct rows_request *request = reader->request;
	bool other = !strcasecmp(name, request->label) || (request->split_by && !strcasecmp(name, request->split_by));

	for (int i = 0; i < request->key_count; i++)
		other |= !strcasecmp(name, request->key[i]);
	return !other;
}

/* Python's XGBoost has no features with these in their names. */
static bool is_name_for_python(const char *name)
{
	for (const char *c = name; *c; c++)
		if (strchr("[]<", *c) || (unsigned char)*c < ' ')
			return false;
	return *name != 0;
}

static int add_feature(struct reader *reader, int column, struct error *err)
{
	struct rows *rows = reader->rows;
	const char *name = column_name(reader, column), *type = column_type(reader, column);
	enum duck_class class = duck_class_named(type);

	if (!duck_class_is_number(class))
		return error_set(err, ERROR_INVALID, 0,
		                 "the column %.64s is %.60s, and features are numbers, booleans, dates and timestamps: "
		                 "leave it out of the SELECT, or make it one (CASE WHEN ..., length(...), CAST)",
		                 name, type);
	if (!is_name_for_python(name))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "the column \"%.64s\" has [, ], < or a control character in its name, which XGBoost does "
		        "not take: give it another with AS",
		        name);
	rows->features[rows->feature_count] = strdup(name);
	rows->classes[rows->feature_count] = class;
	reader->chosen[rows->feature_count] = column;
	return rows->features[rows->feature_count++] ? 0 : error_no_memory(err);
}

static int choose_features(struct reader *reader, struct error *err)
{
	const struct rows_request *request = reader->request;
	struct rows *rows = reader->rows;
	int most = request->features ? request->feature_count : (int)reader->columns.row_count;

	rows->features = calloc((size_t)most + 1, sizeof *rows->features);
	rows->classes = calloc((size_t)most + 1, sizeof *rows->classes);
	reader->chosen = calloc((size_t)most + 1, sizeof *reader->chosen);
	if (!rows->features || !rows->classes || !reader->chosen)
		return error_no_memory(err);
	for (int i = 0; i < most; i++) {
		int column = request->features ? find_column(reader, request->features[i]) : i;

		if (column < 0)
			return missing_column(reader, "the model's feature", request->features[i], err);
		if (!request->features && !is_feature(reader, column_name(reader, column)))
			continue;
		if (add_feature(reader, column, err))
			return -1;
	}
	if (!rows->feature_count)
		return error_set(err, ERROR_INVALID, 0,
		                 "there is no column besides key, label and split.by: a model needs features");
	if (rows->feature_count > MODEL_FEATURES_MAX)
		return error_set(err, ERROR_INVALID, 0, "there are more than %d features", MODEL_FEATURES_MAX);
	return 0;
}

static int read_columns(struct reader *reader, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAX);
	buffer_text(&sql, "SELECT column_name, column_type FROM (DESCRIBE FROM query(");
	buffer_sql_text(&sql, reader->request->sql);
	buffer_text(&sql, "))");
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	return duck_query(reader->connection, buffer_string(&sql), &reader->columns, err);
}

/* ---- the statement */

static void append_column(struct buffer *sql, const char *name)
{
	buffer_text(sql, "q.");
	buffer_sql_name(sql, name);
}

static void append_keys(const struct rows_request *request, bool as_text, struct buffer *sql)
{
	for (int i = 0; i < request->key_count; i++) {
		buffer_text(sql, i ? ", " : "");
		buffer_text(sql, as_text ? "CAST(" : "");
		append_column(sql, request->key[i]);
		buffer_text(sql, as_text ? " AS VARCHAR)" : "");
	}
}

static void append_select(const struct reader *reader, struct buffer *sql)
{
	const struct rows_request *request = reader->request;

	buffer_text(sql, "SELECT ");
	append_column(sql, request->label);
	if (request->split_by) {
		buffer_text(sql, ", ");
		append_column(sql, request->split_by);
		buffer_text(sql, " IS NULL, dense_rank() OVER (ORDER BY ");
		append_column(sql, request->split_by);
		buffer_text(sql, "), ");
	} else {
		buffer_text(sql, ", false, 0, ");
	}
	append_keys(request, true, sql);
	for (int i = 0; i < reader->rows->feature_count; i++) {
		buffer_text(sql, ", ");
		append_column(sql, column_name(reader, reader->chosen[i]));
	}
	buffer_text(sql, " FROM query(");
	buffer_sql_text(sql, request->sql);
	buffer_text(sql, ") AS q ORDER BY ");
	append_keys(request, false, sql);
}

/* ---- rows */

/* "subscriber_id = 7, day = 2024-03-01" */
static void describe_key(const struct reader *reader, const struct duck_scan *scan, size_t row, struct buffer *out)
{
	for (int i = 0; i < reader->request->key_count; i++) {
		size_t size;
		const char *text = duck_vector_text(duck_scan_column(scan, COLUMN_KEY + i), row, &size);

		buffer_printf(out, "%s%s = %.*s", i ? ", " : "", reader->request->key[i], text ? (int)size : 4,
		              text ? text : "NULL");
	}
}

static int refuse_row(const struct reader *reader, const struct duck_scan *scan, size_t row, const char *what,
                      struct error *err)
{
	OWNED_BUFFER struct buffer key = {0};

	buffer_init(&key, 1 << 20);
	describe_key(reader, scan, row, &key);
	return error_set(err, ERROR_INVALID, 0, "the row %.160s %s", buffer_string(&key), what);
}

/* The key's parts, each with its size before it: no two keys are the same bytes. */
static int read_key(struct reader *reader, const struct duck_scan *scan, size_t row, struct error *err)
{
	struct buffer last = reader->last_key;

	reader->last_key = reader->key;
	reader->key = last;
	buffer_clear(&reader->key);
	for (int i = 0; i < reader->request->key_count; i++) {
		size_t size;
		const char *text = duck_vector_text(duck_scan_column(scan, COLUMN_KEY + i), row, &size);

		if (!text)
			return refuse_row(reader, scan, row, "has a NULL in its key: leave such rows out of the SELECT",
			                  err);
		buffer_printf(&reader->key, "%zu:", size);
		buffer_append(&reader->key, text, size);
	}
	if (!buffer_ok(&reader->key))
		return error_no_memory(err);
	if (reader->seen && reader->key.size == reader->last_key.size &&
	    !memcmp(reader->key.data, reader->last_key.data, reader->key.size))
		return refuse_row(
		        reader, scan, row,
		        "is there twice: a GROUP BY in the SELECT, or more columns in spec.model.key, would make "
		        "a row's key its own",
		        err);
	return 0;
}

static int check_label(const struct reader *reader, const struct duck_scan *scan, size_t row, struct error *err)
{
	double label = reader->labels[row];
	char what[160];

	if (label == 0 || label == 1)
		return 0;
	snprintf(what, sizeof what,
	         "has the label %.64s = %g: 0, 1, true or false would be right, or NULL to leave it out",
	         reader->request->label, label);
	return refuse_row(reader, scan, row, what, err);
}

static int make_room(struct reader *reader, struct error *err)
{
	struct rows *rows = reader->rows;
	int64_t capacity = reader->capacity ? reader->capacity + reader->capacity / 2 : FIRST_ROWS;
	void *values, *labels, *places;

	if (rows->count < reader->capacity)
		return 0;
	if (capacity > reader->most)
		capacity = reader->most;
	values = realloc(rows->values, (size_t)capacity * (size_t)rows->feature_count * sizeof *rows->values);
	rows->values = values ? values : rows->values;
	labels = realloc(rows->labels, (size_t)capacity * sizeof *rows->labels);
	rows->labels = labels ? labels : rows->labels;
	places = realloc(rows->places, (size_t)capacity * sizeof *rows->places);
	rows->places = places ? places : rows->places;
	reader->capacity = capacity;
	return values && labels && places ? 0 : error_no_memory(err);
}

/* What stands before the features; says whether the row is kept. */
static int take_head(struct reader *reader, const struct duck_scan *scan, size_t row, struct error *err)
{
	struct rows *rows = reader->rows;

	reader->kept[row] = false;
	if (read_key(reader, scan, row, err))
		return -1;
	reader->seen++;
	if (duck_vector_is_null(duck_scan_column(scan, COLUMN_LABEL), row)) {
		rows->unlabelled++;
		return 0;
	}
	if (check_label(reader, scan, row, err))
		return -1;
	if (reader->request->split_by && reader->numbers[row] > 0)
		return refuse_row(reader, scan, row, "has no value of split.by: leave such rows out of the SELECT",
		                  err);
	if (rows->count < reader->most) {
		if (make_room(reader, err))
			return -1;
		reader->kept[row] = true;
		rows->labels[rows->count] = (float)reader->labels[row];
		rows->places[rows->count] = rows_draw(reader->key.data, reader->key.size, reader->request->seed);
	}
	rows->count++;
	return 0;
}

static void take_features(struct reader *reader, const struct duck_scan *scan, size_t count, int64_t first)
{
	struct rows *rows = reader->rows;

	for (int feature = 0; feature < rows->feature_count; feature++) {
		float *at = rows->values + first * rows->feature_count + feature;

		duck_vector_numbers(duck_scan_column(scan, COLUMN_KEY + reader->request->key_count + feature), count,
		                    reader->numbers);
		for (size_t i = 0; i < count; i++) {
			if (!reader->kept[i])
				continue;
			*at = booster_value(reader->numbers[i]);
			at += rows->feature_count;
		}
	}
}

static void take_ranks(struct reader *reader, const struct duck_scan *scan, size_t count, int64_t first)
{
	duck_vector_numbers(duck_scan_column(scan, COLUMN_RANK), count, reader->numbers);
	for (size_t i = 0; i < count; i++)
		if (reader->kept[i])
			reader->rows->places[first++] = reader->numbers[i];
}

static int take_chunk(struct reader *reader, const struct duck_scan *scan, size_t count, struct error *err)
{
	int64_t first = reader->rows->count;

	duck_vector_numbers(duck_scan_column(scan, COLUMN_LABEL), count, reader->labels);
	duck_vector_numbers(duck_scan_column(scan, COLUMN_UNPLACED), count, reader->numbers);
	for (size_t i = 0; i < count; i++)
		if (take_head(reader, scan, i, err))
			return -1;
	if (first >= reader->most)
		return 0;
	take_features(reader, scan, count, first);
	if (reader->request->split_by)
		take_ranks(reader, scan, count, first);
	return 0;
}

static int64_t bytes_a_row(const struct reader *reader)
{
	return (int64_t)reader->rows->feature_count * VALUE_BYTES + ROW_BYTES;
}

static int too_many(const struct reader *reader, struct error *err)
{
	const int64_t mebi = 1 << 20;

	return error_set(err, ERROR_INVALID, 0,
	                 "%" PRId64 " rows of %d features need %" PRId64 " MiB to train on, and spec.memory is %" PRId64
	                 " MiB: more of it, or fewer rows (USING SAMPLE reservoir(%" PRId64
	                 " ROWS) REPEATABLE (1)), would be right",
	                 reader->rows->count, reader->rows->feature_count,
	                 reader->rows->count * bytes_a_row(reader) / mebi + 1, reader->request->memory_bytes / mebi,
	                 reader->most);
}

/* DuckDB has the same bound, and sorts. */
static int tell_memory(const struct reader *reader, struct error *err)
{
	if (err)
		duck_tell_memory(err);
	if (!err || err->kind != ERROR_MEMORY)
		return -1;
	return error_set(err, ERROR_INVALID, err->code,
	                 "the rows cannot be sorted within %" PRId64
	                 " MiB (spec.memory): more of it, or fewer rows or columns, would be right",
	                 reader->request->memory_bytes >> 20);
}

static int read_all(struct reader *reader, struct error *err)
{
	OWNED_DUCK_SCAN struct duck_scan *scan = NULL;
	OWNED_BUFFER struct buffer sql = {0};
	size_t count = 0;
	int got;

	buffer_init(&sql, SQL_MAX);
	append_select(reader, &sql);
	if (!buffer_ok(&sql))
		return error_no_memory(err);
	reader->most = reader->request->memory_bytes / bytes_a_row(reader);
	scan = duck_scan_open(reader->connection, buffer_string(&sql), err);
	if (!scan)
		return tell_memory(reader, err);
	while ((got = duck_scan_next(scan, &count, err)) == 1)
		if (take_chunk(reader, scan, count, err))
			return -1;
	if (got < 0)
		return tell_memory(reader, err);
	if (reader->rows->count > reader->most)
		return too_many(reader, err);
	if (!reader->rows->count)
		return error_set(err, ERROR_INVALID, 0, "there is no row with a label (%" PRId64 " rows in all)",
		                 reader->seen);
	return 0;
}

static void reader_free(struct reader **reader)
{
	if (!*reader)
		return;
	duck_rows_release(&(*reader)->columns);
	buffer_release(&(*reader)->key);
	buffer_release(&(*reader)->last_key);
	free((*reader)->chosen);
	free(*reader);
}

int rows_read(struct duck_connection *connection, const struct rows_request *request, struct rows *ret_rows,
              struct error *err)
{
	OWNED_BY(reader_free) struct reader *reader = calloc(1, sizeof *reader);
	OWNED_ROWS struct rows rows = {.ranked = request->split_by};

	if (!reader)
		return error_no_memory(err);
	reader->connection = connection;
	reader->request = request;
	reader->rows = &rows;
	buffer_init(&reader->key, 1 << 20);
	buffer_init(&reader->last_key, 1 << 20);
	if (read_columns(reader, err) || check_named(reader, err) || choose_features(reader, err) ||
	    read_all(reader, err))
		return -1;
	*ret_rows = rows;
	rows = (struct rows){0};
	return 0;
}

void rows_release(struct rows *rows)
{
	for (int i = 0; i < rows->feature_count; i++)
		free(rows->features[i]);
	free(rows->features);
	free(rows->classes);
	free(rows->values);
	free(rows->labels);
	free(rows->places);
	*rows = (struct rows){0};
}
