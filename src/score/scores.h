/*
 * scores.h - the rows of spec.model.scoring with their scores: asked for, and written to the table spec.model.scores.
 *
 * The table has the key's columns, score DOUBLE (a probability), model VARCHAR (its name), model_hash VARCHAR (SHA-256
 * of its file) and snapshot BIGINT.
 *
 * Invariants:
 *  1. score_write changes nothing where the table already has these rows, the snapshot's column aside: a refresh that
 *     finds nothing new makes no snapshot, and `snapshot` is the one with which the scores last changed.
 *  2. Each row of the table was scored by the file whose hash it names, also where the file was written anew meanwhile.
 *  3. Memory is DuckDB's, within the lake's bound: rows are scored and compared as they stream, and spilled.
 *  4. Nothing else is replaced: a view, or a table with columns of other names, is refused, but for one with another
 * key that has scores of this model alone.
 *
 * Life cycle: none. The session has the lake in use (lake_use), and its lake the functions (score_register).
 */
#ifndef TARN_SCORE_SCORES_H
#define TARN_SCORE_SCORES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "score/models.h"

struct lake_session;
struct spec_pipeline;

/* Appends a SELECT of the key's columns and the score of each row that is scored; keys: of the one row that has these
 * texts for its key's columns, with its explanation in the column `contributions` too; NULL: of all. */
void scores_select(const struct spec_pipeline *pipeline, const char *const *keys, struct buffer *sql);
/* Appends a SELECT of each feature's mean absolute contribution (mean_contribution, in log odds), and in how many of
 * the rows it is there (present, rows), the most telling first: of at most 20,000 rows, drawn by their keys. */
void scores_importance(const struct spec_pipeline *pipeline, struct buffer *sql);

struct score_written {
	bool changed; /* else the table was left alone */
	int64_t rows; /* that the table has now */
};

/*
 * Makes or replaces the rows of the pipeline's table in the session's transaction, which is the caller's to commit. One
 * whose key has changed, or its type, is made anew. `snapshot` is what the new rows say.
 * Errors: INVALID - the pipeline has no table of scores, or another table is in its place; its model has no file yet;
 * the scoring SELECT is refused, or gives a key twice or with a NULL in it. Others as the lake gives them. After any of
 * them the transaction must be rolled back.
 */
int score_write(struct lake_session *session, struct score_models *models, const struct spec_pipeline *pipeline,
                int64_t snapshot, struct score_written *ret_written, struct error *err);

#endif
