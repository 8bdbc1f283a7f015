/* test_score_metrics.c - score/metrics.h and rule.h against values that were worked out by hand. */
#include "base/owned.h"
#include "check.h"
#include "score/metrics.h"
#include "score/rule.h"
#include "test_score.h"

static struct error err;

static bool near(double a, double b)
{
	return fabs(a - b) < 1e-7; /* probabilities are float32 */
}

static void four_rows_by_hand(void)
{
	/* Pairs (0.8 with 0.3, 0.6), (0.4 with 0.3, 0.6): three of four are in order. */
	const float labels[] = {1, 0, 1, 0}, told[] = {0.8F, 0.3F, 0.4F, 0.6F};
	struct metrics metrics;

	CHECK_INT(metrics_of(labels, told, 4, &metrics, &err), 0);
	CHECK_INT(metrics.rows, 4);
	CHECK_INT(metrics.positives, 2);
	CHECK(near(metrics.auc, 0.75));
	CHECK(near(metrics.log_loss, -(log(0.8) + log(0.7) + log(0.4) + log(0.4)) / 4));
	CHECK(near(metrics.brier, (0.04 + 0.09 + 0.36 + 0.36) / 4));
	CHECK_INT(metrics.bins[8].rows, 1);
	CHECK(near(metrics.bins[8].predicted, 0.8) && near(metrics.bins[8].observed, 1));
	CHECK_INT(metrics.bins[6].rows, 1);
	CHECK(near(metrics.bins[6].observed, 0));
	CHECK_INT(metrics.bins[5].rows, 0);
}

static void ties_count_a_half(void)
{
	const float labels[] = {1, 0, 1, 0, 0}, told[] = {0.5F, 0.5F, 0.7F, 0.7F, 0.1F};
	const float all_alike[] = {0.2F, 0.2F, 0.2F, 0.2F, 0.2F};
	struct metrics metrics;

	/* 0.5: a half, 0, 1; 0.7: 1, a half, 1: 4 of 6. */
	CHECK_INT(metrics_of(labels, told, 5, &metrics, &err), 0);
	CHECK(near(metrics.auc, 4.0 / 6));
	CHECK_INT(metrics_of(labels, all_alike, 5, &metrics, &err), 0);
	CHECK(near(metrics.auc, 0.5));
	CHECK_INT(metrics.bins[2].rows, 5);
	CHECK(near(metrics.bins[2].observed, 0.4));
}

static void one_label_alone(void)
{
	const float ones[] = {1, 1}, zeros[] = {0}, told[] = {1, 0};
	struct metrics metrics;

	CHECK_INT(metrics_of(ones, told, 2, &metrics, &err), 0);
	CHECK(isnan(metrics.auc));
	CHECK(near(metrics.brier, 0.5));
	CHECK(fabs(metrics.log_loss + log(1e-15) / 2) < 0.1); /* certain, and wrong: bounded */
	CHECK_INT(metrics.bins[9].rows, 1);
	CHECK_INT(metrics.bins[0].rows, 1);
	CHECK_INT(metrics_of(zeros, told, 1, &metrics, &err), 0);
	CHECK(isnan(metrics.auc));
	CHECK_INT(metrics.positives, 0);
}

/* ---- rules */

static const char *const names[] = {"a", "b", "c", "d"};
static const int all[] = {0, 1, 2, 3};
static char words[512];

static const char *words_of(const struct rule *rule)
{
	OWNED_BUFFER struct buffer out = {0};

	buffer_init(&out, sizeof words - 1);
	rule_words(rule, names, &out);
	snprintf(words, sizeof words, "%s", buffer_string(&out));
	return words;
}

static void one_threshold(void)
{
	const float values[] = {1, 2, 3, 4, 5, 6}, labels[] = {0, 0, 0, 1, 1, 1}, turned[] = {1, 1, 0, 0, 0, 0};
	struct rule_rows rows = {values, labels, 6, 1};
	OWNED_BUFFER struct buffer out = {0};
	struct rule_hits hits;
	struct rule rule;

	CHECK_INT(rule_find(&rows, all, 1, 1, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "a >= 3.5");
	CHECK(near(rule_tell(&rule, &values[0]), 0) && near(rule_tell(&rule, &values[5]), 1));
	buffer_init(&out, 100);
	rule_split_words(&rule, names, &out);
	CHECK_TEXT(buffer_string(&out), "a >= 3.5: 1, else 0");
	hits = rule_try(&rule, &rows);
	CHECK_INT(hits.positives_right, 3);
	CHECK_INT(hits.negatives_right, 3);
	rows.labels = turned;
	CHECK_INT(rule_find(&rows, all, 1, 1, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "a < 2.5");
}

static void missing_values_have_a_side(void)
{
	const float values[] = {1, NAN, 3, 4, NAN, 6}, labels[] = {0, 1, 0, 1, 1, 1};
	const float only_missing[] = {1, NAN, 1, NAN, 1, 1}, by_missing[] = {0, 1, 0, 1, 0, 0};
	struct rule_rows rows = {values, labels, 6, 1};
	struct rule rule;

	CHECK_INT(rule_find(&rows, all, 1, 1, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "(a >= 3.5 or a is null)");
	rows.values = only_missing;
	rows.labels = by_missing;
	CHECK_INT(rule_find(&rows, all, 1, 1, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "a is null");
}

static void nothing_to_split(void)
{
	const float values[] = {2, 2, NAN}, ones[] = {1, 1, 1}, mixed[] = {1, 0, 1};
	struct rule_rows rows = {values, ones, 3, 1};
	struct rule rule;

	CHECK_INT(rule_find(&rows, all, 1, 3, &rule, &err), 0);
	CHECK_INT(rule.count, 1);
	CHECK_TEXT(words_of(&rule), "always");
	rows.labels = mixed;
	rows.count = 2;
	CHECK_INT(rule_find(&rows, all, 1, 3, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "never");
	CHECK(near(rule_tell(&rule, values), 0.5));
	rows.count = 0;
	CHECK_INT(rule_find(&rows, all, 1, 3, &rule, &err), 0);
	CHECK_TEXT(words_of(&rule), "never");
}

/* 4,096 rows of four features from 0 to 7 each; the label is said by `tells`. */
static void make(float *values, float *labels, bool (*tells)(const float *row))
{
	for (int i = 0; i < 4096; i++) {
		for (int c = 0; c < 4; c++)
			values[i * 4 + c] = (float)(i >> (3 * c) & 7);
		labels[i] = tells(values + (ptrdiff_t)i * 4);
	}
}

static bool any_of_three(const float *row)
{
	return row[0] >= 6 || row[1] < 2 || row[3] >= 7;
}

static bool all_of_three(const float *row)
{
	return row[0] >= 3 && row[1] < 6 && row[3] >= 2;
}

static bool one_or_both(const float *row)
{
	return row[2] >= 6 || (row[0] >= 4 && row[1] >= 4);
}

static bool within(const float *row)
{
	return row[1] >= 2 && row[1] < 5;
}

static void rules_of_three_features(void)
{
	static float values[4096 * 4], labels[4096];
	static const struct {
		bool (*tells)(const float *row);
		const char *words;
		int features;
	} cases[] = {
	        {any_of_three, "a >= 5.5 or b < 1.5 or d >= 6.5", 3},
	        {all_of_three, "a >= 2.5 and b < 5.5 and d >= 1.5", 3},
	        {one_or_both, "c >= 5.5 or (a >= 3.5 and b >= 3.5)", 3},
	        {within, "b < 4.5 and b >= 1.5", 1},
	};
	struct rule_rows rows = {values, labels, 4096, 4};
	int features[RULE_NODES_MAX];
	struct rule rule;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct rule_hits hits;

		make(values, labels, cases[i].tells);
		CHECK_INT(rule_find(&rows, all, 4, 3, &rule, &err), 0);
		hits = rule_try(&rule, &rows);
		CHECK_INT(hits.positives_right, hits.positives);
		CHECK_INT(hits.negatives_right, hits.negatives);
		CHECK_INT(rule_features(&rule, features), cases[i].features);
		CHECK_TEXT(words_of(&rule), cases[i].words);
	}
}

/* The words are the rule: each row that they are true for is told 1, and no other. Read by a small reader of its own.
 */
static bool says(const char *text, const float *row)
{
	bool any = false, every = true;

	for (const char *at = text; *at;) {
		bool below;
		double bound;
		char *end;

		at += strspn(at, "( ");
		below = at[2] == '<';
		bound = strtod(at + (below ? 4 : 5), &end);
		every &= below ? row[*at - 'a'] < bound : row[*at - 'a'] >= bound;
		at = end + strspn(end, " )");
		if (!strncmp(at, "and ", 4)) {
			at += 4;
		} else {
			any |= every;
			every = true;
			at += strncmp(at, "or ", 3) ? 0 : 3;
		}
	}
	return any;
}

static void words_are_the_rule(void)
{
	static float values[4096 * 4], labels[4096];
	struct rule_rows rows = {values, labels, 4096, 4};
	uint64_t state = 3;
	struct rule rule;

	for (int round = 0; round < 40; round++) {
		int wrong = 0;

		make(values, labels, any_of_three);
		for (int i = 0; i < 4096; i++)
			labels[i] =
			        sin(values[i * 4] * round + values[i * 4 + 1]) + values[i * 4 + 3] / 7 > drawn(&state);
		CHECK_INT(rule_find(&rows, all, 4, 1 + round % 3, &rule, &err), 0);
		words_of(&rule);
		if (!strcmp(words, "always") || !strcmp(words, "never"))
			continue;
		for (int i = 0; i < 4096; i++)
			wrong += (rule_tell(&rule, values + (ptrdiff_t)i * 4) > 0.5) !=
			         says(words, values + (ptrdiff_t)i * 4);
		if (wrong)
			CHECK_FAIL("%d rows: %s", wrong, words);
	}
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(four_rows_by_hand), TEST(ties_count_a_half), TEST(one_label_alone),
	                  TEST(one_threshold), TEST(missing_values_have_a_side), TEST(nothing_to_split),
	                  TEST(rules_of_three_features), TEST(words_are_the_rule));
}
