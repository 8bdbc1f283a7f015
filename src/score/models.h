/*
 * models.h - the models that SQL knows by name, and the functions that ask them:
 *
 *     predict('NAME', row) -> DOUBLE          the probability that the row's label is 1
 *     explain('NAME', row) -> STRUCT(feature VARCHAR, value DOUBLE, contribution DOUBLE)[]
 *                                             what each feature adds to it, in log odds, the most telling first; the
 *                                             last one, (base), is where every row begins. Their sum is the log odds.
 *     model_hash('NAME') -> VARCHAR           SHA-256 of the model's file
 *
 * A row is a struct: a table's alias (SELECT predict('churn', g) FROM gold g) or {'tenure': 3, ...}. Features are its
 * fields of the same names, case aside; further fields are not looked at. A NULL row gives NULL, a NULL field is
 * missing.
 *
 * Invariants:
 *  1. A file is read when a statement first names its model, and again when a later statement finds it changed. A
 *     statement goes on with the model that it was bound to.
 *  2. The functions may be asked on all of DuckDB's threads at once.
 *
 * Life cycle: score_models_new -> score_register (with one lake or several) -> score_models_free; the lakes keep what
 * they need of it until they are closed. Any thread.
 */
#ifndef TARN_SCORE_MODELS_H
#define TARN_SCORE_MODELS_H

#include "base/error.h"
#include "base/hash.h"
#include "base/owned.h"

struct lake_session;
struct manifest;
struct model;
struct score_models;
struct spec_catalog;

struct score_model_file {
	const char *name; /* in SQL */
	const char *path; /* need not be there yet */
	const char *manifest; /* for the advice to train it: tarn model train MANIFEST; NULL: without one */
};

/* Copies all texts. INVALID: two of one name. */
struct score_models *score_models_new(const struct score_model_file *files, int count, struct error *err);
/* Those of the manifest's pipelines on that catalog. */
struct score_models *score_models_of(const struct manifest *manifest, const struct spec_catalog *catalog,
                                     struct error *err);
void score_models_free(struct score_models *models);

/* Gives the functions to every session of the session's lake, outside of a transaction. A lake that has them keeps them
 * as they are: where a refresh may have opened a lake of its own (lake/apart.h), it is asked for each. */
int score_register(struct score_models *models, struct lake_session *session, struct error *err);

/* The model as its file is now, retained for the caller. INVALID: no such name (the error lists them), or no file yet;
 * others as model_load's. */
struct model *score_model(struct score_models *models, const char *name, struct error *err);

static inline void owned_score_models(struct score_models **models)
{
	score_models_free(*models);
}
#define OWNED_SCORE_MODELS OWNED_BY(owned_score_models)

#endif
