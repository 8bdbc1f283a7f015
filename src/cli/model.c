/* model.c - tarn model train|evaluate|predict|explain: a pipeline's model. */
#include "cli/model.h"

#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "cli/cli.h"
#include "cli/query_write.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "score/scores.h"
#include "spec/mistake.h"
#include "spec/spec.h"

struct job {
	const struct invocation *invocation;
	struct manifest *manifest;
	const struct spec_pipeline *pipeline; /* borrowed from the manifest */
	struct lake *lake;
	struct lake_session *session;
	struct score_models *models;
};

static int train(struct job *job, struct error *err);
static int evaluate_file(struct job *job, struct error *err);
static int predict(struct job *job, struct error *err);
static int explain(struct job *job, struct error *err);

/* The verbs. Each returns 0, or -1 where *err is filled or a write failed (cli_finish tells that). */
static const struct verb {
	const char *name;
	int (*run)(struct job *, struct error *);
	bool rows; /* prints rows: csv is a form of its answer */
} verbs[] = {
        {"train", train, false},
        {"evaluate", evaluate_file, false},
        {"predict", predict, true},
        {"explain", explain, true},
};

static bool is_format(const struct job *job, const char *name)
{
	return !strcmp(option_text(job->invocation, "format"), name);
}

/* ---- train, evaluate */

static int print_report(const struct job *job, const struct score_report *report, struct error *err)
{
	OWNED_BUFFER struct buffer out = {0};

	if (is_format(job, "table"))
		return model_report_print(job->pipeline, report, err);
	buffer_init(&out, BUFFER_DEFAULT_MAXIMUM);
	model_report_json(job->pipeline, report, &out);
	if (!buffer_ok(&out))
		return error_no_memory(err);
	puts(buffer_string(&out));
	return 0;
}

static int train(struct job *job, struct error *err)
{
	OWNED_SCORE_REPORT struct score_report report = {0};

	if (score_train(job->session, job->pipeline, &report, err) || print_report(job, &report, err))
		return -1;
	if (is_format(job, "table"))
		printf("the model is in %s\n", job->pipeline->model.file);
	return 0;
}

static int evaluate_file(struct job *job, struct error *err)
{
	OWNED_SCORE_REPORT struct score_report report = {0};

	return score_evaluate(job->session, job->pipeline, &report, err) || print_report(job, &report, err) ? -1 : 0;
}

/* ---- predict, explain */

static int print_rows(const struct job *job, const char *sql, struct error *err)
{
	struct output_file output = {.file = stdout};
	struct query *query = query_open(lake_connection(job->session), sql, err);
	int failed;

	if (!query)
		return error_wrap(err, "model %s", job->pipeline->model.name);
	if (is_format(job, "csv"))
		failed = query_write_csv(query, &output, err);
	else if (is_format(job, "json"))
		failed = query_write_json(query, &output, err);
	else
		failed = query_write_table(query, &output, err);
	query_close(query);
	return failed && err->kind ? error_wrap(err, "model %s", job->pipeline->model.name) : failed;
}

static int predict(struct job *job, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	scores_select(job->pipeline, NULL, &sql);
	return buffer_ok(&sql) ? print_rows(job, buffer_string(&sql), err) : error_no_memory(err);
}

/* "subscriber_id = 4711, day = 2024-03-01" */
static void append_key(const struct job *job, struct buffer *out)
{
	for (int i = 0; i < job->pipeline->model.key_count; i++)
		buffer_printf(out, "%s%s = %s", i ? ", " : "", job->pipeline->model.key[i],
		              job->invocation->positional[2 + i]);
}

/* The score of the row, which must be there; for a person the line that tells it. */
static int check_row(const struct job *job, const char *select, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0}, key = {0};
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	buffer_init(&key, BUFFER_DEFAULT_MAXIMUM);
	buffer_printf(&sql, "SELECT format('{:.4f}', score) FROM (%s)", select);
	append_key(job, &key);
	if (!buffer_ok(&sql) || !buffer_ok(&key))
		return error_no_memory(err);
	if (duck_query(lake_connection(job->session), buffer_string(&sql), &rows, err))
		return error_wrap(err, "model %s", job->pipeline->model.name);
	if (!rows.row_count)
		return error_set(err, ERROR_INVALID, 0, "model %s: no row of those that are scored has %.300s",
		                 job->pipeline->model.name, buffer_string(&key));
	if (is_format(job, "table"))
		printf("%s: score %s\n", buffer_string(&key), duck_cell(&rows, 0, 0));
	return 0;
}

static int explain_row(const struct job *job, struct error *err)
{
	OWNED_BUFFER struct buffer select = {0}, parts = {0};

	buffer_init(&select, BUFFER_DEFAULT_MAXIMUM);
	buffer_init(&parts, BUFFER_DEFAULT_MAXIMUM);
	scores_select(job->pipeline, job->invocation->positional + 2, &select);
	if (check_row(job, buffer_string(&select), err))
		return -1;
	if (is_format(job, "json"))
		return print_rows(job, buffer_string(&select), err);
	buffer_printf(
	        &parts,
	        "SELECT part.feature, part.\"value\", part.contribution FROM (SELECT unnest(contributions) AS part "
	        "FROM (%s))",
	        buffer_string(&select));
	return buffer_ok(&parts) ? print_rows(job, buffer_string(&parts), err) : error_no_memory(err);
}

static int explain(struct job *job, struct error *err)
{
	OWNED_BUFFER struct buffer sql = {0};

	if (job->invocation->positional_count > 2)
		return explain_row(job, err);
	buffer_init(&sql, BUFFER_DEFAULT_MAXIMUM);
	scores_importance(job->pipeline, &sql);
	return buffer_ok(&sql) ? print_rows(job, buffer_string(&sql), err) : error_no_memory(err);
}

/* ---- what the command line says */

static const struct verb *find_verb(const struct invocation *invocation, struct error *err)
{
	const struct verb *verb = NULL;
	char quoted[QUOTED_SIZE];

	for (size_t i = 0; i < COUNT_OF(verbs); i++)
		if (!strcmp(verbs[i].name, invocation->positional[0]))
			verb = &verbs[i];
	if (!verb)
		error_set(err, ERROR_INVALID, 0,
		          "model: %s is nothing to do: train, evaluate, predict or explain would be right",
		          quote_text(quoted, invocation->positional[0]));
	if (verb && verb->run != explain && invocation->positional_count > 2) {
		error_set(err, ERROR_INVALID, 0, "model %s takes no key", verb->name);
		return NULL;
	}
	if (verb && !verb->rows && !strcmp(option_text(invocation, "format"), "csv")) {
		error_set(err, ERROR_INVALID, 0, "model %s has no --format csv", verb->name);
		return NULL;
	}
	return verb;
}

/* The one that --pipeline names, or the only one with a model; NULL with *err. */
static const struct spec_pipeline *find_pipeline(const struct job *job, struct error *err)
{
	const char *name = option_text(job->invocation, "pipeline");
	const struct spec_pipeline *found = NULL;
	OWNED_BUFFER struct buffer names = {0};
	int count = 0;

	buffer_init(&names, 1 << 20);
	for (int i = 0; i < job->manifest->pipeline_count; i++) {
		const struct spec_pipeline *pipeline = &job->manifest->pipelines[i];

		if (!pipeline->model.name)
			continue;
		buffer_printf(&names, "%s%s", count++ ? ", " : "", pipeline->name);
		if (!name || !strcmp(name, pipeline->name))
			found = pipeline;
	}
	if (found && (name || count == 1))
		return found;
	if (!count)
		error_set(err, ERROR_INVALID, 0,
		          "no pipeline of %s has a model: `tarn explain DuckLakePipeline.spec.model` says what one is",
		          job->manifest->file);
	else if (name)
		error_set(err, ERROR_INVALID, 0, "no pipeline %.64s has a model: %.300s would be right", name,
		          buffer_string(&names));
	else
		error_set(err, ERROR_INVALID, 0, "several pipelines have a model, %.300s: --pipeline NAME chooses one",
		          buffer_string(&names));
	return NULL;
}

static int check_key(const struct job *job, struct error *err)
{
	int given = job->invocation->positional_count - 2, wanted = job->pipeline->model.key_count;

	if (!given || given == wanted)
		return 0;
	return error_set(err, ERROR_INVALID, 0, "the key of model %s has %d columns, and %d values are given",
	                 job->pipeline->model.name, wanted, given);
}

static int open_job(struct job *job, struct error *err)
{
	struct lake_options options = {.existing = true};

	job->manifest = manifest_load(job->invocation->positional[1], err);
	if (!job->manifest || !(job->pipeline = find_pipeline(job, err)) || check_key(job, err))
		return -1;
	options.memory_bytes = job->pipeline->memory_bytes;
	job->lake = lake_open(job->pipeline->catalog, &options, err);
	job->session = job->lake ? lake_session_new(job->lake, err) : NULL;
	job->models = job->session ? score_models_of(job->manifest, job->pipeline->catalog, err) : NULL;
	if (!job->models)
		return -1;
	return score_register(job->models, job->session, err) || lake_use(job->session, -1, err);
}

int cmd_model(const struct invocation *invocation)
{
	struct job job = {.invocation = invocation};
	struct error err = {0};
	const struct verb *verb = find_verb(invocation, &err);
	int status = EXIT_DONE;

	if (!verb)
		return cli_usage(COMMAND_MODEL, &err);
	if (open_job(&job, &err) || verb->run(&job, &err))
		status = err.kind ? cli_fail(&err) : EXIT_OUTPUT;
	score_models_free(job.models);
	lake_session_free(job.session);
	lake_close(job.lake);
	manifest_free(job.manifest);
	return status;
}
