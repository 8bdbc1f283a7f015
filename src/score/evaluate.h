/*
 * evaluate.h - how well a model tells the rows that it was not trained on, beside what needs no model, and whether the
 * label is told by its features outright.
 *
 * A label that a rule of a few thresholds tells without fault is one that was computed from those features, or that
 * they were measured after: a model of it looks perfect and foretells nothing. That is looked for, and said.
 *
 * Life cycle: none; an evaluation is a plain value.
 */
#ifndef TARN_SCORE_EVALUATE_H
#define TARN_SCORE_EVALUATE_H

#include "base/buffer.h"
#include "score/metrics.h"
#include "score/rows.h"
#include "score/rule.h"

#define LEAK_FEATURES_MAX 3
#define LEAK_SHARE 0.999 /* of the rows of each label that the rule is right about, at least */
#define LEAK_AUC 0.999
#define LEAK_ROWS_MIN 20 /* rows of each label that evaluate: with fewer a rule may be right by chance */

enum leak_kind {
	LEAK_NONE, /* none was found */
	LEAK_UNTOLD, /* too few rows to tell */
	LEAK_RULE, /* a rule over at most LEAK_FEATURES_MAX features tells the label */
	LEAK_ORDER, /* the values of one feature order the labels */
};

struct leak {
	enum leak_kind kind;
	struct rule rule; /* of LEAK_RULE */
	struct rule_hits hits; /* of the rows that evaluate, which it was not made from */
	int features[RULE_NODES_MAX], feature_count; /* of the rows; of LEAK_ORDER one */
	double auc; /* of LEAK_ORDER; of falling values below a half */
};

struct evaluation {
	int64_t train_rows, train_positives;
	struct metrics model;
	struct metrics constant; /* the training rows' share of label 1, for every row */
	struct metrics single; /* a rule of one feature and one threshold */
	struct rule rule; /* that one */
	struct leak leak;
};

/* Of rows that were split; probabilities are of those that evaluate. Errors: out of memory. */
int evaluate(const struct rows *rows, int64_t train, const float *probabilities, struct evaluation *ret_evaluation,
             struct error *err);
/* What to know about the leak, in sentences for a person; nothing for LEAK_NONE. */
void leak_words(const struct leak *leak, const char *const *features, struct buffer *out);
/* "none", "untold", "rule", "order" */
const char *leak_name(enum leak_kind kind);

#endif
