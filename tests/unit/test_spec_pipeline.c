/* test_spec_pipeline.c - DuckLakePipeline, the options above a model's SQL, and schedules. */
#include <stdio.h>
#include <string.h>

#include "base/owned.h"
#include "check.h"
#include "spec/schedule.h"
#include "spec/spec.h"

#define LAKE                                                                                                           \
	"apiVersion: ducklake.featherman.dev/v1alpha1\nkind: DuckLakeCatalog\nmetadata: {name: main}\n"                \
	"spec: {backend: {path: c.sqlite}, dataPath: d}\n---\n"
#define PIPELINE "apiVersion: ducklake.featherman.dev/v1alpha1\nkind: DuckLakePipeline\nmetadata: {name: p}\n"

static struct error err;

static struct manifest *read_pipeline(const char *text)
{
	OWNED_BUFFER struct buffer all = {0};

	buffer_init(&all, 65536);
	buffer_printf(&all, "%s%s", LAKE PIPELINE, text);
	err = (struct error){0};
	return manifest_parse(buffer_string(&all), all.size, "t.yaml", "/w", &err);
}

static void a_pipeline_has_defaults(void)
{
	struct manifest *manifest = read_pipeline("spec: {models: models}\n");
	const struct spec_pipeline *p;

	CHECK_TEXT(manifest ? "" : err.message, "");
	p = &manifest->pipelines[0];
	CHECK_TEXT(p->models, "/w/models");
	CHECK(p->catalog == &manifest->catalogs[0] && p->refresh.on == REFRESH_ON_COMMIT && !p->refresh.every_ms);
	CHECK(!p->refresh.schedule && !p->model.name && !p->expectation_count);
	CHECK_INT(p->memory_bytes, (int64_t)256 << 20);
	manifest_free(manifest);
}

static void a_pipeline_is_read(void)
{
	struct manifest *manifest = read_pipeline("spec:\n"
	                                          "  models: /m\n"
	                                          "  refresh: {every: 10s}\n"
	                                          "  expectations:\n"
	                                          "    - {check: not_null, table: t, columns: [a, b], severity: warn}\n"
	                                          "    - {check: sql, sql: SELECT 1 WHERE false}\n"
	                                          "  model:\n"
	                                          "    name: churn\n"
	                                          "    file: churn.json\n"
	                                          "    training: |\n"
	                                          "      SELECT *\n"
	                                          "      FROM gold\n"
	                                          "    key: [id]\n"
	                                          "    label: y\n");
	const struct spec_pipeline *p;

	CHECK_TEXT(manifest ? "" : err.message, "");
	p = &manifest->pipelines[0];
	CHECK_INT(p->refresh.every_ms, 10000);
	CHECK_INT(p->expectation_count, 2);
	CHECK(p->expectations[0].check == CHECK_NOT_NULL && p->expectations[0].severity == SEVERITY_WARN);
	CHECK_TEXT(p->expectations[0].columns[1], "b");
	CHECK(p->expectations[1].check == CHECK_SQL && p->expectations[1].severity == SEVERITY_ERROR);
	CHECK_TEXT(p->model.training, "SELECT *\nFROM gold\n");
	CHECK_TEXT(p->model.file, "/w/churn.json");
	CHECK_TEXT(p->model.split_test, "0.2");
	manifest_free(manifest);
}

static void mistakes_are_told(void)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
	        {"spec: {}\n", "t.yaml:9:1: spec.models: is missing"},
	        {"spec: {models: m, refresh: {on: noon}}\n", "t.yaml:9:33: spec.refresh.on: 'noon' is not known"},
	        {"spec: {models: m, refresh: {every: 1s, schedule: \"* * * * *\"}}\n",
	         "stands beside spec.refresh.every"},
	        {"spec: {models: m, refresh: {on: commit, every: 1s}}\n", "stands beside spec.refresh.on"},
	        {"spec: {models: m, refresh: {schedule: \"* * *\"}}\n", "has not five fields"},
	        {"spec: {models: m, expectations: [{check: range, table: t}]}\n", "columns: is missing"},
	        {"spec: {models: m, expectations: [{check: not_null, columns: [a]}]}\n", "table: is missing"},
	        {"spec: {models: m, expectations: [{check: sql, sql: ' '}]}\n", "is empty"},
	        {"spec: {models: m, expectations: [{check: unique, table: t, columns: [a], within: 1h}]}\n",
	         "is not used where"},
	        {"spec: {models: m, catalogRef: other}\n", "'other' is not a DuckLakeCatalog of this file"},
	        {"spec: {models: m, model: {name: a, file: f, training: FROM t, key: [k], label: y, split: {test: "
	         "2}}}\n",
	         "is not between 0 and 1"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CHECK(!read_pipeline(cases[i].text));
		CHECK_HAS(err.message, cases[i].told);
	}
}

/* ---- the options above a model's SQL */

static int read_model(const char *text, struct spec_model *model)
{
	*model = (struct spec_model){0};
	err = (struct error){0};
	return spec_model_parse(text, strlen(text), "silver/a.sql", model, &err);
}

static void a_model_has_defaults(void)
{
	static const char *const texts[] = {"SELECT 1", "-- What it is.\n-- And more: of it.\nSELECT 1",
	                                    "\n\n/* materialized: view */ SELECT 1", "-- \n\n--\nSELECT 1 -- key: a\n"};
	OWNED_BY(spec_model_release) struct spec_model model = {0};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		spec_model_release(&model);
		CHECK_INT(read_model(texts[i], &model), 0);
		CHECK(model.materialized == MATERIALIZED_TABLE && model.on_bad_cast == BAD_CAST_QUARANTINE);
		CHECK(!model.key_count && !model.description && !model.test_count);
	}
}

static void a_model_is_read(void)
{
	OWNED_BY(spec_model_release) struct spec_model model = {0};

	CHECK_TEXT(read_model("-- One row a subscriber\n"
	                      "--\n"
	                      "-- materialized: incremental\n"
	                      "-- key: [a, b]\n"
	                      "-- quarantine: fail\n"
	                      "-- tests:\n"
	                      "--   - {check: range, columns: [a], minimum: 0}\n"
	                      "--   - check: freshness\n"
	                      "--     columns: [at]\n"
	                      "--     within: 1h\n"
	                      "--\n"
	                      "-- More: prose\n"
	                      "SELECT 1\n",
	                      &model)
	                   ? err.message
	                   : "",
	           "");
	CHECK(model.materialized == MATERIALIZED_INCREMENTAL && model.on_bad_cast == BAD_CAST_FAIL);
	CHECK_INT(model.key_count, 2);
	CHECK_INT(model.test_count, 2);
	CHECK_TEXT(model.tests[0].minimum, "0");
	CHECK_INT(model.tests[1].within_ms, 3600000);
}

/* What a later mistake in an expectation is told with. */
static void expectations_know_their_lines(void)
{
	OWNED_BY(spec_model_release) struct spec_model model = {0};
	struct manifest *manifest = read_pipeline("spec:\n"
	                                          "  models: m\n"
	                                          "  expectations:\n"
	                                          "  - {check: not_null, table: t, columns: [a]}\n"
	                                          "  - check: sql\n"
	                                          "    sql: |\n"
	                                          "      SELECT 1\n"
	                                          "  - check: sql\n"
	                                          "    severity: warn\n"
	                                          "    sql: SELECT 1\n");
	const struct spec_expectation *e;

	CHECK_TEXT(manifest ? "" : err.message, "");
	e = manifest->pipelines[0].expectations;
	CHECK_INT(e[1].line - e[0].line, 1);
	CHECK_INT(e[1].sql_line - e[1].line, 2);
	CHECK_INT(e[2].line - e[1].line, 3);
	CHECK_INT(e[2].sql_line - e[2].line, 2);
	manifest_free(manifest);
	CHECK_INT(read_model("-- What it is.\n"
	                     "-- key: [a]\n"
	                     "-- tests:\n"
	                     "-- - check: sql\n"
	                     "--   sql: |\n"
	                     "--     SELECT 1\n"
	                     "SELECT 1 AS a\n",
	                     &model),
	          0);
	CHECK_INT(model.key_line, 2);
	CHECK_INT(model.tests[0].line, 4);
	CHECK_INT(model.tests[0].sql_line, 6);
}

static void a_models_mistakes_have_its_lines(void)
{
	static const struct {
		const char *text, *told;
	} cases[] = {
	        {"-- a\n--\n-- materialised: table\nSELECT 1",
	         "silver/a.sql:3:4: materialised: is not a field of Model; did you mean 'materialized'?"},
	        {"-- materialized: often\nSELECT 1", "silver/a.sql:1:18: materialized: 'often' is not known"},
	        {"-- tests:\n--   - {check: not_null}\nSELECT 1", "silver/a.sql:2:8: tests.columns: is missing"},
	        {"-- key: a\nSELECT 1", "silver/a.sql:1:9: key: 'a' is a text; would be a list of texts"},
	        {"-- key: [a\nSELECT 1", "silver/a.sql:"},
	};
	OWNED_BY(spec_model_release) struct spec_model model = {0};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		spec_model_release(&model);
		CHECK_INT(read_model(cases[i].text, &model), -1);
		CHECK_HAS(err.message, cases[i].told);
	}
}

/* ---- schedules; times by date -u */

#define AT_2026_11_22_08_15_30 1795335330000

static int64_t next(const char *text)
{
	struct schedule schedule;

	return schedule_parse(text, &schedule) ? -2 : schedule_next(&schedule, AT_2026_11_22_08_15_30);
}

static void schedules_come(void)
{
	CHECK_INT(next("* * * * *"), 1795335360000); /* 08:16 */
	CHECK_INT(next("0 * * * *"), 1795338000000); /* 09:00 */
	CHECK_INT(next("*/20 * * * *"), 1795335600000); /* 08:20 */
	CHECK_INT(next("15 8 * * *"), 1795421700000); /* the next day: 08:15 has begun */
	CHECK_INT(next("0 0 1 1 *"), 1798761600000); /* 2027-01-01 */
	CHECK_INT(next("30 6 * * 1-5"), 1795415400000); /* Monday, 23 November, 06:30 */
	CHECK_INT(next("0 12 * * 7"), 1795348800000); /* the same Sunday, 12:00 */
	CHECK_INT(next("0 0 13 * 5"), 1795737600000); /* the 13th or a Friday: Friday, 27 November */
	CHECK_INT(next("0 0 29 2 *"), 1835395200000); /* 2028-02-29 */
	CHECK_INT(next("5,10-12/2 9 * * *"), 1795338300000); /* 09:05 */
	CHECK_INT(next("0 0 30 2 *"), -1);
}

static void wrong_schedules_are_told(void)
{
	static const char *const texts[] = {"",           "* * * *",    "* * * * * *", "60 * * * *",  "* 24 * * *",
	                                    "* * 0 * *",  "* * * 13 *", "* * * * 8",   "5-1 * * * *", "*/0 * * * *",
	                                    "a * * * *",  "1- * * * *", "1,, * * * *", "@daily",      "1.5 * * * *",
	                                    "* * * * mon"};

	for (size_t i = 0; i < COUNT_OF(texts); i++)
		CHECK_INT(next(texts[i]), -2);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_pipeline_has_defaults), TEST(a_pipeline_is_read), TEST(mistakes_are_told),
	                  TEST(a_model_has_defaults), TEST(a_model_is_read), TEST(a_models_mistakes_have_its_lines),
	                  TEST(expectations_know_their_lines), TEST(schedules_come), TEST(wrong_schedules_are_told));
}
