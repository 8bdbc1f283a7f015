/*
 * count.c - what becomes of rows: kept, filtered by which condition, refused by which CAST.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "layers/layers_private.h"

#define REFUSED_SHOWN 3
#define DELETED_ROWS_MOST 1000000

void append_from(const struct model_run *run, struct buffer *sql)
{
	if (run->model->shape.table)
		append_table(sql, run->model->shape.schema, run->model->shape.table);
}

void append_rows_of(const struct model_run *run, const char *source, struct buffer *sql)
{
	compose_rows(&run->model->shape, source, run->source.names, run->source.count, sql);
}

void append_kept_of(const struct model_run *run, const char *source, struct buffer *sql)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer rows = {0}, groups = {0};

	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&groups, SQL_MAXIMUM_BYTES);
	append_rows_of(run, source, &rows);
	buffer_text(sql, "SELECT " COLUMNS_KEPT " FROM (");
	if (shape->kind == SHAPE_GROUPS) {
		compose_groups(shape, buffer_string(&rows), &groups);
		compose_result(shape, buffer_string(&groups), sql);
	} else {
		buffer_text(sql, buffer_string(&rows));
	}
	buffer_text(sql, ")" WHERE_KEPT);
}

bool stage_may_fail(const struct stage *stage)
{
	for (int i = 0; i < stage->output_count; i++)
		if (stage->outputs[i].sql.failure)
			return true;
	for (int i = 0; i < stage->condition_count; i++)
		if (stage->conditions[i].sql.failure)
			return true;
	return false;
}

static bool stage_may_drop(const struct stage *stage)
{
	return stage->condition_count > 0 || stage_may_fail(stage);
}

bool may_drop(const struct model_run *run, enum level level)
{
	const struct shape *shape = &run->model->shape;

	if (level == LEVEL_GROUPS)
		return stage_may_drop(&shape->result);
	for (int i = 0; i < shape->stage_count; i++)
		if (stage_may_drop(&shape->stages[i]))
			return true;
	return false;
}

/* ---- quarantine */

bool type_is_number(const char *type)
{
	static const char *const numbers[] = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",  "HUGEINT",
	                                      "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
	                                      "FLOAT",    "DOUBLE",    "DECIMAL"};

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (!strncmp(type, numbers[i], strlen(numbers[i])))
			return type[strlen(type) - 1] != ']';
	return false;
}

/* Why the text is not what it should be. */
static void append_reason(const struct cast_site *site, struct buffer *sql)
{
	OWNED_BUFFER struct buffer wrong = {0}, range = {0};

	buffer_init(&wrong, 4096);
	buffer_init(&range, 4096);
	buffer_printf(&wrong, "is not of type %.200s", site->type);
	if (type_is_number(site->type)) {
		buffer_printf(&range, "is a number that %.200s does not hold", site->type);
		buffer_text(sql, "CASE WHEN isfinite(TRY_CAST(f.\"text\" AS DOUBLE)) THEN ");
	} else if (!strncmp(site->type, "TIMESTAMP", 9) || !strncmp(site->type, "DATE", 4)) {
		buffer_printf(&range, "is a time that there is not, or that %.200s does not hold", site->type);
		buffer_text(sql, "CASE WHEN regexp_matches(f.\"text\", '^\\s*[+-]?[0-9]+-[0-9]+-[0-9]+') THEN ");
	} else {
		buffer_sql_text(sql, buffer_string(&wrong));
		return;
	}
	buffer_sql_text(sql, buffer_string(&range));
	buffer_text(sql, " ELSE ");
	buffer_sql_text(sql, buffer_string(&wrong));
	buffer_text(sql, " END");
}

/* The rows that failed, as tarn.quarantined_rows has them. */
static void append_refused(const struct refresh *r, const struct model_run *run, const char *rows, struct buffer *sql)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer source = {0};

	buffer_init(&source, 4096);
	if (shape->table)
		buffer_printf(&source, "%s.%s", shape->schema, shape->table);
	buffer_text(sql, "SELECT ");
	buffer_sql_text(sql, r->pipeline->spec->name);
	buffer_text(sql, " AS pipeline, ");
	buffer_sql_text(sql, run->model->name);
	buffer_text(sql, " AS model, ");
	buffer_sql_text(sql, buffer_string(&source));
	buffer_text(sql, " AS source_table, CAST(to_json(w) AS VARCHAR) AS source_row, CASE f.site");
	for (int i = 0; i < shape->sites.count; i++) {
		buffer_printf(sql, " WHEN %d THEN ", i);
		buffer_sql_text(sql, shape->sites.sites[i].column);
	}
	buffer_text(sql, " END AS \"column\", f.\"text\" AS \"text\", CASE f.site");
	for (int i = 0; i < shape->sites.count; i++) {
		buffer_printf(sql, " WHEN %d THEN ", i);
		append_reason(&shape->sites.sites[i], sql);
	}
	buffer_printf(sql,
	              " END AS reason, now() AS quarantined_at FROM (SELECT \"" COLUMN_ROW "\" AS w, \"" COLUMN_FAILED
	              "\" AS f FROM (%s)" WHERE_FAILED ")",
	              rows);
}

static int refuse(struct refresh *r, const struct model_run *run, const char *rows, int64_t count)
{
	OWNED_BUFFER struct buffer sql = {0}, told = {0};
	OWNED_DUCK_ROWS struct duck_rows refused = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&told, 4096);
	append_refused(r, run, rows, &sql);
	buffer_printf(&sql, " LIMIT %d", REFUSED_SHOWN);
	if (query_sql(r, &sql, &refused))
		return -1;
	for (int64_t i = 0; i < refused.row_count; i++)
		buffer_printf(&told, "%s%s: '%.40s' %s, in %.120s", i ? "; " : "", duck_cell(&refused, i, 4),
		              duck_cell(&refused, i, 5), duck_cell(&refused, i, 6), duck_cell(&refused, i, 3));
	return error_set(r->err, ERROR_INVALID, 0,
	                 "%.200s: %" PRId64 " rows have values that a CAST refuses (quarantine: fail): %s",
	                 run->model->file, count, buffer_string(&told));
}

static int take_out_of_quarantine(struct refresh *r, const struct model_run *run, const char *refused,
                                  int64_t *ret_rows)
{
	static struct column items[] = {{"pipeline", "VARCHAR"},   {"model", "VARCHAR"},  {"source_table", "VARCHAR"},
	                                {"source_row", "VARCHAR"}, {"column", "VARCHAR"}, {"text", "VARCHAR"},
	                                {"reason", "VARCHAR"}};
	static const struct described columns = {.items = items, .count = COUNT_OF(items)};
	OWNED_BUFFER struct buffer sql = {0}, gone = {0};
	int64_t missing = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_init(&gone, 4096);
	append_temporary(&gone, "refused", run->model);
	append_create_temporary(r, &sql, buffer_string(&gone));
	buffer_printf(&sql, " AS %s", refused);
	if (run_sql(r, &sql, NULL))
		return -1;
	buffer_clear(&sql);
	buffer_printf(&sql, "SELECT count(*) FROM %s", buffer_string(&gone));
	if (count_sql(r, &sql, ret_rows) ||
	    delete_rows(r, "lake.tarn.quarantined_rows", buffer_string(&gone), &columns, &missing))
		return -1;
	run->report->quarantined += missing;
	return 0;
}

/* count: how many there must be. */
static int quarantine_rows(struct refresh *r, struct model_run *run, const char *rows, int sign, int64_t count)
{
	OWNED_BUFFER struct buffer refused = {0};
	int64_t found = 0;

	if (run->model->options.on_bad_cast == BAD_CAST_FAIL && count > 0)
		return refuse(r, run, rows, count);
	buffer_init(&refused, SQL_MAXIMUM_BYTES);
	append_refused(r, run, rows, &refused);
	run->report->quarantined += sign * count;
	if (sign > 0 ? quarantined_insert(r, run, buffer_string(&refused), &found)
	             : take_out_of_quarantine(r, run, buffer_string(&refused), &found))
		return -1;
	if (found == count)
		return 0;
	r->miscounted = true;
	return error_set(r->err, ERROR_FATAL, 0,
	                 "%.200s: the counts do not add up, and nothing was committed: %" PRId64
	                 " rows were not kept, and a CAST refused %" PRId64,
	                 run->model->file, count, found);
}

/* ---- counting */

static void count_filtered(struct model_run *run, int64_t condition, int64_t count, enum level level)
{
	run->report->by_condition[condition - 1] += count;
	if (level == LEVEL_ROWS)
		run->report->filtered += count;
}

/* "SELECT count(*), COLUMN_FILTERED[, did it fail?]": whether rows failed is known where it is known how many were
 * kept, and need not be computed again. */
static int count_by_fate(struct refresh *r, const char *rows, bool with_failed, struct duck_rows *ret_counts)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "SELECT count(*), \"" COLUMN_FILTERED "\", %s FROM (%s) GROUP BY 2, 3",
	              with_failed ? "\"" COLUMN_FAILED "\" IS NOT NULL" : "false", rows);
	return query_sql(r, &sql, ret_counts);
}

/* No CAST refused them: a second look kept other rows than the first. */
static int tell_varying(struct refresh *r, const struct model_run *run)
{
	return error_set(
	        r->err, ERROR_INVALID, 0,
	        "%.200s: which rows it keeps changes each time that it is computed, so that they cannot be counted; "
	        "would be a condition on a column of another model, which computes it once",
	        run->model->file);
}

int count_rows(struct refresh *r, struct model_run *run, const char *rows, enum level level, int sign, int64_t *kept)
{
	OWNED_DUCK_ROWS struct duck_rows counts = {0};
	int64_t all = 0, failed = 0, passed = 0;

	if (count_by_fate(r, rows, *kept < 0, &counts))
		return -1;
	for (int64_t i = 0; i < counts.row_count; i++) {
		int64_t count = duck_cell_int(&counts, i, 0);

		all += count;
		if (!strcmp(duck_cell(&counts, i, 2), "true"))
			failed += count;
		else if (duck_cell(&counts, i, 1))
			count_filtered(run, duck_cell_int(&counts, i, 1), sign * count, level);
		else
			passed += count;
	}
	if (*kept < 0)
		*kept = passed;
	else
		failed = passed - *kept;
	if (failed < 0 || (failed && !run->model->shape.sites.count))
		return tell_varying(r, run);
	if (level == LEVEL_ROWS)
		run->report->rows_in += sign * all;
	else
		run->report->groups += sign * all;
	return failed ? quarantine_rows(r, run, rows, sign, failed) : 0;
}

/* The quarantine has groups, too: those that are neither in the table nor held back by HAVING. */
static int64_t quarantined_groups(const struct model_run *run)
{
	int64_t count = run->report->groups - run->report->rows_out;

	for (int i = compose_condition_count(&run->model->shape); i < model_condition_count(run->model); i++)
		count -= run->report->by_condition[i];
	return count;
}

int check_counts(struct refresh *r, const struct model_run *run)
{
	const struct model_report *report = run->report;
	bool groups = run->model->shape.kind == SHAPE_GROUPS;
	int64_t kept = groups ? report->grouped : report->rows_out;
	int64_t rows = report->quarantined - (groups ? quarantined_groups(run) : 0);

	if (report->rows_in == kept + rows + report->filtered)
		return 0;
	r->miscounted = true;
	return error_set(r->err, ERROR_FATAL, 0,
	                 "%.200s: the counts do not add up, and nothing was committed: %" PRId64 " rows in, %" PRId64
	                 " %s, %" PRId64 " quarantined, %" PRId64 " filtered; make it anew with --full",
	                 run->model->file, report->rows_in, kept, groups ? "grouped" : "out", rows, report->filtered);
}

/* Of a pipeline that has none a DELETE for each model would read the catalog in vain. */
static int has_quarantine(struct refresh *r, bool *ret_has)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (!r->quarantine_known) {
		buffer_init(&sql, SQL_MAXIMUM_BYTES);
		buffer_text(&sql, "SELECT count(*) FROM lake.tarn.quarantined_rows WHERE pipeline = ");
		buffer_sql_text(&sql, r->pipeline->spec->name);
		if (count_sql(r, &sql, &r->quarantine_before))
			return -1;
		r->quarantine_known = true;
	}
	*ret_has = r->quarantine_before > 0;
	return 0;
}

int forget_counts(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer sql = {0};
	bool has = true;

	run->report->rows_in = run->report->rows_out = run->report->quarantined = run->report->filtered = 0;
	run->report->grouped = run->report->groups = 0;
	memset(run->report->by_condition, 0,
	       (size_t)model_condition_count(run->model) * sizeof *run->report->by_condition);
	if (!run->before.known && has_quarantine(r, &has))
		return -1;
	if (run->before.known ? !run->before.quarantined : !has)
		return 0;
	if (run->before.discarded && quarantined_keep_discards(r, run))
		return -1;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "DELETE FROM lake.tarn.quarantined_rows WHERE pipeline = ");
	buffer_sql_text(&sql, r->pipeline->spec->name);
	buffer_text(&sql, " AND lower(model) = lower(");
	buffer_sql_text(&sql, run->model->name);
	buffer_char(&sql, ')');
	return run_sql(r, &sql, NULL);
}

/* ---- the table */

static int find_table(struct refresh *r, const struct model_run *run, bool *ret_table, bool *ret_view)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT table_type FROM information_schema.tables WHERE table_catalog = 'lake' AND "
	                  "table_schema = 'main' "
	                  "AND lower(table_name) = lower(");
	buffer_sql_text(&sql, run->model->name);
	buffer_text(&sql, ")");
	if (query_sql(r, &sql, &rows))
		return -1;
	*ret_view = rows.row_count && !strcmp(duck_cell(&rows, 0, 0), "VIEW");
	*ret_table = rows.row_count && !*ret_view;
	return 0;
}

static int drop_table(struct refresh *r, const struct model_run *run, const char *kind)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_printf(&sql, "DROP %s ", kind);
	append_model(&sql, run->model);
	return run_sql(r, &sql, NULL);
}

static int create_table(struct refresh *r, const struct model_run *run)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "CREATE TABLE ");
	append_model(&sql, run->model);
	append_columns(&sql, &run->columns);
	return run_sql(r, &sql, NULL);
}

/* Is there something about the table that the pipeline did not make, and would not make again? */
static int is_arranged(struct refresh *r, const struct model_run *run, bool *ret_arranged)
{
	static const char *const where[] = {
	        "partition_info x WHERE x.table_id = t.table_id AND x.end_snapshot IS NULL",
	        "sort_info x WHERE x.table_id = t.table_id AND x.end_snapshot IS NULL",
	        "tag x WHERE x.object_id = t.table_id AND x.end_snapshot IS NULL",
	        "column_tag x WHERE x.table_id = t.table_id AND x.end_snapshot IS NULL",
	        "metadata x WHERE x.scope = 'table' AND x.scope_id = t.table_id",
	        ("column x WHERE x.table_id = t.table_id AND x.end_snapshot IS NULL AND NOT CAST(x.nulls_allowed AS "
	         "BOOLEAN)")};
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM " CATALOG "table t JOIN " CATALOG
	                  "schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL WHERE t.end_snapshot IS "
	                  "NULL AND s.schema_name = 'main' AND lower(t.table_name) = lower(");
	buffer_sql_text(&sql, run->model->name);
	for (size_t i = 0; i < COUNT_OF(where); i++)
		buffer_printf(&sql, "%s EXISTS (SELECT 1 FROM " CATALOG "%s)", i ? " OR" : ") AND (", where[i]);
	buffer_char(&sql, ')');
	if (count_sql(r, &sql, &count))
		return -1;
	*ret_arranged = count > 0;
	return 0;
}

/* DuckLake notes each row that a DELETE takes, in memory that DuckDB does not count: 540 MB of ten million. So a large
 * table is made anew, as long as nobody arranged it. */
int delete_all(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer sql = {0};
	bool arranged = true;

	if (r->snapshots && run->before.rows_out > DELETED_ROWS_MOST && is_arranged(r, run, &arranged))
		return -1;
	if (!arranged) {
		run->report->deleted = run->before.rows_out;
		return drop_table(r, run, "TABLE") || create_table(r, run) ? -1 : 0;
	}
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "DELETE FROM ");
	append_model(&sql, run->model);
	return run_sql(r, &sql, &run->report->deleted);
}

int empty_table(struct refresh *r, struct model_run *run)
{
	OWNED_BY(described_release) struct described old = {0};
	OWNED_BUFFER struct buffer sql = {0};
	bool table = false, view = false;

	if (find_table(r, run, &table, &view))
		return -1;
	if ((table || view) && !run->before.known)
		return error_set(r->err, ERROR_INVALID, 0,
		                 "%.200s: there is a %s %s already that this pipeline did not make; give the model "
		                 "another name, or "
		                 "drop it",
		                 run->model->file, view ? "view" : "table", run->model->name);
	if (view && drop_table(r, run, "VIEW"))
		return -1;
	if (!table)
		return run->model->options.materialized == MATERIALIZED_VIEW ? 0 : create_table(r, run);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_model(&sql, run->model);
	if (describe_table(r, buffer_string(&sql), &old))
		return -1;
	if (run->model->options.materialized == MATERIALIZED_VIEW)
		return drop_table(r, run, "TABLE");
	if (!described_equal(&old, &run->columns))
		return drop_table(r, run, "TABLE") || create_table(r, run) ? -1 : 0;
	return delete_all(r, run);
}
