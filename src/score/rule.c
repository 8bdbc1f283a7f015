#include "score/rule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/owned.h"

struct valued {
	float value, label;
};

struct finder {
	const struct rule_rows *rows;
	const int *features;
	int feature_count;
	int64_t *members; /* rows, those of a node side by side */
	struct valued *sorted; /* the present values of one feature in one node */
	struct rule *rule;
};

struct split {
	double uncertainty; /* of the node's labels when it is split; in nats, summed over rows */
	int feature; /* -1: none */
	float threshold;
	bool missing_left;
};

struct count {
	double rows, positives;
};

/* ---- find */

static int compare(const void *left, const void *right)
{
	float a = ((const struct valued *)left)->value, b = ((const struct valued *)right)->value;

	return (a > b) - (a < b);
}

static double uncertainty(struct count count)
{
	double negatives = count.rows - count.positives;

	if (count.positives <= 0 || negatives <= 0)
		return 0;
	return -count.positives * log(count.positives / count.rows) - negatives * log(negatives / count.rows);
}

static struct count minus(struct count all, struct count part)
{
	return (struct count){all.rows - part.rows, all.positives - part.positives};
}

static void offer(struct split *best, const struct split *split)
{
	/* A hair of rounding must not choose between equal splits. */
	if (split->uncertainty < best->uncertainty - 1e-9)
		*best = *split;
}

/* The missing rows go to either side. */
static void offer_both(struct split *best, int feature, float threshold, struct count below, struct count missing,
                       struct count all)
{
	struct count with = {below.rows + missing.rows, below.positives + missing.positives};
	struct split split = {0, feature, threshold, false};

	if (below.rows > 0) {
		split.uncertainty = uncertainty(below) + uncertainty(minus(all, below));
		offer(best, &split);
	}
	if (missing.rows <= 0 || with.rows >= all.rows)
		return;
	split.missing_left = true;
	split.uncertainty = uncertainty(with) + uncertainty(minus(all, with));
	offer(best, &split);
}

/* Between two values, so that a whole number's threshold is N.5; where float32 has nothing between, the upper one. */
static float between(float low, float high)
{
	float middle = low + (high - low) / 2;

	return middle > low && isfinite(middle) ? middle : high;
}

static int64_t sort_feature(const struct finder *finder, int feature, int64_t first, int64_t count,
                            struct count *ret_missing)
{
	const struct rule_rows *rows = finder->rows;
	int64_t present = 0;

	*ret_missing = (struct count){0};
	for (int64_t i = first; i < first + count; i++) {
		int64_t row = finder->members[i];
		float value = rows->values[row * rows->columns + feature];

		if (isnan(value)) {
			ret_missing->rows++;
			ret_missing->positives += rows->labels[row];
		} else {
			finder->sorted[present++] = (struct valued){value, rows->labels[row]};
		}
	}
	qsort(finder->sorted, (size_t)present, sizeof *finder->sorted, compare);
	return present;
}

static void offer_feature(const struct finder *finder, int feature, int64_t first, int64_t count, struct count all,
                          struct split *best)
{
	struct count missing, below = {0};
	int64_t present = sort_feature(finder, feature, first, count, &missing);
	const struct valued *sorted = finder->sorted;

	if (present && missing.rows > 0)
		offer_both(best, feature, -INFINITY, (struct count){0}, missing, all);
	for (int64_t i = 0; i + 1 < present; i++) {
		below.rows++;
		below.positives += sorted[i].label;
		if (sorted[i].value < sorted[i + 1].value)
			offer_both(best, feature, between(sorted[i].value, sorted[i + 1].value), below, missing, all);
	}
}

static bool goes_left(const struct rule_node *node, const float *row)
{
	float value = row[node->feature];

	return isnan(value) ? node->missing_left : value < node->threshold;
}

/* Puts the rows that go left first; how many. */
static int64_t divide(const struct finder *finder, struct rule_node *node, int64_t first, int64_t count)
{
	int64_t left = first;

	for (int64_t i = first; i < first + count; i++) {
		int64_t row = finder->members[i];
		const float *values = finder->rows->values + row * finder->rows->columns;

		node->missing_seen |= isnan(values[node->feature]);
		if (goes_left(node, values)) {
			finder->members[i] = finder->members[left];
			finder->members[left++] = row;
		}
	}
	return left - first;
}

static struct count count_members(const struct finder *finder, int64_t first, int64_t count)
{
	struct count all = {(double)count, 0};

	for (int64_t i = first; i < first + count; i++)
		all.positives += finder->rows->labels[finder->members[i]];
	return all;
}

/* Grows what lies below a node; its place. */
static int grow(struct finder *finder, int64_t first, int64_t count, int depth)
{
	struct count all = count_members(finder, first, count);
	struct split best = {.uncertainty = uncertainty(all), .feature = -1};
	int place = finder->rule->count++;
	struct rule_node *node = &finder->rule->nodes[place];
	int64_t left;

	*node = (struct rule_node){.feature = -1, .rows = count, .positives = (int64_t)all.positives};
	for (int i = 0; depth && best.uncertainty > 0 && i < finder->feature_count; i++)
		offer_feature(finder, finder->features[i], first, count, all, &best);
	if (best.feature < 0)
		return place;
	node->feature = best.feature;
	node->threshold = best.threshold;
	node->missing_left = best.missing_left;
	left = divide(finder, node, first, count);
	node->left = grow(finder, first, left, depth - 1);
	node->right = grow(finder, first + left, count - left, depth - 1);
	return place;
}

int rule_find(const struct rule_rows *rows, const int *features, int feature_count, int depth, struct rule *ret_rule,
              struct error *err)
{
	OWNED_FREE int64_t *members = malloc((size_t)(rows->count + 1) * sizeof *members);
	OWNED_FREE struct valued *sorted = malloc((size_t)(rows->count + 1) * sizeof *sorted);
	struct finder finder = {rows, features, feature_count, members, sorted, ret_rule};

	if (!members || !sorted)
		return error_no_memory(err);
	for (int64_t i = 0; i < rows->count; i++)
		members[i] = i;
	ret_rule->count = 0;
	grow(&finder, 0, rows->count, depth < RULE_DEPTH_MAX ? depth : RULE_DEPTH_MAX);
	return 0;
}

/* ---- ask */

static const struct rule_node *leaf_of(const struct rule *rule, const float *row)
{
	const struct rule_node *node = rule->nodes;

	while (node->feature >= 0)
		node = &rule->nodes[goes_left(node, row) ? node->left : node->right];
	return node;
}

float rule_tell(const struct rule *rule, const float *row)
{
	const struct rule_node *leaf = leaf_of(rule, row);

	return leaf->rows ? (float)((double)leaf->positives / (double)leaf->rows) : 0;
}

static bool tells_one(const struct rule_node *leaf)
{
	return leaf->positives * 2 > leaf->rows;
}

struct rule_hits rule_try(const struct rule *rule, const struct rule_rows *rows)
{
	struct rule_hits hits = {0};

	for (int64_t i = 0; i < rows->count; i++) {
		bool one = tells_one(leaf_of(rule, rows->values + i * rows->columns));

		if (rows->labels[i] > 0) {
			hits.positives++;
			hits.positives_right += one;
		} else {
			hits.negatives++;
			hits.negatives_right += !one;
		}
	}
	return hits;
}

int rule_features(const struct rule *rule, int ret_features[RULE_NODES_MAX])
{
	int count = 0;

	for (int i = 0; i < rule->count; i++) {
		int feature = rule->nodes[i].feature, place = count;

		if (feature < 0)
			continue;
		while (place > 0 && ret_features[place - 1] >= feature)
			place--;
		if (place < count && ret_features[place] == feature)
			continue;
		for (int move = count++; move > place; move--)
			ret_features[move] = ret_features[move - 1];
		ret_features[place] = feature;
	}
	return count;
}

/* ---- words */

struct step { /* to one side of a node */
	const struct rule_node *node;
	bool left;
};

struct words {
	const struct rule *rule;
	const char *const *names;
	struct buffer *out;
	struct step path[RULE_DEPTH_MAX];
	bool said[RULE_DEPTH_MAX]; /* steps of the path that must be said */
	int ones; /* parts that tell 1 */
	int written;
};

/* What a step says of missing values: what no row had goes without saying. */
static bool includes_missing(const struct step *step)
{
	return step->node->missing_seen && step->node->missing_left == step->left;
}

/* Whether all that a step lets by goes to one side of another node of its feature. */
static bool leads(const struct step *step, const struct rule_node *node, bool left)
{
	bool missing_too = !includes_missing(step) || node->missing_left == left;

	if (step->node->feature != node->feature || step->left != left || !missing_too)
		return false;
	return left ? step->node->threshold <= node->threshold : step->node->threshold >= node->threshold;
}

/* Whether what is said of the path is enough to come to leaves that tell 1 alone. */
static bool is_enough(const struct words *words, const struct rule_node *node, int depth)
{
	bool left = true, right = true;

	if (node->feature < 0)
		return tells_one(node);
	for (int i = 0; i < depth; i++) {
		right &= !words->said[i] || !leads(&words->path[i], node, true);
		left &= !words->said[i] || !leads(&words->path[i], node, false);
	}
	return (!left || is_enough(words, &words->rule->nodes[node->left], depth)) &&
	       (!right || is_enough(words, &words->rule->nodes[node->right], depth));
}

/* The shortest of %g's forms that is the same float32. */
static void append_threshold(struct buffer *out, float threshold)
{
	char text[32];

	for (int digits = 1; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)threshold);
		if (strtof(text, NULL) == threshold)
			break;
	}
	buffer_text(out, text);
}

static void append_step(struct buffer *out, const char *const *names, const struct step *step)
{
	const struct rule_node *node = step->node;
	const char *name = names[node->feature];
	bool missing = includes_missing(step);

	if (isinf(node->threshold)) {
		buffer_printf(out, "%s is %snull", name, missing ? "" : "not ");
		return;
	}
	buffer_printf(out, "%s%s %s ", missing ? "(" : "", name, step->left ? "<" : ">=");
	append_threshold(out, node->threshold);
	if (missing)
		buffer_printf(out, " or %s is null)", name);
}

static void append_path(struct words *words, int depth)
{
	int several = 0, said = 0;

	for (int i = 0; i < depth; i++)
		words->said[i] = true;
	for (int i = 0; i < depth; i++) {
		words->said[i] = false;
		words->said[i] = !is_enough(words, words->rule->nodes, depth);
		several += words->said[i];
	}
	buffer_text(words->out, words->written++ ? " or " : "");
	buffer_text(words->out, several > 1 && words->ones > 1 ? "(" : "");
	for (int i = 0; i < depth; i++) {
		if (!words->said[i])
			continue;
		buffer_text(words->out, said++ ? " and " : "");
		append_step(words->out, words->names, &words->path[i]);
	}
	buffer_text(words->out, several > 1 && words->ones > 1 ? ")" : "");
}

/* Whether every leaf below tells the same. */
static bool is_decided(const struct rule *rule, const struct rule_node *node)
{
	const struct rule_node *left = &rule->nodes[node->left], *right = &rule->nodes[node->right];

	if (node->feature < 0)
		return true;
	return is_decided(rule, left) && is_decided(rule, right) && tells_one(left) == tells_one(right) &&
	       tells_one(left) == tells_one(node);
}

/* The parts that tell 1 `wanted` levels down. */
static void visit(struct words *words, const struct rule_node *node, int depth, int wanted, bool write)
{
	if (is_decided(words->rule, node)) {
		if (depth != wanted || !tells_one(node))
			return;
		words->ones += !write;
		if (write)
			append_path(words, depth);
		return;
	}
	words->path[depth] = (struct step){node, true};
	visit(words, &words->rule->nodes[node->left], depth + 1, wanted, write);
	words->path[depth].left = false;
	visit(words, &words->rule->nodes[node->right], depth + 1, wanted, write);
}

void rule_words(const struct rule *rule, const char *const *names, struct buffer *out)
{
	struct words words = {.rule = rule, .names = names, .out = out};

	for (int depth = 0; depth <= RULE_DEPTH_MAX; depth++)
		visit(&words, rule->nodes, 0, depth, false);
	if (!words.ones)
		buffer_text(out, "never");
	else if (is_decided(rule, rule->nodes))
		buffer_text(out, "always");
	for (int depth = 1; depth <= RULE_DEPTH_MAX; depth++)
		visit(&words, rule->nodes, 0, depth, true);
}

static double share_of(const struct rule_node *node)
{
	return node->rows ? (double)node->positives / (double)node->rows : 0;
}

void rule_split_words(const struct rule *rule, const char *const *names, struct buffer *out)
{
	const struct rule_node *root = rule->nodes;

	if (root->feature < 0) {
		buffer_printf(out, "none: %.3g", share_of(root));
		return;
	}
	append_step(out, names, &(struct step){root, false});
	buffer_printf(out, ": %.3g, else %.3g", share_of(&rule->nodes[root->right]),
	              share_of(&rule->nodes[root->left]));
}
