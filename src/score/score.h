/*
 * score.h - the model of a pipeline (spec.model): trained on rows of a lake, and evaluated on those that it was not
 * trained on.
 *
 * The file is in XGBoost's own JSON, of the training rows alone: the figures are of the model that is in the file. The
 * same rows and the same spec.model make the same file, byte for byte, on any machine: one thread trains.
 *
 * Life cycle: score_train | score_evaluate -> borrow the report -> score_report_release. One thread. The session has
 * the lake in use (lake_use), and no transaction; the rows are read in one of its own, so at one snapshot.
 */
#ifndef TARN_SCORE_SCORE_H
#define TARN_SCORE_SCORE_H

#include "base/hash.h"
#include "base/owned.h"
#include "score/evaluate.h"

struct lake_session;
struct spec_pipeline;

struct score_report {
	char **features; /* what the evaluation's features are; owned */
	int feature_count;
	int trees;
	char hash[HASH_HEX_SIZE]; /* of the model's file */
	int64_t snapshot; /* that the rows are of; 0 for backend file */
	int64_t unlabelled; /* rows that were left out, for their label is NULL */
	char *cut; /* rows with this value of split.by, or a greater one, evaluated; NULL: drawn by the key; owned */
	struct evaluation evaluation;
};

/*
 * Trains, evaluates, and puts the model into spec.model.file, which stays as it was where anything fails.
 * Errors: INVALID - the pipeline has no model, its numbers are out of range, or the rows are not as they should be
 * (rows.h); training rows that have one label only; the file cannot be written. Others as the lake gives them.
 */
int score_train(struct lake_session *session, const struct spec_pipeline *pipeline, struct score_report *ret_report,
                struct error *err);
/*
 * Evaluates the model that is in the file on the rows as they are now, of the same split: of a model that somebody else
 * trained they may be rows that it was trained on. Errors as score_train's and model_load's.
 */
int score_evaluate(struct lake_session *session, const struct spec_pipeline *pipeline, struct score_report *ret_report,
                   struct error *err);
void score_report_release(struct score_report *report);

#define OWNED_SCORE_REPORT OWNED_BY(score_report_release)

#endif
