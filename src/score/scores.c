#include "score/scores.h"

#include <inttypes.h>
#include <string.h>

#include "base/owned.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "score/functions.h"
#include "score/model.h"
#include "spec/spec.h"

#define SQL_MAX ((size_t)64 << 20)
#define FRESH "temp.main.tarn_new_scores" /* a connection's own */
/* An explanation takes a hundred times what a score does: so many rows tell the mean well enough. */
#define IMPORTANCE_ROWS 20000
#define PATIENCE 3 /* tries to score with one file, while others are put in its place */

static const char *scoring_of(const struct spec_pipeline *pipeline)
{
	return pipeline->model.scoring ? pipeline->model.scoring : pipeline->model.training;
}

/* The rows that are scored are called tarn_row: a name that no column of theirs has. */
static void append_from(const struct spec_pipeline *pipeline, struct buffer *sql)
{
	buffer_text(sql, " FROM query(");
	buffer_sql_text(sql, scoring_of(pipeline));
	buffer_text(sql, ") AS tarn_row");
}

static void append_keys(const struct spec_pipeline *pipeline, const char *prefix, struct buffer *sql)
{
	for (int i = 0; i < pipeline->model.key_count; i++) {
		buffer_text(sql, i ? ", " : "");
		buffer_text(sql, prefix);
		buffer_sql_name(sql, pipeline->model.key[i]);
	}
}

static void append_call(const struct spec_pipeline *pipeline, const char *function, struct buffer *sql)
{
	buffer_printf(sql, "%s(", function);
	buffer_sql_text(sql, pipeline->model.name);
	buffer_text(sql, ", tarn_row)");
}

void scores_select(const struct spec_pipeline *pipeline, const char *const *keys, struct buffer *sql)
{
	buffer_text(sql, "SELECT ");
	append_keys(pipeline, "tarn_row.", sql);
	buffer_text(sql, ", ");
	append_call(pipeline, "predict", sql);
	buffer_text(sql, " AS score");
	if (keys) {
		buffer_text(sql, ", ");
		append_call(pipeline, "explain", sql);
		buffer_text(sql, " AS contributions");
	}
	append_from(pipeline, sql);
	for (int i = 0; keys && i < pipeline->model.key_count; i++) {
		buffer_text(sql, i ? " AND CAST(tarn_row." : " WHERE CAST(tarn_row.");
		buffer_sql_name(sql, pipeline->model.key[i]);
		buffer_text(sql, " AS VARCHAR) = ");
		buffer_sql_text(sql, keys[i]);
	}
}

void scores_importance(const struct spec_pipeline *pipeline, struct buffer *sql)
{
	buffer_text(sql, "SELECT part.feature AS feature, avg(abs(part.contribution)) AS mean_contribution, "
	                 "count(part.\"value\") AS present, count(*) AS \"rows\" FROM (SELECT unnest(");
	append_call(pipeline, "explain", sql);
	buffer_text(sql, ") AS part FROM (FROM query(");
	buffer_sql_text(sql, scoring_of(pipeline));
	buffer_text(sql, ") AS q ORDER BY hash(");
	append_keys(pipeline, "q.", sql);
	buffer_printf(sql, ") LIMIT %d) AS tarn_row) WHERE part.feature <> '" BASE_FEATURE "' ", IMPORTANCE_ROWS);
	buffer_text(sql, "GROUP BY ALL ORDER BY 2 DESC, 1");
}

/* ---- the table */

struct target {
	struct lake_session *session;
	const struct spec_pipeline *pipeline;
	char *schema; /* owned */
	const char *table;
	struct buffer name; /* lake."schema"."table" */
	struct buffer sql;
	struct error *err;
};

static void target_release(struct target *target)
{
	free(target->schema);
	buffer_release(&target->name);
	buffer_release(&target->sql);
}

/* TABLE, of schema main, or SCHEMA.TABLE. */
static int target_init(struct target *target)
{
	const char *scores = target->pipeline->model.scores, *dot;

	buffer_init(&target->name, 1 << 16);
	buffer_init(&target->sql, SQL_MAX);
	if (!scores)
		return error_set(target->err, ERROR_INVALID, 0,
		                 "spec.model.scores is not given: the name of a table would be right");
	dot = strchr(scores, '.');
	target->schema = dot ? strndup(scores, (size_t)(dot - scores)) : strdup("main");
	target->table = dot ? dot + 1 : scores;
	if (!target->schema)
		return error_no_memory(target->err);
	buffer_text(&target->name, "lake.");
	buffer_sql_name(&target->name, target->schema);
	buffer_char(&target->name, '.');
	buffer_sql_name(&target->name, target->table);
	return 0;
}

static int execute(struct target *target)
{
	int failed = buffer_ok(&target->sql) ? duck_exec(lake_connection(target->session), buffer_string(&target->sql),
	                                                 NULL, target->err)
	                                     : error_no_memory(target->err);

	buffer_clear(&target->sql);
	return failed;
}

static int ask(struct target *target, struct duck_rows *ret_rows)
{
	int failed = buffer_ok(&target->sql) ? duck_query(lake_connection(target->session), buffer_string(&target->sql),
	                                                  ret_rows, target->err)
	                                     : error_no_memory(target->err);

	buffer_clear(&target->sql);
	return failed;
}

static int make_fresh(struct target *target, int64_t snapshot, const char *hash)
{
	struct buffer *sql = &target->sql;

	buffer_text(sql, "CREATE OR REPLACE TEMP TABLE tarn_new_scores AS SELECT ");
	append_keys(target->pipeline, "tarn_row.", sql);
	buffer_text(sql, ", ");
	append_call(target->pipeline, "predict", sql);
	buffer_text(sql, " AS score, ");
	buffer_sql_text(sql, target->pipeline->model.name);
	buffer_text(sql, " AS model, ");
	buffer_sql_text(sql, hash);
	buffer_printf(sql, " AS model_hash, CAST(%" PRId64 " AS BIGINT) AS snapshot", snapshot);
	append_from(target->pipeline, sql);
	return execute(target) ? error_wrap(target->err, "scoring") : 0;
}

/* Scores with one file from beginning to end: the model's hash is the same before and after. */
static int score_rows(struct target *target, struct score_models *models, int64_t snapshot)
{
	const char *name = target->pipeline->model.name;

	for (int i = 0; i < PATIENCE; i++) {
		OWNED_MODEL struct model *before = score_model(models, name, target->err), *after = NULL;

		if (!before || make_fresh(target, snapshot, before->hash))
			return -1;
		after = score_model(models, name, target->err);
		if (!after)
			return -1;
		if (!strcmp(before->hash, after->hash))
			return 0;
	}
	return error_set(target->err, ERROR_TRANSIENT, 0,
	                 "the model's file was written anew each time that rows were scored with it");
}

static int check_keys(struct target *target)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct buffer *sql = &target->sql;

	buffer_text(sql, "SELECT concat_ws(', ', ");
	append_keys(target->pipeline, "", sql);
	buffer_text(sql, "), count(*) FROM " FRESH " GROUP BY ALL HAVING count(*) > 1");
	for (int i = 0; i < target->pipeline->model.key_count; i++) {
		buffer_text(sql, " OR any_value(");
		buffer_sql_name(sql, target->pipeline->model.key[i]);
		buffer_text(sql, ") IS NULL");
	}
	buffer_text(sql, " ORDER BY 2 DESC, 1 LIMIT 1");
	if (ask(target, &rows))
		return -1;
	if (!rows.row_count)
		return 0;
	if (duck_cell_int(&rows, 0, 1) > 1)
		return error_set(
		        target->err, ERROR_INVALID, 0,
		        "scoring gives the key %.100s %s times: each row needs one of its own (a GROUP BY, or more "
		        "columns in spec.model.key)",
		        duck_cell(&rows, 0, 0), duck_cell(&rows, 0, 1));
	return error_set(target->err, ERROR_INVALID, 0,
	                 "scoring gives a row with a NULL in its key: leave such rows out");
}

static void append_where_table(const struct target *target, struct buffer *sql)
{
	buffer_text(sql, "_catalog = 'lake' AND lower(table_schema) = lower(");
	buffer_sql_text(sql, target->schema);
	buffer_text(sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(sql, target->table);
	buffer_char(sql, ')');
}

#define COLUMNS_OF(what, from)                                                                                         \
	"(SELECT list(" what " ORDER BY ordinal_position) FROM information_schema.columns WHERE " from
#define NAME_AND_TYPE "(column_name, data_type)"
#define OF_FRESH "table_catalog = 'temp' AND table_name = 'tarn_new_scores')"

/* What stands in the place of the table: is there anything, has it the columns that the new rows have, the same names,
 * the last four of them; is it a view? */
static int describe(struct target *target, struct duck_rows *ret_rows)
{
	struct buffer *sql = &target->sql;

	buffer_text(sql,
	            "SELECT kind IS NOT NULL, old IS NOT DISTINCT FROM new, list_transform(old, lambda c: c[1]) IS "
	            "NOT DISTINCT FROM list_transform(new, lambda c: c[1]), len(old) > 4 AND old[-4:] = "
	            "new[-4:], kind = 'VIEW' FROM (SELECT " COLUMNS_OF(NAME_AND_TYPE, "table"));
	append_where_table(target, sql);
	buffer_text(sql, ") AS old, " COLUMNS_OF(NAME_AND_TYPE, OF_FRESH) " AS new, (SELECT any_value(table_type) FROM "
	                                                                  "information_schema.tables WHERE table");
	append_where_table(target, sql);
	buffer_text(sql, ") AS kind)");
	return ask(target, ret_rows);
}

/* Of a table of scores with another key: are they scores of this model? */
static int has_others(struct target *target, bool *ret_others)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_printf(&target->sql, "SELECT EXISTS (FROM %s WHERE model IS DISTINCT FROM ",
	              buffer_string(&target->name));
	buffer_sql_text(&target->sql, target->pipeline->model.name);
	buffer_char(&target->sql, ')');
	if (ask(target, &rows))
		return -1;
	*ret_others = !strcmp(duck_cell(&rows, 0, 0), "true");
	return 0;
}

static bool is_true(const struct duck_rows *rows, int column)
{
	return duck_cell(rows, 0, column) && !strcmp(duck_cell(rows, 0, column), "true");
}

/* INVARIANT 4. ret_fits: the table is there, with the columns that the new rows have. */
static int find_table(struct target *target, bool *ret_fits)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	bool others = true;

	if (describe(target, &rows))
		return -1;
	*ret_fits = is_true(&rows, 1) && !is_true(&rows, 4);
	if (!is_true(&rows, 0) || *ret_fits)
		return 0;
	if (!is_true(&rows, 4) && (is_true(&rows, 2) || is_true(&rows, 3))) {
		others = false;
		if (!is_true(&rows, 2) && has_others(target, &others))
			return -1;
	}
	if (!others)
		return 0;
	return error_set(
	        target->err, ERROR_INVALID, 0,
	        "spec.model.scores is %.130s, and there is a %s of that name already that is no table of these "
	        "scores; give them another name, or drop it",
	        target->pipeline->model.scores, is_true(&rows, 4) ? "view" : "table");
}

/* As many rows, and none of the new ones is not among the old. */
static int compare(struct target *target, bool *ret_same)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	struct buffer *sql = &target->sql;
	const char *old = buffer_string(&target->name);

	buffer_printf(sql, "SELECT (SELECT count(*) FROM %s) = (SELECT count(*) FROM " FRESH ") AND NOT EXISTS (", old);
	buffer_text(sql, "SELECT * EXCLUDE (snapshot) FROM " FRESH " EXCEPT ALL SELECT * EXCLUDE (snapshot) FROM ");
	buffer_printf(sql, "%s)", old);
	if (ask(target, &rows))
		return -1;
	*ret_same = !strcmp(duck_cell(&rows, 0, 0), "true");
	return 0;
}

static int replace(struct target *target, bool fits)
{
	const char *name = buffer_string(&target->name);
	struct buffer *sql = &target->sql;

	if (fits) {
		buffer_printf(sql, "DELETE FROM %s", name);
		if (execute(target))
			return -1;
		buffer_printf(sql, "INSERT INTO %s FROM " FRESH " ORDER BY ", name);
	} else {
		buffer_text(sql, "CREATE SCHEMA IF NOT EXISTS lake.");
		buffer_sql_name(sql, target->schema);
		if (execute(target))
			return -1;
		buffer_printf(sql, "CREATE OR REPLACE TABLE %s AS FROM " FRESH " ORDER BY ", name);
	}
	append_keys(target->pipeline, "", sql);
	return execute(target);
}

static int count_rows(struct target *target, int64_t *ret_rows)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_text(&target->sql, "SELECT count(*) FROM " FRESH);
	if (ask(target, &rows))
		return -1;
	*ret_rows = duck_cell_int(&rows, 0, 0);
	return 0;
}

static int write_rows(struct target *target, struct score_models *models, int64_t snapshot,
                      struct score_written *written)
{
	bool fits = false, same = false;

	if (target_init(target) || score_rows(target, models, snapshot) || check_keys(target) ||
	    count_rows(target, &written->rows) || find_table(target, &fits) || (fits && compare(target, &same)))
		return -1;
	written->changed = !same;
	if (!same && replace(target, fits))
		return -1;
	buffer_text(&target->sql, "DROP TABLE " FRESH);
	return execute(target);
}

int score_write(struct lake_session *session, struct score_models *models, const struct spec_pipeline *pipeline,
                int64_t snapshot, struct score_written *ret_written, struct error *err)
{
	OWNED_BY(target_release) struct target target = {.session = session, .pipeline = pipeline, .err = err};
	struct score_written written = {0};

	if (!pipeline->model.name)
		return error_set(err, ERROR_INVALID, 0, "pipeline %s has no spec.model", pipeline->name);
	if (write_rows(&target, models, snapshot, &written))
		return error_wrap(err, "model %s", pipeline->model.name);
	*ret_written = written;
	return 0;
}
