/*
 * state.c - what the lake knows of pipelines and models.
 *
 *     tarn.pipelines         a row a pipeline: the turn, which each refresh that changes something raises by one
 *     tarn.models            a row a model: what of its sources its table holds, and the counts that `tarn verify` adds
 *                            up
 *     tarn.quarantined_rows  a row a row that a CAST refused; discarded_at and because where somebody said that it may
 * be forgotten tarn.expectations, tarn.expectation_history  expect_state.c
 *
 * The turn fences: it is the first thing that a transaction reads, and its UPDATE must change one row (lake/lane.h says
 * why).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "lake/ledger.h"
#include "layers/layers_private.h"

#define EXPECTATION_COLUMNS                                                                                            \
	"pipeline VARCHAR, table_name VARCHAR, name VARCHAR, \"check\" VARCHAR, severity VARCHAR, passed BOOLEAN, "    \
	"failed_rows BIGINT, example VARCHAR, held_back BOOLEAN, turn BIGINT, snapshot BIGINT, checked_at TIMESTAMP "  \
	"WITH TIME ZONE"
#define CREATE_TRIES 20
#define CREATE_PAUSE_US 100000

static const char *const tables[] = {
        "CREATE SCHEMA IF NOT EXISTS lake." PARTIALS_SCHEMA,
        "CREATE TABLE IF NOT EXISTS lake.tarn.pipelines (pipeline VARCHAR, turn BIGINT, refreshed_by VARCHAR, snapshot "
        "BIGINT, refreshed_at TIMESTAMP WITH TIME ZONE)",
        "CREATE TABLE IF NOT EXISTS lake.tarn.models (pipeline VARCHAR, model VARCHAR, layer VARCHAR, hash VARCHAR, "
        "snapshot BIGINT, turn BIGINT, changed_turn BIGINT, anew_turn BIGINT, sources VARCHAR, how VARCHAR, why "
        "VARCHAR, "
        "rows_in BIGINT, rows_out BIGINT, grouped BIGINT, groups BIGINT, quarantined BIGINT, discarded BIGINT, "
        "filtered VARCHAR, "
        "conditions VARCHAR, ms BIGINT, "
        "refreshed_at TIMESTAMP WITH TIME ZONE)",
        "CREATE TABLE IF NOT EXISTS lake.tarn.quarantined_rows (pipeline VARCHAR, model VARCHAR, source_table VARCHAR, "
        "source_row VARCHAR, \"column\" VARCHAR, \"text\" VARCHAR, reason VARCHAR, quarantined_at TIMESTAMP WITH TIME "
        "ZONE, discarded_at TIMESTAMP WITH TIME ZONE, because VARCHAR)",
        "CREATE TABLE IF NOT EXISTS lake.tarn.expectations (" EXPECTATION_COLUMNS
        ", query VARCHAR, holds_snapshot BIGINT, row_count BIGINT)",
        "CREATE TABLE IF NOT EXISTS lake.tarn.expectation_history (" EXPECTATION_COLUMNS ")",
};

int state_create(struct lake_session *session, struct error *err)
{
	struct error why = {0};
	bool there = false;

	for (int tries = 0; tries < CREATE_TRIES; tries++) {
		if (lake_has_tables(session,
		                    "lake.tarn.pipelines, lake.tarn.models, lake.tarn.quarantined_rows, "
		                    "lake.tarn.expectations, lake.tarn.expectation_history",
		                    &there, err))
			return -1;
		if (there)
			return ledger_create(session, err);
		if (ledger_create(session, &why) == 0 && lake_execute_all(session, tables, COUNT_OF(tables), &why) == 0)
			return 0;
		/* Of two processes that make them at once one fails, for whatever reason, and finds them. */
		usleep(CREATE_PAUSE_US);
	}
	*err = why;
	return -1;
}

void model_state_release(struct model_state *state)
{
	free(state->sources);
	free(state->filtered);
	*state = (struct model_state){0};
}

/* "12,0,3" */
static int read_filtered(const char *text, struct model_state *state, struct error *err)
{
	int count = *text != 0;

	for (const char *c = text; *c; c++)
		count += *c == ',';
	state->filtered = calloc((size_t)count + 1, sizeof *state->filtered);
	if (!state->filtered)
		return error_no_memory(err);
	for (state->filtered_count = 0; state->filtered_count < count; state->filtered_count++) {
		state->filtered[state->filtered_count] = strtoll(text, NULL, 10);
		text += strcspn(text, ",");
		text += *text == ',';
	}
	return 0;
}

static int read_model(struct refresh *r, const struct duck_rows *rows, int64_t row, struct model_state *state)
{
	const char *sources = duck_cell(rows, row, 6), *filtered = duck_cell(rows, row, 13);

	*state = (struct model_state){.known = true,
	                              .snapshot = duck_cell_int(rows, row, 2),
	                              .turn = duck_cell_int(rows, row, 3),
	                              .changed_turn = duck_cell_int(rows, row, 4),
	                              .anew_turn = duck_cell_int(rows, row, 5),
	                              .sources = strdup(sources ? sources : ""),
	                              .rows_in = duck_cell_int(rows, row, 7),
	                              .rows_out = duck_cell_int(rows, row, 8),
	                              .grouped = duck_cell_int(rows, row, 9),
	                              .groups = duck_cell_int(rows, row, 10),
	                              .quarantined = duck_cell_int(rows, row, 11),
	                              .discarded = duck_cell_int(rows, row, 12)};
	snprintf(state->name, sizeof state->name, "%s", duck_cell(rows, row, 0));
	snprintf(state->hash, sizeof state->hash, "%s", duck_cell(rows, row, 1) ? duck_cell(rows, row, 1) : "");
	if (!state->sources)
		return error_no_memory(r->err);
	return read_filtered(filtered ? filtered : "", state, r->err);
}

static int read_models(struct refresh *r)
{
	const struct model_set *set = r->pipeline->models;
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT model, hash, snapshot, turn, changed_turn, anew_turn, sources, rows_in, rows_out, "
	                  "grouped, groups, "
	                  "quarantined, discarded, filtered FROM lake.tarn.models");
	append_where_own(&sql, r->pipeline);
	if (query_own(r, &sql, &rows))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		int index = models_find(set, "main", duck_cell(&rows, i, 0));

		if (index >= 0 && !r->runs[index].before.known && read_model(r, &rows, i, &r->runs[index].before))
			return -1;
	}
	return 0;
}

int state_read_turn(struct refresh *r)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT turn FROM lake.tarn.pipelines");
	append_where_own(&sql, r->pipeline);
	if (query_own(r, &sql, &rows))
		return -1;
	r->turn = rows.row_count ? duck_cell_int(&rows, 0, 0) : 0;
	return 0;
}

int state_read(struct refresh *r)
{
	return state_read_turn(r) || read_models(r) ? -1 : 0;
}

int state_raise_turn(struct refresh *r)
{
	const struct pipeline *pipeline = r->pipeline;
	OWNED_BUFFER struct buffer sql = {0};
	int64_t changed = 0;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	if (r->turn) {
		buffer_printf(&sql,
		              "UPDATE lake.tarn.pipelines SET turn = %" PRId64 ", snapshot = %" PRId64
		              ", refreshed_at = now(), refreshed_by = ",
		              r->turn + 1, r->snapshot);
		buffer_sql_text(&sql, pipeline->by);
		append_where_own(&sql, pipeline);
		buffer_printf(&sql, " AND turn = %" PRId64, r->turn);
	} else {
		buffer_text(&sql, "INSERT INTO lake.tarn.pipelines SELECT ");
		buffer_sql_text(&sql, pipeline->spec->name);
		buffer_text(&sql, ", 1, ");
		buffer_sql_text(&sql, pipeline->by);
		buffer_printf(&sql, ", %" PRId64 ", now()", r->snapshot);
	}
	/* Not optimized, DuckLake cannot UPDATE a row that lies in a file: CHECKPOINT and a flush of inlined rows put
	 * it there. */
	if (r->turn ? run_sql(r, &sql, &changed) : run_own(r, &sql, &changed))
		return -1;
	return changed == 1 ? 0
	                    : error_set(r->err, ERROR_CONFLICT, 0,
	                                "pipeline %s was refreshed by somebody else meanwhile", pipeline->spec->name);
}

static void append_filtered(struct buffer *sql, const struct model_run *run, int count)
{
	OWNED_BUFFER struct buffer text = {0}, names = {0};

	buffer_init(&text, SQL_MAXIMUM_BYTES);
	buffer_init(&names, SQL_MAXIMUM_BYTES);
	for (int i = 0; i < count; i++) {
		const char *condition = compose_condition(&run->model->shape, i + 1);

		buffer_printf(&text, "%s%" PRId64, i ? "," : "", run->report->by_condition[i]);
		buffer_printf(&names, "%s", i ? "," : "[");
		buffer_json_text(&names, condition ? condition : "", condition ? strlen(condition) : 0);
	}
	buffer_text(&names, count ? "]" : "[]");
	buffer_sql_text(sql, buffer_string(&text));
	buffer_text(sql, ", ");
	buffer_sql_text(sql, buffer_string(&names));
}

/* A row of tarn.models, in parentheses. */
static int append_row(struct refresh *r, const struct model_run *run, struct buffer *sql)
{
	const struct model *model = run->model;
	struct model_report *report = run->report;
	int64_t turn = r->turn + 1;

	if (run->before.discarded && quarantined_count_discards(r, model, &report->discarded))
		return -1;
	buffer_char(sql, '(');
	buffer_sql_text(sql, r->pipeline->spec->name);
	buffer_text(sql, ", ");
	buffer_sql_text(sql, model->name);
	buffer_printf(sql, ", '%s', '%s', %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", ",
	              layer_names[model->layer], model->hash, r->snapshot, turn,
	              run->changed ? turn : run->before.changed_turn, run->anew ? turn : run->before.anew_turn);
	buffer_sql_text(sql, run->sources ? run->sources : "");
	buffer_printf(sql, ", '%s', ", refresh_how_name(report->how));
	buffer_sql_text(sql, report->why);
	buffer_printf(sql, ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", ",
	              report->rows_in, report->rows_out, report->grouped, report->groups, report->quarantined,
	              report->discarded);
	append_filtered(sql, run, run->whole ? 0 : model_condition_count(model));
	buffer_printf(sql, ", %" PRId64 ", now())", report->ms);
	return 0;
}

/* One statement for all that go, and one for all that come: each reads the catalog. */
int state_write(struct refresh *r)
{
	OWNED_BUFFER struct buffer gone = {0}, new = {0};
	bool any_gone = false, any_new = false;

	buffer_init(&gone, SQL_MAXIMUM_BYTES);
	buffer_init(&new, SQL_MAXIMUM_BYTES);
	if (state_raise_turn(r))
		return -1;
	buffer_text(&gone, "DELETE FROM lake.tarn.models");
	append_where_own(&gone, r->pipeline);
	buffer_text(&new, "INSERT INTO lake.tarn.models VALUES ");
	for (int i = 0; i < r->pipeline->models->count; i++) {
		const struct model_run *run = &r->runs[i];

		if (run->report->how == REFRESH_LEFT_OUT)
			continue;
		buffer_text(&new, any_new ? ", " : "");
		if (append_row(r, run, &new))
			return -1;
		any_new = true;
		if (!run->before.known)
			continue;
		buffer_text(&gone, any_gone ? ", " : " AND model IN (");
		buffer_sql_text(&gone, run->before.name);
		any_gone = true;
	}
	buffer_char(&gone, ')');
	return (any_gone && run_own(r, &gone, NULL)) || (any_new && run_own(r, &new, NULL)) ? -1 : 0;
}

int state_outcome(struct pipeline *pipeline, int64_t turn, bool *ret_mine, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT turn, refreshed_by FROM lake.tarn.pipelines");
	append_where_own(&sql, pipeline);
	if (duck_query(lake_connection(pipeline->session), buffer_string(&sql), &rows, err))
		return -1;
	*ret_mine = rows.row_count && duck_cell_int(&rows, 0, 0) == turn && duck_cell(&rows, 0, 1) &&
	            !strcmp(duck_cell(&rows, 0, 1), pipeline->by);
	return 0;
}
