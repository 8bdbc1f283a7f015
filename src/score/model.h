/*
 * model.h - a model's file: a booster that was trained, the names of its features, and the hash by which it is known.
 *
 * A model is counted: whoever keeps one retains it, and it goes with the last. It never changes, so that any number of
 * threads may ask it; a file that was written anew is another model.
 *
 * Life cycle: model_load -> model_retain... -> model_release...
 */
#ifndef TARN_SCORE_MODEL_H
#define TARN_SCORE_MODEL_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/owned.h"
#include "score/booster.h"
#include "score/model_json.h"

struct model {
	atomic_int references;
	struct booster *booster;
	struct model_outline outline;
	char hash[HASH_HEX_SIZE]; /* SHA-256 of the file's bytes */
};

/* Errors name the file and say what would be right: INVALID - there is none, or it is a model that Tarn does not take;
 * CORRUPT - it is no model. */
struct model *model_load(const char *path, struct error *err);
/* The same of a file's bytes; errors do not name it. */
struct model *model_parse(const char *json, size_t size, struct error *err);
struct model *model_retain(struct model *model);
void model_release(struct model *model);

/* Puts the bytes in the file's place: who reads it has the old or the new, also after a crash. Makes its folder. */
int model_write(const char *path, const char *json, size_t size, struct error *err);

static inline void owned_model(struct model **model)
{
	model_release(*model);
}
#define OWNED_MODEL OWNED_BY(owned_model)

#endif
