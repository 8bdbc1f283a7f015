/* serve/extract.h: the statement in what a language model wrote. */
#include "check.h"

#include <stdint.h>

#include "serve/extract.h"

static const char *const names[] = {"sql", "cannot", "nothing", "several", "two", "no select", "too long"};

struct example {
	const char *text;
	enum extracted what;
	const char *out; /* NULL: whatever */
};

static void run(const struct example *examples, size_t count)
{
	struct buffer out;

	buffer_init(&out, EXTRACT_SQL_BYTES_MAX);
	for (size_t i = 0; i < count; i++) {
		enum extracted what = extract_sql(examples[i].text, strlen(examples[i].text), &out);

		if (what != examples[i].what)
			CHECK_FAIL("'%s' is %s, not %s", examples[i].text, names[what], names[examples[i].what]);
		else if (examples[i].out && strcmp(buffer_string(&out), examples[i].out))
			CHECK_FAIL("'%s' gives '%s', not '%s'", examples[i].text, buffer_string(&out), examples[i].out);
	}
	buffer_release(&out);
}

#define RUN(examples) run(examples, sizeof(examples) / sizeof(examples)[0])

static void a_plain_statement_is_taken(void)
{
	static const struct example examples[] = {
	        {"SELECT 1", EXTRACTED_SQL, "SELECT 1"},
	        {"\n  SELECT 1 ;\n", EXTRACTED_SQL, "SELECT 1"},
	        {"select 1;;; ", EXTRACTED_SQL, "select 1"},
	        {"Select Count(*) From t", EXTRACTED_SQL, "Select Count(*) From t"},
	        {"WITH a AS (SELECT 1) SELECT * FROM a", EXTRACTED_SQL, "WITH a AS (SELECT 1) SELECT * FROM a"},
	        {"with a as (select 1) from a", EXTRACTED_SQL, NULL},
	        {"FROM t SELECT a", EXTRACTED_SQL, NULL},
	        {"VALUES (1)", EXTRACTED_SQL, NULL},
	        {"((SELECT 1) UNION (SELECT 2))", EXTRACTED_SQL, NULL},
	        {"-- how many\nSELECT 1", EXTRACTED_SQL, "-- how many\nSELECT 1"},
	        {"/* how\nmany */\nSELECT 1", EXTRACTED_SQL, "/* how\nmany */\nSELECT 1"},
	        {"SELECT 1; -- that is all", EXTRACTED_SQL, "SELECT 1"},
	        {"; SELECT 1", EXTRACTED_SQL, "SELECT 1"},
	};

	RUN(examples);
}

static void a_semicolon_in_quotes_or_comments_ends_nothing(void)
{
	static const struct example examples[] = {
	        {"SELECT ';', '''; DROP TABLE t'", EXTRACTED_SQL, "SELECT ';', '''; DROP TABLE t'"},
	        {"SELECT \"a;b\"\"; c\"", EXTRACTED_SQL, "SELECT \"a;b\"\"; c\""},
	        {"SELECT $$a;b$$, $x$;$$;$x$", EXTRACTED_SQL, "SELECT $$a;b$$, $x$;$$;$x$"},
	        {"SELECT $1; SELECT 2", EXTRACTED_TWO, NULL},
	        {"SELECT 1 -- ; DROP\n, 2", EXTRACTED_SQL, "SELECT 1 -- ; DROP\n, 2"},
	        {"SELECT 1 /* ; /* ; */ ; */ , 2", EXTRACTED_SQL, "SELECT 1 /* ; /* ; */ ; */ , 2"},
	        {"SELECT 'open ; SELECT 2", EXTRACTED_SQL, "SELECT 'open ; SELECT 2"},
	        {"SELECT 1 /* open ; SELECT 2", EXTRACTED_SQL, NULL},
	        {"SELECT $$ open ; SELECT 2", EXTRACTED_SQL, NULL},
	};

	RUN(examples);
}

static void fences_are_opened(void)
{
	static const struct example examples[] = {
	        {"```sql\nSELECT 1\n```", EXTRACTED_SQL, "SELECT 1"},
	        {"Here it is:\n\n```SQL\nSELECT 1;\n```\n\nWith this you see one.", EXTRACTED_SQL, "SELECT 1"},
	        {"```\nSELECT 1\n```", EXTRACTED_SQL, "SELECT 1"},
	        {"~~~duckdb\nSELECT 1\n~~~", EXTRACTED_SQL, "SELECT 1"},
	        {"````sql\nSELECT '```'\n````", EXTRACTED_SQL, "SELECT '```'"},
	        {"```sql\nSELECT 1", EXTRACTED_SQL, "SELECT 1"},
	        {"```sql\r\nSELECT 1\r\n```\r\n", EXTRACTED_SQL, "SELECT 1"},
	        {"```sql\nSELECT 1\n```\nand again\n```sql\nSELECT 1\n```", EXTRACTED_SQL, "SELECT 1"},
	        {"```text\nsome rows\n```\n```sql\nSELECT 1\n```", EXTRACTED_SQL, "SELECT 1"},
	        {"```\nno statement\n```\n```sql\nSELECT 1\n```", EXTRACTED_SQL, "SELECT 1"},
	        {"```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```", EXTRACTED_SEVERAL, NULL},
	        {"```sql\nSELECT 1; SELECT 2\n```", EXTRACTED_TWO, "SELECT 1; SELECT 2"},
	        {"```sql\nDROP TABLE t\n```", EXTRACTED_NO_SELECT, "DROP TABLE t"},
	        {"```sql\n```", EXTRACTED_NOTHING, NULL},
	};

	RUN(examples);
}

static void words_around_a_statement_are_left_out(void)
{
	static const struct example examples[] = {
	        {"Sure! This counts them:\nSELECT count(*)\nFROM t;\nIt reads t.", EXTRACTED_SQL,
	         "SELECT count(*)\nFROM t"},
	        {"With your schema in mind:\nselect 1;\nFrom this you learn much.", EXTRACTED_SQL, "select 1"},
	        {"SELECT 1;\n\nWith this query you see one. Show it to others.", EXTRACTED_SQL, "SELECT 1"},
	        {"<think>SELECT 2; I wonder</think>\nSELECT 1", EXTRACTED_SQL, "SELECT 1"},
	        {"<think>SELECT 2", EXTRACTED_NOTHING, NULL},
	        {"SELECT 1;\nOr, if you prefer:\nSELECT 2;", EXTRACTED_SEVERAL, NULL},
	        {"I would count the rows.", EXTRACTED_NOTHING, NULL},
	        {"Show me the tables", EXTRACTED_NOTHING, NULL},
	        {"", EXTRACTED_NOTHING, NULL},
	        {" \n\t ", EXTRACTED_NOTHING, NULL},
	        {"-- nothing", EXTRACTED_NOTHING, NULL},
	};

	RUN(examples);
}

static void more_than_one_or_no_select_is_told(void)
{
	static const struct example examples[] = {
	        {"SELECT 1; DROP TABLE t", EXTRACTED_TWO, "SELECT 1; DROP TABLE t"},
	        {"SELECT 1; drop table t;", EXTRACTED_TWO, NULL},
	        {"SELECT 1;\n-- and\nSELECT 2;", EXTRACTED_TWO, NULL},
	        {"SELECT 1;;select 2", EXTRACTED_TWO, NULL},
	        {"DROP TABLE t", EXTRACTED_NO_SELECT, "DROP TABLE t"},
	        {"drop table t;", EXTRACTED_NO_SELECT, "drop table t"},
	        {"I do it:\nATTACH 'x.db';", EXTRACTED_NO_SELECT, "ATTACH 'x.db'"},
	        {"COPY (SELECT 1) TO '/tmp/x'", EXTRACTED_NO_SELECT, NULL},
	        {"PRAGMA database_list", EXTRACTED_NO_SELECT, NULL},
	        {"EXPLAIN SELECT 1", EXTRACTED_NO_SELECT, NULL},
	        {"-- quiet\nINSTALL httpfs", EXTRACTED_NO_SELECT, NULL},
	};

	RUN(examples);
}

static void a_reason_is_a_line(void)
{
	static const struct example examples[] = {
	        {"CANNOT_ANSWER: no table has the weather.", EXTRACTED_CANNOT, "no table has the weather."},
	        {"**CANNOT_ANSWER**: no\nweather", EXTRACTED_CANNOT, "no weather"},
	        {"cannot_answer", EXTRACTED_CANNOT, ""},
	        {"```\nCANNOT_ANSWER: none\n```", EXTRACTED_CANNOT, "none"},
	        {"<think>hm</think>CANNOT_ANSWER: none", EXTRACTED_CANNOT, "none"},
	        {"I am sorry.\nCANNOT_ANSWER: none", EXTRACTED_CANNOT, "none"},
	        {"CANNOT_ANSWERS", EXTRACTED_NOTHING, NULL},
	        {"SELECT 'CANNOT_ANSWER'", EXTRACTED_SQL, NULL},
	        {"CANNOT_ANSWER: \x1b[31mred\x07", EXTRACTED_CANNOT, " [31mred "},
	};

	RUN(examples);
}

static void what_is_too_long_is_refused(void)
{
	size_t size = EXTRACT_SQL_BYTES_MAX + 100;
	char *text = malloc(size + 1);
	struct buffer out;

	buffer_init(&out, EXTRACT_SQL_BYTES_MAX);
	memset(text, ' ', size);
	memcpy(text, "SELECT 1 +", 10);
	text[size - 1] = '1';
	CHECK_INT(extract_sql(text, size, &out), EXTRACTED_TOO_LONG);
	CHECK_INT(extract_sql(text, EXTRACT_SQL_BYTES_MAX, &out), EXTRACTED_SQL);
	CHECK_TEXT(buffer_string(&out), "SELECT 1 +");
	CHECK_INT(extract_sql("SELECT 1\0, 2", 12, &out), EXTRACTED_TOO_LONG);
	memset(text, 'x', size);
	memcpy(text, "CANNOT_ANSWER: ", 15);
	CHECK_INT(extract_sql(text, size, &out), EXTRACTED_CANNOT);
	CHECK_INT(out.size, EXTRACT_REASON_BYTES_MAX + 3);
	buffer_release(&out);
	free(text);
}

static void a_line_is_cut_between_characters(void)
{
	struct buffer out;

	buffer_init(&out, 100);
	extract_line(&out, "gr\xc3\xbc\xc3\x9f", 6, 5);
	CHECK_TEXT(buffer_string(&out), "gr\xc3\xbc...");
	buffer_clear(&out);
	extract_line(&out, "a\r\nb\x7f", 5, 5);
	CHECK_TEXT(buffer_string(&out), "a  b ");
	buffer_release(&out);
}

int main(int argc, char **argv)
{
	return CHECK_MAIN(argc, argv, TEST(a_plain_statement_is_taken),
	                  TEST(a_semicolon_in_quotes_or_comments_ends_nothing), TEST(fences_are_opened),
	                  TEST(words_around_a_statement_are_left_out), TEST(more_than_one_or_no_select_is_told),
	                  TEST(a_reason_is_a_line), TEST(what_is_too_long_is_refused),
	                  TEST(a_line_is_cut_between_characters));
}
