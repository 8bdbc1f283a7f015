/*
 * refresh.c - a pipeline's models brought up to what their sources hold, in one transaction (pipeline.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "layers/layers_private.h"
#include "layers/partial.h"

const char *refresh_how_name(enum refresh_how how)
{
	static const char *const names[] = {[REFRESH_NOTHING] = "nothing",
	                                    [REFRESH_INCREMENTAL] = "incremental",
	                                    [REFRESH_ANEW] = "anew",
	                                    [REFRESH_VIEW] = "view",
	                                    [REFRESH_LEFT_OUT] = "left out"};

	return names[how];
}

int model_condition_count(const struct model *model)
{
	return compose_condition_count(&model->shape) + model->shape.result.condition_count;
}

const char *model_condition(const struct model *model, int index)
{
	return compose_condition(&model->shape, index + 1);
}

void refresh_report_release(struct refresh_report *report)
{
	for (int i = 0; i < report->model_count; i++)
		free(report->models[i].by_condition);
	free(report->models);
	*report = (struct refresh_report){0};
}

/* ---- models and tables */

int bind_model(struct refresh *r, struct model_run *run)
{
	struct error why = {0};
	int line = 0;

	if (!describe_sql(r, run->model->sql, &run->columns))
		return 0;
	/* Where it cannot be bound: in which line? */
	if (!duck_check(r->connection, run->model->sql, &line, &why))
		return -1;
	*r->err = why;
	return line ? error_wrap(r->err, "%.200s:%d", run->model->file, line)
	            : error_wrap(r->err, "%.200s", run->model->file);
}

static bool is_of_stream(const struct pipeline *pipeline, const struct reference *read)
{
	const struct manifest *manifest = pipeline->manifest;

	for (int i = 0; manifest && i < manifest->stream_count; i++)
		if (manifest->streams[i].catalog == pipeline->spec->catalog &&
		    !strcasecmp(manifest->streams[i].schema, read->schema) &&
		    !strcasecmp(manifest->streams[i].table, read->table))
			return true;
	return false;
}

static int no_table(struct refresh *r, const struct model *model, const struct reference *read)
{
	return error_set(r->err, ERROR_INVALID, 0,
	                 "%.200s:%d: there is no table %s%s%s; would be a model of this pipeline, a table of a stream, "
	                 "or one that "
	                 "the lake has",
	                 model->file, read->line, strcmp(read->schema, "main") ? read->schema : "",
	                 strcmp(read->schema, "main") ? "." : "", read->table);
}

int look_for_table(struct refresh *r, const struct reference *read, enum found *ret_found)
{
	OWNED_BUFFER struct buffer sql = {0};
	int64_t count = 0;
	bool there = false;

	buffer_init(&sql, SQL_MAXIMUM_BYTES);
	append_table(&sql, read->schema, read->table);
	if (lake_has_tables(r->session, buffer_string(&sql), &there, r->err))
		return -1;
	*ret_found = FOUND;
	if (there)
		return 0;
	/* Nor a view that cannot be bound? */
	buffer_clear(&sql);
	buffer_text(&sql, "SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'lake' AND "
	                  "lower(table_schema) = lower(");
	buffer_sql_text(&sql, read->schema);
	buffer_text(&sql, ") AND lower(table_name) = lower(");
	buffer_sql_text(&sql, read->table);
	buffer_text(&sql, ")");
	if (count_sql(r, &sql, &count))
		return -1;
	*ret_found = count ? FOUND : is_of_stream(r->pipeline, read) ? FOUND_LATER : FOUND_NONE;
	return 0;
}

void wait_for(struct refresh *r, const struct reference *read)
{
	snprintf(r->report->waits_for, sizeof r->report->waits_for, "%s.%s", read->schema, read->table);
}

/* 1: all tables are there; 0: one is still to come; -1: there is none. */
static int find_tables(struct refresh *r, const struct model *model)
{
	for (int i = 0; i < model->read_count; i++) {
		const struct reference *read = &model->reads[i];
		enum found found = FOUND;

		if (read->model < 0 && look_for_table(r, read, &found))
			return -1;
		if (found == FOUND_NONE)
			return no_table(r, model, read);
		if (found == FOUND_LATER) {
			wait_for(r, read);
			return 0;
		}
	}
	return 1;
}

/* ---- one model */

static bool is_meant(const struct refresh *r, int index)
{
	const struct model_set *set = r->pipeline->models;
	int only;

	if (!r->options->only)
		return true;
	only = models_find(set, "main", r->options->only);
	return index == only || models_depend(set, only, index) || models_depend(set, index, only);
}

static void take_counts(struct model_run *run)
{
	const struct model_state *before = &run->before;
	struct model_report *report = run->report;

	report->rows_in = before->rows_in;
	report->rows_out = before->rows_out;
	report->grouped = before->grouped;
	report->groups = before->groups;
	report->quarantined = before->quarantined;
	report->discarded = before->discarded;
	for (int i = 0; i < before->filtered_count && i < model_condition_count(run->model); i++) {
		run->report->by_condition[i] = before->filtered[i];
		if (i < compose_condition_count(&run->model->shape))
			report->filtered += before->filtered[i];
	}
}

static int do_model(struct refresh *r, struct model_run *run)
{
	bool whole = run->whole || run->model->shape.kind == SHAPE_WHOLE || run->report->how == REFRESH_VIEW;

	if (run->report->how == REFRESH_NOTHING)
		return 0;
	if (whole)
		return whole_anew(r, run);
	if (run->model->shape.kind == SHAPE_ROWS)
		return run->anew ? rows_anew(r, run) : rows_change(r, run);
	return run->anew ? groups_anew(r, run) : groups_change(r, run);
}

static int make(struct refresh *r, struct model_run *run, int index)
{
	if (index != r->suspect) {
		r->failed = index;
		if (do_model(r, run) || use_threads_for(r, 0))
			return -1;
		r->failed = -1;
		return 0;
	}
	if (!culprit_find(r, run, &r->culprit))
		error_set(r->err, ERROR_INVALID, 0, "this is how far the model was looked at");
	return -1;
}

static int refresh_model(struct refresh *r, int index)
{
	struct model_run *run = &r->runs[index];
	int64_t started_ms = clock_monotonic_ms();

	take_counts(run);
	if (!is_meant(r, index)) {
		run->report->how = REFRESH_LEFT_OUT;
		return 0;
	}
	if (r->options->progress)
		r->options->progress(r->options->context, run->model, index + 1, r->pipeline->models->count);
	if (decide(r, run) || (!r->options->dry_run && make(r, run, index))) {
		if (strncmp(r->err->message, run->model->file, strlen(run->model->file)) != 0)
			error_wrap(r->err, "%.200s", run->model->file);
		return -1;
	}
	if (r->options->dry_run)
		return 0;
	run->report->ms = clock_monotonic_ms() - started_ms;
	return fault_error(FAULT_REFRESH_MODEL, r->err);
}

/* ---- scores */

bool has_changes(const struct refresh *r)
{
	for (int i = 0; i < r->pipeline->models->count; i++)
		if (r->runs[i].changed || r->runs[i].anew)
			return true;
	return false;
}

/* What tells one version of the model's file from another; 0: there is none yet. */
static int64_t stamp_model_file(const char *path)
{
	struct stat stat_;

	if (stat(path, &stat_))
		return 0;
	return (stat_.st_mtim.tv_sec * 1000000000 + stat_.st_mtim.tv_nsec) ^ stat_.st_size;
}

bool is_of_scores(const struct refresh *r, const struct reference *read)
{
	return names_scores(r->pipeline->spec, read->schema, read->table);
}

/* Has nothing of what the scores are made of changed since this process made them? */
static bool scores_are_true(const struct refresh *r, int64_t stamp)
{
	const struct pipeline *pipeline = r->pipeline;
	bool others = pipeline->scores_read_others && (!r->snapshots || pipeline->scored_snapshot != r->snapshot);

	return stamp == pipeline->scored_stamp && !has_changes(r) && !others;
}

/* With the layers, in their snapshot: when they changed, or something else that is scored, or the model was trained
 * anew. Until it is trained there are none. */
static int refresh_scores(struct refresh *r)
{
	struct pipeline *pipeline = r->pipeline;
	int64_t stamp = pipeline->scores ? stamp_model_file(pipeline->spec->model.file) : 0;
	struct score_written written = {0};

	if (!stamp || scores_are_true(r, stamp))
		return 0;
	if (use_threads_for(r, -1))
		return -1;
	if (score_write(r->session, pipeline->scores, pipeline->spec, r->snapshot, &written, r->err))
		return error_wrap(r->err, "model %s", pipeline->spec->model.name);
	r->report->scores_changed = written.changed;
	r->report->scored_rows = written.rows;
	pipeline->scored_stamp = stamp;
	pipeline->scored_snapshot = r->snapshot;
	return 0;
}

/* ---- the transaction */

static void append_note(const struct refresh *r, struct buffer *note)
{
	bool any = false;

	buffer_printf(note, "\"source_snapshots\":{\"from\":%" PRId64 ",\"to\":%" PRId64 "},\"models\":{",
	              r->report->from_snapshot, r->snapshot);
	for (int i = 0; i < r->pipeline->models->count; i++) {
		const struct model *model = &r->pipeline->models->models[i];

		buffer_text(note, any ? "," : "");
		buffer_json_text(note, model->name, strlen(model->name));
		buffer_printf(note, ":{\"hash\":\"%s\",\"how\":\"%s\"}", model->hash,
		              refresh_how_name(r->report->models[i].how));
		any = true;
	}
	buffer_char(note, '}');
}

static void tell_range(struct refresh *r)
{
	r->report->to_snapshot = r->snapshot;
	for (int i = 0; i < r->pipeline->models->count; i++) {
		const struct model_state *before = &r->runs[i].before;

		if (before->known && (!r->report->from_snapshot || before->snapshot < r->report->from_snapshot))
			r->report->from_snapshot = before->snapshot;
	}
}

/* In the transaction. 1: there is something to commit; 0: there is not. */
static int refresh_models(struct refresh *r)
{
	const struct model_set *set = r->pipeline->models;
	int there;

	if (state_read(r) || lake_snapshot(r->session, &r->snapshot, r->err) || expectations_bind(r))
		return -1;
	tell_range(r);
	if (r->options->replay && quarantined_note(r))
		return -1;
	for (int i = 0; i < set->count; i++) {
		there = find_tables(r, &set->models[i]);
		if (there <= 0)
			return there;
	}
	there = expect_find_tables(r);
	if (there <= 0)
		return there;
	for (int i = 0; i < set->count; i++)
		if (refresh_model(r, i))
			return -1;
	if (r->options->dry_run)
		return 0;
	if (refresh_scores(r))
		return -1;
	if (expect_evaluate(r) || expect_report(r))
		return -1;
	if (r->held_back)
		return expect_tell_held_back(r);
	if (!has_changes(r) && !r->report->scores_changed && !expect_has_news(r))
		return r->options->replay ? quarantined_compare(r) : 0;
	if (use_threads_for(r, 0) || state_write(r) || expect_write(r) ||
	    (r->options->replay && quarantined_compare(r)))
		return -1;
	return !r->options->rehearse;
}

static int run_transaction(struct refresh *r)
{
	int failed = transaction_run(r, refresh_models, append_note);

	if (r->held_back && !r->committed)
		expect_note_held_back(r);
	if (failed || !r->committed)
		return failed ? -1 : 0;
	drop_temporaries(r);
	r->report->committed = true;
	return lake_snapshot(r->pipeline->session, &r->report->snapshot, r->err);
}

static int prepare(struct refresh *r, struct refresh_report *report)
{
	struct pipeline *pipeline = r->pipeline;
	int count = pipeline->models->count;

	if (r->options->only && models_find(pipeline->models, "main", r->options->only) < 0)
		return error_set(r->err, ERROR_INVALID, 0, "there is no model %.63s in %.200s", r->options->only,
		                 pipeline->spec->models);
	report->models = calloc((size_t)count + 1, sizeof *report->models);
	r->runs = calloc((size_t)count + 1, sizeof *r->runs);
	if (!report->models || !r->runs)
		return error_no_memory(r->err);
	report->model_count = count;
	for (int i = 0; i < count; i++) {
		report->models[i].model = r->runs[i].model = &pipeline->models->models[i];
		r->runs[i].report = &report->models[i];
		r->runs[i].delta_rows[DELTA_GONE] = r->runs[i].delta_rows[DELTA_NEW] = -1;
		report->models[i].by_condition =
		        calloc((size_t)model_condition_count(report->models[i].model) + 1, sizeof(int64_t));
		if (!report->models[i].by_condition)
			return error_no_memory(r->err);
	}
	if (expect_prepare(r))
		return -1;
	r->snapshots = lake_has_snapshots(pipeline->lake);
	buffer_init(&r->drops, SQL_MAXIMUM_BYTES);
	return 0;
}

/* What may be done again from the start. */
static void release_runs(struct refresh *r)
{
	for (int i = 0; r->runs && i < r->pipeline->models->count; i++) {
		model_state_release(&r->runs[i].before);
		described_release(&r->runs[i].columns);
		described_release(&r->runs[i].source);
		free(r->runs[i].sources);
		free(r->runs[i].reads);
		definitions_release(&r->runs[i]);
		partials_free(r->runs[i].parts);
	}
	free(r->runs);
	r->runs = NULL;
	buffer_release(&r->drops);
	expect_release(r);
	feed_release(r);
	duck_rows_release(&r->definitions);
	r->definitions_known = false;
}

/* After a transaction that was rolled back: all from the start, in another one. */
static int run_again(struct refresh *r)
{
	release_runs(r);
	refresh_report_release(r->report);
	r->quarantine_known = r->miscounted = r->held_back = r->expectations_dropped = false;
	r->failed = -1;
	return prepare(r, r->report) || run_transaction(r) ? -1 : 0;
}

/* What it made for the model to read is gone: all is made again up to the model. */
static void tell_culprit(struct refresh *r)
{
	const struct model *model = &r->pipeline->models->models[r->failed];
	struct error second = {0}, *err = r->err;
	char told[sizeof err->message];
	size_t prefix = strlen(model->file) + strlen(": ");

	/* It has a line already, or is of something else than a row. */
	if (strncmp(err->message, model->file, strlen(model->file)) != 0 ||
	    strncmp(err->message + strlen(model->file), ": ", 2) != 0 || model->shape.kind == SHAPE_WHOLE)
		return;
	snprintf(told, sizeof told, "%s", err->message + prefix);
	r->suspect = r->failed;
	r->err = &second;
	run_again(r);
	r->err = err;
	if (!*r->culprit.what)
		return;
	error_set(err, ERROR_INVALID, err->code, "%.200s%s%.0d: %.200s (%.80s, of the row %s)", model->file,
	          r->culprit.line ? ":" : "", r->culprit.line, told, r->culprit.what, r->culprit.row);
}

/* Of what the model reads, did the refresh see rows go? Where none went a row that it refuses is still there. */
static bool lost_rows(const struct refresh *r, const struct model_run *run)
{
	for (int i = 0; i < run->read_count; i++) {
		const struct reference *read = run->reads[i];

		if (read->model >= 0 && r->runs[read->model].delta_rows[DELTA_GONE] != 0)
			return true;
		for (int k = 0; read->model < 0 && k < r->feed_count; k++)
			if (!strcasecmp(r->feeds[k].schema, read->schema) &&
			    !strcasecmp(r->feeds[k].table, read->table) && r->feeds[k].rows[DELTA_GONE] != 0)
				return true;
	}
	return false;
}

/*
 * A model whose changes could not be applied may be made anew all the same: a row that it refuses came and went since,
 * and is among what is new and what is gone; or the counts do not add up, since something was not followed that should
 * be. Each model is doubted once, and then what it says is so.
 */
static bool doubt_changes(struct refresh *r)
{
	const struct model_run *run = r->failed >= 0 ? &r->runs[r->failed] : NULL;

	if (!run || run->report->how != REFRESH_INCREMENTAL || *r->doubts[r->failed])
		return false;
	if (!r->miscounted && (r->err->kind != ERROR_INVALID || !lost_rows(r, run)))
		return false;
	snprintf(r->doubts[r->failed], sizeof *r->doubts, "%s",
	         r->miscounted ? "the counts of its changes did not add up" : "a row that came and went fails in it");
	return true;
}

int pipeline_refresh(struct pipeline *pipeline, const struct refresh_options *options,
                     struct refresh_report *ret_report, struct error *err)
{
	struct refresh_report report = {0};
	struct refresh r = {
	        .pipeline = pipeline, .options = options, .report = &report, .failed = -1, .suspect = -1, .err = err};
	int64_t started_ms = clock_monotonic_ms();
	int failed;

	r.doubts = calloc((size_t)pipeline->models->count + 1, sizeof *r.doubts);
	failed = r.doubts ? prepare(&r, &report) : error_no_memory(err);
	if (!failed)
		failed = transaction_open(&r) || run_transaction(&r);
	while (failed && doubt_changes(&r))
		failed = run_again(&r);
	if (failed && err->kind == ERROR_INVALID && r.failed >= 0)
		tell_culprit(&r);
	transaction_close(&r);
	release_runs(&r);
	free(r.doubts);
	report.ms = clock_monotonic_ms() - started_ms;
	if (failed) {
		pipeline->scored_stamp = 0;
		refresh_report_release(&report);
		return -1;
	}
	*ret_report = report;
	return 0;
}

int pipeline_refresh_patiently(struct pipeline *pipeline, const struct refresh_options *options, int64_t patience_ms,
                               struct refresh_report *ret_report, struct error *err)
{
	struct patience patience = patience_of(patience_ms);

	while (pipeline_refresh(pipeline, options, ret_report, err))
		if (!patience_again(&patience, err))
			return -1;
	return 0;
}
