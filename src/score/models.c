#include "score/models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "score/functions.h"
#include "score/model.h"
#include "spec/spec.h"

struct entry {
	char *name, *path, *manifest; /* owned */
	struct model *model; /* NULL: not read yet */
	struct stat file; /* that it was read from */
};

struct score_models {
	atomic_int references;
	pthread_mutex_t lock; /* of the entries' models */
	struct entry *entries;
	int count;
};

static struct entry *find(const struct score_models *models, const char *name)
{
	for (int i = 0; i < models->count; i++)
		if (!strcmp(models->entries[i].name, name))
			return &models->entries[i];
	return NULL;
}

static int add(struct score_models *models, const struct score_model_file *file, struct error *err)
{
	OWNED_FREE char *name = strdup(file->name), *path = strdup(file->path), *manifest = NULL;
	const struct entry *other;

	if (!name || !path || (file->manifest && !(manifest = strdup(file->manifest))))
		return error_no_memory(err);
	if ((other = find(models, file->name)))
		return error_set(err, ERROR_INVALID, 0,
		                 "two models are called %s, %s and %s: SQL must know which one is meant", file->name,
		                 other->path, file->path);
	models->entries[models->count++] =
	        (struct entry){.name = TAKE(name), .path = TAKE(path), .manifest = TAKE(manifest)};
	return 0;
}

struct score_models *score_models_new(const struct score_model_file *files, int count, struct error *err)
{
	OWNED_SCORE_MODELS struct score_models *models = calloc(1, sizeof *models);

	if (!models) {
		error_no_memory(err);
		return NULL;
	}
	models->references = 1;
	pthread_mutex_init(&models->lock, NULL);
	models->entries = calloc((size_t)count + 1, sizeof *models->entries);
	if (!models->entries) {
		error_no_memory(err);
		return NULL;
	}
	for (int i = 0; i < count; i++)
		if (add(models, &files[i], err))
			return NULL;
	return TAKE(models);
}

struct score_models *score_models_of(const struct manifest *manifest, const struct spec_catalog *catalog,
                                     struct error *err)
{
	OWNED_FREE struct score_model_file *files = calloc((size_t)manifest->pipeline_count + 1, sizeof *files);
	int count = 0;

	if (!files) {
		error_no_memory(err);
		return NULL;
	}
	for (int i = 0; i < manifest->pipeline_count; i++) {
		const struct spec_pipeline *pipeline = &manifest->pipelines[i];

		if (pipeline->catalog == catalog && pipeline->model.name)
			files[count++] =
			        (struct score_model_file){pipeline->model.name, pipeline->model.file, manifest->file};
	}
	return score_models_new(files, count, err);
}

void score_models_free(struct score_models *models)
{
	if (!models || --models->references)
		return;
	for (int i = 0; i < models->count; i++) {
		free(models->entries[i].name);
		free(models->entries[i].path);
		free(models->entries[i].manifest);
		model_release(models->entries[i].model);
	}
	pthread_mutex_destroy(&models->lock);
	free(models->entries);
	free(models);
}

struct score_models *score_models_retain(struct score_models *models)
{
	models->references++;
	return models;
}

/* ---- by name */

static int unknown(const struct score_models *models, const char *name, struct error *err)
{
	OWNED_BUFFER struct buffer names = {0};

	buffer_init(&names, 1 << 16);
	for (int i = 0; i < models->count; i++)
		buffer_printf(&names, "%s%s", i ? ", " : "", models->entries[i].name);
	if (!models->count)
		return error_set(err, ERROR_INVALID, 0,
		                 "there is no model %.64s, nor any other: a pipeline's spec.model makes one", name);
	return error_set(err, ERROR_INVALID, 0, "there is no model %.64s: %.300s would be right", name,
	                 buffer_string(&names));
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int refresh(struct entry *entry, struct error *err)
{
	struct model *model;
	struct stat now;

	if (stat(entry->path, &now))
		return error_set(err, ERROR_INVALID, 0,
		                 "the model %s has no file %.200s yet: train it first: tarn model train %.100s",
		                 entry->name, entry->path, entry->manifest ? entry->manifest : "FILE");
	if (entry->model && is_same_file(&now, &entry->file))
		return 0;
	model = model_load(entry->path, err);
	if (!model)
		return -1;
	model_release(entry->model);
	entry->model = model;
	entry->file = now;
	return 0;
}

struct model *score_model(struct score_models *models, const char *name, struct error *err)
{
	struct entry *entry = find(models, name);
	struct model *model = NULL;

	if (!entry) {
		unknown(models, name, err);
		return NULL;
	}
	pthread_mutex_lock(&models->lock);
	if (!refresh(entry, err))
		model = model_retain(entry->model);
	pthread_mutex_unlock(&models->lock);
	return model;
}
