/*
 * audit_state.c - what tarn.models says of a pipeline's models.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/audit_private.h"
#include "layers/compose.h"

enum column {
	MODEL,
	LAYER,
	HASH,
	SNAPSHOT,
	TURN,
	CHANGED_TURN,
	SOURCES,
	HOW,
	WHY,
	ROWS_IN,
	ROWS_OUT,
	GROUPED,
	GROUPS,
	QUARANTINED,
	DISCARDED,
	MS,
	REFRESHED,
};

static int has_tables(struct auditing *a, bool *ret_there)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	if (duck_query(
	            a->connection,
	            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'tarn' AND "
	            "table_name IN ('pipelines', 'models', 'quarantined_rows')",
	            &rows, a->err))
		return -1;
	*ret_there = rows.row_count == 3;
	return 0;
}

static int read_pipeline(struct auditing *a)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql, "SELECT turn, epoch_ms(refreshed_at) FROM lake.tarn.pipelines WHERE pipeline = ");
	buffer_sql_text(&sql, a->spec->name);
	if (audit_query(a, &sql, &rows))
		return -1;
	if (rows.row_count) {
		a->audit->turn = duck_cell_int(&rows, 0, 0);
		a->audit->refreshed_ms = duck_cell_int(&rows, 0, 1);
	}
	return 0;
}

static struct audited_model *find_model(const struct pipeline_audit *audit, const char *name)
{
	for (int i = 0; i < audit->model_count; i++)
		if (!strcasecmp(audit->models[i].name, name))
			return &audit->models[i];
	return NULL;
}

static const char *own_text(struct auditing *a, const char *text)
{
	return arena_text(&a->audit->arena, text ? text : "");
}

/* Those of the folder, and room for as many more. */
static int add_models(struct auditing *a, int64_t more)
{
	struct arena *arena = &a->audit->arena;
	size_t count = (size_t)a->set->count + (size_t)more + 1;

	a->audit->models = arena_alloc(arena, count * sizeof *a->audit->models);
	a->sources = arena_alloc(arena, count * sizeof *a->sources);
	a->hashes = arena_alloc(arena, count * sizeof *a->hashes);
	if (!a->audit->models || !a->sources || !a->hashes)
		return error_no_memory(a->err);
	for (int i = 0; i < a->set->count; i++) {
		const struct model *model = &a->set->models[i];

		a->audit->models[i] = (struct audited_model){.name = model->name,
		                                             .layer = layer_names[model->layer],
		                                             .model = model,
		                                             .view = model->options.materialized == MATERIALIZED_VIEW,
		                                             .how = "",
		                                             .why = ""};
	}
	a->audit->model_count = a->set->count;
	return 0;
}

static int take_model(struct auditing *a, const struct duck_rows *rows, int64_t row)
{
	struct audited_model *model = find_model(a->audit, duck_cell(rows, row, MODEL));
	int64_t index;

	if (model && model->made) {
		snprintf(model->problem, sizeof model->problem, "tarn.models has several rows of it");
		return 0;
	}
	if (!model) {
		model = &a->audit->models[a->audit->model_count++];
		model->name = own_text(a, duck_cell(rows, row, MODEL));
		model->layer = own_text(a, duck_cell(rows, row, LAYER));
		model->view = duck_cell(rows, row, HOW) && !strcmp(duck_cell(rows, row, HOW), "view");
		snprintf(model->note, sizeof model->note, "its file is gone: nothing refreshes its table any more");
	}
	index = model - a->audit->models;
	a->sources[index] = own_text(a, duck_cell(rows, row, SOURCES));
	a->hashes[index] = own_text(a, duck_cell(rows, row, HASH));
	model->made = true;
	model->how = own_text(a, duck_cell(rows, row, HOW));
	model->why = own_text(a, duck_cell(rows, row, WHY));
	model->snapshot = duck_cell_int(rows, row, SNAPSHOT);
	model->turn = duck_cell_int(rows, row, TURN);
	model->changed_turn = duck_cell_int(rows, row, CHANGED_TURN);
	model->rows_in = duck_cell_int(rows, row, ROWS_IN);
	model->rows_out = duck_cell_int(rows, row, ROWS_OUT);
	model->grouped = duck_cell_int(rows, row, GROUPED);
	model->groups = duck_cell_int(rows, row, GROUPS);
	model->quarantined = duck_cell_int(rows, row, QUARANTINED);
	model->discarded = duck_cell_int(rows, row, DISCARDED);
	model->ms = duck_cell_int(rows, row, MS);
	model->refreshed_ms = duck_cell_int(rows, row, REFRESHED);
	model->stale = model->model ? model_outdated(model->model, a->hashes[index]) : NULL;
	return a->audit->arena.failed ? error_no_memory(a->err) : 0;
}

/* ---- conditions */

/* Those of rows stand before those of groups; which they are the file says, as far as it is the one that made it. */
static int conditions_of_rows(const struct audited_model *model)
{
	int64_t missing = model->rows_in - model->quarantined -
	                  (model->grouped || model->groups ? model->grouped : model->rows_out);
	int count = 0;

	if (model->model && !model->stale)
		return compose_condition_count(&model->model->shape);
	while (count < model->condition_count && missing > 0)
		missing -= model->conditions[count++].rows;
	return count;
}

static void sum_conditions(struct audited_model *model)
{
	int of_rows = conditions_of_rows(model);

	for (int i = 0; i < model->condition_count; i++) {
		model->conditions[i].groups = i >= of_rows;
		model->filtered += i < of_rows ? model->conditions[i].rows : 0;
	}
}

static int add_condition(struct auditing *a, struct audited_model *model, int count, const char *text, int64_t rows)
{
	if (!model->conditions)
		model->conditions = arena_alloc(&a->audit->arena, (size_t)count * sizeof *model->conditions);
	if (!model->conditions)
		return error_no_memory(a->err);
	if (model->condition_count < count)
		model->conditions[model->condition_count++] =
		        (struct audited_condition){.text = own_text(a, text), .rows = rows};
	return 0;
}

/* tarn.models has a list of numbers and one of texts. */
static int read_conditions(struct auditing *a)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql,
	            "SELECT model, len(c), c[i], f[i] FROM (SELECT model, c, f, unnest(range(1, len(c) + 1)) AS i FROM "
	            "(SELECT model, from_json(conditions, '[\"VARCHAR\"]') AS c, string_split(filtered, ',') AS f FROM "
	            "lake.tarn.models WHERE pipeline = ");
	buffer_sql_text(&sql, a->spec->name);
	buffer_text(&sql, ")) ORDER BY model, i");
	if (audit_query(a, &sql, &rows))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++) {
		struct audited_model *model = find_model(a->audit, duck_cell(&rows, i, 0));

		if (model && add_condition(a, model, (int)duck_cell_int(&rows, i, 1), duck_cell(&rows, i, 2),
		                           duck_cell_int(&rows, i, 3)))
			return -1;
	}
	for (int i = 0; i < a->audit->model_count; i++)
		sum_conditions(&a->audit->models[i]);
	return 0;
}

int audit_state(struct auditing *a)
{
	OWNED_BUFFER struct buffer sql = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};
	bool there = false;

	if (has_tables(a, &there))
		return -1;
	if (!there)
		return add_models(a, 0);
	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	buffer_text(&sql,
	            "SELECT model, layer, hash, snapshot, turn, changed_turn, sources, how, why, rows_in, rows_out, "
	            "grouped, groups, quarantined, discarded, ms, epoch_ms(refreshed_at) FROM lake.tarn.models WHERE "
	            "pipeline = ");
	buffer_sql_text(&sql, a->spec->name);
	buffer_text(&sql, " ORDER BY model");
	if (read_pipeline(a) || audit_query(a, &sql, &rows) || add_models(a, rows.row_count))
		return -1;
	for (int64_t i = 0; i < rows.row_count; i++)
		if (take_model(a, &rows, i))
			return -1;
	return read_conditions(a);
}
