/*
 * whole.c - models that run as they are written: views, and what is neither rows nor groups.
 */
#include "layers/layers_private.h"

/* On one line with what stands before it: the lines of DuckDB's errors are the file's. */
int whole_anew(struct refresh *r, struct model_run *run)
{
	bool view = run->model->options.materialized == MATERIALIZED_VIEW;
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (forget_counts(r, run) || empty_table(r, run))
		return -1;
	buffer_text(&sql, view ? "CREATE VIEW " : "INSERT INTO ");
	append_model(&sql, run->model);
	buffer_printf(&sql, "%s %s", view ? " AS" : "", run->model->sql);
	if (!view && use_threads_for(r, -1))
		return -1;
	if (run_sql(r, &sql, view ? NULL : &run->report->inserted))
		return -1;
	run->report->rows_in = run->report->rows_out = run->report->inserted;
	return 0;
}
