/*
 * pipeline.c - a pipeline's life cycle (pipeline.h): its models, expectations and session. What a refresh does with
 * them is in refresh.c.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layers/layers_private.h"

/* Of a view and of a table that is no model's no refresh says that it changed. A SELECT that is wrong is told when it
 * is asked. */
static void look_at_scoring(struct pipeline *pipeline)
{
	const struct spec_pipeline *spec = pipeline->spec;
	const char *sql = spec->model.scoring ? spec->model.scoring : spec->model.training;
	struct error ignored;
	int line, count = 0;
	struct reference *reads = NULL;
	OWNED_TREE struct tree *tree =
	        pipeline->scores ? tree_parse(lake_connection(pipeline->session), sql, &line, &ignored) : NULL;

	if (tree && references_find(tree, sql, &reads, &count, &ignored))
		count = 0;
	for (int i = 0; i < count; i++) {
		int model = models_find(pipeline->models, reads[i].schema, reads[i].table);

		pipeline->scores_read_others |=
		        model < 0 || pipeline->models->models[model].options.materialized == MATERIALIZED_VIEW;
	}
	references_release(reads, count);
}

bool names_scores(const struct spec_pipeline *spec, const char *schema, const char *table)
{
	const char *scores = spec->model.scores, *dot = scores ? strchr(scores, '.') : NULL;
	const char *own = dot ? scores : "main";
	size_t size = dot ? (size_t)(dot - scores) : strlen(own);

	return scores && !strcasecmp(table, dot ? dot + 1 : scores) && strlen(schema) == size &&
	       !strncasecmp(schema, own, size);
}

/* The scores would replace the model's rows. */
static int check_scores(const struct pipeline *pipeline, struct error *err)
{
	for (int i = 0; i < pipeline->models->count; i++) {
		const struct model *model = &pipeline->models->models[i];

		if (names_scores(pipeline->spec, "main", model->name))
			return error_set(
			        err, ERROR_INVALID, 0,
			        "%.200s:1: makes the table %.63s, which spec.model.scores of pipeline %.63s names "
			        "as well; give one of the two another name",
			        model->file, model->name, pipeline->spec->name);
	}
	return 0;
}

struct pipeline *pipeline_open(const struct spec_pipeline *spec, const struct manifest *manifest, struct lake *lake,
                               struct error *err)
{
	OWNED_BY(pipeline_freep) struct pipeline *pipeline = calloc(1, sizeof *pipeline);

	if (!pipeline) {
		error_no_memory(err);
		return NULL;
	}
	pthread_mutex_init(&pipeline->running_lock, NULL);
	pipeline->spec = spec;
	pipeline->manifest = manifest;
	pipeline->lake = lake;
	pipeline->session = lake_session_new(lake, err);
	if (!pipeline->session)
		return NULL;
	pipeline->models = models_load(spec->models, spec->models, err);
	if (!pipeline->models || check_scores(pipeline, err))
		return NULL;
	pipeline->expectations = expectations_load(pipeline->models, spec, manifest, err);
	if (!pipeline->expectations)
		return NULL;
	if (spec->model.scores && !(pipeline->scores = score_models_of(manifest, spec->catalog, err)))
		return NULL;
	if (prepare_session(pipeline, pipeline->session, err) || state_create(pipeline->session, err))
		return NULL;
	look_at_scoring(pipeline);
	return TAKE(pipeline);
}

void pipeline_close(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	expect_forget(pipeline);
	expectations_free(pipeline->expectations);
	models_free(pipeline->models);
	score_models_free(pipeline->scores);
	lake_session_free(pipeline->session);
	pthread_mutex_destroy(&pipeline->running_lock);
	free(pipeline);
}

void pipeline_freep(struct pipeline **pipeline)
{
	pipeline_close(*pipeline);
}

struct lake_session *pipeline_session(struct pipeline *pipeline)
{
	return pipeline->session;
}

const struct model_set *pipeline_models(const struct pipeline *pipeline)
{
	return pipeline->models;
}

const struct expectation_report *pipeline_expectations(const struct pipeline *pipeline, int *ret_count)
{
	*ret_count = pipeline->result_count;
	return pipeline->results;
}

void pipeline_interrupt(struct pipeline *pipeline)
{
	pthread_mutex_lock(&pipeline->running_lock);
	if (pipeline->running)
		query_interrupt(pipeline->running);
	pthread_mutex_unlock(&pipeline->running_lock);
}
