/*
 * model_json.h - a model as XGBoost's JSON, of Tarn's making or of anybody's: read, checked, and written anew for
 * XGBoost.
 *
 * XGBoost checks little of a model: a child or feature out of range is followed, children that are their own ancestors
 * are walked for ever, nesting ends its stack. So nothing of a file's own bytes reaches it. What is checked is written
 * out anew, with only what the trees need; two keys of one name, of which each reader takes another, do not matter
 * either.
 *
 * The format is XGBoost's "JSON model" of 1.4 to 3.x (doc/model.schema in its repository); of it those that tell 0 from
 * 1 by trees over numbers: objective binary:logistic, booster gbtree, no categorical splits, and features that have
 * names. Trees that early stopping would leave out count all the same.
 *
 * Invariant: plain text that model_json_read hands out is a model with each index in range, trees that are trees of at
 * most MODEL_DEPTH_MAX levels, and finite leaves.
 */
#ifndef TARN_SCORE_MODEL_JSON_H
#define TARN_SCORE_MODEL_JSON_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/owned.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20) /* of a file; it is eight times that in memory while it is read */
#define MODEL_DEPTH_MAX 64 /* XGBoost's walks of a tree are recursive, and what they hold grows with its square */
#define MODEL_FEATURES_MAX 10000
#define MODEL_TREES_MAX 100000

struct model_outline {
	char **features; /* names; owned */
	int feature_count, tree_count;
};

/* Appends what booster_load takes to `plain`. Errors: CORRUPT - it is no such JSON; INVALID - a model that Tarn does
 * not take, and what would be right. */
int model_json_read(const char *json, size_t size, struct model_outline *ret_outline, struct buffer *plain,
                    struct error *err);
void model_outline_release(struct model_outline *outline);

#define OWNED_OUTLINE OWNED_BY(model_outline_release)

#endif
