/*
 * rule.h - a rule of a few thresholds that tells a label: a decision tree of at most three levels, in words.
 *
 * A model is worth its trouble where no such rule does as well; and where one does perfectly, the label is made of the
 * features (evaluate.h).
 *
 * Life cycle: none; a rule is a plain value.
 */
#ifndef TARN_SCORE_RULE_H
#define TARN_SCORE_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define RULE_DEPTH_MAX 3
#define RULE_NODES_MAX 15 /* of a tree of so many levels */

struct rule_node {
	int feature; /* of the rows; -1: a leaf */
	float threshold; /* values below it go left; -infinity: all that are there go right */
	bool missing_left, missing_seen;
	int left, right; /* nodes */
	int64_t rows, positives; /* that came here when the rule was found */
};

struct rule {
	struct rule_node nodes[RULE_NODES_MAX]; /* the first is the root */
	int count;
};

struct rule_rows {
	const float *values; /* row after row; NaN is missing */
	const float *labels; /* 0 or 1 */
	int64_t count;
	int columns;
};

/*
 * The tree of at most `depth` levels over some of the columns: at each node the split after which the labels are the
 * least uncertain (entropy), the first of equal ones by column and threshold. The same rows give the same rule.
 */
int rule_find(const struct rule_rows *rows, const int *features, int feature_count, int depth, struct rule *ret_rule,
              struct error *err);
/* The share of label 1 where the row comes to: a probability. */
float rule_tell(const struct rule *rule, const float *row);

struct rule_hits { /* how many rows of each label a rule tells right */
	int64_t positives, positives_right, negatives, negatives_right;
};

struct rule_hits rule_try(const struct rule *rule, const struct rule_rows *rows);

/* Which columns it asks for, in the order of the columns, each once; how many. */
int rule_features(const struct rule *rule, int ret_features[RULE_NODES_MAX]);
/* Where it tells 1, in SQL's words: "complaints >= 2.5 or (age < 30 and plan_is_new >= 0.5)". A missing value is said
 * where rows had any: "(age < 30 or age is null)". */
void rule_words(const struct rule *rule, const char *const *names, struct buffer *out);
/* Its first split, and the share of label 1 on either side: "complaints >= 2.5: 0.61, else 0.08". */
void rule_split_words(const struct rule *rule, const char *const *names, struct buffer *out);

#endif
