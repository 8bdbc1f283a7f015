/* status_layers.c - tarn status' part about pipelines: what their models hold, and how far they are behind. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "cli/layers.h"

enum column {
	PIPELINE,
	LAYER,
	MODEL,
	HOW,
	IN,
	OUT,
	QUARANTINED,
	FILTERED,
	TIME,
	REFRESHED,
	BEHIND,
	LAG,
	STATE,
	WHY,
	COLUMNS
};

static const char *const headers[COLUMNS] = {"pipeline", "layer",       "model",    "how",  "rows in",
                                             "rows out", "quarantined", "filtered", "took", "last refresh",
                                             "behind",   "lag",         "state",    "why"};

enum filter_column { FILTER_PIPELINE, FILTER_MODEL, FILTER_REASON, FILTER_ROWS, FILTER_COLUMNS };

static const char *const filter_headers[FILTER_COLUMNS] = {"pipeline", "model", "left out where not", "rows"};

static const char *state_of(const struct audited_model *model)
{
	if (!model->made)
		return "not made yet";
	if (!model->model)
		return "file gone";
	if (model->stale)
		return "outdated";
	return model->behind > 0 ? "behind" : model->behind < 0 ? "unknown" : "ok";
}

static const char *state_of_pipeline(const struct pipeline_audit *audit)
{
	bool behind = false, outdated = false;

	if (!audit->turn)
		return "not started";
	for (int i = 0; i < audit->model_count; i++) {
		const struct audited_model *model = &audit->models[i];

		outdated |= model->model && (model->stale || !model->made);
		behind |= model->behind > 0;
	}
	return outdated ? "outdated" : behind ? "behind" : audit->behind < 0 ? "unknown" : "ok";
}

/* ---- for people */

static void count_cell(struct table *table, bool counted, int64_t count)
{
	if (counted)
		table_cell_count(table, count);
	else
		table_cell(table, NULL);
}

static void add_model(struct table *table, const char *pipeline, const struct audited_model *model)
{
	bool counted = model->made && !model->view;
	char refreshed[40] = "";

	if (model->refreshed_ms)
		clock_format(model->refreshed_ms, refreshed, sizeof refreshed);
	table_cell(table, pipeline);
	table_cell(table, model->layer);
	table_cell(table, model->name);
	table_cell(table, model->made ? model->how : NULL);
	count_cell(table, counted, model->rows_in);
	count_cell(table, counted, model->rows_out);
	count_cell(table, counted, model->quarantined);
	count_cell(table, counted, model->filtered);
	if (model->made)
		table_cell_duration(table, model->ms);
	else
		table_cell(table, NULL);
	table_cell(table, *refreshed ? refreshed : NULL);
	layers_cell(table, model->behind);
	if (model->behind_ms >= 0)
		table_cell_duration(table, model->behind_ms);
	else
		table_cell(table, NULL);
	table_cell(table, state_of(model));
	table_cell(table, model->why);
}

static void add_filters(struct table *table, const char *pipeline, const struct audited_model *model)
{
	for (int i = 0; i < model->condition_count; i++) {
		const struct audited_condition *condition = &model->conditions[i];

		if (!condition->rows)
			continue;
		table_cell(table, pipeline);
		table_cell(table, model->name);
		table_cell(table, condition->text);
		if (condition->groups)
			table_cellf(table, "%" PRId64 " groups", condition->rows);
		else
			table_cell_count(table, condition->rows);
	}
}

static int append_tables(const struct table *models, const struct table *filters, struct buffer *out, struct error *err)
{
	struct table_style style = table_style_of(stdout);

	if (table_render(models, &style, out, err))
		return -1;
	return table_row_count(filters) ? table_render(filters, &style, out, err) : 0;
}

/* ---- for programs */

static void append_filters(const struct audited_model *model, struct buffer *out)
{
	buffer_text(out, ",\"filtered_by\":[");
	for (int i = 0; i < model->condition_count; i++) {
		buffer_text(out, i ? ",{\"condition\":" : "{\"condition\":");
		buffer_json_text(out, model->conditions[i].text, strlen(model->conditions[i].text));
		buffer_printf(out, ",\"%s\":%" PRId64 "}", model->conditions[i].groups ? "groups" : "rows",
		              model->conditions[i].rows);
	}
	buffer_text(out, "]");
}

static void append_time(struct buffer *out, const char *key, int64_t ms)
{
	char text[40];

	if (!ms) {
		buffer_printf(out, ",\"%s\":null", key);
		return;
	}
	clock_format(ms, text, sizeof text);
	layers_json_text(out, key, text);
}

static void append_lag(struct buffer *out, int64_t snapshots, int64_t ms)
{
	layers_json_number(out, "behind_snapshots", snapshots);
	if (ms < 0)
		buffer_text(out, ",\"behind_seconds\":null");
	else
		buffer_printf(out, ",\"behind_seconds\":%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

static void append_model(const struct audited_model *model, struct buffer *out)
{
	bool counted = model->made && !model->view;

	buffer_text(out, "{\"model\":");
	buffer_json_text(out, model->name, strlen(model->name));
	layers_json_text(out, "layer", model->layer);
	layers_json_text(out, "state", state_of(model));
	if (model->made) {
		layers_json_text(out, "how", model->how);
		layers_json_text(out, "why", model->why);
	} else {
		buffer_text(out, ",\"how\":null,\"why\":null");
	}
	layers_json_number(out, "rows_in", counted ? model->rows_in : -1);
	layers_json_number(out, "rows_out", counted ? model->rows_out : -1);
	layers_json_number(out, "quarantined", counted ? model->quarantined : -1);
	layers_json_number(out, "discarded", counted ? model->discarded : -1);
	layers_json_number(out, "filtered", counted ? model->filtered : -1);
	append_filters(model, out);
	layers_json_number(out, "ms", model->made ? model->ms : -1);
	append_time(out, "refreshed_at", model->refreshed_ms);
	append_lag(out, model->behind, model->behind_ms);
	buffer_text(out, "}");
}

static void append_pipeline(const struct audited_pipeline *pipeline, struct buffer *out)
{
	const struct pipeline_audit *audit = &pipeline->audit;

	buffer_text(out, "{\"pipeline\":");
	buffer_json_text(out, pipeline->spec->name, strlen(pipeline->spec->name));
	layers_json_text(out, "catalog", pipeline->spec->catalog->name);
	layers_json_text(out, "state", state_of_pipeline(audit));
	buffer_printf(out, ",\"turn\":%" PRId64 ",\"snapshot\":%" PRId64, audit->turn, audit->snapshot);
	append_time(out, "refreshed_at", audit->refreshed_ms);
	append_lag(out, audit->behind, audit->behind_ms);
	buffer_text(out, ",\"models\":[");
	for (int i = 0; i < audit->model_count; i++) {
		buffer_text(out, i ? ",\n  " : "");
		append_model(&audit->models[i], out);
	}
	buffer_text(out, "]}");
}

/* ---- both */

int status_pipelines(const struct manifest *manifest, bool json, struct buffer *out, struct error *err)
{
	OWNED_TABLE struct table *models = table_new(COLUMNS, headers);
	OWNED_TABLE struct table *filters = table_new(FILTER_COLUMNS, filter_headers);

	for (int i = IN; i <= FILTERED; i++)
		table_number(models, i);
	table_number(models, BEHIND);
	table_number(filters, FILTER_ROWS);
	for (int i = 0; i < manifest->pipeline_count; i++) {
		struct audited_pipeline pipeline = {0};

		if (audited_pipeline_read(&manifest->pipelines[i], false, &pipeline, err))
			return -1;
		if (json && i)
			buffer_text(out, ",\n");
		if (json)
			append_pipeline(&pipeline, out);
		for (int k = 0; k < pipeline.audit.model_count; k++) {
			add_model(models, pipeline.spec->name, &pipeline.audit.models[k]);
			add_filters(filters, pipeline.spec->name, &pipeline.audit.models[k]);
		}
		audited_pipeline_release(&pipeline);
	}
	if (!json && append_tables(models, filters, out, err))
		return -1;
	return buffer_ok(out) ? 0 : error_no_memory(err);
}
