/* transform.c - tarn transform FILE: the tables of a pipeline brought up to date, once. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/table.h"
#include "layers/pipeline.h"
#include "spec/spec.h"

#define PATIENCE_MS 30000 /* with somebody else who refreshes it, or a lake that does not answer */

enum column { PIPELINE, LAYER, MODEL, HOW, IN, OUT, QUARANTINED, FILTERED, NEW, GONE, TIME, WHY, COLUMNS };

static const char *const headers[COLUMNS] = {"pipeline",    "layer",    "model",    "how",     "rows in", "rows out",
                                             "quarantined", "filtered", "inserted", "deleted", "time",    "why"};

static void show_model(void *context, const struct model *model, int number, int count)
{
	char line[160];

	snprintf(line, sizeof line, "[%d of %d] %s %s", number, count, layer_names[model->layer], model->name);
	log_progress(line);
}

static void add_model(struct table *table, const char *pipeline, const struct model_report *report)
{
	table_cell(table, pipeline);
	table_cell(table, layer_names[report->model->layer]);
	table_cell(table, report->model->name);
	table_cell(table, refresh_how_name(report->how));
	table_cell_count(table, report->rows_in);
	table_cell_count(table, report->rows_out);
	table_cell_count(table, report->quarantined);
	table_cell_count(table, report->filtered);
	table_cell_count(table, report->inserted);
	table_cell_count(table, report->deleted);
	table_cell_duration(table, report->ms);
	table_cell(table, report->why);
}

static void print_expectations_json(const struct refresh_report *report)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, BUFFER_DEFAULT_MAXIMUM);
	for (int i = 0; i < report->expectation_count; i++) {
		const struct expectation_report *one = &report->expectations[i];
		const struct expectation *e = one->expectation;

		buffer_text(&out, i ? ",{\"table\":" : "{\"table\":");
		buffer_json_text(&out, e->table, strlen(e->table));
		buffer_text(&out, ",\"name\":");
		buffer_json_text(&out, e->name, strlen(e->name));
		buffer_printf(
		        &out,
		        ",\"check\":\"%s\",\"severity\":\"%s\",\"passed\":%s,\"evaluated\":%s,\"failed_rows\":%" PRId64
		        ",\"example\":%s}",
		        check_name(e->spec->check), severity_name(e->spec->severity), one->passed ? "true" : "false",
		        one->evaluated ? "true" : "false", one->failed_rows, one->example ? one->example : "[]");
	}
	printf(",\"expectations\":[%s]}", buffer_string(&out));
}

/* Of severity warn: what breaks one of severity error is the error that ends the refresh. */
static void print_warnings(const struct refresh_report *report)
{
	for (int i = 0; i < report->expectation_count; i++) {
		const struct expectation_report *one = &report->expectations[i];
		const struct expectation *e = one->expectation;
		char text[HUMAN_SIZE], title[160];

		if (one->passed)
			continue;
		expectation_title(e, title, sizeof title);
		printf("warning: %s%s", e->file ? e->file : "", e->file && !e->spec->line ? ": " : "");
		if (e->file && e->spec->line)
			printf(":%d: ", e->spec->line);
		printf("expectation %s%s%s: %s row%s it: %s\n", title, *e->table ? " of " : "", e->table,
		       human_count(one->failed_rows, text), one->failed_rows == 1 ? " breaks" : "s break",
		       one->example ? one->example : "[]");
	}
}

static int print_report(const char *pipeline, const struct refresh_report *report, bool json, struct error *err)
{
	OWNED_TABLE struct table *table = table_new(COLUMNS, headers);
	char text[HUMAN_SIZE];

	for (int i = 0; i < report->model_count; i++)
		add_model(table, pipeline, &report->models[i]);
	if (json) {
		printf("{\"pipeline\":\"%s\",\"committed\":%s,\"from_snapshot\":%" PRId64 ",\"to_snapshot\":%" PRId64
		       ",\"snapshot\":%" PRId64 ",\"ms\":%" PRId64 ",\"waits_for\":\"%s\",\"models\":",
		       pipeline, report->committed ? "true" : "false", report->from_snapshot, report->to_snapshot,
		       report->snapshot, report->ms, report->waits_for);
		if (table_print_json(table, stdout, err))
			return -1;
		print_expectations_json(report);
		return 0;
	}
	if (table_print(table, stdout, err))
		return -1;
	human_duration(report->ms, text);
	if (*report->waits_for)
		printf("pipeline %s: waits for %s, which its stream makes with its first rows\n", pipeline,
		       report->waits_for);
	else if (report->committed && report->snapshot)
		printf("pipeline %s: refreshed in %s, snapshot %" PRId64 "\n", pipeline, text, report->snapshot);
	else
		printf("pipeline %s: %s in %s\n", pipeline, report->committed ? "refreshed" : "nothing to do", text);
	print_warnings(report);
	return 0;
}

static int transform(const struct manifest *manifest, const struct spec_pipeline *spec,
                     const struct invocation *invocation, struct error *err)
{
	struct lake_options lake_options = {.writer = true, .rests = true, .memory_bytes = spec->memory_bytes};
	struct refresh_options options = {.full = option_flag(invocation, "full"),
	                                  .only = option_text(invocation, "only"),
	                                  .dry_run = option_flag(invocation, "dry-run"),
	                                  .progress = show_model};
	struct lake *lake = lake_open(spec->catalog, &lake_options, err);
	struct pipeline *pipeline = lake ? pipeline_open(spec, manifest, lake, err) : NULL;
	struct refresh_report report = {0};
	int failed = !pipeline || pipeline_refresh_patiently(pipeline, &options, PATIENCE_MS, &report, err);

	log_progress(NULL);
	if (!failed)
		failed = print_report(spec->name, &report, !strcmp(option_text(invocation, "format"), "json"), err);
	refresh_report_release(&report);
	pipeline_close(pipeline);
	lake_close(lake);
	return failed ? -1 : 0;
}

int cmd_transform(const struct invocation *invocation)
{
	bool json = !strcmp(option_text(invocation, "format"), "json");
	struct error err = {0};
	struct manifest *manifest = manifest_load(invocation->positional[0], &err);
	int failed = 0;

	if (!manifest)
		return cli_fail(&err);
	if (!manifest->pipeline_count)
		failed =
		        error_set(&err, ERROR_INVALID, 0,
		                  "%.200s declares no DuckLakePipeline: there is nothing to transform", manifest->file);
	if (json && !failed)
		fputs("[", stdout);
	for (int i = 0; i < manifest->pipeline_count && !failed; i++) {
		if (json && i)
			fputs(",\n", stdout);
		failed = transform(manifest, &manifest->pipelines[i], invocation, &err);
	}
	if (json && !failed)
		fputs("]\n", stdout);
	manifest_free(manifest);
	return failed ? cli_fail(&err) : EXIT_DONE;
}
