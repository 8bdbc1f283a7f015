/*
 * What is expected of tables: names, what its SQL may be, and the SELECTs of the rows that break it. What they find is
 * tests/interop/test_layers_expectations.py.
 */
#include "check.h"

#include "layers/expectation.h"

static struct error err;
static char *columns[] = {"id", "Say \"hi\""};
static char *key[] = {"id", "day"};
static char *values[] = {"a", "it's"};

static struct expectation_set *load(struct spec_expectation *expectations, int count, struct model_set *models)
{
	static struct model_set none;
	static struct manifest manifest = {.file = "t.yaml"};
	static struct spec_pipeline pipeline;

	pipeline = (struct spec_pipeline){.name = "p", .expectations = expectations, .expectation_count = count};
	err = (struct error){0};
	return expectations_load(models ? models : &none, &pipeline, &manifest, &err);
}

/* Of the first of a set. */
static const char *broken(const struct expectation_set *set)
{
	static struct buffer out = {.maximum = 1 << 20};

	buffer_clear(&out);
	expectation_broken(&set->items[0], "t1", &out);
	return buffer_string(&out);
}

static void rows_are_selected(void)
{
	static struct spec_expectation spec = {.table = "t1", .columns = columns, .line = 3};
	static const struct {
		enum check check;
		int column_count, value_count;
		char *minimum, *maximum;
		const char *sql;
	} cases[] = {
	        {CHECK_NOT_NULL, 2, 0, NULL, NULL,
	         "SELECT t.* FROM t1 t WHERE (t.\"id\" IS NULL) OR (t.\"Say \"\"hi\"\"\" IS NULL)"},
	        {CHECK_UNIQUE, 2, 0, NULL, NULL,
	         "SELECT t.\"id\", t.\"Say \"\"hi\"\"\", count(*) AS \"rows\" FROM t1 t WHERE t.\"id\" IS NOT NULL AND "
	         "t.\"Say \"\"hi\"\"\" IS NOT NULL GROUP BY t.\"id\", t.\"Say \"\"hi\"\"\" HAVING count(*) > 1"},
	        {CHECK_ACCEPTED_VALUES, 1, 2, NULL, NULL,
	         "SELECT t.* FROM t1 t WHERE (CAST(t.\"id\" AS VARCHAR) NOT IN ('a', 'it''s'))"},
	        {CHECK_ACCEPTED_VALUES, 1, 0, NULL, NULL, "SELECT t.* FROM t1 t WHERE (t.\"id\" IS NOT NULL)"},
	        {CHECK_RANGE, 1, 0, "0", "+1e3", "SELECT t.* FROM t1 t WHERE (t.\"id\" < (0) OR t.\"id\" > (+1e3))"},
	        {CHECK_RANGE, 1, 0, NULL, "-1", "SELECT t.* FROM t1 t WHERE (t.\"id\" > (-1))"},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct expectation_set *set;

		spec.check = cases[i].check;
		spec.column_count = cases[i].column_count;
		spec.values = values;
		spec.value_count = cases[i].value_count;
		spec.minimum = cases[i].minimum;
		spec.maximum = cases[i].maximum;
		set = load(&spec, 1, NULL);
		CHECK_TEXT(set ? "" : err.message, "");
		CHECK_TEXT(broken(set), cases[i].sql);
		expectations_free(set);
	}
}

static void relations_are_followed(void)
{
	struct spec_expectation spec = {.check = CHECK_RELATIONSHIP,
	                                .table = "raw.t",
	                                .columns = columns,
	                                .column_count = 1,
	                                .to = "dim",
	                                .field = "k"};
	struct expectation_set *set = load(&spec, 1, NULL);
	struct buffer out = {.maximum = 1 << 20};

	CHECK_TEXT(set->items[0].table, "raw.t");
	CHECK_TEXT(set->items[0].name, "relationship(id)");
	CHECK_TEXT(broken(set), "SELECT t.* FROM t1 t WHERE (t.\"id\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
	                        "lake.\"main\".\"dim\" f WHERE f.\"k\" = t.\"id\"))");
	expectation_lost(&set->items[0], "gone", &out);
	CHECK_TEXT(buffer_string(&out), "SELECT g.* FROM gone g WHERE g.\"k\" IS NOT NULL AND NOT (EXISTS (SELECT 1 "
	                                "FROM lake.\"main\".\"dim\" f WHERE f.\"k\" = g.\"k\"))");
	set->items[0].comparisons[0] = (struct comparison){COMPARED_AS_TEXT, COMPARED_AS_TEXT};
	CHECK_HAS(broken(set), "WHERE CAST(f.\"k\" AS VARCHAR) = CAST(t.\"id\" AS VARCHAR))");
	buffer_release(&out);
	expectations_free(set);
}

/* A key is two expectations, and its columns lead the examples. */
static void a_key_is_two(void)
{
	struct spec_expectation test = {.check = CHECK_NOT_NULL, .columns = columns, .column_count = 2, .line = 4};
	struct model model = {.name = "m",
	                      .file = "silver/m.sql",
	                      .options = {.key = key, .key_count = 2, .key_line = 2, .tests = &test, .test_count = 1}};
	struct model_set models = {.models = &model, .count = 1};
	struct expectation_set *set = load(NULL, 0, &models);
	struct buffer out = {.maximum = 1 << 20};
	char title[64];

	CHECK_INT(set->count, 3);
	for (int i = 0; i < 2; i++) {
		expectation_title(&set->items[i], title, sizeof title);
		CHECK_TEXT(title, i ? "key (unique)" : "key (not_null)");
		CHECK(set->items[i].spec->severity == SEVERITY_ERROR && set->items[i].of == &model);
	}
	expectation_repeated(&set->items[1], "t1", "new", &out);
	CHECK_HAS(buffer_string(&out),
	          "AND EXISTS (SELECT 1 FROM new n WHERE n.\"id\" = t.\"id\" AND n.\"day\" = t.\"day\") GROUP BY");
	buffer_clear(&out);
	expectation_examples(&set->items[2], "SELECT 1", &out);
	CHECK_HAS(buffer_string(&out),
	          "SELECT b.\"id\", b.\"day\", b.\"Say \"\"hi\"\"\", b.* EXCLUDE (\"id\", \"day\", "
	          "\"Say \"\"hi\"\"\") FROM (SELECT 1\n) b LIMIT 3");
	expectation_mistake(&set->items[0], 0, &err, "is wrong");
	CHECK_TEXT(err.message, "silver/m.sql:2: expectation key (not_null): is wrong");
	buffer_release(&out);
	expectations_free(set);
}

static void two_of_one_name_are_told_apart(void)
{
	struct spec_expectation specs[] = {
	        {.check = CHECK_NOT_NULL, .table = "t", .columns = columns, .column_count = 1, .line = 3},
	        {.check = CHECK_NOT_NULL, .table = "main.t", .columns = columns, .column_count = 1, .line = 4},
	        {.check = CHECK_NOT_NULL, .table = "u", .columns = columns, .column_count = 1, .line = 5},
	        {.check = CHECK_NOT_NULL, .table = "t", .columns = columns, .column_count = 1, .line = 6},
	};
	struct expectation_set *set = load(specs, 4, NULL);

	CHECK_TEXT(set->items[0].name, "not_null(id)");
	CHECK_TEXT(set->items[1].name, "not_null(id) 2");
	CHECK_TEXT(set->items[2].name, "not_null(id)");
	CHECK_TEXT(set->items[3].name, "not_null(id) 3");
	expectations_free(set);
	specs[0].name = specs[3].name = "n";
	CHECK(!load(specs, 4, NULL));
	CHECK_TEXT(err.message,
	           "t.yaml:6: expectation n (not_null) of t: has the name of the one at t.yaml:3; would have "
	           "another one");
}

static void sql_is_looked_at(void)
{
	static const struct {
		char *sql;
		bool varies;
		int reads;
		const char *text; /* NULL: as it is */
	} right[] = {
	        {"SELECT 1 ;\n ;", false, 0, "SELECT 1"},
	        {"WITH a AS (SELECT * FROM t) SELECT * FROM a JOIN raw.u USING (id) -- more", false, 2, NULL},
	        {"FROM t WHERE x < now()", true, 1, NULL},
	        {"FROM t WHERE x < current_date", true, 1, NULL},
	        {"SELECT * FROM t, range(3), unnest([1, 2])", false, 1, NULL},
	        {"FROM t WHERE x NOT IN (SELECT x FROM read_csv('x.csv'))", true, 1, NULL},
	        {"FROM t WHERE EXISTS (SELECT random())", true, 1, NULL},
	};
	static const struct {
		char *sql;
		const char *told;
	} wrong[] = {
	        {"SELECT 1\nFROM", "t.yaml:12: expectation sql: syntax error"},
	        {"SELECT 1; SELECT 2", "t.yaml:11: expectation sql: has several statements; would be one SELECT"},
	        {"-- nothing", "has no statement"},
	        {"INSERT INTO t SELECT 1", "is not a SELECT; would be one SELECT"},
	        {"FROM checkpoint('lake')", "calls checkpoint(), which is not known to write nothing"},
	        {"SELECT (SELECT nextval('s'))", "calls nextval(), which writes"},
	        {"SELECT TARN_exact_value(x) FROM t", "calls tarn_exact_value(), which is Tarn's own"},
	        {"SELECT ?", "has a parameter"},
	};
	struct spec_expectation spec = {.check = CHECK_SQL, .line = 10, .sql_line = 11};

	for (size_t i = 0; i < COUNT_OF(right); i++) {
		struct expectation_set *set;

		spec.sql = right[i].sql;
		set = load(&spec, 1, NULL);
		CHECK_TEXT(set ? "" : err.message, "");
		CHECK_INT(set->items[0].varies, right[i].varies);
		CHECK_INT(set->items[0].read_count, right[i].reads);
		CHECK_TEXT(broken(set), right[i].text ? right[i].text : right[i].sql);
		expectations_free(set);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		spec.sql = wrong[i].sql;
		CHECK(!load(&spec, 1, NULL));
		CHECK_HAS(err.message, wrong[i].told);
	}
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(rows_are_selected), TEST(relations_are_followed), TEST(a_key_is_two),
	                  TEST(two_of_one_name_are_told_apart), TEST(sql_is_looked_at));
}
