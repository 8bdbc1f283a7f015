/*
 * rows.c - models of which each row comes from one row of the source.
 */
#include "layers/layers_private.h"

static int insert_kept(struct refresh *r, struct model_run *run, const char *rows, int64_t *ret_inserted)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "INSERT INTO ");
	append_model(&sql, run->model);
	buffer_printf(&sql, " SELECT " COLUMNS_KEPT " FROM (%s)" WHERE_KEPT, rows);
	return run_sql(r, &sql, ret_inserted);
}

/* Of a source of so many rows their fates are kept until they are counted, rather than computed again; and of every one
 * whose rows would have others a second time. */
#define FATES_ROWS 200000

/* -1: it has no table that could be counted. */
static int count_source(struct refresh *r, const struct model_run *run, int64_t *ret_count)
{
	OWNED_BUFFER struct buffer sql = {0};

	*ret_count = -1;
	if (!run->model->shape.table)
		return 0;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM ");
	append_from(run, &sql);
	return count_sql(r, &sql, ret_count);
}

static int insert_by_fates(struct refresh *r, struct model_run *run, const char *rows, int64_t *ret_inserted)
{
	OWNED_BUFFER struct buffer fates = {0}, all = {0}, drop = {0};

	buffer_init(&fates, 4096);
	buffer_init(&all, 4096);
	buffer_init(&drop, 4096);
	append_temporary(&fates, "fates of all", run->model);
	buffer_printf(&all, "SELECT * FROM %s", buffer_string(&fates));
	buffer_printf(&drop, "DROP TABLE %s", buffer_string(&fates));
	return fates_write(r, run, buffer_string(&fates), rows) ||
	                       insert_kept(r, run, buffer_string(&all), ret_inserted) ||
	                       count_rows(r, run, buffer_string(&all), LEVEL_ROWS, 1, ret_inserted) ||
	                       run_sql(r, &drop, NULL)
	               ? -1
	               : 0;
}

/* How many are kept is known, then: what became of the others is only asked where there are such. */
static int insert_all(struct refresh *r, struct model_run *run, const char *rows, int64_t count, int64_t *ret_inserted)
{
	if (insert_kept(r, run, rows, ret_inserted))
		return -1;
	if (!may_drop(run, LEVEL_ROWS) || count == *ret_inserted) {
		run->report->rows_in = *ret_inserted;
		return 0;
	}
	return count_rows(r, run, rows, LEVEL_ROWS, 1, ret_inserted);
}

int rows_anew(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer source = {0}, rows = {0};
	int64_t inserted = 0, count = 0;
	bool few;

	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	append_from(run, &source);
	append_rows_of(run, buffer_string(&source), &rows);
	if (forget_counts(r, run) || empty_table(r, run) || count_source(r, run, &count) || use_threads_for(r, count))
		return -1;
	few = may_drop(run, LEVEL_ROWS) &&
	      (run->model->shape.varies || run->definition_count || (count >= 0 && count <= FATES_ROWS));
	if (few ? insert_by_fates(r, run, buffer_string(&rows), &inserted)
	        : insert_all(r, run, buffer_string(&rows), count, &inserted))
		return -1;
	run->report->inserted = run->report->rows_out = inserted;
	return check_counts(r, run);
}

/* The model's rows of what its source lost or got, as a temporary table; counted. */
static int make_delta(struct refresh *r, struct model_run *run, enum delta delta)
{
	const struct shape *shape = &run->model->shape;
	OWNED_BUFFER struct buffer source = {0}, rows = {0}, fates = {0};
	int64_t count = 0;

	if (feed_count(r, shape->schema, shape->table, delta, &count))
		return -1;
	if (!count)
		return feed_write_nothing(r, run, delta);
	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	buffer_init(&fates, SQL_MAXIMUM_BYTES);
	append_delta(&source, delta, shape->schema, shape->table);
	append_rows_of(run, buffer_string(&source), &rows);
	run->delta_rows[delta] = -1;
	if (use_threads_for(r, count) || feed_write_fates(r, run, delta, buffer_string(&rows), &fates) ||
	    use_threads_for(r, 0))
		return -1;
	return count_rows(r, run, buffer_string(&fates), LEVEL_ROWS, delta == DELTA_NEW ? 1 : -1,
	                  &run->delta_rows[delta]);
}

static int insert_new(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "INSERT INTO ");
	append_model(&sql, run->model);
	buffer_text(&sql, " SELECT * FROM ");
	append_delta(&sql, DELTA_NEW, "main", run->model->name);
	return use_threads_for(r, run->delta_rows[DELTA_NEW]) || run_sql(r, &sql, &run->report->inserted) ||
	                       use_threads_for(r, 0)
	               ? -1
	               : 0;
}

static int delete_gone(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer table = {0}, gone = {0};
	int64_t missing = 0;

	buffer_init(&table, SQL_MAXIMUM_BYTES);
	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	append_model(&table, run->model);
	append_delta(&gone, DELTA_GONE, "main", run->model->name);
	if (use_threads_for(r, run->before.rows_out) ||
	    delete_rows(r, buffer_string(&table), buffer_string(&gone), &run->columns, &missing) ||
	    use_threads_for(r, 0))
		return -1;
	run->report->deleted = run->delta_rows[DELTA_GONE] - missing;
	return 0;
}

int rows_change(struct refresh *r, struct model_run *run)
{
	if (make_delta(r, run, DELTA_NEW) || make_delta(r, run, DELTA_GONE) ||
	    (run->delta_rows[DELTA_NEW] && insert_new(r, run)) || (run->delta_rows[DELTA_GONE] && delete_gone(r, run)))
		return -1;
	run->deltas = true;
	run->report->rows_out += run->report->inserted - run->report->deleted;
	return check_counts(r, run);
}
