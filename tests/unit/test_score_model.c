/* test_score_model.c - score/booster.h and model.h: training that repeats itself, files that are read as they were
 * written, and files that somebody broke. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "check.h"
#include "score/model.h"
#include "test_score.h"

#define ROWS 2000

static float *values, *labels;
static struct booster_rows rows;
static struct buffer trained; /* the JSON of a model over them */
static struct error err;

static int train(int64_t count, int threads, struct buffer *json)
{
	OWNED_BOOSTER struct booster *booster = NULL;
	struct booster_rows some = {values, count, MADE_COLUMNS};

	buffer_init(json, MODEL_BYTES_MAX);
	booster =
	        booster_train(&some, labels, &made_features, &(struct booster_training){20, 3, 42, threads, 0.3}, &err);
	return booster ? booster_save(booster, json, &err) : -1;
}

static void the_same_bytes_again(void)
{
	OWNED_BUFFER struct buffer again = {0}, two = {0};

	CHECK_INT(train(ROWS, 1, &again), 0);
	CHECK_TEXT(buffer_string(&again), buffer_string(&trained));
	/* Not promised (booster.h), and so on these rows. */
	CHECK_INT(train(ROWS, 2, &two), 0);
	CHECK_TEXT(buffer_string(&two), buffer_string(&trained));
}

static void names_and_types_are_in_the_file(void)
{
	CHECK_HAS(buffer_string(&trained), "\"feature_names\":[\"alpha\",\"beta\",\"gamma\"]");
	CHECK_HAS(buffer_string(&trained), "\"feature_types\":[\"float\",\"int\",\"i\"]");
	CHECK_HAS(buffer_string(&trained), "\"name\":\"binary:logistic\"");
}

/* What is read is what was trained: XGBoost's own reading of the same bytes predicts the same, bit for bit. */
static void the_plain_text_is_the_same_model(void)
{
	OWNED_BOOSTER struct booster *raw = booster_load(buffer_string(&trained), trained.size, &err);
	OWNED_MODEL struct model *model = model_parse(buffer_string(&trained), trained.size, &err);
	static float theirs[ROWS], ours[ROWS], parts[ROWS * (MADE_COLUMNS + 1)], raw_parts[ROWS * (MADE_COLUMNS + 1)];

	CHECK(raw && model);
	CHECK_INT(model->outline.feature_count, 3);
	CHECK_TEXT(model->outline.features[1], "beta");
	CHECK_INT(model->outline.tree_count, 20);
	CHECK_INT(strlen(model->hash), 64);
	CHECK_INT(booster_predict(raw, &rows, theirs, &err), 0);
	CHECK_INT(booster_predict(model->booster, &rows, ours, &err), 0);
	CHECK(!memcmp(theirs, ours, sizeof ours));
	CHECK_INT(booster_contributions(raw, &rows, raw_parts, &err), 0);
	CHECK_INT(booster_contributions(model->booster, &rows, parts, &err), 0);
	CHECK(!memcmp(parts, raw_parts, sizeof parts));
}

static void contributions_add_up(void)
{
	OWNED_MODEL struct model *model = model_parse(buffer_string(&trained), trained.size, &err);
	static float scores[ROWS], parts[ROWS * (MADE_COLUMNS + 1)];
	double right = 0;

	CHECK(model);
	CHECK_INT(booster_predict(model->booster, &rows, scores, &err), 0);
	CHECK_INT(booster_contributions(model->booster, &rows, parts, &err), 0);
	for (int i = 0; i < ROWS; i++) {
		double odds = 0;

		for (int c = 0; c <= MADE_COLUMNS; c++)
			odds += parts[i * (MADE_COLUMNS + 1) + c];
		CHECK(fabs(1 / (1 + exp(-odds)) - scores[i]) < 1e-5);
		right += (scores[i] >= 0.5) == (labels[i] > 0);
	}
	CHECK(right / ROWS > 0.8);
	CHECK_INT(booster_predict(model->booster, &(struct booster_rows){values, 0, MADE_COLUMNS}, scores, &err), 0);
}

static void values_that_are_missing(void)
{
	CHECK(isnan(booster_value(NAN)));
	CHECK(isnan(booster_value(INFINITY)));
	CHECK(isnan(booster_value(-1e300)));
	CHECK(booster_value(1.5) == 1.5f);
}

/* ---- files */

static char folder[] = "/tmp/tarn-test-score-XXXXXX", path[256];

static void files_come_and_go(void)
{
	OWNED_MODEL struct model *model = NULL;
	struct stat there;

	CHECK(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/deep/er/churn.json", folder);
	CHECK(!model_load(path, &err));
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, path);
	CHECK_HAS(err.message, "No such file");
	CHECK_HAS(err.message, "tarn model train");
	CHECK_INT(model_write(path, buffer_string(&trained), trained.size, &err), 0);
	model = model_load(path, &err);
	CHECK(model);
	CHECK(!stat(path, &there) && there.st_size == (off_t)trained.size);
	snprintf(path, sizeof path, "%s/deep", folder);
	CHECK(!model_load(path, &err));
	CHECK_HAS(err.message, "is no file");
	CHECK_INT(model_write(path, "x", 1, &err), -1);
	CHECK_HAS(err.message, "cannot write the model");
	CHECK_INT(folder_remove(folder, &err), 0);
}

/* SHA-256 of "abc": FIPS 180-4's example. */
static void the_hash_is_of_the_bytes(void)
{
	OWNED_MODEL struct model *model = model_parse(buffer_string(&trained), trained.size, &err);
	struct hash *hash = hash_new(&err);
	char hex[HASH_HEX_SIZE];

	hash_add(hash, buffer_string(&trained), trained.size);
	hash_hex(hash, hex);
	hash_free(hash);
	CHECK(model);
	CHECK_TEXT(model->hash, hex);
}

/* ---- hostile bytes */

/* The model with the first `from` replaced; NULL where it has none. */
static char *with(const char *from, const char *to)
{
	const char *json = buffer_string(&trained), *at = strstr(json, from);
	char *text;

	if (!at)
		return NULL;
	if (asprintf(&text, "%.*s%s%s", (int)(at - json), json, to, at + strlen(from)) < 0)
		return NULL;
	return text;
}

/* "" where it is read, else what is said. A model that is read must be one that can be asked. */
static const char *said(const char *json, size_t size)
{
	OWNED_MODEL struct model *model = NULL;
	static float scores[8], parts[8 * (MADE_COLUMNS + 1)];
	struct booster_rows few = {values, 8, MADE_COLUMNS};

	err = (struct error){0};
	model = model_parse(json, size, &err);
	if (!model)
		return err.message[0] ? err.message : "nothing said";
	if (model->outline.feature_count == MADE_COLUMNS && (booster_predict(model->booster, &few, scores, &err) ||
	                                                     booster_contributions(model->booster, &few, parts, &err)))
		return err.message;
	return "";
}

static const char *said_with(const char *from, const char *to)
{
	OWNED_FREE char *json = with(from, to);

	return json ? said(json, strlen(json)) : "the model has no such part";
}

static void broken_models_are_told(void)
{
	static const struct {
		const char *from, *to, *said;
	} cases[] = {
	        {"\"learner\"", "\"teacher\"", "learner is missing"},
	        {"binary:logistic", "reg:squarederror", "objective reg:squarederror: binary:logistic would be right"},
	        {"\"name\":\"gbtree\"", "\"name\":\"dart\"", "booster dart: gbtree would be right"},
	        {"\"name\":\"gbtree\"", "\"name\":7", "booster (none)"},
	        {"\"num_class\":\"0\"", "\"num_class\":\"3\"", "several labels"},
	        {"\"num_class\":\"0\"", "\"num_class\":\"many\"", "num_class is no number"},
	        {"\"num_target\":\"1\"", "\"num_target\":\"2\"", "several labels"},
	        {"\"num_feature\":\"3\",\"num_target", "\"num_feature\":\"4\",\"num_target",
	         "num_feature is not how many"},
	        {"\"base_score\":\"", "\"base_score\":\"-", "base_score is no probability"},
	        {"\"base_score\":\"", "\"base_score\":\"nan", "base_score is no"},
	        {"[\"alpha\",\"beta\",\"gamma\"]", "[]", "no names of features"},
	        {"[\"alpha\",\"beta\",\"gamma\"]", "[\"alpha\",\"beta\"]", "num_feature is not how many"},
	        {"[\"alpha\",\"beta\",\"gamma\"]", "[\"alpha\",\"Alpha\",\"gamma\"]", "two features Alpha"},
	        {"[\"alpha\",\"beta\",\"gamma\"]", "[\"alpha\",\"\",\"gamma\"]", "name is no text"},
	        {"[\"alpha\",\"beta\",\"gamma\"]", "[\"alpha\",1,\"gamma\"]", "name is no text"},
	        {"\"left_children\":[1", "\"left_children\":[0", "its own ancestor"},
	        {"\"left_children\":[1", "\"left_children\":[2", "two parents"},
	        {"\"left_children\":[1", "\"left_children\":[-1", "one child"},
	        {"\"left_children\":[1", "\"left_children\":[999", "left_children[0] is no number from -1 to"},
	        {"\"left_children\":[1", "\"left_children\":[-2", "left_children[0] is no number from -1 to"},
	        {"\"left_children\":[1", "\"left_children\":[NaN", "left_children[0] is no number"},
	        {"\"left_children\":[1", "\"left_children\":[[[1]]", "left_children[0] is no number"},
	        {"\"left_children\":[1,", "\"left_children\":[", "not how many nodes"},
	        {"\"right_children\":[2,", "\"right_children\":[2,3,", "right_children is no array of a number for"},
	        {"\"right_children\":[2", "\"right_children\":[4294967298", "right_children[0] is no number"},
	        {"\"split_indices\":[0", "\"split_indices\":[3", "by a feature that the model has not"},
	        {"\"split_indices\":[0", "\"split_indices\":[-1", "split_indices[0] is no number"},
	        {"\"split_indices\":[0", "\"split_indices\":[1e300", "split_indices[0] is no number"},
	        {"\"split_type\":[0", "\"split_type\":[1", "splits by categories"},
	        {"\"split_conditions\":[", "\"split_conditions\":[\"x\",", "split_conditions is no array"},
	        {"\"default_left\":[0", "\"default_left\":[2", "default_left[0] is no number"},
	        {"\"sum_hessian\":[", "\"sum_hession\":[", "sum_hessian is no array"},
	        {"\"num_nodes\":\"15\"", "\"num_nodes\":\"2000000000\"", "not how many nodes"},
	        {"\"num_nodes\":\"15\"", "\"num_nodes\":\"-1\"", "not how many nodes"},
	        {"\"num_nodes\":\"15\"", "\"num_nodes\":{}", "num_nodes is no number"},
	        {"\"id\":0", "\"id\":5", "not in order"},
	        {"\"size_leaf_vector\":\"0\"}},", "\"size_leaf_vector\":\"3\"}},", "leaves of several values"},
	        {"\"trees\":[", "\"trees\":[null,", "tree_param.num_nodes is missing"},
	        {"\"trees\":[", "\"forest\":[", "trees is missing"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *was = said_with(cases[i].from, cases[i].to);

		if (!strstr(was, cases[i].said))
			CHECK_FAIL("%s for %s: \"%s\", without \"%s\"", cases[i].to, cases[i].from, was, cases[i].said);
	}
}

static void foreign_files_are_told(void)
{
	static const char *const foreign[] = {"",
	                                      " ",
	                                      "{",
	                                      "[]",
	                                      "null",
	                                      "7",
	                                      "{}",
	                                      "{\"learner\":{}}",
	                                      "{\"learner\":[]}",
	                                      "<xml/>",
	                                      "binf\1\2\3",
	                                      "{L\0\0",
	                                      "{\"learner\":{\"objective\":7}}"};
	char *deep = malloc(2000001);

	for (size_t i = 0; i < COUNT_OF(foreign); i++) {
		const char *was = said(foreign[i], strlen(foreign[i]));

		if (!strstr(was, "is not JSON") && !strstr(was, "is not XGBoost's JSON"))
			CHECK_FAIL("%s: \"%s\"", foreign[i], was);
		if (err.kind != ERROR_CORRUPT)
			CHECK_FAIL("%s: %s", foreign[i], error_kind_name(err.kind));
	}
	memset(deep, '[', 1000000);
	memset(deep + 1000000, ']', 1000000);
	CHECK_HAS(said(deep, 2000000), "learner is missing");
	CHECK_HAS(said(deep, 1000000), "is not JSON");
	free(deep);
}

/* XGBoost takes the last of two keys, others the first: both must be safe. */
static void two_keys_of_one_name(void)
{
	CHECK_HAS(said_with("\"left_children\":[1", "\"left_children\":[1,2],\"left_children\":[1"),
	          "num_nodes is not");
	CHECK_TEXT(said_with("\"split_indices\":", "\"right_children\":[900,900,900],\"split_indices\":"), "");
}

/* A chain of nodes: XGBoost would walk it by recursion. */
static void trees_without_end(void)
{
	static char lefts[400000], rights[400000], zeros[400000], json[3000000];
	const int nodes = 20001;
	size_t l = 0, r = 0, z = 0;

	for (int i = 0; i < nodes; i++) {
		bool inner = i % 2 == 0 && i + 2 < nodes;

		l += (size_t)snprintf(lefts + l, sizeof lefts - l, "%s%d", i ? "," : "", inner ? i + 1 : -1);
		r += (size_t)snprintf(rights + r, sizeof rights - r, "%s%d", i ? "," : "", inner ? i + 2 : -1);
		z += (size_t)snprintf(zeros + z, sizeof zeros - z, "%s0", i ? "," : "");
	}
	snprintf(json, sizeof json,
	         "{\"learner\":{\"objective\":{\"name\":\"binary:logistic\"},\"feature_names\":[\"a\"],"
	         "\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\",\"num_feature\":\"1\"},"
	         "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[{\"tree_param\":{\"num_nodes\":\"%"
	         "d\"},"
	         "\"left_children\":[%s],\"right_children\":[%s],\"split_indices\":[%s],\"split_conditions\":[%s],"
	         "\"default_left\":[%s],\"sum_hessian\":[%s]}]}}}}",
	         nodes, lefts, rights, zeros, zeros, zeros, zeros);
	CHECK_HAS(said(json, strlen(json)), "more than 64 levels");
}

/* What is not there any more, and what is something else: an error or a model that can be asked, and never the end. */
static void cut_and_changed_at_every_place(void)
{
	OWNED_FREE char *json = malloc(trained.size + 1);
	uint64_t state = 1;
	int taken = 0;

	for (size_t size = 0; size < trained.size; size += size < 3000 ? 1 : 97)
		CHECK(said(buffer_string(&trained), size)[0]);
	for (int i = 0; i < 1500; i++) {
		memcpy(json, buffer_string(&trained), trained.size + 1);
		for (int n = 0; n < 1 + i % 3; n++) {
			size_t at = (size_t)(drawn(&state) * (double)trained.size);

			json[at] = i % 2 ? (char)(drawn(&state) * 256)
			                 : "0123456789-.eE,[]{}\""[(int)(drawn(&state) * 20)];
		}
		taken += !said(json, trained.size)[0];
	}
	CHECK(taken > 50);
}

int main(int argc, char **argv)
{
	make_rows(ROWS, &values, &labels);
	rows = (struct booster_rows){values, ROWS, MADE_COLUMNS};
	if (train(ROWS, 1, &trained)) {
		printf("not ok train: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(the_same_bytes_again), TEST(names_and_types_are_in_the_file),
	                  TEST(the_plain_text_is_the_same_model), TEST(contributions_add_up),
	                  TEST(values_that_are_missing), TEST(files_come_and_go), TEST(the_hash_is_of_the_bytes),
	                  TEST(broken_models_are_told), TEST(foreign_files_are_told), TEST(two_keys_of_one_name),
	                  TEST(trees_without_end), TEST(cut_and_changed_at_every_place));
}
