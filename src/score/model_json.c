#include "score/model_json.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yyjson.h>

#define NODES_MAX INT32_MAX

struct node {
	int left, right; /* -1: a leaf */
	int feature;
	float condition; /* of a leaf its value */
	float cover; /* the rows that came by, weighed */
	bool default_left;
	bool seen;
};

/* A tree as it stands in the file, and the order in which its nodes can be reached: from the root, level by level. */
struct tree {
	struct node *nodes;
	double *column; /* space for one of the file's arrays */
	int *order, *depth, *parent; /* of reached nodes; parent in the new order */
	int *place; /* of a node in the new order */
	int count, reached;
};

struct reading {
	struct buffer *out;
	struct error *err;
	int features;
	int tree; /* that is being read */
};

static int corrupt(struct error *err, const char *what)
{
	return error_set(err, ERROR_CORRUPT, 0, "is not XGBoost's JSON: %s", what);
}

/* The value at "a.b.c" below `value`; NULL with *err where it is not there. */
static yyjson_val *find(yyjson_val *value, const char *path, struct error *err)
{
	for (const char *at = path; value && *at;) {
		size_t size = strcspn(at, ".");

		value = yyjson_obj_getn(value, at, size);
		at += size + (at[size] == '.');
	}
	if (!value)
		error_set(err, ERROR_CORRUPT, 0, "is not XGBoost's JSON: %s is missing", path);
	return value;
}

static bool is_text(yyjson_val *value, const char *text)
{
	return yyjson_is_str(value) && yyjson_equals_str(value, text);
}

/* Parameters are texts that hold numbers; since 3.1 base_score is one in brackets. */
static int parameter(yyjson_val *value, const char *path, double *ret_number, struct error *err)
{
	yyjson_val *found = find(value, path, err);
	const char *text;
	char *end;

	if (!found)
		return -1;
	*ret_number = yyjson_get_num(found);
	if (yyjson_is_num(found))
		return 0;
	text = yyjson_is_str(found) ? yyjson_get_str(found) : "";
	text += *text == '[';
	*ret_number = strtod(text, &end);
	if (end == text || (*end && strcmp(end, "]")))
		return error_set(err, ERROR_CORRUPT, 0, "is not XGBoost's JSON: %s is no number", path);
	return 0;
}

/* ---- trees */

static void tree_release(struct tree *tree)
{
	free(tree->nodes);
	free(tree->column);
	free(tree->order);
	free(tree->depth);
	free(tree->parent);
	free(tree->place);
}

static int tree_init(struct tree *tree, int count)
{
	size_t size = (size_t)count + 1;

	*tree = (struct tree){.count = count};
	tree->nodes = calloc(size, sizeof *tree->nodes);
	tree->column = calloc(size, sizeof *tree->column);
	tree->order = calloc(size, sizeof *tree->order);
	tree->depth = calloc(size, sizeof *tree->depth);
	tree->parent = calloc(size, sizeof *tree->parent);
	tree->place = calloc(size, sizeof *tree->place);
	return tree->nodes && tree->column && tree->order && tree->depth && tree->parent && tree->place ? 0 : -1;
}

static int corrupt_tree(const struct reading *reading, const char *what)
{
	return error_set(reading->err, ERROR_CORRUPT, 0, "is not XGBoost's JSON: tree %d: %s", reading->tree, what);
}

/* An array of the file with a number a node, from `least` to `greatest` (NaN is neither). */
static int read_column(const struct reading *reading, yyjson_val *from, const char *name, double least, double greatest,
                       struct tree *tree)
{
	yyjson_val *array = yyjson_obj_get(from, name), *value;
	char what[160];
	size_t i, size;

	if (!yyjson_is_arr(array) || yyjson_arr_size(array) != (size_t)tree->count) {
		snprintf(what, sizeof what, "%s is no array of a number for each of its %d nodes", name, tree->count);
		return corrupt_tree(reading, what);
	}
	yyjson_arr_foreach(array, i, size, value)
	{
		double number = yyjson_is_bool(value) ? yyjson_get_bool(value) : yyjson_get_num(value);

		if ((!yyjson_is_num(value) && !yyjson_is_bool(value)) || !(number >= least && number <= greatest)) {
			snprintf(what, sizeof what, "%s[%zu] is no number from %g to %g", name, i, least, greatest);
			return corrupt_tree(reading, what);
		}
		tree->column[i] = number;
	}
	return 0;
}

static int read_nodes(const struct reading *reading, yyjson_val *from, struct tree *tree)
{
	const double last = tree->count - 1;

	if (read_column(reading, from, "left_children", -1, last, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].left = (int)tree->column[i];
	if (read_column(reading, from, "right_children", -1, last, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].right = (int)tree->column[i];
	if (read_column(reading, from, "split_indices", 0, INT32_MAX, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].feature = (int)tree->column[i];
	if (read_column(reading, from, "split_conditions", -INFINITY, INFINITY, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].condition = (float)tree->column[i];
	if (read_column(reading, from, "default_left", 0, 1, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].default_left = tree->column[i] != 0;
	if (read_column(reading, from, "sum_hessian", -INFINITY, INFINITY, tree))
		return -1;
	for (int i = 0; i < tree->count; i++)
		tree->nodes[i].cover = (float)tree->column[i];
	return 0;
}

/* A split by categories has its values elsewhere, and split_type 1. */
static int refuse_categories(const struct reading *reading, yyjson_val *from)
{
	yyjson_val *types = yyjson_obj_get(from, "split_type"), *value;
	size_t i, size;

	yyjson_arr_foreach(types, i, size, value)
	{
		if (yyjson_get_num(value) != 0)
			return error_set(
			        reading->err, ERROR_INVALID, 0,
			        "splits by categories, which SQL's numbers are not: columns of 0 and 1 would be "
			        "right (enable_categorical=False)");
	}
	return 0;
}

static int reach(const struct reading *reading, struct tree *tree, int node, int parent)
{
	int place = tree->reached++;

	if (tree->nodes[node].seen)
		return corrupt_tree(reading, "a node has two parents, or is its own ancestor");
	tree->nodes[node].seen = true;
	tree->order[place] = node;
	tree->place[node] = place;
	tree->parent[place] = parent;
	tree->depth[place] = parent < 0 ? 0 : tree->depth[parent] + 1;
	if (tree->depth[place] > MODEL_DEPTH_MAX)
		return error_set(reading->err, ERROR_INVALID, 0, "has a tree of more than %d levels", MODEL_DEPTH_MAX);
	return 0;
}

/* Breadth first; a node is reached once, so that this ends. */
static int walk(const struct reading *reading, struct tree *tree)
{
	if (reach(reading, tree, 0, -1))
		return -1;
	for (int at = 0; at < tree->reached; at++) {
		const struct node *node = &tree->nodes[tree->order[at]];

		if (node->left < 0 && node->right < 0) {
			if (!isfinite(node->condition))
				return corrupt_tree(reading, "a leaf's value is not finite");
			continue;
		}
		if (node->left < 0 || node->right < 0)
			return corrupt_tree(reading, "a node has one child");
		if (node->feature >= reading->features)
			return corrupt_tree(reading, "a split is by a feature that the model has not");
		if (reach(reading, tree, node->left, at) || reach(reading, tree, node->right, at))
			return -1;
	}
	return 0;
}

/* Nine digits give back a float32 as it was; always with a point, for XGBoost tells 1 from 1.0. */
static void append_number(struct buffer *out, float number)
{
	if (isinf(number))
		buffer_text(out, number > 0 ? "Infinity" : "-Infinity");
	else
		buffer_printf(out, "%.8e", (double)number);
}

#define ROOT_PARENT INT32_MAX /* as XGBoost writes it */

static void append_tree(const struct reading *reading, const struct tree *tree)
{
	static const char *const arrays[] = {"left_children", "right_children", "parents",
	                                     "split_indices", "default_left",   "split_conditions",
	                                     "sum_hessian",   "base_weights",   "loss_changes"};
	struct buffer *out = reading->out;

	buffer_printf(out,
	              "{\"id\":%d,\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"%d\",\"num_nodes\":\"%d\",",
	              reading->tree, reading->features, tree->reached);
	buffer_text(out, "\"size_leaf_vector\":\"0\"}");
	for (size_t array = 0; array < COUNT_OF(arrays); array++) {
		buffer_printf(out, ",\"%s\":[", arrays[array]);
		for (int i = 0; i < tree->reached; i++) {
			const struct node *node = &tree->nodes[tree->order[i]];
			bool leaf = node->left < 0;

			buffer_text(out, i ? "," : "");
			switch (array) {
			case 0: buffer_printf(out, "%d", leaf ? -1 : tree->place[node->left]); break;
			case 1: buffer_printf(out, "%d", leaf ? -1 : tree->place[node->right]); break;
			case 2: buffer_printf(out, "%d", i ? tree->parent[i] : ROOT_PARENT); break;
			case 3: buffer_printf(out, "%d", leaf ? 0 : node->feature); break;
			case 4: buffer_char(out, node->default_left ? '1' : '0'); break;
			case 5: append_number(out, node->condition); break;
			case 6: append_number(out, isfinite(node->cover) ? node->cover : 0); break;
			default: append_number(out, 0); break;
			}
		}
		buffer_char(out, ']');
	}
	buffer_char(out, '}');
}

static int read_tree(const struct reading *reading, yyjson_val *from)
{
	OWNED_BY(tree_release) struct tree tree = {0};
	double count, leaf_size = 0, id = reading->tree;

	if (parameter(from, "tree_param.num_nodes", &count, reading->err))
		return -1;
	if (yyjson_obj_get(from, "id"))
		id = yyjson_get_num(yyjson_obj_get(from, "id"));
	if (id != reading->tree)
		return corrupt_tree(reading, "the trees are not in order");
	/* More nodes than the array has would be memory for nothing. */
	if (!(count >= 1 && count <= NODES_MAX) ||
	    (size_t)count != yyjson_arr_size(yyjson_obj_get(from, "left_children")))
		return corrupt_tree(reading, "tree_param.num_nodes is not how many nodes there are");
	if (!parameter(from, "tree_param.size_leaf_vector", &leaf_size, NULL) && leaf_size > 1)
		return error_set(reading->err, ERROR_INVALID, 0,
		                 "has leaves of several values: one label of 0 and 1 would be right");
	if (tree_init(&tree, (int)count))
		return error_no_memory(reading->err);
	if (refuse_categories(reading, from) || read_nodes(reading, from, &tree) || walk(reading, &tree))
		return -1;
	append_tree(reading, &tree);
	return 0;
}

/* ---- the model */

static int read_features(yyjson_val *learner, struct model_outline *outline, struct error *err)
{
	yyjson_val *names = yyjson_obj_get(learner, "feature_names"), *name;
	size_t i, count;

	if (!yyjson_is_arr(names) || !yyjson_arr_size(names))
		return error_set(
		        err, ERROR_INVALID, 0,
		        "has no names of features, by which SQL's columns are found: train it on rows that have "
		        "them (in Python a DataFrame, or DMatrix(..., feature_names=[...]))");
	if (yyjson_arr_size(names) > MODEL_FEATURES_MAX)
		return error_set(err, ERROR_INVALID, 0, "has more than %d features", MODEL_FEATURES_MAX);
	outline->features = calloc(yyjson_arr_size(names) + 1, sizeof *outline->features);
	if (!outline->features)
		return error_no_memory(err);
	yyjson_arr_foreach(names, i, count, name)
	{
		const char *text = yyjson_get_str(name);

		if (!text || !*text || strlen(text) != yyjson_get_len(name))
			return corrupt(err, "a feature's name is no text");
		for (int other = 0; other < outline->feature_count; other++)
			if (!strcasecmp(outline->features[other], text))
				return error_set(err, ERROR_INVALID, 0,
				                 "has two features %.100s, which are one column in SQL", text);
		outline->features[outline->feature_count] = strdup(text);
		if (!outline->features[outline->feature_count++])
			return error_no_memory(err);
	}
	return 0;
}

/* What kind of model it is, which XGBoost itself would take most of. */
static int check_kind(yyjson_val *learner, double *ret_base, struct error *err)
{
	yyjson_val *objective = find(learner, "objective.name", err), *booster;
	double classes = 0, targets = 1;

	if (!objective)
		return -1;
	if (!is_text(objective, "binary:logistic"))
		return error_set(err, ERROR_INVALID, 0, "has the objective %.60s: binary:logistic would be right",
		                 yyjson_is_str(objective) ? yyjson_get_str(objective) : "(none)");
	booster = find(learner, "gradient_booster.name", err);
	if (!booster)
		return -1;
	if (!is_text(booster, "gbtree"))
		return error_set(err, ERROR_INVALID, 0, "has the booster %.60s: gbtree would be right",
		                 yyjson_is_str(booster) ? yyjson_get_str(booster) : "(none)");
	if (parameter(learner, "learner_model_param.base_score", ret_base, err) ||
	    parameter(learner, "learner_model_param.num_class", &classes, err))
		return -1;
	parameter(learner, "learner_model_param.num_target", &targets, NULL);
	if (classes > 1 || targets > 1)
		return error_set(err, ERROR_INVALID, 0, "tells several labels: one of 0 and 1 would be right");
	if (!((float)*ret_base > 0 && (float)*ret_base < 1))
		return corrupt(err, "base_score is no probability between 0 and 1");
	return 0;
}

static int read_trees(yyjson_val *learner, struct model_outline *outline, struct buffer *plain, struct error *err)
{
	struct reading reading = {plain, err, outline->feature_count, 0};
	yyjson_val *trees = find(learner, "gradient_booster.model.trees", err), *tree;
	size_t i, count;

	if (!trees)
		return -1;
	if (!yyjson_is_arr(trees) || !yyjson_arr_size(trees))
		return corrupt(err, "there are no trees");
	if (yyjson_arr_size(trees) > MODEL_TREES_MAX)
		return error_set(err, ERROR_INVALID, 0, "has more than %d trees", MODEL_TREES_MAX);
	outline->tree_count = (int)yyjson_arr_size(trees);
	yyjson_arr_foreach(trees, i, count, tree)
	{
		reading.tree = (int)i;
		buffer_text(plain, i ? "," : "");
		if (read_tree(&reading, tree))
			return -1;
	}
	return 0;
}

/* The rest of a model, as XGBoost 1.7 writes it. */
static void append_end(const struct model_outline *outline, double base, struct buffer *plain)
{
	buffer_text(plain, "],\"tree_info\":[");
	for (int i = 0; i < outline->tree_count; i++)
		buffer_text(plain, i ? ",0" : "0");
	buffer_printf(plain, "],\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_trees\":\"%d\",",
	              outline->tree_count);
	buffer_text(plain, "\"size_leaf_vector\":\"0\"}}},\"learner_model_param\":{");
	buffer_printf(plain, "\"base_score\":\"%.8E\",\"num_class\":\"0\",\"num_feature\":\"%d\",\"num_target\":\"1\",",
	              base, outline->feature_count);
	buffer_text(plain, "\"boost_from_average\":\"0\"},\"objective\":{\"name\":\"binary:logistic\",");
	buffer_text(plain, "\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}}},\"version\":[1,7,4]}");
}

static int read_document(yyjson_val *root, struct model_outline *outline, struct buffer *plain, struct error *err)
{
	yyjson_val *learner = find(root, "learner", err);
	double base, features;

	if (!learner || check_kind(learner, &base, err) || read_features(learner, outline, err) ||
	    parameter(learner, "learner_model_param.num_feature", &features, err))
		return -1;
	if (features != outline->feature_count)
		return corrupt(err, "num_feature is not how many names of features there are");
	buffer_text(plain, "{\"learner\":{\"attributes\":{},\"feature_names\":[],\"feature_types\":[],");
	buffer_text(plain, "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[");
	if (read_trees(learner, outline, plain, err))
		return -1;
	append_end(outline, base, plain);
	return buffer_ok(plain) ? 0 : error_no_memory(err);
}

int model_json_read(const char *json, size_t size, struct model_outline *ret_outline, struct buffer *plain,
                    struct error *err)
{
	OWNED_OUTLINE struct model_outline outline = {0};
	yyjson_read_err failure = {0};
	yyjson_doc *document;
	int failed;

	if (size > MODEL_BYTES_MAX)
		return error_set(err, ERROR_INVALID, 0, "has more than %zu MiB", MODEL_BYTES_MAX >> 20);
	/* Not changed without YYJSON_READ_INSITU. */
	document = yyjson_read_opts((char *)(uintptr_t)json, size, YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &failure);
	if (!document && failure.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return error_no_memory(err);
	if (!document)
		return error_set(err, ERROR_CORRUPT, 0, "is not JSON: %s at byte %zu of %zu",
		                 failure.msg ? failure.msg : "wrong", failure.pos, size);
	failed = read_document(yyjson_doc_get_root(document), &outline, plain, err);
	yyjson_doc_free(document);
	if (failed)
		return -1;
	*ret_outline = outline;
	outline = (struct model_outline){0};
	return 0;
}

void model_outline_release(struct model_outline *outline)
{
	for (int i = 0; i < outline->feature_count; i++)
		free(outline->features[i]);
	free(outline->features);
	*outline = (struct model_outline){0};
}
