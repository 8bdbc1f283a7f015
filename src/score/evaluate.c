#include "score/evaluate.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/owned.h"

/* Rules are looked for on at most so many training rows, taken at even distances: sorting them is what costs. */
#define SAMPLE_ROWS 20000
#define SAMPLE_BYTES ((size_t)64 << 20)
/* Pairs and triples are tried of so many features. */
#define CANDIDATES 8
#define CANDIDATES_ALONE 5 /* of them the ones that tell most alone */

struct search {
	const struct rows *rows;
	struct rule_rows sample, unseen; /* unseen: those that evaluate */
	int candidates[CANDIDATES], candidate_count;
	struct leak *leak;
	int64_t wrong; /* on the sample, of the best rule so far */
	struct error *err;
};

static struct rule_rows part_of(const struct rows *rows, int64_t first, int64_t count)
{
	return (struct rule_rows){rows->values + first * rows->feature_count, rows->labels + first, count,
	                          rows->feature_count};
}

/* Copies `count` of the rows, at even distances. */
static int take_sample(const struct rule_rows *all, struct rule_rows *ret_sample, struct error *err)
{
	size_t bytes = (size_t)all->columns * sizeof *all->values;
	int64_t most = (int64_t)(SAMPLE_BYTES / bytes);
	int64_t count = most < SAMPLE_ROWS ? most : SAMPLE_ROWS;
	float *values, *labels;

	if (count > all->count)
		count = all->count;
	values = malloc((size_t)count * bytes + 1);
	labels = malloc((size_t)count * sizeof *labels + 1);
	if (!values || !labels) {
		free(values);
		free(labels);
		return error_no_memory(err);
	}
	for (int64_t i = 0; i < count; i++) {
		int64_t from = (int64_t)((double)i * (double)all->count / (double)count);

		memcpy(values + i * all->columns, all->values + from * all->columns, bytes);
		labels[i] = all->labels[from];
	}
	*ret_sample = (struct rule_rows){values, labels, count, all->columns};
	return 0;
}

static void drop_sample(struct rule_rows *sample)
{
	free((void *)(uintptr_t)sample->values);
	free((void *)(uintptr_t)sample->labels);
}

/* ---- leaks */

static bool is_right(const struct rule_hits *hits)
{
	return (double)hits->positives_right >= LEAK_SHARE * (double)hits->positives &&
	       (double)hits->negatives_right >= LEAK_SHARE * (double)hits->negatives;
}

static int64_t wrong_of(const struct rule_hits *hits)
{
	return hits->positives - hits->positives_right + hits->negatives - hits->negatives_right;
}

/* Keeps the rule over these features where it tells the label, and better than the one before. */
static int try_features(struct search *search, const int *features, int count)
{
	struct rule_hits seen, unseen;
	struct rule rule;

	if (rule_find(&search->sample, features, count, RULE_DEPTH_MAX, &rule, search->err))
		return -1;
	seen = rule_try(&rule, &search->sample);
	if (!is_right(&seen) || (search->leak->kind == LEAK_RULE && wrong_of(&seen) >= search->wrong))
		return 0;
	unseen = rule_try(&rule, &search->unseen);
	if (!is_right(&unseen))
		return 0;
	search->wrong = wrong_of(&seen);
	search->leak->kind = LEAK_RULE;
	search->leak->rule = rule;
	search->leak->hits = unseen;
	search->leak->feature_count = rule_features(&rule, search->leak->features);
	return 0;
}

/* How uncertain a rule leaves the labels that it was made from, a row. */
static double uncertainty_of(const struct rule *rule)
{
	double sum = 0;

	for (int i = 0; i < rule->count; i++) {
		const struct rule_node *node = &rule->nodes[i];
		double rows = (double)node->rows, ones = (double)node->positives, zeros = rows - ones;

		if (node->feature < 0 && ones > 0 && zeros > 0)
			sum -= ones * log(ones / rows) + zeros * log(zeros / rows);
	}
	return sum;
}

static void add_candidate(struct search *search, int feature)
{
	for (int i = 0; i < search->candidate_count; i++)
		if (search->candidates[i] == feature)
			return;
	if (search->candidate_count < CANDIDATES)
		search->candidates[search->candidate_count++] = feature;
}

/* The features that tell most alone, and those of the rule over all of them. */
static int find_candidates(struct search *search)
{
	int count = search->rows->feature_count, best[CANDIDATES_ALONE], bests = 0, used[RULE_NODES_MAX], uses;
	OWNED_FREE double *left = malloc((size_t)count * sizeof *left);
	OWNED_FREE int *all = malloc((size_t)count * sizeof *all);
	struct rule rule;

	if (!left || !all)
		return error_no_memory(search->err);
	for (int feature = 0; feature < count; feature++) {
		int place = bests;

		all[feature] = feature;
		if (rule_find(&search->sample, &all[feature], 1, RULE_DEPTH_MAX, &rule, search->err))
			return -1;
		left[feature] = uncertainty_of(&rule);
		while (place > 0 && left[best[place - 1]] > left[feature])
			place--;
		if (place == CANDIDATES_ALONE)
			continue;
		bests += bests < CANDIDATES_ALONE;
		for (int move = bests - 1; move > place; move--)
			best[move] = best[move - 1];
		best[place] = feature;
	}
	for (int i = 0; i < bests; i++)
		add_candidate(search, best[i]);
	if (rule_find(&search->sample, all, count, RULE_DEPTH_MAX, &rule, search->err))
		return -1;
	uses = rule_features(&rule, used);
	for (int i = 0; i < uses; i++)
		add_candidate(search, used[i]);
	return 0;
}

static int try_pairs(struct search *search)
{
	for (int a = 0; a < search->candidate_count; a++)
		for (int b = a + 1; b < search->candidate_count; b++)
			if (try_features(search, (int[]){search->candidates[a], search->candidates[b]}, 2))
				return -1;
	return 0;
}

static int try_triples(struct search *search)
{
	const int *from = search->candidates;
	int count = search->candidate_count;

	for (int a = 0; a < count; a++)
		for (int b = a + 1; b < count; b++)
			for (int c = b + 1; c < count; c++)
				if (try_features(search, (int[]){from[a], from[b], from[c]}, LEAK_FEATURES_MAX))
					return -1;
	return 0;
}

/* The fewest features that will do. */
static int find_rule(struct search *search)
{
	if (find_candidates(search))
		return -1;
	for (int i = 0; i < search->candidate_count; i++)
		if (try_features(search, &search->candidates[i], 1))
			return -1;
	if (search->leak->kind != LEAK_RULE && try_pairs(search))
		return -1;
	return search->leak->kind != LEAK_RULE ? try_triples(search) : 0;
}

/* Rows without the value stand at one end. */
static int auc_of(const struct rule_rows *rows, int feature, float missing, float *space, double *ret_auc,
                  struct error *err)
{
	for (int64_t i = 0; i < rows->count; i++) {
		float value = rows->values[i * rows->columns + feature];

		space[i] = isnan(value) ? missing : value;
	}
	return metrics_auc(rows->labels, space, rows->count, ret_auc, err);
}

static void offer_order(struct leak *leak, int feature, double auc)
{
	double strength = fabs(auc - 0.5), before = leak->kind == LEAK_ORDER ? fabs(leak->auc - 0.5) : 0;

	if (strength < LEAK_AUC - 0.5 || strength <= before)
		return;
	leak->kind = LEAK_ORDER;
	leak->auc = auc;
	leak->features[0] = feature;
	leak->feature_count = 1;
}

static int find_order(struct search *search)
{
	OWNED_FREE float *space = malloc((size_t)search->unseen.count * sizeof *space);
	double low, high;

	if (!space)
		return error_no_memory(search->err);
	for (int feature = 0; feature < search->rows->feature_count; feature++) {
		if (auc_of(&search->unseen, feature, -FLT_MAX, space, &low, search->err) ||
		    auc_of(&search->unseen, feature, FLT_MAX, space, &high, search->err))
			return -1;
		offer_order(search->leak, feature, low);
		offer_order(search->leak, feature, high);
	}
	return 0;
}

static int find_leak(struct search *search, const struct metrics *unseen)
{
	if (unseen->positives < LEAK_ROWS_MIN || unseen->rows - unseen->positives < LEAK_ROWS_MIN) {
		search->leak->kind = LEAK_UNTOLD;
		return 0;
	}
	if (find_rule(search))
		return -1;
	return search->leak->kind == LEAK_NONE ? find_order(search) : 0;
}

/* ---- evaluate */

static int try_constant(const struct rule_rows *unseen, double share, float *space, struct metrics *ret_metrics,
                        struct error *err)
{
	for (int64_t i = 0; i < unseen->count; i++)
		space[i] = (float)share;
	return metrics_of(unseen->labels, space, unseen->count, ret_metrics, err);
}

/* The best threshold of the best feature, as one knows it without a model. */
static int try_single(const struct search *search, float *space, struct evaluation *evaluation)
{
	const struct rule_rows *unseen = &search->unseen;
	OWNED_FREE int *all = malloc((size_t)unseen->columns * sizeof *all);

	if (!all)
		return error_no_memory(search->err);
	for (int i = 0; i < unseen->columns; i++)
		all[i] = i;
	if (rule_find(&search->sample, all, unseen->columns, 1, &evaluation->rule, search->err))
		return -1;
	for (int64_t i = 0; i < unseen->count; i++)
		space[i] = rule_tell(&evaluation->rule, unseen->values + i * unseen->columns);
	return metrics_of(unseen->labels, space, unseen->count, &evaluation->single, search->err);
}

int evaluate(const struct rows *rows, int64_t train, const float *probabilities, struct evaluation *ret_evaluation,
             struct error *err)
{
	OWNED_FREE float *space = malloc((size_t)rows->count * sizeof *space);
	OWNED_BY(drop_sample) struct rule_rows sample = {0};
	struct evaluation evaluation = {.train_rows = train};
	struct search search = {.rows = rows, .leak = &evaluation.leak, .err = err};
	struct rule_rows trained = part_of(rows, 0, train);

	if (!space)
		return error_no_memory(err);
	search.unseen = part_of(rows, train, rows->count - train);
	for (int64_t i = 0; i < train; i++)
		evaluation.train_positives += rows->labels[i] > 0;
	if (take_sample(&trained, &sample, err))
		return -1;
	search.sample = sample;
	if (metrics_of(search.unseen.labels, probabilities, search.unseen.count, &evaluation.model, err) ||
	    try_constant(&search.unseen, (double)evaluation.train_positives / (double)train, space,
	                 &evaluation.constant, err) ||
	    try_single(&search, space, &evaluation) || find_leak(&search, &evaluation.model))
		return -1;
	*ret_evaluation = evaluation;
	return 0;
}

/* ---- words */

const char *leak_name(enum leak_kind kind)
{
	static const char *const names[] = {
	        [LEAK_NONE] = "none", [LEAK_UNTOLD] = "untold", [LEAK_RULE] = "rule", [LEAK_ORDER] = "order"};

	return names[kind];
}

static void append_features(const struct leak *leak, const char *const *features, struct buffer *out)
{
	for (int i = 0; i < leak->feature_count; i++)
		buffer_printf(out, "%s%s",
		              !i                            ? ""
		              : i + 1 < leak->feature_count ? ", "
		                                            : " and ",
		              features[leak->features[i]]);
}

void leak_words(const struct leak *leak, const char *const *features, struct buffer *out)
{
	const struct rule_hits *hits = &leak->hits;

	if (leak->kind == LEAK_NONE)
		return;
	if (leak->kind == LEAK_UNTOLD) {
		buffer_printf(
		        out,
		        "Whether the features tell the label outright is not known: fewer than %d of the rows that "
		        "evaluate have the one label, or the other.",
		        LEAK_ROWS_MIN);
		return;
	}
	if (leak->kind == LEAK_RULE) {
		buffer_text(out, "A rule tells the label without a model: it is 1 where ");
		rule_words(&leak->rule, features, out);
		buffer_printf(
		        out,
		        ". The rule was made from training rows; of those that evaluate it is right about %" PRId64
		        " of %" PRId64 " with label 1 and %" PRId64 " of %" PRId64 " with label 0.",
		        hits->positives_right, hits->positives, hits->negatives_right, hits->negatives);
	} else {
		buffer_printf(
		        out,
		        "One feature tells the label without a model: %s alone orders the rows that evaluate with an "
		        "AUC of %.4f.",
		        features[leak->features[0]], leak->auc < 0.5 ? 1 - leak->auc : leak->auc);
	}
	buffer_text(out, " Most likely the label was computed from ");
	append_features(leak, features, out);
	buffer_text(out,
	            ", or what was measured there happened in the time that the label is about. The model then finds "
	            "what is known already, and the figures say little about rows whose outcome is still to come. "
	            "Features from a window that ends before the label's begins would be right.");
}
