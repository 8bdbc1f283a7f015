/* test_score_lake.c - score/score.h, models.h and scores.h on a lake: models that are trained, named in SQL, and whose
 * scores are a table. */
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "lake/lake.h"
#include "score/model.h"
#include "score/score.h"
#include "score/scores.h"
#include "spec/spec.h"

static char folder[] = "/tmp/tarn-test-scores-XXXXXX", path[256], data[256], file[256];
static struct spec_catalog catalog = {
        .name = "main", .backend = {.type = BACKEND_SQLITE, .path = path}, .data_path = data};
static struct lake *lake;
static struct lake_session *session;
static struct score_models *models;
static struct error err;
static char answer[8192];

static char *key[] = {(char *)"id"};

/* Three features, of which two tell the label most of the time. Label and features are of one hash, so that they are
 * the same in every run. */
#define PEOPLE                                                                                                         \
	"CREATE TABLE people AS SELECT id, tenure, calls, business, "                                                  \
	"(hash(id, 'luck') % 1000) / 1000.0 < 1 / (1 + exp(tenure / 6.0 - calls - 1)) AS churned, "                    \
	"DATE '2024-01-01' + (id % 100)::INTEGER AS signup FROM (SELECT range AS id, "                                 \
	"CASE WHEN range % 17 = 0 THEN NULL ELSE hash(range, 't') % 40 END AS tenure, "                                \
	"(hash(range, 'c') % 6)::DECIMAL(6, 2) AS calls, hash(range, 'b') % 3 = 0 AS business FROM range(4000))"

static struct spec_pipeline pipeline = {
        .name = "churn",
        .catalog = &catalog,
        .memory_bytes = 256 << 20,
        .model = {.name = (char *)"churn",
                  .file = file,
                  .training = (char *)"SELECT id, tenure, calls, business, churned FROM people",
                  .key = key,
                  .key_count = 1,
                  .label = (char *)"churned",
                  .scores = (char *)"gold.scores",
                  .seed = 42,
                  .rounds = 30,
                  .depth = 3,
                  .learning_rate = (char *)"0.2",
                  .split_test = (char *)"0.25"},
};

static int execute(const char *sql)
{
	return duck_exec(lake_connection(session), sql, NULL, &err);
}

static int open_lake(void)
{
	struct score_model_file files[] = {{"churn", file, "tarn.yaml"}, {"other", "/nowhere/other.json", NULL}};

	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/catalog.sqlite", folder);
	snprintf(data, sizeof data, "%s/data/", folder);
	snprintf(file, sizeof file, "%s/models/churn.json", folder);
	lake = lake_open(&catalog, &(struct lake_options){.writer = true}, &err);
	session = lake ? lake_session_new(lake, &err) : NULL;
	models = score_models_new(files, 2, &err);
	return !session || !models || score_register(models, session, &err) || lake_use(session, -1, &err) ||
	       execute(PEOPLE);
}

/* The first row, its columns joined; or the error. */
static const char *ask(const char *sql)
{
	OWNED_DUCK_ROWS struct duck_rows rows = {0};

	err = (struct error){0};
	*answer = 0;
	if (duck_query(lake_connection(session), sql, &rows, &err))
		snprintf(answer, sizeof answer, "%s", err.message);
	for (int i = 0; rows.row_count && i < rows.column_count; i++) {
		size_t size = strlen(answer);

		snprintf(answer + size, sizeof answer - size, "%s%s", i ? " " : "",
		         duck_cell(&rows, 0, i) ? duck_cell(&rows, 0, i) : "NULL");
	}
	return answer;
}

static int64_t snapshot(void)
{
	int64_t id = -1;

	lake_snapshot(session, &id, &err);
	return id;
}

/* ---- before there is a model */

static void a_model_without_a_file(void)
{
	CHECK_HAS(ask("SELECT predict('churn', people) FROM people"), "the model churn has no file");
	CHECK_HAS(answer, "train it first: tarn model train tarn.yaml");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(ask("SELECT predict('other', people) FROM people"), "tarn model train FILE");
	CHECK_HAS(ask("SELECT predict('chrun', people) FROM people"), "there is no model chrun: churn, other would be");
	CHECK(!score_models_new((struct score_model_file[]){{"a", "x", NULL}, {"a", "y", NULL}}, 2, &err));
	CHECK_HAS(err.message, "two models are called a, x and y");
}

/* ---- train */

static int train_with(const char *training, struct score_report *ret_report)
{
	struct spec_pipeline changed = pipeline;

	changed.model.training = (char *)(uintptr_t)training;
	err = (struct error){0};
	return score_train(session, &changed, ret_report, &err);
}

static void a_model_is_better_than_none(void)
{
	OWNED_SCORE_REPORT struct score_report report = {0};
	const struct evaluation *evaluation = &report.evaluation;
	struct stat there;

	CHECK_INT(score_train(session, &pipeline, &report, &err), 0);
	CHECK_INT(report.feature_count, 3);
	CHECK_TEXT(report.features[0], "tenure");
	CHECK_INT(report.trees, 30);
	CHECK_INT(report.snapshot, snapshot());
	CHECK(!report.cut);
	/* Where tenure is NULL the label is. */
	CHECK_INT(report.unlabelled, 236);
	CHECK_INT(evaluation->train_rows + evaluation->model.rows, 4000 - 236);
	CHECK(evaluation->model.rows > 850 && evaluation->model.rows < 1050);
	CHECK(evaluation->model.auc > evaluation->single.auc && evaluation->single.auc > 0.6);
	CHECK(evaluation->constant.auc == 0.5);
	CHECK(evaluation->model.log_loss < evaluation->single.log_loss);
	CHECK(evaluation->single.log_loss < evaluation->constant.log_loss);
	CHECK(evaluation->model.brier < evaluation->constant.brier);
	CHECK_INT(evaluation->leak.kind, LEAK_NONE);
	CHECK(!stat(file, &there));
}

static void the_same_rows_make_the_same_file(void)
{
	OWNED_SCORE_REPORT struct score_report first = {0}, again = {0}, shuffled = {0}, seeded = {0};
	struct spec_pipeline other = pipeline;

	CHECK_INT(score_train(session, &pipeline, &first, &err), 0);
	CHECK_INT(score_train(session, &pipeline, &again, &err), 0);
	CHECK_TEXT(again.hash, first.hash);
	CHECK_INT(train_with("SELECT id, tenure, calls, business, churned FROM people ORDER BY hash(id)", &shuffled),
	          0);
	CHECK_TEXT(shuffled.hash, first.hash);
	other.model.seed = 43;
	CHECK_INT(score_train(session, &other, &seeded, &err), 0);
	CHECK(strcmp(seeded.hash, first.hash) != 0);
	score_report_release(&again);
	CHECK_INT(score_train(session, &pipeline, &again, &err), 0);
}

static void evaluating_is_what_training_said(void)
{
	OWNED_SCORE_REPORT struct score_report trained = {0}, evaluated = {0};

	CHECK_INT(score_train(session, &pipeline, &trained, &err), 0);
	CHECK_INT(score_evaluate(session, &pipeline, &evaluated, &err), 0);
	CHECK_TEXT(evaluated.hash, trained.hash);
	CHECK(!memcmp(&evaluated.evaluation.model, &trained.evaluation.model, sizeof trained.evaluation.model));
}

static void split_by_time(void)
{
	OWNED_SCORE_REPORT struct score_report report = {0};
	struct spec_pipeline by_time = pipeline;

	by_time.model.training = (char *)"SELECT id, signup, tenure, calls, churned FROM people";
	by_time.model.split_by = (char *)"signup";
	CHECK_INT(score_train(session, &by_time, &report, &err), 0);
	CHECK_TEXT(report.cut, "2024-03-16");
	CHECK_INT(report.evaluation.model.rows, 942);
	CHECK_INT(report.feature_count, 2);
}

static void what_cannot_be_trained(void)
{
	static const struct {
		const char *training, *said;
	} cases[] = {
	        {"SELECT id, tenure, false AS churned FROM people", "all 4000 rows have the label 0"},
	        {"SELECT id, tenure, true AS churned FROM people", "all 4000 rows have the label 1"},
	        {"SELECT id, tenure, churned FROM people LIMIT 0", "there is no row with a label (0 rows in all)"},
	        {"SELECT id, tenure, churned FROM people WHERE id = 1", "of 1 rows none is left to"},
	        {"SELECT id, tenure, NULL::BOOLEAN AS churned FROM people", "no row with a label (4000 rows in all)"},
	        {"SELECT id, tenure, id AS churned FROM people", "has the label churned = 2"},
	        {"SELECT id, tenure FROM people", "the label churned is not among the columns"},
	        {"SELECT * FROM nobody", "nobody"},
	};
	OWNED_SCORE_REPORT struct score_report report = {0};
	OWNED_MODEL struct model *before = model_load(file, &err), *after = NULL;
	struct spec_pipeline wrong = pipeline;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (!train_with(cases[i].training, &report))
			CHECK_FAIL("%s: trained", cases[i].training);
		if (err.kind != ERROR_INVALID || !strstr(err.message, cases[i].said) ||
		    !strstr(err.message, "model churn: training: "))
			CHECK_FAIL("%s: %s", cases[i].training, err.message);
	}
	wrong.model.split_test = (char *)"1";
	CHECK_INT(score_train(session, &wrong, &report, &err), -1);
	CHECK_HAS(err.message, "spec.model.split.test is 1");
	wrong = pipeline;
	wrong.model.learning_rate = (char *)"0";
	CHECK_INT(score_train(session, &wrong, &report, &err), -1);
	CHECK_HAS(err.message, "spec.model.learningRate is 0");
	wrong = pipeline;
	wrong.model.name = NULL;
	CHECK_INT(score_train(session, &wrong, &report, &err), -1);
	CHECK_HAS(err.message, "pipeline churn has no spec.model");
	wrong = pipeline;
	wrong.memory_bytes = 1 << 16;
	CHECK_INT(score_train(session, &wrong, &report, &err), -1);
	CHECK_HAS(err.message, "spec.memory is 0 MiB");
	after = model_load(file, &err);
	CHECK(before && after);
	CHECK_TEXT(after->hash, before->hash);
}

/* ---- leaks */

static const char *leak_of(const char *training, struct score_report *ret_report)
{
	static char words[1024];
	OWNED_BUFFER struct buffer out = {0};

	score_report_release(ret_report);
	buffer_init(&out, sizeof words - 1);
	if (train_with(training, ret_report))
		return err.message;
	leak_words(&ret_report->evaluation.leak, (const char *const *)ret_report->features, &out);
	snprintf(words, sizeof words, "%s", buffer_string(&out));
	return words;
}

static void labels_that_features_tell(void)
{
	OWNED_SCORE_REPORT struct score_report report = {0};
	const struct leak *leak = &report.evaluation.leak;
	const char *words;

	words = leak_of("SELECT id, tenure, calls, business, calls >= 4 AS churned FROM people", &report);
	CHECK_HAS(words, "it is 1 where calls >= 3.5. The rule was made from training rows");
	CHECK_HAS(words, "Features from a window that ends before the label's begins would be right");
	CHECK_INT(leak->kind, LEAK_RULE);
	CHECK_INT(leak->feature_count, 1);
	CHECK_INT(leak->hits.positives_right, leak->hits.positives);
	CHECK_INT(leak->hits.positives + leak->hits.negatives, report.evaluation.model.rows);
	words = leak_of("SELECT id, tenure, calls, business, coalesce(tenure >= 35, true) OR calls > 4 AS churned FROM "
	                "people",
	                &report);
	CHECK_HAS(words, "(tenure >= 34.5 or tenure is null)");
	CHECK_HAS(words, "calls >= 4.5");
	CHECK_INT(leak->feature_count, 2);
	CHECK_HAS(words, "computed from tenure and calls, or");
	words = leak_of(
	        "SELECT id, tenure, calls, business, hash(id, 'n') % 100 AS noise, tenure >= 20 AND calls < 3 AND "
	        "business AS churned FROM people WHERE tenure IS NOT NULL",
	        &report);
	CHECK_HAS(words, "tenure >= 19.5");
	CHECK_HAS(words, "calls < 2.5");
	CHECK_HAS(words, "business >= 0.5");
	CHECK_INT(leak->feature_count, 3);
	/* No threshold, but an order: the label is a matter of chance near the edge alone. */
	words = leak_of(
	        "SELECT id, business, x, x + hash(id, 'y') % 60 > 2000 AS churned FROM (SELECT *, hash(id, 'x') % "
	        "4000 AS x FROM people)",
	        &report);
	CHECK_HAS(words, "x alone orders the rows that evaluate with an AUC of 0.99");
	CHECK_INT(leak->kind, LEAK_ORDER);
	words = leak_of("SELECT id, tenure, calls, business, churned FROM people", &report);
	CHECK_TEXT(words, "");
	CHECK_INT(leak->kind, LEAK_NONE);
	/* A label by chance, and few rows: no rule is claimed. */
	words = leak_of(
	        "SELECT id, hash(id, 'p') % 9 AS p, hash(id, 'q') % 9 AS q, hash(id, 'r') % 2 = 0 AS churned FROM "
	        "people LIMIT 60",
	        &report);
	CHECK_HAS(words, "is not known: fewer than 20");
	CHECK_INT(leak->kind, LEAK_UNTOLD);
	score_report_release(&report);
	CHECK_INT(score_train(session, &pipeline, &report, &err), 0);
}

/* ---- SQL */

static void rows_are_scored(void)
{
	CHECK_TEXT(ask("SELECT count(*), count(predict('churn', p)), bool_and(predict('churn', p) BETWEEN 0 AND 1), "
	               "count(DISTINCT predict('churn', p)) > 100 FROM people p"),
	           "4000 4000 true true");
	CHECK_TEXT(
	        ask("SELECT avg(predict('churn', p)) FILTER (churned) > avg(predict('churn', p)) FILTER (NOT churned) "
	            "FROM people p"),
	        "true");
	/* by name, case aside, further fields not looked at, in any order */
	CHECK_TEXT(
	        ask("SELECT bool_and(predict('churn', p) = predict('churn', {'CALLS': calls, 'x': 'text', 'Business': "
	            "business, 'tenure': tenure})) FROM people p"),
	        "true");
	CHECK_TEXT(
	        ask("SELECT predict('churn', NULL), predict('churn', CASE WHEN id > 3999 THEN p END), explain('churn', "
	            "CASE WHEN id > 3999 THEN p END) FROM people p"),
	        "NULL NULL NULL");
	CHECK_TEXT(ask("SELECT predict('churn', {'tenure': NULL, 'calls': NULL, 'business': NULL}) BETWEEN 0 AND 1"),
	           "true");
	CHECK_TEXT(ask("SELECT predict('churn', {'tenure': 'nan'::DOUBLE, 'calls': NULL, 'business': NULL}) = "
	               "predict('churn', {'tenure': NULL, 'calls': NULL, 'business': NULL})"),
	           "true");
	/* after a join, a filter, a UNION, out of a list */
	CHECK_TEXT(ask("SELECT max(abs(a.s - b.s)) FROM (SELECT id, predict('churn', p) AS s FROM people p) a JOIN "
	               "(SELECT "
	               "u.id, predict('churn', u) AS s FROM (SELECT p.id, p.tenure, q.calls, p.business FROM people p "
	               "JOIN "
	               "people q USING (id) WHERE p.id % 3 = 1 UNION ALL FROM (SELECT id, tenure, calls, business FROM "
	               "people WHERE id % 3 = 2)) u) b USING (id)"),
	           "0.0");
	CHECK_HAS(ask("SELECT predict('churn', {'tenure': 1, 'calls': 2})"),
	          "the row has no field business, which the model was trained on; it has tenure, calls");
	CHECK_HAS(ask("SELECT predict('churn', {'tenure': 'x', 'calls': 2, 'business': true})"),
	          "the row's field tenure is no number");
	CHECK_HAS(ask("SELECT predict('churn', 5)"), "the second argument is a row");
	CHECK_HAS(ask("SELECT predict(id::VARCHAR, p) FROM people p"), "the first argument is the name of a model");
}

static void scores_are_explained(void)
{
	CHECK_TEXT(ask("SELECT max(abs(1 / (1 + exp(-list_sum(list_transform(explain('churn', p), lambda e: "
	               "e.contribution)))) - predict('churn', p))) < 1e-6 FROM people p"),
	           "true");
	CHECK_TEXT(ask("SELECT bool_and(len(explain('churn', p)) = 4), bool_and(explain('churn', p)[4].feature = "
	               "'(base)') "
	               "FROM people p"),
	           "true true");
	CHECK_TEXT(ask("SELECT bool_and(abs(e[1].contribution) >= abs(e[2].contribution)), "
	               "bool_and(abs(e[2].contribution) "
	               ">= abs(e[3].contribution)) FROM (SELECT explain('churn', p) AS e FROM people p)"),
	           "true true");
	/* values are the row's own */
	CHECK_TEXT(
	        ask("SELECT bool_and(list_filter(explain('churn', p), lambda e: e.feature = 'tenure')[1].\"value\" IS "
	            "NOT DISTINCT FROM tenure) FROM people p"),
	        "true");
	CHECK_HAS(ask("SELECT explain('churn', {'tenure': 0.1, 'calls': 5, 'business': NULL})"), "'value': 0.1,");
}

static void hashes_are_told(void)
{
	OWNED_MODEL struct model *model = model_load(file, &err);
	char hash[HASH_HEX_SIZE];

	CHECK(model);
	snprintf(hash, sizeof hash, "%s", model->hash);
	CHECK_TEXT(ask("SELECT model_hash('churn')"), hash);
	CHECK_HAS(ask("SELECT model_hash('none')"), "there is no model none");
}

static void a_lake_gets_the_functions_once(void)
{
	OWNED_SCORE_MODELS struct score_models *others = score_models_new(NULL, 0, &err);

	CHECK(others);
	CHECK_INT(score_register(others, session, &err), 0);
	CHECK_INT(score_register(models, session, &err), 0);
	CHECK_TEXT(ask("SELECT count(*) FROM duckdb_functions() WHERE function_name IN ('predict', 'explain', "
	               "'model_hash')"),
	           "3");
	CHECK_TEXT(ask("SELECT predict('churn', p) BETWEEN 0 AND 1 FROM people p LIMIT 1"), "true");
}

static void a_new_file_is_seen_by_the_next_statement(void)
{
	OWNED_SCORE_REPORT struct score_report report = {0};
	struct spec_pipeline other = pipeline;
	char before[HASH_HEX_SIZE];

	snprintf(before, sizeof before, "%s", ask("SELECT model_hash('churn')"));
	other.model.rounds = 3;
	CHECK_INT(score_train(session, &other, &report, &err), 0);
	CHECK_TEXT(ask("SELECT model_hash('churn')"), report.hash);
	CHECK(strcmp(before, report.hash) != 0);
	CHECK_INT(model_write(file, "{\"learner\": 1", 13, &err), 0);
	CHECK_HAS(ask("SELECT model_hash('churn')"), "is not JSON");
	CHECK_HAS(answer, file);
	score_report_release(&report);
	CHECK_INT(score_train(session, &pipeline, &report, &err), 0);
	CHECK_TEXT(ask("SELECT model_hash('churn')"), before);
}

/* Sessions of their own, at once: the same sums. */
static void *ask_often(void *argument)
{
	struct lake_session *own = argument;
	struct error local = {0};
	char *wrong = NULL;

	for (int i = 0; i < 5 && !wrong; i++) {
		OWNED_DUCK_ROWS struct duck_rows rows = {0};

		if (duck_query(lake_connection(own),
		               "SELECT md5(string_agg(predict('churn', p)::VARCHAR, ',' ORDER BY id)), "
		               "md5(string_agg(explain('churn', p)::VARCHAR, ',' ORDER BY id)) FROM people p",
		               &rows, &local))
			wrong = strdup(local.message);
		else if (strcmp(duck_cell(&rows, 0, 0), answer) || !strstr(answer + 33, duck_cell(&rows, 0, 1)))
			wrong = strdup("another sum");
	}
	return wrong;
}

static void many_threads_at_once(void)
{
	struct lake_session *sessions[4];
	pthread_t threads[4];
	void *wrong;

	ask("SELECT md5(string_agg(predict('churn', p)::VARCHAR, ',' ORDER BY id)) || ' ' || "
	    "md5(string_agg(explain('churn', p)::VARCHAR, ',' ORDER BY id)) FROM people p");
	answer[32] = 0;
	for (int i = 0; i < 4; i++) {
		sessions[i] = lake_session_new(lake, &err);
		CHECK(sessions[i] && !lake_use(sessions[i], -1, &err));
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, ask_often, sessions[i]);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		if (wrong)
			CHECK_FAIL("%s", (char *)wrong);
		free(wrong);
		lake_session_free(sessions[i]);
	}
}

/* ---- the table of scores */

static int write_scores(const struct spec_pipeline *of, int64_t number, struct score_written *ret_written)
{
	err = (struct error){0};
	if (lake_begin(session, &err))
		return -1;
	if (score_write(session, models, of, number, ret_written, &err)) {
		lake_rollback(session);
		return -1;
	}
	return lake_commit(session, NULL, &err) == COMMIT_DONE ? 0 : -1;
}

static void scores_are_a_table(void)
{
	struct score_written written = {0};
	int64_t before = snapshot(), after;

	CHECK_INT(write_scores(&pipeline, 77, &written), 0);
	CHECK(written.changed);
	CHECK_INT(written.rows, 4000);
	after = snapshot();
	CHECK_INT(after, before + 1);
	CHECK_TEXT(ask("SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_index) FROM "
	               "duckdb_columns() WHERE schema_name = 'gold' AND table_name = 'scores'"),
	           "id BIGINT, score DOUBLE, model VARCHAR, model_hash VARCHAR, snapshot BIGINT");
	CHECK_TEXT(
	        ask("SELECT count(*), count(DISTINCT id), bool_and(s.score = predict('churn', p)), "
	            "bool_and(s.model_hash = model_hash('churn')), min(s.snapshot), max(model) FROM gold.scores s JOIN "
	            "people p USING (id)"),
	        "4000 4000 true true 77 churn");
	/* Nothing new: nothing changes, whatever the snapshot's number. */
	CHECK_INT(write_scores(&pipeline, 78, &written), 0);
	CHECK(!written.changed);
	CHECK_INT(written.rows, 4000);
	CHECK_INT(snapshot(), after);
	CHECK_TEXT(ask("SELECT max(snapshot) FROM gold.scores"), "77");
}

static void scores_follow_the_rows(void)
{
	struct score_written written = {0};
	int64_t before;

	CHECK_INT(execute("UPDATE people SET calls = 9 WHERE id = 5"), 0);
	before = snapshot();
	CHECK_INT(write_scores(&pipeline, 80, &written), 0);
	CHECK(written.changed);
	CHECK_INT(snapshot(), before + 1);
	CHECK_TEXT(
	        ask("SELECT count(*), min(snapshot), bool_and(s.score = predict('churn', p)) FROM gold.scores s JOIN "
	            "people p USING (id)"),
	        "4000 80 true");
	/* A row less, a row more, a row twice. */
	CHECK_INT(execute("DELETE FROM people WHERE id = 6"), 0);
	CHECK_INT(write_scores(&pipeline, 81, &written), 0);
	CHECK(written.changed);
	CHECK_INT(written.rows, 3999);
	CHECK_INT(execute("INSERT INTO people SELECT * REPLACE (6 AS id) FROM people WHERE id = 7"), 0);
	CHECK_INT(write_scores(&pipeline, 82, &written), 0);
	CHECK_INT(written.rows, 4000);
	CHECK_INT(execute("INSERT INTO people FROM people WHERE id = 7"), 0);
	CHECK_INT(write_scores(&pipeline, 83, &written), -1);
	CHECK_HAS(err.message, "model churn: scoring gives the key 7 2 times");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_TEXT(ask("SELECT max(snapshot) FROM gold.scores"), "82");
	CHECK_INT(execute("DELETE FROM people WHERE id = 7"), 0);
	CHECK_INT(execute("INSERT INTO people (id) VALUES (NULL)"), 0);
	CHECK_INT(write_scores(&pipeline, 83, &written), -1);
	CHECK_HAS(err.message, "NULL in its key");
	CHECK_INT(execute("DELETE FROM people WHERE id IS NULL"), 0);
	CHECK_INT(write_scores(&pipeline, 84, &written), 0);
}

static void scores_follow_the_model(void)
{
	OWNED_SCORE_REPORT struct score_report report = {0};
	struct score_written written = {0};
	struct spec_pipeline other = pipeline;

	other.model.rounds = 5;
	CHECK_INT(score_train(session, &other, &report, &err), 0);
	CHECK_INT(write_scores(&pipeline, 90, &written), 0);
	CHECK(written.changed);
	CHECK_TEXT(ask("SELECT bool_and(model_hash = model_hash('churn')), count(DISTINCT snapshot) FROM gold.scores"),
	           "true 1");
}

static void tables_of_other_columns(void)
{
	struct score_written written = {0};
	struct spec_pipeline other = pipeline;
	char *two[] = {(char *)"id", (char *)"signup"};

	other.model.key = two;
	other.model.key_count = 2;
	other.model.scoring = (char *)"SELECT * FROM people WHERE id < 10 -- the first ones;";
	CHECK_INT(write_scores(&other, 91, &written), 0);
	CHECK(written.changed);
	CHECK_TEXT(ask("SELECT count(*), any_value(typeof(signup)) FROM gold.scores"), "9 DATE");
	other.model.scores = (char *)"plain";
	CHECK_INT(write_scores(&other, 92, &written), 0);
	CHECK_TEXT(ask("SELECT count(*) FROM main.plain"), "9");
	/* None to score is a table without rows, not an error. */
	other.model.scoring = (char *)"SELECT * FROM people WHERE id < 0";
	CHECK_INT(write_scores(&other, 93, &written), 0);
	CHECK_INT(written.rows, 0);
	CHECK_INT(write_scores(&other, 94, &written), 0);
	CHECK(!written.changed);
	other.model.scores = NULL;
	CHECK_INT(write_scores(&other, 95, &written), -1);
	CHECK_HAS(err.message, "spec.model.scores is not given");
	other.model.scores = (char *)"plain";
	other.model.scoring = (char *)"SELECT id, signup FROM people";
	CHECK_INT(write_scores(&other, 95, &written), -1);
	CHECK_HAS(err.message, "model churn: scoring: ");
	CHECK_HAS(err.message, "the row has no field tenure");
	other.model.scoring = (char *)"DELETE FROM people";
	CHECK_INT(write_scores(&other, 95, &written), -1);
	CHECK_HAS(err.message, "SELECT");
	other.model.name = (char *)"other";
	CHECK_INT(write_scores(&other, 95, &written), -1);
	CHECK_HAS(err.message, "the model other has no file");
}

/* INVARIANT 4 (score/scores.h). */
static void other_tables_are_left_alone(void)
{
	static const struct {
		const char *sql, *scores, *told;
	} cases[] = {
	        {"CREATE TABLE gold.precious AS SELECT id, churned AS label FROM people", "gold.precious",
	         "spec.model.scores is gold.precious, and there is a table of that name already"},
	        {"CREATE TABLE gold.\"Four\" AS SELECT score, model, model_hash, snapshot FROM gold.scores",
	         "GOLD.four", "there is a table of that name already"},
	        {"CREATE TABLE gold.of_another AS SELECT id AS who, * EXCLUDE (id) REPLACE ('m' AS model) FROM "
	         "gold.scores",
	         "gold.of_another", "there is a table of that name already"},
	        {"CREATE VIEW gold.shown AS FROM gold.scores", "gold.shown", "there is a view of that name already"},
	};
	struct spec_pipeline other = pipeline;
	struct score_written written = {0};
	char *two[] = {(char *)"id", (char *)"signup"};
	char ask_rows[200], before[64];

	CHECK_INT(write_scores(&pipeline, 96, &written), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CHECK_INT(execute(cases[i].sql), 0);
		snprintf(ask_rows, sizeof ask_rows, "SELECT count(*) || ' ' || sum(hash(x)) FROM %s x",
		         cases[i].scores);
		snprintf(before, sizeof before, "%s", ask(ask_rows));
		other.model.scores = (char *)cases[i].scores;
		CHECK_INT(write_scores(&other, 97, &written), -1);
		CHECK_INT(err.kind, ERROR_INVALID);
		CHECK_HAS(err.message, cases[i].told);
		CHECK_TEXT(ask(ask_rows), before);
	}
	/* Their own is known whatever the case of its name, also when the key changes. */
	other.model.scores = (char *)"GOLD.Scores";
	CHECK_INT(write_scores(&other, 98, &written), 0);
	CHECK(!written.changed);
	other.model.key = two;
	other.model.key_count = 2;
	other.model.scoring = (char *)"SELECT * FROM people";
	CHECK_INT(write_scores(&other, 99, &written), 0);
	CHECK(written.changed);
}

/* A plain DuckDB file has no snapshots, and the same scores. */
static int score_file(struct lake_session *own, struct score_written *ret_written)
{
	if (lake_begin(own, &err))
		return -1;
	if (score_write(own, models, &pipeline, 0, ret_written, &err)) {
		lake_rollback(own);
		return -1;
	}
	return lake_commit(own, NULL, &err) == COMMIT_DONE ? 0 : -1;
}

static void scores_in_a_plain_file(void)
{
	char plain[300];
	struct spec_catalog file_catalog = {.name = "plain", .backend = {.type = BACKEND_FILE, .path = plain}};
	OWNED_SCORE_REPORT struct score_report report = {0};
	struct score_written first = {0}, again = {0};
	struct lake_session *own;
	struct lake *other;

	snprintf(plain, sizeof plain, "%s/plain.duckdb", folder);
	other = lake_open(&file_catalog, &(struct lake_options){.writer = true}, &err);
	own = other ? lake_session_new(other, &err) : NULL;
	CHECK(own);
	CHECK_INT(score_register(models, own, &err), 0);
	CHECK_INT(lake_use(own, -1, &err), 0);
	CHECK_INT(duck_exec(lake_connection(own), PEOPLE, NULL, &err), 0);
	CHECK_INT(score_evaluate(own, &pipeline, &report, &err), 0);
	CHECK_INT(report.snapshot, 0);
	CHECK_INT(score_file(own, &first), 0);
	CHECK_INT(score_file(own, &again), 0);
	CHECK(first.changed && first.rows == 4000);
	CHECK(!again.changed && again.rows == 4000);
	lake_session_free(own);
	lake_close(other);
}

static void selects_for_people(void)
{
	OWNED_BUFFER struct buffer sql = {0};
	const char *keys[] = {"12"};

	buffer_init(&sql, 1 << 20);
	scores_select(&pipeline, keys, &sql);
	CHECK_HAS(ask(buffer_string(&sql)), "12 0.");
	CHECK_HAS(answer, "'feature': '(base)'");
	buffer_clear(&sql);
	scores_importance(&pipeline, &sql);
	CHECK_HAS(ask(buffer_string(&sql)), "tenure ");
}

static void everything_is_given_back(void)
{
	score_models_free(models);
	CHECK_HAS(ask("SELECT predict('churn', p) BETWEEN 0 AND 1 FROM people p LIMIT 1"), "true");
	lake_session_free(session);
	lake_close(lake);
	CHECK_INT(folder_remove(folder, &err), 0);
}

int main(int argc, char **argv)
{
	if (open_lake()) {
		printf("not ok open_lake: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(a_model_without_a_file), TEST(a_model_is_better_than_none),
	                  TEST(the_same_rows_make_the_same_file), TEST(evaluating_is_what_training_said),
	                  TEST(split_by_time), TEST(what_cannot_be_trained), TEST(labels_that_features_tell),
	                  TEST(rows_are_scored), TEST(scores_are_explained), TEST(hashes_are_told),
	                  TEST(a_lake_gets_the_functions_once), TEST(a_new_file_is_seen_by_the_next_statement),
	                  TEST(many_threads_at_once), TEST(scores_are_a_table), TEST(scores_follow_the_rows),
	                  TEST(scores_follow_the_model), TEST(tables_of_other_columns),
	                  TEST(other_tables_are_left_alone), TEST(scores_in_a_plain_file), TEST(selects_for_people),
	                  TEST(everything_is_given_back));
}
