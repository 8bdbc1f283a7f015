/* test_score_rows.c - score/rows.h: what is a feature, a label and a key, what is refused, and which rows evaluate. */
#include "base/owned.h"
#include "check.h"
#include "lake/duck.h"
#include "score/rows.h"
#include "test_score.h"

static struct duck *duck;
static struct duck_connection *connection;
static struct error err;

static const char *const id[] = {"id"};
static const char *const two[] = {"id", "day"};

static struct rows_request request_of(const char *sql)
{
	return (struct rows_request){
	        .sql = sql, .key = id, .key_count = 1, .label = "y", .seed = 42, .memory_bytes = 64 << 20};
}

static int read_rows(const char *sql, struct rows *ret_rows)
{
	struct rows_request request = request_of(sql);

	err = (struct error){0};
	return rows_read(connection, &request, ret_rows, &err);
}

static const char *refused(const char *sql)
{
	OWNED_ROWS struct rows rows = {0};

	if (!read_rows(sql, &rows))
		return "not refused";
	return err.message;
}

static void columns_are_features(void)
{
	OWNED_ROWS struct rows rows = {0};

	CHECK_INT(read_rows("SELECT 7 AS id, true AS y, 1::TINYINT AS a, 2.5 AS B, true AS c, DATE '1970-01-02' AS d, "
	                    "TIMESTAMP '1970-01-01 00:01:00' AS e, NULL AS f, 'nan'::DOUBLE AS g, 1e300 AS h",
	                    &rows),
	          0);
	CHECK_INT(rows.count, 1);
	CHECK_INT(rows.feature_count, 8);
	CHECK_TEXT(rows.features[1], "B");
	CHECK(rows.labels[0] == 1);
	CHECK(rows.values[0] == 1 && rows.values[1] == 2.5f && rows.values[2] == 1);
	CHECK(rows.values[3] == 86400 && rows.values[4] == 60);
	CHECK(isnan(rows.values[5]) && isnan(rows.values[6]) && isnan(rows.values[7]));
	CHECK_INT(rows.classes[0], DUCK_WHOLE);
	CHECK_INT(rows.classes[2], DUCK_TRUTH);
}

static void labels_in_their_forms(void)
{
	OWNED_ROWS struct rows rows = {0};

	CHECK_INT(
	        read_rows("SELECT range AS id, CASE range % 3 WHEN 0 THEN 1.0 WHEN 1 THEN 0.0 END::DECIMAL(3, 1) AS y, "
	                  "range AS a FROM range(9)",
	                  &rows),
	        0);
	CHECK_INT(rows.count, 6);
	CHECK_INT(rows.unlabelled, 3);
	CHECK(rows.labels[0] == 1 && rows.labels[1] == 0 && rows.labels[2] == 1);
	CHECK(rows.values[2] == 3);
}

static void what_the_select_may_not_be(void)
{
	CHECK_HAS(refused("SELECT 1 AS id, 2 AS y, 3 AS a"), "the row id = 1 has the label y = 2: 0, 1, true or false");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(refused("SELECT 1 AS id, 'nan'::FLOAT AS y, 3 AS a"), "has the label y = nan");
	CHECK_HAS(refused("SELECT 1 AS id, 'yes' AS y, 3 AS a"), "the label y is VARCHAR");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, 'gold' AS plan"), "the column plan is VARCHAR, and features are");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, [1] AS list"), "the column list is INTEGER[]");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, INTERVAL 1 DAY AS i"), "the column i is INTERVAL");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, 2 AS \"a[1]\""), "in its name");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y"), "a model needs features");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS a"), "the label y is not among the columns: id, a");
	CHECK_HAS(refused("SELECT 1 AS y, 1 AS a"), "the key id is not among the columns: y, a");
	CHECK_HAS(refused("SELECT NULL::INTEGER AS id, 1 AS y, 1 AS a"), "the row id = NULL has a NULL in its key");
	CHECK_HAS(refused("SELECT range // 2 AS id, 1 AS y, 1 AS a FROM range(4)"), "the row id = 0 is there twice");
	CHECK_HAS(refused("SELECT 1 AS id, NULL::BOOLEAN AS y, 1 AS a"),
	          "there is no row with a label (1 rows in all)");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, 1 AS a LIMIT 0"), "there is no row with a label (0 rows in all)");
	CHECK_HAS(refused("SELECT nothing"), "nothing");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(refused("SELECT 1; SELECT 2"), "SELECT");
	CHECK_HAS(refused("DROP TABLE t"), "SELECT");
	CHECK_HAS(refused("SELECT 1 AS id, 1 AS y, error('told') AS a"), "told");
}

static void keys_of_several_columns(void)
{
	OWNED_ROWS struct rows rows = {0};
	struct rows_request request = request_of(
	        "SELECT range // 2 AS id, 'd' || range % 2 AS day, 1 AS y, range AS a FROM range(4) -- the end");

	request.key = two;
	request.key_count = 2;
	CHECK_INT(rows_read(connection, &request, &rows, &err), 0);
	CHECK_INT(rows.count, 4);
	CHECK_INT(rows.feature_count, 1);
	rows_release(&rows);
	/* ('1', '23') and ('12', '3') are two keys. */
	request.sql = "SELECT unnest(['1', '12']) AS id, unnest(['23', '3']) AS day, 1 AS y, 2 AS a";
	CHECK_INT(rows_read(connection, &request, &rows, &err), 0);
	CHECK_INT(rows.count, 2);
	CHECK(rows.places[0] != rows.places[1]);
}

static void the_order_of_rows_does_not_matter(void)
{
	OWNED_ROWS struct rows up = {0}, down = {0};
	size_t size;

	CHECK_INT(read_rows("SELECT range AS id, range % 3 = 0 AS y, sin(range) AS a, range % 7 AS b FROM range(10000) "
	                    "ORDER BY range",
	                    &up),
	          0);
	CHECK_INT(read_rows("SELECT range AS id, range % 3 = 0 AS y, sin(range) AS a, range % 7 AS b FROM range(10000) "
	                    "ORDER BY hash(range)",
	                    &down),
	          0);
	size = (size_t)up.count * (size_t)up.feature_count * sizeof *up.values;
	CHECK_INT(up.count, 10000);
	CHECK(!memcmp(up.values, down.values, size));
	CHECK(!memcmp(up.labels, down.labels, (size_t)up.count * sizeof *up.labels));
	CHECK(!memcmp(up.places, down.places, (size_t)up.count * sizeof *up.places));
}

static void features_that_a_model_asks_for(void)
{
	static const char *const wanted[] = {"b", "A"}, *const absent[] = {"a", "c"};
	OWNED_ROWS struct rows rows = {0};
	struct rows_request request = request_of("SELECT 1 AS id, 1 AS y, 5 AS a, 6 AS b, 'x' AS c");

	request.features = wanted;
	request.feature_count = 2;
	CHECK_INT(rows_read(connection, &request, &rows, &err), 0);
	CHECK(rows.values[0] == 6 && rows.values[1] == 5);
	rows_release(&rows);
	request.features = absent;
	CHECK_INT(rows_read(connection, &request, &rows, &err), -1);
	CHECK_HAS(err.message, "the column c is VARCHAR");
	request.sql = "SELECT 1 AS id, 1 AS y, 5 AS a";
	CHECK_INT(rows_read(connection, &request, &rows, &err), -1);
	CHECK_HAS(err.message, "the model's feature c is not among the columns: id, y, a");
}

static void memory_is_bounded(void)
{
	OWNED_ROWS struct rows rows = {0};
	struct rows_request request =
	        request_of("SELECT range AS id, range % 2 AS y, range AS a, range AS b FROM range(100000)");

	request.memory_bytes = 1 << 20;
	CHECK_INT(rows_read(connection, &request, &rows, &err), -1);
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_HAS(err.message, "100000 rows of 2 features need 11 MiB to train on, and spec.memory is 1 MiB");
	CHECK_HAS(err.message, "USING SAMPLE reservoir(9362 ROWS)");
	request.memory_bytes = 11 << 20;
	CHECK_INT(rows_read(connection, &request, &rows, &err), 0);
	CHECK_INT(rows.count, 100000);
	CHECK(rows.values[2 * 99999 + 1] == 99999);
}

static void sorting_is_bounded_too(void)
{
	CHECK_INT(duck_exec(connection, "SET temp_directory = ''", NULL, &err), 0);
	CHECK_INT(duck_exec(connection, "SET memory_limit = '20MB'", NULL, &err), 0);
	CHECK_HAS(refused("SELECT range AS id, range % 2 AS y, range AS a, range || repeat('x', 100) <> '' AS b FROM "
	                  "range(4000000)"),
	          "the rows cannot be sorted within 64 MiB (spec.memory): more of it");
	CHECK_INT(err.kind, ERROR_INVALID);
	CHECK_INT(duck_exec(connection, "RESET memory_limit", NULL, &err), 0);
}

/* ---- split */

/* By another program's words: FNV-1a of "a" is af63dc4c8601ec8c; splitmix64's last steps then. */
static void draws_are_the_same_for_ever(void)
{
	int64_t below = 0;

	CHECK(rows_draw("a", 1, 0) == 0.010753497314070604);
	for (int i = 0; i < 20000; i++) {
		char key[16];

		snprintf(key, sizeof key, "2:%d", i);
		below += rows_draw(key, strlen(key), 7) < 0.2;
	}
	CHECK(below > 3800 && below < 4200);
}

static void drawn_by_the_key(void)
{
	OWNED_ROWS struct rows rows = {0}, more = {0};
	int64_t train = 0, more_train = 0, sum = 0;

	CHECK_INT(read_rows("SELECT range AS id, range % 2 AS y, range AS a FROM range(1000)", &rows), 0);
	CHECK_INT(read_rows("SELECT range AS id, range % 2 AS y, range AS a FROM range(2000)", &more), 0);
	CHECK_INT(rows_split(&rows, 0.2, &train, &err), 0);
	CHECK_INT(rows_split(&more, 0.2, &more_train, &err), 0);
	CHECK(train > 750 && train < 850);
	for (int64_t i = 0; i < rows.count; i++) {
		CHECK((rows.places[i] < 0.2) == (i >= train));
		CHECK(rows.labels[i] == (int64_t)rows.values[i] % 2);
		sum += (int64_t)rows.values[i];
	}
	CHECK_INT(sum, 999 * 1000 / 2);
	/* A row's side is its key's: more rows do not move it. */
	for (int64_t i = 0; i < more.count; i++)
		for (int64_t j = 0; j < rows.count; j++)
			if (more.values[i] == rows.values[j])
				CHECK_INT(i >= more_train, j >= train);
}

static int split_by(const char *sql, double share, struct rows *ret_rows, int64_t *ret_train)
{
	struct rows_request request = request_of(sql);

	request.split_by = "at";
	return rows_read(connection, &request, ret_rows, &err) || rows_split(ret_rows, share, ret_train, &err) ? -1 : 0;
}

static void the_greatest_values_evaluate(void)
{
	OWNED_ROWS struct rows rows = {0};
	int64_t train = 0;

	CHECK_INT(
	        split_by("SELECT range AS id, range % 2 AS y, range AS a, DATE '2024-01-01' + (range % 10)::INTEGER AS "
	                 "at FROM range(100)",
	                 0.25, &rows, &train),
	        0);
	/* Whole days: 20 and 30 rows are as near to 25, and 30 it is. */
	CHECK_INT(train, 70);
	CHECK_INT(rows.feature_count, 1);
	for (int64_t i = 0; i < rows.count; i++)
		CHECK(((int64_t)rows.values[i] % 10 >= 7) == (i >= train));
	rows_release(&rows);
	/* Half of them have the greatest value: none could train below it. */
	CHECK_INT(
	        split_by("SELECT range AS id, range % 2 AS y, range AS a, 5 AS at FROM range(10)", 0.2, &rows, &train),
	        -1);
	CHECK_HAS(err.message, "all rows have the same value of split.by");
	rows_release(&rows);
	CHECK_INT(
	        split_by("SELECT range AS id, range % 2 AS y, range AS a, CASE WHEN range = 0 THEN 9 ELSE 1 END AS at "
	                 "FROM range(10)",
	                 0.6, &rows, &train),
	        0);
	CHECK_INT(train, 9);
	rows_release(&rows);
	CHECK_INT(
	        split_by("SELECT range AS id, range % 2 AS y, range AS a, CASE WHEN range = 0 THEN 'a' ELSE 'b' END AS "
	                 "at FROM range(10)",
	                 0.1, &rows, &train),
	        0);
	CHECK_INT(train, 1);
	rows_release(&rows);
	CHECK_INT(split_by("SELECT 1 AS id, 1 AS y, 2 AS a, NULL::DATE AS at", 0.1, &rows, &train), -1);
	CHECK_HAS(err.message, "has no value of split.by");
	CHECK_INT(split_by("SELECT 1 AS id, 1 AS y, 2 AS a", 0.1, &rows, &train), -1);
	CHECK_HAS(err.message, "split.by at is not among the columns");
}

static void too_few_to_split(void)
{
	OWNED_ROWS struct rows rows = {0};
	int64_t train = 0;

	CHECK_INT(read_rows("SELECT 1 AS id, 1 AS y, 2 AS a", &rows), 0);
	CHECK_INT(rows_split(&rows, 0.2, &train, &err), -1);
	CHECK_HAS(err.message, "of 1 rows none is left to");
}

static void everything_is_given_back(void)
{
	duck_disconnect(connection);
	duck_close(duck);
}

int main(int argc, char **argv)
{
	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection) {
		printf("not ok duck: %s\n", err.message);
		return 1;
	}
	return CHECK_MAIN(argc, argv, TEST(columns_are_features), TEST(labels_in_their_forms),
	                  TEST(what_the_select_may_not_be), TEST(keys_of_several_columns),
	                  TEST(the_order_of_rows_does_not_matter), TEST(features_that_a_model_asks_for),
	                  TEST(memory_is_bounded), TEST(sorting_is_bounded_too), TEST(draws_are_the_same_for_ever),
	                  TEST(drawn_by_the_key), TEST(the_greatest_values_evaluate), TEST(too_few_to_split),
	                  TEST(everything_is_given_back));
}
