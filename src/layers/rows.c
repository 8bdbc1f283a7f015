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

/* All that were read were kept: there is nothing to count by reason. */
static int all_kept(struct refresh *r, const struct model_run *run, int64_t inserted, bool *ret_all)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;

	*ret_all = !may_drop(run, LEVEL_ROWS);
	if (*ret_all || !run->model->shape.table)
		return 0;
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT count(*) FROM ");
	append_from(run, &sql);
	if (count_sql(r, &sql, &count))
		return -1;
	*ret_all = count == inserted;
	return 0;
}

int rows_anew(struct refresh *r, struct model_run *run)
{
	OWNED_BUFFER struct buffer source = {0}, rows = {0};
	int64_t inserted = 0;
	bool all = false;

	buffer_init(&source, SQL_MAXIMUM_BYTES);
	buffer_init(&rows, SQL_MAXIMUM_BYTES);
	append_from(run, &source);
	append_rows_of(run, buffer_string(&source), &rows);
	if (forget_counts(r, run) || empty_table(r, run) || use_threads_for(r, -1) ||
	    insert_kept(r, run, buffer_string(&rows), &inserted) || all_kept(r, run, inserted, &all))
		return -1;
	if (all)
		run->report->rows_in = inserted;
	else if (count_rows(r, run, buffer_string(&rows), LEVEL_ROWS, 1, &inserted))
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
