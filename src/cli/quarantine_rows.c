/* quarantine_rows.c - tarn quarantine list|replay|discard --model: the rows that a pipeline's model refused. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/owned.h"
#include "cli/quarantine.h"
#include "cli/table.h"
#include "layers/quarantined.h"

#define PATIENCE_MS 60000

static struct refused_rows selected(const struct quarantine_job *job)
{
	return (struct refused_rows){.model = option_text(job->invocation, "model"),
	                             .reason = job->selection.reason,
	                             .since_ms = job->selection.since_ms};
}

/* ---- list */

static int list_all(struct quarantine_job *job, struct error *err)
{
	const struct refused_rows rows = selected(job);
	OWNED_BUFFER struct buffer listed = {0}, totals = {0};

	if (refused_rows_check(job->session, err))
		return -1;
	buffer_init(&listed, 1 << 22);
	buffer_init(&totals, 1 << 22);
	refused_rows_list_sql(&rows, quarantine_limit(job), quarantine_format(job, "table"), &listed);
	refused_rows_totals_sql(&rows, &totals);
	return quarantine_print_list(job, &listed, "In all, by column and reason:", &totals, err);
}

int quarantine_rows_list(struct quarantine_job *job, struct error *err)
{
	*err = (struct error){0};
	if (list_all(job, err) == 0)
		return EXIT_DONE;
	return err->kind ? cli_fail(err) : EXIT_OUTPUT;
}

/* ---- replay and discard: with the pipeline that has the model */

static const struct model *find_model(const struct pipeline *pipeline, const char *name)
{
	const struct model_set *set = pipeline_models(pipeline);
	int index = models_find(set, "main", name);

	return index < 0 ? NULL : &set->models[index];
}

static struct pipeline *find_pipeline(struct quarantine_job *job, const char *name, struct error *err)
{
	for (int i = 0; i < job->manifest->pipeline_count; i++) {
		const struct spec_pipeline *spec = &job->manifest->pipelines[i];
		struct pipeline *pipeline;

		if (spec->catalog != job->catalog)
			continue;
		pipeline = pipeline_open(spec, job->manifest, job->lake, err);
		if (!pipeline || find_model(pipeline, name))
			return pipeline;
		pipeline_close(pipeline);
	}
	error_set(err, ERROR_INVALID, 0, "no pipeline of %.200s over catalog %s has a model %.63s", job->manifest->file,
	          job->catalog->name, name);
	return NULL;
}

static int print_replay(const struct quarantine_job *job, const struct model *model,
                        const struct refresh_report *report)
{
	bool dry_run = option_flag(job->invocation, "dry-run");
	char replayed[HUMAN_SIZE], left[HUMAN_SIZE];

	if (quarantine_format(job, "json")) {
		printf("{\"model\":\"%s\",\"replayed\":%" PRId64 ",\"left\":%" PRId64 ",\"snapshot\":", model->name,
		       report->replayed, report->left);
		if (report->committed && report->snapshot)
			printf("%" PRId64, report->snapshot);
		else
			printf("null");
		printf(",\"dry_run\":%s}\n", dry_run ? "true" : "false");
		return report->left ? EXIT_NO : EXIT_DONE;
	}
	if (*report->waits_for)
		printf("nothing was replayed: the pipeline waits for %s\n", report->waits_for);
	else if (!report->replayed && !report->left)
		printf("model %s has nothing in quarantine\n", model->name);
	else if (!report->replayed)
		printf("nothing %s: %s %s in quarantine; mend %s, then replay\n", dry_run ? "would leave" : "left",
		       human_count(report->left, left), report->left == 1 ? "row stays" : "rows stay", model->file);
	else
		printf("%s %s quarantine; %s %s there\n", human_count(report->replayed, replayed),
		       dry_run                 ? "would leave"
		       : report->replayed == 1 ? "row left"
		                               : "rows left",
		       human_count(report->left, left), report->left == 1 ? "stays" : "stay");
	return report->left ? EXIT_NO : EXIT_DONE;
}

static void show_model(void *context, const struct model *model, int number, int count)
{
	char line[160];

	snprintf(line, sizeof line, "[%d of %d] %s", number, count, model->name);
	log_progress(line);
}

int quarantine_rows_replay(struct quarantine_job *job, struct error *err)
{
	const char *name = option_text(job->invocation, "model");
	struct pipeline *pipeline;
	struct refresh_report report = {0};
	const struct model *model;
	struct refresh_options options = {.rehearse = option_flag(job->invocation, "dry-run"), .progress = show_model};
	int status;

	if (refused_rows_check(job->session, err) || !(pipeline = find_pipeline(job, name, err)))
		return cli_fail(err);
	model = find_model(pipeline, name);
	options.only = options.replay = model->name;
	status = pipeline_refresh_patiently(pipeline, &options, PATIENCE_MS, &report, err);
	log_progress(NULL);
	status = status ? cli_fail(err) : print_replay(job, model, &report);
	refresh_report_release(&report);
	pipeline_close(pipeline);
	return status;
}

int quarantine_rows_discard(struct quarantine_job *job, const char *because, struct error *err)
{
	struct refused_rows rows = selected(job);
	bool dry_run = option_flag(job->invocation, "dry-run");
	struct pipeline *pipeline;
	char count[HUMAN_SIZE];
	int64_t discarded = 0;
	int failed;

	if (refused_rows_check(job->session, err) || !(pipeline = find_pipeline(job, rows.model, err)))
		return cli_fail(err);
	rows.model = find_model(pipeline, rows.model)->name;
	failed = dry_run ? refused_rows_count(job->session, &rows, &discarded, err)
	                 : pipeline_discard(pipeline, &rows, because, PATIENCE_MS, &discarded, err);
	pipeline_close(pipeline);
	if (failed)
		return cli_fail(err);
	if (quarantine_format(job, "json"))
		printf("{\"discarded\":%" PRId64 ",\"dry_run\":%s}\n", discarded, dry_run ? "true" : "false");
	else if (!discarded)
		puts("nothing in quarantine matches");
	else
		printf("%s %s %s\n", human_count(discarded, count), discarded == 1 ? "row" : "rows",
		       dry_run ? "would be discarded"
		               : "discarded: tarn.quarantined_rows has them still, with the reason why");
	return EXIT_DONE;
}
