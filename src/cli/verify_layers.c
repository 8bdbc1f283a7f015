/* verify_layers.c - tarn verify's part about pipelines: is each row of a source in a table, in quarantine or counted?
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/layers.h"

enum column {
	PIPELINE,
	LAYER,
	MODEL,
	ROWS_IN,
	GROUPED,
	GROUPS,
	ROWS_OUT,
	QUARANTINED,
	FILTERED,
	IN_SOURCE,
	IN_TABLE,
	IN_QUARANTINE,
	BEHIND,
	PROBLEM,
	NOTE,
	COLUMNS
};

static const char *const headers[COLUMNS] = {
        "pipeline", "layer",     "model",    "rows in",       "grouped",          "groups",  "rows out", "quarantined",
        "filtered", "in source", "in table", "in quarantine", "behind snapshots", "problem", "note"};

static void add_model(struct table *table, const char *pipeline, const struct audited_model *model)
{
	bool counted = model->made && !model->view, grouped = counted && (model->grouped || model->groups);

	table_cell(table, pipeline);
	table_cell(table, model->layer);
	table_cell(table, model->name);
	layers_cell(table, counted ? model->rows_in : -1);
	layers_cell(table, grouped ? model->grouped : -1);
	layers_cell(table, grouped ? model->groups : -1);
	layers_cell(table, counted ? model->rows_out : -1);
	layers_cell(table, counted ? model->quarantined : -1);
	layers_cell(table, counted ? model->filtered : -1);
	layers_cell(table, counted ? model->source_rows : -1);
	layers_cell(table, counted ? model->table_rows : -1);
	layers_cell(table, counted ? model->quarantine_rows : -1);
	layers_cell(table, model->behind);
	table_cell(table, model->problem);
	table_cell(table, model->note);
}

static int print_json(const struct audited_pipeline *pipeline, const struct table *table, bool first, struct error *err)
{
	const struct pipeline_audit *audit = &pipeline->audit;
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, 64 << 20);
	buffer_text(&out, first ? "{\"pipeline\":" : ",\n{\"pipeline\":");
	buffer_json_text(&out, pipeline->spec->name, strlen(pipeline->spec->name));
	buffer_printf(&out, ",\"passed\":%s,\"turn\":%" PRId64 ",\"snapshot\":%" PRId64,
	              audit->passed ? "true" : "false", audit->turn, audit->snapshot);
	layers_json_number(&out, "behind_snapshots", audit->behind);
	if (layers_json_table(&out, "models", table, err))
		return -1;
	buffer_text(&out, "}");
	fputs(buffer_string(&out), stdout);
	return 0;
}

static int print_table(const struct audited_pipeline *pipeline, const struct table *table, struct error *err)
{
	const struct pipeline_audit *audit = &pipeline->audit;
	int made = 0;

	if (table_print(table, stdout, err))
		return -1;
	for (int i = 0; i < audit->model_count; i++) {
		const struct audited_model *model = &audit->models[i];

		made += model->made && model->model;
		if (*model->problem)
			printf("pipeline %s: %s: %s\n", pipeline->spec->name, model->name, model->problem);
	}
	printf("pipeline %s: %s - %d of %d models made", pipeline->spec->name,
	       audit->passed ? "verified" : "NOT verified", made, pipeline->models->count);
	if (audit->behind > 0)
		printf(", behind by %" PRId64 " %s of what they read", audit->behind,
		       audit->behind == 1 ? "change" : "changes");
	printf("\n");
	return 0;
}

int verify_pipeline(const struct spec_pipeline *spec, bool json, bool first, bool *passed, struct error *err)
{
	OWNED_TABLE struct table *table = table_new(COLUMNS, headers);
	struct audited_pipeline pipeline = {0};
	int failed;

	if (audited_pipeline_read(spec, true, &pipeline, err))
		return -1;
	for (int i = ROWS_IN; i <= BEHIND; i++)
		table_number(table, i);
	for (int i = 0; i < pipeline.audit.model_count; i++)
		add_model(table, spec->name, &pipeline.audit.models[i]);
	failed = json ? print_json(&pipeline, table, first, err) : print_table(&pipeline, table, err);
	*passed &= pipeline.audit.passed;
	audited_pipeline_release(&pipeline);
	return failed;
}
