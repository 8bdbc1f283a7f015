/* Pages of a SELECT (query/page.h), asked of DuckDB: every row once, in order, whatever NULLs and NaNs there are. */
#include "check.h"

#include "base/owned.h"
#include "lake/duck.h"
#include "query/page.h"

static struct error err;
static struct duck *duck;
static struct duck_connection *connection;

/* A text in place of each parameter: here nobody is a stranger. */
static void put_values(const struct page_key *keys, int key_count, const char *sql, struct buffer *out)
{
	for (const char *at = sql; *at; at++) {
		int number = 0;

		if (sscanf(at, "$" PAGE_PARAMETER "%1d", &number) != 1 || number > key_count) {
			buffer_char(out, *at);
			continue;
		}
		buffer_sql_text(out, keys[number - 1].after);
		at += strlen("$" PAGE_PARAMETER);
	}
}

struct last { /* the keys of a page's last row */
	char *values[4];
};

static void last_free(struct last *last)
{
	for (size_t i = 0; i < COUNT_OF(last->values); i++)
		free(last->values[i]);
}

/* All rows page by page, ';' between the rows and '|' between pages; NULL: it failed. */
static const char *pages_of(const char *sql, struct page_key *keys, int key_count, int64_t rows)
{
	static struct buffer all;
	OWNED_BY(last_free) struct last last = {0};
	bool begins = true, more = true;

	if (!all.maximum)
		buffer_init(&all, 100000);
	buffer_clear(&all);
	for (int turn = 0; more && turn < 100; turn++) {
		OWNED_BUFFER struct buffer wrapped = {0}, bound = {0};
		OWNED_DUCK_ROWS struct duck_rows found = {0};
		struct page page;

		buffer_init(&wrapped, 100000);
		buffer_init(&bound, 100000);
		for (int i = 0; i < key_count; i++)
			keys[i].after = last.values[i];
		if (page_sql(sql, keys, key_count, begins, rows, &wrapped, &err))
			return NULL;
		put_values(keys, key_count, buffer_string(&wrapped), &bound);
		if (duck_query(connection, buffer_string(&bound), &found, &err))
			return NULL;
		page_begin(&page, keys, key_count, rows);
		for (int64_t row = 0; row < found.row_count; row++) {
			struct query_cell cells[4];
			int in_page;

			for (int i = 0; i < found.column_count; i++) {
				const char *cell = duck_cell(&found, row, i);

				cells[i] = (struct query_cell){cell, cell ? strlen(cell) : 0};
			}
			in_page = page_row(&page, cells, &err);
			if (in_page < 0) {
				page_release(&page);
				return NULL;
			}
			if (in_page)
				buffer_printf(&all, "%s;", cells[0].text ? cells[0].text : "NULL");
			for (int i = 0; in_page && i < key_count; i++) {
				free(last.values[i]);
				last.values[i] = cells[keys[i].column].text ? strdup(cells[keys[i].column].text) : NULL;
			}
		}
		more = page_next(&page) != NULL;
		buffer_text(&all, more ? "|" : "");
		page_release(&page);
		begins = false;
	}
	return buffer_string(&all);
}

#define KEYS(...) ((struct page_key[]){__VA_ARGS__})

static void one_key(void)
{
	struct page_key *id = KEYS({"id", 0, false, NULL});

	CHECK_TEXT(pages_of("SELECT id FROM range(7) AS r(id)", id, 1, 3), "0;1;2;|3;4;5;|6;");
	CHECK_TEXT(pages_of("SELECT id FROM range(6) AS r(id);", id, 1, 3), "0;1;2;|3;4;5;");
	CHECK_TEXT(pages_of("SELECT id FROM range(3) AS r(id) -- a comment", id, 1, 3), "0;1;2;");
	CHECK_TEXT(pages_of("SELECT id FROM range(0) AS r(id) /* ; */ ;", id, 1, 3), "");
	CHECK_TEXT(pages_of("FROM range(2) AS r(id)", id, 1, 1), "0;|1;");
	CHECK_TEXT(pages_of("WITH t AS (SELECT 5 AS id) SELECT id FROM t UNION ALL SELECT 4 ORDER BY 1 DESC", id, 1, 1),
	           "4;|5;");
	/* names are the same whatever their case, and may be any */
	CHECK_TEXT(pages_of("SELECT range AS \"a \"\"b\" FROM range(2)", KEYS({"A \"b", 0, false, NULL}), 1, 1),
	           "0;|1;");
}

static void nulls_come_last(void)
{
	CHECK_TEXT(pages_of("SELECT unnest([3, NULL, 1]) AS id", KEYS({"id", 0, false, NULL}), 1, 1), "1;|3;|NULL;");
	CHECK_TEXT(pages_of("SELECT unnest(['nan', '-inf', 'inf', '0.1', NULL, '1e300'])::DOUBLE AS id",
	                    KEYS({"id", 0, false, NULL}), 1, 2),
	           "-inf;0.1;|1e+300;inf;|nan;NULL;");
	CHECK_TEXT(pages_of("SELECT a, b FROM (VALUES (1, NULL), (NULL, 2), (1, 1), (NULL, NULL), (2, 0), (NULL, 1)) "
	                    "AS t(a, b)",
	                    KEYS({"a", 0, false, NULL}, {"b", 1, false, NULL}), 2, 1),
	           "1;|1;|2;|NULL;|NULL;|NULL;");
}

static void types_keep_their_order(void)
{
	CHECK_TEXT(pages_of("SELECT unnest([9, 10, 100]) AS id", KEYS({"id", 0, false, NULL}), 1, 1), "9;|10;|100;");
	CHECK_TEXT(pages_of("SELECT unnest(['9', '10', '1''', '\xc3\xa4']) AS id", KEYS({"id", 0, false, NULL}), 1, 1),
	           "1';|10;|9;|\xc3\xa4;");
	CHECK_TEXT(
	        pages_of("SELECT unnest([1.50, 10.25, 9.00])::DECIMAL(5,2) AS id", KEYS({"id", 0, false, NULL}), 1, 1),
	        "1.50;|9.00;|10.25;");
	CHECK_TEXT(pages_of("SELECT DATE '1999-12-31' + range::INTEGER AS id FROM range(3)",
	                    KEYS({"id", 0, false, NULL}), 1, 1),
	           "1999-12-31;|2000-01-01;|2000-01-02;");
	CHECK_TEXT(
	        pages_of("SELECT TIMESTAMP '2000-01-01 00:00:00.000001' - to_microseconds(range) AS id FROM range(3)",
	                 KEYS({"id", 0, false, NULL}), 1, 2),
	        "1999-12-31 23:59:59.999999;2000-01-01 00:00:00;|2000-01-01 00:00:00.000001;");
	CHECK_TEXT(pages_of("SELECT unnest([true, false]) AS id", KEYS({"id", 0, false, NULL}), 1, 1), "false;|true;");
}

/* Doubles come back from their texts as they were. */
static void every_row_once(void)
{
	const char *pages =
	        pages_of("SELECT i AS id, sin(i) / 7 AS x FROM range(200) AS r(i)", KEYS({"x", 1, false, NULL}), 1, 7);
	bool seen[200] = {false};
	int count = 0;

	for (const char *at = pages; at && *at; at++, count++) {
		long id = strtol(at, (char **)(void *)&at, 10);

		CHECK(id >= 0 && id < 200 && !seen[id]);
		seen[id] = true;
		at += at[1] == '|';
	}
	CHECK_INT(count, 200);
}

/* Invariant 2. */
static void rows_of_one_key_are_told(void)
{
	struct page_key *id = KEYS({"id", 0, false, NULL});

	CHECK(!pages_of("SELECT unnest([1, 2, 2, 3]) AS id", id, 1, 2));
	CHECK_TEXT(err.message,
	           "two rows have one key, so that pages cannot tell them apart; spec.page.key must name a "
	           "row");
	CHECK(!pages_of("SELECT unnest([NULL, NULL]::INTEGER[]) AS id", id, 1, 1));
	/* within a page nobody is lost */
	CHECK_TEXT(pages_of("SELECT unnest([1, 1, 2, 3]) AS id", id, 1, 2), "1;1;|2;3;");
}

/* They are one value, so that of a page's end between them nobody would be behind it. */
static void the_two_zeros_are_one(void)
{
	const char *zeros = "SELECT unnest(['-1', '-0.0', '0.0', '1'])::DOUBLE AS x, unnest([1, 2, 3, 4]) AS id";

	CHECK(!pages_of(zeros, KEYS({"x", 0, true, NULL}), 1, 2));
	CHECK_HAS(err.message, "two rows have one key");
	CHECK_TEXT(pages_of(zeros, KEYS({"x", 0, true, NULL}, {"id", 1, true, NULL}), 2, 2), "-1.0;-0.0;|0.0;1.0;");
	CHECK_TEXT(pages_of("SELECT unnest(['-inf', 'inf'])::FLOAT AS x", KEYS({"x", 0, true, NULL}), 1, 1),
	           "-inf;|inf;");
	/* texts are what they are */
	CHECK_TEXT(pages_of("SELECT unnest(['-0', '0']) AS id", KEYS({"id", 0, false, NULL}), 1, 1), "-0;|0;");
}

static void long_keys_are_told(void)
{
	CHECK(!pages_of("SELECT repeat('x', 7000) || range AS id FROM range(3)", KEYS({"id", 0, false, NULL}), 1, 1));
	CHECK_HAS(err.message, "too many for a cursor");
}

int main(int argc, char **argv)
{
	int rc;

	duck = duck_open(NULL, NULL, 0, &err);
	connection = duck ? duck_connect(duck, &err) : NULL;
	if (!connection) {
		printf("# %s\n", err.message);
		return 1;
	}
	rc = CHECK_MAIN(argc, argv, TEST(one_key), TEST(nulls_come_last), TEST(types_keep_their_order),
	                TEST(every_row_once), TEST(rows_of_one_key_are_told), TEST(the_two_zeros_are_one),
	                TEST(long_keys_are_told));
	duck_disconnect(connection);
	duck_close(duck);
	return rc;
}
